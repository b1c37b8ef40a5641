//! A new primary that begins its view twice: from other VIEW-CHANGEs towards some than towards
//! others, with another selection than follows from them, or before a quorum has asked for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_consensus::{
    Ballot, Body, CarriedProposal, NewView, PreparedCertificate, SignedViewChange,
};
use chancery_ledger::{Batch, BatchDigest, Slot, ValidatorIndex, View};

use super::{Liar, Mouth, message_of};
use crate::node::Frame;
use crate::random::Random;

/// See the module's page.
#[derive(Debug)]
pub(super) struct TwoNewViews {
    /// Heard and said, for views from the newest known on.
    changes: BTreeMap<(View, ValidatorIndex), SignedViewChange>,
    /// Whether the other one follows from its VIEW-CHANGEs.
    keeps_to_rules: bool,
    /// What its process said to begin its newest view.
    said: Option<NewView>,
    other: Option<(View, Frame)>,
    /// The view that was begun too early.
    early: Option<View>,
    /// Who gets the other one, a bit each.
    whom: u64,
}

impl TwoNewViews {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            changes: BTreeMap::new(),
            keeps_to_rules: random.percent(40),
            said: None,
            other: None,
            early: None,
            whom: random.draw(),
        }
    }

    fn keep(&mut self, message: &chancery_consensus::SignedMessage) {
        if let Body::ViewChange(change) = &message.body {
            let kept = SignedViewChange {
                from: message.from,
                view_change: change.clone(),
                signature: message.signature,
            };
            self.changes.insert((change.view, message.from), kept);
            while self.changes.len() > 64 {
                self.changes.pop_first();
            }
        }
    }

    /// Those for a view that are here.
    fn for_view(&self, view: View) -> Vec<SignedViewChange> {
        let of_view = (view, ValidatorIndex(0))..=(view, ValidatorIndex(u16::MAX));
        let here = self.changes.range(of_view);
        here.map(|(_, change)| change.clone()).collect()
    }

    /// With one less than it takes, or with one of somebody who wanted an earlier view.
    fn early(&self, mouth: &mut Mouth, view: View, mut here: Vec<SignedViewChange>) -> Frame {
        if mouth.random.percent(50) {
            let mut earlier = self.changes.range(..(view, ValidatorIndex(0))).rev();
            let absent = |from: ValidatorIndex| here.iter().all(|change| change.from != from);
            let other = earlier.find(|(_, change)| absent(change.from));
            here.extend(other.map(|(_, change)| change.clone()));
        }
        here.sort_by_key(|change| change.from);
        mouth.count("NEW-VIEW too early");
        let selected = select(&here);
        let early = new_view(mouth, view, here, selected);
        Frame::Message(Arc::new(mouth.sign(Body::NewView(early))))
    }

    /// Another quorum's, if more than a quorum is here; else the same with another selection.
    fn other(&self, mouth: &mut Mouth, said: &NewView) -> Option<Frame> {
        let mut here = self.for_view(said.view);
        if here.len() < mouth.quorum {
            return None;
        }
        mouth.random.shuffle(&mut here);
        here.truncate(mouth.quorum);
        here.sort_by_key(|change| change.from);
        let mut selected = select(&here);
        if !self.keeps_to_rules {
            match mouth.random.below(4) {
                0 => {
                    selected.pop_last();
                }
                1 => {
                    if let Some(mut first) = selected.first_entry() {
                        *first.get_mut() = Batch::empty().digest();
                    }
                }
                2 => {
                    let next = selected.last_key_value().map_or(1, |(slot, _)| slot.0 + 1);
                    selected.insert(Slot(next), BatchDigest([3; 32]));
                }
                _ => {}
            }
        }
        let other = new_view(mouth, said.view, here, selected);
        if other == *said {
            return None;
        }
        mouth.count("two NEW-VIEWs");
        Some(Frame::Message(Arc::new(mouth.sign(Body::NewView(other)))))
    }
}

fn new_view(
    mouth: &Mouth,
    view: View,
    view_changes: Vec<SignedViewChange>,
    selected: BTreeMap<Slot, BatchDigest>,
) -> NewView {
    let proposals = selected
        .into_iter()
        .map(|(slot, digest)| {
            let ballot = Ballot { view, slot, digest };
            let signature = mouth.sign(Body::PrePrepare(ballot)).signature;
            CarriedProposal {
                slot,
                digest,
                signature,
            }
        })
        .collect();
    NewView {
        view,
        view_changes,
        proposals,
    }
}

/// What follows from VIEW-CHANGEs, by the liar's own reckoning.
fn select(changes: &[SignedViewChange]) -> BTreeMap<Slot, BatchDigest> {
    let stable = |change: &SignedViewChange| {
        let stable = change.view_change.stable.as_ref();
        stable.map_or(0, |certificate| certificate.statement.height.0)
    };
    let base = changes.iter().map(stable).max().unwrap_or(0);
    let mut best: BTreeMap<Slot, &PreparedCertificate> = BTreeMap::new();
    for certificate in changes.iter().flat_map(|c| &c.view_change.prepared) {
        let slot = certificate.ballot.slot;
        let known = best.get(&slot).map(|known| known.ballot.view);
        if slot.0 > base && known < Some(certificate.ballot.view) {
            best.insert(slot, certificate);
        }
    }
    let last = best.last_key_value().map_or(base, |(slot, _)| slot.0);
    (base + 1..=last)
        .map(|slot| {
            let certificate = best.get(&Slot(slot));
            let gap = Batch::empty().digest();
            (Slot(slot), certificate.map_or(gap, |c| c.ballot.digest))
        })
        .collect()
}

impl Liar for TwoNewViews {
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame) {
        let own = mouth.own;
        let Some(message) = message_of(&frame).filter(|message| message.from == own) else {
            return mouth.say(to, frame);
        };
        self.keep(message);
        let Body::NewView(said) = &message.body else {
            return mouth.say(to, frame);
        };
        if self.said.as_ref().is_none_or(|before| before.view != said.view) {
            self.said = Some(said.clone());
            self.whom = mouth.random.draw();
            let other = self.other(mouth, said);
            self.other = other.map(|other| (said.view, other));
        }
        if let Some((_, other)) = &self.other
            && self.whom & (1 << to.0) != 0
        {
            let other = other.clone();
            return mouth.say(to, other);
        }
        mouth.say(to, frame);
    }

    fn hear(&mut self, mouth: &mut Mouth, _from: ValidatorIndex, frame: &Frame) {
        let Some(message) = message_of(frame) else {
            return;
        };
        self.keep(message);
        let Body::ViewChange(change) = &message.body else {
            return;
        };
        let view = change.view;
        if !mouth.is_primary(view) {
            return;
        }
        let here = self.for_view(view);
        if !self.keeps_to_rules && here.len() + 1 == mouth.quorum && self.early != Some(view) {
            self.early = Some(view);
            let early = self.early(mouth, view, here);
            mouth.say_to_all(&early);
            return;
        }
        // One more came: now there is another quorum.
        if let Some(said) = self.said.clone().filter(|said| said.view == view)
            && self.other.is_none()
            && let Some(other) = self.other(mouth, &said)
        {
            for to in mouth.others() {
                if self.whom & (1 << to.0) != 0 {
                    mouth.say(to, other.clone());
                }
            }
            self.other = Some((view, other));
        }
    }
}
