use super::*;

/// Measures a block of 100 grants on a state of 100,000 entries.
#[test]
#[ignore = "a measurement; run with --ignored --nocapture on a quiet machine"]
fn measure_blocks() {
    const ENTRIES: u32 = 100_000;
    const BLOCKS: usize = 200;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("ledger.redb");
    let key = |i: u32| [&[4; 39][..], &key_hash(&i.to_le_bytes()).0].concat();
    let state = (0..ENTRIES)
        .map(|i| (key(i), i.to_be_bytes().repeat(2)))
        .collect();
    let clock = Instant::now();
    Store::create(&path, &genesis(state)).expect("a disk");
    println!("genesis of {ENTRIES} entries: {:?}", clock.elapsed());
    let store = Store::open(&path, CHAIN).expect("just made");
    let mut maker = Maker::new(&store);
    let (mut commits, mut chance) = (Vec::new(), chances(4));
    for height in 1..=BLOCKS {
        let changes = (0..100)
            .map(|_| {
                let i = u32::try_from(chance(2 * u64::from(ENTRIES))).expect("small");
                (key(i), Some(height.to_be_bytes().to_vec()))
            })
            .collect();
        // A third of them is dropped.
        let block = maker.make(150, changes);
        assert_eq!(block.transactions.len(), 100);
        let clock = Instant::now();
        store.commit(block.write()).expect("a disk");
        commits.push(clock.elapsed());
    }
    commits.sort();
    let [median, p99] = [BLOCKS / 2, BLOCKS * 99 / 100].map(|i| commits[i].as_micros());
    println!("commit of 100 grants: median {median}, p99 {p99} microseconds");
    let clock = Instant::now();
    for _ in 0..1000 {
        let _ = store.read();
    }
    println!("snapshot: {:?}", clock.elapsed() / 1000);
    drop(store);
    let bytes = std::fs::metadata(&path).expect("a file").len();
    let clock = Instant::now();
    let store = Store::open(&path, CHAIN).expect("closed");
    println!("opening {bytes} bytes: {:?}", clock.elapsed());
    let clock = Instant::now();
    Maker::new(&store);
    println!("building the state tree: {:?}", clock.elapsed());
}

/// Measures opening a ledger of 10,000 blocks, closed in order and not.
#[test]
#[ignore = "a measurement; run with --ignored --nocapture on a quiet machine"]
fn measure_opening_ten_thousand_blocks() {
    const BLOCKS: u64 = 10_000;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("ledger.redb");
    Store::create(&path, &small_genesis()).expect("a disk");
    let store = Store::open(&path, CHAIN).expect("just made");
    let mut maker = Maker::new(&store);
    let clock = Instant::now();
    for height in 1..=BLOCKS {
        let changes = (0..20_u64)
            .map(|i| {
                let key = key_hash(&(height * 20 + i).to_le_bytes()).0.to_vec();
                (key, Some(vec![7; 60]))
            })
            .collect();
        maker.commit(30, changes);
    }
    println!("making {BLOCKS} blocks of 20: {:?}", clock.elapsed());
    // As it lies there while it is open: what a killed process leaves.
    let killed = directory.path().join("killed.redb");
    std::fs::copy(&path, &killed).expect("a disk");
    drop(store);
    for (what, path) in [("closed", &path), ("killed", &killed), ("closed", &killed)] {
        let bytes = std::fs::metadata(path).expect("a file").len();
        let clock = Instant::now();
        let store = Store::open(path, CHAIN).expect("whole");
        let opened = clock.elapsed();
        Maker::new(&store);
        println!(
            "{what}: opening {bytes} bytes {opened:?}, with the state tree {:?}",
            clock.elapsed()
        );
    }
}
