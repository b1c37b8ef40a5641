//! What PBFT orders: a proposed time and some transactions, named by digest.

use std::collections::BTreeSet;

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::hash::sha256_domain;
use crate::transaction::{SignedTransaction, TransactionError, Verified};
use crate::{
    BatchDigest, ChainId, ChainLimits, CodecError, Millis, TransactionId, decode_canonical,
};

/// A proposal of the primary.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct Batch {
    /// The primary's clock when it made the batch. Block time is at least its parent's plus 1 ms.
    pub proposed_time: Millis,
    /// In the order of execution.
    pub transactions: Vec<SignedTransaction>,
}

/// Why a batch is not well-formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes are not a batch within the limits.
    #[error("malformed batch: {0}")]
    Codec(#[from] CodecError),
    /// More transactions than a batch may have.
    #[error("{count} transactions, at most {count_max} are allowed in a batch")]
    TooManyTransactions {
        /// How many.
        count: usize,
        /// The limit.
        count_max: usize,
    },
    /// The declared fuel adds up to more than a batch may have.
    #[error("the declared fuel adds up to more than {fuel_max}")]
    TooMuchFuel {
        /// The limit.
        fuel_max: u64,
    },
    /// The fuel that those declare which bring code adds up to more than one transaction may declare.
    #[error("the fuel declared for code adds up to more than {fuel_max}")]
    TooMuchCode {
        /// The limit.
        fuel_max: u64,
    },
    /// The same transaction twice.
    #[error("transaction {id} stands in the batch twice")]
    Repeated {
        /// Which.
        id: TransactionId,
    },
    /// A transaction that had expired, or was valid for too long, at the proposed time.
    #[error(
        "transaction {id} is valid until {valid_until}, the batch was proposed at {proposed_time}"
    )]
    NotValidAtProposedTime {
        /// Which.
        id: TransactionId,
        /// Its end.
        valid_until: Millis,
        /// The batch's time.
        proposed_time: Millis,
    },
    /// A transaction that no ledger in this state or another would take.
    #[error("transaction {id}: {error}")]
    Transaction {
        /// Which.
        id: TransactionId,
        /// What it breaks.
        error: TransactionError,
    },
}

impl Batch {
    /// The one constant batch that fills a gap: it has no time of its own, so its block's time is
    /// its parent's plus 1 ms.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            proposed_time: Millis(0),
            transactions: Vec::new(),
        }
    }

    /// The digest under which PBFT orders it.
    #[must_use]
    pub fn digest(&self) -> BatchDigest {
        BatchDigest(sha256_domain("batch", &self.encode()).0)
    }

    /// Whether there is code in it that its execution compiles.
    #[must_use]
    pub fn brings_code(&self) -> bool {
        let mut calls = self
            .transactions
            .iter()
            .map(|signed| &signed.transaction.call);
        calls.any(|call| call.code().is_some())
    }

    /// Decodes and verifies bytes from outside.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn decode_and_verify(
        bytes: &[u8],
        chain: ChainId,
        limits: &ChainLimits,
    ) -> Result<Verified<Self>, BatchError> {
        let batch: Self = decode_canonical(bytes, limits.batch_bytes_max as usize)?;
        batch.verify(chain, limits)
    }

    /// Checks that the batch is well-formed and that each of its transactions passes the stateless
    /// rules. Whether its time is near is judged only where it is freshly proposed.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(
        self,
        chain: ChainId,
        limits: &ChainLimits,
    ) -> Result<Verified<Self>, BatchError> {
        self.check_form(limits)?;
        for signed in &self.transactions {
            signed
                .check(chain, limits)
                .map_err(|error| BatchError::Transaction {
                    id: signed.id(),
                    error,
                })?;
        }
        Ok(Verified::new_unchecked(self))
    }

    /// Puts transactions that were verified one by one into a batch.
    ///
    /// # Errors
    /// The first rule for batches that they break together.
    pub fn of_verified(
        proposed_time: Millis,
        transactions: Vec<Verified<SignedTransaction>>,
        limits: &ChainLimits,
    ) -> Result<Verified<Self>, BatchError> {
        let transactions = transactions.into_iter().map(Verified::into_inner).collect();
        let batch = Self {
            proposed_time,
            transactions,
        };
        batch.check_form(limits)?;
        Ok(Verified::new_unchecked(batch))
    }

    fn check_form(&self, limits: &ChainLimits) -> Result<(), BatchError> {
        let (count, count_max) = (
            self.transactions.len(),
            limits.batch_transactions_max as usize,
        );
        if count > count_max {
            return Err(BatchError::TooManyTransactions { count, count_max });
        }
        let (len, len_max) = (self.encoded_size(), limits.batch_bytes_max as usize);
        if len > len_max {
            return Err(CodecError::TooLong { len, len_max }.into());
        }
        let (mut fuel, mut code_fuel) = (0_u64, 0_u64);
        let mut seen = BTreeSet::new();
        for signed in &self.transactions {
            let transaction = &signed.transaction;
            let id = transaction.id();
            fuel = fuel.saturating_add(transaction.fuel_max.0);
            if transaction.call.code().is_some() {
                code_fuel = code_fuel.saturating_add(transaction.fuel_max.0);
            }
            if !seen.insert(id) {
                return Err(BatchError::Repeated { id });
            }
            let latest = self.proposed_time.0.saturating_add(limits.valid_for_ms_max);
            if transaction.valid_until <= self.proposed_time || transaction.valid_until.0 > latest {
                return Err(BatchError::NotValidAtProposedTime {
                    id,
                    valid_until: transaction.valid_until,
                    proposed_time: self.proposed_time,
                });
            }
        }
        if fuel > limits.batch_fuel_max {
            return Err(BatchError::TooMuchFuel {
                fuel_max: limits.batch_fuel_max,
            });
        }
        // Compiling holds a batch up no longer than the greatest deployment does.
        if code_fuel > limits.transaction_fuel_max {
            return Err(BatchError::TooMuchCode {
                fuel_max: limits.transaction_fuel_max,
            });
        }
        Ok(())
    }
}
