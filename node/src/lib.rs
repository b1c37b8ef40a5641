//! The `chancery` node and its command line.
//!
//! Read in this order: [`node`] (what runs), [`assemble`] (what decides, put together from disk),
//! [`intake`], [`validator`] and [`worker`] around [`executor`] (the deterministic part), `threads`
//! (the two loops around it), [`store`] (disk), [`network`] (peers), [`api`] (people), [`cli`] and
//! [`devnet`] (the command line).
#![forbid(unsafe_code)]

mod ahead;
pub mod api;
pub mod assemble;
pub mod catch_up;
pub mod cli;
pub mod compiled;
pub mod config;
pub mod devnet;
pub mod evidence;
pub mod evidence_file;
pub mod executor;
pub mod gate;
pub mod handle;
pub mod home;
mod ingress;
pub mod intake;
mod logging;
pub mod metrics;
pub mod neglect;
pub mod network;
pub mod node;
pub mod pool;
pub mod store;
mod threads;
pub mod validator;
pub mod wire;
pub mod worker;
