//! Proof bundles: one file that convinces whoever has the policy and nothing else.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chancery_ledger::header_log;
use chancery_ledger::proof::{Bundle, ProvenBlock};
use chancery_ledger::{Height, TransactionId};

use super::refusal::{Refusal, Segment};
use super::transactions::parse_id;
use super::{Api, Shared, blocking, json_text};
use crate::store::TransactionPlace;

pub(super) async fn transaction(
    State(api): Shared,
    Segment(id): Segment,
) -> Result<Response, Refusal> {
    let id = parse_id(&id)?;
    let shared = Arc::clone(&api);
    let bundle = blocking(&api.reads, move || prove(&shared, id)).await??;
    Ok(json_text(bundle))
}

/// The bundle under the oldest certificate that covers the transaction's block: the same file
/// whenever it is asked for.
fn prove(api: &Api, id: TransactionId) -> Result<String, Refusal> {
    let node = &api.node;
    // Before the snapshot: what is certified by then is in it.
    let newest_certificate = node.progress.borrow().certificate.clone();
    let snapshot = node.store.read();
    let Some(TransactionPlace { height, index }) = snapshot.transaction(&id) else {
        return Err(unknown_transaction(api, id));
    };
    let certificate = snapshot
        .certificate_at_or_after(height)
        .or(newest_certificate)
        .filter(|certificate| certificate.statement.height >= height)
        .ok_or_else(|| not_final_yet(format!("its block {height} is not certified yet")))?;
    let size = certificate.statement.height.next().0;
    let block = api.blocks.get(&snapshot, height)?;
    let in_log = header_log::inclusion_proof(height.0, size, &|level, index| {
        snapshot.log_node(level, index)
    });
    let (Some(block), Some(in_log)) = (block, in_log) else {
        // The certificate is ahead of what is executed here.
        return Err(not_final_yet(format!(
            "block {} of its certificate is not executed here yet",
            certificate.statement.height
        )));
    };
    let note = certificate.note(&node.validators, &node.log_key);
    let proven = ProvenBlock {
        header: &block.header,
        transactions: &block.transactions,
        receipts: &block.receipts,
        checkpoint: &note,
        in_log: &in_log,
    };
    Bundle::of_transaction(proven, index, None)
        .map(|bundle| bundle.to_json())
        .ok_or_else(|| unknown_transaction(api, id))
}

fn unknown_transaction(api: &Api, id: TransactionId) -> Refusal {
    if api.node.is_pending(&id) {
        return not_final_yet("it waits to be ordered".to_owned());
    }
    let height: Height = api.node.progress.borrow().height;
    Refusal::new(
        StatusCode::NOT_FOUND,
        "unknown_transaction",
        format!("transaction {id} is in no block up to {height}"),
        "check the id, or ask another validator",
    )
}

fn not_final_yet(reason: String) -> Refusal {
    Refusal::new(
        StatusCode::CONFLICT,
        "not_final_yet",
        format!("there is no proof of the transaction yet: {reason}"),
        "wait for it: GET /v1/transactions/{id}?wait_ms=10000",
    )
}
