//! Which version of a contract ran where, on blocks and entries of the test's choice.

use chancery_client::api::{EventFilter, Start, TransactionFilter, VersionInfo};
use chancery_ledger::state_key::{ContractRecord, StateKey, VersionRecord};
use chancery_ledger::{CodeHash, TransactionPlace};

use super::events::{Done, contract};
use super::*;

const CONTRACT: u8 = 7;
/// Called by the other one, and not in the state.
const UNKNOWN: u8 = 8;

/// A module with nothing but a schema.
fn code(version: u32) -> Vec<u8> {
    let schema = json!({"name": format!("v{version}"), "methods": []}).to_string();
    let name = "chancery.schema";
    let length = |bytes: usize| u8::try_from(bytes).expect("one byte of LEB128");
    let section = [&[length(name.len())], name.as_bytes(), schema.as_bytes()].concat();
    assert!(section.len() < 128);
    [
        b"\0asm\x01\0\0\0".as_slice(),
        &[0, length(section.len())],
        &section,
    ]
    .concat()
}

fn at(height: Height, index: u32) -> TransactionPlace {
    TransactionPlace { height, index }
}

/// The entries of a version that begins there.
fn upgraded(version: u32, since: TransactionPlace) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let (id, code) = (contract(CONTRACT), code(version));
    let hash = CodeHash::of(&code);
    let record = ContractRecord {
        code: hash,
        version,
        deployer: key(4).account(),
        upgraders: Upgraders::nobody(),
        load_fuel: Fuel(1),
    };
    let version_record = VersionRecord { code: hash, since };
    [
        (StateKey::Contract(id), record.encode()),
        (StateKey::Version(id, version), version_record.encode()),
        (StateKey::Code(hash), code),
    ]
    .map(|(key, value)| (key.to_bytes(), Some(value)))
    .into()
}

/// So many calls that announce something, each with something of a contract that it calls.
fn calls(count: usize) -> Vec<Done> {
    let call = Done {
        sender: 4,
        contract: Some(CONTRACT),
        events: vec![(CONTRACT, "Acted", 1), (UNKNOWN, "Acted", 1)],
    };
    vec![call; count]
}

impl Ledger {
    /// Blocks of four transactions; versions begin at 1.1, 3.2, 3.3 and 4.0.
    fn with_versions(&self) -> Vec<TransactionPlace> {
        let since =
            [(1, 1), (3, 2), (3, 3), (4, 0)].map(|(height, index)| at(Height(height), index));
        let version = |number: u32| upgraded(number, since[number as usize - 1]);
        let third: BTreeMap<_, _> = version(2).into_iter().chain(version(3)).collect();
        for changes in [
            version(1),
            BTreeMap::new(),
            third,
            version(4),
            BTreeMap::new(),
        ] {
            let height = self.write_with(&calls(4), &changes);
            self.finalize(height);
        }
        since.to_vec()
    }
}

/// Stated anew: how many have begun.
fn expected(since: &[TransactionPlace], place: TransactionPlace) -> Option<u32> {
    let begun = since.iter().filter(|since| **since <= place).count();
    u32::try_from(begun).ok().filter(|version| *version > 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_says_which_version_ran() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    let since = ledger.with_versions();
    let client = ledger.client();
    let all = EventFilter::default();
    let page = client.events(&all, Start::Beginning, None);
    let events = page.await.expect("a page").events;
    assert_eq!(events.len(), 2 * 4 * 5);
    for event in &events {
        let version = expected(&since, at(event.height, event.index));
        let version = version.filter(|_| event.contract == contract(CONTRACT));
        assert_eq!(event.contract_version, version, "{event:?}");
    }
    let versions: Vec<_> = events.iter().filter_map(|it| it.contract_version).collect();
    assert_eq!(versions[..3], [1; 3], "1.0 was before its deployment");
    assert_eq!(versions[7..], [[1, 1, 2, 3].as_slice(), &[4; 8]].concat());

    let of = TransactionFilter {
        contract: Some(contract(CONTRACT)),
        account: None,
    };
    let page = client.transactions(&of, Start::Beginning, None);
    let listed = page.await.expect("a page").transactions;
    assert_eq!(listed.len(), 20);
    for info in listed {
        let (height, index) = info.height.zip(info.index).expect("a place");
        let version = expected(&since, at(height, index));
        let receipt = info.receipt.clone().expect("a receipt");
        assert_eq!(receipt.contract_version, version);
        let announced = receipt.events.iter().map(|event| event.contract_version);
        assert_eq!(announced.collect::<Vec<_>>(), [version, None]);
        let one = client.transaction(info.id).await.expect("a transaction");
        assert_eq!(one, info);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_listed_in_pages_and_shown_with_their_schemas() {
    let config = ApiConfig {
        page_entries_max: 2,
        ..ApiConfig::default()
    };
    let ledger = Ledger::start(&config).await;
    let since = ledger.with_versions();
    let (client, id) = (ledger.client(), contract(CONTRACT));
    let info = |version: u32| VersionInfo {
        version,
        code: CodeHash::of(&code(version)),
        since: since[version as usize - 1],
    };
    for (from, versions, next) in [
        (1, vec![1, 2], Some(3)),
        (2, vec![2, 3], Some(4)),
        (3, vec![3, 4], None),
        (4, vec![4], None),
        (5, vec![], None),
        (u32::MAX, vec![], None),
    ] {
        let page = client
            .contract_versions(id, from, None)
            .await
            .expect("a page");
        let versions: Vec<_> = versions.into_iter().map(info).collect();
        assert_eq!((page.versions, page.next), (versions, next), "from {from}");
    }
    for version in 1..=4 {
        let shown = client.contract_version(id, version).await;
        let shown = shown.expect("a version");
        assert_eq!((shown.contract, shown.info), (id, info(version)));
        let schema = shown.schema.expect("a schema");
        assert_eq!(schema["name"], json!(format!("v{version}")));
    }
    for version in [0, 5] {
        let path = format!("GET /v1/contracts/{id}/versions/{version}");
        let answer = ledger.ask(&path, "").await;
        assert_eq!(super::code(&answer), (404, "unknown_version"));
    }
    let path = format!("GET /v1/contracts/{id}/versions?limit=3");
    assert_eq!(
        super::code(&ledger.ask(&path, "").await),
        (400, "bad_request")
    );
}

/// A ledger may be older than the entries of versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_state_does_not_say_which_version_ran_nobody_guesses() {
    let ledger = Ledger::start(&ApiConfig::default()).await;
    let mut changes = upgraded(2, at(Height(1), 1));
    changes.remove(&StateKey::Version(contract(CONTRACT), 2).to_bytes());
    let height = ledger.write_with(&calls(2), &changes);
    ledger.finalize(height);
    let client = ledger.client();
    let all = EventFilter::default();
    let page = client.events(&all, Start::Beginning, None);
    let events = page.await.expect("a page").events;
    assert!(events.iter().all(|event| event.contract_version.is_none()));
    let text = serde_json::to_string(&events).expect("JSON");
    assert!(!text.contains("contract_version"), "{text}");
    let page = client.contract_versions(contract(CONTRACT), 1, Some(1));
    let page = page.await.expect("a page");
    assert_eq!((page.versions, page.next), (vec![], None));
}
