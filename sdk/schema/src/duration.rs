//! How long something takes, as people write it.

use std::time::Duration;

/// The longest number before a unit. Such numbers, and no more of them than a text has room for, never
/// come near what a [`Duration`] can hold: beyond that, `humantime` may panic.
const DIGITS_MAX: usize = 9;
const TEXT_BYTES_MAX: usize = 64;

/// Reads a time with units, like `48h`, `90s` or `1h30m`; `None` if it is none, or is longer than
/// anybody means.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let numbers = text.split(|character: char| !character.is_ascii_digit());
    let is_sound =
        text.len() <= TEXT_BYTES_MAX && numbers.into_iter().all(|it| it.len() <= DIGITS_MAX);
    is_sound.then(|| humantime::parse_duration(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_units_is_a_duration() {
        let check = |text: &str, ms: Option<u64>| {
            assert_eq!(
                parse_duration(text),
                ms.map(Duration::from_millis),
                "{text}"
            );
        };
        check("48h", Some(172_800_000));
        check("1h30m", Some(5_400_000));
        check("1m 5ms", Some(60_005));
        check("999999999s", Some(999_999_999_000));
        for none in [
            "",
            "24",
            "+24h",
            "-1h",
            "1x",
            "h",
            "1000000000s",
            "\u{661}h",
        ] {
            check(none, None);
        }
        // On which the library panics.
        check("18446744073709551615s 1000ms", None);
        check("584942417355y 1234567s 1000ms", None);
        check(&"9".repeat(1_000_000), None);
        check(&"1h".repeat(1_000_000), None);
    }

    #[test]
    fn the_longest_that_is_read_is_far_from_the_end_of_time() {
        let longest = format!("{0}y {0}M {0}w {0}d", "9".repeat(DIGITS_MAX));
        let most = parse_duration(&longest).expect("is read");
        assert!(most.as_secs() < u64::MAX / 100);
    }
}
