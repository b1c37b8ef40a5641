//! Which code the contracts of a test have: deployments and upgrades.

use std::collections::BTreeSet;
use std::path::Path;

use super::calls::{end, trap, words};
use super::host::{Host, Storage};
use super::native::{Contract, Native};
use super::{TestEnv, module};
use crate::test_host::{Ending, Request};
use crate::{AccountId, ContractError as _, ContractId, Env, Outcome, abi};

/// A contract that is there.
#[derive(Debug, Clone)]
pub(super) struct Deployed {
    pub(super) native: Native,
    pub(super) version: u32,
    /// Each of them may upgrade it.
    pub(super) upgraders: BTreeSet<AccountId>,
}

/// Code that a transaction is to put somewhere.
#[derive(Debug)]
pub(super) struct NewCode {
    native: Native,
    /// What the ledger runs then: `init` or `migrate`.
    method: &'static str,
    /// The module; nothing where code is native.
    wasm: Vec<u8>,
}

impl TestEnv {
    /// Says in which file the module of another contract is: what [`deploy`](Self::deploy) and
    /// [`upgrade`](Self::upgrade) of `C` are to run, where the contract under test is a module. Native
    /// code needs none, and the file is not looked at.
    ///
    /// # Panics
    /// If there is no such file, or one that is older than its sources (see
    /// [`wasm`](Self::wasm)).
    #[must_use]
    #[track_caller]
    pub fn with_module<C: Contract>(mut self, file: impl AsRef<Path>) -> Self {
        if let Some(module) = self.module() {
            let wasm = module::read(file.as_ref());
            module.others.insert(C::NATIVE.id, wasm);
        }
        self
    }

    /// Says who may upgrade what is deployed from now on: each of these accounts, which are admitted
    /// thereby. Before, it is nobody. (That it takes several together is chosen at a deployment on a
    /// ledger; no code of a contract can tell.)
    pub fn upgradable_by(&mut self, accounts: &[AccountId]) -> &mut Self {
        for account in accounts {
            if !self.env.host.roles.contains_key(account) {
                self.set_roles(*account, &[]);
            }
        }
        if let Some(module) = self.module() {
            module.set_upgraders(accounts.to_vec());
        }
        self.env.host.upgraders = accounts.iter().copied().collect();
        self
    }

    /// Puts another contract beside the one under test, by one transaction that runs its `init`:
    /// `test.deploy::<Registry, _>(|env| Registry::init(env, 7))`. If it has none, `|_| ()`; if it
    /// has one all the same, that runs without arguments. The address is what others call it by, and
    /// what [`call_at`](Self::call_at), [`view_at`](Self::view_at),
    /// [`storage_at`](Self::storage_at) and [`events_at`](Self::events_at) take.
    ///
    /// # Panics
    /// If its `init` refuses, where the ledger would trap, and where the contract under test is a
    /// module and nothing says in which file this one is ([`with_module`](Self::with_module)).
    #[track_caller]
    pub fn deploy<C: Contract, R: Outcome>(
        &mut self,
        init: impl FnOnce(&mut Env) -> R,
    ) -> ContractId {
        let new_code = self.new_code::<C>(abi::INIT);
        let address = self.env.host.next_address();
        let (outcome, made) = self.transact(address, Some(new_code), init);
        if let Err(refusal) = outcome.settle() {
            refused(abi::INIT, refusal.code());
        }
        made.unwrap_or(address)
    }

    /// Puts the code of `C` in the place of that of the contract under test, by one transaction
    /// that runs the new code's `migrate` on the storage that the old code left:
    /// `test.upgrade::<Second, _>(|env| Second::migrate(env, 7))`. If it has none, `|_| ()`. A
    /// refusal leaves everything as it was. Afterwards the test calls the new code's methods; the
    /// old ones are gone.
    ///
    /// Whoever calls must be one of those that [`upgradable_by`](Self::upgradable_by) named before
    /// the contract was deployed.
    ///
    /// # Panics
    /// If the contract is not deployed yet, where the ledger would trap, and where the contract is a
    /// module and nothing says in which file the new one is ([`with_module`](Self::with_module)).
    #[track_caller]
    pub fn upgrade<C: Contract, R: Outcome>(&mut self, migrate: impl FnOnce(&mut Env) -> R) -> R {
        self.upgrade_at::<C, R>(self.env.host.tested, migrate)
    }

    /// The same of another contract.
    ///
    /// # Panics
    /// As [`upgrade`](Self::upgrade) does.
    #[track_caller]
    pub fn upgrade_at<C: Contract, R: Outcome>(
        &mut self,
        contract: ContractId,
        migrate: impl FnOnce(&mut Env) -> R,
    ) -> R {
        let new_code = self.new_code::<C>(abi::MIGRATE);
        self.env.host.must_be_upgradable(contract);
        self.transact(contract, Some(new_code), migrate).0
    }

    /// The version of the contract under test: 1, and one more with each upgrade.
    ///
    /// # Panics
    /// If the contract is not deployed yet.
    #[must_use]
    #[track_caller]
    pub fn version(&self) -> u32 {
        self.version_at(self.env.host.tested)
    }

    /// The version of another contract.
    ///
    /// # Panics
    /// If there is no such contract.
    #[must_use]
    #[track_caller]
    pub fn version_at(&self, contract: ContractId) -> u32 {
        self.env.host.deployed_at(contract).version
    }

    #[track_caller]
    fn new_code<C: Contract>(&mut self, method: &'static str) -> NewCode {
        let native = C::NATIVE;
        let module = self.module().map(|module| module.others.get(&native.id));
        let wasm = match module.map(Option::<&Vec<u8>>::cloned) {
            None => Vec::new(),
            Some(Some(wasm)) => wasm,
            Some(None) => {
                let name = native.name;
                panic!(
                    "this test runs modules, and nothing says which is that of `{name}`: make its \
                     TestEnv with `.with_module::<{name}>(FILE)`"
                )
            }
        };
        NewCode {
            native,
            method,
            wasm,
        }
    }
}

#[track_caller]
fn refused(method: &str, code: u32) -> ! {
    panic!("the new code has no effect: its `{method}` refuses with code {code}")
}

impl Host {
    /// Where the next contract will be. Only the ledger knows that of modules.
    fn next_address(&mut self) -> ContractId {
        if self.module.is_some() {
            return ContractId([0; 32]);
        }
        let number = self.storage.len();
        let contract = ContractId(super::host::sha256(format!("contract {number}").as_bytes()));
        self.storage.insert(contract, Storage::new());
        contract
    }

    #[track_caller]
    fn deployed_at(&self, contract: ContractId) -> Deployed {
        let deployed = self.deployed.borrow().get(&contract).cloned();
        let Some(deployed) = deployed else {
            panic!("the contract is not deployed yet")
        };
        deployed
    }

    /// Of modules, the ledger says who may.
    #[track_caller]
    fn must_be_upgradable(&self, contract: ContractId) {
        let deployed = self.deployed_at(contract);
        if self.module.is_none() && !deployed.upgraders.contains(&self.account) {
            let why = "the caller is none of those whom `TestEnv::upgradable_by` named before the \
                       contract was deployed";
            trap("may_not_upgrade", why);
        }
    }

    /// Whether that method of that contract can begin now.
    pub(super) fn judge(&self, contract: ContractId, native: &Native, method: &str) {
        if let Some(new) = &*self.new_code.borrow() {
            let (wanted, name) = (new.method, new.native.name);
            assert!(
                method == wanted && native.id == new.native.id,
                "the code of `{name}` begins with its `{wanted}`, and this is `{method}` of `{}`: \
                 call that afterwards",
                native.name
            );
            return;
        }
        let is_native = self.module.is_none();
        if method == abi::MIGRATE && is_native {
            let why = "`migrate` runs at an upgrade, and nobody calls it: see `TestEnv::upgrade`";
            trap("unknown_method", why);
        }
        match self.deployed.borrow().get(&contract) {
            Some(_) if method == abi::INIT => {
                panic!("`init` has run, and a contract is deployed once: use another TestEnv")
            }
            None if method != abi::INIT && native.init.is_some() => {
                panic!("the contract is not deployed yet: its `init` comes before `{method}`")
            }
            // What a module has, the ledger knows.
            Some(known) if is_native => known.native.must_have(native, method),
            _ => {}
        }
    }

    /// From now on the contract has that code, if the method is what the ledger runs in the
    /// beginning.
    pub(super) fn put(&self, contract: ContractId, native: Native, method: &str) {
        let mut deployed = self.deployed.borrow_mut();
        let known = deployed.entry(contract).or_insert_with(|| Deployed {
            native,
            version: 0,
            upgraders: self.upgraders.clone(),
        });
        if known.version == 0 || method == abi::MIGRATE {
            known.native = native;
            known.version += 1;
        }
    }

    /// The transaction that puts the code there.
    pub(super) fn request(
        &self,
        new: NewCode,
        contract: Option<ContractId>,
        args: Vec<u8>,
    ) -> Request {
        let (sender, code, moment) = (self.account, new.wasm, self.moment());
        match new.method {
            abi::INIT => Request::Deploy {
                sender,
                code,
                args,
                moment,
            },
            _ => Request::Upgrade {
                contract,
                sender,
                code,
                args,
                moment,
            },
        }
    }

    /// Runs what new code begins with, if the test has left that to the ledger: without arguments.
    pub(super) fn begin_new_code(env: &mut Env) {
        let new_code = env.host.new_code.get_mut();
        let Some((native, method)) = new_code.as_ref().map(|new| (new.native, new.method)) else {
            return;
        };
        let run = match method {
            abi::INIT => native.init,
            _ => native.migrate,
        };
        let contract = env.host.frame().contract;
        let ending = match (&env.host.module, run) {
            (Some(_), _) => env.host.in_module(native, method, Vec::new()),
            (None, Some(run)) => run(env, &[]),
            (None, None) => {
                env.host.put(contract, native, method);
                Ending::Returned(Vec::new())
            }
        };
        match ending {
            Ending::Returned(value) => env.host.check_result(value.len()),
            Ending::Reverted(code) => refused(method, code),
            Ending::Trapped(kind) => {
                let why = format!("`{method}` of `{}` ran without arguments", native.name);
                end(words(&kind, &why))
            }
        }
    }
}

impl Native {
    /// Ends the test if it calls a method that a contract of this code does not have.
    fn must_have(&self, other: &Self, method: &str) {
        let (name, others) = (self.name, other.name);
        if self.id == other.id {
            return;
        }
        if self.find(method).is_none() {
            let why = format!("the contract is a `{name}` now, which has no `{method}`");
            trap("unknown_method", &why);
        }
        panic!("the contract is a `{name}`, and this is `{method}` of `{others}`");
    }
}
