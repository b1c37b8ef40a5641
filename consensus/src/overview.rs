//! A replica as a status page shows it.

use std::collections::BTreeMap;

use chancery_ledger::{BatchDigest, Height, Millis, Slot, ValidatorIndex, View};

use crate::event::Divergence;

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
