//! The rows of a block.

use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::header_log::LogNode;
use chancery_ledger::state_tree::{key_hash, value_hash};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, Hash, Header};
use parity_scale_codec::Encode as _;
use redb::{ReadableTable as _, WriteTransaction};

use super::{BlockWrite, index, tables};

/// A caller that writes anything else is wrong, and must not be allowed to go on.
pub(super) fn check_is_next(
    write: &WriteTransaction,
    block: &BlockWrite<'_>,
) -> Result<(), redb::Error> {
    let BlockWrite { header, log, .. } = block;
    let headers = write.open_table(tables::HEADERS)?;
    let last = headers.last()?;
    let (_, tip) = last.expect("a store is made with a genesis block");
    let tip: Header = tables::decode("the newest header", tip.value())
        .map_err(|error| redb::Error::Corrupted(error.to_string()))?;
    assert_eq!(
        header.height,
        tip.height.next(),
        "blocks are written in order"
    );
    assert_eq!(
        header.parent,
        tip.hash(),
        "a block is written after its parent"
    );
    assert_eq!(
        log.size(),
        header.height.next().0,
        "the log has a leaf for every block"
    );
    Ok(())
}

pub(super) fn write_block(
    write: &WriteTransaction,
    block: BlockWrite<'_>,
) -> Result<(), redb::Error> {
    let BlockWrite {
        header,
        batch,
        transactions,
        receipts,
        changes,
        log_nodes,
        log,
        ..
    } = block;
    assert_eq!(
        transactions.len(),
        receipts.len(),
        "every transaction has its receipt"
    );
    let height = header.height.0;
    // SCALE of a `Body`.
    let body = (batch, positions(batch, transactions)).encode();
    write
        .open_table(tables::HEADERS)?
        .insert(height, header.encode().as_slice())?;
    write
        .open_table(tables::BLOCKS)?
        .insert(height, body.as_slice())?;
    write
        .open_table(tables::RECEIPTS)?
        .insert(height, receipts.encode().as_slice())?;
    write
        .open_table(tables::META)?
        .insert(tables::LOG, log.encode().as_slice())?;

    // Neighbours in a table are written together.
    let mut ids: Vec<_> = transactions
        .iter()
        .map(SignedTransaction::id)
        .zip(0_u32..)
        .collect();
    ids.sort_unstable();
    let mut table = write.open_table(tables::TRANSACTIONS)?;
    for (id, index) in ids {
        let earlier = table.insert(&id.0, (height, index))?;
        assert!(earlier.is_none(), "transaction {id} is executed only once");
    }

    let marks = index::rows(transactions, receipts);
    index::write_rows(write, header.height, &marks)?;

    let mut sorted: Vec<(Hash, _)> = changes.iter().map(|c| (key_hash(c.0), c)).collect();
    sorted.sort_unstable_by_key(|(hash, _)| *hash);
    let mut table = write.open_table(tables::STATE)?;
    let mut leaves = write.open_table(tables::LEAVES)?;
    for (hash, (key, value)) in sorted {
        match value {
            Some(value) => {
                table.insert(&hash.0, tables::state_row(key, value).as_slice())?;
                leaves.insert(&hash.0, &value_hash(value).0)?;
            }
            None => {
                table.remove(&hash.0)?;
                leaves.remove(&hash.0)?;
            }
        }
    }

    let mut table = write.open_table(tables::LOG_NODES)?;
    for LogNode { level, index, hash } in log_nodes {
        table.insert((*level, *index), &hash.0)?;
    }
    write_certificates(write, block.certificates)
}

pub(super) fn write_certificates(
    write: &WriteTransaction,
    certificates: &[CheckpointCertificate],
) -> Result<(), redb::Error> {
    if certificates.is_empty() {
        return Ok(());
    }
    let mut table = write.open_table(tables::CERTIFICATES)?;
    for certificate in certificates {
        table.insert(
            certificate.statement.height.0,
            certificate.encode().as_slice(),
        )?;
    }
    Ok(())
}

/// Where the executed transactions stand in their batch.
fn positions(batch: &Batch, executed: &[SignedTransaction]) -> Vec<u32> {
    let mut rest = (0_u32..).zip(&batch.transactions);
    let position = |transaction: &SignedTransaction| {
        let found = rest.find(|(_, of_batch)| *of_batch == transaction);
        found
            .expect("what is executed stands in the batch, in its order")
            .0
    };
    executed.iter().map(position).collect()
}
