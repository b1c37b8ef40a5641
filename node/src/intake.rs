//! What comes in, judged: frames of peers become verified events, work for the executor, or
//! answers; transactions are admitted to the pool. No clock, no channel, no socket: whoever calls
//! moves what comes of it.

use std::sync::Arc;

use chancery_consensus::{Context, Event, SignedMessage, VerifiedMessage, message_bytes_max};
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, ChainLimits, Millis, ValidatorIndex, Verified};
use chancery_runtime::{BlockContext, DropReason, Runtime};

use crate::catch_up::{self, Answer, Offers, Session};
use crate::gate::{Gate, Here};
use crate::pool::{Origin, Pool, PoolError};
use crate::store::Store;
use crate::wire::BulkMessage;
use crate::worker::Work;

/// Why a transaction was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The newest executed state would not admit it.
    #[error(transparent)]
    NotAdmissible(#[from] DropReason),
    /// It cannot wait here.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// What a frame of the bulk lane leads to.
#[derive(Debug)]
pub enum Judged {
    /// For the validator.
    Event(Event),
    /// For the executor; and perhaps another question to the one it came from.
    Work(Work, Option<BulkMessage>),
    /// Back to the one it came from.
    Answer(BulkMessage),
    /// It brought transactions that wait in the pool now: the validator is to be woken.
    Pooled,
    /// Nothing: it is known, nobody asked for it, or there is no answer.
    Nothing,
}

/// What it takes to judge.
#[derive(Debug, Clone)]
pub struct Intake {
    /// What messages are verified against.
    pub context: Context,
    /// The chain-wide limits.
    pub limits: ChainLimits,
    /// Decides what may be admitted.
    pub runtime: Arc<Runtime>,
    /// The newest state.
    pub store: Arc<Store>,
    /// Where transactions wait.
    pub pool: Arc<Pool>,
    /// Whose blocks are wanted.
    pub catch_up: Arc<Session>,
    /// Snapshots that peers read.
    pub offers: Arc<Offers>,
}

impl Intake {
    /// Judges a frame of the votes lane at monotonic time `now`; `gate` is the peer's.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn vote(
        &self,
        gate: &mut Gate,
        now: Millis,
        here: &Here,
        from: ValidatorIndex,
        frame: &[u8],
    ) -> Result<VerifiedMessage, String> {
        let message = self.admit_vote(gate, now, here, from, frame)?;
        self.verify_vote(message)
    }

    /// The first part of [`Intake::vote`], which costs little: is it worth verifying?
    ///
    /// # Errors
    /// Why it is refused.
    pub fn admit_vote(
        &self,
        gate: &mut Gate,
        now: Millis,
        here: &Here,
        from: ValidatorIndex,
        frame: &[u8],
    ) -> Result<SignedMessage, String> {
        let Context {
            validators,
            window_slots,
            ..
        } = &self.context;
        let bytes_max = message_bytes_max(validators.count(), *window_slots);
        let message = SignedMessage::decode(frame, bytes_max).map_err(|e| e.to_string())?;
        gate.admits(now, here, validators, from, &message)
            .map_err(|e| e.to_string())?;
        Ok(message)
    }

    /// The second part of [`Intake::vote`]: its signatures.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn verify_vote(&self, message: SignedMessage) -> Result<VerifiedMessage, String> {
        message.verify(&self.context).map_err(|e| e.to_string())
    }

    /// Judges a frame of the bulk lane at monotonic time `now`. `newest` is the newest
    /// certificate, which the store gets only with a later block.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn bulk(
        &self,
        now: Millis,
        newest: Option<&CheckpointCertificate>,
        from: ValidatorIndex,
        frame: &[u8],
    ) -> Result<Judged, String> {
        let message = BulkMessage::from_frame(frame, &self.limits).map_err(|e| e.to_string())?;
        Ok(match message {
            BulkMessage::Batch(batch) => {
                let verified = batch.verify(self.context.chain, &self.limits);
                let batch = verified.map_err(|e| e.to_string())?;
                Judged::Event(Event::Batch {
                    from,
                    batch: Arc::new(batch),
                })
            }
            BulkMessage::Transactions(relayed) => self.relayed(now, relayed)?,
            BulkMessage::BlocksRequest { .. } | BulkMessage::SnapshotRequest(_)
                if !self.offers.admits(now, from) =>
            {
                Judged::Nothing
            }
            BulkMessage::BlocksRequest { after, through } => catch_up::serve(
                &self.store.read(),
                newest.cloned(),
                &self.limits,
                after,
                through,
            )
            .map_or(Judged::Nothing, |range| {
                Judged::Answer(BulkMessage::Blocks(range))
            }),
            BulkMessage::SnapshotRequest(request) => {
                let ledger = (&*self.store, newest.cloned());
                let part = self
                    .offers
                    .answer(now, from, &request, ledger, &self.limits);
                part.map_or(Judged::Nothing, |part| {
                    Judged::Answer(BulkMessage::Snapshot(part))
                })
            }
            BulkMessage::Blocks(range) => self.answered(now, from, Answer::Blocks(range)),
            BulkMessage::Snapshot(part) => self.answered(now, from, Answer::Snapshot(part)),
        })
    }

    /// Compiles ahead the code that a batch brings; long enough not to be done in passing.
    pub fn prepare(&self, batch: &Batch) {
        let snapshot = self.store.read();
        let tip = snapshot.tip().header;
        let context = BlockContext {
            chain: self.context.chain,
            height: tip.height.next(),
            time: tip.time_of_next(batch),
        };
        self.runtime.prepare(&context, Arc::new(snapshot), batch);
    }

    /// Takes an answer only of the one who was asked.
    fn answered(&self, now: Millis, from: ValidatorIndex, answer: Answer) -> Judged {
        match self.catch_up.accept(now, from, &answer) {
            Some(more) => {
                let more = more.map(|question| question.message);
                Judged::Work(Work::CatchUp { from, answer }, more)
            }
            None => Judged::Nothing,
        }
    }

    /// One that does not verify is the sender's fault. One that this state would not admit, or that
    /// there is no room for, is not: it may be relayed again.
    fn relayed(&self, now: Millis, relayed: Vec<SignedTransaction>) -> Result<Judged, String> {
        let mut judged = Judged::Nothing;
        for signed in relayed {
            if self.pool.contains(&signed.id()) {
                continue;
            }
            let verified = signed
                .verify(self.context.chain, &self.limits)
                .map_err(|e| e.to_string())?;
            if self.take(now, Origin::Peer, verified).is_ok() {
                judged = Judged::Pooled;
            }
        }
        Ok(judged)
    }

    /// Takes a transaction into the pool if the newest state would admit it; `now` is monotonic.
    ///
    /// # Errors
    /// Why it was not taken; nothing of it is kept then.
    pub fn take(
        &self,
        now: Millis,
        origin: Origin,
        signed: Verified<SignedTransaction>,
    ) -> Result<(), SubmitError> {
        let (id, removals) = (signed.id(), self.pool.removals());
        self.admissible(&signed)?;
        self.pool.insert(now, origin, signed.clone())?;
        // Its block may have been made meanwhile: then nothing would remove it any more, and it
        // would look as if the primary left it waiting.
        if self.pool.removals() != removals
            && let Err(reason) = self.admissible(&signed)
        {
            self.pool.forget(&id);
            return Err(reason.into());
        }
        Ok(())
    }

    fn admissible(&self, signed: &SignedTransaction) -> Result<(), DropReason> {
        let snapshot = self.store.read();
        let block_time = snapshot.tip().header.time;
        self.runtime.admissible(&snapshot, block_time, signed)
    }
}
