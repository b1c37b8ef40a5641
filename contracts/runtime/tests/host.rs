//! What the host tells a contract, and what it does for one.

mod common;

use std::sync::{Arc, Mutex};

use chancery_contract::abi;
use chancery_ledger::hash::sha256;
use chancery_ledger::{Call, ChainLimits, Fuel, Role, Status, TrapKind};
use chancery_runtime::Runtime;
use common::{FUEL, Ledger, ROOT, account, invocation, module, prices, value_of};

/// Runs `body`, which leaves `len` bytes at 64, and gives them.
fn told(ledger: &mut Ledger, body: &str, len: u32) -> (Vec<u8>, chancery_ledger::Receipt) {
    let body = format!("{body} (call $return_value (i32.const 64) (i32.const {len}))");
    let receipt = ledger.run(&body);
    (value_of(&receipt), receipt)
}

#[test]
fn a_contract_knows_who_where_and_when() {
    let mut ledger = Ledger::new();
    let (caller, _) = told(&mut ledger, "(drop (call $caller (i32.const 64)))", 32);
    assert_eq!(caller, account(ROOT).0);
    let (address, receipt) = told(&mut ledger, "(call $own_address (i32.const 64))", 32);
    assert_eq!(Some(address), receipt.contract.map(|id| id.0.to_vec()));
    let (id, receipt) = told(&mut ledger, "(call $transaction_id (i32.const 64))", 32);
    assert_eq!(id, receipt.transaction.0);
    let (time, _) = told(
        &mut ledger,
        "(i64.store (i32.const 64) (call $block_time))",
        8,
    );
    assert_eq!(time, ledger.time.to_le_bytes());
    let (height, _) = told(
        &mut ledger,
        "(i64.store (i32.const 64) (call $block_height))",
        8,
    );
    assert_eq!(height, ledger.height.to_le_bytes());
    let hash = "(call $sha256 (i32.const 0) (i32.const 3) (i32.const 64))";
    assert_eq!(told(&mut ledger, hash, 32).0, sha256(b"abc").0);
}

#[test]
fn a_contract_knows_the_roles_of_accounts() {
    let mut ledger = Ledger::new();
    let body = "(drop (call $input (i32.const 64) (i32.const 32)))
        (i32.store (i32.const 96) (call $roles (i32.const 64)))
        (call $return_value (i32.const 96) (i32.const 4))";
    let body = module(body).replace("call.run", "view.run");
    let contract = ledger.deploy(&body);
    let asked = |ledger: &mut Ledger, about: [u8; 32]| {
        let receipt = ledger.invoke(contract, "run", about.to_vec());
        let value = value_of(&receipt);
        let answer = ledger.query(contract, "run", &about).status;
        assert_eq!(answer, receipt.status);
        i32::from_le_bytes(value.try_into().expect("4 bytes"))
    };
    let both = abi::ROLE_REGISTRAR | abi::ROLE_DEPLOYER;
    assert_eq!(asked(&mut ledger, account(ROOT).0), both);
    assert_eq!(asked(&mut ledger, account(2).0), abi::ABSENT);
    // The address of a contract is no account.
    assert_eq!(asked(&mut ledger, contract.0), abi::ABSENT);
    for (roles, bits) in [
        (vec![], 0),
        (vec![Role::Registrar], abi::ROLE_REGISTRAR),
        (vec![Role::Deployer], abi::ROLE_DEPLOYER),
        (vec![Role::Registrar, Role::Deployer], both),
        (vec![], 0),
    ] {
        let account = account(2);
        // The next transaction of the same block sees it.
        let admit = ledger.sign(ROOT, FUEL, Call::Admit { account, roles });
        let ask = ledger.sign(ROOT, FUEL, invocation(contract, "run", account.0.to_vec()));
        let executed = ledger.block(vec![admit, ask]);
        assert_eq!(value_of(&executed.receipts[1]), bits.to_le_bytes());
        assert_eq!(asked(&mut ledger, account.0), bits);
    }
    let roles = "(drop (call $roles (i32.const 0)))";
    let cost = ledger.run(roles).fuel_used.0 - ledger.run("").fuel_used.0;
    assert!(cost > prices().host_call + prices().storage_read, "{cost}");
}

#[test]
fn nobody_asks_in_a_query() {
    let body = "(drop (call $caller (i32.const 0))) (call $transaction_id (i32.const 32))
        (i64.store (i32.const 64) (call $block_time))
        (call $return_value (i32.const 0) (i32.const 72))";
    let mut ledger = Ledger::new();
    let contract = ledger.deploy(&module(body).replace("call.run", "view.run"));
    ledger.time = 77;
    let Status::Applied { value } = ledger.query(contract, "run", &[]).status else {
        panic!("it only reads")
    };
    assert_eq!(value, [&[0; 64][..], &77_u64.to_le_bytes()].concat());
}

#[test]
fn buffers_get_what_fits_and_lengths_are_whole() {
    let body = "(i32.store (i32.const 60) (call $input (i32.const 64) (i32.const 2)))
        (call $return_value (i32.const 60) (i32.const 8))";
    let mut ledger = Ledger::new();
    let contract = ledger.deploy(&module(body));
    let receipt = ledger.invoke(contract, "run", b"wxyz".to_vec());
    assert_eq!(value_of(&receipt), [4, 0, 0, 0, b'w', b'x', 0, 0]);

    let body = "(call $storage_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 3))
        (i32.store (i32.const 60) (call $storage_get (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 2)))
        (call $storage_remove (i32.const 0) (i32.const 1))
        (i32.store (i32.const 68) (call $storage_get (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 2)))
        (call $return_value (i32.const 60) (i32.const 12))";
    let receipt = ledger.run(body);
    let expected = [3, 0, 0, 0, b'a', b'b', 0, 0, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(value_of(&receipt), expected);
}

#[test]
fn contracts_do_not_see_each_others_storage() {
    let mut ledger = Ledger::new();
    value_of(
        &ledger.run("(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))"),
    );
    let absent = "(if (i32.ne (i32.const -1) (call $storage_get (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0))) (then unreachable))";
    value_of(&ledger.run(absent));
}

#[test]
fn instances_share_nothing_but_storage() {
    let wat = r#"(module
        (import "chancery" "return_value" (func $return (param i32 i32)))
        (memory (export "memory") 1) (global $g (mut i32) (i32.const 0))
        (func (export "call.run")
            (global.set $g (i32.add (global.get $g) (i32.const 1)))
            (i32.store (i32.const 0) (i32.add (global.get $g) (i32.load (i32.const 0))))
            (call $return (i32.const 0) (i32.const 4))))"#;
    let mut ledger = Ledger::new();
    let contract = ledger.deploy(wat);
    for _ in 0..3 {
        let receipt = ledger.invoke(contract, "run", Vec::new());
        assert_eq!(value_of(&receipt), [1, 0, 0, 0]);
    }
}

#[test]
fn the_last_returned_value_counts_and_a_revert_takes_all_back() {
    let mut ledger = Ledger::new();
    let receipt = ledger.run(
        "(call $return_value (i32.const 0) (i32.const 3)) (call $return_value (i32.const 0) (i32.const 1))",
    );
    assert_eq!(value_of(&receipt), b"a");
    let receipt = ledger.run(
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))
         (call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))
         (call $revert (i32.const -1) (i32.const 0) (i32.const 2)) unreachable",
    );
    let data = b"ab".to_vec();
    assert_eq!(
        receipt.status,
        Status::Reverted {
            code: u32::MAX,
            data
        }
    );
    assert_eq!(receipt.events, []);
}

#[test]
fn logs_are_shown_and_change_nothing() {
    let logs = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&logs);
    let runtime = Runtime::new(ChainLimits::default())
        .expect("starts")
        .with_debug_log(Arc::new(move |_, text: &str| {
            into.lock().expect("not poisoned").push(text.to_owned());
        }));
    let body = "(call $debug_log (i32.const 0) (i32.const 3))";
    let loud = Ledger::on(Arc::new(runtime)).run(body);
    let silent = Ledger::new().run(body);
    assert_eq!(loud, silent);
    assert_eq!(*logs.lock().expect("not poisoned"), ["abc"]);
}

#[test]
fn host_functions_are_paid_for() {
    let mut ledger = Ledger::new();
    // Lengths that are compared are written with equally many bytes, so that the code is as long.
    let mut cost = |body: &str| ledger.run(body).fuel_used.0;
    let nothing = cost("");
    let set = |len: u32| {
        format!("(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const {len}))")
    };
    let (short, long) = (cost(&set(100)), cost(&set(1_100)));
    assert!(short > nothing + prices().storage_write);
    assert_eq!(long - short, 1_000 * prices().storage_write_per_byte);
    let emit = |len: u32| {
        format!("(call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const {len}))")
    };
    assert_eq!(
        cost(&emit(1_100)) - cost(&emit(100)),
        1_000 * prices().event_per_byte
    );
    let hash = |len: u32| format!("(call $sha256 (i32.const 0) (i32.const {len}) (i32.const 0))");
    assert_eq!(
        cost(&hash(60_000)) - cost(&hash(10_000)),
        50_000 * prices().sha256_per_byte
    );
    let grow = |pages: u32| format!("(drop (memory.grow (i32.const {pages})))");
    assert_eq!(cost(&grow(61)) - cost(&grow(1)), 60 * prices().page);
}

#[test]
fn queries_end() {
    let query_fuel_max = ChainLimits::default().query_fuel_max;
    for query_fuel_max in [query_fuel_max / 10, query_fuel_max] {
        let mut ledger = Ledger::with(ChainLimits {
            query_fuel_max,
            ..ChainLimits::default()
        });
        let contract = ledger.deploy(&module("(loop br 0)").replace("call.run", "view.run"));
        let outcome = ledger.query(contract, "run", &[]);
        let kind = TrapKind::OutOfFuel;
        assert_eq!(outcome.status, Status::Trapped { kind });
        assert_eq!(outcome.fuel_used, Fuel(query_fuel_max));
    }
}

#[test]
fn many_threads_may_ask_at_once() {
    let mut ledger = Ledger::new();
    let body = "(call $return_value (i32.const 0) (i32.const 3))";
    let contract = ledger.deploy(&module(body).replace("call.run", "view.run"));
    let ledger = &ledger;
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(move || {
                for _ in 0..20 {
                    let value = b"abc".to_vec();
                    let outcome = ledger.query(contract, "run", &[]);
                    assert_eq!(outcome.status, Status::Applied { value });
                }
            });
        }
    });
}
