//! Builds transactions: the salt is drawn, the end of validity follows from the node's time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    AccountId, Call, ChainId, ChainLimits, ContractId, Fuel, Millis, Role, SecretKey, Transaction,
};

use crate::ClientError;

/// A transaction lives at least this long unless the chain allows less.
const VALID_FOR_LEAST: Duration = Duration::from_secs(120);

/// The machine's clock.
#[must_use]
pub fn clock() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What a transaction declares unless told otherwise: a tenth of what the chain allows one (batches
/// are filled by what is declared, and a tenth covers a plain call), all of it where new code comes
/// with it (code is paid for by the byte, and rare).
#[must_use]
pub fn usual_fuel(limits: &ChainLimits, call: &Call) -> Fuel {
    let most = limits.transaction_fuel_max;
    match call {
        Call::Deploy { .. } | Call::Upgrade { .. } => Fuel(most),
        _ => Fuel(most / 10),
    }
}

/// What a chain demands of every transaction: learnt once, good for many.
#[derive(Debug, Clone)]
pub struct TransactionBuilder {
    chain: ChainId,
    limits: ChainLimits,
    valid_for: Duration,
    /// None: it depends on what is asked.
    fuel_max: Option<Fuel>,
}

impl TransactionBuilder {
    /// A builder for the chain. Until told otherwise, a transaction may burn [`usual_fuel`], and is
    /// valid for two minutes.
    #[must_use]
    pub fn new(chain: ChainId, limits: ChainLimits) -> Self {
        Self {
            chain,
            limits,
            valid_for: VALID_FOR_LEAST,
            fuel_max: None,
        }
    }

    /// Declares other fuel.
    #[must_use]
    pub fn fuel_max(mut self, fuel: Fuel) -> Self {
        self.fuel_max = Some(fuel);
        self
    }

    /// Makes transactions valid for at least twice as long as somebody waits for them.
    #[must_use]
    pub fn patience(mut self, timeout: Duration) -> Self {
        self.valid_for = VALID_FOR_LEAST.max(timeout.saturating_mul(2));
        self
    }

    /// The limits of the chain.
    #[must_use]
    pub fn limits(&self) -> &ChainLimits {
        &self.limits
    }

    /// The end of validity of what is made now: ahead of the later of block time and clock, and
    /// never further ahead of block time than the chain allows.
    #[must_use]
    pub fn valid_until(&self, block_time: Millis, clock: Millis) -> Millis {
        let valid_for = Millis(u64::try_from(self.valid_for.as_millis()).unwrap_or(u64::MAX));
        let latest = block_time.saturating_add(Millis(self.limits.valid_for_ms_max));
        block_time.max(clock).saturating_add(valid_for).min(latest)
    }

    /// Signs `call` with `key`, valid from now on.
    ///
    /// # Errors
    /// [`ClientError::NoRandomness`].
    pub fn sign(
        &self,
        key: &SecretKey,
        block_time: Millis,
        call: Call,
    ) -> Result<SignedTransaction, ClientError> {
        let salt = getrandom::u64().map_err(|error| ClientError::NoRandomness {
            reason: error.to_string(),
        })?;
        let transaction = Transaction {
            chain: self.chain,
            sender: key.account(),
            salt,
            valid_until: self.valid_until(block_time, clock()),
            fuel_max: self
                .fuel_max
                .unwrap_or_else(|| usual_fuel(&self.limits, &call)),
            call,
        };
        Ok(transaction.sign(key))
    }

    /// A call of a contract's method; `args` is SCALE in schema order.
    #[must_use]
    pub fn invoke(contract: ContractId, method: &str, args: Vec<u8>) -> Call {
        Call::Invoke {
            contract,
            method: method.to_owned(),
            args,
        }
    }

    /// An admission; the roles are put in order.
    #[must_use]
    pub fn admit(account: AccountId, mut roles: Vec<Role>) -> Call {
        roles.sort_unstable();
        roles.dedup();
        Call::Admit { account, roles }
    }
}

#[cfg(test)]
mod tests {
    use chancery_ledger::Upgraders;

    use super::*;

    fn builder() -> TransactionBuilder {
        TransactionBuilder::new(ChainId([1; 32]), ChainLimits::default())
    }

    #[test]
    fn validity_starts_at_the_later_of_block_time_and_clock() {
        let two_minutes = 120_000;
        let cases = [
            (1_000_000, 900_000, 1_000_000),
            (1_000_000, 1_002_000, 1_002_000),
        ];
        for (block, clock, from) in cases {
            let until = builder().valid_until(Millis(block), Millis(clock));
            assert_eq!(until, Millis(from + two_minutes));
        }
    }

    #[test]
    fn validity_never_exceeds_what_the_chain_allows() {
        let latest = Millis(ChainLimits::default().valid_for_ms_max);
        let fast_clock = builder().valid_until(Millis(0), Millis(86_400_000));
        assert_eq!(fast_clock, latest);
        let patient = builder().patience(Duration::MAX);
        assert_eq!(patient.valid_until(Millis(0), Millis(0)), latest);
    }

    #[test]
    fn new_code_may_burn_all_there_is_unless_told_otherwise() {
        let key = SecretKey::from_seed(&[7; 32]);
        let most = ChainLimits::default().transaction_fuel_max;
        let fuel = |builder: TransactionBuilder, call: &Call| {
            let signed = builder.sign(&key, Millis(5), call.clone());
            signed.expect("random").transaction.fuel_max
        };
        let invocation = TransactionBuilder::invoke(ContractId([1; 32]), "f", Vec::new());
        let deployment = Call::Deploy {
            code: Vec::new(),
            upgraders: Upgraders::nobody(),
            args: Vec::new(),
        };
        assert_eq!(fuel(builder(), &invocation), Fuel(most / 10));
        assert_eq!(fuel(builder(), &deployment), Fuel(most));
        assert_eq!(fuel(builder().fuel_max(Fuel(7)), &deployment), Fuel(7));
    }

    #[test]
    fn equal_requests_have_different_ids() {
        let key = SecretKey::from_seed(&[7; 32]);
        let call = TransactionBuilder::admit(key.account(), vec![Role::Deployer, Role::Registrar]);
        let sign = || {
            builder()
                .sign(&key, Millis(5), call.clone())
                .expect("random")
        };
        assert_ne!(sign().id(), sign().id());
        assert!(matches!(&call, Call::Admit { roles, .. } if roles.is_sorted()));
    }
}
