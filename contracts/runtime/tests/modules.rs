//! Which modules are refused, by which rule; every variant of the error is provoked once.

mod common;

use std::collections::BTreeSet;

use chancery_contract::abi;
use chancery_ledger::{ChainLimits, Status, TrapKind};
use chancery_runtime::{ModuleError, Runtime};
use chancery_schema::{MethodKind, SCHEMA_BYTES_MAX};
use common::{IMPORTS, Ledger, module, wasm};
use proptest::prelude::*;

fn limits() -> ChainLimits {
    ChainLimits {
        functions_max: 9,
        locals_max: 16,
        memory_pages_max: 4,
        table_entries_max: 8,
        method_bytes_max: 16,
        stack_values_max: 1_024,
        transaction_fuel_max: 1_000_000,
        ..ChainLimits::default()
    }
}

fn refusal(wat: &str) -> ModuleError {
    Runtime::check_module(&limits(), &wasm(wat)).expect_err(wat)
}

fn name(error: &ModuleError) -> String {
    let text = format!("{error:?}");
    let end = text.find([' ', '(', '{']).unwrap_or(text.len());
    text[..end].to_owned()
}

fn many(count: usize, item: impl Fn(usize) -> String) -> String {
    let items: String = (0..count).map(item).collect();
    format!("(module {items})")
}

/// A module with one `call.run` and one `view.see`, and a schema section of that text.
fn with_schema(json: &str) -> String {
    let json = json.replace('"', "\\22");
    format!(
        r#"(module (func (export "call.run")) (func (export "view.see"))
            (@custom "chancery.schema" "{json}"))"#
    )
}

fn schema(methods: &str, events: &str, errors: &str) -> String {
    with_schema(&format!(
        r#"{{"name":"T","methods":[{methods}],"events":[{events}],"errors":[{errors}]}}"#
    ))
}

const RUN: &str = r#"{"name":"run","kind":"call"}"#;
const SEE: &str = r#"{"name":"see","kind":"view","returns":"list<option<u8>>"}"#;

fn cases() -> Vec<(&'static str, String)> {
    let both = format!("{RUN},{SEE}");
    let body = "(drop (i32.const 1234567))".repeat(20_000);
    let complex = |blocks: usize| {
        format!(
            "(func (local {}) {})",
            "i64 ".repeat(16),
            "(block) ".repeat(blocks)
        )
    };
    let nested = format!("{}{}", "(block ".repeat(1_100), ")".repeat(1_100));
    vec![
        ("TooLong", format!("(module (@custom \"x\" \"{}\"))", "a".repeat(262_144))),
        ("Malformed", "(module (func (result i32)))".to_owned()),
        ("Malformed", "(module (func (param v128)))".to_owned()),
        ("Malformed", "(module (func (drop (i32.extend8_s (i32.const 1)))))".to_owned()),
        ("Malformed", "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))".to_owned()),
        ("Malformed", "(module (memory 1 1 shared))".to_owned()),
        ("Malformed", "(module (memory i64 1))".to_owned()),
        ("Malformed", "(module (memory 1) (memory 1))".to_owned()),
        ("Malformed", "(module (func (result i32 i32) (i32.const 1) (i32.const 1)))".to_owned()),
        ("Malformed", "(module (table 1 externref))".to_owned()),
        ("Malformed", "(module (memory 1) (data \"passive\"))".to_owned()),
        ("Malformed", "(module (func $f (return_call $f)))".to_owned()),
        ("Malformed", "(module (tag))".to_owned()),
        ("Float", "(module (func (param f64)))".to_owned()),
        ("Float", "(module (func (local f32)))".to_owned()),
        ("Float", "(module (func (drop (f32.const 1))))".to_owned()),
        ("Float", "(module (memory 1) (func (drop (f64.load (i32.const 1)))))".to_owned()),
        ("Float", "(module (global f64 (f64.const 1)))".to_owned()),
        ("StartFunction", "(module (func $f) (start $f))".to_owned()),
        ("TooManyTypes", many(1_025, |_| "(type (func))".to_owned())),
        ("TooManyImports", many(65, |_| r#"(import "chancery" "caller" (func (param i32)))"#.to_owned())),
        ("TooManyFunctions", many(10, |_| "(func)".to_owned())),
        ("TooManyGlobals", many(1_025, |_| "(global i32 (i32.const 1))".to_owned())),
        ("TooManyExports", many(258, |i| match i {
            0 => "(func)".to_owned(),
            i => format!("(export \"call.f{i}\" (func 0))"),
        })),
        ("TooManyDataSegments", format!("(module (memory 1) {})", "(data (i32.const 0) \"\")".repeat(129))),
        ("TooManyElementSegments", format!("(module (table 1 funcref) (func $f) {})", "(elem (i32.const 0) $f)".repeat(129))),
        ("TableTooLarge", "(module (table 9 funcref))".to_owned()),
        ("MemoryTooLarge", "(module (memory 5))".to_owned()),
        ("TooManyLocals", format!("(module (func (param i32) (local {})))", "i64 ".repeat(16))),
        ("FunctionTooLong", format!("(module (func {body}))")),
        ("FrameTooLarge", format!("(module (func {}))", "(drop (i32.const 1234567))".repeat(5_000))),
        ("TooDearToCall", many(1_000, |_| "(type (func))".to_owned())),
        ("TooComplex", format!("(module {})", complex(781).repeat(9))),
        ("FunctionTooComplex", format!("(module {})", complex(782))),
        (
            "FunctionTooComplex",
            format!(
                "(module (func (local {}) (loop (br_table {} (i32.const 0)))))",
                "i64 ".repeat(16),
                "0 ".repeat(50_000)
            ),
        ),
        // Chains of these, each with the result of the one before, take the compiler longest.
        (
            "FunctionTooComplex",
            format!(
                "(module (type $t (func (result i32))) (table 1 funcref)
                    (func (result i32) (i32.const 0) {}))",
                "(call_indirect (type $t)) ".repeat(1_563)
            ),
        ),
        (
            "FunctionTooComplex",
            format!(
                "(module (memory 1) (func (result i32) (i32.const 0) {}))",
                "(memory.grow) ".repeat(1_563)
            ),
        ),
        ("TooManyParameters", format!("(module (type (func (param {}))))", "i64 ".repeat(33))),
        (
            "TooManyOperands",
            format!(
                "(module (func {} {}))",
                "(i32.const 1) ".repeat(129),
                "drop ".repeat(129)
            ),
        ),
        ("NestedTooDeep", format!("(module (func {nested}))")),
        ("UnknownImport", r#"(module (import "env" "caller" (func (param i32))))"#.to_owned()),
        ("UnknownImport", r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#.to_owned()),
        ("UnknownImport", r#"(module (import "chancery" "random" (func (result i64))))"#.to_owned()),
        ("ImportType", r#"(module (import "chancery" "caller" (func (param i64))))"#.to_owned()),
        ("ImportType", r#"(module (import "chancery" "block_time" (func)))"#.to_owned()),
        ("ImportNotAFunction", r#"(module (import "chancery" "memory" (memory 1)))"#.to_owned()),
        ("ImportNotAFunction", r#"(module (import "chancery" "g" (global i32)))"#.to_owned()),
        ("UnknownExport", r#"(module (func (export "run")))"#.to_owned()),
        ("UnknownExport", r#"(module (global (export "chancery.stack_values") i32 (i32.const 0)))"#.to_owned()),
        ("ExportType", r#"(module (func (export "memory")))"#.to_owned()),
        ("ExportType", r#"(module (func (export "call.run") (param i32)))"#.to_owned()),
        ("ExportType", r#"(module (func (export "init") (result i32) (i32.const 1)))"#.to_owned()),
        ("ExportType", r#"(module (func (export "migrate") (param i64)))"#.to_owned()),
        ("ExportType", r#"(module (memory (export "view.x") 1))"#.to_owned()),
        ("ExportType", r#"(module (global (export "__heap_base") (mut i32) (i32.const 1)))"#.to_owned()),
        ("ExportType", r#"(module (func (export "__data_end")))"#.to_owned()),
        ("MethodName", r#"(module (func (export "call.")))"#.to_owned()),
        ("MethodName", r#"(module (func (export "call.a-b")))"#.to_owned()),
        ("MethodName", r#"(module (func (export "view.1a")))"#.to_owned()),
        ("MethodName", r#"(module (func (export "view.aaaaaaaaaaaaaaaaa")))"#.to_owned()),
        ("MethodTwice", r#"(module (func (export "call.a")) (func (export "view.a")))"#.to_owned()),
        ("MethodTwice", r#"(module (func (export "migrate")) (func (export "view.migrate")))"#.to_owned()),
        ("SegmentOutOfBounds", "(module (memory 1) (data (i32.const 65535) \"ab\"))".to_owned()),
        ("SegmentOutOfBounds", "(module (memory 1) (data (i32.const -1) \"\"))".to_owned()),
        ("SegmentOutOfBounds", "(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))".to_owned()),
        ("SchemaTwice", schema(&both, "", "").replace("(func (export \"call.run\"))", "(func (export \"call.run\")) (@custom \"chancery.schema\" (after last) \"{}\")").replace("\"{}\"", "\"{\\22name\\22:\\22T\\22,\\22methods\\22:[]}\"")),
        ("SchemaTooLong", with_schema(&" ".repeat(65_537))),
        ("SchemaMalformed", with_schema("{")),
        ("SchemaMalformed", with_schema(r#"{"name":"T","methods":[],"surprise":1}"#)),
        ("SchemaMalformed", schema(r#"{"name":"run","kind":"call","returns":"f64"}"#, "", "")),
        ("SchemaNameTwice", schema(&format!("{RUN},{RUN}"), "", "")),
        ("SchemaNameTwice", schema(&both, r#"{"name":"E"},{"name":"E"}"#, "")),
        ("SchemaNameTwice", schema(&both, "", r#"{"code":1,"name":"A"},{"code":1,"name":"B"}"#)),
        ("SchemaNameTwice", schema(&both, r#"{"name":"E","fields":[{"name":"a","type":"u8"},{"name":"a","type":"u8"}]}"#, "")),
        ("SchemaMethodMissing", schema(&format!(r#"{both},{{"name":"gone","kind":"call"}}"#), "", "")),
        ("SchemaMethodMissing", schema(&format!(r#"{SEE},{{"name":"run","kind":"view"}}"#), "", "")),
        ("SchemaMethodMissing", schema(&format!(r#"{both},{{"name":"migrate","kind":"migrate"}}"#), "", "")),
        ("SchemaMethodSilent", schema(RUN, "", "")),
        ("SchemaMethodSilent", schema(&both, "", "").replace("(module", r#"(module (func (export "migrate"))"#)),
    ]
}

/// A module that uses a little of everything that is limited.
fn of_everything() -> Vec<u8> {
    wasm(&format!(
        r#"(module {IMPORTS}
            (memory (export "memory") 2)
            (table 3 funcref)
            (global (mut i32) (i32.const 0))
            (elem (i32.const 0) 0)
            (data (i32.const 0) "abc")
            (func (export "call.run") (local i32 i64) (drop (i32.const 1)) (block (block (br 0))))
            (func (export "view.see"))
            (@custom "chancery.schema" "{}"))"#,
        format!(r#"{{"name":"T","methods":[{RUN},{SEE}],"events":[],"errors":[]}}"#)
            .replace('"', "\\22")
    ))
}

/// What a report counts is what the refusal counts: each limit of genesis may be as low as that,
/// and no lower. A deployment is judged alike.
#[test]
fn a_report_says_what_is_taken_of_each_limit() {
    let wasm = of_everything();
    let report = Runtime::check_module(&ChainLimits::default(), &wasm).expect("is fine");
    assert_eq!(report.limits.len(), 20);
    for limit in &report.limits {
        assert!(limit.used > 0 && limit.used <= limit.used_max, "{limit:?}");
        for most in [limit.used, limit.used - 1] {
            let mut limits = serde_json::to_value(ChainLimits::default()).expect("is JSON");
            limits[limit.name] = most.into();
            let limits: ChainLimits = serde_json::from_value(limits).expect("genesis has it");
            let judged = Runtime::check_module(&limits, &wasm);
            assert_eq!(judged.is_ok(), most == limit.used, "{limit:?}: {judged:?}");
            let deployed = Ledger::with(limits).deploy_with(&wasm, Vec::new());
            let kind = TrapKind::ModuleRefused;
            let refused = deployed.status == Status::Trapped { kind };
            assert_eq!(refused, judged.is_err(), "{limit:?}: {deployed:?}");
        }
    }
    let used = |name| report.limits.iter().find(|limit| limit.name == name);
    assert_eq!(used("locals_max").map(|limit| limit.used), Some(2));
    assert_eq!(used("nesting_max").map(|limit| limit.used), Some(3));
    assert_eq!(used("complexity_max").map(|limit| limit.used), Some(9));
}

#[test]
fn each_rule_refuses_by_its_own_name() {
    for (expected, wat) in cases() {
        let shown: String = wat.chars().take(200).collect();
        let refusal = refusal(&wat);
        let names = (name(&refusal), refusal.name());
        assert_eq!(names, (expected.to_owned(), expected), "{shown}");
    }
}

#[test]
fn every_rule_is_provoked() {
    // A variant added without a case above does not compile here.
    let number = |error: &ModuleError| match error {
        ModuleError::TooManyTypes { .. } => 0,
        ModuleError::TooManyImports { .. } => 1,
        ModuleError::TooManyFunctions { .. } => 2,
        ModuleError::TooManyGlobals { .. } => 3,
        ModuleError::TooManyExports { .. } => 4,
        ModuleError::TooManyDataSegments { .. } => 5,
        ModuleError::TooManyElementSegments { .. } => 6,
        ModuleError::TableTooLarge { .. } => 7,
        ModuleError::MemoryTooLarge { .. } => 8,
        ModuleError::TooLong { .. } => 9,
        ModuleError::Malformed { .. } => 10,
        ModuleError::Float { .. } => 11,
        ModuleError::StartFunction { .. } => 12,
        ModuleError::TooManyLocals { .. } => 13,
        ModuleError::FunctionTooLong { .. } => 14,
        ModuleError::NestedTooDeep { .. } => 15,
        ModuleError::UnknownImport { .. } => 16,
        ModuleError::ImportType { .. } => 17,
        ModuleError::ImportNotAFunction { .. } => 18,
        ModuleError::UnknownExport { .. } => 19,
        ModuleError::ExportType { .. } => 20,
        ModuleError::MethodName { .. } => 21,
        ModuleError::MethodTwice { .. } => 22,
        ModuleError::SegmentOutOfBounds { .. } => 23,
        // Only proposals that are switched off have such segments: the validator is first.
        ModuleError::SegmentOffset => 24,
        ModuleError::SchemaTwice => 25,
        ModuleError::SchemaTooLong { .. } => 26,
        ModuleError::SchemaMalformed { .. } => 27,
        ModuleError::SchemaNameTwice { .. } => 28,
        ModuleError::SchemaMethodMissing { .. } => 29,
        ModuleError::SchemaMethodSilent { .. } => 30,
        ModuleError::TooComplex { .. } => 31,
        ModuleError::FunctionTooComplex { .. } => 32,
        ModuleError::TooManyParameters { .. } => 33,
        ModuleError::TooManyOperands { .. } => 34,
        ModuleError::FrameTooLarge { .. } => 35,
        ModuleError::TooDearToCall { .. } => 36,
    };
    let provoked: BTreeSet<u32> = cases()
        .iter()
        .map(|(_, wat)| number(&refusal(wat)))
        .collect();
    let expected: BTreeSet<u32> = (0..=36).filter(|number| *number != 24).collect();
    assert_eq!(provoked, expected);
}

/// Who reads or makes schemas without knowing a chain can count on it.
#[test]
fn no_chain_allows_a_longer_schema_than_any() {
    let longest = u32::try_from(SCHEMA_BYTES_MAX).expect("is small");
    let allowing = |schema_bytes_max| ChainLimits {
        schema_bytes_max,
        ..ChainLimits::default()
    };
    assert_eq!(allowing(longest).check(), Ok(()));
    assert!(allowing(longest + 1).check().is_err());
    assert_eq!(abi::SCHEMA_BYTES_MAX, SCHEMA_BYTES_MAX);
}

#[test]
fn a_good_module_is_reported() {
    let wat = schema(&format!("{RUN},{SEE}"), "", "").replace(
        "(module",
        &format!("(module {IMPORTS} (memory (export \"memory\") 2)"),
    );
    let report = Runtime::check_module(&limits(), &wasm(&wat)).expect("good");
    assert_eq!((report.functions, report.memory_pages), (2, 2));
    let methods = [
        (MethodKind::Call, "run".to_owned()),
        (MethodKind::View, "see".to_owned()),
    ];
    assert_eq!(report.methods, methods);
    let schema = report.schema.expect("it has one");
    assert_eq!(
        schema.callable("see").map(|method| method.kind),
        Some(MethodKind::View)
    );
    assert!(Runtime::check_module(&limits(), &wasm("(module)")).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_of_any_kind_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Runtime::check_module(&ChainLimits::default(), &bytes);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(bytes);
        let _ = Runtime::check_module(&ChainLimits::default(), &module);
    }

    #[test]
    fn mutated_modules_are_judged_without_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let wat = module("(loop (call $return_value (i32.const 0) (i32.const 3)) (br_if 0 (i32.const 0)))")
            .replace("(data", "(table 2 funcref) (elem (i32.const 0) 15 15) (global (mut i32) (i32.const 5)) (data");
        let mut bytes = wasm(&wat);
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = Runtime::check_module(&ChainLimits::default(), &bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = Runtime::check_module(&ChainLimits::default(), &bytes);
    }
}
