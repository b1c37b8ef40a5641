//! Which modules may be deployed. The same judgement is made when a developer checks a file and
//! when a validator executes a deployment.
//!
//! Accepted is WebAssembly 1.0 with mutable globals, minus floats, minus the start function, within
//! the chain's limits, importing only what the host offers, exporting only methods,
//! the memory and the linker's two globals, with at most one schema. That must name each exported
//! method once, as the kind it is, and no other; of types, events and errors it says what its author
//! chose, which nothing here can check.

mod check;
mod error;
mod found;
mod instrument;

use chancery_contract::abi;
use chancery_ledger::{ChainLimits, CodeHash};
use chancery_schema::{MethodKind, Schema};

pub use error::ModuleError;
pub use found::LimitUse;
pub(crate) use instrument::{INSTRUMENTATION_VERSION, STACK_EXPORT, instrument};

/// What is known of a module that may be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleReport {
    /// SHA-256 of its bytes.
    pub code: CodeHash,
    /// Its length in bytes.
    pub code_bytes: usize,
    /// Functions defined in it.
    pub functions: u32,
    /// Pages of 64 KiB that its memory starts with.
    pub memory_pages: u32,
    /// The methods it exports, sorted; `init` and `migrate` have those names.
    pub methods: Vec<(MethodKind, String)>,
    /// What it says about itself.
    pub schema: Option<Schema>,
    /// What it takes of each limit on modules.
    pub limits: Vec<LimitUse>,
    /// Fuel that deploying it burns for its code alone.
    pub deploy_fuel: u64,
    /// Fuel that each call of it burns before its first instruction.
    pub load_fuel: u64,
}

/// A function as the stack counter needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FunctionShape {
    /// Index of its type.
    pub(crate) type_index: u32,
    /// How many parameters it takes.
    pub(crate) params: u32,
    /// What one frame of it takes of the stack, in values.
    pub(crate) stack_values: u32,
}

/// A module that was judged.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) report: ModuleReport,
    pub(crate) functions: Vec<FunctionShape>,
    pub(crate) globals: u32,
    /// What compiling its functions costs besides their bytes.
    pub(crate) compile_fuel: u64,
}

/// The method that an export is, by its name.
pub(crate) fn method_of_export(export: &str) -> Option<(MethodKind, &str)> {
    if export == abi::INIT {
        return Some((MethodKind::Init, export));
    }
    if export == abi::MIGRATE {
        return Some((MethodKind::Migrate, export));
    }
    if let Some(name) = export.strip_prefix(abi::CALL_PREFIX) {
        return Some((MethodKind::Call, name));
    }
    let name = export.strip_prefix(abi::VIEW_PREFIX)?;
    Some((MethodKind::View, name))
}

pub(crate) fn check_module(limits: &ChainLimits, wasm: &[u8]) -> Result<ModuleReport, ModuleError> {
    check(limits, wasm).map(|checked| checked.report)
}

pub(crate) use check::{BODY_BYTES_PER_VALUE, FRAME_VALUES, check};
