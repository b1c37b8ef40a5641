//! All that is known of one slot.

use std::collections::BTreeSet;

use chancery_ledger::{BatchDigest, Millis, Signature, View};

use crate::message::{Ballot, PreparedCertificate};
use crate::tally::Tally;

/// The primary's PRE-PREPARE.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proposal {
    pub(crate) digest: BatchDigest,
    pub(crate) signature: Signature,
    /// What the wall clock said when it came; none if that was before a restart. The digest
    /// commits to the batch's time, so the batch was made by then, whenever it arrives.
    pub(crate) seen_at: Option<Millis>,
}

/// What happened to a slot in one view.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) view: View,
    pub(crate) proposal: Option<Proposal>,
    /// What this validator signed a PRE-PREPARE or PREPARE for.
    pub(crate) accepted: Option<BatchDigest>,
    /// Of backups: the primary's counts through its proposal.
    pub(crate) prepares: Tally<BatchDigest>,
    pub(crate) prepared: Option<PreparedCertificate>,
    pub(crate) commits: Tally<BatchDigest>,
}

/// One slot: its round in the active view, and what was ordered.
#[derive(Debug)]
pub(crate) struct SlotLog {
    pub(crate) round: Round,
    /// What a quorum committed.
    pub(crate) committed: Option<BatchDigest>,
    /// When it was first heard of, in [`crate::Now::since_start`].
    pub(crate) opened_at: Millis,
}

impl Round {
    pub(crate) fn new(view: View) -> Self {
        Self {
            view,
            proposal: None,
            accepted: None,
            prepares: Tally::new(),
            prepared: None,
            commits: Tally::new(),
        }
    }

    pub(crate) fn ballot(&self, slot: chancery_ledger::Slot, digest: BatchDigest) -> Ballot {
        Ballot {
            view: self.view,
            slot,
            digest,
        }
    }
}

impl SlotLog {
    pub(crate) fn new(view: View, opened_at: Millis) -> Self {
        Self {
            round: Round::new(view),
            committed: None,
            opened_at,
        }
    }

    /// The batch that the slot seems to be getting. `weak` is one more than may be faulty: what so
    /// many say, a correct one says.
    pub(crate) fn target(&self, weak: usize) -> Option<BatchDigest> {
        let round = &self.round;
        self.committed
            .or_else(|| round.commits.said_by(weak).copied())
            .or(round.accepted)
            .or_else(|| round.proposal.map(|proposal| proposal.digest))
            .or_else(|| round.prepares.said_by(weak).copied())
    }

    /// Whether the batch may still be needed for this slot.
    pub(crate) fn wants(&self, digest: &BatchDigest, weak: usize) -> bool {
        let round = &self.round;
        self.committed.as_ref() == Some(digest)
            || round.accepted.as_ref() == Some(digest)
            || round.proposal.is_some_and(|p| p.digest == *digest)
            || round.prepares.count(digest) >= weak
            || round.commits.count(digest) >= weak
    }

    /// Every batch that it wants: a handful, because each has a proposal or more votes than faulty
    /// validators have.
    pub(crate) fn wanted(&self, weak: usize) -> BTreeSet<BatchDigest> {
        let round = &self.round;
        let voted = [&round.prepares, &round.commits]
            .into_iter()
            .flat_map(|votes| {
                votes
                    .iter()
                    .map(|(_, digest, _)| *digest)
                    .filter(|digest| votes.count(digest) >= weak)
            });
        self.committed
            .into_iter()
            .chain(round.accepted)
            .chain(round.proposal.map(|proposal| proposal.digest))
            .chain(voted)
            .collect()
    }
}
