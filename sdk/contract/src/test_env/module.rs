//! A compiled module in the place of the contract's native code: run by the program `chancery`, in
//! the executor of the validators or by validators. It is a process of its own, as an executor is
//! much more than a contract should have to build.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::{self, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use crate::AccountId;
use crate::test_host::{Answer, Moment, Request, Seen, read_frame, write_frame};

/// Where the program is, if it is not on the PATH.
const PROGRAM_VARIABLE: &str = "CHANCERY_BIN";

/// Every account that the tests of this process have named: on a devnet, each has a key.
static NAMED: Mutex<BTreeSet<AccountId>> = Mutex::new(BTreeSet::new());

pub(super) fn remember(account: AccountId) {
    let mut named = NAMED
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    named.insert(account);
}

fn named() -> BTreeSet<AccountId> {
    let named = NAMED.lock();
    named
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .clone()
}

fn missing(path: &Path) -> String {
    let path = path.display();
    format!("there is no module {path}: `chancery contract build` makes it")
}

/// The bytes of a module.
pub(super) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{} ({error})", missing(path)))
}

/// What runs the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The executor, on a state in memory.
    Executor,
    /// Validators.
    Devnet,
}

/// The process, and what it was told.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) level: Level,
    process: Child,
    /// `None` only while it ends.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    accounts: BTreeSet<AccountId>,
    /// The modules of other contracts, by their types.
    pub(super) others: BTreeMap<TypeId, Vec<u8>>,
    /// What the call that runs now came to.
    pub(super) seen: Option<Seen>,
}

impl Module {
    /// Starts the process, and says in which block the test begins, if that is not block 1.
    pub(super) fn start(level: Level, path: &Path) -> (Self, Option<Moment>) {
        assert!(path.is_file(), "{}", missing(path));
        let program = env::var_os(PROGRAM_VARIABLE).unwrap_or_else(|| "chancery".into());
        let mut command = Command::new(&program);
        command.args(["contract", "test-host"]).arg(path);
        if level == Level::Devnet {
            command.arg("--on-devnet");
        }
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.unwrap_or_else(|error| {
            panic!(
                "a module is run by the program `chancery`, and {} cannot be started: {error}; \
                 put it on the PATH, or say where it is by {PROGRAM_VARIABLE}",
                program.display()
            )
        });
        let answers = process.stdout.take().expect("is piped");
        let mut module = Self {
            level,
            requests: process.stdin.take(),
            answers: BufReader::new(answers),
            process,
            accounts: BTreeSet::new(),
            others: BTreeMap::new(),
            seen: None,
        };
        match module.answer() {
            Answer::Ready { moment } => (module, moment),
            other => panic!("the program `chancery` is of another version: it said {other:?}"),
        }
    }

    fn answer(&mut self) -> Answer {
        match read_frame(&mut self.answers) {
            Ok(Some(Answer::Failed(reason))) => panic!("{reason}"),
            Ok(Some(answer)) => answer,
            Ok(None) => panic!("the program `chancery` ended; what it said is above"),
            Err(error) => panic!("the program `chancery` is of another version: {error}"),
        }
    }

    fn exchange(&mut self, request: &Request) -> Answer {
        let sent = match &mut self.requests {
            Some(requests) => write_frame(requests, request),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        match sent {
            Ok(()) => self.answer(),
            Err(error) => panic!("the program `chancery` ended: {error}"),
        }
    }

    /// Hands a request over, after the accounts that it may speak of.
    fn ask(&mut self, request: &Request) -> Answer {
        let named = named();
        let accounts: Vec<AccountId> = named.difference(&self.accounts).copied().collect();
        if !accounts.is_empty() {
            self.exchange(&Request::Accounts { accounts });
            self.accounts = named;
        }
        self.exchange(request)
    }

    pub(super) fn admit(&mut self, account: AccountId, roles: i32) {
        self.ask(&Request::Admit { account, roles });
    }

    pub(super) fn set_upgraders(&mut self, accounts: Vec<AccountId>) {
        self.ask(&Request::Upgraders { accounts });
    }

    pub(super) fn run(&mut self, request: &Request) -> Seen {
        match self.ask(request) {
            Answer::Seen(seen) => seen,
            other => panic!("the program `chancery` is of another version: it said {other:?}"),
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // The end of its input is its own; it may have a network to stop.
        self.requests = None;
        let _ = self.process.wait();
    }
}
