//! The header log: the RFC 6962 tree whose leaf h is the header of block h. A validator keeps only
//! its right edge ([`HeaderLog`]); a store keeps the nodes that [`HeaderLog::append`] hands out,
//! and answers proofs for any earlier size from them.
//!
//! A stored node (level, index) is the root over leaves `index * 2^level` to
//! `(index + 1) * 2^level - 1`, all present, so that it never changes again. A log of n leaves has
//! at most 2n of them.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode, Error, Input};

use crate::Hash;
use crate::hash::sha256;
use crate::merkle::{ConsistencyProof, InclusionProof, node_hash};

/// A node of the log that is complete, for a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogNode {
    /// 0 for a leaf.
    pub level: u8,
    /// The position among the nodes of its level.
    pub index: u64,
    /// The root over its 2^level leaves.
    pub hash: Hash,
}

/// The right edge of the log (a compact range): its size and the roots of the whole subtrees that
/// it consists of. Enough to append and to compute the root.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode)]
pub struct HeaderLog {
    size: u64,
    /// One for each bit set in `size`, the largest subtree first.
    peaks: Vec<Hash>,
}

impl HeaderLog {
    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the whole subtrees that the log consists of, the largest first. A store that
    /// has them, and every node that [`HeaderLog::append`] completes from now on, can prove every
    /// leaf from now on, though it has no earlier one.
    #[must_use]
    pub fn peaks(&self) -> Vec<LogNode> {
        let places = peak_places(self.size).zip(&self.peaks);
        places
            .map(|((level, index), hash)| LogNode {
                level,
                index,
                hash: *hash,
            })
            .collect()
    }

    /// The edge that the log had when it had `size` leaves, from stored nodes
    /// (`node(level, index)`); none if one is missing.
    #[must_use]
    pub fn of_size(size: u64, node: &dyn Fn(u8, u64) -> Option<Hash>) -> Option<Self> {
        let peaks = peak_places(size).map(|(level, index)| node(level, index));
        let peaks = peaks.collect::<Option<_>>()?;
        Some(Self { size, peaks })
    }

    /// Appends a leaf, given as its leaf hash ([`crate::Header::hash`]).
    ///
    /// Returns every node that it completes: the leaf, then its ancestors upwards.
    ///
    /// # Panics
    /// At 2^64 - 1 leaves, which no ledger reaches.
    pub fn append(&mut self, leaf_hash: Hash) -> Vec<LogNode> {
        let mut node = LogNode {
            level: 0,
            index: self.size,
            hash: leaf_hash,
        };
        self.size = self
            .size
            .checked_add(1)
            .expect("a ledger never has 2^64 blocks");
        let mut complete = vec![node];
        while node.index & 1 == 1 {
            let left = self
                .peaks
                .pop()
                .expect("an odd node has its left sibling at the edge");
            node = LogNode {
                level: node.level + 1,
                index: node.index >> 1,
                hash: node_hash(&left, &node.hash),
            };
            complete.push(node);
        }
        self.peaks.push(node.hash);
        complete
    }

    /// The RFC 6962 root; SHA-256 of nothing while there are no leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        let smallest_first = self.peaks.iter().rev().copied();
        smallest_first
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(|| sha256(&[]))
    }
}

/// Level and index of each whole subtree of a log of `size` leaves, the largest first.
fn peak_places(size: u64) -> impl Iterator<Item = (u8, u64)> {
    let whole = (0..64_u8).rev().filter(move |level| size >> level & 1 == 1);
    // Before it stand as many leaves as the higher bits of `size` say.
    whole.map(move |level| (level, (size >> level) - 1))
}

impl Decode for HeaderLog {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let size = u64::decode(input)?;
        let peaks = Vec::<Hash>::decode(input)?;
        if u32::try_from(peaks.len()) == Ok(size.count_ones()) {
            Ok(Self { size, peaks })
        } else {
            Err("the edge of a log has one hash for each bit set in its size".into())
        }
    }
}

impl DecodeWithMemTracking for HeaderLog {}

/// The proof that leaf `index` stands in the log when it has `size` leaves, from stored nodes
/// (`node(level, index)`); none if there is no such leaf or a node is missing.
#[must_use]
pub fn inclusion_proof(
    index: u64,
    size: u64,
    node: &dyn Fn(u8, u64) -> Option<Hash>,
) -> Option<InclusionProof> {
    if index >= size {
        return None;
    }
    let mut path = Vec::new();
    let mut range = Range {
        start: 0,
        len: size,
    };
    while range.len > 1 {
        let (left, right) = range.halves();
        if index < right.start {
            path.push(right.root(node)?);
            range = left;
        } else {
            path.push(left.root(node)?);
            range = right;
        }
    }
    path.reverse();
    Some(InclusionProof {
        leaf_index: index,
        tree_size: size,
        path,
    })
}

/// The proof that the log of `earlier_size` leaves is the beginning of the log of `later_size`,
/// from stored nodes; none if the earlier is empty or not smaller or equal, or a node is missing.
#[must_use]
pub fn consistency_proof(
    earlier_size: u64,
    later_size: u64,
    node: &dyn Fn(u8, u64) -> Option<Hash>,
) -> Option<ConsistencyProof> {
    if earlier_size == 0 || earlier_size > later_size {
        return None;
    }
    let mut path = Vec::new();
    let mut range = Range {
        start: 0,
        len: later_size,
    };
    // RFC 6962's SUBPROOF: down to the subtree that ends where the earlier tree ends.
    while range.end() != earlier_size {
        let (left, right) = range.halves();
        if earlier_size <= right.start {
            path.push(right.root(node)?);
            range = left;
        } else {
            path.push(left.root(node)?);
            range = right;
        }
    }
    // The verifier knows the root of the earlier tree, but no other one.
    if range.start != 0 {
        path.push(range.root(node)?);
    }
    path.reverse();
    Some(ConsistencyProof {
        earlier_size,
        later_size,
        path,
    })
}

/// The leaves below one node of the tree: `start` is a multiple of the next power of two of `len`.
#[derive(Clone, Copy)]
struct Range {
    start: u64,
    len: u64,
}

impl Range {
    fn end(self) -> u64 {
        self.start + self.len
    }

    /// Splits at the largest power of two below `len`, which is at least 2.
    fn halves(self) -> (Self, Self) {
        let left_len = 1 << (self.len - 1).ilog2();
        (
            Self {
                start: self.start,
                len: left_len,
            },
            Self {
                start: self.start + left_len,
                len: self.len - left_len,
            },
        )
    }

    fn root(self, node: &dyn Fn(u8, u64) -> Option<Hash>) -> Option<Hash> {
        if self.len.is_power_of_two() {
            let level = self.len.trailing_zeros();
            let level = u8::try_from(level).expect("below 64");
            return node(level, self.start >> level);
        }
        let (left, right) = self.halves();
        Some(node_hash(&left.root(node)?, &right.root(node)?))
    }
}
