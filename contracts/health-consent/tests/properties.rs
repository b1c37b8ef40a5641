//! Whatever patients and institutions did before: an emergency always works for who is on the list,
//! is always announced and over in time, and gives nothing to anybody else; and nobody has access
//! for another purpose that the patient's own permissions do not carry.

use std::cell::RefCell;
use std::collections::BTreeMap;

use chancery_contract::access::{AccessEntry, Decision, containing};
use chancery_contract::{AccountId, Hash, Millis, TestEnv};
use health_consent::{EMERGENCY_MS, GlassBroken, HealthConsent, Withdrawn};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

const START: u64 = 1_000_000;
const PATIENTS: [Hash; 2] = [Hash([1; 32]), Hash([2; 32])];
/// All, all of a type, and one of a type.
const TYPES: [&str; 4] = ["*", "Observation", ONE, "Condition"];
const ONE: &str = "Observation/c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1";
const PURPOSES: [&str; 2] = ["TREAT", "HRESCH"];
/// 0 is the custodian, 1 and 2 speak for the patients.
const PEOPLE: u8 = 6;

fn person(number: u8) -> AccountId {
    TestEnv::account(number)
}

#[derive(Debug, Clone)]
struct What {
    patient: usize,
    purpose: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone)]
enum Step {
    Enrol(usize, u8),
    List(u8, bool),
    Permit(u8, u8, What, Option<u64>, u64, bool),
    Assign(u8, u8, What, u64),
    Withdraw(u8, u8, What),
    Emergency(u8, usize),
    Wait(u64),
}

fn whats() -> impl Strategy<Value = What> {
    let parts = (0..PATIENTS.len(), select(&PURPOSES[..]), select(&TYPES[..]));
    parts.prop_map(|(patient, purpose, kind)| What {
        patient,
        purpose,
        kind,
    })
}

/// Steps, and of those that are aimed, at which of the entries there are.
fn steps() -> impl Strategy<Value = Vec<(Step, Option<usize>)>> {
    let (anybody, hours) = (|| 0..PEOPLE, || 0..20_u64);
    let step = prop_oneof![
        1 => (0..PATIENTS.len(), anybody()).prop_map(|(patient, who)| Step::Enrol(patient, who)),
        2 => (anybody(), any::<bool>()).prop_map(|(who, listed)| Step::List(who, listed)),
        6 => (anybody(), anybody(), whats(), proptest::option::weighted(0.3, hours()), hours(), any::<bool>())
            .prop_map(|(by, to, what, start, end, assignable)| Step::Permit(by, to, what, start, end, assignable)),
        6 => (anybody(), anybody(), whats(), hours())
            .prop_map(|(by, to, what, end)| Step::Assign(by, to, what, end)),
        2 => (anybody(), anybody(), whats()).prop_map(|(by, of, what)| Step::Withdraw(by, of, what)),
        3 => (anybody(), 0..PATIENTS.len()).prop_map(|(by, patient)| Step::Emergency(by, patient)),
        2 => (1..5_u64).prop_map(Step::Wait),
    ];
    let aimed = proptest::option::weighted(0.7, any::<usize>());
    proptest::collection::vec((step, aimed), 1..60)
}

/// The same, by somebody who may, about something that is there, if there is such a thing: what is
/// only drawn is refused nearly always.
fn aim(test: &TestEnv, step: Step, pick: usize) -> Step {
    let number = |account| (0..PEOPLE).find(|number| person(*number) == account);
    let entries = entries(test);
    let one_of = |suits: fn(&AccessEntry) -> bool| {
        let suiting: Vec<&AccessEntry> = entries.iter().filter(|it| suits(it)).collect();
        suiting.get(pick % suiting.len().max(1)).copied()
    };
    match &step {
        Step::Permit(_, to, what, start, end, assignable) => {
            let grantor = test.view(|env| HealthConsent::grantor(env, PATIENTS[what.patient]));
            let by = grantor.and_then(number);
            by.map(|by| Step::Permit(by, *to, what.clone(), *start, *end, *assignable))
        }
        Step::Assign(_, to, _, end) => one_of(|entry| entry.passes_max > 0).and_then(|entry| {
            Some(Step::Assign(
                number(entry.subject)?,
                *to,
                what_of(entry)?,
                *end,
            ))
        }),
        Step::Withdraw(..) => one_of(|entry| entry.revoked_at.is_none()).and_then(|entry| {
            let (by, of) = (number(entry.granted_by)?, number(entry.subject)?);
            Some(Step::Withdraw(by, of, what_of(entry)?))
        }),
        _ => None,
    }
    .unwrap_or(step)
}

/// What an entry is about, unless it is of an emergency.
fn what_of(entry: &AccessEntry) -> Option<What> {
    let purpose = entry.action.strip_prefix("access:")?;
    let purpose = PURPOSES.into_iter().find(|it| *it == purpose)?;
    let all = (0..PATIENTS.len()).flat_map(|patient| TYPES.map(|kind| (patient, kind)));
    let is_it =
        |(patient, kind): &(usize, &str)| resource_of(PATIENTS[*patient], kind) == entry.resource;
    let (patient, kind) = all.into_iter().find(is_it)?;
    Some(What {
        patient,
        purpose,
        kind,
    })
}

fn after(hours: u64) -> Millis {
    Millis(START + hours * 3_600_000)
}

fn run(test: &mut TestEnv, step: &Step) {
    match step.clone() {
        Step::Enrol(patient, grantor) => {
            test.as_account(person(0));
            let enrol =
                test.call(|env| HealthConsent::enrol(env, PATIENTS[patient], person(grantor)));
            assert_eq!(enrol, Ok(()));
        }
        Step::List(who, listed) => {
            test.as_account(person(0));
            let list = test.call(|env| match listed {
                true => HealthConsent::add_clinician(env, person(who)),
                false => HealthConsent::remove_clinician(env, person(who)),
            });
            assert_eq!(list, Ok(()));
        }
        Step::Permit(
            by,
            to,
            What {
                patient,
                purpose,
                kind,
            },
            start,
            end,
            assignable,
        ) => {
            let (patient, to, end) = (PATIENTS[patient], person(to), after(end));
            let start = start.map(after);
            let (purpose, kind) = (purpose.to_owned(), kind.to_owned());
            test.as_account(person(by));
            let grantor = test.view(|env| HealthConsent::grantor(env, patient));
            let permitted = test.call(|env| {
                HealthConsent::permit(env, patient, to, purpose, kind, start, end, assignable)
            });
            let speaks = grantor == Some(person(by));
            let begins = start.unwrap_or(test.time());
            assert_eq!(
                permitted.is_ok(),
                speaks && end > test.time() && end > begins
            );
        }
        Step::Assign(
            by,
            to,
            What {
                patient,
                purpose,
                kind,
            },
            end,
        ) => {
            let (patient, to, end) = (PATIENTS[patient], person(to), after(end));
            let (purpose, kind) = (purpose.to_owned(), kind.to_owned());
            test.as_account(person(by));
            let count = test.view(HealthConsent::count);
            let assigned =
                test.call(|env| HealthConsent::assign(env, patient, to, purpose, kind, end));
            if let Ok(number) = assigned {
                assert_eq!(
                    (number, test.view(HealthConsent::count)),
                    (count, count + 1)
                );
                check_assigned(test, number, person(by));
            }
        }
        Step::Withdraw(
            by,
            of,
            What {
                patient,
                purpose,
                kind,
            },
        ) => {
            let (patient, of) = (PATIENTS[patient], person(of));
            let (purpose, kind) = (purpose.to_owned(), kind.to_owned());
            test.as_account(person(by));
            let entries = entries(test);
            let standing = entries.iter().rev().find(|entry| {
                let same = (entry.subject, &entry.action, &entry.resource);
                same == (
                    of,
                    &format!("access:{purpose}"),
                    &resource_of(patient, &kind),
                )
            });
            let speaks = test.view(|env| HealthConsent::grantor(env, patient)) == Some(person(by));
            let may = standing.is_some_and(|entry| {
                let assigned_it = entry.under.is_some() && entry.granted_by == person(by);
                lasts(&entries, entry, test.time()) && (speaks || assigned_it)
            });
            let withdrawn =
                test.call(|env| HealthConsent::withdraw(env, patient, of, purpose, kind));
            assert_eq!(withdrawn.is_ok(), may);
        }
        Step::Emergency(by, patient) => {
            let listed = test.view(|env| HealthConsent::is_clinician(env, person(by)));
            let events = test.events_of::<GlassBroken>().len();
            test.as_account(person(by));
            let broken = test.call(|env| HealthConsent::break_glass(env, PATIENTS[patient], None));
            assert_eq!(broken.is_ok(), listed);
            assert_eq!(
                test.events_of::<GlassBroken>().len(),
                events + usize::from(listed)
            );
            if listed {
                let until = Millis(test.time().0 + EMERGENCY_MS);
                for kind in TYPES {
                    let decision = decide(test, person(by), patient, "BTG", kind);
                    assert_eq!(decision, Decision::Permit { until });
                }
            }
        }
        Step::Wait(hours) => {
            test.advance(Millis(hours * 3_600_000));
        }
    }
}

/// Less than what the one who assigned it had itself, and might assign.
fn check_assigned(test: &TestEnv, number: u64, by: AccountId) {
    let entries = entries(test);
    let assigned = &entries[usize::try_from(number).expect("few")];
    let under = assigned
        .under
        .expect("what is assigned is assigned from something");
    let above = &entries[usize::try_from(under).expect("few")];
    assert_eq!((above.subject, &above.action), (by, &assigned.action));
    assert!(containing(&assigned.resource).any(|wider| wider == above.resource));
    assert!(assigned.until <= above.until && above.passes_max > assigned.passes_max);
    assert!(holds(&entries, above, test.time()) && assigned.granted_by == by);
    assert!(assigned.subject != by && above.under.is_none());
}

fn entries(test: &TestEnv) -> Vec<AccessEntry> {
    let entry = |number| test.view(|env| HealthConsent::entry(env, number));
    (0..test.view(HealthConsent::count))
        .map_while(entry)
        .collect()
}

fn hex(patient: Hash) -> String {
    patient.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn resource_of(patient: Hash, kind: &str) -> String {
    match kind {
        "*" => hex(patient),
        kind => format!("{}/{kind}", hex(patient)),
    }
}

fn decide(test: &TestEnv, who: AccountId, patient: usize, purpose: &str, kind: &str) -> Decision {
    let resource = resource_of(PATIENTS[patient], kind);
    let action = format!("access:{purpose}");
    test.view(|env| HealthConsent::decide(env, who, action, resource, env.block_time()))
}

/// Whether neither an entry nor one above it is over.
fn lasts(entries: &[AccessEntry], entry: &AccessEntry, now: Millis) -> bool {
    let above = entry
        .under
        .map(|under| &entries[usize::try_from(under).expect("few")]);
    entry.revoked_at.is_none()
        && now < entry.until
        && above.is_none_or(|above| lasts(entries, above, now))
}

/// Whether an entry and all above it hold.
fn holds(entries: &[AccessEntry], entry: &AccessEntry, now: Millis) -> bool {
    let above = entry
        .under
        .map(|under| &entries[usize::try_from(under).expect("few")]);
    entry.revoked_at.is_none()
        && (entry.from..entry.until).contains(&now)
        && above.is_none_or(|above| holds(entries, above, now))
}

/// How often something came of the steps: if all were refused, they would prove nothing.
type Reached = BTreeMap<&'static str, usize>;

fn count(reached: &mut Reached, entries: &[AccessEntry], taken: &[u64], now: Millis) {
    for (number, entry) in (0..).zip(entries) {
        let is_taken = taken.contains(&number);
        let is_withdrawn = entry.revoked_at.is_some();
        for (what, is_it) in [
            ("emergency", is_taken),
            ("permitted", !is_taken && entry.under.is_none()),
            ("assigned", entry.under.is_some()),
            ("not begun", !is_withdrawn && now < entry.from),
            ("of one resource", entry.resource.ends_with(ONE)),
            ("withdrawn", is_withdrawn && !is_taken),
        ] {
            *reached.entry(what).or_default() += usize::from(is_it);
        }
    }
}

#[test]
fn access_is_what_patients_permitted_and_what_everybody_saw_taken() {
    let config = Config {
        cases: 256,
        failure_persistence: None,
        ..Config::default()
    };
    let cell = RefCell::new(Reached::default());
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let mut test = TestEnv::new();
        for who in 0..PEOPLE {
            test.set_roles(person(who), &[]);
        }
        test.as_account(person(0));
        test.call(HealthConsent::init);
        for (number, patient) in (1..).zip(PATIENTS) {
            test.call(|env| HealthConsent::enrol(env, patient, person(number)))
                .expect("the custodian");
        }
        let mut listed_since = BTreeMap::new();
        for (step, aimed) in steps {
            let step = match aimed {
                Some(pick) => aim(&test, step, pick),
                None => step,
            };
            match &step {
                Step::List(who, true) => {
                    let count = test.view(HealthConsent::count);
                    listed_since.entry(person(*who)).or_insert(count);
                }
                Step::List(who, false) => {
                    listed_since.remove(&person(*who));
                }
                _ => {}
            }
            run(&mut test, &step);
        }
        let now = test.time();
        let entries = entries(&test);
        // Whatever was ended early was told, or went on in a new emergency.
        let withdrawn: Vec<_> = test
            .events_of::<Withdrawn>()
            .iter()
            .map(|it| it.number)
            .collect();
        let taken: Vec<_> = test
            .events_of::<GlassBroken>()
            .iter()
            .map(|it| it.number)
            .collect();
        for (number, entry) in (0..).zip(&entries) {
            let told = withdrawn.contains(&number) || taken.contains(&number);
            prop_assert!(entry.revoked_at.is_none() || told);
            prop_assert!(entry.revoked_at.is_some() || !withdrawn.contains(&number));
        }
        for who in (0..PEOPLE).map(person) {
            let since = listed_since.get(&who).copied();
            for (patient, hash) in PATIENTS.into_iter().enumerate() {
                for kind in TYPES {
                    for purpose in PURPOSES {
                        let action = format!("access:{purpose}");
                        let resource = resource_of(hash, kind);
                        let covers = |entry: &AccessEntry| {
                            let part = resource.strip_prefix(&entry.resource);
                            let is_in_it =
                                part.is_some_and(|it| it.is_empty() || it.starts_with('/'));
                            entry.subject == who && entry.action == action && is_in_it
                        };
                        let permitted = entries
                            .iter()
                            .any(|entry| covers(entry) && holds(&entries, entry, now));
                        let decision = decide(&test, who, patient, purpose, kind);
                        prop_assert_eq!(decision.permits(), permitted);
                    }
                    let taken = test.events_of::<GlassBroken>().iter().any(|event| {
                        let theirs = (event.clinician, event.patient) == (who, hash);
                        theirs
                            && now < event.until
                            && since.is_some_and(|since| since <= event.number)
                    });
                    let decision = decide(&test, who, patient, "BTG", kind);
                    prop_assert_eq!(decision.permits(), taken);
                    if let Decision::Permit { until } = decision {
                        prop_assert!(until.0 <= now.0 + EMERGENCY_MS);
                    }
                }
            }
        }
        count(&mut cell.borrow_mut(), &entries, &taken, now);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let reached = cell.into_inner();
    println!("{reached:?}");
    assert_eq!(reached.len(), 6, "all was looked for: {reached:?}");
    assert!(reached.values().all(|count| *count > 10), "{reached:?}");
}
