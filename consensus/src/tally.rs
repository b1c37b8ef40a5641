//! Counting who said what: one saying for each validator, so that whoever says two things counts
//! for the first only.

use std::collections::BTreeMap;

use chancery_ledger::{Signature, ValidatorIndex};

use crate::overview::Refusal;

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
    ) -> Result<(), Refusal> {
        if let Some((before, _)) = self.said.get(&from) {
            return Err(if *before == what {
                Refusal::Duplicate
            } else {
                Refusal::Conflicting
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

/// The bit of one validator. Sets have at most 31.
pub(crate) fn bit(validator: ValidatorIndex) -> u32 {
    1_u32.checked_shl(u32::from(validator.0)).unwrap_or(0)
}
