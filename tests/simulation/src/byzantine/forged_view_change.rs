//! Changes its own VIEW-CHANGEs: leaves out what it prepared, cuts or doubles signatures, puts other
//! digests into certificates, takes certificates out of their window, hides its stable checkpoint.
//! Some of that still verifies; most must take the whole message with it.

use std::sync::Arc;

use chancery_consensus::{Body, ViewChange};
use chancery_ledger::{Slot, ValidatorIndex, View};

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct ForgedViewChange {
    /// In a hundred of its VIEW-CHANGEs.
    percent: u64,
    /// Whether all get the same forgery.
    same_to_all: bool,
    last: Option<(View, Frame)>,
}

impl ForgedViewChange {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: *random.pick(&[50, 100]).expect("some"),
            same_to_all: random.percent(50),
            last: None,
        }
    }
}

/// Makes something else of it.
pub(super) fn forge(random: &mut Random, change: &mut ViewChange) {
    match random.below(9) {
        0 => change.prepared.clear(),
        1 => {
            change.prepared.pop();
        }
        2 => change.stable = None,
        3 => {
            if let Some(certificate) = change.prepared.first_mut() {
                certificate.prepares.pop();
            }
        }
        4 => {
            if let Some(certificate) = change.prepared.first_mut()
                && let Some(vote) = certificate.prepares.first().copied()
            {
                // The same signer twice.
                certificate.prepares.pop();
                certificate.prepares.insert(0, vote);
            }
        }
        5 => {
            if let Some(certificate) = change.prepared.last_mut() {
                certificate.ballot.digest.0[0] ^= 1;
            }
        }
        6 => {
            if let Some(certificate) = change.prepared.last_mut() {
                certificate.ballot.slot = Slot(certificate.ballot.slot.0.saturating_add(random.below(100)));
            }
        }
        7 => {
            // With another view inside: what it prepared there, nobody signed.
            if let Some(certificate) = change.prepared.last_mut() {
                certificate.ballot.view = View(random.below(change.view.0));
            }
        }
        _ => {
            if let Some(stable) = &mut change.stable {
                stable.cosignatures.pop();
                if let Some(first) = stable.cosignatures.first().copied() {
                    stable.cosignatures.insert(0, first);
                }
            }
        }
    }
}

impl Liar for ForgedViewChange {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let own = mouth.own;
        let message = message_of(&frame).filter(|message| message.from == own);
        let Some(Body::ViewChange(change)) = message.map(|message| &message.body) else {
            return mouth.say(to, frame);
        };
        if self.same_to_all
            && let Some((view, forged)) = &self.last
            && *view == change.view
        {
            let forged = forged.clone();
            return mouth.say(to, forged);
        }
        let mut change = change.clone();
        if mouth.random.percent(self.percent) {
            forge(&mut mouth.random, &mut change);
            mouth.count("forged VIEW-CHANGE");
        }
        let view = change.view;
        let forged = Frame::Message(Arc::new(mouth.sign(Body::ViewChange(change))));
        self.last = Some((view, forged.clone()));
        mouth.say(to, forged);
    }
}
