//! `contract check`: the judgement of a deployment, without a network.

use std::path::Path;

use chancery_contract::test_host::Moment;
use chancery_ledger::{AccountId, Call, ChainLimits, Role, Status, TrapKind, Upgraders};
use chancery_runtime::module::LimitUse;
use chancery_runtime::{ModuleError, ModuleReport, Runtime};
use serde_json::{Value, json};

use super::args::CheckArgs;
use super::context::{Context, block_on};
use super::contracts::schema_rows;
use super::memory::MemoryLedger;
use super::output::grouped;
use super::{CliError, Report, Rows, Table, files, genesis};
use crate::devnet::Description;

/// The longest module that is read from a file, whatever a chain allows.
pub(super) const MODULE_BYTES_MAX: usize = 4_194_304;

/// Limits, and whose they are.
pub(super) struct Limits {
    chain: ChainLimits,
    pub(super) whose: String,
}

impl Limits {
    /// Those of the document, of the network that was named, or of a document that names none.
    /// Only a node named by its address is asked: a devnet has its document at hand.
    pub(super) fn of(context: &Context, genesis: Option<&Path>) -> Result<Self, CliError> {
        if let Some(file) = genesis {
            return Self::of_genesis(file);
        }
        if !context.api().is_empty() {
            let chain = block_on(async { Ok(context.client()?.chain().await?) })?;
            return Ok(Self {
                chain: chain.limits,
                whose: format!("those of {} ({})", chain.name, context.api().join(", ")),
            });
        }
        if let Some(directory) = context.devnet() {
            return Self::of_genesis(&Description::read(directory)?.genesis);
        }
        Ok(Self {
            chain: ChainLimits::default(),
            whose: "those of a genesis document that names no others".to_owned(),
        })
    }

    fn of_genesis(file: &Path) -> Result<Self, CliError> {
        Ok(Self {
            chain: genesis::read(file)?.limits().clone(),
            whose: format!("those of {}", file.display()),
        })
    }

    /// Judges a module, and deploys it in memory.
    pub(super) fn judge(&self, wasm: &[u8]) -> Result<ModuleReport, CliError> {
        judge(&self.chain, wasm)
            .and_then(|report| can_be_deployed(&self.chain, wasm).map(|()| report))
            .map_err(|error| error.detail("limits", self.whose.as_str()))
    }
}

/// Judges a module by a chain's limits: whether it keeps the rules, and whether a transaction can
/// pay for what its code alone costs.
fn judge(limits: &ChainLimits, wasm: &[u8]) -> Result<ModuleReport, CliError> {
    let report = Runtime::check_module(limits, wasm).map_err(|error| refused(&error))?;
    payable(&report, limits.transaction_fuel_max)?;
    Ok(report)
}

/// What is known of a module that is about to be handed in, whatever it is if `unchecked`.
pub(super) fn report_of(
    limits: &ChainLimits,
    wasm: &[u8],
    unchecked: bool,
) -> Result<Option<ModuleReport>, CliError> {
    if unchecked {
        Ok(Runtime::check_module(limits, wasm).ok())
    } else {
        judge(limits, wasm).map(Some)
    }
}

/// Deploys a module in memory. Its `init` gets no arguments, which may not be what it takes: only what
/// ends before it, or never, counts.
fn can_be_deployed(limits: &ChainLimits, wasm: &[u8]) -> Result<(), CliError> {
    let runtime = Runtime::new(limits.clone());
    let runtime = runtime.map_err(|error| CliError::failed("engine", error.to_string()))?;
    let mut ledger = MemoryLedger::default();
    let deployer = AccountId([1; 32]);
    ledger.admit(deployer, vec![Role::Deployer]);
    let call = Call::Deploy {
        code: wasm.to_vec(),
        upgraders: Upgraders::nobody(),
        args: Vec::new(),
    };
    let moment = Moment {
        time: chancery_contract::Millis(1),
        height: 1,
    };
    let block = ledger.block(&runtime, deployer, call, moment);
    let executed = ledger.execute(&runtime, &block, moment);
    let fuel_max = grouped(limits.transaction_fuel_max);
    match ledger.apply(executed).map(|receipt| receipt.status) {
        Ok(Status::Trapped {
            kind: TrapKind::ModuleRefused,
        }) => Err(CliError::usage(
            "the module may not be deployed: it keeps the rules, but cannot be compiled",
        )
        .code("module_refused")),
        Ok(Status::Trapped {
            kind: TrapKind::OutOfFuel,
        }) => Err(too_dear(format!(
            "the module may not be deployed: deploying it burns more than the {fuel_max} fuel that a transaction may"
        ))),
        Err(reason) => Err(too_dear(format!(
            "the module may not be deployed: even with {fuel_max} fuel {reason}"
        ))),
        Ok(_) => Ok(()),
    }
}

fn payable(report: &ModuleReport, fuel_max: u64) -> Result<(), CliError> {
    let fuel = report.deploy_fuel;
    if fuel <= fuel_max {
        return Ok(());
    }
    let (fuel_shown, fuel_max_shown) = (grouped(fuel), grouped(fuel_max));
    let message = format!(
        "the module may not be deployed: its code alone burns {fuel_shown} fuel, and a transaction at most {fuel_max_shown}"
    );
    Err(too_dear(message)
        .detail("deploy_fuel", fuel)
        .detail("transaction_fuel_max", fuel_max))
}

fn too_dear(message: String) -> CliError {
    CliError::usage(message).code("deployment_too_dear").hint(
        "a smaller module burns less; the limit is transaction_fuel_max of the genesis document",
    )
}

/// A module that breaks a rule.
pub(super) fn refused(error: &ModuleError) -> CliError {
    let refused = CliError::usage(format!("the module may not be deployed: {error}"))
        .code("module_refused")
        .detail("rule", error.name());
    match what_to_do(error) {
        Some(hint) => refused.hint(hint),
        None => refused,
    }
}

fn what_to_do(error: &ModuleError) -> Option<&'static str> {
    Some(match error {
        ModuleError::Float { .. } => {
            "machines differ in floating-point bits: count in the smallest unit, as integers"
        }
        ModuleError::Malformed { .. } => {
            "only WebAssembly 1.0 with mutable globals is taken: `chancery contract build` makes that"
        }
        ModuleError::TooLong { .. } => {
            "build it with `chancery contract build`, which optimises for size; formatting of text (`format!`, `{:?}`) is what takes most"
        }
        ModuleError::TooDearToCall { .. } => {
            "fewer bytes, functions, parameters and pages of memory to begin with cost less; the limit is transaction_fuel_max of the genesis document"
        }
        ModuleError::UnknownImport { .. } => {
            "a contract reaches nothing but its ledger: which dependency wants a clock, a file or random numbers?"
        }
        _ => return None,
    })
}

/// `chancery contract check`.
pub(super) fn check(context: &Context, args: &CheckArgs) -> Result<Report, CliError> {
    let wasm = files::read(&args.file, MODULE_BYTES_MAX)?;
    let limits = Limits::of(context, args.genesis.as_deref())?;
    let report = limits.judge(&wasm)?;
    let mut rows = Rows::default();
    rows.add("module", "may be deployed");
    rows.add("code", report.code);
    rows.add("limits", &limits.whose);
    let (deploy, load) = (grouped(report.deploy_fuel), grouped(report.load_fuel));
    rows.add(
        "fuel",
        format!("{deploy} to deploy its code, {load} to load it for a call"),
    );
    rows.add("", "");
    method_rows(&mut rows, &report);
    Ok(Report::new(
        format!("{}\n{}", rows.to_text(), limits_table(&report.limits)),
        report_json(&report, &limits),
    ))
}

fn method_rows(rows: &mut Rows, report: &ModuleReport) {
    if let Some(schema) = &report.schema {
        return schema_rows(rows, schema);
    }
    rows.add(
        "schema",
        "none: its methods can be called only by programs that know them",
    );
    for (kind, name) in &report.methods {
        rows.add(kind.to_string(), name);
    }
}

/// How much of `most` that is, rounded up, so that nothing used is never 0.
pub(super) fn percent(limit: &LimitUse) -> u64 {
    let used = u128::from(limit.used) * 100;
    let part = used.div_ceil(u128::from(limit.used_max.max(1)));
    u64::try_from(part).unwrap_or(u64::MAX)
}

fn limits_table(limits: &[LimitUse]) -> String {
    let mut table = Table::new(&["LIMIT", "HAS", "AT MOST", "PART", "OF WHAT"]);
    for limit in limits {
        table.add(vec![
            limit.name.to_owned(),
            grouped(limit.used),
            grouped(limit.used_max),
            format!("{}%", percent(limit)),
            limit.what.to_owned(),
        ]);
    }
    table.to_text()
}

pub(super) fn report_json(report: &ModuleReport, limits: &Limits) -> Value {
    let methods: Vec<_> = report
        .methods
        .iter()
        .map(|(kind, name)| json!({"kind": kind, "name": name}))
        .collect();
    let used: Vec<_> = report
        .limits
        .iter()
        .map(|limit| {
            json!({
                "name": limit.name,
                "of": limit.what,
                "used": limit.used,
                "used_max": limit.used_max,
                "percent": percent(limit),
            })
        })
        .collect();
    json!({
        "ok": true,
        "code": report.code,
        "code_bytes": report.code_bytes,
        "functions": report.functions,
        "memory_pages": report.memory_pages,
        "deploy_fuel": report.deploy_fuel,
        "load_fuel": report.load_fuel,
        "methods": methods,
        "limits": used,
        "limits_of": limits.whose,
        "schema": report.schema,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;

    fn limit(used: u64, used_max: u64) -> LimitUse {
        LimitUse {
            name: "types_max",
            what: "types of functions",
            used,
            used_max,
        }
    }

    #[test]
    fn parts_are_rounded_up_and_never_overflow() {
        for (used, used_max, expected) in [
            (0, 64, 0),
            (1, 1_000, 1),
            (32, 64, 50),
            (64, 64, 100),
            (u64::MAX, u64::MAX, 100),
        ] {
            assert_eq!(percent(&limit(used, used_max)), expected, "{used}");
        }
    }

    #[test]
    fn what_is_used_stands_next_to_what_may_be() {
        let table = limits_table(&[limit(1_500, 2_000), limit(0, 64)]);
        let expected = "LIMIT        HAS  AT MOST  PART  OF WHAT\n\
                        types_max  1,500    2,000   75%  types of functions\n\
                        types_max      0       64    0%  types of functions\n";
        assert_eq!(table, expected);
    }

    #[test]
    fn what_no_transaction_can_pay_for_may_not_be_deployed() {
        // The shortest module: its header, and nothing in it.
        let module = b"\0asm\x01\0\0\0";
        let mut limits = ChainLimits::default();
        let fuel = judge(&limits, module).expect("keeps the rules").deploy_fuel;
        limits.transaction_fuel_max = fuel;
        assert!(judge(&limits, module).is_ok());
        limits.transaction_fuel_max = fuel - 1;
        let error = judge(&limits, module).expect_err("is too dear");
        assert_eq!(
            (error.exit, error.code.as_str()),
            (Exit::Usage, "deployment_too_dear")
        );
        for number in [fuel, fuel - 1] {
            assert!(error.message.contains(&grouped(number)), "{error:?}");
        }
        assert_eq!(error.details["deploy_fuel"], json!(fuel));
        assert_eq!(error.details["transaction_fuel_max"], json!(fuel - 1));
        // There is more to deploying than the code: the transaction's bytes, and entries.
        limits.transaction_fuel_max = fuel + 1_000;
        assert!(judge(&limits, module).is_ok());
        let error = can_be_deployed(&limits, module).expect_err("is too dear");
        assert_eq!(error.code, "deployment_too_dear");
        limits.transaction_fuel_max = 100_000_000;
        assert!(can_be_deployed(&limits, module).is_ok());
        limits.transaction_fuel_max = fuel - 1;
        // At other prices it is another sum.
        limits.fuel.deploy -= 1;
        assert_eq!(
            judge(&limits, module).expect("is payable").deploy_fuel,
            fuel - 1
        );
    }

    #[test]
    fn what_no_transaction_could_call_may_not_be_deployed() {
        let module = b"\0asm\x01\0\0\0";
        let mut limits = ChainLimits::default();
        limits.fuel.load = limits.transaction_fuel_max;
        let error = judge(&limits, module).expect_err("is never called");
        assert_eq!(
            (error.code.as_str(), &error.details["rule"]),
            ("module_refused", &json!("TooDearToCall"))
        );
        assert!(error.message.contains("at most 500000000"), "{error:?}");
    }

    #[test]
    fn a_refusal_names_its_rule() {
        let error = refused(&ModuleError::StartFunction { function: 3 });
        assert_eq!(
            (error.code.as_str(), &error.details["rule"]),
            ("module_refused", &json!("StartFunction"))
        );
    }
}
