//! The tree against the definition of its hash, and forged proofs against the verifier.

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;

type Map = BTreeMap<Hash, Hash>;
type Changes = BTreeMap<Hash, Option<Hash>>;

/// The three rules of the module's page, literally.
fn reference_root(leaves: &[Leaf], depth: usize) -> Hash {
    match leaves {
        [] => EMPTY,
        [(key, value)] => leaf_hash(key, value),
        _ => {
            let of_side = |right| -> Vec<Leaf> {
                let mut of_side = leaves.to_vec();
                of_side.retain(|(key, _)| goes_right(key, depth) == right);
                of_side
            };
            let root = |right| reference_root(&of_side(right), depth + 1);
            node_hash(&root(false), &root(true))
        }
    }
}

fn reference(map: &Map) -> Hash {
    let leaves: Vec<Leaf> = map.iter().map(|(k, v)| (*k, *v)).collect();
    reference_root(&leaves, 0)
}

fn apply(map: &mut Map, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(*key, *value),
            None => map.remove(key),
        };
    }
}

/// Remembers what was read.
struct Watched<'a> {
    map: &'a Map,
    reads: RefCell<Vec<(Hash, Hash)>>,
    leaves_read: RefCell<usize>,
}

impl<'a> Watched<'a> {
    fn new(map: &'a Map) -> Self {
        Self {
            map,
            reads: RefCell::default(),
            leaves_read: RefCell::default(),
        }
    }

    fn assert_each_bucket_was_read_once(&self, changes: usize) {
        let mut reads = self.reads.borrow_mut();
        reads.sort();
        for pair in reads.windows(2) {
            assert!(pair[0].1 < pair[1].0, "{pair:?} overlap");
        }
        assert!(reads.len() <= changes);
        assert!(*self.leaves_read.borrow() <= changes * 32);
    }
}

impl LeafSource for Watched<'_> {
    fn leaves(&self, from: &[u8; 32], to_inclusive: &[u8; 32]) -> Vec<Leaf> {
        self.reads
            .borrow_mut()
            .push((Hash(*from), Hash(*to_inclusive)));
        let leaves = self.map.leaves(from, to_inclusive);
        *self.leaves_read.borrow_mut() += leaves.len();
        leaves
    }
}

fn spread() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

/// Key hashes that share up to 256 bits, with so few different ones that changes meet each other.
fn ground() -> impl Strategy<Value = Hash> {
    (0..3_u8, 0..256_usize, 0..16_u8).prop_map(|(prefix, bit, low)| {
        let mut key = [prefix.wrapping_mul(0x55); 32];
        key[bit / 8] ^= 0x80 >> (bit % 8);
        key[31] ^= low;
        Hash(key)
    })
}

fn any_key() -> impl Strategy<Value = Hash> {
    prop_oneof![spread(), ground()]
}

fn any_changes(len_max: usize) -> impl Strategy<Value = Changes> {
    prop::collection::btree_map(any_key(), prop::option::weighted(0.6, spread()), 0..len_max)
}

/// Whatever the tree says about `key` verifies, and the contrary does not.
fn assert_provable(tree: &StateTree, map: &Map, key: &Hash) {
    let proof = tree.prove(key, map).expect("the leaves are the tree's");
    let root = tree.root();
    let other = Hash([9; 32]);
    match map.get(key) {
        Some(value) => {
            assert_eq!(proof.verify_presence_at(&root, key, value), Ok(()));
            assert_eq!(
                proof.verify_absence_at(&root, key),
                Err(StateProofError::Present)
            );
            assert_eq!(
                proof.verify_presence_at(&root, key, &other),
                Err(StateProofError::OtherValue)
            );
        }
        None => {
            assert_eq!(proof.verify_absence_at(&root, key), Ok(()));
            assert_eq!(
                proof.verify_presence_at(&root, key, &other),
                Err(StateProofError::Absent)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn updates_give_the_root_of_the_definition(
        start in any_changes(200),
        rounds in prop::collection::vec(any_changes(120), 1..5),
    ) {
        let mut map = Map::new();
        apply(&mut map, &start);
        let mut tree = StateTree::build(map.clone());
        prop_assert_eq!(tree.root(), reference(&map));
        for mut changes in rounds {
            // Half of the first present keys go, so that buckets merge again.
            let present: Vec<Hash> = map.keys().copied().collect();
            for key in present.iter().step_by(2).take(60) {
                changes.entry(*key).or_insert(None);
            }
            let before = tree.clone();
            let source = Watched::new(&map);
            tree.update(&changes, &source);
            source.assert_each_bucket_was_read_once(changes.len());
            prop_assert_eq!(before.root(), reference(&map), "a clone does not change");
            apply(&mut map, &changes);
            prop_assert_eq!(tree.root(), reference(&map));
            prop_assert_eq!(tree.count(), u64::try_from(map.len()).expect("small"));
            for key in changes.keys() {
                assert_provable(&tree, &map, key);
            }
        }
    }

    #[test]
    fn any_changed_bit_of_a_proof_is_refused(
        changes in any_changes(150),
        absent in any_key(),
        pick in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut map = Map::new();
        apply(&mut map, &changes);
        let tree = StateTree::build(map.clone());
        let mut keys: Vec<Hash> = map.keys().copied().take(20).collect();
        keys.push(absent);
        for key in keys {
            let proof = tree.prove(&key, &map).expect("the leaves are the tree's");
            let mut bytes = parity_scale_codec::Encode::encode(&proof);
            let position = pick.index(bytes.len());
            bytes[position] ^= 1 << bit;
            let Ok(forged) = crate::decode_canonical::<StateProof>(&bytes, 1 << 16) else {
                continue;
            };
            prop_assert!(forged.verify_absence_at(&tree.root(), &key).is_err());
            if let Some(value) = map.get(&key) {
                prop_assert!(forged.verify_presence_at(&tree.root(), &key, value).is_err());
            }
        }
    }
}

fn map_of(count: u32) -> Map {
    (0..count)
        .map(|i| (key_hash(&i.to_le_bytes()), value_hash(&[1])))
        .collect()
}

#[test]
fn an_empty_tree_proves_absence() {
    let tree = StateTree::default();
    assert_eq!((tree.root(), tree.count()), (EMPTY, 0));
    assert_provable(&tree, &Map::new(), &key_hash(b"anything"));
    assert_eq!(StateTree::build([]).root(), EMPTY);
}

#[test]
fn bucket_boundaries_do_not_show() {
    let mut tree = StateTree::default();
    let mut map = Map::new();
    for i in 0_u32..200 {
        let changes = Changes::from([(key_hash(&i.to_le_bytes()), Some(value_hash(&[1])))]);
        tree.update(&changes, &map);
        apply(&mut map, &changes);
        assert_eq!(tree.root(), reference(&map), "{i} up");
    }
    for i in 0_u32..200 {
        let changes = Changes::from([(key_hash(&i.to_le_bytes()), None)]);
        tree.update(&changes, &map);
        apply(&mut map, &changes);
        assert_eq!(tree.root(), reference(&map), "{i} down");
    }
    assert!(matches!(tree.root, Node::Empty));
}

#[test]
fn keys_that_differ_in_the_last_bits_only_make_deep_paths() {
    let map: Map = (0..=255_u8)
        .map(|i| {
            let mut key = [0xab; 32];
            key[31] = i;
            (Hash(key), value_hash(&[1]))
        })
        .collect();
    let tree = StateTree::build(map.clone());
    assert_eq!(tree.root(), reference(&map));
    for key in map.keys() {
        assert_provable(&tree, &map, key);
    }
    let deepest = tree.prove(&Hash([0xab; 32]), &map).expect("its leaves");
    assert_eq!(deepest.path.len(), DEPTH_MAX);
    assert_provable(&tree, &map, &Hash([0xac; 32]));
    assert_provable(&tree, &map, &Hash([0x2b; 32]));
}

#[test]
fn one_change_reads_one_bucket() {
    let map = map_of(5_000);
    let mut tree = StateTree::build(map.clone());
    let source = Watched::new(&map);
    tree.update(
        &Changes::from([(key_hash(b"new"), Some(value_hash(b"x")))]),
        &source,
    );
    source.assert_each_bucket_was_read_once(1);
}

#[test]
#[should_panic(expected = "the store has the leaves of the tree")]
fn updating_over_other_leaves_stops() {
    let map = map_of(20);
    let mut tree = StateTree::build(map);
    tree.update(&Changes::from([(Hash([1; 32]), None)]), &map_of(19));
}

#[test]
#[should_panic(expected = "ascending")]
fn leaves_out_of_order_are_noticed() {
    let _ = StateTree::build([
        (Hash([2; 32]), Hash([0; 32])),
        (Hash([1; 32]), Hash([0; 32])),
    ]);
}

#[test]
fn proving_over_other_leaves_is_an_error() {
    let map = map_of(100);
    let tree = StateTree::build(map.clone());
    let mut other = map.clone();
    let (key, _) = other.pop_first().expect("not empty");
    other.insert(key, value_hash(b"changed meanwhile"));
    assert_eq!(
        tree.prove(&key, &other),
        Err(ForeignLeaves { root: tree.root() })
    );
}

/// Every way found to prove what is not so.
mod forgeries {
    use super::*;

    fn tree() -> (StateTree, Map) {
        let map = map_of(100);
        (StateTree::build(map.clone()), map)
    }

    fn present() -> Hash {
        key_hash(&7_u32.to_le_bytes())
    }

    #[test]
    fn absence_by_ending_a_path_early() {
        let (tree, map) = tree();
        let proof = tree.prove(&present(), &map).expect("its leaves");
        for cut in 0..proof.path.len() {
            for end in [
                PathEnd::Empty,
                PathEnd::Leaf {
                    key_hash: Hash([0; 32]),
                    value_hash: Hash([0; 32]),
                },
            ] {
                let forged = StateProof {
                    path: proof.path[cut..].to_vec(),
                    end,
                };
                assert!(forged.verify_absence_at(&tree.root(), &present()).is_err());
            }
        }
    }

    /// A node's children shown as a leaf's key and value hash: 0x00 and 0x01 tell them apart.
    #[test]
    fn absence_by_passing_a_node_for_another_leaf() {
        let (tree, map) = tree();
        let proof = tree.prove(&present(), &map).expect("its leaves");
        let leaf = leaf_hash(&present(), &map[&present()]);
        let forged = StateProof {
            path: proof.path[1..].to_vec(),
            end: PathEnd::Leaf {
                key_hash: leaf,
                value_hash: proof.path[0],
            },
        };
        assert!(forged.verify_absence_at(&tree.root(), &present()).is_err());
    }

    #[test]
    fn absence_by_another_keys_path() {
        let (tree, map) = tree();
        for other in map.keys().filter(|key| **key != present()) {
            let proof = tree.prove(other, &map).expect("its leaves");
            let refused = proof.verify_absence_at(&tree.root(), &present());
            assert!(
                matches!(refused, Err(StateProofError::OffPath { .. })),
                "{refused:?}"
            );
        }
        // Another absent key's proof, which ends in nothing.
        for i in 1_000..2_000_u32 {
            let proof = tree
                .prove(&key_hash(&i.to_le_bytes()), &map)
                .expect("its leaves");
            assert!(proof.verify_absence_at(&tree.root(), &present()).is_err());
        }
    }

    /// Where the tree has a lone leaf, nobody may show a node with an empty sibling above it.
    #[test]
    fn a_tree_with_stretched_leaves() {
        let (key, value) = (present(), value_hash(b"v"));
        let leaf = leaf_hash(&key, &value);
        let stretched_root = if goes_right(&key, 0) {
            node_hash(&EMPTY, &leaf)
        } else {
            node_hash(&leaf, &EMPTY)
        };
        let forged = StateProof {
            path: vec![EMPTY],
            end: PathEnd::Leaf {
                key_hash: key,
                value_hash: value,
            },
        };
        assert_eq!(
            forged.verify_presence_at(&stretched_root, &key, &value),
            Err(StateProofError::LoneEnd)
        );
    }

    #[test]
    fn more_levels_than_bits() {
        let proof = StateProof {
            path: vec![Hash([1; 32]); DEPTH_MAX + 1],
            end: PathEnd::Empty,
        };
        assert_eq!(
            proof.verify_absence_at(&EMPTY, &present()),
            Err(StateProofError::PathTooLong { len: 257 })
        );
    }

    #[test]
    fn an_empty_value() {
        let map = Map::from([(key_hash(b"k"), value_hash(b""))]);
        let tree = StateTree::build(map.clone());
        let proof = tree.prove(&key_hash(b"k"), &map).expect("its leaves");
        assert_eq!(
            proof.verify_presence(&tree.root(), b"k", b""),
            Err(StateProofError::EmptyValue)
        );
    }

    #[test]
    fn a_proof_for_an_empty_tree_where_there_is_one() {
        let (tree, _) = tree();
        let forged = StateProof {
            path: Vec::new(),
            end: PathEnd::Empty,
        };
        assert!(forged.verify_absence_at(&tree.root(), &present()).is_err());
    }
}
