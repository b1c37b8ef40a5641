//! Compiled modules as bytes that may be kept and taken back: the one place of this crate with
//! `unsafe`.
//!
//! ```text
//! "chancery/compiled/v1\0\0\0\0" | name | seal | initial pages of memory, u32 | serialised module
//! name = SHA-256(settings | code hash)      settings: see `Settings`
//! seal = SHA-256(name | pages | module)
//! ```
//! Bytes are taken back only under the name that they were kept under, whole and undamaged. All
//! else counts as not there, and the module is compiled anew; so what is kept decides about time,
//! never about a result.

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

const MAGIC: &[u8; 24] = b"chancery/compiled/v1\0\0\0\0";
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
    /// counted; the chain's limits, by which modules are judged and instrumented.
    pub(super) fn of(engine: &Engine, limits: &ChainLimits) -> Self {
        let mut collected = Collected(Vec::new());
        engine.precompile_compatibility_hash().hash(&mut collected);
        let costs = format!("{:?}", fuel::operator_cost());
        let versions = (PROTOCOL_VERSION, module::INSTRUMENTATION_VERSION);
        let all = (collected.0, costs, versions, limits).encode();
        Self(sha256(&all))
    }

    /// What the module of that code is kept under.
    pub(super) fn name(&self, code: &CodeHash) -> Hash {
        sha256(&[&self.0.0[..], &code.0].concat())
    }
}

fn sealed(name: &Hash, pages_and_module: &[u8]) -> Hash {
    sha256(&[&name.0[..], pages_and_module].concat())
}

/// The bytes to be kept, if the engine can write the module.
pub(super) fn write(name: &Hash, memory_pages: u32, module: &Module) -> Option<Vec<u8>> {
    let module = module.serialize().ok()?;
    let body = [&memory_pages.to_le_bytes()[..], &module].concat();
    let seal = sealed(name, &body);
    Some([&MAGIC[..], &name.0, &seal.0, &body].concat())
}

/// The module in bytes that were kept under `name`, and its initial pages of memory; nothing, if
/// they are not what [`write`] made.
pub(super) fn read(engine: &Engine, name: &Hash, bytes: &[u8]) -> Option<(Module, u32)> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (written_name, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
    let (seal, body) = rest.split_first_chunk::<HASH_BYTES>()?;
    if *written_name != name.0 || *seal != sealed(name, body).0 {
        return None;
    }
    let (pages, module) = body.split_first_chunk()?;
    // SAFETY: `deserialize` must be given, unmodified, what a wasmtime of any version has
    // serialised. `module` is that:
    // - It is undamaged: the seal is a SHA-256 over all of it, checked just above on these very
    //   bytes. They are in memory, so nobody changes them between the check and the use, as could
    //   be with a mapped file.
    // - It was made by `write` above, the only code that makes this format, from a module that this
    //   engine compiled: the name, sealed in, is of the code and of this engine's version, settings
    //   and processor. wasmtime compares the latter once more and refuses what differs.
    // - It was not made by an enemy: a seal has no secret, so whoever may write where these bytes
    //   are kept could forge one. `CompiledStore` therefore obliges its implementer to give back
    //   only what was kept through it, in a place that only the node's own user can write; who can
    //   write there can write the node's keys, its ledger and its program as well.
    let module = unsafe { Module::deserialize(engine, module) }.ok()?;
    Some((module, u32::from_le_bytes(*pages)))
}
