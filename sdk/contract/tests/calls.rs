//! Contracts that call contracts, natively: by the rules of the ledger, which
//! `contracts/runtime/tests/calls.rs` tests where they are made.

#[path = "calls/story.rs"]
mod story;
#[path = "calls/till.rs"]
mod till;

use chancery_contract::{CallError, Caller, ContractId, Env, Item, TestEnv, TestLimits, contract};
use till::{Error, OtherTill, Paid, Till};

/// A till beside the one that the test is about, which is not deployed yet.
fn beside() -> (TestEnv, ContractId) {
    let mut test = TestEnv::new();
    let other = test.deploy::<Till, _>(|env| Till::init(env, story::MOST));
    (test, other)
}

fn tills() -> (TestEnv, ContractId) {
    let (mut test, other) = beside();
    assert_eq!(test.call(|env| Till::init(env, story::MOST)), Ok(()));
    (test, other)
}

#[test]
fn native_code_tells_the_story() {
    let (mut test, other) = beside();
    story::told(&mut test, other);
    // Each has its own storage, and only that.
    assert!(test.storage().contains_key(&b"passed"[..]));
    assert!(!test.storage_at(other).contains_key(&b"passed"[..]));
    assert!(test.storage_at(other).contains_key(&b"paid_by"[..]));
}

#[test]
fn a_contract_is_called_by_the_one_that_calls_it() {
    const CALLER: Item<Option<[u8; 32]>> = Item::new("caller");

    struct Mirror;

    #[contract]
    impl Mirror {
        #[call]
        fn look(env: &mut Env) -> bool {
            let caller = env.caller().contract().map(|contract| contract.0);
            CALLER.set(env, &caller);
            env.caller().account().is_none()
        }

        #[view]
        fn sees(env: &Env) -> bool {
            env.caller() != Caller::Nobody
        }
    }

    let mut test = TestEnv::new();
    let mirror = test.deploy::<Mirror, _>(|_| ());
    let own = test.address();
    let looked = test.call(|env| env.call::<bool>(mirror, "look", &()) == Ok(true));
    assert!(looked);
    assert_eq!(
        test.view_at(mirror, |env| CALLER.get(env)),
        Some(Some(own.0))
    );
    assert!(!test.call_at(mirror, Mirror::look));
    assert_eq!(test.view_at(mirror, |env| CALLER.get(env)), Some(None));
    // In a query a contract calls as well, though nobody called that one.
    let seen = test.view(|env| env.view::<bool>(mirror, "sees", &()));
    assert_eq!(seen, Ok(true));
    assert!(!test.view_at(mirror, Mirror::sees));
    assert_eq!(test.view_at(mirror, Env::own_address), mirror);
}

#[test]
fn a_refusal_takes_back_what_the_callee_and_its_callees_did() {
    let (mut test, full) = beside();
    let between = test.deploy::<Till, _>(|env| Till::init(env, 1));
    test.call(|env| Till::init(env, 1)).expect("at first");
    // The one between pays into the full one and then refuses, as does the test's own contract.
    let refused = Err(CallError::Refused(Error::TooMuch));
    let as_told =
        test.call(|env| OtherTill(between).pass_on(env, full, 101, String::new()) == refused);
    assert!(as_told);
    assert_eq!(test.view_at(between, Till::passed), 0);
    assert_eq!(
        (test.view_at(full, Till::total), test.events()),
        (0, &[][..])
    );
    // Here the innermost stays, as does what the outermost goes on with.
    let gone_on = test.call(|env| {
        let paid = OtherTill(between).pay(env, 2, String::new());
        assert_eq!(paid, Err(CallError::Refused(Error::TooMuch)));
        OtherTill(full).pay(env, 2, String::new()).is_ok()
    });
    assert!(gone_on);
    assert_eq!(test.view_at(between, Till::total), 0);
    assert_eq!(test.view_at(full, Till::total), 2);
    assert_eq!(test.events_at::<Paid>(full), [Paid { total: 2 }]);
    assert_eq!(test.events_at::<Paid>(between), []);
}

#[test]
fn others_can_call_the_contract_under_test_once_it_is_known() {
    let (mut test, other) = beside();
    assert_eq!(test.call(|env| Till::init(env, 5)), Ok(()));
    let own = test.address();
    let passed = test.call_at(other, |env| Till::pass_on(env, own, 5, String::new()));
    assert_eq!((passed, test.view(Till::total)), (Ok(5), 5));
}

#[test]
fn contracts_call_each_other_to_the_depth_that_the_ledger_allows() {
    let (mut test, first) = tills();
    let path: Vec<ContractId> = (0..6)
        .map(|_| test.deploy::<Till, _>(|env| Till::init(env, 9)))
        .collect();
    let last = path[5];
    let path = [&[first][..], &path].concat();
    assert_eq!(test.call(|env| Till::chain(env, path)), Ok(7));
    assert_eq!(test.view_at(last, Till::total), 1);
}

#[test]
fn what_ends_the_transaction_leaves_nothing() {
    let (mut test, other) = tills();
    let run = || test.call(|env| Till::there_and_back(env, other));
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    assert!(ended.is_err());
    assert_eq!(test.view_at(other, Till::passed), 0);
    assert_eq!(test.events(), []);
    let paid = test.call(|env| Till::pass_on(env, other, 5, String::new()));
    assert_eq!(paid, Ok(5));
}

#[test]
#[should_panic(expected = "(call_too_deep): 8 contracts run within each other already")]
fn contracts_call_each_other_no_deeper() {
    let (mut test, first) = tills();
    let path: Vec<ContractId> = (0..7)
        .map(|_| test.deploy::<Till, _>(|env| Till::init(env, 9)))
        .collect();
    let path = [&[first][..], &path].concat();
    let _ = test.call(|env| Till::chain(env, path));
}

#[test]
#[should_panic(expected = "(reentrant): ContractId(c0c0")]
fn a_contract_that_is_running_is_not_called() {
    let (mut test, other) = tills();
    let _ = test.call(|env| Till::there_and_back(env, other));
}

#[test]
#[should_panic(expected = "(unknown_callee): there is no ContractId(0707")]
fn another_contract_must_be_there() {
    let (mut test, _) = tills();
    let nowhere = ContractId([7; 32]);
    let _ = test.call(|env| Till::pass_on(env, nowhere, 1, String::new()));
}

#[test]
#[should_panic(expected = "(unknown_callee): `Till` has no method `closed` to call; it has pay,")]
fn a_method_must_be_there() {
    let (test, other) = tills();
    let _ = test.view(|env| Till::is_closed(env, other));
}

#[test]
#[should_panic(expected = "(unknown_callee): `Till` has no method `init`")]
fn nobody_calls_init() {
    let (mut test, other) = tills();
    test.call(|env| env.call::<()>(other, "init", &(1_u64,)).is_ok());
}

#[test]
#[should_panic(expected = "(bad_arguments)")]
fn arguments_are_those_of_the_method() {
    let (test, other) = tills();
    let _ = test.view(|env| Till::mistaken(env, other));
}

#[test]
#[should_panic(expected = "(write_in_view): `pass_on` is a `#[call]`")]
fn a_view_asks_views() {
    let (test, other) = tills();
    let _ = test.view(|env| Till::sly(env, other));
}

#[test]
#[should_panic(expected = "bytes of arguments: 65540, but the ledger allows at most 65536")]
fn arguments_for_another_contract_are_not_too_long() {
    let (mut test, other) = tills();
    let text = "x".repeat(65_536);
    test.call(|env| env.call::<()>(other, "pay", &(text,)).is_ok());
}

#[test]
#[should_panic(expected = "bytes of a result: 32, but the ledger allows at most 31")]
fn a_result_for_another_contract_is_not_too_long() {
    let mut test = TestEnv::with_limits(TestLimits {
        return_bytes_max: 31,
        ..TestLimits::default()
    });
    let other = test.deploy::<Till, _>(|env| Till::init(env, 1));
    let note = "x".repeat(31);
    assert_eq!(test.call_at(other, |env| Till::pay(env, 1, note)), Ok(1));
    let _ = test.view(|env| OtherTill(other).note(env));
}

#[test]
#[should_panic(expected = "its `init` refuses with code 1")]
fn what_is_deployed_does_not_refuse() {
    let _ = TestEnv::new().deploy::<Till, _>(|env| Till::init(env, 0));
}

#[test]
#[should_panic(expected = "there is no ContractId(0707")]
fn only_what_was_deployed_can_be_asked() {
    let (test, _) = tills();
    test.view_at(ContractId([7; 32]), Till::total);
}

#[test]
fn native_code_needs_no_modules() {
    let mut test = TestEnv::new().with_module::<Till>("/nowhere/till.wasm");
    let _ = test.deploy::<Till, _>(|env| Till::init(env, story::MOST));
}

#[test]
#[should_panic(expected = "(bad_arguments): `init` of `Till` ran without arguments")]
fn an_init_is_not_left_out() {
    let _ = TestEnv::new().deploy::<Till, _>(|_| ());
}

#[test]
#[should_panic(expected = "not deployed yet: its `init` comes before `pay`")]
fn an_init_comes_first() {
    let _ = TestEnv::new().call(|env| Till::pay(env, 1, String::new()));
}

#[test]
#[should_panic(expected = "begins with its `init`, and this is `clear` of `Till`")]
fn a_deployment_runs_init() {
    let _ = TestEnv::new().deploy::<Till, _>(Till::clear);
}

#[test]
fn an_init_without_arguments_runs_where_the_test_does_not_call_it() {
    const RUN: Item<u8> = Item::new("run");

    struct Switch;

    #[contract]
    impl Switch {
        #[init]
        fn init(env: &mut Env) {
            let run = RUN.get(env).unwrap_or(0) + 1;
            RUN.set(env, &run);
        }

        #[view]
        fn run(env: &Env) -> Option<u8> {
            RUN.get(env)
        }
    }

    let mut test = TestEnv::new();
    let [left, called] = [
        test.deploy::<Switch, _>(|_| ()),
        test.deploy::<Switch, _>(Switch::init),
    ];
    for contract in [left, called] {
        assert_eq!(test.view_at(contract, Switch::run), Some(1));
    }
}

#[test]
#[should_panic(expected = "bytes of a method's name: 65, but the ledger allows at most 64")]
fn the_name_of_a_method_of_another_contract_is_not_too_long() {
    let (mut test, other) = tills();
    let method = "x".repeat(65);
    test.call(|env| env.call::<()>(other, &method, &()).is_ok());
}
