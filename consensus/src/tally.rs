//! Counting who said what: one saying for each validator, so that whoever says two things counts
//! for the first only. Of votes it is the one of the highest view (R20).

use std::collections::BTreeMap;

use chancery_ledger::{BatchDigest, Signature, ValidatorIndex, View};

/// Why something is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotCounted {
    /// It is counted already.
    Duplicate,
    /// Something else is counted in its place: the validator lied.
    Conflicting,
    /// Something of a later view is counted for the validator.
    Superseded,
}

/// What each validator said in one place, with its signature.
#[derive(Debug, Clone)]
pub(crate) struct Tally<T> {
    said: BTreeMap<ValidatorIndex, (T, Signature)>,
}

impl<T: Eq> Tally<T> {
    pub(crate) fn new() -> Self {
        Self {
            said: BTreeMap::new(),
        }
    }

    /// Counts `what` for `from`, unless something is counted for it already.
    pub(crate) fn insert(
        &mut self,
        from: ValidatorIndex,
        what: T,
        signature: Signature,
    ) -> Result<(), NotCounted> {
        if let Some((before, _)) = self.said.get(&from) {
            return Err(if *before == what {
                NotCounted::Duplicate
            } else {
                NotCounted::Conflicting
            });
        }
        self.said.insert(from, (what, signature));
        Ok(())
    }

    pub(crate) fn get(&self, from: ValidatorIndex) -> Option<&(T, Signature)> {
        self.said.get(&from)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ValidatorIndex, &T, Signature)> {
        self.said
            .iter()
            .map(|(from, (what, signature))| (*from, what, *signature))
    }

    /// Who said `what`, in order.
    pub(crate) fn who<'a>(
        &'a self,
        what: &'a T,
    ) -> impl Iterator<Item = (ValidatorIndex, Signature)> + 'a {
        self.iter()
            .filter(move |(_, said, _)| *said == what)
            .map(|(from, _, signature)| (from, signature))
    }

    pub(crate) fn count(&self, what: &T) -> usize {
        self.who(what).count()
    }

    /// Something that at least `count` validators said. Only one thing can be, if `count` is more
    /// than half of them.
    pub(crate) fn said_by(&self, count: usize) -> Option<&T> {
        // Fewer sayings than wanted is the common case.
        if self.said.len() < count {
            return None;
        }
        self.iter()
            .map(|(_, what, _)| what)
            .find(|what| self.count(what) >= count)
    }

    /// One bit for each validator that said anything.
    pub(crate) fn bitmap(&self) -> u32 {
        self.said.keys().fold(0, |bits, from| bits | bit(*from))
    }
}

/// One validator's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) view: View,
    pub(crate) digest: BatchDigest,
    pub(crate) signature: Signature,
}

/// The votes of one kind for one slot: of each validator that of the highest view.
#[derive(Debug, Clone, Default)]
pub(crate) struct Votes {
    said: BTreeMap<ValidatorIndex, Vote>,
}

impl Votes {
    /// Counts a vote, unless one of this or a later view is counted for the validator.
    pub(crate) fn insert(&mut self, from: ValidatorIndex, vote: Vote) -> Result<(), NotCounted> {
        if let Some(before) = self.said.get(&from)
            && before.view >= vote.view
        {
            return Err(if before.view > vote.view {
                NotCounted::Superseded
            } else if before.digest == vote.digest {
                NotCounted::Duplicate
            } else {
                NotCounted::Conflicting
            });
        }
        self.said.insert(from, vote);
        Ok(())
    }

    pub(crate) fn get(&self, from: ValidatorIndex) -> Option<&Vote> {
        self.said.get(&from)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ValidatorIndex, &Vote)> {
        self.said.iter().map(|(from, vote)| (*from, vote))
    }

    /// Who voted for `digest` in `view`, in order.
    pub(crate) fn who(
        &self,
        view: View,
        digest: BatchDigest,
    ) -> impl Iterator<Item = (ValidatorIndex, Signature)> {
        self.iter()
            .filter(move |(_, vote)| vote.view == view && vote.digest == digest)
            .map(|(from, vote)| (from, vote.signature))
    }

    pub(crate) fn count(&self, view: View, digest: BatchDigest) -> usize {
        self.who(view, digest).count()
    }

    /// What at least `count` validators voted for in one view. Only one thing can be, if `count` is
    /// a quorum.
    pub(crate) fn said_by(&self, count: usize) -> Option<(View, BatchDigest)> {
        // Fewer votes than wanted is the common case.
        if self.said.len() < count {
            return None;
        }
        self.said
            .values()
            .map(|vote| (vote.view, vote.digest))
            .find(|(view, digest)| self.count(*view, *digest) >= count)
    }

    /// How many voted in `view` or a later one, for whatever.
    pub(crate) fn count_since(&self, view: View) -> usize {
        let votes = self.said.values();
        votes.filter(|vote| vote.view >= view).count()
    }

    /// How many voted for `digest`, in whatever view.
    pub(crate) fn supporters(&self, digest: &BatchDigest) -> usize {
        let votes = self.said.values();
        votes.filter(|vote| vote.digest == *digest).count()
    }

    /// One bit for each validator whose vote in `view` is here.
    pub(crate) fn bitmap(&self, view: View) -> u32 {
        self.iter()
            .filter(|(_, vote)| vote.view == view)
            .fold(0, |bits, (from, _)| bits | bit(from))
    }
}

/// The bit of one validator. Sets have at most 31.
pub(crate) fn bit(validator: ValidatorIndex) -> u32 {
    1_u32.checked_shl(u32::from(validator.0)).unwrap_or(0)
}
