//! From bytes that anybody may have sent to messages that a validator of this ledger signed. Runs
//! outside the replica's loop and needs nothing but the ledger's name and its validators.

use chancery_ledger::checkpoint::CertificateError;
use chancery_ledger::{ChainId, CodecError, Epoch, Slot, ValidatorIndex, ValidatorSet, View};

use crate::message::{Ballot, Body, STATUS_SLOTS_MAX, SignedMessage, Status};
use crate::verify_view_change::{NewViewError, Signatures, ViewChangeError};

/// What messages are verified against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The ledger.
    pub chain: ChainId,
    /// Its validators, with the epoch they serve in.
    pub validators: ValidatorSet,
    /// Slots between its water marks, from genesis.
    pub window_slots: u32,
}

/// Why a message is refused. Each is the sender's fault, or that of who passed it on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not a message.
    #[error("malformed message: {0}")]
    Codec(#[from] CodecError),
    /// About another ledger.
    #[error("the message is of chain {given}, this is chain {ours}")]
    WrongChain {
        /// The chain it names.
        given: ChainId,
        /// The chain here.
        ours: ChainId,
    },
    /// Cast in another term.
    #[error("the message is of epoch {given}, this is epoch {ours}")]
    WrongEpoch {
        /// The epoch it names.
        given: Epoch,
        /// The epoch here.
        ours: Epoch,
    },
    /// From nobody in the set.
    #[error("there is no validator {0}")]
    UnknownValidator(ValidatorIndex),
    /// A PRE-PREPARE or NEW-VIEW by somebody else than its view's primary.
    #[error("validator {from} proposes in view {view}, whose primary is {primary}")]
    NotPrimary {
        /// Who proposes.
        from: ValidatorIndex,
        /// In which view.
        view: View,
        /// Who may.
        primary: ValidatorIndex,
    },
    /// A PREPARE by the primary, whose PRE-PREPARE counts as one already.
    #[error("validator {from} is the primary of view {view} and sent a PREPARE in it")]
    PrepareFromPrimary {
        /// The primary.
        from: ValidatorIndex,
        /// The view.
        view: View,
    },
    /// A height or slot that no ledger reaches.
    #[error("2^64 - 1 is not the position of a block")]
    PositionOutOfRange,
    /// A STATUS that lists more slots than one may.
    #[error("the status lists {count} slots, at most {STATUS_SLOTS_MAX} are allowed")]
    StatusTooLong {
        /// How many.
        count: usize,
    },
    /// A STATUS whose slots are not in increasing order.
    #[error("slot {slot} is not above the one before it in the status")]
    StatusNotSorted {
        /// The first that is not.
        slot: Slot,
    },
    /// A STATUS with a bit for nobody in the set.
    #[error("the status says that slot {slot} has a vote of a validator that does not exist")]
    StatusUnknownValidator {
        /// The first slot with such a bit.
        slot: Slot,
    },
    /// A STATUS that does not say of each validator what was heard of it.
    #[error("the status has heard of {count} validators, there are {validators}")]
    StatusNotOfEverybody {
        /// Of how many.
        count: usize,
        /// How many there are.
        validators: usize,
    },
    /// The signature is not the sender's, or not over this message.
    #[error("the signature is not one of validator {from} under this {kind}")]
    WrongSignature {
        /// Who is said to have signed.
        from: ValidatorIndex,
        /// The kind of the message.
        kind: &'static str,
    },
    /// The certificate inside proves nothing.
    #[error("the certificate inside is not one: {0}")]
    Certificate(#[from] CertificateError),
    /// A VIEW-CHANGE with a part that is wrong.
    #[error("a wrong VIEW-CHANGE: {0}")]
    ViewChange(#[from] ViewChangeError),
    /// A NEW-VIEW with a part that is wrong.
    #[error("a wrong NEW-VIEW: {0}")]
    NewView(#[from] NewViewError),
}

/// Why a prepared certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreparedError {
    /// The PREPAREs are not sorted by validator, or one is there twice.
    #[error("the PREPAREs are not of distinct validators in order")]
    NotDistinct,
    /// The primary's PREPARE beside its PRE-PREPARE: it would count twice.
    #[error("validator {0} is the primary and is among the PREPAREs")]
    PrimaryCountedTwice(ValidatorIndex),
    /// Not exactly a quorum, the primary included.
    #[error("{count} validators, a quorum is {quorum}")]
    NoQuorum {
        /// How many there are.
        count: usize,
        /// How many it takes.
        quorum: usize,
    },
    /// A signature of nobody in the set.
    #[error("there is no validator {0}")]
    UnknownValidator(ValidatorIndex),
    /// A signature that does not verify.
    #[error("the signature of validator {0} does not verify")]
    WrongSignature(ValidatorIndex),
}

/// A message that the validator it names has signed, for this ledger and epoch, and that its
/// sender was entitled to send. It says nothing about whether the sender tells the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedMessage(SignedMessage);

impl VerifiedMessage {
    /// The message.
    #[must_use]
    pub fn message(&self) -> &SignedMessage {
        &self.0
    }

    /// The message, with the mark lost.
    #[must_use]
    pub fn into_inner(self) -> SignedMessage {
        self.0
    }
}

impl SignedMessage {
    /// Checks all that does not depend on a replica's state; cheap rules before signatures.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(self, context: &Context) -> Result<VerifiedMessage, MessageError> {
        let Context {
            chain, validators, ..
        } = context;
        let from = self.from;
        if self.chain != *chain {
            return Err(MessageError::WrongChain {
                given: self.chain,
                ours: *chain,
            });
        }
        if self.epoch != validators.epoch() {
            return Err(MessageError::WrongEpoch {
                given: self.epoch,
                ours: validators.epoch(),
            });
        }
        let sender = validators
            .get(from)
            .ok_or(MessageError::UnknownValidator(from))?;
        self.verify_form(context)?;
        sender
            .consensus_key
            .verify_strict(
                &self.body.signed_bytes(self.chain, self.epoch),
                &self.signature,
            )
            .map_err(|_| MessageError::WrongSignature {
                from,
                kind: self.body.kind(),
            })?;
        let mut signatures = Signatures::new(context);
        match &self.body {
            Body::Certificate(certificate) => certificate.verify(*chain, validators)?,
            Body::ViewChange(view_change) => view_change.verify_parts(&mut signatures)?,
            Body::NewView(new_view) => new_view.verify_parts(from, &mut signatures)?,
            Body::PrePrepare(_)
            | Body::Prepare(_)
            | Body::Commit(_)
            | Body::Checkpoint(_)
            | Body::Status(_) => {}
        }
        Ok(VerifiedMessage(self))
    }

    fn verify_form(&self, context: &Context) -> Result<(), MessageError> {
        let Context {
            chain, validators, ..
        } = context;
        let from = self.from;
        match &self.body {
            Body::PrePrepare(ballot) => {
                verify_position(ballot.slot.0)?;
                let primary = validators.primary(ballot.view);
                if from != primary {
                    return Err(MessageError::NotPrimary {
                        from,
                        view: ballot.view,
                        primary,
                    });
                }
            }
            Body::Prepare(ballot) => {
                verify_position(ballot.slot.0)?;
                if from == validators.primary(ballot.view) {
                    return Err(MessageError::PrepareFromPrimary {
                        from,
                        view: ballot.view,
                    });
                }
            }
            Body::Commit(ballot) => verify_position(ballot.slot.0)?,
            Body::Checkpoint(statement) => {
                verify_position(statement.height.0)?;
                if statement.chain != *chain {
                    return Err(MessageError::WrongChain {
                        given: statement.chain,
                        ours: *chain,
                    });
                }
            }
            Body::Status(status) => verify_status(status, validators.count())?,
            Body::Certificate(certificate) => verify_position(certificate.statement.height.0)?,
            Body::ViewChange(view_change) => view_change.verify_form(context)?,
            Body::NewView(new_view) => {
                let view = new_view.view;
                let primary = validators.primary(view);
                if from != primary {
                    return Err(MessageError::NotPrimary {
                        from,
                        view,
                        primary,
                    });
                }
                new_view.verify_form(context)?;
            }
        }
        Ok(())
    }
}

fn verify_position(position: u64) -> Result<(), MessageError> {
    if position == u64::MAX {
        return Err(MessageError::PositionOutOfRange);
    }
    Ok(())
}

fn verify_status(status: &Status, validators: usize) -> Result<(), MessageError> {
    let count = status.slots.len();
    if count > STATUS_SLOTS_MAX {
        return Err(MessageError::StatusTooLong { count });
    }
    verify_position(status.stable.0)?;
    verify_position(status.executed.0)?;
    if status.heard.len() != validators {
        return Err(MessageError::StatusNotOfEverybody {
            count: status.heard.len(),
            validators,
        });
    }
    let mut before = None;
    for here in &status.slots {
        let slot = here.slot;
        verify_position(slot.0)?;
        if before.is_some_and(|before| slot <= before) {
            return Err(MessageError::StatusNotSorted { slot });
        }
        before = Some(slot);
        // At most 31 validators, so the shift is below 32.
        if (here.prepares | here.commits | here.checkpoints) >> validators != 0 {
            return Err(MessageError::StatusUnknownValidator { slot });
        }
    }
    Ok(())
}

impl Context {
    /// The context's part in a message that `from` says.
    #[must_use]
    pub fn message(
        &self,
        from: ValidatorIndex,
        body: Body,
        signature: chancery_ledger::Signature,
    ) -> SignedMessage {
        SignedMessage {
            chain: self.chain,
            epoch: self.validators.epoch(),
            from,
            body,
            signature,
        }
    }

    /// Who proposes in `ballot`'s view.
    #[must_use]
    pub fn primary_of(&self, ballot: &Ballot) -> ValidatorIndex {
        self.validators.primary(ballot.view)
    }
}
