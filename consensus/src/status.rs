//! Status gossip: every replica says now and then what it has, and the others send what it lacks
//! (R17, R18). Nothing else is ever sent twice, so whatever the network lost comes this way.

use std::sync::Arc;

use chancery_ledger::{Millis, Slot, ValidatorIndex};

use crate::event::Action;
use crate::message::{Body, Heard, STATUS_SLOTS_MAX, SlotStatus, Status, VoteKind};
use crate::overview::{PeerStatus, Refusal};
use crate::replica::Replica;
use crate::slot::SlotLog;
use crate::tally::{Tally, bit};

/// Messages in one answer to a STATUS.
const ANSWER_MESSAGES_MAX: usize = 512;
/// Batches in one answer, and their bytes: at least one is sent however large it is.
const ANSWER_BATCHES_MAX: usize = 8;
const ANSWER_BATCH_BYTES_MAX: usize = 2 << 20;

/// What is known of another validator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) heard: Option<PeerStatus>,
    /// When it may be answered again.
    answer_at: Millis,
    /// How often it was answered.
    answers: usize,
}

/// What one answer may still hold.
struct Budget {
    messages: usize,
    batches: usize,
    batch_bytes: usize,
}

impl Peer {
    pub(crate) fn new() -> Self {
        Self {
            heard: None,
            answer_at: Millis(0),
            answers: 0,
        }
    }
}

impl Replica {
    /// R17.
    pub(crate) fn broadcast_status(&mut self, out: &mut Vec<Action>) {
        let (own, interval) = (self.status(), self.config.status_interval);
        self.status_at = self.now.since_start.saturating_add(interval);
        out.push(Action::Broadcast(self.safety.status(own)));
    }

    fn status(&self) -> Status {
        let low = self.low();
        let weak = self.weak();
        let first = low.min(self.executed.height.into()).next();
        let of_checkpoints = self.checkpoints.keys().map(|height| Slot::from(*height));
        let mut listed: Vec<Slot> = self
            .slots
            .range(first..)
            .map(|(slot, _)| *slot)
            .chain(of_checkpoints)
            .collect();
        listed.sort_unstable();
        listed.dedup();
        let slots = listed
            .into_iter()
            .take(STATUS_SLOTS_MAX)
            .map(|slot| {
                let log = self.slots.get(&slot);
                let checkpoints = self.checkpoints.get(&slot.height());
                SlotStatus {
                    slot,
                    pre_prepare: log.is_some_and(|log| log.round.proposal.is_some()),
                    batch: log
                        .and_then(|log| log.target(weak))
                        .is_some_and(|digest| self.batches.has(&digest)),
                    prepares: log.map_or(0, |log| log.round.prepares.bitmap()),
                    commits: log.map_or(0, |log| log.round.commits.bitmap()),
                    checkpoints: checkpoints.map_or(0, Tally::bitmap),
                }
            })
            .collect();
        Status {
            view: self.view,
            changing: false,
            incarnation: self.incarnation,
            heard: vec![Heard::default(); self.validators().count()],
            stable: self.stable_height(),
            executed: self.executed.height,
            slots,
        }
    }

    /// R18.
    pub(crate) fn on_status(
        &mut self,
        from: ValidatorIndex,
        status: &Status,
        out: &mut Vec<Action>,
    ) {
        let (now, interval) = (self.now.since_start, self.config.status_interval);
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        peer.heard = Some(PeerStatus {
            at: now,
            view: status.view,
            stable: status.stable,
            executed: status.executed,
        });
        if now < peer.answer_at {
            return self.refuse(Refusal::TooOften);
        }
        // Half an interval: two that come late and on time are both answered.
        peer.answer_at = now.saturating_add(Millis(interval.0 / 2));
        peer.answers = peer.answers.wrapping_add(1);
        let turn = peer.answers;
        self.answer(from, status, turn, out);
    }

    fn answer(&self, to: ValidatorIndex, status: &Status, turn: usize, out: &mut Vec<Action>) {
        let mut budget = Budget {
            messages: ANSWER_MESSAGES_MAX,
            batches: ANSWER_BATCHES_MAX,
            batch_bytes: ANSWER_BATCH_BYTES_MAX,
        };
        if status.stable < self.stable_height()
            && let Some(certificate) = &self.stable
        {
            let message = self.safety.certificate(certificate.clone());
            out.push(Action::Send { to, message });
        }
        let listed = |slot: Slot| {
            status
                .slots
                .binary_search_by_key(&slot, |here| here.slot)
                .ok()
                .and_then(|at| status.slots.get(at).copied())
                .unwrap_or(SlotStatus {
                    slot,
                    pre_prepare: false,
                    batch: false,
                    prepares: 0,
                    commits: 0,
                    checkpoints: 0,
                })
        };
        // What lies further ahead would be refused there.
        let reach = self.window().saturating_mul(2);
        let in_reach = |slot: Slot| slot.0.saturating_sub(status.stable.0) <= reach;
        if status.view == self.view {
            let executed = Slot::from(status.executed);
            let first = executed.min(status.stable.into()).next();
            for (slot, log) in self.slots.range(first..) {
                if !in_reach(*slot) {
                    break;
                }
                if self.is_under_way(*slot) {
                    continue;
                }
                let share = self.is_in_turn(to, *slot, turn);
                let here = listed(*slot);
                self.answer_slot(to, *slot, log, executed, &here, share, &mut budget, out);
            }
        }
        for (height, tally) in self.checkpoints.range(status.stable.next()..) {
            let slot = Slot::from(*height);
            if !in_reach(slot) {
                break;
            }
            if self.is_under_way(slot) {
                continue;
            }
            let share = self.is_in_turn(to, slot, turn);
            for (validator, statement, signature) in tally.iter() {
                let lacks = listed(slot).checkpoints & bit(validator) == 0;
                if lacks && self.is_mine_to_send(to, validator, share) && budget.take_message() {
                    let body = Body::Checkpoint(statement.clone());
                    let message = self.context.message(validator, body, signature);
                    out.push(Action::Send { to, message });
                }
            }
        }
    }

    /// Half an interval is what messages may take by themselves: what is lacking of a younger slot
    /// is most likely on its way.
    fn is_under_way(&self, slot: Slot) -> bool {
        self.slots.get(&slot).is_some_and(|log| {
            let age = self.now.since_start.since(log.opened_at);
            age.0 < self.config.status_interval.0 / 2
        })
    }

    /// Others' messages and batches are sent by f + 1 validators at a time, in turns: one of them is
    /// correct, and not all need to send the same. Own votes are sent by everybody, always.
    fn is_in_turn(&self, to: ValidatorIndex, slot: Slot, turn: usize) -> bool {
        let count = self.validators().count();
        let others = count.saturating_sub(1);
        // Which of the others this validator is, seen from `to`.
        let place = self
            .config
            .own
            .as_usize()
            .saturating_add(count)
            .saturating_sub(to.as_usize())
            .saturating_sub(1);
        let slot = usize::try_from(slot.0 % 32).unwrap_or(0);
        place
            .wrapping_add(slot)
            .wrapping_add(turn)
            .checked_rem(others)
            .is_some_and(|place| place < self.weak())
    }

    fn is_mine_to_send(&self, to: ValidatorIndex, whose: ValidatorIndex, share: bool) -> bool {
        whose != to && (share || whose == self.config.own)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one answer's state, used here alone"
    )]
    fn answer_slot(
        &self,
        to: ValidatorIndex,
        slot: Slot,
        log: &SlotLog,
        executed: Slot,
        here: &SlotStatus,
        share: bool,
        budget: &mut Budget,
        out: &mut Vec<Action>,
    ) {
        let round = &log.round;
        let primary = self.validators().primary(round.view);
        // Whoever has executed a slot still votes in it until it is certified: others may need that.
        let votes_there = slot > self.low() && here.commits & bit(to) == 0;
        let is_wanted = slot > executed;
        // The votes first: small, and they tell which batch to wait for.
        let mut send_vote = |kind, whose, digest, signature| {
            if self.is_mine_to_send(to, whose, share) && budget.take_message() {
                let body = Body::of_vote(kind, round.ballot(slot, digest));
                let message = self.context.message(whose, body, signature);
                out.push(Action::Send { to, message });
            }
        };
        if votes_there {
            if let Some(proposal) = &round.proposal
                && !here.pre_prepare
            {
                let digest = proposal.digest;
                send_vote(VoteKind::PrePrepare, primary, digest, proposal.signature);
            }
            for (whose, digest, signature) in round.prepares.iter() {
                if here.prepares & bit(whose) == 0 {
                    send_vote(VoteKind::Prepare, whose, *digest, signature);
                }
            }
        }
        if is_wanted {
            for (whose, digest, signature) in round.commits.iter() {
                if here.commits & bit(whose) == 0 {
                    send_vote(VoteKind::Commit, whose, *digest, signature);
                }
            }
        }
        let held = log
            .target(self.weak())
            .and_then(|digest| self.batches.get(&digest));
        if let Some(held) = held
            && !here.batch
            && (votes_there || is_wanted)
            && (share || primary == self.config.own)
            && budget.take_batch(held.bytes())
        {
            let batch = Arc::clone(held.batch());
            out.push(Action::SendBatch { to, batch });
        }
    }
}

impl Budget {
    fn take_message(&mut self) -> bool {
        let left = self.messages.checked_sub(1);
        self.messages = left.unwrap_or(0);
        left.is_some()
    }

    fn take_batch(&mut self, bytes: usize) -> bool {
        if self.batches == 0 || self.batch_bytes == 0 {
            return false;
        }
        self.batches = self.batches.saturating_sub(1);
        self.batch_bytes = self.batch_bytes.saturating_sub(bytes);
        true
    }
}
