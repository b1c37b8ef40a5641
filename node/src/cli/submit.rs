//! One conversation with a network that ends in transactions: what the chain demands is asked
//! once, and a transaction that is not final in time is explained.

use std::sync::Arc;

use chancery_client::api::{ChainInfo, StatusInfo, TransactionInfo};
use chancery_client::{Client, ClientError, Liveness, NotFinal, TransactionBuilder, clock};
use chancery_genesis::time;
use chancery_ledger::{Call, Fuel, Millis, SecretKey};
use serde_json::json;

use super::CliError;
use super::context::Context;

/// A network, as it was when the command began.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Arc<Client>,
    pub(super) chain: ChainInfo,
    /// The newest block's time.
    pub(super) block_time: Millis,
    /// What relative times count from: the later of block time and clock.
    pub(super) now: Millis,
}

impl Session {
    pub(super) async fn open(context: &Context) -> Result<Self, CliError> {
        let client = context.client()?;
        let chain = client.chain().await?;
        let block_time = client.status().await?.block_time_ms;
        Ok(Self {
            client,
            chain,
            block_time,
            now: block_time.max(clock()),
        })
    }

    /// Signs and hands in `call`, and waits until it is final.
    pub(super) async fn transact(
        &self,
        context: &Context,
        key: &SecretKey,
        call: Call,
        fuel: Option<u64>,
    ) -> Result<TransactionInfo, CliError> {
        let limits = self.chain.limits.clone();
        let most = limits.transaction_fuel_max;
        let mut builder =
            TransactionBuilder::new(self.chain.chain_id, limits).patience(context.timeout());
        if let Some(fuel) = fuel {
            if fuel > most {
                let message = format!("--fuel {fuel}: this ledger allows at most {most}");
                return Err(CliError::usage(message));
            }
            builder = builder.fuel_max(Fuel(fuel));
        }
        let signed = builder.sign(key, self.block_time, call)?;
        match self
            .client
            .submit_and_wait(&signed, context.timeout())
            .await
        {
            Ok(info) => Ok(info),
            Err(ClientError::NotFinal(not_final)) => Err(self.explain(context, *not_final).await),
            Err(error) => Err(error.into()),
        }
    }

    /// Says which quorum is missing, if that is why.
    async fn explain(&self, context: &Context, not_final: NotFinal) -> CliError {
        let reports = self.client.reports().await;
        let liveness = Liveness::of(&reports);
        let waited = humantime::format_duration(context.timeout());
        let id = not_final.id;
        let until = time::format(not_final.valid_until);
        let people = match &liveness {
            Some(liveness) => liveness.in_words(),
            None => "no validator answers".to_owned(),
        };
        let message = format!(
            "transaction {id} was not final within {waited}; it may still become final (until {until} it can be admitted): {people}"
        );
        let statuses = reports
            .iter()
            .filter_map(|report| report.status.as_ref().ok());
        let waiting = statuses.filter_map(waiting_in_words).next();
        let mut hint = format!("`chancery tx show {id}` tells what became of it");
        if let Some(waiting) = waiting {
            hint.push_str("; ");
            hint.push_str(&waiting);
        }
        CliError::from(ClientError::NotFinal(Box::new(not_final.clone())))
            .detail("valid_until", until)
            .detail("valid_until_ms", not_final.valid_until.0)
            .detail("answering", json!(liveness.as_ref().map(|l| &l.answering)))
            .detail("silent", json!(liveness.as_ref().map(|l| &l.silent)))
            .detail("quorum", json!(self.chain.quorum))
            .message(message)
            .hint(hint)
    }
}

/// `slot 12 waits for 1 more commit (missing: validator-3, validator-4)`.
pub(super) fn waiting_in_words(status: &StatusInfo) -> Option<String> {
    // What is final waits for nobody, though votes may still be on their way.
    let waiting = status
        .waiting
        .as_ref()
        .filter(|waiting| waiting.slot.height() > status.final_height)?;
    let more = waiting.needed.saturating_sub(waiting.have.len());
    Some(format!(
        "slot {} waits for {more} more {} (missing: {})",
        waiting.slot,
        waiting.phase,
        waiting.missing.join(", ")
    ))
}
