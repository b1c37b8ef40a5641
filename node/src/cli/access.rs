//! `access check`: whether a contract permits something.
//!
//! Whatever is not a permission for the time asked about is a denial: a contract without `decide`,
//! one whose `decide` is about something else, one that refuses or traps, an answer that is no
//! decision, a permission that is over by then.

pub(super) mod list;

use chancery_client::api::{ContractInfo, Outcome, QueryInfo, StatusInfo};
use chancery_contract::SchemaType as _;
use chancery_contract::access::Decision;
use chancery_genesis::time;
use chancery_ledger::{AccountId, ContractId, Height, Millis};
use chancery_schema::{Field, Method, Schema};
use parity_scale_codec::{DecodeAll as _, Encode as _};
use serde_json::json;

use super::args::{AccessCheckArgs, AccessCommand};
use super::calls::contract_id;
use super::context::{Context, block_on};
use super::output::printable;
use super::render::{Names, Shown, trap_name, trap_words};
use super::schemas::schema_of;
use super::submit::Session;
use super::values::{account, parse_time};
use super::{CliError, Exit, Report, Rows};

/// The view that decides.
const DECIDE: &str = "decide";
/// What a node says of a view that the contract has not.
const NO_SUCH_VIEW: &str = "unknown_method";
/// How often a question is asked again because the code changed meanwhile.
const ATTEMPTS_MAX: u32 = 3;

pub(super) fn access(context: &Context, command: AccessCommand) -> Result<Report, CliError> {
    match command {
        AccessCommand::Check(args) => check(context, &args),
        AccessCommand::List(args) => list::list(context, &args),
    }
}

/// What came of the question: the decision, and in a word what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    decision: Decision,
    because: &'static str,
}

impl Verdict {
    fn deny(because: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let decision = Decision::Deny { reason };
        Self { decision, because }
    }
}

/// Whether the schema, which may be silent, declares the interface's `decide`. What was meant as
/// something else could be read as a permission.
fn declares_decide(schema: &Schema) -> bool {
    let Some(Method { args, returns, .. }) = schema.callable(DECIDE) else {
        return true;
    };
    let kind = |field: &Field| field.kind.to_string();
    let decision = returns.as_ref().map(ToString::to_string);
    args.iter()
        .map(kind)
        .eq(["account", "string", "string", "time"])
        && decision == Some(Decision::NAME.to_string())
}

/// Judges an answer: nothing is permitted unless the contract says so, for that time.
fn judge(outcome: &Outcome, at: Millis, refusal: impl FnOnce() -> String) -> Verdict {
    let value = match outcome {
        Outcome::Applied { value } => value,
        Outcome::Reverted { .. } => return Verdict::deny("refused", refusal()),
        Outcome::Trapped { kind } => {
            let reason = format!(
                "deciding was ended: {} ({})",
                trap_words(*kind),
                trap_name(*kind)
            );
            return Verdict::deny("trapped", reason);
        }
    };
    match Decision::decode_all(&mut value.0.as_slice()) {
        Err(_) => Verdict::deny("malformed", "what the contract answered is no decision"),
        Ok(Decision::Permit { until }) if until.0 <= at.0 => {
            Verdict::deny("expired", "what the contract permits is over by then")
        }
        Ok(decision) => {
            let because = match decision {
                Decision::Permit { .. } => "permitted",
                Decision::Deny { .. } => "denied",
            };
            Verdict { decision, because }
        }
    }
}

/// An answer, and the code that gave it.
struct Answered {
    query: QueryInfo,
    contract: ContractInfo,
}

/// The state that was asked, and the code that stood in it.
struct AsOf {
    contract: ContractInfo,
    height: Height,
    block_time: String,
    block_time_ms: Millis,
}

impl Answered {
    fn as_of(&self) -> AsOf {
        AsOf {
            contract: self.contract.clone(),
            height: self.query.height,
            block_time: self.query.block_time.clone(),
            block_time_ms: self.query.block_time_ms,
        }
    }
}

/// Asks a view, and looks the contract up for the code of the version that answered.
async fn ask(
    session: &Session,
    contract: ContractId,
    view: &str,
    args: &[u8],
) -> Result<Answered, CliError> {
    for _ in 0..ATTEMPTS_MAX {
        let query = session.client.query(contract, view, args.to_vec()).await?;
        let contract = session.client.contract(contract).await?;
        if contract.version == query.contract_version {
            return Ok(Answered { query, contract });
        }
    }
    Err(code_changes(contract))
}

fn code_changes(contract: ContractId) -> CliError {
    let message = format!("contract {contract} is being replaced again and again");
    CliError::failed("code_changes", message)
}

/// `chancery access check`.
fn check(context: &Context, args: &AccessCheckArgs) -> Result<Report, CliError> {
    let contract = contract_id(&args.contract)?;
    let keys = context.keys()?;
    let subject = account(&keys, &args.subject)?;
    block_on(async {
        let session = Session::open(context).await?;
        let text = args.at.as_deref().unwrap_or("now");
        let at = parse_time(text, session.now)
            .map_err(|reason| CliError::usage(format!("--at {text:?}: {reason}")))?;
        let question = (subject, &args.action, &args.resource, at).encode();
        let (verdict, as_of) = decided(&session, contract, &question, at).await?;
        let asked = Asked { args, subject, at };
        Ok(verdict_report(&asked, &verdict, &as_of, &Names::of(&keys)))
    })
}

/// The verdict, and the state that it is about. A node that knows no such view does not say what it
/// read: that is its newest block then, if the contract has the code that it had before.
async fn decided(
    session: &Session,
    contract: ContractId,
    question: &[u8],
    at: Millis,
) -> Result<(Verdict, AsOf), CliError> {
    for _ in 0..ATTEMPTS_MAX {
        let before = session.client.contract(contract).await?;
        match ask(session, contract, DECIDE, question).await {
            Ok(answered) => return Ok((verdict(&answered, at), answered.as_of())),
            Err(error) if error.code == NO_SUCH_VIEW => {
                let status = session.client.status().await?;
                let after = session.client.contract(contract).await?;
                if after.version == before.version {
                    return Ok(undecided(after, status));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(code_changes(contract))
}

fn undecided(contract: ContractInfo, newest: StatusInfo) -> (Verdict, AsOf) {
    let reason = "the contract decides nothing, it has no view `decide`";
    let as_of = AsOf {
        contract,
        height: newest.height,
        block_time: newest.block_time,
        block_time_ms: newest.block_time_ms,
    };
    (Verdict::deny("not_decidable", reason), as_of)
}

fn verdict(answered: &Answered, at: Millis) -> Verdict {
    let schema = schema_of(&answered.contract).ok();
    let refusal = || {
        let shown = Shown {
            outcome: &answered.query.outcome,
            schema: schema.as_ref().ok_or("its schema is not known"),
            method: None,
        };
        format!("the contract refused to decide, {}", shown.in_words())
    };
    if schema.as_ref().is_none_or(declares_decide) {
        judge(&answered.query.outcome, at, refusal)
    } else {
        Verdict::deny("not_decidable", "its `decide` decides something else")
    }
}

struct Asked<'a> {
    args: &'a AccessCheckArgs,
    subject: AccountId,
    at: Millis,
}

fn verdict_report(asked: &Asked<'_>, verdict: &Verdict, as_of: &AsOf, names: &Names) -> Report {
    let Asked { args, subject, at } = asked;
    let contract = &as_of.contract;
    let subject = subject.to_string();
    let mut rows = Rows::default();
    let mut json = json!({
        "because": verdict.because,
        "contract": contract.contract,
        "version": contract.version,
        "code": contract.code,
        "subject": subject,
        "action": args.action,
        "resource": args.resource,
        "at": time::format(*at),
        "at_ms": at,
        "height": as_of.height,
        "block_time": as_of.block_time,
        "block_time_ms": as_of.block_time_ms,
    });
    let failure = match &verdict.decision {
        Decision::Permit { until } => {
            let until = Millis(until.0);
            json["decision"] = json!("permit");
            json["until"] = json!(time::format(until));
            json["until_ms"] = json!(until);
            let words = format!(
                "until {}, unless it is revoked, or the contract decides otherwise, before",
                time::format(until)
            );
            rows.add("permit", words);
            None
        }
        Decision::Deny { reason } => {
            json["decision"] = json!("deny");
            json["reason"] = json!(reason);
            rows.add("deny", reason);
            let message = format!("access is denied: {}", printable(reason));
            let denied = CliError::new(Exit::Denied, "access_denied", message);
            Some(
                denied
                    .detail("decision", "deny")
                    .detail("because", verdict.because),
            )
        }
    };
    rows.add("subject", names.show(&subject))
        .add("action", &args.action)
        .add("resource", &args.resource)
        .add("at", time::format(*at))
        .add("contract", contract.contract)
        .add(
            "code",
            format!("{}, version {}", contract.code, contract.version),
        )
        .add(
            "as of",
            format!("height {}, block time {}", as_of.height, as_of.block_time),
        );
    Report {
        text: rows.to_text(),
        json,
        failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::tests::answer;
    use chancery_client::api::Bytes;
    use chancery_ledger::TrapKind;

    const AT: Millis = Millis(1_000);

    fn applied(value: &impl parity_scale_codec::Encode) -> Outcome {
        Outcome::Applied {
            value: Bytes(value.encode()),
        }
    }

    fn because(outcome: &Outcome) -> &'static str {
        let verdict = judge(outcome, AT, || "refused: code 1".to_owned());
        let permitted = verdict.decision.permits();
        assert_eq!(permitted, verdict.because == "permitted", "{verdict:?}");
        verdict.because
    }

    fn permit(until: u64) -> Decision {
        let until = chancery_contract::Millis(until);
        Decision::Permit { until }
    }

    #[test]
    fn only_a_permission_for_that_time_permits() {
        assert_eq!(because(&applied(&permit(1_001))), "permitted");
        assert_eq!(because(&applied(&permit(1_000))), "expired");
        assert_eq!(because(&applied(&Decision::deny("no"))), "denied");
        assert_eq!(because(&applied(&())), "malformed");
        assert_eq!(because(&applied(&(permit(1_001), 0_u8))), "malformed");
        assert_eq!(because(&applied(&7_u8)), "malformed");
        let reverted = Outcome::Reverted {
            code: 1,
            data: Bytes(permit(u64::MAX).encode()),
        };
        assert_eq!(because(&reverted), "refused");
        let trapped = |kind| because(&Outcome::Trapped { kind });
        assert_eq!(trapped(TrapKind::OutOfFuel), "trapped");
        assert_eq!(trapped(TrapKind::Unreachable), "trapped");
    }

    #[test]
    fn what_decides_something_else_decides_nothing_here() {
        let decide = |args: &str, returns: &str| {
            let schema = format!(
                r#"{{"name":"T","methods":[{{"name":"decide","kind":"view","args":[{args}],"returns":"{returns}"}}],"events":[],"errors":[]}}"#
            );
            declares_decide(&serde_json::from_str(&schema).expect("a schema"))
        };
        let arg = |kind: &str| format!(r#"{{"name":"a{}","type":"{kind}"}}"#, kind.len());
        let args = [
            r#"{"name":"who","type":"account"}"#,
            r#"{"name":"what","type":"string"}"#,
            r#"{"name":"of","type":"string"}"#,
            r#"{"name":"when","type":"time"}"#,
        ]
        .join(",");
        let decision = "enum {0 permit {until: time}, 1 deny {reason: string}}";
        assert!(decide(&args, decision));
        assert!(!decide(
            &args,
            "enum {0 forbid {from: time}, 1 allow {reason: string}}"
        ));
        assert!(!decide(&args, "time"));
        assert!(!decide(&arg("account"), decision));
        assert!(!decide(&args.replace("time", "u64"), decision));
    }

    #[test]
    fn every_denial_names_what_was_asked_and_of_which_state() {
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let args = AccessCheckArgs {
            contract: "00".repeat(32),
            subject: did.to_owned(),
            action: "read".to_owned(),
            resource: "labs/7".to_owned(),
            at: None,
        };
        let asked = Asked {
            args: &args,
            subject: did.parse().expect("a DID"),
            at: AT,
        };
        let info: ContractInfo = serde_json::from_value(json!({
            "contract": "00".repeat(32), "code": "ab".repeat(32), "version": 3, "deployer": did,
            "upgraders": {"quorum": 0, "accounts": []}, "approvals": [],
        }))
        .expect("a contract");
        let query: QueryInfo = serde_json::from_value(json!({
            "status": "trapped", "kind": "unreachable", "fuel_used": 1, "contract_version": 3,
            "height": 13, "block_time": "2026-01-31T12:00:00Z",
            "block_time_ms": 1_769_860_800_000_u64, "time_used": "2026-01-31T12:00:00Z",
            "time_used_ms": 1_769_860_800_000_u64, "time_source": "block",
        }))
        .expect("an answer");
        let answered = Answered {
            query,
            contract: info.clone(),
        };
        let trapped = (verdict(&answered, AT), answered.as_of());
        for ((verdict, as_of), because) in [
            (trapped, "trapped"),
            (undecided(info, answer("validator-1")), "not_decidable"),
        ] {
            let report = verdict_report(&asked, &verdict, &as_of, &Names::default());
            for (field, expected) in [
                ("decision", json!("deny")),
                ("because", json!(because)),
                ("subject", json!(did)),
                ("action", json!("read")),
                ("resource", json!("labs/7")),
                ("at_ms", json!(AT)),
                ("contract", json!("00".repeat(32))),
                ("code", json!("ab".repeat(32))),
                ("version", json!(3)),
                ("height", json!(13)),
                ("block_time", json!("2026-01-31T12:00:00Z")),
                ("block_time_ms", json!(1_769_860_800_000_u64)),
            ] {
                assert_eq!(report.json[field], expected, "{field} of {because}");
            }
            for part in [
                "height 13, block time 2026-01-31T12:00:00Z",
                ", version 3",
                did,
                "labs/7",
            ] {
                assert!(
                    report.text.contains(part),
                    "{part} is not in:\n{}",
                    report.text
                );
            }
            let failure = report.failure.expect("a denial");
            assert_eq!(failure.exit, Exit::Denied);
            assert_eq!(failure.details["because"], json!(because));
        }
    }
}
