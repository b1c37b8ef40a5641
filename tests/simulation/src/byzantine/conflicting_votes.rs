//! A backup that votes for one batch towards some and for another one towards the rest, and sends
//! COMMITs for what it never saw prepared.

use std::sync::Arc;

use chancery_consensus::{Ballot, Body, VoteKind};
use chancery_ledger::{BatchDigest, ValidatorIndex};

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct ConflictingVotes {
    /// In a hundred of its votes.
    percent: u64,
    /// Digests that others voted for lately.
    seen: Vec<BatchDigest>,
}

impl ConflictingVotes {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: *random.pick(&[10, 40, 80]).expect("some"),
            seen: Vec::new(),
        }
    }

    /// Another digest that is around, or one of nothing.
    fn other(&self, mouth: &mut Mouth, than: BatchDigest) -> BatchDigest {
        let around: Vec<BatchDigest> = self.seen.iter().copied().filter(|d| *d != than).collect();
        let drawn = mouth.random.draw().to_le_bytes();
        let nothing = BatchDigest([drawn[0]; 32]);
        if mouth.random.percent(80) {
            mouth.random.pick(&around).copied().unwrap_or(nothing)
        } else {
            nothing
        }
    }
}

impl Liar for ConflictingVotes {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let own = mouth.own;
        let vote = message_of(&frame)
            .filter(|message| message.from == own)
            .and_then(|message| message.body.vote())
            .filter(|(kind, _)| *kind != VoteKind::PrePrepare);
        let lies = mouth.random.percent(self.percent);
        if let Some((kind, ballot)) = vote.filter(|_| lies) {
            let digest = self.other(mouth, ballot.digest);
            let body = Body::of_vote(kind, Ballot { digest, ..ballot });
            let message = mouth.sign(body);
            mouth.say(to, Frame::Message(Arc::new(message)));
            mouth.count("conflicting vote");
            if mouth.random.percent(50) {
                return;
            }
        }
        mouth.say(to, frame);
    }

    fn hear(&mut self, mouth: &mut Mouth, _from: ValidatorIndex, frame: &Frame) {
        let Some((kind, ballot)) = message_of(frame).and_then(|message| message.body.vote()) else {
            return;
        };
        if self.seen.len() < 32 && !self.seen.contains(&ballot.digest) {
            self.seen.push(ballot.digest);
        }
        if kind == VoteKind::PrePrepare && mouth.random.percent(self.percent) {
            // It stands for whatever is proposed, prepared or not.
            let commit = mouth.sign(Body::Commit(ballot));
            mouth.say_to_all(&Frame::Message(Arc::new(commit)));
            mouth.count("COMMIT without a certificate");
        }
    }
}
