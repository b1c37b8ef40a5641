//! `bench`: signed grants through the API of a devnet, at a fixed rate whatever the answers are
//! (open loop). What is late counts from the moment it was due, not from when it could be sent.

mod contracts;
mod stories;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_client::api::{Outcome, TransactionInfo};
use chancery_client::{Client, ClientError, TransactionBuilder, clock};
use chancery_ledger::{AccountId, Call, ContractId, Fuel, Millis, Role, SecretKey, Upgraders};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parity_scale_codec::Encode as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::args::{BenchArgs, BenchCommand};
use super::checks::MODULE_BYTES_MAX;
use super::context::{Context, block_on};
use super::keys::REGISTRAR;
use super::output::grouped;
use super::submit::Session;
use super::{CliError, Exit, Report, Rows, files};
use crate::devnet::Description;

/// How long a benchmark's grants hold.
const GRANT_MS: u64 = 86_400_000;
/// Latencies are kept in microseconds, up to ten minutes, to three digits.
const LATENCY_US_MAX: u64 = 600_000_000;
/// Linux counts a process's CPU time in hundredths of a second (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;
/// Connections may be as many as this where the system allows it.
const FILES_WANTED: u64 = 65_536;

/// What a run is made of.
struct Setup {
    session: Session,
    key: SecretKey,
    contract: ContractId,
    /// Twice what a grant was seen to burn.
    fuel: Fuel,
}

/// What became of the grants.
struct Tally {
    latencies: Histogram<u64>,
    applied: u64,
    not_applied: u64,
    /// No turn came in time: the network was offered less than the rate.
    not_handed_in: u64,
    refused: u64,
    not_final: u64,
    lost: u64,
    /// From the first one due to the last one final.
    elapsed: Duration,
    example: Option<String>,
}

pub(super) fn bench(context: &Context, args: &BenchArgs) -> Result<Report, CliError> {
    if let Some(BenchCommand::Contracts(args)) = &args.command {
        return contracts::bench(args);
    }
    let directory = context.devnet().ok_or_else(|| {
        CliError::usage("bench measures a devnet: give --devnet DIR")
            .hint("it deploys a contract as a new account, which the devnet's registrar admits")
    })?;
    let description = Description::read(directory)?;
    let wasm = files::read(&args.wasm, MODULE_BYTES_MAX).map_err(|error| {
        error.hint("scripts/build-contracts builds it; --wasm FILE names another")
    })?;
    allow_many_connections();
    block_on(async {
        let setup = prepare(context, wasm).await?;
        let before = cpu_seconds(&description);
        let tally = run(context, args, &setup).await?;
        // What the last grants cost is done by now: they are final.
        let cpu = cpu_seconds(&description) - before;
        Ok(report(args, &setup, &tally, cpu))
    })
}

/// Every transaction in flight holds a connection; the usual limit of 1,024 files is soon reached.
fn allow_many_connections() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(FILES_WANTED, |maximum| maximum.min(FILES_WANTED));
    if current.is_some_and(|current| current < wanted) {
        let limit = Rlimit {
            current: Some(wanted),
            maximum,
        };
        // Without it, the benchmark has fewer connections, and says so by what it measures.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

async fn prepare(context: &Context, wasm: Vec<u8>) -> Result<Setup, CliError> {
    let session = Session::open(context).await?;
    let registrar = context.keys()?.load(REGISTRAR)?;
    let key = random_key()?;
    let admission = TransactionBuilder::admit(key.account(), vec![Role::Deployer]);
    session
        .transact(context, &registrar, admission, None)
        .await?;
    let deploy = Call::Deploy {
        code: wasm,
        upgraders: Upgraders::nobody(),
        args: [0xbe; 32].to_vec(),
    };
    let deployed = applied(session.transact(context, &key, deploy, None).await?)?;
    let receipt = deployed.receipt.as_ref();
    let contract = receipt
        .and_then(|receipt| receipt.contract)
        .ok_or_else(|| CliError::failed("bad_answer", "a deployment without a contract"))?;
    let call = grant(contract, random_key()?.account());
    let granted = applied(session.transact(context, &key, call, None).await?)?;
    let used = granted.receipt.map_or(0, |receipt| receipt.fuel_used.0);
    let fuel = used
        .saturating_mul(2)
        .min(session.chain.limits.transaction_fuel_max);
    Ok(Setup {
        session,
        key,
        contract,
        fuel: Fuel(fuel),
    })
}

fn applied(info: TransactionInfo) -> Result<TransactionInfo, CliError> {
    match info.receipt.as_ref().map(|receipt| &receipt.outcome) {
        Some(Outcome::Applied { .. }) => Ok(info),
        other => Err(CliError::new(
            Exit::Failed,
            "bench_setup",
            format!("transaction {} was not applied: {other:?}", info.id),
        )
        .hint("--wasm must name the data-access contract")),
    }
}

fn random_key() -> Result<SecretKey, CliError> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut())
        .map_err(|error| CliError::failed("no_randomness", error.to_string()))?;
    Ok(SecretKey::from_seed(&seed))
}

fn grant(contract: ContractId, recipient: AccountId) -> Call {
    let expires_at = Millis(clock().0.saturating_add(GRANT_MS));
    TransactionBuilder::invoke(contract, "grant_access", (recipient, expires_at).encode())
}

/// What one grant's task comes back with.
type Done = (Instant, Instant, Result<TransactionInfo, ClientError>);

async fn run(context: &Context, args: &BenchArgs, setup: &Setup) -> Result<Tally, CliError> {
    let total = u64::from(args.rate) * u64::from(args.seconds);
    let bar = progress_bar(context, total);
    // A client for each node, each node first for its share.
    let urls = setup.session.client.urls();
    let clients: Vec<Arc<Client>> = (0..urls.len())
        .map(|first| {
            let mut urls = urls.to_vec();
            urls.rotate_left(first);
            Client::new(urls).map(Arc::new)
        })
        .collect::<Result<_, _>>()?;
    let builder = TransactionBuilder::new(
        setup.session.chain.chain_id,
        setup.session.chain.limits.clone(),
    )
    .fuel_max(setup.fuel)
    .patience(context.timeout());
    let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)
        .map_err(|error| CliError::failed("io", error.to_string()))?;
    let mut tally = Tally {
        latencies,
        applied: 0,
        not_applied: 0,
        not_handed_in: 0,
        refused: 0,
        not_final: 0,
        lost: 0,
        elapsed: Duration::ZERO,
        example: None,
    };
    let mut tasks: JoinSet<Done> = JoinSet::new();
    let start = Instant::now();
    let mut last = start;
    for number in 0..total {
        let due = start + Duration::from_secs_f64(to_f64(number) / f64::from(args.rate));
        tokio::time::sleep_until(due.into()).await;
        let call = grant(setup.contract, random_key()?.account());
        let signed = builder.sign(&setup.key, clock(), call)?;
        let turn = usize::try_from(number).unwrap_or(0) % clients.len();
        let client = Arc::clone(&clients[turn]);
        let timeout = context.timeout();
        tasks.spawn(async move {
            let outcome = client.submit_and_wait(&signed, timeout).await;
            (due, Instant::now(), outcome)
        });
        while let Some(done) = tasks.try_join_next() {
            tally.take(done, &mut last);
            bar.inc(1);
        }
    }
    while let Some(done) = tasks.join_next().await {
        tally.take(done, &mut last);
        bar.inc(1);
    }
    tally.elapsed = last.duration_since(start);
    bar.finish_and_clear();
    Ok(tally)
}

fn progress_bar(context: &Context, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if context.output().is_json() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style =
        ProgressStyle::with_template("{elapsed} {wide_bar} {pos} of {len} final, {per_sec}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Tally {
    fn take(&mut self, done: Result<Done, tokio::task::JoinError>, last: &mut Instant) {
        let Ok((due, at, outcome)) = done else {
            self.lost += 1;
            return;
        };
        match outcome {
            Ok(info) => {
                let outcome = info.receipt.map(|receipt| receipt.outcome);
                if matches!(outcome, Some(Outcome::Applied { .. })) {
                    self.applied += 1;
                } else {
                    self.not_applied += 1;
                }
                *last = (*last).max(at);
                let us = u64::try_from(at.duration_since(due).as_micros()).unwrap_or(u64::MAX);
                self.latencies.saturating_record(us);
            }
            Err(error) => {
                match &error {
                    ClientError::NoTurn { .. } => self.not_handed_in += 1,
                    ClientError::NotFinal(_) => self.not_final += 1,
                    ClientError::Api { .. } => self.refused += 1,
                    _ => self.lost += 1,
                }
                self.example.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// CPU time of all validators so far, user and system.
fn cpu_seconds(description: &Description) -> f64 {
    let pids = description
        .validators
        .iter()
        .filter_map(|member| member.pid);
    let ticks: u64 = pids
        .filter_map(|pid| ticks_of(Path::new(&format!("/proc/{pid}/stat"))))
        .sum();
    to_f64(ticks) / TICKS_PER_SECOND
}

/// Fields 14 and 15 of proc(5)'s stat; the name in field 2 may hold anything.
fn ticks_of(stat: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(stat).ok()?;
    let (_, after_name) = text.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let mut field = || fields.next()?.parse::<u64>().ok();
    Some(field()? + field()?)
}

/// Exact below 2^53, which counts and times here are.
fn to_f64(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let float = number as f64;
    float
}

fn report(args: &BenchArgs, setup: &Setup, tally: &Tally, cpu: f64) -> Report {
    let finals = tally.applied + tally.not_applied;
    let seconds = tally.elapsed.as_secs_f64();
    let rate = if seconds > 0.0 {
        to_f64(finals) / seconds
    } else {
        0.0
    };
    let each = if finals > 0 {
        cpu / to_f64(finals)
    } else {
        0.0
    };
    let quantile = |q: f64| to_f64(tally.latencies.value_at_quantile(q)) / 1000.0;
    let offered = u64::from(args.rate) * u64::from(args.seconds);
    let failed = tally.not_handed_in + tally.refused + tally.not_final + tally.lost;

    let mut rows = Rows::default();
    rows.add(
        "offered",
        format!("{} grants, {} a second", grouped(offered), args.rate),
    );
    rows.add(
        "final",
        format!("{} in {seconds:.1} s: {rate:.0} a second", grouped(finals)),
    );
    if finals > 0 {
        rows.add(
            "to finality",
            format!(
                "p50 {:.0} ms, p99 {:.0} ms, most {:.0} ms",
                quantile(0.5),
                quantile(0.99),
                quantile(1.0)
            ),
        );
    }
    rows.add(
        "CPU",
        format!(
            "{cpu:.1} s over all validators: {:.2} ms a grant",
            each * 1000.0
        ),
    );
    if tally.not_applied > 0 {
        rows.add("not applied", grouped(tally.not_applied));
    }
    if failed > 0 {
        rows.add(
            "failed",
            format!(
                "{} not handed in for want of a turn, {} refused, {} not final in time, {} lost",
                grouped(tally.not_handed_in),
                grouped(tally.refused),
                grouped(tally.not_final),
                grouped(tally.lost)
            ),
        );
        if let Some(example) = &tally.example {
            rows.add("", format!("for instance: {example}"));
        }
    }
    let latency = |q: f64| {
        if finals > 0 {
            json!(quantile(q))
        } else {
            Value::Null
        }
    };
    let json = json!({
        "contract": setup.contract,
        "rate": args.rate,
        "seconds": args.seconds,
        "validators": setup.session.chain.validators.len(),
        "offered": offered,
        "final": finals,
        "applied": tally.applied,
        "not_handed_in": tally.not_handed_in,
        "refused": tally.refused,
        "not_final_in_time": tally.not_final,
        "lost": tally.lost,
        "elapsed_seconds": seconds,
        "transactions_per_second": rate,
        "p50_ms": latency(0.5),
        "p99_ms": latency(0.99),
        "max_ms": latency(1.0),
        "cpu_seconds": cpu,
        "cpu_seconds_per_transaction": each,
        "example_failure": tally.example,
    });
    Report::new(rows.to_text(), json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_of_any_process() {
        assert!(ticks_of(Path::new("/proc/self/stat")).is_some());
        assert!(ticks_of(Path::new("/proc/self/nothing")).is_none());
        let place = tempfile::tempdir().expect("a temporary directory");
        let stat = place.path().join("stat");
        std::fs::write(&stat, "7 (a) b) c) S 1 1 1 0 -1 4 5 6 7 8 30 12 0 0").expect("writes");
        assert_eq!(ticks_of(&stat), Some(42));
    }
}
