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
                Record::Batch { .. }
                | Record::Prepared(_)
                | Record::Certificate(_)
                | Record::ViewChange(_)
                | Record::NewView(_)
                | Record::Final(_)
                | Record::Quarantine { .. } => {}
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
        let Context {
            chain, validators, ..
        } = &self.context;
        let bytes = body.signed_bytes(*chain, validators.epoch());
        self.context.message(self.own, body, self.key.sign(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chancery_ledger::{
        ChainId, ChainLimits, Epoch, Hash, Height, Millis, Validator, ValidatorSet,
    };

    use super::*;
    use crate::message::VoteSignature;

    fn safety(done: u64, records: &[Record]) -> Safety {
        let key = |byte| SecretKey::from_seed(&[byte; 32]);
        let validator = |name: &str, first| Validator {
            name: name.to_owned(),
            consensus_key: key(first).public(),
            network_key: key(first + 1).public(),
            log_key: key(first + 2).public(),
        };
        let validators = vec![validator("own", 1), validator("other", 4)];
        let context = Context {
            chain: ChainId([7; 32]),
            validators: ValidatorSet::new(Epoch(0), validators).expect("all differ"),
            window_slots: 4,
        };
        Safety::new(key(1), ValidatorIndex(0), context, Slot(done), records).expect("own records")
    }

    fn batch(number: u64) -> HeldBatch {
        let batch = Batch::of_verified(Millis(number), Vec::new(), &ChainLimits::default());
        HeldBatch::new(Arc::new(batch.expect("an empty batch is well-formed")))
    }

    fn prepared(slot: u64, batch: &HeldBatch) -> PreparedCertificate {
        PreparedCertificate {
            ballot: Ballot {
                view: View(0),
                slot: Slot(slot),
                digest: batch.digest(),
            },
            pre_prepare: Signature([0; 64]),
            prepares: Vec::<VoteSignature>::new(),
        }
    }

    type Ask = fn(&mut Safety, u64, &HeldBatch) -> Result<Promise, Refused>;

    /// The primary of view 0 is a backup in view 1.
    const ASKS: [Ask; 3] = [
        |safety, slot, batch| safety.pre_prepare(View(0), Slot(slot), batch),
        |safety, slot, batch| safety.prepare(View(1), Slot(slot), batch),
        |safety, slot, batch| safety.commit(&prepared(slot, batch)),
    ];

    #[test]
    fn a_second_digest_in_one_place_is_never_signed() {
        for ask in ASKS {
            let mut safety = safety(0, &[]);
            let first = ask(&mut safety, 1, &batch(1)).expect("nothing was signed");
            let refused = ask(&mut safety, 1, &batch(2)).map(|promise| promise.message);
            assert_eq!(refused, Err(Refused::Contradiction));
            let again = ask(&mut safety, 1, &batch(1)).expect("the same");
            assert_eq!(again.message, first.message);
            assert!(ask(&mut safety, 2, &batch(2)).is_ok(), "another slot");
        }
    }

    #[test]
    fn nor_is_it_after_a_restart() {
        for ask in ASKS {
            let promise = ask(&mut safety(0, &[]), 1, &batch(1)).expect("nothing was signed");
            let mut safety = safety(0, &promise.records);
            let refused = ask(&mut safety, 1, &batch(2)).map(|promise| promise.message);
            assert_eq!(refused, Err(Refused::Contradiction));
            let sent: Vec<SignedMessage> = safety.votes().collect();
            assert_eq!(sent, [promise.message]);
        }
    }

    #[test]
    fn nothing_is_signed_for_certified_slots() {
        for ask in ASKS {
            let mut safety = safety(3, &[]);
            let refused = ask(&mut safety, 3, &batch(1)).map(|promise| promise.message);
            assert_eq!(refused, Err(Refused::Done));
            assert!(ask(&mut safety, 4, &batch(1)).is_ok());
            safety.finish(Slot(4));
            let refused = ask(&mut safety, 4, &batch(1)).map(|promise| promise.message);
            assert_eq!(refused, Err(Refused::Done));
            assert_eq!(safety.votes().count(), 0, "what is certified is forgotten");
        }
    }

    #[test]
    fn a_promise_is_persisted_before_it_is_sent() {
        for ask in ASKS {
            let promise = ask(&mut safety(0, &[]), 1, &batch(1)).expect("nothing was signed");
            let vote = Record::Vote(promise.message.clone());
            let mut actions = Vec::new();
            let message = promise.keep(&mut actions);
            let [
                Action::Persist(ground),
                Action::Persist(own),
                Action::Broadcast(sent),
            ] = actions.as_slice()
            else {
                panic!("{actions:?}");
            };
            assert!(matches!(ground, Record::Batch { .. } | Record::Prepared(_)));
            assert_eq!((own, sent), (&vote, &message));
        }
    }

    #[test]
    fn one_statement_is_cosigned_for_a_height_and_heights_only_grow() {
        let statement = |height, root| {
            let chain = ChainId([7; 32]);
            CheckpointStatement::new(chain, Height(height), Hash([root; 32]), Millis(0))
        };
        let mut safety = safety(0, &[]);
        let first = safety.checkpoint(&statement(5, 1)).expect("the first");
        assert_eq!(safety.checkpoint(&statement(5, 1)), Ok(first));
        let other = safety.checkpoint(&statement(5, 2));
        assert_eq!(other, Err(Refused::Contradiction));
        assert_eq!(safety.checkpoint(&statement(4, 1)), Err(Refused::Done));
        assert!(safety.checkpoint(&statement(6, 2)).is_ok());
    }
}
