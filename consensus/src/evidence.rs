//! Proof that a validator lied: two messages of which it may have signed one. It convinces anybody
//! who knows the validators, and it removes nobody by itself.

use chancery_ledger::{
    ChainId, CodecError, Height, PublicKey, Slot, ValidatorIndex, View, decode_canonical,
};
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::message::{Body, SignedMessage, VoteKind, message_bytes_max};
use crate::verify::{Context, MessageError};

/// Two messages of one validator that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct Evidence {
    /// What it said.
    pub first: SignedMessage,
    /// What it said instead.
    pub second: SignedMessage,
}

/// What evidence proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guilt {
    /// Who lied.
    pub validator: ValidatorIndex,
    /// Where it said two things.
    pub place: Place,
}

/// Where a validator may say one thing only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A vote of one kind for one slot in one view.
    Vote {
        /// PRE-PREPARE, PREPARE or COMMIT.
        kind: VoteKind,
        /// In which view.
        view: View,
        /// For which slot.
        slot: Slot,
    },
    /// A CHECKPOINT of one height.
    Checkpoint {
        /// Which.
        height: Height,
    },
    /// A VIEW-CHANGE for one view.
    ViewChange {
        /// Which.
        view: View,
    },
    /// The NEW-VIEW of one view.
    NewView {
        /// Which.
        view: View,
    },
}

/// Why two messages prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not two messages.
    #[error("malformed evidence: {0}")]
    Codec(#[from] CodecError),
    /// One of them is not a message of this ledger's validators.
    #[error("one of the messages does not verify: {0}")]
    Message(#[from] MessageError),
    /// They are of two validators.
    #[error("the messages are of validators {first} and {second}")]
    TwoValidators {
        /// Whose the first is.
        first: ValidatorIndex,
        /// Whose the second is.
        second: ValidatorIndex,
    },
    /// Both may be said.
    #[error("a {first} and a {second} that do not contradict each other")]
    NoContradiction {
        /// The kind of the first.
        first: &'static str,
        /// The kind of the second.
        second: &'static str,
    },
}

impl Place {
    /// The place of a message; none if one may say there whatever one likes.
    #[must_use]
    pub fn of(body: &Body) -> Option<Self> {
        match body {
            Body::PrePrepare(ballot) | Body::Prepare(ballot) | Body::Commit(ballot) => {
                body.vote().map(|(kind, _)| Self::Vote {
                    kind,
                    view: ballot.view,
                    slot: ballot.slot,
                })
            }
            Body::Checkpoint(statement) => Some(Self::Checkpoint {
                height: statement.height,
            }),
            Body::ViewChange(view_change) => Some(Self::ViewChange {
                view: view_change.view,
            }),
            Body::NewView(new_view) => Some(Self::NewView {
                view: new_view.view,
            }),
            Body::Status(_) | Body::Certificate(_) => None,
        }
    }
}

impl Evidence {
    /// Checks that both messages are what one validator signed, and that it may not have.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, context: &Context) -> Result<Guilt, EvidenceError> {
        let (first, second) = (&self.first, &self.second);
        if first.from != second.from {
            return Err(EvidenceError::TwoValidators {
                first: first.from,
                second: second.from,
            });
        }
        let place = Place::of(&first.body)
            .filter(|place| Place::of(&second.body) == Some(*place))
            .filter(|_| first.body != second.body)
            .ok_or_else(|| EvidenceError::NoContradiction {
                first: first.body.kind(),
                second: second.body.kind(),
            })?;
        first.clone().verify(context)?;
        second.clone().verify(context)?;
        Ok(Guilt {
            validator: first.from,
            place,
        })
    }

    /// What an auditor checks, who knows the ledger's name and the accused validator's key and has
    /// to believe nobody: both messages are signed by that key and contradict each other.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify_by_key(&self, chain: ChainId, key: &PublicKey) -> Result<Place, EvidenceError> {
        let (first, second) = (&self.first, &self.second);
        let place = Place::of(&first.body)
            .filter(|place| Place::of(&second.body) == Some(*place))
            .filter(|_| first.epoch == second.epoch && first.body != second.body)
            .ok_or_else(|| EvidenceError::NoContradiction {
                first: first.body.kind(),
                second: second.body.kind(),
            })?;
        for message in [first, second] {
            let chains = match &message.body {
                Body::Checkpoint(statement) if statement.height.0 == u64::MAX => {
                    return Err(MessageError::PositionOutOfRange.into());
                }
                Body::Checkpoint(statement) => [message.chain, statement.chain],
                Body::PrePrepare(_)
                | Body::Prepare(_)
                | Body::Commit(_)
                | Body::Status(_)
                | Body::Certificate(_)
                | Body::ViewChange(_)
                | Body::NewView(_) => [message.chain, chain],
            };
            if let Some(given) = chains.into_iter().find(|given| *given != chain) {
                return Err(MessageError::WrongChain { given, ours: chain }.into());
            }
            let bytes = message.body.signed_bytes(message.chain, message.epoch);
            key.verify_strict(&bytes, &message.signature).map_err(|_| {
                MessageError::WrongSignature {
                    from: message.from,
                    kind: message.body.kind(),
                }
            })?;
        }
        Ok(place)
    }

    /// Decodes bytes from outside.
    ///
    /// # Errors
    /// If they are not the canonical encoding of evidence, or longer than any about such a ledger.
    pub fn decode(bytes: &[u8], context: &Context) -> Result<Self, CodecError> {
        let message = message_bytes_max(context.validators.count(), context.window_slots);
        decode_canonical(bytes, message.saturating_mul(2))
    }
}
