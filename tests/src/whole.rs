//! Whole nodes in the simulator: the node's own validator, executor with real Wasm, pool, catch-up,
//! and the ledger and the vote log on one simulated disk each, in one thread under virtual time.
//! Only what moves bytes is missing: threads, sockets and the HTTP server.
//!
//! Read in this order: [`ledger`] (genesis and what clients submit), [`node`] (a validator's
//! process), `doom` (how it dies), `running` (while it lives), `proofs` (what is proved).

use chancery_ledger::ValidatorIndex;
use chancery_simulation::campaign::{Kind, Outcome};
use chancery_simulation::core_run::{self, outcome};
use chancery_simulation::coverage;
use chancery_simulation::random::Random;
use chancery_simulation::schedule::{Schedule, Wanted};
use chancery_simulation::world::World;

use ledger::Ledger;
use node::WholeNode;

mod doom;
pub mod ledger;
mod lies;
pub mod node;
mod proofs;
mod running;
#[cfg(test)]
mod tests;
mod told;

/// What else a campaign of whole nodes must reach.
const REQUIRED: &[&str] = &[
    "bit flip detected",
    "block file recovered after power cut",
    "failed fsync ended the process",
    "full disk ended the process",
    "handed in again",
    "lie to one who catches up",
    "lying catch-up server found out",
    "proof verified",
    "snapshot joined",
];

/// Seeds with whole nodes.
pub const KIND: Kind = Kind {
    run,
    required: &[coverage::REQUIRED, REQUIRED],
};

/// Runs a seed with whole nodes.
#[must_use]
pub fn run(seed: u64, wanted: Wanted, keep_table: bool) -> Outcome {
    let mut schedule = Schedule::draw(seed, wanted);
    // Ledgers are shared by seeds; so there are few.
    schedule.heartbeat_ms = schedule.heartbeat_ms.next_multiple_of(1_000);
    // Who catches up waits only so long for each answer.
    let slow = &mut schedule.network.healed_delay_ms_max;
    *slow = (*slow).min(500);
    let mut random = Random::new(!seed);
    schedule.repeated_percent = random.below(40);
    schedule.faults.bit_flip = random.percent(25).then(|| random.between(2_000, 8_000));
    let text = schedule.to_string();
    let ledger = Ledger::of(schedule.validators, schedule.window, schedule.heartbeat_ms);
    let context = ledger.context();
    let load = ledger.load.clone();
    let make = |schedule: &Schedule, own: ValidatorIndex| {
        let mut config = core_run::config(schedule, own);
        config.chain = ledger.genesis.chain_id();
        config.validators = ledger.genesis.validators().clone();
        config.limits = ledger.genesis.limits().clone();
        WholeNode::new(ledger.clone(), schedule, config, random.fork())
    };
    let mut world = World::new(schedule, context, load, keep_table, false, make);
    world.run();
    outcome(seed, text, world)
}
