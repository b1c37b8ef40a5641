//! What finds transactions and their events again: which transactions of which block have a
//! [`Mark`].
//!
//! One row says of one mark and one block which executed transactions have it, by their positions,
//! one to four bytes each; what they did stands in the block alone. The rows are written and removed
//! with their block, in the same transaction of the database.
//!
//! A block adds at most two rows for each of its transactions, and for events: one, 256 for their
//! topics, and 257 for each contract that has any. Contracts can make up as many topics as they
//! like, which is why a row is of all topics whose SHA-256 begins with the same byte: whoever looks
//! for one finds the others too, and has to look at the events again.
//!
//! A ledger that joined by a snapshot has no rows of the blocks that it has not. Which those are is
//! in a table of gaps, so that a search says that it does not know, and never that there is nothing.

use std::collections::BTreeMap;

use chancery_ledger::hash::{sha256, sha256_concat};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{AccountId, ContractId, Height, Receipt};
use parity_scale_codec::{Compact, Encode as _};
use redb::{ReadableTable as _, WriteTransaction};

use super::snapshot::{Tables, TransactionPlace, reading};
use super::{StoreError, tables};

/// Something by which transactions are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark<'a> {
    /// Signed by this account.
    Sender(AccountId),
    /// It deployed or called this contract, with whatever outcome.
    Contract(ContractId),
    /// It has events.
    Events,
    /// It has events of this contract.
    Emitter(ContractId),
    /// It has events with this topic, or with one like it.
    Topic(&'a str),
    /// It has events with this topic, or with one like it, of this contract.
    EmitterTopic(ContractId, &'a str),
}

/// What rows are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Sender(AccountId),
    Contract(ContractId),
    Events,
    Emitter(ContractId),
    Topic(u8),
    EmitterTopic(ContractId, u8),
}

/// A kind of subject, and what tells subjects of that kind apart.
pub(super) type MarkKey = (u8, [u8; 32]);

impl Mark<'_> {
    fn key(&self) -> MarkKey {
        let subject = match self {
            Self::Sender(account) => Subject::Sender(*account),
            Self::Contract(contract) => Subject::Contract(*contract),
            Self::Events => Subject::Events,
            Self::Emitter(contract) => Subject::Emitter(*contract),
            Self::Topic(topic) => Subject::Topic(topic_byte(topic)),
            Self::EmitterTopic(contract, topic) => {
                Subject::EmitterTopic(*contract, topic_byte(topic))
            }
        };
        subject.key()
    }
}

impl Subject {
    fn key(self) -> MarkKey {
        match self {
            Self::Sender(account) => (0, account.0),
            Self::Contract(contract) => (1, contract.0),
            Self::Events => (2, [0; 32]),
            Self::Emitter(contract) => (3, contract.0),
            Self::Topic(byte) => (4, [byte; 32]),
            Self::EmitterTopic(contract, byte) => (5, sha256_concat(&[&contract.0, &[byte]]).0),
        }
    }
}

/// What stands for a topic.
fn topic_byte(topic: &str) -> u8 {
    let [byte, ..] = sha256(topic.as_bytes()).0;
    byte
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// The next block that has any.
    Found {
        /// The block.
        height: Height,
        /// Positions of the transactions among the executed ones, ascending, at least one.
        indices: Vec<u32>,
    },
    /// As many rows were looked at as may be; there is nothing below this block.
    Paused(Height),
    /// There is nothing more.
    Nothing,
}

/// Blocks that are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub first: Height,
    /// The last of them: the block of the snapshot by which this ledger joined.
    pub last: Height,
}

/// The rows of a block's transactions, in the order of the table.
pub(super) fn rows(
    transactions: &[SignedTransaction],
    receipts: &[Receipt],
) -> BTreeMap<MarkKey, Vec<u8>> {
    let mut subjects: BTreeMap<Subject, Vec<Compact<u32>>> = BTreeMap::new();
    let mut bytes: BTreeMap<&str, u8> = BTreeMap::new();
    for (index, (signed, receipt)) in (0..).zip(transactions.iter().zip(receipts)) {
        let mut add = |subject| {
            let indices = subjects.entry(subject).or_default();
            if indices.last() != Some(&Compact(index)) {
                indices.push(Compact(index));
            }
        };
        add(Subject::Sender(signed.transaction.sender));
        if let Some(contract) = receipt.contract {
            add(Subject::Contract(contract));
        }
        for event in &receipt.events {
            let topic = event.topic.as_str();
            let byte = *bytes.entry(topic).or_insert_with(|| topic_byte(topic));
            add(Subject::Events);
            add(Subject::Emitter(event.contract));
            add(Subject::Topic(byte));
            add(Subject::EmitterTopic(event.contract, byte));
        }
    }
    let rows = subjects.into_iter();
    rows.map(|(subject, indices)| (subject.key(), indices.encode()))
        .collect()
}

pub(super) fn write_rows(
    write: &WriteTransaction,
    height: Height,
    rows: &BTreeMap<MarkKey, Vec<u8>>,
) -> Result<(), redb::Error> {
    let mut table = write.open_table(tables::MARKS)?;
    for ((kind, subject), indices) in rows {
        table.insert((*kind, subject, height.0), indices.as_slice())?;
    }
    Ok(())
}

pub(super) fn remove_rows<'a>(
    write: &WriteTransaction,
    height: Height,
    keys: impl Iterator<Item = &'a MarkKey>,
) -> Result<(), redb::Error> {
    let mut table = write.open_table(tables::MARKS)?;
    for (kind, subject) in keys {
        table.remove((*kind, subject, height.0))?;
    }
    Ok(())
}

pub(super) fn write_gap(write: &WriteTransaction, gap: Gap) -> Result<(), redb::Error> {
    let mut table = write.open_table(tables::GAPS)?;
    table.insert(gap.first.0, gap.last.0)?;
    Ok(())
}

impl Tables {
    /// The next block, from `from` on and up to `through`, in which transactions have all of
    /// `marks`, of which there is at least one.
    pub(super) fn search(
        &self,
        marks: &[Mark<'_>],
        from: TransactionPlace,
        through: Height,
        rows_max: usize,
    ) -> Result<Search, StoreError> {
        let keys: Vec<MarkKey> = marks.iter().map(Mark::key).collect();
        assert!(!keys.is_empty(), "a search is for something");
        let (mut height, mut rows) = (from.height, 0);
        'block: while height <= through {
            let mut common: Option<Vec<u32>> = None;
            for key in &keys {
                if rows == rows_max {
                    return Ok(Search::Paused(height));
                }
                rows += 1;
                let Some((found, indices)) = self.mark_row(key, height, through)? else {
                    return Ok(Search::Nothing);
                };
                if found > height && common.is_some() {
                    // The marks before this one have to be looked for again.
                    height = found;
                    continue 'block;
                }
                height = found;
                common = Some(match common {
                    None => indices,
                    Some(mut common) => {
                        common.retain(|index| indices.binary_search(index).is_ok());
                        common
                    }
                });
            }
            let mut indices = common.unwrap_or_default();
            if height == from.height {
                indices.retain(|index| *index >= from.index);
            }
            if !indices.is_empty() {
                return Ok(Search::Found { height, indices });
            }
            height = height.next();
        }
        Ok(Search::Nothing)
    }

    /// The first row of a mark in these blocks.
    fn mark_row(
        &self,
        (kind, subject): &MarkKey,
        from: Height,
        through: Height,
    ) -> Result<Option<(Height, Vec<u32>)>, StoreError> {
        let range = (*kind, subject, from.0)..=(*kind, subject, through.0);
        let mut rows = self.marks.range(range).map_err(reading)?;
        let Some(row) = rows.next() else {
            return Ok(None);
        };
        let (key, indices) = row.map_err(reading)?;
        let (_, _, height) = key.value();
        let indices: Vec<Compact<u32>> = tables::decode("a row of marks", indices.value())?;
        let indices = indices.into_iter().map(|Compact(index)| index).collect();
        Ok(Some((Height(height), indices)))
    }

    /// The first gap that does not end before `from`.
    pub(super) fn gap(&self, from: Height) -> Result<Option<Gap>, StoreError> {
        for row in self.gaps.iter().map_err(reading)? {
            let (first, last) = row.map_err(reading)?;
            if last.value() >= from.0 {
                return Ok(Some(Gap {
                    first: Height(first.value()),
                    last: Height(last.value()),
                }));
            }
        }
        Ok(None)
    }

    /// Whether exactly these rows are those of the block at `height`, as far as the block says
    /// which there are.
    pub(super) fn has_rows(
        &self,
        height: Height,
        rows: &BTreeMap<MarkKey, Vec<u8>>,
    ) -> Result<bool, StoreError> {
        for ((kind, subject), expected) in rows {
            let row = self
                .marks
                .get((*kind, subject, height.0))
                .map_err(reading)?;
            if row.is_none_or(|row| row.value() != expected.as_slice()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
