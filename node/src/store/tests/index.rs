//! What is found again is what stands in the blocks.

use super::crash::install_above;
use super::*;

/// Some blocks with senders, contracts and topics out of a few each.
fn marked_blocks(genesis: &GenesisBlock, count: u64, seed: u64) -> Vec<Block> {
    let store = Store::create_on(SimulatedFile::default(), genesis).expect("no fault");
    let (mut maker, mut chance) = (Maker::new(&store), chances(seed));
    (0..count)
        .map(|number| {
            let transactions = (0..chance(7)).map(|i| {
                let sender = SecretKey::from_seed(&[byte(chance(3)); 32]);
                maker.transaction(&sender, number * 1_000 + i)
            });
            let transactions = transactions.collect();
            let receipt = |transaction: &SignedTransaction| some_receipt(transaction, &mut chance);
            let block = maker.make_of(transactions, receipt, BTreeMap::new());
            store.commit(block.write()).expect("no fault");
            block
        })
        .collect()
}

fn byte(number: u64) -> u8 {
    u8::try_from(number).expect("small")
}

const TOPICS: [&str; 3] = ["Granted", "Revoked", ""];

fn some_receipt(transaction: &SignedTransaction, chance: &mut dyn FnMut(u64) -> u64) -> Receipt {
    let events = (0..chance(4).saturating_sub(1)).map(|_| ContractEvent {
        contract: ContractId([byte(chance(3)); 32]),
        topic: TOPICS[usize::from(byte(chance(3)))].to_owned(),
        data: vec![7; 3],
    });
    Receipt {
        transaction: transaction.id(),
        events: events.collect(),
        status: Status::Applied { value: Vec::new() },
        fuel_used: Fuel(1),
        contract: (chance(5) > 0).then(|| ContractId([byte(chance(3)); 32])),
    }
}

/// Whether a transaction has a mark, by its own words.
fn has(mark: Mark<'_>, transaction: &SignedTransaction, receipt: &Receipt) -> bool {
    let mut events = receipt.events.iter();
    match mark {
        Mark::Sender(account) => transaction.transaction.sender == account,
        Mark::Contract(contract) => receipt.contract == Some(contract),
        Mark::Events => !receipt.events.is_empty(),
        Mark::Emitter(contract) => events.any(|event| event.contract == contract),
        Mark::Topic(topic) => events.any(|event| event.topic == topic),
        Mark::EmitterTopic(contract, topic) => {
            events.any(|event| event.contract == contract && event.topic == topic)
        }
    }
}

/// By reading every block.
fn scanned(blocks: &[Block], marks: &[Mark<'_>], from: TransactionPlace) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    for block in blocks {
        let height = block.header.height;
        let executed = (0..).zip(block.transactions.iter().zip(&block.receipts));
        for (index, (transaction, receipt)) in executed {
            let is_behind = (height, index) >= (from.height, from.index);
            if is_behind && marks.iter().all(|mark| has(*mark, transaction, receipt)) {
                found.push((height.0, index));
            }
        }
    }
    found
}

/// By the index, looking at so many rows at a time.
fn found(
    store: &Store,
    marks: &[Mark<'_>],
    mut from: TransactionPlace,
    rows_max: usize,
) -> Vec<(u64, u32)> {
    let through = store.tip().header.height;
    let (mut all, mut steps) = (Vec::new(), 0);
    loop {
        steps += 1;
        assert!(steps < 10_000, "a search comes to its end");
        match store.read().search(marks, from, through, rows_max) {
            Search::Found { height, indices } => {
                assert!(!indices.is_empty());
                all.extend(indices.iter().map(|index| (height.0, *index)));
                (from.height, from.index) = (height.next(), 0);
            }
            Search::Paused(height) => {
                assert!(height >= from.height);
                if height > from.height {
                    (from.height, from.index) = (height, 0);
                }
            }
            Search::Nothing => return all,
        }
    }
}

/// Each mark alone, and each with each sender.
fn questions() -> Vec<Vec<Mark<'static>>> {
    let contracts = || (0..4).map(|number| ContractId([number; 32]));
    let topics = || TOPICS.into_iter().chain(["Other"]);
    let mut marks = vec![Mark::Events];
    marks.extend(contracts().map(Mark::Contract));
    marks.extend(contracts().map(Mark::Emitter));
    marks.extend(topics().map(Mark::Topic));
    marks.extend(contracts().flat_map(|id| topics().map(move |it| Mark::EmitterTopic(id, it))));
    let senders: Vec<_> = (0..4)
        .map(|seed| Mark::Sender(SecretKey::from_seed(&[seed; 32]).account()))
        .collect();
    let alone = marks.iter().chain(&senders).map(|mark| vec![*mark]);
    let pairs = marks
        .iter()
        .flat_map(|mark| senders.iter().map(move |sender| vec![*mark, *sender]));
    alone.chain(pairs).collect()
}

#[test]
fn what_is_found_is_what_a_scan_of_all_blocks_finds() {
    let genesis = small_genesis();
    let questions = questions();
    let mut hits = 0;
    for seed in 0..12 {
        let blocks = marked_blocks(&genesis, 24, seed);
        let store = Store::create_on(SimulatedFile::default(), &genesis).expect("no fault");
        for block in &blocks {
            store.commit(block.write()).expect("no fault");
        }
        let mut chance = chances(seed + 100);
        for marks in &questions {
            let from = TransactionPlace {
                height: Height(chance(26) * chance(2)),
                index: u32::try_from(chance(4)).expect("small"),
            };
            let expected = scanned(&blocks, marks, from);
            hits += expected.len();
            let rows_max = [2, 3, 1_000][usize::from(byte(chance(3)))];
            assert_eq!(
                found(&store, marks, from, rows_max),
                expected,
                "seed {seed}: {marks:?} from {from:?}, {rows_max} rows at a time"
            );
        }
        check_holds(&store, &genesis, &blocks);
    }
    assert!(hits > 2_000, "only {hits} were there to find");
}

#[test]
fn a_search_ends_where_it_is_told() {
    let genesis = small_genesis();
    let blocks = marked_blocks(&genesis, 24, 1);
    let store = Store::create_on(SimulatedFile::default(), &genesis).expect("no fault");
    for block in &blocks {
        store.commit(block.write()).expect("no fault");
    }
    let place = |height| TransactionPlace {
        height: Height(height),
        index: 0,
    };
    let marks = [Mark::Events];
    for through in 0..24 {
        let search = store
            .read()
            .search(&marks, place(1), Height(through), 1_000);
        let first = scanned(&blocks, &marks, place(1))[0].0;
        assert_eq!(matches!(search, Search::Found { .. }), first <= through);
    }
}

#[test]
fn a_block_adds_no_more_rows_than_is_said_whatever_topics_a_contract_makes_up() {
    let store = Store::create_on(SimulatedFile::default(), &small_genesis()).expect("no fault");
    let mut maker = Maker::new(&store);
    let transactions: Vec<_> = (0..60)
        .map(|salt| maker.transaction(&maker.sender, salt))
        .collect();
    let mut number = 0;
    let mut event = |contract| {
        number += 1;
        ContractEvent {
            contract: ContractId([contract; 32]),
            topic: format!("topic {number}"),
            data: Vec::new(),
        }
    };
    let receipt = |transaction: &SignedTransaction| Receipt {
        transaction: transaction.id(),
        status: Status::Applied { value: Vec::new() },
        fuel_used: Fuel(1),
        contract: Some(ContractId([1; 32])),
        events: (0..64).flat_map(|_| [event(1), event(2)]).collect(),
    };
    let block = maker.make_of(transactions, receipt, BTreeMap::new());
    let rows = super::super::index::rows(&block.transactions, &block.receipts);
    // One sender, one contract called; events, topics, and two contracts that have them.
    assert_eq!(rows.len(), 2 + 1 + 256 + 2 * 257);
    let events: usize = block.receipts.iter().map(|it| it.events.len()).sum();
    let bytes: usize = rows.values().map(Vec::len).sum();
    assert!(bytes <= 2 * (2 * block.transactions.len() + 4 * events));
    store.commit(block.write()).expect("no fault");
    let start = TransactionPlace {
        height: Height(0),
        index: 0,
    };
    let marks = [Mark::EmitterTopic(ContractId([2; 32]), "topic 2")];
    let found = found(&store, &marks, start, 1_000);
    assert!(
        found.starts_with(&scanned(&[block], &marks, start)),
        "and topics like it"
    );
}

#[test]
fn a_ledger_that_joined_twice_has_gaps_and_the_rest() {
    let genesis = small_genesis();
    let blocks = marked_blocks(&genesis, 24, 5);
    let store = Store::create_on(SimulatedFile::default(), &genesis).expect("no fault");
    assert_eq!(store.read().gap(Height(0)), None);
    for block in &blocks[..5] {
        store.commit(block.write()).expect("no fault");
    }
    // Of blocks 4 and 5 nothing may stay: they were not certified.
    install_above(&store, &genesis, &blocks[..8], Height(3)).expect("no fault");
    for block in &blocks[8..12] {
        store.commit(block.write()).expect("no fault");
    }
    install_above(&store, &genesis, &blocks[..20], Height(12)).expect("no fault");
    for block in &blocks[20..] {
        store.commit(block.write()).expect("no fault");
    }
    let here: Vec<Block> = [&blocks[..3], &blocks[8..12], &blocks[20..]]
        .concat()
        .into_iter()
        .collect();
    let start = TransactionPlace {
        height: Height(0),
        index: 0,
    };
    for marks in questions() {
        assert_eq!(
            found(&store, &marks, start, 1_000),
            scanned(&here, &marks, start),
            "{marks:?}"
        );
    }
    let gap = |from| {
        store
            .read()
            .gap(Height(from))
            .map(|gap| (gap.first.0, gap.last.0))
    };
    for (from, expected) in [
        (0, Some((4, 8))),
        (8, Some((4, 8))),
        (9, Some((13, 20))),
        (20, Some((13, 20))),
        (21, None),
    ] {
        assert_eq!(gap(from), expected, "from {from}");
    }
    // Of the blocks of both snapshots there is the header, and no damage.
    for base in [8, 20] {
        assert_eq!(store.read().block(Height(base)), None);
        assert!(store.read().header(Height(base)).is_some());
    }
    assert_eq!(store.read().block(Height(9)), Some(blocks[8].stored()));
}
