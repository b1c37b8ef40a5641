//! The tables of a ledger's file. A key of 32 bytes is a hash; numbers sort as numbers; a value in
//! SCALE is the canonical encoding of one type.

use chancery_ledger::Batch;
use chancery_ledger::transaction::SignedTransaction;
use parity_scale_codec::{Compact, Decode, DecodeAll, Encode};
use redb::TableDefinition;

use super::StoreError;

type Bytes = &'static [u8];
type HashBytes = &'static [u8; 32];
/// Kind of mark, what tells marks of that kind apart, height.
pub(super) type MarkPlace = (u8, HashBytes, u64);

/// [`SCHEMA`], [`CHAIN`], [`LOG`] and [`BASE`].
pub(super) const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("meta");
/// Height -> SCALE(Header).
pub(super) const HEADERS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("headers");
/// Height -> SCALE([`Body`]).
pub(super) const BLOCKS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("blocks");
/// Height -> SCALE(`Vec<Receipt>`).
pub(super) const RECEIPTS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("receipts");
/// Transaction id -> (height, index in the block). This is the replay set.
pub(super) const TRANSACTIONS: TableDefinition<'_, HashBytes, (u64, u32)> =
    TableDefinition::new("transactions");
/// SHA-256(key) -> SCALE(key, value).
pub(super) const STATE: TableDefinition<'_, HashBytes, Bytes> = TableDefinition::new("state");
/// SHA-256(key) -> SHA-256(value) of each row of [`STATE`]: the bottom of the state tree. Whatever is
/// written, its neighbours are hashed anew, and those may be large: so their values are not read.
pub(super) const LEAVES: TableDefinition<'_, HashBytes, HashBytes> = TableDefinition::new("leaves");
/// Height -> SCALE(CheckpointCertificate).
pub(super) const CERTIFICATES: TableDefinition<'_, u64, Bytes> =
    TableDefinition::new("certificates");
/// (level, index) -> the root of a whole subtree of the header log.
pub(super) const LOG_NODES: TableDefinition<'_, (u8, u64), HashBytes> =
    TableDefinition::new("log_nodes");

/// Where transactions with a mark are ([`super::index`]) -> SCALE(`Vec<Compact<u32>>`), their
/// positions in the block, ascending.
pub(super) const MARKS: TableDefinition<'_, MarkPlace, Bytes> = TableDefinition::new("marks");
/// The first block of a gap -> the last one: of these, at most the last one's header is here.
pub(super) const GAPS: TableDefinition<'_, u64, u64> = TableDefinition::new("gaps");

/// Rows of [`STATE`] that are being fetched, for [`super::Store::install`].
pub(super) const STAGED_STATE: TableDefinition<'_, HashBytes, Bytes> =
    TableDefinition::new("staged_state");
/// Rows of [`LEAVES`] that belong to them.
pub(super) const STAGED_LEAVES: TableDefinition<'_, HashBytes, HashBytes> =
    TableDefinition::new("staged_leaves");
/// Rows of [`TRANSACTIONS`] that are being fetched.
pub(super) const STAGED_TRANSACTIONS: TableDefinition<'_, HashBytes, (u64, u32)> =
    TableDefinition::new("staged_transactions");

/// In [`META`]: SCALE(u16), [`SCHEMA_VERSION`].
pub(super) const SCHEMA: &str = "schema";
/// In [`META`]: the 32 bytes of the chain id.
pub(super) const CHAIN: &str = "chain";
/// In [`META`]: SCALE(HeaderLog) after the newest block.
pub(super) const LOG: &str = "log";

/// In [`META`]: SCALE(Height) of the block whose state was fetched and not made here, if any. Of
/// this block only the header is there, of some below nothing.
pub(super) const BASE: &str = "base";

/// The version of these tables.
pub(super) const SCHEMA_VERSION: u16 = 4;

/// A block without its header: the batch as it was ordered, and which of its transactions were
/// executed, so that nothing is stored twice.
#[derive(Debug, Decode)]
pub(super) struct Body {
    pub(super) batch: Batch,
    /// Positions in the batch, ascending.
    pub(super) executed: Vec<u32>,
}

impl Body {
    /// Those that were executed, in order.
    pub(super) fn transactions(&self) -> Option<Vec<SignedTransaction>> {
        let transaction = |index: &u32| {
            let index = usize::try_from(*index).ok()?;
            self.batch.transactions.get(index).cloned()
        };
        self.executed.iter().map(transaction).collect()
    }
}

/// Reads a value that this program wrote.
pub(super) fn decode<T: Decode>(what: &str, mut bytes: &[u8]) -> Result<T, StoreError> {
    T::decode_all(&mut bytes).map_err(|_| StoreError::damaged(format!("{what} cannot be decoded")))
}

/// A row of [`STATE`].
pub(super) fn state_row(key: &[u8], value: &[u8]) -> Vec<u8> {
    (key, value).encode()
}

/// The key and the value of a row of [`STATE`].
pub(super) fn split_state_row(mut row: &[u8]) -> Result<(&[u8], &[u8]), StoreError> {
    let mut part = || {
        let Compact(length) = Compact::<u32>::decode(&mut row).ok()?;
        let (part, rest) = row.split_at_checked(usize::try_from(length).ok()?)?;
        row = rest;
        Some(part)
    };
    let (key, value) = (part(), part());
    match (key, value) {
        (Some(key), Some(value)) if row.is_empty() => Ok((key, value)),
        _ => Err(StoreError::damaged("a row of the state cannot be decoded")),
    }
}
