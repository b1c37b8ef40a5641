//! Builds every mutant of `tests/mutants.toml` and runs the default core campaign on it until the
//! oracle finds it; prints a table. Fails if one survives, or if the unmutated code shows anything.

use std::ops::Range;
use std::process::ExitCode;

use chancery_simulation::mutants::{Mutant, Verdict, Workshop, parse, repository};
use clap::Parser;

/// Plants known bugs and checks that the simulator finds them.
#[derive(Debug, Parser)]
#[command(name = "mutants")]
struct Arguments {
    /// Only those whose name contains one of these.
    names: Vec<String>,
    /// How many seeds each has to be found in.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Does not run the seeds on the unmutated code first.
    #[arg(long)]
    skip_unmutated: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    let root = repository();
    let text = std::fs::read_to_string(root.join("tests/mutants.toml"));
    let mutants = parse(&text.map_err(|error| format!("tests/mutants.toml: {error}"))?)?;
    let workshop = Workshop::set_up(&root, &root.join("target/mutants"));
    let workshop = workshop.map_err(|error| format!("target/mutants: {error}"))?;
    let seeds = 0..arguments.seeds;
    let mut good = true;
    if !arguments.skip_unmutated {
        let verdict = workshop.try_seeds(&seeds);
        good &= verdict == Verdict::Survived;
        println!("{:<44} {}", "(unmutated)", describe(&verdict, &seeds));
    }
    let names = &arguments.names;
    let is_wanted =
        |mutant: &&Mutant| names.is_empty() || names.iter().any(|name| mutant.name.contains(name));
    for mutant in mutants.iter().filter(is_wanted) {
        let verdict = match workshop.apply(mutant) {
            Ok(()) => workshop.try_seeds(&seeds),
            Err(error) => Verdict::Failed(error),
        };
        workshop
            .restore(mutant)
            .map_err(|error| error.to_string())?;
        good &= matches!(verdict, Verdict::Caught { .. });
        println!("{:<44} {}", mutant.name, describe(&verdict, &seeds));
    }
    Ok(good)
}

fn describe(verdict: &Verdict, seeds: &Range<u64>) -> String {
    match verdict {
        Verdict::Caught { seed, rule } => format!("caught at seed {seed} by {rule}"),
        Verdict::Survived => format!("nothing in {} seeds", seeds.end - seeds.start),
        Verdict::Failed(why) => format!("not tried: {why}"),
    }
}
