//! The shared vocabulary of a Chancery ledger. No I/O, no clock, no randomness: an auditor runs
//! the very code that the validators run.
//!
//! Read in this order: [`hash`], [`units`], [`keys`], [`codec`], then the way of a transaction:
//! [`transaction`], [`upgrade`], [`batch`], [`block`], [`receipt`], and what proves it: [`merkle`],
//! [`header_log`], [`state_tree`], [`state_proof`], [`validators`], [`note`], [`checkpoint`],
//! [`policy`], [`tlog_proof`], [`proof_file`], [`claim`], [`proof`]; and entries of the state:
//! [`state_key`], [`state_claim`], [`state_bundle`].
#![forbid(unsafe_code)]

pub mod batch;
pub mod block;
pub mod checkpoint;
pub mod claim;
pub mod codec;
pub mod hash;
pub mod header_log;
pub mod keys;
pub mod limits;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod prices;
pub mod proof;
pub mod proof_file;
pub mod receipt;
pub mod state_bundle;
pub mod state_claim;
pub mod state_key;
pub mod state_proof;
pub mod state_tree;
mod text;
pub mod tlog_proof;
pub mod transaction;
pub mod units;
pub mod upgrade;
pub mod validators;

pub use batch::Batch;
pub use block::{Header, TransactionPlace};
pub use codec::{CodecError, decode_canonical};
pub use hash::{BatchDigest, ChainId, CodeHash, ContractId, Hash, TransactionId};
pub use keys::{AccountId, PublicKey, SecretKey, Signature};
pub use limits::ChainLimits;
pub use prices::FuelPrices;
pub use receipt::{ContractEvent, Receipt, Status, TrapKind};
pub use transaction::{Call, Role, Transaction, Verified};
pub use units::{Epoch, Fuel, Height, Millis, Slot, ValidatorIndex, View};
pub use upgrade::{UpgradeApproval, Upgraders};
pub use validators::{Validator, ValidatorSet};
