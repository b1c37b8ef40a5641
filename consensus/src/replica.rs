//! The replica: its state, the one `match` over events, and what must hold after each step.
//! Phases are in files of their own: [`crate::normal`], [`crate::view_change`], [`crate::new_view`],
//! [`crate::checkpoint`], [`crate::status`], [`crate::quarantine`], [`crate::restore`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{Batch, Height, Millis, Slot, ValidatorIndex, ValidatorSet, Verified, View};

use crate::batches::Batches;
use crate::checkpoint::Behind;
use crate::event::{Action, Config, Demand, Event, Halted, Now};
use crate::evidence::Place;
use crate::message::{Body, SignedMessage, SignedViewChange, VoteKind};
use crate::overview::{Cause, Refusal};
use crate::pacemaker::Pacemaker;
use crate::quarantine::Memory;
use crate::safety::Safety;
use crate::slot::SlotLog;
use crate::status::{Peer, Served};
use crate::tally::Tally;
use crate::verify::Context;

/// Whether the view is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is: this validator votes in it.
    Active,
    /// Its NEW-VIEW is lacking: this validator votes in none.
    Changing,
}

/// One validator's part in PBFT. See the crate's page for its rules.
#[derive(Debug)]
pub struct Replica {
    pub(crate) config: Config,
    pub(crate) context: Context,
    pub(crate) safety: Safety,
    pub(crate) now: Now,
    /// The active view, or the one that it wants to get to.
    pub(crate) view: View,
    pub(crate) mode: Mode,
    /// The NEW-VIEW of the view that was active last; view 0 has none.
    pub(crate) new_view: Option<Served>,
    /// The newest VIEW-CHANGE of each validator, for views above the active one.
    pub(crate) view_changes: BTreeMap<ValidatorIndex, SignedViewChange>,
    pub(crate) pacemaker: Pacemaker,
    /// View changes begun since the start, and why the newest was.
    pub(crate) view_changes_begun: u64,
    pub(crate) left_because: Option<Cause>,
    /// Contradictions that were reported, and how many.
    pub(crate) accused: BTreeMap<ValidatorIndex, BTreeSet<Place>>,
    pub(crate) evidence: u64,
    /// Of this run, for STATUS.
    pub(crate) incarnation: u64,
    /// Whether it remembers what it signed.
    pub(crate) memory: Memory,
    /// What the node waits for.
    pub(crate) demand: Demand,
    /// The low water mark's certificate; none while genesis is the newest stable height.
    pub(crate) stable: Option<CheckpointCertificate>,
    /// The newest certified height that a restart would find.
    pub(crate) durable_low: Slot,
    /// The newest height that is certified and executed.
    pub(crate) final_height: Height,
    /// What is executed and durable.
    pub(crate) executed: CheckpointStatement,
    /// The newest slot that was handed over for execution, or that is executed.
    pub(crate) delivered: Slot,
    /// As a primary: the newest slot that a PRE-PREPARE was signed for.
    pub(crate) proposed: Slot,
    /// As a primary: a slot was ordered since the last proposal.
    pub(crate) freed: bool,
    /// Slots in (low - window, low + 2 * window].
    pub(crate) slots: BTreeMap<Slot, SlotLog>,
    /// CHECKPOINTs of heights in (low, low + 2 * window].
    pub(crate) checkpoints: BTreeMap<Height, Tally<CheckpointStatement>>,
    pub(crate) batches: Batches,
    /// Every validator but this one.
    pub(crate) peers: BTreeMap<ValidatorIndex, Peer>,
    pub(crate) status_at: Millis,
    /// Counts the STATUSes to everybody.
    pub(crate) status_turn: u64,
    pub(crate) behind: Option<Behind>,
    pub(crate) halted: Option<Halted>,
    pub(crate) refused: BTreeMap<Refusal, u64>,
}

impl Replica {
    /// Takes in one event. The actions are to be carried out in their order.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        if self.halted.is_some() {
            return out;
        }
        self.pacemaker
            .pass(now.since_start.since(self.now.since_start));
        self.now = Now {
            since_start: now.since_start.max(self.now.since_start),
            clock: now.clock,
        };
        match event {
            Event::Tick(demand) => {
                self.demand = demand;
                self.on_tick(&mut out);
            }
            Event::Message(message) => self.on_message(message.into_inner(), &mut out),
            Event::Batch { from, batch } => self.on_batch(from, batch, &mut out),
            Event::Propose(batch) => self.on_propose(batch, &mut out),
            Event::Executed(statement) => self.on_executed(statement, &mut out),
            Event::CaughtUp {
                certificate,
                executed,
            } => self.on_caught_up(certificate, executed, &mut out),
        }
        self.review_memory(&mut out);
        if self.halted.is_none() {
            self.invariants();
        }
        out
    }

    /// The active view, or the one that this validator wants to get to.
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }

    /// The batches of slots that are not executed yet, as far as they are here and as far as known:
    /// what is in them need not be proposed again.
    #[must_use]
    pub fn open_batches(&self) -> Vec<Arc<Verified<Batch>>> {
        let weak = self.weak();
        self.slots
            .range(Slot::from(self.executed.height).next()..)
            .filter_map(|(_, log)| self.batches.get(&log.target(weak)?))
            .map(|held| Arc::clone(held.batch()))
            .collect()
    }

    /// Whether nothing that was proposed in this view is being ordered, and at most one block is not
    /// executed yet.
    #[must_use]
    pub fn is_nearly_idle(&self) -> bool {
        let executed = Slot::from(self.executed.height);
        self.proposed <= self.delivered && self.delivered <= executed.next()
    }

    /// Whether blocks are certified that this validator has not even ordered: what it sees of the
    /// primary is old.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.delivered < self.low()
    }

    fn on_tick(&mut self, out: &mut Vec<Action>) {
        self.accept_waiting(out);
        self.execute_ready(out);
        self.ask_for_blocks(out);
        self.check_timers(out);
        if self.now.since_start >= self.status_at {
            self.broadcast_status(out);
        }
    }

    fn on_message(&mut self, message: SignedMessage, out: &mut Vec<Action>) {
        if message.from == self.config.own {
            return self.on_own_message(message, out);
        }
        if let Body::NewView(_) = message.body {
            self.look_inside(&message, out);
            if self.halted.is_some() {
                return;
            }
            return self.on_new_view(message, out);
        }
        let SignedMessage {
            from,
            body,
            signature,
            ..
        } = message;
        match body {
            Body::PrePrepare(ballot) => self.on_pre_prepare(from, ballot, signature, out),
            Body::Prepare(ballot) => self.on_vote(VoteKind::Prepare, from, ballot, signature, out),
            Body::Commit(ballot) => self.on_vote(VoteKind::Commit, from, ballot, signature, out),
            Body::Checkpoint(statement) => self.on_checkpoint(from, statement, signature, out),
            Body::Status(status) => self.on_status(from, &status, out),
            Body::Certificate(certificate) => self.on_certificate(certificate, out),
            Body::ViewChange(view_change) => self.on_view_change(from, view_change, signature, out),
            // It was taken above, whole.
            Body::NewView(_) => {}
        }
    }

    /// The low water mark (h in the paper): the newest certified slot, executed here or not.
    pub(crate) fn low(&self) -> Slot {
        self.stable
            .as_ref()
            .map_or(Slot(0), |certificate| certificate.statement.height.into())
    }

    /// Slots between the water marks (L in the paper).
    pub(crate) fn window(&self) -> u64 {
        u64::from(self.config.limits.window_slots)
    }

    /// Whether this validator votes in `slot`: low < slot <= low + window.
    pub(crate) fn votes_in(&self, slot: Slot) -> bool {
        let low = self.low();
        slot > low && slot.0.saturating_sub(low.0) <= self.window()
    }

    pub(crate) fn validators(&self) -> &ValidatorSet {
        &self.config.validators
    }

    /// How many validators decide (q).
    pub(crate) fn quorum(&self) -> usize {
        self.validators().quorum()
    }

    /// One more than may be faulty (f + 1): what so many say, a correct one says.
    pub(crate) fn weak(&self) -> usize {
        self.validators().faulty_max().saturating_add(1)
    }

    /// The primary of [`Replica::view`].
    #[must_use]
    pub fn primary(&self) -> ValidatorIndex {
        self.validators().primary(self.view)
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.primary() == self.config.own
    }

    pub(crate) fn refuse(&mut self, why: Refusal) {
        let count = self.refused.entry(why).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// The slot's log, made if need be. Only for slots within the range that is kept.
    pub(crate) fn slot_log(&mut self, slot: Slot) -> &mut SlotLog {
        let now = self.now.since_start;
        self.slots.entry(slot).or_insert_with(|| SlotLog::new(now))
    }

    /// What must hold between steps. No message can break these.
    pub(crate) fn invariants(&self) {
        let (low, window) = (self.low(), self.window());
        let high = low.0.saturating_add(window.saturating_mul(2));
        let executed = Slot::from(self.executed.height);
        assert!(executed <= self.delivered, "executed what was not ordered");
        assert!(self.final_height <= self.executed.height);
        assert!(Slot::from(self.final_height) <= low);
        assert!(self.durable_low <= low);
        assert!(
            self.slots.keys().all(|slot| {
                slot.0 > low.0.saturating_sub(window) && slot.0 <= high && slot.0 > 0
            }),
            "a slot outside the range that is kept"
        );
        assert!(
            self.checkpoints
                .keys()
                .all(|height| height.0 > low.0 && height.0 <= high),
            "a checkpoint outside the range that is kept"
        );
        assert!(self.batches.loose_len() <= self.config.loose_batches_max);
        let (view, is_active) = (self.view, self.mode == Mode::Active);
        assert!(self.safety.left() <= view, "wants a view that it left");
        assert_eq!(is_active, self.safety.entered() == view);
        assert!(
            self.view_changes
                .values()
                .all(|signed| signed.view_change.view >= view)
                || !is_active,
            "a VIEW-CHANGE for what is past"
        );
        for log in self.slots.values() {
            assert!(is_active || (log.proposal.is_none() && log.accepted.is_none()));
            assert!(log.proposal.is_none_or(|proposal| proposal.view == view));
            assert!(log.ahead.values().all(|proposal| proposal.view >= view));
            let Some(prepared) = &log.prepared else {
                continue;
            };
            let ballot = prepared.ballot;
            assert!(ballot.view <= view, "prepared in a view to come");
            let is_of_view = is_active && ballot.view == view;
            assert!(!is_of_view || log.accepted == Some(ballot.digest));
        }
    }
}
