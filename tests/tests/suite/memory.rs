//! Validators that lost or rolled back what is on their disk, and two with one key: who cannot know
//! what it promised does not start, and one who contradicts itself harms nobody else's ledger.

use std::fs;
use std::path::Path;

use chancery_node::config::NodeConfig;
use chancery_tests::cluster::Cluster;
use chancery_tests::command::eventually;
use chancery_tests::founding::{free_tcp, free_udp};
use chancery_tests::intact::{History, assert_ledger_intact};
use chancery_tests::load::Load;
use chancery_tests::process::{Launch, copy_home};

const VICTIM: usize = 3;
const OTHERS: [usize; 3] = [0, 1, 2];
const VOTE_LOG: [&str; 2] = ["votes.a", "votes.b"];
/// How a node ends that will not start.
const REFUSED: i32 = 1;

#[test]
fn a_lost_ledger_is_fetched_again() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 40);
    eventually("grants are final", 20, || load.acknowledged() >= 100);
    cluster.kill(VICTIM);
    fs::remove_file(cluster.home(VICTIM).join("ledger.redb")).expect("a ledger");
    cluster.restart(VICTIM);
    let before = load.acknowledged();
    eventually("the others go on", 20, || {
        load.acknowledged() >= before + 80
    });
    cluster.ready(&[VICTIM]);
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn without_its_vote_log_a_validator_does_not_start() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 40);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    cluster.kill(VICTIM);
    let home = cluster.home(VICTIM);
    let kept = cluster.path().join("kept");
    copy_home(&home, &kept);
    for lost in [&VOTE_LOG[..], &["votes.a"], &["votes.b"]] {
        for name in lost {
            fs::remove_file(home.join(name)).expect("a vote log");
        }
        cluster.launch(VICTIM, &Launch::plain());
        assert_eq!(cluster.ends(VICTIM, 20), Some(REFUSED), "{lost:?}");
        let log = cluster.log(VICTIM);
        let said = log.lines().last().unwrap_or_default();
        assert!(said.contains("votes.") && said.contains("missing"), "{said}");
        for name in lost {
            assert!(!home.join(name).exists(), "a start makes no vote log");
            fs::copy(kept.join(name), home.join(name)).expect("it is brought back");
        }
    }
    let before = load.acknowledged();
    eventually("the others go on", 20, || {
        load.acknowledged() >= before + 50
    });
    // With its log it takes part again.
    cluster.restart(VICTIM);
    cluster.ready(&[VICTIM]);
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn an_old_vote_log_harms_no_ledger() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let home = cluster.home(VICTIM);
    cluster.stop(VICTIM);
    let old = cluster.path().join("backup");
    copy_home(&home, &old);
    cluster.restart(VICTIM);
    cluster.ready(&[VICTIM]);
    let load = Load::start(&cluster, &contract, "hospital", 40);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    cluster.kill(VICTIM);
    for name in VOTE_LOG {
        fs::copy(old.join(name), home.join(name)).expect("the backup is restored");
    }
    cluster.restart(VICTIM);
    let before = load.acknowledged();
    eventually("the others go on", 30, || {
        load.acknowledged() >= before + 100
    });
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &OTHERS, &mut history);
}

/// Gives a copied home ports of its own.
fn move_ports(home: &Path) {
    let path = home.join("node.toml");
    let text = fs::read_to_string(&path).expect("a configuration");
    let mut config = NodeConfig::parse(&text).expect("a configuration");
    config.p2p.listen = free_udp().local_addr().expect("an address");
    config.api.listen = free_tcp().local_addr().expect("an address");
    fs::write(&path, config.to_toml()).expect("a file");
}

#[test]
fn two_processes_with_one_key_harm_no_ledger() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    // The primary, because it dials all others, wherever it runs; the last validator is only
    // dialled, so that nobody would ever talk to its copy.
    let victim = cluster.primary();
    cluster.stop(victim);
    let twin = cluster.path().join("twin");
    copy_home(&cluster.home(victim), &twin);
    move_ports(&twin);
    cluster.restart(victim);
    cluster.ready(&cluster.all());
    let load = Load::start(&cluster, &contract, "hospital", 40);
    eventually("grants are final", 30, || load.acknowledged() >= 50);
    let mut second = Launch::plain().spawn(&twin);
    let before = load.acknowledged();
    eventually("the ledger goes on, whatever the two say", 60, || {
        load.acknowledged() >= before + 200
    });
    second.kill();
    cluster.kill(victim);
    history.note(&load.finish());
    let others: Vec<usize> = cluster
        .all()
        .into_iter()
        .filter(|index| *index != victim)
        .collect();
    assert_ledger_intact(&cluster, &others, &mut history);
}
