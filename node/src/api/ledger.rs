//! What stands in the ledger: the chain itself, blocks, contracts, accounts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chancery_client::api::{
    AccountInfo, ApprovalInfo, BlockInfo, ChainInfo, ChainValidator, ContractInfo, UpgradersInfo,
};
use chancery_genesis::time;
use chancery_ledger::block::PROTOCOL_VERSION;
use chancery_ledger::policy::Policy;
use chancery_ledger::state_key::{AccountRecord, ContractRecord, StateKey};
use chancery_ledger::{AccountId, CodeHash, ContractId, Height, UpgradeApproval, decode_canonical};
use chancery_runtime::Runtime;

use super::refusal::{Refusal, Segment};
use super::{Api, Shared, blocking, json_text};
use crate::handle::NodeHandle;
use crate::store::{Snapshot, StoredBlock};

/// Blocks kept decoded: many clients ask for their transactions in the newest ones.
const CACHED_BLOCKS_MAX: usize = 16;

/// The newest blocks that were asked for. A block never changes once it is written.
#[derive(Debug, Default)]
pub(super) struct BlockCache {
    blocks: Mutex<VecDeque<Arc<StoredBlock>>>,
}

impl BlockCache {
    /// The block at `height`, if there is one. Reads the disk: for threads that may block.
    ///
    /// # Errors
    /// If there is one, but not here.
    pub(super) fn get(
        &self,
        snapshot: &Snapshot,
        height: Height,
    ) -> Result<Option<Arc<StoredBlock>>, Refusal> {
        let lock = || self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = lock()
            .iter()
            .find(|block| block.header.height == height)
            .map(Arc::clone);
        if cached.is_some() {
            return Ok(cached);
        }
        let Some(block) = snapshot.block(height) else {
            let base = snapshot.base().filter(|base| height <= *base);
            return base.map_or(Ok(None), |base| Err(Refusal::before_snapshot(height, base)));
        };
        let block = Arc::new(block);
        let mut blocks = lock();
        if blocks.len() >= CACHED_BLOCKS_MAX {
            blocks.pop_front();
        }
        blocks.push_back(Arc::clone(&block));
        Ok(Some(block))
    }
}

/// The answer of [`chain`], made once.
pub(super) fn chain_answer(node: &NodeHandle) -> axum::body::Bytes {
    let validators = node.validators.iter().map(|(_, validator)| ChainValidator {
        name: validator.name.clone(),
        consensus_key: hex::encode(validator.consensus_key.as_bytes()),
    });
    let info = ChainInfo {
        chain_id: node.chain,
        name: node.genesis.name().to_owned(),
        protocol_version: PROTOCOL_VERSION,
        limits: node.limits().clone(),
        validators: validators.collect(),
        quorum: node.validators.quorum(),
        policy: Policy::of_validators(node.chain, &node.validators).to_string(),
        genesis: node.genesis_toml.clone(),
    };
    serde_json::to_vec(&info)
        .expect("strings, numbers and lists are JSON")
        .into()
}

pub(super) async fn chain(State(api): Shared) -> Response {
    json_text(api.chain.clone())
}

pub(super) async fn block(
    State(api): Shared,
    Segment(which): Segment,
) -> Result<Json<BlockInfo>, Refusal> {
    let height = match which.as_str() {
        "latest" => None,
        digits => Some(digits.parse().map(Height).map_err(|_| {
            Refusal::bad_request(
                format!("{:?} is not a height", shortened(digits)),
                "give a number, or \"latest\"",
            )
        })?),
    };
    let final_height = api.node.progress.borrow().final_height;
    let shared = Arc::clone(&api);
    let (newest, block) = blocking(&api.reads, move || {
        let snapshot = shared.node.store.read();
        let newest = snapshot.tip().header.height;
        let height = height.unwrap_or(newest);
        (newest, shared.blocks.get(&snapshot, height))
    })
    .await?;
    let block = block?.ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "unknown_block",
            format!("there is no block {which}, the newest is {newest}"),
            "\"latest\" names the newest block of this node",
        )
    })?;
    let header = &block.header;
    Ok(Json(BlockInfo {
        height: header.height,
        hash: header.hash(),
        parent: header.parent,
        time: time::format(header.time),
        time_ms: header.time,
        batch: header.batch,
        transactions_root: header.transactions_root,
        receipts_root: header.receipts_root,
        state_root: header.state_root,
        state_count: header.state_count,
        is_final: header.height <= final_height,
        transactions: block
            .transactions
            .iter()
            .map(|signed| signed.id())
            .collect(),
    }))
}

pub(super) async fn contract(
    State(api): Shared,
    Segment(id): Segment,
) -> Result<Json<ContractInfo>, Refusal> {
    let id = contract_id(&id)?;
    let shared = Arc::clone(&api);
    let found = blocking(&api.reads, move || {
        let snapshot = shared.node.store.read();
        let record = contract_record(&snapshot, id)?;
        let schema = schema_of_code(&shared, &snapshot, record.code);
        let approvals = approvals(&snapshot, id, &record);
        Some((record, approvals, schema))
    })
    .await?;
    let (record, approvals, schema) = found.ok_or_else(|| unknown_contract(id))?;
    Ok(Json(ContractInfo {
        contract: id,
        code: record.code,
        version: record.version,
        deployer: record.deployer,
        upgraders: UpgradersInfo::of(&record.upgraders),
        approvals,
        schema,
    }))
}

/// The contract that was asked for.
pub(super) fn contract_id(text: &str) -> Result<ContractId, Refusal> {
    text.parse().map_err(|error| {
        Refusal::bad_request(
            error,
            "a contract's address is the one that its deployment printed",
        )
    })
}

/// What deployed code says of itself, if it does.
pub(super) fn schema_of_code(
    api: &Api,
    snapshot: &Snapshot,
    code: CodeHash,
) -> Option<serde_json::Value> {
    let code = snapshot.state_get(&StateKey::Code(code).to_bytes())?;
    // Deployment applied the same rules, so this does not fail for what is deployed.
    let report = Runtime::check_module(api.node.limits(), &code).ok()?;
    serde_json::to_value(report.schema?).ok()
}

pub(super) fn account_record(snapshot: &Snapshot, id: AccountId) -> Option<AccountRecord> {
    let bytes = snapshot.state_get(&StateKey::Account(id).to_bytes())?;
    decode_canonical(&bytes, bytes.len()).ok()
}

pub(super) fn contract_record(snapshot: &Snapshot, id: ContractId) -> Option<ContractRecord> {
    let bytes = snapshot.state_get(&StateKey::Contract(id).to_bytes())?;
    decode_canonical(&bytes, bytes.len()).ok()
}

/// What was approved for the version that runs now.
fn approvals(snapshot: &Snapshot, id: ContractId, record: &ContractRecord) -> Vec<ApprovalInfo> {
    let accounts = record.upgraders.accounts.iter();
    let approvals = accounts.filter_map(|account| {
        let key = StateKey::Approval(id, *account).to_bytes();
        let bytes = snapshot.state_get(&key)?;
        let approval: UpgradeApproval = decode_canonical(&bytes, bytes.len()).ok()?;
        (approval.version == record.version).then_some(ApprovalInfo {
            account: *account,
            code: approval.code,
            args: approval.args,
        })
    });
    approvals.collect()
}

pub(super) fn unknown_contract(id: ContractId) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "unknown_contract",
        format!("there is no contract {id} in the newest state of this node"),
        "check the address, and that its deployment is final and applied",
    )
}

pub(super) async fn account(
    State(api): Shared,
    Segment(did): Segment,
) -> Result<Json<AccountInfo>, Refusal> {
    let account: AccountId = did
        .parse()
        .map_err(|error| Refusal::bad_request(error, "accounts are written as did:key:z6Mk…"))?;
    let shared = Arc::clone(&api);
    let record = blocking(&api.reads, move || {
        account_record(&shared.node.store.read(), account)
    })
    .await?;
    let record = record.ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "unknown_account",
            format!("{account} is not an admitted account"),
            "an account with the role registrar must admit it first",
        )
    })?;
    Ok(Json(AccountInfo {
        account,
        roles: record.roles,
    }))
}

/// Foreign text, short enough to be told back.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
