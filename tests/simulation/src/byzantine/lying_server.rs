//! Answers who catches up with other blocks than were ordered: one batch changed, in another order,
//! from another height, too few, or nothing at all. Forges certificates of heights that nobody
//! reached.

use std::sync::Arc;

use chancery_consensus::Body;
use chancery_ledger::{Height, Millis, ValidatorIndex};

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct LyingServer {
    /// In a hundred answers.
    percent: u64,
}

impl LyingServer {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: *random.pick(&[50, 100]).expect("some"),
        }
    }
}

impl Liar for LyingServer {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        if !mouth.random.percent(self.percent) {
            return mouth.say(to, frame);
        }
        if let Frame::Blocks { above, batches } = &frame {
            let mut above = *above;
            let mut batches = batches.to_vec();
            match mouth.random.below(5) {
                0 => {
                    let place = mouth.random.index(batches.len());
                    let other = mouth.other_batch(Millis(crate::fixture::START_MS));
                    if let Some(batch) = batches.get_mut(place) {
                        *batch = other;
                    }
                }
                1 => batches.reverse(),
                2 => above = Height(above.0 + 1),
                3 => {
                    let kept = mouth.random.index(batches.len());
                    batches.truncate(kept);
                }
                _ => return,
            }
            mouth.count("lie to one who catches up");
            let batches = Arc::new(batches);
            return mouth.say(to, Frame::Blocks { above, batches });
        }
        let Some(Body::Certificate(certificate)) = message_of(&frame).map(|message| &message.body)
        else {
            return mouth.say(to, frame);
        };
        let mut certificate = certificate.clone();
        match mouth.random.below(3) {
            0 => certificate.statement.height = Height(certificate.statement.height.0 + 1_000),
            1 => certificate.statement.root.0[0] ^= 1,
            _ => {
                certificate.cosignatures.pop();
            }
        }
        mouth.count("forged certificate");
        let message = mouth.sign(Body::Certificate(certificate));
        mouth.say(to, Frame::Message(Arc::new(message)));
    }
}
