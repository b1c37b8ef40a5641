//! Every price of genesis is charged, at what genesis says.

mod common;

use chancery_ledger::{ChainLimits, ContractId, Fuel, FuelPrices, Receipt, Status, TrapKind};
use chancery_runtime::{ExecutedBatch, ModuleError, Runtime};
use common::{
    FUEL, IMPORTS, Ledger, ROOT, deployment, invocation, module, prices, trap_of, value_of, wasm,
};
use parity_scale_codec::Encode as _;

/// Does everything that has a price, and calls the contract that its arguments name.
fn of_everything() -> String {
    format!(
        r#"(module {IMPORTS}
        (type $plain (func))
        (memory (export "memory") 2)
        (data (i32.const 0) "run")
        (table 1 funcref) (elem (i32.const 0) $f)
        (func $f)
        (func (export "call.run")
            (drop (call $input (i32.const 64) (i32.const 32)))
            (call $storage_set (i32.const 0) (i32.const 3) (i32.const 64) (i32.const 32))
            (drop (call $storage_get (i32.const 0) (i32.const 3) (i32.const 96) (i32.const 32)))
            (call $emit (i32.const 0) (i32.const 3) (i32.const 64) (i32.const 32))
            (call $sha256 (i32.const 64) (i32.const 32) (i32.const 96))
            (drop (call $call (i32.const 64) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0)))
            (drop (memory.grow (i32.const 1)))
            (drop (i32.div_u (i32.const 7) (i32.const 2)))
            (drop (i64.rem_s (i64.const 7) (i64.const 2)))
            (block (block (br_table 0 1 (i32.const 0))))
            (call $f)
            (call_indirect (type $plain) (i32.const 0))
            (call $return_value (i32.const 64) (i32.const 32))))"#
    )
}

fn ledger(fuel: FuelPrices) -> Ledger {
    Ledger::with(ChainLimits {
        fuel,
        ..ChainLimits::default()
    })
}

/// Deploys two contracts, and calls one through the other.
fn story(fuel: FuelPrices) -> ExecutedBatch {
    let mut ledger = ledger(fuel);
    let mut deploy = |wat: &str| ledger.sign(ROOT, FUEL, deployment(wasm(wat), Vec::new()));
    let deployments = [deploy(&module("")), deploy(&of_everything())];
    let [inner, outer] = deployments
        .each_ref()
        .map(|signed| ContractId::of_deployment(signed.id()));
    let call = ledger.sign(ROOT, FUEL, invocation(outer, "run", inner.0.to_vec()));
    let mut transactions = deployments.to_vec();
    transactions.push(call);
    ledger.block(transactions)
}

/// What all of it burns.
fn burnt(fuel: FuelPrices) -> u64 {
    let ExecutedBatch { receipts, .. } = story(fuel);
    assert_eq!(receipts.len(), 3);
    for receipt in &receipts {
        let applied = matches!(receipt.status, Status::Applied { .. });
        assert!(applied, "{receipt:?}");
    }
    receipts.iter().map(|receipt| receipt.fuel_used.0).sum()
}

/// Every price by its name.
fn all() -> Vec<(String, u64)> {
    let json = serde_json::to_value(prices()).expect("is JSON");
    let entries = json.as_object().expect("is a struct").iter();
    entries
        .map(|(name, price)| (name.clone(), price.as_u64().expect("is a number")))
        .collect()
}

/// The prices with another for one thing, if it fits into its type.
fn with(name: &str, price: u64) -> Option<FuelPrices> {
    let mut json = serde_json::to_value(prices()).expect("is JSON");
    json[name] = price.into();
    serde_json::from_value(json).ok()
}

#[test]
fn every_price_is_effective() {
    let usual = burnt(prices());
    for (name, price) in all() {
        let (dearer, cheaper) = (with(&name, 2 * price), with(&name, price / 2));
        let changed = match dearer {
            Some(dearer) => burnt(dearer).checked_sub(usual),
            None => usual.checked_sub(burnt(cheaper.expect("fits"))),
        };
        assert!(
            changed.is_some_and(|changed| changed > 0),
            "{name}: {changed:?}"
        );
    }
}

/// Prices that no genesis document may name; but nothing wraps around, whatever they are.
#[test]
fn no_price_is_too_high_to_add_up() {
    for (name, _) in all() {
        let Some(fuel) = with(&name, u64::MAX) else {
            continue;
        };
        let executed = story(fuel);
        // What could be deployed and never called is refused.
        let is_last_straw = |receipt: &Receipt| {
            let kinds = [TrapKind::OutOfFuel, TrapKind::ModuleRefused];
            kinds
                .into_iter()
                .any(|kind| receipt.status == Status::Trapped { kind })
        };
        let too_dear = !executed.dropped.is_empty() || executed.receipts.iter().any(is_last_straw);
        assert!(too_dear, "{name}: {executed:?}");
    }
}

/// A module is refused where the greatest fuel that a transaction may declare does not suffice to call
/// it, and nowhere else.
#[test]
fn what_no_transaction_could_call_is_not_deployed() {
    let code = wasm(r#"(module (memory 3) (func (export "call.r")))"#);
    let limits = |transaction_fuel_max| ChainLimits {
        transaction_fuel_max,
        ..ChainLimits::default()
    };
    let Err(ModuleError::TooDearToCall { fuel, fuel_max: 1 }) =
        Runtime::check_module(&limits(1), &code)
    else {
        panic!("1 unit of fuel suffices for nothing");
    };
    let little = limits(fuel - 1);
    assert!(Runtime::check_module(&little, &code).is_err());
    let refused = Ledger::with(little).deploy_with(&code, Vec::new());
    assert_eq!(trap_of(&refused), TrapKind::ModuleRefused);
    // With one unit more it can be called, and burns that and what counting the stack takes.
    let mut ledger = Ledger::with(limits(fuel));
    let deployed = ledger.deploy_with(&code, Vec::new());
    let contract = deployed.contract.expect("it is deployed");
    let called = ledger.invoke(contract, "r", Vec::new());
    assert!(value_of(&called).is_empty());
    let more = called.fuel_used.0.checked_sub(fuel);
    assert!(more.is_some_and(|more| more < 100), "{more:?} more");
}

/// What is dropped for too little fuel follows the prices of the chain.
#[test]
fn being_taken_in_costs_what_genesis_says() {
    let fuel = FuelPrices {
        transaction: 70_000,
        transaction_per_byte: 30,
        ..prices()
    };
    let mut ledger = ledger(fuel);
    let call = || invocation(ContractId([9; 32]), "run", Vec::new());
    let bytes = ledger.sign(ROOT, 70_000, call()).encoded_size();
    let least = 70_000 + 30 * bytes as u64;
    let signed = ledger.sign(ROOT, least - 1, call());
    assert_eq!(ledger.block(vec![signed]).dropped.len(), 1);
    let receipt = ledger.one(ROOT, least, call());
    assert_eq!(receipt.fuel_used, Fuel(least));
}
