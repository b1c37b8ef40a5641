use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::{Link, Proxy};

const PATIENCE: Duration = Duration::from_millis(300);

fn nodes(count: usize) -> (Vec<UdpSocket>, Proxy) {
    let sockets: Vec<UdpSocket> = (0..count)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            socket
                .set_read_timeout(Some(PATIENCE))
                .expect("a timeout can be set");
            socket
        })
        .collect();
    let addresses: Vec<_> = sockets
        .iter()
        .map(|socket| socket.local_addr().expect("an address"))
        .collect();
    let proxy = Proxy::start(&addresses).expect("free ports");
    (sockets, proxy)
}

/// Sends from one to the other; what arrived, and under which source.
fn arrives(
    sockets: &[UdpSocket],
    proxy: &Proxy,
    from: usize,
    to: usize,
) -> Option<std::net::SocketAddr> {
    sockets[from]
        .send_to(b"datagram", proxy.public(to))
        .expect("it is sent");
    let mut buffer = [0; 100];
    let (len, source) = sockets[to].recv_from(&mut buffer).ok()?;
    assert_eq!(&buffer[..len], b"datagram");
    Some(source)
}

#[test]
fn each_dialler_has_a_face_of_its_own_and_gets_its_answers() {
    let (sockets, proxy) = nodes(3);
    let first = arrives(&sockets, &proxy, 0, 2).expect("open");
    let second = arrives(&sockets, &proxy, 1, 2).expect("open");
    assert_ne!(first, second);
    assert_eq!(arrives(&sockets, &proxy, 0, 2), Some(first));
    sockets[2].send_to(b"answer", second).expect("it is sent");
    let mut buffer = [0; 100];
    let (len, source) = sockets[1].recv_from(&mut buffer).expect("the answer");
    assert_eq!((&buffer[..len], source), (&b"answer"[..], proxy.public(2)));
    // Nobody else's datagrams go through.
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    stranger
        .send_to(b"datagram", proxy.public(2))
        .expect("it is sent");
    assert!(sockets[2].recv_from(&mut buffer).is_err());
    assert_eq!(proxy.passed(0, 2), 2);
    assert_eq!(proxy.passed(2, 1), 1);
}

#[test]
fn links_are_cut_one_way_both_ways_and_healed() {
    let (sockets, proxy) = nodes(4);
    proxy.set(0, 1, Link::CUT);
    assert_eq!(arrives(&sockets, &proxy, 0, 1), None);
    assert!(arrives(&sockets, &proxy, 1, 0).is_some());
    proxy.partition(&[&[0, 1], &[2, 3]]);
    assert!(arrives(&sockets, &proxy, 0, 1).is_some());
    assert_eq!(arrives(&sockets, &proxy, 1, 2), None);
    assert_eq!(arrives(&sockets, &proxy, 2, 1), None);
    proxy.heal();
    assert!(arrives(&sockets, &proxy, 1, 2).is_some());
    proxy.isolate(3);
    assert_eq!(arrives(&sockets, &proxy, 3, 0), None);
    assert_eq!(arrives(&sockets, &proxy, 0, 3), None);
    assert!(arrives(&sockets, &proxy, 0, 2).is_some());
}

#[test]
fn delay_keeps_the_order_and_loss_is_about_what_was_asked_for() {
    let (sockets, proxy) = nodes(2);
    proxy.set(0, 1, Link::slow(Duration::from_millis(100)));
    let begun = Instant::now();
    for number in 0..20_u8 {
        sockets[0]
            .send_to(&[number], proxy.public(1))
            .expect("it is sent");
    }
    let mut buffer = [0; 100];
    for number in 0..20_u8 {
        let (len, _) = sockets[1].recv_from(&mut buffer).expect("it arrives");
        assert_eq!(buffer[..len], [number]);
    }
    assert!(begun.elapsed() >= Duration::from_millis(100));

    proxy.set(0, 1, Link::lossy(300));
    let before = proxy.passed(0, 1);
    for _ in 0..500 {
        sockets[0]
            .send_to(b"x", proxy.public(1))
            .expect("it is sent");
        // Not faster than the sockets' buffers take them.
        std::thread::sleep(Duration::from_micros(200));
    }
    std::thread::sleep(Duration::from_millis(50));
    let passed = proxy.passed(0, 1) - before;
    assert!((300..400).contains(&passed), "{passed} of 500");
}
