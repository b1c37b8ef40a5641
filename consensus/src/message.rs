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

/// A STATUS never lists more slots: three windows of the largest size, and some to spare.
pub const STATUS_SLOTS_MAX: usize = 512;

/// No message about a ledger with so many validators and such a window is longer, in bytes. The
/// largest is a NEW-VIEW: a quorum of VIEW-CHANGEs, each with a checkpoint certificate and a
/// prepared certificate for every slot of the window.
#[must_use]
pub fn message_bytes_max(validators: usize, window_slots: u32) -> usize {
    // Indices, numbers, digests and lengths that stand around signatures, rounded up.
    const AROUND: usize = 192;
    const SIGNED_BY: usize = 66;
    let window = window_slots as usize;
    let of_signatures = |count: usize| SIGNED_BY.saturating_mul(count).saturating_add(AROUND);
    let quorum = quorum_of(validators);
    let view_change = of_signatures(quorum)
        .saturating_mul(window)
        .saturating_add(of_signatures(validators));
    let proposals = AROUND.saturating_mul(window);
    view_change
        .saturating_mul(quorum)
        .saturating_add(proposals)
        .max(65_536)
}

/// As [`chancery_ledger::ValidatorSet::quorum`] has it.
fn quorum_of(validators: usize) -> usize {
    let faulty = validators.saturating_sub(1) / 3;
    validators.saturating_add(faulty).saturating_add(2) / 2
}

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
    /// The sender's view: the active one, or the one it wants to get to.
    pub view: View,
    /// Whether `view` is not active yet: its NEW-VIEW is lacking.
    pub changing: bool,
    /// The newest height that it holds a checkpoint certificate of; 0 for genesis.
    pub stable: Height,
    /// The newest height that it has executed.
    pub executed: Height,
    /// Of this run of the sender: random, not 0, another one after each start.
    pub incarnation: u64,
    /// What it heard of each validator, itself included, in the order of the set.
    pub heard: Vec<Heard>,
    /// In increasing order.
    pub slots: Vec<SlotStatus>,
}

impl Status {
    /// What it says of a slot, listed or not.
    pub(crate) fn slot(&self, slot: Slot) -> SlotStatus {
        self.slots
            .binary_search_by_key(&slot, |here| here.slot)
            .ok()
            .and_then(|at| self.slots.get(at).copied())
            .unwrap_or(SlotStatus {
                slot,
                pre_prepare: false,
                batch: false,
                prepares: 0,
                commits: 0,
                checkpoints: 0,
            })
    }
}

/// What a validator heard of another one. By it, one who lost its memory learns that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode, DecodeWithMemTracking)]
pub struct Heard {
    /// Of its newest STATUS; 0 if there was none.
    pub incarnation: u64,
    /// The highest slot that it was seen to vote in.
    pub voted: Slot,
    /// The highest view that it was seen to sign a VIEW-CHANGE or NEW-VIEW for.
    pub left: View,
}

/// The wish to leave all views below one, with all that the sender knows to be prepared.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct ViewChange {
    /// The view that the sender wants to get to. From now on it votes in none below.
    pub view: View,
    /// Its low water mark; none if that is genesis.
    pub stable: Option<CheckpointCertificate>,
    /// For each slot above it, its prepared certificate of the highest view, if it has one: slots
    /// strictly increasing and within the window above the low water mark, views below `view`.
    pub prepared: Vec<PreparedCertificate>,
}

/// Somebody's VIEW-CHANGE inside a NEW-VIEW.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct SignedViewChange {
    /// Whose.
    pub from: ValidatorIndex,
    /// What was said.
    pub view_change: ViewChange,
    /// That of the message with this body.
    pub signature: Signature,
}

/// A PRE-PREPARE inside a NEW-VIEW: the new primary proposes what the view change selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct CarriedProposal {
    /// The slot.
    pub slot: Slot,
    /// What was selected for it.
    pub digest: BatchDigest,
    /// The new primary's, of the PRE-PREPARE with this slot and digest in the new view.
    pub signature: Signature,
}

/// A view begins: the VIEW-CHANGEs of a quorum, and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct NewView {
    /// The view.
    pub view: View,
    /// Exactly a quorum, in the order of their senders, all for `view`.
    pub view_changes: Vec<SignedViewChange>,
    /// What follows from them, in the order of slots, without a gap.
    pub proposals: Vec<CarriedProposal>,
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
    /// The sender leaves all views below one.
    ViewChange(ViewChange),
    /// The primary of a view begins it.
    NewView(NewView),
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
            Self::ViewChange(_) => "view-change",
            Self::NewView(_) => "new-view",
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
            Self::ViewChange(view_change) => view_change.encode_to(&mut bytes),
            Self::NewView(new_view) => new_view.encode_to(&mut bytes),
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
            Self::Checkpoint(_)
            | Self::Status(_)
            | Self::Certificate(_)
            | Self::ViewChange(_)
            | Self::NewView(_) => None,
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
    /// Decodes bytes from outside; `bytes_max` is of [`message_bytes_max`].
    ///
    /// # Errors
    /// If they are too long or not the canonical encoding of a message.
    pub fn decode(bytes: &[u8], bytes_max: usize) -> Result<Self, CodecError> {
        decode_canonical(bytes, bytes_max)
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
