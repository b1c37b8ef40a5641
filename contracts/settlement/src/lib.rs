//! Payment versus payment: two banks exchange amounts of two currencies, both legs or neither.
//!
//! - `book`: who has how much; the only place where balances change.
//! - `obligation`: the terms between two banks, and how far they are.
//! - `netting`: one obligation in the place of several.
//! - `payment`: setting money aside, paying both legs, giving back what was not needed.
//!
//! Each method below judges who calls and when, then has these do the work. A refusal takes back
//! everything that the call did, so a leg is never paid without the other.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod book;
mod error;
mod events;
mod netting;
mod obligation;
mod payment;

use alloc::string::String;
use alloc::vec::Vec;

use chancery_contract::{AccountId, Env, Hash, Item, Millis, contract};

pub use book::{
    AMOUNT_MAX, Balance, Currency, END_TO_END_ID_CHARACTERS_MAX, MINOR_UNIT_MAX, Supply,
};
pub use error::Error;
pub use events::{
    Agreed, CurrencyRegistered, GivenBack, Issued, Netted, NettingProposed, Paid, Proposed,
    Redeemed, Refused, SetAside, Settled, Withdrawn,
};
pub use netting::NETTING_MAX;
pub use obligation::{DEADLINE_AHEAD_MS_MAX, Leg, Money, Obligation, Pacs008, Standing};

use obligation::Status;

/// Payment versus payment.
#[derive(Debug)]
pub struct Settlement;

const OWNER: Item<AccountId> = Item::new("owner");

/// Payment versus payment between two banks in two currencies.
#[contract(events = [
    CurrencyRegistered, Issued, Redeemed, Proposed, NettingProposed, Agreed, Netted, Refused,
    Withdrawn, SetAside, GivenBack, Paid, Settled
])]
impl Settlement {
    /// Makes the caller the owner, who registers currencies and can do nothing else.
    #[init]
    pub fn init(env: &mut Env) {
        let owner = env.caller().account().expect("only accounts deploy");
        OWNER.set(env, &owner);
    }

    /// Registers a currency under its code in ISO 4217, with its minor unit and its issuer, for
    /// ever.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::BadCurrencyCode`], [`Error::BadMinorUnit`],
    /// [`Error::NotAdmitted`], [`Error::CurrencyExists`].
    #[call]
    pub fn register_currency(
        env: &mut Env,
        currency: String,
        minor_unit: u8,
        issuer: AccountId,
    ) -> Result<(), Error> {
        if env.caller() != Self::owner(env) {
            return Err(Error::NotOwner);
        }
        admitted(env, issuer)?;
        let registered = Currency { issuer, minor_unit };
        book::register(env, currency.clone(), &registered)?;
        env.emit(&CurrencyRegistered {
            currency,
            minor_unit,
            issuer,
        });
        Ok(())
    }

    /// Credits the holder, whom the issuer owes that much from now on.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::BadCurrencyCode`], [`Error::UnknownCurrency`],
    /// [`Error::NotIssuer`], [`Error::NotAdmitted`], [`Error::AmountOutOfRange`],
    /// [`Error::BadEndToEndId`], [`Error::EndToEndIdUsed`], [`Error::SumTooLarge`].
    #[call]
    pub fn issue(
        env: &mut Env,
        currency: String,
        holder: AccountId,
        amount: u128,
        end_to_end_id: String,
    ) -> Result<(), Error> {
        let issuer = caller(env)?;
        if book::currency(env, &currency)?.issuer != issuer {
            return Err(Error::NotIssuer);
        }
        admitted(env, holder)?;
        book::check_amount(amount)?;
        book::use_end_to_end_id(env, issuer, end_to_end_id.clone())?;
        book::issue(env, &currency, holder, amount)?;
        env.emit(&Issued {
            currency,
            issuer,
            holder,
            amount,
            end_to_end_id,
        });
        Ok(())
    }

    /// Takes that much of what the caller has available out of the ledger; the issuer pays it
    /// outside.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::BadCurrencyCode`], [`Error::UnknownCurrency`],
    /// [`Error::AmountOutOfRange`], [`Error::BadEndToEndId`], [`Error::EndToEndIdUsed`],
    /// [`Error::InsufficientFunds`], [`Error::SumTooLarge`].
    #[call]
    pub fn redeem(
        env: &mut Env,
        currency: String,
        amount: u128,
        end_to_end_id: String,
    ) -> Result<(), Error> {
        let holder = caller(env)?;
        let issuer = book::currency(env, &currency)?.issuer;
        book::check_amount(amount)?;
        book::use_end_to_end_id(env, holder, end_to_end_id.clone())?;
        book::redeem(env, &currency, holder, amount)?;
        env.emit(&Redeemed {
            currency,
            issuer,
            holder,
            amount,
            end_to_end_id,
        });
        Ok(())
    }

    /// Proposes a trade, and gives the end-to-end id and the SHA-256 of the pacs.008 for what the
    /// caller pays. Returns the obligation's number.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::SameParty`], [`Error::NotAdmitted`],
    /// [`Error::BadCurrencyCode`], [`Error::UnknownCurrency`], [`Error::AmountOutOfRange`],
    /// [`Error::SameCurrency`], [`Error::BadDeadline`], [`Error::BadEndToEndId`],
    /// [`Error::EndToEndIdUsed`].
    #[call]
    pub fn propose(
        env: &mut Env,
        counterparty: AccountId,
        pays: Money,
        gets: Money,
        deadline: Millis,
        end_to_end_id: String,
        pacs008: Hash,
    ) -> Result<u64, Error> {
        let proposer = caller(env)?;
        other_party(env, proposer, counterparty)?;
        let mut first = Obligation::leg(env, proposer, pays)?;
        let second = Obligation::leg(env, counterparty, gets)?;
        if first.currency == second.currency {
            return Err(Error::SameCurrency);
        }
        obligation::check_deadline(env, deadline)?;
        book::use_end_to_end_id(env, proposer, end_to_end_id.clone())?;
        first.pacs008 = Some(Pacs008 {
            end_to_end_id,
            hash: pacs008,
        });
        let terms = Obligation {
            proposer,
            counterparty,
            first,
            second,
            deadline,
            replaces: Vec::new(),
        };
        let number = obligation::add(env, &terms, Status::Proposed)?;
        env.emit(&Proposed {
            number,
            proposer,
            counterparty,
            deadline,
        });
        Ok(number)
    }

    /// Agrees to a trade, and gives the end-to-end id and the SHA-256 of the pacs.008 for what the
    /// caller pays.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::UnknownObligation`], [`Error::NotAParty`],
    /// [`Error::NotTheCounterparty`], [`Error::NotProposed`], [`Error::DeadlinePassed`],
    /// [`Error::BadEndToEndId`], [`Error::EndToEndIdUsed`].
    #[call]
    pub fn accept(
        env: &mut Env,
        number: u64,
        end_to_end_id: String,
        pacs008: Hash,
    ) -> Result<(), Error> {
        let (caller, mut terms, status) = Self::answer(env, number)?;
        if status != Status::Proposed {
            return Err(Error::NotProposed);
        }
        terms.check_before_deadline(env)?;
        book::use_end_to_end_id(env, caller, end_to_end_id.clone())?;
        let pacs008 = Pacs008 {
            end_to_end_id,
            hash: pacs008,
        };
        terms.complete(env, number, pacs008);
        obligation::set_status(env, number, terms.agreed());
        env.emit(&Agreed {
            number,
            proposer: terms.proposer,
            counterparty: terms.counterparty,
        });
        Ok(())
    }

    /// Says no to a proposal of either kind.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::UnknownObligation`], [`Error::NotAParty`],
    /// [`Error::NotTheCounterparty`], [`Error::NotProposed`].
    #[call]
    pub fn refuse(env: &mut Env, number: u64) -> Result<(), Error> {
        let (_, terms, status) = Self::answer(env, number)?;
        proposed(status)?;
        obligation::set_status(env, number, Status::Refused);
        env.emit(&Refused {
            number,
            proposer: terms.proposer,
            counterparty: terms.counterparty,
        });
        Ok(())
    }

    /// Takes back a proposal of either kind.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::UnknownObligation`], [`Error::NotAParty`],
    /// [`Error::NotTheProposer`], [`Error::NotProposed`].
    #[call]
    pub fn withdraw(env: &mut Env, number: u64) -> Result<(), Error> {
        let (caller, terms, status) = Self::of_party(env, number)?;
        if caller != terms.proposer {
            return Err(Error::NotTheProposer);
        }
        proposed(status)?;
        obligation::set_status(env, number, Status::Withdrawn);
        env.emit(&Withdrawn {
            number,
            proposer: terms.proposer,
            counterparty: terms.counterparty,
        });
        Ok(())
    }

    /// Sets aside, until the deadline, what the caller owes. When nothing is missing any more, both
    /// legs are paid at once; returns whether they were.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::UnknownObligation`], [`Error::NotAParty`],
    /// [`Error::NotAgreed`], [`Error::DeadlinePassed`], [`Error::NothingToFund`],
    /// [`Error::InsufficientFunds`], [`Error::SumTooLarge`].
    #[call]
    pub fn fund(env: &mut Env, number: u64) -> Result<bool, Error> {
        let (caller, terms, status) = Self::of_party(env, number)?;
        payment::set_aside(env, number, &terms, status, caller)
    }

    /// Gives what was set aside back to its owner once the deadline has passed. Anybody may call
    /// it, so that nobody can prevent it.
    ///
    /// # Errors
    /// [`Error::UnknownObligation`], [`Error::NotAgreed`], [`Error::DeadlineAhead`],
    /// [`Error::NothingSetAside`], [`Error::SumTooLarge`].
    #[call]
    pub fn release(env: &mut Env, number: u64) -> Result<(), Error> {
        payment::give_back(env, number)
    }

    /// Proposes one obligation in the place of several, given by their numbers in ascending order:
    /// it owes the difference in each of the two currencies. Returns its number.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::SameParty`], [`Error::NotAdmitted`],
    /// [`Error::BadDeadline`], [`Error::BadNetting`], [`Error::UnknownObligation`],
    /// [`Error::OtherParties`], [`Error::NotAgreed`], [`Error::DeadlinePassed`],
    /// [`Error::AlreadyFunded`], [`Error::OtherCurrencies`], [`Error::AmountOutOfRange`].
    #[call]
    pub fn propose_netting(
        env: &mut Env,
        counterparty: AccountId,
        numbers: Vec<u64>,
        deadline: Millis,
    ) -> Result<u64, Error> {
        let proposer = caller(env)?;
        other_party(env, proposer, counterparty)?;
        obligation::check_deadline(env, deadline)?;
        let terms = netting::net(env, proposer, counterparty, numbers, deadline)?;
        let number = obligation::add(env, &terms, Status::NettingProposed)?;
        env.emit(&NettingProposed {
            number,
            proposer,
            counterparty,
            replaces: terms.replaces,
            deadline,
        });
        Ok(number)
    }

    /// Agrees to a netting: from now on its obligation is owed, and those in whose place it stands
    /// are not. If nothing is left to pay, it is settled.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::UnknownObligation`], [`Error::NotAParty`],
    /// [`Error::NotTheCounterparty`], [`Error::NotProposed`], [`Error::DeadlinePassed`], also of
    /// one of those; [`Error::NotAgreed`], [`Error::AlreadyFunded`] of one of those.
    #[call]
    pub fn accept_netting(env: &mut Env, number: u64) -> Result<(), Error> {
        let (_, terms, status) = Self::answer(env, number)?;
        if status != Status::NettingProposed {
            return Err(Error::NotProposed);
        }
        terms.check_before_deadline(env)?;
        netting::replace(env, number, &terms)?;
        let agreed = terms.agreed();
        obligation::set_status(env, number, agreed);
        env.emit(&Netted {
            number,
            proposer: terms.proposer,
            counterparty: terms.counterparty,
            replaces: terms.replaces.clone(),
        });
        let nothing_missing = Status::Agreed {
            first_aside: true,
            second_aside: true,
        };
        if agreed == nothing_missing {
            payment::settle(env, number, &terms)?;
        }
        Ok(())
    }

    /// Who registers currencies.
    #[view]
    #[must_use]
    pub fn owner(env: &Env) -> AccountId {
        OWNER.get(env).expect("init stores it")
    }

    /// A currency's issuer and minor unit.
    ///
    /// # Errors
    /// [`Error::BadCurrencyCode`], [`Error::UnknownCurrency`].
    #[view]
    pub fn currency(env: &Env, currency: String) -> Result<Currency, Error> {
        book::currency(env, &currency)
    }

    /// What was issued and redeemed of a currency; the difference is what all hold together.
    ///
    /// # Errors
    /// [`Error::BadCurrencyCode`], [`Error::UnknownCurrency`].
    #[view]
    pub fn supply(env: &Env, currency: String) -> Result<Supply, Error> {
        book::currency(env, &currency)?;
        Ok(book::supply(env, &currency))
    }

    /// What an account holds of a currency.
    ///
    /// # Errors
    /// [`Error::BadCurrencyCode`], [`Error::UnknownCurrency`].
    #[view]
    pub fn balance(env: &Env, holder: AccountId, currency: String) -> Result<Balance, Error> {
        book::currency(env, &currency)?;
        Ok(book::balance(env, holder, currency))
    }

    /// When an account used an end-to-end id, if it did.
    #[view]
    #[must_use]
    pub fn end_to_end_id_used(env: &Env, by: AccountId, end_to_end_id: String) -> Option<Millis> {
        book::end_to_end_id_used(env, by, end_to_end_id)
    }

    /// How many obligations there are; they have the numbers from 0 on.
    #[view]
    #[must_use]
    pub fn count(env: &Env) -> u64 {
        obligation::count(env)
    }

    /// The terms of an obligation.
    ///
    /// # Errors
    /// [`Error::UnknownObligation`].
    #[view]
    pub fn obligation(env: &Env, number: u64) -> Result<Obligation, Error> {
        obligation::terms(env, number)
    }

    /// How far an obligation is, as of now.
    ///
    /// # Errors
    /// [`Error::UnknownObligation`].
    #[view]
    pub fn standing(env: &Env, number: u64) -> Result<Standing, Error> {
        let status = obligation::status(env, number)?;
        Ok(obligation::terms(env, number)?.standing(env, status))
    }

    /// The caller, the terms and the status of an obligation to which the caller is a party.
    fn of_party(env: &Env, number: u64) -> Result<(AccountId, Obligation, Status), Error> {
        let caller = caller(env)?;
        let terms = obligation::terms(env, number)?;
        if !terms.is_party(caller) {
            return Err(Error::NotAParty);
        }
        Ok((caller, terms, obligation::status(env, number)?))
    }

    /// The same where only the counterparty may answer.
    fn answer(env: &Env, number: u64) -> Result<(AccountId, Obligation, Status), Error> {
        let (caller, terms, status) = Self::of_party(env, number)?;
        if caller != terms.counterparty {
            return Err(Error::NotTheCounterparty);
        }
        Ok((caller, terms, status))
    }
}

fn caller(env: &Env) -> Result<AccountId, Error> {
    env.caller().account().ok_or(Error::NotAnAccount)
}

fn admitted(env: &Env, account: AccountId) -> Result<(), Error> {
    if env.is_admitted(account) {
        Ok(())
    } else {
        Err(Error::NotAdmitted)
    }
}

fn other_party(env: &Env, caller: AccountId, other: AccountId) -> Result<(), Error> {
    if caller == other {
        return Err(Error::SameParty);
    }
    admitted(env, other)
}

fn proposed(status: Status) -> Result<(), Error> {
    match status {
        Status::Proposed | Status::NettingProposed => Ok(()),
        _ => Err(Error::NotProposed),
    }
}
