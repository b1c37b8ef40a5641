//! The live feed of final events: `GET /v1/events/stream`, as Server-Sent Events (WHATWG HTML,
//! section 9.2).
//!
//! - **F1** A feed is pages of [`super::events`], one behind the other, as blocks become final: in
//!   order, each event once, none left out.
//! - **F2** The id of a message is the cursor behind its event. Whoever comes back with it
//!   (`Last-Event-ID`, which wins over `from`) goes on behind it, at any validator and after any
//!   restart.
//! - **F3** When nothing came for `api.feed_heartbeat_ms`, a comment does, with the cursor that the
//!   feed has got to as its id. The first one comes at once, so that also a feed from `latest` that
//!   breaks early can be resumed.
//! - **F4** At most `api.feeds_max` at once; more are refused (`too_many_feeds`).
//! - **F5** What was read and not taken is at most one page, and what waits for the socket. A reader
//!   who takes nothing for two heartbeats is let go, and may come back.
//! - **F6** The ledger is read a page at a time; nothing of it is held in between.
//! - **F7** A feed that cannot go on says so by a message `refused`, whose data is an
//!   [`ErrorBody`](chancery_client::api::ErrorBody) and whose id is what it has got to, and ends: for
//!   instance where this validator took over a snapshot and has not the blocks that come next. What
//!   is known at the start is refused at the start.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Sse;
use axum::response::sse::Event as Message;
use chancery_client::api::{Cursor, EventFilter};
use futures_core::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::events::{EventsQuery, cursor, page, start};
use super::refusal::Refusal;
use super::{Api, Shared, blocking};
use crate::handle::Progress;

/// Events read at once.
const FEED_PAGE_ENTRIES: usize = 64;
/// Messages that wait for the connection to take them.
const QUEUED_MAX: usize = 16;
/// The least time between two looks at the ledger: many feeds must not cost a look each at each
/// block of a busy ledger.
const LOOK_PAUSE: Duration = Duration::from_millis(25);
/// The header by which a reader says what it has.
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// The messages of one feed.
#[derive(Debug)]
pub(super) struct Messages(mpsc::Receiver<Message>);

impl Stream for Messages {
    type Item = Result<Message, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|message| message.map(Ok))
    }
}

pub(super) async fn stream(
    State(api): Shared,
    headers: HeaderMap,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Sse<Messages>, Refusal> {
    let parameters = "contract, event, account and from";
    let query = EventsQuery::of(query, parameters)?;
    if query.has_limit() {
        return Err(Refusal::bad_request(
            "a feed has no limit",
            format!("the parameters are {parameters}"),
        ));
    }
    let filter = query.filter()?;
    let from = match headers.get(LAST_EVENT_ID) {
        // No valid id has other characters.
        Some(id) => start(Some(id.to_str().unwrap_or("not ASCII")))?,
        None => query.start()?,
    };
    let place = Arc::clone(&api.feeds).try_acquire_owned().map_err(|_| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_feeds",
            format!(
                "{} feeds are open, no more may (api.feeds_max)",
                api.feeds_max
            ),
            "ask another validator, or read pages: GET /v1/events",
        )
    })?;
    let from = cursor(&api, from);
    let (shared, first) = (Arc::clone(&api), filter.clone());
    // What cannot be begun is refused with a status of its own.
    blocking(&api.reads, move || page(&shared, &first, from, 1)).await??;
    let (out, messages) = mpsc::channel(QUEUED_MAX);
    let feed = Feed {
        progress: api.node.progress.clone(),
        stopping: api.stopping.clone(),
        api,
        filter,
        reached: from,
        told: None,
        beat_at: Instant::now(),
        out,
        _place: place,
    };
    tokio::spawn(feed.run());
    Ok(Sse::new(Messages(messages)))
}

struct Feed {
    api: Arc<Api>,
    progress: watch::Receiver<Progress>,
    stopping: watch::Receiver<bool>,
    filter: EventFilter,
    /// Everything before is read, and told to the reader.
    reached: Cursor,
    /// The newest id that the reader was given.
    told: Option<Cursor>,
    /// When the next heartbeat is due.
    beat_at: Instant,
    out: mpsc::Sender<Message>,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    async fn run(mut self) {
        while self.turn().await {}
    }

    /// Hands out what there is and waits for more; false once the feed has ended.
    async fn turn(&mut self) -> bool {
        if Instant::now() >= self.beat_at && !self.beat().await {
            return false;
        }
        self.progress.mark_unchanged();
        let (api, filter, from) = (Arc::clone(&self.api), self.filter.clone(), self.reached);
        let read = blocking(&self.api.reads, move || {
            page(&api, &filter, from, FEED_PAGE_ENTRIES)
        });
        let page = match read.await {
            Ok(Ok(page)) => page,
            Ok(Err(refusal)) | Err(refusal) => {
                let refused = Message::default().event("refused");
                // Whoever comes back is to be refused at the start.
                let refused = refused.id(self.reached.to_string());
                if let Ok(message) = refused.json_data(refusal.body()) {
                    self.send(message).await;
                }
                return false;
            }
        };
        for event in page.events {
            let message = Message::default().id(event.cursor.to_string());
            let Ok(message) = message.json_data(&event) else {
                // Strings and numbers are JSON; this is not reached.
                return false;
            };
            if !self.send(message).await {
                return false;
            }
            self.told = Some(event.cursor);
        }
        self.reached = page.next;
        page.more || self.wait().await
    }

    /// Waits for another final block or the next heartbeat; false if the node stops or nobody
    /// listens any more.
    async fn wait(&mut self) -> bool {
        tokio::time::sleep(LOOK_PAUSE).await;
        tokio::select! {
            changed = timeout_at(self.beat_at, self.progress.changed()) => !matches!(changed, Ok(Err(_))),
            _ = self.stopping.changed() => false,
            () = self.out.closed() => false,
        }
    }

    async fn beat(&mut self) -> bool {
        let mut message = Message::default().comment("");
        if self.told != Some(self.reached) {
            message = message.id(self.reached.to_string());
            self.told = Some(self.reached);
        }
        self.send(message).await
    }

    /// False if the message was not taken in time.
    async fn send(&mut self, message: Message) -> bool {
        let heartbeat = self.api.feed_heartbeat;
        let sent = tokio::select! {
            sent = timeout(heartbeat * 2, self.out.send(message)) => matches!(sent, Ok(Ok(()))),
            _ = self.stopping.changed() => false,
        };
        self.beat_at = Instant::now() + heartbeat;
        sent
    }
}
