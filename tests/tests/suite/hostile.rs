//! The corpus of hostile modules, handed to four validators while others go about their business.
//! `contracts/runtime/tests/hostile.rs` compares engines on the same modules.

#[path = "../../../contracts/runtime/tests/common/corpus.rs"]
mod corpus;
#[path = "../../../contracts/runtime/tests/common/text.rs"]
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_client::api::{Outcome, TransactionInfo};
use chancery_client::{Client, KeyStore, clock};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    Call, ChainLimits, ContractId, Fuel, Millis, SecretKey, Transaction, TransactionId, TrapKind,
    Upgraders,
};
use chancery_runtime::Runtime;
use chancery_tests::cluster::Cluster;
use chancery_tests::intact::{History, assert_ledger_intact};
use chancery_tests::load::Load;
use corpus::{Attack, FRIENDLY, HOSTILE_FUEL};
use parity_scale_codec::Encode as _;
use serde_json::json;
use tokio::task::JoinSet;

/// Enough for each deployment of the corpus, and what it burns that never ends.
const DEPLOY_FUEL: u64 = 480_000_000;
/// How long the attacker follows a transaction.
const PATIENCE: Duration = Duration::from_secs(60);
/// Honest transactions a second.
const RATE: u32 = 20;

struct Attacker<'a> {
    cluster: &'a Cluster,
    key: SecretKey,
    /// One for each validator.
    clients: Vec<Arc<Client>>,
    salt: u64,
}

impl<'a> Attacker<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let _ = cluster.ok(&["keys", "new", "mallory"]);
        let keys = KeyStore::new(Path::new(&cluster.dir()).join("keys"));
        let urls = cluster.all().into_iter().map(|index| cluster.api(index));
        Self {
            cluster,
            key: keys.load("mallory").expect("just made"),
            clients: urls
                .map(|url| Arc::new(Client::new([url]).expect("an address")))
                .collect(),
            salt: 0,
        }
    }

    fn sign(&mut self, fuel_max: u64, call: Call) -> SignedTransaction {
        self.salt += 1;
        let chain = self.cluster.description()["chain_id"].clone();
        let chain = chain.as_str().and_then(|chain| chain.parse().ok());
        Transaction {
            chain: chain.expect("a devnet has a chain id"),
            sender: self.key.account(),
            salt: self.salt,
            valid_until: Millis(clock().0 + 120_000),
            fuel_max: Fuel(fuel_max),
            call,
        }
        .sign(&self.key)
    }

    fn deployment(&mut self, code: &[u8]) -> SignedTransaction {
        let call = Call::Deploy {
            code: code.to_vec(),
            upgraders: Upgraders::nobody(),
            args: Vec::new(),
        };
        self.sign(DEPLOY_FUEL, call)
    }

    /// A call of what a deployment made, if it made something.
    fn call(&mut self, deployed: &SignedTransaction, friend: ContractId) -> SignedTransaction {
        let call = Call::Invoke {
            contract: ContractId::of_deployment(deployed.id()),
            method: "run".to_owned(),
            args: friend.0.to_vec(),
        };
        self.sign(HOSTILE_FUEL, call)
    }

    /// Hands all in, at all validators in turn, and waits until they are final.
    fn send(&self, all: &[SignedTransaction]) -> BTreeMap<TransactionId, TransactionInfo> {
        self.cluster.block_on(async {
            let mut under_way = JoinSet::new();
            for (number, signed) in all.iter().enumerate() {
                let client = Arc::clone(&self.clients[number % self.clients.len()]);
                let signed = signed.clone();
                under_way.spawn(async move {
                    let info = client.submit_and_wait(&signed, PATIENCE).await;
                    (signed.id(), info.expect("it is final"))
                });
            }
            under_way.join_all().await.into_iter().collect()
        })
    }

    /// A contract that means no harm.
    fn friend(&mut self) -> ContractId {
        let deploy = self.deployment(&text::wasm(&text::module(FRIENDLY)));
        let sent = self.send(std::slice::from_ref(&deploy));
        ended("the friend", &sent[&deploy.id()], None, DEPLOY_FUEL);
        ContractId::of_deployment(deploy.id())
    }

    /// No validator takes it from a client, and each says why.
    fn is_refused_everywhere(&self, attack: &Attack, signed: &SignedTransaction) {
        let (name, code, end) = attack;
        let error = Runtime::check_module(&ChainLimits::default(), code).expect_err(name);
        assert_eq!(Some(error.name()), end.rule(), "{name}");
        let body = json!({ "transaction": BASE64.encode(signed.encode()) }).to_string();
        for index in self.cluster.all() {
            let (status, answer) = self.cluster.post(index, "/v1/transactions", &body);
            let told = (&answer["error"]["code"], &answer["error"]["message"]);
            let expected = (&json!("module_refused"), &json!(error.to_string()));
            assert_eq!((status, told), (422, expected), "{name} at {index}");
        }
    }
}

/// That it trapped so and burnt all that it declared, or did not trap.
fn ended(name: &str, info: &TransactionInfo, trap: Option<TrapKind>, fuel_max: u64) {
    let receipt = info.receipt.as_ref().expect("what is final has a receipt");
    match (&receipt.outcome, trap) {
        (Outcome::Trapped { kind }, Some(expected)) => {
            let told = (*kind, receipt.fuel_used);
            assert_eq!(told, (expected, Fuel(fuel_max)), "{name}");
        }
        (Outcome::Applied { .. }, None) => {
            assert!(receipt.fuel_used < Fuel(fuel_max), "{name}: {receipt:?}");
        }
        _ => panic!("{name}: not {trap:?} but {receipt:?}"),
    }
}

/// That all validators say the same of it.
fn is_the_same_everywhere(cluster: &Cluster, name: &str, id: &TransactionId) {
    let path = format!("/v1/transactions/{id}");
    let first = cluster.get(0, &path);
    assert_eq!(first["state"], json!("final"), "{name}");
    for index in cluster.all() {
        assert_eq!(cluster.get(index, &path), first, "{name} at {index}");
    }
}

#[test]
fn hostile_modules_end_alike_on_all_validators_and_bother_nobody() {
    let cluster = Cluster::start(4);
    let honest = cluster.deploy_data_access("hospital");
    let mut attacker = Attacker::new(&cluster);
    let load = Load::start(&cluster, &honest, "hospital", RATE);
    let friend = attacker.friend();

    let attacks = [corpus::greedy(), corpus::crooked(), corpus::forbidden()].concat();
    let (mut deployments, mut calls) = (Vec::new(), Vec::new());
    for attack in &attacks {
        let deploy = attacker.deployment(&attack.1);
        calls.push(attacker.call(&deploy, friend));
        if attack.2.rule().is_some() {
            attacker.is_refused_everywhere(attack, &deploy);
        }
        deployments.push(deploy);
    }
    let taken = attacks.iter().zip(&deployments);
    let taken = taken.filter(|(attack, _)| attack.2.rule().is_none());
    let taken: Vec<(&Attack, &SignedTransaction)> = taken.collect();
    assert!(taken.len() > 30 && attacks.len() > taken.len() + 30);

    let handed_in: Vec<SignedTransaction> = taken.iter().map(|(_, d)| (*d).clone()).collect();
    let deployed = attacker.send(&handed_in);
    let called = attacker.send(&calls);
    cluster.level(&cluster.all());
    for ((name, _, end), deploy) in taken {
        ended(name, &deployed[&deploy.id()], end.traps().0, DEPLOY_FUEL);
        is_the_same_everywhere(&cluster, name, &deploy.id());
    }
    for ((name, _, end), call) in attacks.iter().zip(&calls) {
        ended(name, &called[&call.id()], end.traps().1, HOSTILE_FUEL);
        is_the_same_everywhere(&cluster, name, &call.id());
    }

    // Meanwhile nobody else was refused, or waited in vain.
    load.expect_more("the others go on", 20, 5);
    let told = load.finish();
    assert!(told.len() > 20, "{} others were served", told.len());
    let mut history = History::default();
    history.note(&told);
    // The same blocks everywhere: the same roots of receipts and of the state.
    let _ = assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}
