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

    /// This duration so many times, at most the longest there is.
    #[must_use]
    pub fn saturating_mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }

    /// The time since `earlier`, zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Millis {
    /// As a moment, in RFC 3339 with milliseconds: `2026-11-22T03:47:00.123Z`. Years after 9999
    /// have more digits than RFC 3339 allows.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Howard Hinnant's civil_from_days: years begin in March, so that leap days come last.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let (month, next_year) = if month_from_march < 10 {
            (month_from_march + 3, 0)
        } else {
            (month_from_march - 9, 1)
        };
        let year = era * 400 + year_of_era + next_year;
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

impl ValidatorIndex {
    /// As an index into a list of validators.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (1_795_319_220_123, "2026-11-22T03:47:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "584556019-04-03T14:25:51.615Z"),
        ] {
            assert_eq!(Millis(millis).to_rfc3339(), expected);
        }
    }
}
