//! The bytes of every encoded type, and the texts that stand for some, frozen in tests/goldens.
//! With CHANCERY_UPDATE_GOLDENS=1 the files are written anew: that is to change a format.

mod common;

use std::path::Path;

use chancery_ledger::block;
use chancery_ledger::checkpoint::{CheckpointStatement, cosigner, log_verifier, origin};
use chancery_ledger::header_log::{self, HeaderLog};
use chancery_ledger::policy::Policy;
use chancery_ledger::proof::{Bundle, ProvenHeader};
use chancery_ledger::state_bundle::{ProvenEntry, StateBundle};
use chancery_ledger::state_key::StateKey;
use chancery_ledger::{
    AccountId, Batch, CodeHash, ContractId, Hash, Header, Height, Millis, Upgraders, ValidatorIndex,
};
use common::ledger::{self, Ledger};
use common::samples::{self, CONTRACT};
use common::{certify, chain, key, log_key, validators};
use parity_scale_codec::Encode;

fn check_text(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(file);
    if std::env::var_os("CHANCERY_UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, text).expect("the golden can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden can be read");
    let differing = golden.lines().zip(text.lines()).find(|(a, b)| a != b);
    assert_eq!(differing, None, "{file}: the golden, and what is made now");
    assert_eq!(golden, text, "{file}");
}

/// A line `name value` for each.
fn check(file: &str, entries: &[(String, String)]) {
    let lines: Vec<String> = entries
        .iter()
        .map(|(name, value)| format!("{name} {value}\n"))
        .collect();
    check_text(file, &lines.concat());
}

fn bytes(name: impl Into<String>, value: &impl Encode) -> (String, String) {
    (name.into(), hex::encode(value.encode()))
}

fn text(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

#[test]
fn transactions() {
    let mut entries = Vec::new();
    for (name, signed) in samples::signed_transactions() {
        entries.push(bytes(format!("transaction_{name}"), &signed.transaction));
        let signed_bytes = hex::encode(signed.transaction.signed_bytes());
        entries.push((format!("signed_bytes_{name}"), signed_bytes));
        entries.push((format!("transaction_id_{name}"), signed.id().to_string()));
        entries.push(bytes(format!("signed_transaction_{name}"), &signed));
    }
    let deployment = samples::signed_transactions()[0].1.id();
    entries.push(text("contract_id", ContractId::of_deployment(deployment)));
    entries.push(text("code_hash", CodeHash::of(b"\0asm\x01\0\0\0")));
    entries.push(bytes("batch", &samples::batch()));
    entries.push(text("batch_digest", samples::batch().digest()));
    entries.push(bytes("batch_empty", &Batch::empty()));
    entries.push(text("batch_empty_digest", Batch::empty().digest()));
    check("transactions.txt", &entries);
}

#[test]
fn receipts() {
    let mut entries = vec![bytes("event", &samples::event())];
    for (name, receipt) in samples::receipts() {
        entries.push(bytes(format!("receipt_{name}"), &receipt));
        entries.push(bytes(format!("status_{name}"), &receipt.status));
    }
    for kind in samples::trap_kinds() {
        entries.push(bytes(format!("trap_kind_{}", kind.name()), &kind));
        let in_json = serde_json::to_string(&kind).expect("a text");
        assert_eq!(in_json, format!("{:?}", kind.name()), "one name");
    }
    check("receipts.txt", &entries);
}

#[test]
fn blocks_and_trees() {
    let (log, inclusion, consistency) = samples::log();
    let (tree, presence, absence) = samples::tree();
    let entries = [
        bytes("header", &samples::header()),
        text("header_hash", samples::header().hash()),
        bytes("header_empty_block", &samples::empty_header()),
        bytes("header_log", &log),
        text("header_log_root", log.root()),
        bytes("header_log_empty", &HeaderLog::default()),
        bytes("inclusion_proof", &inclusion),
        bytes("consistency_proof", &consistency),
        text("state_root", tree.root()),
        bytes("state_proof_presence", &presence),
        bytes("state_proof_absence", &absence),
    ];
    check("blocks.txt", &entries);
}

#[test]
fn state_entries() {
    let key_of = |name: &str, key: StateKey<'_>| text(name, hex::encode(key.to_bytes()));
    let entries = [
        key_of("key_account", StateKey::Account(key(1).account())),
        key_of("key_code", StateKey::Code(CodeHash([2; 32]))),
        key_of("key_contract", StateKey::Contract(CONTRACT)),
        key_of("key_storage", StateKey::Storage(CONTRACT, b"owner")),
        bytes("account_record", &samples::account_record()),
        bytes("contract_record", &samples::contract_record()),
        key_of(
            "key_approval",
            StateKey::Approval(CONTRACT, key(1).account()),
        ),
        bytes("upgrade_approval", &samples::approval()),
        bytes("upgraders_nobody", &Upgraders::nobody()),
        key_of("key_version", StateKey::Version(CONTRACT, 0x0102_0304)),
        bytes("version_record", &samples::version_record()),
    ];
    check("state.txt", &entries);
}

#[test]
fn identities() {
    let account = key(1).account();
    let set = validators(4);
    let first = set.get(ValidatorIndex(0)).expect("there are four");
    let entries = [
        bytes("account", &account),
        text("did", account),
        text("did_of_zeroes", AccountId([0; 32])),
        bytes("public_key", &key(1).public()),
        bytes("signature", &key(1).sign(b"chancery")),
        bytes("validator", first),
        bytes("validator_set", &set),
        text("validator_set_hash", set.hash()),
        bytes("limits", &samples::limits()),
        text("vkey_cosigner", cosigner(first)),
        text("vkey_log", log_verifier(chain(), first.log_key)),
        text("origin", origin(chain())),
    ];
    check("identities.txt", &entries);
}

fn statement() -> CheckpointStatement {
    CheckpointStatement::new(chain(), Height(6), Hash([5; 32]), Millis(1_795_000_000_987))
}

#[test]
fn checkpoints() {
    let certificate = certify(statement(), 3);
    let entries = [
        bytes("statement", &statement()),
        text("cosigned_bytes", hex::encode(statement().cosigned_bytes())),
        bytes("cosignature", &certificate.cosignatures[0]),
        bytes("certificate", &certificate),
    ];
    check("checkpoints.txt", &entries);
    let note = certificate.note(&validators(4), &log_key());
    check_text("checkpoint.note", &note.to_string());
    let policy = Policy::of_validators(chain(), &validators(4));
    check_text("trust.policy", &policy.to_string());
}

#[test]
fn bundles() {
    let transactions = samples::batch().transactions;
    let mut receipts: Vec<_> = samples::receipts().into_iter().map(|(_, r)| r).collect();
    receipts.truncate(7);
    for (receipt, transaction) in receipts.iter_mut().zip(&transactions) {
        receipt.transaction = transaction.id();
    }
    // The sample header commits to receipts of no transaction in particular.
    let header = Header {
        receipts_root: block::receipts_root(&receipts),
        ..samples::header()
    };
    let mut log = HeaderLog::default();
    let mut nodes = std::collections::BTreeMap::new();
    for height in 0..8 {
        let leaf = if height == 6 {
            header.hash()
        } else {
            Hash([1; 32])
        };
        for node in log.append(leaf) {
            nodes.insert((node.level, node.index), node.hash);
        }
    }
    let node = |level, index| nodes.get(&(level, index)).copied();
    let in_log = header_log::inclusion_proof(6, 8, &node).expect("it is there");
    let statement = CheckpointStatement::new(chain(), Height(7), log.root(), header.time);
    let checkpoint = certify(statement, 3).note(&validators(4), &log_key());
    let proven = ProvenHeader {
        header: &header,
        checkpoint: &checkpoint,
        in_log: &in_log,
    };
    let policy = Policy::of_validators(chain(), &validators(4));
    for (file, index) in [
        ("bundle-invoke.json", 1),
        ("bundle-deploy.json", 0),
        ("bundle-upgrade.json", 4),
        ("bundle-approve-upgrade.json", 5),
        ("bundle-admit.json", 2),
    ] {
        let bundle = Bundle::of_transaction(proven, &transactions, &receipts, index);
        let bundle = bundle.expect("it is there");
        assert_eq!(bundle.verify(&policy).as_ref(), Ok(&bundle.claim));
        check_text(file, &bundle.to_json());
    }
}

#[test]
fn state_bundle() {
    let ledger = Ledger::new();
    let absent = [
        StateKey::Account(key(3).account()),
        StateKey::Code(CodeHash([2; 32])),
        StateKey::Contract(ContractId([2; 32])),
        StateKey::Approval(CONTRACT, key(2).account()),
        StateKey::Version(CONTRACT, 9),
    ];
    let absent = absent.map(StateKey::to_bytes);
    let records = samples::records().map(|(key, _)| key);
    let stored = [ledger::storage(7), ledger::storage(200)];
    let keys = [&stored[..], &records, &absent].concat();
    let entries: Vec<ProvenEntry> = keys.iter().map(|key| ledger.entry(key)).collect();
    let bundle = ledger.proven(7, |proven| StateBundle::of_entries(proven, &entries));
    let bundle = bundle.expect("sound entries");
    assert_eq!(bundle.verify(&ledger::policy()).as_ref(), Ok(&bundle.claim));
    check_text("state-bundle.json", &bundle.to_json());
}
