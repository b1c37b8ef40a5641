//! What happens among two tills, whatever runs them.
#![allow(unreachable_pub, reason = "a module of several tests")]

use chancery_contract::{AccountId, ContractId, Emitted, TestEnv};

use super::till::{Error, Paid, Passed, Till};

/// What a till may hold in the story.
pub const MOST: u64 = 100;

fn clerk() -> AccountId {
    TestEnv::account("clerk")
}

pub fn told(test: &mut TestEnv, other: ContractId) {
    test.as_account(clerk());
    assert_eq!(test.call(|env| Till::init(env, MOST)), Ok(()));
    let own = test.address();
    let pass_on = |test: &mut TestEnv, amount, note: &str| {
        test.call(|env| Till::pass_on(env, other, amount, note.to_owned()))
    };

    // A value comes back, and what the other contract did is its own.
    assert_eq!(pass_on(test, 30, "first"), Ok(30));
    assert_eq!(test.view_at(other, Till::total), 30);
    assert_eq!(test.view(Till::total), 0);
    assert_eq!(test.view(|env| Till::total_of(env, other)), Ok(30));
    // It was called by the contract; called by an account, it can tell.
    assert_eq!(test.view_at(other, Till::paid_by), Some(own));
    let paid = test.call_at(other, |env| Till::pay(env, 10, "by hand".to_owned()));
    assert_eq!(paid, Ok(40));
    assert_eq!(test.view_at(other, Till::paid_by), Some(own));

    // A refusal comes back by its name, and takes back what the other contract did, no more.
    assert_eq!(pass_on(test, 0, "nothing"), Ok(0));
    assert_eq!(test.view(Till::passed), 2);
    let note = |test: &TestEnv| test.view(|env| Till::note_of(env, other));
    assert_eq!(note(test).as_deref(), Ok("by hand"));
    // The caller may refuse for the same reason; then nothing stays.
    assert_eq!(pass_on(test, 61, "too much"), Err(Error::TooMuch));
    assert_eq!(test.view(Till::passed), 2);
    let code = test.call(|env| Till::unknown_reason(env, other, 61));
    assert_eq!(code, Some(2));
    assert_eq!(test.call(|env| Till::unknown_reason(env, other, 0)), None);
    assert_eq!(test.view_at(other, Till::total), 40);

    // Values of every length, and none.
    for len in [0, 1, 127, 128, 5_000, 60_000] {
        let long = "x".repeat(len);
        assert_eq!(pass_on(test, 1, &long).map(|_| ()), Ok(()));
        assert_eq!(note(test), Ok(long));
    }
    assert!(test.view(|env| Till::note_is_no_number(env, other)));
    assert!(test.call(|env| Till::clear_other(env, other)));
    assert_eq!(note(test), Err(Error::Nothing));
    assert_eq!(test.view_at(other, Till::total), 0);

    // Events name who emitted them.
    let of = |contract| move |event: &&Emitted| event.contract == contract;
    let paid = test.events_at::<Paid>(other);
    let totals: Vec<u64> = paid.iter().map(|paid| paid.total).collect();
    assert_eq!(totals, [30, 40, 41, 42, 43, 44, 45, 46]);
    assert_eq!(test.events_of::<Paid>(), []);
    assert_eq!(test.events_of::<Passed>(), vec![Passed { to: other }; 8]);
    assert_eq!(test.events().iter().filter(of(own)).count(), 8);
    assert_eq!(test.events().iter().filter(of(other)).count(), 8);
}
