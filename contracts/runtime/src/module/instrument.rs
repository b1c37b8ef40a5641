//! Makes the stack's depth a matter of counting, so that every machine ends a deep recursion at the
//! same call, whatever its native stack looks like.
//!
//! Every function body moves to a new function behind all others. Its old index becomes a wrapper
//! of the same type, which adds what a frame takes to a new global, traps when that is over the
//! limit, calls the body, and subtracts again. So no index in any body, table or export changes.

use std::collections::BTreeMap;

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, Encode as _, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, Instruction, Module, RawSection, SectionId,
    ValType,
};
use wasmparser::{BinaryReader, Parser, Payload};

use super::Checked;

/// Under which name the count can be read; no module of a contract can export it.
pub(crate) const STACK_EXPORT: &str = "chancery.stack_values";

/// Another number for every change to what [`instrument`] makes of a module.
pub(crate) const INSTRUMENTATION_VERSION: u32 = 1;

/// The module with a stack that is counted and ends at `stack_values_max`. `checked` is what the
/// judgement of the same `wasm` found.
pub(crate) fn instrument(wasm: &[u8], checked: &Checked, stack_values_max: u32) -> Vec<u8> {
    // Sections of an accepted module stand in the order of their numbers.
    let mut sections: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("the module was accepted");
        match &payload {
            Payload::CustomSection(_) => {}
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    sections.insert(id, wasm[range].to_vec());
                }
            }
        }
    }

    let mut functions = FunctionSection::new();
    for shape in checked.functions.iter().chain(&checked.functions) {
        functions.function(shape.type_index);
    }
    let mut global = GlobalSection::new();
    global.global(
        GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        },
        &ConstExpr::i32_const(0),
    );
    let mut export = ExportSection::new();
    export.export(STACK_EXPORT, ExportKind::Global, checked.globals);
    let code = code(
        checked,
        &bodies,
        imported_count(&sections),
        stack_values_max,
    );

    let put = |sections: &mut BTreeMap<u8, Vec<u8>>, id: SectionId, contents: Vec<u8>| {
        sections.insert(id.into(), contents);
    };
    let globals = appended(sections.get(&SectionId::Global.into()), &contents(&global));
    let exports = appended(sections.get(&SectionId::Export.into()), &contents(&export));
    put(&mut sections, SectionId::Function, contents(&functions));
    put(&mut sections, SectionId::Global, globals);
    put(&mut sections, SectionId::Export, exports);
    put(&mut sections, SectionId::Code, contents(&code));

    let mut module = Module::new();
    for (id, data) in &sections {
        module.section(&RawSection { id: *id, data });
    }
    module.finish()
}

fn code(checked: &Checked, bodies: &[&[u8]], imported: u32, stack_values_max: u32) -> CodeSection {
    let mut code = CodeSection::new();
    let defined = u32::try_from(checked.functions.len()).expect("functions are limited");
    let stack = checked.globals;
    // Values are compared unsigned; as constants they are written as the same bits, signed.
    let constant = |value: u32| Instruction::I32Const(value.cast_signed());
    for (body_index, shape) in (imported + defined..).zip(&checked.functions) {
        let count = shape.params;
        let mut wrapper = Function::new([(1, ValType::I32)]);
        let mut push = |instruction: Instruction<'_>| {
            wrapper.instruction(&instruction);
        };
        push(Instruction::GlobalGet(stack));
        push(constant(shape.stack_values));
        push(Instruction::I32Add);
        push(Instruction::LocalTee(count));
        push(Instruction::GlobalSet(stack));
        push(Instruction::LocalGet(count));
        push(constant(stack_values_max));
        push(Instruction::I32GtU);
        push(Instruction::If(BlockType::Empty));
        push(Instruction::Unreachable);
        push(Instruction::End);
        for param in 0..shape.params {
            push(Instruction::LocalGet(param));
        }
        push(Instruction::Call(body_index));
        push(Instruction::LocalGet(count));
        push(constant(shape.stack_values));
        push(Instruction::I32Sub);
        push(Instruction::GlobalSet(stack));
        push(Instruction::End);
        code.function(&wrapper);
    }
    for body in bodies {
        code.raw(body);
    }
    code
}

/// How many functions are imported; all imports are functions.
fn imported_count(sections: &BTreeMap<u8, Vec<u8>>) -> u32 {
    sections
        .get(&SectionId::Import.into())
        .map_or(0, |section| count_and_items(section).0)
}

/// What stands in a section, without its number and length.
fn contents(section: &impl wasm_encoder::Section) -> Vec<u8> {
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    let mut reader = BinaryReader::new(&bytes, 0);
    reader
        .read_var_u32()
        .expect("a section begins with its length");
    bytes.split_off(reader.original_position())
}

fn count_and_items(section: &[u8]) -> (u32, &[u8]) {
    let mut reader = BinaryReader::new(section, 0);
    let count = reader
        .read_var_u32()
        .expect("a section of items begins with their number");
    (count, &section[reader.original_position()..])
}

/// The items of a section, if there is one, followed by those of another.
fn appended(section: Option<&Vec<u8>>, more: &[u8]) -> Vec<u8> {
    let (more_count, more_items) = count_and_items(more);
    let (count, items) = section.map_or((0, &[][..]), |section| count_and_items(section));
    let mut bytes = Vec::new();
    (count + more_count).encode(&mut bytes);
    bytes.extend_from_slice(items);
    bytes.extend_from_slice(more_items);
    bytes
}
