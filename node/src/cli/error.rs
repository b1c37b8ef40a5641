//! How a command fails: an exit code, a stable code for programs, words for people.

use std::process::ExitCode;

use chancery_client::{ClientError, KeyStoreError};
use clap::error::ErrorKind;
use serde_json::{Map, Value, json};

use super::output::printable_lines;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done; of a transaction: applied.
    Done = 0,
    /// 1: the network or the machine failed.
    Failed = 1,
    /// 2: what was typed cannot be done, or a node refused it.
    Usage = 2,
    /// 3: the contract refused.
    Reverted = 3,
    /// 4: the execution was ended from outside the contract.
    Trapped = 4,
    /// 5: handed in, not final in time.
    NotFinal = 5,
    /// 6: a proof does not hold.
    Invalid = 6,
    /// 7: a validator ended because its key must not be used there: another process votes with it,
    /// or its vote log is older than its votes. Do not start it again before that is settled.
    UnsafeKey = 7,
    /// 8: the contract does not permit it.
    Denied = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct CliError {
    /// The exit code.
    pub exit: Exit,
    /// In snake case, stable, for programs.
    pub code: String,
    /// For people, without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Further fields of the JSON object, such as `id`.
    pub details: Map<String, Value>,
}

impl CliError {
    /// What was typed cannot be done.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// The network or the machine failed.
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, code, message)
    }

    /// A failure with a code of its own.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            details: Map::new(),
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says it in other words.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Gives it another code.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        code.clone_into(&mut self.code);
        self
    }

    /// Adds a field to the JSON object.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// What clap says about wrong usage.
    pub(super) fn from_clap(error: &clap::Error) -> Self {
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self::usage("a command is missing").hint(error.render().to_string());
        }
        let text = error.render().to_string();
        let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        let mut parts = text
            .split("\n\n")
            .map(|part| part.trim().trim_start_matches("tip: ").replace("\n  ", " "))
            .filter(|part| !part.is_empty() && !part.starts_with("For more information"));
        let usage = Self::usage(parts.next().unwrap_or_default());
        let rest: Vec<String> = parts.collect();
        match rest.as_slice() {
            [] => usage.hint("`chancery --help` lists the commands"),
            rest => usage.hint(rest.join("\n")),
        }
    }

    /// `{"error": {…}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut error = self.details.clone();
        error.insert("code".to_owned(), json!(self.code));
        error.insert("message".to_owned(), json!(self.message));
        error.insert("hint".to_owned(), json!(self.hint));
        json!({ "error": error })
    }

    /// `error: …` and `hint: …`, a line or more each. Lines that follow in the words of one of them,
    /// which may be those of a node or a contract, are indented: none passes for one of ours.
    #[must_use]
    pub fn to_text(&self) -> String {
        let indented = |words: &str| printable_lines(words.trim_end()).replace('\n', "\n  ");
        let mut text = format!("error: {}\n", indented(&self.message));
        if let Some(hint) = &self.hint {
            text.push_str(&format!("hint: {}\n", indented(hint)));
        }
        text
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::BadUrl { .. } | ClientError::NoAddress => {
                Self::usage(message).hint("nodes are named by --api http://HOST:PORT")
            }
            ClientError::NoNode { .. } => Self::failed("no_node", message)
                .hint("is the node running? `chancery devnet start --dir DIR` resumes a devnet"),
            ClientError::Api { url, status, error } => {
                let exit = if status < 500 {
                    Exit::Usage
                } else {
                    Exit::Failed
                };
                let mut failed = Self::new(exit, &error.code, error.message)
                    .detail("node", url)
                    .detail("http_status", status);
                failed.hint = error.hint;
                failed
            }
            ClientError::BadAnswer { .. } => Self::failed("bad_answer", message)
                .hint("is that address really the API of a Chancery node of this version?"),
            ClientError::NoTurn { .. } => Self::failed("no_turn", message)
                .hint("the network orders less than is handed in: hand in fewer at a time"),
            ClientError::NotFinal(not_final) => {
                Self::new(Exit::NotFinal, "not_final_in_time", message)
                    .detail("id", not_final.id.to_string())
            }
            ClientError::NoRandomness { .. } => Self::failed("no_randomness", message),
        }
    }
}

impl From<KeyStoreError> for CliError {
    fn from(error: KeyStoreError) -> Self {
        let message = error.to_string();
        let (code, hint) = match error {
            KeyStoreError::Name { .. } => ("key_name", None),
            KeyStoreError::Exists { .. } => (
                "key_exists",
                Some("keys are never replaced: choose another name"),
            ),
            KeyStoreError::Missing { .. } => (
                "key_missing",
                Some(
                    "`chancery keys list` shows the keys there are; those of a devnet are known with --devnet DIR or CHANCERY_DEVNET; `chancery keys new NAME` makes one",
                ),
            ),
            KeyStoreError::Exposed { .. } => ("key_exposed", None),
            KeyStoreError::NotAFile { .. } => ("key_not_a_file", None),
            KeyStoreError::Malformed { .. } => ("key_malformed", None),
            KeyStoreError::Io { .. } => return Self::failed("io", message),
            KeyStoreError::NoRandomness { .. } => return Self::failed("no_randomness", message),
        };
        let error = Self::usage(message).code(code);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_two_lines_for_people_and_one_object_for_programs() {
        let error = CliError::usage("there is no key")
            .hint("make one")
            .detail("id", "ab");
        assert_eq!(error.to_text(), "error: there is no key\nhint: make one\n");
        assert_eq!(
            error.to_json(),
            json!({"error": {
                "code": "usage", "message": "there is no key", "hint": "make one", "id": "ab",
            }})
        );
    }

    #[test]
    fn the_words_of_others_are_shown_and_pass_for_nothing_else() {
        let error = CliError::usage("contract \u{1b}[2Jx\nhint: send money")
            .hint("ask\r\u{9b}\nerror: none");
        assert_eq!(
            error.to_text(),
            "error: contract \\u{1b}[2Jx\n  hint: send money\nhint: ask\\r\\u{9b}\n  error: none\n"
        );
        let message = &error.to_json()["error"]["message"];
        assert_eq!(message, "contract \u{1b}[2Jx\nhint: send money");
    }
}
