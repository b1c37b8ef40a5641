//! Starting: from nothing, or from what a replica had promised before it stopped (R19, R30).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chancery_ledger::batch::BatchError;
use chancery_ledger::checkpoint::{CertificateError, CheckpointCertificate};
use chancery_ledger::{BatchDigest, ChainId, Height, SecretKey, Slot, ValidatorIndex, View};

use crate::batches::{Batches, HeldBatch};
use crate::event::{Action, Config, Demand, Now, Record, Recovered};
use crate::message::{
    Ballot, Body, NewView, PreparedCertificate, SignedMessage, SignedViewChange, VoteKind,
    VoteSignature,
};
use crate::pacemaker::Pacemaker;
use crate::quarantine::Memory;
use crate::replica::{Mode, Replica};
use crate::safety::Safety;
use crate::selection::select;
use crate::slot::{Origin, Proposal};
use crate::status::{Peer, Served};
use crate::tally::Vote;
use crate::verify::{MessageError, PreparedError};

/// Why a replica cannot start. All of these mean that files were mixed up or damaged: a vote log
/// that a replica wrote, in full, never causes one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The configured index is not in the set.
    #[error("there is no validator {own} in the set")]
    NotAValidator {
        /// The index.
        own: ValidatorIndex,
    },
    /// The key is not the validator's.
    #[error("the consensus key is not the one that validator {own} has in the set")]
    WrongKey {
        /// The validator.
        own: ValidatorIndex,
    },
    /// What was executed is of another ledger.
    #[error("the store is of chain {given}, this is chain {ours}")]
    WrongChain {
        /// The store's chain.
        given: ChainId,
        /// The chain here.
        ours: ChainId,
    },
    /// The vote log has a message that is no vote.
    #[error("the vote log has a {kind} message, which is not a vote")]
    NotAVote {
        /// Its kind.
        kind: &'static str,
    },
    /// The vote log has a vote of somebody else.
    #[error("the vote log has a vote of validator {from}")]
    ForeignVote {
        /// Whose.
        from: ValidatorIndex,
    },
    /// The vote log has a vote that does not verify.
    #[error("the vote log has a vote that does not verify: {0}")]
    Vote(#[from] MessageError),
    /// The vote log has two votes where there can be one.
    #[error("the vote log has two different {kind:?} votes of view {} for slot {}", ballot.view, ballot.slot)]
    TwoVotes {
        /// Their kind.
        kind: VoteKind,
        /// The second.
        ballot: Ballot,
    },
    /// The vote log has a vote without the batch, which is written first.
    #[error("the vote log lacks the batch {} that it has a vote for in slot {}", ballot.digest, ballot.slot)]
    MissingBatch {
        /// The vote's.
        ballot: Ballot,
    },
    /// The vote log has a COMMIT without its prepared certificate, which is written first.
    #[error("the vote log lacks the prepared certificate of its COMMIT in slot {}", ballot.slot)]
    MissingCertificate {
        /// The COMMIT's.
        ballot: Ballot,
    },
    /// A batch in the vote log is not well-formed.
    #[error("the vote log has a batch that does not verify: {0}")]
    Batch(#[from] BatchError),
    /// A prepared certificate in the vote log proves nothing.
    #[error("the vote log has a prepared certificate that does not verify: {0}")]
    Prepared(#[from] PreparedError),
    /// A checkpoint certificate proves nothing.
    #[error("a stored checkpoint certificate does not verify: {0}")]
    Certificate(#[from] CertificateError),
    /// A vote further ahead than a replica votes.
    #[error("the vote log has a vote for slot {slot}, the newest certificate is of {low}")]
    OutsideWindow {
        /// The vote's slot.
        slot: Slot,
        /// The low water mark.
        low: Slot,
    },
}

impl Replica {
    /// Starts a replica with what it finds; the actions are to be carried out first.
    ///
    /// # Errors
    /// [`RestoreError`] if what it finds does not fit together.
    pub fn new(
        config: Config,
        key: SecretKey,
        recovered: Recovered,
        now: Now,
    ) -> Result<(Self, Vec<Action>), RestoreError> {
        let Recovered {
            records,
            executed,
            stable,
            incarnation,
            vote_log_missing,
        } = recovered;
        let context = config.context();
        let own = config.own;
        if executed.chain != config.chain {
            return Err(RestoreError::WrongChain {
                given: executed.chain,
                ours: config.chain,
            });
        }
        // What is in the store was final before.
        let finals = records.iter().filter_map(|record| match record {
            Record::Final(certificate) => Some(certificate),
            Record::Batch { .. }
            | Record::Vote(_)
            | Record::Prepared(_)
            | Record::Certificate(_)
            | Record::ViewChange(_)
            | Record::NewView(_)
            | Record::Quarantine { .. } => None,
        });
        let final_height = stable
            .iter()
            .chain(finals)
            .map(|certificate| certificate.statement.height)
            .filter(|height| *height <= executed.height)
            .max()
            .unwrap_or_default();
        let stable = newest_certificate(stable, &records);
        if let Some(certificate) = &stable {
            certificate.verify(config.chain, &config.validators)?;
        }
        let low = stable
            .as_ref()
            .map_or(Height(0), |certificate| certificate.statement.height);
        let safety = Safety::new(key, own, context.clone(), low.into(), &records)?;
        let peers = config
            .validators
            .iter()
            .map(|(index, _)| index)
            .filter(|index| *index != own)
            .map(|index| (index, Peer::new()))
            .collect();
        let mut replica = Self {
            batches: Batches::new(config.loose_batches_max),
            pacemaker: Pacemaker::new(config.view_timeout, config.view_timeout_max),
            config,
            context,
            safety,
            now,
            view: View(0),
            mode: Mode::Active,
            new_view: None,
            view_changes: BTreeMap::new(),
            view_changes_begun: 0,
            left_because: None,
            accused: BTreeMap::new(),
            evidence: 0,
            incarnation,
            memory: Memory::restored(&records),
            demand: Demand::Nothing,
            stable,
            durable_low: durable_low(&records).into(),
            final_height,
            delivered: executed.height.into(),
            executed,
            proposed: Slot(0),
            freed: false,
            slots: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            peers,
            status_at: now.since_start,
            status_turn: 0,
            behind: None,
            halted: None,
            refused: BTreeMap::new(),
        };
        replica.restore_view(&records);
        replica.restore_slots(records)?;
        let mut out = Vec::new();
        replica.start_remembering(vote_log_missing, &mut out);
        replica.start(&mut out);
        replica.invariants();
        Ok((replica, out))
    }

    /// The view that was entered last, and the one that it wants to get to since. What the records
    /// say was verified where they were given to [`Safety`].
    fn restore_view(&mut self, records: &[Record]) {
        let entered = self.safety.entered();
        // What it may have waited for without a word is no record of its own (M4).
        let forgotten = self.memory.view_forgotten();
        self.view = self.safety.left().max(entered).max(forgotten);
        if self.view > entered {
            self.mode = Mode::Changing;
        }
        if let Some(message) = self.own_view_change()
            && let Body::ViewChange(view_change) = &message.body
        {
            let own = SignedViewChange {
                from: message.from,
                view_change: view_change.clone(),
                signature: message.signature,
            };
            self.view_changes.insert(own.from, own);
        }
        let is_entered = |message: &&SignedMessage| matches!(&message.body, Body::NewView(new_view) if new_view.view == entered);
        let message = records
            .iter()
            .filter_map(|record| match record {
                Record::NewView(message) => Some(message),
                Record::Batch { .. }
                | Record::Vote(_)
                | Record::Prepared(_)
                | Record::Certificate(_)
                | Record::ViewChange(_)
                | Record::Final(_)
                | Record::Quarantine { .. } => None,
            })
            .find(is_entered);
        let Some(message) = message else {
            return;
        };
        self.new_view = Some(Served {
            message: message.clone(),
            since: self.now.since_start,
        });
        if let Body::NewView(new_view) = &message.body
            && self.mode == Mode::Active
        {
            // Nothing else is in the slots yet, so nothing is contradicted.
            let _no_lies = self.carry_over(message.from, new_view);
        }
    }

    fn restore_slots(&mut self, records: Vec<Record>) -> Result<(), RestoreError> {
        let low = self.low();
        let first = Slot(low.0.saturating_sub(self.window())).max(low.min(self.delivered));
        let mut batches = BTreeMap::new();
        let mut prepared = BTreeSet::new();
        for record in records {
            let Some(slot) = record.slot().filter(|slot| *slot > first) else {
                continue;
            };
            if slot.0.saturating_sub(low.0) > self.window() {
                return Err(RestoreError::OutsideWindow { slot, low });
            }
            match record {
                Record::Batch { batch, .. } => {
                    let batch = batch.verify(self.config.chain, &self.config.limits)?;
                    let held = HeldBatch::new(Arc::new(batch));
                    batches.insert(held.digest(), held);
                }
                Record::Vote(message) => self.restore_vote(&message, &batches, &prepared)?,
                Record::Prepared(certificate) => {
                    prepared.insert(certificate.ballot);
                    self.restore_prepared(certificate)?;
                }
                Record::Certificate(_)
                | Record::ViewChange(_)
                | Record::NewView(_)
                | Record::Final(_)
                | Record::Quarantine { .. } => {}
            }
        }
        Ok(())
    }

    /// The signature was checked where the votes were given to [`Safety`].
    fn restore_vote(
        &mut self,
        message: &SignedMessage,
        batches: &BTreeMap<BatchDigest, HeldBatch>,
        prepared: &BTreeSet<Ballot>,
    ) -> Result<(), RestoreError> {
        let Some((kind, ballot)) = message.body.vote() else {
            return Ok(());
        };
        let Ballot { view, slot, digest } = ballot;
        let (own, signature) = (message.from, message.signature);
        let is_active = view == self.view && self.mode == Mode::Active;
        let vote = Vote {
            view,
            digest,
            signature,
        };
        if kind == VoteKind::Commit {
            if !prepared.contains(&ballot) {
                return Err(RestoreError::MissingCertificate { ballot });
            }
            // A record written twice counts once.
            let _counted = self.slot_log(slot).commits.insert(own, vote);
            return Ok(());
        }
        let held = batches
            .get(&digest)
            .ok_or(RestoreError::MissingBatch { ballot })?;
        self.batches.keep(held.clone());
        let log = self.slot_log(slot);
        log.vouched.insert(digest);
        if is_active {
            log.accepted = Some(digest);
        }
        if kind == VoteKind::Prepare {
            let _counted = log.prepares.insert(own, vote);
        } else if is_active {
            log.proposal = Some(Proposal {
                view,
                digest,
                signature,
                origin: Origin::Settled,
            });
            self.proposed = self.proposed.max(slot);
        }
        Ok(())
    }

    fn restore_prepared(&mut self, certificate: PreparedCertificate) -> Result<(), RestoreError> {
        certificate.verify(&self.context)?;
        let Ballot { view, slot, digest } = certificate.ballot;
        let is_active = view == self.view && self.mode == Mode::Active;
        let log = self.slot_log(slot);
        if is_active {
            if log.accepted.is_some_and(|accepted| accepted != digest) {
                return Err(RestoreError::TwoVotes {
                    kind: VoteKind::Prepare,
                    ballot: certificate.ballot,
                });
            }
            log.accept(digest);
            log.proposal = Some(Proposal {
                view,
                digest,
                signature: certificate.pre_prepare,
                origin: Origin::Settled,
            });
        }
        for VoteSignature {
            validator,
            signature,
        } in &certificate.prepares
        {
            let vote = Vote {
                view,
                digest,
                signature: *signature,
            };
            // Own ones and a certificate written twice are counted already.
            let _counted = log.prepares.insert(*validator, vote);
        }
        let newest = log.prepared.as_ref().map(|before| before.ballot.view);
        if newest.is_none_or(|newest| newest < view) {
            log.prepared = Some(certificate);
        }
        Ok(())
    }

    /// Says again what was said, and goes on.
    fn start(&mut self, out: &mut Vec<Action>) {
        let said = match self.mode {
            Mode::Changing => self.own_view_change(),
            Mode::Active => self.new_view.as_ref().map(|served| &served.message),
        };
        if let Some(message) = said.filter(|message| message.from == self.config.own) {
            out.push(Action::Broadcast(message.clone()));
        }
        let votes: Vec<SignedMessage> = self.safety.votes().collect();
        for message in votes {
            let proposed = match message.body.vote() {
                Some((VoteKind::PrePrepare, ballot)) => self.batches.get(&ballot.digest),
                Some((VoteKind::Prepare | VoteKind::Commit, _)) | None => None,
            };
            if let Some(held) = proposed {
                out.push(Action::BroadcastBatch(Arc::clone(held.batch())));
            }
            out.push(Action::Broadcast(message));
        }
        self.cosign(out);
        self.settle(out);
        let open: Vec<Slot> = self.slots.keys().copied().collect();
        for slot in open {
            self.advance(slot, out);
        }
        self.execute_ready(out);
        self.ask_for_blocks(out);
        if self.halted.is_none() {
            self.broadcast_status(out);
        }
        self.review_memory(out);
    }
}

/// The newest of the certificates in the store and in the vote log.
fn newest_certificate(
    stored: Option<CheckpointCertificate>,
    records: &[Record],
) -> Option<CheckpointCertificate> {
    let logged = records.iter().filter_map(|record| {
        // What a view went on from binds even if another record was lost in between.
        if let Record::NewView(message) = record
            && let Body::NewView(new_view) = &message.body
        {
            return base(new_view);
        }
        record.certificate()
    });
    stored
        .iter()
        .chain(logged)
        .max_by_key(|certificate| certificate.statement.height)
        .cloned()
}

/// The newest height that the vote log alone has a certificate of: the ledger may be lost without it.
fn durable_low(records: &[Record]) -> Height {
    let logged = records.iter().filter_map(Record::certificate);
    let heights = logged.map(|certificate| certificate.statement.height);
    heights.max().unwrap_or_default()
}

fn base(new_view: &NewView) -> Option<&CheckpointCertificate> {
    select(
        new_view
            .view_changes
            .iter()
            .map(|signed| &signed.view_change),
    )
    .base
}
