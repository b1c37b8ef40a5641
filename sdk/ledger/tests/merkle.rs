//! RFC 6962 trees and the header log: against public vectors, against each other, and forged.

mod common;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_ledger::Hash;
use chancery_ledger::header_log::{self, HeaderLog, LogNode};
use chancery_ledger::merkle::{
    self, ConsistencyProof, InclusionProof, MerkleError, leaf_hash, node_hash, verify_consistency,
};
use parity_scale_codec::{Decode, Encode};
use proptest::prelude::*;
use serde_json::Value;

/// The hash in a vector. Some vectors have texts like "don't care" in its place, which our types
/// cannot hold; the hash of such a text stands for it. Nothing stands for no bytes at all.
fn hash_of(value: &Value) -> Option<Hash> {
    let bytes = BASE64.decode(value.as_str()?).ok()?;
    if bytes.is_empty() {
        return None;
    }
    let hash = <[u8; 32]>::try_from(&bytes[..]);
    Some(hash.map_or_else(|_| chancery_ledger::hash::sha256(&bytes), Hash))
}

fn path_of(value: &Value) -> Option<Vec<Hash>> {
    value.as_array().map_or_else(
        || value.is_null().then(Vec::new),
        |hashes| hashes.iter().map(hash_of).collect(),
    )
}

#[test]
fn public_inclusion_vectors() {
    let Some(folder) = common::vectors("merkle") else {
        return;
    };
    let files = common::json_files(&folder.join("testdata/inclusion"));
    assert!(files.len() > 90, "{} vectors", files.len());
    for (path, case) in files {
        let accepted = || {
            let proof = InclusionProof {
                leaf_index: case["leafIdx"].as_u64()?,
                tree_size: case["treeSize"].as_u64()?,
                path: path_of(&case["proof"])?,
            };
            let (leaf, root) = (hash_of(&case["leafHash"])?, hash_of(&case["root"])?);
            proof.verify(&leaf, &root).ok()
        };
        let expected = case["wantErr"] == Value::Bool(false);
        assert_eq!(accepted().is_some(), expected, "{}", path.display());
    }
}

#[test]
fn public_consistency_vectors() {
    let Some(folder) = common::vectors("merkle") else {
        return;
    };
    let files = common::json_files(&folder.join("testdata/consistency"));
    assert!(files.len() > 90, "{} vectors", files.len());
    for (path, case) in files {
        let accepted = || {
            let earlier = (case["size1"].as_u64()?, hash_of(&case["root1"])?);
            let later = (case["size2"].as_u64()?, hash_of(&case["root2"])?);
            let path = path_of(&case["proof"])?;
            verify_consistency((earlier.0, &earlier.1), (later.0, &later.1), &path).ok()
        };
        let expected = case["wantErr"] == Value::Bool(false);
        assert_eq!(accepted().is_some(), expected, "{}", path.display());
    }
}

fn leaves(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|i| i.to_le_bytes().to_vec()).collect()
}

/// RFC 6962 section 2.1, literally.
fn reference_root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => chancery_ledger::hash::sha256(&[]),
        [leaf] => leaf_hash(leaf),
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            node_hash(&reference_root(&leaves[..k]), &reference_root(&leaves[k..]))
        }
    }
}

/// A log of `count` leaves, the root at every size, and what a store would hold.
struct Log {
    log: HeaderLog,
    roots: Vec<Hash>,
    nodes: BTreeMap<(u8, u64), Hash>,
}

impl Log {
    fn of(count: u64) -> Self {
        let mut log = HeaderLog::default();
        let mut roots = vec![log.root()];
        let mut nodes = BTreeMap::new();
        for leaf in leaves(count) {
            for node in log.append(leaf_hash(&leaf)) {
                let before = nodes.insert((node.level, node.index), node.hash);
                assert_eq!(before, None, "a node is complete once");
            }
            roots.push(log.root());
        }
        Self { log, roots, nodes }
    }

    fn node(&self) -> impl Fn(u8, u64) -> Option<Hash> {
        |level, index| self.nodes.get(&(level, index)).copied()
    }
}

const COUNT: u64 = 70;

#[test]
fn roots_agree_with_the_definition() {
    let log = Log::of(COUNT);
    for (size, root) in (0..).zip(&log.roots) {
        assert_eq!(*root, reference_root(&leaves(size)), "log of {size}");
        assert_eq!(*root, merkle::root(leaves(size)), "tree of {size}");
    }
}

#[test]
fn every_inclusion_is_provable_from_leaves_and_from_stored_nodes() {
    let log = Log::of(COUNT);
    for (size, root) in (0..).zip(&log.roots) {
        for index in 0..size {
            let proof = merkle::prove_inclusion(leaves(size), index).expect("there is a leaf");
            let stored = header_log::inclusion_proof(index, size, &log.node());
            assert_eq!(stored.as_ref(), Some(&proof), "{index} of {size}");
            assert_eq!(proof.verify(&leaf_hash(&index.to_le_bytes()), root), Ok(()));
        }
        assert_eq!(merkle::prove_inclusion(leaves(size), size), None);
        assert_eq!(header_log::inclusion_proof(size, size, &log.node()), None);
    }
}

#[test]
fn every_consistency_is_provable() {
    let log = Log::of(COUNT);
    for (later, later_root) in (1..).zip(&log.roots[1..]) {
        for (earlier, earlier_root) in (1..=later).zip(&log.roots[1..]) {
            let proof = header_log::consistency_proof(earlier, later, &log.node())
                .expect("all nodes are stored");
            assert_eq!(proof.verify(earlier_root, later_root), Ok(()));
            for i in 0..proof.path.len() {
                let mut forged = proof.clone();
                forged.path[i].0[7] ^= 1;
                assert!(forged.verify(earlier_root, later_root).is_err());
            }
            let mut longer = proof.clone();
            longer.path.push(Hash([0; 32]));
            assert!(matches!(
                longer.verify(earlier_root, later_root),
                Err(MerkleError::Length { .. })
            ));
        }
    }
    assert_eq!(header_log::consistency_proof(0, 5, &log.node()), None);
    assert_eq!(header_log::consistency_proof(6, 5, &log.node()), None);
}

#[test]
fn an_index_cannot_be_moved_nor_a_path_bent() {
    for size in 1..40 {
        let root = merkle::root(leaves(size));
        for index in 0..size {
            let leaf = leaf_hash(&index.to_le_bytes());
            let proof = merkle::prove_inclusion(leaves(size), index).expect("there is a leaf");
            for moved in (0..2 * size + 2).filter(|moved| *moved != index) {
                let forged = InclusionProof {
                    leaf_index: moved,
                    ..proof.clone()
                };
                assert!(forged.verify(&leaf, &root).is_err(), "{index} as {moved}");
            }
            for cut in 0..proof.path.len() {
                let mut forged = proof.clone();
                forged.path.remove(cut);
                assert!(matches!(
                    forged.verify(&leaf, &root),
                    Err(MerkleError::Length { .. })
                ));
            }
            let mut longer = proof.clone();
            longer.path.push(root);
            assert!(longer.verify(&leaf, &root).is_err());
        }
    }
}

/// An inner node's 65 preimage bytes cannot pass for a leaf, nor a leaf's hash for a node's.
#[test]
fn nodes_are_not_leaves() {
    let all = leaves(4);
    let root = merkle::root(all.clone());
    let [a, b, c, d] = [0, 1, 2, 3].map(|i: usize| leaf_hash(&all[i]));
    let right = node_hash(&c, &d);
    let shortened = InclusionProof {
        leaf_index: 0,
        tree_size: 2,
        path: vec![right],
    };
    let as_leaf = [&a.0[..], &b.0[..]].concat();
    assert!(shortened.verify(&leaf_hash(&as_leaf), &root).is_err());
    // A caller who takes the size from the prover and the leaf's hash unhashed is fooled; hence the
    // size comes with the root, and leaves are hashed by the verifier.
    assert_eq!(shortened.verify(&node_hash(&a, &b), &root), Ok(()));
}

#[test]
fn the_edges_of_the_number_space_do_not_panic() {
    for (leaf_index, tree_size) in [
        (0, 0),
        (u64::MAX, u64::MAX),
        (u64::MAX - 1, u64::MAX),
        (0, u64::MAX),
        (1 << 63, u64::MAX),
        ((1 << 63) - 1, (1 << 63) + 1),
    ] {
        for len in [0, 1, 63, 64, 65] {
            let path = vec![Hash([1; 32]); len];
            let proof = InclusionProof {
                leaf_index,
                tree_size,
                path: path.clone(),
            };
            assert!(proof.verify(&Hash([2; 32]), &Hash([3; 32])).is_err());
            let proof = ConsistencyProof {
                earlier_size: leaf_index,
                later_size: tree_size,
                path,
            };
            assert!(proof.verify(&Hash([2; 32]), &Hash([3; 32])).is_err());
        }
    }
}

#[test]
fn a_log_survives_its_encoding_and_a_bent_one_is_refused() {
    let log = Log::of(COUNT).log;
    let bytes = log.encode();
    assert_eq!(HeaderLog::decode(&mut &bytes[..]), Ok(log.clone()));
    let mut other_size = bytes.clone();
    other_size[0] ^= 1;
    assert!(HeaderLog::decode(&mut &other_size[..]).is_err());
    assert_eq!(log.size(), COUNT);
}

#[test]
fn a_missing_node_gives_no_proof() {
    let log = Log::of(8);
    let holes = |level, index| ((level, index) != (1, 1)).then(|| log.nodes[&(level, index)]);
    assert_eq!(header_log::inclusion_proof(0, 8, &holes), None);
    assert!(header_log::inclusion_proof(4, 8, &holes).is_some());
}

/// A log of leaves that are all alike, however many: a whole subtree's hash follows from its level.
fn alike(level: u8) -> Hash {
    (0..level).fold(leaf_hash(b"alike"), |hash, _| node_hash(&hash, &hash))
}

fn root_of_alike(size: u64) -> Hash {
    let set_bits = (0..64_u8).filter(|level| size >> level & 1 == 1);
    set_bits
        .map(alike)
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or_else(|| chancery_ledger::hash::sha256(&[]))
}

/// Sizes near powers of two, where paths change their shape, as well as any others.
fn any_size() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..64_u32, 0..3_u64).prop_map(|(bit, more)| (1_u64 << bit).wrapping_add(more) - 1),
        (0..64_u32).prop_map(|bit| u64::MAX >> bit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn proofs_hold_in_logs_of_any_size(a in any_size(), b in any_size()) {
        let node = |level: u8, _: u64| Some(alike(level));
        let (smaller, larger) = (a.min(b), a.max(b));
        let (earlier, later) = (root_of_alike(smaller), root_of_alike(larger));
        if smaller < larger {
            let proof = header_log::inclusion_proof(smaller, larger, &node).expect("it is there");
            prop_assert_eq!(proof.verify(&alike(0), &later), Ok(()));
            let mut longer = proof.clone();
            longer.path.push(alike(0));
            let too_long = matches!(
                longer.verify(&alike(0), &later),
                Err(MerkleError::Length { .. })
            );
            prop_assert!(too_long);
        }
        if smaller > 0 {
            let proof = header_log::consistency_proof(smaller, larger, &node).expect("all there");
            prop_assert_eq!(proof.verify(&earlier, &later), Ok(()));
            if !proof.path.is_empty() {
                let mut shorter = proof.clone();
                shorter.path.pop();
                prop_assert!(shorter.verify(&earlier, &later).is_err());
            }
        }
    }

    /// No path, of whatever length, makes a verifier panic or pass.
    #[test]
    fn random_paths_are_refused(a in any_size(), b in any_size(), len in 0..70_usize) {
        let path = vec![Hash([1; 32]); len];
        let proof = InclusionProof { leaf_index: a, tree_size: b, path: path.clone() };
        prop_assert!(proof.verify(&Hash([2; 32]), &Hash([3; 32])).is_err());
        let proof = ConsistencyProof { earlier_size: a, later_size: b, path };
        prop_assert!(proof.verify(&Hash([2; 32]), &Hash([3; 32])).is_err());
    }
}

#[test]
fn a_log_goes_on_from_its_edge_and_proves_every_leaf_from_then_on() {
    let leaf = |i: u64| Hash(core::array::from_fn(|at| i.to_le_bytes()[at % 8]));
    for begins in 0..40 {
        let mut whole = HeaderLog::default();
        let mut all = BTreeMap::new();
        let mut keep = |nodes: Vec<LogNode>| {
            for node in nodes {
                all.insert((node.level, node.index), node.hash);
            }
        };
        for i in 0..begins {
            keep(whole.append(leaf(i)));
        }
        let node = |level, index| all.get(&(level, index)).copied();
        assert_eq!(HeaderLog::of_size(begins, &node).as_ref(), Some(&whole));
        assert_eq!(HeaderLog::of_size(begins + 1, &node), None);
        let mut few: BTreeMap<_, _> = whole
            .peaks()
            .into_iter()
            .map(|node| ((node.level, node.index), node.hash))
            .collect();
        assert_eq!(few.len(), begins.count_ones() as usize);
        for size in begins + 1..begins + 20 {
            for node in whole.append(leaf(size - 1)) {
                few.insert((node.level, node.index), node.hash);
            }
            let node = |level, index| few.get(&(level, index)).copied();
            for i in begins..size {
                let proof =
                    header_log::inclusion_proof(i, size, &node).expect("its nodes are here");
                assert_eq!(
                    proof.verify(&leaf(i), &whole.root()),
                    Ok(()),
                    "{i} of {size}"
                );
            }
        }
    }
}
