//! Tries to exhaust the native stack before the count ends a recursion.

use std::fmt::Write as _;
use std::sync::Arc;

use chancery_ledger::{ChainId, ContractId, Height, Millis, TransactionId};

use super::*;
use crate::module::ModuleError;
use crate::overlay::Overlay;
use crate::view::{BlockContext, LedgerView};
use crate::world::{Access, Caller, Invocation, World};

struct Nothing;

impl LedgerView for Nothing {
    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn was_admitted(&self, _: &TransactionId) -> bool {
        false
    }
}

fn state(engine: &Arc<WasmEngine>) -> HostState {
    let context = BlockContext {
        chain: ChainId::default(),
        height: Height(1),
        time: Millis(1),
    };
    let world = World::new(
        Arc::clone(engine),
        Overlay::new(Arc::new(Nothing)),
        context,
        None,
    );
    let invocation = Invocation {
        contract: ContractId::default(),
        caller: Caller::Nobody,
        access: Access::ReadWrite,
        export: "call.run".to_owned(),
        args: Vec::new(),
        stack_values: 0,
    };
    HostState::new(world, invocation, u64::MAX)
}

/// Statements whose results the compiler may compute once and keep alive across the call.
fn shared_values(count: usize) -> String {
    let mut text = String::new();
    for i in 0..count {
        write!(
            text,
            "(i64.store (i32.const {}) (i64.mul (i64.add (local.get 0) (i64.const {i})) (local.get 0)))",
            8 * i
        )
        .expect("writing to a string cannot fail");
    }
    text
}

/// The engine's own trap for an endless recursion through a function of that shape; none if one frame
/// of it is too large.
fn trap_of(engine: &Arc<WasmEngine>, params: usize, locals: usize, shared: usize) -> Option<Trap> {
    let pass: String = (0..params).map(|i| format!("(local.get {i})")).collect();
    let fill: String = (0..locals)
        .map(|i| {
            let local = params + i;
            format!("(local.set {local} (i64.load (i32.const {})))", 8 * i)
        })
        .collect();
    let spill: String = (0..locals)
        .map(|i| {
            let local = params + i;
            format!("(i64.store (i32.const {}) (local.get {local}))", 8 * i)
        })
        .collect();
    let shared = shared_values(shared);
    let wat = format!(
        r#"(module (memory (export "memory") 1)
            (func $f (param {}) (local {})
                {fill} {shared} (call $f {pass}) {shared} {spill})
            (func (export "call.run") (call $f {})))"#,
        "i64 ".repeat(params),
        "i64 ".repeat(locals),
        "(i64.load (i32.const 0))".repeat(params),
    );
    let wasm = wat::parse_str(&wat).expect("well-formed");
    let checked = match module::check(&engine.limits, &wasm) {
        Err(ModuleError::FrameTooLarge { .. }) => return None,
        checked => checked.expect("a good module"),
    };
    let compiled = engine.compile_checked(&wasm, &checked).expect("compiles");
    let trap = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(engine.stack_bytes())
            .spawn_scoped(scope, || {
                let mut store = Store::new(&engine.engine, state(engine));
                store.set_fuel(u64::MAX / 4).expect("fuel is switched on");
                let instance = compiled.instance.instantiate(&mut store).expect("starts");
                let run = instance.get_typed_func::<(), ()>(&mut store, "call.run");
                let error = run
                    .expect("exported")
                    .call(&mut store, ())
                    .expect_err("it never ends");
                *error.downcast_ref::<Trap>().expect("a trap")
            })
            .expect("a thread starts")
            .join()
            .expect("no panic")
    });
    Some(trap)
}

#[test]
fn the_count_ends_every_recursion_before_the_native_stack_does() {
    for stack_values_max in [1_024, 16_384, 65_536] {
        let limits = ChainLimits {
            stack_values_max,
            ..ChainLimits::default()
        };
        let engine = Arc::new(WasmEngine::new(limits, 1, None).expect("starts"));
        for (params, locals, shared) in [
            (0, 0, 0),
            (1, 0, 1),
            (1, 0, 4),
            (1, 0, 16),
            (1, 0, 64),
            (1, 0, 300),
            (1, 0, 1_000),
            (0, 30, 0),
            (0, 510, 0),
            (2, 500, 100),
            (8, 0, 0),
            (32, 0, 0),
            (32, 0, 10),
            (32, 478, 0),
        ] {
            let trap = trap_of(&engine, params, locals, shared);
            let shape = (stack_values_max, params, locals, shared);
            match trap {
                Some(trap) => assert_eq!(trap, Trap::UnreachableCodeReached, "{shape:?}"),
                None => assert_eq!(stack_values_max, 1_024, "{shape:?}"),
            }
        }
    }
}
