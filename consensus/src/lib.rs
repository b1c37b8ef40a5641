//! PBFT as a pure state machine.
#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

mod batches;
mod checkpoint;
mod event;
mod message;
mod normal;
mod overview;
mod replica;
mod restore;
mod safety;
mod slot;
mod status;
mod tally;
mod timing;
mod verify;

pub use event::{Action, Config, Divergence, Event, Now, Record, Recovered, Wish};
pub use message::{
    Ballot, Body, MESSAGE_BYTES_MAX, PreparedCertificate, STATUS_SLOTS_MAX, SignedMessage,
    SlotStatus, Status, VoteKind, VoteSignature,
};
pub use overview::{Overview, PeerOverview, PeerStatus, Phase, Refusal, SlotOverview};
pub use replica::Replica;
pub use restore::RestoreError;
pub use verify::{Context, MessageError, PreparedError, VerifiedMessage};
