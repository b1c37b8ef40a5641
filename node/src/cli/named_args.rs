//! The arguments of contract methods, taken out of the command line before clap reads it.
//!
//! Behind the method of `call` and `query`, and behind the file of `contract deploy`, a `--name`
//! that the command itself does not know is an argument of the method: `--name value` or
//! `--name=value`. `--arg NAME=VALUE` reaches the names that the command knows.

use std::ffi::{OsStr, OsString};

use clap::Command;

use super::CliError;

/// `--name value`, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedArg {
    /// Without the dashes in front.
    pub(super) name: String,
    /// Absent where the next word is another option or nothing: a bare flag.
    pub(super) value: Option<String>,
}

/// The command line in two parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// For clap.
    pub(super) argv: Vec<OsString>,
    /// For the method.
    pub(super) named: Vec<NamedArg>,
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

/// Splits `argv`; `root` must have been built, so that global options are known everywhere.
pub(super) fn split(root: &Command, argv: Vec<OsString>) -> Result<Split, CliError> {
    let mut command = root;
    let mut path = Vec::new();
    let mut positions = 0;
    let mut split = Split {
        argv: Vec::new(),
        named: Vec::new(),
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
        match known(command, &name) {
            None if behind_method => {
                let value = match inline {
                    Some(value) => Some(value),
                    None => words.next_if(|next| is_value(next)).map(text).transpose()?,
                };
                split.named.push(NamedArg { name, value });
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
    use crate::cli::args::Cli;
    use clap::CommandFactory as _;

    fn check(line: &str, for_clap: &str, for_method: &[(&str, Option<&str>)]) {
        let mut root = Cli::command();
        root.build();
        let argv = line.split_whitespace().map(OsString::from).collect();
        let split = split(&root, argv).expect("UTF-8");
        let rest: Vec<OsString> = for_clap.split_whitespace().map(OsString::from).collect();
        assert_eq!(split.argv, rest, "{line}");
        let named: Vec<(&str, Option<&str>)> = split
            .named
            .iter()
            .map(|arg| (arg.name.as_str(), arg.value.as_deref()))
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
}
