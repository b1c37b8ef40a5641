//! What a member does with its own connection, and a crowd of strangers at the door.

use quinn::{Connection, ConnectionError, Endpoint, SendStream, VarInt};

use super::super::lane::Violation;
use super::super::reason::CloseCode;
use super::rogue;
use super::*;

/// Validator 1, with the peers 0 (which dials it) and 2.
fn victim() -> Node {
    let peers = [0, 2].map(|other| peer(other, free_address()));
    Node::start(config(1, any_port(), peers.into()))
}

/// A connection as validator 0, its streams to be opened as the test likes.
async fn member(endpoint: &Endpoint, victim: &Node) -> Connection {
    rogue::connect(endpoint, 0, 1, victim.network.local_address())
        .await
        .expect("validator 0 is a peer")
}

async fn open(connection: &Connection, bytes: &[u8]) -> SendStream {
    let mut stream = connection.open_uni().await.expect("a stream");
    stream.write_all(bytes).await.expect("written");
    stream
}

async fn check_closed(connection: &Connection, expected: CloseCode) {
    let closed = within(PATIENCE, connection.closed()).await;
    let ConnectionError::ApplicationClosed(close) = &closed else {
        panic!("closed by {closed:?}");
    };
    assert_eq!(close.error_code, VarInt::from(expected));
    assert!(close.reason.is_empty());
}

/// Every way of breaking the rules that bytes on the lanes can have.
async fn check_violation(violation: Violation) {
    let mut victim = victim();
    let endpoint = rogue::endpoint();
    let connection = member(&endpoint, &victim).await;
    let mut streams: Vec<SendStream> = Vec::new();
    let header = |bytes: usize| u32::try_from(bytes).expect("small").to_be_bytes();
    match violation {
        Violation::FrameTooLong { lane, bytes, .. } => {
            streams.push(open(&connection, &[1]).await);
            streams.push(open(&connection, &[2]).await);
            let at = usize::from(lane == Lane::Bulk);
            let bytes = usize::try_from(bytes).expect("small");
            // Only the length: it must be enough.
            let written = streams[at].write_all(&header(bytes)).await;
            written.expect("written");
        }
        Violation::FrameEmpty { lane } => {
            streams.push(open(&connection, &[1]).await);
            streams.push(open(&connection, &[2]).await);
            let at = usize::from(lane == Lane::Bulk);
            streams[at].write_all(&header(0)).await.expect("written");
        }
        Violation::NoLane { byte } => streams.push(open(&connection, &[byte]).await),
        Violation::LaneTwice { lane } => {
            streams.push(open(&connection, &[lane.byte()]).await);
            streams.push(open(&connection, &[lane.byte()]).await);
        }
        Violation::LaneEnded { lane } => {
            streams.push(open(&connection, &[1]).await);
            streams.push(open(&connection, &[2]).await);
            let at = usize::from(lane == Lane::Bulk);
            // In the midst of a frame.
            streams[at].write_all(&header(7)).await.expect("written");
            streams[at].write_all(b"abc").await.expect("written");
            streams[at].finish().expect("open");
        }
        Violation::LaneUnnamed => open(&connection, &[]).await.finish().expect("open"),
        Violation::Quic { .. } => unreachable!("quinn keeps to QUIC, also for a rogue"),
    }
    check_closed(&connection, CloseCode::Violation).await;
    let status = victim.peer(0);
    assert_eq!(
        (status.violations, status.connected),
        (1, false),
        "{status:?}"
    );
    let told = status.last_error.expect("a reason");
    assert_eq!(told, format!("the peer broke the rules: {violation}"));
    assert!(victim.inbox.votes.try_recv().is_err());

    // It is kept at a distance for a second, and then it may try again.
    let again = member(&endpoint, &victim).await;
    check_closed(&again, CloseCode::TooSoon).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let again = member(&endpoint, &victim).await;
    let lanes = [open(&again, &[1]).await, open(&again, &[2]).await];
    until("it is let in again", || victim.is_connected(0)).await;
    drop(lanes);
}

#[tokio::test]
async fn frames_that_are_too_long() {
    for (lane, bytes_max) in [(Lane::Votes, VOTE_MAX), (Lane::Bulk, BULK_MAX)] {
        for length in [u32::try_from(bytes_max).expect("small") + 1, u32::MAX] {
            let bytes = length.into();
            check_violation(Violation::FrameTooLong {
                lane,
                bytes,
                bytes_max,
            })
            .await;
        }
    }
}

#[tokio::test]
async fn frames_that_are_empty() {
    check_violation(Violation::FrameEmpty { lane: Lane::Votes }).await;
    check_violation(Violation::FrameEmpty { lane: Lane::Bulk }).await;
}

#[tokio::test]
async fn lanes_that_are_none_or_twice_or_ended() {
    check_violation(Violation::NoLane { byte: 3 }).await;
    check_violation(Violation::LaneTwice { lane: Lane::Votes }).await;
    check_violation(Violation::LaneEnded { lane: Lane::Bulk }).await;
    check_violation(Violation::LaneUnnamed).await;
}

#[tokio::test]
async fn a_third_stream_and_a_stream_in_both_directions_are_not_granted() {
    let victim = victim();
    let endpoint = rogue::endpoint();
    let connection = member(&endpoint, &victim).await;
    let _lanes = [open(&connection, &[1]).await, open(&connection, &[2]).await];
    until("connected", || victim.is_connected(0)).await;
    let soon = Duration::from_millis(300);
    let third = tokio::time::timeout(soon, connection.open_uni()).await;
    assert!(third.is_err(), "{third:?}");
    let both_ways = tokio::time::timeout(soon, connection.open_bi()).await;
    assert!(both_ways.is_err(), "{both_ways:?}");
    assert_eq!(connection.max_datagram_size(), None);
}

#[tokio::test]
async fn a_member_that_opens_no_lanes_is_sent_away() {
    let victim = victim();
    let endpoint = rogue::endpoint();
    let connection = member(&endpoint, &victim).await;
    check_closed(&connection, CloseCode::LanesMissing).await;
    assert_eq!(victim.peer(0).last_heard, None);
}

#[tokio::test]
async fn a_second_connection_replaces_the_first() {
    let mut victim = victim();
    let endpoint = rogue::endpoint();
    let first = member(&endpoint, &victim).await;
    let first_lanes = [open(&first, &[1]).await, open(&first, &[2]).await];
    until("connected", || victim.is_connected(0)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;

    let second = member(&endpoint, &victim).await;
    let mut votes = open(&second, &[1]).await;
    let _bulk = open(&second, &[2]).await;
    check_closed(&first, CloseCode::Replaced).await;
    votes
        .write_all(&[0, 0, 0, 2, b'h', b'i'])
        .await
        .expect("open");
    assert_eq!(victim.next(Lane::Votes).await, (0, b"hi".to_vec()));
    assert!(victim.is_connected(0));
    drop(first_lanes);
}

#[tokio::test]
async fn a_member_with_a_frame_half_sent_holds_up_nobody() {
    let peers = [0, 1].map(|other| peer(other, free_address()));
    let mut victim = Node::start(config(2, any_port(), peers.into()));
    let at = victim.network.local_address();
    let one = Node::start(config(1, any_port(), vec![peer(2, at)]));
    let endpoint = rogue::endpoint();
    let slow = rogue::connect(&endpoint, 0, 2, at).await.expect("a peer");
    let _votes = open(&slow, &[1, 0, 0, 4, 0, 9]).await;
    let _bulk = open(&slow, &[2, 0, 0x40, 0, 0, 9]).await;
    until("both are there", || {
        victim.is_connected(0) && victim.is_connected(1) && one.is_connected(2)
    })
    .await;
    for lane in [Lane::Votes, Lane::Bulk] {
        one.send(2, lane, b"unhurt");
        assert_eq!(victim.next(lane).await, (1, b"unhurt".to_vec()));
    }
    assert_eq!(victim.peer(0).frames_in, 0);
}

/// First flights of `count` connection attempts, which nobody will ever finish.
async fn first_flights(count: usize) -> Vec<Vec<Vec<u8>>> {
    let sink = tokio::net::UdpSocket::bind(any_port())
        .await
        .expect("a socket");
    let at = sink.local_addr().expect("bound");
    let endpoint = rogue::endpoint();
    let mut flights = Vec::new();
    for _ in 0..count {
        let config = rogue::quic(rogue::client_tls(9, 1));
        let connecting = endpoint
            .connect_with(config, at, "validator")
            .expect("dials");
        let mut flight = Vec::new();
        // A first flight with a hybrid key share is two datagrams long.
        while flight.len() < 2 {
            let mut datagram = vec![0; 2048];
            let received = within(PATIENCE, sink.recv(&mut datagram)).await;
            datagram.truncate(received.expect("loopback"));
            flight.push(datagram);
        }
        drop(connecting);
        let mut farewell = vec![0; 2048];
        let _ = tokio::time::timeout(Duration::from_millis(1), sink.recv(&mut farewell)).await;
        flights.push(flight);
    }
    flights
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_half_open_handshakes_does_not_keep_a_member_out() {
    let flights = first_flights(300).await;
    let addresses = [free_address(), free_address()];
    let victim = Node::start(config(1, addresses[1], vec![peer(0, addresses[0])]));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let crowd = std::thread::spawn({
        let (stop, at) = (stop.clone(), addresses[1]);
        move || {
            let mut sent = 0_usize;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Each time from another port, so that the same bytes are a new attempt.
                let socket = std::net::UdpSocket::bind(any_port()).expect("a socket");
                for datagram in flights.iter().flatten() {
                    let _ = socket.send_to(datagram, at);
                    let _ = socket.send_to(&datagram[..datagram.len() / 2], at);
                    sent += 1;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            sent
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let member = Node::start(config(0, addresses[0], vec![peer(1, addresses[1])]));
    let took = until("the member is in", || {
        member.is_connected(1) && victim.is_connected(0)
    })
    .await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let sent = crowd.join().expect("no panic");
    println!(
        "member in after {took:?}, among {sent} datagrams of strangers; {} refused",
        victim.network.refused()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_hammers_at_the_door_is_let_try_only_so_often() {
    let addresses = [free_address(), free_address()];
    let victim = Node::start(config(1, addresses[1], vec![peer(0, addresses[0])]));
    let handshakes = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let begun = Instant::now();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (handshakes, at) = (handshakes.clone(), addresses[1]);
        crowd.spawn(async move {
            loop {
                let attempt = rogue::intrude(rogue::quic(rogue::client_tls(9, 1)), at);
                if let Ok(error) = tokio::time::timeout(Duration::from_millis(300), attempt).await {
                    assert!(rogue::alert_from_peer(&error).is_some(), "{error:?}");
                    handshakes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let member = Node::start(config(0, addresses[0], vec![peer(1, addresses[1])]));
    let took = until("the member is in", || {
        member.is_connected(1) && victim.is_connected(0)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    crowd.shutdown().await;
    let (count, seconds) = (
        handshakes.load(std::sync::atomic::Ordering::Relaxed),
        begun.elapsed().as_secs(),
    );
    println!("member in after {took:?}; {count} handshakes of strangers in {seconds} s");
    assert!(
        count > 0 && count <= 16 * (seconds + 1),
        "{count} in {seconds} s"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_no_harm() {
    let mut nodes = start_all(2);
    all_connected(&nodes).await;
    let socket = std::net::UdpSocket::bind(any_port()).expect("a socket");
    let mut state = 1_u64;
    for length in (0..20_000_usize).map(|n| n % 1500) {
        let datagram: Vec<u8> = (0..length)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        let _ = socket.send_to(&datagram, nodes[1].network.local_address());
    }
    nodes[0].send(1, Lane::Votes, b"still here");
    assert_eq!(nodes[1].next(Lane::Votes).await.1, b"still here");
}
