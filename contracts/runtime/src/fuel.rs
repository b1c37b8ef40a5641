//! How much fuel work takes, at the prices that genesis fixed ([`FuelPrices`]).
//!
//! | what | cost |
//! |---|---|
//! | a transaction | `transaction`, and `transaction_per_byte` a byte of its signed encoding |
//! | deploying code | `deploy`; `deploy_per_byte` a byte, before it is looked at; [`compiling`] each function, [`compiling_type`] each type, `deploy_per_segment`; `storage_read` for each account that may upgrade it; the entries of the contract and of its version |
//! | upgrading a contract | the same, and `storage_read` for the contract and for each account that may upgrade it |
//! | admitting an account | `storage_write` and the bytes written |
//! | approving an upgrade | `storage_read`, `storage_write` and the bytes written |
//! | calling a contract | [`loading`] its code, whoever calls: a transaction, a query, another contract; `storage_read` for its entry, unless a query calls |
//! | memory | `page` a page, to begin with and when it grows; taken when the call ends, and out of reach of other contracts until then |
//! | an instruction | 1; those that do more have prices of their own, see [`operator_cost`] |
//! | a call to a function | about 16 instructions beside: its share of the stack is counted |
//! | a host function | `host_call`, and by its work, before it is done; the bytes of a value found, once it is known how many |
//! | a call to another contract | a host function, `contract_call`, that `storage_read`, and the bytes handed over; then its code, and what it does |
//!
//! Compiling is paid for when code is deployed; a node keeps the result for as long as it has the
//! disk, and compiles again only after a change of its program or a loss of what it kept. Taking the
//! result from the disk is what each call pays for, whether it is still in memory or not, so that no
//! receipt depends on what a node remembers.
//!
//! A transaction has one budget, over all contracts that call each other in it. One that is applied
//! or reverted costs what it used; one that traps costs all that it declared.

use chancery_ledger::FuelPrices;
use wasmtime::{OperatorCost, VariableOperatorCost};

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
pub fn compiling(prices: &FuelPrices, function: FunctionSize) -> u64 {
    let FunctionSize {
        parameters,
        values,
        calls,
        complexity,
    } = function;
    let around_calls = prices
        .deploy_per_value_and_call
        .saturating_mul(values.into())
        .saturating_mul(calls);
    let registers = prices
        .deploy_per_1000_complexity_squared
        .saturating_mul(complexity.saturating_mul(complexity));
    compiling_type(prices, parameters)
        .saturating_add(around_calls)
        .saturating_add(registers / 1_000)
}

/// What a type of functions costs, whether there is such a function or not.
#[must_use]
pub fn compiling_type(prices: &FuelPrices, parameters: u32) -> u64 {
    let parameters = prices
        .deploy_per_parameter
        .saturating_mul(parameters.into());
    prices.deploy_per_function.saturating_add(parameters)
}

/// What it costs to make compiled code ready to run: to read it, check it and map it. There are so
/// many functions and types of functions in it, and parameters of both.
#[must_use]
pub fn loading(prices: &FuelPrices, code_bytes: usize, functions: u64, parameters: u64) -> u64 {
    let functions = prices.load_per_function.saturating_mul(functions);
    let parameters = prices.load_per_parameter.saturating_mul(parameters);
    let fixed = sum([prices.load, functions, parameters]);
    sized(fixed, prices.load_per_byte, code_bytes)
}

/// The bytes of the shortest signed transaction that calls a contract: chain, sender, salt, end of
/// validity, fuel; the call with its contract, a name of one letter and no arguments; the signature.
const CALL_BYTES_LEAST: usize = (32 + 32 + 8 + 8 + 8) + (1 + 32 + 2 + 1) + 64;

/// What a transaction takes at least before the first instruction of the contract that it calls, which
/// has memory of so many pages. No module is deployed for which no transaction may burn as much.
#[must_use]
pub fn calling(prices: &FuelPrices, load_fuel: u64, memory_pages: u32) -> u64 {
    let transaction = sized(
        prices.transaction,
        prices.transaction_per_byte,
        CALL_BYTES_LEAST,
    );
    let memory = prices.page.saturating_mul(memory_pages.into());
    sum([transaction, prices.storage_read, load_fuel, memory])
}

/// All of that together, at most the largest number.
#[must_use]
pub fn sum<const N: usize>(costs: [u64; N]) -> u64 {
    costs.into_iter().fold(0, u64::saturating_add)
}

/// `base + per_byte * len`, at most the largest number.
#[must_use]
pub fn sized(base: u64, per_byte: u64, len: usize) -> u64 {
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    base.saturating_add(per_byte.saturating_mul(len))
}

/// What instructions cost: 1, nothing where no code is made of them, more where they do more. Those
/// that no module may have are priced here, so that the table stands by itself.
#[must_use]
pub fn operator_cost(prices: &FuelPrices) -> OperatorCost {
    let (i32_division, i64_division) = (prices.i32_division, prices.i64_division);
    OperatorCost {
        I32DivS: i32_division,
        I32DivU: i32_division,
        I32RemS: i32_division,
        I32RemU: i32_division,
        I64DivS: i64_division,
        I64DivU: i64_division,
        I64RemS: i64_division,
        I64RemU: i64_division,
        BrTable: prices.br_table,
        Call: prices.call,
        CallIndirect: prices.call_indirect,
        MemoryGrow: prices.memory_grow,
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
            // See the price of a page, which is more than fits here.
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
        assert_eq!(sum([1, 2, u64::MAX]), u64::MAX);
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
