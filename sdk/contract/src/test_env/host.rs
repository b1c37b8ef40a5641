//! What stands in for the validators.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::calls::end;
use super::code::{Deployed, NewCode};
use super::module::Module;
use super::native::Native;
use super::place::Place;
use super::{Emitted, TestLimits};
use crate::test_host::{Ending, Moment, Request};
use crate::{AccountId, Caller, ContractId, Millis, Role, abi};

/// What one contract stores.
pub(super) type Storage = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where the contract under test is, unless it is a module: that one is told by the ledger.
pub(super) const TESTED: ContractId = ContractId([0xc0; 32]);

#[derive(Debug)]
pub(crate) struct Host {
    pub(super) limits: TestLimits,
    /// The address of the contract under test.
    pub(super) tested: ContractId,
    pub(super) storage: BTreeMap<ContractId, Storage>,
    /// The contracts that are there, as far as that is known: one without an `init` is from when it
    /// is first called.
    pub(super) deployed: RefCell<BTreeMap<ContractId, Deployed>>,
    /// Who may upgrade what is deployed from now on.
    pub(super) upgraders: BTreeSet<AccountId>,
    /// What this transaction is to put somewhere, until that begins.
    pub(super) new_code: RefCell<Option<NewCode>>,
    pub(super) events: Vec<Emitted>,
    pub(super) account: AccountId,
    /// Of the admitted accounts.
    pub(super) roles: BTreeMap<AccountId, Vec<Role>>,
    pub(super) time: Millis,
    pub(super) height: u64,
    pub(super) logs: RefCell<Vec<String>>,
    /// Of the last call, where it is known.
    pub(super) fuel_used: Option<u64>,
    /// How many transactions there were, this one included.
    transactions: u64,
    /// Where this transaction's events begin.
    events_before: usize,
    /// Where each contract was seen to store something.
    places: RefCell<BTreeMap<ContractId, Vec<Place>>>,
    /// The contracts that are running, the innermost last; the first is called by the test.
    pub(super) frames: RefCell<Vec<Frame>>,
    /// What runs in the place of native code.
    pub(super) module: Option<RefCell<Module>>,
}

/// A contract that is running.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) contract: ContractId,
    pub(super) caller: Caller,
    /// Whether the method that was called has begun: what it calls of its own is no call.
    pub(super) entered: bool,
}

/// What a refusal goes back to.
pub(super) struct Before {
    storage: BTreeMap<ContractId, Storage>,
    events: usize,
    deployed: BTreeMap<ContractId, Deployed>,
}

/// How a method begins.
#[derive(Debug)]
pub enum Entered {
    /// It has run, in the module.
    InModule(Ending),
    /// The test called it.
    FromOutside,
    /// A method called it.
    FromWithin,
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What [`at_most`] calls the length of a method's name.
pub(super) const METHOD_BYTES: &str = "bytes of a method's name";

/// The ledger ends such a call with the trap `SizeLimit`.
pub(super) fn at_most(what: &str, size: usize, size_max: usize) {
    assert!(
        size <= size_max,
        "{what}: {size}, but the ledger allows at most {size_max}"
    );
}

impl Host {
    pub(super) fn new(limits: TestLimits, account: AccountId) -> Self {
        Self {
            limits,
            tested: TESTED,
            storage: BTreeMap::from([(TESTED, Storage::new())]),
            deployed: RefCell::default(),
            upgraders: BTreeSet::new(),
            new_code: RefCell::default(),
            events: Vec::new(),
            account,
            roles: BTreeMap::from([(account, Vec::new())]),
            time: Millis(1_000_000),
            height: 1,
            logs: RefCell::default(),
            fuel_used: None,
            transactions: 0,
            events_before: 0,
            places: RefCell::default(),
            frames: RefCell::default(),
            module: None,
        }
    }

    /// The innermost of the contracts that are running.
    pub(super) fn frame(&self) -> Frame {
        let frames = self.frames.borrow();
        *frames.last().expect("an `Env` is seen by methods only")
    }

    /// Whether all that runs was asked by a query.
    fn in_query(&self) -> bool {
        let frames = self.frames.borrow();
        frames
            .first()
            .is_some_and(|first| first.caller == Caller::Nobody)
    }

    /// Begins a method of the contract that is running.
    pub(crate) fn enter(
        &self,
        native: Native,
        method: &str,
        add_args: impl FnOnce(&mut Vec<u8>),
    ) -> Entered {
        let Frame {
            contract, entered, ..
        } = self.frame();
        if entered && self.module.is_none() {
            return Entered::FromWithin;
        }
        self.judge(contract, &native, method);
        let mut args = Vec::new();
        add_args(&mut args);
        if self.module.is_some() {
            return match self.in_module(native, method, args) {
                Ending::Trapped(kind) => {
                    end(format!("the ledger ended the call of `{method}`: {kind}"))
                }
                ending => Entered::InModule(ending),
            };
        }
        at_most(METHOD_BYTES, method.len(), self.limits.method_bytes_max);
        at_most("bytes of arguments", args.len(), self.limits.args_bytes_max);
        if let Some(frame) = self.frames.borrow_mut().last_mut() {
            frame.entered = true;
        }
        *self.new_code.borrow_mut() = None;
        self.put(contract, native, method);
        Entered::FromOutside
    }

    /// Runs a method in the module. A call is over when its method is.
    pub(super) fn in_module(&self, native: Native, method: &str, args: Vec<u8>) -> Ending {
        let Some(module) = &self.module else {
            unreachable!("only where there is one")
        };
        let mut module = module.borrow_mut();
        let called = self.frame().contract;
        let contract = (called != self.tested).then_some(called);
        let method_named = method.to_owned();
        let ending = if self.in_query() {
            let request = Request::Query {
                contract,
                method: method_named,
                args,
                moment: self.moment(),
            };
            module.run(&request).ending
        } else {
            assert!(
                module.seen.is_none(),
                "one `call` is one transaction, so one method of the contract: use another `call`"
            );
            let request = match self.new_code.borrow_mut().take() {
                Some(new) => self.request(new, contract, args),
                None => Request::Transact {
                    contract,
                    sender: self.account,
                    method: method_named,
                    args,
                    moment: self.moment(),
                },
            };
            let seen = module.run(&request);
            let ending = seen.ending.clone();
            module.seen = Some(seen);
            ending
        };
        let begins = [abi::INIT, abi::MIGRATE].contains(&method);
        if !begins || matches!(ending, Ending::Returned(_)) {
            self.put(called, native, method);
        }
        ending
    }

    pub(super) fn moment(&self) -> Moment {
        Moment {
            time: self.time,
            height: self.height,
        }
    }

    /// The newest block. Validators make them without being asked.
    pub(super) fn now(&self) -> Moment {
        let known = self.moment();
        match &self.module {
            Some(module) => module.borrow_mut().newest(known),
            None => known,
        }
    }

    /// Nothing but the module's own methods can touch its storage, or ask for its block.
    pub(super) fn must_be_native(&self) {
        assert!(
            self.module.is_none(),
            "this test runs the compiled module: inside of `call` and `view` it can only call methods of the contract"
        );
    }

    /// What the module did becomes what the test sees; gives the contract that was called or made.
    pub(super) fn take_over(&mut self, called: ContractId) -> Option<ContractId> {
        let seen = self.module.as_ref()?.borrow_mut().seen.take()?;
        if let Some(contract) = seen.contract {
            // A contract that was made just now has its address from the ledger.
            let mut deployed = self.deployed.borrow_mut();
            if let Some(mut known) = deployed.remove(&called) {
                known.version = seen.version.unwrap_or(known.version);
                deployed.insert(contract, known);
            }
            if called == self.tested {
                self.tested = contract;
            }
        }
        self.events
            .extend(seen.events.into_iter().map(Emitted::from));
        self.logs.borrow_mut().extend(seen.logs);
        if let Some(storage) = seen.storage {
            let storage = storage.into_iter();
            self.storage = storage
                .map(|stored| (stored.contract, stored.entries.into_iter().collect()))
                .collect();
        }
        (self.time, self.height) = (seen.moment.time, seen.moment.height);
        self.fuel_used = Some(seen.fuel_used);
        seen.contract
    }

    /// Begins a transaction that calls the contract, or gives it code.
    pub(super) fn begin(&mut self, contract: ContractId, new_code: Option<NewCode>) -> Before {
        self.transactions += 1;
        self.events_before = self.events.len();
        if let Some(module) = &mut self.module {
            // A test may have caught the panic that ended the call before.
            module.get_mut().seen = None;
        }
        *self.new_code.get_mut() = new_code;
        self.begin_frame(contract, Caller::Account(self.account));
        self.savepoint()
    }

    /// Begins a query of the contract.
    pub(super) fn begin_query(&self, contract: ContractId) {
        self.begin_frame(contract, Caller::Nobody);
    }

    fn begin_frame(&self, contract: ContractId, caller: Caller) {
        let known = self.module.is_some() || self.storage.contains_key(&contract);
        assert!(
            known,
            "there is no {contract:?}: `TestEnv::deploy` puts contracts there"
        );
        let entered = false;
        *self.frames.borrow_mut() = vec![Frame {
            contract,
            caller,
            entered,
        }];
    }

    pub(super) fn savepoint(&self) -> Before {
        Before {
            storage: self.storage.clone(),
            events: self.events.len(),
            deployed: self.deployed.borrow().clone(),
        }
    }

    pub(super) fn roll_back(&mut self, before: Before) {
        self.storage = before.storage;
        self.events.truncate(before.events);
        let deployed = self.deployed.get_mut();
        let now = std::mem::replace(deployed, before.deployed);
        // What has no `init` was there already when it was called and refused.
        for (contract, known) in now {
            if known.native.init.is_none() {
                deployed.entry(contract).or_insert(known);
            }
        }
    }

    /// Judges what a method that the test called returns.
    pub(crate) fn check_result(&self, bytes: usize) {
        at_most("bytes of a result", bytes, self.limits.return_bytes_max);
    }

    /// Judges a place in the storage of the running contract, at each of its uses.
    pub(crate) fn use_place(&self, place: Place) {
        self.must_be_native();
        let contract = self.frame().contract;
        // What an upgrade left is read by the old types, and stored again by the new ones.
        let deployed = self.deployed.borrow();
        if deployed
            .get(&contract)
            .is_some_and(|known| known.version > 1)
        {
            return;
        }
        let mut places = self.places.borrow_mut();
        let places = places.entry(contract).or_default();
        if places.contains(&place) {
            return;
        }
        for other in places.iter() {
            place.must_not_overlap(other);
        }
        places.push(place);
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
        let storage = self.storage.get(&self.frame().contract);
        storage.and_then(|storage| storage.get(key).cloned())
    }

    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) {
        self.check_key(key);
        assert!(!value.is_empty(), "the ledger refuses empty values");
        let value_bytes_max = self.limits.value_bytes_max;
        at_most("bytes of a storage value", value.len(), value_bytes_max);
        self.own_storage().insert(key.to_vec(), value.to_vec());
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.check_key(key);
        self.own_storage().remove(key);
    }

    /// What the running contract stores.
    fn own_storage(&mut self) -> &mut Storage {
        let contract = self.frame().contract;
        self.storage.entry(contract).or_default()
    }

    pub(crate) fn caller(&self) -> Caller {
        self.must_be_native();
        self.frame().caller
    }

    pub(crate) fn roles(&self, account: AccountId) -> i32 {
        self.must_be_native();
        let bits = |roles: &Vec<Role>| roles.iter().fold(0, |all, role| all | role.bit());
        self.roles.get(&account).map_or(abi::ABSENT, bits)
    }

    pub(crate) fn own_address(&self) -> [u8; 32] {
        self.must_be_native();
        self.frame().contract.0
    }

    pub(crate) fn transaction_id(&self) -> [u8; 32] {
        self.must_be_native();
        if self.in_query() {
            [0; 32]
        } else {
            sha256(format!("transaction {}", self.transactions).as_bytes())
        }
    }

    pub(crate) fn block_time(&self) -> u64 {
        self.now().time.0
    }

    pub(crate) fn block_height(&self) -> u64 {
        self.now().height
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
        let Frame {
            contract, entered, ..
        } = self.frame();
        // Of what a test emits by itself, nobody says whose it is.
        if let Some(known) = self.deployed.borrow().get(&contract)
            && entered
        {
            known.native.must_list(topic);
        }
        self.events.push(Emitted {
            contract,
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
