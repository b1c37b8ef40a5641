//! contracts/provenance, compiled to Wasm, in the real executor.

mod common;

use chancery_ledger::state_key::StateKey;
use chancery_schema::Schema;
use common::shipped::{Module, Story, did};
use common::{Ledger, ROOT};
use serde_json::json;

const MAKER: u8 = 2;
const SHIPPER: u8 = 3;
const RETAILER: u8 = 4;
const PREFIX: &str = "4012345";
const ITEM: &str = "abababababababababababababababababababababababababababababababab";
const OTHER: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
const EVENT: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn commissioned() -> Story {
    let mut ledger = Story::among(&[MAKER, SHIPPER, RETAILER], "provenance", Ledger::new());
    ledger.applied(ROOT, "register_manufacturer", &[PREFIX, &did(MAKER)]);
    ledger.applied(MAKER, "commission", &[PREFIX, ITEM, EVENT]);
    ledger
}

#[test]
fn goods_go_from_the_manufacturer_to_the_customer() {
    let mut ledger = commissioned();
    let offer = ledger.applied(MAKER, "offer", &[PREFIX, ITEM, &did(SHIPPER), EVENT]);
    assert_eq!(offer, json!(1));
    let receipt = ledger.call(SHIPPER, "accept", &[PREFIX, ITEM, "1", EVENT]);
    let accepted = json!({
        "company_prefix": PREFIX, "item": ITEM, "number": 2, "from": did(MAKER),
        "recipient": did(SHIPPER),
    });
    assert_eq!(ledger.events(&receipt), [("Accepted".to_owned(), accepted)]);
    ledger.applied(SHIPPER, "offer", &[PREFIX, ITEM, &did(RETAILER), EVENT]);
    ledger.applied(RETAILER, "refuse", &[PREFIX, ITEM, "3"]);
    ledger.applied(SHIPPER, "offer", &[PREFIX, ITEM, &did(RETAILER), EVENT]);
    ledger.applied(SHIPPER, "withdraw", &[PREFIX, ITEM]);
    ledger.applied(SHIPPER, "offer", &[PREFIX, ITEM, &did(RETAILER), EVENT]);
    ledger.applied(RETAILER, "accept", &[PREFIX, ITEM, "7", EVENT]);
    ledger.applied(RETAILER, "observe", &[PREFIX, ITEM, EVENT]);
    ledger.applied(RETAILER, "decommission", &[PREFIX, ITEM, EVENT]);
    let sold = ledger.query("item", &[PREFIX, ITEM]);
    assert_eq!(sold["manufacturer"], json!(did(MAKER)));
    assert_eq!(
        (&sold["custodian"], &sold["entries"]),
        (&json!(did(RETAILER)), &json!(11))
    );
    assert_eq!(sold["decommissioned_at"], json!(ledger.ledger.time));
    let steps: Vec<_> = (0..11)
        .map(|number: u32| {
            let entry = ledger.query("entry", &[PREFIX, ITEM, &number.to_string()]);
            entry["step"].clone()
        })
        .collect();
    let offered_to = |seed| json!({"offered": {"recipient": did(seed)}});
    let expected = [
        json!("commissioned"),
        offered_to(SHIPPER),
        json!("accepted"),
        offered_to(RETAILER),
        json!("refused"),
        offered_to(RETAILER),
        json!("withdrawn"),
        offered_to(RETAILER),
        json!("accepted"),
        json!("observed"),
        json!("decommissioned"),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_counterfeit_has_no_entry() {
    let mut ledger = commissioned();
    ledger.refused(RETAILER, "item", &[PREFIX, OTHER], "NotCommissioned");
    ledger.refused(RETAILER, "item", &["5099999", ITEM], "NoManufacturer");
    ledger.refused(
        RETAILER,
        "observe",
        &[PREFIX, OTHER, EVENT],
        "NotCommissioned",
    );
    let key = |item: u8| {
        let prefix = [&[28], PREFIX.as_bytes()].concat();
        let key = [&b"item/"[..], &prefix, &[item; 32]].concat();
        StateKey::Storage(ledger.contract, &key).to_bytes()
    };
    let state = &ledger.ledger.state.entries;
    assert!(state.contains_key(&key(0xab)) && !state.contains_key(&key(0xcd)));
}

#[test]
fn refusals_have_their_names() {
    let mut ledger = commissioned();
    let stranger = did(99);
    ledger.refused(
        MAKER,
        "register_manufacturer",
        &["5012345", &did(MAKER)],
        "NotOwner",
    );
    ledger.refused(
        ROOT,
        "register_manufacturer",
        &["5012", &did(MAKER)],
        "BadCompanyPrefix",
    );
    ledger.refused(
        ROOT,
        "register_manufacturer",
        &["401234", &did(MAKER)],
        "PrefixOverlaps",
    );
    ledger.refused(
        ROOT,
        "register_manufacturer",
        &["5012345", &stranger],
        "NotAdmitted",
    );
    ledger.refused(ROOT, "revoke_manufacturer", &["5012345"], "NoManufacturer");
    ledger.refused(
        SHIPPER,
        "commission",
        &[PREFIX, OTHER, EVENT],
        "NotManufacturer",
    );
    ledger.refused(
        MAKER,
        "commission",
        &[PREFIX, ITEM, EVENT],
        "AlreadyCommissioned",
    );
    ledger.refused(
        SHIPPER,
        "offer",
        &[PREFIX, ITEM, &did(SHIPPER), EVENT],
        "NotCustodian",
    );
    ledger.refused(
        MAKER,
        "offer",
        &[PREFIX, ITEM, &did(MAKER), EVENT],
        "SameParty",
    );
    ledger.refused(MAKER, "withdraw", &[PREFIX, ITEM], "NoOffer");
    ledger.applied(MAKER, "offer", &[PREFIX, ITEM, &did(SHIPPER), EVENT]);
    ledger.refused(MAKER, "decommission", &[PREFIX, ITEM, EVENT], "OfferOpen");
    ledger.refused(
        RETAILER,
        "accept",
        &[PREFIX, ITEM, "1", EVENT],
        "NotTheRecipient",
    );
    ledger.refused(SHIPPER, "accept", &[PREFIX, ITEM, "0", EVENT], "OtherOffer");
    ledger.refused(SHIPPER, "entry", &[PREFIX, ITEM, "2"], "UnknownEntry");
    ledger.applied(SHIPPER, "accept", &[PREFIX, ITEM, "1", EVENT]);
    ledger.applied(SHIPPER, "decommission", &[PREFIX, ITEM, EVENT]);
    ledger.refused(SHIPPER, "observe", &[PREFIX, ITEM, EVENT], "Decommissioned");
    let epc = "urn:epc:id:sgtin:4012345.011111";
    ledger.refused(SHIPPER, "item_id", &[epc, "AAAA"], "BadEpc");
    ledger.refused(
        SHIPPER,
        "item_id",
        &[&format!("{epc}.987"), "AAAA"],
        "BadSalt",
    );
}

/// What an account signed for another contract gives that contract no rights here.
#[test]
fn a_contract_has_custody_of_nothing() {
    let mut ledger = commissioned();
    let item = [PREFIX, OTHER, EVENT];
    ledger.refused_to_a_contract(MAKER, "commission", &item, "NotAnAccount");
    let manufacturer = ["5012345", &did(MAKER)];
    ledger.refused_to_a_contract(ROOT, "register_manufacturer", &manufacturer, "NotOwner");
    for method in ["observe", "decommission"] {
        ledger.refused_to_a_contract(MAKER, method, &[PREFIX, ITEM, EVENT], "NotAnAccount");
    }
    let offer = [PREFIX, ITEM, &did(SHIPPER), EVENT];
    ledger.refused_to_a_contract(MAKER, "offer", &offer, "NotAnAccount");
    ledger.applied(MAKER, "offer", &offer);
    let take = [PREFIX, ITEM, "1", EVENT];
    ledger.refused_to_a_contract(SHIPPER, "accept", &take, "NotAnAccount");
    ledger.refused_to_a_contract(SHIPPER, "refuse", &take[..3], "NotAnAccount");
    ledger.refused_to_a_contract(MAKER, "withdraw", &take[..2], "NotAnAccount");
}

/// What `printf` and `sha256sum` say too.
#[test]
fn the_name_of_an_item_is_sha256_of_salt_and_epc() {
    let ledger = commissioned();
    let epc = "urn:epc:id:sgtin:4012345.011111.987";
    let salt = "AAECAwQFBgcICQoLDA0ODw==";
    let id = ledger.query("item_id", &[epc, salt]);
    let bytes: Vec<u8> = (0..16).chain(epc.bytes()).collect();
    let expected = chancery_ledger::hash::sha256(&bytes).to_string();
    assert_eq!(id, json!({"company_prefix": PREFIX, "item": expected}));
}

#[test]
fn the_schema_and_the_native_contract_agree() {
    let native: Schema = serde_json::from_str(provenance::Provenance::SCHEMA).expect("a schema");
    assert_eq!(native, Module::load("provenance").schema);
}
