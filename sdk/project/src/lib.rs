//! Projects of contracts, outside of the repository and without a network: [`create`] makes one
//! that compiles as it is, [`compile`] makes its Wasm module.
//!
//! This crate carries the SDK's sources and those of all that it depends on; a project gets them in
//! `.chancery/`, as a cargo vendor directory.

mod compile;
mod name;
mod new;
mod sdk;
mod sources;

pub use compile::{CompileError, Compiled, compile};
pub use name::{NameError, ProjectName};
pub use new::{NewError, create};
pub use sdk::{SdkError, SdkState, provide_sdk};
