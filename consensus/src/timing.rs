//! Whether a proposal's time is near this validator's clock (R5). Only a fresh proposal is judged,
//! and nothing else in the protocol looks at the clock.

use chancery_ledger::{Batch, Millis};

use crate::event::Now;
use crate::slot::{Origin, Proposal};

/// How a proposal's time stands to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timeliness {
    /// Within the drift that is allowed, or not to be judged.
    Near,
    /// Further ahead: it may be judged again later.
    Early,
    /// It was further behind when its PRE-PREPARE came, and always will have been.
    Late,
}

/// Judges a proposal. It is late by the moment at which its PRE-PREPARE came, so that a batch may
/// take its time to arrive (the digest commits to the batch's time, so the batch was made by then);
/// early by the present one.
pub(crate) fn judge(
    proposal: &Proposal,
    batch: &Batch,
    now: Now,
    clock_drift_max: Millis,
) -> Timeliness {
    let Origin::Fresh { seen_at } = proposal.origin else {
        return Timeliness::Near;
    };
    if batch.proposed_time > now.clock.saturating_add(clock_drift_max) {
        Timeliness::Early
    } else if batch.proposed_time.saturating_add(clock_drift_max) < seen_at {
        Timeliness::Late
    } else {
        Timeliness::Near
    }
}
