//! What the contract announces: all that an auditor needs to follow every sum.

use alloc::string::String;
use alloc::vec::Vec;

use chancery_contract::{AccountId, Millis, event};

/// A currency can be issued and paid with.
#[event]
pub struct CurrencyRegistered {
    pub currency: String,
    pub minor_unit: u8,
    pub issuer: AccountId,
}

/// The issuer owes the holder more.
#[event]
pub struct Issued {
    pub currency: String,
    pub issuer: AccountId,
    pub holder: AccountId,
    pub amount: u128,
    pub end_to_end_id: String,
}

/// The ledger's money is gone; the issuer pays the holder outside of the ledger.
#[event]
pub struct Redeemed {
    pub currency: String,
    pub issuer: AccountId,
    pub holder: AccountId,
    pub amount: u128,
    pub end_to_end_id: String,
}

/// A trade waits for the counterparty.
#[event]
pub struct Proposed {
    pub number: u64,
    pub proposer: AccountId,
    pub counterparty: AccountId,
    pub deadline: Millis,
}

/// One obligation in the place of several waits for the counterparty.
#[event]
pub struct NettingProposed {
    pub number: u64,
    pub proposer: AccountId,
    pub counterparty: AccountId,
    pub replaces: Vec<u64>,
    pub deadline: Millis,
}

/// The obligation is owed by both.
#[event]
pub struct Agreed {
    pub number: u64,
    pub proposer: AccountId,
    pub counterparty: AccountId,
}

/// The obligation stands in the place of those, which are owed no more.
#[event]
pub struct Netted {
    pub number: u64,
    pub proposer: AccountId,
    pub counterparty: AccountId,
    pub replaces: Vec<u64>,
}

/// The counterparty said no.
#[event]
pub struct Refused {
    pub number: u64,
    pub proposer: AccountId,
    pub counterparty: AccountId,
}

/// The proposer took the proposal back.
#[event]
pub struct Withdrawn {
    pub number: u64,
    pub proposer: AccountId,
    pub counterparty: AccountId,
}

/// Money for one leg is set aside until the deadline.
#[event]
pub struct SetAside {
    pub number: u64,
    pub payer: AccountId,
    pub currency: String,
    pub amount: u128,
}

/// The deadline passed, and what was set aside is its owner's again.
#[event]
pub struct GivenBack {
    pub number: u64,
    pub payer: AccountId,
    pub currency: String,
    pub amount: u128,
}

/// One leg is paid. The other is in the same transaction.
#[event]
pub struct Paid {
    pub number: u64,
    pub payer: AccountId,
    pub payee: AccountId,
    pub currency: String,
    pub amount: u128,
    /// Of the leg's pacs.008; none where netting made the leg.
    pub end_to_end_id: Option<String>,
}

/// Both legs are paid.
#[event]
pub struct Settled {
    pub number: u64,
    pub proposer: AccountId,
    pub counterparty: AccountId,
}
