//! Nobody can do more, or for longer, than whom it was passed on from, whatever was granted, passed
//! on and revoked, in any order.

use std::cell::Cell;
use std::collections::BTreeMap;

use chancery_contract::access::{AccessEntry, Decision, containing};
use chancery_contract::{AccountId, Hash, Millis, TestEnv};
use data_access::{DataAccess, Revoked};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

const START: u64 = 1_000_000;
const PEOPLE: u8 = 5;
const RESOURCES: [&str; 5] = ["*", "labs", "labs/2026", "labs/2026/11", "images"];

/// 0 is the owner.
fn person(number: u8) -> AccountId {
    TestEnv::account(number)
}

#[derive(Debug, Clone)]
enum Step {
    Grant(u8, &'static str, u64, u8),
    PassOn(u8, u8, &'static str, u64, u8),
    Revoke(u8, u8, &'static str),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (anybody, other) = (|| 0..PEOPLE, || 1..PEOPLE);
    let what = || select(&RESOURCES[..]);
    let step = prop_oneof![
        3 => (other(), what(), 0..100_u64, 0..5_u8).prop_map(|(a, b, c, d)| Step::Grant(a, b, c, d)),
        8 => (anybody(), other(), what(), 0..50_u64, 0..2_u8)
            .prop_map(|(a, b, c, d, e)| Step::PassOn(a, b, c, d, e)),
        2 => (anybody(), other(), what()).prop_map(|(a, b, c)| Step::Revoke(a, b, c)),
        1 => (1..6_u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Whether it was done.
fn run(test: &mut TestEnv, step: &Step) -> bool {
    let read = "read".to_owned();
    match *step {
        Step::Grant(to, what, until, passes_max) => {
            let (to, what, until) = (person(to), what.to_owned(), Millis(START + until));
            test.as_account(person(0));
            test.call(|env| DataAccess::grant(env, to, read, what, until, passes_max))
                .is_ok()
        }
        Step::PassOn(from, to, what, until, passes_max) => {
            let (to, what, until) = (person(to), what.to_owned(), Millis(START + until));
            test.as_account(person(from));
            test.call(|env| DataAccess::pass_on(env, to, read, what, until, passes_max))
                .is_ok()
        }
        Step::Revoke(by, of, what) => {
            test.as_account(person(by));
            test.call(|env| DataAccess::revoke(env, person(of), read, what.to_owned()))
                .is_ok()
        }
        Step::Wait(time) => {
            test.advance(Millis(time));
            true
        }
    }
}

fn until_of(test: &TestEnv, who: AccountId, what: &str) -> Option<Millis> {
    let (read, what) = ("read".to_owned(), what.to_owned());
    let decision = test.view(|env| DataAccess::decide(env, who, read, what, env.block_time()));
    match decision {
        Decision::Permit { until } => Some(until),
        Decision::Deny { .. } => None,
    }
}

/// What everybody may do now.
fn rights(test: &TestEnv) -> BTreeMap<(AccountId, &'static str), Option<Millis>> {
    let all = (0..PEOPLE).flat_map(|who| RESOURCES.map(|what| (person(who), what)));
    all.map(|(who, what)| ((who, what), until_of(test, who, what)))
        .collect()
}

fn entries(test: &TestEnv) -> Vec<AccessEntry> {
    let entry = |number| test.view(|env| DataAccess::entry(env, number));
    (0..test.view(DataAccess::count)).map_while(entry).collect()
}

/// Until when an entry holds, in the words of the README.
fn holds(entries: &[AccessEntry], entry: &AccessEntry, now: Millis) -> Option<Millis> {
    let own = (entry.revoked_at.is_none() && now < entry.until).then_some(entry.until)?;
    match entry.under {
        None => Some(own),
        Some(under) => {
            let above = &entries[usize::try_from(under).expect("few")];
            Some(own.min(holds(entries, above, now)?))
        }
    }
}

#[test]
fn nobody_can_do_more_than_whom_it_is_from() {
    let (granted, passed_on, replaced) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |counter: &Cell<u32>, by: bool| counter.set(counter.get() + u32::from(by));
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let mut test = TestEnv::new();
        test.as_account(person(0));
        test.call(|env| DataAccess::init(env, Hash([9; 32])));
        for step in &steps {
            let (before, now) = (rights(&test), test.time());
            let entries_before = entries(&test);
            let done = run(&mut test, step);
            let (after, entries) = (rights(&test), entries(&test));
            // Whatever ended now that was there before.
            let ended: Vec<_> = entries
                .iter()
                .zip(&entries_before)
                .filter(|(entry, before)| entry.revoked_at != before.revoked_at)
                .map(|(entry, _)| entry)
                .collect();
            for entry in &entries {
                let Some(under) = entry.under else {
                    prop_assert_eq!(entry.granted_by, person(0));
                    continue;
                };
                let above = &entries[usize::try_from(under).expect("few")];
                prop_assert_eq!(entry.granted_by, above.subject);
                prop_assert_eq!(&entry.action, &above.action);
                prop_assert!(containing(&entry.resource).any(|wider| wider == above.resource));
                prop_assert!(entry.until <= above.until && entry.passes_max < above.passes_max);
                // Whoever passed it on may still do it, for as long, or it holds no more.
                if let Some(until) = holds(&entries, entry, test.time()) {
                    let theirs = until_of(&test, above.subject, &entry.resource);
                    prop_assert!(theirs >= Some(until));
                }
            }
            // A decision is what the list of entries says, and nothing else.
            for ((who, what), until) in &after {
                let fits = entries.iter().filter(|entry| {
                    entry.subject == *who && containing(what).any(|wider| wider == entry.resource)
                });
                let best = fits
                    .filter_map(|entry| holds(&entries, entry, test.time()))
                    .max();
                prop_assert_eq!(best, *until);
            }
            match *step {
                Step::PassOn(from, to, what, until, _) => {
                    prop_assert_eq!(done, entries.len() > entries_before.len());
                    if done {
                        let own = before[&(person(from), what)];
                        prop_assert!(own >= Some(Millis(START + until)) && until + START > now.0);
                    }
                    // Of all that there was, only what the same hand had passed on to the recipient
                    // for the same can end. It gives nothing to anybody else.
                    for entry in &ended {
                        prop_assert!(entry.granted_by == person(from) && entry.under.is_some());
                        prop_assert_eq!((entry.subject, &entry.resource[..]), (person(to), what));
                    }
                    for ((who, what), until) in &after {
                        let until_before = before[&(*who, *what)];
                        if *who != person(to) {
                            prop_assert!(*until <= until_before);
                        }
                        if ended.is_empty() {
                            prop_assert!(*until >= until_before);
                        }
                    }
                    count(&passed_on, done);
                    count(&replaced, !ended.is_empty());
                }
                Step::Grant(to, what, until, _) => {
                    prop_assert_eq!(done, START + until > now.0);
                    if done {
                        prop_assert!(after[&(person(to), what)] >= Some(Millis(START + until)));
                    }
                    count(&granted, done);
                }
                Step::Revoke(..) => {
                    prop_assert_eq!(ended.len(), usize::from(done));
                    for (right, until) in &after {
                        prop_assert!(*until <= before[right]);
                    }
                }
                Step::Wait(_) => {}
            }
            if !done {
                prop_assert_eq!(&before, &after);
            }
            // Whatever somebody ended, everybody was told.
            let told = test.events_of::<Revoked>();
            let ended = entries.iter().filter(|entry| entry.revoked_at.is_some());
            prop_assert_eq!(told.len(), ended.count());
            for event in told {
                let entry = &entries[usize::try_from(event.number).expect("few")];
                prop_assert_eq!(
                    (entry.subject, &entry.resource),
                    (event.recipient, &event.resource)
                );
                prop_assert!(entry.revoked_at.is_some());
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let reached = [granted, passed_on, replaced].map(|counter| counter.get());
    assert!(reached.iter().all(|count| *count > 0), "{reached:?}");
}
