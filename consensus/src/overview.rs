//! A replica as a status page shows it.

use std::collections::BTreeMap;

use chancery_ledger::{BatchDigest, Height, Millis, Slot, ValidatorIndex, View};

use crate::event::Divergence;
use crate::replica::Replica;
use crate::tally::{Tally, bit};

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
    /// The newest height it has a certificate of, by its own word.
    pub stable: Height,
    /// The newest height it has executed, by its own word.
    pub executed: Height,
}

/// Why a message, batch or event did not count. None of these is an error of this validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is here already.
    Duplicate,
    /// The sender said something else in the same place before.
    Conflicting,
    /// Of a view that is not the active one.
    OtherView,
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

/// A replica at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Which validator it is.
    pub own: ValidatorIndex,
    /// The active view.
    pub view: View,
    /// Its primary.
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
    pub halted: Option<Divergence>,
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
            refused: self.refused.clone(),
            batches: self.batches.len(),
        }
    }

    fn slot_overview(&self, slot: Slot) -> SlotOverview {
        let log = self.slots.get(&slot);
        let round = log.map(|log| &log.round);
        let digest = log.and_then(|log| log.target(self.weak()));
        let has_batch = digest.is_some_and(|digest| self.batches.has(&digest));
        let proposed = round.is_some_and(|round| round.proposal.is_some());
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
        } else if round.is_some_and(|round| round.accepted.is_none()) {
            Phase::Admission
        } else if round.is_some_and(|round| round.prepared.is_none()) {
            Phase::Prepare
        } else {
            Phase::Commit
        };
        let bits = match waits_for {
            Phase::PrePrepare | Phase::Batch | Phase::Admission | Phase::Execution => 0,
            Phase::Prepare => round.map_or(0, |round| {
                round.prepares.bitmap() | bit(self.validators().primary(round.view))
            }),
            Phase::Commit => round.map_or(0, |round| round.commits.bitmap()),
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
