//! From ordered transactions to receipts.

use chancery_contract::abi;
use chancery_ledger::state_key::{AccountRecord, ContractRecord, StateKey};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    AccountId, Batch, Call, ChainLimits, CodeHash, ContractEvent, ContractId, Fuel, Millis,
    Receipt, Role, Status, TransactionId, TrapKind,
};
use parity_scale_codec::{Decode, Encode};

use crate::engine::{Compiled, End, WasmEngine};
use crate::fuel;
use crate::host::{Access, HostState};
use crate::module;
use crate::overlay::Overlay;
use crate::runtime::{DebugLog, ExecutedBatch};
use crate::view::{BlockContext, DropReason};

/// Who asks a contract for what.
pub(crate) struct Invocation<'a> {
    pub(crate) contract: ContractId,
    pub(crate) caller: AccountId,
    pub(crate) transaction: TransactionId,
    pub(crate) access: Access,
    pub(crate) export: &'a str,
    pub(crate) args: &'a [u8],
}

/// Executes transactions one after the other on one state.
pub(crate) struct Executor<'a> {
    pub(crate) engine: &'a WasmEngine,
    pub(crate) limits: &'a ChainLimits,
    pub(crate) context: BlockContext,
    pub(crate) debug_log: Option<DebugLog>,
    /// `None` only while a contract runs on it.
    overlay: Option<Overlay>,
}

/// What a transaction did, before it is known whether it stays.
struct Effects {
    status: Status,
    events: Vec<ContractEvent>,
}

/// Fuel of one transaction.
struct Meter {
    most: u64,
    used: u64,
}

impl Meter {
    fn charge(&mut self, cost: u64) -> Result<(), TrapKind> {
        let used = self.used.saturating_add(cost);
        if used > self.most {
            return Err(TrapKind::OutOfFuel);
        }
        self.used = used;
        Ok(())
    }

    fn left(&self) -> u64 {
        self.most - self.used
    }
}

/// Bytes that the runtime itself wrote under a key.
fn stored<T: Decode>(bytes: Vec<u8>) -> T {
    T::decode(&mut &bytes[..]).expect("only the runtime and genesis write under this key")
}

/// By which rule a transaction that is otherwise good is kept out of a block of that time.
pub(crate) fn admissible(
    limits: &ChainLimits,
    block_time: Millis,
    signed: &SignedTransaction,
    was_admitted: impl FnOnce(&TransactionId) -> bool,
    account: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Result<(), DropReason> {
    let transaction = &signed.transaction;
    let valid_until = transaction.valid_until;
    if valid_until <= block_time {
        return Err(DropReason::Expired {
            valid_until,
            block_time,
        });
    }
    let latest = block_time.saturating_add(Millis(limits.valid_for_ms_max));
    if valid_until > latest {
        return Err(DropReason::ValidForTooLong {
            valid_until,
            latest,
        });
    }
    if was_admitted(&transaction.id()) {
        return Err(DropReason::Repeated);
    }
    match account(&StateKey::Account(transaction.sender).to_bytes()) {
        Some(_) => Ok(()),
        None => Err(DropReason::UnknownSender),
    }
}

impl<'a> Executor<'a> {
    pub(crate) fn new(
        engine: &'a WasmEngine,
        limits: &'a ChainLimits,
        context: BlockContext,
        overlay: Overlay,
        debug_log: Option<DebugLog>,
    ) -> Self {
        Self {
            engine,
            limits,
            context,
            debug_log,
            overlay: Some(overlay),
        }
    }

    fn overlay(&self) -> &Overlay {
        self.overlay.as_ref().expect("no contract is running")
    }

    fn overlay_mut(&mut self) -> &mut Overlay {
        self.overlay.as_mut().expect("no contract is running")
    }

    pub(crate) fn batch(mut self, batch: &Batch) -> ExecutedBatch {
        let mut executed = ExecutedBatch {
            transactions: Vec::new(),
            dropped: Vec::new(),
            receipts: Vec::new(),
            changes: Default::default(),
        };
        for signed in &batch.transactions {
            let id = signed.id();
            let overlay = self.overlay();
            let admitted = admissible(
                self.limits,
                self.context.time,
                signed,
                |id| overlay.was_admitted(id),
                |key| overlay.get(key),
            );
            match admitted {
                Ok(()) => {
                    executed.receipts.push(self.transaction(id, signed));
                    executed.transactions.push(signed.clone());
                }
                Err(reason) => executed.dropped.push((id, reason)),
            }
        }
        executed.changes = self
            .overlay
            .take()
            .expect("no contract is running")
            .into_changes();
        executed
    }

    fn transaction(&mut self, id: TransactionId, signed: &SignedTransaction) -> Receipt {
        let mut meter = Meter {
            most: signed.transaction.fuel_max.0,
            used: 0,
        };
        let effects = self.call(id, signed, &mut meter);
        let Effects { status, events } = effects.unwrap_or_else(|kind| Effects {
            status: Status::Trapped { kind },
            events: Vec::new(),
        });
        let applied = matches!(status, Status::Applied { .. });
        let fuel_used = match status {
            Status::Applied { .. } | Status::Reverted { .. } => meter.used,
            Status::Trapped { .. } => meter.most,
        };
        let contract = match &signed.transaction.call {
            Call::Deploy { .. } => applied.then(|| ContractId::of_deployment(id)),
            Call::Invoke { contract, .. } => Some(*contract),
            Call::Admit { .. } => None,
        };
        if applied {
            self.overlay_mut().commit();
        } else {
            self.overlay_mut().roll_back();
        }
        Receipt {
            transaction: id,
            status,
            fuel_used: Fuel(fuel_used),
            contract,
            events: if applied { events } else { Vec::new() },
        }
    }

    fn call(
        &mut self,
        id: TransactionId,
        signed: &SignedTransaction,
        meter: &mut Meter,
    ) -> Result<Effects, TrapKind> {
        meter.charge(fuel::sized(
            fuel::TRANSACTION,
            fuel::TRANSACTION_PER_BYTE,
            signed.encoded_size(),
        ))?;
        let sender = signed.transaction.sender;
        match &signed.transaction.call {
            Call::Admit { account, roles } => self.admit(sender, *account, roles, meter),
            Call::Deploy { code, args } => self.deploy(id, sender, code, args, meter),
            Call::Invoke {
                contract,
                method,
                args,
            } => self.invoke(id, sender, *contract, method, args, meter),
        }
    }

    fn require(&self, account: AccountId, role: Role) -> Result<(), TrapKind> {
        let record = self.overlay().get(&StateKey::Account(account).to_bytes());
        let record: AccountRecord = record.map(stored).ok_or(TrapKind::RoleMissing)?;
        if record.roles.contains(&role) {
            Ok(())
        } else {
            Err(TrapKind::RoleMissing)
        }
    }

    fn write(
        &mut self,
        key: StateKey<'_>,
        value: Vec<u8>,
        meter: &mut Meter,
    ) -> Result<(), TrapKind> {
        let key = key.to_bytes();
        let bytes = key.len() + value.len();
        meter.charge(fuel::sized(
            fuel::STORAGE_WRITE,
            fuel::STORAGE_WRITE_PER_BYTE,
            bytes,
        ))?;
        self.overlay_mut().set(key, value);
        Ok(())
    }

    fn admit(
        &mut self,
        sender: AccountId,
        account: AccountId,
        roles: &[Role],
        meter: &mut Meter,
    ) -> Result<Effects, TrapKind> {
        self.require(sender, Role::Registrar)?;
        account.to_public_key().map_err(|_| TrapKind::InvalidKey)?;
        let record = AccountRecord {
            roles: roles.to_vec(),
        };
        self.write(StateKey::Account(account), record.encode(), meter)?;
        Ok(Effects {
            status: Status::Applied { value: Vec::new() },
            events: Vec::new(),
        })
    }

    fn deploy(
        &mut self,
        id: TransactionId,
        sender: AccountId,
        wasm: &[u8],
        args: &[u8],
        meter: &mut Meter,
    ) -> Result<Effects, TrapKind> {
        self.require(sender, Role::Deployer)?;
        meter.charge(fuel::sized(0, fuel::DEPLOY_PER_BYTE, wasm.len()))?;
        let checked = module::check(self.limits, wasm).map_err(|_| TrapKind::ModuleRefused)?;
        let compiled = self
            .engine
            .compile_checked(wasm, &checked)
            .map_err(|_| TrapKind::ModuleRefused)?;

        let contract = ContractId::of_deployment(id);
        let code = checked.report.code;
        let record = ContractRecord {
            code,
            deployer: sender,
        };
        self.write(StateKey::Contract(contract), record.encode(), meter)?;
        if self
            .overlay()
            .get(&StateKey::Code(code).to_bytes())
            .is_none()
        {
            // Paid for by what deploying costs a byte.
            self.overlay_mut()
                .set(StateKey::Code(code).to_bytes(), wasm.to_vec());
        }
        if !compiled.exports(abi::INIT) {
            if !args.is_empty() {
                return Err(TrapKind::BadArguments);
            }
            return Ok(Effects {
                status: Status::Applied { value: Vec::new() },
                events: Vec::new(),
            });
        }
        let invocation = Invocation {
            contract,
            caller: sender,
            transaction: id,
            access: Access::ReadWrite,
            export: abi::INIT,
            args,
        };
        self.run(&compiled, &invocation, meter)
    }

    fn invoke(
        &mut self,
        id: TransactionId,
        sender: AccountId,
        contract: ContractId,
        method: &str,
        args: &[u8],
        meter: &mut Meter,
    ) -> Result<Effects, TrapKind> {
        meter.charge(fuel::STORAGE_READ)?;
        let compiled = self.compiled(contract)?;
        let call = [abi::CALL_PREFIX, method].concat();
        let view = [abi::VIEW_PREFIX, method].concat();
        let (access, export) = if compiled.exports(&call) {
            (Access::ReadWrite, call)
        } else {
            (Access::ReadOnly, view)
        };
        if !compiled.exports(&export) {
            return Err(TrapKind::UnknownMethod);
        }
        let invocation = Invocation {
            contract,
            caller: sender,
            transaction: id,
            access,
            export: &export,
            args,
        };
        self.run(&compiled, &invocation, meter)
    }

    fn compiled(&self, contract: ContractId) -> Result<Compiled, TrapKind> {
        let record = self.overlay().get(&StateKey::Contract(contract).to_bytes());
        let record: ContractRecord = record.map(stored).ok_or(TrapKind::UnknownContract)?;
        Ok(self
            .engine
            .compile_deployed(&record.code, || self.code(record.code)))
    }

    fn code(&self, code: CodeHash) -> Vec<u8> {
        self.overlay()
            .get(&StateKey::Code(code).to_bytes())
            .expect("a contract's code stands in the state as long as the contract")
    }

    /// Runs one view outside of any transaction.
    pub(crate) fn query(
        mut self,
        contract: ContractId,
        method: &str,
        args: &[u8],
    ) -> (Status, Fuel) {
        let mut meter = Meter {
            most: fuel::QUERY_MAX.min(self.limits.transaction_fuel_max),
            used: 0,
        };
        let effects = self.query_view(contract, method, args, &mut meter);
        let status = match effects {
            Ok(effects) => effects.status,
            Err(kind) => Status::Trapped { kind },
        };
        let used = match status {
            Status::Applied { .. } | Status::Reverted { .. } => meter.used,
            Status::Trapped { .. } => meter.most,
        };
        (status, Fuel(used))
    }

    fn query_view(
        &mut self,
        contract: ContractId,
        method: &str,
        args: &[u8],
        meter: &mut Meter,
    ) -> Result<Effects, TrapKind> {
        let compiled = self.compiled(contract)?;
        let export = [abi::VIEW_PREFIX, method].concat();
        if !compiled.exports(&export) {
            return Err(TrapKind::UnknownMethod);
        }
        let invocation = Invocation {
            contract,
            caller: AccountId([0; 32]),
            transaction: TransactionId::default(),
            access: Access::ReadOnly,
            export: &export,
            args,
        };
        self.run(&compiled, &invocation, meter)
    }

    fn run(
        &mut self,
        compiled: &Compiled,
        invocation: &Invocation<'_>,
        meter: &mut Meter,
    ) -> Result<Effects, TrapKind> {
        let Invocation {
            contract,
            caller,
            transaction,
            access,
            export,
            args,
        } = *invocation;
        let state = HostState {
            overlay: self.overlay.take().expect("no contract is running"),
            limits: self.limits.clone(),
            context: self.context,
            contract,
            caller,
            transaction,
            access,
            args: args.to_vec(),
            events: Vec::new(),
            value: Vec::new(),
            debug_log: self.debug_log.clone(),
        };
        let run = self.engine.run(compiled, state, export, meter.left());
        let HostState {
            overlay,
            events,
            value,
            ..
        } = run.state;
        self.overlay = Some(overlay);
        let status = match run.end {
            End::Returned => Status::Applied { value },
            End::Reverted { code, data } => Status::Reverted { code, data },
            End::Trapped(kind) => return Err(kind),
        };
        meter.used = meter.most - run.fuel_left;
        Ok(Effects { status, events })
    }
}
