//! The chain-wide limits: they change results, so genesis fixes them for everybody.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::prices::FuelPrices;

/// A struct of numbers, each with its default and its possible range, and of tables of such numbers.
/// `named` is what stands before the names of its numbers in errors.
macro_rules! ranged {
    (
        $(#[$struct_doc:meta])*
        $struct:ident named $prefix:literal {
            $($(#[$doc:meta])* $name:ident: $kind:ty = $default:expr, at least $least:expr, at most $most:expr;)*
        }
        tables {
            $($(#[$table_doc:meta])* $table:ident: $table_kind:ty;)*
        }
    ) => {
        $(#[$struct_doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(deny_unknown_fields, default)]
        pub struct $struct {
            $($(#[$doc])* pub $name: $kind,)*
            $($(#[$table_doc])* pub $table: $table_kind,)*
        }

        impl Default for $struct {
            fn default() -> Self {
                Self {
                    $($name: $default,)*
                    $($table: Default::default(),)*
                }
            }
        }

        impl $struct {
            /// Checks that every number is in its possible range.
            pub(crate) fn check_ranges(&self) -> Result<(), $crate::limits::LimitError> {
                $(
                    let (least, most): ($kind, $kind) = ($least, $most);
                    if self.$name < least || self.$name > most {
                        return Err($crate::limits::LimitError::OutOfRange {
                            name: concat!($prefix, stringify!($name)),
                            value: self.$name.into(),
                            least: least.into(),
                            most: most.into(),
                        });
                    }
                )*
                $(self.$table.check_ranges()?;)*
                Ok(())
            }
        }
    };
}
pub(crate) use ranged;

/// The most bytes of entries, of events or of returned values that a batch can pay for: they are in
/// memory until its block is made.
const BOUGHT_BYTES_MAX: u64 = 1 << 30;

/// What a transaction with the longest code has room for beside it: its signature, its parties, some
/// arguments, and as many as can be of those who may upgrade it.
const BESIDE_CODE_BYTES: u64 = 4_096;

/// The most bytes of events that one receipt may have: a proof file, which has them in base64, is
/// never longer than 64 MiB.
const RECEIPT_EVENT_BYTES_MAX: u64 = 32 << 20;

/// A choice of limits that is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// A limit or a price outside its possible range.
    #[error("{name} = {value} is impossible: it must be between {least} and {most}")]
    OutOfRange {
        /// Its name; that of a price begins with `fuel.`.
        name: &'static str,
        /// The value given.
        value: u64,
        /// The least possible one.
        least: u64,
        /// The greatest possible one.
        most: u64,
    },
    /// At these prices, what is plain could not be paid for.
    #[error(
        "{name} = {value} is too little: {what} takes {takes} at these prices, so it must be at least {least}"
    )]
    TooLittleFuel {
        /// The limit's name.
        name: &'static str,
        /// The value given.
        value: u64,
        /// What could not be paid for.
        what: &'static str,
        /// [`FuelPrices::plain_call`] or [`FuelPrices::plain_deployment`].
        takes: u64,
        /// The least possible value.
        least: u64,
    },
    /// At this price, the fuel of one batch would buy more bytes than every validator has memory for.
    #[error(
        "{name} = {value} is too cheap: batch_fuel_max = {batch_fuel_max} would buy more than {BOUGHT_BYTES_MAX} bytes, so it must be at least {least}"
    )]
    TooCheap {
        /// The price's name.
        name: &'static str,
        /// The price given.
        value: u64,
        /// The limit on the fuel of a batch.
        batch_fuel_max: u64,
        /// The least possible price.
        least: u64,
    },
    /// A module may be longer than what a transaction could carry.
    #[error(
        "transaction_bytes_max = {value} is too little: code_bytes_max = {code_bytes_max} bytes of code need a transaction of {least}"
    )]
    NoRoomForCode {
        /// The limit on a transaction's bytes.
        value: u64,
        /// The limit on a module's.
        code_bytes_max: u64,
        /// The least possible limit on a transaction's.
        least: u64,
    },
    /// The events of one transaction may be longer than a proof of it could hold.
    #[error(
        "events_max = {value} is too many: with event_bytes_max = {event_bytes_max}, a receipt has room for {most}"
    )]
    TooManyEvents {
        /// The limit on a transaction's events.
        value: u64,
        /// The limit on the bytes of each.
        event_bytes_max: u64,
        /// The greatest possible limit on a transaction's events.
        most: u64,
    },
}

ranged! {
    /// Every chain-wide limit, and the prices of fuel. Sizes are in bytes, times in milliseconds unless
    /// said.
    ///
    /// Limits on the shape of modules, from `function_bytes_max` to `schema_bytes_max`, can only be
    /// lowered: they protect the compiler and the host, and nobody has measured these beyond them. The
    /// least of each leaves room for a contract such as those that are shipped.
    ChainLimits named "" {
        /// A signed transaction's encoding.
        transaction_bytes_max: u32 = 524_288, at least 1024, at most 4_194_304;
        /// A batch's encoding.
        batch_bytes_max: u32 = 1_048_576, at least 4096, at most 8_388_608;
        /// Transactions in a batch.
        batch_transactions_max: u32 = 1_000, at least 1, at most 100_000;
        /// Declared fuel of all transactions in a batch.
        batch_fuel_max: u64 = 5_000_000_000, at least 1_000_000, at most 100_000_000_000;
        /// Declared fuel of one transaction. It covers [`FuelPrices::plain_deployment`]; a tenth of it,
        /// which clients declare for a call unless told otherwise, [`FuelPrices::plain_call`].
        transaction_fuel_max: u64 = 500_000_000, at least 1_000_000, at most 100_000_000_000;
        /// What a query may burn; nobody pays for one. The largest code of the default limits can be loaded
        /// with the default.
        query_fuel_max: u64 = 200_000_000, at least 1_000_000, at most 100_000_000_000;
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
        /// The body of one function.
        function_bytes_max: u32 = 65_536, at least 4096, at most 65_536;
        /// How deep blocks may nest in a function.
        nesting_max: u32 = 1_024, at least 32, at most 1_024;
        /// Parameters of a function, or of a type of functions: code is made for each of them, several
        /// times.
        parameters_max: u32 = 32, at least 16, at most 32;
        /// Operands that a function may have at a time.
        operands_max: u32 = 128, at least 16, at most 128;
        /// Locals and operands times blocks and branch targets, summed up over all functions: what the
        /// memory of compiling grows with.
        complexity_max: u64 = 100_000, at least 30_000, at most 100_000;
        /// The same of one function: with its square grows the time that giving registers to it takes,
        /// which is charged.
        function_complexity_max: u64 = 12_500, at least 2_500, at most 12_500;
        /// Types of functions in a module.
        types_max: u32 = 1_024, at least 32, at most 1_024;
        /// Imports of a module.
        imports_max: u32 = 64, at least 32, at most 64;
        /// Globals of a module.
        globals_max: u32 = 1_024, at least 8, at most 1_024;
        /// Exports of a module.
        exports_max: u32 = 256, at least 32, at most 256;
        /// Segments of data, and of table elements, each; every instance is filled from them one by one.
        segments_max: u32 = 128, at least 8, at most 128;
        /// What a module says about itself, in JSON.
        schema_bytes_max: u32 = 65_536, at least 16_384, at most 65_536;
        /// Linear memory of one running contract, in pages of 64 KiB.
        memory_pages_max: u32 = 64, at least 1, at most 1024;
        /// Entries in a table.
        table_entries_max: u32 = 4_096, at least 1, at most 100_000;
        /// Stack, in values (parameters, locals and operands) over all live frames of all contracts that
        /// run within each other.
        stack_values_max: u32 = 16_384, at least 1_024, at most 65_536;
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
    tables {
        /// What things cost.
        fuel: FuelPrices;
    }
}

impl ChainLimits {
    /// Checks that every limit and every price is in its possible range, and that they fit together.
    ///
    /// # Errors
    /// The first one that is not.
    pub fn check(&self) -> Result<(), LimitError> {
        self.check_ranges()?;
        if self.transaction_bytes_max > self.batch_bytes_max {
            return Err(LimitError::OutOfRange {
                name: "transaction_bytes_max",
                value: self.transaction_bytes_max.into(),
                least: 1024,
                most: self.batch_bytes_max.into(),
            });
        }
        if self.transaction_fuel_max > self.batch_fuel_max {
            return Err(LimitError::OutOfRange {
                name: "transaction_fuel_max",
                value: self.transaction_fuel_max,
                least: 1_000_000,
                most: self.batch_fuel_max,
            });
        }
        self.check_room_for_code()?;
        self.check_room_for_events()?;
        self.check_bytes_bought()?;
        self.check_plain_fuel()
    }

    /// Checks that a transaction can carry the longest module there may be.
    fn check_room_for_code(&self) -> Result<(), LimitError> {
        let value = u64::from(self.transaction_bytes_max);
        let code_bytes_max = u64::from(self.code_bytes_max);
        let least = code_bytes_max + BESIDE_CODE_BYTES;
        if value < least {
            return Err(LimitError::NoRoomForCode {
                value,
                code_bytes_max,
                least,
            });
        }
        Ok(())
    }

    /// Checks that a proof can hold the events of a transaction.
    fn check_room_for_events(&self) -> Result<(), LimitError> {
        let value = u64::from(self.events_max);
        let event_bytes_max = u64::from(self.event_bytes_max);
        let most = RECEIPT_EVENT_BYTES_MAX / event_bytes_max;
        if value > most {
            return Err(LimitError::TooManyEvents {
                value,
                event_bytes_max,
                most,
            });
        }
        Ok(())
    }

    /// Checks that no batch can pay for more bytes than a validator can hold in memory.
    fn check_bytes_bought(&self) -> Result<(), LimitError> {
        let batch_fuel_max = self.batch_fuel_max;
        let least = batch_fuel_max.div_ceil(BOUGHT_BYTES_MAX);
        let FuelPrices {
            storage_write_per_byte,
            event_per_byte,
            return_per_byte,
            ..
        } = self.fuel;
        for (name, value) in [
            ("fuel.storage_write_per_byte", storage_write_per_byte),
            ("fuel.event_per_byte", event_per_byte),
            ("fuel.return_per_byte", return_per_byte),
        ] {
            if value < least {
                return Err(LimitError::TooCheap {
                    name,
                    value,
                    batch_fuel_max,
                    least,
                });
            }
        }
        Ok(())
    }

    /// Checks that a usual contract can be deployed, and a call and a view of it paid for. Clients
    /// declare a tenth of what a transaction may burn for a call, and all of it for a deployment.
    fn check_plain_fuel(&self) -> Result<(), LimitError> {
        let (call, deployment) = (self.fuel.plain_call(), self.fuel.plain_deployment());
        let of_call = (
            "a tenth of it is declared for a call, and a plain call",
            call,
        );
        let ten_calls = call.saturating_mul(10);
        // What is refused is told the greater of both at once.
        let ((what, takes), least) = if ten_calls > deployment {
            (of_call, ten_calls)
        } else {
            (("a plain deployment", deployment), deployment)
        };
        let value = self.transaction_fuel_max;
        if value < least {
            return Err(LimitError::TooLittleFuel {
                name: "transaction_fuel_max",
                value,
                what,
                takes,
                least,
            });
        }
        let value = self.query_fuel_max;
        if value < call {
            return Err(LimitError::TooLittleFuel {
                name: "query_fuel_max",
                value,
                what: "a plain call",
                takes: call,
                least: call,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limits with one number changed, as a genesis document would write it.
    fn with(name: &str, value: u64) -> ChainLimits {
        let mut json = serde_json::to_value(ChainLimits::default()).expect("is JSON");
        let place = name
            .split('.')
            .fold(&mut json, |place, part| &mut place[part]);
        assert!(place.is_u64(), "{name} is a number");
        *place = value.into();
        serde_json::from_value(json).expect("fits into its type")
    }

    /// Every number by its name, and its default.
    fn all() -> Vec<(String, u64)> {
        let number = |value: &serde_json::Value| value.as_u64().expect("is a number");
        let json = serde_json::to_value(ChainLimits::default()).expect("is JSON");
        let mut all = Vec::new();
        for (name, value) in json.as_object().expect("is a struct") {
            match value.as_object() {
                None => all.push((name.clone(), number(value))),
                Some(table) => all.extend(
                    table
                        .iter()
                        .map(|(part, value)| (format!("{name}.{part}"), number(value))),
                ),
            }
        }
        all
    }

    /// The range that the refusal of 0 names: nothing may be 0.
    fn range(name: &str) -> (u64, u64) {
        match with(name, 0).check() {
            Err(LimitError::OutOfRange {
                name: named,
                value: 0,
                least,
                most,
            }) if named == name => (least, most),
            other => panic!("{name} = 0: {other:?}"),
        }
    }

    #[test]
    fn every_number_has_a_range_with_its_default_in_it() {
        assert_eq!(ChainLimits::default().check(), Ok(()));
        let all = all();
        assert_eq!(all.len(), 37 + 32);
        for (name, default) in all {
            let (least, most) = range(&name);
            assert!(0 < least && least <= default && default <= most, "{name}");
            let in_range = |value| with(&name, value).check_ranges().is_ok();
            assert!(!in_range(least - 1) && in_range(least), "{name}: {least}");
            assert!(in_range(most), "{name}: {most}");
            // The price of an instruction is a byte, which cannot be more than that.
            assert!(most == 255 || !in_range(most + 1), "{name}: {most}");
        }
    }

    /// Limits with those prices that leave no more than must be for what is plain.
    fn scarce(fuel: FuelPrices) -> ChainLimits {
        let call = fuel.plain_call();
        ChainLimits {
            transaction_fuel_max: fuel.plain_deployment().max(10 * call),
            query_fuel_max: call,
            fuel,
            ..ChainLimits::default()
        }
    }

    #[test]
    fn a_plain_call_and_a_plain_deployment_can_always_be_paid_for() {
        let cheap_to_deploy = FuelPrices {
            deploy_per_byte: 1,
            deploy_per_function: 1,
            deploy_per_parameter: 1,
            deploy_per_1000_complexity_squared: 1,
            ..FuelPrices::default()
        };
        assert!(cheap_to_deploy.plain_deployment() < 10 * cheap_to_deploy.plain_call());
        for fuel in [FuelPrices::default(), cheap_to_deploy] {
            let limits = scarce(fuel);
            assert_eq!(limits.check(), Ok(()));
            let transaction = ChainLimits {
                transaction_fuel_max: limits.transaction_fuel_max - 1,
                ..limits.clone()
            };
            let query = ChainLimits {
                query_fuel_max: limits.query_fuel_max - 1,
                ..limits.clone()
            };
            let mut dearer = limits;
            dearer.fuel.transaction += 1;
            for (limits, expected) in [
                (transaction, "transaction_fuel_max"),
                (query, "query_fuel_max"),
                (dearer, "transaction_fuel_max"),
            ] {
                assert!(
                    matches!(limits.check(), Err(LimitError::TooLittleFuel { name, .. }) if name == expected),
                    "{expected}: {:?}",
                    limits.check()
                );
            }
        }
    }

    /// Who heeds the refusal is not refused again for the same limit.
    #[test]
    fn the_least_fuel_that_a_refusal_names_is_enough() {
        for (name, value) in [
            ("transaction_fuel_max", 1_000_000),
            ("query_fuel_max", 1_000_000),
        ] {
            let error = with(name, value).check().expect_err("is too little");
            let LimitError::TooLittleFuel { least, .. } = error else {
                panic!("{name}: {error}");
            };
            assert_eq!(with(name, least).check(), Ok(()), "{error}");
        }
    }

    #[test]
    fn a_proof_has_room_for_the_events_of_a_transaction() {
        let with = |events_max, event_bytes_max| ChainLimits {
            events_max,
            event_bytes_max,
            ..ChainLimits::default()
        };
        for (events, bytes) in [(1_024, 32_768), (512, 65_536)] {
            assert_eq!(with(events, bytes).check(), Ok(()));
        }
        let error = with(513, 65_536).check().expect_err("33,619,968 bytes");
        assert_eq!(
            error.to_string(),
            "events_max = 513 is too many: with event_bytes_max = 65536, a receipt has room for 512"
        );
        assert!(with(1_024, 32_769).check().is_err());
    }

    #[test]
    fn no_batch_buys_more_bytes_than_memory_holds() {
        for name in [
            "fuel.storage_write_per_byte",
            "fuel.event_per_byte",
            "fuel.return_per_byte",
        ] {
            // 5,000,000,000 units for 2^30 bytes.
            assert_eq!(with(name, 5).check(), Ok(()));
            assert_eq!(
                with(name, 4).check(),
                Err(LimitError::TooCheap {
                    name,
                    value: 4,
                    batch_fuel_max: 5_000_000_000,
                    least: 5,
                })
            );
        }
        // The greatest there is can be had at the usual prices.
        assert_eq!(with("batch_fuel_max", 100_000_000_000).check(), Ok(()));
        let said = with("fuel.event_per_byte", 1)
            .check()
            .expect_err("too cheap");
        assert_eq!(
            said.to_string(),
            "fuel.event_per_byte = 1 is too cheap: batch_fuel_max = 5000000000 would buy more than 1073741824 bytes, so it must be at least 5"
        );
    }

    #[test]
    fn a_transaction_carries_the_longest_code() {
        for code_bytes_max in [1_024, 262_144, 520_192] {
            assert_eq!(with("code_bytes_max", code_bytes_max).check(), Ok(()));
        }
        assert_eq!(
            with("code_bytes_max", 520_193).check(),
            Err(LimitError::NoRoomForCode {
                value: 524_288,
                code_bytes_max: 520_193,
                least: 524_289,
            })
        );
        assert!(with("transaction_bytes_max", 266_239).check().is_err());
        assert_eq!(with("transaction_bytes_max", 266_240).check(), Ok(()));
        // The longest code of all fits into a transaction that may be.
        let longest = ChainLimits {
            code_bytes_max: 4_000_000,
            transaction_bytes_max: 4_194_304,
            batch_bytes_max: 8_388_608,
            ..ChainLimits::default()
        };
        assert_eq!(longest.check(), Ok(()));
    }

    #[test]
    fn one_transaction_fits_into_a_batch() {
        let bytes = with("transaction_bytes_max", 1_048_577);
        let fuel = with("transaction_fuel_max", 5_000_000_001);
        for (limits, expected) in [
            (bytes, "transaction_bytes_max"),
            (fuel, "transaction_fuel_max"),
        ] {
            assert!(
                matches!(limits.check(), Err(LimitError::OutOfRange { name, .. }) if name == expected)
            );
        }
    }
}
