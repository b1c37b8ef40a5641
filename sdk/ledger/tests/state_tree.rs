//! Our state proofs against ICS 23's public vectors for sparse Merkle trees.

mod common;

use chancery_ledger::Hash;
use chancery_ledger::state_tree::{PathEnd, StateProof, key_hash, value_hash};
use serde_json::Value;

/// Just enough of protobuf: the length-delimited fields of one message, with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = varint(&mut bytes);
        if tag & 7 == 2 {
            let (field, rest) = bytes.split_at(usize::try_from(value).expect("small"));
            fields.push((tag >> 3, field));
            bytes = rest;
        }
    }
    fields
}

fn field(message: &[u8], number: u64) -> Option<&[u8]> {
    fields(message)
        .into_iter()
        .find(|field| field.0 == number)
        .map(|field| field.1)
}

struct Existence {
    key: Vec<u8>,
    value: Vec<u8>,
    proof: StateProof,
}

/// ICS 23's ExistenceProof as one of ours, with each step's side as its prefix and suffix tell.
fn existence(message: &[u8]) -> Existence {
    let key = field(message, 1).expect("a key").to_vec();
    let value = field(message, 2).expect("a value").to_vec();
    let leaf = field(message, 3).expect("a leaf operation");
    assert_eq!(field(leaf, 5), Some(&[0][..]), "a leaf begins with 0x00");
    let place = key_hash(&key);
    let steps: Vec<&[u8]> = fields(message)
        .into_iter()
        .filter(|field| field.0 == 4)
        .map(|field| field.1)
        .collect();
    let mut path = Vec::new();
    for (depth, step) in (0..steps.len()).rev().zip(&steps) {
        let prefix = field(step, 2).expect("a prefix");
        let suffix = field(step, 3).unwrap_or_default();
        assert_eq!(prefix[0], 1, "a node begins with 0x01");
        let goes_right = place.0[depth / 8] >> (7 - depth % 8) & 1 == 1;
        let sibling = if goes_right { &prefix[1..] } else { suffix };
        path.push(Hash(sibling.try_into().expect("a hash")));
    }
    let end = PathEnd::Leaf {
        key_hash: place,
        value_hash: value_hash(&value),
    };
    Existence {
        key,
        value,
        proof: StateProof { path, end },
    }
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a text")).expect("hexadecimal")
}

fn root_of(case: &Value) -> Hash {
    Hash(unhex(&case["root"]).try_into().expect("a hash"))
}

#[test]
fn public_existence_vectors_verify() {
    let Some(folder) = common::vectors("ics23/smt") else {
        return;
    };
    for name in ["exist_left", "exist_middle", "exist_right"] {
        let case = &common::json_files(&folder)
            .into_iter()
            .find(|(path, _)| path.file_stem().is_some_and(|stem| stem == name))
            .expect("the vector")
            .1;
        let message = unhex(&case["proof"]);
        let found = existence(field(&message, 1).expect("an existence proof"));
        assert_eq!(found.key, unhex(&case["key"]));
        assert_eq!(found.value, unhex(&case["value"]));
        let verified = found
            .proof
            .verify_presence(&root_of(case), &found.key, &found.value);
        assert_eq!(verified, Ok(()), "{name}");
    }
}

/// The neighbours of ICS 23's absent key give our proof of its absence: the one that shares more
/// bits with it stands where it would, or leaves its side empty.
#[test]
fn public_absence_vectors_verify() {
    let Some(folder) = common::vectors("ics23/smt") else {
        return;
    };
    let cases = common::json_files(&folder);
    let cases = cases.iter().filter(|(path, _)| {
        path.file_stem()
            .is_some_and(|stem| stem.to_string_lossy().starts_with("nonexist"))
    });
    let mut count = 0;
    for (path, case) in cases {
        count += 1;
        let message = unhex(&case["proof"]);
        let absence = field(&message, 2).expect("an absence proof");
        let key = unhex(&case["key"]);
        let place = key_hash(&key);
        let shared = |other: &Existence| {
            let other = key_hash(&other.key);
            (0..256)
                .find(|i| (place.0[i / 8] ^ other.0[i / 8]) >> (7 - i % 8) & 1 == 1)
                .expect("the keys differ")
        };
        let neighbour = [2, 3]
            .into_iter()
            .filter_map(|side| field(absence, side))
            .map(existence)
            .max_by_key(shared)
            .expect("a neighbour");
        let Existence {
            proof: StateProof { path: steps, end },
            ..
        } = &neighbour;
        let proof = if steps.len() <= shared(&neighbour) {
            neighbour.proof.clone()
        } else {
            // What stands opposite of the empty side is the neighbour's subtree.
            let from_leaf = steps.len() - shared(&neighbour) - 1;
            assert_eq!(steps[from_leaf], Hash([0; 32]), "the side is empty");
            let mut hash = match end {
                PathEnd::Leaf {
                    key_hash,
                    value_hash,
                } => chancery_ledger::state_tree::leaf_hash(key_hash, value_hash),
                PathEnd::Empty => unreachable!("it exists"),
            };
            let other = key_hash(&neighbour.key);
            for (depth, step) in (0..steps.len()).rev().zip(&steps[..from_leaf]) {
                let right = other.0[depth / 8] >> (7 - depth % 8) & 1 == 1;
                let (l, r) = if right { (step, &hash) } else { (&hash, step) };
                hash = chancery_ledger::merkle::node_hash(l, r);
            }
            let mut path = vec![hash];
            path.extend_from_slice(&steps[from_leaf + 1..]);
            StateProof {
                path,
                end: PathEnd::Empty,
            }
        };
        let verified = proof.verify_absence(&root_of(case), &key);
        assert_eq!(verified, Ok(()), "{}", path.display());
    }
    assert_eq!(count, 3);
}
