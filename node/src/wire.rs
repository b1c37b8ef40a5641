//! What validators send each other besides consensus messages, on the bulk lane.
#![expect(
    clippy::cast_possible_truncation,
    reason = "in the code that parity-scale-codec derives for enums"
)]

use std::sync::Arc;

use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::codec::{CodecError, decode_canonical};
use chancery_ledger::header_log::HeaderLog;
use chancery_ledger::merkle::InclusionProof;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, ChainLimits, Hash, Header, Height};
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

/// A message of the bulk lane.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub enum BulkMessage {
    /// A batch that is being ordered.
    #[codec(index = 0)]
    Batch(Batch),
    /// Transactions for the primary to order.
    #[codec(index = 1)]
    Transactions(Vec<SignedTransaction>),
    /// Asks for executed blocks.
    #[codec(index = 2)]
    BlocksRequest {
        /// The newest block of the one who asks.
        after: Height,
        /// The newest block it wants; it holds a certificate for it.
        through: Height,
    },
    /// Executed blocks, certified.
    #[codec(index = 3)]
    Blocks(BlockRange),
    /// Asks for a part of a snapshot.
    #[codec(index = 4)]
    SnapshotRequest(SnapshotRequest),
    /// A part of a snapshot.
    #[codec(index = 5)]
    Snapshot(SnapshotPart),
}

/// Asks for a part of a snapshot; see [`crate::catch_up::snapshot`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub enum SnapshotRequest {
    /// Which snapshot there is above a height.
    #[codec(index = 0)]
    Offer {
        /// The newest block of the one who asks.
        above: Height,
    },
    /// Executed transactions, newest blocks first.
    #[codec(index = 1)]
    Blocks {
        /// The snapshot's.
        height: Height,
        /// The lowest block that the one who asks has got.
        below: Height,
    },
    /// Entries of the state, by ascending hash of the key.
    #[codec(index = 2)]
    State {
        /// The snapshot's.
        height: Height,
        /// The hash of the last key that the one who asks has got.
        after: Option<Hash>,
    },
}

/// A part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub enum SnapshotPart {
    /// Which snapshot there is.
    #[codec(index = 0)]
    Offer(Box<SnapshotOffer>),
    /// Answers [`SnapshotRequest::Blocks`].
    #[codec(index = 1)]
    Blocks {
        /// The snapshot's.
        height: Height,
        /// Each the parent of the one before.
        blocks: Vec<PastBlock>,
    },
    /// Answers [`SnapshotRequest::State`].
    #[codec(index = 2)]
    State {
        /// The snapshot's.
        height: Height,
        /// In ascending order of the key's hash.
        entries: Vec<StateEntry>,
    },
}

/// The state after a certified block can be had.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct SnapshotOffer {
    /// The block's header, whose state root the state has.
    pub header: Header,
    /// Of exactly this block.
    pub certificate: CheckpointCertificate,
    /// The edge of the header log before the header.
    pub log: HeaderLog,
}

/// A block as another validator needs it to know what was executed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct PastBlock {
    /// Its header.
    pub header: Header,
    /// Those that were executed, in order.
    pub transactions: Vec<SignedTransaction>,
}

/// An entry of the state.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct StateEntry {
    /// The key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// A block as another validator needs it to execute it again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct ReplayBlock {
    /// Its header.
    pub header: Header,
    /// The batch it was made of.
    pub batch: Batch,
}

/// Consecutive blocks, each the parent of the next; the last one is in the certified header log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct BlockRange {
    /// In order of height; never empty in a valid range.
    pub blocks: Vec<ReplayBlock>,
    /// Certifies a header log that contains the last header.
    pub certificate: CheckpointCertificate,
    /// Of the last header in that log.
    pub inclusion: InclusionProof,
}

/// The longest frame of the bulk lane: one block, or one entry of the state, of the greatest size.
#[must_use]
pub fn bulk_frame_bytes_max(limits: &ChainLimits) -> usize {
    let entry = limits.key_bytes_max + limits.value_bytes_max;
    let longest = limits.batch_bytes_max.max(limits.code_bytes_max).max(entry);
    longest as usize + 64 * 1024
}

impl BulkMessage {
    /// The frame to send.
    #[must_use]
    pub fn to_frame(&self) -> Arc<[u8]> {
        self.encode().into()
    }

    /// Reads a frame from a peer.
    ///
    /// # Errors
    /// If it is not the canonical encoding of a message within the limits.
    pub fn from_frame(frame: &[u8], limits: &ChainLimits) -> Result<Self, CodecError> {
        decode_canonical(frame, bulk_frame_bytes_max(limits))
    }
}
