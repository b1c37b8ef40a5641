//! Checkpoints: the header log's size and root at a height, cosigned by validators. A quorum of
//! equal cosignatures is the ledger's finality certificate.
//!
//! Formats: C2SP `tlog-checkpoint` for the note, `tlog-cosignature` (`cosignature/v1`, key type
//! 0x04) for each validator's line on it, `tlog-policy` for the validators with their quorum.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::{ChainId, Hash, Height, Millis, Signature, ValidatorIndex, ValidatorSet};

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

    /// The note's text (`tlog-checkpoint`): origin, size and root, a line each.
    #[must_use]
    pub fn note_text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            origin(self.chain),
            self.height.next(),
            BASE64.encode(self.root.0)
        )
    }

    /// What a validator signs (`cosignature/v1`).
    #[must_use]
    pub fn cosigned_bytes(&self) -> Vec<u8> {
        format!(
            "cosignature/v1\ntime {}\n{}",
            self.time_seconds,
            self.note_text()
        )
        .into_bytes()
    }
}

/// The name of a ledger's header log, the first line of its notes.
#[must_use]
pub fn origin(chain: ChainId) -> String {
    format!("chancery/v1/{chain}")
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
        if self.statement.chain != chain {
            return Err(CertificateError::WrongChain {
                given: self.statement.chain,
                expected: chain,
            });
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
            key.verify_strict(&message, signature)
                .map_err(|_| CertificateError::WrongSignature(*validator))?;
        }
        Ok(())
    }
}
