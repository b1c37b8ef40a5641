//! A compiled module in the place of the contract's native code: run by the program `chancery`, in
//! the executor of the validators or by validators. It is a process of its own, as an executor is
//! much more than a contract should have to build.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::{self, BufReader};
use std::path::{self, Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::SystemTime;

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
#[track_caller]
pub(super) fn read(path: &Path) -> Vec<u8> {
    must_be_new(path);
    match fs::read(path) {
        Ok(wasm) => wasm,
        Err(error) => panic!("{} ({error})", missing(path)),
    }
}

/// Ends the test if the module was built before its sources were changed.
#[track_caller]
fn must_be_new(module: &Path) {
    if let Some(source) = newer_source(module) {
        let (source, module) = (source.display(), module.display());
        panic!(
            "{source} is newer than the module {module}: run `chancery contract build` (and keep a \
             module that is meant to be old in another directory)"
        );
    }
}

/// The source that was changed last, if that was after the module was built. Which sources a module
/// has is known where `chancery contract build` has put it, and nowhere else.
fn newer_source(module: &Path) -> Option<PathBuf> {
    let module = path::absolute(module).ok()?;
    if !module.parent()?.ends_with("target/contracts") {
        return None;
    }
    let project = module.ancestors().nth(3)?;
    if !project.join("Cargo.toml").is_file() {
        return None;
    }
    let built = changed(&module)?;
    let sources = files_below(project.join("src"));
    let now = SystemTime::now();
    let changes = sources
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|file| Some((changed(&file)?, file)))
        // A time to come says nothing of what was there when the module was made.
        .filter(|(changed, _)| *changed <= now);
    let (last, source) = changes.max()?;
    (last > built).then_some(source)
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}

/// All files of a directory, but hidden ones.
fn files_below(directory: PathBuf) -> Vec<PathBuf> {
    let (mut files, mut directories) = (Vec::new(), vec![directory]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
    }
    files
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
    /// The newest block that validators have told of.
    newest: Option<Moment>,
}

impl Module {
    /// Starts the process, and says in which block the test begins, if that is not block 1.
    #[track_caller]
    pub(super) fn start(level: Level, path: &Path) -> (Self, Option<Moment>) {
        assert!(path.is_file(), "{}", missing(path));
        must_be_new(path);
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
            newest: None,
        };
        match module.answer() {
            Answer::Ready { moment } => (module, moment),
            other => of_another_version(&other),
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

    /// The newest block: validators tell, and one may be behind another that told before.
    pub(super) fn newest(&mut self, known: Moment) -> Moment {
        if self.level == Level::Executor {
            return known;
        }
        let told = match self.ask(&Request::Moment) {
            Answer::Ready { moment } => moment,
            other => of_another_version(&other),
        };
        let moments = [self.newest, told].into_iter().flatten();
        let newest = moments.fold(known, |newest, moment| {
            if moment.height > newest.height {
                moment
            } else {
                newest
            }
        });
        self.newest = Some(newest);
        newest
    }

    pub(super) fn run(&mut self, request: &Request) -> Seen {
        match self.ask(request) {
            Answer::Seen(seen) => seen,
            other => of_another_version(&other),
        }
    }
}

fn of_another_version(answer: &Answer) -> ! {
    panic!("the program `chancery` is of another version: it said {answer:?}")
}

impl Drop for Module {
    fn drop(&mut self) {
        // The end of its input is its own; it may have a network to stop.
        self.requests = None;
        let _ = self.process.wait();
    }
}
