//! The world around processes: virtual time, one queue of what happens next, and everything that
//! goes wrong. One seed gives one course of events.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_consensus::{
    Body, Context, Now, Overview, SignedMessage, VerifiedMessage, message_bytes_max,
};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Height, Millis, TransactionId, ValidatorIndex, Verified};
use parity_scale_codec::Encode as _;

use crate::byzantine::{Liar, Mouth};
use crate::fixture::START_MS;
use crate::network::Network;
use crate::node::{Deed, Frame, Input, Node, Observation, Outbox};
use crate::oracle::{Oracle, Rule};
use crate::random::Random;
use crate::schedule::Schedule;
use crate::spotlight::Spotlight;
use crate::trace::{Counters, Trace};

/// How often a process is told that time passes.
const TICK_MS: u64 = 50;
/// How often progress and bounds are looked at.
const WATCH_MS: u64 = 250;

/// Processes, the network among them, and an oracle that watches. Process i has validator i's key;
/// one more has a key twice, where there are twins.
#[derive(Debug)]
pub struct World<N: Node> {
    /// What the seed drew.
    pub schedule: Schedule,
    /// What must hold.
    pub oracle: Oracle,
    /// What happened.
    pub trace: Trace,
    /// How often.
    pub counters: Counters,
    pub(crate) processes: Vec<Process<N>>,
    pub(crate) network: Network,
    pub(crate) spotlight: Spotlight,
    pub(crate) random: Random,
    pub(crate) now_ms: u64,
    context: Context,
    message_bytes_max: usize,
    queue: BTreeMap<(u64, u64), Happening<N::Job>>,
    queued: u64,
    /// Messages that verify, by signature: each is verified once, however often it is sent.
    verified: BTreeMap<[u8; 64], Arc<VerifiedMessage>>,
    /// What clients hand in, one after the other.
    load: Vec<Arc<Verified<SignedTransaction>>>,
    pub(crate) handed_in: usize,
    pub(crate) healing: Option<Healing>,
    /// Since it was last looked whether everything is done.
    has_new_block: bool,
}

/// A validator's process.
#[derive(Debug)]
pub(crate) struct Process<N: Node> {
    pub(crate) node: N,
    pub(crate) key: ValidatorIndex,
    pub(crate) runs: bool,
    /// It stopped by itself, for good.
    pub(crate) halted: bool,
    /// It stands still until then.
    pub(crate) paused_until: Option<u64>,
    /// Counts starts: what was meant for an earlier process is lost.
    pub(crate) incarnation: u64,
    /// Its wall clock's distance from virtual time, in ms.
    pub(crate) clock_offset_ms: i64,
    /// Its clocks' speed, in thousandths.
    pub(crate) rate_per_mille: u64,
    /// It dies before it has done so many more deeds.
    pub(crate) dies_after: Option<u64>,
    /// When it will be started again.
    pub(crate) down_ms: u64,
    /// Its disk was wiped or rolled back and it has not recovered from that.
    pub(crate) damaged: bool,
    pub(crate) liar: Option<(Box<dyn Liar>, Mouth)>,
    /// The highest view it was seen in.
    pub(crate) view: u64,
    pub(crate) last_note: String,
    pub(crate) quarantined: bool,
    /// Since its disk was damaged.
    pub(crate) was_quarantined: bool,
    /// Since its start.
    pub(crate) view_changes_begun: u64,
    waiting: Vec<Input<N::Job>>,
}

/// What a client handed in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) id: TransactionId,
    valid_until: Millis,
}

impl Waiting {
    /// Whether it is to be executed still. Nobody executes it once block time is past what it is
    /// valid until, which a validator brings about whose clock is ahead, if there is no other one.
    pub(crate) fn is_owed(&self, oracle: &Oracle) -> bool {
        !oracle.has_executed(self.id) && self.valid_until > oracle.block_time()
    }
}

/// The second phase.
#[derive(Debug)]
pub(crate) struct Healing {
    pub(crate) since: u64,
    pub(crate) until: u64,
    /// Processes that must make progress.
    pub(crate) members: Vec<usize>,
    /// What they must have executed.
    pub(crate) height: Height,
    pub(crate) transactions: Vec<Waiting>,
    /// How many of them were owed when it was looked last.
    pub(crate) owed: usize,
    /// Whenever there are fewer, there is so much time for the next ones at least.
    pub(crate) block_ms: u64,
    /// The highest view that anybody honest had asked for.
    pub(crate) view: u64,
    /// Within so many more, the first new block must be there.
    pub(crate) views: u64,
    /// It is.
    pub(crate) moves: bool,
}

#[derive(Debug)]
enum Happening<J> {
    Input {
        process: usize,
        incarnation: u64,
        input: Input<J>,
    },
    Tick {
        process: usize,
        incarnation: u64,
    },
    Start(usize),
    Resume(usize),
    Fault(crate::faults::Fault),
    Client,
    Watch,
    Heal,
}

/// What is left of a process or of the whole when a world ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A quorum was healed and did what was expected of it.
    Progress,
    /// See [`Oracle::violation`].
    Violation,
}

impl<N: Node> World<N> {
    /// A world whose processes have the nodes that `make` gives. `hears_records`: whether the nodes
    /// tell what is durable.
    pub fn new(
        schedule: Schedule,
        context: Context,
        load: Vec<Arc<Verified<SignedTransaction>>>,
        keep_trace: bool,
        hears_records: bool,
        mut make: impl FnMut(&Schedule, ValidatorIndex) -> N,
    ) -> Self {
        let mut random = schedule.world.clone();
        let mut keys: Vec<ValidatorIndex> = (0..schedule.validators).map(ValidatorIndex).collect();
        keys.extend(schedule.twins.iter().map(|twin| twin.of));
        let mut processes: Vec<Process<N>> = keys
            .iter()
            .map(|key| Process::new(make(&schedule, *key), *key))
            .collect();
        for (index, kind) in &schedule.liars {
            let liar = kind.make(&mut random);
            let mouth = Mouth::new(*index, context.chain, &schedule, random.fork());
            processes[index.as_usize()].liar = Some((liar, mouth));
        }
        if schedule.faults.clock_rates {
            for process in &mut processes {
                process.rate_per_mille = random.between(950, 1050);
            }
        }
        let guilty = (0..schedule.validators)
            .map(|index| schedule.is_guilty(ValidatorIndex(index)))
            .collect();
        let oracle = Oracle::new(
            guilty,
            keys.iter().map(|key| key.as_usize()).collect(),
            schedule.quorum(),
            hears_records,
        );
        let mut network = Network::new(processes.len(), schedule.network, random.fork());
        network.cut_rounds(&schedule.rounds);
        Self {
            oracle,
            trace: Trace::new(processes.len(), keep_trace),
            counters: Counters::default(),
            network,
            spotlight: Spotlight::new(schedule.validators, processes.len()),
            random,
            now_ms: 0,
            message_bytes_max: message_bytes_max(usize::from(schedule.validators), schedule.window),
            context,
            queue: BTreeMap::new(),
            queued: 0,
            verified: BTreeMap::new(),
            load,
            handed_in: 0,
            healing: None,
            has_new_block: false,
            processes,
            schedule,
        }
    }

    /// Runs both phases.
    pub fn run(&mut self) -> End {
        let end = self.run_to_the_end();
        crate::notes::refusals(self);
        end
    }

    fn run_to_the_end(&mut self) -> End {
        self.begin();
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now_ms = at;
            self.oracle.at(at);
            self.happen(happening);
            if self.oracle.violation().is_some() {
                return End::Violation;
            }
            if std::mem::take(&mut self.has_new_block) && self.has_progressed() {
                return match self.oracle.violation() {
                    Some(_) => End::Violation,
                    None => End::Progress,
                };
            }
        }
        unreachable!("the watch goes on until the end");
    }

    fn begin(&mut self) {
        for process in 0..self.processes.len() {
            // Some start late.
            let late = self.random.percent(10);
            let after = if late { self.random.below(2_000) } else { 0 };
            self.push(after, Happening::Start(process));
        }
        for fault in crate::faults::first(&self.schedule) {
            let after = self.random.below(2 * fault.mean_ms(&self.schedule));
            self.push(after, Happening::Fault(fault));
        }
        self.push(self.schedule.chaos_ms, Happening::Heal);
        self.push(10, Happening::Client);
        self.push(WATCH_MS, Happening::Watch);
    }

    fn push(&mut self, after_ms: u64, happening: Happening<N::Job>) {
        let at = self.now_ms + after_ms;
        self.queue.insert((at, self.queued), happening);
        self.queued += 1;
    }

    fn happen(&mut self, happening: Happening<N::Job>) {
        match happening {
            Happening::Input {
                process,
                incarnation,
                input,
            } => {
                if self.processes[process].incarnation == incarnation {
                    self.give(process, input);
                }
            }
            Happening::Tick {
                process,
                incarnation,
            } => {
                if self.processes[process].incarnation == incarnation {
                    self.push(
                        TICK_MS,
                        Happening::Tick {
                            process,
                            incarnation,
                        },
                    );
                    if self.processes[process].paused_until.is_none() {
                        self.give(process, Input::Tick);
                        self.tick_liar(process);
                    }
                }
            }
            Happening::Start(process) => self.start(process),
            Happening::Resume(process) => self.resume(process),
            Happening::Fault(fault) => {
                if self.healing.is_none() {
                    let mean = fault.mean_ms(&self.schedule);
                    let after = 1 + self.random.below(2 * mean);
                    self.push(after, Happening::Fault(fault));
                    self.strike(fault);
                }
            }
            Happening::Client => {
                let every = self.schedule.transaction_every_ms;
                let after = 1 + self.random.below(2 * every);
                self.push(after, Happening::Client);
                let to = self.random.index(self.processes.len());
                self.submit_next(to);
            }
            Happening::Watch => {
                self.push(WATCH_MS, Happening::Watch);
                self.watch();
            }
            Happening::Heal => self.heal(),
        }
    }

    /// A client hands the next transaction to a process.
    pub(crate) fn submit_next(&mut self, to: usize) {
        let Some(transaction) = self.load.get(self.handed_in).cloned() else {
            return;
        };
        self.handed_in += 1;
        self.oracle.on_submitted(transaction.id());
        self.give(to, Input::Submit(Arc::clone(&transaction)));
        let percent = self.schedule.repeated_percent;
        if percent == 0 {
            return;
        }
        let earlier = Arc::clone(&self.load[self.random.index(self.handed_in)]);
        for again in [transaction, earlier] {
            if self.random.percent(percent) {
                self.counters.count("handed in again");
                let to = self.random.index(self.processes.len());
                self.give(to, Input::Submit(again));
            }
        }
    }

    /// Clients whose transactions were not executed hand them in again.
    pub(crate) fn submit_again(&mut self, to: usize) {
        for position in 0..self.handed_in {
            let transaction = Arc::clone(&self.load[position]);
            if !self.oracle.has_executed(transaction.id()) {
                self.give(to, Input::Submit(transaction));
            }
        }
    }

    /// What was handed in so far.
    pub(crate) fn handed_in(&self) -> impl Iterator<Item = Waiting> + '_ {
        let handed_in = self.load.iter().take(self.handed_in);
        handed_in.map(|signed| Waiting {
            id: signed.id(),
            valid_until: signed.transaction.valid_until,
        })
    }

    fn now_of(&self, process: usize) -> Now {
        let process = &self.processes[process];
        let elapsed = self.now_ms * process.rate_per_mille / 1000;
        // Once healed, clocks agree, but for a little.
        let shown = if self.healing.is_some() {
            self.now_ms
        } else {
            elapsed
        };
        let clock = (START_MS + shown).saturating_add_signed(process.clock_offset_ms);
        Now {
            since_start: Millis(1_000 + elapsed),
            clock: Millis(clock),
        }
    }

    pub(crate) fn start(&mut self, index: usize) {
        let process = &mut self.processes[index];
        if process.runs || process.halted {
            return;
        }
        process.runs = true;
        process.quarantined = false;
        process.view_changes_begun = 0;
        process.incarnation += 1;
        process.waiting.clear();
        let incarnation = process.incarnation;
        let hidden = self.is_hidden_twin(index);
        let shown = if hidden { 1 } else { self.random.draw() | 1 };
        self.trace.add(&[self.now_ms, index as u64, 1, incarnation]);
        self.trace.note(self.now_ms, index, || "START".to_owned());
        let after = self.random.below(TICK_MS);
        self.push(
            after,
            Happening::Tick {
                process: index,
                incarnation,
            },
        );
        let now = self.now_of(index);
        let mut out = Outbox::new(self.processes[index].dies_after.take());
        let executed = self.processes[index].node.executed().height;
        self.oracle.on_started(index, executed, shown);
        self.processes[index].node.start(now, shown, &mut out);
        self.do_deeds(index, out);
        self.oracle.on_disk_read(index);
    }

    pub(crate) fn pause(&mut self, index: usize, for_ms: u64) {
        let until = self.now_ms + for_ms;
        let process = &mut self.processes[index];
        if process.runs && process.paused_until.is_none() {
            process.paused_until = Some(until);
            self.trace
                .note(self.now_ms, index, || format!("PAUSE {for_ms}"));
            self.push(for_ms, Happening::Resume(index));
        }
    }

    pub(crate) fn resume(&mut self, index: usize) {
        let process = &mut self.processes[index];
        if process.paused_until.take().is_none() {
            return;
        }
        self.trace.note(self.now_ms, index, || "GO ON".to_owned());
        let waiting = std::mem::take(&mut self.processes[index].waiting);
        let incarnation = self.processes[index].incarnation;
        for input in waiting {
            if self.processes[index].incarnation != incarnation {
                return;
            }
            self.give(index, input);
        }
    }

    /// An input reaches a process, if it runs.
    fn give(&mut self, index: usize, input: Input<N::Job>) {
        let process = &mut self.processes[index];
        if !process.runs {
            return;
        }
        if process.paused_until.is_some() {
            process.waiting.push(input);
            return;
        }
        self.trace
            .add(&[self.now_ms, index as u64, 2, mark(&input)]);
        self.let_liar_hear(index, &input);
        if self.is_deaf_to(index, &input) {
            return;
        }
        if let Input::Message { from, message } = &input {
            self.oracle.on_heard(index, *from, message.message());
        }
        let now = self.now_of(index);
        let mut out = Outbox::new(self.processes[index].dies_after.take());
        self.processes[index].node.handle(now, input, &mut out);
        self.do_deeds(index, out);
    }

    fn is_hidden_twin(&self, index: usize) -> bool {
        let key = self.processes[index].key;
        let mut twins = self.schedule.twins.iter();
        twins.any(|twin| twin.hidden && twin.of == key)
    }

    /// Hidden twins do not listen to what is said under their own name.
    fn is_deaf_to(&self, index: usize, input: &Input<N::Job>) -> bool {
        let key = self.processes[index].key;
        let hidden = self.is_hidden_twin(index);
        let own = matches!(input, Input::Message { message, .. } if message.message().from == key);
        hidden && own
    }

    fn do_deeds(&mut self, index: usize, out: Outbox<N::Job>) {
        let is_dead = out.is_dead();
        // Fewer deeds were done than it was given: the rest is for its next turn.
        self.processes[index].dies_after = out.deeds_left().filter(|_| !is_dead);
        let key = self.processes[index].key;
        let incarnation = self.processes[index].incarnation;
        for deed in out.deeds {
            match deed {
                Deed::Send { to, frame } => {
                    if let Frame::Message(message) = &frame
                        && matches!(message.body, Body::NewView(_))
                    {
                        self.counters.count("NEW-VIEW served by status");
                    }
                    self.send(index, to, frame);
                }
                Deed::Broadcast(frame) => {
                    for to in 0..self.schedule.validators {
                        if ValidatorIndex(to) != key {
                            self.send(index, ValidatorIndex(to), frame.clone());
                        }
                    }
                }
                Deed::After { ms, job } => self.push(
                    ms,
                    Happening::Input {
                        process: index,
                        incarnation,
                        input: Input::Job(job),
                    },
                ),
                Deed::Observe(observation) => self.observe(index, *observation),
            }
        }
        if is_dead {
            self.bury(index);
        }
    }

    fn observe(&mut self, index: usize, observation: Observation) {
        crate::notes::observation(self, index, &observation);
        if let Observation::Evidence(evidence) = &observation
            && let Err(error) = evidence.verify(&self.context)
        {
            self.oracle.violate(Rule::FalseEvidence, || {
                format!("process {index} keeps evidence that proves nothing: {error}")
            });
        }
        self.oracle.observe(index, &observation);
        self.has_new_block |= matches!(
            observation,
            Observation::Executed { .. } | Observation::Joined(_)
        );
        if let Observation::Halted(_) = observation {
            self.processes[index].halted = true;
            self.processes[index].runs = false;
            self.processes[index].incarnation += 1;
        }
    }

    /// Kills a process at once.
    pub(crate) fn kill(&mut self, index: usize) {
        if self.processes[index].runs {
            self.bury(index);
        }
    }

    /// The process is dead; it will be started again.
    fn bury(&mut self, index: usize) {
        let process = &mut self.processes[index];
        process.runs = false;
        process.incarnation += 1;
        process.paused_until = None;
        process.waiting.clear();
        let after = process.down_ms;
        if process.node.died(&mut self.random) {
            self.counters.count("torn vote log recovered");
        }
        self.counters.count("crash");
        self.trace.note(self.now_ms, index, || "DEAD".to_owned());
        self.push(after, Happening::Start(index));
    }

    /// An honest process, or the one behind a liar, sends a frame.
    fn send(&mut self, index: usize, to: ValidatorIndex, frame: Frame) {
        if let Frame::Message(message) = &frame {
            self.oracle.on_sent(index, message);
            crate::notes::sent(self, index, message);
            let process = &self.processes[index];
            let is_own = message.from == process.key && process.liar.is_none();
            if is_own && self.spotlight.on_sent(self.now_ms, index, message) {
                self.counters.count("cut off when it had prepared");
            }
        }
        let Some((mut liar, mut mouth)) = self.processes[index].liar.take() else {
            return self.post(index, to, 0, frame);
        };
        mouth.now_ms = self.now_ms;
        liar.speak(&mut mouth, to, frame);
        self.put_back(index, liar, mouth);
    }

    fn let_liar_hear(&mut self, index: usize, input: &Input<N::Job>) {
        if self.processes[index].liar.is_none() {
            return;
        }
        let (from, frame) = match input {
            Input::Frame { from, frame } => (*from, frame.clone()),
            Input::Message { from, message } => {
                let message = Arc::new(message.message().clone());
                (*from, Frame::Message(message))
            }
            Input::Tick | Input::Submit(_) | Input::Job(_) => return,
        };
        let Some((mut liar, mut mouth)) = self.processes[index].liar.take() else {
            return;
        };
        mouth.now_ms = self.now_ms;
        liar.hear(&mut mouth, from, &frame);
        self.put_back(index, liar, mouth);
    }

    fn tick_liar(&mut self, index: usize) {
        let Some((mut liar, mut mouth)) = self.processes[index].liar.take() else {
            return;
        };
        mouth.now_ms = self.now_ms;
        liar.tick(&mut mouth);
        self.put_back(index, liar, mouth);
    }

    fn put_back(&mut self, index: usize, liar: Box<dyn Liar>, mut mouth: Mouth) {
        let said = std::mem::take(&mut mouth.said);
        for what in std::mem::take(&mut mouth.counts) {
            self.counters.count(what);
        }
        self.processes[index].liar = Some((liar, mouth));
        for (to, after_ms, frame) in said {
            self.post(index, to, after_ms, frame);
        }
    }

    /// A frame is on the wire: to every process that has the key of `to`.
    fn post(&mut self, from: usize, to: ValidatorIndex, after_ms: u64, frame: Frame) {
        let sender = self.processes[from].key;
        let input = match frame {
            Frame::Message(message) => {
                let Some(message) = self.verify(from, &message) else {
                    return;
                };
                Input::Message {
                    from: sender,
                    message,
                }
            }
            frame => {
                if let Frame::Batch(batch) = &frame
                    && self.processes[from].liar.is_some()
                {
                    self.oracle.on_made(batch.digest());
                }
                Input::Frame {
                    from: sender,
                    frame,
                }
            }
        };
        let mut arrivals = Vec::new();
        for process in 0..self.processes.len() {
            if self.processes[process].key != to || to == sender {
                continue;
            }
            if self
                .spotlight
                .hides(self.now_ms, (from, sender), (process, to))
            {
                continue;
            }
            let sent_at = self.now_ms + after_ms;
            self.network.arrivals(sent_at, from, process, &mut arrivals);
            for at in &arrivals {
                let happening = Happening::Input {
                    process,
                    incarnation: self.processes[process].incarnation,
                    input: input.clone(),
                };
                self.push(at - self.now_ms, happening);
            }
        }
    }

    /// What travels is bytes; each message is verified once, for all who get it.
    fn verify(&mut self, from: usize, message: &SignedMessage) -> Option<Arc<VerifiedMessage>> {
        let known = self.verified.get(&message.signature.0);
        if let Some(known) = known.filter(|known| known.message() == message) {
            return Some(Arc::clone(known));
        }
        let bytes = message.encode();
        let verified = SignedMessage::decode(&bytes, self.message_bytes_max)
            .map_err(|error| error.to_string())
            .and_then(|decoded| {
                let verified = decoded.verify(&self.context);
                verified.map_err(|error| error.to_string())
            });
        match verified {
            Ok(verified) => {
                self.oracle.on_traffic(verified.message());
                crate::notes::first_sent(self, verified.message());
                let verified = Arc::new(verified);
                self.verified
                    .insert(message.signature.0, Arc::clone(&verified));
                Some(verified)
            }
            Err(error) => {
                let key = self.processes[from].key;
                if self.schedule.is_guilty(key) {
                    self.counters.count("message refused at the door");
                } else {
                    self.oracle.violate(Rule::Refused, || {
                        let kind = message.body.kind();
                        format!("a {kind} of validator {key} does not verify: {error}")
                    });
                }
                None
            }
        }
    }

    /// How much of the time was used that a healed quorum has, in thousandths.
    #[must_use]
    pub fn healing_per_mille(&self) -> u64 {
        self.healing.as_ref().map_or(0, |healing| {
            let used = 1000 * (self.now_ms - healing.since);
            used / (healing.until - healing.since)
        })
    }

    /// Virtual time, in ms.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// What stands above each process's column in the trace's table.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        let head = |(index, process): (usize, &Process<N>)| {
            let key = process.key;
            let role = if self.schedule.is_guilty(key) {
                " (guilty)"
            } else {
                ""
            };
            format!("process {index}, key {key}{role}")
        };
        self.processes.iter().enumerate().map(head).collect()
    }

    /// The running replica of a process, if it has one.
    #[must_use]
    pub fn overview(&self, index: usize) -> Option<Overview> {
        let process = &self.processes[index];
        process.runs.then(|| process.node.overview()).flatten()
    }
}

impl<N: Node> Process<N> {
    fn new(node: N, key: ValidatorIndex) -> Self {
        Self {
            node,
            key,
            runs: false,
            halted: false,
            paused_until: None,
            incarnation: 0,
            clock_offset_ms: 0,
            rate_per_mille: 1000,
            dies_after: None,
            down_ms: 0,
            damaged: false,
            liar: None,
            view: 0,
            last_note: String::new(),
            quarantined: false,
            was_quarantined: false,
            view_changes_begun: 0,
            waiting: Vec::new(),
        }
    }
}

/// A word that tells inputs apart, for the trace's hash.
fn mark<J>(input: &Input<J>) -> u64 {
    let eight = |bytes: &[u8]| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[..8]);
        u64::from_le_bytes(word)
    };
    match input {
        Input::Tick => 1,
        Input::Message { message, .. } => eight(&message.message().signature.0),
        Input::Frame { frame, .. } => match frame {
            Frame::Message(message) => eight(&message.signature.0),
            Frame::Batch(batch) => eight(&batch.digest().0),
            Frame::Transaction(signed) => eight(&signed.signature.0),
            Frame::Ask { above, upto } => above.0 ^ (upto.0 << 32),
            Frame::Blocks { above, batches } => above.0 ^ ((batches.len() as u64) << 32),
            Frame::Bytes { channel, bytes } => channel ^ ((bytes.len() as u64) << 32),
        },
        Input::Submit(signed) => eight(&signed.signature.0),
        Input::Job(_) => 2,
    }
}
