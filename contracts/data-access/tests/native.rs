//! The rules of the contract, one by one, as plain Rust.

use chancery_contract::access::{AccessEntry, Decision};
use chancery_contract::{AccountId, Env, Hash, Millis, TestEnv};
use data_access::{DataAccess, Error, Granted, Revoked};

const RECORD: Hash = Hash([9; 32]);
const START: u64 = 1_000_000;
const EXPIRY: Millis = Millis(START + 48 * 3_600_000);

fn owner() -> AccountId {
    TestEnv::account("owner")
}

fn specialist() -> AccountId {
    TestEnv::account("specialist")
}

fn stranger() -> AccountId {
    TestEnv::account("stranger")
}

fn deployed() -> TestEnv {
    let mut test = TestEnv::new();
    test.as_account(owner()).set_time(Millis(START));
    test.call(|env| DataAccess::init(env, RECORD));
    test
}

fn granted() -> TestEnv {
    let mut test = deployed();
    let grant = test.call(|env| DataAccess::grant_access(env, specialist(), EXPIRY));
    assert_eq!(grant, Ok(()));
    test
}

/// What is announced when the specialist's first grant to read everything is over.
fn first_grant_revoked() -> Revoked {
    Revoked {
        recipient: specialist(),
        action: "read".to_owned(),
        resource: "*".to_owned(),
        number: 0,
    }
}

fn can_read(test: &TestEnv, who: AccountId) -> bool {
    test.view(|env| DataAccess::can_read(env, who))
}

#[test]
fn the_deployer_owns_the_record() {
    let test = deployed();
    assert_eq!(test.view(DataAccess::owner), owner());
    assert_eq!(test.view(DataAccess::data_hash), RECORD);
    assert!(!can_read(&test, specialist()));
}

#[test]
fn a_grant_lets_one_account_read_and_no_other() {
    let test = granted();
    assert!(can_read(&test, specialist()));
    assert!(!can_read(&test, stranger()));
    let expires_at = |who| test.view(|env| DataAccess::expires_at(env, who));
    assert_eq!(
        (expires_at(specialist()), expires_at(stranger())),
        (Some(EXPIRY), None)
    );
    let event = Granted {
        recipient: specialist(),
        expires_at: EXPIRY,
        action: "read".to_owned(),
        resource: "*".to_owned(),
        number: 0,
        under: None,
    };
    assert_eq!(test.events_of::<Granted>(), [event]);
}

#[test]
fn a_grant_ends_at_its_expiry_exactly() {
    let mut test = granted();
    test.set_time(Millis(EXPIRY.0 - 1));
    assert!(can_read(&test, specialist()));
    test.advance(Millis(1));
    assert!(!can_read(&test, specialist()));
}

#[test]
fn a_later_grant_replaces_an_earlier_one() {
    let mut test = granted();
    let sooner = Millis(START + 5);
    let grant = test.call(|env| DataAccess::grant_access(env, specialist(), sooner));
    assert_eq!(grant, Ok(()));
    // Everybody hears that the earlier one is over.
    let told = |test: &TestEnv| -> Vec<_> {
        let events = test.events_of::<Revoked>().into_iter();
        events.map(|event| event.number).collect()
    };
    assert_eq!(told(&test), [0]);
    test.set_time(sooner);
    assert!(!can_read(&test, specialist()));
    // That one ended by itself: nobody took it away, and nothing of it can be taken away.
    let nothing = test.call(|env| DataAccess::revoke_access(env, specialist()));
    assert_eq!(nothing, Err(Error::NotGranted));
    let grant = test.call(|env| DataAccess::grant_access(env, specialist(), EXPIRY));
    assert_eq!((grant, told(&test)), (Ok(()), vec![0]));
    let entry = test.view(|env| DataAccess::entry(env, 1));
    assert_eq!(entry.and_then(|entry| entry.revoked_at), None);
}

#[test]
fn a_replacement_ends_what_was_passed_on_and_says_so() {
    let mut test = deployed();
    let everything = "*".to_owned();
    let grant = |env: &mut Env, until| {
        let (read, all) = ("read".to_owned(), "*".to_owned());
        DataAccess::grant(env, specialist(), read, all, until, 1)
    };
    assert_eq!(test.call(|env| grant(env, EXPIRY)), Ok(0));
    test.as_account(specialist());
    let passed = test.call(|env| {
        let read = "read".to_owned();
        DataAccess::pass_on(env, stranger(), read, everything, EXPIRY, 0)
    });
    assert_eq!(passed, Ok(1));
    let expires_at = |test: &TestEnv, who| test.view(|env| DataAccess::expires_at(env, who));
    assert_eq!(expires_at(&test, stranger()), Some(EXPIRY));
    test.as_account(owner());
    let longer = Millis(EXPIRY.0 + 1);
    assert_eq!(test.call(|env| grant(env, longer)), Ok(2));
    assert!(can_read(&test, specialist()) && !can_read(&test, stranger()));
    assert_eq!(expires_at(&test, specialist()), Some(longer));
    assert_eq!(expires_at(&test, stranger()), None);
    assert_eq!(test.events_of::<Revoked>(), [first_grant_revoked()]);
}

#[test]
fn an_expiry_that_is_not_ahead_is_refused() {
    let mut test = deployed();
    for expires_at in [0, START - 1, START] {
        let grant =
            test.call(|env| DataAccess::grant_access(env, specialist(), Millis(expires_at)));
        assert_eq!(grant, Err(Error::ExpiryInThePast));
    }
    assert_eq!(test.events(), []);
    let grant = test.call(|env| DataAccess::grant_access(env, specialist(), Millis(START + 1)));
    assert_eq!(grant, Ok(()));
}

#[test]
fn only_the_owner_grants_and_revokes() {
    let mut test = granted();
    test.as_account(stranger());
    let grant = test.call(|env| DataAccess::grant_access(env, stranger(), EXPIRY));
    assert_eq!(grant, Err(Error::NotOwner));
    // Who asks is judged first: a stranger learns nothing from the other errors.
    let grant = test.call(|env| DataAccess::grant_access(env, stranger(), Millis(0)));
    assert_eq!(grant, Err(Error::NotOwner));
    let revocation = test.call(|env| DataAccess::revoke_access(env, specialist()));
    assert_eq!(revocation, Err(Error::NotOwner));
    assert!(can_read(&test, specialist()) && !can_read(&test, stranger()));
}

#[test]
fn a_revocation_ends_a_grant_at_once() {
    let mut test = granted();
    let revocation = test.call(|env| DataAccess::revoke_access(env, specialist()));
    assert_eq!(revocation, Ok(()));
    assert!(!can_read(&test, specialist()));
    assert_eq!(test.events_of::<Revoked>(), [first_grant_revoked()]);
    let again = test.call(|env| DataAccess::revoke_access(env, specialist()));
    assert_eq!(again, Err(Error::NotGranted));
    assert_eq!(test.events_of::<Revoked>().len(), 1);
}

#[test]
fn every_grant_has_a_storage_entry_of_its_own() {
    let mut test = granted();
    let before = test.storage().len();
    for recipient in 10..20 {
        let grant =
            test.call(|env| DataAccess::grant_access(env, TestEnv::account(recipient), EXPIRY));
        assert_eq!(grant, Ok(()));
    }
    // The entry, and which one stands for that recipient.
    assert_eq!(test.storage().len(), before + 20);
    assert_eq!(test.view(DataAccess::count), 11);
    let entry = test.view(|env| DataAccess::entry(env, 0));
    let expected = AccessEntry {
        subject: specialist(),
        action: "read".to_owned(),
        resource: "*".to_owned(),
        from: Millis(START),
        until: EXPIRY,
        granted_by: owner(),
        under: None,
        passes_max: 0,
        revoked_at: None,
    };
    assert_eq!(entry, Some(expected));
    assert_eq!(test.view(|env| DataAccess::entry(env, 11)), None);
}

fn decide(test: &TestEnv, who: AccountId, action: &str, resource: &str) -> Decision {
    let (action, resource) = (action.to_owned(), resource.to_owned());
    test.view(|env| DataAccess::decide(env, who, action, resource, env.block_time()))
}

fn grant(
    test: &mut TestEnv,
    recipient: AccountId,
    what: &str,
    expires_at: Millis,
    passes_max: u8,
) -> Result<u64, Error> {
    let (action, resource) = what.split_once(' ').expect("two words");
    let (action, resource) = (action.to_owned(), resource.to_owned());
    test.call(|env| DataAccess::grant(env, recipient, action, resource, expires_at, passes_max))
}

fn pass_on(
    test: &mut TestEnv,
    from: AccountId,
    recipient: AccountId,
    what: &str,
    expires_at: Millis,
    passes_max: u8,
) -> Result<u64, Error> {
    let (action, resource) = what.split_once(' ').expect("two words");
    let (action, resource) = (action.to_owned(), resource.to_owned());
    test.as_account(from);
    let number = test
        .call(|env| DataAccess::pass_on(env, recipient, action, resource, expires_at, passes_max));
    test.as_account(owner());
    number
}

fn revoke(test: &mut TestEnv, who: AccountId, of: AccountId, what: &str) -> Result<(), Error> {
    let (action, resource) = what.split_once(' ').expect("two words");
    let (action, resource) = (action.to_owned(), resource.to_owned());
    test.as_account(who);
    let done = test.call(|env| DataAccess::revoke(env, of, action, resource));
    test.as_account(owner());
    done
}

#[test]
fn a_grant_goes_as_far_as_its_action_and_resource() {
    let mut test = deployed();
    assert_eq!(
        grant(&mut test, specialist(), "read labs/2026", EXPIRY, 0),
        Ok(0)
    );
    let permit = Decision::Permit { until: EXPIRY };
    for resource in ["labs/2026", "labs/2026/11"] {
        assert_eq!(decide(&test, specialist(), "read", resource), permit);
        assert!(!decide(&test, specialist(), "write", resource).permits());
        assert!(!decide(&test, stranger(), "read", resource).permits());
    }
    for resource in ["labs", "labs/20261", "labs/2025", "*", "", "labs/2026/"] {
        assert!(!decide(&test, specialist(), "read", resource).permits());
    }
    assert!(!can_read(&test, specialist()));
    // The owner needs no grant, and has none.
    assert!(!decide(&test, owner(), "read", "labs/2026").permits());
}

#[test]
fn names_are_judged() {
    let mut test = deployed();
    for what in ["read ", " labs", "read labs//x", "read */x", "read /"] {
        let refused = grant(&mut test, specialist(), what, EXPIRY, 0);
        assert_eq!(refused, Err(Error::NotAName), "{what}");
    }
    let refused = grant(&mut test, specialist(), "read labs", EXPIRY, 8);
    assert_eq!(refused, Err(Error::PassedOnTooOften));
    assert_eq!((test.view(DataAccess::count), test.events()), (0, &[][..]));
}

#[test]
fn a_recipient_passes_on_what_it_has_or_less() {
    let (mut test, nurse) = (deployed(), TestEnv::account("nurse"));
    assert_eq!(
        grant(&mut test, specialist(), "read labs", EXPIRY, 1),
        Ok(0)
    );
    let mut try_to = |what: &str, expires_at: u64, passes_max| {
        pass_on(
            &mut test,
            specialist(),
            nurse,
            what,
            Millis(expires_at),
            passes_max,
        )
    };
    for what in [
        "write labs",
        "read *",
        "read images",
        "read lab",
        "read labs2",
    ] {
        assert_eq!(
            try_to(what, EXPIRY.0, 0),
            Err(Error::BeyondOwnGrant),
            "{what}"
        );
    }
    assert_eq!(
        try_to("read labs", EXPIRY.0 + 1, 0),
        Err(Error::BeyondOwnGrant)
    );
    assert_eq!(try_to("read labs", EXPIRY.0, 1), Err(Error::BeyondOwnGrant));
    assert_eq!(try_to("read labs", START, 0), Err(Error::ExpiryInThePast));
    assert_eq!(try_to("read labs/", EXPIRY.0, 0), Err(Error::NotAName));
    assert_eq!(
        try_to("read labs", EXPIRY.0, 8),
        Err(Error::PassedOnTooOften)
    );
    assert_eq!(try_to("read labs/2026", EXPIRY.0, 0), Ok(1));

    let until = EXPIRY;
    let permit = Decision::Permit { until };
    assert_eq!(decide(&test, nurse, "read", "labs/2026"), permit);
    assert!(!decide(&test, nurse, "read", "labs").permits());
    // Here it ends: the nurse may not pass it on.
    let further = pass_on(&mut test, nurse, stranger(), "read labs/2026", EXPIRY, 0);
    assert_eq!(further, Err(Error::BeyondOwnGrant));
    let of_nothing = pass_on(&mut test, stranger(), nurse, "read labs", EXPIRY, 0);
    assert_eq!(of_nothing, Err(Error::BeyondOwnGrant));
    let to_itself = pass_on(
        &mut test,
        specialist(),
        specialist(),
        "read labs",
        EXPIRY,
        0,
    );
    assert_eq!(to_itself, Err(Error::ToOneself));
}

#[test]
fn revoking_takes_away_what_was_passed_on() {
    let (mut test, nurse) = (deployed(), TestEnv::account("nurse"));
    let friend = TestEnv::account("friend");
    assert_eq!(
        grant(&mut test, specialist(), "read labs", EXPIRY, 2),
        Ok(0)
    );
    assert_eq!(
        pass_on(&mut test, specialist(), nurse, "read labs", EXPIRY, 1),
        Ok(1)
    );
    assert_eq!(
        pass_on(&mut test, nurse, friend, "read labs/x", EXPIRY, 0),
        Ok(2)
    );
    assert!(decide(&test, friend, "read", "labs/x").permits());

    // Neither a stranger nor a recipient takes away what another granted.
    let not_theirs = revoke(&mut test, stranger(), friend, "read labs/x");
    assert_eq!(not_theirs, Err(Error::NotOwner));
    let from_above = revoke(&mut test, specialist(), friend, "read labs/x");
    assert_eq!(from_above, Err(Error::NotOwner));
    let nothing = revoke(&mut test, owner(), friend, "read labs");
    assert_eq!(nothing, Err(Error::NotGranted));

    assert_eq!(revoke(&mut test, specialist(), nurse, "read labs"), Ok(()));
    for (who, may) in [(specialist(), true), (nurse, false), (friend, false)] {
        assert_eq!(decide(&test, who, "read", "labs/x").permits(), may);
    }
    // A new grant does not bring back what hung on the old one.
    assert_eq!(
        pass_on(&mut test, specialist(), nurse, "read labs", EXPIRY, 1),
        Ok(3)
    );
    assert!(decide(&test, nurse, "read", "labs").permits());
    let denial = Decision::deny("revoked");
    assert_eq!(decide(&test, friend, "read", "labs/x"), denial);
    assert_eq!(
        revoke(&mut test, owner(), specialist(), "read labs"),
        Ok(())
    );
    assert!(!decide(&test, nurse, "read", "labs").permits());
}

#[test]
fn what_was_passed_on_ends_when_a_longer_grant_is_cut_short() {
    let (mut test, nurse) = (deployed(), TestEnv::account("nurse"));
    assert_eq!(
        grant(&mut test, specialist(), "read labs", EXPIRY, 1),
        Ok(0)
    );
    assert_eq!(
        pass_on(&mut test, specialist(), nurse, "read labs", EXPIRY, 0),
        Ok(1)
    );
    assert_eq!(
        grant(&mut test, specialist(), "read labs", Millis(START + 5), 1),
        Ok(2)
    );
    assert!(!decide(&test, nurse, "read", "labs").permits());
    // And one with a later end is not reached by a shorter grant of the same.
    let later = pass_on(
        &mut test,
        specialist(),
        nurse,
        "read labs",
        Millis(START + 6),
        0,
    );
    assert_eq!(later, Err(Error::BeyondOwnGrant));
}

#[test]
fn nobody_passes_on_in_the_place_of_another() {
    let (mut test, nurse) = (deployed(), TestEnv::account("nurse"));
    let soon = Millis(START + 5);
    assert_eq!(grant(&mut test, nurse, "read labs", EXPIRY, 0), Ok(0));
    assert_eq!(
        grant(&mut test, specialist(), "read labs", EXPIRY, 1),
        Ok(1)
    );
    let shorter = pass_on(&mut test, specialist(), nurse, "read labs", soon, 0);
    assert_eq!(shorter, Err(Error::GrantedByAnother));
    // What is over protects nobody; what one passed on oneself can be replaced.
    assert_eq!(grant(&mut test, nurse, "read labs", soon, 0), Ok(2));
    test.set_time(soon);
    assert_eq!(
        pass_on(&mut test, specialist(), nurse, "read labs", EXPIRY, 0),
        Ok(3)
    );
    let (sooner, again) = (Millis(START + 9), Ok(4));
    assert_eq!(
        pass_on(&mut test, specialist(), nurse, "read labs", sooner, 0),
        again
    );
    assert_eq!(
        decide(&test, nurse, "read", "labs"),
        Decision::Permit { until: sooner }
    );
    // The owner decides about everything.
    assert_eq!(grant(&mut test, nurse, "read labs", EXPIRY, 0), Ok(5));
}

#[test]
fn an_answer_about_later_is_about_that_time() {
    let test = granted();
    let at = |at| {
        let (action, resource) = ("read".to_owned(), "labs".to_owned());
        test.view(|env| DataAccess::decide(env, specialist(), action, resource, Millis(at)))
    };
    let permit = Decision::Permit { until: EXPIRY };
    assert_eq!((at(START), at(EXPIRY.0 - 1)), (permit.clone(), permit));
    assert_eq!(at(EXPIRY.0), Decision::deny("expired"));
    assert_eq!(at(START - 1), Decision::deny("not begun"));
}

#[test]
fn what_comes_back_is_not_what_is_passed_on_from() {
    let (mut test, nurse) = (deployed(), TestEnv::account("nurse"));
    let friend = TestEnv::account("friend");
    let what = "read labs/2026";
    let all = grant(&mut test, specialist(), "read labs", EXPIRY, 5);
    assert_eq!(all, Ok(0));
    for (number, by, to, passes) in [
        (1, specialist(), nurse, 3),
        (2, nurse, specialist(), 2),
        (3, specialist(), friend, 0),
    ] {
        assert_eq!(pass_on(&mut test, by, to, what, EXPIRY, passes), Ok(number));
    }
    let of_friend = test.view(|env| DataAccess::entry(env, 3));
    assert_eq!(of_friend.and_then(|entry| entry.under), Some(0));
    assert_eq!(revoke(&mut test, nurse, specialist(), what), Ok(()));
    assert!(decide(&test, friend, "read", "labs/2026").permits());
    // The giver shortens what it gave, which is not under anything of the one it gave it to.
    let soon = Millis(EXPIRY.0 - 1);
    assert_eq!(
        pass_on(&mut test, specialist(), nurse, what, soon, 0),
        Ok(4)
    );
    assert!(decide(&test, nurse, "read", "labs/2026").permits());
}
