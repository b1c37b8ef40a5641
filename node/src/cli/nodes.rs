//! `node`: runs one validator, as its operator does. `node init`: makes its home.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use chancery_genesis::PeerAddress;
use serde_json::json;

use super::args::{NodeArgs, NodeCommand, NodeInitArgs};
use super::{CliError, Exit, Report, Rows};
use crate::config::{ApiConfig, NodeConfig};
use crate::home::{Home, HomeError};
use crate::node::NodeError;
use crate::store::VoteLog;

pub(super) fn node(args: NodeArgs) -> Result<Report, CliError> {
    match (args.command, args.home) {
        (Some(NodeCommand::Init(args)), _) => init(&args),
        (None, Some(home)) => run(&home),
        (None, None) => Err(CliError::usage("--home DIR is missing")),
    }
}

fn run(home: &Path) -> Result<Report, CliError> {
    crate::node::run(home).map_err(|error| {
        let message = format!("{}: {error}", home.display());
        match error {
            NodeError::UnsafeKey { .. } => CliError::new(Exit::UnsafeKey, "unsafe_key", message)
                .hint("see to it that one process only uses this key, with its own newest vote log; if that log is lost, move votes.a and votes.b away, and the validator starts in quarantine"),
            _ => CliError::failed("node", message),
        }
    })?;
    Ok(Report::new(
        "stopped",
        json!({"home": home, "stopped": true}),
    ))
}

fn init(args: &NodeInitArgs) -> Result<Report, CliError> {
    let address: PeerAddress = args
        .address
        .parse()
        .map_err(|error| CliError::usage(format!("--address: {error}")))?;
    let api = match &args.api {
        Some(api) => api
            .parse()
            .map_err(|_| CliError::usage(format!("--api {api:?} is not IP:PORT")))?,
        None => ApiConfig::default().listen,
    };
    // A name, and an address that a router forwards, are not addresses of this machine.
    let listen = match address.ip() {
        Some(ip) => ip,
        None => {
            let port = address
                .as_str()
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok());
            let port = port.ok_or_else(|| CliError::usage("--address has no port"))?;
            SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port))
        }
    };
    let config = NodeConfig::listening_on(listen, api);
    let home = make(&args.home, &args.name, address, &config)?;
    let mut rows = Rows::default();
    rows.add("home", home.root().display());
    rows.add("card", home.member_path().display());
    rows.add(
        "",
        "give the card to the others; `chancery genesis new` puts the cards together",
    );
    rows.add("config", home.config_path().display());
    Ok(Report::new(
        rows.to_text(),
        json!({
            "home": home.root(), "name": args.name, "card": home.member_path(),
            "config": home.config_path(), "p2p": args.address, "api": api.to_string(),
        }),
    ))
}

/// Makes a validator's home with an empty vote log.
pub(crate) fn make(
    root: &Path,
    name: &str,
    address: PeerAddress,
    config: &NodeConfig,
) -> Result<Home, CliError> {
    let home = Home::new(root);
    let card = home.init(name, address, config).map_err(home_error)?;
    let made = VoteLog::create(home.root(), card.validator().consensus_key);
    if let Err(error) = made {
        // All of it was made just now. What failed is what matters.
        let _ = fs::remove_dir_all(home.keys().directory());
        let _ = fs::remove_file(home.config_path());
        let _ = fs::remove_file(home.member_path());
        let _ = fs::remove_dir(home.root());
        return Err(CliError::failed("vote_log", error.to_string()));
    }
    Ok(home)
}

/// A home that cannot be made is wrong usage, unless the system failed.
pub(crate) fn home_error(error: HomeError) -> CliError {
    let message = error.to_string();
    match error {
        HomeError::Io { .. } => CliError::failed("io", message),
        HomeError::Key(error) => error.into(),
        _ => CliError::usage(message).code("home"),
    }
}
