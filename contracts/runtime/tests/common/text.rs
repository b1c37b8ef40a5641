//! Modules as text.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test that compiles this module uses its own part of it"
)]

pub fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).expect("the text of a test is well-formed")
}

/// Every host function, under its own name.
pub const IMPORTS: &str = r#"
    (import "chancery" "input" (func $input (param i32 i32) (result i32)))
    (import "chancery" "storage_get" (func $storage_get (param i32 i32 i32 i32) (result i32)))
    (import "chancery" "storage_set" (func $storage_set (param i32 i32 i32 i32)))
    (import "chancery" "storage_remove" (func $storage_remove (param i32 i32)))
    (import "chancery" "caller" (func $caller (param i32) (result i32)))
    (import "chancery" "own_address" (func $own_address (param i32)))
    (import "chancery" "transaction_id" (func $transaction_id (param i32)))
    (import "chancery" "block_time" (func $block_time (result i64)))
    (import "chancery" "block_height" (func $block_height (result i64)))
    (import "chancery" "emit" (func $emit (param i32 i32 i32 i32)))
    (import "chancery" "return_value" (func $return_value (param i32 i32)))
    (import "chancery" "revert" (func $revert (param i32 i32 i32)))
    (import "chancery" "bad_arguments" (func $bad_arguments))
    (import "chancery" "sha256" (func $sha256 (param i32 i32 i32)))
    (import "chancery" "roles" (func $roles (param i32) (result i32)))
    (import "chancery" "call" (func $call (param i32 i32 i32 i32 i32) (result i32)))
    (import "chancery" "view" (func $view (param i32 i32 i32 i32 i32) (result i32)))
    (import "chancery" "call_output" (func $call_output (param i32 i32) (result i32)))
    (import "chancery" "debug_log" (func $debug_log (param i32 i32)))
"#;

/// A module with every import, two pages of memory that begins with `abc`, and `call.run`.
pub fn module(body: &str) -> String {
    format!(
        r#"(module {IMPORTS}
            (memory (export "memory") 2)
            (data (i32.const 0) "abc")
            (func (export "call.run") {body}))"#
    )
}
