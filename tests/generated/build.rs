//! Has wasm-smith make modules, each from a seed, within what a contract may be made of: no floats,
//! no proposals, only imports that the host has, only exports that are methods.
//!
//! `CHANCERY_GENERATED` says how many, 200 if it is not set. The file that [`main`] writes is each
//! module's length as 4 bytes, little endian, and the module.

use std::path::Path;

use arbitrary::Unstructured;
use chancery_contract::abi::{self, ValueType};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Instruction, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasm_smith::Config;

const COUNT: u64 = 200;
/// What one module is made from: random bytes, this many at most.
const DNA_BYTES_MAX: u64 = 6_000;

fn value_types(types: &[ValueType]) -> Vec<ValType> {
    let one = |kind: &ValueType| match kind {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
    };
    types.iter().map(one).collect()
}

/// A module that imports all that there is.
fn imports() -> Vec<u8> {
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    for (index, function) in (0_u32..).zip(abi::HOST_FUNCTIONS) {
        let (params, results) = (value_types(function.params), value_types(function.results));
        types.ty().function(params, results);
        imports.import(abi::MODULE, function.name, EntityType::Function(index));
    }
    let mut module = Module::new();
    module.section(&types).section(&imports);
    module.finish()
}

/// A module that exports what every generated one exports.
fn exports() -> Vec<u8> {
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    let (mut memories, mut exports) = (MemorySection::new(), ExportSection::new());
    let mut code = CodeSection::new();
    types.ty().function([], []);
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export(abi::MEMORY, ExportKind::Memory, 0);
    let methods = ["call.run", "view.see", abi::INIT, abi::MIGRATE];
    for (index, method) in (0_u32..).zip(methods) {
        functions.function(0);
        exports.export(method, ExportKind::Func, index);
        let mut function = Function::new([]);
        function.instruction(&Instruction::End);
        code.function(&function);
    }
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code);
    module.finish()
}

fn config() -> Config {
    Config {
        available_imports: Some(imports()),
        exports: Some(exports()),
        allow_floats: false,
        allow_start_export: false,
        bulk_memory_enabled: false,
        compact_imports_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        multi_value_enabled: false,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        saturating_float_to_int_enabled: false,
        sign_extension_ops_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        generate_custom_sections: true,
        max_instructions: 400,
        max_memory32_bytes: 64 << 16,
        max_table_elements: 4_096,
        ..Config::default()
    }
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn module(config: &Config, seed: u64) -> Option<Vec<u8>> {
    let mut state = seed;
    let words = random(&mut state) % (DNA_BYTES_MAX / 8);
    let dna: Vec<u8> = (0..words)
        .flat_map(|_| random(&mut state).to_le_bytes())
        .collect();
    let module = wasm_smith::Module::new(config.clone(), &mut Unstructured::new(&dna));
    module.ok().map(|module| module.to_bytes())
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CHANCERY_GENERATED");
    let count = std::env::var("CHANCERY_GENERATED").map_or(COUNT, |count| {
        count.parse().expect("CHANCERY_GENERATED is a number")
    });
    let config = config();
    let mut file = Vec::new();
    for module in (0..count).filter_map(|seed| module(&config, seed)) {
        let len = u32::try_from(module.len()).expect("a few kilobytes");
        file.extend(len.to_le_bytes());
        file.extend(module);
    }
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join("modules"), file).expect("the file can be written");
}
