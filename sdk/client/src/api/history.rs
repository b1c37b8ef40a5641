//! Final transactions and their events, found again: `GET /v1/events`, its live feed, and
//! `GET /v1/transactions`.
//!
//! All three go through the ledger in the order of (height, transaction, event) and show final
//! blocks only, so what they show is the same at every validator and never taken back. A
//! [`Cursor`] of one validator is good at any other.

use std::fmt;
use std::str::FromStr;

use chancery_ledger::{AccountId, ContractId, Height, Millis, TransactionId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Bytes, TransactionInfo};

/// A place in the ledger from which to go on: behind an event (`HEIGHT.TRANSACTION.EVENT`, counted
/// from 0 in the block and in the transaction), behind a transaction with all its events
/// (`HEIGHT.TRANSACTION`), or before a block (`HEIGHT`).
///
/// Its fields are the first place that is not passed yet; so cursors compare as places do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// The block.
    pub height: Height,
    /// The transaction's position in the block.
    pub transaction: u32,
    /// The event's position in the transaction.
    pub event: u32,
}

impl Cursor {
    /// Before a block.
    #[must_use]
    pub fn before(height: Height) -> Self {
        Self {
            height,
            transaction: 0,
            event: 0,
        }
    }

    /// Behind a transaction, whatever its events.
    #[must_use]
    pub fn behind(height: Height, transaction: u32) -> Self {
        Self {
            height,
            transaction: transaction.saturating_add(1),
            event: 0,
        }
    }

    /// Behind an event.
    #[must_use]
    pub fn behind_event(height: Height, transaction: u32, event: u32) -> Self {
        Self {
            height,
            transaction,
            event: event.saturating_add(1),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            height,
            transaction,
            event,
        } = self;
        match (transaction.checked_sub(1), event.checked_sub(1)) {
            (None, None) => write!(f, "{height}"),
            (Some(last), None) => write!(f, "{height}.{last}"),
            (_, Some(last)) => write!(f, "{height}.{transaction}.{last}"),
        }
    }
}

/// Text that is no [`Cursor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a cursor: expected HEIGHT, HEIGHT.TRANSACTION or HEIGHT.TRANSACTION.EVENT"
)]
pub struct ParseCursorError {
    /// What was given, shortened.
    pub text: String,
}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let bad = || ParseCursorError {
            text: text.chars().take(80).collect(),
        };
        let mut parts = text.split('.');
        let height = parts.next().and_then(number).ok_or_else(bad)?;
        let mut position = || match parts.next() {
            None => Ok(None),
            Some(digits) => {
                let position = number(digits).and_then(|it| u32::try_from(it).ok());
                // Behind it there is still a place.
                let position = position.filter(|it| *it < u32::MAX);
                position.map(Some).ok_or_else(bad)
            }
        };
        let (transaction, event) = (position()?, position()?);
        if parts.next().is_some() {
            return Err(bad());
        }
        let height = Height(height);
        Ok(match (transaction, event) {
            (None, _) => Self::before(height),
            (Some(transaction), None) => Self::behind(height, transaction),
            (Some(transaction), Some(event)) => Self::behind_event(height, transaction, event),
        })
    }
}

/// One number has one text.
fn number(digits: &str) -> Option<u64> {
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let has_one_text = digits == "0" || !digits.starts_with('0');
    // Above the greatest height there is still a place.
    let number = digits.parse::<u64>().ok();
    number.filter(|number| is_plain && has_one_text && *number < u64::MAX)
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where to begin: `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With the first block: without `from`.
    #[default]
    Beginning,
    /// With the block after the newest final one of the node that is asked: `latest`.
    Latest,
    /// From a cursor on.
    At(Cursor),
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => Cursor::default().fmt(f),
            Self::Latest => f.write_str("latest"),
            Self::At(cursor) => cursor.fmt(f),
        }
    }
}

impl FromStr for Start {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        match text {
            "latest" => Ok(Self::Latest),
            text => text.parse().map(Self::At),
        }
    }
}

/// Which events: all conditions that are there hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Announced by this contract.
    pub contract: Option<ContractId>,
    /// With this topic.
    pub event: Option<String>,
    /// Of transactions that this account signed.
    pub account: Option<AccountId>,
}

/// `GET /v1/events?contract=…&event=…&account=…&from=…&limit=…`: one page of final events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsPage {
    /// In order; none is possible even where there are more.
    pub events: Vec<EventEntry>,
    /// Where to go on, now or when later blocks are final.
    pub next: Cursor,
    /// Whether there may be more now.
    pub more: bool,
    /// The newest block that was looked at for all of this: executed here, and final.
    pub final_height: Height,
}

/// A final event with what is around it. It is part of the transaction's receipt, so the proof of
/// the transaction (`GET /v1/proofs/transactions/{transaction}`) proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventEntry {
    /// Behind it.
    pub cursor: Cursor,
    /// The block.
    pub height: Height,
    /// The transaction's position in the block.
    pub index: u32,
    /// The event's position in the transaction.
    pub event_index: u32,
    /// The block's time.
    pub block_time: String,
    /// The same.
    pub block_time_ms: Millis,
    /// The transaction.
    pub transaction: TransactionId,
    /// Who signed it.
    pub sender: AccountId,
    /// Which contract announced it; not always the one that the transaction called.
    pub contract: ContractId,
    /// The version of that contract which announced it, if the node knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<u32>,
    /// The event's name in the schema of that version.
    pub topic: String,
    /// SCALE of its fields.
    pub data: Bytes,
}

/// Which transactions; at least one condition is there, and all that are hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransactionFilter {
    /// Signed by this account.
    pub account: Option<AccountId>,
    /// It deployed or called this contract, with whatever outcome.
    pub contract: Option<ContractId>,
}

/// `GET /v1/transactions?account=…&contract=…&from=…&limit=…`: one page of final transactions with
/// their receipts. Its cursors have no events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionsPage {
    /// In order; none is possible even where there are more.
    pub transactions: Vec<TransactionInfo>,
    /// Where to go on, now or when later blocks are final.
    pub next: Cursor,
    /// Whether there may be more now.
    pub more: bool,
    /// The newest block that was looked at for all of this: executed here, and final.
    pub final_height: Height,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_text_and_compares_as_its_place() {
        let texts = ["0", "0.0.0", "0.0.1", "0.0", "0.1.0", "0.1", "1", "7.12.3"];
        let cursors: Vec<Cursor> = texts
            .iter()
            .map(|text| text.parse().expect("a cursor"))
            .collect();
        assert!(cursors.is_sorted());
        for (text, cursor) in texts.iter().zip(&cursors) {
            assert_eq!(cursor.to_string(), *text);
        }
        assert_eq!(Start::Beginning.to_string().parse(), Ok(cursors[0]));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in [
            "",
            "latest",
            "-1",
            "+1",
            "01",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4",
            "1.4294967295",
            "18446744073709551615",
            "1.2.x",
            " 1",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
        assert_eq!("latest".parse(), Ok(Start::Latest));
    }
}
