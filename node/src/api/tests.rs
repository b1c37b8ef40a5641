//! The API over a real socket, on a ledger of one validator whose blocks the test makes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_client::Client;
use chancery_client::api::TransactionState;
use chancery_consensus::{Context, Mode, Overview};
use chancery_genesis::{Genesis, GenesisAccount, MemberCard};
use chancery_ledger::checkpoint::{CheckpointCertificate, Cosignature};
use chancery_ledger::policy::Policy;
use chancery_ledger::proof::Bundle;
use chancery_ledger::state_tree::StateTree;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    Batch, Call, ChainId, ChainLimits, ContractId, Fuel, Height, Millis, Role, SecretKey,
    Transaction, TransactionId, Upgraders, ValidatorIndex, View,
};
use chancery_runtime::Runtime;
use parity_scale_codec::Encode as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

mod events;
mod state;
mod versions;

use super::Server;
use crate::assemble::genesis_block;
use crate::catch_up::Session;
use crate::config::{ApiConfig, PoolConfig};
use crate::evidence::EvidenceStore;
use crate::executor::Executor;
use crate::handle::{Clock, NodeHandle, Progress};
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::network::{InboxReceivers, Inboxes, Network, NetworkConfig};
use crate::pool::{Pool, Source};
use crate::store::Store;
use crate::threads::Input;

/// A ledger with its API; kept alive as long as this is.
struct Ledger {
    _directory: tempfile::TempDir,
    _inputs: mpsc::Receiver<Input>,
    _overview: watch::Sender<Arc<Overview>>,
    _inboxes: InboxReceivers,
    node: Arc<NodeHandle>,
    server: Server,
    executor: Executor,
    progress: watch::Sender<Progress>,
    state: watch::Sender<StateTree>,
    validator: SecretKey,
    registrar: SecretKey,
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn genesis() -> Genesis {
    let address = "127.0.0.1:7400".parse().expect("an address");
    let card = MemberCard::sign("bank-a", &key(1), key(2).public(), key(3).public(), address);
    let registrar = GenesisAccount {
        name: "registrar".to_owned(),
        account: key(4).account(),
        roles: vec![Role::Registrar, Role::Deployer],
    };
    let now = chancery_client::clock();
    let limits = ChainLimits {
        transaction_bytes_max: 65_536,
        code_bytes_max: 61_440,
        ..ChainLimits::default()
    };
    let cards = vec![card.expect("a card")];
    Genesis::new("net".to_owned(), now, limits, cards, vec![registrar]).expect("a genesis")
}

fn overview() -> Overview {
    Overview {
        own: ValidatorIndex(0),
        view: View(0),
        primary: ValidatorIndex(0),
        quorum: 1,
        stable: Height(0),
        executed: Height(0),
        final_height: Height(0),
        open: Vec::new(),
        peers: Vec::new(),
        catching_up: false,
        halted: None,
        refused: BTreeMap::new(),
        batches: 0,
        mode: Mode::Active,
        view_changes: Vec::new(),
        timer: None,
        view_changes_begun: 0,
        left_because: None,
        evidence: 0,
    }
}

impl Ledger {
    async fn start(config: &ApiConfig) -> Self {
        let genesis = genesis();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("ledger.redb");
        let (chain, validators) = (genesis.chain_id(), genesis.validators().clone());
        Store::create(&path, &genesis_block(&genesis)).expect("a new store");
        let store = Arc::new(Store::open(&path, chain).expect("opens"));
        let runtime = Arc::new(Runtime::new(genesis.limits().clone()).expect("an engine"));
        let executor = Executor::new(
            chain,
            validators.clone(),
            Arc::clone(&runtime),
            Arc::clone(&store),
        );
        let (progress, progress_out) = watch::channel(Progress::default());
        let (state, state_out) = watch::channel(executor.state_tree());
        let (overview, overview_out) = watch::channel(Arc::new(overview()));
        let (inputs, inputs_out) = mpsc::channel(16);
        let (inboxes, inboxes_out) = Inboxes::for_peers(1);
        let network = NetworkConfig {
            chain,
            own: ValidatorIndex(0),
            key: key(2),
            listen: "127.0.0.1:0".parse().expect("an address"),
            peers: Vec::new(),
            votes_frame_bytes_max: 65_536,
            bulk_frame_bytes_max: 1_048_576,
        };
        let pool = Arc::new(Pool::new(
            PoolConfig::default().limits(&ChainLimits::default()),
            Millis(250),
        ));
        let intake = Intake {
            context: Context {
                chain,
                validators: validators.clone(),
                window_slots: genesis.limits().window_slots,
            },
            limits: genesis.limits().clone(),
            runtime: Arc::clone(&runtime),
            store: Arc::clone(&store),
            pool: Arc::clone(&pool),
            catch_up: Arc::new(Session::new(Vec::new(), 2_000)),
            offers: Arc::default(),
        };
        let node = Arc::new(NodeHandle {
            genesis_toml: genesis.to_toml(),
            genesis: Arc::new(genesis),
            chain,
            validators,
            own: ValidatorIndex(0),
            log_key: key(3),
            store,
            runtime,
            pool,
            network: Arc::new(Network::start(network, inboxes).expect("a network of one")),
            progress: progress_out,
            state: state_out,
            overview: overview_out,
            metrics: Arc::new(Metrics::new()),
            clock: Clock::start(),
            inputs,
            intake,
            evidence: Arc::new(EvidenceStore::in_memory()),
        });
        let server = Server::start(Arc::clone(&node), config)
            .await
            .expect("listens");
        Self {
            _directory: directory,
            _inputs: inputs_out,
            _overview: overview,
            _inboxes: inboxes_out,
            node,
            server,
            executor,
            progress,
            state,
            validator: key(1),
            registrar: key(4),
        }
    }

    fn admission(&self, salt: u64) -> Transaction {
        Transaction {
            chain: self.node.chain,
            sender: self.registrar.account(),
            salt,
            valid_until: chancery_client::clock().saturating_add(Millis(60_000)),
            fuel_max: Fuel(1_000_000),
            call: Call::Admit {
                account: key(50).account(),
                roles: vec![Role::Deployer],
            },
        }
    }

    /// Makes a block of these transactions.
    fn execute(&mut self, transactions: Vec<SignedTransaction>) -> Height {
        let ids: Vec<_> = transactions.iter().map(SignedTransaction::id).collect();
        let batch = Batch {
            proposed_time: chancery_client::clock(),
            transactions,
        };
        let block = self.executor.execute(&batch).expect("the disk works");
        let height = block.header.height;
        self.state.send_replace(self.executor.state_tree());
        let _ = self.node.pool.remove(Source::Ordered, ids, []);
        self.progress
            .send_modify(|progress| progress.height = height);
        height
    }

    /// Certifies the newest block.
    fn certify(&mut self) {
        let statement = self.executor.statement();
        let cosignature = Cosignature {
            validator: ValidatorIndex(0),
            signature: self.validator.sign(&statement.cosigned_bytes()),
        };
        let certificate = CheckpointCertificate {
            cosignatures: vec![cosignature],
            statement,
        };
        self.progress.send_modify(|progress| {
            progress.final_height = certificate.statement.height;
            progress.certificate = Some(certificate);
        });
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    fn client(&self) -> Client {
        Client::new([self.url()]).expect("an address")
    }

    /// One request, written by hand; status and JSON of the answer.
    async fn ask(&self, head: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.ask_text(head, body).await;
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    async fn ask_text(&self, head: &str, body: &str) -> (u16, String) {
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let mut request = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.to_lowercase().contains("host:") {
            request.push_str("Host: 127.0.0.1:1\r\n");
        }
        for header in headers.lines() {
            request.push_str(&format!("{header}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut stream = TcpStream::connect(self.server.address())
            .await
            .expect("connects");
        // A refusal by length alone may come, and the connection end, before all was sent; what
        // was answered can be read all the same.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let head = format!("POST {path}\nContent-Type: application/json");
        self.ask(&head, body).await
    }

    async fn submit(&self, bytes: &[u8]) -> (u16, Value) {
        let body = json!({ "transaction": BASE64.encode(bytes) }).to_string();
        self.post("/v1/transactions", &body).await
    }
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    assert!(answer.1["error"]["message"].is_string(), "{answer:?}");
    assert!(answer.1["error"]["hint"].is_string(), "{answer:?}");
    (
        answer.0,
        answer.1["error"]["code"].as_str().unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_taken_followed_and_proved() {
    let mut ledger = Ledger::start(&ApiConfig::default()).await;
    let client = Arc::new(ledger.client());
    let signed = ledger.admission(1).sign(&ledger.registrar);
    let id = signed.id();
    let unknown = client.transaction(id).await.expect("a state");
    assert_eq!(unknown.state, TransactionState::Unknown);
    assert_eq!(client.submit(&signed).await, Ok(id));
    assert_eq!(
        client.submit(&signed).await,
        Ok(id),
        "waiting here is what was asked for"
    );
    let pending = client.transaction(id).await.expect("a state");
    assert_eq!(
        (pending.state, pending.height),
        (TransactionState::Pending, None)
    );
    let path = format!("GET /v1/proofs/transactions/{id}");
    assert_eq!(code(&ledger.ask(&path, "").await), (409, "not_final_yet"));

    let following = tokio::spawn({
        let client = Arc::clone(&client);
        let signed = signed.clone();
        async move {
            client
                .submit_and_wait(&signed, Duration::from_secs(20))
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let height = ledger.execute(vec![signed.clone()]);
    let committed = client.transaction(id).await.expect("a state");
    assert_eq!(
        (committed.state, committed.height),
        (TransactionState::Committed, Some(height))
    );
    assert_eq!(code(&ledger.ask(&path, "").await), (409, "not_final_yet"));
    ledger.certify();
    let info = following.await.expect("no panic").expect("final");
    assert_eq!(
        (info.state, info.height),
        (TransactionState::Final, Some(height))
    );
    assert_eq!(
        (info.index, info.sender),
        (Some(0), Some(ledger.registrar.account()))
    );

    let bytes = client.transaction_proof(id).await.expect("a proof");
    let bundle = Bundle::from_json(std::str::from_utf8(&bytes).expect("text")).expect("a bundle");
    let policy = client.chain().await.expect("the chain").policy;
    let policy: Policy = policy.parse().expect("a policy");
    let claim = bundle.verify(&policy).expect("verifies");
    assert_eq!(claim, bundle.claim);
    assert_eq!(
        code(&ledger.submit(&signed.encode()).await),
        (409, "repeated_transaction")
    );
    let account = client.account(key(50).account()).await.expect("admitted");
    assert_eq!(account.roles, vec![Role::Deployer]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refused_transaction_has_a_code_of_its_own() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    let sign = |transaction: Transaction| transaction.sign(&ledger.registrar).encode();
    let good = |salt| ledger.admission(salt);
    let mut wrong_signature = good(1).sign(&ledger.registrar);
    wrong_signature.signature.0[3] ^= 1;
    let stranger = Transaction {
        sender: key(99).account(),
        ..good(2)
    };
    let long_ago = Millis(chancery_client::clock().0 - 60_000);
    let far = chancery_client::clock().saturating_add(Millis(10_000_000_000));
    let deploy = |code| Call::Deploy {
        code,
        upgraders: Upgraders::nobody(),
        args: Vec::new(),
    };
    let invoke = Call::Invoke {
        contract: ContractId::default(),
        method: "x".repeat(65),
        args: Vec::new(),
    };
    let unsorted = Call::Admit {
        account: key(50).account(),
        roles: vec![Role::Deployer, Role::Registrar],
    };
    let table: Vec<(u16, &str, Vec<u8>)> = vec![
        (422, "wrong_signature", wrong_signature.encode()),
        (403, "unknown_account", stranger.sign(&key(99)).encode()),
        (
            422,
            "expired",
            sign(Transaction {
                valid_until: long_ago,
                ..good(3)
            }),
        ),
        (
            422,
            "valid_for_too_long",
            sign(Transaction {
                valid_until: far,
                ..good(4)
            }),
        ),
        (
            422,
            "wrong_chain",
            sign(Transaction {
                chain: ChainId([7; 32]),
                ..good(5)
            }),
        ),
        (
            422,
            "too_much_fuel",
            sign(Transaction {
                fuel_max: Fuel(u64::MAX),
                ..good(6)
            }),
        ),
        (
            413,
            "too_large",
            sign(Transaction {
                call: invoke,
                ..good(7)
            }),
        ),
        (413, "too_large", vec![0; 65_537]),
        (413, "too_large", vec![0; 1_000_000]),
        (400, "malformed_transaction", vec![0xff; 1000]),
        (
            400,
            "malformed_transaction",
            [sign(good(8)), vec![0]].concat(),
        ),
        (
            400,
            "malformed_transaction",
            sign(Transaction {
                call: unsorted,
                ..good(9)
            }),
        ),
        (
            422,
            "module_refused",
            sign(Transaction {
                call: deploy(vec![1, 2, 3]),
                ..good(10)
            }),
        ),
    ];
    for (status, expected, bytes) in table {
        let answer = ledger.submit(&bytes).await;
        assert_eq!(code(&answer), (status, expected), "{answer:?}");
    }
    assert_eq!(ledger.node.pool.count(), 0, "nothing of it is kept");
    ledger
        .progress
        .send_modify(|progress| progress.halted = Some("evidence".to_owned()));
    assert_eq!(
        code(&ledger.submit(&sign(good(11))).await),
        (503, "not_ready")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_request_is_refused_in_json() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    let id = TransactionId([9; 32]);
    let contract = ContractId([9; 32]);
    let stranger = key(99).account();
    for (head, status, expected) in [
        ("GET /nowhere".to_owned(), 404, "unknown_path"),
        ("DELETE /v1/chain".to_owned(), 405, "method_not_allowed"),
        ("PUT /v1/transactions".to_owned(), 405, "method_not_allowed"),
        ("GET /v1/transactions/xyz".to_owned(), 400, "bad_request"),
        (
            format!("GET /v1/transactions/{id}?wait_ms=no"),
            400,
            "bad_request",
        ),
        (
            format!("GET /v1/transactions/{id}?wait_ms=60001"),
            400,
            "bad_request",
        ),
        (
            format!("GET /v1/transactions/{id}?wait=1"),
            400,
            "bad_request",
        ),
        ("GET /v1/transactions/%ff".to_owned(), 400, "bad_request"),
        ("GET /v1/blocks/tallest".to_owned(), 400, "bad_request"),
        ("GET /v1/blocks/7".to_owned(), 404, "unknown_block"),
        (
            format!("GET /v1/contracts/{contract}"),
            404,
            "unknown_contract",
        ),
        ("GET /v1/contracts/7".to_owned(), 400, "bad_request"),
        (
            format!("GET /v1/contracts/{contract}/versions"),
            404,
            "unknown_contract",
        ),
        (
            format!("GET /v1/contracts/{contract}/versions/1"),
            404,
            "unknown_contract",
        ),
        (
            "GET /v1/contracts/7/versions/1".to_owned(),
            400,
            "bad_request",
        ),
        (
            format!("GET /v1/contracts/{contract}/versions/first"),
            400,
            "bad_request",
        ),
        (
            format!("GET /v1/contracts/{contract}/versions?at=1"),
            400,
            "bad_request",
        ),
        (
            format!("GET /v1/accounts/{stranger}"),
            404,
            "unknown_account",
        ),
        ("GET /v1/accounts/did:web:x".to_owned(), 400, "bad_request"),
        (
            format!("GET /v1/proofs/transactions/{id}"),
            404,
            "unknown_transaction",
        ),
        (
            "GET /v1/status\nHost: evil.example".to_owned(),
            403,
            "wrong_host",
        ),
        (
            "POST /v1/query\nContent-Type: text/plain".to_owned(),
            415,
            "unsupported_media_type",
        ),
    ] {
        let answer = ledger.ask(&head, "").await;
        assert_eq!(code(&answer), (status, expected), "{head}: {answer:?}");
    }
    let long = "x".repeat(65);
    for (path, body, status, expected) in [
        ("/v1/query", "{".to_owned(), 400, "bad_request"),
        ("/v1/query", "{}".to_owned(), 400, "bad_request"),
        (
            "/v1/transactions",
            r#"{"transaction":"%"}"#.to_owned(),
            400,
            "bad_request",
        ),
        (
            "/v1/query",
            json!({ "contract": contract, "method": "can_read", "args": "" }).to_string(),
            404,
            "unknown_contract",
        ),
        (
            "/v1/query",
            json!({ "contract": contract, "method": long, "args": "" }).to_string(),
            413,
            "too_large",
        ),
    ] {
        let answer = ledger.post(path, &body).await;
        assert_eq!(
            code(&answer),
            (status, expected),
            "{path} {body}: {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_status_health_and_metrics_tell_the_same_story() {
    let mut ledger = Ledger::start(&ApiConfig::default()).await;
    let client = ledger.client();
    let signed = ledger.admission(1).sign(&ledger.registrar);
    let height = ledger.execute(vec![signed.clone()]);
    let block = client.block("latest").await.expect("a block");
    assert_eq!((block.height, block.is_final), (height, false));
    assert_eq!(block.transactions, [signed.id()]);
    let first = client.block("0").await.expect("a block");
    assert_eq!((first.hash, first.is_final), (block.parent, true));
    ledger.certify();
    assert!(client.block("1").await.expect("a block").is_final);

    let status = client.status().await.expect("a status");
    assert_eq!((status.height, status.final_height), (height, height));
    assert_eq!((status.validator.as_str(), status.quorum), ("bank-a", 1));
    assert_eq!(status.block_time_ms, block.time_ms);
    let chain = client.chain().await.expect("the chain");
    let genesis = Genesis::parse(&chain.genesis).expect("a genesis");
    assert_eq!(genesis.chain_id(), chain.chain_id);

    assert_eq!(
        ledger.ask("GET /health/live", "").await,
        (200, json!({ "live": true }))
    );
    let ready = ledger.ask("GET /health/ready", "").await;
    assert_eq!(ready, (200, json!({ "ready": true, "reasons": [] })));
    let (code, text) = ledger.ask_text("GET /metrics", "").await;
    assert_eq!(code, 200);
    assert!(
        text.lines().any(|line| line == "chancery_final_height 1"),
        "{text}"
    );
    ledger
        .progress
        .send_modify(|progress| progress.halted = Some("evidence".to_owned()));
    let (code, ready) = ledger.ask("GET /health/ready", "").await;
    assert_eq!(
        (code, ready["reasons"][0].as_str()),
        (503, Some("halted: evidence"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_ends_in_time_and_waiters_are_limited() {
    let config = ApiConfig {
        waiting_max: 1,
        ..ApiConfig::default()
    };
    let ledger = Arc::new(Ledger::start(&config).await);
    let path = format!(
        "GET /v1/transactions/{}?wait_ms=600",
        TransactionId([9; 32])
    );
    let first = tokio::spawn({
        let (ledger, path) = (Arc::clone(&ledger), path.clone());
        async move { ledger.ask(&path, "").await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        code(&ledger.ask(&path, "").await),
        (503, "too_many_waiting")
    );
    let started = Instant::now();
    let (status, answer) = first.await.expect("no panic");
    assert_eq!((status, answer["state"].as_str()), (200, Some("unknown")));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(
        ledger.ask(&path, "").await.0,
        200,
        "the place is free again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let config = ApiConfig {
        connections_max: 8,
        ..ApiConfig::default()
    };
    let ledger = Ledger::start(&config).await;
    let path = format!("/v1/transactions/{}?wait_ms=5000", TransactionId([9; 32]));
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut held = Vec::new();
    for _ in 0..8 {
        let stream = TcpStream::connect(ledger.server.address()).await;
        let mut stream = stream.expect("connects");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("is taken");
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut waits = Box::pin(ledger.ask("GET /health/live", ""));
    let early = tokio::time::timeout(Duration::from_millis(1_500), waits.as_mut()).await;
    assert!(early.is_err(), "all places are taken");
    drop(held);
    assert_eq!(waits.await.0, 200);
    ledger.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_ask_nothing_keep_nobody_out() {
    let config = ApiConfig {
        connections_max: 8,
        ..ApiConfig::default()
    };
    let ledger = Ledger::start(&config).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let stream = TcpStream::connect(ledger.server.address()).await;
        let mut stream = stream.expect("connects");
        stream.write_all(b"GET /").await.expect("is taken");
        held.push(stream);
    }
    let started = Instant::now();
    for _ in 0..3 {
        assert_eq!(ledger.ask("GET /health/live", "").await.0, 200);
    }
    assert!(started.elapsed() < Duration::from_secs(8));
    drop(held);
}
