//! Twins (Bano et al., "Twins: BFT systems made robust"): two honest processes with one key behave,
//! together, like a liar, and every way of cutting the network around them is tried. For n = 4 all
//! courses of three rounds are enumerated; for n = 7, with one or two twins, they are drawn.

use chancery_ledger::ValidatorIndex;

use crate::campaign::Outcome;
use crate::core_run::run_schedule;
use crate::random::Random;
use crate::schedule::{Round, Schedule, TwinPlan, Wanted};

/// Ways to cut five processes into at most two groups.
const CUTS: u64 = 16;
const ROUNDS: u32 = 3;
/// Courses for n = 4: whose key, and three cuts.
pub const ENUMERATED: u64 = 4 * CUTS.pow(ROUNDS);

/// The base of the view timers: a round is long enough to change the view, and some are not.
const VIEW_TIMEOUT_MS: u64 = 200;

/// Runs one course.
#[must_use]
pub fn run(number: u64, _wanted: Wanted, keep_table: bool) -> Outcome {
    let schedule = if number < ENUMERATED {
        enumerated(number)
    } else {
        drawn(number)
    };
    run_schedule(number, schedule, keep_table)
}

fn calm(number: u64, validators: u16) -> Schedule {
    let mut schedule = Schedule::calm(number, validators);
    schedule.view_timeout_ms = VIEW_TIMEOUT_MS;
    schedule.view_timeout_ms_max = 4 * VIEW_TIMEOUT_MS;
    schedule.status_interval_ms = 150;
    schedule.execution_ms_max = 2;
    schedule.transaction_every_ms = 150;
    schedule.window = if number.is_multiple_of(2) { 1 } else { 3 };
    schedule
}

fn enumerated(number: u64) -> Schedule {
    let mut schedule = calm(number, 4);
    let of = ValidatorIndex(u16::try_from(number % 4).expect("less than 4"));
    schedule.twins = vec![TwinPlan { of, hidden: true }];
    let mut cuts = number / 4;
    schedule.rounds = (0..ROUNDS)
        .map(|round| {
            let cut = cuts % CUTS;
            cuts /= CUTS;
            // The first process is in group 0; a bit of the cut for each of the other four.
            let group = (0..5)
                .map(|process| u8::from(process > 0 && cut >> (process - 1) & 1 == 1))
                .collect();
            let ms = VIEW_TIMEOUT_MS * (2 + u64::from(round));
            Round { ms, group }
        })
        .collect();
    schedule.chaos_ms = schedule.rounds.iter().map(|round| round.ms).sum();
    schedule
}

fn drawn(number: u64) -> Schedule {
    let mut random = Random::new(number);
    let mut schedule = calm(number, 7);
    schedule.window = *random.pick(&[1, 2, 3]).expect("some");
    let mut keys: Vec<u16> = (0..7).collect();
    random.shuffle(&mut keys);
    let twins = 1 + random.index(2);
    schedule.twins = keys
        .into_iter()
        .take(twins)
        .map(|of| TwinPlan {
            of: ValidatorIndex(of),
            hidden: random.percent(80),
        })
        .collect();
    let processes = 7 + twins;
    let rounds = 3 + random.index(4);
    schedule.rounds = (0..rounds)
        .map(|_| {
            let groups = random.between(2, 3);
            let group = (0..processes)
                .map(|_| u8::try_from(random.below(groups)).expect("at most 3"))
                .collect();
            let ms = VIEW_TIMEOUT_MS * random.between(1, 6);
            Round { ms, group }
        })
        .collect();
    schedule.chaos_ms = schedule.rounds.iter().map(|round| round.ms).sum();
    schedule
}
