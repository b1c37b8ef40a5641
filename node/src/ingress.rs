//! Moves frames of peers to where they are judged, and on. Whatever does not verify is counted and
//! dropped; signatures are checked here, off the validator's thread.

use std::sync::Arc;

use chancery_consensus::Event;
use chancery_ledger::ValidatorIndex;
use tokio::sync::mpsc;
use tracing::debug;

use crate::handle::NodeHandle;
use crate::intake::Judged;
use crate::network::{Incoming, Lane};
use crate::threads::{Input, Job};

/// Verifies consensus messages, in the order of their arrival.
pub(crate) async fn votes(handle: Arc<NodeHandle>, mut frames: mpsc::Receiver<Incoming>) {
    while let Some(Incoming { from, frame, .. }) = frames.recv().await {
        let final_height = handle.progress.borrow().final_height;
        match handle.intake.vote(final_height, from, &frame) {
            Ok(message) => {
                if handle
                    .inputs
                    .send(Input::Event(Event::Message(message)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Err(error) => {
                handle.metrics.frame_refused();
                debug!(peer = from.0, error, "refused a consensus message");
            }
        }
    }
}

/// Verifies batches, transactions and blocks, in the order of their arrival.
pub(crate) async fn bulk(
    handle: Arc<NodeHandle>,
    work: std::sync::mpsc::Sender<Job>,
    mut frames: mpsc::Receiver<Incoming>,
) {
    while let Some(Incoming { from, frame, .. }) = frames.recv().await {
        let shared = Arc::clone(&handle);
        // A batch costs a signature check a transaction: never on an async worker.
        let judged = tokio::task::spawn_blocking(move || judge(&shared, from, &frame)).await;
        match judged {
            Ok(Ok(Judged::Event(event))) => {
                if handle.inputs.send(Input::Event(event)).await.is_err() {
                    return;
                }
            }
            Ok(Ok(Judged::Work(ordered))) => {
                // The receiver is gone only while the node stops.
                let _ = work.send(Job::Work(ordered));
            }
            Ok(Ok(Judged::Answer(message))) => {
                handle.network.send(from, Lane::Bulk, message.to_frame());
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
