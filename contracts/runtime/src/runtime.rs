//! The runtime's face: execute a batch, judge a transaction's admission, answer a query.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    Batch, ChainLimits, CodeHash, ContractId, Fuel, Hash, Millis, Receipt, Status, TransactionId,
};

use crate::engine::WasmEngine;
use crate::execute::{self, Executor};
use crate::module::{ModuleError, ModuleReport};
use crate::overlay::Overlay;
use crate::turns::Turns;
use crate::view::{BlockContext, DropReason, LedgerView};
use crate::world::World;

/// Blocks that one runtime executes at once; a node has one.
const BLOCKS_AT_ONCE: u32 = 2;
/// Queries that it answers at once, besides; no query keeps a block waiting.
const QUERIES_AT_ONCE: u32 = 8;

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

/// How many modules were compiled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compilations {
    /// Before they were executed ([`Runtime::prepare`]).
    pub ahead: u64,
    /// Of these, how many were executed since, as part of a block.
    pub ahead_executed: u64,
    /// While a block, or a query, waited for it.
    pub late: u64,
}

/// Shown what a contract logs; results never depend on it.
pub type DebugLog = Arc<dyn Fn(ContractId, &str) + Send + Sync>;

/// Keeps compiled modules beyond the life of a [`Runtime`], so that they need not be compiled again.
///
/// Results never depend on what it has kept: it may forget anything at any time, and what comes back
/// damaged is ignored. But compiled modules are programs, so an implementation must give back only
/// what was handed to [`CompiledStore::keep`], by this program, and must keep it where nobody but
/// the user that this program runs as can write.
pub trait CompiledStore: Send + Sync + 'static {
    /// Called once, before all else: what a module is compiled to depends on these settings, so what
    /// was kept under others is of no use any more.
    fn begin(&self, settings: &Hash);

    /// What was kept of that code, if it is still there.
    fn load(&self, code: &CodeHash) -> Option<Vec<u8>>;

    /// Keeps it, in the place of what was kept of that code. That this can fail is no concern of the
    /// one who asks.
    fn keep(&self, code: &CodeHash, bytes: &[u8]);
}

/// Runs contracts under the limits of one chain. Share it: all methods take `&self`.
///
/// Contracts run on a thread that each call starts for itself, because they need a stack of known
/// size; the caller's thread only waits.
pub struct Runtime {
    engine: Arc<WasmEngine>,
    blocks: Turns,
    queries: Turns,
    debug_log: Option<DebugLog>,
}

impl core::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl Runtime {
    /// Sets up the engine for a chain.
    ///
    /// # Errors
    /// If the engine refuses its settings on this machine.
    pub fn new(limits: ChainLimits) -> Result<Self, EngineError> {
        Self::on(limits, None)
    }

    /// The same, with compiled modules kept in `store`.
    ///
    /// # Errors
    /// If the engine refuses its settings on this machine.
    pub fn with_compiled_store(
        limits: ChainLimits,
        store: Arc<dyn CompiledStore>,
    ) -> Result<Self, EngineError> {
        Self::on(limits, Some(store))
    }

    fn on(limits: ChainLimits, store: Option<Arc<dyn CompiledStore>>) -> Result<Self, EngineError> {
        let runs = BLOCKS_AT_ONCE + QUERIES_AT_ONCE;
        Ok(Self {
            engine: Arc::new(WasmEngine::new(limits, runs, store)?),
            blocks: Turns::new(BLOCKS_AT_ONCE),
            queries: Turns::new(QUERIES_AT_ONCE),
            debug_log: None,
        })
    }

    /// Shows what contracts log to `debug_log` from now on.
    #[must_use]
    pub fn with_debug_log(self, debug_log: DebugLog) -> Self {
        Self {
            debug_log: Some(debug_log),
            ..self
        }
    }

    /// The limits it was made with.
    #[must_use]
    pub fn limits(&self) -> &ChainLimits {
        self.engine.limits()
    }

    /// Executes a batch on top of `view`, in order; later transactions see what earlier ones did.
    /// Transactions must have been verified: signatures are not looked at again.
    #[must_use]
    pub fn execute_batch(
        &self,
        context: &BlockContext,
        view: Arc<dyn LedgerView>,
        batch: &Batch,
    ) -> ExecutedBatch {
        let executor = self.executor(context, view);
        if batch.transactions.is_empty() {
            return executor.batch(batch);
        }
        let _turn = self.blocks.take();
        self.on_own_stack(|| executor.batch(batch))
    }

    /// Compiles ahead the code that a batch brings, so that executing it soon takes no longer than
    /// executing others: for whoever has the time before it is ordered. Only what executing it on
    /// `view` would compile, and is paid for then. Nothing but time depends on it; what is compiled
    /// is kept in memory, within bounds, until it is executed.
    pub fn prepare(&self, context: &BlockContext, view: Arc<dyn LedgerView>, batch: &Batch) {
        if batch.brings_code() {
            let executor = self.executor(context, view);
            self.on_own_stack(|| executor.prepare(batch));
        }
    }

    /// What was compiled since it was made.
    #[must_use]
    pub fn compilations(&self) -> Compilations {
        self.engine.compilations()
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
        execute::admissible(
            self.limits(),
            block_time,
            signed,
            |id| view.was_admitted(id),
            |key| view.get(key),
        )
    }

    /// Runs a `view` method without a transaction. `context.time` is the time the view sees; its
    /// caller and transaction id are zero. It may burn `query_fuel_max`. Where many ask at
    /// once, it waits for its turn.
    #[must_use]
    pub fn query(
        &self,
        context: &BlockContext,
        view: Arc<dyn LedgerView>,
        contract: ContractId,
        method: &str,
        args: &[u8],
    ) -> QueryOutcome {
        let executor = self.executor(context, view);
        let _turn = self.queries.take();
        let (status, fuel_used) = self.on_own_stack(|| executor.query(contract, method, args));
        QueryOutcome { status, fuel_used }
    }

    /// Judges a module by the rules of deployment, without running any of it.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_module(limits: &ChainLimits, wasm: &[u8]) -> Result<ModuleReport, ModuleError> {
        crate::module::check_module(limits, wasm)
    }

    fn executor(&self, context: &BlockContext, view: Arc<dyn LedgerView>) -> Executor {
        Executor::new(World::new(
            Arc::clone(&self.engine),
            Overlay::new(view),
            *context,
            self.debug_log.clone(),
        ))
    }

    fn on_own_stack<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("contracts".to_owned())
                .stack_size(self.engine.stack_bytes())
                .spawn_scoped(scope, work)
                .expect("a machine that cannot start a thread cannot run a node");
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}
