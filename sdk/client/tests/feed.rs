//! A feed of events among nodes that break off, repeat themselves, or talk nonsense.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use chancery_client::api::{Cursor, EventEntry, EventFilter, Start};
use chancery_client::{Client, ClientError};
use chancery_ledger::{ContractId, Height, Millis, SecretKey, TransactionId};

/// A node: its address, and the first lines of what it was asked.
struct Node {
    url: String,
    asked: Receiver<String>,
}

/// A node that gives one answer after the other, each on a connection of its own, the last one
/// again and again.
fn node(answers: Vec<String>) -> Node {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for number in 0.. {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
            let (mut first, mut line) = (String::new(), String::new());
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if first.is_empty() {
                    first.clone_from(&line);
                }
                line.clear();
            }
            let _ = sender.send(first);
            let answer = answers.get(number).or(answers.last()).expect("some");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Node { url, asked }
}

fn stream(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{body}")
}

fn refusal(status: &str, code: &str) -> String {
    let body = format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn entry(height: u64) -> EventEntry {
    EventEntry {
        cursor: Cursor::behind_event(Height(height), 0, 0),
        height: Height(height),
        index: 0,
        event_index: 0,
        block_time: "2026-01-31T12:00:00Z".to_owned(),
        block_time_ms: Millis(1_769_860_800_000),
        transaction: TransactionId([1; 32]),
        sender: SecretKey::from_seed(&[2; 32]).account(),
        contract: ContractId([3; 32]),
        topic: "Granted".to_owned(),
        data: chancery_client::api::Bytes(vec![1, 2]),
    }
}

fn message(height: u64) -> String {
    let data = serde_json::to_string(&entry(height)).expect("JSON");
    format!("id: {height}.0.0\ndata: {data}\n\n")
}

async fn take(urls: Vec<String>, from: Start, count: usize) -> Vec<u64> {
    let client = Client::new(urls).expect("addresses");
    let mut feed = client.follow_events(EventFilter::default(), from);
    let mut heights = Vec::new();
    while heights.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(20), feed.next()).await;
        heights.push(next.expect("it comes").expect("an event").height.0);
    }
    heights
}

#[tokio::test]
async fn a_feed_that_breaks_goes_on_elsewhere_behind_the_last_whole_event() {
    // The third message is cut in the middle.
    let cut = message(3);
    let broken = format!("{}{}{}", message(1), message(2), &cut[..cut.len() - 9]);
    let first = node(vec![stream(&broken)]);
    let other = node(vec![stream(&[message(3), message(4)].concat())]);
    let urls = vec![first.url, other.url];
    assert_eq!(take(urls, Start::Beginning, 4).await, [1, 2, 3, 4]);
    let asked = |node: &Receiver<String>| node.recv().expect("was asked");
    assert!(asked(&first.asked).contains("from=0 "));
    assert!(asked(&other.asked).contains("from=2.0.0 "));
}

#[tokio::test]
async fn a_heartbeat_moves_the_place_to_go_on_from() {
    let quiet = stream(": \nid: 17\n\n: \n\nid: 40.1\n\n");
    let node = node(vec![quiet, stream(&message(41))]);
    assert_eq!(take(vec![node.url], Start::Latest, 1).await, [41]);
    let asked: Vec<String> = node.asked.try_iter().collect();
    assert!(asked[0].contains("from=latest "), "{asked:?}");
    assert!(asked[1].contains("from=40.1 "), "{asked:?}");
}

#[tokio::test]
async fn who_talks_nonsense_or_cannot_go_on_is_left() {
    for bad in [
        "event: refused\ndata: {}\n\n".to_owned(),
        "id: x\ndata: {}\n\n".to_owned(),
        "id: 1.0.0\ndata: {}\n\n".to_owned(),
        format!("id: 9.0.0\n{}", message(1)).replace("id: 1.0.0\n", ""),
        "data: \u{fffd}".repeat(1 << 19),
    ] {
        let (bad, good) = (node(vec![stream(&bad)]), node(vec![stream(&message(1))]));
        assert_eq!(
            take(vec![bad.url, good.url], Start::Beginning, 1).await,
            [1]
        );
    }
}

#[tokio::test]
async fn who_has_not_what_comes_next_is_not_asked_for_it_for_ever() {
    let body = format!("{}event: refused\nid: 5\ndata: {{}}\n\n", message(1));
    let gone = refusal("410 Gone", "before_snapshot");
    let node = node(vec![stream(&body), gone]);
    let client = Client::new(vec![node.url]).expect("addresses");
    let mut feed = client.follow_events(EventFilter::default(), Start::Beginning);
    let first = feed.next().await.expect("an event");
    assert_eq!(first, entry(1));
    let refused = tokio::time::timeout(Duration::from_secs(20), feed.next()).await;
    assert!(matches!(
        refused,
        Ok(Err(ClientError::Api { status: 410, .. }))
    ));
    let asked: Vec<String> = node.asked.try_iter().collect();
    assert!(asked[1].contains("from=5 "), "{asked:?}");
}

#[tokio::test]
async fn a_refusal_is_told_as_soon_as_it_is_final() {
    let follow = async |urls: Vec<String>, patience| {
        let client = Client::new(urls).expect("addresses");
        let feed = client.follow_events(EventFilter::default(), Start::Beginning);
        let next = feed.patience(patience).next().await;
        match next.expect_err("nobody serves it") {
            ClientError::Api { error, .. } => error.code,
            other => panic!("{other}"),
        }
    };
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(400));
    let bad = || node(vec![refusal("400 Bad", "bad_cursor")]).url;
    let gone = || node(vec![refusal("410 Gone", "before_snapshot")]).url;
    let full = || node(vec![refusal("503 Full", "too_many_feeds")]).url;
    let wait = Duration::from_secs(10);
    for (urls, patience, code) in [
        (vec![bad(), gone()], long, "bad_cursor"),
        (vec![gone(), gone()], long, "before_snapshot"),
        (vec![full()], short, "too_many_feeds"),
    ] {
        let told = tokio::time::timeout(wait, follow(urls, patience)).await;
        assert_eq!(told.expect("at once"), code);
    }
    let serves = node(vec![
        refusal("503 Full", "too_many_feeds"),
        stream(&message(1)),
    ]);
    assert_eq!(
        take(vec![gone(), serves.url], Start::Beginning, 1).await,
        [1]
    );
}
