//! Makes a devnet's directory: homes, registrar, genesis, policy. Everything is made next to it
//! and renamed into place, so that there is all of it or nothing.

use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chancery_client::{KeyStore, clock};
use chancery_genesis::{Genesis, PeerAddress};
use chancery_ledger::ChainLimits;

use super::description::{Description, Member};
use crate::cli::{
    CliError, REGISTRAR, create_file, home_error, make_home, policy_text, read_genesis, read_text,
    registrar_account,
};
use crate::config::{CONFIG_BYTES_MAX, NodeConfig};
use crate::home::Home;

const NAME: &str = "devnet";
pub(super) const GENESIS: &str = "genesis.toml";
const POLICY: &str = "policy";

/// The two ports of a validator.
#[derive(Debug, Clone, Copy)]
struct Ports {
    p2p: SocketAddr,
    api: SocketAddr,
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> CliError {
    let path = path.to_owned();
    move |error| CliError::failed("io", format!("{}: {error}", path.display()))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Whether there is a devnet in `directory`.
pub(super) fn is_founded(directory: &Path) -> bool {
    directory.join(GENESIS).exists()
}

/// Makes a devnet of so many validators in `directory`, which is not there or empty.
pub(super) fn found(
    directory: &Path,
    validators: u16,
    base_port: Option<u16>,
    limits: &ChainLimits,
) -> Result<(), CliError> {
    let is_free = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            return Err(CliError::usage(format!("{}: {error}", directory.display())).code("file"));
        }
    };
    if !is_free {
        return Err(CliError::usage(format!(
            "{} is neither empty nor a devnet",
            directory.display()
        ))
        .code("not_a_devnet")
        .hint("name a directory that is not there yet"));
    }
    let ports = choose_ports(validators, base_port)?;
    let new = new_beside(directory)?;
    if let Some(parent) = new.parent() {
        fs::create_dir_all(parent).map_err(io_error(parent))?;
    }
    DirBuilder::new()
        .mode(0o700)
        .create(&new)
        .map_err(io_error(&new))?;
    let made = fill(&new, &ports, limits)
        .and_then(|()| fs::rename(&new, directory).map_err(io_error(directory)));
    if made.is_err() {
        // What failed is what matters.
        let _ = fs::remove_dir_all(&new);
    }
    made
}

fn new_beside(directory: &Path) -> Result<PathBuf, CliError> {
    let name = directory.file_name().ok_or_else(|| {
        CliError::usage(format!(
            "{} cannot be a devnet's directory",
            directory.display()
        ))
    })?;
    let mut new = std::ffi::OsString::from(".");
    new.push(name);
    new.push(format!(".new-{}", std::process::id()));
    Ok(directory.with_file_name(new))
}

fn fill(root: &Path, ports: &[Ports], limits: &ChainLimits) -> Result<(), CliError> {
    let mut homes = Vec::new();
    let mut cards = Vec::new();
    for (number, Ports { p2p, api }) in (1..).zip(ports) {
        let name = format!("validator-{number}");
        let address: PeerAddress = p2p
            .to_string()
            .parse()
            .map_err(|error| CliError::usage(format!("{p2p}: {error}")))?;
        let config = NodeConfig::listening_on(*p2p, *api);
        let home = make_home(
            &root.join("validators").join(&name),
            &name,
            address,
            &config,
        )?;
        cards.push(home.card().map_err(home_error)?);
        homes.push(home);
    }
    let registrar = KeyStore::new(root.join("keys")).create(REGISTRAR)?;
    let genesis = Genesis::new(
        NAME.to_owned(),
        clock(),
        limits.clone(),
        cards,
        vec![registrar_account(REGISTRAR, registrar.account())],
    )
    .map_err(|error| CliError::usage(error.to_string()).code("genesis"))?;
    let toml = genesis.to_toml();
    for home in homes {
        home.join(&toml).map_err(home_error)?;
    }
    create_file(&root.join(POLICY), policy_text(&genesis).as_bytes())?;
    create_file(&root.join(GENESIS), toml.as_bytes())
}

/// What is in a devnet's directory, with nobody running.
pub(super) fn describe(directory: &Path) -> Result<Description, CliError> {
    let path = directory.join(GENESIS);
    let genesis = read_genesis(&path)?;
    let mut validators = Vec::new();
    for card in genesis.members() {
        let home = Home::new(directory.join("validators").join(card.name()));
        let path = home.config_path();
        let config = NodeConfig::parse(&read_text(&path, CONFIG_BYTES_MAX)?).map_err(|error| {
            CliError::usage(format!("{}: {error}", path.display())).code("home")
        })?;
        validators.push(Member {
            name: card.name().to_owned(),
            pid: None,
            home: home.root().to_owned(),
            api: format!("http://{}", config.api.listen),
            p2p: config.p2p.listen.to_string(),
        });
    }
    Ok(Description {
        chain_id: genesis.chain_id(),
        policy: directory.join(POLICY),
        genesis: path,
        validators,
    })
}

/// Checks that every port of a devnet is free now.
pub(super) fn ports_are_free(description: &Description) -> Result<(), CliError> {
    for member in &description.validators {
        let api = member.api.strip_prefix("http://").unwrap_or(&member.api);
        if let Err(error) = TcpListener::bind(api) {
            return Err(taken(
                &format!("{api} (TCP, the API of {})", member.name),
                &error,
            ));
        }
        if let Err(error) = UdpSocket::bind(&member.p2p) {
            let what = format!("{} (UDP, for the peers of {})", member.p2p, member.name);
            return Err(taken(&what, &error));
        }
    }
    Ok(())
}

fn taken(what: &str, error: &std::io::Error) -> CliError {
    CliError::usage(format!("{what} cannot be used: {error}"))
        .code("port_taken")
        .hint("end what uses it; a devnet keeps the ports it was made with")
}

fn choose_ports(validators: u16, base_port: Option<u16>) -> Result<Vec<Ports>, CliError> {
    // All sockets stay open until all ports are chosen, so that none is chosen twice.
    let mut sockets = Vec::new();
    let mut ports = Vec::new();
    for index in 0..validators {
        let (p2p_port, api_port) = match base_port {
            Some(base) => {
                let p2p = index
                    .checked_mul(2)
                    .and_then(|offset| base.checked_add(offset));
                let api = p2p.and_then(|port| port.checked_add(1));
                match (p2p, api) {
                    (Some(p2p), Some(api)) => (p2p, api),
                    _ => {
                        return Err(CliError::usage(format!(
                            "--base-port {base}: there are not {} ports from there on",
                            u32::from(validators) * 2
                        )));
                    }
                }
            }
            None => (0, 0),
        };
        let udp = UdpSocket::bind(loopback(p2p_port))
            .map_err(|error| taken(&format!("UDP port {p2p_port}"), &error))?;
        let tcp = TcpListener::bind(loopback(api_port))
            .map_err(|error| taken(&format!("TCP port {api_port}"), &error))?;
        let address = |address: std::io::Result<SocketAddr>| {
            address.map_err(|error| CliError::failed("io", error.to_string()))
        };
        ports.push(Ports {
            p2p: address(udp.local_addr())?,
            api: address(tcp.local_addr())?,
        });
        sockets.push((udp, tcp));
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devnet_is_made_whole_and_described_as_made() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let directory = place.path().join("deep/net");
        let limits = ChainLimits {
            value_bytes_max: 1_000,
            ..ChainLimits::default()
        };
        found(&directory, 4, None, &limits).expect("is made");
        assert!(is_founded(&directory));
        let genesis = read_genesis(&directory.join(GENESIS)).expect("a document");
        assert_eq!(genesis.limits(), &limits);
        let description = describe(&directory).expect("is described");
        assert_eq!(description.validators.len(), 4);
        assert!(ports_are_free(&description).is_ok());
        assert!(description.running().is_empty());
        description.write(&directory).expect("is written");
        assert_eq!(Description::read(&directory).expect("is read"), description);
        let beside = fs::read_dir(place.path().join("deep"))
            .expect("reads")
            .count();
        assert_eq!(beside, 1, "nothing is left beside it");

        let held = UdpSocket::bind(&description.validators[2].p2p).expect("is free");
        let error = ports_are_free(&description).expect_err("one port is taken");
        assert!(error.message.contains("validator-3"), "{error:?}");
        drop(held);
    }

    #[test]
    fn what_cannot_be_a_devnet_is_left_alone() {
        let place = tempfile::tempdir().expect("a temporary directory");
        fs::write(place.path().join("letter"), "mine").expect("writes");
        let found = |directory: &Path, validators, base_port| {
            found(directory, validators, base_port, &ChainLimits::default())
        };
        let error = found(place.path(), 4, None).expect_err("not empty");
        assert_eq!(error.code, "not_a_devnet");
        let file = place.path().join("letter");
        assert!(found(&file, 4, None).is_err());
        let error = found(&place.path().join("net"), 4, Some(65_530)).expect_err("no ports");
        assert!(error.message.contains("base-port"), "{error:?}");
        let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = held.local_addr().expect("an address").port();
        let error = found(&place.path().join("net"), 1, Some(port - 1)).expect_err("taken");
        assert_eq!(error.code, "port_taken");
        assert_eq!(fs::read_dir(place.path()).expect("reads").count(), 1);
    }
}
