//! Starting: from nothing, or from what a replica had promised before it stopped (R19).

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::batch::BatchError;
use chancery_ledger::checkpoint::{CertificateError, CheckpointCertificate};
use chancery_ledger::{BatchDigest, ChainId, Height, SecretKey, Slot, ValidatorIndex, View};

use crate::batches::{Batches, HeldBatch};
use crate::event::{Action, Config, Demand, Now, Record, Recovered};
use crate::message::{Ballot, PreparedCertificate, SignedMessage, VoteKind};
use crate::replica::Replica;
use crate::safety::Safety;
use crate::slot::Proposal;
use crate::status::Peer;
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
            vote_log_missing: _,
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
        let final_height = stable
            .as_ref()
            .map_or(Height(0), |certificate| certificate.statement.height)
            .min(executed.height);
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
            config,
            context,
            safety,
            now,
            view: View(0),
            incarnation,
            demand: Demand::Nothing,
            stable,
            durable_low: low.into(),
            final_height,
            delivered: executed.height.into(),
            executed,
            proposed: Slot(0),
            freed: false,
            slots: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            peers,
            status_at: now.since_start,
            behind: None,
            halted: None,
            refused: BTreeMap::new(),
        };
        replica.restore_slots(records)?;
        let mut out = Vec::new();
        replica.start(&mut out);
        replica.invariants();
        Ok((replica, out))
    }

    fn restore_slots(&mut self, records: Vec<Record>) -> Result<(), RestoreError> {
        let low = self.low();
        let first = Slot(low.0.saturating_sub(self.window())).max(low.min(self.delivered));
        let mut batches = BTreeMap::new();
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
                Record::Vote(message) => self.restore_vote(&message, &batches)?,
                Record::Prepared(certificate) => self.restore_prepared(certificate)?,
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
    ) -> Result<(), RestoreError> {
        let Some((kind, ballot)) = message.body.vote() else {
            return Ok(());
        };
        if ballot.view != self.view {
            return Ok(());
        }
        let Ballot { slot, digest, .. } = ballot;
        let (own, signature) = (message.from, message.signature);
        let held = batches
            .get(&digest)
            .ok_or(RestoreError::MissingBatch { ballot })?;
        self.batches.keep(held.clone());
        let round = &mut self.slot_log(slot).round;
        // A record written twice counts once.
        let counted = match kind {
            VoteKind::PrePrepare => {
                round.accepted = Some(digest);
                round.proposal = Some(Proposal {
                    digest,
                    signature,
                    seen_at: None,
                });
                self.proposed = self.proposed.max(slot);
                Ok(())
            }
            VoteKind::Prepare => {
                round.accepted = Some(digest);
                round.prepares.insert(own, digest, signature)
            }
            VoteKind::Commit => {
                let is_prepared = round.prepared.as_ref().map(|c| c.ballot) == Some(ballot);
                if !is_prepared {
                    return Err(RestoreError::MissingCertificate { ballot });
                }
                round.commits.insert(own, digest, signature)
            }
        };
        counted.or(Ok(()))
    }

    fn restore_prepared(&mut self, certificate: PreparedCertificate) -> Result<(), RestoreError> {
        certificate.verify(&self.context)?;
        let ballot = certificate.ballot;
        if ballot.view != self.view {
            return Ok(());
        }
        let round = &mut self.slot_log(ballot.slot).round;
        if round.accepted != Some(ballot.digest) {
            return Err(RestoreError::TwoVotes {
                kind: VoteKind::Prepare,
                ballot,
            });
        }
        round.proposal = Some(Proposal {
            digest: ballot.digest,
            signature: certificate.pre_prepare,
            seen_at: None,
        });
        for vote in &certificate.prepares {
            // Own one and a certificate written twice are counted already.
            let _counted = round
                .prepares
                .insert(vote.validator, ballot.digest, vote.signature);
        }
        round.prepared = Some(certificate);
        Ok(())
    }

    /// Says again what was said, and goes on.
    fn start(&mut self, out: &mut Vec<Action>) {
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
    }
}

/// The newest of the certificates in the store and in the vote log.
fn newest_certificate(
    stored: Option<CheckpointCertificate>,
    records: &[Record],
) -> Option<CheckpointCertificate> {
    let logged = records.iter().filter_map(|record| match record {
        Record::Certificate(certificate) | Record::Final(certificate) => Some(certificate),
        Record::Batch { .. }
        | Record::Vote(_)
        | Record::Prepared(_)
        | Record::ViewChange(_)
        | Record::NewView(_)
        | Record::Quarantine { .. } => None,
    });
    stored
        .iter()
        .chain(logged)
        .max_by_key(|certificate| certificate.statement.height)
        .cloned()
}
