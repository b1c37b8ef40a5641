//! The bundle: one JSON file that proves a transaction and its outcome to somebody who has a policy
//! and nothing else.
//!
//! Fields: those of every proof file ([`crate::proof_file`]), with `format` `"chancery-proof/v1"` and
//! `claim` as in [`crate::claim`], and `transaction` `{index, bytes, path}`, `receipt` `{bytes,
//! path}`. `bytes` is base64 of SCALE (the transaction with its signature), paths are hashes.
//!
//! It proves its claim if F1 to F4 of [`crate::proof_file`] hold and
//! 1. the transaction is leaf `index` of `transactions_count` below the header's
//!    `transactions_root`, and the receipt is leaf `index` of as many below `receipts_root`;
//! 2. the transaction is for this ledger and signed by its sender (ZIP-215);
//! 3. the receipt names the transaction's id;
//! 4. the claim is equal to what [`crate::claim`] derives from the header, transaction and receipt
//!    (F5).

use parity_scale_codec::Encode;

use crate::claim::{Claim, Proved};
use crate::merkle::{InclusionProof, leaf_hash, prove_inclusion};
use crate::policy::Policy;
pub use crate::proof_file::{PROOF_BYTES_MAX, ProofError, ProvenHeader};
use crate::proof_file::{VerifiedHeader, check_format, decode, from_json, to_json};
use crate::text::to_base64;
use crate::transaction::SignedTransaction;
use crate::{Hash, Receipt, keys};

/// What `format` says.
pub const FORMAT: &str = "chancery-proof/v1";

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

impl Bundle {
    /// The file that proves transaction `index` of the header's block, which has these executed
    /// transactions and receipts; none if it has no such transaction and receipt.
    #[must_use]
    pub fn of_transaction(
        proven: ProvenHeader<'_>,
        transactions: &[SignedTransaction],
        receipts: &[Receipt],
        index: u32,
    ) -> Option<Self> {
        let position = usize::try_from(index).ok()?;
        let transaction = transactions.get(position)?;
        let receipt = receipts.get(position)?;
        let in_transactions =
            prove_inclusion(transactions.iter().map(Encode::encode), index.into())?;
        let in_receipts = prove_inclusion(receipts.iter().map(Encode::encode), index.into())?;
        let claim = Claim::of(Proved {
            header: proven.header,
            transaction,
            receipt,
            index,
            checkpoint_height: proven.checkpoint_height()?,
            cosigners: proven.cosigners(),
        });
        Some(Self {
            format: FORMAT.to_owned(),
            claim,
            tlog_proof: proven.tlog_proof(),
            header: proven.header(),
            transaction: TransactionPart {
                index,
                bytes: to_base64(&transaction.encode()),
                path: in_transactions.path,
            },
            receipt: ReceiptPart {
                bytes: to_base64(&receipt.encode()),
                path: in_receipts.path,
            },
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ProofError::TooLong`], [`ProofError::Json`], [`ProofError::OtherForm`] or
    /// [`ProofError::Format`].
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        let bundle: Self = from_json(text)?;
        check_format(&bundle.format, FORMAT)?;
        Ok(bundle)
    }

    /// The file.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(self)
    }

    /// Checks all rules of the module's page, and returns what is proved.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, policy: &Policy) -> Result<Claim, ProofError> {
        check_format(&self.format, FORMAT)?;
        let cosigners = &self.claim.cosigners;
        let VerifiedHeader {
            header,
            checkpoint_height,
            trusted,
        } = VerifiedHeader::verify(&self.tlog_proof, &self.header, cosigners, policy)?;

        let (transaction_bytes, transaction): (_, SignedTransaction) =
            decode("transaction.bytes", &self.transaction.bytes)?;
        let (receipt_bytes, receipt): (_, Receipt) = decode("receipt.bytes", &self.receipt.bytes)?;
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
        // 1.
        included(
            "the transaction in its block",
            &transaction_bytes,
            &self.transaction.path,
            &header.transactions_root,
        )?;
        included(
            "the receipt in its block",
            &receipt_bytes,
            &self.receipt.path,
            &header.receipts_root,
        )?;
        // 2.
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
        // 3.
        if receipt.transaction != transaction.id() {
            return Err(ProofError::OtherReceipt);
        }
        // 4.
        let proved = Claim::of(Proved {
            header: &header,
            transaction: &transaction,
            receipt: &receipt,
            index: self.transaction.index,
            checkpoint_height,
            cosigners: cosigners.clone(),
        });
        if let Some(field) = self.claim.first_difference(&proved) {
            return Err(ProofError::OtherClaim { field });
        }
        Ok(Claim {
            cosigners: trusted,
            ..proved
        })
    }
}
