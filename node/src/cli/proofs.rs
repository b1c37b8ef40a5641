//! `proof tx`: fetches a proof. `verify`: checks one, offline.

use chancery_ledger::claim::Claim;
use chancery_ledger::policy::{POLICY_BYTES_MAX, Policy};
use chancery_ledger::proof::{BUNDLE_BYTES_MAX, Bundle};
use serde_json::json;

use super::args::{ProofCommand, ProofTxArgs, VerifyArgs};
use super::blocks::transaction_id;
use super::context::{Context, block_on};
use super::output::{grouped, printable};
use super::{CliError, Exit, Report, Rows, files};
use crate::evidence_file::{self, EvidenceFile};

pub(super) fn proof(context: &Context, command: ProofCommand) -> Result<Report, CliError> {
    let ProofCommand::Tx(ProofTxArgs { id, out }) = command;
    let id = transaction_id(&id)?;
    files::must_be_free(&out)?;
    let bytes = block_on(async { Ok(context.client()?.transaction_proof(id).await?) })?;
    let bundle = std::str::from_utf8(&bytes).ok().map(Bundle::from_json);
    let Some(Ok(bundle)) = bundle else {
        return Err(CliError::failed(
            "bad_answer",
            "the node's answer is not a proof",
        ));
    };
    files::create(&out, &bytes)?;
    let mut rows = Rows::default();
    rows.add("proof", out.display());
    rows.add(
        "size",
        format!("{} bytes", grouped(bytes.len().try_into().unwrap_or(0))),
    );
    rows.add("claim", &bundle.claim.words);
    let json = json!({
        "id": id, "file": out, "bytes": bytes.len(),
        "height": bundle.claim.height, "claim": bundle.claim,
    });
    Ok(Report::new(rows.to_text(), json))
}

pub(super) fn verify(args: &VerifyArgs) -> Result<Report, CliError> {
    let policy: Policy = files::read_text(&args.trust, POLICY_BYTES_MAX)?
        .parse()
        .map_err(|error| {
            CliError::usage(format!("{}: {error}", args.trust.display()))
                .code("policy")
                .hint("a policy comes from a source you trust: a devnet's `policy`, or `chancery genesis policy FILE`")
        })?;
    let bytes = files::read(&args.file, BUNDLE_BYTES_MAX.max(EvidenceFile::bytes_max()))?;
    let invalid = |reason: String| {
        CliError::new(
            Exit::Invalid,
            "proof_invalid",
            format!("the proof does not hold: {reason}"),
        )
        .detail("valid", false)
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid("it is not text".to_owned()))?;
    if is_evidence(text) {
        let file = EvidenceFile::from_json(text)
            .map_err(|error| invalid(printable(&error.to_string())))?;
        file.verify(&policy)
            .map_err(|error| invalid(printable(&error.to_string())))?;
        let mut rows = Rows::default();
        rows.add("valid", "the evidence holds under the policy");
        rows.add("claim", &file.words);
        rows.add("guilty", &file.validator);
        let json = json!({"valid": true, "guilty": file.validator, "words": file.words});
        return Ok(Report::new(rows.to_text(), json));
    }
    let claim = Bundle::from_json(text)
        .and_then(|bundle| bundle.verify(&policy))
        .map_err(|error| invalid(printable(&error.to_string())))?;
    Ok(verified(&claim))
}

/// Whether a file says of itself that it is evidence against a validator.
fn is_evidence(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Format {
        format: String,
    }
    serde_json::from_str::<Format>(text).is_ok_and(|it| it.format == evidence_file::FORMAT)
}

fn verified(claim: &Claim) -> Report {
    let mut rows = Rows::default();
    rows.add("valid", "the proof holds under the policy");
    rows.add("claim", &claim.words);
    rows.add("id", claim.transaction);
    rows.add("block", format!("{}, {}", claim.height, claim.block_time));
    for event in &claim.events {
        rows.add("event", &event.topic);
    }
    rows.add(
        "certified by",
        format!(
            "{} (checkpoint at height {})",
            claim.cosigners.join(", "),
            claim.checkpoint_height
        ),
    );
    Report::new(rows.to_text(), json!({"valid": true, "claim": claim}))
}
