//! The first version of a contract that gets another one. It is tested natively
//! (`tests/upgrade.rs`), and compiled, in the executor and on validators (`levels.rs` of the suite).
#![cfg_attr(target_arch = "wasm32", no_std)]
#![allow(
    unreachable_pub,
    reason = "a crate where it is compiled, a module of tests where it is native"
)]

extern crate alloc;

use alloc::string::String;

use chancery_contract::{Env, Item, contract, contract_error, contract_type};

/// Counts who comes.
#[derive(Debug)]
pub struct Visits;

const OWNER: Item<String> = Item::new("owner");
const COUNT: Item<u32> = Item::new("count");
const LAST: Item<Visit> = Item::new("last");

/// A visit.
#[contract_type]
pub struct Visit {
    pub guest: String,
}

#[contract_error]
pub enum Error {
    /// A guest has a name.
    NoName = 1,
}

#[contract]
impl Visits {
    #[init]
    pub fn init(env: &mut Env, owner: String) {
        OWNER.set(env, &owner);
    }

    #[call]
    pub fn visit(env: &mut Env, guest: String) -> Result<u32, Error> {
        if guest.is_empty() {
            return Err(Error::NoName);
        }
        let count = COUNT.get(env).unwrap_or(0) + 1;
        COUNT.set(env, &count);
        LAST.set(env, &Visit { guest });
        Ok(count)
    }

    #[view]
    pub fn count(env: &Env) -> u32 {
        COUNT.get(env).unwrap_or(0)
    }
}
