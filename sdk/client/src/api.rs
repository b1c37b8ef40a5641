//! Every JSON shape of the HTTP API, for those who ask and those who answer.
//!
//! Hashes are hexadecimal, accounts are DIDs, byte strings are base64, moments are given twice: as
//! RFC 3339 text and as milliseconds since the Unix epoch (`…_ms`). Fields without a value are
//! absent.

mod history;
mod versions;

pub use history::{
    Cursor, EventEntry, EventFilter, EventsPage, ParseCursorError, Start, TransactionFilter,
    TransactionsPage,
};
pub use versions::{VersionDetails, VersionInfo, VersionsPage};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_ledger::{
    AccountId, BatchDigest, ChainId, ChainLimits, CodeHash, ContractId, Fuel, Hash, Height, Millis,
    Role, Slot, TransactionId, TrapKind, UpgradeApproval, Upgraders, View,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, written as base64.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64
            .decode(&text)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("not base64"))
    }
}

/// What went wrong, as a node answers it: `{"error": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The only field.
    pub error: ApiError,
}

/// One refusal or failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// In snake case, stable, for programs.
    pub code: String,
    /// For people, without a full stop.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// `GET /v1/chain`: what never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainInfo {
    /// The ledger's name for machines: the hash of its genesis document.
    pub chain_id: ChainId,
    /// Its name for people.
    pub name: String,
    /// The version of formats and execution.
    pub protocol_version: u16,
    /// The chain-wide limits.
    pub limits: ChainLimits,
    /// In the order of their indices.
    pub validators: Vec<ChainValidator>,
    /// How many of them make a decision.
    pub quorum: usize,
    /// C2SP tlog-policy text: what an auditor trusts.
    pub policy: String,
    /// The genesis document, TOML text.
    pub genesis: String,
}

/// A validator in [`ChainInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainValidator {
    /// The member's name.
    pub name: String,
    /// Ed25519 key, 32 bytes in hexadecimal.
    pub consensus_key: String,
}

/// `GET /v1/status`: how one validator sees the network now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusInfo {
    /// Who answers.
    pub validator: String,
    /// The ledger.
    pub chain_id: ChainId,
    /// Its PBFT view.
    pub view: View,
    /// The primary of that view.
    pub primary: String,
    /// Newest executed block.
    pub height: Height,
    /// Newest block under a certificate.
    pub final_height: Height,
    /// Block time of `height`.
    pub block_time: String,
    /// The same.
    pub block_time_ms: Millis,
    /// Transactions that wait here.
    pub pool: u64,
    /// Blocks that a quorum has and this validator lacks.
    pub behind_by: u64,
    /// How many validators make a decision.
    pub quorum: usize,
    /// Every validator of the set as seen from here.
    pub validators: Vec<PeerInfo>,
    /// What the oldest open slot waits for, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// What the validator does in that view.
    pub mode: ModeInfo,
    /// Who wants to leave that view, as far as heard here, and for which one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<LeavingInfo>,
    /// What ends the waiting if nothing comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<TimerInfo>,
    /// View changes that this validator began since it started.
    pub view_changes: u64,
    /// Why it began the newest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_because: Option<String>,
    /// Proofs kept here that a validator contradicted itself.
    pub evidence: u64,
    /// Why this validator takes no further part, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
}

/// What a validator does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ModeInfo {
    /// It votes in its view.
    Active,
    /// It waits for its view to begin and votes in none.
    Changing,
    /// It has just started, and signs nothing new until others confirm that its memory is whole.
    Probation {
        /// Who has.
        confirmed: Vec<String>,
        /// How many it takes.
        needed: usize,
    },
    /// It has lost its memory of what it signed, and is silent until that can hurt nobody.
    Quarantine {
        /// Who has told it how far its votes may have gone.
        answered: Vec<String>,
        /// How many it takes.
        needed: usize,
        /// The checkpoints must get above this height;
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slots_through: Option<Slot>,
        /// then it votes in views from this one on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view_least: Option<View>,
    },
}

/// Who wants to leave a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingInfo {
    /// Its name.
    pub validator: String,
    /// The view that it wants to get to.
    pub view: View,
}

/// A timer that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerInfo {
    /// `progress`: that something is ordered; `new_view`: that the next view begins.
    pub waits_for: String,
    /// When it fires and the next view is asked for, in milliseconds from now.
    pub in_ms: u64,
}

/// A validator as another one sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// The member's name.
    pub name: String,
    /// Whether a connection stands (true for the validator itself).
    pub connected: bool,
    /// Whether it is the one who answers.
    #[serde(rename = "self")]
    pub is_self: bool,
    /// Its height by its own newest word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Height>,
    /// How many blocks it lacks by its own newest word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_by: Option<u64>,
    /// How long ago it was heard, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heard_ms: Option<u64>,
    /// The key exchange of the connection, for instance X25519MLKEM768.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_exchange: Option<String>,
}

/// What an open slot waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Which slot.
    pub slot: Slot,
    /// What is collected: `prepare`, `commit` or `checkpoint`.
    pub phase: String,
    /// Whose votes are here.
    pub have: Vec<String>,
    /// Whose are not.
    pub missing: Vec<String>,
    /// How many are needed.
    pub needed: usize,
}

/// `GET /v1/evidence`: the proofs that validators contradicted themselves, as one node keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceList {
    /// By validator and place.
    pub evidence: Vec<EvidenceInfo>,
}

/// One proof; `GET /v1/evidence/{hash}` is the file for `chancery verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceInfo {
    /// SHA-256 of the encoded evidence, which names it.
    pub hash: Hash,
    /// Who contradicted itself.
    pub validator: String,
    /// How.
    pub words: String,
}

/// `POST /v1/transactions`, asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitRequest {
    /// SCALE of a signed transaction.
    pub transaction: Bytes,
}

/// `POST /v1/transactions`, answered with status 202.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The transaction's id.
    pub id: TransactionId,
}

/// How far a transaction has come at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionState {
    /// Not known here.
    Unknown,
    /// Waits to be ordered.
    Pending,
    /// Executed in a block that is not certified yet.
    Committed,
    /// In a block under a certificate.
    Final,
}

/// `GET /v1/transactions/{id}?wait_ms=N`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionInfo {
    /// Which.
    pub id: TransactionId,
    /// How far it has come; everything below is absent while it is not known.
    pub state: TransactionState,
    /// The block it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Height>,
    /// Its place in the block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// That block's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_time: Option<String>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_time_ms: Option<Millis>,
    /// Who signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<AccountId>,
    /// Not admitted from this block time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until_ms: Option<Millis>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallInfo>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptInfo>,
}

/// What a transaction asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CallInfo {
    /// A call of a contract.
    Invoke {
        /// Which contract.
        contract: ContractId,
        /// Which method.
        method: String,
        /// SCALE of the arguments.
        args: Bytes,
    },
    /// A deployment; the module itself is left out.
    Deploy {
        /// Hash of the module.
        code: CodeHash,
        /// Who may upgrade it.
        upgraders: UpgradersInfo,
        /// SCALE of `init`'s arguments.
        args: Bytes,
    },
    /// An admission.
    Admit {
        /// Of whom.
        account: AccountId,
        /// With which roles.
        roles: Vec<Role>,
    },
    /// New code for a contract; the module itself is left out.
    Upgrade {
        /// Of which contract.
        contract: ContractId,
        /// The version that is replaced.
        version: u32,
        /// Hash of the new module.
        code: CodeHash,
        /// SCALE of `migrate`'s arguments.
        args: Bytes,
    },
    /// Consent to an upgrade.
    ApproveUpgrade {
        /// Of which contract.
        contract: ContractId,
        /// Which upgrade; without it, the consent given before is withdrawn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<UpgradeApproval>,
    },
}

/// Who may upgrade a contract; nobody where there are no accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradersInfo {
    /// How many of them it takes.
    pub quorum: u32,
    /// DIDs; in a deployment that was refused, perhaps not of keys that may be admitted.
    pub accounts: Vec<String>,
}

impl UpgradersInfo {
    /// Of what stands in the ledger.
    #[must_use]
    pub fn of(upgraders: &Upgraders) -> Self {
        Self {
            quorum: upgraders.quorum,
            accounts: upgraders.accounts.iter().map(ToString::to_string).collect(),
        }
    }
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// It did what was asked.
    Applied {
        /// SCALE of the returned value.
        value: Bytes,
    },
    /// The contract refused.
    Reverted {
        /// The contract's own code; its schema gives the name.
        code: u32,
        /// SCALE of what the contract added.
        data: Bytes,
    },
    /// It was ended from outside.
    Trapped {
        /// Why.
        kind: TrapKind,
    },
}

/// A transaction's receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptInfo {
    /// How it ended: `status` with `value`, or `code` and `data`, or `kind`.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What it burnt.
    pub fuel_used: Fuel,
    /// The contract deployed or called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractId>,
    /// That contract's version when the transaction had ended, if the node knows: the one that ran,
    /// unless the transaction is an upgrade that was not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<u32>,
    /// In order of emission.
    #[serde(default)]
    pub events: Vec<EventInfo>,
}

/// Something a contract announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventInfo {
    /// Which contract.
    pub contract: ContractId,
    /// The version of that contract which announced it, if the node knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<u32>,
    /// The event's name in the schema of that version.
    pub topic: String,
    /// SCALE of its fields.
    pub data: Bytes,
}

/// `GET /v1/blocks/{height|latest}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockInfo {
    /// Its position.
    pub height: Height,
    /// The header's hash.
    pub hash: Hash,
    /// The parent header's hash.
    pub parent: Hash,
    /// Block time.
    pub time: String,
    /// The same.
    pub time_ms: Millis,
    /// The batch that PBFT ordered.
    pub batch: BatchDigest,
    /// RFC 6962 root over the transactions.
    pub transactions_root: Hash,
    /// RFC 6962 root over the receipts.
    pub receipts_root: Hash,
    /// Root of the state tree.
    pub state_root: Hash,
    /// Entries of the state.
    pub state_count: u64,
    /// Whether a certificate covers it.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Ids of the executed transactions, in order.
    pub transactions: Vec<TransactionId>,
}

/// `POST /v1/query`, asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryRequest {
    /// Which contract.
    pub contract: ContractId,
    /// Which view.
    pub method: String,
    /// SCALE of the arguments.
    pub args: Bytes,
}

/// Which clock a query's "now" came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// The newest block's time was the later one.
    Block,
    /// The node's clock was the later one.
    Clock,
}

/// `POST /v1/query`, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryInfo {
    /// How it ended: `status` with `value`, or `code` and `data`, or `kind`.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What it burnt.
    pub fuel_used: Fuel,
    /// The version of the contract that answered.
    pub contract_version: u32,
    /// The block whose state was read.
    pub height: Height,
    /// That block's time.
    pub block_time: String,
    /// The same.
    pub block_time_ms: Millis,
    /// What the contract was told the time is.
    pub time_used: String,
    /// The same.
    pub time_used_ms: Millis,
    /// Where that time came from.
    pub time_source: TimeSource,
}

/// `POST /v1/proofs/state`, asked: which entries of the state to prove, present or absent, all right
/// after one block. The answer is the file, a [`StateBundle`](chancery_ledger::state_bundle), of the
/// newest block: it comes when that is final. The values may have 4 MiB together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProofRequest {
    /// 1 to [`ENTRIES_MAX`](chancery_ledger::state_bundle::ENTRIES_MAX), none twice: bytes of
    /// [`StateKey`](chancery_ledger::state_key::StateKey).
    pub keys: Vec<Bytes>,
}

/// `GET /v1/contracts/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractInfo {
    /// Which.
    pub contract: ContractId,
    /// Hash of its module.
    pub code: CodeHash,
    /// 1, and 1 more for each upgrade.
    pub version: u32,
    /// Who deployed it.
    pub deployer: AccountId,
    /// Who may upgrade it.
    pub upgraders: UpgradersInfo,
    /// Who approved which upgrade of this version.
    pub approvals: Vec<ApprovalInfo>,
    /// Its methods, events and errors, if it declares them.
    #[serde(default)]
    pub schema: Option<serde_json::Value>,
}

/// An upgrade that somebody approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalInfo {
    /// Who.
    pub account: AccountId,
    /// Hash of the new module.
    pub code: CodeHash,
    /// SHA-256 of SCALE of `migrate`'s arguments.
    pub args: Hash,
}

/// `GET /v1/accounts/{did}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountInfo {
    /// Who.
    pub account: AccountId,
    /// What it may do.
    pub roles: Vec<Role>,
}

/// `GET /health/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyInfo {
    /// Whether the node can serve.
    pub ready: bool,
    /// Why not.
    #[serde(default)]
    pub reasons: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_one_flat_object() {
        let receipt = ReceiptInfo {
            outcome: Outcome::Reverted {
                code: 2,
                data: Bytes(vec![1, 2]),
            },
            fuel_used: Fuel(7),
            contract: None,
            contract_version: None,
            events: Vec::new(),
        };
        let text = serde_json::to_string(&receipt).expect("encodes");
        assert_eq!(
            text,
            r#"{"status":"reverted","code":2,"data":"AQI=","fuel_used":7,"events":[]}"#
        );
        let back: ReceiptInfo = serde_json::from_str(&text).expect("decodes");
        assert_eq!(back, receipt);
    }

    #[test]
    fn an_unknown_transaction_has_two_fields() {
        let text = format!(r#"{{"id":"{}","state":"unknown"}}"#, "00".repeat(32));
        let info: TransactionInfo = serde_json::from_str(&text).expect("decodes");
        assert_eq!(info.state, TransactionState::Unknown);
        assert_eq!(serde_json::to_string(&info).expect("encodes"), text);
    }
}
