//! Proofs of the newest state.

use chancery_ledger::state_bundle::{ENTRIES_MAX, StateBundle};
use chancery_ledger::state_claim::StateClaim;
use chancery_ledger::state_key::{AccountRecord, StateKey};

use super::*;

const PATH: &str = "/v1/proofs/state";

fn account(seed: u8) -> Vec<u8> {
    StateKey::Account(key(seed).account()).to_bytes()
}

/// A key under which nothing stands.
fn nothing(number: u64) -> Vec<u8> {
    StateKey::Storage(ContractId::default(), &number.to_be_bytes()).to_bytes()
}

fn asking(keys: &[Vec<u8>]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| BASE64.encode(key)).collect();
    json!({ "keys": keys }).to_string()
}

/// What an auditor makes of the file.
async fn proved(ledger: &Ledger, file: &[u8]) -> StateClaim {
    let bundle = StateBundle::from_json(std::str::from_utf8(file).expect("text"));
    let policy = ledger.client().chain().await.expect("the chain").policy;
    let policy: Policy = policy.parse().expect("a policy");
    bundle.expect("a bundle").verify(&policy).expect("verifies")
}

fn roles(claim: &StateClaim, entry: usize) -> Option<Vec<Role>> {
    let value = claim.entries[entry].value.as_deref()?;
    let bytes = hex::decode(value).expect("hexadecimal");
    let record: AccountRecord =
        chancery_ledger::decode_canonical(&bytes, bytes.len()).expect("a record");
    Some(record.roles)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_state_is_proved_once_it_is_final() {
    let mut ledger = Ledger::start(&ApiConfig::default()).await;
    let keys = [account(50), account(51), nothing(0)];
    let asked = asking(&keys);
    let answer = ledger.post(PATH, &asked).await;
    assert_eq!(code(&answer), (409, "not_final_yet"), "of genesis");

    let admission = ledger.admission(1).sign(&ledger.registrar);
    let height = ledger.execute(vec![admission]);
    let answer = ledger.post(PATH, &asked).await;
    assert_eq!(code(&answer), (409, "not_final_yet"), "waited in vain");

    // The values are those of the block that the proof has waited for, whatever comes meanwhile.
    let waiting = tokio::spawn({
        let (client, keys) = (ledger.client(), keys.to_vec());
        async move { client.state_proof(keys).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut other = ledger.admission(2);
    other.call = Call::Admit {
        account: key(50).account(),
        roles: Vec::new(),
    };
    let _ = ledger.execute(vec![other.sign(&ledger.registrar)]);
    ledger.certify();
    let file = waiting.await.expect("no panic").expect("a proof");
    let claim = proved(&ledger, &file).await;
    assert_eq!(
        (claim.height, claim.checkpoint_height),
        (height, height.next())
    );
    assert_eq!(roles(&claim, 0), Some(vec![Role::Deployer]));
    assert_eq!((roles(&claim, 1), &claim.entries[2].value), (None, &None));

    let file = ledger.client().state_proof(keys.to_vec()).await;
    let claim = proved(&ledger, &file.expect("a proof")).await;
    assert_eq!(
        (claim.height, roles(&claim, 0)),
        (height.next(), Some(Vec::new()))
    );
}

/// The tree follows the store by a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proof_is_made_of_a_tree_of_another_block() {
    let mut ledger = Ledger::start(&ApiConfig::default()).await;
    let old = ledger.node.state.borrow().clone();
    let admission = ledger.admission(1).sign(&ledger.registrar);
    let height = ledger.execute(vec![admission]);
    ledger.certify();
    let new = ledger.node.state.borrow().clone();
    ledger.state.send_replace(old);
    let asked = asking(&[account(50)]);
    let answer = ledger.post(PATH, &asked).await;
    assert_eq!(code(&answer), (503, "not_ready"));
    let waiting = tokio::spawn({
        let client = ledger.client();
        async move { client.state_proof(vec![account(50)]).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    ledger.state.send_replace(new);
    let file = waiting.await.expect("no panic").expect("a proof");
    assert_eq!(proved(&ledger, &file).await.height, height);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_is_bounded() {
    let config = ApiConfig {
        waiting_max: 1,
        ..ApiConfig::default()
    };
    let mut ledger = Ledger::start(&config).await;
    let admission = ledger.admission(1).sign(&ledger.registrar);
    let _ = ledger.execute(vec![admission]);

    // Nothing is certified, so who asks waits, and takes the only place.
    let url = ledger.url();
    let waiting = tokio::spawn(async move {
        let client = Client::new([url]).expect("an address");
        client.state_proof(vec![account(50)]).await
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let answer = ledger.post(PATH, &asking(&[account(50)])).await;
    assert_eq!(code(&answer), (503, "too_many_waiting"));
    assert!(waiting.await.expect("no panic").is_err(), "not final");
    ledger.certify();

    let many = |count: usize| -> Vec<Vec<u8>> {
        let long = |number: u64| [&nothing(number)[..], &[7; 100]].concat();
        (0..).map(long).take(count).collect()
    };
    // Longer than a transaction may be here.
    let client = ledger.client();
    let file = client
        .state_proof(many(ENTRIES_MAX))
        .await
        .expect("a proof");
    assert_eq!(proved(&ledger, &file).await.entries.len(), ENTRIES_MAX);
    for (body, status, expected) in [
        (asking(&many(ENTRIES_MAX + 1)), 413, "too_large"),
        (asking(&[vec![4; 500_000]]), 413, "too_large"),
        (asking(&[]), 400, "bad_request"),
        (
            asking(&[nothing(1), nothing(2), nothing(1)]),
            400,
            "bad_request",
        ),
        (asking(&[vec![9; 33]]), 400, "bad_request"),
        (asking(&[Vec::new()]), 400, "bad_request"),
        (r#"{"keys":["%"]}"#.to_owned(), 400, "bad_request"),
        ("{}".to_owned(), 400, "bad_request"),
    ] {
        let answer = ledger.post(PATH, &body).await;
        assert_eq!(code(&answer), (status, expected), "{answer:?}");
    }
    let answer = ledger.ask(&format!("GET {PATH}"), "").await;
    assert_eq!(code(&answer), (405, "method_not_allowed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_stopped_says_so() {
    let mut ledger = Ledger::start(&ApiConfig::default()).await;
    let admission = ledger.admission(1).sign(&ledger.registrar);
    let _ = ledger.execute(vec![admission]);
    ledger
        .progress
        .send_modify(|progress| progress.halted = Some("evidence".to_owned()));
    let answer = ledger.post(PATH, &asking(&[account(50)])).await;
    assert_eq!(code(&answer), (503, "not_ready"));
}

/// A certificate of another block than the one that is here: this validator is wrong, and hands out
/// nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_certified_otherwise_is_not_handed_out() {
    let mut ledger = Ledger::start(&ApiConfig::default()).await;
    let admission = ledger.admission(1).sign(&ledger.registrar);
    let id = admission.id();
    let _ = ledger.execute(vec![admission]);
    ledger.certify();
    ledger.progress.send_modify(|progress| {
        let certificate = progress.certificate.as_mut().expect("one");
        certificate.statement.root.0[0] ^= 1;
    });
    let answer = ledger.post(PATH, &asking(&[account(50)])).await;
    assert_eq!(code(&answer), (409, "not_final_yet"));
    let path = format!("GET /v1/proofs/transactions/{id}");
    assert_eq!(code(&ledger.ask(&path, "").await), (409, "not_final_yet"));
}
