//! The command line of `simulate` and `simulate-core`.

use std::io::Write as _;
use std::num::NonZero;
use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;

use crate::campaign::{Kind, Outcome, RunSeed, Summary, run, run_seed};
use crate::schedule::Wanted;
use crate::twins;
use crate::{core_run, coverage};

/// Runs validators through a faulty world, seed by seed, and checks what must hold.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// One seed: prints what it drew and what it gave.
    #[arg(conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Many of them, the last not included.
    #[arg(long, value_name = "A..B", value_parser = parse_seeds, default_value = "0..1000")]
    seeds: Range<u64>,
    /// How many validators, instead of what each seed draws (1 to 7).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=13))]
    validators: Option<u16>,
    /// Virtual minutes of the faulty phase, instead of what each seed draws.
    #[arg(long, value_name = "M")]
    minutes: Option<u64>,
    /// Replicas with a fake executor and no store: a hundred times as many seeds in the same time.
    #[arg(long)]
    core: bool,
    /// Two processes with one key (core nodes): for n = 4 and the seeds 0 to 16383 every course of
    /// three partitions, whichever key it is; above that, drawn ones for n = 7.
    #[arg(long)]
    twins: bool,
    /// Prints the table of replicas by time, failed or not (with one seed).
    #[arg(long)]
    trace: bool,
    /// Lines of the table, from its end; 0 for all.
    #[arg(long, value_name = "LINES", default_value_t = 120)]
    lines: usize,
    /// Threads; the number of cores unless given.
    #[arg(long, value_name = "J")]
    jobs: Option<NonZero<usize>>,
    /// Stops at the first violation.
    #[arg(long)]
    first: bool,
    /// Fails if something that a campaign must reach was never reached.
    #[arg(long)]
    require_coverage: bool,
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| {
        text.trim()
            .parse::<u64>()
            .map_err(|error| error.to_string())
    };
    let (from, to) = text.split_once("..").ok_or("expected A..B")?;
    let (from, to) = (number(from)?, number(to)?);
    if from >= to {
        return Err("there is no seed in that range".to_owned());
    }
    Ok(from..to)
}

/// The whole program. `whole` runs a seed with whole nodes, where there are any; without, and with
/// `--core`, the nodes are replicas alone.
#[must_use]
pub fn main(whole: Option<Kind>) -> ExitCode {
    let arguments = Arguments::parse();
    let kind = if arguments.twins {
        Kind {
            run: twins::run,
            required: &[],
        }
    } else {
        whole.filter(|_| !arguments.core).unwrap_or(Kind {
            run: core_run::run,
            required: &[coverage::REQUIRED],
        })
    };
    let wanted = Wanted {
        validators: arguments.validators,
        chaos_ms: arguments.minutes.map(|minutes| minutes * 60_000),
    };
    // A panic is told with its seed; where it was is printed by the seed alone.
    if arguments.seed.is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    match arguments.seed {
        Some(seed) => single(kind.run, seed, wanted, &arguments),
        None => campaign(kind, wanted, &arguments),
    }
}

fn single(run_one: RunSeed, seed: u64, wanted: Wanted, arguments: &Arguments) -> ExitCode {
    let mut outcome = run_seed(run_one, seed, wanted, arguments.trace);
    say(&format!("seed {seed}: {}", outcome.schedule));
    if outcome.violation.is_some() && !arguments.trace && outcome.virtual_ms > 0 {
        outcome = run_seed(run_one, seed, wanted, true);
    }
    if !outcome.table.is_empty() {
        say(&last_lines(&outcome.table, arguments.lines));
    }
    for (what, times) in outcome.counters.iter() {
        say(&format!("  {times:>8} {what}"));
    }
    say(&line(&outcome));
    if outcome.violation.is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn campaign(kind: Kind, wanted: Wanted, arguments: &Arguments) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let jobs = arguments.jobs.map_or(cores, NonZero::get);
    let seeds = arguments.seeds.clone();
    let few = seeds.end - seeds.start <= 100;
    let report = |outcome: &Outcome| {
        if few || outcome.violation.is_some() {
            say(&line(outcome));
        }
    };
    let progress = |summary: &Summary| {
        let Summary {
            seeds, violations, ..
        } = summary;
        let rate = per_second(*seeds, summary.wall);
        eprintln!("{seeds} seeds, {rate} a second, {violations} violations");
    };
    let summary = run(
        kind.run,
        seeds,
        wanted,
        jobs,
        arguments.first,
        &report,
        &progress,
    );
    say(&describe(&summary));
    let mut code = ExitCode::SUCCESS;
    if let Some(failed) = summary.failed.first() {
        code = ExitCode::FAILURE;
        let again = run_seed(kind.run, failed.seed, wanted, true);
        say(&format!(
            "\nthe first, seed {}: {}",
            failed.seed, again.schedule
        ));
        say(&last_lines(&again.table, arguments.lines));
        say(&line(&again));
    }
    let missing = summary.not_covered(kind.required);
    if arguments.require_coverage && !missing.is_empty() {
        say(&format!("never reached: {}", missing.join(", ")));
        code = ExitCode::FAILURE;
    }
    code
}

fn line(outcome: &Outcome) -> String {
    let Outcome {
        seed,
        virtual_ms,
        counters,
        trace_hash,
        ..
    } = outcome;
    let verdict = match &outcome.violation {
        None => "ok".to_owned(),
        Some(violation) => format!("VIOLATION {violation}"),
    };
    let (blocks, views) = (counters.get("block"), counters.get("view change"));
    format!(
        "seed {seed}: {virtual_ms} ms, {blocks} blocks, {views} view changes, {} crashes, \
         trace {trace_hash:016x}: {verdict}",
        counters.get("crash"),
    )
}

fn describe(summary: &Summary) -> String {
    let Summary {
        seeds,
        virtual_ms,
        counters,
        violations,
        wall,
        ..
    } = summary;
    let hours = virtual_ms / 3_600_000;
    let tenths = virtual_ms / 360_000 % 10;
    let mut text = format!(
        "{seeds} seeds, {hours}.{tenths} virtual hours, {} blocks, {} view changes, {} crashes, \
         {violations} violations, {} ms ({} seeds a second)\n",
        counters.get("block"),
        counters.get("view change"),
        counters.get("crash"),
        wall.as_millis(),
        per_second(*seeds, *wall),
    );
    let (per_mille, seed) = summary.slowest_healing;
    text.push_str(&format!(
        "the slowest healed quorum used {}% of its time (seed {seed})\n",
        per_mille / 10
    ));
    for (what, times) in counters.iter() {
        text.push_str(&format!("  {times:>10} {what}\n"));
    }
    text
}

fn per_second(count: u64, wall: std::time::Duration) -> u64 {
    u64::try_from(u128::from(count) * 1000 / wall.as_millis().max(1)).unwrap_or(u64::MAX)
}

fn last_lines(table: &str, lines_max: usize) -> String {
    let lines: Vec<&str> = table.lines().collect();
    if lines_max == 0 || lines.len() <= lines_max {
        return table.to_owned();
    }
    let skipped = lines.len() - lines_max;
    let head = lines.first().copied().unwrap_or_default();
    let tail = lines.get(skipped..).unwrap_or_default().join("\n");
    format!("{head}\n    ... | {skipped} lines before (--lines 0 shows all)\n{tail}")
}

fn say(text: &str) {
    // Whoever reads may have gone: that is no failure.
    let _written = writeln!(std::io::stdout().lock(), "{text}");
}
