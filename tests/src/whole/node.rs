//! One validator's machine: a simulated disk, and the process that runs from it now and then.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use chancery_consensus::{Config, Now, Overview};
use chancery_ledger::checkpoint::CheckpointStatement;
use chancery_ledger::{Height, Millis, SecretKey};
use chancery_node::assemble::{FORGOTTEN, Parts, assemble, read_records};
use chancery_node::config::PoolConfig;
use chancery_node::pool::Pool;
use chancery_node::store::{StorageBackend, Store, VoteLog, end_by_unwinding};
use chancery_simulation::byzantine::LieKind;
use chancery_simulation::disk::SimulatedDisk;
use chancery_simulation::fixture;
use chancery_simulation::node::{DiskFault, Halt, Input, Node, Observation, Outbox};
use chancery_simulation::random::Random;
use chancery_simulation::schedule::Schedule;

use parity_scale_codec::Encode as _;

use super::doom::{Doom, cause};
use super::ledger::{Ledger, log_key};
use super::running::{End, Job, Running, Setup};
use super::told::Told;

const LEDGER: &str = "ledger.redb";
const COMPACTED_FROM_BYTES: u64 = 32 * 1024;
const VOTES: [&str; 2] = ["votes.a", "votes.b"];

/// See the module's page.
#[derive(Debug)]
pub struct WholeNode {
    config: Config,
    setup: Arc<Setup>,
    /// Transactions of clients go to all after this time.
    relay_after: Millis,
    /// Whoever is more than so many blocks behind takes over a state.
    snapshot_after_blocks: u64,
    random: Random,
    disk: SimulatedDisk,
    /// Whether the disk was set up by the operator.
    is_set_up: bool,
    /// And that the operator did it again, because all was gone.
    was_wiped: bool,
    /// Power went while a block was being written.
    ledger_is_torn: bool,
    /// A bit of the disk was flipped.
    flipped: bool,
    backup: Option<(SimulatedDisk, Told)>,
    /// What the oracle was told of.
    told: Told,
    running: Option<Running>,
    doom: Option<Doom>,
}

/// What [`chancery_node::store::storage_failed`] unwinds with.
struct StorageFailed(String);

fn unwind(error: &dyn std::error::Error) -> ! {
    resume_unwind(Box::new(StorageFailed(error.to_string())))
}

impl WholeNode {
    /// A machine that was never started.
    #[must_use]
    pub fn new(
        ledger: Arc<Ledger>,
        schedule: &Schedule,
        config: Config,
        mut random: Random,
    ) -> Self {
        end_by_unwinding(unwind);
        let own = config.own;
        let lies = schedule.liars.contains(&(own, LieKind::LyingServer));
        Self {
            relay_after: Millis(config.view_timeout.0 / 2),
            snapshot_after_blocks: *random.pick(&[3, 10, u64::MAX]).expect("some"),
            config,
            random,
            disk: SimulatedDisk::default(),
            is_set_up: false,
            was_wiped: false,
            ledger_is_torn: false,
            flipped: false,
            backup: None,
            told: Told::new(&ledger),
            running: None,
            doom: None,
            setup: Arc::new(Setup {
                own,
                ledger,
                log_key: log_key(own.0),
                execution_ms_max: schedule.execution_ms_max,
                grouped: schedule.group_commit,
                lies,
            }),
        }
    }

    fn key(&self) -> SecretKey {
        fixture::consensus_key(self.config.own.0)
    }

    /// What `chancery node init` and the very first start do, or a start that finds a vote log gone.
    fn set_up(&mut self) {
        let files = VOTES.map(|name| Box::new(self.disk.file(name)) as Box<dyn StorageBackend>);
        let votes = VoteLog::create_on(files, self.key().public());
        let mut votes = votes.expect("the disk is empty and sound");
        if self.was_wiped {
            let forgotten = votes.append_all(&[&FORGOTTEN.encode()]);
            forgotten.expect("the disk is sound");
        }
        let store = Store::create_on(self.disk.file(LEDGER), &self.setup.ledger.first);
        drop(store.expect("the disk is empty and sound"));
        self.is_set_up = true;
    }

    /// What the node does at its start.
    fn open(&mut self, now: Now, incarnation: u64) -> Result<Parts, String> {
        let config = self.config.clone();
        let files = VOTES.map(|name| Box::new(self.disk.file(name)) as Box<dyn StorageBackend>);
        let (mut vote_log, records) =
            VoteLog::open_on(files, self.key().public()).map_err(|error| error.to_string())?;
        // A seed is too short for what a real one waits for.
        vote_log.set_compacted_from(COMPACTED_FROM_BYTES);
        let records = read_records(&records, config.chain, &config.limits)
            .map_err(|error| error.to_string())?;
        let store = Store::open_on(self.disk.file(LEDGER), config.chain)
            .map_err(|error| error.to_string())?;
        let pool = PoolConfig::default().limits(&config.limits);
        assemble(
            config,
            self.key(),
            (vote_log, records),
            Arc::new(store),
            Arc::clone(&self.setup.ledger.runtime),
            Arc::new(Pool::new(pool, self.relay_after)),
            incarnation,
            self.snapshot_after_blocks,
            now,
        )
        .map_err(|error| error.to_string())
    }

    fn begin(&mut self, now: Now, incarnation: u64, out: &mut Outbox<Job>) -> Result<(), End> {
        let parts = self.open(now, incarnation).map_err(End::DiskFailed)?;
        if std::mem::take(&mut self.ledger_is_torn) {
            out.observe(Observation::Count("block file recovered after power cut"));
        }
        self.report_stored(&parts, out);
        let random = self.random.fork();
        let (mut running, first) =
            Running::new(Arc::clone(&self.setup), random, parts, self.told.clone());
        running.dies_between_deeds = self.doom == Some(Doom::BetweenDeeds);
        self.running.insert(running).carry_out(now, first, out)
    }

    /// Tells of blocks that became durable when the process died, before it could tell.
    fn report_stored(&mut self, parts: &Parts, out: &mut Outbox<Job>) {
        let (told, tip) = (self.told.statement.height, parts.worker.height());
        assert!(
            tip >= told,
            "validator {} had executed block {told}, after a restart {tip} is the newest",
            self.config.own
        );
        let snapshot = parts.intake.store.read();
        if let Some(joined) = self.told.join(&snapshot) {
            out.observe(joined);
        }
        for height in self.told.statement.height.0 + 1..=tip.0 {
            let block = snapshot.block(Height(height)).expect("it is stored");
            out.observe(self.told.block(&block.header, &block.receipts));
        }
        assert_eq!(self.told.statement, parts.worker.statement());
        for (id, height) in &self.told.transactions {
            let place = snapshot.transaction(id).map(|place| place.height);
            assert_eq!(place, Some(*height), "{id} was executed before the restart");
        }
    }

    /// Lets the process do something, and looks at how it took it.
    fn attempt(
        &mut self,
        out: &mut Outbox<Job>,
        work: impl FnOnce(&mut Self, &mut Outbox<Job>) -> Result<(), End>,
    ) {
        if self.doom.is_none() && out.deeds_left().is_some() {
            let doom = Doom::draw(&mut self.random, &self.disk);
            self.doom = Some(doom);
        }
        let ended = if self.doom.is_some() || self.flipped {
            let caught = catch_unwind(AssertUnwindSafe(|| work(self, out)));
            caught.unwrap_or_else(|panic| Err(self.failed_by(panic)))
        } else {
            work(self, out)
        };
        let own = self.config.own;
        let cause = cause(self.disk.happened());
        if let Some(running) = &self.running {
            self.told = running.told.clone();
        }
        match (ended, cause) {
            (Ok(()), None) => {}
            (Ok(()), Some(cause)) => {
                panic!("validator {own} goes on after its disk failed: {cause}")
            }
            (Err(End::Killed), _) => {}
            (Err(End::Halted(halt)), _) => {
                self.end();
                out.observe(Observation::Halted(halt));
            }
            (Err(End::DiskFailed(_)), Some(cause)) => {
                out.observe(Observation::Count(cause));
                out.die();
            }
            (Err(End::DiskFailed(_)), None) if self.flipped => {
                self.end();
                out.observe(Observation::Count("bit flip detected"));
                out.observe(Observation::Halted(Halt::Disk));
            }
            (Err(End::DiskFailed(reason)), None) => {
                panic!("validator {own} ends, though its disk is sound: {reason}")
            }
        }
    }

    /// The process is gone. Nothing more is written: what the owner of a file does when it is
    /// dropped, a dead one does not do.
    fn end(&mut self) {
        self.disk.cut_after(0);
        drop(self.running.take());
        self.disk.repair();
    }

    /// A panic is how a process ends whose disk fails; any other is a fault of ours.
    fn failed_by(&self, panic: Box<dyn Any + Send>) -> End {
        let is_failing = cause(self.disk.happened()).is_some() || self.flipped;
        match panic.downcast::<StorageFailed>() {
            Ok(failed) => End::DiskFailed(failed.0),
            Err(_) if is_failing => End::DiskFailed("a panic".to_owned()),
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Node for WholeNode {
    type Job = Job;

    fn start(&mut self, now: Now, incarnation: u64, out: &mut Outbox<Job>) {
        if !self.is_set_up {
            self.set_up();
        }
        self.attempt(out, |node, out| node.begin(now, incarnation, out));
    }

    fn handle(&mut self, now: Now, input: Input<Job>, out: &mut Outbox<Job>) {
        if self.running.is_none() {
            return;
        }
        self.attempt(out, |node, out| {
            let dies_between_deeds = node.doom == Some(Doom::BetweenDeeds);
            let running = node.running.as_mut().expect("looked at above");
            running.dies_between_deeds = dies_between_deeds;
            running.handle(now, input, out)
        });
    }

    fn died(&mut self, random: &mut Random) -> bool {
        self.end();
        let doom = self.doom.take();
        let power_lost = match doom {
            Some(Doom::PowerCut | Doom::SyncFails) => true,
            Some(Doom::Full) => false,
            Some(Doom::BetweenDeeds) | None => random.percent(50),
        };
        if !power_lost {
            return false;
        }
        let torn = self.disk.lose_power(random);
        self.ledger_is_torn |= torn.iter().any(|name| name == LEDGER);
        torn.iter().any(|name| name != LEDGER)
    }

    fn spare(&mut self) {
        if self.doom.take().is_some() {
            self.disk.repair();
        }
    }

    fn damage_disk(&mut self, fault: DiskFault) -> bool {
        match (fault, self.backup.take()) {
            (DiskFault::RolledBack, Some((disk, told))) => {
                (self.disk, self.told) = (disk, told);
                self.flipped = false;
            }
            (DiskFault::BitFlipped, _) => {
                let file = self.disk.flip_a_bit(&mut self.random);
                self.flipped |= file.is_some();
                // A damaged last record is one that was never written in full.
                return file.is_some_and(|file| file.starts_with("votes"));
            }
            (DiskFault::RolledBack | DiskFault::Wiped, _) => {
                self.disk = SimulatedDisk::default();
                (self.is_set_up, self.was_wiped) = (false, true);
                self.flipped = false;
                self.told = Told::new(&self.setup.ledger);
            }
        }
        fault == DiskFault::RolledBack
    }

    fn back_up_disk(&mut self) {
        if self.is_set_up {
            self.backup = Some((self.disk.copy(), self.told.clone()));
        }
    }

    fn overview(&self) -> Option<Overview> {
        self.running.as_ref().map(Running::overview)
    }

    fn executed(&self) -> CheckpointStatement {
        self.told.statement.clone()
    }

    fn records(&self) -> usize {
        self.running
            .as_ref()
            .map_or(0, |running| running.validator.records())
    }
}
