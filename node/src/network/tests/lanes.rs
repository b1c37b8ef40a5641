//! The lanes do not wait for each other, nor a peer for another one, nor a sender for anybody.

use super::*;

/// How long a vote may take while the other lane is full. Alone it takes less than a millisecond;
/// the rest is for a busy machine with two cores.
const VOTE_DELAY_MAX: Duration = Duration::from_millis(250);

/// Keeps the bulk lane from 0 to 1 full until `bytes` went in, sending a vote every 5 ms.
/// Returns how many votes that were, and the votes' ages at their arrival.
async fn flood(nodes: &mut [Node], bytes: usize) -> Vec<Duration> {
    let begun = Instant::now();
    let frame: Arc<[u8]> = vec![0; 1 << 20].into();
    let mut sent = 0;
    let mut ages = Vec::new();
    let mut next_vote = Duration::ZERO;
    let (from, to) = nodes.split_at_mut(1);
    while sent < bytes {
        // More than fits: the queue is full at all times, what is too much is dropped.
        for _ in 0..4 {
            from[0].network.send(index(1), Lane::Bulk, frame.clone());
        }
        if begun.elapsed() >= next_vote {
            let now = u64::try_from(begun.elapsed().as_micros()).expect("short");
            from[0].send(1, Lane::Votes, &now.to_be_bytes());
            next_vote = begun.elapsed() + Duration::from_millis(5);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        while let Ok(bulk) = to[0].inbox.bulk.try_recv() {
            sent += bulk.frame.len();
        }
        while let Ok(vote) = to[0].inbox.votes.try_recv() {
            let sent_at = vote.frame.try_into().expect("eight bytes");
            ages.push(begun.elapsed() - Duration::from_micros(u64::from_be_bytes(sent_at)));
        }
    }
    ages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_bulk_data_does_not_delay_votes() {
    let mut nodes = start_all(2);
    all_connected(&nodes).await;
    let begun = Instant::now();
    let mut ages = flood(&mut nodes, 100 << 20).await;
    let took = begun.elapsed();
    ages.sort_unstable();
    let (median, worst) = (ages[ages.len() / 2], ages[ages.len() - 1]);
    println!(
        "100 MiB in {took:?}; {} votes meanwhile: median {median:?}, worst {worst:?}",
        ages.len()
    );
    assert!(ages.len() > 10 && worst < VOTE_DELAY_MAX, "{ages:?}");
    assert!(nodes[0].peer(1).dropped_frames > 0, "the lane was full");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_pass_a_bulk_lane_that_nobody_reads() {
    let mut nodes = start_all(2);
    all_connected(&nodes).await;
    let frame: Arc<[u8]> = vec![0; BULK_MAX].into();
    let begun = Instant::now();
    for _ in 0..100 {
        nodes[0].network.send(index(1), Lane::Bulk, frame.clone());
    }
    assert!(
        begun.elapsed() < Duration::from_millis(100),
        "sending waits"
    );
    until("the bulk lane stands", || nodes[1].peer(0).frames_in > 0).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let taken = nodes[1].peer(0).frames_in;
    assert!(
        taken <= 4,
        "the quota is 8 MiB, {taken} frames of 4 MiB came in"
    );

    for number in 0..500_u32 {
        let begun = Instant::now();
        nodes[0].send(1, Lane::Votes, &number.to_be_bytes());
        let (_, vote) = nodes[1].next(Lane::Votes).await;
        assert_eq!(vote, number.to_be_bytes());
        assert!(begun.elapsed() < VOTE_DELAY_MAX);
    }
    let dropped = nodes[0].peer(1).dropped_frames;
    assert!(
        dropped >= 100 - 16,
        "the queue is bounded: {dropped} dropped"
    );
    assert!(nodes[0].is_connected(1) && nodes[1].is_connected(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_floods_votes_takes_no_other_peers_place() {
    let mut nodes = start_all(3);
    all_connected(&nodes).await;
    let vote: Arc<[u8]> = vec![0; 1000].into();
    let begun = Instant::now();
    for _ in 0..100_000 {
        nodes[0].network.send(index(2), Lane::Votes, vote.clone());
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "sending waits");
    assert!(nodes[0].peer(2).dropped_frames > 0);
    // Nobody reads validator 2's inbox, and validator 1 gets through.
    until("the flood stands", || nodes[2].peer(0).frames_in >= 256).await;
    nodes[1].send(2, Lane::Votes, b"a vote of validator 1");
    until("it is there", || nodes[2].peer(1).frames_in == 1).await;

    let mut before_it = 0;
    while nodes[2].next(Lane::Votes).await.0 != 1 {
        before_it += 1;
    }
    assert!(before_it <= 300, "{before_it} frames were before it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_get_is_dropped_and_counted() {
    let node = Node::start(config(0, any_port(), vec![peer(1, free_address())]));
    for _ in 0..1000 {
        node.send(1, Lane::Votes, b"hello?");
        node.send(1, Lane::Bulk, b"hello?");
    }
    let status = node.peer(1);
    assert_eq!((status.dropped_frames, status.frames_out), (2000, 0));
    assert!(!status.connected && status.connected_for.is_none());
    node.send(5, Lane::Votes, b"not a peer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_no_peer_would_take_are_not_sent() {
    let mut nodes = start_all(2);
    all_connected(&nodes).await;
    nodes[0].send(1, Lane::Votes, &[]);
    nodes[0].send(1, Lane::Votes, &vec![0; VOTE_MAX + 1]);
    nodes[0].send(1, Lane::Bulk, &vec![0; BULK_MAX + 1]);
    nodes[0].send(1, Lane::Votes, &vec![1; VOTE_MAX]);
    nodes[0].send(1, Lane::Bulk, &vec![1; BULK_MAX]);
    assert_eq!(nodes[1].next(Lane::Votes).await.1.len(), VOTE_MAX);
    assert_eq!(nodes[1].next(Lane::Bulk).await.1.len(), BULK_MAX);
    assert_eq!(nodes[0].peer(1).dropped_frames, 3);
    assert!(nodes[0].is_connected(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_works_from_any_thread() {
    let mut nodes = start_all(2);
    all_connected(&nodes).await;
    let zero = nodes.remove(0);
    let sender = std::thread::spawn(move || {
        zero.send(1, Lane::Votes, b"from a thread of its own");
        zero
    });
    assert_eq!(
        nodes[0].next(Lane::Votes).await.1,
        b"from a thread of its own"
    );
    sender.join().expect("no panic");
}
