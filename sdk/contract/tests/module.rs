//! What a test sees of a module, where what runs it is known word by word: its answers are written
//! down before. Real ones are in `levels.rs` of the suite.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use chancery_contract::test_host::{Answer, Ending, Moment, Seen, write_frame};
use chancery_contract::{Devnet, Env, Millis, TestEnv, contract};

#[derive(Debug)]
struct Counter;

#[contract]
impl Counter {
    #[call]
    fn add(env: &mut Env) {
        env.debug_log("is not what runs");
    }

    #[view]
    fn count(_: &Env) -> u64 {
        0
    }
}

const MODULE: &str = "MODULE_OF_THIS_TEST";

/// The module of a test that [`said`] runs.
fn module() -> PathBuf {
    std::env::var_os(MODULE).expect("is set by `said`").into()
}

fn at(time: u64, height: u64) -> Moment {
    let time = Millis(time);
    Moment { time, height }
}

fn ready(time: u64, height: u64) -> Answer {
    let moment = Some(at(time, height));
    Answer::Ready { moment }
}

fn ended(ending: Ending, moment: Moment) -> Answer {
    Answer::Seen(Seen {
        ending,
        contract: None,
        version: None,
        fuel_used: 7,
        events: Vec::new(),
        logs: Vec::new(),
        storage: None,
        moment,
    })
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("module")
        .join(name);
    fs::create_dir_all(&folder).expect("can be made");
    folder
}

/// What such a test says in a process of its own, and whether it passes. The host begins by being
/// ready, by learning the names of accounts, and by admitting the first one.
fn said(test: &str, ready: Answer, answers: &[Answer]) -> (bool, String) {
    let module = folder(test).join("counter.wasm");
    fs::write(&module, b"is never read").expect("writes");
    let mut bytes = Vec::new();
    let answers = [ready, Answer::Done, Answer::Done]
        .into_iter()
        .chain(answers.to_vec());
    for answer in answers {
        write_frame(&mut bytes, &answer).expect("fits");
    }
    fs::write(module.with_extension("wasm.answers"), bytes).expect("writes");
    let this = std::env::current_exe().expect("a test knows its own path");
    let host = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/module/host.sh");
    let output = Command::new(this)
        .args([test, "--exact", "--ignored"])
        .env("CHANCERY_BIN", host)
        .env(MODULE, module)
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("running 1 test"), "{text}");
    (output.status.success(), text)
}

#[test]
#[ignore = "needs a host"]
fn time_goes_by() {
    let mut test = Devnet::test(module());
    assert_eq!(test.time(), Millis(2_000));
    // A validator that is behind takes nothing back.
    assert_eq!((test.time(), test.height()), (Millis(2_000), 9));
    assert_eq!(test.height(), 11);
    test.call(Counter::add);
    assert_eq!((test.height(), test.time()), (12, Millis(4_000)));
    assert_eq!(test.view(Env::block_time), Millis(4_500));
}

#[test]
fn the_time_of_a_devnet_is_that_of_its_newest_block() {
    let answers = [
        ready(2_000, 9),
        ready(1_500, 7),
        ready(1_500, 8),
        ready(3_000, 11),
        ended(Ending::Returned(Vec::new()), at(4_000, 12)),
        ready(3_000, 11),
        ready(4_000, 12),
        ready(4_500, 13),
    ];
    let (passes, text) = said("time_goes_by", ready(1_000, 5), &answers);
    assert!(passes, "{text}");
}

#[test]
#[ignore = "needs a host"]
fn time_stands() {
    let mut test = TestEnv::wasm(module());
    assert_eq!((test.time(), test.height()), (Millis(1_000_000), 1));
    test.advance(Millis(5));
    assert_eq!((test.time(), test.height()), (Millis(1_000_005), 2));
    assert_eq!(test.view(Env::block_time), Millis(1_000_005));
}

#[test]
fn the_time_of_the_executor_is_set_by_hand() {
    let ready = Answer::Ready { moment: None };
    // It is not asked.
    let (passes, text) = said("time_stands", ready, &[]);
    assert!(passes, "{text}");
}

#[test]
#[ignore = "needs a host"]
fn nothing_is_seen() {
    let mut test = Devnet::test(module());
    let why = words_of(|| test.storage().len());
    assert!(
        why.contains("nobody sees on a devnet what a contract stores"),
        "{why}"
    );
    let why = words_of(|| test.logs().len());
    assert!(
        why.contains("nobody sees on a devnet what a contract logs"),
        "{why}"
    );
    let why = words_of(|| test.set_time(Millis(9_000)).height());
    assert!(
        why.contains("cannot be set: test this with TestEnv::new"),
        "{why}"
    );
}

#[test]
fn what_cannot_be_seen_on_a_devnet_is_not_taken_for_nothing() {
    let (passes, text) = said("nothing_is_seen", ready(1_000, 5), &[]);
    assert!(passes, "{text}");
}

#[test]
#[ignore = "needs a host"]
fn a_call_traps() {
    let mut test = TestEnv::wasm(module());
    test.call(Counter::add);
}

#[test]
#[ignore = "needs a host"]
fn a_view_traps() {
    let test = TestEnv::wasm(module());
    test.view(Counter::count);
}

#[test]
#[ignore = "needs a host"]
fn an_upgrade_traps() {
    let module = module();
    let mut test = TestEnv::wasm(&module).with_module::<Counter>(&module);
    test.call(Counter::add);
    test.upgrade::<Counter, _>(|_| ());
}

#[test]
fn a_trap_names_the_method_and_the_line_of_the_test() {
    let trapped = || ended(Ending::Trapped("unreachable".to_owned()), at(1_000_000, 1));
    let returned = ended(Ending::Returned(Vec::new()), at(1_000_000, 1));
    let cases = [
        (
            "a_call_traps",
            vec![trapped()],
            "the ledger ended the call of `add`: unreachable",
        ),
        (
            "a_view_traps",
            vec![trapped()],
            "the ledger ended the call of `count`: unreachable",
        ),
        (
            "an_upgrade_traps",
            vec![returned, trapped()],
            "(unreachable): `migrate` of `Counter` ran without arguments",
        ),
    ];
    for (test, answers, words) in cases {
        let (passes, text) = said(test, Answer::Ready { moment: None }, &answers);
        assert!(!passes && text.contains(words), "{text}");
        let place = "sdk/contract/tests/module.rs:";
        assert!(text.contains(place), "{text}");
    }
}

/// What ends it.
fn words_of<R>(run: impl FnOnce() -> R) -> String {
    let ended = catch_unwind(AssertUnwindSafe(|| {
        run();
    }));
    let panic = ended.expect_err("it ends");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

/// A project, and its module; each file is that many seconds old.
fn project(name: &str, files: &[(&str, u64)]) -> PathBuf {
    let project = folder(name);
    let now = SystemTime::now();
    for (file, seconds) in files {
        let file = project.join(file);
        fs::create_dir_all(file.parent().expect("is in the project")).expect("can be made");
        let file = File::create(file).expect("can be made");
        let changed = now - Duration::from_secs(*seconds);
        file.set_modified(changed).expect("can be set");
    }
    project
}

/// What a test with that module says: nothing about the module, or that it is an old one.
fn taken(module: &Path) -> String {
    // Nothing can be started by that name: so far it comes with a good module only.
    let words = words_of(|| TestEnv::wasm(module));
    match words.contains("cannot be started") || words.contains("ended; what it said") {
        true => String::new(),
        false => words,
    }
}

#[test]
fn a_module_older_than_its_sources_is_not_run() {
    let module = "target/contracts/counter.wasm";
    let sources = [
        ("Cargo.toml", 10),
        ("src/lib.rs", 60),
        ("src/rules/add.rs", 70),
    ];
    let with = |name, more: &[(&str, u64)]| project(name, &[&sources, more].concat()).join(module);

    let built = with(
        "built",
        &[
            (module, 50),
            ("tests/rules.rs", 0),
            ("src/.lib.rs", 0),
            ("src/lib.rs~", 0),
        ],
    );
    assert_eq!(taken(&built), "");
    let changed = with("changed", &[(module, 65)]);
    let words = taken(&changed);
    assert!(
        words.contains("changed/src/lib.rs is newer than the module"),
        "{words}"
    );
    assert!(words.contains("run `chancery contract build`"), "{words}");
    assert_eq!(words_of(|| TestEnv::wasm(&changed)), words);
    assert_eq!(words_of(|| Devnet::test(&changed)), words);
    let deep = with("deep", &[(module, 65), ("src/rules/revoke.rs", 40)]);
    let words = taken(&deep);
    assert!(
        words.contains("deep/src/rules/revoke.rs is newer"),
        "{words}"
    );
}

#[test]
fn a_module_elsewhere_is_not_judged() {
    let cases = [
        ("no_project", "target/contracts/counter.wasm", "src/lib.rs"),
        ("no_sources", "target/contracts/counter.wasm", "Cargo.toml"),
        ("elsewhere", "modules/counter.wasm", "src/lib.rs"),
        ("deeper", "target/contracts/old/counter.wasm", "src/lib.rs"),
    ];
    for (name, module, newer) in cases {
        let project = project(name, &[(module, 60), (newer, 10)]);
        if !name.starts_with("no_") {
            File::create(project.join("Cargo.toml")).expect("can be made");
        }
        assert_eq!(taken(&project.join(module)), "", "{name}");
    }
}
