//! What must be true after every fault: whatever a client was told to be final is there, once, on
//! every validator, in the same blocks, and proofs taken at any time hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chancery_client::Client;
use chancery_client::api::{BlockInfo, TransactionInfo, TransactionState};
use chancery_ledger::{Height, TransactionId};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::command::{Ran, chancery, eventually};
use crate::load::Acknowledged;

/// How long a validator may take to get what the others have.
const SECONDS_TO_LEVEL: u64 = 60;
/// Of so many acknowledged transactions the receipts are compared, too.
const RECEIPTS_COMPARED: usize = 40;

/// What clients were told in the course of a test.
#[derive(Debug, Default)]
pub struct History {
    acknowledged: BTreeMap<TransactionId, Height>,
    proofs: Vec<PathBuf>,
}

impl History {
    /// Keeps in mind what a load's clients were told.
    pub fn note(&mut self, acknowledged: &[Acknowledged]) {
        let pairs = acknowledged.iter().map(|ack| (ack.id, ack.height));
        self.acknowledged.extend(pairs);
    }

    /// Keeps in mind what one command was told.
    ///
    /// # Panics
    /// If it is no final transaction.
    pub fn note_command(&mut self, ran: &Ran) {
        let id: TransactionId = ran.text("id").parse().expect("an id");
        let height = ran.out["height"].as_u64().expect("a height");
        self.acknowledged.insert(id, Height(height));
    }

    /// How many transactions were acknowledged.
    #[must_use]
    pub fn count(&self) -> usize {
        self.acknowledged.len()
    }

    /// Takes the proofs of the oldest, the middle and the newest acknowledged transaction from one
    /// validator, to be verified in the end.
    ///
    /// # Panics
    /// If nothing was acknowledged, or there is no proof of it.
    pub fn take_proofs(&mut self, cluster: &Cluster, from: usize) {
        let mut by_height: Vec<_> = self.acknowledged.iter().map(|(id, at)| (at, id)).collect();
        by_height.sort_unstable();
        let last = by_height
            .len()
            .checked_sub(1)
            .expect("something was acknowledged");
        let newest = by_height[last].0.0;
        eventually("it has what others were told of", 30, || {
            cluster.final_height(from) >= newest
        });
        for at in [0, last / 2, last] {
            let path = cluster.path().join(format!("{}.proof", self.proofs.len()));
            let (id, out) = (by_height[at].1.to_string(), path.display().to_string());
            let taken = cluster.run_at(from, &["proof", "tx", &id, "--out", &out]);
            assert_eq!(taken.code, 0, "{id} is proven: {taken:?}");
            self.proofs.push(path);
        }
    }
}

/// Asserts that nothing that was final is lost, twice or different on the validators `who`, and
/// returns the height up to which this was looked at.
///
/// # Panics
/// If the ledger is not intact.
pub fn assert_ledger_intact(cluster: &Cluster, who: &[usize], history: &mut History) -> Height {
    let heights = who.iter().map(|index| cluster.final_height(*index));
    let acknowledged = history.acknowledged.values().map(|height| height.0);
    let height = Height(heights.chain(acknowledged).max().unwrap_or(0));
    for index in who {
        let what = format!("validator {index} is final up to {height}");
        eventually(&what, SECONDS_TO_LEVEL, || {
            cluster.final_height(*index) >= height.0
        });
    }

    let chains = read_chains(cluster, who, height);
    let first = &chains[0];
    for (index, chain) in who.iter().zip(&chains) {
        for (here, there) in first.iter().zip(chain) {
            assert_eq!(
                here, there,
                "validators {} and {index} have the same blocks",
                who[0]
            );
        }
    }
    let mut places = BTreeMap::new();
    let mut parent = None;
    for block in first {
        assert!(
            parent.is_none_or(|hash| hash == block.parent),
            "{} follows",
            block.height
        );
        assert!(
            block.is_final,
            "block {} is final up to {height}",
            block.height
        );
        parent = Some(block.hash);
        for id in &block.transactions {
            if let Some(before) = places.insert(*id, block.height) {
                panic!("{id} is in blocks {before} and {}", block.height);
            }
        }
    }
    for (id, height) in &history.acknowledged {
        assert_eq!(
            places.get(id),
            Some(height),
            "{id} is where its client saw it"
        );
    }

    compare_receipts(cluster, who, history);
    if !history.acknowledged.is_empty() {
        history.take_proofs(cluster, who[who.len() - 1]);
    }
    let policy = cluster.policy();
    for proof in &history.proofs {
        let verified = chancery(&["verify", &proof.display().to_string(), "--trust", &policy]);
        assert_eq!(verified.code, 0, "{} holds: {verified:?}", proof.display());
    }
    height
}

/// All blocks up to `height`, from each of `who`, oldest first.
fn read_chains(cluster: &Cluster, who: &[usize], height: Height) -> Vec<Vec<BlockInfo>> {
    let clients = who.iter().map(|index| cluster.api(*index));
    let clients: Vec<Client> = clients
        .map(|url| Client::new([url]).expect("an address"))
        .collect();
    cluster.block_on(async {
        let mut tasks = JoinSet::new();
        for (place, client) in clients.into_iter().enumerate() {
            tasks.spawn(async move {
                let mut chain = Vec::new();
                for at in 0..=height.0 {
                    chain.push(client.block(&at.to_string()).await.expect("a block"));
                }
                (place, chain)
            });
        }
        let chains: BTreeMap<usize, Vec<BlockInfo>> = tasks.join_all().await.into_iter().collect();
        chains.into_values().collect()
    })
}

/// Compares what the validators say of some transactions, evenly spread over the history.
fn compare_receipts(cluster: &Cluster, who: &[usize], history: &History) {
    let step = history
        .acknowledged
        .len()
        .div_ceil(RECEIPTS_COMPARED)
        .max(1);
    for id in history.acknowledged.keys().step_by(step) {
        let answers: Vec<Value> = who
            .iter()
            .map(|index| cluster.get(*index, &format!("/v1/transactions/{id}")))
            .collect();
        let info: TransactionInfo =
            serde_json::from_value(answers[0].clone()).expect("it is known");
        assert_eq!(info.state, TransactionState::Final, "{id}");
        assert!(info.receipt.is_some(), "{id} has a receipt");
        for (index, answer) in who.iter().zip(&answers) {
            assert_eq!(answer, &answers[0], "{id} at validator {index}");
        }
    }
}
