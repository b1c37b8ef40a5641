//! The boundary between a contract and its host: the one place where its names stand.
//!
//! A module exports its memory as [`MEMORY`] and functions without parameters or results:
//! [`INIT`], `call.NAME` and `view.NAME`. It imports any of [`HOST_FUNCTIONS`] from [`MODULE`].
//! Pointers and lengths are `i32`s taken as unsigned; a range outside of memory ends the call.
//! Functions that fill a buffer write at most its capacity and return the whole length.

/// The module that all imports come from.
pub const MODULE: &str = "chancery";
/// The exported memory.
pub const MEMORY: &str = "memory";
/// The export that runs once, at deployment.
pub const INIT: &str = "init";
/// What the export of a method that may write begins with.
pub const CALL_PREFIX: &str = "call.";
/// What the export of a method that may only read begins with.
pub const VIEW_PREFIX: &str = "view.";
/// The custom section that holds the schema, as JSON.
pub const SCHEMA_SECTION: &str = "chancery.schema";
/// What linkers export beside: globals that hold addresses, of no use to the host.
pub const LINKER_GLOBALS: [&str; 2] = ["__data_end", "__heap_base"];
/// What [`STORAGE_GET`] returns where nothing is stored.
pub const ABSENT: i32 = -1;

/// A type at the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
}

/// An import that a contract may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFunction {
    /// Its name in [`MODULE`].
    pub name: &'static str,
    /// Its parameters.
    pub params: &'static [ValueType],
    /// Its results.
    pub results: &'static [ValueType],
}

macro_rules! host_functions {
    ($($(#[$doc:meta])* $constant:ident = $name:literal ($($param:ident)*) -> ($($result:ident)?);)*) => {
        $($(#[$doc])* pub const $constant: &str = $name;)*

        /// All of them.
        pub const HOST_FUNCTIONS: &[HostFunction] = &[
            $(HostFunction {
                name: $name,
                params: &[$(ValueType::$param),*],
                results: &[$(ValueType::$result)?],
            },)*
        ];
    };
}

host_functions! {
    /// `input(out, capacity) -> len`: the encoded arguments.
    INPUT = "input" (I32 I32) -> (I32);
    /// `storage_get(key, key_len, out, capacity) -> len`, or [`ABSENT`].
    STORAGE_GET = "storage_get" (I32 I32 I32 I32) -> (I32);
    /// `storage_set(key, key_len, value, value_len)`; an empty value is refused.
    STORAGE_SET = "storage_set" (I32 I32 I32 I32) -> ();
    /// `storage_remove(key, key_len)`; removing nothing is fine.
    STORAGE_REMOVE = "storage_remove" (I32 I32) -> ();
    /// `caller(out)`: 32 bytes, the sender of the transaction; zero in a query.
    CALLER = "caller" (I32) -> ();
    /// `own_address(out)`: 32 bytes.
    OWN_ADDRESS = "own_address" (I32) -> ();
    /// `transaction_id(out)`: 32 bytes; zero in a query.
    TRANSACTION_ID = "transaction_id" (I32) -> ();
    /// `block_time() -> ms` since the Unix epoch; for a query, the time it asks about.
    BLOCK_TIME = "block_time" () -> (I64);
    /// `block_height()`
    BLOCK_HEIGHT = "block_height" () -> (I64);
    /// `emit(topic, topic_len, data, data_len)`; the topic is UTF-8.
    EMIT = "emit" (I32 I32 I32 I32) -> ();
    /// `return_value(data, len)`; the last one counts.
    RETURN_VALUE = "return_value" (I32 I32) -> ();
    /// `revert(code, data, len)`: ends the call, rolls back. Does not return.
    REVERT = "revert" (I32 I32 I32) -> ();
    /// `bad_arguments()`: the arguments could not be decoded. Does not return.
    BAD_ARGUMENTS = "bad_arguments" () -> ();
    /// `sha256(data, len, out)`: writes 32 bytes.
    SHA256 = "sha256" (I32 I32 I32) -> ();
    /// `debug_log(text, len)`: shown by tests and development tools; costs the same everywhere and
    /// changes nothing anywhere.
    DEBUG_LOG = "debug_log" (I32 I32) -> ();
}
