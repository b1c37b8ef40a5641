//! A replica as a status page shows it.

use std::collections::BTreeMap;

use chancery_ledger::{BatchDigest, Height, Millis, Slot, ValidatorIndex, View};

use crate::event::{Halted, Neglect};
use crate::replica::Replica;
use crate::tally::{NotCounted, Tally, bit};

/// What a slot waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The primary's PRE-PREPARE.
    PrePrepare,
    /// The batch that it names.
    Batch,
    /// Its time: the proposal is too early or too late by this validator's clock, or the slot lies
    /// above the window.
    Admission,
    /// A quorum that accepted it.
    Prepare,
    /// A quorum that knows so.
    Commit,
    /// An earlier slot, or its own execution here.
    Execution,
    /// A quorum that executed it.
    Checkpoint,
}

/// One slot that is not final yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotOverview {
    /// The slot.
    pub slot: Slot,
    /// The batch it is getting, as far as known.
    pub digest: Option<BatchDigest>,
    /// What it waits for.
    pub waits_for: Phase,
    /// Whose message of that phase is here. For the phases before [`Phase::Prepare`] and for
    /// [`Phase::Execution`], nobody's counts.
    pub have: Vec<ValidatorIndex>,
    /// Everybody else.
    pub missing: Vec<ValidatorIndex>,
    /// How many it takes.
    pub needed: usize,
}

/// One other validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerOverview {
    /// Which.
    pub validator: ValidatorIndex,
    /// Its newest STATUS, if there was one.
    pub heard: Option<PeerStatus>,
}

/// The essence of a STATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerStatus {
    /// When it came, in [`crate::Now::since_start`].
    pub at: Millis,
    /// The peer's view.
    pub view: View,
    /// Whether it still waits for that view.
    pub changing: bool,
    /// The newest height it has a certificate of, by its own word.
    pub stable: Height,
    /// The newest height it has executed, by its own word.
    pub executed: Height,
}

/// What a replica does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// It votes in the view.
    Active,
    /// It waits for the view to begin, and votes in none.
    Changing,
    /// Since its start: it signs nothing new until others have confirmed that its memory is whole.
    Probation {
        /// Who has.
        confirmed: Vec<ValidatorIndex>,
        /// How many it takes.
        needed: usize,
    },
    /// It has forgotten what it promised, and is silent.
    Quarantine {
        /// Who has said how far its votes went.
        answered: Vec<ValidatorIndex>,
        /// How many it takes.
        needed: usize,
        /// It ends once the low water mark is above this slot; none while too few have answered.
        slots_through: Option<Slot>,
        /// Then it votes in views from this one on.
        view_least: Option<View>,
    },
}

/// Somebody's newest VIEW-CHANGE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    /// Whose.
    pub validator: ValidatorIndex,
    /// The view it wants to get to.
    pub view: View,
}

/// A timer that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// What it waits for.
    pub waits_for: Awaited,
    /// When it fires, in [`crate::Now::since_start`], if this process is not paused meanwhile. A
    /// VIEW-CHANGE for the next view follows.
    pub at: Millis,
}

/// What a timer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaited {
    /// That a slot is ordered, or a checkpoint certified.
    Progress,
    /// The NEW-VIEW: a quorum wants it.
    NewView,
}

/// Why a view is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Nothing came of what was waited for.
    NoProgress,
    /// A quorum wanted the view and its NEW-VIEW did not come.
    NoNewView,
    /// More validators than may be faulty wanted a later view.
    Joined,
    /// Its primary was seen to lie.
    Evidence,
    /// Its primary neglects its duties.
    Neglect(Neglect),
}

/// Why a message, batch or event did not count. None of these is an error of this validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is here already.
    Duplicate,
    /// The sender said something else in the same place before.
    Conflicting,
    /// Of a view that is done with.
    OtherView,
    /// The sender said something of a later view in the same place.
    Superseded,
    /// About a slot or height that is done with.
    BelowWindow,
    /// About a slot or height too far ahead.
    AboveWindow,
    /// This validator's own message, sent back to it.
    OwnMessage,
    /// A STATUS that came too soon after the one before.
    TooOften,
    /// Signing it would contradict what this validator signed before.
    AgainstOwnVote,
    /// An [`crate::Event::Propose`] without a wish.
    NotWished,
    /// An [`crate::Event::Executed`] of a height that was executed before.
    NotNewer,
}

impl From<NotCounted> for Refusal {
    fn from(why: NotCounted) -> Self {
        match why {
            NotCounted::Duplicate => Self::Duplicate,
            NotCounted::Conflicting => Self::Conflicting,
            NotCounted::Superseded => Self::Superseded,
        }
    }
}

/// A replica at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Which validator it is.
    pub own: ValidatorIndex,
    /// The active view, or the one that this validator wants to get to.
    pub view: View,
    /// What it does now.
    pub mode: Mode,
    /// The primary of `view`.
    pub primary: ValidatorIndex,
    /// How many validators decide.
    pub quorum: usize,
    /// The newest certified height, the low water mark; it may be ahead of `executed`.
    pub stable: Height,
    /// The newest executed height.
    pub executed: Height,
    /// The newest height that is executed and certified.
    pub final_height: Height,
    /// Slots above `stable` of which anything is known, in order.
    pub open: Vec<SlotOverview>,
    /// The other validators, in order.
    pub peers: Vec<PeerOverview>,
    /// Whether certified blocks are being asked for.
    pub catching_up: bool,
    /// Why it stopped, if it did.
    pub halted: Option<Halted>,
    /// Whose VIEW-CHANGEs for views above the active one are here, and for which.
    pub view_changes: Vec<Leaving>,
    /// What happens next if nothing comes; none if nothing is waited for.
    pub timer: Option<Timer>,
    /// How many view changes this validator began since it started.
    pub view_changes_begun: u64,
    /// Why it began the newest of them.
    pub left_because: Option<Cause>,
    /// Contradictions found since it started.
    pub evidence: u64,
    /// How often what was refused.
    pub refused: BTreeMap<Refusal, u64>,
    /// Batches held in memory.
    pub batches: usize,
}

impl Replica {
    /// The replica at this moment.
    #[must_use]
    pub fn overview(&self) -> Overview {
        let low = self.low();
        let known = self.slots.keys().copied();
        let cosigned = self.checkpoints.keys().map(|height| Slot::from(*height));
        let mut open: Vec<Slot> = known.chain(cosigned).filter(|slot| *slot > low).collect();
        open.sort_unstable();
        open.dedup();
        Overview {
            own: self.config.own,
            view: self.view,
            primary: self.primary(),
            quorum: self.quorum(),
            stable: self.stable_height(),
            executed: self.executed.height,
            final_height: self.final_height,
            open: open
                .into_iter()
                .map(|slot| self.slot_overview(slot))
                .collect(),
            peers: self
                .peers
                .iter()
                .map(|(validator, peer)| PeerOverview {
                    validator: *validator,
                    heard: peer.heard,
                })
                .collect(),
            catching_up: low > self.delivered,
            halted: self.halted.clone(),
            mode: self.shown_mode(),
            view_changes: self
                .view_changes
                .values()
                .map(|signed| Leaving {
                    validator: signed.from,
                    view: signed.view_change.view,
                })
                .collect(),
            timer: self.timer(),
            view_changes_begun: self.view_changes_begun,
            left_because: self.left_because,
            evidence: self.evidence,
            refused: self.refused.clone(),
            batches: self.batches.len(),
        }
    }

    fn slot_overview(&self, slot: Slot) -> SlotOverview {
        let log = self.slots.get(&slot);
        let digest = log.and_then(|log| log.target(self.weak()));
        let has_batch = digest.is_some_and(|digest| self.batches.has(&digest));
        let proposed = log.is_some_and(|log| log.proposal.is_some());
        let committed = log.is_some_and(|log| log.committed.is_some());
        let waits_for = if slot <= self.executed.height.into() {
            Phase::Checkpoint
        } else if committed && has_batch {
            Phase::Execution
        } else if committed {
            Phase::Batch
        } else if !proposed {
            Phase::PrePrepare
        } else if !has_batch {
            Phase::Batch
        } else if log.is_some_and(|log| log.accepted.is_none()) {
            Phase::Admission
        } else if !log.is_some_and(|log| {
            let own = log.commits.get(self.config.own);
            own.is_some_and(|vote| vote.view == self.view)
        }) {
            Phase::Prepare
        } else {
            Phase::Commit
        };
        let bits = match waits_for {
            Phase::PrePrepare | Phase::Batch | Phase::Admission | Phase::Execution => 0,
            Phase::Prepare => log.map_or(0, |log| {
                log.prepares.bitmap(self.view) | bit(self.primary())
            }),
            Phase::Commit => log.map_or(0, |log| log.commits.bitmap(self.view)),
            Phase::Checkpoint => self
                .checkpoints
                .get(&slot.height())
                .map_or(0, Tally::bitmap),
        };
        let (have, missing) = self
            .validators()
            .iter()
            .map(|(index, _)| index)
            .partition(|index| bits & bit(*index) != 0);
        SlotOverview {
            slot,
            digest,
            waits_for,
            have,
            missing,
            needed: self.quorum(),
        }
    }
}
