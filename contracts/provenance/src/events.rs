//! What the contract announces. Each says of which item, and which entry of its history it is.

use alloc::string::String;

use chancery_contract::{AccountId, Hash, event};

/// The manufacturer, and nobody else, commissions goods under the company prefix.
#[event]
pub struct ManufacturerRegistered {
    pub company_prefix: String,
    pub manufacturer: AccountId,
}

/// Nobody commissions goods under the company prefix any more.
#[event]
pub struct ManufacturerRevoked {
    pub company_prefix: String,
    pub manufacturer: AccountId,
}

/// An item came into being, in the custody of its manufacturer.
#[event]
pub struct Commissioned {
    pub company_prefix: String,
    pub item: Hash,
    pub number: u64,
    pub manufacturer: AccountId,
}

/// The custodian wants to hand the item over.
#[event]
pub struct Offered {
    pub company_prefix: String,
    pub item: Hash,
    pub number: u64,
    pub custodian: AccountId,
    pub recipient: AccountId,
}

/// The custodian took the offer back.
#[event]
pub struct Withdrawn {
    pub company_prefix: String,
    pub item: Hash,
    pub number: u64,
    pub custodian: AccountId,
    pub recipient: AccountId,
}

/// The recipient does not take the item.
#[event]
pub struct Refused {
    pub company_prefix: String,
    pub item: Hash,
    pub number: u64,
    pub custodian: AccountId,
    pub recipient: AccountId,
}

/// The recipient has custody of the item now.
#[event]
pub struct Accepted {
    pub company_prefix: String,
    pub item: Hash,
    pub number: u64,
    pub from: AccountId,
    pub recipient: AccountId,
}

/// The custodian recorded what happened to the item.
#[event]
pub struct Observed {
    pub company_prefix: String,
    pub item: Hash,
    pub number: u64,
    pub custodian: AccountId,
}

/// The item has left the supply chain: sold, used or destroyed.
#[event]
pub struct Decommissioned {
    pub company_prefix: String,
    pub item: Hash,
    pub number: u64,
    pub custodian: AccountId,
}
