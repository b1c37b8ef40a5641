//! Proof that the state holds a value under a key, or nothing: the way from the key's place in
//! the state tree up to the root in a block's header.
//!
//! To verify, take the end of the path: the leaf SHA-256(0x00 || key hash || value hash), or 32
//! zero bytes. For each hash of the path, the first being the lowest, with `depth` counting down
//! from its length - 1 to 0: where bit `depth` of SHA-256(key) (from the most significant) is 0,
//! the path's hash is the right sibling, else the left one; the next is
//! SHA-256(0x01 || left || right). The last must be the root.
//!
//! Presence: the end is a leaf with the key's hash and the value's hash. Absence: the end is empty,
//! or the leaf of another key that stands alone where this key would be, shown as two hashes only,
//! so that absence discloses nobody's key or value.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the derived encoders of enums cast the variant's number"
)]

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::Hash;
use crate::merkle::node_hash;
use crate::state_tree::{
    DEPTH_MAX, EMPTY, goes_right, key_hash, leaf_hash, shared_bits, value_hash,
};

/// What stands at a key's place.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PathEnd {
    /// Nothing.
    #[codec(index = 0)]
    Empty,
    /// A leaf: the key's own, or that of another key which shares the path so far.
    #[codec(index = 1)]
    Leaf {
        /// SHA-256 of the leaf's key.
        key_hash: Hash,
        /// SHA-256 of its value.
        value_hash: Hash,
    },
}

/// The way from a key's place to the root.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct StateProof {
    /// The siblings, from that of the end up to a child of the root.
    pub path: Vec<Hash>,
    /// What the path leads to.
    pub end: PathEnd,
}

/// Why a state proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateProofError {
    /// Longer than a key hash has bits.
    #[error("the path has {len} hashes, at most {DEPTH_MAX} are possible")]
    PathTooLong {
        /// How many.
        len: usize,
    },
    /// One leaf or none stands below a node, where the tree would have that leaf or nothing.
    #[error("the lowest sibling is empty: no tree has such a path")]
    LoneEnd,
    /// The end is a leaf that cannot stand on the key's path.
    #[error("the leaf shares {shared} bits with the key, the path has {len}")]
    OffPath {
        /// Bits that the two key hashes share.
        shared: usize,
        /// The path's length.
        len: usize,
    },
    /// Presence was to be proven, and something else stands there.
    #[error("the key is not at the end of the path")]
    Absent,
    /// Presence was to be proven, and the key has another value.
    #[error("the key has another value")]
    OtherValue,
    /// Presence of an empty value, which no state has.
    #[error("no key has an empty value")]
    EmptyValue,
    /// Absence was to be proven, and the key is there.
    #[error("the key is present")]
    Present,
    /// The path leads to another root.
    #[error("the path leads to root {computed}, not to {expected}")]
    WrongRoot {
        /// What it leads to.
        computed: Hash,
        /// What was asked about.
        expected: Hash,
    },
}

impl StateProof {
    /// Checks that the state below `root` has `value` under `key`.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify_presence(
        &self,
        root: &Hash,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StateProofError> {
        if value.is_empty() {
            return Err(StateProofError::EmptyValue);
        }
        self.verify_presence_at(root, &key_hash(key), &value_hash(value))
    }

    /// Checks that the state below `root` has nothing under `key`.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify_absence(&self, root: &Hash, key: &[u8]) -> Result<(), StateProofError> {
        self.verify_absence_at(root, &key_hash(key))
    }

    pub(crate) fn verify_presence_at(
        &self,
        root: &Hash,
        place: &Hash,
        value: &Hash,
    ) -> Result<(), StateProofError> {
        self.verify_path(root, place)?;
        match &self.end {
            PathEnd::Empty => Err(StateProofError::Absent),
            PathEnd::Leaf { key_hash, .. } if key_hash != place => Err(StateProofError::Absent),
            PathEnd::Leaf { value_hash, .. } if value_hash != value => {
                Err(StateProofError::OtherValue)
            }
            PathEnd::Leaf { .. } => Ok(()),
        }
    }

    pub(crate) fn verify_absence_at(
        &self,
        root: &Hash,
        place: &Hash,
    ) -> Result<(), StateProofError> {
        self.verify_path(root, place)?;
        match &self.end {
            PathEnd::Leaf { key_hash, .. } if key_hash == place => Err(StateProofError::Present),
            PathEnd::Leaf { .. } | PathEnd::Empty => Ok(()),
        }
    }

    /// Checks that the tree below `root` has `end` where the path to `place` ends.
    fn verify_path(&self, root: &Hash, place: &Hash) -> Result<(), StateProofError> {
        let len = self.path.len();
        if len > DEPTH_MAX {
            return Err(StateProofError::PathTooLong { len });
        }
        if self.path.first() == Some(&EMPTY) {
            return Err(StateProofError::LoneEnd);
        }
        let end = match &self.end {
            PathEnd::Empty => EMPTY,
            PathEnd::Leaf {
                key_hash,
                value_hash,
            } => {
                let shared = shared_bits(key_hash, place);
                if shared < len {
                    return Err(StateProofError::OffPath { shared, len });
                }
                leaf_hash(key_hash, value_hash)
            }
        };
        let depths = (0..len).rev();
        let computed = depths.zip(&self.path).fold(end, |hash, (depth, sibling)| {
            if goes_right(place, depth) {
                node_hash(sibling, &hash)
            } else {
                node_hash(&hash, sibling)
            }
        });
        if computed == *root {
            Ok(())
        } else {
            Err(StateProofError::WrongRoot {
                computed,
                expected: *root,
            })
        }
    }
}
