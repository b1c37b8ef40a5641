//! Why connections end, in words for operators. Nothing that a peer wrote is repeated.

use quinn::{ConnectionError, VarInt};

/// What this node tells a peer when it closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseCode {
    /// The node stops.
    Shutdown,
    /// A newer connection of the same peer took its place.
    Replaced,
    /// The handshake was fine, but not with whom it should be.
    WrongPeer,
    /// The rules of lanes and frames were broken.
    Violation,
    /// A connection too soon after the last one, or after a violation.
    TooSoon,
    /// The lanes were not open in time.
    LanesMissing,
}

impl CloseCode {
    const ALL: [Self; 6] = [
        Self::Shutdown,
        Self::Replaced,
        Self::WrongPeer,
        Self::Violation,
        Self::TooSoon,
        Self::LanesMissing,
    ];

    fn number(self) -> u32 {
        match self {
            Self::Shutdown => 0,
            Self::Replaced => 1,
            Self::WrongPeer => 2,
            Self::Violation => 3,
            Self::TooSoon => 4,
            Self::LanesMissing => 5,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Shutdown => "the peer shut down",
            Self::Replaced => "the peer has a newer connection",
            Self::WrongPeer => "the peer expected somebody else",
            Self::Violation => "the peer says that this validator broke the rules of the wire",
            Self::TooSoon => "the peer wants a pause before the next connection",
            Self::LanesMissing => "the peer missed this validator's lanes",
        }
    }
}

impl From<CloseCode> for VarInt {
    fn from(code: CloseCode) -> Self {
        Self::from_u32(code.number())
    }
}

/// Why a connection ended or did not come about.
pub(super) fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::VersionMismatch => "the peer speaks another version of QUIC".into(),
        ConnectionError::TransportError(e) => match tls_alert(e.code.into()) {
            Some(alert) => format!("this validator refused the peer: {}", alert_in_words(alert)),
            None => format!("the peer violated QUIC: {}", e.code),
        },
        ConnectionError::ConnectionClosed(close) => match tls_alert(close.error_code.into()) {
            Some(alert) => format!("the peer refused: {}", alert_in_words(alert)),
            None => format!("the peer's QUIC gave up: {}", close.error_code),
        },
        ConnectionError::ApplicationClosed(close) => CloseCode::ALL
            .into_iter()
            .find(|code| VarInt::from(*code) == close.error_code)
            .map_or_else(
                || format!("the peer closed with code {}", close.error_code),
                |code| code.in_words().into(),
            ),
        ConnectionError::Reset => "the peer has restarted".into(),
        ConnectionError::TimedOut => "no answer".into(),
        ConnectionError::LocallyClosed => "closed here".into(),
        ConnectionError::CidsExhausted => "out of connection ids".into(),
    }
}

/// The TLS alert inside a QUIC error code (RFC 9001 section 4.8).
fn tls_alert(code: u64) -> Option<u8> {
    code.checked_sub(0x100)
        .and_then(|alert| u8::try_from(alert).ok())
}

fn alert_in_words(alert: u8) -> String {
    match alert {
        40 => "no raw public keys".into(),
        49 => "the network key is not the one in genesis".into(),
        51 => "the network key was not proved".into(),
        70 => "TLS 1.3 is needed".into(),
        116 => "a network key is needed".into(),
        120 => "it belongs to another ledger, or speaks another protocol".into(),
        other => format!("TLS alert {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_distinct_and_listed() {
        let numbers: std::collections::BTreeSet<_> =
            CloseCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn alerts_are_found_only_in_their_range() {
        assert_eq!(tls_alert(0xff), None);
        assert_eq!(tls_alert(0x131), Some(49));
        assert_eq!(tls_alert(0x200), None);
    }
}
