//! One replica, one rule at a time: what it does, and what it must not do.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_consensus::{
    Action, Ballot, Body, Cause, Config, Demand, Event, Halted, Heard, Now, Phase, Record,
    Recovered, Refusal, Replica, SignedMessage, SlotStatus, Status, VoteKind, Wish,
};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement, Cosignature};
use chancery_ledger::{
    Batch, BatchDigest, Hash, Height, Millis, Slot, ValidatorIndex, Verified, View,
};
use common::{
    CHAIN, EPOCH_MS, ballot, batch_at, config, consensus_key, end_probation, execute, genesis,
    verified,
};

/// One replica in a cluster whose other members are the test.
struct Lone {
    count: u16,
    replica: Replica,
    now: Now,
}

impl Lone {
    fn start(count: u16, own: u16, window: u32) -> Self {
        Self::configured(count, config(count, own, window))
    }

    fn configured(count: u16, config: Config) -> Self {
        let now = Now {
            since_start: Millis(0),
            clock: Millis(EPOCH_MS),
        };
        let own = config.own.0;
        let recovered = Recovered {
            records: Vec::new(),
            executed: genesis(),
            stable: None,
            incarnation: 1,
            vote_log_missing: false,
        };
        let (mut replica, actions) =
            Replica::new(config, consensus_key(own), recovered, now).expect("nothing to restore");
        assert!(matches!(actions.as_slice(), [Action::Broadcast(m)] if m.body.kind() == "status"));
        let held_back = end_probation(&mut replica, (count, own), 1, now);
        assert_eq!(held_back, []);
        // A while later, whoever was answered may be answered again.
        Self {
            count,
            replica,
            now: Now {
                since_start: Millis(1_000),
                ..now
            },
        }
    }

    fn say(&mut self, from: u16, body: Body) -> Vec<Action> {
        let message = verified(self.count, from, body);
        self.replica.step(self.now, Event::Message(message))
    }

    fn batch(&mut self, batch: &Arc<Verified<Batch>>) -> Vec<Action> {
        self.batch_from(0, batch)
    }

    fn batch_from(&mut self, from: u16, batch: &Arc<Verified<Batch>>) -> Vec<Action> {
        let event = Event::Batch {
            from: ValidatorIndex(from),
            batch: Arc::clone(batch),
        };
        self.replica.step(self.now, event)
    }

    /// Lets time pass; a STATUS that is due is left out.
    fn wait(&mut self, ms: u64) -> Vec<Action> {
        self.now.since_start.0 += ms;
        self.now.clock.0 += ms;
        let mut actions = self.replica.step(self.now, Event::Tick(Demand::Nothing));
        actions
            .retain(|action| !matches!(action, Action::Broadcast(m) if m.body.kind() == "status"));
        actions
    }

    fn fresh(&self, number: u64) -> Arc<Verified<Batch>> {
        batch_at(Millis(self.now.clock.0 + number))
    }

    fn refused(&self, why: Refusal) -> u64 {
        let refused = self.replica.overview().refused;
        refused.get(&why).copied().unwrap_or(0)
    }

    /// Everything for slot `slot`, from the primary 0 and backups 2 and 3 to replica 1; executes.
    fn order(&mut self, slot: u64, parent: &CheckpointStatement) -> CheckpointStatement {
        let batch = self.fresh(slot);
        let ballot = ballot(slot, batch.digest());
        self.batch(&batch);
        self.say(0, Body::PrePrepare(ballot));
        self.say(2, Body::Prepare(ballot));
        self.say(0, Body::Commit(ballot));
        let actions = self.say(2, Body::Commit(ballot));
        assert!(sends_execute(&actions, slot), "{actions:?}");
        let statement = execute(parent, &batch);
        self.replica
            .step(self.now, Event::Executed(statement.clone()));
        statement
    }
}

fn sends_execute(actions: &[Action], wanted: u64) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::Execute { slot, .. } if slot.0 == wanted))
}

fn votes(actions: &[Action]) -> Vec<(VoteKind, Ballot)> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Broadcast(message) => message.body.vote(),
            _ => None,
        })
        .collect()
}

fn kinds(actions: &[Action]) -> Vec<&'static str> {
    actions
        .iter()
        .map(|action| match action {
            Action::Persist(_) => "persist",
            Action::Broadcast(message) => message.body.kind(),
            Action::Send { message, .. } => message.body.kind(),
            Action::BroadcastBatch(_) | Action::SendBatch { .. } => "batch",
            Action::Execute { .. } => "execute",
            Action::Final(_) => "final",
            Action::Truncate { .. } => "truncate",
            Action::CatchUp { .. } => "catch-up",
            Action::Evidence(_) => "evidence",
            Action::Halt(_) => "halt",
        })
        .collect()
}

fn statement(height: u64, root: u8) -> CheckpointStatement {
    CheckpointStatement::new(CHAIN, Height(height), Hash([root; 32]), Millis(EPOCH_MS))
}

fn certificate(statement: &CheckpointStatement, signers: &[u16]) -> CheckpointCertificate {
    let cosignatures = signers
        .iter()
        .map(|signer| Cosignature {
            validator: ValidatorIndex(*signer),
            signature: consensus_key(*signer).sign(&statement.cosigned_bytes()),
        })
        .collect();
    CheckpointCertificate {
        statement: statement.clone(),
        cosignatures,
    }
}

fn status(stable: u64, executed: u64) -> Status {
    Status {
        view: View(0),
        stable: Height(stable),
        executed: Height(executed),
        changing: false,
        incarnation: 9,
        heard: vec![Heard::default(); 4],
        slots: Vec::new(),
    }
}

// R2

#[test]
fn a_primary_proposes_above_what_it_proposed_and_persists_first() {
    let mut lone = Lone::start(4, 0, 4);
    assert_eq!(lone.replica.proposal_wish(), Wish::Now);
    for slot in 1..=4 {
        let batch = lone.fresh(slot);
        let actions = lone
            .replica
            .step(lone.now, Event::Propose(Arc::clone(&batch)));
        assert_eq!(
            kinds(&actions),
            ["batch", "persist", "persist", "pre-prepare"]
        );
        assert_eq!(
            votes(&actions),
            [(VoteKind::PrePrepare, ballot(slot, batch.digest()))]
        );
        let expected = if slot == 4 { Wish::None } else { Wish::IfFull };
        assert_eq!(lone.replica.proposal_wish(), expected);
    }
    let refused = lone.replica.step(lone.now, Event::Propose(lone.fresh(9)));
    assert_eq!(refused, []);
    assert_eq!(lone.refused(Refusal::NotWished), 1);
}

#[test]
fn a_backup_proposes_nothing() {
    let mut lone = Lone::start(4, 1, 4);
    assert_eq!(lone.replica.proposal_wish(), Wish::None);
    let actions = lone.replica.step(lone.now, Event::Propose(lone.fresh(1)));
    assert_eq!(actions, []);
}

#[test]
fn a_slot_that_was_ordered_makes_the_primary_wish_at_once() {
    let mut lone = Lone::start(4, 0, 8);
    let mut ballots = Vec::new();
    for slot in 1..=2 {
        let batch = lone.fresh(slot);
        ballots.push(ballot(slot, batch.digest()));
        lone.replica.step(lone.now, Event::Propose(batch));
    }
    assert_eq!(lone.replica.proposal_wish(), Wish::IfFull);
    for from in [1, 2] {
        lone.say(from, Body::Prepare(ballots[0]));
        lone.say(from, Body::Commit(ballots[0]));
    }
    assert_eq!(lone.replica.proposal_wish(), Wish::Now);
}

// R3, R4

#[test]
fn a_backup_prepares_only_with_batch_and_proposal_in_either_order() {
    for batch_first in [true, false] {
        let mut lone = Lone::start(4, 1, 4);
        let batch = lone.fresh(0);
        let ballot = ballot(1, batch.digest());
        let actions = if batch_first {
            assert_eq!(lone.batch(&batch), []);
            lone.say(0, Body::PrePrepare(ballot))
        } else {
            assert_eq!(lone.say(0, Body::PrePrepare(ballot)), []);
            lone.batch(&batch)
        };
        assert_eq!(kinds(&actions), ["persist", "persist", "prepare"]);
        assert_eq!(votes(&actions), [(VoteKind::Prepare, ballot)]);
    }
}

#[test]
fn a_second_digest_for_a_slot_is_never_accepted_and_ends_the_view() {
    let mut lone = Lone::start(4, 2, 4);
    let (one, other) = (lone.fresh(1), lone.fresh(2));
    lone.batch(&one);
    lone.batch(&other);
    lone.say(0, Body::PrePrepare(ballot(1, one.digest())));
    assert_eq!(lone.say(0, Body::PrePrepare(ballot(1, one.digest()))), []);
    assert_eq!(lone.refused(Refusal::Duplicate), 1);
    let actions = lone.say(0, Body::PrePrepare(ballot(1, other.digest())));
    assert_eq!(lone.refused(Refusal::Conflicting), 1);
    // Both stories go to everybody, and the proof is kept.
    assert_eq!(
        kinds(&actions),
        [
            "pre-prepare",
            "pre-prepare",
            "evidence",
            "persist",
            "view-change"
        ]
    );
    let Action::Evidence(evidence) = &actions[2] else {
        panic!("{actions:?}");
    };
    let guilt = evidence.verify(&common::context(4)).expect("it convinces");
    assert_eq!(guilt.validator, ValidatorIndex(0));
    assert_eq!(lone.replica.view(), View(1));
    assert_eq!(lone.replica.overview().left_because, Some(Cause::Evidence));
}

#[test]
fn slots_above_the_window_are_kept_and_accepted_once_it_moves() {
    let mut lone = Lone::start(4, 1, 2);
    let mut parent = genesis();
    let ahead = lone.fresh(100);
    lone.batch(&ahead);
    assert_eq!(lone.say(0, Body::PrePrepare(ballot(3, ahead.digest()))), []);
    let overview = lone.replica.overview();
    assert_eq!(overview.open[0].waits_for, Phase::Admission);
    assert_eq!(lone.say(0, Body::PrePrepare(ballot(5, ahead.digest()))), []);
    assert_eq!(lone.refused(Refusal::AboveWindow), 1);
    assert_eq!(lone.say(0, Body::PrePrepare(ballot(0, ahead.digest()))), []);
    assert_eq!(lone.refused(Refusal::BelowWindow), 1);
    parent = lone.order(1, &parent);
    lone.say(0, Body::Checkpoint(parent.clone()));
    let actions = lone.say(2, Body::Checkpoint(parent));
    assert_eq!(
        votes(&actions),
        [(VoteKind::Prepare, ballot(3, ahead.digest()))]
    );
}

#[test]
fn votes_of_another_view_are_kept_and_do_not_count_in_this_one() {
    let mut lone = Lone::start(4, 1, 4);
    let batch = lone.fresh(0);
    lone.batch(&batch);
    let this = ballot(1, batch.digest());
    let later = Ballot {
        view: View(4),
        ..this
    };
    lone.say(0, Body::PrePrepare(later));
    lone.say(2, Body::Prepare(later));
    // Of each validator the newest view counts, so this one comes too late.
    lone.say(2, Body::Prepare(this));
    assert_eq!(lone.refused(Refusal::Superseded), 1);
    let actions = lone.say(0, Body::PrePrepare(this));
    assert_eq!(votes(&actions), [(VoteKind::Prepare, this)], "not prepared");
    let actions = lone.say(3, Body::Prepare(this));
    assert_eq!(votes(&actions), [(VoteKind::Commit, this)]);
}

// R5

/// When the batch was proposed, relative to the clock, and whether it is accepted at once.
fn check_time(offset_ms: i64, accepted: bool) {
    let mut lone = Lone::start(4, 1, 4);
    let time = EPOCH_MS.checked_add_signed(offset_ms).expect("small");
    let batch = batch_at(Millis(time));
    lone.batch(&batch);
    let actions = lone.say(0, Body::PrePrepare(ballot(1, batch.digest())));
    assert_eq!(!votes(&actions).is_empty(), accepted, "{offset_ms} ms");
}

#[test]
fn a_fresh_proposal_is_judged_by_its_distance_from_the_clock() {
    check_time(0, true);
    check_time(10_000, true);
    check_time(10_001, false);
    check_time(-10_000, true);
    check_time(-10_001, false);
}

#[test]
fn an_early_proposal_is_kept_until_the_clock_gets_there() {
    let mut lone = Lone::start(4, 1, 4);
    let batch = batch_at(Millis(EPOCH_MS + 15_000));
    lone.batch(&batch);
    lone.say(0, Body::PrePrepare(ballot(1, batch.digest())));
    assert_eq!(lone.wait(4_999), []);
    assert_eq!(
        votes(&lone.wait(1)),
        [(VoteKind::Prepare, ballot(1, batch.digest()))]
    );
}

#[test]
fn a_batch_may_take_its_time_after_its_proposal() {
    let mut lone = Lone::start(4, 1, 4);
    let batch = lone.fresh(0);
    lone.say(0, Body::PrePrepare(ballot(1, batch.digest())));
    lone.wait(60_000);
    assert_eq!(votes(&lone.batch(&batch)).len(), 1);
}

#[test]
fn a_late_proposal_is_never_accepted_by_itself() {
    let mut lone = Lone::start(7, 1, 4);
    let batch = batch_at(Millis(EPOCH_MS - 20_000));
    let ballot = ballot(1, batch.digest());
    lone.batch(&batch);
    let mut sent = votes(&lone.say(0, Body::PrePrepare(ballot)));
    for from in [2, 3, 4, 5, 6] {
        sent.extend(votes(&lone.say(from, Body::Prepare(ballot))));
        sent.extend(votes(&lone.say(from, Body::Commit(ballot))));
    }
    assert_eq!(sent, [], "it is executed, but not voted for");
}

// R1, R6, R7, R8

/// Which of a slot's messages to replica 1 of 4 come, in the order given by `permutation`.
#[test]
fn one_slot_is_executed_whatever_the_order_of_its_messages() {
    let messages = 6;
    let mut permutation: Vec<usize> = (0..messages).collect();
    let mut checked = 0;
    loop {
        let mut lone = Lone::start(4, 1, 4);
        let batch = lone.fresh(0);
        let ballot = ballot(1, batch.digest());
        let mut executed = 0;
        let mut sent = Vec::new();
        for message in &permutation {
            let actions = match message {
                0 => lone.batch(&batch),
                1 => lone.say(0, Body::PrePrepare(ballot)),
                2 => lone.say(2, Body::Prepare(ballot)),
                3 => lone.say(3, Body::Prepare(ballot)),
                4 => lone.say(0, Body::Commit(ballot)),
                _ => lone.say(2, Body::Commit(ballot)),
            };
            executed += usize::from(sends_execute(&actions, 1));
            sent.extend(votes(&actions).into_iter().map(|(kind, _)| kind));
        }
        assert_eq!(executed, 1, "{permutation:?}");
        assert_eq!(sent, [VoteKind::Prepare, VoteKind::Commit]);
        checked += 1;
        if !next_permutation(&mut permutation) {
            break;
        }
    }
    assert_eq!(checked, 720);
}

fn next_permutation(items: &mut [usize]) -> bool {
    let Some(pivot) = items.windows(2).rposition(|pair| pair[0] < pair[1]) else {
        return false;
    };
    let next = items
        .iter()
        .rposition(|item| *item > items[pivot])
        .expect("the pivot's successor is one");
    items.swap(pivot, next);
    items[pivot + 1..].reverse();
    true
}

#[test]
fn one_vote_less_than_a_quorum_never_prepares_nor_commits() {
    for count in [2, 3, 4, 5, 6, 7, 10, 13] {
        let quorum = u16::try_from(common::validators(count).quorum()).expect("small");
        let mut lone = Lone::start(count, 1, 4);
        let batch = lone.fresh(0);
        let ballot = ballot(1, batch.digest());
        lone.batch(&batch);
        let mut sent = lone.say(0, Body::PrePrepare(ballot));
        // The primary and this one are two; those that come make it one less than a quorum.
        let mut others = 2..count;
        for from in others.by_ref().take(usize::from(quorum.saturating_sub(3))) {
            for _ in 0..3 {
                sent.extend(lone.say(from, Body::Prepare(ballot)));
            }
        }
        let commits = |sent: &[Action]| {
            votes(sent)
                .iter()
                .filter(|(kind, _)| *kind == VoteKind::Commit)
                .count()
        };
        if quorum > 2 {
            assert_eq!(commits(&sent), 0, "n={count}");
            let last = others.next().expect("a quorum exists");
            sent.extend(lone.say(last, Body::Prepare(ballot)));
        }
        assert_eq!(commits(&sent), 1, "n={count}");
        // Own COMMIT is one.
        let mut others = (0..count).filter(|from| *from != 1);
        for from in others.by_ref().take(usize::from(quorum - 2)) {
            for _ in 0..3 {
                assert!(!sends_execute(&lone.say(from, Body::Commit(ballot)), 1));
            }
        }
        let last = others.next().expect("a quorum exists");
        assert!(sends_execute(&lone.say(last, Body::Commit(ballot)), 1));
    }
}

#[test]
fn who_votes_twice_counts_for_the_first() {
    let mut lone = Lone::start(4, 1, 4);
    let (one, other) = (lone.fresh(1), lone.fresh(2));
    lone.batch(&one);
    lone.say(3, Body::Prepare(ballot(1, other.digest())));
    lone.say(3, Body::Prepare(ballot(1, one.digest())));
    assert_eq!(lone.refused(Refusal::Conflicting), 1);
    let actions = lone.say(0, Body::PrePrepare(ballot(1, one.digest())));
    assert_eq!(votes(&actions).len(), 1, "a PREPARE, no COMMIT");
}

#[test]
fn commits_alone_order_a_slot_and_only_their_digest_is_voted_for() {
    let mut lone = Lone::start(4, 1, 4);
    let (one, other) = (lone.fresh(1), lone.fresh(2));
    lone.batch(&one);
    for from in [0, 2] {
        lone.say(from, Body::Commit(ballot(1, one.digest())));
    }
    let actions = lone.say(3, Body::Commit(ballot(1, one.digest())));
    assert!(sends_execute(&actions, 1));
    lone.batch(&other);
    let actions = lone.say(0, Body::PrePrepare(ballot(1, other.digest())));
    assert_eq!(actions, []);
}

#[test]
fn slots_are_executed_in_order() {
    let mut lone = Lone::start(4, 1, 4);
    let batches = [lone.fresh(1), lone.fresh(2)];
    for slot in [2, 1] {
        let batch = &batches[slot - 1];
        let ballot = ballot(u64::try_from(slot).expect("small"), batch.digest());
        lone.batch(batch);
        let actions: Vec<Action> = [0, 2, 3]
            .into_iter()
            .flat_map(|from| lone.say(from, Body::Commit(ballot)))
            .collect();
        let executed: Vec<u64> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Execute { slot, .. } => Some(slot.0),
                _ => None,
            })
            .collect();
        let expected: &[u64] = if slot == 2 { &[] } else { &[1, 2] };
        assert_eq!(executed, expected);
    }
}

// R9

#[test]
fn batches_that_nothing_names_push_each_other_out() {
    let mut lone = Lone::start(4, 1, 4);
    let wanted = lone.fresh(0);
    lone.say(0, Body::PrePrepare(ballot(1, wanted.digest())));
    lone.batch(&wanted);
    let first = lone.fresh(1);
    lone.batch(&first);
    for number in 2..200 {
        let batch = lone.fresh(number);
        lone.batch(&batch);
    }
    assert_eq!(lone.replica.overview().batches, 33);
    lone.batch(&wanted);
    assert_eq!(lone.refused(Refusal::Duplicate), 1, "it is still here");
    lone.batch(&first);
    assert_eq!(lone.refused(Refusal::Duplicate), 1, "it was not");
}

#[test]
fn whoever_sends_many_of_them_pushes_out_its_own() {
    let mut lone = Lone::start(4, 1, 4);
    let first = lone.fresh(1);
    lone.batch_from(2, &first);
    for number in 2..200 {
        let batch = lone.fresh(number);
        lone.batch_from(3, &batch);
    }
    assert_eq!(lone.replica.overview().batches, 32);
    lone.batch_from(2, &first);
    assert_eq!(lone.refused(Refusal::Duplicate), 1, "it is still here");
}

#[test]
fn what_is_kept_is_bounded_by_the_window() {
    let mut lone = Lone::start(4, 1, 4);
    let mut parent = genesis();
    for slot in 1..=40 {
        parent = lone.order(slot, &parent);
        for from in [0, 2] {
            lone.say(from, Body::Checkpoint(parent.clone()));
        }
        assert_eq!(lone.replica.overview().final_height, Height(slot));
        assert!(lone.replica.overview().batches <= 5);
    }
}

// R12 to R15

#[test]
fn a_quorum_of_equal_checkpoints_is_final() {
    let mut lone = Lone::start(4, 1, 4);
    let executed = lone.order(1, &genesis());
    assert_eq!(
        kinds(&lone.say(0, Body::Checkpoint(executed.clone()))),
        Vec::<&str>::new()
    );
    assert_eq!(
        lone.say(3, Body::Checkpoint(statement(1, 9))),
        [],
        "another statement does not count"
    );
    let actions = lone.say(2, Body::Checkpoint(executed.clone()));
    let expected = certificate(&executed, &[0, 1, 2]);
    assert_eq!(
        actions,
        [
            Action::Persist(Record::Final(expected.clone())),
            Action::Final(expected),
            Action::Truncate { through: Slot(1) }
        ]
    );
}

#[test]
fn who_executed_something_else_than_a_quorum_halts() {
    let mut lone = Lone::start(4, 1, 4);
    let own = lone.order(1, &genesis());
    let other = statement(1, 9);
    lone.say(0, Body::Checkpoint(other.clone()));
    lone.say(2, Body::Checkpoint(other.clone()));
    let actions = lone.say(3, Body::Checkpoint(other.clone()));
    assert_eq!(kinds(&actions), ["halt"]);
    let Some(Halted::Diverged(halted)) = lone.replica.overview().halted else {
        panic!("it did not halt");
    };
    assert_eq!(halted.own, own);
    assert_eq!(halted.certificate, certificate(&other, &[0, 2, 3]));
    assert_eq!(lone.wait(10_000), [], "and is silent");
}

#[test]
fn who_executes_something_else_than_is_certified_already_halts() {
    let mut lone = Lone::start(4, 1, 4);
    let batch = lone.fresh(1);
    lone.batch(&batch);
    for from in [0, 2, 3] {
        lone.say(from, Body::Commit(ballot(1, batch.digest())));
    }
    let actions = lone.say(
        0,
        Body::Certificate(certificate(&statement(1, 9), &[0, 2, 3])),
    );
    assert_eq!(actions, [], "not executed: neither final nor diverged");
    assert_eq!(lone.replica.overview().stable, Height(1));
    let own = execute(&genesis(), &batch);
    let actions = lone.replica.step(lone.now, Event::Executed(own));
    assert_eq!(kinds(&actions), ["halt"]);
}

#[test]
fn without_a_quorum_on_any_root_the_window_closes() {
    let mut lone = Lone::start(4, 0, 4);
    let mut parent = genesis();
    for _ in 1..=4 {
        let batch = lone.fresh(0);
        let slot = parent.height.0 + 1;
        lone.replica
            .step(lone.now, Event::Propose(Arc::clone(&batch)));
        for from in [1, 2] {
            lone.say(from, Body::Prepare(ballot(slot, batch.digest())));
            lone.say(from, Body::Commit(ballot(slot, batch.digest())));
        }
        parent = execute(&parent, &batch);
        lone.replica.step(lone.now, Event::Executed(parent.clone()));
        lone.say(1, Body::Checkpoint(statement(slot, 8)));
        lone.say(2, Body::Checkpoint(statement(slot, 9)));
        lone.say(3, Body::Checkpoint(parent.clone()));
    }
    assert_eq!(lone.replica.overview().final_height, Height(0));
    assert_eq!(lone.replica.proposal_wish(), Wish::None);
}

// R16

#[test]
fn one_who_is_far_behind_asks_at_once_and_again_and_goes_on() {
    let mut lone = Lone::start(4, 1, 4);
    let far = statement(10, 9);
    let actions = lone.say(0, Body::Certificate(certificate(&far, &[0, 2, 3])));
    let asked = |actions: &[Action]| match actions {
        [Action::CatchUp { from, certificate }] => {
            assert_eq!(certificate.statement.height, Height(10));
            Some(*from)
        }
        [] => None,
        other => panic!("{other:?}"),
    };
    let first = asked(&actions).expect("at once");
    assert_eq!(asked(&lone.wait(999)), None);
    let second = asked(&lone.wait(1)).expect("again");
    assert_ne!(first, second, "of another one");
    let actions = lone.replica.step(
        lone.now,
        Event::CaughtUp {
            certificate: certificate(&far, &[0, 2, 3]),
            executed: far.clone(),
        },
    );
    assert_eq!(kinds(&actions), ["persist", "final", "truncate"]);
    assert_eq!(lone.wait(60_000), []);
    lone.order(11, &far);
}

#[test]
fn one_who_is_a_little_behind_asks_after_a_while() {
    let mut lone = Lone::start(4, 1, 4);
    let near = certificate(&statement(2, 9), &[0, 2, 3]);
    assert_eq!(lone.say(0, Body::Certificate(near)), []);
    assert_eq!(lone.wait(999), []);
    assert_eq!(kinds(&lone.wait(1)), ["catch-up"]);
}

#[test]
fn checkpoints_of_others_certify_what_is_not_executed_here() {
    let mut lone = Lone::start(4, 1, 4);
    for from in [0, 2, 3] {
        lone.say(from, Body::Checkpoint(statement(7, 9)));
    }
    let overview = lone.replica.overview();
    assert_eq!(overview.stable, Height(7));
    assert_eq!(overview.final_height, Height(0));
    assert!(overview.catching_up);
    for from in [0, 2, 3] {
        assert_eq!(lone.say(from, Body::Checkpoint(statement(16, 9))), []);
    }
    assert_eq!(lone.refused(Refusal::AboveWindow), 3);
}

#[test]
fn one_who_is_behind_votes_on_and_secures_its_window_first() {
    let mut lone = Lone::start(4, 1, 4);
    let far = certificate(&statement(10, 9), &[0, 2, 3]);
    lone.say(0, Body::Certificate(far));
    let batch = lone.fresh(0);
    lone.batch(&batch);
    let actions = lone.say(0, Body::PrePrepare(ballot(11, batch.digest())));
    assert_eq!(
        kinds(&actions),
        ["persist", "truncate", "persist", "persist", "prepare"]
    );
    assert!(matches!(actions[1], Action::Truncate { through: Slot(10) }));
}

// R17, R18

#[test]
fn a_status_says_what_is_here_and_an_answer_gives_what_is_not() {
    let mut lone = Lone::start(4, 1, 4);
    let batch = lone.fresh(0);
    let one = ballot(1, batch.digest());
    lone.batch(&batch);
    lone.say(0, Body::PrePrepare(one));
    lone.say(2, Body::Prepare(one));
    let now = Now {
        since_start: Millis(1_500),
        ..lone.now
    };
    lone.now = now;
    let actions = lone.replica.step(now, Event::Tick(Demand::Nothing));
    let [Action::Broadcast(SignedMessage { body, .. })] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    let Body::Status(said) = body else {
        panic!("{body:?}");
    };
    let here = said.slots[0];
    assert_eq!(
        (here.slot, here.pre_prepare, here.batch),
        (Slot(1), true, true)
    );
    assert_eq!((here.prepares, here.commits), (0b110, 0b010));
    // One who has all of that gets nothing.
    let same = Status {
        incarnation: 9,
        ..said.clone()
    };
    assert_eq!(lone.say(2, Body::Status(same)), []);
    // One who has nothing gets own votes in every case, and the rest in two rounds of three.
    let mut got = Vec::new();
    for _ in 0..3 {
        lone.now.since_start.0 += 500;
        got.push(kinds(&lone.say(3, Body::Status(status(0, 0)))));
    }
    let own = vec!["prepare", "commit"];
    let all = vec!["pre-prepare", "prepare", "prepare", "commit", "batch"];
    assert_eq!(got.iter().filter(|kinds| **kinds == own).count(), 1);
    assert_eq!(got.iter().filter(|kinds| **kinds == all).count(), 2);
    // One who asks too often is not answered.
    assert_eq!(lone.say(3, Body::Status(status(0, 0))), []);
    assert_eq!(lone.refused(Refusal::TooOften), 1);
}

#[test]
fn one_who_is_behind_is_given_the_certificate_and_the_slots_it_can_still_use() {
    let mut lone = Lone::start(4, 1, 2);
    let mut parent = genesis();
    for slot in 1..=4 {
        parent = lone.order(slot, &parent);
        for from in [0, 2] {
            lone.say(from, Body::Checkpoint(parent.clone()));
        }
    }
    // What three answers hold, of which each has another part of others' votes.
    let mut slots_of = |executed| {
        let mut certificates = 0;
        let mut commits = BTreeSet::new();
        let mut batches = 0;
        for _ in 0..3 {
            lone.now.since_start.0 += 500;
            for action in lone.say(3, Body::Status(status(executed, executed))) {
                match action {
                    Action::SendBatch { .. } => batches += 1,
                    Action::Send { message, .. } => match message.body {
                        Body::Certificate(_) => certificates += 1,
                        Body::Commit(ballot) => {
                            commits.insert((ballot.slot.0, message.from.0));
                        }
                        other => panic!("{other:?}"),
                    },
                    other => panic!("{other:?}"),
                }
            }
        }
        (certificates, commits, batches)
    };
    // Slots 3 and 4 are within a window below 4; 1 and 2 are gone.
    let both = [3, 4]
        .into_iter()
        .flat_map(|slot| [(slot, 0), (slot, 1), (slot, 2)]);
    assert_eq!(slots_of(2), (3, both.collect(), 4));
    assert_eq!(slots_of(4), (0, BTreeSet::new(), 0));
}

/// A faulty backup may have sent a COMMIT for something else to a third validator, which then needs
/// the COMMIT of one that has no use for it any more.
#[test]
fn one_who_executed_a_slot_is_still_given_what_it_needs_to_vote() {
    let mut lone = Lone::start(4, 1, 4);
    let executed = lone.order(1, &genesis());
    assert_eq!(executed.height, Height(1));
    let here = |commits| SlotStatus {
        slot: Slot(1),
        pre_prepare: true,
        batch: true,
        prepares: 0b1000,
        commits,
        checkpoints: 0b1111,
    };
    let mut given = |commits| {
        let mut votes = BTreeSet::new();
        for _ in 0..3 {
            lone.now.since_start.0 += 500;
            let said = Status {
                slots: vec![here(commits)],
                ..status(0, 1)
            };
            for action in lone.say(3, Body::Status(said)) {
                let Action::Send { message, .. } = action else {
                    panic!("{action:?}");
                };
                votes.insert((message.body.kind(), message.from.0));
            }
        }
        votes
    };
    assert_eq!(
        given(0b0111),
        BTreeSet::from([("prepare", 1), ("prepare", 2)])
    );
    assert_eq!(given(0b1111), BTreeSet::new(), "it voted");
}

#[test]
fn an_answer_is_bounded() {
    let mut lone = Lone::start(31, 1, 128);
    for slot in 1..=128 {
        for from in 2..12 {
            let digest = BatchDigest([1; 32]);
            lone.say(from, Body::Prepare(ballot(slot, digest)));
        }
    }
    lone.now.since_start.0 += 500;
    let most = (0..30)
        .map(|_| {
            lone.now.since_start.0 += 500;
            let heard = vec![Heard::default(); 31];
            let status = Status {
                heard,
                ..status(0, 0)
            };
            lone.say(9, Body::Status(status)).len()
        })
        .max();
    assert!(
        most.is_some_and(|most| (1..=512).contains(&most)),
        "{most:?}"
    );
}

#[test]
fn own_messages_that_come_back_are_ignored() {
    let mut lone = Lone::start(4, 1, 4);
    let batch = lone.fresh(1);
    lone.batch(&batch);
    let actions = lone.say(0, Body::PrePrepare(ballot(1, batch.digest())));
    let sent = actions.into_iter().find_map(|action| match action {
        Action::Broadcast(message) => Some(message),
        _ => None,
    });
    let own = sent.expect("its PREPARE").verify(&common::context(4));
    let own = own.expect("its own key");
    assert_eq!(lone.replica.step(lone.now, Event::Message(own)), []);
    assert_eq!(lone.refused(Refusal::OwnMessage), 1);
}
