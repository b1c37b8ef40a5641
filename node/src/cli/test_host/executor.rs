//! The executor of the validators, on a state in memory, in the block that the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chancery_contract::abi;
use chancery_contract::test_host::{Ending, Moment, Seen};
use chancery_ledger::state_key::{AccountRecord, StateKey};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    AccountId, Batch, Call, ChainId, ChainLimits, ContractEvent, ContractId, Fuel, Height, Millis,
    Receipt, Role, SecretKey, Status, Transaction, TransactionId, Upgraders,
};
use chancery_runtime::runtime::EngineError;
use chancery_runtime::{BlockContext, LedgerView, Runtime};
use parity_scale_codec::Encode as _;

use super::{Failure, not_here, trapped};

/// How long a transaction is valid: until the next block is enough.
const VALID_FOR_MS: u64 = 1_000;

#[derive(Debug, Clone, Default)]
struct State {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    admitted: BTreeSet<TransactionId>,
}

impl LedgerView for State {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(key).cloned()
    }

    fn was_admitted(&self, id: &TransactionId) -> bool {
        self.admitted.contains(id)
    }
}

pub(super) struct InMemory {
    runtime: Runtime,
    state: Arc<State>,
    wasm: Vec<u8>,
    contract: Option<ContractId>,
    transactions: u64,
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
            state: Arc::default(),
            wasm,
            contract: None,
            transactions: 0,
            logs,
        })
    }

    fn entries(&mut self) -> &mut BTreeMap<Vec<u8>, Vec<u8>> {
        &mut Arc::make_mut(&mut self.state).entries
    }

    pub(super) fn admit(&mut self, account: AccountId, roles: Vec<Role>) {
        let record = AccountRecord { roles };
        let key = StateKey::Account(account).to_bytes();
        self.entries().insert(key, record.encode());
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
        let storage = self.storage();
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
        let view = Arc::clone(&self.state);
        let context = context(moment);
        let outcome = self.runtime.query(&context, view, contract, method, args);
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
        let key = StateKey::Account(sender).to_bytes();
        let before = self.entries().get(&key).cloned();
        self.admit(sender, vec![Role::Deployer]);
        let call = Call::Deploy {
            code: self.wasm.clone(),
            upgraders: Upgraders::nobody(),
            args,
        };
        let receipt = self.execute(sender, call, moment)?;
        self.contract = receipt.contract.or(self.contract);
        if let Some(before) = before {
            self.entries().insert(key, before);
        }
        Ok(receipt)
    }

    fn execute(
        &mut self,
        sender: AccountId,
        call: Call,
        moment: Moment,
    ) -> Result<Receipt, Failure> {
        self.transactions += 1;
        let transaction = Transaction {
            chain: ChainId::default(),
            sender,
            salt: self.transactions,
            valid_until: Millis(moment.time.0.saturating_add(VALID_FOR_MS)),
            fuel_max: Fuel(self.runtime.limits().transaction_fuel_max),
            call,
        };
        // The executor takes signatures as verified; accounts of tests have no keys.
        let signature = SecretKey::from_seed(&[1; 32]).sign(&[]);
        let signed = SignedTransaction {
            transaction,
            signature,
        };
        let batch = Batch {
            proposed_time: Millis(moment.time.0),
            transactions: vec![signed],
        };
        let view = Arc::clone(&self.state);
        let mut executed = self.runtime.execute_batch(&context(moment), view, &batch);
        let Some(receipt) = executed.receipts.pop() else {
            let dropped = executed.dropped.first();
            return Err(match dropped {
                Some((_, reason)) => format!("the transaction is in no block: {reason}"),
                None => "the transaction is in no block".to_owned(),
            });
        };
        let state = Arc::make_mut(&mut self.state);
        state.admitted.insert(receipt.transaction);
        for (key, value) in executed.changes {
            match value {
                Some(value) => state.entries.insert(key, value),
                None => state.entries.remove(&key),
            };
        }
        Ok(receipt)
    }

    /// What the contract stores, by its own keys.
    fn storage(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let Some(contract) = self.contract else {
            return Vec::new();
        };
        let prefix = StateKey::Storage(contract, &[]).to_bytes();
        let entries = self.state.entries.range(prefix.clone()..);
        entries
            .map_while(|(key, value)| {
                let key = key.strip_prefix(prefix.as_slice())?;
                Some((key.to_vec(), value.clone()))
            })
            .collect()
    }

    fn take_logs(&self) -> Vec<String> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut logs)
    }
}

fn context(moment: Moment) -> BlockContext {
    BlockContext {
        chain: ChainId::default(),
        height: Height(moment.height),
        time: Millis(moment.time.0),
    }
}

fn ending(status: Status) -> Ending {
    match status {
        Status::Applied { value } => Ending::Returned(value),
        Status::Reverted { code, .. } => Ending::Reverted(code),
        Status::Trapped { kind } => trapped(kind),
    }
}
