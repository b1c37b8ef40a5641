//! Handing a transaction in, and following it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use chancery_client::api::{SubmitRequest, Submitted, TransactionInfo, TransactionState};
use chancery_genesis::time;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Call, Height, Role, Transaction, TransactionId, Verified};
use chancery_runtime::Runtime;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::ledger::{account_record, contract_record, shortened};
use super::refusal::{JsonBody, Refusal, Segment};
use super::versions::Versions;
use super::{Api, Shared, WAIT_MS_MAX, blocking, render};
use crate::store::{Snapshot, StoredBlock, TransactionPlace};

pub(super) async fn submit(
    State(api): Shared,
    JsonBody(SubmitRequest { transaction }): JsonBody<SubmitRequest>,
) -> Result<(StatusCode, Json<Submitted>), Refusal> {
    let halted = api.node.progress.borrow().halted.clone();
    if let Some(reason) = halted {
        return Err(Refusal::halted(&reason));
    }
    let shared = Arc::clone(&api);
    let id = blocking(&api.checks, move || take(&shared, &transaction.0)).await??;
    Ok((StatusCode::ACCEPTED, Json(Submitted { id })))
}

fn take(api: &Api, bytes: &[u8]) -> Result<TransactionId, Refusal> {
    let (node, limits) = (&api.node, api.node.limits());
    let signed = SignedTransaction::decode_and_verify(bytes, node.chain, limits)
        .map_err(|error| Refusal::of_transaction(&error, limits))?;
    let id = signed.id();
    if let Call::Deploy { code, .. } | Call::Upgrade { code, .. } = &signed.transaction.call {
        check_deployment(api, &signed, code)?;
    }
    match node.submit(signed) {
        Ok(()) => Ok(id),
        // `None`: it waits here already, which is what was asked for.
        Err(error) => Refusal::of_submission(error, limits).map_or(Ok(id), Err),
    }
}

/// Execution would refuse the module as well, but a receipt cannot say which rule it breaks. Only
/// where execution would look at the module is this work done: another's call ends before, and it
/// pays for that.
fn check_deployment(
    api: &Api,
    signed: &Verified<SignedTransaction>,
    code: &[u8],
) -> Result<(), Refusal> {
    let (node, limits) = (&api.node, api.node.limits());
    let snapshot = node.store.read();
    let block_time = snapshot.tip().header.time;
    node.runtime
        .admissible(&snapshot, block_time, signed)
        .map_err(|reason| Refusal::of_admission(reason, limits))?;
    if !may_bring_code(&snapshot, &signed.transaction) {
        return Ok(());
    }
    match Runtime::check_module(limits, code) {
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::of_module(&error)),
    }
}

/// Whether the sender may deploy, or upgrade that contract.
fn may_bring_code(snapshot: &Snapshot, transaction: &Transaction) -> bool {
    let sender = transaction.sender;
    match &transaction.call {
        Call::Deploy { .. } => account_record(snapshot, sender)
            .is_some_and(|account| account.roles.contains(&Role::Deployer)),
        Call::Upgrade { contract, .. } => contract_record(snapshot, *contract)
            .is_some_and(|contract| contract.upgraders.contains(&sender)),
        Call::Invoke { .. } | Call::ApproveUpgrade { .. } | Call::Admit { .. } => false,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    #[serde(default)]
    wait_ms: u64,
}

pub(super) async fn show(
    State(api): Shared,
    Segment(id): Segment,
    query: Result<Query<WaitQuery>, QueryRejection>,
) -> Result<Json<TransactionInfo>, Refusal> {
    let id = parse_id(&id)?;
    let Query(WaitQuery { wait_ms }) = query.map_err(|rejection| {
        Refusal::bad_request(
            rejection.body_text(),
            "the only parameter is wait_ms, a number",
        )
    })?;
    if wait_ms > WAIT_MS_MAX {
        return Err(Refusal::bad_request(
            format!("wait_ms = {wait_ms}, at most {WAIT_MS_MAX} is possible"),
            "ask again for a longer wait",
        ));
    }
    let _place = if wait_ms == 0 {
        None
    } else {
        Some(api.waiting_place()?)
    };
    let deadline = Instant::now() + Duration::from_millis(wait_ms);
    follow(&api, id, deadline).await.map(Json)
}

pub(super) fn parse_id(text: &str) -> Result<TransactionId, Refusal> {
    text.parse().map_err(|_| {
        Refusal::bad_request(
            format!("{:?} is not a transaction id", shortened(text)),
            "an id has 64 hexadecimal digits",
        )
    })
}

/// Looks the transaction up until it is final or `deadline` has passed.
async fn follow(
    api: &Arc<Api>,
    id: TransactionId,
    deadline: Instant,
) -> Result<TransactionInfo, Refusal> {
    let mut progress = api.node.progress.clone();
    let mut looked_up_at = None;
    let found = loop {
        let height = progress.borrow_and_update().height;
        let in_time = Instant::now() < deadline;
        // What still waits in the pool is in no block: thousands may be followed without the disk
        // being read for each of them at every block. The last look is always at the disk.
        let waits = looked_up_at.is_some() && api.node.is_pending(&id);
        if !in_time || (!waits && looked_up_at != Some(height)) {
            looked_up_at = Some(height);
            let found = look_up(api, id).await?;
            if found.is_some() || !in_time {
                break found;
            }
        }
        // An error means that the node stops: nothing will change any more.
        if let Ok(Err(_)) = timeout_at(deadline, progress.changed()).await {
            return Err(Refusal::stopping());
        }
    };
    let Some((height, mut info)) = found else {
        let state = if api.node.is_pending(&id) {
            TransactionState::Pending
        } else {
            TransactionState::Unknown
        };
        return Ok(without_block(id, state));
    };
    let certified = progress.wait_for(|progress| progress.final_height >= height);
    if let Ok(Ok(_)) = timeout_at(deadline, certified).await {
        info.state = TransactionState::Final;
    }
    Ok(info)
}

/// What there is of a transaction that was executed, and in which block; certified or not.
async fn look_up(
    api: &Arc<Api>,
    id: TransactionId,
) -> Result<Option<(Height, TransactionInfo)>, Refusal> {
    let shared = Arc::clone(api);
    blocking(&api.reads, move || {
        let snapshot = shared.node.store.read();
        let Some(TransactionPlace { height, index }) = snapshot.transaction(&id) else {
            return Ok(None);
        };
        let block = shared.blocks.get(&snapshot, height)?;
        let info = block.and_then(|block| describe(id, index, &block, false));
        Ok(info.map(|mut info| {
            Versions::of(&snapshot).tell(&mut info);
            (height, info)
        }))
    })
    .await?
}

fn without_block(id: TransactionId, state: TransactionState) -> TransactionInfo {
    TransactionInfo {
        id,
        state,
        height: None,
        index: None,
        block_time: None,
        block_time_ms: None,
        sender: None,
        valid_until_ms: None,
        call: None,
        receipt: None,
    }
}

pub(super) fn describe(
    id: TransactionId,
    index: u32,
    block: &StoredBlock,
    is_final: bool,
) -> Option<TransactionInfo> {
    let position = usize::try_from(index).ok()?;
    let transaction = &block.transactions.get(position)?.transaction;
    let receipt = block.receipts.get(position)?;
    let state = if is_final {
        TransactionState::Final
    } else {
        TransactionState::Committed
    };
    Some(TransactionInfo {
        id,
        state,
        height: Some(block.header.height),
        index: Some(index),
        block_time: Some(time::format(block.header.time)),
        block_time_ms: Some(block.header.time),
        sender: Some(transaction.sender),
        valid_until_ms: Some(transaction.valid_until),
        call: Some(render::call(&transaction.call)),
        receipt: Some(render::receipt(receipt)),
    })
}
