//! `access list`: all that a contract ever granted, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chancery_client::api::Outcome;
use chancery_contract::access::{AccessEntry, PASSES_MAX, is_name, is_resource};
use chancery_genesis::time;
use chancery_ledger::{AccountId, CodeHash, ContractId, Height, Millis};
use parity_scale_codec::{DecodeAll as _, Encode as _};
use serde_json::{Value, json};

use super::{Answered, NO_SUCH_VIEW, ask};
use crate::cli::args::AccessListArgs;
use crate::cli::calls::contract_id;
use crate::cli::context::{Context, block_on};
use crate::cli::render::Names;
use crate::cli::submit::Session;
use crate::cli::{CliError, Report, Rows, Table};

/// The views of the interface that enumerate.
const COUNT: &str = "count";
const ENTRY: &str = "entry";

/// `chancery access list`.
pub(super) fn list(context: &Context, args: &AccessListArgs) -> Result<Report, CliError> {
    let contract = contract_id(&args.contract)?;
    let names = context.names();
    block_on(async {
        let session = Session::open(context).await?;
        let index = Index::open(&session, contract).await?;
        let (count, counted) = (index.count, &index.counted);
        let whole = async |number: u64| {
            index.entry(number).await?.ok_or_else(|| {
                let message =
                    format!("entry {number} of {count} is missing: the index is not whole");
                CliError::failed("index_not_whole", message)
            })
        };
        let end = count.min(args.first.saturating_add(args.limit.into()));
        let mut read = BTreeMap::new();
        for number in args.first..end {
            read.insert(number, whole(number).await?);
        }
        // What an entry was passed on from may stand before the first one, and so on.
        for _ in 0..PASSES_MAX {
            for number in above(&read, count) {
                read.insert(number, whole(number).await?);
            }
        }
        let listed = Listed {
            count,
            shown: args.first..end,
            height: counted.query.height,
            block_time: counted.query.block_time_ms,
            time: counted.query.time_used_ms,
            code: counted.contract.code,
            version: counted.contract.version,
            contract,
        };
        Ok(list_report(&listed, &read, &names))
    })
}

/// A contract's index, asked through its views.
pub(in crate::cli) struct Index<'a> {
    session: &'a Session,
    contract: ContractId,
    /// How many entries there are.
    pub(in crate::cli) count: u64,
    counted: Answered,
}

impl<'a> Index<'a> {
    /// # Errors
    /// If the contract has no such views: it is not enumerable.
    pub(in crate::cli) async fn open(
        session: &'a Session,
        contract: ContractId,
    ) -> Result<Self, CliError> {
        let counted = enumerable(contract, COUNT, ask(session, contract, COUNT, &[]).await)?;
        let count = enumerated::<u64>(contract, COUNT, &counted.query.outcome)?;
        let index = Self {
            session,
            contract,
            count,
            counted,
        };
        // A `count` of something else is told from one of an index also where it is 0.
        let _ = index.entry(count).await?;
        Ok(index)
    }

    /// The code that counted, and its version.
    pub(in crate::cli) fn code(&self) -> (CodeHash, u32) {
        let contract = &self.counted.contract;
        (contract.code, contract.version)
    }

    /// An entry, if there is one of that number.
    pub(in crate::cli) async fn entry(&self, number: u64) -> Result<Option<AccessEntry>, CliError> {
        let contract = self.contract;
        let answered = ask(self.session, contract, ENTRY, &number.encode()).await;
        let answered = enumerable(contract, ENTRY, answered)?;
        if answered.contract.version != self.counted.contract.version {
            let message = format!("contract {contract} was replaced meanwhile: ask again");
            return Err(CliError::failed("code_changes", message));
        }
        enumerated(contract, ENTRY, &answered.query.outcome)
    }
}

/// What a view of the index answered.
fn enumerated<T: parity_scale_codec::Decode>(
    contract: ContractId,
    view: &str,
    outcome: &Outcome,
) -> Result<T, CliError> {
    let value = match outcome {
        Outcome::Applied { value } => T::decode_all(&mut value.0.as_slice()).ok(),
        Outcome::Reverted { .. } | Outcome::Trapped { .. } => None,
    };
    value.ok_or_else(|| not_enumerable(contract, view))
}

/// The answer, where the contract has that view.
fn enumerable(
    contract: ContractId,
    view: &str,
    answered: Result<Answered, CliError>,
) -> Result<Answered, CliError> {
    answered.map_err(|error| {
        if error.code == NO_SUCH_VIEW {
            not_enumerable(contract, view)
        } else {
            error
        }
    })
}

fn not_enumerable(contract: ContractId, view: &str) -> CliError {
    let reason = format!("its view `{view}` is not that of an access index");
    not_enumerable_because(contract, &reason)
}

pub(in crate::cli) fn not_enumerable_because(contract: ContractId, reason: &str) -> CliError {
    let message = format!("what contract {contract} granted is not enumerable: {reason}");
    CliError::usage(message)
        .code("not_enumerable")
        .hint("single questions may be answered all the same: `chancery access check`")
}

struct Listed {
    count: u64,
    /// The entries to show.
    shown: Range<u64>,
    height: Height,
    block_time: Millis,
    /// As of when the states are told.
    time: Millis,
    code: CodeHash,
    version: u32,
    contract: ContractId,
}

/// The entries, of `count`, that those read were passed on from, where they are not read yet.
fn above(read: &BTreeMap<u64, AccessEntry>, count: u64) -> BTreeSet<u64> {
    let under = read.values().filter_map(|entry| entry.under);
    under
        .filter(|number| *number < count && !read.contains_key(number))
        .collect()
}

/// What became of an entry, in a word or two: it holds only while all hold that it was passed on
/// from, as far as they have been read. There are `count` entries.
fn state_of(
    entry: &AccessEntry,
    read: &BTreeMap<u64, AccessEntry>,
    count: u64,
    now: Millis,
) -> String {
    if let Some(over) = over(entry, now) {
        return over;
    }
    let mut begun = true;
    let mut link = entry;
    for depth in 0..=PASSES_MAX {
        begun &= now.0 >= link.from.0;
        let Some(under) = link.under else {
            let state = if begun { "not revoked" } else { "not begun" };
            return state.to_owned();
        };
        match read.get(&under) {
            Some(above) if over(above, now).is_some() => return format!("ended with #{under}"),
            Some(above) => link = above,
            None if under >= count => return format!("rests on #{under}, which does not exist"),
            None if depth < PASSES_MAX => return format!("rests on #{under}, not shown"),
            None => break,
        }
    }
    "passed on too often".to_owned()
}

/// Until when an entry holds at the latest: no longer than what it was passed on from, as far as that
/// has been read.
fn end_of(entry: &AccessEntry, read: &BTreeMap<u64, AccessEntry>) -> Millis {
    let (mut until, mut under) = (entry.until, entry.under);
    for _ in 0..PASSES_MAX {
        let Some(above) = under.and_then(|number| read.get(&number)) else {
            break;
        };
        until = until.min(above.until);
        under = above.under;
    }
    Millis(until.0)
}

/// A name as it is; what is none, quoted and escaped, so that it cannot be taken for one.
fn named(text: &str, is_sound: fn(&str) -> bool) -> String {
    if is_sound(text) {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

/// Why an entry itself does not hold any more, if so.
fn over(entry: &AccessEntry, now: Millis) -> Option<String> {
    match entry.revoked_at {
        Some(at) => Some(format!("revoked {}", time::format(Millis(at.0)))),
        None => (now.0 >= entry.until.0).then(|| "expired".to_owned()),
    }
}

/// Those of the entries read that are to be shown, of `count`, as a table and as JSON.
pub(in crate::cli) fn entries_shown(
    read: &BTreeMap<u64, AccessEntry>,
    shown: Range<u64>,
    count: u64,
    time: Millis,
    names: &Names,
) -> (Table, Vec<Value>) {
    let headings = ["ENTRY", "SUBJECT", "ACTION", "RESOURCE", "UNTIL", "STATE"];
    let mut table = Table::new(&headings);
    let mut objects = Vec::new();
    for (number, entry) in read.iter().filter(|(number, _)| shown.contains(number)) {
        let subject = AccountId(entry.subject.0).to_string();
        let end = end_of(entry, read);
        let mut state = state_of(entry, read, count, time);
        if let Some(under) = entry.under {
            state.push_str(&format!(", under #{under}"));
        }
        table.add(vec![
            number.to_string(),
            names.show(&subject),
            named(&entry.action, is_name),
            named(&entry.resource, is_resource),
            time::format(end),
            state.clone(),
        ]);
        objects.push(entry_json(*number, entry, end, &state));
    }
    (table, objects)
}

fn list_report(listed: &Listed, read: &BTreeMap<u64, AccessEntry>, names: &Names) -> Report {
    let (table, objects) =
        entries_shown(read, listed.shown.clone(), listed.count, listed.time, names);
    let mut rows = Rows::default();
    rows.add("contract", listed.contract)
        .add(
            "code",
            format!("{}, version {}", listed.code, listed.version),
        )
        .add("entries", listed.count)
        .add("as of", format!("height {}", listed.height));
    let mut text = format!("{}\n{}", rows.to_text(), table.to_text());
    if listed.shown.end < listed.count {
        let more = format!("… and more: --first {} goes on\n", listed.shown.end);
        text.push_str(&more);
    }
    let json = json!({
        "contract": listed.contract,
        "version": listed.version,
        "code": listed.code,
        "count": listed.count,
        "height": listed.height,
        "block_time_ms": listed.block_time,
        "entries": objects,
    });
    Report::new(text, json)
}

fn entry_json(number: u64, entry: &AccessEntry, end: Millis, state: &str) -> Value {
    json!({
        "number": number,
        "subject": AccountId(entry.subject.0).to_string(),
        "action": entry.action,
        "resource": entry.resource,
        "from_ms": entry.from.0,
        "until_ms": entry.until.0,
        "holds_until_ms": end,
        "granted_by": AccountId(entry.granted_by.0).to_string(),
        "under": entry.under,
        "passes_max": entry.passes_max,
        "revoked_at_ms": entry.revoked_at.map(|at| at.0),
        "state": state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_client::api::Bytes;
    use chancery_ledger::TrapKind;

    fn applied(value: &impl parity_scale_codec::Encode) -> Outcome {
        Outcome::Applied {
            value: Bytes(value.encode()),
        }
    }

    #[test]
    fn an_index_answers_in_its_own_types_or_is_none() {
        let contract = ContractId::default();
        let count = |outcome: &Outcome| enumerated::<u64>(contract, COUNT, outcome);
        assert_eq!(count(&applied(&3_u64)), Ok(3));
        for bad in [
            applied(&3_u32),
            Outcome::Trapped {
                kind: TrapKind::UnknownMethod,
            },
        ] {
            assert_eq!(count(&bad).expect_err("is none").code, "not_enumerable");
        }
    }

    /// From 500 until 1,000.
    fn entry(under: Option<u64>) -> AccessEntry {
        let account = chancery_contract::AccountId([1; 32]);
        let at = chancery_contract::Millis;
        AccessEntry {
            subject: account,
            action: "read".to_owned(),
            resource: "x".to_owned(),
            from: at(500),
            until: at(1_000),
            granted_by: account,
            under,
            passes_max: 0,
            revoked_at: None,
        }
    }

    #[test]
    fn an_entry_says_what_became_of_it() {
        let mut entry = entry(None);
        let state = |entry: &AccessEntry, now| state_of(entry, &BTreeMap::new(), 1, Millis(now));
        for (now, expected) in [(499, "not begun"), (500, "not revoked"), (1_000, "expired")] {
            assert_eq!(state(&entry, now), expected);
        }
        entry.revoked_at = Some(chancery_contract::Millis(700));
        assert!(state(&entry, 600).starts_with("revoked 1970-01-01T00:00:00"));
    }

    #[test]
    fn what_was_passed_on_ends_with_what_it_rests_on() {
        // 9 was passed on from 5, and 5 from 3.
        let mut read: BTreeMap<u64, AccessEntry> =
            [(3, entry(None)), (5, entry(Some(3))), (9, entry(Some(5)))].into();
        let check = |read: &BTreeMap<u64, AccessEntry>, now, expected: [&str; 3]| {
            let states = read
                .values()
                .map(|entry| state_of(entry, read, 10, Millis(now)));
            let states: Vec<String> = states.collect();
            assert_eq!(states, expected);
        };
        check(&read, 600, ["not revoked"; 3]);
        let change =
            |read: &mut BTreeMap<u64, AccessEntry>, number, change: fn(&mut AccessEntry)| {
                change(read.get_mut(&number).expect("is there"));
            };
        change(&mut read, 3, |entry| {
            entry.until = chancery_contract::Millis(600)
        });
        check(&read, 599, ["not revoked"; 3]);
        check(&read, 600, ["expired", "ended with #3", "ended with #3"]);
        change(&mut read, 5, |entry| {
            entry.revoked_at = Some(chancery_contract::Millis(0))
        });
        let revoked = "revoked 1970-01-01T00:00:00Z";
        check(&read, 599, ["not revoked", revoked, "ended with #5"]);
        change(&mut read, 5, |entry| entry.revoked_at = None);
        change(&mut read, 3, |entry| {
            entry.from = chancery_contract::Millis(580)
        });
        check(&read, 550, ["not begun"; 3]);
    }

    #[test]
    fn an_entry_ends_with_the_first_of_its_chain() {
        let mut read: BTreeMap<u64, AccessEntry> =
            [(3, entry(None)), (5, entry(Some(3))), (9, entry(Some(5)))].into();
        assert_eq!(end_of(&read[&9], &read), Millis(1_000));
        for (number, until) in [(5, 900), (3, 800)] {
            let link = read.get_mut(&number).expect("is there");
            link.until = chancery_contract::Millis(until);
            assert_eq!(end_of(&read[&9], &read), Millis(until));
        }
        assert_eq!(end_of(&read[&5], &read), Millis(800));
        // The chain is not there, or has no end.
        assert_eq!(end_of(&entry(Some(7)), &read), Millis(1_000));
        let circle = BTreeMap::from([(1, entry(Some(1)))]);
        assert_eq!(end_of(&circle[&1], &circle), Millis(1_000));
    }

    #[test]
    fn what_is_no_name_is_told_from_one() {
        for (text, action, resource) in [
            ("read", "read", "read"),
            ("labs/7", "labs/7", "labs/7"),
            ("*", "\"*\"", "*"),
            ("", "\"\"", "\"\""),
            ("a  b\n", "\"a  b\\n\"", "\"a  b\\n\""),
        ] {
            assert_eq!(named(text, is_name), action);
            assert_eq!(named(text, is_resource), resource);
        }
    }

    #[test]
    fn beyond_the_last_entry_there_is_nothing_to_show() {
        let read = BTreeMap::from([(0, entry(None))]);
        let shown = |first: u64| first..1;
        let (table, objects) = entries_shown(&read, shown(5), 1, Millis(600), &Names::default());
        assert_eq!((table.to_text().lines().count(), objects.len()), (1, 0));
    }

    #[test]
    fn everything_that_an_entry_rests_on_is_read() {
        let page = |under: &[u64]| -> BTreeMap<u64, AccessEntry> {
            let numbers = 10..;
            numbers
                .zip(under.iter().map(|number| entry(Some(*number))))
                .collect()
        };
        assert_eq!(above(&page(&[3, 10, 3, 7]), 20), [3, 7].into());
        // What does not exist cannot be asked for.
        assert_eq!(above(&page(&[3, 10, 3, 7]), 7), [3].into());
        assert_eq!(above(&BTreeMap::from([(0, entry(None))]), 1), [].into());
        // A chain longer than the contract allows, as only a contract that breaks the rules has it.
        let longest = u64::from(PASSES_MAX);
        let chain = |len: u64| -> BTreeMap<u64, AccessEntry> {
            (0..=len)
                .map(|number| (number, entry(number.checked_sub(1))))
                .collect()
        };
        let newest = |len: u64| {
            let chain = chain(len);
            state_of(&chain[&len], &chain, len + 1, Millis(600))
        };
        assert_eq!(newest(longest), "not revoked");
        let part = chain(3).split_off(&2);
        assert_eq!(
            state_of(&part[&3], &part, 4, Millis(600)),
            "rests on #1, not shown"
        );
        assert_eq!(
            state_of(&part[&3], &part, 1, Millis(600)),
            "rests on #1, which does not exist"
        );
        assert_eq!(newest(longest + 1), "passed on too often");
    }
}
