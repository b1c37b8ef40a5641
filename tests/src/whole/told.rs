//! What the oracle was told that a validator has executed.

use std::collections::BTreeMap;

use chancery_ledger::checkpoint::CheckpointStatement;
use chancery_ledger::header_log::HeaderLog;
use chancery_ledger::{Header, Height, Receipt, TransactionId};
use chancery_node::store::Snapshot;
use chancery_simulation::node::Observation;

use super::ledger::Ledger;

/// See the module's page.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// About the newest block.
    pub(super) statement: CheckpointStatement,
    /// What was executed in blocks that are here.
    pub(super) transactions: BTreeMap<TransactionId, Height>,
    log: HeaderLog,
}

impl Told {
    /// Nothing: the ledger begins.
    pub(super) fn new(ledger: &Ledger) -> Self {
        let header = &ledger.first.header;
        let mut log = HeaderLog::default();
        let _nodes = log.append(header.hash());
        Self {
            statement: statement(header, &log),
            transactions: BTreeMap::new(),
            log,
        }
    }

    /// The block whose state came from another validator, if it is above what was told; what to
    /// tell the oracle. What was executed in blocks below is still known.
    pub(super) fn join(&mut self, ledger: &Snapshot) -> Option<Observation> {
        let base = ledger.base()?;
        if base <= self.statement.height {
            return None;
        }
        let header = ledger.header(base).expect("it is stored");
        let node = |level, index| ledger.log_node(level, index);
        self.log = HeaderLog::of_size(base.0, &node).expect("its edge is stored");
        let _nodes = self.log.append(header.hash());
        self.statement = statement(&header, &self.log);
        Some(Observation::Joined(self.statement.clone()))
    }

    /// The next block; what to tell the oracle.
    pub(super) fn block(&mut self, header: &Header, receipts: &[Receipt]) -> Observation {
        let _nodes = self.log.append(header.hash());
        self.statement = statement(header, &self.log);
        let ids: Vec<_> = receipts.iter().map(|receipt| receipt.transaction).collect();
        let places = ids.iter().map(|id| (*id, header.height));
        self.transactions.extend(places);
        Observation::Executed {
            slot: header.height.into(),
            batch: header.batch,
            transactions: ids,
            statement: self.statement.clone(),
        }
    }
}

fn statement(header: &Header, log: &HeaderLog) -> CheckpointStatement {
    CheckpointStatement::new(header.chain, header.height, log.root(), header.time)
}
