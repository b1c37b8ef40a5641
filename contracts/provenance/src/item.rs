//! Items and their histories, each item and each entry under a key of its own.

use alloc::string::String;

use chancery_contract::{AccountId, Env, Hash, Map, Millis, contract_type};

use crate::{Error, epc, manufacturer};

/// An offer that the recipient has not answered.
#[contract_type]
#[derive(Copy)]
pub struct Offer {
    /// The entry of the history that made it.
    pub number: u64,
    /// Who may accept it.
    pub recipient: AccountId,
}

/// An item.
#[contract_type]
pub struct Item {
    /// Who commissioned it.
    pub manufacturer: AccountId,
    /// Who has custody of it, or had when it was decommissioned.
    pub custodian: AccountId,
    /// The offer to hand it over, if one is open.
    pub offer: Option<Offer>,
    /// How many entries its history has; they have the numbers from 0 on.
    pub entries: u64,
    /// When it left the supply chain.
    pub decommissioned_at: Option<Millis>,
}

/// What may happen to an item.
#[contract_type]
#[derive(Copy)]
pub enum Step {
    /// It came into being, in the custody of its manufacturer.
    Commissioned,
    /// The custodian wants to hand it over.
    Offered { recipient: AccountId },
    /// The custodian took the offer back.
    Withdrawn,
    /// The recipient does not take it.
    Refused,
    /// The recipient took it over.
    Accepted,
    /// Something happened to it where it is.
    Observed,
    /// It left the supply chain.
    Decommissioned,
}

/// Something that happened to an item. It never changes and is never removed.
#[contract_type]
pub struct Entry {
    /// What.
    pub step: Step,
    /// Who did it.
    pub by: AccountId,
    /// Block time.
    pub at: Millis,
    /// Hash of the EPCIS event that tells more.
    pub event: Option<Hash>,
}

/// By company prefix and salted hash.
const ITEMS: Map<(String, Hash), Item> = Map::new("item/");
/// By company prefix, salted hash and number.
const HISTORY: Map<(String, Hash, u64), Entry> = Map::new("history/");

/// An item as it stands, to change and write back.
pub(crate) struct Record {
    pub(crate) key: (String, Hash),
    pub(crate) item: Item,
}

impl Record {
    /// A new item of its manufacturer.
    pub(crate) fn new(env: &Env, key: (String, Hash), by: AccountId) -> Result<Self, Error> {
        if ITEMS.get(env, &key).is_some() {
            return Err(Error::AlreadyCommissioned);
        }
        let item = Item {
            manufacturer: by,
            custodian: by,
            offer: None,
            entries: 0,
            decommissioned_at: None,
        };
        Ok(Self { key, item })
    }

    pub(crate) fn find(env: &Env, key: (String, Hash)) -> Result<Self, Error> {
        // The form first: a key of any length would end the whole call.
        epc::check_prefix(&key.0)?;
        match ITEMS.get(env, &key) {
            Some(item) => Ok(Self { key, item }),
            None if manufacturer::is_in_use(env, &key.0) => Err(Error::NotCommissioned),
            None => Err(Error::NoManufacturer),
        }
    }

    /// The same where the item must still be in the supply chain.
    pub(crate) fn find_active(env: &Env, key: (String, Hash)) -> Result<Self, Error> {
        let record = Self::find(env, key)?;
        if record.item.decommissioned_at.is_some() {
            return Err(Error::Decommissioned);
        }
        Ok(record)
    }

    /// The number of the next entry.
    pub(crate) fn next(&self) -> u64 {
        self.item.entries
    }

    /// Writes the item back, with one more entry in its history.
    pub(crate) fn save(mut self, env: &mut Env, step: Step, by: AccountId, event: Option<Hash>) {
        let (prefix, item) = self.key.clone();
        let at = env.block_time();
        let entry = Entry {
            step,
            by,
            at,
            event,
        };
        HISTORY.set(env, &(prefix, item, self.item.entries), &entry);
        let entries = self.item.entries.checked_add(1);
        self.item.entries = entries.expect("fewer than 2^64 calls are ever made");
        ITEMS.set(env, &self.key, &self.item);
    }
}

pub(crate) fn entry(env: &Env, key: (String, Hash), number: u64) -> Result<Entry, Error> {
    let Record { key, .. } = Record::find(env, key)?;
    let entry = HISTORY.get(env, &(key.0, key.1, number));
    entry.ok_or(Error::UnknownEntry)
}
