//! Lanes and frames: what is read from a stream becomes an [`Incoming`] in an inbox.
//!
//! A frame on a stream is its length as 32 bits, big-endian, and its bytes; at least one byte, at
//! most the lane's limit. The length is judged first, then room for the frame is taken from the
//! peer's quota, and memory grows only as bytes arrive. The quota is given back when the receiver
//! drops the [`Place`] of the frame: a peer whose frames are not worked off is not read any further, and
//! QUIC's flow control passes that on to it.

use std::fmt;
use std::sync::Arc;

use chancery_ledger::ValidatorIndex;
use quinn::{ReadError, ReadExactError, RecvStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::NetworkError;
use super::session::Ended;

/// The most that a lane's limit may be set to: 64 MiB.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// The quota counts no frame as less than this, because handling one costs something too.
const FRAME_CHARGE_MIN: usize = 4 << 10;
/// What one peer may have in the inboxes, in bytes as charged; at least one frame in any case.
const VOTES_QUOTA: usize = 1 << 20;
const BULK_QUOTA: usize = 8 << 20;
/// Taken at once for a frame whose bytes are still to come.
const FIRST_ALLOCATION: usize = 16 << 10;

/// One of the two ways to a peer. They do not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Small and urgent. When its queue is full the *oldest* frame is dropped: a newer vote or
    /// status says more than an older one, which is sent again when it is asked for.
    Votes,
    /// Batches and blocks. When its queue is full the *newest* frame is dropped: the batch that
    /// has waited longest is the one the peer's next slot needs, and a peer too slow for all of
    /// them must not lose each just before its turn.
    Bulk,
}

impl Lane {
    pub(super) const ALL: [Self; 2] = [Self::Votes, Self::Bulk];

    /// The first byte of its stream.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Votes => 1,
            Self::Bulk => 2,
        }
    }

    pub(super) fn of_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.byte() == byte)
    }

    /// Higher goes first.
    pub(super) fn priority(self) -> i32 {
        match self {
            Self::Votes => 1,
            Self::Bulk => 0,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Votes => "votes",
            Self::Bulk => "bulk",
        })
    }
}

/// One thing for each lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct PerLane<T> {
    pub(super) votes: T,
    pub(super) bulk: T,
}

impl<T> PerLane<T> {
    pub(super) fn get(&self, lane: Lane) -> &T {
        match lane {
            Lane::Votes => &self.votes,
            Lane::Bulk => &self.bulk,
        }
    }
}

/// The longest frame of each lane, in bytes.
pub(super) type FrameLimits = PerLane<usize>;

impl FrameLimits {
    pub(super) fn new(votes: usize, bulk: usize) -> Result<Self, NetworkError> {
        let limits = Self { votes, bulk };
        for lane in Lane::ALL {
            let bytes_max = *limits.get(lane);
            if !(1..=FRAME_BYTES_MAX).contains(&bytes_max) {
                return Err(NetworkError::FrameLimit { lane, bytes_max });
            }
        }
        Ok(limits)
    }
}

/// A frame that a peer sent.
#[derive(Debug)]
pub struct Incoming {
    /// Who sent it: proved by its network key.
    pub from: ValidatorIndex,
    /// The lane it came on.
    pub lane: Lane,
    /// Its bytes, as the peer sent them.
    pub frame: Vec<u8>,
    /// Its place in the peer's quota.
    pub place: Place,
}

/// A place in a peer's quota, free again when this is dropped: so it is kept until what the frame
/// brought is dealt with.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held, never looked at")] OwnedSemaphorePermit);

/// Where frames go, one channel a lane, so that a full one does not stop the other.
#[derive(Debug, Clone)]
pub struct Inboxes {
    /// For [`Lane::Votes`].
    pub votes: mpsc::Sender<Incoming>,
    /// For [`Lane::Bulk`].
    pub bulk: mpsc::Sender<Incoming>,
}

/// The receiving ends of [`Inboxes`].
#[derive(Debug)]
pub struct InboxReceivers {
    /// For [`Lane::Votes`].
    pub votes: mpsc::Receiver<Incoming>,
    /// For [`Lane::Bulk`].
    pub bulk: mpsc::Receiver<Incoming>,
}

impl Inboxes {
    /// Channels with room for what the quotas of `peers` peers allow: no peer ever waits for a
    /// place that another one took. (With less room they take turns.)
    #[must_use]
    pub fn for_peers(peers: usize) -> (Self, InboxReceivers) {
        let capacity = |quota: usize| (quota / FRAME_CHARGE_MIN).saturating_mul(peers.max(1));
        let (votes, votes_out) = mpsc::channel(capacity(VOTES_QUOTA));
        let (bulk, bulk_out) = mpsc::channel(capacity(BULK_QUOTA));
        let receivers = InboxReceivers {
            votes: votes_out,
            bulk: bulk_out,
        };
        (Self { votes, bulk }, receivers)
    }

    pub(super) fn get(&self, lane: Lane) -> &mpsc::Sender<Incoming> {
        match lane {
            Lane::Votes => &self.votes,
            Lane::Bulk => &self.bulk,
        }
    }
}

/// How much of a peer's frames may be in memory here; it outlives connections.
#[derive(Debug)]
pub(super) struct Quota {
    places: Arc<Semaphore>,
    total: usize,
}

impl Quota {
    pub(super) fn new(lane: Lane, frame_bytes_max: usize) -> Self {
        let total = match lane {
            Lane::Votes => VOTES_QUOTA,
            Lane::Bulk => BULK_QUOTA,
        }
        .max(frame_bytes_max);
        Self {
            places: Arc::new(Semaphore::new(total)),
            total,
        }
    }

    async fn take(&self, frame_bytes: usize) -> OwnedSemaphorePermit {
        let charge = frame_bytes.max(FRAME_CHARGE_MIN).min(self.total);
        let charge = u32::try_from(charge).expect("limits are at most 64 MiB");
        self.places
            .clone()
            .acquire_many_owned(charge)
            .await
            .expect("this semaphore is never closed")
    }
}

/// How a peer broke the rules of lanes and frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("a frame of {bytes} bytes on the {lane} lane, where {bytes_max} are allowed")]
    FrameTooLong {
        lane: Lane,
        bytes: u64,
        bytes_max: usize,
    },
    #[error("an empty frame on the {lane} lane")]
    FrameEmpty { lane: Lane },
    #[error("a stream whose first byte is {byte}, which is no lane")]
    NoLane { byte: u8 },
    #[error("two streams for the {lane} lane")]
    LaneTwice { lane: Lane },
    #[error("the {lane} lane was ended by the peer")]
    LaneEnded { lane: Lane },
    #[error("a lane that ends before its first byte")]
    LaneUnnamed,
    #[error("QUIC itself: {what}")]
    Quic { what: String },
}

/// Reads frames from one lane until it, the connection or the inbox ends.
pub(super) async fn read_frames(
    mut stream: RecvStream,
    from: ValidatorIndex,
    lane: Lane,
    bytes_max: usize,
    quota: &Quota,
    inbox: &mpsc::Sender<Incoming>,
    on_frame: impl Fn(),
) -> Ended {
    loop {
        let (frame, place) = match read_frame(&mut stream, lane, bytes_max, quota).await {
            Ok(read) => read,
            Err(ended) => return ended,
        };
        on_frame();
        let incoming = Incoming {
            from,
            lane,
            frame,
            place: Place(place),
        };
        if inbox.send(incoming).await.is_err() {
            return Ended::InboxGone;
        }
    }
}

async fn read_frame(
    stream: &mut RecvStream,
    lane: Lane,
    bytes_max: usize,
    quota: &Quota,
) -> Result<(Vec<u8>, OwnedSemaphorePermit), Ended> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(|e| match e {
        ReadExactError::FinishedEarly(_) => Violation::LaneEnded { lane }.into(),
        ReadExactError::ReadError(e) => ended_by(e, lane),
    })?;
    let length = u32::from_be_bytes(length);
    if length == 0 {
        return Err(Violation::FrameEmpty { lane }.into());
    }
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= bytes_max)
        .ok_or(Violation::FrameTooLong {
            lane,
            bytes: length.into(),
            bytes_max,
        })?;

    let place = quota.take(length).await;
    let mut frame = Vec::with_capacity(length.min(FIRST_ALLOCATION));
    while frame.len() < length {
        let chunk = stream
            .read_chunk(length - frame.len(), true)
            .await
            .map_err(|e| ended_by(e, lane))?
            .ok_or(Violation::LaneEnded { lane })?;
        let needed = frame.len() + chunk.bytes.len();
        if needed > frame.capacity() {
            // Doubled, but never more than the frame: Vec's own growth may take twice its length.
            let capacity = (frame.capacity() * 2).clamp(needed, length);
            frame.reserve_exact(capacity - frame.len());
        }
        frame.extend_from_slice(&chunk.bytes);
    }
    Ok((frame, place))
}

fn ended_by(error: ReadError, lane: Lane) -> Ended {
    match error {
        ReadError::ConnectionLost(error) => error.into(),
        ReadError::Reset(_)
        | ReadError::ClosedStream
        | ReadError::IllegalOrderedRead
        | ReadError::ZeroRttRejected => Violation::LaneEnded { lane }.into(),
    }
}
