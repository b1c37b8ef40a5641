//! For whoever watches over the process: alive, ready, and in numbers.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chancery_client::api::ReadyInfo;
use serde_json::{Value, json};

use super::status::{Seen, look};
use super::{Api, Shared};
use crate::metrics::{Gauges, PeerGauge};

/// Peers tell each other their status twice a second; one that was silent for so long is away.
const HEARD_MS_MAX: u64 = 5_000;

/// The process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// Whether it can take transactions and bring them to finality, as far as it knows.
pub(super) async fn ready(State(api): Shared) -> (StatusCode, Json<ReadyInfo>) {
    let reasons = reasons(&api, &look(&api));
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(ReadyInfo { ready, reasons }))
}

fn reasons(api: &Api, seen: &Seen) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(halted) = &seen.halted {
        reasons.push(format!("halted: {halted}"));
    }
    let quorum = api.node.validators.quorum();
    let (here, away): (Vec<_>, Vec<_>) = seen.validators.iter().partition(|peer| {
        let heard = peer.last_heard_ms.is_some_and(|age| age <= HEARD_MS_MAX);
        peer.is_self || (peer.connected && heard)
    });
    if here.len() < quorum {
        let away: Vec<&str> = away.iter().map(|peer| peer.name.as_str()).collect();
        reasons.push(format!(
            "no quorum: {} of {} validators are here, {quorum} are needed; away: {}",
            here.len(),
            seen.validators.len(),
            away.join(", ")
        ));
    }
    let window = u64::from(api.node.limits().window_slots);
    if seen.catching_up || seen.behind_by() > window {
        reasons.push(format!(
            "behind: at height {}, {} blocks behind a quorum",
            seen.height,
            seen.behind_by()
        ));
    }
    reasons
}

/// OpenMetrics text.
pub(super) async fn metrics(State(api): Shared) -> Response {
    let seen = look(&api);
    let peers = api.node.network.peers().into_iter().map(|peer| PeerGauge {
        name: peer.name,
        connected: peer.connected,
        dropped_frames: peer.dropped_frames,
    });
    let gauges = Gauges {
        final_height: seen.final_height,
        view: seen.view.0,
        mode: seen.mode_name,
        evidence: api.node.evidence.count(),
        pool: api.node.pool.count(),
        compilations: api.node.runtime.compilations(),
        peers: peers.collect(),
    };
    let text = api.node.metrics.render(seen.height, &gauges);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}
