//! The vote log reaches the disk before each vote leaves, seen from outside by strace.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use chancery_tests::cluster::{Cluster, eventually};

/// One line of a trace, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// A promise was written to the vote log.
    Written,
    /// The vote log was synced.
    Synced,
    /// The process says that it hands a vote to the network.
    Spoken,
}

/// Reads a trace line by line. A call of one thread may be cut in two by those of others.
#[derive(Debug, Default)]
struct Reader {
    /// Threads whose sync of the vote log has begun.
    syncing: BTreeSet<String>,
}

impl Reader {
    fn read(&mut self, line: &str) -> Option<Seen> {
        let thread = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        let is_log = line.contains("votes.");
        if line.contains("pwrite64(") && is_log {
            return Some(Seen::Written);
        }
        if line.contains("write(") && line.contains("handing out a vote") {
            return Some(Seen::Spoken);
        }
        if line.contains("fdatasync(") && is_log && line.contains("<unfinished") {
            self.syncing.insert(thread);
            return None;
        }
        let done = line.contains("fdatasync(") && is_log
            || line.contains("<... fdatasync resumed>") && self.syncing.remove(&thread);
        (done && line.ends_with("= 0")).then_some(Seen::Synced)
    }
}

#[test]
fn every_promise_is_synced_before_a_vote_leaves() {
    let strace = Command::new("strace")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    assert!(
        strace.is_ok(),
        "this test needs strace (.ci/run installs it)"
    );
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let _ = cluster.ok(&["keys", "new", "specialist"]);

    // One validator again, under strace, with the log line that names each vote handed out.
    cluster.signal(3, rustix::process::Signal::KILL);
    let trace = cluster.path().join("trace");
    let home = cluster
        .validator(3, "home")
        .as_str()
        .expect("a path")
        .to_owned();
    let mut traced = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-s",
            "200",
            "-e",
            "trace=pwrite64,fdatasync,write",
            "-o",
        ])
        .arg(&trace)
        .arg(chancery_tests::cluster::binary())
        .args(["node", "--home", &home])
        .env("CHANCERY_LOG", "info,chancery_node::threads=trace")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace starts");
    // The node is strace's only child; its pid is in the first line of the trace.
    eventually("the traced validator takes part", 30, || {
        let grant = [
            "call",
            &contract,
            "grant_access",
            "--from",
            "hospital",
            "--recipient",
            "specialist",
            "--expires-at",
            "+48h",
        ];
        let _ = cluster.ok(&grant);
        count(&trace, &Seen::Spoken) >= 10
    });
    let pid = std::fs::read_to_string(&trace).expect("a trace");
    let pid: i32 = pid
        .split_whitespace()
        .next()
        .and_then(|p| p.parse().ok())
        .expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    let _ = traced.wait();

    let text = std::fs::read_to_string(&trace).expect("a trace");
    let mut unsynced = 0;
    let (mut spoken, mut syncs) = (0, 0);
    let mut reader = Reader::default();
    for line in text.lines() {
        match reader.read(line) {
            Some(Seen::Written) => unsynced += 1,
            Some(Seen::Synced) => {
                unsynced = 0;
                syncs += 1;
            }
            Some(Seen::Spoken) => {
                spoken += 1;
                assert_eq!(
                    unsynced, 0,
                    "a vote left before its promise was synced:\n{line}"
                );
            }
            None => {}
        }
    }
    assert!(
        spoken >= 10 && syncs >= 5,
        "{spoken} votes, {syncs} syncs were seen"
    );
}

fn count(trace: &Path, what: &Seen) -> usize {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    let mut reader = Reader::default();
    text.lines()
        .filter(|line| reader.read(line).as_ref() == Some(what))
        .count()
}
