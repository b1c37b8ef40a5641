//! The ledger that whole nodes make: a genesis document with real member cards, and signed
//! transactions for the data-access contract and the built-in calls. One for each shape of a
//! cluster, made once; all of them share one Wasm runtime, with what it has compiled.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use chancery_consensus::Context;
use chancery_genesis::{Genesis, GenesisAccount, MemberCard};
use chancery_ledger::policy::Policy;
use chancery_ledger::transaction::{Role, SignedTransaction};
use chancery_ledger::{
    AccountId, Call, ContractId, Fuel, Hash, Millis, SecretKey, Transaction, Upgraders, Verified,
};
use chancery_node::assemble::genesis_block;
use chancery_node::store::GenesisBlock;
use chancery_runtime::Runtime;
use chancery_simulation::fixture::{self, START_MS};
use parity_scale_codec::Encode as _;

/// Different transactions that clients have to submit.
const TRANSACTIONS: u64 = 192;

/// Accounts that are granted access, in turn.
const RECIPIENTS: u64 = 12;

/// A ledger at its beginning, and what clients submit to it.
#[derive(Debug)]
pub struct Ledger {
    /// Its document.
    pub genesis: Genesis,
    /// Its first block.
    pub first: GenesisBlock,
    /// What an auditor trusts.
    pub policy: Policy,
    /// Runs its contracts; shared by all validators, and by all ledgers.
    pub runtime: Arc<Runtime>,
    /// What clients hand in, one after the other.
    pub load: Vec<Arc<Verified<SignedTransaction>>>,
}

impl Ledger {
    /// The ledger of so many validators.
    ///
    /// # Panics
    /// If the contract was not built (`scripts/build-contracts`).
    #[must_use]
    pub fn of(validators: u16, window: u32, heartbeat_ms: u64) -> Arc<Self> {
        static MADE: Mutex<BTreeMap<(u16, u32, u64), Arc<Ledger>>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (validators, window, heartbeat_ms);
        let new = || Arc::new(Self::new(validators, window, heartbeat_ms));
        Arc::clone(made.entry(key).or_insert_with(new))
    }

    fn new(validators: u16, window: u32, heartbeat_ms: u64) -> Self {
        let mut limits = fixture::limits(window);
        limits.heartbeat_ms = heartbeat_ms;
        let cards = (0..validators).map(card).collect();
        let account = |name: &str, kind, roles| GenesisAccount {
            name: name.to_owned(),
            account: key(kind, 0).account(),
            roles,
        };
        let accounts = vec![
            account("hospital", HOSPITAL, vec![Role::Deployer]),
            account("registrar", REGISTRAR, vec![Role::Registrar]),
        ];
        let time = Millis(START_MS);
        let genesis = Genesis::new("simulated".to_owned(), time, limits, cards, accounts)
            .expect("a genesis within all rules");
        Self {
            first: genesis_block(&genesis),
            policy: Policy::of_validators(genesis.chain_id(), genesis.validators()),
            runtime: runtime(),
            load: load(&genesis),
            genesis,
        }
    }

    /// What messages are verified against.
    #[must_use]
    pub fn context(&self) -> Context {
        Context {
            chain: self.genesis.chain_id(),
            validators: self.genesis.validators().clone(),
            window_slots: self.genesis.limits().window_slots,
        }
    }
}

/// The contract as `scripts/build-contracts` builds it.
fn contract() -> &'static [u8] {
    static CODE: OnceLock<Vec<u8>> = OnceLock::new();
    CODE.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("../target/contracts/data_access.wasm");
        std::fs::read(&path).unwrap_or_else(|error| {
            panic!("{}: {error}: run scripts/build-contracts", path.display())
        })
    })
}

/// What contracts may do does not depend on the cluster.
fn runtime() -> Arc<Runtime> {
    static MADE: OnceLock<Arc<Runtime>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        Arc::new(Runtime::new(fixture::limits(1)).expect("the engine starts on this machine"))
    });
    Arc::clone(made)
}

const HOSPITAL: u8 = 180;
const REGISTRAR: u8 = 181;
const RECIPIENT: u8 = 182;
const NETWORK: u8 = 200;
const LOG: u8 = 201;

fn key(kind: u8, number: u16) -> SecretKey {
    let mut seed = [kind; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed)
}

/// The key by which the node of that validator signs notes.
pub(super) fn log_key(index: u16) -> SecretKey {
    key(LOG, index)
}

fn card(index: u16) -> MemberCard {
    let address = format!("127.0.0.1:{}", 7_000 + index);
    let card = MemberCard::sign(
        &format!("validator-{index}"),
        &fixture::consensus_key(index),
        key(NETWORK, index).public(),
        log_key(index).public(),
        address.parse().expect("an address"),
    );
    card.expect("a card within all rules")
}

/// First the contract's deployment, then grants, revocations and admissions.
fn load(genesis: &Genesis) -> Vec<Arc<Verified<SignedTransaction>>> {
    let deployment = Call::Deploy {
        code: contract().to_vec(),
        upgraders: Upgraders::nobody(),
        args: Hash([5; 32]).0.encode(),
    };
    let deployment = transaction(genesis, HOSPITAL, 0, deployment);
    let contract = ContractId::of_deployment(deployment.id());
    let rest = (1..TRANSACTIONS).map(|number| {
        let recipient = recipient(number % RECIPIENTS);
        let (kind, call) = match number % 8 {
            3 => {
                let account = key(RECIPIENT, 100 + u16::try_from(number).expect("few")).account();
                let roles = Vec::new();
                (REGISTRAR, Call::Admit { account, roles })
            }
            6 => (
                HOSPITAL,
                invoke(contract, "revoke_access", recipient.encode()),
            ),
            _ => {
                // Some are over before they are executed, and are refused.
                let expires_at = Millis(START_MS + number * 300);
                let args = (recipient, expires_at).encode();
                (HOSPITAL, invoke(contract, "grant_access", args))
            }
        };
        transaction(genesis, kind, number, call)
    });
    std::iter::once(deployment.clone()).chain(rest).collect()
}

fn recipient(number: u64) -> AccountId {
    key(RECIPIENT, u16::try_from(number).expect("few")).account()
}

fn invoke(contract: ContractId, method: &str, args: Vec<u8>) -> Call {
    Call::Invoke {
        contract,
        method: method.to_owned(),
        args,
    }
}

fn transaction(
    genesis: &Genesis,
    sender: u8,
    salt: u64,
    call: Call,
) -> Arc<Verified<SignedTransaction>> {
    let key = key(sender, 0);
    let limits = genesis.limits();
    // Deploying is paid by the byte.
    let fuel_max = match call {
        Call::Deploy { .. } => Fuel(200_000_000),
        _ => Fuel(50_000_000),
    };
    let transaction = Transaction {
        chain: genesis.chain_id(),
        sender: key.account(),
        salt,
        // No campaign's seed lasts that long.
        valid_until: Millis(START_MS + limits.valid_for_ms_max / 2),
        fuel_max,
        call,
    };
    let signed = transaction.sign(&key);
    let verified = signed.verify(genesis.chain_id(), limits);
    Arc::new(verified.expect("it was just signed"))
}
