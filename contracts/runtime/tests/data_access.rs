//! The contract for one record, compiled to Wasm, in the real executor.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::hash::sha256;
use chancery_ledger::state_key::StateKey;
use chancery_ledger::{AccountId, ChainLimits, ContractId, Status, TrapKind};
use chancery_runtime::Runtime;
use chancery_schema::{MethodKind, Schema};
use common::shipped::{Module, Story, did};
use common::{FUEL, Ledger, ROOT, State, account, invocation, trap_of, value_of};
use parity_scale_codec::Encode as _;
use serde_json::json;

const NAME: &str = "data_access";
const RECORD: &str = "abababababababababababababababababababababababababababababababab";

fn begin() -> Story {
    Story::begin(NAME, &[RECORD])
}

#[test]
fn the_whole_story() {
    let mut story = begin();
    let (specialist, stranger) = (did(2), did(3));
    assert_eq!(story.query("owner", &[]), json!(did(ROOT)));
    assert_eq!(story.query("data_hash", &[]), json!(RECORD));
    assert_eq!(story.query("can_read", &[&specialist]), json!(false));

    let expires_at = story.ledger.time + 100;
    let grant = story.call(
        ROOT,
        "grant_access",
        &[&specialist, &expires_at.to_string()],
    );
    assert!(value_of(&grant).is_empty());
    let fields = json!({
        "recipient": specialist, "expires_at": expires_at, "action": "read", "resource": "*",
        "number": 0, "under": null,
    });
    assert_eq!(story.event(&grant), ("Granted".to_owned(), fields));
    assert_eq!(story.query("can_read", &[&specialist]), json!(true));
    assert_eq!(story.query("can_read", &[&stranger]), json!(false));
    assert_eq!(story.query("expires_at", &[&specialist]), json!(expires_at));
    assert_eq!(story.query("expires_at", &[&stranger]), json!(null));
    assert_eq!(story.applied(ROOT, "can_read", &[&specialist]), json!(true));

    // The next block's time is one later: the last moment, then the end.
    story.ledger.time = expires_at - 2;
    assert_eq!(story.applied(ROOT, "can_read", &[&specialist]), json!(true));
    assert_eq!(
        story.applied(ROOT, "can_read", &[&specialist]),
        json!(false)
    );
    assert_eq!(story.query("can_read", &[&specialist]), json!(false));

    let later = (story.ledger.time + 100).to_string();
    value_of(&story.call(ROOT, "grant_access", &[&specialist, &later]));
    assert_eq!(story.query("can_read", &[&specialist]), json!(true));
    let revocation = story.call(ROOT, "revoke_access", &[&specialist]);
    assert_eq!(revocation.events[0].topic, "Revoked");
    assert_eq!(story.query("can_read", &[&specialist]), json!(false));
}

#[test]
fn refusals_have_their_codes() {
    let mut story = begin();
    story.admit(2);
    let (time, friend) = ((story.ledger.time + 100).to_string(), did(5));
    let mut check = |seed, name: &str, texts: &[&str], expected: &str| {
        assert_eq!(story.refusal(seed, name, texts), expected);
    };
    check(2, "grant_access", &[&friend, &time], "NotOwner");
    check(2, "revoke_access", &[&friend], "NotOwner");
    check(ROOT, "grant_access", &[&friend, "5"], "ExpiryInThePast");
    check(ROOT, "revoke_access", &[&friend], "NotGranted");
    let what: [&str; 4] = [&friend, "read", "labs", &time];
    let with = |resource, passes: &'static str| {
        let mut texts = what.to_vec();
        texts[2] = resource;
        texts.push(passes);
        texts
    };
    check(ROOT, "grant", &with("a//b", "0"), "NotAName");
    check(ROOT, "grant", &with("labs", "8"), "PassedOnTooOften");
    check(2, "pass_on", &with("labs", "0"), "BeyondOwnGrant");
}

/// The longest chain that can be, through the engine: the cost of asking it is bounded.
#[test]
fn what_is_passed_on_is_asked_up_to_the_owner() {
    let mut story = begin();
    let until = story.ledger.time + 1_000;
    let time = until.to_string();
    for seed in 2..=9 {
        story.admit(seed);
    }
    let first = did(2);
    let texts: [&str; 5] = [&first, "read", "labs", &time, "7"];
    assert_eq!(story.applied(ROOT, "grant", &texts), json!(0));
    for (seed, passes) in (2..9).zip((0..7).rev()) {
        let (to, passes) = (did(seed + 1), passes.to_string());
        let texts: [&str; 5] = [&to, "read", "labs", &time, &passes];
        assert_eq!(story.applied(seed, "pass_on", &texts), json!(seed - 1));
    }
    let resource = "labs/2/3/4/5/6/7/8";
    let decide = |story: &Story, who: u8| {
        story.query(
            "decide",
            &[&did(who), "read", resource, &(until - 1).to_string()],
        )
    };
    assert_eq!(decide(&story, 9), json!({"permit": {"until": until}}));
    assert_eq!(story.query("count", &[]), json!(8));
    let entry = story.query("entry", &["7"]);
    assert_eq!(entry["under"], json!(6));
    assert_eq!(entry["subject"], json!(did(9)));
    assert_eq!(story.query("entry", &["8"]), json!(null));
    let asked = story.call(ROOT, "decide", &[&did(9), "read", resource, &time]);
    assert!(asked.fuel_used.0 < 2_000_000, "{:?}", asked.fuel_used);

    let receipt = story.call(2, "revoke", &[&did(3), "read", "labs"]);
    assert_eq!(story.event(&receipt).0, "Revoked");
    assert!(decide(&story, 2).get("permit").is_some());
    for who in 3..=9 {
        let denial = json!({"deny": {"reason": if who == 3 { "not granted" } else { "revoked" }}});
        assert_eq!(decide(&story, who), denial);
    }
}

#[test]
fn arguments_that_do_not_decode_are_named() {
    let mut story = begin();
    let good = story.module.args("can_read", &[&did(2)]);
    for bad in [Vec::new(), good[1..].to_vec(), [&good[..], &[0]].concat()] {
        let receipt = story.ledger.invoke(story.contract, "can_read", bad.clone());
        assert_eq!(trap_of(&receipt), TrapKind::BadArguments);
        let outcome = story.ledger.query(story.contract, "can_read", &bad);
        let kind = TrapKind::BadArguments;
        assert_eq!(outcome.status, Status::Trapped { kind });
    }
    let receipt = story.ledger.deploy_with(&story.module.wasm, vec![1, 2, 3]);
    assert_eq!(trap_of(&receipt), TrapKind::BadArguments);
}

/// The keys that `chancery_contract::access` documents.
#[test]
fn a_grant_is_an_entry_of_the_index() {
    let mut story = begin();
    let time = story.ledger.time + 100;
    let call = invocation(
        story.contract,
        "grant_access",
        story
            .module
            .args("grant_access", &[&did(2), &time.to_string()]),
    );
    let signed = story.ledger.sign(ROOT, FUEL, call);
    let executed = story.ledger.block(vec![signed]);
    let key = |parts: &[&[u8]]| StateKey::Storage(story.contract, &parts.concat()).to_bytes();
    let place = sha256(&(account(2), "read", "*").encode());
    let expected = BTreeMap::from([
        (key(&[b"access/count"]), 1_u64.encode()),
        (key(&[b"access/standing/", &place.0]), 0_u64.encode()),
    ]);
    let entry = key(&[b"access/entry/", &0_u64.to_le_bytes()]);
    for (key, value) in &executed.changes {
        if *key == entry {
            let value = value.as_ref().expect("an entry");
            assert_eq!(&value[..32], &account(2).0);
        } else {
            assert_eq!(expected.get(key), value.as_ref());
        }
    }
    assert_eq!(executed.changes.len(), 3);
}

#[test]
fn the_schema_and_the_native_contract_agree() {
    let native: Schema =
        serde_json::from_str(data_access::DataAccess::SCHEMA).expect("it is a schema");
    assert_eq!(native, Module::load(NAME).schema);
    let kinds: Vec<_> = native.methods.iter().map(|method| method.kind).collect();
    assert_eq!(kinds[0], MethodKind::Init);
}

/// What one ledger computes, another computes too: with a warm cache, with a cold one, by another
/// runtime.
#[test]
fn receipts_and_fuel_do_not_depend_on_who_computes_them() {
    fn transcript(runtime: &Arc<Runtime>) -> (Vec<chancery_ledger::Receipt>, State) {
        let mut story = Story::on(Ledger::on(Arc::clone(runtime)), NAME, &[RECORD]);
        let (time, friend) = ((story.ledger.time + 100).to_string(), did(5));
        let receipts = vec![
            story.call(ROOT, "grant_access", &[&friend, &time]),
            story.call(ROOT, "can_read", &[&friend]),
            story.call(ROOT, "revoke_access", &[&friend]),
            story.call(ROOT, "revoke_access", &[&friend]),
            story.ledger.invoke(story.contract, "nothing", Vec::new()),
        ];
        (receipts, story.ledger.state)
    }
    let runtime = || Arc::new(Runtime::new(ChainLimits::default()).expect("starts"));
    let one = runtime();
    let (cold, cold_state) = transcript(&one);
    let (warm, warm_state) = transcript(&one);
    let (other, other_state) = transcript(&runtime());
    assert_eq!((&cold, &cold), (&warm, &other));
    assert_eq!(cold_state.entries, warm_state.entries);
    assert_eq!(cold_state.entries, other_state.entries);

    // A runtime that never saw the deployment compiles from the state.
    let mut ledger = Ledger::on(runtime());
    ledger.state = cold_state;
    ledger.height = 100;
    let contract = ContractId(cold[0].contract.expect("called").0);
    let answer = ledger.query(contract, "can_read", &AccountId([7; 32]).encode());
    let value = false.encode();
    assert_eq!(answer.status, Status::Applied { value });
}
