//! A new primary that begins its view twice: from other VIEW-CHANGEs towards some than towards
//! others, or with another selection than follows from them.

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
    other: Option<(View, Option<Frame>, u64)>,
}

impl TwoNewViews {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            changes: BTreeMap::new(),
            keeps_to_rules: random.percent(70),
            other: None,
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

    /// Another quorum's, if more than a quorum is here; else the same with another selection.
    fn other(&self, mouth: &mut Mouth, said: &NewView) -> Option<Frame> {
        let of_view = (said.view, ValidatorIndex(0))..=(said.view, ValidatorIndex(u16::MAX));
        let mut here: Vec<SignedViewChange> =
            self.changes.range(of_view).map(|(_, c)| c.clone()).collect();
        let quorum = said.view_changes.len();
        if here.len() < quorum {
            return None;
        }
        mouth.random.shuffle(&mut here);
        here.truncate(quorum);
        if !self.keeps_to_rules {
            match mouth.random.below(3) {
                // One less than it takes.
                0 => here.truncate(quorum - 1),
                // Somebody's who wanted another view.
                1 => {
                    let earlier = self.changes.range(..(said.view, ValidatorIndex(0)));
                    if let Some((_, other)) = earlier.last()
                        && let Some(place) = here.iter().position(|c| c.from == other.from)
                    {
                        here[place] = other.clone();
                    }
                }
                _ => {}
            }
        }
        here.sort_by_key(|change| change.from);
        let mut selected = select(&here);
        if !self.keeps_to_rules {
            match mouth.random.below(5) {
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
        let view = said.view;
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
        let other = NewView {
            view,
            view_changes: here,
            proposals,
        };
        if other == *said {
            return None;
        }
        mouth.count("two NEW-VIEWs");
        Some(Frame::Message(Arc::new(mouth.sign(Body::NewView(other)))))
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
        if self.other.as_ref().is_none_or(|(view, ..)| *view != said.view) {
            let other = self.other(mouth, said);
            self.other = Some((said.view, other, mouth.random.draw()));
        }
        if let Some((_, Some(other), whom)) = &self.other
            && whom & (1 << to.0) != 0
        {
            let other = other.clone();
            return mouth.say(to, other);
        }
        mouth.say(to, frame);
    }

    fn hear(&mut self, _mouth: &mut Mouth, _from: ValidatorIndex, frame: &Frame) {
        if let Some(message) = message_of(frame) {
            self.keep(message);
        }
    }
}
