//! A core node's disk: the vote log, whose unsynced tail a crash may take, and blocks that are
//! written one atomic transaction each.

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_consensus::{Record, Recovered};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::hash::sha256_concat;
use chancery_ledger::{Batch, ChainLimits, Height, Slot, TransactionId, Verified};
use parity_scale_codec::Encode as _;

use crate::fixture::{self, CHAIN};
use crate::node::{Observation, Outbox};
use crate::random::Random;

/// See the module's page.
#[derive(Debug, Clone)]
pub(crate) struct CoreDisk {
    durable: Vec<Record>,
    /// Written and not synced.
    unsynced: Vec<Record>,
    /// Of heights 0, 1, …
    statements: Vec<CheckpointStatement>,
    /// Of slots 1, 2, …
    blocks: Vec<Arc<Verified<Batch>>>,
    executed: BTreeSet<TransactionId>,
    /// Whether the vote log that must be there is not.
    missing: bool,
    stable: Option<CheckpointCertificate>,
}

impl CoreDisk {
    pub(crate) fn new() -> Self {
        Self {
            durable: Vec::new(),
            unsynced: Vec::new(),
            statements: vec![fixture::genesis()],
            blocks: Vec::new(),
            executed: BTreeSet::new(),
            missing: false,
            stable: None,
        }
    }

    /// One that was set up anew, after another was lost.
    pub(crate) fn wiped() -> Self {
        Self {
            missing: true,
            ..Self::new()
        }
    }

    pub(crate) fn append(&mut self, record: Record) {
        self.unsynced.push(record);
    }

    /// Everything that was written is durable from now on.
    pub(crate) fn sync<J>(&mut self, out: &mut Outbox<J>) {
        for record in std::mem::take(&mut self.unsynced) {
            out.observe(Observation::Durable(record.clone()));
            self.keep(record);
        }
    }

    /// Of some kinds only the newest record matters; the log is compacted at once.
    fn keep(&mut self, record: Record) {
        // A log that was made anew stands for the lost one only once it says how far that one went.
        if matches!(record, Record::Quarantine { .. }) {
            self.missing = false;
        }
        if let Some(kind) = record.single() {
            self.durable.retain(|before| before.single() != Some(kind));
        }
        self.durable.push(record);
    }

    /// A log is appended to: some first part of what was not synced may be there.
    /// Says whether that was neither nothing nor all.
    pub(crate) fn crash(&mut self, random: &mut Random) -> bool {
        let kept = random.index(self.unsynced.len() + 1);
        let unsynced = std::mem::take(&mut self.unsynced);
        let is_torn = kept > 0 && kept < unsynced.len();
        for record in unsynced.into_iter().take(kept) {
            self.keep(record);
        }
        is_torn
    }

    pub(crate) fn truncate(&mut self, through: Slot) {
        self.durable
            .retain(|record| record.slot().is_none_or(|slot| slot > through));
    }

    pub(crate) fn finish(&mut self, certificate: CheckpointCertificate) {
        self.stable = Some(certificate);
    }

    pub(crate) fn records(&self) -> usize {
        self.durable.len()
    }

    pub(crate) fn tip(&self) -> &CheckpointStatement {
        self.statements.last().expect("genesis is there")
    }

    /// Appends a block; returns the transactions that were executed in it.
    pub(crate) fn commit(&mut self, batch: Arc<Verified<Batch>>) -> Vec<TransactionId> {
        let transactions = effective(&batch, &self.executed);
        self.executed.extend(&transactions);
        self.statements.push(execute(self.tip(), &batch));
        self.blocks.push(batch);
        transactions
    }

    /// What the ledger would be with these batches in the blocks above `above`.
    pub(crate) fn would_be(
        &self,
        above: Height,
        batches: &[Arc<Verified<Batch>>],
    ) -> Option<CheckpointStatement> {
        let base = self.statements.get(usize::try_from(above.0).ok()?)?;
        let made = batches.iter();
        Some(made.fold(base.clone(), |tip, batch| execute(&tip, batch)))
    }

    pub(crate) fn blocks(
        &self,
        above: Height,
        upto: Height,
        count_max: usize,
    ) -> Vec<Arc<Verified<Batch>>> {
        let position = |height: Height| usize::try_from(height.0).unwrap_or(usize::MAX);
        let end = position(upto).min(self.blocks.len());
        let start = position(above).min(end);
        let wanted = self.blocks.get(start..end).unwrap_or_default();
        wanted.iter().take(count_max).cloned().collect()
    }

    pub(crate) fn executed_transactions(&self) -> BTreeSet<TransactionId> {
        self.executed.clone()
    }

    /// What a restart finds, through the bytes of the vote log.
    pub(crate) fn recovered(&self, limits: &ChainLimits, incarnation: u64) -> Recovered {
        let records = self.durable.iter();
        let records = records
            .map(|record| Record::decode(&record.encode(), limits).expect("own bytes decode"))
            .collect();
        Recovered {
            records,
            executed: self.tip().clone(),
            stable: self.stable.clone(),
            incarnation,
            vote_log_missing: self.missing,
        }
    }
}

/// What the fake executor makes of a batch.
fn execute(parent: &CheckpointStatement, batch: &Batch) -> CheckpointStatement {
    let time = batch.proposed_time;
    let mut statement = CheckpointStatement::new(
        CHAIN,
        parent.height.next(),
        sha256_concat(&[&parent.root.0, &batch.digest().0]),
        time,
    );
    statement.time_seconds = statement.time_seconds.max(parent.time_seconds);
    statement
}

/// The transactions of a batch that are executed: those that were not before.
fn effective(batch: &Batch, before: &BTreeSet<TransactionId>) -> Vec<TransactionId> {
    let ids = batch.transactions.iter().map(|signed| signed.id());
    ids.filter(|id| !before.contains(id)).collect()
}
