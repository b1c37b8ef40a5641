//! Validators that lost or rolled back what they had promised, and two with one key: none of them
//! may vote, all of them say so.

use std::fs;
use std::path::Path;

use chancery_tests::cluster::Cluster;
use chancery_tests::command::eventually;
use chancery_tests::founding::{configure, free_tcp, free_udp};
use chancery_tests::intact::{History, assert_ledger_intact};
use chancery_tests::load::Load;
use chancery_tests::process::{Launch, copy_home};

const VICTIM: usize = 3;
/// How a node ends that will not start.
const REFUSED: i32 = 1;
/// How one ends whose key is not safe to use.
const UNSAFE_KEY: i32 = 7;
const OTHERS: [usize; 3] = [0, 1, 2];
const VOTE_LOG: [&str; 2] = ["votes.a", "votes.b"];

fn is_in_quarantine(cluster: &Cluster) -> bool {
    let status = cluster.run_at(VICTIM, &["status"]);
    status.out.to_string().contains("quarantine")
}

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
    load.expect_more("the others go on", 20, 80);
    cluster.ready(&[VICTIM]);
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn with_an_empty_disk_it_watches_in_silence_until_it_can_harm_nobody() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 40);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    cluster.kill(VICTIM);
    let home = cluster.home(VICTIM);
    for name in [&["ledger.redb"], &VOTE_LOG[..]].concat() {
        fs::remove_file(home.join(name)).expect("the disk is lost");
    }
    cluster.restart(VICTIM);
    eventually("it says that it is in quarantine", 20, || {
        is_in_quarantine(&cluster)
    });
    assert!(cluster.log(VICTIM).contains("quarantine"));
    let through = || {
        let status = cluster.get(VICTIM, "/v1/status");
        status["mode"]["slots_through"].as_u64()
    };
    eventually("it knows how far its votes may have gone", 20, || {
        through().is_some()
    });
    let through = through().expect("a height");
    eventually("the ledger is past that", 60, || {
        cluster.final_height(VICTIM) > through
    });
    history.note(&load.finish());
    // It has all blocks, those of before and those of now.
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);

    // Where it may vote no view is yet. It counts once one is: with the primary gone there is no
    // quorum without it.
    let _ = cluster.ok(&["keys", "new", "specialist"]);
    let primary = cluster.primary();
    cluster.kill(primary);
    history.note_command(&cluster.grant(&contract, "specialist"));
    assert!(!is_in_quarantine(&cluster), "it votes again");
    cluster.restart(primary);
    cluster.ready(&[primary]);
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn with_half_a_vote_log_it_does_not_start() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 40);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    cluster.kill(VICTIM);
    let home = cluster.home(VICTIM);
    let kept = cluster.path().join("kept");
    copy_home(&home, &kept);
    // One of the two may be empty: without the other one all is lost, and not half of it.
    let bytes = |name: &&str| fs::metadata(home.join(name)).map_or(0, |file| file.len());
    let lost = VOTE_LOG.into_iter().min_by_key(bytes).expect("two files");
    fs::remove_file(home.join(lost)).expect("a vote log");
    cluster.launch(VICTIM, &Launch::plain());
    assert_eq!(cluster.ends(VICTIM, 20), Some(REFUSED), "{lost}");
    let log = cluster.log(VICTIM);
    let said = log.lines().last().unwrap_or_default();
    assert!(said.contains(lost) && said.contains("missing"), "{said}");
    assert!(!home.join(lost).exists(), "a start makes no vote log");
    fs::copy(kept.join(lost), home.join(lost)).expect("it is brought back");
    // With both it takes part again.
    cluster.restart(VICTIM);
    cluster.ready(&[VICTIM]);
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

/// What it forgot is most often certified before it takes part again, so that nothing is lost with
/// it; else it is quarantined. Either way it contradicts nobody.
#[test]
fn with_an_old_vote_log_it_contradicts_nobody() {
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
    load.expect_more("the others go on", 30, 100);
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
    for index in OTHERS {
        let evidence = cluster.get(index, "/v1/evidence");
        assert_eq!(evidence["evidence"], serde_json::json!([]), "{evidence}");
    }
}

/// Gives a copied home ports of its own.
fn move_ports(home: &Path) {
    configure(home, |config| {
        config.p2p.listen = free_udp().local_addr().expect("an address");
        config.api.listen = free_tcp().local_addr().expect("an address");
    });
}

#[test]
fn two_processes_with_one_key_both_stop_and_say_so() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    // The first one dials all others, wherever it runs; the last one is only dialled, so that nobody
    // would ever talk to its copy.
    let victim = 0;
    cluster.stop(victim);
    let twin = cluster.path().join("twin");
    copy_home(&cluster.home(victim), &twin);
    move_ports(&twin);
    let load = Load::start(&cluster, &contract, "hospital", 40);
    cluster.restart(victim);
    cluster.ready(&[victim]);
    let mut second = Launch::plain().spawn(&twin);
    let ended = second.ends(60);
    assert_eq!(ended.code(), Some(UNSAFE_KEY), "the second one");
    assert_eq!(cluster.ends(victim, 60), Some(UNSAFE_KEY), "the first");
    let said = fs::read_to_string(twin.join("node.log")).expect("its words");
    for said in [said, cluster.log(victim)] {
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains("key"), "it says why it stops: {last}");
    }
    load.expect_more("the others go on", 20, 50);
    // One of the two alone may go on, with the votes that it remembers.
    cluster.restart(victim);
    history.note(&load.finish());
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}
