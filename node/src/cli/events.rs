//! `events`: what contracts announced, in the order of the ledger; with `--follow`, as it becomes
//! final.

use std::collections::BTreeMap;

use chancery_client::Client;
use chancery_client::api::{Cursor, EventEntry, EventFilter, Start};
use chancery_ledger::{ContractId, Height};
use chancery_runtime::schema::{Event, Schema};
use serde_json::json;

use super::args::EventsArgs;
use super::calls::contract_id;
use super::context::{Context, block_on};
use super::output::json_text;
use super::render::{Names, event_fields, field_rows, schema_of};
use super::{CliError, Output, Report, Rows, values};

/// `chancery events`: what there is, or with `--follow` what comes as well.
pub(super) fn events(context: &Context, args: &EventsArgs) -> Result<Report, CliError> {
    let account = match &args.account {
        Some(account) => Some(values::account(&context.keys()?, account)?),
        None => None,
    };
    let filter = EventFilter {
        contract: args.contract.as_deref().map(contract_id).transpose()?,
        event: args.event.clone(),
        account,
    };
    let from = start(args.from.as_deref())?;
    let names = context.names();
    block_on(async {
        let client = context.client()?;
        if let Some(contract) = filter.contract {
            // One that does not exist is a mistake, and not one without events.
            client.contract(contract).await?;
        }
        let mut printer = Printer {
            client: &client,
            output: context.output(),
            names,
            told: BTreeMap::new(),
            newest: Height(0),
            left: args.limit.unwrap_or(u64::MAX),
        };
        if args.follow {
            follow(context, &client, filter, from, &mut printer).await?;
        } else {
            list(&client, &filter, from, &mut printer).await?;
        }
        Ok(Report::silent())
    })
}

/// Where to begin, as it was typed.
pub(super) fn start(from: Option<&str>) -> Result<Start, CliError> {
    from.map_or(Ok(Start::Beginning), |from| {
        from.parse().map_err(|error| {
            CliError::usage(format!("{error}"))
                .code("bad_cursor")
                .hint("a cursor stands at the head of each event; `latest` begins with what comes")
        })
    })
}

/// Where the next page begins: a node that says there is more must have gone on, or the same
/// question would be asked for ever.
pub(super) fn beyond(from: Start, next: Cursor) -> Result<Start, CliError> {
    match from {
        Start::At(from) if next <= from => {
            let message =
                format!("a node says that there is more, but goes on from {from} to {next}");
            Err(CliError::failed("bad_answer", message))
        }
        Start::At(_) | Start::Beginning | Start::Latest => Ok(Start::At(next)),
    }
}

async fn list(
    client: &Client,
    filter: &EventFilter,
    mut from: Start,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    loop {
        let page = client.events(filter, from, None).await?;
        printer.newest = page.final_height;
        for event in &page.events {
            if !printer.print(event).await {
                return Ok(());
            }
        }
        from = if page.more {
            beyond(from, page.next)?
        } else {
            Start::At(page.next)
        };
        if !page.more {
            let words = format!(
                "that is all up to block {}; the next ones: --from {from}",
                page.final_height
            );
            printer.output.progress(&words);
            return Ok(());
        }
    }
}

async fn follow(
    context: &Context,
    client: &Client,
    filter: EventFilter,
    from: Start,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    let mut feed = client
        .follow_events(filter, from)
        .patience(context.timeout());
    while printer.left > 0 {
        let event = feed.next().await.map_err(|error| {
            let from = feed.from().to_string();
            let error = CliError::from(error).detail("from", from.as_str());
            let words = format!("{}; go on with --from {from}", error.message);
            error.message(words)
        })?;
        if !printer.print(&event).await {
            break;
        }
    }
    Ok(())
}

/// What a contract said of itself when it was asked.
struct Told {
    /// Nothing, where it says nothing: bytes stay bytes.
    schema: Option<Schema>,
    /// The newest block that was known of when it was asked.
    height: Height,
}

impl Told {
    fn fits(&self, event: &EventEntry) -> bool {
        let known = self.known(event);
        event_fields(known, &event.data.0).is_some()
    }

    fn known(&self, event: &EventEntry) -> Option<&Event> {
        self.schema.as_ref()?.event(&event.topic)
    }

    /// Whether the contract may say something else by now: an upgrade shows in events that do not
    /// fit. One whose bytes fit the old schema by chance does not show it.
    fn is_old(&self, event: &EventEntry) -> bool {
        event.height > self.height && !self.fits(event)
    }
}

/// Writes events, in the words of their contracts' schemas.
struct Printer<'a> {
    client: &'a Client,
    output: Output,
    names: Names,
    /// Of contracts met so far.
    told: BTreeMap<ContractId, Told>,
    /// The newest block that is known of.
    newest: Height,
    /// How many may still be written.
    left: u64,
}

impl Printer<'_> {
    /// What the contract of an event says of it; asked at the first one, and at most once in each
    /// block for those that do not fit.
    async fn told(&mut self, event: &EventEntry) -> Option<&Event> {
        self.newest = self.newest.max(event.height);
        let (contract, height) = (event.contract, self.newest);
        let before = self.told.remove(&contract);
        let told = match before.filter(|told| !told.is_old(event)) {
            Some(told) => told,
            None => {
                let found = self.client.contract(contract).await.ok();
                let schema = found.and_then(|found| schema_of(&found).ok());
                Told { schema, height }
            }
        };
        self.told.entry(contract).or_insert(told).known(event)
    }

    /// Writes one; false if that was the last, or nobody reads any more.
    async fn print(&mut self, event: &EventEntry) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let (output, contract) = (self.output, event.contract);
        let known = self.told(event).await.cloned();
        let known = known.as_ref();
        let text = if output.is_json() {
            let mut object = json!(event);
            object["fields"] = json!(event_fields(known, &event.data.0));
            json_text(&object)
        } else {
            let mut rows = Rows::default();
            rows.add(
                event.cursor.to_string(),
                format!("{}  {}", event.block_time, event.topic),
            );
            field_rows(&mut rows, known, &event.data.0, &self.names);
            rows.add("", format!("  contract     {contract}"));
            rows.add("", format!("  transaction  {}", event.transaction));
            let sender = self.names.show(&event.sender.to_string());
            rows.add("", format!("  sender       {sender}"));
            rows.to_text()
        };
        output.text(&text) && self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_client::api::Bytes;

    #[test]
    fn a_node_that_stands_still_is_not_asked_for_ever() {
        let cursor = |text: &str| text.parse::<Cursor>().expect("a cursor");
        let from = Start::At(cursor("5.1"));
        for next in ["5.2.0", "5.2", "6"] {
            assert_eq!(beyond(from, cursor(next)), Ok(Start::At(cursor(next))));
        }
        for next in ["0", "5", "5.0", "5.1.0", "5.1"] {
            let error = beyond(from, cursor(next)).expect_err("does not go on");
            assert_eq!(error.code, "bad_answer");
            assert!(
                error.message.contains(&format!("from 5.1 to {next}")),
                "{error:?}"
            );
        }
        for start in [Start::Beginning, Start::Latest] {
            let once = beyond(start, Cursor::default()).expect("may begin there");
            assert!(beyond(once, Cursor::default()).is_err());
        }
    }

    fn event(height: u64, topic: &str, data: &[u8]) -> EventEntry {
        serde_json::from_value(json!({
            "cursor": format!("{height}.0.0"), "height": height, "index": 0, "event_index": 0,
            "block_time": "", "block_time_ms": 0, "transaction": "00".repeat(32),
            "sender": "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
            "contract": "00".repeat(32), "topic": topic, "data": Bytes(data.to_vec()),
        }))
        .expect("an event")
    }

    #[test]
    fn a_contract_is_asked_again_when_its_events_do_not_fit() {
        let schema = json!({
            "name": "x", "methods": [],
            "events": [{"name": "Paid", "fields": [{"name": "amount", "type": "u8"}]}],
        });
        let height = Height(7);
        let told = Told {
            schema: serde_json::from_value(schema).expect("a schema"),
            height,
        };
        assert!(!told.is_old(&event(8, "Paid", &[1])));
        assert!(told.is_old(&event(8, "Paid", &[1, 2])));
        assert!(told.is_old(&event(8, "Sent", &[1])));
        // Once in each block: what was told after this block was executed is not told otherwise.
        assert!(!told.is_old(&event(7, "Sent", &[1])));
        let silent = Told {
            schema: None,
            height,
        };
        assert!(!silent.is_old(&event(7, "Paid", &[1])));
        assert!(silent.is_old(&event(8, "Paid", &[1])));
    }
}
