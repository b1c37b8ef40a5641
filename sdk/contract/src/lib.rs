//! What the author of a contract imports: `no_std` with `alloc` on Wasm, `std` elsewhere, so that
//! a contract is plain Rust that runs in a test as it runs on the ledger.
//!
//! - [`contract!`] makes, from one declaration, the exports, the events, the errors and the schema.
//! - [`Env`] is what a method can see and do; a `view` gets `&Env` and so cannot write.
//! - [`Item`] and [`Map`] are typed places in the contract's own storage.
//! - [`TestEnv`] (not on Wasm) runs methods in a test, with caller and time set by hand.
//! - [`abi`] is the boundary to the host, shared with the runtime.
//!
//! ```
//! use chancery_contract::{Env, Item};
//!
//! chancery_contract::contract! {
//!     /// Counts.
//!     contract Counter;
//!     methods {
//!         /// Adds to the count.
//!         call fn add(step: u64);
//!         view fn count() -> u64;
//!     }
//!     events { Added { step: u64 } }
//!     errors {
//!         /// Adding nothing is a mistake.
//!         NothingToAdd = 1,
//!     }
//! }
//!
//! const COUNT: Item<u64> = Item::new("count");
//!
//! impl Counter {
//!     fn add(env: &mut Env, step: u64) -> Result<(), Error> {
//!         if step == 0 {
//!             return Err(Error::NothingToAdd);
//!         }
//!         COUNT.set(env, &(Self::count(env) + step));
//!         env.emit(&Added { step });
//!         Ok(())
//!     }
//!
//!     fn count(env: &Env) -> u64 {
//!         COUNT.get(env).unwrap_or(0)
//!     }
//! }
//!
//! let mut test = chancery_contract::TestEnv::new();
//! assert_eq!(test.call(|env| Counter::add(env, 2)), Ok(()));
//! assert_eq!(test.call(|env| Counter::add(env, 0)), Err(Error::NothingToAdd));
//! assert_eq!(test.view(Counter::count), 2);
//! ```
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

pub mod abi;
mod dispatch;
mod env;
mod macros;
mod storage;
mod text;
mod types;

#[cfg(not(target_arch = "wasm32"))]
mod test_env;
#[cfg(not(target_arch = "wasm32"))]
use test_env as host;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
use wasm as host;

pub use dispatch::{ContractError, Never, Outcome};
pub use env::{CallError, Caller, Env, Event, Role};
pub use storage::{Item, Map};
#[cfg(not(target_arch = "wasm32"))]
pub use test_env::{Emitted, TestEnv};
pub use types::{AccountId, ContractId, Hash, Millis, SchemaType};

/// What the code that [`contract!`] writes needs; no contract names it.
#[doc(hidden)]
pub mod private {
    pub use parity_scale_codec as codec;

    #[cfg(target_arch = "wasm32")]
    pub use crate::dispatch::dispatch;
    pub use crate::text::Text;
}
