//! What validators send each other besides consensus messages, on the bulk lane.
#![expect(
    clippy::cast_possible_truncation,
    reason = "in the code that parity-scale-codec derives for enums"
)]

use std::sync::Arc;

use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::codec::{CodecError, decode_canonical};
use chancery_ledger::merkle::InclusionProof;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, ChainLimits, Header, Height};
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

/// The longest frame of the bulk lane: a range may hold one block of the greatest size.
#[must_use]
pub fn bulk_frame_bytes_max(limits: &ChainLimits) -> usize {
    limits.batch_bytes_max as usize + 64 * 1024
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
