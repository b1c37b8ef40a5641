//! Clients that grant access at a fixed rate whatever the answers are (open loop), and remember
//! what they were told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chancery_client::api::{Outcome, TransactionInfo};
use chancery_client::{Client, KeyStore, TransactionBuilder, clock};
use chancery_ledger::{
    AccountId, Call, ContractId, Fuel, Height, Millis, SecretKey, TransactionId,
};
use parity_scale_codec::Encode as _;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::command::eventually;

/// How long a client follows its transaction.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the grants hold.
const GRANT_MS: u64 = 86_400_000;
/// More than any grant burns.
const FUEL: Fuel = Fuel(10_000_000);

/// A transaction that a client was told to be final.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    /// Which.
    pub id: TransactionId,
    /// In which block.
    pub height: Height,
    /// When it was handed in.
    pub sent: Instant,
    /// When the client was told.
    pub told: Instant,
}

/// What the clients were told so far.
#[derive(Debug, Default)]
struct Told {
    acknowledged: Vec<Acknowledged>,
    failed: Vec<String>,
}

/// Clients at work; dropping it ends them, with what is under way left alone.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
    thread: Option<JoinHandle<()>>,
}

/// Who grants what, and where it is handed in.
struct Setup {
    urls: Vec<String>,
    key: SecretKey,
    contract: ContractId,
    rate: u32,
}

impl Load {
    /// Grants of `contract` by `owner`, so many a second, at all validators in turn.
    ///
    /// # Panics
    /// If nobody answers, or there is no such key or contract.
    #[must_use]
    pub fn start(cluster: &Cluster, contract: &str, owner: &str, rate: u32) -> Self {
        let keys = KeyStore::new(Path::new(&cluster.dir()).join("keys"));
        let setup = Setup {
            urls: cluster
                .all()
                .into_iter()
                .map(|index| cluster.api(index))
                .collect(),
            key: keys.load(owner).expect("a key"),
            contract: contract.parse().expect("a contract"),
            rate,
        };
        let client = Client::new(setup.urls.clone()).expect("addresses");
        let chain = cluster.block_on(client.chain()).expect("somebody answers");
        let builder = TransactionBuilder::new(chain.chain_id, chain.limits)
            .fuel_max(FUEL)
            .patience(PATIENCE);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::new(Mutex::new(Told::default()));
        let (stopped, tell) = (Arc::clone(&stop), Arc::clone(&told));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(run(setup, builder, &stopped, &tell));
        });
        Self {
            stop,
            told,
            thread: Some(thread),
        }
    }

    /// How many transactions were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.look(|told| told.acknowledged.len())
    }

    /// When the first client was told that its transaction, handed in after `moment`, is final.
    fn first_final_after(&self, moment: Instant) -> Option<Instant> {
        self.look(|told| {
            let later = told.acknowledged.iter().filter(|ack| ack.sent >= moment);
            later.map(|ack| ack.told).min()
        })
    }

    /// Waits until so many more than now are acknowledged, at most for `seconds`.
    ///
    /// # Panics
    /// If they are not, in the words of `what`.
    pub fn expect_more(&self, what: &str, seconds: u64, count: usize) {
        let before = self.acknowledged();
        eventually(what, seconds, || self.acknowledged() >= before + count);
    }

    /// Waits until a client was told that its transaction, handed in after `moment`, is final, at
    /// most for `seconds`; returns how long after it that was.
    ///
    /// # Panics
    /// If none is, in the words of `what`.
    pub fn expect_final_after(&self, what: &str, seconds: u64, moment: Instant) -> Duration {
        eventually(what, seconds, || self.first_final_after(moment).is_some());
        let first = self.first_final_after(moment).expect("just seen");
        first.duration_since(moment)
    }

    fn look<T>(&self, read: impl FnOnce(&Told) -> T) -> T {
        read(&self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands in nothing more, waits for what is under way, and returns what was acknowledged.
    ///
    /// # Panics
    /// If any transaction was refused, lost, or not final in time.
    #[must_use]
    pub fn finish(self) -> Vec<Acknowledged> {
        let (acknowledged, failed) = self.finish_whatever_failed();
        assert!(
            failed.is_empty(),
            "{} of {} transactions failed, for instance: {}",
            failed.len(),
            failed.len() + acknowledged.len(),
            failed[0]
        );
        acknowledged
    }

    /// The same where transactions may fail, because for a while nobody took any: what was
    /// acknowledged, and why the others were not.
    ///
    /// # Panics
    /// If the clients did.
    #[must_use]
    pub fn finish_whatever_failed(mut self) -> (Vec<Acknowledged>, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the clients do not panic");
        }
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        (told.acknowledged, told.failed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn run(setup: Setup, builder: TransactionBuilder, stop: &AtomicBool, told: &Mutex<Told>) {
    let Setup {
        urls,
        key,
        contract,
        rate,
    } = setup;
    // A client for each node, each node first for its share.
    let clients: Vec<Arc<Client>> = (0..urls.len())
        .map(|first| {
            let mut urls = urls.clone();
            urls.rotate_left(first);
            Arc::new(Client::new(urls).expect("addresses"))
        })
        .collect();
    let mut under_way = JoinSet::new();
    let mut sent = BTreeMap::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut number: u64 = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                number += 1;
                let call = grant(contract, number);
                let signed = builder.sign(&key, clock(), call).expect("random numbers");
                let turn = usize::try_from(number).unwrap_or(0) % clients.len();
                let client = Arc::clone(&clients[turn]);
                sent.insert(signed.id(), Instant::now());
                under_way.spawn(async move {
                    let answer = client.submit_and_wait(&signed, PATIENCE).await;
                    (Instant::now(), answer.map_err(|error| error.to_string()))
                });
            }
            Some(done) = under_way.join_next() => note(done, &sent, told),
        }
    }
    while let Some(done) = under_way.join_next().await {
        note(done, &sent, told);
    }
}

/// When somebody was told, and what.
type Done = (Instant, Result<TransactionInfo, String>);

fn note(
    done: Result<Done, tokio::task::JoinError>,
    sent: &BTreeMap<TransactionId, Instant>,
    told: &Mutex<Told>,
) {
    let (at, answer) = done.expect("no task is cancelled");
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    match answer {
        Ok(info) => {
            let outcome = info.receipt.map(|receipt| receipt.outcome);
            if matches!(outcome, Some(Outcome::Applied { .. })) {
                told.acknowledged.push(Acknowledged {
                    id: info.id,
                    height: info.height.expect("a final transaction is in a block"),
                    sent: sent[&info.id],
                    told: at,
                });
            } else {
                told.failed
                    .push(format!("{} ended with {outcome:?}", info.id));
            }
        }
        Err(error) => told.failed.push(error),
    }
}

/// To a recipient of its own each time.
fn grant(contract: ContractId, number: u64) -> Call {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let recipient: AccountId = SecretKey::from_seed(&seed).account();
    let expires_at = Millis(clock().0.saturating_add(GRANT_MS));
    TransactionBuilder::invoke(contract, "grant_access", (recipient, expires_at).encode())
}
