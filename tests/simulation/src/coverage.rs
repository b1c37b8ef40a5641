//! What a campaign must have reached to have shown anything.

use crate::campaign::Summary;

/// Counters that may not be zero after a campaign of a few hundred seeds, whatever its nodes are.
pub const REQUIRED: &[&str] = &[
    "block",
    "catch-up done",
    "clock jump",
    "competing certificates for a slot",
    "conflicting message refused",
    "conflicting vote",
    "crash",
    "crash of all",
    "cut off when it had prepared",
    "disk rolled back",
    "disk wiped",
    "evidence made",
    "forged VIEW-CHANGE",
    "forged certificate",
    "gap filled",
    "huge view",
    "impersonation",
    "kept silent",
    "lying STATUS",
    "message refused at the door",
    "mutation",
    "NEW-VIEW carrying prepared slots",
    "NEW-VIEW served by status",
    "NEW-VIEW too early",
    "partition, bridge",
    "partition, flapping",
    "partition, half deaf",
    "partition, one-way",
    "partition, ring",
    "partition, single",
    "partition, symmetric",
    "pause",
    "quarantine entered",
    "quarantine left",
    "replayed",
    "slow proposal",
    "stale view refused",
    "torn vote log recovered",
    "transactions left out",
    "two NEW-VIEWs",
    "two proposals for one slot",
    "VIEW-CHANGE for nothing",
    "view change",
    "view joined by f+1",
    "view left, its primary lied",
    "view left, its primary neglects",
    "view left, no NEW-VIEW",
    "view left, no progress",
    "wrong root cosigned",
];

impl Summary {
    /// Those of `required` that are.
    #[must_use]
    pub fn not_covered(&self, required: &[&[&'static str]]) -> Vec<&'static str> {
        let is_missing = |what: &&'static str| self.counters.get(what) == 0;
        required.concat().into_iter().filter(is_missing).collect()
    }
}
