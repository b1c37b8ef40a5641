//! One validator's process: how it is started, told, and how it ended.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::command::binary;

/// How a validator is started.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// A program that runs the node's command line, with its arguments.
    wrapper: Vec<String>,
    env: Vec<(String, String)>,
    /// The node is the wrapper's child, not the wrapper itself.
    is_child: bool,
}

impl Launch {
    /// As an operator starts it.
    #[must_use]
    pub fn plain() -> Self {
        Self::default()
    }

    /// Under strace with these arguments, its output in `trace`.
    #[must_use]
    pub fn traced(args: &[&str], trace: &Path) -> Self {
        let trace = trace.display().to_string();
        let wrapper = [&["strace", "-f", "-o", &trace], args].concat();
        Self {
            wrapper: wrapper.into_iter().map(str::to_owned).collect(),
            env: Vec::new(),
            is_child: true,
        }
    }

    /// With no file growing beyond so many KiB: a full disk for whoever may not mount one. Writing
    /// further fails with EFBIG.
    #[must_use]
    pub fn with_files_at_most(kib: u64) -> Self {
        let script = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;
        // The unit of bash's `ulimit -f` is 1,024 bytes.
        let wrapper = ["bash", "-c", script, &kib.to_string()].map(str::to_owned);
        Self {
            wrapper: wrapper.to_vec(),
            ..Self::default()
        }
    }

    /// With its words going to a full disk.
    #[must_use]
    pub fn without_log() -> Self {
        let wrapper = ["bash", "-c", r#"exec "$@" >/dev/full 2>&1"#, "bash"].map(str::to_owned);
        Self {
            wrapper: wrapper.to_vec(),
            ..Self::default()
        }
    }

    /// With a filter of log lines.
    #[must_use]
    pub fn with_log(mut self, filter: &str) -> Self {
        self.env
            .push(("CHANCERY_LOG".to_owned(), filter.to_owned()));
        self
    }

    /// Starts the validator of `home`; its words go to the end of `HOME/node.log`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn spawn(&self, home: &Path) -> Process {
        let log = home.join("node.log");
        let log = OpenOptions::new().create(true).append(true).open(log);
        let log = log.expect("a log");
        let node = binary();
        let mut command = match self.wrapper.split_first() {
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(node);
                command
            }
            None => Command::new(node),
        };
        let child = command
            .args(["node", "--home"])
            .arg(home)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} starts: {error}", self.wrapper));
        let own = pid_of(child.id());
        let pid = if self.is_child {
            only_child(own)
        } else {
            Some(own)
        };
        Process { child, pid }
    }
}

/// A validator's process that this test started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The node itself, where it is known.
    pid: Option<Pid>,
}

impl Process {
    /// The node's process.
    ///
    /// # Panics
    /// If it ended before it was seen.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid.expect("the node ran")
    }

    /// How it ended, if it did.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it does not within `seconds`.
    pub fn ends(&mut self, seconds: u64) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "it ends within {seconds} s");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it, and whoever runs it.
    pub fn kill(&mut self) {
        if let Some(pid) = self.pid
            && is_running(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid_of(id: u32) -> Pid {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    id.expect("a process id is a positive number")
}

/// The child of a process that has but one, once it has one.
fn only_child(parent: Pid) -> Option<Pid> {
    let parent = parent.as_raw_nonzero();
    let path = format!("/proc/{parent}/task/{parent}/children");
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        // strace forks before the node is there: its child is the node only after the exec.
        let children = std::fs::read_to_string(&path).unwrap_or_default();
        let child = children.split_whitespace().next();
        if let Some(child) = child.and_then(|pid| pid.parse().ok())
            && std::fs::read(format!("/proc/{child}/comm")).is_ok_and(|name| name == b"chancery\n")
        {
            return Pid::from_raw(child);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Whether a process is there and not only waiting to be reaped.
#[must_use]
pub fn is_running(pid: Pid) -> bool {
    let of_process = format!("/proc/{}", pid.as_raw_nonzero());
    // "PID (NAME) STATE …", and the name may hold anything.
    let stat = std::fs::read_to_string(format!("{of_process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    match state {
        None | Some('X') => false,
        // Its first thread has ended; the files are open until the others have, too.
        Some('Z') => {
            std::fs::read_dir(format!("{of_process}/task")).is_ok_and(|threads| threads.count() > 1)
        }
        Some(_) => true,
    }
}

/// Copies a home whose validator does not run, all but its log lines.
///
/// # Panics
/// If it cannot be read or written.
pub fn copy_home(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    let mode = std::fs::metadata(from).expect("a directory").permissions();
    std::fs::set_permissions(to, mode).expect("a mode");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let copy = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_home(&path, &copy);
        } else if !path.ends_with("node.log") {
            std::fs::copy(&path, &copy).expect("a copy");
        }
    }
}
