//! Proofs that validators contradicted themselves, as this node keeps them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chancery_client::api::{EvidenceInfo, EvidenceList};
use chancery_consensus::{Context, Evidence};
use chancery_ledger::Hash;

use super::refusal::{Refusal, Segment};
use super::{Api, Shared, json_text};
use crate::evidence::Kept;
use crate::evidence_file::{EvidenceFile, words};

pub(super) async fn list(State(api): Shared) -> Json<EvidenceList> {
    let kept = api.node.evidence.all();
    let evidence = kept.iter().map(|kept| {
        let validator = accused(&api, kept);
        EvidenceInfo {
            hash: kept.hash,
            words: words(&validator, kept.guilt.place, api.node.chain),
            validator,
        }
    });
    Json(EvidenceList {
        evidence: evidence.collect(),
    })
}

pub(super) async fn show(State(api): Shared, Segment(hash): Segment) -> Result<Response, Refusal> {
    let wanted: Option<Hash> = hash.parse().ok();
    let node = &api.node;
    let context = Context {
        chain: node.chain,
        validators: node.validators.clone(),
        window_slots: node.limits().window_slots,
    };
    let kept = node.evidence.all();
    let kept = kept.iter().find(|kept| Some(kept.hash) == wanted);
    let file = kept.and_then(|kept| {
        let evidence = Evidence::decode(&kept.bytes, &context).ok()?;
        let validator = accused(&api, kept);
        let file = EvidenceFile::new(&evidence, kept.guilt.place, api.node.chain, &validator);
        serde_json::to_string_pretty(&file).ok()
    });
    match file {
        Some(text) => Ok(json_text(text + "\n")),
        None => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "unknown_evidence",
            format!("this node keeps no evidence {hash:?}"),
            "GET /v1/evidence lists what it keeps; another node may keep more",
        )),
    }
}

fn accused(api: &Api, kept: &Kept) -> String {
    let index = kept.guilt.validator;
    let validator = api.node.validators.get(index);
    validator.map_or_else(|| index.to_string(), |validator| validator.name.clone())
}
