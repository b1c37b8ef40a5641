//! Whatever anybody calls, in whatever order: custody changes only by an offer of the custodian and
//! the acceptance of that very recipient, and a history only ever grows at its end.

mod common;

use std::collections::BTreeSet;

use chancery_contract::{AccountId, Hash, Millis, TestEnv};
use common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use provenance::{Entry, Error, Item, Step};

const ACTORS: [&str; 5] = ["maker", "shipper", "retailer", "stranger", "operator"];

/// One call, by anybody, of one of three items.
#[derive(Debug, Clone)]
struct Act {
    by: usize,
    item: u8,
    /// Whether the caller is bent to be one who may do it.
    aimed: bool,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Commission,
    Offer { to: usize },
    Withdraw,
    Refuse { offer: Option<u64> },
    Accept { offer: Option<u64> },
    Observe,
    Decommission,
    Register { to: usize },
    Revoke,
}

fn what() -> impl Strategy<Value = What> {
    let actor = || 0..ACTORS.len();
    // The open offer if there is one, or any number.
    let offer = || prop_oneof![4 => Just(None), 1 => (0..20_u64).prop_map(Some)];
    prop_oneof![
        3 => Just(What::Commission),
        8 => actor().prop_map(|to| What::Offer { to }),
        2 => Just(What::Withdraw),
        2 => offer().prop_map(|offer| What::Refuse { offer }),
        8 => offer().prop_map(|offer| What::Accept { offer }),
        2 => Just(What::Observe),
        1 => Just(What::Decommission),
        1 => actor().prop_map(|to| What::Register { to }),
        1 => Just(What::Revoke),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let aimed = prop_oneof![2 => Just(true), 1 => Just(false)];
    (0..ACTORS.len(), 0..3_u8, aimed, what()).prop_map(|(by, item, aimed, what)| Act {
        by,
        item,
        aimed,
        what,
    })
}

fn place(account: AccountId) -> usize {
    let place = ACTORS.iter().position(|name| who(name) == account);
    place.expect("one of them")
}

/// What is known of an item: itself and all of its history.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    item: Item,
    history: Vec<Entry>,
}

fn see(test: &TestEnv, which: Hash) -> Option<Seen> {
    let item = found(test, which).ok()?;
    let history = history(test, which);
    Some(Seen { item, history })
}

fn run(test: &mut TestEnv, act: &Act) -> Result<(), Error> {
    let which = item(act.item);
    let seen = see(test, which);
    let open = seen.as_ref().and_then(|seen| seen.item.offer);
    let mut by = act.by;
    if act.aimed {
        by = match (act.what, &seen, open) {
            (What::Commission, ..) => 0,
            (What::Accept { .. } | What::Refuse { .. }, _, Some(open)) => place(open.recipient),
            (What::Register { .. } | What::Revoke, ..) => 4,
            (_, Some(seen), _) => place(seen.item.custodian),
            _ => by,
        };
    }
    let by = ACTORS[by];
    let number = |offer: Option<u64>| offer.or(open.map(|open| open.number)).unwrap_or(0);
    match act.what {
        What::Commission => commission(test, by, PREFIX, which),
        What::Offer { to } => offer(test, by, which, ACTORS[to]).map(|_| ()),
        What::Withdraw => withdraw(test, by, which),
        What::Refuse { offer } => refuse(test, by, which, number(offer)),
        What::Accept { offer } => accept(test, by, which, number(offer)),
        What::Observe => observe(test, by, which),
        What::Decommission => decommission(test, by, which),
        What::Register { to } => register(test, by, PREFIX, ACTORS[to]),
        What::Revoke => revoke(test, by, PREFIX),
    }
}

/// What one call may have done to an item, by the two states alone.
fn check(before: Option<&Seen>, after: Option<&Seen>, caller: AccountId, what: What) {
    let (before, after) = match (before, after) {
        (before, after) if before == after => return,
        (None, Some(after)) => {
            assert_eq!(what, What::Commission);
            assert_eq!(
                (after.item.manufacturer, after.item.custodian),
                (caller, caller)
            );
            assert_eq!(after.history.len(), 1);
            return;
        }
        (Some(before), Some(after)) => (before, after),
        (_, None) => panic!("an item never goes away"),
    };
    // Everything that was told stays told, and exactly one entry tells what happened now.
    let (last, earlier) = after.history.split_last().expect("never empty");
    assert_eq!(earlier, before.history);
    assert_eq!(last.by, caller);
    assert_eq!(
        before.item.decommissioned_at, None,
        "what has left never moves"
    );
    assert_eq!(after.item.manufacturer, before.item.manufacturer);
    if after.item.custodian == before.item.custodian {
        assert_ne!(last.step, Step::Accepted);
        return;
    }
    // Both sides: the custodian's offer to this recipient is in the history, nothing but
    // observations came since, and it is the recipient who calls.
    assert_eq!((last.step, after.item.custodian), (Step::Accepted, caller));
    let told = |entry: &&Entry| entry.step != Step::Observed;
    let offer = before.history.iter().rev().find(told).expect("an offer");
    let to_the_caller = Step::Offered { recipient: caller };
    assert_eq!(
        (offer.step, offer.by),
        (to_the_caller, before.item.custodian)
    );
}

/// Whoever has a history alone knows who has custody and what is offered to whom.
fn check_history(seen: &Seen) {
    let mut custodian = seen.history[0].by;
    let (mut offer, mut over) = (None, None);
    for (number, entry) in (0..).zip(&seen.history) {
        match entry.step {
            Step::Offered { recipient } => offer = Some((number, recipient)),
            Step::Withdrawn | Step::Refused => offer = None,
            Step::Accepted => (custodian, offer) = (entry.by, None),
            Step::Decommissioned => over = Some(entry.at),
            Step::Commissioned | Step::Observed => {}
        }
    }
    assert_eq!(seen.item.custodian, custodian);
    assert_eq!(seen.item.offer.map(|it| (it.number, it.recipient)), offer);
    assert_eq!(seen.item.decommissioned_at, over);
}

#[test]
fn custody_takes_both_sides_and_histories_only_grow_whatever_is_called() {
    let config = Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    };
    let (mut handed_over, mut ended, mut refusals) = (0, 0, BTreeSet::new());
    let counts = std::cell::RefCell::new((&mut handed_over, &mut ended, &mut refusals));
    let outcome = TestRunner::new(config).run(&prop::collection::vec(act(), 1..60), |acts| {
        let mut test = deployed();
        for act in acts {
            let look = |test: &TestEnv| [0, 1, 2].map(|number| see(test, item(number)));
            let before = look(&test);
            test.advance(Millis(1));
            let outcome = run(&mut test, &act);
            let after = look(&test);
            // Whoever called last is who the ledger says.
            let caller = test.call(|env| env.caller().account().expect("an account"));
            for (before, after) in before.iter().zip(&after) {
                check(before.as_ref(), after.as_ref(), caller, act.what);
            }
            if outcome.is_err() {
                assert_eq!(before, after);
            }
            let mut counts = counts.borrow_mut();
            if let Err(error) = outcome {
                counts.2.insert(error as u32);
            } else {
                *counts.0 += usize::from(matches!(act.what, What::Accept { .. }));
                *counts.1 += usize::from(act.what == What::Decommission);
            }
        }
        let mut entries = 0;
        for seen in [0, 1, 2]
            .iter()
            .filter_map(|number| see(&test, item(*number)))
        {
            check_history(&seen);
            entries += seen.history.len();
        }
        let in_state = test
            .storage()
            .keys()
            .filter(|key| key.starts_with(b"history/"));
        prop_assert_eq!(in_state.count(), entries);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    println!("handed over {handed_over}, ended {ended}, refusals {refusals:?}");
    assert!(handed_over > 30 && ended > 10);
    assert!(refusals.len() >= 10, "most errors were met");
}
