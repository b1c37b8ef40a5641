//! What stands in for the validators.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::module::Module;
use super::{Emitted, TestLimits};
use crate::test_host::{Ending, Moment, Request};
use crate::{AccountId, CallError, Caller, ContractId, Millis, Role, abi};

#[derive(Debug)]
pub(crate) struct Host {
    limits: TestLimits,
    pub(super) storage: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) events: Vec<Emitted>,
    pub(super) account: AccountId,
    /// Of the admitted accounts.
    pub(super) roles: BTreeMap<AccountId, Vec<Role>>,
    pub(super) time: Millis,
    pub(super) height: u64,
    pub(super) logs: RefCell<Vec<String>>,
    /// Of the last call, where it is known.
    pub(super) fuel_used: Option<u64>,
    own_address: ContractId,
    /// How many transactions there were, this one included.
    transactions: u64,
    /// Where this transaction's events begin.
    events_before: usize,
    in_query: Cell<bool>,
    /// What runs in the place of native code.
    pub(super) module: Option<RefCell<Module>>,
}

/// What a refusal goes back to.
pub(super) struct Before {
    storage: BTreeMap<Vec<u8>, Vec<u8>>,
    events: usize,
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The ledger ends such a call with the trap `SizeLimit`.
fn at_most(what: &str, size: usize, size_max: usize) {
    assert!(
        size <= size_max,
        "{what}: {size}, but the ledger allows at most {size_max}"
    );
}

impl Host {
    pub(super) fn new(limits: TestLimits, account: AccountId) -> Self {
        Self {
            limits,
            storage: BTreeMap::new(),
            events: Vec::new(),
            account,
            roles: BTreeMap::from([(account, Vec::new())]),
            time: Millis(1_000_000),
            height: 1,
            logs: RefCell::default(),
            fuel_used: None,
            own_address: ContractId([0xc0; 32]),
            transactions: 0,
            events_before: 0,
            in_query: Cell::new(false),
            module: None,
        }
    }

    /// Runs a method in the module, if there is one. A call is over when its method is.
    pub(crate) fn in_module(
        &self,
        method: &str,
        add_args: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Ending> {
        let mut module = self.module.as_ref()?.borrow_mut();
        let (method, mut args) = (method.to_owned(), Vec::new());
        add_args(&mut args);
        let moment = Moment {
            time: self.time,
            height: self.height,
        };
        if self.in_query.get() {
            let request = Request::Query {
                method,
                args,
                moment,
            };
            return Some(module.run(&request).ending);
        }
        assert!(
            module.seen.is_none(),
            "one `call` is one transaction, so one method of the contract: use another `call`"
        );
        let request = Request::Transact {
            sender: self.account,
            method,
            args,
            moment,
        };
        let seen = module.run(&request);
        let ending = seen.ending.clone();
        module.seen = Some(seen);
        Some(ending)
    }

    /// Nothing but the module's own methods can touch its storage, or ask for its block.
    fn must_be_native(&self) {
        assert!(
            self.module.is_none(),
            "this test runs the compiled module: inside of `call` and `view` it can only call methods of the contract"
        );
    }

    /// What the module did becomes what the test sees.
    pub(super) fn take_over(&mut self) {
        let Some(module) = &self.module else { return };
        let Some(seen) = module.borrow_mut().seen.take() else {
            return;
        };
        let events = seen.events.into_iter();
        self.events
            .extend(events.map(|(topic, data)| Emitted { topic, data }));
        self.logs.borrow_mut().extend(seen.logs);
        if let Some(storage) = seen.storage {
            self.storage = storage.into_iter().collect();
        }
        (self.time, self.height) = (seen.moment.time, seen.moment.height);
        self.fuel_used = Some(seen.fuel_used);
    }

    pub(super) fn begin(&mut self) -> Before {
        self.in_query.set(false);
        self.transactions += 1;
        self.events_before = self.events.len();
        Before {
            storage: self.storage.clone(),
            events: self.events_before,
        }
    }

    pub(super) fn begin_query(&self) {
        self.in_query.set(true);
    }

    pub(super) fn roll_back(&mut self, before: Before) {
        self.storage = before.storage;
        self.events.truncate(before.events);
    }

    pub(super) fn check_result(&self, bytes: usize) {
        at_most("bytes of a result", bytes, self.limits.return_bytes_max);
    }

    fn check_key(&self, key: &[u8]) {
        self.must_be_native();
        assert!(!key.is_empty(), "the ledger refuses empty keys");
        at_most(
            "bytes of a storage key",
            key.len(),
            self.limits.key_bytes_max,
        );
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.check_key(key);
        self.storage.get(key).cloned()
    }

    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) {
        self.check_key(key);
        assert!(!value.is_empty(), "the ledger refuses empty values");
        let value_bytes_max = self.limits.value_bytes_max;
        at_most("bytes of a storage value", value.len(), value_bytes_max);
        self.storage.insert(key.to_vec(), value.to_vec());
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.check_key(key);
        self.storage.remove(key);
    }

    pub(crate) fn caller(&self) -> Caller {
        self.must_be_native();
        if self.in_query.get() {
            Caller::Nobody
        } else {
            Caller::Account(self.account)
        }
    }

    pub(crate) fn roles(&self, account: AccountId) -> i32 {
        self.must_be_native();
        let bits = |roles: &Vec<Role>| roles.iter().fold(0, |all, role| all | role.bit());
        self.roles.get(&account).map_or(abi::ABSENT, bits)
    }

    #[allow(clippy::unused_self, reason = "the host on Wasm has the same method")]
    pub(crate) fn call(
        &self,
        contract: ContractId,
        method: &str,
        _args: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        panic!(
            "{method:?} of {contract:?} was called, but a TestEnv holds one contract only: calls between contracts are tested on the runtime"
        )
    }

    pub(crate) fn view(
        &self,
        contract: ContractId,
        method: &str,
        args: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        self.call(contract, method, args)
    }

    pub(crate) fn own_address(&self) -> [u8; 32] {
        self.must_be_native();
        self.own_address.0
    }

    pub(crate) fn transaction_id(&self) -> [u8; 32] {
        self.must_be_native();
        if self.in_query.get() {
            [0; 32]
        } else {
            sha256(format!("transaction {}", self.transactions).as_bytes())
        }
    }

    pub(crate) fn block_time(&self) -> u64 {
        self.time.0
    }

    pub(crate) fn block_height(&self) -> u64 {
        self.height
    }

    #[allow(clippy::unused_self, reason = "the host on Wasm has the same method")]
    pub(crate) fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        sha256(bytes)
    }

    pub(crate) fn emit(&mut self, topic: &str, data: &[u8]) {
        self.must_be_native();
        let event_bytes_max = self.limits.event_bytes_max;
        assert!(
            !topic.is_empty(),
            "the ledger refuses events without a name"
        );
        at_most(
            "bytes of an event",
            topic.len() + data.len(),
            event_bytes_max,
        );
        self.events.push(Emitted {
            topic: topic.to_owned(),
            data: data.to_vec(),
        });
        let events = self.events.len() - self.events_before;
        at_most("events of one transaction", events, self.limits.events_max);
    }

    pub(crate) fn debug_log(&self, text: &str) {
        self.logs.borrow_mut().push(text.to_owned());
    }
}
