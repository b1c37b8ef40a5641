//! A primary that proposes one batch to some and another one to the rest, every split of them, and
//! votes for both.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_consensus::{Ballot, Body, VoteKind};
use chancery_ledger::{BatchDigest, Millis, Slot, ValidatorIndex, View};

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
}

impl EquivocatingPrimary {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: *random.pick(&[20, 50, 100]).expect("some"),
            other: BTreeMap::new(),
            both: if random.percent(30) { random.draw() } else { 0 },
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

impl Liar for EquivocatingPrimary {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let own = mouth.own;
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
