//! A ledger with one manufacturer, and short ways to say what is done to its goods.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary compiles this module and uses its own part of it"
)]

use chancery_contract::{AccountId, Hash, Millis, TestEnv};
use provenance::{Entry, Error, Item, Provenance, Step};

pub const START: u64 = 1_000_000;
pub const PREFIX: &str = "4012345";
pub const EVENT: Hash = Hash([7; 32]);

pub fn who(name: &str) -> AccountId {
    TestEnv::account(name)
}

/// An item's salted hash.
pub fn item(number: u8) -> Hash {
    Hash([number; 32])
}

/// The operator's contract, where "maker" commissions goods under [`PREFIX`].
pub fn deployed() -> TestEnv {
    let mut test = TestEnv::new();
    for name in ["maker", "shipper", "retailer", "stranger", "operator"] {
        test.as_account(who(name));
    }
    test.set_time(Millis(START));
    test.call(Provenance::init);
    assert_eq!(register(&mut test, "operator", PREFIX, "maker"), Ok(()));
    test
}

pub fn register(test: &mut TestEnv, by: &str, prefix: &str, maker: &str) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Provenance::register_manufacturer(env, prefix.to_owned(), who(maker)))
}

pub fn revoke(test: &mut TestEnv, by: &str, prefix: &str) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Provenance::revoke_manufacturer(env, prefix.to_owned()))
}

pub fn commission(test: &mut TestEnv, by: &str, prefix: &str, item: Hash) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Provenance::commission(env, prefix.to_owned(), item, EVENT))
}

/// What one account does to one item of [`PREFIX`].
pub fn offer(test: &mut TestEnv, by: &str, item: Hash, to: &str) -> Result<u64, Error> {
    test.as_account(who(by))
        .call(|env| Provenance::offer(env, PREFIX.to_owned(), item, who(to), EVENT))
}

pub fn withdraw(test: &mut TestEnv, by: &str, item: Hash) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Provenance::withdraw(env, PREFIX.to_owned(), item, None))
}

pub fn refuse(test: &mut TestEnv, by: &str, item: Hash, offer: u64) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Provenance::refuse(env, PREFIX.to_owned(), item, offer, Some(EVENT)))
}

pub fn accept(test: &mut TestEnv, by: &str, item: Hash, offer: u64) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Provenance::accept(env, PREFIX.to_owned(), item, offer, EVENT))
}

pub fn observe(test: &mut TestEnv, by: &str, item: Hash) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Provenance::observe(env, PREFIX.to_owned(), item, EVENT))
}

pub fn decommission(test: &mut TestEnv, by: &str, item: Hash) -> Result<(), Error> {
    test.as_account(who(by))
        .call(|env| Provenance::decommission(env, PREFIX.to_owned(), item, EVENT))
}

pub fn found(test: &TestEnv, item: Hash) -> Result<Item, Error> {
    test.view(|env| Provenance::item(env, PREFIX.to_owned(), item))
}

pub fn entry(test: &TestEnv, item: Hash, number: u64) -> Result<Entry, Error> {
    test.view(|env| Provenance::entry(env, PREFIX.to_owned(), item, number))
}

pub fn history(test: &TestEnv, item: Hash) -> Vec<Entry> {
    let entries = found(test, item).map_or(0, |item| item.entries);
    let all = (0..entries).map(|number| entry(test, item, number));
    all.collect::<Result<_, _>>()
        .expect("every number below the count")
}

pub fn steps(test: &TestEnv, item: Hash) -> Vec<Step> {
    history(test, item)
        .into_iter()
        .map(|entry| entry.step)
        .collect()
}
