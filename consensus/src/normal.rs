//! The normal case: PRE-PREPARE, PREPARE, COMMIT, and handing over for execution (R2 to R8).

use std::sync::Arc;

use chancery_ledger::{Batch, Millis, Signature, Slot, ValidatorIndex, Verified};

use crate::batches::HeldBatch;
use crate::event::{Action, Wish};
use crate::message::{Ballot, Body, PreparedCertificate, VoteKind, VoteSignature};
use crate::overview::Refusal;
use crate::replica::{Mode, Replica};
use crate::slot::{Origin, Proposal};
use crate::tally::{NotCounted, Vote};
use crate::timing::{Timeliness, judge};

impl Replica {
    /// Whether a batch is wanted to be proposed (R2).
    #[must_use]
    pub fn proposal_wish(&self) -> Wish {
        let catching_up = self.delivered < self.low();
        let is_active = self.mode == Mode::Active && self.halted.is_none() && self.may_vote();
        if !is_active || !self.is_primary() || catching_up {
            return Wish::None;
        }
        let next = self.next_proposal();
        if !self.votes_in(next) {
            return Wish::None;
        }
        let nothing_in_flight = next == self.delivered.next();
        if self.pacemaker.is_pressed() && !nothing_in_flight {
            // One at a time, until this view has ordered something.
            Wish::None
        } else if nothing_in_flight || self.freed {
            Wish::Now
        } else {
            Wish::IfFull
        }
    }

    fn next_proposal(&self) -> Slot {
        self.proposed.max(self.delivered).max(self.low()).next()
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
        let log = self.slot_log(slot);
        log.proposal = Some(Proposal {
            view,
            digest,
            signature: message.signature,
            origin: Origin::Settled,
        });
        log.accept(digest);
        self.advance(slot, out);
        self.execute_ready(out);
    }

    /// R3, R4.
    pub(crate) fn on_pre_prepare(
        &mut self,
        from: ValidatorIndex,
        ballot: Ballot,
        signature: Signature,
        out: &mut Vec<Action>,
    ) {
        self.hear_proposal(from, ballot);
        if let Err(why) = self.admits(ballot.slot) {
            return self.refuse(why);
        }
        let Ballot { view, slot, digest } = ballot;
        let is_active = view == self.view && self.mode == Mode::Active;
        if view < self.view {
            return self.refuse(Refusal::OtherView);
        }
        let proposal = Proposal {
            view,
            digest,
            signature,
            origin: Origin::Fresh {
                seen_at: self.now.clock,
            },
        };
        let log = self.slot_log(slot);
        let before = if is_active {
            log.proposal
        } else {
            log.ahead.get(&from).copied()
        };
        if let Some(before) = before.filter(|before| before.view >= view) {
            if before.view > view {
                return self.refuse(Refusal::Superseded);
            }
            if before.digest == digest {
                return self.refuse(Refusal::Duplicate);
            }
            let said = |digest, signature| {
                let ballot = Ballot { view, slot, digest };
                (Body::PrePrepare(ballot), signature)
            };
            let first = said(before.digest, before.signature);
            return self.accuse(from, first, said(digest, signature), out);
        }
        if !is_active {
            log.ahead.insert(from, proposal);
            return;
        }
        // It was accepted before a restart, which forgot the signature; or the primary lies.
        if log.accepted.is_some_and(|accepted| accepted != digest) {
            return self.refuse(Refusal::Conflicting);
        }
        log.proposal = Some(proposal);
        self.batches.want(&digest);
        self.accept_waiting(out);
        self.advance(slot, out);
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
        self.hear_vote(from, ballot.slot);
        let Ballot { view, slot, digest } = ballot;
        if let Err(why) = self.admits(slot) {
            return self.refuse(why);
        }
        let weak = self.weak();
        let log = self.slot_log(slot);
        let votes = match kind {
            VoteKind::Prepare => &mut log.prepares,
            VoteKind::Commit => &mut log.commits,
            // A PRE-PREPARE is kept as a proposal.
            VoteKind::PrePrepare => return,
        };
        let before = votes.get(from).copied();
        let vote = Vote {
            view,
            digest,
            signature,
        };
        match (votes.insert(from, vote), before) {
            (Ok(()), _) => {}
            (Err(NotCounted::Conflicting), Some(before)) => {
                let said = |vote: Vote| {
                    let Vote { view, digest, .. } = vote;
                    (
                        Body::of_vote(kind, Ballot { view, slot, digest }),
                        vote.signature,
                    )
                };
                return self.accuse(from, said(before), said(vote), out);
            }
            (Err(why), _) => return self.refuse(why.into()),
        }
        if votes.supporters(&digest) >= weak {
            self.batches.want(&digest);
        }
        self.advance(slot, out);
        self.execute_ready(out);
    }

    /// Whether votes for this slot are taken in at all (R3).
    fn admits(&self, slot: Slot) -> Result<(), Refusal> {
        let (low, window) = (self.low(), self.window());
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
    pub(crate) fn on_batch(
        &mut self,
        from: ValidatorIndex,
        batch: Arc<Verified<Batch>>,
        out: &mut Vec<Action>,
    ) {
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
            return self.batches.keep_loose(from, held);
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
        if self.mode != Mode::Active || self.is_primary() || !self.may_vote() {
            return;
        }
        let drift_max = Millis(self.config.limits.clock_drift_ms_max);
        let acceptable: Vec<(Slot, HeldBatch)> = self
            .slots
            .range(self.low().next()..)
            .take_while(|(slot, _)| self.votes_in(**slot))
            .filter(|(_, log)| log.accepted.is_none())
            .filter_map(|(slot, log)| {
                let proposal = log.proposal.as_ref()?;
                let held = self.batches.get(&proposal.digest)?;
                let time = judge(proposal, held.batch(), self.now, drift_max);
                let is_open = log.committed.is_none_or(|digest| digest == proposal.digest);
                (is_open && time == Timeliness::Near).then(|| (*slot, held.clone()))
            })
            .collect();
        for (slot, held) in acceptable {
            self.accept(slot, &held, out);
        }
    }

    fn accept(&mut self, slot: Slot, held: &HeldBatch, out: &mut Vec<Action>) {
        let (view, own, digest) = (self.view, self.config.own, held.digest());
        self.secure_window(slot, out);
        let Ok(promise) = self.safety.prepare(view, slot, held) else {
            return self.refuse(Refusal::AgainstOwnVote);
        };
        let message = promise.keep(out);
        let vote = Vote {
            view,
            digest,
            signature: message.signature,
        };
        let log = self.slot_log(slot);
        log.accept(digest);
        if let Err(why) = log.prepares.insert(own, vote) {
            self.refuse(why.into());
        }
        self.advance(slot, out);
    }

    /// Goes on with one slot as far as its votes allow: R6, R7.
    pub(crate) fn advance(&mut self, slot: Slot, out: &mut Vec<Action>) {
        let quorum = self.quorum();
        if self.votes_in(slot)
            && self.mode == Mode::Active
            && self.may_vote()
            && let Some(certificate) = self.newly_prepared(slot)
        {
            self.commit(certificate, out);
        }
        let Some(log) = self.slots.get_mut(&slot) else {
            return;
        };
        if log.committed.is_none()
            && let Some((_, digest)) = log.commits.said_by(quorum)
        {
            log.committed = Some(digest);
            self.batches.want(&digest);
        }
    }

    fn commit(&mut self, certificate: PreparedCertificate, out: &mut Vec<Action>) {
        let Ballot { view, slot, digest } = certificate.ballot;
        self.secure_window(slot, out);
        let Ok(promise) = self.safety.commit(&certificate) else {
            return self.refuse(Refusal::AgainstOwnVote);
        };
        let message = promise.keep(out);
        let own = self.config.own;
        let vote = Vote {
            view,
            digest,
            signature: message.signature,
        };
        let log = self.slot_log(slot);
        log.prepared = Some(certificate);
        if let Err(why) = log.commits.insert(own, vote) {
            self.refuse(why.into());
        }
    }

    /// The certificate of a slot that is prepared since its last vote: R6.
    fn newly_prepared(&self, slot: Slot) -> Option<PreparedCertificate> {
        let log = self.slots.get(&slot)?;
        let digest = log.accepted?;
        let view = self.view;
        let proposal = log.proposal.filter(|proposal| proposal.digest == digest)?;
        // The primary's proposal is one of the quorum.
        let needed = self.quorum().saturating_sub(1);
        // A replica may have stopped with the certificate written and its COMMIT not.
        let own = log.commits.get(self.config.own);
        let has_committed = own.is_some_and(|vote| vote.view == view);
        let is_open = log.committed.is_none_or(|committed| committed == digest);
        if has_committed || !is_open || log.prepares.count(view, digest) < needed {
            return None;
        }
        let prepares = log
            .prepares
            .who(view, digest)
            .take(needed)
            .map(|(validator, signature)| VoteSignature {
                validator,
                signature,
            })
            .collect();
        Some(PreparedCertificate {
            ballot: Ballot { view, slot, digest },
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
            self.pacemaker.progressed();
        }
    }
}
