//! Claims to be in views far away: near 2^64, a thousand million ahead, back and forth.

use std::sync::Arc;

use chancery_consensus::{Ballot, Body, ViewChange};
use chancery_ledger::{BatchDigest, Slot, View};

use super::{Liar, Mouth};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct HugeViews {
    /// In a hundred ticks.
    percent: u64,
}

impl HugeViews {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: random.between(2, 20),
        }
    }
}

impl Liar for HugeViews {
    fn speak(&mut self, mouth: &mut Mouth, to: chancery_ledger::ValidatorIndex, frame: Frame) {
        mouth.say(to, frame);
    }

    fn tick(&mut self, mouth: &mut Mouth) {
        if !mouth.random.percent(self.percent) {
            return;
        }
        let near = mouth.random.below(30);
        let choices = [
            u64::MAX,
            u64::MAX - 1,
            u64::MAX - near,
            1_000_000_000 + near,
            u64::from(u32::MAX) + near,
            near,
        ];
        let view = View(*mouth.random.pick(&choices).expect("some"));
        let slot = Slot(*mouth.random.pick(&[1, 5, 1 << 40, u64::MAX - 1]).expect("some"));
        let digest = BatchDigest([9; 32]);
        let ballot = Ballot { view, slot, digest };
        let body = match mouth.random.below(4) {
            0 => Body::Prepare(ballot),
            1 => Body::Commit(ballot),
            2 => Body::PrePrepare(ballot),
            _ => Body::ViewChange(ViewChange {
                view,
                stable: None,
                prepared: Vec::new(),
            }),
        };
        let message = mouth.sign(body);
        mouth.say_to_all(&Frame::Message(Arc::new(message)));
        mouth.count("huge view");
    }
}
