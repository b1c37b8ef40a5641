//! `call`: a contract's method by a transaction, followed to finality. `query`: a view, as of now.

use chancery_client::TransactionBuilder;
use chancery_client::api::{QueryInfo, TimeSource, TransactionInfo};
use chancery_ledger::ContractId;
use chancery_schema::{Method, MethodError, MethodKind, Schema};
use serde_json::{Map, Value, json};

use super::args::{CallArgs, QueryArgs};
use super::context::{Context, block_on};
use super::output::grouped;
use super::render::{Names, Shown, event_json, event_rows};
use super::schemas::Schemas;
use super::submit::Session;
use super::values::{Values, encode_arguments, signature};
use super::{CliError, Report, Rows};

/// `chancery call`.
pub(super) fn call(context: &Context, args: &CallArgs) -> Result<Report, CliError> {
    let contract = contract_id(&args.contract)?;
    let keys = context.keys()?;
    let key = keys.load(&args.from)?;
    block_on(async {
        let session = Session::open(context).await?;
        let mut schemas = Schemas::new(&session.client);
        let newest = schemas.learn_newest(contract).await?;
        let undeclared = undeclared_method(MethodKind::Call, &args.method);
        let method = match schemas.get(newest) {
            Ok(schema) => schema
                .callable(&args.method)
                .ok_or_else(|| unknown_method(schema, &args.method, is_callable))?,
            Err(_) => &undeclared,
        };
        let values = Values {
            keys: &keys,
            now: session.now,
        };
        let encoded = encode_arguments(method, &args.args, context.behind_method(), &values)?;
        let call = TransactionBuilder::invoke(contract, &method.name, encoded);
        let what = method.name.clone();
        let info = session.transact(context, &key, call, args.fuel).await?;
        // The contract may have been upgraded in between.
        let ran = schemas.learn_transaction(&info).await;
        let schema = ran.and_then(|ran| schemas.get(ran));
        let known = schema.as_ref().ok().copied();
        let method = known.and_then(|schema| schema.callable(&what));
        let seen = Seen {
            schema,
            method,
            what,
        };
        transaction_report(&info, &seen, &schemas, &Names::of(&keys))
    })
}

/// What is known about a transaction besides what the node says of it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// Or why there is none.
    pub(super) schema: Result<&'a Schema, String>,
    pub(super) method: Option<&'a Method>,
    /// What was asked for, in a word or two.
    pub(super) what: String,
}

/// The report of a final transaction: `call`, `deploy` and `admit` end with it. `schemas` has learnt
/// what is needed to show its events.
pub(super) fn transaction_report(
    info: &TransactionInfo,
    seen: &Seen<'_>,
    schemas: &Schemas,
    names: &Names,
) -> Result<Report, CliError> {
    let (Some(receipt), Some(height)) = (&info.receipt, info.height) else {
        let message = format!(
            "the node calls transaction {} final without a receipt",
            info.id
        );
        return Err(CliError::failed("bad_answer", message));
    };
    let shown = Shown {
        outcome: &receipt.outcome,
        schema: seen.schema.as_ref().copied().map_err(String::as_str),
        method: seen.method,
    };
    let mut object = Map::new();
    object.insert("id".to_owned(), json!(info.id));
    object.insert("state".to_owned(), json!(info.state));
    object.insert("height".to_owned(), json!(height));
    object.insert("index".to_owned(), json!(info.index));
    object.insert("block_time".to_owned(), json!(info.block_time));
    object.insert("block_time_ms".to_owned(), json!(info.block_time_ms));
    object.insert("contract".to_owned(), json!(receipt.contract));
    object.insert("fuel_used".to_owned(), json!(receipt.fuel_used));
    let events: Vec<Value> = receipt
        .events
        .iter()
        .map(|event| event_json(event, schemas))
        .collect();
    object.insert("events".to_owned(), json!(events));
    shown.to_json(&mut object);

    let mut rows = Rows::default();
    rows.add(seen.what.as_str(), shown.in_words());
    if let Some(reason) = shown.error_unknown() {
        rows.add("", format!("  without its name: {reason}"));
    }
    rows.add("id", info.id);
    let block_time = info.block_time.as_deref().unwrap_or("?");
    rows.add("height", format!("{height}, {block_time}, final"));
    if let Some(contract) = &receipt.contract {
        rows.add("contract", contract);
    }
    if let Some(value) = shown.value_text(names) {
        rows.add("value", value);
    }
    event_rows(&mut rows, receipt, schemas, names);
    rows.add("fuel", grouped(receipt.fuel_used.0));
    Ok(Report {
        text: rows.to_text(),
        json: Value::Object(object),
        failure: shown.failure().map(|failure| {
            failure
                .detail("id", info.id.to_string())
                .detail("height", height.0)
        }),
    })
}

/// `chancery query`.
pub(super) fn query(context: &Context, args: &QueryArgs) -> Result<Report, CliError> {
    let contract = contract_id(&args.contract)?;
    let keys = context.keys()?;
    block_on(async {
        let session = Session::open(context).await?;
        let mut schemas = Schemas::new(&session.client);
        let newest = schemas.learn_newest(contract).await?;
        let undeclared = undeclared_method(MethodKind::View, &args.method);
        let method = match schemas.get(newest) {
            Ok(schema) => view(contract, schema, &args.method)?,
            Err(_) => &undeclared,
        };
        let values = Values {
            keys: &keys,
            now: session.now,
        };
        let encoded = encode_arguments(method, &args.args, context.behind_method(), &values)?;
        let what = method.name.clone();
        let answer = session.client.query(contract, &what, encoded).await?;
        // The contract may have been upgraded in between.
        let ran = (contract, Some(answer.contract_version));
        schemas.learn(ran).await;
        let schema = schemas.get(ran);
        let known = schema.as_ref().ok().copied();
        let method = known.and_then(|schema| schema.method(MethodKind::View, &what));
        let seen = Seen {
            schema,
            method,
            what,
        };
        Ok(query_report(contract, &answer, &seen, &Names::of(&keys)))
    })
}

fn view<'a>(contract: ContractId, schema: &'a Schema, name: &str) -> Result<&'a Method, CliError> {
    schema.view(name).map_err(|error| match error {
        MethodError::IsACall { .. } => {
            let message = format!("{name} may change state, so it is not a question");
            CliError::usage(message).code("not_a_view").hint(format!(
                "call it by a transaction: `chancery call {contract} {name} --from NAME …`"
            ))
        }
        MethodError::Unknown { .. } | MethodError::IsAView { .. } => {
            let is_view = |method: &Method| method.kind == MethodKind::View;
            unknown_method(schema, name, is_view)
        }
    })
}

fn query_report(
    contract: ContractId,
    answer: &QueryInfo,
    seen: &Seen<'_>,
    names: &Names,
) -> Report {
    let shown = Shown {
        outcome: &answer.outcome,
        schema: seen.schema.as_ref().copied().map_err(String::as_str),
        method: seen.method,
    };
    let mut object = Map::new();
    object.insert("contract".to_owned(), json!(contract));
    object.insert(
        "contract_version".to_owned(),
        json!(answer.contract_version),
    );
    object.insert("method".to_owned(), json!(seen.what));
    object.insert("height".to_owned(), json!(answer.height));
    object.insert("block_time".to_owned(), json!(answer.block_time));
    object.insert("block_time_ms".to_owned(), json!(answer.block_time_ms));
    object.insert("time_used".to_owned(), json!(answer.time_used));
    object.insert("time_used_ms".to_owned(), json!(answer.time_used_ms));
    object.insert("time_source".to_owned(), json!(answer.time_source));
    object.insert("fuel_used".to_owned(), json!(answer.fuel_used));
    shown.to_json(&mut object);

    let mut rows = Rows::default();
    let value = shown.value_text(names).unwrap_or_else(|| shown.in_words());
    rows.add(seen.what.as_str(), value);
    if let Some(reason) = shown.error_unknown() {
        rows.add("", format!("  without its name: {reason}"));
    }
    rows.add(
        "as of",
        format!("height {}, block time {}", answer.height, answer.block_time),
    );
    let source = match answer.time_source {
        TimeSource::Block => "block time",
        TimeSource::Clock => "the node's clock",
    };
    rows.add("now is", format!("{} ({source})", answer.time_used));
    Report {
        text: rows.to_text(),
        json: Value::Object(object),
        failure: shown.failure(),
    }
}

/// The contract that was typed.
pub(super) fn contract_id(text: &str) -> Result<ContractId, CliError> {
    text.parse().map_err(|_| {
        CliError::usage(format!(
            "{text:?} is not a contract: expected 64 hexadecimal digits"
        ))
        .hint("`chancery contract deploy` prints the contract that it makes")
    })
}

/// A method of a contract that does not say what its methods take: called without arguments, it
/// may do something all the same.
fn undeclared_method(kind: MethodKind, name: &str) -> Method {
    Method {
        name: name.to_owned(),
        kind,
        docs: String::new(),
        args: Vec::new(),
        returns: None,
    }
}

fn is_callable(method: &Method) -> bool {
    matches!(method.kind, MethodKind::Call | MethodKind::View)
}

fn unknown_method(schema: &Schema, name: &str, fits: impl Fn(&Method) -> bool) -> CliError {
    let there: Vec<String> = schema
        .methods
        .iter()
        .filter(|method| fits(method))
        .map(signature)
        .collect();
    let name: String = name.chars().take(80).collect();
    CliError::usage(format!(
        "contract {} has no such method: {name:?}",
        schema.name
    ))
    .code("unknown_method")
    .hint(match there.as_slice() {
        [] => "it has none".to_owned(),
        there => format!("there is: {}", there.join("; ")),
    })
}
