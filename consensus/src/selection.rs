//! What a new view must go on with, from the VIEW-CHANGEs of a quorum: a pure function, computed by
//! the new primary and again by everybody who checks its NEW-VIEW (R25).

use std::collections::BTreeMap;

use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::{Batch, BatchDigest, Slot, View};

use crate::message::ViewChange;

/// See the module's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection<'a> {
    /// The newest of the low water marks; none if that is genesis.
    pub(crate) base: Option<&'a CheckpointCertificate>,
    /// The slots above it, without a gap, each with the batch it gets.
    pub(crate) proposals: Vec<(Slot, BatchDigest)>,
}

/// Selects from verified VIEW-CHANGEs: at most one window of slots.
pub(crate) fn select<'a>(
    view_changes: impl Iterator<Item = &'a ViewChange> + Clone,
) -> Selection<'a> {
    let base = view_changes
        .clone()
        .filter_map(|view_change| view_change.stable.as_ref())
        .max_by_key(|certificate| certificate.statement.height);
    let low = base.map_or(Slot(0), |certificate| certificate.statement.height.into());
    let mut prepared: BTreeMap<Slot, (View, BatchDigest)> = BTreeMap::new();
    for certificate in view_changes.flat_map(|view_change| &view_change.prepared) {
        let ballot = certificate.ballot;
        let newest = prepared
            .entry(ballot.slot)
            .or_insert((ballot.view, ballot.digest));
        // No two digests are prepared in one view; were there two, everybody would take the same.
        *newest = (*newest).max((ballot.view, ballot.digest));
    }
    let last = prepared
        .last_key_value()
        .map_or(low, |(slot, _)| (*slot).max(low));
    let gap = Batch::empty().digest();
    let mut proposals = Vec::new();
    let mut slot = low;
    while slot < last {
        slot = slot.next();
        let digest = prepared.get(&slot).map_or(gap, |(_, digest)| *digest);
        proposals.push((slot, digest));
    }
    Selection { base, proposals }
}
