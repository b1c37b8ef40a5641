//! The rules of the contract, one by one, as plain Rust.

use chancery_contract::{AccountId, Hash, Millis, TestEnv};
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
    test.set_time(sooner);
    assert!(!can_read(&test, specialist()));
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
    let event = Revoked {
        recipient: specialist(),
    };
    assert_eq!(test.events_of::<Revoked>(), [event]);
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
    assert_eq!(test.storage().len(), before + 10);
    let key = [&b"grant/"[..], &specialist().0].concat();
    assert_eq!(test.storage()[&key], EXPIRY.0.to_le_bytes());
}
