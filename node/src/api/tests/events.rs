//! Events and transactions found again, and the live feed, on blocks with receipts of the test's
//! choice.

use chancery_client::api::{
    Cursor, EventEntry, EventFilter, Start, TransactionFilter, TransactionInfo,
};
use chancery_client::{ClientError, EventFeed};
use chancery_ledger::block::{receipts_root, transactions_root};
use chancery_ledger::checkpoint::CheckpointStatement;
use chancery_ledger::state_tree::key_hash;
use chancery_ledger::{AccountId, ContractEvent, Hash, Header, Receipt, Status};
use chancery_simulation::random::Random;

use super::*;
use crate::store::{Base, BlockWrite, StagedEntry};

const LONG: Duration = Duration::from_secs(20);

/// One transaction of a block: who signs it, what it calls, what it announces.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    pub(super) sender: u8,
    pub(super) contract: Option<u8>,
    pub(super) events: Vec<(u8, &'static str, usize)>,
}

pub(super) fn contract(number: u8) -> ContractId {
    ContractId([number; 32])
}

/// A transaction with the receipt that the test wants.
fn receipted(ledger: &Ledger, salt: u64, done: &Done) -> (SignedTransaction, Receipt) {
    let sender = key(done.sender);
    let call = done.contract.map(|number| Call::Invoke {
        contract: contract(number),
        method: "act".to_owned(),
        args: vec![1, 2, 3],
    });
    let admission = ledger.admission(salt);
    let transaction = Transaction {
        sender: sender.account(),
        call: call.unwrap_or(admission.call.clone()),
        ..admission
    };
    let signed = transaction.sign(&sender);
    let event = |(number, topic, length): &(u8, &str, usize)| ContractEvent {
        contract: contract(*number),
        topic: (*topic).to_owned(),
        data: vec![9; *length],
    };
    let receipt = Receipt {
        transaction: signed.id(),
        status: Status::Applied { value: Vec::new() },
        fuel_used: Fuel(7),
        contract: done.contract.map(contract),
        events: done.events.iter().map(event).collect(),
    };
    (signed, receipt)
}

impl Ledger {
    /// Writes a block behind the newest one, not final yet.
    fn write(&self, all: &[Done]) -> Height {
        self.write_with(all, &BTreeMap::new())
    }

    /// The same, with changes of the state.
    pub(super) fn write_with(
        &self,
        all: &[Done],
        changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    ) -> Height {
        let tip = self.node.store.tip();
        let height = tip.header.height.next();
        let salts = height.0 * 1_000..;
        let (transactions, receipts): (Vec<_>, Vec<_>) = salts
            .zip(all)
            .map(|(salt, done)| receipted(self, salt, done))
            .unzip();
        let batch = Batch {
            proposed_time: Millis(0),
            transactions: transactions.clone(),
        };
        let header = Header {
            height,
            parent: tip.header.hash(),
            time: tip.header.time.saturating_add(Millis(1)),
            batch: batch.digest(),
            transactions_root: transactions_root(&transactions),
            transactions_count: u32::try_from(transactions.len()).expect("few"),
            receipts_root: receipts_root(&receipts),
            ..tip.header
        };
        let mut log = tip.log;
        let log_nodes = log.append(header.hash());
        let block = BlockWrite {
            header: &header,
            batch: &batch,
            transactions: &transactions,
            receipts: &receipts,
            changes,
            log_nodes: &log_nodes,
            log: &log,
            certificates: &[],
        };
        self.node.store.commit(block).expect("a disk");
        self.progress
            .send_modify(|progress| progress.height = height);
        height
    }

    pub(super) fn finalize(&self, height: Height) {
        self.progress
            .send_modify(|progress| progress.final_height = height);
    }

    fn write_final(&self, all: &[Done]) -> Height {
        let height = self.write(all);
        self.finalize(height);
        height
    }

    /// Goes on from a snapshot so many blocks ahead.
    fn join(&self, ahead: u64) -> Height {
        let (snapshot, tip) = (self.node.store.read(), self.node.store.tip());
        let mut log = tip.log;
        for _ in 1..ahead {
            log.append(Hash::default());
        }
        let height = Height(tip.header.height.0 + ahead);
        let header = Header {
            height,
            ..tip.header.clone()
        };
        log.append(header.hash());
        let statement = CheckpointStatement::new(self.node.chain, height, log.root(), header.time);
        let entry = |(key, value): (Vec<u8>, Vec<u8>)| StagedEntry {
            key_hash: key_hash(&key),
            key,
            value,
        };
        let staged: Vec<_> = snapshot.state_entries().map(entry).collect();
        let store = &self.node.store;
        store.begin_staging().expect("a disk");
        store.stage_entries(&staged).expect("a disk");
        let certificate = CheckpointCertificate {
            statement,
            cosignatures: Vec::new(),
        };
        let base = Base {
            header: &header,
            certificate: &certificate,
            log_nodes: &[],
            log: &log,
            certified_here: tip.header.height,
        };
        store.install(base).expect("a disk");
        self.progress.send_modify(|progress| {
            (progress.height, progress.final_height) = (height, height);
        });
        height
    }

    /// Every final event, by reading every block.
    fn all_events(&self) -> Vec<(Cursor, AccountId, ContractEvent)> {
        let snapshot = self.node.store.read();
        let mut all = Vec::new();
        for height in 1..=self.progress.borrow().final_height.0 {
            let Some(block) = snapshot.block(Height(height)) else {
                continue;
            };
            for (index, receipt) in (0..).zip(&block.receipts) {
                let position = usize::try_from(index).expect("small");
                let sender = block.transactions[position].transaction.sender;
                for (event_index, event) in (0..).zip(&receipt.events) {
                    let cursor = Cursor::behind_event(Height(height), index, event_index);
                    all.push((cursor, sender, event.clone()));
                }
            }
        }
        all
    }

    /// The cursors of those that a filter wants, from a place on.
    fn wanted(&self, filter: &EventFilter, from: Cursor) -> Vec<Cursor> {
        let all = self.all_events().into_iter();
        all.filter(|(cursor, sender, event)| {
            *cursor > from
                && filter.contract.is_none_or(|id| event.contract == id)
                && filter.account.is_none_or(|id| *sender == id)
                && filter.event.as_ref().is_none_or(|it| event.topic == *it)
        })
        .map(|(cursor, ..)| cursor)
        .collect()
    }

    async fn read_pages(&self, filter: &EventFilter, from: Start, limit: usize) -> Vec<Cursor> {
        let (client, mut from, mut all) = (self.client(), from, Vec::new());
        for _ in 0..10_000 {
            let page = client
                .events(filter, from, Some(limit))
                .await
                .expect("a page");
            assert!(page.events.len() <= limit);
            for event in &page.events {
                all.push(event.cursor);
            }
            from = Start::At(page.next);
            if !page.more {
                return all;
            }
        }
        panic!("the pages have no end");
    }

    /// Opens a feed by hand; the headers of the answer are checked by who reads on.
    async fn open_feed(&self, query: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.address())
            .await
            .expect("connects");
        let request =
            format!("GET /v1/events/stream{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("is taken");
        stream
    }
}

/// Reads until `enough` is said of all that has come; the text so far.
async fn read_until(stream: &mut TcpStream, enough: impl Fn(&str) -> bool) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if enough(&text) {
                return text;
            }
            let mut part = [0; 4_096];
            let length = stream.read(&mut part).await.expect("the feed is open");
            assert!(length > 0, "the feed ended: {text}");
            bytes.extend_from_slice(&part[..length]);
        }
    };
    let read = tokio::time::timeout(LONG, reading).await;
    read.unwrap_or_else(|_| panic!("that does not come"))
}

/// Reads to the end of an answer.
async fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    let _ = tokio::time::timeout(LONG, reading).await.expect("an end");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ids(text: &str) -> Vec<String> {
    // The last line may not be whole yet.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().filter_map(|line| line.strip_prefix("id: "));
    lines.map(str::to_owned).collect()
}

/// The cursors of the next `count` events.
async fn take(feed: &mut EventFeed<'_>, count: usize) -> Vec<Cursor> {
    let mut all = Vec::new();
    while all.len() < count {
        let event = tokio::time::timeout(LONG, feed.next()).await;
        all.push(event.expect("it comes").expect("an event").cursor);
    }
    all
}

/// The last two share rows of the index.
const TOPICS: [&str; 4] = ["Granted", "Revoked", "Überfällig & co", "Event1223"];

fn random_blocks(ledger: &Ledger, seed: u64, count: u64) {
    let mut random = Random::new(seed);
    let mut below = |most: u64| u8::try_from(random.below(most)).expect("small");
    for _ in 0..count {
        let done: Vec<Done> = (0..below(5))
            .map(|_| Done {
                sender: 60 + below(3),
                contract: (below(4) > 0).then(|| below(3)),
                events: (0..below(4))
                    .map(|_| {
                        let topic = TOPICS[usize::from(below(4))];
                        (below(3), topic, usize::from(below(20)))
                    })
                    .collect(),
            })
            .collect();
        ledger.write_final(&done);
    }
}

fn filters() -> Vec<EventFilter> {
    let contracts = [None, Some(contract(1))];
    let events = [None, Some("Überfällig & co".to_owned())];
    let accounts = [None, Some(key(61).account())];
    let mut all = Vec::new();
    for contract in contracts {
        for event in &events {
            for account in accounts {
                all.push(EventFilter {
                    contract,
                    event: event.clone(),
                    account,
                });
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_give_exactly_every_event_once_from_every_cursor() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    random_blocks(&ledger, 1, 90);
    assert!(ledger.all_events().len() > 150);
    for filter in filters() {
        let wanted = ledger.wanted(&filter, Cursor::default());
        assert!(wanted.len() > 3, "{filter:?}");
        for limit in [1, 7, 1_000] {
            let read = ledger.read_pages(&filter, Start::Beginning, limit).await;
            assert_eq!(read, wanted, "{filter:?}, {limit} at a time");
        }
    }
    let everything = EventFilter::default();
    for (cursor, ..) in ledger.all_events().into_iter().step_by(5) {
        let rest = ledger
            .read_pages(&everything, Start::At(cursor), 1_000)
            .await;
        assert_eq!(rest, ledger.wanted(&everything, cursor));
    }
    let behind = Cursor::before(Height(40));
    let rest = ledger.read_pages(&everything, Start::At(behind), 50).await;
    assert!(rest.iter().all(|cursor| cursor.height >= Height(40)));
    assert_eq!(rest, ledger.wanted(&everything, behind));
    let none = ledger.read_pages(&everything, Start::Latest, 50).await;
    assert!(none.is_empty());
    let far = Start::At("999.4.2".parse().expect("a cursor"));
    let page = ledger
        .client()
        .events(&everything, far, None)
        .await
        .expect("a page");
    assert_eq!(
        (page.events, Start::At(page.next), page.more),
        (Vec::new(), far, false)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_found_by_account_and_contract() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    random_blocks(&ledger, 2, 80);
    let client = ledger.client();
    let (account, called) = (key(61).account(), contract(2));
    for filter in [
        (Some(account), None),
        (None, Some(called)),
        (Some(account), Some(called)),
    ] {
        let filter = TransactionFilter {
            account: filter.0,
            contract: filter.1,
        };
        let snapshot = ledger.node.store.read();
        let blocks = (1..=80).filter_map(|height| snapshot.block(Height(height)));
        let wanted: Vec<TransactionId> = blocks
            .flat_map(|block| block.transactions.into_iter().zip(block.receipts))
            .filter(|(signed, receipt)| {
                filter
                    .account
                    .is_none_or(|id| signed.transaction.sender == id)
                    && filter
                        .contract
                        .is_none_or(|id| receipt.contract == Some(id))
            })
            .map(|(signed, _)| signed.id())
            .collect();
        assert!(wanted.len() > 8);
        for limit in [1, 5, 1_000] {
            let (mut from, mut all) = (Start::Beginning, Vec::<TransactionInfo>::new());
            loop {
                let page = client.transactions(&filter, from, Some(limit)).await;
                let mut page = page.expect("a page");
                assert!(page.transactions.len() <= limit);
                all.append(&mut page.transactions);
                from = Start::At(page.next);
                if !page.more {
                    break;
                }
            }
            assert!(all.iter().all(|it| it.state == TransactionState::Final));
            assert!(all.iter().all(|it| it.receipt.is_some()));
            let found: Vec<_> = all.iter().map(|info| info.id).collect();
            assert_eq!(found, wanted, "{filter:?}, {limit} at a time");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_final_events_are_shown_and_they_come_when_they_are() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    let client = ledger.client();
    let one = |topic| Done {
        sender: 60,
        contract: Some(1),
        events: vec![(1, topic, 4)],
    };
    ledger.write_final(&[one("First")]);
    let second = ledger.write(&[one("Second"), one("Third")]);
    let filter = EventFilter::default();
    let page = client
        .events(&filter, Start::Beginning, None)
        .await
        .expect("a page");
    assert_eq!((page.events.len(), page.final_height), (1, Height(1)));
    let mut feed = client.follow_events(filter.clone(), Start::Beginning);
    let mut late = client.follow_events(filter, Start::Latest);
    assert_eq!(take(&mut feed, 1).await, [page.events[0].cursor]);
    let early = tokio::time::timeout(Duration::from_millis(200), feed.next()).await;
    assert!(early.is_err(), "block {second} is not final");
    let early = tokio::time::timeout(Duration::from_millis(200), late.next()).await;
    assert!(early.is_err(), "nothing is final behind the first block");
    ledger.finalize(second);
    let cursors = [0, 1].map(|index| Cursor::behind_event(second, index, 0));
    assert_eq!(take(&mut feed, 2).await, cursors);
    assert_eq!(take(&mut late, 2).await, cursors);
    assert_eq!(feed.from(), Start::At(cursors[1]));
    // A certificate may be ahead of what is executed.
    ledger.finalize(Height(second.0 + 5));
    let third = ledger.write(&[one("Fourth")]);
    assert_eq!(
        take(&mut feed, 1).await,
        [Cursor::behind_event(third, 0, 0)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_goes_on_behind_every_cursor() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    random_blocks(&ledger, 3, 30);
    let everything = EventFilter::default();
    let all = ledger.wanted(&everything, Cursor::default());
    for cursor in &all {
        let rest = ledger.wanted(&everything, *cursor);
        // The standard's header wins over what the address says.
        let header = format!("Last-Event-ID: {cursor}\r\n");
        let mut stream = ledger.open_feed("?from=0", &header).await;
        let text = read_until(&mut stream, |text| ids(text).len() > rest.len()).await;
        assert!(text.contains("text/event-stream"), "{text}");
        let given = ids(&text);
        assert_eq!(
            given[0],
            cursor.to_string(),
            "where it begins is said at once"
        );
        let expected: Vec<_> = rest.iter().map(ToString::to_string).collect();
        assert_eq!(given[1..=rest.len()], expected);
    }
    for filter in filters() {
        let wanted = ledger.wanted(&filter, Cursor::default());
        let client = ledger.client();
        let mut feed = client.follow_events(filter, Start::Beginning);
        assert_eq!(take(&mut feed, wanted.len()).await, wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_feed_tells_how_far_it_is() {
    let config = ApiConfig {
        feed_heartbeat_ms: 50,
        ..ApiConfig::default()
    };
    let ledger = Ledger::start(&config).await;
    let nothing = format!("?contract={}", contract(77));
    let mut stream = ledger.open_feed(&nothing, "").await;
    let _ = read_until(&mut stream, |text| ids(text) == ["0", "1"]).await;
    random_blocks(&ledger, 4, 10);
    let text = read_until(&mut stream, |text| ids(text).contains(&"11".to_owned())).await;
    assert!(!text.contains("data:"), "{text}");
    // What it is told once is not told again.
    let text = read_until(&mut stream, |text| text.matches(": \n").count() > 3).await;
    assert_eq!(ids(&text), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_are_limited_and_end_with_the_node() {
    let config = ApiConfig {
        feeds_max: 2,
        feed_heartbeat_ms: 50,
        ..ApiConfig::default()
    };
    let ledger = Ledger::start(&config).await;
    let mut first = ledger.open_feed("", "").await;
    let mut second = ledger.open_feed("", "").await;
    for stream in [&mut first, &mut second] {
        let _ = read_until(stream, |text| !ids(text).is_empty()).await;
    }
    let answer = ledger.ask("GET /v1/events/stream", "").await;
    assert_eq!(code(&answer), (503, "too_many_feeds"));
    drop(first);
    let started = Instant::now();
    let mut third = loop {
        let mut stream = ledger.open_feed("", "").await;
        let text = read_until(&mut stream, |text| text.contains("\r\n\r\n")).await;
        if text.contains(" 200 ") {
            break stream;
        }
        assert!(started.elapsed() < LONG, "the place is free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let _ = read_until(&mut third, |text| {
        !ids(text).is_empty() || text.contains(": \n")
    })
    .await;
    let started = Instant::now();
    ledger.server.stop().await;
    for stream in [second, third] {
        let _ = read_all(stream).await;
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_takes_nothing_is_let_go_and_may_come_back() {
    let config = ApiConfig {
        feeds_max: 1,
        feed_heartbeat_ms: 100,
        ..ApiConfig::default()
    };
    let ledger = Ledger::start(&config).await;
    // More than all buffers on the way hold.
    let events = vec![(1, "Large", 60_000); 10];
    for _ in 0..30 {
        let done = Done {
            sender: 60,
            contract: Some(1),
            events: events.clone(),
        };
        ledger.write_final(&[done]);
    }
    let stalled = ledger.open_feed("", "").await;
    let started = Instant::now();
    let client = ledger.client();
    let mut feed = client.follow_events(EventFilter::default(), Start::Beginning);
    let everything = take(&mut feed, 300).await;
    assert!(
        started.elapsed() >= Duration::from_millis(150),
        "the place was taken"
    );
    assert_eq!(
        everything,
        ledger.wanted(&EventFilter::default(), Cursor::default())
    );
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_joined_by_a_snapshot_says_what_it_has_not() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    let client = ledger.client();
    let everything = EventFilter::default();
    random_blocks(&ledger, 5, 10);
    let before = ledger.wanted(&everything, Cursor::default());
    let mut running = client
        .follow_events(everything.clone(), Start::Beginning)
        .patience(Duration::from_secs(1));
    assert_eq!(take(&mut running, before.len()).await, before);
    let base = ledger.join(7);
    assert_eq!(base, Height(17));
    random_blocks(&ledger, 6, 5);

    let is_gone = |error: ClientError| matches!(&error, ClientError::Api { status: 410, error, .. } if error.code == "before_snapshot");
    let error = tokio::time::timeout(LONG, running.next()).await;
    let error = error
        .expect("an end")
        .expect_err("it has not what comes next");
    assert!(is_gone(error));

    // What stands before the gap is there, and the end of it is not the end.
    let (mut from, mut found) = (Start::Beginning, Vec::new());
    let error = loop {
        match client.events(&everything, from, None).await {
            Ok(page) => {
                assert!(page.more, "there is more behind the gap");
                found.extend(page.events.into_iter().map(|event| event.cursor));
                from = Start::At(page.next);
            }
            Err(error) => break error,
        }
    };
    assert!(is_gone(error));
    assert_eq!(found, before);
    assert_eq!(from, Start::At(Cursor::before(Height(11))));
    for path in [
        "/v1/events/stream?from=11",
        "/v1/events?from=17.0",
        "/v1/events?from=15",
    ] {
        let answer = ledger.ask(&format!("GET {path}"), "").await;
        assert_eq!(code(&answer), (410, "before_snapshot"), "{path}");
        let hint = answer.1["error"]["hint"].to_string();
        assert!(hint.contains("from=18"), "{hint}");
    }
    let behind = Cursor::before(base.next());
    let rest = ledger
        .read_pages(&everything, Start::At(behind), 1_000)
        .await;
    assert_eq!(rest, ledger.wanted(&everything, behind));
    let mut feed = client.follow_events(everything, Start::At(behind));
    assert_eq!(take(&mut feed, rest.len()).await, rest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_question_about_the_past_is_refused_by_name() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    for (path, expected) in [
        ("/v1/events?contract=xyz", "bad_request"),
        ("/v1/events?account=hospital", "bad_request"),
        ("/v1/events?event=", "bad_request"),
        ("/v1/events?limit=0", "bad_request"),
        ("/v1/events?limit=1001", "bad_request"),
        ("/v1/events?limit=many", "bad_request"),
        ("/v1/events?topic=Granted", "bad_request"),
        ("/v1/events?from=yesterday", "bad_cursor"),
        ("/v1/events?from=1.2.3.4", "bad_cursor"),
        ("/v1/events/stream?limit=3", "bad_request"),
        ("/v1/events/stream?contract=xyz", "bad_request"),
        ("/v1/events/stream?from=-1", "bad_cursor"),
        ("/v1/events/stream?from=0\nLast-Event-ID: x", "bad_cursor"),
        ("/v1/transactions", "bad_request"),
        ("/v1/transactions?from=3", "bad_request"),
        ("/v1/transactions?contract=xyz", "bad_request"),
        ("/v1/transactions?account=did:web:x", "bad_request"),
        ("/v1/transactions?event=Granted", "bad_request"),
    ] {
        let answer = ledger.ask(&format!("GET {path}"), "").await;
        assert_eq!(code(&answer), (400, expected), "{path}: {answer:?}");
    }
    let filter = format!("contract={}", contract(1));
    let path = format!("GET /v1/transactions?{filter}&from=1.2.3");
    assert_eq!(code(&ledger.ask(&path, "").await), (400, "bad_cursor"));
    // A mistake is told at once, and not tried again.
    let client = ledger.client();
    let empty = EventFilter {
        event: Some(String::new()),
        ..EventFilter::default()
    };
    let refused = client.follow_events(empty, Start::Beginning).next().await;
    assert!(matches!(refused, Err(ClientError::Api { status: 400, .. })));

    let mut stream = ledger.open_feed("", "").await;
    let _ = read_until(&mut stream, |text| !ids(text).is_empty()).await;
    ledger
        .progress
        .send_modify(|progress| progress.halted = Some("evidence".to_owned()));
    let text = read_all_of_feed(stream).await;
    assert!(
        text.contains("event: refused") && text.contains("not_ready"),
        "{text}"
    );
    for path in [
        "/v1/events",
        "/v1/events/stream",
        &format!("/v1/transactions?{filter}"),
    ] {
        let answer = ledger.ask(&format!("GET {path}"), "").await;
        assert_eq!(code(&answer), (503, "not_ready"), "{path}");
    }
}

/// What comes until a feed ends, on a connection that stays.
async fn read_all_of_feed(mut stream: TcpStream) -> String {
    read_until(&mut stream, |text| text.ends_with("0\r\n\r\n")).await
}

#[test]
fn an_entry_is_one_flat_object() {
    let entry = EventEntry {
        cursor: Cursor::behind_event(Height(7), 1, 0),
        height: Height(7),
        index: 1,
        event_index: 0,
        block_time: "2026-01-31T12:00:00Z".to_owned(),
        block_time_ms: Millis(1_769_860_800_000),
        transaction: TransactionId([1; 32]),
        sender: key(1).account(),
        contract: contract(2),
        contract_version: Some(1),
        topic: "Granted".to_owned(),
        data: chancery_client::api::Bytes(vec![1, 2]),
    };
    let value = serde_json::to_value(&entry).expect("JSON");
    assert_eq!(
        (&value["cursor"], &value["data"]),
        (&json!("7.1.0"), &json!("AQI="))
    );
}
