//! The native code of a contract, as other contracts of a test call it. `#[contract]` writes it down.

use crate::Env;
use crate::test_host::Ending;

/// A contract that a test can deploy beside the one that it tests:
/// [`#[contract]`](crate::contract) makes it one.
pub trait Contract {
    /// What its `init` returns; nothing if it has none.
    type Init;
    #[doc(hidden)]
    const NATIVE: Native;
}

/// What others can call.
#[derive(Debug, Clone, Copy)]
pub struct Native {
    pub name: &'static str,
    pub methods: &'static [NativeMethod],
}

/// A method, by its name.
#[derive(Debug, Clone, Copy)]
pub struct NativeMethod {
    pub name: &'static str,
    pub run: Run,
}

/// Runs a method with the SCALE of its arguments.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    Call(fn(&mut Env, &[u8]) -> Ending),
    View(fn(&Env, &[u8]) -> Ending),
}
