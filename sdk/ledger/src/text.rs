//! Texts from outside: shortened before an error repeats them, base64 in its one canonical form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest piece of foreign text that an error repeats, in characters.
const SHORTENED_CHARS_MAX: usize = 80;

/// The beginning of `text`.
pub(crate) fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let mut start: String = chars.by_ref().take(SHORTENED_CHARS_MAX).collect();
    if chars.next().is_some() {
        start.push('…');
    }
    start
}

/// RFC 4648 section 4, with padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of canonical base64: padded, the unused bits zero, nothing else in between.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A number as ASCII digits, without sign or leading zeroes.
pub(crate) fn from_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_one_form_only() {
        assert_eq!(from_base64("AQ=="), Some(vec![1]));
        for text in [
            "AQ", "AQ=", "AR==", "AQ==\n", " AQ==", "A Q==", "AQ==AQ==", "-_8=",
        ] {
            assert_eq!(from_base64(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_have_one_form_only() {
        assert_eq!(from_decimal("0"), Some(0));
        assert_eq!(from_decimal("18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "١",
            "18446744073709551616",
        ] {
            assert_eq!(from_decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ä".repeat(500)).chars().count(), 81);
    }
}
