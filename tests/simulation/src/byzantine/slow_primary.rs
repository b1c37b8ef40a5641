//! A primary that delays its proposals, to just below the time after which it would be replaced.

use chancery_consensus::VoteKind;
use chancery_ledger::ValidatorIndex;

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct SlowPrimary {
    /// In a hundredth of the base timeout.
    percent: u64,
}

impl SlowPrimary {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: random.between(10, 130),
        }
    }
}

impl Liar for SlowPrimary {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let own = mouth.own;
        let vote = message_of(&frame)
            .filter(|message| message.from == own)
            .and_then(|message| message.body.vote());
        if let Some((VoteKind::PrePrepare, _)) = vote {
            mouth.count("slow proposal");
            let delay = mouth.view_timeout_ms * self.percent / 100;
            mouth.say_after(delay, to, frame);
        } else {
            mouth.say(to, frame);
        }
    }
}
