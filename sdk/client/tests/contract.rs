//! A contract that a node tells of, and what comes of asking it.

mod common;

use chancery_client::api::Outcome;
use chancery_client::{Answer, Client, ClientError, Contract, ContractError, Told, Untold};
use chancery_ledger::{ContractId, TrapKind};
use common::serve;
use serde_json::{Value, json};

const ID: ContractId = ContractId([7; 32]);
const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

fn schema() -> Value {
    json!({
        "name": "Share",
        "methods": [
            {"name": "halve", "kind": "view", "args": [{"name": "of", "type": "u8"}],
             "returns": "{half: u8, rest: bool}"},
            {"name": "give", "kind": "call"},
        ],
        "errors": [{"code": 4, "name": "too_small"}],
    })
}

/// A node that has the contract at version 2, and this answer to the one question `halve(5)`.
fn node(schema: Value, answer: Value) -> Client {
    let url = serve(move |request| {
        let contract = format!("/v1/contracts/{ID}");
        let (id, code) = (ID.to_string(), "00".repeat(32));
        let (since, schema) = (json!({"height": 1, "index": 0}), schema.clone());
        let told = if request.is_post {
            let asked: Value = serde_json::from_str(&request.body).expect("JSON");
            assert_eq!(
                asked,
                json!({"contract": id, "method": "halve", "args": "BQ=="})
            );
            answer.clone()
        } else if request.path == contract {
            json!({
                "contract": id, "code": code, "version": 2, "deployer": DID,
                "upgraders": {"quorum": 0, "accounts": []}, "approvals": [], "schema": schema,
            })
        } else if request.path == format!("{contract}/versions/1") {
            json!({
                "contract": id, "code": code, "version": 1, "since": since, "schema": schema,
            })
        } else {
            // Another contract than the one that is asked for.
            json!({
                "contract": "09".repeat(32), "code": code, "version": 2, "deployer": DID,
                "upgraders": {"quorum": 0, "accounts": []}, "approvals": [], "schema": schema,
            })
        };
        Some(("200 OK", told.to_string()))
    });
    Client::new([url]).expect("an address")
}

fn answer(version: u32, outcome: Value) -> Value {
    let time = "2026-01-31T12:00:00Z";
    let mut answer = json!({
        "fuel_used": 1, "contract_version": version, "height": 3, "block_time": time,
        "block_time_ms": 5, "time_used": time, "time_used_ms": 5, "time_source": "block",
    });
    for (name, value) in outcome.as_object().expect("an object") {
        answer[name] = value.clone();
    }
    answer
}

async fn asked(version: u32, outcome: Value) -> Answer {
    let client = node(schema(), answer(version, outcome));
    let contract = Contract::open(&client, ID).await.expect("has a schema");
    assert_eq!((contract.id(), contract.version()), (ID, 2));
    let answer = contract.query(&client, "halve", &json!({"of": 5})).await;
    answer.expect("an answer")
}

#[tokio::test]
async fn a_view_answers_in_the_words_of_its_schema() {
    let applied = json!({"status": "applied", "value": "AgE="});
    let answer = asked(2, applied.clone()).await;
    let value = json!({"half": 2, "rest": true});
    assert_eq!(answer.told, Told::Applied { value });
    assert_eq!(answer.info.height.0, 3);
    let refused = asked(2, json!({"status": "reverted", "code": 4, "data": ""})).await;
    match refused.told {
        Told::Reverted { error, .. } => assert_eq!(error.name, "too_small"),
        other => panic!("{other:?}"),
    }
    let trapped = asked(2, json!({"status": "trapped", "kind": "out_of_fuel"})).await;
    let kind = TrapKind::OutOfFuel;
    assert_eq!(trapped.told, Told::Trapped { kind });
    // Upgraded in between.
    match asked(3, applied).await.told {
        Told::Untold {
            outcome: Outcome::Applied { value },
            reason,
        } => {
            assert_eq!(value.0, [2, 1]);
            assert_eq!(reason, Untold::OtherVersion { ran: 3, known: 2 });
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_question_is_not_asked() {
    // Whoever is asked after all fails the assertion of the node.
    let client = node(schema(), Value::Null);
    let contract = Contract::open(&client, ID).await.expect("has a schema");
    for (view, args, words) in [
        ("give", json!({}), "give of contract Share may change state"),
        ("take", json!({}), "has no view \"take\"; it has: halve"),
        ("halve", json!({}), "halve: argument of (u8) is missing"),
        ("halve", json!([5, 6]), "halve: 2 arguments are given"),
        ("halve", json!([300]), "halve: argument of: \"300\""),
    ] {
        let error = contract.query(&client, view, &args).await;
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
    }
    let old = Contract::open_version(&client, ID, 1).await;
    assert_eq!(old.map(|old| old.version()), Ok(1));
}

#[tokio::test]
async fn a_contract_without_a_schema_that_can_be_read_is_not_opened() {
    let long = json!({"name": "x", "docs": "d".repeat(131_072), "methods": []});
    for (schema, words) in [
        (Value::Null, "does not say what its methods take"),
        (json!({"name": "x"}), "is not understood here"),
        (long, "more than the 131072"),
    ] {
        let error = Contract::open(&node(schema, Value::Null), ID).await;
        let error = error.expect_err("not opened");
        assert!(matches!(error, ContractError::Schema { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("contract {ID} ")), "{text}");
        assert!(text.contains(words), "{text}");
    }
    let error = Contract::open(&node(schema(), Value::Null), ContractId([8; 32])).await;
    assert!(
        matches!(
            error,
            Err(ContractError::Client(ClientError::BadAnswer { .. }))
        ),
        "{error:?}"
    );
}
