//! Verified transactions that wait to be ordered.
//!
//! Bounded in number, bytes and per sender; the oldest go first. An entry leaves when its block is
//! executed or when it has expired, never because another arrived. What one sender has waiting may
//! burn no more than some batches: that long others may have to wait behind it.
//!
//! The pool also knows what it takes to see to it that a transaction is ordered whoever the primary
//! is: which ones a primary has been told of, which ones are in batches that are being ordered, and
//! for how long they have waited.
//!
//! What brings code is counted apart. A batch has room for one great deployment, or some small ones,
//! because everybody compiles them, as a rule before they vote; and a primary has one such batch
//! under way at a time, and a second only where nothing else is. So what else waits goes on
//! meanwhile, and a queue of deployments is no backlog that would accuse a primary of dawdling.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{AccountId, Batch, ChainLimits, Millis, TransactionId, Verified};
use parity_scale_codec::Encode as _;

use crate::neglect::Ordered;

/// Bytes of a batch that are not transactions: its time and their count.
const BATCH_OVERHEAD_BYTES: usize = 16;

/// Everybody hears of a transaction again after so many times the first wait.
const RELAY_AGAIN_FACTOR: u64 = 4;

/// So many times the fuel of a batch may be declared by what one sender has waiting, without code.
const BATCHES_PER_SENDER: u64 = 4;

/// Transactions of one sender that bring code and wait: whoever has one deployed waits for theirs.
const CODE_PER_SENDER_MAX: usize = 16;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Transactions.
    pub transactions_max: usize,
    /// Bytes of their encodings.
    pub bytes_max: usize,
    /// Transactions of one sender.
    pub per_sender_max: usize,
    /// Fuel that transactions of one sender declare, but for those that bring code.
    pub fuel_per_sender_max: u64,
}

impl PoolLimits {
    /// What one sender's transactions may declare, on a ledger with these limits.
    #[must_use]
    pub fn fuel_per_sender_max(limits: &ChainLimits) -> u64 {
        limits.batch_fuel_max.saturating_mul(BATCHES_PER_SENDER)
    }
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
    /// Together, those of one sender may burn too much.
    #[error(
        "transactions of this sender that declare {waiting} fuel are waiting, with this one it would be more than {fuel_per_sender_max}"
    )]
    SenderBurnsTooMuch {
        /// What those that wait declare.
        waiting: u64,
        /// The limit.
        fuel_per_sender_max: u64,
    },
    /// Too many of one sender that bring code.
    #[error(
        "{CODE_PER_SENDER_MAX} deployments and upgrades of this sender are waiting, no more may"
    )]
    SenderCodeFull,
}

#[derive(Debug)]
struct Entry {
    signed: Verified<SignedTransaction>,
    bytes: usize,
    brings_code: bool,
    arrived: Millis,
    /// Already in a batch that is being ordered.
    proposed: bool,
    origin: Origin,
    /// Which primary has been told by this node, as a number that grows with each change.
    told: u64,
    /// When it goes to everybody.
    to_all_at: Millis,
}

impl Entry {
    fn fuel(&self) -> u64 {
        self.signed.transaction.fuel_max.0
    }
}

/// So many, with so many bytes, that declare so much fuel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    transactions: usize,
    bytes: usize,
    fuel: u64,
}

/// Amounts of what brings code, and of what does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amounts {
    plain: Amount,
    code: Amount,
}

impl Amounts {
    fn of(&mut self, brings_code: bool) -> &mut Amount {
        if brings_code {
            &mut self.code
        } else {
            &mut self.plain
        }
    }

    fn add(&mut self, entry: &Entry) {
        let amount = self.of(entry.brings_code);
        amount.transactions += 1;
        amount.bytes += entry.bytes;
        amount.fuel += entry.fuel();
    }

    fn subtract(&mut self, entry: &Entry) {
        let amount = self.of(entry.brings_code);
        amount.transactions -= 1;
        amount.bytes -= entry.bytes;
        amount.fuel -= entry.fuel();
    }

    fn bytes(&self) -> usize {
        self.plain.bytes + self.code.bytes
    }

    fn total(&self) -> usize {
        self.plain.transactions + self.code.transactions
    }
}

#[derive(Debug, Default)]
struct Inner {
    by_arrival: BTreeMap<u64, Entry>,
    places: HashMap<TransactionId, u64>,
    per_sender: HashMap<AccountId, Amounts>,
    waiting: Amounts,
    unproposed: Amounts,
    arrivals: u64,
    /// How many primaries there have been.
    term: u64,
    /// Executed since [`Pool::take_ordered`].
    ordered: Ordered,
    /// How often [`Pool::remove`] was called.
    removals: u64,
}

/// Who handed a transaction in. A node tells each primary of what its own clients handed in, and
/// everybody after a while. Whoever handed on another one does so, too, unless it is gone: what waits
/// for very long goes to everybody wherever it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client of this node.
    Client,
    /// Another validator.
    Peer,
}

/// How a block came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// PBFT ordered its batch.
    Ordered,
    /// It was fetched, because this validator was behind.
    Fetched,
}

/// What waits and could be ordered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// When the oldest one arrived, in monotonic time.
    pub oldest: Option<Millis>,
    /// Everything in the pool that brings no code, also what is in a batch already.
    pub transactions: usize,
    /// Bytes of their encodings.
    pub bytes: usize,
}

/// The pool, shared by the API, the network and the validator.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    /// How long a transaction waits for the primary alone before everybody hears of it; each
    /// further time takes [`RELAY_AGAIN_FACTOR`] times as long.
    relay_after: Millis,
    inner: Mutex<Inner>,
}

impl Pool {
    /// An empty pool. What our clients hand in goes to everybody once it has waited for
    /// `relay_after`.
    #[must_use]
    pub fn new(limits: PoolLimits, relay_after: Millis) -> Self {
        Self {
            limits,
            relay_after,
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
            fuel_per_sender_max,
        } = self.limits;
        let mut inner = self.lock();
        let wait = match origin {
            Origin::Client => self.relay_after,
            Origin::Peer => self.relay_again_after(),
        };
        let to_all_at = now.saturating_add(wait);
        if let Some(place) = inner.places.get(&id).copied() {
            if let Some(entry) = inner.by_arrival.get_mut(&place)
                && origin == Origin::Client
            {
                // Now it is this node that answers for it.
                entry.origin = origin;
                entry.to_all_at = entry.to_all_at.min(to_all_at);
            }
            return Err(PoolError::Repeated);
        }
        if inner.places.len() >= transactions_max || inner.waiting.bytes() + bytes > bytes_max {
            return Err(PoolError::Full {
                transactions: inner.places.len(),
                bytes: inner.waiting.bytes(),
                transactions_max,
                bytes_max,
            });
        }
        let waiting = inner.per_sender.get(&sender).copied().unwrap_or_default();
        if waiting.total() >= per_sender_max {
            return Err(PoolError::SenderFull {
                waiting: waiting.total(),
                per_sender_max,
            });
        }
        let brings_code = signed.transaction.call.code().is_some();
        let fuel = waiting.plain.fuel;
        let with_this = fuel.saturating_add(signed.transaction.fuel_max.0);
        if !brings_code && with_this > fuel_per_sender_max {
            return Err(PoolError::SenderBurnsTooMuch {
                waiting: fuel,
                fuel_per_sender_max,
            });
        }
        if brings_code && waiting.code.transactions >= CODE_PER_SENDER_MAX {
            return Err(PoolError::SenderCodeFull);
        }
        let place = inner.arrivals;
        inner.arrivals += 1;
        inner.places.insert(id, place);
        let entry = Entry {
            bytes,
            brings_code,
            signed,
            arrived: now,
            proposed: false,
            origin,
            told: inner.term,
            to_all_at,
        };
        inner.per_sender.entry(sender).or_default().add(&entry);
        inner.waiting.add(&entry);
        inner.unproposed.add(&entry);
        inner.by_arrival.insert(place, entry);
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

    /// What waits and could be ordered by a primary whose clock is within `margin` of `clock`: a
    /// validity that a correct primary may find over, or too long, accuses nobody.
    #[must_use]
    pub fn backlog(&self, clock: Millis, margin: Millis, limits: &ChainLimits) -> Backlog {
        let earliest = clock.saturating_add(margin);
        let latest = clock.0.saturating_add(limits.valid_for_ms_max);
        let could_be_ordered = |entry: &&Entry| {
            let valid_until = entry.signed.transaction.valid_until;
            let fits = BATCH_OVERHEAD_BYTES + entry.bytes <= limits.batch_bytes_max as usize;
            fits && valid_until > earliest && valid_until.saturating_add(margin).0 <= latest
        };
        let inner = self.lock();
        let oldest = inner.by_arrival.values().find(could_be_ordered);
        Backlog {
            oldest: oldest.map(|entry| entry.arrived),
            transactions: inner.waiting.plain.transactions,
            bytes: inner.waiting.plain.bytes,
        }
    }

    /// Whether those not yet proposed would fill a batch, also without those that bring code.
    #[must_use]
    pub fn fills_a_batch(&self, limits: &ChainLimits) -> bool {
        let Amount {
            transactions,
            bytes,
            ..
        } = self.lock().unproposed.plain;
        transactions >= limits.batch_transactions_max as usize
            || bytes + BATCH_OVERHEAD_BYTES >= limits.batch_bytes_max as usize
    }

    /// The oldest transactions not yet proposed, as many as fit into one batch proposed at
    /// `clock`; they count as proposed from now on. `None` where there are none. Those that bring
    /// code are left where they are unless `with_code`.
    #[must_use]
    pub fn take_batch(
        &self,
        clock: Millis,
        with_code: bool,
        limits: &ChainLimits,
    ) -> Option<Verified<Batch>> {
        let mut chosen = Vec::new();
        let (mut bytes, mut fuel, mut code_fuel) = (BATCH_OVERHEAD_BYTES, 0_u64, 0_u64);
        let mut inner = self.lock();
        let Inner {
            by_arrival,
            unproposed,
            ..
        } = &mut *inner;
        if unproposed.plain.transactions == 0 && (!with_code || unproposed.code.transactions == 0) {
            return None;
        }
        for entry in by_arrival.values_mut().filter(|entry| !entry.proposed) {
            let transaction = &entry.signed.transaction;
            let latest = clock.0.saturating_add(limits.valid_for_ms_max);
            if transaction.valid_until <= clock || transaction.valid_until.0 > latest {
                continue;
            }
            // One that no batch has room for must not hold up those behind it.
            if BATCH_OVERHEAD_BYTES + entry.bytes > limits.batch_bytes_max as usize {
                continue;
            }
            if entry.brings_code {
                let with_this = code_fuel.saturating_add(transaction.fuel_max.0);
                if !with_code || with_this > limits.transaction_fuel_max {
                    continue;
                }
                code_fuel = with_this;
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
            unproposed.subtract(entry);
            chosen.push(entry.signed.clone());
        }
        drop(inner);
        if chosen.is_empty() {
            return None;
        }
        let batch = Batch::of_verified(clock, chosen, limits)
            .expect("every limit of a batch was kept above, and no id stands in the pool twice");
        Some(batch)
    }

    /// Forgets the transactions of a block's batch: those that were executed and those that were
    /// dropped. Returns when the executed ones of our clients had arrived.
    pub fn remove(
        &self,
        source: Source,
        executed: impl IntoIterator<Item = TransactionId>,
        dropped: impl IntoIterator<Item = TransactionId>,
    ) -> Vec<Millis> {
        let mut inner = self.lock();
        inner.removals += 1;
        let mut arrivals = Vec::new();
        for id in executed {
            let entry = inner.forget_id(&id);
            if source == Source::Ordered {
                inner.ordered.transactions += 1;
                let arrived = entry.as_ref().map(|entry| entry.arrived);
                let oldest = &mut inner.ordered.oldest;
                *oldest = [*oldest, arrived].into_iter().flatten().min();
            }
            let of_client = entry.filter(|entry| entry.origin == Origin::Client);
            arrivals.extend(of_client.map(|entry| entry.arrived));
        }
        for id in dropped {
            inner.forget_id(&id);
        }
        arrivals
    }

    /// How often something was removed. Whoever looks at the newest state before and inserts after
    /// has to look again if this has changed in between.
    #[must_use]
    pub fn removals(&self) -> u64 {
        self.lock().removals
    }

    /// Forgets one transaction.
    pub fn forget(&self, id: &TransactionId) {
        self.lock().forget_id(id);
    }

    /// What was executed since this was asked last.
    #[must_use]
    pub fn take_ordered(&self) -> Ordered {
        std::mem::take(&mut self.lock().ordered)
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

    /// Another validator is the primary: none of our clients' transactions counts as known to it,
    /// and only what is in `open`, the batches still being ordered, counts as proposed.
    pub fn on_new_primary<'a>(&self, open: impl IntoIterator<Item = &'a Batch>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.term += 1;
        let in_batches = open.into_iter().flat_map(|batch| &batch.transactions);
        let places = in_batches.filter_map(|signed| inner.places.get(&signed.id()));
        let proposed: BTreeSet<u64> = places.copied().collect();
        inner.unproposed = Amounts::default();
        for (place, entry) in &mut inner.by_arrival {
            entry.proposed = proposed.contains(place);
            if !entry.proposed {
                inner.unproposed.add(entry);
            }
        }
    }

    /// Transactions of our clients that the present primary has not been told of, the oldest first,
    /// at most `bytes_max` bytes of them (or one); from now on they count as told.
    #[must_use]
    pub fn due_for_primary(&self, bytes_max: usize) -> Vec<Verified<SignedTransaction>> {
        let mut inner = self.lock();
        let term = inner.term;
        let is_due = move |entry: &mut Entry| {
            let is_ours = entry.origin == Origin::Client;
            let due = is_ours && !entry.proposed && entry.told < term;
            if due {
                entry.told = term;
            }
            due
        };
        take_within(&mut inner, bytes_max, is_due)
    }

    /// Transactions that have not been proposed, as far as known here, although it is time that
    /// everybody hears of them: the oldest first, at most `bytes_max` bytes of them (or one).
    #[must_use]
    pub fn due_for_all(&self, now: Millis, bytes_max: usize) -> Vec<Verified<SignedTransaction>> {
        let again_at = now.saturating_add(self.relay_again_after());
        let is_due = |entry: &mut Entry| {
            let due = !entry.proposed && entry.to_all_at <= now;
            if due {
                entry.to_all_at = again_at;
            }
            due
        };
        take_within(&mut self.lock(), bytes_max, is_due)
    }

    fn relay_again_after(&self) -> Millis {
        self.relay_after.saturating_mul(RELAY_AGAIN_FACTOR)
    }
}

/// The oldest entries that `is_due` marks, as many as fit into `bytes_max`; at least one.
fn take_within(
    inner: &mut Inner,
    bytes_max: usize,
    is_due: impl Fn(&mut Entry) -> bool,
) -> Vec<Verified<SignedTransaction>> {
    let mut bytes = 0;
    let mut taken = Vec::new();
    for entry in inner.by_arrival.values_mut() {
        if !taken.is_empty() && bytes + entry.bytes > bytes_max {
            break;
        }
        if is_due(entry) {
            bytes += entry.bytes;
            taken.push(entry.signed.clone());
        }
    }
    taken
}

impl Inner {
    fn forget_id(&mut self, id: &TransactionId) -> Option<Entry> {
        let place = *self.places.get(id)?;
        self.forget(place)
    }

    fn forget(&mut self, place: u64) -> Option<Entry> {
        let entry = self.by_arrival.remove(&place)?;
        self.places.remove(&entry.signed.id());
        self.waiting.subtract(&entry);
        if !entry.proposed {
            self.unproposed.subtract(&entry);
        }
        let sender = entry.signed.transaction.sender;
        if let Some(of_sender) = self.per_sender.get_mut(&sender) {
            of_sender.subtract(&entry);
            if *of_sender == Amounts::default() {
                self.per_sender.remove(&sender);
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
