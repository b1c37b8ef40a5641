//! What a validator is to the world: something that starts, is told what happens, answers with
//! what it wants done, and may die between any two of these deeds. The core node
//! ([`crate::core_node`]) is a replica with a simulated vote log and a fake executor; a whole node
//! is the real one.

use std::sync::Arc;

use chancery_consensus::{Evidence, Now, Overview, Record, SignedMessage};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, BatchDigest, Height, Slot, TransactionId, ValidatorIndex, Verified};

use crate::random::Random;

/// What one validator sends to another.
#[derive(Debug, Clone)]
pub enum Frame {
    /// Said by a validator, whoever sends it. The world verifies it once, on the way.
    Message(Arc<SignedMessage>),
    /// A whole batch.
    Batch(Arc<Verified<Batch>>),
    /// A transaction that a client gave to the sender.
    Transaction(Arc<Verified<SignedTransaction>>),
    /// Asks for blocks above `above`, up to `upto`.
    Ask {
        /// The newest block that is here.
        above: Height,
        /// The last that is wanted.
        upto: Height,
    },
    /// The batches of blocks above `above`, as the sender says.
    Blocks {
        /// The block below the first.
        above: Height,
        /// In order.
        batches: Arc<Vec<Arc<Verified<Batch>>>>,
    },
    /// What only whole nodes say to each other, as it travels.
    Bytes {
        /// Which stream or request it belongs to; the nodes' own affair.
        channel: u64,
        /// The content.
        bytes: Arc<Vec<u8>>,
    },
}

/// What happens to a node.
#[derive(Debug, Clone)]
pub enum Input<J> {
    /// Time passes: about every 50 ms.
    Tick,
    /// Another validator's frame. A message in it is one that verifies.
    Frame {
        /// Over whose connection.
        from: ValidatorIndex,
        /// What.
        frame: Frame,
    },
    /// Of a message: the world verified it for all receivers.
    Message {
        /// Over whose connection.
        from: ValidatorIndex,
        /// The message.
        message: Arc<chancery_consensus::VerifiedMessage>,
    },
    /// A client hands in a transaction.
    Submit(Arc<Verified<SignedTransaction>>),
    /// What the node had put off, see [`Outbox::after`].
    Job(J),
}

/// What the oracle is told. A node tells the truth about itself.
#[derive(Debug, Clone)]
pub enum Observation {
    /// A record of the vote log is durable; in the order of writing.
    Durable(Record),
    /// The replica hands a slot over for execution.
    Handed(Slot),
    /// A block is executed and durable.
    Executed {
        /// Its slot.
        slot: Slot,
        /// The batch that was ordered there.
        batch: BatchDigest,
        /// The transactions that were executed, in order.
        transactions: Vec<TransactionId>,
        /// What the ledger is now.
        statement: CheckpointStatement,
    },
    /// The state of a ledger came whole, without its blocks.
    Joined(CheckpointStatement),
    /// Everything up to there is final: clients may be told.
    Final(CheckpointCertificate),
    /// A batch that this node makes as a primary.
    Proposed(BatchDigest),
    /// It holds proof against a validator.
    Evidence(Box<Evidence>),
    /// It stops for good.
    Halted(Halt),
    /// Something worth counting happened.
    Count(&'static str),
}

/// Why a node stops by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Halt {
    /// It executed something else than a quorum certified.
    Diverged,
    /// Another process has its key.
    KeyUsedTwice,
    /// There are votes of it that it does not remember.
    Forgot,
    /// Its disk failed.
    Disk,
}

/// What a node wants done, in order.
#[derive(Debug)]
pub struct Outbox<J> {
    pub(crate) deeds: Vec<Deed<J>>,
    /// How many more deeds the process lives for, if it is to die.
    deeds_left: Option<u64>,
    dead: bool,
}

#[derive(Debug)]
pub(crate) enum Deed<J> {
    Send { to: ValidatorIndex, frame: Frame },
    Broadcast(Frame),
    After { ms: u64, job: J },
    Observe(Box<Observation>),
}

impl<J> Outbox<J> {
    pub(crate) fn new(deeds_left: Option<u64>) -> Self {
        Self {
            deeds: Vec::new(),
            deeds_left,
            dead: false,
        }
    }

    /// To be asked before each deed. Once it says no, the process is dead: nothing may be done any
    /// more, neither sent nor written.
    #[must_use]
    pub fn lives(&mut self) -> bool {
        match &mut self.deeds_left {
            None => {}
            Some(0) => self.dead = true,
            Some(left) => *left -= 1,
        }
        !self.dead
    }

    /// How many deeds the process has left to live for, if it is to die.
    #[must_use]
    pub fn deeds_left(&self) -> Option<u64> {
        self.deeds_left
    }

    /// Whether the process died; like [`Outbox::lives`], but no deed follows.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// The process dies here, by the world's hand (its disk failed, say).
    pub fn die(&mut self) {
        self.dead = true;
    }

    /// To one validator.
    pub fn send(&mut self, to: ValidatorIndex, frame: Frame) {
        self.deeds.push(Deed::Send { to, frame });
    }

    /// To every other validator.
    pub fn broadcast(&mut self, frame: Frame) {
        self.deeds.push(Deed::Broadcast(frame));
    }

    /// Comes back to this process as [`Input::Job`], unless it dies before.
    pub fn after(&mut self, ms: u64, job: J) {
        self.deeds.push(Deed::After { ms, job });
    }

    /// Tells the oracle.
    pub fn observe(&mut self, observation: Observation) {
        self.deeds.push(Deed::Observe(Box::new(observation)));
    }
}

/// What may happen to a disk besides a process that dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// Everything is gone; the operator sets the node up anew, under the same key.
    Wiped,
    /// An older copy is put back.
    RolledBack,
    /// A bit of it flipped.
    BitFlipped,
}

/// One validator's process and its disk.
pub trait Node {
    /// What the node puts off by itself: executing, answering a request.
    type Job: Clone + std::fmt::Debug;

    /// The process starts, from what the disk has. `incarnation` is never 0 and differs each time,
    /// but for twins that pretend to be one.
    fn start(&mut self, now: Now, incarnation: u64, out: &mut Outbox<Self::Job>);

    /// Something happens to the running process.
    fn handle(&mut self, now: Now, input: Input<Self::Job>, out: &mut Outbox<Self::Job>);

    /// The process is dead: memory is lost, and what was written without a sync may be. Says whether
    /// a part of that was: the log is torn.
    fn died(&mut self, random: &mut Random) -> bool;

    /// The second phase begins: of whatever the process was to die, it does not.
    fn spare(&mut self) {}

    /// The disk of the process, which does not run, is damaged. Says whether what was promised may
    /// be gone from it without a sign.
    fn damage_disk(&mut self, fault: DiskFault) -> bool;

    /// An older copy of the disk is made, which [`DiskFault::RolledBack`] may put back.
    fn back_up_disk(&mut self);

    /// The running replica.
    fn overview(&self) -> Option<Overview>;

    /// The newest executed and durable block.
    fn executed(&self) -> CheckpointStatement;

    /// Live records in the vote log, and what the node keeps for others, for the oracle's bounds.
    fn records(&self) -> usize;
}
