//! What must hold of a ledger when it is opened.

use chancery_ledger::ChainId;
use chancery_ledger::block::{receipts_root, transactions_root};
use chancery_ledger::header_log::inclusion_proof;

use super::snapshot::{Tables, Tip};
use super::{StoreError, index};

/// Checks that the ledger is of `chain` and that its newest block, its header log and its tables
/// belong together.
pub(super) fn verify(tables: &Tables, chain: ChainId) -> Result<(), StoreError> {
    let found = tables.chain()?;
    if found != chain {
        return Err(StoreError::OtherChain {
            found,
            expected: chain,
        });
    }
    let Tip { header, log, .. } = tables.tip()?;
    let height = header.height;
    let missing = || StoreError::damaged(format!("block {height} is missing"));
    let body_belongs = if tables.base()? == Some(height) {
        true
    } else {
        let block = tables.block(height)?.ok_or_else(missing)?;
        header.batch == block.batch.digest()
            && header.transactions_root == transactions_root(&block.transactions)
            && header.receipts_root == receipts_root(&block.receipts)
            && tables.has_rows(height, &index::rows(&block.transactions, &block.receipts))?
    };
    if header.chain != chain || !body_belongs {
        let reason = format!("block {height} is not what its header says");
        return Err(StoreError::damaged(reason));
    }
    let size = height.next().0;
    let node = |level, index| tables.log_node(level, index).ok().flatten();
    let proof = inclusion_proof(height.0, size, &node);
    let is_last_leaf = log.size() == size
        && proof.is_some_and(|proof| proof.verify(&header.hash(), &log.root()).is_ok());
    if !is_last_leaf {
        let reason = format!("block {height} is not the last leaf of the header log");
        return Err(StoreError::damaged(reason));
    }
    Ok(())
}
