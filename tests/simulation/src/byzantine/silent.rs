//! Says nothing, or nothing of some kinds, or nothing to some.

use chancery_consensus::Body;
use chancery_ledger::ValidatorIndex;

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct Silent {
    what: What,
    /// A bitmap.
    to_whom: u64,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Everything,
    Votes,
    NewViews,
    ViewChanges,
    Statuses,
    Checkpoints,
}

impl Silent {
    pub(super) fn new(random: &mut Random) -> Self {
        use What::{Checkpoints, Everything, NewViews, Statuses, ViewChanges, Votes};
        let whats = [Everything, Votes, NewViews, ViewChanges, Statuses, Checkpoints];
        let to_all = random.percent(40);
        Self {
            what: *random.pick(&whats).expect("some"),
            to_whom: if to_all { u64::MAX } else { random.draw() },
        }
    }
}

impl Liar for Silent {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let body = message_of(&frame).map(|message| &message.body);
        let is_meant = match self.what {
            What::Everything => true,
            What::Votes => body.is_some_and(|body| body.vote().is_some()),
            What::NewViews => matches!(body, Some(Body::NewView(_))),
            What::ViewChanges => matches!(body, Some(Body::ViewChange(_))),
            What::Statuses => matches!(body, Some(Body::Status(_))),
            What::Checkpoints => matches!(body, Some(Body::Checkpoint(_))),
        };
        if is_meant && self.to_whom & (1 << to.0) != 0 {
            mouth.count("kept silent");
            return;
        }
        mouth.say(to, frame);
    }
}
