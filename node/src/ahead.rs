//! Compiles the code that a batch brings before the batch is executed.
//!
//! What a primary proposes is compiled before the replica hears of it: so before this validator votes
//! for it, and beside everything else. But a validator waits only for so long, a small part of a view:
//! then it votes, and compiling goes on until the batch is executed.
//!
//! Nobody has paid yet. A primary that sends batches which are never ordered has its backups compile
//! for nothing, so there is an allowance: some batches at once, and one for each interval; what is
//! executed gives its place back. Of validators other than the primary nothing is compiled ahead.
//! What is not compiled ahead is compiled, and paid for, where it is executed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_ledger::{Batch, Millis, Verified};
use tokio::sync::Semaphore;

use crate::gate::Allowance;
use crate::handle::NodeHandle;

/// Threads that compile ahead; the compiler has more of its own.
const THREADS: usize = 1;
/// The part of a view that a batch is held for.
const PART_OF_VIEW: u32 = 4;
/// Batches that may be compiled and not be executed, and how often one more may.
const UNPAID_MAX: u64 = 8;
const UNPAID_INTERVAL: Millis = Millis(5_000);

/// What it takes.
#[derive(Debug)]
pub(crate) struct Ahead {
    handle: Arc<NodeHandle>,
    threads: Arc<Semaphore>,
    patience: Duration,
    unpaid: Mutex<Unpaid>,
}

/// What was compiled for nothing, as far as known.
#[derive(Debug)]
struct Unpaid {
    allowance: Allowance,
    /// How many modules that were compiled ahead had been executed when this was looked at last.
    executed: u64,
}

impl Unpaid {
    fn new() -> Self {
        Self {
            allowance: Allowance::new(UNPAID_MAX, UNPAID_INTERVAL),
            executed: 0,
        }
    }

    /// Whether one more batch may be compiled; `executed` only grows.
    fn take(&mut self, now: Millis, executed: u64) -> bool {
        let returned = executed.saturating_sub(self.executed);
        self.executed = executed;
        self.allowance.give_back(returned);
        self.allowance.take(now)
    }
}

impl Ahead {
    /// For a validator whose views last at least `view_timeout`.
    pub(crate) fn new(handle: Arc<NodeHandle>, view_timeout: Duration) -> Self {
        Self {
            handle,
            threads: Arc::new(Semaphore::new(THREADS)),
            patience: view_timeout / PART_OF_VIEW,
            unpaid: Mutex::new(Unpaid::new()),
        }
    }

    /// Has a batch's code compiled, and returns when it is, or after the time there is for it.
    pub(crate) async fn compile(&self, batch: &Arc<Verified<Batch>>) {
        if !batch.brings_code() || !self.may() {
            return;
        }
        let (threads, handle) = (Arc::clone(&self.threads), Arc::clone(&self.handle));
        let batch = Arc::clone(batch);
        let compiled = async move {
            let turn = threads.acquire_owned().await;
            let compile = move || {
                handle.intake.prepare(&batch);
                drop(turn);
            };
            // It fails only while the node stops.
            let _ = tokio::task::spawn_blocking(compile).await;
        };
        let _ = tokio::time::timeout(self.patience, compiled).await;
    }

    fn may(&self) -> bool {
        let now = self.handle.clock.now().since_start;
        let executed = self.handle.runtime.compilations().ahead_executed;
        let mut unpaid = self.unpaid.lock().expect("no holder of this lock panics");
        unpaid.take(now, executed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_executed_makes_room_and_what_is_not_waits() {
        let mut unpaid = Unpaid::new();
        let taken = |unpaid: &mut Unpaid, now, executed| {
            let mut count = 0;
            while unpaid.take(Millis(now), executed) {
                count += 1;
            }
            count
        };
        assert_eq!(taken(&mut unpaid, 0, 0), UNPAID_MAX);
        assert_eq!(taken(&mut unpaid, UNPAID_INTERVAL.0 - 1, 0), 0);
        assert_eq!(taken(&mut unpaid, UNPAID_INTERVAL.0, 0), 1);
        assert_eq!(taken(&mut unpaid, UNPAID_INTERVAL.0, 3), 3);
        assert_eq!(taken(&mut unpaid, UNPAID_INTERVAL.0, 1_000), UNPAID_MAX);
        assert_eq!(taken(&mut unpaid, UNPAID_INTERVAL.0, 1_000), 0);
    }
}
