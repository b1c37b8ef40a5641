//! A ledger for tests of contracts: in the same process, caller and time set by hand. It holds one
//! contract: a call to another one is a panic that says so.

use std::cell::RefCell;
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::{AccountId, CallError, Caller, ContractId, Env, Event, Millis, Role, abi};

/// An event as it was emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// The event's name.
    pub topic: String,
    /// SCALE of its fields.
    pub data: Vec<u8>,
}

/// What stands in for the validators.
#[derive(Debug)]
pub(crate) struct Host {
    storage: BTreeMap<Vec<u8>, Vec<u8>>,
    events: Vec<Emitted>,
    caller: AccountId,
    /// Of the admitted accounts.
    roles: BTreeMap<AccountId, Vec<Role>>,
    own_address: ContractId,
    transaction: u64,
    time: Millis,
    height: u64,
    logs: RefCell<Vec<String>>,
}

impl Host {
    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.storage.get(key).cloned()
    }

    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) {
        assert!(!value.is_empty(), "the ledger refuses empty values");
        assert!(!key.is_empty(), "the ledger refuses empty keys");
        self.storage.insert(key.to_vec(), value.to_vec());
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.storage.remove(key);
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::Account(self.caller)
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
        self.sha256(&self.transaction.to_le_bytes())
    }

    pub(crate) fn block_time(&self) -> u64 {
        self.time.0
    }

    pub(crate) fn block_height(&self) -> u64 {
        self.height
    }

    #[allow(clippy::unused_self, reason = "the host on Wasm has the same method")]
    pub(crate) fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    pub(crate) fn emit(&mut self, topic: &str, data: &[u8]) {
        self.events.push(Emitted {
            topic: topic.to_owned(),
            data: data.to_vec(),
        });
    }

    pub(crate) fn debug_log(&self, text: &str) {
        self.logs.borrow_mut().push(text.to_owned());
    }
}

/// Runs a contract's methods in a test.
#[derive(Debug)]
pub struct TestEnv {
    env: Env,
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl TestEnv {
    /// An empty contract, called by account `[1; 32]`, in block 1 at 1,000,000 ms.
    #[must_use]
    pub fn new() -> Self {
        let host = Host {
            storage: BTreeMap::new(),
            events: Vec::new(),
            caller: AccountId([1; 32]),
            roles: BTreeMap::from([(AccountId([1; 32]), Vec::new())]),
            own_address: ContractId([0xc0; 32]),
            transaction: 1,
            time: Millis(1_000_000),
            height: 1,
            logs: RefCell::default(),
        };
        Self { env: Env { host } }
    }

    /// Who calls from now on; is admitted thereby.
    pub fn set_caller(&mut self, caller: AccountId) {
        self.env.host.caller = caller;
        self.env.host.roles.entry(caller).or_default();
    }

    /// Admits an account with these roles, in the place of those that it had.
    pub fn set_roles(&mut self, account: AccountId, roles: &[Role]) {
        self.env.host.roles.insert(account, roles.to_vec());
    }

    /// The block time from now on.
    pub fn set_time(&mut self, time: Millis) {
        self.env.host.time = time;
    }

    /// The block time now.
    #[must_use]
    pub fn time(&self) -> Millis {
        self.env.host.time
    }

    /// The block height from now on.
    pub fn set_height(&mut self, height: u64) {
        self.env.host.height = height;
    }

    /// Runs `init` or a `call` as one transaction: an error rolls everything back.
    ///
    /// # Errors
    /// The method's own.
    pub fn call<T, E>(&mut self, run: impl FnOnce(&mut Env) -> Result<T, E>) -> Result<T, E> {
        let storage = self.env.host.storage.clone();
        let events = self.env.host.events.len();
        self.env.host.transaction += 1;
        let outcome = run(&mut self.env);
        if outcome.is_err() {
            self.env.host.storage = storage;
            self.env.host.events.truncate(events);
        }
        outcome
    }

    /// Runs a `view`.
    pub fn view<T>(&self, run: impl FnOnce(&Env) -> T) -> T {
        run(&self.env)
    }

    /// What is stored, by storage key.
    #[must_use]
    pub fn storage(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.env.host.storage
    }

    /// All events so far.
    #[must_use]
    pub fn events(&self) -> &[Emitted] {
        &self.env.host.events
    }

    /// All events of one kind so far.
    ///
    /// # Panics
    /// If one was emitted under that topic with other fields.
    #[must_use]
    pub fn events_of<E: Event>(&self) -> Vec<E> {
        self.events()
            .iter()
            .filter(|event| event.topic == E::TOPIC)
            .map(|event| E::decode(&mut &event.data[..]).expect("the topic belongs to the type"))
            .collect()
    }

    /// Everything logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.env.host.logs.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_those_that_were_set() {
        let mut test = TestEnv::new();
        let (caller, other, stranger) =
            (AccountId([1; 32]), AccountId([2; 32]), AccountId([3; 32]));
        test.set_roles(other, &[Role::Deployer]);
        test.view(|env| {
            assert!(env.is_admitted(caller) && env.is_admitted(other));
            assert!(!env.is_admitted(stranger));
            assert!(env.has_role(other, Role::Deployer));
            assert!(!env.has_role(other, Role::Registrar));
            assert!(!env.has_role(caller, Role::Deployer));
            assert!(!env.has_role(stranger, Role::Registrar));
        });
        test.set_roles(other, &[]);
        test.set_caller(stranger);
        test.view(|env| {
            assert!(env.is_admitted(stranger) && env.is_admitted(other));
            assert!(!env.has_role(other, Role::Deployer));
        });
    }

    #[test]
    #[should_panic(expected = "calls between contracts are tested on the runtime")]
    fn another_contract_is_not_there() {
        let test = TestEnv::new();
        let _ = test.view(|env| env.view::<bool>(ContractId([9; 32]), "can_read", &()));
    }
}
