//! What anybody may try: calls at random, most of them bent to get somewhere.
#![allow(unreachable_pub, reason = "a module of one test binary")]

use std::collections::BTreeSet;

use chancery_contract::{AccountId, Millis, TestEnv};
use proptest::prelude::*;
use settlement::{AMOUNT_MAX, Error, Settlement};

use crate::common::*;
use crate::judge::{Enrolled, obligations};

pub const ACTORS: [&str; 6] = ["alpha", "beta", "gamma", "ecb", "fed", "operator"];
pub const CURRENCIES: [&str; 3] = ["EUR", "USD", "JPY"];
pub const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "NOTPROVIDED"];

/// One call, by anybody, with anything.
#[derive(Debug, Clone)]
pub struct Act {
    pub by: usize,
    /// Whether caller and obligation are bent to fit each other, so that most calls get somewhere.
    pub aimed: bool,
    /// The id is taken from [`IDS`] if that is `Some`, else it is a new one.
    pub id: Option<usize>,
    /// Time that passes before.
    pub wait: u64,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Issue {
        currency: usize,
        to: usize,
        amount: u128,
    },
    Redeem {
        currency: usize,
        amount: u128,
    },
    Propose {
        to: usize,
        pays: (usize, u128),
        gets: (usize, u128),
        within: u64,
    },
    Accept(u64),
    AcceptNetting(u64),
    Refuse(u64),
    Withdraw(u64),
    Fund(u64),
    Release(u64),
    ProposeNetting {
        to: usize,
        numbers: BTreeSet<u64>,
        within: u64,
    },
}

pub fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![
        24 => 1..60_u128,
        4 => 60..1_000_u128,
        1 => Just(0),
        1 => Just(AMOUNT_MAX),
        1 => Just(u128::MAX),
    ]
}

/// Two banks in the main, so that they meet.
pub fn actor() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..2_usize, 1 => 0..ACTORS.len()]
}

pub fn what() -> impl Strategy<Value = What> {
    let currency = || prop_oneof![8 => 0..2_usize, 1 => 0..CURRENCIES.len()];
    let number = || 0..12_u64;
    let within = || prop_oneof![1 => 0..30_u64, 3 => 30..1_000_u64];
    let sum = move || (currency(), amount());
    prop_oneof![
        1 => (currency(), actor(), amount())
            .prop_map(|(currency, to, amount)| What::Issue { currency, to, amount }),
        1 => (currency(), amount()).prop_map(|(currency, amount)| What::Redeem { currency, amount }),
        8 => (actor(), sum(), sum(), within())
            .prop_map(|(to, pays, gets, within)| What::Propose { to, pays, gets, within }),
        8 => number().prop_map(What::Accept),
        10 => number().prop_map(What::AcceptNetting),
        1 => number().prop_map(What::Refuse),
        1 => number().prop_map(What::Withdraw),
        6 => number().prop_map(What::Fund),
        4 => number().prop_map(What::Release),
        8 => (actor(), prop::collection::btree_set(number(), 1..4), within())
            .prop_map(|(to, numbers, within)| What::ProposeNetting { to, numbers, within }),
    ]
}

pub fn act() -> impl Strategy<Value = Act> {
    let wait = prop_oneof![5 => Just(0_u64), 3 => 1..20_u64, 1 => 20..400_u64];
    let id = prop_oneof![4 => Just(None), 1 => (0..IDS.len()).prop_map(Some)];
    let aimed = prop_oneof![4 => Just(true), 1 => Just(false)];
    (actor(), aimed, id, wait, what()).prop_map(|(by, aimed, id, wait, what)| Act {
        by,
        aimed,
        id,
        wait,
        what,
    })
}

/// The place of an account among the actors.
pub fn place(account: AccountId) -> usize {
    let place = ACTORS.iter().position(|name| who(name) == account);
    place.expect("one of them")
}

/// Bends an act towards what the state allows.
pub fn aim(test: &TestEnv, act: &Act) -> Act {
    let mut act = act.clone();
    let all = obligations(test);
    let nth_with = |status: &str, number: u64| {
        let mut fitting = (0..).zip(&all).filter(|(_, it)| it.1 == status);
        let count = u64::try_from(fitting.clone().count()).expect("few");
        let nth = usize::try_from(number.checked_rem(count)?).expect("few");
        fitting
            .nth(nth)
            .map(|(number, it)| (number, it.0.clone(), it.2))
    };
    match &mut act.what {
        What::Issue { currency, .. } => act.by = [3, 4, 2][*currency],
        What::Redeem { .. } => {}
        What::Propose { to, pays, gets, .. } => {
            (act.by, *to) = (act.by % 2, 1 - act.by % 2);
            gets.0 = 1 - pays.0 % 2;
            pays.0 %= 2;
        }
        What::Accept(number) => {
            if let Some((found, terms, _)) = nth_with("proposed", *number) {
                (*number, act.by) = (found, place(terms.counterparty));
            }
        }
        What::AcceptNetting(number) => {
            if let Some((found, terms, _)) = nth_with("netting proposed", *number) {
                (*number, act.by) = (found, place(terms.counterparty));
            }
        }
        What::Refuse(number) => {
            if let Some((found, terms, _)) = nth_with("proposed", *number) {
                (*number, act.by) = (found, place(terms.counterparty));
            }
        }
        What::Withdraw(number) => {
            if let Some((found, terms, _)) = nth_with("proposed", *number) {
                (*number, act.by) = (found, place(terms.proposer));
            }
        }
        What::Fund(number) => {
            if let Some((found, terms, aside)) = nth_with("agreed", *number) {
                let leg = if aside[0] { terms.second } else { terms.first };
                (*number, act.by) = (found, place(leg.payer));
            }
        }
        What::Release(number) => {
            let aside = |it: &(u64, &Enrolled)| it.1.1 == "expired" && it.1.2 != [false; 2];
            if let Some((found, _)) = (0..).zip(&all).find(aside) {
                *number = found;
            }
        }
        What::ProposeNetting { to, numbers, .. } => {
            let agreed = (0..)
                .zip(&all)
                .filter(|(_, it)| it.1 == "agreed" && it.2 == [false; 2]);
            let found: BTreeSet<u64> = agreed.map(|(number, _)| number).take(4).collect();
            if found.len() > 1 {
                (act.by, *to, *numbers) = (act.by % 2, 1 - act.by % 2, found);
            }
        }
    }
    act
}

pub fn run(test: &mut TestEnv, act: &Act, turn: usize) -> Result<(), Error> {
    let (by, now) = (ACTORS[act.by], test.time().0);
    let id = act
        .id
        .map_or_else(|| format!("N-{turn}"), |id| IDS[id].to_owned());
    let of = |(currency, amount): (usize, u128)| money(CURRENCIES[currency], amount);
    match act.what.clone() {
        What::Issue {
            currency,
            to,
            amount,
        } => issue(test, by, ACTORS[to], of((currency, amount)), &id),
        What::Redeem { currency, amount } => redeem(test, by, of((currency, amount)), &id),
        What::Propose {
            to,
            pays,
            gets,
            within,
        } => {
            let deadline = Millis(now + within);
            let parties = (by, ACTORS[to]);
            propose_until(test, parties, of(pays), of(gets), &id, deadline).map(|_| ())
        }
        What::Accept(number) => accept(test, by, number, &id),
        What::AcceptNetting(number) => accept_netting(test, by, number),
        What::Refuse(number) => test
            .as_account(who(by))
            .call(|env| Settlement::refuse(env, number)),
        What::Withdraw(number) => test
            .as_account(who(by))
            .call(|env| Settlement::withdraw(env, number)),
        What::Fund(number) => fund(test, by, number).map(|_| ()),
        What::Release(number) => release(test, by, number),
        What::ProposeNetting {
            to,
            numbers,
            within,
        } => {
            let (numbers, deadline) = (numbers.into_iter().collect(), Millis(now + within));
            test.as_account(who(by)).call(|env| {
                Settlement::propose_netting(env, who(ACTORS[to]), numbers, deadline).map(|_| ())
            })
        }
    }
}
