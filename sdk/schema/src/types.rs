//! The types of arguments, results and event fields, and their text form.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

/// Types nest at most this deep.
const DEPTH_MAX: u32 = 8;

/// A type of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `bool`
    Bool,
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `u128`
    U128,
    /// `string`: UTF-8
    String,
    /// `bytes`
    Bytes,
    /// `hash`: 32 bytes
    Hash,
    /// `account`: the 32 bytes of an Ed25519 key
    Account,
    /// `contract`: the 32 bytes of its address
    Contract,
    /// `time`: u64, milliseconds since the Unix epoch
    Time,
    /// `duration`: u64, milliseconds
    Duration,
    /// `option<T>`
    Option(Box<Type>),
    /// `list<T>`
    List(Box<Type>),
    /// `{name: T, …}`
    Record(Vec<Field>),
    /// `enum {0 name, 1 name {field: T, …}, …}`
    Enum(Vec<Variant>),
}

/// One of the forms that a value can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The byte that a value begins with.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// What follows, in order; often nothing.
    pub fields: Vec<Field>,
}

/// A named value: an argument, a field of an event or of a record.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
}

/// A text that is not a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a type of the schema")]
pub struct ParseTypeError {
    /// What was given, shortened.
    pub text: String,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::U8 => f.write_str("u8"),
            Self::U16 => f.write_str("u16"),
            Self::U32 => f.write_str("u32"),
            Self::U64 => f.write_str("u64"),
            Self::U128 => f.write_str("u128"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Hash => f.write_str("hash"),
            Self::Account => f.write_str("account"),
            Self::Contract => f.write_str("contract"),
            Self::Time => f.write_str("time"),
            Self::Duration => f.write_str("duration"),
            Self::Option(inner) => write!(f, "option<{inner}>"),
            Self::List(inner) => write!(f, "list<{inner}>"),
            Self::Record(fields) => write_record(fields, f),
            Self::Enum(variants) => {
                f.write_str("enum {")?;
                for (i, variant) in variants.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{} {}", variant.number, variant.name)?;
                    if !variant.fields.is_empty() {
                        f.write_str(" ")?;
                        write_record(&variant.fields, f)?;
                    }
                }
                f.write_str("}")
            }
        }
    }
}

fn write_record(fields: &[Field], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("{")?;
    for (i, Field { name, kind }) in fields.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(f, "{comma}{name}: {kind}")?;
    }
    f.write_str("}")
}

impl FromStr for Type {
    type Err = ParseTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text;
        parse(&mut rest, 0)
            .filter(|_| rest.trim().is_empty())
            .ok_or_else(|| ParseTypeError {
                text: text.chars().take(80).collect(),
            })
    }
}

fn word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    *rest = rest.trim_start();
    let end = rest
        .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        .unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    (!word.is_empty()).then_some(word)
}

fn symbol(rest: &mut &str, symbol: char) -> Option<()> {
    *rest = rest.trim_start().strip_prefix(symbol)?;
    Some(())
}

fn parse(rest: &mut &str, depth: u32) -> Option<Type> {
    if depth >= DEPTH_MAX {
        return None;
    }
    if symbol(rest, '{').is_some() {
        return parse_record(rest, depth).map(Type::Record);
    }
    Some(match word(rest)? {
        "bool" => Type::Bool,
        "u8" => Type::U8,
        "u16" => Type::U16,
        "u32" => Type::U32,
        "u64" => Type::U64,
        "u128" => Type::U128,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "hash" => Type::Hash,
        "account" => Type::Account,
        "contract" => Type::Contract,
        "time" => Type::Time,
        "duration" => Type::Duration,
        "option" => Type::Option(Box::new(parse_inner(rest, depth)?)),
        "list" => Type::List(Box::new(parse_inner(rest, depth)?)),
        "enum" => Type::Enum(parse_variants(rest, depth)?),
        _ => return None,
    })
}

fn parse_inner(rest: &mut &str, depth: u32) -> Option<Type> {
    symbol(rest, '<')?;
    let inner = parse(rest, depth + 1)?;
    symbol(rest, '>')?;
    Some(inner)
}

/// What follows `enum`: names and numbers stand once each, so there are at most 256.
fn parse_variants(rest: &mut &str, depth: u32) -> Option<Vec<Variant>> {
    let mut variants: Vec<Variant> = Vec::new();
    let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
    symbol(rest, '{')?;
    loop {
        let number = word(rest)?.parse().ok()?;
        let name = word(rest)?;
        if !numbers.insert(number) || !names.insert(name) {
            return None;
        }
        let name = name.to_owned();
        let fields = match symbol(rest, '{') {
            Some(()) => parse_record(rest, depth)?,
            None => Vec::new(),
        };
        variants.push(Variant {
            number,
            name,
            fields,
        });
        if symbol(rest, '}').is_some() {
            return Some(variants);
        }
        symbol(rest, ',')?;
    }
}

/// What follows `{`.
fn parse_record(rest: &mut &str, depth: u32) -> Option<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    let mut names = BTreeSet::new();
    loop {
        let name = word(rest)?;
        if !names.insert(name) {
            return None;
        }
        let name = name.to_owned();
        symbol(rest, ':')?;
        let kind = parse(rest, depth + 1)?;
        fields.push(Field { name, kind });
        if symbol(rest, '}').is_some() {
            return Some(fields);
        }
        symbol(rest, ',')?;
    }
}

impl serde::Serialize for Type {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Type {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, canonical: Option<&str>) {
        let parsed: Result<Type, _> = text.parse();
        assert_eq!(
            parsed.ok().map(|parsed| parsed.to_string()),
            canonical.map(str::to_owned),
            "{text}"
        );
    }

    #[test]
    fn types_are_read_and_written_alike() {
        for text in [
            "bool",
            "u128",
            "time",
            "duration",
            "contract",
            "option<time>",
            "list<option<account>>",
            "{who: account, until: option<time>}",
            "list<{a: u8}>",
            "enum {0 permit {until: time}, 1 deny {reason: string}}",
            "enum {255 on, 0 off}",
            "list<enum {0 a {b: enum {0 c, 1 d}, e: {f: u8}}}>",
        ] {
            check(text, Some(text));
        }
        check(" list < u8 > ", Some("list<u8>"));
        check("{a:u8,b:bool}", Some("{a: u8, b: bool}"));
        check(" enum{00 a,1 b{c:u8}}", Some("enum {0 a, 1 b {c: u8}}"));
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in [
            "",
            "f64",
            "option",
            "option<>",
            "list<u8",
            "{}",
            "{a}",
            "{a: u8, a: u8}",
            "u8 u8",
            "enum",
            "enum {}",
            "enum {a}",
            "enum {0}",
            "enum {0 a,}",
            "enum {0 a {}}",
            "enum {0 a {b}}",
            "enum {0 a, 0 b}",
            "enum {0 a, 1 a}",
            "enum {256 a}",
            "enum {-1 a}",
            "enum {0 a",
            "enum {0 a: u8}",
            "enum {0 A}",
            "enum {0 a {b: enum {0 a {b: enum {0 a {b: enum {0 a {b: enum {0 a {b: enum {0 a {b: enum {0 a {b: enum {0 a {b: u8}}}}}}}}}}}}}}}}",
            "list<list<list<list<list<list<list<list<list<u8>>>>>>>>>",
        ] {
            check(text, None);
        }
    }
    #[test]
    fn names_without_number_are_compared_in_little_time() {
        let fields: Vec<String> = (0..200_000).map(|n| format!("f{n}: u8")).collect();
        check(&format!("{{{}, f7: u8}}", fields.join(", ")), None);
        let record = format!("{{{}}}", fields.join(", "));
        check(&record, Some(&record));
    }
}
