//! A cluster of replicas in one deterministic loop: a fake executor, a disk that keeps what was
//! persisted, and a network that delays, reorders, duplicates and loses, all from one seed. It
//! checks at every action what must hold of correct validators, with rules stated anew here.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of the harness"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chancery_consensus::{
    Action, Ballot, Body, CarriedProposal, Config, Context, Demand, Event, Guilt, Halted, Heard,
    Mode, NewView, Now, PreparedCertificate, Record, Recovered, Refusal, Replica, SignedMessage,
    SignedViewChange, Status, VerifiedMessage, ViewChange, VoteKind, VoteSignature, Wish,
    message_bytes_max,
};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::hash::sha256_concat;
use chancery_ledger::{
    Batch, BatchDigest, ChainId, ChainLimits, Epoch, Hash, Height, Millis, SecretKey, Slot,
    Validator, ValidatorIndex, ValidatorSet, Verified, View,
};
use parity_scale_codec::{Decode, Encode};

/// Sebastiano Vigna's splitmix64.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

pub const CHAIN: ChainId = ChainId([7; 32]);
/// When every test's wall clock starts.
pub const EPOCH_MS: u64 = 1_800_000_000_000;

pub fn consensus_key(index: u16) -> SecretKey {
    let byte = u8::try_from(index).expect("at most 31 validators");
    SecretKey::from_seed(&[byte + 1; 32])
}

thread_local! {
    /// Keys take a while to derive.
    static SETS: RefCell<BTreeMap<u16, ValidatorSet>> = const { RefCell::new(BTreeMap::new()) };
}

pub fn validators(count: u16) -> ValidatorSet {
    SETS.with_borrow_mut(|sets| {
        sets.entry(count)
            .or_insert_with(|| make_validators(count))
            .clone()
    })
}

fn make_validators(count: u16) -> ValidatorSet {
    let other_key = |index: u16, kind: u8| {
        let byte = u8::try_from(index).expect("at most 31 validators");
        let mut seed = [kind; 32];
        seed[0] = byte;
        SecretKey::from_seed(&seed).public()
    };
    let validators = (0..count)
        .map(|index| Validator {
            name: format!("validator-{index}"),
            consensus_key: consensus_key(index).public(),
            network_key: other_key(index, 200),
            log_key: other_key(index, 201),
        })
        .collect();
    ValidatorSet::new(Epoch(0), validators).expect("names and keys differ")
}

pub fn context(count: u16) -> Context {
    Context {
        chain: CHAIN,
        validators: validators(count),
        window_slots: ChainLimits::default().window_slots,
    }
}

pub fn config(count: u16, own: u16, window: u32) -> Config {
    let limits = ChainLimits {
        window_slots: window,
        // What the world demands is said at every tick.
        heartbeat_ms: 3_600_000,
        ..ChainLimits::default()
    };
    Config::new(CHAIN, validators(count), ValidatorIndex(own), limits)
}

pub fn batch_at(proposed_time: Millis) -> Arc<Verified<Batch>> {
    let batch = Batch::of_verified(proposed_time, Vec::new(), &ChainLimits::default());
    Arc::new(batch.expect("an empty batch is well-formed"))
}

pub fn ballot(slot: u64, digest: BatchDigest) -> Ballot {
    Ballot {
        view: View(0),
        slot: Slot(slot),
        digest,
    }
}

/// `body`, signed by `from`.
pub fn signed(from: u16, body: Body) -> SignedMessage {
    let signature = consensus_key(from).sign(&body.signed_bytes(CHAIN, Epoch(0)));
    SignedMessage {
        chain: CHAIN,
        epoch: Epoch(0),
        from: ValidatorIndex(from),
        body,
        signature,
    }
}

/// The same, verified among `count` validators.
pub fn verified(count: u16, from: u16, body: Body) -> VerifiedMessage {
    signed(from, body)
        .verify(&context(count))
        .expect("signed by its sender")
}

/// Proof that a quorum of `count` validators accepted a ballot.
pub fn prepared(count: u16, ballot: Ballot) -> PreparedCertificate {
    let set = validators(count);
    let primary = set.primary(ballot.view);
    let backups = (0..count).filter(|index| *index != primary.0);
    PreparedCertificate {
        ballot,
        pre_prepare: signed(primary.0, Body::PrePrepare(ballot)).signature,
        prepares: backups
            .take(set.quorum() - 1)
            .map(|index| VoteSignature {
                validator: ValidatorIndex(index),
                signature: signed(index, Body::Prepare(ballot)).signature,
            })
            .collect(),
    }
}

/// A VIEW-CHANGE by one who knows of no checkpoint.
pub fn view_change(view: u64, prepared: Vec<PreparedCertificate>) -> ViewChange {
    ViewChange {
        view: View(view),
        stable: None,
        prepared,
    }
}

/// The NEW-VIEW that follows from these, by another way of selecting than the replica's.
pub fn new_view(count: u16, view: u64, from: &[(u16, ViewChange)]) -> SignedMessage {
    let view = View(view);
    let primary = validators(count).primary(view);
    let low = from.iter().map(|(_, said)| said.low().0).max().unwrap_or(0);
    let all: Vec<Ballot> = from
        .iter()
        .flat_map(|(_, said)| said.prepared.iter().map(|prepared| prepared.ballot))
        .filter(|ballot| ballot.slot.0 > low)
        .collect();
    let last = all.iter().map(|ballot| ballot.slot.0).max().unwrap_or(low);
    let proposals = (low + 1..=last)
        .map(|slot| {
            let slot = Slot(slot);
            let here = all.iter().filter(|ballot| ballot.slot == slot);
            let newest = here.max_by_key(|ballot| ballot.view);
            let digest = newest.map_or(Batch::empty().digest(), |ballot| ballot.digest);
            let body = Body::PrePrepare(Ballot { view, slot, digest });
            CarriedProposal {
                slot,
                digest,
                signature: signed(primary.0, body).signature,
            }
        })
        .collect();
    let view_changes = from
        .iter()
        .map(|(from, said)| SignedViewChange {
            from: ValidatorIndex(*from),
            view_change: said.clone(),
            // What its sender signed: signing is deterministic.
            signature: signed(*from, Body::ViewChange(said.clone())).signature,
        })
        .collect();
    let body = NewView {
        view,
        view_changes,
        proposals,
    };
    signed(primary.0, Body::NewView(body))
}

pub fn genesis() -> CheckpointStatement {
    CheckpointStatement::new(CHAIN, Height(0), Hash([0; 32]), Millis(EPOCH_MS))
}

/// What the fake executor makes of a batch.
pub fn execute(parent: &CheckpointStatement, batch: &Batch) -> CheckpointStatement {
    CheckpointStatement::new(
        CHAIN,
        parent.height.next(),
        sha256_concat(&[&parent.root.0, &batch.digest().0]),
        batch.proposed_time,
    )
}

/// What one validator has on disk.
#[derive(Debug, Clone)]
pub struct Disk {
    pub records: Vec<Record>,
    /// Statements of heights 0, 1, …
    pub statements: Vec<CheckpointStatement>,
    /// Batches of slots 1, 2, …
    pub blocks: Vec<Arc<Verified<Batch>>>,
    pub stable: Option<CheckpointCertificate>,
    pub vote_log_missing: bool,
}

impl Disk {
    pub fn new() -> Self {
        Self {
            records: Vec::new(),
            statements: vec![genesis()],
            blocks: Vec::new(),
            stable: None,
            vote_log_missing: false,
        }
    }

    pub fn tip(&self) -> &CheckpointStatement {
        self.statements.last().expect("genesis is there")
    }

    /// The newest height of which it has a certificate.
    pub fn certified(&self) -> Height {
        let logged = self.records.iter().filter_map(Record::certificate);
        logged
            .chain(&self.stable)
            .map(|certificate| certificate.statement.height)
            .max()
            .unwrap_or_default()
    }

    /// The view whose NEW-VIEW it has.
    pub fn entered(&self) -> View {
        let new_views = self.records.iter().filter_map(|record| match record {
            Record::NewView(message) => match &message.body {
                Body::NewView(new_view) => Some(new_view.view),
                _ => None,
            },
            _ => None,
        });
        new_views.max().unwrap_or_default()
    }

    /// Of some kinds only the newest record is kept.
    pub fn write(&mut self, record: Record) {
        if matches!(record, Record::Quarantine { .. }) {
            self.vote_log_missing = false;
        }
        if let Some(kind) = record.single() {
            self.records.retain(|record| record.single() != Some(kind));
        }
        self.records.push(record);
    }

    pub fn commit(&mut self, batch: Arc<Verified<Batch>>) {
        self.statements.push(execute(self.tip(), &batch));
        self.blocks.push(batch);
    }

    /// What a restart finds, through the bytes of the vote log.
    pub fn recovered(&self) -> Recovered {
        let limits = ChainLimits::default();
        let records = self
            .records
            .iter()
            .map(|record| Record::decode(&record.encode(), &limits).expect("own bytes"))
            .collect();
        Recovered {
            records,
            executed: self.tip().clone(),
            stable: self.stable.clone(),
            incarnation: 1,
            vote_log_missing: self.vote_log_missing,
        }
    }
}

/// What another validator says that has heard of this process and knows of nothing it signed.
pub fn confirming(count: u16, own: u16, incarnation: u64) -> Status {
    let mut heard = vec![Heard::default(); usize::from(count)];
    heard[usize::from(own)].incarnation = incarnation;
    Status {
        view: View(0),
        changing: false,
        stable: Height(0),
        executed: Height(0),
        incarnation: 9,
        heard,
        slots: Vec::new(),
    }
}

/// Ends the probation of a replica that was just started; returns what it held back till then.
pub fn end_probation(
    replica: &mut Replica,
    (count, own): (u16, u16),
    incarnation: u64,
    now: Now,
) -> Vec<Action> {
    let others = (0..count).filter(|from| *from != own);
    let mut actions = Vec::new();
    for from in others {
        let body = Body::Status(confirming(count, own, incarnation));
        actions.extend(replica.step(now, Event::Message(verified(count, from, body))));
    }
    let is_answer =
        |action: &Action| matches!(action, Action::Send { .. } | Action::SendBatch { .. });
    actions.retain(|action| !is_answer(action));
    actions
}

#[derive(Debug, Clone)]
enum Arrival {
    Tick,
    Message(VerifiedMessage),
    Batch(Arc<Verified<Batch>>),
    /// The executor is done with a slot.
    Done(Slot, Arc<Verified<Batch>>),
    /// Fetching from another validator is done.
    Fetched(ValidatorIndex, CheckpointCertificate),
    Restart,
}

#[derive(Debug)]
pub struct Node {
    pub replica: Option<Replica>,
    pub disk: Disk,
    pub paused: bool,
    /// Its clock runs ahead or behind.
    pub clock_offset_ms: i64,
    /// Counts starts: what was on its way to an earlier incarnation is lost.
    incarnation: u64,
    /// What arrived while it was paused.
    waiting: Vec<Arrival>,
    /// Newest slot given to the executor.
    given: Slot,
    /// Newest slot that it proposed, and in which view.
    proposed: (View, Slot),
    pub finals: Vec<Height>,
    pub halted: bool,
    /// Why, if that is not that it diverged.
    pub halted_by: Option<Halted>,
    pub catch_ups: usize,
    pub evidence: Vec<Guilt>,
}

impl Node {
    fn new(disk: Disk) -> Self {
        Self {
            replica: None,
            disk,
            paused: false,
            clock_offset_ms: 0,
            incarnation: 0,
            waiting: Vec::new(),
            given: Slot(0),
            proposed: (View(0), Slot(0)),
            finals: Vec::new(),
            halted: false,
            halted_by: None,
            catch_ups: 0,
            evidence: Vec::new(),
        }
    }

    pub fn mode(&self) -> Option<Mode> {
        self.replica.as_ref().map(|replica| replica.overview().mode)
    }
}

/// How the network and the world behave.
#[derive(Debug, Clone)]
pub struct World {
    pub delay_ms_max: u64,
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    /// Chance in 1000, per action, that the process dies before carrying it out.
    pub crash_per_mille: u64,
    pub full_percent: u64,
    pub execution_ms_max: u64,
    /// Slots that are demanded and proposed.
    pub slots_max: u64,
    pub fetch: bool,
    pub view_timeout: Millis,
}

impl Default for World {
    fn default() -> Self {
        Self {
            delay_ms_max: 20,
            loss_percent: 0,
            duplicate_percent: 0,
            crash_per_mille: 0,
            full_percent: 50,
            execution_ms_max: 3,
            slots_max: u64::MAX,
            fetch: true,
            view_timeout: Millis(1_000),
        }
    }
}

/// Whether something from one validator to another is lost on its way; batches have no message.
pub type Loses = Box<dyn Fn(usize, usize, Option<&SignedMessage>) -> bool>;

pub struct Cluster {
    pub count: u16,
    /// What the network loses beside what it loses by chance.
    pub loses: Loses,
    /// Who dies for good, after how many more things it sent to somebody.
    pub dies_after: Option<(usize, u64)>,
    pub window: u32,
    pub world: World,
    pub random: Random,
    pub now_ms: u64,
    pub nodes: Vec<Node>,
    /// Validators that the test plays itself: nothing is run for them.
    pub played: BTreeSet<u16>,
    /// Further processes, by which validator's key they have.
    pub twins: BTreeMap<usize, usize>,
    /// Whether somebody may stop for other reasons than that it diverged.
    pub may_halt: bool,
    queue: BTreeMap<(u64, u64), (usize, u64, Arrival)>,
    queued: u64,
    /// The newest view that each correct validator sent a VIEW-CHANGE for.
    left: BTreeMap<ValidatorIndex, View>,
    /// Every VIEW-CHANGE and NEW-VIEW that left one.
    pub views: BTreeMap<(ValidatorIndex, &'static str, View), SignedMessage>,
    /// Every vote that left a correct validator.
    votes: BTreeMap<(ValidatorIndex, View, Slot, VoteKind), SignedMessage>,
    /// The digest executed in each slot, by whom first.
    order: BTreeMap<Slot, BatchDigest>,
    pub context: Context,
    pub proposals: u64,
    pub in_flight_most: u64,
    pub batches_most: usize,
    /// Hash over everything that happened.
    pub trace: Hash,
}

impl Cluster {
    pub fn new(count: u16, window: u32, seed: u64, world: World) -> Self {
        let mut cluster = Self {
            count,
            loses: Box::new(|_, _, _| false),
            dies_after: None,
            window,
            world,
            random: Random(seed),
            now_ms: 0,
            nodes: Vec::new(),
            played: BTreeSet::new(),
            twins: BTreeMap::new(),
            may_halt: false,
            queue: BTreeMap::new(),
            queued: 0,
            left: BTreeMap::new(),
            views: BTreeMap::new(),
            votes: BTreeMap::new(),
            order: BTreeMap::new(),
            context: Context {
                window_slots: window,
                ..context(count)
            },
            proposals: 0,
            in_flight_most: 0,
            batches_most: 0,
            trace: Hash([0; 32]),
        };
        for _ in 0..count {
            cluster.nodes.push(Node::new(Disk::new()));
        }
        cluster
    }

    /// Another process with the key of validator `of` and a copy of its disk; not started yet.
    pub fn add_twin(&mut self, of: usize) -> usize {
        let twin = self.nodes.len();
        self.nodes.push(Node::new(self.nodes[of].disk.clone()));
        self.twins.insert(twin, of);
        self.may_halt = true;
        twin
    }

    /// Which validator a process is.
    pub fn validator(&self, index: usize) -> usize {
        self.twins.get(&index).copied().unwrap_or(index)
    }

    /// The process dies and its disk is replaced.
    pub fn replace_disk(&mut self, index: usize, disk: Disk) {
        self.crash(index);
        self.nodes[index].finals.clear();
        self.nodes[index].proposed = (View(0), Slot(0));
        self.nodes[index].disk = disk;
    }

    /// Starts every validator that the test does not play itself.
    pub fn start(&mut self) {
        for index in 0..self.nodes.len() {
            if !self.played.contains(&u16::try_from(index).expect("small")) {
                self.start_node(index);
            }
        }
    }

    pub fn started(count: u16, window: u32, seed: u64, world: World) -> Self {
        let mut cluster = Self::new(count, window, seed, world);
        cluster.start();
        cluster
    }

    pub fn now(&self, index: usize) -> Now {
        let clock = (EPOCH_MS + self.now_ms)
            .checked_add_signed(self.nodes[index].clock_offset_ms)
            .expect("small offsets");
        Now {
            since_start: Millis(self.now_ms),
            clock: Millis(clock),
        }
    }

    pub fn start_node(&mut self, index: usize) {
        let now = self.now(index);
        let own = u16::try_from(self.validator(index)).expect("small");
        let node = &mut self.nodes[index];
        node.incarnation += 1;
        node.given = node.disk.tip().height.into();
        node.waiting.clear();
        let incarnation = node.incarnation;
        let config = Config {
            view_timeout: self.world.view_timeout,
            ..config(self.count, own, self.window)
        };
        let recovered = Recovered {
            incarnation: (u64::try_from(index).expect("small") + 1) << 32 | incarnation,
            ..node.disk.recovered()
        };
        let (replica, actions) = Replica::new(config, consensus_key(own), recovered, now)
            .expect("a log that a replica wrote is accepted");
        node.replica = Some(replica);
        self.carry_out(index, actions);
        let tick = self.random.below(50);
        self.push(tick, index, incarnation, Arrival::Tick);
    }

    /// The process dies: what is not on disk is gone.
    pub fn crash(&mut self, index: usize) {
        self.nodes[index].replica = None;
        self.nodes[index].waiting.clear();
        self.nodes[index].incarnation += 1;
    }

    /// It goes on after a pause, with or without what was sent meanwhile.
    pub fn resume(&mut self, index: usize, keep_waiting: bool) {
        let node = &mut self.nodes[index];
        node.paused = false;
        let incarnation = node.incarnation;
        let waiting = std::mem::take(&mut node.waiting);
        for arrival in waiting {
            let is_from_network = matches!(arrival, Arrival::Message(_) | Arrival::Batch(_));
            if keep_waiting || !is_from_network {
                self.push(0, index, incarnation, arrival);
            }
        }
    }

    fn push(&mut self, after_ms: u64, index: usize, incarnation: u64, arrival: Arrival) {
        let at = (self.now_ms + after_ms, self.queued);
        self.queued += 1;
        self.queue.insert(at, (index, incarnation, arrival));
    }

    fn post(&mut self, from: usize, to: usize, arrival: &Arrival) {
        if let Some((dying, left)) = &mut self.dies_after
            && *dying == from
        {
            if *left == 0 {
                return;
            }
            *left -= 1;
        }
        let message = match arrival {
            Arrival::Message(message) => Some(message.message()),
            _ => None,
        };
        if (self.loses)(from, to, message) {
            return;
        }
        let copies = 1 + u64::from(self.random.chance(self.world.duplicate_percent));
        for _ in 0..copies {
            if self.random.chance(self.world.loss_percent) {
                continue;
            }
            let delay = self.random.below(self.world.delay_ms_max.max(1));
            let incarnation = self.nodes[to].incarnation;
            self.push(delay, to, incarnation, arrival.clone());
        }
    }

    /// To the processes of one validator, or of all but the sender's own.
    fn post_all(&mut self, from: usize, to: Option<ValidatorIndex>, arrival: &Arrival) {
        let own = self.validator(from);
        for index in 0..self.nodes.len() {
            let whose = self.validator(index);
            if whose != own && to.is_none_or(|to| to.as_usize() == whose) {
                self.post(from, index, arrival);
            }
        }
    }

    /// A message that the test made, to one validator, at once.
    pub fn deliver(&mut self, to: usize, message: VerifiedMessage) {
        self.step(to, Event::Message(message));
    }

    pub fn deliver_batch(&mut self, to: usize, batch: Arc<Verified<Batch>>) {
        let from = ValidatorIndex(0);
        self.step(to, Event::Batch { from, batch });
    }

    /// Runs for `ms` of virtual time.
    pub fn run(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some((&(at, _), _)) = self.queue.first_key_value() {
            if at > end {
                break;
            }
            let (_, (index, incarnation, arrival)) =
                self.queue.pop_first().expect("it was just seen");
            self.now_ms = self.now_ms.max(at);
            if self.nodes[index].incarnation == incarnation || matches!(arrival, Arrival::Restart) {
                self.arrive(index, arrival);
            }
        }
        self.now_ms = end;
    }

    /// Runs until `done`, for at most `ms_max`; says whether it was.
    pub fn run_until(&mut self, ms_max: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now_ms + ms_max;
        while self.now_ms < end {
            if done(self) {
                return true;
            }
            self.run(50);
        }
        done(self)
    }

    fn arrive(&mut self, index: usize, arrival: Arrival) {
        if self.nodes[index].paused && !matches!(arrival, Arrival::Restart) {
            self.nodes[index].waiting.push(arrival);
            return;
        }
        match arrival {
            Arrival::Tick => {
                let incarnation = self.nodes[index].incarnation;
                self.push(50, index, incarnation, Arrival::Tick);
                let demand = self.demand(index);
                self.step(index, Event::Tick(demand));
            }
            Arrival::Message(message) => self.step(index, Event::Message(message)),
            Arrival::Batch(batch) => {
                let from = ValidatorIndex(0);
                self.step(index, Event::Batch { from, batch });
            }
            Arrival::Done(slot, batch) => {
                let disk = &mut self.nodes[index].disk;
                if disk.tip().height.next() == slot.height() {
                    disk.commit(batch);
                    let statement = disk.tip().clone();
                    self.step(index, Event::Executed(statement));
                }
            }
            Arrival::Fetched(from, certificate) => {
                let source = self.nodes[from.as_usize()].disk.blocks.clone();
                let disk = &mut self.nodes[index].disk;
                let upto = usize::try_from(certificate.statement.height.0).expect("small");
                for batch in source.iter().take(upto).skip(disk.blocks.len()) {
                    disk.commit(Arc::clone(batch));
                }
                let executed = disk.tip().clone();
                let height = executed.height;
                let given = &mut self.nodes[index].given;
                *given = (*given).max(height.into());
                self.step(
                    index,
                    Event::CaughtUp {
                        certificate,
                        executed,
                    },
                );
            }
            Arrival::Restart => self.start_node(index),
        }
    }

    pub fn step(&mut self, index: usize, event: Event) {
        let now = self.now(index);
        let Some(replica) = &mut self.nodes[index].replica else {
            return;
        };
        let actions = replica.step(now, event);
        self.carry_out(index, actions);
        self.maybe_propose(index);
    }

    fn maybe_propose(&mut self, index: usize) {
        for _ in 0..self.window {
            let now = self.now(index);
            let node = &mut self.nodes[index];
            let (given, last) = (node.given, node.proposed);
            let Some(replica) = &mut node.replica else {
                return;
            };
            let wanted = match replica.proposal_wish() {
                Wish::None => false,
                Wish::IfFull => self.random.chance(self.world.full_percent),
                Wish::Now => true,
            };
            let proposed = if last.0 == replica.view() {
                last.1
            } else {
                Slot(0)
            };
            if !wanted || proposed.max(given).0 >= self.world.slots_max {
                return;
            }
            self.proposals += 1;
            // Times that differ make batches that differ, most of the time.
            let batch = batch_at(Millis(now.clock.0 + self.proposals % 4096));
            let actions = replica.step(now, Event::Propose(batch));
            self.carry_out(index, actions);
        }
    }

    pub fn carry_out(&mut self, index: usize, actions: Vec<Action>) {
        let own = ValidatorIndex(u16::try_from(self.validator(index)).expect("small"));
        for action in actions {
            if self.dies_after == Some((index, 0)) {
                return self.crash(index);
            }
            if self.random.below(1000) < self.world.crash_per_mille {
                self.crash(index);
                let after = 10 + self.random.below(300);
                self.push(after, index, 0, Arrival::Restart);
                return;
            }
            match action {
                Action::Persist(record) => self.nodes[index].disk.write(record),
                Action::Broadcast(message) => {
                    self.check_sent(index, &message);
                    self.note_proposed(index, &message);
                    let message = self.through_bytes(message);
                    self.post_all(index, None, &Arrival::Message(message));
                }
                Action::Send { to, message } => {
                    assert_ne!(to, own, "nobody writes to itself");
                    self.check_sent(index, &message);
                    let message = self.through_bytes(message);
                    self.post_all(index, Some(to), &Arrival::Message(message));
                }
                Action::BroadcastBatch(batch) => {
                    self.post_all(index, None, &Arrival::Batch(batch));
                }
                Action::SendBatch { to, batch } => {
                    assert_ne!(to, own, "nobody writes to itself");
                    self.post_all(index, Some(to), &Arrival::Batch(batch));
                }
                Action::Execute { slot, batch } => self.check_executed(index, slot, batch),
                Action::Final(certificate) => {
                    let node = &mut self.nodes[index];
                    let height = certificate.statement.height;
                    assert!(node.finals.last().is_none_or(|last| *last < height));
                    certificate
                        .verify(CHAIN, &self.context.validators)
                        .expect("a final certificate verifies");
                    let at = usize::try_from(height.0).expect("small");
                    assert_eq!(node.disk.statements[at], certificate.statement);
                    node.finals.push(height);
                    node.disk.stable = Some(certificate);
                }
                Action::Truncate { through } => {
                    let node = &mut self.nodes[index];
                    assert!(node.disk.certified() >= through.height());
                    node.disk
                        .records
                        .retain(|record| record.slot().is_none_or(|slot| slot > through));
                }
                Action::CatchUp { from, certificate } => {
                    assert_ne!(from, own);
                    self.nodes[index].catch_ups += 1;
                    if self.world.fetch && self.nodes[from.as_usize()].replica.is_some() {
                        let incarnation = self.nodes[index].incarnation;
                        let arrival = Arrival::Fetched(from, certificate);
                        self.push(30, index, incarnation, arrival);
                    }
                }
                Action::Evidence(evidence) => {
                    let guilt = evidence.verify(&self.context).expect("it convinces");
                    let guilty = guilt.validator.0;
                    assert!(self.played.contains(&guilty), "{guilt:?}");
                    self.nodes[index].evidence.push(guilt);
                }
                Action::Halt(Halted::Diverged(divergence)) => {
                    assert_ne!(divergence.own, divergence.certificate.statement);
                    self.nodes[index].halted = true;
                }
                Action::Halt(other) => {
                    assert!(self.may_halt, "{index}: {other:?}");
                    self.nodes[index].halted = true;
                    self.nodes[index].halted_by = Some(other);
                }
            }
        }
        self.check_bounds(index);
    }

    fn note_proposed(&mut self, index: usize, message: &SignedMessage) {
        let proposed = match &message.body {
            Body::PrePrepare(ballot) => (ballot.view, ballot.slot),
            Body::NewView(new_view) => {
                let last = new_view.proposals.last();
                (new_view.view, last.map_or(Slot(0), |last| last.slot))
            }
            _ => return,
        };
        let is_own = message.from.as_usize() == self.validator(index);
        let node = &mut self.nodes[index];
        if is_own && node.proposed < proposed {
            node.proposed = proposed;
        }
    }

    /// What the world waits for at one validator.
    fn demand(&self, index: usize) -> Demand {
        if self.nodes[index].given.0 < self.world.slots_max {
            Demand::Waiting
        } else {
            Demand::Nothing
        }
    }

    fn through_bytes(&mut self, message: SignedMessage) -> VerifiedMessage {
        let bytes = message.encode();
        self.trace = sha256_concat(&[&self.trace.0, &bytes]);
        SignedMessage::decode(&bytes, message_bytes_max(31, 128))
            .expect("own bytes are canonical")
            .verify(&self.context)
            .expect("what a correct validator sends verifies")
    }

    /// At most one digest a place, the same bytes again, and persisted before it is sent.
    fn check_sent(&mut self, index: usize, message: &SignedMessage) {
        let Some((kind, ballot)) = message.body.vote() else {
            return self.check_view_sent(index, message);
        };
        let place = (message.from, ballot.view, ballot.slot, kind);
        let sender = u16::try_from(self.validator(index)).expect("small");
        let has_twin = self.twins.values().any(|of| *of == message.from.as_usize());
        if self.played.contains(&message.from.0) || has_twin {
            return;
        }
        if !self.votes.contains_key(&place) && !self.is_carried(message, kind, ballot) {
            let left = self.left.get(&message.from).copied().unwrap_or_default();
            assert!(
                ballot.view >= left,
                "a vote in a view that was left: {message:?}"
            );
            let entered = ballot.view == View(0) || self.nodes[index].disk.entered() == ballot.view;
            assert!(
                entered || message.from.0 != sender,
                "a vote in a view not entered"
            );
        }
        let before = self.votes.entry(place).or_insert_with(|| message.clone());
        assert_eq!(before, message, "a second vote in one place");
        if message.from.0 != sender {
            return;
        }
        let disk = &self.nodes[index].disk;
        if ballot.slot.height() <= disk.certified() {
            return;
        }
        let has = |wanted: &dyn Fn(&Record) -> bool| disk.records.iter().any(wanted);
        assert!(
            has(&|record| match record {
                Record::Vote(vote) => vote == message,
                Record::NewView(whole) => carries(whole, ballot) && kind == VoteKind::PrePrepare,
                _ => false,
            }),
            "sent before persisted: {message:?}"
        );
        let entitled = match kind {
            VoteKind::PrePrepare | VoteKind::Prepare => has(&|record| match record {
                Record::Batch { batch, .. } => batch.digest() == ballot.digest,
                // Enough others have it.
                Record::NewView(whole) => carries(whole, ballot) && kind == VoteKind::PrePrepare,
                _ => false,
            }),
            VoteKind::Commit => has(
                &|record| matches!(record, Record::Prepared(certificate) if certificate.ballot == ballot),
            ),
        };
        assert!(entitled, "voted before its ground was persisted");
    }

    /// Whether a PRE-PREPARE is out of a NEW-VIEW that was sent.
    fn is_carried(&self, message: &SignedMessage, kind: VoteKind, ballot: Ballot) -> bool {
        let whole = self.views.get(&(message.from, "new-view", ballot.view));
        kind == VoteKind::PrePrepare && whole.is_some_and(|whole| carries(whole, ballot))
    }

    /// One VIEW-CHANGE and one NEW-VIEW a view, persisted before they are sent.
    fn check_view_sent(&mut self, index: usize, message: &SignedMessage) {
        let view = match &message.body {
            Body::ViewChange(view_change) => view_change.view,
            Body::NewView(new_view) => new_view.view,
            _ => return,
        };
        if self.played.contains(&message.from.0) {
            return;
        }
        let place = (message.from, message.body.kind(), view);
        let before = self.views.entry(place).or_insert_with(|| message.clone());
        assert_eq!(before, message, "two messages for one view");
        if let Body::ViewChange(_) = message.body {
            let left = self.left.entry(message.from).or_default();
            *left = (*left).max(view);
        }
        if message.from.as_usize() == index {
            let records = &self.nodes[index].disk.records;
            let persisted = records.iter().any(|record| match record {
                Record::ViewChange(stored) | Record::NewView(stored) => stored == message,
                _ => false,
            });
            assert!(persisted, "sent before persisted: {message:?}");
        }
    }

    fn check_executed(&mut self, index: usize, slot: Slot, batch: Arc<Verified<Batch>>) {
        let digest = batch.digest();
        let before = *self.order.entry(slot).or_insert(digest);
        assert_eq!(before, digest, "two batches were executed in slot {slot}");
        let node = &mut self.nodes[index];
        assert_eq!(slot, node.given.next(), "out of order, or twice");
        node.given = slot;
        let incarnation = node.incarnation;
        // In order: an executor does one after the other.
        let after = 1 + self.world.execution_ms_max;
        self.push(after, index, incarnation, Arrival::Done(slot, batch));
    }

    fn check_bounds(&mut self, index: usize) {
        let Some(replica) = &self.nodes[index].replica else {
            return;
        };
        let overview = replica.overview();
        let window = usize::try_from(self.window).expect("small");
        assert!(overview.open.len() <= 2 * window);
        // Three windows of slots could want a batch of each of a few views, and 32 are loose.
        assert!(overview.batches <= 12 * window + 32, "{}", overview.batches);
        self.batches_most = self.batches_most.max(overview.batches);
        let executed = overview.executed.0;
        let in_flight = overview
            .open
            .iter()
            .filter(|open| open.slot.0 > executed && open.digest.is_some())
            .count();
        self.in_flight_most = self
            .in_flight_most
            .max(u64::try_from(in_flight).expect("small"));
        let records = self.nodes[index].disk.records.len();
        // Four a slot in each of a few views, and some that were written just before a crash and
        // again after it.
        assert!(records <= 24 * window + 32, "{records} records");
    }

    pub fn height(&self, index: usize) -> u64 {
        self.nodes[index].disk.tip().height.0
    }

    pub fn final_height(&self, index: usize) -> u64 {
        self.nodes[index].finals.last().map_or(0, |height| height.0)
    }

    pub fn view(&self, index: usize) -> u64 {
        let replica = self.nodes[index].replica.as_ref();
        replica.map_or(0, |replica| replica.view().0)
    }

    pub fn is_active(&self, index: usize) -> bool {
        let replica = self.nodes[index].replica.as_ref();
        replica.is_some_and(|replica| replica.overview().mode == Mode::Active)
    }

    pub fn refused(&self, index: usize, why: Refusal) -> u64 {
        self.nodes[index]
            .replica
            .as_ref()
            .and_then(|replica| replica.overview().refused.get(&why).copied())
            .unwrap_or(0)
    }

    /// Where everybody stands, for a failed test's message.
    pub fn describe(&self) -> String {
        let mut lines = vec![format!("at {} ms", self.now_ms)];
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(replica) = &node.replica else {
                lines.push(format!("{index}: not running"));
                continue;
            };
            let overview = replica.overview();
            let open: Vec<String> = overview
                .open
                .iter()
                .map(|slot| {
                    let have: Vec<u16> = slot.have.iter().map(|who| who.0).collect();
                    format!("{}:{:?}{have:?}", slot.slot, slot.waits_for)
                })
                .collect();
            lines.push(format!(
                "{index}: paused={} view={}{} wanted={:?} timer={:?} executed={} stable={} final={} wish={:?} refused={:?} open={}",
                node.paused,
                overview.view,
                if overview.mode == Mode::Active { "" } else { "?" },
                overview.view_changes,
                overview.timer,
                overview.executed,
                overview.stable,
                overview.final_height,
                replica.proposal_wish(),
                overview.refused,
                open.join(" ")
            ));
        }
        lines.join("\n")
    }

    /// All ledgers are prefixes of one.
    pub fn check_agreement(&self) {
        for a in &self.nodes {
            for b in &self.nodes {
                let shared = a.disk.statements.len().min(b.disk.statements.len());
                assert_eq!(a.disk.statements[..shared], b.disk.statements[..shared]);
            }
        }
    }
}

/// Whether a NEW-VIEW has a PRE-PREPARE for the ballot.
fn carries(message: &SignedMessage, ballot: Ballot) -> bool {
    let Body::NewView(new_view) = &message.body else {
        return false;
    };
    let is_it =
        |carried: &CarriedProposal| carried.slot == ballot.slot && carried.digest == ballot.digest;
    new_view.view == ballot.view && new_view.proposals.iter().any(is_it)
}

/// A value with each bit of its encoding flipped, where that still decodes.
pub fn with_bits_flipped<T: Encode + Decode>(value: &T) -> Vec<T> {
    let bytes = value.encode();
    (0..bytes.len() * 8)
        .filter_map(|bit| {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            T::decode(&mut bytes.as_slice()).ok()
        })
        .collect()
}
