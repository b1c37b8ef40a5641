//! Speaks under other validators' names with its own key, under its own name with others'
//! signatures, and passes on what others said with a part of it changed.

use std::sync::Arc;

use chancery_consensus::{Ballot, Body, SignedMessage};
use chancery_ledger::{ValidatorIndex, View};

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct Impersonation {
    /// In a hundred of what it hears.
    percent: u64,
}

impl Impersonation {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            percent: random.between(5, 30),
        }
    }
}

fn with_other_view(body: &Body) -> Option<Body> {
    let (kind, ballot) = body.vote()?;
    let view = View(ballot.view.0.saturating_add(1));
    Some(Body::of_vote(kind, Ballot { view, ..ballot }))
}

impl Liar for Impersonation {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        mouth.say(to, frame);
    }

    fn hear(&mut self, mouth: &mut Mouth, _from: ValidatorIndex, frame: &Frame) {
        let Some(message) = message_of(frame) else {
            return;
        };
        if !mouth.random.percent(self.percent) {
            return;
        }
        let names = u64::from(mouth.validators) + 2;
        let name = ValidatorIndex(u16::try_from(mouth.random.below(names)).expect("a u16"));
        let lie = match mouth.random.below(4) {
            // In another's name.
            0 => mouth.sign_as(name, message.body.clone()),
            // Another's words as its own.
            1 => SignedMessage {
                from: mouth.own,
                ..message.clone()
            },
            // Another's signature under something else.
            2 => match with_other_view(&message.body) {
                Some(body) => SignedMessage {
                    body,
                    ..message.clone()
                },
                None => return,
            },
            // Of another term.
            _ => SignedMessage {
                epoch: chancery_ledger::Epoch(1),
                ..message.clone()
            },
        };
        mouth.count("impersonation");
        mouth.say_to_all(&Frame::Message(Arc::new(lie)));
    }
}
