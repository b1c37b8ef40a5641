//! The index of grants against a plain list of them, whatever the order of operations.

use chancery_contract::access::{
    AccessEntry, AccessIndex, Decision, Grant, Granted, NAME_BYTES_MAX, NotPassedOn, PASSES_MAX,
    containing, is_name, is_resource,
};
use chancery_contract::{AccountId, Env, Millis, TestEnv};
use proptest::prelude::*;
use proptest::sample::select;

const ACTIONS: [&str; 2] = ["read", "write"];
const RESOURCES: [&str; 3] = ["labs", "labs/2026", "*"];

fn subject(number: u8) -> AccountId {
    TestEnv::account(number)
}

#[derive(Debug, Clone)]
enum Step {
    Grant(Grant),
    /// Passes on the entry with that number, modulo how many there are.
    PassOn(Grant, u64),
    Revoke(AccountId, &'static str, &'static str),
    Wait(u64),
}

fn grants() -> impl Strategy<Value = Grant> {
    let what = (0..3_u8, select(&ACTIONS[..]), select(&RESOURCES[..]));
    let when = (0..60_u64, 0..60_u64);
    (what, when, 0..=PASSES_MAX).prop_map(|((to, action, resource), (from, until), passes_max)| {
        let by = TestEnv::account("owner");
        Grant {
            from: Millis(1_000_000 + from),
            passes_max,
            ..Grant::new(by, subject(to), action, resource, Millis(1_000_000 + until))
        }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let revocation = (0..3_u8, select(&ACTIONS[..]), select(&RESOURCES[..]));
    let step = prop_oneof![
        4 => grants().prop_map(Step::Grant),
        4 => (grants(), any::<u64>()).prop_map(|(grant, under)| Step::PassOn(grant, under)),
        2 => revocation.prop_map(|(who, action, resource)| Step::Revoke(subject(who), action, resource)),
        1 => (1..10_u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..40)
}

/// What must have come of the steps: a plain list.
#[derive(Debug, Default)]
struct Model(Vec<AccessEntry>);

impl Model {
    /// What was granted last for these, unless it was revoked.
    fn standing(&mut self, subject: AccountId, action: &str, resource: &str) -> Option<usize> {
        let newest = self.0.iter().rposition(|entry| {
            let place = (entry.subject, &entry.action[..], &entry.resource[..]);
            place == (subject, action, resource)
        });
        newest.filter(|newest| self.0[*newest].revoked_at.is_none())
    }

    fn revoke(
        &mut self,
        subject: AccountId,
        action: &str,
        resource: &str,
        now: Millis,
    ) -> Option<u64> {
        let at = self.standing(subject, action, resource)?;
        if self.is_over(&self.0[at], now) {
            return None;
        }
        self.0[at].revoked_at = Some(now);
        Some(at as u64)
    }

    fn is_over(&self, entry: &AccessEntry, now: Millis) -> bool {
        let above = entry
            .under
            .map(|under| &self.0[usize::try_from(under).expect("small")]);
        let own = entry.revoked_at.is_some() || now >= entry.until;
        own || above.is_some_and(|above| self.is_over(above, now))
    }

    fn grant(&mut self, grant: &Grant, now: Millis) -> Granted {
        let replaced = self.revoke(grant.subject, &grant.action, &grant.resource, now);
        self.0.push(AccessEntry {
            subject: grant.subject,
            action: grant.action.clone(),
            resource: grant.resource.clone(),
            from: grant.from.max(now),
            until: grant.until,
            granted_by: grant.granted_by,
            under: grant.under,
            passes_max: grant.passes_max,
            revoked_at: None,
        });
        Granted {
            number: self.0.len() as u64 - 1,
            replaced,
        }
    }

    /// Until when all entries of a chain hold, if they do.
    fn holds(&self, entry: &AccessEntry, at: Millis) -> Option<Millis> {
        let holds = entry.revoked_at.is_none() && entry.from <= at && at < entry.until;
        let above = match entry.under {
            Some(under) => self.holds(&self.0[usize::try_from(under).expect("small")], at),
            None => Some(Millis(u64::MAX)),
        };
        above.filter(|_| holds).map(|above| above.min(entry.until))
    }

    fn permits(
        &mut self,
        who: AccountId,
        action: &str,
        resource: &str,
        at: Millis,
    ) -> Option<Millis> {
        let standing = self.standing(who, action, resource)?;
        self.holds(&self.0[standing], at)
    }
}

fn until_of(decision: &Decision) -> Option<Millis> {
    match decision {
        Decision::Permit { until } => Some(*until),
        Decision::Deny { .. } => None,
    }
}

/// Runs a step on both.
fn run(test: &mut TestEnv, model: &mut Model, step: Step) {
    let now = test.time();
    match step {
        Step::Grant(grant) => {
            let expected = model.grant(&grant, now);
            let granted = test.call(|env| AccessIndex::grant(env, grant));
            assert_eq!(granted, expected);
        }
        Step::PassOn(grant, under) => {
            let count = model.0.len() as u64;
            if count == 0 {
                return;
            }
            let under = under % count;
            let above = model.0[usize::try_from(under).expect("small")].passes_max;
            let Some(passes_max) = above.checked_sub(1) else {
                return;
            };
            let grant = Grant {
                under: Some(under),
                passes_max: passes_max.min(grant.passes_max),
                ..grant
            };
            let expected = model.grant(&grant, now);
            let granted = test.call(|env| AccessIndex::grant(env, grant));
            assert_eq!(granted, expected);
        }
        Step::Revoke(who, action, resource) => {
            let revoked = test.call(|env| AccessIndex::revoke(env, who, action, resource));
            assert_eq!(revoked, model.revoke(who, action, resource, now));
        }
        Step::Wait(time) => {
            test.advance(Millis(time));
        }
    }
}

proptest! {
    /// Entries 0 to count - 1 are what was granted, in order, and what was revoked says so.
    #[test]
    fn the_index_is_everything_that_was_granted(steps in steps()) {
        let (mut test, mut model) = (TestEnv::new(), Model::default());
        for step in steps {
            run(&mut test, &mut model, step);
            let count = test.view(AccessIndex::count);
            let entry = |number| test.view(|env| AccessIndex::entry(env, number));
            let entries: Vec<_> = (0..count).map_while(entry).collect();
            prop_assert_eq!(&entries, &model.0);
            prop_assert_eq!(entry(count), None);
        }
    }

    /// A decision is that of the newest grant and of all that it was passed on from.
    #[test]
    fn a_decision_asks_the_whole_chain(steps in steps(), at in 0..60_u64) {
        let (mut test, mut model) = (TestEnv::new(), Model::default());
        for step in steps {
            run(&mut test, &mut model, step);
        }
        let at = Millis(1_000_000 + at);
        for who in 0..3 {
            for action in ACTIONS {
                let until = |test: &TestEnv, resource| {
                    let decide = |env: &Env| AccessIndex::decide(env, subject(who), action, resource, at);
                    until_of(&test.view(decide))
                };
                for resource in RESOURCES {
                    let expected = model.permits(subject(who), action, resource, at);
                    prop_assert_eq!(until(&test, resource), expected);
                }
                let within = test.view(|env| {
                    AccessIndex::decide_within(env, subject(who), action, "labs/2026/11", at)
                });
                let longest = RESOURCES.map(|resource| until(&test, resource)).into_iter().max();
                prop_assert_eq!(until_of(&within), longest.flatten());
            }
        }
    }
}

#[test]
fn nothing_is_permitted_that_was_not_granted() {
    let test = TestEnv::new();
    let decide = |resource: &str| {
        test.view(|env| AccessIndex::decide_within(env, subject(1), "read", resource, Millis(0)))
    };
    assert_eq!(decide("labs"), Decision::deny("not granted"));
    assert_eq!(decide("labs//x"), Decision::deny("not a name"));
    assert_eq!(decide(&"x".repeat(60_000)), Decision::deny("not a name"));
    assert_eq!(test.view(AccessIndex::count), 0);
    assert_eq!(test.view(|env| AccessIndex::entry(env, 0)), None);
}

#[test]
fn a_denial_says_what_is_wrong_with_the_grant_there_is() {
    let mut test = TestEnv::new();
    let grant = |from, until| Grant {
        from: Millis(from),
        ..Grant::new(subject(0), subject(1), "read", "labs", Millis(until))
    };
    let decide = |test: &TestEnv, at| {
        test.view(|env| AccessIndex::decide_within(env, subject(1), "read", "labs/x", Millis(at)))
    };
    let _ = test.call(|env| AccessIndex::grant(env, grant(1_000_005, 1_000_009)));
    assert_eq!(decide(&test, 1_000_004), Decision::deny("not begun"));
    let until = Millis(1_000_009);
    assert_eq!(decide(&test, 1_000_005), Decision::Permit { until });
    assert_eq!(decide(&test, 1_000_009), Decision::deny("expired"));
    // What is passed on and stands by itself ends with what it came from.
    let passed = Grant {
        under: Some(1),
        ..Grant::new(subject(1), subject(2), "read", "labs", Millis(1_000_008))
    };
    let _ = test.call(|env| {
        let passes_max = 1;
        AccessIndex::grant(
            env,
            Grant {
                passes_max,
                ..grant(0, 1_000_009)
            },
        )
    });
    let _ = test.call(|env| AccessIndex::grant(env, passed));
    test.call(|env| AccessIndex::revoke(env, subject(1), "read", "labs"));
    let passed_on =
        test.view(|env| AccessIndex::decide(env, subject(2), "read", "labs", Millis(1_000_000)));
    assert_eq!(passed_on, Decision::deny("revoked"));
}

#[test]
#[should_panic(expected = "passed on less often")]
fn what_is_passed_on_cannot_be_passed_on_as_often() {
    let mut test = TestEnv::new();
    let grant = Grant {
        passes_max: 1,
        ..Grant::new(subject(0), subject(1), "read", "labs", Millis(2_000_000))
    };
    let above = test.call(|env| AccessIndex::grant(env, grant.clone()));
    let under = Some(above.number);
    let _ = test.call(|env| AccessIndex::grant(env, Grant { under, ..grant }));
}

#[test]
#[should_panic(expected = "passed on less often")]
fn no_chain_is_longer_than_the_limit() {
    let mut grant = Grant::new(subject(0), subject(1), "read", "labs", Millis(2_000_000));
    grant.passes_max = PASSES_MAX + 1;
    let _ = TestEnv::new().call(|env| AccessIndex::grant(env, grant));
}

#[test]
#[should_panic(expected = "what is passed on has an entry")]
fn nothing_is_passed_on_from_nothing() {
    let mut grant = Grant::new(subject(0), subject(1), "read", "labs", Millis(2_000_000));
    grant.under = Some(0);
    let _ = TestEnv::new().call(|env| AccessIndex::grant(env, grant));
}

#[test]
fn the_longest_chain_holds_to_its_end() {
    let (mut test, until) = (TestEnv::new(), Millis(2_000_000));
    let mut under = None;
    for step in 0..=PASSES_MAX {
        let grant = Grant {
            under,
            passes_max: PASSES_MAX - step,
            ..Grant::new(subject(step), subject(step + 1), "read", "labs", until)
        };
        under = Some(test.call(|env| AccessIndex::grant(env, grant)).number);
    }
    let last = subject(PASSES_MAX + 1);
    let decide = |test: &TestEnv| {
        test.view(|env| AccessIndex::decide(env, last, "read", "labs", test.time()))
    };
    assert_eq!(decide(&test), Decision::Permit { until });
    test.call(|env| AccessIndex::revoke(env, subject(1), "read", "labs"));
    assert_eq!(decide(&test), Decision::deny("revoked"));
}

#[test]
fn resources_are_paths() {
    for name in [
        "*",
        "a",
        "a/b",
        "a*/b",
        "a/.b/..c",
        "größe",
        "1/2/3/4/5/6/7/8",
        &"x".repeat(NAME_BYTES_MAX),
    ] {
        assert!(is_resource(name), "{name}");
    }
    for name in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "*/a",
        "a/*",
        "a/../b",
        "./a",
        "a b",
        "a/%2e%2e/b",
        "a/..;/b",
        "a\\..\\b",
        "a/b\n",
        "\u{7f}",
        "1/2/3/4/5/6/7/8/9",
        &"x".repeat(NAME_BYTES_MAX + 1),
    ] {
        assert!(!is_resource(name), "{name}");
    }
    assert!(is_name("access:TREAT") && !is_name("*") && !is_name("read write") && !is_name(""));
    let ways = |name| containing(name).collect::<Vec<_>>();
    assert_eq!(ways("a/b/c"), ["a/b/c", "a/b", "a", "*"]);
    assert_eq!(ways("*"), ["*"]);
}

/// Whoever asks later what became of it must not read that somebody took it away.
#[test]
fn what_has_ended_by_itself_was_not_revoked() {
    let mut test = TestEnv::new();
    let until = Millis(test.time().0 + 5);
    let grant = Grant::new(subject(0), subject(1), "read", "labs", until);
    let _ = test.call(|env| AccessIndex::grant(env, grant.clone()));
    test.advance(Millis(5));
    let revoked = test.call(|env| AccessIndex::revoke(env, subject(1), "read", "labs"));
    assert_eq!(revoked, None);
    let until = Millis(until.0 + 5);
    let next = test.call(|env| AccessIndex::grant(env, Grant { until, ..grant }));
    assert_eq!((next.number, next.replaced), (1, None));
    let first = test.view(|env| AccessIndex::entry(env, 0));
    assert_eq!(first.and_then(|entry| entry.revoked_at), None);
}

/// The keys are what proofs are about.
#[test]
fn everything_has_its_documented_key() {
    let mut test = TestEnv::new();
    let grant = Grant::new(subject(0), subject(1), "read", "labs", Millis(2_000_000));
    let first = test.call(|env| AccessIndex::grant(env, grant.clone()));
    let second = test.call(|env| AccessIndex::grant(env, grant));
    assert_eq!((first.number, first.replaced), (0, None));
    assert_eq!((second.number, second.replaced), (1, Some(0)));
    let place = test.view(|env| {
        use parity_scale_codec::Encode as _;
        env.sha256(&(subject(1), "read", "labs").encode())
    });
    let number = |number: u64| number.to_le_bytes();
    let keys = [
        (b"access/count".to_vec(), number(2).to_vec()),
        (
            [&b"access/standing/"[..], &place.0].concat(),
            number(1).to_vec(),
        ),
    ];
    for (key, value) in keys {
        assert_eq!(test.storage()[&key], value);
    }
    for entry in 0..2 {
        assert!(
            test.storage()
                .contains_key(&[&b"access/entry/"[..], &number(entry)].concat())
        );
    }
    assert_eq!(test.storage().len(), 4);
    test.call(|env| AccessIndex::revoke(env, subject(1), "read", "labs"));
    assert_eq!(test.storage().len(), 3);
}

type PassOn = fn(&mut Env, Grant) -> Result<Granted, NotPassedOn>;

/// Who may pass on what is within a grant is who has it: the one rule goes with the one, the other
/// with the other.
#[test]
fn nobody_passes_on_what_the_rule_of_the_contract_denies_to_itself() {
    let (mut test, until) = (TestEnv::new(), Millis(2_000_000));
    let wide = Grant {
        passes_max: 1,
        ..Grant::new(subject(0), subject(1), "read", "labs", until)
    };
    let _ = test.call(|env| AccessIndex::grant(env, wide));
    let passed = |test: &mut TestEnv, rule: PassOn, resource: &str| {
        let grant = Grant::new(subject(1), subject(2), "read", resource, until);
        let mut passed = None;
        test.call(|env| passed = Some(rule(env, grant)));
        passed.expect("it ran")
    };
    let exact = passed(&mut test, AccessIndex::pass_on, "labs/2026");
    assert_eq!(exact, Err(NotPassedOn::BeyondOwnGrant));
    let (who, now) = (subject(1), test.time());
    let decides = |rule: fn(&Env, AccountId, &str, &str, Millis) -> Decision| {
        test.view(|env| rule(env, who, "read", "labs/2026", now))
            .permits()
    };
    assert!(!decides(AccessIndex::decide) && decides(AccessIndex::decide_within));
    assert!(passed(&mut test, AccessIndex::pass_on_within, "labs/2026").is_ok());
    assert!(passed(&mut test, AccessIndex::pass_on, "labs").is_ok());
}
