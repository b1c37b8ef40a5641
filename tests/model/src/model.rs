//! The model as the checker wants it, and the properties.

use stateright::{Model, Property};

use crate::protocol::{Action, Rules};
use crate::reduction;
use crate::state::{Batch, State};

/// No two batches are committed in one slot.
pub const AGREEMENT: &str = "agreement";
/// No correct validator signs two batches in one place.
pub const ONE_BATCH: &str = "one batch in each view, slot and kind";
/// No correct validator votes below a view it signed a VIEW-CHANGE for.
pub const NOT_BELOW: &str = "no vote below a signed view change";
/// Once a batch is committed in a slot, no higher view prepares another there.
pub const NOT_CONTRADICTED: &str = "what is committed is prepared ever after";
/// Exactly one batch is committed in each slot that somebody holds to be stable.
pub const STABLE: &str = "what is stable is committed, once";
/// A batch that was prepared in view 0 is accepted in view 1 because NEW-VIEW carries it.
pub const CARRIED: &str = "a prepared batch is carried over";
/// A gap is prepared with the empty batch.
pub const GAP_FILLED: &str = "a gap is filled";
/// Two views have prepared different batches in one slot.
pub const COMPETING: &str = "competing certificates exist";
/// A correct validator adopts a checkpoint from a NEW-VIEW.
pub const BASE_ADOPTED: &str = "a checkpoint is adopted from a NEW-VIEW";

/// In which orders actions are explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Every order: for small bounds.
    Any,
    /// One order for all that commute, states up to renaming.
    Reduced,
}

/// What is checked.
#[derive(Clone, Copy, Debug)]
pub struct Ordering {
    /// The bounds and the protocol.
    pub rules: Rules,
    /// How it is explored.
    pub order: Order,
}

impl Model for Ordering {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let liars = self.rules.liars();
        liars.iter().map(|liars| State::initial(liars)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(match self.order {
            Order::Any => self.rules.enabled(state),
            Order::Reduced => reduction::next_in_order(&self.rules, state),
        });
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.rules.apply(&mut state, action);
        if self.order == Order::Reduced {
            reduction::settle(&self.rules, &mut state, action);
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(AGREEMENT, |m: &Self, s: &State| {
                slots(m).all(|slot| s.committed_in(slot).len() <= 1)
            }),
            Property::always(ONE_BATCH, |_, s: &State| {
                let mut places = s.validators.iter().flat_map(|v| v.votes.iter().flatten());
                places.all(|place| place.prepares.len() <= 1 && place.commits.len() <= 1)
            }),
            Property::always(NOT_BELOW, |_, s: &State| !s.voted_below),
            Property::always(NOT_CONTRADICTED, |m: &Self, s: &State| {
                slots(m).all(|slot| upheld(s, slot))
            }),
            Property::always(STABLE, |_, s: &State| {
                let low = s.validators.iter().map(|v| usize::from(v.low)).max();
                (0..low.unwrap_or(0)).all(|slot| s.committed_in(slot).len() == 1)
            }),
        ];
        if self.rules.views > 1 {
            properties.push(Property::sometimes(CARRIED, |m: &Self, s: &State| {
                slots(m).any(|slot| carried(s, slot))
            }));
            properties.push(Property::sometimes(COMPETING, |m: &Self, s: &State| {
                slots(m).any(|slot| competing(s, slot))
            }));
        }
        if self.rules.views > 1 && self.rules.slots > 1 {
            properties.push(Property::sometimes(GAP_FILLED, |m: &Self, s: &State| {
                let filled = |slot: usize| s.certificates[1][slot].contains(Batch::Empty);
                slots(m).any(filled)
            }));
            properties.push(Property::sometimes(BASE_ADOPTED, |_, s: &State| {
                let adopted = s
                    .validators
                    .iter()
                    .filter_map(|v| Some((v.low, v.selection?.base)));
                let mut adopted = adopted.filter(|(low, base)| low == base);
                adopted.any(|(low, _)| low > 0)
            }));
        }
        properties
    }
}

fn slots(model: &Ordering) -> std::ops::Range<usize> {
    0..usize::from(model.rules.slots)
}

/// No view above that of a commit prepares something else.
fn upheld(state: &State, slot: usize) -> bool {
    state.committed.iter().enumerate().all(|(view, committed)| {
        let mut later = state.certificates[view + 1..].iter();
        committed[slot]
            .iter()
            .all(|batch| later.all(|certified| certified[slot].iter().all(|other| other == batch)))
    })
}

fn carried(state: &State, slot: usize) -> bool {
    state.validators.iter().any(|v| {
        let carried = v.selection.and_then(|s| s.carried[slot]);
        v.active == 1
            && carried.is_some_and(|batch| {
                state.certificates[0][slot].contains(batch)
                    && v.votes[1][slot].accepted == Some(batch)
            })
    })
}

fn competing(state: &State, slot: usize) -> bool {
    let certified = state.certificates.iter().flat_map(|view| view[slot].iter());
    let mut certified: Vec<Batch> = certified.collect();
    certified.dedup();
    certified.len() > 1
}
