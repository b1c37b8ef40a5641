//! The command line: what `chancery` does for people and for scripts.
//!
//! A command returns a [`Report`] (text for people, one JSON object with `--json`) or a
//! [`CliError`]; `events` writes as it goes, one object a line. Exit codes: 0 done, 1 the network or
//! the machine failed, 2 wrong usage or refused by a node, 3 the contract refused, 4 ended by a trap,
//! 5 not final in time, 6 proof invalid, 8 access denied.

mod access;
mod accounts;
mod args;
mod bench;
mod blocks;
mod calls;
mod checks;
mod context;
mod contracts;
mod error;
mod events;
mod evidence;
mod explain;
mod files;
mod genesis;
mod keys;
mod memory;
mod named_args;
mod nodes;
mod output;
mod projects;
mod proofs;
mod render;
mod schemas;
mod status;
mod submit;
mod test_host;
mod upgrades;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use args::{Cli, Command};
use context::Context;
pub use error::{CliError, Exit};
pub use output::{Output, Report, Rows, Table};

// What the devnet shares with the commands.
pub(crate) use context::block_on;
pub(crate) use files::{create as create_file, read_text};
pub(crate) use genesis::{
    limits_of, policy_text, read as read_genesis, registrar as registrar_account,
};
pub(crate) use keys::REGISTRAR;
pub(crate) use nodes::{home_error, make as make_home};

/// Runs the program with this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os().collect()).into()
}

fn run(argv: Vec<OsString>) -> Exit {
    let json = argv
        .iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--json");
    let output = Output::new(json);
    let mut command = Cli::command();
    command.build();
    let split = match named_args::split(&command, argv) {
        Ok(split) => split,
        Err(error) => return output.failure(&error),
    };
    let asks_for_help = named_args::asks_for_help(&split.behind);
    let told = |error: CliError| match asks_for_help {
        true => named_args::help_unanswered(error),
        false => error,
    };
    let parsed = command
        .try_get_matches_from_mut(split.argv)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => {
            output.text(&error.render().to_string());
            return Exit::Done;
        }
        Err(error) => return output.failure(&told(CliError::from_clap(&error))),
    };
    let context = Context::new(cli.global, output, split.behind);
    match dispatch(&context, cli.command) {
        Ok(report) => output.report(&report),
        Err(error) => output.failure(&told(error)),
    }
}

fn dispatch(context: &Context, command: Command) -> Result<Report, CliError> {
    match command {
        Command::Devnet(command) => crate::devnet::command(context.output(), command),
        Command::Node(command) => nodes::node(command),
        Command::Genesis(command) => genesis::genesis(context, command),
        Command::Keys(command) => keys::keys(context, command),
        Command::Account(command) => accounts::account(context, command),
        Command::Contract(command) => contracts::contract(context, command),
        Command::Access(command) => access::access(context, command),
        Command::Call(command) => calls::call(context, &command),
        Command::Query(command) => calls::query(context, &command),
        Command::Tx(command) => blocks::transaction(context, &command),
        Command::Block(command) => blocks::block(context, &command),
        Command::Events(args) => events::events(context, &args),
        Command::Proof(command) => proofs::proof(context, command),
        Command::Verify(command) => proofs::verify(&command),
        Command::Status(args) => status::status(context, &args),
        Command::Evidence(args) => evidence::evidence(context, &args),
        Command::Bench(command) => bench::bench(context, &command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_of(line: &str) -> Exit {
        run(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_told_and_never_panics() {
        for line in [
            "chancery",
            "chancery nonsense",
            "chancery call",
            "chancery call --from",
            "chancery status --api nonsense",
            "chancery status --timeout soon --api http://127.0.0.1:1",
            "chancery keys new ../escape",
            "chancery keys show nobody-has-this-key",
            "chancery tx show 12 --api http://127.0.0.1:1",
            "chancery block show -1 --api http://127.0.0.1:1",
            "chancery verify /dev/null/x --trust /dev/null/y",
            "chancery genesis check /",
            "chancery genesis hash /dev/null/x --json",
            "chancery devnet start --dir /tmp --validators 0",
            "chancery devnet start --dir /tmp --validators 32",
            "chancery contract check /",
            "chancery contract new ../escape",
            "chancery contract new syn",
            "chancery contract new x --dir /dev/null/x",
            "chancery contract build --dir /nowhere",
            "chancery query abc can_read --who x --api http://127.0.0.1:1",
            "chancery query abc can_read --version 3 --api http://127.0.0.1:1",
            "chancery query abc can_read --help --api http://127.0.0.1:1",
            "chancery contract deploy /nowhere --version",
            "chancery access check abc --subject x --action read --resource y",
            "chancery access list abc --api http://127.0.0.1:1",
            "chancery proof access abc --out /nowhere/x --api http://127.0.0.1:1",
            "chancery proof entry abc --out /nowhere/x --api http://127.0.0.1:1",
            "chancery proof entry abc --map x --out /nowhere/x --api http://127.0.0.1:1",
            "chancery status",
        ] {
            assert_eq!(exit_of(line), Exit::Usage, "{line}");
        }
        let garbage = vec![
            OsString::from("chancery"),
            std::os::unix::ffi::OsStringExt::from_vec(vec![0xff, 0xfe]),
        ];
        assert_eq!(run(garbage), Exit::Usage);
    }

    #[test]
    fn help_and_version_are_no_failures() {
        for line in [
            "chancery --help",
            "chancery --version",
            "chancery call --help",
        ] {
            assert_eq!(exit_of(line), Exit::Done, "{line}");
        }
    }

    #[test]
    fn a_network_that_does_not_answer_is_a_failure() {
        assert_eq!(
            exit_of("chancery status --api http://127.0.0.1:1"),
            Exit::Failed
        );
    }
}
