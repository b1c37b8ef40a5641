//! Compiled modules as bytes that may be kept and taken back: the one place of this crate with
//! `unsafe`.
//!
//! ```text
//! "chancery/compiled/v2\0\0\0\0" | name | seal | program
//! name = SHA-256(settings | code hash)      settings: see `Settings`
//! seal = SHA-256(name | program)
//! ```
//! Bytes are taken back only for the code and the settings that they were kept for, whole and
//! undamaged. All else counts as not there, and the module is compiled anew; so what is kept decides
//! about time, never about a result.

#![allow(
    unsafe_code,
    reason = "a compiled module cannot be taken back without it; the argument stands at the call"
)]

use std::fmt;
use std::hash::{Hash as _, Hasher};

use chancery_ledger::block::PROTOCOL_VERSION;
use chancery_ledger::hash::sha256;
use chancery_ledger::{ChainLimits, CodeHash, Hash};
use parity_scale_codec::Encode as _;
use wasmtime::{Engine, Module};

use crate::{fuel, module};

const MAGIC: &[u8; 24] = b"chancery/compiled/v2\0\0\0\0";
const HASH_BYTES: usize = 32;

/// Everything but the code that a compiled module depends on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings(Hash);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.0).finish()
    }
}

/// Collects what is hashed, so that SHA-256 can be taken of it.
struct Collected(Vec<u8>);

impl Hasher for Collected {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

impl Settings {
    /// The engine's version, settings and processor; what instructions cost; how the stack is
    /// counted; the chain's limits and prices, by which modules are judged and instrumented.
    pub(super) fn of(engine: &Engine, limits: &ChainLimits) -> Self {
        let mut collected = Collected(Vec::new());
        engine.precompile_compatibility_hash().hash(&mut collected);
        let costs = format!("{:?}", fuel::operator_cost(&limits.fuel));
        let versions = (PROTOCOL_VERSION, module::INSTRUMENTATION_VERSION);
        let stack = (module::FRAME_VALUES, module::BODY_BYTES_PER_VALUE);
        let all = (collected.0, costs, versions, stack, limits).encode();
        Self(sha256(&all))
    }

    /// All of it in 32 bytes.
    pub(super) fn hash(&self) -> Hash {
        self.0
    }

    /// What the module of that code is sealed with.
    pub(super) fn name(&self, code: &CodeHash) -> Hash {
        sha256(&[&self.0.0[..], &code.0].concat())
    }
}

/// What the engine made of a module: machine code in a form of the engine's own.
pub(super) struct Program(Vec<u8>);

fn seal(name: &Hash, program: &[u8]) -> Hash {
    sha256(&[&name.0[..], program].concat())
}

impl Program {
    /// Compiles an instrumented module.
    pub(super) fn compile(engine: &Engine, wasm: &[u8]) -> Result<Self, wasmtime::Error> {
        engine.precompile_module(wasm).map(Self)
    }

    #[cfg(test)]
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        let Self(program) = self;
        program.len()
    }

    /// The bytes to be kept.
    pub(super) fn sealed(&self, name: &Hash) -> Vec<u8> {
        let Self(program) = self;
        [&MAGIC[..], &name.0, &seal(name, program).0, program].concat()
    }

    /// The program in bytes that were sealed with `name`; nothing, if they are not what
    /// [`Program::sealed`] made.
    pub(super) fn unsealed(name: &Hash, mut bytes: Vec<u8>) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (written_name, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
        let (written_seal, program) = rest.split_first_chunk::<HASH_BYTES>()?;
        if *written_name != name.0 || *written_seal != seal(name, program).0 {
            return None;
        }
        let head = bytes.len() - program.len();
        bytes.drain(..head);
        Some(Self(bytes))
    }

    /// Maps it, ready to be instantiated.
    pub(super) fn load(&self, engine: &Engine) -> Result<Module, wasmtime::Error> {
        // SAFETY: `deserialize` must be given, unmodified, what a wasmtime of any version has
        // compiled. The bytes of a `Program` are that, and nobody can change them:
        // - From `compile`, they come from the engine itself.
        // - From `unsealed`, they are undamaged: the seal is a SHA-256 over all of them, checked on
        //   these very bytes, in memory and not in a mapped file that could change afterwards. They
        //   were made by `sealed`, the only code that makes this format, from what `compile` gave;
        //   the name, sealed in, is of the code and of this engine's version, settings and
        //   processor. wasmtime compares the latter once more and refuses what differs.
        // - They were not made by an enemy: a seal has no secret, so whoever may write where sealed
        //   bytes are kept could forge one. `CompiledStore` therefore obliges its implementer to give
        //   back only what was kept through it, in a place that only the node's own user can write;
        //   who can write there can write the node's keys, its ledger and its program as well.
        unsafe { Module::deserialize(engine, &self.0) }
    }
}
