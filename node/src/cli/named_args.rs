//! The arguments of contract methods, taken out of the command line before clap reads it.
//!
//! Behind the method of `call` and `query`, and behind the file of `contract deploy` and its like, a
//! `--name` that the command itself does not know is an argument of the method: `--name value` or
//! `--name=value`. So are `--help` and `--version` there, whatever stands elsewhere; `-h` is the
//! command's everywhere.
//!
//! The command's own options stay its own. One that has the name of an argument could be meant
//! either way: behind the method it is refused, unless the argument is given by `--arg NAME=VALUE`
//! as well. Before the method it is an option.

use std::ffi::{OsStr, OsString};
use std::sync::LazyLock;

use chancery_schema::MethodKind;
use clap::{Command, CommandFactory as _};

use super::CliError;
use super::args::Cli;

/// `--name value`, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedArg {
    /// Without the dashes in front.
    pub(super) name: String,
    /// Absent where the next word is another option or nothing: a bare flag.
    pub(super) value: Option<String>,
}

/// An option behind the method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BehindMethod {
    /// For the method.
    Argument(NamedArg),
    /// The command's own, without the dashes in front; clap has it as well.
    Own(String),
}

/// The command line in two parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// For clap.
    pub(super) argv: Vec<OsString>,
    /// For the method, and what could be meant for it.
    pub(super) behind: Vec<BehindMethod>,
}

/// How many positions come before a method's arguments, for the commands that have such.
fn positions_before(path: &[&str]) -> Option<usize> {
    match path {
        ["call" | "query"] => Some(2),
        ["contract", "deploy"] => Some(1),
        ["contract", "upgrade" | "approve-upgrade"] => Some(2),
        _ => None,
    }
}

/// The commands that run methods of a kind.
fn commands_for(kind: MethodKind) -> &'static [&'static [&'static str]] {
    match kind {
        MethodKind::Init => &[&["contract", "deploy"]],
        MethodKind::Migrate => &[&["contract", "upgrade"], &["contract", "approve-upgrade"]],
        MethodKind::Call => &[&["call"]],
        MethodKind::View => &[&["query"], &["call"]],
    }
}

/// Whether a command that runs methods of that kind keeps `--name` for itself, so that an argument
/// of that name is reached by `--arg` alone.
pub(super) fn is_own_option(kind: MethodKind, name: &str) -> bool {
    static ROOT: LazyLock<Command> = LazyLock::new(|| {
        let mut root = Cli::command();
        root.build();
        root
    });
    commands_for(kind).iter().any(|path| {
        let command = path
            .iter()
            .try_fold(&*ROOT, |command, name| command.find_subcommand(name));
        command.is_some_and(|command| known_behind(command, name).is_some())
    })
}

/// What every command has that ends it at once: behind a method that would be nothing done, and
/// called a success.
const ENDING: &[&str] = &["help", "version"];

/// Whether `command` has the option `--name`, and whether that takes a value.
fn known(command: &Command, name: &str) -> Option<bool> {
    command
        .get_arguments()
        .find(|arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
        })
        .map(|arg| arg.get_action().takes_values())
}

/// The same behind a method.
fn known_behind(command: &Command, name: &str) -> Option<bool> {
    known(command, name).filter(|_| !ENDING.contains(&name))
}

/// Splits `argv`; `root` must have been built, so that global options are known everywhere.
pub(super) fn split(root: &Command, argv: Vec<OsString>) -> Result<Split, CliError> {
    let mut command = root;
    let mut path = Vec::new();
    let mut positions = 0;
    let mut split = Split {
        argv: Vec::new(),
        behind: Vec::new(),
    };
    let mut words = argv.into_iter().peekable();
    split.argv.extend(words.next());
    while let Some(word) = words.next() {
        if word == "--" {
            split.argv.push(word);
            split.argv.extend(words);
            break;
        }
        let option = word.to_str().and_then(|word| word.strip_prefix("--"));
        let Some(option) = option else {
            let sub = word.to_str().and_then(|name| command.find_subcommand(name));
            if let Some(sub) = sub.filter(|_| !word.as_encoded_bytes().starts_with(b"-")) {
                path.push(sub.get_name());
                command = sub;
            } else if !word.as_encoded_bytes().starts_with(b"-") {
                positions += 1;
            }
            split.argv.push(word);
            continue;
        };
        let (name, inline) = match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (option.to_owned(), None),
        };
        let behind_method = positions_before(&path).is_some_and(|before| positions >= before);
        let takes_value = if behind_method {
            known_behind(command, &name)
        } else {
            known(command, &name)
        };
        if behind_method && takes_value.is_some() {
            split.behind.push(BehindMethod::Own(name.clone()));
        }
        match takes_value {
            None if behind_method => {
                let value = match inline {
                    Some(value) => Some(value),
                    None => words.next_if(|next| is_value(next)).map(text).transpose()?,
                };
                let argument = NamedArg { name, value };
                split.behind.push(BehindMethod::Argument(argument));
            }
            Some(true) if inline.is_none() => {
                split.argv.push(word);
                split.argv.extend(words.next());
            }
            _ => split.argv.push(word),
        }
    }
    Ok(split)
}

/// Whether somebody wants to know what the method takes. A method that has an argument of that name
/// gets it.
pub(super) fn asks_for_help(behind: &[BehindMethod]) -> bool {
    let help = NamedArg {
        name: "help".to_owned(),
        value: None,
    };
    behind.contains(&BehindMethod::Argument(help))
}

/// Says of a failure before any contract was reached what that has to do with `--help`.
pub(super) fn help_unanswered(error: CliError) -> CliError {
    if !["usage", "no_network", "no_node", "key_missing"].contains(&error.code.as_str()) {
        return error;
    }
    // The method has no such argument: this comes from its contract.
    let more = "-h lists the command's own options";
    let hint = error.hint.clone().unwrap_or_default();
    if hint.contains(more) {
        return error;
    }
    let message = format!(
        "--help behind a method or a module's file asks what that takes, and is not answered: {}",
        error.message
    );
    error.message(message).hint(format!(
        "{hint}\n`chancery contract info CONTRACT` and `chancery contract check FILE` list all methods; {more}"
    ))
}

/// A word that can be a value: anything but an option. `-1h` and `-5` are values.
fn is_value(word: &OsStr) -> bool {
    !word.as_encoded_bytes().starts_with(b"--")
}

fn text(word: OsString) -> Result<String, CliError> {
    word.into_string()
        .map_err(|word| CliError::usage(format!("{} is not UTF-8 text", word.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> Split {
        let mut root = Cli::command();
        root.build();
        let argv = line.split_whitespace().map(OsString::from).collect();
        split(&root, argv).expect("UTF-8")
    }

    fn check(line: &str, for_clap: &str, for_method: &[(&str, Option<&str>)]) {
        let split = parts(line);
        let rest: Vec<OsString> = for_clap.split_whitespace().map(OsString::from).collect();
        assert_eq!(split.argv, rest, "{line}");
        let named: Vec<(&str, Option<&str>)> = split
            .behind
            .iter()
            .filter_map(|option| match option {
                BehindMethod::Argument(arg) => Some((arg.name.as_str(), arg.value.as_deref())),
                BehindMethod::Own(_) => None,
            })
            .collect();
        assert_eq!(named, for_method, "{line}");
    }

    #[test]
    fn options_of_the_method_are_told_from_those_of_the_command() {
        check(
            "chancery call C grant_access --recipient did:x --from h --expires-at +48h --json",
            "chancery call C grant_access --from h --json",
            &[("recipient", Some("did:x")), ("expires-at", Some("+48h"))],
        );
        check(
            "chancery --devnet D query C can_read --who=x --timeout 4s",
            "chancery --devnet D query C can_read --timeout 4s",
            &[("who", Some("x"))],
        );
        check(
            "chancery contract deploy F --from h --owner o --init-arg @f",
            "chancery contract deploy F --from h --init-arg @f",
            &[("owner", Some("o"))],
        );
        check(
            "chancery contract upgrade C F --from h --owner o --migrate-arg @f",
            "chancery contract upgrade C F --from h --migrate-arg @f",
            &[("owner", Some("o"))],
        );
    }

    #[test]
    fn values_may_begin_with_one_dash_and_may_be_missing() {
        check(
            "chancery call C m --at -1h --flag --level -5 --last",
            "chancery call C m",
            &[
                ("at", Some("-1h")),
                ("flag", None),
                ("level", Some("-5")),
                ("last", None),
            ],
        );
    }

    #[test]
    fn elsewhere_and_earlier_unknown_options_stay_clap_s() {
        for line in [
            "chancery call --bogus C m",
            "chancery call C --bogus m",
            "chancery status --bogus 1",
            "chancery keys new hospital --bogus",
            "chancery call C m -- --who x",
        ] {
            check(line, line, &[]);
        }
    }

    #[test]
    fn names_of_the_command_reach_the_method_through_arg() {
        check(
            "chancery call C m --arg from=x --from h",
            "chancery call C m --arg from=x --from h",
            &[],
        );
    }

    #[test]
    fn help_and_version_behind_a_method_are_the_method_s() {
        check(
            "chancery call C m --version 3 --from h --help",
            "chancery call C m --from h",
            &[("version", Some("3")), ("help", None)],
        );
        check(
            "chancery contract deploy F --version=3",
            "chancery contract deploy F",
            &[("version", Some("3"))],
        );
        for line in [
            "chancery --version call C m",
            "chancery call --help C m",
            "chancery call C m -h",
            "chancery status --version",
        ] {
            check(line, line, &[]);
        }
    }

    #[test]
    fn whoever_asks_a_method_for_help_is_told_who_would_know() {
        for (line, asks) in [
            ("chancery call C m --from h --help", true),
            ("chancery call C m --help --from h", true),
            ("chancery contract deploy F --help", true),
            ("chancery call C m --help=me", false),
            ("chancery call C m --other", false),
            ("chancery call C m -h", false),
        ] {
            assert_eq!(asks_for_help(&parts(line).behind), asks, "{line}");
        }
        let error = CliError::usage("which network?").code("no_network");
        let told = help_unanswered(error.hint("give --devnet DIR"));
        assert_eq!(told.code, "no_network");
        assert!(told.message.ends_with("is not answered: which network?"));
        let hint = told.hint.clone().unwrap_or_default();
        assert!(hint.starts_with("give --devnet DIR\n"), "{hint}");
        for part in ["contract info", "contract check", "-h lists"] {
            assert!(hint.contains(part), "{hint}");
        }
        // It is said once; and a contract that answered is not spoken for.
        assert_eq!(help_unanswered(told.clone()), told);
        let refused = CliError::new(crate::cli::Exit::Reverted, "reverted", "no");
        assert_eq!(help_unanswered(refused.clone()), refused);
    }

    #[test]
    fn own_options_behind_a_method_are_told_from_those_before_it() {
        for (line, own) in [
            (
                "chancery --json call --timeout 4s C m --from h --api=x",
                &["from", "api"][..],
            ),
            ("chancery call --from h --fuel 3 C m --other 1", &[]),
            ("chancery query C m --from h", &[]),
            (
                "chancery contract upgrade C F --arg x --unchecked",
                &["arg", "unchecked"],
            ),
            ("chancery status --timeout 4s", &[]),
        ] {
            let behind = parts(line).behind.into_iter();
            let found = behind.filter_map(|option| match option {
                BehindMethod::Argument(_) => None,
                BehindMethod::Own(name) => Some(name),
            });
            assert_eq!(found.collect::<Vec<_>>(), own, "{line}");
        }
    }

    #[test]
    fn what_a_command_keeps_depends_on_the_kind_of_the_method() {
        for (kind, name, expected) in [
            (MethodKind::Call, "timeout", true),
            (MethodKind::Call, "from", true),
            (MethodKind::Call, "unchecked", false),
            (MethodKind::Call, "version", false),
            (MethodKind::View, "fuel", true),
            (MethodKind::Init, "upgrade-by", true),
            (MethodKind::Init, "arg", true),
            (MethodKind::Migrate, "withdraw", true),
            (MethodKind::Migrate, "upgrade-by", false),
        ] {
            assert_eq!(is_own_option(kind, name), expected, "{kind:?} {name}");
        }
    }
}
