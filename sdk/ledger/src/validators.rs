//! The validator set of an epoch, and the arithmetic of quorums.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::hash::sha256_domain;
use crate::text::shortened;
use crate::{Epoch, Hash, PublicKey, ValidatorIndex, View};

/// The most validators a set may have.
pub const VALIDATORS_MAX: usize = 31;

/// The longest name of a member.
pub const NAME_BYTES_MAX: usize = 64;

/// One validator as every other one knows it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct Validator {
    /// The member's name, which is also the name of its C2SP cosignature key: no spaces, no plus.
    pub name: String,
    /// Signs votes and checkpoints.
    pub consensus_key: PublicKey,
    /// Authenticates its connections; signs nothing else.
    pub network_key: PublicKey,
    /// Signs the notes it serves under the log's own name; gives no trust.
    pub log_key: PublicKey,
}

/// Why validators do not make a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// None, or more than [`VALIDATORS_MAX`].
    #[error("{count} validators: there must be between 1 and {VALIDATORS_MAX}")]
    Count {
        /// How many.
        count: usize,
    },
    /// A name that cannot stand in a note.
    #[error(
        "validator name {name:?}: 1 to {NAME_BYTES_MAX} characters out of a-z, 0-9, '.', '-', '_' are allowed, but not \"none\""
    )]
    Name {
        /// The name, shortened.
        name: String,
    },
    /// Two validators of one name.
    #[error("two validators are called {name:?}")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// One key in two places.
    #[error("a key of validator {name:?} is used twice: every key must be its own")]
    KeyTwice {
        /// The second validator that uses it.
        name: String,
    },
}

/// The validators of one epoch, in the order of their indices.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct ValidatorSet {
    epoch: Epoch,
    validators: Vec<Validator>,
}

impl ValidatorSet {
    /// A set, if names and keys are fit to tell its members apart.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn new(epoch: Epoch, validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        let count = validators.len();
        if count == 0 || count > VALIDATORS_MAX {
            return Err(ValidatorSetError::Count { count });
        }
        let mut names = std::collections::BTreeSet::new();
        let mut keys = std::collections::BTreeSet::new();
        for Validator {
            name,
            consensus_key,
            network_key,
            log_key,
        } in &validators
        {
            if !is_name(name) {
                return Err(ValidatorSetError::Name {
                    name: shortened(name),
                });
            }
            if !names.insert(name) {
                return Err(ValidatorSetError::NameTwice { name: name.clone() });
            }
            for key in [consensus_key, network_key, log_key] {
                if !keys.insert(*key.as_bytes()) {
                    return Err(ValidatorSetError::KeyTwice { name: name.clone() });
                }
            }
        }
        Ok(Self { epoch, validators })
    }

    /// The term this set serves.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many validators there are (n).
    #[must_use]
    pub fn count(&self) -> usize {
        self.validators.len()
    }

    /// How many of them may be faulty: floor((n - 1) / 3).
    #[must_use]
    pub fn faulty_max(&self) -> usize {
        (self.count() - 1) / 3
    }

    /// How many distinct validators any two of which share a correct one: ceil((n + f + 1) / 2).
    #[must_use]
    pub fn quorum(&self) -> usize {
        (self.count() + self.faulty_max() + 1).div_ceil(2)
    }

    /// The primary of `view`: view mod n.
    #[must_use]
    pub fn primary(&self, view: View) -> ValidatorIndex {
        let count = u64::try_from(self.count()).expect("at most 31");
        ValidatorIndex(u16::try_from(view.0 % count).expect("less than 31"))
    }

    /// The validator at `index`, if there is one.
    #[must_use]
    pub fn get(&self, index: ValidatorIndex) -> Option<&Validator> {
        self.validators.get(index.as_usize())
    }

    /// All validators with their indices.
    pub fn iter(&self) -> impl Iterator<Item = (ValidatorIndex, &Validator)> {
        (0..).map(ValidatorIndex).zip(&self.validators)
    }

    /// The hash that names this set.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256_domain("validators", &self.encode())
    }
}

/// Whether `name` may name a member: it becomes the name of a C2SP key and of files. "none" has a
/// meaning of its own in a C2SP policy.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b))
        && !name.starts_with(['.', '-'])
        && name != "none"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    fn set_of(count: u8) -> ValidatorSet {
        let key = |i: u8, kind: u8| SecretKey::from_seed(&[i * 3 + kind; 32]).public();
        let validators = (0..count)
            .map(|i| Validator {
                name: format!("v{i}"),
                consensus_key: key(i, 0),
                network_key: key(i, 1),
                log_key: key(i, 2),
            })
            .collect();
        ValidatorSet::new(Epoch(0), validators).expect("names and keys differ")
    }

    #[test]
    fn quorums_of_every_size_intersect_in_a_correct_validator() {
        for n in 1..=31 {
            let set = set_of(n);
            let (n, f, q) = (set.count(), set.faulty_max(), set.quorum());
            assert!(2 * q > n + f, "n={n}: two quorums share more than f");
            assert!(q <= n - f, "n={n}: the correct ones are a quorum");
            assert!(2 * (q - 1) <= n + f, "n={n}: one less would not do");
        }
    }
}
