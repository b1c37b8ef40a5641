//! Four validators with vote logs of their own, a network that delivers everything at once, and
//! blocks that are made of nothing.

use std::collections::{BTreeSet, VecDeque};

use chancery_consensus::Replica;
use chancery_ledger::checkpoint::CheckpointStatement;
use chancery_ledger::hash::sha256;
use chancery_ledger::{
    AccountId, Call, ChainId, Epoch, Fuel, Height, SecretKey, Transaction, TransactionId,
    Validator as Member, ValidatorSet,
};

use super::*;
use crate::config::PoolConfig;
use crate::pool::{Origin, Source};

const CHAIN: ChainId = ChainId([7; 32]);
const VIEW_TIMEOUT: Millis = Millis(1_000);
/// What the wall clock says at the start.
const CLOCK: u64 = 1_000_000_000;

#[test]
fn of_records_about_no_slot_only_the_newest_of_its_kind_lives() {
    let quarantine = |slot| Record::Quarantine {
        slots_through: Slot(slot),
        view_least: View(1),
    };
    let batch = |slot| Record::Batch {
        slot: Slot(slot),
        batch: Batch::empty(),
    };
    let written = [quarantine(1), batch(1), batch(2), quarantine(2)];
    let mut live = LiveRecords::default();
    for record in &written {
        live.add(record, record.encode());
    }
    let kept = |live: &LiveRecords| -> Vec<Vec<u8>> {
        live.records().into_iter().map(<[u8]>::to_vec).collect()
    };
    let encoded =
        |records: &[Record]| -> Vec<Vec<u8>> { records.iter().map(Encode::encode).collect() };
    assert_eq!(kept(&live), encoded(&[quarantine(2), batch(1), batch(2)]));
    live.truncate(Slot(1));
    assert_eq!(kept(&live), encoded(&[quarantine(2), batch(2)]));
}

#[test]
fn what_was_truncated_does_not_live_again_after_a_restart() {
    let batch = |slot| Record::Batch {
        slot: Slot(slot),
        batch: Batch::empty(),
    };
    let certificate = |height| CheckpointCertificate {
        statement: CheckpointStatement::new(CHAIN, Height(height), sha256(b""), Millis(0)),
        cosignatures: Vec::new(),
    };
    let log = [
        batch(1),
        batch(2),
        batch(3),
        Record::Certificate(certificate(2)),
        Record::Final(certificate(1)),
        batch(4),
    ];
    let live = LiveRecords::of(&log);
    let slots: Vec<Slot> = live.promises.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(slots, [Slot(3), Slot(4)]);
    assert_eq!(live.newest.len(), 2);
}

fn key(index: u8, which: u8) -> SecretKey {
    SecretKey::from_seed(&[index * 3 + which; 32])
}

fn transaction(salt: u64) -> Verified<SignedTransaction> {
    let key = key(9, 0);
    Transaction {
        chain: CHAIN,
        sender: key.account(),
        salt,
        valid_until: Millis(CLOCK + 600_000),
        fuel_max: Fuel(1),
        call: Call::Admit {
            account: AccountId([7; 32]),
            roles: Vec::new(),
        },
    }
    .sign(&key)
    .verify(CHAIN, &ChainLimits::default())
    .expect("well-formed")
}

/// One of the four.
struct Node {
    validator: Validator,
    pool: Arc<Pool>,
    inbox: VecDeque<Event>,
    executed: Vec<TransactionId>,
    /// With the time of each, in milliseconds since the start.
    entered: Vec<(View, u64)>,
    relayed_to: Vec<ValidatorIndex>,
    alive: bool,
    /// Whether it misses what others relay to all.
    deaf: bool,
    _home: tempfile::TempDir,
}

struct Network {
    nodes: Vec<Node>,
    now: u64,
}

impl Network {
    fn new() -> Self {
        let members = (0..4).map(|index| Member {
            name: format!("v{index}"),
            consensus_key: key(index, 1).public(),
            network_key: key(index, 2).public(),
            log_key: key(index, 3).public(),
        });
        let members = ValidatorSet::new(Epoch(0), members.collect()).expect("all differ");
        let now = now(0);
        let nodes = (0..4_u8).map(|index| {
            let own = ValidatorIndex(index.into());
            let config = Config {
                view_timeout: VIEW_TIMEOUT,
                ..Config::new(CHAIN, members.clone(), own, ChainLimits::default())
            };
            let home = tempfile::tempdir().expect("a temporary directory");
            let key = key(index, 1);
            VoteLog::create(home.path(), key.public()).expect("a disk");
            let (vote_log, _) = VoteLog::open(home.path(), key.public()).expect("just made");
            let recovered = chancery_consensus::Recovered {
                records: Vec::new(),
                executed: statement(Height(0)),
                stable: None,
                incarnation: 1 + u64::from(index),
                vote_log_missing: false,
            };
            let restored = Replica::new(config.clone(), key, recovered, now).expect("a new one");
            let pool = Arc::new(Pool::new(
                PoolConfig::default().limits(&ChainLimits::default()),
                Millis(250),
            ));
            let log = (vote_log, Vec::new());
            let (validator, _) =
                Validator::new(restored, log, Arc::clone(&pool), &config, now).expect("a disk");
            Node {
                validator,
                pool,
                inbox: VecDeque::new(),
                executed: Vec::new(),
                entered: Vec::new(),
                relayed_to: Vec::new(),
                alive: true,
                deaf: false,
                _home: home,
            }
        });
        Self {
            nodes: nodes.collect(),
            now: 0,
        }
    }

    /// A client of one validator hands something in; nobody else hears of it at first.
    fn submit(&self, at: usize, salt: u64) -> TransactionId {
        let signed = transaction(salt);
        let id = signed.id();
        let now = now(self.now).since_start;
        self.nodes[at]
            .pool
            .insert(now, Origin::Client, signed)
            .expect("there is room");
        id
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.now < end {
            self.now += 10;
            for index in 0..self.nodes.len() {
                let node = &mut self.nodes[index];
                if !node.alive {
                    continue;
                }
                let events = node.inbox.drain(..).collect();
                let effects = node.validator.turn(now(self.now), events).expect("a disk");
                for effect in effects {
                    self.carry_out(index, effect);
                }
            }
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect) {
        let others = (0..self.nodes.len()).filter(|other| *other != index);
        let from = ValidatorIndex(u16::try_from(index).expect("four"));
        match effect {
            Effect::Broadcast(message) => {
                for other in others {
                    self.message(other, message.clone());
                }
            }
            Effect::Send { to, message } => self.message(to.as_usize(), message),
            Effect::BroadcastBatch(batch) => {
                for other in others {
                    let event = Event::Batch {
                        from,
                        batch: Arc::clone(&batch),
                    };
                    self.nodes[other].inbox.push_back(event);
                }
            }
            Effect::SendBatch { to, batch } => {
                self.nodes[to.as_usize()]
                    .inbox
                    .push_back(Event::Batch { from, batch });
            }
            Effect::RelayToAll(transactions) => {
                for other in others.filter(|other| !self.nodes[*other].deaf) {
                    self.relay(other, &transactions);
                }
            }
            Effect::RelayTo {
                primary,
                transactions,
            } => {
                self.nodes[index].relayed_to.push(primary);
                self.relay(primary.as_usize(), &transactions);
            }
            Effect::EnteredView(view) => self.nodes[index].entered.push((view, self.now)),
            Effect::Execute { slot, batch } => {
                let node = &mut self.nodes[index];
                let ids: Vec<_> = batch.transactions.iter().map(|it| it.id()).collect();
                node.pool.remove(Source::Ordered, ids.iter().copied(), []);
                node.executed.extend(ids);
                node.inbox
                    .push_back(Event::Executed(statement(slot.height())));
            }
            Effect::Final(_) => {}
            Effect::CatchUp { .. } | Effect::Evidence(_) | Effect::Halt(_) => {
                panic!("nobody lies or falls behind: {effect:?}");
            }
        }
    }

    fn message(&mut self, to: usize, message: SignedMessage) {
        let node = &mut self.nodes[to];
        let verified = message.verify(&context()).expect("of a correct validator");
        node.inbox.push_back(Event::Message(verified));
    }

    fn relay(&self, to: usize, transactions: &[Verified<SignedTransaction>]) {
        let node = &self.nodes[to];
        for signed in transactions {
            let now = now(self.now).since_start;
            // It may be there already.
            let _ = node.pool.insert(now, Origin::Peer, signed.clone());
        }
    }

    fn alive(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.alive)
    }
}

fn now(ms: u64) -> Now {
    Now {
        since_start: Millis(ms + 5_000),
        clock: Millis(CLOCK + ms),
    }
}

fn context() -> chancery_consensus::Context {
    let members = (0..4).map(|index| Member {
        name: format!("v{index}"),
        consensus_key: key(index, 1).public(),
        network_key: key(index, 2).public(),
        log_key: key(index, 3).public(),
    });
    chancery_consensus::Context {
        chain: CHAIN,
        validators: ValidatorSet::new(Epoch(0), members.collect()).expect("all differ"),
        window_slots: ChainLimits::default().window_slots,
    }
}

fn statement(height: Height) -> CheckpointStatement {
    let root = sha256(&height.0.to_be_bytes());
    CheckpointStatement::new(CHAIN, height, root, Millis(height.0 * 1_000))
}

#[test]
fn what_waits_when_the_primary_dies_is_ordered_once_by_the_next_one() {
    let mut network = Network::new();
    network.nodes[1].deaf = true;
    network.run(1_000);
    // It has just proposed one of them when it dies.
    let mut ids = BTreeSet::from([network.submit(0, 1)]);
    network.run(10);
    network.nodes[0].alive = false;
    ids.insert(network.submit(2, 2));
    ids.insert(network.submit(3, 3));
    let died = network.now;
    network.run(4_000);
    for node in network.alive() {
        let (view, at) = node.entered.first().copied().expect("another view");
        assert_eq!(view, View(1));
        let took = at - died;
        assert!(took < 2 * VIEW_TIMEOUT.0, "it took {took} ms");
        let executed: BTreeSet<_> = node.executed.iter().copied().collect();
        assert_eq!(executed.len(), node.executed.len(), "none twice");
        assert_eq!(executed, ids);
    }
    for index in [2, 3] {
        assert!(network.nodes[index].relayed_to.contains(&ValidatorIndex(1)));
    }
}

#[test]
fn a_primary_that_leaves_one_out_is_replaced_and_a_busy_one_is_not() {
    let mut network = Network::new();
    network.nodes[0].deaf = true;
    let mut salt = 0;
    let busy = |network: &mut Network, salt: &mut u64, ms: u64| {
        for _ in 0..ms / 100 {
            *salt += 1;
            network.submit(0, *salt);
            network.run(100);
        }
    };
    busy(&mut network, &mut salt, 20_000);
    assert!(network.alive().all(|node| node.entered.is_empty()));
    let left_out = network.submit(2, 1_000_000);
    busy(&mut network, &mut salt, 10_000);
    for node in network.alive() {
        assert_eq!(node.entered.first().map(|(view, _)| *view), Some(View(1)));
        assert!(node.executed.contains(&left_out));
    }
}
