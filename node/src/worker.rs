//! The executor's side of a validator: work in, outcomes out, in order. It makes and writes
//! blocks; no clock, no channel, no socket.

use std::sync::Arc;

use chancery_consensus::Event;
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::state_tree::StateTree;
use chancery_ledger::{Batch, Height, Millis, Slot, ValidatorIndex, Verified};

use crate::catch_up::snapshot::SnapshotError;
use crate::catch_up::{Answer, Next, Question, Session};
use crate::executor::{CatchUpError, Executed, Executor, Taken};
use crate::pool::{Pool, Source};
use crate::store::StoreError;
use crate::wire::BulkMessage;

/// What the executor is asked to do, in order.
#[derive(Debug)]
pub enum Work {
    /// Make the block of a committed batch.
    Execute {
        /// Its slot.
        slot: Slot,
        /// The batch.
        batch: Arc<Verified<Batch>>,
    },
    /// Take what a peer was asked for.
    CatchUp {
        /// Which peer.
        from: ValidatorIndex,
        /// What it sent.
        answer: Answer,
    },
    /// A checkpoint became final.
    Final(CheckpointCertificate),
}

/// What follows from it, in order.
#[derive(Debug)]
pub enum Outcome {
    /// A block is executed and durable.
    Block {
        /// The block.
        block: Executed,
        /// When those of its transactions that our clients had handed in had arrived.
        arrivals: Vec<Millis>,
    },
    /// For the validator.
    Tell(Event),
    /// For a peer.
    Send {
        /// Which.
        to: ValidatorIndex,
        /// What.
        message: BulkMessage,
    },
    /// The ledger goes on from here, by a state that was made elsewhere.
    Joined {
        /// The newest block now.
        height: Height,
    },
    /// A peer served what does not verify.
    Lied {
        /// Which.
        peer: ValidatorIndex,
        /// What it breaks.
        error: CatchUpError,
    },
    /// What is executed here is not what a quorum certified: this validator makes no more blocks.
    Halt(String),
}

/// An executor with the pool it empties and the catch-up it serves.
#[derive(Debug)]
pub struct Worker {
    executor: Executor,
    pool: Arc<Pool>,
    catch_up: Arc<Session>,
}

impl Worker {
    /// From its parts.
    #[must_use]
    pub fn new(executor: Executor, pool: Arc<Pool>, catch_up: Arc<Session>) -> Self {
        Self {
            executor,
            pool,
            catch_up,
        }
    }

    /// The newest block's height.
    #[must_use]
    pub fn height(&self) -> Height {
        self.executor.tip().height
    }

    /// The tree over the newest state; a clone shares it.
    #[must_use]
    pub fn state_tree(&self) -> StateTree {
        self.executor.state_tree()
    }

    /// What there is to cosign about the newest block.
    #[must_use]
    pub fn statement(&self) -> CheckpointStatement {
        self.executor.statement()
    }

    /// Does one piece of work.
    ///
    /// # Errors
    /// If the disk failed: the process must end.
    ///
    /// # Panics
    /// If a batch comes before the batches of all earlier slots.
    pub fn carry_out(&mut self, work: Work) -> Result<Vec<Outcome>, StoreError> {
        match work {
            Work::Execute { slot, batch } => self.execute(slot, &batch),
            Work::CatchUp { from, answer } => self.catch_up(from, answer),
            Work::Final(certificate) => {
                self.executor.keep_certificate(certificate);
                Ok(Vec::new())
            }
        }
    }

    /// Writes what is kept back, before the process ends.
    ///
    /// # Errors
    /// If the disk failed.
    pub fn stop(&mut self) -> Result<(), StoreError> {
        self.executor.flush_certificates()
    }

    fn execute(&mut self, slot: Slot, batch: &Batch) -> Result<Vec<Outcome>, StoreError> {
        let next = self.height().next();
        if slot.height() < next {
            // Catching up was faster than PBFT, and the replica was told so.
            return Ok(Vec::new());
        }
        assert_eq!(slot.height(), next, "batches are executed in slot order");
        let block = self.executor.execute(batch)?;
        let tell = Outcome::Tell(Event::Executed(block.statement.clone()));
        Ok(vec![self.made(Source::Ordered, block), tell])
    }

    fn catch_up(
        &mut self,
        from: ValidatorIndex,
        answer: Answer,
    ) -> Result<Vec<Outcome>, StoreError> {
        let Taken {
            blocks,
            joined,
            part,
        } = match self.executor.take(answer) {
            Ok(taken) => taken,
            Err(CatchUpError::Snapshot(SnapshotError::NotAhead { .. })) => {
                // PBFT was faster.
                self.catch_up.abandon();
                return Ok(Vec::new());
            }
            Err(error @ (CatchUpError::Range(_) | CatchUpError::Snapshot(_))) => {
                let ask_another = self.catch_up.lied(from, self.height()).map(send);
                let lied = Outcome::Lied { peer: from, error };
                return Ok([Some(lied), ask_another].into_iter().flatten().collect());
            }
            Err(error @ CatchUpError::Diverged { .. }) => {
                return Ok(vec![Outcome::Halt(error.to_string())]);
            }
            Err(CatchUpError::Store(error)) => return Err(error),
        };
        let is_higher = joined.is_some() || !blocks.is_empty();
        let mut outcomes: Vec<Outcome> = blocks
            .into_iter()
            .map(|block| self.made(Source::Fetched, block))
            .collect();
        if let Some(certificate) = joined {
            outcomes.push(self.joined(certificate));
        }
        let executed = self.executor.statement();
        let next = self.catch_up.next(from, self.height(), part);
        if let Next::CaughtUp(certificate) = next {
            // Only this, so that the replica sees that it works and asks for what was made in the
            // meantime at once.
            self.executor.keep_certificate(certificate.clone());
            outcomes.push(Outcome::Tell(Event::CaughtUp {
                certificate,
                executed,
            }));
            return Ok(outcomes);
        }
        if is_higher {
            outcomes.push(Outcome::Tell(Event::Executed(executed)));
        }
        if let Next::Ask(question) = next {
            outcomes.push(send(question));
        }
        Ok(outcomes)
    }

    /// What was executed in blocks that are not here does not wait any more.
    fn joined(&self, certificate: CheckpointCertificate) -> Outcome {
        self.catch_up.joined(certificate);
        self.pool.remove_expired(self.executor.tip().time);
        let executed = self.executor.executed_ids();
        self.pool.remove(Source::Fetched, executed, []);
        Outcome::Joined {
            height: self.height(),
        }
    }

    fn made(&self, source: Source, block: Executed) -> Outcome {
        let executed = block.receipts.iter().map(|receipt| receipt.transaction);
        let dropped = block.dropped.iter().map(|(id, _)| *id);
        let arrivals = self.pool.remove(source, executed, dropped);
        self.pool.remove_expired(block.header.time);
        Outcome::Block { block, arrivals }
    }
}

fn send(Question { to, message }: Question) -> Outcome {
    Outcome::Send { to, message }
}
