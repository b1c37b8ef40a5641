//! Lying primaries, processes that pause or die, and clusters that must get going again.

mod common;

use std::sync::Arc;

use chancery_consensus::{
    Action, Body, Event, Record, Recovered, Replica, RestoreError, SignedMessage, VoteKind, Wish,
};
use chancery_ledger::{Millis, ValidatorIndex};
use common::{
    Cluster, Disk, EPOCH_MS, Random, World, ballot, batch_at, config, consensus_key, end_probation,
    verified,
};
use parity_scale_codec::Encode as _;

fn no_more_than(slots_max: u64) -> World {
    World {
        slots_max,
        fetch: false,
        ..World::default()
    }
}

/// The primary is played by the test: it tells each backup one of two stories, and so does another
/// validator that is in league with it where f allows for two.
#[test]
fn an_equivocating_primary_is_proved_guilty_and_replaced() {
    for split in 0..8_u32 {
        let mut cluster = Cluster::new(4, 4, u64::from(split), no_more_than(3));
        cluster.played.insert(0);
        cluster.start();
        let stories = [1, 2].map(|offset| batch_at(Millis(EPOCH_MS + offset)));
        for backup in 1..4_usize {
            for batch in &stories {
                cluster.deliver_batch(backup, Arc::clone(batch));
            }
            let told = &stories[usize::from(split >> (backup - 1) & 1 == 1)];
            let ballot = ballot(1, told.digest());
            cluster.deliver(backup, verified(4, 0, Body::PrePrepare(ballot)));
            cluster.deliver(backup, verified(4, 0, Body::Commit(ballot)));
        }
        // Whatever it says afterwards, to whomever. The cluster itself checks the order.
        for backup in 1..4 {
            for batch in &stories {
                let ballot = ballot(1, batch.digest());
                cluster.deliver(backup, verified(4, 0, Body::PrePrepare(ballot)));
                cluster.deliver(backup, verified(4, 0, Body::Commit(ballot)));
            }
        }
        let done = cluster.run_until(20_000, |cluster| {
            (1..4).all(|index| cluster.final_height(index) == 3)
        });
        assert!(done, "split {split:03b}: {}", cluster.describe());
        cluster.check_agreement();
        assert!((1..4).all(|index| !cluster.nodes[index].evidence.is_empty()));
    }
}

#[test]
fn two_of_seven_that_lie_never_make_two_orders() {
    let mut random = Random(7);
    for round in 0..30 {
        let mut cluster = Cluster::new(7, 4, round, no_more_than(2));
        cluster.played.extend([0, 6]);
        cluster.start();
        let stories = [1, 2].map(|offset| batch_at(Millis(EPOCH_MS + offset)));
        for backup in 1..6 {
            for batch in &stories {
                cluster.deliver_batch(backup, Arc::clone(batch));
            }
        }
        for _ in 0..40 {
            let backup = 1 + usize::try_from(random.below(5)).expect("small");
            let story = &stories[usize::from(random.chance(50))];
            let ballot = ballot(1, story.digest());
            let message = match random.below(4) {
                0 => verified(7, 0, Body::PrePrepare(ballot)),
                1 => verified(7, 6, Body::Prepare(ballot)),
                2 => verified(7, 6, Body::Commit(ballot)),
                _ => verified(7, 0, Body::Commit(ballot)),
            };
            cluster.deliver(backup, message);
            cluster.run(random.below(30));
        }
        let done = cluster.run_until(60_000, |cluster| {
            (1..6).all(|index| cluster.final_height(index) == 2)
        });
        assert!(done, "round {round}: {}", cluster.describe());
        cluster.check_agreement();
    }
}

#[test]
fn a_silent_backup_changes_nothing() {
    let mut cluster = Cluster::new(4, 8, 1, World::default());
    cluster.played.insert(2);
    cluster.start();
    assert!(cluster.run_until(60_000, |cluster| {
        [0, 1, 3].iter().all(|i| cluster.final_height(*i) >= 200)
    }));
}

#[test]
fn a_quorum_less_one_orders_nothing() {
    for (count, silent) in [(4, vec![2, 3]), (5, vec![3, 4]), (7, vec![2, 3, 5])] {
        let mut cluster = Cluster::new(count, 8, 1, World::default());
        cluster.played.extend(silent);
        cluster.start();
        cluster.run(60_000);
        assert!((0..usize::from(count)).all(|index| cluster.height(index) == 0));
    }
}

/// Pauses some validators of four at a moment of a busy ledger, for `pause_ms`, then lets the
/// first of them go on, with none of what was sent to it meanwhile.
fn check_resumes(seed: u64, paused: &[usize], pause_ms: u64) {
    let mut cluster = Cluster::started(4, 8, seed, World::default());
    cluster.run(300 + seed * 37);
    for index in paused {
        cluster.nodes[*index].paused = true;
    }
    // Those that were on their way still arrive; then all stands still.
    cluster.run(2_000);
    let stuck = (0..4).map(|i| cluster.height(i)).max().expect("four");
    cluster.run(pause_ms);
    assert_eq!((0..4).map(|i| cluster.height(i)).max(), Some(stuck));
    // No new work from now on but what the primary itself needs to get going.
    let first = paused[0];
    cluster.resume(first, false);
    let running: Vec<usize> = (0..4)
        .filter(|i| *i == first || !paused.contains(i))
        .collect();
    let enough = running.len() >= 3;
    let done = cluster.run_until(20_000, |cluster| {
        running.iter().all(|i| cluster.final_height(*i) > stuck)
    });
    assert_eq!(
        done,
        enough,
        "seed {seed} paused {paused:?} {pause_ms} ms: {}",
        cluster.describe()
    );
    cluster.check_agreement();
}

#[test]
fn pausing_two_stops_and_continuing_one_resumes() {
    for seed in 0..4 {
        for paused in [[2, 3], [1, 2], [0, 1], [3, 0]] {
            check_resumes(seed, &paused, 3_000);
            check_resumes(seed, &paused, 45_000);
        }
    }
}

#[test]
fn what_was_in_flight_is_ordered_without_new_traffic() {
    for seed in 0..10 {
        let mut cluster = Cluster::started(4, 8, seed, no_more_than(5));
        cluster.run(seed * 3);
        cluster.nodes[2].paused = true;
        cluster.nodes[3].paused = true;
        cluster.run(60_000);
        cluster.resume(3, false);
        assert!(cluster.run_until(10_000, |cluster| {
            [0, 1, 3].iter().all(|i| cluster.final_height(*i) >= 5)
        }));
    }
}

/// All stop at some moment; an hour later all start again.
#[test]
fn a_cluster_that_was_stopped_goes_on_an_hour_later() {
    for seed in 0..20 {
        let mut cluster = Cluster::started(4, 8, seed, World::default());
        cluster.run(20 + seed * 13);
        let before = (0..4).map(|i| cluster.height(i)).max().expect("four");
        for index in 0..4 {
            cluster.crash(index);
        }
        cluster.run(3_600_000);
        for index in [3, 1, 0, 2] {
            cluster.start_node(index);
            cluster.run(400);
        }
        assert!(
            cluster.run_until(20_000, |cluster| {
                (0..4).all(|i| cluster.final_height(i) > before + 8)
            }),
            "seed {seed}: {}",
            cluster.describe()
        );
        cluster.check_agreement();
    }
}

#[test]
fn one_that_missed_many_blocks_fetches_them_and_votes_again() {
    let mut cluster = Cluster::started(4, 8, 3, World::default());
    cluster.run(300);
    cluster.nodes[1].paused = true;
    cluster.run(1_000);
    let ahead = cluster.final_height(0);
    assert!(ahead > cluster.height(1) + 50);
    cluster.resume(1, false);
    assert!(cluster.run_until(10_000, |cluster| cluster.final_height(1) > ahead));
    assert!(cluster.nodes[1].catch_ups >= 1);
    // Its vote is needed now.
    cluster.nodes[2].paused = true;
    cluster.run(1_000);
    let before = cluster.final_height(0);
    assert!(cluster.run_until(10_000, |cluster| {
        [0, 1, 3]
            .iter()
            .all(|i| cluster.final_height(*i) > before + 20)
    }));
}

#[test]
fn a_clock_that_is_wrong_by_an_hour_does_not_stop_the_others() {
    for offset in [-3_600_000, 3_600_000] {
        let mut cluster = Cluster::new(4, 8, 1, World::default());
        cluster.nodes[2].clock_offset_ms = offset;
        cluster.start();
        assert!(cluster.run_until(60_000, |cluster| {
            (0..4).all(|i| cluster.final_height(i) >= 50)
        }));
    }
}

// Dying at every point.

/// What a validator with one action list left behind when it died after `done` actions of it.
fn died_after(disk: &Disk, actions: &[Action], done: usize) -> (Disk, Vec<SignedMessage>) {
    let mut disk = disk.clone();
    let mut sent = Vec::new();
    for action in &actions[..done] {
        match action {
            Action::Persist(record) => disk.records.push(record.clone()),
            Action::Broadcast(message) => sent.push(message.clone()),
            _ => {}
        }
    }
    (disk, sent)
}

fn restarted(disk: &Disk, own: u16) -> (Replica, Vec<Action>) {
    let now = chancery_consensus::Now {
        since_start: Millis(0),
        clock: Millis(EPOCH_MS),
    };
    let started = Replica::new(config(4, own, 4), consensus_key(own), disk.recovered(), now);
    let (mut replica, mut actions) = started.expect("a log that a replica wrote is accepted");
    actions.extend(end_probation(&mut replica, (4, own), 1, now));
    (replica, actions)
}

/// The own ones, `own` being who acts.
fn votes(own: u16, actions: &[Action]) -> Vec<SignedMessage> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Broadcast(message) if message.body.vote().is_some() => Some(message),
            _ => None,
        })
        .filter(|message| message.from == ValidatorIndex(own))
        .cloned()
        .collect()
}

/// A backup dies at each point of its part in a slot. Whatever it was told then, by a primary that
/// lies: what it says is what it said, and after restarting it gets to the end.
#[test]
fn a_backup_that_dies_between_any_two_actions_says_the_same_again() {
    let now = chancery_consensus::Now {
        since_start: Millis(0),
        clock: Millis(EPOCH_MS),
    };
    let (one, other) = (batch_at(Millis(EPOCH_MS)), batch_at(Millis(EPOCH_MS + 1)));
    let steps = |story: &Arc<_>| {
        let story: &Arc<chancery_ledger::Verified<chancery_ledger::Batch>> = story;
        let ballot = ballot(1, story.digest());
        vec![
            Event::Batch {
                from: ValidatorIndex(0),
                batch: Arc::clone(story),
            },
            Event::Message(verified(4, 0, Body::PrePrepare(ballot))),
            Event::Message(verified(4, 2, Body::Prepare(ballot))),
            Event::Message(verified(4, 0, Body::Commit(ballot))),
            Event::Message(verified(4, 2, Body::Commit(ballot))),
        ]
    };
    let mut deaths = 0;
    for die_in in 0..5 {
        for die_after in 0..8 {
            let mut disk = Disk::new();
            let (mut replica, _) = restarted(&disk, 1);
            let mut sent = Vec::new();
            for (number, event) in steps(&one).into_iter().enumerate() {
                let actions = replica.step(now, event);
                let done = if number == die_in {
                    die_after.min(actions.len())
                } else {
                    actions.len()
                };
                let (left, said) = died_after(&disk, &actions, done);
                disk = left;
                sent.extend(said);
                if number == die_in {
                    break;
                }
            }
            deaths += 1;
            let written: Vec<SignedMessage> = disk
                .records
                .iter()
                .filter_map(|record| match record {
                    Record::Vote(message) => Some(message.clone()),
                    _ => None,
                })
                .collect();
            for message in &sent {
                assert!(written.contains(message), "said and not written");
            }
            // It says again what was written, byte for byte.
            let (mut replica, actions) = restarted(&disk, 1);
            let again = votes(1, &actions);
            for message in &written {
                assert!(again.contains(message), "written and not said again");
            }
            let mut said = again;
            // The primary's lie first, then the truth.
            let is_lie = |event: &Event| match event {
                Event::Message(message) => message.message().from == ValidatorIndex(0),
                _ => true,
            };
            let lies = steps(&other).into_iter().filter(is_lie);
            for event in lies.chain(steps(&one)) {
                said.extend(votes(1, &replica.step(now, event)));
            }
            // Who had accepted the truth gets to the end of it, unless it can prove the lie, and leaves.
            let has = |votes: &[SignedMessage], wanted: VoteKind| {
                let kinds = votes.iter().filter_map(|message| message.body.vote());
                kinds.into_iter().any(|(kind, _)| kind == wanted)
            };
            let committed = has(&written, VoteKind::Commit) || has(&said, VoteKind::Commit);
            let stays = replica.view() == chancery_ledger::View(0);
            assert!(committed || !stays || !has(&written, VoteKind::Prepare));
            for kind in [VoteKind::Prepare, VoteKind::Commit] {
                let mut digests: Vec<_> = written
                    .iter()
                    .chain(&said)
                    .filter_map(|message| message.body.vote())
                    .filter(|(of, _)| *of == kind)
                    .map(|(_, ballot)| ballot.digest)
                    .collect();
                digests.dedup();
                assert!(digests.len() <= 1, "two {kind:?} digests: {digests:?}");
            }
        }
    }
    assert_eq!(deaths, 40);
}

#[test]
fn a_primary_that_dies_between_any_two_actions_proposes_above_what_it_signed() {
    let now = chancery_consensus::Now {
        since_start: Millis(0),
        clock: Millis(EPOCH_MS),
    };
    let batch = batch_at(Millis(EPOCH_MS));
    for done in 0..=4 {
        let (mut replica, _) = restarted(&Disk::new(), 0);
        let actions = replica.step(now, Event::Propose(Arc::clone(&batch)));
        assert_eq!(actions.len(), 4);
        let (disk, sent) = died_after(&Disk::new(), &actions, done);
        let (mut replica, actions) = restarted(&disk, 0);
        let signed = disk
            .records
            .iter()
            .any(|record| matches!(record, Record::Vote(_)));
        assert_eq!(votes(0, &actions).len(), usize::from(signed));
        assert!(
            sent.iter()
                .all(|message| votes(0, &actions).contains(message))
        );
        let sends_batch = actions
            .iter()
            .any(|action| matches!(action, Action::BroadcastBatch(b) if **b == *batch));
        assert_eq!(sends_batch, signed);
        let expected = if signed { Wish::IfFull } else { Wish::Now };
        assert_eq!(replica.proposal_wish(), expected);
        let other = batch_at(Millis(EPOCH_MS + 1));
        let actions = replica.step(now, Event::Propose(other));
        let (_, ballot) = votes(0, &actions)[0].body.vote().expect("a PRE-PREPARE");
        assert_eq!(ballot.slot.0, if signed { 2 } else { 1 });
    }
}

#[test]
fn every_prefix_of_a_log_restarts() {
    let world = World {
        slots_max: 30,
        ..World::default()
    };
    let mut cluster = Cluster::started(4, 8, 5, world);
    for _ in 0..40 {
        cluster.run(15);
        for own in 0..4_u16 {
            let disk = &cluster.nodes[usize::from(own)].disk;
            for length in 0..=disk.records.len() {
                let mut disk = disk.clone();
                disk.records.truncate(length);
                let recovered = disk.recovered();
                let now = cluster.now(usize::from(own));
                Replica::new(config(4, own, 8), consensus_key(own), recovered, now)
                    .expect("a prefix of a log is a log");
            }
        }
    }
}

// Logs that no replica wrote.

fn check_refused(records: Vec<Record>, check: impl Fn(&RestoreError) -> bool) {
    let disk = Disk {
        records,
        ..Disk::new()
    };
    let now = chancery_consensus::Now {
        since_start: Millis(0),
        clock: Millis(EPOCH_MS),
    };
    let error = Replica::new(config(4, 1, 4), consensus_key(1), disk.recovered(), now)
        .expect_err("it is refused");
    assert!(check(&error), "{error:?}");
}

#[test]
fn a_damaged_log_is_refused_by_name() {
    let now = chancery_consensus::Now {
        since_start: Millis(0),
        clock: Millis(EPOCH_MS),
    };
    let (mut replica, _) = restarted(&Disk::new(), 1);
    let batch = batch_at(Millis(EPOCH_MS));
    let ballot1 = ballot(1, batch.digest());
    let mut records = Vec::new();
    for event in [
        Event::Batch {
            from: ValidatorIndex(0),
            batch: Arc::clone(&batch),
        },
        Event::Message(verified(4, 0, Body::PrePrepare(ballot1))),
        Event::Message(verified(4, 2, Body::Prepare(ballot1))),
    ] {
        for action in replica.step(now, event) {
            if let Action::Persist(record) = action {
                records.push(record);
            }
        }
    }
    let [batch_record, prepare, prepared, commit] = &records[..] else {
        panic!("{records:?}");
    };
    let of = |body| Record::Vote(common::signed(1, body));
    let all = |extra: Record| records.iter().cloned().chain([extra]).collect::<Vec<_>>();
    let other = ballot(1, batch_at(Millis(1)).digest());

    check_refused(vec![prepare.clone()], |error| {
        matches!(error, RestoreError::MissingBatch { .. })
    });
    check_refused(
        vec![batch_record.clone(), prepare.clone(), commit.clone()],
        |error| matches!(error, RestoreError::MissingCertificate { .. }),
    );
    check_refused(all(of(Body::Prepare(other))), |error| {
        matches!(error, RestoreError::TwoVotes { .. })
    });
    let status = chancery_consensus::Status {
        view: chancery_ledger::View(0),
        stable: chancery_ledger::Height(0),
        executed: chancery_ledger::Height(0),
        changing: false,
        incarnation: 1,
        heard: vec![chancery_consensus::Heard::default(); 4],
        slots: Vec::new(),
    };
    check_refused(all(of(Body::Status(status))), |error| {
        matches!(error, RestoreError::NotAVote { kind: "status" })
    });
    let foreign = Record::Vote(common::signed(2, Body::Prepare(ballot1)));
    check_refused(all(foreign), |error| {
        matches!(
            error,
            RestoreError::ForeignVote {
                from: ValidatorIndex(2)
            }
        )
    });
    let mut forged = common::signed(1, Body::Prepare(ballot(2, batch.digest())));
    forged.signature.0[0] ^= 1;
    check_refused(all(Record::Vote(forged)), |error| {
        matches!(error, RestoreError::Vote(_))
    });
    let Record::Prepared(certificate) = prepared else {
        panic!("{prepared:?}");
    };
    let mut certificate = certificate.clone();
    certificate.prepares.pop();
    check_refused(all(Record::Prepared(certificate)), |error| {
        matches!(error, RestoreError::Prepared(_))
    });
    let far = ballot(5, batch.digest());
    check_refused(all(of(Body::Prepare(far))), |error| {
        matches!(error, RestoreError::OutsideWindow { .. })
    });
    let mut repeated = chancery_ledger::Batch::clone(&batch);
    let transaction = chancery_ledger::Transaction {
        chain: chancery_ledger::ChainId([0; 32]),
        sender: consensus_key(0).account(),
        salt: 0,
        valid_until: Millis(EPOCH_MS + 1),
        fuel_max: chancery_ledger::Fuel(0),
        call: chancery_ledger::Call::Admit {
            account: consensus_key(0).account(),
            roles: Vec::new(),
        },
    };
    repeated
        .transactions
        .push(transaction.sign(&consensus_key(0)));
    check_refused(
        all(Record::Batch {
            slot: chancery_ledger::Slot(2),
            batch: repeated,
        }),
        |error| matches!(error, RestoreError::Batch(_)),
    );
}

#[test]
fn a_foreign_key_index_store_or_certificate_is_refused_by_name() {
    let now = chancery_consensus::Now {
        since_start: Millis(0),
        clock: Millis(EPOCH_MS),
    };
    let start = |own: u16, key: u16, recovered: Recovered| {
        Replica::new(config(4, own, 4), consensus_key(key), recovered, now)
            .expect_err("it is refused")
    };
    let empty = || Disk::new().recovered();
    assert_eq!(
        start(4, 1, empty()),
        RestoreError::NotAValidator {
            own: ValidatorIndex(4)
        }
    );
    assert_eq!(
        start(2, 1, empty()),
        RestoreError::WrongKey {
            own: ValidatorIndex(2)
        }
    );
    let mut foreign = empty();
    foreign.executed.chain = chancery_ledger::ChainId([8; 32]);
    assert!(matches!(
        start(1, 1, foreign),
        RestoreError::WrongChain { .. }
    ));
    let mut uncertified = empty();
    uncertified.stable = Some(chancery_ledger::checkpoint::CheckpointCertificate {
        statement: common::genesis(),
        cosignatures: Vec::new(),
    });
    assert!(matches!(
        start(1, 1, uncertified),
        RestoreError::Certificate(_)
    ));
}

#[test]
fn records_survive_their_encoding() {
    let mut cluster = Cluster::started(4, 8, 5, World::default());
    cluster.run(300);
    let limits = chancery_ledger::ChainLimits::default();
    for node in &cluster.nodes {
        for record in &node.disk.records {
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes, &limits).as_ref(), Ok(record));
        }
    }
}
