//! Numbers that must not be mixed up, each a type of its own.

use core::fmt;

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            Encode, Decode, DecodeWithMemTracking,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

unit!(
    /// The position of a block; genesis is block 0.
    Height(u64)
);
unit!(
    /// The position of a batch in PBFT's order (the paper's sequence number). Slot s makes block s.
    Slot(u64)
);
unit!(
    /// A PBFT view; its primary is `view mod n`.
    View(u64)
);
unit!(
    /// A term of one validator set. Version 1 has only epoch 0.
    Epoch(u32)
);
unit!(
    /// The position of a validator in its set.
    ValidatorIndex(u16)
);
unit!(
    /// Milliseconds: a duration, or a moment since the Unix epoch.
    Millis(u64)
);
unit!(
    /// Units of metered execution.
    Fuel(u64)
);

impl Height {
    /// The height after this one.
    ///
    /// # Panics
    /// At 2^64 - 1, which no ledger reaches.
    #[must_use]
    pub fn next(self) -> Self {
        Self(
            self.0
                .checked_add(1)
                .expect("a ledger never has 2^64 blocks"),
        )
    }
}

impl Slot {
    /// The slot after this one.
    ///
    /// # Panics
    /// At 2^64 - 1: slots are compared with a window before they are counted up.
    #[must_use]
    pub fn next(self) -> Self {
        Self(
            self.0
                .checked_add(1)
                .expect("slots are bounded by the window above a block height"),
        )
    }

    /// The block that this slot makes.
    #[must_use]
    pub fn height(self) -> Height {
        Height(self.0)
    }
}

impl From<Height> for Slot {
    fn from(height: Height) -> Self {
        Self(height.0)
    }
}

impl Millis {
    /// This moment plus `duration`, at most the end of time.
    #[must_use]
    pub fn saturating_add(self, duration: Self) -> Self {
        Self(self.0.saturating_add(duration.0))
    }

    /// The time since `earlier`, zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl ValidatorIndex {
    /// As an index into a list of validators.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::from(self.0)
    }
}
