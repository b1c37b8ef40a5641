//! From ordered transactions to receipts.

mod prepare;
mod upgrade;

use std::sync::Arc;

use chancery_contract::abi;
use chancery_ledger::state_key::{AccountRecord, ContractRecord, StateKey, VersionRecord};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::upgrade::FIRST_VERSION;
use chancery_ledger::{
    AccountId, Batch, Call, ChainLimits, CodeHash, ContractId, Fuel, FuelPrices, Millis, Receipt,
    Role, Status, TransactionId, TrapKind, Upgraders,
};
use parity_scale_codec::Encode;
use upgrade::Upgrade;

use crate::engine::{Compiled, WasmEngine};
use crate::fuel;
use crate::module::{self, Checked};
use crate::overlay::Overlay;
use crate::runtime::ExecutedBatch;
use crate::view::DropReason;
use crate::world::{Access, CallOutcome, Caller, Ended, Invocation, World, export_of, stored};

/// Executes transactions one after the other on one state.
pub(crate) struct Executor {
    engine: Arc<WasmEngine>,
    /// `None` only while a contract runs in it.
    world: Option<World>,
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
    let (fuel_max, least) = (transaction.fuel_max, Fuel(taking_in(&limits.fuel, signed)));
    if fuel_max < least {
        return Err(DropReason::TooLittleFuel { fuel_max, least });
    }
    match account(&StateKey::Account(transaction.sender).to_bytes()) {
        Some(_) => Ok(()),
        None => Err(DropReason::UnknownSender),
    }
}

/// What a transaction costs for being one.
fn taking_in(prices: &FuelPrices, signed: &SignedTransaction) -> u64 {
    let bytes = signed.encoded_size();
    fuel::sized(prices.transaction, prices.transaction_per_byte, bytes)
}

impl Executor {
    pub(crate) fn new(world: World) -> Self {
        Self {
            engine: Arc::clone(&world.engine),
            world: Some(world),
        }
    }

    fn world(&self) -> &World {
        self.world.as_ref().expect("no contract is running")
    }

    fn world_mut(&mut self) -> &mut World {
        self.world.as_mut().expect("no contract is running")
    }

    fn limits(&self) -> &ChainLimits {
        self.engine.limits()
    }

    fn prices(&self) -> &FuelPrices {
        &self.limits().fuel
    }

    fn overlay(&self) -> &Overlay {
        &self.world().overlay
    }

    fn overlay_mut(&mut self) -> &mut Overlay {
        &mut self.world_mut().overlay
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
                self.limits(),
                self.world().context.time,
                signed,
                |id| overlay.was_admitted(id),
                |key| overlay.get(key),
            );
            match admitted {
                Ok(()) => {
                    let index = u32::try_from(executed.receipts.len());
                    self.world_mut().index = index.expect("a batch has less than 2^32");
                    executed.receipts.push(self.transaction(id, signed));
                    executed.transactions.push(signed.clone());
                }
                Err(reason) => executed.dropped.push((id, reason)),
            }
        }
        let world = self.world.take().expect("no contract is running");
        executed.changes = world.overlay.into_changes();
        executed
    }

    fn transaction(&mut self, id: TransactionId, signed: &SignedTransaction) -> Receipt {
        let mut meter = Meter {
            most: signed.transaction.fuel_max.0,
            used: 0,
        };
        self.world_mut().transaction = id;
        let status = self.call(id, signed, &mut meter);
        let (status, fuel_used) = settled(status, &meter);
        let applied = matches!(status, Status::Applied { .. });
        let contract = match &signed.transaction.call {
            Call::Deploy { .. } => applied.then(|| ContractId::of_deployment(id)),
            Call::Invoke { contract, .. }
            | Call::Upgrade { contract, .. }
            | Call::ApproveUpgrade { contract, .. } => Some(*contract),
            Call::Admit { .. } => None,
        };
        let events = std::mem::take(&mut self.world_mut().events);
        if applied {
            self.overlay_mut().commit();
        } else {
            assert!(
                events.is_empty(),
                "a call that does not return takes back its events"
            );
            self.overlay_mut().roll_back();
        }
        Receipt {
            transaction: id,
            status,
            fuel_used,
            contract,
            events,
        }
    }

    fn call(
        &mut self,
        id: TransactionId,
        signed: &SignedTransaction,
        meter: &mut Meter,
    ) -> Result<Status, TrapKind> {
        meter.charge(taking_in(self.prices(), signed))?;
        let sender = signed.transaction.sender;
        match &signed.transaction.call {
            Call::Admit { account, roles } => self.admit(sender, *account, roles, meter),
            Call::Deploy {
                code,
                upgraders,
                args,
            } => self.deploy(id, sender, code, upgraders, args, meter),
            Call::Upgrade {
                contract,
                version,
                code,
                args,
            } => {
                let upgrade = Upgrade {
                    contract: *contract,
                    version: *version,
                    wasm: code,
                    args,
                };
                self.upgrade(sender, &upgrade, meter)
            }
            Call::ApproveUpgrade { contract, approval } => {
                self.approve_upgrade(sender, *contract, approval.as_ref(), meter)
            }
            Call::Invoke {
                contract,
                method,
                args,
            } => self.invoke(sender, *contract, method, args, meter),
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
        let prices = self.prices();
        meter.charge(fuel::sized(
            prices.storage_write,
            prices.storage_write_per_byte,
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
    ) -> Result<Status, TrapKind> {
        self.require(sender, Role::Registrar)?;
        account.to_public_key().map_err(|_| TrapKind::InvalidKey)?;
        let record = AccountRecord {
            roles: roles.to_vec(),
        };
        self.write(StateKey::Account(account), record.encode(), meter)?;
        Ok(Status::Applied { value: Vec::new() })
    }

    fn deploy(
        &mut self,
        id: TransactionId,
        sender: AccountId,
        wasm: &[u8],
        upgraders: &Upgraders,
        args: &[u8],
        meter: &mut Meter,
    ) -> Result<Status, TrapKind> {
        self.may_deploy(sender, upgraders, meter)?;
        let (compiled, load_fuel) = self.judge(wasm, meter)?;
        let contract = ContractId::of_deployment(id);
        let record = ContractRecord {
            code: CodeHash::of(wasm),
            version: FIRST_VERSION,
            deployer: sender,
            upgraders: upgraders.clone(),
            load_fuel,
        };
        self.write_contract(contract, &record, wasm, meter)?;
        self.run_once(&compiled, abi::INIT, contract, sender, args, meter)
    }

    fn may_deploy(
        &self,
        sender: AccountId,
        upgraders: &Upgraders,
        meter: &mut Meter,
    ) -> Result<(), TrapKind> {
        self.require(sender, Role::Deployer)?;
        self.check_upgraders(upgraders, meter)
    }

    /// Judges code by the rules of deployment, and charges for compiling it.
    fn check(&self, wasm: &[u8], meter: &mut Meter) -> Result<Checked, TrapKind> {
        let FuelPrices {
            deploy,
            deploy_per_byte,
            ..
        } = *self.prices();
        meter.charge(fuel::sized(deploy, deploy_per_byte, wasm.len()))?;
        let checked = module::check(self.limits(), wasm).map_err(|_| TrapKind::ModuleRefused)?;
        meter.charge(checked.compile_fuel)?;
        Ok(checked)
    }

    /// Judges code and makes it ready to run. With it comes what calls of it will cost beforehand.
    fn judge(&self, wasm: &[u8], meter: &mut Meter) -> Result<(Compiled, Fuel), TrapKind> {
        let checked = self.check(wasm, meter)?;
        let compiled = self.engine.compile_checked(wasm, &checked);
        let compiled = compiled.map_err(|_| TrapKind::ModuleRefused)?;
        Ok((compiled, Fuel(checked.report.load_fuel)))
    }

    /// Writes what a contract is from now on, what this version of it is for ever, and its code if
    /// that is new to the ledger.
    fn write_contract(
        &mut self,
        contract: ContractId,
        record: &ContractRecord,
        wasm: &[u8],
        meter: &mut Meter,
    ) -> Result<(), TrapKind> {
        self.write(StateKey::Contract(contract), record.encode(), meter)?;
        let version = VersionRecord {
            code: record.code,
            since: self.world().place(),
        };
        let key = StateKey::Version(contract, record.version);
        self.write(key, version.encode(), meter)?;
        let key = StateKey::Code(record.code).to_bytes();
        if self.overlay().get(&key).is_none() {
            // Paid for by what deploying costs a byte.
            self.overlay_mut().set(key, wasm.to_vec());
        }
        Ok(())
    }

    /// Runs `init` or `migrate`. Where there is none, there is nothing that could take arguments.
    fn run_once(
        &mut self,
        compiled: &Compiled,
        export: &str,
        contract: ContractId,
        sender: AccountId,
        args: &[u8],
        meter: &mut Meter,
    ) -> Result<Status, TrapKind> {
        if !compiled.exports(export) {
            if !args.is_empty() {
                return Err(TrapKind::BadArguments);
            }
            return Ok(Status::Applied { value: Vec::new() });
        }
        let invocation = Invocation {
            contract,
            caller: Caller::Account(sender),
            access: Access::ReadWrite,
            export: export.to_owned(),
            args: args.to_vec(),
            stack_values: 0,
        };
        self.run(compiled, invocation, meter)
    }

    fn invoke(
        &mut self,
        sender: AccountId,
        contract: ContractId,
        method: &str,
        args: &[u8],
        meter: &mut Meter,
    ) -> Result<Status, TrapKind> {
        meter.charge(self.prices().storage_read)?;
        let compiled = self.load(contract, meter)?;
        let export = export_of(&compiled, method, Access::ReadWrite)?;
        let (access, export) = export.ok_or(TrapKind::UnknownMethod)?;
        let invocation = Invocation {
            contract,
            caller: Caller::Account(sender),
            access,
            export,
            args: args.to_vec(),
            stack_values: 0,
        };
        self.run(&compiled, invocation, meter)
    }

    fn load(&self, contract: ContractId, meter: &mut Meter) -> Result<Compiled, TrapKind> {
        let contract = self.world().contract(contract);
        let contract = contract.ok_or(TrapKind::UnknownContract)?;
        meter.charge(contract.load_fuel.0)?;
        Ok(self.world().load(&contract))
    }

    /// Runs one view outside of any transaction.
    pub(crate) fn query(
        mut self,
        contract: ContractId,
        method: &str,
        args: &[u8],
    ) -> (Status, Fuel) {
        let mut meter = Meter {
            most: self.limits().query_fuel_max,
            used: 0,
        };
        let status = self.query_view(contract, method, args, &mut meter);
        settled(status, &meter)
    }

    fn query_view(
        &mut self,
        contract: ContractId,
        method: &str,
        args: &[u8],
        meter: &mut Meter,
    ) -> Result<Status, TrapKind> {
        let compiled = self.load(contract, meter)?;
        let export = [abi::VIEW_PREFIX, method].concat();
        if !compiled.exports(&export) {
            return Err(TrapKind::UnknownMethod);
        }
        let invocation = Invocation {
            contract,
            caller: Caller::Nobody,
            access: Access::ReadOnly,
            export,
            args: args.to_vec(),
            stack_values: 0,
        };
        self.run(&compiled, invocation, meter)
    }

    fn run(
        &mut self,
        compiled: &Compiled,
        invocation: Invocation,
        meter: &mut Meter,
    ) -> Result<Status, TrapKind> {
        let world = self.world.take().expect("no contract is running");
        let (world, ended) = world.run(compiled, invocation, meter.left());
        self.world = Some(world);
        let Ended { outcome, fuel_left } = ended?;
        meter.used = meter.most - fuel_left;
        Ok(match outcome {
            CallOutcome::Returned { value } => Status::Applied { value },
            CallOutcome::Reverted { code, data } => Status::Reverted { code, data },
        })
    }
}

/// What is said of how it ended, and what that costs: a trap costs all that was declared.
fn settled(status: Result<Status, TrapKind>, meter: &Meter) -> (Status, Fuel) {
    match status {
        Ok(status) => (status, Fuel(meter.used)),
        Err(kind) => (Status::Trapped { kind }, Fuel(meter.most)),
    }
}
