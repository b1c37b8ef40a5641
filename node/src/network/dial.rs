//! Keeps a connection to one peer of a higher index: dials while there is none, and also while
//! there is one that has gone silent, whose successor then replaces it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::{ClientConfig, Endpoint};
use tokio::task::JoinSet;

use super::Shared;
use super::peer::Peer;
use super::reason::{CloseCode, describe};
use super::session::{self, Ended, Lanes, OPENING_MAX};
use super::tls::{Handshake, SERVER_NAME};

const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// Pauses between attempts. An attempt in vain takes time by itself, and repeats its first packet.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// After a session of this length the pauses start from the shortest again.
const GOOD_SESSION: Duration = Duration::from_secs(5);

/// Dials `peer` for as long as the node runs.
pub(super) async fn run(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    endpoint: Endpoint,
    config: ClientConfig,
) {
    let mut sessions = JoinSet::new();
    let mut pauses = Pauses::default();
    for attempt in 0.. {
        tokio::time::sleep(peer.barred_for()).await;
        match connect(&shared, &peer, &endpoint, &config, attempt).await {
            Ok((connection, handshake, lanes)) => {
                let begun = Instant::now();
                if let Some(session) = session::begin(peer.clone(), connection, handshake, lanes) {
                    sessions.spawn(session::run(shared.clone(), session));
                }
                until_needed(&peer, &mut sessions).await;
                if begun.elapsed() >= GOOD_SESSION {
                    pauses = Pauses::default();
                }
            }
            Err(Failure::Unreached(why)) => peer.on_failure(why),
            Err(Failure::Stillborn(ended)) => peer.on_stillborn(&ended),
        }
        tokio::time::sleep(pauses.next()).await;
        // The doubted session may have come back to life meanwhile.
        until_needed(&peer, &mut sessions).await;
    }
}

/// Waits until the peer has no session, or one that is silent.
async fn until_needed(peer: &Peer, sessions: &mut JoinSet<()>) {
    while peer.is_well() {
        tokio::select! {
            _ = sessions.join_next(), if !sessions.is_empty() => {}
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
        }
    }
}

/// Why there is no connection.
enum Failure {
    /// Nobody was there, or somebody else.
    Unreached(String),
    /// The peer was there.
    Stillborn(Ended),
}

async fn connect(
    shared: &Shared,
    peer: &Peer,
    endpoint: &Endpoint,
    config: &ClientConfig,
    attempt: usize,
) -> Result<(quinn::Connection, Handshake, Lanes), Failure> {
    let unreached = Failure::Unreached;
    let name = &peer.config.address;
    let address = resolve(endpoint, name, attempt)
        .await
        .map_err(|e| unreached(format!("the address {name} leads nowhere: {e}")))?;
    let opening = async {
        let connection = endpoint
            .connect_with(config.clone(), address, SERVER_NAME)
            .map_err(|e| unreached(format!("cannot dial {address}: {e}")))?
            .await
            .map_err(|e| unreached(describe(&e)))?;
        let handshake = Handshake::of(&connection, shared.chain)
            .filter(|handshake| handshake.proves(&peer.config.network_key));
        let Some(handshake) = handshake else {
            connection.close(CloseCode::WrongPeer.into(), b"");
            return Err(unreached(format!("{address} is not {}", peer.name())));
        };
        let lanes = session::open_lanes(&connection)
            .await
            .map_err(Failure::Stillborn)?;
        Ok((connection, handshake, lanes))
    };
    tokio::time::timeout(OPENING_MAX, opening)
        .await
        .unwrap_or_else(|_| Err(unreached(format!("no answer from {address}"))))
}

/// The address for this attempt: all that the name has and the socket can reach take turns.
async fn resolve(endpoint: &Endpoint, address: &str, attempt: usize) -> io::Result<SocketAddr> {
    let only_v4 = endpoint.local_addr()?.is_ipv4();
    let all: Vec<SocketAddr> = tokio::net::lookup_host(address)
        .await?
        .filter(|found| !only_v4 || found.is_ipv4())
        .collect();
    let turn = attempt.checked_rem(all.len()).unwrap_or(0);
    all.get(turn)
        .copied()
        .ok_or_else(|| io::Error::other("it has no address of a usable kind"))
}

/// Pauses that double up to a limit, each shortened at random so that nodes do not march in step.
#[derive(Debug, Default)]
struct Pauses {
    count: u32,
}

impl Pauses {
    fn next(&mut self) -> Duration {
        let whole = (PAUSE_MIN * (1 << self.count.min(10))).min(PAUSE_MAX);
        self.count = self.count.saturating_add(1);
        // Without random numbers it is the whole pause.
        let share = getrandom::u32().unwrap_or(u32::MAX);
        whole / 2 + (whole / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_vary() {
        let mut pauses = Pauses::default();
        let first = pauses.next();
        assert!(first >= PAUSE_MIN / 2 && first <= PAUSE_MIN, "{first:?}");
        for _ in 0..100 {
            pauses.next();
        }
        let late: Vec<_> = (0..20).map(|_| pauses.next()).collect();
        for pause in &late {
            assert!(*pause >= PAUSE_MAX / 2 && *pause <= PAUSE_MAX, "{pause:?}");
        }
        assert!(late.iter().any(|pause| *pause != late[0]));
    }
}
