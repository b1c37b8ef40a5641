//! Outcomes, values and events in the words of the contract's schema.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_client::KeyStore;
use chancery_client::api::{EventInfo, Outcome, ReceiptInfo};
use chancery_genesis::time;
use chancery_ledger::{Millis, TrapKind};
use chancery_schema::{ErrorCode, Event, Field, Method, Schema, Type, decode_value};
use serde_json::{Map, Value, json};

use super::output::{padded, printable, width_of};
use super::schemas::Schemas;
use super::{CliError, Exit, Rows};

/// Why there is no schema where the ledger did something by itself.
pub(super) const NO_CONTRACT: &str = "no contract ran";
/// Why there is none where a module has none.
pub(super) const NO_SCHEMA: &str = "the module does not say what its methods take";
/// Why there is none in a list.
pub(super) const NO_SCHEMA_ASKED: &str = "a list is shown without schemas";
/// Why something of a method is not known, although there is a schema.
const NO_SUCH_METHOD: &str = "the contract's schema has no such method";

/// What the accounts are called here.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// The names of the keys in a store; one that cannot be read names nobody.
    pub(super) fn of(keys: &KeyStore) -> Self {
        let named = keys.list().unwrap_or_default();
        let named = named.into_iter().filter_map(|key| {
            let account = key.account.ok()?;
            Some((account.to_string(), key.name))
        });
        Self(named.collect())
    }

    /// A DID with its name behind it, if it has one.
    pub(super) fn show(&self, did: &str) -> String {
        match self.0.get(did) {
            Some(name) => format!("{did} ({name})"),
            None => did.to_owned(),
        }
    }
}

/// A value for people: times in RFC 3339, accounts with their names.
pub(super) fn value_text(kind: &Type, value: &Value, names: &Names) -> String {
    match (kind, value) {
        (Type::Time, Value::Number(number)) => match number.as_u64() {
            Some(ms) => time::format(Millis(ms)),
            None => number.to_string(),
        },
        (Type::Duration, Value::Number(number)) => match number.as_u64() {
            Some(ms) => humantime::format_duration(Duration::from_millis(ms)).to_string(),
            None => number.to_string(),
        },
        (Type::Account, Value::String(did)) => names.show(did),
        (Type::Option(_), Value::Null) => "none".to_owned(),
        (Type::Option(inner), value) => value_text(inner, value, names),
        (Type::List(inner), Value::Array(items)) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| value_text(inner, item, names))
                .collect();
            format!("[{}]", items.join(", "))
        }
        (Type::Record(fields), Value::Object(object)) => record_text(fields, object, names),
        (Type::Enum(variants), Value::Object(object)) => {
            let shown = object.iter().filter_map(|(name, value)| {
                let variant = variants.iter().find(|variant| variant.name == *name)?;
                let fields = record_text(&variant.fields, value.as_object()?, names);
                Some(format!("{name} {fields}"))
            });
            shown.collect()
        }
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}

fn record_text(fields: &[Field], object: &Map<String, Value>, names: &Names) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|field| {
            let value = object.get(&field.name).unwrap_or(&Value::Null);
            format!("{}: {}", field.name, value_text(&field.kind, value, names))
        })
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// An outcome seen through the schema of the contract, as far as there is one.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) outcome: &'a Outcome,
    /// Or why there is none.
    pub(super) schema: Result<&'a Schema, &'a str>,
    pub(super) method: Option<&'a Method>,
}

impl<'a> Shown<'a> {
    /// `applied`, `reverted` or `trapped`.
    pub(super) fn status(&self) -> &'static str {
        match self.outcome {
            Outcome::Applied { .. } => "applied",
            Outcome::Reverted { .. } => "reverted",
            Outcome::Trapped { .. } => "trapped",
        }
    }

    /// `status`, and `value`, or `code`, `data` and `error`, or `kind`. A value that is not known, or
    /// does not fit its type, is null, with its bytes in `value_base64` and the reason in
    /// `value_unknown`; an error without a name is null, with the reason in `error_unknown`.
    pub(super) fn to_json(&self, object: &mut Map<String, Value>) {
        object.insert("status".to_owned(), json!(self.status()));
        match self.outcome {
            Outcome::Applied { value } => {
                let shown = self.value(&value.0);
                if let Err(reason) = &shown {
                    object.insert("value_base64".to_owned(), json!(value));
                    object.insert("value_unknown".to_owned(), json!(reason));
                }
                object.insert("value".to_owned(), shown.unwrap_or_default());
            }
            Outcome::Reverted { code, data } => {
                object.insert("code".to_owned(), json!(code));
                object.insert("data".to_owned(), json!(BASE64.encode(&data.0)));
                let error = self.error(*code);
                if let Err(reason) = error {
                    object.insert("error_unknown".to_owned(), json!(reason));
                }
                let name = error.ok().map(|error| &error.name);
                object.insert("error".to_owned(), json!(name));
            }
            Outcome::Trapped { kind } => {
                object.insert("kind".to_owned(), json!(kind));
            }
        }
    }

    /// The returned value by the schema, or why it does not fit.
    fn value(&self, bytes: &[u8]) -> Result<Value, String> {
        match self.method {
            Some(method) => method.decode_result(bytes).map_err(short_words),
            None if bytes.is_empty() => Ok(Value::Null),
            None => Err(self.schema.err().unwrap_or(NO_SUCH_METHOD).to_owned()),
        }
    }

    /// An error by the schema, or why it has no name.
    fn error(&self, code: u32) -> Result<&'a ErrorCode, &'a str> {
        let missing = "the contract's schema has no such error";
        self.schema
            .and_then(|schema| schema.error(code).ok_or(missing))
    }

    /// Why the code of a revert has no name, if that is so.
    pub(super) fn error_unknown(&self) -> Option<&'a str> {
        match self.outcome {
            Outcome::Reverted { code, .. } => self.error(*code).err(),
            Outcome::Applied { .. } | Outcome::Trapped { .. } => None,
        }
    }

    /// The returned value for people, if there is any.
    pub(super) fn value_text(&self, names: &Names) -> Option<String> {
        let Outcome::Applied { value } = self.outcome else {
            return None;
        };
        match self.value(&value.0) {
            Ok(shown) => {
                let returns = self.method.and_then(|method| method.returns.as_ref());
                returns.map(|kind| value_text(kind, &shown, names))
            }
            Err(reason) => Some(format!("{reason}; in base64: {}", BASE64.encode(&value.0))),
        }
    }

    /// In words: `applied`, `reverted: not_owner`, `trapped: out_of_fuel`.
    pub(super) fn in_words(&self) -> String {
        match self.outcome {
            Outcome::Applied { .. } => "applied".to_owned(),
            Outcome::Reverted { code, .. } => format!("reverted: {}", self.error_name(*code)),
            Outcome::Trapped { kind } => format!("trapped: {}", trap_name(*kind)),
        }
    }

    fn error_name(&self, code: u32) -> String {
        match self.error(code) {
            Ok(error) => format!("{} (code {code})", printable(&error.name)),
            Err(_) => format!("code {code}"),
        }
    }

    /// What to say on stderr, and how to exit, where the outcome is not `applied`.
    pub(super) fn failure(&self) -> Option<CliError> {
        match self.outcome {
            Outcome::Applied { .. } => None,
            Outcome::Reverted { code, .. } => {
                let error = self.error(*code).ok();
                let message = format!("the contract refused: {}", self.error_name(*code));
                let mut failure = CliError::new(Exit::Reverted, "reverted", message);
                if let Some(error) = error {
                    failure = failure.detail("name", error.name.clone());
                    if !error.docs.is_empty() {
                        failure = failure.hint(printable(&error.docs));
                    }
                }
                Some(failure.detail("revert_code", *code))
            }
            Outcome::Trapped { kind } => {
                let message = format!(
                    "the execution was ended: {} ({})",
                    trap_words(*kind),
                    trap_name(*kind)
                );
                let failure = CliError::new(Exit::Trapped, "trapped", message);
                let failure = failure.detail("kind", trap_name(*kind));
                Some(match trap_hint(*kind) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                })
            }
        }
    }
}

/// The name of a trap, as the API writes it.
pub(super) fn trap_name(kind: TrapKind) -> String {
    match json!(kind) {
        Value::String(name) => name,
        other => other.to_string(),
    }
}

pub(super) fn trap_words(kind: TrapKind) -> &'static str {
    match kind {
        TrapKind::UnknownContract => "no contract has that address",
        TrapKind::UnknownMethod => "the contract has no such method",
        TrapKind::RoleMissing => "the sender lacks the role that this needs",
        TrapKind::InvalidKey => "the key breaks a rule for keys",
        TrapKind::ModuleRefused => "the module breaks a rule of deployment",
        TrapKind::OutOfFuel => "the declared fuel was used up",
        TrapKind::StackTooDeep => "functions nested too deep",
        TrapKind::MemoryLimit => "it wanted more memory than it may have",
        TrapKind::OutOfBounds => "it reached outside of its memory",
        TrapKind::Arithmetic => "an arithmetic operation had no result",
        TrapKind::Unreachable => "the contract panicked",
        TrapKind::BadIndirectCall => "a call went to no function, or one of another type",
        TrapKind::WriteInView => "a view tried to write, or to call a method that may",
        TrapKind::SizeLimit => "a key, value, event or result was over its limit",
        TrapKind::BadArguments => "the arguments are not what the method takes",
        TrapKind::CallTooDeep => "contracts called each other too deep",
        TrapKind::Reentrant => "a contract was called that was running already",
        TrapKind::UnknownCallee => "it called a contract or a method that does not exist",
        TrapKind::UnknownUpgrader => "an account that should be able to upgrade was never admitted",
        TrapKind::MayNotUpgrade => "the sender may not upgrade the contract",
        TrapKind::WrongVersion => "the contract has another version than the one to be upgraded",
        TrapKind::NotApproved => "fewer agree to the upgrade than it takes",
    }
}

fn trap_hint(kind: TrapKind) -> Option<&'static str> {
    match kind {
        TrapKind::RoleMissing => Some(
            "deploying needs the role deployer, admitting the role registrar; a registrar gives roles (`chancery account admit`)",
        ),
        TrapKind::ModuleRefused => Some("`chancery contract check FILE` names the rule"),
        TrapKind::OutOfFuel => Some("declare more with --fuel N, if this is not an endless loop"),
        TrapKind::UnknownUpgrader => Some("a registrar admits accounts: `chancery account admit`"),
        TrapKind::MayNotUpgrade | TrapKind::WrongVersion | TrapKind::NotApproved => Some(
            "`chancery contract info CONTRACT` shows the version, who may upgrade it, and who approved what",
        ),
        _ => None,
    }
}

/// Arguments by name, or why they are not known. Where there are no bytes there are no arguments.
pub(super) fn arguments(
    schema: Result<&Schema, &str>,
    method: Option<&Method>,
    bytes: &[u8],
) -> Result<Value, String> {
    match method {
        Some(method) => {
            decode_value(&Type::Record(method.args.clone()), bytes).map_err(short_words)
        }
        None if bytes.is_empty() => Ok(json!({})),
        None => Err(schema.err().unwrap_or(NO_SUCH_METHOD).to_owned()),
    }
}

/// Adds a line with bytes, and one that says why they are shown as they are.
pub(super) fn bytes_rows(rows: &mut Rows, bytes: &[u8], reason: &str) {
    rows.add("", format!("  {}", BASE64.encode(bytes)));
    rows.add("", format!("  as bytes: {reason}"));
}

/// An event's fields by the schema of the version that announced it, or why they are not known.
pub(super) struct EventFields<'a>(Result<(&'a Event, Value), String>);

impl<'a> EventFields<'a> {
    /// `schema` is that version's, or why there is none.
    pub(super) fn of(schema: Result<&'a Schema, String>, topic: &str, data: &[u8]) -> Self {
        let known = schema.and_then(|schema| {
            let missing = "the contract's schema has no such event";
            let event = schema.event(topic).ok_or_else(|| missing.to_owned())?;
            let fields = event.decode(data).map_err(short_words)?;
            Ok((event, fields))
        });
        Self(known)
    }

    /// `fields`, or null there and the reason in `fields_unknown`.
    pub(super) fn to_json(&self, object: &mut Value) {
        match &self.0 {
            Ok((_, fields)) => object["fields"] = fields.clone(),
            Err(reason) => {
                object["fields"] = Value::Null;
                object["fields_unknown"] = json!(reason);
            }
        }
    }

    /// Adds a line for each field; where they are not known one with the bytes, and why.
    pub(super) fn to_rows(&self, rows: &mut Rows, data: &[u8], names: &Names) {
        match &self.0 {
            Ok((event, fields)) => named_rows(rows, &event.fields, fields, names),
            Err(reason) => bytes_rows(rows, data, reason),
        }
    }
}

/// An error names a type, which may be of any length.
fn short_words(error: impl ToString) -> String {
    error.to_string().chars().take(200).collect()
}

/// Adds a line for each field of a record.
pub(super) fn named_rows(rows: &mut Rows, fields: &[Field], values: &Value, names: &Names) {
    let width = width_of(fields.iter().map(|field| &field.name));
    for Field { name, kind } in fields {
        let value = values.get(name).unwrap_or(&Value::Null);
        let value = value_text(kind, value, names);
        rows.add("", format!("  {}  {value}", padded(name, width)));
    }
}

/// An event as the API gives it, with its fields by name where they are known.
pub(super) fn event_json(event: &EventInfo, schemas: &Schemas) -> Value {
    let mut object = json!(event);
    schemas.fields_of(event).to_json(&mut object);
    object
}

/// Adds a line for each event, and one for each of its fields.
pub(super) fn event_rows(rows: &mut Rows, receipt: &ReceiptInfo, schemas: &Schemas, names: &Names) {
    for event in &receipt.events {
        rows.add("event", &event.topic);
        if receipt.contract != Some(event.contract) {
            rows.add("", format!("  of contract {}", event.contract));
        }
        let fields = schemas.fields_of(event);
        fields.to_rows(rows, &event.data.0, names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_client::api::Bytes;

    fn schema() -> Schema {
        serde_json::from_value(json!({
            "name": "data_access",
            "methods": [{"name": "can_read", "kind": "view", "args": [], "returns": "bool"}],
            "errors": [{"code": 2, "name": "not_owner", "docs": "Only the owner may do this."}],
        }))
        .expect("a schema")
    }

    #[test]
    fn a_revert_has_the_name_of_the_schema() {
        let schema = schema();
        let outcome = Outcome::Reverted {
            code: 2,
            data: Bytes::default(),
        };
        let shown = Shown {
            outcome: &outcome,
            schema: Ok(&schema),
            method: None,
        };
        let failure = shown.failure().expect("a failure");
        assert_eq!(failure.exit, Exit::Reverted);
        assert_eq!(
            failure.to_text(),
            "error: the contract refused: not_owner (code 2)\nhint: Only the owner may do this.\n"
        );
        let mut object = Map::new();
        shown.to_json(&mut object);
        assert_eq!(
            Value::Object(object),
            json!({"status": "reverted", "code": 2, "data": "", "error": "not_owner"})
        );
    }

    #[test]
    fn values_follow_the_schema() {
        let schema = schema();
        let outcome = Outcome::Applied {
            value: Bytes(vec![1]),
        };
        let shown = Shown {
            outcome: &outcome,
            schema: Ok(&schema),
            method: schema.callable("can_read"),
        };
        let mut object = Map::new();
        shown.to_json(&mut object);
        assert_eq!(
            Value::Object(object),
            json!({"status": "applied", "value": true})
        );
        let names = Names::default();
        assert_eq!(shown.value_text(&names).as_deref(), Some("true"));
        let kind: Type = "list<{at: time, who: option<string>}>"
            .parse()
            .expect("a type");
        let value = json!([{"at": 1_769_860_800_000_u64, "who": null}]);
        assert_eq!(
            value_text(&kind, &value, &names),
            "[{at: 2026-01-31T12:00:00Z, who: none}]"
        );
        let kind: Type = "list<enum {0 deny, 1 permit {until: time}}>"
            .parse()
            .expect("a type");
        let value = json!(["deny", {"permit": {"until": 1_769_860_800_000_u64}}]);
        assert_eq!(
            value_text(&kind, &value, &names),
            "[deny, permit {until: 2026-01-31T12:00:00Z}]"
        );
    }

    #[test]
    fn a_value_that_does_not_fit_its_type_is_told_from_a_text() {
        let schema: Schema = serde_json::from_value(json!({
            "name": "liar",
            "methods": [{"name": "text", "kind": "view", "args": [], "returns": "string"}],
        }))
        .expect("a schema");
        let of = |schema: Result<&Schema, &str>,
                  bytes: &[u8],
                  declared: bool,
                  json: Value,
                  words: &str| {
            let outcome = Outcome::Applied {
                value: Bytes(bytes.to_vec()),
            };
            let method = schema.ok().and_then(|schema| schema.callable("text"));
            let method = method.filter(|_| declared);
            let shown = Shown {
                outcome: &outcome,
                schema,
                method,
            };
            let mut object = Map::new();
            shown.to_json(&mut object);
            object.remove("status");
            assert_eq!(Value::Object(object), json);
            assert_eq!(
                shown.value_text(&Names::default()).unwrap_or_default(),
                words
            );
        };
        let check = |bytes: &[u8], declared: bool, json: Value, words: &str| {
            of(Ok(&schema), bytes, declared, json, words);
        };
        check(b"\x10AQI=", true, json!({"value": "AQI="}), "AQI=");
        let unknown =
            |reason: &str| json!({"value": null, "value_base64": "AQI=", "value_unknown": reason});
        let reason = "the bytes are not an encoding of string";
        let words = |reason: &str| format!("{reason}; in base64: AQI=");
        check(&[1, 2], true, unknown(reason), &words(reason));
        let (missing, bytes) = (NO_SUCH_METHOD, [1, 2]);
        check(&bytes, false, unknown(missing), &words(missing));
        check(&[], false, json!({"value": null}), "");
        let reason = "nobody tells";
        of(Err(reason), &bytes, false, unknown(reason), &words(reason));
    }

    #[test]
    fn an_error_and_arguments_without_a_schema_say_why() {
        let schema = schema();
        let check = |schema: Result<&Schema, &str>, words: &str| {
            let outcome = Outcome::Reverted {
                code: 3,
                data: Bytes(vec![1]),
            };
            let shown = Shown {
                outcome: &outcome,
                schema,
                method: None,
            };
            let mut object = Map::new();
            shown.to_json(&mut object);
            assert_eq!(
                Value::Object(object),
                json!({
                    "status": "reverted", "code": 3, "data": "AQ==",
                    "error": null, "error_unknown": words,
                })
            );
            assert_eq!(shown.error_unknown(), Some(words));
        };
        check(Ok(&schema), "the contract's schema has no such error");
        check(Err("nobody tells"), "nobody tells");

        let method = schema.callable("can_read");
        assert_eq!(arguments(Ok(&schema), method, &[]), Ok(json!({})));
        assert!(
            arguments(Ok(&schema), method, &[1]).is_err(),
            "they do not fit"
        );
        let missing = Err(NO_SUCH_METHOD.to_owned());
        assert_eq!(arguments(Ok(&schema), None, &[1]), missing);
        let nobody = Err("nobody tells");
        assert_eq!(
            arguments(nobody, None, &[1]),
            Err("nobody tells".to_owned())
        );
        assert_eq!(arguments(nobody, None, &[]), Ok(json!({})));
        let mut rows = Rows::default();
        bytes_rows(&mut rows, &[1, 2], "nobody tells");
        let text = rows.to_text();
        let parts = ["AQI=", "as bytes: nobody tells"];
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }

    #[test]
    fn every_trap_has_its_words() {
        let outcome = Outcome::Trapped {
            kind: TrapKind::OutOfFuel,
        };
        let shown = Shown {
            outcome: &outcome,
            schema: Err("nobody tells"),
            method: None,
        };
        let failure = shown.failure().expect("a failure");
        assert_eq!(failure.exit, Exit::Trapped);
        assert!(failure.message.ends_with("(out_of_fuel)"), "{failure:?}");
    }
}
