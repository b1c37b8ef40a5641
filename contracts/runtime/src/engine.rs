//! The wasmtime engine: its settings, compiled modules, and the run of one export.
//!
//! Settings are chosen so that nothing of a machine shows in a result. Every call gets a fresh
//! store and a fresh instance, whose memory comes from a pool and is zero. What the engine itself
//! reports is translated to a [`TrapKind`] or ends the process; its words go nowhere.

mod cache;
mod compiler;
mod precompiled;
mod prepared;

use core::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use chancery_ledger::{ChainLimits, CodeHash, TrapKind};
use wasmtime::{
    AsContextMut, Caller, Config, Engine, Extern, Global, InstanceAllocationStrategy, InstancePre,
    Linker, OptLevel, PoolConcurrencyLimitError, PoolingAllocationConfig, Store, Strategy, Trap,
    Val,
};

use crate::fuel;
use crate::host::{self, HostEnd, HostState, PAGE_BYTES};
use crate::module::{self, Checked, STACK_EXPORT};
use crate::runtime::{Compilations, CompiledStore, EngineError};
use cache::Cache;
pub use compiler::is_compilers;
use precompiled::{Program, Settings};
use prepared::Prepared;

/// Native stack that one counted value may take. A value is 8 bytes; the rest is room for what the
/// compiler adds, which the tests try to exhaust.
const STACK_BYTES_PER_VALUE: usize = 128;
/// Native stack for everything that is not Wasm: host functions, the state's store, the compiler.
const STACK_BYTES_HOST: usize = 2 << 20;
/// Native stack that the host takes between a contract and one that it calls.
const STACK_BYTES_PER_CALL: usize = 256 << 10;

/// Bytes of an instance's memory that are cleared by writing when it ends; of the rest, what was
/// touched goes back to the system.
const MEMORY_BYTES_KEPT: usize = 256 << 10;
/// Bytes of an instance besides memory and table: a few dozen for each function and global, of which
/// no genesis allows more than fit.
const INSTANCE_BYTES_MAX: usize = 64 << 20;

/// A module ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Compiled {
    instance: InstancePre<HostState>,
}

impl Compiled {
    pub(crate) fn exports(&self, name: &str) -> bool {
        self.instance.module().get_export_index(name).is_some()
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Returned,
    Reverted { code: u32, data: Vec<u8> },
    Trapped(TrapKind),
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) state: HostState,
    pub(crate) end: End,
    /// Of no meaning after a trap, which costs everything.
    pub(crate) fuel_left: u64,
}

pub(crate) struct WasmEngine {
    engine: Engine,
    linker: Linker<HostState>,
    limits: ChainLimits,
    settings: Settings,
    /// Compiled modules in memory.
    cache: Mutex<Cache>,
    /// What was compiled ahead.
    prepared: Mutex<Prepared>,
    /// Held while something is compiled ahead: whoever executes it waits, and does not do it again.
    preparing: Mutex<()>,
    /// Compiled modules that outlive the process.
    kept: Option<Arc<dyn CompiledStore>>,
    compiled_ahead: AtomicU64,
    ahead_executed: AtomicU64,
    compiled_late: AtomicU64,
}

impl fmt::Debug for WasmEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmEngine").finish_non_exhaustive()
    }
}

const NO_ROOM: &str = "this machine cannot hold a compiled contract";

/// Why a module that was judged good could not be compiled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uncompilable;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}

fn wasm_stack_bytes(limits: &ChainLimits) -> usize {
    (limits.stack_values_max as usize).saturating_mul(STACK_BYTES_PER_VALUE)
}

/// Places for `runs` contracts that run side by side, each with all that it may call. Whatever may be
/// deployed fits into a place.
fn pool(limits: &ChainLimits, runs: u32) -> PoolingAllocationConfig {
    let places = runs.saturating_mul(limits.call_depth_max);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(places)
        .total_memories(places)
        .total_tables(places)
        .max_memory_size((limits.memory_pages_max as usize).saturating_mul(PAGE_BYTES))
        .table_elements(limits.table_entries_max as usize)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .linear_memory_keep_resident(MEMORY_BYTES_KEPT);
    pool
}

fn config(limits: &ChainLimits, runs: u32) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, runs)))
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .consume_fuel(true)
        .operator_cost(fuel::operator_cost(&limits.fuel))
        .max_wasm_stack(wasm_stack_bytes(limits))
        // Not used, but it may not be smaller.
        .async_stack_size(wasm_stack_bytes(limits) + STACK_BYTES_HOST)
        // With copy-on-write, initial data would cost other fuel on other systems.
        .memory_init_cow(false)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // WebAssembly 1.0: what is refused at deployment does not exist here either.
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_multi_value(false)
        .wasm_bulk_memory(false)
        .wasm_extended_const(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    config
}

impl WasmEngine {
    /// For at most `runs` runs at once.
    pub(crate) fn new(
        limits: ChainLimits,
        runs: u32,
        kept: Option<Arc<dyn CompiledStore>>,
    ) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError {
            reason: error.to_string(),
        };
        compiler::start().map_err(|reason| EngineError { reason })?;
        let engine = Engine::new(&config(&limits, runs)).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker).map_err(failed)?;
        let settings = Settings::of(&engine, &limits);
        if let Some(kept) = &kept {
            kept.begin(&settings.hash());
        }
        Ok(Self {
            settings,
            engine,
            linker,
            limits,
            cache: Mutex::default(),
            compiled_ahead: AtomicU64::new(0),
            ahead_executed: AtomicU64::new(0),
            compiled_late: AtomicU64::new(0),
            prepared: Mutex::default(),
            preparing: Mutex::default(),
            kept,
        })
    }

    /// The native stack that a thread must have to run contracts.
    pub(crate) fn stack_bytes(&self) -> usize {
        // Contracts that run within each other share one count, so their Wasm stack adds up to one.
        let calls = self.limits.call_depth_max as usize * STACK_BYTES_PER_CALL;
        wasm_stack_bytes(&self.limits) + STACK_BYTES_HOST + calls
    }

    /// What was compiled since it was set up.
    pub(crate) fn compilations(&self) -> Compilations {
        Compilations {
            ahead: self.compiled_ahead.load(Ordering::Relaxed),
            ahead_executed: self.ahead_executed.load(Ordering::Relaxed),
            late: self.compiled_late.load(Ordering::Relaxed),
        }
    }

    /// The limits it was made with.
    pub(crate) fn limits(&self) -> &ChainLimits {
        &self.limits
    }

    /// Compiles a module that was judged good, or takes it from the cache or from what was compiled
    /// ahead.
    pub(crate) fn compile_checked(
        &self,
        wasm: &[u8],
        checked: &Checked,
    ) -> Result<Compiled, Uncompilable> {
        let code = checked.report.code;
        if let Some(compiled) = self.cached(&code) {
            return Ok(compiled);
        }
        let program = match self.taken(&code) {
            Some(program) => program?,
            None => self.program_late(wasm, checked)?,
        };
        Ok(self.keep(code, &program))
    }

    /// What compiling ahead has come to, or comes to now.
    fn taken(&self, code: &CodeHash) -> Option<Result<Program, Uncompilable>> {
        let take = || locked(&self.prepared).take(code);
        let taken = take().or_else(|| {
            // Perhaps it is just being compiled.
            drop(locked(&self.preparing));
            take()
        });
        self.ahead_executed
            .fetch_add(u64::from(taken.is_some()), Ordering::Relaxed);
        taken
    }

    /// Compiles a module ahead, if nobody has.
    pub(crate) fn prepare(&self, wasm: &[u8], checked: &Checked) {
        let code = checked.report.code;
        let _preparing = locked(&self.preparing);
        if locked(&self.prepared).contains(&code) || self.cached(&code).is_some() {
            return;
        }
        let outcome = self.program(wasm, checked);
        self.compiled_ahead.fetch_add(1, Ordering::Relaxed);
        locked(&self.prepared).insert(code, outcome);
    }

    fn program_late(&self, wasm: &[u8], checked: &Checked) -> Result<Program, Uncompilable> {
        self.compiled_late.fetch_add(1, Ordering::Relaxed);
        self.program(wasm, checked)
    }

    fn program(&self, wasm: &[u8], checked: &Checked) -> Result<Program, Uncompilable> {
        let counted = module::instrument(wasm, checked, self.limits.stack_values_max);
        // A failure of this machine must not become a result that others do not share. Compiling
        // asks the machine for memory only; mapping what was compiled fails for no other reason.
        match compiler::guarded(|| Program::compile(&self.engine, &counted)) {
            Some(Ok(program)) => Ok(program),
            Some(Err(error)) if error.is::<wasmtime::OutOfMemory>() => {
                panic!("{NO_ROOM}: {error:?}")
            }
            Some(Err(_)) | None => Err(Uncompilable),
        }
    }

    fn keep(&self, code: CodeHash, program: &Program) -> Compiled {
        if let Some(kept) = &self.kept {
            kept.keep(&code, &program.sealed(&self.settings.name(&code)));
        }
        self.ready(code, program)
    }

    /// Makes a program ready to be instantiated and caches it.
    fn ready(&self, code: CodeHash, program: &Program) -> Compiled {
        let module = program.load(&self.engine);
        let module = &module.unwrap_or_else(|error| panic!("{NO_ROOM}: {error:?}"));
        let instance = self
            .linker
            .instantiate_pre(module)
            .expect("all imports of a good module are host functions of the right type");
        let compiled = Compiled { instance };
        let mut cache = locked(&self.cache);
        let image = module.image_range();
        cache.insert(
            code,
            compiled.clone(),
            image.end.addr() - image.start.addr(),
        );
        compiled
    }

    /// Compiles deployed code, or takes it from the cache.
    pub(crate) fn compile_deployed(
        &self,
        code: &CodeHash,
        wasm: impl FnOnce() -> Vec<u8>,
    ) -> Compiled {
        if let Some(compiled) = self.cached(code) {
            return compiled;
        }
        let wasm = wasm();
        let checked = module::check(&self.limits, &wasm).expect("deployed code was judged good");
        let program = self.program_late(&wasm, &checked);
        let program = program.expect("deployed code was compiled when it was deployed");
        self.keep(*code, &program)
    }

    /// From memory, or from what was kept.
    fn cached(&self, code: &CodeHash) -> Option<Compiled> {
        let compiled = locked(&self.cache).get(code);
        if compiled.is_some() {
            return compiled;
        }
        let bytes = self.kept.as_ref()?.load(code)?;
        let program = Program::unsealed(&self.settings.name(code), bytes)?;
        Some(self.ready(*code, &program))
    }

    /// Runs one export in a fresh instance, on a thread with [`Self::stack_bytes`], of which
    /// `stack_values` are in use.
    pub(crate) fn run(
        &self,
        compiled: &Compiled,
        state: HostState,
        export: &str,
        stack_values: u32,
        fuel: u64,
    ) -> Run {
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| state);
        // The engine looks at its fuel at entries and loops only, and goes on while any is left. With
        // one unit more than there is, having none left at the end means having used too much.
        let with_one_more = fuel.saturating_add(1);
        store.set_fuel(with_one_more).expect("fuel is switched on");
        let mut end = self.run_in(&mut store, compiled, export, stack_values);
        let fuel_left = store.get_fuel().expect("fuel is switched on");
        let fuel_left = fuel_left.saturating_sub(store.data().memory_fuel());
        if fuel_left == 0 && !matches!(end, End::Trapped(_)) {
            end = End::Trapped(TrapKind::OutOfFuel);
        }
        Run {
            state: store.into_data(),
            end,
            fuel_left: fuel_left.saturating_sub(1),
        }
    }

    fn run_in(
        &self,
        store: &mut Store<HostState>,
        compiled: &Compiled,
        export: &str,
        stack_values: u32,
    ) -> End {
        let instance = loop {
            match compiled.instance.instantiate(&mut *store) {
                Ok(instance) => break instance,
                // There is a place; others moved while it was looked for.
                Err(error) if error.is::<PoolConcurrencyLimitError>() => std::thread::yield_now(),
                Err(error) => return end_of(&error, || false),
            }
        };
        let count = instance
            .get_global(&mut *store, STACK_EXPORT)
            .expect(COUNTED);
        count
            .set(&mut *store, Val::I32(stack_values.cast_signed()))
            .expect("the count is a mutable i32");
        let function = instance
            .get_typed_func::<(), ()>(&mut *store, export)
            .expect("methods of a good module take and return nothing");
        let Err(error) = function.call(&mut *store, ()) else {
            return End::Returned;
        };
        let stack_values_max = self.limits.stack_values_max;
        end_of(&error, || value_of(count, &mut *store) > stack_values_max)
    }
}

const COUNTED: &str = "every instrumented module counts its stack";

fn value_of(count: Global, store: impl AsContextMut) -> u32 {
    let value = count.get(store).i32();
    value.expect("the count is an i32").cast_unsigned()
}

/// What a running contract, and the calls around it, take of the stack now.
pub(crate) fn stack_values(guest: &mut Caller<'_, HostState>) -> u32 {
    let count = guest.get_export(STACK_EXPORT).and_then(Extern::into_global);
    value_of(count.expect(COUNTED), guest)
}

/// What the engine's error means; `too_deep` tells whether the stack's count is over the limit.
fn end_of(error: &wasmtime::Error, too_deep: impl FnOnce() -> bool) -> End {
    if let Some(end) = error.downcast_ref::<HostEnd>() {
        return match end.clone() {
            HostEnd::Trap(kind) => End::Trapped(kind),
            HostEnd::Revert { code, data } => End::Reverted { code, data },
            HostEnd::MachineFailed => panic!("this machine has no memory left for a contract"),
        };
    }
    let kind = match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) if too_deep() => TrapKind::StackTooDeep,
        Some(Trap::UnreachableCodeReached) => TrapKind::Unreachable,
        Some(Trap::StackOverflow) => TrapKind::StackTooDeep,
        Some(Trap::OutOfFuel) => TrapKind::OutOfFuel,
        Some(Trap::MemoryOutOfBounds | Trap::TableOutOfBounds) => TrapKind::OutOfBounds,
        Some(Trap::IndirectCallToNull | Trap::BadSignature) => TrapKind::BadIndirectCall,
        Some(
            Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger,
        ) => TrapKind::Arithmetic,
        other => panic!(
            "the engine ended a contract in a way its settings exclude: {other:?}: {error:?}"
        ),
    };
    End::Trapped(kind)
}

#[cfg(test)]
mod tests;
