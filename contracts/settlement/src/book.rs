//! Who has how much of which currency. The only place where balances change.
//!
//! Per currency, at every moment: the sum of all `available` and `reserved` is `issued - redeemed`.

use alloc::string::String;

use chancery_contract::{AccountId, Env, Map, Millis, contract_type};

use crate::Error;

/// What is held of one currency by one account, in minor units.
#[contract_type]
#[derive(Default, Copy)]
pub struct Balance {
    /// Free to be set aside or redeemed.
    pub available: u128,
    /// Set aside for obligations.
    pub reserved: u128,
}

/// A currency. It never changes.
#[contract_type]
pub struct Currency {
    /// Who owes what it issues: a central bank or a settlement agent.
    pub issuer: AccountId,
    /// ISO 4217's minor unit: how many decimals the amounts have (EUR 2, JPY 0, KWD 3).
    pub minor_unit: u8,
}

/// What was issued of a currency since it is registered, and redeemed of it, in minor units.
#[contract_type]
#[derive(Default, Copy)]
pub struct Supply {
    pub issued: u128,
    pub redeemed: u128,
}

/// 18 digits: `ActiveCurrencyAndAmount` of ISO 20022 has no more.
pub const AMOUNT_MAX: u128 = 999_999_999_999_999_999;
/// The most decimals of a currency in ISO 4217.
pub const MINOR_UNIT_MAX: u8 = 4;
/// `Max35Text` of ISO 20022.
pub const END_TO_END_ID_CHARACTERS_MAX: usize = 35;

/// By code.
const CURRENCIES: Map<String, Currency> = Map::new("currency/");
/// By code.
const SUPPLIES: Map<String, Supply> = Map::new("supply/");
/// By holder and code.
const BALANCES: Map<(AccountId, String), Balance> = Map::new("balance/");
/// When an account used an end-to-end id, by account and id. Never removed.
const END_TO_END_IDS: Map<(AccountId, String), Millis> = Map::new("end_to_end_id/");

fn has_form_of_a_code(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|letter| letter.is_ascii_uppercase())
}

/// The characters are those that all payment systems carry; without `//` and the like at the ends,
/// as SEPA and CBPR+ ask, no two ids look alike.
fn has_form_of_an_end_to_end_id(id: &str) -> bool {
    let in_set = |byte: u8| byte.is_ascii_alphanumeric() || b"/-?:().,'+ ".contains(&byte);
    let at_end = |byte: Option<&u8>| matches!(byte, Some(b'/' | b' '));
    let bytes = id.as_bytes();
    (1..=END_TO_END_ID_CHARACTERS_MAX).contains(&bytes.len())
        && bytes.iter().copied().all(in_set)
        && !at_end(bytes.first())
        && !at_end(bytes.last())
        && !bytes.windows(2).any(|pair| pair == b"//" || pair == b"  ")
        && id != "NOTPROVIDED"
}

pub(crate) fn register(env: &mut Env, code: String, currency: &Currency) -> Result<(), Error> {
    if !has_form_of_a_code(&code) {
        return Err(Error::BadCurrencyCode);
    }
    if currency.minor_unit > MINOR_UNIT_MAX {
        return Err(Error::BadMinorUnit);
    }
    if CURRENCIES.get(env, &code).is_some() {
        return Err(Error::CurrencyExists);
    }
    CURRENCIES.set(env, &code, currency);
    SUPPLIES.set(env, &code, &Supply::default());
    Ok(())
}

pub(crate) fn currency(env: &Env, code: &String) -> Result<Currency, Error> {
    // The form first: a key of any length would end the whole call.
    if !has_form_of_a_code(code) {
        return Err(Error::BadCurrencyCode);
    }
    CURRENCIES.get(env, code).ok_or(Error::UnknownCurrency)
}

pub(crate) fn supply(env: &Env, code: &String) -> Supply {
    SUPPLIES.get(env, code).unwrap_or_default()
}

pub(crate) fn balance(env: &Env, holder: AccountId, code: String) -> Balance {
    BALANCES.get(env, &(holder, code)).unwrap_or_default()
}

/// Whether an amount can stand in a message.
pub(crate) fn check_amount(amount: u128) -> Result<(), Error> {
    if (1..=AMOUNT_MAX).contains(&amount) {
        Ok(())
    } else {
        Err(Error::AmountOutOfRange)
    }
}

/// Marks an id as used by an account, once for ever.
pub(crate) fn use_end_to_end_id(env: &mut Env, by: AccountId, id: String) -> Result<(), Error> {
    if !has_form_of_an_end_to_end_id(&id) {
        return Err(Error::BadEndToEndId);
    }
    let key = (by, id);
    if END_TO_END_IDS.get(env, &key).is_some() {
        return Err(Error::EndToEndIdUsed);
    }
    let now = env.block_time();
    END_TO_END_IDS.set(env, &key, &now);
    Ok(())
}

pub(crate) fn end_to_end_id_used(env: &Env, by: AccountId, id: String) -> Option<Millis> {
    if has_form_of_an_end_to_end_id(&id) {
        END_TO_END_IDS.get(env, &(by, id))
    } else {
        None
    }
}

/// Makes money, for its issuer to owe.
pub(crate) fn issue(
    env: &mut Env,
    code: &String,
    holder: AccountId,
    amount: u128,
) -> Result<(), Error> {
    let mut supply = supply(env, code);
    supply.issued = sum(supply.issued, amount)?;
    SUPPLIES.set(env, code, &supply);
    change(env, holder, code, |balance| {
        balance.available = sum(balance.available, amount)?;
        Ok(())
    })
}

/// Unmakes money that its holder has available.
pub(crate) fn redeem(
    env: &mut Env,
    code: &String,
    holder: AccountId,
    amount: u128,
) -> Result<(), Error> {
    change(env, holder, code, |balance| {
        balance.available = rest(balance.available, amount)?;
        Ok(())
    })?;
    let mut supply = supply(env, code);
    supply.redeemed = sum(supply.redeemed, amount)?;
    SUPPLIES.set(env, code, &supply);
    Ok(())
}

/// From available to reserved.
pub(crate) fn set_aside(
    env: &mut Env,
    code: &str,
    holder: AccountId,
    amount: u128,
) -> Result<(), Error> {
    change(env, holder, code, |balance| {
        balance.available = rest(balance.available, amount)?;
        balance.reserved = sum(balance.reserved, amount)?;
        Ok(())
    })
}

/// From reserved back to available.
pub(crate) fn give_back(
    env: &mut Env,
    code: &str,
    holder: AccountId,
    amount: u128,
) -> Result<(), Error> {
    change(env, holder, code, |balance| {
        balance.reserved = set_aside_before(balance.reserved, amount);
        balance.available = sum(balance.available, amount)?;
        Ok(())
    })
}

/// From one's reserved to the other's available.
pub(crate) fn pay(
    env: &mut Env,
    code: &str,
    payer: AccountId,
    payee: AccountId,
    amount: u128,
) -> Result<(), Error> {
    change(env, payer, code, |balance| {
        balance.reserved = set_aside_before(balance.reserved, amount);
        Ok(())
    })?;
    change(env, payee, code, |balance| {
        balance.available = sum(balance.available, amount)?;
        Ok(())
    })
}

fn sum(one: u128, other: u128) -> Result<u128, Error> {
    one.checked_add(other).ok_or(Error::SumTooLarge)
}

fn rest(available: u128, amount: u128) -> Result<u128, Error> {
    available
        .checked_sub(amount)
        .ok_or(Error::InsufficientFunds)
}

fn set_aside_before(reserved: u128, amount: u128) -> u128 {
    let rest = reserved.checked_sub(amount);
    rest.expect("what an obligation counts as set aside is reserved")
}

fn change(
    env: &mut Env,
    holder: AccountId,
    code: &str,
    by: impl FnOnce(&mut Balance) -> Result<(), Error>,
) -> Result<(), Error> {
    let key = (holder, code.into());
    let mut balance = BALANCES.get(env, &key).unwrap_or_default();
    by(&mut balance)?;
    BALANCES.set(env, &key, &balance);
    Ok(())
}
