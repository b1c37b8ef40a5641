//! All that is known of one slot.

use std::collections::{BTreeMap, BTreeSet};

use chancery_ledger::{BatchDigest, Millis, Signature, ValidatorIndex, View};

use crate::message::PreparedCertificate;
use crate::tally::Votes;

/// Why a primary proposes what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Of its own will: the batch's time is judged.
    Fresh {
        /// What the wall clock said when the PRE-PREPARE came.
        seen_at: Millis,
    },
    /// A NEW-VIEW carried it over, or it was accepted before a restart.
    Settled,
}

/// A primary's PRE-PREPARE.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proposal {
    pub(crate) view: View,
    pub(crate) digest: BatchDigest,
    pub(crate) signature: Signature,
    pub(crate) origin: Origin,
}

/// One slot.
#[derive(Debug)]
pub(crate) struct SlotLog {
    /// That of the active view's primary.
    pub(crate) proposal: Option<Proposal>,
    /// Those of later views, of each sender that of the highest view.
    pub(crate) ahead: BTreeMap<ValidatorIndex, Proposal>,
    /// What this validator signed a PRE-PREPARE or PREPARE for in the active view.
    pub(crate) accepted: Option<BatchDigest>,
    /// What it ever signed one for: others may come to need the batch.
    pub(crate) vouched: BTreeSet<BatchDigest>,
    /// Of backups: a primary's counts through its proposal.
    pub(crate) prepares: Votes,
    /// Of the highest view in which it was prepared here.
    pub(crate) prepared: Option<PreparedCertificate>,
    pub(crate) commits: Votes,
    /// What a quorum committed.
    pub(crate) committed: Option<BatchDigest>,
    /// When it was first heard of, in [`crate::Now::since_start`].
    pub(crate) opened_at: Millis,
}

impl SlotLog {
    pub(crate) fn new(opened_at: Millis) -> Self {
        Self {
            proposal: None,
            ahead: BTreeMap::new(),
            accepted: None,
            vouched: BTreeSet::new(),
            prepares: Votes::default(),
            prepared: None,
            commits: Votes::default(),
            committed: None,
            opened_at,
        }
    }

    /// What this validator signed a PRE-PREPARE or PREPARE for.
    pub(crate) fn accept(&mut self, digest: BatchDigest) {
        self.accepted = Some(digest);
        self.vouched.insert(digest);
    }

    /// The active view is left for `view`.
    pub(crate) fn leave(&mut self, view: View) {
        self.proposal = None;
        self.accepted = None;
        self.ahead.retain(|_, proposal| proposal.view >= view);
    }

    /// The batch that the slot seems to be getting. `weak` is one more than may be faulty: what so
    /// many say, a correct one says.
    pub(crate) fn target(&self, weak: usize) -> Option<BatchDigest> {
        let proposal = self
            .proposal
            .map(|proposal| (proposal.view, proposal.digest));
        let prepared = self.prepared.as_ref().map(|prepared| prepared.ballot);
        // Of what earlier views left behind, the newest, and what was promised before what was not.
        let known = [
            self.prepares.said_by(weak),
            prepared.map(|ballot| (ballot.view, ballot.digest)),
            proposal,
            self.commits.said_by(weak),
        ];
        let newest = known.into_iter().flatten().max_by_key(|(view, _)| *view);
        self.committed
            .or(self.accepted)
            .or(newest.map(|(_, digest)| digest))
    }

    /// Whether the batch may still be needed for this slot.
    pub(crate) fn wants(&self, digest: &BatchDigest, weak: usize) -> bool {
        self.committed.as_ref() == Some(digest)
            || self.vouched.contains(digest)
            || self.proposal.is_some_and(|p| p.digest == *digest)
            || self
                .prepared
                .as_ref()
                .is_some_and(|p| p.ballot.digest == *digest)
            || self.prepares.supporters(digest) >= weak
            || self.commits.supporters(digest) >= weak
    }

    /// Every batch that it wants: a handful, because each has a proposal, was accepted here, or has
    /// more votes than faulty validators have.
    pub(crate) fn wanted(&self, weak: usize) -> BTreeSet<BatchDigest> {
        let voted = [&self.prepares, &self.commits]
            .into_iter()
            .flat_map(|votes| {
                votes
                    .iter()
                    .map(|(_, vote)| vote.digest)
                    .filter(|digest| votes.supporters(digest) >= weak)
            });
        self.committed
            .into_iter()
            .chain(self.vouched.iter().copied())
            .chain(self.proposal.map(|proposal| proposal.digest))
            .chain(
                self.prepared
                    .as_ref()
                    .map(|prepared| prepared.ballot.digest),
            )
            .chain(voted)
            .collect()
    }
}
