//! A network that knows the protocol and is against it. While it lasts, only the primary hears and
//! is heard, so that it alone learns what is prepared; and as soon as it has, nobody hears of it
//! for a while. The next primary proposes something else in the same slot. That is how competing
//! certificates come about, which drawn partitions hardly ever make.

use chancery_consensus::{Body, SignedMessage};
use chancery_ledger::ValidatorIndex;

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Spotlight {
    validators: u64,
    until: u64,
    /// How long a primary that has prepared something is cut off.
    dark_ms: u64,
    /// The highest view that anybody honest asked for.
    view: u64,
    /// By process: when it is heard again.
    dark_until: Vec<u64>,
}

impl Spotlight {
    pub(crate) fn new(validators: u16, processes: usize) -> Self {
        Self {
            validators: validators.into(),
            until: 0,
            dark_ms: 0,
            view: 0,
            dark_until: vec![0; processes],
        }
    }

    /// It begins, and lasts until `until`.
    pub(crate) fn shine(&mut self, until: u64, dark_ms: u64) {
        self.until = until;
        self.dark_ms = dark_ms;
    }

    /// It ends, and nobody is cut off any more.
    pub(crate) fn end(&mut self) {
        self.until = 0;
        self.dark_until.fill(0);
    }

    fn is_primary(&self, key: ValidatorIndex) -> bool {
        self.view % self.validators == u64::from(key.0)
    }

    /// An honest process says something. Says whether it is cut off because of that.
    pub(crate) fn on_sent(&mut self, now: u64, process: usize, message: &SignedMessage) -> bool {
        match &message.body {
            Body::ViewChange(change) => self.view = self.view.max(change.view.0),
            Body::Commit(ballot)
                if now < self.until
                    && ballot.view.0 == self.view
                    && self.is_primary(message.from)
                    && self.dark_until[process] <= now =>
            {
                self.dark_until[process] = now + self.dark_ms;
                return true;
            }
            _ => {}
        }
        false
    }

    /// Whether nothing gets through now between two processes, given with their keys.
    pub(crate) fn hides(
        &self,
        now: u64,
        from: (usize, ValidatorIndex),
        to: (usize, ValidatorIndex),
    ) -> bool {
        let is_dark = |process: usize| now < self.dark_until[process];
        let is_beside = now < self.until && !self.is_primary(from.1) && !self.is_primary(to.1);
        is_dark(from.0) || is_dark(to.0) || is_beside
    }
}
