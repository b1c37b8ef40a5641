//! Shows that the oracle sees: each mutant of `tests/mutants.toml` is a rule of the protocol broken
//! on purpose, in a copy of the light crates outside the source tree, and the default core campaign
//! must find it. Nothing of a mutant is in any other build.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The crates that a core campaign is built from, and what lies beside them.
const COPIED: &[&str] = &["sdk/ledger", "consensus", "tests/simulation", "Cargo.lock"];
const MEMBERS: &str = "members = [\"sdk/ledger\", \"consensus\", \"tests/simulation\"]";
/// What is built again for each mutant is built in a hurry: time goes into signatures anyway.
const QUICKLY_BUILT: &str = "
[profile.release.package.chancery-consensus]
opt-level = 1

[profile.release.package.chancery-simulation]
opt-level = 1
";
/// A campaign that takes longer has found nothing.
const CAMPAIGN_MAX: Duration = Duration::from_secs(1_800);

/// One entry of `tests/mutants.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// What it is called.
    pub name: String,
    /// Which file it is in, from the repository's root.
    pub file: String,
    /// The text that is there, exactly once.
    pub old: String,
    /// What stands there instead.
    pub new: String,
    /// Which rule it breaks.
    pub why: String,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The oracle found it.
    Caught {
        /// At the first of these seeds.
        seed: u64,
        /// By which rule.
        rule: String,
    },
    /// No seed showed anything.
    Survived,
    /// It could not be tried.
    Failed(String),
}

/// Reads the entries.
///
/// # Errors
/// If the text is not what is expected; says where.
pub fn parse(text: &str) -> Result<Vec<Mutant>, String> {
    let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
    let entries = table.get("mutant").and_then(toml::Value::as_array);
    let entries = entries.ok_or("there is no [[mutant]]")?;
    entries.iter().map(parse_one).collect()
}

fn parse_one(entry: &toml::Value) -> Result<Mutant, String> {
    let text = |key: &str| {
        let value = entry.get(key).and_then(toml::Value::as_str);
        let value = value.ok_or_else(|| format!("a mutant lacks {key:?}: {entry}"));
        value.map(str::to_owned)
    };
    Ok(Mutant {
        name: text("name")?,
        file: text("file")?,
        old: text("old")?,
        new: text("new")?,
        why: text("why")?,
    })
}

/// The repository.
///
/// # Panics
/// Never: this crate is two folders below it.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2);
    root.expect("tests/simulation lies in the repository")
        .to_owned()
}

/// A place to build mutants in.
#[derive(Debug)]
pub struct Workshop {
    /// As the sources were when this began.
    sound: PathBuf,
    copy: PathBuf,
    build: PathBuf,
}

impl Workshop {
    /// A fresh copy of the light crates below `below`.
    ///
    /// # Errors
    /// If something cannot be read or written.
    pub fn set_up(source: &Path, below: &Path) -> io::Result<Self> {
        let workshop = Self {
            sound: below.join("sound"),
            copy: below.join("src"),
            build: below.join("build"),
        };
        for place in [&workshop.sound, &workshop.copy] {
            if place.exists() {
                fs::remove_dir_all(place)?;
            }
            for part in COPIED {
                copy_all(&source.join(part), &place.join(part))?;
            }
        }
        let manifest = fs::read_to_string(source.join("Cargo.toml"))?;
        let manifest = with_members(&manifest) + QUICKLY_BUILT;
        fs::write(workshop.copy.join("Cargo.toml"), manifest)?;
        Ok(workshop)
    }

    /// Puts the mutant into the copy.
    ///
    /// # Errors
    /// If its text does not stand in its file exactly once, or the file cannot be changed.
    pub fn apply(&self, mutant: &Mutant) -> Result<(), String> {
        let Mutant { file, old, new, .. } = mutant;
        let text = fs::read_to_string(self.sound.join(file)).map_err(|error| error.to_string())?;
        let times = text.matches(old.as_str()).count();
        if times != 1 {
            return Err(format!("its text stands {times} times in {file}"));
        }
        let mutated = text.replacen(old.as_str(), new, 1);
        fs::write(self.copy.join(file), mutated).map_err(|error| error.to_string())
    }

    /// Takes it out again.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn restore(&self, mutant: &Mutant) -> io::Result<()> {
        fs::copy(self.sound.join(&mutant.file), self.copy.join(&mutant.file))?;
        Ok(())
    }

    /// Builds the copy and runs a core campaign until something is found.
    #[must_use]
    pub fn try_seeds(&self, seeds: &Range<u64>) -> Verdict {
        match self.build_and_run(seeds) {
            Ok(verdict) => verdict,
            Err(error) => Verdict::Failed(error),
        }
    }

    fn build_and_run(&self, seeds: &Range<u64>) -> Result<Verdict, String> {
        let built = Command::new("cargo")
            .args(["build", "--release", "--offline", "--quiet"])
            .args(["-p", "chancery-simulation", "--bin", "simulate-core"])
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", &self.build)
            .env("CARGO_INCREMENTAL", "1")
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        if !built.status.success() {
            let text = String::from_utf8_lossy(&built.stderr);
            let errors: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with("error"))
                .collect();
            return Err(format!("does not build: {}", errors.join("; ")));
        }
        let Range { start, end } = seeds;
        let mut campaign = Command::new(self.build.join("release/simulate-core"))
            .args(["--first", "--lines", "1", "--seeds"])
            .arg(format!("{start}..{end}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("simulate-core: {error}"))?;
        let started = Instant::now();
        loop {
            let ended = campaign.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() {
                break;
            }
            if started.elapsed() > CAMPAIGN_MAX {
                let _killed = campaign.kill();
                return Err(format!("no end after {} s", CAMPAIGN_MAX.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let output = campaign
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        match first_violation(&text) {
            Some((seed, rule)) => Ok(Verdict::Caught { seed, rule }),
            None if output.status.success() => Ok(Verdict::Survived),
            None => Err(format!("the campaign ended with {}", output.status)),
        }
    }
}

/// The lowest seed that broke a rule, from a campaign's lines.
fn first_violation(text: &str) -> Option<(u64, String)> {
    let of_line = |line: &str| {
        let (seed, rest) = line.strip_prefix("seed ")?.split_once(':')?;
        let (_, how) = rest.split_once("VIOLATION ")?;
        let rule = how.split(' ').next()?;
        Some((seed.parse().ok()?, rule.to_owned()))
    };
    text.lines().filter_map(of_line).min()
}

fn with_members(manifest: &str) -> String {
    let is_end = |line: &&str| line.trim() == "]";
    let mut lines = manifest.lines();
    let mut text = String::new();
    while let Some(line) = lines.next() {
        if line.starts_with("members = [") {
            text.push_str(MEMBERS);
            if !line.contains(']') {
                let _rest = lines.by_ref().find(is_end);
            }
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_file() {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, to)?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_seed_with_a_violation_is_found() {
        let text = "seed 7: 12 ms, trace 00: VIOLATION Roots at 12 ms: x\n\
                    seed 3: 12 ms: ok\nseed 5: 1 ms: VIOLATION Order at 1 ms: y\nsummary";
        assert_eq!(first_violation(text), Some((5, "Order".to_owned())));
        assert_eq!(first_violation("seed 3: ok"), None);
    }

    #[test]
    fn members_are_replaced_wherever_their_list_ends() {
        let manifest = "[workspace]\nmembers = [\n  \"a\",\n]\n\n[x]\ny = [1]\n";
        let expected = format!("[workspace]\n{MEMBERS}\n\n[x]\ny = [1]\n");
        assert_eq!(with_members(manifest), expected);
    }

    #[test]
    fn every_mutant_is_where_its_entry_says() {
        let root = repository();
        let text = fs::read_to_string(root.join("tests/mutants.toml")).expect("it is there");
        let mutants = parse(&text).expect("well-formed");
        assert!(mutants.len() >= 15, "{} mutants", mutants.len());
        let mut names = std::collections::BTreeSet::new();
        for mutant in &mutants {
            assert!(names.insert(&mutant.name), "{} twice", mutant.name);
            let file = fs::read_to_string(root.join(&mutant.file)).expect("its file is there");
            let times = file.matches(mutant.old.as_str()).count();
            assert_eq!(times, 1, "{}: its text stands {times} times", mutant.name);
            assert_ne!(mutant.old, mutant.new, "{}", mutant.name);
        }
    }
}
