//! Final events and transactions, found again, and events as they become final.

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use tokio::time::{sleep, timeout};

use crate::api::{
    Cursor, ErrorBody, EventEntry, EventFilter, EventsPage, Start, TransactionFilter,
    TransactionsPage,
};
use crate::client::{ANSWER_TIMEOUT, Client, Failure, innermost};
use crate::error::{ClientError, NodeFailure};
use crate::sse::{Message, Parser};

/// A node from which nothing comes for so long, not even a heartbeat (at most 20 s apart), is left.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Between two rounds over all nodes.
const ROUND_PAUSE: Duration = Duration::from_millis(250);
/// How long nobody may serve a feed before that is said.
const PATIENCE: Duration = Duration::from_secs(30);

impl Client {
    /// A page of final events; `limit` is at most what the node allows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(
        &self,
        filter: &EventFilter,
        from: Start,
        limit: Option<usize>,
    ) -> Result<EventsPage, ClientError> {
        let limit = limit.map(|limit| ("limit", limit.to_string()));
        let parameters = of_events(filter, from).into_iter().chain(limit);
        self.get(&path("/v1/events", parameters)).await
    }

    /// A page of final transactions with their receipts; `limit` is at most what the node allows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn transactions(
        &self,
        filter: &TransactionFilter,
        from: Start,
        limit: Option<usize>,
    ) -> Result<TransactionsPage, ClientError> {
        let parameters = [
            filter.account.map(|it| ("account", it.to_string())),
            filter.contract.map(|it| ("contract", it.to_string())),
            Some(("from", from.to_string())),
            limit.map(|limit| ("limit", limit.to_string())),
        ];
        let parameters = parameters.into_iter().flatten();
        self.get(&path("/v1/transactions", parameters)).await
    }

    /// Events from `from` on, those to come included: each once, in order, whichever nodes fail.
    #[must_use]
    pub fn follow_events(&self, filter: EventFilter, from: Start) -> EventFeed<'_> {
        EventFeed {
            client: self,
            filter,
            from,
            patience: PATIENCE,
            open: None,
            failing_since: None,
        }
    }
}

fn of_events(filter: &EventFilter, from: Start) -> Vec<(&'static str, String)> {
    let parameters = [
        filter.contract.map(|it| ("contract", it.to_string())),
        filter.event.clone().map(|it| ("event", it)),
        filter.account.map(|it| ("account", it.to_string())),
        Some(("from", from.to_string())),
    ];
    parameters.into_iter().flatten().collect()
}

fn path(path: &str, parameters: impl Iterator<Item = (&'static str, String)>) -> String {
    let url = reqwest::Url::parse_with_params("http://node", parameters);
    let url = url.expect("a constant is an address");
    format!("{path}?{}", url.query().unwrap_or_default())
}

/// A live feed of events that goes on by itself at another node, where one ends.
///
/// It keeps the cursor that it has got to, so that a lost connection costs neither an event nor
/// shows one twice. Whoever wants to go on after a restart of its own keeps [`EventEntry::cursor`]
/// of the last event that it has dealt with.
#[derive(Debug)]
pub struct EventFeed<'a> {
    client: &'a Client,
    filter: EventFilter,
    from: Start,
    patience: Duration,
    open: Option<Open>,
    /// Since when nothing has come, if no feed is open.
    failing_since: Option<Instant>,
}

/// A connection to one node.
#[derive(Debug)]
struct Open {
    index: usize,
    response: reqwest::Response,
    parser: Parser,
}

impl EventFeed<'_> {
    /// How long nobody may serve it before [`EventFeed::next`] says so.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Where it goes on.
    #[must_use]
    pub fn from(&self) -> Start {
        self.from
    }

    /// Waits for the next event. It may be given up (dropped) and called again at any time.
    ///
    /// # Errors
    /// If the request is refused as it is; if nobody has what comes next
    /// (`before_snapshot`); or if nobody served it for so long that patience is over. After that it
    /// may be called again.
    pub async fn next(&mut self) -> Result<EventEntry, ClientError> {
        loop {
            if self.open.is_none() {
                let since = *self.failing_since.get_or_insert_with(Instant::now);
                if let Err((error, is_final)) = self.connect().await {
                    if is_final || since.elapsed() >= self.patience {
                        self.failing_since = None;
                        return Err(error);
                    }
                    sleep(ROUND_PAUSE).await;
                    continue;
                }
            }
            let Some(open) = &mut self.open else { continue };
            let Ok(message) = open.message().await else {
                self.leave();
                // One that says nothing at all is not asked again and again at once.
                if self.failing_since.is_some() {
                    sleep(ROUND_PAUSE).await;
                }
                continue;
            };
            self.failing_since = None;
            if let Some(event) = self.take(&message) {
                return Ok(event);
            }
            if self.open.is_none() {
                sleep(ROUND_PAUSE).await;
            }
        }
    }

    /// What a message brings, if it is an event. A node that speaks otherwise is left.
    fn take(&mut self, message: &Message) -> Option<EventEntry> {
        let id = message.id.as_deref().map(str::parse::<Cursor>);
        match (id, message.event.as_str(), message.data.as_str()) {
            (Some(Ok(reached)), "", "") => {
                self.from = Start::At(reached);
                None
            }
            (Some(Ok(cursor)), "", data) => {
                let event: Option<EventEntry> = serde_json::from_str(data).ok();
                let Some(event) = event.filter(|event| event.cursor == cursor) else {
                    self.leave();
                    return None;
                };
                self.from = Start::At(cursor);
                Some(event)
            }
            (Some(Ok(reached)), "refused", _) => {
                self.from = Start::At(reached);
                self.leave();
                None
            }
            // It is not of this API.
            _ => {
                self.leave();
                None
            }
        }
    }

    /// The next connection begins with somebody else.
    fn leave(&mut self) {
        if let Some(open) = self.open.take() {
            let count = self.client.urls().len();
            self.client.prefer((open.index + 1) % count);
        }
    }

    /// Opens a feed at the first node that serves one; the error says whether another try is of no
    /// use.
    async fn connect(&mut self) -> Result<(), (ClientError, bool)> {
        let path = path(
            "/v1/events/stream",
            of_events(&self.filter, self.from).into_iter(),
        );
        let (mut tried, mut refused, mut all_gone) = (Vec::new(), None, true);
        for index in self.client.order() {
            let url = self.client.urls()[index].clone();
            match self.client.open(index, &path).await {
                Ok(response) => {
                    self.client.prefer(index);
                    self.open = Some(Open {
                        index,
                        response,
                        parser: Parser::default(),
                    });
                    return Ok(());
                }
                Err(Failure::Api(status, error)) => {
                    let is_gone = error.code == "before_snapshot";
                    let failed = ClientError::Api { url, status, error };
                    if status < 500 && !is_gone {
                        return Err((failed, true));
                    }
                    all_gone &= is_gone;
                    refused = Some(failed);
                }
                Err(Failure::BadAnswer(reason)) => {
                    return Err((ClientError::BadAnswer { url, reason }, true));
                }
                Err(Failure::NotSent(reason) | Failure::NoAnswer(reason)) => {
                    all_gone = false;
                    tried.push(NodeFailure { url, reason });
                }
            }
        }
        Err((refused.unwrap_or(ClientError::NoNode { tried }), all_gone))
    }
}

impl Open {
    /// The next message.
    async fn message(&mut self) -> Result<Message, Failure> {
        loop {
            if let Some(message) = self.parser.next().map_err(Failure::BadAnswer)? {
                return Ok(message);
            }
            let chunk = timeout(SILENCE_MAX, self.response.chunk()).await;
            match chunk {
                Ok(Ok(Some(bytes))) => self.parser.push(&bytes),
                Ok(Ok(None)) => return Err(Failure::NoAnswer("the feed ended".to_owned())),
                Ok(Err(error)) => return Err(Failure::NoAnswer(innermost(&error))),
                Err(_) => return Err(Failure::NoAnswer(format!("silent for {SILENCE_MAX:?}"))),
            }
        }
    }
}

impl Client {
    /// An answer of one node that does not end.
    async fn open(&self, index: usize, path: &str) -> Result<reqwest::Response, Failure> {
        const STREAM: &str = "text/event-stream";
        let request = self.http().get(format!("{}{path}", self.urls()[index]));
        let answer = timeout(ANSWER_TIMEOUT, request.header(ACCEPT, STREAM).send()).await;
        let mut response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Failure::NotSent(innermost(&error))),
            Err(_) => {
                let reason = format!("no answer within {ANSWER_TIMEOUT:?}");
                return Err(Failure::NoAnswer(reason));
            }
        };
        let status = response.status().as_u16();
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if status == 200 && kind.starts_with(STREAM) {
            return Ok(response);
        }
        // A refusal is short.
        let body = timeout(ANSWER_TIMEOUT, response.chunk()).await;
        let body = body.ok().and_then(Result::ok).flatten().unwrap_or_default();
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => Err(Failure::Api(status, body.error)),
            Err(_) => Err(Failure::BadAnswer(format!("HTTP status {status}"))),
        }
    }
}
