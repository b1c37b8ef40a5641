//! The actions: what each validator may do in a state, and what follows from it.

use std::fmt;

use crate::selection::{claims, selections};
use crate::state::{
    Batch, Certificate, Selection, Slots, State, VALIDATORS, Validator, View, ViewChange,
};

/// What is taken out of the protocol, to see that the model notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// The protocol as it is.
    None,
    /// A quorum is one less than it must be.
    SmallQuorum,
    /// Two of four lie.
    TwoLiars,
    /// Of competing certificates the one of the lowest view is carried.
    LowestViewSelected,
    /// The lowest stable checkpoint is the base, though each VIEW-CHANGE carries only what is above
    /// its own.
    LowestBase,
    /// Backups do not recompute what a NEW-VIEW selects.
    SelectionBelieved,
    /// A restart forgets the prepared certificates.
    CertificatesForgotten,
    /// A restart forgets which batches were voted for.
    VotesForgotten,
    /// Votes are signed in a view below one that a VIEW-CHANGE was signed for.
    VotesBelowViewChange,
    /// A VIEW-CHANGE carries only certificates of the view that was active last.
    OnlyLastViewCarried,
}

impl Flaw {
    /// All of them, without [`Flaw::None`].
    pub const ALL: [Self; 9] = [
        Self::SmallQuorum,
        Self::TwoLiars,
        Self::LowestViewSelected,
        Self::LowestBase,
        Self::SelectionBelieved,
        Self::CertificatesForgotten,
        Self::VotesForgotten,
        Self::VotesBelowViewChange,
        Self::OnlyLastViewCarried,
    ];
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::SmallQuorum => "small-quorum",
            Self::TwoLiars => "two-liars",
            Self::LowestViewSelected => "lowest-view-selected",
            Self::LowestBase => "lowest-base",
            Self::SelectionBelieved => "selection-believed",
            Self::CertificatesForgotten => "certificates-forgotten",
            Self::VotesForgotten => "votes-forgotten",
            Self::VotesBelowViewChange => "votes-below-view-change",
            Self::OnlyLastViewCarried => "only-last-view-carried",
        })
    }
}

/// The bounds, and the protocol or a broken one.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Views 0, 1, ..., at most [`VIEWS_MAX`](crate::state::VIEWS_MAX).
    pub views: View,
    /// Slots 1, 2, ..., at most [`SLOTS_MAX`](crate::state::SLOTS_MAX).
    pub slots: Slots,
    /// What is wrong with the protocol.
    pub flaw: Flaw,
}

/// One step of one correct validator. Slots are indices, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Crash and restart, where that loses anything.
    Restart { who: usize },
    /// Sign VIEW-CHANGE(view), with `base` as the stable checkpoint.
    ChangeView { who: usize, view: View, base: Slots },
    /// The primary of `view` signs NEW-VIEW, and with it the PRE-PREPAREs of what it carries.
    SignNewView { view: View, selection: Selection },
    /// A backup accepts a NEW-VIEW.
    AcceptNewView {
        who: usize,
        view: View,
        selection: Selection,
    },
    /// The primary signs a fresh PRE-PREPARE.
    Propose {
        view: View,
        slot: usize,
        batch: Batch,
    },
    /// A backup accepts a PRE-PREPARE and signs PREPARE.
    Prepare {
        who: usize,
        view: View,
        slot: usize,
        batch: Batch,
    },
    /// A validator has its prepared certificate and signs COMMIT.
    Commit { who: usize, view: View, slot: usize },
    /// Only in the reduced order: goes on to the next view.
    Turn,
}

impl Rules {
    /// How many distinct validators a certificate needs.
    #[must_use]
    pub fn quorum(&self) -> usize {
        let faulty = (VALIDATORS - 1) / 3;
        (VALIDATORS + faulty + 1).div_ceil(2) - usize::from(self.flaw == Flaw::SmallQuorum)
    }

    /// Who proposes in `view`.
    #[must_use]
    pub fn primary(view: View) -> usize {
        usize::from(view) % VALIDATORS
    }

    /// The sets of liars to start from.
    #[must_use]
    pub fn liars(&self) -> Vec<Vec<usize>> {
        let all = 0..VALIDATORS;
        if self.flaw == Flaw::TwoLiars {
            let pairs = all.flat_map(|a| (a + 1..VALIDATORS).map(move |b| vec![a, b]));
            pairs.collect()
        } else {
            all.map(|liar| vec![liar]).collect()
        }
    }

    /// Everything that a correct validator may do now, whatever the others do.
    #[must_use]
    pub fn enabled(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        for (who, validator) in state.validators.iter().enumerate() {
            if !validator.liar {
                self.restarts(who, validator, &mut actions);
                self.changes(state, who, &mut actions);
                for view in 0..self.views {
                    self.votes(state, who, view, &mut actions);
                }
            }
        }
        for view in 1..self.views {
            self.enters(state, view, &mut actions);
        }
        actions
    }

    /// Restarts, if something can be forgotten and is there.
    pub fn restarts(&self, who: usize, validator: &Validator, actions: &mut Vec<Action>) {
        let loses = match self.flaw {
            Flaw::CertificatesForgotten => validator.prepared.iter().any(Option::is_some),
            Flaw::VotesForgotten => {
                let mut places = validator.votes.iter().flatten();
                places.any(|place| place.accepted.is_some())
            }
            _ => false,
        };
        if loses {
            actions.push(Action::Restart { who });
        }
    }

    /// VIEW-CHANGEs for any later view, whatever the reason; with any checkpoint that can be stable.
    pub fn changes(&self, state: &State, who: usize, actions: &mut Vec<Action>) {
        let validator = &state.validators[who];
        for view in validator.active.max(validator.target) + 1..self.views {
            for base in validator.low..=state.stable_max().max(validator.low) {
                actions.push(Action::ChangeView { who, view, base });
            }
        }
    }

    /// NEW-VIEWs: a correct primary signs one, and who is not beyond the view accepts it; a lying
    /// primary has one for everybody, but each is proved.
    pub fn enters(&self, state: &State, view: View, actions: &mut Vec<Action>) {
        let primary = Self::primary(view);
        let may_enter = |v: &Validator| !v.liar && v.active < view && v.target <= view;
        let provable = || selections(self, state, view);
        let lies = state.validators[primary].liar;
        if !lies && state.new_views[usize::from(view)].is_none() {
            if may_enter(&state.validators[primary]) {
                let signed = provable().into_iter();
                actions.extend(signed.map(|selection| Action::SignNewView { view, selection }));
            }
            return;
        }
        let offered: Vec<Selection> = if let Some(signed) = state.new_views[usize::from(view)] {
            vec![signed]
        } else if self.flaw == Flaw::SelectionBelieved {
            claims(self).into_iter().collect()
        } else {
            provable().into_iter().collect()
        };
        for (who, validator) in state.validators.iter().enumerate() {
            if may_enter(validator) {
                let accepted = offered.iter().copied();
                actions.extend(accepted.map(|selection| Action::AcceptNewView {
                    who,
                    view,
                    selection,
                }));
            }
        }
    }

    /// PRE-PREPAREs, PREPAREs and COMMITs of one validator in one view.
    pub fn votes(&self, state: &State, who: usize, view: View, actions: &mut Vec<Action>) {
        let validator = &state.validators[who];
        let bound = validator.target > view && self.flaw != Flaw::VotesBelowViewChange;
        if validator.active != view || bound {
            return;
        }
        for slot in usize::from(validator.low)..usize::from(self.slots) {
            let place = validator.votes[usize::from(view)][slot];
            if let Some(batch) = place.accepted {
                let certified = state.certificates[usize::from(view)][slot].contains(batch);
                if certified && !place.commits.contains(batch) {
                    actions.push(Action::Commit { who, view, slot });
                }
                continue;
            }
            let primary = Self::primary(view);
            let carried = validator.selection.map(|s| s.carried);
            let carried_on = carried.is_some_and(|c| c[slot..].iter().any(Option::is_some));
            for batch in Batch::ALL {
                let proposable = if carried_on {
                    carried.is_some_and(|c| c[slot] == Some(batch))
                } else {
                    batch == Batch::Alpha || (batch == Batch::Beta && state.named[slot])
                };
                let leader = &state.validators[primary];
                let signed = leader.votes[usize::from(view)][slot].prepares;
                if !proposable {
                } else if who == primary {
                    actions.push(Action::Propose { view, slot, batch });
                } else if leader.liar || signed.contains(batch) {
                    actions.push(Action::Prepare {
                        who,
                        view,
                        slot,
                        batch,
                    });
                }
            }
        }
    }

    /// What `action` makes of `state`.
    pub fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Restart { who } => {
                let validator = &mut state.validators[who];
                if self.flaw == Flaw::CertificatesForgotten {
                    validator.prepared = Default::default();
                } else {
                    let places = validator.votes.iter_mut().flatten();
                    places.for_each(|place| place.accepted = None);
                }
            }
            Action::ChangeView { who, view, base } => {
                let validator = &mut state.validators[who];
                raise_low(validator, base);
                let mut prepared = validator.prepared;
                if self.flaw == Flaw::OnlyLastViewCarried {
                    let active = validator.active;
                    let stale = |c: &mut Option<Certificate>| c.is_some_and(|c| c.view != active);
                    prepared
                        .iter_mut()
                        .filter_map(|c| stale(c).then_some(c))
                        .for_each(|c| *c = None);
                }
                validator.target = view;
                validator.view_changes[usize::from(view)] = Some(ViewChange { base, prepared });
            }
            Action::SignNewView { view, selection } => {
                state.new_views[usize::from(view)] = Some(selection);
                let primary = Self::primary(view);
                enter(&mut state.validators[primary], view, selection);
                for (slot, carried) in selection.carried.into_iter().enumerate() {
                    if let Some(batch) = carried {
                        self.accept(state, primary, view, slot, batch);
                    }
                }
            }
            Action::AcceptNewView {
                who,
                view,
                selection,
            } => {
                enter(&mut state.validators[who], view, selection);
            }
            Action::Propose { view, slot, batch } => {
                self.accept(state, Self::primary(view), view, slot, batch);
            }
            Action::Prepare {
                who,
                view,
                slot,
                batch,
            } => {
                self.accept(state, who, view, slot, batch);
            }
            Action::Commit { who, view, slot } => self.commit(state, who, view, slot),
            Action::Turn => {}
        }
    }

    /// Signs the PRE-PREPARE or PREPARE, which may complete a prepared certificate.
    fn accept(&self, state: &mut State, who: usize, view: View, slot: usize, batch: Batch) {
        let v = usize::from(view);
        state.named[slot] |= batch != Batch::Empty;
        state.voted_below |= state.validators[who].target > view;
        let place = &mut state.validators[who].votes[v][slot];
        place.accepted = Some(batch);
        place.prepares.insert(batch);
        let says = |v_: &&Validator| v_.liar || v_.votes[v][slot].prepares.contains(batch);
        let proposed = says(&&state.validators[Self::primary(view)]);
        if proposed && state.validators.iter().filter(says).count() >= self.quorum() {
            state.certificates[v][slot].insert(batch);
        }
    }

    /// Signs COMMIT, which may commit the batch.
    fn commit(&self, state: &mut State, who: usize, view: View, slot: usize) {
        let v = usize::from(view);
        state.voted_below |= state.validators[who].target > view;
        let validator = &mut state.validators[who];
        let place = &mut validator.votes[v][slot];
        let Some(batch) = place.accepted else {
            return;
        };
        place.commits.insert(batch);
        validator.prepared[slot] = Some(Certificate { view, batch });
        let says = |v_: &&Validator| v_.liar || v_.votes[v][slot].commits.contains(batch);
        if state.validators.iter().filter(says).count() >= self.quorum() {
            state.committed[v][slot].insert(batch);
        }
    }
}

fn enter(validator: &mut Validator, view: View, selection: Selection) {
    raise_low(validator, selection.base);
    validator.active = view;
    validator.selection = Some(selection);
}

fn raise_low(validator: &mut Validator, base: Slots) {
    validator.low = validator.low.max(base);
    for prepared in &mut validator.prepared[..usize::from(base)] {
        *prepared = None;
    }
}
