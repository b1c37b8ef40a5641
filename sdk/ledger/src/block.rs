//! What deterministic execution makes of an ordered batch.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::hash::sha256_concat;
use crate::{Batch, BatchDigest, ChainId, Epoch, Hash, Height, Millis, decode_canonical, merkle};
use crate::{Receipt, codec::CodecError, transaction::SignedTransaction};

/// An encoded header is never longer.
pub const HEADER_BYTES_MAX: usize = 512;

/// The version of everything that changes results: formats, execution, the Wasm engine.
pub const PROTOCOL_VERSION: u16 = 1;

/// Where a transaction was executed. Places compare in the order of execution.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct TransactionPlace {
    /// The block.
    pub height: Height,
    /// Among the executed transactions of the block, from 0.
    pub index: u32,
}

/// The header of a block: leaf `height` of the header log is SCALE of this. It has no view in it:
/// the same batch makes the same block whatever view ordered it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct Header {
    /// [`PROTOCOL_VERSION`] of the rules it was made by.
    pub version: u16,
    /// The ledger.
    pub chain: ChainId,
    /// The term of the validator set that ordered it.
    pub epoch: Epoch,
    /// Its position; genesis is 0.
    pub height: Height,
    /// The [`Header::hash`] of the block before; zero for genesis.
    pub parent: Hash,
    /// max(proposed time, parent's + 1 ms).
    pub time: Millis,
    /// The batch that was ordered (with the transactions that execution dropped).
    pub batch: BatchDigest,
    /// RFC 6962 root over SCALE of each executed [`SignedTransaction`].
    pub transactions_root: Hash,
    /// Leaves below `transactions_root` and below `receipts_root`.
    pub transactions_count: u32,
    /// RFC 6962 root over SCALE of each [`Receipt`], in the same order.
    pub receipts_root: Hash,
    /// Root of the state tree after this block.
    pub state_root: Hash,
    /// Leaves below `state_root`.
    pub state_count: u64,
}

impl Header {
    /// The RFC 6962 leaf hash in the header log, which is also how a child names its parent.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256_concat(&[&[0], &self.encode()])
    }

    /// The time of the block that is made of `batch` on top of this one.
    #[must_use]
    pub fn time_of_next(&self, batch: &Batch) -> Millis {
        batch.proposed_time.max(self.time.saturating_add(Millis(1)))
    }

    /// Decodes bytes from outside.
    ///
    /// # Errors
    /// If they are not the canonical encoding of a header.
    pub fn decode_strict(bytes: &[u8]) -> Result<Self, CodecError> {
        decode_canonical(bytes, HEADER_BYTES_MAX)
    }
}

/// The root over a block's executed transactions.
#[must_use]
pub fn transactions_root(transactions: &[SignedTransaction]) -> Hash {
    merkle::root(transactions.iter().map(Encode::encode))
}

/// The root over a block's receipts.
#[must_use]
pub fn receipts_root(receipts: &[Receipt]) -> Hash {
    merkle::root(receipts.iter().map(Encode::encode))
}
