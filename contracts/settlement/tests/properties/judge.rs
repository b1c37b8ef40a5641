//! What must hold after each call, judged from the state and from the events alone.
#![allow(unreachable_pub, reason = "a module of one test binary")]

use std::collections::{BTreeMap, BTreeSet};

use chancery_contract::{AccountId, Event as _, TestEnv};
use parity_scale_codec::DecodeAll as _;
use settlement::{
    Balance, GivenBack, Issued, Leg, Obligation, Paid, Redeemed, SetAside, Settlement, Standing,
};

use crate::acts::{ACTORS, CURRENCIES, What};
use crate::common::*;

pub type Balances = BTreeMap<(AccountId, String), (u128, u128)>;

pub fn balances(test: &TestEnv) -> Balances {
    let mut balances = Balances::new();
    for name in ACTORS {
        for currency in CURRENCIES {
            let held = test
                .view(|env| Settlement::balance(env, who(name), currency.to_owned()))
                .expect("registered");
            let Balance {
                available,
                reserved,
            } = held;
            balances.insert((who(name), currency.to_owned()), (available, reserved));
        }
    }
    balances
}

/// An obligation's terms, its status and for which legs money is set aside.
pub type Enrolled = (Obligation, &'static str, [bool; 2]);

pub fn obligations(test: &TestEnv) -> Vec<Enrolled> {
    let of = |number| {
        let terms = test.view(|env| Settlement::obligation(env, number));
        let terms = terms.expect("counted");
        (terms, status(test, number), aside(test, number))
    };
    (0..test.view(Settlement::count)).map(of).collect()
}

/// What is held is what was issued and not redeemed, and what is reserved is what obligations say.
pub fn check_sums(test: &TestEnv) {
    let balances = balances(test);
    for currency in CURRENCIES {
        let supply = test.view(|env| Settlement::supply(env, currency.to_owned()));
        let supply = supply.expect("registered");
        let of_currency = balances.iter().filter(|((_, code), _)| code == currency);
        let held: u128 = of_currency
            .map(|(_, (available, reserved))| available + reserved)
            .sum();
        assert_eq!(held, supply.issued - supply.redeemed, "{currency}");
    }
    let mut reserved: BTreeMap<_, u128> = BTreeMap::new();
    for (terms, _, aside) in obligations(test) {
        for (leg, aside) in [&terms.first, &terms.second].into_iter().zip(aside) {
            if aside {
                *reserved
                    .entry((leg.payer, leg.currency.clone()))
                    .or_default() += leg.amount;
            }
        }
    }
    for (key, (_, in_book)) in &balances {
        assert_eq!(*in_book, reserved.get(key).copied().unwrap_or(0));
    }
}

/// What one obligation stands for is owed no more, is replaced by no other, and comes to the same:
/// in each currency, what each party gains or loses.
pub fn check_nettings(test: &TestEnv) {
    let gains = |terms: &Obligation| {
        let mut gains: BTreeMap<String, i128> = BTreeMap::new();
        for leg in [&terms.first, &terms.second] {
            let amount = i128::try_from(leg.amount).expect("small");
            let signed = if leg.payer == terms.proposer.min(terms.counterparty) {
                -amount
            } else {
                amount
            };
            *gains.entry(leg.currency.clone()).or_default() += signed;
        }
        gains
    };
    let all = obligations(test);
    let mut replaced = BTreeSet::new();
    for (number, (terms, status, _)) in (0..).zip(&all) {
        let holds = ["agreed", "settled", "netted"].contains(status);
        if terms.replaces.is_empty() || !holds {
            continue;
        }
        let mut expected: BTreeMap<String, i128> = BTreeMap::new();
        for old in &terms.replaces {
            assert!(replaced.insert(*old), "replaced twice");
            assert_eq!(standing(test, *old), Standing::Netted { into: number });
            let (old, ..) = &all[usize::try_from(*old).expect("few")];
            for (currency, gain) in gains(old) {
                *expected.entry(currency).or_default() += gain;
            }
        }
        assert_eq!(gains(terms), expected);
    }
}

/// Whoever has the events alone comes to the same balances.
pub fn check_events(test: &TestEnv) {
    let mut from_events = Balances::new();
    for event in test.events() {
        let data = &mut &event.data[..];
        match event.topic.as_str() {
            Issued::TOPIC => {
                let it = Issued::decode_all(data).expect("its fields");
                from_events.entry((it.holder, it.currency)).or_default().0 += it.amount;
            }
            Redeemed::TOPIC => {
                let it = Redeemed::decode_all(data).expect("its fields");
                from_events.entry((it.holder, it.currency)).or_default().0 -= it.amount;
            }
            SetAside::TOPIC => {
                let it = SetAside::decode_all(data).expect("its fields");
                let held = from_events.entry((it.payer, it.currency)).or_default();
                *held = (held.0 - it.amount, held.1 + it.amount);
            }
            GivenBack::TOPIC => {
                let it = GivenBack::decode_all(data).expect("its fields");
                let held = from_events.entry((it.payer, it.currency)).or_default();
                *held = (held.0 + it.amount, held.1 - it.amount);
            }
            Paid::TOPIC => {
                let it = Paid::decode_all(data).expect("its fields");
                from_events
                    .entry((it.payer, it.currency.clone()))
                    .or_default()
                    .1 -= it.amount;
                from_events.entry((it.payee, it.currency)).or_default().0 += it.amount;
            }
            _ => {}
        }
    }
    for (key, held) in balances(test) {
        assert_eq!(held, from_events.get(&key).copied().unwrap_or_default());
    }
}

/// Sums of one account and currency, without regard to what is set aside.
pub fn totals(balances: &Balances) -> BTreeMap<(AccountId, String), i128> {
    let total =
        |(available, reserved): &(u128, u128)| i128::try_from(available + reserved).expect("small");
    balances
        .iter()
        .map(|(key, held)| (key.clone(), total(held)))
        .collect()
}

/// What a call did between two accounts is exactly both legs of what it settled.
pub fn check_legs(test: &TestEnv, before: &(Balances, Vec<&'static str>), what: &What) {
    let mut expected = totals(&before.0);
    let mut settled = 0;
    for (number, (terms, status, _)) in obligations(test).into_iter().enumerate() {
        let was = before.1.get(number).copied().unwrap_or_default();
        if status != "settled" || was == "settled" {
            continue;
        }
        settled += 1;
        assert!(test.time() < terms.deadline, "settled after its deadline");
        let parties = [terms.proposer, terms.counterparty];
        for Leg {
            currency,
            payer,
            amount,
            ..
        } in [terms.first, terms.second]
        {
            let amount = i128::try_from(amount).expect("small");
            let payee = parties.into_iter().find(|party| *party != payer);
            let payee = payee.expect("two parties");
            *expected.get_mut(&(payer, currency.clone())).expect("known") -= amount;
            *expected.get_mut(&(payee, currency)).expect("known") += amount;
        }
    }
    assert!(settled <= 1);
    if !matches!(what, What::Issue { .. } | What::Redeem { .. }) {
        assert_eq!(totals(&balances(test)), expected);
    }
}

/// From each status only to those that may follow it.
pub fn check_steps(before: &[&str], after: &[&str]) {
    for (was, is) in before.iter().zip(after) {
        let follows: &[&str] = match *was {
            "proposed" => &["proposed", "agreed", "refused", "withdrawn", "expired"],
            "netting proposed" => &[
                "netting proposed",
                "agreed",
                "settled",
                "refused",
                "withdrawn",
                "expired",
            ],
            "agreed" => &["agreed", "settled", "netted", "expired"],
            // A proposal may be cleared away when it is over; it cannot come to life.
            "expired" => &["expired", "refused", "withdrawn"],
            ended => &[ended],
        };
        assert!(follows.contains(is), "from {was} to {is}");
    }
}
