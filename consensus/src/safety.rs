//! What may be signed. This is the only place that holds the key, and what it has promised once it
//! never contradicts: at most one digest for each (epoch, view, slot, kind), one statement for each
//! height, no vote in a view below one that it wants to get to (R11). Its memory is rebuilt from
//! the vote log, and the bytes sent after a restart are those that were stored.
//!
//! A [`Promise`] is the only way to a signed vote, VIEW-CHANGE or NEW-VIEW, and [`Promise::keep`]
//! the only way out of it: the records come before the message, so nobody can forget to persist
//! before speaking (R10).

use std::collections::{BTreeMap, BTreeSet};

use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{Batch, BatchDigest, SecretKey, Signature, Slot, ValidatorIndex, View};

use crate::batches::HeldBatch;
use crate::event::{Action, Record};
use crate::message::{
    Ballot, Body, CarriedProposal, NewView, PreparedCertificate, SignedMessage, SignedViewChange,
    Status, ViewChange, VoteKind,
};
use crate::restore::RestoreError;
use crate::verify::Context;

/// Signs for one validator.
#[derive(Debug)]
pub(crate) struct Safety {
    key: SecretKey,
    own: ValidatorIndex,
    context: Context,
    /// The newest VIEW-CHANGE that was signed: no vote is signed in a view below its own.
    view_change: Option<SignedMessage>,
    /// The view whose NEW-VIEW was taken: votes are signed in no other.
    entered: View,
    /// What `entered` goes on with ends with this slot, if this validator is its primary: the
    /// NEW-VIEW is its PRE-PREPARE up to there.
    carried_through: Slot,
    /// Votes in slots above `done`, as they were signed: in each place that of the highest view.
    votes: BTreeMap<(Slot, VoteKind), (View, BatchDigest, Signature)>,
    /// The batches in the vote log, for slots above `done`: a second view needs no second copy.
    batches: BTreeSet<(Slot, BatchDigest)>,
    /// The highest slot that one was signed in, as far as remembered.
    voted: Slot,
    /// No vote is signed for slots up to this one: they are certified.
    done: Slot,
    /// The newest statement that was cosigned.
    cosigned: Option<CheckpointStatement>,
    /// Whether nothing new is signed: it may be that something is forgotten (M2, M4).
    silent: bool,
    /// Nor is anything in views below this one, ever (M4).
    view_least: View,
}

/// A message that is signed, with what has to be durable before anybody sees it.
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
    /// The view is not the one that was entered, or is being left.
    OtherView,
    /// What was signed before may be forgotten.
    Silent,
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
            view_change: None,
            entered: View(0),
            carried_through: Slot(0),
            votes: BTreeMap::new(),
            batches: BTreeSet::new(),
            voted: Slot(0),
            done,
            cosigned: None,
            silent: true,
            view_least: View(0),
        };
        for record in records {
            match record {
                Record::Vote(message) => safety.restore_vote(message)?,
                Record::ViewChange(message) => safety.restore_view_change(message)?,
                Record::NewView(message) => safety.restore_new_view(message)?,
                Record::Batch { slot, batch } if *slot > done => {
                    safety.batches.insert((*slot, batch.digest()));
                }
                Record::Batch { .. }
                | Record::Prepared(_)
                | Record::Certificate(_)
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
        self.voted = self.voted.max(ballot.slot);
        // A log may hold what could have been dropped: nothing depends on it.
        if ballot.slot <= self.done {
            return Ok(());
        }
        if message.from != self.own {
            return Err(RestoreError::ForeignVote { from: message.from });
        }
        message.clone().verify(&self.context)?;
        let place = (ballot.slot, kind);
        if let Some((view, digest, _)) = self.votes.get(&place) {
            if *view == ballot.view && *digest != ballot.digest {
                return Err(RestoreError::TwoVotes { kind, ballot });
            }
            if *view >= ballot.view {
                return Ok(());
            }
        }
        let vote = (ballot.view, ballot.digest, message.signature);
        self.votes.insert(place, vote);
        Ok(())
    }

    fn restore_view_change(&mut self, message: &SignedMessage) -> Result<(), RestoreError> {
        let Body::ViewChange(view_change) = &message.body else {
            return Err(RestoreError::NotAVote {
                kind: message.body.kind(),
            });
        };
        if message.from != self.own {
            return Err(RestoreError::ForeignVote { from: message.from });
        }
        message.clone().verify(&self.context)?;
        if self.target().is_none_or(|target| target < view_change.view) {
            self.view_change = Some(message.clone());
        }
        Ok(())
    }

    fn restore_new_view(&mut self, message: &SignedMessage) -> Result<(), RestoreError> {
        let Body::NewView(new_view) = &message.body else {
            return Err(RestoreError::NotAVote {
                kind: message.body.kind(),
            });
        };
        message.clone().verify(&self.context)?;
        if new_view.view > self.entered {
            self.note_entered(message.from, new_view);
        }
        Ok(())
    }

    fn note_entered(&mut self, from: ValidatorIndex, new_view: &NewView) {
        self.entered = new_view.view;
        let last = new_view.proposals.last().map(|carried| carried.slot);
        self.carried_through = last.filter(|_| from == self.own).unwrap_or(Slot(0));
        self.voted = self.voted.max(self.carried_through);
    }

    /// The view that the newest VIEW-CHANGE is for.
    pub(crate) fn target(&self) -> Option<View> {
        match &self.view_change.as_ref()?.body {
            Body::ViewChange(view_change) => Some(view_change.view),
            Body::PrePrepare(_)
            | Body::Prepare(_)
            | Body::Commit(_)
            | Body::Checkpoint(_)
            | Body::Status(_)
            | Body::Certificate(_)
            | Body::NewView(_) => None,
        }
    }

    /// The highest slot that it voted in, as far as remembered.
    pub(crate) fn voted(&self) -> Slot {
        self.voted
    }

    /// The highest view that it signed a VIEW-CHANGE for, as far as remembered.
    pub(crate) fn left(&self) -> View {
        self.target().unwrap_or(View(0))
    }

    /// The newest VIEW-CHANGE, as it was signed.
    pub(crate) fn view_change(&self) -> Option<&SignedMessage> {
        self.view_change.as_ref()
    }

    /// The view whose NEW-VIEW was taken last; 0 needs none.
    pub(crate) fn entered(&self) -> View {
        self.entered
    }

    /// From now on new things are signed, in views from `view_least` on: what was signed before is
    /// remembered, or lies where nothing will be signed again.
    pub(crate) fn speak(&mut self, view_least: View) {
        self.silent = false;
        self.view_least = view_least;
    }

    /// Whether nothing new is signed.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Whether anything new is signed in this view, as far as memory goes.
    pub(crate) fn may_sign_in(&self, view: View) -> bool {
        !self.silent && view >= self.view_least
    }

    fn admit(&self, view: View) -> Result<(), Refused> {
        let may = self.may_sign_in(view);
        may.then_some(()).ok_or(Refused::Silent)
    }

    /// Whether a vote of this validator, in a slot that is not certified, is one that it remembers
    /// to have signed.
    pub(crate) fn remembers_vote(&self, kind: VoteKind, ballot: &Ballot) -> bool {
        let Ballot { view, slot, digest } = *ballot;
        // What its NEW-VIEWs carried stands in them. Of those only the newest is kept: nothing is
        // signed in earlier views any more.
        let is_carried = kind == VoteKind::PrePrepare
            && (view < self.entered || (view == self.entered && slot <= self.carried_through));
        let vote = self.votes.get(&(slot, kind));
        is_carried
            || vote.is_some_and(|(newest, said, _)| {
                *newest > view || (*newest == view && *said == digest)
            })
    }

    /// The promise to vote in no view below that of `view_change` any more.
    pub(crate) fn leave(&mut self, view_change: ViewChange) -> Result<Promise, Refused> {
        let view = view_change.view;
        self.admit(view)?;
        if view <= self.entered || self.target().is_some_and(|target| view <= target) {
            return Err(Refused::OtherView);
        }
        let message = self.sign(Body::ViewChange(view_change));
        self.view_change = Some(message.clone());
        Ok(Promise {
            records: vec![Record::ViewChange(message.clone())],
            message,
        })
    }

    /// From now on votes are signed in the view of this verified NEW-VIEW, once it is durable.
    pub(crate) fn enter(&mut self, message: &SignedMessage) -> Result<Record, Refused> {
        let Body::NewView(new_view) = &message.body else {
            return Err(Refused::OtherView);
        };
        let view = new_view.view;
        if view <= self.entered || self.target().is_some_and(|target| view < target) {
            return Err(Refused::OtherView);
        }
        self.note_entered(message.from, new_view);
        Ok(Record::NewView(message.clone()))
    }

    /// The NEW-VIEW of the view that this validator wants to get to, as its primary, with what was
    /// selected from `view_changes`. The one way to a PRE-PREPARE for a slot that may be certified
    /// here: others may not know, and the NEW-VIEW binds for the whole view.
    pub(crate) fn begin(
        &mut self,
        view_changes: Vec<SignedViewChange>,
        selected: &[(Slot, BatchDigest)],
    ) -> Result<Promise, Refused> {
        let view = self.target().filter(|target| *target > self.entered);
        let view = view.ok_or(Refused::OtherView)?;
        self.admit(view)?;
        let proposals = selected
            .iter()
            .map(|&(slot, digest)| {
                let ballot = Ballot { view, slot, digest };
                let signature = self.sign(Body::PrePrepare(ballot)).signature;
                CarriedProposal {
                    slot,
                    digest,
                    signature,
                }
            })
            .collect();
        let message = self.sign(Body::NewView(NewView {
            view,
            view_changes,
            proposals,
        }));
        let record = self.enter(&message)?;
        Ok(Promise {
            records: vec![record],
            message,
        })
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
        let message = self.vote(kind, ballot)?;
        let mut records = Vec::new();
        if self.batches.insert((slot, ballot.digest)) {
            let batch = Batch::clone(held.batch());
            records.push(Record::Batch { slot, batch });
        }
        records.push(Record::Vote(message.clone()));
        Ok(Promise { records, message })
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
        self.admit(ballot.view)?;
        if ballot.slot <= self.done {
            return Err(Refused::Done);
        }
        let is_left = self.target().is_some_and(|target| ballot.view < target);
        if ballot.view != self.entered || is_left {
            return Err(Refused::OtherView);
        }
        if kind == VoteKind::PrePrepare && ballot.slot <= self.carried_through {
            return Err(Refused::Contradiction);
        }
        let body = Body::of_vote(kind, ballot);
        let place = (ballot.slot, kind);
        if let Some((view, digest, signature)) = self.votes.get(&place)
            && *view >= ballot.view
        {
            if *view > ballot.view || *digest != ballot.digest {
                return Err(Refused::Contradiction);
            }
            return Ok(self.context.message(self.own, body, *signature));
        }
        let message = self.sign(body);
        let vote = (ballot.view, ballot.digest, message.signature);
        self.votes.insert(place, vote);
        self.voted = self.voted.max(ballot.slot);
        Ok(message)
    }

    /// Cosigns what was executed. Its bytes follow from the durable block, so there is nothing to
    /// persist; a height is cosigned once and heights only grow.
    pub(crate) fn checkpoint(
        &mut self,
        statement: &CheckpointStatement,
    ) -> Result<SignedMessage, Refused> {
        if self.silent {
            return Err(Refused::Silent);
        }
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
            .split_off(&(self.done.next(), VoteKind::PrePrepare));
        self.batches = self
            .batches
            .split_off(&(self.done.next(), BatchDigest([0; 32])));
    }

    /// The votes in slots that are not certified, in each place that of the highest view.
    pub(crate) fn votes(&self) -> impl Iterator<Item = SignedMessage> {
        self.votes
            .iter()
            .map(|(&(slot, kind), &(view, digest, signature))| {
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

    fn safety(own: u16, done: u64, records: &[Record]) -> Safety {
        let key = |byte| SecretKey::from_seed(&[byte; 32]);
        let validator = |name: &str, first| Validator {
            name: name.to_owned(),
            consensus_key: key(first).public(),
            network_key: key(first + 1).public(),
            log_key: key(first + 2).public(),
        };
        let validators = vec![validator("zero", 1), validator("one", 4)];
        let context = Context {
            chain: ChainId([7; 32]),
            validators: ValidatorSet::new(Epoch(0), validators).expect("all differ"),
            window_slots: 4,
        };
        let key = key(if own == 0 { 1 } else { 4 });
        let index = ValidatorIndex(own);
        let safety = Safety::new(key, index, context, Slot(done), records);
        let mut safety = safety.expect("own records");
        safety.speak(View(0));
        safety
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

    /// Who asks, and for what.
    const ASKS: [(u16, Ask); 3] = [
        (0, |safety, slot, batch| {
            safety.pre_prepare(View(0), Slot(slot), batch)
        }),
        (1, |safety, slot, batch| {
            safety.prepare(View(0), Slot(slot), batch)
        }),
        (1, |safety, slot, batch| {
            safety.commit(&prepared(slot, batch))
        }),
    ];

    #[test]
    fn a_second_digest_in_one_place_is_never_signed() {
        for (own, ask) in ASKS {
            let mut safety = safety(own, 0, &[]);
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
        for (own, ask) in ASKS {
            let promise = ask(&mut safety(own, 0, &[]), 1, &batch(1)).expect("nothing was signed");
            let mut safety = safety(own, 0, &promise.records);
            let refused = ask(&mut safety, 1, &batch(2)).map(|promise| promise.message);
            assert_eq!(refused, Err(Refused::Contradiction));
            let sent: Vec<SignedMessage> = safety.votes().collect();
            assert_eq!(sent, [promise.message]);
        }
    }

    #[test]
    fn nothing_is_signed_for_certified_slots() {
        for (own, ask) in ASKS {
            let mut safety = safety(own, 3, &[]);
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
        for (own, ask) in ASKS {
            let promise = ask(&mut safety(own, 0, &[]), 1, &batch(1)).expect("nothing was signed");
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
        let mut safety = safety(0, 0, &[]);
        let first = safety.checkpoint(&statement(5, 1)).expect("the first");
        assert_eq!(safety.checkpoint(&statement(5, 1)), Ok(first));
        let other = safety.checkpoint(&statement(5, 2));
        assert_eq!(other, Err(Refused::Contradiction));
        assert_eq!(safety.checkpoint(&statement(4, 1)), Err(Refused::Done));
        assert!(safety.checkpoint(&statement(6, 2)).is_ok());
    }
}
