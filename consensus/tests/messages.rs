//! Bytes of every kind of message, and everything that is refused.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use chancery_consensus::{
    Ballot, Body, CarriedProposal, Context, Evidence, EvidenceError, Heard, MessageError, NewView,
    NewViewError, Place, PreparedCertificate, PreparedError, Record, STATUS_SLOTS_MAX,
    SignedMessage, SignedViewChange, SlotStatus, Status, ViewChange, ViewChangeError, VoteKind,
    VoteSignature, message_bytes_max,
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
    certificate(a_statement())
}

fn certificate(statement: CheckpointStatement) -> CheckpointCertificate {
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
    prepared(a_ballot(), [1, 3])
}

/// Among four, with the given backups.
fn prepared(ballot: Ballot, backups: [u16; 2]) -> PreparedCertificate {
    let sign = |index: u16, kind| {
        let bytes = Body::of_vote(kind, ballot).signed_bytes(CHAIN, Epoch(0));
        consensus_key(index).sign(&bytes)
    };
    let primary = u16::try_from(ballot.view.0 % 4).expect("small");
    PreparedCertificate {
        ballot,
        pre_prepare: sign(primary, VoteKind::PrePrepare),
        prepares: backups
            .map(|index| VoteSignature {
                validator: ValidatorIndex(index),
                signature: sign(index, VoteKind::Prepare),
            })
            .to_vec(),
    }
}

/// For view 5: the low water mark is 7, slots 8 and 9 are prepared.
fn a_view_change() -> ViewChange {
    let low = CheckpointStatement::new(CHAIN, Height(7), Hash([7; 32]), Millis(EPOCH_MS));
    let older = Ballot {
        view: View(1),
        slot: Slot(8),
        digest: BatchDigest([4; 32]),
    };
    ViewChange {
        view: View(5),
        stable: Some(certificate(low)),
        prepared: vec![prepared(older, [0, 2]), a_prepared()],
    }
}

/// For view 5: nothing is known but slot 11.
fn another_view_change() -> ViewChange {
    let far = Ballot {
        view: View(2),
        slot: Slot(11),
        digest: BatchDigest([8; 32]),
    };
    ViewChange {
        view: View(5),
        stable: None,
        prepared: vec![prepared(far, [0, 1])],
    }
}

fn signed_view_change(from: u16, view_change: ViewChange) -> SignedViewChange {
    let signature = signed(from, Body::ViewChange(view_change.clone())).signature;
    SignedViewChange {
        from: ValidatorIndex(from),
        view_change,
        signature,
    }
}

fn carried(slot: u64, digest: BatchDigest) -> CarriedProposal {
    let ballot = Ballot {
        view: View(5),
        slot: Slot(slot),
        digest,
    };
    CarriedProposal {
        slot: Slot(slot),
        digest,
        signature: signed(1, Body::PrePrepare(ballot)).signature,
    }
}

/// Of view 5, whose primary is 1: slot 10 is a gap.
fn a_new_view() -> NewView {
    let empty = ViewChange {
        view: View(5),
        stable: None,
        prepared: Vec::new(),
    };
    NewView {
        view: View(5),
        view_changes: vec![
            signed_view_change(0, another_view_change()),
            signed_view_change(1, empty),
            signed_view_change(3, a_view_change()),
        ],
        proposals: vec![
            carried(8, BatchDigest([4; 32])),
            carried(9, BatchDigest([5; 32])),
            carried(10, Batch::empty().digest()),
            carried(11, BatchDigest([8; 32])),
        ],
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
        signed(3, Body::ViewChange(a_view_change())),
        signed(1, Body::NewView(a_new_view())),
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
    let end = Record::Final(a_certificate());
    check_golden("record-final", &end.encode());
    let view_change = signed(3, Body::ViewChange(a_view_change()));
    let view_change = Record::ViewChange(view_change);
    check_golden("record-view-change", &view_change.encode());
    let new_view = Record::NewView(signed(1, Body::NewView(a_new_view())));
    check_golden("record-new-view", &new_view.encode());
    let quarantine = Record::Quarantine {
        slots_through: Slot(9),
        view_least: View(4),
    };
    check_golden("record-quarantine", &quarantine.encode());
    let evidence = Evidence {
        first: signed(1, Body::Prepare(a_ballot())),
        second: signed(
            1,
            Body::Prepare(Ballot {
                digest: BatchDigest([6; 32]),
                ..a_ballot()
            }),
        ),
    };
    check_golden("evidence", &evidence.encode());
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
    assert_eq!(prefixes.len(), 8);
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
    check(
        signed(
            1,
            Body::NewView(NewView {
                view: View(6),
                ..a_new_view()
            }),
        ),
        MessageError::NotPrimary {
            from: ValidatorIndex(1),
            view: View(6),
            primary: ValidatorIndex(2),
        },
    );
    let view_change = ViewChange {
        view: View(0),
        ..a_view_change()
    };
    check(
        signed(1, Body::ViewChange(view_change)),
        MessageError::ViewChange(ViewChangeError::ViewOutOfRange(View(0))),
    );
    let mut new_view = a_new_view();
    new_view.proposals.pop();
    check(
        signed(1, Body::NewView(new_view)),
        MessageError::NewView(NewViewError::WrongSelection),
    );
    let codec = MessageError::from(SignedMessage::decode(&[], BYTES_MAX).expect_err("empty"));
    walked.insert(name(&codec));
    assert_eq!(walked.len(), 15, "{walked:?}");
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

// VIEW-CHANGE and NEW-VIEW

/// A VIEW-CHANGE that was changed, and signed after that.
fn check_view_change(change: impl FnOnce(&mut ViewChange), expected: &ViewChangeError) {
    let mut view_change = a_view_change();
    change(&mut view_change);
    check_refused(
        signed(3, Body::ViewChange(view_change.clone())),
        &MessageError::ViewChange(expected.clone()),
    );
    // It makes a NEW-VIEW wrong, too, whatever else is in there.
    if view_change.view == View(5) {
        let mut new_view = a_new_view();
        new_view.view_changes[2] = signed_view_change(3, view_change);
        let error = signed(1, Body::NewView(new_view)).verify(&context(4));
        assert!(matches!(
            error,
            Err(MessageError::NewView(
                NewViewError::ViewChange { .. } | NewViewError::WrongSelection
            ))
        ));
    }
}

#[test]
fn one_wrong_part_makes_a_view_change_wrong() {
    let out_of_range = ViewChangeError::ViewOutOfRange;
    check_view_change(|v| v.view = View(0), &out_of_range(View(0)));
    let last = View(u64::MAX);
    check_view_change(|v| v.view = last, &out_of_range(last));
    check_view_change(
        |v| v.view = View(4),
        &ViewChangeError::FutureView {
            slot: Slot(9),
            view: View(4),
        },
    );
    check_view_change(
        |v| {
            let stable = v.stable.as_mut().expect("it has one");
            stable.cosignatures.pop();
        },
        &ViewChangeError::Stable(CertificateError::NoQuorum {
            count: 2,
            quorum: 3,
        }),
    );
    check_view_change(
        |v| {
            let stable = v.stable.as_mut().expect("it has one");
            stable.cosignatures[1].signature = Signature([0; 64]);
        },
        &ViewChangeError::Stable(CertificateError::WrongSignature(ValidatorIndex(1))),
    );
    check_view_change(
        |v| v.prepared.reverse(),
        &ViewChangeError::NotSorted { slot: Slot(8) },
    );
    check_view_change(
        |v| v.prepared[0] = v.prepared[1].clone(),
        &ViewChangeError::NotSorted { slot: Slot(9) },
    );
    let window = u64::from(context(4).window_slots);
    for slot in [0, 7, 7 + window + 1, u64::MAX] {
        let slot = Slot(slot);
        check_view_change(
            |v| v.prepared[1].ballot.slot = slot,
            &ViewChangeError::OutsideWindow { slot, low: Slot(7) },
        );
    }
    check_view_change(
        |v| v.prepared[1].pre_prepare = Signature([0; 64]),
        &ViewChangeError::Prepared {
            slot: Slot(9),
            error: PreparedError::WrongSignature(ValidatorIndex(0)),
        },
    );
    check_view_change(
        |v| {
            v.prepared[0].prepares.pop();
        },
        &ViewChangeError::Prepared {
            slot: Slot(8),
            error: PreparedError::NoQuorum {
                count: 2,
                quorum: 3,
            },
        },
    );
    // More than a quorum is as wrong as less: one certificate has one size.
    check_view_change(
        |v| {
            let bytes = Body::Prepare(v.prepared[1].ballot).signed_bytes(CHAIN, Epoch(0));
            let vote = VoteSignature {
                validator: ValidatorIndex(2),
                signature: consensus_key(2).sign(&bytes),
            };
            v.prepared[1].prepares.insert(1, vote);
        },
        &ViewChangeError::Prepared {
            slot: Slot(9),
            error: PreparedError::NoQuorum {
                count: 4,
                quorum: 3,
            },
        },
    );
}

/// A NEW-VIEW that was changed, and signed after that.
fn check_new_view(change: impl FnOnce(&mut NewView), expected: &NewViewError) {
    let mut new_view = a_new_view();
    change(&mut new_view);
    check_refused(
        signed(1, Body::NewView(new_view)),
        &MessageError::NewView(expected.clone()),
    );
}

#[test]
fn a_new_view_that_does_not_follow_from_a_quorum_is_refused() {
    let not_a_quorum = |count| NewViewError::NotAQuorum { count, quorum: 3 };
    check_new_view(|v| drop(v.view_changes.pop()), &not_a_quorum(2));
    check_new_view(
        |v| v.view_changes.push(v.view_changes[2].clone()),
        &not_a_quorum(4),
    );
    check_new_view(
        |v| v.view_changes[1] = v.view_changes[0].clone(),
        &NewViewError::NotDistinct,
    );
    check_new_view(|v| v.view_changes.reverse(), &NewViewError::NotDistinct);
    check_new_view(
        |v| v.view_changes[2].from = ValidatorIndex(4),
        &NewViewError::UnknownValidator(ValidatorIndex(4)),
    );
    check_new_view(
        |v| v.view_changes[2].from = ValidatorIndex(2),
        &NewViewError::WrongSignature(ValidatorIndex(2)),
    );
    check_new_view(
        |v| {
            let view = View(9);
            let later = ViewChange {
                view,
                ..a_view_change()
            };
            v.view_changes[2] = signed_view_change(3, later);
        },
        &NewViewError::OtherView {
            from: ValidatorIndex(3),
            view: View(9),
        },
    );
    // Leaving out what a VIEW-CHANGE has breaks its signature.
    check_new_view(
        |v| {
            v.view_changes[2].view_change.prepared.pop();
            v.proposals[1] = carried(9, Batch::empty().digest());
        },
        &NewViewError::WrongSignature(ValidatorIndex(3)),
    );
    // Proposing something else does not follow.
    check_new_view(
        |v| v.proposals[1] = carried(9, BatchDigest([9; 32])),
        &NewViewError::WrongSelection,
    );
    check_new_view(
        |v| v.proposals.push(carried(12, BatchDigest([9; 32]))),
        &NewViewError::WrongSelection,
    );
    check_new_view(
        |v| {
            v.proposals.remove(2);
        },
        &NewViewError::WrongSelection,
    );
    check_new_view(
        |v| v.proposals[0].signature = v.proposals[1].signature,
        &NewViewError::WrongProposal { slot: Slot(8) },
    );
}

#[test]
fn the_highest_view_wins_a_slot() {
    // The same slot was prepared in view 1 for one batch and in view 4 for another.
    let older = Ballot {
        view: View(1),
        digest: BatchDigest([9; 32]),
        ..a_ballot()
    };
    let mut new_view = a_new_view();
    let view_change = ViewChange {
        view: View(5),
        stable: None,
        prepared: vec![prepared(older, [0, 2])],
    };
    new_view.view_changes[1] = signed_view_change(1, view_change);
    let message = signed(1, Body::NewView(new_view.clone()));
    assert!(message.verify(&context(4)).is_ok());
    new_view.proposals[1] = carried(9, older.digest);
    check_refused(
        signed(1, Body::NewView(new_view)),
        &MessageError::NewView(NewViewError::WrongSelection),
    );
}

/// As large as one can be in a ledger of 31 with a window of 16.
#[test]
fn the_largest_new_view_fits() {
    let context = context(31);
    let window = u64::from(context.window_slots);
    let sign =
        |index: u16, body: Body| consensus_key(index).sign(&body.signed_bytes(CHAIN, Epoch(0)));
    let statement = CheckpointStatement::new(CHAIN, Height(9), Hash([6; 32]), Millis(EPOCH_MS));
    let stable = CheckpointCertificate {
        cosignatures: (0..31)
            .map(|index| Cosignature {
                validator: ValidatorIndex(index),
                signature: consensus_key(index).sign(&statement.cosigned_bytes()),
            })
            .collect(),
        statement,
    };
    let prepared = (0..window)
        .map(|above| {
            let ballot = Ballot {
                view: View(0),
                slot: Slot(10 + above),
                digest: BatchDigest([5; 32]),
            };
            PreparedCertificate {
                ballot,
                pre_prepare: sign(0, Body::PrePrepare(ballot)),
                prepares: (1..=20)
                    .map(|index| VoteSignature {
                        validator: ValidatorIndex(index),
                        signature: sign(index, Body::Prepare(ballot)),
                    })
                    .collect(),
            }
        })
        .collect();
    let view_change = ViewChange {
        view: View(5),
        stable: Some(stable),
        prepared,
    };
    let new_view = NewView {
        view: View(5),
        view_changes: (0..21)
            .map(|from| signed_view_change(from, view_change.clone()))
            .collect(),
        proposals: (0..window)
            .map(|above| {
                let ballot = Ballot {
                    view: View(5),
                    slot: Slot(10 + above),
                    digest: BatchDigest([5; 32]),
                };
                CarriedProposal {
                    slot: ballot.slot,
                    digest: ballot.digest,
                    signature: sign(5, Body::PrePrepare(ballot)),
                }
            })
            .collect(),
    };
    let bytes = signed(5, Body::NewView(new_view)).encode();
    let bytes_max = message_bytes_max(31, context.window_slots);
    println!("{} bytes of at most {bytes_max}", bytes.len());
    assert!(bytes.len() <= bytes_max);
    assert!(
        bytes_max < bytes.len() * 3 / 2,
        "the limit is near the truth"
    );
    let message = SignedMessage::decode(&bytes, bytes_max).expect("short enough");
    message.verify(&context).expect("well-formed");
    assert!(message_bytes_max(31, 128) < 5_000_000);
}

// Evidence

#[test]
fn two_messages_in_one_place_are_evidence_and_nothing_else_is() {
    let context = context(4);
    let other = Ballot {
        digest: BatchDigest([6; 32]),
        ..a_ballot()
    };
    let elsewhere = Ballot {
        slot: Slot(10),
        ..other
    };
    let other_statement = CheckpointStatement {
        root: Hash([1; 32]),
        ..a_statement()
    };
    let mut less = a_view_change();
    less.prepared.pop();
    let mut other_new_view = a_new_view();
    other_new_view.view_changes.remove(2);
    other_new_view
        .view_changes
        .push(signed_view_change(3, less.clone()));
    other_new_view.proposals[1] = carried(9, Batch::empty().digest());
    let judge = |first: SignedMessage, second: SignedMessage| {
        let evidence = Evidence { first, second };
        let bytes = evidence.encode();
        let evidence = Evidence::decode(&bytes, &context).expect("canonical");
        evidence.verify(&context)
    };
    let pairs = [
        (0, Body::PrePrepare(a_ballot()), Body::PrePrepare(other)),
        (1, Body::Prepare(a_ballot()), Body::Prepare(other)),
        (2, Body::Commit(a_ballot()), Body::Commit(other)),
        (
            3,
            Body::Checkpoint(a_statement()),
            Body::Checkpoint(other_statement),
        ),
        (3, Body::ViewChange(a_view_change()), Body::ViewChange(less)),
        (
            1,
            Body::NewView(a_new_view()),
            Body::NewView(other_new_view),
        ),
    ];
    for (from, first, second) in pairs {
        let place = Place::of(&first);
        let guilt = judge(signed(from, first.clone()), signed(from, second.clone()));
        let guilt = guilt.expect("it convinces");
        assert_eq!(
            (guilt.validator, Some(guilt.place)),
            (ValidatorIndex(from), place)
        );
        // Saying the same twice is no lie.
        let same = judge(signed(from, first.clone()), signed(from, first.clone()));
        assert!(matches!(same, Err(EvidenceError::NoContradiction { .. })));
        // A forged half proves nothing.
        let mut forged = signed(from, second);
        forged.signature.0[5] ^= 1;
        let forged = judge(signed(from, first), forged);
        assert!(matches!(forged, Err(EvidenceError::Message(_))));
    }
    let innocent = [
        (Body::Prepare(a_ballot()), Body::Commit(other)),
        (Body::Prepare(a_ballot()), Body::Prepare(elsewhere)),
        (
            Body::Status(a_status()),
            Body::Status(Status {
                executed: Height(9),
                ..a_status()
            }),
        ),
    ];
    for (first, second) in innocent {
        let judged = judge(signed(1, first), signed(1, second));
        assert!(matches!(judged, Err(EvidenceError::NoContradiction { .. })));
    }
    let two = judge(
        signed(1, Body::Prepare(a_ballot())),
        signed(2, Body::Prepare(other)),
    );
    assert_eq!(
        two,
        Err(EvidenceError::TwoValidators {
            first: ValidatorIndex(1),
            second: ValidatorIndex(2)
        })
    );
}
