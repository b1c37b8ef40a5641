//! Which modules may be deployed.

use chancery_ledger::{ChainLimits, CodeHash};

use crate::schema::{MethodKind, Schema};

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
    /// The methods it exports, sorted; `init` has the name `init`.
    pub methods: Vec<(MethodKind, String)>,
    /// What it says about itself.
    pub schema: Option<Schema>,
}

/// The rule of deployment that a module breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// Longer than any module may be.
    #[error("the module has {len} bytes, at most {len_max} are allowed")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        len_max: usize,
    },
}

pub(crate) fn check_module(limits: &ChainLimits, wasm: &[u8]) -> Result<ModuleReport, ModuleError> {
    let _ = (limits, wasm);
    unimplemented!()
}
