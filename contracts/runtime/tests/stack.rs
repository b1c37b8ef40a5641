//! The stack ends at the same call on every machine, and long before the native one does.

mod common;

use chancery_ledger::{Status, TrapKind};
use common::{Ledger, trap_of, value_of};

/// Recursion through a function with these locals; the depth reached is
/// counted in memory, and returned when `depth_max` is reached first.
fn recursion(locals: usize) -> String {
    let locals = "i64 ".repeat(locals);
    format!(
        r#"(module
            (import "chancery" "input" (func $input (param i32 i32) (result i32)))
            (import "chancery" "return_value" (func $return (param i32 i32)))
            (memory (export "memory") 1)
            (func $f (local {locals})
                (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
                (if (i32.ge_u (i32.load (i32.const 0)) (i32.load (i32.const 4)))
                    (then (return)))
                (call $f))
            (func (export "call.run")
                (drop (call $input (i32.const 4) (i32.const 4)))
                (call $f)
                (call $return (i32.const 0) (i32.const 4))))"#
    )
}

/// How deep `wat` gets under those limits: the last depth that is applied.
fn deepest(ledger: &mut Ledger, wat: &str) -> u32 {
    let contract = ledger.deploy(wat);
    let mut reaches = |depth: u32| {
        let receipt = ledger.invoke(contract, "run", depth.to_le_bytes().to_vec());
        match receipt.status {
            Status::Applied { value } => {
                assert_eq!(value, depth.to_le_bytes());
                true
            }
            _ => {
                assert_eq!(trap_of(&receipt), TrapKind::StackTooDeep);
                false
            }
        }
    };
    let (mut below, mut above) = (1, 1_000_000);
    assert!(reaches(below) && !reaches(above));
    while above - below > 1 {
        let middle = u32::midpoint(below, above);
        if reaches(middle) {
            below = middle;
        } else {
            above = middle;
        }
    }
    below
}

#[test]
fn depth_is_what_the_sizes_of_frames_say() {
    let mut ledger = Ledger::new();
    let small = deepest(&mut ledger, &recursion(0));
    let larger = deepest(&mut ledger, &recursion(100));
    // 16,384 values: 4 for a frame, 3 operands, 2 for 33 bytes of code; and 100 locals. These are
    // results on a ledger: other numbers are another protocol.
    assert_eq!((small, larger), (1_819, 150));
}

#[test]
fn the_count_goes_down_again() {
    let wat = r#"(module
        (func $leaf)
        (func (export "call.run") (local $i i32)
            (loop
                (call $leaf)
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $i) (i32.const 100000))))))"#;
    let mut ledger = Ledger::new();
    let contract = ledger.deploy(wat);
    assert!(value_of(&ledger.invoke(contract, "run", Vec::new())).is_empty());
}

#[test]
fn mutual_and_indirect_recursion_end_alike() {
    let wat = r#"(module
        (type $plain (func))
        (table 2 funcref) (elem (i32.const 0) $a $b)
        (func $a (call_indirect (type $plain) (i32.const 1)))
        (func $b (call $a))
        (func (export "call.run") (call $a)))"#;
    let mut ledger = Ledger::new();
    let contract = ledger.deploy(wat);
    let receipt = ledger.invoke(contract, "run", Vec::new());
    assert_eq!(trap_of(&receipt), TrapKind::StackTooDeep);
}
