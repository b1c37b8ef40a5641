//! The genesis document: which members run a ledger, which accounts it begins with, and the limits
//! and prices that hold for everybody. Its canonical hash is the chain id, so two nodes with one
//! chain id agree about all of it.
//!
//! - [`member_card`]: what one member publishes about itself, signed.
//! - [`document`]: the members' cards, accounts, limits and prices in one TOML text; chain id, first
//!   state and first block.
//! - [`address`] and [`time`]: the two kinds of text that need a check of their own.
#![forbid(unsafe_code)]

pub mod address;
pub mod document;
pub mod member_card;
pub mod time;
mod toml_error;

pub use address::{AddressError, PeerAddress};
pub use document::{Genesis, GenesisAccount, GenesisError};
pub use member_card::{CardError, MemberCard};
pub use toml_error::TomlError;
