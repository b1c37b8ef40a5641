//! What a state bundle proves, in words and as data. As a [`crate::claim`], it is derived from what is
//! proved, never taken from the file.
//!
//! `words` is `Of the entries named here, the state of ledger CHAIN right after block HEIGHT at TIME
//! has N and lacks M.` Each entry has words of its own, for what is there and what is not:
//!
//! | `place.kind` | there | not there |
//! |---|---|---|
//! | `account` | `account DID is admitted with roles A, B` or `… without roles` | `account DID is not admitted` |
//! | `code` | `there is code HASH` | `there is no code HASH` |
//! | `contract` | `contract ID runs version V of its code, HASH, to be upgraded by nobody` or `… by K of N accounts: DID, DID` | `there is no contract ID` |
//! | `storage` | `contract ID stores a value under HEX` | `contract ID stores nothing under HEX` |
//! | `approval` | `account DID approves replacing version V of contract ID by code HASH` | `contract ID has no approval by DID` |
//! | `version` | `version V of contract ID is code HASH, since transaction INDEX of block HEIGHT` | `contract ID has no version V` |
//!
//! What a stored value means is for the contract's code to say. An approval of a version that the
//! contract does not run any more is void ([`crate::upgrade`]).

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::claim::upgraded_by;
use crate::proof_file::{ProofError, first_difference};
use crate::state_key::{AccountRecord, ContractRecord, StateKey, VersionRecord};
use crate::{
    AccountId, ChainId, CodeHash, ContractId, Hash, Header, Height, Millis, Role, TransactionPlace,
    UpgradeApproval, decode_canonical,
};

/// Proved entries of the state right after a block.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateClaim {
    /// How many entries are there and how many are not.
    pub words: String,
    /// The ledger.
    pub chain_id: ChainId,
    /// The block.
    pub height: Height,
    /// The block's time.
    pub block_time: String,
    /// The same in milliseconds since the Unix epoch.
    pub block_time_ms: Millis,
    /// The root of the state tree right after the block.
    pub state_root: Hash,
    /// In the order in which they were asked for.
    pub entries: Vec<ClaimedEntry>,
    /// The newest block under the checkpoint that proves it.
    pub checkpoint_height: Height,
    /// In a file: who cosigned the checkpoint, by the names on the lines. From
    /// [`crate::state_bundle::StateBundle::verify`]: those of them whom the policy trusts, by its names.
    pub cosigners: Vec<String>,
}

/// An entry of the state, or the absence of one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedEntry {
    /// For people.
    pub words: String,
    /// Where.
    pub place: Place,
    /// What is there, in hexadecimal; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<String>,
}

/// A key of the state, taken apart ([`StateKey`]). Accounts are DIDs, though perhaps not of keys that
/// may be admitted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// An admitted account.
    Account {
        /// Which.
        account: String,
    },
    /// The Wasm bytes of a module.
    Code {
        /// Their SHA-256.
        code: CodeHash,
    },
    /// A contract: its code, version and upgraders.
    Contract {
        /// Which.
        contract: ContractId,
    },
    /// What a contract stored.
    Storage {
        /// Which contract.
        contract: ContractId,
        /// Under which of its keys, in hexadecimal.
        key: String,
    },
    /// What an account approved for a contract.
    Approval {
        /// Which contract.
        contract: ContractId,
        /// Whose approval.
        account: String,
    },
    /// Which code a version of a contract ran, and since when.
    Version {
        /// Which contract.
        contract: ContractId,
        /// Which version.
        version: u32,
    },
}

impl Place {
    fn of(key: StateKey<'_>) -> Self {
        match key {
            StateKey::Account(account) => Self::Account {
                account: account.to_string(),
            },
            StateKey::Code(code) => Self::Code { code },
            StateKey::Contract(contract) => Self::Contract { contract },
            StateKey::Storage(contract, key) => Self::Storage {
                contract,
                key: hex::encode(key),
            },
            StateKey::Approval(contract, account) => Self::Approval {
                contract,
                account: account.to_string(),
            },
            StateKey::Version(contract, version) => Self::Version { contract, version },
        }
    }

    fn in_words(&self, value: Option<&[u8]>) -> Result<String, ProofError> {
        Ok(match (self, value) {
            (Self::Account { account }, None) => format!("account {account} is not admitted"),
            (Self::Account { account }, Some(value)) => {
                let AccountRecord { roles } = record(value)?;
                if roles.is_empty() {
                    return Ok(format!("account {account} is admitted without roles"));
                }
                let roles: Vec<String> = roles.iter().map(Role::to_string).collect();
                let roles = roles.join(", ");
                format!("account {account} is admitted with roles {roles}")
            }
            (Self::Code { code }, None) => format!("there is no code {code}"),
            (Self::Code { code }, Some(_)) => format!("there is code {code}"),
            (Self::Contract { contract }, None) => format!("there is no contract {contract}"),
            (Self::Contract { contract }, Some(value)) => {
                let ContractRecord {
                    code,
                    version,
                    upgraders,
                    ..
                } = record(value)?;
                let accounts: Vec<String> = upgraders
                    .accounts
                    .iter()
                    .map(AccountId::to_string)
                    .collect();
                let upgraded_by = upgraded_by(upgraders.quorum, &accounts);
                format!(
                    "contract {contract} runs version {version} of its code, {code}, {upgraded_by}"
                )
            }
            (Self::Storage { contract, key }, value) => {
                let what = value.map_or("nothing", |_| "a value");
                format!("contract {contract} stores {what} under {key}")
            }
            (Self::Approval { contract, account }, None) => {
                format!("contract {contract} has no approval by {account}")
            }
            (Self::Approval { contract, account }, Some(value)) => {
                let UpgradeApproval { version, code, .. } = record(value)?;
                format!(
                    "account {account} approves replacing version {version} of contract {contract} by code {code}"
                )
            }
            (Self::Version { contract, version }, None) => {
                format!("contract {contract} has no version {version}")
            }
            (Self::Version { contract, version }, Some(value)) => {
                let VersionRecord { code, since } = record(value)?;
                let TransactionPlace { height, index } = since;
                format!(
                    "version {version} of contract {contract} is code {code}, since transaction {index} of block {height}"
                )
            }
        })
    }
}

fn record<T>(value: &[u8]) -> Result<T, ProofError>
where
    T: Decode + DecodeWithMemTracking + Encode,
{
    decode_canonical(value, value.len()).map_err(|error| ProofError::Codec {
        part: "entries.value",
        error,
    })
}

impl ClaimedEntry {
    pub(crate) fn of(key: StateKey<'_>, value: Option<&[u8]>) -> Result<Self, ProofError> {
        let place = Place::of(key);
        Ok(Self {
            words: place.in_words(value)?,
            place,
            value: value.map(hex::encode),
        })
    }
}

impl StateClaim {
    pub(crate) fn of(
        header: &Header,
        checkpoint_height: Height,
        cosigners: Vec<String>,
        entries: Vec<ClaimedEntry>,
    ) -> Self {
        let block_time = header.time.to_rfc3339();
        let present = entries.iter().filter(|entry| entry.value.is_some()).count();
        let words = format!(
            "Of the entries named here, the state of ledger {} right after block {} at {block_time} has {present} and lacks {}.",
            header.chain,
            header.height,
            entries.len() - present
        );
        Self {
            words,
            chain_id: header.chain,
            height: header.height,
            block_time,
            block_time_ms: header.time,
            state_root: header.state_root,
            entries,
            checkpoint_height,
            cosigners,
        }
    }

    /// The first field in which another claim differs.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<&'static str> {
        first_difference!(self, other;
            chain_id height block_time block_time_ms state_root entries checkpoint_height cosigners
            words
        )
    }
}
