//! RFC 6962 Merkle trees over SHA-256: built with rs_merkle, verified by code of our own.
//!
//! Leaf = SHA-256(0x00 || bytes), inner node = SHA-256(0x01 || left || right), the root over no
//! leaves is SHA-256 of nothing. A tree of n > 1 leaves splits at the largest power of two below n.
//! Proofs are those of RFC 6962 section 2.1, verified by RFC 9162 sections 2.1.3.2 and 2.1.4.2:
//! one leaf at a time, the index below the size, the path of exactly the length that index and
//! size call for, nothing left over.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};
use rs_merkle::{Hasher, MerkleTree};

use crate::Hash;
use crate::hash::{sha256, sha256_concat};

/// The hash of a leaf: SHA-256(0x00 || bytes).
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    sha256_concat(&[&[0], bytes])
}

/// The hash of an inner node: SHA-256(0x01 || left || right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256_concat(&[&[1], &left.0, &right.0])
}

/// The root over `leaves`; SHA-256 of nothing where there are none.
#[must_use]
pub fn root(leaves: impl IntoIterator<Item = Vec<u8>>) -> Hash {
    tree(leaves).root().map_or_else(|| sha256(&[]), Hash)
}

/// The proof that leaf `index` stands in the tree over `leaves`; none if there is no such leaf.
#[must_use]
pub fn prove_inclusion(
    leaves: impl IntoIterator<Item = Vec<u8>>,
    index: u64,
) -> Option<InclusionProof> {
    let tree = tree(leaves);
    let position = usize::try_from(index)
        .ok()
        .filter(|position| *position < tree.leaves_len())?;
    let path = tree.proof(&[position]).proof_hashes().to_vec();
    Some(InclusionProof {
        leaf_index: index,
        tree_size: u64::try_from(tree.leaves_len()).ok()?,
        path: path.into_iter().map(Hash).collect(),
    })
}

/// Why a Merkle proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// A leaf that the tree does not have.
    #[error("there is no leaf {leaf_index} in a tree of {tree_size}")]
    NoSuchLeaf {
        /// The index.
        leaf_index: u64,
        /// How many leaves there are.
        tree_size: u64,
    },
    /// The later tree is smaller than the earlier, or the earlier is empty, about which there is
    /// nothing to prove.
    #[error("a tree of {earlier} leaves and one of {later} have no consistency to prove")]
    Sizes {
        /// Leaves of the earlier tree.
        earlier: u64,
        /// Leaves of the later tree.
        later: u64,
    },
    /// Too few or too many hashes.
    #[error("the proof has {given} hashes, it must have {expected}")]
    Length {
        /// How many it has.
        given: usize,
        /// How many the sizes call for.
        expected: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to root {computed}, not to {expected}")]
    WrongRoot {
        /// What they lead to.
        computed: Hash,
        /// What was asked about.
        expected: Hash,
    },
}

/// That a leaf stands at an index of a tree of a certain size.
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
pub struct InclusionProof {
    /// Which leaf, counted from 0.
    pub leaf_index: u64,
    /// Leaves of the tree.
    pub tree_size: u64,
    /// From the leaf's sibling up to a child of the root.
    pub path: Vec<Hash>,
}

impl InclusionProof {
    /// Checks that the leaf of hash `leaf_hash` stands at `leaf_index` of the tree of `tree_size`
    /// leaves below `root` (RFC 9162 section 2.1.3.2). The index is proven; the size is so only as
    /// far as it decides the shape of the path, and must come from where the root comes from.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, leaf_hash: &Hash, root: &Hash) -> Result<(), MerkleError> {
        let Self {
            leaf_index,
            tree_size,
            ..
        } = *self;
        if leaf_index >= tree_size {
            return Err(MerkleError::NoSuchLeaf {
                leaf_index,
                tree_size,
            });
        }
        check_length(&self.path, inclusion_path_len(leaf_index, tree_size))?;
        let (mut index, mut last) = (leaf_index, tree_size - 1);
        let mut hash = *leaf_hash;
        for sibling in &self.path {
            if index & 1 == 1 || index == last {
                hash = node_hash(sibling, &hash);
                while index & 1 == 0 && index != 0 {
                    index >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            index >>= 1;
            last >>= 1;
        }
        assert_eq!(last, 0, "a path of the right length ends at the root");
        check_root(&hash, root)
    }
}

/// That a tree is the beginning of a larger one.
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
pub struct ConsistencyProof {
    /// Leaves of the earlier tree.
    pub earlier_size: u64,
    /// Leaves of the later tree.
    pub later_size: u64,
    /// As in RFC 6962 section 2.1.2; empty where the sizes are equal.
    pub path: Vec<Hash>,
}

impl ConsistencyProof {
    /// Checks that the tree below `earlier_root` is the beginning of the tree below `later_root`
    /// (RFC 9162 section 2.1.4.2).
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, earlier_root: &Hash, later_root: &Hash) -> Result<(), MerkleError> {
        let (earlier, later) = (self.earlier_size, self.later_size);
        if earlier == 0 || earlier > later {
            return Err(MerkleError::Sizes { earlier, later });
        }
        check_length(&self.path, consistency_path_len(earlier, later))?;
        if earlier == later {
            return check_root(later_root, earlier_root);
        }
        let (mut index, mut last) = (earlier - 1, later - 1);
        while index & 1 == 1 {
            index >>= 1;
            last >>= 1;
        }
        let mut path = self.path.iter();
        // A whole earlier tree is a node of the later one, which need not be told again.
        let start = if earlier.is_power_of_two() {
            *earlier_root
        } else {
            *path.next().expect("its length was checked, and is not 0")
        };
        let (mut earlier_hash, mut later_hash) = (start, start);
        for sibling in path {
            if index & 1 == 1 || index == last {
                earlier_hash = node_hash(sibling, &earlier_hash);
                later_hash = node_hash(sibling, &later_hash);
                while index & 1 == 0 && index != 0 {
                    index >>= 1;
                    last >>= 1;
                }
            } else {
                later_hash = node_hash(&later_hash, sibling);
            }
            index >>= 1;
            last >>= 1;
        }
        assert_eq!(last, 0, "a path of the right length ends at the root");
        check_root(&earlier_hash, earlier_root)?;
        check_root(&later_hash, later_root)
    }
}

/// Checks a consistency proof, see [`ConsistencyProof::verify`].
///
/// # Errors
/// The first rule that is broken.
pub fn verify_consistency(
    earlier: (u64, &Hash),
    later: (u64, &Hash),
    path: &[Hash],
) -> Result<(), MerkleError> {
    let proof = ConsistencyProof {
        earlier_size: earlier.0,
        later_size: later.0,
        path: path.to_vec(),
    };
    proof.verify(earlier.1, later.1)
}

/// How many siblings lie on the way from leaf `index` to the root of a tree of `size` leaves:
/// every level below the one where the way joins the right edge has one, above it only those
/// levels at which the right edge has a left sibling.
fn inclusion_path_len(index: u64, size: u64) -> usize {
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    usize::try_from(inner + border).expect("at most 128")
}

/// How many hashes prove consistency: the way up from the last whole subtree of the earlier tree,
/// and that subtree itself unless it is the earlier tree.
fn consistency_path_len(earlier: u64, later: u64) -> usize {
    if earlier == later {
        return 0;
    }
    let shift = earlier.trailing_zeros();
    let way = inclusion_path_len((earlier - 1) >> shift, ((later - 1) >> shift) + 1);
    way + usize::from(!earlier.is_power_of_two())
}

fn check_length(path: &[Hash], expected: usize) -> Result<(), MerkleError> {
    let given = path.len();
    if given == expected {
        Ok(())
    } else {
        Err(MerkleError::Length { given, expected })
    }
}

fn check_root(computed: &Hash, expected: &Hash) -> Result<(), MerkleError> {
    if computed == expected {
        Ok(())
    } else {
        Err(MerkleError::WrongRoot {
            computed: *computed,
            expected: *expected,
        })
    }
}

/// Hashes as RFC 6962 does; rs_merkle promotes a lone node, which is RFC 6962's shape.
#[derive(Clone, Debug)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        leaf_hash(data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| node_hash(&Hash(*left), &Hash(*right)).0)
    }
}

fn tree(leaves: impl IntoIterator<Item = Vec<u8>>) -> MerkleTree<Rfc6962> {
    let hashes: Vec<[u8; 32]> = leaves.into_iter().map(|leaf| leaf_hash(&leaf).0).collect();
    MerkleTree::from_leaves(&hashes)
}
