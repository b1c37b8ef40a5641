//! The ledger's types as the API's shapes.

use chancery_client::api::{Bytes, CallInfo, EventInfo, Outcome, ReceiptInfo, UpgradersInfo};
use chancery_ledger::{Call, CodeHash, Receipt, Status};

pub(super) fn outcome(status: Status) -> Outcome {
    match status {
        Status::Applied { value } => Outcome::Applied {
            value: Bytes(value),
        },
        Status::Reverted { code, data } => Outcome::Reverted {
            code,
            data: Bytes(data),
        },
        Status::Trapped { kind } => Outcome::Trapped { kind },
    }
}

/// A receipt; which versions ran is told by [`super::versions::Versions::tell`].
pub(super) fn receipt(receipt: &Receipt) -> ReceiptInfo {
    let events = receipt.events.iter().map(|event| EventInfo {
        contract: event.contract,
        contract_version: None,
        topic: event.topic.clone(),
        data: Bytes(event.data.clone()),
    });
    ReceiptInfo {
        outcome: outcome(receipt.status.clone()),
        fuel_used: receipt.fuel_used,
        contract: receipt.contract,
        contract_version: None,
        events: events.collect(),
    }
}

pub(super) fn call(call: &Call) -> CallInfo {
    match call {
        Call::Invoke {
            contract,
            method,
            args,
        } => CallInfo::Invoke {
            contract: *contract,
            method: method.clone(),
            args: Bytes(args.clone()),
        },
        Call::Deploy {
            code,
            upgraders,
            args,
        } => CallInfo::Deploy {
            code: CodeHash::of(code),
            upgraders: UpgradersInfo::of(upgraders),
            args: Bytes(args.clone()),
        },
        Call::Admit { account, roles } => CallInfo::Admit {
            account: *account,
            roles: roles.clone(),
        },
        Call::Upgrade {
            contract,
            version,
            code,
            args,
        } => CallInfo::Upgrade {
            contract: *contract,
            version: *version,
            code: CodeHash::of(code),
            args: Bytes(args.clone()),
        },
        Call::ApproveUpgrade { contract, approval } => CallInfo::ApproveUpgrade {
            contract: *contract,
            approval: *approval,
        },
    }
}
