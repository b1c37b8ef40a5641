//! How this validator sees the network now.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chancery_client::api::{LeavingInfo, ModeInfo, PeerInfo, StatusInfo, TimerInfo, Waiting};
use chancery_consensus::{Awaited, Cause, Mode, Neglect, Overview, Phase, SlotOverview};
use chancery_genesis::time;
use chancery_ledger::{Height, ValidatorIndex};

use super::refusal::Refusal;
use super::{Api, Shared, blocking};
use crate::network;

/// This moment, from every part that knows something of it.
pub(super) struct Seen {
    pub(super) height: Height,
    pub(super) final_height: Height,
    pub(super) halted: Option<String>,
    pub(super) view: chancery_ledger::View,
    /// One of those that metrics name.
    pub(super) mode_name: &'static str,
    pub(super) primary: ValidatorIndex,
    pub(super) catching_up: bool,
    /// The newest height that a quorum has, as far as known here.
    pub(super) quorum_height: Height,
    pub(super) validators: Vec<PeerInfo>,
    waiting: Option<Waiting>,
    mode: ModeInfo,
    leaving: Vec<LeavingInfo>,
    timer: Option<TimerInfo>,
    view_changes: u64,
    left_because: Option<String>,
}

impl Seen {
    pub(super) fn behind_by(&self) -> u64 {
        self.quorum_height.0.saturating_sub(self.height.0)
    }
}

pub(super) fn look(api: &Api) -> Seen {
    let node = &api.node;
    let progress = node.progress.borrow().clone();
    let overview = node.overview.borrow().clone();
    let peers: BTreeMap<ValidatorIndex, network::PeerStatus> = node
        .network
        .peers()
        .into_iter()
        .map(|peer| (peer.index, peer))
        .collect();
    let quorum_height = quorum_height(progress.height, &overview);
    let now = node.clock.now().since_start;
    let validators = node.validators.iter().map(|(index, validator)| {
        let is_self = index == node.own;
        let link = peers.get(&index);
        let heard = overview
            .peers
            .iter()
            .find(|peer| peer.validator == index)
            .and_then(|peer| peer.heard);
        let height = if is_self {
            Some(progress.height)
        } else {
            heard.map(|heard| heard.executed)
        };
        let by_status = heard.map(|heard| now.since(heard.at).0);
        let by_link = link
            .and_then(|link| link.last_heard)
            .map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        PeerInfo {
            name: validator.name.clone(),
            connected: is_self || link.is_some_and(|link| link.connected),
            is_self,
            height,
            behind_by: height.map(|height| quorum_height.0.saturating_sub(height.0)),
            last_heard_ms: [by_status, by_link].into_iter().flatten().min(),
            key_exchange: link.and_then(|link| link.key_exchange.clone()),
        }
    });
    Seen {
        height: progress.height,
        final_height: progress.final_height,
        halted: progress.halted,
        view: overview.view,
        mode_name: mode_name(&overview.mode),
        primary: overview.primary,
        catching_up: overview.catching_up,
        quorum_height,
        validators: validators.collect(),
        waiting: overview.open.first().map(|slot| waiting(api, slot)),
        mode: mode(api, &overview.mode),
        leaving: overview
            .view_changes
            .iter()
            .map(|leaving| LeavingInfo {
                validator: name(api, leaving.validator),
                view: leaving.view,
            })
            .collect(),
        timer: overview.timer.map(|timer| TimerInfo {
            waits_for: match timer.waits_for {
                Awaited::Progress => "progress".to_owned(),
                Awaited::NewView => "new_view".to_owned(),
            },
            in_ms: timer.at.since(now).0,
        }),
        view_changes: overview.view_changes_begun,
        left_because: overview
            .left_because
            .map(|cause| cause_in_words(cause).to_owned()),
    }
}

fn mode(api: &Api, mode: &Mode) -> ModeInfo {
    match mode {
        Mode::Active => ModeInfo::Active,
        Mode::Changing => ModeInfo::Changing,
        Mode::Probation { confirmed, needed } => ModeInfo::Probation {
            confirmed: names(api, confirmed),
            needed: *needed,
        },
        Mode::Quarantine {
            answered,
            needed,
            slots_through,
            view_least,
        } => ModeInfo::Quarantine {
            answered: names(api, answered),
            needed: *needed,
            slots_through: *slots_through,
            view_least: *view_least,
        },
    }
}

fn cause_in_words(cause: Cause) -> &'static str {
    match cause {
        Cause::NoProgress => "nothing was ordered in time",
        Cause::NoNewView => "the view did not begin in time",
        Cause::Joined => "enough others had left the view",
        Cause::Evidence => "its primary contradicted itself",
        Cause::Neglect(Neglect::Censored) => "its primary left out a transaction",
        Cause::Neglect(Neglect::Slow) => "its primary ordered far less than others had",
    }
}

/// The newest height that q validators say they have, or that is certified: whichever is later.
fn quorum_height(own: Height, overview: &Overview) -> Height {
    let heard = overview.peers.iter().filter_map(|peer| peer.heard);
    let mut heights: Vec<Height> = heard.map(|heard| heard.executed).collect();
    heights.push(own);
    heights.sort_by(|a, b| b.cmp(a));
    let claimed = heights.get(overview.quorum.saturating_sub(1)).copied();
    claimed.unwrap_or_default().max(overview.stable)
}

fn waiting(api: &Api, slot: &SlotOverview) -> Waiting {
    Waiting {
        slot: slot.slot,
        phase: phase_name(slot.waits_for).to_owned(),
        have: names(api, &slot.have),
        missing: names(api, &slot.missing),
        needed: slot.needed,
    }
}

fn mode_name(mode: &Mode) -> &'static str {
    match mode {
        Mode::Active => "active",
        Mode::Changing => "changing",
        Mode::Probation { .. } => "probation",
        Mode::Quarantine { .. } => "quarantine",
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::PrePrepare => "pre_prepare",
        Phase::Batch => "batch",
        Phase::Admission => "admission",
        Phase::Prepare => "prepare",
        Phase::Commit => "commit",
        Phase::Execution => "execution",
        Phase::Checkpoint => "checkpoint",
    }
}

fn names(api: &Api, indices: &[ValidatorIndex]) -> Vec<String> {
    indices.iter().map(|index| name(api, *index)).collect()
}

fn name(api: &Api, index: ValidatorIndex) -> String {
    let validator = api.node.validators.get(index);
    validator.map_or_else(|| index.to_string(), |validator| validator.name.clone())
}

pub(super) async fn status(State(api): Shared) -> Result<Json<StatusInfo>, Refusal> {
    let shared = std::sync::Arc::clone(&api);
    let block_time = blocking(&api.reads, move || {
        let header = shared.node.store.read().tip().header;
        header.time
    })
    .await?;
    let seen = look(&api);
    Ok(Json(StatusInfo {
        validator: name(&api, api.node.own),
        chain_id: api.node.chain,
        view: seen.view,
        primary: name(&api, seen.primary),
        height: seen.height,
        final_height: seen.final_height,
        block_time: time::format(block_time),
        block_time_ms: block_time,
        pool: u64::try_from(api.node.pool.count()).unwrap_or(u64::MAX),
        behind_by: seen.behind_by(),
        quorum: api.node.validators.quorum(),
        validators: seen.validators,
        waiting: seen.waiting,
        mode: seen.mode,
        leaving: seen.leaving,
        timer: seen.timer,
        view_changes: seen.view_changes,
        left_because: seen.left_because,
        evidence: u64::try_from(api.node.evidence.count()).unwrap_or(u64::MAX),
        halted: seen.halted,
    }))
}
