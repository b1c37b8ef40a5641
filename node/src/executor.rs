//! Makes blocks of ordered batches: executes, updates the state tree and the header log, writes
//! one atomic block. Everything in it is deterministic; the store below it is the only effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::block::{PROTOCOL_VERSION, receipts_root, transactions_root};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::header_log::HeaderLog;
use chancery_ledger::state_tree::{StateTree, key_hash, value_hash};
use chancery_ledger::{
    Batch, ChainId, Epoch, Hash, Header, Height, Millis, Receipt, TransactionId, ValidatorSet,
};
use chancery_runtime::{BlockContext, DropReason, ExecutedBatch, LedgerView, Runtime};

use crate::catch_up::{self, RangeError};
use crate::store::{BlockWrite, Snapshot, Store, StoreError};
use crate::wire::BlockRange;

impl LedgerView for Snapshot {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.state_get(key)
    }

    fn was_admitted(&self, id: &TransactionId) -> bool {
        self.transaction(id).is_some()
    }
}

/// Owns the newest state and the only right to write blocks.
#[derive(Debug)]
pub struct Executor {
    chain: ChainId,
    validators: ValidatorSet,
    runtime: Arc<Runtime>,
    store: Arc<Store>,
    tree: StateTree,
    log: HeaderLog,
    tip: Header,
    /// Certificates that became known since the last block; they are stored with the next one.
    certificates: BTreeMap<Height, CheckpointCertificate>,
}

/// A block just written.
#[derive(Debug)]
pub struct Executed {
    /// What this validator will cosign.
    pub statement: CheckpointStatement,
    /// Its header.
    pub header: Header,
    /// In order of execution.
    pub receipts: Vec<Receipt>,
    /// Transactions of the batch that are not in the block.
    pub dropped: Vec<(TransactionId, DropReason)>,
}

/// Why blocks from a peer were not executed.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// They are not what they claim to be: the peer lied.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// They are certified, and executing them here gives something else: this validator is wrong.
    #[error("block {height} is certified as {certified}, executing it here gives {ours}")]
    Diverged {
        /// Which block.
        height: Height,
        /// The certified header's hash.
        certified: Hash,
        /// Ours.
        ours: Hash,
    },
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A block that was made and not yet written.
struct Made {
    header: Header,
    executed: ExecutedBatch,
}

impl Executor {
    /// Continues from the newest block of `store`; reads the whole state once.
    #[must_use]
    pub fn new(
        chain: ChainId,
        validators: ValidatorSet,
        runtime: Arc<Runtime>,
        store: Arc<Store>,
    ) -> Self {
        let snapshot = store.read();
        let tip = snapshot.tip();
        let tree = StateTree::build(snapshot.state_leaves());
        assert_eq!(
            tree.root(),
            tip.header.state_root,
            "the state on disk is the newest block's"
        );
        Self {
            chain,
            validators,
            runtime,
            store,
            tree,
            log: tip.log,
            tip: tip.header,
            certificates: BTreeMap::new(),
        }
    }

    /// The newest block.
    #[must_use]
    pub fn tip(&self) -> &Header {
        &self.tip
    }

    /// What there is to cosign about the newest block.
    #[must_use]
    pub fn statement(&self) -> CheckpointStatement {
        CheckpointStatement::new(self.chain, self.tip.height, self.log.root(), self.tip.time)
    }

    /// Keeps a certificate, to be stored with the next block.
    pub fn keep_certificate(&mut self, certificate: CheckpointCertificate) {
        self.certificates
            .insert(certificate.statement.height, certificate);
    }

    /// Stores the certificates that no block has taken along yet.
    ///
    /// # Errors
    /// If the disk failed: the process must end.
    pub fn flush_certificates(&mut self) -> Result<(), StoreError> {
        let (height, certificates) = (self.tip.height, &mut self.certificates);
        certificates.retain(|at, _| *at <= height);
        while let Some((_, certificate)) = certificates.pop_first() {
            self.store.put_certificate(&certificate)?;
        }
        Ok(())
    }

    /// Executes the next batch and writes its block, durably.
    ///
    /// # Errors
    /// If the disk failed: the process must end.
    pub fn execute(&mut self, batch: &Batch) -> Result<Executed, StoreError> {
        let made = self.make(batch);
        self.write(batch, made)
    }

    /// Executes blocks that a peer sent, after checking that they are certified.
    ///
    /// # Errors
    /// If they are not, if executing them gives another result, or if the disk failed.
    pub fn catch_up(&mut self, mut range: BlockRange) -> Result<Vec<Executed>, CatchUpError> {
        // PBFT may have brought some of them in the meantime.
        range
            .blocks
            .retain(|block| block.header.height > self.tip.height);
        if range.blocks.is_empty() {
            return Ok(Vec::new());
        }
        catch_up::verify(&range, &self.tip, self.chain, &self.validators)?;
        let mut all = Vec::new();
        for block in range.blocks {
            let made = self.make(&block.batch);
            if made.header != block.header {
                return Err(CatchUpError::Diverged {
                    height: block.header.height,
                    certified: block.header.hash(),
                    ours: made.header.hash(),
                });
            }
            if block.header.height == range.certificate.statement.height {
                self.keep_certificate(range.certificate.clone());
            }
            all.push(self.write(&block.batch, made)?);
        }
        Ok(all)
    }

    fn make(&mut self, batch: &Batch) -> Made {
        let snapshot = Arc::new(self.store.read());
        let height = self.tip.height.next();
        let time = batch
            .proposed_time
            .max(self.tip.time.saturating_add(Millis(1)));
        let context = BlockContext {
            chain: self.chain,
            height,
            time,
        };
        let executed = self
            .runtime
            .execute_batch(&context, snapshot.clone(), batch);
        let changes: BTreeMap<Hash, Option<Hash>> = executed
            .changes
            .iter()
            .map(|(key, value)| (key_hash(key), value.as_deref().map(value_hash)))
            .collect();
        self.tree.update(&changes, &*snapshot);
        let count = u32::try_from(executed.transactions.len()).expect("a batch has a limit");
        let header = Header {
            version: PROTOCOL_VERSION,
            chain: self.chain,
            epoch: Epoch(0),
            height,
            parent: self.tip.hash(),
            time,
            batch: batch.digest(),
            transactions_root: transactions_root(&executed.transactions),
            transactions_count: count,
            receipts_root: receipts_root(&executed.receipts),
            state_root: self.tree.root(),
            state_count: self.tree.count(),
        };
        Made { header, executed }
    }

    fn write(&mut self, batch: &Batch, made: Made) -> Result<Executed, StoreError> {
        let Made { header, executed } = made;
        let log_nodes = self.log.append(header.hash());
        let certificates: Vec<_> = std::mem::take(&mut self.certificates)
            .into_values()
            .collect();
        self.store.commit(BlockWrite {
            header: &header,
            batch,
            transactions: &executed.transactions,
            receipts: &executed.receipts,
            changes: &executed.changes,
            log_nodes: &log_nodes,
            log: &self.log,
            certificates: &certificates,
        })?;
        self.tip = header.clone();
        Ok(Executed {
            statement: self.statement(),
            header,
            receipts: executed.receipts,
            dropped: executed.dropped,
        })
    }
}
