//! Networks that are slow, lose datagrams, or fall apart, by the proxy between the validators.

use std::time::Duration;

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
        history.take_proofs(&cluster);
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
    let before = load.acknowledged();
    eventually("the others go on", 60, || {
        load.acknowledged() >= before + 200
    });
    let missing = cluster.height(0) - cluster.height(3);
    assert!(missing > 0, "the one who is alone has no new blocks");
    cluster.proxy().heal();
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}
