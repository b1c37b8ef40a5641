//! A feed of events among nodes that break off, repeat themselves, or talk nonsense.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

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

/// A node that begins with this and says nothing more, on all connections.
fn stalls_behind(start: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.write_all(start.as_bytes());
            open.push(stream);
        }
    });
    url
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
        contract_version: Some(1),
        topic: "Granted".to_owned(),
        data: chancery_client::api::Bytes(vec![1, 2]),
    }
}

fn message(height: u64) -> String {
    message_of(&entry(height))
}

fn message_of(entry: &EventEntry) -> String {
    let data = serde_json::to_string(entry).expect("JSON");
    format!("id: {}\ndata: {data}\n\n", entry.cursor)
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

#[tokio::test]
async fn what_is_not_of_this_api_is_one_nodes_failure() {
    let html = |status: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>")
    };
    for status in ["502 Bad Gateway", "404 Not Found", "200 OK"] {
        let (bad, good) = (node(vec![html(status)]), node(vec![stream(&message(1))]));
        let urls = vec![bad.url.clone(), good.url];
        assert_eq!(take(urls, Start::Beginning, 1).await, [1]);
        let client = Client::new([bad.url]).expect("an address");
        let feed = client.follow_events(EventFilter::default(), Start::Beginning);
        let told = feed.patience(Duration::from_millis(400)).next().await;
        assert!(
            matches!(told, Err(ClientError::BadAnswer { .. })),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_node_that_brings_nothing_is_not_asked_for_ever() {
    let patience = Duration::from_millis(700);
    for body in ["", "id: 7\n\n", ": \n\n", "id: x\ndata: x\n\n"] {
        let node = node(vec![stream(body)]);
        let client = Client::new([node.url]).expect("an address");
        let feed = client.follow_events(EventFilter::default(), Start::Beginning);
        let mut feed = feed.patience(patience);
        let started = Instant::now();
        let told = tokio::time::timeout(Duration::from_secs(10), feed.next()).await;
        let told = told.expect("it is told").expect_err("there is no event");
        assert!(
            matches!(
                told,
                ClientError::NoNode { .. } | ClientError::BadAnswer { .. }
            ),
            "{told}"
        );
        assert!(started.elapsed() >= patience, "{:?}", started.elapsed());
        let count = node.asked.try_iter().count();
        assert!(count <= 5, "asked {count} times");
    }
    // One that opens a feed and stays silent holds it up no longer than one that does not answer.
    let silent = stalls_behind(stream(""));
    let client = Client::new([silent.clone()]).expect("an address");
    let feed = client.follow_events(EventFilter::default(), Start::Beginning);
    let mut feed = feed.patience(patience);
    let told = tokio::time::timeout(Duration::from_secs(10), feed.next()).await;
    let told = told.expect("it is told");
    assert!(matches!(told, Err(ClientError::NoNode { .. })), "{told:?}");
    let serves = node(vec![stream(&message(1))]);
    let urls = vec![silent, serves.url];
    assert_eq!(take(urls, Start::Beginning, 1).await, [1]);
}

#[tokio::test]
async fn who_gives_up_waiting_gets_to_the_next_node_all_the_same() {
    let serves = node(vec![stream(&message(1))]);
    let client = Client::new([stalls_behind(String::new()), serves.url]).expect("addresses");
    let mut feed = client.follow_events(EventFilter::default(), Start::Beginning);
    let mut heights = Vec::new();
    for _ in 0..10 {
        let next = tokio::time::timeout(Duration::from_millis(300), feed.next()).await;
        if let Ok(event) = next {
            heights.push(event.expect("an event").height.0);
            break;
        }
    }
    assert_eq!(heights, [1]);
}

#[tokio::test]
async fn an_event_out_of_its_place_or_not_asked_for_is_not_taken() {
    let filter = EventFilter {
        contract: Some(entry(1).contract),
        event: Some(entry(1).topic),
        account: Some(entry(1).sender),
    };
    let changed = |change: fn(&mut EventEntry)| {
        let mut changed = entry(4);
        change(&mut changed);
        message_of(&changed)
    };
    for (number, lie) in [
        message(3),
        message(2),
        format!("id: 2\n\n{}", message(4)),
        format!("id: 900\n\n{}", message(4)),
        changed(|event| event.height = Height(9)),
        changed(|event| event.index = 1),
        changed(|event| event.event_index = 1),
        changed(|event| event.contract = ContractId([9; 32])),
        changed(|event| event.topic = "Revoked".to_owned()),
        changed(|event| event.sender = SecretKey::from_seed(&[9; 32]).account()),
    ]
    .into_iter()
    .enumerate()
    {
        let lies = node(vec![stream(&[message(3), lie].concat())]);
        let honest = node(vec![stream(&[message(4), message(5)].concat())]);
        let client = Client::new([lies.url, honest.url]).expect("addresses");
        let mut feed = client.follow_events(filter.clone(), Start::Beginning);
        for height in 3..=5 {
            let next = tokio::time::timeout(Duration::from_secs(20), feed.next()).await;
            let event = next.expect("it comes").expect("an event");
            assert_eq!(event, entry(height), "lie {number}");
        }
        let asked = honest.asked.recv().expect("was asked");
        assert!(asked.contains("from=3.0.0 "), "lie {number}: {asked}");
    }
}

#[tokio::test]
async fn the_word_of_one_node_that_nothing_came_is_not_taken_to_another() {
    let quiet = format!("{}id: 900\n\n", message(1));
    let first = node(vec![stream(&quiet), stream(&message(901))]);
    let other = node(vec![stream("")]);
    let urls = vec![first.url, other.url];
    assert_eq!(take(urls, Start::Beginning, 2).await, [1, 901]);
    let asked = other.asked.recv().expect("was asked");
    assert!(asked.contains("from=1.0.0 "), "{asked}");
    let asked: Vec<String> = first.asked.try_iter().collect();
    assert!(asked[1].contains("from=900 "), "{asked:?}");
}

#[tokio::test]
async fn latest_is_the_lesser_of_what_two_nodes_say() {
    for (said, other_says, from) in [(17, 41, "from=17 "), (900, 41, "from=41 ")] {
        let first = node(vec![stream(&format!("id: {said}\n\n"))]);
        let page =
            format!(r#"{{"events":[],"next":"{other_says}","more":false,"final_height":40}}"#);
        let page = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{page}",
            page.len()
        );
        let other = node(vec![page, stream(&message(41))]);
        assert_eq!(
            take(vec![first.url, other.url], Start::Latest, 1).await,
            [41]
        );
        let asked: Vec<String> = other.asked.try_iter().collect();
        assert!(asked[0].contains("from=latest"), "{asked:?}");
        assert!(asked[1].contains(from), "{asked:?}");
    }
}
