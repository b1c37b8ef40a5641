//! Taking over a state that was made elsewhere: its rows are staged in tables of their own, over
//! many transactions, and put in place by one. Until that one commits, the ledger is what it was;
//! what is left of a transfer that ended early is removed when the next one begins, or when the
//! ledger is opened.

use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::header_log::{HeaderLog, LogNode};
use chancery_ledger::state_tree::{Leaf, value_hash};
use chancery_ledger::{Hash, Header, Height, Receipt, TransactionId};
use parity_scale_codec::Encode as _;
use redb::{ReadableDatabase as _, ReadableTable as _, TableError, WriteTransaction};

use super::index::{self, Gap};
use super::snapshot::TransactionPlace;
use super::tables::{self, Body};
use super::write::write_certificates;
use super::{Store, StoreError};

/// An entry of the state with the hash of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedEntry {
    /// SHA-256 of `key`.
    pub key_hash: Hash,
    /// The key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// The block from which a ledger goes on, whose state is staged.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// Above the newest block here.
    pub header: &'a Header,
    /// Of `header`.
    pub certificate: &'a CheckpointCertificate,
    /// The nodes of the header log that are known: its whole subtrees before `header`, and what
    /// `header` completes.
    pub log_nodes: &'a [LogNode],
    /// The log with `header`.
    pub log: &'a HeaderLog,
    /// Blocks of this ledger above this height are removed: they are not certified.
    pub certified_here: Height,
}

const DOING: &str = "staging a state";

impl Store {
    /// Begins to stage; what was staged before is gone.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn begin_staging(&self) -> Result<(), StoreError> {
        self.write(DOING, |write| {
            delete_staged(write)?;
            write.open_table(tables::STAGED_STATE)?;
            write.open_table(tables::STAGED_LEAVES)?;
            write.open_table(tables::STAGED_TRANSACTIONS)?;
            Ok(())
        })
    }

    /// Removes what is staged, if anything is.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn drop_staging(&self) -> Result<(), StoreError> {
        if self.is_staging()? {
            self.write(DOING, delete_staged)?;
        }
        Ok(())
    }

    /// Stages transactions that were executed elsewhere.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn stage_transactions(
        &self,
        transactions: &[(TransactionId, TransactionPlace)],
    ) -> Result<(), StoreError> {
        self.write(DOING, |write| {
            let mut table = write.open_table(tables::STAGED_TRANSACTIONS)?;
            for (id, TransactionPlace { height, index }) in transactions {
                table.insert(&id.0, (height.0, *index))?;
            }
            Ok(())
        })
    }

    /// Stages entries of the state.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn stage_entries(&self, entries: &[StagedEntry]) -> Result<(), StoreError> {
        self.write(DOING, |write| {
            let mut table = write.open_table(tables::STAGED_STATE)?;
            let mut leaves = write.open_table(tables::STAGED_LEAVES)?;
            for StagedEntry {
                key_hash,
                key,
                value,
            } in entries
            {
                table.insert(&key_hash.0, tables::state_row(key, value).as_slice())?;
                leaves.insert(&key_hash.0, &value_hash(value).0)?;
            }
            Ok(())
        })
    }

    /// Hands the leaves of the staged state, in ascending order, to `take`.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn with_staged_leaves<T>(
        &self,
        take: impl FnOnce(&mut dyn Iterator<Item = Leaf>) -> T,
    ) -> Result<T, StoreError> {
        let reading = |error: redb::Error| StoreError::database(DOING, error);
        let read = self.database.begin_read();
        let read = read.map_err(|error| reading(error.into()))?;
        let table = read.open_table(tables::STAGED_LEAVES);
        let table = table.map_err(|error| reading(error.into()))?;
        let rows = table.iter().map_err(|error| reading(error.into()))?;
        let mut failed = None;
        let mut leaves = rows.map_while(|row| {
            let leaf = row.map(|(key, value)| (Hash(*key.value()), Hash(*value.value())));
            leaf.map_err(|error| failed = Some(reading(error.into())))
                .ok()
        });
        let taken = take(&mut leaves);
        drop(leaves);
        failed.map_or(Ok(taken), Err)
    }

    /// Puts what is staged in place, with its block as the newest one: all of it, durably, or
    /// nothing.
    ///
    /// # Errors
    /// As [`Store::commit`].
    ///
    /// # Panics
    /// If the block is not above the newest one here, or the log does not end with it.
    pub fn install(&self, base: Base<'_>) -> Result<(), StoreError> {
        let tip = self.tip().header.height;
        assert!(base.header.height > tip, "a snapshot is of a later block");
        assert_eq!(
            base.log.size(),
            base.header.height.next().0,
            "the log ends with the block"
        );
        self.write("installing a snapshot", |write| {
            remove_uncertified(write, base.certified_here)?;
            let gap = Gap {
                first: base.certified_here.next(),
                last: base.header.height,
            };
            index::write_gap(write, gap)?;
            write.delete_table(tables::STATE)?;
            write.rename_table(tables::STAGED_STATE, tables::STATE)?;
            write.delete_table(tables::LEAVES)?;
            write.rename_table(tables::STAGED_LEAVES, tables::LEAVES)?;
            let mut transactions = write.open_table(tables::TRANSACTIONS)?;
            for row in write.open_table(tables::STAGED_TRANSACTIONS)?.iter()? {
                let (id, place) = row?;
                transactions.insert(id.value(), place.value())?;
            }
            drop(transactions);
            write.delete_table(tables::STAGED_TRANSACTIONS)?;
            write_base(write, base)
        })
    }

    pub(super) fn is_staging(&self) -> Result<bool, StoreError> {
        let read = self.database.begin_read();
        let read = read.map_err(|error| StoreError::database(DOING, error.into()))?;
        match read.open_table(tables::STAGED_STATE) {
            Ok(_) => Ok(true),
            Err(TableError::TableDoesNotExist(_)) => Ok(false),
            Err(error) => Err(StoreError::database(DOING, error.into())),
        }
    }
}

fn delete_staged(write: &WriteTransaction) -> Result<(), redb::Error> {
    write.delete_table(tables::STAGED_STATE)?;
    write.delete_table(tables::STAGED_LEAVES)?;
    write.delete_table(tables::STAGED_TRANSACTIONS)?;
    Ok(())
}

fn write_base(write: &WriteTransaction, base: Base<'_>) -> Result<(), redb::Error> {
    let height = base.header.height;
    write
        .open_table(tables::HEADERS)?
        .insert(height.0, base.header.encode().as_slice())?;
    let mut nodes = write.open_table(tables::LOG_NODES)?;
    for LogNode { level, index, hash } in base.log_nodes {
        nodes.insert((*level, *index), &hash.0)?;
    }
    let mut meta = write.open_table(tables::META)?;
    meta.insert(tables::LOG, base.log.encode().as_slice())?;
    meta.insert(tables::BASE, height.encode().as_slice())?;
    drop(meta);
    write_certificates(write, std::slice::from_ref(base.certificate))
}

/// Removes every trace of blocks above `certified`.
fn remove_uncertified(write: &WriteTransaction, certified: Height) -> Result<(), redb::Error> {
    let above = certified.0.saturating_add(1)..;
    let damaged = |error: StoreError| redb::Error::Corrupted(error.to_string());
    let no_such_transaction =
        || redb::Error::Corrupted("a block executed what its batch has not".to_owned());
    let mut transactions = write.open_table(tables::TRANSACTIONS)?;
    let mut blocks = write.open_table(tables::BLOCKS)?;
    let receipts = write.open_table(tables::RECEIPTS)?;
    for row in blocks.range(above.clone())? {
        let (height, body) = row?;
        let body: Body = tables::decode("a block", body.value()).map_err(damaged)?;
        if let Some(receipts) = receipts.get(height.value())? {
            let receipts: Vec<Receipt> =
                tables::decode("receipts", receipts.value()).map_err(damaged)?;
            let transactions = body.transactions().ok_or_else(no_such_transaction)?;
            let marks = index::rows(&transactions, &receipts);
            index::remove_rows(write, Height(height.value()), marks.keys())?;
        }
        for transaction in &body.batch.transactions {
            // Of an executed one; one that was dropped may be executed in another block.
            let id = transaction.id().0;
            let height = transactions.get(&id)?.map(|place| place.value().0);
            if height.is_some_and(|height| height > certified.0) {
                transactions.remove(&id)?;
            }
        }
    }
    drop(receipts);
    blocks.retain_in(above.clone(), |_, _| false)?;
    for table in [tables::HEADERS, tables::RECEIPTS] {
        let mut table = write.open_table(table)?;
        table.retain_in(above.clone(), |_, _| false)?;
    }
    // A node of level l covers the leaves from index * 2^l on, 2^l of them.
    let leaves = certified.0.saturating_add(1);
    let mut nodes = write.open_table(tables::LOG_NODES)?;
    for level in 0..64_u8 {
        nodes.retain_in((level, leaves >> level)..=(level, u64::MAX), |_, _| false)?;
    }
    Ok(())
}
