//! `node.toml`: what one validator decides for itself. Nothing in it changes results; whatever
//! does stands in genesis.

use std::net::{Ipv4Addr, SocketAddr};

use chancery_genesis::TomlError;
use chancery_ledger::{ChainLimits, Millis};
use serde::{Deserialize, Serialize};

use crate::pool::PoolLimits;

/// The longest file that is read, in bytes.
pub const CONFIG_BYTES_MAX: usize = 65_536;

/// The view timeout doubles up to so many times the configured one.
const VIEW_TIMEOUT_GROWTH_MAX: u64 = 32;

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Longer than any configuration.
    #[error("{len} bytes, a configuration has at most {CONFIG_BYTES_MAX}")]
    TooLong {
        /// Length given.
        len: usize,
    },
    /// Not TOML with exactly the keys of [`NodeConfig`].
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// The API would be open to other machines without anybody having said so.
    #[error(
        "api.listen = \"{listen}\" is reachable from other machines; the API has no access control: use a loopback address, or set api.public = true"
    )]
    ApiNotLoopback {
        /// The address.
        listen: SocketAddr,
    },
    /// A limit outside its possible range.
    #[error("{name} = {value} is impossible: it must be between {least} and {most}")]
    Limit {
        /// Table and key.
        name: &'static str,
        /// The value given.
        value: usize,
        /// The least possible one.
        least: usize,
        /// The greatest possible one.
        most: usize,
    },
    /// Not a filter of tracing-subscriber.
    #[error("log.filter = {filter:?}: {reason}")]
    LogFilter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// For the other validators.
    pub p2p: P2pConfig,
    /// For people and programs.
    #[serde(default)]
    pub api: ApiConfig,
    /// What is told while it runs.
    #[serde(default)]
    pub log: LogConfig,
    /// What may wait to be ordered.
    #[serde(default)]
    pub pool: PoolConfig,
    /// When the primary is doubted.
    #[serde(default)]
    pub consensus: ConsensusConfig,
    /// How to get what was missed.
    #[serde(default)]
    pub catch_up: CatchUpConfig,
}

/// `[p2p]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct P2pConfig {
    /// UDP address to listen on for QUIC. Peers connect to the address in the member card, which
    /// may differ (a port forwarded, a name).
    pub listen: SocketAddr,
}

/// `[api]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// TCP address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be reachable from other machines.
    pub public: bool,
    /// Connections open at once. For one more, the one that has waited longest without a request is
    /// closed; where all are in use, it waits.
    pub connections_max: usize,
    /// Requests that wait for a transaction to become final; more are turned away.
    pub waiting_max: usize,
    /// Live feeds of events open at once; more are turned away.
    pub feeds_max: usize,
    /// A feed on which nothing happens shows for so long no sign of life. A reader who takes nothing
    /// for twice as long is let go.
    pub feed_heartbeat_ms: u64,
    /// The most events or transactions on one page.
    pub page_entries_max: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public: false,
            connections_max: 512,
            waiting_max: 384,
            feeds_max: 64,
            feed_heartbeat_ms: 10_000,
            page_entries_max: 1_000,
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A filter of tracing-subscriber, like `info` or `info,chancery_node::network=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[pool]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Transactions.
    pub transactions_max: usize,
    /// Bytes of their encodings.
    pub bytes_max: usize,
    /// Transactions of one sender.
    pub per_sender_max: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            transactions_max: 20_000,
            bytes_max: 67_108_864,
            per_sender_max: 10_000,
        }
    }
}

/// `[consensus]`. It should be about the same everywhere: a primary is replaced as soon as more
/// validators than may be faulty ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsensusConfig {
    /// How long nothing may be ordered while something waits, until another primary is asked for.
    /// It doubles with each view that brings nothing either. A multiple of the round trip between
    /// the validators.
    pub view_timeout_ms: u64,
    /// How long the primary alone hears of a transaction, until it is relayed to everybody.
    pub relay_ms: u64,
}

impl Default for ConsensusConfig {
    fn default() -> Self {
        Self {
            view_timeout_ms: 1_000,
            relay_ms: 250,
        }
    }
}

/// `[catch_up]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatchUpConfig {
    /// More blocks than this behind, a validator takes over the state from a peer instead of
    /// executing what it missed; it then lacks the blocks in between.
    pub snapshot_after_blocks: u64,
}

impl Default for CatchUpConfig {
    fn default() -> Self {
        Self {
            snapshot_after_blocks: 2_000,
        }
    }
}

impl ConsensusConfig {
    /// As the replica takes it.
    #[must_use]
    pub fn view_timeout(&self) -> Millis {
        Millis(self.view_timeout_ms)
    }

    /// What it grows to.
    #[must_use]
    pub fn view_timeout_max(&self) -> Millis {
        Millis(self.view_timeout_ms.saturating_mul(VIEW_TIMEOUT_GROWTH_MAX))
    }

    /// As the pool takes it.
    #[must_use]
    pub fn relay_after(&self) -> Millis {
        Millis(self.relay_ms)
    }
}

impl PoolConfig {
    /// As the pool of a node of that chain takes them.
    #[must_use]
    pub fn limits(&self, chain: &ChainLimits) -> PoolLimits {
        PoolLimits {
            transactions_max: self.transactions_max,
            bytes_max: self.bytes_max,
            per_sender_max: self.per_sender_max,
            fuel_per_sender_max: PoolLimits::fuel_per_sender_max(chain),
        }
    }
}

impl NodeConfig {
    /// The configuration that listens to its peers on `p2p` and to people on `api`, everything
    /// else by default.
    #[must_use]
    pub fn listening_on(p2p: SocketAddr, api: SocketAddr) -> Self {
        Self {
            p2p: P2pConfig { listen: p2p },
            api: ApiConfig {
                listen: api,
                ..ApiConfig::default()
            },
            log: LogConfig::default(),
            pool: PoolConfig::default(),
            consensus: ConsensusConfig::default(),
            catch_up: CatchUpConfig::default(),
        }
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// The first rule that it breaks, with the key and the value that break it.
    pub fn parse(toml: &str) -> Result<Self, ConfigError> {
        if toml.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLong { len: toml.len() });
        }
        let config: Self = toml::from_str(toml).map_err(|error| TomlError::new(toml, &error))?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        let ApiConfig {
            listen,
            public,
            connections_max,
            waiting_max,
            feeds_max,
            feed_heartbeat_ms,
            page_entries_max,
        } = self.api;
        if !public && !listen.ip().is_loopback() {
            return Err(ConfigError::ApiNotLoopback { listen });
        }
        let (pool, consensus) = (&self.pool, &self.consensus);
        for (name, value, least, most) in [
            ("api.connections_max", connections_max, 8, 65_536),
            // Some connections always stay free for everything else.
            (
                "api.waiting_max",
                waiting_max,
                1,
                connections_max - connections_max / 8,
            ),
            (
                "api.feeds_max",
                feeds_max,
                0,
                (connections_max - connections_max / 8).saturating_sub(waiting_max),
            ),
            // Well below the time after which an idle connection is closed, here and elsewhere.
            (
                "api.feed_heartbeat_ms",
                usize::try_from(feed_heartbeat_ms).unwrap_or(usize::MAX),
                1_000,
                20_000,
            ),
            ("api.page_entries_max", page_entries_max, 1, 10_000),
            ("pool.transactions_max", pool.transactions_max, 1, 1_000_000),
            ("pool.bytes_max", pool.bytes_max, 65_536, 4_294_967_296),
            (
                "pool.per_sender_max",
                pool.per_sender_max,
                1,
                pool.transactions_max,
            ),
            (
                "consensus.view_timeout_ms",
                usize::try_from(consensus.view_timeout_ms).unwrap_or(usize::MAX),
                100,
                600_000,
            ),
            // A transaction that nobody else hears of in time has one timer only.
            (
                "consensus.relay_ms",
                usize::try_from(consensus.relay_ms).unwrap_or(usize::MAX),
                10,
                usize::try_from(consensus.view_timeout_ms).unwrap_or(usize::MAX),
            ),
        ] {
            if value < least || value > most {
                return Err(ConfigError::Limit {
                    name,
                    value,
                    least,
                    most,
                });
            }
        }
        tracing_subscriber::EnvFilter::try_new(&self.log.filter).map_err(|error| {
            ConfigError::LogFilter {
                filter: self.log.filter.clone(),
                reason: error.to_string(),
            }
        })?;
        Ok(())
    }

    /// The configuration as TOML, everything written out; [`NodeConfig::parse`] reads it back.
    ///
    /// # Panics
    /// Never: its strings and numbers can always be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("strings, flags and numbers below 2^63 are TOML")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_back_as_it_was_written() {
        let address = |text: &str| text.parse().expect("an address");
        let config = NodeConfig::listening_on(address("0.0.0.0:7400"), address("127.0.0.1:7500"));
        assert_eq!(NodeConfig::parse(&config.to_toml()), Ok(config));
    }

    #[test]
    fn only_the_p2p_address_has_no_default() {
        let config = NodeConfig::parse("[p2p]\nlisten = \"[::]:7400\"").expect("enough");
        assert_eq!(config.api, ApiConfig::default());
        assert!(config.api.listen.ip().is_loopback());
        assert!(NodeConfig::parse("").is_err());
    }

    #[test]
    fn every_refusal_names_key_and_value() {
        let p2p = "[p2p]\nlisten = \"127.0.0.1:7400\"\n";
        for (more, words) in [
            (
                "[api]\nlisten = \"0.0.0.0:80\"",
                vec!["api.listen", "0.0.0.0:80", "api.public"],
            ),
            (
                "[api]\nport = 80",
                vec!["line 4", "port = 80", "unknown field"],
            ),
            ("[api]\nlisten = \"x\"", vec!["line 4", "listen = \"x\""]),
            (
                "[api]\nconnections_max = 0",
                vec!["api.connections_max = 0", "between 8"],
            ),
            (
                "[api]\nwaiting_max = 512",
                vec!["api.waiting_max = 512", "448"],
            ),
            (
                "[api]\nfeeds_max = 65",
                vec!["api.feeds_max = 65", "0 and 64"],
            ),
            (
                "[api]\nfeed_heartbeat_ms = 60000",
                vec!["api.feed_heartbeat_ms = 60000", "20000"],
            ),
            (
                "[api]\npage_entries_max = 0",
                vec!["api.page_entries_max = 0", "between 1"],
            ),
            (
                "[pool]\nper_sender_max = 30000",
                vec!["pool.per_sender_max = 30000", "20000"],
            ),
            ("[pool]\nbytes_max = -1", vec!["line 4", "bytes_max = -1"]),
            (
                "[consensus]\nview_timeout_ms = 50",
                vec!["consensus.view_timeout_ms = 50", "between 100"],
            ),
            (
                "[consensus]\nview_timeout_ms = 200",
                vec!["consensus.relay_ms = 250", "200"],
            ),
            ("[log]\nfilter = \"a=b=c\"", vec!["log.filter", "a=b=c"]),
            ("[log]\nformat = \"xml\"", vec!["line 4", "xml", "json"]),
            ("[tls]", vec!["line 3", "tls"]),
        ] {
            let said = NodeConfig::parse(&format!("{p2p}{more}"))
                .expect_err(more)
                .to_string();
            for word in words {
                assert!(said.contains(word), "{more}: {word:?} is not in: {said}");
            }
        }
        let open = format!("{p2p}[api]\nlisten = \"0.0.0.0:80\"\npublic = true");
        assert!(NodeConfig::parse(&open).is_ok());
    }
}
