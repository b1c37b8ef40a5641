//! What every seed shares: keys, validator sets and signed transactions. Made once, because
//! signatures are what costs.

use std::sync::{Arc, OnceLock};

use chancery_ledger::checkpoint::CheckpointStatement;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    Call, ChainId, ChainLimits, ContractId, Epoch, Fuel, Hash, Height, Millis, SecretKey,
    Transaction, Validator, ValidatorSet, Verified,
};

/// The ledger that is simulated.
pub const CHAIN: ChainId = ChainId([7; 32]);

/// The wall clock at virtual time 0, in ms since the Unix epoch.
pub const START_MS: u64 = 1_800_000_000_000;

/// Sets of 1 to so many validators are made.
pub const VALIDATORS_MAX: u16 = 13;

/// Different transactions that clients have to submit.
const TRANSACTIONS: u64 = 192;

/// Validator `index`'s consensus key.
///
/// # Panics
/// For more than 100 validators.
#[must_use]
pub fn consensus_key(index: u16) -> SecretKey {
    let byte = u8::try_from(index).expect("few validators");
    SecretKey::from_seed(&[byte + 1; 32])
}

/// The set of `count` validators.
///
/// # Panics
/// If `count` is 0 or above [`VALIDATORS_MAX`].
#[must_use]
pub fn validators(count: u16) -> ValidatorSet {
    static SETS: OnceLock<Vec<ValidatorSet>> = OnceLock::new();
    let sets = SETS.get_or_init(|| (1..=VALIDATORS_MAX).map(make_validators).collect());
    let set = sets.get(usize::from(count) - 1);
    set.expect("at most VALIDATORS_MAX").clone()
}

fn make_validators(count: u16) -> ValidatorSet {
    let other_key = |index: u16, kind: u8| {
        let mut seed = [kind; 32];
        seed[0] = u8::try_from(index).expect("few validators");
        SecretKey::from_seed(&seed).public()
    };
    let validators = (0..count)
        .map(|index| Validator {
            name: format!("validator-{index}"),
            consensus_key: consensus_key(index).public(),
            network_key: other_key(index, 200),
            log_key: other_key(index, 201),
        })
        .collect();
    ValidatorSet::new(Epoch(0), validators).expect("names and keys differ")
}

/// The chain's limits with that window. Blocks are made often, so that little is waited for.
#[must_use]
pub fn limits(window_slots: u32) -> ChainLimits {
    ChainLimits {
        window_slots,
        batch_transactions_max: 4,
        clock_drift_ms_max: 2_000,
        ..ChainLimits::default()
    }
}

/// The statement about the ledger before its first block.
#[must_use]
pub fn genesis() -> CheckpointStatement {
    CheckpointStatement::new(CHAIN, Height(0), Hash([0; 32]), Millis(START_MS))
}

/// What clients submit, one after the other.
#[must_use]
pub fn transactions() -> &'static [Arc<Verified<SignedTransaction>>] {
    static MADE: OnceLock<Vec<Arc<Verified<SignedTransaction>>>> = OnceLock::new();
    MADE.get_or_init(|| (0..TRANSACTIONS).map(make_transaction).collect())
}

fn make_transaction(salt: u64) -> Arc<Verified<SignedTransaction>> {
    let key = SecretKey::from_seed(&[222; 32]);
    let limits = limits(1);
    let transaction = Transaction {
        chain: CHAIN,
        sender: key.account(),
        salt,
        // No campaign's seed lasts that long.
        valid_until: Millis(START_MS + limits.valid_for_ms_max / 2),
        fuel_max: Fuel(1),
        call: Call::Invoke {
            contract: ContractId([1; 32]),
            method: "note".to_owned(),
            args: Vec::new(),
        },
    };
    let signed = transaction.sign(&key);
    Arc::new(signed.verify(CHAIN, &limits).expect("it was just signed"))
}
