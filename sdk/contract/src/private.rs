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

#[cfg(not(target_arch = "wasm32"))]
pub use module::{AnyArg, AnyReturn, Arg, EncodedArg, OutcomeReturn, Return, in_module};

/// How a method is run by the compiled module, if a test has that in the place of native code.
///
/// Methods of a type that lacks a trait must compile here, because the missing trait is told
/// elsewhere, once. So each step has two forms; the second is found only where the first is not,
/// as it takes one more reference.
#[cfg(not(target_arch = "wasm32"))]
mod module {
    use core::any::Any;
    use core::marker::PhantomData;

    use parity_scale_codec::Encode;

    use crate::test_host::Ending;
    use crate::{Env, Outcome};

    /// How the method ends in the module; `None` where native code is tested.
    pub fn in_module<E: Any>(
        env: &E,
        method: &str,
        args: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Ending> {
        let env = (env as &dyn Any).downcast_ref::<Env>()?;
        env.host.in_module(method, args)
    }

    /// An argument.
    #[derive(Debug)]
    pub struct Arg<'a, T>(pub &'a T);

    pub trait EncodedArg {
        fn add_to(&self, args: &mut Vec<u8>);
    }

    impl<T: Encode> EncodedArg for Arg<'_, T> {
        fn add_to(&self, args: &mut Vec<u8>) {
            self.0.encode_to(args);
        }
    }

    pub trait AnyArg {
        fn add_to(&self, _args: &mut Vec<u8>) {
            unreachable!("the checks refuse such a contract");
        }
    }

    impl<T> AnyArg for &Arg<'_, T> {}

    /// The type that the method returns.
    #[derive(Debug)]
    pub struct Return<R>(PhantomData<fn() -> R>);

    impl<R> Return<R> {
        pub const TYPE: Self = Self(PhantomData);
    }

    pub trait OutcomeReturn<R> {
        fn of(&self, ending: Ending) -> R;
    }

    impl<R: Outcome> OutcomeReturn<R> for Return<R> {
        fn of(&self, ending: Ending) -> R {
            R::of_module(ending)
        }
    }

    pub trait AnyReturn<R> {
        fn of(&self, _ending: Ending) -> R {
            unreachable!("the checks refuse such a contract");
        }
    }

    impl<R> AnyReturn<R> for &Return<R> {}
}
