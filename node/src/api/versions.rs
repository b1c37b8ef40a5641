//! The versions of contracts, as they stand in the state: `GET /v1/contracts/{id}/versions`, and which
//! of them ran where.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use chancery_client::api::{TransactionInfo, VersionDetails, VersionInfo, VersionsPage};
use chancery_ledger::state_key::{StateKey, VersionRecord};
use chancery_ledger::upgrade::FIRST_VERSION;
use chancery_ledger::{ContractId, TransactionPlace, decode_canonical};
use serde::Deserialize;

use super::events::limit;
use super::ledger::{contract_id, contract_record, schema_of_code, shortened, unknown_contract};
use super::refusal::{Refusal, Segment};
use super::{Api, Shared, blocking};
use crate::store::Snapshot;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionsQuery {
    from: Option<u32>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(api): Shared,
    Segment(id): Segment,
    query: Result<Query<VersionsQuery>, QueryRejection>,
) -> Result<Json<VersionsPage>, Refusal> {
    let contract = contract_id(&id)?;
    let Query(query) = query.map_err(|rejection| {
        Refusal::bad_request(
            rejection.body_text(),
            "the parameters are from, a version, and limit",
        )
    })?;
    let from = query.from.unwrap_or(FIRST_VERSION).max(FIRST_VERSION);
    let limit = limit(&api, query.limit)?;
    let shared = Arc::clone(&api);
    let page = blocking(&api.reads, move || page(&shared, contract, from, limit));
    Ok(Json(page.await??))
}

fn page(api: &Api, contract: ContractId, from: u32, limit: usize) -> Result<VersionsPage, Refusal> {
    let snapshot = api.node.store.read();
    let record = contract_record(&snapshot, contract);
    let newest = record.ok_or_else(|| unknown_contract(contract))?.version;
    let behind = from.saturating_add(u32::try_from(limit).unwrap_or(u32::MAX));
    let looked_at = (from..behind).take_while(|version| *version <= newest);
    // A state that says nothing of one of them says nothing of those behind it.
    let versions: Vec<VersionInfo> = looked_at
        .map_while(|version| version_info(&snapshot, contract, version))
        .collect();
    let next = (behind <= newest && versions.len() == limit).then_some(behind);
    Ok(VersionsPage { versions, next })
}

pub(super) async fn show(
    State(api): Shared,
    Segment((id, version)): Segment<(String, String)>,
) -> Result<Json<VersionDetails>, Refusal> {
    let contract = contract_id(&id)?;
    let version: u32 = version.parse().map_err(|_| {
        Refusal::bad_request(
            format!("{:?} is not a version", shortened(&version)),
            "versions are numbers, the first one is 1",
        )
    })?;
    let shared = Arc::clone(&api);
    let found = blocking(&api.reads, move || {
        let snapshot = shared.node.store.read();
        contract_record(&snapshot, contract).ok_or_else(|| unknown_contract(contract))?;
        let info = version_info(&snapshot, contract, version);
        let info = info.ok_or_else(|| unknown_version(contract, version))?;
        let schema = schema_of_code(&shared, &snapshot, info.code);
        Ok(VersionDetails {
            contract,
            info,
            schema,
        })
    });
    Ok(Json(found.await??))
}

fn unknown_version(contract: ContractId, version: u32) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "unknown_version",
        format!("contract {contract} has no version {version} in the newest state of this node"),
        "GET /v1/contracts/{id}/versions lists those that it has",
    )
}

fn version_record(
    snapshot: &Snapshot,
    contract: ContractId,
    version: u32,
) -> Option<VersionRecord> {
    let bytes = snapshot.state_get(&StateKey::Version(contract, version).to_bytes())?;
    decode_canonical(&bytes, bytes.len()).ok()
}

fn version_info(snapshot: &Snapshot, contract: ContractId, version: u32) -> Option<VersionInfo> {
    let VersionRecord { code, since } = version_record(snapshot, contract, version)?;
    Some(VersionInfo {
        version,
        code,
        since,
    })
}

/// Which version of a contract ran where, up to the block of one state.
#[derive(Debug)]
pub(super) struct Versions<'a> {
    snapshot: &'a Snapshot,
    /// What was found last.
    found: BTreeMap<ContractId, Period>,
}

/// Where one version ran.
#[derive(Debug, Clone, Copy)]
struct Period {
    version: u32,
    since: TransactionPlace,
    /// The next one, if there is one, ran from here on.
    until: Option<TransactionPlace>,
}

impl Period {
    fn holds(&self, place: TransactionPlace) -> bool {
        self.since <= place && self.until.is_none_or(|until| place < until)
    }
}

impl<'a> Versions<'a> {
    /// By a state that is as new as the places that will be asked about, or newer.
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            found: BTreeMap::new(),
        }
    }

    /// The version that ran at a place, if there was such a contract.
    pub(super) fn at(&mut self, contract: ContractId, place: TransactionPlace) -> Option<u32> {
        let found = self.found.get(&contract);
        if let Some(period) = found.filter(|period| period.holds(place)) {
            return Some(period.version);
        }
        let period = period_at(self.snapshot, contract, place)?;
        self.found.insert(contract, period);
        Some(period.version)
    }

    /// Says which versions ran in a transaction that was executed.
    pub(super) fn tell(&mut self, info: &mut TransactionInfo) {
        let (Some((height, index)), Some(receipt)) =
            (info.height.zip(info.index), info.receipt.as_mut())
        else {
            return;
        };
        let place = TransactionPlace { height, index };
        receipt.contract_version = receipt.contract.and_then(|id| self.at(id, place));
        for event in &mut receipt.events {
            event.contract_version = self.at(event.contract, place);
        }
    }
}

/// Reads some 2 + log2(versions) entries.
fn period_at(snapshot: &Snapshot, contract: ContractId, place: TransactionPlace) -> Option<Period> {
    let newest = contract_record(snapshot, contract)?.version;
    let since = |version| Some(version_record(snapshot, contract, version)?.since);
    // The one looked for is between them.
    let (mut least, mut most) = (FIRST_VERSION, newest);
    while least < most {
        let middle = most - (most - least) / 2;
        if since(middle)? <= place {
            least = middle;
        } else {
            most = middle - 1;
        }
    }
    let version = least;
    let period = Period {
        version,
        since: since(version)?,
        until: if version < newest {
            Some(since(version + 1)?)
        } else {
            None
        },
    };
    period.holds(place).then_some(period)
}
