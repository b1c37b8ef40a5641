//! Events as they become final, at whichever node serves them.
//!
//! - **E1** The feed goes on behind its last event, or where it was to begin. An event counts if it
//!   comes behind everything that was told on its connection, says its own place, and is one that
//!   was asked for. Everything else is the node's failure, and nothing of it is kept: so no event
//!   comes twice, whatever a node says.
//! - **E2** A cursor without an event (a heartbeat's) is the word of one node that there is nothing
//!   up to there. The feed goes on from it at that node only; at another one it goes on behind the
//!   last event. So nothing is missed for good by a heartbeat. An event is believed, as everything
//!   else that a node answers: what its node left out before it is not asked for again.
//! - **E3** Until there is an event, `latest` is what the first node said that it is, lest what becomes
//!   final while the feed changes nodes is missed. Another node is asked as well, and the feed
//!   begins there with the lesser of the two, lest one node can put it where nothing ever comes.
//! - **E4** A node serves if it brings an event, or a heartbeat and then stays for [`STANDING_TIME`].
//!   One that does not has failed, and the next one is asked ([`crate::asked`]). One from which
//!   nothing comes for [`SILENCE_MAX`] is left.
//! - **E5** Rounds over the nodes begin at least [`ROUND_PAUSE`] apart. If none served for a whole
//!   round, and for as long as patience lasts, that is told.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::api::{Cursor, ErrorBody, EventEntry, EventFilter, EventsPage, Start};
use crate::asked::{Asked, BEFORE_SNAPSHOT};
use crate::client::{ANSWER_TIMEOUT, Client, Failure, innermost, parse};
use crate::error::ClientError;
use crate::pages::{check_event, events_path, place};
use crate::sse::{Message, Parser};

/// A node from which nothing comes for so long, not even a heartbeat (at most 20 s apart), is left.
/// The first message comes at once.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// A connection with nothing but heartbeats must last for so long to be of use.
const STANDING_TIME: Duration = Duration::from_secs(1);
/// Between the beginnings of two rounds over all nodes.
const ROUND_PAUSE: Duration = Duration::from_millis(250);
/// How long nobody may serve a feed before that is said.
const PATIENCE: Duration = Duration::from_secs(30);

impl Client {
    /// Events from `from` on, those to come included: each once, in order, whichever nodes fail.
    #[must_use]
    pub fn follow_events(&self, filter: EventFilter, from: Start) -> EventFeed<'_> {
        EventFeed {
            client: self,
            filter,
            from,
            latest: None,
            told: BTreeMap::new(),
            patience: PATIENCE,
            open: None,
            round: None,
            round_at: Instant::now(),
        }
    }
}

/// A live feed of events that goes on by itself at another node, where one ends.
///
/// It keeps the cursor of the last event, so that a lost connection costs neither an event nor
/// shows one twice. Whoever wants to go on after a restart of its own keeps [`EventEntry::cursor`]
/// of the last event that it has dealt with.
#[derive(Debug)]
pub struct EventFeed<'a> {
    client: &'a Client,
    filter: EventFilter,
    /// Behind the last event, or where it was to begin.
    from: Start,
    /// What the first node said that `latest` is.
    latest: Option<Cursor>,
    /// Up to where each node said that there is nothing more.
    told: BTreeMap<usize, Cursor>,
    patience: Duration,
    open: Option<Open>,
    /// The round under way, unless the last connection was of use.
    round: Option<Round>,
    /// The next round does not begin before.
    round_at: Instant,
}

/// A connection to one node.
#[derive(Debug)]
struct Open {
    index: usize,
    response: reqwest::Response,
    parser: Parser,
    opened_at: Instant,
    /// When the newest message came.
    heard_at: Option<Instant>,
    /// Everything before was told on it.
    reached: Option<Cursor>,
    has_event: bool,
}

/// One time around the nodes, while none serves.
#[derive(Debug)]
struct Round {
    /// Since when none does.
    since: Instant,
    left: VecDeque<usize>,
    /// Who is being asked; still here if the caller gave up waiting.
    asking: Option<usize>,
    asked: Asked,
}

impl EventFeed<'_> {
    /// How long nobody may serve it before [`EventFeed::next`] says so.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Where it goes on: nothing is missed and nothing comes again from there on.
    #[must_use]
    pub fn from(&self) -> Start {
        match (self.from, self.latest) {
            (Start::Latest, Some(latest)) => Start::At(latest),
            (from, _) => from,
        }
    }

    /// Waits for the next event. It may be given up (dropped) and called again at any time.
    ///
    /// # Errors
    /// If the request is refused as it is; if nobody has what comes next
    /// (`before_snapshot`); or if nobody served it for so long that patience is over. After that it
    /// may be called again.
    pub async fn next(&mut self) -> Result<EventEntry, ClientError> {
        loop {
            match self.turn().await {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(error) => {
                    self.round = None;
                    return Err(error);
                }
            }
        }
    }

    /// Takes one message, or asks one node for a connection.
    async fn turn(&mut self) -> Result<Option<EventEntry>, ClientError> {
        let Some(open) = &mut self.open else {
            self.connect().await?;
            return Ok(None);
        };
        let message = open.message().await;
        match message.and_then(|message| self.take(&message)) {
            Ok(event) => Ok(event),
            Err(failure) => self.leave(failure).map(|()| None),
        }
    }

    /// What a message brings, if it is an event.
    fn take(&mut self, message: &Message) -> Result<Option<EventEntry>, Failure> {
        let id = message.id.as_deref().map(str::parse::<Cursor>).transpose();
        let id = id.map_err(|error| Failure::BadAnswer(error.to_string()))?;
        match (id, message.event.as_str(), message.data.as_str()) {
            (None, "", "") => {
                self.heard();
                Ok(None)
            }
            (Some(reached), "", "") => {
                self.pass(reached)?;
                self.heard();
                Ok(None)
            }
            (Some(cursor), "", data) => self.event(cursor, data).map(Some),
            (Some(reached), "refused", data) => {
                self.pass(reached)?;
                let body: ErrorBody = parse(data.as_bytes()).map_err(Failure::BadAnswer)?;
                // The status that it would have had at the start.
                let is_gone = body.error.code == BEFORE_SNAPSHOT;
                let status = if is_gone { 410 } else { 503 };
                Err(Failure::Api(status, body.error))
            }
            (_, name, _) => {
                let name: String = name.chars().take(80).collect();
                let reason = format!("a message {name:?} that no feed has");
                Err(Failure::BadAnswer(reason))
            }
        }
    }

    /// E1.
    fn event(&mut self, cursor: Cursor, data: &str) -> Result<EventEntry, Failure> {
        let event: EventEntry = parse(data.as_bytes()).map_err(Failure::BadAnswer)?;
        if event.cursor != cursor {
            let reason = format!("the event {} came with the id {cursor}", event.cursor);
            return Err(Failure::BadAnswer(reason));
        }
        let reached = self.open.as_ref().and_then(|open| open.reached);
        check_event(&event, &self.filter, reached).map_err(Failure::BadAnswer)?;
        if let Some(open) = &mut self.open {
            (open.reached, open.has_event) = (Some(cursor), true);
        }
        self.from = Start::At(cursor);
        self.heard();
        Ok(event)
    }

    /// A node says that there is nothing more before `reached`.
    fn pass(&mut self, reached: Cursor) -> Result<(), Failure> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if let Some(before) = open.reached.filter(|before| reached < *before) {
            let reason = format!("the cursor went back from {before} to {reached}");
            return Err(Failure::BadAnswer(reason));
        }
        open.reached = Some(reached);
        self.told.insert(open.index, reached);
        if self.from == Start::Latest {
            self.latest.get_or_insert(reached);
        }
        Ok(())
    }

    /// The node speaks as it should.
    fn heard(&mut self) {
        if let Some(open) = &mut self.open {
            if open.heard_at.is_none() {
                self.client.prefer(open.index);
            }
            open.heard_at = Some(Instant::now());
        }
    }

    /// Ends the connection; the next round begins with somebody else.
    fn leave(&mut self, failure: Failure) -> Result<(), ClientError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let count = self.client.urls().len();
        self.client.prefer((open.index + 1) % count);
        if open.is_of_use() {
            self.round = None;
            return Ok(());
        }
        self.note(open.index, failure)
    }

    fn note(&mut self, index: usize, failure: Failure) -> Result<(), ClientError> {
        match &mut self.round {
            Some(round) => round.asked.note(&self.client.urls()[index], failure),
            None => Ok(()),
        }
    }

    /// Asks the next node of the round for a connection, or begins a round.
    async fn connect(&mut self) -> Result<(), ClientError> {
        let asking = self.round.as_mut().and_then(|round| round.asking.take());
        if let Some(index) = asking {
            let reason = "no answer for as long as was waited".to_owned();
            self.note(index, Failure::NoAnswer(reason))?;
        }
        let next = self.round.as_mut().and_then(|round| {
            round.asking = round.left.pop_front();
            round.asking
        });
        let Some(index) = next else {
            return self.begin_round().await;
        };
        let opened = self.open(index).await;
        if let Some(round) = &mut self.round {
            round.asking = None;
        }
        match opened {
            Ok(open) => {
                self.open = Some(open);
                Ok(())
            }
            Err(failure) => self.note(index, failure),
        }
    }

    /// E5.
    async fn begin_round(&mut self) -> Result<(), ClientError> {
        if let Some(round) = &mut self.round
            && (round.asked.all_gone() || round.since.elapsed() >= self.patience)
        {
            return Err(std::mem::take(&mut round.asked).into_error());
        }
        sleep_until(self.round_at).await;
        let now = Instant::now();
        self.round_at = now + ROUND_PAUSE;
        self.round = Some(Round {
            since: self.round.as_ref().map_or(now, |round| round.since),
            left: self.client.order().collect(),
            asking: None,
            asked: Asked::default(),
        });
        Ok(())
    }

    async fn open(&self, index: usize) -> Result<Open, Failure> {
        let from = self.start_at(index).await?;
        let path = events_path("/v1/events/stream", &self.filter, from, None);
        let response = self.client.open(index, &path).await?;
        Ok(Open {
            index,
            response,
            parser: Parser::default(),
            opened_at: Instant::now(),
            heard_at: None,
            reached: place(from),
            has_event: false,
        })
    }

    /// Where to go on at one node: E2 and E3.
    async fn start_at(&self, index: usize) -> Result<Start, Failure> {
        match (self.told.get(&index), place(self.from), self.latest) {
            (Some(told), from, _) => Ok(Start::At(from.map_or(*told, |from| from.max(*told)))),
            (None, None, Some(latest)) => {
                let path = events_path("/v1/events", &self.filter, Start::Latest, Some(1));
                let page = self.client.ask::<(), _>(index, &path, None, ANSWER_TIMEOUT);
                let page: EventsPage = page.await?;
                Ok(Start::At(page.next.min(latest)))
            }
            (None, _, _) => Ok(self.from),
        }
    }
}

impl Open {
    /// E4. A silence by which it ended does not count.
    fn is_of_use(&self) -> bool {
        let Some(heard_at) = self.heard_at else {
            return false;
        };
        let is_silent = heard_at.elapsed() >= SILENCE_MAX;
        let end = if is_silent { heard_at } else { Instant::now() };
        self.has_event || end.duration_since(self.opened_at) >= STANDING_TIME
    }

    /// The next message.
    async fn message(&mut self) -> Result<Message, Failure> {
        let (since, silence_max) = match self.heard_at {
            Some(heard_at) => (heard_at, SILENCE_MAX),
            None => (self.opened_at, ANSWER_TIMEOUT),
        };
        let message = timeout_at(since + silence_max, self.read()).await;
        message.unwrap_or_else(|_| {
            let reason = format!("silent for {silence_max:?}");
            Err(Failure::NoAnswer(reason))
        })
    }

    async fn read(&mut self) -> Result<Message, Failure> {
        loop {
            if let Some(message) = self.parser.next().map_err(Failure::BadAnswer)? {
                return Ok(message);
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.parser.push(&bytes),
                Ok(None) => return Err(Failure::NoAnswer("the feed ended".to_owned())),
                Err(error) => return Err(Failure::NoAnswer(innermost(&error))),
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
