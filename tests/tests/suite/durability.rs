//! The vote log reaches the disk before each vote leaves, seen from outside by strace.

use std::collections::BTreeSet;
use std::path::Path;

use chancery_tests::cluster::Cluster;
use chancery_tests::command::eventually;
use chancery_tests::process::Launch;
use rustix::process::Signal;

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
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    let _ = cluster.ok(&["keys", "new", "specialist"]);

    // One validator again, under strace, with the log line that names each vote handed out.
    cluster.kill(3);
    let trace = cluster.path().join("trace");
    let calls = ["-y", "-s", "200", "-e", "trace=pwrite64,fdatasync,write"];
    let traced = Launch::traced(&calls, &trace).with_log("info,chancery_node::threads=trace");
    cluster.launch(3, &traced);
    eventually("the traced validator takes part", 30, || {
        let _ = cluster.grant(&contract, "specialist");
        count(&trace, &Seen::Spoken) >= 10
    });
    cluster.signal(3, Signal::TERM);
    let _ = cluster.ends(3, 30);

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
