//! The main job: deploy, grant, check, expire, revoke, prove.

use std::time::Duration;

use chancery_tests::cluster::Cluster;
use chancery_tests::command::{chancery, eventually, grant_until};
use serde_json::Value;

fn can_read(cluster: &Cluster, index: usize, contract: &str, who: &str) -> Value {
    let ran = cluster.run_at(index, &["query", contract, "can_read", "--who", who]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for label in ["height", "block_time", "time_used"] {
        assert!(
            !ran.out[label].is_null(),
            "a read is labelled with its {label}: {ran:?}"
        );
    }
    ran.out["value"].clone()
}

fn did(cluster: &Cluster, name: &str) -> String {
    cluster.ok(&["keys", "show", name]).text("account")
}

#[test]
fn a_grant_holds_until_it_expires_on_every_node_and_in_an_ordered_call() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    for name in ["specialist", "stranger"] {
        // A recipient needs no admission.
        assert_eq!(
            cluster
                .run(&["keys", "new", name, "--role", "deployer"])
                .code,
            0
        );
    }
    let (specialist, stranger) = (did(&cluster, "specialist"), did(&cluster, "stranger"));
    let grant = cluster.ok(&grant_until(&contract, "hospital", &specialist, "+8s"));
    assert_eq!(grant.text("status"), "applied");
    let event = &grant.out["events"][0];
    assert!(
        event.to_string().contains(&specialist),
        "the event names the recipient: {event}"
    );
    cluster.level(&cluster.all());
    for index in 0..4 {
        eventually("every node has the block", 5, || {
            can_read(&cluster, index, &contract, &specialist) == Value::Bool(true)
        });
        assert_eq!(
            can_read(&cluster, index, &contract, &stranger),
            Value::Bool(false)
        );
    }
    let ordered = [
        "call",
        &contract,
        "can_read",
        "--from",
        "specialist",
        "--who",
        &specialist,
    ];
    assert_eq!(cluster.ok(&ordered).out["value"], Value::Bool(true));

    std::thread::sleep(Duration::from_secs(9));
    for index in 0..4 {
        assert_eq!(
            can_read(&cluster, index, &contract, &specialist),
            Value::Bool(false)
        );
    }
    assert_eq!(cluster.ok(&ordered).out["value"], Value::Bool(false));
}

#[test]
fn a_revocation_ends_access_and_a_grant_is_proven_with_the_network_gone() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let _ = cluster.ok(&["keys", "new", "specialist"]);
    let grant = cluster.grant(&contract, "specialist");
    let check = ["query", &contract, "can_read", "--who", "specialist"];
    assert_eq!(cluster.ok(&check).out["value"], Value::Bool(true));
    let revoke = [
        "call",
        &contract,
        "revoke_access",
        "--from",
        "hospital",
        "--recipient",
        "specialist",
    ];
    assert_eq!(cluster.ok(&revoke).text("status"), "applied");
    assert_eq!(cluster.ok(&check).out["value"], Value::Bool(false));

    let proof = cluster.path().join("grant.proof").display().to_string();
    let _ = cluster.ok(&["proof", "tx", &grant.text("id"), "--out", &proof]);
    let policy = cluster.policy();
    assert_eq!(
        chancery(&["devnet", "stop", "--dir", &cluster.dir()]).code,
        0
    );

    let verified = chancery(&["verify", &proof, "--trust", &policy]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let claim = verified.out.to_string();
    for part in [&grant.text("id"), &contract, "grant_access", "applied"] {
        assert!(claim.contains(part), "the claim says {part}: {claim}");
    }

    // A proof of another ledger's quorum is worth nothing here, nor is one that was touched.
    let text = std::fs::read_to_string(&proof).expect("the proof");
    let at = text.find("\"receipt\"").expect("a receipt") + 40;
    let mut touched = text.into_bytes();
    touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
    let forged = cluster.path().join("forged.proof");
    std::fs::write(&forged, touched).expect("a file");
    let refused = chancery(&["verify", &forged.display().to_string(), "--trust", &policy]);
    assert_eq!(refused.code, 6, "{refused:?}");
}

#[test]
fn four_processes_each_a_node_of_its_own() {
    let cluster = Cluster::start(4);
    let mut pids: Vec<i32> = (0..4)
        .map(|i| cluster.pid(i).as_raw_nonzero().get())
        .collect();
    for (index, pid) in pids.iter().enumerate() {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        assert!(
            words.contains(&b"node".as_slice()),
            "a chancery node: {words:?}"
        );
        let home = cluster.validator(index, "home");
        let home = home.as_str().expect("a path");
        assert!(
            words.contains(&home.as_bytes()),
            "of its own home: {words:?}"
        );
    }
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 4);
    let status = cluster.ok(&["status"]);
    let shown = status.out.to_string();
    assert!(
        shown.contains("X25519MLKEM768"),
        "the hybrid key exchange is reported: {shown}"
    );
}
