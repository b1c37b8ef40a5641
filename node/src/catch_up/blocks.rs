//! Blocks to be executed again: serving them, and checking them against a certified checkpoint.

use chancery_ledger::checkpoint::{CertificateError, CheckpointCertificate};
use chancery_ledger::merkle::MerkleError;
use chancery_ledger::{BatchDigest, ChainId, ChainLimits, Hash, Header, Height, ValidatorSet};
use parity_scale_codec::Encode as _;

use crate::store::Snapshot;
use crate::wire::{BlockRange, ReplayBlock};

/// The most blocks in one range.
pub const RANGE_BLOCKS_MAX: usize = 256;

/// The most bytes of blocks in one range, unless its first block alone has more.
pub const RANGE_BYTES_MAX: usize = 512 * 1024;

/// Why a range of blocks is not what the certificate stands for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// No block in it, or more than [`RANGE_BLOCKS_MAX`].
    #[error("{count} blocks, between 1 and {RANGE_BLOCKS_MAX} are allowed")]
    Count {
        /// How many.
        count: usize,
    },
    /// The certificate does not hold.
    #[error("the certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// A block that does not follow the one before it.
    #[error("block {height} does not follow {parent}")]
    NotAChain {
        /// The block.
        height: Height,
        /// What it should follow.
        parent: Hash,
    },
    /// A header of another batch.
    #[error("block {height} is made of another batch than {digest}")]
    OtherBatch {
        /// The block.
        height: Height,
        /// The batch given with it.
        digest: BatchDigest,
    },
    /// The last header is not in the certified log.
    #[error("the last header is not in the certified log: {0}")]
    NotCertified(MerkleError),
    /// The inclusion proof is about another leaf or another log.
    #[error(
        "the proof is of leaf {leaf} in a log of {size}, the last block is {height} and the certificate covers {certified}"
    )]
    OtherProof {
        /// The proof's leaf.
        leaf: u64,
        /// The proof's log size.
        size: u64,
        /// The last block.
        height: Height,
        /// The certified height.
        certified: Height,
    },
}

/// The blocks above `after` up to at most `through`, as many as one answer may hold; `None` where
/// this node has none, or no certificate that covers them. `newest` is the newest certificate,
/// which the store gets only with a later block.
#[must_use]
pub fn serve(
    snapshot: &Snapshot,
    newest: Option<CheckpointCertificate>,
    limits: &ChainLimits,
    after: Height,
    through: Height,
) -> Option<BlockRange> {
    let mut blocks = Vec::new();
    let mut bytes = 0;
    // The numbers are the peer's; blocks exist only up to the tip.
    while blocks.len() < RANGE_BLOCKS_MAX {
        let asked = after.0.checked_add(1 + blocks.len() as u64).map(Height);
        let asked = asked.filter(|height| *height <= through);
        let Some(block) = asked.and_then(|height| snapshot.block(height)) else {
            break;
        };
        let block = ReplayBlock {
            header: block.header,
            batch: block.batch,
        };
        bytes += block.encoded_size();
        // A frame of the bulk lane has room for one block of the greatest size.
        let bytes_max = RANGE_BYTES_MAX.min(limits.batch_bytes_max as usize);
        if bytes > bytes_max && !blocks.is_empty() {
            break;
        }
        blocks.push(block);
    }
    let last = blocks.last()?.header.height;
    let certificate = snapshot
        .certificate_at_or_after(last)
        .or(newest.filter(|newest| newest.statement.height >= last))?;
    let size = certificate.statement.height.next().0;
    let inclusion = chancery_ledger::header_log::inclusion_proof(last.0, size, &|level, index| {
        snapshot.log_node(level, index)
    })?;
    Some(BlockRange {
        blocks,
        certificate,
        inclusion,
    })
}

/// Checks that `range` continues `tip` and is certified from end to end.
///
/// # Errors
/// The first rule that is broken.
pub fn verify(
    range: &BlockRange,
    tip: &Header,
    chain: ChainId,
    validators: &ValidatorSet,
) -> Result<(), RangeError> {
    let count = range.blocks.len();
    if count > RANGE_BLOCKS_MAX {
        return Err(RangeError::Count { count });
    }
    let last = &range
        .blocks
        .last()
        .ok_or(RangeError::Count { count })?
        .header;
    let (mut height, mut parent) = (tip.height, tip.hash());
    for ReplayBlock { header, batch } in &range.blocks {
        if header.height.0.checked_sub(1) != Some(height.0) || header.parent != parent {
            return Err(RangeError::NotAChain {
                height: header.height,
                parent,
            });
        }
        let digest = batch.digest();
        if header.batch != digest {
            return Err(RangeError::OtherBatch {
                height: header.height,
                digest,
            });
        }
        (height, parent) = (header.height, header.hash());
    }
    let certified = range.certificate.statement.height;
    let (leaf, size) = (range.inclusion.leaf_index, range.inclusion.tree_size);
    if leaf != last.height.0 || certified.0.checked_add(1) != Some(size) {
        return Err(RangeError::OtherProof {
            leaf,
            size,
            height: last.height,
            certified,
        });
    }
    range
        .inclusion
        .verify(&parent, &range.certificate.statement.root)
        .map_err(RangeError::NotCertified)?;
    // Last, because it costs a quorum of signature checks.
    range.certificate.verify(chain, validators)?;
    Ok(())
}
