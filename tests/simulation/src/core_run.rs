//! A seed with core nodes.

use chancery_consensus::Config;
use chancery_ledger::{Millis, ValidatorIndex};

use crate::campaign::Outcome;
use crate::core_node::CoreNode;
use crate::fixture::{self, CHAIN};
use crate::node::Node;
use crate::schedule::{Schedule, Wanted};
use crate::world::World;

/// Runs it.
#[must_use]
pub fn run(seed: u64, wanted: Wanted, keep_table: bool) -> Outcome {
    run_schedule(seed, Schedule::draw(seed, wanted), keep_table)
}

/// Runs a schedule, drawn or not.
#[must_use]
pub fn run_schedule(seed: u64, schedule: Schedule, keep_table: bool) -> Outcome {
    let text = schedule.to_string();
    let context = config(&schedule, ValidatorIndex(0)).context();
    let load = fixture::transactions().to_vec();
    let make = |schedule: &Schedule, own: ValidatorIndex| {
        let config = config(schedule, own);
        CoreNode::new(schedule, config, fixture::consensus_key(own.0))
    };
    let mut world = World::new(schedule, context, load, keep_table, true, make);
    world.run();
    outcome(seed, text, world)
}

/// What a world that has ended gave.
#[must_use]
pub fn outcome<N: Node>(seed: u64, schedule: String, world: World<N>) -> Outcome {
    let heads: Vec<String> = world.heads();
    Outcome {
        seed,
        schedule,
        virtual_ms: world.now_ms(),
        healing_per_mille: world.healing_per_mille(),
        violation: world.oracle.violation().cloned(),
        trace_hash: world.trace.hash(),
        table: world.trace.table(&heads),
        counters: world.counters,
    }
}

/// What a replica of this seed is set up with.
#[must_use]
pub fn config(schedule: &Schedule, own: ValidatorIndex) -> Config {
    let validators = fixture::validators(schedule.validators);
    let limits = fixture::limits(schedule.window);
    let mut config = Config::new(CHAIN, validators, own, limits);
    config.status_interval = Millis(schedule.status_interval_ms);
    config.view_timeout = Millis(schedule.view_timeout_ms);
    config.view_timeout_max = Millis(schedule.view_timeout_ms_max);
    config.catch_up_after = Millis(3 * schedule.view_timeout_ms);
    // Blocks need as long as their way there and back.
    config.catch_up_interval = Millis(1_500.max(3 * schedule.network.healed_delay_ms_max));
    config
}
