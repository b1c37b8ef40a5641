//! A client among nodes that refuse, fall silent, forget, talk nonsense, or are not there.

mod common;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use chancery_client::api::{EventFilter, Start, TransactionFilter};
use chancery_client::{Client, ClientError, TransactionBuilder, UNDER_WAY_MAX};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{ChainId, ChainLimits, Millis, SecretKey};
use common::serve;
use tokio::task::JoinSet;

/// What a node of the test does with what it is asked.
#[derive(Clone, Copy)]
enum Manner {
    /// Takes the transaction; it is final at once.
    Serves,
    /// Takes the transaction and never answers again.
    TakesAndFallsSilent,
    /// Says that the ledger has the transaction already, and where.
    Repeated,
    /// Takes the transaction, which waits for ever.
    Stalls,
    /// Refuses the transaction.
    Refuses,
    /// Cannot take anything now.
    OutOfService,
    /// Takes the transaction, which is final at once, but something in between garbles the receipt.
    Garbles,
    /// Says always the same, with this status.
    Says(&'static str, &'static str),
}

/// A node: its address, and the bodies that were posted to it.
struct Node {
    url: String,
    posted: Receiver<String>,
}

fn node(manner: Manner) -> Node {
    let (sender, posted) = channel();
    let url = serve(move |request| {
        if request.is_post {
            let _ = sender.send(request.body.clone());
        }
        answer(manner, request.is_post, &request.path)
    });
    Node { url, posted }
}

fn answer(manner: Manner, is_post: bool, path: &str) -> Option<(&'static str, String)> {
    let error =
        |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"no","hint":"h"}}}}"#);
    let id: String = path
        .chars()
        .skip("/v1/transactions/".len())
        .take(64)
        .collect();
    let state = |state: &str| Some(("200 OK", format!(r#"{{"id":"{id}","state":"{state}"}}"#)));
    let taken = Some(("202 Accepted", format!(r#"{{"id":"{}"}}"#, "00".repeat(32))));
    match (manner, is_post) {
        (Manner::Serves | Manner::Stalls | Manner::TakesAndFallsSilent, true) => taken,
        (Manner::Repeated, true) => Some(("409 Conflict", error("repeated_transaction"))),
        (Manner::Refuses, true) => Some(("422 Unprocessable", error("expired"))),
        (Manner::OutOfService, _) => Some(("503 Unavailable", error("not_ready"))),
        (Manner::Garbles, true) => Some(("202 Accepted", "{}".to_owned())),
        (Manner::Says(status, text), _) => Some((status, text.to_owned())),
        (Manner::Serves | Manner::Repeated | Manner::Garbles, false) => state("final"),
        (Manner::Stalls, false) => state("pending"),
        (Manner::TakesAndFallsSilent, false) => None,
        (Manner::Refuses, false) => state("unknown"),
    }
}

fn signed() -> SignedTransaction {
    let key = SecretKey::from_seed(&[7; 32]);
    let builder = TransactionBuilder::new(ChainId([1; 32]), ChainLimits::default());
    let call = TransactionBuilder::admit(key.account(), Vec::new());
    builder.sign(&key, Millis(0), call).expect("random numbers")
}

fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

async fn submit(
    urls: Vec<String>,
    signed: &SignedTransaction,
    timeout: Duration,
) -> (Result<(), ClientError>, Duration) {
    let client = Client::new(urls).expect("addresses");
    let start = Instant::now();
    let outcome = client.submit_and_wait(signed, timeout).await;
    (
        outcome.map(|info| assert_eq!(info.id, signed.id())),
        start.elapsed(),
    )
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn who_is_not_there_is_passed_over() {
    let serving = node(Manner::Serves);
    let (outcome, _) = submit(vec![nobody(), serving.url], &signed(), LONG).await;
    outcome.expect("final");
}

#[tokio::test]
async fn a_node_that_falls_silent_is_replaced_and_the_same_bytes_go_on() {
    for manner in [Manner::Serves, Manner::Repeated] {
        let (silent, other) = (node(Manner::TakesAndFallsSilent), node(manner));
        let (outcome, _) = submit(vec![silent.url, other.url], &signed(), LONG).await;
        outcome.expect("final");
        let first = silent.posted.recv().expect("was posted");
        assert_eq!(first, other.posted.recv().expect("was posted"));
    }
}

#[tokio::test]
async fn a_refusal_by_everybody_is_a_refusal() {
    let urls = vec![node(Manner::Refuses).url, node(Manner::Refuses).url];
    let (outcome, elapsed) = submit(urls, &signed(), LONG).await;
    match outcome.expect_err("refused") {
        ClientError::Api { status, error, .. } => {
            assert_eq!((status, error.code.as_str()), (422, "expired"));
        }
        other => panic!("{other}"),
    }
    assert!(
        elapsed < Duration::from_secs(5),
        "known at once: {elapsed:?}"
    );
}

#[tokio::test]
async fn nobody_there_at_all_is_known_at_once() {
    let (outcome, elapsed) = submit(vec![nobody(), nobody()], &signed(), LONG).await;
    let error = outcome.expect_err("nobody");
    assert!(
        matches!(&error, ClientError::NoNode { tried } if tried.len() == 2),
        "{error}"
    );
    assert!(
        elapsed < Duration::from_secs(5),
        "known at once: {elapsed:?}"
    );
}

#[tokio::test]
async fn what_is_not_final_in_time_may_become_final_later() {
    let signed = signed();
    let timeout = Duration::from_millis(1_500);
    let (outcome, elapsed) = submit(vec![node(Manner::Stalls).url], &signed, timeout).await;
    match outcome.expect_err("too late") {
        ClientError::NotFinal(not_final) => {
            assert_eq!(not_final.id, signed.id());
            assert_eq!(not_final.valid_until, signed.transaction.valid_until);
        }
        other => panic!("{other}"),
    }
    assert!(elapsed < timeout + Duration::from_secs(2), "{elapsed:?}");
}

#[tokio::test]
async fn who_is_out_of_service_is_asked_again_until_the_time_is_over() {
    let timeout = Duration::from_millis(1_200);
    let (outcome, elapsed) = submit(vec![node(Manner::OutOfService).url], &signed(), timeout).await;
    match outcome.expect_err("not taken") {
        ClientError::Api { status: 503, .. } => {}
        other => panic!("{other}"),
    }
    assert!(elapsed >= Duration::from_millis(700), "{elapsed:?}");
    let serving = node(Manner::Serves);
    let urls = vec![node(Manner::OutOfService).url, serving.url];
    submit(urls, &signed(), LONG).await.0.expect("final");
}

/// Answers that are not of this API.
const NONSENSE: [Manner; 5] = [
    Manner::Says("502 Bad Gateway", "<html>"),
    Manner::Says("404 Not Found", "<html>"),
    Manner::Says("200 OK", "<html>"),
    Manner::Says("202 Accepted", "{}"),
    Manner::Says("410 Gone", "{}"),
];
const GONE: Manner = Manner::Says(
    "410 Gone",
    r#"{"error":{"code":"before_snapshot","message":"no"}}"#,
);
const PAGE: Manner = Manner::Says(
    "200 OK",
    r#"{"events":[],"next":"5","more":false,"final_height":4}"#,
);

#[tokio::test]
async fn what_cannot_be_read_may_have_been_handed_in() {
    let signed = signed();
    let short = Duration::from_millis(600);
    for nonsense in NONSENSE {
        for other in [None, Some(Manner::Refuses), Some(nonsense)] {
            let all = [Some(nonsense), other].into_iter().flatten();
            let urls: Vec<String> = all.map(|manner| node(manner).url).collect();
            match submit(urls, &signed, short).await.0.expect_err("not final") {
                ClientError::NotFinal(not_final) => assert_eq!(not_final.id, signed.id()),
                other => panic!("{other}"),
            }
        }
        let (bad, good) = (node(nonsense), node(Manner::Serves));
        let (outcome, _) = submit(vec![bad.url, good.url], &signed, LONG).await;
        outcome.expect("final");
    }
    let urls = vec![node(Manner::Garbles).url];
    let (outcome, elapsed) = submit(urls, &signed, LONG).await;
    outcome.expect("final");
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[tokio::test]
async fn who_gives_no_answer_of_this_api_is_passed_over() {
    let everything = EventFilter::default();
    let read = async |client: &Client| {
        let page = client.events(&everything, Start::Beginning, None).await;
        page.map(|page| page.next.to_string())
    };
    for nonsense in NONSENSE {
        let (bad, good) = (node(nonsense), node(PAGE));
        let client = Client::new([bad.url, good.url]).expect("addresses");
        for _ in 0..2 {
            assert_eq!(read(&client).await, Ok("5".to_owned()));
        }
        let urls = [node(nonsense).url, nobody(), node(nonsense).url];
        let last = urls[2].clone();
        let client = Client::new(urls).expect("addresses");
        match read(&client).await.expect_err("no answer") {
            ClientError::BadAnswer { url, .. } => assert_eq!(url, last),
            other => panic!("{other}"),
        }
    }
    let id = signed().id();
    let urls = [node(PAGE).url, node(GONE).url];
    let client = Client::new(urls).expect("addresses");
    let proof = client.transaction_proof(id).await;
    assert!(
        matches!(proof, Err(ClientError::BadAnswer { .. })),
        "{proof:?}"
    );
}

#[tokio::test]
async fn what_one_node_lacks_is_asked_of_the_others() {
    let ask = async |urls: Vec<String>| {
        let client = Client::new(urls).expect("addresses");
        let filter = EventFilter::default();
        let page = client.events(&filter, Start::Beginning, None).await;
        page.map(|_| ())
    };
    let url = |manner| node(manner).url;
    assert_eq!(ask(vec![url(GONE), url(GONE), url(PAGE)]).await, Ok(()));
    let all = ask(vec![url(GONE), url(GONE)]).await;
    assert!(
        matches!(&all, Err(ClientError::Api { status: 410, error, .. }) if error.code == "before_snapshot"),
        "{all:?}"
    );
    // Who does not answer may have it.
    let some = ask(vec![url(GONE), nobody()]).await;
    assert!(
        matches!(&some, Err(ClientError::NoNode { tried }) if tried.len() == 2),
        "{some:?}"
    );
    let some = ask(vec![url(Manner::OutOfService), url(GONE)]).await;
    assert!(
        matches!(&some, Err(ClientError::Api { status: 503, .. })),
        "{some:?}"
    );
}

#[tokio::test]
async fn a_page_that_does_not_get_on_is_none() {
    let from = Start::At("7.1".parse().expect("a cursor"));
    for (next, more, is_page) in [
        ("7.1", false, true),
        ("7.2.0", true, true),
        ("8", true, true),
        ("7.1", true, false),
        ("7.0", true, false),
        ("7.0", false, false),
    ] {
        let page = format!(
            r#"{{"events":[],"transactions":[],"next":"{next}","more":{more},"final_height":9}}"#
        );
        let client = Client::new([node(Manner::Says("200 OK", page.leak())).url]);
        let client = client.expect("an address");
        let events = client.events(&EventFilter::default(), from, None).await;
        assert_eq!(events.is_ok(), is_page, "{events:?}");
        let filter = TransactionFilter::default();
        let transactions = client.transactions(&filter, from, None).await;
        assert_eq!(transactions.is_ok(), is_page, "{transactions:?}");
    }
}

#[tokio::test]
async fn one_too_many_waits_for_its_turn_and_is_not_handed_in_too_late() {
    let stalls = node(Manner::Stalls);
    let client = Arc::new(Client::new([stalls.url]).expect("an address"));
    let mut under_way = JoinSet::new();
    for _ in 0..UNDER_WAY_MAX {
        let client = Arc::clone(&client);
        under_way.spawn(async move {
            let _ = client.submit_and_wait(&signed(), LONG).await;
        });
    }
    let posted = tokio::task::spawn_blocking(move || {
        for _ in 0..UNDER_WAY_MAX {
            stalls.posted.recv().expect("was posted");
        }
        stalls.posted
    });
    let posted = posted.await.expect("no panic");
    let one_more = client
        .submit_and_wait(&signed(), Duration::from_millis(400))
        .await;
    match one_more.expect_err("no turn") {
        ClientError::NoTurn { under_way, waited } => {
            assert_eq!(under_way, UNDER_WAY_MAX);
            assert_eq!(waited, Duration::from_millis(200));
        }
        other => panic!("{other}"),
    }
    assert!(posted.try_recv().is_err(), "nothing was handed in");
    drop(under_way);
    let room = client
        .submit_and_wait(&signed(), Duration::from_millis(400))
        .await;
    assert!(matches!(room, Err(ClientError::NotFinal(_))), "{room:?}");
    assert!(posted.try_recv().is_ok(), "there was room again");
}
