//! What two banks owe each other: the terms, and how far it is.

use alloc::string::String;
use alloc::vec::Vec;

use chancery_contract::{AccountId, Env, Hash, Item, Map, Millis, contract_type};

use crate::{Error, book};

/// An amount of a currency.
#[contract_type]
pub struct Money {
    /// Its code in ISO 4217.
    pub currency: String,
    /// In minor units.
    pub amount: u128,
}

/// The message by which the payer's bank orders a payment.
#[contract_type]
pub struct Pacs008 {
    /// `EndToEndId`, at most 35 characters. It is public: nothing about a person may stand in it.
    pub end_to_end_id: String,
    /// SHA-256 of the message.
    pub hash: Hash,
}

/// One of the two payments; it goes to the other party.
#[contract_type]
pub struct Leg {
    /// Its code in ISO 4217.
    pub currency: String,
    /// Who pays.
    pub payer: AccountId,
    /// In minor units; zero only where netting left nothing to pay.
    pub amount: u128,
    /// None until its payer has agreed, and where netting made the leg.
    pub pacs008: Option<Pacs008>,
}

impl Leg {
    fn is_due(&self) -> bool {
        self.amount > 0
    }
}

/// What is owed between two, both legs or neither. The terms never change; what the counterparty
/// adds when it agrees is the message of its own leg.
#[contract_type]
pub struct Obligation {
    /// Who proposed it.
    pub proposer: AccountId,
    /// The other party.
    pub counterparty: AccountId,
    /// One payment.
    pub first: Leg,
    /// The other, in another currency.
    pub second: Leg,
    /// From this moment on nothing of it can be completed.
    pub deadline: Millis,
    /// The obligations in whose place it stands, ascending; none but where it nets some.
    pub replaces: Vec<u64>,
}

/// How far an obligation is.
#[contract_type]
#[derive(Copy)]
pub(crate) enum Status {
    /// A trade that waits for the counterparty.
    Proposed,
    /// A netting that waits for the counterparty.
    NettingProposed,
    /// Owed. A leg without an amount counts as set aside.
    Agreed {
        first_aside: bool,
        second_aside: bool,
    },
    /// Both legs are paid.
    Settled { at: Millis },
    /// Another obligation stands in its place.
    Netted { into: u64 },
    /// The proposer took it back.
    Withdrawn,
    /// The counterparty said no.
    Refused,
}

/// How far an obligation is, as of block time.
#[contract_type]
#[derive(Copy)]
pub enum Standing {
    /// A trade that waits for the counterparty.
    Proposed,
    /// A netting that waits for the counterparty.
    NettingProposed,
    /// Owed, with or without money set aside for its legs.
    Agreed {
        first_set_aside: bool,
        second_set_aside: bool,
    },
    /// Not answered, or not paid, before its deadline. What is still set aside can be released.
    Expired {
        first_set_aside: bool,
        second_set_aside: bool,
    },
    /// Both legs are paid.
    Settled { at: Millis },
    /// Another obligation stands in its place.
    Netted { into: u64 },
    /// The proposer took it back.
    Withdrawn,
    /// The counterparty said no.
    Refused,
}

/// Obligations are numbered from 0 in the order of their proposals.
const COUNT: Item<u64> = Item::new("obligations");
/// By number. Never removed.
const TERMS: Map<u64, Obligation> = Map::new("terms/");
/// By number. Never removed.
const STATUS: Map<u64, Status> = Map::new("status/");

/// 31 days: a year typed wrong must not lock money up for a century.
pub const DEADLINE_AHEAD_MS_MAX: u64 = 31 * 24 * 3_600_000;

pub(crate) fn count(env: &Env) -> u64 {
    COUNT.get(env).unwrap_or(0)
}

pub(crate) fn terms(env: &Env, number: u64) -> Result<Obligation, Error> {
    TERMS.get(env, &number).ok_or(Error::UnknownObligation)
}

pub(crate) fn status(env: &Env, number: u64) -> Result<Status, Error> {
    STATUS.get(env, &number).ok_or(Error::UnknownObligation)
}

pub(crate) fn set_status(env: &mut Env, number: u64, status: Status) {
    STATUS.set(env, &number, &status);
}

/// Enrols an obligation under the next number.
pub(crate) fn add(env: &mut Env, obligation: &Obligation, status: Status) -> Result<u64, Error> {
    let number = count(env);
    let next = number.checked_add(1).ok_or(Error::SumTooLarge)?;
    COUNT.set(env, &next);
    TERMS.set(env, &number, obligation);
    STATUS.set(env, &number, &status);
    Ok(number)
}

pub(crate) fn check_deadline(env: &Env, deadline: Millis) -> Result<(), Error> {
    let ahead = deadline.0.checked_sub(env.block_time().0);
    match ahead {
        Some(1..=DEADLINE_AHEAD_MS_MAX) => Ok(()),
        _ => Err(Error::BadDeadline),
    }
}

impl Obligation {
    /// The leg without its message, as far as it is for the contract to judge.
    pub(crate) fn leg(env: &Env, payer: AccountId, money: Money) -> Result<Leg, Error> {
        let Money { currency, amount } = money;
        book::currency(env, &currency)?;
        book::check_amount(amount)?;
        Ok(Leg {
            currency,
            payer,
            amount,
            pacs008: None,
        })
    }

    pub(crate) fn is_over(&self, env: &Env) -> bool {
        env.block_time() >= self.deadline
    }

    pub(crate) fn check_before_deadline(&self, env: &Env) -> Result<(), Error> {
        if self.is_over(env) {
            return Err(Error::DeadlinePassed);
        }
        Ok(())
    }

    pub(crate) fn is_party(&self, account: AccountId) -> bool {
        account == self.proposer || account == self.counterparty
    }

    pub(crate) fn other_than(&self, party: AccountId) -> AccountId {
        if party == self.proposer {
            self.counterparty
        } else {
            self.proposer
        }
    }

    /// Owed, with nothing set aside yet.
    pub(crate) fn agreed(&self) -> Status {
        Status::Agreed {
            first_aside: !self.first.is_due(),
            second_aside: !self.second.is_due(),
        }
    }

    /// Adds the message of the counterparty's leg, which waits for it.
    pub(crate) fn complete(&mut self, env: &mut Env, number: u64, pacs008: Pacs008) {
        self.second.pacs008 = Some(pacs008);
        TERMS.set(env, &number, self);
    }

    pub(crate) fn standing(&self, env: &Env, status: Status) -> Standing {
        let is_over = self.is_over(env);
        match status {
            Status::Proposed | Status::NettingProposed if is_over => Standing::Expired {
                first_set_aside: false,
                second_set_aside: false,
            },
            Status::Proposed => Standing::Proposed,
            Status::NettingProposed => Standing::NettingProposed,
            Status::Agreed {
                first_aside,
                second_aside,
            } => {
                let first_set_aside = first_aside && self.first.is_due();
                let second_set_aside = second_aside && self.second.is_due();
                if is_over {
                    Standing::Expired {
                        first_set_aside,
                        second_set_aside,
                    }
                } else {
                    Standing::Agreed {
                        first_set_aside,
                        second_set_aside,
                    }
                }
            }
            Status::Settled { at } => Standing::Settled { at },
            Status::Netted { into } => Standing::Netted { into },
            Status::Withdrawn => Standing::Withdrawn,
            Status::Refused => Standing::Refused,
        }
    }
}
