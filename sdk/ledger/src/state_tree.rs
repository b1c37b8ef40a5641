//! The state tree: a sparse Merkle tree over SHA-256(key) that proves presence and absence.
//!
//! Hashing is that of the ICS 23 "SMT" layout:
//! 1. A key's place is SHA-256(key), read bit by bit from the most significant: 0 is left, 1 right.
//! 2. A leaf is SHA-256(0x00 || SHA-256(key) || SHA-256(value)). No value is empty.
//! 3. A subtree without leaves is 32 zero bytes; a subtree of one leaf *is* that leaf, at whatever
//!    depth; every other one is SHA-256(0x01 || left || right), also where one child is empty.
//!
//! So the root depends on the leaves alone, not on the order in which they came.
//!
//! Only leaves are stored, sorted by key hash, and not here ([`LeafSource`]). A subtree of at most
//! [`BUCKET_LEAVES_MAX`] leaves is a *bucket*: of it only the root is in memory, and it is hashed
//! anew when one of its leaves changes. The levels above stay in memory. Buckets are cut by leaf
//! count, never by depth: keys can be ground to share long prefixes. A clone shares what did not
//! change since, and costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Hash;
use crate::hash::{sha256, sha256_concat};
use crate::merkle::node_hash;
pub use crate::state_proof::{PathEnd, StateProof, StateProofError};

/// The root of a subtree without leaves.
pub const EMPTY: Hash = Hash([0; 32]);

/// The bits of a key hash: no path is longer.
pub const DEPTH_MAX: usize = 256;

/// A subtree of at most so many leaves is rehashed as a whole when one of them changes.
pub const BUCKET_LEAVES_MAX: u64 = 32;

/// Where in the tree `key` stands.
#[must_use]
pub fn key_hash(key: &[u8]) -> Hash {
    sha256(key)
}

/// What the tree holds for `value`.
#[must_use]
pub fn value_hash(value: &[u8]) -> Hash {
    sha256(value)
}

/// The hash of a leaf: SHA-256(0x00 || key hash || value hash).
#[must_use]
pub fn leaf_hash(key_hash: &Hash, value_hash: &Hash) -> Hash {
    sha256_concat(&[&[0], &key_hash.0, &value_hash.0])
}

/// Bit `depth` of a key hash, counted from the most significant: whether the path goes right.
pub(crate) fn goes_right(key_hash: &Hash, depth: usize) -> bool {
    key_hash.0[depth / 8] >> (7 - depth % 8) & 1 == 1
}

/// How many bits the paths to two keys share.
pub(crate) fn shared_bits(a: &Hash, b: &Hash) -> usize {
    let differing = a.0.iter().zip(&b.0).position(|(a, b)| a != b);
    differing.map_or(DEPTH_MAX, |i| {
        let bits = (a.0[i] ^ b.0[i]).leading_zeros();
        i * 8 + usize::try_from(bits).expect("less than 8")
    })
}

/// A key hash and a value hash.
pub type Leaf = (Hash, Hash);

/// The leaves as they are stored.
pub trait LeafSource {
    /// Every leaf whose key hash lies between `from` and `to_inclusive`, in ascending order.
    fn leaves(&self, from: &[u8; 32], to_inclusive: &[u8; 32]) -> Vec<Leaf>;
}

/// Leaves in memory.
impl LeafSource for BTreeMap<Hash, Hash> {
    fn leaves(&self, from: &[u8; 32], to_inclusive: &[u8; 32]) -> Vec<Leaf> {
        self.range(Hash(*from)..=Hash(*to_inclusive))
            .map(|(key, value)| (*key, *value))
            .collect()
    }
}

/// A source whose leaves are not those of the tree: a snapshot of another height, or a damaged one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored leaves are not those of the tree with root {root}")]
pub struct ForeignLeaves {
    /// The tree's root.
    pub root: Hash,
}

/// The upper levels of the tree.
#[derive(Debug, Clone, Default)]
pub struct StateTree {
    root: Node,
}

#[derive(Debug, Clone, Default)]
enum Node {
    #[default]
    Empty,
    /// 1 to [`BUCKET_LEAVES_MAX`] leaves.
    Bucket { hash: Hash, count: u64 },
    /// More leaves.
    Branch(Arc<Branch>),
}

#[derive(Debug, Clone)]
struct Branch {
    hash: Hash,
    count: u64,
    children: [Node; 2],
}

impl StateTree {
    /// The tree over `leaves`, which are in ascending order of key hash.
    ///
    /// # Panics
    /// If they are not: a store that lists them so is broken.
    #[must_use]
    pub fn build(leaves: impl IntoIterator<Item = Leaf>) -> Self {
        Self {
            root: Node::of(leaves, Subtree::WHOLE),
        }
    }

    /// The root hash; [`EMPTY`] without leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root.hash()
    }

    /// How many leaves there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.root.count()
    }

    /// Sets (`Some(value hash)`) and removes (`None`) leaves; removing what is not there changes
    /// nothing. `before` has the leaves as they were before the change; each bucket that changes is
    /// read once, others are not.
    ///
    /// # Panics
    /// If `before` has other leaves than this tree: going on would certify a state that is not there.
    pub fn update(&mut self, changes: &BTreeMap<Hash, Option<Hash>>, before: &dyn LeafSource) {
        let changes: Vec<Change> = changes.iter().map(|(key, value)| (*key, *value)).collect();
        self.root.update(&changes, Subtree::WHOLE, before);
    }

    /// The proof that a key is there or is not.
    ///
    /// # Errors
    /// If `leaves` has other leaves than this tree on the way.
    pub fn prove(
        &self,
        key_hash: &Hash,
        leaves: &dyn LeafSource,
    ) -> Result<StateProof, ForeignLeaves> {
        let mut path = Vec::new();
        let (mut node, mut subtree) = (&self.root, Subtree::WHOLE);
        while let Node::Branch(branch) = node {
            let side = usize::from(goes_right(key_hash, subtree.depth));
            path.push(branch.children[1 - side].hash());
            node = &branch.children[side];
            subtree = subtree.child(side);
        }
        let leaves = node.leaves(subtree, leaves);
        if Node::of(leaves.iter().copied(), subtree).hash() != node.hash() {
            return Err(ForeignLeaves { root: self.root() });
        }
        let mut leaves = &leaves[..];
        let end = loop {
            match leaves {
                [] => break PathEnd::Empty,
                [(key_hash, value_hash)] => {
                    break PathEnd::Leaf {
                        key_hash: *key_hash,
                        value_hash: *value_hash,
                    };
                }
                _ => {}
            }
            let halves =
                leaves.split_at(leaves.partition_point(|(key, _)| !goes_right(key, subtree.depth)));
            let (side, inside, outside) = if goes_right(key_hash, subtree.depth) {
                (1, halves.1, halves.0)
            } else {
                (0, halves.0, halves.1)
            };
            path.push(Node::of(outside.iter().copied(), subtree.child(1 - side)).hash());
            leaves = inside;
            subtree = subtree.child(side);
        };
        path.reverse();
        Ok(StateProof { path, end })
    }
}

type Change = (Hash, Option<Hash>);

impl Node {
    fn hash(&self) -> Hash {
        match self {
            Self::Empty => EMPTY,
            Self::Bucket { hash, .. } => *hash,
            Self::Branch(branch) => branch.hash,
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bucket { count, .. } => *count,
            Self::Branch(branch) => branch.count,
        }
    }

    /// The leaves below a bucket.
    fn leaves(&self, subtree: Subtree, source: &dyn LeafSource) -> Vec<Leaf> {
        if self.count() == 0 {
            return Vec::new();
        }
        source.leaves(&subtree.first, &subtree.last())
    }

    /// The subtree over `leaves`.
    fn of(leaves: impl IntoIterator<Item = Leaf>, subtree: Subtree) -> Self {
        let mut leaves = Ascending::new(leaves.into_iter());
        let node = Self::build(&mut leaves, subtree);
        assert!(
            leaves.next.is_none(),
            "only leaves of the subtree are listed"
        );
        node
    }

    /// Takes the leaves of `subtree` from the front.
    fn build(leaves: &mut Ascending<impl Iterator<Item = Leaf>>, subtree: Subtree) -> Self {
        let Some((key_hash, value_hash)) = leaves.next.filter(|leaf| subtree.contains(&leaf.0))
        else {
            return Self::Empty;
        };
        if leaves.after.is_none_or(|leaf| !subtree.contains(&leaf.0)) {
            leaves.advance();
            return Self::Bucket {
                hash: leaf_hash(&key_hash, &value_hash),
                count: 1,
            };
        }
        let left = Self::build(leaves, subtree.child(0));
        let right = Self::build(leaves, subtree.child(1));
        Self::join([left, right])
    }

    fn join(children: [Self; 2]) -> Self {
        let [left, right] = &children;
        let count = left.count() + right.count();
        if count < 2 {
            let [left, right] = children;
            return if left.count() == 1 { left } else { right };
        }
        let hash = node_hash(&left.hash(), &right.hash());
        if count <= BUCKET_LEAVES_MAX {
            return Self::Bucket { hash, count };
        }
        Self::Branch(Arc::new(Branch {
            hash,
            count,
            children,
        }))
    }

    /// Applies those `changes`, sorted, that lie in `subtree`: all of them.
    fn update(&mut self, changes: &[Change], subtree: Subtree, before: &dyn LeafSource) {
        if changes.is_empty() {
            return;
        }
        let Self::Branch(branch) = self else {
            let leaves = self.leaves(subtree, before);
            assert_eq!(
                u64::try_from(leaves.len()),
                Ok(self.count()),
                "the store has the leaves of the tree"
            );
            *self = Self::of(merge(&leaves, changes), subtree);
            return;
        };
        let branch = Arc::make_mut(branch);
        let left_len = changes.partition_point(|(key, _)| !goes_right(key, subtree.depth));
        let [left, right] = &mut branch.children;
        left.update(&changes[..left_len], subtree.child(0), before);
        right.update(&changes[left_len..], subtree.child(1), before);
        branch.count = left.count() + right.count();
        if branch.count > BUCKET_LEAVES_MAX {
            branch.hash = node_hash(&left.hash(), &right.hash());
        } else {
            *self = Self::join(std::mem::take(&mut branch.children));
        }
    }
}

/// `leaves` with `changes` applied, both sorted.
fn merge(leaves: &[Leaf], changes: &[Change]) -> Vec<Leaf> {
    let mut merged = Vec::with_capacity(leaves.len() + changes.len());
    let mut kept = leaves;
    for (key, value) in changes {
        let smaller = kept.partition_point(|leaf| leaf.0 < *key);
        merged.extend_from_slice(&kept[..smaller]);
        let same = usize::from(kept.get(smaller).is_some_and(|leaf| leaf.0 == *key));
        kept = &kept[smaller + same..];
        merged.extend(value.map(|value| (*key, value)));
    }
    merged.extend_from_slice(kept);
    merged
}

/// All key hashes that begin with the same `depth` bits.
#[derive(Clone, Copy)]
struct Subtree {
    first: [u8; 32],
    depth: usize,
}

impl Subtree {
    const WHOLE: Self = Self {
        first: [0; 32],
        depth: 0,
    };

    /// Left (0) or right (1).
    fn child(self, side: usize) -> Self {
        let mut first = self.first;
        if side == 1 {
            first[self.depth / 8] |= 0x80 >> (self.depth % 8);
        }
        Self {
            first,
            depth: self.depth + 1,
        }
    }

    fn last(self) -> [u8; 32] {
        let mut last = self.first;
        if self.depth < DEPTH_MAX {
            let (whole, rest) = (self.depth / 8, self.depth % 8);
            last[whole] |= 0xff >> rest;
            last[whole + 1..].fill(0xff);
        }
        last
    }

    fn contains(self, key_hash: &Hash) -> bool {
        shared_bits(&Hash(self.first), key_hash) >= self.depth
    }
}

/// Leaves in ascending order, two of which can be seen ahead.
struct Ascending<I> {
    leaves: I,
    next: Option<Leaf>,
    after: Option<Leaf>,
}

impl<I: Iterator<Item = Leaf>> Ascending<I> {
    fn new(leaves: I) -> Self {
        let mut ascending = Self {
            leaves,
            next: None,
            after: None,
        };
        ascending.advance();
        ascending.advance();
        ascending
    }

    fn advance(&mut self) {
        self.next = self.after.take();
        self.after = self.leaves.next();
        if let (Some(next), Some(after)) = (self.next, self.after) {
            assert!(next.0 < after.0, "leaves are listed in ascending order");
        }
    }
}

#[cfg(test)]
mod tests;
