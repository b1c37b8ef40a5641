//! The names of goods: GS1 company prefixes, and EPC URIs of serialised trade items (SGTIN), by
//! GS1's EPC Tag Data Standard, section "SGTIN".

use alloc::string::String;

use chancery_contract::{Env, Hash, contract_type};

use crate::Error;

/// The shortest company prefix of an SGTIN, in digits.
pub const PREFIX_DIGITS_MIN: usize = 6;
/// The longest one.
pub const PREFIX_DIGITS_MAX: usize = 12;
/// Company prefix and item reference have so many digits together: a GTIN-14 without its check
/// digit.
const GTIN_DIGITS: usize = 13;
/// The longest serial number, in characters: application identifier 21.
const SERIAL_CHARACTERS_MAX: usize = 20;
/// Bytes of a salt: more than anybody can try out.
pub const SALT_BYTES: usize = 16;

/// What the ledger calls an item.
#[contract_type]
pub struct ItemId {
    /// In clear: whose goods it is.
    pub company_prefix: String,
    /// SHA-256 of the salt followed by the EPC URI.
    pub item: Hash,
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text has the form of a company prefix.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), Error> {
    let has_length = (PREFIX_DIGITS_MIN..=PREFIX_DIGITS_MAX).contains(&prefix.len());
    if has_length && is_digits(prefix) {
        Ok(())
    } else {
        Err(Error::BadCompanyPrefix)
    }
}

/// The company prefix of an EPC URI that has its one canonical form.
pub(crate) fn prefix_of(epc: &str) -> Option<&str> {
    let mut parts = epc.strip_prefix("urn:epc:id:sgtin:")?.splitn(3, '.');
    let (prefix, item, serial) = (parts.next()?, parts.next()?, parts.next()?);
    let holds = check_prefix(prefix).is_ok()
        && prefix.len() + item.len() == GTIN_DIGITS
        && is_digits(item)
        && is_serial(serial);
    holds.then_some(prefix)
}

/// The 82 characters of GS1, of which a URI writes seven as escapes, in capital digits.
fn is_serial(serial: &str) -> bool {
    const ESCAPED: [&str; 7] = ["%22", "%25", "%26", "%2F", "%3C", "%3E", "%3F"];
    let (mut rest, mut characters) = (serial, 0);
    while let Some(first) = rest.bytes().next() {
        let plain = first.is_ascii_alphanumeric() || b"!'()*+,-.:;=_".contains(&first);
        let escape = ESCAPED.iter().find_map(|escape| rest.strip_prefix(escape));
        rest = match (plain, escape) {
            (true, _) => rest.get(1..).unwrap_or_default(),
            (false, Some(after)) => after,
            (false, None) => return false,
        };
        characters += 1;
    }
    (1..=SERIAL_CHARACTERS_MAX).contains(&characters)
}

/// What the ledger calls the item with that EPC URI and that salt.
pub(crate) fn item_id(env: &Env, epc: &str, salt: &[u8]) -> Result<ItemId, Error> {
    let prefix = prefix_of(epc).ok_or(Error::BadEpc)?;
    if salt.len() != SALT_BYTES {
        return Err(Error::BadSalt);
    }
    Ok(ItemId {
        company_prefix: prefix.into(),
        item: env.sha256(&[salt, epc.as_bytes()].concat()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epc_uris_have_one_form() {
        let check = |epc: &str, expected: Option<&str>| {
            assert_eq!(prefix_of(epc), expected, "{epc}");
        };
        check("urn:epc:id:sgtin:4012345.011111.987", Some("4012345"));
        check(
            "urn:epc:id:sgtin:0614141.112345.000000000400",
            Some("0614141"),
        );
        check("urn:epc:id:sgtin:061414.1123456.a", Some("061414"));
        check(
            "urn:epc:id:sgtin:061414112345.6.!'()*+,-.:;=_",
            Some("061414112345"),
        );
        check(
            "urn:epc:id:sgtin:4012345.011111.%22%25%26%2F%3C%3E%3F",
            Some("4012345"),
        );
        check(
            "urn:epc:id:sgtin:4012345.011111.12345678901234567890",
            Some("4012345"),
        );
        for bad in [
            "",
            "urn:epc:id:sgtin:",
            "urn:epc:id:sscc:4012345.011111.987",
            "URN:EPC:ID:SGTIN:4012345.011111.987",
            "urn:epc:id:sgtin:4012345.011111",
            "urn:epc:id:sgtin:4012345.011111.",
            "urn:epc:id:sgtin:40123.45011111.987",
            "urn:epc:id:sgtin:4012345011111..987",
            "urn:epc:id:sgtin:4012345.01111.987",
            "urn:epc:id:sgtin:4012345.0111111.987",
            "urn:epc:id:sgtin:401234x.011111.987",
            "urn:epc:id:sgtin:4012345.01111x.987",
            "urn:epc:id:sgtin:4012345.011111.123456789012345678901",
            "urn:epc:id:sgtin:4012345.011111.9 7",
            "urn:epc:id:sgtin:4012345.011111.9/7",
            "urn:epc:id:sgtin:4012345.011111.9%2f7",
            "urn:epc:id:sgtin:4012345.011111.9%417",
            "urn:epc:id:sgtin:4012345.011111.9%2",
            "urn:epc:id:sgtin:4012345.011111.é",
        ] {
            check(bad, None);
        }
    }
}
