//! A primary that orders batches as fast as anybody, and never one with a transaction in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_consensus::{Ballot, Body};
use chancery_ledger::{BatchDigest, Millis, ValidatorIndex};

use super::{Liar, Mouth, message_of};
use crate::fixture::START_MS;
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct CensoringPrimary {
    /// What is said instead of its process's own proposals.
    instead: BTreeMap<BatchDigest, BatchDigest>,
}

impl CensoringPrimary {
    pub(super) fn new(_random: &mut Random) -> Self {
        Self {
            instead: BTreeMap::new(),
        }
    }
}

impl Liar for CensoringPrimary {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        if let Frame::Batch(batch) = &frame
            && !batch.transactions.is_empty()
            && !self.instead.contains_key(&batch.digest())
        {
            let empty = mouth.other_batch(Millis(START_MS + mouth.now_ms));
            self.instead.insert(batch.digest(), empty.digest());
            mouth.say_to_all(&Frame::Batch(empty));
            mouth.count("transactions left out");
        }
        if let Frame::Batch(batch) = &frame
            && self.instead.contains_key(&batch.digest())
        {
            return;
        }
        let own = mouth.own;
        let vote = message_of(&frame)
            .filter(|message| message.from == own)
            .and_then(|message| message.body.vote());
        if let Some((kind, ballot)) = vote
            && let Some(digest) = self.instead.get(&ballot.digest).copied()
            && mouth.is_primary(ballot.view)
        {
            let body = Body::of_vote(kind, Ballot { digest, ..ballot });
            let message = mouth.sign(body);
            return mouth.say(to, Frame::Message(Arc::new(message)));
        }
        mouth.say(to, frame);
    }
}
