//! `proof entry`, `proof access`: fetch proofs of entries of the state.

use std::time::{Duration, Instant};

use chancery_ledger::ContractId;
use chancery_ledger::state_bundle::{ENTRIES_MAX, StateBundle};
use chancery_ledger::state_key::StateKey;
use serde_json::json;

use super::index::{ProvenIndex, count_key, entry_key};
use super::{no_proof, saved};
use crate::cli::access::list::{Index, not_enumerable_because};
use crate::cli::args::{ProofAccessArgs, ProofEntryArgs};
use crate::cli::calls::contract_id;
use crate::cli::context::{Context, block_on};
use crate::cli::submit::Session;
use crate::cli::{CliError, Report, files};

/// What a node says of a state that is not certified yet.
const NOT_FINAL_YET: &str = "not_final_yet";
/// How long to wait until it is asked again.
const PAUSE: Duration = Duration::from_millis(250);
/// How often an index is proved again because it has grown meanwhile.
const ATTEMPTS_MAX: u32 = 5;
/// The entries of an index that one file can have, beside the contract and the count.
const INDEX_ENTRIES_MAX: u64 = ENTRIES_MAX as u64 - 2;

/// A proof as it came, and what it says.
struct Fetched {
    bytes: Vec<u8>,
    bundle: StateBundle,
}

/// `chancery proof entry`.
pub(super) fn entry(context: &Context, args: &ProofEntryArgs) -> Result<Report, CliError> {
    let contract = contract_id(&args.contract)?;
    let keys = storage_keys(args)?;
    files::must_be_free(&args.out)?;
    let fetched = block_on(async {
        let session = Session::open(context).await?;
        // Of a contract that is not there, everything is absent.
        let _ = session.client.contract(contract).await?;
        fetch(context, &session, contract, &keys).await
    })?;
    files::create(&args.out, &fetched.bytes)?;
    let claim = &fetched.bundle.claim;
    let mut rows = saved(&args.out, &fetched.bytes, &claim.words);
    for entry in &claim.entries {
        rows.add("entry", &entry.words);
    }
    let json = json!({
        "file": args.out, "bytes": fetched.bytes.len(), "height": claim.height, "claim": claim,
    });
    Ok(Report::new(rows.to_text(), json))
}

fn storage_keys(args: &ProofEntryArgs) -> Result<Vec<Vec<u8>>, CliError> {
    let bytes = |text: &str| {
        hex::decode(text)
            .map_err(|_| CliError::usage(format!("{text:?} is not a key in hexadecimal")))
    };
    let mut keys = Vec::new();
    for key in &args.keys {
        keys.push(bytes(key)?);
    }
    keys.extend(args.items.iter().map(|name| name.as_bytes().to_vec()));
    for entry in args.entries.chunks_exact(2) {
        let [prefix, key] = entry else { continue };
        keys.push([prefix.as_bytes(), &bytes(key)?].concat());
    }
    Ok(keys)
}

/// `chancery proof access`.
pub(super) fn access(context: &Context, args: &ProofAccessArgs) -> Result<Report, CliError> {
    let contract = contract_id(&args.contract)?;
    files::must_be_free(&args.out)?;
    let (fetched, index) = block_on(async {
        let session = Session::open(context).await?;
        let count = Index::open(&session, contract).await?.count;
        prove_index(context, &session, contract, count, args).await
    })?;
    files::create(&args.out, &fetched.bytes)?;
    let claim = &fetched.bundle.claim;
    let mut text = saved(&args.out, &fetched.bytes, &claim.words).to_text();
    text.push('\n');
    text.push_str(&index.to_text(claim));
    let json = json!({
        "file": args.out, "bytes": fetched.bytes.len(), "height": claim.height, "claim": claim,
        "access": [index.to_json(claim)],
    });
    Ok(Report::new(text, json))
}

/// Proves the index, whose view has counted that many entries. A grant may come in between, and
/// another node that answers may be behind.
async fn prove_index(
    context: &Context,
    session: &Session,
    contract: ContractId,
    counted: u64,
    args: &ProofAccessArgs,
) -> Result<(Fetched, ProvenIndex), CliError> {
    let (mut count, mut is_elsewhere) = (counted, false);
    for _ in 0..ATTEMPTS_MAX {
        let end = end_of(args, count)?;
        let entries = (args.first..end).map(entry_key);
        let keys: Vec<Vec<u8>> = std::iter::once(count_key()).chain(entries).collect();
        let fetched = fetch(context, session, contract, &keys).await?;
        let index = ProvenIndex::of(&fetched.bundle.claim, contract);
        let Some(index) = index.filter(|index| index.count >= counted) else {
            is_elsewhere = true;
            continue;
        };
        // The newest entry is in it, or another one is the last that is wanted.
        if index.count == end || args.last.is_some() {
            return whole(fetched, index);
        }
        (count, is_elsewhere) = (index.count, false);
    }
    if is_elsewhere {
        let reason = "its entries do not stand where those of an AccessIndex do";
        return Err(not_enumerable_because(contract, reason));
    }
    let message = format!("contract {contract} grants faster than its index can be proved");
    Err(CliError::failed("index_grows", message).hint("name the last entry to prove: --last N"))
}

/// Behind the last entry that the file is to have.
fn end_of(args: &ProofAccessArgs, count: u64) -> Result<u64, CliError> {
    let end = args.last.map_or(count, |last| last.saturating_add(1));
    if end > count || args.first > end || (args.first == end && end > 0) {
        let last = args
            .last
            .map_or_else(String::new, |last| format!(" --last {last}"));
        let message = format!(
            "there are {count} entries, counted from 0: --first {}{last} are none of them",
            args.first
        );
        return Err(CliError::usage(message).code("no_such_entries"));
    }
    if end - args.first > INDEX_ENTRIES_MAX {
        let message = format!(
            "{} entries, one file has at most {INDEX_ENTRIES_MAX}",
            end - args.first
        );
        let hint = format!(
            "prove them in parts: --first {0} --last {1}, and so on",
            args.first,
            args.first + INDEX_ENTRIES_MAX - 1
        );
        return Err(CliError::usage(message).code("too_many_entries").hint(hint));
    }
    Ok(end)
}

fn whole(fetched: Fetched, index: ProvenIndex) -> Result<(Fetched, ProvenIndex), CliError> {
    if index.broken.is_empty() {
        return Ok((fetched, index));
    }
    let message = format!(
        "entry {} is missing: the index is not whole",
        index.broken[0]
    );
    Err(CliError::failed("index_not_whole", message))
}

/// Proves the contract's own entry and what it stores under `keys`.
async fn fetch(
    context: &Context,
    session: &Session,
    contract: ContractId,
    keys: &[Vec<u8>],
) -> Result<Fetched, CliError> {
    let stored = keys
        .iter()
        .map(|key| StateKey::Storage(contract, key).to_bytes());
    let keys: Vec<Vec<u8>> = std::iter::once(StateKey::Contract(contract).to_bytes())
        .chain(stored)
        .collect();
    let deadline = Instant::now() + context.timeout();
    loop {
        let answer = session.client.state_proof(keys.clone()).await;
        match answer.map_err(CliError::from) {
            Ok(bytes) => {
                let text = std::str::from_utf8(&bytes).map_err(|_| no_proof())?;
                let bundle = StateBundle::from_json(text).map_err(|_| no_proof())?;
                return Ok(Fetched { bytes, bundle });
            }
            Err(error) if error.code == NOT_FINAL_YET && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(first: u64, last: Option<u64>) -> ProofAccessArgs {
        ProofAccessArgs {
            contract: String::new(),
            first,
            last,
            out: "x".into(),
        }
    }

    #[test]
    fn what_is_asked_for_is_there_and_fits_one_file() {
        let end = |first, last, count| end_of(&args(first, last), count);
        for (first, last, count, expected) in [
            (0, None, 0, 0),
            (0, None, 1, 1),
            (0, None, 1_022, 1_022),
            (2, None, 1_024, 1_024),
            (0, Some(0), 5_000, 1),
            (4_999, Some(4_999), 5_000, 5_000),
        ] {
            assert_eq!(
                end(first, last, count),
                Ok(expected),
                "{first} {last:?} {count}"
            );
        }
        for (first, last, count, expected) in [
            (0, Some(0), 0, "no_such_entries"),
            (1, None, 0, "no_such_entries"),
            (3, None, 3, "no_such_entries"),
            (0, Some(3), 3, "no_such_entries"),
            (2, Some(1), 3, "no_such_entries"),
            (0, Some(u64::MAX), 3, "no_such_entries"),
            (0, None, 1_023, "too_many_entries"),
            (1, Some(1_023), 5_000, "too_many_entries"),
        ] {
            let error = end(first, last, count).expect_err("refused");
            assert_eq!(error.code, expected, "{first} {last:?} {count}");
        }
        let error = end(5, None, 5_000).expect_err("too many");
        assert_eq!(error.message, "4995 entries, one file has at most 1022");
        assert!(
            error
                .hint
                .is_some_and(|hint| hint.contains("--first 5 --last 1026,"))
        );
    }

    #[test]
    fn keys_are_those_of_the_sdk() {
        let args = ProofEntryArgs {
            contract: String::new(),
            keys: vec!["00ff".to_owned()],
            items: vec!["owner".to_owned()],
            entries: ["access/entry/", "0300000000000000", "x/", ""]
                .map(str::to_owned)
                .to_vec(),
            out: "x".into(),
        };
        let keys = storage_keys(&args).expect("keys");
        assert_eq!(
            keys,
            [&[0, 0xff][..], b"owner", &entry_key(3), b"x/"].map(<[u8]>::to_vec)
        );
        let map: chancery_contract::Map<u64, bool> =
            chancery_contract::Map::new(chancery_contract::access::ENTRY_PREFIX);
        assert_eq!(map.storage_key(&3), entry_key(3));
        let bad = ProofEntryArgs {
            keys: vec!["0".to_owned()],
            ..args
        };
        assert!(storage_keys(&bad).is_err());
    }
}
