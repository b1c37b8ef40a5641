//! What messages prove together, whoever sent them: quorums of votes, and what a view goes on with.

use std::collections::{BTreeMap, BTreeSet};

use chancery_consensus::{Ballot, Body, NewView, SignedMessage, ViewChange, VoteKind};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{BatchDigest, Height, Slot, ValidatorIndex};

use super::{Oracle, Rule};

impl Oracle {
    /// Any message that verifies, on its way to anybody.
    pub fn on_traffic(&mut self, message: &SignedMessage) {
        match &message.body {
            Body::Commit(ballot) => {
                let place = (ballot.slot, ballot.view.0, ballot.digest);
                let voters = self.commits.entry(place).or_insert(0);
                *voters |= 1_u64 << message.from.0;
                if voters.count_ones() as usize >= self.quorum {
                    let view = ballot.view;
                    self.check_committed(ballot.slot, ballot.digest, || {
                        format!("in view {view} a quorum committed")
                    });
                    self.committed.insert(ballot.slot, ballot.digest);
                }
            }
            Body::Checkpoint(statement) => self.on_cosigned(message.from, statement),
            Body::Certificate(certificate) => self.check_certificate(certificate),
            Body::ViewChange(change) => self.check_parts(change),
            Body::NewView(begun) => {
                for signed in &begun.view_changes {
                    self.check_parts(&signed.view_change);
                }
                self.check_selection(begun);
            }
            Body::PrePrepare(_) | Body::Prepare(_) | Body::Status(_) => {}
        }
    }

    /// The validator's cosignature of that is on the wire, by itself or in a certificate: a liar may
    /// never have sent it.
    fn on_cosigned(&mut self, by: ValidatorIndex, statement: &CheckpointStatement) {
        let signers = self.cosigners.entry(statement.clone()).or_insert(0);
        *signers |= 1 << by.0;
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

    /// What a VIEW-CHANGE proves.
    fn check_parts(&mut self, change: &ViewChange) {
        if let Some(certificate) = &change.stable {
            self.check_certificate(certificate);
        }
        for certificate in &change.prepared {
            let Ballot { view, slot, digest } = certificate.ballot;
            let primary = usize::try_from(view.0 % self.said.len() as u64).expect("an index");
            let backups = certificate.prepares.iter();
            let votes: BTreeSet<(usize, VoteKind)> = backups
                .map(|vote| (usize::from(vote.validator.0), VoteKind::Prepare))
                .chain([(primary, VoteKind::PrePrepare)])
                .collect();
            let is_said = |(key, kind): &(usize, VoteKind)| {
                let may_lie = self.guilty[*key] || self.forgetful[*key] || !self.hears_records;
                may_lie || self.said[*key].votes.get(&(view.0, slot, *kind)) == Some(&digest)
            };
            if votes.len() < self.quorum || !votes.iter().all(is_said) {
                self.violate(Rule::Forged, || {
                    format!("in view {view} {digest} was not prepared in slot {slot} by {votes:?}")
                });
            }
        }
    }

    /// Honest cosigners executed what they signed.
    fn check_certificate(&mut self, certificate: &CheckpointCertificate) {
        let signers = certificate.cosignatures.iter().map(|of| of.validator);
        let signers: BTreeSet<ValidatorIndex> = signers.collect();
        let statement = &certificate.statement;
        let block = self.chain.get(&Slot::from(statement.height));
        let is_executed = block.is_some_and(|block| block.statement == *statement);
        if signers.len() < self.quorum || !is_executed {
            self.violate(Rule::Forged, || {
                let height = statement.height;
                format!("block {height} is not what {signers:?} made, or they are too few")
            });
        }
        for signer in signers {
            self.on_cosigned(signer, statement);
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
