//! What waits to be sent on one lane of one session: bounded in frames and in bytes, filled from
//! any thread without waiting, emptied by the lane's writer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use quinn::{SendStream, WriteError};
use tokio::sync::Notify;

use super::lane::{Lane, Violation};
use super::lock;
use super::session::Ended;

/// Frames that may wait.
const VOTES_FRAMES_MAX: usize = 4096;
const BULK_FRAMES_MAX: usize = 256;
/// Bytes that may wait; one frame may always.
const VOTES_BYTES_MAX: usize = 4 << 20;
const BULK_BYTES_MAX: usize = 16 << 20;

/// Frames are collected up to this many bytes before they are given to the stream.
const WRITE_BYTES: usize = 64 << 10;

/// The frames waiting on one lane.
#[derive(Debug)]
pub(super) struct Queue {
    lane: Lane,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

impl Waiting {
    fn pop_front(&mut self) -> Option<Arc<[u8]>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }
}

impl Queue {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            waiting: Mutex::default(),
            filled: Notify::new(),
        }
    }

    /// Adds `frame` and returns how many frames were dropped for it, itself included.
    pub(super) fn push(&self, frame: Arc<[u8]>) -> u64 {
        let (frames_max, bytes_max) = match self.lane {
            Lane::Votes => (VOTES_FRAMES_MAX, VOTES_BYTES_MAX),
            Lane::Bulk => (BULK_FRAMES_MAX, BULK_BYTES_MAX),
        };
        let mut dropped = 0;
        {
            let mut waiting = lock(&self.waiting);
            let fits = |waiting: &Waiting| {
                waiting.frames.is_empty()
                    || (waiting.frames.len() < frames_max
                        && waiting.bytes + frame.len() <= bytes_max)
            };
            while !fits(&waiting) {
                dropped += 1;
                match self.lane {
                    Lane::Votes => drop(waiting.pop_front()),
                    Lane::Bulk => return dropped,
                }
            }
            waiting.bytes += frame.len();
            waiting.frames.push_back(frame);
        }
        self.filled.notify_one();
        dropped
    }

    /// How many frames wait.
    pub(super) fn len(&self) -> usize {
        lock(&self.waiting).frames.len()
    }

    fn try_pop(&self) -> Option<Arc<[u8]>> {
        lock(&self.waiting).pop_front()
    }

    async fn pop(&self) -> Arc<[u8]> {
        loop {
            // A push after the look and before the wait leaves a permit: none is missed.
            if let Some(frame) = self.try_pop() {
                return frame;
            }
            self.filled.notified().await;
        }
    }
}

/// Writes what is queued until the connection or the lane ends.
pub(super) async fn write_frames(
    mut stream: SendStream,
    queue: &Queue,
    on_written: impl Fn(u64),
) -> Ended {
    let mut buffer = Vec::with_capacity(WRITE_BYTES);
    loop {
        let mut next = Some(queue.pop().await);
        let mut frames = 0;
        let mut written = Ok(());
        while let Some(frame) = next.take() {
            frames += 1;
            let length = u32::try_from(frame.len()).expect("frames have at most 64 MiB");
            buffer.extend_from_slice(&length.to_be_bytes());
            if frame.len() <= WRITE_BYTES {
                buffer.extend_from_slice(&frame);
                if buffer.len() < WRITE_BYTES {
                    next = queue.try_pop();
                }
            } else {
                written = stream.write_all(&buffer).await;
                buffer.clear();
                if written.is_ok() {
                    written = stream.write_all(&frame).await;
                }
            }
        }
        if written.is_ok() {
            written = stream.write_all(&buffer).await;
            buffer.clear();
        }
        match written {
            Ok(()) => on_written(frames),
            Err(WriteError::ConnectionLost(error)) => return error.into(),
            Err(
                WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected,
            ) => {
                return Violation::LaneEnded { lane: queue.lane }.into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(byte: u8, bytes: usize) -> Arc<[u8]> {
        vec![byte; bytes].into()
    }

    #[test]
    fn a_full_votes_queue_drops_the_oldest() {
        let queue = Queue::new(Lane::Votes);
        for _ in 0..VOTES_FRAMES_MAX {
            assert_eq!(queue.push(frame(1, 10)), 0);
        }
        assert_eq!(queue.push(frame(2, 10)), 1);
        assert_eq!(queue.len(), VOTES_FRAMES_MAX);
        let mut last = None;
        while let Some(frame) = queue.try_pop() {
            last = Some(frame[0]);
        }
        assert_eq!(last, Some(2), "the newest is there");
        assert_eq!(lock(&queue.waiting).bytes, 0);
    }

    #[test]
    fn a_full_bulk_queue_drops_the_newest() {
        let queue = Queue::new(Lane::Bulk);
        assert_eq!(queue.push(frame(1, BULK_BYTES_MAX)), 0);
        assert_eq!(queue.push(frame(2, 1)), 1);
        assert_eq!(queue.try_pop().map(|frame| frame[0]), Some(1));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn bytes_are_bounded_too_but_one_frame_always_fits() {
        let queue = Queue::new(Lane::Votes);
        assert_eq!(queue.push(frame(1, 3 * VOTES_BYTES_MAX)), 0);
        assert_eq!(queue.push(frame(2, 1)), 1, "drops the giant");
        assert_eq!(queue.push(frame(3, VOTES_BYTES_MAX - 1)), 0);
        assert_eq!(queue.push(frame(4, 1)), 1);
        assert_eq!(queue.len(), 2);
    }
}
