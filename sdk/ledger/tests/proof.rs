//! The bundle: what it proves, that no bit of it can change, and what was tried to forge one.

mod common;

use chancery_ledger::block::Header;
use chancery_ledger::checkpoint::cosigner;
use chancery_ledger::claim::{Claim, ClaimedCall, Outcome};
use chancery_ledger::note::{KeyKind, Note, NoteSignature, VerifierKey};
use chancery_ledger::policy::{Policy, UntrustedNote};
use chancery_ledger::proof::{Bundle, ProofError};
use chancery_ledger::tlog_proof::TlogProof;
use chancery_ledger::upgrade::{UpgradeApproval, Upgraders};
use chancery_ledger::{Call, Hash, Height, Status, TrapKind, ValidatorIndex};
use common::ledger::{
    CONTRACT, HEIGHT, Ledger, base64_of, invoke, policy, receipt, sign, without_spaces,
};
use common::{certify, chain, key, log_key, validators};
use parity_scale_codec::{Decode, Encode};
use proptest::prelude::*;

fn bundle() -> Bundle {
    Ledger::new().bundle_of(0, 7)
}

fn proved(bundle: &Bundle) -> Claim {
    bundle.verify(&policy()).expect("it is proved")
}

#[test]
fn a_bundle_proves_its_claim() {
    let bundle = bundle();
    let claim = proved(&Bundle::from_json(&bundle.to_json()).expect("its own text"));
    assert_eq!(claim, bundle.claim);
    assert_eq!(claim.chain_id, chain());
    assert_eq!(claim.sender, key(1).account());
    assert_eq!(claim.height, Height(HEIGHT));
    assert_eq!(claim.checkpoint_height, Height(7));
    assert_eq!(claim.block_time, "2026-11-18T11:06:40.987Z");
    assert_eq!(
        claim.outcome,
        Outcome::Applied {
            value: "01".to_owned()
        }
    );
    let expected = ClaimedCall::Invoke {
        contract: CONTRACT,
        method: "grant_access".to_owned(),
        args: "010203".to_owned(),
    };
    assert_eq!(claim.call, expected);
    assert_eq!(
        (claim.events.len(), &claim.events[0].topic[..]),
        (1, "access_granted")
    );
    assert_eq!(
        claim.cosigners,
        ["validator-1", "validator-2", "validator-3", "validator-4"]
    );
    assert_eq!(
        claim.words,
        format!(
            "{} asked ledger {} to call grant_access of contract {CONTRACT}. \
             Outcome: applied, in block 5 at 2026-11-18T11:06:40.987Z.",
            key(1).account(),
            chain()
        )
    );
}

#[test]
fn every_kind_and_outcome_is_provable_under_every_later_checkpoint() {
    let ledger = Ledger::new();
    for checkpoint in 5..8 {
        for index in 0..5 {
            let bundle = ledger.bundle_of(index, checkpoint);
            let read = Bundle::from_json(&bundle.to_json());
            assert_eq!(read.as_ref(), Ok(&bundle));
            assert_eq!(proved(&bundle), bundle.claim);
        }
    }
    let words = |index| ledger.bundle_of(index, 5).claim.words;
    assert!(words(1).contains("Outcome: reverted with code 3, in block 5 at "));
    assert!(words(2).contains(" to deploy code cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f, to be upgraded by 1 of 2 accounts: did:key:z6Mk"));
    assert!(words(2).contains(". Outcome: trapped: module_refused, "));
    assert!(words(3).contains(" with roles registrar, deployer. Outcome: applied, "));
    assert!(words(4).contains(" without roles. Outcome: trapped: invalid_key, "));
}

#[test]
fn there_is_no_bundle_of_a_transaction_that_is_not_there() {
    let ledger = Ledger::new();
    let bundle = ledger.proven(5, |proven| {
        Bundle::of_transaction(proven, &ledger.transactions, &ledger.receipts, 5)
    });
    assert_eq!(bundle, None);
}

/// The whole file, one bit after the other.
#[test]
fn no_bit_of_the_file_can_change() {
    let policy = policy();
    let text = Ledger::new().bundle_of(1, 7).to_json();
    for position in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let accepted = Bundle::from_json(&changed).and_then(|bundle| bundle.verify(&policy));
            assert!(
                accepted.is_err(),
                "bit {bit} of byte {position}: {:?}",
                &changed[position.saturating_sub(40)..(position + 40).min(changed.len())]
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_byte_of_the_file_can_become_another(
        index in 0..5_u32,
        position in any::<prop::sample::Index>(),
        other in any::<u8>(),
    ) {
        let text = ledger_text(index);
        let mut bytes = text.clone().into_bytes();
        let position = position.index(bytes.len());
        bytes[position] = other;
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        let is_json = serde_json::from_str::<serde_json::Value>(&changed).is_ok();
        let harmless = is_json && without_spaces(&changed) == without_spaces(&text);
        let accepted = Bundle::from_json(&changed).and_then(|bundle| bundle.verify(&policy()));
        prop_assert_eq!(accepted.is_ok(), harmless);
    }

    #[test]
    fn nothing_makes_the_reader_panic(text in "\\PC{0,300}") {
        prop_assert!(Bundle::from_json(&text).is_err());
    }
}

fn ledger_text(index: u32) -> String {
    use std::sync::OnceLock;
    static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
    let texts = TEXTS.get_or_init(|| {
        let ledger = Ledger::new();
        let text = |index| ledger.bundle_of(index, 6).to_json();
        (0..5).map(text).collect()
    });
    texts[usize::try_from(index).expect("small")].clone()
}

#[test]
fn other_json_is_refused() {
    let good = bundle().to_json();
    let refused = |text: &str| Bundle::from_json(text).expect_err("not a bundle");
    for text in [
        "",
        "{}",
        "[]",
        &good[..good.len() - 3],
        &format!("{good}{good}"),
        &good.replacen("\"format\"", "\"extra\": 1, \"format\"", 1),
        &good.replacen("\"header\"", "\"header\": \"\", \"header\"", 1),
        &good.replacen("\"index\": 0", "\"index\": -0", 1),
        &good.replacen("\"index\": 0", "\"index\": 0.0", 1),
        &good.replacen("\"index\": 0", "\"index\": 4294967296", 1),
        &good.replacen("\"height\": 5", "\"height\": \"5\"", 1),
        &good.replacen(
            "\"kind\": \"invoke\"",
            "\"kind\": \"invoke\", \"account\": \"x\"",
            1,
        ),
    ] {
        let error = refused(text);
        assert!(matches!(error, ProofError::Json { .. }), "{error}");
    }
    let other = good.replacen("chancery-proof/v1", "chancery-proof/v2", 1);
    assert!(matches!(refused(&other), ProofError::Format { .. }));
    let long_field = format!("{{\"{}\": 1}}", "x".repeat(10_000));
    assert!(refused(&long_field).to_string().len() < 300);
    let deep = "[".repeat(100_000);
    assert!(matches!(refused(&deep), ProofError::Json { .. }));
}

/// serde takes a list for an object, and a null for an absent field; other verifiers might not.
#[test]
fn other_forms_of_the_same_json_are_refused() {
    let bundle = bundle();
    let good: serde_json::Value = serde_json::from_str(&bundle.to_json()).expect("JSON");
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        assert_ne!(changed, good);
        let error = Bundle::from_json(&changed.to_string()).expect_err("another form");
        assert!(
            matches!(error, ProofError::OtherForm | ProofError::Json { .. }),
            "{error}"
        );
        error
    };
    let as_list = |value: &mut serde_json::Value, fields: &[&str]| {
        *value = fields.iter().map(|field| value[field].clone()).collect();
    };
    let error = refused(&|file| as_list(&mut file["transaction"], &["index", "bytes", "path"]));
    assert_eq!(error, ProofError::OtherForm);
    let error = refused(&|file| as_list(&mut file["receipt"], &["bytes", "path"]));
    assert_eq!(error, ProofError::OtherForm);
    let _ = refused(&|file| {
        as_list(
            &mut file["claim"]["call"],
            &["kind", "contract", "method", "args"],
        );
    });
    let _ = refused(&|file| as_list(&mut file["claim"]["outcome"], &["status", "value"]));
    let _ = refused(&|file| file["state"] = serde_json::Value::Null);
    let without_contract = Ledger::certified(|ledger| {
        ledger.receipts[0].contract = None;
    })
    .bundle_of(0, 5)
    .to_json();
    let null = without_contract.replacen("\"events\"", "\"contract\": null, \"events\"", 1);
    assert_ne!(null, without_contract);
    assert_eq!(Bundle::from_json(&null), Err(ProofError::OtherForm));
    let compact = good.to_string();
    assert_eq!(Bundle::from_json(&compact), Ok(bundle));
}

/// What was tried to have something believed that did not happen.
mod forgeries {
    use super::*;

    fn refused(bundle: &Bundle) -> ProofError {
        let error = bundle.verify(&policy()).expect_err("it is forged");
        // The file says the same.
        let read = Bundle::from_json(&bundle.to_json()).and_then(|read| read.verify(&policy()));
        assert_eq!(read, Err(error.clone()));
        error
    }

    fn inclusion_refused(bundle: &Bundle) {
        let error = refused(bundle);
        assert!(matches!(error, ProofError::Inclusion { .. }), "{error}");
    }

    #[test]
    fn another_status() {
        let ledger = Ledger::new();
        let mut forged = ledger.bundle_of(1, 7);
        let applied = Status::Applied { value: Vec::new() };
        let receipt = receipt(&ledger.transactions[1], applied);
        forged.receipt.bytes = base64_of(&receipt.encode());
        inclusion_refused(&forged);
        // The words alone.
        let mut forged = ledger.bundle_of(1, 7);
        forged.claim.outcome = Outcome::Applied {
            value: String::new(),
        };
        assert_eq!(
            refused(&forged),
            ProofError::OtherClaim { field: "outcome" }
        );
        forged = ledger.bundle_of(1, 7);
        forged.claim.words = ledger.bundle_of(0, 7).claim.words;
        assert_eq!(refused(&forged), ProofError::OtherClaim { field: "words" });
    }

    /// The twin's receipt, with its own honest path: reverted becomes applied.
    #[test]
    fn the_receipt_of_another_transaction() {
        let ledger = Ledger::new();
        let (applied, mut forged) = (ledger.bundle_of(0, 7), ledger.bundle_of(1, 7));
        forged.receipt = applied.receipt.clone();
        inclusion_refused(&forged);
        forged.transaction.index = 0;
        inclusion_refused(&forged);
    }

    /// Blocks of three: in a tree that promotes a lone node, leaf 2 has a path of one hash, which
    /// is also the shape of a leaf in a tree of two.
    #[test]
    fn an_index_beyond_the_block_or_moved_in_it() {
        let good = bundle();
        for index in [1, 2, 3, 4, 5, 8, u32::MAX] {
            let mut forged = good.clone();
            forged.transaction.index = index;
            inclusion_refused(&forged);
        }
    }

    #[test]
    fn a_transaction_that_was_never_executed() {
        let mut forged = bundle();
        forged.transaction.bytes = base64_of(&sign(77, invoke("grant_access")).encode());
        inclusion_refused(&forged);
    }

    /// A second valid signature would not change the id; but the leaf covers the signature.
    #[test]
    fn another_signature() {
        let mut forged = bundle();
        let mut signed = Ledger::new().transactions[0].clone();
        signed.signature.0[63] ^= 0x10;
        forged.transaction.bytes = base64_of(&signed.encode());
        inclusion_refused(&forged);
    }

    fn certified(change: impl FnOnce(&mut Ledger)) -> Bundle {
        Ledger::certified(change).bundle_of(0, 5)
    }

    #[test]
    fn what_even_a_quorum_cannot_certify() {
        assert!(certified(|_| ()).verify(&policy()).is_ok());
        let unsigned = certified(|ledger| ledger.transactions[0].signature.0[0] ^= 1);
        assert_eq!(refused(&unsigned), ProofError::TransactionSignature);
        let elsewhere = certified(|ledger| {
            let mut transaction = ledger.transactions[0].transaction.clone();
            transaction.chain.0[0] ^= 1;
            ledger.transactions[0] = transaction.sign(&key(1));
            ledger.receipts[0].transaction = ledger.transactions[0].id();
        });
        assert!(matches!(
            refused(&elsewhere),
            ProofError::OtherLedger { .. }
        ));
        let swapped = certified(|ledger| ledger.receipts.swap(0, 1));
        assert_eq!(refused(&swapped), ProofError::OtherReceipt);
    }

    #[test]
    fn another_header_or_place_in_the_log() {
        let ledger = Ledger::new();
        let good = ledger.bundle_of(0, 7);
        let header_of = |change: &dyn Fn(&mut Header)| {
            let mut header = ledger.headers[5].clone();
            change(&mut header);
            Bundle {
                header: base64_of(&header.encode()),
                ..good.clone()
            }
        };
        inclusion_refused(&header_of(&|header| header.transactions_count = 6));
        inclusion_refused(&header_of(&|header| header.time.0 += 1));
        let other_height = header_of(&|header| header.height.0 = 6);
        assert!(matches!(
            refused(&other_height),
            ProofError::OtherHeight { .. }
        ));
        let other_version = header_of(&|header| header.version = 2);
        assert_eq!(refused(&other_version), ProofError::Version { version: 2 });
        let other_chain = header_of(&|header| header.chain.0[0] ^= 1);
        assert!(matches!(
            refused(&other_chain),
            ProofError::OtherLedger { .. }
        ));
        let mut tlog_proof: TlogProof = good.tlog_proof.parse().expect("its own text");
        tlog_proof.index = 4;
        let moved = Bundle {
            tlog_proof: tlog_proof.to_string(),
            ..header_of(&|header| header.height.0 = 4)
        };
        inclusion_refused(&moved);
        tlog_proof.index = u64::MAX;
        let at_the_end = Bundle {
            tlog_proof: tlog_proof.to_string(),
            ..header_of(&|header| header.height.0 = u64::MAX)
        };
        inclusion_refused(&at_the_end);
    }

    /// A checkpoint from before the block, of the same ledger.
    #[test]
    fn an_earlier_checkpoint() {
        let ledger = Ledger::new();
        let mut forged = ledger.bundle_of(0, 5);
        let note = certify(ledger.statement(4), 4).note(&validators(4), &log_key());
        let mut tlog_proof: TlogProof = forged.tlog_proof.parse().expect("its own text");
        tlog_proof.checkpoint = note;
        forged.tlog_proof = tlog_proof.to_string();
        inclusion_refused(&forged);
    }

    fn with_note(change: impl FnOnce(&mut Note)) -> Bundle {
        let mut forged = bundle();
        let mut tlog_proof: TlogProof = forged.tlog_proof.parse().expect("its own text");
        change(&mut tlog_proof.checkpoint);
        forged.tlog_proof = tlog_proof.to_string();
        let lines = tlog_proof.checkpoint.signatures.iter().skip(1);
        forged.claim.cosigners = lines.map(|line| line.name.clone()).collect();
        forged
    }

    #[test]
    fn fewer_cosigners() {
        let three = with_note(|note| note.signatures.truncate(4));
        assert_eq!(proved(&three).cosigners.len(), 3);
        let two = with_note(|note| note.signatures.truncate(3));
        let no_quorum = UntrustedNote::NoQuorum { cosigners: 2 };
        assert_eq!(refused(&two), ProofError::Checkpoint(no_quorum));
        let unsigned = with_note(|note| note.signatures.truncate(1));
        let no_quorum = UntrustedNote::NoQuorum { cosigners: 0 };
        assert_eq!(refused(&unsigned), ProofError::Checkpoint(no_quorum));
    }

    #[test]
    fn lines_that_the_claim_does_not_name() {
        let mut silent = bundle();
        silent.claim.cosigners.pop();
        assert_eq!(refused(&silent), ProofError::SignatureLines);
        let mut boastful = bundle();
        boastful
            .claim
            .cosigners
            .push("the-supreme-court".to_owned());
        assert_eq!(refused(&boastful), ProofError::SignatureLines);
        let mut doubled = with_note(|note| note.signatures.push(note.signatures[1].clone()));
        // Named twice it is what the note says; trusted it is once.
        assert_eq!(proved(&doubled).cosigners.len(), 4);
        doubled.claim.cosigners.pop();
        assert_eq!(refused(&doubled), ProofError::SignatureLines);
        let log_last = with_note(|note| note.signatures.rotate_left(1));
        assert_eq!(refused(&log_last), ProofError::SignatureLines);
    }

    #[test]
    fn a_strangers_line_is_never_reported_as_trusted() {
        let stranger = key(7);
        let forged = with_note(|note| {
            let vkey =
                VerifierKey::new("the-supreme-court", KeyKind::Cosignature, stranger.public())
                    .expect("a name");
            note.signatures.push(NoteSignature::new(&vkey, vec![1; 72]));
        });
        let claim = proved(&forged);
        assert!(!claim.cosigners.contains(&"the-supreme-court".to_owned()));
        let as_member = with_note(|note| {
            let vkey = VerifierKey::new("validator-4", KeyKind::Cosignature, stranger.public())
                .expect("a name");
            note.signatures[4] = NoteSignature::new(&vkey, vec![1; 72]);
        });
        assert_eq!(refused(&as_member), ProofError::SignatureLines);
    }

    /// One validator cosigns another time than the rest: a block has one time.
    #[test]
    fn cosigners_of_different_times() {
        let ledger = Ledger::new();
        let set = validators(4);
        for (cosigners, shift) in [(1, 1), (1, -1), (4, -100_000)] {
            let mut statement = ledger.statement(7);
            statement.time_seconds = statement.time_seconds.saturating_add_signed(shift);
            let forged = with_note(|note| {
                for i in 0..cosigners {
                    let member = cosigner(set.get(ValidatorIndex(i)).expect("there are four"));
                    let number = u8::try_from(i).expect("small");
                    let signature = key(100 + 3 * number).sign(&statement.cosigned_bytes());
                    let time = statement.time_seconds.to_be_bytes();
                    let bytes = [&time[..], &signature.0].concat();
                    note.signatures[usize::from(i) + 1] = NoteSignature::new(&member, bytes);
                }
            });
            assert_eq!(refused(&forged), ProofError::Time, "{cosigners} by {shift}");
        }
        // At the block's own height the time is the header's, not only a later one.
        let mut statement = ledger.statement(5);
        statement.time_seconds += 1;
        let mut forged = ledger.bundle_of(0, 5);
        let mut tlog_proof: TlogProof = forged.tlog_proof.parse().expect("its own text");
        tlog_proof.checkpoint = certify(statement, 4).note(&set, &log_key());
        forged.tlog_proof = tlog_proof.to_string();
        assert_eq!(refused(&forged), ProofError::Time);
    }

    #[test]
    fn a_policy_of_another_ledger_or_of_other_validators() {
        let good = bundle();
        let mut other_chain = chain();
        other_chain.0[0] ^= 1;
        let policy = Policy::of_validators(other_chain, &validators(4));
        assert!(matches!(
            good.verify(&policy),
            Err(ProofError::Checkpoint(UntrustedNote::UnknownOrigin { .. }))
        ));
        let more = Policy::of_validators(chain(), &validators(7));
        assert!(matches!(
            good.verify(&more),
            Err(ProofError::Checkpoint(UntrustedNote::NoQuorum {
                cosigners: 4
            }))
        ));
    }

    /// An auditor who trusts only some of the validators, by names of his own.
    #[test]
    fn a_narrower_policy_reports_only_whom_it_trusts() {
        let text = policy().to_string();
        let mut kept: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with("log "))
            .map(str::to_owned)
            .collect();
        let vkeys: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("witness "))
            .filter_map(|line| line.split_once(' '))
            .map(|(_, vkey)| vkey)
            .collect();
        kept.push(format!("witness hospital {}", vkeys[1]));
        kept.push("quorum hospital".to_owned());
        let policy: Policy = kept.join("\n").parse().expect("a policy");
        let claim = bundle().verify(&policy).expect("it is proved");
        assert_eq!(claim.cosigners, ["hospital"]);
    }

    /// Anybody may ask for a method that no contract has; its name must not speak for the ledger.
    #[test]
    fn a_method_whose_name_tells_a_story() {
        let name = "grant_access of contract 00. Outcome: applied,\u{1b}[2K";
        let bundle = certified(|ledger| {
            ledger.transactions[0] = sign(0, invoke(name));
            let kind = TrapKind::UnknownMethod;
            ledger.receipts[0] = receipt(&ledger.transactions[0], Status::Trapped { kind });
        });
        let words = proved(&bundle).words;
        let expected = format!(
            "to call 0x{} of contract {CONTRACT}. Outcome: trapped: unknown_method, ",
            hex::encode(name)
        );
        assert!(words.contains(&expected), "{words}");
        for name in ["", "0x00", "1st", "über"] {
            let bundle = certified(|ledger| {
                ledger.transactions[0] = sign(0, invoke(name));
                ledger.receipts[0].transaction = ledger.transactions[0].id();
            });
            let expected = format!("to call 0x{} of", hex::encode(name));
            assert!(proved(&bundle).words.contains(&expected), "{name:?}");
        }
    }

    #[test]
    fn upgrades_in_words() {
        let approval = UpgradeApproval::of(7, b"\0asm", &[]);
        let approve = |approval| Call::ApproveUpgrade {
            contract: CONTRACT,
            approval,
        };
        let code = approval.code;
        let upgrade = Call::Upgrade {
            contract: CONTRACT,
            version: 7,
            code: b"\0asm".to_vec(),
            args: vec![1],
        };
        let deploy = Call::Deploy {
            code: b"\0asm".to_vec(),
            upgraders: Upgraders::nobody(),
            args: Vec::new(),
        };
        for (call, expected) in [
            (
                upgrade,
                format!("upgrade version 7 of contract {CONTRACT} to code {code}"),
            ),
            (
                approve(Some(approval)),
                format!("approve upgrading version 7 of contract {CONTRACT} to code {code}"),
            ),
            (
                approve(None),
                format!("withdraw what it approved for contract {CONTRACT}"),
            ),
            (
                deploy,
                format!("deploy code {code}, to be upgraded by nobody"),
            ),
        ] {
            let bundle = certified(|ledger| {
                ledger.transactions[0] = sign(0, call.clone());
                ledger.receipts[0].transaction = ledger.transactions[0].id();
            });
            let words = proved(&bundle).words;
            let expected = format!(" to {expected}. Outcome: applied, in block ");
            assert!(words.contains(&expected), "{words}");
        }
    }

    #[test]
    fn loose_encodings_of_the_same() {
        let good = bundle();
        let header = |header: String| Bundle {
            header,
            ..good.clone()
        };
        let text = &good.header;
        for loose in [
            text.trim_end_matches('=').to_owned(),
            format!("{text}="),
            format!("{text}\n"),
            format!(" {text}"),
            text.replace('+', "-").replace('/', "_") + "_",
        ] {
            assert!(matches!(
                refused(&header(loose)),
                ProofError::Base64 { part: "header" }
            ));
        }
        let longer = base64_of(&[&Ledger::new().headers[5].encode()[..], &[0]].concat());
        assert!(matches!(refused(&header(longer)), ProofError::Codec { .. }));
        let mut upper_case = good.clone();
        if let ClaimedCall::Invoke { args, .. } = &mut upper_case.claim.call {
            *args = "0x010203".to_owned();
        }
        assert_eq!(
            refused(&upper_case),
            ProofError::OtherClaim { field: "call" }
        );
        let mut extra = good;
        let with_extra = extra
            .tlog_proof
            .replacen("\nindex", "\nextra AAAA\nindex", 1);
        extra.tlog_proof = with_extra;
        assert!(matches!(refused(&extra), ProofError::TlogProof(_)));
    }

    #[test]
    fn a_path_with_more_or_fewer_hashes() {
        let good = bundle();
        for part in 0..3 {
            for longer in [true, false] {
                let mut forged = good.clone();
                let mut tlog_proof: TlogProof = good.tlog_proof.parse().expect("its own text");
                let path = match part {
                    0 => &mut forged.transaction.path,
                    1 => &mut forged.receipt.path,
                    _ => &mut tlog_proof.path,
                };
                if longer {
                    path.push(Hash([0; 32]));
                } else {
                    path.pop();
                }
                forged.tlog_proof = tlog_proof.to_string();
                inclusion_refused(&forged);
            }
        }
    }

    #[test]
    fn the_test_ledger_decodes_as_it_encodes() {
        let header = &Ledger::new().headers[5];
        assert_eq!(
            Header::decode(&mut &header.encode()[..]).as_ref(),
            Ok(header)
        );
    }
}
