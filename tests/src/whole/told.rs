//! What the oracle was told that a validator has executed.

use chancery_ledger::checkpoint::CheckpointStatement;
use chancery_ledger::header_log::HeaderLog;
use chancery_ledger::{Header, Receipt};
use chancery_node::store::Snapshot;
use chancery_simulation::node::Observation;

use super::ledger::Ledger;

/// See the module's page.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// About the newest block.
    pub(super) statement: CheckpointStatement,
    log: HeaderLog,
}

impl Told {
    /// Nothing: the ledger begins.
    pub(super) fn new(ledger: &Ledger) -> Self {
        Self::of(&ledger.first.header, HeaderLog::default())
    }

    /// A ledger whose header log is `log` before its newest header.
    fn of(header: &Header, mut log: HeaderLog) -> Self {
        let _nodes = log.append(header.hash());
        let root = log.root();
        Self {
            statement: CheckpointStatement::new(header.chain, header.height, root, header.time),
            log,
        }
    }

    /// The block whose state came from another validator, if it is above what was told.
    pub(super) fn join(&mut self, ledger: &Snapshot) {
        let base = ledger.base().filter(|base| *base > self.statement.height);
        if let Some(base) = base {
            let header = ledger.header(base).expect("it is stored");
            let node = |level, index| ledger.log_node(level, index);
            let log = HeaderLog::of_size(base.0, &node).expect("its edge is stored");
            *self = Self::of(&header, log);
        }
    }

    /// The next block; what to tell the oracle.
    pub(super) fn block(&mut self, header: &Header, receipts: &[Receipt]) -> Observation {
        *self = Self::of(header, std::mem::take(&mut self.log));
        let ids = receipts.iter().map(|receipt| receipt.transaction);
        Observation::Executed {
            slot: header.height.into(),
            batch: header.batch,
            transactions: ids.collect(),
            statement: self.statement.clone(),
        }
    }
}
