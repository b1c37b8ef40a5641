//! `proof entry`, `proof access`: fetch proofs of entries of the state.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_contract::access::AccessEntry;
use chancery_ledger::state_bundle::{ENTRIES_MAX, StateBundle};
use chancery_ledger::state_claim::{Place, StateClaim};
use chancery_ledger::state_key::{StateKey, VersionRecord};
use chancery_ledger::{ChainId, CodeHash, ContractId};
use parity_scale_codec::Decode as _;
use serde_json::json;

use super::index::{ProvenIndex, count_key, entry_key};
use super::{no_proof, other_answer, saved};
use crate::cli::access::list::{Index, not_enumerable_because};
use crate::cli::args::{ProofAccessArgs, ProofEntryArgs};
use crate::cli::calls::contract_id;
use crate::cli::context::{Context, block_on};
use crate::cli::submit::Session;
use crate::cli::{CliError, Report, files};

/// What a node says of a state that is not certified yet.
const NOT_FINAL_YET: &str = "not_final_yet";
/// How long to wait until a node is asked again.
const PAUSE: Duration = Duration::from_millis(250);
/// How often an index is proved again because it has changed meanwhile.
const ATTEMPTS_MAX: u32 = 5;
/// The entries of an index that one file can have, beside the contract and the count.
const INDEX_ENTRIES_MAX: u64 = ENTRIES_MAX as u64 - 2;

/// A proof as it came, and what it says: an answer to the question, though whether a quorum has
/// certified it is for a policy to say.
struct Fetched {
    bytes: Vec<u8>,
    bundle: StateBundle,
}

/// `chancery proof entry`.
pub(super) fn entry(context: &Context, args: &ProofEntryArgs) -> Result<Report, CliError> {
    let contract = contract_id(&args.contract)?;
    let storage = storage_keys(args)?;
    files::must_be_free(&args.out)?;
    let fetched = block_on(async {
        let session = Session::open(context).await?;
        // Of a contract that is not there, everything is absent.
        let _ = session.client.contract(contract).await?;
        let mut keys = with_contract(contract, &storage);
        let mut codes = Vec::new();
        for version in BTreeSet::from_iter(args.versions.iter().copied()) {
            let told = session.client.contract_version(contract, version).await?;
            keys.push(StateKey::Version(contract, version).to_bytes());
            codes.push((version, told.info.code));
        }
        // Some versions may have run the same code.
        let different = BTreeSet::from_iter(codes.iter().map(|(_, code)| *code));
        keys.extend(
            different
                .iter()
                .map(|code| StateKey::Code(*code).to_bytes()),
        );
        let fetched = fetch(context, &session, &keys).await?;
        ran(&fetched.bundle.claim, contract, &codes)?;
        Ok(fetched)
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

/// Checks that the code of each version is the one that the node had named, and is there.
fn ran(
    claim: &StateClaim,
    contract: ContractId,
    codes: &[(u32, CodeHash)],
) -> Result<(), CliError> {
    let value = |place: &Place| {
        let mut entries = claim.entries.iter();
        entries
            .find(|entry| entry.place == *place)?
            .value
            .as_deref()
    };
    for (version, code) in codes {
        let record = value(&Place::Version {
            contract,
            version: *version,
        });
        let record = record.and_then(|record| hex::decode(record).ok());
        let record = record.and_then(|record| VersionRecord::decode(&mut &record[..]).ok());
        if record.map(|record| record.code) != Some(*code)
            || value(&Place::Code { code: *code }).is_none()
        {
            let reason = format!("version {version} ran other code than the node had said");
            return Err(other_answer(&reason));
        }
    }
    Ok(())
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
        prove_index(context, &session, contract, args).await
    })?;
    files::create(&args.out, &fetched.bytes)?;
    let claim = &fetched.bundle.claim;
    let mut text = saved(&args.out, &fetched.bytes, &claim.words).to_text();
    text.push('\n');
    text.push_str(&index.to_text_unverified(claim));
    let json = json!({
        "file": args.out, "bytes": fetched.bytes.len(), "height": claim.height, "claim": claim,
        "access": [index.to_json_unverified(claim)],
    });
    Ok(Report::new(text, json))
}

/// Proves the index, if it is the one that the contract's views show. A grant or an upgrade may come
/// in between, and another node that answers may be behind.
async fn prove_index(
    context: &Context,
    session: &Session,
    contract: ContractId,
    args: &ProofAccessArgs,
) -> Result<(Fetched, ProvenIndex), CliError> {
    let mut before = Index::open(session, contract).await?;
    let mut count = before.count;
    let mut disagreement = None;
    for attempt in 0..ATTEMPTS_MAX {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let end = end_of(args, count)?;
        let entries = (args.first..end).map(entry_key);
        let keys: Vec<Vec<u8>> = std::iter::once(count_key()).chain(entries).collect();
        let fetched = fetch(context, session, &with_contract(contract, &keys)).await?;
        let after = Index::open(session, contract).await?;
        let (counted, code) = (before.count, after.code());
        let index = ProvenIndex::of(&fetched.bundle.claim, contract)
            .ok_or_else(|| "what it stores as the count of an AccessIndex is none".to_owned())
            .and_then(
                |index| match index.disagreement(counted, after.count, code) {
                    Some(reason) => Err(reason),
                    None => Ok(index),
                },
            );
        let index = match index {
            Ok(index) => index,
            Err(reason) => {
                disagreement = Some(reason);
                count = count.max(after.count);
                before = after;
                continue;
            }
        };
        // Some more are there now, and all are wanted.
        if index.count != end && args.last.is_none() {
            (disagreement, count, before) = (None, index.count, after);
            continue;
        }
        let is_viewed = match index.last() {
            None => true,
            Some((number, proven)) => {
                let viewed = after.entry(number).await?;
                viewed.is_some_and(|viewed| is_the_same(proven, &viewed))
            }
        };
        if is_viewed {
            return whole(fetched, index);
        }
        disagreement = Some("its view `entry` shows others than it stores".to_owned());
        before = after;
    }
    if let Some(reason) = disagreement {
        return Err(not_enumerable_because(contract, &reason));
    }
    let message = format!("contract {contract} grants faster than its index can be proved");
    Err(CliError::failed("index_grows", message).hint("name the last entry to prove: --last N"))
}

/// Whether a view shows an entry as it was proved before; it may have been revoked since.
fn is_the_same(proven: &AccessEntry, viewed: &AccessEntry) -> bool {
    let since = AccessEntry {
        revoked_at: proven.revoked_at.or(viewed.revoked_at),
        ..proven.clone()
    };
    since == *viewed
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
            "several files show them all, each as of its own block: --first {0} --last {1}, and so on",
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

/// The keys in the state of a contract's own entry, and of what it stores under its `keys`.
fn with_contract(contract: ContractId, keys: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let stored = keys
        .iter()
        .map(|key| StateKey::Storage(contract, key).to_bytes());
    std::iter::once(StateKey::Contract(contract).to_bytes())
        .chain(stored)
        .collect()
}

/// Proves the entries of the state that stand under `keys`, or that nothing does.
async fn fetch(
    context: &Context,
    session: &Session,
    keys: &[Vec<u8>],
) -> Result<Fetched, CliError> {
    let deadline = Instant::now() + context.timeout();
    loop {
        let answer = session.client.state_proof(keys.to_vec()).await;
        match answer.map_err(CliError::from) {
            Ok(bytes) => {
                let text = std::str::from_utf8(&bytes).map_err(|_| no_proof())?;
                let bundle = answered(text, session.chain.chain_id, keys)?;
                return Ok(Fetched { bytes, bundle });
            }
            Err(error) if error.code == NOT_FINAL_YET && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The file that a node has answered with, if it is sound in itself and says something of these
/// entries of that ledger, in order, and of no others.
fn answered(text: &str, chain: ChainId, keys: &[Vec<u8>]) -> Result<StateBundle, CliError> {
    let bundle = StateBundle::from_json(text).map_err(|_| no_proof())?;
    let claim = bundle
        .check()
        .map_err(|error| other_answer(&error.to_string()))?;
    if claim.chain_id != chain {
        return Err(other_answer("it is of another ledger"));
    }
    let answered = bundle.entries.iter().map(|entry| entry.key.clone());
    if !answered.eq(keys.iter().map(|key| STANDARD.encode(key))) {
        return Err(other_answer("it is of other entries"));
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use chancery_ledger::block::{Header, PROTOCOL_VERSION};
    use chancery_ledger::merkle::InclusionProof;
    use chancery_ledger::note::Note;
    use chancery_ledger::proof::ProvenHeader;
    use chancery_ledger::state_bundle::ProvenEntry;
    use chancery_ledger::state_tree::{StateTree, key_hash, value_hash};
    use chancery_ledger::{BatchDigest, Epoch, Hash, Height, Millis};

    const CHAIN: ChainId = ChainId([1; 32]);
    const CONTRACT: ContractId = ContractId([7; 32]);

    fn stored(contract: ContractId, key: &[u8]) -> Vec<u8> {
        StateKey::Storage(contract, key).to_bytes()
    }

    /// What an honest node says of these entries, where two contracts store something under `a`; but
    /// for the certificate.
    fn said_of(keys: &[Vec<u8>]) -> StateBundle {
        let state: BTreeMap<Vec<u8>, Vec<u8>> = [CONTRACT, ContractId([8; 32])]
            .map(|contract| (stored(contract, b"a"), vec![1]))
            .into();
        let leaves: BTreeMap<Hash, Hash> = state
            .iter()
            .map(|(key, value)| (key_hash(key), value_hash(value)))
            .collect();
        let tree = StateTree::build(leaves.clone());
        let entries = keys.iter().map(|key| ProvenEntry {
            key: key.clone(),
            value: state.get(key).cloned(),
            proof: tree
                .prove(&key_hash(key), &leaves)
                .expect("the leaves are the tree's"),
        });
        let entries: Vec<ProvenEntry> = entries.collect();
        let nothing = Hash([0; 32]);
        let header = Header {
            version: PROTOCOL_VERSION,
            chain: CHAIN,
            epoch: Epoch(0),
            height: Height(0),
            parent: nothing,
            time: Millis(1),
            batch: BatchDigest([0; 32]),
            transactions_root: nothing,
            transactions_count: 0,
            receipts_root: nothing,
            state_root: tree.root(),
            state_count: tree.count(),
        };
        let checkpoint = Note {
            text: String::new(),
            signatures: Vec::new(),
        };
        let in_log = InclusionProof {
            leaf_index: 0,
            tree_size: 1,
            path: Vec::new(),
        };
        let proven = ProvenHeader {
            header: &header,
            checkpoint: &checkpoint,
            in_log: &in_log,
        };
        StateBundle::of_entries(proven, &entries).expect("sound entries")
    }

    #[test]
    fn an_answer_is_of_what_was_asked_and_sound_in_itself() {
        let asked = ["a", "b"].map(|key| stored(CONTRACT, key.as_bytes()));
        let told = |bundle: &StateBundle, chain| answered(&bundle.to_json(), chain, &asked);
        let bundle = said_of(&asked);
        assert_eq!(told(&bundle, CHAIN), Ok(bundle.clone()));
        let refused = |bundle: &StateBundle, chain, reason: &str| {
            let error = told(bundle, chain).expect_err("another answer");
            assert_eq!(error.code, "bad_answer");
            assert!(error.message.contains(reason), "{error:?}");
        };
        refused(&bundle, ChainId([2; 32]), "another ledger");

        // Other keys, fewer, more, in another order, of another contract.
        let [a, b] = asked.clone();
        let (c, elsewhere) = (stored(CONTRACT, b"c"), ContractId([8; 32]));
        for keys in [
            vec![a.clone(), c.clone()],
            vec![a.clone()],
            vec![a.clone(), b.clone(), c],
            vec![b.clone(), a],
            vec![stored(elsewhere, b"a"), stored(elsewhere, b"b")],
        ] {
            refused(&said_of(&keys), CHAIN, "of other entries");
        }

        let forged = |change: &dyn Fn(&mut StateBundle)| {
            let mut forged = bundle.clone();
            change(&mut forged);
            refused(&forged, CHAIN, "not what was asked for: ");
        };
        forged(&|file| file.entries[0].value = None);
        forged(&|file| file.entries[1].value = Some("AQ==".to_owned()));
        forged(&|file| file.entries[0].proof.path.push(Hash([5; 32])));
        forged(&|file| file.claim.entries[1].value = Some("01".to_owned()));
        forged(&|file| file.claim.words.push('!'));
        let error = answered("{}", CHAIN, &asked).expect_err("no proof");
        assert_eq!(error.code, "bad_answer");
    }

    #[test]
    fn an_entry_may_be_revoked_before_it_is_viewed() {
        let account = chancery_contract::AccountId([1; 32]);
        let at = chancery_contract::Millis;
        let entry = |revoked_at: Option<u64>| AccessEntry {
            subject: account,
            action: "read".to_owned(),
            resource: "x".to_owned(),
            from: at(1),
            until: at(9),
            granted_by: account,
            under: None,
            passes_max: 0,
            revoked_at: revoked_at.map(at),
        };
        for (proven, viewed, is_same) in [
            (None, None, true),
            (None, Some(5), true),
            (Some(5), Some(5), true),
            (Some(5), None, false),
            (Some(5), Some(6), false),
        ] {
            assert_eq!(is_the_same(&entry(proven), &entry(viewed)), is_same);
        }
        let other = AccessEntry {
            until: at(8),
            ..entry(None)
        };
        assert!(!is_the_same(&entry(None), &other));
    }

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
            versions: Vec::new(),
            out: "x".into(),
        };
        let keys = storage_keys(&args).expect("keys");
        assert_eq!(
            keys,
            [&[0, 0xff][..], b"owner", &entry_key(3), b"x/"].map(<[u8]>::to_vec)
        );
        assert_eq!(entry_key(3), b"access/entry/\x03\0\0\0\0\0\0\0");
        let bad = ProofEntryArgs {
            keys: vec!["0".to_owned()],
            ..args
        };
        assert!(storage_keys(&bad).is_err());
    }
}
