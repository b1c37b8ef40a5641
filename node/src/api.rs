//! The HTTP API: everything a person or a program may ask of a node, and the one way to hand a
//! transaction in. Reads are local: they answer from the newest executed state of this node.
//!
//! - JSON in and out, shapes in [`chancery_client::api`]; every refusal is an
//!   [`ErrorBody`](chancery_client::api::ErrorBody) with a code of its own, also for paths, methods
//!   and bodies that are none.
//! - No access control and no CORS: it listens on loopback unless the configuration says
//!   otherwise, and then answers only to names of this machine, so that no web page can read from
//!   it through a name of its own (DNS rebinding).
//! - Everything is bounded: connections and the time for which one is of no use ([`connections`]),
//!   time and size of a request, requests that wait, pages, live feeds ([`feed`]), and threads that
//!   read the disk, check transactions or run contracts.

mod connections;
mod events;
mod evidence;
mod feed;
mod health;
mod history;
mod ledger;
mod proofs;
mod query;
mod refusal;
mod render;
mod status;
#[cfg(test)]
mod tests;
mod transactions;
mod versions;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::JoinHandle;
use tracing::info;

use crate::config::ApiConfig;
use crate::handle::NodeHandle;

use connections::{Activity, Connections, Limits};
use refusal::Refusal;

/// Threads that read the disk for requests.
const READS_MAX: usize = 8;
/// Threads that check transactions.
const CHECKS_MAX: usize = 4;
/// Threads that run contracts for queries: a slow view must not keep transactions out.
const QUERIES_MAX: usize = 2;
/// How long a request may take that does not wait for anything.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest wait for a transaction to become final.
pub const WAIT_MS_MAX: u64 = 60_000;
/// How long a request with a wait may take.
const WAITING_TIME_MAX: Duration = Duration::from_secs(75);
/// How long answers that are under way may take when the node stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(1);
/// Bytes of a request besides the base64 of what it carries.
const BODY_SLACK_BYTES: usize = 4_096;

/// What every handler sees.
#[derive(Debug)]
struct Api {
    node: Arc<NodeHandle>,
    /// The answer of `GET /v1/chain`, which never changes.
    chain: axum::body::Bytes,
    blocks: ledger::BlockCache,
    reads: Arc<Semaphore>,
    checks: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    waiting: Semaphore,
    waiting_max: usize,
    feeds: Arc<Semaphore>,
    feeds_max: usize,
    feed_heartbeat: Duration,
    page_entries_max: usize,
    /// Says that the node stops, by its value or by its end.
    stopping: watch::Receiver<bool>,
    /// Whether any name may be used to reach it.
    public: bool,
}

impl Api {
    /// A place among the requests that may wait.
    fn waiting_place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.waiting.try_acquire().map_err(|_| {
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_waiting",
                format!("{} requests are waiting, no more may", self.waiting_max),
                "ask for what is there already, without waiting, or at another validator",
            )
        })
    }
}

type Shared = State<Arc<Api>>;

/// A running API server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens and serves until [`Server::stop`].
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start(node: Arc<NodeHandle>, config: &ApiConfig) -> std::io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let (stop, mut stopped) = watch::channel(false);
        let router = router(node, config, stopped.clone());
        let service = router.into_make_service_with_connect_info::<Activity>();
        let connections = Connections::new(listener, Limits::of(config.connections_max));
        let task = tokio::spawn(async move {
            let served = axum::serve(connections, service)
                .with_graceful_shutdown(async move {
                    // Dropping the sender stops the server as well.
                    let _ = stopped.changed().await;
                })
                .await;
            drop(served);
        });
        info!(%address, "the API listens");
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests; those under way get a moment to end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(STOP_TIME_MAX, self.task)
            .await
            .is_err()
        {
            abort.abort();
        }
    }
}

/// All paths with their limits.
fn router(node: Arc<NodeHandle>, config: &ApiConfig, stopping: watch::Receiver<bool>) -> Router {
    let limits = node.limits();
    let keys_body_bytes_max = proofs::keys_body_bytes_max(limits);
    let payload = limits.transaction_bytes_max.max(limits.args_bytes_max);
    let body_bytes_max = usize::try_from(payload)
        .unwrap_or(usize::MAX)
        .div_ceil(3)
        .saturating_mul(4)
        .saturating_add(BODY_SLACK_BYTES);
    let api = Arc::new(Api {
        chain: ledger::chain_answer(&node),
        blocks: ledger::BlockCache::default(),
        reads: Arc::new(Semaphore::new(READS_MAX)),
        checks: Arc::new(Semaphore::new(CHECKS_MAX)),
        queries: Arc::new(Semaphore::new(QUERIES_MAX)),
        waiting: Semaphore::new(config.waiting_max),
        waiting_max: config.waiting_max,
        feeds: Arc::new(Semaphore::new(config.feeds_max)),
        feeds_max: config.feeds_max,
        feed_heartbeat: Duration::from_millis(config.feed_heartbeat_ms),
        page_entries_max: config.page_entries_max,
        stopping,
        public: config.public,
        node,
    });
    let waiting = Router::new()
        .route("/v1/transactions/{id}", get(transactions::show))
        .layer(middleware::from_fn(|request: Request, next: Next| {
            within(WAITING_TIME_MAX, request, next)
        }));
    Router::new()
        .route("/v1/chain", get(ledger::chain))
        .route("/v1/status", get(status::status))
        .route(
            "/v1/transactions",
            get(history::list).post(transactions::submit),
        )
        .route("/v1/events", get(events::list))
        .route("/v1/events/stream", get(feed::stream))
        .route("/v1/blocks/{height}", get(ledger::block))
        .route("/v1/query", post(query::query))
        .route("/v1/contracts/{id}", get(ledger::contract))
        .route("/v1/contracts/{id}/versions", get(versions::list))
        .route("/v1/contracts/{id}/versions/{version}", get(versions::show))
        .route("/v1/accounts/{did}", get(ledger::account))
        .route("/v1/proofs/transactions/{id}", get(proofs::transaction))
        .route(
            "/v1/proofs/state",
            post(proofs::state).layer(DefaultBodyLimit::max(keys_body_bytes_max)),
        )
        .route("/v1/evidence", get(evidence::list))
        .route("/v1/evidence/{hash}", get(evidence::show))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .layer(middleware::from_fn(|request: Request, next: Next| {
            within(REQUEST_TIME_MAX, request, next)
        }))
        .merge(waiting)
        .fallback(refusal::no_such_path)
        .method_not_allowed_fallback(refusal::no_such_method)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), guard))
        .layer(middleware::from_fn(connections::in_use))
        .with_state(api)
}

/// Refuses foreign names, and keeps answers out of caches.
async fn guard(State(api): Shared, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).map(HeaderValue::to_str);
    let refused = match host {
        _ if api.public => None,
        None => None,
        Some(Ok(host)) if is_own_name(host) => None,
        Some(_) => Some(Refusal::new(
            StatusCode::FORBIDDEN,
            "wrong_host",
            "this API answers only to IP addresses and to \"localhost\" in the Host header",
            "ask it under one of these, or set api.public = true in node.toml",
        )),
    };
    let mut response = match refused {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

/// Whether a Host header names this machine in a way that no web page's own name can.
fn is_own_name(host: &str) -> bool {
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

async fn within(time_max: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(time_max, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timed_out",
            format!("no answer within {} seconds", time_max.as_secs()),
            "the node is overloaded, or the request arrived too slowly: try again later",
        )
        .into_response(),
    }
}

/// Does `work` on a thread that may block, as soon as one of `threads` is free. The thread stays
/// taken until the work is done, also if nobody waits for the answer any more.
async fn blocking<T, W>(threads: &Arc<Semaphore>, work: W) -> Result<T, Refusal>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    let permit = Arc::clone(threads)
        .acquire_owned()
        .await
        .map_err(|_| Refusal::stopping())?;
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    })
    .await
    .map_err(|_| Refusal::stopping())
}

/// A JSON answer that was encoded before.
fn json_text(text: impl Into<axum::body::Body>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], text.into()).into_response()
}
