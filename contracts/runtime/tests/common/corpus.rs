//! The worst modules that we could think of, each with the end that it comes to.
//!
//! What is here besides `modules.rs` (each rule of deployment by its name), `traps.rs` (each trap by
//! its instruction), `calls.rs` and `stack.rs` are programs that try to take more than one of those.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test that compiles this module uses its own part of it"
)]

use chancery_ledger::TrapKind;
use wasm_encoder::{
    CodeSection, CustomSection, ExportKind, ExportSection, Function, FunctionSection, Instruction,
    Module, TypeSection, ValType,
};

use super::text::{IMPORTS, module, wasm};

/// What a hostile call declares: enough to do damage, if damage could be done.
pub const HOSTILE_FUEL: u64 = 40_000_000;

/// The `call.run` of a contract that means no harm: it stores and returns something.
pub const FRIENDLY: &str = "
    (call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))
    (call $return_value (i32.const 0) (i32.const 3))";

/// How a hostile module ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// Its deployment, by a rule that `chancery contract check` names too.
    Refused(&'static str),
    /// Its deployment, while `init` runs.
    Init(TrapKind),
    /// Its `call.run`, whose arguments are the address of a contract that means no harm.
    Trap(TrapKind),
    /// Nothing is wrong with it.
    Applied,
}

use End::{Applied, Init, Refused, Trap};

impl End {
    /// The rule by which the module is not let in.
    pub fn rule(self) -> Option<&'static str> {
        match self {
            Refused(rule) => Some(rule),
            Init(_) | Trap(_) | Applied => None,
        }
    }

    /// How its deployment traps, and how its call does, if they do.
    pub fn traps(self) -> (Option<TrapKind>, Option<TrapKind>) {
        let never_there = Some(TrapKind::UnknownContract);
        match self {
            Refused(_) => (Some(TrapKind::ModuleRefused), never_there),
            Init(kind) => (Some(kind), never_there),
            Trap(kind) => (None, Some(kind)),
            Applied => (None, None),
        }
    }
}

/// Its name, the module, and what becomes of it.
pub type Attack = (&'static str, Vec<u8>, End);

/// A `call.run` that does that again and again.
fn storm(step: &str) -> Vec<u8> {
    let body = format!("(drop (call $input (i32.const 1024) (i32.const 32))) (loop {step} (br 0))");
    wasm(&module(&body))
}

fn attack(body: &str) -> Vec<u8> {
    wasm(&module(body))
}

/// Programs that never want to end, or want all there is.
pub fn greedy() -> Vec<Attack> {
    let out = Trap(TrapKind::OutOfFuel);
    let to_the_friend = "(drop (call $call (i32.const 1024) (i32.const 16) (i32.const 3)
        (i32.const 0) (i32.const 0)))";
    let friend = format!("(i32.store (i32.const 16) (i32.const 0x6e7572)) {to_the_friend}");
    let stack = format!(
        "(module (func $f (result i32) {} (call $f) {}) (func (export \"call.run\") (drop (call $f))))",
        "(i32.const 1) ".repeat(120),
        "(i32.add) ".repeat(120)
    );
    let init = module("(loop br 0)").replace("call.run", "init");
    vec![
        ("a loop without end", attack("(loop br 0)"), out),
        (
            "a loop through a table of branches",
            attack("(loop (br_table 0 0 0 (i32.const 1)))"),
            out,
        ),
        (
            "an init without end",
            wasm(&init),
            Init(TrapKind::OutOfFuel),
        ),
        (
            "a recursion that keeps its operands",
            wasm(&stack),
            Trap(TrapKind::StackTooDeep),
        ),
        (
            "all memory, page by page",
            storm("(drop (memory.grow (i32.const 1)))"),
            Trap(TrapKind::MemoryLimit),
        ),
        (
            "all memory at once, touched for ever",
            attack(
                "(drop (memory.grow (i32.const 62))) (loop
                (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 4096)))
                (i64.store (i32.and (i32.load (i32.const 0)) (i32.const 0x3fffff)) (i64.const -1))
                (br 0))",
            ),
            out,
        ),
        (
            "hashing without end",
            storm("(call $sha256 (i32.const 0) (i32.const 131072) (i32.const 0))"),
            out,
        ),
        (
            "reading without end",
            storm(
                "(drop (call $storage_get (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 131072)))",
            ),
            out,
        ),
        (
            "one entry, written without end",
            storm(
                "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 65536))",
            ),
            out,
        ),
        (
            "entries without end",
            storm(
                "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
             (call $storage_set (i32.const 0) (i32.const 256) (i32.const 0) (i32.const 1))",
            ),
            out,
        ),
        (
            "removing what is not there",
            storm("(call $storage_remove (i32.const 0) (i32.const 3))"),
            out,
        ),
        (
            "long events",
            storm("(call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 8189))"),
            out,
        ),
        (
            "many events",
            storm("(call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0))"),
            Trap(TrapKind::SizeLimit),
        ),
        (
            "returning without end",
            storm("(call $return_value (i32.const 0) (i32.const 65536))"),
            out,
        ),
        (
            "logging without end",
            storm("(call $debug_log (i32.const 0) (i32.const 131072))"),
            out,
        ),
        (
            "asking for the input",
            storm("(drop (call $input (i32.const 0) (i32.const 131072)))"),
            out,
        ),
        (
            "asking who calls",
            storm("(drop (call $caller (i32.const 0)))"),
            out,
        ),
        (
            "asking who it is",
            storm("(call $own_address (i32.const 0))"),
            out,
        ),
        (
            "asking for the transaction",
            storm("(call $transaction_id (i32.const 0))"),
            out,
        ),
        (
            "asking for the time",
            storm("(drop (call $block_time)) (drop (call $block_height))"),
            out,
        ),
        (
            "asking for roles",
            storm("(drop (call $roles (i32.const 1024)))"),
            out,
        ),
        (
            "asking for output that is not there",
            storm("(drop (call $call_output (i32.const 0) (i32.const 131072)))"),
            out,
        ),
        ("calling another without end", storm(&friend), out),
        (
            "the longest answer",
            attack("(call $return_value (i32.const 0) (i32.const 65536))"),
            Applied,
        ),
    ]
}

/// Programs that are not what they seem.
pub fn crooked() -> Vec<Attack> {
    let exporting = |what: &str| {
        format!(
            r#"(module {IMPORTS} (memory (export "memory") 0) (export "call.run" (func {what})))"#
        )
    };
    let through_a_table = format!(
        r#"(module {IMPORTS} (memory (export "memory") 1) (table 2 funcref)
        (type $three (func (param i32 i32 i32))) (elem (i32.const 0) $sha256 $revert)
        (func (export "call.run") (call_indirect (type $three)
            (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0))))"#
    );
    let no_pages = format!(
        r#"(module {IMPORTS} (memory (export "memory") 0) (func (export "call.run")
            (call $debug_log (i32.const 0) (i32.const 0))
            (call $own_address (i32.const 0))))"#
    );
    let hidden = format!(
        r#"(module {IMPORTS} (memory 1) (func (export "call.run")
            (call $debug_log (i32.const 0) (i32.const 0))))"#
    );
    let many_names: String = (0..100)
        .map(|i| format!(r#"(export "call.f{i}" (func $f)) (export "view.v{i}" (func $f))"#))
        .collect();
    let writing =
        module("(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))");
    let full = "(data (i32.const 65535) \"x\") (data (i32.const 65536) \"\")".repeat(64);
    vec![
        (
            "a host function as a method",
            wasm(&exporting("$bad_arguments")),
            Trap(TrapKind::BadArguments),
        ),
        (
            "a host function through a table",
            wasm(&through_a_table),
            Trap(TrapKind::OutOfBounds),
        ),
        (
            "a memory of no pages",
            wasm(&no_pages),
            Trap(TrapKind::OutOfBounds),
        ),
        (
            "a memory that is kept to itself",
            wasm(&hidden),
            Trap(TrapKind::OutOfBounds),
        ),
        (
            "a view that writes",
            wasm(&writing.replace("call.run", "view.run")),
            Trap(TrapKind::WriteInView),
        ),
        (
            "two hundred names for one function",
            wasm(&format!(
                "(module (func $f (export \"call.run\")) {many_names})"
            )),
            Applied,
        ),
        (
            "as many segments as may be, in one place",
            wasm(&format!(
                r#"(module (memory (export "memory") 1) {full} (func (export "call.run")))"#
            )),
            Applied,
        ),
        ("names that are noise", noisy(), Applied),
        (
            "blocks as deep as may be",
            wasm(&format!(
                "(module (func (export \"call.run\") {}{}))",
                "(block ".repeat(1_000),
                ")".repeat(1_000)
            )),
            Applied,
        ),
        (
            "as many locals as may be",
            wasm(&format!(
                "(module (func (export \"call.run\") (local {})))",
                "i64 ".repeat(512)
            )),
            Applied,
        ),
        (
            "as many functions as may be",
            wasm(&format!(
                "(module (func (export \"call.run\")) {})",
                "(func)".repeat(4_095)
            )),
            Applied,
        ),
    ]
}

/// A function section, an export `call.run`, and whatever else.
fn with_code(functions: &[Function], customs: &[(&str, &[u8])]) -> Vec<u8> {
    let mut module = Module::new();
    for (name, data) in customs {
        module.section(&CustomSection {
            name: (*name).into(),
            data: (*data).into(),
        });
    }
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut section = FunctionSection::new();
    let mut code = CodeSection::new();
    for function in functions {
        section.function(0);
        code.function(function);
    }
    let mut exports = ExportSection::new();
    exports.export("call.run", ExportKind::Func, 0);
    module
        .section(&types)
        .section(&section)
        .section(&exports)
        .section(&code);
    module.finish()
}

fn ending(locals: &[(u32, ValType)]) -> Function {
    let mut function = Function::new(locals.iter().copied());
    function.instruction(&Instruction::End);
    function
}

/// Sections for debuggers that are no such thing, again and again.
fn noisy() -> Vec<u8> {
    let noise = [0xff_u8; 100];
    let customs: Vec<(&str, &[u8])> = ["name", "producers", "target_features", ""]
        .into_iter()
        .map(|name| (name, &noise[..]))
        .collect();
    with_code(&[ending(&[])], &customs.repeat(300))
}

/// What no rule lets in.
pub fn forbidden() -> Vec<Attack> {
    let refused = |name, text: &str| (name, wasm(text), Refused("Malformed"));
    let mut attacks = vec![
        refused(
            "growing a table",
            "(module (table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1)))))",
        ),
        refused(
            "references",
            "(module (func $f (drop (ref.func $f))) (elem declare func $f))",
        ),
        refused(
            "typed references",
            "(module (type $t (func)) (func (param (ref null $t)) (call_ref $t (local.get 0))))",
        ),
        refused("structures", "(module (type (struct (field i32))))"),
        refused("vectors", "(module (func (drop (v128.const i64x2 0 0))))"),
        refused(
            "atomics",
            "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
        ),
        refused("exceptions", "(module (tag $t) (func (throw $t)))"),
        refused(
            "copying",
            "(module (memory 1) (func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))))",
        ),
        refused(
            "sign extension",
            "(module (func (drop (i64.extend32_s (i64.const 1)))))",
        ),
        refused(
            "sums in a global",
            "(module (global i32 (i32.add (i32.const 1) (i32.const 1))))",
        ),
        refused("pages of one byte", "(module (memory 1 (pagesize 1)))"),
        refused(
            "sums of 128 bits",
            "(module (func (result i64 i64) (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))))",
        ),
        refused("a component", "(component)"),
        (
            "truncated floats",
            wasm("(module (func (drop (i32.trunc_sat_f32_s (f32.const 1)))))"),
            Refused("Float"),
        ),
        (
            "four thousand million locals",
            with_code(&[ending(&[(u32::MAX, ValType::I64)])], &[]),
            Refused("Malformed"),
        ),
        (
            "forty thousand locals",
            with_code(&[ending(&[(40_000, ValType::I64)])], &[]),
            Refused("TooManyLocals"),
        ),
        (
            "fifty thousand functions",
            with_code(&vec![ending(&[]); 50_000], &[]),
            Refused("TooManyFunctions"),
        ),
        (
            "thirty thousand blocks within each other",
            {
                let mut function = Function::new([]);
                for _ in 0..30_000 {
                    function.instruction(&Instruction::Block(wasm_encoder::BlockType::Empty));
                }
                with_code(&[function], &[])
            },
            Refused("NestedTooDeep"),
        ),
    ];
    attacks.extend(lying());
    attacks.extend(truncated());
    attacks
}

/// Schemas that are not true, or no schemas.
fn lying() -> Vec<Attack> {
    let with = |schema: &[u8]| with_code(&[ending(&[])], &[("chancery.schema", schema)]);
    let method =
        |more: &str| format!(r#"{{"name":"T","methods":[{{"name":"run","kind":"call"{more}}}]}}"#);
    let returning = |kind: &str| with(method(&format!(r#","returns":"{kind}""#)).as_bytes());
    let deep = |open: &str, close: &str, times| {
        [open.repeat(times), "u8".to_owned(), close.repeat(times)].concat()
    };
    let malformed = Refused("SchemaMalformed");
    let many: String = (0..1_500)
        .map(|i| format!(r#",{{"name":"m{i}","kind":"call"}}"#))
        .collect();
    let many = method("").replace("]}", &format!("{many}]}}"));
    vec![
        (
            "a schema of a megabyte",
            with(&[b' '; 200_000]),
            Refused("SchemaTooLong"),
        ),
        ("a schema that is noise", with(&[0xff; 1_000]), malformed),
        ("a schema of brackets", with(&[b'['; 60_000]), malformed),
        (
            "a schema of objects",
            with(r#"{"name":"#.repeat(7_000).as_bytes()),
            malformed,
        ),
        ("a schema that is a number", with(b"1e999999"), malformed),
        (
            "a schema of one name twice",
            with(br#"{"name":"T","name":"U","methods":[]}"#),
            malformed,
        ),
        (
            "a type of options within options",
            returning(&deep("option<", ">", 5_000)),
            malformed,
        ),
        (
            "a type of lists within lists",
            returning(&deep("list<", ">", 9)),
            malformed,
        ),
        (
            "a type of records within records",
            returning(&deep("{a:", "}", 9)),
            malformed,
        ),
        (
            "methods that are not there",
            with(many.as_bytes()),
            Refused("SchemaMethodMissing"),
        ),
        (
            "a method of another kind",
            with(method("").replace("call", "view").as_bytes()),
            Refused("SchemaMethodMissing"),
        ),
        (
            "a schema of nothing",
            with(br#"{"name":"T","methods":[]}"#),
            Refused("SchemaMethodSilent"),
        ),
    ]
}

/// Sections that say that they hold more than there is.
fn truncated() -> Vec<Attack> {
    let header = b"\0asm\x01\0\0\0";
    let claims = |section: u8| [&header[..], &[section, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    let too_many = [
        "",
        "TooManyTypes",
        "TooManyImports",
        "TooManyFunctions",
        "Malformed",
        "Malformed",
        "TooManyGlobals",
        "TooManyExports",
        "StartFunction",
        "TooManyElementSegments",
        "Malformed",
        "TooManyDataSegments",
    ];
    let mut attacks: Vec<Attack> = (1..=11)
        .map(|section| {
            (
                "four thousand million items",
                claims(section),
                Refused(too_many[usize::from(section)]),
            )
        })
        .collect();
    let longer = [&header[..], &[1, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    attacks.push(("a section of four gigabytes", longer, Refused("Malformed")));
    attacks
}
