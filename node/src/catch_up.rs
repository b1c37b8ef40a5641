//! Catching up: what PBFT will not bring here any more is fetched from a peer, and checked against
//! what a quorum certified. The peer is believed in nothing.
//!
//! Few blocks are executed again ([`blocks`]); where thousands are missing, the state after them is
//! taken over instead ([`snapshot`], served from [`offers`]). [`Session`] is the side that asks: one
//! source at a time, one or two questions on their way, so that nobody is listened to who was not
//! asked. A source that lied is not asked again for a while; one that is slow, or that takes too
//! long altogether, is left for the next one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::state_tree::key_hash;
use chancery_ledger::{Height, Millis, ValidatorIndex};
use parity_scale_codec::Encode as _;

use crate::wire::{BlockRange, BulkMessage, SnapshotPart, SnapshotRequest, StateEntry};

pub mod blocks;
pub mod offers;
pub mod snapshot;
#[cfg(test)]
mod tests;

pub use blocks::{RANGE_BLOCKS_MAX, RANGE_BYTES_MAX, RangeError, serve, verify};
pub use offers::Offers;

/// How long a source is watched before it is judged.
const WATCHED_FOR: Millis = Millis(1_500);

/// A source that sent fewer bytes while it was watched, and left nothing here to be done, is too
/// slow: it may have gone, or want to keep this validator from catching up.
const RECEIVED_MIN: usize = 64 * 1024;

/// How often a slow source of a snapshot is given another chance before it is left: what came of
/// the snapshot is lost then.
const CHANCES_MAX: u32 = 4;

/// How often a source is asked for a snapshot before it is asked for blocks instead. The first
/// question lets it hold a view until that is certified; where the ledger stands still, perhaps
/// for want of this very validator, nothing will be, and only blocks help.
const OFFERS_ASKED_MAX: u32 = 2;

/// So long one source may take altogether, however much it sends; twice as long for the next one
/// whenever one was left because of that. A source that sends enough and never ends is left, and one
/// that needs long gets it.
const PATIENCE: Millis = Millis(60_000);

/// So long a source that lied is not asked again.
const LIAR_FOR: Millis = Millis(600_000);

/// Ranges of blocks that wait to be executed while the next one is already asked for.
const QUEUED_MAX: u32 = 2;

/// What a source sent.
#[derive(Debug)]
pub enum Answer {
    /// Blocks to execute.
    Blocks(BlockRange),
    /// A part of a snapshot.
    Snapshot(SnapshotPart),
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Self::Blocks(range) => range.encoded_size(),
            Self::Snapshot(part) => part.encoded_size(),
        }
    }
}

/// A message to a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// To whom.
    pub to: ValidatorIndex,
    /// What.
    pub message: BulkMessage,
}

/// What follows once an answer is dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Ask for more.
    Ask(Question),
    /// Everything up to the certified height is here.
    CaughtUp(CheckpointCertificate),
    /// The answer to a question is on its way, or nobody had asked.
    Wait,
}

/// One catch-up under way.
#[derive(Debug)]
pub struct Session {
    others: Vec<ValidatorIndex>,
    /// More blocks than this behind: a snapshot.
    snapshot_after_blocks: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    asked: Option<Asked>,
    /// The time that was last told.
    now: Millis,
    /// Until when.
    liars: BTreeMap<ValidatorIndex, Millis>,
    /// Sources left because they took too long altogether, since the last catch-up was done.
    endless: u32,
}

impl Inner {
    fn patience(&self) -> Millis {
        PATIENCE.saturating_mul(1 << self.endless.min(20))
    }
}

#[derive(Debug)]
struct Asked {
    from: ValidatorIndex,
    /// Up to where.
    certificate: CheckpointCertificate,
    since: Millis,
    /// The last question.
    message: BulkMessage,
    /// Whether it was answered.
    answered: bool,
    /// Ranges that wait to be executed, and the last block in them.
    queued: u32,
    queued_through: Height,
    /// Since when the source is watched, and what it has sent since then.
    watched_since: Millis,
    received_bytes: usize,
    /// How often it was asked once more, because it was slow.
    chances: u32,
}

impl Asked {
    fn ask(&mut self, message: BulkMessage) -> Question {
        self.answered = false;
        self.message = message.clone();
        Question {
            to: self.from,
            message,
        }
    }

    fn ask_for_blocks(&mut self, after: Height) -> Question {
        let through = self.certificate.statement.height;
        self.ask(BulkMessage::BlocksRequest { after, through })
    }

    /// What a source that is too slow is asked once more, unless it had its chances. The question
    /// or the answer may be lost.
    fn once_more(&mut self, tip: Height) -> Option<Question> {
        let chances = self.chances + 1;
        let question = match &self.message {
            BulkMessage::SnapshotRequest(SnapshotRequest::Offer { .. })
                if chances >= OFFERS_ASKED_MAX =>
            {
                self.queued_through = tip;
                self.ask_for_blocks(tip)
            }
            BulkMessage::SnapshotRequest(_) if chances <= CHANCES_MAX => {
                self.ask(self.message.clone())
            }
            _ => return None,
        };
        self.chances = chances;
        Some(question)
    }

    /// Whether it is an answer to the last question, and not to an earlier one.
    fn is_answered_by(&self, answer: &Answer) -> bool {
        use SnapshotRequest as Request;

        let request = match (&self.message, answer) {
            (BulkMessage::BlocksRequest { after, .. }, Answer::Blocks(range)) => {
                let last = range.blocks.last();
                return last.is_some_and(|last| last.header.height > *after);
            }
            (BulkMessage::SnapshotRequest(request), Answer::Snapshot(part)) => (request, part),
            _ => return false,
        };
        match request {
            (Request::Offer { .. }, SnapshotPart::Offer(_)) => true,
            (Request::Blocks { height, below }, SnapshotPart::Blocks { height: of, blocks }) => {
                let first = blocks.first();
                of == height && first.is_some_and(|first| first.header.height.next() == *below)
            }
            (
                Request::State { height, after },
                SnapshotPart::State {
                    height: of,
                    entries,
                },
            ) => {
                let follows =
                    |entry: &StateEntry| after.is_none_or(|after| key_hash(&entry.key) > after);
                of == height && entries.first().is_some_and(follows)
            }
            _ => false,
        }
    }

    /// Whether the source is too slow, once it was watched for long enough.
    fn judge(&mut self, now: Millis) -> Option<bool> {
        if now.since(self.watched_since) < WATCHED_FOR {
            return None;
        }
        let received = std::mem::take(&mut self.received_bytes);
        self.watched_since = now;
        Some(!self.answered && self.queued == 0 && received < RECEIVED_MIN)
    }
}

impl Session {
    /// Of a validator beside these `others`, which takes a snapshot when it is more than so many
    /// blocks behind.
    #[must_use]
    pub fn new(others: Vec<ValidatorIndex>, snapshot_after_blocks: u64) -> Self {
        Self {
            others,
            snapshot_after_blocks,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock panics")
    }

    /// Begins, with `from` if that one is honest, or goes on, or begins again with the next source;
    /// `tip` is the newest block here. What is to be asked, if anything: nothing while a source is
    /// answering.
    pub fn begin(
        &self,
        now: Millis,
        tip: Height,
        from: ValidatorIndex,
        certificate: CheckpointCertificate,
    ) -> Option<Question> {
        let mut inner = self.lock();
        inner.now = now;
        inner.liars.retain(|_, until| *until > now);
        let (patience, mut first) = (inner.patience(), from);
        if let Some(asked) = &mut inner.asked {
            if certificate.statement.height > asked.certificate.statement.height {
                asked.certificate = certificate.clone();
            }
            let left = asked.from;
            if now.since(asked.since) >= patience {
                inner.endless = inner.endless.saturating_add(1);
            } else {
                let is_slow = asked.judge(now)?;
                if !is_slow {
                    asked.chances = 0;
                    return None;
                }
                if let Some(question) = asked.once_more(tip) {
                    return Some(question);
                }
            }
            first = self.after(left, &certificate);
        }
        self.ask_somebody(&mut inner, tip, first, certificate)
    }

    fn ask_somebody(
        &self,
        inner: &mut Inner,
        tip: Height,
        first: ValidatorIndex,
        certificate: CheckpointCertificate,
    ) -> Option<Question> {
        let through = certificate.statement.height;
        if through <= tip {
            inner.asked = None;
            return None;
        }
        let from = self.source(inner, first, &certificate)?;
        let far_behind = through.0.saturating_sub(tip.0) > self.snapshot_after_blocks;
        let message = if far_behind {
            BulkMessage::SnapshotRequest(SnapshotRequest::Offer { above: tip })
        } else {
            BulkMessage::BlocksRequest {
                after: tip,
                through,
            }
        };
        let asked = inner.asked.insert(Asked {
            from,
            certificate,
            since: inner.now,
            message: message.clone(),
            answered: false,
            queued: 0,
            queued_through: tip,
            watched_since: inner.now,
            received_bytes: 0,
            chances: 0,
        });
        Some(asked.ask(message))
    }

    /// Everybody else: first those who cosigned, and so have executed; the others may have, too.
    fn sources(&self, certificate: &CheckpointCertificate) -> Vec<ValidatorIndex> {
        let mut sources = self.others.clone();
        let cosigners = certificate.cosignatures.iter().map(|c| c.validator);
        sources.sort_by_key(|other| !cosigners.clone().any(|cosigner| cosigner == *other));
        sources
    }

    /// Who follows `left`, so that everybody's turn comes.
    fn after(&self, left: ValidatorIndex, certificate: &CheckpointCertificate) -> ValidatorIndex {
        let sources = self.sources(certificate);
        let mut behind = sources.iter().skip_while(|v| **v != left).skip(1);
        let next = behind.next().or(sources.first());
        next.copied().unwrap_or(left)
    }

    /// `first`, or the next one that did not lie.
    fn source(
        &self,
        inner: &mut Inner,
        first: ValidatorIndex,
        certificate: &CheckpointCertificate,
    ) -> Option<ValidatorIndex> {
        let mut sources = self.sources(certificate);
        let turn = sources.iter().position(|v| *v == first).unwrap_or(0);
        sources.rotate_left(turn);
        let honest = sources.iter().find(|v| !inner.liars.contains_key(v));
        if honest.is_none() {
            // At least one cosigner is correct: better to begin again than to stay behind.
            inner.liars.clear();
        }
        honest.or(sources.first()).copied()
    }

    /// Whether `answer` is one to a question that `from` was asked; each question takes one answer.
    /// If so, perhaps the next question, asked while this answer is being dealt with.
    pub fn accept(
        &self,
        now: Millis,
        from: ValidatorIndex,
        answer: &Answer,
    ) -> Option<Option<Question>> {
        let mut inner = self.lock();
        inner.now = now;
        let asked = inner.asked.as_mut()?;
        if asked.from != from || asked.answered {
            return None;
        }
        if !asked.is_answered_by(answer) {
            return None;
        }
        asked.answered = true;
        asked.received_bytes = asked.received_bytes.saturating_add(answer.bytes());
        let Answer::Blocks(range) = answer else {
            return Some(None);
        };
        asked.queued += 1;
        if let Some(last) = range.blocks.last() {
            asked.queued_through = last.header.height;
        }
        let (after, through) = (asked.queued_through, asked.certificate.statement.height);
        let more = after < through && asked.queued < QUEUED_MAX;
        Some(more.then(|| asked.ask_for_blocks(after)))
    }

    /// What to do now that an answer of `from` is dealt with and block `tip` is the newest here.
    /// `part` is what is missing of a snapshot.
    pub fn next(&self, from: ValidatorIndex, tip: Height, part: Option<SnapshotRequest>) -> Next {
        let mut inner = self.lock();
        let Some(asked) = inner.asked.as_mut().filter(|asked| asked.from == from) else {
            return Next::Wait;
        };
        if let Some(part) = part {
            return Next::Ask(asked.ask(BulkMessage::SnapshotRequest(part)));
        }
        asked.queued = asked.queued.saturating_sub(1);
        let through = asked.certificate.statement.height;
        if tip >= through {
            inner.endless = 0;
            let asked = inner.asked.take();
            return asked.map_or(Next::Wait, |asked| Next::CaughtUp(asked.certificate));
        }
        if !asked.answered {
            return Next::Wait;
        }
        let after = asked.queued_through.max(tip);
        if after >= through {
            return Next::Wait;
        }
        Next::Ask(asked.ask_for_blocks(after))
    }

    /// The source's snapshot is in place: what it certifies counts if it is newer.
    pub fn joined(&self, certificate: CheckpointCertificate) {
        if let Some(asked) = &mut self.lock().asked
            && certificate.statement.height > asked.certificate.statement.height
        {
            asked.certificate = certificate;
        }
    }

    /// `from` served something else than this ledger: asks somebody else, and not `from` for a
    /// while.
    pub fn lied(&self, from: ValidatorIndex, tip: Height) -> Option<Question> {
        let mut inner = self.lock();
        let until = inner.now.saturating_add(LIAR_FOR);
        inner.liars.insert(from, until);
        if inner.asked.as_ref().is_none_or(|asked| asked.from != from) {
            return None;
        }
        let certificate = inner.asked.take()?.certificate;
        let next = self.after(from, &certificate);
        self.ask_somebody(&mut inner, tip, next, certificate)
    }

    /// Ends without result and without blame: the replica will ask again.
    pub fn abandon(&self) {
        self.lock().asked = None;
    }
}
