//! `contract deploy`, `info`.

use chancery_client::api::VersionInfo;
use chancery_ledger::{Call, CodeHash, TransactionPlace};
use chancery_schema::{Method, MethodKind, Schema};
use serde_json::json;

use super::args::{ContractCommand, ContractName, DeployArgs};
use super::calls::{Seen, contract_id, transaction_report};
use super::checks::{MODULE_BYTES_MAX, check, report_of};
use super::context::{Context, block_on};
use super::output::printable;
use super::render::{NO_SCHEMA, Names};
use super::schemas::{Schemas, schema_of};
use super::submit::Session;
use super::test_host::test_host;
use super::values::{Values, encode_arguments, signature};
use super::{CliError, Report, Rows, files, projects, upgrades};

pub(super) fn contract(context: &Context, command: ContractCommand) -> Result<Report, CliError> {
    match command {
        ContractCommand::New(args) => projects::new(&args),
        ContractCommand::Build(args) => projects::build(context, &args),
        ContractCommand::Check(args) => check(context, &args),
        ContractCommand::Deploy(args) => deploy(context, &args),
        ContractCommand::Info(args) => info(context, &args),
        ContractCommand::Upgrade(args) => upgrades::upgrade(context, &args),
        ContractCommand::ApproveUpgrade(args) => upgrades::approve(context, &args),
        ContractCommand::TestHost(args) => test_host(&args),
    }
}

pub(super) fn schema_rows(rows: &mut Rows, schema: &Schema) {
    rows.add("contract", &schema.name);
    if !schema.docs.is_empty() {
        rows.add("", &schema.docs);
    }
    for method in &schema.methods {
        let returns = match &method.returns {
            Some(kind) => format!(" -> {kind}"),
            None => String::new(),
        };
        rows.add(
            method.kind.to_string(),
            format!("{}{returns}", signature(method)),
        );
        if !method.docs.is_empty() {
            rows.add("", format!("  {}", method.docs));
        }
    }
    for event in &schema.events {
        let fields: Vec<String> = event
            .fields
            .iter()
            .map(|field| format!("{}: {}", field.name, field.kind))
            .collect();
        rows.add("event", format!("{} {{{}}}", event.name, fields.join(", ")));
    }
    for error in &schema.errors {
        let docs = match error.docs.as_str() {
            "" => String::new(),
            docs => format!(": {docs}"),
        };
        rows.add("error", format!("{} {}{docs}", error.code, error.name));
    }
}

fn deploy(context: &Context, args: &DeployArgs) -> Result<Report, CliError> {
    let wasm = files::read(&args.file, MODULE_BYTES_MAX)?;
    let keys = context.keys()?;
    let key = keys.load(&args.from)?;
    block_on(async {
        let session = Session::open(context).await?;
        let checked = report_of(&session.chain.limits, &wasm, args.unchecked);
        let report = checked.map_err(|error| {
            error.hint("--unchecked hands it in nevertheless, for the ledger to refuse")
        })?;
        let schema = report.and_then(|report| report.schema);
        let init = schema.as_ref().and_then(Schema::init);
        let none = Method {
            name: "init".to_owned(),
            kind: MethodKind::Init,
            docs: String::new(),
            args: Vec::new(),
            returns: None,
        };
        let values = Values {
            keys: &keys,
            now: session.now,
        };
        let encoded = encode_arguments(
            init.unwrap_or(&none),
            &args.args,
            context.behind_method(),
            &values,
        )?;
        let code = CodeHash::of(&wasm);
        let call = Call::Deploy {
            code: wasm,
            upgraders: upgrades::upgraders(&keys, &args.upgraders, &session.chain.limits)?,
            args: encoded,
        };
        let info = session.transact(context, &key, call, args.fuel).await?;
        let mut schemas = Schemas::new(&session.client);
        if let Some(receipt) = &info.receipt {
            schemas.learn_events(receipt).await;
        }
        let what = match &schema {
            Some(schema) => format!("deploy {}", printable(&schema.name)),
            None => "deploy".to_owned(),
        };
        let seen = Seen {
            schema: schema.as_ref().ok_or_else(|| NO_SCHEMA.to_owned()),
            method: init,
            what,
        };
        let mut report = transaction_report(&info, &seen, &schemas, &Names::of(&keys))?;
        if let Some(object) = report.json.as_object_mut() {
            object.insert("code_hash".to_owned(), json!(code));
        }
        Ok(report)
    })
}

fn info(context: &Context, args: &ContractName) -> Result<Report, CliError> {
    let contract = contract_id(&args.contract)?;
    let names = context.names();
    block_on(async {
        let client = context.client()?;
        let info = client.contract(contract).await?;
        let versions = upgrades::versions(&client, contract, info.version).await?;
        let mut rows = Rows::default();
        rows.add("address", info.contract);
        rows.add("version", info.version);
        rows.add("code", info.code);
        rows.add("deployer", names.show(&info.deployer.to_string()));
        rows.add("upgrade", upgrades::upgraders_text(&info.upgraders, &names));
        for given in &info.approvals {
            let who = names.show(&given.account.to_string());
            rows.add("approved", format!("code {} by {who}", given.code));
        }
        for (at, version) in versions.iter().enumerate() {
            let VersionInfo {
                version,
                code,
                since,
            } = version;
            let name = if at == 0 { "versions" } else { "" };
            let TransactionPlace { height, index } = since;
            let place = format!("block {height}, transaction {index}");
            rows.add(name, format!("{version}  since {place}  code {code}"));
        }
        match schema_of(&info) {
            Ok(schema) => schema_rows(&mut rows, &schema),
            Err(error) => {
                rows.add("schema", error.message);
            }
        }
        let mut object = json!(info);
        object["versions"] = json!(versions);
        Ok(Report::new(rows.to_text(), object))
    })
}
