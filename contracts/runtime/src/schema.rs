//! What a contract says about itself: JSON in its custom section `chancery.schema`.
//!
//! Types are written as text: `bool`, `u8` … `u128`, `string`, `bytes`, `hash`, `account`, `time`
//! (milliseconds since the Unix epoch), `option<T>`, `list<T>`, records `{name: T, …}`, and
//! `enum {0 name, 1 name {field: T, …}, …}` for one of several variants, each with its number.
//! Values are SCALE; a record is its fields in order, a variant its number and then its fields.

mod args;
mod types;
mod value;

pub use args::{ArgError, ArgText, Plain, Resolver, encode_args};
pub use types::{Field, ParseTypeError, Type, Variant};
pub use value::{ValueError, decode_value};

/// The longest schema section that any chain may allow, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 65_536;

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
