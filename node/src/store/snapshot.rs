//! Reading: a view of the ledger as it was when a block had been written, whatever is written
//! later.

use std::ops::Bound;

pub use chancery_ledger::TransactionPlace;
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::header_log::HeaderLog;
use chancery_ledger::state_tree::{Leaf, LeafSource, key_hash, value_hash};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, ChainId, Hash, Header, Height, Receipt, TransactionId};
use parity_scale_codec::Decode;
use redb::{
    AccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _,
};

use super::index::{Gap, Mark, Search};
use super::tables::{self, Body};
use super::{StoreError, storage_failed};

/// The newest block of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// Its header.
    pub header: Header,
    /// The header log whose last leaf it is.
    pub log: HeaderLog,
    /// The newest certificate that is stored, of this block or of an earlier one.
    pub certificate: Option<CheckpointCertificate>,
}

/// A block with everything that was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its header.
    pub header: Header,
    /// What PBFT ordered.
    pub batch: Batch,
    /// Those of the batch that were executed, in order.
    pub transactions: Vec<SignedTransaction>,
    /// One for each of them.
    pub receipts: Vec<Receipt>,
}

/// A key of the state with its value.
pub type StateRow = (Vec<u8>, Vec<u8>);

/// A consistent view. It costs some five microseconds to make; while it lives, the file keeps
/// what it can see.
///
/// Its methods return no errors: a disk that cannot be read ends the process
/// ([`storage_failed`]).
#[derive(Debug)]
pub struct Snapshot {
    tables: Tables,
}

/// As [`Snapshot`], with errors: for opening, which reports them.
pub(super) struct Tables {
    meta: ReadOnlyTable<&'static str, &'static [u8]>,
    headers: ReadOnlyTable<u64, &'static [u8]>,
    blocks: ReadOnlyTable<u64, &'static [u8]>,
    receipts: ReadOnlyTable<u64, &'static [u8]>,
    transactions: ReadOnlyTable<&'static [u8; 32], (u64, u32)>,
    state: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    leaves: ReadOnlyTable<&'static [u8; 32], &'static [u8; 32]>,
    certificates: ReadOnlyTable<u64, &'static [u8]>,
    log_nodes: ReadOnlyTable<(u8, u64), &'static [u8; 32]>,
    pub(super) marks: ReadOnlyTable<tables::MarkPlace, &'static [u8]>,
    pub(super) gaps: ReadOnlyTable<u64, u64>,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(super) fn new(tables: Tables) -> Self {
        Self { tables }
    }

    /// The newest block.
    #[must_use]
    pub fn tip(&self) -> Tip {
        or_end(self.tables.tip())
    }

    /// The value under a key of the state.
    #[must_use]
    pub fn state_get(&self, key: &[u8]) -> Option<Vec<u8>> {
        or_end(self.tables.state_get(key))
    }

    /// The hashes of every key and value of the state, in ascending order of the key's hash: what
    /// a state tree is built from. It reads the whole state, and the process ends if a hash that is
    /// stored is not that of its value.
    pub fn state_leaves(&self) -> impl Iterator<Item = Leaf> {
        let rows = or_end(self.tables.state.iter().map_err(reading));
        let mut stored = or_end(self.tables.leaves.iter().map_err(reading));
        let counts = [self.tables.state.len(), self.tables.leaves.len()];
        let [rows_count, leaves_count] = counts.map(|count| or_end(count.map_err(reading)));
        if rows_count != leaves_count {
            storage_failed(&StoreError::damaged("the state has other leaves than rows"));
        }
        rows.map(move |row| {
            let made = row.map_err(reading).and_then(|(key, row)| {
                let (_, value) = tables::split_state_row(row.value())?;
                Ok((Hash(*key.value()), value_hash(value)))
            });
            let (made, stored) = (
                or_end(made),
                or_end(stored.next().transpose().map_err(reading)),
            );
            if stored.map(|row| leaf(&row)) != Some(made) {
                storage_failed(&StoreError::damaged(
                    "a leaf of the state is not its value's",
                ));
            }
            made
        })
    }

    /// Every key of the state with its value, in ascending order of the key's hash.
    pub fn state_entries(&self) -> impl Iterator<Item = StateRow> {
        let rows = or_end(self.tables.state.iter().map_err(reading));
        rows.map(|row| {
            or_end(row.map_err(reading).and_then(|(_, row)| {
                let (key, value) = tables::split_state_row(row.value())?;
                Ok((key.to_vec(), value.to_vec()))
            }))
        })
    }

    /// Where a transaction was executed, if it was.
    #[must_use]
    pub fn transaction(&self, id: &TransactionId) -> Option<TransactionPlace> {
        let place = or_end(self.tables.transactions.get(&id.0).map_err(reading))?;
        let (height, index) = place.value();
        Some(TransactionPlace {
            height: Height(height),
            index,
        })
    }

    /// Entries of the state, in ascending order of the key's hash: those behind `after`, at least
    /// one, and more as long as they and `bytes_max` allow.
    #[must_use]
    pub fn state_entries_after(&self, after: Option<&Hash>, bytes_max: usize) -> Vec<StateRow> {
        or_end(self.tables.state_entries_after(after, bytes_max))
    }

    /// The height of the snapshot by which this ledger joined, if it did. Of that block there is
    /// the header; of blocks below, what was here before.
    #[must_use]
    pub fn base(&self) -> Option<Height> {
        or_end(self.tables.base())
    }

    /// The newest certificate of a block that is here.
    #[must_use]
    pub fn newest_certified_header(&self) -> Option<Header> {
        or_end(self.tables.newest_certified_header())
    }

    /// Every transaction whose place is known.
    pub fn transaction_ids(&self) -> impl Iterator<Item = TransactionId> {
        let rows = or_end(self.tables.transactions.iter().map_err(reading));
        rows.map(|row| {
            let (id, _) = or_end(row.map_err(reading));
            TransactionId(*id.value())
        })
    }

    /// The header of a block, if there is one at that height.
    #[must_use]
    pub fn header(&self, height: Height) -> Option<Header> {
        or_end(self.tables.header(height))
    }

    /// A block, if there is one at that height and it was made here: none at or below
    /// [`Snapshot::base`] need be.
    #[must_use]
    pub fn block(&self, height: Height) -> Option<StoredBlock> {
        or_end(self.tables.block(height))
    }

    /// The receipts of a block, if there is one at that height.
    #[must_use]
    pub fn receipts(&self, height: Height) -> Option<Vec<Receipt>> {
        or_end(self.tables.receipts(height))
    }

    /// The first certificate that covers a height.
    #[must_use]
    pub fn certificate_at_or_after(&self, height: Height) -> Option<CheckpointCertificate> {
        or_end(self.tables.certificate_at_or_after(height))
    }

    /// The certificate of the greatest height.
    #[must_use]
    pub fn newest_certificate(&self) -> Option<CheckpointCertificate> {
        or_end(self.tables.newest_certificate())
    }

    /// The next block, from `from` on and up to `through`, in which transactions have all of
    /// `marks`, of which there is at least one. Looks at no more than `rows_max` rows. Of blocks
    /// in a [`Snapshot::gap`] nothing is found.
    #[must_use]
    pub fn search(
        &self,
        marks: &[Mark<'_>],
        from: TransactionPlace,
        through: Height,
        rows_max: usize,
    ) -> Search {
        or_end(self.tables.search(marks, from, through, rows_max))
    }

    /// The first gap that does not end before `from`.
    #[must_use]
    pub fn gap(&self, from: Height) -> Option<Gap> {
        or_end(self.tables.gap(from))
    }

    /// A whole subtree of the header log, for proofs.
    #[must_use]
    pub fn log_node(&self, level: u8, index: u64) -> Option<Hash> {
        or_end(self.tables.log_node(level, index))
    }
}

impl LeafSource for Snapshot {
    fn leaves(&self, from: &[u8; 32], to_inclusive: &[u8; 32]) -> Vec<Leaf> {
        or_end(self.tables.leaves(from, to_inclusive))
    }
}

impl Tables {
    /// Opens every table; an error means that the file is no ledger.
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            meta: transaction.open_table(tables::META)?,
            headers: transaction.open_table(tables::HEADERS)?,
            blocks: transaction.open_table(tables::BLOCKS)?,
            receipts: transaction.open_table(tables::RECEIPTS)?,
            transactions: transaction.open_table(tables::TRANSACTIONS)?,
            state: transaction.open_table(tables::STATE)?,
            leaves: transaction.open_table(tables::LEAVES)?,
            certificates: transaction.open_table(tables::CERTIFICATES)?,
            log_nodes: transaction.open_table(tables::LOG_NODES)?,
            marks: transaction.open_table(tables::MARKS)?,
            gaps: transaction.open_table(tables::GAPS)?,
        })
    }

    pub(super) fn chain(&self) -> Result<ChainId, StoreError> {
        self.meta(tables::CHAIN)
    }

    pub(super) fn tip(&self) -> Result<Tip, StoreError> {
        let last = self.headers.last().map_err(reading)?;
        let (_, header) = last.ok_or_else(|| StoreError::damaged("there is no block"))?;
        Ok(Tip {
            header: tables::decode("the newest header", header.value())?,
            log: self.meta(tables::LOG)?,
            certificate: self.newest_certificate()?,
        })
    }

    pub(super) fn header(&self, height: Height) -> Result<Option<Header>, StoreError> {
        at_height("a header", &self.headers, height)
    }

    pub(super) fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, StoreError> {
        at_height("receipts", &self.receipts, height)
    }

    pub(super) fn block(&self, height: Height) -> Result<Option<StoredBlock>, StoreError> {
        let Some(header) = self.header(height)? else {
            return Ok(None);
        };
        let missing = || StoreError::damaged(format!("a part of block {height} is missing"));
        let body: Option<Body> = at_height("a block", &self.blocks, height)?;
        let gap = self.gap(height)?;
        if body.is_none() && gap.is_some_and(|gap| gap.first <= height) {
            return Ok(None);
        }
        let body = body.ok_or_else(missing)?;
        Ok(Some(StoredBlock {
            header,
            transactions: body.transactions().ok_or_else(missing)?,
            receipts: self.receipts(height)?.ok_or_else(missing)?,
            batch: body.batch,
        }))
    }

    pub(super) fn log_node(&self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        let node = self.log_nodes.get((level, index)).map_err(reading)?;
        Ok(node.map(|node| Hash(*node.value())))
    }

    pub(super) fn base(&self) -> Result<Option<Height>, StoreError> {
        let value = self.meta.get(tables::BASE).map_err(reading)?;
        value
            .map(|value| tables::decode(tables::BASE, value.value()))
            .transpose()
    }

    pub(super) fn newest_certified_header(&self) -> Result<Option<Header>, StoreError> {
        for row in self.certificates.iter().map_err(reading)?.rev() {
            let (height, _) = row.map_err(reading)?;
            if let Some(header) = self.header(Height(height.value()))? {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    fn state_entries_after(
        &self,
        after: Option<&Hash>,
        bytes_max: usize,
    ) -> Result<Vec<StateRow>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(&after.0));
        let rows = self
            .state
            .range::<&[u8; 32]>((from, Bound::Unbounded))
            .map_err(reading)?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        for row in rows {
            let (_, row) = row.map_err(reading)?;
            bytes += row.value().len();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            let (key, value) = tables::split_state_row(row.value())?;
            entries.push((key.to_vec(), value.to_vec()));
        }
        Ok(entries)
    }

    fn state_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.state.get(&key_hash(key).0).map_err(reading)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let (found, value) = tables::split_state_row(row.value())?;
        if found != key {
            return Err(StoreError::damaged("a row of the state has another key"));
        }
        Ok(Some(value.to_vec()))
    }

    fn leaves(&self, from: &[u8; 32], to_inclusive: &[u8; 32]) -> Result<Vec<Leaf>, StoreError> {
        let rows = self
            .leaves
            .range::<&[u8; 32]>(from..=to_inclusive)
            .map_err(reading)?;
        rows.map(|row| row.map(|row| leaf(&row)).map_err(reading))
            .collect()
    }

    fn certificate_at_or_after(
        &self,
        height: Height,
    ) -> Result<Option<CheckpointCertificate>, StoreError> {
        let first = self.certificates.range(height.0..).map_err(reading)?.next();
        certificate(first.transpose().map_err(reading)?)
    }

    fn newest_certificate(&self) -> Result<Option<CheckpointCertificate>, StoreError> {
        certificate(self.certificates.last().map_err(reading)?)
    }

    fn meta<T: Decode>(&self, name: &'static str) -> Result<T, StoreError> {
        let value = self.meta.get(name).map_err(reading)?;
        let value = value.ok_or(StoreError::NotALedger {
            reason: "its description is missing",
        })?;
        tables::decode(name, value.value())
    }
}

type Row<'a> = (AccessGuard<'a, u64>, AccessGuard<'a, &'static [u8]>);

fn certificate(row: Option<Row<'_>>) -> Result<Option<CheckpointCertificate>, StoreError> {
    row.map(|(_, value)| tables::decode("a certificate", value.value()))
        .transpose()
}

fn at_height<T: Decode>(
    what: &str,
    table: &ReadOnlyTable<u64, &'static [u8]>,
    height: Height,
) -> Result<Option<T>, StoreError> {
    let row = table.get(height.0).map_err(reading)?;
    row.map(|row| tables::decode(what, row.value())).transpose()
}

type LeafRow<'a> = (
    AccessGuard<'a, &'static [u8; 32]>,
    AccessGuard<'a, &'static [u8; 32]>,
);

fn leaf((key, value): &LeafRow<'_>) -> Leaf {
    (Hash(*key.value()), Hash(*value.value()))
}

pub(super) fn reading(error: redb::StorageError) -> StoreError {
    StoreError::database("reading the ledger", error.into())
}

fn or_end<T>(result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| storage_failed(&error))
}
