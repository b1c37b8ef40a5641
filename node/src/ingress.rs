//! Turns frames from peers into verified events. Whatever does not verify is counted and dropped;
//! signatures are checked here, off the validator's thread.

use std::sync::Arc;

use chancery_consensus::{Body, Context, Event, SignedMessage, VerifiedMessage};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, Height, ValidatorIndex};
use tokio::sync::mpsc;
use tracing::debug;

use crate::catch_up;
use crate::handle::NodeHandle;
use crate::network::{Incoming, Lane};
use crate::pool::Origin;
use crate::threads::{Input, Work};
use crate::wire::{BlockRange, BulkMessage};

/// Verifies consensus messages, in the order of their arrival.
pub(crate) async fn votes(handle: Arc<NodeHandle>, mut frames: mpsc::Receiver<Incoming>) {
    let context = Context {
        chain: handle.chain,
        validators: handle.validators.clone(),
    };
    while let Some(Incoming { from, frame, .. }) = frames.recv().await {
        let final_height = handle.progress.borrow().final_height;
        match judge_vote(&context, final_height, from, &frame) {
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

fn judge_vote(
    context: &Context,
    final_height: Height,
    from: ValidatorIndex,
    frame: &[u8],
) -> Result<VerifiedMessage, String> {
    let message = SignedMessage::decode(frame).map_err(|e| e.to_string())?;
    // Votes may be passed on; a status is only worth something fresh, from its author.
    if matches!(message.body, Body::Status(_)) && message.from != from {
        return Err(format!("a status of validator {}", message.from));
    }
    // Refused before it costs a quorum of signature checks.
    if let Body::Certificate(certificate) = &message.body
        && certificate.statement.height <= final_height
    {
        return Err("a certificate of what is final here".to_owned());
    }
    message.verify(context).map_err(|e| e.to_string())
}

/// Verifies batches, transactions and blocks, in the order of their arrival.
pub(crate) async fn bulk(
    handle: Arc<NodeHandle>,
    work: std::sync::mpsc::Sender<Work>,
    mut frames: mpsc::Receiver<Incoming>,
) {
    while let Some(Incoming { from, frame, .. }) = frames.recv().await {
        let (shared, work) = (Arc::clone(&handle), work.clone());
        // A batch costs a signature check a transaction: never on an async worker.
        let event = tokio::task::spawn_blocking(move || judge(&shared, &work, from, &frame)).await;
        match event {
            Ok(Ok(Some(event))) => {
                if handle.inputs.send(Input::Event(event)).await.is_err() {
                    return;
                }
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                handle.metrics.frame_refused();
                debug!(peer = from.0, error, "refused a bulk message");
            }
            Err(_) => return,
        }
    }
}

fn judge(
    handle: &NodeHandle,
    work: &std::sync::mpsc::Sender<Work>,
    from: ValidatorIndex,
    frame: &[u8],
) -> Result<Option<Event>, String> {
    let limits = handle.limits();
    match BulkMessage::from_frame(frame, limits).map_err(|e| e.to_string())? {
        BulkMessage::Batch(batch) => batch_event(handle, batch).map(Some),
        BulkMessage::Transaction(signed) => take_relayed(handle, signed).map(|()| None),
        BulkMessage::BlocksRequest { after, through } => {
            serve_blocks(handle, from, after, through);
            Ok(None)
        }
        BulkMessage::Blocks(range) => {
            take_blocks(handle, work, from, range);
            Ok(None)
        }
    }
}

fn batch_event(handle: &NodeHandle, batch: Batch) -> Result<Event, String> {
    let verified = batch
        .verify(handle.chain, handle.limits())
        .map_err(|e| e.to_string())?;
    Ok(Event::Batch(Arc::new(verified)))
}

fn take_relayed(handle: &NodeHandle, signed: SignedTransaction) -> Result<(), String> {
    if handle.is_pending(&signed.id()) {
        return Ok(());
    }
    let verified = signed
        .verify(handle.chain, handle.limits())
        .map_err(|e| e.to_string())?;
    handle
        .take(Origin::Peer, verified)
        .map_err(|e| e.to_string())
}

fn serve_blocks(handle: &NodeHandle, to: ValidatorIndex, after: Height, through: Height) {
    let newest = handle.progress.borrow().certificate.clone();
    if let Some(range) = catch_up::serve(
        &handle.store.read(),
        newest,
        handle.limits(),
        after,
        through,
    ) {
        handle
            .network
            .send(to, Lane::Bulk, BulkMessage::Blocks(range).to_frame());
    }
}

/// Hands blocks to the executor, if they are of the one who was asked.
fn take_blocks(
    handle: &NodeHandle,
    work: &std::sync::mpsc::Sender<Work>,
    from: ValidatorIndex,
    range: BlockRange,
) {
    if handle.catch_up.accepts_answer(from) {
        // The receiver is gone only while the node stops.
        let _ = work.send(Work::CatchUp { from, range });
    }
}
