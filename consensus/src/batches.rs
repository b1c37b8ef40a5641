//! The batches in memory, by digest: those that a slot wants, and a few that came before anything
//! named them. The latter are cheap to forge, so they are few and the oldest goes first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chancery_ledger::{Batch, BatchDigest, Verified};
use parity_scale_codec::Encode as _;

/// A batch with its digest, which is computed once.
#[derive(Debug, Clone)]
pub(crate) struct HeldBatch {
    digest: BatchDigest,
    /// Length of its encoding.
    bytes: usize,
    batch: Arc<Verified<Batch>>,
}

impl HeldBatch {
    pub(crate) fn new(batch: Arc<Verified<Batch>>) -> Self {
        Self {
            digest: batch.digest(),
            bytes: batch.encoded_size(),
            batch,
        }
    }

    pub(crate) fn digest(&self) -> BatchDigest {
        self.digest
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn batch(&self) -> &Arc<Verified<Batch>> {
        &self.batch
    }
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Batches {
    held: BTreeMap<BatchDigest, HeldBatch>,
    /// Those of `held` that no slot wants yet, the oldest first.
    loose: VecDeque<BatchDigest>,
    loose_max: usize,
}

impl Batches {
    pub(crate) fn new(loose_max: usize) -> Self {
        Self {
            held: BTreeMap::new(),
            loose: VecDeque::new(),
            loose_max,
        }
    }

    pub(crate) fn get(&self, digest: &BatchDigest) -> Option<&HeldBatch> {
        self.held.get(digest)
    }

    pub(crate) fn has(&self, digest: &BatchDigest) -> bool {
        self.held.contains_key(digest)
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn loose_len(&self) -> usize {
        self.loose.len()
    }

    /// Keeps a batch that a slot wants.
    pub(crate) fn keep(&mut self, held: HeldBatch) {
        self.held.insert(held.digest, held);
    }

    /// Keeps a batch that nothing names yet, at the cost of the oldest such one.
    pub(crate) fn keep_loose(&mut self, held: HeldBatch) {
        if self.loose_max == 0 {
            return;
        }
        if self.loose.len() >= self.loose_max
            && let Some(oldest) = self.loose.pop_front()
        {
            self.held.remove(&oldest);
        }
        self.loose.push_back(held.digest);
        self.held.insert(held.digest, held);
    }

    /// From now on a slot wants the batch, if it is here.
    pub(crate) fn want(&mut self, digest: &BatchDigest) {
        self.loose.retain(|loose| loose != digest);
    }

    /// Drops what no slot wants any more; what nothing named yet stays.
    pub(crate) fn retain(&mut self, wanted: &BTreeSet<BatchDigest>) {
        let loose = &self.loose;
        self.held
            .retain(|digest, _| wanted.contains(digest) || loose.contains(digest));
    }
}
