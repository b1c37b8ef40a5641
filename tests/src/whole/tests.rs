use chancery_simulation::campaign::run_seed;
use chancery_simulation::schedule::Wanted;

use super::run;

#[test]
fn the_first_seeds_break_no_rule() {
    for seed in 0..12 {
        let outcome = run_seed(run, seed, Wanted::default(), false);
        let violation = outcome.violation.map(|violation| violation.to_string());
        assert_eq!(violation, None, "seed {seed}: {}", outcome.schedule);
    }
}

#[test]
fn a_seed_takes_one_course() {
    for seed in [3, 1_000_003] {
        let [first, second] = [false, true].map(|keep| run(seed, Wanted::default(), keep));
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed}");
        assert_eq!(first.counters, second.counters, "seed {seed}");
        assert!(!second.table.is_empty());
    }
}
