//! What may be signed. This is the only place that holds the key, and what it has promised once it
//! never contradicts: at most one digest for each (epoch, view, slot, kind), one statement for each
//! height (rule R11). Its memory is rebuilt from the vote log, and the bytes sent after a restart
//! are those that were stored.
//!
//! A [`Promise`] is the only way to a signed vote, and [`Promise::keep`] the only way out of it: the
//! records come before the message, so nobody can forget to persist before speaking (R10).

use std::collections::BTreeMap;

use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{Batch, BatchDigest, SecretKey, Signature, Slot, ValidatorIndex, View};

use crate::batches::HeldBatch;
use crate::event::{Action, Record};
use crate::message::{Ballot, Body, PreparedCertificate, SignedMessage, Status, VoteKind};
use crate::restore::RestoreError;
use crate::verify::Context;

/// Signs for one validator.
#[derive(Debug)]
pub(crate) struct Safety {
    key: SecretKey,
    own: ValidatorIndex,
    context: Context,
    /// Votes in slots above `done`, as they were signed.
    votes: BTreeMap<(Slot, View, VoteKind), (BatchDigest, Signature)>,
    /// No vote is signed for slots up to this one: they are certified.
    done: Slot,
    /// The newest statement that was cosigned.
    cosigned: Option<CheckpointStatement>,
}

/// A vote that is signed, with what has to be durable before anybody sees it.
#[must_use = "a promise is kept by `keep`"]
#[derive(Debug)]
pub(crate) struct Promise {
    records: Vec<Record>,
    message: SignedMessage,
}

impl Promise {
    /// Adds to `actions` what makes it durable, then what sends it.
    pub(crate) fn keep(self, actions: &mut Vec<Action>) -> SignedMessage {
        actions.extend(self.records.into_iter().map(Action::Persist));
        actions.push(Action::Broadcast(self.message.clone()));
        self.message
    }
}

/// Why nothing is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Another digest was signed in this place.
    Contradiction,
    /// The slot is certified, or the height was cosigned or passed.
    Done,
}

impl Safety {
    /// Starts with the votes found in the log.
    pub(crate) fn new(
        key: SecretKey,
        own: ValidatorIndex,
        context: Context,
        done: Slot,
        records: &[Record],
    ) -> Result<Self, RestoreError> {
        let held = context
            .validators
            .get(own)
            .ok_or(RestoreError::NotAValidator { own })?;
        if held.consensus_key != key.public() {
            return Err(RestoreError::WrongKey { own });
        }
        let mut safety = Self {
            key,
            own,
            context,
            votes: BTreeMap::new(),
            done,
            cosigned: None,
        };
        for record in records {
            match record {
                Record::Vote(message) => safety.restore_vote(message)?,
                Record::Batch { .. } | Record::Prepared(_) | Record::Certificate(_) => {}
            }
        }
        Ok(safety)
    }

    fn restore_vote(&mut self, message: &SignedMessage) -> Result<(), RestoreError> {
        let (kind, ballot) = message.body.vote().ok_or(RestoreError::NotAVote {
            kind: message.body.kind(),
        })?;
        // A log may hold what could have been dropped: nothing depends on it.
        if ballot.slot <= self.done {
            return Ok(());
        }
        if message.from != self.own {
            return Err(RestoreError::ForeignVote { from: message.from });
        }
        message.clone().verify(&self.context)?;
        let place = (ballot.slot, ballot.view, kind);
        let vote = (ballot.digest, message.signature);
        let before = self.votes.insert(place, vote);
        if before.is_some_and(|before| before.0 != ballot.digest) {
            return Err(RestoreError::TwoVotes { kind, ballot });
        }
        Ok(())
    }

    /// The promise to order `batch` in `slot`, as the primary of `view`.
    pub(crate) fn pre_prepare(
        &mut self,
        view: View,
        slot: Slot,
        batch: &HeldBatch,
    ) -> Result<Promise, Refused> {
        self.vote_for_batch(VoteKind::PrePrepare, view, slot, batch)
    }

    /// The promise to accept no other batch than this one in `slot` in `view`.
    pub(crate) fn prepare(
        &mut self,
        view: View,
        slot: Slot,
        batch: &HeldBatch,
    ) -> Result<Promise, Refused> {
        self.vote_for_batch(VoteKind::Prepare, view, slot, batch)
    }

    /// The batch is durable before a vote that makes others count on it.
    fn vote_for_batch(
        &mut self,
        kind: VoteKind,
        view: View,
        slot: Slot,
        held: &HeldBatch,
    ) -> Result<Promise, Refused> {
        let ballot = Ballot {
            view,
            slot,
            digest: held.digest(),
        };
        let batch = Record::Batch {
            slot,
            batch: Batch::clone(held.batch()),
        };
        let message = self.vote(kind, ballot)?;
        Ok(Promise {
            records: vec![batch, Record::Vote(message.clone())],
            message,
        })
    }

    /// The promise to remember what was prepared until its slot is certified.
    pub(crate) fn commit(&mut self, certificate: &PreparedCertificate) -> Result<Promise, Refused> {
        let message = self.vote(VoteKind::Commit, certificate.ballot)?;
        Ok(Promise {
            records: vec![
                Record::Prepared(certificate.clone()),
                Record::Vote(message.clone()),
            ],
            message,
        })
    }

    /// The one gate for votes.
    fn vote(&mut self, kind: VoteKind, ballot: Ballot) -> Result<SignedMessage, Refused> {
        if ballot.slot <= self.done {
            return Err(Refused::Done);
        }
        let body = Body::of_vote(kind, ballot);
        let place = (ballot.slot, ballot.view, kind);
        if let Some((digest, signature)) = self.votes.get(&place) {
            if *digest != ballot.digest {
                return Err(Refused::Contradiction);
            }
            return Ok(self.context.message(self.own, body, *signature));
        }
        let message = self.sign(body);
        self.votes.insert(place, (ballot.digest, message.signature));
        Ok(message)
    }

    /// Cosigns what was executed. Its bytes follow from the durable block, so there is nothing to
    /// persist; a height is cosigned once and heights only grow.
    pub(crate) fn checkpoint(
        &mut self,
        statement: &CheckpointStatement,
    ) -> Result<SignedMessage, Refused> {
        if let Some(before) = &self.cosigned {
            if statement.height < before.height {
                return Err(Refused::Done);
            }
            if statement.height == before.height && statement != before {
                return Err(Refused::Contradiction);
            }
        }
        self.cosigned = Some(statement.clone());
        Ok(self.sign(Body::Checkpoint(statement.clone())))
    }

    /// A STATUS binds to nothing.
    pub(crate) fn status(&self, status: Status) -> SignedMessage {
        self.sign(Body::Status(status))
    }

    /// A certificate speaks for itself; the signature tells who passed it on.
    pub(crate) fn certificate(&self, certificate: CheckpointCertificate) -> SignedMessage {
        self.sign(Body::Certificate(certificate))
    }

    /// Slots up to `slot` are certified: nothing is signed for them any more, so what was need not
    /// be remembered.
    pub(crate) fn finish(&mut self, slot: Slot) {
        self.done = self.done.max(slot);
        self.votes = self
            .votes
            .split_off(&(self.done.next(), View(0), VoteKind::PrePrepare));
    }

    /// The votes in slots that are not certified.
    pub(crate) fn votes(&self) -> impl Iterator<Item = SignedMessage> {
        self.votes
            .iter()
            .map(|(&(slot, view, kind), &(digest, signature))| {
                let body = Body::of_vote(kind, Ballot { view, slot, digest });
                self.context.message(self.own, body, signature)
            })
    }

    fn sign(&self, body: Body) -> SignedMessage {
        let Context { chain, validators } = &self.context;
        let bytes = body.signed_bytes(*chain, validators.epoch());
        self.context.message(self.own, body, self.key.sign(&bytes))
    }
}
