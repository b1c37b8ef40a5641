//! Fuzz targets that need no tools: random inputs from seeds, without guidance by coverage. In the
//! tests each runs for a moment; `scripts/fuzz TARGET SECONDS` has one run for as long as wanted. A
//! finding names its seed, and `CHANCERY_FUZZ_SEED` begins there.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_contract::abi::{self, ValueType};
use chancery_generated::modules;
use chancery_ledger::state_key::StateKey;
use chancery_ledger::{ChainLimits, CodeHash, ContractId};
use chancery_runtime::Runtime;
use common::{Ledger, ROOT, deployment, invocation, module, wasm};
use wasm_encoder::{
    CodeSection, DataSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, Instruction, MemorySection, MemoryType, Module, TypeSection, ValType,
};

const FUEL: u64 = 5_000_000;
/// Modules that one runtime compiles before another takes its place.
const MODULES_PER_RUNTIME: u64 = 500;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Less than `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("64 bits");
        usize::try_from(self.next() % end).expect("less than what was a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Says the seed of what is being tried, if that panics.
struct Trying(u64);

impl Drop for Trying {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("finding: CHANCERY_FUZZ_SEED={}", self.0);
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Tries one seed after the other until the time is over.
fn fuzz(target: &str, mut attempt: impl FnMut(&[Arc<Runtime>; 2], &mut Random)) {
    let until = Instant::now() + Duration::from_secs(number("CHANCERY_FUZZ_SECONDS", 2));
    let first = number("CHANCERY_FUZZ_SEED", 0);
    let runtimes =
        || [(), ()].map(|()| Arc::new(Runtime::new(ChainLimits::default()).expect("starts")));
    let mut engines = runtimes();
    let mut seed = first;
    while Instant::now() < until || seed == first {
        let _trying = Trying(seed);
        if (seed - first) % MODULES_PER_RUNTIME == MODULES_PER_RUNTIME - 1 {
            engines = runtimes();
        }
        attempt(&engines, &mut Random(seed));
        seed += 1;
    }
    println!("{target}: seeds {first}..{seed}, no finding");
}

/// Deploys and calls it on both engines: all is equal, and nothing changes but what is its own.
fn run(engines: &[Arc<Runtime>; 2], code: &[u8]) {
    let [one, two] = engines.each_ref().map(|runtime| {
        let mut ledger = Ledger::on(Arc::clone(runtime));
        let fuel = FUEL + 2_000 * code.len() as u64;
        let deploy = ledger.sign(ROOT, fuel, deployment(code.to_vec(), Vec::new()));
        let contract = ContractId::of_deployment(deploy.id());
        let call = invocation(contract, "run", contract.0.to_vec());
        let call = ledger.sign(ROOT, FUEL, call);
        (contract, ledger.block(vec![deploy, call]))
    });
    assert_eq!(one, two);
    let (contract, executed) = one;
    let own = [
        StateKey::Contract(contract).to_bytes(),
        StateKey::Code(CodeHash::of(code)).to_bytes(),
    ];
    let storage = StateKey::Storage(contract, &[]).to_bytes();
    for key in executed.changes.keys() {
        assert!(own.contains(key) || key.starts_with(&storage), "{key:?}");
    }
}

/// What validation and compilation make of modules that are nearly good.
#[test]
fn modules_fuzz() {
    let mut corpus: Vec<Vec<u8>> = modules().map(<[u8]>::to_vec).collect();
    corpus.push(wasm(&module(
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))",
    )));
    let limits = ChainLimits::default();
    fuzz("modules", |engines, random| {
        let mut code = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(6) {
            let at = random.below(code.len());
            match random.below(5) {
                0 => code[at] = random.byte(),
                1 => code[at] ^= 1 << random.below(8),
                2 => code.insert(at, random.byte()),
                3 => {
                    let other = &corpus[random.below(corpus.len())];
                    let from = random.below(other.len());
                    let to = (from + random.below(64)).min(other.len());
                    code.splice(at..at, other[from..to].iter().copied());
                }
                _ => {
                    let end = (at + random.below(16)).min(code.len());
                    code.drain(at..end);
                }
            }
            if code.is_empty() {
                return;
            }
        }
        if Runtime::check_module(&limits, &code).is_ok() {
            run(engines, &code);
        }
    });
}

/// Places and lengths at which something changes: ends of memory, of words, of limits.
const EDGES: [u32; 22] = [
    0,
    1,
    2,
    31,
    32,
    33,
    64,
    255,
    256,
    257,
    4_096,
    8_192,
    65_504,
    65_535,
    65_536,
    65_537,
    131_040,
    131_072,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffe0,
    0xffff_ffff,
];

/// What host functions make of whatever they are given, one after the other.
#[test]
fn host_fuzz() {
    fuzz("host", |engines, random| run(engines, &host_calls(random)));
}

fn value_types(types: &[ValueType]) -> Vec<ValType> {
    let one = |kind: &ValueType| match kind {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
    };
    types.iter().map(one).collect()
}

/// A module whose `call.run` calls host functions with numbers from the edges, and with what they
/// returned before.
fn host_calls(random: &mut Random) -> Vec<u8> {
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    for (index, function) in (0_u32..).zip(abi::HOST_FUNCTIONS) {
        let (params, results) = (value_types(function.params), value_types(function.results));
        types.ty().function(params, results);
        imports.import(abi::MODULE, function.name, EntityType::Function(index));
    }
    let count = u32::try_from(abi::HOST_FUNCTIONS.len()).expect("a few");
    types.ty().function([], []);
    let (mut functions, mut memories) = (FunctionSection::new(), MemorySection::new());
    functions.function(count);
    memories.memory(MemoryType {
        minimum: 2,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    let method = random.one_of(&["call.run", "call.run", "call.run", "view.run", abi::INIT]);
    exports.export(abi::MEMORY, ExportKind::Memory, 0);
    exports.export(method, ExportKind::Func, count);

    // One local keeps the last number that came back.
    let mut body = Function::new([(1, ValType::I32)]);
    // Mostly small ones in the beginning, or nothing would get far.
    let wild = 1 + random.below(12);
    for _ in 0..=random.below(20) {
        let index = random.below(abi::HOST_FUNCTIONS.len());
        let function = &abi::HOST_FUNCTIONS[index];
        for kind in function.params {
            let number = match random.below(wild) {
                0 => random.one_of(&EDGES),
                1 => u32::try_from(random.next() >> 32).expect("32 bits"),
                _ => random.one_of(&EDGES[..6]),
            };
            match kind {
                ValueType::I32 if random.below(8) == 0 => {
                    body.instruction(&Instruction::LocalGet(0));
                }
                ValueType::I32 => {
                    body.instruction(&Instruction::I32Const(number.cast_signed()));
                }
                ValueType::I64 => {
                    body.instruction(&Instruction::I64Const(i64::from(number)));
                }
            }
        }
        body.instruction(&Instruction::Call(u32::try_from(index).expect("a few")));
        match function.results {
            [] => {}
            [ValueType::I32] => {
                body.instruction(&Instruction::LocalSet(0));
            }
            _ => {
                body.instruction(&Instruction::Drop);
            }
        }
    }
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut data = DataSection::new();
    let bytes: Vec<u8> = (0..random.below(300)).map(|_| random.byte()).collect();
    data.active(0, &wasm_encoder::ConstExpr::i32_const(0), bytes);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code)
        .section(&data);
    module.finish()
}
