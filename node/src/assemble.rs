//! Puts the parts of a validator together from what is on its disk: everything that decides, and
//! nothing that moves bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_consensus::{Config, Now, Record, Recovered, Replica, RestoreError, SingleRecord};
use chancery_genesis::Genesis;
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::state_tree::{StateTree, key_hash, value_hash};
use chancery_ledger::{ChainId, ChainLimits, CodecError, SecretKey, Slot, View};
use chancery_runtime::Runtime;

use crate::catch_up::Session;
use crate::executor::Executor;
use crate::intake::Intake;
use crate::pool::Pool;
use crate::store::{GenesisBlock, Store, VoteLog, VoteLogError};
use crate::validator::{Effect, Validator};
use crate::worker::Worker;

/// What a vote log begins with that was put in the place of a lost one: a quarantine without end,
/// until the replica has found out which end is safe and has written that.
pub const FORGOTTEN: Record = Record::Quarantine {
    slots_through: Slot(u64::MAX),
    view_least: View(u64::MAX),
};

/// Why what is on disk makes no validator.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A record of the vote log is not one of this version.
    #[error("the vote log holds a record that is none: {0}")]
    Record(#[from] CodecError),
    /// The vote log was used on another ledger with the same key.
    #[error("the vote log holds votes of chain {0}: one key serves one ledger")]
    ForeignVotes(ChainId),
    /// What is on disk does not fit together.
    #[error("this validator cannot go on from what is on disk: {0}")]
    Restore(#[from] RestoreError),
    /// The vote log cannot be written.
    #[error(transparent)]
    VoteLog(#[from] VoteLogError),
}

/// The parts of a validator.
#[derive(Debug)]
pub struct Parts {
    /// Votes.
    pub validator: Validator,
    /// What it says first.
    pub first: Vec<Effect>,
    /// Makes blocks.
    pub worker: Worker,
    /// Judges what comes in.
    pub intake: Intake,
    /// The newest checkpoint that was final here, by the store or by the vote log.
    pub newest_final: Option<CheckpointCertificate>,
}

/// The records of a vote log as its file has them, if they are all of this version and chain.
///
/// # Errors
/// If one is not.
pub fn read_records(
    bytes: &[Vec<u8>],
    chain: ChainId,
    limits: &ChainLimits,
) -> Result<Vec<Record>, AssembleError> {
    let records: Vec<Record> = bytes
        .iter()
        .map(|bytes| Record::decode(bytes, limits))
        .collect::<Result<_, _>>()?;
    for record in &records {
        if let Record::Vote(vote) = record
            && vote.chain != chain
        {
            return Err(AssembleError::ForeignVotes(vote.chain));
        }
    }
    Ok(records)
}

/// The block that the ledger of `genesis` begins with.
#[must_use]
pub fn genesis_block(genesis: &Genesis) -> GenesisBlock {
    let state = genesis.initial_state();
    let leaves: BTreeMap<_, _> = state
        .iter()
        .map(|(key, value)| (key_hash(key), value_hash(value)))
        .collect();
    let tree = StateTree::build(leaves);
    let header = genesis.genesis_block(tree.root(), tree.count());
    GenesisBlock { header, state }
}

/// Puts a validator together; reads the whole state once. `incarnation` is a number for this run:
/// random, not 0. More than `snapshot_after_blocks` behind, it takes over a peer's state.
///
/// # Errors
/// If vote log and ledger do not fit together, or the vote log cannot be written.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts, each of another type; there is one caller"
)]
pub fn assemble(
    config: Config,
    key: SecretKey,
    (vote_log, records): (VoteLog, Vec<Record>),
    store: Arc<Store>,
    runtime: Arc<Runtime>,
    pool: Arc<Pool>,
    incarnation: u64,
    snapshot_after_blocks: u64,
    now: Now,
) -> Result<Parts, AssembleError> {
    let context = config.context();
    let limits = config.limits.clone();
    let own = config.own;
    let executor = Executor::new(
        context.chain,
        context.validators.clone(),
        Arc::clone(&runtime),
        Arc::clone(&store),
    );
    let stable = store.read().newest_certificate();
    let executed = executor.statement();
    let quarantine = |record: &&Record| record.single() == Some(SingleRecord::Quarantine);
    let vote_log_missing = records.iter().rfind(quarantine) == Some(&FORGOTTEN);
    let remembered = records.iter().filter(|record| **record != FORGOTTEN);
    let recovered = Recovered {
        records: remembered.cloned().collect(),
        executed: executed.clone(),
        stable: stable.clone(),
        incarnation,
        vote_log_missing,
    };
    let restored = Replica::new(config.clone(), key, recovered, now)?;
    let logged = records.iter().filter_map(|record| match record {
        Record::Final(certificate) => Some(certificate.clone()),
        _ => None,
    });
    let stored = stable.into_iter().chain(logged);
    let (validator, first) = Validator::new(
        restored,
        (vote_log, records.clone()),
        Arc::clone(&pool),
        &config,
        now,
    )?;
    let said = first.iter().filter_map(|effect| match effect {
        Effect::Final(certificate) => Some(certificate.clone()),
        _ => None,
    });
    // What was reported as final stays so, from the first answer on.
    let newest_final = stored
        .chain(said)
        .filter(|certificate| certificate.statement.height <= executed.height)
        .max_by_key(|certificate| certificate.statement.height);
    let everybody = config.validators.iter().map(|(index, _)| index);
    let others = everybody.filter(|index| *index != own).collect();
    let catch_up = Arc::new(Session::new(others, snapshot_after_blocks));
    let worker = Worker::new(executor, Arc::clone(&pool), Arc::clone(&catch_up));
    let intake = Intake {
        context,
        limits,
        runtime,
        store,
        pool,
        catch_up,
        offers: Arc::default(),
    };
    Ok(Parts {
        validator,
        first,
        worker,
        intake,
        newest_final,
    })
}
