//! Whatever anybody calls, in whatever order and time: sums are conserved, a trade is paid in both
//! legs or in neither, nothing is completed at its deadline or later, and what has ended stays so.

#[path = "../common/mod.rs"]
mod common;

mod acts;
mod judge;

use std::collections::BTreeSet;

use acts::{What, act, aim, run};
use chancery_contract::{Millis, TestEnv};
use common::*;
use judge::{
    balances, check_events, check_legs, check_nettings, check_steps, check_sums, obligations,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use settlement::{GivenBack, Settlement};

/// How often the calls got somewhere: a generator that never settles would prove nothing.
#[derive(Debug, Default)]
struct Reached {
    settled: usize,
    netted: usize,
    given_back: usize,
    refusals: BTreeSet<u32>,
}

#[test]
fn sums_are_conserved_and_legs_are_paid_together_whatever_is_called() {
    let config = Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    };
    let mut reached = Reached::default();
    let cell = std::cell::RefCell::new(&mut reached);
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&prop::collection::vec(act(), 1..80), |acts| {
        let mut test = funded();
        test.as_account(who("operator"));
        let yen =
            test.call(|env| Settlement::register_currency(env, "JPY".to_owned(), 0, who("gamma")));
        prop_assert_eq!(yen, Ok(()));
        for (issuer, holder, currency) in [("fed", "alpha", "USD"), ("ecb", "beta", "EUR")] {
            let issued = issue(&mut test, issuer, holder, money(currency, 5_000), "I-0");
            prop_assert_eq!(issued, Ok(()));
        }
        let mut used = BTreeSet::new();
        for (turn, act) in acts.iter().enumerate() {
            let statuses = |test: &TestEnv| -> Vec<&'static str> {
                obligations(test).into_iter().map(|it| it.1).collect()
            };
            let before = (balances(&test), statuses(&test));
            if act.wait > 0 {
                test.advance(Millis(act.wait));
            }
            let act = if act.aimed {
                aim(&test, act)
            } else {
                act.clone()
            };
            let outcome = run(&mut test, &act, turn);
            check_sums(&test);
            check_nettings(&test);
            check_legs(&test, &before, &act.what);
            check_steps(&before.1, &statuses(&test));
            let takes_id = matches!(
                act.what,
                What::Issue { .. } | What::Redeem { .. } | What::Propose { .. } | What::Accept(_)
            );
            if let (Ok(()), Some(id), true) = (outcome, act.id, takes_id) {
                prop_assert!(used.insert((act.by, id)), "an id was used twice");
            }
            if let Err(error) = outcome {
                cell.borrow_mut().refusals.insert(error as u32);
            }
        }
        check_events(&test);
        let mut reached = cell.borrow_mut();
        for (_, status, _) in obligations(&test) {
            reached.settled += usize::from(status == "settled");
            reached.netted += usize::from(status == "netted");
        }
        reached.given_back += test.events_of::<GivenBack>().len();
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    println!("{reached:?}");
    assert!(reached.settled > 50 && reached.netted > 10 && reached.given_back > 10);
    assert!(reached.refusals.len() >= 18, "most errors were met");
}
