//! A ledger with two currencies and two banks, and short ways to say what they do.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary compiles this module and uses its own part of it"
)]

use chancery_contract::{AccountId, Hash, Millis, TestEnv};
use settlement::{Balance, Error, Money, Settlement, Standing};

pub const START: u64 = 1_000_000;
pub const DEADLINE: Millis = Millis(START + 3_600_000);
pub const MESSAGE: Hash = Hash([8; 32]);

pub fn who(name: &str) -> AccountId {
    TestEnv::account(name)
}

pub fn money(currency: &str, amount: u128) -> Money {
    Money {
        currency: currency.to_owned(),
        amount,
    }
}

/// The operator's contract, with the currencies EUR (issued by "ecb") and USD ("fed").
pub fn deployed() -> TestEnv {
    let mut test = TestEnv::new();
    for name in ["ecb", "fed", "alpha", "beta", "gamma", "operator"] {
        test.as_account(who(name));
    }
    test.set_time(Millis(START));
    test.call(Settlement::init);
    for (currency, issuer) in [("EUR", "ecb"), ("USD", "fed")] {
        let registered = test
            .call(|env| Settlement::register_currency(env, currency.to_owned(), 2, who(issuer)));
        assert_eq!(registered, Ok(()));
    }
    test
}

/// The same, where "alpha" has 1,000 euro cents and "beta" 2,000 US cents.
pub fn funded() -> TestEnv {
    let mut test = deployed();
    assert_eq!(
        issue(&mut test, "ecb", "alpha", money("EUR", 1_000), "I-1"),
        Ok(())
    );
    assert_eq!(
        issue(&mut test, "fed", "beta", money("USD", 2_000), "I-1"),
        Ok(())
    );
    test
}

pub fn issue(
    test: &mut TestEnv,
    issuer: &str,
    holder: &str,
    money: Money,
    id: &str,
) -> Result<(), Error> {
    let Money { currency, amount } = money;
    test.as_account(who(issuer))
        .call(|env| Settlement::issue(env, currency, who(holder), amount, id.to_owned()))
}

pub fn redeem(test: &mut TestEnv, holder: &str, money: Money, id: &str) -> Result<(), Error> {
    let Money { currency, amount } = money;
    test.as_account(who(holder))
        .call(|env| Settlement::redeem(env, currency, amount, id.to_owned()))
}

pub fn propose(
    test: &mut TestEnv,
    (proposer, counterparty): (&str, &str),
    pays: Money,
    gets: Money,
    id: &str,
) -> Result<u64, Error> {
    propose_until(test, (proposer, counterparty), pays, gets, id, DEADLINE)
}

pub fn propose_until(
    test: &mut TestEnv,
    (proposer, counterparty): (&str, &str),
    pays: Money,
    gets: Money,
    id: &str,
    deadline: Millis,
) -> Result<u64, Error> {
    test.as_account(who(proposer)).call(|env| {
        let counterparty = who(counterparty);
        Settlement::propose(
            env,
            counterparty,
            pays,
            gets,
            deadline,
            id.to_owned(),
            MESSAGE,
        )
    })
}

pub fn accept(test: &mut TestEnv, by: &str, number: u64, id: &str) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Settlement::accept(env, number, id.to_owned(), MESSAGE))
}

pub fn fund(test: &mut TestEnv, by: &str, number: u64) -> Result<bool, Error> {
    test.as_account(who(by))
        .call(|env| Settlement::fund(env, number))
}

pub fn release(test: &mut TestEnv, by: &str, number: u64) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Settlement::release(env, number))
}

pub fn propose_netting(
    test: &mut TestEnv,
    (proposer, counterparty): (&str, &str),
    numbers: &[u64],
) -> Result<u64, Error> {
    test.as_account(who(proposer))
        .call(|env| Settlement::propose_netting(env, who(counterparty), numbers.to_vec(), DEADLINE))
}

pub fn accept_netting(test: &mut TestEnv, by: &str, number: u64) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Settlement::accept_netting(env, number))
}

/// A trade between alpha (who pays euros) and beta (who pays dollars), agreed by both.
pub fn agreed(test: &mut TestEnv, euros: u128, dollars: u128) -> u64 {
    let id = format!("E-{}", test.view(Settlement::count));
    let (pays, gets) = (money("EUR", euros), money("USD", dollars));
    let number = propose(test, ("alpha", "beta"), pays, gets, &id).expect("proposed");
    assert_eq!(accept(test, "beta", number, &id), Ok(()));
    number
}

pub fn balance(test: &TestEnv, holder: &str, currency: &str) -> (u128, u128) {
    let balance = test.view(|env| Settlement::balance(env, who(holder), currency.to_owned()));
    let Balance {
        available,
        reserved,
    } = balance.expect("a known currency");
    (available, reserved)
}

pub fn standing(test: &TestEnv, number: u64) -> Standing {
    let standing = test.view(|env| Settlement::standing(env, number));
    standing.expect("a known obligation")
}

/// Its standing in one word.
pub fn status(test: &TestEnv, number: u64) -> &'static str {
    match standing(test, number) {
        Standing::Proposed => "proposed",
        Standing::NettingProposed => "netting proposed",
        Standing::Agreed { .. } => "agreed",
        Standing::Expired { .. } => "expired",
        Standing::Settled { .. } => "settled",
        Standing::Netted { .. } => "netted",
        Standing::Withdrawn => "withdrawn",
        Standing::Refused => "refused",
    }
}

/// For which of its legs money is set aside.
pub fn aside(test: &TestEnv, number: u64) -> [bool; 2] {
    match standing(test, number) {
        Standing::Agreed {
            first_set_aside,
            second_set_aside,
        }
        | Standing::Expired {
            first_set_aside,
            second_set_aside,
        } => [first_set_aside, second_set_aside],
        _ => [false; 2],
    }
}
