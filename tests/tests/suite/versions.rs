//! What an old version of a contract took, returned, refused and announced is shown by what that
//! version said of it, though its bytes fit the newest version's schema as well.

use std::path::Path;

use chancery_client::api::{TransactionInfo, TransactionState};
use chancery_client::{Client, KeyStore, TransactionBuilder, clock};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Call, ContractId, Fuel, Height, TransactionId, TransactionPlace};
use chancery_tests::cluster::Cluster;
use chancery_tests::command::eventually;
use parity_scale_codec::Encode as _;
use serde_json::{Value, json};

use crate::events::{Follower, chancery_lines};

/// Upgrades that are tried until one shares its block with a call before it.
const ROUNDS_MAX: usize = 20;
/// Calls before an upgrade, and behind it.
const CALLS: usize = 6;

/// Gives back its arguments and announces them, whatever it calls them; odd versions say `giver` and
/// `taker`, even ones the other way around.
fn module(version: u32) -> Vec<u8> {
    let odd = version % 2 == 1;
    let (fields, names) = if odd {
        (["giver", "taker"], ["first", "second"])
    } else {
        (["taker", "giver"], ["second", "first"])
    };
    let fields = fields.map(|name| json!({"name": name, "type": "u32"}));
    let returns = names.map(|name| format!("{name}: u32")).join(", ");
    let schema = json!({
        "name": "Swap",
        "methods": [
            {"name": "act", "kind": "call", "args": fields, "returns": format!("{{{returns}}}")},
            {"name": "refuse", "kind": "call"},
        ],
        "events": [{"name": "Acted", "fields": fields}],
        "errors": [{"code": 1, "name": if odd { "closed" } else { "late" }}],
    });
    let schema = schema.to_string().replace('"', "\\22");
    let wat = format!(
        r#"(module
            (import "chancery" "input" (func $input (param i32 i32) (result i32)))
            (import "chancery" "emit" (func $emit (param i32 i32 i32 i32)))
            (import "chancery" "return_value" (func $return (param i32 i32)))
            (import "chancery" "revert" (func $revert (param i32 i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "Acted")
            (func (export "call.act")
                (drop (call $input (i32.const 64) (i32.const 8)))
                (call $emit (i32.const 0) (i32.const 5) (i32.const 64) (i32.const 8))
                (call $return (i32.const 64) (i32.const 8)))
            (func (export "call.refuse")
                (call $revert (i32.const 1) (i32.const 0) (i32.const 0)))
            (@custom "chancery.schema" "{schema}"))"#
    );
    wat::parse_str(wat).expect("well-formed")
}

struct Scene<'a> {
    cluster: &'a Cluster,
    client: Client,
    keys: KeyStore,
    builder: TransactionBuilder,
    contract: ContractId,
}

impl Scene<'_> {
    fn sign(&self, call: Call, fuel: u64) -> SignedTransaction {
        let key = self.keys.load("alice").expect("a key");
        let builder = self.builder.clone().fuel_max(Fuel(fuel));
        builder.sign(&key, clock(), call).expect("random numbers")
    }

    fn call(&self) -> SignedTransaction {
        let args = (1_u32, 2_u32).encode();
        let call = TransactionBuilder::invoke(self.contract, "act", args);
        self.sign(call, 2_000_000)
    }

    fn upgrade(&self, version: u32) -> SignedTransaction {
        let call = Call::Upgrade {
            contract: self.contract,
            version,
            code: module(version + 1),
            args: Vec::new(),
        };
        self.sign(call, 50_000_000)
    }

    /// Hands in calls with an upgrade of `version` among them, one behind the other without waiting;
    /// where the upgrade stands in the end, and whether calls of its block stand before it.
    fn round(&self, version: u32) -> (TransactionPlace, bool) {
        let upgrade = self.upgrade(version);
        let mut all: Vec<_> = (0..2 * CALLS).map(|_| self.call()).collect();
        all.insert(CALLS, upgrade.clone());
        for signed in &all {
            let taken = self.cluster.block_on(self.client.submit(signed));
            assert_eq!(taken, Ok(signed.id()));
        }
        for signed in &all {
            eventually("it is final", 20, || {
                self.info(signed.id()).state == TransactionState::Final
            });
        }
        let at = self.place(upgrade.id());
        let before = all.iter().any(|signed| {
            let place = self.place(signed.id());
            place.height == at.height && place.index < at.index
        });
        (at, before)
    }

    fn info(&self, id: TransactionId) -> TransactionInfo {
        let info = self.cluster.block_on(self.client.transaction(id));
        info.expect("somebody answers")
    }

    fn place(&self, id: TransactionId) -> TransactionPlace {
        let info = self.info(id);
        let (height, index) = info.height.zip(info.index).expect("it is in a block");
        TransactionPlace { height, index }
    }
}

/// What an event's place and fields must be, by the places since which each version ran.
fn check_event(event: &Value, since: &[TransactionPlace]) {
    let number = |field: &str| event[field].as_u64().expect("a number");
    let place = TransactionPlace {
        height: Height(number("height")),
        index: u32::try_from(number("index")).expect("small"),
    };
    let version = since.iter().filter(|since| **since <= place).count();
    let fields = if version % 2 == 1 {
        json!({"giver": 1, "taker": 2})
    } else {
        json!({"taker": 1, "giver": 2})
    };
    assert_eq!(event["contract_version"], json!(version), "{event}");
    assert_eq!(event["fields"], fields, "{event}");
}

#[test]
fn what_an_old_version_did_is_shown_by_its_own_schema() {
    let cluster = Cluster::start(4);
    let _ = cluster.ok(&["keys", "new", "alice"]);
    let file = cluster.path().join("swap.wasm").display().to_string();
    std::fs::write(&file, module(1)).expect("a file");
    let deploy = ["contract", "deploy", &file, "--from", "alice"];
    let deployed = cluster.ok(&[&deploy[..], &["--upgrade-by", "alice"]].concat());
    let contract = deployed.text("contract");
    let api = cluster.api(cluster.primary());
    cluster.level(&cluster.all());
    let client = Client::new([api.clone()]).expect("an address");
    let chain = cluster.block_on(client.chain()).expect("somebody answers");
    let scene = Scene {
        cluster: &cluster,
        client,
        keys: KeyStore::new(Path::new(&cluster.dir()).join("keys")),
        builder: TransactionBuilder::new(chain.chain_id, chain.limits),
        contract: contract.parse().expect("a contract"),
    };
    let of = ["--contract", contract.as_str(), "--api", api.as_str()];
    let follower = Follower::start(&of);

    let act = ["call", &contract, "act", "--from", "alice"];
    let acted = cluster.ok(&[&act[..], &["--giver", "1", "--taker", "2"]].concat());
    assert_eq!(acted.out["value"], json!({"first": 1, "second": 2}));
    let refused = cluster.run(&["call", &contract, "refuse", "--from", "alice"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    let first = scene.place(deployed.text("id").parse().expect("an id"));
    let mut since = vec![first];
    for version in 1.. {
        assert!(
            since.len() <= ROUNDS_MAX,
            "no block had a call and an upgrade"
        );
        let (at, shared) = scene.round(version);
        since.push(at);
        // The newest version is an even one: its schema is another than the first one's.
        if shared && version % 2 == 1 {
            break;
        }
    }

    let listed = chancery_lines(&[&["events"], &of[..]].concat());
    assert_eq!(listed.len(), 1 + (since.len() - 1) * 2 * CALLS);
    for event in &listed {
        check_event(event, &since);
    }
    let newest = listed.last().expect("some")["cursor"].clone();
    let newest = newest.as_str().expect("text");
    eventually("all are followed", 20, || follower.has(newest));
    assert_eq!(follower.stop(), listed, "followed over the upgrades");

    let info = cluster.ok(&["contract", "info", &contract]).out;
    let versions = info["versions"].as_array().expect("a list");
    let told: Vec<Value> = versions.iter().map(|it| it["since"].clone()).collect();
    assert_eq!(json!(told), json!(since));
    assert_eq!(info["version"], json!(since.len()));
    assert_eq!(versions.last().expect("some")["code"], info["code"]);

    // The newest version swaps what the first one meant.
    let shown = cluster.ok(&["tx", "show", &acted.text("id")]).out;
    let meant = json!({"giver": 1, "taker": 2});
    assert_eq!(shown["call"]["arguments"], meant);
    assert_eq!(shown["receipt"]["events"][0]["fields"], meant);
    assert_eq!(shown["receipt"]["value"], json!({"first": 1, "second": 2}));
    let shown = cluster.ok(&["tx", "show", &refused.text("id")]).out;
    assert_eq!(shown["receipt"]["error"], json!("closed"));
    let act_now = cluster.ok(&[&act[..], &["--taker", "1", "--giver", "2"]].concat());
    assert_eq!(act_now.out["value"], json!({"second": 1, "first": 2}));
    assert_eq!(
        act_now.out["events"][0]["fields"],
        json!({"taker": 1, "giver": 2})
    );
}
