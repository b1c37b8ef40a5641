//! Verified transactions that wait to be ordered.
//!
//! Bounded in number, bytes and per sender; the oldest go first. An entry leaves when its block is
//! executed or when it has expired, never because another arrived.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{AccountId, Batch, ChainLimits, Millis, TransactionId, Verified};
use parity_scale_codec::Encode as _;

/// Bytes of a batch that are not transactions: its time and their count.
const BATCH_OVERHEAD_BYTES: usize = 16;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Transactions.
    pub transactions_max: usize,
    /// Bytes of their encodings.
    pub bytes_max: usize,
    /// Transactions of one sender.
    pub per_sender_max: usize,
}

/// Why a transaction was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It waits already.
    #[error("the transaction is already waiting")]
    Repeated,
    /// Too many, or too many bytes.
    #[error(
        "{transactions} transactions ({bytes} bytes) are waiting, at most {transactions_max} ({bytes_max} bytes) may"
    )]
    Full {
        /// How many wait.
        transactions: usize,
        /// Their bytes.
        bytes: usize,
        /// The limit on their number.
        transactions_max: usize,
        /// The limit on their bytes.
        bytes_max: usize,
    },
    /// Too many of one sender.
    #[error("{waiting} transactions of this sender are waiting, at most {per_sender_max} may")]
    SenderFull {
        /// How many wait.
        waiting: usize,
        /// The limit.
        per_sender_max: usize,
    },
}

#[derive(Debug)]
struct Entry {
    signed: Verified<SignedTransaction>,
    bytes: usize,
    arrived: Millis,
    /// Already in a batch of ours that is being ordered.
    proposed: bool,
    /// When it was last sent to others; `None` for one that came from a peer, who will see to it.
    relayed: Option<Millis>,
}

#[derive(Debug, Default)]
struct Inner {
    by_arrival: BTreeMap<u64, Entry>,
    places: HashMap<TransactionId, u64>,
    per_sender: HashMap<AccountId, usize>,
    bytes: usize,
    arrivals: u64,
    unproposed: usize,
    unproposed_bytes: usize,
}

/// Who handed a transaction in, and so who sees to it that the primary hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client of this node.
    Client,
    /// Another validator.
    Peer,
}

/// The pool, shared by the API, the network and the validator.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    inner: Mutex<Inner>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock panics")
    }

    /// Takes a transaction; `now` is monotonic.
    ///
    /// # Errors
    /// The limit that it would break.
    pub fn insert(
        &self,
        now: Millis,
        origin: Origin,
        signed: Verified<SignedTransaction>,
    ) -> Result<(), PoolError> {
        let (id, bytes, sender) = (
            signed.id(),
            signed.encoded_size(),
            signed.transaction.sender,
        );
        let PoolLimits {
            transactions_max,
            bytes_max,
            per_sender_max,
        } = self.limits;
        let mut inner = self.lock();
        if inner.places.contains_key(&id) {
            return Err(PoolError::Repeated);
        }
        if inner.places.len() >= transactions_max || inner.bytes + bytes > bytes_max {
            return Err(PoolError::Full {
                transactions: inner.places.len(),
                bytes: inner.bytes,
                transactions_max,
                bytes_max,
            });
        }
        let waiting = inner.per_sender.get(&sender).copied().unwrap_or(0);
        if waiting >= per_sender_max {
            return Err(PoolError::SenderFull {
                waiting,
                per_sender_max,
            });
        }
        let place = inner.arrivals;
        inner.arrivals += 1;
        inner.places.insert(id, place);
        inner.per_sender.insert(sender, waiting + 1);
        inner.bytes += bytes;
        inner.unproposed += 1;
        inner.unproposed_bytes += bytes;
        let relayed = (origin == Origin::Client).then_some(now);
        inner.by_arrival.insert(
            place,
            Entry {
                signed,
                bytes,
                arrived: now,
                proposed: false,
                relayed,
            },
        );
        Ok(())
    }

    /// Whether the transaction waits here.
    #[must_use]
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.lock().places.contains_key(id)
    }

    /// How many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().places.len()
    }

    /// Since when the oldest one waits, in monotonic time.
    #[must_use]
    pub fn oldest(&self) -> Option<Millis> {
        self.lock()
            .by_arrival
            .first_key_value()
            .map(|(_, entry)| entry.arrived)
    }

    /// Whether those not yet proposed would fill a batch.
    #[must_use]
    pub fn fills_a_batch(&self, limits: &ChainLimits) -> bool {
        let inner = self.lock();
        inner.unproposed >= limits.batch_transactions_max as usize
            || inner.unproposed_bytes + BATCH_OVERHEAD_BYTES >= limits.batch_bytes_max as usize
    }

    /// The oldest transactions not yet proposed, as many as fit into one batch proposed at
    /// `clock`; they count as proposed from now on. `None` where there are none.
    #[must_use]
    pub fn take_batch(&self, clock: Millis, limits: &ChainLimits) -> Option<Verified<Batch>> {
        let mut chosen = Vec::new();
        let (mut bytes, mut fuel) = (BATCH_OVERHEAD_BYTES, 0_u64);
        let mut inner = self.lock();
        if inner.unproposed == 0 {
            return None;
        }
        let (mut taken, mut taken_bytes) = (0, 0);
        for entry in inner
            .by_arrival
            .values_mut()
            .filter(|entry| !entry.proposed)
        {
            let transaction = &entry.signed.transaction;
            let latest = clock.0.saturating_add(limits.valid_for_ms_max);
            if transaction.valid_until <= clock || transaction.valid_until.0 > latest {
                continue;
            }
            // One that no batch has room for must not hold up those behind it.
            if BATCH_OVERHEAD_BYTES + entry.bytes > limits.batch_bytes_max as usize {
                continue;
            }
            fuel = fuel.saturating_add(transaction.fuel_max.0);
            bytes += entry.bytes;
            if chosen.len() >= limits.batch_transactions_max as usize
                || bytes > limits.batch_bytes_max as usize
                || fuel > limits.batch_fuel_max
            {
                break;
            }
            entry.proposed = true;
            taken += 1;
            taken_bytes += entry.bytes;
            chosen.push(entry.signed.clone());
        }
        inner.unproposed -= taken;
        inner.unproposed_bytes -= taken_bytes;
        drop(inner);
        if chosen.is_empty() {
            return None;
        }
        let batch = Batch::of_verified(clock, chosen, limits)
            .expect("every limit of a batch was kept above, and no id stands in the pool twice");
        Some(batch)
    }

    /// Forgets transactions that were executed. Returns when those of our clients had arrived.
    pub fn remove(&self, ids: impl IntoIterator<Item = TransactionId>) -> Vec<Millis> {
        let mut inner = self.lock();
        let mut arrivals = Vec::new();
        for id in ids {
            let place = inner.places.get(&id).copied();
            if let Some(entry) = place.and_then(|place| inner.forget(place)) {
                arrivals.extend(entry.relayed.is_some().then_some(entry.arrived));
            }
        }
        arrivals
    }

    /// Forgets what can no longer be admitted after a block of time `block_time`.
    pub fn remove_expired(&self, block_time: Millis) {
        let mut inner = self.lock();
        let expired: Vec<u64> = inner
            .by_arrival
            .iter()
            .filter(|(_, entry)| entry.signed.transaction.valid_until <= block_time)
            .map(|(place, _)| *place)
            .collect();
        for place in expired {
            inner.forget(place);
        }
    }

    /// Transactions of our clients that were not executed within `after` of the last time they
    /// were relayed: at most `count_max` of them, to be relayed again.
    #[must_use]
    pub fn due_for_relay(
        &self,
        now: Millis,
        after: Millis,
        count_max: usize,
    ) -> Vec<Verified<SignedTransaction>> {
        let mut inner = self.lock();
        inner
            .by_arrival
            .values_mut()
            .filter(|entry| {
                entry
                    .relayed
                    .is_some_and(|relayed| now.since(relayed) >= after)
            })
            .take(count_max)
            .map(|entry| {
                entry.relayed = Some(now);
                entry.signed.clone()
            })
            .collect()
    }
}

impl Inner {
    fn forget(&mut self, place: u64) -> Option<Entry> {
        let entry = self.by_arrival.remove(&place)?;
        self.places.remove(&entry.signed.id());
        self.bytes -= entry.bytes;
        if !entry.proposed {
            self.unproposed -= 1;
            self.unproposed_bytes -= entry.bytes;
        }
        let sender = entry.signed.transaction.sender;
        if let Some(count) = self.per_sender.get_mut(&sender) {
            *count -= 1;
            if *count == 0 {
                self.per_sender.remove(&sender);
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use chancery_ledger::{AccountId, Call, ChainId, Fuel, SecretKey, Transaction};

    use super::*;

    const LIMITS: PoolLimits = PoolLimits {
        transactions_max: 3,
        bytes_max: 10_000,
        per_sender_max: 2,
    };

    fn transaction(seed: u8, salt: u64, valid_until: u64) -> Verified<SignedTransaction> {
        let key = SecretKey::from_seed(&[seed; 32]);
        let call = Call::Admit {
            account: AccountId([7; 32]),
            roles: Vec::new(),
        };
        Transaction {
            chain: ChainId::default(),
            sender: key.account(),
            salt,
            valid_until: Millis(valid_until),
            fuel_max: Fuel(1),
            call,
        }
        .sign(&key)
        .verify(ChainId::default(), &ChainLimits::default())
        .expect("well-formed")
    }

    #[test]
    fn each_limit_refuses_by_its_own_name() {
        let pool = Pool::new(LIMITS);
        let insert =
            |seed, salt| pool.insert(Millis(0), Origin::Client, transaction(seed, salt, 9));
        assert_eq!(insert(1, 1), Ok(()));
        assert_eq!(insert(1, 1), Err(PoolError::Repeated));
        assert_eq!(insert(1, 2), Ok(()));
        assert_eq!(
            insert(1, 3),
            Err(PoolError::SenderFull {
                waiting: 2,
                per_sender_max: 2
            })
        );
        assert_eq!(insert(2, 1), Ok(()));
        assert!(matches!(
            insert(3, 1),
            Err(PoolError::Full {
                transactions: 3,
                ..
            })
        ));
    }

    #[test]
    fn a_batch_takes_the_oldest_first_and_each_only_once() {
        let pool = Pool::new(LIMITS);
        let limits = ChainLimits {
            batch_transactions_max: 2,
            ..ChainLimits::default()
        };
        let all = [
            transaction(1, 1, 50),
            transaction(2, 1, 50),
            transaction(3, 1, 50),
        ];
        for signed in all.clone() {
            pool.insert(Millis(0), Origin::Client, signed)
                .expect("fits");
        }
        assert!(pool.fills_a_batch(&limits));
        let first = pool.take_batch(Millis(10), &limits).expect("three wait");
        assert_eq!(
            first.transactions,
            [&all[0], &all[1]].map(|signed| (**signed).clone())
        );
        assert!(!pool.fills_a_batch(&limits));
        let second = pool.take_batch(Millis(10), &limits).expect("one waits");
        assert_eq!(second.transactions.len(), 1);
        assert!(pool.take_batch(Millis(10), &limits).is_none());
        assert_eq!(
            pool.count(),
            3,
            "proposed ones stay until they are executed"
        );
        pool.remove(all.iter().map(|signed| signed.id()));
        assert_eq!(pool.count(), 0);
        let inner = pool.lock();
        assert_eq!((inner.bytes, inner.per_sender.len()), (0, 0));
    }

    #[test]
    fn what_expired_is_neither_proposed_nor_kept() {
        let pool = Pool::new(LIMITS);
        pool.insert(Millis(0), Origin::Client, transaction(1, 1, 10))
            .expect("fits");
        assert!(
            pool.take_batch(Millis(10), &ChainLimits::default())
                .is_none()
        );
        pool.remove_expired(Millis(9));
        assert_eq!(pool.count(), 1);
        pool.remove_expired(Millis(10));
        assert_eq!(pool.count(), 0);
    }

    #[test]
    fn only_what_clients_handed_in_is_relayed_again() {
        let pool = Pool::new(LIMITS);
        pool.insert(Millis(0), Origin::Client, transaction(1, 1, 50))
            .expect("fits");
        pool.insert(Millis(0), Origin::Peer, transaction(2, 1, 50))
            .expect("fits");
        assert!(pool.due_for_relay(Millis(5), Millis(10), 9).is_empty());
        assert_eq!(pool.due_for_relay(Millis(10), Millis(10), 9).len(), 1);
        assert!(pool.due_for_relay(Millis(11), Millis(10), 9).is_empty());
    }
}
