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
/// The longest id of a FHIR resource, and of a salted hash in its place.
const ID_BYTES_MAX: usize = 64;

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
    let is_sound = is_type(name) && id.is_none_or(is_hash) && parts.next().is_none();
    is_sound.then(|| [&patient, "/", resource_type].concat())
}

/// Whether a text is what [`resource`] makes, or asks for one resource by its id as it is in FHIR:
/// whoever was permitted a type is permitted each of it. Nothing that leads out of the type, and no
/// operation on it.
pub(crate) fn is_asked_for(text: &str) -> bool {
    let mut parts = text.as_bytes().split(|byte| *byte == b'/');
    parts.next().is_some_and(is_hash)
        && parts.next().is_none_or(is_type)
        && parts.next().is_none_or(is_id)
        && parts.next().is_none()
}

fn is_type(name: &[u8]) -> bool {
    (1..=TYPE_BYTES_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_alphabetic)
}

fn is_hash(digits: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    digits.len() == HASH_DIGITS && digits.iter().all(is_digit)
}

fn is_id(id: &[u8]) -> bool {
    let is_of_one = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let leads_out = matches!(id, b"." | b"..");
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_of_one) && !leads_out
}
