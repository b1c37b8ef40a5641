//! From what a person types to the SCALE bytes of a method's arguments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_ledger::hash::sha256;
use chancery_ledger::{AccountId, Hash, Millis};
use parity_scale_codec::{Compact, Encode as _};
use serde_json::Value;

use super::{Field, Type, Variant};

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
        text.parse()
            .map(Millis)
            .map_err(|_| format!("{text:?} is not a number of milliseconds"))
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
    /// A text that is no value of the type.
    #[error("argument {name}: {text:?} is not a {kind}: {reason}")]
    Invalid {
        /// Which argument.
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
/// hashes as 64 hexadecimal digits or `@file` (its SHA-256); accounts and times by the resolver;
/// `option<T>` is `none` or a T, and may be left out; `list<T>` is a JSON array or values between
/// commas; records are JSON objects; a variant is its name (dashes or underscores alike) or, with
/// fields, a JSON object of one, as in `{"given": {"until": "+48h"}}`.
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
        let index = index.ok_or_else(|| ArgError::Unknown {
            name: name.clone(),
            expected: names(fields),
        })?;
        place(index, text.as_str())?;
    }
    let mut bytes = Vec::new();
    for (field, text) in fields.iter().zip(chosen) {
        match (text, &field.kind) {
            (Some(text), kind) => {
                Encoder {
                    name: &field.name,
                    resolver,
                    into: &mut bytes,
                }
                .text(kind, text)?;
            }
            (None, Type::Option(_)) => bytes.push(0),
            (None, kind) => {
                return Err(ArgError::Missing {
                    name: field.name.clone(),
                    kind: kind.clone(),
                });
            }
        }
    }
    Ok(bytes)
}

fn names(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

struct Encoder<'a> {
    name: &'a str,
    resolver: &'a dyn Resolver,
    into: &'a mut Vec<u8>,
}

impl Encoder<'_> {
    fn invalid(&self, kind: &Type, text: &str, reason: impl Into<String>) -> ArgError {
        ArgError::Invalid {
            name: self.name.to_owned(),
            kind: kind.clone(),
            text: text.chars().take(80).collect(),
            reason: reason.into(),
        }
    }

    fn number<T>(&mut self, kind: &Type, text: &str) -> Result<(), ArgError>
    where
        T: core::str::FromStr<Err = core::num::ParseIntError> + parity_scale_codec::Encode,
    {
        let number: T = text
            .parse()
            .map_err(|e: core::num::ParseIntError| self.invalid(kind, text, e.to_string()))?;
        number.encode_to(self.into);
        Ok(())
    }

    fn file(&self, kind: &Type, text: &str, path: &str) -> Result<Vec<u8>, ArgError> {
        self.resolver
            .file(path)
            .map_err(|reason| self.invalid(kind, text, reason))
    }

    fn text(&mut self, kind: &Type, text: &str) -> Result<(), ArgError> {
        match kind {
            Type::Bool => match text {
                "true" => self.into.push(1),
                "false" => self.into.push(0),
                _ => return Err(self.invalid(kind, text, "expected true or false")),
            },
            Type::U8 => self.number::<u8>(kind, text)?,
            Type::U16 => self.number::<u16>(kind, text)?,
            Type::U32 => self.number::<u32>(kind, text)?,
            Type::U64 => self.number::<u64>(kind, text)?,
            Type::U128 => self.number::<u128>(kind, text)?,
            Type::String => text.encode_to(self.into),
            Type::Bytes => match text.strip_prefix('@') {
                Some(path) => self.file(kind, text, path)?.encode_to(self.into),
                None => BASE64
                    .decode(text)
                    .map_err(|e| self.invalid(kind, text, e.to_string()))?
                    .encode_to(self.into),
            },
            Type::Hash => match text.strip_prefix('@') {
                Some(path) => sha256(&self.file(kind, text, path)?).encode_to(self.into),
                None => text
                    .parse::<Hash>()
                    .map_err(|_| self.invalid(kind, text, "expected 64 hexadecimal digits"))?
                    .encode_to(self.into),
            },
            Type::Account => self
                .resolver
                .account(text)
                .map_err(|reason| self.invalid(kind, text, reason))?
                .encode_to(self.into),
            Type::Time => self
                .resolver
                .time(text)
                .map_err(|reason| self.invalid(kind, text, reason))?
                .encode_to(self.into),
            Type::Option(_) if text == "none" => self.into.push(0),
            Type::Option(inner) => {
                self.into.push(1);
                self.text(inner, text)?;
            }
            Type::List(inner) if !text.trim_start().starts_with('[') => {
                let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
                self.list_length(kind, text, parts.len())?;
                for part in parts {
                    self.text(inner, part.trim())?;
                }
            }
            Type::Enum(variants) if !text.trim_start().starts_with(['{', '"']) => {
                self.variant(kind, variants, text, None)?;
            }
            Type::List(_) | Type::Record(_) | Type::Enum(_) => {
                let json: Value = serde_json::from_str(text)
                    .map_err(|e| self.invalid(kind, text, e.to_string()))?;
                self.json(kind, &json)?;
            }
        }
        Ok(())
    }

    fn variant(
        &mut self,
        kind: &Type,
        variants: &[Variant],
        name: &str,
        value: Option<&Value>,
    ) -> Result<(), ArgError> {
        let plain = name.replace('-', "_");
        let Some(variant) = variants.iter().find(|variant| variant.name == plain) else {
            let names: Vec<&str> = variants.iter().map(|v| v.name.as_str()).collect();
            let reason = format!("expected one of: {}", names.join(", "));
            return Err(self.invalid(kind, name, reason));
        };
        self.into.push(variant.number);
        match (value, variant.fields.as_slice()) {
            (None, []) => Ok(()),
            (Some(value), fields @ [_, ..]) => self.json(&Type::Record(fields.to_vec()), value),
            (None, [Field { name: field, .. }, ..]) => {
                let reason = format!("its fields are missing: {{\"{name}\": {{\"{field}\": …}}}}");
                Err(self.invalid(kind, name, reason))
            }
            (Some(_), []) => {
                let reason = format!("it has no fields: write \"{name}\"");
                Err(self.invalid(kind, name, reason))
            }
        }
    }

    fn list_length(&mut self, kind: &Type, text: &str, len: usize) -> Result<(), ArgError> {
        let len = u32::try_from(len).map_err(|_| self.invalid(kind, text, "too long a list"))?;
        Compact(len).encode_to(self.into);
        Ok(())
    }

    fn json(&mut self, kind: &Type, json: &Value) -> Result<(), ArgError> {
        match (kind, json) {
            (Type::Option(_), Value::Null) => self.into.push(0),
            (Type::Option(inner), json) => {
                self.into.push(1);
                self.json(inner, json)?;
            }
            (Type::List(inner), Value::Array(items)) => {
                self.list_length(kind, "[…]", items.len())?;
                for item in items {
                    self.json(inner, item)?;
                }
            }
            (Type::Enum(variants), Value::String(name)) => {
                self.variant(kind, variants, name, None)?;
            }
            (Type::Enum(variants), Value::Object(object)) if object.len() == 1 => {
                for (name, value) in object {
                    self.variant(kind, variants, name, Some(value))?;
                }
            }
            (Type::Enum(_), json) => {
                let reason = "expected the name of a variant, or an object of one variant";
                return Err(self.invalid(kind, &json.to_string(), reason));
            }
            (Type::Record(fields), Value::Object(object)) => {
                if let Some(name) = object
                    .keys()
                    .find(|name| fields.iter().all(|field| field.name != **name))
                {
                    return Err(self.invalid(kind, name, "the record has no such field"));
                }
                for field in fields {
                    match (object.get(&field.name), &field.kind) {
                        (Some(item), kind) => self.json(kind, item)?,
                        (None, Type::Option(_)) => self.into.push(0),
                        (None, _) => {
                            return Err(self.invalid(kind, &field.name, "the field is missing"));
                        }
                    }
                }
            }
            (Type::List(_) | Type::Record(_), json) => {
                return Err(self.invalid(kind, &json.to_string(), "another JSON type is needed"));
            }
            (kind, Value::String(text)) => self.text(kind, text)?,
            (kind, json) => self.text(kind, &json.to_string())?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: &str) -> Field {
        Field {
            name: name.to_owned(),
            kind: kind.parse().expect("a type"),
        }
    }

    fn position(text: &str) -> ArgText {
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

    fn check(kind: &str, text: &str, expected: Option<Vec<u8>>) {
        let encoded = encode_args(&[field("x", kind)], &[position(text)], &Plain);
        assert_eq!(encoded.ok(), expected, "{kind} {text}");
    }

    #[test]
    fn each_type_has_its_text() {
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let account: AccountId = did.parse().expect("a DID");
        check("bool", "true", Some(true.encode()));
        check("bool", "yes", None);
        check("u8", "255", Some(255_u8.encode()));
        check("u8", "256", None);
        check("u16", "7", Some(7_u16.encode()));
        check("u32", "-1", None);
        check("u64", "18446744073709551615", Some(u64::MAX.encode()));
        check("u128", "1", Some(1_u128.encode()));
        check("string", "añb", Some("añb".encode()));
        check("bytes", "AQI=", Some(vec![1_u8, 2].encode()));
        check("bytes", "not base64", None);
        check("hash", &"ab".repeat(32), Some(vec![0xab; 32]));
        check("hash", "ab", None);
        check("hash", "@x", None);
        check("account", did, Some(account.encode()));
        check("account", "did:key:z6Mk", None);
        check("time", "12", Some(12_u64.encode()));
        check("option<u8>", "none", Some(vec![0]));
        check("option<u8>", "3", Some(vec![1, 3]));
        check("list<u8>", "1,2", Some(vec![1_u8, 2].encode()));
        check("list<u8>", "", Some(vec![0]));
        check("list<u8>", "[1, 2]", Some(vec![1_u8, 2].encode()));
        check("list<string>", r#"["a,b"]"#, Some(vec!["a,b"].encode()));
        check("{a: u8, b: option<bool>}", r#"{"a": 1}"#, Some(vec![1, 0]));
        check("{a: u8}", r#"{"a": 1, "c": 2}"#, None);
        check("{a: u8}", "{}", None);
        check("{a: string}", "{}", None);
        check("{a: u8}", "7", None);
    }

    #[test]
    fn a_variant_is_typed_by_name_or_as_an_object() {
        let state = "enum {0 asked, 7 given_up {until: u8, for: option<u8>}}";
        check(state, "asked", Some(vec![0]));
        check(state, "\"asked\"", Some(vec![0]));
        check(state, r#"{"given_up": {"until": 5}}"#, Some(vec![7, 5, 0]));
        check(
            state,
            r#"{"given-up": {"until": "5", "for": 1}}"#,
            Some(vec![7, 5, 1, 1]),
        );
        for text in [
            "",
            "Asked",
            "given_up",
            "0",
            "7",
            "{}",
            "\"given-up\"",
            "\"{}\"",
            r#"{"asked": {}}"#,
            r#"{"asked": null}"#,
            r#"{"given_up": {}}"#,
            r#"{"given_up": 5}"#,
            r#"{"given_up": {"until": 5, "by": 1}}"#,
            r#"{"given_up": {"until": 5}, "asked": {}}"#,
        ] {
            check(state, text, None);
        }
        check(&format!("option<{state}>"), "none", Some(vec![0]));
        check(&format!("option<{state}>"), "asked", Some(vec![1, 0]));
        let list = format!("list<{state}>");
        check(&list, "asked,asked", Some(vec![8, 0, 0]));
        check(
            &list,
            r#"["asked", {"given_up": {"until": 5}}]"#,
            Some(vec![8, 0, 7, 5, 0]),
        );
        check(
            &format!("{{s: {state}}}"),
            r#"{"s": "asked"}"#,
            Some(vec![0]),
        );
    }

    #[test]
    fn a_variant_that_is_not_there_is_answered_with_those_that_are() {
        let fields = [field("state", "enum {0 on, 1 off {for: u8}}")];
        let said = |text: &str| {
            let error = encode_args(&fields, &[position(text)], &Plain);
            error.expect_err("it is no value").to_string()
        };
        assert!(said("of").ends_with("expected one of: on, off"));
        assert!(said("off").ends_with(r#"its fields are missing: {"off": {"for": …}}"#));
        assert!(said(r#"{"on": {}}"#).ends_with(r#"it has no fields: write "on""#));
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
}
