//! Lies about what it has and about what it heard: claims heights, votes and views that nobody has
//! or had, has everything or nothing, and heard of other processes with others' keys.

use std::sync::Arc;

use chancery_consensus::{Body, Status};
use chancery_ledger::{Height, Slot, ValidatorIndex, View};

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct LyingStatus {
    /// In a hundred of its STATUS messages.
    percent: u64,
}

impl LyingStatus {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: *random.pick(&[20, 60, 100]).expect("some"),
        }
    }
}

fn lie(random: &mut Random, validators: u16, status: &mut Status) {
    let all = (1_u32 << validators) - 1;
    match random.below(9) {
        0 => status.stable = Height(status.stable.0.saturating_add(random.below(1_000))),
        1 => status.executed = Height(status.executed.0.saturating_add(random.below(1_000))),
        2 => status.stable = Height(0),
        3 => status.view = View(status.view.0.saturating_add(random.below(100))),
        4 => status.changing = !status.changing,
        5 => {
            for slot in &mut status.slots {
                slot.pre_prepare = true;
                slot.batch = true;
                slot.prepares = all;
                slot.commits = all;
                slot.checkpoints = all;
            }
        }
        6 => status.slots.clear(),
        7 => {
            for heard in &mut status.heard {
                heard.voted = Slot(heard.voted.0.saturating_add(random.below(50)));
                heard.left = View(heard.left.0.saturating_add(random.below(50)));
            }
        }
        _ => {
            for heard in &mut status.heard {
                heard.incarnation = random.draw();
            }
        }
    }
}

impl Liar for LyingStatus {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let own = mouth.own;
        let message = message_of(&frame).filter(|message| message.from == own);
        if let Some(Body::Status(status)) = message.map(|message| &message.body)
            && mouth.random.percent(self.percent)
        {
            let mut status = status.clone();
            lie(&mut mouth.random, mouth.validators, &mut status);
            mouth.count("lying STATUS");
            let message = mouth.sign(Body::Status(status));
            return mouth.say(to, Frame::Message(Arc::new(message)));
        }
        mouth.say(to, frame);
    }
}
