//! A validator that comes late and takes over the state instead of executing what it missed.

use chancery_tests::cluster::Cluster;
use chancery_tests::command::{chancery, eventually};
use chancery_tests::founding::{Founding, configure};
use chancery_tests::intact::{History, assert_ledger_intact};
use chancery_tests::load::Load;
use serde_json::Value;

/// The validator that comes late.
const LATE: usize = 3;

/// What block is where, as one validator says.
fn block(cluster: &Cluster, index: usize, height: u64) -> Value {
    cluster.get(index, &format!("/v1/blocks/{height}"))
}

/// Grants, asks the late validator for the proof, and verifies it with nobody's help.
fn prove_at_the_late_one(cluster: &Cluster, contract: &str, history: &mut History) {
    let granted = cluster.grant(contract, "specialist");
    history.note_command(&granted);
    let (id, height) = (granted.text("id"), granted.out["height"].as_u64());
    let height = height.expect("a height");
    eventually("it is final at the late one", 30, || {
        cluster.final_height(LATE) >= height
    });
    let path = cluster
        .path()
        .join(format!("late-{height}.proof"))
        .display()
        .to_string();
    let taken = cluster.run_at(LATE, &["proof", "tx", &id, "--out", &path]);
    assert_eq!(taken.code, 0, "{taken:?}");
    let verified = chancery(&["verify", &path, "--trust", &cluster.policy()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let (here, there) = (block(cluster, LATE, height), block(cluster, 0, height));
    assert_eq!(here["hash"], there["hash"]);
    assert_eq!(here["state_root"], there["state_root"]);
}

#[test]
fn a_validator_joins_by_a_snapshot_under_load_and_says_what_it_lacks() {
    let cluster = Cluster::found(&Founding::of(4));
    let early = [0, 1, 2];
    early.iter().for_each(|index| cluster.restart(*index));
    cluster.ready(&early);
    let contract = cluster.deploy_data_access("hospital");
    configure(&cluster.home(LATE), |config| {
        config.catch_up.snapshot_after_blocks = 20;
    });

    let _ = cluster.ok(&["keys", "new", "specialist"]);
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 60);
    eventually("blocks are made", 60, || cluster.height(0) >= 100);
    cluster.restart(LATE);
    eventually("it joins", 60, || {
        cluster.log(LATE).contains("joined by a snapshot")
    });
    eventually("it is at the others' height", 60, || {
        cluster.height(LATE) + 20 > cluster.height(0)
    });
    history.note(&load.finish());
    prove_at_the_late_one(&cluster, &contract, &mut history);

    // What it has not, it says.
    let absent = block(&cluster, LATE, 5);
    assert_eq!(absent["error"]["code"], "before_snapshot", "{absent}");
    let said = absent["error"]["message"].to_string();
    assert!(said.contains("joined by a snapshot at height"), "{said}");

    // It counts: with another one gone, its vote is needed.
    cluster.kill(LATE);
    cluster.restart(LATE);
    cluster.ready(&[LATE]);
    cluster.stop(2);
    prove_at_the_late_one(&cluster, &contract, &mut history);
    cluster.restart(2);
    assert_ledger_intact(&cluster, &early, &mut history);
}
