//! The patients' contract, compiled to Wasm, in the real executor.

mod common;

use chancery_schema::Schema;
use common::ROOT;
use common::shipped::{Module, Story, did};
use serde_json::json;

const NAME: &str = "health_consent";
const PATIENT: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
/// Seeds of accounts; the hospital is [`ROOT`].
const GRANTOR: u8 = 2;
const SPECIALIST: u8 = 3;
const CLINICIAN: u8 = 4;

fn hospital() -> Story {
    let mut story = Story::begin(NAME, &[]);
    for seed in [GRANTOR, SPECIALIST, CLINICIAN] {
        story.admit(seed);
    }
    story.applied(ROOT, "enrol", &[PATIENT, &did(GRANTOR)]);
    story.applied(ROOT, "add_clinician", &[&did(CLINICIAN)]);
    story
}

fn decide(story: &Story, who: u8, purpose: &str, rest: &str) -> serde_json::Value {
    let (action, resource) = (format!("access:{purpose}"), format!("{PATIENT}{rest}"));
    let now = story.ledger.time.to_string();
    story.query("decide", &[&did(who), &action, &resource, &now])
}

#[test]
fn a_specialist_gets_a_part_for_some_time() {
    let mut story = hospital();
    let (specialist, end) = (did(SPECIALIST), story.ledger.time + 100);
    let time = end.to_string();
    let texts = [
        PATIENT,
        &specialist,
        "TREAT",
        "Observation",
        "none",
        &time,
        "false",
    ];
    assert_eq!(story.refusal(SPECIALIST, "permit", &texts), "NotGrantor");
    let receipt = story.call(GRANTOR, "permit", &texts);
    let fields = json!({
        "patient": PATIENT, "actor": specialist, "purpose": "TREAT",
        "resource_type": "Observation", "start": story.ledger.time, "end": end,
        "number": 0, "under": null,
    });
    assert_eq!(story.event(&receipt), ("Permitted".to_owned(), fields));
    let permit = json!({"permit": {"until": end}});
    assert_eq!(
        decide(&story, SPECIALIST, "TREAT", "/Observation/7"),
        permit
    );
    for (who, purpose, rest) in [
        (SPECIALIST, "TREAT", "/Condition"),
        (SPECIALIST, "TREAT", ""),
        (SPECIALIST, "HRESCH", "/Observation"),
        (CLINICIAN, "TREAT", "/Observation"),
    ] {
        let decision = decide(&story, who, purpose, rest);
        assert!(
            decision.get("deny").is_some(),
            "{who} {purpose} {rest}: {decision}"
        );
    }
    story.applied(
        GRANTOR,
        "withdraw",
        &[PATIENT, &specialist, "TREAT", "Observation"],
    );
    let denial = json!({"deny": {"reason": "not granted"}});
    assert_eq!(decide(&story, SPECIALIST, "TREAT", "/Observation"), denial);
    let entry = story.query("entry", &["0"]);
    assert_eq!(entry["revoked_at"], json!(story.ledger.time));
}

#[test]
fn breaking_the_glass_is_seen_and_ends() {
    let mut story = hospital();
    assert_eq!(
        story.refusal(SPECIALIST, "break_glass", &[PATIENT]),
        "NotAClinician"
    );
    let receipt = story.call(CLINICIAN, "break_glass", &[PATIENT]);
    let until = story.ledger.time + 4 * 3_600_000;
    let fields = json!({
        "patient": PATIENT, "clinician": did(CLINICIAN), "until": until,
        "justification": null, "number": 0,
    });
    assert_eq!(story.event(&receipt), ("GlassBroken".to_owned(), fields));
    let permit = json!({"permit": {"until": until}});
    assert_eq!(decide(&story, CLINICIAN, "BTG", "/Condition"), permit);
    story.ledger.time = until;
    let denial = json!({"deny": {"reason": "expired"}});
    assert_eq!(decide(&story, CLINICIAN, "BTG", "/Condition"), denial);
}

#[test]
fn an_institution_assigns_and_the_patient_takes_back() {
    let mut story = hospital();
    let (hospital, clinician) = (did(ROOT), did(CLINICIAN));
    let time = (story.ledger.time + 100).to_string();
    let texts = [PATIENT, &hospital, "TREAT", "*", "none", &time, "true"];
    assert_eq!(story.applied(GRANTOR, "permit", &texts), json!(0));
    let texts = [PATIENT, &clinician, "TREAT", "Observation", &time];
    assert_eq!(story.applied(ROOT, "assign", &texts), json!(1));
    assert_eq!(
        story.refusal(CLINICIAN, "assign", &texts),
        "BeyondOwnPermission"
    );
    assert!(
        decide(&story, CLINICIAN, "TREAT", "/Observation")
            .get("permit")
            .is_some()
    );
    story.applied(GRANTOR, "withdraw", &[PATIENT, &hospital, "TREAT", "*"]);
    let denial = json!({"deny": {"reason": "revoked"}});
    assert_eq!(decide(&story, CLINICIAN, "TREAT", "/Observation"), denial);
}

#[test]
fn the_schema_and_the_native_contract_agree() {
    let native: Schema =
        serde_json::from_str(health_consent::HealthConsent::SCHEMA).expect("it is a schema");
    assert_eq!(native, Module::load(NAME).schema);
}
