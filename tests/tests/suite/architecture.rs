//! The table of who may import whom, and of what must never be seen where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use chancery_tests::command::repository;
use serde_json::Value;

/// Our crates that each of our crates may depend on, outside of its tests.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("chancery-ledger", &[]),
    ("chancery-schema", &["chancery-ledger"]),
    ("chancery-contract", &["chancery-contract-macros"]),
    ("chancery-contract-macros", &[]),
    ("chancery-consensus", &["chancery-ledger"]),
    (
        "chancery-runtime",
        &["chancery-ledger", "chancery-schema", "chancery-contract"],
    ),
    ("chancery-genesis", &["chancery-ledger"]),
    ("chancery-client", &["chancery-ledger", "chancery-schema"]),
    ("chancery-project", &[]),
    ("data-access", &["chancery-contract"]),
    ("health-consent", &["chancery-contract"]),
    ("provenance", &["chancery-contract"]),
    ("settlement", &["chancery-contract"]),
    ("chancery-model", &[]),
];

/// Packages that a crate must not reach, even through others.
const NEVER_REACHES: &[(&str, &[&str])] = &[
    (
        "chancery-ledger",
        &["tokio", "redb", "wasmtime", "quinn", "axum", "getrandom"],
    ),
    (
        "chancery-schema",
        &["tokio", "redb", "wasmtime", "quinn", "axum", "getrandom"],
    ),
    (
        "chancery-contract",
        &["tokio", "redb", "wasmtime", "quinn", "axum", "getrandom"],
    ),
    (
        "chancery-consensus",
        &["tokio", "redb", "wasmtime", "quinn", "axum", "getrandom"],
    ),
    ("chancery-runtime", &["tokio", "redb", "quinn", "axum"]),
    (
        "chancery-genesis",
        &["tokio", "redb", "wasmtime", "quinn", "axum"],
    ),
    ("chancery-client", &["redb", "wasmtime", "quinn", "axum"]),
    (
        "chancery-project",
        &["tokio", "redb", "wasmtime", "quinn", "axum"],
    ),
];

/// Words that stand only in these places of the sources.
const NAMED_ONLY_IN: &[(&str, &[&str])] = &[
    ("redb::", &["node/src/store"]),
    ("wasmtime::", &["contracts/runtime/src"]),
    ("quinn::", &["node/src/network"]),
    (
        "unsafe {",
        &[
            "contracts/runtime/src/engine/precompiled.rs",
            "sdk/contract/src/wasm.rs",
        ],
    ),
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// Package id -> (name, ids of normal dependencies).
fn graph(metadata: &Value) -> BTreeMap<String, (String, Vec<String>)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .map(|p| (text(&p["id"]), text(&p["name"])))
        .collect();
    list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let normal = |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|k| k["kind"].is_null());
            let deps = list(&node["deps"]);
            let deps = deps
                .iter()
                .filter(normal)
                .map(|dep| text(&dep["pkg"]))
                .collect();
            let id = text(&node["id"]);
            (id.clone(), (names[&id].clone(), deps))
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn id_of(graph: &BTreeMap<String, (String, Vec<String>)>, name: &str) -> String {
    let found = graph.iter().find(|(_, (n, _))| n == name);
    found
        .unwrap_or_else(|| panic!("no package {name}"))
        .0
        .clone()
}

#[test]
fn each_crate_imports_only_what_the_table_allows() {
    let metadata = metadata();
    let graph = graph(&metadata);
    let ours: Vec<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in MAY_IMPORT {
        for dep in &graph[&id_of(&graph, name)].1 {
            let dep = graph[dep].0.as_str();
            let is_ours = ours.contains(&dep) || dep.starts_with("chancery-");
            assert!(
                !is_ours || allowed.contains(&dep),
                "{name} may not import {dep}"
            );
        }
    }
}

#[test]
fn no_pure_crate_reaches_io() {
    let metadata = metadata();
    let graph = graph(&metadata);
    for (name, forbidden) in NEVER_REACHES {
        let mut seen = std::collections::BTreeSet::new();
        let mut open = vec![id_of(&graph, name)];
        while let Some(id) = open.pop() {
            let (reached, deps) = &graph[&id];
            assert!(
                !forbidden.contains(&reached.as_str()),
                "{name} reaches {reached}"
            );
            open.extend(
                deps.iter()
                    .filter(|dep| seen.insert((*dep).clone()))
                    .cloned(),
            );
        }
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_engine_is_named_in_one_place_only() {
    let root = repository();
    let mut found = Vec::new();
    for dir in ["sdk", "consensus", "contracts", "genesis", "node"] {
        sources(&root.join(dir), &mut found);
    }
    assert!(found.len() > 50, "the sources were found");
    for path in found {
        let relative = path
            .strip_prefix(&root)
            .expect("below it")
            .display()
            .to_string();
        let text = std::fs::read_to_string(&path).expect("a readable source");
        for (word, places) in NAMED_ONLY_IN {
            let allowed = places.iter().any(|place| relative.starts_with(place));
            assert!(allowed || !text.contains(word), "{relative} names {word}");
        }
    }
}

#[test]
fn votes_are_signed_in_one_file_only() {
    let mut found = Vec::new();
    sources(&repository().join("consensus/src"), &mut found);
    for path in found {
        let text = std::fs::read_to_string(&path).expect("a readable source");
        // What a file does in its own tests is not production.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let signs = code.contains(".sign(");
        assert!(
            !signs || path.ends_with("safety.rs"),
            "{} signs",
            path.display()
        );
    }
}
