//! A consortium that makes its own homes and exchanges cards, with no devnet anywhere.

use std::process::{Child, Command, Stdio};

use chancery_tests::cluster::Cluster;
use chancery_tests::command::{binary, chancery, contract, eventually};
use chancery_tests::founding::{free_tcp, free_udp};

struct Nodes(Vec<Child>);

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_p2p() -> String {
    let address = free_udp().local_addr();
    address.expect("an address").to_string()
}

fn free_api() -> String {
    let address = free_tcp().local_addr();
    address.expect("an address").to_string()
}

#[test]
fn four_homes_and_their_cards_make_a_ledger() {
    let place = Cluster::prepare();
    let path = |name: &str| place.path().join(name).display().to_string();
    let keys = path("chancery-home");
    let run = |args: &[&str]| {
        let output = Command::new(binary())
            .args(args)
            .arg("--json")
            .env("CHANCERY_HOME", &keys)
            .output()
            .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {error}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };

    // Each member makes its own home and publishes its card.
    let members = ["north-bank", "st-mary", "harbour", "auditors"];
    let apis: Vec<String> = members.iter().map(|_| free_api()).collect();
    let mut genesis_args = vec!["genesis".to_owned(), "new".to_owned()];
    for (member, api) in members.iter().zip(&apis) {
        let (home, address) = (path(member), free_p2p());
        let _ = run(&[
            "node",
            "init",
            "--home",
            &home,
            "--name",
            member,
            "--address",
            &address,
            "--api",
            api,
        ]);
        genesis_args.extend(["--member".to_owned(), format!("{home}/member.toml")]);
    }
    // One of them holds the registrar's key; the document is put together from the cards.
    let registrar = run(&["keys", "new", "registrar"])["account"]
        .as_str()
        .expect("a DID")
        .to_owned();
    let genesis = path("genesis.toml");
    genesis_args.extend(["--registrar", &registrar, "--out", &genesis].map(str::to_owned));
    let _ = run(&genesis_args.iter().map(String::as_str).collect::<Vec<_>>());
    let _ = run(&["genesis", "check", &genesis]);
    let chain = run(&["genesis", "hash", &genesis]);

    let mut nodes = Nodes(Vec::new());
    for member in members {
        let home = path(member);
        std::fs::copy(&genesis, format!("{home}/genesis.toml")).expect("a copy");
        let child = Command::new(binary())
            .args(["node", "--home", &home])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        nodes.0.push(child.expect("the node starts"));
    }
    let api = format!("http://{}", apis[1]);
    eventually("the consortium is ready", 30, || {
        let status = chancery(&["status", "--api", &api]);
        status.code == 0
            && status
                .out
                .to_string()
                .contains(chain["chain_id"].as_str().unwrap_or("?"))
    });

    // The registrar admits a hospital, which deploys and grants through another member's node.
    let wasm = contract("data_access").display().to_string();
    let _ = run(&["keys", "new", "hospital"]);
    let hospital = run(&["keys", "show", "hospital"])["account"]
        .as_str()
        .expect("a DID")
        .to_owned();
    let _ = run(&[
        "account",
        "admit",
        &hospital,
        "--role",
        "deployer",
        "--from",
        "registrar",
        "--api",
        &api,
    ]);
    let record = format!("@{genesis}");
    let deployed = run(&[
        "contract",
        "deploy",
        &wasm,
        "--from",
        "hospital",
        "--init-arg",
        &record,
        "--api",
        &api,
    ]);
    assert_eq!(deployed["status"], "applied");
}
