//! Compiling ahead changes nothing but time, and is done only where somebody will pay for it.

mod common;

use std::sync::Arc;

use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, Call, ContractId, Millis, Role, Upgraders};
use chancery_runtime::{Compilations, Runtime};
use common::shelf::Shelf;
use common::{FUEL, Ledger, ROOT, account, module};

fn deployment(wat: &str, upgraders: Upgraders) -> Call {
    Call::Deploy {
        code: wat::parse_str(wat).expect("good text"),
        upgraders,
        args: Vec::new(),
    }
}

fn upgrade_of(contract: ContractId, version: u32, wat: &str) -> Call {
    Call::Upgrade {
        contract,
        version,
        code: wat::parse_str(wat).expect("good text"),
        args: Vec::new(),
    }
}

fn prepare(ledger: &Ledger, transactions: &[SignedTransaction]) {
    let batch = Batch {
        proposed_time: Millis(ledger.time),
        transactions: transactions.to_vec(),
    };
    let view = Arc::new(ledger.state.clone());
    ledger.runtime.prepare(&ledger.context(), view, &batch);
}

fn compilations(runtime: &Runtime) -> (u64, u64) {
    let Compilations { ahead, late, .. } = runtime.compilations();
    (ahead, late)
}

#[test]
fn what_was_compiled_ahead_is_not_compiled_again_and_gives_the_same() {
    let shelf = Arc::new(Shelf::default());
    let mut ledger = Ledger::on(shelf.runtime());
    let mut plain = ledger.twin(Ledger::new().runtime);
    let upgraders = Upgraders::of(1, vec![account(ROOT)]);
    let deploy = ledger.sign(ROOT, FUEL, deployment(&module("nop"), upgraders));

    prepare(&ledger, std::slice::from_ref(&deploy));
    assert_eq!(compilations(&ledger.runtime), (1, 0));
    assert_eq!(
        shelf.counts(),
        (0, 0),
        "nothing is kept that nobody has paid for"
    );
    prepare(&ledger, std::slice::from_ref(&deploy));
    assert_eq!(compilations(&ledger.runtime), (1, 0), "once is enough");
    let deployed = ledger.block(vec![deploy.clone()]).receipts;
    assert_eq!(deployed, plain.block(vec![deploy.clone()]).receipts);
    assert_eq!(compilations(&ledger.runtime), (1, 0));
    assert_eq!(compilations(&plain.runtime), (0, 1));
    assert_eq!(shelf.counts(), (0, 1), "paid for and kept");

    let contract = deployed[0].contract.expect("it was deployed");
    let upgrade = ledger.sign(ROOT, FUEL, upgrade_of(contract, 1, &module("nop nop")));
    prepare(&ledger, &[deploy, upgrade.clone()]);
    assert_eq!(
        compilations(&ledger.runtime),
        (2, 0),
        "the deployment is over"
    );
    let upgraded = ledger.block(vec![upgrade.clone()]).receipts;
    assert_eq!(upgraded, plain.block(vec![upgrade]).receipts);
    assert_eq!(compilations(&ledger.runtime), (2, 0));
    assert_eq!(ledger.state.entries, plain.state.entries);
}

#[test]
fn nothing_is_compiled_that_execution_would_not_compile() {
    let mut ledger = Ledger::new();
    let nobody = Upgraders::nobody;
    let contract = ledger.deploy(&module("nop"));
    let admit = Call::Admit {
        account: account(7),
        roles: vec![Role::Registrar],
    };
    common::value_of(&ledger.one(ROOT, FUEL, admit));
    let before = compilations(&ledger.runtime);
    let code = || deployment(&module("nop nop"), nobody());
    let cost = {
        let mut twin = ledger.twin(Ledger::new().runtime);
        let signed = twin.sign(ROOT, FUEL, code());
        twin.block(vec![signed]).receipts[0].fuel_used.0
    };
    let mut expired = ledger.sign(ROOT, FUEL, code()).transaction;
    expired.valid_until = Millis(ledger.time);
    let unknown_upgrader = Upgraders::of(1, vec![account(200)]);
    let refused = [
        ledger.sign(7, FUEL, code()),
        ledger.sign(201, FUEL, code()),
        expired.sign(&common::key(ROOT)),
        ledger.sign(ROOT, cost / 2, code()),
        ledger.sign(ROOT, FUEL, deployment(&module("nop nop"), unknown_upgrader)),
        ledger.sign(
            ROOT,
            FUEL,
            deployment("(module (func) (start 0))", nobody()),
        ),
        ledger.sign(ROOT, FUEL, upgrade_of(contract, 1, &module("nop nop"))),
    ];
    for (place, signed) in refused.iter().enumerate() {
        prepare(&ledger, std::slice::from_ref(signed));
        assert_eq!(compilations(&ledger.runtime), before, "transaction {place}");
    }
    let good = ledger.sign(ROOT, FUEL, code());
    prepare(&ledger, &[&refused[..], &[good]].concat());
    assert_eq!(compilations(&ledger.runtime), (before.0 + 1, before.1));
}
