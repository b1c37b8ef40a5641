//! Checkpoints: the header log's size and root at a height, cosigned by validators. A quorum of
//! equal cosignatures is the ledger's finality certificate.
//!
//! Formats: C2SP `tlog-checkpoint` for the note, `tlog-cosignature` (`cosignature/v1`, key type
//! 0x04) for each validator's line on it, `tlog-policy` for the validators with their quorum
//! ([`crate::policy`]). The note's text has three lines: the origin `chancery/v1/CHAIN-ID`, the
//! number of leaves (height + 1) in decimal, the root in base64. A validator's key is called by
//! its member's name. The serving node's log key (type 0x01) is called by the origin, and gives no
//! trust: stock tools want a line of that name.

use core::str::FromStr;

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::note::{KeyKind, Note, NoteSignature, VerifierKey, cosigned_bytes};
use crate::text::{from_decimal, to_base64};
use crate::tlog_proof::hash_from_base64;
use crate::{
    ChainId, Hash, Height, Millis, PublicKey, SecretKey, Signature, Validator, ValidatorIndex,
    ValidatorSet,
};

/// What a checkpoint says. Bound to its height alone: the time is the header's block time, so the
/// bytes never vary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking)]
pub struct CheckpointStatement {
    /// The ledger, which is in the note's origin line.
    pub chain: ChainId,
    /// The newest block; the header log has one leaf more.
    pub height: Height,
    /// Root of the header log with leaves 0 to `height`.
    pub root: Hash,
    /// Block time of `height` in whole seconds.
    pub time_seconds: u64,
}

impl CheckpointStatement {
    /// The statement about the log that ends with a block of `height` and block time `time`.
    #[must_use]
    pub fn new(chain: ChainId, height: Height, root: Hash, time: Millis) -> Self {
        Self {
            chain,
            height,
            root,
            time_seconds: time.0 / 1000,
        }
    }

    /// The note's text (`tlog-checkpoint`): origin, size and root, a line each. No log has a leaf
    /// at the greatest height, and no certificate of one verifies.
    #[must_use]
    pub fn note_text(&self) -> String {
        CheckpointText {
            origin: origin(self.chain),
            size: self.height.0.saturating_add(1),
            root: self.root,
        }
        .to_string()
    }

    /// What a validator signs (`cosignature/v1`).
    #[must_use]
    pub fn cosigned_bytes(&self) -> Vec<u8> {
        cosigned_bytes(self.time_seconds, &self.note_text())
    }
}

/// The name of a ledger's header log, the first line of its notes.
#[must_use]
pub fn origin(chain: ChainId) -> String {
    format!("chancery/v1/{chain}")
}

/// The three lines of a checkpoint's text. The specification allows more lines, which nobody here
/// writes: they are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointText {
    /// The name of the log.
    pub origin: String,
    /// Leaves of the log.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

/// Why a note's text is not a checkpoint's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointTextError {
    /// Not three lines.
    #[error("a checkpoint has three lines: origin, size and root")]
    Lines,
    /// An empty origin.
    #[error("the origin is empty")]
    Origin,
    /// Not a number.
    #[error("the size is not a decimal number")]
    Size,
    /// Not a hash.
    #[error("the root is not 32 bytes in base64")]
    Root,
}

impl core::fmt::Display for CheckpointText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let root = to_base64(&self.root.0);
        writeln!(f, "{}\n{}\n{root}", self.origin, self.size)
    }
}

impl FromStr for CheckpointText {
    type Err = CheckpointTextError;

    fn from_str(text: &str) -> Result<Self, CheckpointTextError> {
        let lines: Vec<&str> = text
            .strip_suffix('\n')
            .ok_or(CheckpointTextError::Lines)?
            .split('\n')
            .collect();
        let [origin, size, root] = lines[..] else {
            return Err(CheckpointTextError::Lines);
        };
        if origin.is_empty() {
            return Err(CheckpointTextError::Origin);
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: from_decimal(size).ok_or(CheckpointTextError::Size)?,
            root: hash_from_base64(root).ok_or(CheckpointTextError::Root)?,
        })
    }
}

/// The key by which a validator cosigns, as a policy names it.
///
/// # Panics
/// Never for a member of a [`ValidatorSet`], whose names can name keys.
#[must_use]
pub fn cosigner(validator: &Validator) -> VerifierKey {
    VerifierKey::new(
        &validator.name,
        KeyKind::Cosignature,
        validator.consensus_key,
    )
    .expect("a member's name has neither spaces nor plus")
}

/// A node's own key for the notes it serves, as a policy names it.
#[must_use]
pub fn log_verifier(chain: ChainId, log_key: PublicKey) -> VerifierKey {
    VerifierKey::new(&origin(chain), KeyKind::Note, log_key)
        .expect("an origin has neither spaces nor plus")
}

/// One validator's signature over a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct Cosignature {
    /// Whose.
    pub validator: ValidatorIndex,
    /// Over [`CheckpointStatement::cosigned_bytes`], valid by the strict rule.
    pub signature: Signature,
}

/// A statement with cosignatures, sorted by validator; a proof of finality once
/// [`CheckpointCertificate::verify`] has accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct CheckpointCertificate {
    /// What was certified.
    pub statement: CheckpointStatement,
    /// By distinct validators, in the order of their indices.
    pub cosignatures: Vec<Cosignature>,
}

/// Why cosignatures do not certify a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// About another ledger.
    #[error("the checkpoint is of chain {given}, not of {expected}")]
    WrongChain {
        /// The chain it names.
        given: ChainId,
        /// The chain asked about.
        expected: ChainId,
    },
    /// A height whose log would have 2^64 leaves.
    #[error("2^64 - 1 is not the height of a block")]
    HeightOutOfRange,
    /// Not sorted by validator, or one validator twice.
    #[error("the cosignatures are not of distinct validators in order")]
    NotDistinct,
    /// A cosignature of nobody in the set.
    #[error("there is no validator {0}")]
    UnknownValidator(ValidatorIndex),
    /// A cosignature that does not verify.
    #[error("the cosignature of validator {0} does not verify")]
    WrongSignature(ValidatorIndex),
    /// Fewer than a quorum.
    #[error("{count} cosignatures, a quorum is {quorum}")]
    NoQuorum {
        /// How many there are.
        count: usize,
        /// How many it takes.
        quorum: usize,
    },
}

impl CheckpointCertificate {
    /// Checks that a quorum of distinct validators signed exactly this statement.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
    ) -> Result<(), CertificateError> {
        self.verify_with(chain, validators, |_, key, message, signature| {
            key.verify_strict(message, signature).is_ok()
        })
    }

    /// The same for one who may have checked some of the signatures before: `is_valid` says whether
    /// the validator, whose key it is given, signed the bytes by the strict rule.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify_with(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
        mut is_valid: impl FnMut(ValidatorIndex, &PublicKey, &[u8], &Signature) -> bool,
    ) -> Result<(), CertificateError> {
        if self.statement.chain != chain {
            return Err(CertificateError::WrongChain {
                given: self.statement.chain,
                expected: chain,
            });
        }
        if self.statement.height.0 == u64::MAX {
            return Err(CertificateError::HeightOutOfRange);
        }
        if !self
            .cosignatures
            .is_sorted_by(|a, b| a.validator < b.validator)
        {
            return Err(CertificateError::NotDistinct);
        }
        let (count, quorum) = (self.cosignatures.len(), validators.quorum());
        if count < quorum {
            return Err(CertificateError::NoQuorum { count, quorum });
        }
        let message = self.statement.cosigned_bytes();
        for Cosignature {
            validator,
            signature,
        } in &self.cosignatures
        {
            let key = validators
                .get(*validator)
                .ok_or(CertificateError::UnknownValidator(*validator))?
                .consensus_key;
            if !is_valid(*validator, &key, &message, signature) {
                return Err(CertificateError::WrongSignature(*validator));
            }
        }
        Ok(())
    }

    /// The note that a node serves: a line by its own log key, one for each cosignature.
    ///
    /// # Panics
    /// If a cosigner is not in `validators`: a certificate is verified before it is served.
    #[must_use]
    pub fn note(&self, validators: &ValidatorSet, log_key: &SecretKey) -> Note {
        let text = self.statement.note_text();
        let log = log_verifier(self.statement.chain, log_key.public());
        let own = NoteSignature::new(&log, log_key.sign(text.as_bytes()).0.to_vec());
        let cosigned = self.cosignatures.iter().map(|cosignature| {
            let validator = validators
                .get(cosignature.validator)
                .expect("a verified certificate names validators of the set");
            let time = self.statement.time_seconds.to_be_bytes();
            let signature = [&time[..], &cosignature.signature.0].concat();
            NoteSignature::new(&cosigner(validator), signature)
        });
        Note {
            signatures: std::iter::once(own).chain(cosigned).collect(),
            text,
        }
    }
}
