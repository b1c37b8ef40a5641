//! Connections to the API, bounded in number, and in the time for which one is of no use.
//!
//! - A connection is in use from the moment that a request's head is there until its answer is
//!   made; where that has no end, like a feed, until it ends. How long that may last is bounded
//!   where requests are answered ([`super`]).
//! - Otherwise it waits, since it was opened or since the last byte of an answer was taken: for
//!   [`IDLE_TIME_MAX`] until a head begins, and for [`HEAD_TIME_MAX`] from its first byte (of the
//!   first one, from the opening) until the head is there. A byte more or less changes neither.
//! - Whoever takes no byte of an answer that is there, for [`IDLE_TIME_MAX`], is let go, in use or
//!   not.
//! - When all places are taken, the connection that has waited longest is closed in favour of the
//!   next one, if it has waited for [`WAITING_TIME_LEAST`]. Places in use are waited for.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, timeout};
use tracing::warn;

/// How long nothing may happen on a connection that waits.
const IDLE_TIME_MAX: Duration = Duration::from_secs(90);
/// How long the head of a request may take.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// Nobody loses its place who has waited for less: a request may be on its way.
const WAITING_TIME_LEAST: Duration = Duration::from_secs(1);
/// Between two looks for a connection that may be closed.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// The pause after the system refused a connection, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    connections_max: usize,
    idle_time_max: Duration,
    head_time_max: Duration,
}

impl Limits {
    pub(super) fn of(connections_max: usize) -> Self {
        Self {
            connections_max,
            idle_time_max: IDLE_TIME_MAX,
            head_time_max: HEAD_TIME_MAX,
        }
    }
}

/// A listener that gives out only as many connections as are allowed at once; one more waits here.
#[derive(Debug)]
pub(super) struct Connections {
    listener: TcpListener,
    limits: Limits,
    free: Arc<Semaphore>,
    open: Vec<Weak<Mutex<State>>>,
}

impl Connections {
    pub(super) fn new(listener: TcpListener, limits: Limits) -> Self {
        Self {
            listener,
            limits,
            free: Arc::new(Semaphore::new(limits.connections_max)),
            open: Vec::new(),
        }
    }

    async fn next(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    warn!(%error, "a connection to the API was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            let free = Arc::clone(&self.free);
            if let Ok(place) = free.try_acquire_owned() {
                return place;
            }
            self.close_longest_waiting();
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(Ok(place)) = timeout(LOOK_PAUSE, free).await {
                return place;
            }
        }
    }

    fn close_longest_waiting(&self) {
        let open = self.open.iter().filter_map(Weak::upgrade).map(Activity);
        let waiting = open.filter_map(|it| Some((it.waits_since()?, it)));
        if let Some((since, activity)) = waiting.min_by_key(|(since, _)| *since)
            && since.elapsed() >= WAITING_TIME_LEAST
        {
            activity.close();
        }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = self.next().await;
        let place = self.place().await;
        // Answers are small; a socket that cannot be set up ends by itself.
        let _ = stream.set_nodelay(true);
        let activity = Activity::new();
        self.open.retain(|open| open.strong_count() > 0);
        self.open.push(Arc::downgrade(&activity.0));
        let connection = Connection {
            stream,
            limits: self.limits,
            activity,
            timer: Box::pin(tokio::time::sleep(self.limits.head_time_max)),
            _place: place,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What happens on a connection, as both its socket and its requests know it.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Requests whose answers are not made.
    requests: u32,
    /// Since when it waits, where there are none.
    waits_since: Instant,
    /// Since when it waits for the rest of a head.
    head_since: Option<Instant>,
    /// Since when there are bytes of an answer that are not taken.
    blocked_since: Option<Instant>,
    /// Its place is somebody else's.
    is_closed: bool,
    /// Of the task that serves it.
    waker: Option<Waker>,
}

impl Activity {
    fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            requests: 0,
            waits_since: now,
            head_since: Some(now),
            blocked_since: None,
            is_closed: false,
            waker: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock panics")
    }

    fn begin(&self) -> Answering {
        let mut state = self.state();
        state.requests += 1;
        // Whoever has got so far keeps its place.
        state.is_closed = false;
        Answering(self.clone())
    }

    fn on_read(&self) {
        let mut state = self.state();
        if state.requests == 0 {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    fn on_written(&self) {
        let mut state = self.state();
        state.blocked_since = None;
        if state.requests == 0 {
            state.wait();
        }
    }

    fn on_blocked(&self) {
        self.state().blocked_since.get_or_insert_with(Instant::now);
    }

    /// When the time of a connection is over on which nothing moves; for one in use, when to look
    /// again. Nothing if it is closed.
    fn deadline(&self, limits: &Limits, waker: &Waker) -> Option<Instant> {
        let mut state = self.state();
        if state.is_closed {
            return None;
        }
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        let (head, idle) = (limits.head_time_max, limits.idle_time_max);
        Some(
            match (state.blocked_since, state.requests, state.head_since) {
                (Some(since), ..) => since + idle,
                (None, 0, Some(since)) => since + head,
                (None, 0, None) => state.waits_since + idle,
                (None, ..) => Instant::now() + idle,
            },
        )
    }

    fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        let is_waiting = state.requests == 0 && state.blocked_since.is_none() && !state.is_closed;
        is_waiting.then_some(state.waits_since)
    }

    fn close(&self) {
        let mut state = self.state();
        // A request may have come just now.
        if state.requests > 0 {
            return;
        }
        state.is_closed = true;
        if let Some(waker) = &state.waker {
            waker.wake_by_ref();
        }
    }
}

impl State {
    fn wait(&mut self) {
        self.waits_since = Instant::now();
        self.head_since = None;
    }
}

impl Connected<IncomingStream<'_, Connections>> for Activity {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.io().activity.clone()
    }
}

/// A request on a connection whose answer is not made.
#[derive(Debug)]
struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        if state.requests == 0 {
            state.wait();
        }
    }
}

/// Says of a connection that it is in use, while a request on it is answered.
pub(super) async fn in_use(
    ConnectInfo(activity): ConnectInfo<Activity>,
    request: Request,
    next: Next,
) -> Response {
    let answering = activity.begin();
    let response = next.run(request).await;
    // A whole answer need only be taken.
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        Body::from_stream(Endless {
            data: body.into_data_stream(),
            _answering: answering,
        })
    })
}

/// An answer that is made while it is sent.
#[derive(Debug)]
struct Endless {
    data: BodyDataStream,
    _answering: Answering,
}

impl Stream for Endless {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.data).poll_next(context)
    }
}

/// One connection; its place is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    limits: Limits,
    activity: Activity,
    timer: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        moved: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match moved {
            Poll::Ready(Ok(1..)) => self.activity.on_written(),
            Poll::Ready(_) => {}
            Poll::Pending => self.activity.on_blocked(),
        }
        self.watch(context, moved)
    }

    /// Ends the connection when its time is over and nothing moves.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        moved: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            return moved;
        }
        loop {
            let deadline = self.activity.deadline(&self.limits, context.waker());
            let Some(deadline) = deadline.filter(|deadline| *deadline > Instant::now()) else {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            };
            if self.timer.is_elapsed() || self.timer.deadline() > deadline {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(context));
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let moved = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            self.activity.on_read();
        }
        self.watch(context, moved)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, moved)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(context, moved)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Longer than any connection may wait in these tests.
    const SLOW: Duration = Duration::from_millis(2_500);
    const LIMITS: Limits = Limits {
        connections_max: 2,
        idle_time_max: Duration::from_millis(1_500),
        head_time_max: Duration::from_millis(500),
    };

    /// An answer whose only part comes after a while.
    struct Late(Pin<Box<Sleep>>, bool);

    impl Stream for Late {
        type Item = Result<Bytes, io::Error>;

        fn poll_next(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Self::Item>> {
            if self.1 {
                return Poll::Ready(None);
            }
            ready!(self.0.as_mut().poll(context));
            self.1 = true;
            Poll::Ready(Some(Ok(Bytes::from_static(b"late"))))
        }
    }

    async fn serve(limits: Limits) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let connections = Connections::new(listener, limits);
        let address = connections.local_addr().expect("an address");
        let slow = || async {
            tokio::time::sleep(SLOW).await;
            "slow"
        };
        let late = || async {
            let late = Late(Box::pin(tokio::time::sleep(SLOW)), false);
            Body::from_stream(late)
        };
        let router = Router::new()
            .route("/quick", get(|| async { "quick" }))
            .route("/slow", get(slow))
            .route("/late", get(late))
            .route("/flood", get(|| async { Body::from_stream(Flood) }))
            .layer(from_fn(in_use));
        let service = router.into_make_service_with_connect_info::<Activity>();
        tokio::spawn(async move { axum::serve(connections, service).await });
        address
    }

    async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.expect("connects")
    }

    async fn ask(stream: &mut TcpStream, path: &str) {
        let request = format!("GET /{path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("is sent");
    }

    async fn answered(stream: &mut TcpStream, end: &str) {
        let mut text = String::new();
        while !text.contains(end) {
            let mut part = [0; 1_024];
            let length = stream.read(&mut part).await.expect("an answer");
            assert!(length > 0, "closed behind {text:?}");
            text.push_str(&String::from_utf8_lossy(&part[..length]));
        }
    }

    /// How long it takes until the connection is closed.
    async fn closed(stream: &mut TcpStream) -> Duration {
        let started = Instant::now();
        let end = timeout(SLOW * 4, stream.read(&mut [0; 64])).await;
        assert!(
            matches!(end.expect("an end"), Ok(0) | Err(_)),
            "it is closed"
        );
        started.elapsed()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_head_that_trickles_in_ends_the_connection() {
        let address = serve(LIMITS).await;
        for is_first in [true, false] {
            let mut stream = connect(address).await;
            if !is_first {
                ask(&mut stream, "quick").await;
                answered(&mut stream, "quick").await;
            }
            let (mut from, mut to) = stream.into_split();
            let trickle = tokio::spawn(async move {
                while to.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            let started = Instant::now();
            let end = timeout(SLOW, from.read(&mut [0; 64])).await;
            assert!(matches!(end.expect("an end"), Ok(0) | Err(_)));
            let lasted = started.elapsed();
            assert!(lasted >= Duration::from_millis(400), "{lasted:?}");
            assert!(lasted < LIMITS.idle_time_max, "{lasted:?}");
            trickle.await.expect("no panic");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn between_requests_a_connection_may_be_idle_for_a_while() {
        let address = serve(LIMITS).await;
        let mut stream = connect(address).await;
        for _ in 0..3 {
            ask(&mut stream, "quick").await;
            answered(&mut stream, "quick").await;
            tokio::time::sleep(LIMITS.head_time_max * 3 / 2).await;
        }
        assert!(closed(&mut stream).await < LIMITS.idle_time_max);
        // One that never asks is not idle: it is expected to ask.
        let mut stream = connect(address).await;
        assert!(closed(&mut stream).await < LIMITS.idle_time_max);
    }

    /// An answer without end.
    struct Flood;

    impl Stream for Flood {
        type Item = Result<Bytes, io::Error>;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; 4_096]))))
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_takes_nothing_is_let_go() {
        let address = serve(LIMITS).await;
        let mut stream = connect(address).await;
        ask(&mut stream, "flood").await;
        tokio::time::sleep(SLOW).await;
        // What was sent before is there; then comes the end.
        let all = async {
            while stream
                .read(&mut [0; 65_536])
                .await
                .is_ok_and(|read| read > 0)
            {}
        };
        timeout(SLOW, all).await.expect("an end");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_in_use_is_left_alone() {
        let address = serve(LIMITS).await;
        let (mut slow, mut late) = (connect(address).await, connect(address).await);
        ask(&mut slow, "slow").await;
        ask(&mut late, "late").await;
        let mut third = connect(address).await;
        ask(&mut third, "quick").await;
        let early = timeout(SLOW / 2, answered(&mut third, "quick")).await;
        assert!(early.is_err(), "both places are in use");
        answered(&mut slow, "slow").await;
        answered(&mut late, "late").await;
        timeout(SLOW, answered(&mut third, "quick"))
            .await
            .expect("there is room");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_has_waited_longest_makes_room() {
        let limits = Limits {
            idle_time_max: SLOW * 20,
            head_time_max: SLOW * 20,
            ..LIMITS
        };
        let address = serve(limits).await;
        let mut first = connect(address).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut second = connect(address).await;
        let mut third = connect(address).await;
        ask(&mut third, "quick").await;
        let answer = timeout(SLOW, answered(&mut third, "quick"));
        answer.await.expect("there is room");
        assert!(closed(&mut first).await < SLOW);
        ask(&mut second, "quick").await;
        answered(&mut second, "quick").await;
    }
}
