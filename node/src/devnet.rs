//! A devnet: validators on this machine, each a process of its own, for development.
//!
//! ```text
//! DIR/genesis.toml, DIR/policy       the network, and what `chancery verify` trusts
//! DIR/keys/NAME.key                  named keys, `registrar` among them
//! DIR/validators/NAME                a home each, with its node.log
//! DIR/devnet.json                    who runs where
//! ```
//! A directory is made whole or not at all; one that exists is resumed with its keys and ports.

mod description;
mod found;
mod process;
mod start;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::{CliError, Output, Report, Rows, Table};
pub use description::{Description, Member};
use process::State;

/// The most validators of a devnet: the most that a ledger may have.
const VALIDATORS_MAX: i64 = 31;

/// `chancery devnet …`
#[derive(Debug, Subcommand)]
pub enum DevnetCommand {
    /// Start a devnet, or resume one
    Start(StartArgs),
    /// Stop its validators
    Stop(DirArgs),
    /// Show its processes
    Status(DirArgs),
}

/// Where it is.
#[derive(Debug, Args)]
pub struct DirArgs {
    /// The devnet's directory
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

/// How to start it.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The devnet's directory; made if it is not there, resumed if it is
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// How many validators [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=VALIDATORS_MAX))]
    pub validators: Option<u16>,
    /// Ports from P on, two for each validator [default: free ones]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1024..))]
    pub base_port: Option<u16>,
    /// The genesis document whose limits and prices of fuel the devnet gets [default: the usual ones]
    #[arg(long, value_name = "FILE")]
    pub limits_of: Option<PathBuf>,
    /// Return when it is ready, and leave it running
    #[arg(long)]
    pub detach: bool,
}

/// Runs a devnet command.
///
/// # Errors
/// What was wrong about it, or what failed.
pub fn command(output: Output, command: DevnetCommand) -> Result<Report, CliError> {
    match command {
        DevnetCommand::Start(args) => start::start(output, &args),
        DevnetCommand::Stop(args) => stop(&args),
        DevnetCommand::Status(args) => status(&args),
    }
}

fn stop(args: &DirArgs) -> Result<Report, CliError> {
    let mut description = Description::read(&args.dir)?;
    let running = description.running();
    let killed = process::stop(&running);
    description.forget_processes();
    description.write(&args.dir)?;
    let text = match running.len() {
        0 => "it was not running".to_owned(),
        count => format!("stopped {count} validators"),
    };
    let names = |members: &[Member]| -> Vec<String> {
        members.iter().map(|member| member.name.clone()).collect()
    };
    let mut report = Report::new(
        text,
        json!({ "stopped": names(&running), "killed": names(&killed) }),
    );
    if !killed.is_empty() {
        report.text.push_str(&format!(
            "\n{} did not end by themselves and were killed",
            names(&killed).join(", ")
        ));
    }
    Ok(report)
}

fn status(args: &DirArgs) -> Result<Report, CliError> {
    let description = Description::read(&args.dir)?;
    let mut objects = Vec::new();
    let mut table = Table::new(&["VALIDATOR", "PID", "PROCESS", "API", "P2P"]);
    for member in &description.validators {
        let state = process::state(member);
        let pid = member.pid.filter(|_| state != State::Gone);
        table.add(vec![
            member.name.clone(),
            pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            state.in_words().to_owned(),
            member.api.clone(),
            member.p2p.clone(),
        ]);
        let mut object = json!(member);
        object["pid"] = json!(pid);
        object["process"] = json!(state.in_words());
        objects.push(object);
    }
    let mut json = json!(description);
    json["validators"] = json!(objects);
    let mut rows = Rows::default();
    rows.add("chain", description.chain_id)
        .add("policy", description.policy.display());
    Ok(Report::new(
        format!("{}\n{}", rows.to_text(), table.to_text()),
        json,
    ))
}
