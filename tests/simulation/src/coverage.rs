//! What a campaign must have reached to have shown anything.

use crate::campaign::Summary;

/// Counters that may not be zero after a campaign.
pub const REQUIRED: &[&str] = &["block", "crash", "catch-up done"];

impl Summary {
    /// Those that are.
    #[must_use]
    pub fn not_covered(&self) -> Vec<&'static str> {
        let is_missing = |what: &&'static str| self.counters.get(what) == 0;
        REQUIRED.iter().copied().filter(is_missing).collect()
    }
}
