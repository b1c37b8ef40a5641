//! What a liar serves instead of blocks to one who catches up: others, fewer, in another order,
//! under another certificate, or nothing.

use chancery_ledger::Millis;
use chancery_node::wire::{BlockRange, BulkMessage};
use chancery_simulation::random::Random;

/// The lie that is told instead of an answer; none where nothing is said.
pub(super) fn instead_of(random: &mut Random, answer: BulkMessage) -> Option<BulkMessage> {
    match answer {
        BulkMessage::Blocks(range) => of_blocks(random, range).map(BulkMessage::Blocks),
        other => Some(other),
    }
}

fn of_blocks(random: &mut Random, mut range: BlockRange) -> Option<BlockRange> {
    let blocks = &mut range.blocks;
    let place = random.index(blocks.len());
    let block = blocks.get_mut(place)?;
    match random.below(10) {
        0 => block.batch.proposed_time = Millis(block.batch.proposed_time.0 + 1),
        1 => {
            block.batch.transactions.pop();
        }
        2 => {
            // Consistent in itself: only the certificate tells.
            block.batch.proposed_time = Millis(block.batch.proposed_time.0 + 1);
            block.header.batch = block.batch.digest();
        }
        3 => block.header.state_root.0[0] ^= 1,
        4 => {
            blocks.remove(place);
        }
        5 => blocks.reverse(),
        6 => range.certificate.cosignatures.truncate(1),
        7 => range.certificate.statement.root.0[0] ^= 1,
        8 => range.inclusion.path.reverse(),
        _ => return None,
    }
    Some(range)
}
