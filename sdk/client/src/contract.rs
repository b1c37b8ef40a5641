//! A contract by what it says about itself: calls and questions by name with JSON for arguments, and
//! outcomes and events in its own words.
//!
//! - **C1** A contract is opened at one version, whose schema a node hands out. What ran, answered or
//!   announced at another version, or nobody says at which, is not told by that schema, though its
//!   bytes may fit: it stays bytes, with the reason ([`Untold`]).
//! - **C2** What a schema says is the word of one node about the contract's author's word. It is
//!   bounded in length, and so is what is shown by it; what does not fit it stays bytes.

use chancery_ledger::{Call, ContractId, TrapKind};
use chancery_schema::{
    ArgError, ErrorCode, Method, MethodError, Plain, ReadSchemaError, Schema, ValueError,
    encode_json_args, read_schema,
};
use serde_json::Value;

use crate::api::{
    Bytes, CallInfo, ContractInfo, EventEntry, EventInfo, Outcome, QueryInfo, TransactionInfo,
};
use crate::{Client, ClientError, TransactionBuilder};

/// One version of a contract, with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    id: ContractId,
    version: u32,
    schema: Schema,
}

/// Why a contract is not opened, called or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// No node has a good answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The contract cannot be called by names.
    #[error("contract {contract} {reason}")]
    Schema {
        /// Which.
        contract: ContractId,
        /// Why not.
        reason: ReadSchemaError,
    },
    /// It has no such method.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The arguments are not the method's.
    #[error("{method}: {reason}")]
    Arguments {
        /// Whose they should be.
        method: String,
        /// Which one does not fit, and what is expected.
        reason: Box<ArgError>,
    },
}

/// How an execution ended, in the contract's words.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It did what was asked.
    Applied {
        /// What it returned, as JSON; null where the method returns nothing.
        value: Value,
    },
    /// The contract refused.
    Reverted {
        /// Its name, code and meaning.
        error: ErrorCode,
        /// SCALE of what the contract added.
        data: Bytes,
    },
    /// It was ended from outside.
    Trapped {
        /// Why.
        kind: TrapKind,
    },
    /// The schema does not tell what it means that it ended so.
    Untold {
        /// With the bytes as they are.
        outcome: Outcome,
        /// Why not.
        reason: Untold,
    },
}

/// Why a schema does not tell what something means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// It was no call of this contract, or another contract announced it.
    #[error("it is not of this contract")]
    NotOfThisContract,
    /// Nobody says which version ran.
    #[error("the node does not say which version of the contract ran")]
    VersionNotSaid,
    /// The schema is of another version.
    #[error("version {ran} of the contract ran, and the schema is of version {known}")]
    OtherVersion {
        /// The version that ran; [`Contract::open_version`] opens it.
        ran: u32,
        /// The version that the schema is of.
        known: u32,
    },
    /// The schema has no such method.
    #[error("the contract's schema has no such method")]
    NoMethod,
    /// The schema has no error of that code.
    #[error("the contract's schema has no such error")]
    NoError,
    /// The schema has no event of that topic.
    #[error("the contract's schema has no such event")]
    NoEvent,
    /// The bytes are not what the schema says.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// What a view answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// In the contract's words.
    pub told: Told,
    /// As the node gave it: the version that answered, as of which block and time.
    pub info: QueryInfo,
}

impl Contract {
    /// Opens a contract at its newest version, as one node knows it.
    ///
    /// # Errors
    /// [`ContractError::Client`], also where there is no such contract; [`ContractError::Schema`].
    pub async fn open(client: &Client, id: ContractId) -> Result<Self, ContractError> {
        Self::of(client.contract(id).await?)
    }

    /// Opens a contract at some version, perhaps one that was replaced: to show what it did. Calls
    /// and queries are always for the newest.
    ///
    /// # Errors
    /// As [`Contract::open`].
    pub async fn open_version(
        client: &Client,
        id: ContractId,
        version: u32,
    ) -> Result<Self, ContractError> {
        let details = client.contract_version(id, version).await?;
        Self::read(id, version, details.schema)
    }

    /// A contract at its newest version, as a node has answered.
    ///
    /// # Errors
    /// [`ContractError::Schema`].
    pub fn of(info: ContractInfo) -> Result<Self, ContractError> {
        Self::read(info.contract, info.version, info.schema)
    }

    fn read(id: ContractId, version: u32, schema: Option<Value>) -> Result<Self, ContractError> {
        let schema = read_schema(schema).map_err(|reason| ContractError::Schema {
            contract: id,
            reason,
        })?;
        Ok(Self {
            id,
            version,
            schema,
        })
    }

    /// Which contract.
    #[must_use]
    pub fn id(&self) -> ContractId {
        self.id
    }

    /// The version that the schema is of.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What that version says about itself.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// A call of a method that may change something, to be signed. The arguments are a JSON object of
    /// them by name, or an array of them in order ([`encode_json_args`]): accounts are DIDs, times
    /// milliseconds since the Unix epoch, bytes base64, hashes hexadecimal digits. Should the contract
    /// be upgraded before it runs, the bytes mean what the new version says that they mean.
    ///
    /// # Errors
    /// [`ContractError::Method`], also if only a view has that name; [`ContractError::Arguments`].
    pub fn call(&self, method: &str, args: &Value) -> Result<Call, ContractError> {
        let args = encode(self.schema.call(method)?, args)?;
        Ok(TransactionBuilder::invoke(self.id, method, args))
    }

    /// Asks a view on the newest state of one node, with arguments as for [`Contract::call`].
    ///
    /// # Errors
    /// As [`Contract::call`], and [`ContractError::Client`]. That the contract refuses, or the view
    /// traps, is an answer.
    pub async fn query(
        &self,
        client: &Client,
        view: &str,
        args: &Value,
    ) -> Result<Answer, ContractError> {
        let method = self.schema.view(view)?;
        let info = client.query(self.id, view, encode(method, args)?).await?;
        let ran = self.of_version(Some(info.contract_version));
        let told = self.tell(&info.outcome, ran.map(|()| Some(method)));
        Ok(Answer { told, info })
    }

    /// How a call of this contract ended; `None` where the node knows of no receipt. Whether it is
    /// final, [`TransactionInfo::state`] says.
    #[must_use]
    pub fn told(&self, transaction: &TransactionInfo) -> Option<Told> {
        let receipt = transaction.receipt.as_ref()?;
        let ran = match &transaction.call {
            Some(CallInfo::Invoke {
                contract, method, ..
            }) if *contract == self.id => self
                .of_version(receipt.contract_version)
                .map(|()| self.schema.callable(method)),
            _ => Err(Untold::NotOfThisContract),
        };
        Some(self.tell(&receipt.outcome, ran))
    }

    /// The fields of an event in a receipt, as a JSON object; its name is [`EventInfo::topic`].
    ///
    /// # Errors
    /// Why the schema does not tell them: [`EventInfo::data`] is all there is.
    pub fn event(&self, event: &EventInfo) -> Result<Value, Untold> {
        self.fields(
            event.contract,
            event.contract_version,
            &event.topic,
            &event.data,
        )
    }

    /// The same of an event that was found or followed ([`Client::events`],
    /// [`Client::follow_events`]).
    ///
    /// # Errors
    /// As [`Contract::event`].
    pub fn event_entry(&self, entry: &EventEntry) -> Result<Value, Untold> {
        self.fields(
            entry.contract,
            entry.contract_version,
            &entry.topic,
            &entry.data,
        )
    }

    fn fields(
        &self,
        contract: ContractId,
        version: Option<u32>,
        topic: &str,
        data: &Bytes,
    ) -> Result<Value, Untold> {
        if contract != self.id {
            return Err(Untold::NotOfThisContract);
        }
        self.of_version(version)?;
        let event = self.schema.event(topic).ok_or(Untold::NoEvent)?;
        Ok(event.decode(&data.0)?)
    }

    /// C1.
    fn of_version(&self, ran: Option<u32>) -> Result<(), Untold> {
        let known = self.version;
        match ran {
            Some(ran) if ran == known => Ok(()),
            Some(ran) => Err(Untold::OtherVersion { ran, known }),
            None => Err(Untold::VersionNotSaid),
        }
    }

    /// `ran` is the method, if the schema has it, or why the schema is not of what ran.
    fn tell(&self, outcome: &Outcome, ran: Result<Option<&Method>, Untold>) -> Told {
        let told = match outcome {
            Outcome::Applied { value } => ran.and_then(|method| {
                let method = method.ok_or(Untold::NoMethod)?;
                let value = method.decode_result(&value.0)?;
                Ok(Told::Applied { value })
            }),
            Outcome::Reverted { code, data } => ran.and_then(|_| {
                let error = self.schema.error(*code).ok_or(Untold::NoError)?.clone();
                let data = data.clone();
                Ok(Told::Reverted { error, data })
            }),
            Outcome::Trapped { kind } => Ok(Told::Trapped { kind: *kind }),
        };
        told.unwrap_or_else(|reason| Told::Untold {
            outcome: outcome.clone(),
            reason,
        })
    }
}

fn encode(method: &Method, args: &Value) -> Result<Vec<u8>, ContractError> {
    encode_json_args(&method.args, args, &Plain).map_err(|reason| ContractError::Arguments {
        method: method.name.clone(),
        reason: Box::new(reason),
    })
}

#[cfg(test)]
mod tests {
    use chancery_ledger::{AccountId, SecretKey};
    use parity_scale_codec::Encode as _;
    use serde_json::json;

    use super::*;

    const ID: ContractId = ContractId([7; 32]);
    const OTHER: ContractId = ContractId([8; 32]);

    fn account() -> AccountId {
        SecretKey::from_seed(&[1; 32]).account()
    }

    fn contract() -> Contract {
        let args = json!([
            {"name": "recipient", "type": "account"},
            {"name": "expires_at", "type": "time"},
            {"name": "note", "type": "option<string>"},
        ]);
        let schema = json!({
            "name": "Access",
            "methods": [
                {"name": "grant", "kind": "call", "args": args, "returns": "u64"},
                {"name": "close", "kind": "call"},
                {"name": "can_read", "kind": "view", "args": [{"name": "who", "type": "account"}],
                 "returns": "bool"},
            ],
            "events": [{"name": "Granted", "fields": [{"name": "number", "type": "u64"}]}],
            "errors": [{"code": 2, "name": "not_owner", "docs": "Only the owner may."}],
        });
        Contract::read(ID, 3, Some(schema)).expect("a schema")
    }

    #[test]
    fn a_call_has_its_arguments_by_name_or_in_order() {
        let did = account().to_string();
        let expected = Call::Invoke {
            contract: ID,
            method: "grant".to_owned(),
            args: (account(), 9_u64, Some("x")).encode(),
        };
        for args in [
            json!({"note": "x", "expires_at": 9, "recipient": did}),
            json!([did, "9", "x"]),
        ] {
            assert_eq!(contract().call("grant", &args), Ok(expected.clone()));
        }
        let none = TransactionBuilder::invoke(ID, "close", Vec::new());
        assert_eq!(contract().call("close", &json!({})), Ok(none));
    }

    #[test]
    fn what_cannot_be_called_is_named_with_what_can() {
        let did = account().to_string();
        let check = |method: &str, args: Value, expected: &str| {
            let error = contract().call(method, &args).expect_err("refused");
            assert_eq!(error.to_string(), expected);
        };
        check(
            "gramt",
            json!({}),
            "contract Access has no call \"gramt\"; it has: grant, close",
        );
        check(
            "can_read",
            json!([did]),
            "can_read of contract Access is a view: it is queried, not called",
        );
        check(
            "grant",
            json!([did]),
            "grant: argument expires_at (time) is missing",
        );
        check(
            "grant",
            json!({"recipient": did, "until": 9}),
            "grant: there is no argument until; expected: recipient, expires_at, note",
        );
        check(
            "grant",
            json!([did, 9.5]),
            "grant: argument expires_at: \"9.5\" is no time: expected a JSON string, or a whole \
             number of milliseconds since 1970",
        );
        check(
            "close",
            json!([1]),
            "close: 1 arguments are given, at most 0 are taken",
        );
    }

    fn transaction(call: Value, receipt: Value) -> TransactionInfo {
        let id = "00".repeat(32);
        let info = json!({"id": id, "state": "final", "call": call, "receipt": receipt});
        serde_json::from_value(info).expect("a transaction")
    }

    fn called(contract: ContractId, method: &str) -> Value {
        json!({"kind": "invoke", "contract": contract, "method": method, "args": ""})
    }

    fn receipt(outcome: &Outcome, version: Option<u32>) -> Value {
        let mut receipt = json!(outcome);
        receipt["fuel_used"] = json!(1);
        if let Some(version) = version {
            receipt["contract_version"] = json!(version);
        }
        receipt
    }

    fn applied(bytes: &[u8]) -> Outcome {
        let value = Bytes(bytes.to_vec());
        Outcome::Applied { value }
    }

    fn reverted(code: u32) -> Outcome {
        let data = Bytes(vec![1]);
        Outcome::Reverted { code, data }
    }

    #[test]
    fn an_outcome_is_told_by_the_version_that_ran() {
        let told = |outcome: &Outcome, version: Option<u32>| {
            let info = transaction(called(ID, "grant"), receipt(outcome, version));
            contract().told(&info).expect("it has a receipt")
        };
        let five = applied(&5_u64.encode());
        let value = json!(5);
        assert_eq!(told(&five, Some(3)), Told::Applied { value });
        match told(&reverted(2), Some(3)) {
            Told::Reverted { error, data } => {
                assert_eq!((error.code, error.name.as_str()), (2, "not_owner"));
                assert_eq!(data, Bytes(vec![1]));
            }
            other => panic!("{other:?}"),
        }
        let kind = TrapKind::OutOfFuel;
        let trapped = Outcome::Trapped { kind };
        for version in [Some(3), Some(2), None] {
            assert_eq!(told(&trapped, version), Told::Trapped { kind });
        }
        let other = Untold::OtherVersion { ran: 2, known: 3 };
        for (outcome, version, reason) in [
            (five.clone(), Some(2), other.clone()),
            (five, None, Untold::VersionNotSaid),
            (reverted(2), Some(2), other),
            (reverted(3), Some(3), Untold::NoError),
            (
                applied(&[1; 9]),
                Some(3),
                ValueError::TrailingBytes { left: 1 }.into(),
            ),
        ] {
            let expected = Told::Untold {
                outcome: outcome.clone(),
                reason,
            };
            assert_eq!(told(&outcome, version), expected);
        }
    }

    #[test]
    fn what_is_not_of_the_contract_is_not_told() {
        let outcome = applied(&[]);
        let reason_of = |call: Value| {
            let info = transaction(call, receipt(&outcome, Some(3)));
            match contract().told(&info) {
                Some(Told::Untold { reason, .. }) => reason,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reason_of(called(ID, "gone")), Untold::NoMethod);
        let not_ours = Untold::NotOfThisContract;
        assert_eq!(reason_of(called(OTHER, "close")), not_ours);
        let did = account().to_string();
        let admit = json!({"kind": "admit", "account": did, "roles": []});
        assert_eq!(reason_of(admit), not_ours);
        assert_eq!(reason_of(Value::Null), not_ours);
        let waits = json!({"id": "00".repeat(32), "state": "pending"});
        let waits = serde_json::from_value(waits).expect("a transaction");
        assert_eq!(contract().told(&waits), None);
    }

    #[test]
    fn an_event_has_its_fields_by_name_or_stays_bytes() {
        let told = |contract_id, contract_version, topic: &str, data: &[u8]| {
            contract().event(&EventInfo {
                contract: contract_id,
                contract_version,
                topic: topic.to_owned(),
                data: Bytes(data.to_vec()),
            })
        };
        let five = 5_u64.encode();
        assert_eq!(
            told(ID, Some(3), "Granted", &five),
            Ok(json!({"number": 5}))
        );
        let other = Untold::OtherVersion { ran: 4, known: 3 };
        for (event, reason) in [
            (
                told(OTHER, Some(3), "Granted", &five),
                Untold::NotOfThisContract,
            ),
            (told(ID, Some(4), "Granted", &five), other),
            (told(ID, None, "Granted", &five), Untold::VersionNotSaid),
            (told(ID, Some(3), "Revoked", &five), Untold::NoEvent),
        ] {
            assert_eq!(event, Err(reason));
        }
        let malformed = told(ID, Some(3), "Granted", &[1]);
        assert!(matches!(malformed, Err(Untold::Value(_))), "{malformed:?}");
    }
}
