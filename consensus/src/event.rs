//! What goes into a replica and what comes out: the whole of its interface with the world.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the derived encoders of enums cast the variant's number"
)]

use std::sync::Arc;

use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{
    Batch, ChainId, ChainLimits, CodecError, Millis, Slot, ValidatorIndex, ValidatorSet, Verified,
    View, decode_canonical,
};
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::evidence::Evidence;
use crate::message::{PreparedCertificate, SignedMessage, message_bytes_max};
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
    /// How long a view may bring nothing that is waited for before it is left. Doubled for each
    /// view change since the last progress.
    pub view_timeout: Millis,
    /// What that grows to at most.
    pub view_timeout_max: Millis,
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
            catch_up_after: Millis(1_000),
            catch_up_interval: Millis(1_000),
            loose_batches_max: 32,
            view_timeout: Millis(1_000),
            view_timeout_max: Millis(32_000),
        }
    }

    /// What messages to this replica are verified against.
    #[must_use]
    pub fn context(&self) -> Context {
        Context {
            chain: self.chain,
            validators: self.validators.clone(),
            window_slots: self.limits.window_slots,
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
    /// A number for this run: random, not 0.
    pub incarnation: u64,
    /// Whether there was no vote log where one must have been: what was promised is forgotten.
    pub vote_log_missing: bool,
}

/// What the node waits for the primary to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// Transactions wait here that the newest executed state would admit.
    Waiting,
    /// Blocks come, but the primary does not do what it should.
    Neglected(Neglect),
}

/// What a primary does that orders something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Neglect {
    /// Leaves out transactions that it has and that could be executed.
    Censored,
    /// Orders far less than others in its place did.
    Slow,
}

/// What happens to a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time passes. Expected every 50 ms or so, with what is waited for.
    Tick(Demand),
    /// A message came, from whomever; but a STATUS only from the one who signed it (M1).
    Message(VerifiedMessage),
    /// A whole batch came.
    Batch {
        /// Over whose connection: each has a share of the room for those that nothing names yet.
        from: ValidatorIndex,
        /// The batch.
        batch: Arc<Verified<Batch>>,
    },
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
    /// Somebody signed two things of which it may sign one: keep it, show it. Once for each
    /// validator and place, while the process lives.
    Evidence(Box<Evidence>),
    /// Stop, keep the reason. The replica answers nothing from now on.
    Halt(Halted),
}

/// Why a replica stopped for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halted {
    /// A quorum certifies another ledger than the one executed here.
    Diverged(Divergence),
    /// Another process votes with this validator's key.
    KeyUsedTwice {
        /// Another incarnation that enough others have heard of, again and again.
        incarnation: u64,
    },
    /// This validator signed something that its vote log does not have.
    Forgot {
        /// What.
        message: Box<SignedMessage>,
    },
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
    /// Its low water mark, which allows it to vote further ahead than a window above what it has
    /// executed.
    Certificate(CheckpointCertificate),
    /// Its newest VIEW-CHANGE: it votes in no view below.
    ViewChange(SignedMessage),
    /// The NEW-VIEW of the view it votes in; in its own one are its PRE-PREPAREs.
    NewView(SignedMessage),
    /// The newest checkpoint that is certified and executed here.
    Final(CheckpointCertificate),
    /// It has forgotten what it promised, and votes again only where that cannot hurt (M4). With
    /// the highest of all slots and views: it is not known yet where that is.
    Quarantine {
        /// Once its low water mark is above this slot,
        slots_through: Slot,
        /// and in views from this one on.
        view_least: View,
    },
}

/// The kinds of records of which only the newest one is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SingleRecord {
    /// [`Record::Certificate`]
    Certificate,
    /// [`Record::ViewChange`]
    ViewChange,
    /// [`Record::NewView`]
    NewView,
    /// [`Record::Final`]
    Final,
    /// [`Record::Quarantine`]
    Quarantine,
}

impl Record {
    /// The slot it is about, which [`Action::Truncate`] goes by; none if it is not about one. Of
    /// those, the newest of its kind is kept.
    #[must_use]
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Self::Batch { slot, .. } => Some(*slot),
            // Only votes are put into such records.
            Self::Vote(message) => message.body.vote().map(|(_, ballot)| ballot.slot),
            Self::Prepared(certificate) => Some(certificate.ballot.slot),
            Self::Certificate(_)
            | Self::ViewChange(_)
            | Self::NewView(_)
            | Self::Final(_)
            | Self::Quarantine { .. } => None,
        }
    }

    /// Its kind, if only the newest record of that kind is kept: the one written last.
    #[must_use]
    pub fn single(&self) -> Option<SingleRecord> {
        match self {
            Self::Batch { .. } | Self::Vote(_) | Self::Prepared(_) => None,
            Self::Certificate(_) => Some(SingleRecord::Certificate),
            Self::ViewChange(_) => Some(SingleRecord::ViewChange),
            Self::NewView(_) => Some(SingleRecord::NewView),
            Self::Final(_) => Some(SingleRecord::Final),
            Self::Quarantine { .. } => Some(SingleRecord::Quarantine),
        }
    }

    /// The certificate of a height that the vote log has by itself.
    #[must_use]
    pub fn certificate(&self) -> Option<&CheckpointCertificate> {
        match self {
            Self::Certificate(certificate) | Self::Final(certificate) => Some(certificate),
            Self::Batch { .. }
            | Self::Vote(_)
            | Self::Prepared(_)
            | Self::ViewChange(_)
            | Self::NewView(_)
            | Self::Quarantine { .. } => None,
        }
    }

    /// Decodes bytes of the vote log.
    ///
    /// # Errors
    /// If they are not the canonical encoding of a record.
    pub fn decode(bytes: &[u8], limits: &ChainLimits) -> Result<Self, CodecError> {
        // The largest record is a batch with its slot and index, or a NEW-VIEW.
        let batch = (limits.batch_bytes_max as usize).saturating_add(64);
        let new_view = message_bytes_max(
            chancery_ledger::validators::VALIDATORS_MAX,
            limits.window_slots,
        )
        .saturating_add(1);
        decode_canonical(bytes, batch.max(new_view))
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
}
