//! What things cost. One unit is about one simple Wasm instruction, in the order of a nanosecond.
//! All of this changes results, so it is part of the protocol's version.
//!
//! | what | cost |
//! |---|---|
//! | a transaction | [`TRANSACTION`] + [`TRANSACTION_PER_BYTE`] a byte of its signed encoding |
//! | deploying code | [`DEPLOY`]; [`DEPLOY_PER_BYTE`] a byte, before it is looked at; [`compiling`] each function, [`compiling_type`] each type, [`DEPLOY_PER_SEGMENT`]; [`STORAGE_READ`] for each account that may upgrade it; the contract's entry |
//! | upgrading a contract | the same, and [`STORAGE_READ`] for the contract and for each account that may upgrade it |
//! | admitting an account | [`STORAGE_WRITE`] and the bytes written |
//! | approving an upgrade | [`STORAGE_READ`], [`STORAGE_WRITE`] and the bytes written |
//! | calling a contract | [`loading`] its code, whoever calls: a transaction, a query, another contract |
//! | memory | [`PAGE`] a page, to begin with and when it grows; taken when the call ends, and out of reach of other contracts until then |
//! | an instruction | 1; see [`operator_cost`] for those that cost more |
//! | a call to a function | about 16 beside: its share of the stack is counted |
//! | a host function | [`HOST_CALL`], and by its work, before it is done; the bytes of a value found, once it is known how many |
//! | a call to another contract | a host function, [`CONTRACT_CALL`], [`STORAGE_READ`] and the bytes handed over; then its code, and what it does |
//!
//! Compiling is paid for when code is deployed; a node keeps the result for as long as it has the
//! disk, and compiles again only after a change of its program or a loss of what it kept. Taking the
//! result from the disk is what each call pays for, whether it is still in memory or not, so that no
//! receipt depends on what a node remembers.
//!
//! A transaction has one budget, over all contracts that call each other in it. One that is applied
//! or reverted costs what it used; one that traps costs all that it declared.

use wasmtime::{OperatorCost, VariableOperatorCost};

/// Every transaction: its signature, its place in the block and in the trees, its instance.
pub const TRANSACTION: u64 = 50_000;
/// Each byte of a signed transaction.
pub const TRANSACTION_PER_BYTE: u64 = 10;
/// Every deployed module: what was compiled of it stays on the disk, at least some 10 KB.
pub const DEPLOY: u64 = 5_000_000;
/// Each byte of a deployed module: it is validated, compiled and kept for ever.
pub const DEPLOY_PER_BYTE: u64 = 1_000;
/// Each function of it, and each type of functions, for which code is made as well.
pub const DEPLOY_PER_FUNCTION: u64 = 100_000;
/// Each parameter of both.
pub const DEPLOY_PER_PARAMETER: u64 = 10_000;
/// Each segment of data.
pub const DEPLOY_PER_SEGMENT: u64 = 50_000;
/// Each value that a function may hold, for each call that it makes: it is put aside meanwhile.
pub const DEPLOY_PER_VALUE_AND_CALL: u64 = 50;
/// Every call of a contract, whatever its size: its code may have to be taken from the disk.
pub const LOAD: u64 = 100_000;
/// Each byte of the code of a contract that is called.
pub const LOAD_PER_BYTE: u64 = 10;
/// Each function of it, and each type of functions.
pub const LOAD_PER_FUNCTION: u64 = 1_000;
/// Each parameter of both.
pub const LOAD_PER_PARAMETER: u64 = 100;
/// Each page of an instance's memory: the machine fills it with zeros, 4 KiB at a time.
pub const PAGE: u64 = 10_000;
/// Every call to another contract: its instance.
pub const CONTRACT_CALL: u64 = 15_000;
/// Every host call.
pub const HOST_CALL: u64 = 100;
/// Each byte that a host call copies.
pub const COPY_PER_BYTE: u64 = 1;
/// Looking up a stored value.
pub const STORAGE_READ: u64 = 2_000;
/// Each byte of the value found.
pub const STORAGE_READ_PER_BYTE: u64 = 2;
/// Changing a stored value, or removing it: a durable row, a path of the state tree.
pub const STORAGE_WRITE: u64 = 20_000;
/// Each byte of key and value.
pub const STORAGE_WRITE_PER_BYTE: u64 = 100;
/// An event.
pub const EVENT: u64 = 1_000;
/// Each byte of topic and data.
pub const EVENT_PER_BYTE: u64 = 100;
/// Each byte of a returned value or of a revert's data: it stands in the receipt.
pub const RETURN_PER_BYTE: u64 = 100;
/// A SHA-256.
pub const SHA256: u64 = 200;
/// Each byte hashed.
pub const SHA256_PER_BYTE: u64 = 2;
/// The most that a query may burn; nobody pays for one. The largest code of the default limits can be
/// loaded with it.
pub const QUERY_MAX: u64 = 200_000_000;

/// What the time of compiling a function depends on, besides its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FunctionSize {
    /// How many parameters it takes.
    pub parameters: u32,
    /// Locals, parameters among them, and the most operands at a time.
    pub values: u32,
    /// Calls that it makes.
    pub calls: u64,
    /// Values times the places where its control flow branches or meets.
    pub complexity: u64,
}

/// What it costs to compile a function, besides its bytes. With the square of its complexity grows
/// what giving registers to it takes: half a nanosecond, as measured on the worst functions known.
#[must_use]
pub fn compiling(function: FunctionSize) -> u64 {
    let FunctionSize {
        parameters,
        values,
        calls,
        complexity,
    } = function;
    let around_calls = DEPLOY_PER_VALUE_AND_CALL
        .saturating_mul(values.into())
        .saturating_mul(calls);
    compiling_type(parameters)
        .saturating_add(around_calls)
        .saturating_add(complexity.saturating_mul(complexity) / 2)
}

/// What a type of functions costs, whether there is such a function or not.
#[must_use]
pub fn compiling_type(parameters: u32) -> u64 {
    DEPLOY_PER_FUNCTION.saturating_add(DEPLOY_PER_PARAMETER.saturating_mul(parameters.into()))
}

/// What it costs to make compiled code ready to run: to read it, check it and map it. There are so
/// many functions and types of functions in it, and parameters of both.
#[must_use]
pub fn loading(code_bytes: usize, functions: u64, parameters: u64) -> u64 {
    let functions = LOAD_PER_FUNCTION.saturating_mul(functions);
    let parameters = LOAD_PER_PARAMETER.saturating_mul(parameters);
    let fixed = LOAD.saturating_add(functions).saturating_add(parameters);
    sized(fixed, LOAD_PER_BYTE, code_bytes)
}

/// `base + per_byte * len`, at most the largest number.
#[must_use]
pub fn sized(base: u64, per_byte: u64, len: usize) -> u64 {
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    base.saturating_add(per_byte.saturating_mul(len))
}

/// What instructions cost: 1, nothing where no code is made of them, more where they do more.
/// Instructions that no module may have are priced as well, so that the table stands by itself.
#[must_use]
pub fn operator_cost() -> OperatorCost {
    OperatorCost {
        // Division takes the place of a few dozen additions.
        I32DivS: 8,
        I32DivU: 8,
        I32RemS: 8,
        I32RemU: 8,
        I64DivS: 16,
        I64DivU: 16,
        I64RemS: 16,
        I64RemU: 16,
        // A check and a jump that is hard to foresee.
        BrTable: 3,
        Call: 3,
        CallIndirect: 8,
        // Goes out to the host.
        MemoryGrow: 255,
        MemoryCopy: 32,
        MemoryFill: 32,
        MemoryInit: 32,
        TableGrow: 255,
        TableCopy: 32,
        TableFill: 32,
        TableInit: 32,
        variable: VariableOperatorCost {
            memory_copy_per_byte: 1,
            memory_fill_per_byte: 1,
            memory_init_per_byte: 1,
            // See `PAGE`, which is more than fits here.
            memory_grow_per_page: 0,
            table_copy_per_element: 8,
            table_fill_per_element: 8,
            table_init_per_element: 8,
            table_grow_per_element: 8,
            ..VariableOperatorCost::new()
        },
        ..OperatorCost::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_never_overflow() {
        assert_eq!(sized(10, 2, 3), 16);
        assert_eq!(sized(10, u64::MAX, 3), u64::MAX);
    }

    /// The engine's own table is under everything that is not named above; if it changes, so does
    /// the protocol.
    #[test]
    fn the_defaults_beneath_are_the_known_ones() {
        let costs = OperatorCost::new();
        let free = [
            costs.Nop,
            costs.Drop,
            costs.Block,
            costs.Loop,
            costs.Return,
            costs.Else,
            costs.End,
        ];
        assert_eq!(free, [0; 7]);
        let one = [
            costs.If,
            costs.Br,
            costs.BrIf,
            costs.LocalGet,
            costs.I32Load,
            costs.I64Mul,
        ];
        assert_eq!(one, [1; 6]);
    }
}
