//! Fuzz targets that need no tools: random inputs from seeds, without guidance by coverage. In the
//! tests each runs for a moment; `scripts/fuzz TARGET SECONDS` has one run for as long as wanted. A
//! finding names its seed, and `CHANCERY_FUZZ_SEED` begins there. Each target says how far its inputs
//! came, and fails if none of them got anywhere.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_contract::abi::{self, ValueType};
use chancery_generated::modules;
use chancery_ledger::state_key::StateKey;
use chancery_ledger::upgrade::FIRST_VERSION;
use chancery_ledger::{ChainLimits, CodeHash, ContractId, Receipt, Status, TrapKind};
use chancery_runtime::Runtime;
use common::{IMPORTS, Ledger, ROOT, deployment, invocation, module, wasm};

/// What a run may cost beside the code; loops without end are common.
const FUEL: u64 = 5_000_000;
/// Seeds after which other engines take over, with nothing compiled yet.
const SEEDS_PER_ENGINE: u64 = 500;
/// Seeds that are tried however little time there is.
const SEEDS_MIN: u64 = 200;

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

fn engines() -> [Arc<Runtime>; 2] {
    [(), ()].map(|()| Arc::new(Runtime::new(ChainLimits::default()).expect("starts")))
}

/// Tries one seed after the other until the time is over, on what `start` makes.
fn fuzz<S>(target: &str, start: impl Fn() -> S, mut attempt: impl FnMut(&mut S, &mut Random)) {
    let until = Instant::now() + Duration::from_secs(number("CHANCERY_FUZZ_SECONDS", 2));
    let first = number("CHANCERY_FUZZ_SEED", 0);
    let mut place = start();
    let mut seed = first;
    while Instant::now() < until || seed - first < SEEDS_MIN {
        let _trying = Trying(seed);
        if (seed - first) % SEEDS_PER_ENGINE == SEEDS_PER_ENGINE - 1 {
            place = start();
        }
        attempt(&mut place, &mut Random(seed));
        seed += 1;
    }
    println!("{target}: seeds {first}..{seed}, no finding");
}

/// How transactions ended.
#[derive(Debug, Default)]
struct Ends {
    applied: u64,
    reverted: u64,
    trapped: BTreeMap<TrapKind, u64>,
}

impl Ends {
    fn count(&mut self, receipt: &Receipt) {
        match receipt.status {
            Status::Applied { .. } => self.applied += 1,
            Status::Reverted { .. } => self.reverted += 1,
            Status::Trapped { kind } => *self.trapped.entry(kind).or_default() += 1,
        }
    }
}

/// What validation and compilation make of modules that are nearly good: deployed and called on two
/// engines all is equal, and nothing changes but what is their own.
#[test]
fn modules_fuzz() {
    let mut corpus: Vec<Vec<u8>> = modules().map(<[u8]>::to_vec).collect();
    corpus.push(wasm(&module(
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))",
    )));
    let (mut deployed, mut called, mut refused) = (Ends::default(), Ends::default(), 0_u64);
    let attempt = |engines: &mut [Arc<Runtime>; 2], random: &mut Random| {
        let code = nearly_good(&corpus, random);
        let Ok(report) = Runtime::check_module(&ChainLimits::default(), &code) else {
            refused += 1;
            return;
        };
        let loading = FUEL + report.load_fuel;
        let [one, two] = engines.each_ref().map(|runtime| {
            let mut ledger = Ledger::on(Arc::clone(runtime));
            let deploying = loading + report.deploy_fuel + 1_000 * code.len() as u64;
            let deploy = deployment(code.clone(), Vec::new());
            let deploy = ledger.sign(ROOT, deploying, deploy);
            let contract = ContractId::of_deployment(deploy.id());
            let call = invocation(contract, "run", contract.0.to_vec());
            let call = ledger.sign(ROOT, loading, call);
            (contract, ledger.block(vec![deploy, call]))
        });
        assert_eq!(one, two);
        let (contract, executed) = one;
        deployed.count(&executed.receipts[0]);
        called.count(&executed.receipts[1]);
        let own = [
            StateKey::Contract(contract).to_bytes(),
            StateKey::Code(CodeHash::of(&code)).to_bytes(),
            StateKey::Version(contract, FIRST_VERSION).to_bytes(),
        ];
        let storage = StateKey::Storage(contract, &[]).to_bytes();
        for key in executed.changes.keys() {
            assert!(own.contains(key) || key.starts_with(&storage), "{key:?}");
        }
    };
    fuzz("modules", engines, attempt);
    println!("refused: {refused}; deployed: {deployed:?}; called: {called:?}");
    assert!(
        refused > 0 && deployed.applied > 0 && called.applied > 0 && !called.trapped.is_empty()
    );
}

/// A module of the corpus with a few bytes changed, put in, left out or taken from another.
fn nearly_good(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut code = corpus[random.below(corpus.len())].clone();
    for _ in 0..random.below(7) {
        if code.is_empty() {
            break;
        }
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
    }
    code
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

/// Contracts of one ledger, each with the same code, that call host functions by a script.
const CONTRACTS: usize = 3;
/// The script is the arguments: the addresses of all contracts, how many steps there are (4 bytes),
/// the steps, and scripts for those that they call.
const STEPS_AT: usize = 32 * CONTRACTS + 4;
/// The number of a host function, and five arguments.
const STEP_BYTES: usize = 4 * 6;
/// Where the names of methods stand in memory, out of the way of most that is written.
const NAMES_AT: usize = 60_000;
/// Where the script stands.
const SCRIPT_AT: usize = 65_536;
/// Host functions that do not return.
const ENDS: [&str; 2] = [abi::REVERT, abi::BAD_ARGUMENTS];
/// An argument that stands for what the last host function returned.
const LAST: u32 = 0x7a51_0001;

/// The code: `call.run` and `view.see` do what the script says.
fn interpreter() -> Vec<u8> {
    let functions = abi::HOST_FUNCTIONS.len();
    let (mut begins, mut cases, mut table) = (String::new(), String::new(), String::new());
    for (number, function) in abi::HOST_FUNCTIONS.iter().enumerate() {
        begins.push_str("(block ");
        write!(table, "{number} ").expect("a text grows");
        let mut call = format!("(call ${}", function.name);
        for (place, kind) in (1..).zip(function.params) {
            let argument = format!("(call $argument (local.get $at) (i32.const {}))", 4 * place);
            match kind {
                ValueType::I32 => call.push_str(&argument),
                ValueType::I64 => write!(call, "(i64.extend_i32_u {argument})").expect("grows"),
            }
        }
        call.push(')');
        let kept = match function.results {
            [] => call,
            [ValueType::I32] => format!("(global.set $last {call})"),
            _ => format!("(drop {call})"),
        };
        let out = functions - 1 - number;
        write!(cases, ") {kept} (br {out})").expect("a text grows");
    }
    wasm(&format!(
        r#"(module {IMPORTS}
            (memory (export "memory") 2)
            (data (i32.const {NAMES_AT}) "runsee")
            (global $last (mut i32) (i32.const 0))
            (func $argument (param $at i32) (param $place i32) (result i32)
                (local $number i32)
                (local.set $number (i32.load (i32.add (local.get $at) (local.get $place))))
                (if (result i32) (i32.eq (local.get $number) (i32.const {LAST}))
                    (then (global.get $last))
                    (else (local.get $number))))
            (func $script
                (local $at i32) (local $end i32)
                (drop (call $input (i32.const {SCRIPT_AT}) (i32.const 65536)))
                (local.set $at (i32.const {first}))
                (local.set $end (i32.add (local.get $at)
                    (i32.mul (i32.const {STEP_BYTES}) (i32.load (i32.const {count})))))
                (loop $next
                    (if (i32.lt_u (local.get $at) (local.get $end)) (then
                        (block {begins} (br_table {table} {functions} (i32.load (local.get $at)))
                            {cases})
                        (local.set $at (i32.add (local.get $at) (i32.const {STEP_BYTES})))
                        (br $next)))))
            (func (export "call.run") (call $script))
            (func (export "view.see") (call $script)))"#,
        first = SCRIPT_AT + STEPS_AT,
        count = SCRIPT_AT + STEPS_AT - 4,
    ))
}

/// A ledger with the contracts.
struct Scripted {
    ledger: Ledger,
    contracts: [ContractId; CONTRACTS],
}

impl Scripted {
    fn new(runtime: Arc<Runtime>, code: &[u8]) -> Self {
        let mut ledger = Ledger::on(runtime);
        let contracts = [(); CONTRACTS].map(|()| {
            let deployed = ledger.deploy_with(code, Vec::new());
            deployed.contract.expect("the interpreter is deployed")
        });
        Self { ledger, contracts }
    }
}

/// What host functions make of whatever they are given, one after the other, in contracts that call
/// each other: two engines agree, and nobody changes what is not a contract's own.
#[test]
fn host_fuzz() {
    let code = interpreter();
    let start = || engines().map(|runtime| Scripted::new(runtime, &code));
    let (mut ends, mut inner, mut viewed) = (Ends::default(), 0_u64, 0_u64);
    let attempt = |places: &mut [Scripted; 2], random: &mut Random| {
        let contracts = places[0].contracts;
        let wild = 1 + random.below(400);
        let scripts: Vec<_> = (0..=random.below(3))
            .map(|_| {
                let method = random.one_of(&["run", "run", "run", "see"]);
                let contract = random.one_of(&contracts);
                (contract, method, script(&contracts, wild, 3, random))
            })
            .collect();
        let [one, two] = places.each_ref().map(|place| {
            let mut ledger = place.ledger.twin(Arc::clone(&place.ledger.runtime));
            let signed = scripts
                .iter()
                .map(|(contract, method, script)| {
                    let call = invocation(*contract, method, script.clone());
                    ledger.sign(ROOT, FUEL, call)
                })
                .collect();
            let executed = ledger.block(signed);
            let (contract, _, script) = &scripts[0];
            let query = ledger.query(*contract, "see", script);
            (executed, query)
        });
        assert_eq!(one, two);
        let (executed, query) = one;
        for receipt in &executed.receipts {
            ends.count(receipt);
            let mut emitters = receipt.events.iter().map(|event| Some(event.contract));
            inner += u64::from(emitters.any(|emitter| emitter != receipt.contract));
        }
        viewed += u64::from(matches!(query.status, Status::Applied { .. }));
        for key in executed.changes.keys() {
            let is_theirs = |contract: &ContractId| {
                key.starts_with(&StateKey::Storage(*contract, &[]).to_bytes())
            };
            assert!(contracts.iter().any(is_theirs), "{key:?}");
        }
    };
    fuzz("host", start, attempt);
    println!("{ends:?}; {inner} with events of contracts called; {viewed} queries answered");
    assert!(
        ends.applied > 0
            && ends.reverted > 0
            && !ends.trapped.is_empty()
            && inner > 0
            && viewed > 0
    );
}

/// A script with random steps; most of its calls to contracts are sound, with scripts of their own.
fn script(
    contracts: &[ContractId; CONTRACTS],
    wild: usize,
    depth: usize,
    random: &mut Random,
) -> Vec<u8> {
    let count = random.below(12);
    let mut bytes: Vec<u8> = contracts.iter().flat_map(|contract| contract.0).collect();
    bytes.extend(word(count));
    let mut behind = Vec::new();
    for _ in 0..count {
        let mut number = random.below(abi::HOST_FUNCTIONS.len());
        if ENDS.contains(&abi::HOST_FUNCTIONS[number].name) && random.below(4) > 0 {
            number = 0;
        }
        let function = &abi::HOST_FUNCTIONS[number];
        let is_call = [abi::CALL, abi::VIEW].contains(&function.name);
        bytes.extend(word(number));
        if is_call && depth > 0 && random.below(16) > 0 {
            let inner = script(contracts, wild, depth - 1, random);
            let callee = SCRIPT_AT + 32 * random.below(CONTRACTS);
            let method = NAMES_AT + if function.name == abi::VIEW { 3 } else { 0 };
            let at = SCRIPT_AT + STEPS_AT + STEP_BYTES * count + behind.len();
            for number in [callee, method, 3, at, inner.len()] {
                bytes.extend(word(number));
            }
            behind.extend(inner);
            continue;
        }
        for _ in 0..5 {
            // Mostly small ones, or nothing would get far.
            let number = match random.below(wild) {
                0 => random.one_of(&EDGES),
                1 => u32::try_from(random.next() >> 32).expect("32 bits"),
                2 => LAST,
                _ => random.one_of(&[1, 2, 3, 4, 32, 33]),
            };
            bytes.extend(number.to_le_bytes());
        }
    }
    bytes.extend(behind);
    bytes
}

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("32 bits").to_le_bytes()
}
