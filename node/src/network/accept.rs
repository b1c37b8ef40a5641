//! The door: which connection attempts are looked at, and what becomes of them.
//!
//! Anybody can send first packets, and each handshake costs about a millisecond. So
//! - every source first shows that it receives what is sent to its address (Retry, RFC 9000
//!   section 8.1.2), which takes no memory here and one round trip there: validators connect
//!   rarely and stay;
//! - attempts have places, counted until they have become a session. A failed one keeps its place
//!   for a while, which bounds how many a second there can be;
//! - places are shared out by address, and those for the addresses of peers are kept apart, so
//!   that a crowd at the door does not keep out the members.
//!
//! Whatever finds no place is ignored: no answer, no memory. QUIC's own retransmission is its next
//! chance.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn::{Connecting, Endpoint};
use tokio::task::JoinSet;

use super::peer::{Peer, canonical};
use super::reason::{CloseCode, describe};
use super::session::{self, OPENING_MAX, Session};
use super::tls::Handshake;
use super::{Shared, lock};

/// Places for everybody, and how many of them one IP address may have.
const PLACES_MAX: usize = 64;
const PLACES_PER_IP_MAX: usize = 16;
/// Places for each address (with port) where a peer is known to be.
const PLACES_PER_PEER_MAX: usize = 4;

/// How long a failed attempt keeps its place.
const FAILED_KEEPS_PLACE: Duration = Duration::from_secs(1);

/// Accepts connections for as long as the endpoint is open.
pub(super) async fn run(shared: Arc<Shared>, endpoint: Endpoint) {
    let door = Arc::new(Door::default());
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while connections.try_join_next().is_some() {}
        if !incoming.remote_address_validated() {
            // It cannot fail for a source that has not proved its address.
            let _ = incoming.retry();
            continue;
        }
        let source = canonical(incoming.remote_address());
        let place = door.enter(source, || shared.diallers().any(|peer| peer.is_at(source)));
        match place {
            Some(place) => {
                // Packets from whomever can make this fail, which is not worth a word.
                if let Ok(connecting) = incoming.accept() {
                    connections.spawn(receive(shared.clone(), connecting, place));
                }
            }
            None => {
                shared.count_refused();
                incoming.ignore();
            }
        }
    }
}

async fn receive(shared: Arc<Shared>, connecting: Connecting, place: Place) {
    if let Some(session) = open(&shared, connecting).await {
        drop(place);
        session::run(shared, session).await;
    } else {
        shared.count_refused();
        tokio::time::sleep(FAILED_KEEPS_PLACE).await;
    }
}

async fn open(shared: &Shared, connecting: Connecting) -> Option<Session> {
    let handshake = tokio::time::timeout(OPENING_MAX, connecting).await;
    let connection = match handshake {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(why = describe(&error), "a connection attempt failed");
            return None;
        }
        Err(_) => return None,
    };
    let known = Handshake::of(&connection, shared.chain).and_then(|handshake| {
        let peer = shared
            .diallers()
            .find(|peer| handshake.proves(&peer.config.network_key))?;
        Some((peer.clone(), handshake))
    });
    let Some((peer, handshake)) = known else {
        connection.close(CloseCode::WrongPeer.into(), b"");
        return None;
    };
    if !peer.barred_for().is_zero() {
        connection.close(CloseCode::TooSoon.into(), b"");
        return None;
    }
    match tokio::time::timeout(OPENING_MAX, session::open_lanes(&connection)).await {
        Ok(Ok(lanes)) => session::begin(peer, connection, handshake, lanes),
        Ok(Err(ended)) => {
            peer.on_stillborn(&ended);
            connection.close(ended.close_code().into(), b"");
            None
        }
        Err(_) => {
            peer.on_failure("it opened no lanes".into());
            connection.close(CloseCode::LanesMissing.into(), b"");
            None
        }
    }
}

impl Shared {
    /// The peers that dial this validator, rather than the other way round.
    fn diallers(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.peers.range(..self.own).map(|(_, peer)| peer)
    }

    fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts the attempts that are open.
#[derive(Debug, Default)]
struct Door {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    common: BTreeMap<IpAddr, usize>,
    kept: BTreeMap<SocketAddr, usize>,
}

/// A place at the door, free again when dropped.
struct Place {
    door: Arc<Door>,
    source: SocketAddr,
    kept: bool,
}

impl Door {
    /// A place for an attempt from `source`, if there is one.
    fn enter(
        self: &Arc<Self>,
        source: SocketAddr,
        is_peer: impl FnOnce() -> bool,
    ) -> Option<Place> {
        let kept = is_peer();
        let mut open = lock(&self.open);
        let has_place = if kept {
            take(&mut open.kept, source, PLACES_PER_PEER_MAX)
        } else {
            open.common.values().sum::<usize>() < PLACES_MAX
                && take(&mut open.common, source.ip(), PLACES_PER_IP_MAX)
        };
        has_place.then(|| Place {
            door: self.clone(),
            source,
            kept,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.door.open);
        if self.kept {
            give_back(&mut open.kept, self.source);
        } else {
            give_back(&mut open.common, self.source.ip());
        }
    }
}

fn take<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K, max: usize) -> bool {
    let count = counts.entry(key).or_insert(0);
    let free = *count < max;
    *count += usize::from(free);
    free
}

fn give_back<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(ip: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, ip], port))
    }

    #[test]
    fn a_crowd_takes_no_peers_place() {
        let door = Arc::new(Door::default());
        let mut crowd = Vec::new();
        for ip in 1..=200 {
            while let Some(place) = door.enter(source(ip, 1), || false) {
                crowd.push(place);
            }
        }
        assert_eq!(crowd.len(), PLACES_MAX);
        let of_one = lock(&door.open).common[&source(1, 0).ip()];
        assert_eq!(of_one, PLACES_PER_IP_MAX);

        let peer = source(1, 7);
        let places: Vec<_> = (0..9).filter_map(|_| door.enter(peer, || true)).collect();
        assert_eq!(places.len(), PLACES_PER_PEER_MAX, "no more than its own");

        drop((crowd, places));
        let open = lock(&door.open);
        assert_eq!((open.common.len(), open.kept.len()), (0, 0));
    }
}
