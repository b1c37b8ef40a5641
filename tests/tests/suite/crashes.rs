//! Validators that are killed, paused, stopped and started again, with clients at work.

use chancery_tests::cluster::Cluster;
use chancery_tests::command::{chancery, eventually, grant};
use chancery_tests::intact::{History, assert_ledger_intact};
use chancery_tests::load::Load;
use rustix::process::Signal;

/// The primary of view 0 is the first validator.
const BACKUPS: [usize; 3] = [1, 2, 3];

#[test]
fn a_killed_backup_changes_nothing_for_users() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let load = Load::start(&cluster, &contract, "hospital", 50);
    eventually("grants are final", 20, || load.acknowledged() >= 50);
    for victim in [BACKUPS[2], BACKUPS[0]] {
        cluster.kill(victim);
        load.expect_more("the others go on", 30, 50);
        cluster.restart(victim);
        // The next one is killed only when this one counts again: with two away nothing moves.
        cluster.ready(&[victim]);
        cluster.level(&[victim]);
        cluster.meshed();
    }
    history.note(&load.finish());
    history.take_proofs(&cluster, 0);
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
    for index in cluster.all() {
        assert_eq!(cluster.view(index), Some(0), "nobody doubted the primary");
    }

    // Stopped and resumed by the command line, all four go on from what they had.
    let stopped = chancery(&["devnet", "stop", "--dir", &cluster.dir()]);
    assert_eq!(stopped.code, 0);
    cluster.up(4);
    let _ = cluster.ok(&["keys", "new", "specialist"]);
    history.note_command(&cluster.grant(&contract, "specialist"));
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn with_two_of_four_paused_writes_wait_and_one_continued_resumes_them() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let _ = cluster.ok(&["keys", "new", "specialist"]);
    for index in [2, 3] {
        cluster.signal(index, Signal::STOP);
    }
    let mut command = grant(&contract, "hospital", "specialist").to_vec();
    command.extend(["--timeout", "4s"]);
    let waiting = cluster.run(&command);
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
    let mut history = History::default();
    history.note_command(&cluster.grant(&contract, "specialist"));
    cluster.signal(3, Signal::CONT);
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

/// All validators die at one moment with transactions under way, and come back one by one.
fn all_die_and_return(orders: &[[usize; 4]]) {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    for order in orders {
        let load = Load::start(&cluster, &contract, "hospital", 100);
        eventually("grants are final", 20, || load.acknowledged() >= 100);
        for index in cluster.all() {
            cluster.signal(index, Signal::KILL);
        }
        for index in cluster.all() {
            cluster.gone(index);
        }
        for index in order {
            cluster.restart(*index);
        }
        cluster.ready(order);
        let (acknowledged, failed) = load.finish_whatever_failed();
        println!(
            "{order:?}: {} acknowledged, {} had nobody to go to",
            acknowledged.len(),
            failed.len()
        );
        history.note(&acknowledged);
        assert_ledger_intact(&cluster, &cluster.all(), &mut history);
    }
    let _ = cluster.ok(&["keys", "new", "specialist"]);
    history.note_command(&cluster.grant(&contract, "specialist"));
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

#[test]
fn killed_all_at_once_they_resume_in_any_order_with_everything_acknowledged() {
    all_die_and_return(&[[0, 1, 2, 3], [3, 2, 1, 0]]);
}
