//! Calls from contracts to contracts: what the caller learns, what stays, what it costs, and how
//! each way of misusing them ends. Every receipt is compared with one of a second runtime, which
//! has compiled nothing yet, and with one of the same call once more.

mod common;

use std::sync::Arc;

use chancery_ledger::state_key::StateKey;
use chancery_ledger::{ChainLimits, ContractEvent, ContractId, Fuel, Receipt, Status, TrapKind};
use chancery_runtime::Runtime;
use common::{FUEL, IMPORTS, Ledger, ROOT, account, invocation, prices, trap_of, value_of, wasm};

/// A contract whose `EXPORT` runs `before`, calls `METHOD` of the contract that the first 32 bytes
/// of its arguments name, hands the rest on, runs `after`, and returns status and output. Without
/// arguments it does nothing but `last`.
struct Link {
    export: &'static str,
    import: &'static str,
    method: &'static str,
    before: &'static str,
    after: &'static str,
    last: &'static str,
}

const LINK: Link = Link {
    export: "call.run",
    import: "$call",
    method: "run",
    before: "",
    after: "",
    last: "",
};

impl Link {
    fn wat(&self) -> String {
        let Self {
            export,
            import,
            method,
            before,
            after,
            last,
        } = self;
        let method_len = method.len();
        format!(
            r#"(module {IMPORTS}
            (memory (export "memory") 2)
            (data (i32.const 0) "abc") (data (i32.const 16) "{method}")
            (func $down (param $n i32)
                (if (local.get $n) (then (call $down (i32.sub (local.get $n) (i32.const 1))))
                    (else (call $next))))
            (func $next (i32.store (i32.const 512) (call {import}
                (i32.const 1024) (i32.const 16) (i32.const {method_len})
                (i32.const 1056) (i32.sub (call $input (i32.const 0) (i32.const 0)) (i32.const 32)))))
            (func (export "{export}") (local $i i32)
                (if (i32.eqz (call $input (i32.const 1024) (i32.const 65536)))
                    (then {last} (return)))
                {before}
                (call $down (i32.load (i32.const 8)))
                {after}
                (call $return_value (i32.const 512)
                    (i32.add (i32.const 4) (call $call_output (i32.const 516) (i32.const 400))))))"#
        )
    }
}

fn set(value_len: u32) -> String {
    format!("(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const {value_len}))")
}

const SET: &str = "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))";
const EMIT: &str = "(call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1))";
const REVERT: &str = "(call $revert (i32.const 513) (i32.const 0) (i32.const 2))";

fn addresses(contracts: &[ContractId]) -> Vec<u8> {
    contracts.iter().flat_map(|contract| contract.0).collect()
}

fn with_export(ledger: &mut Ledger, export: &str, body: &str) -> ContractId {
    ledger.deploy(&common::module(body).replace("call.run", export))
}

fn callee(ledger: &mut Ledger, body: &str) -> ContractId {
    with_export(ledger, "call.run", body)
}

/// Calls `run` of the first with the addresses of the others: three times, on a runtime that has
/// compiled all of it, on one that has compiled nothing, and there once more; all end alike.
fn run(ledger: &mut Ledger, chain: &[ContractId]) -> Receipt {
    let call = || invocation(chain[0], "run", addresses(&chain[1..]));
    let signed = ledger.sign(ROOT, FUEL, call());
    let cold = Runtime::new(ledger.runtime.limits().clone()).expect("starts");
    let mut other = ledger.twin(Arc::new(cold));
    let executed = ledger.block(vec![signed.clone()]);
    for _ in 0..2 {
        let before = other.state.clone();
        assert_eq!(other.block(vec![signed.clone()]), executed);
        other.state = before;
        (other.time, other.height) = (other.time - 1, other.height - 1);
    }
    executed.receipts[0].clone()
}

/// Expects that the transaction traps, costs all, and leaves nothing.
fn traps(ledger: &mut Ledger, chain: &[ContractId], expected: TrapKind) {
    let before = ledger.state.entries.clone();
    let receipt = run(ledger, chain);
    assert_eq!(trap_of(&receipt), expected);
    assert_eq!(receipt.fuel_used, Fuel(FUEL));
    assert_eq!((receipt.contract, receipt.events), (Some(chain[0]), vec![]));
    assert_eq!(ledger.state.entries, before);
}

fn stored(ledger: &Ledger, contract: ContractId) -> Option<&Vec<u8>> {
    let key = StateKey::Storage(contract, b"abc").to_bytes();
    ledger.state.entries.get(&key)
}

fn event(contract: ContractId) -> ContractEvent {
    let (topic, data) = ("abc".to_owned(), b"a".to_vec());
    ContractEvent {
        contract,
        topic,
        data,
    }
}

#[test]
fn a_value_comes_back_and_what_was_done_stays() {
    let mut ledger = Ledger::new();
    let inner = callee(
        &mut ledger,
        &format!("{SET} {EMIT} (call $return_value (i32.const 0) (i32.const 3))"),
    );
    let outer = Link {
        before: EMIT,
        after: EMIT,
        ..LINK
    };
    let outer = ledger.deploy(&outer.wat());
    let receipt = run(&mut ledger, &[outer, inner]);
    assert_eq!(value_of(&receipt), b"\0\0\0\0abc");
    assert_eq!(receipt.contract, Some(outer));
    assert_eq!(receipt.events, [event(outer), event(inner), event(outer)]);
    assert_eq!(stored(&ledger, inner), Some(&b"abc".to_vec()));
    assert_eq!(stored(&ledger, outer), None);
}

#[test]
fn a_revert_takes_back_its_own_frame_and_can_be_read() {
    let mut ledger = Ledger::new();
    let innermost = callee(&mut ledger, &format!("{SET} {EMIT}"));
    let over = set(1);
    // Writes, has another write, writes over its own, and refuses.
    let after = format!("{EMIT} {over} {REVERT}");
    let reverting = Link {
        before: SET,
        after: after.leak(),
        ..LINK
    };
    let reverting = ledger.deploy(&reverting.wat());
    let outer = Link {
        before: "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 2))",
        after: EMIT,
        ..LINK
    };
    let outer = ledger.deploy(&outer.wat());
    let receipt = run(&mut ledger, &[outer, reverting, innermost]);
    assert_eq!(value_of(&receipt), b"\x01\0\0\0\x01\x02\0\0ab");
    assert_eq!(receipt.events, [event(outer)]);
    assert_eq!(stored(&ledger, outer), Some(&b"ab".to_vec()));
    assert_eq!(stored(&ledger, reverting), None);
    assert_eq!(stored(&ledger, innermost), None);
    // What stood there before stands there again.
    let alone = Link { last: SET, ..LINK };
    let alone = ledger.deploy(&alone.wat());
    run(&mut ledger, &[alone]);
    let removing = "(call $storage_remove (i32.const 0) (i32.const 3))";
    let both = common::module(&format!("{removing} {REVERT}"));
    let both = both.replace(
        "(func (export \"call.run\")",
        &format!("(func (export \"call.set\") {SET}) (func (export \"call.run\")"),
    );
    let both = ledger.deploy(&both);
    value_of(&ledger.invoke(both, "set", Vec::new()));
    let receipt = run(&mut ledger, &[outer, both]);
    assert_eq!(value_of(&receipt), b"\x01\0\0\0\x01\x02\0\0ab");
    assert_eq!(stored(&ledger, both), Some(&b"abc".to_vec()));
}

#[test]
fn the_callee_sees_the_calling_contract() {
    let body = "(i32.store (i32.const 64) (call $caller (i32.const 68)))
        (call $own_address (i32.const 100))
        (call $transaction_id (i32.const 132))
        (call $return_value (i32.const 64) (i32.const 100))";
    let mut ledger = Ledger::new();
    let inner = callee(&mut ledger, body);
    let outer = ledger.deploy(&LINK.wat());
    let receipt = run(&mut ledger, &[outer, inner]);
    let id = receipt.transaction.0;
    let told = [&[0; 4][..], &[2, 0, 0, 0], &outer.0, &inner.0, &id].concat();
    assert_eq!(value_of(&receipt), told);
    let receipt = run(&mut ledger, &[inner]);
    let id = receipt.transaction.0;
    let told = [&[1, 0, 0, 0], &account(ROOT).0[..], &inner.0, &id].concat();
    assert_eq!(value_of(&receipt), told);
}

#[test]
fn depth_is_limited() {
    for call_depth_max in [1_u8, 8, 32] {
        let mut ledger = Ledger::with(ChainLimits {
            call_depth_max: call_depth_max.into(),
            ..ChainLimits::default()
        });
        let link = LINK.wat();
        let mut chain: Vec<ContractId> =
            (0..call_depth_max).map(|_| ledger.deploy(&link)).collect();
        let depth = usize::from(call_depth_max);
        let value = value_of(&run(&mut ledger, &chain));
        assert_eq!(value, vec![0; 4 * (depth - 1)]);
        chain.push(ledger.deploy(&link));
        traps(&mut ledger, &chain, TrapKind::CallTooDeep);
    }
}

#[test]
fn the_stack_is_one_over_all_contracts() {
    let mut ledger = Ledger::new();
    let link = |frames: u32| {
        let frames = format!("(i32.store (i32.const 8) (i32.const {frames}))");
        let link = Link {
            before: frames.leak(),
            ..LINK
        };
        link.wat()
    };
    let chain = |ledger: &mut Ledger, frames| -> Vec<ContractId> {
        (0..8).map(|_| ledger.deploy(&link(frames))).collect()
    };
    let (few, many) = (chain(&mut ledger, 150), chain(&mut ledger, 300));
    value_of(&run(&mut ledger, &few));
    value_of(&run(&mut ledger, &many[..3]));
    traps(&mut ledger, &many, TrapKind::StackTooDeep);
}

#[test]
fn the_native_stack_lasts_for_the_deepest_calls() {
    let mut ledger = Ledger::with(ChainLimits {
        call_depth_max: 32,
        stack_values_max: 65_536,
        ..ChainLimits::default()
    });
    let link = Link {
        before: "(i32.store (i32.const 8) (i32.const 200))",
        ..LINK
    };
    let mut chain: Vec<ContractId> = (0..31).map(|_| ledger.deploy(&link.wat())).collect();
    let endless = "(module (func $f (call $f)) (func (export \"call.run\") (call $f)))";
    chain.push(ledger.deploy(endless));
    traps(&mut ledger, &chain, TrapKind::StackTooDeep);
}

#[test]
fn a_running_contract_is_not_entered_again() {
    let mut ledger = Ledger::new();
    let link = LINK.wat();
    let [a, b, c] = [(); 3].map(|()| ledger.deploy(&link));
    traps(&mut ledger, &[a, a], TrapKind::Reentrant);
    traps(&mut ledger, &[a, b, a], TrapKind::Reentrant);
    traps(&mut ledger, &[a, b, c, b], TrapKind::Reentrant);
    // Neither is a view, nor a contract that is being deployed.
    let asking = Link {
        import: "$view",
        method: "look",
        ..LINK
    };
    let asking = asking
        .wat()
        .replace("(func $next", "(func (export \"view.look\")) (func $next");
    let asking = ledger.deploy(&asking);
    traps(&mut ledger, &[asking, asking], TrapKind::Reentrant);
    // After it has ended, it may be called again.
    let twice = Link {
        after: "(call $next)",
        ..LINK
    };
    let twice = ledger.deploy(&twice.wat());
    value_of(&run(&mut ledger, &[twice, b, c]));
}

#[test]
fn the_contract_being_deployed_counts_as_running() {
    let mut ledger = Ledger::new();
    let back = Link {
        export: "call.run",
        ..LINK
    };
    let back = ledger.deploy(&back.wat());
    let init = Link {
        export: "init",
        before: SET,
        ..LINK
    };
    let init = wasm(&init.wat());
    let deploy = |ledger: &mut Ledger, args: Vec<u8>| ledger.deploy_with(&init, args);
    let receipt = deploy(&mut ledger, back.0.to_vec());
    assert_eq!(value_of(&receipt), [0; 4]);
    assert_eq!(
        stored(&ledger, receipt.contract.expect("deployed")),
        Some(&b"abc".to_vec())
    );
    // A contract that calls back whoever calls it.
    let caller = "(drop (call $caller (i32.const 64)))
        (drop (call $call (i32.const 64) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0)))";
    let caller = callee(&mut ledger, caller);
    let receipt = deploy(&mut ledger, caller.0.to_vec());
    assert_eq!(trap_of(&receipt), TrapKind::Reentrant);
    assert_eq!(receipt.contract, None);
}

#[test]
fn a_view_reaches_views_only() {
    let mut ledger = Ledger::new();
    let writer = callee(&mut ledger, SET);
    let reader = "(call $return_value (i32.const 0) (i32.const 1))";
    let reader = with_export(&mut ledger, "view.run", reader);
    let lying = with_export(&mut ledger, "view.run", SET);
    let outer = |ledger: &mut Ledger, export, import| {
        let link = Link {
            export,
            import,
            ..LINK
        };
        ledger.deploy(&link.wat())
    };
    let call_call = outer(&mut ledger, "call.run", "$call");
    let call_view = outer(&mut ledger, "call.run", "$view");
    let view_call = outer(&mut ledger, "view.run", "$call");
    let view_view = outer(&mut ledger, "view.run", "$view");
    for outer in [call_call, call_view, view_call, view_view] {
        assert_eq!(value_of(&run(&mut ledger, &[outer, reader])), b"\0\0\0\0a");
        traps(&mut ledger, &[outer, lying], TrapKind::WriteInView);
    }
    assert_eq!(value_of(&run(&mut ledger, &[call_call, writer])), [0; 4]);
    for outer in [call_view, view_call, view_view] {
        traps(&mut ledger, &[outer, writer], TrapKind::WriteInView);
    }
    // What a view may not do, nothing that it calls may do.
    traps(
        &mut ledger,
        &[call_view, view_call, writer],
        TrapKind::WriteInView,
    );
    traps(
        &mut ledger,
        &[call_call, view_call, lying],
        TrapKind::WriteInView,
    );
    let answer = ledger.query(view_call, "run", &addresses(&[view_view, reader]));
    let value = b"\0\0\0\0\0\0\0\0a".to_vec();
    assert_eq!(answer.status, Status::Applied { value });
    let answer = ledger.query(view_view, "run", &addresses(&[writer]));
    let kind = TrapKind::WriteInView;
    assert_eq!(answer.status, Status::Trapped { kind });
    let answer = ledger.query(view_view, "run", &[7; 32]);
    let kind = TrapKind::UnknownCallee;
    assert_eq!(answer.status, Status::Trapped { kind });
}

#[test]
fn what_is_not_there_cannot_be_called() {
    let mut ledger = Ledger::new();
    let outer = ledger.deploy(&LINK.wat());
    traps(
        &mut ledger,
        &[outer, ContractId([7; 32])],
        TrapKind::UnknownCallee,
    );
    traps(
        &mut ledger,
        &[outer, ContractId([0; 32])],
        TrapKind::UnknownCallee,
    );
    traps(
        &mut ledger,
        &[outer, ContractId(account(ROOT).0)],
        TrapKind::UnknownCallee,
    );
    let init = with_export(&mut ledger, "init", "");
    for method in ["run", "init", "", "call.run", "memory", "\\ff\\fe"] {
        let outer = Link { method, ..LINK };
        let outer = ledger.deploy(&outer.wat());
        traps(&mut ledger, &[outer, init], TrapKind::UnknownCallee);
    }
}

#[test]
fn a_trap_is_the_end_of_the_transaction() {
    let mut ledger = Ledger::new();
    let outer = Link {
        before: SET,
        ..LINK
    };
    let outer = ledger.deploy(&outer.wat());
    let between = ledger.deploy(&LINK.wat());
    for (body, expected) in [
        ("unreachable", TrapKind::Unreachable),
        ("(loop br 0)", TrapKind::OutOfFuel),
        (
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            TrapKind::Arithmetic,
        ),
        ("(drop (i32.load (i32.const -1)))", TrapKind::OutOfBounds),
        ("(drop (memory.grow (i32.const 63)))", TrapKind::MemoryLimit),
        ("(call $bad_arguments)", TrapKind::BadArguments),
        (
            "(call $return_value (i32.const 0) (i32.const 65537))",
            TrapKind::SizeLimit,
        ),
    ] {
        let inner = callee(&mut ledger, &format!("{SET} {EMIT} {body}"));
        traps(&mut ledger, &[outer, inner], expected);
        traps(&mut ledger, &[outer, between, inner], expected);
    }
}

#[test]
fn wild_pointers_and_sizes_trap() {
    let call = |import: &str, numbers: [i64; 5]| {
        let numbers: String = numbers.iter().map(|n| format!("(i32.const {n})")).collect();
        format!("(drop (call {import} {numbers}))")
    };
    // Two pages end at 131072.
    for import in ["$call", "$view"] {
        for (numbers, expected) in [
            ([131_041, 0, 3, 0, 3], TrapKind::OutOfBounds),
            ([-1, 0, 3, 0, 3], TrapKind::OutOfBounds),
            ([0, 131_070, 3, 0, 3], TrapKind::OutOfBounds),
            ([0, 0, 0xffff_ffff, 0, 3], TrapKind::OutOfBounds),
            ([0, 0, 3, 0, 0xffff_ffff], TrapKind::OutOfBounds),
            ([0, 0, 3, 131_072, 1], TrapKind::OutOfBounds),
            (
                [0, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff],
                TrapKind::OutOfBounds,
            ),
            ([0, 0, 65, 0, 0], TrapKind::SizeLimit),
            ([0, 0, 3, 0, 65_537], TrapKind::SizeLimit),
            ([131_040, 131_072, 0, 131_072, 0], TrapKind::UnknownCallee),
        ] {
            let mut ledger = Ledger::new();
            let contract = callee(&mut ledger, &call(import, numbers));
            traps(&mut ledger, &[contract], expected);
        }
    }
    let mut ledger = Ledger::new();
    for body in [
        "(drop (call $call_output (i32.const 131072) (i32.const 1)))",
        "(drop (call $call_output (i32.const 0) (i32.const -1)))",
    ] {
        let contract = callee(&mut ledger, body);
        traps(&mut ledger, &[contract], TrapKind::OutOfBounds);
    }
    // Before any call there is no output, and a buffer gets what fits.
    let body = "(i32.store (i32.const 64) (call $call_output (i32.const 0) (i32.const 64)))
        (call $return_value (i32.const 64) (i32.const 4))";
    let contract = callee(&mut ledger, body);
    assert_eq!(value_of(&run(&mut ledger, &[contract])), [0; 4]);
    let inner = callee(
        &mut ledger,
        "(call $return_value (i32.const 0) (i32.const 3))",
    );
    let outer = Link {
        after: "(i32.store (i32.const 600) (call $call_output (i32.const 604) (i32.const 2)))
            (call $return_value (i32.const 600) (i32.const 8)) (return)",
        ..LINK
    };
    let outer = ledger.deploy(&outer.wat());
    assert_eq!(
        value_of(&run(&mut ledger, &[outer, inner])),
        b"\x03\0\0\0ab\0\0"
    );
}

#[test]
fn there_is_one_budget_and_it_is_exact() {
    let mut ledger = Ledger::new();
    let looping = "(local.set 0 (i32.const 1000)) (loop
        (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0)))";
    let looping = common::module(looping).replace("\"call.run\")", "\"call.run\") (local i32)");
    let inner = ledger.deploy(&looping);
    let outer = ledger.deploy(&LINK.wat());
    let alone = run(&mut ledger, &[outer]).fuel_used.0;
    let inside = run(&mut ledger, &[inner]).fuel_used.0 - prices().transaction;
    let used = run(&mut ledger, &[outer, inner]).fuel_used.0;
    // But for the bytes of one transaction more, and those of an address.
    let sum = alone + inside + prices().contract_call;
    assert!(sum.abs_diff(used) < 3_000, "{used} {sum}");
    // Exactly what it needs is enough; less is not, wherever it runs out.
    let mut with = |fuel_max| {
        let call = invocation(outer, "run", inner.0.to_vec());
        ledger.one(ROOT, fuel_max, call)
    };
    assert_eq!(with(used).fuel_used, Fuel(used));
    value_of(&with(used));
    // Less than that, and it would not be taken in.
    let least = prices().transaction + 500 * prices().transaction_per_byte;
    for fuel_max in (least..used).step_by(197).chain([used - 1]) {
        let receipt = with(fuel_max);
        assert_eq!(trap_of(&receipt), TrapKind::OutOfFuel, "{fuel_max}");
        assert_eq!(receipt.fuel_used, Fuel(fuel_max));
    }
}

#[test]
fn handing_over_is_paid_by_the_byte() {
    let mut ledger = Ledger::new();
    let inner = callee(&mut ledger, "");
    let mut cost = |more: usize| {
        let outer = Link {
            after: "(return)",
            ..LINK
        };
        let outer = ledger.deploy(&outer.wat());
        let args = [&inner.0[..], &vec![0; more]].concat();
        ledger.invoke(outer, "run", args).fuel_used.0
    };
    let per_byte = prices().transaction_per_byte + 2 * prices().copy_per_byte;
    assert_eq!(cost(11_000) - cost(1_000), 10_000 * per_byte);
}

/// Instances come out of a pool; there is one for everybody, however many ask, and however deep.
#[test]
fn many_ask_at_once() {
    let mut ledger = Ledger::new();
    let view = |body: &str| common::module(body).replace("call.run", "view.run");
    let mut chain = vec![ledger.deploy(&view("(call $return_value (i32.const 0) (i32.const 3))"))];
    for _ in 1..ledger.runtime.limits().call_depth_max {
        let outer = Link {
            export: "view.run",
            import: "$view",
            ..LINK
        };
        chain.insert(0, ledger.deploy(&outer.wat()));
    }
    let args = addresses(&chain[1..]);
    let ask = || ledger.query(chain[0], "run", &args);
    let alone = ask();
    assert!(matches!(alone.status, Status::Applied { .. }), "{alone:?}");
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(ask(), alone);
                }
            });
        }
    });
}

/// By its size, whether a runtime has it at hand or not; [`run`] compares both.
#[test]
fn each_call_pays_for_the_code_it_calls() {
    let mut ledger = Ledger::new();
    let padded = |bytes: usize| {
        let section = format!(r#"(module (@custom "pad" "{}") "#, "x".repeat(bytes));
        common::module("").replacen("(module ", &section, 1)
    };
    let outer = ledger.deploy(&LINK.wat());
    // The lengths of both take two bytes.
    let [small, large] = [200, 1_200].map(|bytes| ledger.deploy(&padded(bytes)));
    let more = 1_000 * prices().load_per_byte;
    let mut cost = |chain: &[ContractId]| run(&mut ledger, chain).fuel_used.0;
    assert_eq!(cost(&[large]) - cost(&[small]), more);
    assert_eq!(cost(&[outer, large]) - cost(&[outer, small]), more);
    // Not having that much is the end of it.
    let used = cost(&[large]);
    let short = ledger.one(ROOT, used - 1, invocation(large, "run", Vec::new()));
    assert_eq!(trap_of(&short), TrapKind::OutOfFuel);
    // Nor does it help to ask for what is not there.
    let call = |contract| invocation(contract, "nothing", Vec::new());
    let needed = prices().transaction + more;
    let unknown = ledger.one(ROOT, needed, call(large));
    assert_eq!(trap_of(&unknown), TrapKind::OutOfFuel);
    // Views cost the same to those who ask.
    let wat = |bytes| padded(bytes).replace("call.run", "view.run");
    let [small, large] = [200, 1_200].map(|bytes| ledger.deploy(&wat(bytes)));
    let asked = |contract| ledger.query(contract, "run", &[]).fuel_used.0;
    assert_eq!(asked(large) - asked(small), more);
}

#[test]
fn events_are_counted_over_the_whole_transaction() {
    let mut ledger = Ledger::new();
    let many = "(local.set $i (i32.const 30)) (loop
        (call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1))
        (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if 0 (local.get $i)))";
    let link = Link {
        before: many,
        last: many,
        ..LINK
    };
    let chain = [(); 3].map(|()| ledger.deploy(&link.wat()));
    assert_eq!(run(&mut ledger, &chain[..2]).events.len(), 60);
    traps(&mut ledger, &chain, TrapKind::SizeLimit);
}
