//! The peer network: one QUIC connection between any two validators, two lanes on each.
//!
//! - **Who.** TLS 1.3 with raw public keys (RFC 7250) on both sides, pinned to the network keys of
//!   genesis. There is no certificate, hence no date, no name and no authority in it. The
//!   application protocol (ALPN) contains the chain id, so validators of different ledgers part
//!   during the handshake. A key that is not a peer's is refused before its signature is looked at,
//!   and membership is checked once more when the handshake is over.
//! - **Which connection.** The validator of the lower index dials, the other one accepts; so a
//!   connection from a higher index, or from a key of one's own, is a stranger's. A new
//!   authenticated connection replaces the old one: its peer has restarted.
//! - **Lanes.** Each side opens one unidirectional stream per [`Lane`] and says in its first byte
//!   which one it is. Votes have priority on the wire, a flow-control window, a queue, a reader and
//!   an inbox of their own, so that bulk data cannot hold them up.
//! - **Frames** are opaque here: a 32-bit big-endian length and that many bytes, at least one. The
//!   length is checked before memory is taken.
//! - **Nothing waits, nothing grows.** [`Network::send`] never blocks; what does not fit, or has
//!   nobody to go to, is dropped and counted. Delivery is not promised: the protocol above asks
//!   again for what it misses. What a peer may have in memory here is bounded for each peer, so a
//!   peer that sends too much slows down only itself.
//!
//! Read in this order: `tls` (who), `endpoint` (QUIC's settings), `dial` and `accept` (which
//! connection), `session` (a connection's life), `lane` and `queue` (frames), `peer` (state and
//! counters).

mod accept;
mod dial;
mod endpoint;
mod lane;
mod peer;
mod queue;
mod reason;
mod session;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use chancery_ledger::{ChainId, PublicKey, SecretKey, ValidatorIndex};
use quinn::{AsyncUdpSocket, Endpoint};
use tokio::task::JoinSet;

pub use lane::{FRAME_BYTES_MAX, InboxReceivers, Inboxes, Incoming, Lane, Place};
pub use peer::PeerStatus;

use peer::Peer;
use reason::CloseCode;

/// How long [`Network::shutdown`] waits for farewells to be sent, and then for the port.
const SHUTDOWN_STEP_MAX: Duration = Duration::from_secs(1);

/// What a validator needs to know to talk to the others.
#[derive(Debug)]
pub struct NetworkConfig {
    /// The ledger; peers of another one are refused.
    pub chain: ChainId,
    /// This validator.
    pub own: ValidatorIndex,
    /// Its network key.
    pub key: SecretKey,
    /// The UDP address to listen on and to dial from. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// All the other validators.
    pub peers: Vec<PeerConfig>,
    /// The longest frame on [`Lane::Votes`], in bytes.
    pub votes_frame_bytes_max: usize,
    /// The longest frame on [`Lane::Bulk`], in bytes.
    pub bulk_frame_bytes_max: usize,
}

/// One other validator.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// Its position in the validator set.
    pub index: ValidatorIndex,
    /// Its member's name, for logs and status pages.
    pub name: String,
    /// The key that it must prove to hold.
    pub network_key: PublicKey,
    /// `host:port`. A DNS name is resolved again at each dial.
    pub address: String,
}

/// Why the network does not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The UDP port cannot be had.
    #[error("cannot listen on {listen} (UDP): {source}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Started outside a tokio runtime.
    #[error("the network must be started inside a tokio runtime")]
    NoRuntime,
    /// This validator among its own peers, or one peer twice.
    #[error("validator {index} is listed twice, or is this validator itself")]
    IndexTwice {
        /// The index.
        index: ValidatorIndex,
    },
    /// A network key in two places.
    #[error("the network key of {name:?} is used by another validator too")]
    KeyTwice {
        /// The second validator that uses it.
        name: String,
    },
    /// A frame limit out of range.
    #[error(
        "frames of the {lane} lane may have {bytes_max} bytes: between 1 and {FRAME_BYTES_MAX} are possible"
    )]
    FrameLimit {
        /// The lane.
        lane: Lane,
        /// The limit that was asked for.
        bytes_max: usize,
    },
    /// The cryptographic library cannot do what is needed.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The running network of one validator.
pub struct Network {
    shared: Arc<Shared>,
    local_address: SocketAddr,
    running: Mutex<Option<Running>>,
}

/// What every task of the network sees.
struct Shared {
    own: ValidatorIndex,
    chain: ChainId,
    peers: BTreeMap<ValidatorIndex, Arc<Peer>>,
    inboxes: Inboxes,
    /// Attempts to connect to this node that did not become a peer's session.
    refused: AtomicU64,
}

struct Running {
    endpoint: Endpoint,
    /// Gone when the port is free.
    socket: Weak<dyn AsyncUdpSocket>,
    tasks: JoinSet<()>,
}

impl Network {
    /// Listens, and from now on keeps a connection to every peer. Frames of the peers go to
    /// `inboxes`; when a receiver of those is dropped, connections end.
    ///
    /// # Errors
    /// [`NetworkError`]; nothing runs then.
    pub fn start(config: NetworkConfig, inboxes: Inboxes) -> Result<Self, NetworkError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| NetworkError::NoRuntime)?;
        let NetworkConfig {
            chain,
            own,
            key,
            listen,
            peers,
            votes_frame_bytes_max,
            bulk_frame_bytes_max,
        } = config;
        let frames = lane::FrameLimits::new(votes_frame_bytes_max, bulk_frame_bytes_max)?;
        check_identities(own, &key, &peers)?;

        let started = Instant::now();
        let identity = tls::Identity::new(key);
        let server = tls::server_config(
            &identity,
            chain,
            peers.iter().filter(|peer| peer.index < own),
        )?;
        let dialled = peers
            .iter()
            .filter(|peer| peer.index > own)
            .map(|peer| Ok((peer.index, tls::client_config(&identity, chain, peer)?)))
            .collect::<Result<Vec<_>, rustls::Error>>()?;
        let (endpoint, socket) = endpoint::listen(listen, &identity, server)
            .map_err(|source| NetworkError::Listen { listen, source })?;
        let local_address = endpoint
            .local_addr()
            .map_err(|source| NetworkError::Listen { listen, source })?;

        let shared = Arc::new(Shared {
            own,
            chain,
            peers: peers
                .into_iter()
                .map(|peer| (peer.index, Arc::new(Peer::new(peer, frames, started))))
                .collect(),
            inboxes,
            refused: AtomicU64::new(0),
        });

        let mut tasks = JoinSet::new();
        tasks.spawn_on(accept::run(shared.clone(), endpoint.clone()), &runtime);
        for (index, client) in dialled {
            let peer = shared.peers[&index].clone();
            let task = dial::run(
                shared.clone(),
                peer,
                endpoint.clone(),
                endpoint::client_config(client),
            );
            tasks.spawn_on(task, &runtime);
        }
        Ok(Self {
            shared,
            local_address,
            running: Mutex::new(Some(Running {
                endpoint,
                socket,
                tasks,
            })),
        })
    }

    /// The address it listens on, with the port that was really taken.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Queues `frame` for a peer and returns at once, from any thread. It is dropped and counted
    /// if the peer is not connected, or by the rule of its lane's queue (see [`Lane`]).
    pub fn send(&self, to: ValidatorIndex, lane: Lane, frame: Arc<[u8]>) {
        match self.shared.peers.get(&to) {
            Some(peer) => peer.send(lane, frame),
            None => tracing::error!(%to, "a frame for a validator that is not a peer"),
        }
    }

    /// [`Network::send`] to every peer.
    pub fn broadcast(&self, lane: Lane, frame: &Arc<[u8]>) {
        for peer in self.shared.peers.values() {
            peer.send(lane, frame.clone());
        }
    }

    /// What is known of each peer, in the order of their indices.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared.peers.values().map(|p| p.status()).collect()
    }

    /// How many attempts to connect to this node, by whomever, did not become a peer's session.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Says farewell to all peers, ends every task and frees the port. Takes two seconds at most.
    /// Calling it again does nothing.
    pub async fn shutdown(&self) {
        let Some(running) = lock(&self.running).take() else {
            return;
        };
        let Running {
            endpoint,
            socket,
            mut tasks,
        } = running;
        endpoint.close(CloseCode::Shutdown.into(), b"");
        tasks.shutdown().await;
        for peer in self.shared.peers.values() {
            peer.forget_session();
        }
        // A lost farewell costs the peers their idle timeout and nothing else.
        let _ = tokio::time::timeout(SHUTDOWN_STEP_MAX, endpoint.wait_idle()).await;
        drop(endpoint);
        // quinn's driver closes the socket some polls after the last handle is gone.
        let freed = async {
            while socket.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(SHUTDOWN_STEP_MAX, freed).await;
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("own", &self.shared.own)
            .field("local_address", &self.local_address)
            .finish_non_exhaustive()
    }
}

fn check_identities(
    own: ValidatorIndex,
    key: &SecretKey,
    peers: &[PeerConfig],
) -> Result<(), NetworkError> {
    let mut indices = BTreeSet::from([own]);
    let mut keys = BTreeSet::from([*key.public().as_bytes()]);
    for peer in peers {
        if !indices.insert(peer.index) {
            return Err(NetworkError::IndexTwice { index: peer.index });
        }
        if !keys.insert(*peer.network_key.as_bytes()) {
            return Err(NetworkError::KeyTwice {
                name: peer.name.clone(),
            });
        }
    }
    Ok(())
}

/// Locks a mutex whose holders only move values, so that what a panicking one left is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
