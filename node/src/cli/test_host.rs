//! `contract test-host`: runs a module for the SDK's `TestEnv`, which starts this program and speaks
//! through its stdin and stdout (`chancery_contract::test_host`).

mod devnet;
mod executor;

use std::io;

use chancery_contract::abi;
use chancery_contract::test_host::{
    Answer, Ending, Event, Moment, Request, read_frame, write_frame,
};
use chancery_ledger::{AccountId, ChainLimits, ContractId, Role, TrapKind, Upgraders};
use serde_json::json;

use super::args::TestHostArgs;
use super::checks::{MODULE_BYTES_MAX, refused};
use super::{CliError, Report, files, genesis};
use devnet::OnDevnet;
use executor::InMemory;

/// What runs the module.
enum Host {
    Executor(Box<InMemory>),
    Devnet(Box<OnDevnet>),
}

/// Why a request cannot be done, for whoever wrote the test.
type Failure = String;

pub(super) fn test_host(args: &TestHostArgs) -> Result<Report, CliError> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let mut send = |answer: &Answer| write_frame(&mut stdout, answer).map_err(|e| broken(&e));
    let (mut host, limits) = match start(args) {
        Ok(started) => started,
        Err(error) => {
            send(&Answer::Failed(error.message.clone()))?;
            return Err(error);
        }
    };
    send(&Answer::Ready {
        moment: host.moment(),
    })?;
    while let Some(request) = read_frame(&mut stdin).map_err(|error| broken(&error))? {
        let answer = host.answer(request, &limits).unwrap_or_else(Answer::Failed);
        send(&answer)?;
    }
    Ok(Report::silent())
}

fn broken(error: &io::Error) -> CliError {
    CliError::failed("io", format!("the test cannot be talked to: {error}"))
}

/// What runs the module, and what the ledger allows that it stands for.
fn start(args: &TestHostArgs) -> Result<(Host, ChainLimits), CliError> {
    let wasm = files::read(&args.file, MODULE_BYTES_MAX)?;
    let limits = genesis::limits_of(args.genesis.as_deref())?;
    chancery_runtime::Runtime::check_module(&limits, &wasm).map_err(|error| refused(&error))?;
    let host = if args.on_devnet {
        Host::Devnet(Box::new(OnDevnet::start(wasm, args.genesis.clone())?))
    } else {
        let host = InMemory::new(limits.clone(), wasm);
        Host::Executor(Box::new(
            host.map_err(|error| CliError::failed("engine", error.to_string()))?,
        ))
    };
    Ok((host, limits))
}

impl Host {
    fn moment(&self) -> Option<Moment> {
        match self {
            Self::Executor(_) => None,
            Self::Devnet(host) => Some(host.moment()),
        }
    }

    fn answer(&mut self, request: Request, limits: &ChainLimits) -> Result<Answer, Failure> {
        Ok(match (self, request) {
            (Self::Executor(host), Request::Admit { account, roles }) => {
                host.admit(AccountId(account.0), roles_of(roles));
                Answer::Done
            }
            (Self::Devnet(host), Request::Admit { account, roles }) => {
                host.admit(AccountId(account.0), roles_of(roles))?;
                Answer::Done
            }
            (Self::Executor(_), Request::Moment) => Answer::Ready { moment: None },
            (Self::Devnet(host), Request::Moment) => Answer::Ready {
                moment: Some(host.newest()?),
            },
            (Self::Executor(_), Request::Accounts { .. }) => Answer::Done,
            (Self::Devnet(host), Request::Accounts { accounts }) => {
                host.name(accounts.iter().map(|account| AccountId(account.0)));
                Answer::Done
            }
            (
                host,
                Request::Transact {
                    contract,
                    sender,
                    method,
                    args,
                    moment,
                },
            ) => {
                let (sender, contract) = (AccountId(sender.0), contract.map(address));
                Answer::Seen(match host {
                    Self::Executor(host) => {
                        host.transact(sender, contract, &method, args, moment)?
                    }
                    Self::Devnet(host) => host.transact(sender, contract, &method, &args)?,
                })
            }
            (
                host,
                Request::Deploy {
                    sender,
                    code,
                    args,
                    moment,
                },
            ) => {
                let sender = AccountId(sender.0);
                checked(limits, &code)?;
                Answer::Seen(match host {
                    Self::Executor(host) => host.add(sender, code, args, moment)?,
                    Self::Devnet(host) => host.add(sender, code, &args)?,
                })
            }
            (Self::Executor(host), Request::Upgraders { accounts }) => {
                host.set_upgraders(accounts.iter().map(|account| AccountId(account.0)));
                Answer::Done
            }
            (Self::Devnet(host), Request::Upgraders { accounts }) => {
                host.set_upgraders(accounts.iter().map(|account| AccountId(account.0)));
                Answer::Done
            }
            (
                host,
                Request::Upgrade {
                    contract,
                    sender,
                    code,
                    args,
                    moment,
                },
            ) => {
                let (sender, contract) = (AccountId(sender.0), contract.map(address));
                checked(limits, &code)?;
                Answer::Seen(match host {
                    Self::Executor(host) => host.upgrade(sender, contract, code, args, moment)?,
                    Self::Devnet(host) => host.upgrade(sender, contract, code, &args)?,
                })
            }
            (
                host,
                Request::Query {
                    contract,
                    method,
                    args,
                    moment,
                },
            ) => {
                let contract = contract.map(address);
                Answer::Seen(match host {
                    Self::Executor(host) => host.query(contract, &method, &args, moment)?,
                    Self::Devnet(host) => host.query(contract, &method, &args)?,
                })
            }
        })
    }
}

/// That the ledger takes the module; it would say no more than that it does not.
fn checked(limits: &ChainLimits, wasm: &[u8]) -> Result<(), Failure> {
    let checked = chancery_runtime::Runtime::check_module(limits, wasm);
    checked.map_err(|error| in_words(refused(&error)))?;
    Ok(())
}

/// Any one of those accounts may upgrade what is deployed.
fn any_of(accounts: impl Iterator<Item = AccountId>) -> Upgraders {
    let accounts: Vec<AccountId> = accounts.collect();
    Upgraders::of(u32::from(!accounts.is_empty()), accounts)
}

fn address(contract: chancery_contract::ContractId) -> ContractId {
    ContractId(contract.0)
}

fn in_words(error: CliError) -> Failure {
    match error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message,
    }
}

/// What a contract is asked before there is one.
const NOT_DEPLOYED: &str = "the contract is not deployed yet: a `call` comes before the first `view`, of `init` if there is one";

/// An event as a test gets it.
fn emitted(contract: ContractId, topic: String, data: Vec<u8>) -> Event {
    let contract = chancery_contract::ContractId(contract.0);
    Event {
        contract,
        topic,
        data,
    }
}

fn roles_of(bits: i32) -> Vec<Role> {
    let roles = [
        (abi::ROLE_REGISTRAR, Role::Registrar),
        (abi::ROLE_DEPLOYER, Role::Deployer),
    ];
    let given = roles.into_iter().filter(|(bit, _)| bits & bit != 0);
    given.map(|(_, role)| role).collect()
}

fn trapped(kind: TrapKind) -> Ending {
    Ending::Trapped(match json!(kind) {
        serde_json::Value::String(name) => name,
        other => other.to_string(),
    })
}
