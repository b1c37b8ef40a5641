//! The two threads of a validator: one owns the replica and its vote log, one makes the blocks.
//! They talk through channels; a disk that fails ends the process.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc as std_mpsc};

use chancery_consensus::{Divergence, Event, Overview, SignedMessage};
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::{Batch, Height, Millis, Slot, ValidatorIndex, Verified};
use parity_scale_codec::Encode as _;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, trace, warn};

use crate::catch_up::Next;
use crate::executor::{CatchUpError, Executed, Executor};
use crate::handle::{NodeHandle, Progress};
use crate::network::Lane;
use crate::store::storage_failed;
use crate::validator::{Effect, Validator};
use crate::wire::{BlockRange, BulkMessage};

/// The most events that one turn takes, so that promises do not wait long for their sync.
const EVENTS_PER_TURN_MAX: usize = 512;

/// How often the overview for people is made.
const OVERVIEW_INTERVAL: Millis = Millis(100);

/// A transaction that was not executed this long after it was relayed is relayed again, to all.
const RELAY_AGAIN_AFTER: Millis = Millis(1_000);

/// The most transactions relayed again in one turn.
const RELAY_AGAIN_MAX: usize = 64;

/// What the validator's thread receives.
#[expect(
    clippy::large_enum_variant,
    reason = "all values but the last one are the large variant"
)]
#[derive(Debug)]
pub(crate) enum Input {
    /// Something happened.
    Event(Event),
    /// The node stops.
    Stop,
}

/// What the executor is asked to do, in order.
#[derive(Debug)]
pub(crate) enum Work {
    /// Make the block of a committed batch.
    Execute {
        slot: Slot,
        batch: Arc<Verified<Batch>>,
    },
    /// Execute blocks that a peer sent.
    CatchUp {
        from: ValidatorIndex,
        range: BlockRange,
    },
    /// A checkpoint became final.
    Final(CheckpointCertificate),
    /// Write what is kept back and end.
    Stop,
}

/// The validator's thread: turns until the channel of events closes.
pub(crate) struct ValidatorThread {
    pub(crate) validator: Validator,
    pub(crate) handle: Arc<NodeHandle>,
    pub(crate) inputs: mpsc::Receiver<Input>,
    pub(crate) work: std_mpsc::Sender<Work>,
    pub(crate) overview: watch::Sender<Arc<Overview>>,
    pub(crate) progress: Arc<watch::Sender<Progress>>,
}

impl ValidatorThread {
    /// Carries out `first`, then one turn after the other.
    pub(crate) fn run(mut self, first: Vec<Effect>) {
        let mut halted = self.carry_out(first);
        let mut shown = Millis(0);
        while let Some(Input::Event(event)) = self.inputs.blocking_recv() {
            let mut events = vec![event];
            let mut stop = false;
            while events.len() < EVENTS_PER_TURN_MAX && !stop {
                match self.inputs.try_recv() {
                    Ok(Input::Event(event)) => events.push(event),
                    Ok(Input::Stop) => stop = true,
                    Err(_) => break,
                }
            }
            // The executor halts by itself where catching up shows that it diverged.
            halted |= self.progress.borrow().halted.is_some();
            if !halted {
                halted = self.turn(events, &mut shown);
            }
            if stop {
                break;
            }
        }
        // The executor may have ended already.
        let _ = self.work.send(Work::Stop);
    }

    /// One turn; true if this validator must stop taking part.
    fn turn(&mut self, events: Vec<Event>, shown: &mut Millis) -> bool {
        let now = self.handle.clock.now();
        let halted = match self.validator.turn(now, events) {
            Ok(effects) => self.carry_out(effects),
            Err(error) => storage_failed(&error),
        };
        if now.since_start.since(*shown) >= OVERVIEW_INTERVAL {
            *shown = now.since_start;
            self.overview
                .send_replace(Arc::new(self.validator.overview()));
            self.relay_again(now.since_start);
        }
        halted
    }

    /// Carries out the effects of a turn; true if this validator must stop taking part.
    fn carry_out(&self, effects: Vec<Effect>) -> bool {
        let network = &self.handle.network;
        for effect in effects {
            match effect {
                Effect::Broadcast(message) => {
                    trace_vote(&message);
                    network.broadcast(Lane::Votes, &message.encode().into());
                }
                Effect::Send { to, message } => {
                    trace_vote(&message);
                    network.send(to, Lane::Votes, message.encode().into());
                }
                Effect::BroadcastBatch(batch) => {
                    network.broadcast(Lane::Bulk, &batch_frame(&batch));
                }
                Effect::SendBatch { to, batch } => {
                    network.send(to, Lane::Bulk, batch_frame(&batch))
                }
                Effect::Execute { slot, batch } => self.order(Work::Execute { slot, batch }),
                Effect::Final(certificate) => {
                    let height = certificate.statement.height;
                    self.progress.send_modify(|progress| {
                        progress.final_height = progress.final_height.max(height);
                        progress.certificate = Some(certificate.clone());
                    });
                    self.order(Work::Final(certificate));
                }
                Effect::CatchUp { from, certificate } => {
                    let after = self.progress.borrow().height;
                    let through = certificate.statement.height;
                    info!(%after, %through, peer = from.0, "fetching blocks");
                    self.handle.catch_up.begin(from, certificate);
                    let request = BulkMessage::BlocksRequest { after, through };
                    network.send(from, Lane::Bulk, request.to_frame());
                }
                Effect::Halt(divergence) => {
                    let Divergence { own, certificate } = divergence;
                    let certified = certificate.statement.root;
                    let reason = format!(
                        "at height {} a quorum certified root {certified}, executed here was {}",
                        own.height, own.root
                    );
                    halt(&self.progress, &reason);
                    return true;
                }
            }
        }
        false
    }

    fn order(&self, work: Work) {
        // The executor ends before this thread only while the node stops.
        let _ = self.work.send(work);
    }

    fn relay_again(&self, now: Millis) {
        let due = self
            .handle
            .pool
            .due_for_relay(now, RELAY_AGAIN_AFTER, RELAY_AGAIN_MAX);
        for signed in due {
            let frame = BulkMessage::Transaction(signed.into_inner()).to_frame();
            self.handle.network.broadcast(Lane::Bulk, &frame);
        }
    }
}

/// The line by which a trace of the process tells that a vote was about to leave.
fn trace_vote(message: &SignedMessage) {
    if let Some((kind, ballot)) = message.body.vote() {
        trace!(?kind, slot = ballot.slot.0, "handing out a vote");
    }
}

fn batch_frame(batch: &Verified<Batch>) -> Arc<[u8]> {
    BulkMessage::Batch((**batch).clone()).to_frame()
}

fn halt(progress: &watch::Sender<Progress>, reason: &str) {
    error!(
        reason,
        "this validator disagrees with a certified checkpoint and takes no further part"
    );
    progress.send_modify(|progress| progress.halted = Some(reason.to_owned()));
}

/// The executor's thread.
pub(crate) struct ExecutorThread {
    pub(crate) executor: Executor,
    pub(crate) handle: Arc<NodeHandle>,
    pub(crate) work: std_mpsc::Receiver<Work>,
    pub(crate) progress: Arc<watch::Sender<Progress>>,
    /// When our clients' transactions of blocks not yet final had arrived.
    pub(crate) arrivals: BTreeMap<Height, Vec<Millis>>,
}

impl ExecutorThread {
    /// Works in order until told to stop.
    pub(crate) fn run(mut self) {
        while let Ok(work) = self.work.recv() {
            match work {
                Work::Execute { slot, batch } => self.execute(slot, &batch),
                Work::CatchUp { from, range } => {
                    if !self.catch_up(from, range) {
                        return;
                    }
                }
                Work::Final(certificate) => self.on_final(certificate),
                Work::Stop => break,
            }
        }
        if let Err(error) = self.executor.flush_certificates() {
            storage_failed(&error);
        }
    }

    fn execute(&mut self, slot: Slot, batch: &Batch) {
        let next = self.executor.tip().height.next();
        if slot.height() < next {
            // Catching up was faster than PBFT, and the replica was told so.
            return;
        }
        assert_eq!(slot.height(), next, "batches are executed in slot order");
        let began = self.handle.clock.now().since_start;
        match self.executor.execute(batch) {
            Ok(executed) => {
                let took = self.handle.clock.now().since_start.since(began);
                let statement = executed.statement.clone();
                self.after_block(&executed, took);
                self.tell(Event::Executed(statement));
            }
            Err(error) => storage_failed(&error),
        }
    }

    /// False if this validator must stop making blocks.
    fn catch_up(&mut self, from: ValidatorIndex, range: BlockRange) -> bool {
        let blocks = match self.executor.catch_up(range) {
            Ok(blocks) => blocks,
            Err(CatchUpError::Range(error)) => {
                warn!(peer = from.0, %error, "a validator served blocks that do not verify");
                self.handle.catch_up.abandon();
                return true;
            }
            Err(error @ CatchUpError::Diverged { .. }) => {
                halt(&self.progress, &error.to_string());
                return false;
            }
            Err(CatchUpError::Store(error)) => storage_failed(&error),
        };
        for block in &blocks {
            self.after_block(block, Millis(0));
        }
        if !blocks.is_empty() {
            self.tell(Event::Executed(self.executor.statement()));
        }
        let after = self.executor.tip().height;
        match self.handle.catch_up.next(after) {
            Next::Ask { .. } if blocks.is_empty() => self.handle.catch_up.abandon(),
            Next::Ask { from, through } => {
                let request = BulkMessage::BlocksRequest { after, through };
                self.handle
                    .network
                    .send(from, Lane::Bulk, request.to_frame());
            }
            Next::CaughtUp(certificate) => {
                self.executor.keep_certificate(certificate.clone());
                self.tell(Event::CaughtUp {
                    certificate,
                    executed: self.executor.statement(),
                });
            }
            Next::Nothing => {}
        }
        true
    }

    fn after_block(&mut self, block: &Executed, took: Millis) {
        let height = block.header.height;
        let ids = block.receipts.iter().map(|receipt| receipt.transaction);
        let dropped = block.dropped.iter().map(|(id, _)| *id);
        let arrivals = self.handle.pool.remove(ids.chain(dropped));
        self.handle.pool.remove_expired(block.header.time);
        if !arrivals.is_empty() {
            self.arrivals.insert(height, arrivals);
        }
        self.handle.metrics.block_executed(height, &block.receipts);
        self.progress
            .send_modify(|progress| progress.height = height);
        info!(
            %height,
            transactions = block.receipts.len(),
            dropped = block.dropped.len(),
            took_ms = took.0,
            "block"
        );
    }

    fn on_final(&mut self, certificate: CheckpointCertificate) {
        let height = certificate.statement.height;
        self.executor.keep_certificate(certificate);
        let later = self.arrivals.split_off(&height.next());
        let now = self.handle.clock.now().since_start;
        for arrived in std::mem::replace(&mut self.arrivals, later)
            .into_values()
            .flatten()
        {
            self.handle.metrics.transaction_final(now.since(arrived));
        }
    }

    fn tell(&self, event: Event) {
        // The validator ends before this thread only while the node stops.
        let _ = self.handle.inputs.blocking_send(Input::Event(event));
    }
}
