//! A whole node's process while it lives: its parts, and what its threads, network and API do for
//! them in a real one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chancery_consensus::{Event, Halted, Now, Overview};
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Millis, SecretKey, ValidatorIndex, Verified};
use chancery_node::assemble::Parts;
use chancery_node::executor::Executed;
use chancery_node::gate::{Gate, Here};
use chancery_node::intake::{Intake, Judged};
use chancery_node::pool::Origin;
use chancery_node::validator::{Effect, Validator};
use chancery_node::wire::BulkMessage;
use chancery_node::worker::{Outcome, Work, Worker};
use chancery_simulation::node::{Frame, Halt, Input, Observation, Outbox};
use chancery_simulation::random::Random;
use parity_scale_codec::Encode as _;

use super::ledger::Ledger;
use super::told::Told;
use super::{lies, proofs};

/// How often the overview is made, as in a real process.
const OVERVIEW_INTERVAL: Millis = Millis(100);

/// What the process puts off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// The executor is done with what it had begun.
    Worked,
    /// The validator takes what has come in.
    Turn,
}

/// Why the process ended.
#[derive(Debug)]
pub(super) enum End {
    /// The world killed it.
    Killed,
    /// By itself: its disk failed, it says.
    DiskFailed(String),
    /// It takes no further part, because it is wrong.
    Halted(Halt),
}

/// What a process is set up with.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) own: ValidatorIndex,
    pub(super) ledger: Arc<Ledger>,
    pub(super) log_key: SecretKey,
    /// A block takes at most so long.
    pub(super) execution_ms_max: u64,
    /// Whether what comes in waits for what comes at the same time, as it may in the channel of a
    /// real one.
    pub(super) grouped: bool,
    /// Whether it lies to those who catch up.
    pub(super) lies: bool,
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Running {
    setup: Arc<Setup>,
    random: Random,
    /// Whether the world is asked before each deed.
    pub(super) dies_between_deeds: bool,
    pub(super) validator: Validator,
    worker: Worker,
    intake: Intake,
    /// The newest certificate of what is executed.
    certificate: Option<CheckpointCertificate>,
    /// What the oracle was told.
    pub(super) told: Told,
    /// What the network side and the API see of the replica, and when it was made.
    shown: Overview,
    shown_at: Millis,
    gates: BTreeMap<ValidatorIndex, Gate>,
    /// What waits for the next turn, and whether one was asked for.
    events: Vec<Event>,
    turn_due: bool,
    work: VecDeque<Work>,
}

impl Running {
    /// The process with its parts, and what it is to do first.
    pub(super) fn new(
        setup: Arc<Setup>,
        random: Random,
        parts: Parts,
        told: Told,
    ) -> (Self, Vec<Effect>) {
        let Parts {
            validator,
            first,
            worker,
            intake,
            newest_final,
        } = parts;
        let running = Self {
            setup,
            random,
            dies_between_deeds: false,
            shown: validator.overview(),
            shown_at: Millis(0),
            gates: BTreeMap::new(),
            validator,
            worker,
            intake,
            certificate: newest_final,
            told,
            events: Vec::new(),
            turn_due: false,
            work: VecDeque::new(),
        };
        (running, first)
    }

    pub(super) fn overview(&self) -> Overview {
        self.validator.overview()
    }

    pub(super) fn handle(
        &mut self,
        now: Now,
        input: Input<Job>,
        out: &mut Outbox<Job>,
    ) -> Result<(), End> {
        match input {
            Input::Tick => self.wake(now, out),
            Input::Message { from, message } => {
                let frame = message.message().encode();
                self.vote(now, from, &frame, out)
            }
            Input::Frame { from, frame } => match as_bulk(frame) {
                Some(frame) => self.bulk(now, from, &frame, out),
                None => Ok(()),
            },
            Input::Submit(signed) => self.submit(now, &signed, out),
            Input::Job(Job::Turn) => self.turn(now, out),
            Input::Job(Job::Worked) => self.worked(now, out),
        }
    }

    /// What the network's votes lane does with a frame.
    fn vote(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        frame: &[u8],
        out: &mut Outbox<Job>,
    ) -> Result<(), End> {
        let here = Here::from(&self.shown);
        let gate = self.gates.entry(from).or_default();
        let judged = self.intake.vote(gate, now.since_start, &here, from, frame);
        match judged {
            Ok(message) => self.event(now, Event::Message(message), out),
            Err(_) => {
                out.observe(Observation::Count("vote frame refused"));
                Ok(())
            }
        }
    }

    fn event(&mut self, now: Now, event: Event, out: &mut Outbox<Job>) -> Result<(), End> {
        self.events.push(event);
        self.wake(now, out)
    }

    /// There is something for the validator: it takes a turn.
    fn wake(&mut self, now: Now, out: &mut Outbox<Job>) -> Result<(), End> {
        if !self.setup.grouped {
            return self.turn(now, out);
        }
        if !self.turn_due {
            self.turn_due = true;
            out.after(0, Job::Turn);
        }
        Ok(())
    }

    fn turn(&mut self, now: Now, out: &mut Outbox<Job>) -> Result<(), End> {
        self.turn_due = false;
        let events = std::mem::take(&mut self.events);
        let effects = self
            .validator
            .turn(now, events)
            .map_err(|error| End::DiskFailed(error.to_string()))?;
        let entered = |effect: &Effect| matches!(effect, Effect::EnteredView(_));
        let is_due = now.since_start.since(self.shown_at) >= OVERVIEW_INTERVAL;
        if is_due || effects.iter().any(entered) {
            self.shown_at = now.since_start;
            self.shown = self.validator.overview();
        }
        self.carry_out(now, effects, out)
    }

    /// What the validator's thread does with effects.
    pub(super) fn carry_out(
        &mut self,
        now: Now,
        effects: Vec<Effect>,
        out: &mut Outbox<Job>,
    ) -> Result<(), End> {
        for effect in effects {
            if self.dies_between_deeds && !out.lives() {
                return Err(End::Killed);
            }
            match effect {
                Effect::Broadcast(message) => out.broadcast(Frame::Message(Arc::new(message))),
                Effect::Send { to, message } => out.send(to, Frame::Message(Arc::new(message))),
                Effect::BroadcastBatch(batch) => {
                    out.observe(Observation::Proposed(batch.digest()));
                    out.broadcast(Frame::Batch(batch));
                }
                Effect::SendBatch { to, batch } => out.send(to, Frame::Batch(batch)),
                Effect::RelayToAll(transactions) => {
                    for signed in transactions {
                        out.broadcast(Frame::Transaction(Arc::new(signed)));
                    }
                }
                Effect::RelayTo {
                    primary,
                    transactions,
                } => {
                    for signed in transactions {
                        out.send(primary, Frame::Transaction(Arc::new(signed)));
                    }
                }
                Effect::EnteredView(_) => {}
                Effect::Execute { slot, batch } => self.order(Work::Execute { slot, batch }, out),
                Effect::Final(certificate) => self.on_final(certificate, out),
                Effect::CatchUp { from, certificate } => {
                    let session = &self.intake.catch_up;
                    let (now, tip) = (now.since_start, self.worker.height());
                    if let Some(question) = session.begin(now, tip, from, certificate) {
                        out.observe(Observation::Count("catch-up begun"));
                        out.send(question.to, travelling(&question.message));
                    }
                }
                Effect::Evidence(evidence) => out.observe(Observation::Evidence(evidence)),
                Effect::Halt(halted) => return Err(End::Halted(why(&halted))),
            }
        }
        Ok(())
    }

    fn on_final(&mut self, certificate: CheckpointCertificate, out: &mut Outbox<Job>) {
        out.observe(Observation::Final(certificate.clone()));
        let height = certificate.statement.height;
        if self.random.percent(10) {
            let store = &self.intake.store;
            if proofs::check(
                &self.setup.ledger,
                store,
                &self.setup.log_key,
                &certificate,
                height,
            ) {
                out.observe(Observation::Count("proof verified"));
            }
        }
        self.certificate = Some(certificate.clone());
        self.order(Work::Final(certificate), out);
    }

    /// For the executor, which does one thing after the other.
    fn order(&mut self, work: Work, out: &mut Outbox<Job>) {
        self.work.push_back(work);
        if self.work.len() == 1 {
            self.begin_work(out);
        }
    }

    fn begin_work(&mut self, out: &mut Outbox<Job>) {
        if let Some(work) = self.work.front() {
            let takes = match work {
                Work::Execute { .. } | Work::CatchUp { .. } => {
                    self.random.below(self.setup.execution_ms_max + 1)
                }
                Work::Final(_) => 0,
            };
            out.after(takes, Job::Worked);
        }
    }

    /// What the executor's thread does.
    fn worked(&mut self, now: Now, out: &mut Outbox<Job>) -> Result<(), End> {
        let Some(work) = self.work.pop_front() else {
            return Ok(());
        };
        let outcomes = self
            .worker
            .carry_out(work)
            .map_err(|error| End::DiskFailed(error.to_string()))?;
        for outcome in outcomes {
            if self.dies_between_deeds && !out.lives() {
                return Err(End::Killed);
            }
            match outcome {
                Outcome::Block { block, .. } => self.on_block(&block, out),
                Outcome::Tell(event) => {
                    if let Event::CaughtUp { .. } = &event {
                        out.observe(Observation::Count("catch-up done"));
                    }
                    self.event(now, event, out)?;
                }
                Outcome::Send { to, message } => out.send(to, travelling(&message)),
                Outcome::Joined { .. } => {
                    let joined = self.told.join(&self.intake.store.read());
                    out.observe(joined.expect("a state is only taken over from above"));
                }
                Outcome::Lied { .. } => {
                    out.observe(Observation::Count("lying catch-up server found out"));
                }
                Outcome::Halt(_) => return Err(End::Halted(Halt::Diverged)),
            }
        }
        self.begin_work(out);
        Ok(())
    }

    fn on_block(&mut self, block: &Executed, out: &mut Outbox<Job>) {
        out.observe(self.told.block(&block.header, &block.receipts));
        assert_eq!(self.told.statement, block.statement);
    }

    /// What the network's bulk lane does with a frame.
    fn bulk(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        frame: &[u8],
        out: &mut Outbox<Job>,
    ) -> Result<(), End> {
        let newest = self.certificate.as_ref();
        match self.intake.bulk(now.since_start, newest, from, frame) {
            Ok(Judged::Event(event)) => self.event(now, event, out),
            Ok(Judged::Work(work, question)) => {
                self.order(work, out);
                if let Some(question) = question {
                    out.send(from, travelling(&question));
                }
                Ok(())
            }
            Ok(Judged::Answer(message)) => {
                self.answer(from, message, out);
                Ok(())
            }
            Ok(Judged::Pooled) => self.wake(now, out),
            Ok(Judged::Nothing) => Ok(()),
            Err(_) => {
                out.observe(Observation::Count("bulk frame refused"));
                Ok(())
            }
        }
    }

    fn answer(&mut self, to: ValidatorIndex, message: BulkMessage, out: &mut Outbox<Job>) {
        let answer = if self.setup.lies {
            out.observe(Observation::Count("lie to one who catches up"));
            lies::instead_of(&mut self.random, message)
        } else {
            Some(message)
        };
        if let Some(message) = answer {
            out.send(to, travelling(&message));
        }
    }

    /// What the API does with a transaction.
    fn submit(
        &mut self,
        now: Now,
        signed: &Verified<SignedTransaction>,
        out: &mut Outbox<Job>,
    ) -> Result<(), End> {
        let primary = self.shown.primary;
        let taken = self
            .intake
            .take(now.since_start, Origin::Client, signed.clone());
        if taken.is_err() {
            out.observe(Observation::Count("submission refused"));
            return Ok(());
        }
        if primary != self.setup.own {
            out.send(primary, Frame::Transaction(Arc::new(signed.clone())));
        }
        self.wake(now, out)
    }
}

fn why(halted: &Halted) -> Halt {
    match halted {
        Halted::Diverged(_) => Halt::Diverged,
        Halted::KeyUsedTwice { .. } => Halt::KeyUsedTwice,
        Halted::Forgot { .. } => Halt::Forgot,
    }
}

/// The bytes of a frame of the bulk lane; none for what is not of whole nodes.
fn as_bulk(frame: Frame) -> Option<Vec<u8>> {
    let message = match frame {
        Frame::Batch(batch) => BulkMessage::Batch((**batch).clone()),
        Frame::Transaction(signed) => BulkMessage::Transactions(vec![(**signed).clone()]),
        Frame::Bytes { bytes, .. } => return Some(bytes.to_vec()),
        Frame::Message(_) | Frame::Ask { .. } | Frame::Blocks { .. } => return None,
    };
    Some(message.encode())
}

fn travelling(message: &BulkMessage) -> Frame {
    Frame::Bytes {
        channel: 0,
        bytes: Arc::new(message.encode()),
    }
}
