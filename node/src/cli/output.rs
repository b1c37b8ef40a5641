//! What a command says, and how it is laid out.

use std::io::Write as _;

use serde_json::Value;

use super::{CliError, Exit};

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
                self.text(&report.json.to_string());
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
            format!("{}\n", error.to_json())
        } else {
            error.to_text()
        };
        // Nobody may be listening; the exit code says it as well.
        let _ = std::io::stderr().write_all(text.as_bytes());
        error.exit
    }

    /// Writes text to stdout, with one line end behind it. A reader who left is no failure; false
    /// says that one did.
    pub fn text(self, text: &str) -> bool {
        let mut stdout = std::io::stdout().lock();
        let written = writeln!(stdout, "{}", text.trim_end_matches('\n'));
        written.and_then(|()| stdout.flush()).is_ok()
    }

    /// Says what is going on, to people only.
    pub fn progress(self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr(), "{text}");
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
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or(0);
        let line = |(name, value): &(String, String)| {
            let line = format!("{name:width$}  {}", printable(value));
            format!("{}\n", line.trim_end())
        };
        self.0.iter().map(line).collect()
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
                let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
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
                        format!("{cell:>width$}")
                    } else {
                        format!("{cell:width$}")
                    }
                })
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Text from outside with control characters shown instead of obeyed: a contract's words must not
/// steer a terminal.
#[must_use]
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
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
