//! Who may commission goods under which company prefix.

use alloc::string::String;

use chancery_contract::{AccountId, Env, Map, contract_type};

use crate::Error;
use crate::epc::{self, PREFIX_DIGITS_MIN};

/// A company prefix in use. It stays in use when its manufacturer is revoked.
#[contract_type]
struct Registration {
    manufacturer: Option<AccountId>,
}

/// By company prefix.
const MANUFACTURERS: Map<String, Registration> = Map::new("manufacturer/");
/// The beginnings of company prefixes in use.
const BEGINNINGS: Map<String, bool> = Map::new("beginning/");

/// Registers a manufacturer, in the place of the one before if the prefix had one.
///
/// A shorter and a longer prefix with the same beginning could give two EPC URIs to one GTIN, so
/// GS1 never allots both; nor does this.
pub(crate) fn register(
    env: &mut Env,
    prefix: &String,
    manufacturer: AccountId,
) -> Result<(), Error> {
    epc::check_prefix(prefix)?;
    if !is_in_use(env, prefix) {
        let beginnings = || (PREFIX_DIGITS_MIN..prefix.len()).filter_map(|end| prefix.get(..end));
        let longer_in_use = BEGINNINGS.get(env, prefix).is_some();
        let mut shorter = beginnings().map(String::from);
        if longer_in_use || shorter.any(|shorter| MANUFACTURERS.get(env, &shorter).is_some()) {
            return Err(Error::PrefixOverlaps);
        }
        for beginning in beginnings() {
            BEGINNINGS.set(env, &beginning.into(), &true);
        }
    }
    let manufacturer = Some(manufacturer);
    MANUFACTURERS.set(env, prefix, &Registration { manufacturer });
    Ok(())
}

/// Ends the right to commission goods, and says whose it was.
pub(crate) fn revoke(env: &mut Env, prefix: &String) -> Result<AccountId, Error> {
    let manufacturer = of(env, prefix)?;
    let nobody = Registration { manufacturer: None };
    MANUFACTURERS.set(env, prefix, &nobody);
    Ok(manufacturer)
}

/// Whether a manufacturer was ever registered under a prefix.
pub(crate) fn is_in_use(env: &Env, prefix: &String) -> bool {
    MANUFACTURERS.get(env, prefix).is_some()
}

/// Who may commission goods under a prefix.
pub(crate) fn of(env: &Env, prefix: &String) -> Result<AccountId, Error> {
    epc::check_prefix(prefix)?;
    let registration = MANUFACTURERS.get(env, prefix);
    registration
        .and_then(|registration| registration.manufacturer)
        .ok_or(Error::NoManufacturer)
}
