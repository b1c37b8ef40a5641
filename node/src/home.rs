//! A validator's home: the directory with its configuration, keys, card, ledger and votes.
//!
//! ```text
//! HOME/node.toml                             configuration
//! HOME/member.toml                           public card, signed by the consensus key
//! HOME/genesis.toml                          the document of the network it belongs to
//! HOME/keys/{consensus,network,log}.key      secret keys, mode 0600
//! HOME/ledger.redb                           blocks and state
//! HOME/votes.a, votes.b                      vote log
//! HOME/evidence/*.scale                      proofs that validators lied
//! HOME/compiled/*                            compiled contracts; may be removed at any time
//! ```
//! A home is made once, by [`Home::init`]; nothing that stands in it is ever replaced. The card
//! says which key is which, so keys that were swapped are noticed at the start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use chancery_client::{KeyStore, KeyStoreError};
use chancery_genesis::document::GENESIS_BYTES_MAX;
use chancery_genesis::member_card::CARD_BYTES_MAX;
use chancery_genesis::{CardError, Genesis, GenesisError, MemberCard, PeerAddress};
use chancery_ledger::{AccountId, PublicKey, SecretKey, ValidatorIndex};

use crate::config::{CONFIG_BYTES_MAX, ConfigError, NodeConfig};

const CONSENSUS: &str = "consensus";
const NETWORK: &str = "network";
const LOG: &str = "log";

/// Why a home cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is a home already, or a part of one.
    #[error("{} exists already: a home is never overwritten", .path.display())]
    Exists {
        /// The file or directory.
        path: PathBuf,
    },
    /// A file that every home has.
    #[error("{} is missing{}", .path.display(), missing_hint(.path))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file longer than its kind can be, or not text.
    #[error("{} is longer than {len_max} bytes or not text", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The limit.
        len_max: usize,
    },
    /// A secret key is missing, exposed or damaged.
    #[error(transparent)]
    Key(#[from] KeyStoreError),
    /// Not a configuration.
    #[error("{}: {error}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What it breaks.
        error: ConfigError,
    },
    /// Not a member card, or none that could be made.
    #[error("member card: {0}")]
    Card(#[from] CardError),
    /// Not a genesis document.
    #[error("{}: {error}", .path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What it breaks.
        error: Box<GenesisError>,
    },
    /// A secret key that is not the one of the card: swapped, or of another member.
    #[error("{} holds the key of {found}, but the member card names {expected}", .path.display())]
    WrongKey {
        /// The key file.
        path: PathBuf,
        /// Whose secret key it is.
        found: AccountId,
        /// What the card says.
        expected: AccountId,
    },
    /// The network's document does not name this member.
    #[error("genesis.toml of network {network:?} has no validator {name:?}")]
    NotAMember {
        /// The network.
        network: String,
        /// This member.
        name: String,
    },
    /// The network's document names other keys or another address for this member.
    #[error(
        "genesis.toml of network {network:?} has another card of {name:?} than this home: its keys or its address differ"
    )]
    OtherCard {
        /// The network.
        network: String,
        /// This member.
        name: String,
    },
    /// The home belongs to another network already.
    #[error("this home belongs to chain {ours} already, not to {given}")]
    OtherNetwork {
        /// The chain of the home's document.
        ours: chancery_ledger::ChainId,
        /// The chain of the one given.
        given: chancery_ledger::ChainId,
    },
    /// The system failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn missing_hint(path: &Path) -> &'static str {
    if path.ends_with("genesis.toml") {
        ": put the network's genesis document there"
    } else {
        ": `chancery node init` makes a home"
    }
}

/// The secret keys of a validator.
#[derive(Debug)]
pub struct ValidatorKeys {
    /// Signs votes and checkpoints.
    pub consensus: SecretKey,
    /// Authenticates connections.
    pub network: SecretKey,
    /// Signs served notes under the log's own name.
    pub log: SecretKey,
}

/// Everything a validator starts with, checked against each other.
#[derive(Debug)]
pub struct Start {
    /// Its configuration.
    pub config: NodeConfig,
    /// The network's document.
    pub genesis: Genesis,
    /// The document's text, as it stands in the home.
    pub genesis_toml: String,
    /// Its place among the validators.
    pub own: ValidatorIndex,
    /// Its secret keys.
    pub keys: ValidatorKeys,
}

/// A directory that is, or is to become, a validator's home.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at `root`; nothing is touched yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory, in which the vote log lives too.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `node.toml`.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.root.join("node.toml")
    }

    /// `member.toml`.
    #[must_use]
    pub fn member_path(&self) -> PathBuf {
        self.root.join("member.toml")
    }

    /// `genesis.toml`.
    #[must_use]
    pub fn genesis_path(&self) -> PathBuf {
        self.root.join("genesis.toml")
    }

    /// `ledger.redb`.
    #[must_use]
    pub fn ledger_path(&self) -> PathBuf {
        self.root.join("ledger.redb")
    }

    /// Where proofs that validators lied are kept.
    #[must_use]
    pub fn evidence_path(&self) -> PathBuf {
        self.root.join("evidence")
    }

    /// Where compiled contracts are kept.
    #[must_use]
    pub fn compiled_path(&self) -> PathBuf {
        self.root.join("compiled")
    }

    /// The secret keys.
    #[must_use]
    pub fn keys(&self) -> KeyStore {
        KeyStore::new(self.root.join("keys"))
    }

    /// Makes a home for the member `name`, whom peers reach at `address`: three new keys, the
    /// configuration and the card, all durable on return. The vote log is not made here.
    ///
    /// # Errors
    /// If any part of a home is there already, or the first rule broken, or the system's failure.
    /// What was made up to then is taken away again.
    pub fn init(
        &self,
        name: &str,
        address: PeerAddress,
        config: &NodeConfig,
    ) -> Result<MemberCard, HomeError> {
        config.check().map_err(|error| HomeError::Config {
            path: self.config_path(),
            error,
        })?;
        self.refuse_if_any_part_exists()?;
        let home_was_there = self.root.exists();
        private_directory(&self.root)?;
        let made = self.fill(name, address, config);
        if made.is_err() {
            // Nothing of this was there before; what cannot be removed is told by the next try.
            let _ = fs::remove_dir_all(self.keys().directory());
            let _ = fs::remove_file(self.config_path());
            let _ = fs::remove_file(self.member_path());
            if !home_was_there {
                let _ = fs::remove_dir(&self.root);
            }
        }
        made
    }

    fn fill(
        &self,
        name: &str,
        address: PeerAddress,
        config: &NodeConfig,
    ) -> Result<MemberCard, HomeError> {
        let keys = self.keys();
        let consensus = keys.create(CONSENSUS)?;
        let network = keys.create(NETWORK)?.public();
        let log = keys.create(LOG)?.public();
        let card = MemberCard::sign(name, &consensus, network, log, address)?;
        write_new(&self.config_path(), 0o600, &config.to_toml())?;
        write_new(&self.member_path(), 0o644, &card.to_toml())?;
        sync_directory(&self.root)?;
        Ok(card)
    }

    fn refuse_if_any_part_exists(&self) -> Result<(), HomeError> {
        let parts = [
            "keys",
            "node.toml",
            "member.toml",
            "genesis.toml",
            "ledger.redb",
        ];
        for part in parts.into_iter().chain(["votes.a", "votes.b"]) {
            let path = self.root.join(part);
            match fs::symlink_metadata(&path) {
                Ok(_) => return Err(HomeError::Exists { path }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(HomeError::Io { path, source }),
            }
        }
        Ok(())
    }

    /// Puts the network's document into the home, durably. The same one again changes nothing.
    ///
    /// # Errors
    /// If the text is not a genesis document, does not name this member with this card, or another
    /// document is there already.
    pub fn join(&self, genesis_toml: &str) -> Result<Genesis, HomeError> {
        let path = self.genesis_path();
        let genesis = parse_genesis(&path, genesis_toml)?;
        place_of(&self.card()?, &genesis)?;
        if path.exists() {
            let ours = parse_genesis(&path, &read_text(&path, GENESIS_BYTES_MAX)?)?.chain_id();
            let given = genesis.chain_id();
            if ours != given {
                return Err(HomeError::OtherNetwork { ours, given });
            }
            return Ok(genesis);
        }
        write_new(&path, 0o644, genesis_toml)?;
        sync_directory(&self.root)?;
        Ok(genesis)
    }

    /// The member card.
    ///
    /// # Errors
    /// If it is missing or its signature does not verify.
    pub fn card(&self) -> Result<MemberCard, HomeError> {
        let text = read_text(&self.member_path(), CARD_BYTES_MAX)?;
        Ok(MemberCard::parse(&text)?)
    }

    /// Reads everything that a validator starts with.
    ///
    /// # Errors
    /// The first part that is missing, damaged, readable by others, or does not fit the rest.
    pub fn open(&self) -> Result<Start, HomeError> {
        let path = self.config_path();
        let config = NodeConfig::parse(&read_text(&path, CONFIG_BYTES_MAX)?)
            .map_err(|error| HomeError::Config { path, error })?;
        let card = self.card()?;
        let path = self.genesis_path();
        let genesis_toml = read_text(&path, GENESIS_BYTES_MAX)?;
        let genesis = parse_genesis(&path, &genesis_toml)?;
        let own = place_of(&card, &genesis)?;
        let expected = card.validator();
        let keys = ValidatorKeys {
            consensus: self.load_key(CONSENSUS, expected.consensus_key)?,
            network: self.load_key(NETWORK, expected.network_key)?,
            log: self.load_key(LOG, expected.log_key)?,
        };
        Ok(Start {
            config,
            genesis,
            genesis_toml,
            own,
            keys,
        })
    }

    fn load_key(&self, name: &str, expected: PublicKey) -> Result<SecretKey, HomeError> {
        let keys = self.keys();
        let key = keys.load(name)?;
        if key.public() != expected {
            return Err(HomeError::WrongKey {
                path: keys.path(name)?,
                found: key.account(),
                expected: expected.account(),
            });
        }
        Ok(key)
    }
}

fn parse_genesis(path: &Path, toml: &str) -> Result<Genesis, HomeError> {
    Genesis::parse(toml).map_err(|error| HomeError::Genesis {
        path: path.to_owned(),
        error: Box::new(error),
    })
}

fn place_of(card: &MemberCard, genesis: &Genesis) -> Result<ValidatorIndex, HomeError> {
    let mut members = (0..).map(ValidatorIndex).zip(genesis.members());
    match members.find(|(_, member)| member.name() == card.name()) {
        Some((own, member)) if member == card => Ok(own),
        Some(_) => Err(HomeError::OtherCard {
            network: genesis.name().to_owned(),
            name: card.name().to_owned(),
        }),
        None => Err(HomeError::NotAMember {
            network: genesis.name().to_owned(),
            name: card.name().to_owned(),
        }),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> HomeError {
    let path = path.to_owned();
    move |source| HomeError::Io { path, source }
}

fn private_directory(path: &Path) -> Result<(), HomeError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error(path))
}

fn sync_directory(path: &Path) -> Result<(), HomeError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(io_error(path))
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), HomeError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(io_error(path))
}

fn read_text(path: &Path, len_max: usize) -> Result<String, HomeError> {
    let file = File::open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            HomeError::Missing {
                path: path.to_owned(),
            }
        } else {
            io_error(path)(error)
        }
    })?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(len_max).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io_error(path))?;
    let not_text = || HomeError::NotText {
        path: path.to_owned(),
        len_max,
    };
    if bytes.len() > len_max {
        return Err(not_text());
    }
    String::from_utf8(bytes).map_err(|_| not_text())
}

#[cfg(test)]
mod tests;
