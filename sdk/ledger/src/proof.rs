//! The bundle: one JSON file that proves a transaction and its outcome (and, if it has one, an
//! entry of the state right after the block) to somebody who has a policy and nothing else.
//!
//! Fields, each required but `state`, no others: `format` (`"chancery-proof/v1"`), `claim`
//! ([`crate::claim`]), `tlog_proof` (C2SP text), `header` (base64 of SCALE), `transaction`
//! `{index, bytes, path}`, `receipt` `{bytes, path}`, `state` `{key, value, proof}`. `bytes`, `key`
//! and `value` are canonical base64 (of SCALE: transaction with signature, receipt), paths are
//! hashes in hexadecimal, `value` is absent where absence is proved.
//!
//! It proves its claim if
//! 1. the policy accepts the checkpoint in `tlog_proof` ([`crate::policy`]), the first of whose
//!    lines has the origin's name, the others the names in `claim.cosigners`, in order, none under
//!    another key than the policy has for that name;
//! 2. `header` is of a known version, of the ledger in the origin line, and
//!    SHA-256(0x00 || header) is leaf `height` of the log under the checkpoint (RFC 9162);
//! 3. all cosigners signed one time, the block time of the checkpoint's newest block in whole
//!    seconds: that of the header if it is this block, else not before it;
//! 4. the transaction is leaf `index` of `transactions_count` below the header's
//!    `transactions_root`, and the receipt is leaf `index` of as many below `receipts_root`;
//! 5. the transaction is for this ledger and signed by its sender (ZIP-215);
//! 6. the receipt names the transaction's id;
//! 7. the state proof ([`crate::state_proof`]) leads to the header's `state_root`;
//! 8. the claim is equal to what [`crate::claim`] derives from the header, transaction and receipt.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::block::PROTOCOL_VERSION;
use crate::claim::{Claim, Proved};
use crate::merkle::{InclusionProof, MerkleError, leaf_hash, prove_inclusion};
use crate::note::Note;
use crate::policy::{Policy, TrustedCheckpoint, UntrustedNote};
use crate::state_proof::{StateProof, StateProofError};
use crate::text::{from_base64, shortened, to_base64};
use crate::tlog_proof::{TlogProof, TlogProofError};
use crate::transaction::SignedTransaction;
use crate::{CodecError, Hash, Header, Height, Receipt, checkpoint, decode_canonical, keys};

/// What `format` says.
pub const FORMAT: &str = "chancery-proof/v1";

/// The longest file that is read: the greatest transaction and receipt, in words and as bytes.
pub const BUNDLE_BYTES_MAX: usize = 64 << 20;

/// The file, not verified.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`FORMAT`].
    pub format: String,
    /// What it proves.
    pub claim: Claim,
    /// The header's place in the log, and the checkpoint.
    pub tlog_proof: String,
    /// The block's header.
    pub header: String,
    /// The transaction with its signature, and its place in the block.
    pub transaction: TransactionPart,
    /// Its receipt.
    pub receipt: ReceiptPart,
    /// An entry of the state right after the block.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<StatePart>,
}

/// A transaction and its place below the header's `transactions_root`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionPart {
    /// The position in the block, which is also that of the receipt.
    pub index: u32,
    /// Base64 of SCALE of a [`SignedTransaction`].
    pub bytes: String,
    /// The inclusion path.
    pub path: Vec<Hash>,
}

/// A receipt and its place below the header's `receipts_root`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptPart {
    /// Base64 of SCALE of a [`Receipt`].
    pub bytes: String,
    /// The inclusion path.
    pub path: Vec<Hash>,
}

/// An entry of the state, or the absence of one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatePart {
    /// Base64 of the key ([`crate::state_key`]).
    pub key: String,
    /// Base64 of the value; absent to prove absence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<String>,
    /// The way to the header's `state_root`.
    pub proof: StateProof,
}

/// What a node has about a block under a checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct ProvenBlock<'a> {
    /// Its header.
    pub header: &'a Header,
    /// Its executed transactions.
    pub transactions: &'a [SignedTransaction],
    /// Their receipts.
    pub receipts: &'a [Receipt],
    /// A checkpoint of its height or a later one, cosigned by a quorum.
    pub checkpoint: &'a Note,
    /// The header's place in the log of the checkpoint's size.
    pub in_log: &'a InclusionProof,
}

/// An entry of the state that a bundle is to prove as well.
#[derive(Debug, Clone, Copy)]
pub struct ProvenEntry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its value, if there is one.
    pub value: Option<&'a [u8]>,
    /// From the tree right after the block.
    pub proof: &'a StateProof,
}

/// Why a bundle proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Longer than [`BUNDLE_BYTES_MAX`].
    #[error("the file has {len} bytes, at most {BUNDLE_BYTES_MAX} are read")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// Not the JSON of a bundle.
    #[error("the file is not a proof: line {line}, column {column}: {reason}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// The parser's words, shortened.
        reason: String,
    },
    /// JSON that means the same as a bundle's, written in another way: a list for an object, a null
    /// for an absent field. White space and the order of fields do not matter.
    #[error("the file is not written as a proof is")]
    OtherForm,
    /// Another format, or a newer version of this one.
    #[error("the format is {given:?}, this verifier knows {FORMAT:?}")]
    Format {
        /// What it says, shortened.
        given: String,
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
    /// The state proof does not hold.
    #[error("the state entry: {0}")]
    State(#[from] StateProofError),
    /// The claim says something else than what is proved.
    #[error("the claim's {field:?} differs from what is proved")]
    OtherClaim {
        /// Where they differ first.
        field: &'static str,
    },
}

impl Bundle {
    /// The file that proves transaction `index` of a block, and an entry of the state if one is
    /// given; none if the block has no such transaction and receipt.
    #[must_use]
    pub fn of_transaction(
        block: ProvenBlock<'_>,
        index: u32,
        entry: Option<ProvenEntry<'_>>,
    ) -> Option<Self> {
        let position = usize::try_from(index).ok()?;
        let transaction = block.transactions.get(position)?;
        let receipt = block.receipts.get(position)?;
        let in_transactions =
            prove_inclusion(block.transactions.iter().map(Encode::encode), index.into())?;
        let in_receipts = prove_inclusion(block.receipts.iter().map(Encode::encode), index.into())?;
        let tlog_proof = TlogProof {
            index: block.in_log.leaf_index,
            path: block.in_log.path.clone(),
            checkpoint: block.checkpoint.clone(),
        };
        let cosigned = block.checkpoint.signatures.iter().skip(1);
        let claim = Claim::of(Proved {
            header: block.header,
            transaction,
            receipt,
            index,
            state: entry.map(|entry| (entry.key, entry.value)),
            checkpoint_height: Height(block.in_log.tree_size.checked_sub(1)?),
            cosigners: cosigned.map(|line| line.name.clone()).collect(),
        });
        Some(Self {
            format: FORMAT.to_owned(),
            claim,
            tlog_proof: tlog_proof.to_string(),
            header: to_base64(&block.header.encode()),
            transaction: TransactionPart {
                index,
                bytes: to_base64(&transaction.encode()),
                path: in_transactions.path,
            },
            receipt: ReceiptPart {
                bytes: to_base64(&receipt.encode()),
                path: in_receipts.path,
            },
            state: entry.map(|entry| StatePart {
                key: to_base64(entry.key),
                value: entry.value.map(to_base64),
                proof: entry.proof.clone(),
            }),
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ProofError::TooLong`], [`ProofError::Json`], [`ProofError::OtherForm`] or
    /// [`ProofError::Format`].
    ///
    /// # Panics
    /// Never: a bundle has no map with other keys than strings.
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        if text.len() > BUNDLE_BYTES_MAX {
            return Err(ProofError::TooLong { len: text.len() });
        }
        let not_json = |error: serde_json::Error| ProofError::Json {
            line: error.line(),
            column: error.column(),
            reason: shortened(&error.to_string()),
        };
        let bundle: Self = serde_json::from_str(text).map_err(not_json)?;
        let given: serde_json::Value = serde_json::from_str(text).map_err(not_json)?;
        let expected = serde_json::to_value(&bundle).expect("strings, numbers and lists");
        if given != expected {
            return Err(ProofError::OtherForm);
        }
        bundle.check_format()?;
        Ok(bundle)
    }

    /// The file.
    ///
    /// # Panics
    /// Never: a bundle has no map with other keys than strings.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings, numbers and lists");
        text.push('\n');
        text
    }

    /// Checks all rules of the module's page, and returns what is proved.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, policy: &Policy) -> Result<Claim, ProofError> {
        self.check_format()?;
        let tlog_proof: TlogProof = self.tlog_proof.parse()?;
        let trusted = policy.verify(&tlog_proof.checkpoint)?;
        self.check_signature_lines(&tlog_proof.checkpoint, &trusted, policy)?;

        let header: Header = decode("header", &self.header)?;
        check_header(&header, &tlog_proof, &trusted)?;

        let (transaction_bytes, transaction): (_, SignedTransaction) =
            decode_with_bytes("transaction.bytes", &self.transaction.bytes)?;
        let (receipt_bytes, receipt): (_, Receipt) =
            decode_with_bytes("receipt.bytes", &self.receipt.bytes)?;
        let included = |part, bytes: &[u8], path: &[Hash], root| {
            let proof = InclusionProof {
                leaf_index: self.transaction.index.into(),
                tree_size: header.transactions_count.into(),
                path: path.to_vec(),
            };
            proof
                .verify(&leaf_hash(bytes), root)
                .map_err(|error| ProofError::Inclusion { part, error })
        };
        let (transaction_path, receipt_path) = (&self.transaction.path, &self.receipt.path);
        included(
            "the transaction in its block",
            &transaction_bytes,
            transaction_path,
            &header.transactions_root,
        )?;
        included(
            "the receipt in its block",
            &receipt_bytes,
            receipt_path,
            &header.receipts_root,
        )?;
        if transaction.transaction.chain != header.chain {
            return Err(ProofError::OtherLedger {
                part: "the transaction",
            });
        }
        keys::verify_transaction_signature(
            &transaction.transaction.sender,
            &transaction.transaction.signed_bytes(),
            &transaction.signature,
        )
        .map_err(|_| ProofError::TransactionSignature)?;
        if receipt.transaction != transaction.id() {
            return Err(ProofError::OtherReceipt);
        }
        let state = match &self.state {
            None => None,
            Some(entry) => Some(verify_entry(entry, &header.state_root)?),
        };
        let proved = Claim::of(Proved {
            header: &header,
            transaction: &transaction,
            receipt: &receipt,
            index: self.transaction.index,
            state: state
                .as_ref()
                .map(|(key, value)| (&key[..], value.as_deref())),
            checkpoint_height: Height(trusted.text.size - 1),
            cosigners: self.claim.cosigners.clone(),
        });
        if let Some(field) = self.claim.first_difference(&proved) {
            return Err(ProofError::OtherClaim { field });
        }
        let cosigners = trusted.cosigners.into_iter();
        Ok(Claim {
            cosigners: cosigners.map(|cosigner| cosigner.name).collect(),
            ..proved
        })
    }

    fn check_format(&self) -> Result<(), ProofError> {
        if self.format == FORMAT {
            return Ok(());
        }
        Err(ProofError::Format {
            given: shortened(&self.format),
        })
    }

    /// Stricter than the policy, which ignores lines by unknown keys: of a bundle, no byte may
    /// change unnoticed.
    fn check_signature_lines(
        &self,
        note: &Note,
        trusted: &TrustedCheckpoint,
        policy: &Policy,
    ) -> Result<(), ProofError> {
        let names = note.signatures.iter().map(|line| &line.name);
        let expected = std::iter::once(&trusted.text.origin).chain(&self.claim.cosigners);
        let foreign = |line| policy.is_foreign_key_under_known_name(line);
        if !names.eq(expected) || note.signatures.iter().any(foreign) {
            return Err(ProofError::SignatureLines);
        }
        Ok(())
    }
}

/// Rules 2 and 3.
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

/// Rule 7; returns the key and, if it is present, its value.
fn verify_entry(entry: &StatePart, root: &Hash) -> Result<(Vec<u8>, Option<Vec<u8>>), ProofError> {
    let key = unbase64("state.key", &entry.key)?;
    let value = match &entry.value {
        None => None,
        Some(value) => Some(unbase64("state.value", value)?),
    };
    match &value {
        None => entry.proof.verify_absence(root, &key)?,
        Some(value) => entry.proof.verify_presence(root, &key, value)?,
    }
    Ok((key, value))
}

fn unbase64(part: &'static str, text: &str) -> Result<Vec<u8>, ProofError> {
    from_base64(text).ok_or(ProofError::Base64 { part })
}

fn decode<T>(part: &'static str, text: &str) -> Result<T, ProofError>
where
    T: Decode + DecodeWithMemTracking + Encode,
{
    decode_with_bytes(part, text).map(|(_, value)| value)
}

/// The bytes, bounded by the length of the file, and what they encode.
fn decode_with_bytes<T>(part: &'static str, text: &str) -> Result<(Vec<u8>, T), ProofError>
where
    T: Decode + DecodeWithMemTracking + Encode,
{
    let bytes = unbase64(part, text)?;
    let value =
        decode_canonical(&bytes, bytes.len()).map_err(|error| ProofError::Codec { part, error })?;
    Ok((bytes, value))
}
