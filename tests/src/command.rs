//! The `chancery` binary of this build, driven as people drive it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

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

/// The command line by which `from` grants access to `recipient` for two days.
#[must_use]
pub fn grant<'a>(contract: &'a str, from: &'a str, recipient: &'a str) -> [&'a str; 9] {
    grant_until(contract, from, recipient, "+48h")
}

/// The same, until some other time.
#[must_use]
pub fn grant_until<'a>(
    contract: &'a str,
    from: &'a str,
    recipient: &'a str,
    expires_at: &'a str,
) -> [&'a str; 9] {
    [
        "call",
        contract,
        "grant_access",
        "--from",
        from,
        "--recipient",
        recipient,
        "--expires-at",
        expires_at,
    ]
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
