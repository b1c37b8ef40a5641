//! The validators' processes: started, recognised, stopped.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Member;
use crate::cli::CliError;

/// Who has not ended so long after being asked is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(25);
/// How much of a log is shown when a validator does not start.
const TAIL_BYTES: u64 = 4_096;
const TAIL_LINES: usize = 15;

/// What a validator's process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// Stopped by SIGSTOP.
    Paused,
    /// Ended, or never started.
    Gone,
}

impl State {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Gone => "stopped",
        }
    }
}

/// Where a validator's log lines go.
pub(super) fn log_path(home: &Path) -> PathBuf {
    home.join("node.log")
}

/// Starts the validator of a home: this very program, in a process group of its own, so that a
/// terminal's Ctrl-C reaches the parent alone.
pub(super) fn spawn(home: &Path) -> Result<Child, CliError> {
    let failed =
        |what: &str, error: std::io::Error| CliError::failed("io", format!("{what}: {error}"));
    let exe = std::env::current_exe().map_err(|error| failed("this program's path", error))?;
    let path = log_path(home);
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = log.map_err(|error| failed(&path.display().to_string(), error))?;
    let out = log
        .try_clone()
        .map_err(|error| failed(&path.display().to_string(), error))?;
    Command::new(&exe)
        .args(["node", "--home"])
        .arg(home)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(|error| failed(&exe.display().to_string(), error))
}

/// Whether the process noted for a validator is there, and really that validator: process ids are
/// used again by others.
pub(super) fn state(member: &Member) -> State {
    let Some(pid) = member.pid.filter(|pid| *pid > 0) else {
        return State::Gone;
    };
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let home = member.home.as_os_str().as_bytes();
    if !words.contains(&b"node".as_slice()) || !words.contains(&home) {
        return State::Gone;
    }
    // "PID (NAME) STATE …", and the name may hold anything.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest);
    match after_name.and_then(|rest| rest.chars().next()) {
        Some('T' | 't') => State::Paused,
        Some('Z' | 'X') | None => State::Gone,
        Some(_) => State::Running,
    }
}

fn signal(member: &Member, signal: Signal) {
    if state(member) == State::Gone {
        return;
    }
    if let Some(pid) = member.pid.and_then(Pid::from_raw) {
        // Who is gone meanwhile needs no signal.
        let _ = kill_process(pid, signal);
    }
}

/// Asks all to end, waits, and kills who does not; returns these.
pub(super) fn stop(members: &[Member]) -> Vec<Member> {
    for member in members {
        signal(member, Signal::TERM);
        // Who is paused hears nothing before it goes on.
        signal(member, Signal::CONT);
    }
    let there = || {
        members
            .iter()
            .filter(|member| state(member) != State::Gone)
            .cloned()
            .collect::<Vec<_>>()
    };
    let deadline = Instant::now() + STOP_PATIENCE;
    while !there().is_empty() && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
    let killed = there();
    for member in &killed {
        signal(member, Signal::KILL);
    }
    let deadline = Instant::now() + STOP_PATIENCE;
    while !there().is_empty() && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
    killed
}

/// The last lines of a validator's log.
pub(super) fn log_tail(home: &Path) -> String {
    let tail = || -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(log_path(home))?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = tail().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(pid: Option<i32>) -> Member {
        Member {
            name: "validator-1".to_owned(),
            pid,
            home: PathBuf::from("/nowhere/validator-1"),
            api: String::new(),
            p2p: String::new(),
        }
    }

    #[test]
    fn a_foreign_process_is_never_taken_for_a_validator() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        for pid in [None, Some(0), Some(-1), Some(1), Some(own), Some(i32::MAX)] {
            assert_eq!(state(&member(pid)), State::Gone, "{pid:?}");
            assert!(stop(&[member(pid)]).is_empty());
        }
    }
}
