//! What validators say to each other, its bytes, and what of them is signed.
//!
//! A vote is signed over `"chancery/v1/" kind 0x00 chain_id epoch SCALE(body)`; a CHECKPOINT is the
//! one exception, it is a C2SP `cosignature/v1`. All these prefixes differ, so that one key serves
//! every kind and a signature of one kind never is one of another.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the derived encoders of enums cast the variant's number"
)]

use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{
    BatchDigest, ChainId, CodecError, Epoch, Height, Signature, Slot, ValidatorIndex, View,
    decode_canonical,
};
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

/// An encoded message is never longer; the largest is a STATUS with [`STATUS_SLOTS_MAX`] slots.
pub const MESSAGE_BYTES_MAX: usize = 65_536;

/// A STATUS never lists more slots.
pub const STATUS_SLOTS_MAX: usize = 2_048;

/// What the three ordering messages say: in this view, this batch is in this slot.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking,
)]
pub struct Ballot {
    /// The view it is cast in.
    pub view: View,
    /// The slot.
    pub slot: Slot,
    /// The batch.
    pub digest: BatchDigest,
}

/// Which of the three ordering messages a [`Ballot`] is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VoteKind {
    /// The primary's proposal, which counts as its PREPARE.
    PrePrepare,
    /// A backup accepted the proposal.
    Prepare,
    /// The sender holds a prepared certificate.
    Commit,
}

/// What of one slot is here. A bitmap's bit i stands for validator i.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct SlotStatus {
    /// The slot.
    pub slot: Slot,
    /// Whether the PRE-PREPARE of the sender's view is here.
    pub pre_prepare: bool,
    /// Whether the batch that the slot seems to be getting is here.
    pub batch: bool,
    /// Whose PREPAREs of the sender's view are here.
    pub prepares: u32,
    /// Whose COMMITs of the sender's view are here.
    pub commits: u32,
    /// Whose CHECKPOINTs of the slot's block are here.
    pub checkpoints: u32,
}

/// What a validator has, so that others send what it lacks. Slots that are not listed are empty.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct Status {
    /// The sender's view.
    pub view: View,
    /// The newest height that it holds a checkpoint certificate of; 0 for genesis.
    pub stable: Height,
    /// The newest height that it has executed.
    pub executed: Height,
    /// In increasing order.
    pub slots: Vec<SlotStatus>,
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub enum Body {
    /// The primary puts a batch into a slot.
    PrePrepare(Ballot),
    /// A backup accepted that.
    Prepare(Ballot),
    /// The sender holds a prepared certificate for it.
    Commit(Ballot),
    /// The sender executed up to a height; the message's signature is the cosignature.
    Checkpoint(CheckpointStatement),
    /// What the sender has.
    Status(Status),
    /// A stable checkpoint, for one who is behind.
    Certificate(CheckpointCertificate),
}

impl Body {
    /// The message's name in signed bytes and in logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PrePrepare(_) => "pre-prepare",
            Self::Prepare(_) => "prepare",
            Self::Commit(_) => "commit",
            Self::Checkpoint(_) => "checkpoint",
            Self::Status(_) => "status",
            Self::Certificate(_) => "certificate",
        }
    }

    /// The bytes that its sender signs.
    ///
    /// # Panics
    /// For a CHECKPOINT of height 2^64 - 1, which [`SignedMessage::verify`] refuses before it gets
    /// here and no ledger reaches.
    #[must_use]
    pub fn signed_bytes(&self, chain: ChainId, epoch: Epoch) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(b"chancery/v1/");
        bytes.extend_from_slice(self.kind().as_bytes());
        bytes.push(0);
        chain.encode_to(&mut bytes);
        epoch.encode_to(&mut bytes);
        match self {
            Self::PrePrepare(ballot) | Self::Prepare(ballot) | Self::Commit(ballot) => {
                ballot.encode_to(&mut bytes);
            }
            Self::Checkpoint(statement) => return statement.cosigned_bytes(),
            Self::Status(status) => status.encode_to(&mut bytes),
            Self::Certificate(certificate) => certificate.encode_to(&mut bytes),
        }
        bytes
    }

    /// The body of a vote.
    #[must_use]
    pub fn of_vote(kind: VoteKind, ballot: Ballot) -> Self {
        match kind {
            VoteKind::PrePrepare => Self::PrePrepare(ballot),
            VoteKind::Prepare => Self::Prepare(ballot),
            VoteKind::Commit => Self::Commit(ballot),
        }
    }

    /// The vote it is, if it is one.
    #[must_use]
    pub fn vote(&self) -> Option<(VoteKind, Ballot)> {
        match self {
            Self::PrePrepare(ballot) => Some((VoteKind::PrePrepare, *ballot)),
            Self::Prepare(ballot) => Some((VoteKind::Prepare, *ballot)),
            Self::Commit(ballot) => Some((VoteKind::Commit, *ballot)),
            Self::Checkpoint(_) | Self::Status(_) | Self::Certificate(_) => None,
        }
    }
}

/// A message as it travels and as it is kept; not yet verified.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct SignedMessage {
    /// The ledger it is about.
    pub chain: ChainId,
    /// The term of the validator set it is cast in.
    pub epoch: Epoch,
    /// Who says it.
    pub from: ValidatorIndex,
    /// What is said.
    pub body: Body,
    /// By `from`, over [`Body::signed_bytes`], valid by the strict rule.
    pub signature: Signature,
}

impl SignedMessage {
    /// Decodes bytes from outside.
    ///
    /// # Errors
    /// If they are too long or not the canonical encoding of a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode_canonical(bytes, MESSAGE_BYTES_MAX)
    }
}

/// One validator's signature under the votes of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct VoteSignature {
    /// Whose.
    pub validator: ValidatorIndex,
    /// Its vote's signature.
    pub signature: Signature,
}

/// Proof that a quorum accepted one ballot: the primary's PRE-PREPARE and the PREPAREs of others.
/// No other digest can have one for the same slot in the same view.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct PreparedCertificate {
    /// What was accepted.
    pub ballot: Ballot,
    /// The primary's signature of the PRE-PREPARE.
    pub pre_prepare: Signature,
    /// The backups' signatures of PREPAREs, sorted by validator.
    pub prepares: Vec<VoteSignature>,
}
