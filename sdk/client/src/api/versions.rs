//! The versions of a contract: which code ran when, and what it said of itself. Each stands in the
//! state under a key of its own and never changes; at a transaction's place that version ran which
//! has the latest `since` up to there.

use chancery_ledger::{CodeHash, ContractId, TransactionPlace};
use serde::{Deserialize, Serialize};

/// One version of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionInfo {
    /// 1 for what was deployed, and 1 more for each upgrade.
    pub version: u32,
    /// Hash of its module.
    pub code: CodeHash,
    /// The deployment or the upgrade that brought it, which itself ran it already.
    pub since: TransactionPlace,
}

/// `GET /v1/contracts/{id}/versions?from=VERSION&limit=…`: one page of a contract's versions, in the
/// newest state of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionsPage {
    /// One after the other, from `from` on, or from the first one.
    pub versions: Vec<VersionInfo>,
    /// Where to go on, if there are more: the one behind the last of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

/// `GET /v1/contracts/{id}/versions/{version}`: one version with what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionDetails {
    /// The contract.
    pub contract: ContractId,
    /// Which version, what it runs, and since when: `version`, `code` and `since`.
    #[serde(flatten)]
    pub info: VersionInfo,
    /// Its methods, events and errors, if it declares them.
    #[serde(default)]
    pub schema: Option<serde_json::Value>,
}
