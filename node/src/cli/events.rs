//! `events`: what contracts announced, in the order of the ledger; with `--follow`, as it becomes
//! final.

use std::collections::BTreeMap;

use chancery_client::Client;
use chancery_client::api::{EventEntry, EventFilter, Start};
use chancery_ledger::ContractId;
use chancery_runtime::schema::Schema;
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
            schemas: BTreeMap::new(),
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

async fn list(
    client: &Client,
    filter: &EventFilter,
    mut from: Start,
    printer: &mut Printer<'_>,
) -> Result<(), CliError> {
    loop {
        let page = client.events(filter, from, None).await?;
        for event in &page.events {
            if !printer.print(event).await {
                return Ok(());
            }
        }
        from = Start::At(page.next);
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

/// Writes events, in the words of their contracts' schemas.
struct Printer<'a> {
    client: &'a Client,
    output: Output,
    names: Names,
    /// Of contracts met so far; without one, bytes stay bytes.
    schemas: BTreeMap<ContractId, Option<Schema>>,
    /// How many may still be written.
    left: u64,
}

impl Printer<'_> {
    /// Writes one; false if that was the last, or nobody reads any more.
    async fn print(&mut self, event: &EventEntry) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let contract = event.contract;
        if !self.schemas.contains_key(&contract) {
            let found = self.client.contract(contract).await.ok();
            let schema = found.and_then(|found| schema_of(&found).ok());
            self.schemas.insert(contract, schema);
        }
        let schema = self.schemas.get(&contract).and_then(Option::as_ref);
        let known = schema.and_then(|schema| schema.event(&event.topic));
        let text = if self.output.is_json() {
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
        self.output.text(&text) && self.left > 0
    }
}
