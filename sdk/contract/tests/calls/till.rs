//! A contract that calls others of its kind, in every way that there is. It is tested natively
//! (`tests/calls.rs`), and compiled, in the executor and on validators (`levels.rs` of the suite).
#![cfg_attr(target_arch = "wasm32", no_std)]
#![allow(
    unreachable_pub,
    reason = "a crate where it is compiled, a module of tests where it is native"
)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use chancery_contract::{CallError, ContractId, Env, Item};
use chancery_contract::{contract, contract_error, contract_interface, event};

/// Holds what was paid in.
#[derive(Debug)]
pub struct Till;

const MOST: Item<u64> = Item::new("most");
const TOTAL: Item<u64> = Item::new("total");
const NOTE: Item<String> = Item::new("note");
/// The contract that paid last.
const PAID_BY: Item<ContractId> = Item::new("paid_by");
/// How often something was passed on.
const PASSED: Item<u32> = Item::new("passed");

/// Something was paid in.
#[event]
pub struct Paid {
    pub total: u64,
}

/// Something is to be paid into another till.
#[event]
pub struct Passed {
    pub to: ContractId,
}

#[contract_error]
#[derive(PartialOrd)]
pub enum Error {
    /// Nothing was paid in.
    Nothing = 1,
    /// The till is full.
    TooMuch = 2,
    /// The other contract is no till.
    NoTill = 3,
}

/// Another till.
#[contract_interface]
pub trait OtherTill {
    /// Pays in.
    #[call]
    fn pay(env: &mut Env, amount: u64, note: String) -> Result<u64, Error>;
    #[call]
    fn clear(env: &mut Env);
    #[call]
    fn pass_on(env: &mut Env, to: ContractId, amount: u64, note: String) -> Result<u64, Error>;
    #[call]
    fn chain(env: &mut Env, path: Vec<ContractId>) -> Result<u32, Error>;
    #[view]
    fn total(_: &Env) -> u64;
    #[view]
    fn note(env: &Env) -> Result<String, Error>;
}

#[contract_error]
pub enum OneReason {
    /// As the other till has it.
    Nothing = 1,
}

/// What a till is not.
#[contract_interface]
trait NoTill {
    #[call]
    fn pay(env: &mut Env, amount: u64, note: String) -> Result<u64, OneReason>;
    #[view]
    fn pass_on(env: &Env, to: ContractId, amount: u64, note: String) -> u64;
    #[view]
    fn total(env: &Env, args: u8) -> u64;
    #[view]
    fn note(env: &Env) -> Result<u16, OneReason>;
    #[view]
    fn closed(env: &Env) -> bool;
}

/// A till.
#[contract(events = [Paid, Passed])]
impl Till {
    #[init]
    pub fn init(env: &mut Env, most: u64) -> Result<(), Error> {
        MOST.set(env, &most);
        if most == 0 {
            return Err(Error::Nothing);
        }
        Ok(())
    }

    /// Pays in. What is refused is refused at the end, so that there is something to take back.
    #[call]
    pub fn pay(env: &mut Env, amount: u64, note: String) -> Result<u64, Error> {
        let total = Self::total(env) + amount;
        TOTAL.set(env, &total);
        NOTE.set(env, &note);
        if let Some(contract) = env.caller().contract() {
            PAID_BY.set(env, &contract);
        }
        env.emit(&Paid { total });
        if amount == 0 {
            return Err(Error::Nothing);
        }
        if total > MOST.get(env).unwrap_or(0) {
            return Err(Error::TooMuch);
        }
        Ok(total)
    }

    /// Forgets all.
    #[call]
    pub fn clear(env: &mut Env) {
        TOTAL.remove(env);
        NOTE.remove(env);
    }

    /// Pays into another till. That nothing is paid is no reason to refuse here.
    #[call]
    pub fn pass_on(env: &mut Env, to: ContractId, amount: u64, note: String) -> Result<u64, Error> {
        let passed = PASSED.get(env).unwrap_or(0) + 1;
        PASSED.set(env, &passed);
        env.emit(&Passed { to });
        match OtherTill(to).pay(env, amount, note) {
            Ok(total) => Ok(total),
            Err(CallError::Refused(Error::Nothing)) => Ok(0),
            Err(CallError::Refused(reason)) => Err(reason),
            Err(CallError::Reverted { .. } | CallError::OtherType) => Err(Error::NoTill),
        }
    }

    /// Passes something on to the other till, which is to pass it on to this one.
    #[call]
    pub fn there_and_back(env: &mut Env, other: ContractId) -> Result<u64, Error> {
        let own = env.own_address();
        let passed = OtherTill(other).pass_on(env, own, 1, String::new());
        passed.map_err(|_| Error::NoTill)
    }

    /// How many tills there are on the path, each called by the one before; pays into the last one.
    #[call]
    pub fn chain(env: &mut Env, mut path: Vec<ContractId>) -> Result<u32, Error> {
        if path.is_empty() {
            return Self::pay(env, 1, String::new()).map(|_| 0);
        }
        let next = OtherTill(path.remove(0));
        let behind = next.chain(env, path).map_err(|_| Error::NoTill)?;
        Ok(behind + 1)
    }

    /// Has another till forget all.
    #[call]
    pub fn clear_other(env: &mut Env, other: ContractId) -> bool {
        OtherTill(other).clear(env).is_ok()
    }

    /// The code with which another till refuses an amount, if this contract knew fewer reasons.
    #[call]
    pub fn unknown_reason(env: &mut Env, other: ContractId, amount: u64) -> Option<u32> {
        match NoTill(other).pay(env, amount, String::new()) {
            Err(CallError::Reverted { code, .. }) => Some(code),
            _ => None,
        }
    }

    #[view]
    pub fn total(env: &Env) -> u64 {
        TOTAL.get(env).unwrap_or(0)
    }

    #[view]
    pub fn note(env: &Env) -> Result<String, Error> {
        NOTE.get(env).ok_or(Error::Nothing)
    }

    #[view]
    pub fn paid_by(env: &Env) -> Option<ContractId> {
        PAID_BY.get(env)
    }

    #[view]
    pub fn passed(env: &Env) -> u32 {
        PASSED.get(env).unwrap_or(0)
    }

    /// What another till holds.
    #[view]
    pub fn total_of(env: &Env, other: ContractId) -> Result<u64, Error> {
        OtherTill(other).total(env).map_err(|_| Error::NoTill)
    }

    /// The note of another till.
    #[view]
    pub fn note_of(env: &Env, other: ContractId) -> Result<String, Error> {
        OtherTill(other).note(env).map_err(|error| match error {
            CallError::Refused(reason) => reason,
            _ => Error::NoTill,
        })
    }

    /// Whether a note can be told from a number.
    #[view]
    pub fn note_is_no_number(env: &Env, other: ContractId) -> bool {
        NoTill(other).note(env) == Err(CallError::OtherType)
    }

    /// Asks for a method that no till has.
    #[view]
    pub fn is_closed(env: &Env, other: ContractId) -> bool {
        NoTill(other).closed(env) == Ok(true)
    }

    /// Asks with an argument too many.
    #[view]
    pub fn mistaken(env: &Env, other: ContractId) -> bool {
        NoTill(other).total(env, 1).is_ok()
    }

    /// Asks as a view what is a call.
    #[view]
    pub fn sly(env: &Env, other: ContractId) -> bool {
        NoTill(other).pass_on(env, other, 1, String::new()).is_ok()
    }
}
