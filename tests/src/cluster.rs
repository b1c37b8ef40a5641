//! A devnet in a temporary directory: real processes, stopped and removed when dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The repository.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the crate is a folder of the repository")
        .to_owned()
}

/// The `chancery` binary of this build.
///
/// # Panics
/// If it is not built: `scripts/test` builds it first.
#[must_use]
pub fn binary() -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own path");
    let found = exe
        .ancestors()
        .map(|dir| dir.join("chancery"))
        .find(|path| path.is_file());
    found.expect("the chancery binary is built before the suite runs (scripts/test does both)")
}

/// A contract built by `scripts/build-contracts`.
///
/// # Panics
/// If it is not built: `scripts/test` builds it first.
#[must_use]
pub fn contract(name: &str) -> PathBuf {
    let path = repository()
        .join("target/contracts")
        .join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "{} is missing: run scripts/build-contracts",
        path.display()
    );
    path
}

/// What one command line gave.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// The object on stdout (`--json`), null where there is none.
    pub out: Value,
    /// Stderr as text.
    pub err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let code = output.status.code().unwrap_or(-1);
        let out = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        Self {
            code,
            out,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The error object on stderr.
    #[must_use]
    pub fn error(&self) -> Value {
        serde_json::from_str::<Value>(self.err.trim()).map_or(Value::Null, |v| v["error"].clone())
    }

    /// The error's code.
    #[must_use]
    pub fn error_code(&self) -> String {
        self.error()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The text of one field of the object.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn text(&self, field: &str) -> String {
        self.out[field]
            .as_str()
            .unwrap_or_else(|| panic!("no {field} in {self:?}"))
            .to_owned()
    }
}

/// Runs the binary with `--json`.
///
/// # Panics
/// If it cannot be started.
#[must_use]
pub fn chancery(args: &[&str]) -> Ran {
    let output = Command::new(binary())
        .args(args)
        .arg("--json")
        .stdin(Stdio::null())
        .output();
    Ran::of(&output.expect("the binary starts"))
}

/// Clusters run one after the other: several at once on a small machine would only time out.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A devnet of real processes.
#[derive(Debug)]
pub struct Cluster {
    directory: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts `validators` of them and waits until all are ready.
    ///
    /// # Panics
    /// If they do not start.
    #[must_use]
    pub fn start(validators: usize) -> Self {
        let cluster = Self::prepare();
        cluster.up(validators);
        cluster
    }

    /// A place for a cluster, with nothing in it.
    ///
    /// # Panics
    /// If there is no temporary directory.
    #[must_use]
    pub fn prepare() -> Self {
        // A test that failed while it held its turn has no effect on the next one.
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            _turn: turn,
        }
    }

    /// Starts the processes again on what is on disk.
    ///
    /// # Panics
    /// If they do not start.
    pub fn up(&self, validators: usize) {
        let (dir, count) = (self.dir(), validators.to_string());
        let ran = chancery(&[
            "devnet",
            "start",
            "--dir",
            &dir,
            "--validators",
            &count,
            "--detach",
        ]);
        assert_eq!(ran.code, 0, "the devnet starts: {ran:?}");
    }

    /// Where it lives.
    #[must_use]
    pub fn dir(&self) -> String {
        self.path().join("net").display().to_string()
    }

    /// The temporary directory, for files of the test.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `devnet.json`.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn description(&self) -> Value {
        let path = Path::new(&self.dir()).join("devnet.json");
        let text = std::fs::read_to_string(path).expect("a running devnet has its description");
        serde_json::from_str(&text).expect("it is JSON")
    }

    /// One field of one validator in `devnet.json`.
    #[must_use]
    pub fn validator(&self, index: usize, field: &str) -> Value {
        self.description()["validators"][index][field].clone()
    }

    /// Runs the binary on this devnet.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Ran {
        let dir = self.dir();
        chancery(&[args, &["--devnet", &dir]].concat())
    }

    /// Runs the binary on one validator's API.
    #[must_use]
    pub fn run_at(&self, index: usize, args: &[&str]) -> Ran {
        chancery(&[args, &["--api", &self.api(index)]].concat())
    }

    /// The URL of one validator's API.
    ///
    /// # Panics
    /// If `devnet.json` has none.
    #[must_use]
    pub fn api(&self, index: usize) -> String {
        let api = self.validator(index, "api");
        let api = api.as_str().expect("an address");
        if api.starts_with("http") {
            api.to_owned()
        } else {
            format!("http://{api}")
        }
    }

    /// Posts JSON to one validator's API: the HTTP status and the answer.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    pub fn post(&self, index: usize, path: &str, body: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.api(index));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let request = reqwest::Client::new().post(url).body(body.to_owned());
            let request = request.header("content-type", "application/json");
            let answer = request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            let text = answer.text().await.expect("a body");
            (
                status,
                serde_json::from_str(&text).unwrap_or(Value::String(text)),
            )
        })
    }

    /// Runs the binary on this devnet and expects success.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?} succeeds: {ran:?}");
        ran
    }

    /// The process of one validator.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn pid(&self, index: usize) -> Pid {
        let pid = self
            .validator(index, "pid")
            .as_i64()
            .and_then(|pid| i32::try_from(pid).ok());
        Pid::from_raw(pid.expect("a running validator has a pid")).expect("a pid is not zero")
    }

    /// Signals one validator.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, index: usize, signal: Signal) {
        kill_process(self.pid(index), signal).expect("the validator runs");
    }

    /// Deploys the data-access contract as `owner` (made and admitted here) for a record.
    ///
    /// # Panics
    /// If it cannot.
    #[must_use]
    pub fn deploy_data_access(&self, owner: &str) -> String {
        let record = self.path().join("record");
        std::fs::write(&record, b"a record").expect("a file");
        let _ = self.ok(&["keys", "new", owner]);
        let (wasm, record) = (contract("data_access"), format!("@{}", record.display()));
        let wasm = wasm.display().to_string();
        let deploy = [
            "contract",
            "deploy",
            &wasm,
            "--from",
            owner,
            "--init-arg",
            &record,
        ];
        self.ok(&deploy).text("contract")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let description = Path::new(&self.dir()).join("devnet.json").is_file();
        if description {
            // A stopped process does not hear the signal to end.
            for index in 0..self.description()["validators"]
                .as_array()
                .map_or(0, Vec::len)
            {
                if let Some(pid) = self.validator(index, "pid").as_i64() {
                    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                    let _ = pid.map(|pid| kill_process(pid, Signal::CONT));
                }
            }
        }
        let _ = chancery(&["devnet", "stop", "--dir", &self.dir()]);
    }
}

/// Asks until `condition` holds.
///
/// # Panics
/// If it does not within `seconds`.
pub fn eventually(what: &str, seconds: u64, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !condition() {
        assert!(Instant::now() < deadline, "within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
