//! The state as a batch sees it: the ledger below, what earlier transactions of the batch changed
//! above it, and on top what the running transaction changed, which may yet be rolled back.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::TransactionId;

use crate::view::LedgerView;

/// Raw state keys; `None` is a removal.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

pub(crate) struct Overlay {
    view: Arc<dyn LedgerView>,
    committed: Changes,
    pending: Changes,
}

impl Overlay {
    pub(crate) fn new(view: Arc<dyn LedgerView>) -> Self {
        Self {
            view,
            committed: Changes::new(),
            pending: Changes::new(),
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
        self.pending.insert(key, Some(value));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.pending.insert(key, None);
    }

    /// Keeps what the running transaction changed.
    pub(crate) fn commit(&mut self) {
        self.committed.append(&mut self.pending);
    }

    /// Forgets what the running transaction changed.
    pub(crate) fn roll_back(&mut self) {
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
