//! The replica: its state, the one `match` over events, and what must hold after each step.
//! Phases are in files of their own: [`crate::normal`], [`crate::checkpoint`], [`crate::status`],
//! [`crate::restore`].

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{Batch, Height, Millis, Slot, ValidatorIndex, ValidatorSet, Verified, View};

use crate::batches::Batches;
use crate::checkpoint::Behind;
use crate::event::{Action, Config, Demand, Event, Halted, Now};
use crate::message::{Body, SignedMessage, VoteKind};
use crate::overview::Refusal;
use crate::safety::Safety;
use crate::slot::SlotLog;
use crate::status::Peer;
use crate::tally::Tally;
use crate::verify::Context;

/// One validator's part in PBFT. See the crate's page for its rules.
#[derive(Debug)]
pub struct Replica {
    pub(crate) config: Config,
    pub(crate) context: Context,
    pub(crate) safety: Safety,
    pub(crate) now: Now,
    /// The active view.
    pub(crate) view: View,
    /// Of this run, for STATUS.
    pub(crate) incarnation: u64,
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
            Event::Batch(batch) => self.on_batch(batch, &mut out),
            Event::Propose(batch) => self.on_propose(batch, &mut out),
            Event::Executed(statement) => self.on_executed(statement, &mut out),
            Event::CaughtUp {
                certificate,
                executed,
            } => self.on_caught_up(certificate, executed, &mut out),
        }
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
        if self.now.since_start >= self.status_at {
            self.broadcast_status(out);
        }
    }

    fn on_message(&mut self, message: SignedMessage, out: &mut Vec<Action>) {
        let SignedMessage {
            from,
            body,
            signature,
            ..
        } = message;
        if from == self.config.own {
            return self.refuse(Refusal::OwnMessage);
        }
        match body {
            Body::PrePrepare(ballot) => self.on_pre_prepare(ballot, signature, out),
            Body::Prepare(ballot) => self.on_vote(VoteKind::Prepare, from, ballot, signature, out),
            Body::Commit(ballot) => self.on_vote(VoteKind::Commit, from, ballot, signature, out),
            Body::Checkpoint(statement) => self.on_checkpoint(from, statement, signature, out),
            Body::Status(status) => self.on_status(from, &status, out),
            Body::Certificate(certificate) => self.on_certificate(certificate, out),
            Body::ViewChange(_) | Body::NewView(_) => self.refuse(Refusal::OtherView),
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
        let (view, now) = (self.view, self.now.since_start);
        self.slots
            .entry(slot)
            .or_insert_with(|| SlotLog::new(view, now))
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
        for log in self.slots.values() {
            let Some(prepared) = &log.round.prepared else {
                continue;
            };
            assert_eq!(log.round.accepted, Some(prepared.ballot.digest));
        }
    }
}
