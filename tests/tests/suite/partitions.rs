//! Networks that are slow, lose datagrams, or fall apart, by the proxy between the validators.

use std::time::{Duration, Instant};

use chancery_tests::cluster::Cluster;
use chancery_tests::command::eventually;
use chancery_tests::intact::{History, assert_ledger_intact};
use chancery_tests::load::Load;
use chancery_tests::proxy::Link;

#[test]
fn delay_and_loss_cost_time_and_nothing_else() {
    let cluster = Cluster::start_proxied(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    for link in [
        Link::slow(Duration::from_millis(50)),
        Link::lossy(50),
        Link {
            delay: Duration::from_millis(20),
            loss_permille: 20,
        },
    ] {
        cluster.proxy().set_all(link);
        let load = Load::start(&cluster, &contract, "hospital", 40);
        eventually("grants are final", 60, || load.acknowledged() >= 80);
        history.note(&load.finish());
        history.take_proofs(&cluster, 0);
    }
    cluster.proxy().heal();
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn a_backup_that_was_cut_off_gets_what_it_missed() {
    let cluster = Cluster::start_proxied(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 50);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    cluster.proxy().isolate(3);
    load.expect_more("the others go on", 60, 200);
    let missing = cluster.height(0) - cluster.height(3);
    assert!(missing > 0, "the one who is alone has no new blocks");
    cluster.proxy().heal();
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn a_primary_that_was_cut_off_learns_the_new_view_without_traffic() {
    let cluster = Cluster::start_proxied(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let primary = cluster.primary();
    let load = Load::start(&cluster, &contract, "hospital", 50);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    cluster.proxy().isolate(primary);
    let moment = Instant::now();
    load.expect_final_after("the others go on under a new primary", 20, moment);
    // Those who ask the one who is alone are led on by their own patience.
    history.note(&load.finish());
    let others: Vec<usize> = cluster
        .all()
        .into_iter()
        .filter(|i| *i != primary)
        .collect();
    assert_ledger_intact(&cluster, &others, &mut history);
    cluster.proxy().heal();
    eventually("it is in the others' view", 20, || {
        cluster.view(primary).is_some() && cluster.view(primary) == cluster.view(others[0])
    });
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn a_primary_that_hears_and_is_not_heard_is_replaced() {
    let cluster = Cluster::start_proxied(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let primary = cluster.primary();
    let load = Load::start(&cluster, &contract, "hospital", 50);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    for other in cluster.all() {
        cluster.proxy().set(primary, other, Link::CUT);
    }
    let moment = Instant::now();
    load.expect_final_after("the others go on under a new primary", 30, moment);
    cluster.proxy().heal();
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn two_halves_stand_still_and_go_on_when_they_meet() {
    let cluster = Cluster::start_proxied(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 50);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    cluster.proxy().partition(&[&[0, 1], &[2, 3]]);
    // What was on its way may still arrive.
    std::thread::sleep(Duration::from_secs(1));
    let heights: Vec<u64> = (0..4).map(|index| cluster.final_height(index)).collect();
    std::thread::sleep(Duration::from_secs(5));
    for (index, height) in heights.iter().enumerate() {
        assert_eq!(cluster.final_height(index), *height, "no half is a quorum");
    }
    cluster.proxy().heal();
    let moment = Instant::now();
    let waited = load.expect_final_after("the ledger goes on", 30, moment);
    println!(
        "measured: healed halves to the next final transaction: {} ms",
        waited.as_millis()
    );
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}
