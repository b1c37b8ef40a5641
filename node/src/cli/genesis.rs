//! `genesis new`, `check`, `hash`, `policy`.

use std::path::Path;

use chancery_client::clock;
use chancery_genesis::document::GENESIS_BYTES_MAX;
use chancery_genesis::member_card::CARD_BYTES_MAX;
use chancery_genesis::{Genesis, GenesisAccount, MemberCard, time};
use chancery_ledger::policy::Policy;
use chancery_ledger::{AccountId, ChainLimits, Role};
use serde_json::{Value, json};

use super::accounts::roles_text;
use super::args::{GenesisCommand, GenesisNewArgs};
use super::context::Context;
use super::{CliError, Report, Rows, files, values};

pub(super) fn genesis(context: &Context, command: GenesisCommand) -> Result<Report, CliError> {
    match command {
        GenesisCommand::New(args) => new(context, &args),
        GenesisCommand::Check(args) => {
            let genesis = read(&args.file)?;
            Ok(Report::new(rows(&genesis).to_text(), summary(&genesis)))
        }
        GenesisCommand::Hash(args) => {
            let chain = read(&args.file)?.chain_id();
            Ok(Report::new(chain.to_string(), json!({ "chain_id": chain })))
        }
        GenesisCommand::Policy(args) => {
            let policy = policy_text(&read(&args.file)?);
            Ok(Report::new(policy.clone(), json!({ "policy": policy })))
        }
    }
}

/// What `verify` trusts: a quorum of the document's validators.
pub(crate) fn policy_text(genesis: &Genesis) -> String {
    Policy::of_validators(genesis.chain_id(), genesis.validators()).to_string()
}

/// Founders: the accounts that may admit others.
pub(crate) fn registrar(name: &str, account: AccountId) -> GenesisAccount {
    GenesisAccount {
        name: name.to_owned(),
        account,
        roles: vec![Role::Registrar],
    }
}

/// The document in a file.
pub(crate) fn read(file: &Path) -> Result<Genesis, CliError> {
    let text = files::read_text(file, GENESIS_BYTES_MAX)?;
    Genesis::parse(&text)
        .map_err(|error| CliError::usage(format!("{}: {error}", file.display())).code("genesis"))
}

/// The limits and prices of the document in a file; the usual ones where none is named.
pub(crate) fn limits_of(file: Option<&Path>) -> Result<ChainLimits, CliError> {
    Ok(match file {
        Some(file) => read(file)?.limits().clone(),
        None => ChainLimits::default(),
    })
}

fn new(context: &Context, args: &GenesisNewArgs) -> Result<Report, CliError> {
    if let Some(out) = &args.out {
        files::must_be_free(out)?;
    }
    let mut members = Vec::new();
    for path in &args.members {
        let text = files::read_text(path, CARD_BYTES_MAX)?;
        let card = MemberCard::parse(&text).map_err(|error| {
            CliError::usage(format!("{}: {error}", path.display())).code("member_card")
        })?;
        members.push(card);
    }
    let keys = context.keys()?;
    let mut accounts = Vec::new();
    for (number, text) in (1..).zip(&args.registrars) {
        let account = values::account(&keys, text)?;
        let name = match (text.starts_with("did:"), number) {
            (false, _) => text.clone(),
            (true, 1) => "registrar".to_owned(),
            (true, number) => format!("registrar-{number}"),
        };
        accounts.push(registrar(&name, account));
    }
    let genesis = Genesis::new(
        args.name.clone(),
        clock(),
        ChainLimits::default(),
        members,
        accounts,
    )
    .map_err(|error| CliError::usage(error.to_string()).code("genesis"))?;
    let toml = genesis.to_toml();
    let mut json = summary(&genesis);
    let text = match &args.out {
        Some(out) => {
            files::create(out, toml.as_bytes())?;
            json["file"] = json!(out);
            let mut rows = rows(&genesis);
            rows.add("file", out.display());
            rows.to_text()
        }
        None => {
            json["genesis"] = json!(toml);
            toml
        }
    };
    Ok(Report::new(text, json))
}

fn rows(genesis: &Genesis) -> Rows {
    let validators = genesis.validators();
    let mut rows = Rows::default();
    rows.add("network", genesis.name());
    rows.add("chain id", genesis.chain_id());
    rows.add("begins", time::format(genesis.time()));
    rows.add(
        "validators",
        format!(
            "{}, of whom {} decide and {} may be faulty",
            validators.count(),
            validators.quorum(),
            validators.faulty_max()
        ),
    );
    for member in genesis.members() {
        rows.add("", format!("{} at {}", member.name(), member.address()));
    }
    for account in genesis.accounts() {
        rows.add(
            "account",
            format!("{}: {}", account.name, roles_text(&account.roles)),
        );
        rows.add("", account.account);
    }
    rows
}

fn summary(genesis: &Genesis) -> Value {
    let validators = genesis.validators();
    let members: Vec<Value> = genesis
        .members()
        .iter()
        .map(|member| json!({"name": member.name(), "address": member.address().as_str()}))
        .collect();
    let accounts: Vec<Value> = genesis
        .accounts()
        .iter()
        .map(|account| {
            json!({"name": account.name, "account": account.account, "roles": account.roles})
        })
        .collect();
    json!({
        "name": genesis.name(),
        "chain_id": genesis.chain_id(),
        "genesis_time": time::format(genesis.time()),
        "genesis_time_ms": genesis.time(),
        "validators": members,
        "quorum": validators.quorum(),
        "accounts": accounts,
        "limits": genesis.limits(),
    })
}
