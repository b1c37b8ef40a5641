//! What the code that the attributes write needs; no contract names it.
//!
//! Functions instead of `<T as Trait>::CONSTANT`: then a type without the trait is one error, not
//! one for each trait that the trait requires.

pub use alloc::string::String;

pub use parity_scale_codec as codec;

use crate::{ContractError, Event, Never, Outcome, SchemaType, Text};

#[must_use]
pub const fn type_name<T: SchemaType>() -> Text {
    T::NAME
}

#[must_use]
pub const fn event_schema<E: Event>() -> Text {
    E::SCHEMA
}

#[must_use]
pub const fn returns_schema<R: Outcome>() -> Text {
    R::SCHEMA
}

#[must_use]
pub const fn errors_schema<E: ContractError>() -> Text {
    E::SCHEMA
}

/// That a type is another one.
#[diagnostic::on_unimplemented(
    message = "the contract refuses with `{Other}` already, and here with `{Self}`",
    note = "a contract has one `#[contract_error]` enum, as codes in receipts do not say from which they are: put all reasons into it"
)]
pub trait SameError<Other> {}

impl<E> SameError<E> for E {}

pub const fn same_error<E: SameError<Other>, Other>() {}

/// That a type is the one of the standard access interface.
#[diagnostic::on_unimplemented(
    message = "the standard access interface has `{Standard}` here, not `{Self}`",
    note = "the types of `decide`, `count` and `entry` are in `chancery_contract::access`"
)]
pub trait SameAs<Standard> {}

impl<T> SameAs<T> for T {}

pub const fn standard<T: SameAs<Standard>, Standard>() {}

/// That a method has no error.
#[diagnostic::on_unimplemented(
    message = "a method that may refuse with `{Self}` must say `Result`",
    note = "write `Result<…, {Self}>` in place of its other name: the word is how the schema finds the errors"
)]
pub trait NoError {}

impl NoError for Never {}

pub const fn no_error<E: NoError>() {}
