//! The executor of the validators, on a state in memory, in the block that the test says.

use std::sync::{Arc, Mutex, PoisonError};

use chancery_contract::abi;
use chancery_contract::test_host::{Ending, Moment, Seen};
use chancery_ledger::{
    AccountId, Call, ChainLimits, ContractEvent, ContractId, Receipt, Role, Status, Upgraders,
};
use chancery_runtime::Runtime;
use chancery_runtime::runtime::EngineError;

use super::{Failure, not_here, trapped};
use crate::cli::memory::MemoryLedger;

pub(super) struct InMemory {
    runtime: Runtime,
    ledger: MemoryLedger,
    wasm: Vec<u8>,
    contract: Option<ContractId>,
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
            logs,
        })
    }

    pub(super) fn admit(&mut self, account: AccountId, roles: Vec<Role>) {
        self.ledger.admit(account, roles);
    }

    /// Runs one transaction as a block.
    pub(super) fn transact(
        &mut self,
        sender: AccountId,
        method: &str,
        args: Vec<u8>,
        moment: Moment,
    ) -> Result<Seen, Failure> {
        not_here(method)?;
        let receipt = if method == abi::INIT {
            self.deploy(sender, args, moment)?
        } else {
            let contract = self.deployed(sender, moment)?;
            let method = method.to_owned();
            let call = Call::Invoke {
                contract,
                method,
                args,
            };
            self.execute(sender, call, moment)?
        };
        let contract = self.contract;
        let storage = contract.map_or_else(Vec::new, |contract| self.ledger.storage(contract));
        let event = |event: ContractEvent| (event.topic, event.data);
        Ok(Seen {
            ending: ending(receipt.status),
            fuel_used: receipt.fuel_used.0,
            events: receipt.events.into_iter().map(event).collect(),
            logs: self.take_logs(),
            storage: Some(storage),
            moment,
        })
    }

    pub(super) fn query(
        &mut self,
        method: &str,
        args: &[u8],
        moment: Moment,
    ) -> Result<Seen, Failure> {
        let contract = self.contract.ok_or("the contract is not deployed yet: a `call` comes before the first `view`, of `init` if there is one")?;
        let outcome = self
            .ledger
            .query(&self.runtime, contract, method, args, moment);
        Ok(Seen {
            ending: ending(outcome.status),
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
        let status = self.deploy(sender, Vec::new(), moment)?.status;
        self.contract
            .ok_or_else(|| format!("the module cannot be deployed without its `init`: {status:?}"))
    }

    /// Whoever deploys may do so, for as long as that takes.
    fn deploy(
        &mut self,
        sender: AccountId,
        args: Vec<u8>,
        moment: Moment,
    ) -> Result<Receipt, Failure> {
        let before = self.ledger.roles(sender);
        self.admit(sender, vec![Role::Deployer]);
        let call = Call::Deploy {
            code: self.wasm.clone(),
            upgraders: Upgraders::nobody(),
            args,
        };
        let receipt = self.execute(sender, call, moment)?;
        self.contract = receipt.contract.or(self.contract);
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
