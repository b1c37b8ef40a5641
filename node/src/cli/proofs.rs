//! `proof`: fetches proofs. `verify`: checks one, offline.

mod entries;
mod index;

use std::path::Path;

use chancery_ledger::Height;
use chancery_ledger::claim::Claim;
use chancery_ledger::policy::{POLICY_BYTES_MAX, Policy};
use chancery_ledger::proof::{Bundle, PROOF_BYTES_MAX, ProofError};
use chancery_ledger::state_bundle::{self, StateBundle};
use chancery_ledger::state_claim::{Place, StateClaim};
use serde_json::{Value, json};

use super::args::{ProofCommand, ProofTxArgs, VerifyArgs};
use super::blocks::transaction_id;
use super::context::{Context, block_on};
use super::output::{grouped, printable};
use super::{CliError, Exit, Report, Rows, files};
use crate::evidence_file::{self, EvidenceFile};
use index::ProvenIndex;

/// The longest value that is shown to people, in bytes.
const VALUE_SHOWN_BYTES_MAX: usize = 64;

pub(super) fn proof(context: &Context, command: ProofCommand) -> Result<Report, CliError> {
    match command {
        ProofCommand::Tx(args) => transaction(context, args),
        ProofCommand::Entry(args) => entries::entry(context, &args),
        ProofCommand::Access(args) => entries::access(context, &args),
    }
}

/// `chancery proof tx`.
fn transaction(context: &Context, args: ProofTxArgs) -> Result<Report, CliError> {
    let ProofTxArgs { id, out } = args;
    let id = transaction_id(&id)?;
    files::must_be_free(&out)?;
    let bytes = block_on(async { Ok(context.client()?.transaction_proof(id).await?) })?;
    let bundle = std::str::from_utf8(&bytes).ok().map(Bundle::from_json);
    let Some(Ok(bundle)) = bundle else {
        return Err(no_proof());
    };
    files::create(&out, &bytes)?;
    let json = json!({
        "id": id, "file": out, "bytes": bytes.len(),
        "height": bundle.claim.height, "claim": bundle.claim,
    });
    Ok(Report::new(
        saved(&out, &bytes, &bundle.claim.words).to_text(),
        json,
    ))
}

fn no_proof() -> CliError {
    CliError::failed("bad_answer", "the node's answer is not a proof")
}

fn other_answer(reason: &str) -> CliError {
    let message = format!("the node's answer is not what was asked for: {reason}");
    CliError::failed("bad_answer", message)
}

/// What was taken from a node, and is not verified: that takes a policy.
fn saved(out: &Path, bytes: &[u8], words: &str) -> Rows {
    let size = grouped(bytes.len().try_into().unwrap_or(0));
    let mut rows = Rows::default();
    rows.add("proof", out.display())
        .add("size", format!("{size} bytes"))
        .add("the node says", words)
        .add(
            "to check it",
            format!("chancery verify {} --trust POLICY", out.display()),
        );
    rows
}

/// `chancery verify`.
pub(super) fn verify(args: &VerifyArgs) -> Result<Report, CliError> {
    let policy: Policy = files::read_text(&args.trust, POLICY_BYTES_MAX)?
        .parse()
        .map_err(|error| {
            CliError::usage(format!("{}: {error}", args.trust.display()))
                .code("policy")
                .hint("a policy comes from a source you trust: a devnet's `policy`, or `chancery genesis policy FILE`")
        })?;
    let bytes = files::read(&args.file, PROOF_BYTES_MAX.max(EvidenceFile::bytes_max()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid("it is not text"))?;
    match format_of(text).as_deref() {
        Some(evidence_file::FORMAT) => verify_evidence(text, &policy),
        Some(state_bundle::FORMAT) => {
            let claim = StateBundle::from_json(text).and_then(|bundle| bundle.verify(&policy));
            Ok(state_verified(&claim.map_err(refused)?))
        }
        _ => {
            let claim = Bundle::from_json(text).and_then(|bundle| bundle.verify(&policy));
            Ok(verified(&claim.map_err(refused)?))
        }
    }
}

fn invalid(reason: &str) -> CliError {
    let message = format!("the proof does not hold: {}", printable(reason));
    CliError::new(Exit::Invalid, "proof_invalid", message).detail("valid", false)
}

fn refused(error: ProofError) -> CliError {
    invalid(&error.to_string())
}

fn verify_evidence(text: &str, policy: &Policy) -> Result<Report, CliError> {
    let file = EvidenceFile::from_json(text).map_err(|error| invalid(&error.to_string()))?;
    file.verify(policy)
        .map_err(|error| invalid(&error.to_string()))?;
    let mut rows = Rows::default();
    rows.add("valid", "the evidence holds under the policy");
    rows.add("claim", &file.words);
    rows.add("guilty", &file.validator);
    let json = json!({"valid": true, "guilty": file.validator, "words": file.words});
    Ok(Report::new(rows.to_text(), json))
}

/// What a file says of itself that it is.
fn format_of(text: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: String,
    }
    let said = serde_json::from_str::<Format>(text).ok()?;
    Some(said.format)
}

fn verified(claim: &Claim) -> Report {
    let mut rows = proved(&claim.words);
    rows.add("id", claim.transaction);
    rows.add("block", format!("{}, {}", claim.height, claim.block_time));
    for event in &claim.events {
        rows.add("event", &event.topic);
    }
    certified_by(&mut rows, &claim.cosigners, claim.checkpoint_height);
    Report::new(rows.to_text(), json!({"valid": true, "claim": claim}))
}

/// The entries, those of access indices as lists.
fn state_verified(claim: &StateClaim) -> Report {
    let indices = ProvenIndex::all(claim);
    let mut rows = proved(&claim.words);
    rows.add("block", format!("{}, {}", claim.height, claim.block_time));
    let of_an_index = |place| indices.iter().any(|index| index.shows(place));
    for entry in claim.entries.iter().filter(|it| !of_an_index(&it.place)) {
        rows.add("entry", &entry.words);
        // What the ledger itself keeps is in the words.
        if let (Place::Storage { .. }, Some(value)) = (&entry.place, &entry.value) {
            rows.add("", format!("  {}", value_shown(value)));
        }
    }
    certified_by(&mut rows, &claim.cosigners, claim.checkpoint_height);
    let mut text = rows.to_text();
    for index in &indices {
        text.push('\n');
        text.push_str(&index.to_text(claim));
    }
    let access: Vec<Value> = indices.iter().map(|index| index.to_json(claim)).collect();
    let json = json!({"valid": true, "claim": claim, "access": access});
    Report::new(text, json)
}

/// A value, given in hexadecimal.
fn value_shown(value: &str) -> String {
    let len = value.len() / 2;
    if len <= VALUE_SHOWN_BYTES_MAX {
        return value.to_owned();
    }
    let len = grouped(len.try_into().unwrap_or(0));
    format!("{len} bytes, shown with --json")
}

fn proved(words: &str) -> Rows {
    let mut rows = Rows::default();
    rows.add("valid", "the proof holds under the policy");
    rows.add("claim", words);
    rows
}

fn certified_by(rows: &mut Rows, cosigners: &[String], checkpoint: Height) {
    let names = cosigners.join(", ");
    rows.add(
        "certified by",
        format!("{names} (checkpoint at height {checkpoint})"),
    );
}
