//! The corpus of hostile modules, handed to four validators while others go about their business.
//! `contracts/runtime/tests/hostile.rs` compares engines on the same modules.

#[path = "../../../contracts/runtime/tests/common/corpus.rs"]
mod corpus;
#[path = "../../../contracts/runtime/tests/common/text.rs"]
mod text;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
use chancery_tests::load::{Acknowledged, Load};
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
/// Calls that burn all that they may: one more than a batch has room for.
const ENDLESS: usize = 11;
/// None of the others waits that long: longer than a batch takes that burns all that it may, on each
/// of four validators on two cores.
const LATE: Duration = Duration::from_secs(30);

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
    fn call(
        &mut self,
        deployed: &SignedTransaction,
        friend: ContractId,
        fuel_max: u64,
    ) -> SignedTransaction {
        let call = Call::Invoke {
            contract: ContractId::of_deployment(deployed.id()),
            method: "run".to_owned(),
            args: friend.0.to_vec(),
        };
        self.sign(fuel_max, call)
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

/// What others handed in while the attack went on was served, none of it late.
fn others_went_on(told: &[Acknowledged], attack: &Range<Instant>) {
    let sent = told.iter().filter(|it| attack.contains(&it.sent));
    let waits: Vec<Duration> = sent.map(|it| it.told.duration_since(it.sent)).collect();
    let worst = waits.iter().max().expect("some were handed in meanwhile");
    let (count, lasted) = (waits.len(), attack.end.duration_since(attack.start));
    println!("an attack of {lasted:?}: {count} others were served, each within {worst:?}");
    assert!(count > 20, "{count} were served");
    assert!(*worst < LATE, "one was served after {worst:?}");
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
        calls.push(attacker.call(&deploy, friend, HOSTILE_FUEL));
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
    let begun = Instant::now();
    let deployed = attacker.send(&handed_in);
    let called = attacker.send(&calls);
    // Whole batches of the most that a transaction may burn.
    let fuel_max = ChainLimits::default().transaction_fuel_max;
    let endless: Vec<SignedTransaction> = (0..ENDLESS)
        .map(|_| attacker.call(&deployments[0], friend, fuel_max))
        .collect();
    let burnt = attacker.send(&endless);
    let attack = begun..Instant::now();
    cluster.level(&cluster.all());
    for call in &endless {
        let trap = Some(TrapKind::OutOfFuel);
        ended("to the end", &burnt[&call.id()], trap, fuel_max);
    }
    for ((name, _, end), deploy) in taken {
        ended(name, &deployed[&deploy.id()], end.traps().0, DEPLOY_FUEL);
        is_the_same_everywhere(&cluster, name, &deploy.id());
    }
    for ((name, _, end), call) in attacks.iter().zip(&calls) {
        ended(name, &called[&call.id()], end.traps().1, HOSTILE_FUEL);
        is_the_same_everywhere(&cluster, name, &call.id());
    }

    // Nobody else was refused, or waited in vain.
    let told = load.finish();
    others_went_on(&told, &attack);
    let mut history = History::default();
    history.note(&told);
    // The same blocks everywhere: the same roots of receipts and of the state.
    let _ = assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}
