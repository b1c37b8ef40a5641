//! What stands in for the validators.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::{Emitted, TestLimits};
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
    own_address: ContractId,
    /// How many transactions there were, this one included.
    transactions: u64,
    /// Where this transaction's events begin.
    events_before: usize,
    in_query: Cell<bool>,
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
            own_address: ContractId([0xc0; 32]),
            transactions: 0,
            events_before: 0,
            in_query: Cell::new(false),
        }
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
        if self.in_query.get() {
            Caller::Nobody
        } else {
            Caller::Account(self.account)
        }
    }

    pub(crate) fn roles(&self, account: AccountId) -> i32 {
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
        self.own_address.0
    }

    pub(crate) fn transaction_id(&self) -> [u8; 32] {
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
