//! A contract's access index as a verified proof shows it, by the layout that the SDK publishes
//! ([`chancery_contract::access`]).
//!
//! What is proved is what the contract's code has written. That code, by its hash, is part of what is
//! shown, wherever the file has the contract's own entry.

use std::collections::BTreeMap;

use chancery_contract::access::{AccessEntry, COUNT_KEY, ENTRY_PREFIX};
use chancery_ledger::ContractId;
use chancery_ledger::state_claim::{Place, StateClaim};
use chancery_ledger::state_key::ContractRecord;
use parity_scale_codec::{Decode, DecodeAll as _};
use serde_json::{Value, json};

use crate::cli::Rows;
use crate::cli::access::list::entries_shown;
use crate::cli::render::Names;

/// The storage key of the count.
pub(super) fn count_key() -> Vec<u8> {
    COUNT_KEY.as_bytes().to_vec()
}

/// The storage key of an entry.
pub(super) fn entry_key(number: u64) -> Vec<u8> {
    [ENTRY_PREFIX.as_bytes(), &number.to_le_bytes()].concat()
}

/// The number of the entry that has this storage key.
fn entry_number(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(ENTRY_PREFIX.as_bytes())?;
    Some(u64::from_le_bytes(number.try_into().ok()?))
}

/// What a file shows of the access index of one contract, with its count.
#[derive(Debug)]
pub(super) struct ProvenIndex {
    contract: ContractId,
    /// The contract itself, if the file shows it.
    record: Option<ContractRecord>,
    /// How many entries there are.
    pub(super) count: u64,
    /// A contract that has granted nothing stores no count; nor does one without an index.
    count_is_stored: bool,
    entries: BTreeMap<u64, AccessEntry>,
    /// Below the count, and nothing is there or nothing that is an entry: not as the SDK keeps it.
    pub(super) broken: Vec<u64>,
}

impl ProvenIndex {
    /// Of every contract whose count the claim shows.
    pub(super) fn all(claim: &StateClaim) -> Vec<Self> {
        let contracts = claim.entries.iter().filter_map(|entry| match &entry.place {
            Place::Storage { contract, key } if *key == hex::encode(count_key()) => Some(*contract),
            _ => None,
        });
        contracts
            .filter_map(|contract| Self::of(claim, contract))
            .collect()
    }

    /// None where the claim does not say what the count is, or what is stored there is none.
    pub(super) fn of(claim: &StateClaim, contract: ContractId) -> Option<Self> {
        let stored = storage(claim, contract);
        let count = match stored.get(&count_key())? {
            Some(count) => Some(decoded::<u64>(count)?),
            None => None,
        };
        let (count, count_is_stored) = (count.unwrap_or(0), count.is_some());
        let record = claim.entries.iter().find_map(|entry| match &entry.place {
            Place::Contract { contract: of } if *of == contract => decoded(entry.value.as_deref()?),
            _ => None,
        });
        let mut index = Self {
            contract,
            record,
            count,
            count_is_stored,
            entries: BTreeMap::new(),
            broken: Vec::new(),
        };
        for (key, value) in stored {
            let Some(number) = entry_number(&key).filter(|number| *number < count) else {
                continue;
            };
            match value.and_then(decoded) {
                Some(entry) => {
                    index.entries.insert(number, entry);
                }
                None => index.broken.push(number),
            }
        }
        index.broken.sort_unstable();
        Some(index)
    }

    /// Whether it shows what stands there, so that it need not be shown again.
    pub(super) fn shows(&self, place: &Place) -> bool {
        let Place::Storage { contract, key } = place else {
            return false;
        };
        let key = hex::decode(key).unwrap_or_default();
        let number = entry_number(&key).filter(|number| self.entries.contains_key(number));
        *contract == self.contract && (key == count_key() || number.is_some())
    }

    /// Whether the file has all entries that there are.
    fn is_complete(&self) -> bool {
        self.count_is_stored && u64::try_from(self.entries.len()) == Ok(self.count)
    }

    fn in_words(&self) -> String {
        let (count, shown) = (self.count, self.entries.len());
        if !self.broken.is_empty() {
            let broken: Vec<String> = self.broken.iter().map(u64::to_string).collect();
            let broken = broken.join(", ");
            return format!("NOT an index: of {count} entries, these are none: {broken}");
        }
        match count.checked_sub(1) {
            None if !self.count_is_stored => {
                "no count is stored: nothing was granted, if this contract keeps an index"
                    .to_owned()
            }
            None => "complete: there are no entries".to_owned(),
            Some(last) if self.is_complete() => {
                format!("complete: entries 0 to {last} of {count}")
            }
            Some(_) => format!(
                "NOT complete: the file shows {shown} of {count} entries: {}",
                self.ranges()
            ),
        }
    }

    /// `0 to 3, 5`.
    fn ranges(&self) -> String {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for number in self.entries.keys() {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
                _ => ranges.push((*number, *number)),
            }
        }
        if ranges.is_empty() {
            return "none".to_owned();
        }
        let ranges = ranges.iter().map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first} to {last}")
            }
        });
        ranges.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn to_text(&self, claim: &StateClaim) -> String {
        let code = match &self.record {
            Some(record) => format!("{}, version {}", record.code, record.version),
            None => "not shown by this file".to_owned(),
        };
        let mut rows = Rows::default();
        rows.add("access index", self.in_words())
            .add("of contract", self.contract)
            .add("code", code)
            .add(
                "as of",
                format!("block {}, {}", claim.height, claim.block_time),
            );
        let (table, _) = entries_shown(
            &self.entries,
            0..self.count,
            claim.block_time_ms,
            &Names::default(),
        );
        if self.entries.is_empty() {
            return rows.to_text();
        }
        format!("{}\n{}", rows.to_text(), table.to_text())
    }

    pub(super) fn to_json(&self, claim: &StateClaim) -> Value {
        let (_, entries) = entries_shown(
            &self.entries,
            0..self.count,
            claim.block_time_ms,
            &Names::default(),
        );
        json!({
            "contract": self.contract,
            "code": self.record.as_ref().map(|record| record.code),
            "version": self.record.as_ref().map(|record| record.version),
            "count": self.count,
            "complete": self.is_complete(),
            "broken": self.broken,
            "entries": entries,
        })
    }
}

/// What a contract stores, as far as the claim shows it.
fn storage(claim: &StateClaim, of: ContractId) -> BTreeMap<Vec<u8>, Option<&str>> {
    let stored = claim.entries.iter().filter_map(|entry| match &entry.place {
        Place::Storage { contract, key } if *contract == of => {
            Some((hex::decode(key).ok()?, entry.value.as_deref()))
        }
        _ => None,
    });
    stored.collect()
}

fn decoded<T: Decode>(value: &str) -> Option<T> {
    let bytes = hex::decode(value).ok()?;
    T::decode_all(&mut &bytes[..]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_ledger::state_claim::ClaimedEntry;
    use chancery_ledger::{ChainId, Hash, Height, Millis};
    use parity_scale_codec::Encode as _;

    const CONTRACT: ContractId = ContractId([7; 32]);

    fn entry() -> AccessEntry {
        let account = chancery_contract::AccountId([1; 32]);
        AccessEntry {
            subject: account,
            action: "read".to_owned(),
            resource: "labs/7".to_owned(),
            from: chancery_contract::Millis(500),
            until: chancery_contract::Millis(1_000),
            granted_by: account,
            under: None,
            passes_max: 0,
            revoked_at: None,
        }
    }

    /// A claim that the contract stores these, or nothing.
    fn claim(stored: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> StateClaim {
        let entries = stored.into_iter().map(|(key, value)| ClaimedEntry {
            words: "stored".to_owned(),
            place: Place::Storage {
                contract: CONTRACT,
                key: hex::encode(key),
            },
            value: value.map(hex::encode),
        });
        StateClaim {
            words: String::new(),
            chain_id: ChainId([0; 32]),
            height: Height(3),
            block_time: "1970-01-01T00:00:00.600Z".to_owned(),
            block_time_ms: Millis(600),
            state_root: Hash([0; 32]),
            entries: entries.collect(),
            checkpoint_height: Height(3),
            cosigners: Vec::new(),
        }
    }

    fn count(count: u64) -> (Vec<u8>, Option<Vec<u8>>) {
        (count_key(), Some(count.encode()))
    }

    fn there(number: u64) -> (Vec<u8>, Option<Vec<u8>>) {
        (entry_key(number), Some(entry().encode()))
    }

    fn words(stored: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> String {
        let claim = claim(stored);
        let index = ProvenIndex::of(&claim, CONTRACT).expect("an index");
        let json = index.to_json(&claim);
        let words = index.in_words();
        assert_eq!(json["complete"], words.starts_with("complete: "));
        let said = index.to_text(&claim).lines().next().map(str::to_owned);
        assert_eq!(said, Some(format!("access index  {words}")));
        words
    }

    #[test]
    fn an_index_is_complete_if_the_count_and_every_entry_are_there() {
        let two = vec![count(2), there(0), there(1)];
        assert_eq!(words(two), "complete: entries 0 to 1 of 2");
        let other_order = vec![there(1), count(2), there(0)];
        assert_eq!(words(other_order), "complete: entries 0 to 1 of 2");
        assert_eq!(words(vec![count(0)]), "complete: there are no entries");
        let part = vec![count(9), there(0), there(1), there(2), there(5)];
        assert_eq!(
            words(part),
            "NOT complete: the file shows 4 of 9 entries: 0 to 2, 5"
        );
        let none = vec![count(u64::MAX)];
        assert!(words(none).ends_with(" of 18446744073709551615 entries: none"));
        // What is beyond the count fills no gap.
        let beyond = vec![count(2), there(0), there(2)];
        assert_eq!(
            words(beyond),
            "NOT complete: the file shows 1 of 2 entries: 0"
        );
    }

    #[test]
    fn what_is_missing_or_no_entry_is_told() {
        let missing = vec![count(2), there(0), (entry_key(1), None)];
        assert_eq!(
            words(missing),
            "NOT an index: of 2 entries, these are none: 1"
        );
        let longer = [&entry().encode()[..], &[0]].concat();
        let malformed = vec![count(2), (entry_key(0), Some(longer)), there(1)];
        assert_eq!(
            words(malformed),
            "NOT an index: of 2 entries, these are none: 0"
        );
    }

    #[test]
    fn without_a_count_there_is_no_index() {
        let shown = |stored| ProvenIndex::all(&claim(stored)).len();
        assert_eq!(shown(vec![there(0)]), 0);
        assert!(words(vec![(count_key(), None)]).starts_with("no count is stored: "));
        assert_eq!(shown(vec![(count_key(), Some(vec![1])), there(0)]), 0);
        assert_eq!(shown(vec![count(1), there(0)]), 1);
        let elsewhere = ContractId([8; 32]);
        assert!(ProvenIndex::of(&claim(vec![count(1)]), elsewhere).is_none());
    }

    #[test]
    fn an_entry_is_shown_once() {
        let claim = claim(vec![count(1), there(0), (entry_key(1), None)]);
        let index = ProvenIndex::of(&claim, CONTRACT).expect("an index");
        let shown = claim.entries.iter().map(|entry| index.shows(&entry.place));
        assert!(shown.eq([true, true, false]));
        let text = index.to_text(&claim);
        for part in ["labs/7", "not revoked", "not shown by this file", "block 3"] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert_eq!(index.to_json(&claim)["entries"][0]["resource"], "labs/7");
    }
}
