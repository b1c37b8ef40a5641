//! Serving snapshots: the views of the database that peers are reading (S9).
//!
//! - A view is of a height that is certified. Where the newest block is not certified yet, the view
//!   of it waits for its certificate, and the peer asks again.
//! - Each peer reads one view at a time. A view that nobody has read for [`IDLE_MAX`], or that one
//!   peer has read for [`READ_FOR_MAX`], is closed: as long as it is open, the file cannot reuse
//!   what it sees.
//! - A peer gets at most [`ANSWERS_PER_SECOND`] answers a second, and [`BURST`] at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::header_log::HeaderLog;
use chancery_ledger::{ChainLimits, Hash, Header, Height, Millis, ValidatorIndex};
use parity_scale_codec::Encode as _;

use crate::store::{Snapshot, Store};
use crate::wire::{PastBlock, SnapshotOffer, SnapshotPart, SnapshotRequest, StateEntry};

/// A view that was not read for so long is closed.
const IDLE_MAX: Millis = Millis(60_000);

/// So long may one peer read one view.
const READ_FOR_MAX: Millis = Millis(1_800_000);

/// A peer that begins gets the view that another one reads, if it is no older than this.
const SHARED_FOR: Millis = Millis(30_000);

/// Answers that a peer gets in a second, over time.
const ANSWERS_PER_SECOND: u64 = 200;

/// Answers that a peer gets at once.
const BURST: u64 = 100;

/// Views that wait for their certificate.
const WAITING_MAX: usize = 4;

/// The most bytes of one part, unless one block or one entry alone has more.
const PART_BYTES_MAX: usize = 512 * 1024;

/// The most blocks in one part.
const PART_BLOCKS_MAX: usize = 1_024;

/// One view of the ledger, of a certified height.
#[derive(Debug)]
struct View {
    snapshot: Snapshot,
    offer: SnapshotOffer,
    made: Millis,
}

/// What one peer reads.
#[derive(Debug)]
struct Reader {
    view: Arc<View>,
    since: Millis,
    last: Millis,
}

/// How much a peer may still ask for.
#[derive(Debug)]
struct Budget {
    /// In thousandths of an answer.
    left: u64,
    at: Millis,
}

#[derive(Debug, Default)]
struct Inner {
    readers: BTreeMap<ValidatorIndex, Reader>,
    budgets: BTreeMap<ValidatorIndex, Budget>,
    /// Views whose block is not certified yet, oldest first.
    waiting: Vec<(Millis, Snapshot, Header)>,
}

/// The views that are open.
#[derive(Debug, Default)]
pub struct Offers(Mutex<Inner>);

impl Offers {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// Whether `from` may have another answer now; counts it.
    pub fn admits(&self, now: Millis, from: ValidatorIndex) -> bool {
        const ANSWER: u64 = 1_000;
        let mut inner = self.lock();
        let full = Budget {
            left: BURST * ANSWER,
            at: now,
        };
        let budget = inner.budgets.entry(from).or_insert(full);
        let gained = now.since(budget.at).0.saturating_mul(ANSWERS_PER_SECOND);
        budget.left = budget.left.saturating_add(gained).min(BURST * ANSWER);
        budget.at = now;
        let admitted = budget.left >= ANSWER;
        if admitted {
            budget.left -= ANSWER;
        }
        admitted
    }

    /// Closes what was not read for long.
    pub fn close_idle(&self, now: Millis) {
        let mut inner = self.lock();
        inner.readers.retain(|_, reader| {
            now.since(reader.last) < IDLE_MAX && now.since(reader.since) < READ_FOR_MAX
        });
        inner
            .waiting
            .retain(|(since, ..)| now.since(*since) < IDLE_MAX);
    }

    /// Answers `from`, or not: where there is nothing to offer yet, or no more.
    ///
    /// `newest` is the newest certificate, which the store gets only with a later block.
    pub fn answer(
        &self,
        now: Millis,
        from: ValidatorIndex,
        request: &SnapshotRequest,
        (store, newest): (&Store, Option<CheckpointCertificate>),
        limits: &ChainLimits,
    ) -> Option<SnapshotPart> {
        self.close_idle(now);
        if let SnapshotRequest::Offer { above } = request {
            let view = self.view(now, *above, (store, newest), limits)?;
            let reader = Reader {
                view: Arc::clone(&view),
                since: now,
                last: now,
            };
            self.lock().readers.insert(from, reader);
            return Some(SnapshotPart::Offer(Box::new(view.offer.clone())));
        }
        let view = {
            let mut inner = self.lock();
            let reader = inner.readers.get_mut(&from)?;
            reader.last = now;
            Arc::clone(&reader.view)
        };
        // A frame has room for one block or entry of the greatest size.
        let bytes_max = PART_BYTES_MAX.min(limits.batch_bytes_max as usize);
        let own = view.offer.header.height;
        let valid_for = Millis(limits.valid_for_ms_max);
        match request {
            SnapshotRequest::Offer { .. } => None,
            SnapshotRequest::Blocks { height, below } if *height == own => {
                let blocks = view.blocks_below(*below, bytes_max, valid_for);
                let height = own;
                (!blocks.is_empty()).then_some(SnapshotPart::Blocks { height, blocks })
            }
            SnapshotRequest::State { height, after } if *height == own => {
                let entries = view.entries_after(after.as_ref(), bytes_max);
                let height = own;
                (!entries.is_empty()).then_some(SnapshotPart::State { height, entries })
            }
            SnapshotRequest::Blocks { .. } | SnapshotRequest::State { .. } => None,
        }
    }

    /// A view of a certified height above `above`: one that a peer reads, or a new one.
    fn view(
        &self,
        now: Millis,
        above: Height,
        (store, newest): (&Store, Option<CheckpointCertificate>),
        limits: &ChainLimits,
    ) -> Option<Arc<View>> {
        let mut inner = self.lock();
        let mut shared = inner.readers.values().map(|reader| &reader.view);
        let is_shared = |view: &&Arc<View>| {
            now.since(view.made) < SHARED_FOR && view.offer.header.height > above
        };
        if let Some(view) = shared.find(is_shared) {
            return Some(Arc::clone(view));
        }
        let current = store.read();
        let tip = current.tip().header;
        if tip.height <= above {
            return None;
        }
        if inner.waiting.last().map(|(.., header)| header.height) != Some(tip.height) {
            inner.waiting.push((now, store.read(), tip));
        }
        let certificate = |height| {
            let stored = current.certificate_at_or_after(height);
            let mut known = stored.into_iter().chain(newest.clone());
            known.find(|certificate| certificate.statement.height == height)
        };
        let newest_first = inner.waiting.iter().enumerate().rev();
        let newer = newest_first.filter(|(_, (.., header))| header.height > above);
        let mut certified = newer.filter_map(|(at, (.., header))| {
            let certificate = certificate(header.height)?;
            Some((at, certificate))
        });
        let Some((at, certificate)) = certified.next() else {
            drop(certified);
            if inner.waiting.len() > WAITING_MAX {
                inner.waiting.remove(0);
            }
            return None;
        };
        drop(certified);
        let (_, snapshot, header) = inner.waiting.swap_remove(at);
        inner.waiting.clear();
        let offer = SnapshotOffer {
            log: HeaderLog::of_size(header.height.0, &|level, index| {
                snapshot.log_node(level, index)
            })?,
            header,
            certificate,
        };
        let view = View {
            snapshot,
            offer,
            made: now,
        };
        view.serves_all(limits).then(|| Arc::new(view))
    }
}

impl View {
    /// Whether every block is here that may be asked for (S5).
    fn serves_all(&self, limits: &ChainLimits) -> bool {
        let Some(base) = self.snapshot.base() else {
            return true;
        };
        let valid_for = Millis(limits.valid_for_ms_max);
        self.snapshot
            .header(base.next())
            .is_some_and(|header| header.time.saturating_add(valid_for) < self.offer.header.time)
    }

    fn blocks_below(&self, below: Height, bytes_max: usize, valid_for: Millis) -> Vec<PastBlock> {
        let mut blocks = Vec::new();
        let mut bytes = 0;
        let top = below.0.min(self.offer.header.height.next().0);
        // Genesis is everybody's own.
        for height in (1..top).rev().take(PART_BLOCKS_MAX) {
            let Some(block) = self.snapshot.block(Height(height)) else {
                break;
            };
            let block = PastBlock {
                header: block.header,
                transactions: block.transactions,
            };
            bytes += block.encoded_size();
            if bytes > bytes_max && !blocks.is_empty() {
                break;
            }
            let is_past = block.header.time.saturating_add(valid_for) < self.offer.header.time;
            blocks.push(block);
            if is_past {
                break;
            }
        }
        blocks
    }

    fn entries_after(&self, after: Option<&Hash>, bytes_max: usize) -> Vec<StateEntry> {
        let entries = self.snapshot.state_entries_after(after, bytes_max);
        let entry = |(key, value)| StateEntry { key, value };
        entries.into_iter().map(entry).collect()
    }
}
