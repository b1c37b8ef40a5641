//! Native contracts that call each other. The rules are those of the runtime
//! (`contracts/runtime/src/world.rs`); what ends the transaction there is a panic here.

use std::any::Any;
use std::panic::resume_unwind;

use super::host::{Frame, Host, METHOD_BYTES, at_most};
use super::native::Run;
use crate::test_host::Ending;
use crate::{CallError, Caller, ContractId, Env};

/// The ledger ends the transaction with that trap.
#[track_caller]
pub(super) fn trap(kind: &str, why: &str) -> ! {
    panic!("{}", words(kind, why))
}

pub(super) fn words(kind: &str, why: &str) -> String {
    format!("the ledger ends the transaction ({kind}): {why}")
}

/// How the ledger ended what a test began: told at the test's own line, by [`go_on`].
struct Ended(String);

/// Ends what the test began.
pub(super) fn end(words: String) -> ! {
    resume_unwind(Box::new(Ended(words)))
}

/// Goes on with what ended a call or a view of the test.
#[track_caller]
pub(super) fn go_on(end: Box<dyn Any + Send>) -> ! {
    match end.downcast::<Ended>() {
        Ok(ended) => panic!("{}", ended.0),
        Err(panic) => resume_unwind(panic),
    }
}

impl Host {
    /// Calls a method of another contract for the one that is running.
    pub(crate) fn call(
        env: &mut Env,
        contract: ContractId,
        method: &str,
        args: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        let run = match env.host.find(contract, method, args) {
            Run::Call(run) => run,
            Run::View(run) => return view(env, contract, run, args),
        };
        let before = env.host.savepoint();
        env.host.begin_nested(contract);
        let ending = run(env, args);
        env.host.end_nested();
        let ended = env.host.ended(ending);
        if ended.is_err() {
            env.host.roll_back(before);
        }
        ended
    }

    /// The same for a view: nothing that it calls can write either, as it has no `&mut Env`.
    pub(crate) fn view(
        env: &Env,
        contract: ContractId,
        method: &str,
        args: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        match env.host.find(contract, method, args) {
            Run::View(run) => view(env, contract, run, args),
            Run::Call(_) => trap(
                "write_in_view",
                &format!("`{method}` is a `#[call]` and was asked as a view"),
            ),
        }
    }

    /// What is to be run.
    fn find(&self, contract: ContractId, method: &str, args: &[u8]) -> Run {
        self.must_be_native();
        let limits = &self.limits;
        at_most(METHOD_BYTES, method.len(), limits.method_bytes_max);
        at_most("bytes of arguments", args.len(), limits.args_bytes_max);
        let running = self.frames.borrow();
        let depth_max = limits.call_depth_max;
        if running.len() >= depth_max {
            let why = format!("{depth_max} contracts run within each other already");
            trap("call_too_deep", &why);
        }
        if running.iter().any(|frame| frame.contract == contract) {
            let why = format!("{contract:?} is running already, and `{method}` of it was called");
            trap("reentrant", &why);
        }
        let deployed = self.deployed.borrow();
        let Some(native) = deployed.get(&contract).map(|known| known.native) else {
            let why = if contract == self.tested {
                "the code of the contract under test is not known before the test has called it \
                 once"
                    .to_owned()
            } else {
                format!("there is no {contract:?}: `TestEnv::deploy` puts contracts there")
            };
            trap("unknown_callee", &why);
        };
        native.find(method).unwrap_or_else(|| {
            let names: Vec<&str> = native.methods.iter().map(|known| known.name).collect();
            let (name, names) = (native.name, names.join(", "));
            let why = format!("`{name}` has no method `{method}` to call; it has {names}");
            trap("unknown_callee", &why)
        })
    }

    fn begin_nested(&self, contract: ContractId) {
        let mut running = self.frames.borrow_mut();
        let caller = running.last().expect("something calls").contract;
        running.push(Frame {
            contract,
            caller: Caller::Contract(caller),
            // Arguments and results are judged here, not by the method.
            entered: true,
        });
    }

    fn end_nested(&self) {
        self.frames.borrow_mut().pop();
    }

    fn ended(&self, ending: Ending) -> Result<Vec<u8>, CallError> {
        match ending {
            Ending::Returned(value) => {
                self.check_result(value.len());
                Ok(value)
            }
            Ending::Reverted(code) => Err(CallError::Reverted {
                code,
                data: Vec::new(),
            }),
            Ending::Trapped(kind) => trap(&kind, "the arguments are not those of the method"),
        }
    }
}

fn view(
    env: &Env,
    contract: ContractId,
    run: fn(&Env, &[u8]) -> Ending,
    args: &[u8],
) -> Result<Vec<u8>, CallError> {
    env.host.begin_nested(contract);
    let ending = run(env, args);
    env.host.end_nested();
    env.host.ended(ending)
}
