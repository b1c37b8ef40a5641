//! TOML errors in one line that says where, what stands there and what is wrong with it.

/// How much of an offending line is shown.
const LINE_CHARS_MAX: usize = 120;

/// A TOML text that is not what was expected: syntax, an unknown key, a missing one, or a value of
/// the wrong type or form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{text}`: {message}")]
pub struct TomlError {
    /// Counted from 1.
    pub line: usize,
    /// The line as it stands there: key and value.
    pub text: String,
    /// What is wrong with it.
    pub message: String,
}

impl TomlError {
    /// What `error` says about `toml`. For texts without secrets only: it quotes the line.
    #[must_use]
    pub fn new(toml: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let before = toml.get(..start).unwrap_or(toml);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let text = toml.lines().nth(line - 1).unwrap_or_default().trim();
        Self {
            line,
            text: text.chars().take(LINE_CHARS_MAX).collect(),
            message: error.message().replace('\n', ", "),
        }
    }
}
