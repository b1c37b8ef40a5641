//! What a command says, and how it is laid out.

use std::io::Write as _;

use serde_json::Value;

use super::{CliError, Exit};

/// The widest that a row's name or a table's cell makes others stand apart; what is longer, which
/// is of the making of others, moves the rest of its line.
const PADDED_CHARS_MAX: usize = 200;

/// What a command has to say when it is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// For people.
    pub text: String,
    /// For programs: one object.
    pub json: Value,
    /// Said on stderr as well, and the exit code, where the outcome is not what was asked for.
    pub failure: Option<CliError>,
}

impl Report {
    /// Nothing more to say.
    #[must_use]
    pub fn silent() -> Self {
        Self::new("", Value::Null)
    }

    /// A success.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            failure: None,
        }
    }
}

/// Where reports and failures go: stdout and stderr, as text or as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Text, or JSON.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs listen.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Writes a report and says how the process ends.
    pub fn report(self, report: &Report) -> Exit {
        if self.json {
            if !report.json.is_null() {
                self.text(&json_text(&report.json));
            }
        } else if !report.text.is_empty() {
            self.text(&report.text);
        }
        match &report.failure {
            Some(failure) => self.failure(failure),
            None => Exit::Done,
        }
    }

    /// Writes a failure and says how the process ends.
    pub fn failure(self, error: &CliError) -> Exit {
        let text = if self.json {
            format!("{}\n", json_text(&error.to_json()))
        } else {
            error.to_text()
        };
        // Nobody may be listening; the exit code says it as well.
        let _ = std::io::stderr().write_all(text.as_bytes());
        error.exit
    }

    /// Writes text of one line or more to stdout, with one line end behind it. A reader who left is
    /// no failure; false says that one did.
    pub fn text(self, text: &str) -> bool {
        let mut stdout = std::io::stdout().lock();
        let written = writeln!(stdout, "{}", printable_lines(text.trim_end_matches('\n')));
        written.and_then(|()| stdout.flush()).is_ok()
    }

    /// Says what is going on, to people only.
    pub fn progress(self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr(), "{}", printable_lines(text));
        }
    }
}

/// Lines of a name and a value, the values aligned.
#[derive(Debug, Clone, Default)]
pub struct Rows(Vec<(String, String)>);

impl Rows {
    /// Adds a line; an empty name continues the one above.
    pub fn add(&mut self, name: impl Into<String>, value: impl ToString) -> &mut Self {
        self.0.push((name.into(), value.to_string()));
        self
    }

    /// The lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        let names = || self.0.iter().map(|(name, _)| printable(name));
        let width = width_of(names());
        let line = |(name, (_, value)): (String, &(String, String))| {
            let line = format!("{}  {}", padded(&name, width), printable(value));
            format!("{}\n", line.trim_end())
        };
        names().zip(&self.0).map(line).collect()
    }
}

/// Columns under headings; a column of numbers is aligned to the right.
#[derive(Debug, Clone)]
pub struct Table {
    headings: Vec<&'static str>,
    lines: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    #[must_use]
    pub fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            lines: Vec::new(),
        }
    }

    /// Adds a line; cells that are missing stay empty.
    pub fn add(&mut self, cells: Vec<String>) {
        self.lines.push(cells);
    }

    /// The whole table.
    #[must_use]
    pub fn to_text(&self) -> String {
        let cell = |line: &[String], column: usize| -> String {
            line.get(column)
                .map(|cell| printable(cell))
                .unwrap_or_default()
        };
        let columns: Vec<(usize, bool)> = self
            .headings
            .iter()
            .enumerate()
            .map(|(column, heading)| {
                let cells = || self.lines.iter().map(move |line| cell(line, column));
                let width = width_of(cells());
                let of_number = |c: char| c.is_ascii_digit() || "-,%".contains(c);
                let numbers = cells().any(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
                    && cells().all(|cell| cell.chars().all(of_number));
                (width.max(heading.chars().count()), numbers)
            })
            .collect();
        let headings: Vec<String> = self.headings.iter().map(|&text| text.to_owned()).collect();
        let mut text = String::new();
        for line in std::iter::once(&headings).chain(&self.lines) {
            let cells: Vec<String> = columns
                .iter()
                .enumerate()
                .map(|(column, (width, numbers))| {
                    let cell = cell(line, column);
                    if *numbers {
                        padded_left(&cell, *width)
                    } else {
                        padded(&cell, *width)
                    }
                })
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// How wide a column of these is.
pub(super) fn width_of(cells: impl Iterator<Item = impl AsRef<str>>) -> usize {
    let widths = cells.map(|cell| cell.as_ref().chars().count());
    widths.max().unwrap_or(0).min(PADDED_CHARS_MAX)
}

/// The text, with spaces up to that width behind it.
pub(super) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", spaces(text, width))
}

fn padded_left(text: &str, width: usize) -> String {
    format!("{}{text}", spaces(text, width))
}

fn spaces(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(text.chars().count()))
}

/// Whether a terminal obeys the character instead of showing it: it controls the terminal, ends a
/// line, or turns the direction in which others are written.
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text from outside, on one line, with what steers a terminal shown instead of obeyed.
#[must_use]
pub(super) fn printable(text: &str) -> String {
    shown(text, |_| false)
}

/// The same of text with lines of our own.
#[must_use]
pub(super) fn printable_lines(text: &str) -> String {
    shown(text, |c| c == '\n' || c == '\t')
}

fn shown(text: &str, is_ours: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && !is_ours(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// JSON for a program, which a terminal may show: the same value, with what steers a terminal
/// escaped, of which JSON itself demands only a part.
#[must_use]
pub(super) fn json_text(json: &Value) -> String {
    let mut text = String::new();
    for c in json.to_string().chars() {
        if steers(c) {
            // It stands in a string: JSON has none of these anywhere else.
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// A number with a comma before each group of three digits.
#[must_use]
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned() {
        let mut rows = Rows::default();
        rows.add("id", "ab")
            .add("status", "applied")
            .add("", "more");
        assert_eq!(
            rows.to_text(),
            "id      ab\nstatus  applied\n        more\n"
        );
    }

    #[test]
    fn numbers_stand_right_and_words_left() {
        let mut table = Table::new(&["NAME", "HEIGHT", "WHY"]);
        table.add(vec!["validator-1".into(), "7".into()]);
        table.add(vec!["v2".into(), "-".into(), "silent".into()]);
        assert_eq!(
            table.to_text(),
            "NAME         HEIGHT  WHY\nvalidator-1       7\nv2                -  silent\n"
        );
    }

    #[test]
    fn a_terminal_is_not_steered() {
        assert_eq!(printable("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(printable("\u{9b}1mä\u{202e}ö"), "\\u{9b}1mä\\u{202e}ö");
        assert_eq!(printable_lines("a\r\n\tb\u{7}"), "a\\r\n\tb\\u{7}");
        let json = serde_json::json!({"a\n": "\u{7f}\u{9b}\u{202e}ä\u{1b}"});
        let text = json_text(&json);
        assert_eq!(text, r#"{"a\n":"\u007f\u009b\u202eä\u001b"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).expect("is JSON"), json);
    }

    #[test]
    fn long_names_and_cells_move_only_their_own_line() {
        let long = "a".repeat(100_000);
        let mut rows = Rows::default();
        rows.add(long.as_str(), "1").add("short", &long);
        let text = rows.to_text();
        let (first, second) = text.split_once('\n').expect("two lines");
        assert_eq!(first, format!("{long}  1"));
        assert_eq!(second.trim_end().len(), PADDED_CHARS_MAX + 2 + long.len());
        for cell in ["a", "1"] {
            let mut table = Table::new(&["X", "Y"]);
            table.add(vec![cell.repeat(100_000), "y".into()]);
            table.add(vec![cell.into(), "y".into()]);
            let text = table.to_text();
            let lengths: Vec<usize> = text.lines().map(str::len).collect();
            assert_eq!(
                lengths,
                [PADDED_CHARS_MAX + 3, 100_003, PADDED_CHARS_MAX + 3]
            );
        }
    }

    #[test]
    fn big_numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
