//! The native code of a contract, as the ledger of a test runs it. `#[contract]` writes it down.

use std::any::TypeId;

use crate::Env;
use crate::test_host::Ending;

/// A contract that a test can deploy beside the one that it tests, or put in the place of another:
/// [`#[contract]`](crate::contract) makes it one.
pub trait Contract {
    #[doc(hidden)]
    const NATIVE: Native;
}

/// The methods of a contract.
#[derive(Debug, Clone, Copy)]
pub struct Native {
    /// The contract's type.
    pub id: TypeId,
    pub name: &'static str,
    /// What runs at a deployment, if it has that.
    pub init: Option<RunCall>,
    /// What runs at an upgrade, if it has that.
    pub migrate: Option<RunCall>,
    /// What others can call.
    pub methods: &'static [NativeMethod],
    /// The topics of the events that it lists.
    pub events: &'static [fn() -> &'static str],
}

/// A method, by its name.
#[derive(Debug, Clone, Copy)]
pub struct NativeMethod {
    pub name: &'static str,
    pub run: Run,
}

/// Runs a method that may write with the SCALE of its arguments.
pub type RunCall = fn(&mut Env, &[u8]) -> Ending;

/// Runs a method with the SCALE of its arguments.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    Call(RunCall),
    View(fn(&Env, &[u8]) -> Ending),
}

impl Native {
    /// Ends the test if an event is emitted that the schema of the contract does not have.
    pub(super) fn must_list(&self, topic: &str) {
        assert!(
            self.events.iter().any(|listed| listed() == topic),
            "`{}` emits the event `{topic}` and does not list it, so nobody could read it: write \
             `#[contract(events = [{topic}])]`, beside those that stand there",
            self.name
        );
    }

    /// What others can call by that name.
    pub(super) fn find(&self, method: &str) -> Option<Run> {
        let found = self.methods.iter().find(|known| known.name == method);
        found.map(|known| known.run)
    }
}
