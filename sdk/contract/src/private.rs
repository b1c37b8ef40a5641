//! What the code that the attributes write needs; no contract names it.
//!
//! Functions instead of `<T as Trait>::CONSTANT`: then a type without the trait is one error, not
//! one for each trait that the trait requires.

pub use alloc::string::String;

pub use parity_scale_codec as codec;

use crate::{ContractError, Env, Event, Never, Outcome, SchemaType, Text};

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

/// That a method's first argument is the one that methods get.
#[diagnostic::on_unimplemented(
    message = "a method gets `chancery_contract::Env`, not `{Self}`",
    note = "write `use chancery_contract::Env;` in the place of the other one"
)]
pub trait IsEnv {}

impl IsEnv for Env {}

pub const fn is_env<E: IsEnv>() {}

#[cfg(not(target_arch = "wasm32"))]
pub use native::{
    AnyArg, AnyArgs, AnyListed, AnyReturn, Arg, Args, EncodedArg, Entered, EventListed, Listed,
    Native, NativeMethod, OutcomeReturn, Return, Run, RunCall, SomeArgs, enter, env, env_mut,
    judged,
};

/// How a method is run where its code is native: by the compiled module, if a test has that in its
/// place, by a test, and by other contracts.
///
/// Methods of a type that lacks a trait must compile here, because the missing trait is told
/// elsewhere, once. So each step has two forms; the second is found only where the first is not,
/// as it takes one more reference.
#[cfg(not(target_arch = "wasm32"))]
mod native {
    use core::any::Any;
    use core::marker::PhantomData;

    use parity_scale_codec::{DecodeAll, Encode};

    pub use crate::test_env::{Entered, Native, NativeMethod, Run, RunCall};
    use crate::test_host::Ending;
    use crate::{ContractError as _, Env, Event, Outcome};

    /// Begins a method.
    pub fn enter<E: Any>(
        env: &E,
        native: Native,
        method: &str,
        args: impl FnOnce(&mut Vec<u8>),
    ) -> Entered {
        match (env as &dyn Any).downcast_ref::<Env>() {
            Some(env) => env.host.enter(native, method, args),
            None => refused(),
        }
    }

    /// What a view returned that a test called, if the ledger allows that.
    pub fn judged<E: Any, R>(env: &E, outcome: R, end: impl FnOnce(&R) -> Ending) -> R {
        if let (Some(env), Ending::Returned(value)) =
            ((env as &dyn Any).downcast_ref::<Env>(), end(&outcome))
        {
            env.host.check_result(value.len());
        }
        outcome
    }

    /// The `Env`, for a method that calls it that.
    #[must_use]
    pub fn env<E: Any>(env: &Env) -> &E {
        match (env as &dyn Any).downcast_ref() {
            Some(env) => env,
            None => refused(),
        }
    }

    /// The same for one that may write.
    #[must_use]
    pub fn env_mut<E: Any>(env: &mut Env) -> &mut E {
        match (env as &mut dyn Any).downcast_mut() {
            Some(env) => env,
            None => refused(),
        }
    }

    fn refused() -> ! {
        unreachable!("the checks refuse such a contract")
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
            refused()
        }
    }

    impl<T> AnyArg for &Arg<'_, T> {}

    /// The types of all arguments.
    #[derive(Debug)]
    pub struct Args<A>(PhantomData<fn() -> A>);

    impl<A> Args<A> {
        pub const TYPES: Self = Self(PhantomData);
    }

    pub trait SomeArgs<A> {
        /// The arguments; how the call ends if they are others.
        fn of(&self, args: &[u8]) -> Result<A, Ending>;
    }

    impl<A: DecodeAll> SomeArgs<A> for Args<A> {
        fn of(&self, mut args: &[u8]) -> Result<A, Ending> {
            A::decode_all(&mut args).map_err(|_| Ending::Trapped("bad_arguments".to_owned()))
        }
    }

    pub trait AnyArgs<A> {
        fn of(&self, _args: &[u8]) -> Result<A, Ending> {
            refused()
        }
    }

    impl<A> AnyArgs<A> for &Args<A> {}

    /// The type of an event that the contract lists.
    #[derive(Debug)]
    pub struct Listed<E>(PhantomData<fn() -> E>);

    impl<E> Listed<E> {
        pub const TYPE: Self = Self(PhantomData);
    }

    pub trait EventListed {
        fn topic(&self) -> &'static str;
    }

    impl<E: Event> EventListed for Listed<E> {
        fn topic(&self) -> &'static str {
            E::TOPIC
        }
    }

    pub trait AnyListed {
        fn topic(&self) -> &'static str {
            refused()
        }
    }

    impl<E> AnyListed for &Listed<E> {}

    /// The type that the method returns.
    #[derive(Debug)]
    pub struct Return<R>(PhantomData<fn() -> R>);

    impl<R> Return<R> {
        pub const TYPE: Self = Self(PhantomData);
    }

    pub trait OutcomeReturn<R> {
        /// What the method of a module returned.
        fn of(&self, ending: Ending) -> R;
        /// How the method of native code ended.
        fn end(&self, outcome: &R) -> Ending;
    }

    impl<R: Outcome> OutcomeReturn<R> for Return<R> {
        fn of(&self, ending: Ending) -> R {
            R::of_module(ending)
        }

        fn end(&self, outcome: &R) -> Ending {
            match outcome.settle() {
                Ok(value) => Ending::Returned(value.encode()),
                Err(refusal) => Ending::Reverted(refusal.code()),
            }
        }
    }

    pub trait AnyReturn<R> {
        fn of(&self, _ending: Ending) -> R {
            refused()
        }

        fn end(&self, _outcome: &R) -> Ending {
            refused()
        }
    }

    impl<R> AnyReturn<R> for &Return<R> {}
}
