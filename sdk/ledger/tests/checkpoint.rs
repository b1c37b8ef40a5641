//! Notes, verifier keys and policies: C2SP's own vectors, the strictness of the parsers, and what
//! was tried to have a checkpoint accepted that no quorum signed.

mod common;

use chancery_ledger::checkpoint::{
    CertificateError, CheckpointStatement, CheckpointText, cosigner, log_verifier, origin,
};
use chancery_ledger::note::{KeyKind, Note, NoteError, NoteSignature, VerifierKey};
use chancery_ledger::policy::{Policy, PolicyError, UntrustedNote};
use chancery_ledger::{Hash, Height, Millis, ValidatorIndex};
use common::{certify, chain, key, log_key, validators};
use proptest::prelude::*;

fn statement() -> CheckpointStatement {
    CheckpointStatement::new(chain(), Height(6), Hash([5; 32]), Millis(1_795_000_000_987))
}

fn note(cosigners: u8) -> Note {
    certify(statement(), cosigners).note(&validators(4), &log_key())
}

fn policy() -> Policy {
    Policy::of_validators(chain(), &validators(4))
}

#[test]
fn the_public_note_verifies() {
    let Some(folder) = common::vectors("c2sp") else {
        return;
    };
    let (_, case) = &common::json_files(&folder)[0];
    let text = |name: &str| case[name].as_str().expect("a text");
    let key: VerifierKey = text("vkey").parse().expect("a key");
    assert_eq!(key.to_string(), text("vkey"));
    assert_eq!(key.kind(), KeyKind::Note);
    let note: Note = text("note").parse().expect("a note");
    assert_eq!(note.to_string(), text("note"));
    assert!(note.signatures[0].is_of(&key));
    let verified = key.verify(&note.text, &note.signatures[0].signature);
    assert_eq!(verified, Ok(None));
    assert!(
        key.verify("another\n", &note.signatures[0].signature)
            .is_err()
    );
}

/// signed-note.md's first example: a text with an empty line in it, and an em dash.
#[test]
fn a_text_may_have_empty_lines() {
    let text = "Ognuno sta solo sul cuor della terra\n\ned è subito sera.\n";
    let line = "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let note: Note = format!("{text}\n{line}").parse().expect("a note");
    assert_eq!(note.text, text);
    assert_eq!(note.signatures[0].name, "quasimodo.example/salvatore");
    assert_eq!(note.signatures[0].id, [0x36, 0x7b, 0xa0, 0x4b]);
}

#[test]
fn malformed_notes_are_refused() {
    let good = note(3).to_string();
    let check = |text: &str, expected: NoteError| {
        assert_eq!(text.parse::<Note>(), Err(expected), "{text:?}");
    };
    check("", NoteError::NoSignatures);
    check("text\n", NoteError::NoSignatures);
    check("text\n\n", NoteError::NoSignatures);
    check(good.trim_end(), NoteError::NoSignatures);
    check(&good.replace('\n', "\r\n"), NoteError::ControlCharacter);
    check(
        &good.replace("chancery", "chan\0cery"),
        NoteError::ControlCharacter,
    );
    check("text\n\n\n", NoteError::NoSignatures);
    check(
        "text\n\n- name AAAAAAA=\n",
        NoteError::SignatureLine { line: 1 },
    );
    check(
        "text\n\n— name AAAA\n",
        NoteError::SignatureLine { line: 1 },
    );
    check(
        "text\n\n— name AAAAAA==\n",
        NoteError::SignatureLine { line: 1 },
    );
    check(
        "text\n\n—  AAAAAAA=\n",
        NoteError::SignatureLine { line: 1 },
    );
    check(
        "text\n\n— na+me AAAAAAA=\n",
        NoteError::SignatureLine { line: 1 },
    );
    check(
        "text\n\n— na me AAAAAAA=\n",
        NoteError::SignatureLine { line: 1 },
    );
    check(
        "text\n\n— na\u{a0}me AAAAAAA=\n",
        NoteError::SignatureLine { line: 1 },
    );
    check(
        "text\n\n— name AAAAAAA\n",
        NoteError::SignatureLine { line: 1 },
    );
    check(
        "text\n\n— name AAAAAAB=\n",
        NoteError::SignatureLine { line: 1 },
    );
    check(
        "text\n\n— name AAAAAAA= \n",
        NoteError::SignatureLine { line: 1 },
    );
    let line = "— name AAAAAAA=\n";
    let many = format!("text\n\n{}", line.repeat(129));
    check(&many, NoteError::TooManySignatures);
    assert!(
        format!("text\n\n{}", line.repeat(128))
            .parse::<Note>()
            .is_ok()
    );
    let long = format!("{}\n\n{line}", "a".repeat(65_536));
    check(&long, NoteError::TooLong { len: long.len() });
}

#[test]
fn malformed_verifier_keys_are_refused() {
    let good = cosigner(
        validators(4)
            .get(ValidatorIndex(0))
            .expect("there are four"),
    )
    .to_string();
    assert!(good.parse::<VerifierKey>().is_ok());
    let other_id = good.replacen('+', "+0", 1);
    let upper_id = {
        let (name, rest) = good.split_once('+').expect("has a plus");
        let (id, key) = rest.split_once('+').expect("has two");
        format!("{name}+{}+{key}", id.to_uppercase())
    };
    assert_ne!(upper_id, good, "the id has a letter in it");
    for text in [
        "",
        "name",
        "name+00000000",
        "name+00000000+",
        "name+00000000+AQ==",
        &good[..good.len() - 4],
        &format!(" {good}"),
        &format!("{good}\n"),
        &good.replacen("validator", "validatos", 1),
        &other_id,
        &upper_id,
    ] {
        assert!(text.parse::<VerifierKey>().is_err(), "{text:?}");
    }
    // The neutral element: under it, one signature is valid for many messages.
    let small_order = [&[1_u8, 1][..], &[0; 31]].concat();
    let text = format!("name+00000000+{}", base64_of(&small_order));
    let refused = text.parse::<VerifierKey>().expect_err("a weak key");
    assert!(refused.to_string().contains("small order"), "{refused}");
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a_quorum_is_trusted_and_less_is_not() {
    for cosigners in 0..=4 {
        let verified = policy().verify(&note(cosigners));
        if cosigners < 3 {
            let cosigners = cosigners.into();
            assert_eq!(verified, Err(UntrustedNote::NoQuorum { cosigners }));
            continue;
        }
        let trusted = verified.expect("a quorum");
        assert_eq!(trusted.text.origin, origin(chain()));
        assert_eq!((trusted.text.size, trusted.text.root), (7, Hash([5; 32])));
        let names: Vec<&str> = trusted.cosigners.iter().map(|c| c.name.as_str()).collect();
        let expected = ["validator-1", "validator-2", "validator-3", "validator-4"];
        assert_eq!(names, expected[..cosigners.into()]);
        assert!(
            trusted
                .cosigners
                .iter()
                .all(|c| c.time_seconds == 1_795_000_000)
        );
    }
}

#[test]
fn a_policy_survives_its_text() {
    for count in [1, 2, 4, 7, 31] {
        let policy = Policy::of_validators(chain(), &validators(count));
        let text = policy.to_string();
        assert_eq!(text.parse::<Policy>(), Ok(policy), "{text}");
    }
}

#[test]
fn a_policy_may_be_written_by_hand() {
    let set = validators(4);
    let vkey = |i| cosigner(set.get(ValidatorIndex(i)).expect("there are four")).to_string();
    let log = log_verifier(chain(), log_key().public());
    let text = format!(
        "# trusted by Jo\n\n \t log\t{log}  https://example.com/\n\
         witness a {}\n  witness b {} https://b.example/\nwitness c {}\nwitness d {}\n\
         group Either any a b\ngroup Both all c d\n\t# nested\ngroup Top 2 Either Both\nquorum Top",
        vkey(0),
        vkey(1),
        vkey(2),
        vkey(3)
    );
    let policy: Policy = text.parse().expect("a policy");
    let mut note = note(4);
    assert!(policy.verify(&note).is_ok());
    note.signatures.remove(1);
    assert!(policy.verify(&note).is_ok(), "one of a and b is enough");
    note.signatures.remove(2);
    assert_eq!(
        policy.verify(&note),
        Err(UntrustedNote::NoQuorum { cosigners: 2 })
    );
}

#[test]
fn malformed_policies_are_refused() {
    let set = validators(2);
    let vkey = |i| cosigner(set.get(ValidatorIndex(i)).expect("there are two")).to_string();
    let (a, b) = (vkey(0), vkey(1));
    let log = log_verifier(chain(), log_key().public());
    let start = format!("log {log}\nwitness a {a}\nwitness b {b}\n");
    let error = |lines: &str| {
        format!("{start}{lines}")
            .parse::<Policy>()
            .expect_err("not a policy")
    };
    let name = |name: &str| name.to_owned();
    let (line, count) = (4, 2);
    assert_eq!(error(""), PolicyError::NotOneQuorum);
    assert_eq!(error("quorum a\nquorum a\n"), PolicyError::NotOneQuorum);
    assert_eq!(error("quorum none\n"), PolicyError::NoQuorumAsked { line });
    assert_eq!(
        error("quorum c\n"),
        PolicyError::UnknownName {
            line,
            name: name("c")
        }
    );
    assert_eq!(
        error("group g 3 a b\n"),
        PolicyError::Threshold { line, count }
    );
    for threshold in ["0", "01", "+1", "two", "ALL", "18446744073709551617"] {
        let lines = format!("group g {threshold} a b\nquorum g\n");
        assert_eq!(
            error(&lines),
            PolicyError::Threshold { line, count },
            "{threshold}"
        );
    }
    assert_eq!(
        error("group g any a a\n"),
        PolicyError::MemberTwice {
            line,
            name: name("a")
        }
    );
    assert_eq!(
        error("group g any a\ngroup h any a b\n"),
        PolicyError::MemberTwice {
            line: 5,
            name: name("a")
        }
    );
    assert_eq!(
        error("group g any h\ngroup h any g\n"),
        PolicyError::UnknownName {
            line,
            name: name("h")
        }
    );
    assert_eq!(
        error("group g any none\n"),
        PolicyError::UnknownName {
            line,
            name: name("none")
        }
    );
    assert_eq!(
        error("group a any b\n"),
        PolicyError::NameTaken {
            line,
            name: name("a")
        }
    );
    assert_eq!(
        error("group none any b\n"),
        PolicyError::NameTaken {
            line,
            name: name("none")
        }
    );
    assert_eq!(
        error(&format!("witness c {a}\n")),
        PolicyError::KeyTwice { line }
    );
    assert_eq!(
        error(&format!("log {log}\n")),
        PolicyError::KeyTwice { line }
    );
    assert!(matches!(
        error(&format!("log {a}\n")),
        PolicyError::Key { .. }
    ));
    assert!(matches!(
        error(&format!("witness c {log}\n")),
        PolicyError::Key { .. }
    ));
    for bad in [
        "group g any",
        "quorum",
        "quorum a b",
        "log",
        "Quorum a",
        "witness c",
        "x",
    ] {
        assert!(
            matches!(error(bad), PolicyError::Line { line: 4, .. }),
            "{bad}"
        );
    }
    assert_eq!(
        error("quorum a\r\n"),
        PolicyError::ControlCharacter { line }
    );
    let no_log = format!("witness a {a}\nquorum a\n");
    assert_eq!(no_log.parse::<Policy>(), Err(PolicyError::NoLog));
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "(log |witness |group |quorum |any |\\PC|\n|\\+|— ){0,40}") {
        let _ = text.parse::<Policy>();
        let _ = text.parse::<VerifierKey>();
        let _ = text.parse::<CheckpointText>();
        let _ = text.parse::<chancery_ledger::tlog_proof::TlogProof>();
        if let Ok(note) = text.parse::<Note>() {
            prop_assert_eq!(note.to_string(), text);
        }
    }
}

/// What was tried to be believed without a quorum.
mod forgeries {
    use super::*;

    fn refused(note: &Note) -> UntrustedNote {
        policy().verify(note).expect_err("it is forged")
    }

    #[test]
    fn one_signer_many_times() {
        let mut note = note(2);
        for _ in 0..5 {
            note.signatures.push(note.signatures[2].clone());
        }
        assert_eq!(refused(&note), UntrustedNote::NoQuorum { cosigners: 2 });
    }

    /// The same validator at another time: a valid cosignature, but of the same witness.
    #[test]
    fn one_signer_at_many_times() {
        let mut forged = note(2);
        for later in 1..4 {
            let mut statement = statement();
            statement.time_seconds += later;
            let note = certify(statement, 2).note(&validators(4), &log_key());
            forged.signatures.extend_from_slice(&note.signatures[1..]);
        }
        assert_eq!(refused(&forged), UntrustedNote::NoQuorum { cosigners: 2 });
    }

    #[test]
    fn a_stranger_under_a_validators_name() {
        let mut note = note(2);
        let stranger =
            VerifierKey::new("validator-3", KeyKind::Cosignature, key(1).public()).expect("a name");
        let time = statement().time_seconds;
        let signature = key(1).sign(&statement().cosigned_bytes());
        let bytes = [&time.to_be_bytes()[..], &signature.0].concat();
        note.signatures
            .push(NoteSignature::new(&stranger, bytes.clone()));
        assert_eq!(refused(&note), UntrustedNote::NoQuorum { cosigners: 2 });
        // And under the validator's own id.
        let set = validators(4);
        let third = cosigner(set.get(ValidatorIndex(2)).expect("there are four"));
        *note.signatures.last_mut().expect("not empty") = NoteSignature::new(&third, bytes);
        assert_eq!(
            refused(&note),
            UntrustedNote::WrongSignature {
                name: "validator-3".to_owned()
            }
        );
    }

    #[test]
    fn unknown_lines_neither_help_nor_harm() {
        let stranger =
            VerifierKey::new("stranger", KeyKind::Cosignature, key(1).public()).expect("a name");
        let line = NoteSignature::new(&stranger, vec![0; 3]);
        let mut enough = note(3);
        enough.signatures.push(line.clone());
        assert!(policy().verify(&enough).is_ok());
        let mut too_few = note(2);
        too_few.signatures.push(line);
        assert_eq!(refused(&too_few), UntrustedNote::NoQuorum { cosigners: 2 });
    }

    #[test]
    fn without_the_logs_own_line() {
        let mut note = note(4);
        note.signatures.remove(0);
        assert_eq!(refused(&note), UntrustedNote::NotSignedByLog);
    }

    /// Every validator's signature is good, but on the log of another ledger.
    #[test]
    fn another_ledger_of_the_same_validators() {
        let mut other = statement();
        other.chain.0[31] ^= 1;
        let note = certify(other, 4).note(&validators(4), &log_key());
        assert!(matches!(
            refused(&note),
            UntrustedNote::UnknownOrigin { .. }
        ));
    }

    #[test]
    fn a_bad_line_of_a_known_key_spoils_a_quorum() {
        let mut note = note(4);
        note.signatures[4].signature[20] ^= 1;
        assert!(matches!(
            refused(&note),
            UntrustedNote::WrongSignature { .. }
        ));
        note.signatures[4].signature.truncate(7);
        assert!(matches!(
            refused(&note),
            UntrustedNote::WrongSignature { .. }
        ));
        note.signatures[4].signature.clear();
        assert!(matches!(
            refused(&note),
            UntrustedNote::WrongSignature { .. }
        ));
    }

    /// A cosignature is not a note signature, nor the other way round, whoever's key it is.
    #[test]
    fn a_signature_of_one_kind_for_another() {
        let mut note = note(3);
        let text = note.text.clone();
        let set = validators(4);
        let fourth = cosigner(set.get(ValidatorIndex(3)).expect("there are four"));
        let plain = key(109).sign(text.as_bytes()).0;
        for bytes in [plain.to_vec(), [&[0; 8][..], &plain].concat()] {
            note.signatures.push(NoteSignature::new(&fourth, bytes));
            assert!(matches!(
                refused(&note),
                UntrustedNote::WrongSignature { .. }
            ));
            note.signatures.pop();
        }
    }

    #[test]
    fn other_text_under_the_same_signatures() {
        for (from, to) in [
            ("\n7\n", "\n8\n"),
            ("\n7\n", "\n07\n"),
            ("\n7\n", "\n7\nextra\n"),
        ] {
            let mut note = note(4);
            note.text = note.text.replacen(from, to, 1);
            let _ = refused(&note);
        }
    }

    #[test]
    fn times_after_the_end_of_time() {
        let mut statement = statement();
        statement.time_seconds = 1 << 63;
        let note = certify(statement, 4).note(&validators(4), &log_key());
        assert!(matches!(
            refused(&note),
            UntrustedNote::WrongSignature { .. }
        ));
    }

    #[test]
    fn certificates() {
        let set = validators(4);
        let good = certify(statement(), 3);
        assert_eq!(good.verify(chain(), &set), Ok(()));
        let mut other_chain = chain();
        other_chain.0[0] ^= 1;
        assert!(matches!(
            good.verify(other_chain, &set),
            Err(CertificateError::WrongChain { .. })
        ));
        let too_few = certify(statement(), 2);
        assert_eq!(
            too_few.verify(chain(), &set),
            Err(CertificateError::NoQuorum {
                count: 2,
                quorum: 3
            })
        );
        let mut twice = too_few.clone();
        twice.cosignatures.push(twice.cosignatures[1]);
        assert_eq!(
            twice.verify(chain(), &set),
            Err(CertificateError::NotDistinct)
        );
        let mut unsorted = good.clone();
        unsorted.cosignatures.reverse();
        assert_eq!(
            unsorted.verify(chain(), &set),
            Err(CertificateError::NotDistinct)
        );
        let mut unknown = good.clone();
        unknown.cosignatures[2].validator = ValidatorIndex(4);
        assert_eq!(
            unknown.verify(chain(), &set),
            Err(CertificateError::UnknownValidator(ValidatorIndex(4)))
        );
        let mut swapped = good.clone();
        swapped.cosignatures[2].validator = ValidatorIndex(3);
        assert_eq!(
            swapped.verify(chain(), &set),
            Err(CertificateError::WrongSignature(ValidatorIndex(3)))
        );
        let mut other = good;
        other.statement.height.0 += 1;
        assert!(matches!(
            other.verify(chain(), &set),
            Err(CertificateError::WrongSignature(_))
        ));
    }
}
