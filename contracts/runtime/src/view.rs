//! What the runtime asks of its owner: the state before the batch, the replay set, the block's
//! place and time; and by which rule a transaction is kept out of a block.

use chancery_ledger::{ChainId, Fuel, Height, Millis, TransactionId};

/// The ledger as it stands before a batch is executed. It must not change while it is lent. A
/// storage failure ends the process, so nothing here returns an error.
pub trait LedgerView: Send + Sync + 'static {
    /// The value under a raw state key ([`chancery_ledger::state_key::StateKey::to_bytes`]).
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Whether the transaction stands in a block already.
    fn was_admitted(&self, id: &TransactionId) -> bool;
}

/// The place of the block being executed; for a query, the newest block and the time used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockContext {
    /// The ledger.
    pub chain: ChainId,
    /// The block's height.
    pub height: Height,
    /// The block's time, which is all that contracts know of time.
    pub time: Millis,
}

/// Why a transaction leaves no trace: not a receipt, not an entry in the replay set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// Its time is over.
    #[error("the transaction was valid until {valid_until}, block time is {block_time}")]
    Expired {
        /// Its end, exclusive.
        valid_until: Millis,
        /// The block time that reached it.
        block_time: Millis,
    },
    /// Its end lies further ahead than the ledger remembers ids.
    #[error("the transaction is valid until {valid_until}, at most {latest} is allowed")]
    ValidForTooLong {
        /// Its end.
        valid_until: Millis,
        /// The latest end allowed now.
        latest: Millis,
    },
    /// Its id stands in a block already.
    #[error("the transaction was executed already")]
    Repeated,
    /// It declares less fuel than taking it in costs, whatever comes of it.
    #[error("the transaction declares {fuel_max} fuel, it takes at least {least}")]
    TooLittleFuel {
        /// What it declares.
        fuel_max: Fuel,
        /// What its size costs.
        least: Fuel,
    },
    /// Its sender was never admitted.
    #[error("the sender is not an admitted account")]
    UnknownSender,
}

impl DropReason {
    /// A stable name for interfaces and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            Self::ValidForTooLong { .. } => "valid_for_too_long",
            Self::Repeated => "repeated",
            Self::TooLittleFuel { .. } => "too_little_fuel",
            Self::UnknownSender => "unknown_sender",
        }
    }
}
