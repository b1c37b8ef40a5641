//! Runs contracts: validation of modules, the wasmtime host, limits, and the state they see.
//!
//! Deterministic: given the same limits, state, block context and batch, every validator computes
//! the same receipts, the same fuel and the same state changes. No clock, file, socket or random
//! number is read. Read in this order: [`view`] (what the runtime asks of its owner), [`runtime`]
//! (what it offers), `world` (how a call is made and how it ends), [`module`] (which code is
//! accepted), [`fuel`] (what things cost).
//!
//! What was compiled of a contract may be kept by the owner (`runtime::CompiledStore`); the one
//! `unsafe` of this crate takes it back, in `engine/precompiled.rs`.
#![deny(unsafe_code)]

mod engine;
mod execute;
pub mod fuel;
mod host;
pub mod module;
mod overlay;
pub mod runtime;
mod turns;
pub mod view;
mod world;

pub use engine::is_compilers;
pub use module::{ModuleError, ModuleReport};
pub use runtime::{
    Compilations, CompiledStore, DebugLog, EngineError, ExecutedBatch, QueryOutcome, Runtime,
};
pub use view::{BlockContext, DropReason, LedgerView};
