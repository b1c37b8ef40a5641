//! Makes a small change to what it says and signs that: one view, slot or height more or less, an
//! older digest, a bit of a status.

use std::sync::Arc;

use chancery_consensus::{Ballot, Body, SignedMessage};
use chancery_ledger::{BatchDigest, Height, Slot, ValidatorIndex, View};
use parity_scale_codec::{Decode as _, Encode as _};

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct Mutator {
    /// In a hundred of its messages.
    percent: u64,
    digests: Vec<BatchDigest>,
}

impl Mutator {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: *random.pick(&[3, 10, 40]).expect("some"),
            digests: Vec::new(),
        }
    }

    fn mutate(&mut self, random: &mut Random, message: &SignedMessage) -> Option<Body> {
        if let Some((kind, ballot)) = message.body.vote() {
            let Ballot { view, slot, digest } = ballot;
            let ballot = match random.below(5) {
                0 => Ballot {
                    view: View(view.0.saturating_add(1)),
                    ..ballot
                },
                1 => Ballot {
                    view: View(view.0.saturating_sub(1)),
                    ..ballot
                },
                2 => Ballot {
                    slot: Slot(slot.0.saturating_add(1)),
                    ..ballot
                },
                3 => Ballot {
                    slot: Slot(slot.0.saturating_sub(1)),
                    ..ballot
                },
                _ => Ballot {
                    digest: *random.pick(&self.digests).unwrap_or(&digest),
                    ..ballot
                },
            };
            return Some(Body::of_vote(kind, ballot));
        }
        if let Body::Checkpoint(statement) = &message.body
            && random.percent(50)
        {
            let mut statement = statement.clone();
            statement.height = Height(statement.height.0.saturating_add(1));
            return Some(Body::Checkpoint(statement));
        }
        // Any bit, where that is still something.
        let mut bytes = message.body.encode();
        let place = random.index(bytes.len());
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= 1 << random.below(8);
        }
        Body::decode(&mut bytes.as_slice()).ok()
    }
}

impl Liar for Mutator {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let own = mouth.own;
        let Some(message) = message_of(&frame).filter(|message| message.from == own) else {
            return mouth.say(to, frame);
        };
        if let Some((_, ballot)) = message.body.vote()
            && self.digests.len() < 16
        {
            self.digests.push(ballot.digest);
        }
        if mouth.random.percent(self.percent)
            && let Some(body) = self.mutate(&mut mouth.random, message)
            && !matches!(&body, Body::Checkpoint(statement) if statement.height.0 == u64::MAX)
        {
            mouth.count("mutation");
            let message = mouth.sign(body);
            mouth.say(to, Frame::Message(Arc::new(message)));
            if mouth.random.percent(50) {
                return;
            }
        }
        mouth.say(to, frame);
    }
}
