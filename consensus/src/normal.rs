//! The normal case: PRE-PREPARE, PREPARE, COMMIT, and handing over for execution (R2 to R8).

use std::sync::Arc;

use chancery_ledger::{
    Batch, BatchDigest, Millis, Signature, Slot, ValidatorIndex, Verified, View,
};

use crate::batches::HeldBatch;
use crate::event::{Action, Wish};
use crate::message::{Ballot, PreparedCertificate, VoteKind, VoteSignature};
use crate::overview::Refusal;
use crate::replica::Replica;
use crate::slot::{Proposal, Round, SlotLog};
use crate::tally::Tally;
use crate::timing::{Timeliness, judge};

impl Replica {
    /// Whether a batch is wanted to be proposed (R2).
    #[must_use]
    pub fn proposal_wish(&self) -> Wish {
        let catching_up = self.delivered < self.low();
        if self.halted.is_some() || !self.is_primary() || catching_up {
            return Wish::None;
        }
        let next = self.next_proposal();
        if !self.votes_in(next) {
            return Wish::None;
        }
        if next == self.delivered.next() || self.freed {
            Wish::Now
        } else {
            Wish::IfFull
        }
    }

    fn next_proposal(&self) -> Slot {
        self.proposed.max(self.delivered).max(self.low()).next()
    }

    fn drift_max(&self) -> Millis {
        Millis(self.config.limits.clock_drift_ms_max)
    }

    /// The primary's proposal: R2.
    pub(crate) fn on_propose(&mut self, batch: Arc<Verified<Batch>>, out: &mut Vec<Action>) {
        if self.proposal_wish() == Wish::None {
            return self.refuse(Refusal::NotWished);
        }
        let (view, slot) = (self.view, self.next_proposal());
        let held = HeldBatch::new(batch);
        self.secure_window(slot, out);
        let Ok(promise) = self.safety.pre_prepare(view, slot, &held) else {
            return self.refuse(Refusal::AgainstOwnVote);
        };
        // A batch binds to nothing: it may be on its way while the promise is written.
        out.push(Action::BroadcastBatch(Arc::clone(held.batch())));
        let message = promise.keep(out);
        self.proposed = slot;
        self.freed = false;
        let digest = held.digest();
        self.batches.want(&digest);
        self.batches.keep(held);
        let seen_at = Some(self.now.clock);
        let round = &mut self.slot_log(slot).round;
        round.proposal = Some(Proposal {
            digest,
            signature: message.signature,
            seen_at,
        });
        round.accepted = Some(digest);
        self.advance(slot, out);
        self.execute_ready(out);
    }

    /// R3.
    pub(crate) fn on_pre_prepare(
        &mut self,
        ballot: Ballot,
        signature: Signature,
        out: &mut Vec<Action>,
    ) {
        if let Err(why) = self.admits(ballot.view, ballot.slot) {
            return self.refuse(why);
        }
        let seen_at = Some(self.now.clock);
        let round = &mut self.slot_log(ballot.slot).round;
        let before = round.proposal.map(|proposal| proposal.digest);
        if let Some(before) = before.or(round.accepted)
            && before != ballot.digest
        {
            return self.refuse(Refusal::Conflicting);
        }
        if before.is_some() {
            return self.refuse(Refusal::Duplicate);
        }
        round.proposal = Some(Proposal {
            digest: ballot.digest,
            signature,
            seen_at,
        });
        self.batches.want(&ballot.digest);
        self.accept_waiting(out);
        self.advance(ballot.slot, out);
        self.execute_ready(out);
    }

    /// A PREPARE (R6) or a COMMIT (R7).
    pub(crate) fn on_vote(
        &mut self,
        kind: VoteKind,
        from: ValidatorIndex,
        ballot: Ballot,
        signature: Signature,
        out: &mut Vec<Action>,
    ) {
        if let Err(why) = self.admits(ballot.view, ballot.slot) {
            return self.refuse(why);
        }
        if let Err(why) = self.count_vote(kind, from, ballot, signature) {
            return self.refuse(why);
        }
        // The vote may vouch for a proposal that missed its time.
        if self.slot_log(ballot.slot).round.accepted.is_none() {
            self.accept_waiting(out);
        }
        self.advance(ballot.slot, out);
        self.execute_ready(out);
    }

    fn count_vote(
        &mut self,
        kind: VoteKind,
        from: ValidatorIndex,
        ballot: Ballot,
        signature: Signature,
    ) -> Result<(), Refusal> {
        let weak = self.weak();
        let round = &mut self.slot_log(ballot.slot).round;
        let votes = match kind {
            VoteKind::Prepare => &mut round.prepares,
            VoteKind::Commit => &mut round.commits,
            // A PRE-PREPARE is counted as the round's proposal.
            VoteKind::PrePrepare => return Ok(()),
        };
        votes.insert(from, ballot.digest, signature)?;
        if votes.count(&ballot.digest) >= weak {
            self.batches.want(&ballot.digest);
        }
        Ok(())
    }

    /// Whether a vote of this view and slot is taken in at all (R3).
    fn admits(&self, view: View, slot: Slot) -> Result<(), Refusal> {
        let (low, window) = (self.low(), self.window());
        if view != self.view {
            return Err(Refusal::OtherView);
        }
        let is_kept = slot.0 > low.0.saturating_sub(window) && slot.0 > 0;
        if !is_kept || (slot <= low && slot <= self.delivered) {
            return Err(Refusal::BelowWindow);
        }
        if slot.0.saturating_sub(low.0) > window.saturating_mul(2) {
            return Err(Refusal::AboveWindow);
        }
        Ok(())
    }

    /// A batch came.
    pub(crate) fn on_batch(&mut self, batch: Arc<Verified<Batch>>, out: &mut Vec<Action>) {
        let held = HeldBatch::new(batch);
        let digest = held.digest();
        if self.batches.has(&digest) {
            return self.refuse(Refusal::Duplicate);
        }
        let weak = self.weak();
        let wanting: Vec<Slot> = self
            .slots
            .iter()
            .filter(|(_, log)| log.wants(&digest, weak))
            .map(|(slot, _)| *slot)
            .collect();
        if wanting.is_empty() {
            return self.batches.keep_loose(held);
        }
        self.batches.keep(held);
        self.accept_waiting(out);
        for slot in wanting {
            self.advance(slot, out);
        }
        self.execute_ready(out);
    }

    /// Accepts every proposal that now can be: R4, R5.
    pub(crate) fn accept_waiting(&mut self, out: &mut Vec<Action>) {
        let in_window = || {
            let open = self.slots.range(self.low().next()..);
            open.take_while(|(slot, _)| self.votes_in(**slot))
        };
        if in_window().all(|(_, log)| log.round.accepted.is_some()) {
            return;
        }
        // The slots that have their batch, with how their proposals stand to the clock.
        let proposed: Vec<(Slot, &SlotLog, &HeldBatch, Timeliness)> = in_window()
            .filter_map(|(slot, log)| {
                let proposal = log.round.proposal.as_ref()?;
                let held = self.batches.get(&proposal.digest)?;
                let time = judge(proposal, held.batch(), self.now, self.drift_max());
                Some((*slot, log, held, time))
            })
            .collect();
        let newest_fresh = proposed
            .iter()
            .rfind(|(_, _, _, time)| *time == Timeliness::Fresh)
            .map(|(slot, ..)| *slot);
        let acceptable: Vec<(Slot, HeldBatch)> = proposed
            .into_iter()
            .filter(|(slot, log, held, time)| {
                let digest = held.digest();
                // Block time catches up as soon as the companion is executed.
                let has_companion = newest_fresh > Some(*slot);
                let is_near = match time {
                    Timeliness::Fresh => true,
                    Timeliness::Early => self.is_vouched_for(&log.round, &digest),
                    Timeliness::Late => has_companion || self.is_vouched_for(&log.round, &digest),
                };
                let is_open = log.committed.is_none_or(|committed| committed == digest);
                log.round.accepted.is_none() && is_open && is_near
            })
            .map(|(slot, _, held, _)| (slot, held.clone()))
            .collect();
        for (slot, held) in acceptable {
            self.accept(slot, &held, out);
        }
    }

    /// f + 1 others, and a backup among them, stand for the proposal: one of them is correct, and
    /// either made the batch by its own clock or judged it fresh (R5).
    fn is_vouched_for(&self, round: &Round, digest: &BatchDigest) -> bool {
        let (own, primary) = (self.config.own, self.validators().primary(round.view));
        let votes = [&round.prepares, &round.commits];
        let backups = self
            .validators()
            .iter()
            .map(|(index, _)| index)
            .filter(|index| *index != own && *index != primary)
            .filter(|index| {
                let said = |votes: &&Tally<_>| votes.get(*index).is_some_and(|(d, _)| d == digest);
                votes.iter().any(said)
            })
            .count();
        // The primary's own word is the proposal.
        backups >= 1 && backups.saturating_add(1) >= self.weak()
    }

    fn accept(&mut self, slot: Slot, held: &HeldBatch, out: &mut Vec<Action>) {
        let (view, own) = (self.view, self.config.own);
        self.secure_window(slot, out);
        let Ok(promise) = self.safety.prepare(view, slot, held) else {
            return self.refuse(Refusal::AgainstOwnVote);
        };
        let message = promise.keep(out);
        let round = &mut self.slot_log(slot).round;
        round.accepted = Some(held.digest());
        let counted = round.prepares.insert(own, held.digest(), message.signature);
        if let Err(why) = counted {
            self.refuse(why);
        }
        self.advance(slot, out);
    }

    /// Goes on with one slot as far as its votes allow: R6, R7.
    pub(crate) fn advance(&mut self, slot: Slot, out: &mut Vec<Action>) {
        let quorum = self.quorum();
        if self.votes_in(slot)
            && let Some(certificate) = self.newly_prepared(slot)
        {
            let own = self.config.own;
            match self.safety.commit(&certificate) {
                Ok(promise) => {
                    let message = promise.keep(out);
                    let digest = certificate.ballot.digest;
                    let round = &mut self.slot_log(slot).round;
                    round.prepared = Some(certificate);
                    if let Err(why) = round.commits.insert(own, digest, message.signature) {
                        self.refuse(why);
                    }
                }
                Err(_) => self.refuse(Refusal::AgainstOwnVote),
            }
        }
        let Some(log) = self.slots.get_mut(&slot) else {
            return;
        };
        if log.committed.is_none()
            && let Some(digest) = log.round.commits.said_by(quorum).copied()
        {
            log.committed = Some(digest);
            self.batches.want(&digest);
        }
    }

    /// The certificate of a slot that is prepared since its last vote: R6.
    fn newly_prepared(&self, slot: Slot) -> Option<PreparedCertificate> {
        let round = &self.slots.get(&slot)?.round;
        let digest = round.accepted?;
        let proposal = round
            .proposal
            .as_ref()
            .filter(|proposal| proposal.digest == digest)?;
        // The primary's proposal is one of the quorum.
        let needed = self.quorum().saturating_sub(1);
        // A replica may have stopped with the certificate written and its COMMIT not.
        let has_committed = round.commits.get(self.config.own).is_some();
        if has_committed || round.prepares.count(&digest) < needed {
            return None;
        }
        let prepares = round
            .prepares
            .who(&digest)
            .map(|(validator, signature)| VoteSignature {
                validator,
                signature,
            })
            .collect();
        Some(PreparedCertificate {
            ballot: round.ballot(slot, digest),
            pre_prepare: proposal.signature,
            prepares,
        })
    }

    /// Hands over what is committed, in slot order: R8.
    pub(crate) fn execute_ready(&mut self, out: &mut Vec<Action>) {
        loop {
            let slot = self.delivered.next();
            let Some(held) = self
                .slots
                .get(&slot)
                .and_then(|log| log.committed)
                .and_then(|digest| self.batches.get(&digest))
            else {
                return;
            };
            out.push(Action::Execute {
                slot,
                batch: Arc::clone(held.batch()),
            });
            self.delivered = slot;
            self.freed = true;
        }
    }
}
