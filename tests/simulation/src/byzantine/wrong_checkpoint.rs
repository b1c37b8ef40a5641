//! Cosigns other roots than it executed, the same to all or to each another one.

use std::sync::Arc;

use chancery_consensus::Body;
use chancery_ledger::ValidatorIndex;

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct WrongCheckpoint {
    /// In a hundred of its CHECKPOINTs.
    percent: u64,
    same_to_all: bool,
}

impl WrongCheckpoint {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: *random.pick(&[20, 60, 100]).expect("some"),
            same_to_all: random.percent(50),
        }
    }
}

impl Liar for WrongCheckpoint {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let own = mouth.own;
        let message = message_of(&frame).filter(|message| message.from == own);
        if let Some(Body::Checkpoint(statement)) = message.map(|message| &message.body)
            && mouth.random.percent(self.percent)
        {
            let mut statement = statement.clone();
            let to_whom = u8::try_from(to.0).expect("few validators");
            statement.root.0[0] ^= if self.same_to_all { 0x80 } else { 0x80 + to_whom };
            if mouth.random.percent(20) {
                statement.time_seconds += 1;
            }
            mouth.count("wrong root cosigned");
            let message = mouth.sign(Body::Checkpoint(statement));
            return mouth.say(to, Frame::Message(Arc::new(message)));
        }
        mouth.say(to, frame);
    }
}
