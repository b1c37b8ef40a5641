//! Several obligations become one: what both owe each other stays the same, sum by sum.

mod common;

use chancery_contract::{Millis, TestEnv};
use common::*;
use settlement::{AMOUNT_MAX, Error, Netted, Paid, Settlement, Standing};

/// A trade where beta proposes: beta pays euros, alpha dollars.
fn reverse(test: &mut TestEnv, euros: u128, dollars: u128) -> u64 {
    let id = format!("R-{}", test.view(Settlement::count));
    let (pays, gets) = (money("EUR", euros), money("USD", dollars));
    let number = propose(test, ("beta", "alpha"), pays, gets, &id).expect("proposed");
    assert_eq!(accept(test, "alpha", number, &id), Ok(()));
    number
}

fn legs(test: &TestEnv, number: u64) -> [(String, &'static str, u128); 2] {
    let terms = test
        .view(|env| Settlement::obligation(env, number))
        .expect("it exists");
    [terms.first, terms.second].map(|leg| {
        let payer = if leg.payer == who("alpha") {
            "alpha"
        } else {
            "beta"
        };
        (leg.currency, payer, leg.amount)
    })
}

#[test]
fn the_difference_is_owed_in_each_currency() {
    let mut test = funded();
    let numbers = [
        agreed(&mut test, 500, 540),
        reverse(&mut test, 200, 230),
        agreed(&mut test, 100, 100),
    ];
    let net = propose_netting(&mut test, ("beta", "alpha"), &numbers).expect("proposed");
    assert_eq!(status(&test, net), "netting proposed");
    // Nothing is replaced while only one of them wants it.
    assert_eq!(numbers.map(|number| status(&test, number)), ["agreed"; 3]);
    assert_eq!(accept_netting(&mut test, "alpha", net), Ok(()));
    assert_eq!(numbers.map(|number| status(&test, number)), ["netted"; 3]);
    assert_eq!(standing(&test, 1), Standing::Netted { into: net });
    let [euros, dollars] = legs(&test, net);
    assert_eq!(euros, ("EUR".to_owned(), "alpha", 400));
    assert_eq!(dollars, ("USD".to_owned(), "beta", 410));

    for number in numbers {
        assert_eq!(fund(&mut test, "alpha", number), Err(Error::NotAgreed));
    }
    assert_eq!(fund(&mut test, "alpha", net), Ok(false));
    assert_eq!(fund(&mut test, "beta", net), Ok(true));
    assert_eq!(balance(&test, "alpha", "EUR"), (600, 0));
    assert_eq!(balance(&test, "alpha", "USD"), (410, 0));
    assert_eq!(balance(&test, "beta", "EUR"), (400, 0));
    assert_eq!(test.events_of::<Netted>()[0].replaces, numbers);
    assert_eq!(test.events_of::<Paid>()[0].end_to_end_id, None);
}

#[test]
fn one_may_owe_in_both_currencies() {
    let mut test = funded();
    assert_eq!(
        issue(&mut test, "fed", "alpha", money("USD", 50), "I-9"),
        Ok(())
    );
    let numbers = [agreed(&mut test, 500, 500), reverse(&mut test, 400, 530)];
    let net = propose_netting(&mut test, ("alpha", "beta"), &numbers).expect("proposed");
    assert_eq!(accept_netting(&mut test, "beta", net), Ok(()));
    let [euros, dollars] = legs(&test, net);
    assert_eq!((euros.1, euros.2), ("alpha", 100));
    assert_eq!((dollars.1, dollars.2), ("alpha", 30));
    assert_eq!(fund(&mut test, "beta", net), Err(Error::NothingToFund));
    assert_eq!(fund(&mut test, "alpha", net), Ok(true));
    assert_eq!(balance(&test, "beta", "EUR"), (100, 0));
    assert_eq!(balance(&test, "beta", "USD"), (2_030, 0));
}

#[test]
fn what_is_even_is_settled_without_money() {
    let mut test = deployed();
    let numbers = [agreed(&mut test, 500, 540), reverse(&mut test, 500, 540)];
    let net = propose_netting(&mut test, ("alpha", "beta"), &numbers).expect("proposed");
    assert_eq!(accept_netting(&mut test, "beta", net), Ok(()));
    assert_eq!(status(&test, net), "settled");
    assert_eq!(test.events_of::<Paid>(), []);
}

#[test]
fn a_leg_that_is_even_needs_no_money() {
    let mut test = funded();
    let numbers = [agreed(&mut test, 500, 540), reverse(&mut test, 500, 500)];
    let net = propose_netting(&mut test, ("alpha", "beta"), &numbers).expect("proposed");
    assert_eq!(accept_netting(&mut test, "beta", net), Ok(()));
    // What is even says nothing of money.
    assert_eq!(
        (status(&test, net), aside(&test, net)),
        ("agreed", [false; 2])
    );
    assert_eq!(fund(&mut test, "alpha", net), Err(Error::NothingToFund));
    assert_eq!(fund(&mut test, "beta", net), Ok(true));
    assert_eq!(balance(&test, "alpha", "USD"), (40, 0));
}

#[test]
fn a_netting_can_be_netted_again() {
    let mut test = funded();
    let (one, two) = (agreed(&mut test, 10, 11), agreed(&mut test, 20, 22));
    let net = propose_netting(&mut test, ("alpha", "beta"), &[one, two]).expect("proposed");
    assert_eq!(accept_netting(&mut test, "beta", net), Ok(()));
    let three = reverse(&mut test, 5, 5);
    let all = propose_netting(&mut test, ("alpha", "beta"), &[net, three]).expect("proposed");
    assert_eq!(accept_netting(&mut test, "beta", all), Ok(()));
    let [euros, dollars] = legs(&test, all);
    assert_eq!((euros.2, dollars.2), (25, 28));
}

#[test]
fn nettings_that_make_no_sense_are_refused() {
    let mut test = funded();
    let (one, two) = (agreed(&mut test, 10, 11), agreed(&mut test, 20, 22));
    let mut check = |parties: (&str, &str), numbers: &[u64], expected| {
        assert_eq!(propose_netting(&mut test, parties, numbers), Err(expected));
    };
    let both = ("alpha", "beta");
    check(both, &[], Error::BadNetting);
    check(both, &[one], Error::BadNetting);
    check(both, &[one, one], Error::BadNetting);
    check(both, &[two, one], Error::BadNetting);
    check(both, &(0..33).collect::<Vec<_>>(), Error::BadNetting);
    check(both, &(0..32).collect::<Vec<_>>(), Error::UnknownObligation);
    check(both, &[one, 99], Error::UnknownObligation);
    check(("gamma", "beta"), &[one, two], Error::OtherParties);
    check(("alpha", "gamma"), &[one, two], Error::OtherParties);
    check(("alpha", "alpha"), &[one, two], Error::SameParty);
    check(("alpha", "nobody"), &[one, two], Error::NotAdmitted);

    // Another pair of currencies.
    test.as_account(who("operator"));
    let registered =
        test.call(|env| Settlement::register_currency(env, "GBP".to_owned(), 2, who("gamma")));
    assert_eq!(registered, Ok(()));
    let (pays, gets) = (money("EUR", 1), money("GBP", 1));
    let pounds = propose(&mut test, both, pays, gets, "P").expect("proposed");
    let open = propose_netting(&mut test, both, &[one, pounds]);
    assert_eq!(open, Err(Error::NotAgreed));
    assert_eq!(accept(&mut test, "beta", pounds, "P"), Ok(()));
    let other = propose_netting(&mut test, both, &[one, pounds]);
    assert_eq!(other, Err(Error::OtherCurrencies));

    // More than a message can say.
    let (huge, more) = (agreed(&mut test, AMOUNT_MAX, 1), agreed(&mut test, 1, 1));
    let sum = propose_netting(&mut test, both, &[huge, more]);
    assert_eq!(sum, Err(Error::AmountOutOfRange));

    // A deadline of its own.
    for bad in [0, START] {
        let got = test
            .as_account(who("alpha"))
            .call(|env| Settlement::propose_netting(env, who("beta"), vec![one, two], Millis(bad)));
        assert_eq!(got, Err(Error::BadDeadline));
    }
}

#[test]
fn the_other_must_agree_and_find_everything_open() {
    let mut test = funded();
    let (one, two) = (agreed(&mut test, 10, 11), agreed(&mut test, 20, 22));
    let three = agreed(&mut test, 30, 33);
    let both = ("alpha", "beta");
    let first = propose_netting(&mut test, both, &[one, two]).expect("proposed");
    let second = propose_netting(&mut test, both, &[two, three]).expect("proposed");
    assert_eq!(
        accept_netting(&mut test, "alpha", first),
        Err(Error::NotTheCounterparty)
    );
    assert_eq!(
        accept_netting(&mut test, "gamma", first),
        Err(Error::NotAParty)
    );
    assert_eq!(
        accept_netting(&mut test, "beta", 99),
        Err(Error::UnknownObligation)
    );
    assert_eq!(
        accept(&mut test, "beta", first, "Q"),
        Err(Error::NotProposed)
    );
    assert_eq!(accept_netting(&mut test, "beta", first), Ok(()));
    // One of the second's is owed no more.
    assert_eq!(
        accept_netting(&mut test, "beta", second),
        Err(Error::NotAgreed)
    );
    assert_eq!(status(&test, three), "agreed");
    let refused = test
        .as_account(who("beta"))
        .call(|env| Settlement::refuse(env, second));
    assert_eq!(refused, Ok(()));
    assert_eq!(
        accept_netting(&mut test, "beta", second),
        Err(Error::NotProposed)
    );
}

#[test]
fn what_has_money_set_aside_or_is_over_is_not_netted() {
    let mut test = funded();
    let (one, two) = (agreed(&mut test, 10, 11), agreed(&mut test, 20, 22));
    let both = ("alpha", "beta");
    let net = propose_netting(&mut test, both, &[one, two]).expect("proposed");
    assert_eq!(fund(&mut test, "beta", one), Ok(false));
    assert_eq!(
        accept_netting(&mut test, "beta", net),
        Err(Error::AlreadyFunded)
    );
    assert_eq!(
        propose_netting(&mut test, both, &[one, two]),
        Err(Error::AlreadyFunded)
    );
    let soon = Millis(START + 10);
    let (pays, gets) = (money("EUR", 1), money("USD", 1));
    let short = propose_until(&mut test, both, pays, gets, "S", soon).expect("proposed");
    assert_eq!(accept(&mut test, "beta", short, "S"), Ok(()));
    let net = propose_netting(&mut test, both, &[two, short]).expect("proposed");
    test.set_time(soon);
    assert_eq!(
        accept_netting(&mut test, "beta", net),
        Err(Error::DeadlinePassed)
    );
    assert_eq!(
        propose_netting(&mut test, both, &[two, short]),
        Err(Error::DeadlinePassed)
    );
    let three = agreed(&mut test, 3, 3);
    let late = propose_netting(&mut test, both, &[two, three]).expect("proposed");
    test.set_time(DEADLINE);
    assert_eq!(
        accept_netting(&mut test, "beta", late),
        Err(Error::DeadlinePassed)
    );
    assert_eq!(status(&test, late), "expired");
}
