//! Many seeds, on several threads, and what they showed together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::oracle::{Rule, Violation};
use crate::schedule::Wanted;
use crate::trace::Counters;

/// What one seed gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Which.
    pub seed: u64,
    /// What it drew, for a person.
    pub schedule: String,
    /// How long it lasted, in virtual ms.
    pub virtual_ms: u64,
    /// How much of the time was used that a healed quorum has, in thousandths.
    pub healing_per_mille: u64,
    /// What happened.
    pub counters: Counters,
    /// The rule broken, if one was.
    pub violation: Option<Violation>,
    /// Over everything that happened.
    pub trace_hash: u64,
    /// What happened, as a table, if it was to be kept.
    pub table: String,
}

/// Runs one seed; `true` keeps the table.
pub type RunSeed = fn(u64, Wanted, bool) -> Outcome;

/// A kind of seeds.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Runs one.
    pub run: RunSeed,
    /// What a campaign must reach to have shown anything: lists of counters that may not be zero.
    pub required: &'static [&'static [&'static str]],
}

/// One seed in this many is run twice, to see whether it takes the same course.
const TWICE_EVERY: u64 = 64;

/// Runs one seed; a process that panics is a violation, too.
#[must_use]
pub fn run_seed(run: RunSeed, seed: u64, wanted: Wanted, keep_table: bool) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| run(seed, wanted, keep_table)));
    let mut outcome = ran.unwrap_or_else(|panic| panicked(seed, wanted, panic.as_ref()));
    if outcome.violation.is_none() && seed.is_multiple_of(TWICE_EVERY) {
        let again = run(seed, wanted, false);
        outcome.counters.count("seed run twice");
        if again.trace_hash != outcome.trace_hash {
            outcome.violation = Some(Violation {
                rule: Rule::Determinism,
                at: outcome.virtual_ms,
                how: "the second run took another course".to_owned(),
            });
        }
    }
    outcome
}

fn panicked(seed: u64, wanted: Wanted, panic: &(dyn std::any::Any + Send)) -> Outcome {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Outcome {
        seed,
        schedule: crate::schedule::Schedule::draw(seed, wanted).to_string(),
        virtual_ms: 0,
        healing_per_mille: 0,
        counters: Counters::default(),
        violation: Some(Violation {
            rule: Rule::Panic,
            at: 0,
            how: text.to_owned(),
        }),
        trace_hash: 0,
        table: String::new(),
    }
}

/// What many seeds gave.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many were run.
    pub seeds: u64,
    /// Together, in virtual ms.
    pub virtual_ms: u64,
    /// Together.
    pub counters: Counters,
    /// The first few of those that broke a rule, and how many did.
    pub failed: Vec<Outcome>,
    /// How many did.
    pub violations: u64,
    /// The most of its time that a healed quorum used, in thousandths, and in which seed.
    pub slowest_healing: (u64, u64),
    /// How long it took.
    pub wall: Duration,
}

/// Runs the seeds `from..to` on `jobs` threads. Stops at the first violation if told so; `report`
/// is called for each outcome, `progress` now and then.
pub fn run(
    run: RunSeed,
    seeds: std::ops::Range<u64>,
    wanted: Wanted,
    jobs: usize,
    stop_at_first: bool,
    report: &(dyn Fn(&Outcome) + Sync),
    progress: &(dyn Fn(&Summary) + Sync),
) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let summary = Mutex::new((Summary::default(), Instant::now()));
    let started = Instant::now();
    let lock = || summary.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let outcome = run_seed(run, seed, wanted, false);
                    report(&outcome);
                    if outcome.violation.is_some() && stop_at_first {
                        stop.store(true, Ordering::Relaxed);
                    }
                    let mut held = lock();
                    let (summary, shown) = &mut *held;
                    summary.add(outcome);
                    if shown.elapsed() > Duration::from_secs(5) {
                        *shown = Instant::now();
                        summary.wall = started.elapsed();
                        progress(summary);
                    }
                }
            });
        }
    });
    let mut summary = std::mem::take(&mut lock().0);
    summary.wall = started.elapsed();
    summary
}

impl Summary {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.virtual_ms += outcome.virtual_ms;
        let healing = (outcome.healing_per_mille, outcome.seed);
        self.slowest_healing = self.slowest_healing.max(healing);
        self.counters.merge(&outcome.counters);
        if outcome.violation.is_some() {
            self.violations += 1;
            if self.failed.len() < 20 {
                self.failed.push(outcome);
                self.failed.sort_by_key(|failed| failed.seed);
            }
        }
    }
}
