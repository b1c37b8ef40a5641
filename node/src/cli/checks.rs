//! `contract check`: the judgement of a deployment, without a network.

use std::path::Path;

use chancery_contract::test_host::Moment;
use chancery_ledger::{
    AccountId, Call, ChainLimits, FuelPrices, Role, Status, TrapKind, Upgraders,
};
use chancery_runtime::module::LimitUse;
use chancery_runtime::{ModuleError, ModuleReport, Runtime};
use chancery_schema::{MethodKind, Schema};
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
            chain: genesis::limits_of(Some(file))?,
            whose: format!("those of {}", file.display()),
        })
    }

    /// Judges a module, and deploys it in memory.
    pub(super) fn judge(&self, wasm: &[u8]) -> Result<ModuleReport, CliError> {
        judge(&self.chain, wasm)
            .and_then(|report| can_be_deployed(&self.chain, wasm, &report).map(|()| report))
            .map_err(|error| error.detail("limits", self.whose.as_str()))
    }
}

/// Judges a module by a chain's limits: whether it keeps the rules, and whether a transaction can
/// pay for what its code alone costs.
fn judge(limits: &ChainLimits, wasm: &[u8]) -> Result<ModuleReport, CliError> {
    let report = Runtime::check_module(limits, wasm).map_err(|error| refused(&error))?;
    payable(&report, limits)?;
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

/// Fuel that the `init` of a deployment in memory may burn: some seconds.
const INIT_FUEL_MAX: u64 = 1_000_000_000;

/// Deploys a module in memory. Its `init` gets no arguments, so how that ends counts only where it
/// takes none, and came to an end.
fn can_be_deployed(
    limits: &ChainLimits,
    wasm: &[u8],
    report: &ModuleReport,
) -> Result<(), CliError> {
    let enough = least_fuel(&limits.fuel, report).saturating_add(INIT_FUEL_MAX);
    let is_enough = limits.transaction_fuel_max <= enough;
    let capped = ChainLimits {
        transaction_fuel_max: limits.transaction_fuel_max.min(enough),
        ..limits.clone()
    };
    let runtime = Runtime::new(capped);
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
    let has_init = report
        .methods
        .iter()
        .any(|(kind, _)| *kind == MethodKind::Init);
    let init = report.schema.as_ref().and_then(Schema::init);
    let is_known = !has_init || init.is_some_and(|init| init.args.is_empty());
    match ledger.apply(executed).map(|receipt| receipt.status) {
        Ok(Status::Trapped {
            kind: TrapKind::ModuleRefused,
        }) => Err(CliError::usage(
            "the module may not be deployed: it keeps the rules, but cannot be compiled",
        )
        .code("module_refused")),
        Ok(Status::Trapped {
            kind: TrapKind::OutOfFuel,
        }) if is_known && is_enough => Err(too_dear(format!(
            "the module may not be deployed: deploying it burns more than the {} fuel that a transaction may",
            grouped(limits.transaction_fuel_max)
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The least fuel that a transaction burns which deploys the module: for its bytes, its code, and the
/// entries of the contract and its version.
fn least_fuel(prices: &FuelPrices, report: &ModuleReport) -> u64 {
    let bytes = u64::try_from(report.code_bytes).unwrap_or(u64::MAX);
    [
        prices.transaction,
        prices.transaction_per_byte.saturating_mul(bytes),
        prices.storage_write.saturating_mul(2),
    ]
    .into_iter()
    .fold(report.deploy_fuel, u64::saturating_add)
}

fn payable(report: &ModuleReport, limits: &ChainLimits) -> Result<(), CliError> {
    let (fuel, fuel_max) = (
        least_fuel(&limits.fuel, report),
        limits.transaction_fuel_max,
    );
    if fuel <= fuel_max {
        return Ok(());
    }
    let (fuel_shown, fuel_max_shown) = (grouped(fuel), grouped(fuel_max));
    let message = format!(
        "the module may not be deployed: that burns at least {fuel_shown} fuel, and a transaction at most {fuel_max_shown}"
    );
    Err(too_dear(message)
        .detail("least_fuel", fuel)
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
        let report = judge(&limits, module).expect("keeps the rules");
        let fuel = least_fuel(&limits.fuel, &report);
        assert!(fuel > report.deploy_fuel + 90_000);
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
        assert_eq!(error.details["least_fuel"], json!(fuel));
        assert_eq!(error.details["transaction_fuel_max"], json!(fuel - 1));
        // At other prices it is another sum.
        limits.fuel.deploy -= 1;
        assert!(judge(&limits, module).is_ok());
    }

    /// A module with an `init` that does that, and a schema that says what it takes.
    fn with_init(body: &[u8], args: &str) -> Vec<u8> {
        let schema = format!(
            r#"{{"name":"X","methods":[{{"name":"init","kind":"init","args":[{args}]}}]}}"#
        );
        let section = |id: u8, content: &[u8]| {
            let len = u8::try_from(content.len()).expect("is short");
            // Two bytes, as each may have more than 127.
            [&[id, 0x80 | (len & 0x7f), len >> 7], content].concat()
        };
        let function = [
            &[u8::try_from(body.len() + 2).expect("is short"), 0],
            body,
            &[0x0b],
        ];
        [
            b"\0asm\x01\0\0\0".to_vec(),
            section(1, &[1, 0x60, 0, 0]),
            section(3, &[1, 0]),
            section(7, b"\x01\x04init\0\0"),
            section(10, &[&[1][..], &function.concat()].concat()),
            section(0, &[b"\x0fchancery.schema", schema.as_bytes()].concat()),
        ]
        .concat()
    }

    #[test]
    fn a_deployment_is_tried_as_far_as_its_arguments_are_known() {
        // `loop br 0 end`, `unreachable`, nothing.
        let (endless, trap, nothing) = (&[0x03, 0x40, 0x0c, 0, 0x0b][..], &[0][..], &[][..]);
        let number = r#"{"name":"n","type":"u8"}"#;
        let code = |limits: &ChainLimits, body, args| {
            let module = with_init(body, args);
            let report = judge(limits, &module).expect("keeps the rules");
            let tried = can_be_deployed(limits, &module, &report);
            tried.map_err(|error| error.code)
        };
        let limits = ChainLimits::default();
        assert_eq!(
            code(&limits, endless, ""),
            Err("deployment_too_dear".to_owned())
        );
        for (body, args) in [(endless, number), (trap, ""), (nothing, "")] {
            assert_eq!(code(&limits, body, args), Ok(()));
        }
        // Nobody waits for minutes.
        let patient = ChainLimits {
            transaction_fuel_max: 100_000_000_000,
            batch_fuel_max: 100_000_000_000,
            ..limits
        };
        assert_eq!(code(&patient, endless, ""), Ok(()));
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
