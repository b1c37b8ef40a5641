//! A contract's access index as a verified proof shows it, by the layout that the SDK publishes
//! ([`chancery_contract::access`]).
//!
//! What is proved is what the contract's code has written: the version that it runs, or an earlier one.
//! The code that it runs, by its hash, is part of what is shown wherever the file has the contract's own
//! entry; without that entry no index is called complete.

use std::collections::BTreeMap;

use chancery_contract::Map;
use chancery_contract::access::{AccessEntry, COUNT_KEY, ENTRY_PREFIX};
use chancery_ledger::state_claim::{Place, StateClaim};
use chancery_ledger::state_key::ContractRecord;
use chancery_ledger::upgrade::FIRST_VERSION;
use chancery_ledger::{CodeHash, ContractId, decode_canonical};
use parity_scale_codec::{DecodeAll, Encode};
use serde_json::{Value, json};

use crate::cli::access::list::entries_shown;
use crate::cli::render::Names;
use crate::cli::{Rows, Table};

/// Why an index without entries is none: the SDK stores the count with the first entry.
const ZERO_IS_STORED: &str =
    "a count of 0 is stored, and an AccessIndex stores none before it grants";

const ENTRIES: Map<u64, AccessEntry> = Map::new(ENTRY_PREFIX);

/// The storage key of the count.
pub(super) fn count_key() -> Vec<u8> {
    COUNT_KEY.as_bytes().to_vec()
}

/// The storage key of an entry.
pub(super) fn entry_key(number: u64) -> Vec<u8> {
    ENTRIES.storage_key(&number)
}

/// The number of the entry that has this storage key.
fn entry_number(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(ENTRY_PREFIX.as_bytes())?;
    Some(u64::from_le_bytes(number.try_into().ok()?))
}

/// The contract's own entry.
#[derive(Debug)]
enum Record {
    /// The file says nothing of it.
    NotShown,
    /// There is no such contract.
    Absent,
    There(ContractRecord),
}

impl Record {
    fn of(claim: &StateClaim, contract: ContractId) -> Self {
        let value = claim.entries.iter().find_map(|entry| match &entry.place {
            Place::Contract { contract: of } if *of == contract => Some(entry.value.as_deref()),
            _ => None,
        });
        match value {
            None => Self::NotShown,
            Some(None) => Self::Absent,
            // What is no record is not proved at all.
            Some(Some(value)) => record(value).map_or(Self::NotShown, Self::There),
        }
    }
}

/// What a file shows of the access index of one contract, with its count.
#[derive(Debug)]
pub(super) struct ProvenIndex {
    contract: ContractId,
    record: Record,
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
        let mut index = Self {
            contract,
            record: Record::of(claim, contract),
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

    /// Whether the file has as many entries as there are.
    fn has_all(&self) -> bool {
        self.count > 0 && u64::try_from(self.entries.len()) == Ok(self.count)
    }

    /// Whether the file has all entries that there are, and the contract whose they are.
    fn is_complete(&self) -> bool {
        self.has_all() && matches!(self.record, Record::There(_))
    }

    /// The one with the highest number, of those that the file has.
    pub(super) fn last(&self) -> Option<(u64, &AccessEntry)> {
        let (number, entry) = self.entries.last_key_value()?;
        Some((*number, entry))
    }

    /// Why this is not what the contract's views show, if so: they counted `before` and `after` these
    /// entries were read, and are of that code, of that version. An upgrade may have left behind what
    /// the code before it kept.
    pub(super) fn disagreement(
        &self,
        before: u64,
        after: u64,
        (code, version): (CodeHash, u32),
    ) -> Option<String> {
        let Record::There(record) = &self.record else {
            return Some("the contract itself is not proved to be there".to_owned());
        };
        if (record.code, record.version) != (code, version) {
            return Some(format!(
                "version {} of its code is proved, and version {version} answers",
                record.version
            ));
        }
        let count = self.count;
        if self.count_is_stored && count == 0 {
            return Some(ZERO_IS_STORED.to_owned());
        }
        if !(before..=after).contains(&count) {
            return Some(format!(
                "where an AccessIndex keeps its count it has {count}, and its view `count` says {after}"
            ));
        }
        None
    }

    fn in_words(&self) -> String {
        let (count, shown) = (self.count, self.entries.len());
        if matches!(self.record, Record::Absent) {
            return "NOT an index: there is no such contract".to_owned();
        }
        if self.count_is_stored && count == 0 {
            return format!("NOT an index: {ZERO_IS_STORED}");
        }
        if !self.broken.is_empty() {
            let broken: Vec<String> = self.broken.iter().map(u64::to_string).collect();
            let broken = broken.join(", ");
            return format!("NOT an index: of {count} entries, these are none: {broken}");
        }
        match count.checked_sub(1) {
            None => "no count is stored: nothing was granted, if this contract keeps an index"
                .to_owned(),
            Some(last) if self.is_complete() => {
                format!("complete: entries 0 to {last} of {count}")
            }
            Some(last) if self.has_all() => format!(
                "NOT complete: entries 0 to {last} of {count}, and nothing of the contract itself"
            ),
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

    /// What a verified proof shows.
    pub(super) fn to_text(&self, claim: &StateClaim) -> String {
        self.laid_out("access index", &self.in_words(), claim)
    }

    /// The same of a proof that was not verified.
    pub(super) fn to_text_unverified(&self, claim: &StateClaim) -> String {
        let (count, shown) = (self.count, self.entries.len());
        let words = format!("{shown} of {count}: {}", self.ranges());
        self.laid_out("entries", &words, claim)
    }

    fn laid_out(&self, name: &str, words: &str, claim: &StateClaim) -> String {
        let code = match &self.record {
            Record::There(record) if record.version > FIRST_VERSION => format!(
                "{}, version {}: written by this version of the code or an earlier one",
                record.code, record.version
            ),
            Record::There(record) => format!("{}, version {}", record.code, record.version),
            Record::Absent => "none".to_owned(),
            Record::NotShown => "not shown by this file".to_owned(),
        };
        let mut rows = Rows::default();
        rows.add(name, words)
            .add("of contract", self.contract)
            .add("code", code)
            .add(
                "as of",
                format!("block {}, {}", claim.height, claim.block_time),
            );
        let (table, _) = self.shown(claim);
        if self.entries.is_empty() {
            return rows.to_text();
        }
        format!("{}\n{}", rows.to_text(), table.to_text())
    }

    fn shown(&self, claim: &StateClaim) -> (Table, Vec<Value>) {
        entries_shown(
            &self.entries,
            0..self.count,
            self.count,
            claim.block_time_ms,
            &Names::default(),
        )
    }

    /// What a verified proof shows.
    pub(super) fn to_json(&self, claim: &StateClaim) -> Value {
        let mut json = self.to_json_unverified(claim);
        json["complete"] = json!(self.is_complete());
        json
    }

    /// The same of a proof that was not verified, which is not called complete.
    pub(super) fn to_json_unverified(&self, claim: &StateClaim) -> Value {
        let (_, entries) = self.shown(claim);
        let record = match &self.record {
            Record::There(record) => Some(record),
            Record::NotShown | Record::Absent => None,
        };
        json!({
            "contract": self.contract,
            "code": record.map(|record| record.code),
            "version": record.map(|record| record.version),
            "count": self.count,
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

fn record(value: &str) -> Option<ContractRecord> {
    let bytes = hex::decode(value).ok()?;
    decode_canonical(&bytes, bytes.len()).ok()
}

/// What a contract has stored, given in hexadecimal, in its one form. The SDK's types have no
/// [`decode_canonical`]; what is decoded here is flat, and no longer than the file.
fn decoded<T: DecodeAll + Encode>(value: &str) -> Option<T> {
    let bytes = hex::decode(value).ok()?;
    let value = T::decode_all(&mut &bytes[..]).ok()?;
    (value.encode() == bytes).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_ledger::state_claim::ClaimedEntry;
    use chancery_ledger::{AccountId, ChainId, Fuel, Hash, Height, Millis, Upgraders};

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

    const CODE: CodeHash = CodeHash([3; 32]);

    /// A claim that the contract stores these, or nothing, and runs version 1.
    fn claim(stored: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> StateClaim {
        claim_of(Some(Some(1)), stored)
    }

    /// The same of a contract of that version, or one that is not there; none where the file says
    /// nothing of that.
    fn claim_of(
        version: Option<Option<u32>>,
        stored: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    ) -> StateClaim {
        let record = |version| ContractRecord {
            code: CODE,
            version,
            deployer: AccountId([1; 32]),
            upgraders: Upgraders::nobody(),
            load_fuel: Fuel(1),
        };
        let itself = version.map(|version| ClaimedEntry {
            words: "itself".to_owned(),
            place: Place::Contract { contract: CONTRACT },
            value: version.map(|version| hex::encode(record(version).encode())),
        });
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
            entries: entries.chain(itself).collect(),
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
        words_of(&claim(stored))
    }

    fn words_of(claim: &StateClaim) -> String {
        let index = ProvenIndex::of(claim, CONTRACT).expect("an index");
        let json = index.to_json(claim);
        let words = index.in_words();
        assert_eq!(json["complete"], words.starts_with("complete: "));
        let said = index.to_text(claim).lines().next().map(str::to_owned);
        assert_eq!(said, Some(format!("access index  {words}")));
        // Before it is verified nothing is called complete.
        assert!(index.to_json_unverified(claim)["complete"].is_null());
        assert!(!index.to_text_unverified(claim).contains("complete"));
        words
    }

    #[test]
    fn an_index_is_complete_if_the_count_and_every_entry_are_there() {
        let two = vec![count(2), there(0), there(1)];
        assert_eq!(words(two), "complete: entries 0 to 1 of 2");
        let other_order = vec![there(1), count(2), there(0)];
        assert_eq!(words(other_order), "complete: entries 0 to 1 of 2");
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
    fn a_stored_count_of_0_is_no_index() {
        assert_eq!(
            words(vec![count(0)]),
            format!("NOT an index: {ZERO_IS_STORED}")
        );
    }

    #[test]
    fn complete_is_said_of_a_contract_that_is_there_only() {
        let stored = || vec![count(2), there(0), there(1)];
        assert_eq!(
            words_of(&claim_of(None, stored())),
            "NOT complete: entries 0 to 1 of 2, and nothing of the contract itself"
        );
        for stored in [stored(), vec![(count_key(), None)]] {
            assert_eq!(
                words_of(&claim_of(Some(None), stored)),
                "NOT an index: there is no such contract"
            );
        }
        let text = |version| {
            let claim = claim_of(Some(Some(version)), stored());
            assert_eq!(words_of(&claim), "complete: entries 0 to 1 of 2");
            let index = ProvenIndex::of(&claim, CONTRACT).expect("an index");
            index.to_text(&claim)
        };
        let earlier = "written by this version of the code or an earlier one";
        assert!(!text(1).contains(earlier) && text(2).contains(earlier));
    }

    #[test]
    fn an_index_that_the_code_does_not_show_is_told() {
        let index = |version, stored| {
            let claim = claim_of(Some(version), stored);
            ProvenIndex::of(&claim, CONTRACT).expect("an index")
        };
        let two = || index(Some(2), vec![count(2), there(0), there(1)]);
        for (before, after) in [(2, 2), (1, 2), (2, 3), (0, 9)] {
            assert_eq!(two().disagreement(before, after, (CODE, 2)), None);
        }
        let why = |index: &ProvenIndex, before, after, code| {
            let why = index.disagreement(before, after, code);
            why.expect("it is another one")
        };
        let counts = "it has 2, and its view `count` says ";
        assert!(why(&two(), 3, 3, (CODE, 2)).contains(counts));
        assert!(why(&two(), 0, 1, (CODE, 2)).contains(counts));
        assert!(why(&two(), 2, 2, (CODE, 1)).contains("version 2"));
        assert!(why(&two(), 2, 2, (CodeHash([4; 32]), 2)).contains("version 2"));
        let absent = index(None, vec![count(2)]);
        assert!(why(&absent, 2, 2, (CODE, 2)).contains("is not proved"));
        let zero = index(Some(1), vec![count(0)]);
        assert_eq!(why(&zero, 0, 0, (CODE, 1)), ZERO_IS_STORED);
        let nothing = index(Some(1), vec![(count_key(), None)]);
        assert_eq!(nothing.disagreement(0, 0, (CODE, 1)), None);
    }

    #[test]
    fn an_entry_that_rests_on_none_is_told() {
        let resting = AccessEntry {
            under: Some(99),
            ..entry()
        };
        let claim = claim(vec![count(1), (entry_key(0), Some(resting.encode()))]);
        let index = ProvenIndex::of(&claim, CONTRACT).expect("an index");
        let text = index.to_text(&claim);
        assert!(
            text.contains("rests on #99, which does not exist"),
            "{text}"
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
        assert!(shown.eq([true, true, false, false]));
        let text = index.to_text(&claim);
        for part in ["labs/7", "not revoked", "version 1", "block 3"] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert_eq!(index.to_json(&claim)["entries"][0]["resource"], "labs/7");
    }
}
