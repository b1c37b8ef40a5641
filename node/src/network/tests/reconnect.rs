//! Peers go and come back.

use tokio::net::UdpSocket;

use super::*;

/// The promise is two seconds; the rest is for a busy machine.
const BACK_MAX: Duration = Duration::from_secs(4);

/// How a validator goes.
enum Exit {
    /// With a farewell.
    Shutdown,
    /// As a process that is killed, after which it stays away for a while.
    Kill(Duration),
}

async fn check_restart(restarted: u8, exit: Exit) {
    let addresses = [free_address(), free_address()];
    let config_of = |own: u8| {
        let other = 1 - own;
        let listen = addresses[usize::from(own)];
        config(
            own,
            listen,
            vec![peer(other, addresses[usize::from(other)])],
        )
    };
    let mut stays = Node::start(config_of(1 - restarted));
    match exit {
        Exit::Shutdown => {
            let goes = Node::start(config_of(restarted));
            until("both are connected", || stays.is_connected(restarted)).await;
            goes.network.shutdown().await;
            until("it is missed", || !stays.is_connected(restarted)).await;
        }
        Exit::Kill(away) => {
            let mut goes = Process::start(restarted, &addresses);
            until("both are connected", || stays.is_connected(restarted)).await;
            goes.0.kill().expect("it runs");
            goes.0.wait().expect("it is our child");
            tokio::time::sleep(away).await;
        }
    }

    let begun = Instant::now();
    let mut back = Node::start(config_of(restarted));
    let took = until("it is back", || {
        // The one that stays may still believe in its old connection.
        let session = stays.peer(restarted).connected_for;
        back.is_connected(1 - restarted) && session.is_some_and(|age| age < begun.elapsed())
    })
    .await;
    println!("validator {restarted} is back after {took:?}");
    assert!(took < BACK_MAX, "{took:?}");
    stays.send(restarted, Lane::Votes, b"welcome back");
    assert_eq!(back.next(Lane::Votes).await.1, b"welcome back");
    back.send(1 - restarted, Lane::Bulk, b"it is good to be here");
    assert_eq!(stays.next(Lane::Bulk).await.1, b"it is good to be here");
}

const CHILD: &str = "CHANCERY_TEST_VALIDATOR";

/// A validator in a process of its own: this program again, told to run only `child`.
struct Process(std::process::Child);

impl Process {
    fn start(own: u8, addresses: &[SocketAddr; 2]) -> Self {
        let (_, this_module) = module_path!().split_once("::").expect("a crate and a path");
        let child = std::process::Command::new(std::env::current_exe().expect("runs"))
            .args(["--exact", &format!("{this_module}::child")])
            .env(CHILD, format!("{own} {} {}", addresses[0], addresses[1]))
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("a process");
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test by itself: the inside of [`Process`].
#[tokio::test]
async fn child() {
    let Ok(told) = std::env::var(CHILD) else {
        return;
    };
    let told: Vec<&str> = told.split(' ').collect();
    let own: u8 = told[0].parse().expect("an index");
    let address = |of: u8| told[1 + usize::from(of)].parse().expect("an address");
    let _node = Node::start(config(
        own,
        address(own),
        vec![peer(1 - own, address(1 - own))],
    ));
    // To be killed long before; an orphan ends by itself.
    tokio::time::sleep(PATIENCE * 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_is_dialled_restarts() {
    check_restart(1, Exit::Shutdown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_dials_restarts() {
    check_restart(0, Exit::Shutdown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_is_dialled_crashes_and_is_back_at_once() {
    check_restart(1, Exit::Kill(Duration::from_millis(100))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_is_dialled_crashes_and_stays_away_for_a_while() {
    check_restart(1, Exit::Kill(Duration::from_secs(6))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_dials_crashes_and_is_back_at_once() {
    check_restart(0, Exit::Kill(Duration::from_millis(100))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_is_made_whoever_comes_first() {
    let addresses = [free_address(), free_address()];
    let one = Node::start(config(1, addresses[1], vec![peer(0, addresses[0])]));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let zero = Node::start(config(0, addresses[0], vec![peer(1, addresses[1])]));
    until("connected", || zero.is_connected(1) && one.is_connected(0)).await;

    let late = free_address();
    let zero = Node::start(config(0, free_address(), vec![peer(1, late)]));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!zero.is_connected(1));
    let one = Node::start(config(1, late, vec![peer(0, addresses[0])]));
    let took = until("connected", || zero.is_connected(1) && one.is_connected(0)).await;
    assert!(took < BACK_MAX, "{took:?}");
}

/// Passes datagrams on between whoever writes to it and `target`, unless it is cut.
async fn wire(target: SocketAddr, cut: Arc<std::sync::atomic::AtomicBool>) -> SocketAddr {
    let front = UdpSocket::bind(any_port()).await.expect("a socket");
    let back = UdpSocket::bind(any_port()).await.expect("a socket");
    let address = front.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut client = target;
        let (mut out, mut home) = ([0; 2048], [0; 2048]);
        loop {
            let passed = tokio::select! {
                received = front.recv_from(&mut out) => {
                    let (bytes, from) = received.expect("loopback");
                    client = from;
                    (&back, target, &out[..bytes])
                }
                received = back.recv_from(&mut home) => {
                    let (bytes, _) = received.expect("loopback");
                    (&front, client, &home[..bytes])
                }
            };
            let (socket, to, datagram) = passed;
            if !cut.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = socket.send_to(datagram, to).await;
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_wire_is_noticed_and_a_mended_one_used_again() {
    let cut = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut one = Node::start(config(1, any_port(), vec![peer(0, free_address())]));
    let through = wire(one.network.local_address(), cut.clone()).await;
    let zero = Node::start(config(0, any_port(), vec![peer(1, through)]));
    until("connected", || zero.is_connected(1) && one.is_connected(0)).await;

    for seconds in [5, 13] {
        cut.store(true, std::sync::atomic::Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let silent_for = zero.peer(1).last_heard.expect("was heard");
        assert!(
            silent_for > Duration::from_secs(seconds - 2),
            "{silent_for:?}"
        );
        assert!(!zero.is_connected(1), "silent for more than 3 s");
        assert!(!one.is_connected(0));
        cut.store(false, std::sync::atomic::Ordering::Relaxed);
        let took = until("heard again", || {
            let well = |status: PeerStatus| {
                status.connected && status.last_heard < Some(Duration::from_millis(900))
            };
            well(zero.peer(1)) && well(one.peer(0))
        })
        .await;
        println!("cut for {seconds} s: heard again after {took:?}");
        assert!(took < BACK_MAX, "{took:?}");
        let sent = Instant::now();
        loop {
            // What was sent into the old connection may be lost with it.
            zero.send(1, Lane::Votes, b"again");
            if let Ok(vote) =
                tokio::time::timeout(Duration::from_millis(200), one.inbox.votes.recv()).await
            {
                assert_eq!(vote.expect("open").frame, b"again");
                break;
            }
            assert!(sent.elapsed() < BACK_MAX);
        }
    }
}
