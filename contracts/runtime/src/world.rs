//! What all calls of one transaction share, and how a call is made: by a transaction, by a query,
//! and by one contract to another alike.
//!
//! A called contract returns or reverts; a revert takes back what was changed and announced since
//! the call began, and nothing else. Everything else ends the whole transaction: fuel left after a
//! trap is not exact, so there is nothing that a caller could go on with.

use std::sync::Arc;

use chancery_contract::abi;
use chancery_ledger::state_key::{ContractRecord, StateKey};
use chancery_ledger::{
    AccountId, ContractEvent, ContractId, TransactionId, TransactionPlace, TrapKind,
};
use parity_scale_codec::Decode;

use crate::engine::{Compiled, End, WasmEngine};
use crate::host::HostState;
use crate::overlay::Overlay;
use crate::runtime::DebugLog;
use crate::view::BlockContext;

/// Whether a call may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

/// Who calls a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// In a query.
    Nobody,
    /// The sender of the transaction.
    Account(AccountId),
    /// Another contract.
    Contract(ContractId),
}

/// One call of one export.
pub(crate) struct Invocation {
    pub(crate) contract: ContractId,
    pub(crate) caller: Caller,
    pub(crate) access: Access,
    pub(crate) export: String,
    pub(crate) args: Vec<u8>,
    /// What the calls around it take of the stack.
    pub(crate) stack_values: u32,
}

/// What a contract asks of another.
pub(crate) struct NestedCall {
    pub(crate) from: ContractId,
    pub(crate) to: ContractId,
    /// UTF-8, if there is such a method.
    pub(crate) method: Vec<u8>,
    pub(crate) args: Vec<u8>,
    /// The most that it may do.
    pub(crate) access: Access,
    /// What the calls around it take of the stack.
    pub(crate) stack_values: u32,
}

/// What a call that did not trap came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: CallOutcome,
    pub(crate) fuel_left: u64,
}

/// How a call ended that did not trap.
#[derive(Debug)]
pub(crate) enum CallOutcome {
    Returned { value: Vec<u8> },
    Reverted { code: u32, data: Vec<u8> },
}

/// Shared by the calls of a transaction; the innermost one has it.
pub(crate) struct World {
    pub(crate) engine: Arc<WasmEngine>,
    pub(crate) overlay: Overlay,
    pub(crate) context: BlockContext,
    pub(crate) transaction: TransactionId,
    /// Its position among those of the block that are executed.
    pub(crate) index: u32,
    /// Of calls that have not reverted.
    pub(crate) events: Vec<ContractEvent>,
    pub(crate) debug_log: Option<DebugLog>,
    /// The contracts that are running, the innermost last.
    live: Vec<ContractId>,
}

/// Bytes that the runtime itself wrote under a key.
pub(crate) fn stored<T: Decode>(bytes: Vec<u8>) -> T {
    T::decode(&mut &bytes[..]).expect("only the runtime and genesis write under this key")
}

/// The export of a method, and what it may do; `access` is the most that is allowed.
pub(crate) fn export_of(
    compiled: &Compiled,
    method: &str,
    access: Access,
) -> Result<Option<(Access, String)>, TrapKind> {
    let call = [abi::CALL_PREFIX, method].concat();
    if compiled.exports(&call) {
        return match access {
            Access::ReadWrite => Ok(Some((Access::ReadWrite, call))),
            Access::ReadOnly => Err(TrapKind::WriteInView),
        };
    }
    let view = [abi::VIEW_PREFIX, method].concat();
    Ok(compiled.exports(&view).then_some((Access::ReadOnly, view)))
}

impl World {
    pub(crate) fn new(
        engine: Arc<WasmEngine>,
        overlay: Overlay,
        context: BlockContext,
        debug_log: Option<DebugLog>,
    ) -> Self {
        Self {
            engine,
            overlay,
            context,
            transaction: TransactionId::default(),
            index: 0,
            events: Vec::new(),
            debug_log,
            live: Vec::new(),
        }
    }

    /// Where the transaction stands that is being executed.
    pub(crate) fn place(&self) -> TransactionPlace {
        TransactionPlace {
            height: self.context.height,
            index: self.index,
        }
    }

    pub(crate) fn contract(&self, contract: ContractId) -> Option<ContractRecord> {
        let record = self.overlay.get(&StateKey::Contract(contract).to_bytes());
        record.map(stored)
    }

    /// The code of a contract, ready to run. Its `load_fuel` is paid for.
    pub(crate) fn load(&self, contract: &ContractRecord) -> Compiled {
        self.engine.compile_deployed(&contract.code, || {
            self.overlay
                .get(&StateKey::Code(contract.code).to_bytes())
                .expect("a contract's code stands in the state as long as the contract")
        })
    }

    /// Runs an export; if it does not return, what it changed and announced is taken back.
    pub(crate) fn run(
        mut self,
        compiled: &Compiled,
        invocation: Invocation,
        fuel: u64,
    ) -> (Self, Result<Ended, TrapKind>) {
        let engine = Arc::clone(&self.engine);
        let (savepoint, events) = (self.overlay.savepoint(), self.events.len());
        self.live.push(invocation.contract);
        let (export, stack_values) = (invocation.export.clone(), invocation.stack_values);
        let state = HostState::new(self, invocation, fuel);
        let run = engine.run(compiled, state, &export, stack_values, fuel);
        let (mut world, value) = run.state.into_parts();
        world.live.pop();
        let outcome = match run.end {
            End::Returned => Ok(CallOutcome::Returned { value }),
            End::Reverted { code, data } => Ok(CallOutcome::Reverted { code, data }),
            End::Trapped(kind) => Err(kind),
        };
        if !matches!(outcome, Ok(CallOutcome::Returned { .. })) {
            world.overlay.roll_back_to(savepoint);
            world.events.truncate(events);
        }
        let ended = outcome.map(|outcome| Ended {
            outcome,
            fuel_left: run.fuel_left,
        });
        (world, ended)
    }

    /// Runs a method of another contract for a contract that is running. The looking up is paid for.
    pub(crate) fn nested(self, call: NestedCall, fuel: u64) -> (Self, Result<Ended, TrapKind>) {
        match self.find(&call, fuel) {
            Ok((compiled, access, export, fuel)) => {
                let invocation = Invocation {
                    contract: call.to,
                    caller: Caller::Contract(call.from),
                    access,
                    export,
                    args: call.args,
                    stack_values: call.stack_values,
                };
                self.run(&compiled, invocation, fuel)
            }
            Err(kind) => (self, Err(kind)),
        }
    }

    /// What is to be run, and the fuel left for it.
    fn find(
        &self,
        call: &NestedCall,
        fuel: u64,
    ) -> Result<(Compiled, Access, String, u64), TrapKind> {
        if self.live.len() >= self.engine.limits().call_depth_max as usize {
            return Err(TrapKind::CallTooDeep);
        }
        if self.live.contains(&call.to) {
            return Err(TrapKind::Reentrant);
        }
        let contract = self.contract(call.to).ok_or(TrapKind::UnknownCallee)?;
        let fuel = fuel.checked_sub(contract.load_fuel.0);
        let fuel = fuel.ok_or(TrapKind::OutOfFuel)?;
        let compiled = self.load(&contract);
        let method = str::from_utf8(&call.method).map_err(|_| TrapKind::UnknownCallee)?;
        let (access, export) =
            export_of(&compiled, method, call.access)?.ok_or(TrapKind::UnknownCallee)?;
        Ok((compiled, access, export, fuel))
    }
}
