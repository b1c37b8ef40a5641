//! Moves frames of peers to where they are judged, and on. Whatever does not verify is counted and
//! dropped; signatures are checked here, off the validator's thread.
//!
//! Each peer has a task of its own on each lane, which takes its frames one after the other, and
//! the tasks take turns where there is something to share: a peer that sends more than its share,
//! or what is dear to verify, waits for itself. A frame keeps its place in its peer's quota until
//! the validator's thread has taken what came of it.
//!
//! The code that a primary's batch brings is compiled before the replica hears of it ([`Ahead`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chancery_consensus::{Event, SignedMessage, VerifiedMessage};
use chancery_ledger::{Batch, ValidatorIndex, Verified};
use tokio::sync::{Semaphore, mpsc};
use tracing::debug;

use crate::ahead::Ahead;
use crate::gate::{Gate, Here};
use crate::handle::NodeHandle;
use crate::intake::Judged;
use crate::network::{Incoming, Lane, Place};
use crate::threads::{Input, Job};

/// Threads that verify costly consensus messages, and bulk messages; whoever waits for one is next.
const COSTLY_VOTES_THREADS: usize = 1;
const BULK_THREADS: usize = 2;

/// What a peer is served a second at most, in bytes; the frames behind its request wait meanwhile.
const SERVED_BYTES_PER_SECOND: u64 = 64 << 20;
/// What any answer costs at least, in bytes.
const SERVED_BYTES_MIN: u64 = 64 << 10;

/// Verifies consensus messages, those of each peer in the order of their arrival.
pub(crate) async fn votes(handle: Arc<NodeHandle>, frames: mpsc::Receiver<Incoming>) {
    let costly = Arc::new(Semaphore::new(COSTLY_VOTES_THREADS));
    hand_out(&Arc::clone(&handle), frames, |frames| {
        tokio::spawn(votes_of_peer(
            Arc::clone(&handle),
            Arc::clone(&costly),
            frames,
        ));
    })
    .await;
}

/// Verifies batches, transactions and blocks, those of each peer in the order of their arrival.
pub(crate) async fn bulk(
    handle: Arc<NodeHandle>,
    work: std::sync::mpsc::Sender<Job>,
    ahead: Arc<Ahead>,
    frames: mpsc::Receiver<Incoming>,
) {
    let threads = Arc::new(Semaphore::new(BULK_THREADS));
    hand_out(&Arc::clone(&handle), frames, |frames| {
        tokio::spawn(bulk_of_peer(
            Arc::clone(&handle),
            work.clone(),
            Arc::clone(&threads),
            Arc::clone(&ahead),
            frames,
        ));
    })
    .await;
}

/// Starts a task for each peer and gives it its frames. The peers' quotas bound what waits.
async fn hand_out(
    handle: &NodeHandle,
    mut frames: mpsc::Receiver<Incoming>,
    start: impl Fn(mpsc::UnboundedReceiver<Incoming>),
) {
    let tasks: BTreeMap<ValidatorIndex, _> = handle
        .validators
        .iter()
        .filter(|(index, _)| *index != handle.own)
        .map(|(index, _)| {
            let (task, frames) = mpsc::unbounded_channel();
            start(frames);
            (index, task)
        })
        .collect();
    while let Some(incoming) = frames.recv().await {
        let sent = tasks.get(&incoming.from).map(|task| task.send(incoming));
        if let Some(Err(_)) = sent {
            // The validator's thread has ended.
            return;
        }
    }
}

async fn votes_of_peer(
    handle: Arc<NodeHandle>,
    costly: Arc<Semaphore>,
    mut frames: mpsc::UnboundedReceiver<Incoming>,
) {
    let mut gate = Gate::default();
    while let Some(Incoming {
        from, frame, place, ..
    }) = frames.recv().await
    {
        let now = handle.clock.now().since_start;
        let here = Here::from(&**handle.overview.borrow());
        let admitted = handle
            .intake
            .admit_vote(&mut gate, now, &here, from, &frame);
        drop(frame);
        let judged = match admitted {
            Ok(message) if Gate::is_costly(&message) => {
                verify_apart(&handle, &costly, message).await
            }
            Ok(message) => handle.intake.verify_vote(message),
            Err(error) => Err(error),
        };
        match judged {
            Ok(message) => {
                if !tell(&handle, Event::Message(message), place).await {
                    return;
                }
            }
            Err(error) => {
                handle.metrics.frame_refused();
                debug!(peer = from.0, error, "refused a consensus message");
            }
        }
        // One message of each peer at a time.
        tokio::task::yield_now().await;
    }
}

async fn verify_apart(
    handle: &Arc<NodeHandle>,
    costly: &Semaphore,
    message: SignedMessage,
) -> Result<VerifiedMessage, String> {
    // Neither fails before the runtime ends.
    let _turn = costly.acquire().await.map_err(|e| e.to_string())?;
    let handle = Arc::clone(handle);
    tokio::task::spawn_blocking(move || handle.intake.verify_vote(message))
        .await
        .map_err(|e| e.to_string())?
}

async fn bulk_of_peer(
    handle: Arc<NodeHandle>,
    work: std::sync::mpsc::Sender<Job>,
    threads: Arc<Semaphore>,
    ahead: Arc<Ahead>,
    mut frames: mpsc::UnboundedReceiver<Incoming>,
) {
    while let Some(Incoming {
        from, frame, place, ..
    }) = frames.recv().await
    {
        let Ok(turn) = threads.acquire().await else {
            return;
        };
        let shared = Arc::clone(&handle);
        // A batch costs a signature check a transaction: never on an async worker.
        let judged = tokio::task::spawn_blocking(move || judge(&shared, from, &frame)).await;
        drop(turn);
        match judged {
            Ok(Ok(Judged::Event(event))) => {
                if let Event::Batch { batch, .. } = &event
                    && from == handle.overview.borrow().primary
                {
                    ahead.compile(batch).await;
                }
                if !tell(&handle, event, place).await {
                    return;
                }
            }
            Ok(Ok(Judged::Work(ordered, question))) => {
                // The receiver is gone only while the node stops.
                let _ = work.send(Job::Work(ordered));
                if let Some(message) = question {
                    handle.network.send(from, Lane::Bulk, message.to_frame());
                }
            }
            Ok(Ok(Judged::Answer(message))) => {
                let frame = message.to_frame();
                let served = (frame.len() as u64).max(SERVED_BYTES_MIN);
                handle.network.send(from, Lane::Bulk, frame);
                let pause = Duration::from_micros(served * 1_000_000 / SERVED_BYTES_PER_SECOND);
                tokio::time::sleep(pause).await;
            }
            Ok(Ok(Judged::Pooled)) => handle.wake(),
            Ok(Ok(Judged::Nothing)) => {}
            Ok(Err(error)) => {
                handle.metrics.frame_refused();
                debug!(peer = from.0, error, "refused a bulk message");
            }
            Err(_) => return,
        }
    }
}

fn judge(handle: &NodeHandle, from: ValidatorIndex, frame: &[u8]) -> Result<Judged, String> {
    let newest = handle.progress.borrow().certificate.clone();
    let now = handle.clock.now().since_start;
    handle.intake.bulk(now, newest.as_ref(), from, frame)
}

/// Compiles ahead what this validator proposes, while others do the same.
pub(crate) async fn proposed(
    ahead: Arc<Ahead>,
    mut batches: mpsc::UnboundedReceiver<Arc<Verified<Batch>>>,
) {
    while let Some(batch) = batches.recv().await {
        ahead.compile(&batch).await;
    }
}

/// False once the validator's thread has ended.
async fn tell(handle: &NodeHandle, event: Event, place: Place) -> bool {
    let input = Input::Event {
        event,
        place: Some(place),
    };
    handle.inputs.send(input).await.is_ok()
}
