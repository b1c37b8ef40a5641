//! `keys new`, `show`, `list`.

use chancery_client::api::{Outcome, TransactionInfo};
use chancery_client::{KeyStore, KeyStoreError, TransactionBuilder};
use chancery_ledger::{Role, SecretKey};
use serde_json::json;

use super::accounts::roles_text;
use super::args::{KeyName, KeysCommand, KeysNewArgs};
use super::context::{Context, block_on};
use super::output::Table;
use super::render::{NO_CONTRACT, Shown};
use super::submit::Session;
use super::{CliError, Exit, Report, Rows};

/// The key on a devnet that may admit accounts.
pub(crate) const REGISTRAR: &str = "registrar";

pub(super) fn keys(context: &Context, command: KeysCommand) -> Result<Report, CliError> {
    match command {
        KeysCommand::New(args) => new(context, &args),
        KeysCommand::Show(args) => show(context, &args),
        KeysCommand::List => list(context),
    }
}

fn new(context: &Context, args: &KeysNewArgs) -> Result<Report, CliError> {
    let keys = context.keys()?;
    let path = keys.path(&args.name)?;
    if context.devnet().is_some() {
        return new_on_devnet(context, &keys, args);
    }
    if !args.roles.is_empty() {
        return Err(
            CliError::usage("--role belongs to an admission, which is made here only on a devnet")
                .hint("without --devnet: `chancery keys new NAME`, then a registrar's `chancery account admit`"),
        );
    }
    let account = keys.create(&args.name)?.account();
    let mut rows = Rows::default();
    rows.add("key", path.display());
    rows.add("account", account);
    Ok(Report::new(
        rows.to_text(),
        json!({"name": args.name, "account": account, "path": path, "admitted": false}),
    ))
}

fn new_on_devnet(
    context: &Context,
    keys: &KeyStore,
    args: &KeysNewArgs,
) -> Result<Report, CliError> {
    let path = keys.path(&args.name)?;
    if path.symlink_metadata().is_ok() {
        return Err(KeyStoreError::Exists {
            name: args.name.clone(),
            path,
        }
        .into());
    }
    let registrar = keys.load(REGISTRAR)?;
    let roles = if args.roles.is_empty() {
        vec![Role::Deployer]
    } else {
        args.roles.clone()
    };
    block_on(async {
        // Whatever can be known to fail fails before there is a key.
        let session = Session::open(context).await?;
        let account = keys.create(&args.name)?.account();
        let admission = TransactionBuilder::admit(account, roles.clone());
        let info = match admit(context, &session, &registrar, admission).await {
            Ok(info) => info,
            Err(error) if error.exit == Exit::NotFinal => {
                let message = format!(
                    "the key {:?} is made, its admission was not final in time: {}",
                    args.name, error.message
                );
                return Err(error.message(message).detail("name", args.name.clone()));
            }
            Err(error) => {
                keys.remove(&args.name)?;
                return Err(error);
            }
        };
        let mut rows = Rows::default();
        rows.add("key", path.display());
        rows.add("account", account);
        let height = info
            .height
            .map_or_else(String::new, |height| height.to_string());
        rows.add(
            "admitted",
            format!("at height {height}, roles: {}", roles_text(&roles)),
        );
        Ok(Report::new(
            rows.to_text(),
            json!({
                "name": args.name, "account": account, "path": path, "admitted": true,
                "roles": roles, "id": info.id, "height": info.height, "status": "applied",
            }),
        ))
    })
}

async fn admit(
    context: &Context,
    session: &Session,
    registrar: &SecretKey,
    admission: chancery_ledger::Call,
) -> Result<TransactionInfo, CliError> {
    let info = session
        .transact(context, registrar, admission, None)
        .await?;
    let outcome = info.receipt.as_ref().map(|receipt| &receipt.outcome);
    match outcome {
        None | Some(Outcome::Applied { .. }) => Ok(info),
        Some(outcome) => {
            let shown = Shown {
                outcome,
                schema: Err(NO_CONTRACT),
                method: None,
            };
            let failure = shown.failure();
            Err(failure.unwrap_or_else(|| CliError::failed("not_admitted", "not admitted")))
        }
    }
}

fn show(context: &Context, args: &KeyName) -> Result<Report, CliError> {
    let keys = context.keys()?;
    let (path, account) = (keys.path(&args.name)?, keys.load(&args.name)?.account());
    let mut rows = Rows::default();
    rows.add("key", path.display());
    rows.add("account", account);
    Ok(Report::new(
        rows.to_text(),
        json!({"name": args.name, "account": account, "path": path}),
    ))
}

fn list(context: &Context) -> Result<Report, CliError> {
    let keys = context.keys()?;
    let entries = keys.list()?;
    let mut table = Table::new(&["NAME", "ACCOUNT"]);
    let mut objects = Vec::new();
    for entry in &entries {
        let (account, error) = match &entry.account {
            Ok(account) => (Some(account), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let shown = match (account, &error) {
            (Some(account), _) => account.to_string(),
            (None, error) => format!("cannot be used: {}", error.clone().unwrap_or_default()),
        };
        table.add(vec![entry.name.clone(), shown]);
        objects.push(json!({
            "name": entry.name, "account": account, "path": entry.path, "error": error,
        }));
    }
    let text = if entries.is_empty() {
        format!("there are no keys in {}", keys.directory().display())
    } else {
        table.to_text()
    };
    Ok(Report::new(text, json!({ "keys": objects })))
}
