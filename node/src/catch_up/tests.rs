use std::path::Path;
use std::sync::Arc;

use chancery_genesis::{Genesis, GenesisAccount, MemberCard};
use chancery_ledger::checkpoint::{CheckpointCertificate, Cosignature};
use chancery_ledger::state_tree::{StateTree, key_hash, value_hash};
use chancery_ledger::{
    Batch, Call, ChainLimits, Fuel, Hash, Height, Millis, Role, SecretKey, Transaction,
    TransactionId, ValidatorIndex,
};
use chancery_runtime::Runtime;

use super::*;
use crate::executor::{CatchUpError, Executor, Taken};
use crate::store::{GenesisBlock, Store};

mod join;
mod lies;
mod measure;
mod sources;

/// When the ledgers of these tests begin.
const BEGIN: Millis = Millis(1_700_000_000_000);

/// From one block to the next.
const STEP: u64 = 100;

/// The network that every test is about, and the engine, which takes long to make.
struct World {
    genesis: Genesis,
    runtime: Arc<Runtime>,
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// The consensus key of a validator.
fn consensus_key(index: u8) -> SecretKey {
    secret(10 + index)
}

impl World {
    fn new() -> Self {
        let card = |i: u8| {
            let address = format!("127.0.0.1:{}", 7_400 + u16::from(i));
            MemberCard::sign(
                &format!("bank-{i}"),
                &consensus_key(i),
                secret(30 + i).public(),
                secret(50 + i).public(),
                address.parse().expect("an address"),
            )
            .expect("a card")
        };
        let registrar = GenesisAccount {
            name: "registrar".to_owned(),
            account: secret(1).account(),
            roles: vec![Role::Registrar],
        };
        let limits = ChainLimits {
            valid_for_ms_max: 2_000,
            ..ChainLimits::default()
        };
        let cards = (0..4).map(card).collect();
        let genesis = Genesis::new("net".to_owned(), BEGIN, limits, cards, vec![registrar]);
        let genesis = genesis.expect("a genesis");
        let runtime = Arc::new(Runtime::new(genesis.limits().clone()).expect("an engine"));
        Self { genesis, runtime }
    }

    /// An admission of an account of its own, valid at the time of block `height`.
    fn batch(&self, height: u64) -> Batch {
        let time = BEGIN.saturating_add(Millis(height * STEP));
        let mut seed = [9; 32];
        seed[..8].copy_from_slice(&height.to_le_bytes());
        let transaction = Transaction {
            chain: self.genesis.chain_id(),
            sender: secret(1).account(),
            salt: height,
            valid_until: time.saturating_add(Millis(1_500)),
            fuel_max: Fuel(1_000_000),
            call: Call::Admit {
                account: SecretKey::from_seed(&seed).account(),
                roles: Vec::new(),
            },
        };
        Batch {
            proposed_time: time,
            transactions: vec![transaction.sign(&secret(1))],
        }
    }

    fn id(&self, height: u64) -> TransactionId {
        self.batch(height).transactions[0].id()
    }

    /// Signed by a quorum.
    fn certify(&self, executor: &Executor) -> CheckpointCertificate {
        let statement = executor.statement();
        let bytes = statement.cosigned_bytes();
        let cosignature = |i: u8| Cosignature {
            validator: ValidatorIndex(u16::from(i)),
            signature: consensus_key(i).sign(&bytes),
        };
        CheckpointCertificate {
            cosignatures: (0..3).map(cosignature).collect(),
            statement,
        }
    }
}

/// One validator's ledger.
struct Ledger<'a> {
    world: &'a World,
    directory: tempfile::TempDir,
    store: Arc<Store>,
    executor: Executor,
    certificate: Option<CheckpointCertificate>,
}

fn open(world: &World, path: &Path) -> (Arc<Store>, Executor) {
    let chain = world.genesis.chain_id();
    let store = Arc::new(Store::open(path, chain).expect("whole"));
    let executor = Executor::new(
        chain,
        world.genesis.validators().clone(),
        Arc::clone(&world.runtime),
        Arc::clone(&store),
    );
    (store, executor)
}

impl<'a> Ledger<'a> {
    fn new(world: &'a World) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("ledger.redb");
        let state = world.genesis.initial_state();
        let leaves: std::collections::BTreeMap<_, _> = state
            .iter()
            .map(|(key, value)| (key_hash(key), value_hash(value)))
            .collect();
        let tree = StateTree::build(leaves);
        let header = world.genesis.genesis_block(tree.root(), tree.count());
        Store::create(&path, &GenesisBlock { header, state }).expect("a disk");
        let (store, executor) = open(world, &path);
        Self {
            world,
            directory,
            store,
            executor,
            certificate: None,
        }
    }

    /// With blocks up to `height`, each certified.
    fn with_blocks(world: &'a World, height: u64) -> Self {
        let mut ledger = Self::new(world);
        ledger.execute_up_to(height);
        ledger
    }

    fn execute_up_to(&mut self, height: u64) {
        for height in self.tip() + 1..=height {
            self.executor
                .execute(&self.world.batch(height))
                .expect("a disk");
            let certificate = self.world.certify(&self.executor);
            self.executor.keep_certificate(certificate.clone());
            self.certificate = Some(certificate);
        }
    }

    fn tip(&self) -> u64 {
        self.executor.tip().height.0
    }

    fn answer(&self, offers: &Offers, request: &SnapshotRequest) -> Option<SnapshotPart> {
        let newest = self.certificate.clone();
        let limits = self.world.genesis.limits();
        offers.answer(
            Millis(0),
            ValidatorIndex(9),
            request,
            (&self.store, newest),
            limits,
        )
    }

    fn take(&mut self, part: SnapshotPart) -> Result<Taken, CatchUpError> {
        self.executor.take(Answer::Snapshot(part))
    }

    /// Every part that `server` has for a ledger that ends at `above`, in order.
    fn parts(&self, above: u64) -> Vec<SnapshotPart> {
        let mut joiner = Ledger::with_blocks(self.world, above);
        let offers = Offers::default();
        let above = Height(above);
        let mut parts = Vec::new();
        let mut request = Some(SnapshotRequest::Offer { above });
        while let Some(asked) = request {
            let part = self.answer(&offers, &asked).expect("served");
            parts.push(part.clone());
            request = joiner.take(part).expect("an honest server").part;
        }
        parts
    }

    fn reopen(self) -> Self {
        let Self {
            world,
            directory,
            store,
            executor,
            certificate,
        } = self;
        drop((store, executor));
        let (store, executor) = open(world, &directory.path().join("ledger.redb"));
        Self {
            world,
            directory,
            store,
            executor,
            certificate,
        }
    }

    /// Checks that the state on disk is that of the newest header.
    fn check_state(&self) {
        let snapshot = self.store.read();
        let tip = snapshot.tip().header;
        assert_eq!(&tip, self.executor.tip());
        let tree = StateTree::build(snapshot.state_leaves());
        assert_eq!(
            (tree.root(), tree.count()),
            (tip.state_root, tip.state_count)
        );
    }
}
