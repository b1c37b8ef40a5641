//! What can be typed, as clap knows it. The arguments of contract methods are not among it: see
//! `named_args`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};

use chancery_ledger::Role;
use chancery_schema::parse_duration;

const CALL_HELP: &str = "\
Arguments of the method come behind its name, in the words of the contract's own schema:
  --recipient did:key:z6Mk… --expires-at +48h
or by position, in the schema's order: --arg VALUE --arg VALUE; --arg NAME=VALUE always works.
Of init and migrate they come behind the module's file.
An option listed above that has the name of an argument is refused there, unless the argument is
given by --arg as well; before the method it is the option. --help and --version are arguments
there; -h shows this.
An account is a key's name or a DID, a hash is hexadecimal or @FILE (its SHA-256), a time is
RFC 3339, relative (+48h, +90s) or milliseconds since 1970, a duration 48h or milliseconds, a contract
its address.
What is returned is shown as `chancery tx show --help` says.";

const EVENTS_HELP: &str = "\
Only final events are shown: every validator shows the same ones, in the same order, and none is
taken back. The cursor at the head of each one says where to go on, at any validator:
  chancery events --follow --from 57.0.0
With --json each event is one object on a line of its own; its fields are named by the schema of the
version of the contract that announced it. Where that is not known, or does not fit, `fields` is null,
`fields_unknown` says why, and `data` has the bytes. An event is part of the receipt of its
transaction, so `chancery proof tx` proves it.";

const SHOW_HELP: &str = "\
Arguments, value, error and events are named by the schema of the version of the contract that ran. What
is not known, or does not fit, is shown in base64 with the reason, an error by its code. With --json it
is null, and the reason is beside it: `arguments_unknown` (bytes in `args`), `value_unknown` (bytes in
`value_base64`), `error_unknown` (`code` and `data`), `fields_unknown` of an event (bytes in `data`).
Nothing is known of the arguments of a deployment or an upgrade that was not applied, and of a version
of an event if 256 others announced something in the same transaction.";

const CHECK_HELP: &str = "\
Whose limits count: those of --genesis; those of the node at --api or CHANCERY_API, which is asked;
those of the devnet at --devnet or CHANCERY_DEVNET, which need not run; else those of a genesis
document that names no others. The module is deployed in memory as well: its `init` runs there, without
arguments, so what comes of that counts only where it takes none.";

const ACCESS_HELP: &str = "\
The contract's view `decide` is asked, on the newest state of one node. Everything but a permission
for that time is a denial: a contract without `decide`, one that refuses or traps, an answer that is
no decision. Asked about a moment gone by, it says what the state of now means for it.";

const ACCESS_LIST_HELP: &str = "\
UNTIL is when an entry ends at the latest: itself, or the first of those that it was passed on from,
as far as they could be read. With --json that is `holds_until_ms`; `until_ms` is its own end.";

const ENTRY_HELP: &str = "\
The proof is of the newest block, once that is final, and shows the contract's code as well. What is
printed is what the node says; `chancery verify` checks it.

What the SDK stores under which key: an Item NAME under these bytes; an entry of a Map PREFIX under
these bytes and SCALE of its key. In SCALE a number is little endian, an account or a hash is its 32 bytes, a string
is its length times four in one byte (up to 63 bytes) and its text; the parts of a tuple follow each
other: the entry of (\"4012345\", HASH) in `item/` is --map item/ 1c34303132333435HASH.";

const PROOF_ACCESS_HELP: &str = "\
For a contract that keeps its grants in the SDK's AccessIndex. The file has the contract's code, the
count and the entries as they were right after one block, the newest one, once that is final.
What it prints is what the node says; `chancery verify` checks it, and says whether the entries are
complete. One file has at most 1,022 entries; of a longer index several files show all entries, each
its part as of its own block: an entry shown by an earlier one may have been revoked since.";

const VERIFY_HELP: &str = "\
Nothing is asked of anybody. Exit code 0 means that what is shown follows from the file and the policy,
6 that the file is forged or damaged. A proof of entries of the state shows those that it has, and
nothing about others: where an access index is complete, it says so.";

/// The office that enrols grants of rights, and proves them.
#[derive(Debug, Parser)]
#[command(name = "chancery", version, propagate_version = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// Print one JSON object; errors as JSON on stderr
    #[arg(long, global = true, help_heading = "Global options")]
    pub(super) json: bool,
    /// The devnet to talk to, and whose keys to use [env: CHANCERY_DEVNET]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(super) devnet: Option<PathBuf>,
    /// The node to talk to, http://HOST:PORT; several by commas [env: CHANCERY_API]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        value_delimiter = ',',
        help_heading = "Global options"
    )]
    pub(super) api: Vec<String>,
    /// How long to wait for finality, like 30s or 2m
    #[arg(
        long,
        global = true,
        value_name = "TIME",
        default_value = "30s",
        value_parser = timeout,
        help_heading = "Global options"
    )]
    pub(super) timeout: Duration,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Validators on this machine, for development
    #[command(subcommand)]
    Devnet(crate::devnet::DevnetCommand),
    /// Run a validator, or make its home
    Node(NodeArgs),
    /// The document that founds a ledger
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// Named secret keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Accounts of the ledger
    #[command(subcommand)]
    Account(AccountCommand),
    /// Make, check, deploy and upgrade contracts
    #[command(subcommand)]
    Contract(ContractCommand),
    /// Whom a contract lets do what
    #[command(subcommand)]
    Access(AccessCommand),
    /// Call a contract's method by a transaction, and wait until it is final
    #[command(after_help = CALL_HELP)]
    Call(CallArgs),
    /// Ask a contract's view, as of now
    #[command(after_help = CALL_HELP)]
    Query(QueryArgs),
    /// Look up transactions
    #[command(subcommand)]
    Tx(TxCommand),
    /// Look up blocks
    #[command(subcommand)]
    Block(BlockCommand),
    /// Events of contracts, in the order of the ledger; with --follow, as they become final
    #[command(after_help = EVENTS_HELP)]
    Events(EventsArgs),
    /// Fetch proofs
    #[command(subcommand)]
    Proof(ProofCommand),
    /// Verify a proof, or evidence against a validator, offline
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// How each validator is
    Status(StatusArgs),
    /// Proofs that a validator contradicted itself, as the nodes keep them
    Evidence(EvidenceArgs),
    /// Measure a network: signed grants at a fixed rate; or the contracts alone
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct NodeArgs {
    #[command(subcommand)]
    pub(super) command: Option<NodeCommand>,
    /// The validator's home directory
    #[arg(long, value_name = "DIR", required = true)]
    pub(super) home: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Make a home: keys, configuration, and the public member card
    Init(NodeInitArgs),
}

#[derive(Debug, Args)]
pub(super) struct NodeInitArgs {
    /// The directory to make
    #[arg(long, value_name = "DIR")]
    pub(super) home: PathBuf,
    /// The member's name: a-z, 0-9, '.', '-', '_'
    #[arg(long)]
    pub(super) name: String,
    /// Where peers reach this validator (UDP)
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) address: String,
    /// Where the HTTP API listens
    #[arg(long, value_name = "IP:PORT")]
    pub(super) api: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum GenesisCommand {
    /// Put a document together from the members' cards, with the usual limits and prices of fuel
    New(GenesisNewArgs),
    /// Check a document and say what it founds
    Check(GenesisFile),
    /// Print a document's hash: the chain id
    Hash(GenesisFile),
    /// Print the policy that `verify` trusts: the validators and their quorum
    Policy(GenesisFile),
}

#[derive(Debug, Args)]
pub(super) struct GenesisNewArgs {
    /// A member's card; the order gives the validators their numbers
    #[arg(long = "member", value_name = "CARD", required = true, num_args = 1..)]
    pub(super) members: Vec<PathBuf>,
    /// Who may admit accounts: a key's name or a DID
    #[arg(long = "registrar", value_name = "ACCOUNT", required = true, num_args = 1..)]
    pub(super) registrars: Vec<String>,
    /// The ledger's name: a-z, 0-9, '.', '-', '_'
    #[arg(long, default_value = "chancery")]
    pub(super) name: String,
    /// The file to make; without it the document is printed
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct GenesisFile {
    /// The document
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key; with --devnet, admit its account as well
    New(KeysNewArgs),
    /// Show the account of a key
    Show(KeyName),
    /// List the keys
    List,
}

#[derive(Debug, Args)]
pub(super) struct KeysNewArgs {
    /// The key's name: a-z, 0-9, '.', '-', '_'
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// What the account may do beyond calling contracts, on a devnet [default: deployer]
    #[arg(long = "role", value_name = "ROLE")]
    pub(super) roles: Vec<Role>,
}

#[derive(Debug, Args)]
pub(super) struct KeyName {
    /// The key's name
    #[arg(value_name = "NAME")]
    pub(super) name: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Show an admitted account and its roles
    Show(AccountName),
    /// Admit an account, or replace its roles
    Admit(AdmitArgs),
}

#[derive(Debug, Args)]
pub(super) struct AccountName {
    /// A key's name or a DID
    #[arg(value_name = "ACCOUNT")]
    pub(super) account: String,
}

#[derive(Debug, Args)]
pub(super) struct AdmitArgs {
    /// A key's name or a DID
    #[arg(value_name = "ACCOUNT")]
    pub(super) account: String,
    /// What it may do beyond calling contracts; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    pub(super) roles: Vec<Role>,
    /// The key of a registrar
    #[arg(long, value_name = "NAME")]
    pub(super) from: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum ContractCommand {
    /// Make a project that compiles and passes its tests as it is, without a network
    New(NewArgs),
    /// Compile the project in this directory to a module, and check it
    #[command(after_help = CHECK_HELP)]
    Build(BuildArgs),
    /// Check whether a module may be deployed: the judgement of a deployment, without one
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Deploy a module and run its init
    #[command(after_help = CALL_HELP)]
    Deploy(DeployArgs),
    /// Show a deployed contract: its methods, its versions and since when, and who may upgrade it
    #[command(visible_alias = "show")]
    Info(ContractName),
    /// Put a new module in the place of a contract's, and run its migrate
    #[command(after_help = CALL_HELP)]
    Upgrade(UpgradeArgs),
    /// Agree to an upgrade that somebody else will ask for
    #[command(after_help = CALL_HELP)]
    ApproveUpgrade(ApproveUpgradeArgs),
    /// Run a module for the SDK's TestEnv, which speaks through stdin and stdout
    #[command(hide = true)]
    TestHost(TestHostArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The module
    #[arg(value_name = "FILE.wasm")]
    pub(super) file: PathBuf,
    /// The genesis document whose limits count
    #[arg(long, value_name = "FILE")]
    pub(super) genesis: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct TestHostArgs {
    /// The module
    #[arg(value_name = "FILE.wasm")]
    pub(super) file: PathBuf,
    /// Run it on four validators instead of their executor alone
    #[arg(long)]
    pub(super) on_devnet: bool,
    /// The genesis document whose limits and prices of fuel count [default: the usual ones]
    #[arg(long, value_name = "FILE", env = "CHANCERY_GENESIS")]
    pub(super) genesis: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The project's name: a-z, 0-9, '-', '_'
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// The directory to make [default: NAME]
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// The project's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
    /// The genesis document whose limits count
    #[arg(long, value_name = "FILE")]
    pub(super) genesis: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ContractName {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub(super) contract: String,
}

#[derive(Debug, Args)]
pub(super) struct DeployArgs {
    /// The module
    #[arg(value_name = "FILE.wasm")]
    pub(super) file: PathBuf,
    /// The key that signs
    #[arg(long, value_name = "NAME")]
    pub(super) from: String,
    /// An argument of init: by position, or NAME=VALUE
    #[arg(long = "init-arg", alias = "arg", value_name = "VALUE", allow_hyphen_values = true, action = ArgAction::Append)]
    pub(super) args: Vec<String>,
    #[command(flatten)]
    pub(super) upgraders: UpgraderArgs,
    /// The most fuel it may burn
    #[arg(long, value_name = "N")]
    pub(super) fuel: Option<u64>,
    /// Hand the module in even if the check here refuses it
    #[arg(long)]
    pub(super) unchecked: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum AccessCommand {
    /// Whether the contract permits it: exit code 0 if so, 8 if not
    #[command(after_help = ACCESS_HELP)]
    Check(AccessCheckArgs),
    /// All that the contract ever granted, in order
    #[command(after_help = ACCESS_LIST_HELP)]
    List(AccessListArgs),
}

#[derive(Debug, Args)]
pub(super) struct AccessCheckArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub(super) contract: String,
    /// Who wants to: a key's name or a DID
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) subject: String,
    /// What the subject wants to do, such as read
    #[arg(long, value_name = "ACTION")]
    pub(super) action: String,
    /// With what
    #[arg(long, value_name = "RESOURCE")]
    pub(super) resource: String,
    /// When: RFC 3339, relative (+48h) or milliseconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) at: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct AccessListArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub(super) contract: String,
    /// The entry to begin with
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) first: u64,
    /// How many entries to show
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(super) limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct UpgraderArgs {
    /// Who may upgrade the contract, for ever: a key's name or a DID; may be repeated [default: nobody]
    #[arg(long = "upgrade-by", value_name = "ACCOUNT")]
    pub(super) accounts: Vec<String>,
    /// How many of them it takes [default: the one]
    #[arg(long = "upgrade-quorum", value_name = "K")]
    pub(super) quorum: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub(super) contract: String,
    /// The new module
    #[arg(value_name = "FILE.wasm")]
    pub(super) file: PathBuf,
    /// The key that signs
    #[arg(long, value_name = "NAME")]
    pub(super) from: String,
    /// An argument of migrate: by position, or NAME=VALUE
    #[arg(long = "migrate-arg", alias = "arg", value_name = "VALUE", allow_hyphen_values = true, action = ArgAction::Append)]
    pub(super) args: Vec<String>,
    /// The most fuel it may burn
    #[arg(long, value_name = "N")]
    pub(super) fuel: Option<u64>,
    /// Hand the upgrade in even if the ledger would refuse it
    #[arg(long)]
    pub(super) unchecked: bool,
    /// Also by the code that runs already, or by a contract of another name
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct ApproveUpgradeArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub(super) contract: String,
    /// The new module
    #[arg(
        value_name = "FILE.wasm",
        required_unless_present = "withdraw",
        conflicts_with = "withdraw"
    )]
    pub(super) file: Option<PathBuf>,
    /// The key that signs
    #[arg(long, value_name = "NAME")]
    pub(super) from: String,
    /// An argument of migrate: by position, or NAME=VALUE
    #[arg(long = "migrate-arg", alias = "arg", value_name = "VALUE", allow_hyphen_values = true, action = ArgAction::Append)]
    pub(super) args: Vec<String>,
    /// Take back what was approved before
    #[arg(long)]
    pub(super) withdraw: bool,
}

#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub(super) contract: String,
    /// The method
    #[arg(value_name = "METHOD")]
    pub(super) method: String,
    /// The key that signs
    #[arg(long, value_name = "NAME")]
    pub(super) from: String,
    /// An argument: by position, or NAME=VALUE
    #[arg(long = "arg", value_name = "VALUE", allow_hyphen_values = true, action = ArgAction::Append)]
    pub(super) args: Vec<String>,
    /// The most fuel it may burn
    #[arg(long, value_name = "N")]
    pub(super) fuel: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub(super) contract: String,
    /// The view
    #[arg(value_name = "METHOD")]
    pub(super) method: String,
    /// An argument: by position, or NAME=VALUE
    #[arg(long = "arg", value_name = "VALUE", allow_hyphen_values = true, action = ArgAction::Append)]
    pub(super) args: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum TxCommand {
    /// Show a transaction and its receipt
    #[command(after_help = SHOW_HELP)]
    Show(TransactionName),
    /// List final transactions by account and contract
    List(TransactionsArgs),
}

#[derive(Debug, Args)]
pub(super) struct TransactionName {
    /// The transaction
    #[arg(value_name = "ID")]
    pub(super) id: String,
}

#[derive(Debug, Args)]
pub(super) struct TransactionsArgs {
    /// Those that this account signed: a key's name or a DID
    #[arg(long, value_name = "ACCOUNT", required_unless_present = "contract")]
    pub(super) account: Option<String>,
    /// Those that called or deployed this contract
    #[arg(long, value_name = "CONTRACT")]
    pub(super) contract: Option<String>,
    /// Where to begin: a cursor, or `latest` [default: the first block]
    #[arg(long, value_name = "CURSOR")]
    pub(super) from: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) limit: u16,
}

#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Announced by this contract
    #[arg(long, value_name = "CONTRACT")]
    pub(super) contract: Option<String>,
    /// With this name
    #[arg(long, value_name = "NAME")]
    pub(super) event: Option<String>,
    /// Of transactions that this account signed: a key's name or a DID
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) account: Option<String>,
    /// Where to begin: a cursor, or `latest` [default: the first block]
    #[arg(long, value_name = "CURSOR")]
    pub(super) from: Option<String>,
    /// Wait for more
    #[arg(long)]
    pub(super) follow: bool,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(super) enum BlockCommand {
    /// Show a block
    Show(BlockName),
}

#[derive(Debug, Args)]
pub(super) struct BlockName {
    /// Its height, or `latest`
    #[arg(value_name = "HEIGHT")]
    pub(super) height: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum ProofCommand {
    /// Fetch the proof of a final transaction and its receipt
    Tx(ProofTxArgs),
    /// Fetch the proof of what a contract stores under some keys, or that it stores nothing there
    #[command(after_help = ENTRY_HELP)]
    Entry(ProofEntryArgs),
    /// Fetch the proof of all that a contract ever granted
    #[command(after_help = PROOF_ACCESS_HELP)]
    Access(ProofAccessArgs),
}

#[derive(Debug, Args)]
pub(super) struct ProofTxArgs {
    /// The transaction
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// The file to make
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ProofEntryArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub(super) contract: String,
    /// A storage key, in hexadecimal; may be repeated
    #[arg(long = "key", value_name = "HEX", required_unless_present_any = ["items", "entries", "versions"])]
    pub(super) keys: Vec<String>,
    /// The key of an Item; may be repeated
    #[arg(long = "item", value_name = "NAME")]
    pub(super) items: Vec<String>,
    /// The key of an entry of a Map: its prefix, and SCALE of the entry's key; may be repeated
    #[arg(long = "map", num_args = 2, value_names = ["PREFIX", "HEX"], action = ArgAction::Append)]
    pub(super) entries: Vec<String>,
    /// A version of the contract: since when it was that, and the code that it ran; may be repeated
    #[arg(long = "code-of", value_name = "VERSION")]
    pub(super) versions: Vec<u32>,
    /// The file to make
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ProofAccessArgs {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub(super) contract: String,
    /// The entry to begin with
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) first: u64,
    /// The last entry [default: the newest]
    #[arg(long, value_name = "N")]
    pub(super) last: Option<u64>,
    /// The file to make
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The proof, or the evidence
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The policy: which validators are trusted, and how many of them it takes
    #[arg(long, value_name = "POLICY")]
    pub(super) trust: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Say why nothing happens, if nothing does, and what can be done
    #[arg(long)]
    pub(super) explain: bool,
}

#[derive(Debug, Args)]
pub(super) struct EvidenceArgs {
    /// Save every proof as a file in this directory, for `chancery verify`
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    pub(super) command: Option<BenchCommand>,
    /// Transactions handed in per second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) rate: u32,
    /// For how long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(super) seconds: u32,
    /// The module of the data-access contract, which is deployed for the occasion
    #[arg(
        long,
        value_name = "FILE.wasm",
        default_value = "target/contracts/data_access.wasm"
    )]
    pub(super) wasm: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Fuel and time of a call of each shipped contract, in the executor alone, without a network
    Contracts(BenchContractsArgs),
}

#[derive(Debug, Args)]
pub(super) struct BenchContractsArgs {
    /// The folder of their modules
    #[arg(long, value_name = "DIR", default_value = "target/contracts")]
    pub(super) contracts: PathBuf,
    /// How often each call is timed with the contract in memory; the median is shown
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) runs: u32,
}

/// `30s`, `2m`, `500ms`; a plain number is seconds.
fn timeout(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => parse_duration(text)
            .ok_or_else(|| "expected a time like 30s, 2m or 500ms".to_owned())?,
    };
    if duration.is_zero() || duration > Duration::from_secs(86_400) {
        return Err("expected more than nothing and at most a day".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_times() {
        for (text, expected) in [
            ("30s", Some(30_000)),
            ("2m", Some(120_000)),
            ("4", Some(4_000)),
            ("250ms", Some(250)),
            ("0", None),
            ("2days", None),
            ("-1s", None),
            ("soon", None),
        ] {
            let got = timeout(text).ok().map(|time| time.as_millis());
            assert_eq!(got, expected, "{text}");
        }
    }
}
