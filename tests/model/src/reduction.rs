//! One order instead of every order, and states up to renaming.

use crate::protocol::{Action, Flaw, Rules};
use crate::state::{Batches, SLOTS_MAX, State, VALIDATORS, View};

/// Where an action stands in the one order, within its view: restarts, VIEW-CHANGEs, the NEW-VIEW,
/// who accepts it, and slot by slot the proposal, the PREPAREs and the COMMITs; each by index.
fn rank(action: Action) -> u8 {
    let index = |who: usize| u8::try_from(who).expect("few validators");
    let slot = |slot: usize| 16 + 16 * u8::try_from(slot).expect("few slots");
    match action {
        Action::Turn => 0,
        Action::Restart { who } => 1 + index(who),
        Action::ChangeView { who, .. } => 5 + index(who),
        Action::SignNewView { .. } => 9,
        Action::AcceptNewView { who, .. } => 10 + index(who),
        Action::Propose { slot: s, .. } => slot(s),
        Action::Prepare { who, slot: s, .. } => slot(s) + 1 + index(who),
        Action::Commit { who, slot: s, .. } => slot(s) + 5 + index(who),
    }
}

/// What may be done next in the one order.
#[must_use]
pub fn next_in_order(rules: &Rules, state: &State) -> Vec<Action> {
    let (view, last) = state.cursor;
    let mut actions = Vec::new();
    for (who, validator) in state.validators.iter().enumerate() {
        if validator.liar {
            continue;
        }
        if last < 5 {
            rules.restarts(who, validator, &mut actions);
        }
        if last < 9 {
            rules.changes(state, who, &mut actions);
            actions.retain(|a| !matches!(a, Action::ChangeView { view: v, .. } if *v != view));
        }
        rules.votes(state, who, view, &mut actions);
    }
    if view > 0 && last < 14 {
        rules.enters(state, view, &mut actions);
    }
    actions.retain(|action| rank(*action) > last);
    if view + 1 < rules.views {
        actions.push(Action::Turn);
    } else {
        let optional = |a: &Action| matches!(a, Action::Restart { .. });
        let least = actions
            .iter()
            .filter(|a| !optional(a))
            .map(|a| rank(*a))
            .min();
        actions.retain(|a| optional(a) || Some(rank(*a)) == least);
    }
    actions
}

/// Notes that `action` was taken, and drops what no later action in the order can see.
pub fn settle(rules: &Rules, state: &mut State, action: Action) {
    let view = state.cursor.0;
    match action {
        Action::Turn => return turn(rules, state),
        Action::Propose { slot, .. }
        | Action::Prepare { slot, .. }
        | Action::Commit { slot, .. } => {
            leave_stages(state, view, slot);
        }
        Action::Restart { .. }
        | Action::ChangeView { .. }
        | Action::SignNewView { .. }
        | Action::AcceptNewView { .. } => {}
    }
    state.cursor = (view, rank(action));
}

/// Voting goes on in `slot`: nobody enters the view any more, lower slots are done.
fn leave_stages(state: &mut State, view: View, slot: usize) {
    let view = usize::from(view);
    state.new_views[view] = None;
    for validator in &mut state.validators {
        validator.view_changes[view] = None;
        validator.votes[view][..slot].fill_with(Default::default);
        if let Some(selection) = &mut validator.selection {
            selection.base = 0;
            selection.carried[..slot].fill(None);
        }
    }
}

/// The view is over: of its votes only the certificates matter, and who keeps one.
fn turn(rules: &Rules, state: &mut State) {
    let view = state.cursor.0;
    leave_stages(state, view, SLOTS_MAX);
    for validator in &mut state.validators {
        if rules.flaw != Flaw::OnlyLastViewCarried {
            validator.active = 0;
        }
        validator.target = 0;
        validator.selection = None;
    }
    for slot in 0..SLOTS_MAX {
        let all = state.committed_in(slot);
        for committed in &mut state.committed {
            committed[slot] = Batches::default();
        }
        state.committed[usize::from(view)][slot] = all;
        state.named[slot] = names(state, slot);
    }
    state.cursor = (view + 1, 0);
    *state = representative(rules, state);
}

/// Whether one of the two batches is still known in `slot`.
fn names(state: &State, slot: usize) -> bool {
    let sets = state.certificates.iter().chain(&state.committed);
    let kept = state.validators.iter().filter_map(|v| v.prepared[slot]);
    let certified = sets.flat_map(|view| view[slot].iter());
    let mut all = certified.chain(kept.map(|c| c.batch));
    all.any(|batch| batch != batch.renamed())
}

/// The least of the states that differ from this one only in what the two batches of a slot are
/// called, and in the order of the validators that lead none of the views to come.
fn representative(rules: &Rules, state: &State) -> State {
    let leads: Vec<usize> = (state.cursor.0..rules.views).map(Rules::primary).collect();
    let free: Vec<usize> = (0..VALIDATORS).filter(|i| !leads.contains(i)).collect();
    let mut least: Option<State> = None;
    for order in permutations(&free) {
        let mut renamed = state.clone();
        for (to, from) in free.iter().zip(order) {
            renamed.validators[*to] = state.validators[from];
        }
        for slot in 0..usize::from(rules.slots) {
            let mut other = renamed.clone();
            other.rename_batches(slot);
            renamed = renamed.min(other);
        }
        least = Some(match least {
            Some(least) => least.min(renamed),
            None => renamed,
        });
    }
    least.expect("there is the order as it is")
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (i, first) in items.iter().enumerate() {
        let rest = [&items[..i], &items[i + 1..]].concat();
        for mut tail in permutations(&rest) {
            tail.insert(0, *first);
            all.push(tail);
        }
    }
    all
}
