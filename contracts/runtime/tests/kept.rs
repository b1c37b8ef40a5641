//! Compiled modules that outlive a runtime: whether they are there, damaged, foreign or not there at
//! all shows in no receipt and in no fuel.

mod common;

use std::sync::Arc;

use chancery_ledger::{ChainLimits, CodeHash, ContractId, FuelPrices, Hash, Receipt};
use chancery_runtime::{CompiledStore, Runtime};
use common::shelf::Shelf;
use common::{IMPORTS, Ledger, ROOT, invocation, module, value_of};

fn bare() -> Arc<Runtime> {
    Arc::new(Runtime::new(ChainLimits::default()).expect("starts"))
}

/// Calls the contract that its arguments name, and returns what that one does.
fn calling() -> String {
    format!(
        r#"(module {IMPORTS} (memory (export "memory") 3) (data (i32.const 0) "run")
        (func (export "call.run")
            (drop (call $input (i32.const 64) (i32.const 32)))
            (i32.store (i32.const 96)
                (call $call (i32.const 64) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0)))
            (call $return_value (i32.const 96)
                (i32.add (i32.const 4) (call $call_output (i32.const 100) (i32.const 64))))))"#
    )
}

const BODIES: [&str; 5] = [
    "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))
     (call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))
     (call $sha256 (i32.const 0) (i32.const 3) (i32.const 64))
     (call $return_value (i32.const 64) (i32.const 32))",
    "(call $revert (i32.const 5) (i32.const 0) (i32.const 3))",
    "unreachable",
    "(loop br 0)",
    "(drop (memory.grow (i32.const 1))) (drop (i32.load (i32.const 196600)))",
];

/// Deploys all of it and calls all of it.
fn deployed(ledger: &mut Ledger) -> (ContractId, Vec<ContractId>) {
    let outer = ledger.deploy(&calling());
    let inner = BODIES.map(|body| ledger.deploy(&module(body)));
    (outer, inner.to_vec())
}

fn called(ledger: &mut Ledger, outer: ContractId, inner: &[ContractId]) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for inner in inner {
        let alone = invocation(*inner, "run", Vec::new());
        receipts.push(ledger.one(ROOT, 5_000_000, alone));
        for fuel_max in [5_000_000, 70_000] {
            let through = invocation(outer, "run", inner.0.to_vec());
            receipts.push(ledger.one(ROOT, fuel_max, through));
        }
    }
    receipts
}

fn story(runtime: Arc<Runtime>) -> Vec<Receipt> {
    let mut ledger = Ledger::on(runtime);
    let (outer, inner) = deployed(&mut ledger);
    called(&mut ledger, outer, &inner)
}

#[test]
fn receipts_and_fuel_are_the_same_cold_and_warm() {
    let expected = story(bare());
    let modules = BODIES.len() + 1;
    let shelf = Arc::new(Shelf::default());
    let runtime = shelf.runtime();
    assert_eq!(story(Arc::clone(&runtime)), expected);
    assert_eq!(shelf.counts(), (0, modules), "all were compiled");
    assert_eq!(story(runtime), expected);
    assert_eq!(shelf.counts(), (0, 0), "all were in memory");
    assert_eq!(story(shelf.runtime()), expected);
    assert_eq!(shelf.counts(), (modules, 0), "all were kept");
}

#[test]
fn a_restart_compiles_nothing_and_changes_nothing() {
    let shelf = Arc::new(Shelf::default());
    let mut ledger = Ledger::on(shelf.runtime());
    let (outer, inner) = deployed(&mut ledger);
    shelf.counts();
    let mut warm = ledger;
    let mut cold = warm.twin(bare());
    warm.runtime = shelf.runtime();
    let receipts = called(&mut warm, outer, &inner);
    assert_eq!(receipts, called(&mut cold, outer, &inner));
    assert_eq!(shelf.counts(), (inner.len() + 1, 0));
    assert_eq!(cold.state.entries, warm.state.entries);
}

#[test]
fn what_is_damaged_or_foreign_is_compiled_anew() {
    let shelf = Arc::new(Shelf::default());
    let mut ledger = Ledger::on(shelf.runtime());
    let contract = ledger.deploy(&module(BODIES[0]));
    let other = Arc::new(Shelf::default());
    Ledger::on(other.runtime()).deploy(&module(BODIES[1]));
    let good = shelf.contents();
    let (name, bytes) = good.first_key_value().expect("it was compiled");
    let foreign = other.contents().into_values().next().expect("so was it");
    let mut damaged = vec![Vec::new(), foreign, [&bytes[..], &[0]].concat()];
    let len = bytes.len();
    damaged.extend([1, 23, 24, 56, 88, 92, len / 2, len - 1].map(|len| bytes[..len].to_vec()));
    // The first bytes one by one, then some of the machine code and of what describes it.
    for place in (0..96).chain((96..len).step_by(len / 100)) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        damaged.push(flipped);
    }
    let signed = ledger.sign(ROOT, common::FUEL, invocation(contract, "run", Vec::new()));
    let before = (ledger.state.clone(), ledger.time, ledger.height);
    let receipt = ledger.block(vec![signed.clone()]).receipts;
    value_of(&receipt[0]);
    shelf.counts();
    for bytes in damaged {
        shelf.put([(*name, bytes)].into());
        (ledger.state, ledger.time, ledger.height) = before.clone();
        ledger.runtime = shelf.runtime();
        assert_eq!(ledger.block(vec![signed.clone()]).receipts, receipt);
        assert_eq!(shelf.counts(), (1, 1), "found, refused, compiled and kept");
        // The same source makes the same name; the bytes need not be the same.
        assert!(shelf.contents().keys().eq(good.keys()));
    }
    // What was kept in its place is good.
    (ledger.state, ledger.time, ledger.height) = before;
    ledger.runtime = shelf.runtime();
    assert_eq!(ledger.block(vec![signed]).receipts, receipt);
    assert_eq!(shelf.counts(), (1, 0));
}

#[test]
fn other_settings_have_other_names() {
    let defaults = ChainLimits::default;
    let limits = [
        defaults(),
        ChainLimits {
            stack_values_max: 8_192,
            ..defaults()
        },
        ChainLimits {
            memory_pages_max: 32,
            ..defaults()
        },
        ChainLimits {
            call_depth_max: 2,
            ..defaults()
        },
        ChainLimits {
            fuel: FuelPrices {
                call: 4,
                ..FuelPrices::default()
            },
            ..defaults()
        },
    ];
    let shelf = Arc::new(Shelf::default());
    for (before, limits) in limits.into_iter().enumerate() {
        let mut ledger = Ledger::on(shelf.runtime_under(limits));
        ledger.deploy(&module(BODIES[0]));
        assert_eq!(shelf.counts(), (0, 1));
        assert_eq!(shelf.contents().len(), before + 1);
    }
}

#[test]
fn a_store_that_forgets_at_once_does_no_harm() {
    struct Forgetful;
    impl CompiledStore for Forgetful {
        fn begin(&self, _: &Hash) {}
        fn load(&self, _: &CodeHash) -> Option<Vec<u8>> {
            None
        }
        fn keep(&self, _: &CodeHash, _: &[u8]) {}
    }
    let store = Arc::new(Forgetful);
    let runtime = Runtime::with_compiled_store(ChainLimits::default(), store).expect("starts");
    assert_eq!(story(Arc::new(runtime)), story(bare()));
}
