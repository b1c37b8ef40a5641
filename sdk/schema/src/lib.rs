//! What a contract says about itself, and values by it: from JSON to SCALE and back. A contract says
//! it as JSON, in the custom section `chancery.schema` of its module, and a node hands it out.
//!
//! Types are written as text: `bool`, `u8` … `u128`, `string`, `bytes`, `hash`, `account`,
//! `contract`, `time` (milliseconds since the Unix epoch), `duration` (milliseconds), `option<T>`,
//! `list<T>`, records `{name: T, …}`, and
//! `enum {0 name, 1 name {field: T, …}, …}` for one of several variants, each with its number.
//! Values are SCALE; a record is its fields in order, a variant its number and then its fields.

#![forbid(unsafe_code)]

mod args;
mod duration;
mod read;
mod types;
mod value;

pub use args::{ArgError, ArgText, Plain, Resolver, encode_args, encode_json_args};
pub use duration::parse_duration;
pub use read::{ReadSchemaError, SCHEMA_BYTES_MAX, SCHEMA_JSON_BYTES_MAX, read_schema};
pub use types::{Field, ParseTypeError, Type, Variant};
pub use value::{ValueError, decode_value};

use std::fmt;

/// Everything a contract says about itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The contract's name.
    pub name: String,
    /// Its purpose, in the author's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// Its methods, `init` and `migrate` among them.
    pub methods: Vec<Method>,
    /// What it announces.
    #[serde(default)]
    pub events: Vec<Event>,
    /// What it refuses with.
    #[serde(default)]
    pub errors: Vec<ErrorCode>,
}

/// What a method may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum MethodKind {
    /// Runs once, at deployment.
    Init,
    /// Runs once, when the contract is upgraded to this code.
    Migrate,
    /// May change state; only by a transaction.
    Call,
    /// May only read.
    View,
}

/// One method.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Its name, without the kind's prefix.
    pub name: String,
    /// What it may do.
    pub kind: MethodKind,
    /// What it does, in the author's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// Its arguments, in order.
    #[serde(default)]
    pub args: Vec<Field>,
    /// What it returns, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Type>,
}

/// One kind of event.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The topic.
    pub name: String,
    /// When it is announced, in the author's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// Its fields, in order.
    #[serde(default)]
    pub fields: Vec<Field>,
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorCode {
    /// The code in the receipt.
    pub code: u32,
    /// Its name.
    pub name: String,
    /// What it means, in the author's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
}

/// Why a schema has no such method to be called or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// There is none of that name.
    #[error("contract {contract} has no {kind} {name:?}; it has: {expected}")]
    Unknown {
        /// What the contract calls itself.
        contract: String,
        /// The kind that was looked for.
        kind: MethodKind,
        /// The name that was looked for, shortened.
        name: String,
        /// The names that there are of that kind.
        expected: String,
    },
    /// What was to be called can only be asked.
    #[error("{name} of contract {contract} is a view: it is queried, not called")]
    IsAView {
        /// What the contract calls itself.
        contract: String,
        /// The view.
        name: String,
    },
    /// What was to be asked may change state.
    #[error(
        "{name} of contract {contract} may change state: it is called by a transaction, not queried"
    )]
    IsACall {
        /// What the contract calls itself.
        contract: String,
        /// The method.
        name: String,
    },
}

impl fmt::Display for MethodKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "init",
            Self::Migrate => "migrate",
            Self::Call => "call",
            Self::View => "view",
        })
    }
}

impl Schema {
    /// The method of that kind and name.
    #[must_use]
    pub fn method(&self, kind: MethodKind, name: &str) -> Option<&Method> {
        self.methods
            .iter()
            .find(|method| method.kind == kind && method.name == name)
    }

    /// What an ordered call of that name runs: the `call` method, else the `view`.
    #[must_use]
    pub fn callable(&self, name: &str) -> Option<&Method> {
        self.method(MethodKind::Call, name)
            .or_else(|| self.method(MethodKind::View, name))
    }

    /// The method of that name which a transaction calls to change something.
    ///
    /// # Errors
    /// If there is none, or only a view has that name.
    pub fn call(&self, name: &str) -> Result<&Method, MethodError> {
        self.method(MethodKind::Call, name)
            .ok_or_else(|| match self.callable(name) {
                Some(_) => MethodError::IsAView {
                    contract: self.name.clone(),
                    name: name.to_owned(),
                },
                None => self.unknown(MethodKind::Call, name),
            })
    }

    /// The view of that name.
    ///
    /// # Errors
    /// If there is none, or only a method that may change state has that name.
    pub fn view(&self, name: &str) -> Result<&Method, MethodError> {
        self.method(MethodKind::View, name)
            .ok_or_else(|| match self.callable(name) {
                Some(_) => MethodError::IsACall {
                    contract: self.name.clone(),
                    name: name.to_owned(),
                },
                None => self.unknown(MethodKind::View, name),
            })
    }

    fn unknown(&self, kind: MethodKind, name: &str) -> MethodError {
        let there = self.methods.iter().filter(|method| method.kind == kind);
        MethodError::Unknown {
            contract: self.name.clone(),
            kind,
            name: name.chars().take(80).collect(),
            expected: listed(there.map(|method| method.name.as_str())),
        }
    }

    /// `init`, where the contract has one.
    #[must_use]
    pub fn init(&self) -> Option<&Method> {
        self.methods
            .iter()
            .find(|method| method.kind == MethodKind::Init)
    }

    /// `migrate`, where the contract has one.
    #[must_use]
    pub fn migrate(&self) -> Option<&Method> {
        self.methods
            .iter()
            .find(|method| method.kind == MethodKind::Migrate)
    }

    /// The event with that topic.
    #[must_use]
    pub fn event(&self, topic: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.name == topic)
    }

    /// The refusal with that code.
    #[must_use]
    pub fn error(&self, code: u32) -> Option<&ErrorCode> {
        self.errors.iter().find(|error| error.code == code)
    }
}

impl Method {
    /// The returned bytes as JSON; `null` where the method returns nothing.
    ///
    /// # Errors
    /// If the bytes are not an encoding of the declared type.
    pub fn decode_result(&self, bytes: &[u8]) -> Result<serde_json::Value, ValueError> {
        match &self.returns {
            Some(returns) => decode_value(returns, bytes),
            None if bytes.is_empty() => Ok(serde_json::Value::Null),
            None => Err(ValueError::TrailingBytes { left: bytes.len() }),
        }
    }
}

impl Event {
    /// The event's fields as a JSON object.
    ///
    /// # Errors
    /// If the bytes are not an encoding of the declared fields.
    pub fn decode(&self, bytes: &[u8]) -> Result<serde_json::Value, ValueError> {
        decode_value(&Type::Record(self.fields.clone()), bytes)
    }
}

/// Names for people; `none` where there are none.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_found_by_what_is_wanted_of_it() {
        let schema: Schema = serde_json::from_value(serde_json::json!({
            "name": "Purse",
            "methods": [
                {"name": "init", "kind": "init"},
                {"name": "pay", "kind": "call"},
                {"name": "take", "kind": "call"},
                {"name": "left", "kind": "view"},
            ],
        }))
        .expect("a schema");
        let call = |name| schema.call(name).map_err(|error| error.to_string());
        let view = |name| schema.view(name).map_err(|error| error.to_string());
        assert_eq!(call("pay").map(|method| method.kind), Ok(MethodKind::Call));
        assert_eq!(view("left").map(|method| method.kind), Ok(MethodKind::View));
        for (found, expected) in [
            (
                call("pray"),
                "contract Purse has no call \"pray\"; it has: pay, take",
            ),
            (
                call("init"),
                "contract Purse has no call \"init\"; it has: pay, take",
            ),
            (
                call("left"),
                "left of contract Purse is a view: it is queried, not called",
            ),
            (
                view("right"),
                "contract Purse has no view \"right\"; it has: left",
            ),
            (
                view("pay"),
                "pay of contract Purse may change state: it is called by a transaction, not queried",
            ),
        ] {
            assert_eq!(found.expect_err("not found"), expected);
        }
    }
}
