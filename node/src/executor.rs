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

use crate::catch_up::snapshot::{Floor, Join, Past, SnapshotError};
use crate::catch_up::{self, Answer, RangeError};
use crate::store::{Base, BlockWrite, Snapshot, Store, StoreError};
use crate::wire::{BlockRange, SnapshotPart, SnapshotRequest};

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
    /// How long a transaction may be valid, which says how far back a snapshot needs blocks.
    valid_for: Millis,
    /// The snapshot that is being fetched.
    join: Option<Join>,
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

/// What came of a peer's answer.
#[derive(Debug, Default)]
pub struct Taken {
    /// Blocks that were executed.
    pub blocks: Vec<Executed>,
    /// The certificate of a snapshot that is in place now.
    pub joined: Option<CheckpointCertificate>,
    /// What is missing of a snapshot.
    pub part: Option<SnapshotRequest>,
}

/// Why blocks from a peer were not executed.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// They are not what they claim to be: the peer lied.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A snapshot is not what it claims to be.
    #[error("a snapshot: {0}")]
    Snapshot(#[from] SnapshotError),
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
        let valid_for = Millis(runtime.limits().valid_for_ms_max);
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
            valid_for,
            join: None,
        }
    }

    /// The newest block.
    #[must_use]
    pub fn tip(&self) -> &Header {
        &self.tip
    }

    /// The tree over the state right after the newest block; a clone shares it.
    #[must_use]
    pub fn state_tree(&self) -> StateTree {
        self.tree.clone()
    }

    /// Every transaction that is known to be executed.
    #[must_use]
    pub fn executed_ids(&self) -> Vec<TransactionId> {
        self.store.read().transaction_ids().collect()
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
        self.write(batch, made, Store::commit)
    }

    /// Takes what a peer sent: executes blocks, or goes on with a snapshot.
    ///
    /// # Errors
    /// If it does not hold, if this validator has diverged, or if the disk failed. What was fetched
    /// of a snapshot is given up then.
    pub fn take(&mut self, answer: Answer) -> Result<Taken, CatchUpError> {
        match answer {
            Answer::Blocks(range) => Ok(Taken {
                blocks: self.catch_up(range)?,
                ..Taken::default()
            }),
            Answer::Snapshot(part) => self.take_part(part),
        }
    }

    /// One part of a snapshot; the whole rules stand in [`catch_up::snapshot`].
    fn take_part(&mut self, part: SnapshotPart) -> Result<Taken, CatchUpError> {
        let begun = self.join.take();
        let join = match (part, begun) {
            // Another source of the same snapshot: what is here already counts.
            (SnapshotPart::Offer(offer), Some(join)) if *join.offer() == *offer => join,
            (SnapshotPart::Offer(offer), _) => {
                let here = (self.tip.height, self.floor());
                let set = (self.chain, &self.validators);
                let join = Join::begin(*offer, here, set, self.valid_for)?;
                self.store.begin_staging()?;
                join
            }
            (SnapshotPart::Blocks { height, blocks }, Some(mut join)) => {
                match join.take_blocks(height, &blocks)? {
                    Past::Transactions(executed) => self.store.stage_transactions(&executed)?,
                    Past::Contradicts { certified } => {
                        let Floor { height, hash } = join.floor();
                        return Err(CatchUpError::Diverged {
                            height,
                            certified,
                            ours: hash,
                        });
                    }
                }
                join
            }
            (SnapshotPart::State { height, entries }, Some(mut join)) => {
                let staged = join.take_entries(height, entries)?;
                self.store.stage_entries(&staged)?;
                join
            }
            (SnapshotPart::Blocks { .. } | SnapshotPart::State { .. }, None) => {
                return Err(SnapshotError::Unexpected.into());
            }
        };
        let Some(part) = join.next_request() else {
            return self.join(join);
        };
        self.join = Some(join);
        Ok(Taken {
            part: Some(part),
            ..Taken::default()
        })
    }

    /// The newest certified block here.
    fn floor(&self) -> Floor {
        let snapshot = self.store.read();
        let certified = snapshot.newest_certified_header();
        let header = certified.or_else(|| snapshot.header(Height(0)));
        let header =
            header.expect("a ledger begins with genesis, or goes on from a certified block");
        Floor {
            height: header.height,
            hash: header.hash(),
        }
    }

    /// Puts a snapshot in place, all of which is staged: S6, S7.
    fn join(&mut self, join: Join) -> Result<Taken, CatchUpError> {
        let header = join.header();
        if header.height <= self.tip.height {
            let (height, have) = (header.height, self.tip.height);
            return Err(SnapshotError::NotAhead { height, have }.into());
        }
        let tree = self
            .store
            .with_staged_leaves(|leaves| StateTree::build(leaves))?;
        let (given, certified) = (tree.root(), header.state_root);
        if given != certified || tree.count() != header.state_count {
            return Err(SnapshotError::OtherState { given, certified }.into());
        }
        let (log, log_nodes) = join.log();
        let certificate = &join.offer().certificate;
        self.store.install(Base {
            header,
            certificate,
            log_nodes,
            log,
            certified_here: join.floor().height,
        })?;
        (self.tree, self.log, self.tip) = (tree, log.clone(), header.clone());
        self.certificates = self.certificates.split_off(&self.tip.height.next());
        Ok(Taken {
            joined: Some(certificate.clone()),
            ..Taken::default()
        })
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
        let last = range.blocks.last().map(|block| block.header.height);
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
            // One sync for all of them: whoever sent them has them, and nothing is said about any
            // before the last one is durable.
            let commit = if Some(block.header.height) == last {
                Store::commit
            } else {
                Store::commit_later
            };
            all.push(self.write(&block.batch, made, commit)?);
        }
        Ok(all)
    }

    fn make(&mut self, batch: &Batch) -> Made {
        let snapshot = Arc::new(self.store.read());
        let height = self.tip.height.next();
        let time = self.tip.time_of_next(batch);
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

    fn write(
        &mut self,
        batch: &Batch,
        made: Made,
        commit: fn(&Store, BlockWrite<'_>) -> Result<(), StoreError>,
    ) -> Result<Executed, StoreError> {
        let Made { header, executed } = made;
        let log_nodes = self.log.append(header.hash());
        let certificates: Vec<_> = std::mem::take(&mut self.certificates)
            .into_values()
            .collect();
        let block = BlockWrite {
            header: &header,
            batch,
            transactions: &executed.transactions,
            receipts: &executed.receipts,
            changes: &executed.changes,
            log_nodes: &log_nodes,
            log: &self.log,
            certificates: &certificates,
        };
        commit(&self.store, block)?;
        self.tip = header.clone();
        Ok(Executed {
            statement: self.statement(),
            header,
            receipts: executed.receipts,
            dropped: executed.dropped,
        })
    }
}
