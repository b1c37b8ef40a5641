//! Asks for the next view all the time, whoever leads.

use std::sync::Arc;

use chancery_consensus::{Body, ViewChange};
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::{ValidatorIndex, View};

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct ViewChangeSpam {
    /// In a hundred ticks.
    percent: u64,
    /// The highest view that was spoken of.
    view: u64,
    stable: Option<CheckpointCertificate>,
    asked: u64,
}

impl ViewChangeSpam {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: random.between(2, 30),
            view: 0,
            stable: None,
            asked: 0,
        }
    }
}

impl Liar for ViewChangeSpam {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        // Its process does not ask for what was asked for already.
        let own = mouth.own;
        let message = message_of(&frame).filter(|message| message.from == own);
        match message.map(|message| &message.body) {
            Some(Body::ViewChange(change)) if change.view.0 <= self.asked => {}
            _ => mouth.say(to, frame),
        }
    }

    fn hear(&mut self, _mouth: &mut Mouth, _from: ValidatorIndex, frame: &Frame) {
        match message_of(frame).map(|message| &message.body) {
            // Only views that are about: what others claim may be far away.
            Some(Body::NewView(begun)) => self.view = self.view.max(begun.view.0),
            Some(Body::Certificate(certificate)) => self.stable = Some(certificate.clone()),
            _ => {}
        }
    }

    fn tick(&mut self, mouth: &mut Mouth) {
        if !mouth.random.percent(self.percent) {
            return;
        }
        self.asked = self.asked.max(self.view) + 1;
        let message = mouth.sign(Body::ViewChange(ViewChange {
            view: View(self.asked),
            stable: self.stable.clone(),
            prepared: Vec::new(),
        }));
        mouth.say_to_all(&Frame::Message(Arc::new(message)));
        mouth.count("VIEW-CHANGE for nothing");
    }
}
