//! Who may have forgotten what it signed says nothing new, until that is harmless (M1 to M6).

mod common;

use std::sync::Arc;

use chancery_consensus::{
    Action, Body, Demand, Event, Halted, Heard, Mode, Now, Record, Recovered, Replica,
    SignedMessage, SlotStatus, Status, ViewChange, Wish,
};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement, Cosignature};
use chancery_ledger::{BatchDigest, Hash, Height, Millis, Slot, ValidatorIndex, View};
use common::{
    CHAIN, Cluster, Disk, EPOCH_MS, World, ballot, batch_at, config, confirming, consensus_key,
    genesis, signed, verified,
};

const INCARNATION: u64 = 77;
const OWN: u16 = 1;

/// Replica 1 of four, just started; the test is the others.
struct Started {
    replica: Replica,
    now: Now,
    first: Vec<Action>,
}

fn nothing() -> Recovered {
    Recovered {
        records: Vec::new(),
        executed: genesis(),
        stable: None,
        incarnation: INCARNATION,
        vote_log_missing: false,
    }
}

impl Started {
    fn with(recovered: Recovered) -> Self {
        let now = Now {
            since_start: Millis(0),
            clock: Millis(EPOCH_MS),
        };
        let started = Replica::new(config(4, OWN, 4), consensus_key(OWN), recovered, now);
        let (replica, first) = started.expect("it fits together");
        Self {
            replica,
            now,
            first,
        }
    }

    fn new() -> Self {
        Self::with(nothing())
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        self.replica.step(self.now, event)
    }

    fn say(&mut self, from: u16, body: Body) -> Vec<Action> {
        self.step(Event::Message(verified(4, from, body)))
    }

    /// A STATUS of a validator that has heard of this process.
    fn answer(&mut self, from: u16, change: impl FnOnce(&mut Status)) -> Vec<Action> {
        let mut status = confirming(4, OWN, INCARNATION);
        change(&mut status);
        self.say(from, Body::Status(status))
    }

    fn own(&mut self, body: Body) -> Vec<Action> {
        self.say(OWN, body)
    }

    fn mode(&self) -> Mode {
        let overview = self.replica.overview();
        assert_eq!(overview.halted, None);
        overview.mode
    }

    /// The process of another validator that its next STATUS names.
    fn names(&mut self, of: usize) -> u64 {
        for _ in 0..100 {
            let statuses = self.step(Event::Tick(Demand::Nothing));
            let named = statuses.iter().find_map(|action| match action {
                Action::Broadcast(message) => match &message.body {
                    Body::Status(said) => Some(said.heard[of].incarnation),
                    _ => None,
                },
                _ => None,
            });
            if let Some(named) = named {
                return named;
            }
            self.now.since_start.0 += 50;
        }
        panic!("a STATUS now and then");
    }

    /// The primary's proposal for a slot with its batch: what is signed on that.
    fn propose(&mut self, slot: u64) -> (Vec<Action>, BatchDigest) {
        let batch = batch_at(Millis(EPOCH_MS + slot));
        let mut actions = self.step(Event::Batch {
            from: ValidatorIndex(0),
            batch: Arc::clone(&batch),
        });
        let proposal = Body::PrePrepare(ballot(slot, batch.digest()));
        actions.extend(self.say(0, proposal));
        (actions, batch.digest())
    }
}

/// What replica 1 never signed in the tests' other lines.
fn unknown_vote(slot: u64) -> Body {
    Body::Prepare(ballot(slot, BatchDigest([9; 32])))
}

fn of_this(status: &mut Status) -> &mut Heard {
    &mut status.heard[usize::from(OWN)]
}

/// Everything newly signed but STATUSes and certificates that are passed on.
fn signed_by_own(actions: &[Action]) -> Vec<&SignedMessage> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Broadcast(message) | Action::Send { message, .. } => Some(message),
            _ => None,
        })
        .filter(|message| message.from == ValidatorIndex(OWN))
        .filter(|message| !matches!(message.body, Body::Status(_) | Body::Certificate(_)))
        .collect()
}

fn persisted(actions: &[Action]) -> Vec<&Record> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Persist(record) => Some(record),
            _ => None,
        })
        .collect()
}

fn certificate(height: u64) -> CheckpointCertificate {
    let statement =
        CheckpointStatement::new(CHAIN, Height(height), Hash([1; 32]), Millis(EPOCH_MS));
    let cosignatures = [0, 2, 3]
        .map(|signer| Cosignature {
            validator: ValidatorIndex(signer),
            signature: consensus_key(signer).sign(&statement.cosigned_bytes()),
        })
        .to_vec();
    CheckpointCertificate {
        statement,
        cosignatures,
    }
}

const UNKNOWN: Record = Record::Quarantine {
    slots_through: Slot(u64::MAX),
    view_least: View(u64::MAX),
};

// M1, M2

#[test]
fn what_was_held_back_is_said_in_the_step_that_ends_probation() {
    let mut started = Started::new();
    assert_eq!(signed_by_own(&started.first), [] as [&SignedMessage; 0]);
    let (actions, digest) = started.propose(1);
    assert_eq!(actions, []);
    started.answer(0, |_| ());
    assert!(
        matches!(started.mode(), Mode::Probation { confirmed, needed: 2 } if confirmed == [ValidatorIndex(0)])
    );
    assert_eq!(started.say(2, Body::Prepare(ballot(1, digest))), []);
    let actions = started.answer(2, |_| ());
    let kinds: Vec<&str> = signed_by_own(&actions)
        .iter()
        .map(|message| message.body.kind())
        .collect();
    assert_eq!(kinds, ["prepare", "commit"]);
    assert_eq!(started.mode(), Mode::Active);
}

#[test]
fn a_view_that_enough_want_is_joined_when_probation_ends() {
    let mut started = Started::new();
    let wanted = Body::ViewChange(ViewChange {
        view: View(2),
        stable: None,
        prepared: Vec::new(),
    });
    // They know that it heard them, and do not say it again.
    assert_eq!(started.say(0, wanted.clone()), []);
    assert_eq!(started.say(2, wanted.clone()), []);
    started.answer(0, |_| ());
    assert_eq!(started.replica.overview().view, View(0));
    let actions = started.answer(2, |_| ());
    let said: Vec<&Body> = signed_by_own(&actions)
        .iter()
        .map(|message| &message.body)
        .collect();
    assert_eq!(said, [&wanted]);
    assert_eq!(started.mode(), Mode::Changing);
}

#[test]
fn a_primary_proposes_nothing_in_probation() {
    let now = Now {
        since_start: Millis(0),
        clock: Millis(EPOCH_MS),
    };
    let (mut replica, _) =
        Replica::new(config(4, 0, 4), consensus_key(0), nothing(), now).expect("an empty log");
    assert_eq!(replica.proposal_wish(), Wish::None);
    let held_back = common::end_probation(&mut replica, (4, 0), INCARNATION, now);
    assert_eq!(held_back, []);
    assert_eq!(replica.proposal_wish(), Wish::Now);
}

#[test]
fn alone_there_is_nobody_to_ask() {
    let now = Now {
        since_start: Millis(0),
        clock: Millis(EPOCH_MS),
    };
    let recovered = Recovered {
        vote_log_missing: true,
        ..nothing()
    };
    let (replica, _) =
        Replica::new(config(1, 0, 4), consensus_key(0), recovered, now).expect("an empty log");
    assert_eq!(replica.proposal_wish(), Wish::Now);
}

#[test]
fn a_liars_claim_does_not_confirm_and_does_not_hinder() {
    let lies: [fn(&mut Status); 4] = [
        |status| of_this(status).voted = Slot(u64::MAX),
        |status| of_this(status).left = View(1),
        |status| of_this(status).incarnation = INCARNATION - 1,
        |status| of_this(status).incarnation = 0,
    ];
    for lie in lies {
        let mut started = Started::new();
        started.answer(3, lie);
        started.answer(0, |_| ());
        assert!(matches!(started.mode(), Mode::Probation { .. }));
        started.answer(3, lie);
        assert!(matches!(started.mode(), Mode::Probation { .. }));
        started.answer(2, |_| ());
        assert_eq!(started.mode(), Mode::Active);
    }
}

#[test]
fn what_is_remembered_or_certified_may_be_claimed() {
    let mut before = Started::new();
    before.answer(0, |_| ());
    before.answer(2, |_| ());
    let (actions, _) = before.propose(3);
    let records: Vec<Record> = persisted(&actions).into_iter().cloned().collect();
    let cases = [
        (records, None, Slot(3)),
        (Vec::new(), Some(certificate(6)), Slot(6)),
    ];
    for (records, stable, voted) in cases {
        let recovered = Recovered {
            records,
            stable,
            ..nothing()
        };
        let mut started = Started::with(recovered.clone());
        for from in [0, 2] {
            started.answer(from, |status| of_this(status).voted = voted);
        }
        assert_eq!(started.mode(), Mode::Active);
        let mut started = Started::with(recovered);
        for from in [0, 2] {
            started.answer(from, |status| of_this(status).voted = voted.next());
        }
        assert!(matches!(started.mode(), Mode::Quarantine { .. }));
    }
}

#[test]
fn the_first_status_of_a_process_is_answered_at_once_and_names_it() {
    let mut started = Started::new();
    let mut status = confirming(4, OWN, 0);
    status.incarnation = 1234;
    let names = |actions: &[Action]| {
        actions.iter().any(|action| {
            matches!(action, Action::Send { to: ValidatorIndex(3), message } if matches!(
                &message.body,
                Body::Status(said) if said.heard[3].incarnation == 1234 && said.incarnation == INCARNATION
            ))
        })
    };
    assert!(names(&started.say(3, Body::Status(status.clone()))));
    assert!(!names(&started.say(3, Body::Status(status.clone()))));
    // A flood of new ones is not worth a flood of answers.
    let mut answers = 0;
    for incarnation in 2000..3000 {
        status.incarnation = incarnation;
        answers += started.say(3, Body::Status(status.clone())).len();
        started.now.since_start.0 += 1;
    }
    assert!((10..40).contains(&answers), "{answers}");
}

// M3

#[test]
fn who_has_just_started_is_shown_its_votes_before_it_is_confirmed() {
    let mut started = Started::new();
    for from in [0, 2] {
        started.answer(from, |_| ());
    }
    let (_, digest) = started.propose(1);
    let prepare = Body::Prepare(ballot(1, digest));
    let commit = Body::Commit(ballot(1, digest));
    started.say(3, prepare.clone());
    started.say(3, commit.clone());
    let mut status = confirming(4, OWN, INCARNATION);
    status.incarnation = 5000;
    let to_three = |actions: &[Action]| -> Vec<Body> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Send { message, .. } if message.from == ValidatorIndex(3) => {
                    Some(message.body.clone())
                }
                _ => None,
            })
            .collect()
    };
    let actions = started.say(3, Body::Status(status.clone()));
    assert_eq!(to_three(&actions), [prepare, commit]);
    let last = actions.last();
    assert!(
        matches!(last, Some(Action::Send { message, .. }) if matches!(message.body, Body::Status(_))),
        "{last:?}"
    );
    // One that lists them is not shown them.
    status.incarnation = 5001;
    status.slots = vec![SlotStatus {
        slot: Slot(1),
        pre_prepare: true,
        batch: true,
        prepares: 0b1000,
        commits: 0b1000,
        checkpoints: 0,
    }];
    started.now.since_start.0 += 1_000;
    let actions = started.say(3, Body::Status(status));
    assert_eq!(to_three(&actions), []);
}

#[test]
fn an_unknown_own_message_in_probation_begins_a_quarantine() {
    let view_change = Body::ViewChange(ViewChange {
        view: View(2),
        stable: None,
        prepared: Vec::new(),
    });
    let prepare = Body::Prepare(ballot(1, BatchDigest([9; 32])));
    for body in [
        prepare,
        Body::Commit(ballot(9, BatchDigest([9; 32]))),
        view_change,
    ] {
        let mut started = Started::new();
        started.answer(0, |_| ());
        let actions = started.own(body);
        assert_eq!(actions, [Action::Persist(UNKNOWN)]);
        assert!(matches!(
            started.mode(),
            Mode::Quarantine {
                slots_through: None,
                ..
            }
        ));
        // A restart knows it still.
        let recovered = Recovered {
            records: vec![UNKNOWN],
            ..nothing()
        };
        let restarted = Started::with(recovered);
        assert!(matches!(
            restarted.mode(),
            Mode::Quarantine {
                slots_through: None,
                ..
            }
        ));
    }
    let mut started = Started::with(Recovered {
        stable: Some(certificate(4)),
        ..nothing()
    });
    let below = unknown_vote(4);
    assert_eq!(started.own(below), [], "certified: nothing to contradict");
}

#[test]
fn an_unknown_own_message_after_probation_ends_it_all() {
    let mut started = Started::new();
    for from in [0, 2] {
        started.answer(from, |_| ());
    }
    let own = unknown_vote(1);
    let actions = started.own(own.clone());
    let message = Box::new(signed(OWN, own));
    let [Action::Broadcast(last), halt] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(*halt, Action::Halt(Halted::Forgot { message }));
    assert_eq!(started.propose(1).0, []);
    // It may be another process's: others, who have heard of it, tell that one.
    let mut peer = Started::new();
    for incarnation in [500, INCARNATION, 500] {
        peer.now.since_start.0 += 2_000;
        let mut status = confirming(4, OWN, INCARNATION);
        status.incarnation = incarnation;
        peer.say(3, Body::Status(status));
    }
    let Body::Status(last) = &last.body else {
        panic!("{last:?}");
    };
    let mut last = last.clone();
    last.heard.swap(usize::from(OWN), 3);
    peer.say(3, Body::Status(last));
    let named: Vec<u64> = (0..8).map(|_| peer.names(3)).collect();
    let times = |incarnation| named.iter().filter(|named| **named == incarnation).count();
    assert_eq!((times(500), times(INCARNATION)), (0, 8), "{named:?}");
}

// M4

#[test]
fn a_quarantine_begins_at_once_and_its_end_is_known_when_a_quorum_has_answered() {
    let mut started = Started::with(Recovered {
        vote_log_missing: true,
        ..nothing()
    });
    assert_eq!(persisted(&started.first), [&UNKNOWN]);
    started.answer(0, |status| {
        status.stable = Height(7);
        status.view = View(3);
        of_this(status).voted = Slot(9);
    });
    started.answer(2, |status| of_this(status).left = View(3));
    // What the one has certified is not here yet, so its votes may go further than is known.
    let Mode::Quarantine { answered, .. } = started.mode() else {
        panic!("{:?}", started.mode());
    };
    assert_eq!(answered, [ValidatorIndex(2)]);
    let actions = started.say(0, Body::Certificate(certificate(7)));
    let release = Record::Quarantine {
        slots_through: Slot(7 + 2 * 4),
        view_least: View(5),
    };
    assert_eq!(persisted(&actions), [&release]);
    assert_eq!(signed_by_own(&actions), [] as [&SignedMessage; 0]);
    // Still silent, in whatever it is asked.
    let (actions, digest) = started.propose(8);
    assert_eq!(signed_by_own(&actions), [] as [&SignedMessage; 0]);
    for from in [2, 3] {
        started.say(from, Body::Prepare(ballot(8, digest)));
        started.say(from, Body::Commit(ballot(8, digest)));
    }
    for _ in 0..100 {
        started.now.since_start.0 += 100;
        let actions = started.step(Event::Tick(Demand::Waiting));
        assert_eq!(signed_by_own(&actions), [] as [&SignedMessage; 0]);
    }
    // Over, but for the view.
    started.say(0, Body::Certificate(certificate(16)));
    let (actions, _) = started.propose(17);
    assert_eq!(signed_by_own(&actions), [] as [&SignedMessage; 0]);
    assert!(matches!(
        started.mode(),
        Mode::Quarantine {
            slots_through: Some(Slot(15)),
            view_least: Some(View(5)),
            ..
        }
    ));
}

#[test]
fn a_restart_in_quarantine_stays_in_it() {
    let record = Record::Quarantine {
        slots_through: Slot(12),
        view_least: View(0),
    };
    let recovered = Recovered {
        records: vec![record],
        stable: Some(certificate(10)),
        ..nothing()
    };
    let mut started = Started::with(recovered);
    for from in [0, 2] {
        // What was forgotten before is known to be.
        started.answer(from, |status| of_this(status).voted = Slot(12));
    }
    assert!(matches!(
        started.mode(),
        Mode::Quarantine {
            slots_through: Some(Slot(12)),
            ..
        }
    ));
    let (actions, _) = started.propose(14);
    assert_eq!(signed_by_own(&actions), [] as [&SignedMessage; 0]);
    let covered = unknown_vote(12);
    assert_eq!(started.own(covered), []);
    started.say(0, Body::Certificate(certificate(12)));
    assert!(matches!(started.mode(), Mode::Quarantine { .. }));
    let actions = started.say(0, Body::Certificate(certificate(13)));
    let said = signed_by_own(&actions);
    assert!(
        matches!(said.as_slice(), [message] if message.body.kind() == "prepare"),
        "{said:?}"
    );
    assert_eq!(started.mode(), Mode::Active);
}

fn views_left(actions: &[Action]) -> Vec<View> {
    signed_by_own(actions)
        .iter()
        .filter_map(|message| match &message.body {
            Body::ViewChange(view_change) => Some(view_change.view),
            _ => None,
        })
        .collect()
}

/// Two others want a view.
fn others_want(started: &mut Started, view: u64) -> Vec<Action> {
    let mut actions = Vec::new();
    for from in [2, 3] {
        let body = Body::ViewChange(ViewChange {
            view: View(view),
            stable: None,
            prepared: Vec::new(),
        });
        actions.extend(started.say(from, body));
    }
    actions
}

fn tick(started: &mut Started, times: usize) -> Vec<Action> {
    let mut actions = Vec::new();
    for _ in 0..times {
        started.now.since_start.0 += 50;
        actions.extend(started.step(Event::Tick(Demand::Waiting)));
    }
    actions
}

#[test]
fn one_that_is_back_waits_without_a_word_below_the_views_that_it_may_sign_in() {
    let back_in = |view_least| {
        let recovered = Recovered {
            records: vec![Record::Quarantine {
                slots_through: Slot(3),
                view_least: View(view_least),
            }],
            stable: Some(certificate(4)),
            ..nothing()
        };
        let mut started = Started::with(recovered);
        for from in [0, 2] {
            started.answer(from, |_| ());
        }
        started
    };
    // Nothing is forgotten: it joins them.
    let mut started = back_in(0);
    assert_eq!(views_left(&others_want(&mut started, 1)), [View(1)]);
    // It says that it has reached the view before, which is what others wait for (R28).
    let mut started = back_in(5);
    let mut actions = others_want(&mut started, 1);
    actions.extend(tick(&mut started, 1_000));
    assert_eq!(views_left(&actions), []);
    let said = actions.iter().rev().find_map(|action| match action {
        Action::Broadcast(message) => match &message.body {
            Body::Status(status) => Some((status.view, status.changing)),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(said, Some((View(4), true)));
    // Once they are there, too, it leaves as everybody does.
    let mut actions = others_want(&mut started, 4);
    actions.extend(tick(&mut started, 200));
    assert_eq!(views_left(&actions), [View(5)]);
}

#[test]
fn who_waits_without_a_word_counts_for_the_timers_of_others() {
    let mut started = Started::new();
    for from in [0, 2] {
        started.answer(from, |_| ());
    }
    assert_eq!(views_left(&tick(&mut started, 100)), [View(1)]);
    let reach = |started: &mut Started, from, view, changing| {
        started.now.since_start.0 += 50;
        started.answer(from, |status| {
            status.view = View(view);
            status.changing = changing;
        });
    };
    reach(&mut started, 2, 1, true);
    // One that is in it will give its NEW-VIEW.
    reach(&mut started, 3, 1, false);
    assert_eq!(views_left(&tick(&mut started, 200)), []);
    reach(&mut started, 3, 7, true);
    assert_eq!(views_left(&tick(&mut started, 60)), [View(2)]);
}

/// One that has forgotten everything, among others that are in view 0, with a quarantine that is
/// over; then nothing more is ordered for a while.
fn signed_after_a_loss(certified: u64) -> Vec<SignedMessage> {
    let mut started = Started::with(Recovered {
        vote_log_missing: true,
        ..nothing()
    });
    started.say(0, Body::Certificate(certificate(certified)));
    for from in [0, 2] {
        started.answer(from, |_| ());
    }
    let certificate = certificate(certified + 9);
    let executed = certificate.statement.clone();
    started.step(Event::CaughtUp {
        certificate,
        executed,
    });
    let actions = tick(&mut started, 400);
    signed_by_own(&actions).into_iter().cloned().collect()
}

#[test]
fn who_loses_its_memory_twice_does_not_contradict_itself() {
    let first = signed_after_a_loss(1);
    let second = signed_after_a_loss(30);
    for message in &first {
        let contradicts = |other: &&SignedMessage| {
            matches!((&message.body, &other.body), (Body::ViewChange(one), Body::ViewChange(two))
                if one.view == two.view && one != two)
        };
        assert_eq!(second.iter().find(contradicts), None, "{message:?}");
    }
}

#[test]
fn a_liar_cannot_name_the_views_that_were_forgotten() {
    let now = Now {
        since_start: Millis(0),
        clock: Millis(EPOCH_MS),
    };
    let release = |view_least| Record::Quarantine {
        slots_through: Slot(8),
        view_least: View(view_least),
    };
    // With four answers it may be that only the one of the highest view knows.
    for (answers, named, expected) in [
        (6, 1 << 60, Some(5)),
        (5, 1 << 60, Some(5)),
        (4, 1 << 60, None),
        (4, 6, Some(8)),
    ] {
        let recovered = Recovered {
            vote_log_missing: true,
            ..nothing()
        };
        let started = Replica::new(config(7, OWN, 4), consensus_key(OWN), recovered, now);
        let (mut replica, _) = started.expect("an empty log");
        let answer = |replica: &mut Replica, now, from| {
            let mut status = confirming(7, OWN, INCARNATION);
            status.view = View(if from == 0 { named } else { 3 });
            let message = verified(7, from, Body::Status(status));
            replica.step(now, Event::Message(message))
        };
        let mut actions = Vec::new();
        for from in [0, 2, 3, 4, 5, 6].into_iter().take(answers) {
            actions.extend(answer(&mut replica, now, from));
        }
        let later = Now {
            since_start: Millis(3_000),
            ..now
        };
        actions.extend(replica.step(later, Event::Tick(Demand::Nothing)));
        let fixed: Vec<Record> = expected.into_iter().map(release).collect();
        assert!(persisted(&actions).into_iter().eq(&fixed), "{answers}");
        if expected.is_none() {
            let actions = answer(&mut replica, later, 5);
            assert_eq!(persisted(&actions), [&release(5)]);
        }
    }
}

// M6

/// An interval later than what was said before.
fn names_another(started: &mut Started, from: u16) -> Vec<Action> {
    started.now.since_start.0 += 500;
    started.answer(from, |status| of_this(status).incarnation = 4242)
}

#[test]
fn a_key_that_is_used_twice_is_noticed_by_the_word_of_more_than_may_lie() {
    let mut started = Started::new();
    for from in [0, 2] {
        started.answer(from, |_| ());
    }
    for round in 0..8 {
        assert_eq!(
            names_another(&mut started, 0).len(),
            0,
            "one may lie: {round}"
        );
        // It has never heard of this process: it may have heard of the one before.
        names_another(&mut started, 3);
        assert_eq!(started.mode(), Mode::Active);
    }
    for _ in 0..3 {
        names_another(&mut started, 2);
        started.now.since_start.0 += 500;
        started.answer(2, |_| ());
    }
    assert_eq!(started.mode(), Mode::Active);
    let actions = names_another(&mut started, 2);
    let halted = Halted::KeyUsedTwice { incarnation: 4242 };
    let [Action::Broadcast(last), halt] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(*halt, Action::Halt(halted));
    // Others are told, so that the other process hears of this one.
    let Body::Status(last) = &last.body else {
        panic!("{last:?}");
    };
    assert_eq!(
        (last.incarnation, last.heard[usize::from(OWN)].incarnation),
        (INCARNATION, 4242)
    );
}

#[test]
fn late_words_about_the_process_before_are_no_second_process() {
    let mut started = Started::new();
    for round in 0..20 {
        started.now.since_start.0 += 500;
        for from in [0, 2, 3] {
            started.answer(from, |_| ());
            if round % 4 == 0 {
                names_another(&mut started, from);
            }
        }
    }
    assert_eq!(started.mode(), Mode::Active);
    // Nor is what is said many times in a moment by those who ask for others' word themselves.
    for _ in 0..8 {
        for from in [0, 2, 3] {
            let actions = started.answer(from, |status| of_this(status).incarnation = 4242);
            let halts = |action: &Action| matches!(action, Action::Halt(_));
            assert!(!actions.iter().any(halts), "{actions:?}");
        }
        started.now.since_start.0 += 125;
    }
}

#[test]
fn two_processes_that_take_turns_are_both_named() {
    let mut started = Started::new();
    let mut named = Vec::new();
    for _ in 0..20 {
        for incarnation in [500, 600] {
            started.now.since_start.0 += 250;
            let mut status = confirming(4, OWN, INCARNATION);
            status.incarnation = incarnation;
            started.say(3, Body::Status(status));
        }
        named.push(started.names(3));
    }
    let newest = &named[named.len() - 8..];
    for incarnation in [500, 600] {
        let times = newest.iter().filter(|named| **named == incarnation).count();
        assert_eq!(times, 4, "{named:?}");
    }
}

// Clusters.

fn is_active(cluster: &Cluster, index: usize) -> bool {
    cluster.nodes[index].mode() == Some(Mode::Active)
}

fn is_in_quarantine(cluster: &Cluster, index: usize) -> bool {
    matches!(cluster.nodes[index].mode(), Some(Mode::Quarantine { .. }))
}

#[test]
fn probation_takes_a_few_messages_even_if_everybody_restarts() {
    for (count, seed) in [(2, 1), (3, 2), (4, 3), (7, 4), (13, 5)] {
        let mut cluster = Cluster::started(count, 8, seed, World::default());
        let everybody = 0..usize::from(count);
        let active = |cluster: &Cluster| everybody.clone().all(|index| is_active(cluster, index));
        for _ in 0..5 {
            cluster.run(300);
            let height = cluster.height(0);
            for index in everybody.clone() {
                cluster.crash(index);
            }
            for index in everybody.clone() {
                cluster.start_node(index);
            }
            assert!(!active(&cluster));
            cluster.run(150);
            assert!(active(&cluster), "{}", cluster.describe());
            let goes_on = cluster.run_until(5_000, |cluster| cluster.height(0) > height + 10);
            assert!(goes_on, "{}", cluster.describe());
        }
        cluster.check_agreement();
    }
}

/// A validator loses its disk in a busy cluster with a bad network. The cluster checks that nobody
/// ever votes twice in one place, the one that forgot included.
fn check_wiped(wiped: usize, seed: u64) {
    let world = World {
        loss_percent: 10,
        duplicate_percent: 10,
        delay_ms_max: 60,
        ..World::default()
    };
    let mut cluster = Cluster::started(4, 8, seed, world);
    let after = 1_000 + cluster.random.below(3_000);
    cluster.run(after);
    let disk = Disk {
        vote_log_missing: true,
        ..Disk::new()
    };
    cluster.replace_disk(wiped, disk);
    let down = cluster.random.below(2_000);
    cluster.run(down);
    cluster.start_node(wiped);
    assert!(is_in_quarantine(&cluster, wiped));
    let knows = |cluster: &Cluster| {
        matches!(
            cluster.nodes[wiped].mode(),
            Some(Mode::Quarantine {
                view_least: Some(_),
                ..
            })
        )
    };
    assert!(cluster.run_until(20_000, knows), "{}", cluster.describe());
    let Some(Mode::Quarantine {
        slots_through: Some(through),
        view_least: Some(view_least),
        ..
    }) = cluster.nodes[wiped].mode()
    else {
        panic!("it was just there");
    };
    assert_eq!(votes_logged(&cluster, wiped), 0);
    // A restart in between changes nothing.
    cluster.crash(wiped);
    cluster.start_node(wiped);
    let passed = |cluster: &Cluster| cluster.final_height(wiped) > through.0;
    assert!(cluster.run_until(120_000, passed), "{}", cluster.describe());
    let behind = (0..4).filter(|index| *index != wiped);
    let is_below = behind
        .filter_map(|index| cluster.nodes[index].replica.as_ref())
        .all(|replica| replica.view() < view_least);
    if is_below {
        assert_eq!(votes_logged(&cluster, wiped), 0, "before {view_least}");
    }
    // Now one of the others stops: the one that came back makes up the quorum, in a later view.
    let other = (wiped + 1) % 4;
    cluster.crash(other);
    let height = cluster.height(wiped);
    let goes_on = cluster.run_until(120_000, |cluster| cluster.height(wiped) > height + 20);
    assert!(goes_on, "seed {seed}: {}", cluster.describe());
    let votes = cluster.run_until(60_000, |cluster| votes_logged(cluster, wiped) > 0);
    assert!(votes, "seed {seed}: {}", cluster.describe());
    let back = cluster.run_until(60_000, |cluster| is_active(cluster, wiped));
    assert!(back, "seed {seed}: {}", cluster.describe());
    cluster.check_agreement();
}

fn votes_logged(cluster: &Cluster, index: usize) -> usize {
    let records = cluster.nodes[index].disk.records.iter();
    records
        .filter(|record| matches!(record, Record::Vote(_)))
        .count()
}

#[test]
fn one_that_lost_its_disk_is_silent_and_then_votes_again() {
    for seed in 0..12 {
        check_wiped(usize::try_from(seed % 4).expect("small"), seed);
    }
}

/// The vote log is one of a moment before, the blocks are all there: it is noticed, or what was
/// forgotten is certified.
#[test]
fn a_log_that_was_rolled_back_never_makes_a_second_vote() {
    let mut noticed = 0;
    for seed in 0..24 {
        let world = World {
            loss_percent: 5,
            delay_ms_max: 40,
            ..World::default()
        };
        let mut cluster = Cluster::started(4, 8, seed, world);
        cluster.may_halt = true;
        let old = usize::try_from(seed % 4).expect("small");
        let before = 300 + cluster.random.below(700);
        cluster.run(before);
        let records = cluster.nodes[old].disk.records.clone();
        let moment = cluster.random.below(30);
        cluster.run(moment);
        let disk = Disk {
            records,
            ..cluster.nodes[old].disk.clone()
        };
        cluster.replace_disk(old, disk);
        // Slots stay open while two are missing.
        let asleep = (old + 1) % 4;
        cluster.nodes[asleep].paused = true;
        cluster.run(200);
        cluster.start_node(old);
        cluster.run(200);
        cluster.resume(asleep, true);
        cluster.run(2_000);
        noticed += usize::from(is_in_quarantine(&cluster, old) || cluster.nodes[old].halted);
        cluster.check_agreement();
    }
    assert!(noticed >= 4, "{noticed}");
}

#[test]
fn two_processes_with_one_key_both_stop() {
    let mut both_stopped = 0;
    for seed in 0..12 {
        let world = World {
            loss_percent: if seed % 2 == 0 { 0 } else { 10 },
            slots_max: if seed % 3 == 0 { 5 } else { u64::MAX },
            ..World::default()
        };
        let mut cluster = Cluster::started(4, 8, seed, world);
        cluster.run(1_000);
        let of = usize::try_from(seed % 4).expect("small");
        let twin = cluster.add_twin(of);
        if seed % 4 < 2 {
            // One that is set up anew, not a copy.
            cluster.nodes[twin].disk = Disk {
                vote_log_missing: true,
                ..Disk::new()
            };
        }
        cluster.start_node(twin);
        let stopped = |cluster: &Cluster| {
            let halted = [of, twin].map(|index| cluster.nodes[index].halted);
            halted.into_iter().filter(|halted| *halted).count()
        };
        let both = cluster.run_until(30_000, |cluster| stopped(cluster) == 2);
        // A copy that forgot something may stop so soon that nobody has heard of both.
        let at_once = cluster.nodes[twin].halted_by.clone();
        let at_once = matches!(at_once, Some(Halted::Forgot { .. }));
        assert!(both || at_once, "seed {seed}: {}", cluster.describe());
        both_stopped += usize::from(both);
        let others = (0..4).filter(|index| *index != of);
        for index in others {
            assert!(!cluster.nodes[index].halted, "seed {seed}");
        }
    }
    assert!(both_stopped >= 8, "{both_stopped} of 12");
}

#[test]
fn restarts_are_no_second_processes() {
    for seed in 0..6 {
        let world = World {
            loss_percent: 10,
            duplicate_percent: 30,
            delay_ms_max: 400,
            ..World::default()
        };
        // Nobody may stop here.
        let mut cluster = Cluster::started(4, 8, seed, world);
        for _ in 0..60 {
            let index = usize::try_from(cluster.random.below(4)).expect("small");
            cluster.crash(index);
            cluster.start_node(index);
            let pause = cluster.random.below(1_500);
            cluster.run(pause);
        }
        let done = cluster.run_until(10_000, |cluster| {
            (0..4).all(|index| is_active(cluster, index) || !is_in_quarantine(cluster, index))
        });
        assert!(done, "{}", cluster.describe());
        for index in 0..4 {
            let records = &cluster.nodes[index].disk.records;
            let forgot = |record: &Record| matches!(record, Record::Quarantine { .. });
            assert!(!records.iter().any(forgot), "seed {seed}");
        }
        cluster.check_agreement();
    }
}

/// Who is in probation asks again and again, and says each time whom it has heard.
#[test]
fn restarts_are_no_second_processes_where_too_few_run() {
    for seed in 0..8 {
        let world = World {
            loss_percent: 10,
            duplicate_percent: 50,
            delay_ms_max: 400,
            ..World::default()
        };
        // Nobody may stop here.
        let mut cluster = Cluster::new(7, 8, seed, world);
        for index in 0..4 {
            cluster.start_node(index);
        }
        for _ in 0..30 {
            cluster.crash(0);
            cluster.start_node(0);
            let pause = cluster.random.below(4_000);
            cluster.run(pause);
        }
    }
}
