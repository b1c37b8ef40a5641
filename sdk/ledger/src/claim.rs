//! What a bundle proves, in words and as data. A claim is derived from what is proved, never taken
//! from the file: the file's own claim must be equal to it.
//!
//! In JSON, hashes and byte strings are lower-case hexadecimal, accounts `did:key:…`, absent values
//! absent fields. `words` is
//! `SENDER asked ledger CHAIN to REQUEST. Outcome: OUTCOME, in block HEIGHT at TIME.` with
//! - REQUEST: `call METHOD of contract ID`, `deploy code HASH, to be upgraded by nobody`, `deploy
//!   code HASH, to be upgraded by K of N accounts: DID, DID`, `admit DID with roles A, B`, `admit DID
//!   without roles`, `upgrade version V of contract ID to code HASH`, `approve upgrading version V of
//!   contract ID to code HASH` or `withdraw what it approved for contract ID`. A METHOD that is not made of ASCII letters, digits and underscores,
//!   the first no digit, is written as `0x` and its UTF-8 bytes in hexadecimal: anybody may ask for
//!   a method that no contract has, and its name must not be able to speak for the ledger.
//! - OUTCOME: `applied`, `reverted with code N`, `trapped: KIND`

use crate::proof_file::first_difference;
use crate::{
    AccountId, Call, ChainId, CodeHash, ContractEvent, ContractId, Fuel, Header, Height, Millis,
    Receipt, Role, Status, TransactionId, TrapKind, UpgradeApproval,
    transaction::SignedTransaction,
};

/// A proved transaction with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// All that matters, for people.
    pub words: String,
    /// The ledger.
    pub chain_id: ChainId,
    /// The transaction's id.
    pub transaction: TransactionId,
    /// Who asked.
    pub sender: AccountId,
    /// What for.
    pub call: ClaimedCall,
    /// What became of it.
    pub outcome: Outcome,
    /// Spent on it.
    pub fuel_used: Fuel,
    /// The contract deployed or called, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contract: Option<ContractId>,
    /// In order of emission.
    pub events: Vec<ClaimedEvent>,
    /// The block.
    pub height: Height,
    /// The position in the block, counted from 0.
    pub index: u32,
    /// The block's time.
    pub block_time: String,
    /// The same in milliseconds since the Unix epoch.
    pub block_time_ms: Millis,
    /// The newest block under the checkpoint that proves it.
    pub checkpoint_height: Height,
    /// In a file: who cosigned the checkpoint, by the names on the lines. From
    /// [`crate::proof::Bundle::verify`]: those of them whom the policy trusts, by its names.
    pub cosigners: Vec<String>,
}

/// What a transaction asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClaimedCall {
    /// To create a contract.
    Deploy {
        /// SHA-256 of its Wasm bytes.
        code: CodeHash,
        /// How many of `upgraders` it takes to upgrade it.
        upgrade_quorum: u32,
        /// Who may upgrade it: DIDs, though perhaps not of keys that may be admitted.
        upgraders: Vec<String>,
        /// SCALE of `init`'s arguments.
        args: String,
    },
    /// To run a method.
    Invoke {
        /// Of which contract.
        contract: ContractId,
        /// Which.
        method: String,
        /// SCALE of its arguments.
        args: String,
    },
    /// To admit an account.
    Admit {
        /// Which: a DID, though perhaps not of a key that may be admitted.
        account: String,
        /// With these roles.
        roles: Vec<Role>,
    },
    /// To put new code in the place of a contract's.
    Upgrade {
        /// Of which contract.
        contract: ContractId,
        /// The version that is replaced.
        version: u32,
        /// SHA-256 of the new Wasm bytes.
        code: CodeHash,
        /// SCALE of `migrate`'s arguments.
        args: String,
    },
    /// To agree to an upgrade.
    ApproveUpgrade {
        /// Of which contract.
        contract: ContractId,
        /// To which; to none any more where there is none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        approval: Option<UpgradeApproval>,
    },
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// Its effects are in the state.
    Applied {
        /// SCALE of the returned value.
        value: String,
    },
    /// The contract refused.
    Reverted {
        /// The contract's own code.
        code: u32,
        /// SCALE of what the contract added.
        data: String,
    },
    /// Ended from outside the contract.
    Trapped {
        /// Why.
        kind: TrapKind,
    },
}

/// Something that a contract announced.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedEvent {
    /// Which contract.
    pub contract: ContractId,
    /// The event's name.
    pub topic: String,
    /// SCALE of its fields.
    pub data: String,
}

/// What a claim is derived from.
#[derive(Debug)]
pub(crate) struct Proved<'a> {
    pub(crate) header: &'a Header,
    pub(crate) transaction: &'a SignedTransaction,
    pub(crate) receipt: &'a Receipt,
    pub(crate) index: u32,
    pub(crate) checkpoint_height: Height,
    pub(crate) cosigners: Vec<String>,
}

impl Claim {
    pub(crate) fn of(proved: Proved<'_>) -> Self {
        let Proved {
            header,
            transaction,
            receipt,
            ..
        } = proved;
        let mut claim = Self {
            words: String::new(),
            chain_id: header.chain,
            transaction: transaction.id(),
            sender: transaction.transaction.sender,
            call: ClaimedCall::of(&transaction.transaction.call),
            outcome: Outcome::of(&receipt.status),
            fuel_used: receipt.fuel_used,
            contract: receipt.contract,
            events: receipt.events.iter().map(ClaimedEvent::of).collect(),
            height: header.height,
            index: proved.index,
            block_time: header.time.to_rfc3339(),
            block_time_ms: header.time,
            checkpoint_height: proved.checkpoint_height,
            cosigners: proved.cosigners,
        };
        claim.words = claim.in_words();
        claim
    }

    /// The first field in which another claim differs.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<&'static str> {
        first_difference!(self, other;
            chain_id transaction sender call outcome fuel_used contract events height index
            block_time block_time_ms checkpoint_height cosigners words
        )
    }

    fn in_words(&self) -> String {
        let request = self.call.in_words();
        let outcome = match &self.outcome {
            Outcome::Applied { .. } => "applied".to_owned(),
            Outcome::Reverted { code, .. } => format!("reverted with code {code}"),
            Outcome::Trapped { kind } => format!("trapped: {}", kind.name()),
        };
        format!(
            "{} asked ledger {} to {request}. Outcome: {outcome}, in block {} at {}.",
            self.sender, self.chain_id, self.height, self.block_time
        )
    }
}

/// Who may upgrade a contract: `to be upgraded by …`.
pub(crate) fn upgraded_by(quorum: u32, accounts: &[String]) -> String {
    if accounts.is_empty() {
        return "to be upgraded by nobody".to_owned();
    }
    format!(
        "to be upgraded by {quorum} of {} accounts: {}",
        accounts.len(),
        accounts.join(", ")
    )
}

/// A method's name as it may stand in a sentence.
fn tame(method: &str) -> String {
    let is_word = method
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let begins_with_digit = method.bytes().next().is_none_or(|b| b.is_ascii_digit());
    if is_word && !begins_with_digit {
        method.to_owned()
    } else {
        format!("0x{}", hex::encode(method))
    }
}

impl ClaimedCall {
    fn of(call: &Call) -> Self {
        match call {
            Call::Deploy {
                code,
                upgraders,
                args,
            } => Self::Deploy {
                code: CodeHash::of(code),
                upgrade_quorum: upgraders.quorum,
                upgraders: upgraders
                    .accounts
                    .iter()
                    .map(AccountId::to_string)
                    .collect(),
                args: hex::encode(args),
            },
            Call::Invoke {
                contract,
                method,
                args,
            } => Self::Invoke {
                contract: *contract,
                method: method.clone(),
                args: hex::encode(args),
            },
            Call::Admit { account, roles } => Self::Admit {
                account: account.to_string(),
                roles: roles.clone(),
            },
            Call::Upgrade {
                contract,
                version,
                code,
                args,
            } => Self::Upgrade {
                contract: *contract,
                version: *version,
                code: CodeHash::of(code),
                args: hex::encode(args),
            },
            Call::ApproveUpgrade { contract, approval } => Self::ApproveUpgrade {
                contract: *contract,
                approval: *approval,
            },
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Deploy {
                code,
                upgrade_quorum,
                upgraders,
                ..
            } => format!(
                "deploy code {code}, {}",
                upgraded_by(*upgrade_quorum, upgraders)
            ),
            Self::Invoke {
                contract, method, ..
            } => format!("call {} of contract {contract}", tame(method)),
            Self::Admit { account, roles } if roles.is_empty() => {
                format!("admit {account} without roles")
            }
            Self::Admit { account, roles } => {
                let roles: Vec<String> = roles.iter().map(Role::to_string).collect();
                format!("admit {account} with roles {}", roles.join(", "))
            }
            Self::Upgrade {
                contract,
                version,
                code,
                ..
            } => format!("upgrade version {version} of contract {contract} to code {code}"),
            Self::ApproveUpgrade {
                contract,
                approval: Some(UpgradeApproval { version, code, .. }),
            } => {
                format!("approve upgrading version {version} of contract {contract} to code {code}")
            }
            Self::ApproveUpgrade {
                contract,
                approval: None,
            } => format!("withdraw what it approved for contract {contract}"),
        }
    }
}

impl Outcome {
    fn of(status: &Status) -> Self {
        match status {
            Status::Applied { value } => Self::Applied {
                value: hex::encode(value),
            },
            Status::Reverted { code, data } => Self::Reverted {
                code: *code,
                data: hex::encode(data),
            },
            Status::Trapped { kind } => Self::Trapped { kind: *kind },
        }
    }
}

impl ClaimedEvent {
    fn of(event: &ContractEvent) -> Self {
        Self {
            contract: event.contract,
            topic: event.topic.clone(),
            data: hex::encode(&event.data),
        }
    }
}
