//! Final events, found again: `GET /v1/events`. The live feed ([`super::feed`]) is made of the same
//! pages.
//!
//! A page is bounded in entries, in bytes, in blocks and in rows of the index that are looked at,
//! so one may be empty and there may be more all the same. It ends before blocks that are not here,
//! and one that would begin with such a block is refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chancery_client::api::{Bytes, Cursor, EventEntry, EventFilter, EventsPage, Start};
use chancery_genesis::time;
use chancery_ledger::{ContractEvent, Height};
use serde::Deserialize;

use super::refusal::Refusal;
use super::versions::Versions;
use super::{Api, Shared, blocking};
use crate::store::{Mark, Search, Snapshot, StoredBlock, TransactionPlace};

/// Entries of a page, unless it is said how many.
pub(super) const PAGE_ENTRIES: usize = 100;
/// A page that has so many bytes of events, receipts or arguments takes no more entries.
pub(super) const PAGE_BYTES_MAX: usize = 1_048_576;
/// Blocks that are read for one page.
pub(super) const PAGE_BLOCKS_MAX: usize = 64;
/// Rows of the index that are looked at for one page.
const PAGE_ROWS_MAX: usize = 8_192;

/// What a list or a feed of events may be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    contract: Option<String>,
    event: Option<String>,
    account: Option<String>,
    from: Option<String>,
    limit: Option<usize>,
}

impl EventsQuery {
    /// The parameters of a list, or those of a feed, which has no limit.
    pub(super) fn of(
        query: Result<Query<Self>, QueryRejection>,
        parameters: &'static str,
    ) -> Result<Self, Refusal> {
        let Query(query) = query.map_err(|rejection| {
            Refusal::bad_request(
                rejection.body_text(),
                format!("the parameters are {parameters}"),
            )
        })?;
        Ok(query)
    }

    pub(super) fn filter(&self) -> Result<EventFilter, Refusal> {
        if self.event.as_ref().is_some_and(String::is_empty) {
            return Err(Refusal::bad_request(
                "event is empty",
                "leave it out to get events of every name",
            ));
        }
        Ok(EventFilter {
            contract: parse("contract", self.contract.as_deref())?,
            event: self.event.clone(),
            account: parse("account", self.account.as_deref())?,
        })
    }

    pub(super) fn has_limit(&self) -> bool {
        self.limit.is_some()
    }

    pub(super) fn start(&self) -> Result<Start, Refusal> {
        start(self.from.as_deref())
    }
}

/// Where to begin, by what was said.
pub(super) fn start(from: Option<&str>) -> Result<Start, Refusal> {
    let parsed = from.map_or(Ok(Start::Beginning), str::parse);
    parsed.map_err(|error| {
        Refusal::bad_cursor(
            error,
            "a cursor is the `next` of a page, or the id of an event; \"latest\" begins with what comes",
        )
    })
}

/// A contract or an account in the query.
pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Refusal> {
    text.map(str::parse).transpose().map_err(|error| {
        Refusal::bad_request(
            format!("{name}: {error}"),
            "contracts are 64 hexadecimal digits, accounts are written as did:key:z6Mk…",
        )
    })
}

/// How many entries a page may have.
pub(super) fn limit(api: &Api, asked: Option<usize>) -> Result<usize, Refusal> {
    let most = api.page_entries_max;
    let limit = asked.unwrap_or(PAGE_ENTRIES.min(most));
    if limit == 0 || limit > most {
        return Err(Refusal::bad_request(
            format!("limit = {limit}, between 1 and {most} is possible (api.page_entries_max)"),
            "go on with the `next` of a page for more",
        ));
    }
    Ok(limit)
}

pub(super) async fn list(
    State(api): Shared,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Json<EventsPage>, Refusal> {
    let query = EventsQuery::of(query, "contract, event, account, from and limit")?;
    let (filter, start) = (query.filter()?, query.start()?);
    let limit = limit(&api, query.limit)?;
    let shared = Arc::clone(&api);
    let page = blocking(&api.reads, move || {
        let from = cursor(&shared, start);
        page(&shared, &filter, from, limit)
    });
    Ok(Json(page.await??))
}

/// The first place that is not passed.
pub(super) fn cursor(api: &Api, start: Start) -> Cursor {
    match start {
        Start::Beginning => Cursor::default(),
        Start::Latest => Cursor::before(api.node.progress.borrow().final_height.next()),
        Start::At(cursor) => cursor,
    }
}

/// A page of events. Reads the disk: for threads that may block.
pub(super) fn page(
    api: &Api,
    filter: &EventFilter,
    from: Cursor,
    limit: usize,
) -> Result<EventsPage, Refusal> {
    let marks = marks(filter);
    let (mut events, mut bytes) = (Vec::<EventEntry>::new(), 0);
    let walk = walk(api, &marks, from, |block, index, from| {
        let announced = event_rows(block, index);
        for (event_index, event) in announced.skip_while(|(at, _)| *at < from.event) {
            if !holds(filter, event) {
                continue;
            }
            if events.len() == limit || bytes >= PAGE_BYTES_MAX {
                return Some(Cursor {
                    event: event_index,
                    ..from
                });
            }
            bytes += event.data.len() + event.topic.len();
            events.extend(entry(block, index, event_index, event));
        }
        None
    })?;
    let snapshot = api.node.store.read();
    let mut versions = Versions::of(&snapshot);
    for event in &mut events {
        let (height, index) = (event.height, event.index);
        let place = TransactionPlace { height, index };
        event.contract_version = versions.at(event.contract, place);
    }
    Ok(EventsPage {
        events,
        next: walk.next,
        more: walk.more,
        final_height: walk.final_height,
    })
}

/// The marks that all transactions with such events have, and few others.
fn marks(filter: &EventFilter) -> Vec<Mark<'_>> {
    let of_events = match (filter.contract, filter.event.as_deref()) {
        (None, None) => Mark::Events,
        (Some(contract), None) => Mark::Emitter(contract),
        (None, Some(topic)) => Mark::Topic(topic),
        (Some(contract), Some(topic)) => Mark::EmitterTopic(contract, topic),
    };
    let sender = filter.account.map(Mark::Sender);
    std::iter::once(of_events).chain(sender).collect()
}

fn holds(filter: &EventFilter, event: &ContractEvent) -> bool {
    let of_contract = filter.contract.is_none_or(|id| event.contract == id);
    let of_name = filter.event.as_ref().is_none_or(|it| event.topic == *it);
    of_contract && of_name
}

fn event_rows(block: &StoredBlock, index: u32) -> impl Iterator<Item = (u32, &ContractEvent)> {
    let receipt = usize::try_from(index)
        .ok()
        .and_then(|at| block.receipts.get(at));
    let events = receipt.map(|receipt| receipt.events.as_slice());
    (0..).zip(events.unwrap_or_default())
}

fn entry(
    block: &StoredBlock,
    index: u32,
    event_index: u32,
    event: &ContractEvent,
) -> Option<EventEntry> {
    let (header, position) = (&block.header, usize::try_from(index).ok()?);
    Some(EventEntry {
        cursor: Cursor::behind_event(header.height, index, event_index),
        height: header.height,
        index,
        event_index,
        block_time: time::format(header.time),
        block_time_ms: header.time,
        transaction: block.receipts.get(position)?.transaction,
        sender: block.transactions.get(position)?.transaction.sender,
        contract: event.contract,
        contract_version: None,
        topic: event.topic.clone(),
        data: Bytes(event.data.clone()),
    })
}

/// How far one page came.
pub(super) struct Walk {
    pub(super) next: Cursor,
    pub(super) more: bool,
    pub(super) final_height: Height,
}

/// Visits the final transactions with all of `marks`, from `from` on, with the place from which on
/// each is to be looked at; until `visit` says where it stopped, or enough was read for one page.
pub(super) fn walk(
    api: &Api,
    marks: &[Mark<'_>],
    from: Cursor,
    mut visit: impl FnMut(&StoredBlock, u32, Cursor) -> Option<Cursor>,
) -> Result<Walk, Refusal> {
    let progress = api.node.progress.borrow().clone();
    if let Some(reason) = &progress.halted {
        // What is certified may be something else than what is here.
        return Err(Refusal::halted(reason));
    }
    let snapshot = api.node.store.read();
    let final_height = progress.final_height.min(snapshot.tip().header.height);
    let (through, ends_at_gap) = whole_through(&snapshot, from, final_height)?;
    let walk = |next, more| Walk {
        next,
        more,
        final_height,
    };
    let mut place = from;
    for _ in 0..PAGE_BLOCKS_MAX {
        let at = TransactionPlace {
            height: place.height,
            index: place.transaction,
        };
        let (height, indices) = match snapshot.search(marks, at, through, PAGE_ROWS_MAX) {
            Search::Found { height, indices } => (height, indices),
            Search::Paused(height) => return Ok(walk(place.max(Cursor::before(height)), true)),
            Search::Nothing => {
                let end = Cursor::before(through.next());
                return Ok(walk(place.max(end), ends_at_gap));
            }
        };
        let Some(block) = api.blocks.get(&snapshot, height)? else {
            // Blocks and their marks are written together; this is not reached.
            return Ok(walk(place, false));
        };
        for index in indices {
            let first = Cursor {
                height,
                transaction: index,
                event: 0,
            };
            if let Some(stopped) = visit(&block, index, first.max(place)) {
                return Ok(walk(stopped, true));
            }
        }
        place = Cursor::before(height.next());
    }
    Ok(walk(place, true))
}

/// Up to where all final blocks from `from` on are here, and whether more follow behind a gap.
fn whole_through(
    snapshot: &Snapshot,
    from: Cursor,
    final_height: Height,
) -> Result<(Height, bool), Refusal> {
    let Some(gap) = snapshot.gap(from.height) else {
        return Ok((final_height, false));
    };
    if gap.first <= from.height {
        return Err(Refusal::history_before_snapshot(from.height, gap.last));
    }
    // A gap begins behind genesis.
    let before = Height(gap.first.0.saturating_sub(1));
    Ok((final_height.min(before), before < final_height))
}
