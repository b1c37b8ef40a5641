//! `events`: what contracts announced, in the order of the ledger; with `--follow`, as it becomes
//! final.

use chancery_client::Client;
use chancery_client::api::{Cursor, EventEntry, EventFilter, Start};
use serde_json::json;

use super::args::EventsArgs;
use super::calls::contract_id;
use super::context::{Context, block_on};
use super::output::json_text;
use super::render::{EventFields, Names};
use super::schemas::Schemas;
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
            output: context.output(),
            names,
            schemas: Schemas::new(&client),
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
    printer: &mut Printer,
) -> Result<(), CliError> {
    loop {
        let page = client.events(filter, from, None).await?;
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
    printer: &mut Printer,
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

/// Writes events, in the words of those versions of their contracts that announced them.
struct Printer {
    output: Output,
    names: Names,
    schemas: Schemas,
    /// How many may still be written.
    left: u64,
}

impl Printer {
    /// Writes one; false if that was the last, or nobody reads any more.
    async fn print(&mut self, event: &EventEntry) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let (output, contract) = (self.output, event.contract);
        let version = (contract, event.contract_version);
        self.schemas.learn_for_event(version).await;
        let schema = self.schemas.get(version);
        let fields = EventFields::of(schema, &event.topic, &event.data.0);
        let text = if output.is_json() {
            let mut object = json!(event);
            fields.to_json(&mut object);
            json_text(&object)
        } else {
            let mut rows = Rows::default();
            rows.add(
                event.cursor.to_string(),
                format!("{}  {}", event.block_time, event.topic),
            );
            fields.to_rows(&mut rows, &event.data.0, &self.names);
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
}
