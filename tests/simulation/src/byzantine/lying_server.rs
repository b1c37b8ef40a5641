//! Answers who catches up with other blocks than were ordered: one batch changed, in another order,
//! from another height, too few, or nothing at all. Forges certificates of heights that nobody
//! reached.

use std::sync::Arc;

use chancery_consensus::Body;
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{Height, Millis, ValidatorIndex};

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct LyingServer {
    /// In a hundred answers.
    percent: u64,
    known: Option<CheckpointCertificate>,
    heard: Option<CheckpointStatement>,
}

impl LyingServer {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: *random.pick(&[50, 100]).expect("some"),
            known: None,
            heard: None,
        }
    }

    fn lie(&self, mouth: &mut Mouth, to: ValidatorIndex, mut certificate: CheckpointCertificate) {
        match mouth.random.below(5) {
            0 => certificate.statement.height = Height(certificate.statement.height.0.saturating_add(1_000)),
            1 => certificate.statement.root.0[0] ^= 1,
            2 => {
                certificate.cosignatures.pop();
            }
            choice => {
                // All signatures its own, under what nobody has executed.
                if choice == 3
                    && let Some(statement) = &self.heard
                {
                    certificate.statement = statement.clone();
                }
                certificate.statement.height = Height(certificate.statement.height.0.saturating_add(5));
                certificate.statement.root.0[0] ^= 1;
                let body = Body::Checkpoint(certificate.statement.clone());
                let signature = mouth.sign(body).signature;
                for cosignature in &mut certificate.cosignatures {
                    cosignature.validator = mouth.own;
                    cosignature.signature = signature;
                }
            }
        }
        mouth.count("forged certificate");
        let message = mouth.sign(Body::Certificate(certificate));
        mouth.say(to, Frame::Message(Arc::new(message)));
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
                2 => above = Height(above.0.saturating_add(1)),
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
        let body = message_of(&frame).map(|message| &message.body);
        match body {
            Some(Body::Certificate(certificate)) => {
                let certificate = certificate.clone();
                self.lie(mouth, to, certificate);
            }
            Some(Body::Status(_)) => {
                // Whether it is asked for or not.
                if let Some(certificate) = self.known.clone() {
                    self.lie(mouth, to, certificate);
                }
                mouth.say(to, frame);
            }
            _ => mouth.say(to, frame),
        }
    }

    fn hear(&mut self, _mouth: &mut Mouth, _from: ValidatorIndex, frame: &Frame) {
        if let Some(Body::Checkpoint(statement)) = message_of(frame).map(|message| &message.body) {
            self.heard = Some(statement.clone());
        }
        if let Some(Body::Certificate(certificate)) =
            message_of(frame).map(|message| &message.body)
        {
            self.known = Some(certificate.clone());
        }
    }
}
