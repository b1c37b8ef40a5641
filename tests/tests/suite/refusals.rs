//! Bad input: each kind has a name of its own, loses nothing, and leaves the network running.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_client::KeyStore;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Call, ChainId, ContractId, Fuel, Millis, SecretKey, Transaction};
use chancery_tests::cluster::Cluster;
use chancery_tests::command::{chancery, eventually, grant_until};
use parity_scale_codec::Encode as _;
use serde_json::json;

fn submit(cluster: &Cluster, bytes: &[u8]) -> (u16, String) {
    let body = json!({ "transaction": BASE64.encode(bytes) }).to_string();
    let (status, answer) = cluster.post(0, "/v1/transactions", &body);
    (
        status,
        answer["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    )
}

#[test]
fn every_bad_transaction_is_refused_by_its_own_name() {
    let cluster = Cluster::start(4);
    let contract: ContractId = cluster
        .deploy_data_access("hospital")
        .parse()
        .expect("an address");
    let chain: ChainId = cluster.description()["chain_id"]
        .as_str()
        .expect("text")
        .parse()
        .expect("a chain id");
    let keys = KeyStore::new(Path::new(&cluster.dir()).join("keys"));
    let hospital = keys.load("hospital").expect("made by the deployment");
    let now = chancery_client::clock().0;
    let good = |key: &SecretKey, salt| Transaction {
        chain,
        sender: key.account(),
        salt,
        valid_until: Millis(now + 60_000),
        fuel_max: Fuel(10_000_000),
        call: Call::Invoke {
            contract,
            method: "revoke_access".to_owned(),
            args: hospital.account().encode(),
        },
    };
    let stranger = SecretKey::from_seed(&[99; 32]);
    let sign = |transaction: Transaction| transaction.sign(&hospital).encode();

    let mut wrong_signature: SignedTransaction = good(&hospital, 1).sign(&hospital);
    wrong_signature.signature.0[3] ^= 1;
    let mut trailing = sign(good(&hospital, 2));
    trailing.push(0);
    let oversized = Call::Invoke {
        contract,
        method: "x".repeat(65),
        args: Vec::new(),
    };
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("wrong_signature", wrong_signature.encode()),
        (
            "unknown_account",
            good(&stranger, 3).sign(&stranger).encode(),
        ),
        (
            "expired",
            sign(Transaction {
                valid_until: Millis(now - 60_000),
                ..good(&hospital, 4)
            }),
        ),
        (
            "valid_for_too_long",
            sign(Transaction {
                valid_until: Millis(now + 10_000_000_000),
                ..good(&hospital, 5)
            }),
        ),
        (
            "wrong_chain",
            sign(Transaction {
                chain: ChainId([7; 32]),
                ..good(&hospital, 6)
            }),
        ),
        ("malformed_transaction", b"not a transaction".to_vec()),
        ("malformed_transaction", trailing),
        ("malformed_transaction", vec![0xff; 1000]),
        (
            "too_large",
            sign(Transaction {
                call: oversized,
                ..good(&hospital, 7)
            }),
        ),
        ("too_large", vec![0; 600_000]),
        (
            "too_much_fuel",
            sign(Transaction {
                fuel_max: Fuel(u64::MAX),
                ..good(&hospital, 8)
            }),
        ),
    ];
    for (code, bytes) in table {
        let (status, given) = submit(&cluster, &bytes);
        assert_eq!(given, code);
        assert!((400..500).contains(&status), "{code}: HTTP {status}");
    }

    // Taken once, executed once.
    let bytes = sign(good(&hospital, 9));
    assert_eq!(submit(&cluster, &bytes).0, 202);
    let id = good(&hospital, 9).id().to_string();
    eventually("it is final", 10, || {
        cluster.run(&["tx", "show", &id]).out["state"] == "final"
    });
    assert_eq!(
        submit(&cluster, &bytes),
        (409, "repeated_transaction".to_owned())
    );
}

#[test]
fn what_a_contract_or_its_caller_does_wrong_is_a_receipt_or_a_named_refusal() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let _ = cluster.ok(&["keys", "new", "specialist"]);
    let grant = |from: &'static str, expires: &'static str| {
        cluster.run(&grant_until(&contract, from, "specialist", expires))
    };
    let reverted = grant("specialist", "+1h");
    assert_eq!(
        (reverted.code, reverted.out["status"].as_str()),
        (3, Some("reverted"))
    );
    assert!(
        reverted.out.to_string().to_lowercase().contains("owner"),
        "{reverted:?}"
    );
    let past = grant("hospital", "2020-01-01T00:00:00Z");
    assert_eq!(past.code, 3, "{past:?}");

    // Unknown methods and contracts, arguments that are none: the command line knows before it
    // asks, the ledger knows by itself.
    let nowhere = "ab".repeat(32);
    assert_eq!(
        cluster
            .run(&["call", &nowhere, "grant_access", "--from", "hospital"])
            .error_code(),
        "unknown_contract"
    );
    assert_eq!(
        cluster
            .run(&["call", &contract, "steal", "--from", "hospital"])
            .error_code(),
        "unknown_method"
    );
    let bad = [
        "call",
        &contract,
        "revoke_access",
        "--from",
        "hospital",
        "--recipient",
        "nobody",
    ];
    assert_eq!(cluster.run(&bad).code, 2);
    let (status, answer) = cluster.post(
        1,
        "/v1/query",
        &json!({ "contract": contract, "method": "can_read", "args": "AAAA" }).to_string(),
    );
    assert_eq!(
        (status, answer["kind"].as_str()),
        (200, Some("bad_arguments")),
        "{answer}"
    );

    // Modules: refused before they are sent, and by every node that is sent one.
    for (name, rule, text) in [
        (
            "float",
            "float",
            r#"(module (memory (export "memory") 1) (func (export "call.x") (drop (f32.const 1))))"#,
        ),
        (
            "import",
            "no function",
            r#"(module (import "env" "f" (func)) (memory (export "memory") 1))"#,
        ),
    ] {
        let path = cluster.path().join(format!("{name}.wasm"));
        let wasm = wat::parse_str(text).expect("valid text");
        std::fs::write(&path, &wasm).expect("a file");
        let file = path.display().to_string();
        let refused = cluster.run(&["contract", "deploy", &file, "--from", "hospital"]);
        assert_eq!(refused.error_code(), "module_refused", "{refused:?}");
        assert!(refused.err.to_lowercase().contains(rule), "{refused:?}");
        assert_eq!(chancery(&["contract", "check", &file]).code, 2);
    }

    // An endless loop costs its sender all its fuel and nobody anything else.
    let endless = r#"(module (memory (export "memory") 1)
        (func (export "call.spin") (loop br 0)))"#;
    let path = cluster.path().join("endless.wasm");
    std::fs::write(&path, wat::parse_str(endless).expect("valid text")).expect("a file");
    let file = path.display().to_string();
    let deployed = cluster.ok(&["contract", "deploy", &file, "--from", "hospital"]);
    let spin = cluster.run(&[
        "call",
        &deployed.text("contract"),
        "spin",
        "--from",
        "hospital",
    ]);
    assert_eq!(spin.code, 4, "{spin:?}");
    assert!(spin.out.to_string().contains("out_of_fuel"), "{spin:?}");

    let after = grant("hospital", "+1h");
    assert_eq!(after.code, 0, "the network goes on: {after:?}");
}
