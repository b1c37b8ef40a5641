//! Running a view on the newest state of this node.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chancery_client::api::{QueryInfo, QueryRequest, TimeSource};
use chancery_genesis::time;
use chancery_ledger::{Status, TrapKind};
use chancery_runtime::BlockContext;

use super::ledger::{contract_record, shortened, unknown_contract};
use super::refusal::{JsonBody, Refusal};
use super::{Api, Shared, blocking, render};

pub(super) async fn query(
    State(api): Shared,
    JsonBody(request): JsonBody<QueryRequest>,
) -> Result<Json<QueryInfo>, Refusal> {
    let limits = api.node.limits();
    for (part, len, len_max) in [
        ("method", request.method.len(), limits.method_bytes_max),
        ("args", request.args.0.len(), limits.args_bytes_max),
    ] {
        if len > usize::try_from(len_max).unwrap_or(usize::MAX) {
            return Err(Refusal::too_large(
                format!("{part} has {len} bytes, at most {len_max} are allowed ({part}_bytes_max)"),
                "the limits are in GET /v1/chain",
            ));
        }
    }
    let shared = Arc::clone(&api);
    let info = blocking(&api.queries, move || run(&shared, &request)).await??;
    Ok(Json(info))
}

/// The contract is told the later of block time and this node's clock, so that an expiry shows
/// even while no block is made.
fn run(api: &Api, request: &QueryRequest) -> Result<QueryInfo, Refusal> {
    let node = &api.node;
    let snapshot = Arc::new(node.store.read());
    let header = snapshot.tip().header;
    let clock = node.clock.wall();
    let (time_used, time_source) = if clock > header.time {
        (clock, TimeSource::Clock)
    } else {
        (header.time, TimeSource::Block)
    };
    let context = BlockContext {
        chain: node.chain,
        height: header.height,
        time: time_used,
    };
    let record = contract_record(&snapshot, request.contract)
        .ok_or_else(|| unknown_contract(request.contract))?;
    let outcome = node.runtime.query(
        &context,
        snapshot,
        request.contract,
        &request.method,
        &request.args.0,
    );
    match outcome.status {
        Status::Trapped {
            kind: TrapKind::UnknownMethod,
        } => {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "unknown_method",
                format!(
                    "contract {} has no view {:?}",
                    request.contract,
                    shortened(&request.method)
                ),
                "GET /v1/contracts/{id} shows its methods; only views can be queried",
            ));
        }
        Status::Applied { .. } | Status::Reverted { .. } | Status::Trapped { .. } => {}
    }
    Ok(QueryInfo {
        outcome: render::outcome(outcome.status),
        fuel_used: outcome.fuel_used,
        contract_version: record.version,
        height: header.height,
        block_time: time::format(header.time),
        block_time_ms: header.time,
        time_used: time::format(time_used),
        time_used_ms: time_used,
        time_source,
    })
}
