//! The version that takes the place of `first.rs`: it keeps its values as other types, under the
//! same keys.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![allow(
    unreachable_pub,
    reason = "a crate where it is compiled, a module of tests where it is native"
)]

extern crate alloc;

use alloc::string::String;

use chancery_contract::{Env, Item, Millis, contract, contract_error, contract_type, event};

/// Counts who comes, and knows when and where the last one came.
#[derive(Debug)]
pub struct Visits;

const OWNER: Item<String> = Item::new("owner");
/// As the first version has it.
const OLD_COUNT: Item<u32> = Item::new("count");
const COUNT: Item<u64> = Item::new("count");
/// As the first version has it.
const OLD_LAST: Item<OldVisit> = Item::new("last");
const LAST: Item<Visit> = Item::new("last");
const MOVED: Item<bool> = Item::new("moved");

/// A visit, as the first version has it.
#[contract_type]
struct OldVisit {
    guest: String,
}

/// A visit.
#[contract_type]
pub struct Visit {
    pub guest: String,
    /// Where.
    pub place: String,
    /// When; of visits to the first version, nobody knows.
    pub at: Option<Millis>,
}

/// The visits were given a place.
#[event]
pub struct Moved {
    pub place: String,
    pub visits: u64,
}

#[contract_error]
pub enum Error {
    /// A guest, and a place, has a name.
    NoName = 1,
    /// The visits have a place already.
    HasPlace = 2,
}

#[contract(events = [Moved])]
impl Visits {
    #[init]
    pub fn init(env: &mut Env, owner: String) {
        OWNER.set(env, &owner);
        MOVED.set(env, &true);
    }

    /// Gives all visits the one place there was.
    #[migrate]
    pub fn migrate(env: &mut Env, place: String) -> Result<u64, Error> {
        if MOVED.get(env).is_some() {
            return Err(Error::HasPlace);
        }
        MOVED.set(env, &true);
        let visits = u64::from(OLD_COUNT.get(env).unwrap_or(0));
        COUNT.set(env, &visits);
        if let Some(OldVisit { guest }) = OLD_LAST.get(env) {
            let (place, at) = (place.clone(), None);
            LAST.set(env, &Visit { guest, place, at });
        }
        env.emit(&Moved {
            place: place.clone(),
            visits,
        });
        // Refused at the end, so that there is something to take back.
        match place.is_empty() {
            true => Err(Error::NoName),
            false => Ok(visits),
        }
    }

    #[call]
    pub fn visit_place(env: &mut Env, guest: String, place: String) -> Result<u64, Error> {
        if guest.is_empty() || place.is_empty() {
            return Err(Error::NoName);
        }
        let count = COUNT.get(env).unwrap_or(0) + 1;
        COUNT.set(env, &count);
        let at = Some(env.block_time());
        LAST.set(env, &Visit { guest, place, at });
        Ok(count)
    }

    #[view]
    pub fn total(env: &Env) -> u64 {
        COUNT.get(env).unwrap_or(0)
    }

    #[view]
    pub fn last(env: &Env) -> Option<Visit> {
        LAST.get(env)
    }

    #[view]
    pub fn owner(env: &Env) -> Option<String> {
        OWNER.get(env)
    }
}
