//! One argument: from its text, or JSON, to SCALE.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_ledger::hash::sha256;
use chancery_ledger::{ContractId, Hash};
use parity_scale_codec::{Compact, Encode as _};
use serde_json::Value;

use super::super::{Variant, parse_duration};
use super::{ArgError, Field, Resolver, Type};

/// Appends one argument to `into`.
pub(super) struct Encoder<'a> {
    /// Of the argument, and the way to the part that is being encoded.
    name: String,
    resolver: &'a dyn Resolver,
    into: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(name: &str, resolver: &'a dyn Resolver, into: &'a mut Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            resolver,
            into,
        }
    }

    fn invalid(&self, kind: &Type, text: &str, reason: impl Into<String>) -> ArgError {
        ArgError::Invalid {
            name: self.name.clone(),
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

    /// A value as its text.
    pub(super) fn text(&mut self, kind: &Type, text: &str) -> Result<(), ArgError> {
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
            Type::Contract => text
                .parse::<ContractId>()
                .map_err(|_| {
                    let expected = "expected the 64 hexadecimal digits of its address";
                    self.invalid(kind, text, expected)
                })?
                .encode_to(self.into),
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
            Type::Duration => duration_ms(text)
                .ok_or_else(|| {
                    let expected = "expected units, like 48h, 90s or 1h30m, or milliseconds";
                    self.invalid(kind, text, expected)
                })?
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
            (Some(value), fields @ [_, ..]) => {
                self.part(&format!(".{plain}"), &Type::Record(fields.to_vec()), value)
            }
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

    /// A part of the value, named for the errors of it.
    fn part(&mut self, way: &str, kind: &Type, json: &Value) -> Result<(), ArgError> {
        let here = self.name.len();
        self.name.push_str(way);
        self.json(kind, json)?;
        self.name.truncate(here);
        Ok(())
    }

    fn expected(&self, kind: &Type, json: &Value, expected: &str) -> ArgError {
        self.invalid(kind, &json.to_string(), format!("expected {expected}"))
    }

    /// A value as JSON.
    pub(super) fn json(&mut self, kind: &Type, json: &Value) -> Result<(), ArgError> {
        match (kind, json) {
            (Type::Option(_), Value::Null) => self.into.push(0),
            (Type::Option(inner), json) => {
                self.into.push(1);
                self.json(inner, json)?;
            }
            (Type::List(inner), Value::Array(items)) => {
                self.list_length(kind, "[…]", items.len())?;
                for (index, item) in items.iter().enumerate() {
                    self.part(&format!("[{index}]"), inner, item)?;
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
                        (Some(item), kind) => self.part(&format!(".{}", field.name), kind, item)?,
                        (None, Type::Option(_)) => self.into.push(0),
                        (None, _) => {
                            return Err(self.invalid(kind, &field.name, "the field is missing"));
                        }
                    }
                }
            }
            (Type::List(_), json) => return Err(self.expected(kind, json, "a JSON array")),
            (Type::Record(_), json) => return Err(self.expected(kind, json, "a JSON object")),
            // Of everything else, a JSON string is the text.
            (kind, Value::String(text)) => self.text(kind, text)?,
            (Type::Bool, Value::Bool(flag)) => self.into.push(u8::from(*flag)),
            (Type::Bool, json) => return Err(self.expected(kind, json, "true or false")),
            (
                Type::U8
                | Type::U16
                | Type::U32
                | Type::U64
                | Type::U128
                | Type::Time
                | Type::Duration,
                Value::Number(number),
            ) if !number.is_f64() => self.text(kind, &number.to_string())?,
            (Type::Time, json) => {
                let expected = "a JSON string, or a whole number of milliseconds since 1970";
                return Err(self.expected(kind, json, expected));
            }
            (Type::Duration, json) => {
                let expected = "a JSON string, or a whole number of milliseconds";
                return Err(self.expected(kind, json, expected));
            }
            (Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::U128, json) => {
                let expected = "a whole number, or its digits as a JSON string";
                return Err(self.expected(kind, json, expected));
            }
            (Type::String | Type::Bytes | Type::Hash | Type::Account | Type::Contract, json) => {
                return Err(self.expected(kind, json, "a JSON string"));
            }
        }
        Ok(())
    }
}

/// How many milliseconds a text says: with units, or their number.
fn duration_ms(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let duration = parse_duration(text)?;
    let is_whole = duration.subsec_nanos().is_multiple_of(1_000_000);
    u64::try_from(duration.as_millis())
        .ok()
        .filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{field, position};
    use super::super::{Plain, encode_args};
    use super::*;
    use chancery_ledger::AccountId;

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
        check("duration", "12", Some(12_u64.encode()));
        check("duration", "1h30m", Some(5_400_000_u64.encode()));
        check("duration", "1m 5ms", Some(60_005_u64.encode()));
        // A moment is none; nor is what has no whole milliseconds, or no end.
        for none in ["+24h", "", "1us", "18446744073709551615s 1000ms"] {
            check("duration", none, None);
        }
        check("contract", &"ab".repeat(32), Some(vec![0xab; 32]));
        check("contract", "land_registry", None);
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
    fn json_of_another_kind_is_no_value() {
        for (kind, text) in [
            ("{a: string}", r#"{"a": null}"#),
            ("{a: string}", r#"{"a": true}"#),
            ("{a: string}", r#"{"a": 5}"#),
            ("{a: string}", r#"{"a": ["x"]}"#),
            ("{a: bytes}", r#"{"a": null}"#),
            ("{a: bytes}", r#"{"a": true}"#),
            ("{a: bytes}", r#"{"a": 1234}"#),
            ("{a: hash}", r#"{"a": 1}"#),
            ("{a: account}", r#"{"a": {}}"#),
            ("{a: bool}", r#"{"a": 1}"#),
            ("{a: bool}", r#"{"a": null}"#),
            ("{a: u8}", r#"{"a": true}"#),
            ("{a: u8}", r#"{"a": null}"#),
            ("{a: u8}", r#"{"a": 1.0}"#),
            ("{a: u8}", r#"{"a": -1}"#),
            ("{a: time}", r#"{"a": false}"#),
            ("list<string>", "[1]"),
            ("list<option<string>>", "[1]"),
            ("enum {0 a {b: string}}", r#"{"a": {"b": 1}}"#),
        ] {
            check(kind, text, None);
        }
        check("{a: string}", r#"{"a": "null"}"#, Some("null".encode()));
        check("{a: option<string>}", r#"{"a": null}"#, Some(vec![0]));
        check("{a: bool}", r#"{"a": true}"#, Some(vec![1]));
        check("{a: bool}", r#"{"a": "true"}"#, Some(vec![1]));
        check("{a: time}", r#"{"a": 9}"#, Some(9_u64.encode()));
        check("{a: u128}", r#"{"a": 9}"#, Some(9_u128.encode()));
    }

    #[test]
    fn an_error_leads_to_the_part_that_is_wrong() {
        for (kind, text, expected) in [
            (
                "{a: {b: string}}",
                r#"{"a": {"b": null}}"#,
                "argument x.a.b: \"null\" is no string: expected a JSON string",
            ),
            (
                "list<{until: time}>",
                r#"[{"until": 1}, {"until": true}]"#,
                "argument x[1].until: \"true\" is no time: expected a JSON string, or a whole \
                 number of milliseconds since 1970",
            ),
            (
                "enum {0 off, 1 on {for_ms: u8}}",
                r#"{"on": {"for_ms": 300}}"#,
                "argument x.on.for_ms: \"300\" is no u8: number too large to fit in target type",
            ),
            (
                "{a: u8, b: list<u8>}",
                r#"{"a": 1, "b": "2"}"#,
                "argument x.b: \"\\\"2\\\"\" is no list<u8>: expected a JSON array",
            ),
        ] {
            let error = encode_args(&[field("x", kind)], &[position(text)], &Plain);
            assert_eq!(error.expect_err("no value").to_string(), expected);
        }
    }
}
