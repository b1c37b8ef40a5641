//! `bench contracts`: what a call of each shipped contract takes, in the executor and nothing else:
//! no network, no votes, no database, no signatures.
//!
//! Each call is executed many times on the same state before it is applied. *Warm* is an executor
//! that has the contract in memory; *cold* is one that was started for this call and takes what was
//! compiled from its home. Medians, since a machine has other things to do as well.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_contract::Millis;
use chancery_contract::test_host::Moment;
use chancery_ledger::{Call, ChainLimits, ContractId, Receipt, Role, Status, Upgraders};
use chancery_runtime::{CompiledStore, Runtime};
use chancery_schema::{ArgText, Method, MethodKind, Plain, Schema, encode_args};
use serde_json::{Value, json};

use super::stories::{self, ACCOUNTS, Step, Story};
use crate::cli::args::BenchContractsArgs;
use crate::cli::checks::{MODULE_BYTES_MAX, refused};
use crate::cli::memory::MemoryLedger;
use crate::cli::output::grouped;
use crate::cli::{CliError, Report, Table, files};
use crate::compiled::CompiledFiles;

/// When everything happens.
const MOMENT: Moment = Moment {
    height: 1,
    time: Millis(1_000_000),
};
/// When everything ends that ends.
pub(super) const END: u64 = 3_000_000;
/// A cold executor takes milliseconds to make.
const COLD_RUNS_MAX: u32 = 50;
/// Compiling takes up to seconds.
const COMPILE_RUNS: u32 = 3;
/// `(module (func (export "call.run")))`: what a call costs that does nothing.
const NOTHING: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\
    \x07\x0c\x01\x08call.run\0\0\x0a\x04\x01\x02\0\x0b";

/// A measured call.
struct Measured {
    method: &'static str,
    kind: &'static str,
    fuel: u64,
    warm: Duration,
    cold: Duration,
}

/// A measured contract.
struct MeasuredContract {
    name: &'static str,
    code_bytes: usize,
    deploy_fuel: u64,
    load_fuel: u64,
    compile: Duration,
    calls: Vec<Measured>,
}

pub(super) fn bench(args: &BenchContractsArgs) -> Result<Report, CliError> {
    let mut measured = vec![Bench::of_nothing(args.runs)?];
    for story in stories::all() {
        measured.push(Bench::of_story(&args.contracts, story, args.runs)?);
    }
    Ok(report(&measured))
}

/// A deployed contract, and executors to run it.
struct Bench {
    runs: u32,
    ledger: MemoryLedger,
    contract: ContractId,
    deployment: Receipt,
    compile: Duration,
    /// Where compiled contracts are kept.
    home: tempfile::TempDir,
    warm: Runtime,
}

fn failed(error: impl ToString) -> CliError {
    CliError::failed("bench", error.to_string())
}

fn runtime(home: &Path) -> Result<Runtime, CliError> {
    let store = CompiledFiles::open(home).map_err(failed)?;
    let store = Arc::new(store) as Arc<dyn CompiledStore>;
    Runtime::with_compiled_store(ChainLimits::default(), store).map_err(failed)
}

fn median(
    runs: u32,
    mut run: impl FnMut() -> Result<Duration, CliError>,
) -> Result<Duration, CliError> {
    let mut times = (0..runs.max(1))
        .map(|_| run())
        .collect::<Result<Vec<_>, _>>()?;
    times.sort();
    Ok(times[times.len() / 2])
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    std::hint::black_box(work());
    started.elapsed()
}

impl Bench {
    fn deployed(wasm: &[u8], init: Vec<u8>, runs: u32) -> Result<Self, CliError> {
        let home = tempfile::tempdir().map_err(failed)?;
        let warm = runtime(home.path())?;
        let mut ledger = MemoryLedger::default();
        for index in 0..ACCOUNTS {
            ledger.admit(stories::account(index), vec![Role::Deployer]);
        }
        let call = Call::Deploy {
            code: wasm.to_vec(),
            upgraders: Upgraders::nobody(),
            args: init,
        };
        let block = ledger.block(&warm, stories::account(0), call, MOMENT);
        let compile = median(COMPILE_RUNS, || {
            let anew = Runtime::new(ChainLimits::default()).map_err(failed)?;
            Ok(timed(|| ledger.execute(&anew, &block, MOMENT)))
        })?;
        let executed = ledger.execute(&warm, &block, MOMENT);
        let deployment = ledger.apply(executed).map_err(failed)?;
        let contract = deployment
            .contract
            .ok_or_else(|| failed(format!("it cannot be deployed: {:?}", deployment.status)))?;
        Ok(Self {
            runs,
            ledger,
            contract,
            deployment,
            compile,
            home,
            warm,
        })
    }

    fn of_nothing(runs: u32) -> Result<MeasuredContract, CliError> {
        let mut bench = Self::deployed(NOTHING, Vec::new(), runs)?;
        let call = bench.call(0, "run", MethodKind::Call, &[])?;
        bench.measured("(nothing)", NOTHING, vec![call])
    }

    fn of_story(folder: &Path, story: Story, runs: u32) -> Result<MeasuredContract, CliError> {
        let wasm = files::read(&folder.join(story.file), MODULE_BYTES_MAX).map_err(|error| {
            error.hint("scripts/build-contracts builds it; --contracts DIR names another folder")
        })?;
        let report = Runtime::check_module(&ChainLimits::default(), &wasm);
        let schema = report.map_err(|error| refused(&error))?.schema;
        let schema = schema.ok_or_else(|| failed(format!("{} has no schema", story.file)))?;
        let no_method = |name| failed(format!("{} has no {name}", story.file));
        let init = encoded(schema.init().ok_or_else(|| no_method("init"))?, &story.init)?;
        let mut bench = Self::deployed(&wasm, init, runs)?;
        let mut calls = Vec::new();
        for step in &story.steps {
            let method = schema.callable(step.method);
            let method = method.ok_or_else(|| no_method(step.method))?;
            calls.push(bench.step(step, method, &schema)?);
        }
        bench.measured(story.name, &wasm, calls)
    }

    fn step(
        &mut self,
        step: &Step,
        method: &Method,
        schema: &Schema,
    ) -> Result<Measured, CliError> {
        let args = encoded(method, &step.args)?;
        self.call(step.by, step.method, method.kind, &args)
            .map_err(|error| error.detail("contract", schema.name.as_str()))
    }

    /// Measures a call, or a view as a query; then it is done.
    fn call(
        &mut self,
        by: usize,
        method: &'static str,
        kind: MethodKind,
        args: &[u8],
    ) -> Result<Measured, CliError> {
        let (status, fuel, times, kind) = if kind == MethodKind::View {
            let query = |runtime: &Runtime| {
                self.ledger
                    .query(runtime, self.contract, method, args, MOMENT)
            };
            let outcome = query(&self.warm);
            let times = self.times(query)?;
            (outcome.status, outcome.fuel_used, times, "view")
        } else {
            let call = Call::Invoke {
                contract: self.contract,
                method: method.to_owned(),
                args: args.to_vec(),
            };
            let sender = stories::account(by);
            let block = self.ledger.block(&self.warm, sender, call, MOMENT);
            let execute = |runtime: &Runtime| self.ledger.execute(runtime, &block, MOMENT);
            let executed = execute(&self.warm);
            let times = self.times(execute)?;
            let receipt = self.ledger.apply(executed).map_err(failed)?;
            (receipt.status, receipt.fuel_used, times, "call")
        };
        let (warm, cold) = times;
        if !matches!(status, Status::Applied { .. }) {
            return Err(failed(format!("{method} was not applied: {status:?}")));
        }
        Ok(Measured {
            method,
            kind,
            fuel: fuel.0,
            warm,
            cold,
        })
    }

    /// How long it takes, warm and cold.
    fn times<T>(&self, run: impl Fn(&Runtime) -> T) -> Result<(Duration, Duration), CliError> {
        let warm = median(self.runs, || Ok(timed(|| run(&self.warm))))?;
        let cold = median(self.runs.min(COLD_RUNS_MAX), || {
            let cold = runtime(self.home.path())?;
            Ok(timed(|| run(&cold)))
        })?;
        Ok((warm, cold))
    }

    fn measured(
        self,
        name: &'static str,
        wasm: &[u8],
        calls: Vec<Measured>,
    ) -> Result<MeasuredContract, CliError> {
        let report = Runtime::check_module(&ChainLimits::default(), wasm);
        let report = report.map_err(|error| refused(&error))?;
        Ok(MeasuredContract {
            name,
            code_bytes: wasm.len(),
            deploy_fuel: self.deployment.fuel_used.0,
            load_fuel: report.load_fuel,
            compile: self.compile,
            calls,
        })
    }
}

fn encoded(method: &Method, texts: &[String]) -> Result<Vec<u8>, CliError> {
    let text = |text: &String| ArgText {
        name: None,
        text: text.clone(),
    };
    let texts: Vec<ArgText> = texts.iter().map(text).collect();
    encode_args(&method.args, &texts, &Plain)
        .map_err(|error| failed(format!("{}: {error}", method.name)))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn report(measured: &[MeasuredContract]) -> Report {
    let mut contracts = Table::new(&["CONTRACT", "BYTES", "DEPLOY FUEL", "LOAD FUEL", "DEPLOY µs"]);
    let mut calls = Table::new(&["CONTRACT", "METHOD", "KIND", "FUEL", "WARM µs", "COLD µs"]);
    for contract in measured {
        contracts.add(vec![
            contract.name.to_owned(),
            grouped(contract.code_bytes as u64),
            grouped(contract.deploy_fuel),
            grouped(contract.load_fuel),
            grouped(micros(contract.compile)),
        ]);
        for call in &contract.calls {
            calls.add(vec![
                contract.name.to_owned(),
                call.method.to_owned(),
                call.kind.to_owned(),
                grouped(call.fuel),
                grouped(micros(call.warm)),
                grouped(micros(call.cold)),
            ]);
        }
    }
    let json: Vec<Value> = measured.iter().map(contract_json).collect();
    Report::new(
        format!("{}\n{}", contracts.to_text(), calls.to_text()),
        json!({ "contracts": json }),
    )
}

fn contract_json(contract: &MeasuredContract) -> Value {
    let call = |call: &Measured| {
        json!({
            "method": call.method,
            "kind": call.kind,
            "fuel": call.fuel,
            "warm_us": micros(call.warm),
            "cold_us": micros(call.cold),
        })
    };
    json!({
        "contract": contract.name,
        "code_bytes": contract.code_bytes,
        "deploy_fuel": contract.deploy_fuel,
        "load_fuel": contract.load_fuel,
        "deploy_us": micros(contract.compile),
        "calls": contract.calls.iter().map(call).collect::<Vec<_>>(),
    })
}
