//! The price list of fuel. One unit is about one simple Wasm instruction, in the order of a
//! nanosecond.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::limits::ranged;

/// The most that a thing may cost.
const EACH_MAX: u64 = 1_000_000_000;
/// The most that a byte of it may cost, or whatever else there are many of.
const PART_MAX: u64 = 1_000_000;

ranged! {
    /// What things cost, in fuel. What is charged when is told in `contracts/runtime/src/fuel.rs`.
    ///
    /// A block, a loop, an `else`, an `end`, a `return`, a `drop` and a `nop` cost nothing, and every
    /// instruction without a price of its own costs 1: that is what the unit means.
    FuelPrices named "fuel." {
        /// Every transaction: its signature, its place in the block and in the trees.
        transaction: u64 = 50_000, at least 1, at most EACH_MAX;
        /// Each byte of a signed transaction.
        transaction_per_byte: u64 = 10, at least 1, at most PART_MAX;
        /// Every deployed module: what was compiled of it stays on the disk, at least some 10 KB.
        deploy: u64 = 5_000_000, at least 1, at most EACH_MAX;
        /// Each byte of a deployed module: it is validated, compiled and kept for ever.
        deploy_per_byte: u64 = 1_000, at least 1, at most PART_MAX;
        /// Each function of it, and each type of functions, for which code is made as well.
        deploy_per_function: u64 = 100_000, at least 1, at most EACH_MAX;
        /// Each parameter of both.
        deploy_per_parameter: u64 = 10_000, at least 1, at most PART_MAX;
        /// Each segment of data.
        deploy_per_segment: u64 = 50_000, at least 1, at most EACH_MAX;
        /// Each value that a function may hold, for each call that it makes: it is put aside meanwhile.
        deploy_per_value_and_call: u64 = 50, at least 1, at most PART_MAX;
        /// Each 1,000 of the square of a function's complexity (its locals and operands times its blocks
        /// and branch targets): what giving registers to it takes.
        deploy_per_1000_complexity_squared: u64 = 500, at least 1, at most PART_MAX;
        /// Every call of a contract, whatever its size: its code may have to be taken from the disk.
        load: u64 = 100_000, at least 1, at most EACH_MAX;
        /// Each byte of the code of a contract that is called.
        load_per_byte: u64 = 10, at least 1, at most PART_MAX;
        /// Each function of it, and each type of functions.
        load_per_function: u64 = 1_000, at least 1, at most EACH_MAX;
        /// Each parameter of both.
        load_per_parameter: u64 = 100, at least 1, at most PART_MAX;
        /// Each page (64 KiB) of an instance's memory: the machine fills it with zeros.
        page: u64 = 10_000, at least 1, at most EACH_MAX;
        /// Every call to another contract: its instance.
        contract_call: u64 = 15_000, at least 1, at most EACH_MAX;
        /// Every call of a host function.
        host_call: u64 = 100, at least 1, at most EACH_MAX;
        /// Each byte that a host function copies.
        copy_per_byte: u64 = 1, at least 1, at most PART_MAX;
        /// Looking up a stored value.
        storage_read: u64 = 2_000, at least 1, at most EACH_MAX;
        /// Each byte of the value found.
        storage_read_per_byte: u64 = 2, at least 1, at most PART_MAX;
        /// Changing a stored value, or removing it: a durable row, a path of the state tree.
        storage_write: u64 = 20_000, at least 1, at most EACH_MAX;
        /// Each byte of key and value.
        storage_write_per_byte: u64 = 100, at least 1, at most PART_MAX;
        /// An event.
        event: u64 = 1_000, at least 1, at most EACH_MAX;
        /// Each byte of its topic and data.
        event_per_byte: u64 = 100, at least 1, at most PART_MAX;
        /// Each byte of a returned value or of a revert's data: it stands in the receipt.
        return_per_byte: u64 = 100, at least 1, at most PART_MAX;
        /// A SHA-256.
        sha256: u64 = 200, at least 1, at most EACH_MAX;
        /// Each byte hashed.
        sha256_per_byte: u64 = 2, at least 1, at most PART_MAX;
        /// The instructions `i32.div_s`, `i32.div_u`, `i32.rem_s` and `i32.rem_u`.
        i32_division: u8 = 8, at least 1, at most 255;
        /// The same of `i64`.
        i64_division: u8 = 16, at least 1, at most 255;
        /// The instruction `br_table`: a check, and a jump that is hard to foresee.
        br_table: u8 = 3, at least 1, at most 255;
        /// The instruction `call`. Counting the stack takes about 16 instructions beside.
        call: u8 = 3, at least 1, at most 255;
        /// The instruction `call_indirect`; the same holds for it.
        call_indirect: u8 = 8, at least 1, at most 255;
        /// The instruction `memory.grow`, which goes out to the host, beside its pages.
        memory_grow: u8 = 255, at least 1, at most 255;
    }
    tables {}
}

/// The plain contract, by which limits on fuel are judged: its bytes, its functions together with its
/// types of functions, the parameters of both, its segments of data, its pages of memory.
const CODE_BYTES: u64 = 65_536;
const FUNCTIONS: u64 = 512;
const TYPES: u64 = 64;
const PARAMETERS: u64 = 1_024;
const SEGMENTS: u64 = 8;
const PAGES: u64 = 16;

impl FuelPrices {
    /// What a plain call takes: a transaction of 1 KiB calls a contract of 64 KiB with 512 functions,
    /// 64 types of functions, 1,024 parameters of both and 16 pages of memory. It calls 8 host
    /// functions and runs 100,000 instructions, is handed 1 KiB, reads an entry of 1 KiB and writes
    /// it, announces an event of 128 bytes, and returns 64.
    #[must_use]
    pub fn plain_call(&self) -> u64 {
        total([
            (self.transaction, 1),
            (self.transaction_per_byte, 1_024),
            (self.load, 1),
            (self.load_per_byte, CODE_BYTES),
            (self.load_per_function, FUNCTIONS + TYPES),
            (self.load_per_parameter, PARAMETERS),
            (self.page, PAGES),
            (self.host_call, 8),
            (self.copy_per_byte, 1_024),
            // The contract's entry is read as well.
            (self.storage_read, 2),
            (self.storage_read_per_byte, 1_024),
            (self.storage_write, 1),
            (self.storage_write_per_byte, 1_024),
            (self.event, 1),
            (self.event_per_byte, 128),
            (self.return_per_byte, 64),
            (1, 100_000),
        ])
    }

    /// What it takes to deploy the contract of [`FuelPrices::plain_call`], with 1 KiB of arguments and
    /// 8 segments of data. Its functions hold 16 values over 8 calls each, and the squares of their
    /// complexities add up to 20 millions. One account may upgrade it. Its `init` calls 8 host
    /// functions, runs 100,000 instructions, and writes an entry of 1 KiB.
    #[must_use]
    pub fn plain_deployment(&self) -> u64 {
        total([
            (self.transaction, 1),
            (self.transaction_per_byte, CODE_BYTES + 1_024),
            (self.deploy, 1),
            (self.deploy_per_byte, CODE_BYTES),
            (self.deploy_per_function, FUNCTIONS + TYPES),
            (self.deploy_per_parameter, PARAMETERS),
            (self.deploy_per_segment, SEGMENTS),
            (self.deploy_per_value_and_call, FUNCTIONS * 16 * 8),
            (self.deploy_per_1000_complexity_squared, 20_000),
            (self.page, PAGES),
            (self.host_call, 8),
            (self.copy_per_byte, 1_024),
            (self.storage_read, 1),
            // The entries of the contract and of its version have less than 512 bytes together.
            (self.storage_write, 3),
            (self.storage_write_per_byte, 1_024 + 512),
            (1, 100_000),
        ])
    }
}

/// Prices times how many there are, added up; at most the largest number.
fn total<const N: usize>(parts: [(u64, u64); N]) -> u64 {
    parts.into_iter().fold(0, |sum: u64, (price, count)| {
        sum.saturating_add(price.saturating_mul(count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plain_deployment_takes_is_known() {
        assert_eq!(FuelPrices::default().plain_deployment(), 153_245_824);
    }

    #[test]
    fn no_sum_of_prices_wraps_around() {
        let prices = FuelPrices {
            load_per_byte: u64::MAX,
            deploy: u64::MAX,
            ..FuelPrices::default()
        };
        let sums = [prices.plain_call(), prices.plain_deployment()];
        assert_eq!(sums, [u64::MAX; 2]);
    }

    #[test]
    fn what_a_plain_call_takes_is_known() {
        assert_eq!(FuelPrices::default().plain_call(), 1_904_472);
    }
}
