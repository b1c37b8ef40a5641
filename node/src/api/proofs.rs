//! Proof files, each of which convinces whoever has the policy and nothing else: of a transaction, and
//! of entries of the newest state.
//!
//! What is executed is proved only once a quorum has certified it. Values of an earlier state are gone
//! from the store, so a proof of the state holds on to a view of the newest one, and waits for the
//! certificate of its block.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chancery_client::api::{Bytes, StateProofRequest};
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::header_log;
use chancery_ledger::merkle::InclusionProof;
use chancery_ledger::note::Note;
use chancery_ledger::proof::{Bundle, ProvenHeader};
use chancery_ledger::state_bundle::{ENTRIES_MAX, ProvenEntry, StateBundle};
use chancery_ledger::state_key::StateKey;
use chancery_ledger::state_tree::{StateTree, key_hash};
use chancery_ledger::{ChainLimits, Header, Height, TransactionId};
use tokio::time::{Instant, timeout_at};

use super::refusal::{JsonBody, Refusal, Segment};
use super::transactions::parse_id;
use super::{Api, BODY_SLACK_BYTES, Shared, blocking, json_text};
use crate::store::{Snapshot, TransactionPlace};

/// How long a proof of the state waits for the newest block to be executed whole and certified.
const STATE_WAIT_MAX: Duration = Duration::from_secs(2);
/// The values of one proof of the state, together, unless it is one: slow readers keep answers in
/// memory.
const VALUES_BYTES_MAX: usize = 1 << 20;
/// A key of the state, without what a contract calls it.
const KEY_PREFIX_BYTES: usize = 33;

pub(super) async fn transaction(
    State(api): Shared,
    Segment(id): Segment,
) -> Result<Response, Refusal> {
    let id = parse_id(&id)?;
    let shared = Arc::clone(&api);
    let bundle = blocking(&api.reads, move || prove(&shared, id)).await??;
    Ok(json_text(bundle))
}

/// The bundle under the oldest certificate that covers the transaction's block: the same file
/// whenever it is asked for.
fn prove(api: &Api, id: TransactionId) -> Result<String, Refusal> {
    let node = &api.node;
    // Before the snapshot: what is certified by then is in it.
    let newest_certificate = node.progress.borrow().certificate.clone();
    let snapshot = node.store.read();
    let Some(TransactionPlace { height, index }) = snapshot.transaction(&id) else {
        return Err(unknown_transaction(api, id));
    };
    let Some(block) = api.blocks.get(&snapshot, height)? else {
        return Err(unknown_transaction(api, id));
    };
    let covered = Covered::find(api, &snapshot, newest_certificate, &block.header)
        .map_err(|reason| transaction_not_final_yet(&reason))?;
    let proven = covered.proven(&block.header);
    Bundle::of_transaction(proven, &block.transactions, &block.receipts, index)
        .map(|bundle| bundle.to_json())
        .ok_or_else(|| unknown_transaction(api, id))
}

/// The place of a block in the log under a checkpoint that a quorum has cosigned.
struct Covered {
    checkpoint: Note,
    in_log: InclusionProof,
}

impl Covered {
    /// Under the oldest certificate that covers the block; else why there is none.
    fn find(
        api: &Api,
        snapshot: &Snapshot,
        newest: Option<CheckpointCertificate>,
        header: &Header,
    ) -> Result<Self, String> {
        let (node, height) = (&api.node, header.height);
        let certificate = snapshot
            .certificate_at_or_after(height)
            .or(newest)
            .filter(|certificate| certificate.statement.height >= height)
            .ok_or_else(|| format!("block {height} is not certified yet"))?;
        let certified = certificate.statement.height;
        let in_log = header_log::inclusion_proof(height.0, certified.next().0, &|level, index| {
            snapshot.log_node(level, index)
        })
        .ok_or_else(|| {
            // The certificate is ahead of what is executed here.
            format!("block {certified} of its certificate is not executed here yet")
        })?;
        in_log
            .verify(&header.hash(), &certificate.statement.root)
            .map_err(|_| format!("what is certified at height {certified} is not what is here"))?;
        Ok(Self {
            checkpoint: certificate.note(&node.validators, &node.log_key),
            in_log,
        })
    }

    fn proven<'a>(&'a self, header: &'a Header) -> ProvenHeader<'a> {
        ProvenHeader {
            header,
            checkpoint: &self.checkpoint,
            in_log: &self.in_log,
        }
    }
}

fn unknown_transaction(api: &Api, id: TransactionId) -> Refusal {
    if api.node.is_pending(&id) {
        return transaction_not_final_yet("it waits to be ordered");
    }
    let height: Height = api.node.progress.borrow().height;
    Refusal::new(
        StatusCode::NOT_FOUND,
        "unknown_transaction",
        format!("transaction {id} is in no block up to {height}"),
        "check the id, or ask another validator",
    )
}

fn transaction_not_final_yet(reason: &str) -> Refusal {
    Refusal::new(
        StatusCode::CONFLICT,
        "not_final_yet",
        format!("there is no proof of the transaction yet: {reason}"),
        "wait for it: GET /v1/transactions/{id}?wait_ms=10000",
    )
}

/// The longest body that [`state`] takes.
pub(super) fn keys_body_bytes_max(limits: &ChainLimits) -> usize {
    let key = KEY_PREFIX_BYTES + usize::try_from(limits.key_bytes_max).unwrap_or(usize::MAX / 2);
    // Quoted base64, and a comma.
    let key_text = key.div_ceil(3).saturating_mul(4).saturating_add(3);
    ENTRIES_MAX
        .saturating_mul(key_text)
        .saturating_add(BODY_SLACK_BYTES)
}

/// Proves what stands under the keys asked for, or that nothing does, in the newest state.
pub(super) async fn state(
    State(api): Shared,
    JsonBody(request): JsonBody<StateProofRequest>,
) -> Result<Response, Refusal> {
    let keys = checked_keys(request.keys)?;
    let _place = api.waiting_place()?;
    let deadline = Instant::now() + STATE_WAIT_MAX;
    let newest = NewestState::take(&api, deadline).await?;
    until_final(&api, newest.header.height, deadline).await?;
    let shared = Arc::clone(&api);
    // Whoever has to wait for a thread keeps no view of the ledger for long.
    let proven = blocking(&api.reads, move || newest.prove(&shared, keys));
    let bundle = timeout_at(deadline, proven).await.map_err(|_| busy())???;
    Ok(json_text(bundle))
}

fn checked_keys(keys: Vec<Bytes>) -> Result<Vec<Vec<u8>>, Refusal> {
    if keys.len() > ENTRIES_MAX {
        return Err(Refusal::too_large(
            format!(
                "{} keys, one proof has at most {ENTRIES_MAX} entries",
                keys.len()
            ),
            "ask for several proofs; each is of one height",
        ));
    }
    let bad = |message| {
        Err(Refusal::bad_request(
            message,
            "keys are base64 of the bytes of chancery_ledger::state_key::StateKey",
        ))
    };
    if keys.is_empty() {
        return bad("there is no key to prove anything about".to_owned());
    }
    let mut seen = BTreeSet::new();
    for (index, Bytes(key)) in keys.iter().enumerate() {
        if StateKey::from_bytes(key).is_none() {
            return bad(format!("key {index} is not one that a state has"));
        }
        if !seen.insert(key) {
            return bad(format!("key {index} is an earlier one again"));
        }
    }
    Ok(keys.into_iter().map(|Bytes(key)| key).collect())
}

/// A view of the newest state with the tree over it.
struct NewestState {
    snapshot: Snapshot,
    tree: StateTree,
    header: Header,
}

impl NewestState {
    /// The tree follows the store by a moment: both are taken again where it had not yet.
    async fn take(api: &Arc<Api>, deadline: Instant) -> Result<Self, Refusal> {
        let mut trees = api.node.state.clone();
        loop {
            trees.mark_unchanged();
            let shared = Arc::clone(api);
            let (snapshot, header, tree) = blocking(&api.reads, move || {
                let snapshot = shared.node.store.read();
                let header = snapshot.tip().header;
                let tree = shared.node.state.borrow().clone();
                (snapshot, header, tree)
            })
            .await?;
            if tree.root() == header.state_root {
                return Ok(Self {
                    snapshot,
                    tree,
                    header,
                });
            }
            match timeout_at(deadline, trees.changed()).await {
                Ok(Ok(())) => {}
                // A validator that has diverged makes no more blocks.
                Ok(Err(_)) => {
                    let halted = api.node.progress.borrow().halted.clone();
                    return Err(halted.map_or_else(Refusal::stopping, |why| Refusal::halted(&why)));
                }
                Err(_) => return Err(busy()),
            }
        }
    }

    fn prove(self, api: &Api, keys: Vec<Vec<u8>>) -> Result<String, Refusal> {
        // Before the snapshot: what is certified by then is in it.
        let newest_certificate = api.node.progress.borrow().certificate.clone();
        let now = api.node.store.read();
        let covered = Covered::find(api, &now, newest_certificate, &self.header)
            .map_err(|reason| state_not_final_yet(&reason))?;
        let mut taken = 0;
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            let value = self.snapshot.state_get(&key);
            let len = value.as_ref().map_or(0, Vec::len);
            if taken > 0 && taken + len > VALUES_BYTES_MAX {
                return Err(values_too_large());
            }
            taken += len;
            let proof = self.tree.prove(&key_hash(&key), &self.snapshot);
            // The roots are equal, so this is not reached.
            let proof = proof.map_err(|_| busy())?;
            entries.push(ProvenEntry { key, value, proof });
        }
        StateBundle::of_entries(covered.proven(&self.header), &entries)
            .map(|bundle| bundle.to_json())
            .map_err(|error| {
                Refusal::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "bad_entry",
                    format!("an entry of this node's state is not one: {error}"),
                    "ask another validator, and tell this one's operator",
                )
            })
    }
}

/// Waits until a quorum has certified the block, or a later one.
async fn until_final(api: &Api, height: Height, deadline: Instant) -> Result<(), Refusal> {
    let mut progress = api.node.progress.clone();
    let settled =
        progress.wait_for(|progress| progress.final_height >= height || progress.halted.is_some());
    match timeout_at(deadline, settled).await {
        Ok(Ok(progress)) if progress.final_height >= height => Ok(()),
        Ok(Ok(progress)) => Err(Refusal::halted(
            progress.halted.as_deref().unwrap_or_default(),
        )),
        Ok(Err(_)) => Err(Refusal::stopping()),
        Err(_) => Err(state_not_final_yet(&format!(
            "block {height} is not certified yet"
        ))),
    }
}

fn state_not_final_yet(reason: &str) -> Refusal {
    Refusal::new(
        StatusCode::CONFLICT,
        "not_final_yet",
        format!("there is no proof of the newest state yet: {reason}"),
        "ask again; GET /v1/status says how far blocks are executed and how far they are final",
    )
}

fn busy() -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_ready",
        "this node is executing many blocks at once, or has much else to answer",
        "ask again later, or another validator",
    )
}

fn values_too_large() -> Refusal {
    Refusal::too_large(
        format!(
            "the values have more than {VALUES_BYTES_MAX} bytes together, too many for one proof"
        ),
        "ask for several proofs, with fewer keys each",
    )
}
