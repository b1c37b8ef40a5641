//! A new version of a contract finds what the old one stored. The rules are those of the ledger
//! (`chancery_ledger::upgrade`), which `contracts/runtime/tests/upgrade.rs` tests where they are made.

#[path = "upgrade/first.rs"]
mod first;
#[path = "upgrade/second.rs"]
mod second;
#[path = "upgrade/story.rs"]
mod story;

use chancery_contract::{ContractId, Env, Item, TestEnv, contract};

fn deployed() -> TestEnv {
    let mut test = TestEnv::new();
    let owner = TestEnv::account("somebody");
    test.upgradable_by(&[owner]);
    test.call(|env| first::Visits::init(env, "hospital".to_owned()));
    test
}

#[test]
fn native_code_tells_the_story() {
    let mut test = TestEnv::new();
    story::told(&mut test, |test| test.storage().clone());
    assert_eq!(test.fuel_used(), None);
}

#[test]
fn an_upgrade_that_panics_leaves_the_old_code() {
    let mut test = deployed();
    let upgrade = || {
        test.upgrade::<second::Visits, _>(|env| {
            let _ = second::Visits::migrate(env, "ward 3".to_owned());
            assert!(env.block_height() > 1, "too early");
        });
    };
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(upgrade));
    assert!(ended.is_err());
    assert_eq!(test.version(), 1);
    assert_eq!(test.view(first::Visits::count), 0);
    assert_eq!((test.storage().len(), test.events()), (1, &[][..]));
}

const SIGN: Item<u8> = Item::new("sign");

#[derive(Debug)]
struct Plain;

#[contract]
impl Plain {
    #[call]
    fn sign(env: &mut Env) -> u8 {
        SIGN.set(env, &1);
        1
    }
}

/// Has the method of the other one, by its name.
#[derive(Debug)]
struct Other;

#[contract]
impl Other {
    #[call]
    fn sign(env: &mut Env) -> u8 {
        SIGN.get(env).unwrap_or(0) + 1
    }

    #[call]
    fn ask(env: &mut Env, contract: ContractId) -> u8 {
        env.call(contract, "sign", &()).expect("it returns")
    }
}

#[test]
fn code_without_a_migrate_finds_the_storage_as_it_is() {
    let mut test = TestEnv::new();
    let owner = TestEnv::account("somebody");
    test.upgradable_by(&[owner]);
    let asked = test.deploy::<Plain, _>(|_| ());
    assert_eq!(test.call_at(asked, Plain::sign), 1);
    test.upgrade_at::<Other, _>(asked, |_| ());
    assert_eq!(
        (test.version_at(asked), test.call_at(asked, Other::sign)),
        (2, 2)
    );
    // So do those who call it.
    assert_eq!(test.call(|env| Other::ask(env, asked)), 2);
}

#[test]
#[should_panic(expected = "the contract is a `Other`, and this is `sign` of `Plain`")]
fn a_method_of_the_old_code_is_not_taken_for_one_of_the_new() {
    let mut test = TestEnv::new();
    let owner = TestEnv::account("somebody");
    test.upgradable_by(&[owner]);
    test.call(Plain::sign);
    test.upgrade::<Other, _>(|_| ());
    test.call(Plain::sign);
}

#[test]
#[should_panic(expected = "(may_not_upgrade)")]
fn unless_it_was_said_nobody_may() {
    let mut test = TestEnv::new();
    test.call(Plain::sign);
    test.upgrade::<Other, _>(|_| ());
}

#[test]
#[should_panic(expected = "the contract is not deployed yet")]
fn what_is_not_there_gets_no_other_code() {
    TestEnv::new().upgrade::<Other, _>(|_| ());
}

#[test]
#[should_panic(expected = "begins with its `migrate`, and this is `total` of `Visits`")]
fn an_upgrade_runs_migrate() {
    deployed().upgrade::<second::Visits, _>(|env| second::Visits::total(env));
}

#[test]
#[should_panic(expected = "its `migrate` refuses with code 3")]
fn a_migrate_that_is_left_to_the_ledger_may_refuse() {
    mod strict {
        use chancery_contract::{Env, contract, contract_error};

        #[contract_error]
        pub(super) enum Error {
            Never = 3,
        }

        #[derive(Debug)]
        pub(super) struct Strict;

        #[contract]
        impl Strict {
            #[migrate]
            pub(super) fn migrate(env: &mut Env) -> Result<(), Error> {
                env.debug_log("refuses");
                Err(Error::Never)
            }
        }
    }
    deployed().upgrade::<strict::Strict, _>(|_| ());
}

#[test]
fn the_schema_has_the_method() {
    let migrate = r#"{"name":"migrate","kind":"migrate","docs":"Gives all visits the one place there was.","args":[{"name":"place","type":"string"}],"returns":"u64"}"#;
    assert!(second::Visits::SCHEMA.contains(migrate));
    assert!(!first::Visits::SCHEMA.contains("migrate"));
}
