//! Verifying VIEW-CHANGE and NEW-VIEW: everything that is inside (R22, R25). One part that is wrong
//! makes the whole message wrong. What repeats inside one message is checked once.

use std::collections::BTreeSet;

use chancery_ledger::checkpoint::{CertificateError, CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{Signature, Slot, ValidatorIndex, View};

use crate::message::{
    Ballot, Body, NewView, PreparedCertificate, SignedViewChange, ViewChange, VoteKind,
};
use crate::selection::select;
use crate::verify::{Context, PreparedError};

/// Why a VIEW-CHANGE is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewChangeError {
    /// View 0 needs no VIEW-CHANGE, and the last one has no next.
    #[error("nobody changes to view {0}")]
    ViewOutOfRange(View),
    /// Its checkpoint certificate proves nothing.
    #[error("its checkpoint certificate is not one: {0}")]
    Stable(CertificateError),
    /// A prepared slot is not above the one before.
    #[error("slot {slot} is not above the one before it")]
    NotSorted {
        /// The first that is not.
        slot: Slot,
    },
    /// A prepared slot is not within the window above the checkpoint.
    #[error("slot {slot} is not within the window above {low}")]
    OutsideWindow {
        /// The slot.
        slot: Slot,
        /// The checkpoint's.
        low: Slot,
    },
    /// Something was prepared in the view that is still to begin, or later.
    #[error("slot {slot} was prepared in view {view}")]
    FutureView {
        /// The slot.
        slot: Slot,
        /// The view.
        view: View,
    },
    /// A prepared certificate proves nothing.
    #[error("the prepared certificate of slot {slot} is not one: {error}")]
    Prepared {
        /// Its slot.
        slot: Slot,
        /// Why.
        error: PreparedError,
    },
}

/// Why a NEW-VIEW is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NewViewError {
    /// It takes exactly a quorum of VIEW-CHANGEs.
    #[error("{count} VIEW-CHANGEs, it takes {quorum}")]
    NotAQuorum {
        /// How many there are.
        count: usize,
        /// How many it takes.
        quorum: usize,
    },
    /// Its VIEW-CHANGEs are not sorted by validator, or one is there twice.
    #[error("the VIEW-CHANGEs are not of distinct validators in order")]
    NotDistinct,
    /// A VIEW-CHANGE of nobody in the set.
    #[error("there is no validator {0}")]
    UnknownValidator(ValidatorIndex),
    /// A VIEW-CHANGE for another view.
    #[error("the VIEW-CHANGE of validator {from} is for view {view}")]
    OtherView {
        /// Whose.
        from: ValidatorIndex,
        /// For which.
        view: View,
    },
    /// A VIEW-CHANGE that is wrong by itself.
    #[error("the VIEW-CHANGE of validator {from} is wrong: {error}")]
    ViewChange {
        /// Whose.
        from: ValidatorIndex,
        /// Why.
        error: ViewChangeError,
    },
    /// A VIEW-CHANGE that its sender did not sign.
    #[error("the signature of validator {0} under its VIEW-CHANGE does not verify")]
    WrongSignature(ValidatorIndex),
    /// What it proposes does not follow from its VIEW-CHANGEs.
    #[error("its proposals are not those that follow from its VIEW-CHANGEs")]
    WrongSelection,
    /// A proposal without the primary's signature.
    #[error("the signature of the proposal for slot {slot} does not verify")]
    WrongProposal {
        /// The slot.
        slot: Slot,
    },
}

/// The signatures inside one message that were found valid.
#[derive(Debug)]
pub(crate) struct Signatures<'a> {
    context: &'a Context,
    votes: BTreeSet<(ValidatorIndex, VoteKind, Ballot, Signature)>,
    cosignatures: BTreeSet<(ValidatorIndex, CheckpointStatement, Signature)>,
}

impl<'a> Signatures<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self {
            context,
            votes: BTreeSet::new(),
            cosignatures: BTreeSet::new(),
        }
    }

    /// Whether `validator`, which exists, signed the vote.
    pub(crate) fn has_vote(
        &mut self,
        validator: ValidatorIndex,
        kind: VoteKind,
        ballot: Ballot,
        signature: Signature,
    ) -> bool {
        let vote = (validator, kind, ballot, signature);
        if self.votes.contains(&vote) {
            return true;
        }
        let valid = self.has_signed(validator, &Body::of_vote(kind, ballot), &signature);
        if valid {
            self.votes.insert(vote);
        }
        valid
    }

    fn has_signed(&self, validator: ValidatorIndex, body: &Body, signature: &Signature) -> bool {
        let Context {
            chain, validators, ..
        } = self.context;
        let bytes = body.signed_bytes(*chain, validators.epoch());
        validators
            .get(validator)
            .is_some_and(|known| known.consensus_key.verify_strict(&bytes, signature).is_ok())
    }

    fn verify_certificate(
        &mut self,
        certificate: &CheckpointCertificate,
    ) -> Result<(), CertificateError> {
        let Context {
            chain, validators, ..
        } = self.context;
        let statement = &certificate.statement;
        let seen = &mut self.cosignatures;
        certificate.verify_with(*chain, validators, |validator, key, bytes, signature| {
            let cosignature = (validator, statement.clone(), *signature);
            let valid = seen.contains(&cosignature) || key.verify_strict(bytes, signature).is_ok();
            if valid {
                seen.insert(cosignature);
            }
            valid
        })
    }
}

impl ViewChange {
    /// The slot of its low water mark.
    #[must_use]
    pub fn low(&self) -> Slot {
        self.stable
            .as_ref()
            .map_or(Slot(0), |certificate| certificate.statement.height.into())
    }

    /// All that needs no signature.
    pub(crate) fn verify_form(&self, context: &Context) -> Result<(), ViewChangeError> {
        if self.view == View(0) || self.view == View(u64::MAX) {
            return Err(ViewChangeError::ViewOutOfRange(self.view));
        }
        let low = self.low();
        let mut before = low;
        for certificate in &self.prepared {
            let Ballot { view, slot, .. } = certificate.ballot;
            let above = slot.0.saturating_sub(low.0);
            if above == 0 || above > u64::from(context.window_slots) || slot.0 == u64::MAX {
                return Err(ViewChangeError::OutsideWindow { slot, low });
            }
            if slot <= before {
                return Err(ViewChangeError::NotSorted { slot });
            }
            if view >= self.view {
                return Err(ViewChangeError::FutureView { slot, view });
            }
            before = slot;
        }
        Ok(())
    }

    /// All signatures inside.
    pub(crate) fn verify_parts(
        &self,
        signatures: &mut Signatures<'_>,
    ) -> Result<(), ViewChangeError> {
        if let Some(certificate) = &self.stable {
            signatures
                .verify_certificate(certificate)
                .map_err(ViewChangeError::Stable)?;
        }
        for certificate in &self.prepared {
            certificate.verify_with(signatures).map_err(|error| {
                let slot = certificate.ballot.slot;
                ViewChangeError::Prepared { slot, error }
            })?;
        }
        Ok(())
    }
}

impl NewView {
    /// All that needs no signature; that it is of its view's primary was checked.
    pub(crate) fn verify_form(&self, context: &Context) -> Result<(), NewViewError> {
        let quorum = context.validators.quorum();
        let count = self.view_changes.len();
        if count != quorum {
            return Err(NewViewError::NotAQuorum { count, quorum });
        }
        if !self.view_changes.is_sorted_by(|a, b| a.from < b.from) {
            return Err(NewViewError::NotDistinct);
        }
        for SignedViewChange {
            from, view_change, ..
        } in &self.view_changes
        {
            let from = *from;
            if context.validators.get(from).is_none() {
                return Err(NewViewError::UnknownValidator(from));
            }
            if view_change.view != self.view {
                let view = view_change.view;
                return Err(NewViewError::OtherView { from, view });
            }
            view_change
                .verify_form(context)
                .map_err(|error| NewViewError::ViewChange { from, error })?;
        }
        let selection = select(self.view_changes.iter().map(|signed| &signed.view_change));
        let proposed = self
            .proposals
            .iter()
            .map(|proposal| (proposal.slot, proposal.digest));
        if !proposed.eq(selection.proposals) {
            return Err(NewViewError::WrongSelection);
        }
        Ok(())
    }

    /// All signatures inside.
    pub(crate) fn verify_parts(
        &self,
        primary: ValidatorIndex,
        signatures: &mut Signatures<'_>,
    ) -> Result<(), NewViewError> {
        for SignedViewChange {
            from,
            view_change,
            signature,
        } in &self.view_changes
        {
            let from = *from;
            let body = Body::ViewChange(view_change.clone());
            if !signatures.has_signed(from, &body, signature) {
                return Err(NewViewError::WrongSignature(from));
            }
            view_change
                .verify_parts(signatures)
                .map_err(|error| NewViewError::ViewChange { from, error })?;
        }
        for proposal in &self.proposals {
            let slot = proposal.slot;
            let ballot = Ballot {
                view: self.view,
                slot,
                digest: proposal.digest,
            };
            if !signatures.has_vote(primary, VoteKind::PrePrepare, ballot, proposal.signature) {
                return Err(NewViewError::WrongProposal { slot });
            }
        }
        Ok(())
    }
}

impl PreparedCertificate {
    /// Checks that the primary of its view and exactly a quorum with it signed its ballot.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, context: &Context) -> Result<(), PreparedError> {
        self.verify_with(&mut Signatures::new(context))
    }

    pub(crate) fn verify_with(&self, signatures: &mut Signatures<'_>) -> Result<(), PreparedError> {
        let validators = &signatures.context.validators;
        let primary = validators.primary(self.ballot.view);
        if !self.prepares.is_sorted_by(|a, b| a.validator < b.validator) {
            return Err(PreparedError::NotDistinct);
        }
        if self.prepares.iter().any(|vote| vote.validator == primary) {
            return Err(PreparedError::PrimaryCountedTwice(primary));
        }
        let (count, quorum) = (self.prepares.len() + 1, validators.quorum());
        if count != quorum {
            return Err(PreparedError::NoQuorum { count, quorum });
        }
        for vote in &self.prepares {
            if validators.get(vote.validator).is_none() {
                return Err(PreparedError::UnknownValidator(vote.validator));
            }
        }
        if !signatures.has_vote(primary, VoteKind::PrePrepare, self.ballot, self.pre_prepare) {
            return Err(PreparedError::WrongSignature(primary));
        }
        for vote in &self.prepares {
            if !signatures.has_vote(
                vote.validator,
                VoteKind::Prepare,
                self.ballot,
                vote.signature,
            ) {
                return Err(PreparedError::WrongSignature(vote.validator));
            }
        }
        Ok(())
    }
}
