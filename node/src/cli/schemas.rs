//! What contracts say of themselves, version by version: what ran once is shown in the words of the
//! version that ran, whatever the contract says today.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_client::api::{
    CallInfo, ContractInfo, EventInfo, Outcome, ReceiptInfo, TransactionInfo,
};
use chancery_client::{Client, ClientError};
use chancery_ledger::ContractId;
use chancery_schema::{Schema, read_schema};
use serde_json::Value;

use super::CliError;
use super::render::{EventFields, NO_CONTRACT};

/// With so many kept, the next event begins with none: a feed may go on for years. So many are asked
/// for to show the events of one transaction.
const KEPT_MAX: usize = 256;
/// A feed asks again for what nobody told this long ago.
const NOT_TOLD_FOR: Duration = Duration::from_secs(60);

/// The schema that a node hands out with a contract.
pub(super) fn schema_of(contract: &ContractInfo) -> Result<Schema, CliError> {
    read_schema(contract.schema.clone()).map_err(|reason| {
        CliError::usage(format!("contract {} {reason}", contract.contract))
            .code("no_schema")
            .hint("its methods can be called only by programs that know them")
    })
}

/// A contract and one of its versions, as far as a node said which.
pub(super) type Version = (ContractId, Option<u32>);

/// The schemas of the versions met so far. A version is asked for once: what it says never changes.
#[derive(Debug)]
pub(super) struct Schemas {
    client: Arc<Client>,
    known: BTreeMap<(ContractId, u32), Known>,
}

#[derive(Debug)]
enum Known {
    Schema(Schema),
    /// It has none; in words.
    Without(String),
    /// Nobody said, and when that was.
    NotTold(String, Instant),
}

impl Schemas {
    /// Nothing is known yet, and `client` is asked.
    pub(super) fn new(client: &Arc<Client>) -> Self {
        Self {
            client: Arc::clone(client),
            known: BTreeMap::new(),
        }
    }

    fn keep(&mut self, contract: ContractId, version: u32, schema: Option<Value>) {
        let known = match read_schema(schema) {
            Ok(schema) => Known::Schema(schema),
            Err(reason) => Known::Without(format!("the contract {reason}")),
        };
        self.known.insert((contract, version), known);
    }

    /// Learns what the newest version says, and which one that is.
    ///
    /// # Errors
    /// If there is no such contract, or nobody says.
    pub(super) async fn learn_newest(
        &mut self,
        contract: ContractId,
    ) -> Result<Version, ClientError> {
        let info = self.client.contract(contract).await?;
        self.keep(contract, info.version, info.schema);
        Ok((contract, Some(info.version)))
    }

    /// Learns what a version says, unless it was asked for already.
    pub(super) async fn learn(&mut self, (contract, version): Version) {
        let Some(version) = version else {
            return;
        };
        if self.known.contains_key(&(contract, version)) {
            return;
        }
        match self.client.contract_version(contract, version).await {
            Ok(told) => self.keep(contract, version, told.schema),
            Err(error) => {
                let reason = format!("version {version} of the contract is not known: {error}");
                let not_told = Known::NotTold(reason, Instant::now());
                self.known.insert((contract, version), not_told);
            }
        }
    }

    /// Learns what is needed to show one event of a feed.
    pub(super) async fn learn_for_event(&mut self, version: Version) {
        if self.known.len() >= KEPT_MAX {
            self.known.clear();
        }
        self.forget_not_told(NOT_TOLD_FOR);
        self.learn(version).await;
    }

    fn forget_not_told(&mut self, after: Duration) {
        self.known.retain(|_, known| match known {
            Known::Schema(_) | Known::Without(_) => true,
            Known::NotTold(_, asked_at) => asked_at.elapsed() < after,
        });
    }

    /// Learns what is needed to show the events of a transaction, the first ones if that is too much.
    pub(super) async fn learn_events(&mut self, receipt: &ReceiptInfo) {
        for version in announcing(receipt) {
            self.learn(version).await;
        }
    }

    /// Learns what is needed to show a transaction, and says which version it ran, or why that is not
    /// known; one that still waits would run the newest.
    pub(super) async fn learn_transaction(
        &mut self,
        info: &TransactionInfo,
    ) -> Result<Version, String> {
        if let Some(receipt) = &info.receipt {
            self.learn_events(receipt).await;
        }
        let Some(call) = &info.call else {
            return Err("the node does not say what was called".to_owned());
        };
        if let Some(receipt) = &info.receipt {
            let ran = ran(call, receipt)?;
            self.learn(ran).await;
            return Ok(ran);
        }
        match call {
            CallInfo::Invoke { contract, .. } => {
                let newest = self.learn_newest(*contract).await;
                newest.map_err(|error| format!("the contract is not known: {error}"))
            }
            CallInfo::Deploy { .. } | CallInfo::Upgrade { .. } => {
                Err("its code is not in the state yet".to_owned())
            }
            CallInfo::Admit { .. } | CallInfo::ApproveUpgrade { .. } => Err(NO_CONTRACT.to_owned()),
        }
    }

    /// The schema of a version, or why there is none.
    pub(super) fn get(&self, (contract, version): Version) -> Result<&Schema, String> {
        let version = version.ok_or("the node does not say which version of the contract ran")?;
        match self.known.get(&(contract, version)) {
            Some(Known::Schema(schema)) => Ok(schema),
            Some(Known::Without(reason) | Known::NotTold(reason, _)) => Err(reason.clone()),
            None => Err(format!(
                "version {version} was not asked for: one transaction has events of at most {KEPT_MAX} that are"
            )),
        }
    }

    /// The fields of an event for which all was learnt.
    pub(super) fn fields_of(&self, event: &EventInfo) -> EventFields<'_> {
        let schema = self.get((event.contract, event.contract_version));
        EventFields::of(schema, &event.topic, &event.data.0)
    }
}

/// The versions that announced a transaction's events, the first ones if they are too many.
fn announcing(receipt: &ReceiptInfo) -> BTreeSet<Version> {
    let mut versions = BTreeSet::new();
    for event in &receipt.events {
        if versions.len() >= KEPT_MAX {
            break;
        }
        versions.insert((event.contract, event.contract_version));
    }
    versions
}

/// What a transaction ran. The code of a deployment or an upgrade that was not applied is not in the
/// state, and what it says is not known.
fn ran(call: &CallInfo, receipt: &ReceiptInfo) -> Result<Version, &'static str> {
    let applied = matches!(receipt.outcome, Outcome::Applied { .. });
    match call {
        CallInfo::Invoke { contract, .. } => Ok((*contract, receipt.contract_version)),
        CallInfo::Deploy { .. } | CallInfo::Upgrade { .. } if applied => {
            let contract = receipt
                .contract
                .ok_or("the node does not say which contract ran")?;
            Ok((contract, receipt.contract_version))
        }
        CallInfo::Deploy { .. } | CallInfo::Upgrade { .. } => {
            Err("its code was not taken, so the state does not say what it means")
        }
        CallInfo::Admit { .. } | CallInfo::ApproveUpgrade { .. } => Err(NO_CONTRACT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_client::api::Bytes;
    use chancery_ledger::{CodeHash, Fuel, TrapKind};
    use serde_json::json;

    const CONTRACT: ContractId = ContractId([7; 32]);

    fn event(contract_version: Option<u32>, data: &[u8]) -> EventInfo {
        EventInfo {
            contract: CONTRACT,
            contract_version,
            topic: "Paid".to_owned(),
            data: Bytes(data.to_vec()),
        }
    }

    fn schema(field: &str) -> Value {
        let fields = json!([{"name": field, "type": "u8"}]);
        json!({"name": "x", "methods": [], "events": [{"name": "Paid", "fields": fields}]})
    }

    /// Nobody is asked.
    fn schemas() -> Schemas {
        let nobody = Client::new(["http://127.0.0.1:1".to_owned()]).expect("an address");
        Schemas::new(&Arc::new(nobody))
    }

    #[test]
    fn an_event_is_shown_by_its_own_version_or_as_bytes() {
        let mut schemas = schemas();
        schemas.keep(CONTRACT, 1, Some(schema("old")));
        schemas.keep(CONTRACT, 2, Some(schema("new")));
        schemas.keep(CONTRACT, 3, None);
        let shown = |version, data: &[u8]| {
            let mut object = json!({});
            schemas
                .fields_of(&event(version, data))
                .to_json(&mut object);
            let reason = object["fields_unknown"].as_str().unwrap_or_default();
            (object["fields"].clone(), reason.to_owned())
        };
        assert_eq!(shown(Some(1), &[5]), (json!({"old": 5}), String::new()));
        assert_eq!(shown(Some(2), &[5]), (json!({"new": 5}), String::new()));
        for (version, data, words) in [
            (None, &[5][..], "the node does not say which version"),
            (Some(3), &[5], "does not say what its methods take"),
            (Some(4), &[5], "version 4 was not asked for"),
            (Some(1), &[5, 5], ""),
        ] {
            let (fields, reason) = shown(version, data);
            assert_eq!(fields, Value::Null);
            assert!(reason.contains(words), "{version:?}: {reason}");
        }
    }

    #[tokio::test]
    async fn what_nobody_tells_is_said_and_asked_for_once() {
        let mut schemas = schemas();
        let asked_at = |schemas: &Schemas| match &schemas.known[&(CONTRACT, 2)] {
            Known::NotTold(_, asked_at) => *asked_at,
            known => panic!("told: {known:?}"),
        };
        schemas.learn((CONTRACT, Some(2))).await;
        let reason = schemas.get((CONTRACT, Some(2))).expect_err("nobody tells");
        let begin = "version 2 of the contract is not known: ";
        assert!(reason.starts_with(begin), "{reason}");
        let once = asked_at(&schemas);
        schemas.learn((CONTRACT, Some(2))).await;
        schemas.learn_for_event((CONTRACT, Some(2))).await;
        assert_eq!(asked_at(&schemas), once);
        schemas.forget_not_told(Duration::ZERO);
        schemas.learn((CONTRACT, Some(2))).await;
        assert!(asked_at(&schemas) > once, "a feed goes on for long");
        schemas.keep(CONTRACT, 2, Some(schema("new")));
        schemas.learn((CONTRACT, Some(2))).await;
        assert!(schemas.get((CONTRACT, Some(2))).is_ok(), "it never changes");
        for version in 0..=u32::try_from(KEPT_MAX).expect("small") {
            schemas.keep(CONTRACT, version, None);
        }
        schemas.learn_for_event((CONTRACT, None)).await;
        assert_eq!(schemas.known.len(), 0);
    }

    #[test]
    fn a_receipt_of_many_versions_is_asked_for_only_so_often() {
        let receipt = |events| ReceiptInfo {
            outcome: Outcome::Trapped {
                kind: TrapKind::OutOfFuel,
            },
            fuel_used: Fuel(1),
            contract: Some(CONTRACT),
            contract_version: Some(1),
            events,
        };
        let many = (0..1_000)
            .map(|version| event(Some(version), &[]))
            .collect();
        let asked = announcing(&receipt(many));
        assert_eq!(asked.len(), KEPT_MAX);
        assert!(asked.contains(&(CONTRACT, Some(0))));
        let alike = vec![event(Some(1), &[]); 1_000];
        assert_eq!(announcing(&receipt(alike)).len(), 1);
    }

    #[test]
    fn code_that_was_not_taken_says_nothing() {
        let receipt = |outcome| ReceiptInfo {
            outcome,
            fuel_used: Fuel(1),
            contract: Some(CONTRACT),
            contract_version: Some(2),
            events: Vec::new(),
        };
        let applied = || Outcome::Applied {
            value: Bytes::default(),
        };
        let trapped = || Outcome::Trapped {
            kind: TrapKind::OutOfFuel,
        };
        let upgrade = CallInfo::Upgrade {
            contract: CONTRACT,
            version: 1,
            code: CodeHash([1; 32]),
            args: Bytes::default(),
        };
        let invoke = CallInfo::Invoke {
            contract: CONTRACT,
            method: "act".to_owned(),
            args: Bytes::default(),
        };
        let expected = Ok((CONTRACT, Some(2)));
        assert_eq!(ran(&upgrade, &receipt(applied())), expected);
        let reason = ran(&upgrade, &receipt(trapped())).expect_err("not taken");
        assert!(reason.contains("its code was not taken"), "{reason}");
        assert_eq!(ran(&invoke, &receipt(applied())), expected);
        assert_eq!(ran(&invoke, &receipt(trapped())), expected);
    }
}
