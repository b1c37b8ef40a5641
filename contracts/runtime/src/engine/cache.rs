//! Compiled modules in memory, bounded in number and in size.

use std::collections::BTreeMap;

use chancery_ledger::CodeHash;

use super::Compiled;

/// Compiled modules kept at once.
const CACHE_MODULES_MAX: usize = 2_048;
/// Bytes of machine code that are kept at once.
const CACHE_BYTES_MAX: usize = 256 << 20;

/// Compiled modules, the least recently used leaving first.
#[derive(Default)]
pub(super) struct Cache {
    modules: BTreeMap<CodeHash, Cached>,
    bytes: usize,
    uses: u64,
}

struct Cached {
    compiled: Compiled,
    bytes: usize,
    used: u64,
}

impl Cache {
    pub(super) fn get(&mut self, code: &CodeHash) -> Option<Compiled> {
        self.uses += 1;
        let cached = self.modules.get_mut(code)?;
        cached.used = self.uses;
        Some(cached.compiled.clone())
    }

    pub(super) fn insert(&mut self, code: CodeHash, compiled: Compiled, bytes: usize) {
        self.uses += 1;
        let cached = Cached {
            compiled,
            bytes,
            used: self.uses,
        };
        self.bytes += bytes;
        if let Some(replaced) = self.modules.insert(code, cached) {
            self.bytes -= replaced.bytes;
        }
        while self.modules.len() > CACHE_MODULES_MAX || self.bytes > CACHE_BYTES_MAX {
            let oldest = self.modules.iter().min_by_key(|(_, cached)| cached.used);
            let oldest = oldest.map(|(code, _)| *code);
            let removed = oldest.and_then(|code| self.modules.remove(&code));
            self.bytes -= removed.expect("a cache over its limit is not empty").bytes;
        }
    }
}
