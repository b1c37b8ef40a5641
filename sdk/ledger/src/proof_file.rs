//! What every kind of proof file has in common: how it is written, and a block's header under a
//! checkpoint. The kinds are [`crate::proof`] (a transaction) and [`crate::state_bundle`] (entries of
//! the state).
//!
//! A file is one JSON object; among its fields are `format`, `claim`, `tlog_proof` (C2SP text) and
//! `header` (base64 of SCALE). Bytes are canonical base64, and hashes hexadecimal. In a `claim`, which
//! is for people, byte strings are lower-case hexadecimal as well. A file proves its claim only if
//!
//! - F1. it is written as it would be written here, but for white space and order, and escapes in
//!   strings: every field there and once, no others, no list for an object, no null for an absent field;
//! - F2. the policy accepts the checkpoint in `tlog_proof` ([`crate::policy`]), the first of whose
//!   lines has the origin's name, the others the names in `claim.cosigners`, in order, none under
//!   another key than the policy has for that name;
//! - F3. `header` is of a known version, of the ledger in the origin line, and
//!   SHA-256(0x00 || header) is leaf `height` of the log under the checkpoint (RFC 9162);
//! - F4. all cosigners signed one time, the block time of the checkpoint's newest block in whole
//!   seconds: that of the header if it is this block, else not before it;
//! - F5. the claim is equal to what is derived from what is proved.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::block::PROTOCOL_VERSION;
use crate::merkle::{InclusionProof, MerkleError};
use crate::note::Note;
use crate::policy::{Policy, TrustedCheckpoint, UntrustedNote};
use crate::state_bundle::ENTRIES_MAX;
use crate::state_proof::StateProofError;
use crate::text::{from_base64, shortened, to_base64};
use crate::tlog_proof::{TlogProof, TlogProofError};
use crate::{CodecError, Header, Height, checkpoint, decode_canonical};

/// The name of the first of all fields in which two claims differ, in this order.
macro_rules! first_difference {
    ($claim:expr, $other:expr; $($field:ident)*) => {{
        let Self { $($field: _),* } = $claim;
        $(if $claim.$field != $other.$field {
            return Some(stringify!($field));
        })*
        None
    }};
}
pub(crate) use first_difference;

/// The longest file that is read. There is room for the greatest transaction and receipt, and for as
/// many entries of the state as a file has whose values have 1 MiB together, in words and as bytes.
pub const PROOF_BYTES_MAX: usize = 64 << 20;

/// What a node has about a block's header under a checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct ProvenHeader<'a> {
    /// The header.
    pub header: &'a Header,
    /// A checkpoint of its height or a later one, cosigned by a quorum.
    pub checkpoint: &'a Note,
    /// The header's place in the log of the checkpoint's size.
    pub in_log: &'a InclusionProof,
}

impl ProvenHeader<'_> {
    /// The field `tlog_proof`.
    pub(crate) fn tlog_proof(&self) -> String {
        let proof = TlogProof {
            index: self.in_log.leaf_index,
            path: self.in_log.path.clone(),
            checkpoint: self.checkpoint.clone(),
        };
        proof.to_string()
    }

    /// The field `header`.
    pub(crate) fn header(&self) -> String {
        to_base64(&self.header.encode())
    }

    /// The newest block under the checkpoint; none where the log is empty.
    pub(crate) fn checkpoint_height(&self) -> Option<Height> {
        self.in_log.tree_size.checked_sub(1).map(Height)
    }

    /// The names on the lines of the checkpoint, without the log's own.
    pub(crate) fn cosigners(&self) -> Vec<String> {
        let cosigned = self.checkpoint.signatures.iter().skip(1);
        cosigned.map(|line| line.name.clone()).collect()
    }
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Longer than [`PROOF_BYTES_MAX`].
    #[error("the file has {len} bytes, at most {PROOF_BYTES_MAX} are read")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// Not the JSON of such a file.
    #[error("the file is not a proof: line {line}, column {column}: {reason}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// The parser's words, shortened.
        reason: String,
    },
    /// JSON that means the same as a proof's, written in another way: a list for an object, a null
    /// for an absent field. White space, the order of fields
    /// and escapes in strings do not matter.
    #[error("the file is not written as a proof is")]
    OtherForm,
    /// Another format, or a newer version of this one.
    #[error("the format is {given:?}, expected was {known:?}")]
    Format {
        /// What it says, shortened.
        given: String,
        /// The one that is read here.
        known: &'static str,
    },
    /// A field that is not canonical base64.
    #[error("{part} is not canonical base64")]
    Base64 {
        /// Which field.
        part: &'static str,
    },
    /// Bytes that are no encoding of what they should be.
    #[error("{part}: {error}")]
    Codec {
        /// Which field.
        part: &'static str,
        /// What they break.
        error: CodecError,
    },
    /// `tlog_proof` is not one.
    #[error(transparent)]
    TlogProof(#[from] TlogProofError),
    /// The policy does not accept the checkpoint.
    #[error("the policy does not accept the checkpoint: {0}")]
    Checkpoint(#[from] UntrustedNote),
    /// The signature lines are not those of the log and of `claim.cosigners`, or one is by a key
    /// that the policy does not have for its name.
    #[error("the signature lines of the checkpoint are not those of the claim's cosigners")]
    SignatureLines,
    /// A header by rules that this verifier does not know.
    #[error("the header has version {version}, this verifier knows {PROTOCOL_VERSION}")]
    Version {
        /// The header's.
        version: u16,
    },
    /// Header, checkpoint and transaction are not of one ledger.
    #[error("{part} is of another ledger than the header")]
    OtherLedger {
        /// Which part.
        part: &'static str,
    },
    /// The log's leaf is another height than the header says.
    #[error("leaf {index} of the log is not the place of block {height}")]
    OtherHeight {
        /// The index in `tlog_proof`.
        index: u64,
        /// The header's height.
        height: Height,
    },
    /// Cosigners signed different times, or one that does not fit the header's.
    #[error("the cosigners' time does not fit the time of the block")]
    Time,
    /// A Merkle path that does not lead to its root.
    #[error("{part}: {error}")]
    Inclusion {
        /// What was to be included.
        part: &'static str,
        /// What is wrong.
        error: MerkleError,
    },
    /// The sender did not sign.
    #[error("the transaction is not signed by its sender")]
    TransactionSignature,
    /// The receipt is of another transaction.
    #[error("the receipt is not the transaction's")]
    OtherReceipt,
    /// No entry of the state, or more than a file has.
    #[error("the file has {count} entries, 1 to {ENTRIES_MAX} are possible")]
    EntriesCount {
        /// How many it has.
        count: usize,
    },
    /// A key that stands in an earlier entry too.
    #[error("entry {entry} has the key of an earlier one")]
    KeyTwice {
        /// Counted from 0.
        entry: usize,
    },
    /// A key under which no state has anything ([`crate::state_key`]).
    #[error("entry {entry} has a key that no state has")]
    Key {
        /// Counted from 0.
        entry: usize,
    },
    /// A state proof that does not hold.
    #[error("entry {entry}: {error}")]
    State {
        /// Counted from 0.
        entry: usize,
        /// What is wrong.
        error: StateProofError,
    },
    /// The claim says something else than what is proved.
    #[error("the claim's {field:?} differs from what is proved")]
    OtherClaim {
        /// Where they differ first.
        field: &'static str,
    },
}

/// Reads a file: F1, but for the value of `format`.
pub(crate) fn from_json<T: Serialize + DeserializeOwned>(text: &str) -> Result<T, ProofError> {
    if text.len() > PROOF_BYTES_MAX {
        return Err(ProofError::TooLong { len: text.len() });
    }
    let not_json = |error: serde_json::Error| ProofError::Json {
        line: error.line(),
        column: error.column(),
        reason: shortened(&error.to_string()),
    };
    let file: T = serde_json::from_str(text).map_err(not_json)?;
    let given: serde_json::Value = serde_json::from_str(text).map_err(not_json)?;
    let expected = serde_json::to_value(&file).expect("strings, numbers and lists");
    if given == expected {
        Ok(file)
    } else {
        Err(ProofError::OtherForm)
    }
}

/// The text of a file.
pub(crate) fn to_json(file: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(file).expect("strings, numbers and lists");
    text.push('\n');
    text
}

pub(crate) fn check_format(given: &str, known: &'static str) -> Result<(), ProofError> {
    if given == known {
        return Ok(());
    }
    let given = shortened(given);
    Err(ProofError::Format { given, known })
}

/// A header that is under an accepted checkpoint.
#[derive(Debug)]
pub(crate) struct VerifiedHeader {
    pub(crate) header: Header,
    pub(crate) checkpoint_height: Height,
    /// Whom the policy trusts among those who cosigned, by its names.
    pub(crate) trusted: Vec<String>,
}

impl VerifiedHeader {
    /// Checks F2, F3 and F4 of a file's fields.
    pub(crate) fn verify(
        tlog_proof: &str,
        header: &str,
        cosigners: &[String],
        policy: &Policy,
    ) -> Result<Self, ProofError> {
        let tlog_proof: TlogProof = tlog_proof.parse()?;
        let trusted = policy.verify(&tlog_proof.checkpoint)?;
        check_signature_lines(&tlog_proof.checkpoint, &trusted, cosigners, policy)?;
        let (_, header) = decode("header", header)?;
        check_header(&header, &tlog_proof, &trusted)?;
        let names = trusted.cosigners.into_iter().map(|cosigner| cosigner.name);
        Ok(Self {
            header,
            // The header is in the log, which is therefore not empty.
            checkpoint_height: Height(trusted.text.size - 1),
            trusted: names.collect(),
        })
    }
}

/// The lines of F2. Stricter than the policy, which ignores lines by unknown keys: of a file, no byte
/// may change unnoticed.
fn check_signature_lines(
    note: &Note,
    trusted: &TrustedCheckpoint,
    cosigners: &[String],
    policy: &Policy,
) -> Result<(), ProofError> {
    let names = note.signatures.iter().map(|line| &line.name);
    let expected = std::iter::once(&trusted.text.origin).chain(cosigners);
    let foreign = |line| policy.is_foreign_key_under_known_name(line);
    if !names.eq(expected) || note.signatures.iter().any(foreign) {
        return Err(ProofError::SignatureLines);
    }
    Ok(())
}

/// F3 and F4.
fn check_header(
    header: &Header,
    tlog_proof: &TlogProof,
    trusted: &TrustedCheckpoint,
) -> Result<(), ProofError> {
    if header.version != PROTOCOL_VERSION {
        return Err(ProofError::Version {
            version: header.version,
        });
    }
    if checkpoint::origin(header.chain) != trusted.text.origin {
        return Err(ProofError::OtherLedger {
            part: "the checkpoint",
        });
    }
    let (index, height) = (tlog_proof.index, header.height);
    if index != height.0 {
        return Err(ProofError::OtherHeight { index, height });
    }
    let in_log = InclusionProof {
        leaf_index: index,
        tree_size: trusted.text.size,
        path: tlog_proof.path.clone(),
    };
    in_log
        .verify(&header.hash(), &trusted.text.root)
        .map_err(|error| ProofError::Inclusion {
            part: "the header in the log",
            error,
        })?;
    let block_seconds = header.time.0 / 1000;
    let is_newest = trusted.text.size == height.0 + 1;
    let times = || trusted.cosigners.iter().map(|c| c.time_seconds);
    let fits = times().all(|time| time == block_seconds || (!is_newest && time > block_seconds));
    let one_time = times().min() == times().max();
    if fits && one_time {
        Ok(())
    } else {
        Err(ProofError::Time)
    }
}

pub(crate) fn unbase64(part: &'static str, text: &str) -> Result<Vec<u8>, ProofError> {
    from_base64(text).ok_or(ProofError::Base64 { part })
}

/// The bytes, bounded by the length of the file, and what they encode.
pub(crate) fn decode<T>(part: &'static str, text: &str) -> Result<(Vec<u8>, T), ProofError>
where
    T: Decode + DecodeWithMemTracking + Encode,
{
    let bytes = unbase64(part, text)?;
    let value =
        decode_canonical(&bytes, bytes.len()).map_err(|error| ProofError::Codec { part, error })?;
    Ok((bytes, value))
}
