//! What keys must keep: their word. Nothing said twice, nothing said in a view that was left,
//! nothing said that was not durable or too early, and no slot hidden.

use std::collections::{BTreeMap, BTreeSet};

use chancery_consensus::{Body, NewView, Record, SignedMessage, ViewChange, VoteKind};
use chancery_ledger::checkpoint::CheckpointStatement;
use chancery_ledger::{BatchDigest, Height, Slot, ValidatorIndex};

use super::traffic::low_of;
use super::{Oracle, Rule};

/// What one key said.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) votes: BTreeMap<(u64, Slot, VoteKind), BatchDigest>,
    pub(super) cosigned: BTreeMap<Height, CheckpointStatement>,
    /// Its VIEW-CHANGEs and NEW-VIEWs, by view: the signature tells contents apart.
    pub(super) changes: BTreeMap<(u64, &'static str), [u8; 64]>,
    /// The highest view it asked for.
    pub(super) left: u64,
    /// Signatures of what was durable before it was sent.
    pub(super) durable: BTreeSet<[u8; 64]>,
    /// The highest view in which it sent a COMMIT, and for what, by slot.
    pub(super) prepared: BTreeMap<Slot, (u64, BatchDigest)>,
}

/// How a process starts: others have to hear of it first.
#[derive(Debug, Clone, Default)]
pub(super) struct Starting {
    /// What it shows of itself.
    pub(super) incarnation: u64,
    /// Who told it that they had heard of it, a bit each.
    pub(super) heard_by: u64,
    /// What it finds on its disk is not new.
    pub(super) reads_its_disk: bool,
}

impl Oracle {
    /// The process starts, with that much executed.
    pub fn on_started(&mut self, process: usize, executed: Height, incarnation: u64) {
        self.handed[process] = executed.into();
        self.starting[process] = Starting {
            incarnation,
            heard_by: 0,
            reads_its_disk: true,
        };
    }

    /// The process has started, and hears this.
    pub fn on_heard(&mut self, process: usize, from: ValidatorIndex, message: &SignedMessage) {
        let key = self.keys[process];
        let starting = &mut self.starting[process];
        if let Body::Status(status) = &message.body
            && message.from == from
            && let Some(heard) = status.heard.get(key)
            && heard.incarnation == starting.incarnation
        {
            starting.heard_by |= 1 << from.0;
        }
    }

    /// The process has done all that it does before it hears anything.
    pub fn on_disk_read(&mut self, process: usize) {
        self.starting[process].reads_its_disk = false;
    }

    /// Something new was signed.
    fn check_probation(&mut self, process: usize, message: &SignedMessage) {
        let key = self.keys[process];
        let starting = &self.starting[process];
        let others = (starting.heard_by & !(1 << key)).count_ones() as usize;
        if others + 1 < self.quorum {
            self.violate(Rule::Probation, || {
                let kind = message.body.kind();
                format!("validator {key} signed a {kind} when {others} others had heard of it")
            });
        }
    }

    pub(super) fn on_durable(&mut self, process: usize, record: &Record) {
        let key = self.keys[process];
        // What matters here is what was signed.
        if let Record::Vote(message) | Record::ViewChange(message) | Record::NewView(message) =
            record
            && usize::from(message.from.0) == key
        {
            let is_new = self.said[key].durable.insert(message.signature.0);
            if is_new && !self.starting[process].reads_its_disk {
                self.check_probation(process, message);
            }
            self.on_signed(process, message);
        }
    }

    /// An honest process sends something of its own.
    pub fn on_sent(&mut self, process: usize, message: &SignedMessage) {
        let key = self.keys[process];
        if self.guilty[key] || usize::from(message.from.0) != key {
            return;
        }
        let promises = matches!(
            message.body,
            Body::PrePrepare(_)
                | Body::Prepare(_)
                | Body::Commit(_)
                | Body::ViewChange(_)
                | Body::NewView(_)
        );
        if promises && self.hears_records && !self.said[key].durable.contains(&message.signature.0)
        {
            self.violate(Rule::PersistFirst, || {
                let kind = message.body.kind();
                format!(
                    "validator {key} sent a {kind} that was not durable: {:?}",
                    message.body
                )
            });
        }
        if matches!(message.body, Body::Checkpoint(_)) {
            self.check_probation(process, message);
        }
        self.on_signed(process, message);
    }

    /// An honest key signed it: durable or sent, whichever is seen first.
    fn on_signed(&mut self, process: usize, message: &SignedMessage) {
        let key = self.keys[process];
        // A log has no order in which votes and views that were left followed each other.
        let is_read = self.starting[process].reads_its_disk;
        let said = &mut self.said[key];
        if let Some((kind, ballot)) = message.body.vote() {
            let place = (ballot.view.0, ballot.slot, kind);
            let left = said.left;
            match said.votes.insert(place, ballot.digest) {
                Some(before) if before != ballot.digest => {
                    self.violate(Rule::Monotonicity, || {
                        format!("validator {key} signed {kind:?} {ballot:?} after {before}")
                    });
                }
                None if ballot.view.0 < left && !is_read => self.violate(Rule::LeftView, || {
                    format!("validator {key} signed {kind:?} {ballot:?} after asking for {left}")
                }),
                Some(_) | None => {}
            }
            if kind == VoteKind::Commit {
                let prepared = &mut self.said[key].prepared;
                let newest = prepared.entry(ballot.slot).or_default();
                *newest = (*newest).max((ballot.view.0, ballot.digest));
            }
            return;
        }
        let change = match &message.body {
            Body::ViewChange(view_change) => Some(view_change.view.0),
            Body::NewView(new_view) => Some(new_view.view.0),
            _ => None,
        };
        if let Some(view) = change {
            let kind = message.body.kind();
            let left = said.left;
            if kind == "view-change" {
                said.left = said.left.max(view);
            }
            if view < left && !is_read && !said.changes.contains_key(&(view, kind)) {
                self.violate(Rule::LeftView, || {
                    format!(
                        "validator {key} signed a {kind} for view {view} after asking for {left}"
                    )
                });
            }
            match &message.body {
                Body::NewView(begun) => self.on_carried(key, begun),
                Body::ViewChange(change) => self.check_shown(key, change),
                _ => {}
            }
            let said = &mut self.said[key];
            let signature = message.signature.0;
            let before = said.changes.insert((view, kind), signature);
            if before.is_some_and(|before| before != signature) {
                self.violate(Rule::Monotonicity, || {
                    format!("validator {key} signed two {kind} messages for view {view}")
                });
            }
            return;
        }
        if let Body::Checkpoint(statement) = &message.body {
            let height = statement.height;
            let before = said.cosigned.insert(height, statement.clone());
            if before.is_some_and(|before| before != *statement) {
                self.violate(Rule::Monotonicity, || {
                    format!("validator {key} cosigned two statements of height {height}")
                });
            }
        }
    }

    /// Whoever relies on its COMMITs relies on this: they are how a later view learns of a slot.
    fn check_shown(&mut self, key: usize, change: &ViewChange) {
        let low = low_of(change);
        let is_shown = |slot: Slot, view: u64, digest: BatchDigest| {
            slot.height() <= low
                || change.prepared.iter().any(|shown| {
                    let ballot = shown.ballot;
                    let is_newer = ballot.view.0 > view;
                    let is_same = ballot.view.0 == view && ballot.digest == digest;
                    ballot.slot == slot && (is_newer || is_same)
                })
        };
        let mut prepared = self.said[key].prepared.iter();
        let hidden = prepared.find(|(slot, (view, digest))| {
            *view < change.view.0 && !is_shown(**slot, *view, *digest)
        });
        if let Some((slot, (view, _))) = hidden.map(|(slot, newest)| (*slot, *newest)) {
            self.violate(Rule::Hidden, || {
                let asked = change.view;
                format!(
                    "validator {key} committed slot {slot} in view {view}, and asked for view \
                     {asked} as if it had not"
                )
            });
        }
    }

    /// The PRE-PREPAREs in a NEW-VIEW are votes like others.
    fn on_carried(&mut self, key: usize, begun: &NewView) {
        let said = &mut self.said[key];
        for carried in &begun.proposals {
            let place = (begun.view.0, carried.slot, VoteKind::PrePrepare);
            said.durable.insert(carried.signature.0);
            let before = said.votes.insert(place, carried.digest);
            if before.is_some_and(|before| before != carried.digest) {
                return self.violate(Rule::Monotonicity, || {
                    let (view, slot) = (begun.view, carried.slot);
                    format!("validator {key} proposed two batches in slot {slot} of view {view}")
                });
            }
        }
    }
}
