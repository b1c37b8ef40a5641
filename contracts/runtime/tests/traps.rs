//! How calls end: every kind of trap, by the program that provokes it; limits; roll-back.

mod common;

use chancery_ledger::{
    AccountId, Call, ChainLimits, ContractId, Fuel, Millis, Role, Status, TrapKind,
};
use chancery_runtime::DropReason;
use common::{
    FUEL, IMPORTS, Ledger, ROOT, account, deployment, invocation, key, module, prices, trap_of,
    value_of, wasm,
};
use parity_scale_codec::Encode as _;

/// Runs `body` and expects a trap that costs all that was declared and leaves nothing behind.
fn check(body: &str, expected: TrapKind) {
    let mut ledger = Ledger::new();
    let contract = ledger.deploy(&module(body));
    let before = ledger.state.entries.clone();
    let receipt = ledger.invoke(contract, "run", Vec::new());
    assert_eq!(trap_of(&receipt), expected, "{body}");
    assert_eq!(receipt.fuel_used, Fuel(FUEL), "{body}");
    assert_eq!(receipt.contract, Some(contract));
    assert_eq!(receipt.events, []);
    assert_eq!(ledger.state.entries, before, "{body}");
}

#[test]
fn instructions_trap_by_kind() {
    check("unreachable", TrapKind::Unreachable);
    check("(loop br 0)", TrapKind::OutOfFuel);
    check(
        "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
        TrapKind::Arithmetic,
    );
    check(
        "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
        TrapKind::Arithmetic,
    );
    check(
        "(drop (i32.load (i32.const 131072)))",
        TrapKind::OutOfBounds,
    );
    check("(drop (i32.load (i32.const -1)))", TrapKind::OutOfBounds);
    check(
        "(i32.store offset=4294967295 (i32.const 9) (i32.const 1))",
        TrapKind::OutOfBounds,
    );
    check("(drop (memory.grow (i32.const 63)))", TrapKind::MemoryLimit);
    check(
        "(drop (memory.grow (i32.const 100000)))",
        TrapKind::MemoryLimit,
    );
    check("(drop (memory.grow (i32.const -1)))", TrapKind::MemoryLimit);
    check(
        "(loop (drop (memory.grow (i32.const 1))) (br 0))",
        TrapKind::MemoryLimit,
    );
    check(
        "(loop (drop (memory.grow (i32.const 0))) (br 0))",
        TrapKind::OutOfFuel,
    );
}

#[test]
fn memory_may_grow_up_to_the_limit() {
    let receipt = Ledger::new()
        .run("(if (i32.ne (memory.grow (i32.const 62)) (i32.const 2)) (then unreachable))");
    assert!(value_of(&receipt).is_empty());
}

#[test]
fn indirect_calls_trap_by_kind() {
    let check = |index: i32, expected| {
        let wat = format!(
            r#"(module
                (type $plain (func)) (type $other (func (param i32)))
                (table 3 funcref) (elem (i32.const 0) $run $other)
                (func $other (type $other))
                (func $run (type $plain)
                    (call_indirect (type $plain) (i32.const {index})))
                (export "call.run" (func $run)))"#
        );
        let mut ledger = Ledger::new();
        let contract = ledger.deploy(&wat);
        let receipt = ledger.invoke(contract, "run", Vec::new());
        assert_eq!(trap_of(&receipt), expected, "{index}");
    };
    check(0, TrapKind::StackTooDeep);
    check(1, TrapKind::BadIndirectCall);
    check(2, TrapKind::BadIndirectCall);
    check(3, TrapKind::OutOfBounds);
}

#[test]
fn wild_pointers_trap_in_every_host_function() {
    // Two pages end at 131072.
    for body in [
        "(drop (call $input (i32.const 131072) (i32.const 1)))",
        "(drop (call $input (i32.const -1) (i32.const -1)))",
        "(drop (call $storage_get (i32.const 131071) (i32.const 2) (i32.const 0) (i32.const 0)))",
        "(drop (call $storage_get (i32.const 0) (i32.const 3) (i32.const 0) (i32.const -1)))",
        "(call $storage_set (i32.const -1) (i32.const 3) (i32.const 0) (i32.const 3))",
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 131070) (i32.const 3))",
        "(call $storage_remove (i32.const 131070) (i32.const 3))",
        "(drop (call $caller (i32.const 131041)))",
        "(call $own_address (i32.const -32))",
        "(drop (call $roles (i32.const 131041)))",
        "(drop (call $roles (i32.const -1)))",
        "(call $transaction_id (i32.const 131072))",
        "(call $emit (i32.const -3) (i32.const 3) (i32.const 0) (i32.const 3))",
        "(call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 131073))",
        "(call $return_value (i32.const 131072) (i32.const 1))",
        "(call $revert (i32.const 1) (i32.const 2) (i32.const -1))",
        "(call $sha256 (i32.const 1) (i32.const 131072) (i32.const 0))",
        "(call $sha256 (i32.const 0) (i32.const 3) (i32.const 131041))",
        "(call $debug_log (i32.const 131072) (i32.const 1))",
    ] {
        check(body, TrapKind::OutOfBounds);
    }
    // The very end of memory is inside.
    let receipt = Ledger::new().run(
        "(drop (call $caller (i32.const 131040))) (call $debug_log (i32.const 131072) (i32.const 0))",
    );
    assert!(value_of(&receipt).is_empty());
}

#[test]
fn a_module_without_memory_cannot_lend_any() {
    let wat = format!(
        r#"(module {IMPORTS} (func (export "call.run") (drop (call $caller (i32.const 0)))))"#
    );
    let mut ledger = Ledger::new();
    let contract = ledger.deploy(&wat);
    let receipt = ledger.invoke(contract, "run", Vec::new());
    assert_eq!(trap_of(&receipt), TrapKind::OutOfBounds);
}

#[test]
fn sizes_are_limited_and_some_may_not_be_empty() {
    for body in [
        "(call $storage_set (i32.const 0) (i32.const 257) (i32.const 0) (i32.const 3))",
        "(call $storage_set (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3))",
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0))",
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 65537))",
        "(drop (call $storage_get (i32.const 0) (i32.const 257) (i32.const 0) (i32.const 0)))",
        "(call $storage_remove (i32.const 0) (i32.const 257))",
        "(call $emit (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3))",
        "(call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 8190))",
        "(loop (call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)) (br 0))",
        "(i32.store8 (i32.const 0) (i32.const 255)) (call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))",
        "(call $return_value (i32.const 0) (i32.const 65537))",
        "(call $revert (i32.const 1) (i32.const 0) (i32.const 65537))",
    ] {
        check(body, TrapKind::SizeLimit);
    }
    let receipt = Ledger::new().run(
        "(call $storage_set (i32.const 0) (i32.const 256) (i32.const 0) (i32.const 65536))
         (call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 8189))
         (call $return_value (i32.const 0) (i32.const 65536))",
    );
    assert_eq!(value_of(&receipt).len(), 65_536);
    assert_eq!(receipt.events.len(), 1);
}

#[test]
fn undecodable_arguments_are_what_the_contract_says_they_are() {
    check("(call $bad_arguments)", TrapKind::BadArguments);
}

#[test]
fn a_view_cannot_write_whether_ordered_or_queried() {
    for body in [
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))",
        "(call $storage_remove (i32.const 0) (i32.const 3))",
        "(call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))",
    ] {
        let wat = module(body).replace("call.run", "view.run");
        let mut ledger = Ledger::new();
        let contract = ledger.deploy(&wat);
        let receipt = ledger.invoke(contract, "run", Vec::new());
        assert_eq!(trap_of(&receipt), TrapKind::WriteInView, "{body}");
        let outcome = ledger.query(contract, "run", &[]);
        let kind = TrapKind::WriteInView;
        assert_eq!(outcome.status, Status::Trapped { kind }, "{body}");
    }
}

#[test]
fn what_is_asked_of_nobody_is_named() {
    let mut ledger = Ledger::new();
    let receipt = ledger.invoke(ContractId([9; 32]), "run", Vec::new());
    assert_eq!(trap_of(&receipt), TrapKind::UnknownContract);
    let contract = ledger.deploy(&module("").replace("call.run", "init"));
    for method in ["run", "init", "", "call.run", "memory"] {
        let receipt = ledger.invoke(contract, method, Vec::new());
        assert_eq!(trap_of(&receipt), TrapKind::UnknownMethod, "{method}");
        let outcome = ledger.query(contract, method, &[]);
        let kind = TrapKind::UnknownMethod;
        assert_eq!(outcome.status, Status::Trapped { kind }, "{method}");
    }
    let calls_only = ledger.deploy(&module(""));
    let outcome = ledger.query(calls_only, "run", &[]);
    let kind = TrapKind::UnknownMethod;
    assert_eq!(outcome.status, Status::Trapped { kind });
    let outcome = ledger.query(ContractId([9; 32]), "run", &[]);
    let kind = TrapKind::UnknownContract;
    assert_eq!(outcome.status, Status::Trapped { kind });
}

#[test]
fn roles_and_keys_are_checked() {
    let mut ledger = Ledger::new();
    let admit = |account, roles| Call::Admit { account, roles };
    let deployment = deployment(wasm("(module)"), Vec::new());
    assert_eq!(
        ledger.dropped(2, admit(account(3), Vec::new())),
        DropReason::UnknownSender
    );
    let receipt = ledger.one(ROOT, FUEL, admit(account(2), Vec::new()));
    assert_eq!((value_of(&receipt), receipt.contract), (Vec::new(), None));
    for call in [deployment.clone(), admit(account(3), Vec::new())] {
        assert_eq!(trap_of(&ledger.one(2, FUEL, call)), TrapKind::RoleMissing);
    }
    value_of(&ledger.one(ROOT, FUEL, admit(account(2), vec![Role::Deployer])));
    value_of(&ledger.one(2, FUEL, deployment));
    let mut small_order = [0; 32];
    small_order[0] = 1;
    for key in [small_order, [0xff; 32]] {
        let receipt = ledger.one(ROOT, FUEL, admit(AccountId(key), Vec::new()));
        assert_eq!(trap_of(&receipt), TrapKind::InvalidKey);
    }
}

#[test]
fn deployments_are_all_or_nothing() {
    let mut ledger = Ledger::new();
    let before = ledger.state.entries.clone();
    let refused = ledger.deploy_with(b"not wasm", Vec::new());
    assert_eq!(trap_of(&refused), TrapKind::ModuleRefused);
    let no_init = ledger.deploy_with(&wasm("(module)"), vec![1]);
    assert_eq!(trap_of(&no_init), TrapKind::BadArguments);
    let init = |body: &str| {
        let set = "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))";
        wasm(&module(&format!("{set} {body}")).replace("call.run", "init"))
    };
    let trapped = ledger.deploy_with(&init("unreachable"), Vec::new());
    assert_eq!(trap_of(&trapped), TrapKind::Unreachable);
    let revert = "(call $revert (i32.const 7) (i32.const 0) (i32.const 3))";
    let reverted = ledger.deploy_with(&init(revert), Vec::new());
    let data = b"abc".to_vec();
    assert_eq!(reverted.status, Status::Reverted { code: 7, data });
    assert_eq!(reverted.contract, None);
    assert!(reverted.fuel_used < Fuel(FUEL));
    assert_eq!(ledger.state.entries, before);

    let applied = ledger.deploy_with(&init(""), Vec::new());
    assert!(matches!(applied.status, Status::Applied { .. }));
    // Contract, version, code, and what init stored; the second deployment shares the code.
    assert_eq!(ledger.state.entries.len(), before.len() + 4);
    ledger.deploy_with(&init(""), Vec::new());
    assert_eq!(ledger.state.entries.len(), before.len() + 7);
}

#[test]
fn nothing_is_free() {
    let mut ledger = Ledger::new();
    let contract = ledger.deploy(&module(""));
    for fuel_max in [52_000, 100_000, 150_000] {
        let receipt = ledger.one(ROOT, fuel_max, invocation(contract, "run", Vec::new()));
        assert_eq!(trap_of(&receipt), TrapKind::OutOfFuel);
        assert_eq!(receipt.fuel_used, Fuel(fuel_max));
    }
    let receipt = ledger.invoke(contract, "run", Vec::new());
    assert!(receipt.fuel_used > Fuel(150_000) && receipt.fuel_used < Fuel(200_000));
    let longer = ledger.invoke(contract, "run", vec![0; 1000]);
    assert!(longer.fuel_used.0 >= receipt.fuel_used.0 + 10_000);
    // Exactly what it needs is enough, one less is not.
    let exact = receipt.fuel_used.0;
    let call = || invocation(contract, "run", Vec::new());
    assert!(value_of(&ledger.one(ROOT, exact, call())).is_empty());
    assert_eq!(
        trap_of(&ledger.one(ROOT, exact - 1, call())),
        TrapKind::OutOfFuel
    );
}

#[test]
fn transactions_leave_no_trace_when_they_may_not_enter() {
    let mut ledger = Ledger::new();
    let call = Call::Admit {
        account: account(2),
        roles: Vec::new(),
    };
    let mut signed = ledger.sign(ROOT, FUEL, call.clone());
    let block_time = ledger.time + 1;
    signed.transaction.valid_until = Millis(block_time);
    let executed = ledger.block(vec![signed]);
    assert!(matches!(executed.dropped[0].1, DropReason::Expired { .. }));

    let mut signed = ledger.sign(ROOT, FUEL, call.clone());
    signed.transaction.valid_until = Millis(ledger.time + 1 + 3_600_001);
    let executed = ledger.block(vec![signed]);
    assert!(matches!(
        executed.dropped[0].1,
        DropReason::ValidForTooLong { .. }
    ));

    let signed = ledger.sign(ROOT, FUEL, call);
    assert_eq!(ledger.block(vec![signed.clone()]).receipts.len(), 1);
    let admissible = ledger
        .runtime
        .admissible(&ledger.state, Millis(ledger.time), &signed);
    assert_eq!(admissible, Err(DropReason::Repeated));
    let again = ledger.block(vec![signed.clone()]);
    assert_eq!(again.dropped, [(signed.id(), DropReason::Repeated)]);
}

#[test]
fn later_transactions_of_a_batch_see_what_earlier_ones_did() {
    let mut ledger = Ledger::new();
    let wat = module(
        "(if (i32.eq (call $storage_get (i32.const 0) (i32.const 3) (i32.const 64) (i32.const 8)) (i32.const -1))
            (then (call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)))
            (else (call $return_value (i32.const 64) (i32.const 3))
                  (call $storage_remove (i32.const 0) (i32.const 3))))",
    );
    let contract = ledger.deploy(&wat);
    let admit = Call::Admit {
        account: key(5).account(),
        roles: Vec::new(),
    };
    let calls = vec![
        ledger.sign(ROOT, FUEL, admit),
        ledger.sign(5, FUEL, invocation(contract, "run", Vec::new())),
        ledger.sign(5, FUEL, invocation(contract, "run", Vec::new())),
    ];
    let executed = ledger.block(calls);
    let values: Vec<_> = executed.receipts.iter().map(value_of).collect();
    assert_eq!(values, [b"".to_vec(), b"".to_vec(), b"abc".to_vec()]);
    // The stored entry came and went, so only the account differs from before.
    assert_eq!(executed.changes.len(), 1);
}

#[test]
fn lower_limits_are_felt() {
    let limits = ChainLimits {
        memory_pages_max: 2,
        key_bytes_max: 32,
        ..ChainLimits::default()
    };
    let mut ledger = Ledger::with(limits);
    let receipt = ledger.run("(drop (memory.grow (i32.const 1)))");
    assert_eq!(trap_of(&receipt), TrapKind::MemoryLimit);
    let receipt = ledger.run("(call $storage_remove (i32.const 0) (i32.const 33))");
    assert_eq!(trap_of(&receipt), TrapKind::SizeLimit);
}

/// Room in a block for ever is not to be had for nothing.
#[test]
fn what_cannot_pay_for_being_taken_in_leaves_no_trace() {
    let mut ledger = Ledger::new();
    let call = || invocation(ContractId([9; 32]), "run", vec![7; 1_000]);
    let bytes = ledger.sign(ROOT, 0, call()).encode().len() as u64;
    let least = Fuel(prices().transaction + prices().transaction_per_byte * bytes);
    for fuel_max in [Fuel(0), Fuel(least.0 - 1)] {
        let signed = ledger.sign(ROOT, fuel_max.0, call());
        let executed = ledger.block(vec![signed]);
        let reason = DropReason::TooLittleFuel { fuel_max, least };
        assert_eq!(
            executed.dropped.first().map(|(_, reason)| *reason),
            Some(reason)
        );
        assert!(executed.receipts.is_empty() && executed.changes.is_empty());
    }
    let receipt = ledger.one(ROOT, least.0, call());
    assert_eq!(trap_of(&receipt), TrapKind::OutOfFuel);
    assert_eq!(receipt.fuel_used, least);
}
