//! The shipped contract, compiled to Wasm, in the real executor. `scripts/build-contracts` makes
//! the module; `CHANCERY_CONTRACTS` names its folder if it is not target/contracts.

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use chancery_ledger::{AccountId, ChainLimits, ContractId, Fuel, Status, TrapKind};
use chancery_runtime::schema::{ArgText, Method, MethodKind, Plain, encode_args};
use chancery_runtime::{Runtime, Schema};
use common::{FUEL, Ledger, ROOT, State, account, invocation, trap_of, value_of};
use parity_scale_codec::Encode as _;
use serde_json::json;

fn wasm() -> Vec<u8> {
    let folder = std::env::var_os("CHANCERY_CONTRACTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/contracts"),
        PathBuf::from,
    );
    let path = folder.join("data_access.wasm");
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/build-contracts", path.display()))
}

fn schema() -> Schema {
    let report = Runtime::check_module(&ChainLimits::default(), &wasm()).expect("it is accepted");
    report.schema.expect("it has a schema")
}

fn method(name: &str) -> Method {
    let schema = schema();
    let method = schema.init().filter(|_| name == "init");
    method.or(schema.callable(name)).expect("it exists").clone()
}

fn args(name: &str, texts: &[&str]) -> Vec<u8> {
    let texts: Vec<ArgText> = texts
        .iter()
        .map(|text| ArgText {
            name: None,
            text: (*text).to_owned(),
        })
        .collect();
    encode_args(&method(name).args, &texts, &Plain).expect("they fit")
}

const RECORD: &str = "abababababababababababababababababababababababababababababababab";

struct Story {
    ledger: Ledger,
    contract: ContractId,
}

impl Story {
    fn begin() -> Self {
        Self::on(Ledger::new())
    }

    fn on(mut ledger: Ledger) -> Self {
        let receipt = ledger.deploy_with(&wasm(), args("init", &[RECORD]));
        assert!(value_of(&receipt).is_empty());
        let contract = receipt.contract.expect("deployed");
        Self { ledger, contract }
    }

    fn call(&mut self, seed: u8, name: &str, texts: &[&str]) -> chancery_ledger::Receipt {
        let args = args(name, texts);
        self.ledger.invoke_as(seed, self.contract, name, args)
    }

    fn query(&self, name: &str, texts: &[&str]) -> serde_json::Value {
        let outcome = self.ledger.query(self.contract, name, &args(name, texts));
        match outcome.status {
            Status::Applied { value } => method(name).decode_result(&value).expect("its type"),
            other => panic!("{name}: {other:?}"),
        }
    }

    fn ordered(&mut self, name: &str, texts: &[&str]) -> serde_json::Value {
        let receipt = self.call(ROOT, name, texts);
        method(name)
            .decode_result(&value_of(&receipt))
            .expect("its type")
    }
}

fn did(seed: u8) -> String {
    account(seed).to_string()
}

#[test]
fn the_whole_story() {
    let mut story = Story::begin();
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
    let event = &grant.events[0];
    assert_eq!(
        (event.contract, event.topic.as_str()),
        (story.contract, "Granted")
    );
    let fields = schema()
        .event("Granted")
        .expect("declared")
        .decode(&event.data);
    assert_eq!(
        fields.expect("its fields"),
        json!({"recipient": specialist, "expires_at": expires_at})
    );
    assert_eq!(story.query("can_read", &[&specialist]), json!(true));
    assert_eq!(story.query("can_read", &[&stranger]), json!(false));
    assert_eq!(story.query("expires_at", &[&specialist]), json!(expires_at));
    assert_eq!(story.query("expires_at", &[&stranger]), json!(null));
    assert_eq!(story.ordered("can_read", &[&specialist]), json!(true));

    // The next block's time is one later: the last moment, then the end.
    story.ledger.time = expires_at - 2;
    assert_eq!(story.ordered("can_read", &[&specialist]), json!(true));
    assert_eq!(story.ordered("can_read", &[&specialist]), json!(false));
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
    let mut story = Story::begin();
    let admit = chancery_ledger::Call::Admit {
        account: account(2),
        roles: Vec::new(),
    };
    value_of(&story.ledger.one(ROOT, FUEL, admit));
    let (time, friend) = ((story.ledger.time + 100).to_string(), did(5));
    let schema = schema();
    let mut check = |seed, name: &str, texts: &[&str], expected: &str| {
        let before = story.ledger.state.entries.clone();
        let receipt = story.call(seed, name, texts);
        let Status::Reverted { code, data } = &receipt.status else {
            panic!("{name}: {:?}", receipt.status)
        };
        let error = schema.error(*code).expect("declared");
        assert_eq!((error.name.as_str(), data.as_slice()), (expected, &[][..]));
        assert_eq!(receipt.events, []);
        assert!(receipt.fuel_used < Fuel(FUEL));
        assert_eq!(story.ledger.state.entries, before);
    };
    check(2, "grant_access", &[&friend, &time], "NotOwner");
    check(2, "revoke_access", &[&friend], "NotOwner");
    check(ROOT, "grant_access", &[&friend, "5"], "ExpiryInThePast");
    check(ROOT, "revoke_access", &[&friend], "NotGranted");
}

#[test]
fn arguments_that_do_not_decode_are_named() {
    let mut story = Story::begin();
    let good = args("can_read", &[&did(2)]);
    for bad in [Vec::new(), good[1..].to_vec(), [&good[..], &[0]].concat()] {
        let receipt = story.ledger.invoke(story.contract, "can_read", bad.clone());
        assert_eq!(trap_of(&receipt), TrapKind::BadArguments);
        let outcome = story.ledger.query(story.contract, "can_read", &bad);
        let kind = TrapKind::BadArguments;
        assert_eq!(outcome.status, Status::Trapped { kind });
    }
    let receipt = story.ledger.deploy_with(&wasm(), vec![1, 2, 3]);
    assert_eq!(trap_of(&receipt), TrapKind::BadArguments);
}

#[test]
fn a_grant_is_one_storage_entry() {
    let mut story = Story::begin();
    let time = (story.ledger.time + 100).to_string();
    let signed = story.ledger.sign(
        ROOT,
        FUEL,
        invocation(
            story.contract,
            "grant_access",
            args("grant_access", &[&did(2), &time]),
        ),
    );
    let executed = story.ledger.block(vec![signed]);
    assert_eq!(executed.changes.len(), 1);
    let (key, value) = executed.changes.first_key_value().expect("one change");
    assert!(key.ends_with(&account(2).0));
    assert_eq!(value.as_ref().map(Vec::len), Some(8));
}

#[test]
fn the_schema_and_the_native_contract_agree() {
    let native: Schema =
        serde_json::from_str(data_access::DataAccess::SCHEMA).expect("it is a schema");
    assert_eq!(native, schema());
    let kinds: Vec<_> = native.methods.iter().map(|method| method.kind).collect();
    assert_eq!(kinds[0], MethodKind::Init);
}

/// What one ledger computes, another computes too: with a warm cache, with a cold one, by another
/// runtime.
#[test]
fn receipts_and_fuel_do_not_depend_on_who_computes_them() {
    fn transcript(runtime: &Arc<Runtime>) -> (Vec<chancery_ledger::Receipt>, State) {
        let mut story = Story::on(Ledger::on(Arc::clone(runtime)));
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

/// Not a test of speed, which depends on the machine: it prints what calls cost.
#[test]
fn costs_are_printed() {
    let mut story = Story::begin();
    let size = wasm().len();
    let empty = story.ledger.deploy(&common::module(""));
    let nothing = story.ledger.invoke(empty, "run", Vec::new()).fuel_used;
    let (time, friend) = ((story.ledger.time + 1_000_000).to_string(), did(5));
    let grant = story
        .call(ROOT, "grant_access", &[&friend, &time])
        .fuel_used;
    let read = story.call(ROOT, "can_read", &[&friend]).fuel_used;
    println!(
        "module {size} bytes; fuel: empty call {nothing}, grant_access {grant}, can_read {read}"
    );
    for (name, contract, method, args) in [
        ("empty call", empty, "run", Vec::new()),
        (
            "grant_access",
            story.contract,
            "grant_access",
            args("grant_access", &[&friend, &time]),
        ),
    ] {
        let transactions: Vec<_> = (0..1000)
            .map(|_| {
                let call = invocation(contract, method, args.clone());
                story.ledger.sign(ROOT, 4_000_000, call)
            })
            .collect();
        let start = std::time::Instant::now();
        let executed = story.ledger.block(transactions);
        let each = start.elapsed() / 1000;
        assert_eq!(executed.receipts.len(), 1000);
        println!("{name}: {each:?} each, in a batch of 1000");
    }
}
