//! RFC 6962 Merkle trees over SHA-256: built with rs_merkle, verified by code of our own.

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

/// The root over `leaves`; SHA-256 of nothing where there are none.
#[must_use]
pub fn root(leaves: impl IntoIterator<Item = Vec<u8>>) -> Hash {
    tree(leaves).root().map_or_else(|| sha256(&[]), Hash)
}

fn tree(leaves: impl IntoIterator<Item = Vec<u8>>) -> MerkleTree<Rfc6962> {
    let hashes: Vec<[u8; 32]> = leaves.into_iter().map(|leaf| leaf_hash(&leaf).0).collect();
    MerkleTree::from_leaves(&hashes)
}
