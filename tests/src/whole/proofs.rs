//! What was executed and is final can be proved to an auditor who has the policy and nothing else.

use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::header_log::inclusion_proof;
use chancery_ledger::proof::{Bundle, ProvenHeader};
use chancery_ledger::{Height, SecretKey};
use chancery_node::store::Store;

use super::ledger::Ledger;

/// Makes the bundle of a block's first transaction under a certificate and verifies it; whether
/// there was one to make.
///
/// # Panics
/// If it cannot be made, or proves nothing: a rule is broken.
pub(super) fn check(
    ledger: &Ledger,
    store: &Store,
    log_key: &SecretKey,
    certificate: &CheckpointCertificate,
    height: Height,
) -> bool {
    let snapshot = store.read();
    let Some(block) = snapshot.block(height) else {
        // It joined by a snapshot of a later block, or of this one.
        assert!(snapshot.base() >= Some(height), "what is final is here");
        return false;
    };
    if block.transactions.is_empty() {
        return false;
    }
    let size = certificate.statement.height.next().0;
    let node = |level, index| snapshot.log_node(level, index);
    let in_log = inclusion_proof(height.0, size, &node).expect("the log has it");
    let note = certificate.note(ledger.genesis.validators(), log_key);
    let proven = ProvenHeader {
        header: &block.header,
        checkpoint: &note,
        in_log: &in_log,
    };
    let bundle = Bundle::of_transaction(proven, &block.transactions, &block.receipts, 0);
    let bundle = bundle.expect("it has a transaction");
    let read = Bundle::from_json(&bundle.to_json()).expect("it was just written");
    let proved = read.verify(&ledger.policy);
    if let Err(error) = proved {
        panic!("the proof of a final transaction at height {height} is refused: {error}");
    }
    true
}
