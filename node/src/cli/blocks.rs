//! `tx show`, `tx list` and `block show`.

use chancery_client::api::{
    CallInfo, Cursor, TransactionFilter, TransactionInfo, TransactionState,
};
use chancery_genesis::time;
use chancery_ledger::TransactionId;
use chancery_schema::{Method, Schema};
use serde_json::{Value, json};

use super::accounts::roles_text;
use super::args::{BlockCommand, BlockName, TransactionName, TransactionsArgs, TxCommand};
use super::calls::contract_id;
use super::context::{Context, block_on};
use super::events::{beyond, start};
use super::output::grouped;
use super::render::{
    NO_SCHEMA_ASKED, Names, Shown, arguments, bytes_rows, event_json, event_rows, named_rows,
};
use super::schemas::{Schemas, Version};
use super::upgrades::upgraders_text;
use super::{CliError, Report, Rows, Table, values};

/// The transaction that was typed.
pub(super) fn transaction_id(text: &str) -> Result<TransactionId, CliError> {
    text.parse().map_err(|_| {
        let text: String = text.chars().take(80).collect();
        CliError::usage(format!(
            "{text:?} is not a transaction: expected 64 hexadecimal digits"
        ))
    })
}

pub(super) fn transaction(context: &Context, command: &TxCommand) -> Result<Report, CliError> {
    let TransactionName { id } = match command {
        TxCommand::Show(name) => name,
        TxCommand::List(args) => return transactions(context, args),
    };
    let id = transaction_id(id)?;
    let names = context.names();
    block_on(async {
        let client = context.client()?;
        let info = client.transaction(id).await?;
        let mut schemas = Schemas::new(&client);
        let ran = schemas.learn_transaction(&info).await;
        Ok(transaction_shown(&info, ran, &schemas, &names))
    })
}

fn transactions(context: &Context, args: &TransactionsArgs) -> Result<Report, CliError> {
    let account = match &args.account {
        Some(account) => Some(values::account(&context.keys()?, account)?),
        None => None,
    };
    let filter = TransactionFilter {
        account,
        contract: args.contract.as_deref().map(contract_id).transpose()?,
    };
    let mut from = start(args.from.as_deref())?;
    let limit = usize::from(args.limit);
    block_on(async {
        let client = context.client()?;
        let mut listed: Vec<TransactionInfo> = Vec::new();
        let page = loop {
            let mut page = client.transactions(&filter, from, None).await?;
            listed.append(&mut page.transactions);
            if listed.len() >= limit || !page.more {
                break page;
            }
            from = beyond(from, page.next)?;
        };
        let cut = listed.len() > limit;
        listed.truncate(limit);
        let behind = listed.last().and_then(|last| last.height.zip(last.index));
        let next = match behind {
            Some((height, index)) if cut => Cursor::behind(height, index),
            _ => page.next,
        };
        let mut table = Table::new(&["HEIGHT", "INDEX", "ID", "CALL", "STATUS"]);
        for info in &listed {
            table.add(transaction_line(info));
        }
        let json = json!({
            "transactions": listed, "next": next, "more": cut || page.more,
            "final_height": page.final_height,
        });
        let text = format!("{}the next ones: --from {next}\n", table.to_text());
        Ok(Report::new(text, json))
    })
}

fn transaction_line(info: &TransactionInfo) -> Vec<String> {
    let number = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
    let call = match &info.call {
        Some(CallInfo::Invoke { method, .. }) => method.clone(),
        Some(CallInfo::Deploy { .. }) => "deploy".to_owned(),
        Some(CallInfo::Admit { .. }) => "admit".to_owned(),
        Some(CallInfo::Upgrade { .. }) => "upgrade".to_owned(),
        Some(CallInfo::ApproveUpgrade { .. }) => "approve upgrade".to_owned(),
        None => String::new(),
    };
    let status = info.receipt.as_ref().map(|receipt| {
        let shown = Shown {
            outcome: &receipt.outcome,
            schema: Err(NO_SCHEMA_ASKED),
            method: None,
        };
        shown.in_words()
    });
    vec![
        number(info.height.map(|height| height.to_string())),
        number(info.index.map(|index| index.to_string())),
        info.id.to_string(),
        call,
        status.unwrap_or_default(),
    ]
}

fn method_of<'a>(call: &CallInfo, schema: Option<&'a Schema>) -> Option<&'a Method> {
    match call {
        CallInfo::Invoke { method, .. } => schema?.callable(method),
        CallInfo::Deploy { .. } => schema?.init(),
        CallInfo::Upgrade { .. } => schema?.migrate(),
        CallInfo::Admit { .. } | CallInfo::ApproveUpgrade { .. } => None,
    }
}

/// What is known of a transaction. `ran` is the version that it called, of which all was learnt, or
/// why there is none.
fn transaction_shown(
    info: &TransactionInfo,
    ran: Result<Version, String>,
    schemas: &Schemas,
    names: &Names,
) -> Report {
    let told = ran.and_then(|ran| schemas.get(ran));
    let schema = told.as_ref().copied().map_err(String::as_str);
    let mut rows = Rows::default();
    rows.add("id", info.id);
    let state = match info.state {
        TransactionState::Unknown => "unknown here: never handed in, dropped, or not yet passed on",
        TransactionState::Pending => "pending: it waits to be ordered",
        TransactionState::Committed => "committed: executed, not yet certified by a quorum",
        TransactionState::Final => "final",
    };
    rows.add("state", state);
    if let Some(height) = info.height {
        let time = info.block_time.as_deref().unwrap_or("?");
        rows.add("height", format!("{height}, {time}"));
    }
    if let Some(sender) = &info.sender {
        rows.add("sender", names.show(&sender.to_string()));
    }
    if let Some(until) = info.valid_until_ms {
        rows.add("valid until", time::format(until));
    }
    let mut object = json!(info);
    let call = info.call.as_ref();
    let method = call.and_then(|call| method_of(call, schema.ok()));
    if let Some(call) = call {
        call_rows(&mut rows, call, (schema, method), names);
        if let CallInfo::Invoke { args, .. }
        | CallInfo::Deploy { args, .. }
        | CallInfo::Upgrade { args, .. } = call
        {
            let arguments = arguments(schema, method, &args.0);
            if let Err(reason) = &arguments {
                object["call"]["arguments_unknown"] = json!(reason);
            }
            object["call"]["arguments"] = arguments.unwrap_or_default();
        }
    }
    if let Some(receipt) = &info.receipt {
        let shown = Shown {
            outcome: &receipt.outcome,
            schema,
            method,
        };
        rows.add("status", shown.in_words());
        if let Some(reason) = shown.error_unknown() {
            rows.add("", format!("  without its name: {reason}"));
        }
        if let Some(value) = shown.value_text(names) {
            rows.add("value", value);
        }
        event_rows(&mut rows, receipt, schemas, names);
        rows.add("fuel", grouped(receipt.fuel_used.0));
        if let Some(receipt_object) = object["receipt"].as_object_mut() {
            shown.to_json(receipt_object);
            let events = receipt.events.iter();
            let events: Vec<Value> = events.map(|event| event_json(event, schemas)).collect();
            receipt_object.insert("events".to_owned(), json!(events));
        }
        object["status"] = json!(shown.status());
        object["contract"] = json!(receipt.contract);
    }
    Report::new(rows.to_text(), object)
}

fn call_rows(
    rows: &mut Rows,
    call: &CallInfo,
    (schema, method): (Result<&Schema, &str>, Option<&Method>),
    names: &Names,
) {
    let argument_rows = |rows: &mut Rows, bytes: &[u8]| match arguments(schema, method, bytes) {
        Ok(values) => {
            let fields = method.map(|method| method.args.as_slice());
            named_rows(rows, fields.unwrap_or_default(), &values, names);
        }
        Err(reason) => bytes_rows(rows, bytes, &reason),
    };
    match call {
        CallInfo::Invoke {
            contract,
            method,
            args,
        } => {
            rows.add("contract", contract);
            rows.add("call", method);
            argument_rows(rows, &args.0);
        }
        CallInfo::Deploy {
            code,
            upgraders,
            args,
        } => {
            rows.add("deploy", format!("code {code}"));
            argument_rows(rows, &args.0);
            rows.add("upgrade", upgraders_text(upgraders, names));
        }
        CallInfo::Upgrade {
            contract,
            version,
            code,
            args,
        } => {
            rows.add("contract", contract);
            rows.add("upgrade", format!("version {version} to code {code}"));
            argument_rows(rows, &args.0);
        }
        CallInfo::ApproveUpgrade { contract, approval } => {
            rows.add("contract", contract);
            let what = approval.map_or_else(
                || "nothing any more".to_owned(),
                |approval| format!("version {} to code {}", approval.version, approval.code),
            );
            rows.add("approve upgrade", what);
        }
        CallInfo::Admit { account, roles } => {
            rows.add("admit", names.show(&account.to_string()));
            rows.add("", format!("roles: {}", roles_text(roles)));
        }
    }
}

pub(super) fn block(context: &Context, command: &BlockCommand) -> Result<Report, CliError> {
    let BlockCommand::Show(BlockName { height }) = command;
    if height != "latest" && height.parse::<u64>().is_err() {
        let height: String = height.chars().take(80).collect();
        return Err(CliError::usage(format!(
            "{height:?} is not a height: expected a number or latest"
        )));
    }
    block_on(async {
        let block = context.client()?.block(height).await?;
        let mut rows = Rows::default();
        rows.add("height", block.height);
        rows.add("final", if block.is_final { "yes" } else { "not yet" });
        rows.add("time", &block.time);
        rows.add("hash", block.hash);
        rows.add("parent", block.parent);
        rows.add("batch", block.batch);
        rows.add("transactions", block.transactions.len());
        for id in &block.transactions {
            rows.add("", id);
        }
        rows.add("transactions root", block.transactions_root);
        rows.add("receipts root", block.receipts_root);
        let entries = grouped(block.state_count);
        rows.add(
            "state root",
            format!("{} ({entries} entries)", block.state_root),
        );
        Ok(Report::new(rows.to_text(), json!(block)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_client::Client;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_deployment_that_was_not_applied_is_shown_as_bytes_with_the_reason() {
        let zeros = "00".repeat(32);
        let info: TransactionInfo = serde_json::from_value(json!({
            "id": zeros, "state": "final",
            "call": {
                "kind": "deploy", "code": zeros, "args": "AQI=",
                "upgraders": {"quorum": 0, "accounts": []},
            },
            "receipt": {
                "status": "reverted", "code": 3, "data": "", "fuel_used": 1,
                "contract": zeros, "events": [],
            },
        }))
        .expect("a transaction");
        // Nobody is asked.
        let nobody = Client::new(["http://127.0.0.1:1".to_owned()]).expect("an address");
        let mut schemas = Schemas::new(&Arc::new(nobody));
        let ran = schemas.learn_transaction(&info).await;
        let reason = ran.clone().expect_err("its code is not in the state");
        let Report { text, json, .. } = transaction_shown(&info, ran, &schemas, &Names::default());
        for part in [
            "  AQI=",
            &format!("  as bytes: {reason}"),
            &format!("  without its name: {reason}"),
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        assert_eq!(json["call"]["arguments"], Value::Null);
        assert_eq!(json["call"]["arguments_unknown"], json!(reason));
        assert_eq!(json["receipt"]["error_unknown"], json!(reason));
    }
}
