//! A connection's life after the handshake: the peer is who it should be, the lanes open, frames
//! flow, it ends.

use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, ReadExactError, RecvStream, SendStream, WriteError};
use tokio::task::JoinSet;

use super::Shared;
use super::lane::{self, Lane, PerLane, Violation};
use super::peer::{Peer, SessionId};
use super::queue::{self, Queue};
use super::reason::{CloseCode, describe};
use super::tls::Handshake;

/// A connection attempt, from its first packet to open lanes, takes no longer.
pub(super) const OPENING_MAX: Duration = Duration::from_secs(3);
/// How often a session looks whether the peer was heard.
const HEARD_INTERVAL: Duration = Duration::from_millis(250);

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    /// The connection is gone: the world failed, or the peer closed it.
    #[error("{0}")]
    Lost(String),
    /// The peer broke the rules.
    #[error("the peer broke the rules: {0}")]
    Violation(#[from] Violation),
    /// Nobody takes frames any more: the node stops.
    #[error("this node takes no more frames")]
    InboxGone,
}

impl From<ConnectionError> for Ended {
    fn from(error: ConnectionError) -> Self {
        match &error {
            ConnectionError::TransportError(_) => Violation::Quic {
                what: describe(&error),
            }
            .into(),
            ConnectionError::VersionMismatch
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::ApplicationClosed(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => Self::Lost(describe(&error)),
        }
    }
}

impl Ended {
    pub(super) fn close_code(&self) -> CloseCode {
        match self {
            Self::Violation(_) => CloseCode::Violation,
            Self::Lost(_) | Self::InboxGone => CloseCode::Shutdown,
        }
    }
}

/// Both lanes in both directions.
pub(super) struct Lanes {
    outgoing: PerLane<SendStream>,
    incoming: PerLane<RecvStream>,
}

/// Opens this side's lanes and takes the peer's. Until the peer's first bytes are here a dialler
/// cannot know that it was let in.
pub(super) async fn open_lanes(connection: &Connection) -> Result<Lanes, Ended> {
    let outgoing = PerLane {
        votes: open_lane(connection, Lane::Votes).await?,
        bulk: open_lane(connection, Lane::Bulk).await?,
    };
    let (first_lane, first) = accept_lane(connection).await?;
    let (second_lane, second) = accept_lane(connection).await?;
    let incoming = match (first_lane, second_lane) {
        (Lane::Votes, Lane::Bulk) => PerLane {
            votes: first,
            bulk: second,
        },
        (Lane::Bulk, Lane::Votes) => PerLane {
            votes: second,
            bulk: first,
        },
        (lane @ Lane::Votes, Lane::Votes) | (lane @ Lane::Bulk, Lane::Bulk) => {
            return Err(Violation::LaneTwice { lane }.into());
        }
    };
    Ok(Lanes { outgoing, incoming })
}

async fn open_lane(connection: &Connection, lane: Lane) -> Result<SendStream, Ended> {
    let ended = || Ended::from(Violation::LaneEnded { lane });
    let mut stream = connection.open_uni().await?;
    stream.set_priority(lane.priority()).map_err(|_| ended())?;
    match stream.write_all(&[lane.byte()]).await {
        Ok(()) => Ok(stream),
        Err(WriteError::ConnectionLost(error)) => Err(error.into()),
        Err(WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected) => {
            Err(ended())
        }
    }
}

async fn accept_lane(connection: &Connection) -> Result<(Lane, RecvStream), Ended> {
    let mut stream = connection.accept_uni().await?;
    let mut byte = [0];
    match stream.read_exact(&mut byte).await {
        Ok(()) => {}
        Err(ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error))) => {
            return Err(error.into());
        }
        Err(ReadExactError::FinishedEarly(_) | ReadExactError::ReadError(_)) => {
            return Err(Violation::LaneUnnamed.into());
        }
    }
    let [byte] = byte;
    let lane = Lane::of_byte(byte).ok_or(Violation::NoLane { byte })?;
    Ok((lane, stream))
}

/// A connection that is now its peer's session.
pub(super) struct Session {
    peer: Arc<Peer>,
    id: SessionId,
    connection: Connection,
    lanes: Lanes,
    queues: Arc<PerLane<Queue>>,
}

/// Makes a connection its peer's session. `None` if it comes too soon; it is closed then.
pub(super) fn begin(
    peer: Arc<Peer>,
    connection: Connection,
    handshake: Handshake,
    lanes: Lanes,
) -> Option<Session> {
    match peer.begin_session(&connection, handshake.key_exchange) {
        Ok((id, queues)) => Some(Session {
            peer,
            id,
            connection,
            lanes,
            queues,
        }),
        Err(code) => {
            connection.close(code.into(), b"");
            None
        }
    }
}

/// Carries frames until the connection ends, for whatever reason.
pub(super) async fn run(shared: Arc<Shared>, session: Session) {
    let Session {
        peer,
        id,
        connection,
        lanes: Lanes { outgoing, incoming },
        queues,
    } = session;
    let mut tasks = JoinSet::new();
    for (lane, stream) in [(Lane::Votes, outgoing.votes), (Lane::Bulk, outgoing.bulk)] {
        let (peer, queues) = (peer.clone(), queues.clone());
        tasks.spawn(async move {
            queue::write_frames(stream, queues.get(lane), |frames| {
                peer.on_frames_out(frames)
            })
            .await
        });
    }
    for (lane, stream) in [(Lane::Votes, incoming.votes), (Lane::Bulk, incoming.bulk)] {
        let (peer, shared) = (peer.clone(), shared.clone());
        tasks.spawn(async move {
            lane::read_frames(
                stream,
                peer.config.index,
                lane,
                *peer.frame_limits.get(lane),
                peer.quotas.get(lane),
                shared.inboxes.get(lane),
                || peer.on_frame_in(),
            )
            .await
        });
    }
    let ended = watch(&peer, &connection, &mut tasks).await;
    peer.end_session(id, &ended);
    // Before the streams are dropped, which would look to the peer like lanes ended in peace.
    connection.close(ended.close_code().into(), b"");
}

/// Waits for the end, noting every now and then that the peer was heard.
async fn watch(peer: &Peer, connection: &Connection, tasks: &mut JoinSet<Ended>) -> Ended {
    let mut heard = 0;
    let mut interval = tokio::time::interval(HEARD_INTERVAL);
    loop {
        tokio::select! {
            ended = tasks.join_next() => {
                return match ended {
                    Some(Ok(ended)) => ended,
                    // Aborted, which only the end of the runtime does, or a panic, which the
                    // hook has reported.
                    Some(Err(_)) | None => Ended::InboxGone,
                };
            }
            error = connection.closed() => return error.into(),
            _ = interval.tick() => {
                // Only frames of packets that decrypted are counted here.
                let frames = connection.stats().frame_rx;
                let now = frames.acks + frames.ping + frames.stream;
                if now != heard {
                    heard = now;
                    peer.on_heard();
                }
            }
        }
    }
}
