//! The rules of the contract, one by one.

use chancery_contract::{AccountId, Millis, TestEnv};
use contract_name::{ContractName, Error, Granted, Revoked};

const HOUR: Millis = Millis(3_600_000);
const RECORD: &str = "x-ray/17";

fn owner() -> AccountId {
    TestEnv::account("owner")
}

fn reader() -> AccountId {
    TestEnv::account("reader")
}

/// A ledger with the contract, deployed by its owner. `CHANCERY_LEVEL=wasm` has the module run.
fn deployed() -> TestEnv {
    let mut test = TestEnv::by_level("target/contracts/contract_name.wasm");
    test.as_account(owner()).call(ContractName::init);
    test
}

/// An hour from now.
fn soon(test: &TestEnv) -> Millis {
    Millis(test.time().0 + HOUR.0)
}

fn grant(test: &mut TestEnv, until: Millis) -> Result<(), Error> {
    test.call(|env| ContractName::grant(env, reader(), RECORD.to_owned(), until))
}

fn revoke(test: &mut TestEnv) -> Result<(), Error> {
    test.call(|env| ContractName::revoke(env, reader(), RECORD.to_owned()))
}

/// Whether the account may read the record now.
fn can_read(test: &TestEnv, account: AccountId) -> bool {
    let (action, record) = ("read".to_owned(), RECORD.to_owned());
    test.view(|env| ContractName::decide(env, account, action, record, test.time()))
        .permits()
}

#[test]
fn nothing_is_allowed_unless_granted() {
    assert!(!can_read(&deployed(), reader()));
}

#[test]
fn a_grant_holds_until_its_end_and_for_nobody_else() {
    let mut test = deployed();
    let until = soon(&test);
    assert_eq!(grant(&mut test, until), Ok(()));
    assert!(can_read(&test, reader()));
    assert!(!can_read(&test, TestEnv::account("stranger")));
    let event = Granted {
        reader: reader(),
        record: RECORD.to_owned(),
        until,
    };
    assert_eq!(test.events_of::<Granted>(), [event]);

    test.advance(HOUR);
    assert!(!can_read(&test, reader()));
}

#[test]
fn granting_anew_replaces_the_grant_and_says_so() {
    let mut test = deployed();
    let until = soon(&test);
    assert_eq!(grant(&mut test, until), Ok(()));
    let longer = Millis(until.0 + 1);
    assert_eq!(grant(&mut test, longer), Ok(()));
    assert_eq!(test.events_of::<Revoked>().len(), 1);
    test.set_time(until);
    assert!(can_read(&test, reader()));
}

#[test]
fn a_revoked_grant_is_over_at_once_and_stays_in_the_index() {
    let mut test = deployed();
    let until = soon(&test);
    assert_eq!(grant(&mut test, until), Ok(()));
    assert_eq!(revoke(&mut test), Ok(()));
    assert!(!can_read(&test, reader()));
    assert_eq!(revoke(&mut test), Err(Error::NotGranted));
    assert_eq!(test.view(ContractName::count), 1);
    let entry = test.view(|env| ContractName::entry(env, 0));
    assert!(entry.is_some_and(|entry| entry.revoked_at.is_some()));
}

#[test]
fn only_the_owner_grants_and_revokes() {
    let mut test = deployed();
    let until = soon(&test);
    test.as_account(reader());
    assert_eq!(grant(&mut test, until), Err(Error::NotOwner));
    assert_eq!(revoke(&mut test), Err(Error::NotOwner));
}

#[test]
fn a_grant_that_is_over_already_is_a_mistake() {
    let mut test = deployed();
    let now = test.time();
    assert_eq!(grant(&mut test, now), Err(Error::AlreadyOver));
}
