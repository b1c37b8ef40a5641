//! `devnet start`: founds or resumes, starts every validator, waits until all are ready, and in the
//! foreground watches over them until it is told to stop.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use chancery_client::Client;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::description::{Description, Member};
use super::{StartArgs, found, process};
use crate::cli::{CliError, Output, Report, Rows, Table, block_on, limits_of, read_genesis};

const VALIDATORS_DEFAULT: u16 = 4;
const READY_PATIENCE: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(50);
const WATCH: Duration = Duration::from_millis(200);

/// The validators' processes; whoever drops them without letting go stops them.
struct Children {
    members: Vec<Member>,
    children: Vec<Option<Child>>,
}

impl Children {
    /// Takes note of who has ended since the last look.
    fn ended(&mut self) -> Vec<(Member, String)> {
        let mut ended = Vec::new();
        for (member, child) in self.members.iter().zip(&mut self.children) {
            let how = match child.as_mut().map(Child::try_wait) {
                Some(Ok(Some(status))) => status.to_string(),
                Some(Err(error)) => error.to_string(),
                Some(Ok(None)) | None => continue,
            };
            *child = None;
            ended.push((member.clone(), how));
        }
        ended
    }

    fn is_empty(&self) -> bool {
        self.children.iter().all(Option::is_none)
    }

    fn stop(&mut self) {
        // Ended children are reaped while the others are waited for, else they seem to be there.
        let members = std::mem::take(&mut self.members);
        process::stop(&members);
        for child in self.children.iter_mut().filter_map(Option::take) {
            let mut child = child;
            let _ = child.wait();
        }
    }

    /// Leaves them running.
    fn let_go(mut self) {
        self.members.clear();
        self.children.clear();
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        if !self.members.is_empty() {
            self.stop();
        }
    }
}

pub(super) fn start(output: Output, args: &StartArgs) -> Result<Report, CliError> {
    let directory = absolute(&args.dir)?;
    if found::is_founded(&directory) {
        refuse_other_shape(&directory, args)?;
    } else {
        let validators = args.validators.unwrap_or(VALIDATORS_DEFAULT);
        let limits = limits_of(args.limits_of.as_deref())?;
        found::found(&directory, validators, args.base_port, &limits)?;
    }
    // Two starts at once would fight over the homes.
    let lock = File::open(&directory)
        .and_then(|file| file.try_lock().map(|()| file).map_err(Into::into))
        .map_err(|_| already_running(&directory))?;
    let mut description = found::describe(&directory)?;
    if let Ok(before) = Description::read(&directory)
        && !before.running().is_empty()
    {
        return Err(already_running(&directory));
    }
    found::ports_are_free(&description)?;
    block_on(async {
        // Whoever interrupts while validators are being started interrupts all of it.
        let mut stop = Stop::listen()?;
        let mut children = spawn_all(&mut description, &directory)?;
        tokio::select! {
            ready = until_ready(&description, &mut children) => ready?,
            () = stop.asked() => {
                children.stop();
                description.forget_processes();
                description.write(&directory)?;
                return Err(CliError::failed("interrupted", "stopped before it was ready"));
            }
        }
        drop(lock);
        let ready = ready_report(&description);
        if args.detach {
            children.let_go();
            return Ok(ready);
        }
        output.report(&ready);
        let ended_well = watch(output, &mut children, &mut stop).await;
        children.stop();
        description.forget_processes();
        description.write(&directory)?;
        if ended_well {
            output.progress("stopped");
            Ok(Report::silent())
        } else {
            Err(CliError::failed(
                "validators_ended",
                "every validator has ended",
            ))
        }
    })
}

fn already_running(directory: &Path) -> CliError {
    CliError::usage(format!("the devnet in {} is running", directory.display()))
        .code("already_running")
        .hint(format!(
            "`chancery devnet stop --dir {}` stops it",
            directory.display()
        ))
}

fn absolute(directory: &Path) -> Result<PathBuf, CliError> {
    let made = if directory.exists() {
        directory.canonicalize()
    } else {
        std::path::absolute(directory)
    };
    made.map_err(|error| CliError::usage(format!("{}: {error}", directory.display())))
}

fn refuse_other_shape(directory: &Path, args: &StartArgs) -> Result<(), CliError> {
    let there = found::describe(directory)?.validators.len();
    if let Some(asked) = args.validators
        && usize::from(asked) != there
    {
        return Err(CliError::usage(format!(
            "the devnet in {} has {there} validators, not {asked}",
            directory.display()
        ))
        .code("other_devnet")
        .hint("leave --validators out to resume it, or name another directory"));
    }
    if args.base_port.is_some() {
        return Err(CliError::usage(format!(
            "the devnet in {} has its ports already",
            directory.display()
        ))
        .code("other_devnet")
        .hint("leave --base-port out to resume it, or name another directory"));
    }
    if let Some(file) = &args.limits_of
        && read_genesis(file)?.limits() != read_genesis(&directory.join(found::GENESIS))?.limits()
    {
        return Err(CliError::usage(format!(
            "the devnet in {} has other limits than {}",
            directory.display(),
            file.display()
        ))
        .code("other_devnet")
        .hint("leave --limits-of out to resume it, or name another directory"));
    }
    Ok(())
}

fn spawn_all(description: &mut Description, directory: &Path) -> Result<Children, CliError> {
    let mut children = Children {
        members: Vec::new(),
        children: Vec::new(),
    };
    for member in &mut description.validators {
        let child = process::spawn(&member.home)?;
        member.pid = i32::try_from(child.id()).ok();
        children.members.push(member.clone());
        children.children.push(Some(child));
    }
    description.write(directory)?;
    Ok(children)
}

async fn until_ready(description: &Description, children: &mut Children) -> Result<(), CliError> {
    let client = Client::new(description.apis())?;
    let deadline = Instant::now() + READY_PATIENCE;
    for (index, member) in description.validators.iter().enumerate() {
        loop {
            if let Some((ended, how)) = children.ended().into_iter().next() {
                return Err(not_started(&ended, &format!("ended: {how}")));
            }
            let why = match client.ready(index).await {
                Ok(info) if info.ready => break,
                Ok(info) => info.reasons.join("; "),
                Err(reason) => reason,
            };
            if Instant::now() >= deadline {
                let waited = READY_PATIENCE.as_secs();
                return Err(not_started(
                    member,
                    &format!("is not ready after {waited} s: {why}"),
                ));
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }
    Ok(())
}

fn not_started(member: &Member, why: &str) -> CliError {
    let tail = process::log_tail(&member.home);
    let log = process::log_path(&member.home);
    CliError::failed("not_started", format!("{} {why}", member.name))
        .hint(format!("the end of {}:\n{tail}", log.display()))
        .detail("log", log.display().to_string())
}

fn ready_report(description: &Description) -> Report {
    let mut table = Table::new(&["VALIDATOR", "PID", "API", "P2P", "HOME"]);
    for member in &description.validators {
        table.add(vec![
            member.name.clone(),
            member
                .pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            member.api.clone(),
            member.p2p.clone(),
            member.home.display().to_string(),
        ]);
    }
    let mut rows = Rows::default();
    rows.add("chain", description.chain_id)
        .add("policy", description.policy.display());
    Report::new(
        format!("{}\n{}ready", rows.to_text(), table.to_text()),
        json!(description),
    )
}

/// What asks the parent to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Stop {
    fn listen() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind).map_err(|error| CliError::failed("io", format!("signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// Waits until it is told to stop, which is a good end, or until nobody is left, which is not.
async fn watch(output: Output, children: &mut Children, stop: &mut Stop) -> bool {
    loop {
        tokio::select! {
            () = stop.asked() => return true,
            () = tokio::time::sleep(WATCH) => {}
        }
        for (member, how) in children.ended() {
            let log = process::log_path(&member.home);
            output.progress(&format!(
                "{} has ended ({how}); the others go on; its log: {}",
                member.name,
                log.display()
            ));
        }
        if children.is_empty() {
            return false;
        }
    }
}
