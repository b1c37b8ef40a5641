//! The executor of the validators, on a state in memory, in the block that the test says.

use std::sync::{Arc, Mutex, PoisonError};

use chancery_contract::abi;
use chancery_contract::test_host::{Ending, Moment, Seen, Storage};
use chancery_ledger::{
    AccountId, Call, ChainLimits, ContractEvent, ContractId, Receipt, Role, Status, Upgraders,
};
use chancery_runtime::Runtime;
use chancery_runtime::runtime::EngineError;

use super::{Failure, NOT_DEPLOYED, any_of, emitted, trapped};
use crate::cli::memory::MemoryLedger;

pub(super) struct InMemory {
    runtime: Runtime,
    ledger: MemoryLedger,
    wasm: Vec<u8>,
    /// The contract under test.
    contract: Option<ContractId>,
    /// Those beside it.
    others: Vec<ContractId>,
    /// Of what is deployed from now on.
    upgraders: Upgraders,
    logs: Arc<Mutex<Vec<String>>>,
}

impl InMemory {
    pub(super) fn new(limits: ChainLimits, wasm: Vec<u8>) -> Result<Self, EngineError> {
        let logs = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&logs);
        let runtime = Runtime::new(limits)?.with_debug_log(Arc::new(move |_, text| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push(text.to_owned());
        }));
        Ok(Self {
            runtime,
            ledger: MemoryLedger::default(),
            wasm,
            contract: None,
            others: Vec::new(),
            upgraders: Upgraders::nobody(),
            logs,
        })
    }

    pub(super) fn admit(&mut self, account: AccountId, roles: Vec<Role>) {
        self.ledger.admit(account, roles);
    }

    pub(super) fn set_upgraders(&mut self, accounts: impl Iterator<Item = AccountId>) {
        self.upgraders = any_of(accounts);
    }

    /// Runs one transaction as a block; it calls the contract under test, unless another is named.
    pub(super) fn transact(
        &mut self,
        sender: AccountId,
        contract: Option<ContractId>,
        method: &str,
        args: Vec<u8>,
        moment: Moment,
    ) -> Result<Seen, Failure> {
        let receipt = if contract.is_none() && method == abi::INIT {
            self.deploy_tested(sender, args, moment)?
        } else {
            let contract = match contract {
                Some(contract) => contract,
                None => self.deployed(sender, moment)?,
            };
            let method = method.to_owned();
            let call = Call::Invoke {
                contract,
                method,
                args,
            };
            self.execute(sender, call, moment)?
        };
        Ok(self.seen(receipt, moment))
    }

    /// Deploys another module.
    pub(super) fn add(
        &mut self,
        sender: AccountId,
        code: Vec<u8>,
        args: Vec<u8>,
        moment: Moment,
    ) -> Result<Seen, Failure> {
        let receipt = self.deploy(sender, code, args, moment)?;
        self.others.extend(receipt.contract);
        Ok(self.seen(receipt, moment))
    }

    /// Puts other code in the place of a contract's.
    pub(super) fn upgrade(
        &mut self,
        sender: AccountId,
        contract: Option<ContractId>,
        code: Vec<u8>,
        args: Vec<u8>,
        moment: Moment,
    ) -> Result<Seen, Failure> {
        let contract = contract.or(self.contract).ok_or(NOT_DEPLOYED)?;
        let version = |ledger: &MemoryLedger| ledger.version(contract).ok_or(NOT_DEPLOYED);
        let call = Call::Upgrade {
            contract,
            version: version(&self.ledger)?,
            code,
            args,
        };
        let receipt = self.execute(sender, call, moment)?;
        let version = version(&self.ledger)?;
        let seen = self.seen(receipt, moment);
        Ok(Seen {
            version: Some(version),
            ..seen
        })
    }

    fn seen(&mut self, receipt: Receipt, moment: Moment) -> Seen {
        let all = self.contract.iter().chain(&self.others);
        let storage = all.map(|contract| Storage {
            contract: chancery_contract::ContractId(contract.0),
            entries: self.ledger.storage(*contract),
        });
        let storage = storage.collect();
        let event = |event: ContractEvent| emitted(event.contract, event.topic, event.data);
        let contract = receipt.contract;
        Seen {
            ending: ending(receipt.status),
            contract: contract.map(|contract| chancery_contract::ContractId(contract.0)),
            version: None,
            fuel_used: receipt.fuel_used.0,
            events: receipt.events.into_iter().map(event).collect(),
            logs: self.take_logs(),
            storage: Some(storage),
            moment,
        }
    }

    pub(super) fn query(
        &mut self,
        contract: Option<ContractId>,
        method: &str,
        args: &[u8],
        moment: Moment,
    ) -> Result<Seen, Failure> {
        let contract = contract.or(self.contract).ok_or(NOT_DEPLOYED)?;
        let outcome = self
            .ledger
            .query(&self.runtime, contract, method, args, moment);
        Ok(Seen {
            ending: ending(outcome.status),
            contract: None,
            version: None,
            fuel_used: outcome.fuel_used.0,
            events: Vec::new(),
            logs: self.take_logs(),
            storage: None,
            moment,
        })
    }

    /// The contract; one without an `init` is deployed when it is first called.
    fn deployed(&mut self, sender: AccountId, moment: Moment) -> Result<ContractId, Failure> {
        if let Some(contract) = self.contract {
            return Ok(contract);
        }
        let status = self.deploy_tested(sender, Vec::new(), moment)?.status;
        self.contract
            .ok_or_else(|| format!("the module cannot be deployed without its `init`: {status:?}"))
    }

    fn deploy_tested(
        &mut self,
        sender: AccountId,
        args: Vec<u8>,
        moment: Moment,
    ) -> Result<Receipt, Failure> {
        let receipt = self.deploy(sender, self.wasm.clone(), args, moment)?;
        self.contract = receipt.contract.or(self.contract);
        Ok(receipt)
    }

    /// Whoever deploys may do so, for as long as that takes.
    fn deploy(
        &mut self,
        sender: AccountId,
        code: Vec<u8>,
        args: Vec<u8>,
        moment: Moment,
    ) -> Result<Receipt, Failure> {
        let before = self.ledger.roles(sender);
        self.admit(sender, vec![Role::Deployer]);
        let call = Call::Deploy {
            code,
            upgraders: self.upgraders.clone(),
            args,
        };
        let receipt = self.execute(sender, call, moment)?;
        if let Some(before) = before {
            self.admit(sender, before);
        }
        Ok(receipt)
    }

    fn execute(
        &mut self,
        sender: AccountId,
        call: Call,
        moment: Moment,
    ) -> Result<Receipt, Failure> {
        let block = self.ledger.block(&self.runtime, sender, call, moment);
        let executed = self.ledger.execute(&self.runtime, &block, moment);
        self.ledger.apply(executed)
    }

    fn take_logs(&self) -> Vec<String> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut logs)
    }
}

fn ending(status: Status) -> Ending {
    match status {
        Status::Applied { value } => Ending::Returned(value),
        Status::Reverted { code, .. } => Ending::Reverted(code),
        Status::Trapped { kind } => trapped(kind),
    }
}
