//! Final events and transactions, found again, and versions of contracts, a page at a time.
//!
//! A page that does not hold together is none, and the next node is asked: its entries are what was
//! asked for and go on strictly from where it was to begin, and `next` is not before them. Where
//! there is more, `next` is behind the start, so whoever goes on with it gets on.

use chancery_ledger::ContractId;
use chancery_ledger::upgrade::FIRST_VERSION;

use crate::api::{
    Cursor, EventEntry, EventFilter, EventsPage, Start, TransactionFilter, TransactionInfo,
    TransactionsPage, VersionsPage,
};
use crate::client::{Client, parse};
use crate::error::ClientError;

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
        let path = events_path("/v1/events", filter, from, limit);
        self.on_any::<(), _>(&path, None, |bytes| {
            let page: EventsPage = parse(&bytes)?;
            check_events(&page, filter, from)?;
            Ok(page)
        })
        .await
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
        let path = path("/v1/transactions", parameters.into_iter().flatten());
        self.on_any::<(), _>(&path, None, |bytes| {
            let page: TransactionsPage = parse(&bytes)?;
            let mut reached = place(from);
            for info in &page.transactions {
                let cursor = behind(info)?;
                check_advance(cursor, reached)?;
                if filter.account.is_some() && info.sender != filter.account {
                    return Err(format!("transaction {} is of another account", info.id));
                }
                reached = Some(cursor);
            }
            check_next(page.next, page.more, place(from), reached)?;
            Ok(page)
        })
        .await
    }
}

impl Client {
    /// A page of a contract's versions, from `from` on; `limit` is at most what the node allows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn contract_versions(
        &self,
        id: ContractId,
        from: u32,
        limit: Option<usize>,
    ) -> Result<VersionsPage, ClientError> {
        let from = from.max(FIRST_VERSION);
        let parameters = [
            Some(("from", from.to_string())),
            limit.map(|limit| ("limit", limit.to_string())),
        ];
        let base = format!("/v1/contracts/{id}/versions");
        let path = path(&base, parameters.into_iter().flatten());
        self.on_any::<(), _>(&path, None, |bytes| {
            let page: VersionsPage = parse(&bytes)?;
            check_versions(&page, from, limit)?;
            Ok(page)
        })
        .await
    }
}

/// Whether these are the versions from `from` on, none left out and no more than were asked for, their
/// places rise, and `next` is the one behind them: so each page brings at least one, if another follows.
fn check_versions(page: &VersionsPage, from: u32, limit: Option<usize>) -> Result<(), String> {
    let versions = &page.versions;
    let begins = versions.first().is_none_or(|first| first.version == from);
    let rise = versions
        .is_sorted_by(|a, b| a.version.checked_add(1) == Some(b.version) && a.since < b.since);
    let few = limit.is_none_or(|limit| versions.len() <= limit);
    let last = versions.last().map(|last| last.version);
    let ends = page.next.is_none() || page.next == last.and_then(|last| last.checked_add(1));
    if begins && rise && few && ends {
        return Ok(());
    }
    Err(format!(
        "the versions from {from} on are not there one by one, in order"
    ))
}

/// The path of a list or a feed of events.
pub(crate) fn events_path(
    base: &str,
    filter: &EventFilter,
    from: Start,
    limit: Option<usize>,
) -> String {
    let parameters = [
        filter.contract.map(|it| ("contract", it.to_string())),
        filter.event.clone().map(|it| ("event", it)),
        filter.account.map(|it| ("account", it.to_string())),
        Some(("from", from.to_string())),
        limit.map(|limit| ("limit", limit.to_string())),
    ];
    path(base, parameters.into_iter().flatten())
}

fn path(base: &str, parameters: impl Iterator<Item = (&'static str, String)>) -> String {
    let url = reqwest::Url::parse_with_params("http://node", parameters);
    let url = url.expect("a constant is an address");
    format!("{base}?{}", url.query().unwrap_or_default())
}

/// The first place that is not passed, unless only a node can say it.
pub(crate) fn place(start: Start) -> Option<Cursor> {
    match start {
        Start::Beginning => Some(Cursor::default()),
        Start::Latest => None,
        Start::At(cursor) => Some(cursor),
    }
}

/// Whether a page of events holds together.
pub(crate) fn check_events(
    page: &EventsPage,
    filter: &EventFilter,
    from: Start,
) -> Result<(), String> {
    let mut reached = place(from);
    for event in &page.events {
        check_event(event, filter, reached)?;
        reached = Some(event.cursor);
    }
    check_next(page.next, page.more, place(from), reached)
}

/// Whether an event says its own place, is one that was asked for, and comes behind `reached`.
pub(crate) fn check_event(
    event: &EventEntry,
    filter: &EventFilter,
    reached: Option<Cursor>,
) -> Result<(), String> {
    let EventEntry {
        cursor,
        height,
        index,
        event_index,
        ..
    } = event;
    let behind = Cursor::behind_event(*height, *index, *event_index);
    if *cursor != behind {
        return Err(format!(
            "the event at {behind} is said to have the cursor {cursor}"
        ));
    }
    check_advance(*cursor, reached)?;
    let is_asked_for = filter.contract.is_none_or(|id| event.contract == id)
        && filter.event.as_ref().is_none_or(|it| event.topic == *it)
        && filter.account.is_none_or(|id| event.sender == id);
    if !is_asked_for {
        return Err(format!("the event at {cursor} was not asked for"));
    }
    Ok(())
}

fn check_advance(cursor: Cursor, reached: Option<Cursor>) -> Result<(), String> {
    match reached {
        Some(reached) if cursor <= reached => Err(format!(
            "the entry with the cursor {cursor} does not come behind {reached}"
        )),
        _ => Ok(()),
    }
}

/// Whether one gets on from `start` by `next`, behind the entries up to `reached`.
fn check_next(
    next: Cursor,
    more: bool,
    start: Option<Cursor>,
    reached: Option<Cursor>,
) -> Result<(), String> {
    if let Some(reached) = reached.filter(|reached| next < *reached) {
        return Err(format!("next = {next} is before {reached}"));
    }
    match start {
        Some(start) if more && next <= start => Err(format!(
            "there is more, and next = {next} does not get on from {start}"
        )),
        _ => Ok(()),
    }
}

fn behind(info: &TransactionInfo) -> Result<Cursor, String> {
    let at = info.height.zip(info.index);
    at.map(|(height, index)| Cursor::behind(height, index))
        .ok_or_else(|| format!("transaction {} is listed without its place", info.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::VersionInfo;
    use chancery_ledger::{CodeHash, Height, TransactionPlace};

    #[test]
    fn versions_that_lead_nowhere_are_no_page() {
        let check = |from: u32, versions: &[(u32, u64)], next: Option<u32>| {
            let info = |(version, height): &(u32, u64)| VersionInfo {
                version: *version,
                code: CodeHash([1; 32]),
                since: TransactionPlace {
                    height: Height(*height),
                    index: 0,
                },
            };
            let versions = versions.iter().map(info).collect();
            check_versions(&VersionsPage { versions, next }, from, Some(2)).is_ok()
        };
        assert!(check(1, &[(1, 5), (2, 7)], Some(3)));
        assert!(check(3, &[(3, 9)], None) && check(3, &[(3, 9)], Some(4)));
        assert!(check(4, &[], None) && check(u32::MAX, &[(u32::MAX, 5)], None));
        assert!(!check(2, &[(1, 5), (2, 7)], None), "before the start");
        assert!(!check(1, &[(2, 5), (1, 7)], None), "not in order");
        assert!(!check(1, &[(1, 5), (1, 7)], None), "twice");
        assert!(!check(1, &[(1, 7), (2, 7)], None), "at one place");
        assert!(!check(1, &[(1, 5), (2, 7)], Some(2)), "again");
        assert!(!check(1, &[], Some(1)), "for ever");
        assert!(!check(1, &[], Some(2)), "almost for ever");
        assert!(!check(1, &[(2, 7)], None), "behind the start");
        assert!(!check(1, &[(1, 5), (3, 7)], None), "with a gap");
        assert!(!check(1, &[(1, 5), (2, 7)], Some(4)), "a gap behind it");
        assert!(!check(1, &[(1, 5), (2, 7), (3, 9)], None), "too many");
        let last = [(u32::MAX, 5), (u32::MAX, 7)];
        assert!(!check(u32::MAX, &last, None), "behind the last number");
    }
}
