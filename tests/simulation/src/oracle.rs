//! What must hold, stated anew: nothing here asks production code whether something is right.
//!
//! The oracle watches what processes do (blocks they execute, records they write, messages they
//! send) and every message that is on the wire, those of liars too. It keeps the first violation.

mod traffic;
mod word;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chancery_consensus::Evidence;
use chancery_ledger::checkpoint::CheckpointStatement;
use chancery_ledger::{Batch, BatchDigest, Height, Millis, Slot, TransactionId};

use self::word::{Said, Starting};
use crate::node::{Halt, Observation};

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// No two batches in one slot, whoever executes them.
    Agreement,
    /// No two batches with a quorum of COMMITs in one slot, over all captured traffic.
    TwoCommitQuorums,
    /// No two statements with a quorum of CHECKPOINTs for one height.
    TwoCheckpointQuorums,
    /// Every executed batch was made by somebody, or fills a gap.
    Validity,
    /// Slots are executed in order, each once.
    Order,
    /// A transaction is executed at most once, and only if a client handed it in.
    Transactions,
    /// Equal heights have equal roots.
    Roots,
    /// An honest key never says two things in one place, restarts or not.
    Monotonicity,
    /// An honest key never signs anything in a view that it has left.
    LeftView,
    /// A VIEW-CHANGE of an honest key shows every slot that the key said it had prepared, unless the
    /// slot is certified.
    Hidden,
    /// Certificates that verify are of a quorum, and of what its honest members said.
    Forged,
    /// A NEW-VIEW that verifies carries what a quorum's VIEW-CHANGEs say was prepared last.
    Selection,
    /// Who starts signs nothing new before a quorum, itself included, has heard of it.
    Probation,
    /// What is sent was durable before.
    PersistFirst,
    /// What was final is what the ledger has.
    Durability,
    /// What anybody keeps is bounded.
    Bounds,
    /// With a quorum healed, everything that waits is executed in time.
    Liveness,
    /// And within so many views.
    ViewBound,
    /// Nobody honest is accused.
    FalseEvidence,
    /// Nobody honest, with its disk whole, stops.
    HonestHalt,
    /// What an honest validator sends verifies.
    Refused,
    /// No process panics, whatever it hears.
    Panic,
    /// Twice the same seed, twice the same trace.
    Determinism,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// When, in virtual ms.
    pub at: u64,
    /// How.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} ms: {}", self.rule, self.at, self.how)
    }
}

/// One block as the first honest process made it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    batch: BatchDigest,
    statement: CheckpointStatement,
    by: usize,
}

/// See the module's page.
#[derive(Debug)]
pub struct Oracle {
    quorum: usize,
    /// By validator: may break rules.
    guilty: Vec<bool>,
    /// By process: which validator's key it has.
    keys: Vec<usize>,
    /// Whether processes report what is durable.
    hears_records: bool,
    gap: BatchDigest,
    made: BTreeSet<BatchDigest>,
    submitted: BTreeSet<TransactionId>,
    executed_in: BTreeMap<TransactionId, Slot>,
    chain: BTreeMap<Slot, Block>,
    /// By process: its newest executed slot.
    tips: Vec<Slot>,
    /// By process: the newest slot that was handed over for execution since its start.
    handed: Vec<Slot>,
    /// By process.
    starting: Vec<Starting>,
    said: Vec<Said>,
    /// By validator: its disk was rolled back, or damaged so that a part of its vote log looks as if
    /// it had never been written. It has forgotten what it said, is one of the f, and what it said
    /// then is not held against it.
    forgetful: Vec<bool>,
    commits: BTreeMap<(Slot, u64, BatchDigest), u64>,
    committed: BTreeMap<Slot, BatchDigest>,
    cosigners: BTreeMap<CheckpointStatement, u64>,
    certified: BTreeMap<Height, CheckpointStatement>,
    /// The newest height that anybody honest called final.
    final_height: Height,
    violation: Option<Violation>,
    now: u64,
}

impl Oracle {
    /// For `guilty.len()` validators and processes with the keys of `keys`.
    #[must_use]
    pub fn new(guilty: Vec<bool>, keys: Vec<usize>, quorum: usize, hears_records: bool) -> Self {
        Self {
            quorum,
            said: guilty.iter().map(|_| Said::default()).collect(),
            forgetful: vec![false; guilty.len()],
            guilty,
            tips: vec![Slot(0); keys.len()],
            handed: vec![Slot(0); keys.len()],
            starting: vec![Starting::default(); keys.len()],
            keys,
            hears_records,
            gap: Batch::empty().digest(),
            made: BTreeSet::new(),
            submitted: BTreeSet::new(),
            executed_in: BTreeMap::new(),
            chain: BTreeMap::new(),
            commits: BTreeMap::new(),
            committed: BTreeMap::new(),
            cosigners: BTreeMap::new(),
            certified: BTreeMap::new(),
            final_height: Height(0),
            violation: None,
            now: 0,
        }
    }

    /// The first one.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// The rule is broken.
    pub fn violate(&mut self, rule: Rule, how: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation {
                rule,
                at: self.now,
                how: how(),
            });
        }
    }

    pub(crate) fn at(&mut self, now: u64) {
        self.now = now;
    }

    /// The newest slot that anybody honest executed.
    #[must_use]
    pub fn height(&self) -> Height {
        self.chain
            .last_key_value()
            .map_or(Height(0), |(slot, _)| slot.height())
    }

    /// The newest block is no younger than this: block times are told in seconds.
    #[must_use]
    pub fn block_time(&self) -> Millis {
        let newest = self.chain.last_key_value();
        newest.map_or(Millis(0), |(_, block)| {
            Millis((block.statement.time_seconds + 1) * 1_000)
        })
    }

    /// The newest height that anybody honest called final.
    #[must_use]
    pub fn final_height(&self) -> Height {
        self.final_height
    }

    /// Whether anybody honest executed it.
    #[must_use]
    pub fn has_executed(&self, transaction: TransactionId) -> bool {
        self.executed_in.contains_key(&transaction)
    }

    /// In which slot, if anybody honest did.
    #[must_use]
    pub fn executed_in(&self, transaction: TransactionId) -> Option<Slot> {
        self.executed_in.get(&transaction).copied()
    }

    /// The highest view that an honest key ever asked for.
    #[must_use]
    pub fn view_left_most(&self) -> u64 {
        let honest = self.said.iter().zip(&self.guilty);
        honest
            .filter(|(_, guilty)| !**guilty)
            .map(|(said, _)| said.left)
            .max()
            .unwrap_or(0)
    }

    /// A client handed it in.
    pub fn on_submitted(&mut self, transaction: TransactionId) {
        self.submitted.insert(transaction);
    }

    /// Somebody made the batch, a liar perhaps.
    pub fn on_made(&mut self, batch: BatchDigest) {
        self.made.insert(batch);
    }

    /// The process's disk was damaged, or replaced by an empty or older one: it has so much of the
    /// ledger, and perhaps `forgets` what it promised.
    pub fn on_disk_damaged(&mut self, process: usize, executed: Height, forgets: bool) {
        self.tips[process] = executed.into();
        let key = self.keys[process];
        if forgets {
            self.forgetful[key] = true;
            let durable = std::mem::take(&mut self.said[key].durable);
            self.said[key] = Said {
                durable,
                ..Said::default()
            };
        }
    }

    /// A process tells about itself.
    pub fn observe(&mut self, process: usize, observation: &Observation) {
        let key = self.keys[process];
        if self.guilty[key] {
            if let Observation::Proposed(digest) = observation {
                self.on_made(*digest);
            }
            return;
        }
        match observation {
            Observation::Durable(record) => self.on_durable(process, record),
            Observation::Handed(slot) => {
                let before = std::mem::replace(&mut self.handed[process], *slot);
                if *slot <= before {
                    self.violate(Rule::Order, || {
                        format!("validator {key} was to execute slot {slot} after {before}")
                    });
                }
            }
            Observation::Executed {
                slot,
                batch,
                transactions,
                statement,
            } => self.on_executed(process, *slot, *batch, transactions, statement),
            Observation::Joined(statement) => self.on_joined(process, statement),
            Observation::Final(certificate) => self.on_final(&certificate.statement),
            Observation::Proposed(digest) => self.on_made(*digest),
            Observation::Evidence(evidence) => self.on_evidence(key, evidence),
            Observation::Halted(Halt::Disk) | Observation::Count(_) => {}
            // It noticed that it had forgotten.
            Observation::Halted(Halt::Forgot) if self.forgetful[key] => {}
            Observation::Halted(why) => self.violate(Rule::HonestHalt, || {
                format!("validator {key} stopped: {why:?}")
            }),
        }
    }

    fn on_executed(
        &mut self,
        process: usize,
        slot: Slot,
        batch: BatchDigest,
        transactions: &[TransactionId],
        statement: &CheckpointStatement,
    ) {
        let key = self.keys[process];
        let tip = self.tips[process];
        if slot != tip.next() || statement.height != slot.height() {
            self.violate(Rule::Order, || {
                format!("validator {key} executed slot {slot} after {tip}")
            });
        }
        self.tips[process] = slot;
        if batch != self.gap && !self.made.contains(&batch) {
            self.violate(Rule::Validity, || {
                format!("validator {key} executed {batch} in slot {slot}, which nobody made")
            });
        }
        let Some(block) = self.chain.get(&slot).cloned() else {
            self.check_committed(slot, batch, || format!("validator {key} executed"));
            self.check_transactions(slot, transactions);
            let block = Block {
                batch,
                statement: statement.clone(),
                by: key,
            };
            self.chain.insert(slot, block);
            return;
        };
        if block.batch != batch {
            self.violate(Rule::Agreement, || {
                let Block {
                    batch: other, by, ..
                } = &block;
                format!("in slot {slot} validator {by} executed {other}, validator {key} {batch}")
            });
        } else if block.statement != *statement {
            self.violate(Rule::Roots, || {
                let by = block.by;
                format!("validators {by} and {key} differ in what block {slot} is")
            });
        }
    }

    fn check_transactions(&mut self, slot: Slot, transactions: &[TransactionId]) {
        for id in transactions {
            if let Some(before) = self.executed_in.insert(*id, slot) {
                self.violate(Rule::Transactions, || {
                    format!("transaction {id} was executed in slots {before} and {slot}")
                });
            }
            if !self.submitted.contains(id) {
                self.violate(Rule::Transactions, || {
                    format!("transaction {id} of slot {slot} was never handed in")
                });
            }
        }
    }

    fn on_joined(&mut self, process: usize, statement: &CheckpointStatement) {
        let slot = Slot::from(statement.height);
        self.tips[process] = slot;
        let key = self.keys[process];
        if self.certified.get(&statement.height) != Some(statement) {
            self.violate(Rule::Roots, || {
                format!("validator {key} joined at block {slot}, which nobody certified so")
            });
        }
    }

    fn on_final(&mut self, statement: &CheckpointStatement) {
        let slot = Slot::from(statement.height);
        self.final_height = self.final_height.max(statement.height);
        let block = self.chain.get(&slot).map(|block| &block.statement);
        if block != Some(statement) {
            self.violate(Rule::Durability, || {
                format!("what is called final at height {slot} is not what was executed")
            });
        }
    }

    fn on_evidence(&mut self, key: usize, evidence: &Evidence) {
        let accused = usize::from(evidence.first.from.0);
        let is_guilty = |of: &[bool]| of.get(accused).copied().unwrap_or(false);
        let is_guilty = is_guilty(&self.guilty) || is_guilty(&self.forgetful);
        if !is_guilty || evidence.second.from != evidence.first.from {
            self.violate(Rule::FalseEvidence, || {
                let Evidence { first, second } = evidence;
                format!(
                    "validator {key} accuses {accused}: {:?} / {:?}",
                    first.body, second.body
                )
            });
        }
    }
}
