//! Founds a network whose homes the command line makes and whose limits and addresses the test
//! chooses, in the layout that `chancery devnet start` resumes.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use chancery_client::{KeyStore, clock};
use chancery_genesis::{Genesis, GenesisAccount, MemberCard};
use chancery_ledger::{ChainLimits, Role};
use chancery_node::config::NodeConfig;
use chancery_node::devnet::{Description, Member};

use crate::command::chancery;
use crate::proxy::Proxy;

/// What is founded.
#[derive(Debug, Clone)]
pub struct Founding {
    /// How many validators.
    pub validators: usize,
    /// The chain's limits.
    pub limits: ChainLimits,
    /// Whether the validators reach each other through a [`Proxy`].
    pub proxied: bool,
}

impl Founding {
    /// So many validators, everything else as a devnet has it.
    #[must_use]
    pub fn of(validators: usize) -> Self {
        Self {
            validators,
            limits: ChainLimits::default(),
            proxied: false,
        }
    }

    /// Fills `directory`; nobody runs yet, except the proxy.
    ///
    /// # Panics
    /// If any step fails.
    #[must_use]
    pub fn fill(&self, directory: &Path) -> Option<Proxy> {
        // All sockets stay open until all ports are chosen, so that none is chosen twice.
        let listen: Vec<UdpSocket> = (0..self.validators).map(|_| free_udp()).collect();
        let api: Vec<TcpListener> = (0..self.validators).map(|_| free_tcp()).collect();
        let listen: Vec<SocketAddr> = listen
            .iter()
            .map(|socket| socket.local_addr().expect("an address"))
            .collect();
        let api: Vec<SocketAddr> = api
            .iter()
            .map(|socket| socket.local_addr().expect("an address"))
            .collect();
        let proxy = self
            .proxied
            .then(|| Proxy::start(&listen).expect("loopback has free ports"));
        let mut cards = Vec::new();
        for index in 0..self.validators {
            let public = proxy
                .as_ref()
                .map_or(listen[index], |proxy| proxy.public(index));
            cards.push(make_home(
                directory,
                index,
                public,
                listen[index],
                api[index],
            ));
        }
        let registrar = KeyStore::new(directory.join("keys"))
            .create("registrar")
            .expect("a key");
        let registrar = GenesisAccount {
            name: "registrar".to_owned(),
            account: registrar.account(),
            roles: vec![Role::Registrar],
        };
        let genesis = Genesis::new(
            "devnet".to_owned(),
            clock(),
            self.limits.clone(),
            cards,
            vec![registrar],
        );
        let genesis = genesis.expect("a genesis");
        let path = directory.join("genesis.toml");
        std::fs::write(&path, genesis.to_toml()).expect("a file");
        for index in 0..self.validators {
            let copy = home_of(directory, index).join("genesis.toml");
            std::fs::copy(&path, copy).expect("a copy");
        }
        let printed = chancery(&["genesis", "policy", &path.display().to_string()]);
        let policy = directory.join("policy");
        std::fs::write(&policy, printed.text("policy")).expect("a file");
        let member = |index: usize| Member {
            name: name_of(index),
            pid: None,
            home: home_of(directory, index),
            api: format!("http://{}", api[index]),
            p2p: listen[index].to_string(),
        };
        let description = Description {
            chain_id: genesis.chain_id(),
            policy,
            genesis: path,
            validators: (0..self.validators).map(member).collect(),
        };
        description.write(directory).expect("a file");
        proxy
    }
}

fn name_of(index: usize) -> String {
    format!("validator-{}", index + 1)
}

fn home_of(directory: &Path, index: usize) -> PathBuf {
    directory.join("validators").join(name_of(index))
}

fn make_home(
    directory: &Path,
    index: usize,
    public: SocketAddr,
    listen: SocketAddr,
    api: SocketAddr,
) -> MemberCard {
    let home = home_of(directory, index);
    let name = name_of(index);
    let (public, api) = (public.to_string(), api.to_string());
    let made = chancery(&[
        "node",
        "init",
        "--home",
        &home.display().to_string(),
        "--name",
        &name,
        "--address",
        &public,
        "--api",
        &api,
    ]);
    assert_eq!(made.code, 0, "a home is made: {made:?}");
    configure(&home, |config| config.p2p.listen = listen);
    let card = std::fs::read_to_string(home.join("member.toml")).expect("a card");
    MemberCard::parse(&card).expect("a card")
}

/// Changes the configuration of the node with that home.
///
/// # Panics
/// If there is none, or it is none.
pub fn configure(home: &Path, change: impl FnOnce(&mut NodeConfig)) {
    let path = home.join("node.toml");
    let text = std::fs::read_to_string(&path).expect("a configuration");
    let mut config = NodeConfig::parse(&text).expect("a configuration");
    change(&mut config);
    std::fs::write(&path, config.to_toml()).expect("a file");
}

/// A UDP socket of a free port on loopback.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a free port")
}

/// A TCP listener of a free port on loopback.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_tcp() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}
