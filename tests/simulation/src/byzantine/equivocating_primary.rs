//! A primary that proposes one batch to some and another one to the rest, every split of them, votes
//! for both, and afterwards shows certificates for whichever is worse, made of the PREPAREs it got,
//! some of them twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_consensus::{
    Ballot, Body, PreparedCertificate, ViewChange, VoteKind, VoteSignature,
};
use chancery_ledger::{BatchDigest, Millis, Signature, Slot, ValidatorIndex, View};

use super::{Liar, Mouth, message_of};
use crate::fixture::START_MS;
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct EquivocatingPrimary {
    /// In a hundred of its proposals.
    percent: u64,
    /// The other digest and who gets it (a bitmap), where it proposed two; none where it did not.
    other: BTreeMap<(View, Slot), Option<(BatchDigest, u64)>>,
    /// Those who get both.
    both: u64,
    /// PREPAREs that others sent for what it proposed.
    prepares: BTreeMap<Ballot, BTreeMap<ValidatorIndex, Signature>>,
    /// Its newest VIEW-CHANGE, forged.
    forged: Option<(View, Frame)>,
}

impl EquivocatingPrimary {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: *random.pick(&[20, 50, 100]).expect("some"),
            other: BTreeMap::new(),
            both: if random.percent(30) { random.draw() } else { 0 },
            prepares: BTreeMap::new(),
            forged: None,
        }
    }

    /// Decides once for each slot of a view; the other batch goes out with the decision.
    fn other(&mut self, mouth: &mut Mouth, ballot: Ballot) -> Option<(BatchDigest, u64)> {
        if let Some(decided) = self.other.get(&(ballot.view, ballot.slot)) {
            return *decided;
        }
        let decided = mouth.random.percent(self.percent).then(|| {
            let time = Millis(START_MS + mouth.now_ms);
            let batch = mouth.other_batch(time);
            mouth.say_to_all(&Frame::Batch(Arc::clone(&batch)));
            mouth.count("two proposals for one slot");
            (batch.digest(), mouth.random.draw())
        });
        self.other.insert((ballot.view, ballot.slot), decided);
        decided
    }
}

impl EquivocatingPrimary {
    /// Puts a certificate for the other batch in the place of each honest one.
    fn forge(&self, mouth: &mut Mouth, mut change: ViewChange) -> Frame {
        let low = change.low();
        let count = usize::from(mouth.validators);
        let quorum = (1..=count).find(|size| 2 * size > count + (count - 1) / 3);
        let needed = quorum.unwrap_or(count) - 1;
        for (ballot, prepares) in &self.prepares {
            if ballot.slot <= low || prepares.is_empty() {
                continue;
            }
            let signatures = prepares.iter().map(|(validator, signature)| VoteSignature {
                validator: *validator,
                signature: *signature,
            });
            let mut prepares: Vec<VoteSignature> = signatures.cycle().take(needed).collect();
            prepares.sort_by_key(|vote| vote.validator);
            let certificate = PreparedCertificate {
                ballot: *ballot,
                pre_prepare: mouth.sign(Body::PrePrepare(*ballot)).signature,
                prepares,
            };
            let place = change
                .prepared
                .binary_search_by_key(&ballot.slot, |there| there.ballot.slot);
            match place {
                Ok(place) => change.prepared[place] = certificate,
                Err(place) => change.prepared.insert(place, certificate),
            }
        }
        mouth.count("certificate of doubled signatures");
        Frame::Message(Arc::new(mouth.sign(Body::ViewChange(change))))
    }

    fn speak_of_view_change(
        &mut self,
        mouth: &mut Mouth,
        to: ValidatorIndex,
        change: ViewChange,
        frame: Frame,
    ) {
        let view = change.view;
        if self.forged.as_ref().is_none_or(|(known, _)| *known != view) {
            let lies = !self.prepares.is_empty() && mouth.random.percent(50);
            let said = if lies {
                self.forge(mouth, change)
            } else {
                frame
            };
            self.forged = Some((view, said));
        }
        if let Some((_, said)) = &self.forged {
            let said = said.clone();
            mouth.say(to, said);
        }
    }
}

impl Liar for EquivocatingPrimary {
    fn hear(&mut self, mouth: &mut Mouth, _from: ValidatorIndex, frame: &Frame) {
        let Some(message) = message_of(frame) else {
            return;
        };
        if let Some((VoteKind::Prepare, ballot)) = message.body.vote()
            && mouth.is_primary(ballot.view)
        {
            let place = (ballot.view, ballot.slot);
            let other = self.other.get(&place).copied().flatten();
            if other.is_some_and(|(digest, _)| digest == ballot.digest) {
                let prepares = self.prepares.entry(ballot).or_default();
                prepares.insert(message.from, message.signature);
            }
        }
    }

    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let own = mouth.own;
        if let Some(message) = message_of(&frame)
            && message.from == own
            && let Body::ViewChange(change) = &message.body
        {
            let change = change.clone();
            return self.speak_of_view_change(mouth, to, change, frame);
        }
        let vote = message_of(&frame)
            .filter(|message| message.from == own)
            .and_then(|message| message.body.vote());
        let Some((kind, ballot)) = vote else {
            return mouth.say(to, frame);
        };
        let other = match kind {
            VoteKind::PrePrepare => self.other(mouth, ballot),
            VoteKind::Prepare | VoteKind::Commit => self
                .other
                .get(&(ballot.view, ballot.slot))
                .copied()
                .flatten(),
        };
        let Some((digest, whom)) = other else {
            return mouth.say(to, frame);
        };
        let bit = 1 << to.0;
        if whom & bit != 0 || self.both & bit != 0 {
            let body = Body::of_vote(kind, Ballot { digest, ..ballot });
            let message = mouth.sign(body);
            mouth.say(to, Frame::Message(Arc::new(message)));
            if kind == VoteKind::PrePrepare {
                // Its PREPARE would count twice, were it counted.
                let prepare = mouth.sign(Body::Prepare(Ballot { digest, ..ballot }));
                mouth.say(to, Frame::Message(Arc::new(prepare)));
                // It stands for its other proposal as if it were prepared.
                let commit = mouth.sign(Body::Commit(Ballot { digest, ..ballot }));
                mouth.say(to, Frame::Message(Arc::new(commit)));
            }
        }
        if whom & bit == 0 || self.both & bit != 0 {
            mouth.say(to, frame);
        }
    }
}
