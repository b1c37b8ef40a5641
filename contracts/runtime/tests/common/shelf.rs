//! A place for compiled modules that outlives a runtime.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chancery_ledger::{ChainLimits, CodeHash, Hash};
use chancery_runtime::{CompiledStore, Runtime};

/// By settings and code.
pub type Files = BTreeMap<(Hash, CodeHash), Vec<u8>>;

/// Keeps in memory, and counts.
#[derive(Debug, Default)]
pub struct Shelf {
    settings: Mutex<Hash>,
    files: Mutex<Files>,
    found: AtomicUsize,
    kept: AtomicUsize,
}

impl CompiledStore for Shelf {
    fn begin(&self, settings: &Hash) {
        *self.settings.lock().expect("no panic") = *settings;
    }

    fn load(&self, code: &CodeHash) -> Option<Vec<u8>> {
        let name = self.name(code);
        let bytes = self.files.lock().expect("no panic").get(&name)?.clone();
        self.found.fetch_add(1, Ordering::Relaxed);
        Some(bytes)
    }

    fn keep(&self, code: &CodeHash, bytes: &[u8]) {
        let name = self.name(code);
        let mut files = self.files.lock().expect("no panic");
        files.insert(name, bytes.to_vec());
        self.kept.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shelf {
    fn name(&self, code: &CodeHash) -> (Hash, CodeHash) {
        (*self.settings.lock().expect("no panic"), *code)
    }

    pub fn runtime(self: &Arc<Self>) -> Arc<Runtime> {
        self.runtime_under(ChainLimits::default())
    }

    pub fn runtime_under(self: &Arc<Self>, limits: ChainLimits) -> Arc<Runtime> {
        let store = Arc::clone(self) as Arc<dyn CompiledStore>;
        Arc::new(Runtime::with_compiled_store(limits, store).expect("starts"))
    }

    pub fn contents(&self) -> Files {
        self.files.lock().expect("no panic").clone()
    }

    pub fn put(&self, files: Files) {
        *self.files.lock().expect("no panic") = files;
    }

    /// How many were found and kept since the last time.
    pub fn counts(&self) -> (usize, usize) {
        let taken = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        (taken(&self.found), taken(&self.kept))
    }
}
