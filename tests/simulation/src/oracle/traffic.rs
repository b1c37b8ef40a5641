//! What messages prove together, whoever sent them: quorums of votes, and what a view goes on with.

use std::collections::{BTreeMap, BTreeSet};

use chancery_consensus::{Body, NewView, SignedMessage, ViewChange};
use chancery_ledger::{BatchDigest, Height, Slot, ValidatorIndex};

use super::{Oracle, Rule};

impl Oracle {
    /// Any message that verifies, on its way to anybody.
    pub fn on_traffic(&mut self, message: &SignedMessage) {
        let bit = 1_u64 << message.from.0;
        match &message.body {
            Body::Commit(ballot) => {
                let place = (ballot.slot, ballot.view.0, ballot.digest);
                let voters = self.commits.entry(place).or_insert(0);
                *voters |= bit;
                if voters.count_ones() as usize >= self.quorum {
                    let view = ballot.view;
                    self.check_committed(ballot.slot, ballot.digest, || {
                        format!("in view {view} a quorum committed")
                    });
                    self.committed.insert(ballot.slot, ballot.digest);
                }
            }
            Body::Checkpoint(statement) => {
                let signers = self.cosigners.entry(statement.clone()).or_insert(0);
                *signers |= bit;
                if signers.count_ones() as usize >= self.quorum {
                    let height = statement.height;
                    let before = self.certified.insert(height, statement.clone());
                    if before.is_some_and(|before| before != *statement) {
                        self.violate(Rule::TwoCheckpointQuorums, || {
                            format!("two statements of height {height} are certified")
                        });
                    }
                }
            }
            Body::NewView(begun) => self.check_selection(begun),
            _ => {}
        }
    }

    fn check_selection(&mut self, begun: &NewView) {
        let view = begun.view;
        let wishes = begun.view_changes.iter().map(|signed| signed.from);
        let wishes = wishes.collect::<BTreeSet<ValidatorIndex>>().len();
        let changes = || begun.view_changes.iter().map(|signed| &signed.view_change);
        if wishes != self.quorum || changes().count() != wishes || changes().any(|c| c.view != view)
        {
            self.violate(Rule::Selection, || {
                format!("the NEW-VIEW of {view} is not what a quorum asked for")
            });
        }
        let base = changes().map(low_of).max().unwrap_or(Height(0));
        let mut newest: BTreeMap<Slot, (u64, BatchDigest)> = BTreeMap::new();
        for certificate in changes().flat_map(|change| &change.prepared) {
            let ballot = certificate.ballot;
            let of_slot = (ballot.view.0, ballot.digest);
            let before = newest.entry(ballot.slot).or_insert(of_slot);
            if before.0 < of_slot.0 {
                *before = of_slot;
            }
        }
        let last = newest.last_key_value().map_or(Slot(0), |(slot, _)| *slot);
        let mut expected = Vec::new();
        let mut slot = Slot::from(base).next();
        while slot <= last {
            let digest = newest.get(&slot).map_or(self.gap, |(_, digest)| *digest);
            expected.push((slot, digest));
            slot = slot.next();
        }
        let carried = begun.proposals.iter();
        let carried: Vec<_> = carried.map(|of| (of.slot, of.digest)).collect();
        if carried != expected {
            self.violate(Rule::Selection, || {
                format!("the NEW-VIEW of {view} carries {carried:?} instead of {expected:?}")
            });
        }
    }

    pub(super) fn check_committed(
        &mut self,
        slot: Slot,
        batch: BatchDigest,
        who: impl FnOnce() -> String,
    ) {
        let committed = self.committed.get(&slot).copied();
        let executed = self.chain.get(&slot).map(|block| block.batch);
        if let Some(before) = committed.or(executed).filter(|before| *before != batch) {
            self.violate(Rule::TwoCommitQuorums, || {
                format!(
                    "{} {batch} in slot {slot}, a quorum or an execution has {before}",
                    who()
                )
            });
        }
    }
}

/// The height up to which everything is certified, says a VIEW-CHANGE.
pub(super) fn low_of(change: &ViewChange) -> Height {
    let certificate = change.stable.as_ref();
    certificate.map_or(Height(0), |certificate| certificate.statement.height)
}
