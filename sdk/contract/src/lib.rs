//! What the author of a contract imports: `no_std` with `alloc` on Wasm, `std` elsewhere, so that
//! a contract is plain Rust that runs in a test as it runs on the ledger.
//!
//! - [`contract`] makes the functions of a plain `impl` the methods of a contract, and its schema.
//! - [`Env`] is what a method can see and do; a `view` gets `&Env` and so cannot write.
//! - [`Item`] and [`Map`] are typed places in the contract's own storage.
//! - [`event`], [`contract_error`] and [`contract_type`] make types that the schema describes.
//! - [`contract_interface`] makes functions of the methods of another contract, with their types.
//! - [`access`] is the standard way to be asked who may do what, with an index of all grants.
//! - [`TestEnv`] (not on Wasm) runs methods in a test, with caller and time set by hand; the same
//!   test can run the compiled module, in the validators' executor or (by [`Devnet`]) on validators.
//! - [`abi`] is the boundary to the host, shared with the runtime. Exports may be written by hand.
//!
//! ```
//! use chancery_contract::{Env, Item, TestEnv, contract, contract_error, event};
//!
//! pub struct Counter;
//!
//! /// The sum of all steps.
//! const COUNT: Item<u64> = Item::new("count");
//!
//! /// The count went up.
//! #[event]
//! pub struct Added {
//!     pub step: u64,
//! }
//!
//! #[contract_error]
//! pub enum Error {
//!     /// Adding nothing is a mistake.
//!     NothingToAdd = 1,
//! }
//!
//! /// Counts.
//! #[contract(events = [Added])]
//! impl Counter {
//!     /// Adds to the count.
//!     #[call]
//!     pub fn add(env: &mut Env, step: u64) -> Result<(), Error> {
//!         if step == 0 {
//!             return Err(Error::NothingToAdd);
//!         }
//!         COUNT.set(env, &(Self::count(env) + step));
//!         env.emit(&Added { step });
//!         Ok(())
//!     }
//!
//!     /// How much it is.
//!     #[view]
//!     pub fn count(env: &Env) -> u64 {
//!         COUNT.get(env).unwrap_or(0)
//!     }
//! }
//!
//! let mut test = TestEnv::new();
//! assert_eq!(test.call(|env| Counter::add(env, 2)), Ok(()));
//! assert_eq!(test.call(|env| Counter::add(env, 0)), Err(Error::NothingToAdd));
//! assert_eq!(test.view(Counter::count), 2);
//! assert_eq!(test.events_of::<Added>(), [Added { step: 2 }]);
//! ```
//!
//! A contract calls another one through an interface, which lists that one's methods as they stand
//! there, and its test deploys both:
//!
//! ```
//! # use chancery_contract::{AccountId, ContractId, Env, Item, Map, TestEnv};
//! # use chancery_contract::{contract, contract_error, contract_interface};
//! # const OWNERS: Map<u64, AccountId> = Map::new("owner/");
//! # #[contract_error]
//! # pub enum RegistryError { NotOwner = 1 }
//! # pub struct LandRegistry;
//! # #[contract]
//! # impl LandRegistry {
//! #     #[call]
//! #     pub fn register(env: &mut Env, plot: u64) {
//! #         if let Some(owner) = env.caller().account() { OWNERS.set(env, &plot, &owner); }
//! #     }
//! #     #[view]
//! #     pub fn owner_of(env: &Env, plot: u64) -> Option<AccountId> { OWNERS.get(env, &plot) }
//! # }
//! const REGISTRY: Item<ContractId> = Item::new("registry");
//!
//! /// The land registry, as far as it is asked here.
//! #[contract_interface]
//! pub trait Registry {
//!     #[view]
//!     fn owner_of(env: &Env, plot: u64) -> Option<AccountId>;
//!     #[call]
//!     fn transfer(env: &mut Env, plot: u64, to: AccountId) -> Result<(), RegistryError>;
//! }
//!
//! pub struct Lease;
//!
//! #[contract]
//! impl Lease {
//!     #[init]
//!     pub fn init(env: &mut Env, registry: ContractId) {
//!         REGISTRY.set(env, &registry);
//!     }
//!
//!     /// Whether somebody may let the plot.
//!     #[view]
//!     pub fn may_let(env: &Env, plot: u64, account: AccountId) -> bool {
//!         let registry = REGISTRY.get(env).expect("init stores it");
//!         Registry(registry).owner_of(env, plot) == Ok(Some(account))
//!     }
//! }
//!
//! let mut test = TestEnv::new();
//! let (owner, other) = (TestEnv::account("owner"), TestEnv::account("other"));
//! let registry = test.deploy::<LandRegistry, _>(|_| ());
//! test.call(|env| Lease::init(env, registry));
//! test.as_account(owner);
//! test.call_at(registry, |env| LandRegistry::register(env, 7));
//! assert!(test.view(|env| Lease::may_let(env, 7, owner)));
//! assert!(!test.view(|env| Lease::may_let(env, 7, other)));
//! ```
//!
//! A contract gets other code by an upgrade, if it was said at its deployment who may do that. The new
//! code's `#[migrate]` finds what the old code stored, which is read by the old types:
//!
//! ```
//! # use chancery_contract::{Env, Item, TestEnv, contract, contract_error};
//! pub struct First;
//!
//! const WHOLE: Item<u32> = Item::new("price");
//!
//! #[contract]
//! impl First {
//!     #[init]
//!     pub fn init(env: &mut Env, price: u32) {
//!         WHOLE.set(env, &price);
//!     }
//! }
//!
//! pub struct Second;
//!
//! /// What was in whole euros is in cents from now on.
//! const CENTS: Item<u64> = Item::new("price");
//!
//! #[contract_error]
//! pub enum Error {
//!     /// It has no price.
//!     NoPrice = 1,
//! }
//!
//! #[contract]
//! impl Second {
//!     #[migrate]
//!     pub fn migrate(env: &mut Env, fee: u64) -> Result<(), Error> {
//!         let price = u64::from(WHOLE.get(env).ok_or(Error::NoPrice)?);
//!         CENTS.set(env, &(price * 100 + fee));
//!         Ok(())
//!     }
//!
//!     #[view]
//!     pub fn price(env: &Env) -> Option<u64> {
//!         CENTS.get(env)
//!     }
//! }
//!
//! let mut test = TestEnv::new();
//! let owner = TestEnv::account("owner");
//! test.as_account(owner).upgradable_by(&[owner]);
//! test.call(|env| First::init(env, 7));
//! assert_eq!(test.upgrade::<Second, _>(|env| Second::migrate(env, 5)), Ok(()));
//! assert_eq!((test.version(), test.view(Second::price)), (2, Some(705)));
//! ```
//!
//! On Wasm, `#[contract]` writes for each method what could be written by hand as well, and for the
//! schema a custom section (a module may also have none):
//!
//! ```ignore
//! #[unsafe(export_name = "call.add")]
//! extern "C" fn add() {
//!     chancery_contract::dispatch(|env, (step,): (u64,)| Counter::add(env, step))
//! }
//! ```
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;
// The attributes name this crate from outside.
extern crate self as chancery_contract;

pub mod abi;
pub mod access;
mod dispatch;
mod env;
#[doc(hidden)]
pub mod private;
mod storage;
mod text;
mod types;

#[cfg(not(target_arch = "wasm32"))]
mod test_env;
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
pub mod test_host;
#[cfg(not(target_arch = "wasm32"))]
use test_env as host;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
use wasm as host;

pub use chancery_contract_macros::{
    contract, contract_error, contract_interface, contract_type, event,
};
#[cfg(target_arch = "wasm32")]
pub use dispatch::dispatch;
pub use dispatch::{Called, ContractError, Never, Outcome};
pub use env::{CallError, Caller, Env, Event, Role};
pub use storage::{Item, Map, Stored, StoredBy};
#[cfg(not(target_arch = "wasm32"))]
pub use test_env::{Contract, Devnet, Emitted, TestEnv, TestLimits};
pub use text::Text;
pub use types::{AccountId, ContractId, Duration, Hash, Millis, SchemaType};
