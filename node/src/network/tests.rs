//! Real endpoints on 127.0.0.1. Here: what they share, and the good days.

mod identity;
mod lanes;
mod misbehaviour;
mod reconnect;
mod rogue;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_ledger::{ChainId, SecretKey, ValidatorIndex};

use super::{InboxReceivers, Inboxes, Lane, Network, NetworkConfig, PeerConfig, PeerStatus};

const CHAIN: ChainId = ChainId([7; 32]);
const VOTE_MAX: usize = 64 << 10;
const BULK_MAX: usize = 4 << 20;
/// Far more than anything takes, for a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn key(index: u8) -> SecretKey {
    SecretKey::from_seed(&[index + 1; 32])
}

fn index(index: u8) -> ValidatorIndex {
    ValidatorIndex(index.into())
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    std::net::UdpSocket::bind(any_port())
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
}

fn peer(of: u8, address: SocketAddr) -> PeerConfig {
    PeerConfig {
        index: index(of),
        name: format!("validator-{of}"),
        network_key: key(of).public(),
        address: address.to_string(),
    }
}

fn config(own: u8, listen: SocketAddr, peers: Vec<PeerConfig>) -> NetworkConfig {
    NetworkConfig {
        chain: CHAIN,
        own: index(own),
        key: key(own),
        listen,
        peers,
        votes_frame_bytes_max: VOTE_MAX,
        bulk_frame_bytes_max: BULK_MAX,
    }
}

/// One validator's network and what it receives.
struct Node {
    network: Network,
    inbox: InboxReceivers,
}

impl Node {
    fn start(config: NetworkConfig) -> Self {
        let (inboxes, inbox) = Inboxes::for_peers(config.peers.len());
        let network = Network::start(config, inboxes).expect("starts");
        Self { network, inbox }
    }

    fn peer(&self, of: u8) -> PeerStatus {
        self.network
            .peers()
            .into_iter()
            .find(|peer| peer.index == index(of))
            .expect("a peer of that index")
    }

    fn is_connected(&self, to: u8) -> bool {
        self.peer(to).connected
    }

    fn send(&self, to: u8, lane: Lane, frame: &[u8]) {
        self.network.send(index(to), lane, frame.into());
    }

    async fn next(&mut self, lane: Lane) -> (u8, Vec<u8>) {
        let inbox = match lane {
            Lane::Votes => &mut self.inbox.votes,
            Lane::Bulk => &mut self.inbox.bulk,
        };
        let incoming = within(PATIENCE, inbox.recv()).await.expect("open");
        assert_eq!(incoming.lane, lane);
        let from = u8::try_from(incoming.from.0).expect("few validators");
        (from, incoming.frame)
    }
}

/// `count` validators that know each other's addresses.
fn start_all(count: u8) -> Vec<Node> {
    let addresses: Vec<_> = (0..count).map(|_| free_address()).collect();
    (0..count)
        .zip(&addresses)
        .map(|(own, listen)| {
            let peers = (0..count)
                .zip(&addresses)
                .filter(|(other, _)| *other != own)
                .map(|(other, address)| peer(other, *address))
                .collect();
            Node::start(config(own, *listen, peers))
        })
        .collect()
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, future)
        .await
        .expect("in good time")
}

/// Polls until `condition` holds, and says how long that took.
async fn until(what: &str, condition: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}

async fn all_connected(nodes: &[Node]) {
    until("everybody is connected to everybody", || {
        nodes
            .iter()
            .all(|node| node.network.peers().iter().all(|peer| peer.connected))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_validators_talk_on_both_lanes_and_say_how_they_are_connected() {
    let mut nodes = start_all(4);
    all_connected(&nodes).await;

    for (own, node) in (0..).zip(&nodes) {
        for peer in node.network.peers() {
            assert_eq!(peer.key_exchange.as_deref(), Some("X25519MLKEM768"));
            assert!(peer.connected_for.is_some() && peer.last_heard.is_some());
            assert_eq!((peer.violations, peer.dropped_frames), (0, 0), "{peer:?}");
        }
        node.network.broadcast(Lane::Votes, &Arc::from([own, 1]));
        node.network
            .broadcast(Lane::Bulk, &vec![own; BULK_MAX].into());
    }
    for (own, node) in (0..).zip(&mut nodes) {
        for lane in [Lane::Votes, Lane::Bulk] {
            let mut heard = Vec::new();
            for _ in 0..3 {
                let (from, frame) = node.next(lane).await;
                match lane {
                    Lane::Votes => assert_eq!(frame, [from, 1]),
                    Lane::Bulk => assert!(frame == vec![from; BULK_MAX]),
                }
                heard.push(from);
            }
            heard.sort_unstable();
            let others: Vec<u8> = (0..4).filter(|other| *other != own).collect();
            assert_eq!(heard, others);
        }
        // A frame may be heard before the one who sent it has counted it.
        let all_counted = async {
            let is_counted = |peer: &PeerStatus| (peer.frames_in, peer.frames_out) == (2, 2);
            while !node.network.peers().iter().all(is_counted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(10), all_counted).await;
        assert!(counted.is_ok(), "{:?}", node.network.peers());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_one_lane_keep_their_order() {
    let mut nodes = start_all(2);
    all_connected(&nodes).await;
    for number in 0..2000_u32 {
        nodes[0].send(1, Lane::Votes, &number.to_be_bytes());
        tokio::task::yield_now().await;
    }
    for number in 0..2000_u32 {
        let (_, frame) = nodes[1].next(Lane::Votes).await;
        assert_eq!(frame, number.to_be_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_resolved_when_it_is_dialled() {
    let listen = free_address();
    let accepting = Node::start(config(1, listen, vec![peer(0, free_address())]));
    let mut by_name = peer(1, listen);
    by_name.address = format!("localhost:{}", listen.port());
    let dialling = Node::start(config(0, any_port(), vec![by_name]));
    until("the name leads to the peer", || dialling.is_connected(1)).await;

    let mut nowhere = peer(1, listen);
    nowhere.address = "not an address".into();
    let lost = Node::start(config(0, any_port(), vec![nowhere]));
    until("the bad address is reported", || {
        lost.peer(1)
            .last_error
            .is_some_and(|e| e.contains("leads nowhere"))
    })
    .await;
    drop(accepting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_says_farewell_and_frees_the_port() {
    let nodes = start_all(2);
    all_connected(&nodes).await;
    for node in &nodes {
        let address = node.network.local_address();
        within(Duration::from_secs(3), node.network.shutdown()).await;
        std::net::UdpSocket::bind(address).expect("the port is free");
        node.network.shutdown().await;
        assert!(node.network.peers().iter().all(|peer| !peer.connected));
    }
    let told = nodes[1].peer(0).last_error;
    assert_eq!(told.as_deref(), Some("the peer shut down"));
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_does_not_start() {
    let check = |config: NetworkConfig, expected: &str| {
        let (inboxes, _receivers) = Inboxes::for_peers(1);
        let error = Network::start(config, inboxes).expect_err("refused");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let here = any_port();
    check(
        config(0, here, vec![peer(0, here)]),
        "validator 0 is listed twice",
    );
    check(
        config(0, here, vec![peer(1, here), peer(1, here)]),
        "validator 1 is listed twice",
    );
    let mut twin = peer(1, here);
    twin.network_key = key(0).public();
    check(
        config(0, here, vec![twin]),
        "\"validator-1\" is used by another",
    );
    for (votes, bulk) in [(0, 1), (1, 0), (1, super::FRAME_BYTES_MAX + 1)] {
        let mut limits = config(0, here, vec![]);
        (limits.votes_frame_bytes_max, limits.bulk_frame_bytes_max) = (votes, bulk);
        check(limits, "between 1 and");
    }
    let taken = std::net::UdpSocket::bind(here).expect("a port");
    let taken = taken.local_addr().map(|a| (a, taken)).expect("its address");
    check(config(0, taken.0, vec![]), "cannot listen on 127.0.0.1");
}
