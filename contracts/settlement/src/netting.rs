//! Bilateral netting by novation: obligations between two banks in one pair of currencies are
//! satisfied and discharged by one, which owes the difference in each currency.

use alloc::vec::Vec;

use chancery_contract::{AccountId, Env, Millis};

use crate::obligation::{self, Leg, Obligation, Status};
use crate::{Error, book};

/// Obligations replaced by one.
pub const NETTING_MAX: usize = 32;

/// What both have to pay in one currency.
struct Position<'a> {
    currency: &'a str,
    by_proposer: u128,
    by_counterparty: u128,
}

impl Position<'_> {
    fn add(&mut self, leg: &Leg, proposer: AccountId) -> Result<(), Error> {
        let side = if leg.payer == proposer {
            &mut self.by_proposer
        } else {
            &mut self.by_counterparty
        };
        *side = side.checked_add(leg.amount).ok_or(Error::SumTooLarge)?;
        Ok(())
    }

    fn net(&self, proposer: AccountId, counterparty: AccountId) -> Result<Leg, Error> {
        let amount = self.by_proposer.abs_diff(self.by_counterparty);
        if amount > 0 {
            book::check_amount(amount)?;
        }
        let payer = if self.by_proposer >= self.by_counterparty {
            proposer
        } else {
            counterparty
        };
        Ok(Leg {
            currency: self.currency.into(),
            payer,
            amount,
            pacs008: None,
        })
    }
}

/// The obligation that stands in the place of those, which must be open, between these two, in the
/// same two currencies, and with nothing set aside.
pub(crate) fn net(
    env: &Env,
    proposer: AccountId,
    counterparty: AccountId,
    replaces: Vec<u64>,
    deadline: Millis,
) -> Result<Obligation, Error> {
    let ascending = replaces.windows(2).all(|pair| pair.first() < pair.last());
    if !(2..=NETTING_MAX).contains(&replaces.len()) || !ascending {
        return Err(Error::BadNetting);
    }
    let mut replaced = Vec::new();
    for number in &replaces {
        let terms = obligation::terms(env, *number)?;
        if !terms.is_party(proposer) || terms.other_than(proposer) != counterparty {
            return Err(Error::OtherParties);
        }
        check_open(env, *number, &terms)?;
        replaced.push(terms);
    }
    let pair = replaced.first().ok_or(Error::BadNetting)?;
    let mut positions = [&pair.first, &pair.second].map(|leg| Position {
        currency: leg.currency.as_str(),
        by_proposer: 0,
        by_counterparty: 0,
    });
    for leg in replaced
        .iter()
        .flat_map(|terms| [&terms.first, &terms.second])
    {
        let mut of_currency = positions.iter_mut();
        let position = of_currency.find(|position| position.currency == leg.currency);
        position.ok_or(Error::OtherCurrencies)?.add(leg, proposer)?;
    }
    let [first, second] = positions;
    Ok(Obligation {
        first: first.net(proposer, counterparty)?,
        second: second.net(proposer, counterparty)?,
        proposer,
        counterparty,
        deadline,
        replaces,
    })
}

/// Puts an obligation in the place of those that it nets, if they are all still open.
pub(crate) fn replace(env: &mut Env, into: u64, net: &Obligation) -> Result<(), Error> {
    for number in &net.replaces {
        let terms = obligation::terms(env, *number)?;
        check_open(env, *number, &terms)?;
        obligation::set_status(env, *number, Status::Netted { into });
    }
    Ok(())
}

fn check_open(env: &Env, number: u64, terms: &Obligation) -> Result<(), Error> {
    let status = obligation::status(env, number)?;
    if !matches!(status, Status::Agreed { .. }) {
        return Err(Error::NotAgreed);
    }
    terms.check_before_deadline(env)?;
    if status != terms.agreed() {
        return Err(Error::AlreadyFunded);
    }
    Ok(())
}
