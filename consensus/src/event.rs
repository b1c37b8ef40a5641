//! What goes into a replica and what comes out: the whole of its interface with the world.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the derived encoders of enums cast the variant's number"
)]

use std::sync::Arc;

use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{
    Batch, ChainId, ChainLimits, CodecError, Millis, Slot, ValidatorIndex, ValidatorSet, Verified,
    decode_canonical,
};
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::message::{PreparedCertificate, SignedMessage};
use crate::verify::{Context, VerifiedMessage};

/// The two times that a replica is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since some start, never going back: timers run on it.
    pub since_start: Millis,
    /// The wall clock since the Unix epoch, which may jump: only the time of a fresh proposal is
    /// compared with it.
    pub clock: Millis,
}

/// What a replica is set up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The ledger.
    pub chain: ChainId,
    /// Its validators.
    pub validators: ValidatorSet,
    /// Which of them this is.
    pub own: ValidatorIndex,
    /// The chain's limits: window, clock drift, and what a batch may be.
    pub limits: ChainLimits,
    /// How often a STATUS is broadcast.
    pub status_interval: Millis,
    /// How long a certified block may be missing before it is fetched: until then the votes and
    /// the batch may still come.
    pub catch_up_after: Millis,
    /// How long until fetching is asked for again.
    pub catch_up_interval: Millis,
    /// How many batches are kept that no proposal names yet.
    pub loose_batches_max: usize,
}

impl Config {
    /// The configuration with local settings that fit most networks.
    #[must_use]
    pub fn new(
        chain: ChainId,
        validators: ValidatorSet,
        own: ValidatorIndex,
        limits: ChainLimits,
    ) -> Self {
        Self {
            chain,
            validators,
            own,
            limits,
            status_interval: Millis(500),
            catch_up_after: Millis(2_000),
            catch_up_interval: Millis(5_000),
            loose_batches_max: 32,
        }
    }

    /// What messages to this replica are verified against.
    #[must_use]
    pub fn context(&self) -> Context {
        Context {
            chain: self.chain,
            validators: self.validators.clone(),
        }
    }
}

/// What a replica finds when it starts: what it had promised, and what it had executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The vote log, in the order of writing; empty at the first start.
    pub records: Vec<Record>,
    /// Of the newest block that is executed and durable; genesis is height 0.
    pub executed: CheckpointStatement,
    /// The newest checkpoint certificate that is durable.
    pub stable: Option<CheckpointCertificate>,
}

/// What happens to a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time passes. Expected every 50 ms or so.
    Tick,
    /// A message came, from whomever.
    Message(VerifiedMessage),
    /// A whole batch came, from whomever.
    Batch(Arc<Verified<Batch>>),
    /// The answer to a [`Wish`]. Ignored if by now there is none.
    Propose(Arc<Verified<Batch>>),
    /// A block is executed and durable: that of an [`Action::Execute`], or one that was fetched.
    /// The statement is of the ledger up to there. Heights only grow; one that is not above what
    /// is executed already is ignored.
    Executed(CheckpointStatement),
    /// What [`Action::CatchUp`] asked for was done, as far as it went.
    CaughtUp {
        /// A certificate whose signatures were verified.
        certificate: CheckpointCertificate,
        /// What is executed and durable by now, up to the certificate's height or not.
        executed: CheckpointStatement,
    },
}

/// What a replica wants done. Actions are carried out in their order; everything that a
/// [`Action::Persist`] names is durable before any later action is begun. (Several of them may
/// share one write: making a record durable early is no fault.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write to the vote log, durably.
    Persist(Record),
    /// Send to every other validator.
    Broadcast(SignedMessage),
    /// Send to one.
    Send {
        /// Whom.
        to: ValidatorIndex,
        /// What.
        message: SignedMessage,
    },
    /// Send a batch to every other validator.
    BroadcastBatch(Arc<Verified<Batch>>),
    /// Send a batch to one.
    SendBatch {
        /// Whom.
        to: ValidatorIndex,
        /// What.
        batch: Arc<Verified<Batch>>,
    },
    /// Execute the batch as block `slot`; then comes [`Event::Executed`]. In slot order, each slot
    /// at most once. A slot whose block was fetched in the meantime is to be ignored.
    Execute {
        /// The slot.
        slot: Slot,
        /// Its batch.
        batch: Arc<Verified<Batch>>,
    },
    /// The checkpoint at this height is stable and the block was executed here. Heights only grow;
    /// the certificate covers every height below. It is durable before any later action is begun.
    Final(CheckpointCertificate),
    /// Records of slots up to this one are no longer needed.
    Truncate {
        /// The last slot whose records may go.
        through: Slot,
    },
    /// Blocks up to this certificate exist and votes will not bring them here any more: fetch
    /// them. Asked again after [`Config::catch_up_interval`], of another validator.
    CatchUp {
        /// A validator that should have them.
        from: ValidatorIndex,
        /// What they can be checked against.
        certificate: CheckpointCertificate,
    },
    /// A quorum certifies another ledger than the one executed here: stop, keep the evidence. The
    /// replica answers nothing from now on.
    Halt(Divergence),
}

/// Proof that this validator executed something else than a quorum did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// What was executed here.
    pub own: CheckpointStatement,
    /// What a quorum certifies at the same height.
    pub certificate: CheckpointCertificate,
}

/// What a vote log holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub enum Record {
    /// A batch that this validator proposed or accepted.
    Batch {
        /// The slot it was meant for.
        slot: Slot,
        /// The batch.
        batch: Batch,
    },
    /// A PRE-PREPARE, PREPARE or COMMIT of this validator.
    Vote(SignedMessage),
    /// What entitles it to its COMMIT.
    Prepared(PreparedCertificate),
    /// What allows it to vote further ahead than a window above what it has executed.
    Certificate(CheckpointCertificate),
}

impl Record {
    /// The slot it is about: [`Action::Truncate`] goes by it.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match self {
            Self::Batch { slot, .. } => *slot,
            // Only votes are put into records; anything else would be kept for ever.
            Self::Vote(message) => message
                .body
                .vote()
                .map_or(Slot(u64::MAX), |(_, ballot)| ballot.slot),
            Self::Prepared(certificate) => certificate.ballot.slot,
            Self::Certificate(certificate) => certificate.statement.height.into(),
        }
    }

    /// Decodes bytes of the vote log.
    ///
    /// # Errors
    /// If they are not the canonical encoding of a record.
    pub fn decode(bytes: &[u8], limits: &ChainLimits) -> Result<Self, CodecError> {
        // The largest record is a batch with its slot and index.
        let len_max = (limits.batch_bytes_max as usize).saturating_add(64);
        decode_canonical(bytes, len_max.max(crate::message::MESSAGE_BYTES_MAX))
    }
}

/// Whether the replica wants a batch to propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// No: it is not the primary, or the window is full.
    None,
    /// Yes, if a full batch is waiting: others are in flight.
    IfFull,
    /// Yes, whatever waits: nothing is in flight, or a slot was just ordered.
    Now,
    /// Yes, even an empty one and at once: an older proposal missed its time and is accepted only
    /// together with a new one.
    EvenEmpty,
}
