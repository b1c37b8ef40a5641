//! A ledger in memory, and short ways to write transactions for it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary compiles this module and uses its own part of it"
)]

pub mod shelf;
pub mod shipped;
pub mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chancery_ledger::state_key::{AccountRecord, StateKey};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    AccountId, Batch, Call, ChainId, ChainLimits, ContractId, Fuel, FuelPrices, Height, Millis,
    Receipt, Role, SecretKey, Status, Transaction, TransactionId, TrapKind, Upgraders,
};
use chancery_runtime::{
    BlockContext, DropReason, ExecutedBatch, LedgerView, QueryOutcome, Runtime,
};
use parity_scale_codec::Encode as _;
pub use text::{IMPORTS, module, wasm};

pub const FUEL: u64 = 480_000_000;

#[derive(Debug, Clone, Default)]
pub struct State {
    pub entries: BTreeMap<Vec<u8>, Vec<u8>>,
    pub admitted: BTreeSet<TransactionId>,
}

impl LedgerView for State {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(key).cloned()
    }

    fn was_admitted(&self, id: &TransactionId) -> bool {
        self.admitted.contains(id)
    }
}

/// The prices of a ledger whose genesis names no others.
pub fn prices() -> FuelPrices {
    FuelPrices::default()
}

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub fn account(seed: u8) -> AccountId {
    key(seed).account()
}

/// Seed of the account that genesis gave both roles.
pub const ROOT: u8 = 1;

pub struct Ledger {
    pub runtime: Arc<Runtime>,
    pub state: State,
    pub height: u64,
    pub time: u64,
    salt: u64,
}

impl Ledger {
    pub fn new() -> Self {
        Self::with(ChainLimits::default())
    }

    pub fn with(limits: ChainLimits) -> Self {
        let runtime = Runtime::new(limits).expect("the engine starts");
        Self::on(Arc::new(runtime))
    }

    pub fn on(runtime: Arc<Runtime>) -> Self {
        let mut state = State::default();
        let record = AccountRecord {
            roles: vec![Role::Registrar, Role::Deployer],
        };
        state
            .entries
            .insert(StateKey::Account(account(ROOT)).to_bytes(), record.encode());
        Self {
            runtime,
            state,
            height: 0,
            time: 1_000_000,
            salt: 0,
        }
    }

    /// The same ledger, run by another runtime.
    pub fn twin(&self, runtime: Arc<Runtime>) -> Self {
        let state = self.state.clone();
        Self {
            runtime,
            state,
            ..*self
        }
    }

    pub fn sign(&mut self, seed: u8, fuel_max: u64, call: Call) -> SignedTransaction {
        self.salt += 1;
        Transaction {
            chain: ChainId::default(),
            sender: account(seed),
            salt: self.salt,
            valid_until: Millis(self.time + 60_000),
            fuel_max: Fuel(fuel_max),
            call,
        }
        .sign(&key(seed))
    }

    pub fn context(&self) -> BlockContext {
        BlockContext {
            chain: ChainId::default(),
            height: Height(self.height),
            time: Millis(self.time),
        }
    }

    /// Executes one block, 1 ms after the last.
    pub fn block(&mut self, transactions: Vec<SignedTransaction>) -> ExecutedBatch {
        self.height += 1;
        self.time += 1;
        let batch = Batch {
            proposed_time: Millis(self.time),
            transactions,
        };
        let view = Arc::new(self.state.clone());
        let executed = self.runtime.execute_batch(&self.context(), view, &batch);
        for (key, value) in &executed.changes {
            match value {
                Some(value) => self.state.entries.insert(key.clone(), value.clone()),
                None => self.state.entries.remove(key),
            };
        }
        let ids = executed.transactions.iter().map(SignedTransaction::id);
        self.state.admitted.extend(ids);
        executed
    }

    pub fn one(&mut self, seed: u8, fuel_max: u64, call: Call) -> Receipt {
        let signed = self.sign(seed, fuel_max, call);
        let mut executed = self.block(vec![signed]);
        assert_eq!(executed.dropped, []);
        executed
            .receipts
            .pop()
            .expect("one transaction was executed")
    }

    pub fn dropped(&mut self, seed: u8, call: Call) -> DropReason {
        let signed = self.sign(seed, FUEL, call);
        let executed = self.block(vec![signed]);
        assert!(executed.receipts.is_empty() && executed.changes.is_empty());
        executed.dropped[0].1
    }

    pub fn deploy_with(&mut self, wasm: &[u8], args: Vec<u8>) -> Receipt {
        self.one(ROOT, FUEL, deployment(wasm.to_vec(), args))
    }

    /// Deploys text that must be accepted.
    pub fn deploy(&mut self, wat: &str) -> ContractId {
        let receipt = self.deploy_with(&wasm(wat), Vec::new());
        assert!(
            matches!(receipt.status, Status::Applied { .. }),
            "{:?}: {:?}",
            receipt.status,
            Runtime::check_module(self.runtime.limits(), &wasm(wat))
        );
        receipt.contract.expect("a deployment has a contract")
    }

    pub fn invoke(&mut self, contract: ContractId, method: &str, args: Vec<u8>) -> Receipt {
        self.invoke_as(ROOT, contract, method, args)
    }

    pub fn invoke_as(
        &mut self,
        seed: u8,
        contract: ContractId,
        method: &str,
        args: Vec<u8>,
    ) -> Receipt {
        self.one(seed, FUEL, invocation(contract, method, args))
    }

    pub fn query(&self, contract: ContractId, method: &str, args: &[u8]) -> QueryOutcome {
        let view = Arc::new(self.state.clone());
        self.runtime
            .query(&self.context(), view, contract, method, args)
    }

    /// Deploys a module whose `call.run` is `body`, runs it, and gives the receipt.
    pub fn run(&mut self, body: &str) -> Receipt {
        let contract = self.deploy(&module(body));
        self.invoke(contract, "run", Vec::new())
    }
}

/// A deployment of what nobody may upgrade.
pub fn deployment(code: Vec<u8>, args: Vec<u8>) -> Call {
    Call::Deploy {
        code,
        upgraders: Upgraders::nobody(),
        args,
    }
}

pub fn invocation(contract: ContractId, method: &str, args: Vec<u8>) -> Call {
    Call::Invoke {
        contract,
        method: method.to_owned(),
        args,
    }
}

pub fn trap_of(receipt: &Receipt) -> TrapKind {
    match receipt.status {
        Status::Trapped { kind } => kind,
        ref other => panic!("expected a trap, not {other:?}"),
    }
}

pub fn value_of(receipt: &Receipt) -> Vec<u8> {
    match &receipt.status {
        Status::Applied { value } => value.clone(),
        other => panic!("expected it to be applied, not {other:?}"),
    }
}
