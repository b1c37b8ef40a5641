//! A validator without executor and store: the production replica, a simulated disk, a fake
//! executor that chains digests, and a pool of transactions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chancery_consensus::{
    Action, Body, Config, Demand, Event, Halted, Neglect, Now, Overview, Replica, Wish,
};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    Batch, Height, Millis, SecretKey, Slot, TransactionId, ValidatorIndex, Verified, View,
};

use crate::core_disk::CoreDisk;
use crate::node::{DiskFault, Frame, Halt, Input, Node, Observation, Outbox};
use crate::random::Random;
use crate::schedule::Schedule;

/// Blocks in one answer to a request.
const BLOCKS_MAX: usize = 16;
/// A transaction is sent to everybody again after this time, until it is executed.
const RELAY_MS: u64 = 700;
/// How long it counts how long others had to wait.
const LATELY_MS: u64 = 2_000;

/// See the module's page.
#[derive(Debug)]
pub struct CoreNode {
    config: Config,
    key: SecretKey,
    settings: Settings,
    disk: CoreDisk,
    backup: Option<CoreDisk>,
    memory: Option<Memory>,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    heartbeat_ms: u64,
    execution_ms_max: u64,
    group_commit: bool,
    /// A transaction that waits longer is left out on purpose.
    patience_ms: u64,
}

/// What is lost when the process dies.
#[derive(Debug)]
struct Memory {
    replica: Replica,
    /// Not executed here, with the time when each came.
    pool: BTreeMap<TransactionId, (u64, Arc<Verified<SignedTransaction>>)>,
    executed: BTreeSet<TransactionId>,
    /// Handed over by the replica, oldest first; the first is being executed.
    executing: VecDeque<(Slot, Arc<Verified<Batch>>)>,
    fetching: Option<Fetching>,
    /// The view that was seen last, and since when.
    view: (View, u64),
    /// How long those executed lately had waited in their view, and when that was.
    waited_lately: (u64, u64),
    last_work: Millis,
    relayed_at: Millis,
    random: Random,
}

/// Blocks on their way here, not on disk before the certificate covers them.
#[derive(Debug)]
struct Fetching {
    from: ValidatorIndex,
    certificate: CheckpointCertificate,
    above: Height,
    batches: Vec<Arc<Verified<Batch>>>,
}

/// What the process puts off.
#[derive(Debug, Clone)]
pub enum Job {
    /// The first of the batches that are being executed is done.
    Done(Slot),
}

impl CoreNode {
    /// Validator `own` with an empty disk.
    #[must_use]
    pub fn new(schedule: &Schedule, config: Config, key: SecretKey) -> Self {
        Self {
            config,
            key,
            settings: Settings {
                heartbeat_ms: schedule.heartbeat_ms,
                execution_ms_max: schedule.execution_ms_max,
                group_commit: schedule.group_commit,
                patience_ms: 4 * schedule.view_timeout_ms + RELAY_MS,
            },
            disk: CoreDisk::new(),
            backup: None,
            memory: None,
        }
    }

    fn step(&mut self, now: Now, event: Event, out: &mut Outbox<Job>) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        let actions = memory.replica.step(now, event);
        self.carry_out(actions, out);
    }

    /// In order; between any two, the process may die.
    fn carry_out(&mut self, mut actions: Vec<Action>, out: &mut Outbox<Job>) {
        if self.settings.group_commit {
            // Promises may become durable earlier than asked, never later.
            actions.sort_by_key(|action| !matches!(action, Action::Persist(_)));
        }
        for action in actions {
            if !out.lives() {
                return;
            }
            if let Action::Persist(record) = action {
                self.disk.append(record);
                continue;
            }
            self.disk.sync(out);
            self.perform(action, out);
        }
        if !out.is_dead() {
            self.disk.sync(out);
        }
    }

    fn perform(&mut self, action: Action, out: &mut Outbox<Job>) {
        match action {
            Action::Persist(record) => self.disk.append(record),
            Action::Broadcast(message) => out.broadcast(Frame::Message(Arc::new(message))),
            Action::Send { to, message } => out.send(to, Frame::Message(Arc::new(message))),
            Action::BroadcastBatch(batch) => out.broadcast(Frame::Batch(batch)),
            Action::SendBatch { to, batch } => out.send(to, Frame::Batch(batch)),
            Action::Execute { slot, batch } => {
                out.observe(Observation::Handed(slot));
                self.begin_executing(slot, batch, out);
            }
            Action::Final(certificate) => {
                out.observe(Observation::Final(certificate.clone()));
                self.disk.finish(certificate);
            }
            Action::Truncate { through } => self.disk.truncate(through),
            Action::CatchUp { from, certificate } => self.begin_fetching(from, certificate, out),
            Action::Evidence(evidence) => out.observe(Observation::Evidence(evidence)),
            Action::Halt(halted) => {
                out.observe(Observation::Halted(match halted {
                    Halted::Diverged(_) => Halt::Diverged,
                    Halted::KeyUsedTwice { .. } => Halt::KeyUsedTwice,
                    Halted::Forgot { .. } => Halt::Forgot,
                }));
                self.memory = None;
            }
        }
    }

    fn begin_executing(&mut self, slot: Slot, batch: Arc<Verified<Batch>>, out: &mut Outbox<Job>) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        memory.executing.push_back((slot, batch));
        if memory.executing.len() == 1 {
            self.execute_next(out);
        }
    }

    fn execute_next(&mut self, out: &mut Outbox<Job>) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        if let Some((slot, _)) = memory.executing.front() {
            let ms = memory.random.between(0, self.settings.execution_ms_max);
            out.after(ms, Job::Done(*slot));
        }
    }

    fn on_done(&mut self, now: Now, slot: Slot, out: &mut Outbox<Job>) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        let Some((first, batch)) = memory.executing.pop_front() else {
            return;
        };
        debug_assert_eq!(first, slot);
        // It may have been fetched in the meantime.
        if self.disk.tip().height.next() == slot.height() {
            self.commit_block(now, batch, out);
            let statement = self.disk.tip().clone();
            self.step(now, Event::Executed(statement), out);
        }
        if !out.is_dead() {
            self.execute_next(out);
        }
    }

    /// The block is executed and durable.
    fn commit_block(&mut self, now: Now, batch: Arc<Verified<Batch>>, out: &mut Outbox<Job>) {
        let digest = batch.digest();
        let transactions = self.disk.commit(batch);
        if let Some(memory) = &mut self.memory {
            memory.last_work = now.since_start;
            for id in &transactions {
                if let Some((came, _)) = memory.pool.remove(id) {
                    memory.note_wait(now.since_start.0, came);
                }
                memory.executed.insert(*id);
            }
        }
        out.observe(Observation::Executed {
            slot: self.disk.tip().height.into(),
            batch: digest,
            transactions,
            statement: self.disk.tip().clone(),
        });
    }

    fn begin_fetching(
        &mut self,
        from: ValidatorIndex,
        certificate: CheckpointCertificate,
        out: &mut Outbox<Job>,
    ) {
        let above = self.disk.tip().height;
        let upto = certificate.statement.height;
        let Some(memory) = &mut self.memory else {
            return;
        };
        out.observe(Observation::Count("catch-up asked for"));
        memory.fetching = Some(Fetching {
            from,
            certificate,
            above,
            batches: Vec::new(),
        });
        out.send(from, Frame::Ask { above, upto });
    }

    fn serve(&self, to: ValidatorIndex, above: Height, upto: Height, out: &mut Outbox<Job>) {
        let batches = self.disk.blocks(above, upto, BLOCKS_MAX);
        if !batches.is_empty() {
            let batches = Arc::new(batches);
            out.send(to, Frame::Blocks { above, batches });
        }
    }

    fn on_blocks(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        above: Height,
        batches: &[Arc<Verified<Batch>>],
        out: &mut Outbox<Job>,
    ) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        let Some(fetching) = &mut memory.fetching else {
            return;
        };
        let newest = Height(fetching.above.0 + fetching.batches.len() as u64);
        if fetching.from != from || newest != above || batches.len() > BLOCKS_MAX {
            return;
        }
        fetching.batches.extend(batches.iter().cloned());
        let newest = Height(newest.0 + batches.len() as u64);
        let upto = fetching.certificate.statement.height;
        if newest < upto {
            out.send(
                from,
                Frame::Ask {
                    above: newest,
                    upto,
                },
            );
            return;
        }
        let Some(fetching) = memory.fetching.take() else {
            return;
        };
        self.finish_fetching(now, fetching, out);
    }

    /// Only what the certificate covers gets to the disk.
    fn finish_fetching(&mut self, now: Now, fetching: Fetching, out: &mut Outbox<Job>) {
        let Fetching {
            certificate,
            above,
            batches,
            ..
        } = fetching;
        let Some(made) = self.disk.would_be(above, &batches) else {
            return;
        };
        if made != certificate.statement {
            out.observe(Observation::Count("lying catch-up server found out"));
            return;
        }
        let tip = self.disk.tip().height;
        let here = usize::try_from(tip.0.saturating_sub(above.0)).expect("few blocks");
        for batch in batches.into_iter().skip(here) {
            if !out.lives() {
                return;
            }
            self.commit_block(now, batch, out);
        }
        out.observe(Observation::Count("catch-up done"));
        let executed = self.disk.tip().clone();
        let event = Event::CaughtUp {
            certificate,
            executed,
        };
        self.step(now, event, out);
    }

    fn on_transaction(&mut self, now: Now, signed: &Arc<Verified<SignedTransaction>>) -> bool {
        let Some(memory) = &mut self.memory else {
            return false;
        };
        let id = signed.id();
        if memory.executed.contains(&id) || memory.pool.contains_key(&id) {
            return false;
        }
        let came = now.since_start.0;
        memory.pool.insert(id, (came, Arc::clone(signed)));
        true
    }

    fn tick(&mut self, now: Now, out: &mut Outbox<Job>) {
        let demand = self.demand(now);
        self.step(now, Event::Tick(demand), out);
        let Some(memory) = &mut self.memory else {
            return;
        };
        if !out.is_dead() && now.since_start.since(memory.relayed_at).0 >= RELAY_MS {
            memory.relayed_at = now.since_start;
            // Not everything at once: a few of the oldest.
            let mut oldest: Vec<_> = memory.pool.values().collect();
            oldest.sort_by_key(|(came, _)| *came);
            for (_, signed) in oldest.into_iter().take(4) {
                out.broadcast(Frame::Transaction(Arc::clone(signed)));
            }
        }
    }

    /// What this node thinks of the primary: it leaves a transaction out that waits far longer in
    /// its view than those ordered lately did.
    fn demand(&mut self, now: Now) -> Demand {
        let patience_ms = self.settings.patience_ms;
        let Some(memory) = &mut self.memory else {
            return Demand::Nothing;
        };
        let (now, view) = (now.since_start.0, memory.replica.view());
        if memory.view.0 != view {
            memory.view = (view, now);
        }
        let Some(oldest) = memory.pool.values().map(|(came, _)| *came).min() else {
            return Demand::Nothing;
        };
        let waits = now.saturating_sub(oldest.max(memory.view.1));
        if waits > patience_ms + 4 * memory.waited_lately.0 {
            Demand::Neglected(Neglect::Censored)
        } else {
            Demand::Waiting
        }
    }

    fn maybe_propose(&mut self, now: Now, out: &mut Outbox<Job>) {
        for _ in 0..self.config.limits.window_slots {
            if out.is_dead() {
                return;
            }
            let Some(batch) = self.proposal(now) else {
                return;
            };
            out.observe(Observation::Proposed(batch.digest()));
            self.step(now, Event::Propose(Arc::new(batch)), out);
        }
    }

    fn proposal(&mut self, now: Now) -> Option<Verified<Batch>> {
        let limits = &self.config.limits;
        let memory = self.memory.as_mut()?;
        let wish = memory.replica.proposal_wish();
        if wish == Wish::None {
            return None;
        }
        let open = memory.replica.open_batches();
        let proposed: BTreeSet<TransactionId> = open
            .iter()
            .flat_map(|batch| batch.transactions.iter().map(|signed| signed.id()))
            .collect();
        let count_max = limits.batch_transactions_max as usize;
        let mut waiting: Vec<_> = memory
            .pool
            .iter()
            .filter(|(id, _)| !proposed.contains(id))
            .map(|(_, waiting)| waiting)
            .collect();
        waiting.sort_by_key(|(came, _)| *came);
        let waiting: Vec<_> = waiting
            .into_iter()
            .map(|(_, signed)| Verified::clone(signed))
            .take(count_max)
            .collect();
        let idle = now.since_start.since(memory.last_work).0 >= self.settings.heartbeat_ms;
        let is_due = match wish {
            Wish::None => false,
            Wish::IfFull => waiting.len() == count_max,
            Wish::Now => idle || !waiting.is_empty(),
        };
        if !is_due {
            return None;
        }
        memory.last_work = now.since_start;
        // With the clock an hour off, transactions may not be valid in the batch.
        Batch::of_verified(now.clock, waiting, limits).ok()
    }
}

impl Memory {
    fn note_wait(&mut self, now: u64, came: u64) {
        let waited = now.saturating_sub(came.max(self.view.1));
        let (lately, at) = self.waited_lately;
        if waited >= lately || now.saturating_sub(at) > LATELY_MS {
            self.waited_lately = (waited, now);
        }
    }
}

impl Node for CoreNode {
    type Job = Job;

    fn start(&mut self, now: Now, incarnation: u64, out: &mut Outbox<Job>) {
        let recovered = self.disk.recovered(&self.config.limits, incarnation);
        for record in &recovered.records {
            out.observe(Observation::Durable(record.clone()));
        }
        let mut random = Random::new(incarnation);
        let started = Replica::new(
            self.config.clone(),
            SecretKey::from_seed(&self.key.seed()),
            recovered,
            now,
        );
        let (replica, first) = started.expect("a replica starts with what it wrote");
        self.memory = Some(Memory {
            replica,
            pool: BTreeMap::new(),
            executed: self.disk.executed_transactions(),
            executing: VecDeque::new(),
            fetching: None,
            view: (View(0), now.since_start.0),
            waited_lately: (0, now.since_start.0),
            last_work: now.since_start,
            relayed_at: now.since_start,
            random: random.fork(),
        });
        self.carry_out(first, out);
        self.maybe_propose(now, out);
    }

    fn handle(&mut self, now: Now, input: Input<Job>, out: &mut Outbox<Job>) {
        match input {
            Input::Tick => self.tick(now, out),
            Input::Message { from, message } => {
                // As the real node's gate has it: a STATUS counts over its sender's connection only,
                // because anybody could show an old one.
                let is_status = matches!(message.message().body, Body::Status(_));
                if is_status && message.message().from != from {
                    return;
                }
                let message = chancery_consensus::VerifiedMessage::clone(&message);
                self.step(now, Event::Message(message), out);
            }
            Input::Frame { from, frame } => match frame {
                Frame::Batch(batch) => self.step(now, Event::Batch { from, batch }, out),
                Frame::Transaction(signed) => {
                    self.on_transaction(now, &signed);
                }
                Frame::Ask { above, upto } => self.serve(from, above, upto, out),
                Frame::Blocks { above, batches } => {
                    self.on_blocks(now, from, above, &batches, out);
                }
                Frame::Message(_) | Frame::Bytes { .. } => {}
            },
            Input::Submit(signed) => {
                if self.on_transaction(now, &signed) {
                    out.broadcast(Frame::Transaction(signed));
                }
            }
            Input::Job(Job::Done(slot)) => self.on_done(now, slot, out),
        }
        self.maybe_propose(now, out);
    }

    fn died(&mut self, random: &mut Random) -> bool {
        self.memory = None;
        self.disk.crash(random)
    }

    fn damage_disk(&mut self, fault: DiskFault) -> bool {
        self.disk = match (fault, self.backup.take()) {
            (DiskFault::RolledBack, Some(backup)) => backup,
            (DiskFault::RolledBack | DiskFault::Wiped, _) => CoreDisk::wiped(),
            // This disk has no bits.
            (DiskFault::BitFlipped, _) => return false,
        };
        fault == DiskFault::RolledBack
    }

    fn back_up_disk(&mut self) {
        self.backup = Some(self.disk.clone());
    }

    fn overview(&self) -> Option<Overview> {
        let memory = self.memory.as_ref()?;
        Some(memory.replica.overview())
    }

    fn executed(&self) -> CheckpointStatement {
        self.disk.tip().clone()
    }

    fn records(&self) -> usize {
        self.disk.records()
    }
}
