//! Who may read which of the owner's records until when. The records stay where they are: the ledger
//! holds their names, and who was allowed to read them.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::string::String;

use chancery_contract::access::{AccessEntry, AccessIndex, Decision, Grant, is_resource};
use chancery_contract::{AccountId, Env, Item, Millis};
use chancery_contract::{contract, contract_error, event};

/// The owner's records.
#[derive(Debug)]
pub struct ContractName;

/// Where the owner is stored; what was granted is in the `AccessIndex`.
const OWNER: Item<AccountId> = Item::new("owner");

/// The reader may read the record until then (exclusive).
#[event]
pub struct Granted {
    pub reader: AccountId,
    pub record: String,
    pub until: Millis,
}

/// The reader may not read the record any more: it was revoked, or is granted anew.
#[event]
pub struct Revoked {
    pub reader: AccountId,
    pub record: String,
}

/// Why the contract refuses.
#[contract_error]
pub enum Error {
    /// Only the owner of the records grants and revokes.
    NotOwner = 1,
    /// The end must lie after the block's time.
    AlreadyOver = 2,
    /// There is nothing to revoke.
    NotGranted = 3,
    /// A record's name has up to 8 parts with slashes between, and no blanks.
    NotAName = 4,
}

/// Who may read which of the owner's records until when.
#[contract(access, events = [Granted, Revoked])]
impl ContractName {
    /// Makes the caller the owner.
    #[init]
    pub fn init(env: &mut Env) {
        let owner = env.caller().account().expect("only accounts deploy");
        OWNER.set(env, &owner);
    }

    /// Lets the reader read the record until then (exclusive).
    #[call]
    pub fn grant(
        env: &mut Env,
        reader: AccountId,
        record: String,
        until: Millis,
    ) -> Result<(), Error> {
        Self::only_the_owner(env)?;
        if until <= env.block_time() {
            return Err(Error::AlreadyOver);
        }
        if !is_resource(&record) {
            return Err(Error::NotAName);
        }
        let grant = Grant::new(Self::owner(env), reader, "read", &record, until);
        let granted = AccessIndex::grant(env, grant);
        if granted.replaced.is_some() {
            let record = record.clone();
            env.emit(&Revoked { reader, record });
        }
        env.emit(&Granted {
            reader,
            record,
            until,
        });
        Ok(())
    }

    /// Ends what the reader was granted.
    #[call]
    pub fn revoke(env: &mut Env, reader: AccountId, record: String) -> Result<(), Error> {
        Self::only_the_owner(env)?;
        if AccessIndex::revoke(env, reader, "read", &record).is_none() {
            return Err(Error::NotGranted);
        }
        env.emit(&Revoked { reader, record });
        Ok(())
    }

    /// Who grants and revokes.
    #[view]
    pub fn owner(env: &Env) -> AccountId {
        OWNER.get(env).expect("init stores it")
    }

    /// Whether the subject may do that with the resource at that time: what a data service asks.
    #[view]
    pub fn decide(
        env: &Env,
        subject: AccountId,
        action: String,
        resource: String,
        at: Millis,
    ) -> Decision {
        AccessIndex::decide(env, subject, &action, &resource, at)
    }

    /// How many entries there are.
    #[view]
    pub fn count(env: &Env) -> u64 {
        AccessIndex::count(env)
    }

    /// What was granted as the entry of that number, and what became of it.
    #[view]
    pub fn entry(env: &Env, number: u64) -> Option<AccessEntry> {
        AccessIndex::entry(env, number)
    }

    fn only_the_owner(env: &Env) -> Result<(), Error> {
        if env.caller() != Self::owner(env) {
            return Err(Error::NotOwner);
        }
        Ok(())
    }
}
