//! The state as a batch sees it: the ledger below, what earlier transactions of the batch changed
//! above it, and on top what the running transaction changed, which may yet be rolled back: all of
//! it, or back to where a call within it began.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::TransactionId;

use crate::view::LedgerView;

/// Raw state keys; `None` is a removal.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A point in a transaction that can be gone back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Savepoint(usize);

pub(crate) struct Overlay {
    view: Arc<dyn LedgerView>,
    committed: Changes,
    pending: Changes,
    /// What stood in `pending` before each change to it, the oldest first.
    undo: Vec<Undo>,
}

struct Undo {
    key: Vec<u8>,
    /// `None` where nothing stood.
    before: Option<Option<Vec<u8>>>,
}

impl Overlay {
    pub(crate) fn new(view: Arc<dyn LedgerView>) -> Self {
        Self {
            view,
            committed: Changes::new(),
            pending: Changes::new(),
            undo: Vec::new(),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.pending
            .get(key)
            .or_else(|| self.committed.get(key))
            .cloned()
            .unwrap_or_else(|| self.view.get(key))
    }

    pub(crate) fn was_admitted(&self, id: &TransactionId) -> bool {
        self.view.was_admitted(id)
    }

    pub(crate) fn set(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.change(key, Some(value));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.change(key, None);
    }

    fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let before = self.pending.insert(key.clone(), value);
        self.undo.push(Undo { key, before });
    }

    /// Here.
    pub(crate) fn savepoint(&self) -> Savepoint {
        Savepoint(self.undo.len())
    }

    /// Forgets what the running transaction changed since then.
    pub(crate) fn roll_back_to(&mut self, savepoint: Savepoint) {
        for Undo { key, before } in self.undo.drain(savepoint.0..).rev() {
            match before {
                Some(before) => self.pending.insert(key, before),
                None => self.pending.remove(&key),
            };
        }
    }

    /// Keeps what the running transaction changed.
    pub(crate) fn commit(&mut self) {
        self.undo.clear();
        // One by one: `append` would go through all that earlier transactions changed.
        self.committed.extend(std::mem::take(&mut self.pending));
    }

    /// Forgets what the running transaction changed.
    pub(crate) fn roll_back(&mut self) {
        self.undo.clear();
        self.pending.clear();
    }

    /// What differs from the ledger below, now that the batch is over.
    pub(crate) fn into_changes(self) -> Changes {
        assert!(
            self.pending.is_empty(),
            "every transaction was kept or rolled back"
        );
        let Self {
            view,
            mut committed,
            ..
        } = self;
        committed.retain(|key, value| view.get(key) != *value);
        committed
    }
}
