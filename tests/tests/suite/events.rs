//! Following events while validators are killed: each once, in order, and provable.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use chancery_tests::cluster::Cluster;
use chancery_tests::command::{binary, chancery, eventually};
use chancery_tests::load::Load;
use serde_json::Value;

/// A process that follows events, and what it has written so far.
pub(crate) struct Follower {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    reader: JoinHandle<()>,
}

impl Follower {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["events", "--follow", "--json"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stdout, write) = (child.stdout.take(), Arc::clone(&lines));
        let stdout = BufReader::new(stdout.expect("a pipe"));
        let reader = std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.expect("text");
                let event = serde_json::from_str(&line).expect("one object a line");
                let mut lines = write.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(event);
            }
        });
        Self {
            child,
            lines,
            reader,
        }
    }

    fn seen(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }

    pub(crate) fn has(&self, cursor: &str) -> bool {
        self.seen()
            .last()
            .is_some_and(|event| event["cursor"] == cursor)
    }

    pub(crate) fn stop(mut self) -> Vec<Value> {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is reaped");
        self.reader.join().expect("no panic");
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }

    /// Waits until it ends by itself: what it wrote, its exit code, and the error it told.
    fn ends(mut self) -> (Vec<Value>, Option<i32>, Value) {
        let mut said = String::new();
        let stderr = self.child.stderr.as_mut().expect("a pipe");
        stderr.read_to_string(&mut said).expect("text");
        let code = self.child.wait().expect("it is reaped").code();
        self.reader.join().expect("no panic");
        let said: Value = serde_json::from_str(&said).expect("an error in JSON");
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (lines.clone(), code, said["error"].clone())
    }
}

/// The events of every transaction of every final block, as one validator has them, with nothing
/// of the index used: transaction, topic and data.
fn scanned(cluster: &Cluster, index: usize, through: u64) -> Vec<(Value, Value, Value)> {
    let mut all = Vec::new();
    for height in 1..=through {
        let block = cluster.get(index, &format!("/v1/blocks/{height}"));
        for id in block["transactions"].as_array().expect("a list") {
            let id = id.as_str().expect("text");
            let transaction = cluster.get(index, &format!("/v1/transactions/{id}"));
            for event in transaction["receipt"]["events"].as_array().expect("a list") {
                let (topic, data) = (event["topic"].clone(), event["data"].clone());
                all.push((transaction["id"].clone(), topic, data));
            }
        }
    }
    all
}

#[test]
fn events_are_followed_over_a_killed_validator_each_once_and_proven() {
    let cluster = Cluster::start(4);
    let contract = cluster.deploy_data_access("hospital");
    // Following a contract begins with asking for it.
    cluster.level(&cluster.all());
    let load = Load::start(&cluster, &contract, "hospital", 25);
    // The one who is killed is not the primary: that would be a test of view changes.
    let victim = (cluster.primary() + 1) % 4;
    let other = (victim + 1) % 4;
    let (there, here) = (cluster.api(victim), cluster.api(other));
    let of = ["--contract", contract.as_str(), "--event", "Granted"];
    let first = Follower::start(&[&of[..], &["--api", &there, "--timeout", "1s"]].concat());
    let both = format!("{there},{here}");
    let whole = Follower::start(&[&of[..], &["--api", &both]].concat());
    eventually("events come", 20, || {
        first.seen().len() >= 20 && whole.seen().len() >= 20
    });
    cluster.kill(victim);

    // It says where to go on, and somebody else does.
    let (before, code, error) = first.ends();
    assert_eq!(
        (code, &error["code"]),
        (Some(1), &Value::from("no_node")),
        "{error}"
    );
    let last = before.last().expect("some")["cursor"].clone();
    let from = error["from"].as_str().expect("a cursor").to_owned();
    let second = Follower::start(&[&of[..], &["--api", &here, "--from", &from]].concat());
    let enough = before.len() + 20;
    eventually("events come again", 20, || {
        second.seen().len() + before.len() >= enough
    });
    let acknowledged = load.finish();
    let alive: Vec<usize> = (0..4).filter(|index| *index != victim).collect();
    cluster.level(&alive);

    let listed = chancery_lines(&[&["events", "--api", &cluster.api(other)], &of[..]].concat());
    let newest = listed.last().expect("some")["cursor"].clone();
    let newest = newest.as_str().expect("text");
    eventually("both have the newest", 10, || {
        second.has(newest) && whole.has(newest)
    });
    let union = [before, second.stop()].concat();
    assert_eq!(union, listed, "cut behind {last}");
    assert_eq!(whole.stop(), listed);
    assert_eq!(listed.len(), acknowledged.len(), "an event for each grant");
    let told = |event: &Value| {
        let fields = ["transaction", "topic", "data"].map(|field| event[field].clone());
        let [transaction, topic, data] = fields;
        (transaction, topic, data)
    };
    let listed_as_told: Vec<_> = listed.iter().map(told).collect();
    let final_height = cluster.final_height(other);
    assert_eq!(listed_as_told, scanned(&cluster, other, final_height));

    // Who was killed shows the same, once it is back.
    cluster.restart(victim);
    cluster.ready(&[victim]);
    cluster.level(&[victim, other]);
    let again = chancery_lines(&[&["events", "--api", &cluster.api(victim)], &of[..]].concat());
    assert_eq!(again, listed);

    prove(&cluster, &listed[listed.len() / 2]);
}

/// The events that a command lists, one object a line.
pub(crate) fn chancery_lines(args: &[&str]) -> Vec<Value> {
    let output = Command::new(binary()).args(args).arg("--json").output();
    let output = output.expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().map(serde_json::from_str);
    lines.map(|line| line.expect("one object a line")).collect()
}

/// An event is part of the receipt that the proof of its transaction proves.
fn prove(cluster: &Cluster, event: &Value) {
    let transaction = event["transaction"].as_str().expect("an id");
    let file = cluster.path().join("event.proof").display().to_string();
    let _ = cluster.ok(&["proof", "tx", transaction, "--out", &file]);
    let verified = chancery(&["verify", &file, "--trust", &cluster.policy()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let claim = &verified.out["claim"];
    let at = event["event_index"].as_u64().expect("a number");
    let claimed = &claim["events"][usize::try_from(at).expect("small")];
    for field in ["contract", "topic"] {
        assert_eq!(claimed[field], event[field]);
    }
    let data = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        event["data"].as_str().expect("text"),
    );
    assert_eq!(claimed["data"], hex::encode(data.expect("base64")));
    assert_eq!(claim["height"], event["height"]);
    assert_eq!(claim["sender"], event["sender"]);
    let recipient = &event["fields"]["recipient"];
    assert!(
        recipient
            .as_str()
            .is_some_and(|did| did.starts_with("did:key:")),
        "{event}"
    );
}
