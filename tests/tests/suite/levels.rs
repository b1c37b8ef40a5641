//! One test of a contract, run by native code, by the executor, and by validators.

use std::process::Command;

use chancery_contract::access::Decision;
use chancery_contract::{AccountId, Devnet, Hash, Millis, TestEnv};
use chancery_tests::command::{binary, contract};
use data_access::{DataAccess, Error, Granted};

const HOUR: Millis = Millis(3_600_000);

fn account(name: &str) -> AccountId {
    TestEnv::account(name)
}

fn decide(test: &TestEnv, subject: AccountId) -> Decision {
    let (action, resource) = ("read".to_owned(), "report/7".to_owned());
    test.view(|env| DataAccess::decide(env, subject, action, resource, test.time()))
}

/// Whatever runs the contract, this is what happens.
fn story(test: &mut TestEnv) {
    let [owner, specialist, stranger] = ["owner", "specialist", "stranger"].map(account);
    test.as_account(owner);
    test.call(|env| DataAccess::init(env, Hash([9; 32])));
    assert_eq!(test.view(DataAccess::owner), owner);
    assert!(!decide(test, specialist).permits());

    let until = Millis(test.time().0 + HOUR.0);
    let grant = |test: &mut TestEnv, to, passes| {
        let (action, resource) = ("read".to_owned(), "report".to_owned());
        test.call(|env| DataAccess::grant(env, to, action, resource, until, passes))
    };
    test.as_account(stranger);
    assert_eq!(grant(test, stranger, 0), Err(Error::NotOwner));
    test.as_account(owner);
    assert_eq!(grant(test, specialist, 1), Ok(0));
    assert_eq!(decide(test, specialist), Decision::Permit { until });
    assert!(!decide(test, stranger).permits());
    // Who was granted something acts upon it: an account is the same in arguments and as a caller.
    test.as_account(specialist);
    let (action, resource) = ("read".to_owned(), "report/7".to_owned());
    let passed = test.call(|env| DataAccess::pass_on(env, stranger, action, resource, until, 0));
    assert_eq!(passed, Ok(1));
    assert!(decide(test, stranger).permits());
    assert_eq!(test.view(DataAccess::count), 2);
    let events = test.events_of::<Granted>();
    let recipients: Vec<AccountId> = events.iter().map(|event| event.recipient).collect();
    assert_eq!(recipients, [specialist, stranger]);
}

#[test]
fn native_code_tells_the_story() {
    let mut test = TestEnv::new();
    story(&mut test);
    assert_eq!(test.fuel_used(), None);
    test.advance(HOUR);
    assert!(!decide(&test, account("specialist")).permits());
}

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
fn the_executor_tells_the_story() {
    let mut native = TestEnv::new();
    story(&mut native);
    let mut test = TestEnv::wasm(contract("data_access"));
    story(&mut test);
    assert!(test.fuel_used() > Some(50_000));
    assert_eq!(test.storage(), native.storage());
    assert_eq!(test.events(), native.events());
    test.advance(HOUR);
    assert!(!decide(&test, account("specialist")).permits());
}

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
fn validators_tell_the_story() {
    let mut test = Devnet::test(contract("data_access"));
    story(&mut test);
    assert!(test.fuel_used() > Some(50_000));
    assert!(test.height() > 1);
}

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
#[should_panic(expected = "can only call methods of the contract")]
fn a_module_s_storage_is_its_own() {
    let mut test = TestEnv::wasm(contract("data_access"));
    test.call(|env| env.set_raw(b"owner", &[0]));
}

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
#[should_panic(expected = "not deployed yet")]
fn what_is_not_deployed_cannot_be_asked() {
    let test = TestEnv::wasm(contract("data_access"));
    test.view(DataAccess::owner);
}

#[test]
fn modules_tell_the_same_story() {
    let this = std::env::current_exe().expect("a test knows its own path");
    let output = Command::new(this)
        .args(["levels::", "--ignored"])
        .env("CHANCERY_BIN", binary())
        .env_remove("CHANCERY_DEVNET")
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("4 passed; 0 failed"), "{text}");
}

#[test]
fn without_the_program_it_says_what_is_missing() {
    let this = std::env::current_exe().expect("a test knows its own path");
    let output = Command::new(this)
        .args(["levels::the_executor_tells_the_story", "--ignored"])
        .env("CHANCERY_BIN", "/nowhere/chancery")
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("/nowhere/chancery cannot be started"),
        "{text}"
    );
    assert!(text.contains("say where it is by CHANCERY_BIN"), "{text}");
}
