//! Programs nobody wrote: modules with flipped bytes that are still accepted must run to the same
//! receipt on two runtimes, and never panic the host.

mod common;

use std::sync::{Arc, LazyLock};

use chancery_ledger::{ChainLimits, Receipt};
use chancery_runtime::Runtime;
use common::{IMPORTS, Ledger, ROOT, deployment, invocation, wasm};
use proptest::prelude::*;

static RUNTIMES: LazyLock<[Arc<Runtime>; 2]> = LazyLock::new(|| {
    [(), ()].map(|()| Arc::new(Runtime::new(ChainLimits::default()).expect("starts")))
});

static PROGRAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    wasm(&format!(
        r#"(module {IMPORTS}
        (type $binary (func (param i32 i32) (result i32)))
        (memory (export "memory") 2)
        (table 4 funcref) (elem (i32.const 0) $add $mix $deep)
        (global $g (mut i32) (i32.const 5))
        (data (i32.const 0) "the quick brown fox jumps over the lazy dog")
        (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
        (func $mix (type $binary)
            (i32.xor (i32.rotl (local.get 0) (local.get 1)) (i32.rem_u (local.get 1) (i32.const 7))))
        (func $deep (type $binary)
            (if (result i32) (i32.and (local.get 0) (i32.const 31))
                (then (call $deep (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))
                (else (local.get 1))))
        (func (export "init") (call $storage_set (i32.const 0) (i32.const 5) (i32.const 4) (i32.const 9)))
        (func (export "call.run") (local $i i32) (local $sum i64)
            (loop
                (global.set $g (call_indirect (type $binary)
                    (global.get $g) (i32.load8_u (local.get $i))
                    (i32.rem_u (local.get $i) (i32.const 3))))
                (local.set $sum (i64.div_u
                    (i64.mul (i64.extend_i32_u (global.get $g)) (i64.const 0x9E3779B97F4A7C15))
                    (i64.const 3)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $i) (i32.const 40))))
            (i64.store (i32.const 100) (local.get $sum))
            (call $sha256 (i32.const 0) (i32.const 108) (i32.const 200))
            (drop (call $storage_get (i32.const 0) (i32.const 5) (i32.const 300) (i32.const 16)))
            (call $storage_set (i32.const 200) (i32.const 8) (i32.const 100) (i32.const 200))
            (call $emit (i32.const 4) (i32.const 5) (i32.const 200) (i32.const 32))
            (call $return_value (i32.const 200) (i32.const 132)))
        )"#
    ))
});

fn receipts(runtime: &Arc<Runtime>, code: &[u8]) -> Vec<Receipt> {
    let mut ledger = Ledger::on(Arc::clone(runtime));
    let fuel = 30_000_000;
    let deployed = ledger.one(ROOT, fuel, deployment(code.to_vec(), Vec::new()));
    let Some(contract) = deployed.contract else {
        return vec![deployed];
    };
    let called = ledger.one(ROOT, fuel, invocation(contract, "run", vec![1, 2, 3]));
    vec![deployed, called]
}

#[test]
fn the_program_itself_runs() {
    let receipts = receipts(&RUNTIMES[0], &PROGRAM);
    assert_eq!(common::value_of(&receipts[1]).len(), 132);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepted_mutants_end_alike_everywhere(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut code = PROGRAM.clone();
        // What stands before the functions is mostly names: mutate behind them.
        let start = code.len() / 2;
        for (place, byte) in edits {
            let place = start + place.index(code.len() - start);
            code[place] = byte;
        }
        if Runtime::check_module(&ChainLimits::default(), &code).is_ok() {
            let [one, two] = RUNTIMES.each_ref().map(|runtime| receipts(runtime, &code));
            prop_assert_eq!(one, two);
        }
    }
}
