//! A primary that fails is replaced, and nobody's transaction pays for it.

use std::time::{Duration, Instant};

use chancery_tests::cluster::Cluster;
use chancery_tests::command::eventually;
use chancery_tests::intact::{History, assert_ledger_intact};
use chancery_tests::load::Load;
use rustix::process::Signal;

/// The timeout after which backups give their first primary up, as validators have it by default.
const BASE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the primary is killed.
const ROUNDS: usize = 5;

#[test]
fn a_killed_primary_costs_two_seconds_and_no_acknowledged_transaction() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 50);
    eventually("grants are final", 20, || load.acknowledged() >= 100);
    let mut gaps = Vec::new();
    for round in 1..=ROUNDS {
        let primary = cluster.primary();
        let moment = Instant::now();
        cluster.kill(primary);
        let what = "a transaction of after the kill is final";
        gaps.push(load.expect_final_after(what, 20, moment));
        cluster.restart(primary);
        cluster.ready(&[primary]);
        cluster.level(&cluster.all());
        load.expect_more("all four go on", 20, 50);
        assert!(
            cluster.view(primary) >= Some(round as u64),
            "a view each round"
        );
    }
    eventually("a thousand grants are final", 60, || {
        load.acknowledged() >= 1_000
    });
    history.note(&load.finish());
    let count = history.count();
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);

    gaps.sort_unstable();
    let median = gaps[gaps.len() / 2];
    println!(
        "measured: kill -9 of the primary to the next final transaction: median {} ms of {:?} ms; \
         {count} transactions over {ROUNDS} view changes, none lost, none twice",
        median.as_millis(),
        gaps.iter().map(Duration::as_millis).collect::<Vec<_>>(),
    );
    assert!(median < 2 * BASE_TIMEOUT, "{median:?}");
}

#[test]
fn a_paused_primary_is_replaced_and_follows_when_it_wakes() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 50);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    let primary = cluster.primary();
    cluster.signal(primary, Signal::STOP);
    let moment = Instant::now();
    load.expect_final_after("the others go on", 30, moment);
    cluster.signal(primary, Signal::CONT);
    history.note(&load.finish());
    // With no transaction under way any more.
    eventually("it is in the new view", 15, || {
        cluster.view(primary) >= Some(1)
    });
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn seven_validators_survive_two_primaries_killed_in_a_row() {
    let cluster = Cluster::start(7);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 40);
    eventually("grants are final", 20, || load.acknowledged() >= 40);
    // The one who would follow is dead already when the first one dies.
    let first = cluster.primary();
    let second = (first + 1) % 7;
    cluster.kill(second);
    cluster.kill(first);
    let moment = Instant::now();
    load.expect_final_after("the five others go on", 30, moment);
    for index in [first, second] {
        cluster.restart(index);
    }
    cluster.ready(&[first, second]);
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}
