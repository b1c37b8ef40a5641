//! From what a person types, or a program has as JSON, to the SCALE bytes of a method's arguments.

mod encoder;

use chancery_ledger::{AccountId, Millis};
use serde_json::Value;

use super::{Field, Type, listed};
use encoder::Encoder;

/// One argument as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgText {
    /// The argument's name, dashes or underscores alike; `None` takes the next position.
    pub name: Option<String>,
    /// Its value.
    pub text: String,
}

/// Knows what texts stand for that mean something only where they are typed.
pub trait Resolver {
    /// The account of a name or DID.
    ///
    /// # Errors
    /// Why the text names none.
    fn account(&self, text: &str) -> Result<AccountId, String>;

    /// The moment that a text names (RFC 3339, `+48h`, plain milliseconds, …).
    ///
    /// # Errors
    /// Why the text names none.
    fn time(&self, text: &str) -> Result<Millis, String>;

    /// The contents of the file behind `@path`.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn file(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// Resolves nothing but what a text says by itself: DIDs and milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Resolver for Plain {
    fn account(&self, text: &str) -> Result<AccountId, String> {
        text.parse().map_err(|e| format!("{e}"))
    }

    fn time(&self, text: &str) -> Result<Millis, String> {
        let number = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = number.and_then(|text| text.parse().ok()).map(Millis);
        number.ok_or_else(|| format!("{text:?} is not a number of milliseconds"))
    }

    fn file(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("files are not read here: {path:?}"))
    }
}

/// Why arguments do not fit a method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgError {
    /// One is not there.
    #[error("argument {name} ({kind}) is missing")]
    Missing {
        /// Which.
        name: String,
        /// Its type.
        kind: Type,
    },
    /// One was given twice.
    #[error("argument {name} is given twice")]
    Twice {
        /// Which.
        name: String,
    },
    /// The method has no such argument.
    #[error("there is no argument {name}; expected: {expected}")]
    Unknown {
        /// What was given.
        name: String,
        /// The names there are.
        expected: String,
    },
    /// More positions than arguments.
    #[error("{given} arguments are given, at most {most} are taken")]
    TooMany {
        /// How many were given.
        given: usize,
        /// How many there are.
        most: usize,
    },
    /// JSON that is no arguments.
    #[error(
        "arguments are a JSON object of them by name, or an array of them in order; given: {given}"
    )]
    NoArguments {
        /// What was given, shortened.
        given: String,
    },
    /// A text that is no value of the type.
    #[error("argument {name}: {text:?} is no {kind}: {reason}")]
    Invalid {
        /// Which argument, or which part of it: `grant.until`, `readers[2]`.
        name: String,
        /// Its type, or that of the part.
        kind: Type,
        /// The text, shortened.
        text: String,
        /// Why not.
        reason: String,
    },
}

/// Encodes what was typed as the arguments that `fields` name, in their order.
///
/// Texts by type: `true`/`false`; decimal numbers; strings as they are; bytes as base64 or `@file`;
/// hashes as 64 hexadecimal digits or `@file` (its SHA-256), contracts by their 64 digits; accounts and
/// times by the resolver; durations with units or as milliseconds;
/// `option<T>` is `none` or a T, and may be left out; `list<T>` is a JSON array or values between
/// commas; records are JSON objects; a variant is its name (dashes or underscores alike) or, with
/// fields, a JSON object of one, as in `{"given": {"until": "+48h"}}`. In JSON, only numbers, times and durations
/// may be JSON numbers, only a `bool` true or false, only an `option` null; everything may be a JSON
/// string of its text, but lists and records.
///
/// # Errors
/// The first argument that does not fit.
pub fn encode_args(
    fields: &[Field],
    texts: &[ArgText],
    resolver: &dyn Resolver,
) -> Result<Vec<u8>, ArgError> {
    let mut chosen: Vec<Option<&str>> = vec![None; fields.len()];
    let mut place = |index: usize, text| match chosen.get_mut(index) {
        Some(slot) if slot.is_none() => {
            *slot = Some(text);
            Ok(())
        }
        _ => Err(ArgError::Twice {
            name: fields
                .get(index)
                .map(|field| field.name.clone())
                .unwrap_or_default(),
        }),
    };
    let positions = texts.iter().filter(|text| text.name.is_none());
    let given = positions.clone().count();
    if given > fields.len() {
        return Err(ArgError::TooMany {
            given,
            most: fields.len(),
        });
    }
    for (index, text) in positions.enumerate() {
        place(index, text.text.as_str())?;
    }
    for ArgText { name, text } in texts {
        let Some(name) = name else { continue };
        let plain = name.replace('-', "_");
        let index = fields.iter().position(|field| field.name == plain);
        let index = index.ok_or_else(|| unknown(name, fields))?;
        place(index, text.as_str())?;
    }
    encode_chosen(fields, &chosen, resolver, |encoder, kind, text| {
        encoder.text(kind, text)
    })
}

/// Encodes JSON as the arguments that `fields` name, in their order: an object of them by name, or an
/// array of them in that order. An `option<T>` may be left out, of an array at its end.
///
/// Values are written as within the JSON that [`encode_args`] takes, so what
/// [`decode_value`](crate::decode_value) shows can be given as it is, but for an option in an option.
///
/// # Errors
/// The first argument that does not fit.
pub fn encode_json_args(
    fields: &[Field],
    args: &Value,
    resolver: &dyn Resolver,
) -> Result<Vec<u8>, ArgError> {
    let chosen: Vec<Option<&Value>> = match args {
        Value::Object(by_name) => {
            let is_known = |name: &&String| fields.iter().any(|field| field.name == **name);
            if let Some(name) = by_name.keys().find(|name| !is_known(name)) {
                return Err(unknown(name, fields));
            }
            let of_name = |field: &Field| by_name.get(&field.name);
            fields.iter().map(of_name).collect()
        }
        Value::Array(in_order) if in_order.len() > fields.len() => {
            return Err(ArgError::TooMany {
                given: in_order.len(),
                most: fields.len(),
            });
        }
        Value::Array(in_order) => {
            let places = 0..fields.len();
            places.map(|place| in_order.get(place)).collect()
        }
        other => {
            return Err(ArgError::NoArguments {
                given: other.to_string().chars().take(80).collect(),
            });
        }
    };
    encode_chosen(fields, &chosen, resolver, |encoder, kind, json| {
        encoder.json(kind, json)
    })
}

/// Encodes what was chosen for each of the fields; an `option<T>` may be left out.
fn encode_chosen<T: ?Sized>(
    fields: &[Field],
    chosen: &[Option<&T>],
    resolver: &dyn Resolver,
    encode: impl Fn(&mut Encoder<'_>, &Type, &T) -> Result<(), ArgError>,
) -> Result<Vec<u8>, ArgError> {
    let mut bytes = Vec::new();
    for (Field { name, kind }, chosen) in fields.iter().zip(chosen) {
        match (chosen, kind) {
            (Some(chosen), kind) => {
                encode(&mut Encoder::new(name, resolver, &mut bytes), kind, chosen)?;
            }
            (None, Type::Option(_)) => bytes.push(0),
            (None, kind) => {
                return Err(ArgError::Missing {
                    name: name.clone(),
                    kind: kind.clone(),
                });
            }
        }
    }
    Ok(bytes)
}

fn unknown(name: &str, fields: &[Field]) -> ArgError {
    ArgError::Unknown {
        name: name.to_owned(),
        expected: listed(fields.iter().map(|field| field.name.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn field(name: &str, kind: &str) -> Field {
        Field {
            name: name.to_owned(),
            kind: kind.parse().expect("a type"),
        }
    }

    pub(super) fn position(text: &str) -> ArgText {
        ArgText {
            name: None,
            text: text.to_owned(),
        }
    }

    fn named(name: &str, text: &str) -> ArgText {
        ArgText {
            name: Some(name.to_owned()),
            text: text.to_owned(),
        }
    }

    #[test]
    fn names_and_positions_meet_in_schema_order() {
        let fields = [field("first_one", "u8"), field("second", "u8")];
        let encode = |texts: &[ArgText]| encode_args(&fields, texts, &Plain);
        let both = Ok(vec![1, 2]);
        assert_eq!(encode(&[position("1"), position("2")]), both);
        assert_eq!(
            encode(&[named("second", "2"), named("first-one", "1")]),
            both
        );
        assert_eq!(encode(&[named("second", "2"), position("1")]), both);
        assert!(matches!(
            encode(&[position("1")]),
            Err(ArgError::Missing { .. })
        ));
        assert!(matches!(
            encode(&[position("1"), named("first_one", "1")]),
            Err(ArgError::Twice { .. })
        ));
        assert!(matches!(
            encode(&[named("third", "1")]),
            Err(ArgError::Unknown { .. })
        ));
        assert!(matches!(
            encode(&[position("1"), position("2"), position("3")]),
            Err(ArgError::TooMany { given: 3, most: 2 })
        ));
        assert!(matches!(
            encode(&[position("x"), position("2")]),
            Err(ArgError::Invalid { .. })
        ));
    }

    #[test]
    fn json_is_arguments_by_name_or_in_order() {
        let fields = [field("who", "u8"), field("until", "option<time>")];
        let check = |args: Value, expected: Result<&[u8], &str>| {
            let encoded = encode_json_args(&fields, &args, &Plain);
            let encoded = encoded.map_err(|error| error.to_string());
            let expected = expected.map(<[u8]>::to_vec).map_err(str::to_owned);
            assert_eq!(encoded, expected, "{args}");
        };
        let both = [&[7, 1][..], &9_u64.to_le_bytes()].concat();
        check(json!({"until": 9, "who": 7}), Ok(&both));
        check(json!([7, 9]), Ok(&both));
        check(json!({"who": "7"}), Ok(&[7, 0]));
        check(json!({"who": 7, "until": null}), Ok(&[7, 0]));
        check(json!([7]), Ok(&[7, 0]));
        check(json!({}), Err("argument who (u8) is missing"));
        check(json!([]), Err("argument who (u8) is missing"));
        check(
            json!({"who": 7, "for": 1}),
            Err("there is no argument for; expected: who, until"),
        );
        check(
            json!([7, 9, 1]),
            Err("3 arguments are given, at most 2 are taken"),
        );
        check(
            json!({"who": -7}),
            Err("argument who: \"-7\" is no u8: invalid digit found in string"),
        );
        check(
            json!([7, true]),
            Err(
                "argument until: \"true\" is no time: expected a JSON string, or a whole \
                 number of milliseconds since 1970",
            ),
        );
        check(
            json!(7),
            Err(
                "arguments are a JSON object of them by name, or an array of them in order; \
                 given: 7",
            ),
        );
    }
}
