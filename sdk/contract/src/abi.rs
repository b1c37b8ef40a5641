//! The boundary between a contract and its host: the one place where its names stand.
//!
//! A module exports its memory as [`MEMORY`] and functions without parameters or results:
//! [`INIT`], [`MIGRATE`], `call.NAME` and `view.NAME`. It imports any of [`HOST_FUNCTIONS`] from [`MODULE`].
//! Pointers and lengths are `i32`s taken as unsigned; a range outside of memory ends the call.
//! Functions that fill a buffer write at most its capacity and return the whole length.

/// The module that all imports come from.
pub const MODULE: &str = "chancery";
/// The exported memory.
pub const MEMORY: &str = "memory";
/// The export that runs once, at deployment.
pub const INIT: &str = "init";
/// The export that runs once under new code, on the state that the old code left.
pub const MIGRATE: &str = "migrate";
/// What the export of a method that may write begins with.
pub const CALL_PREFIX: &str = "call.";
/// What the export of a method that may only read begins with.
pub const VIEW_PREFIX: &str = "view.";
/// The custom section that holds the schema, as JSON.
pub const SCHEMA_SECTION: &str = "chancery.schema";
/// The longest schema that any chain may allow, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 65_536;
/// What linkers export beside: globals that hold addresses, of no use to the host.
pub const LINKER_GLOBALS: [&str; 2] = ["__data_end", "__heap_base"];
/// What [`STORAGE_GET`] returns where nothing is stored, and [`ROLES`] of an account that was never
/// admitted.
pub const ABSENT: i32 = -1;
/// What [`CALLER`] returns in a query: nobody calls, and the 32 bytes are zero.
pub const CALLER_NOBODY: i32 = 0;
/// What [`CALLER`] returns where an account calls: the bytes are its public key.
pub const CALLER_ACCOUNT: i32 = 1;
/// What [`CALLER`] returns where a contract calls: the bytes are its address.
pub const CALLER_CONTRACT: i32 = 2;
/// The bit of [`ROLES`] for accounts that may admit accounts.
pub const ROLE_REGISTRAR: i32 = 1;
/// The bit of [`ROLES`] for accounts that may deploy contracts.
pub const ROLE_DEPLOYER: i32 = 2;
/// What [`CALL`] and [`VIEW`] return when the other contract has returned.
pub const RETURNED: i32 = 0;
/// What [`CALL`] and [`VIEW`] return when the other contract has refused: its changes and events
/// are gone, those of the calling contract are not.
pub const REVERTED: i32 = 1;

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
    /// `caller(out) -> kind`: 32 bytes, and whose they are: [`CALLER_NOBODY`], [`CALLER_ACCOUNT`]
    /// (the sender of the transaction) or [`CALLER_CONTRACT`] (the contract that called this one).
    CALLER = "caller" (I32) -> (I32);
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
    /// `roles(account) -> bits` of the account whose 32 bytes stand there, as the ledger has them now:
    /// [`ROLE_REGISTRAR`], [`ROLE_DEPLOYER`], both, 0; or [`ABSENT`].
    ROLES = "roles" (I32) -> (I32);
    /// `call(contract, method, method_len, args, args_len) -> `[`RETURNED`]` or `[`REVERTED`]: runs a
    /// `call.` or `view.` method of the contract whose 32-byte address stands at `contract`, and
    /// keeps what came of it for [`CALL_OUTPUT`]. From a view, only a `view.` method can be reached.
    ///
    /// Everything else ends the whole transaction: no such contract or method, too many calls
    /// within each other, a contract that is running already, and whatever ends the callee.
    CALL = "call" (I32 I32 I32 I32 I32) -> (I32);
    /// The same for `view.` methods only: nothing can have changed when it returns.
    VIEW = "view" (I32 I32 I32 I32 I32) -> (I32);
    /// `call_output(out, capacity) -> len`: what the last [`CALL`] or [`VIEW`] came to. After
    /// [`RETURNED`], the value; after [`REVERTED`], 4 bytes of code (little endian) and the data.
    CALL_OUTPUT = "call_output" (I32 I32) -> (I32);
    /// `debug_log(text, len)`: shown by tests and development tools; costs the same everywhere and
    /// changes nothing anywhere.
    DEBUG_LOG = "debug_log" (I32 I32) -> ();
}
