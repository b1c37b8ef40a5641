//! What a contract stores, what it does not, and all that it ever granted, proven with the network
//! gone.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_tests::cluster::Cluster;
use chancery_tests::command::{Ran, chancery, contract};
use serde_json::{Value, json};

/// A file of the test's own.
fn path(cluster: &Cluster, name: &str) -> String {
    cluster.path().join(name).display().to_string()
}

fn verify(cluster: &Cluster, file: &str) -> Ran {
    chancery(&["verify", file, "--trust", &cluster.policy()])
}

/// The file, changed, as a file of its own.
fn forged(cluster: &Cluster, proof: &str, change: impl FnOnce(&mut Value)) -> String {
    let text = std::fs::read_to_string(proof).expect("the proof");
    let mut file: Value = serde_json::from_str(&text).expect("it is JSON");
    change(&mut file);
    let forged = path(cluster, "forged.proof");
    std::fs::write(&forged, file.to_string()).expect("a file");
    forged
}

/// What a claim says, changed, in a file whose entries stay as they are, or change with it.
fn is_refused(cluster: &Cluster, proof: &str, what: &str, change: impl FnOnce(&mut Value)) {
    let ran = verify(cluster, &forged(cluster, proof, change));
    assert_eq!(ran.code, 6, "{what}: {ran:?}");
    assert_eq!(ran.error_code(), "proof_invalid", "{what}");
}

/// The places in a file's lists of the entry with that storage key.
fn place(file: &Value, key: &str) -> usize {
    let entries = file["claim"]["entries"].as_array().expect("a list");
    let found = entries
        .iter()
        .position(|entry| entry["place"]["key"] == json!(hex::encode(key)));
    found.unwrap_or_else(|| panic!("no {key} in {file}"))
}

fn entry_key(number: u64) -> String {
    // Eight bytes, little endian, which are ASCII for small numbers.
    let number = String::from_utf8(number.to_le_bytes().to_vec()).expect("small");
    format!("access/entry/{number}")
}

#[test]
fn the_whole_access_index_is_proven_with_the_network_gone() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    for name in ["specialist", "insurer", "stranger"] {
        let _ = cluster.ok(&["keys", "new", name]);
    }
    let none = path(&cluster, "none.proof");
    let _ = cluster.ok(&["proof", "access", &contract, "--out", &none]);

    for name in ["specialist", "insurer", "stranger"] {
        let _ = cluster.grant(&contract, name);
    }
    let _ = cluster.ok(&[
        "call",
        &contract,
        "revoke_access",
        "--from",
        "hospital",
        "--recipient",
        "insurer",
    ]);
    let (proof, part) = (path(&cluster, "all.proof"), path(&cluster, "part.proof"));
    let made = cluster.ok(&["proof", "access", &contract, "--out", &proof]);
    // That is for `verify` to say.
    let index = &made.out["access"][0];
    assert!(index["complete"].is_null() && index["count"] == json!(3));
    let again = cluster.run(&["proof", "access", &contract, "--out", &proof]);
    assert_eq!((again.code, &again.error_code()[..]), (2, "file_exists"));
    let range = ["proof", "access", &contract, "--first", "1", "--last", "1"];
    let _ = cluster.ok(&[&range[..], &["--out", &part]].concat());
    let beyond = [&range[..6], &["3", "--out", "x"]].concat();
    let beyond = cluster.run(&beyond);
    assert_eq!(beyond.error_code(), "no_such_entries", "{beyond:?}");
    let code = cluster.ok(&["contract", "info", &contract]).text("code");
    // What another validator hands out, once it has all that, convinces the same auditor.
    cluster.level(&cluster.all());
    let other = path(&cluster, "other.proof");
    let ran = cluster.run_at(3, &["proof", "access", &contract, "--out", &other]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        chancery(&["devnet", "stop", "--dir", &cluster.dir()]).code,
        0
    );

    for file in [&proof, &other] {
        let verified = verify(&cluster, file);
        assert_eq!(verified.code, 0, "{verified:?}");
        let index = &verified.out["access"][0];
        assert_eq!(index["contract"], json!(contract));
        assert_eq!(index["code"], json!(code));
        assert_eq!(
            (&index["count"], &index["complete"]),
            (&json!(3), &json!(true))
        );
        let entries = index["entries"].as_array().expect("a list");
        assert_eq!(entries.len(), 3);
        for (number, entry) in entries.iter().enumerate() {
            assert_eq!(entry["number"], json!(number));
            assert!(
                entry["subject"]
                    .as_str()
                    .is_some_and(|it| it.starts_with("did:key:"))
            );
            assert_eq!(entry["revoked_at_ms"].is_null(), number != 1, "{entry}");
        }
    }
    let words = words(&cluster, &proof);
    assert!(
        words.contains("complete: entries 0 to 2 of 3") && words.contains(&code),
        "{words}"
    );
    let verified = verify(&cluster, &part);
    assert_eq!(verified.out["access"][0]["complete"], json!(false));
    let verified = verify(&cluster, &none);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(verified.out["access"][0]["complete"], json!(false));
    forgeries_are_refused(&cluster, &proof);
}

/// What `verify` tells people.
fn words(cluster: &Cluster, file: &str) -> String {
    let output = std::process::Command::new(chancery_tests::command::binary())
        .args(["verify", file, "--trust", &cluster.policy()])
        .output();
    String::from_utf8(output.expect("the binary starts").stdout).expect("text")
}

fn forgeries_are_refused(cluster: &Cluster, proof: &str) {
    let text = std::fs::read_to_string(proof).expect("the proof");
    let file: Value = serde_json::from_str(&text).expect("it is JSON");
    let (count, revoked) = (place(&file, "access/count"), place(&file, &entry_key(1)));
    let of = |number| file["entries"][number]["value"].clone();
    let remove = |list: &mut Value, number| {
        let _ = list.as_array_mut().expect("a list").remove(number);
    };

    is_refused(cluster, proof, "an entry less", |file| {
        remove(&mut file["entries"], revoked);
    });
    is_refused(cluster, proof, "an entry less in the claim too", |file| {
        remove(&mut file["entries"], revoked);
        remove(&mut file["claim"]["entries"], revoked);
    });
    is_refused(cluster, proof, "another value", |file| {
        file["entries"][revoked]["value"] = of(place(file, &entry_key(0)));
    });
    is_refused(cluster, proof, "a value claimed", |file| {
        let other = place(file, &entry_key(0));
        file["claim"]["entries"][revoked]["value"] =
            file["claim"]["entries"][other]["value"].clone();
    });
    is_refused(cluster, proof, "not revoked", |file| {
        // The last field: an option, 1 and eight bytes, or 0.
        let claimed = &mut file["claim"]["entries"][revoked]["value"];
        let value = claimed.as_str().expect("hexadecimal").to_owned();
        let flipped = format!("{}00", &value[..value.len() - 18]);
        *claimed = json!(flipped);
        file["entries"][revoked]["value"] = json!(base64(&flipped));
    });
    is_refused(cluster, proof, "a lower count", |file| {
        let lower = "0200000000000000";
        file["claim"]["entries"][count]["value"] = json!(lower);
        file["entries"][count]["value"] = json!(base64(lower));
    });
    is_refused(cluster, proof, "no count", |file| {
        is_absent(file, count);
    });

    // Who takes an entry out everywhere has a proof of what is left, which does not call itself whole.
    let less = forged(cluster, proof, |file| {
        remove(&mut file["entries"], revoked);
        remove(&mut file["claim"]["entries"], revoked);
        let words = file["claim"]["words"].as_str().expect("words");
        file["claim"]["words"] = json!(words.replace("has 5", "has 4"));
    });
    let verified = verify(cluster, &less);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(verified.out["access"][0]["complete"], json!(false));
    let told = words(cluster, &less);
    assert!(
        told.contains("NOT complete: the file shows 2 of 3 entries: 0, 2"),
        "{told}"
    );
}

/// Says that nothing stands there.
fn is_absent(file: &mut Value, entry: usize) {
    let remove = |entry: &mut Value| {
        let _ = entry.as_object_mut().expect("an object").remove("value");
    };
    remove(&mut file["entries"][entry]);
    remove(&mut file["claim"]["entries"][entry]);
}

/// Base64 of what is given in hexadecimal.
fn base64(digits: &str) -> String {
    STANDARD.encode(hex::decode(digits).expect("hexadecimal"))
}

#[test]
fn an_entry_and_its_absence_are_proven_and_a_wrong_question_is_told() {
    let cluster = Cluster::start(4);
    for name in ["gs1", "maker"] {
        let _ = cluster.ok(&["keys", "new", name]);
    }
    let deploy = |name: &str, more: &[&str]| {
        let wasm = contract(name).display().to_string();
        let deploy = ["contract", "deploy", &wasm, "--from", "gs1"];
        cluster.ok(&[&deploy[..], more].concat()).text("contract")
    };
    let goods = deploy("provenance", &[]);
    let maker = ["--company-prefix", "4012345"];
    let call = |method: &str, from: &str, more: &[&str]| {
        let call = ["call", &goods, method, "--from", from];
        let _ = cluster.ok(&[&call[..], &maker, more].concat());
    };
    call("register_manufacturer", "gs1", &["--manufacturer", "maker"]);
    let (genuine, counterfeit) = ("4a".repeat(32), "49".repeat(32));
    let event = "ee".repeat(32);
    call(
        "commission",
        "maker",
        &["--item", &genuine, "--event", &event],
    );
    // As contracts/provenance/README.md tells it.
    let key = |item: &str| format!("1c{}{item}", hex::encode(b"4012345"));
    let file = path(&cluster, "items.proof");
    let made = cluster.ok(&[
        "proof",
        "entry",
        &goods,
        "--map",
        "item/",
        &key(&genuine),
        "--map",
        "item/",
        &key(&counterfeit),
        "--item",
        "owner",
        "--key",
        &hex::encode(b"nothing"),
        "--out",
        &file,
    ]);
    let entries = made.out["claim"]["entries"].as_array().expect("a list");
    let there: Vec<bool> = entries.iter().map(|it| !it["value"].is_null()).collect();
    // The contract itself; then keys, items and entries of maps.
    assert_eq!(there, [true, false, true, true, false], "{made:?}");

    let refused = |args: &[&str], code: i32, name: &str| {
        let out = path(&cluster, "refused.proof");
        let ran = cluster.run(&[&["proof"], args, &["--out", &out]].concat());
        assert_eq!((ran.code, &ran.error_code()[..]), (code, name), "{ran:?}");
        assert!(!Path::new(&out).exists(), "nothing is left behind");
    };
    let unknown = "00".repeat(32);
    refused(
        &["entry", &unknown, "--item", "owner"],
        2,
        "unknown_contract",
    );
    refused(&["access", &unknown], 2, "unknown_contract");
    refused(&["access", &goods], 2, "not_enumerable");
    refused(&["entry", &goods], 2, "usage");
    refused(&["entry", &goods, "--key", "xyz"], 2, "usage");
    let twice = ["entry", &goods, "--item", "owner", "--item", "owner"];
    refused(&twice, 2, "bad_request");

    let policy = cluster.policy();
    assert_eq!(
        chancery(&["devnet", "stop", "--dir", &cluster.dir()]).code,
        0
    );
    let verified = chancery(&["verify", &file, "--trust", &policy]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let told = words(&cluster, &file);
    let absent = format!(
        "contract {goods} stores nothing under {}{}",
        hex::encode(b"item/"),
        key(&counterfeit)
    );
    assert!(told.contains(&absent), "{told}");
    assert!(
        told.contains(&format!("contract {goods} runs version 1")),
        "{told}"
    );
    is_refused(&cluster, &file, "it was there", |file| {
        file["claim"]["entries"][4]["value"] = json!("00");
        file["entries"][4]["value"] = json!("AA==");
    });
    is_refused(&cluster, &file, "it was never there", |file| {
        is_absent(file, 3);
    });
}
