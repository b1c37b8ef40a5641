//! A contract gets new code from those who were chosen at its deployment, through the command line,
//! and every validator runs it.

use std::path::Path;

use chancery_tests::cluster::Cluster;
use chancery_tests::command::{Ran, chancery, eventually};
use serde_json::{Value, json};

const IMPORTS: &str = r#"
    (import "chancery" "input" (func $input (param i32 i32) (result i32)))
    (import "chancery" "storage_get" (func $storage_get (param i32 i32 i32 i32) (result i32)))
    (import "chancery" "storage_set" (func $storage_set (param i32 i32 i32 i32)))
    (import "chancery" "return_value" (func $return (param i32 i32)))
    (memory (export "memory") 1)"#;

const TOLD: &str =
    r#"{"name":"told","kind":"view","returns":"string","docs":"What it says of itself."}"#;

/// The first code says `one`; the second what its migrate was given.
fn module(directory: &Path, name: &str, body: &str, methods: &str) -> String {
    let schema = format!(r#"{{"name":"Sign","methods":[{methods}]}}"#).replace('"', "\\22");
    let wat = format!(r#"(module {IMPORTS} {body} (@custom "chancery.schema" "{schema}"))"#);
    let path = directory.join(name);
    let wasm = wat::parse_str(wat).expect("well-formed");
    std::fs::write(&path, wasm).expect("a file");
    path.display().to_string()
}

fn first(directory: &Path) -> String {
    let body = r#"(data (i32.const 0) "\0cone")
        (func (export "view.told") (call $return (i32.const 0) (i32.const 4)))"#;
    module(directory, "first.wasm", body, TOLD)
}

fn second(directory: &Path) -> String {
    let body = r#"(data (i32.const 0) "word")
        (func (export "migrate")
            (call $storage_set (i32.const 0) (i32.const 4)
                (i32.const 64) (call $input (i32.const 64) (i32.const 64))))
        (func (export "view.told") (call $return (i32.const 64)
            (call $storage_get (i32.const 0) (i32.const 4) (i32.const 64) (i32.const 64))))"#;
    let migrate = r#"{"name":"migrate","kind":"migrate","args":[{"name":"word","type":"string"}]}"#;
    module(directory, "second.wasm", body, &format!("{TOLD},{migrate}"))
}

fn refused(ran: &Ran, code: i32, name: &str, part: &str) {
    assert_eq!(
        (ran.code, ran.error_code().as_str()),
        (code, name),
        "{ran:?}"
    );
    assert!(ran.err.contains(part), "it says {part}: {ran:?}");
}

#[test]
fn two_of_three_give_a_contract_new_code() {
    let cluster = Cluster::start(4);
    for name in ["alice", "bob", "carol", "mallory"] {
        let _ = cluster.ok(&["keys", "new", name]);
    }
    let (first, second) = (first(cluster.path()), second(cluster.path()));
    let by = [
        "--upgrade-by",
        "alice",
        "--upgrade-by",
        "bob",
        "--upgrade-by",
        "carol",
    ];
    let deploy = [
        &["contract", "deploy", &first, "--from", "mallory"][..],
        &by,
    ]
    .concat();
    refused(
        &cluster.run(&deploy),
        2,
        "wrong_upgraders",
        "--upgrade-quorum",
    );
    let too_many = [&deploy[..], &["--upgrade-quorum", "4"]].concat();
    refused(&cluster.run(&too_many), 2, "wrong_upgraders", "4 of 3");
    let deploy = [&deploy[..], &["--upgrade-quorum", "2"]].concat();
    let contract = cluster.ok(&deploy).text("contract");

    let info = cluster.ok(&["contract", "info", &contract]).out;
    assert_eq!(
        (&info["version"], &info["upgraders"]["quorum"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(info["approvals"], json!([]));
    let told = |index| {
        let ran = cluster.run_at(index, &["query", &contract, "told"]);
        (
            ran.out["value"].clone(),
            ran.out["contract_version"].clone(),
        )
    };
    assert_eq!(told(0), (json!("one"), json!(1)));

    let upgrade = |from: &'static str, word: &'static str| {
        [
            "contract", "upgrade", &contract, &second, "--from", from, "--word", word,
        ]
    };
    refused(
        &cluster.run(&upgrade("mallory", "two")),
        2,
        "may_not_upgrade",
        "mallory",
    );
    refused(
        &cluster.run(&upgrade("alice", "two")),
        2,
        "not_approved",
        "bob",
    );
    let anyway = [&upgrade("alice", "two")[..], &["--unchecked"]].concat();
    refused(&cluster.run(&anyway), 4, "trapped", "not_approved");
    let approve = |more: &[&str]| {
        let approve = ["contract", "approve-upgrade", &contract, "--from", "bob"];
        cluster.ok(&[&approve[..], more].concat())
    };
    let _ = approve(&[&second, "--word", "two"]);
    let info = cluster.ok(&["contract", "info", &contract]).out;
    assert_eq!(info["approvals"].as_array().map(Vec::len), Some(1));
    refused(
        &cluster.run(&upgrade("alice", "other")),
        2,
        "not_approved",
        "bob",
    );
    let _ = approve(&["--withdraw"]);
    refused(
        &cluster.run(&upgrade("alice", "two")),
        2,
        "not_approved",
        "bob",
    );
    let _ = approve(&[&second, "--word", "two"]);
    let done = cluster.ok(&upgrade("alice", "two"));
    assert_eq!(done.out["replaced_version"], json!(1));

    for index in 0..4 {
        eventually("every node runs the new code", 5, || {
            told(index) == (json!("two"), json!(2))
        });
    }
    let info = cluster.ok(&["contract", "info", &contract]).out;
    assert_eq!(
        (&info["version"], &info["approvals"]),
        (&json!(2), &json!([]))
    );
    assert_eq!(info["code"], done.out["code_hash"]);
    // What was approved is void.
    refused(
        &cluster.run(&upgrade("carol", "two")),
        2,
        "not_approved",
        "bob",
    );

    let shown = cluster.ok(&["tx", "show", &done.text("id")]).out;
    assert_eq!(shown["call"]["kind"], json!("upgrade"));
    assert_eq!(shown["call"]["arguments"], json!({"word": "two"}));
    let proof = cluster.path().join("upgrade.proof").display().to_string();
    let _ = cluster.ok(&["proof", "tx", &done.text("id"), "--out", &proof]);
    let verified = chancery(&["verify", &proof, "--trust", &cluster.policy()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let words = format!("upgrade version 1 of contract {contract} to code ");
    assert!(verified.out.to_string().contains(&words), "{verified:?}");
    hardly_meant(&cluster, &first);
    old_code_stays_provable(&cluster, &contract, [&first, &second]);
}

/// What the ledger would do, but is a mistake nearly always.
fn hardly_meant(cluster: &Cluster, first: &str) {
    let deploy = ["contract", "deploy", first, "--from", "mallory"];
    let by = ["--upgrade-by", "mallory"];
    let contract = cluster.ok(&[&deploy[..], &by].concat()).text("contract");
    let upgrade = |file: &str, more: &[&str]| {
        let upgrade = ["contract", "upgrade", &contract, file, "--from", "mallory"];
        cluster.run(&[&upgrade[..], more].concat())
    };
    refused(&upgrade(first, &[]), 2, "same_code", &contract);
    let other = chancery_tests::command::contract("provenance");
    let other = other.display().to_string();
    refused(&upgrade(&other, &[]), 2, "other_contract", "Sign");
    let anyway = upgrade(&other, &["--force"]);
    assert_eq!(anyway.code, 0, "{anyway:?}");
}

/// Which code each version ran, since when, and the code itself, with the network gone.
fn old_code_stays_provable(cluster: &Cluster, contract: &str, files: [&str; 2]) {
    let proof = cluster.path().join("versions.proof").display().to_string();
    let versions = ["--code-of", "1", "--code-of", "2", "--code-of", "1"];
    let entry = [
        &["proof", "entry", contract][..],
        &versions,
        &["--out", &proof],
    ]
    .concat();
    let _ = cluster.ok(&entry);
    let unknown = ["proof", "entry", contract, "--code-of", "3", "--out", "x"];
    let unknown = cluster.run(&unknown);
    assert_eq!(
        (unknown.code, &unknown.error_code()[..]),
        (2, "unknown_version")
    );
    let stopped = chancery(&["devnet", "stop", "--dir", &cluster.dir()]);
    assert_eq!(stopped.code, 0, "{stopped:?}");

    let verified = chancery(&["verify", &proof, "--trust", &cluster.policy()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let entries = verified.out["claim"]["entries"].as_array().expect("a list");
    let of_kind = |kind: &str| -> Vec<&Value> {
        let found = entries
            .iter()
            .filter(|it| it["place"]["kind"] == json!(kind));
        found.collect()
    };
    let (versions, codes) = (of_kind("version"), of_kind("code"));
    assert_eq!((versions.len(), codes.len()), (2, 2), "{entries:?}");
    for (index, file) in files.into_iter().enumerate() {
        let code = std::fs::read(file).expect("the module");
        let hash = json!(chancery_ledger::CodeHash::of(&code));
        assert_eq!(versions[index]["place"]["version"], json!(index + 1));
        let words = versions[index]["words"].as_str().expect("text");
        assert!(words.contains(hash.as_str().expect("text")), "{words}");
        assert_eq!(codes[index]["place"]["code"], hash);
        assert!(!codes[index]["value"].is_null(), "it is there");
    }
}
