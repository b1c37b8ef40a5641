//! How patients, purposes and resource types are written in the standard access interface.

use alloc::string::String;

use chancery_contract::Hash;
use chancery_contract::access::EVERYTHING;

use crate::EMERGENCY;

/// FHIR's consent action for reading.
const ACCESS: &str = "access:";
/// The longest code of a purpose; HL7's have up to 10 letters.
const PURPOSE_BYTES_MAX: usize = 16;
/// The longest name of a resource type; FHIR's have up to 33 letters.
const TYPE_BYTES_MAX: usize = 48;
const HASH_DIGITS: usize = 64;

/// `access:TREAT`
pub(crate) fn action(purpose: &str) -> String {
    [ACCESS, purpose].concat()
}

/// Whether a text is a code of a purpose of use that can be permitted.
pub(crate) fn is_purpose(code: &str) -> bool {
    let letters = code.bytes().all(|byte| byte.is_ascii_uppercase());
    (1..=PURPOSE_BYTES_MAX).contains(&code.len()) && letters && code != EMERGENCY
}

/// The resource that contains all of a patient's: 64 hexadecimal digits.
pub(crate) fn everything_of(patient: Hash) -> String {
    let digit = |half: u8| {
        char::from(if half < 10 {
            b'0' + half
        } else {
            b'a' - 10 + half
        })
    };
    let mut digits = String::with_capacity(HASH_DIGITS);
    for byte in patient.0 {
        digits.push(digit(byte >> 4));
        digits.push(digit(byte & 15));
    }
    digits
}

/// `PATIENT/Observation`, `PATIENT/Observation/RESOURCE`, or `PATIENT` for `*`; `None` if it is no
/// resource type.
pub(crate) fn resource(patient: Hash, resource_type: &str) -> Option<String> {
    let patient = everything_of(patient);
    if resource_type == EVERYTHING {
        return Some(patient);
    }
    let mut parts = resource_type.as_bytes().split(|byte| *byte == b'/');
    let (name, id) = (parts.next().unwrap_or_default(), parts.next());
    let is_type = (1..=TYPE_BYTES_MAX).contains(&name.len())
        && name.iter().all(u8::is_ascii_alphabetic)
        && parts.next().is_none();
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let is_hash = |id: &[u8]| id.len() == HASH_DIGITS && id.iter().all(is_digit);
    (is_type && id.is_none_or(is_hash)).then(|| [&patient, "/", resource_type].concat())
}
