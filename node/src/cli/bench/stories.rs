//! What the shipped contracts are measured with: for each a short story, of accounts that call its
//! methods one after the other.

use chancery_ledger::{AccountId, SecretKey};

use super::contracts::END;

/// A hash of something: of a document, a patient, an item, an event.
const HASH: &str = "abababababababababababababababababababababababababababababababab";
const PREFIX: &str = "4012345";

/// Who calls; the first one deploys.
pub(super) const ACCOUNTS: usize = 4;

/// A contract, its module's file in the folder, and what happens.
pub(super) struct Story {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    pub(super) init: Vec<String>,
    pub(super) steps: Vec<Step>,
}

/// A call or a view, by what the schema says.
pub(super) struct Step {
    /// Which account.
    pub(super) by: usize,
    pub(super) method: &'static str,
    pub(super) args: Vec<String>,
}

pub(super) fn account(index: usize) -> AccountId {
    let seed = u8::try_from(index + 1).expect("there are a few accounts");
    SecretKey::from_seed(&[seed; 32]).account()
}

fn did(index: usize) -> String {
    account(index).to_string()
}

fn step<const N: usize>(by: usize, method: &'static str, args: [&str; N]) -> Step {
    Step {
        by,
        method,
        args: args.map(str::to_owned).to_vec(),
    }
}

pub(super) fn all() -> [Story; 4] {
    let [_, a, b, c] = [0, 1, 2, 3].map(did);
    let [a, b, c] = [&*a, &*b, &*c];
    let end = &*END.to_string();
    let [eur, usd] =
        ["EUR", "USD"].map(|currency| format!(r#"{{"currency": "{currency}", "amount": "400"}}"#));
    [
        Story {
            name: "data-access",
            file: "data_access.wasm",
            init: vec![HASH.to_owned()],
            steps: vec![
                step(0, "grant_access", [a, end]),
                step(1, "can_read", [a]),
                step(0, "grant", [b, "read", "labs", end, "1"]),
                step(2, "pass_on", [c, "read", "labs/7", end, "0"]),
                step(3, "decide", [c, "read", "labs/7", "2000000"]),
                step(0, "revoke_access", [a]),
            ],
        },
        Story {
            name: "health-consent",
            file: "health_consent.wasm",
            init: Vec::new(),
            steps: vec![
                step(0, "enrol", [HASH, a]),
                step(0, "add_clinician", [c]),
                step(
                    1,
                    "permit",
                    [HASH, b, "TREAT", "Observation", "none", end, "false"],
                ),
                step(
                    2,
                    "decide",
                    [
                        b,
                        "access:TREAT",
                        &format!("{HASH}/Observation/7"),
                        "2000000",
                    ],
                ),
                step(3, "break_glass", [HASH, "none"]),
                step(1, "withdraw", [HASH, b, "TREAT", "Observation"]),
            ],
        },
        Story {
            name: "settlement",
            file: "settlement.wasm",
            init: Vec::new(),
            steps: vec![
                step(0, "register_currency", ["EUR", "2", a]),
                step(0, "register_currency", ["USD", "2", a]),
                step(1, "issue", ["EUR", b, "1000", "ISSUE-1"]),
                step(1, "issue", ["USD", c, "1000", "ISSUE-2"]),
                step(2, "propose", [c, &eur, &usd, end, "INV-1", HASH]),
                step(3, "accept", ["0", "REF-1", HASH]),
                step(2, "fund", ["0"]),
                step(3, "fund", ["0"]),
                step(2, "balance", [b, "EUR"]),
            ],
        },
        Story {
            name: "provenance",
            file: "provenance.wasm",
            init: Vec::new(),
            steps: vec![
                step(0, "register_manufacturer", [PREFIX, a]),
                step(1, "commission", [PREFIX, HASH, HASH]),
                step(1, "offer", [PREFIX, HASH, b, HASH]),
                step(2, "accept", [PREFIX, HASH, "1", HASH]),
                step(2, "observe", [PREFIX, HASH, HASH]),
                step(3, "item", [PREFIX, HASH]),
            ],
        },
    ]
}
