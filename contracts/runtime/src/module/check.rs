//! The judgement: one walk over the module, section by section, in the order of the file.

use std::collections::{BTreeMap, BTreeSet};

use chancery_contract::abi::{self, ValueType};
use chancery_ledger::{ChainLimits, CodeHash};
use chancery_schema::{MethodKind, Schema};
use wasmparser::{
    BinaryReader, ConstExpr, DataKind, ElementItems, ElementKind, Export, ExternalKind, FuncType,
    FuncValidatorAllocations, FunctionBody, GlobalType, Import, Operator, OperatorsReader, Parser,
    Payload, TypeRef, ValType, ValidPayload, Validator, WasmFeatures,
};

use super::found::Found;
use super::{Checked, FunctionShape, ModuleError, ModuleReport, method_of_export};
use crate::fuel::{self, FunctionSize};

/// WebAssembly 1.0 without floats. The second flag stands for tables of functions.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL.union(WasmFeatures::GC_TYPES);

/// Stack taken by any call: two return addresses, two frame pointers, saved registers.
pub(crate) const FRAME_VALUES: u32 = 4;
/// The compiler keeps values alive that are computed twice, so a frame can be larger than locals
/// and operands say, but not larger than the code that computes them.
pub(crate) const BODY_BYTES_PER_VALUE: u32 = 16;

const PAGE_BYTES: u64 = 65_536;
const MAGIC: &[u8] = b"\0asm";

impl From<wasmparser::Error> for ModuleError {
    fn from(error: wasmparser::Error) -> Self {
        let offset = error.offset();
        if error.message().contains("floating-point") {
            return Self::Float { offset };
        }
        // Some of its messages are several lines long.
        let words: Vec<&str> = error.message().split_whitespace().collect();
        Self::Malformed {
            offset,
            reason: words.join(" "),
        }
    }
}

pub(crate) fn check(limits: &ChainLimits, wasm: &[u8]) -> Result<Checked, ModuleError> {
    if !wasm.starts_with(MAGIC) {
        return Err(ModuleError::Malformed {
            offset: 0,
            reason: "it does not begin as WebAssembly does".to_owned(),
        });
    }
    let (len, len_max) = (wasm.len(), limits.code_bytes_max as usize);
    if len > len_max {
        return Err(ModuleError::TooLong { len, len_max });
    }
    let mut walk = Walk {
        limits,
        types: Vec::new(),
        imported: Vec::new(),
        type_indices: Vec::new(),
        functions: Vec::new(),
        globals: Vec::new(),
        table_entries: 0,
        memory_pages: 0,
        parameters: 0,
        complexity: 0,
        compile_fuel: 0,
        methods: BTreeMap::new(),
        schema: None,
        found: Found::default(),
        allocations: Some(FuncValidatorAllocations::default()),
    };
    let mut validator = Validator::new_with_features(FEATURES);
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    for payload in parser.parse_all(wasm) {
        let payload = payload?;
        walk.before_validation(&payload)?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => walk.function(function, &body)?,
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::End(_) => {}
        }
        walk.after_validation(&payload)?;
    }
    walk.finish(wasm)
}

struct Walk<'a> {
    limits: &'a ChainLimits,
    types: Vec<FuncType>,
    /// Type index of each imported function.
    imported: Vec<u32>,
    /// Type index of each function defined.
    type_indices: Vec<u32>,
    functions: Vec<FunctionShape>,
    globals: Vec<GlobalType>,
    table_entries: u32,
    memory_pages: u32,
    /// Of all functions and types.
    parameters: u64,
    complexity: u64,
    compile_fuel: u64,
    /// Kind by name.
    methods: BTreeMap<String, MethodKind>,
    schema: Option<Schema>,
    found: Found,
    allocations: Option<FuncValidatorAllocations>,
}

macro_rules! at_most {
    ($found:expr, $count:expr, $count_max:expr, $error:ident) => {{
        let (count, count_max): (u32, u32) = ($count, $count_max);
        if count > count_max {
            return Err(ModuleError::$error { count, count_max });
        }
        $found = count;
    }};
}

fn saturated(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Walk<'_> {
    /// What must be judged before the validator spends time on a section, or would refuse it by a
    /// less telling name.
    fn before_validation(&mut self, payload: &Payload<'_>) -> Result<(), ModuleError> {
        let (limits, found) = (self.limits, &mut self.found);
        match payload {
            Payload::TypeSection(types) => {
                at_most!(found.types, types.count(), limits.types_max, TooManyTypes);
            }
            Payload::ImportSection(imports) => {
                at_most!(
                    found.imports,
                    imports.count(),
                    limits.imports_max,
                    TooManyImports
                );
            }
            Payload::FunctionSection(functions) => {
                let (count, count_max) = (functions.count(), limits.functions_max);
                at_most!(found.functions, count, count_max, TooManyFunctions);
            }
            Payload::GlobalSection(globals) => {
                at_most!(
                    found.globals,
                    globals.count(),
                    limits.globals_max,
                    TooManyGlobals
                );
            }
            Payload::ExportSection(exports) => {
                at_most!(
                    found.exports,
                    exports.count(),
                    limits.exports_max,
                    TooManyExports
                );
            }
            Payload::DataSection(segments) => {
                let count = segments.count();
                at_most!(
                    found.data_segments,
                    count,
                    limits.segments_max,
                    TooManyDataSegments
                );
            }
            Payload::ElementSection(segments) => {
                let (count, place) = (segments.count(), &mut found.element_segments);
                at_most!(*place, count, limits.segments_max, TooManyElementSegments);
            }
            Payload::StartSection { func, .. } => {
                return Err(ModuleError::StartFunction { function: *func });
            }
            Payload::CodeSectionEntry(body) => {
                let (len, len_max) = (body.as_bytes().len(), limits.function_bytes_max as usize);
                if len > len_max {
                    let function = self.next_function();
                    return Err(ModuleError::FunctionTooLong {
                        function,
                        len,
                        len_max,
                    });
                }
                found.function_bytes = found.function_bytes.max(len);
            }
            _ => {}
        }
        Ok(())
    }

    fn after_validation(&mut self, payload: &Payload<'_>) -> Result<(), ModuleError> {
        match payload {
            Payload::TypeSection(types) => {
                for kind in types.clone().into_iter_err_on_gc_types() {
                    let kind = kind?;
                    let (count, count_max) = (parameters(&kind), self.limits.parameters_max);
                    if count > count_max {
                        return Err(ModuleError::TooManyParameters { count, count_max });
                    }
                    self.found.parameters = self.found.parameters.max(count);
                    self.pay(fuel::compiling_type(&self.limits.fuel, count));
                    self.parameters += u64::from(count);
                    self.types.push(kind);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    self.import(import?)?;
                }
            }
            Payload::FunctionSection(functions) => {
                for type_index in functions.clone() {
                    self.type_indices.push(type_index?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    self.table_entries = saturated(table?.ty.initial);
                    let (count, count_max) = (self.table_entries, self.limits.table_entries_max);
                    at_most!(self.found.table_entries, count, count_max, TableTooLarge);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories.clone() {
                    self.memory_pages = saturated(memory?.initial);
                    let (count, count_max) = (self.memory_pages, self.limits.memory_pages_max);
                    at_most!(self.found.memory_pages, count, count_max, MemoryTooLarge);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals.clone() {
                    self.globals.push(global?.ty);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    self.export(&export?)?;
                }
            }
            Payload::ElementSection(segments) => {
                for segment in segments.clone() {
                    let segment = segment?;
                    let (ElementKind::Active { offset_expr, .. }, ElementItems::Functions(items)) =
                        (segment.kind, segment.items)
                    else {
                        return Err(ModuleError::SegmentOffset);
                    };
                    let end = constant(&offset_expr)? + u64::from(items.count());
                    in_bounds(end, self.table_entries.into())?;
                }
            }
            Payload::DataSection(segments) => {
                let (price, count) = (self.limits.fuel.deploy_per_segment, segments.count());
                self.pay(price.saturating_mul(count.into()));
                for segment in segments.clone() {
                    let segment = segment?;
                    let DataKind::Active { offset_expr, .. } = segment.kind else {
                        return Err(ModuleError::SegmentOffset);
                    };
                    // A length is below the module's.
                    let end = constant(&offset_expr)? + segment.data.len() as u64;
                    in_bounds(end, u64::from(self.memory_pages) * PAGE_BYTES)?;
                }
            }
            Payload::CustomSection(section) if section.name() == abi::SCHEMA_SECTION => {
                if self.schema.is_some() {
                    return Err(ModuleError::SchemaTwice);
                }
                let json = section.data();
                let (len, len_max) = (json.len(), self.limits.schema_bytes_max as usize);
                if len > len_max {
                    return Err(ModuleError::SchemaTooLong { len, len_max });
                }
                self.found.schema_bytes = len;
                self.schema = Some(parse_schema(json)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds to what deploying it takes.
    fn pay(&mut self, cost: u64) {
        self.compile_fuel = self.compile_fuel.saturating_add(cost);
    }

    fn next_function(&self) -> u32 {
        saturated(self.functions.len() as u64)
    }

    fn import(&mut self, import: Import<'_>) -> Result<(), ModuleError> {
        let name = shortened(import.name);
        let TypeRef::Func(type_index) = import.ty else {
            return Err(ModuleError::ImportNotAFunction { name });
        };
        let host = abi::HOST_FUNCTIONS
            .iter()
            .find(|function| import.module == abi::MODULE && function.name == import.name);
        let Some(host) = host else {
            return Err(ModuleError::UnknownImport {
                module: shortened(import.module),
                name,
            });
        };
        let same = |ours: &[ValueType], theirs: &[ValType]| {
            ours.iter()
                .map(|kind| match kind {
                    ValueType::I32 => ValType::I32,
                    ValueType::I64 => ValType::I64,
                })
                .eq(theirs.iter().copied())
        };
        let kind = self.function_type(type_index);
        if !same(host.params, kind.params()) || !same(host.results, kind.results()) {
            return Err(ModuleError::ImportType { name });
        }
        self.imported.push(type_index);
        Ok(())
    }

    fn function_type(&self, type_index: u32) -> &FuncType {
        self.types
            .get(type_index as usize)
            .expect("the validator checked every type index")
    }

    fn export(&mut self, export: &Export<'_>) -> Result<(), ModuleError> {
        let wrong = |expected| {
            Err(ModuleError::ExportType {
                name: shortened(export.name),
                expected,
            })
        };
        if export.name == abi::MEMORY {
            return match export.kind {
                ExternalKind::Memory => Ok(()),
                _ => wrong("the memory"),
            };
        }
        if abi::LINKER_GLOBALS.contains(&export.name) {
            let global = match export.kind {
                ExternalKind::Global => self.globals.get(export.index as usize),
                _ => None,
            };
            return match global {
                Some(global) if !global.mutable => Ok(()),
                _ => wrong("a global that never changes"),
            };
        }
        let Some((kind, name)) = method_of_export(export.name) else {
            return Err(ModuleError::UnknownExport {
                name: shortened(export.name),
            });
        };
        let len_max = self.limits.method_bytes_max;
        if !is_method_name(name) || name.len() > len_max as usize {
            return Err(ModuleError::MethodName {
                name: shortened(name),
                len_max,
            });
        }
        let index = export.index as usize;
        let type_index = match export.kind {
            ExternalKind::Func => self
                .imported
                .iter()
                .chain(&self.type_indices)
                .nth(index)
                .copied(),
            _ => None,
        };
        self.found.method_bytes = self.found.method_bytes.max(name.len());
        let plain = type_index
            .map(|type_index| self.function_type(type_index))
            .is_some_and(|kind| kind.params().is_empty() && kind.results().is_empty());
        if !plain {
            return wrong("a function without parameters and results");
        }
        match self.methods.insert(name.to_owned(), kind) {
            Some(other) if other != kind => Err(ModuleError::MethodTwice {
                name: name.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn function(
        &mut self,
        function: wasmparser::FuncToValidate<wasmparser::ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), ModuleError> {
        let index = self.next_function();
        let limits = self.limits;
        let allocations = self.allocations.take().unwrap_or_default();
        let mut validator = function.into_validator(allocations);
        let mut reader: BinaryReader<'_> = body.get_binary_reader();
        validator.read_locals(&mut reader)?;
        let (count, count_max) = (validator.len_locals(), limits.locals_max);
        if count > count_max {
            return Err(ModuleError::TooManyLocals {
                function: index,
                count,
                count_max,
            });
        }
        self.found.locals = self.found.locals.max(count);
        let (mut operands, mut edges, mut calls) = (0, 0_u64, 0_u64);
        let mut operators = OperatorsReader::new(reader);
        while !operators.eof() {
            let offset = operators.original_position();
            let operator = operators.read()?;
            validator.op(offset, &operator)?;
            edges += edges_of(&operator);
            calls += u64::from(is_call(&operator));
            let height = validator.operand_stack_height();
            if height > limits.operands_max {
                return Err(ModuleError::TooManyOperands {
                    function: index,
                    count: height,
                    count_max: limits.operands_max,
                });
            }
            operands = operands.max(height);
            let depth = validator.control_stack_height();
            if depth > limits.nesting_max {
                return Err(ModuleError::NestedTooDeep {
                    function: index,
                    depth,
                    depth_max: limits.nesting_max,
                });
            }
            self.found.nesting = self.found.nesting.max(depth);
        }
        operators.finish()?;
        self.found.operands = self.found.operands.max(operands);
        let values = (count + operands).max(1);
        let complexity = edges * u64::from(values);
        if complexity > limits.function_complexity_max {
            return Err(ModuleError::FunctionTooComplex {
                function: index,
                complexity,
                complexity_max: limits.function_complexity_max,
            });
        }
        self.found.function_complexity = self.found.function_complexity.max(complexity);
        self.complexity += complexity;
        if self.complexity > limits.complexity_max {
            return Err(ModuleError::TooComplex {
                complexity: self.complexity,
                complexity_max: limits.complexity_max,
            });
        }
        self.allocations = Some(validator.into_allocations());

        let type_index = self
            .type_indices
            .get(index as usize)
            .copied()
            .expect("the validator counted bodies and functions");
        let params = parameters(self.function_type(type_index));
        self.parameters += u64::from(params);
        let size = FunctionSize {
            parameters: params,
            values,
            calls,
            complexity,
        };
        self.pay(fuel::compiling(&limits.fuel, size));
        let body_values = saturated(body.as_bytes().len() as u64) / BODY_BYTES_PER_VALUE;
        // Parameters count twice: the wrapper that counts has them too.
        let stack_values = FRAME_VALUES + params + count + operands + body_values;
        if stack_values > limits.stack_values_max {
            return Err(ModuleError::FrameTooLarge {
                function: index,
                count: stack_values,
                count_max: limits.stack_values_max,
            });
        }
        self.found.stack_values = self.found.stack_values.max(stack_values);
        self.functions.push(FunctionShape {
            type_index,
            params,
            stack_values,
        });
        Ok(())
    }

    fn finish(self, wasm: &[u8]) -> Result<Checked, ModuleError> {
        if let Some(schema) = &self.schema {
            check_schema(schema, &self.methods)?;
        }
        let mut methods: Vec<_> = self
            .methods
            .into_iter()
            .map(|(name, kind)| (kind, name))
            .collect();
        methods.sort();
        let functions = saturated(self.functions.len() as u64);
        let prices = &self.limits.fuel;
        let load_fuel = fuel::loading(
            prices,
            wasm.len(),
            u64::from(functions) + self.types.len() as u64,
            self.parameters,
        );
        let fuel = fuel::calling(prices, load_fuel, self.memory_pages);
        let fuel_max = self.limits.transaction_fuel_max;
        if fuel > fuel_max {
            return Err(ModuleError::TooDearToCall { fuel, fuel_max });
        }
        let report = ModuleReport {
            code: CodeHash::of(wasm),
            code_bytes: wasm.len(),
            functions,
            memory_pages: self.memory_pages,
            methods,
            schema: self.schema,
            limits: self.found.of(self.limits, wasm.len(), self.complexity),
            deploy_fuel: fuel::sized(
                fuel::sum([prices.deploy, self.compile_fuel]),
                prices.deploy_per_byte,
                wasm.len(),
            ),
            load_fuel,
        };
        Ok(Checked {
            report,
            functions: self.functions,
            globals: saturated(self.globals.len() as u64),
            compile_fuel: self.compile_fuel,
        })
    }
}

fn parameters(kind: &FuncType) -> u32 {
    saturated(kind.params().len() as u64)
}

fn is_call(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Call { .. } | Operator::CallIndirect { .. }
    )
}

fn is_method_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

fn constant(expression: &ConstExpr<'_>) -> Result<u64, ModuleError> {
    let mut operators = expression.get_operators_reader();
    match operators.read()? {
        // The bits are an unsigned place.
        Operator::I32Const { value } if operators.is_end_then_eof() => {
            Ok(value.cast_unsigned().into())
        }
        _ => Err(ModuleError::SegmentOffset),
    }
}

fn in_bounds(end: u64, end_max: u64) -> Result<(), ModuleError> {
    if end > end_max {
        return Err(ModuleError::SegmentOutOfBounds { end, end_max });
    }
    Ok(())
}

/// Reads a schema section.
fn parse_schema(json: &[u8]) -> Result<Schema, ModuleError> {
    serde_json::from_slice(json).map_err(|error| ModuleError::SchemaMalformed {
        reason: shortened(&error.to_string()),
    })
}

/// Checks that the schema names each exported method once, as the kind it is, and nothing else
/// that is not there; and no event, error or argument twice.
fn check_schema(
    schema: &Schema,
    exported: &BTreeMap<String, MethodKind>,
) -> Result<(), ModuleError> {
    each_once(schema.methods.iter().map(|method| method.name.clone()))?;
    each_once(schema.events.iter().map(|event| event.name.clone()))?;
    each_once(schema.errors.iter().map(|error| error.name.clone()))?;
    each_once(schema.errors.iter().map(|error| error.code.to_string()))?;
    for method in &schema.methods {
        each_once(method.args.iter().map(|arg| arg.name.clone()))?;
        if exported.get(&method.name) != Some(&method.kind) {
            return Err(ModuleError::SchemaMethodMissing {
                name: shortened(&method.name),
            });
        }
    }
    for event in &schema.events {
        each_once(event.fields.iter().map(|field| field.name.clone()))?;
    }
    match exported
        .keys()
        .find(|name| schema.methods.iter().all(|method| method.name != **name))
    {
        Some(name) => Err(ModuleError::SchemaMethodSilent { name: name.clone() }),
        None => Ok(()),
    }
}

fn each_once(mut names: impl Iterator<Item = String>) -> Result<(), ModuleError> {
    let mut seen = BTreeSet::new();
    match names.find(|name| !seen.insert(name.clone())) {
        Some(name) => Err(ModuleError::SchemaNameTwice {
            name: shortened(&name),
        }),
        None => Ok(()),
    }
}

/// How many places of the control flow an operator adds: at each of them the compiler may have to
/// move every local. Some are made of several, and of calls that happen seldom; what those count is
/// measured by the time that compiling takes.
fn edges_of(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::If { .. }
        | Operator::Else
        | Operator::Br { .. }
        | Operator::BrIf { .. } => 1,
        Operator::BrTable { targets } => u64::from(targets.len()) + 1,
        Operator::CallIndirect { .. } | Operator::MemoryGrow { .. } => 8,
        _ => 0,
    }
}
