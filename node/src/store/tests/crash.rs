//! Lost power and damaged bytes.

use super::*;

#[test]
fn power_lost_at_any_operation_leaves_a_whole_prefix() {
    let genesis = small_genesis();
    let blocks = some_blocks(&genesis, 5);
    let disk = SimulatedDisk::default();
    let store = Store::create_on(SimulatedFile::new(&disk), &genesis).expect("no fault");
    for block in &blocks {
        store.commit(block.write()).expect("no fault");
    }
    drop(store);
    for cut in 0..disk.used() {
        for seed in 0..4 {
            check_crash(cut, &mut chances(cut * 1000 + seed), &genesis, &blocks);
        }
    }
}

fn check_crash(
    cut: u64,
    chance: &mut dyn FnMut(u64) -> u64,
    genesis: &GenesisBlock,
    blocks: &[Block],
) {
    let disk = SimulatedDisk::default();
    let file = SimulatedFile::new(&disk);
    disk.cut_after(cut);
    let Ok(store) = Store::create_on(file.clone(), genesis) else {
        // Store::create gives a file its name only when it is whole; here it must not be half-read.
        let file = SimulatedFile::of(file.after_power_loss(chance, TearSectors::No), &disk);
        disk.cut_after(10_000);
        if let Ok(store) = Store::open_on(file, CHAIN) {
            check_holds(&store, genesis, &[]);
        }
        return;
    };
    let committed = blocks
        .iter()
        .take_while(|block| store.commit(block.write()).is_ok())
        .count();
    drop(store);
    // Power goes once more while the ledger is opened, and once more, and so on.
    let mut bytes = file.after_power_loss(chance, TearSectors::No);
    for again in 0.. {
        let disk = SimulatedDisk::default();
        let file = SimulatedFile::of(bytes, &disk);
        disk.cut_after(again);
        let opened = Store::open_on(file.clone(), CHAIN);
        let store = match opened {
            Ok(store) => store,
            Err(StoreError::Io { .. } | StoreError::Database { .. }) => {
                assert!(again < 100, "cut {cut}: opening needs an end");
                bytes = file.after_power_loss(chance, TearSectors::No);
                continue;
            }
            Err(error) => panic!("cut after {cut}, then {again}: {error}"),
        };
        disk.cut_after(10_000);
        let height = usize::try_from(store.tip().header.height.0).expect("few blocks");
        assert!(
            height == committed || height == committed + 1,
            "cut after {cut}: {committed} blocks were committed, {height} are there"
        );
        check_holds(&store, genesis, &blocks[..height]);
        for block in &blocks[height..] {
            store.commit(block.write()).expect("the power is on");
        }
        check_holds(&store, genesis, blocks);
        return;
    }
}

#[test]
fn after_a_failed_commit_nothing_more_is_written() {
    let genesis = small_genesis();
    let blocks = some_blocks(&genesis, 1);
    let disk = SimulatedDisk::default();
    let store = Store::create_on(SimulatedFile::new(&disk), &genesis).expect("no fault");
    disk.cut_after(1);
    store
        .commit(blocks[0].write())
        .expect_err("the power is off");
    disk.cut_after(1000);
    store
        .commit(blocks[0].write())
        .expect_err("what is durable is not known");
}

#[test]
fn damage_is_reported_when_opening() {
    let genesis = small_genesis();
    let file = SimulatedFile::default();
    let store = Store::create_on(file.clone(), &genesis).expect("no fault");
    let blocks = some_blocks(&genesis, 4);
    for block in &blocks {
        store.commit(block.write()).expect("no fault");
    }
    drop(store);
    let bytes = file.bytes();
    let open = |bytes| Store::open_on(SimulatedFile::of(bytes, &SimulatedDisk::default()), CHAIN);
    let mut refused = 0;
    for at in (0..bytes.len()).step_by(101).chain(0..320) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        match open(damaged) {
            // A page that is not in use, or a part of the header that is not.
            Ok(store) => check_holds(&store, &genesis, &blocks),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "only {refused} flipped bits were noticed");
    for length in (0..bytes.len()).step_by(4096 + 17) {
        assert!(
            open(bytes[..length].to_vec()).is_err(),
            "cut short to {length} bytes"
        );
    }
}

/// The state of the last of some blocks, as a snapshot of it is staged.
fn staged(state: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<StagedEntry> {
    let mut entries: Vec<_> = state
        .iter()
        .map(|(key, value)| StagedEntry {
            key_hash: key_hash(key),
            key: key.clone(),
            value: value.clone(),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_hash);
    entries
}

/// Stages the state after `blocks` and puts it in place; the blocks of `store` are certified.
fn install(store: &Store, genesis: &GenesisBlock, blocks: &[Block]) -> Result<(), StoreError> {
    install_above(store, genesis, blocks, store.tip().header.height)
}

/// The same, where only the blocks up to `certified_here` are certified.
pub(super) fn install_above(
    store: &Store,
    genesis: &GenesisBlock,
    blocks: &[Block],
    certified_here: Height,
) -> Result<(), StoreError> {
    let mut state = genesis.state.clone();
    for block in blocks {
        apply(&mut state, &block.changes);
    }
    let last = blocks.last().expect("some");
    store.begin_staging()?;
    let place = |height, index| TransactionPlace { height, index };
    let transactions = |block: &Block| {
        let height = block.header.height;
        let ids = block.transactions.iter().map(SignedTransaction::id);
        ids.zip(0..)
            .map(|(id, index)| (id, place(height, index)))
            .collect::<Vec<_>>()
    };
    for block in blocks {
        if block.header.height <= certified_here {
            continue;
        }
        store.stage_transactions(&transactions(block))?;
    }
    for part in staged(&state).chunks(7) {
        store.stage_entries(part)?;
    }
    let nodes: Vec<LogNode> = blocks
        .iter()
        .flat_map(|block| block.log_nodes.clone())
        .collect();
    store.install(Base {
        header: &last.header,
        certificate: &certificate(&last.header),
        log_nodes: &nodes,
        log: &last.log,
        certified_here,
    })
}

#[test]
fn power_lost_while_a_snapshot_is_installed_leaves_one_ledger_or_the_other() {
    let genesis = small_genesis();
    let blocks = some_blocks(&genesis, 9);
    let (before, after) = (&blocks[..3], &blocks[..8]);
    let bytes = {
        let file = SimulatedFile::default();
        let store = Store::create_on(file.clone(), &genesis).expect("no fault");
        for block in before {
            store.commit(block.write()).expect("no fault");
        }
        drop(store);
        file.bytes()
    };
    let disk = SimulatedDisk::default();
    let store = Store::open_on(SimulatedFile::of(bytes.clone(), &disk), CHAIN).expect("whole");
    install(&store, &genesis, after).expect("no fault");
    drop(store);
    let (mut old, mut new) = (0, 0);
    for cut in 0..disk.used() {
        for seed in 0..3 {
            let mut chance = chances(cut * 1000 + seed);
            let disk = SimulatedDisk::default();
            let file = SimulatedFile::of(bytes.clone(), &disk);
            disk.cut_after(cut);
            let installed = Store::open_on(file.clone(), CHAIN)
                .is_ok_and(|store| install(&store, &genesis, after).is_ok());
            let left = file.after_power_loss(&mut chance, TearSectors::No);
            let file = SimulatedFile::of(left, &SimulatedDisk::default());
            let store = Store::open_on(file, CHAIN).expect("whole");
            if store.read().base().is_none() {
                assert!(!installed, "cut {cut}: what was installed is there");
                check_holds(&store, &genesis, before);
                assert!(!store.is_staging().expect("no fault"));
                store.commit(blocks[3].write()).expect("no fault");
                old += 1;
                continue;
            }
            let tip = store.tip();
            assert_eq!(tip.header, after[7].header);
            assert_eq!(tip.certificate, Some(certificate(&tip.header)));
            let tree = StateTree::build(store.read().state_leaves());
            assert_eq!(tree.root(), tip.header.state_root);
            store.commit(blocks[8].write()).expect("no fault");
            new += 1;
        }
    }
    assert!(old > 50 && new > 2, "{old} old, {new} new");
}
