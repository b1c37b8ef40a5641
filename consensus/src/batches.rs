//! The batches in memory, by digest: those that a slot wants, and a few that came before anything
//! named them. The latter are cheap to forge, so they are few, and whoever sent most of them loses the
//! oldest of its own first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chancery_ledger::{Batch, BatchDigest, ValidatorIndex, Verified};
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
    /// Those of `held` that no slot wants yet with their senders, the oldest first.
    loose: VecDeque<(ValidatorIndex, BatchDigest)>,
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

    /// Keeps a batch that nothing names yet, at the cost of the oldest such one of whoever then has
    /// most of them.
    pub(crate) fn keep_loose(&mut self, from: ValidatorIndex, held: HeldBatch) {
        self.loose.push_back((from, held.digest));
        self.held.insert(held.digest, held);
        if self.loose.len() <= self.loose_max {
            return;
        }
        let mut counts: BTreeMap<ValidatorIndex, usize> = BTreeMap::new();
        for (sender, _) in &self.loose {
            let count = counts.entry(*sender).or_default();
            *count = count.saturating_add(1);
        }
        let greedy = counts.into_iter().max_by_key(|(_, count)| *count);
        let oldest = greedy
            .and_then(|(greedy, _)| self.loose.iter().position(|(sender, _)| *sender == greedy))
            .and_then(|oldest| self.loose.remove(oldest));
        if let Some((_, oldest)) = oldest {
            self.held.remove(&oldest);
        }
    }

    /// From now on a slot wants the batch, if it is here.
    pub(crate) fn want(&mut self, digest: &BatchDigest) {
        self.loose.retain(|(_, loose)| loose != digest);
    }

    /// Drops what no slot wants any more; what nothing named yet stays.
    pub(crate) fn retain(&mut self, wanted: &BTreeSet<BatchDigest>) {
        let loose: BTreeSet<&BatchDigest> = self.loose.iter().map(|(_, digest)| digest).collect();
        self.held
            .retain(|digest, _| wanted.contains(digest) || loose.contains(digest));
    }
}
