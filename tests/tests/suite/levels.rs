//! One test of a contract, run by native code, by the executor, and by validators; one of contracts
//! that call each other, which is native in `sdk/contract/tests/calls.rs`; and one of a contract that
//! gets other code, which is native in `sdk/contract/tests/upgrade.rs`.

#[path = "../../../sdk/contract/tests/calls/story.rs"]
mod calls;
#[path = "../../../sdk/contract/tests/upgrade/first.rs"]
mod first;
#[path = "../../../sdk/contract/tests/upgrade/second.rs"]
mod second;
#[path = "../../../sdk/contract/tests/calls/till.rs"]
mod till;
#[path = "../../../sdk/contract/tests/upgrade/story.rs"]
mod upgrade;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use chancery_contract::access::Decision;
use chancery_contract::{AccountId, ContractId, Devnet, Emitted, Hash, Millis, TestEnv};
use chancery_tests::cluster::Cluster;
use chancery_tests::command::{binary, chancery, contract};
use data_access::{DataAccess, Error, Granted};
use till::Till;

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
    let said = |event: &Emitted| (event.topic.clone(), event.data.clone());
    let all = |test: &TestEnv| test.events().iter().map(said).collect::<Vec<_>>();
    assert_eq!(all(&test), all(&native));
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
    // Blocks go on without being asked, and a test sees it.
    let (until, begun) = (Millis(test.time().0 + 2_000), Instant::now());
    while test.time() < until {
        assert!(begun.elapsed() < Duration::from_secs(60), "time stands");
        thread::sleep(Duration::from_millis(100));
    }
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

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
#[should_panic(expected = "a contract is deployed once: use another TestEnv")]
fn a_module_is_deployed_once() {
    let mut test = TestEnv::wasm(contract("data_access"));
    story(&mut test);
    test.call(|env| DataAccess::init(env, Hash([8; 32])));
}

/// A contract, compiled as the project of somebody who has nothing but the program.
fn built(name: &str, source: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let project = directory.path().join(name);
    let run = |words: &[&str], at: &Path| {
        let mut command = Command::new(binary());
        command.args(words).current_dir(at);
        // What the project depends on is compiled once, and not for each run of this test.
        command.env("CARGO_TARGET_DIR", folder.join("projects"));
        let output = command.output().expect("starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
    };
    run(&["contract", "new", name], directory.path());
    fs::write(project.join("src/lib.rs"), source).expect("writes");
    run(&["contract", "build"], &project);
    let file = format!("{name}.wasm");
    let module = folder.join(&file);
    fs::copy(project.join("target/contracts").join(file), &module).expect("a module");
    module
}

/// Calls others of its kind.
static TILL: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = include_str!("../../../sdk/contract/tests/calls/till.rs");
    built("till", source)
});

/// What gets other code, and that code.
static VERSIONS: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    let first = include_str!("../../../sdk/contract/tests/upgrade/first.rs");
    let second = include_str!("../../../sdk/contract/tests/upgrade/second.rs");
    [built("visits_first", first), built("visits_second", second)]
});

fn tills() -> TestEnv {
    TestEnv::wasm(&*TILL).with_module::<Till>(&*TILL)
}

/// A till beside the one under test.
fn beside(test: &mut TestEnv) -> ContractId {
    test.deploy::<Till, _>(|env| Till::init(env, calls::MOST))
}

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
fn the_executor_tells_of_calls() {
    let mut test = tills();
    let other = beside(&mut test);
    calls::told(&mut test, other);
    let mut native = TestEnv::new();
    let native_other = beside(&mut native);
    calls::told(&mut native, native_other);
    let passed = native.storage_at(native.address());
    assert_eq!(test.storage_at(test.address()), passed);
    let keys = |test: &TestEnv, at| test.storage_at(at).keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&test, other), keys(&native, native_other));
}

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
fn validators_tell_of_calls() {
    let mut test = Devnet::test(&*TILL).with_module::<Till>(&*TILL);
    let other = beside(&mut test);
    calls::told(&mut test, other);
}

fn versions_at(test: TestEnv) -> TestEnv {
    let [first, second] = &*VERSIONS;
    test.with_module::<first::Visits>(first)
        .with_module::<second::Visits>(second)
}

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
fn the_executor_tells_of_upgrades() {
    let mut test = versions_at(TestEnv::wasm(&VERSIONS[0]));
    let stored = |test: &TestEnv| test.storage().clone();
    upgrade::told(&mut test, stored);
    assert!(
        test.fuel_used() > Some(50_000),
        "migrate and its module are paid for"
    );
    let mut native = TestEnv::new();
    upgrade::told(&mut native, stored);
    assert_eq!(test.storage(), native.storage());
}

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
fn validators_tell_of_upgrades() {
    let mut test = versions_at(Devnet::test(&VERSIONS[0]));
    // Nobody sees there what is stored.
    upgrade::told(&mut test, |_| ());
    assert!(
        test.fuel_used() > Some(50_000),
        "migrate and its module are paid for"
    );
}

/// What the ledger ends is a panic of the same name in native code.
///
/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
fn calls_end_alike_in_the_executor_and_natively() {
    type Run = fn(&mut TestEnv, ContractId);
    let ends: [(&str, Run); 6] = [
        ("reentrant", |test, other| {
            let _ = test.call(|env| Till::there_and_back(env, other));
        }),
        ("unknown_callee", |test, _| {
            let nowhere = ContractId([7; 32]);
            let _ = test.call(|env| Till::pass_on(env, nowhere, 1, String::new()));
        }),
        ("unknown_callee", |test, other| {
            test.view(|env| Till::is_closed(env, other));
        }),
        ("bad_arguments", |test, other| {
            test.view(|env| Till::mistaken(env, other));
        }),
        ("write_in_view", |test, other| {
            test.view(|env| Till::sly(env, other));
        }),
        ("call_too_deep", |test, other| {
            // The last one is never called: that there are too many comes first.
            let path = [&[other][..], &test_path(test, 6), &[other]].concat();
            let _ = test.call(|env| Till::chain(env, path));
        }),
    ];
    let mut native = TestEnv::new();
    let native_other = beside(&mut native);
    let mut module = tills();
    let module_other = beside(&mut module);
    for (test, other) in [(&mut native, native_other), (&mut module, module_other)] {
        assert_eq!(test.call(|env| Till::init(env, calls::MOST)), Ok(()));
        for (kind, run) in ends {
            let ended = catch_unwind(AssertUnwindSafe(|| run(test, other)));
            let panic = ended.expect_err("the ledger ends it");
            let words = panic.downcast_ref::<String>().expect("in words");
            assert!(words.contains(kind), "{kind}: {words}");
        }
        // What was ended left nothing, and the ledger goes on.
        assert_eq!(test.view(Till::passed), 0);
        let path = [&[other][..], &test_path(test, 6)].concat();
        assert_eq!(test.call(|env| Till::chain(env, path)), Ok(7));
    }
}

fn test_path(test: &mut TestEnv, tills: usize) -> Vec<ContractId> {
    (0..tills)
        .map(|_| test.deploy::<Till, _>(|env| Till::init(env, 9)))
        .collect()
}

/// Run by [`modules_tell_the_same_story`], which says where the program is.
#[test]
#[ignore = "needs CHANCERY_BIN"]
#[should_panic(expected = "make its TestEnv with `.with_module::<Till>(FILE)`")]
fn where_a_module_is_must_be_said() {
    let _ = beside(&mut TestEnv::wasm(&*TILL));
}

#[test]
fn modules_tell_the_same_story() {
    let this = std::env::current_exe().expect("a test knows its own path");
    let output = Command::new(this)
        // Each of its devnets is four processes.
        .args(["levels::", "--ignored", "--test-threads=2"])
        .env("CHANCERY_BIN", binary())
        .env_remove("CHANCERY_DEVNET")
        .env_remove("CHANCERY_GENESIS")
        .env_remove("CHANCERY_LEVEL")
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("12 passed; 0 failed"), "{text}");
}

/// Run by [`the_environment_names_the_level`].
#[test]
#[ignore = "needs CHANCERY_BIN"]
fn some_level_tells_the_story() {
    let mut test = TestEnv::by_level(contract("data_access"));
    story(&mut test);
    println!("fuel: {:?}, height {}", test.fuel_used(), test.height());
}

#[test]
fn the_environment_names_the_level() {
    let said = |level: &str| {
        let test = "levels::some_level_tells_the_story";
        said(test, &[("CHANCERY_LEVEL", level)])
    };
    for (level, expected) in [
        ("", "fuel: None, height 1"),
        ("native", "fuel: None, height 1"),
        ("wasm", "fuel: Some("),
        ("WASM", "CHANCERY_LEVEL=WASM is no level"),
    ] {
        let text = said(level);
        assert!(text.contains(expected), "{level}: {text}");
    }
    assert!(said("wasm").contains("height 1"), "blocks are set by hand");
}

/// What such a test says, where the environment has that as well.
fn said(test: &str, environment: &[(&str, &str)]) -> String {
    let this = std::env::current_exe().expect("a test knows its own path");
    let output = Command::new(this)
        .args([test, "--ignored", "--show-output"])
        .env("CHANCERY_BIN", binary())
        .env_remove("CHANCERY_DEVNET")
        .env_remove("CHANCERY_GENESIS")
        .env_remove("CHANCERY_LEVEL")
        .envs(environment.iter().copied())
        .output()
        .expect("starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn modules_are_run_by_the_limits_of_the_ledger_that_they_are_made_for() {
    let cluster = Cluster::start(1);
    let usual = fs::read_to_string(cluster.path().join("net/genesis.toml")).expect("a document");
    let file = cluster.path().join("narrow.toml").display().to_string();
    let narrow = usual.replace("event_bytes_max = 8192", "event_bytes_max = 64");
    fs::write(&file, narrow).expect("writes");
    for story in ["the_executor_tells_the_story", "validators_tell_the_story"] {
        let text = said(&format!("levels::{story}"), &[("CHANCERY_GENESIS", &file)]);
        // The story's first event has more than that.
        assert!(text.contains("size_limit"), "{text}");
    }
    // A devnet is resumed with the limits that it was made with.
    let dir = cluster.dir();
    let resumed = chancery(&["devnet", "start", "--dir", &dir, "--limits-of", &file]);
    assert_eq!(
        (resumed.code, &resumed.error_code()[..]),
        (2, "other_devnet")
    );
}

#[test]
fn without_the_program_it_says_what_is_missing() {
    let story = "levels::the_executor_tells_the_story";
    let text = said(story, &[("CHANCERY_BIN", "/nowhere/chancery")]);
    assert!(
        text.contains("/nowhere/chancery cannot be started"),
        "{text}"
    );
    assert!(text.contains("say where it is by CHANCERY_BIN"), "{text}");
}
