//! The document itself: read strictly, checked completely, hashed canonically.
//!
//! The chain id is the domain-separated SHA-256 of the SCALE encoding of (protocol version, name,
//! genesis time, limits, member cards in their order, accounts sorted by id). So formatting,
//! comments, the order of keys and of accounts, and whether defaults are written out do not matter;
//! anything else does, also the order of the validators, which gives them their indices.

use std::collections::{BTreeMap, BTreeSet};

use chancery_ledger::block::PROTOCOL_VERSION;
use chancery_ledger::hash::sha256_domain;
use chancery_ledger::limits::LimitError;
use chancery_ledger::state_key::{AccountRecord, StateKey};
use chancery_ledger::validators::{NAME_BYTES_MAX, ValidatorSetError, is_name};
use chancery_ledger::{
    AccountId, Batch, ChainId, ChainLimits, Epoch, Hash, Header, Height, Millis, Role,
    ValidatorSet, merkle,
};
use parity_scale_codec::Encode;
use serde::{Deserialize, Serialize};

use crate::address::PeerAddress;
use crate::member_card::{CardError, CardText, MemberCard};
use crate::time::{self, TimeError};
use crate::toml_error::TomlError;

/// The longest document that is read, in bytes of TOML.
pub const GENESIS_BYTES_MAX: usize = 4_194_304;

/// The most accounts a ledger may begin with; more are admitted by transactions.
pub const ACCOUNTS_MAX: usize = 10_000;

/// The earliest genesis time: 2020-01-01T00:00:00Z.
pub const TIME_MIN: Millis = Millis(1_577_836_800_000);

/// The latest genesis time: 2100-01-01T00:00:00Z.
pub const TIME_MAX: Millis = Millis(4_102_444_800_000);

/// Why a text is not a genesis document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Longer than any document.
    #[error("{len} bytes, a genesis document has at most {GENESIS_BYTES_MAX}")]
    TooLong {
        /// Length given.
        len: usize,
    },
    /// Not TOML with exactly a document's keys.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// Made for other rules than this program's.
    #[error("protocol_version = {given}: this program runs version {PROTOCOL_VERSION}")]
    ProtocolVersion {
        /// The version it names.
        given: u16,
    },
    /// A name that could not stand in a file name.
    #[error(
        "name = {name:?}: 1 to {NAME_BYTES_MAX} characters out of a-z, 0-9, '.', '-', '_' are allowed, the first neither '.' nor '-'"
    )]
    Name {
        /// The network's name, shortened.
        name: String,
    },
    /// Not a moment.
    #[error("genesis_time: {0}")]
    Time(#[from] TimeError),
    /// A moment that cannot be meant.
    #[error("genesis_time = {}: it must lie between {} and {}", time::format(*.given), time::format(TIME_MIN), time::format(TIME_MAX))]
    TimeImpossible {
        /// The moment.
        given: Millis,
    },
    /// A limit outside of its possible range.
    #[error("limits: {0}")]
    Limit(#[from] LimitError),
    /// An entry of `validators` that is not a member card.
    #[error("validators, entry {entry}: {error}")]
    Card {
        /// Its position, counted from 1.
        entry: usize,
        /// What it breaks.
        error: CardError,
    },
    /// The cards do not make a validator set.
    #[error("validators: {0}")]
    Validators(#[from] ValidatorSetError),
    /// Two validators that would be reached at one address.
    #[error("validators: {name:?} has the address {address} of another one")]
    AddressTwice {
        /// The second one's name.
        name: String,
        /// The address.
        address: PeerAddress,
    },
    /// More accounts than [`ACCOUNTS_MAX`].
    #[error("{count} accounts, at most {ACCOUNTS_MAX} are allowed in a genesis document")]
    TooManyAccounts {
        /// How many.
        count: usize,
    },
    /// An account's name that could not stand in a file name.
    #[error(
        "accounts: name {name:?}: 1 to {NAME_BYTES_MAX} characters out of a-z, 0-9, '.', '-', '_' are allowed, the first neither '.' nor '-'"
    )]
    AccountName {
        /// The name, shortened.
        name: String,
    },
    /// Two accounts of one name.
    #[error("accounts: two are called {name:?}")]
    AccountNameTwice {
        /// The name.
        name: String,
    },
    /// An account whose key breaks a rule for keys.
    #[error("accounts: {name:?}: {error}")]
    AccountKey {
        /// The account's name.
        name: String,
        /// What the key breaks.
        error: chancery_ledger::keys::KeyError,
    },
    /// One key under two names, or a validator's key as an account.
    #[error(
        "accounts: {name:?}: {account} is already the key of another account or of a validator"
    )]
    AccountTwice {
        /// The second one's name.
        name: String,
        /// The account.
        account: AccountId,
    },
    /// One role twice in the list of an account.
    #[error("accounts: {name:?} has the role {role} twice")]
    RoleTwice {
        /// The account's name.
        name: String,
        /// The role.
        role: Role,
    },
    /// Nobody could ever admit an account.
    #[error("accounts: none has the role registrar, so nobody could ever be admitted")]
    NoRegistrar,
}

/// An account that the ledger begins with.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct GenesisAccount {
    /// What people call it; unique in the document.
    pub name: String,
    /// The account.
    pub account: AccountId,
    /// What it may do; [`Genesis`] keeps them sorted.
    pub roles: Vec<Role>,
}

/// A checked genesis document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    name: String,
    time: Millis,
    limits: ChainLimits,
    members: Vec<MemberCard>,
    accounts: Vec<GenesisAccount>,
    validators: ValidatorSet,
    chain: ChainId,
}

/// The document as TOML writes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentText {
    /// The first version of the rules where it is not written.
    #[serde(default = "first_protocol_version")]
    protocol_version: u16,
    name: String,
    genesis_time: String,
    #[serde(default)]
    limits: ChainLimits,
    #[serde(default)]
    validators: Vec<CardText>,
    #[serde(default)]
    accounts: Vec<AccountText>,
}

fn first_protocol_version() -> u16 {
    1
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountText {
    name: String,
    account: String,
    #[serde(default)]
    roles: Vec<Role>,
}

impl Genesis {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// The first rule that it breaks, with the key and the value that break it.
    pub fn parse(toml: &str) -> Result<Self, GenesisError> {
        if toml.len() > GENESIS_BYTES_MAX {
            return Err(GenesisError::TooLong { len: toml.len() });
        }
        let text: DocumentText =
            toml::from_str(toml).map_err(|error| TomlError::new(toml, &error))?;
        if text.protocol_version != PROTOCOL_VERSION {
            return Err(GenesisError::ProtocolVersion {
                given: text.protocol_version,
            });
        }
        let time = time::parse(&text.genesis_time)?;
        let members = (1..)
            .zip(text.validators)
            .map(|(entry, card)| {
                MemberCard::from_text(card).map_err(|error| GenesisError::Card { entry, error })
            })
            .collect::<Result<_, _>>()?;
        let accounts = text
            .accounts
            .into_iter()
            .map(
                |AccountText {
                     name,
                     account,
                     roles,
                 }| match account.parse() {
                    Ok(account) => Ok(GenesisAccount {
                        name,
                        account,
                        roles,
                    }),
                    Err(error) => Err(GenesisError::AccountKey {
                        name: shortened(&name),
                        error,
                    }),
                },
            )
            .collect::<Result<_, _>>()?;
        Self::new(text.name, time, text.limits, members, accounts)
    }

    /// Assembles a document. The order of the members gives the validators their indices.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(
        name: String,
        time: Millis,
        limits: ChainLimits,
        members: Vec<MemberCard>,
        accounts: Vec<GenesisAccount>,
    ) -> Result<Self, GenesisError> {
        if !is_name(&name) {
            return Err(GenesisError::Name {
                name: shortened(&name),
            });
        }
        if !(TIME_MIN..=TIME_MAX).contains(&time) {
            return Err(GenesisError::TimeImpossible { given: time });
        }
        limits.check()?;
        let validators = members.iter().map(MemberCard::validator).collect();
        let validators = ValidatorSet::new(Epoch(0), validators)?;
        let mut addresses = BTreeSet::new();
        for member in &members {
            if !addresses.insert(member.address()) {
                return Err(GenesisError::AddressTwice {
                    name: member.name().to_owned(),
                    address: member.address().clone(),
                });
            }
        }
        let accounts = check_accounts(accounts, &validators)?;
        let chain = chain_id(&name, time, &limits, &members, &accounts);
        Ok(Self {
            name,
            time,
            limits,
            members,
            accounts,
            validators,
            chain,
        })
    }

    /// The document as TOML, everything written out; [`Genesis::parse`] reads it back.
    ///
    /// # Panics
    /// Never: its strings and numbers can always be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let text = DocumentText {
            protocol_version: PROTOCOL_VERSION,
            name: self.name.clone(),
            genesis_time: time::format(self.time),
            limits: self.limits.clone(),
            validators: self.members.iter().map(MemberCard::to_text).collect(),
            accounts: self.accounts.iter().map(account_text).collect(),
        };
        toml::to_string(&text).expect("strings, lists and numbers below 2^63 are TOML")
    }

    /// The name of the ledger: the hash of everything here.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        self.chain
    }

    /// What people call the network.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it begins: the time of block 0.
    #[must_use]
    pub fn time(&self) -> Millis {
        self.time
    }

    /// The limits that hold for everybody.
    #[must_use]
    pub fn limits(&self) -> &ChainLimits {
        &self.limits
    }

    /// The validators of epoch 0.
    #[must_use]
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// The members' cards, in the order of the validators' indices.
    #[must_use]
    pub fn members(&self) -> &[MemberCard] {
        &self.members
    }

    /// The accounts that the ledger begins with, sorted by id.
    #[must_use]
    pub fn accounts(&self) -> &[GenesisAccount] {
        &self.accounts
    }

    /// The first state: raw state key to value.
    #[must_use]
    pub fn initial_state(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.accounts
            .iter()
            .map(|GenesisAccount { account, roles, .. }| {
                let record = AccountRecord {
                    roles: roles.clone(),
                };
                (StateKey::Account(*account).to_bytes(), record.encode())
            })
            .collect()
    }

    /// Block 0, over the root and leaf count of the state tree of [`Genesis::initial_state`].
    #[must_use]
    pub fn genesis_block(&self, state_root: Hash, state_count: u64) -> Header {
        let empty_root = merkle::root([]);
        Header {
            version: PROTOCOL_VERSION,
            chain: self.chain,
            epoch: self.validators.epoch(),
            height: Height(0),
            parent: Hash::default(),
            time: self.time,
            batch: Batch::empty().digest(),
            transactions_root: empty_root,
            transactions_count: 0,
            receipts_root: empty_root,
            state_root,
            state_count,
        }
    }
}

/// Checks the accounts and sorts them by id, the roles of each too.
fn check_accounts(
    mut accounts: Vec<GenesisAccount>,
    validators: &ValidatorSet,
) -> Result<Vec<GenesisAccount>, GenesisError> {
    let count = accounts.len();
    if count > ACCOUNTS_MAX {
        return Err(GenesisError::TooManyAccounts { count });
    }
    let mut names = BTreeSet::new();
    let mut keys: BTreeSet<AccountId> = validators
        .iter()
        .flat_map(|(_, v)| [v.consensus_key, v.network_key, v.log_key])
        .map(|key| key.account())
        .collect();
    for GenesisAccount {
        name,
        account,
        roles,
    } in &mut accounts
    {
        if !is_name(name) {
            return Err(GenesisError::AccountName {
                name: shortened(name),
            });
        }
        if !names.insert(name.clone()) {
            return Err(GenesisError::AccountNameTwice { name: name.clone() });
        }
        if let Err(error) = account.to_public_key() {
            return Err(GenesisError::AccountKey {
                name: name.clone(),
                error,
            });
        }
        if !keys.insert(*account) {
            return Err(GenesisError::AccountTwice {
                name: name.clone(),
                account: *account,
            });
        }
        roles.sort();
        let twice = roles
            .iter()
            .zip(roles.iter().skip(1))
            .find(|(role, next)| role == next);
        if let Some((role, _)) = twice {
            return Err(GenesisError::RoleTwice {
                name: name.clone(),
                role: *role,
            });
        }
    }
    if !accounts
        .iter()
        .any(|account| account.roles.contains(&Role::Registrar))
    {
        return Err(GenesisError::NoRegistrar);
    }
    accounts.sort_by_key(|account| account.account);
    Ok(accounts)
}

fn chain_id(
    name: &str,
    time: Millis,
    limits: &ChainLimits,
    members: &[MemberCard],
    accounts: &[GenesisAccount],
) -> ChainId {
    let canonical = (PROTOCOL_VERSION, name, time, limits, members, accounts).encode();
    ChainId(sha256_domain("genesis", &canonical).0)
}

fn account_text(account: &GenesisAccount) -> AccountText {
    AccountText {
        name: account.name.clone(),
        account: account.account.to_string(),
        roles: account.roles.clone(),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
