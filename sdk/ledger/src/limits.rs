//! The chain-wide limits: they change results, so genesis fixes them for everybody.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $default:expr, at least $least:expr, at most $most:expr;)*) => {
        /// Every chain-wide limit. Sizes are in bytes, times in milliseconds unless said.
        #[derive(
            Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(deny_unknown_fields, default)]
        pub struct ChainLimits {
            $($(#[$doc])* pub $name: $kind,)*
        }

        impl Default for ChainLimits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl ChainLimits {
            /// Checks that every limit is in its possible range.
            ///
            /// # Errors
            /// The first one that is not.
            pub fn check(&self) -> Result<(), LimitError> {
                $(
                    let (value, least, most) =
                        (u64::from(self.$name), u64::from($least as $kind), u64::from($most as $kind));
                    if value < least || value > most {
                        return Err(LimitError { name: stringify!($name), value, least, most });
                    }
                )*
                if self.transaction_bytes_max > self.batch_bytes_max {
                    return Err(LimitError {
                        name: "transaction_bytes_max",
                        value: self.transaction_bytes_max.into(),
                        least: 1024,
                        most: self.batch_bytes_max.into(),
                    });
                }
                if self.transaction_fuel_max > self.batch_fuel_max {
                    return Err(LimitError {
                        name: "transaction_fuel_max",
                        value: self.transaction_fuel_max,
                        least: 1_000_000,
                        most: self.batch_fuel_max,
                    });
                }
                Ok(())
            }
        }
    };
}

/// A limit outside its possible range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} = {value} is impossible: it must be between {least} and {most}")]
pub struct LimitError {
    /// The limit's name.
    pub name: &'static str,
    /// The value given.
    pub value: u64,
    /// The least possible one.
    pub least: u64,
    /// The greatest possible one.
    pub most: u64,
}

limits! {
    /// A signed transaction's encoding.
    transaction_bytes_max: u32 = 524_288, at least 1024, at most 4_194_304;
    /// A batch's encoding.
    batch_bytes_max: u32 = 1_048_576, at least 4096, at most 8_388_608;
    /// Transactions in a batch.
    batch_transactions_max: u32 = 1_000, at least 1, at most 100_000;
    /// Declared fuel of all transactions in a batch.
    batch_fuel_max: u64 = 5_000_000_000, at least 1_000_000, at most 100_000_000_000;
    /// Declared fuel of one transaction.
    transaction_fuel_max: u64 = 500_000_000, at least 1_000_000, at most 100_000_000_000;
    /// How far `valid_until` may lie ahead of block time.
    valid_for_ms_max: u64 = 3_600_000, at least 1_000, at most 604_800_000;
    /// How far a fresh proposal's time may lie from a validator's clock, either way.
    clock_drift_ms_max: u64 = 10_000, at least 100, at most 600_000;
    /// Slots open at once (the paper's log size; its low and high water marks are this far apart).
    window_slots: u32 = 16, at least 1, at most 128;
    /// An idle primary proposes an empty batch after this time.
    heartbeat_ms: u64 = 2_000, at least 50, at most 3_600_000;
    /// A contract's Wasm module.
    code_bytes_max: u32 = 262_144, at least 1024, at most 4_000_000;
    /// Functions in a module.
    functions_max: u32 = 4_096, at least 1, at most 100_000;
    /// Parameters and locals of one function.
    locals_max: u32 = 512, at least 16, at most 10_000;
    /// Linear memory of one running contract, in pages of 64 KiB.
    memory_pages_max: u32 = 64, at least 1, at most 1024;
    /// Entries in a table.
    table_entries_max: u32 = 4_096, at least 1, at most 100_000;
    /// Stack, in values (parameters, locals and operands) over all live frames of all contracts that
    /// run within each other.
    stack_values_max: u32 = 16_384, at least 256, at most 65_536;
    /// Contracts running within each other in one transaction: the one that it calls counts as one,
    /// so with 1 no contract can call another.
    call_depth_max: u32 = 8, at least 1, at most 32;
    /// A method's name.
    method_bytes_max: u32 = 64, at least 8, at most 256;
    /// The encoded arguments of a call.
    args_bytes_max: u32 = 65_536, at least 64, at most 1_048_576;
    /// A storage key, without the contract's prefix.
    key_bytes_max: u32 = 256, at least 32, at most 1024;
    /// A storage value.
    value_bytes_max: u32 = 65_536, at least 64, at most 1_048_576;
    /// An event's topic and data together.
    event_bytes_max: u32 = 8_192, at least 64, at most 65_536;
    /// Events of one transaction.
    events_max: u32 = 64, at least 1, at most 1024;
    /// A returned value, or the data of a revert.
    return_bytes_max: u32 = 65_536, at least 64, at most 1_048_576;
    /// Accounts that may upgrade one contract.
    upgraders_max: u32 = 16, at least 1, at most 64;
}
