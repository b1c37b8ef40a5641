use std::ops::RangeInclusive;
use std::process::Command;
use std::time::Instant;

use chancery_ledger::block::{PROTOCOL_VERSION, receipts_root, transactions_root};
use chancery_ledger::checkpoint::{CheckpointStatement, Cosignature};
use chancery_ledger::header_log::inclusion_proof;
use chancery_ledger::state_tree::{LeafSource as _, StateTree, key_hash, value_hash};
use chancery_ledger::{
    Call, ContractEvent, ContractId, Epoch, Fuel, Hash, Millis, SecretKey, Signature, Status,
    Transaction, TransactionId, ValidatorIndex,
};
use chancery_simulation::disk::{SimulatedDisk, SimulatedFile, TearSectors};
use chancery_simulation::random::Random;
use redb::{ReadableTableMetadata as _, TableDefinition};

use super::*;

mod crash;
mod foreign;
mod index;
mod measure;

const CHAIN: ChainId = ChainId([5; 32]);

/// Draws numbers below the one given, the same for the same seed.
pub(super) fn chances(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut random = Random::new(seed);
    move |below| random.below(below)
}

/// A block that owns its parts.
#[derive(Debug, Clone)]
struct Block {
    header: Header,
    batch: Batch,
    transactions: Vec<SignedTransaction>,
    receipts: Vec<Receipt>,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    log_nodes: Vec<LogNode>,
    log: HeaderLog,
    certificates: Vec<CheckpointCertificate>,
}

impl Block {
    fn write(&self) -> BlockWrite<'_> {
        BlockWrite {
            header: &self.header,
            batch: &self.batch,
            transactions: &self.transactions,
            receipts: &self.receipts,
            changes: &self.changes,
            log_nodes: &self.log_nodes,
            log: &self.log,
            certificates: &self.certificates,
        }
    }

    fn stored(&self) -> StoredBlock {
        StoredBlock {
            header: self.header.clone(),
            batch: self.batch.clone(),
            transactions: self.transactions.clone(),
            receipts: self.receipts.clone(),
        }
    }
}

fn genesis(state: BTreeMap<Vec<u8>, Vec<u8>>) -> GenesisBlock {
    let leaves: BTreeMap<_, _> = state
        .iter()
        .map(|(k, v)| (key_hash(k), value_hash(v)))
        .collect();
    let tree = StateTree::build(leaves);
    let header = Header {
        version: PROTOCOL_VERSION,
        chain: CHAIN,
        epoch: Epoch(0),
        height: Height(0),
        parent: Hash::default(),
        time: Millis(1_000),
        batch: Batch::empty().digest(),
        transactions_root: transactions_root(&[]),
        transactions_count: 0,
        receipts_root: receipts_root(&[]),
        state_root: tree.root(),
        state_count: tree.count(),
    };
    GenesisBlock { header, state }
}

fn small_genesis() -> GenesisBlock {
    genesis(
        [
            (b"admin".to_vec(), b"yes".to_vec()),
            (b"x".to_vec(), vec![1; 300]),
        ]
        .into(),
    )
}

/// Makes blocks and writes them, as the executor does.
struct Maker<'a> {
    store: &'a Store,
    tree: StateTree,
    log: HeaderLog,
    tip: Header,
    sender: SecretKey,
}

impl<'a> Maker<'a> {
    fn new(store: &'a Store) -> Self {
        let snapshot = store.read();
        let Tip { header, log, .. } = snapshot.tip();
        let tree = StateTree::build(snapshot.state_leaves());
        Self {
            store,
            tree,
            log,
            tip: header,
            sender: SecretKey::from_seed(&[3; 32]),
        }
    }

    fn transaction(&self, sender: &SecretKey, salt: u64) -> SignedTransaction {
        let call = Call::Invoke {
            contract: ContractId([9; 32]),
            method: "grant_access".to_owned(),
            args: vec![7; 40],
        };
        Transaction {
            chain: CHAIN,
            sender: sender.account(),
            salt,
            valid_until: Millis(1 << 40),
            fuel_max: Fuel(1_000_000),
            call,
        }
        .sign(sender)
    }

    fn make(&mut self, count: u64, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Block {
        let height = self.tip.height.next();
        let all = (0..count)
            .map(|i| self.transaction(&self.sender, height.0 * 1_000_000 + i))
            .collect();
        let receipt = |transaction: &SignedTransaction| Receipt {
            transaction: transaction.id(),
            status: Status::Applied { value: Vec::new() },
            fuel_used: Fuel(4_000),
            contract: Some(ContractId([9; 32])),
            events: vec![ContractEvent {
                contract: ContractId([9; 32]),
                topic: "Granted".to_owned(),
                data: vec![7; 40],
            }],
        };
        self.make_of(all, receipt, changes)
    }

    /// A block of these, of which every third is dropped.
    fn make_of(
        &mut self,
        all: Vec<SignedTransaction>,
        receipt: impl FnMut(&SignedTransaction) -> Receipt,
        changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    ) -> Block {
        let height = self.tip.height.next();
        let batch = Batch {
            proposed_time: Millis(0),
            transactions: all,
        };
        let executed = (0..).zip(&batch.transactions).filter(|(i, _)| i % 3 != 2);
        let transactions: Vec<_> = executed
            .map(|(_, transaction)| transaction.clone())
            .collect();
        let receipts: Vec<_> = transactions.iter().map(receipt).collect();
        let hashed = changes
            .iter()
            .map(|(key, value)| (key_hash(key), value.as_deref().map(value_hash)))
            .collect();
        self.tree.update(&hashed, &self.store.read());
        let header = Header {
            height,
            parent: self.tip.hash(),
            time: self.tip.time.saturating_add(Millis(1)),
            batch: batch.digest(),
            transactions_root: transactions_root(&transactions),
            transactions_count: u32::try_from(transactions.len()).expect("few"),
            receipts_root: receipts_root(&receipts),
            state_root: self.tree.root(),
            state_count: self.tree.count(),
            ..self.tip.clone()
        };
        // As in life, what certifies a block is known some blocks later, and not for each.
        let certificates = if height.0.is_multiple_of(3) {
            vec![certificate(&self.tip)]
        } else {
            Vec::new()
        };
        let log_nodes = self.log.append(header.hash());
        self.tip = header.clone();
        let log = self.log.clone();
        Block {
            header,
            batch,
            transactions,
            receipts,
            changes,
            log_nodes,
            log,
            certificates,
        }
    }

    fn commit(&mut self, count: u64, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Block {
        let block = self.make(count, changes);
        self.store.commit(block.write()).expect("a disk");
        block
    }
}

fn certificate(header: &Header) -> CheckpointCertificate {
    let cosignature = |i| Cosignature {
        validator: ValidatorIndex(i),
        signature: Signature([3; 64]),
    };
    CheckpointCertificate {
        statement: CheckpointStatement::new(CHAIN, header.height, header.hash(), header.time),
        cosignatures: (0..3).map(cosignature).collect(),
    }
}

/// Some keys set, some removed, out of a few hundred.
fn some_changes(
    chance: &mut dyn FnMut(u64) -> u64,
    count: RangeInclusive<u64>,
) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let extra = chance(count.end() - count.start() + 1);
    (0..count.start() + extra)
        .map(|_| {
            let key = format!("key {}", chance(400)).into_bytes();
            let length = usize::try_from(1 + chance(200)).expect("small");
            let value = vec![u8::try_from(chance(256)).expect("a byte"); length];
            (key, (chance(4) > 0).then_some(value))
        })
        .collect()
}

fn apply(state: &mut BTreeMap<Vec<u8>, Vec<u8>>, changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
    for (key, value) in changes {
        match value {
            Some(value) => state.insert(key.clone(), value.clone()),
            None => state.remove(key),
        };
    }
}

/// Blocks made on a disk that does not fail.
fn some_blocks(genesis: &GenesisBlock, count: u64) -> Vec<Block> {
    let store = Store::create_on(SimulatedFile::default(), genesis).expect("no fault");
    let (mut maker, mut chance) = (Maker::new(&store), chances(1));
    let mut block = |_| maker.commit(chance(5), some_changes(&mut chance, 0..=40));
    (0..count).map(&mut block).collect()
}

/// Checks that a store holds exactly genesis and `blocks`.
fn check_holds(store: &Store, genesis: &GenesisBlock, blocks: &[Block]) {
    let snapshot = store.read();
    let mut state = genesis.state.clone();
    let mut certificate = None;
    let mut marks = 0;
    for block in blocks {
        let height = block.header.height;
        let rows = super::index::rows(&block.transactions, &block.receipts);
        marks += rows.len() as u64;
        let tables = store.tables().expect("no fault");
        assert!(tables.has_rows(height, &rows).expect("no fault"));
        assert_eq!(snapshot.block(height), Some(block.stored()));
        assert_eq!(snapshot.header(height).as_ref(), Some(&block.header));
        assert_eq!(snapshot.receipts(height).as_ref(), Some(&block.receipts));
        for (transaction, index) in block.transactions.iter().zip(0..) {
            let place = TransactionPlace { height, index };
            assert_eq!(snapshot.transaction(&transaction.id()), Some(place));
        }
        for LogNode { level, index, hash } in &block.log_nodes {
            assert_eq!(snapshot.log_node(*level, *index), Some(*hash));
        }
        apply(&mut state, &block.changes);
        certificate = block.certificates.last().or(certificate);
    }
    let stored = store.tables().expect("no fault").marks.len();
    assert_eq!(stored.expect("no fault"), marks, "and no other marks");
    let tip = blocks.last().map_or(&genesis.header, |block| &block.header);
    assert_eq!(&snapshot.tip().header, tip);
    assert_eq!(snapshot.tip().certificate.as_ref(), certificate);
    assert_eq!(snapshot.newest_certificate().as_ref(), certificate);
    let next = tip.height.next();
    assert_eq!(
        (
            snapshot.block(next),
            snapshot.header(next),
            snapshot.receipts(next)
        ),
        (None, None, None)
    );
    assert_eq!(snapshot.state_entries().collect::<BTreeMap<_, _>>(), state);
    for (key, value) in &state {
        assert_eq!(snapshot.state_get(key).as_ref(), Some(value));
    }
    let tree = StateTree::build(snapshot.state_leaves());
    assert_eq!(
        (tree.root(), tree.count()),
        (tip.state_root, tip.state_count)
    );
}

#[test]
fn what_was_committed_is_read_now_and_after_opening_again() {
    let genesis = small_genesis();
    let blocks = some_blocks(&genesis, 12);
    let file = SimulatedFile::default();
    let store = Store::create_on(file.clone(), &genesis).expect("no fault");
    check_holds(&store, &genesis, &[]);
    for (i, block) in blocks.iter().enumerate() {
        store.commit(block.write()).expect("no fault");
        check_holds(&store, &genesis, &blocks[..=i]);
    }
    drop(store);
    let store = Store::open_on(file, CHAIN).expect("closed");
    check_holds(&store, &genesis, &blocks);
}

#[test]
fn certificates_are_found_by_the_heights_they_cover() {
    let genesis = small_genesis();
    let store = Store::create_on(SimulatedFile::default(), &genesis).expect("no fault");
    assert_eq!(store.tip().certificate, None);
    for block in some_blocks(&genesis, 8) {
        store.commit(block.write()).expect("no fault");
    }
    let at = |height| {
        let found = store.read().certificate_at_or_after(Height(height));
        found.map(|certificate| certificate.statement.height.0)
    };
    assert_eq!(
        [0, 2, 3, 5, 6].map(at),
        [Some(2), Some(2), Some(5), Some(5), None]
    );
    store
        .put_certificate(&certificate(&store.tip().header))
        .expect("no fault");
    assert_eq!(at(6), Some(8));
    assert_eq!(
        store.tip().certificate.map(|c| c.statement.height),
        Some(Height(8))
    );
}

#[test]
fn a_snapshot_does_not_see_what_is_written_later() {
    let genesis = small_genesis();
    let blocks = some_blocks(&genesis, 6);
    let store = Store::create_on(SimulatedFile::default(), &genesis).expect("no fault");
    store.commit(blocks[0].write()).expect("no fault");
    let snapshot = store.read();
    let seen = |snapshot: &Snapshot| {
        let entries: Vec<_> = snapshot.state_entries().collect();
        (
            snapshot.tip(),
            entries,
            snapshot.leaves(&[0; 32], &[255; 32]),
        )
    };
    let before = seen(&snapshot);
    for block in &blocks[1..] {
        store.commit(block.write()).expect("no fault");
    }
    assert_eq!(seen(&snapshot), before);
    assert_eq!(snapshot.header(Height(2)), None);
    assert_eq!(snapshot.transaction(&blocks[5].transactions[0].id()), None);
    assert_ne!(seen(&store.read()), before);
}

#[test]
fn the_tree_kept_over_a_thousand_blocks_is_the_tree_built_from_scratch() {
    let genesis = small_genesis();
    let store = Store::create_on(SimulatedFile::default(), &genesis).expect("no fault");
    let (mut maker, mut chance) = (Maker::new(&store), chances(2));
    let mut state = genesis.state;
    for height in 1..=1000 {
        let block = maker.commit(2, some_changes(&mut chance, 1..=20));
        apply(&mut state, &block.changes);
        if height % 100 == 0 {
            let snapshot = store.read();
            let stored = StateTree::build(snapshot.state_leaves());
            let leaves: BTreeMap<_, _> = state
                .iter()
                .map(|(k, v)| (key_hash(k), value_hash(v)))
                .collect();
            let scratch = StateTree::build(leaves);
            assert_eq!(stored.root(), scratch.root());
            assert_eq!(block.header.state_root, scratch.root());
            assert_eq!(block.header.state_count, state.len() as u64);
            let key = key_hash(b"key 7");
            let proof = maker.tree.prove(&key, &snapshot).expect("its leaves");
            assert_eq!(
                proof,
                scratch.prove(&key, &snapshot).expect("the same leaves")
            );
        }
    }
    let snapshot = store.read();
    for height in [1, 2, 500, 1000] {
        let node = |level, index| snapshot.log_node(level, index);
        let proof = inclusion_proof(height, 1001, &node).expect("every node is stored");
        let header = snapshot.header(Height(height)).expect("is there");
        proof
            .verify(&header.hash(), &snapshot.tip().log.root())
            .expect("it proves");
    }
}

#[test]
fn only_the_next_block_is_written() {
    let genesis = small_genesis();
    let blocks = some_blocks(&genesis, 3);
    let wrong: [fn(&mut Block); 4] = [
        |block| block.header.height = Height(3),
        |block| block.header.parent = Hash([1; 32]),
        |block| block.log = HeaderLog::default(),
        |block| {
            block.receipts.push(Receipt {
                transaction: TransactionId([1; 32]),
                status: Status::Applied { value: Vec::new() },
                fuel_used: Fuel(1),
                contract: None,
                events: Vec::new(),
            });
        },
    ];
    for spoil in wrong {
        let store = Store::create_on(SimulatedFile::default(), &genesis).expect("no fault");
        store.commit(blocks[0].write()).expect("no fault");
        let mut block = blocks[2].clone();
        (block.header.height, block.header.parent) = (Height(2), blocks[0].header.hash());
        block.log = blocks[1].log.clone();
        spoil(&mut block);
        let outcome = catch_unwind(AssertUnwindSafe(|| store.commit(block.write())));
        assert!(outcome.is_err(), "a block that is not next was written");
        assert_eq!(store.tip().header, blocks[0].header);
    }
}

const CHILD_DIRECTORY: &str = "CHANCERY_TEST_LEDGER_OF_PARENT";

/// Does something only as the child of the test below.
#[test]
fn child_opens_the_ledger_of_its_parent() {
    if let Some(directory) = std::env::var_os(CHILD_DIRECTORY) {
        match Store::open(&Path::new(&directory).join("ledger.redb"), CHAIN) {
            Ok(_) => println!("outcome: opened"),
            Err(error) => {
                println!("outcome: {error}");
                storage_failed(&error);
            }
        }
    }
}

#[test]
fn a_ledger_is_made_once_and_opened_by_one_process() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("ledger.redb");
    let error = Store::open(&path, CHAIN).expect_err("nothing there");
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");

    std::fs::write(directory.path().join("ledger.redb.new"), b"left by a crash").expect("writable");
    Store::create(&path, &small_genesis()).expect("nothing there yet");
    assert_eq!(
        std::fs::read_dir(directory.path())
            .expect("a directory")
            .count(),
        1
    );
    let error = Store::create(&path, &small_genesis()).expect_err("there is one");
    assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");

    let child = || {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["child_opens_the_ledger_of_its_parent", "--nocapture"])
            .env(CHILD_DIRECTORY, directory.path())
            .output()
            .expect("this program runs");
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.code(),
        )
    };
    let store = Store::open(&path, CHAIN).expect("closed");
    let snapshot = store.read();
    let (words, code) = child();
    assert!(
        words.contains("ledger.redb is in use by another process"),
        "{words}"
    );
    assert_eq!(code, Some(STORAGE_FAILED_EXIT_CODE));
    drop((snapshot, store));
    assert!(child().0.contains("outcome: opened"));
}
