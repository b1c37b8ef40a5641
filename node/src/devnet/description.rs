//! `devnet.json`: who runs where.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chancery_ledger::ChainId;
use serde::{Deserialize, Serialize};

use super::process::{self, State};
use crate::cli::{CliError, read_text};

const FILE: &str = "devnet.json";
const BYTES_MAX: usize = 1_048_576;

/// The whole file. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The ledger.
    pub chain_id: ChainId,
    /// What `chancery verify` trusts.
    pub policy: PathBuf,
    /// The genesis document.
    pub genesis: PathBuf,
    /// In the order of their indices.
    pub validators: Vec<Member>,
}

/// One validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its process, while it was started and not stopped.
    pub pid: Option<i32>,
    /// Its home.
    pub home: PathBuf,
    /// The base address of its API, `http://HOST:PORT`.
    pub api: String,
    /// Where peers reach it, `HOST:PORT`.
    pub p2p: String,
}

impl Description {
    /// Reads the file of the devnet in `directory`.
    ///
    /// # Errors
    /// If there is none, or it is not one.
    pub fn read(directory: &Path) -> Result<Self, CliError> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Err(
                CliError::usage(format!("there is no devnet in {}", directory.display()))
                    .code("no_devnet")
                    .hint(format!(
                        "`chancery devnet start --dir {}` starts one",
                        directory.display()
                    )),
            );
        }
        serde_json::from_str(&read_text(&path, BYTES_MAX)?).map_err(|error| {
            CliError::usage(format!("{}: {error}", path.display())).code("no_devnet")
        })
    }

    /// Replaces the file, at once and whole.
    ///
    /// # Errors
    /// If the system fails.
    pub fn write(&self, directory: &Path) -> Result<(), CliError> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| CliError::failed("io", error.to_string()))?;
        text.push('\n');
        let (path, new) = (directory.join(FILE), directory.join(".devnet.json.new"));
        File::create(&new)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| CliError::failed("io", format!("{}: {error}", path.display())))
    }

    /// The base addresses of all APIs.
    #[must_use]
    pub fn apis(&self) -> Vec<String> {
        self.validators
            .iter()
            .map(|member| member.api.clone())
            .collect()
    }

    /// Those whose process is there.
    #[must_use]
    pub fn running(&self) -> Vec<Member> {
        self.validators
            .iter()
            .filter(|member| process::state(member) != State::Gone)
            .cloned()
            .collect()
    }

    /// Notes that nobody runs any more.
    pub fn forget_processes(&mut self) {
        for member in &mut self.validators {
            member.pid = None;
        }
    }
}
