//! Moments as text: RFC 3339 in UTC, to the millisecond.

use std::time::{Duration, UNIX_EPOCH};

use chancery_ledger::Millis;

/// The last moment RFC 3339 can write: the end of the year 9999.
const LAST: Millis = Millis(253_402_300_799_999);

/// Text that is not a moment in UTC with at most three decimals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a time: expected RFC 3339 in UTC with at most three decimals, like 2026-01-31T12:00:00Z"
)]
pub struct TimeError {
    /// What was given, shortened.
    pub text: String,
}

/// The moment that `text` writes, in milliseconds since the Unix epoch.
///
/// # Errors
/// [`TimeError`], also for moments before 1970.
pub fn parse(text: &str) -> Result<Millis, TimeError> {
    let error = || TimeError {
        text: text.chars().take(80).collect(),
    };
    let moment = humantime::parse_rfc3339(text).map_err(|_| error())?;
    let since = moment.duration_since(UNIX_EPOCH).map_err(|_| error())?;
    if since.subsec_nanos() % 1_000_000 != 0 {
        return Err(error());
    }
    u64::try_from(since.as_millis())
        .map(Millis)
        .map_err(|_| error())
}

/// `time` as RFC 3339 in UTC; decimals only where there are any. Later moments than the year 9999
/// are written as its end.
#[must_use]
pub fn format(time: Millis) -> String {
    let time = time.min(LAST);
    let moment = UNIX_EPOCH + Duration::from_millis(time.0);
    if time.0.is_multiple_of(1000) {
        humantime::format_rfc3339_seconds(moment).to_string()
    } else {
        humantime::format_rfc3339_millis(moment).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_to_the_millisecond() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-31T12:00:00Z", 1_769_860_800_000),
            ("2026-01-31T12:00:00.250Z", 1_769_860_800_250),
            ("9999-12-31T23:59:59.999Z", LAST.0),
        ] {
            assert_eq!(parse(text), Ok(Millis(millis)), "{text}");
            assert_eq!(format(Millis(millis)), text);
        }
        assert_eq!(format(Millis(u64::MAX)), format(LAST));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00+01:00",
            "2026-01-31T12:00:00.0001Z",
            "2026-02-30T12:00:00Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
