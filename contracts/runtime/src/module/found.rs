//! What a module takes of each limit: counted where the limit is judged.

use chancery_ledger::ChainLimits;

/// What a module takes of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitUse {
    /// The limit, as genesis names it.
    pub name: &'static str,
    /// What is counted.
    pub what: &'static str,
    /// How much of it the module has.
    pub used: u64,
    /// How much it may have.
    pub used_max: u64,
}

#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) types: u32,
    pub(super) imports: u32,
    pub(super) functions: u32,
    pub(super) globals: u32,
    pub(super) exports: u32,
    pub(super) data_segments: u32,
    pub(super) element_segments: u32,
    pub(super) table_entries: u32,
    pub(super) memory_pages: u32,
    pub(super) locals: u32,
    pub(super) nesting: u32,
    pub(super) function_bytes: usize,
    pub(super) function_complexity: u64,
    pub(super) parameters: u32,
    pub(super) operands: u32,
    pub(super) stack_values: u32,
    pub(super) method_bytes: usize,
    pub(super) schema_bytes: usize,
}

fn number(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

impl Found {
    pub(super) fn of(&self, limits: &ChainLimits, bytes: usize, complexity: u64) -> Vec<LimitUse> {
        let limit = |name, what, used, used_max| LimitUse {
            name,
            what,
            used,
            used_max,
        };
        let count =
            |name, what, used: u32, used_max: u32| limit(name, what, used.into(), used_max.into());
        let size =
            |name, what, used, used_max: u32| limit(name, what, number(used), used_max.into());
        vec![
            size("code_bytes_max", "bytes", bytes, limits.code_bytes_max),
            count(
                "functions_max",
                "functions",
                self.functions,
                limits.functions_max,
            ),
            size(
                "function_bytes_max",
                "bytes of the longest function",
                self.function_bytes,
                limits.function_bytes_max,
            ),
            count(
                "locals_max",
                "parameters and locals of a function",
                self.locals,
                limits.locals_max,
            ),
            count(
                "parameters_max",
                "parameters of a type of functions",
                self.parameters,
                limits.parameters_max,
            ),
            count(
                "operands_max",
                "operands at a time",
                self.operands,
                limits.operands_max,
            ),
            count(
                "stack_values_max",
                "values of the stack that a function takes",
                self.stack_values,
                limits.stack_values_max,
            ),
            count(
                "nesting_max",
                "blocks within each other",
                self.nesting,
                limits.nesting_max,
            ),
            limit(
                "complexity_max",
                "locals and operands times blocks",
                complexity,
                limits.complexity_max,
            ),
            limit(
                "function_complexity_max",
                "the same of one function",
                self.function_complexity,
                limits.function_complexity_max,
            ),
            count(
                "memory_pages_max",
                "pages of memory to begin with",
                self.memory_pages,
                limits.memory_pages_max,
            ),
            count(
                "table_entries_max",
                "table entries",
                self.table_entries,
                limits.table_entries_max,
            ),
            count(
                "types_max",
                "types of functions",
                self.types,
                limits.types_max,
            ),
            count("imports_max", "imports", self.imports, limits.imports_max),
            count("exports_max", "exports", self.exports, limits.exports_max),
            count("globals_max", "globals", self.globals, limits.globals_max),
            count(
                "segments_max",
                "data segments",
                self.data_segments,
                limits.segments_max,
            ),
            count(
                "segments_max",
                "element segments",
                self.element_segments,
                limits.segments_max,
            ),
            size(
                "method_bytes_max",
                "bytes of the longest method's name",
                self.method_bytes,
                limits.method_bytes_max,
            ),
            size(
                "schema_bytes_max",
                "bytes of schema",
                self.schema_bytes,
                limits.schema_bytes_max,
            ),
        ]
    }
}
