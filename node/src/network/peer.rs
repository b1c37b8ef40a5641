//! What this node knows of one peer: its session if there is one, counters, and for how long it is
//! kept at a distance after breaking rules.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chancery_ledger::ValidatorIndex;

use super::lane::{FrameLimits, Lane, PerLane, Quota};
use super::queue::Queue;
use super::reason::CloseCode;
use super::session::Ended;
use super::{PeerConfig, lock};

/// The first pause after a violation; it doubles with each further one.
const PENALTY_MIN: Duration = Duration::from_secs(1);
const PENALTY_MAX: Duration = Duration::from_secs(30);
/// A session of this length without a violation makes good for earlier ones.
const GOOD_SESSION: Duration = Duration::from_secs(60);
/// A session that is silent for so long is doubted, long before QUIC gives it up. Keep-alive is
/// heard every second.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// A peer may replace its connection no more often than this.
const REPLACE_INTERVAL: Duration = Duration::from_millis(200);

/// A peer as status pages show it. Ages are measured on the monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its position in the validator set.
    pub index: ValidatorIndex,
    /// Its member's name.
    pub name: String,
    /// Whether both lanes are open in both directions and the peer was heard in the last seconds.
    pub connected: bool,
    /// For how long it has been connected. `None` while it is not.
    pub connected_for: Option<Duration>,
    /// The key exchange of its handshake, such as `X25519MLKEM768`. `None` while not connected.
    pub key_exchange: Option<String>,
    /// How long ago anything authenticated came from it. `None` if nothing ever did.
    pub last_heard: Option<Duration>,
    /// Frames received from it.
    pub frames_in: u64,
    /// Frames given to its connection. Not all of them need have arrived.
    pub frames_out: u64,
    /// Frames for it that were dropped here: it was not connected, or too slow.
    pub dropped_frames: u64,
    /// How often it broke the rules of the wire.
    pub violations: u64,
    /// Why it was last lost, or could not be reached. Stays after it is back.
    pub last_error: Option<String>,
}

/// Names one session of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionId(u64);

pub(super) struct Peer {
    pub(super) config: PeerConfig,
    pub(super) frame_limits: FrameLimits,
    pub(super) quotas: PerLane<Quota>,
    state: Mutex<State>,
    started: Instant,
    /// Milliseconds since `started`, at least 1; 0 is never.
    last_heard_ms: AtomicU64,
    frames_in: AtomicU64,
    frames_out: AtomicU64,
    dropped_frames: AtomicU64,
    violations: AtomicU64,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    sessions: u64,
    last_begun: Option<Instant>,
    last_remote: Option<SocketAddr>,
    last_error: Option<String>,
    strikes: u32,
    barred_until: Option<Instant>,
}

struct Live {
    id: SessionId,
    since: Instant,
    connection: quinn::Connection,
    key_exchange: String,
    queues: Arc<PerLane<Queue>>,
}

impl Peer {
    pub(super) fn new(config: PeerConfig, frame_limits: FrameLimits, started: Instant) -> Self {
        Self {
            config,
            frame_limits,
            quotas: PerLane {
                votes: Quota::new(Lane::Votes, frame_limits.votes),
                bulk: Quota::new(Lane::Bulk, frame_limits.bulk),
            },
            state: Mutex::default(),
            started,
            last_heard_ms: AtomicU64::new(0),
            frames_in: AtomicU64::new(0),
            frames_out: AtomicU64::new(0),
            dropped_frames: AtomicU64::new(0),
            violations: AtomicU64::new(0),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    /// Queues a frame or drops it; never waits.
    pub(super) fn send(&self, lane: Lane, frame: Arc<[u8]>) {
        let bytes_max = *self.frame_limits.get(lane);
        if !(1..=bytes_max).contains(&frame.len()) {
            tracing::error!(
                peer = self.name(), %lane, bytes = frame.len(), bytes_max,
                "a frame that must not be sent was dropped"
            );
            self.count_dropped(1);
            return;
        }
        let queues = lock(&self.state).live.as_ref().map(|l| l.queues.clone());
        let dropped = queues.map_or(1, |queues| queues.get(lane).push(frame));
        self.count_dropped(dropped);
    }

    /// Makes `connection` the peer's session in place of the one it may have.
    ///
    /// # Errors
    /// It comes too soon; the older session, if any, goes on.
    pub(super) fn begin_session(
        &self,
        connection: &quinn::Connection,
        key_exchange: String,
    ) -> Result<(SessionId, Arc<PerLane<Queue>>), CloseCode> {
        let now = Instant::now();
        let queues = Arc::new(PerLane {
            votes: Queue::new(Lane::Votes),
            bulk: Queue::new(Lane::Bulk),
        });
        let mut state = lock(&self.state);
        let too_soon = state
            .last_begun
            .is_some_and(|last| now < last + REPLACE_INTERVAL)
            || state.barred_until.is_some_and(|until| now < until);
        if too_soon {
            return Err(CloseCode::TooSoon);
        }
        let id = SessionId(state.sessions);
        state.sessions += 1;
        state.last_begun = Some(now);
        state.last_remote = Some(connection.remote_address());
        let old = state.live.replace(Live {
            id,
            since: now,
            connection: connection.clone(),
            key_exchange: key_exchange.clone(),
            queues: queues.clone(),
        });
        drop(state);
        self.on_heard();
        if let Some(old) = old {
            old.connection.close(CloseCode::Replaced.into(), b"");
            self.count_waiting_as_dropped(&old);
            tracing::debug!(peer = self.name(), "the peer's connection was replaced");
        } else {
            tracing::info!(peer = self.name(), key_exchange, "peer connected");
        }
        Ok((id, queues))
    }

    /// Ends session `id`, if it is still the peer's session.
    pub(super) fn end_session(&self, id: SessionId, ended: &Ended) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        self.punish(&mut state, ended);
        if state.live.as_ref().is_none_or(|live| live.id != id) {
            return;
        }
        let old = state.live.take();
        state.last_error = Some(ended.to_string());
        if let Some(old) = old {
            if !matches!(ended, Ended::Violation(_)) && now - old.since >= GOOD_SESSION {
                state.strikes = 0;
            }
            self.count_waiting_as_dropped(&old);
        }
        drop(state);
        tracing::info!(peer = self.name(), reason = %ended, "peer disconnected");
    }

    /// Drops the session without a word: the node stops.
    pub(super) fn forget_session(&self) {
        let old = lock(&self.state).live.take();
        if let Some(old) = old {
            self.count_waiting_as_dropped(&old);
        }
    }

    /// Notes why the peer could not be reached.
    pub(super) fn on_failure(&self, why: String) {
        tracing::debug!(peer = self.name(), why, "no connection");
        lock(&self.state).last_error = Some(why);
    }

    /// Notes why a connection to the proven peer ended before it was a session.
    pub(super) fn on_stillborn(&self, ended: &Ended) {
        self.punish(&mut lock(&self.state), ended);
        self.on_failure(ended.to_string());
    }

    fn punish(&self, state: &mut State, ended: &Ended) {
        if let Ended::Violation(_) = ended {
            let pause = PENALTY_MIN * (1 << state.strikes.min(10));
            state.strikes = state.strikes.saturating_add(1);
            state.barred_until = Some(Instant::now() + pause.min(PENALTY_MAX));
            self.violations.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn on_heard(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_heard_ms.fetch_max(now.max(1), Ordering::Relaxed);
    }

    pub(super) fn on_frame_in(&self) {
        self.frames_in.fetch_add(1, Ordering::Relaxed);
        self.on_heard();
    }

    pub(super) fn on_frames_out(&self, frames: u64) {
        self.frames_out.fetch_add(frames, Ordering::Relaxed);
    }

    /// Whether it is connected and was heard of lately.
    pub(super) fn is_well(&self) -> bool {
        lock(&self.state).live.is_some() && !self.is_silent()
    }

    fn is_silent(&self) -> bool {
        self.last_heard().is_none_or(|age| age >= SILENCE_MAX)
    }

    /// How long it is to be left alone.
    pub(super) fn barred_for(&self) -> Duration {
        lock(&self.state)
            .barred_until
            .map_or(Duration::ZERO, |until| {
                until.saturating_duration_since(Instant::now())
            })
    }

    /// Whether `source` is where this peer is said to be, or where it last was.
    pub(super) fn is_at(&self, source: SocketAddr) -> bool {
        self.config.address.parse() == Ok(source)
            || lock(&self.state)
                .last_remote
                .is_some_and(|last| canonical(last) == source)
    }

    pub(super) fn status(&self) -> PeerStatus {
        let state = lock(&self.state);
        let live = state.live.as_ref().filter(|_| !self.is_silent());
        PeerStatus {
            index: self.config.index,
            name: self.config.name.clone(),
            connected: live.is_some(),
            connected_for: live.map(|live| live.since.elapsed()),
            key_exchange: live.map(|live| live.key_exchange.clone()),
            last_heard: self.last_heard(),
            frames_in: self.frames_in.load(Ordering::Relaxed),
            frames_out: self.frames_out.load(Ordering::Relaxed),
            dropped_frames: self.dropped_frames.load(Ordering::Relaxed),
            violations: self.violations.load(Ordering::Relaxed),
            last_error: state.last_error.clone(),
        }
    }

    fn last_heard(&self) -> Option<Duration> {
        match self.last_heard_ms.load(Ordering::Relaxed) {
            0 => None,
            at => Some(
                self.started
                    .elapsed()
                    .saturating_sub(Duration::from_millis(at)),
            ),
        }
    }

    fn count_waiting_as_dropped(&self, session: &Live) {
        for lane in Lane::ALL {
            let waiting = session.queues.get(lane).len();
            self.count_dropped(u64::try_from(waiting).unwrap_or(u64::MAX));
        }
    }

    fn count_dropped(&self, frames: u64) {
        self.dropped_frames.fetch_add(frames, Ordering::Relaxed);
    }
}

/// An IPv4 address that an IPv6 socket reports, as the IPv4 address it is.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
