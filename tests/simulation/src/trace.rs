//! What happened: always as one hash, so that two runs of a seed can be compared; on demand as a
//! table of replicas by time that a person can read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// See the module's page.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    columns: usize,
    rows: Option<Vec<Row>>,
}

#[derive(Debug)]
struct Row {
    at: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// In one column.
    Of(usize, String),
    /// To the whole world.
    World(String),
}

impl Trace {
    pub(crate) fn new(columns: usize, keep: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            columns,
            rows: keep.then(Vec::new),
        }
    }

    /// Of everything that was added.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Adds some words to the hash.
    pub(crate) fn add(&mut self, words: &[u64]) {
        for word in words {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
            self.hash ^= self.hash >> 29;
        }
    }

    /// Whether notes are kept: else there is no need to write them.
    pub(crate) fn is_kept(&self) -> bool {
        self.rows.is_some()
    }

    /// A note in one column.
    pub(crate) fn note(&mut self, at: u64, column: usize, what: impl FnOnce() -> String) {
        if let Some(rows) = &mut self.rows {
            let what = What::Of(column, what());
            rows.push(Row { at, what });
        }
    }

    /// A note over all columns.
    pub(crate) fn note_world(&mut self, at: u64, what: impl FnOnce() -> String) {
        if let Some(rows) = &mut self.rows {
            let what = What::World(what());
            rows.push(Row { at, what });
        }
    }

    /// The table; empty if notes were not kept.
    #[must_use]
    pub fn table(&self, heads: &[String]) -> String {
        const WIDTH: usize = 24;
        let Some(rows) = &self.rows else {
            return String::new();
        };
        let mut lines = Vec::new();
        let mut pending: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        let mut pending_at = 0;
        let flush = |at: u64, cells: &mut BTreeMap<usize, Vec<&str>>, lines: &mut Vec<String>| {
            while !cells.is_empty() {
                let mut line = format!("{at:>7} |");
                for column in 0..self.columns {
                    let cell = cells.get_mut(&column).map_or("", |cell| cell.remove(0));
                    let _infallible = write!(line, " {cell:<WIDTH$}|");
                }
                cells.retain(|_, cell| !cell.is_empty());
                lines.push(line);
            }
        };
        for Row { at, what } in rows {
            if *at != pending_at {
                flush(pending_at, &mut pending, &mut lines);
                pending_at = *at;
            }
            match what {
                What::Of(column, text) => pending.entry(*column).or_default().push(text),
                What::World(text) => {
                    flush(pending_at, &mut pending, &mut lines);
                    lines.push(format!("{at:>7} | *** {text}"));
                }
            }
        }
        flush(pending_at, &mut pending, &mut lines);
        let mut table = String::from("     ms |");
        for head in heads {
            let _infallible = write!(table, " {head:<WIDTH$}|");
        }
        table.push('\n');
        for line in &lines {
            table.push_str(line);
            table.push('\n');
        }
        table
    }
}

/// How often what happened in a seed, or in many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    /// Once more.
    pub fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// So many times more.
    pub fn add(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_insert(0) += times;
    }

    /// How often.
    #[must_use]
    pub fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Takes in another seed's.
    pub fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add(what, *times);
        }
    }

    /// In alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, times)| (*what, *times))
    }
}
