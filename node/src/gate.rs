//! Which consensus messages of a peer are worth the cost of verifying them.
//!
//! Most messages cost one signature check. A VIEW-CHANGE, a NEW-VIEW and a certificate cost a
//! quorum of them or many, and what they bring is sent again as long as somebody lacks it. So those
//! that can change nothing here are refused unverified, and of the others a peer may send some in a
//! row and then a few a second: a liar spends its own share of this validator's time.

use chancery_consensus::{Body, Mode, Overview, SignedMessage};
use chancery_ledger::{Height, Millis, ValidatorIndex, ValidatorSet, View};

/// Costly messages that a peer may send in a row, of each kind.
const BURST_MAX: u64 = 4;
/// After that, one for each of these intervals.
const VIEW_CHANGE_INTERVAL: Millis = Millis(100);
const NEW_VIEW_INTERVAL: Millis = Millis(250);
const CERTIFICATE_INTERVAL: Millis = Millis(50);

/// What decides whether a message can change anything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here {
    /// This validator.
    pub own: ValidatorIndex,
    /// The newest certified height.
    pub stable: Height,
    /// The first view that a VIEW-CHANGE or a NEW-VIEW is wanted for.
    pub view_wanted: View,
}

impl From<&Overview> for Here {
    fn from(overview: &Overview) -> Self {
        // While it changes, or does not know yet how far it had got, its view has not begun.
        let begun = overview.mode == Mode::Active;
        Self {
            own: overview.own,
            stable: overview.stable,
            view_wanted: View(overview.view.0.saturating_add(u64::from(begun))),
        }
    }
}

/// Why a message is refused unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwanted {
    /// Only worth something fresh, from its author.
    #[error("a status of validator {author}")]
    StatusOfAnother {
        /// Whose it is.
        author: ValidatorIndex,
    },
    /// What it certifies is certified here.
    #[error("a certificate of height {height}, which is certified here")]
    Certified {
        /// The height.
        height: Height,
    },
    /// The view has begun or is left here.
    #[error("a {kind} for view {view}, which is over or under way here")]
    OldView {
        /// The message's kind.
        kind: &'static str,
        /// Its view.
        view: View,
    },
    /// Only a view's primary begins it.
    #[error("a new-view for view {view} signed by validator {author}")]
    NotThePrimary {
        /// The view.
        view: View,
        /// Who signed it.
        author: ValidatorIndex,
    },
    /// The peer has sent too many of these.
    #[error("too many messages of kind {kind}")]
    TooMany {
        /// The kind.
        kind: &'static str,
    },
}

/// What one peer has sent of late.
#[derive(Debug)]
pub struct Gate {
    view_changes: Allowance,
    new_views: Allowance,
    certificates: Allowance,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            view_changes: Allowance::new(BURST_MAX, VIEW_CHANGE_INTERVAL),
            new_views: Allowance::new(BURST_MAX, NEW_VIEW_INTERVAL),
            certificates: Allowance::new(BURST_MAX, CERTIFICATE_INTERVAL),
        }
    }
}

impl Gate {
    /// Whether a message that peer `from` passes on is to be verified; `now` is monotonic.
    ///
    /// # Errors
    /// Why it is not.
    pub fn admits(
        &mut self,
        now: Millis,
        here: &Here,
        validators: &ValidatorSet,
        from: ValidatorIndex,
        message: &SignedMessage,
    ) -> Result<(), Unwanted> {
        let (kind, author) = (message.body.kind(), message.from);
        let allowance = match &message.body {
            Body::PrePrepare(_) | Body::Prepare(_) | Body::Commit(_) | Body::Checkpoint(_) => {
                return Ok(());
            }
            Body::Status(_) if author == from => return Ok(()),
            Body::Status(_) => return Err(Unwanted::StatusOfAnother { author }),
            Body::Certificate(certificate) => {
                let height = certificate.statement.height;
                if height <= here.stable {
                    return Err(Unwanted::Certified { height });
                }
                &mut self.certificates
            }
            // One of its own tells a validator what it has forgotten, whatever the view.
            Body::ViewChange(view_change) if author != here.own => {
                let view = view_change.view;
                if view < here.view_wanted {
                    return Err(Unwanted::OldView { kind, view });
                }
                &mut self.view_changes
            }
            Body::ViewChange(_) => &mut self.view_changes,
            Body::NewView(new_view) => {
                let view = new_view.view;
                if view < here.view_wanted && author != here.own {
                    return Err(Unwanted::OldView { kind, view });
                }
                if validators.primary(view) != author {
                    return Err(Unwanted::NotThePrimary { view, author });
                }
                &mut self.new_views
            }
        };
        if allowance.take(now) {
            Ok(())
        } else {
            Err(Unwanted::TooMany { kind })
        }
    }

    /// Whether verifying a message takes so long that it must not hold up others.
    #[must_use]
    pub fn is_costly(message: &SignedMessage) -> bool {
        match &message.body {
            Body::PrePrepare(_)
            | Body::Prepare(_)
            | Body::Commit(_)
            | Body::Checkpoint(_)
            | Body::Status(_) => false,
            Body::Certificate(_) | Body::ViewChange(_) | Body::NewView(_) => true,
        }
    }
}

/// Some at once, and one more for each interval that passes.
#[derive(Debug)]
pub(crate) struct Allowance {
    burst_max: u64,
    interval: Millis,
    /// When everything that was taken will have been given back.
    whole_at: Millis,
}

impl Allowance {
    pub(crate) fn new(burst_max: u64, interval: Millis) -> Self {
        Self {
            burst_max,
            interval,
            whole_at: Millis(0),
        }
    }

    /// Whether there is one left; it is taken then.
    pub(crate) fn take(&mut self, now: Millis) -> bool {
        let taken = self.whole_at.since(now).0.div_ceil(self.interval.0.max(1));
        let has_room = taken < self.burst_max;
        if has_room {
            self.whole_at = self.whole_at.max(now).saturating_add(self.interval);
        }
        has_room
    }

    /// Gives back so many of those that were taken.
    pub(crate) fn give_back(&mut self, count: u64) {
        let time = self.interval.saturating_mul(count);
        self.whole_at = Millis(self.whole_at.0.saturating_sub(time.0));
    }
}

#[cfg(test)]
mod tests {
    use chancery_consensus::{NewView, Status, ViewChange};
    use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
    use chancery_ledger::{ChainId, Epoch, Hash, SecretKey, Signature, Validator};

    use super::*;

    const HERE: Here = Here {
        own: ValidatorIndex(0),
        stable: Height(7),
        view_wanted: View(5),
    };

    fn validators() -> ValidatorSet {
        let key = |index: u8, which: u8| SecretKey::from_seed(&[index * 3 + which; 32]).public();
        let validators = (0..4).map(|index| Validator {
            name: format!("v{index}"),
            consensus_key: key(index, 1),
            network_key: key(index, 2),
            log_key: key(index, 3),
        });
        ValidatorSet::new(Epoch(0), validators.collect()).expect("all differ")
    }

    fn message(author: u16, body: Body) -> SignedMessage {
        SignedMessage {
            chain: ChainId::default(),
            epoch: Epoch(0),
            from: ValidatorIndex(author),
            body,
            signature: Signature([0; 64]),
        }
    }

    fn view_change(author: u16, view: u64) -> SignedMessage {
        let body = ViewChange {
            view: View(view),
            stable: None,
            prepared: Vec::new(),
        };
        message(author, Body::ViewChange(body))
    }

    fn new_view(author: u16, view: u64) -> SignedMessage {
        let body = NewView {
            view: View(view),
            view_changes: Vec::new(),
            proposals: Vec::new(),
        };
        message(author, Body::NewView(body))
    }

    fn certificate(height: u64) -> SignedMessage {
        let statement = CheckpointStatement::new(
            ChainId::default(),
            Height(height),
            Hash::default(),
            Millis(0),
        );
        message(
            1,
            Body::Certificate(CheckpointCertificate {
                statement,
                cosignatures: Vec::new(),
            }),
        )
    }

    fn status(author: u16) -> SignedMessage {
        let body = Status {
            view: View(0),
            changing: false,
            stable: Height(0),
            executed: Height(0),
            incarnation: 1,
            heard: Vec::new(),
            slots: Vec::new(),
        };
        message(author, Body::Status(body))
    }

    #[test]
    fn what_can_change_nothing_is_refused_by_its_own_name() {
        let admits = |message: SignedMessage| {
            let from = ValidatorIndex(1);
            Gate::default().admits(Millis(0), &HERE, &validators(), from, &message)
        };
        let old = |kind, view| {
            Err(Unwanted::OldView {
                kind,
                view: View(view),
            })
        };
        assert_eq!(admits(status(1)), Ok(()));
        let author = ValidatorIndex(2);
        assert_eq!(admits(status(2)), Err(Unwanted::StatusOfAnother { author }));
        assert_eq!(admits(certificate(8)), Ok(()));
        let height = Height(7);
        assert_eq!(admits(certificate(7)), Err(Unwanted::Certified { height }));
        assert_eq!(admits(view_change(1, 5)), Ok(()));
        assert_eq!(admits(view_change(1, 4)), old("view-change", 4));
        assert_eq!(admits(view_change(0, 4)), Ok(()), "an own one");
        assert_eq!(admits(new_view(1, 5)), Ok(()));
        assert_eq!(admits(new_view(3, 3)), old("new-view", 3));
        let (view, author) = (View(6), ValidatorIndex(1));
        assert_eq!(
            admits(new_view(1, 6)),
            Err(Unwanted::NotThePrimary { view, author })
        );
    }

    #[test]
    fn a_peer_may_send_some_costly_messages_in_a_row_and_then_a_few_a_second() {
        let mut gate = Gate::default();
        let validators = validators();
        let mut admitted = 0;
        for ms in 0..1_000 {
            let sent = view_change(1, 5);
            let from = ValidatorIndex(1);
            let admits = gate.admits(Millis(ms), &HERE, &validators, from, &sent);
            admitted += u64::from(admits.is_ok());
        }
        assert_eq!(admitted, BURST_MAX + 9);
        let after = gate.admits(
            Millis(1_000),
            &HERE,
            &validators,
            ValidatorIndex(1),
            &new_view(1, 5),
        );
        assert_eq!(after, Ok(()), "of each kind by itself");
    }
}
