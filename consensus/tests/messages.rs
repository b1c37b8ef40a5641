//! Bytes of every kind of message, and everything that is refused.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use chancery_consensus::{
    Ballot, Body, Context, Heard, MessageError, PreparedCertificate, PreparedError, Record,
    STATUS_SLOTS_MAX, SignedMessage, SlotStatus, Status, VoteKind, VoteSignature,
    message_bytes_max,
};
use chancery_ledger::checkpoint::{
    CertificateError, CheckpointCertificate, CheckpointStatement, Cosignature,
};
use chancery_ledger::{
    Batch, BatchDigest, ChainId, CodecError, Epoch, Hash, Height, Millis, Signature, Slot,
    ValidatorIndex, View,
};
use common::{CHAIN, EPOCH_MS, consensus_key, context, signed, with_bits_flipped};
use parity_scale_codec::Encode;

const BYTES_MAX: usize = 1 << 20;

fn a_ballot() -> Ballot {
    Ballot {
        view: View(4),
        slot: Slot(9),
        digest: BatchDigest([5; 32]),
    }
}

fn a_statement() -> CheckpointStatement {
    CheckpointStatement::new(CHAIN, Height(9), Hash([6; 32]), Millis(EPOCH_MS))
}

fn a_status() -> Status {
    let here = |slot| SlotStatus {
        slot: Slot(slot),
        pre_prepare: true,
        batch: false,
        prepares: 0b0110,
        commits: 0b1111,
        checkpoints: 0,
    };
    Status {
        view: View(4),
        stable: Height(7),
        executed: Height(8),
        changing: false,
        incarnation: 3,
        heard: vec![Heard::default(); 4],
        slots: vec![here(9), here(11)],
    }
}

fn a_certificate() -> CheckpointCertificate {
    let statement = a_statement();
    let cosignatures = (0..3)
        .map(|index| Cosignature {
            validator: ValidatorIndex(index),
            signature: consensus_key(index).sign(&statement.cosigned_bytes()),
        })
        .collect();
    CheckpointCertificate {
        statement,
        cosignatures,
    }
}

fn a_prepared() -> PreparedCertificate {
    let sign = |index: u16, kind| {
        let bytes = Body::of_vote(kind, a_ballot()).signed_bytes(CHAIN, Epoch(0));
        consensus_key(index).sign(&bytes)
    };
    PreparedCertificate {
        ballot: a_ballot(),
        pre_prepare: sign(0, VoteKind::PrePrepare),
        prepares: [1, 3]
            .map(|index| VoteSignature {
                validator: ValidatorIndex(index),
                signature: sign(index, VoteKind::Prepare),
            })
            .to_vec(),
    }
}

/// Of every kind, from somebody who may send it.
fn messages() -> Vec<SignedMessage> {
    vec![
        signed(0, Body::PrePrepare(a_ballot())),
        signed(1, Body::Prepare(a_ballot())),
        signed(2, Body::Commit(a_ballot())),
        signed(3, Body::Checkpoint(a_statement())),
        signed(1, Body::Status(a_status())),
        signed(2, Body::Certificate(a_certificate())),
    ]
}

fn hex(bytes: &[u8]) -> String {
    let mut text = bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    });
    text.push('\n');
    text
}

/// With `CHANCERY_WRITE_GOLDENS=1` the file is written instead: that approves a change of format.
fn check_golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(format!("{name}.hex"));
    #[allow(
        clippy::disallowed_methods,
        reason = "goldens are files; the ban is for the core"
    )]
    if std::env::var("CHANCERY_WRITE_GOLDENS").is_ok() {
        std::fs::write(&path, hex(bytes)).expect("the folder is there");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden is there");
    assert_eq!(hex(bytes), golden, "{name}");
}

#[test]
fn the_bytes_of_every_kind_are_as_they_were() {
    for message in messages() {
        check_golden(message.body.kind(), &message.encode());
        let bytes = message.body.signed_bytes(CHAIN, Epoch(0));
        check_golden(&format!("{}.signed", message.body.kind()), &bytes);
    }
    let batch = Batch {
        proposed_time: Millis(EPOCH_MS),
        transactions: Vec::new(),
    };
    let slot = Slot(9);
    check_golden("record-batch", &Record::Batch { slot, batch }.encode());
    let vote = signed(2, Body::Commit(a_ballot()));
    check_golden("record-vote", &Record::Vote(vote).encode());
    check_golden("record-prepared", &Record::Prepared(a_prepared()).encode());
    let certificate = Record::Certificate(a_certificate());
    check_golden("record-certificate", &certificate.encode());
}

#[test]
fn every_kind_survives_its_encoding_and_verifies() {
    for message in messages() {
        let decoded = SignedMessage::decode(&message.encode(), BYTES_MAX).expect("canonical");
        assert_eq!(decoded, message);
        let verified = decoded.verify(&context(4)).expect("signed by its sender");
        assert_eq!(verified.message(), &message);
        assert_eq!(verified.into_inner(), message);
    }
}

#[test]
fn the_prefixes_of_signed_bytes_all_differ() {
    let prefixes: BTreeSet<Vec<u8>> = messages()
        .iter()
        .map(|message| {
            let bytes = message.body.signed_bytes(CHAIN, Epoch(0));
            let end = bytes.iter().position(|byte| *byte == 0 || *byte == b'\n');
            bytes[..end.expect("each has one")].to_vec()
        })
        .collect();
    assert_eq!(prefixes.len(), 6);
    for a in &prefixes {
        for b in &prefixes {
            assert!(a == b || !b.starts_with(a));
        }
    }
}

// Bytes

fn check_malformed(bytes: &[u8], expected: &str) {
    let error = SignedMessage::decode(bytes, BYTES_MAX).expect_err("it is refused");
    let name = match error {
        CodecError::TooLong { .. } => "too long",
        CodecError::Malformed { .. } => "malformed",
        CodecError::TrailingBytes { .. } => "trailing bytes",
        CodecError::NotCanonical => "not canonical",
    };
    assert_eq!(name, expected);
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    check_malformed(&[], "malformed");
    check_malformed(&vec![0; BYTES_MAX + 1], "too long");
    for message in messages() {
        let bytes = message.encode();
        for length in 0..bytes.len() {
            check_malformed(&bytes[..length], "malformed");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        check_malformed(&longer, "trailing bytes");
        let mut unknown = bytes;
        // Behind chain, epoch and sender stands the kind.
        unknown[32 + 4 + 2] = 8;
        check_malformed(&unknown, "malformed");
    }
    // A STATUS with a length in more bytes than it needs, or of 2^30 slots.
    let mut status = a_status();
    status.slots.clear();
    let bytes = signed(1, Body::Status(status)).encode();
    let at = bytes.len() - 64 - 1;
    let with_length = |length: &[u8]| [&bytes[..at], length, &bytes[at + 1..]].concat();
    check_malformed(&with_length(&[1, 0]), "malformed");
    check_malformed(&with_length(&[2, 0, 0, 0x80]), "malformed");
    check_malformed(&with_length(&[3, 0xff, 0xff, 0xff, 0xff]), "malformed");
}

#[test]
fn the_longest_status_fits() {
    let here = |slot| SlotStatus {
        slot: Slot(slot),
        pre_prepare: true,
        batch: true,
        prepares: 0x7fff_ffff,
        commits: 0x7fff_ffff,
        checkpoints: 0x7fff_ffff,
    };
    let slots_max = u64::try_from(STATUS_SLOTS_MAX).expect("small");
    let status = Status {
        slots: (1..=slots_max).map(here).collect(),
        heard: vec![Heard::default(); 31],
        ..a_status()
    };
    let bytes = signed(30, Body::Status(status)).encode();
    let bytes_max = message_bytes_max(31, 1);
    let message = SignedMessage::decode(&bytes, bytes_max).expect("short enough");
    message.verify(&context(31)).expect("well-formed");
}

// One refusal each

fn check_refused(message: SignedMessage, expected: &MessageError) {
    assert_eq!(message.verify(&context(4)).as_ref(), Err(expected));
}

/// Which rule an error stands for; a new variant has to be added here and below.
fn name(error: &MessageError) -> &'static str {
    match error {
        MessageError::Codec(_) => "codec",
        MessageError::WrongChain { .. } => "wrong chain",
        MessageError::WrongEpoch { .. } => "wrong epoch",
        MessageError::UnknownValidator(_) => "unknown validator",
        MessageError::NotPrimary { .. } => "not primary",
        MessageError::PrepareFromPrimary { .. } => "prepare from primary",
        MessageError::PositionOutOfRange => "position out of range",
        MessageError::StatusTooLong { .. } => "status too long",
        MessageError::StatusNotSorted { .. } => "status not sorted",
        MessageError::StatusUnknownValidator { .. } => "status unknown validator",
        MessageError::StatusNotOfEverybody { .. } => "status not of everybody",
        MessageError::WrongSignature { .. } => "wrong signature",
        MessageError::Certificate(_) => "certificate",
        MessageError::ViewChange(_) => "view-change",
        MessageError::NewView(_) => "new-view",
    }
}

#[test]
fn every_way_of_being_wrong_has_its_own_refusal() {
    let mut walked = BTreeSet::new();
    let mut check = |message: SignedMessage, expected: MessageError| {
        check_refused(message, &expected);
        walked.insert(name(&expected));
    };
    let prepare = || signed(1, Body::Prepare(a_ballot()));
    let other = ChainId([8; 32]);
    check(
        SignedMessage {
            chain: other,
            ..prepare()
        },
        MessageError::WrongChain {
            given: other,
            ours: CHAIN,
        },
    );
    let elsewhere = CheckpointStatement {
        chain: other,
        ..a_statement()
    };
    check(
        signed(1, Body::Checkpoint(elsewhere)),
        MessageError::WrongChain {
            given: other,
            ours: CHAIN,
        },
    );
    check(
        SignedMessage {
            epoch: Epoch(1),
            ..prepare()
        },
        MessageError::WrongEpoch {
            given: Epoch(1),
            ours: Epoch(0),
        },
    );
    for from in [4, 31, u16::MAX] {
        let from = ValidatorIndex(from);
        check(
            SignedMessage { from, ..prepare() },
            MessageError::UnknownValidator(from),
        );
    }
    check(
        signed(1, Body::PrePrepare(a_ballot())),
        MessageError::NotPrimary {
            from: ValidatorIndex(1),
            view: View(4),
            primary: ValidatorIndex(0),
        },
    );
    let last_view = Ballot {
        view: View(u64::MAX),
        ..a_ballot()
    };
    check(
        signed(0, Body::PrePrepare(last_view)),
        MessageError::NotPrimary {
            from: ValidatorIndex(0),
            view: View(u64::MAX),
            primary: ValidatorIndex(3),
        },
    );
    check(
        signed(0, Body::Prepare(a_ballot())),
        MessageError::PrepareFromPrimary {
            from: ValidatorIndex(0),
            view: View(4),
        },
    );
    let slots = |changed: fn(&mut Vec<SlotStatus>)| {
        let mut status = a_status();
        changed(&mut status.slots);
        signed(1, Body::Status(status))
    };
    let entry = a_status().slots[0];
    check(
        signed(
            1,
            Body::Status(Status {
                slots: vec![entry; STATUS_SLOTS_MAX + 1],
                ..a_status()
            }),
        ),
        MessageError::StatusTooLong {
            count: STATUS_SLOTS_MAX + 1,
        },
    );
    check(
        signed(
            1,
            Body::Status(Status {
                heard: vec![Heard::default(); 3],
                ..a_status()
            }),
        ),
        MessageError::StatusNotOfEverybody {
            count: 3,
            validators: 4,
        },
    );
    check(
        slots(|slots| slots.reverse()),
        MessageError::StatusNotSorted { slot: Slot(9) },
    );
    check(
        slots(|slots| slots[1].slot = Slot(9)),
        MessageError::StatusNotSorted { slot: Slot(9) },
    );
    check(
        slots(|slots| slots[1].prepares = 1 << 4),
        MessageError::StatusUnknownValidator { slot: Slot(11) },
    );
    check(
        slots(|slots| slots[0].commits = 1 << 31),
        MessageError::StatusUnknownValidator { slot: Slot(9) },
    );
    check(
        slots(|slots| slots[0].checkpoints = u32::MAX),
        MessageError::StatusUnknownValidator { slot: Slot(9) },
    );
    check(
        SignedMessage {
            from: ValidatorIndex(2),
            ..prepare()
        },
        MessageError::WrongSignature {
            from: ValidatorIndex(2),
            kind: "prepare",
        },
    );
    let mut few = a_certificate();
    few.cosignatures.pop();
    check(
        signed(1, Body::Certificate(few)),
        MessageError::Certificate(CertificateError::NoQuorum {
            count: 2,
            quorum: 3,
        }),
    );
    check(
        signed_unchecked_position(),
        MessageError::PositionOutOfRange,
    );
    let codec = MessageError::from(SignedMessage::decode(&[], BYTES_MAX).expect_err("empty"));
    walked.insert(name(&codec));
    assert_eq!(walked.len(), 13, "{walked:?}");
}

fn signed_unchecked_position() -> SignedMessage {
    let slot = Slot(u64::MAX);
    signed(1, Body::Prepare(Ballot { slot, ..a_ballot() }))
}

#[test]
fn the_last_position_is_refused_in_every_kind() {
    let last = u64::MAX;
    let ballot = Ballot {
        slot: Slot(last),
        ..a_ballot()
    };
    let statement = CheckpointStatement {
        height: Height(last),
        ..a_statement()
    };
    let certificate = CheckpointCertificate {
        statement: statement.clone(),
        ..a_certificate()
    };
    let mut in_slots = a_status();
    in_slots.slots[1].slot = Slot(last);
    let bodies = [
        Body::PrePrepare(ballot),
        Body::Prepare(ballot),
        Body::Commit(ballot),
        Body::Checkpoint(statement),
        Body::Certificate(certificate),
        Body::Status(in_slots),
        Body::Status(Status {
            stable: Height(last),
            ..a_status()
        }),
        Body::Status(Status {
            executed: Height(last),
            ..a_status()
        }),
    ];
    for body in bodies {
        let from = u16::from(!matches!(body, Body::PrePrepare(_)));
        let message = SignedMessage {
            body,
            from: ValidatorIndex(from),
            ..signed(1, Body::Commit(a_ballot()))
        };
        check_refused(message, &MessageError::PositionOutOfRange);
    }
}

#[test]
fn a_signature_of_one_kind_is_none_of_another() {
    let ballot = a_ballot();
    for made_as in [VoteKind::PrePrepare, VoteKind::Prepare, VoteKind::Commit] {
        for shown_as in [VoteKind::PrePrepare, VoteKind::Prepare, VoteKind::Commit] {
            // Validator 0 is the primary and sends no PREPARE; 1 sends no PRE-PREPARE.
            let from = u16::from(shown_as == VoteKind::Prepare);
            let made = signed(from, Body::of_vote(made_as, ballot));
            let shown = SignedMessage {
                body: Body::of_vote(shown_as, ballot),
                ..made
            };
            let accepted = shown.verify(&context(4)).is_ok();
            assert_eq!(accepted, made_as == shown_as, "{made_as:?} as {shown_as:?}");
        }
    }
}

#[test]
fn a_signature_for_another_chain_or_epoch_is_none_here() {
    for (chain, epoch) in [(ChainId([8; 32]), Epoch(0)), (CHAIN, Epoch(1))] {
        let body = Body::Commit(a_ballot());
        let signature = consensus_key(1).sign(&body.signed_bytes(chain, epoch));
        let message = SignedMessage {
            signature,
            ..signed(1, body)
        };
        check_refused(
            message,
            &MessageError::WrongSignature {
                from: ValidatorIndex(1),
                kind: "commit",
            },
        );
    }
}

#[test]
fn a_message_with_any_bit_flipped_is_refused() {
    let context = context(4);
    for message in messages() {
        for changed in with_bits_flipped(&message) {
            if changed == message {
                continue;
            }
            assert!(changed.clone().verify(&context).is_err(), "{changed:?}");
        }
    }
}

// Prepared certificates

fn check_prepared(change: impl FnOnce(&mut PreparedCertificate), expected: &PreparedError) {
    let mut certificate = a_prepared();
    change(&mut certificate);
    assert_eq!(certificate.verify(&context(4)).as_ref(), Err(expected));
}

#[test]
fn a_prepared_certificate_proves_what_a_quorum_accepted() {
    let context: Context = context(4);
    assert_eq!(a_prepared().verify(&context), Ok(()));
    check_prepared(|c| c.prepares.reverse(), &PreparedError::NotDistinct);
    check_prepared(
        |c| c.prepares[1] = c.prepares[0],
        &PreparedError::NotDistinct,
    );
    check_prepared(
        |c| {
            let bytes = Body::Prepare(c.ballot).signed_bytes(CHAIN, Epoch(0));
            c.prepares[0] = VoteSignature {
                validator: ValidatorIndex(0),
                signature: consensus_key(0).sign(&bytes),
            };
        },
        &PreparedError::PrimaryCountedTwice(ValidatorIndex(0)),
    );
    check_prepared(
        |c| c.prepares.truncate(1),
        &PreparedError::NoQuorum {
            count: 2,
            quorum: 3,
        },
    );
    check_prepared(
        |c| c.prepares[1].validator = ValidatorIndex(4),
        &PreparedError::UnknownValidator(ValidatorIndex(4)),
    );
    check_prepared(
        |c| c.prepares[1].signature = Signature([0; 64]),
        &PreparedError::WrongSignature(ValidatorIndex(3)),
    );
    check_prepared(
        |c| c.pre_prepare = c.prepares[0].signature,
        &PreparedError::WrongSignature(ValidatorIndex(0)),
    );
    for changed in with_bits_flipped(&a_prepared()) {
        assert!(changed == a_prepared() || changed.verify(&context).is_err());
    }
}
