//! Final transactions with their receipts, found again by account and contract:
//! `GET /v1/transactions`. What bounds a page is said in [`super::events`].

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chancery_client::api::{Start, TransactionFilter, TransactionInfo, TransactionsPage};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Call, ContractEvent, Receipt, Status};
use serde::Deserialize;

use super::events::{PAGE_BYTES_MAX, cursor, limit, parse, start, walk};
use super::refusal::Refusal;
use super::transactions::describe;
use super::versions::Versions;
use super::{Api, Shared, blocking};
use crate::store::{Mark, StoredBlock};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransactionsQuery {
    account: Option<String>,
    contract: Option<String>,
    from: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(api): Shared,
    query: Result<Query<TransactionsQuery>, QueryRejection>,
) -> Result<Json<TransactionsPage>, Refusal> {
    let Query(query) = query.map_err(|rejection| {
        Refusal::bad_request(
            rejection.body_text(),
            "the parameters are account, contract, from and limit",
        )
    })?;
    let filter = TransactionFilter {
        account: parse("account", query.account.as_deref())?,
        contract: parse("contract", query.contract.as_deref())?,
    };
    if filter == TransactionFilter::default() {
        return Err(Refusal::bad_request(
            "neither account nor contract is given",
            "name one of them, or both; GET /v1/blocks/{height} lists the transactions of a block",
        ));
    }
    let start = start(query.from.as_deref())?;
    if matches!(start, Start::At(cursor) if cursor.event > 0) {
        return Err(Refusal::bad_cursor(
            "this is the cursor of an event",
            "a cursor of transactions is HEIGHT or HEIGHT.TRANSACTION",
        ));
    }
    let limit = limit(&api, query.limit)?;
    let shared = Arc::clone(&api);
    let page = blocking(&api.reads, move || page(&shared, filter, start, limit));
    Ok(Json(page.await??))
}

fn page(
    api: &Api,
    filter: TransactionFilter,
    start: Start,
    limit: usize,
) -> Result<TransactionsPage, Refusal> {
    let marks = [
        filter.account.map(Mark::Sender),
        filter.contract.map(Mark::Contract),
    ];
    let marks: Vec<Mark<'_>> = marks.into_iter().flatten().collect();
    let (mut transactions, mut bytes) = (Vec::<TransactionInfo>::new(), 0);
    let walk = walk(api, &marks, cursor(api, start), |block, index, from| {
        if transactions.len() == limit || bytes >= PAGE_BYTES_MAX {
            return Some(from);
        }
        bytes += bytes_of(block, index).unwrap_or(0);
        let id = block
            .receipts
            .get(usize::try_from(index).ok()?)?
            .transaction;
        transactions.extend(describe(id, index, block, true));
        None
    })?;
    let snapshot = api.node.store.read();
    let mut versions = Versions::of(&snapshot);
    transactions.iter_mut().for_each(|info| versions.tell(info));
    Ok(TransactionsPage {
        transactions,
        next: walk.next,
        more: walk.more,
        final_height: walk.final_height,
    })
}

/// About what an account takes in an answer.
const DID_BYTES: usize = 60;

/// What of a transaction and its receipt can be long, without what is not shown.
fn bytes_of(block: &StoredBlock, index: u32) -> Option<usize> {
    let index = usize::try_from(index).ok()?;
    let SignedTransaction { transaction, .. } = block.transactions.get(index)?;
    let Receipt { status, events, .. } = block.receipts.get(index)?;
    let args = match &transaction.call {
        Call::Invoke { args, .. } | Call::Upgrade { args, .. } => args.len(),
        Call::Deploy {
            args, upgraders, ..
        } => args.len() + upgraders.accounts.len() * DID_BYTES,
        Call::Admit { .. } | Call::ApproveUpgrade { .. } => 0,
    };
    let result = match status {
        Status::Applied { value } => value.len(),
        Status::Reverted { data, .. } => data.len(),
        Status::Trapped { .. } => 0,
    };
    let of_event = |event: &ContractEvent| event.topic.len() + event.data.len();
    Some(args + result + events.iter().map(of_event).sum::<usize>())
}
