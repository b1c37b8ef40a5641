//! Validators that are killed, paused, stopped and started again.

use chancery_tests::cluster::{Cluster, chancery, eventually};
use rustix::process::Signal;
use serde_json::Value;

fn grant<'a>(contract: &'a str, recipient: &'a str) -> Vec<&'a str> {
    vec![
        "call",
        contract,
        "grant_access",
        "--from",
        "hospital",
        "--recipient",
        recipient,
        "--expires-at",
        "+48h",
    ]
}

fn height(cluster: &Cluster, index: usize) -> u64 {
    let ran = cluster.run_at(index, &["block", "show", "latest"]);
    ran.out["height"].as_u64().unwrap_or(0)
}

/// The primary of view 0 is the first validator.
const BACKUPS: [usize; 3] = [1, 2, 3];

#[test]
fn a_killed_backup_changes_nothing_for_users() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let _ = cluster.ok(&["keys", "new", "specialist"]);
    cluster.signal(BACKUPS[2], Signal::KILL);
    for _ in 0..5 {
        let _ = cluster.ok(&grant(&contract, "specialist"));
    }
    assert_eq!(
        chancery(&["devnet", "stop", "--dir", &cluster.dir()]).code,
        0
    );

    // Started again, all four go on from what they had; the one that missed blocks fetches them.
    cluster.up(4);
    let _ = cluster.ok(&grant(&contract, "specialist"));
    let reached = height(&cluster, 0);
    eventually("the killed one has all blocks", 20, || {
        height(&cluster, BACKUPS[2]) >= reached
    });
    let at = reached.to_string();
    let hashes: Vec<Value> = (0..4)
        .map(|index| cluster.run_at(index, &["block", "show", &at]).out["hash"].clone())
        .collect();
    assert!(
        hashes
            .iter()
            .all(|hash| hash == &hashes[0] && hash.is_string()),
        "{hashes:?}"
    );
}

#[test]
fn with_two_of_four_paused_writes_wait_and_one_continued_resumes_them() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let _ = cluster.ok(&["keys", "new", "specialist"]);
    for index in [2, 3] {
        cluster.signal(index, Signal::STOP);
    }
    let waiting = cluster.run(&[grant(&contract, "specialist"), vec!["--timeout", "4s"]].concat());
    assert_eq!(waiting.code, 5, "{waiting:?}");
    let error = waiting.error().to_string();
    for part in ["validator-3", "validator-4", "may still become final"] {
        assert!(error.contains(part), "the error says {part}: {error}");
    }
    let id = waiting.error()["id"].as_str().expect("the id").to_owned();

    cluster.signal(2, Signal::CONT);
    eventually("the waiting transaction becomes final", 20, || {
        cluster.run(&["tx", "show", &id]).out["state"] == "final"
    });
    let _ = cluster.ok(&grant(&contract, "specialist"));
    cluster.signal(3, Signal::CONT);
    let reached = height(&cluster, 0);
    eventually("the other one follows", 20, || {
        height(&cluster, 3) >= reached
    });
}

#[test]
fn killed_all_at_once_they_resume_with_everything_acknowledged() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let _ = cluster.ok(&["keys", "new", "specialist"]);
    let mut acknowledged = Vec::new();
    for _ in 0..3 {
        acknowledged.push(cluster.ok(&grant(&contract, "specialist")).text("id"));
    }
    for index in 0..4 {
        cluster.signal(index, Signal::KILL);
    }
    cluster.up(4);
    for id in &acknowledged {
        for index in 0..4 {
            eventually(
                "everything acknowledged is there, on every validator",
                20,
                || cluster.run_at(index, &["tx", "show", id]).out["state"] == "final",
            );
        }
    }
    let _ = cluster.ok(&grant(&contract, "specialist"));
}
