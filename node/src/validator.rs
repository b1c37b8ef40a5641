//! The validator's loop body: events in, promises made durable, effects out.
//!
//! [`Validator::turn`] takes what has happened since the last turn, lets the replica judge it,
//! proposes what waits, writes every promise of the turn to the vote log with one sync, and only
//! then hands out what is to be sent and executed. It reads no clock and knows no socket.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chancery_consensus::{
    Action, Event, Evidence, Halted, Now, Overview, Record, Replica, SignedMessage, SingleRecord,
    Wish,
};
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, ChainLimits, Millis, Slot, ValidatorIndex, Verified};
use parity_scale_codec::Encode;

use crate::pool::Pool;
use crate::store::{VoteLog, VoteLogError};

/// The vote log is rewritten, with live records only, once it is longer and half of it is dead.
const VOTE_LOG_BYTES_BEFORE_COMPACTION: u64 = 64 * 1024 * 1024;

/// A transaction that was not executed this long after it was relayed is relayed again, to all.
const RELAY_AGAIN_AFTER: Millis = Millis(1_000);

/// How often such transactions are looked for.
const RELAY_INTERVAL: Millis = Millis(100);

/// The most transactions relayed again at once.
const RELAY_AGAIN_MAX: usize = 64;

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
    /// A transaction of a client of ours that is not executed yet, to every other validator.
    Relay(Verified<SignedTransaction>),
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
    /// Somebody said two things of which it may say one.
    Evidence(Box<Evidence>),
    /// This validator must not go on: stop.
    Halt(Halted),
}

/// A replica with its vote log and the pool it proposes from.
#[derive(Debug)]
pub struct Validator {
    replica: Replica,
    vote_log: VoteLog,
    live: LiveRecords,
    pool: Arc<Pool>,
    limits: ChainLimits,
    /// When the last batch was proposed or executed, in monotonic time.
    last_work: Millis,
    /// When transactions to relay were last looked for, in monotonic time.
    last_relay: Millis,
}

impl Validator {
    /// A validator whose replica was restored from `records`, and what it says first.
    ///
    /// # Errors
    /// If the vote log cannot be written: the process must end.
    pub fn new(
        (replica, first): (Replica, Vec<Action>),
        (vote_log, records): (VoteLog, Vec<Record>),
        pool: Arc<Pool>,
        limits: ChainLimits,
        now: Now,
    ) -> Result<(Self, Vec<Effect>), VoteLogError> {
        let mut live = LiveRecords::default();
        for record in &records {
            live.add(record, record.encode());
        }
        let last_work = now.since_start;
        let mut validator = Self {
            replica,
            vote_log,
            live,
            pool,
            limits,
            last_work,
            last_relay: last_work,
        };
        let effects = validator.carry_out(first)?;
        Ok((validator, effects))
    }

    /// One turn of the loop.
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
        for _ in 0..self.limits.window_slots {
            let Some(batch) = self.proposal(now) else {
                break;
            };
            self.last_work = now.since_start;
            actions.extend(self.replica.step(now, Event::Propose(Arc::new(batch))));
        }
        let mut effects = self.carry_out(actions)?;
        if now.since_start.since(self.last_relay) >= RELAY_INTERVAL {
            self.last_relay = now.since_start;
            let due = self
                .pool
                .due_for_relay(now.since_start, RELAY_AGAIN_AFTER, RELAY_AGAIN_MAX);
            effects.extend(due.into_iter().map(Effect::Relay));
        }
        Ok(effects)
    }

    /// What there is to show about the replica.
    #[must_use]
    pub fn overview(&self) -> Overview {
        self.replica.overview()
    }

    /// The batch to propose now, if any: at once when nothing is in flight or a slot became free,
    /// else when a batch is full; an empty one after the heartbeat.
    fn proposal(&self, now: Now) -> Option<Verified<Batch>> {
        let wish = self.replica.proposal_wish();
        let waiting = match wish {
            Wish::None => return None,
            Wish::IfFull => return self.full_batch(now),
            Wish::Now => self.pool.take_batch(now.clock, &self.limits),
        };
        let idle = now.since_start.since(self.last_work).0 >= self.limits.heartbeat_ms;
        waiting.or_else(|| {
            idle.then(|| {
                Batch::of_verified(now.clock, Vec::new(), &self.limits)
                    .expect("no limit refuses a batch without transactions")
            })
        })
    }

    fn full_batch(&self, now: Now) -> Option<Verified<Batch>> {
        let full = self.pool.fills_a_batch(&self.limits);
        full.then(|| self.pool.take_batch(now.clock, &self.limits))
            .flatten()
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
                Action::Final(certificate) => {
                    // The store takes it along with a later block; what is dropped now rests on it.
                    promises.push(Record::Certificate(certificate.clone()));
                    Effect::Final(certificate)
                }
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
        self.live
            .promises
            .retain(|(slot, _)| *slot > truncate_through);
        self.compact_if_due()?;
        Ok(effects)
    }

    fn compact_if_due(&mut self) -> Result<(), VoteLogError> {
        let records = self.live.records();
        let live: u64 = records.iter().map(|bytes| bytes.len() as u64).sum();
        if self.vote_log.len_bytes() < VOTE_LOG_BYTES_BEFORE_COMPACTION.max(2 * live) {
            return Ok(());
        }
        self.vote_log.compact(&records)
    }
}

/// The records that the vote log must keep.
#[derive(Debug, Default)]
struct LiveRecords {
    /// Those of which only the newest of its kind counts.
    single: BTreeMap<SingleRecord, Vec<u8>>,
    /// Oldest first.
    promises: VecDeque<(Slot, Vec<u8>)>,
}

impl LiveRecords {
    fn add(&mut self, record: &Record, bytes: Vec<u8>) {
        if let Some(kind) = record.single() {
            self.single.insert(kind, bytes);
        } else if let Some(slot) = record.slot() {
            self.promises.push_back((slot, bytes));
        }
    }

    fn records(&self) -> Vec<&[u8]> {
        let promises = self.promises.iter().map(|(_, bytes)| bytes);
        self.single
            .values()
            .chain(promises)
            .map(Vec::as_slice)
            .collect()
    }
}
