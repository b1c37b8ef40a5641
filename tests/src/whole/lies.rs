//! What a liar serves to one who catches up instead of blocks and parts of a snapshot: others,
//! fewer, in another order, under another certificate, or nothing.

use chancery_ledger::Millis;
use chancery_node::wire::{BlockRange, BulkMessage, SnapshotPart};
use chancery_simulation::random::Random;

/// The lie that is told instead of an answer; none where nothing is said.
pub(super) fn instead_of(random: &mut Random, answer: BulkMessage) -> Option<BulkMessage> {
    match answer {
        BulkMessage::Blocks(range) => of_blocks(random, range).map(BulkMessage::Blocks),
        BulkMessage::Snapshot(part) => of_snapshot(random, part).map(BulkMessage::Snapshot),
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

fn of_snapshot(random: &mut Random, mut part: SnapshotPart) -> Option<SnapshotPart> {
    if random.percent(15) {
        return None;
    }
    match &mut part {
        SnapshotPart::Offer(offer) => match random.below(4) {
            0 => offer.header.state_root.0[0] ^= 1,
            1 => offer.certificate.cosignatures.truncate(1),
            2 => {
                let _nodes = offer.log.append(offer.header.hash());
            }
            _ => offer.header.height = offer.header.height.next(),
        },
        SnapshotPart::Blocks { blocks, .. } => {
            let place = random.index(blocks.len());
            let block = blocks.get_mut(place)?;
            match random.below(4) {
                // As if it had never been executed: it could be executed once more.
                0 => drop(block.transactions.pop()),
                1 => block.header.transactions_root.0[0] ^= 1,
                2 => drop(blocks.remove(place)),
                _ => blocks.reverse(),
            }
        }
        SnapshotPart::State { entries, .. } => {
            let place = random.index(entries.len());
            let entry = entries.get_mut(place)?;
            match random.below(4) {
                0 => entry.value.push(0),
                1 => entry.key.push(0),
                2 => drop(entries.remove(place)),
                _ => entries.reverse(),
            }
        }
    }
    Some(part)
}
