//! One replica and its view, one rule at a time.

mod common;

use std::sync::Arc;

use chancery_consensus::{
    Action, Ballot, Body, Cause, Config, Demand, Event, Heard, Mode, Neglect, Now, Place, Record,
    Refusal, Replica, SignedMessage, Status, VerifiedMessage, ViewChange, VoteKind, Wish,
};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement, Cosignature};
use chancery_ledger::{Batch, Hash, Height, Millis, Slot, ValidatorIndex, Verified, View};
use common::{
    CHAIN, Cluster, Disk, EPOCH_MS, World, batch_at, config, confirming, consensus_key, context,
    end_probation, execute, genesis, new_view, prepared, signed, verified, view_change,
};

/// The views that one changes to who changes to none.
const STAYS: [u64; 0] = [];

/// One replica with its disk, in a cluster whose other members are the test.
struct Lone {
    count: u16,
    config: Config,
    disk: Disk,
    replica: Replica,
    now: Now,
    first: Vec<Action>,
}

impl Lone {
    fn start(count: u16, own: u16, window: u32) -> Self {
        Self::on(Disk::new(), count, config(count, own, window))
    }

    fn on(disk: Disk, count: u16, config: Config) -> Self {
        let mut lone = Self::unconfirmed(disk, count, config);
        let (place, now) = ((lone.count, lone.config.own.0), lone.now);
        let held_back = end_probation(&mut lone.replica, place, 1, now);
        let held_back = lone.keep(held_back);
        lone.first.extend(held_back);
        lone
    }

    /// Nobody has heard of it yet.
    fn unconfirmed(disk: Disk, count: u16, config: Config) -> Self {
        let now = Now {
            since_start: Millis(0),
            clock: Millis(EPOCH_MS),
        };
        let key = consensus_key(config.own.0);
        let (replica, first) = Replica::new(config.clone(), key, disk.recovered(), now)
            .expect("a log that a replica wrote is accepted");
        let mut lone = Self {
            count,
            config,
            disk,
            replica,
            now,
            first: Vec::new(),
        };
        lone.first = lone.keep(first);
        lone
    }

    /// Dies, and starts again with what is on its disk.
    fn restart(self) -> Self {
        Self::on(self.disk, self.count, self.config)
    }

    fn keep(&mut self, actions: Vec<Action>) -> Vec<Action> {
        for action in &actions {
            if let Action::Persist(record) = action {
                self.disk.write(record.clone());
            }
        }
        actions
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let actions = self.replica.step(self.now, event);
        self.keep(actions)
    }

    fn take(&mut self, message: SignedMessage) -> Vec<Action> {
        let message = message.verify(&context(self.count)).expect("it is valid");
        self.step(Event::Message(message))
    }

    fn say(&mut self, from: u16, body: Body) -> Vec<Action> {
        let message: VerifiedMessage = verified(self.count, from, body);
        self.step(Event::Message(message))
    }

    fn batch(&mut self, batch: &Arc<Verified<Batch>>) -> Vec<Action> {
        self.step(Event::Batch {
            from: ValidatorIndex(0),
            batch: Arc::clone(batch),
        })
    }

    /// Ticks every 50 ms; what was done meanwhile, but for STATUS.
    fn wait(&mut self, ms: u64, demand: Demand) -> Vec<Action> {
        let mut all = Vec::new();
        for _ in 0..ms / 50 {
            self.now.since_start.0 += 50;
            self.now.clock.0 += 50;
            all.extend(self.step(Event::Tick(demand)));
        }
        all.retain(|action| !matches!(action, Action::Broadcast(m) if m.body.kind() == "status"));
        all
    }

    /// Hears enough others to expect something of the primary.
    fn meets_others(&mut self) {
        let own = self.config.own.0;
        for from in (0..self.count).filter(|from| *from != own) {
            self.say(from, Body::Status(status(self.count, 0, false)));
        }
    }

    fn mode(&self) -> (u64, Mode) {
        (self.replica.view().0, self.replica.overview().mode)
    }

    fn refused(&self, why: Refusal) -> u64 {
        let refused = self.replica.overview().refused;
        refused.get(&why).copied().unwrap_or(0)
    }
}

fn status(count: u16, view: u64, changing: bool) -> Status {
    Status {
        view: View(view),
        changing,
        stable: Height(0),
        executed: Height(0),
        incarnation: 9,
        heard: vec![Heard::default(); usize::from(count)],
        slots: Vec::new(),
    }
}

fn ballot(view: u64, slot: u64, batch: &Batch) -> Ballot {
    Ballot {
        view: View(view),
        slot: Slot(slot),
        digest: batch.digest(),
    }
}

/// The VIEW-CHANGEs among the actions, each persisted right before.
fn left_for(actions: &[Action]) -> Vec<u64> {
    let mut views = Vec::new();
    for (at, action) in actions.iter().enumerate() {
        if let Action::Broadcast(message) = action
            && let Body::ViewChange(view_change) = &message.body
        {
            assert_eq!(
                actions[at - 1],
                Action::Persist(Record::ViewChange(message.clone()))
            );
            views.push(view_change.view.0);
        }
    }
    views
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

fn certificate(height: u64) -> CheckpointCertificate {
    let statement =
        CheckpointStatement::new(CHAIN, Height(height), Hash([9; 32]), Millis(EPOCH_MS));
    CheckpointCertificate {
        cosignatures: (0..3)
            .map(|index| Cosignature {
                validator: ValidatorIndex(index),
                signature: consensus_key(index).sign(&statement.cosigned_bytes()),
            })
            .collect(),
        statement,
    }
}

fn empty(view: u64) -> ViewChange {
    view_change(view, Vec::new())
}

// R24

#[test]
fn f_move_nobody_and_one_more_moves_to_what_so_many_have_reached() {
    let mut lone = Lone::start(7, 3, 4);
    assert_eq!(
        left_for(&lone.say(0, Body::ViewChange(empty(u64::MAX - 1)))),
        STAYS
    );
    assert_eq!(
        left_for(&lone.say(1, Body::ViewChange(empty(1_000_000_000)))),
        STAYS
    );
    assert_eq!(lone.mode(), (0, Mode::Active));
    // Three have reached or passed 5.
    assert_eq!(left_for(&lone.say(2, Body::ViewChange(empty(5)))), [5]);
    assert_eq!(lone.mode(), (5, Mode::Changing));
    assert_eq!(lone.replica.overview().left_because, Some(Cause::Joined));
    // Saying it again, or saying less, changes nothing.
    assert_eq!(lone.say(2, Body::ViewChange(empty(5))), []);
    assert_eq!(lone.refused(Refusal::Duplicate), 1);
    assert_eq!(lone.say(1, Body::ViewChange(empty(7))), []);
    assert_eq!(lone.refused(Refusal::Superseded), 1);
    // Two more pass it: now three have passed 9.
    assert_eq!(left_for(&lone.say(4, Body::ViewChange(empty(9)))), [9]);
}

#[test]
fn the_last_view_has_no_next() {
    let last = u64::MAX - 1;
    let mut lone = Lone::start(4, 3, 4);
    lone.meets_others();
    for from in [0, 1] {
        lone.say(from, Body::ViewChange(empty(last)));
    }
    assert_eq!(lone.mode(), (last, Mode::Changing));
    lone.say(2, Body::ViewChange(empty(last)));
    assert_eq!(left_for(&lone.wait(120_000, Demand::Waiting)), STAYS);
}

// R27 to R29

#[test]
fn a_view_is_left_after_its_time_if_something_is_waited_for() {
    let cases = [
        (Demand::Nothing, false),
        (Demand::Waiting, true),
        (Demand::Neglected(Neglect::Censored), true),
        (Demand::Neglected(Neglect::Slow), true),
    ];
    for (demand, leaves) in cases {
        let mut lone = Lone::start(4, 1, 4);
        lone.meets_others();
        assert_eq!(left_for(&lone.wait(950, demand)), STAYS);
        let left = left_for(&lone.wait(150, demand));
        assert_eq!(!left.is_empty(), leaves, "{demand:?}");
    }
}

#[test]
fn nothing_is_expected_before_enough_others_were_heard() {
    let mut lone = Lone::unconfirmed(Disk::new(), 4, config(4, 1, 4));
    assert_eq!(left_for(&lone.wait(60_000, Demand::Waiting)), STAYS);
    lone.say(0, Body::Status(confirming(4, 1, 1)));
    assert_eq!(left_for(&lone.wait(60_000, Demand::Waiting)), STAYS);
    lone.say(2, Body::Status(confirming(4, 1, 1)));
    assert_eq!(left_for(&lone.wait(2_000, Demand::Waiting)), [1]);
}

#[test]
fn a_proposal_that_is_not_ordered_is_waited_for() {
    let mut lone = Lone::start(4, 2, 4);
    let batch = batch_at(Millis(EPOCH_MS));
    lone.say(0, Body::PrePrepare(ballot(0, 1, &batch)));
    assert_eq!(left_for(&lone.wait(1_100, Demand::Nothing)), [1]);
    assert_eq!(
        lone.replica.overview().left_because,
        Some(Cause::NoProgress)
    );
    // One vote of one validator is nothing to wait for.
    let mut lone = Lone::start(4, 2, 4);
    lone.say(3, Body::Prepare(ballot(0, 1, &batch)));
    assert_eq!(left_for(&lone.wait(60_000, Demand::Nothing)), STAYS);
}

#[test]
fn a_heartbeat_that_does_not_come_is_waited_for() {
    let mut config = config(4, 2, 4);
    config.limits.heartbeat_ms = 2_000;
    let mut lone = Lone::on(Disk::new(), 4, config);
    lone.meets_others();
    assert_eq!(left_for(&lone.wait(2_900, Demand::Nothing)), STAYS);
    assert_eq!(left_for(&lone.wait(200, Demand::Nothing)), [1]);
}

#[test]
fn a_pause_of_this_process_is_nobodys_fault() {
    let mut lone = Lone::start(4, 2, 4);
    lone.meets_others();
    lone.wait(500, Demand::Waiting);
    lone.now.since_start.0 += 3_600_000;
    assert_eq!(left_for(&lone.step(Event::Tick(Demand::Waiting))), STAYS);
    assert_eq!(left_for(&lone.wait(100, Demand::Waiting)), STAYS);
    assert_eq!(left_for(&lone.wait(400, Demand::Waiting)), [1]);
}

/// When validator 2 leaves view after view that a quorum wants and nobody begins.
#[test]
fn timers_double_up_to_their_cap_and_run_only_with_a_quorum() {
    let mut lone = Lone::start(4, 2, 4);
    lone.meets_others();
    assert_eq!(left_for(&lone.wait(1_100, Demand::Waiting)), [1]);
    // Alone it waits for ever.
    assert_eq!(left_for(&lone.wait(600_000, Demand::Waiting)), STAYS);
    // So it does with one other: f + 1 are no quorum. The message is the same whenever it is sent.
    lone.say(0, Body::ViewChange(empty(1)));
    assert_eq!(left_for(&lone.wait(600_000, Demand::Waiting)), STAYS);
    let mut lengths = Vec::new();
    let mut view = 1;
    while lengths.len() < 8 {
        for from in [0, 3] {
            lone.say(from, Body::ViewChange(empty(view)));
        }
        if lone.replica.view() == View(view) && lone.mode().1 == Mode::Active {
            // It is the primary of this view: it began it, and proposes nothing.
            assert_eq!(view % 4, 2);
        }
        let mut length = 0;
        while left_for(&lone.wait(50, Demand::Waiting)).is_empty() {
            length += 50;
        }
        lengths.push(length / 1_000);
        view += 1;
        assert_eq!(lone.replica.view(), View(view));
    }
    assert_eq!(lengths, [2, 4, 8, 16, 32, 32, 32, 32]);
}

#[test]
fn only_progress_shortens_the_timers() {
    let mut lone = Lone::start(4, 3, 4);
    lone.meets_others();
    assert_eq!(left_for(&lone.wait(1_100, Demand::Waiting)), [1]);
    let said: Vec<(u16, ViewChange)> = [0, 1, 2].map(|from| (from, empty(1))).to_vec();
    lone.take(new_view(4, 1, &said));
    assert_eq!(lone.mode(), (1, Mode::Active));
    assert_eq!(left_for(&lone.wait(1_900, Demand::Waiting)), STAYS);
    assert_eq!(left_for(&lone.wait(200, Demand::Waiting)), [2]);
    let said: Vec<(u16, ViewChange)> = [0, 1, 2].map(|from| (from, empty(2))).to_vec();
    lone.take(new_view(4, 2, &said));
    // Something is ordered: the next time is as short as the first.
    let batch = batch_at(lone.now.clock);
    lone.batch(&batch);
    for from in [0, 1, 2] {
        lone.say(from, Body::Commit(ballot(2, 1, &batch)));
    }
    lone.step(Event::Executed(execute(&genesis(), &batch)));
    assert_eq!(left_for(&lone.wait(1_100, Demand::Waiting)), [3]);
}

#[test]
fn a_primary_is_left_for_neglect_only_after_its_view_had_its_time() {
    let mut lone = Lone::start(4, 3, 4);
    let said: Vec<(u16, ViewChange)> = [0, 1, 2].map(|from| (from, empty(1))).to_vec();
    lone.take(new_view(4, 1, &said));
    let neglected = Demand::Neglected(Neglect::Slow);
    assert_eq!(left_for(&lone.wait(950, neglected)), STAYS);
    assert_eq!(left_for(&lone.wait(100, neglected)), [2]);
    let cause = lone.replica.overview().left_because;
    assert_eq!(cause, Some(Cause::Neglect(Neglect::Slow)));
}

// R20, R21, R11

#[test]
fn who_has_left_a_view_votes_in_it_no_more_and_says_what_it_knows() {
    let mut lone = Lone::start(4, 2, 4);
    let batches = [1, 2, 3].map(|offset| batch_at(Millis(EPOCH_MS + offset)));
    for (slot, batch) in (1..).zip(&batches) {
        lone.batch(batch);
        // Of the third there is no proposal yet.
        if slot < 3 {
            lone.say(0, Body::PrePrepare(ballot(0, slot, batch)));
        }
    }
    lone.say(1, Body::Prepare(ballot(0, 2, &batches[1])));
    let left = lone.wait(1_100, Demand::Nothing);
    let Some(Action::Broadcast(message)) = left.last() else {
        panic!("{left:?}");
    };
    let Body::ViewChange(said) = &message.body else {
        panic!("{message:?}");
    };
    // Slot 2 is prepared, slot 1 is only accepted.
    let ballots: Vec<Ballot> = said.prepared.iter().map(|p| p.ballot).collect();
    assert_eq!(ballots, [ballot(0, 2, &batches[1])]);
    // Everything that would have brought more votes in view 0.
    let mut sent = lone.say(0, Body::PrePrepare(ballot(0, 3, &batches[2])));
    sent.extend(lone.say(1, Body::Prepare(ballot(0, 1, &batches[0]))));
    sent.extend(lone.say(3, Body::Prepare(ballot(0, 1, &batches[0]))));
    assert_eq!(votes(&sent), []);
    // COMMITs of a quorum order the slot all the same.
    for from in [0, 1, 3] {
        sent.extend(lone.say(from, Body::Commit(ballot(0, 1, &batches[0]))));
    }
    assert!(
        sent.iter()
            .any(|action| matches!(action, Action::Execute { .. }))
    );
    assert_eq!(votes(&sent), []);
    // So it is after a restart, which says the same once more.
    let mut lone = lone.restart();
    assert_eq!(lone.mode(), (1, Mode::Changing));
    assert!(lone.first.contains(&Action::Broadcast(message.clone())));
    let sent = lone.say(0, Body::PrePrepare(ballot(0, 3, &batches[2])));
    assert_eq!(votes(&sent), []);
}

// R25

#[test]
fn the_new_primary_begins_with_a_quorum_and_goes_on_above_what_it_carries() {
    let mut lone = Lone::start(4, 1, 4);
    let batch = batch_at(Millis(EPOCH_MS));
    // Slot 3 is prepared, slots 1 and 2 are gaps.
    let known = view_change(1, vec![prepared(4, ballot(0, 3, &batch))]);
    assert_eq!(lone.say(0, Body::ViewChange(known.clone())), []);
    let actions = lone.say(2, Body::ViewChange(empty(1)));
    // It joins, and is the third.
    assert_eq!(left_for(&actions), [1]);
    let begun: Vec<&SignedMessage> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Broadcast(message) if message.body.kind() == "new-view" => Some(message),
            _ => None,
        })
        .collect();
    let [message] = begun.as_slice() else {
        panic!("{actions:?}");
    };
    let expected = new_view(4, 1, &[(0, known), (1, empty(1)), (2, empty(1))]);
    assert_eq!(**message, expected);
    assert_eq!(lone.mode(), (1, Mode::Active));
    assert_eq!(lone.disk.entered(), View(1));
    // One at a time: the carried ones are still to be ordered.
    assert_eq!(lone.replica.proposal_wish(), Wish::None);
    // A fourth VIEW-CHANGE makes no second NEW-VIEW.
    assert_eq!(lone.say(3, Body::ViewChange(empty(1))), []);
    // After a restart it is said again, byte for byte, and the next proposal is above all.
    let mut lone = lone.restart();
    assert!(lone.first.contains(&Action::Broadcast(expected)));
    assert_eq!(lone.mode(), (1, Mode::Active));
    let gap = Batch::empty();
    for from in [0, 2, 3] {
        lone.say(from, Body::Commit(ballot(1, 1, &gap)));
    }
    // It lacks the batch of slot 3, and goes on without it.
    let fresh = batch_at(lone.now.clock);
    let proposed = votes(&lone.step(Event::Propose(Arc::clone(&fresh))));
    assert_eq!(proposed, [(VoteKind::PrePrepare, ballot(1, 4, &fresh))]);
}

#[test]
fn without_a_quorum_for_exactly_its_view_a_primary_begins_nothing() {
    let mut lone = Lone::start(7, 1, 4);
    let mut sent = Vec::new();
    for (from, view) in [(0, 1), (2, 1), (3, 1), (4, 2)] {
        sent.extend(lone.say(from, Body::ViewChange(empty(view))));
    }
    assert_eq!(
        left_for(&sent),
        [1],
        "four want view 1, and one has passed it"
    );
    assert_eq!(lone.mode(), (1, Mode::Changing));
    lone.say(5, Body::ViewChange(empty(1)));
    assert_eq!(lone.mode(), (1, Mode::Active));
}

// R26

#[test]
fn a_backup_enters_and_votes_for_what_is_carried_however_old_it_is() {
    let mut lone = Lone::start(4, 2, 4);
    let old = batch_at(Millis(EPOCH_MS - 3_600_000));
    let known = view_change(1, vec![prepared(4, ballot(0, 2, &old))]);
    let message = new_view(4, 1, &[(0, known), (1, empty(1)), (3, empty(1))]);
    let entered = lone.take(message.clone());
    assert_eq!(entered[0], Action::Persist(Record::NewView(message)));
    // The gap's batch is known to everybody, the other is not here yet.
    let gap = Batch::empty();
    assert_eq!(votes(&entered), [(VoteKind::Prepare, ballot(1, 1, &gap))]);
    let sent = lone.batch(&old);
    assert_eq!(votes(&sent), [(VoteKind::Prepare, ballot(1, 2, &old))]);
    // View 0 is over.
    let batch = batch_at(Millis(EPOCH_MS));
    lone.batch(&batch);
    assert_eq!(lone.say(0, Body::PrePrepare(ballot(0, 3, &batch))), []);
    assert_eq!(lone.refused(Refusal::OtherView), 1);
}

#[test]
fn a_view_that_is_begun_twice_is_evidence_and_ends_if_the_stories_differ() {
    let (one, other) = (batch_at(Millis(EPOCH_MS)), batch_at(Millis(EPOCH_MS + 1)));
    let knows = |batch: &Batch| view_change(2, vec![prepared(4, ballot(0, 1, batch))]);
    for (second, ends) in [(empty(2), false), (knows(&other), true)] {
        let mut lone = Lone::start(4, 3, 4);
        lone.take(new_view(
            4,
            2,
            &[(0, empty(2)), (1, knows(&one)), (2, empty(2))],
        ));
        let actions = lone.take(new_view(4, 2, &[(0, second), (1, empty(2)), (2, empty(2))]));
        let Action::Evidence(evidence) = &actions[0] else {
            panic!("{actions:?}");
        };
        let guilt = evidence
            .verify(&context(4))
            .expect("two stories of one view");
        assert_eq!(guilt.place, Place::NewView { view: View(2) });
        assert_eq!(left_for(&actions), if ends { vec![3] } else { vec![] });
    }
}

/// Both of its proposals came before its view began.
#[test]
fn a_primary_that_lied_before_its_view_began_does_not_keep_it() {
    let mut lone = Lone::start(4, 2, 4);
    let (one, other) = (batch_at(Millis(EPOCH_MS)), batch_at(Millis(EPOCH_MS + 1)));
    for batch in [&one, &other] {
        let actions = lone.say(1, Body::PrePrepare(ballot(1, 7, batch)));
        assert_eq!(left_for(&actions), STAYS);
    }
    let said = [(0, empty(1)), (1, empty(1)), (3, empty(1))];
    assert_eq!(left_for(&lone.take(new_view(4, 1, &said))), [2]);
}

#[test]
fn after_a_view_change_one_slot_is_proposed_at_a_time() {
    let mut lone = Lone::start(4, 1, 4);
    for from in [0, 2] {
        lone.say(from, Body::ViewChange(empty(1)));
    }
    assert_eq!(lone.mode(), (1, Mode::Active));
    assert_eq!(lone.replica.proposal_wish(), Wish::Now);
    let batch = batch_at(lone.now.clock);
    lone.step(Event::Propose(Arc::clone(&batch)));
    assert_eq!(lone.replica.proposal_wish(), Wish::None);
    for from in [0, 2, 3] {
        lone.say(from, Body::Commit(ballot(1, 1, &batch)));
    }
    assert_eq!(lone.replica.proposal_wish(), Wish::Now);
    lone.step(Event::Propose(batch_at(Millis(EPOCH_MS + 7))));
    assert_eq!(lone.replica.proposal_wish(), Wish::IfFull);
}

#[test]
fn what_is_carried_replaces_what_the_primary_proposed_otherwise() {
    let mut lone = Lone::start(4, 2, 4);
    let (carried, other) = (batch_at(Millis(EPOCH_MS)), batch_at(Millis(EPOCH_MS + 1)));
    lone.batch(&other);
    // Before the NEW-VIEW: kept, without a vote.
    assert_eq!(lone.say(1, Body::PrePrepare(ballot(1, 1, &other))), []);
    let known = view_change(1, vec![prepared(4, ballot(0, 1, &carried))]);
    let said = [(0, known), (1, empty(1)), (3, empty(1))];
    let actions = lone.take(new_view(4, 1, &said));
    // It lied: PRE-PREPAREs for two batches in one slot of its view.
    let lied = actions
        .iter()
        .any(|action| matches!(action, Action::Evidence(_)));
    assert!(lied, "{actions:?}");
    let prepares = votes(&actions)
        .into_iter()
        .filter(|(kind, _)| *kind == VoteKind::Prepare);
    assert_eq!(prepares.count(), 0);
    assert_eq!(lone.mode(), (2, Mode::Changing));
    // The same afterwards.
    let mut lone = Lone::start(4, 2, 4);
    lone.take(new_view(4, 1, &said));
    let actions = lone.say(1, Body::PrePrepare(ballot(1, 1, &other)));
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Evidence(_)))
    );
}

#[test]
fn a_fresh_proposal_that_came_before_its_view_is_not_lost() {
    let mut lone = Lone::start(4, 2, 4);
    let batch = batch_at(Millis(EPOCH_MS));
    lone.batch(&batch);
    lone.say(1, Body::PrePrepare(ballot(1, 1, &batch)));
    for from in [0, 3] {
        lone.say(from, Body::Prepare(ballot(1, 1, &batch)));
    }
    let said = [(0, empty(1)), (1, empty(1)), (3, empty(1))];
    let sent = votes(&lone.take(new_view(4, 1, &said)));
    let this = ballot(1, 1, &batch);
    assert_eq!(sent, [(VoteKind::Prepare, this), (VoteKind::Commit, this)]);
}

#[test]
fn entering_raises_the_low_water_mark_to_the_base_for_good() {
    let mut lone = Lone::start(4, 2, 4);
    let batch = batch_at(Millis(EPOCH_MS));
    let far = ViewChange {
        stable: Some(certificate(10)),
        ..view_change(1, vec![prepared(4, ballot(0, 11, &batch))])
    };
    let said = [(0, far), (1, empty(1)), (3, empty(1))];
    let actions = lone.take(new_view(4, 1, &said));
    assert_eq!(lone.replica.overview().stable, Height(10));
    let fetches = |actions: &[Action]| {
        let mut all = actions.iter();
        all.any(|action| matches!(action, Action::CatchUp { .. }))
    };
    assert!(fetches(&actions));
    lone.batch(&batch);
    let mut lone = lone.restart();
    assert_eq!(lone.mode(), (1, Mode::Active));
    assert_eq!(lone.replica.overview().stable, Height(10));
    let old = batch_at(Millis(EPOCH_MS + 5));
    lone.batch(&old);
    assert_eq!(
        votes(&lone.say(1, Body::PrePrepare(ballot(1, 9, &old)))),
        []
    );
    let mut sent = votes(&lone.first);
    sent.extend(votes(&lone.batch(&batch)));
    assert!(sent.contains(&(VoteKind::Prepare, ballot(1, 11, &batch))));
}

#[test]
fn what_ordered_a_slot_is_told_to_one_in_a_later_view_after_a_restart_too() {
    let mut lone = Lone::start(4, 2, 4);
    let one = batch_at(Millis(EPOCH_MS));
    lone.batch(&one);
    lone.say(0, Body::PrePrepare(ballot(0, 1, &one)));
    lone.say(1, Body::Prepare(ballot(0, 1, &one)));
    for from in [0, 1] {
        lone.say(from, Body::Commit(ballot(0, 1, &one)));
    }
    let made = execute(&genesis(), &one);
    lone.step(Event::Executed(made.clone()));
    lone.disk.statements.push(made);
    // What others said is in no log.
    let mut lone = lone.restart();
    lone.now.since_start.0 += 5_000;
    let answer = lone.say(3, Body::Status(status(4, 1, true)));
    let commits: Vec<(u16, Ballot)> = answer
        .iter()
        .filter_map(|action| match action {
            Action::Send { message, .. } => Some((message.from.0, message.body.vote()?)),
            _ => None,
        })
        .filter(|(_, (kind, _))| *kind == VoteKind::Commit)
        .map(|(from, (_, ballot))| (from, ballot))
        .collect();
    assert_eq!(commits, [(2, ballot(0, 1, &one))]);
}

#[test]
fn who_executed_a_slot_votes_for_it_again_and_for_nothing_else() {
    for same in [true, false] {
        let mut lone = Lone::start(4, 2, 4);
        let (one, other) = (batch_at(Millis(EPOCH_MS)), batch_at(Millis(EPOCH_MS + 1)));
        lone.batch(&one);
        for from in [0, 1, 3] {
            lone.say(from, Body::Commit(ballot(0, 1, &one)));
        }
        lone.step(Event::Executed(execute(&genesis(), &one)));
        lone.batch(&other);
        // Nobody but more than f liars can make a NEW-VIEW that carries something else.
        let carried = if same { &one } else { &other };
        let known = view_change(1, vec![prepared(4, ballot(0, 1, carried))]);
        let said = [(0, known), (1, empty(1)), (3, empty(1))];
        let sent = votes(&lone.take(new_view(4, 1, &said)));
        let expected = [(VoteKind::Prepare, ballot(1, 1, &one))];
        assert_eq!(sent, if same { &expected[..] } else { &[] });
    }
}

// R18

#[test]
fn who_lacks_the_view_is_given_it() {
    let mut lone = Lone::start(4, 2, 4);
    let said = [(0, empty(1)), (1, empty(1)), (3, empty(1))];
    let message = new_view(4, 1, &said);
    lone.take(message.clone());
    let cases = [
        (0, false, true),
        (0, true, true),
        (1, true, true),
        (1, false, false),
        (2, true, false),
    ];
    for (view, changing, given) in cases {
        // Two of three are given it each time, in turns.
        let mut times = 0;
        for _ in 0..3 {
            lone.now.since_start.0 += 2_000;
            let actions = lone.say(3, Body::Status(status(4, view, changing)));
            times += actions
                .iter()
                .filter(|action| matches!(action, Action::Send { message: m, .. } if *m == message))
                .count();
        }
        assert_eq!(times, if given { 2 } else { 0 }, "{view} {changing}");
    }
}

#[test]
fn who_did_not_hear_a_view_change_is_given_it_while_it_is_of_use() {
    let mut lone = Lone::start(4, 2, 4);
    lone.meets_others();
    let left = lone.wait(1_100, Demand::Waiting);
    assert_eq!(left_for(&left), [1]);
    let mut given = |heard: u64| {
        lone.now.since_start.0 += 500;
        let mut status = status(4, 0, false);
        status.heard[2].left = View(heard);
        let actions = lone.say(3, Body::Status(status));
        let is_it = |action: &&Action| matches!(action, Action::Send { message, .. } if message.body.kind() == "view-change");
        actions.iter().filter(is_it).count()
    };
    assert_eq!((given(0), given(1), given(0)), (1, 0, 1));
}

#[test]
fn one_who_was_told_another_story_is_shown_the_lie() {
    let mut lone = Lone::start(4, 1, 4);
    let (one, other) = (batch_at(Millis(EPOCH_MS)), batch_at(Millis(EPOCH_MS + 1)));
    lone.batch(&one);
    lone.say(0, Body::PrePrepare(ballot(0, 1, &one)));
    lone.say(3, Body::Prepare(ballot(0, 1, &other)));
    let mut shown = 0;
    for _ in 0..3 {
        lone.now.since_start.0 += 500;
        let mut status = status(4, 0, false);
        status.slots.push(chancery_consensus::SlotStatus {
            slot: Slot(1),
            pre_prepare: true,
            batch: true,
            prepares: 0b1110,
            commits: 0,
            checkpoints: 0,
        });
        let actions = lone.say(3, Body::Status(status));
        let is_it = |action: &&Action| matches!(action, Action::Send { message, .. } if message.body.kind() == "pre-prepare");
        shown += actions.iter().filter(is_it).count();
    }
    assert_eq!(shown, 2);
}

// R31

#[test]
fn a_lie_is_reported_once_and_lies_without_end_are_not_kept() {
    let mut lone = Lone::start(4, 2, 64);
    let stories = [1, 2, 3].map(|offset| batch_at(Millis(EPOCH_MS + offset)));
    let mut reported = 0;
    for slot in 1..=64 {
        for story in &stories {
            let actions = lone.say(3, Body::Prepare(ballot(0, slot, story)));
            reported += actions
                .iter()
                .filter(|action| matches!(action, Action::Evidence(_)))
                .count();
        }
    }
    assert_eq!(reported, 32);
    assert_eq!(lone.refused(Refusal::Conflicting), 128);
    assert_eq!(lone.mode(), (0, Mode::Active), "it is not the primary");
}

// S-36

/// All were far away in views of their own when they stopped.
#[test]
fn validators_that_wake_in_different_views_find_together() {
    for targets in [
        [10, 6, 10, 9],
        [3, 3, 4, 9],
        [0, 0, 0, 12],
        [7, 8, 9, 10],
        [5, 5, 0, 0],
    ] {
        let mut cluster = Cluster::new(4, 4, 5, World::default());
        for (index, target) in (0..).zip(targets) {
            if target > 0 {
                let message = signed(index, Body::ViewChange(empty(target)));
                let record = Record::ViewChange(message);
                cluster.nodes[usize::from(index)].disk.write(record);
            }
        }
        cluster.start();
        let done = cluster.run_until(96_000, |cluster| {
            (0..4).all(|index| cluster.final_height(index) >= 5)
        });
        assert!(done, "{targets:?}: {}", cluster.describe());
        cluster.check_agreement();
        assert!((0..4).all(|index| cluster.view(index) <= 14));
    }
}
