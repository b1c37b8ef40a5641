//! Whether a proposal's time is near this validator's clock (rules R4 and R5). Only a fresh
//! proposal is judged, and nothing else in the protocol looks at the clock.

use chancery_ledger::{Batch, Millis};

use crate::event::Now;
use crate::slot::Proposal;

/// How a proposal's time stands to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timeliness {
    /// Within the drift that is allowed.
    Fresh,
    /// Further ahead: it may be judged again later.
    Early,
    /// It was further behind when its PRE-PREPARE came, and always will have been.
    Late,
}

/// Judges a proposal. It is late by the moment at which its PRE-PREPARE came, so that a batch may
/// take its time to arrive; early by the present one.
pub(crate) fn judge(
    proposal: &Proposal,
    batch: &Batch,
    now: Now,
    clock_drift_max: Millis,
) -> Timeliness {
    let seen_at = proposal.seen_at.unwrap_or(now.clock);
    if batch.proposed_time > now.clock.saturating_add(clock_drift_max) {
        Timeliness::Early
    } else if is_late(batch, seen_at, clock_drift_max) {
        Timeliness::Late
    } else {
        Timeliness::Fresh
    }
}

/// Whether whoever sees a batch for the first time at `clock` finds it late.
pub(crate) fn is_late(batch: &Batch, clock: Millis, clock_drift_max: Millis) -> bool {
    batch.proposed_time.saturating_add(clock_drift_max) < clock
}
