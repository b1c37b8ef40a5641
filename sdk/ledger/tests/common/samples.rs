//! One value of every encoded type, the same in every run.

use chancery_ledger::block::{self, PROTOCOL_VERSION};
use chancery_ledger::header_log::{self, HeaderLog};
use chancery_ledger::merkle::{ConsistencyProof, InclusionProof, leaf_hash};
use chancery_ledger::state_key::{AccountRecord, ContractRecord, StateKey, VersionRecord};
use chancery_ledger::state_tree::{StateProof, StateTree, key_hash, value_hash};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    AccountId, Batch, BatchDigest, Call, ChainLimits, CodeHash, ContractEvent, ContractId, Epoch,
    Fuel, Hash, Header, Height, Millis, Receipt, Role, Status, Transaction, TransactionId,
    TransactionPlace, TrapKind, UpgradeApproval, Upgraders,
};
use parity_scale_codec::Encode as _;

use super::{chain, key};

pub(crate) const CONTRACT: ContractId = ContractId([0xab; 32]);

pub(crate) fn transaction(call: Call) -> Transaction {
    Transaction {
        chain: chain(),
        sender: key(1).account(),
        salt: 0x0102_0304_0506_0708,
        valid_until: Millis(1_795_000_060_000),
        fuel_max: Fuel(1_000_000),
        call,
    }
}

pub(crate) fn calls() -> Vec<(&'static str, Call)> {
    vec![
        (
            "deploy",
            Call::Deploy {
                code: b"\0asm\x01\0\0\0".to_vec(),
                upgraders: upgraders(),
                args: vec![9, 8],
            },
        ),
        (
            "invoke",
            Call::Invoke {
                contract: CONTRACT,
                method: "grant_access".to_owned(),
                args: vec![1, 2, 3],
            },
        ),
        (
            "admit",
            Call::Admit {
                account: key(2).account(),
                roles: vec![Role::Registrar, Role::Deployer],
            },
        ),
        (
            "admit_without_roles",
            Call::Admit {
                account: AccountId([0; 32]),
                roles: Vec::new(),
            },
        ),
        (
            "upgrade",
            Call::Upgrade {
                contract: CONTRACT,
                version: 3,
                code: b"\0asm\x01\0\0\0".to_vec(),
                args: vec![9, 8],
            },
        ),
        (
            "approve_upgrade",
            Call::ApproveUpgrade {
                contract: CONTRACT,
                approval: Some(approval()),
            },
        ),
        (
            "approve_no_upgrade",
            Call::ApproveUpgrade {
                contract: CONTRACT,
                approval: None,
            },
        ),
    ]
}

/// Two of three.
pub(crate) fn upgraders() -> Upgraders {
    Upgraders::of(2, [1, 2, 3].map(|seed| key(seed).account()).to_vec())
}

pub(crate) fn approval() -> UpgradeApproval {
    UpgradeApproval::of(3, b"\0asm\x01\0\0\0", &[9, 8])
}

pub(crate) fn signed_transactions() -> Vec<(&'static str, SignedTransaction)> {
    let sign = |(name, call)| (name, transaction(call).sign(&key(1)));
    calls().into_iter().map(sign).collect()
}

pub(crate) fn batch() -> Batch {
    Batch {
        proposed_time: Millis(1_795_000_000_987),
        transactions: signed_transactions().into_iter().map(|(_, t)| t).collect(),
    }
}

pub(crate) fn event() -> ContractEvent {
    ContractEvent {
        contract: CONTRACT,
        topic: "access_granted".to_owned(),
        data: vec![7, 7],
    }
}

pub(crate) fn trap_kinds() -> Vec<TrapKind> {
    use TrapKind::*;
    vec![
        UnknownContract,
        UnknownMethod,
        RoleMissing,
        InvalidKey,
        ModuleRefused,
        OutOfFuel,
        StackTooDeep,
        MemoryLimit,
        OutOfBounds,
        Arithmetic,
        Unreachable,
        BadIndirectCall,
        WriteInView,
        SizeLimit,
        BadArguments,
        CallTooDeep,
        Reentrant,
        UnknownCallee,
        UnknownUpgrader,
        MayNotUpgrade,
        WrongVersion,
        NotApproved,
    ]
}

pub(crate) fn receipt(status: Status) -> Receipt {
    let is_applied = matches!(status, Status::Applied { .. });
    Receipt {
        transaction: TransactionId([0x17; 32]),
        status,
        fuel_used: Fuel(42),
        contract: is_applied.then_some(CONTRACT),
        events: is_applied.then(event).into_iter().collect(),
    }
}

pub(crate) fn receipts() -> Vec<(String, Receipt)> {
    let applied = Status::Applied { value: vec![1] };
    let reverted = Status::Reverted {
        code: 3,
        data: vec![4, 5],
    };
    let mut receipts = vec![
        ("applied".to_owned(), receipt(applied)),
        ("reverted".to_owned(), receipt(reverted)),
    ];
    receipts.extend(trap_kinds().into_iter().map(|kind| {
        let name = format!("trapped_{}", kind.name());
        (name, receipt(Status::Trapped { kind }))
    }));
    receipts
}

pub(crate) fn header() -> Header {
    let transactions: Vec<_> = batch().transactions;
    let receipts: Vec<_> = receipts().into_iter().map(|(_, r)| r).take(7).collect();
    Header {
        version: PROTOCOL_VERSION,
        chain: chain(),
        epoch: Epoch(0),
        height: Height(6),
        parent: Hash([0xaa; 32]),
        time: Millis(1_795_000_000_987),
        batch: batch().digest(),
        transactions_root: block::transactions_root(&transactions),
        transactions_count: 7,
        receipts_root: block::receipts_root(&receipts),
        state_root: tree().0.root(),
        state_count: 100,
    }
}

pub(crate) fn empty_header() -> Header {
    Header {
        batch: BatchDigest([0xbb; 32]),
        transactions_root: block::transactions_root(&[]),
        transactions_count: 0,
        receipts_root: block::receipts_root(&[]),
        ..header()
    }
}

/// A log of eleven leaves and its proofs.
pub(crate) fn log() -> (HeaderLog, InclusionProof, ConsistencyProof) {
    let mut log = HeaderLog::default();
    let mut nodes = std::collections::BTreeMap::new();
    for i in 0..11_u8 {
        for node in log.append(leaf_hash(&[i])) {
            nodes.insert((node.level, node.index), node.hash);
        }
    }
    let node = |level, index| nodes.get(&(level, index)).copied();
    let inclusion = header_log::inclusion_proof(6, 11, &node).expect("it is there");
    let consistency = header_log::consistency_proof(7, 11, &node).expect("it is there");
    (log, inclusion, consistency)
}

/// A tree of a hundred entries, the proof that key 7 is in it, the proof that key 200 is not.
pub(crate) fn tree() -> (StateTree, StateProof, StateProof) {
    let leaves: std::collections::BTreeMap<Hash, Hash> = (0..100_u8)
        .map(|i| (key_hash(&[i]), value_hash(&[i, i])))
        .collect();
    let tree = StateTree::build(leaves.clone());
    let prove = |key: u8| tree.prove(&key_hash(&[key]), &leaves).expect("its leaves");
    (tree.clone(), prove(7), prove(200))
}

pub(crate) fn account_record() -> AccountRecord {
    AccountRecord {
        roles: vec![Role::Registrar, Role::Deployer],
    }
}

pub(crate) fn contract_record() -> ContractRecord {
    ContractRecord {
        code: CodeHash::of(b"\0asm\x01\0\0\0"),
        version: 3,
        deployer: key(1).account(),
        upgraders: upgraders(),
        load_fuel: Fuel(501_730),
    }
}

pub(crate) fn version_record() -> VersionRecord {
    VersionRecord {
        code: CodeHash::of(b"\0asm\x01\0\0\0"),
        since: TransactionPlace {
            height: Height(0x0506),
            index: 7,
        },
    }
}

/// An entry of each kind that the ledger itself makes.
pub(crate) fn records() -> [(Vec<u8>, Vec<u8>); 6] {
    let code = contract_record().code;
    let nobody = AccountRecord { roles: Vec::new() };
    [
        (
            StateKey::Account(key(1).account()),
            account_record().encode(),
        ),
        (StateKey::Account(key(2).account()), nobody.encode()),
        (StateKey::Code(code), b"\0asm\x01\0\0\0".to_vec()),
        (StateKey::Contract(CONTRACT), contract_record().encode()),
        (
            StateKey::Approval(CONTRACT, key(1).account()),
            approval().encode(),
        ),
        (StateKey::Version(CONTRACT, 1), version_record().encode()),
    ]
    .map(|(key, value)| (key.to_bytes(), value))
}

pub(crate) fn limits() -> ChainLimits {
    ChainLimits::default()
}
