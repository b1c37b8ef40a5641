//! The rules of the contract, one by one, as plain Rust.

mod common;

use chancery_contract::{Millis, TestEnv};
use common::*;
use settlement::{
    AMOUNT_MAX, Agreed, DEADLINE_AHEAD_MS_MAX, Error, GivenBack, Obligation, Pacs008, Paid,
    SetAside, Settled, Settlement, Standing,
};

#[test]
fn a_trade_is_settled_by_the_second_who_sets_money_aside() {
    let mut test = funded();
    let number = agreed(&mut test, 1_000, 1_080);
    assert_eq!(fund(&mut test, "alpha", number), Ok(false));
    assert_eq!(balance(&test, "alpha", "EUR"), (0, 1_000));
    assert_eq!(aside(&test, number), [true, false]);
    assert_eq!(fund(&mut test, "beta", number), Ok(true));

    assert_eq!(balance(&test, "alpha", "EUR"), (0, 0));
    assert_eq!(balance(&test, "alpha", "USD"), (1_080, 0));
    assert_eq!(balance(&test, "beta", "EUR"), (1_000, 0));
    assert_eq!(balance(&test, "beta", "USD"), (920, 0));
    let at = test.time();
    assert_eq!(standing(&test, number), Standing::Settled { at });
    let paid = test.events_of::<Paid>();
    let sums: Vec<_> = paid
        .iter()
        .map(|it| (it.payer, it.payee, it.amount))
        .collect();
    assert_eq!(
        sums,
        [
            (who("alpha"), who("beta"), 1_000),
            (who("beta"), who("alpha"), 1_080)
        ]
    );
    assert_eq!(test.events_of::<Settled>().len(), 1);
    assert_eq!(test.events_of::<Agreed>().len(), 1);
    assert_eq!(test.events_of::<SetAside>().len(), 2);
}

#[test]
fn the_record_has_both_messages_and_never_loses_them() {
    let mut test = funded();
    let (pays, gets) = (money("EUR", 10), money("USD", 11));
    let number = propose(&mut test, ("alpha", "beta"), pays, gets, "A/1").expect("proposed");
    assert_eq!(accept(&mut test, "beta", number, "B:1"), Ok(()));
    for name in ["alpha", "beta"] {
        assert!(fund(&mut test, name, number).is_ok());
    }
    let terms: Obligation = test
        .view(|env| Settlement::obligation(env, number))
        .expect("it exists");
    let message = |id: &str| {
        Some(Pacs008 {
            end_to_end_id: id.to_owned(),
            hash: MESSAGE,
        })
    };
    assert_eq!(
        (terms.proposer, terms.counterparty),
        (who("alpha"), who("beta"))
    );
    assert_eq!(terms.first.pacs008, message("A/1"));
    assert_eq!(terms.second.pacs008, message("B:1"));
    assert_eq!((terms.first.amount, terms.second.amount), (10, 11));
    assert_eq!(terms.deadline, DEADLINE);
    let ids: Vec<_> = test
        .events_of::<Paid>()
        .into_iter()
        .map(|it| it.end_to_end_id)
        .collect();
    assert_eq!(ids, [Some("A/1".to_owned()), Some("B:1".to_owned())]);
}

#[test]
fn nothing_is_completed_at_the_deadline_and_the_money_goes_back() {
    let mut test = funded();
    let (in_time, late) = (agreed(&mut test, 400, 500), agreed(&mut test, 600, 700));
    for number in [in_time, late] {
        assert_eq!(fund(&mut test, "alpha", number), Ok(false));
    }
    assert_eq!(balance(&test, "alpha", "EUR"), (0, 1_000));
    test.set_time(Millis(DEADLINE.0 - 1));
    assert_eq!(release(&mut test, "alpha", late), Err(Error::DeadlineAhead));
    assert_eq!(fund(&mut test, "beta", in_time), Ok(true));
    test.advance(Millis(1));
    assert_eq!(
        (status(&test, late), aside(&test, late)),
        ("expired", [true, false])
    );
    assert_eq!(fund(&mut test, "beta", late), Err(Error::DeadlinePassed));
    // Not even its own: what has failed stays failed.
    assert_eq!(fund(&mut test, "alpha", late), Err(Error::DeadlinePassed));
    // Anybody may; it is the owner who gets it.
    assert_eq!(release(&mut test, "gamma", late), Ok(()));
    assert_eq!(balance(&test, "alpha", "EUR"), (600, 0));
    assert_eq!(balance(&test, "gamma", "EUR"), (0, 0));
    assert_eq!(
        release(&mut test, "alpha", late),
        Err(Error::NothingSetAside)
    );
    assert_eq!(release(&mut test, "alpha", in_time), Err(Error::NotAgreed));
    let given = test.events_of::<GivenBack>();
    assert_eq!(
        (given.len(), given[0].payer, given[0].amount),
        (1, who("alpha"), 600)
    );
    assert_eq!(
        (status(&test, late), aside(&test, late)),
        ("expired", [false; 2])
    );
}

#[test]
fn what_is_set_aside_cannot_be_spent_again() {
    let mut test = funded();
    let (one, other) = (agreed(&mut test, 700, 1), agreed(&mut test, 400, 1));
    assert_eq!(fund(&mut test, "alpha", one), Ok(false));
    assert_eq!(
        fund(&mut test, "alpha", other),
        Err(Error::InsufficientFunds)
    );
    assert_eq!(fund(&mut test, "alpha", one), Err(Error::NothingToFund));
    let redeemed = redeem(&mut test, "alpha", money("EUR", 301), "R-1");
    assert_eq!(redeemed, Err(Error::InsufficientFunds));
    assert_eq!(balance(&test, "alpha", "EUR"), (300, 700));
    assert_eq!(redeem(&mut test, "alpha", money("EUR", 300), "R-1"), Ok(()));
    assert_eq!(fund(&mut test, "beta", one), Ok(true));
    assert_eq!(fund(&mut test, "beta", one), Err(Error::NotAgreed));
    assert_eq!(balance(&test, "beta", "EUR"), (700, 0));
}

#[test]
fn a_second_who_cannot_pay_moves_nothing() {
    let mut test = funded();
    let number = agreed(&mut test, 1_000, 2_001);
    assert_eq!(fund(&mut test, "alpha", number), Ok(false));
    let before = test.storage().clone();
    assert_eq!(
        fund(&mut test, "beta", number),
        Err(Error::InsufficientFunds)
    );
    assert_eq!(test.storage(), &before);
    assert_eq!(test.events_of::<Paid>(), []);
}

#[test]
fn an_end_to_end_id_is_used_once_by_an_account_and_by_others_too() {
    let mut test = funded();
    let again = issue(&mut test, "ecb", "alpha", money("EUR", 1_000), "I-1");
    assert_eq!(again, Err(Error::EndToEndIdUsed));
    let trade = |test: &mut TestEnv, id: &str| {
        propose(
            test,
            ("alpha", "beta"),
            money("EUR", 1),
            money("USD", 1),
            id,
        )
    };
    assert_eq!(trade(&mut test, "X"), Ok(0));
    assert_eq!(trade(&mut test, "X"), Err(Error::EndToEndIdUsed));
    assert_eq!(trade(&mut test, "x"), Ok(1));
    // Others have ids of their own, so nobody can take one away by being first.
    assert_eq!(accept(&mut test, "beta", 0, "X"), Ok(()));
    assert_eq!(
        accept(&mut test, "beta", 1, "X"),
        Err(Error::EndToEndIdUsed)
    );
    let redeemed = redeem(&mut test, "beta", money("USD", 1), "X");
    assert_eq!(redeemed, Err(Error::EndToEndIdUsed));
    let withdrawn = test
        .as_account(who("alpha"))
        .call(|env| Settlement::withdraw(env, 1));
    assert_eq!(withdrawn, Ok(()));
    assert_eq!(trade(&mut test, "x"), Err(Error::EndToEndIdUsed));
    let used = |by: &str, id: &str| {
        test.view(|env| Settlement::end_to_end_id_used(env, who(by), id.to_owned()))
    };
    assert_eq!(used("alpha", "X"), Some(Millis(START)));
    assert_eq!(used("gamma", "X"), None);
    assert_eq!(used("alpha", &"X".repeat(36)), None);
}

#[test]
fn end_to_end_ids_are_those_of_iso_20022() {
    let check = |id: &str, expected: Result<u64, Error>| {
        let mut test = funded();
        let (pays, gets) = (money("EUR", 1), money("USD", 1));
        let got = propose(&mut test, ("alpha", "beta"), pays, gets, id);
        assert_eq!(got, expected, "{id:?}");
    };
    for good in ["1", "INV-2026/11.22 (a+b):?,'", &"Z".repeat(35)] {
        check(good, Ok(0));
    }
    let long = "Z".repeat(36);
    for bad in [
        "",
        &long,
        "/a",
        "a/",
        "a//b",
        " a",
        "a ",
        "a  b",
        "é",
        "a_b",
        "a\nb",
        "NOTPROVIDED",
    ] {
        check(bad, Err(Error::BadEndToEndId));
    }
}

#[test]
fn a_currency_is_registered_once_by_the_owner() {
    let mut test = deployed();
    let mut check = |by: &str, code: &str, minor_unit, issuer: &str, expected| {
        let got = test.as_account(who(by)).call(|env| {
            Settlement::register_currency(env, code.to_owned(), minor_unit, who(issuer))
        });
        assert_eq!(got, expected, "{code} by {by}");
    };
    check("alpha", "GBP", 2, "alpha", Err(Error::NotOwner));
    for code in ["", "GB", "GBPS", "gbp", "GB1", "ÄB", "G P"] {
        check("operator", code, 2, "alpha", Err(Error::BadCurrencyCode));
    }
    check("operator", "GBP", 5, "alpha", Err(Error::BadMinorUnit));
    check("operator", "GBP", 2, "nobody", Err(Error::NotAdmitted));
    check("operator", "EUR", 2, "alpha", Err(Error::CurrencyExists));
    check("operator", "CLF", 4, "alpha", Ok(()));
    check("operator", "JPY", 0, "alpha", Ok(()));
    let yen = test.view(|env| Settlement::currency(env, "JPY".to_owned()));
    let yen = yen.expect("registered");
    assert_eq!((yen.issuer, yen.minor_unit), (who("alpha"), 0));
}

#[test]
fn only_the_issuer_issues_and_only_what_a_message_can_say() {
    let mut test = deployed();
    let mut check = |by: &str, to: &str, money, expected| {
        assert_eq!(issue(&mut test, by, to, money, "I-1"), expected);
    };
    check("fed", "alpha", money("EUR", 1), Err(Error::NotIssuer));
    check("operator", "alpha", money("EUR", 1), Err(Error::NotIssuer));
    check("ecb", "alpha", money("GBP", 1), Err(Error::UnknownCurrency));
    check(
        "ecb",
        "alpha",
        money("EURO", 1),
        Err(Error::BadCurrencyCode),
    );
    check(
        "ecb",
        "alpha",
        money(&"E".repeat(1_000), 1),
        Err(Error::BadCurrencyCode),
    );
    check("ecb", "nobody", money("EUR", 1), Err(Error::NotAdmitted));
    check(
        "ecb",
        "alpha",
        money("EUR", 0),
        Err(Error::AmountOutOfRange),
    );
    check(
        "ecb",
        "alpha",
        money("EUR", AMOUNT_MAX + 1),
        Err(Error::AmountOutOfRange),
    );
    check("ecb", "alpha", money("EUR", AMOUNT_MAX), Ok(()));
    assert_eq!(balance(&test, "alpha", "EUR"), (AMOUNT_MAX, 0));
    let supply = test.view(|env| Settlement::supply(env, "EUR".to_owned()));
    assert_eq!(
        supply.map(|it| (it.issued, it.redeemed)),
        Ok((AMOUNT_MAX, 0))
    );
    assert_eq!(redeem(&mut test, "alpha", money("EUR", 9), "R"), Ok(()));
    let supply = test.view(|env| Settlement::supply(env, "EUR".to_owned()));
    assert_eq!(
        supply.map(|it| (it.issued, it.redeemed)),
        Ok((AMOUNT_MAX, 9))
    );
    let none = redeem(&mut test, "alpha", money("EUR", 0), "S");
    assert_eq!(none, Err(Error::AmountOutOfRange));
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    use parity_scale_codec::Encode as _;
    let mut test = funded();
    // 2^68 issues of the largest amount lead here; a test goes there at once.
    let key = [&b"supply/"[..], &"EUR".to_owned().encode()].concat();
    let supply = (u128::MAX, 0_u128).encode();
    test.call(|env| env.set_raw(&key, &supply));
    let issued = issue(&mut test, "ecb", "alpha", money("EUR", 1), "I-2");
    assert_eq!(issued, Err(Error::SumTooLarge));

    let key = [&b"balance/"[..], &(who("gamma"), "USD".to_owned()).encode()].concat();
    let balance = (u128::MAX, 0_u128).encode();
    test.call(|env| env.set_raw(&key, &balance));
    let issued = issue(&mut test, "fed", "gamma", money("USD", 1), "I-2");
    assert_eq!(issued, Err(Error::SumTooLarge));
}

#[test]
fn proposals_that_make_no_sense_are_refused() {
    let mut test = funded();
    let mut check = |with: &str, pays, gets, deadline, expected| {
        let parties = ("alpha", with);
        let got = propose_until(&mut test, parties, pays, gets, "P", Millis(deadline));
        assert_eq!(got, Err(expected));
    };
    let (one_euro, one_dollar) = (|| money("EUR", 1), || money("USD", 1));
    let soon = DEADLINE.0;
    check("alpha", one_euro(), one_dollar(), soon, Error::SameParty);
    check("nobody", one_euro(), one_dollar(), soon, Error::NotAdmitted);
    check("beta", one_euro(), one_euro(), soon, Error::SameCurrency);
    check(
        "beta",
        money("GBP", 1),
        one_dollar(),
        soon,
        Error::UnknownCurrency,
    );
    check(
        "beta",
        one_euro(),
        money("usd", 1),
        soon,
        Error::BadCurrencyCode,
    );
    check(
        "beta",
        money("EUR", 0),
        one_dollar(),
        soon,
        Error::AmountOutOfRange,
    );
    check(
        "beta",
        one_euro(),
        money("USD", AMOUNT_MAX + 1),
        soon,
        Error::AmountOutOfRange,
    );
    let last = START + DEADLINE_AHEAD_MS_MAX;
    for bad in [0, START - 1, START, last + 1, u64::MAX] {
        check("beta", one_euro(), one_dollar(), bad, Error::BadDeadline);
    }
    for (number, good) in [(0, START + 1), (1, last)] {
        let (parties, id) = (("alpha", "beta"), format!("G-{number}"));
        let got = propose_until(
            &mut test,
            parties,
            one_euro(),
            one_dollar(),
            &id,
            Millis(good),
        );
        assert_eq!(got, Ok(number));
    }
}

#[test]
fn only_the_counterparty_answers_and_only_the_proposer_takes_back() {
    let mut test = funded();
    let (pays, gets) = (|| money("EUR", 1), || money("USD", 1));
    for id in ["P-0", "P-1", "P-2"] {
        assert!(propose(&mut test, ("alpha", "beta"), pays(), gets(), id).is_ok());
    }
    let refuse = |test: &mut TestEnv, by: &str, number| {
        test.as_account(who(by))
            .call(|env| Settlement::refuse(env, number))
    };
    let withdraw = |test: &mut TestEnv, by: &str, number| {
        test.as_account(who(by))
            .call(|env| Settlement::withdraw(env, number))
    };
    assert_eq!(
        accept(&mut test, "alpha", 0, "Q"),
        Err(Error::NotTheCounterparty)
    );
    assert_eq!(accept(&mut test, "gamma", 0, "Q"), Err(Error::NotAParty));
    assert_eq!(
        accept(&mut test, "beta", 9, "Q"),
        Err(Error::UnknownObligation)
    );
    assert_eq!(
        refuse(&mut test, "alpha", 0),
        Err(Error::NotTheCounterparty)
    );
    assert_eq!(refuse(&mut test, "gamma", 0), Err(Error::NotAParty));
    assert_eq!(withdraw(&mut test, "beta", 0), Err(Error::NotTheProposer));
    assert_eq!(withdraw(&mut test, "gamma", 0), Err(Error::NotAParty));
    assert_eq!(fund(&mut test, "alpha", 0), Err(Error::NotAgreed));
    assert_eq!(fund(&mut test, "gamma", 0), Err(Error::NotAParty));
    assert_eq!(
        release(&mut test, "gamma", 9),
        Err(Error::UnknownObligation)
    );
    assert_eq!(
        accept_netting(&mut test, "beta", 0),
        Err(Error::NotProposed)
    );

    assert_eq!(refuse(&mut test, "beta", 0), Ok(()));
    assert_eq!(withdraw(&mut test, "alpha", 1), Ok(()));
    assert_eq!(status(&test, 0), "refused");
    assert_eq!(status(&test, 1), "withdrawn");
    for ended in [0, 1] {
        assert_eq!(
            accept(&mut test, "beta", ended, "Q"),
            Err(Error::NotProposed)
        );
        assert_eq!(refuse(&mut test, "beta", ended), Err(Error::NotProposed));
        assert_eq!(withdraw(&mut test, "alpha", ended), Err(Error::NotProposed));
        assert_eq!(fund(&mut test, "alpha", ended), Err(Error::NotAgreed));
    }
    // Agreed is agreed: neither gets out of it alone.
    assert_eq!(accept(&mut test, "beta", 2, "Q"), Ok(()));
    assert_eq!(refuse(&mut test, "beta", 2), Err(Error::NotProposed));
    assert_eq!(withdraw(&mut test, "alpha", 2), Err(Error::NotProposed));
}

#[test]
fn a_proposal_that_nobody_answers_binds_nothing_and_ends() {
    let mut test = funded();
    let (pays, gets) = (money("EUR", 1_000), money("USD", 1));
    let number = propose(&mut test, ("alpha", "beta"), pays, gets, "P").expect("proposed");
    assert_eq!(balance(&test, "alpha", "EUR"), (1_000, 0));
    test.set_time(DEADLINE);
    assert_eq!(status(&test, number), "expired");
    assert_eq!(
        accept(&mut test, "beta", number, "Q"),
        Err(Error::DeadlinePassed)
    );
}
