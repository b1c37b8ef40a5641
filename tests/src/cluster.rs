//! A network of real processes in a temporary directory, stopped and removed when dropped.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::command::{self, Ran, chancery, contract, eventually};
use crate::founding::Founding;
use crate::process::{Launch, Process, is_running};
use crate::proxy::Proxy;

mod observed;

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// How much of each log is shown when a test fails.
const LOG_LINES_SHOWN: usize = 15;

/// Clusters run one after the other: several at once on a small machine would only time out.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A network of real processes. Whoever runs where stands in its `devnet.json`, whether the
/// command line or this harness started it.
#[derive(Debug)]
pub struct Cluster {
    directory: tempfile::TempDir,
    /// Those that the harness started itself.
    processes: RefCell<BTreeMap<usize, Process>>,
    proxy: Option<Proxy>,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
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

    /// The same with a proxy between them.
    ///
    /// # Panics
    /// If they do not start.
    #[must_use]
    pub fn start_proxied(validators: usize) -> Self {
        let cluster = Self::found(&Founding {
            proxied: true,
            ..Founding::of(validators)
        });
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_TIMEOUT)
            .build();
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            processes: RefCell::default(),
            proxy: None,
            runtime: runtime.expect("a runtime"),
            http: http.expect("a client"),
            _turn: turn,
        }
    }

    /// A network that was founded, with nobody running.
    ///
    /// # Panics
    /// If it cannot be founded.
    #[must_use]
    pub fn found(founding: &Founding) -> Self {
        let mut cluster = Self::prepare();
        cluster.proxy = founding.fill(Path::new(&cluster.dir()));
        cluster
    }

    /// Starts all processes, again on what is on disk, and waits until all are ready.
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

    /// What stands between the validators.
    ///
    /// # Panics
    /// If nothing does.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("founded with a proxy")
    }

    fn description_path(&self) -> PathBuf {
        Path::new(&self.dir()).join("devnet.json")
    }

    /// `devnet.json`.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn description(&self) -> Value {
        let text = std::fs::read_to_string(self.description_path());
        serde_json::from_str(&text.expect("a devnet has its description")).expect("it is JSON")
    }

    /// One field of one validator in `devnet.json`.
    #[must_use]
    pub fn validator(&self, index: usize, field: &str) -> Value {
        self.description()["validators"][index][field].clone()
    }

    /// How many validators there are.
    ///
    /// # Panics
    /// If `devnet.json` does not say.
    #[must_use]
    pub fn count(&self) -> usize {
        let description = self.description();
        description["validators"].as_array().expect("a list").len()
    }

    /// The indices of all validators.
    #[must_use]
    pub fn all(&self) -> Vec<usize> {
        (0..self.count()).collect()
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

    /// Grants `recipient` access as `hospital`, for two days.
    ///
    /// # Panics
    /// If it does not become final.
    #[must_use]
    pub fn grant(&self, contract: &str, recipient: &str) -> Ran {
        self.ok(&command::grant(contract, "hospital", recipient))
    }

    /// The URL of one validator's API.
    ///
    /// # Panics
    /// If `devnet.json` has none.
    #[must_use]
    pub fn api(&self, index: usize) -> String {
        let api = self.validator(index, "api");
        api.as_str().expect("an address").to_owned()
    }

    /// Runs something asynchronous to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The home of one validator.
    ///
    /// # Panics
    /// If `devnet.json` has none.
    #[must_use]
    pub fn home(&self, index: usize) -> PathBuf {
        let home = self.validator(index, "home");
        PathBuf::from(home.as_str().expect("a path"))
    }

    /// The process of one validator.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn pid(&self, index: usize) -> Pid {
        let pid = self.validator(index, "pid").as_i64();
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        Pid::from_raw(pid.expect("a running validator has a pid")).expect("a pid is not zero")
    }

    /// Signals one validator.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, index: usize, signal: Signal) {
        kill_process(self.pid(index), signal).expect("the validator runs");
    }

    /// Kills one validator, and returns when it is gone.
    ///
    /// # Panics
    /// If it is gone already.
    pub fn kill(&self, index: usize) {
        self.signal(index, Signal::KILL);
        self.gone(index);
    }

    /// Asks one validator to end, and returns when it is gone.
    ///
    /// # Panics
    /// If it is gone already.
    pub fn stop(&self, index: usize) {
        self.signal(index, Signal::TERM);
        self.gone(index);
    }

    /// Waits until one validator's process is gone.
    ///
    /// # Panics
    /// If it stays.
    pub fn gone(&self, index: usize) {
        let pid = self.pid(index);
        eventually("the process is gone", 20, || !is_running(pid));
        if let Some(mut process) = self.processes.borrow_mut().remove(&index) {
            // It is reaped.
            process.kill();
        }
    }

    /// Starts one validator that does not run.
    pub fn restart(&self, index: usize) {
        self.launch(index, &Launch::plain());
    }

    /// The same, in some special way.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn launch(&self, index: usize, how: &Launch) {
        let process = how.spawn(&self.home(index));
        let mut description = self.description();
        let pid = process.pid().as_raw_nonzero().get();
        description["validators"][index]["pid"] = json!(pid);
        std::fs::write(self.description_path(), description.to_string()).expect("a file");
        self.processes.borrow_mut().insert(index, process);
    }

    /// Waits until one validator, started by [`Cluster::launch`], ends by itself: its exit code,
    /// if it was no signal that ended it.
    ///
    /// # Panics
    /// If it does not end within `seconds`.
    #[must_use]
    pub fn ends(&self, index: usize, seconds: u64) -> Option<i32> {
        let process = self.processes.borrow_mut().remove(&index);
        process
            .expect("started by the harness")
            .ends(seconds)
            .code()
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

    /// The policy that `chancery verify` trusts.
    ///
    /// # Panics
    /// If `devnet.json` has none.
    #[must_use]
    pub fn policy(&self) -> String {
        let policy = self.description()["policy"].clone();
        policy.as_str().expect("a path").to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.description_path().is_file() {
            for index in self.all() {
                // A stopped process does not hear the signal to end.
                let pid = self.validator(index, "pid").as_i64();
                let pid = pid.and_then(|pid| i32::try_from(pid).ok());
                let _ = pid
                    .and_then(Pid::from_raw)
                    .map(|pid| kill_process(pid, Signal::CONT));
                if std::thread::panicking() {
                    let log = self.log(index);
                    let lines: Vec<&str> = log.lines().collect();
                    let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
                    eprintln!("the end of validator {index}'s log:");
                    lines[from..].iter().for_each(|line| eprintln!("  {line}"));
                }
            }
        }
        let _ = chancery(&["devnet", "stop", "--dir", &self.dir()]);
    }
}
