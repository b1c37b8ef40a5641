//! Where a validator is reached: `host:port`, the host an IP address or a DNS name.

use core::fmt;
use core::str::FromStr;
use std::net::SocketAddr;

/// The longest DNS name.
const DNS_BYTES_MAX: usize = 253;
const DNS_LABEL_BYTES_MAX: usize = 63;

/// Why a text is not an address at which others can reach a validator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `host:port` at all.
    #[error(
        "address {text:?}: expected host:port, like 192.0.2.7:7400, [2001:db8::7]:7400 or node.example.org:7400"
    )]
    NotHostPort {
        /// What was given, shortened.
        text: String,
    },
    /// Port 0, or no number up to 65535.
    #[error("address {text:?}: the port must be a number from 1 to 65535")]
    Port {
        /// What was given, shortened.
        text: String,
    },
    /// An address that names no one host.
    #[error(
        "address {text:?}: nobody can be reached there; give the address that peers connect to"
    )]
    NotReachable {
        /// What was given, shortened.
        text: String,
    },
    /// Not a lower-case DNS name.
    #[error("address {text:?}: the host is neither an IP address nor a DNS name in lower case")]
    Host {
        /// What was given, shortened.
        text: String,
    },
}

/// An address that peers connect to. The text is kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress(String);

impl PeerAddress {
    /// The text, `host:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The socket address, if the host is an IP address; a DNS name is for the node to resolve.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        self.0.parse().ok()
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PeerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || text.chars().take(80).collect();
        if let Ok(address) = text.parse::<SocketAddr>() {
            let ip = address.ip();
            if address.port() == 0 {
                return Err(AddressError::Port { text: given() });
            }
            if ip.is_unspecified() || ip.is_multicast() {
                return Err(AddressError::NotReachable { text: given() });
            }
            return Ok(Self(text.to_owned()));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(AddressError::NotHostPort { text: given() });
        };
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !port.parse::<u16>().is_ok_and(|port| port != 0) {
            return Err(AddressError::Port { text: given() });
        }
        if !is_dns_name(host) {
            return Err(AddressError::Host { text: given() });
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether `host` is a DNS name in lower case (RFC 1123) that cannot be taken for an IP address.
fn is_dns_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=DNS_LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let last_is_number = |host: &str| {
        host.rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
    };
    host.len() <= DNS_BYTES_MAX && host.split('.').all(is_label) && !last_is_number(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ip_addresses_and_dns_names_are_taken() {
        for text in [
            "127.0.0.1:7400",
            "[::1]:1",
            "localhost:65535",
            "node-1.bank.example:7400",
        ] {
            let address: PeerAddress = text.parse().expect("an address");
            assert_eq!(address.as_str(), text);
        }
    }

    #[test]
    fn each_refusal_has_its_name() {
        let text = |text: &str| text.to_owned();
        for (given, expected) in [
            ("", AddressError::NotHostPort { text: text("") }),
            ("host", AddressError::NotHostPort { text: text("host") }),
            (
                "host:",
                AddressError::Port {
                    text: text("host:"),
                },
            ),
            (
                "host:+1",
                AddressError::Port {
                    text: text("host:+1"),
                },
            ),
            (
                "host:65536",
                AddressError::Port {
                    text: text("host:65536"),
                },
            ),
            (
                "10.0.0.1:0",
                AddressError::Port {
                    text: text("10.0.0.1:0"),
                },
            ),
            (
                "0.0.0.0:1",
                AddressError::NotReachable {
                    text: text("0.0.0.0:1"),
                },
            ),
            (
                "224.0.0.1:1",
                AddressError::NotReachable {
                    text: text("224.0.0.1:1"),
                },
            ),
            (":1", AddressError::Host { text: text(":1") }),
            (
                "a b:1",
                AddressError::Host {
                    text: text("a b:1"),
                },
            ),
            (
                "Host:1",
                AddressError::Host {
                    text: text("Host:1"),
                },
            ),
            (
                "-a.b:1",
                AddressError::Host {
                    text: text("-a.b:1"),
                },
            ),
            (
                "a..b:1",
                AddressError::Host {
                    text: text("a..b:1"),
                },
            ),
            (
                "256.0.0.1:1",
                AddressError::Host {
                    text: text("256.0.0.1:1"),
                },
            ),
            (
                "::1:1x:1",
                AddressError::Host {
                    text: text("::1:1x:1"),
                },
            ),
        ] {
            assert_eq!(given.parse::<PeerAddress>(), Err(expected), "{given}");
        }
    }
}
