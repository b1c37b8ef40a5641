//! The timers of views (R27 to R29). They run on the time that this process was awake: a gap
//! between two steps counts for little, because after a pause it is this validator that was away.

use chancery_ledger::Millis;

/// The most that one gap between steps counts. Ticks come every 50 ms or so.
const GAP_MAX: Millis = Millis(250);

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Pacemaker {
    base: Millis,
    max: Millis,
    /// How long this process was awake.
    awake: Millis,
    /// View changes begun since the last progress.
    doublings: u32,
    /// When something was ordered or certified last, or the view was entered.
    pub(crate) progress_at: Millis,
    /// When the active view was entered.
    entered_at: Millis,
    /// Since when something is waited for: progress in the active view, or the NEW-VIEW of one that
    /// a quorum wants.
    waiting_since: Option<Millis>,
}

impl Pacemaker {
    pub(crate) fn new(base: Millis, max: Millis) -> Self {
        Self {
            base,
            max: max.max(base),
            awake: Millis(0),
            doublings: 0,
            progress_at: Millis(0),
            entered_at: Millis(0),
            waiting_since: None,
        }
    }

    /// Time passes between two steps.
    pub(crate) fn pass(&mut self, gap: Millis) {
        self.awake = self.awake.saturating_add(gap.min(GAP_MAX));
    }

    pub(crate) fn awake(&self) -> Millis {
        self.awake
    }

    /// How long a view has: doubled for each view change since the last progress, up to a cap.
    pub(crate) fn timeout(&self) -> Millis {
        let doubled = self.base.0.checked_shl(self.doublings);
        let exact = doubled.filter(|doubled| doubled >> self.doublings == self.base.0);
        exact.map_or(self.max, Millis).min(self.max)
    }

    /// Whether views changed since the last progress.
    pub(crate) fn is_pressed(&self) -> bool {
        self.doublings > 0
    }

    /// Something was ordered or certified.
    pub(crate) fn progressed(&mut self) {
        self.doublings = 0;
        self.progress_at = self.awake;
        self.waiting_since = None;
    }

    /// A view change begins.
    pub(crate) fn leave(&mut self) {
        self.doublings = self.doublings.saturating_add(1);
        self.waiting_since = None;
    }

    /// A view begins. That is no progress.
    pub(crate) fn enter(&mut self) {
        self.entered_at = self.awake;
        self.progress_at = self.awake;
        self.waiting_since = None;
    }

    /// Something is waited for, since now or since `earlier`.
    pub(crate) fn wait(&mut self, earlier: Option<Millis>) {
        let since = earlier.unwrap_or(self.awake);
        self.waiting_since.get_or_insert(since);
    }

    /// Nothing is waited for.
    pub(crate) fn rest(&mut self) {
        self.waiting_since = None;
    }

    /// Whether what is waited for took too long.
    pub(crate) fn is_due(&self) -> bool {
        self.waiting_since
            .is_some_and(|since| self.awake.since(since) >= self.timeout())
    }

    /// Whether the view had as long as it would have had to bring something.
    pub(crate) fn had_its_time(&self) -> bool {
        self.awake.since(self.entered_at) >= self.timeout()
    }

    /// How long until [`Self::is_due`], if something is waited for.
    pub(crate) fn due_in(&self) -> Option<Millis> {
        let end = self.waiting_since?.saturating_add(self.timeout());
        Some(end.since(self.awake))
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may fail where it slices")]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_doubles_to_its_cap_and_progress_resets_it() {
        let mut pacemaker = Pacemaker::new(Millis(1_000), Millis(32_000));
        let mut seen = Vec::new();
        for _ in 0..200 {
            seen.push(pacemaker.timeout().0);
            pacemaker.leave();
        }
        assert_eq!(
            seen[..7],
            [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 32_000]
        );
        assert!(seen[7..].iter().all(|timeout| *timeout == 32_000));
        pacemaker.enter();
        assert_eq!(pacemaker.timeout(), Millis(32_000), "a view is no progress");
        pacemaker.progressed();
        assert_eq!(pacemaker.timeout(), Millis(1_000));
    }

    #[test]
    fn a_pause_does_not_count() {
        let mut pacemaker = Pacemaker::new(Millis(1_000), Millis(32_000));
        pacemaker.wait(None);
        pacemaker.pass(Millis(60_000));
        assert!(!pacemaker.is_due());
        for _ in 0..15 {
            pacemaker.pass(Millis(50));
        }
        assert!(pacemaker.is_due());
    }
}
