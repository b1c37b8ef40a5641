//! Whatever anybody calls, in whatever order and time: sums are conserved, a trade is paid in both
//! legs or in neither, nothing is completed at its deadline or later, and what has ended stays so.
//! Judged from the state and from the events alone.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use chancery_contract::{AccountId, Event as _, Millis, TestEnv};
use common::*;
use parity_scale_codec::DecodeAll as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use settlement::{
    AMOUNT_MAX, Balance, Error, GivenBack, Issued, Leg, Obligation, Paid, Redeemed, SetAside,
    Settlement,
};

const ACTORS: [&str; 6] = ["alpha", "beta", "gamma", "ecb", "fed", "operator"];
const CURRENCIES: [&str; 3] = ["EUR", "USD", "JPY"];
const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "NOTPROVIDED"];

/// One call, by anybody, with anything.
#[derive(Debug, Clone)]
struct Act {
    by: usize,
    /// Whether caller and obligation are bent to fit each other, so that most calls get somewhere.
    aimed: bool,
    /// The id is taken from [`IDS`] if that is `Some`, else it is a new one.
    id: Option<usize>,
    /// Time that passes before.
    wait: u64,
    what: What,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
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

fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![
        24 => 1..60_u128,
        4 => 60..1_000_u128,
        1 => Just(0),
        1 => Just(AMOUNT_MAX),
        1 => Just(u128::MAX),
    ]
}

/// Two banks in the main, so that they meet.
fn actor() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..2_usize, 1 => 0..ACTORS.len()]
}

fn what() -> impl Strategy<Value = What> {
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

fn act() -> impl Strategy<Value = Act> {
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
fn place(account: AccountId) -> usize {
    let place = ACTORS.iter().position(|name| who(name) == account);
    place.expect("one of them")
}

/// Bends an act towards what the state allows.
fn aim(test: &TestEnv, act: &Act) -> Act {
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
            if let Some((found, terms, _)) = nth_with("netting_proposed", *number) {
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

fn run(test: &mut TestEnv, act: &Act, turn: usize) -> Result<(), Error> {
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

type Balances = BTreeMap<(AccountId, String), (u128, u128)>;

fn balances(test: &TestEnv) -> Balances {
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
type Enrolled = (Obligation, String, [bool; 2]);

fn obligations(test: &TestEnv) -> Vec<Enrolled> {
    let of = |number| {
        let terms = test.view(|env| Settlement::obligation(env, number));
        let standing = standing(test, number);
        let aside = [standing.first_set_aside, standing.second_set_aside];
        (terms.expect("counted"), standing.status, aside)
    };
    (0..test.view(Settlement::count)).map(of).collect()
}

/// What is held is what was issued and not redeemed, and what is reserved is what obligations say.
fn check_sums(test: &TestEnv) {
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

/// Whoever has the events alone comes to the same balances.
fn check_events(test: &TestEnv) {
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
fn totals(balances: &Balances) -> BTreeMap<(AccountId, String), i128> {
    let total =
        |(available, reserved): &(u128, u128)| i128::try_from(available + reserved).expect("small");
    balances
        .iter()
        .map(|(key, held)| (key.clone(), total(held)))
        .collect()
}

/// What a call did between two accounts is exactly both legs of what it settled.
fn check_legs(test: &TestEnv, before: &(Balances, Vec<String>), what: &What) {
    let mut expected = totals(&before.0);
    let mut settled = 0;
    for (number, (terms, status, _)) in obligations(test).into_iter().enumerate() {
        let was = before.1.get(number).map_or("", String::as_str);
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
fn check_steps(before: &[String], after: &[String]) {
    for (was, is) in before.iter().zip(after) {
        let follows: &[&str] = match was.as_str() {
            "proposed" => &["proposed", "agreed", "refused", "withdrawn", "expired"],
            "netting_proposed" => &[
                "netting_proposed",
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
        assert!(follows.contains(&is.as_str()), "from {was} to {is}");
    }
}

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
            let statuses = |test: &TestEnv| -> Vec<String> {
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
    assert!(reached.refusals.len() >= 20, "most errors were met");
}
