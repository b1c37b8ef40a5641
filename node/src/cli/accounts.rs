//! `account show` and `account admit`.

use chancery_client::TransactionBuilder;
use serde_json::json;

use super::args::{AccountCommand, AccountName, AdmitArgs};
use super::calls::{Seen, transaction_report};
use super::context::{Context, block_on};
use super::render::{NO_CONTRACT, Names};
use super::schemas::Schemas;
use super::submit::Session;
use super::values;
use super::{CliError, Report, Rows};

pub(super) fn account(context: &Context, command: AccountCommand) -> Result<Report, CliError> {
    match command {
        AccountCommand::Show(args) => show(context, &args),
        AccountCommand::Admit(args) => admit(context, &args),
    }
}

/// Roles in a line; having none is worth a word.
pub(super) fn roles_text(roles: &[chancery_ledger::Role]) -> String {
    let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    match roles.as_slice() {
        [] => "none (may call contracts)".to_owned(),
        roles => roles.join(", "),
    }
}

fn show(context: &Context, args: &AccountName) -> Result<Report, CliError> {
    let keys = context.keys()?;
    let account = values::account(&keys, &args.account)?;
    let info = block_on(async { Ok(context.client()?.account(account).await?) })?;
    let mut rows = Rows::default();
    rows.add("account", Names::of(&keys).show(&info.account.to_string()));
    rows.add("roles", roles_text(&info.roles));
    Ok(Report::new(rows.to_text(), json!(info)))
}

fn admit(context: &Context, args: &AdmitArgs) -> Result<Report, CliError> {
    let keys = context.keys()?;
    let account = values::account(&keys, &args.account)?;
    let key = keys.load(&args.from)?;
    block_on(async {
        let session = Session::open(context).await?;
        let call = TransactionBuilder::admit(account, args.roles.clone());
        let info = session.transact(context, &key, call, None).await?;
        let schemas = Schemas::new(&session.client);
        let seen = Seen {
            schema: Err(NO_CONTRACT.to_owned()),
            method: None,
            what: "admit".to_owned(),
        };
        let mut report = transaction_report(&info, &seen, &schemas, &Names::of(&keys))?;
        if let Some(object) = report.json.as_object_mut() {
            object.insert("account".to_owned(), json!(account));
            object.insert("roles".to_owned(), json!(args.roles));
        }
        Ok(report)
    })
}
