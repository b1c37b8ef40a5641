//! The two threads of a validator: one owns the replica and its vote log, one makes the blocks.
//! They talk through channels; a disk that fails ends the process.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use chancery_consensus::{Divergence, Event, Halted, Overview, SignedMessage};
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::state_tree::StateTree;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, Height, Millis, ValidatorIndex, Verified, View};
use parity_scale_codec::Encode as _;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, trace, warn};

use crate::executor::Executed;
use crate::handle::{NodeHandle, Progress};
use crate::network::{Lane, Place};
use crate::store::storage_failed;
use crate::validator::{Effect, Validator};
use crate::wire::BulkMessage;
use crate::worker::{Outcome, Work, Worker};

/// The most events that one turn takes, so that promises do not wait long for their sync.
const EVENTS_PER_TURN_MAX: usize = 512;

/// How often the overview for people is made.
const OVERVIEW_INTERVAL: Millis = Millis(100);

/// How often a validator that stops because of its key says why, and how long it waits in between.
const LAST_WORDS_TIMES: usize = 16;
const LAST_WORDS_PAUSE: Duration = Duration::from_millis(250);

/// What the validator's thread receives.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all values are the large variant"
)]
#[derive(Debug)]
pub(crate) enum Input {
    /// Something happened.
    Event {
        /// What.
        event: Event,
        /// The place in its quota of the peer it came from, held until the event is taken.
        place: Option<Place>,
    },
    /// Time passed, or there may be something to propose.
    Wake,
    /// The node stops.
    Stop,
}

/// What the executor's thread receives.
#[derive(Debug)]
pub(crate) enum Job {
    /// Something to do.
    Work(Work),
    /// Write what is kept back and end.
    Stop,
}

/// The validator's thread: turns until the channel of events closes.
pub(crate) struct ValidatorThread {
    pub(crate) validator: Validator,
    pub(crate) handle: Arc<NodeHandle>,
    pub(crate) inputs: mpsc::Receiver<Input>,
    pub(crate) work: std_mpsc::Sender<Job>,
    /// Takes the batches with code that this validator proposes.
    pub(crate) proposed: mpsc::UnboundedSender<Arc<Verified<Batch>>>,
    pub(crate) overview: watch::Sender<Arc<Overview>>,
    pub(crate) progress: Arc<watch::Sender<Progress>>,
    /// Told why, if the process must end because its key must not be used here.
    pub(crate) unsafe_key: Option<oneshot::Sender<String>>,
}

impl ValidatorThread {
    /// Carries out `first`, then one turn after the other.
    pub(crate) fn run(mut self, first: Vec<Effect>) {
        let mut halted = self.carry_out(first);
        let mut shown = Millis(0);
        let mut stop = false;
        while !stop {
            let Some(input) = self.inputs.blocking_recv() else {
                break;
            };
            let mut events = Vec::new();
            let mut next = Some(input);
            while let Some(input) = next {
                match input {
                    Input::Event { event, place } => {
                        drop(place);
                        events.push(event);
                    }
                    Input::Wake => {}
                    Input::Stop => stop = true,
                }
                let is_full = stop || events.len() >= EVENTS_PER_TURN_MAX;
                next = (!is_full).then(|| self.inputs.try_recv().ok()).flatten();
            }
            // The executor halts by itself where catching up shows that it diverged.
            halted |= self.progress.borrow().halted.is_some();
            if !halted {
                halted = self.turn(events, &mut shown);
            }
        }
        // The executor may have ended already.
        let _ = self.work.send(Job::Stop);
    }

    /// One turn; true if this validator must stop taking part.
    fn turn(&mut self, events: Vec<Event>, shown: &mut Millis) -> bool {
        let now = self.handle.clock.now();
        let effects = match self.validator.turn(now, events) {
            Ok(effects) => effects,
            Err(error) => storage_failed(&error),
        };
        // Whoever hands in a transaction is to know the new primary at once.
        let entered = |effect: &Effect| matches!(effect, Effect::EnteredView(_));
        let is_due = now.since_start.since(*shown) >= OVERVIEW_INTERVAL;
        if is_due || effects.iter().any(entered) {
            *shown = now.since_start;
            self.overview
                .send_replace(Arc::new(self.validator.overview()));
        }
        self.carry_out(effects)
    }

    /// Carries out the effects of a turn; true if this validator must stop taking part.
    fn carry_out(&mut self, effects: Vec<Effect>) -> bool {
        let network = Arc::clone(&self.handle.network);
        let mut last_words: Arc<[u8]> = Arc::new([]);
        for effect in effects {
            match effect {
                Effect::Broadcast(message) => {
                    trace_vote(&message);
                    last_words = message.encode().into();
                    network.broadcast(Lane::Votes, &last_words);
                }
                Effect::Send { to, message } => {
                    trace_vote(&message);
                    network.send(to, Lane::Votes, message.encode().into());
                }
                Effect::BroadcastBatch(batch) => {
                    network.broadcast(Lane::Bulk, &batch_frame(&batch));
                    if batch.brings_code() {
                        // The receiver is gone only while the node stops.
                        let _ = self.proposed.send(batch);
                    }
                }
                Effect::SendBatch { to, batch } => {
                    network.send(to, Lane::Bulk, batch_frame(&batch))
                }
                Effect::RelayToAll(transactions) => {
                    network.broadcast(Lane::Bulk, &transactions_frame(transactions));
                }
                Effect::RelayTo {
                    primary,
                    transactions,
                } => network.send(primary, Lane::Bulk, transactions_frame(transactions)),
                Effect::EnteredView(view) => self.on_view(view),
                Effect::Evidence(evidence) => {
                    let context = &self.handle.intake.context;
                    self.handle.evidence.keep(&evidence, context);
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
                    let tip = self.progress.borrow().height;
                    let through = certificate.statement.height;
                    let now = self.handle.clock.now().since_start;
                    let from = self.reachable(from, &certificate);
                    let session = &self.handle.intake.catch_up;
                    if let Some(question) = session.begin(now, tip, from, certificate) {
                        info!(%tip, %through, peer = question.to.0, "catching up");
                        network.send(question.to, Lane::Bulk, question.message.to_frame());
                    }
                }
                Effect::Halt(halted) => {
                    self.halt(&halted, &last_words);
                    return true;
                }
            }
        }
        false
    }

    fn on_view(&self, view: View) {
        self.handle.metrics.view_entered();
        let overview = self.handle.overview.borrow();
        info!(
            view = view.0,
            primary = overview.primary.0,
            because = ?overview.left_because,
            "another view is active"
        );
    }

    /// With its last words the core tells others of the process that has the same key. The two push
    /// each other's connections out, so that it takes a few times until enough have heard.
    fn halt(&mut self, halted: &Halted, last_words: &Arc<[u8]>) {
        let reason = reason(halted);
        match halted {
            Halted::Diverged(_) => halt(&self.progress, &reason),
            Halted::KeyUsedTwice { .. } | Halted::Forgot { .. } => {
                error!(
                    reason,
                    "this validator's key must not be used here: the node stops"
                );
                self.progress
                    .send_modify(|progress| progress.halted = Some(reason.clone()));
                for _ in 0..LAST_WORDS_TIMES {
                    self.handle.network.broadcast(Lane::Votes, last_words);
                    std::thread::sleep(LAST_WORDS_PAUSE);
                }
                if let Some(unsafe_key) = self.unsafe_key.take() {
                    // The node may be stopping already.
                    let _ = unsafe_key.send(reason);
                }
            }
        }
    }

    /// `first`, or another cosigner if there is no connection to it: right after a start, what is
    /// sent to most of them is lost.
    fn reachable(
        &self,
        first: ValidatorIndex,
        certificate: &CheckpointCertificate,
    ) -> ValidatorIndex {
        let peers = self.handle.network.peers();
        let is_connected = |index: ValidatorIndex| {
            let mut connected = peers.iter().filter(|peer| peer.connected);
            connected.any(|peer| peer.index == index)
        };
        let cosigners = certificate.cosignatures.iter().map(|c| c.validator);
        let mut candidates = std::iter::once(first).chain(cosigners);
        candidates
            .find(|index| is_connected(*index))
            .unwrap_or(first)
    }

    fn order(&self, work: Work) {
        // The executor ends before this thread only while the node stops.
        let _ = self.work.send(Job::Work(work));
    }
}

/// The line by which a trace of the process tells that a vote was about to leave.
fn trace_vote(message: &SignedMessage) {
    if let Some((kind, ballot)) = message.body.vote() {
        trace!(?kind, slot = ballot.slot.0, "handing out a vote");
    }
}

/// Why a validator stops taking part, in words.
fn reason(halted: &Halted) -> String {
    match halted {
        Halted::Diverged(Divergence { own, certificate }) => format!(
            "at height {} a quorum certified root {}, executed here was {}",
            own.height, certificate.statement.root, own.root
        ),
        Halted::KeyUsedTwice { incarnation } => format!(
            "another process takes part with this validator's key (its number is {incarnation:016x})"
        ),
        Halted::Forgot { message } => format!(
            "the others hold a {} of this validator that its vote log does not know: the log is older than its votes, or another process uses the key",
            message.body.kind()
        ),
    }
}

fn transactions_frame(transactions: Vec<Verified<SignedTransaction>>) -> Arc<[u8]> {
    let transactions = transactions.into_iter().map(Verified::into_inner);
    BulkMessage::Transactions(transactions.collect()).to_frame()
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
    pub(crate) worker: Worker,
    pub(crate) handle: Arc<NodeHandle>,
    pub(crate) work: std_mpsc::Receiver<Job>,
    pub(crate) progress: Arc<watch::Sender<Progress>>,
    pub(crate) state: watch::Sender<StateTree>,
    /// When our clients' transactions of blocks not yet final had arrived.
    pub(crate) arrivals: BTreeMap<Height, Vec<Millis>>,
}

impl ExecutorThread {
    /// Works in order until told to stop.
    pub(crate) fn run(mut self) {
        while let Ok(Job::Work(work)) = self.work.recv() {
            if let Work::Final(certificate) = &work {
                self.on_final(certificate.statement.height);
            }
            let began = self.handle.clock.now().since_start;
            let outcomes = match self.worker.carry_out(work) {
                Ok(outcomes) => outcomes,
                Err(error) => storage_failed(&error),
            };
            let took = self.handle.clock.now().since_start.since(began);
            self.state.send_replace(self.worker.state_tree());
            for outcome in outcomes {
                match outcome {
                    Outcome::Block { block, arrivals } => self.after_block(&block, arrivals, took),
                    Outcome::Tell(event) => self.tell(event),
                    Outcome::Send { to, message } => {
                        let network = &self.handle.network;
                        network.send(to, Lane::Bulk, message.to_frame());
                    }
                    Outcome::Lied { peer, error } => {
                        warn!(peer = peer.0, %error, "a validator served what does not verify");
                    }
                    Outcome::Joined { height } => {
                        self.progress
                            .send_modify(|progress| progress.height = height);
                        info!(%height, "joined by a snapshot");
                    }
                    Outcome::Halt(reason) => return halt(&self.progress, &reason),
                }
            }
        }
        if let Err(error) = self.worker.stop() {
            storage_failed(&error);
        }
    }

    fn after_block(&mut self, block: &Executed, arrivals: Vec<Millis>, took: Millis) {
        let height = block.header.height;
        if !arrivals.is_empty() {
            self.arrivals.insert(height, arrivals);
        }
        let now = self.handle.clock.now().since_start;
        self.handle.intake.offers.close_idle(now);
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

    fn on_final(&mut self, height: Height) {
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
        let input = Input::Event { event, place: None };
        let _ = self.handle.inputs.blocking_send(input);
    }
}
