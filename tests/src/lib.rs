//! What the suites share: clusters of real `chancery node` processes, driven through the very
//! command line that people use, and what is done to them.
//!
//! [`cluster`] runs them, [`founding`] makes networks with limits of the test's choice, [`process`]
//! starts one validator in a special way, [`proxy`] is a faulty network, [`load`] keeps clients
//! busy, and [`intact`] says what must be true after every fault.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod command;
pub mod founding;
pub mod intact;
pub mod load;
pub mod process;
pub mod proxy;
pub mod whole;
