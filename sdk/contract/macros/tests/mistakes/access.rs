#![allow(unused)]

use chancery_contract::access::{AccessEntry, Decision};
use chancery_contract::{AccountId, ContractId, Env, Hash, Millis, contract, contract_error};

pub struct Silent;

#[contract(access)]
impl Silent {
    #[view]
    fn count(env: &Env) -> u64 {
        0
    }
}

pub struct Words;

#[contract(access, events = [])]
impl Words {
    #[call]
    fn decide(
        env: &mut Env,
        subject: AccountId,
        action: String,
        resource: String,
        at: Millis,
    ) -> Decision {
        Decision::deny("never")
    }

    #[view]
    fn entry(env: &Env, index: u64) -> Option<AccessEntry> {
        None
    }
}

pub struct Types;

#[contract(access)]
impl Types {
    #[view]
    fn decide(
        env: &Env,
        subject: Hash,
        action: String,
        resource: Vec<String>,
        at: Millis,
    ) -> bool {
        false
    }

    #[view]
    fn count(env: &Env) -> u32 {
        0
    }

    #[view]
    fn entry(env: &Env, number: u64) -> AccessEntry {
        todo!()
    }
}

#[contract_error]
pub enum Error {
    No = 1,
}

pub struct Refuses;

#[contract(access)]
impl Refuses {
    #[view]
    fn decide(
        env: &Env,
        subject: AccountId,
        action: String,
        resource: String,
        at: Millis,
    ) -> Result<Decision, Error> {
        Err(Error::No)
    }
}

#[contract(access, access)]
impl Refuses {
    #[view]
    fn twice(env: &Env) {}
}

fn main() {}
