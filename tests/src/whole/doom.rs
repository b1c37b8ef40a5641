//! How a process dies: between two deeds, or by its disk, at one of its operations.

use chancery_simulation::disk::{Happened, SimulatedDisk};
use chancery_simulation::random::Random;

/// What a process is going to die of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doom {
    /// Killed before a deed: see [`chancery_simulation::node::Outbox::lives`].
    BetweenDeeds,
    /// The machine loses power at an operation of its disk.
    PowerCut,
    /// The disk does not sync any more: the process must end by itself.
    SyncFails,
    /// The disk is full: likewise.
    Full,
}

impl Doom {
    /// Draws one, and lets the disk know.
    pub(super) fn draw(random: &mut Random, disk: &SimulatedDisk) -> Self {
        // A vote takes two operations, a block a dozen or two.
        let operations = random.below(50);
        match random.below(100) {
            0..40 => Self::BetweenDeeds,
            40..75 => {
                disk.cut_after(operations);
                Self::PowerCut
            }
            75..88 => {
                disk.fail_syncs_after(operations);
                Self::SyncFails
            }
            _ => {
                disk.fill_after(operations);
                Self::Full
            }
        }
    }
}

/// What a process ended of, for the counters; none if its disk is sound.
pub(super) fn cause(happened: Happened) -> Option<&'static str> {
    match happened {
        Happened {
            power_cut: true, ..
        } => Some("power cut"),
        Happened {
            sync_failed: true, ..
        } => Some("failed fsync ended the process"),
        Happened { full: true, .. } => Some("full disk ended the process"),
        Happened { .. } => None,
    }
}
