//! The `chancery` node and its command line.
//!
//! Read in this order: [`node`] (what runs), [`validator`] and [`executor`] (the deterministic
//! part), `threads` (the two loops around it), [`store`] (disk), [`network`] (peers), [`api`]
//! (people), [`cli`] and [`devnet`] (the command line).
#![forbid(unsafe_code)]

pub mod api;
pub mod catch_up;
pub mod cli;
pub mod config;
pub mod devnet;
pub mod executor;
pub mod handle;
pub mod home;
mod ingress;
mod logging;
pub mod metrics;
pub mod network;
pub mod node;
pub mod pool;
pub mod store;
mod threads;
pub mod validator;
pub mod wire;
