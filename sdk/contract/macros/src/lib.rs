//! The attributes of `chancery-contract`, which re-exports them and says how they fit together.
//!
//! What they make is plain: exports that call the developer's functions, and the schema. Whatever
//! they cannot make something of is an error at the developer's own words that says what to do.

mod access;
mod contract;
mod contract_error;
mod docs;
mod event;
mod interface;
mod method;
mod mistakes;
mod record;
mod schema;

use proc_macro::TokenStream;

/// Makes the functions of a plain `impl` the methods of a contract.
///
/// `#[init] pub fn init(env: &mut Env, …)` runs once, when the contract is deployed, and `#[migrate]
/// pub fn migrate(env: &mut Env, …)` once, when a contract that stands already gets this code: it
/// finds what the old code stored, and a refusal leaves the old code in place. A `#[call]` takes
/// `env: &mut Env` and may write; a `#[view]` takes `env: &Env` and only reads. What follows are the
/// arguments, owned values of types with a `SchemaType`. A method returns nothing, such a value, or a
/// `Result` of either with the contract's one `#[contract_error]` enum. Functions without a mark are
/// ordinary Rust.
///
/// The doc comments of the `impl` and of its methods go into the schema, up to their first heading.
/// The events that the methods emit are listed: `#[contract(events = [Granted, Revoked])]`. A
/// contract with the methods of `chancery_contract::access` says so, `#[contract(access)]`, and is
/// held to their shape.
///
/// Made are the exports, the module's section `chancery.schema`, and `CONTRACT::SCHEMA`, its text.
#[proc_macro_attribute]
pub fn contract(args: TokenStream, item: TokenStream) -> TokenStream {
    contract::expand(args.into(), item.into()).into()
}

/// Makes functions of the methods of another contract: `Registry(address).owner_of(env, 7)`.
///
/// A trait lists them as they stand in that contract, with `;` in the place of the body:
///
/// ```ignore
/// /// The registry that this contract asks.
/// #[contract_interface]
/// pub trait Registry {
///     #[view]
///     fn owner_of(env: &Env, plot: u64) -> Option<AccountId>;
///     #[call]
///     fn transfer(env: &mut Env, plot: u64, to: AccountId) -> Result<u64, RegistryError>;
/// }
/// ```
///
/// Made is a struct of that name, `pub struct Registry(pub ContractId)`, with a function for each
/// method: `Env::view` for a view, `Env::call` for a call, with the method's name and arguments. So a
/// view, which has no `&mut Env`, can only ask views. What comes back is a
/// `chancery_contract::Called<R>` of what the method returns: its value, or a `CallError` with the
/// reasons of its `#[contract_error]`.
///
/// Nothing compares the trait with the other contract. A method that is not there ends the
/// transaction, as do arguments that are not its own; a value of another type is
/// `CallError::OtherType`.
#[proc_macro_attribute]
pub fn contract_interface(args: TokenStream, item: TokenStream) -> TokenStream {
    interface::expand(args.into(), item.into()).into()
}

/// Makes a struct an event: its name is the topic, its fields are the data.
///
/// It gets `Debug`, `Clone`, `PartialEq` and `Eq` if it does not derive them itself.
#[proc_macro_attribute]
pub fn event(args: TokenStream, item: TokenStream) -> TokenStream {
    event::expand(args.into(), item.into()).into()
}

/// Makes an enum the reasons for which a contract refuses: `NotOwner = 1` has the code 1 in
/// receipts, and its doc comment stands in the schema.
///
/// It gets `Debug`, `Clone`, `Copy`, `PartialEq` and `Eq` if it does not derive them itself.
#[proc_macro_attribute]
pub fn contract_error(args: TokenStream, item: TokenStream) -> TokenStream {
    contract_error::expand(args.into(), item.into()).into()
}

/// Makes a struct with named fields, or an enum, a type of arguments, results, events and storage.
/// The variants of an enum have named fields or none; in the schema `BreakGlass` is `break_glass`.
///
/// Values are SCALE: fields in their order, and before those of a variant the byte that is its
/// number. That is its position, or `= N` behind each variant. What is stored already can only be
/// read while fields keep their order and variants their numbers.
///
/// It gets `Debug`, `Clone`, `PartialEq` and `Eq` if it does not derive them itself.
#[proc_macro_attribute]
pub fn contract_type(args: TokenStream, item: TokenStream) -> TokenStream {
    record::expand(args.into(), item.into()).into()
}
