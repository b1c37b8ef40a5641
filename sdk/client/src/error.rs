//! What can go wrong between a client and the nodes.

use std::time::Duration;

use chancery_ledger::{Millis, TransactionId};

use crate::api::{ApiError, TransactionState};

/// Why one node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFailure {
    /// Which node.
    pub url: String,
    /// In a few words.
    pub reason: String,
}

/// A transaction that was handed in and was not final in time. It may still become so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFinal {
    /// Which.
    pub id: TransactionId,
    /// From this block time on it cannot be admitted any more.
    pub valid_until: Millis,
    /// How far it had come where it was last looked up.
    pub state: TransactionState,
    /// The newest failure or refusal met on the way, in words.
    pub trouble: Option<String>,
}

/// Why a request had no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Not the base address of a node.
    #[error("{url:?} is not the address of a node: {reason}")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No address at all.
    #[error("no address of a node was given")]
    NoAddress,
    /// Nobody answers.
    #[error("no node answers: {}", list(.tried))]
    NoNode {
        /// Everyone who was asked.
        tried: Vec<NodeFailure>,
    },
    /// A node answered with a refusal or a failure.
    #[error("{}", .error.message)]
    Api {
        /// Which node.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        error: ApiError,
    },
    /// A node answered with something else than the API promises.
    #[error("{url} gave an answer that is not of this API: {reason}")]
    BadAnswer {
        /// Which node.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not handed in: too many other transactions of the same client are under way.
    #[error(
        "{under_way} transactions of this client are under way, and none made room within {waited:?}"
    )]
    NoTurn {
        /// How many may be.
        under_way: usize,
        /// How long it waited for its turn.
        waited: Duration,
    },
    /// Handed in, not final in time.
    #[error("transaction {} was not final in time; it may still become final", .0.id)]
    NotFinal(Box<NotFinal>),
    /// The system has no random numbers.
    #[error("no random numbers: {reason}")]
    NoRandomness {
        /// Why.
        reason: String,
    },
}

fn list(tried: &[NodeFailure]) -> String {
    let each: Vec<String> = tried
        .iter()
        .map(|node| format!("{} ({})", node.url, node.reason))
        .collect();
    each.join(", ")
}
