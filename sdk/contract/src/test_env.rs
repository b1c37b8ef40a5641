//! A ledger for tests of contracts: in the same process, caller and time set by hand. It tests one
//! contract, and holds others that this one calls: see `calls`. What code they have, and get by an
//! upgrade: see `code`. Compiled modules can stand in the place of native code: see `module`.

mod calls;
mod code;
mod host;
mod module;
mod native;
mod place;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parity_scale_codec::{DecodeAll as _, Encode as _};

use code::NewCode;
pub use host::Entered;
pub(crate) use host::Host;
use host::Storage;
use module::{Level, Module};
pub use native::{Contract, Native, NativeMethod, Run, RunCall};
pub(crate) use place::Place;

use crate::test_host;
use crate::{AccountId, ContractId, Env, Event, Millis, Outcome, Role};

/// What a ledger allows; its genesis document states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestLimits {
    /// The name of a method.
    pub method_bytes_max: usize,
    /// A storage key.
    pub key_bytes_max: usize,
    /// A storage value.
    pub value_bytes_max: usize,
    /// An event's topic and data together.
    pub event_bytes_max: usize,
    /// Events of one transaction.
    pub events_max: usize,
    /// A returned value.
    pub return_bytes_max: usize,
    /// The encoded arguments of a call.
    pub args_bytes_max: usize,
    /// Contracts running within each other in one transaction, the first one included.
    pub call_depth_max: usize,
}

/// Those of a genesis document that names no others.
impl Default for TestLimits {
    fn default() -> Self {
        Self {
            method_bytes_max: 64,
            key_bytes_max: 256,
            value_bytes_max: 65_536,
            event_bytes_max: 8_192,
            events_max: 64,
            return_bytes_max: 65_536,
            args_bytes_max: 65_536,
            call_depth_max: 8,
        }
    }
}

/// An event as it was emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Who emitted it.
    pub contract: ContractId,
    /// The event's name.
    pub topic: String,
    /// SCALE of its fields.
    pub data: Vec<u8>,
}

impl From<test_host::Event> for Emitted {
    fn from(event: test_host::Event) -> Self {
        let test_host::Event {
            contract,
            topic,
            data,
        } = event;
        Self {
            contract,
            topic,
            data,
        }
    }
}

/// Which level [`TestEnv::by_level`] takes.
const LEVEL_VARIABLE: &str = "CHANCERY_LEVEL";

/// What is stored where nothing is.
static NOTHING: Storage = Storage::new();

/// Runs a contract's methods in a test, as a ledger would: a call that refuses leaves nothing
/// behind, a view writes nothing, and time never goes back. Whoever calls is who
/// [`as_account`](Self::as_account) said; no authorisation can be skipped.
///
/// What the ledger answers with a trap is a panic here: an `expect` of the contract, and a key, a
/// value, an event, the name, the arguments or the result of a method beyond the [`TestLimits`]. Fuel, memory
/// and stack are not counted: they are those of the compiled module, not of this machine's code.
///
/// Two mistakes that no ledger can see are panics here as well: places in storage that overlap (see
/// [`Map::new`](crate::Map::new)), and an event that the contract does not list in
/// `#[contract(events = […])]`, which tools could only show as bytes.
///
/// Contracts that the one under test calls are deployed beside it, by [`deploy`](Self::deploy). They
/// call each other by the rules of the ledger: each is called by a contract and not by the sender, a
/// refusal takes back what the callee did, and whatever else ends the transaction is a panic that
/// names the trap.
///
/// The same test can run the compiled module, where all of that counts; only the line that makes the
/// `TestEnv` differs (which names the modules of other contracts as well, by
/// [`with_module`](Self::with_module)), or the environment, by [`by_level`](Self::by_level):
///
/// | made by | runs | time | storage, logs | fuel |
/// |---|---|---|---|---|
/// | [`TestEnv::new`] | native code, in this process | set by hand | seen | not counted |
/// | [`TestEnv::wasm`] | the module, in the validators' executor | set by hand | seen | seen |
/// | [`Devnet::test`] | the module, on four validators | goes by | not seen | seen |
///
/// A test that sets the time where it goes by, or looks at what is not seen, fails and says so.
///
/// Where a module runs, `init` deploys it, and what runs inside of [`call`](Self::call) and
/// [`view`](Self::view) is one method of the contract. Calls may burn as much there as
/// `chancery call` lets them. Everywhere, a contract is deployed once: its `init`, if it has one,
/// comes first, and a second one is a panic. [`upgrade`](Self::upgrade) gives it other code.
///
/// Two things a test need not do itself, and neither skips what a contract decides about who may do
/// what. Whoever calls is admitted: a ledger takes transactions of admitted accounts only, so no
/// contract is ever called by another one. And whoever calls the `init` of a module has [`Role::Deployer`]
/// lent for that transaction, and has its own roles again when it is over: a ledger takes deployments
/// of deployers only. A test about accounts that are *not* admitted uses some that never call, are
/// given no roles ([`set_roles`](Self::set_roles)) and upgrade nothing
/// ([`upgradable_by`](Self::upgradable_by)).
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
    /// An empty contract in block 1 at 1,000,000 ms, called by the account "somebody".
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(TestLimits::default())
    }

    /// The same on a ledger with other limits.
    #[must_use]
    pub fn with_limits(limits: TestLimits) -> Self {
        let host = Host::new(limits, Self::account("somebody"));
        Self { env: Env { host } }
    }

    /// The same, with the module in that file in the place of native code: run as validators run it.
    /// The program `chancery` does that; it must be on the PATH, or named by `CHANCERY_BIN`. Limits
    /// and prices of fuel are those of the genesis document that `CHANCERY_GENESIS` names, or of one
    /// that names none.
    ///
    /// # Panics
    /// If there is no such program, or no such module. If a source is newer than the module, where
    /// that lies in the `target/contracts` of a project: `chancery contract build` makes it anew,
    /// and one that is meant to be old is kept elsewhere.
    #[must_use]
    #[track_caller]
    pub fn wasm(module: impl AsRef<Path>) -> Self {
        Self::of_module(Level::Executor, module.as_ref())
    }

    /// By the level that `CHANCERY_LEVEL` names: `native` (also where it is not set), `wasm` or
    /// `devnet`, the latter two with the module in that file. So one test runs on all three.
    ///
    /// # Panics
    /// If there is no such level; as [`wasm`](Self::wasm).
    #[must_use]
    #[track_caller]
    pub fn by_level(module: impl AsRef<Path>) -> Self {
        let level = std::env::var_os(LEVEL_VARIABLE).unwrap_or_default();
        match level.to_str() {
            Some("" | "native") => Self::new(),
            Some("wasm") => Self::wasm(module),
            Some("devnet") => Devnet::test(module),
            _ => panic!(
                "{LEVEL_VARIABLE}={} is no level: there are native, wasm and devnet",
                level.display()
            ),
        }
    }

    #[track_caller]
    fn of_module(level: Level, module: &Path) -> Self {
        let mut test = Self::new();
        let (mut module, moment) = Module::start(level, module);
        let host = &mut test.env.host;
        if let Some(moment) = moment {
            (host.time, host.height) = (moment.time, moment.height);
        }
        module.admit(host.account, 0);
        host.module = Some(RefCell::new(module));
        test
    }

    /// The module's process, if there is one.
    fn module(&mut self) -> Option<&mut Module> {
        Some(self.env.host.module.as_mut()?.get_mut())
    }

    #[track_caller]
    fn must_not_be_on_a_devnet(&self, why: &str) {
        let module = self.env.host.module.as_ref();
        let on_devnet = module.is_some_and(|module| module.borrow().level == Level::Devnet);
        assert!(
            !on_devnet,
            "{why}: test this with TestEnv::new or TestEnv::wasm"
        );
    }

    /// The account of a name or number, always the same.
    #[must_use]
    pub fn account(name: impl Display) -> AccountId {
        let account = AccountId(host::sha256(format!("account {name}").as_bytes()));
        module::remember(account);
        account
    }

    /// Who calls from now on. It is admitted thereby, as every account is whose transaction a ledger
    /// takes; an account that is not to be admitted never calls.
    pub fn as_account(&mut self, caller: AccountId) -> &mut Self {
        self.env.host.account = caller;
        if !self.env.host.roles.contains_key(&caller) {
            self.set_roles(caller, &[]);
        }
        self
    }

    /// Admits an account with these roles, in the place of those that it had.
    pub fn set_roles(&mut self, account: AccountId, roles: &[Role]) -> &mut Self {
        self.env.host.roles.insert(account, roles.to_vec());
        let bits = roles.iter().fold(0, |all, role| all | role.bit());
        if let Some(module) = self.module() {
            module.admit(account, bits);
        }
        self
    }

    /// The block's time now. On a devnet, where blocks go on, that of the newest one.
    #[must_use]
    pub fn time(&self) -> Millis {
        self.env.host.now().time
    }

    /// Goes on to the next block, at that time; stays in this one if it has that time.
    ///
    /// # Panics
    /// If the time has passed: blocks never go back. On a devnet, whose validators make time.
    #[track_caller]
    pub fn set_time(&mut self, time: Millis) -> &mut Self {
        self.must_not_be_on_a_devnet(
            "time is made by the validators of a devnet, and cannot be set",
        );
        let now = self.time();
        assert!(
            time >= now,
            "blocks never go back, from {now:?} to {time:?}"
        );
        if time > now {
            self.env.host.time = time;
            self.env.host.height += 1;
        }
        self
    }

    /// Goes on to the next block, that much later.
    ///
    /// # Panics
    /// If that is beyond all time, and on a devnet.
    #[track_caller]
    pub fn advance(&mut self, duration: Millis) -> &mut Self {
        let time = self.time().0.checked_add(duration.0);
        self.set_time(Millis(time.expect("a time is below 2^64 ms")))
    }

    /// The block's height now. On a devnet, that of the newest block.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.env.host.now().height
    }

    /// Goes on to a later block, one millisecond for each between, as no two share a time.
    ///
    /// # Panics
    /// If the height has passed, and on a devnet.
    #[track_caller]
    pub fn set_height(&mut self, height: u64) -> &mut Self {
        let blocks = height.checked_sub(self.height());
        self.advance(Millis(blocks.expect("blocks never go back")));
        self.env.host.height = height;
        self
    }

    /// The address of the contract under test.
    ///
    /// # Panics
    /// If that is a module that is not deployed yet.
    #[must_use]
    pub fn address(&self) -> ContractId {
        let host = &self.env.host;
        assert!(
            host.module.is_none() || host.tested != host::TESTED,
            "the contract is not deployed yet: the ledger gives it an address when its `init` runs"
        );
        host.tested
    }

    /// Runs `init` or a `call` as one transaction: a refusal rolls everything back.
    ///
    /// # Panics
    /// Where the ledger would trap.
    #[track_caller]
    pub fn call<R: Outcome>(&mut self, run: impl FnOnce(&mut Env) -> R) -> R {
        self.call_at(self.env.host.tested, run)
    }

    /// Runs a `call` of another contract as one transaction: whoever calls is an account.
    ///
    /// # Panics
    /// Where the ledger would trap, and if no such contract was deployed.
    #[track_caller]
    pub fn call_at<R: Outcome>(
        &mut self,
        contract: ContractId,
        run: impl FnOnce(&mut Env) -> R,
    ) -> R {
        self.transact(contract, None, run).0
    }

    /// Runs one transaction, and gives its outcome and the contract that a module's was about.
    #[track_caller]
    fn transact<R: Outcome>(
        &mut self,
        contract: ContractId,
        new_code: Option<NewCode>,
        run: impl FnOnce(&mut Env) -> R,
    ) -> (R, Option<ContractId>) {
        let before = self.env.host.begin(contract, new_code);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let outcome = run(&mut self.env);
            if let Ok(value) = outcome.settle() {
                Host::begin_new_code(&mut self.env);
                let host = &self.env.host;
                // What a module returns is judged by the ledger.
                if host.module.is_none() {
                    host.check_result(value.encoded_size());
                }
            }
            outcome
        }));
        let host = &mut self.env.host;
        *host.new_code.get_mut() = None;
        let about = host.take_over(contract);
        if host.module.is_none() && !matches!(&ran, Ok(outcome) if outcome.settle().is_ok()) {
            host.roll_back(before);
        }
        match ran {
            Ok(outcome) => (outcome, about),
            Err(end) => calls::go_on(end),
        }
    }

    /// Runs a `view` as a query does: nobody calls.
    ///
    /// # Panics
    /// Where the ledger would trap.
    #[track_caller]
    pub fn view<T>(&self, run: impl FnOnce(&Env) -> T) -> T {
        self.view_at(self.env.host.tested, run)
    }

    /// Runs a `view` of another contract.
    ///
    /// # Panics
    /// Where the ledger would trap, and if no such contract was deployed.
    #[track_caller]
    pub fn view_at<T>(&self, contract: ContractId, run: impl FnOnce(&Env) -> T) -> T {
        self.env.host.begin_query(contract);
        match catch_unwind(AssertUnwindSafe(|| run(&self.env))) {
            Ok(outcome) => outcome,
            Err(end) => calls::go_on(end),
        }
    }

    /// What the last [`call`](Self::call) burnt, which native code cannot tell.
    #[must_use]
    pub fn fuel_used(&self) -> Option<u64> {
        self.env.host.fuel_used
    }

    /// What the contract stores, by storage key.
    ///
    /// # Panics
    /// On a devnet, where nobody sees it.
    #[must_use]
    #[track_caller]
    pub fn storage(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        self.storage_at(self.env.host.tested)
    }

    /// What another contract stores.
    ///
    /// # Panics
    /// On a devnet, where nobody sees it.
    #[must_use]
    #[track_caller]
    pub fn storage_at(&self, contract: ContractId) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        self.must_not_be_on_a_devnet("nobody sees on a devnet what a contract stores");
        self.env.host.storage.get(&contract).unwrap_or(&NOTHING)
    }

    /// All events so far, in order, of all contracts.
    #[must_use]
    pub fn events(&self) -> &[Emitted] {
        &self.env.host.events
    }

    /// All events of one kind so far that the contract under test has emitted.
    ///
    /// # Panics
    /// If one was emitted under that topic with other fields.
    #[must_use]
    pub fn events_of<E: Event>(&self) -> Vec<E> {
        self.events_at(self.env.host.tested)
    }

    /// The same of another contract.
    ///
    /// # Panics
    /// If one was emitted under that topic with other fields.
    #[must_use]
    pub fn events_at<E: Event>(&self, contract: ContractId) -> Vec<E> {
        let emitted = self.events().iter();
        let of_kind = emitted.filter(|event| event.contract == contract && event.topic == E::TOPIC);
        of_kind
            .map(|event| E::decode_all(&mut &event.data[..]).expect("the topic is the type's"))
            .collect()
    }

    /// Everything logged so far.
    ///
    /// # Panics
    /// On a devnet, where nobody sees it.
    #[must_use]
    #[track_caller]
    pub fn logs(&self) -> Vec<String> {
        self.must_not_be_on_a_devnet("nobody sees on a devnet what a contract logs");
        self.env.host.logs.borrow().clone()
    }
}

/// Real validators.
#[derive(Debug)]
pub enum Devnet {}

impl Devnet {
    /// Four validators, each a process of its own, with the module in that file: every call is a
    /// signed transaction that they order, execute and certify. They end with the test. Each
    /// account of [`TestEnv::account`] gets a key; where its bytes stand in arguments, the bytes of
    /// that key are sent, and the other way around in what comes back.
    ///
    /// The program `chancery` does that, and has the limits, as it is told for [`TestEnv::wasm`].
    ///
    /// # Panics
    /// If there is no such program, or no such module, or one that is older than its sources, as
    /// [`TestEnv::wasm`] does.
    #[must_use]
    #[track_caller]
    pub fn test(module: impl AsRef<Path>) -> TestEnv {
        TestEnv::of_module(Level::Devnet, module.as_ref())
    }
}
