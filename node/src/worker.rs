//! The executor's side of a validator: work in, outcomes out, in order. It makes and writes
//! blocks; no clock, no channel, no socket.

use std::sync::Arc;

use chancery_consensus::Event;
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{Batch, Height, Millis, Slot, ValidatorIndex, Verified};

use crate::catch_up::{Next, RangeError, Session};
use crate::executor::{CatchUpError, Executed, Executor};
use crate::pool::{Pool, Source};
use crate::store::StoreError;
use crate::wire::{BlockRange, BulkMessage};

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
    /// Execute blocks that a peer sent.
    CatchUp {
        /// Which peer.
        from: ValidatorIndex,
        /// The blocks.
        range: BlockRange,
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
    /// A peer served blocks that do not verify.
    Lied {
        /// Which.
        peer: ValidatorIndex,
        /// What they break.
        error: RangeError,
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
            Work::CatchUp { from, range } => self.catch_up(from, range),
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
        range: BlockRange,
    ) -> Result<Vec<Outcome>, StoreError> {
        let blocks = match self.executor.catch_up(range) {
            Ok(blocks) => blocks,
            Err(CatchUpError::Range(error)) => {
                self.catch_up.abandon();
                return Ok(vec![Outcome::Lied { peer: from, error }]);
            }
            Err(error @ CatchUpError::Diverged { .. }) => {
                return Ok(vec![Outcome::Halt(error.to_string())]);
            }
            Err(CatchUpError::Store(error)) => return Err(error),
        };
        let nothing_came = blocks.is_empty();
        let mut outcomes: Vec<Outcome> = blocks
            .into_iter()
            .map(|block| self.made(Source::Fetched, block))
            .collect();
        if !nothing_came {
            outcomes.push(Outcome::Tell(Event::Executed(self.executor.statement())));
        }
        let after = self.height();
        match self.catch_up.next(after) {
            Next::Ask { .. } if nothing_came => self.catch_up.abandon(),
            Next::Ask { from, through } => outcomes.push(Outcome::Send {
                to: from,
                message: BulkMessage::BlocksRequest { after, through },
            }),
            Next::CaughtUp(certificate) => {
                self.executor.keep_certificate(certificate.clone());
                outcomes.push(Outcome::Tell(Event::CaughtUp {
                    certificate,
                    executed: self.executor.statement(),
                }));
            }
            Next::Nothing => {}
        }
        Ok(outcomes)
    }

    fn made(&self, source: Source, block: Executed) -> Outcome {
        let executed = block.receipts.iter().map(|receipt| receipt.transaction);
        let dropped = block.dropped.iter().map(|(id, _)| *id);
        let arrivals = self.pool.remove(source, executed, dropped);
        self.pool.remove_expired(block.header.time);
        Outcome::Block { block, arrivals }
    }
}
