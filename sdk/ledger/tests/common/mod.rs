//! What several test files need: public vectors, goldens, fixed keys.
#![allow(dead_code, reason = "each test file uses its own part of this module")]

pub(crate) mod ledger;
pub(crate) mod samples;

use std::path::{Path, PathBuf};

use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement, Cosignature};
use chancery_ledger::{ChainId, Epoch, SecretKey, Validator, ValidatorIndex, ValidatorSet};

/// The folder of public vectors, if this machine has them; else says that the test is skipped.
pub(crate) fn vectors(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors")
        .join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no vectors");
    None
}

/// Every JSON file below `folder`, in order.
pub(crate) fn json_files(folder: &Path) -> Vec<(PathBuf, serde_json::Value)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let text = std::fs::read_to_string(&path).expect("the file can be read");
                let value = serde_json::from_str(&text).expect("the file is JSON");
                found.push((path, value));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// A key that is the same in every run.
pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// The ledger of the tests.
pub(crate) fn chain() -> ChainId {
    ChainId([0xc4; 32])
}

/// A set of `count` validators; validator i has the keys 100 + 3i (consensus), + 1 and + 2.
pub(crate) fn validators(count: u8) -> ValidatorSet {
    let validators = (0..count)
        .map(|i| Validator {
            name: format!("validator-{}", i + 1),
            consensus_key: key(100 + 3 * i).public(),
            network_key: key(101 + 3 * i).public(),
            log_key: key(102 + 3 * i).public(),
        })
        .collect();
    ValidatorSet::new(Epoch(0), validators).expect("names and keys differ")
}

/// The first `cosigners` validators' certificate of a statement.
pub(crate) fn certify(statement: CheckpointStatement, cosigners: u8) -> CheckpointCertificate {
    let message = statement.cosigned_bytes();
    let cosignatures = (0..cosigners)
        .map(|i| Cosignature {
            validator: ValidatorIndex(i.into()),
            signature: key(100 + 3 * i).sign(&message),
        })
        .collect();
    CheckpointCertificate {
        statement,
        cosignatures,
    }
}

/// The log key of the first validator, which serves the notes of the tests.
pub(crate) fn log_key() -> SecretKey {
    key(102)
}
