//! `access check`: whether a contract permits something. `access list`: all that it ever granted.
//!
//! Whatever is not a permission for the time asked about is a denial: a contract without `decide`,
//! one whose `decide` is about something else, one that refuses or traps, an answer that is no
//! decision, a permission that is over by then.

use chancery_client::api::{ContractInfo, Outcome, QueryInfo};
use chancery_contract::SchemaType as _;
use chancery_contract::access::{AccessEntry, Decision};
use chancery_genesis::time;
use chancery_ledger::{AccountId, CodeHash, ContractId, Height, Millis};
use chancery_runtime::Schema;
use chancery_runtime::schema::{Field, Method};
use parity_scale_codec::{DecodeAll as _, Encode as _};
use serde_json::{Value, json};

use super::args::{AccessCheckArgs, AccessCommand, AccessListArgs};
use super::calls::contract_id;
use super::context::{Context, block_on};
use super::output::printable;
use super::render::{Names, Shown, schema_of, trap_name, trap_words};
use super::submit::Session;
use super::values::{account, parse_time};
use super::{CliError, Exit, Report, Rows, Table};

/// The views of the interface.
const DECIDE: &str = "decide";
const COUNT: &str = "count";
const ENTRY: &str = "entry";
/// What a node says of a view that the contract has not.
const NO_SUCH_VIEW: &str = "unknown_method";
/// How often a question is asked again because the code changed meanwhile.
const ATTEMPTS_MAX: u32 = 3;

pub(super) fn access(context: &Context, command: AccessCommand) -> Result<Report, CliError> {
    match command {
        AccessCommand::Check(args) => check(context, &args),
        AccessCommand::List(args) => list(context, &args),
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
    let message = format!("contract {contract} is being replaced again and again");
    Err(CliError::failed("code_changes", message))
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
        let answered = ask(&session, contract, DECIDE, &question).await;
        let answered = answered.map_err(|error| {
            if error.code != NO_SUCH_VIEW {
                return error;
            }
            let message = "access is denied: the contract decides nothing, it has no view `decide`";
            CliError::new(Exit::Denied, "access_denied", message)
                .detail("decision", "deny")
                .detail("because", "not_decidable")
        })?;
        let schema = schema_of(&answered.contract).ok();
        let refusal = || {
            let shown = Shown {
                outcome: &answered.query.outcome,
                schema: schema.as_ref(),
                method: None,
            };
            format!("the contract refused to decide, {}", shown.in_words())
        };
        let verdict = if schema.as_ref().is_none_or(declares_decide) {
            judge(&answered.query.outcome, at, refusal)
        } else {
            Verdict::deny("not_decidable", "its `decide` decides something else")
        };
        let asked = Asked { args, subject, at };
        Ok(verdict_report(
            &asked,
            &verdict,
            &answered,
            &Names::of(&keys),
        ))
    })
}

struct Asked<'a> {
    args: &'a AccessCheckArgs,
    subject: AccountId,
    at: Millis,
}

fn verdict_report(
    asked: &Asked<'_>,
    verdict: &Verdict,
    answered: &Answered,
    names: &Names,
) -> Report {
    let Asked { args, subject, at } = asked;
    let Answered { query, contract } = answered;
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
        "height": query.height,
        "block_time": query.block_time,
        "block_time_ms": query.block_time_ms,
    });
    let failure = match &verdict.decision {
        Decision::Permit { until } => {
            let until = Millis(until.0);
            json["decision"] = json!("permit");
            json["until"] = json!(time::format(until));
            json["until_ms"] = json!(until);
            let words = format!("until {}, unless revoked before", time::format(until));
            rows.add("permit", words);
            None
        }
        Decision::Deny { reason } => {
            json["decision"] = json!("deny");
            json["reason"] = json!(reason);
            rows.add("deny", reason);
            let message = format!("access is denied: {}", printable(reason));
            Some(CliError::new(Exit::Denied, "access_denied", message))
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
            format!("height {}, block time {}", query.height, query.block_time),
        );
    Report {
        text: rows.to_text(),
        json,
        failure,
    }
}

/// `chancery access list`.
fn list(context: &Context, args: &AccessListArgs) -> Result<Report, CliError> {
    let contract = contract_id(&args.contract)?;
    let names = context.names();
    block_on(async {
        let session = Session::open(context).await?;
        let counted = enumerable(contract, COUNT, ask(&session, contract, COUNT, &[]).await)?;
        let count = enumerated::<u64>(contract, COUNT, &counted.query.outcome)?;
        let entry_of = async |number: u64| {
            let answered = ask(&session, contract, ENTRY, &number.encode()).await;
            let answered = enumerable(contract, ENTRY, answered)?;
            if answered.contract.version != counted.contract.version {
                let message = format!("contract {contract} was replaced meanwhile: ask again");
                return Err(CliError::failed("code_changes", message));
            }
            enumerated::<Option<AccessEntry>>(contract, ENTRY, &answered.query.outcome)
        };
        // A `count` of something else is told from one of an index also where it is 0.
        let _ = entry_of(count).await?;
        let end = count.min(args.first.saturating_add(args.limit.into()));
        let mut entries = Vec::new();
        for number in args.first..end {
            let entry = entry_of(number).await?.ok_or_else(|| {
                let message =
                    format!("entry {number} of {count} is missing: the index is not whole");
                CliError::failed("index_not_whole", message)
            })?;
            entries.push((number, entry));
        }
        let listed = Listed {
            count,
            end,
            height: counted.query.height,
            block_time: counted.query.block_time_ms,
            time: counted.query.time_used_ms,
            code: counted.contract.code,
            version: counted.contract.version,
            contract,
        };
        Ok(list_report(&listed, &entries, &names))
    })
}

/// What a view of the index answered.
fn enumerated<T: parity_scale_codec::Decode>(
    contract: ContractId,
    view: &str,
    outcome: &Outcome,
) -> Result<T, CliError> {
    let value = match outcome {
        Outcome::Applied { value } => T::decode_all(&mut value.0.as_slice()).ok(),
        Outcome::Reverted { .. } | Outcome::Trapped { .. } => None,
    };
    value.ok_or_else(|| not_enumerable(contract, view))
}

/// The answer, where the contract has that view.
fn enumerable(
    contract: ContractId,
    view: &str,
    answered: Result<Answered, CliError>,
) -> Result<Answered, CliError> {
    answered.map_err(|error| {
        if error.code == NO_SUCH_VIEW {
            not_enumerable(contract, view)
        } else {
            error
        }
    })
}

fn not_enumerable(contract: ContractId, view: &str) -> CliError {
    let message = format!(
        "what contract {contract} granted is not enumerable: its view `{view}` is not that of an access index"
    );
    CliError::usage(message)
        .code("not_enumerable")
        .hint("single questions may be answered all the same: `chancery access check`")
}

struct Listed {
    count: u64,
    /// The first entry not shown.
    end: u64,
    height: Height,
    block_time: Millis,
    /// As of when the states are told.
    time: Millis,
    code: CodeHash,
    version: u32,
    contract: ContractId,
}

/// What became of an entry, in a word or two.
fn state_of(entry: &AccessEntry, now: Millis) -> String {
    match entry.revoked_at {
        Some(at) => format!("revoked {}", time::format(Millis(at.0))),
        None if now.0 >= entry.until.0 => "expired".to_owned(),
        None if now.0 < entry.from.0 => "not begun".to_owned(),
        None => "not revoked".to_owned(),
    }
}

fn list_report(listed: &Listed, entries: &[(u64, AccessEntry)], names: &Names) -> Report {
    let headings = ["ENTRY", "SUBJECT", "ACTION", "RESOURCE", "UNTIL", "STATE"];
    let mut table = Table::new(&headings);
    let mut objects = Vec::new();
    for (number, entry) in entries {
        let subject = AccountId(entry.subject.0).to_string();
        let until = time::format(Millis(entry.until.0));
        let mut state = state_of(entry, listed.time);
        if let Some(under) = entry.under {
            state.push_str(&format!(", under {under}"));
        }
        table.add(vec![
            number.to_string(),
            names.show(&subject),
            entry.action.clone(),
            entry.resource.clone(),
            until.clone(),
            state.clone(),
        ]);
        objects.push(entry_json(*number, entry, &state));
    }
    let mut rows = Rows::default();
    rows.add("contract", listed.contract)
        .add(
            "code",
            format!("{}, version {}", listed.code, listed.version),
        )
        .add("entries", listed.count)
        .add("as of", format!("height {}", listed.height));
    let mut text = format!("{}\n{}", rows.to_text(), table.to_text());
    if listed.end < listed.count {
        let more = format!("… and more: --first {} goes on\n", listed.end);
        text.push_str(&more);
    }
    let json = json!({
        "contract": listed.contract,
        "version": listed.version,
        "code": listed.code,
        "count": listed.count,
        "height": listed.height,
        "block_time_ms": listed.block_time,
        "entries": objects,
    });
    Report::new(text, json)
}

fn entry_json(number: u64, entry: &AccessEntry, state: &str) -> Value {
    json!({
        "number": number,
        "subject": AccountId(entry.subject.0).to_string(),
        "action": entry.action,
        "resource": entry.resource,
        "from_ms": entry.from.0,
        "until_ms": entry.until.0,
        "granted_by": AccountId(entry.granted_by.0).to_string(),
        "under": entry.under,
        "passes_max": entry.passes_max,
        "revoked_at_ms": entry.revoked_at.map(|at| at.0),
        "state": state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
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
            declares_decide(&Schema::parse(schema.as_bytes()).expect("a schema"))
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
    fn an_index_answers_in_its_own_types_or_is_none() {
        let contract = ContractId::default();
        let count = |outcome: &Outcome| enumerated::<u64>(contract, COUNT, outcome);
        assert_eq!(count(&applied(&3_u64)), Ok(3));
        for bad in [
            applied(&3_u32),
            Outcome::Trapped {
                kind: TrapKind::UnknownMethod,
            },
        ] {
            assert_eq!(count(&bad).expect_err("is none").code, "not_enumerable");
        }
    }

    #[test]
    fn an_entry_says_what_became_of_it() {
        let account = chancery_contract::AccountId([1; 32]);
        let at = chancery_contract::Millis;
        let mut entry = AccessEntry {
            subject: account,
            action: "read".to_owned(),
            resource: "x".to_owned(),
            from: at(500),
            until: at(1_000),
            granted_by: account,
            under: None,
            passes_max: 0,
            revoked_at: None,
        };
        for (now, expected) in [(499, "not begun"), (500, "not revoked"), (1_000, "expired")] {
            assert_eq!(state_of(&entry, Millis(now)), expected);
        }
        entry.revoked_at = Some(at(700));
        assert!(state_of(&entry, Millis(600)).starts_with("revoked 1970-01-01T00:00:00"));
    }
}
