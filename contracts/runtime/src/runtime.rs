//! The runtime's face: execute a batch, judge a transaction's admission, answer a query.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    Batch, ChainLimits, ContractId, Fuel, Millis, Receipt, Status, TransactionId,
};

use crate::module::{ModuleError, ModuleReport};
use crate::view::{BlockContext, DropReason, LedgerView};

/// The engine cannot be set up on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the WebAssembly engine cannot start here: {reason}")]
pub struct EngineError {
    /// The engine's words.
    pub reason: String,
}

/// What a batch became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedBatch {
    /// The transactions that were executed, in order; each has the receipt at its position.
    pub transactions: Vec<SignedTransaction>,
    /// Those that were kept out, and why.
    pub dropped: Vec<(TransactionId, DropReason)>,
    /// One for each executed transaction.
    pub receipts: Vec<Receipt>,
    /// Raw state keys whose value differs from before; `None` is a removal.
    pub changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryOutcome {
    /// How the view ended.
    pub status: Status,
    /// What it burnt; nobody pays for it.
    pub fuel_used: Fuel,
}

/// Runs contracts under the limits of one chain. Share it: all methods take `&self`.
#[derive(Debug)]
pub struct Runtime {
    limits: ChainLimits,
}

impl Runtime {
    /// Sets up the engine for a chain.
    ///
    /// # Errors
    /// If the engine refuses its settings on this machine.
    pub fn new(limits: ChainLimits) -> Result<Self, EngineError> {
        Ok(Self { limits })
    }

    /// Executes a batch on top of `view`, in order; later transactions see what earlier ones did.
    #[must_use]
    pub fn execute_batch(
        &self,
        context: &BlockContext,
        view: Arc<dyn LedgerView>,
        batch: &Batch,
    ) -> ExecutedBatch {
        let _ = (&self.limits, context, view, batch);
        unimplemented!()
    }

    /// Whether a block of time `block_time` on top of `view` would take the transaction.
    ///
    /// # Errors
    /// The first rule that keeps it out.
    pub fn admissible(
        &self,
        view: &dyn LedgerView,
        block_time: Millis,
        signed: &SignedTransaction,
    ) -> Result<(), DropReason> {
        let _ = (view, block_time, signed);
        unimplemented!()
    }

    /// Runs a `view` method without a transaction. `context.time` is the time the view sees; its
    /// caller and transaction id are zero.
    #[must_use]
    pub fn query(
        &self,
        context: &BlockContext,
        view: Arc<dyn LedgerView>,
        contract: ContractId,
        method: &str,
        args: &[u8],
    ) -> QueryOutcome {
        let _ = (context, view, contract, method, args);
        unimplemented!()
    }

    /// Judges a module by the rules of deployment, without running any of it.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_module(limits: &ChainLimits, wasm: &[u8]) -> Result<ModuleReport, ModuleError> {
        crate::module::check_module(limits, wasm)
    }
}
