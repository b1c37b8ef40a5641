//! The validator's loop body: events in, promises made durable, effects out.
//!
//! [`Validator::turn`] takes what has happened since the last turn, lets the replica judge it,
//! proposes what waits, writes every promise of the turn to the vote log with one sync, and only
//! then hands out what is to be sent and executed. It reads no clock and knows no socket.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chancery_consensus::{
    Action, Config, Demand, Event, Evidence, Halted, Mode, Now, Overview, Record, Replica,
    SignedMessage, SingleRecord, Wish,
};
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, ChainLimits, Millis, Slot, ValidatorIndex, Verified, View};
use parity_scale_codec::Encode;

use crate::neglect::{Waiting, Watch};
use crate::pool::Pool;
use crate::store::{VoteLog, VoteLogError};

/// The replica is told of the time no more often than this, however many turns there are.
const TICK_INTERVAL: Millis = Millis(20);

/// How often transactions to relay are looked for, and how many bytes of them go out at once, if a
/// batch may have as many: the lane for batches has room for little more, and the oldest ones are
/// enough to show that they are neglected.
const RELAY_INTERVAL: Millis = Millis(100);
const RELAY_TO_ALL_BYTES_MAX: usize = 16 * 1024;
const RELAY_TO_PRIMARY_BYTES_MAX: usize = 512 * 1024;

/// What is to be done once every promise of a turn is durable, in this order.
#[derive(Debug)]
pub enum Effect {
    /// To every other validator.
    Broadcast(SignedMessage),
    /// To one validator.
    Send {
        /// Which.
        to: ValidatorIndex,
        /// What.
        message: SignedMessage,
    },
    /// A batch to every other validator.
    BroadcastBatch(Arc<Verified<Batch>>),
    /// A batch to one validator.
    SendBatch {
        /// Which.
        to: ValidatorIndex,
        /// What.
        batch: Arc<Verified<Batch>>,
    },
    /// Transactions of clients of ours that are not executed yet, to every other validator.
    RelayToAll(Vec<Verified<SignedTransaction>>),
    /// The same, to the primary of a view that is new here.
    RelayTo {
        /// The primary.
        primary: ValidatorIndex,
        /// What waits.
        transactions: Vec<Verified<SignedTransaction>>,
    },
    /// Another view is active.
    EnteredView(View),
    /// Proof that a validator lied: to be kept.
    Evidence(Box<Evidence>),
    /// The batch of the next slot is committed: make its block.
    Execute {
        /// Which slot.
        slot: Slot,
        /// Its batch.
        batch: Arc<Verified<Batch>>,
    },
    /// Everything up to this height is final.
    Final(CheckpointCertificate),
    /// Fetch blocks up to the certified height.
    CatchUp {
        /// Who has them.
        from: ValidatorIndex,
        /// What certifies them.
        certificate: CheckpointCertificate,
    },
    /// This validator must not go on.
    Halt(Halted),
}

/// A replica with its vote log and the pool it proposes from.
#[derive(Debug)]
pub struct Validator {
    replica: Replica,
    vote_log: VoteLog,
    live: LiveRecords,
    pool: Arc<Pool>,
    own: ValidatorIndex,
    limits: ChainLimits,
    view_timeout: Millis,
    /// Judges the primary.
    watch: Watch,
    /// The view that was active after the last turn.
    view: View,
    /// When the last batch was proposed or executed, in monotonic time.
    last_work: Millis,
    /// When the replica was last told of the time.
    last_tick: Millis,
    /// When transactions to relay were last looked for.
    last_relay: Millis,
}

impl Validator {
    /// A validator whose replica was restored from `records`, and what it says first. `config` is
    /// the replica's.
    ///
    /// # Errors
    /// If the vote log cannot be written: the process must end.
    pub fn new(
        (replica, first): (Replica, Vec<Action>),
        (vote_log, records): (VoteLog, Vec<Record>),
        pool: Arc<Pool>,
        config: &Config,
        now: Now,
    ) -> Result<(Self, Vec<Effect>), VoteLogError> {
        let live = LiveRecords::of(&records);
        let since = now.since_start;
        let mut validator = Self {
            view: replica.view(),
            replica,
            vote_log,
            live,
            pool,
            own: config.own,
            limits: config.limits.clone(),
            view_timeout: config.view_timeout,
            watch: Watch::new(config.view_timeout, since),
            last_work: since,
            last_tick: since,
            last_relay: since,
        };
        let effects = validator.carry_out(first)?;
        Ok((validator, effects))
    }

    /// One turn of the loop: at least every 50 ms, with whatever has happened since.
    ///
    /// # Errors
    /// If the vote log cannot be written: the process must end, and nothing of the turn is sent.
    pub fn turn(&mut self, now: Now, events: Vec<Event>) -> Result<Vec<Effect>, VoteLogError> {
        let mut actions = Vec::new();
        for event in events {
            if let Event::Executed(_) = event {
                self.last_work = now.since_start;
            }
            actions.extend(self.replica.step(now, event));
        }
        if now.since_start.since(self.last_tick) >= TICK_INTERVAL {
            let demand = self.demand(now);
            actions.extend(self.replica.step(now, Event::Tick(demand)));
        }
        let entered = self.enter_view(now.since_start);
        for _ in 0..self.limits.window_slots {
            let Some(batch) = self.proposal(now) else {
                break;
            };
            self.last_work = now.since_start;
            actions.extend(self.replica.step(now, Event::Propose(Arc::new(batch))));
        }
        let mut effects = self.carry_out(actions)?;
        effects.extend(entered.map(Effect::EnteredView));
        if entered.is_some() || now.since_start.since(self.last_relay) >= RELAY_INTERVAL {
            self.last_relay = now.since_start;
            self.relay(now.since_start, &mut effects);
        }
        Ok(effects)
    }

    /// What the primary is to be told that it should do, and whether it does.
    fn demand(&mut self, now: Now) -> Demand {
        let (since_start, clock) = (now.since_start, now.clock);
        let paused = since_start.since(self.last_tick).0 > self.view_timeout.0 / 2;
        self.last_tick = since_start;
        if paused || self.replica.is_behind() {
            self.watch.excuse(since_start);
        }
        self.watch.on_ordered(since_start, self.pool.take_ordered());
        // Clocks differ; by less than a view takes, mostly.
        let margin = Millis(self.view_timeout.0.min(self.limits.valid_for_ms_max / 8));
        let waiting = self.pool.backlog(clock, margin, &self.limits);
        let open = self.replica.open_batches();
        let in_flight: usize = open.iter().map(|batch| batch.transactions.len()).sum();
        let batches_in_flight = open.len();
        let full = self.limits.batch_transactions_max as usize;
        let full_bytes = self.limits.batch_bytes_max as usize;
        let neglect = self.watch.judge(
            since_start,
            Waiting {
                oldest: waiting.oldest,
                backlog: waiting.transactions >= in_flight + full
                    || waiting.bytes / full_bytes > batches_in_flight,
            },
        );
        match neglect {
            _ if waiting.oldest.is_none() => Demand::Nothing,
            Some(neglect) if self.replica.primary() != self.own => Demand::Neglected(neglect),
            _ => Demand::Waiting,
        }
    }

    /// After a view change: what was proposed in the old view and not carried over waits again.
    fn enter_view(&mut self, now: Millis) -> Option<View> {
        let view = self.replica.view();
        // One that is only wanted has not begun.
        if view == self.view || self.replica.overview().mode == Mode::Changing {
            return None;
        }
        self.view = view;
        self.watch.on_view(now);
        let open = self.replica.open_batches();
        self.pool.on_new_primary(open.iter().map(|batch| &***batch));
        Some(view)
    }

    /// Sees to it that others hear of what our clients handed in: a new primary at once,
    /// everybody after a while.
    fn relay(&self, now: Millis, effects: &mut Vec<Effect>) {
        let primary = self.replica.primary();
        let bytes_max = |most: usize| most.min(self.limits.batch_bytes_max as usize);
        let transactions = self
            .pool
            .due_for_primary(bytes_max(RELAY_TO_PRIMARY_BYTES_MAX));
        if primary != self.own && !transactions.is_empty() {
            effects.push(Effect::RelayTo {
                primary,
                transactions,
            });
        }
        let transactions = self
            .pool
            .due_for_all(now, bytes_max(RELAY_TO_ALL_BYTES_MAX));
        if !transactions.is_empty() {
            effects.push(Effect::RelayToAll(transactions));
        }
    }

    /// What there is to show about the replica.
    #[must_use]
    pub fn overview(&self) -> Overview {
        self.replica.overview()
    }

    /// How many records the vote log must keep.
    #[must_use]
    pub fn records(&self) -> usize {
        self.live.records().len()
    }

    /// The batch to propose now, if any: at once when nothing is in flight or a slot became free,
    /// else when a batch is full; an empty one after the heartbeat.
    fn proposal(&self, now: Now) -> Option<Verified<Batch>> {
        let waiting = match self.replica.proposal_wish() {
            Wish::None => return None,
            Wish::IfFull if self.pool.fills_a_batch(&self.limits) => return self.take_batch(now),
            Wish::IfFull => return None,
            Wish::Now => self.take_batch(now),
        };
        let idle = now.since_start.since(self.last_work).0 >= self.limits.heartbeat_ms;
        waiting.or_else(|| {
            idle.then(|| {
                Batch::of_verified(now.clock, Vec::new(), &self.limits)
                    .expect("no limit refuses a batch without transactions")
            })
        })
    }

    /// What waits; code only if none waits to be executed, so that not much else waits behind it. Or
    /// if nothing else is under way: a primary that is a little slower than others goes on.
    fn take_batch(&self, now: Now) -> Option<Verified<Batch>> {
        let open = self.replica.open_batches();
        let with_code =
            self.replica.is_nearly_idle() || !open.iter().any(|batch| batch.brings_code());
        self.pool.take_batch(now.clock, with_code, &self.limits)
    }

    /// Makes the promises durable, all with one sync, and returns the rest in order. Promises may
    /// come earlier than asked, never later.
    fn carry_out(&mut self, actions: Vec<Action>) -> Result<Vec<Effect>, VoteLogError> {
        let mut effects = Vec::new();
        let mut promises = Vec::new();
        let mut truncate_through = Slot(0);
        for action in actions {
            effects.push(match action {
                Action::Persist(record) => {
                    promises.push(record);
                    continue;
                }
                Action::Truncate { through } => {
                    truncate_through = through;
                    continue;
                }
                Action::Final(certificate) => Effect::Final(certificate),
                Action::Broadcast(message) => Effect::Broadcast(message),
                Action::Send { to, message } => Effect::Send { to, message },
                Action::BroadcastBatch(batch) => Effect::BroadcastBatch(batch),
                Action::SendBatch { to, batch } => Effect::SendBatch { to, batch },
                Action::Execute { slot, batch } => Effect::Execute { slot, batch },
                Action::CatchUp { from, certificate } => Effect::CatchUp { from, certificate },
                Action::Evidence(evidence) => Effect::Evidence(evidence),
                Action::Halt(halted) => Effect::Halt(halted),
            });
        }
        if !promises.is_empty() {
            let encoded: Vec<Vec<u8>> = promises.iter().map(Encode::encode).collect();
            let records: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
            self.vote_log.append_all(&records)?;
            for (record, bytes) in promises.iter().zip(encoded) {
                self.live.add(record, bytes);
            }
        }
        self.live.truncate(truncate_through);
        self.compact_if_due()?;
        Ok(effects)
    }

    fn compact_if_due(&mut self) -> Result<(), VoteLogError> {
        let records = self.live.records();
        let live: u64 = records.iter().map(|bytes| bytes.len() as u64).sum();
        if self.vote_log.is_worth_compacting(live) {
            self.vote_log.compact(&records)?;
        }
        Ok(())
    }
}

/// The records that the vote log must keep.
#[derive(Debug, Default)]
struct LiveRecords {
    /// The newest ones of kinds that are about no slot. They come first in a rewritten log:
    /// whatever may go, may go because of them.
    newest: BTreeMap<SingleRecord, Vec<u8>>,
    /// Oldest first.
    promises: VecDeque<(Slot, Vec<u8>)>,
}

impl LiveRecords {
    /// Of what a log has.
    fn of(records: &[Record]) -> Self {
        let mut live = Self::default();
        let mut certified = Slot(0);
        for record in records {
            live.add(record, record.encode());
            if let Some(certificate) = record.certificate() {
                certified = certified.max(certificate.statement.height.into());
            }
        }
        // What was truncated is in the log until that is compacted. Such a record came before each.
        live.truncate(certified);
        live
    }

    fn add(&mut self, record: &Record, bytes: Vec<u8>) {
        if let Some(kind) = record.single() {
            self.newest.insert(kind, bytes);
        } else if let Some(slot) = record.slot() {
            self.promises.push_back((slot, bytes));
        }
    }

    fn truncate(&mut self, through: Slot) {
        self.promises.retain(|(slot, _)| *slot > through);
    }

    fn records(&self) -> Vec<&[u8]> {
        let promises = self.promises.iter().map(|(_, bytes)| bytes);
        self.newest
            .values()
            .chain(promises)
            .map(Vec::as_slice)
            .collect()
    }
}

#[cfg(test)]
mod tests;
