//! A primary that proposes a batch and gives it to some only: to none, to one, to f + 1, to all but
//! one.

use chancery_ledger::ValidatorIndex;

use super::{Liar, Mouth};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct WithheldBatch {
    /// How many others get a batch.
    given_to: u64,
    /// Whether it withholds from the same ones always.
    always_the_same: bool,
    first: u64,
}

impl WithheldBatch {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            given_to: random.below(6),
            always_the_same: random.percent(50),
            first: random.draw() % 64,
        }
    }
}

impl Liar for WithheldBatch {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        if let Frame::Batch(batch) = &frame {
            let turn = if self.always_the_same {
                0
            } else {
                u64::from(batch.digest().0[0])
            };
            let place = (u64::from(to.0) + self.first + turn) % u64::from(mouth.validators);
            if place >= self.given_to {
                mouth.count("batch withheld");
                return;
            }
        }
        // Nor does it help others to it.
        if matches!(&frame, Frame::Blocks { .. }) {
            return;
        }
        mouth.say(to, frame);
    }
}
