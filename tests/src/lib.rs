//! What the suites share: a cluster of real `chancery node` processes, driven through the very
//! command line that people use.
#![forbid(unsafe_code)]

pub mod cluster;
