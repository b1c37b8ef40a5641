//! Setting money aside, paying both legs at once, and giving back what was not needed.

use chancery_contract::{AccountId, Env};

use crate::events::{GivenBack, Paid, SetAside, Settled};
use crate::obligation::{self, Obligation, Status};
use crate::{Error, book};

/// Sets aside what the caller owes of an obligation, and settles it if nothing is missing any more;
/// returns whether it did.
pub(crate) fn set_aside(
    env: &mut Env,
    number: u64,
    terms: &Obligation,
    status: Status,
    caller: AccountId,
) -> Result<bool, Error> {
    let Status::Agreed {
        mut first_aside,
        mut second_aside,
    } = status
    else {
        return Err(Error::NotAgreed);
    };
    terms.check_before_deadline(env)?;
    let mut funds = false;
    let legs = [
        (&terms.first, &mut first_aside),
        (&terms.second, &mut second_aside),
    ];
    for (leg, aside) in legs {
        if *aside || leg.payer != caller {
            continue;
        }
        book::set_aside(env, &leg.currency, leg.payer, leg.amount)?;
        (*aside, funds) = (true, true);
        env.emit(&SetAside {
            number,
            payer: leg.payer,
            currency: leg.currency.clone(),
            amount: leg.amount,
        });
    }
    if !funds {
        return Err(Error::NothingToFund);
    }
    let complete = first_aside && second_aside;
    if complete {
        settle(env, number, terms)?;
    } else {
        let status = Status::Agreed {
            first_aside,
            second_aside,
        };
        obligation::set_status(env, number, status);
    }
    Ok(complete)
}

/// Gives what was set aside for an obligation that is over back to its owners.
pub(crate) fn give_back(env: &mut Env, number: u64) -> Result<(), Error> {
    let (terms, status) = (
        obligation::terms(env, number)?,
        obligation::status(env, number)?,
    );
    let Status::Agreed {
        first_aside,
        second_aside,
    } = status
    else {
        return Err(Error::NotAgreed);
    };
    if !terms.is_over(env) {
        return Err(Error::DeadlineAhead);
    }
    if status == terms.agreed() {
        return Err(Error::NothingSetAside);
    }
    for (leg, aside) in [(&terms.first, first_aside), (&terms.second, second_aside)] {
        if !aside || leg.amount == 0 {
            continue;
        }
        book::give_back(env, &leg.currency, leg.payer, leg.amount)?;
        env.emit(&GivenBack {
            number,
            payer: leg.payer,
            currency: leg.currency.clone(),
            amount: leg.amount,
        });
    }
    obligation::set_status(env, number, terms.agreed());
    Ok(())
}

/// Pays both legs from what was set aside.
pub(crate) fn settle(env: &mut Env, number: u64, terms: &Obligation) -> Result<(), Error> {
    for leg in [&terms.first, &terms.second] {
        if leg.amount == 0 {
            continue;
        }
        let payee = terms.other_than(leg.payer);
        book::pay(env, &leg.currency, leg.payer, payee, leg.amount)?;
        let pacs008 = leg.pacs008.as_ref();
        env.emit(&Paid {
            number,
            payer: leg.payer,
            payee,
            currency: leg.currency.clone(),
            amount: leg.amount,
            end_to_end_id: pacs008.map(|message| message.end_to_end_id.clone()),
        });
    }
    let at = env.block_time();
    obligation::set_status(env, number, Status::Settled { at });
    env.emit(&Settled {
        number,
        proposer: terms.proposer,
        counterparty: terms.counterparty,
    });
    Ok(())
}
