//! The protocol holds within the bounds, each flaw forks, and the reduced order loses nothing.

use std::collections::{BTreeSet, HashSet};

use chancery_model::model::{self, Order, Ordering};
use chancery_model::protocol::{Flaw, Rules};
use chancery_model::state::{Batches, SLOTS_MAX, State, VALIDATORS, VIEWS_MAX, View};
use stateright::{Checker, HasDiscoveries, Model};

fn bounded(views: View, slots: u8, flaw: Flaw, order: Order) -> Ordering {
    let rules = Rules { views, slots, flaw };
    Ordering { rules, order }
}

fn check_holds(views: View, slots: u8, order: Order) {
    let model = bounded(views, slots, Flaw::None, order);
    let checker = model.checker().spawn_bfs().join();
    checker.assert_properties();
}

#[test]
fn the_protocol_holds_in_three_views_with_two_slots() {
    check_holds(3, 2, Order::Reduced);
}

#[test]
fn the_protocol_holds_in_two_views_with_three_slots() {
    check_holds(2, 3, Order::Reduced);
}

#[test]
fn the_protocol_holds_in_four_views_with_one_slot() {
    check_holds(4, 1, Order::Reduced);
}

#[test]
fn the_protocol_holds_in_every_order() {
    check_holds(1, 2, Order::Any);
    check_holds(2, 1, Order::Any);
}

fn check_forks(flaw: Flaw, views: View, slots: u8, order: Order, also: Option<&'static str>) {
    let model = bounded(views, slots, flaw, order);
    let enough = [Some(model::AGREEMENT), also].into_iter().flatten();
    let enough = HasDiscoveries::AllOf(enough.collect());
    let checker = model.checker().finish_when(enough).spawn_bfs().join();
    assert!(
        checker.discovery(model::AGREEMENT).is_some(),
        "{flaw} does not fork within {views} views and {slots} slots"
    );
    if let Some(also) = also {
        assert!(checker.discovery(also).is_some(), "{flaw} keeps: {also}");
    }
}

#[test]
fn each_flaw_forks() {
    for flaw in Flaw::ALL {
        match flaw {
            Flaw::None => {}
            Flaw::SmallQuorum | Flaw::TwoLiars => check_forks(flaw, 1, 1, Order::Reduced, None),
            Flaw::SelectionBelieved | Flaw::LowestBase | Flaw::CertificatesForgotten => {
                check_forks(flaw, 2, 1, Order::Reduced, Some(model::NOT_CONTRADICTED));
            }
            Flaw::LowestViewSelected | Flaw::OnlyLastViewCarried => {
                check_forks(flaw, 3, 1, Order::Reduced, Some(model::NOT_CONTRADICTED));
            }
            Flaw::VotesForgotten => {
                check_forks(flaw, 1, 1, Order::Any, Some(model::ONE_BATCH));
            }
            Flaw::VotesBelowViewChange => {
                check_forks(flaw, 2, 1, Order::Any, Some(model::NOT_BELOW));
            }
        }
    }
}

/// Of each slot the certificates of each view, and what is committed; in the lesser of two namings.
type Facts = [[Batches; VIEWS_MAX + 1]; SLOTS_MAX];

fn facts(state: &State) -> Facts {
    std::array::from_fn(|slot| {
        let of = |state: &State| {
            let mut facts = [state.committed_in(slot); VIEWS_MAX + 1];
            facts[1..].copy_from_slice(&state.certificates.map(|view| view[slot]));
            facts
        };
        let mut other = state.clone();
        other.rename_batches(slot);
        of(state).min(of(&other))
    })
}

/// The facts of every state that is reached from one.
fn reached(model: &Ordering, first: &State) -> BTreeSet<Facts> {
    let mut seen = HashSet::from([first.clone()]);
    let mut open = vec![first.clone()];
    let mut all = BTreeSet::new();
    while let Some(state) = open.pop() {
        all.insert(facts(&state));
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        for action in actions {
            let next = model.next_state(&state, action).expect("it was enabled");
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    all
}

/// Whatever certificates and commits can exist together in some order, exist together in the
/// reduced order too, perhaps with more of them.
fn check_reduction_loses_nothing(views: View, slots: u8) {
    for liar in 0..VALIDATORS {
        let first = State::initial(&[liar]);
        let any = reached(&bounded(views, slots, Flaw::None, Order::Any), &first);
        let reduced = reached(&bounded(views, slots, Flaw::None, Order::Reduced), &first);
        let within = |less: &Facts, more: &Facts| {
            let less = less.iter().flatten();
            let mut pairs = less.zip(more.iter().flatten());
            pairs.all(|(less, more)| less.iter().all(|batch| more.contains(batch)))
        };
        let lost = any.iter().find(|a| !reduced.iter().any(|r| within(a, r)));
        assert!(
            lost.is_none(),
            "liar {liar}, {views} views, {slots} slots: never reached {lost:?}"
        );
    }
}

#[test]
fn the_reduced_order_loses_nothing() {
    check_reduction_loses_nothing(1, 2);
    check_reduction_loses_nothing(2, 1);
}

#[test]
#[ignore = "takes minutes and gigabytes"]
fn the_reduced_order_loses_nothing_in_three_views() {
    check_reduction_loses_nothing(3, 1);
}
