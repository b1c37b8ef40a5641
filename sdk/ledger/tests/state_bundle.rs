//! The state bundle: what it proves, that no bit of it can change, and what was tried to forge one.

mod common;

use chancery_ledger::policy::UntrustedNote;
use chancery_ledger::proof::{Bundle, ProofError};
use chancery_ledger::state_bundle::{ENTRIES_MAX, ProvenEntry, StateBundle};
use chancery_ledger::state_claim::{ClaimedEntry, Place, StateClaim};
use chancery_ledger::state_key::{STORAGE_KEY_BYTES_MAX, StateKey};
use chancery_ledger::state_proof::{PathEnd, StateProofError};
use chancery_ledger::tlog_proof::TlogProof;
use chancery_ledger::{ContractId, Height};
use common::ledger::{CONTRACT, Ledger, base64_of, policy, storage, without_spaces};
use common::samples::records;
use common::{certify, chain, log_key, validators};
use parity_scale_codec::Encode as _;
use proptest::prelude::*;

fn bundle_of(ledger: &Ledger, checkpoint: usize, keys: &[Vec<u8>]) -> StateBundle {
    let entries: Vec<ProvenEntry> = keys.iter().map(|key| ledger.entry(key)).collect();
    ledger
        .proven(checkpoint, |proven| {
            StateBundle::of_entries(proven, &entries)
        })
        .expect("sound entries")
}

/// Two that are there, one that is not.
fn bundle() -> StateBundle {
    bundle_of(&Ledger::new(), 7, &[storage(7), storage(200), storage(8)])
}

fn proved(bundle: &StateBundle) -> StateClaim {
    bundle.verify(&policy()).expect("it is proved")
}

fn refused(bundle: &StateBundle) -> ProofError {
    let error = bundle.verify(&policy()).expect_err("it is forged");
    // The file says the same.
    let read = StateBundle::from_json(&bundle.to_json()).and_then(|read| read.verify(&policy()));
    assert_eq!(read, Err(error.clone()));
    error
}

#[test]
fn presence_and_absence_are_proved_together() {
    let bundle = bundle();
    let claim = proved(&StateBundle::from_json(&bundle.to_json()).expect("its own text"));
    assert_eq!(claim, bundle.claim);
    assert_eq!(claim.chain_id, chain());
    assert_eq!(
        (claim.height, claim.checkpoint_height),
        (Height(5), Height(7))
    );
    assert_eq!(claim.block_time, "2026-11-18T11:06:40.987Z");
    assert_eq!(claim.state_root, Ledger::new().tree().root());
    assert_eq!(claim.cosigners.len(), 4);
    let entry = |key: &str, value: Option<&str>| {
        let what = value.map_or("nothing", |_| "a value");
        ClaimedEntry {
            words: format!("contract {CONTRACT} stores {what} under {key}"),
            place: Place::Storage {
                contract: CONTRACT,
                key: key.to_owned(),
            },
            value: value.map(str::to_owned),
        }
    };
    let expected = [
        entry("07", Some("0707")),
        entry("c8", None),
        entry("08", Some("0808")),
    ];
    assert_eq!(claim.entries, expected);
    assert_eq!(
        claim.words,
        format!(
            "Of the entries named here, the state of ledger {} right after block 5 at \
             2026-11-18T11:06:40.987Z has 2 and lacks 1.",
            chain()
        )
    );
}

#[test]
fn every_kind_of_entry_is_provable_under_every_later_checkpoint() {
    let ledger = Ledger::new();
    let records = records().map(|(key, _)| key);
    let absent = StateKey::Contract(ContractId([9; 32])).to_bytes();
    for checkpoint in 5..8 {
        for key in records.iter().chain([&storage(0), &absent]) {
            let bundle = bundle_of(&ledger, checkpoint, std::slice::from_ref(key));
            assert_eq!(proved(&bundle), bundle.claim);
        }
    }
    let words = bundle_of(&ledger, 7, &records).claim.entries;
    let words: Vec<&str> = words.iter().map(|entry| &entry.words[..]).collect();
    assert!(words[0].ends_with(" is admitted with roles registrar, deployer"));
    assert!(words[1].ends_with(" is admitted without roles"));
    assert!(words[2].starts_with("there is code "));
    assert!(words[3].contains(" runs version 3 of its code, "));
    assert!(words[3].contains(", to be upgraded by "), "{}", words[3]);
    assert!(words[4].starts_with("account did:key:"));
    let approves = format!(" of contract {CONTRACT} by code ");
    assert!(words[4].contains(" approves replacing version ") && words[4].contains(&approves));
    assert!(words[5].starts_with(&format!("version 1 of contract {CONTRACT} is code ")));
    assert!(words[5].ends_with(", since transaction 7 of block 1286"));
}

#[test]
fn a_key_has_one_form() {
    let account = common::key(1).account();
    for key in [
        StateKey::Account(account),
        StateKey::Code(chancery_ledger::CodeHash([2; 32])),
        StateKey::Contract(CONTRACT),
        StateKey::Storage(CONTRACT, b"owner"),
        StateKey::Storage(CONTRACT, b"x"),
        StateKey::Storage(CONTRACT, &[7; STORAGE_KEY_BYTES_MAX]),
        StateKey::Approval(CONTRACT, account),
        StateKey::Version(CONTRACT, 7),
    ] {
        let bytes = key.to_bytes();
        assert_eq!(StateKey::from_bytes(&bytes), Some(key));
        let (longer, shorter) = ([&bytes[..], &[0]].concat(), &bytes[..bytes.len() - 1]);
        for other in [&longer[..], shorter] {
            let is_storage = StateKey::from_bytes(other).is_some_and(|key| match key {
                StateKey::Storage(..) => key.to_bytes() == other,
                _ => false,
            });
            let is_none = StateKey::from_bytes(other).is_none();
            assert!(is_storage || is_none, "{other:?}");
        }
    }
    for space in [0, 6, 255] {
        assert_eq!(
            StateKey::from_bytes(&[&[space][..], &[1; 32]].concat()),
            None
        );
    }
    assert_eq!(StateKey::from_bytes(&[]), None);
    // No contract can store anything there.
    for key in [&[][..], &[7; STORAGE_KEY_BYTES_MAX + 1]] {
        let bytes = StateKey::Storage(CONTRACT, key).to_bytes();
        assert_eq!(StateKey::from_bytes(&bytes), None);
    }
}

/// The whole file, one bit after the other.
#[test]
fn no_bit_of_the_file_can_change() {
    let policy = policy();
    let text = bundle_of(&Ledger::new(), 7, &[storage(7), storage(200)]).to_json();
    for position in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let accepted =
                StateBundle::from_json(&changed).and_then(|bundle| bundle.verify(&policy));
            assert!(
                accepted.is_err(),
                "bit {bit} of byte {position}: {:?}",
                &changed[position.saturating_sub(40)..(position + 40).min(changed.len())]
            );
        }
    }
}

fn text() -> &'static str {
    use std::sync::OnceLock;
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| bundle().to_json())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_byte_of_the_file_can_become_another(
        position in any::<prop::sample::Index>(),
        other in any::<u8>(),
    ) {
        let mut bytes = text().as_bytes().to_vec();
        let position = position.index(bytes.len());
        bytes[position] = other;
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        let is_json = serde_json::from_str::<serde_json::Value>(&changed).is_ok();
        let harmless = is_json && without_spaces(&changed) == without_spaces(text());
        let accepted = StateBundle::from_json(&changed).and_then(|bundle| bundle.verify(&policy()));
        prop_assert_eq!(accepted.is_ok(), harmless);
    }

    /// Of any state, whatever was asked for is proved as it is, and as nothing else.
    #[test]
    fn what_is_there_is_proved_and_nothing_else(
        present in prop::collection::btree_map(any::<u8>(), prop::collection::vec(any::<u8>(), 1..4), 0..60),
        asked in prop::collection::btree_set(any::<u8>(), 1..20),
    ) {
        let ledger = Ledger::certified(|ledger| {
            let stored = present.iter().map(|(key, value)| (storage(*key), value.clone()));
            ledger.state = stored.collect();
        });
        let keys: Vec<Vec<u8>> = asked.iter().copied().map(storage).collect();
        let bundle = bundle_of(&ledger, 5, &keys);
        let claim = bundle.verify(&policy()).expect("it is proved");
        let values = claim.entries.iter().map(|entry| entry.value.clone());
        let expected = asked.iter().map(|key| present.get(key).map(hex::encode));
        prop_assert!(values.eq(expected));
        for (entry, key) in asked.iter().enumerate() {
            let mut forged = bundle.clone();
            let other = present.get(key).map_or(Some(base64_of(&[1])), |_| None);
            forged.entries[entry].value = other;
            let error = forged.verify(&policy()).expect_err("it is forged");
            let of_entry = matches!(error, ProofError::State { entry: at, .. } if at == entry);
            prop_assert!(of_entry);
        }
    }

    #[test]
    fn nothing_makes_the_reader_panic(text in "\\PC{0,300}") {
        prop_assert!(StateBundle::from_json(&text).is_err());
    }
}

#[test]
fn other_json_is_refused() {
    let good = text();
    for changed in [
        String::new(),
        "{}".to_owned(),
        "[]".to_owned(),
        good[..good.len() - 3].to_owned(),
        format!("{good}{good}"),
        good.replacen("\"format\"", "\"extra\": 1, \"format\"", 1),
        good.replacen("\"header\"", "\"header\": \"\", \"header\"", 1),
        good.replacen("\"height\": 5", "\"height\": \"5\"", 1),
        good.replacen(
            "\"kind\": \"storage\"",
            "\"kind\": \"storage\", \"code\": \"\"",
            1,
        ),
        Ledger::new().bundle_of(0, 7).to_json(),
    ] {
        assert_ne!(changed, good);
        let error = StateBundle::from_json(&changed).expect_err("not a state bundle");
        assert!(matches!(error, ProofError::Json { .. }), "{error}");
    }
    let other = good.replacen("chancery-state-proof/v1", "chancery-proof/v1", 1);
    let error = StateBundle::from_json(&other).expect_err("another format");
    assert!(matches!(error, ProofError::Format { .. }), "{error}");
    assert!(
        Bundle::from_json(good).is_err(),
        "it is no bundle of a transaction"
    );
    let null = good.replacen("\"place\"", "\"value\": null, \"place\"", 2);
    let null = null.replacen("\"value\": null, \"place\"", "\"place\"", 1);
    assert_eq!(StateBundle::from_json(&null), Err(ProofError::OtherForm));
    let compact = serde_json::from_str::<serde_json::Value>(good)
        .expect("JSON")
        .to_string();
    assert_eq!(StateBundle::from_json(&compact), Ok(bundle()));
    let deep = "[".repeat(100_000);
    assert!(matches!(
        StateBundle::from_json(&deep),
        Err(ProofError::Json { .. })
    ));
}

#[test]
fn a_list_has_one_to_so_many_entries_and_no_key_twice() {
    let ledger = Ledger::new();
    let made = |entries: &[ProvenEntry]| {
        ledger.proven(7, |proven| StateBundle::of_entries(proven, entries))
    };
    assert_eq!(made(&[]), Err(ProofError::EntriesCount { count: 0 }));
    let twice = [ledger.entry(&storage(7)), ledger.entry(&storage(7))];
    assert_eq!(made(&twice), Err(ProofError::KeyTwice { entry: 1 }));
    let foreign = [ledger.entry(&storage(7)), ledger.entry(&[9; 33])];
    assert_eq!(made(&foreign), Err(ProofError::Key { entry: 1 }));
    let absent = |number: usize| {
        let key = StateKey::Storage(CONTRACT, &number.to_be_bytes()).to_bytes();
        ledger.entry(&key)
    };
    let mut entries: Vec<ProvenEntry> = (0..ENTRIES_MAX).map(absent).collect();
    let most = made(&entries).expect("as many as possible");
    assert_eq!(proved(&most).entries.len(), ENTRIES_MAX);
    entries.push(absent(ENTRIES_MAX));
    let count = ENTRIES_MAX + 1;
    assert_eq!(made(&entries), Err(ProofError::EntriesCount { count }));

    // The same by hand.
    let mut forged = most;
    forged.entries.push(bundle().entries[0].clone());
    assert_eq!(refused(&forged), ProofError::EntriesCount { count });
    let mut forged = bundle();
    forged.entries.clear();
    forged.claim.entries.clear();
    assert_eq!(refused(&forged), ProofError::EntriesCount { count: 0 });
    let mut forged = bundle();
    forged.entries[2] = forged.entries[0].clone();
    forged.claim.entries[2] = forged.claim.entries[0].clone();
    assert_eq!(refused(&forged), ProofError::KeyTwice { entry: 2 });
    let mut forged = bundle();
    let nowhere = ledger.entry(&[9; 33]);
    forged.entries[1].key = base64_of(&nowhere.key);
    forged.entries[1].proof = nowhere.proof;
    assert_eq!(refused(&forged), ProofError::Key { entry: 1 });
}

/// Entry 0 is there, 1 is not; each thing that could be said otherwise is.
#[test]
fn every_field_of_an_entry_is_proved() {
    let state_refused = |entry: usize, change: &dyn Fn(&mut StateBundle)| {
        let mut forged = bundle();
        change(&mut forged);
        let error = refused(&forged);
        let of_entry = matches!(error, ProofError::State { entry: at, .. } if at == entry);
        assert!(of_entry, "{error}");
        error
    };
    let _ = state_refused(0, &|forged| forged.entries[0].value = None);
    let _ = state_refused(0, &|forged| {
        forged.entries[0].value = Some(base64_of(&[8, 8]));
    });
    let _ = state_refused(0, &|forged| forged.entries[0].key = base64_of(&storage(8)));
    let _ = state_refused(1, &|forged| {
        forged.entries[1].value = Some(base64_of(&[200, 200]));
    });
    let error = state_refused(1, &|forged| forged.entries[1].value = Some(String::new()));
    let expected = ProofError::State {
        entry: 1,
        error: StateProofError::EmptyValue,
    };
    assert_eq!(error, expected);
    let _ = state_refused(1, &|forged| forged.entries[1].key = base64_of(&storage(7)));
    let _ = state_refused(0, &|forged| {
        forged.entries[0].proof = forged.entries[2].proof.clone();
    });
    let _ = state_refused(0, &|forged| forged.entries[0].proof.end = PathEnd::Empty);
    let _ = state_refused(0, &|forged| forged.entries[0].proof.path[0].0[0] ^= 1);
    let _ = state_refused(0, &|forged| {
        let _ = forged.entries[0].proof.path.pop();
    });
    // Another contract's entry of the same key.
    let elsewhere = StateKey::Storage(ContractId([7; 32]), &[7]).to_bytes();
    let _ = state_refused(0, &|forged| {
        forged.entries[0].key = base64_of(&elsewhere);
    });
}

#[test]
fn the_claim_says_what_is_proved() {
    let claim_refused = |field: &'static str, change: &dyn Fn(&mut StateClaim)| {
        let mut forged = bundle();
        change(&mut forged.claim);
        assert_eq!(refused(&forged), ProofError::OtherClaim { field });
    };
    claim_refused("chain_id", &|claim| claim.chain_id.0[0] ^= 1);
    claim_refused("height", &|claim| claim.height.0 += 1);
    claim_refused("block_time", &|claim| {
        claim.block_time.replace_range(0..1, "3")
    });
    claim_refused("block_time_ms", &|claim| claim.block_time_ms.0 += 1);
    claim_refused("state_root", &|claim| claim.state_root.0[0] ^= 1);
    claim_refused("checkpoint_height", &|claim| claim.checkpoint_height.0 += 1);
    claim_refused("words", &|claim| claim.words.push('!'));
    claim_refused("entries", &|claim| claim.entries.swap(0, 1));
    claim_refused("entries", &|claim| {
        let _ = claim.entries.pop();
    });
    claim_refused("entries", &|claim| {
        claim.entries[0].value = Some("0808".to_owned());
    });
    claim_refused("entries", &|claim| {
        claim.entries[1].value = Some("00".to_owned());
    });
    claim_refused("entries", &|claim| claim.entries[0].value = None);
    claim_refused("entries", &|claim| {
        claim.entries[0].words = claim.entries[2].words.clone();
    });
    claim_refused("entries", &|claim| {
        claim.entries[0].place = Place::Contract { contract: CONTRACT };
    });
    let mut silent = bundle();
    silent.claim.cosigners.pop();
    assert_eq!(refused(&silent), ProofError::SignatureLines);
    let mut swapped = bundle();
    swapped.entries.swap(0, 2);
    assert_eq!(
        refused(&swapped),
        ProofError::OtherClaim { field: "entries" }
    );
    // An entry less, as the rest of the file says it: proves less, and that is no forgery.
    let mut less = bundle();
    less.entries.pop();
    assert_eq!(refused(&less), ProofError::OtherClaim { field: "entries" });
    less.claim.entries.pop();
    assert_eq!(refused(&less), ProofError::OtherClaim { field: "words" });
    less.claim.words = less.claim.words.replace("has 2", "has 1");
    assert_eq!(proved(&less).entries.len(), 2);
}

/// What is known without a policy: all but that the header is a ledger's.
#[test]
fn without_a_policy_the_file_is_held_against_its_own_header() {
    assert_eq!(bundle().check(), Ok(bundle().claim));
    let refused = |change: &dyn Fn(&mut StateBundle)| {
        let mut forged = bundle();
        change(&mut forged);
        forged.check().expect_err("it is forged")
    };
    let is_state = |error| matches!(error, ProofError::State { .. });
    assert!(is_state(refused(&|file| file.entries[0].value = None)));
    assert!(is_state(refused(&|file| {
        file.entries[0].proof = file.entries[2].proof.clone();
    })));
    assert!(is_state(refused(&|file| {
        file.entries[0].key = base64_of(&storage(8));
    })));
    let other_claim = |field| ProofError::OtherClaim { field };
    assert_eq!(
        refused(&|file| file.claim.entries[1].value = Some("00".to_owned())),
        other_claim("entries")
    );
    assert_eq!(
        refused(&|file| file.claim.chain_id.0[0] ^= 1),
        other_claim("chain_id")
    );
    let mut header = Ledger::new().headers[5].clone();
    header.version += 1;
    let newer = base64_of(&header.encode());
    let error = refused(&|file| file.header.clone_from(&newer));
    assert!(matches!(error, ProofError::Version { .. }), "{error}");
    header = Ledger::new().headers[5].clone();
    header.state_root.0[0] ^= 1;
    let other = base64_of(&header.encode());
    assert!(is_state(refused(&|file| file.header.clone_from(&other))));

    // A header that nobody certified: that is for `verify` to find out.
    let mut uncertified = bundle();
    uncertified.tlog_proof.clear();
    assert!(uncertified.check().is_ok());
    let _ = self::refused(&uncertified);
}

#[test]
fn the_state_of_another_block_or_ledger() {
    let other = Ledger::certified(|ledger| {
        ledger.state.insert(storage(7), vec![8, 8]);
    });
    let entries = [other.entry(&storage(7))];
    let foreign = Ledger::new().proven(7, |proven| StateBundle::of_entries(proven, &entries));
    let error = refused(&foreign.expect("sound entries"));
    let is_wrong_root = matches!(
        error,
        ProofError::State {
            entry: 0,
            error: StateProofError::WrongRoot { .. }
        }
    );
    assert!(is_wrong_root, "{error}");

    let mut header = Ledger::new().headers[5].clone();
    header.state_root = other.tree().root();
    let mut forged = bundle_of(&Ledger::new(), 7, &[storage(7)]);
    forged.header = base64_of(&header.encode());
    let error = refused(&forged);
    assert!(matches!(error, ProofError::Inclusion { .. }), "{error}");
    header = Ledger::new().headers[5].clone();
    header.chain.0[0] ^= 1;
    forged.header = base64_of(&header.encode());
    let error = refused(&forged);
    assert!(matches!(error, ProofError::OtherLedger { .. }), "{error}");
}

#[test]
fn a_checkpoint_without_a_quorum_or_from_before_the_block() {
    let ledger = Ledger::new();
    let with_note = |note| {
        let mut forged = bundle_of(&ledger, 5, &[storage(7)]);
        let mut tlog_proof: TlogProof = forged.tlog_proof.parse().expect("its own text");
        tlog_proof.checkpoint = note;
        forged.tlog_proof = tlog_proof.to_string();
        let lines = tlog_proof.checkpoint.signatures.iter().skip(1);
        forged.claim.cosigners = lines.map(|line| line.name.clone()).collect();
        forged
    };
    let note = |height, cosigners| {
        certify(ledger.statement(height), cosigners).note(&validators(4), &log_key())
    };
    let no_quorum = UntrustedNote::NoQuorum { cosigners: 2 };
    assert_eq!(
        refused(&with_note(note(5, 2))),
        ProofError::Checkpoint(no_quorum)
    );
    let error = refused(&with_note(note(4, 4)));
    assert!(matches!(error, ProofError::Inclusion { .. }), "{error}");
    let mut statement = ledger.statement(5);
    statement.time_seconds += 1;
    let late = certify(statement, 4).note(&validators(4), &log_key());
    assert_eq!(refused(&with_note(late)), ProofError::Time);
    assert_eq!(proved(&with_note(note(5, 3))).cosigners.len(), 3);
}

/// A value that is no record of its kind: a quorum of liars, or newer rules than the verifier's.
#[test]
fn a_record_that_is_none() {
    let key = StateKey::Contract(CONTRACT).to_bytes();
    let ledger = Ledger::certified(|ledger| {
        ledger.state.insert(key.clone(), vec![1]);
    });
    let entries = [ledger.entry(&key)];
    let made = ledger.proven(5, |proven| StateBundle::of_entries(proven, &entries));
    assert!(matches!(made, Err(ProofError::Codec { .. })), "{made:?}");
}
