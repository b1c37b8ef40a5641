//! Everything that is true of the whole: the walls between the crates, and real processes that are
//! killed, paused, cut off and given bad disks.

mod architecture;
mod consortium;
mod contracts;
mod crashes;
mod disks;
mod durability;
mod events;
mod hostile;
mod joining;
mod levels;
mod measures;
mod memory;
mod partitions;
mod refusals;
mod state_proofs;
mod story;
mod upgrades;
mod versions;
mod view_change;
