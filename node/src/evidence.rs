//! Proofs that validators lied, kept in the home for whoever asks: one file each, named by the
//! hash of its bytes, which are the SCALE encoding of an [`Evidence`]. A file is there as a whole
//! or not at all.
//!
//! For each place in which a validator lied one proof is enough; of each validator at most
//! [`PER_VALIDATOR_MAX`] are kept, so that a liar cannot fill the disk.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chancery_consensus::{Context, Evidence, Guilt};
use chancery_ledger::{Hash, hash::sha256};
use parity_scale_codec::Encode as _;
use tracing::{error, warn};

/// The most proofs against one validator.
pub const PER_VALIDATOR_MAX: usize = 64;

/// Their bytes, unless the first alone has more.
const PER_VALIDATOR_BYTES_MAX: usize = 4 << 20;

/// How a file's name ends.
const EXTENSION: &str = "scale";

/// One proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Of the bytes: the proof's name.
    pub hash: Hash,
    /// What it proves.
    pub guilt: Guilt,
    /// The encoded [`Evidence`].
    pub bytes: Arc<[u8]>,
}

/// All proofs of a node.
#[derive(Debug, Default)]
pub struct EvidenceStore {
    /// Where the files are; nowhere if nothing need outlive the process.
    directory: Option<PathBuf>,
    kept: Mutex<BTreeMap<Guilt, Kept>>,
}

impl EvidenceStore {
    /// A store that forgets everything with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Reads what is in `directory`, which need not exist yet. Files that prove nothing about the
    /// validators of `context` are left alone and not shown.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn open(directory: &Path, context: &Context) -> io::Result<Self> {
        let store = Self {
            directory: Some(directory.to_owned()),
            kept: Mutex::default(),
        };
        let files = match fs::read_dir(directory) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(store),
            Err(error) => return Err(error),
        };
        for file in files {
            let path = file?.path();
            if path.extension().is_none_or(|it| it != EXTENSION) {
                continue;
            }
            let bytes = fs::read(&path)?;
            let guilt = Evidence::decode(&bytes, context)
                .map_err(|error| error.to_string())
                .and_then(|evidence| {
                    let guilt = evidence.verify(context);
                    guilt.map_err(|error| error.to_string())
                });
            match guilt {
                Ok(guilt) => {
                    store.add(guilt, bytes);
                }
                Err(error) => warn!(path = %path.display(), error, "this file proves nothing"),
            }
        }
        Ok(store)
    }

    /// Keeps a proof whose messages were verified, if there is room for it and none about the same
    /// place. A disk that fails is told of and costs only this file.
    pub fn keep(&self, evidence: &Evidence, context: &Context) {
        let guilt = match evidence.verify(context) {
            Ok(guilt) => guilt,
            Err(error) => {
                error!(%error, "evidence that proves nothing was not kept");
                return;
            }
        };
        let bytes = evidence.encode();
        let Some(kept) = self.add(guilt, bytes) else {
            return;
        };
        warn!(
            validator = guilt.validator.0,
            place = ?guilt.place,
            evidence = %kept.hash,
            "a validator contradicted itself; the proof is kept"
        );
        if let Some(directory) = &self.directory
            && let Err(error) = write(directory, &kept)
        {
            error!(%error, directory = %directory.display(), "evidence was not written");
        }
    }

    /// Everything, by validator and place.
    #[must_use]
    pub fn all(&self) -> Vec<Kept> {
        self.lock().values().cloned().collect()
    }

    /// How many proofs there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn add(&self, guilt: Guilt, bytes: Vec<u8>) -> Option<Kept> {
        let mut kept = self.lock();
        let same = kept
            .values()
            .filter(|it| it.guilt.validator == guilt.validator);
        let (count, held) = same.fold((0, 0), |(count, held), it| {
            (count + 1, held + it.bytes.len())
        });
        let is_full = count >= PER_VALIDATOR_MAX || held + bytes.len() > PER_VALIDATOR_BYTES_MAX;
        if kept.contains_key(&guilt) || (count > 0 && is_full) {
            return None;
        }
        let proof = Kept {
            hash: sha256(&bytes),
            guilt,
            bytes: bytes.into(),
        };
        kept.insert(guilt, proof.clone());
        Some(proof)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Guilt, Kept>> {
        self.kept.lock().expect("no holder of this lock panics")
    }
}

/// Writes a file next to its place, durably, and then names it.
fn write(directory: &Path, kept: &Kept) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let path = directory.join(format!("{}.{EXTENSION}", kept.hash));
    let new = path.with_added_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(&kept.bytes)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use chancery_consensus::{Ballot, Body, SignedMessage};
    use chancery_ledger::{
        BatchDigest, ChainId, Epoch, SecretKey, Slot, Validator, ValidatorIndex, ValidatorSet, View,
    };

    use super::*;

    fn key(index: u8) -> SecretKey {
        SecretKey::from_seed(&[index + 1; 32])
    }

    fn context() -> Context {
        let validators = (0..4).map(|index| Validator {
            name: format!("v{index}"),
            consensus_key: key(index).public(),
            network_key: key(index + 10).public(),
            log_key: key(index + 20).public(),
        });
        Context {
            chain: ChainId([7; 32]),
            validators: ValidatorSet::new(Epoch(0), validators.collect()).expect("all differ"),
            window_slots: 16,
        }
    }

    fn prepare(from: u8, slot: u64, digest: u8) -> SignedMessage {
        let chain = context().chain;
        let body = Body::Prepare(Ballot {
            view: View(0),
            slot: Slot(slot),
            digest: BatchDigest([digest; 32]),
        });
        let signature = key(from).sign(&body.signed_bytes(chain, Epoch(0)));
        SignedMessage {
            chain,
            epoch: Epoch(0),
            from: ValidatorIndex(from.into()),
            body,
            signature,
        }
    }

    fn lie(from: u8, slot: u64) -> Evidence {
        Evidence {
            first: prepare(from, slot, 1),
            second: prepare(from, slot, 2),
        }
    }

    #[test]
    fn a_proof_outlives_the_process_and_one_for_each_place_is_enough() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let directory = home.path().join("evidence");
        let store = EvidenceStore::open(&directory, &context()).expect("nothing there yet");
        let Evidence { first, second } = lie(1, 5);
        store.keep(&lie(1, 5), &context());
        let turned = Evidence {
            first: second,
            second: first,
        };
        store.keep(&turned, &context());
        store.keep(&lie(2, 5), &context());
        let truth = Evidence {
            first: prepare(3, 5, 1),
            second: prepare(3, 6, 2),
        };
        store.keep(&truth, &context());
        assert_eq!(store.count(), 2);

        std::fs::write(directory.join("00.scale"), b"no proof").expect("a disk");
        let again = EvidenceStore::open(&directory, &context()).expect("a directory");
        assert_eq!(again.all(), store.all());
        let kept = again.all();
        assert_eq!(kept[0].guilt.validator, ValidatorIndex(1));
        assert_eq!(*kept[0].bytes, *lie(1, 5).encode());
        assert_eq!(kept[0].hash, sha256(&kept[0].bytes));
    }

    #[test]
    fn a_liar_does_not_fill_the_disk_nor_crowd_out_others() {
        let store = EvidenceStore::in_memory();
        for slot in 1..=100 {
            store.keep(&lie(1, slot), &context());
        }
        assert_eq!(store.count(), PER_VALIDATOR_MAX);
        store.keep(&lie(2, 1), &context());
        assert_eq!(store.count(), PER_VALIDATOR_MAX + 1);
    }
}
