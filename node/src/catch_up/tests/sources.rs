//! Whom to ask for what, and who gets an answer.

use super::*;
use crate::wire::BlockRange;

const OTHERS: [ValidatorIndex; 3] = [ValidatorIndex(0), ValidatorIndex(1), ValidatorIndex(2)];

/// How long a source is watched.
const WATCH: u64 = WATCHED_FOR.0;

fn certificate(height: u64) -> CheckpointCertificate {
    let cosignature = |i| Cosignature {
        validator: ValidatorIndex(i),
        signature: chancery_ledger::Signature([3; 64]),
    };
    CheckpointCertificate {
        statement: chancery_ledger::checkpoint::CheckpointStatement {
            chain: chancery_ledger::ChainId([5; 32]),
            height: Height(height),
            root: Hash([1; 32]),
            time_seconds: 1,
        },
        cosignatures: (0..4).map(cosignature).collect(),
    }
}

/// A range that ends at `last`; the session looks at nothing else.
fn range(world: &World, last: u64) -> Answer {
    let ledger = Ledger::new(world);
    let mut header = ledger.executor.tip().clone();
    header.height = Height(last);
    Answer::Blocks(BlockRange {
        blocks: vec![crate::wire::ReplayBlock {
            header,
            batch: Batch::empty(),
        }],
        certificate: certificate(last),
        inclusion: chancery_ledger::merkle::InclusionProof {
            leaf_index: last,
            tree_size: last + 1,
            path: Vec::new(),
        },
    })
}

fn blocks_after(to: u16, after: u64, through: u64) -> Question {
    Question {
        to: ValidatorIndex(to),
        message: BulkMessage::BlocksRequest {
            after: Height(after),
            through: Height(through),
        },
    }
}

fn offer_above(to: u16, above: u64) -> Question {
    Question {
        to: ValidatorIndex(to),
        message: BulkMessage::SnapshotRequest(SnapshotRequest::Offer {
            above: Height(above),
        }),
    }
}

fn session_of(snapshot_after_blocks: u64) -> Session {
    Session::new(OTHERS.to_vec(), snapshot_after_blocks)
}

fn begin(session: &Session, now: u64, tip: u64, from: u16, through: u64) -> Option<Question> {
    let from = ValidatorIndex(from);
    session.begin(Millis(now), Height(tip), from, certificate(through))
}

#[test]
fn the_next_range_is_asked_for_while_one_is_executed_and_no_more() {
    let world = World::new();
    let session = session_of(2_000);
    let from = ValidatorIndex(1);
    let accept = |last, now| session.accept(Millis(now), from, &range(&world, last));
    let next = |tip| session.next(from, Height(tip), None);
    assert_eq!(
        begin(&session, 0, 10, 1, 100),
        Some(blocks_after(1, 10, 100))
    );
    assert_eq!(
        session.accept(Millis(1), ValidatorIndex(0), &range(&world, 20)),
        None
    );
    assert_eq!(accept(20, 1), Some(Some(blocks_after(1, 20, 100))));
    assert_eq!(accept(30, 2), Some(None), "two wait");
    assert_eq!(accept(40, 3), None, "nobody asked for it");
    assert_eq!(next(20), Next::Ask(blocks_after(1, 30, 100)));
    assert_eq!(next(30), Next::Wait, "the answer is on its way");
    assert_eq!(
        begin(&session, 6, 30, 0, 110),
        None,
        "a source is answering"
    );
    assert_eq!(
        accept(110, 7),
        Some(None),
        "it is the last one, of the newer height"
    );
    assert_eq!(next(110), Next::CaughtUp(certificate(110)));
    assert_eq!(next(110), Next::Wait);
}

#[test]
fn a_liar_is_not_asked_again_soon() {
    let session = session_of(2_000);
    let lied = |from| session.lied(ValidatorIndex(from), Height(10));
    let ask = |from| Some(blocks_after(from, 10, 100));
    assert_eq!(begin(&session, 0, 10, 2, 100), ask(2));
    assert_eq!(lied(2), ask(0));
    assert_eq!(begin(&session, WATCH, 10, 2, 100), ask(1), "0 was slow");
    assert_eq!(begin(&session, 2 * WATCH, 10, 2, 100), ask(0), "so was 1");
    assert_eq!(lied(0), ask(1));
    // Somebody among so many is correct.
    assert_eq!(lied(1), ask(2));
    assert_eq!(lied(2), ask(0));
    // After a while everybody gets another chance.
    assert_eq!(begin(&session, 700_000, 10, 0, 100), ask(1));
    assert_eq!(begin(&session, 800_000, 10, 0, 100), ask(2));
    assert_eq!(lied(1), None, "somebody else is asked");
}

#[test]
fn a_source_that_sends_too_little_is_left() {
    let world = World::new();
    let session = session_of(2_000);
    let accept = |now, from, last| {
        let from = ValidatorIndex(from);
        session.accept(Millis(now), from, &range(&world, last))
    };
    let next = |from, tip| session.next(ValidatorIndex(from), Height(tip), None);
    assert_eq!(
        begin(&session, 0, 10, 1, 900),
        Some(blocks_after(1, 10, 900))
    );
    assert_eq!(begin(&session, WATCH - 1, 10, 2, 900), None);
    assert_eq!(
        begin(&session, WATCH, 10, 2, 900),
        Some(blocks_after(2, 10, 900))
    );
    // It sends one block after the other, each in time.
    for height in 11..20 {
        let now = WATCH + height;
        assert_eq!(
            accept(now, 2, height),
            Some(Some(blocks_after(2, height, 900)))
        );
        assert_eq!(next(2, height), Next::Wait);
    }
    assert_eq!(
        begin(&session, 2 * WATCH, 19, 0, 900),
        Some(blocks_after(0, 19, 900))
    );
    // While there is something to do here, nobody is too slow.
    assert_eq!(
        accept(2 * WATCH + 1, 0, 20),
        Some(Some(blocks_after(0, 20, 900)))
    );
    assert_eq!(begin(&session, 3 * WATCH, 19, 1, 900), None);
    assert_eq!(next(0, 20), Next::Wait);
    assert_eq!(
        begin(&session, 4 * WATCH, 20, 1, 900),
        Some(blocks_after(1, 20, 900))
    );
}

#[test]
fn a_slow_source_of_a_snapshot_is_asked_again_before_it_is_left() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 20);
    let parts = server.parts(0);
    let session = session_of(10);
    let from = ValidatorIndex(1);
    assert_eq!(begin(&session, 0, 0, 1, 20), Some(offer_above(1, 0)));
    let offer = Answer::Snapshot(parts[0].clone());
    assert_eq!(session.accept(Millis(1), from, &offer), Some(None));
    assert_eq!(
        begin(&session, WATCH, 0, 0, 20),
        None,
        "it is being dealt with"
    );
    let part = SnapshotRequest::Blocks {
        height: Height(20),
        below: Height(21),
    };
    let question = Question {
        to: from,
        message: BulkMessage::SnapshotRequest(part.clone()),
    };
    let next = session.next(from, Height(0), Some(part));
    assert_eq!(next, Next::Ask(question.clone()));
    for again in 2..2 + u64::from(CHANCES_MAX) {
        assert_eq!(
            begin(&session, again * WATCH, 0, 0, 20),
            Some(question.clone())
        );
        assert_eq!(
            session.accept(Millis(0), from, &offer),
            None,
            "another part"
        );
    }
    assert_eq!(begin(&session, 60_000, 0, 0, 20), Some(offer_above(2, 0)));
}

#[test]
fn who_is_far_behind_asks_for_a_snapshot_first_and_for_blocks_if_there_is_none() {
    let session = session_of(2_000);
    assert_eq!(
        begin(&session, 0, 10, 1, 2_010),
        Some(blocks_after(1, 10, 2_010))
    );
    let world = World::new();
    let session = session_of(2_000);
    let ask = |watched: u64, tip, from| begin(&session, watched * WATCH, tip, from, 2_011);
    // Whoever does not answer is asked again, for blocks at last, and then left.
    for (at, from) in [(0, 1), (3, 2)] {
        assert_eq!(ask(at, 10, 1), Some(offer_above(from, 10)));
        assert_eq!(ask(at + 1, 10, 0), Some(offer_above(from, 10)));
        assert_eq!(ask(at + 2, 10, 0), Some(blocks_after(from, 10, 2_011)));
    }
    // Who has blocks is asked for all of them.
    assert_eq!(
        session.accept(Millis(6 * WATCH - 1), ValidatorIndex(2), &range(&world, 20)),
        Some(Some(blocks_after(2, 20, 2_011)))
    );
    assert_eq!(ask(6, 10, 0), None, "there is something to do here");
    let next = session.next(ValidatorIndex(2), Height(20), None);
    assert_eq!(next, Next::Wait, "the next range is on its way");
    assert_eq!(ask(7, 20, 0), Some(blocks_after(0, 20, 2_011)));
}

#[test]
fn an_answer_to_an_earlier_question_is_none() {
    let world = World::new();
    let from = ValidatorIndex(1);
    let blocks = session_of(2_000);
    assert_eq!(
        begin(&blocks, 0, 10, 1, 100),
        Some(blocks_after(1, 10, 100))
    );
    let accept = |session: &Session, answer: &Answer| session.accept(Millis(1), from, answer);
    assert_eq!(accept(&blocks, &range(&world, 10)), None, "it is here");
    assert!(accept(&blocks, &range(&world, 11)).is_some());

    // A slow source was asked twice, and answers twice.
    let parts = Ledger::with_blocks(&world, 20).parts(0);
    let mut joiner = Ledger::new(&world);
    let snapshot = session_of(10);
    assert_eq!(begin(&snapshot, 0, 0, 1, 20), Some(offer_above(1, 0)));
    for (at, part) in parts.iter().enumerate() {
        let answer = Answer::Snapshot(part.clone());
        assert_eq!(accept(&snapshot, &answer), Some(None), "part {at}");
        assert_eq!(accept(&snapshot, &answer), None, "it is being dealt with");
        let Some(wanted) = joiner.take(part.clone()).expect("honest").part else {
            return;
        };
        let next = snapshot.next(from, Height(0), Some(wanted));
        assert!(matches!(next, Next::Ask(_)), "{next:?}");
        assert_eq!(accept(&snapshot, &answer), None, "part {at} again");
    }
    panic!("the last part ends it");
}

#[test]
fn a_source_that_never_ends_is_left_and_the_next_one_has_longer() {
    let world = World::new();
    let session = session_of(2_000);
    let mut tip = 10;
    let mut last = |now, from: u16| {
        // One block at a time, and there is always something to do here.
        tip += 1;
        let from = ValidatorIndex(from);
        let accepted = session.accept(Millis(now), from, &range(&world, tip));
        assert!(accepted.is_some(), "at {now}");
        tip
    };
    let patience = PATIENCE.0;
    assert_eq!(
        begin(&session, 0, 10, 1, 900),
        Some(blocks_after(1, 10, 900))
    );
    let tip = last(patience - 1, 1);
    assert_eq!(begin(&session, patience - 1, 10, 1, 900), None);
    let next = begin(&session, patience, tip, 1, 900);
    assert_eq!(next, Some(blocks_after(2, tip, 900)));
    let tip = last(3 * patience - 1, 2);
    assert_eq!(begin(&session, 3 * patience - 1, 11, 1, 900), None);
    let next = begin(&session, 3 * patience, tip, 1, 900);
    assert_eq!(next, Some(blocks_after(0, tip, 900)));
}

#[test]
fn who_did_not_cosign_is_asked_last() {
    let session = Session::new(
        (0..6).filter(|i| *i != 3).map(ValidatorIndex).collect(),
        2_000,
    );
    // 0 to 3 cosigned.
    let asked: Vec<_> = (0..6)
        .map(|at| begin(&session, at * WATCH, 10, 1, 100))
        .collect();
    let expected = [1, 2, 4, 5, 0, 1].map(|from| Some(blocks_after(from, 10, 100)));
    assert_eq!(asked, expected);
}

#[test]
fn an_offer_waits_until_its_block_is_certified_and_outlives_later_blocks() {
    let world = World::new();
    let mut server = Ledger::with_blocks(&world, 20);
    let certificate = server.certificate.take();
    server.executor.execute(&world.batch(21)).expect("a disk");
    let offers = Offers::default();
    let request = SnapshotRequest::Offer { above: Height(0) };
    // Block 20 is certified, but the newest state is that of block 21.
    server.certificate = certificate;
    assert_eq!(server.answer(&offers, &request), None);
    let of_21 = world.certify(&server.executor);
    server.executor.keep_certificate(of_21.clone());
    server.execute_up_to(25);
    server.executor.execute(&world.batch(26)).expect("a disk");
    let Some(SnapshotPart::Offer(offer)) = server.answer(&offers, &request) else {
        panic!("block 21 is certified");
    };
    assert_eq!(offer.certificate, of_21);
    server.execute_up_to(30);
    assert_eq!(server.tip(), 30);
    let mut joiner = Ledger::new(&world);
    let mut taken = joiner.take(SnapshotPart::Offer(offer)).expect("honest");
    while let Some(request) = taken.part {
        let part = server.answer(&offers, &request).expect("still open");
        taken = joiner.take(part).expect("honest");
    }
    assert_eq!(joiner.tip(), 21);
    joiner.check_state();
}

#[test]
fn who_read_a_view_is_offered_a_newer_one_at_once() {
    let world = World::new();
    let mut server = Ledger::with_blocks(&world, 20);
    let offers = Offers::default();
    let offered = |server: &Ledger<'_>, above| {
        let request = SnapshotRequest::Offer {
            above: Height(above),
        };
        match server.answer(&offers, &request) {
            Some(SnapshotPart::Offer(offer)) => Some(offer.header.height.0),
            _ => None,
        }
    };
    assert_eq!(offered(&server, 0), Some(20));
    assert_eq!(offered(&server, 20), None);
    server.execute_up_to(25);
    assert_eq!(offered(&server, 0), Some(20), "the one that is read");
    assert_eq!(offered(&server, 20), Some(25));
}

#[test]
fn views_are_closed_and_answers_are_counted() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 20);
    let offers = Offers::default();
    let limits = world.genesis.limits();
    let ask = |now, from, request: &SnapshotRequest| {
        let ledger = (&*server.store, server.certificate.clone());
        offers.answer(Millis(now), ValidatorIndex(from), request, ledger, limits)
    };
    let begin = SnapshotRequest::Offer { above: Height(0) };
    let state = SnapshotRequest::State {
        height: Height(20),
        after: None,
    };
    assert!(ask(0, 1, &state).is_none(), "nothing was offered");
    assert!(ask(0, 1, &begin).is_some());
    assert!(ask(59_999, 1, &state).is_some());
    assert!(ask(59_999, 2, &state).is_none(), "it is another's");
    assert!(ask(119_999, 1, &state).is_none(), "idle for a minute");
    assert!(ask(120_000, 1, &SnapshotRequest::Offer { above: Height(20) }).is_none());

    let admitted = |now, from| offers.admits(Millis(now), ValidatorIndex(from));
    let at_once = (0..1_000).filter(|_| admitted(0, 7)).count();
    assert_eq!(at_once, 100);
    assert!(admitted(0, 8), "of somebody else");
    let later = (0..1_000).filter(|_| admitted(100, 7)).count();
    assert_eq!(later, 20);
}
