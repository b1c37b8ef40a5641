//! A simulator of whole ledgers: processes of validators under virtual time, in one thread, with a
//! network, disks, clocks and neighbours that fail in every way, all drawn from one seed, and an
//! oracle that knows by itself what must hold.
//!
//! Read in this order: [`schedule`] (what a seed draws), [`node`] (what a validator is to the
//! world), [`world`] (virtual time, the queue), `faults` and [`network`] (what goes wrong, and how
//! it is healed), [`byzantine`] (who lies), [`oracle`] (what must hold), [`core_node`] (a replica
//! with a simulated disk), [`campaign`] and [`command`] (many seeds).
#![forbid(unsafe_code)]

pub mod byzantine;
pub mod campaign;
pub mod command;
mod core_disk;
pub mod core_node;
pub mod core_run;
pub mod coverage;
pub mod disk;
mod faults;
pub mod fixture;
pub mod mutants;
pub mod network;
pub mod node;
mod notes;
pub mod oracle;
pub mod random;
pub mod schedule;
mod spotlight;
pub mod trace;
pub mod twins;
pub mod world;
