//! contracts/settlement, compiled to Wasm, in the real executor.

mod common;

use std::sync::Arc;

use chancery_ledger::{ChainLimits, Fuel, Receipt};
use chancery_runtime::Runtime;
use chancery_schema::Schema;
use common::shipped::{Module, Story, did};
use common::{FUEL, Ledger, ROOT};
use serde_json::{Value, json};

const ECB: u8 = 2;
const FED: u8 = 3;
const ALPHA: u8 = 4;
const BETA: u8 = 5;
const MESSAGE: &str = "abababababababababababababababababababababababababababababababab";

/// Two currencies; alpha has 1,000 euro cents, beta 2,000 US cents.
fn founded(runtime: Arc<Runtime>) -> Story {
    let mut ledger = Story::among(&[ECB, FED, ALPHA, BETA], "settlement", Ledger::on(runtime));
    for (currency, issuer, holder, amount) in
        [("EUR", ECB, ALPHA, "1000"), ("USD", FED, BETA, "2000")]
    {
        ledger.applied(ROOT, "register_currency", &[currency, "2", &did(issuer)]);
        ledger.applied(
            issuer,
            "issue",
            &[currency, &did(holder), amount, "ISSUE-1"],
        );
    }
    ledger
}

fn runtime() -> Arc<Runtime> {
    Arc::new(Runtime::new(ChainLimits::default()).expect("the engine starts"))
}

fn propose(ledger: &mut Story, deadline: u64, id: &str) -> Receipt {
    let args = [
        &did(BETA),
        r#"{"currency": "EUR", "amount": "400"}"#,
        r#"{"currency": "USD", "amount": "432"}"#,
        &deadline.to_string(),
        id,
        MESSAGE,
    ];
    ledger.call(ALPHA, "propose", &args)
}

fn balance(ledger: &Story, holder: u8, currency: &str) -> Value {
    ledger.query("balance", &[&did(holder), currency])
}

#[test]
fn a_trade_is_paid_in_both_legs_at_once() {
    let mut ledger = founded(runtime());
    let deadline = ledger.ledger.time + 1_000;
    let proposed = propose(&mut ledger, deadline, "INV-1");
    assert_eq!(ledger.events(&proposed)[0].0, "Proposed");
    ledger.applied(BETA, "accept", &["0", "INV-1", MESSAGE]);
    assert_eq!(ledger.applied(ALPHA, "fund", &["0"]), json!(false));
    let aside = json!({"available": "600", "reserved": "400"});
    assert_eq!(balance(&ledger, ALPHA, "EUR"), aside);
    let receipt = ledger.call(BETA, "fund", &["0"]);
    let events = ledger.events(&receipt);
    let topics: Vec<&str> = events.iter().map(|event| event.0.as_str()).collect();
    assert_eq!(topics, ["SetAside", "Paid", "Paid", "Settled"]);
    let paid = json!({
        "number": 0, "payer": did(ALPHA), "payee": did(BETA), "currency": "EUR", "amount": "400",
        "end_to_end_id": "INV-1",
    });
    assert_eq!(events[1].1, paid);
    for (holder, currency, available) in [
        (ALPHA, "EUR", "600"),
        (ALPHA, "USD", "432"),
        (BETA, "EUR", "400"),
        (BETA, "USD", "1568"),
    ] {
        let expected = json!({"available": available, "reserved": "0"});
        assert_eq!(balance(&ledger, holder, currency), expected);
    }
    let terms = ledger.query("obligation", &["0"]);
    assert_eq!(terms["second"]["pacs008"]["hash"], json!(MESSAGE));
    let settled = json!({"settled": {"at": ledger.ledger.time}});
    assert_eq!(ledger.query("standing", &["0"]), settled);
    let supply = json!({"issued": "1000", "redeemed": "0"});
    assert_eq!(ledger.query("supply", &["EUR"]), supply);
}

#[test]
fn the_deadline_is_block_time_s() {
    let mut ledger = founded(runtime());
    let deadline = ledger.ledger.time + 100;
    for id in ["INV-1", "INV-2"] {
        propose(&mut ledger, deadline, id);
    }
    for number in ["0", "1"] {
        ledger.applied(BETA, "accept", &[number, &format!("R-{number}"), MESSAGE]);
        ledger.applied(ALPHA, "fund", &[number]);
    }
    // The next block is one millisecond later.
    ledger.ledger.time = deadline - 2;
    assert_eq!(ledger.applied(BETA, "fund", &["0"]), json!(true));
    ledger.refused(BETA, "fund", &["1"], "DeadlinePassed");
    let expired = json!({"expired": {"first_set_aside": true, "second_set_aside": false}});
    assert_eq!(ledger.query("standing", &["1"]), expired);
    let receipt = ledger.call(ECB, "release", &["1"]);
    assert_eq!(ledger.events(&receipt)[0].0, "GivenBack");
    let expected = json!({"available": "600", "reserved": "0"});
    assert_eq!(balance(&ledger, ALPHA, "EUR"), expected);
}

#[test]
fn refusals_have_their_names() {
    let mut ledger = founded(runtime());
    let deadline = ledger.ledger.time + 1_000;
    propose(&mut ledger, deadline, "INV-1");
    let soon = deadline.to_string();
    ledger.refused(
        ALPHA,
        "register_currency",
        &["GBP", "2", &did(ALPHA)],
        "NotOwner",
    );
    ledger.refused(
        ROOT,
        "register_currency",
        &["Eur", "2", &did(ECB)],
        "BadCurrencyCode",
    );
    ledger.refused(
        ROOT,
        "register_currency",
        &["EUR", "2", &did(ECB)],
        "CurrencyExists",
    );
    ledger.refused(
        ROOT,
        "register_currency",
        &["GBP", "2", &did(99)],
        "NotAdmitted",
    );
    ledger.refused(FED, "issue", &["EUR", &did(ALPHA), "5", "X"], "NotIssuer");
    ledger.refused(
        ECB,
        "issue",
        &["EUR", &did(ALPHA), "5", "ISSUE-1"],
        "EndToEndIdUsed",
    );
    let too_much = "1000000000000000000";
    ledger.refused(
        ECB,
        "issue",
        &["EUR", &did(ALPHA), too_much, "X"],
        "AmountOutOfRange",
    );
    ledger.refused(ALPHA, "redeem", &["EUR", "1001", "X"], "InsufficientFunds");
    ledger.refused(ALPHA, "accept", &["0", "X", MESSAGE], "NotTheCounterparty");
    ledger.refused(ECB, "fund", &["0"], "NotAParty");
    ledger.refused(ALPHA, "fund", &["0"], "NotAgreed");
    ledger.refused(ALPHA, "release", &["7"], "UnknownObligation");
    ledger.refused(
        ALPHA,
        "propose_netting",
        &[&did(BETA), "0", &soon],
        "BadNetting",
    );
    ledger.refused(
        ALPHA,
        "propose_netting",
        &[&did(BETA), "0,1", &soon],
        "NotAgreed",
    );
}

/// What an account signed for another contract gives that contract no rights here.
#[test]
fn a_contract_holds_and_moves_nothing() {
    let mut ledger = founded(runtime());
    let deadline = (ledger.ledger.time + 1_000).to_string();
    ledger.refused_to_a_contract(ALPHA, "redeem", &["EUR", "1", "X"], "NotAnAccount");
    ledger.refused_to_a_contract(
        ECB,
        "issue",
        &["EUR", &did(ALPHA), "1", "X"],
        "NotAnAccount",
    );
    ledger.refused_to_a_contract(
        ROOT,
        "register_currency",
        &["GBP", "2", &did(ECB)],
        "NotOwner",
    );
    let netting = [&did(BETA), "0,1", deadline.as_str()];
    ledger.refused_to_a_contract(ALPHA, "propose_netting", &netting, "NotAnAccount");
    for method in ["fund", "refuse", "withdraw", "accept_netting"] {
        ledger.refused_to_a_contract(ALPHA, method, &["0"], "NotAnAccount");
    }
}

#[test]
fn each_thing_has_an_entry_of_its_own() {
    let mut ledger = founded(runtime());
    let before = ledger.entries();
    let deadline = ledger.ledger.time + 1_000;
    propose(&mut ledger, deadline, "INV-1");
    // Terms, status, end-to-end id, and the count, which is there from now on.
    assert_eq!(ledger.entries(), before + 4);
    propose(&mut ledger, deadline, "INV-2");
    assert_eq!(ledger.entries(), before + 7);
    let key = [&b"terms/"[..], &1_u64.to_le_bytes()].concat();
    let key = chancery_ledger::state_key::StateKey::Storage(ledger.contract, &key).to_bytes();
    assert!(ledger.ledger.state.entries.contains_key(&key));
}

#[test]
fn the_schema_and_the_native_contract_agree() {
    let native: Schema = serde_json::from_str(settlement::Settlement::SCHEMA).expect("a schema");
    assert_eq!(native, Module::load("settlement").schema);
}

/// The dearest call: the most obligations that one can stand for. Twice, by different runtimes.
#[test]
fn the_largest_netting_is_within_reach() {
    let netting_max = u64::try_from(settlement::NETTING_MAX).expect("small");
    let transcript = |runtime| {
        let mut ledger = founded(runtime);
        let deadline = ledger.ledger.time + 100_000;
        for number in 0..netting_max {
            propose(&mut ledger, deadline, &format!("INV-{number}"));
            ledger.applied(
                BETA,
                "accept",
                &[&number.to_string(), &format!("R-{number}"), MESSAGE],
            );
        }
        let numbers: Vec<String> = (0..netting_max).map(|number| number.to_string()).collect();
        let (numbers, soon) = (numbers.join(","), deadline.to_string());
        let proposed = ledger.call(BETA, "propose_netting", &[&did(ALPHA), &numbers, &soon]);
        let agreed = ledger.call(ALPHA, "accept_netting", &[&netting_max.to_string()]);
        let terms = ledger.query("obligation", &[&netting_max.to_string()]);
        assert_eq!(
            terms["first"]["amount"],
            json!((400 * netting_max).to_string())
        );
        ([proposed, agreed], ledger.ledger.state.entries)
    };
    let shared = runtime();
    let cold = transcript(Arc::clone(&shared));
    let warm = transcript(shared);
    let other = transcript(runtime());
    assert_eq!(cold, warm);
    assert_eq!(cold, other);
    for receipt in &cold.0 {
        assert!(
            receipt.fuel_used < Fuel(FUEL / 20),
            "{:?}",
            receipt.fuel_used
        );
    }
    println!(
        "netting of {netting_max}: {:?}",
        cold.0.map(|receipt| receipt.fuel_used)
    );
}
