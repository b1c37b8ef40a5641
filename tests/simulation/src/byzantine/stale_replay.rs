//! Keeps whatever passes by, of every view and of everybody, and says it again much later.

use std::collections::VecDeque;

use chancery_ledger::ValidatorIndex;

use super::{Liar, Mouth};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct StaleReplay {
    kept: VecDeque<Frame>,
    /// Replayed each time.
    burst: u64,
}

impl StaleReplay {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            kept: VecDeque::new(),
            burst: random.between(1, 6),
        }
    }

    fn keep(&mut self, mouth: &mut Mouth, frame: &Frame) {
        if !matches!(frame, Frame::Message(_) | Frame::Batch(_)) {
            return;
        }
        if self.kept.len() < 400 {
            self.kept.push_back(frame.clone());
        } else if mouth.random.percent(5) {
            let place = mouth.random.index(self.kept.len());
            if let Some(kept) = self.kept.get_mut(place) {
                *kept = frame.clone();
            }
        }
    }
}

impl Liar for StaleReplay {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        self.keep(mouth, &frame);
        mouth.say(to, frame);
    }

    fn hear(&mut self, mouth: &mut Mouth, _from: ValidatorIndex, frame: &Frame) {
        self.keep(mouth, frame);
    }

    fn tick(&mut self, mouth: &mut Mouth) {
        if self.kept.is_empty() || !mouth.random.percent(30) {
            return;
        }
        for _ in 0..self.burst {
            let place = mouth.random.index(self.kept.len());
            let to = ValidatorIndex(
                u16::try_from(mouth.random.below(u64::from(mouth.validators))).expect("a u16"),
            );
            if let Some(frame) = self.kept.get(place).cloned()
                && to != mouth.own
            {
                mouth.say(to, frame);
                mouth.count("replayed");
            }
        }
    }
}
