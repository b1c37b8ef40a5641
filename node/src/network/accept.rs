//! The door: which connection attempts are looked at, and what becomes of them.
//!
//! Anybody can send first packets, and each handshake costs about a millisecond. So attempts are
//! counted until they have become a session or failed. From a few on, a source must show that it
//! receives what is sent to its address (Retry, RFC 9000 section 8.1.2), which costs this node no
//! memory. The places are shared out by address, and those for the addresses of peers are kept
//! apart, so that a crowd at the door does not keep out the members. Whatever finds no place is
//! ignored: no answer, no memory; QUIC's own retransmission is its next chance.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use quinn::{Connecting, Endpoint};
use tokio::task::JoinSet;

use super::peer::{Peer, canonical};
use super::reason::{CloseCode, describe};
use super::session::{self, OPENING_MAX};
use super::tls::Handshake;
use super::{Shared, lock};

/// With this many attempts open, addresses must be proved.
const UNPROVED_MAX: usize = 8;
/// Places for everybody, and how many of them one IP address may have.
const PLACES_MAX: usize = 64;
const PLACES_PER_IP_MAX: usize = 16;
/// Places for each address (with port) where a peer is known to be.
const PLACES_PER_PEER_MAX: usize = 2;

/// Accepts connections for as long as the endpoint is open.
pub(super) async fn run(shared: Arc<Shared>, endpoint: Endpoint) {
    let door = Arc::new(Door::default());
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while connections.try_join_next().is_some() {}
        let source = canonical(incoming.remote_address());
        let verdict = door.admit(source, incoming.remote_address_validated(), || {
            shared.diallers().any(|peer| peer.is_at(source))
        });
        match verdict {
            Verdict::Enter(place) => {
                // Packets from whomever can make this fail, which is not worth a word.
                if let Ok(connecting) = incoming.accept() {
                    connections.spawn(receive(shared.clone(), connecting, place));
                }
            }
            Verdict::ProveAddress => {
                // It cannot fail for a source that has not proved its address.
                let _ = incoming.retry();
            }
            Verdict::Ignore => {
                shared.count_refused();
                incoming.ignore();
            }
        }
    }
}

async fn receive(shared: Arc<Shared>, connecting: Connecting, place: Place) {
    let opening = tokio::time::timeout(OPENING_MAX, async {
        let connection = connecting.await.map_err(|e| describe(&e))?;
        let known = Handshake::of(&connection, shared.chain).and_then(|handshake| {
            let peer = shared
                .diallers()
                .find(|peer| handshake.proves(&peer.config.network_key))?;
            Some((peer.clone(), handshake))
        });
        let Some((peer, handshake)) = known else {
            connection.close(CloseCode::WrongPeer.into(), b"");
            return Err("not a peer that dials this validator".to_owned());
        };
        Ok((connection, peer, handshake))
    });
    let (connection, peer, handshake) = match opening.await {
        Ok(Ok(opened)) => opened,
        Ok(Err(why)) => return shared.on_refused(&why),
        Err(_) => return shared.on_refused("the handshake took too long"),
    };
    if !peer.barred_for().is_zero() {
        return connection.close(CloseCode::TooSoon.into(), b"");
    }
    match tokio::time::timeout(OPENING_MAX, session::open_lanes(&connection)).await {
        Ok(Ok(lanes)) => {
            drop(place);
            if let Some(session) = session::begin(peer, connection, handshake, lanes) {
                session::run(shared, session).await;
            }
        }
        Ok(Err(ended)) => {
            shared.count_refused();
            peer.on_stillborn(&ended);
            connection.close(ended.close_code().into(), b"");
        }
        Err(_) => {
            shared.count_refused();
            peer.on_failure("it opened no lanes".into());
            connection.close(CloseCode::LanesMissing.into(), b"");
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

    fn on_refused(&self, why: &str) {
        self.count_refused();
        tracing::debug!(why, "a connection attempt was refused");
    }
}

/// Counts the attempts that are open.
#[derive(Debug, Default)]
struct Door {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    common: BTreeMap<IpAddr, usize>,
    kept: BTreeMap<SocketAddr, usize>,
}

enum Verdict {
    Enter(Place),
    ProveAddress,
    Ignore,
}

/// A place at the door, free again when dropped.
struct Place {
    door: Arc<Door>,
    source: SocketAddr,
    kept: bool,
}

impl Door {
    fn admit(
        self: &Arc<Self>,
        source: SocketAddr,
        proved: bool,
        is_peer: impl FnOnce() -> bool,
    ) -> Verdict {
        let mut open = lock(&self.open);
        if !proved && open.all >= UNPROVED_MAX {
            return Verdict::ProveAddress;
        }
        let kept = is_peer();
        let has_place = if kept {
            take(&mut open.kept, source, PLACES_PER_PEER_MAX)
        } else {
            open.common.values().sum::<usize>() < PLACES_MAX
                && take(&mut open.common, source.ip(), PLACES_PER_IP_MAX)
        };
        if !has_place {
            return Verdict::Ignore;
        }
        open.all += 1;
        Verdict::Enter(Place {
            door: self.clone(),
            source,
            kept,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.door.open);
        open.all -= 1;
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

    fn enter(door: &Arc<Door>, from: SocketAddr, proved: bool, is_peer: bool) -> Option<Place> {
        match door.admit(from, proved, || is_peer) {
            Verdict::Enter(place) => Some(place),
            Verdict::ProveAddress | Verdict::Ignore => None,
        }
    }

    #[test]
    fn a_crowd_must_prove_its_addresses_and_takes_no_peers_place() {
        let door = Arc::new(Door::default());
        let mut crowd: Vec<_> = (0..UNPROVED_MAX)
            .map(|_| enter(&door, source(1, 1), false, false).expect("room"))
            .collect();
        assert!(matches!(
            door.admit(source(1, 2), false, || false),
            Verdict::ProveAddress
        ));
        for ip in 1..=200 {
            while let Some(place) = enter(&door, source(ip, 1), true, false) {
                crowd.push(place);
            }
        }
        assert_eq!(crowd.len(), PLACES_MAX);
        assert_eq!(
            lock(&door.open).common[&source(1, 0).ip()],
            PLACES_PER_IP_MAX
        );

        let peer = source(1, 7);
        let first = enter(&door, peer, true, true);
        let second = enter(&door, peer, true, true);
        assert!(first.is_some() && second.is_some());
        assert!(
            enter(&door, peer, true, true).is_none(),
            "no more than its own"
        );
        assert!(
            matches!(door.admit(peer, false, || true), Verdict::ProveAddress),
            "a forged source takes no peer's place"
        );

        drop((crowd, first, second));
        let open = lock(&door.open);
        assert_eq!((open.all, open.common.len(), open.kept.len()), (0, 0, 0));
    }
}
