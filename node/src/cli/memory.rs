//! A ledger in memory for one executor: blocks of one transaction, for which nobody votes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chancery_client::usual_fuel;
use chancery_contract::test_host::Moment;
use chancery_ledger::state_key::{AccountRecord, ContractRecord, StateKey};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    AccountId, Batch, Call, ChainId, ContractId, Height, Millis, Receipt, Role, SecretKey,
    Transaction, TransactionId,
};
use chancery_runtime::{BlockContext, ExecutedBatch, LedgerView, QueryOutcome, Runtime};
use parity_scale_codec::{Decode as _, Encode as _};

/// How long a transaction is valid: until the next block is enough.
const VALID_FOR_MS: u64 = 1_000;

#[derive(Debug, Clone, Default)]
struct State {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    admitted: BTreeSet<TransactionId>,
}

impl LedgerView for State {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(key).cloned()
    }

    fn was_admitted(&self, id: &TransactionId) -> bool {
        self.admitted.contains(id)
    }
}

/// Accounts, contracts, and what they store.
#[derive(Debug, Default)]
pub(super) struct MemoryLedger {
    state: Arc<State>,
    transactions: u64,
}

impl MemoryLedger {
    pub(super) fn admit(&mut self, account: AccountId, roles: Vec<Role>) {
        let record = AccountRecord { roles };
        let key = StateKey::Account(account).to_bytes();
        let entries = &mut Arc::make_mut(&mut self.state).entries;
        entries.insert(key, record.encode());
    }

    /// The roles of an account, if it is admitted.
    pub(super) fn roles(&self, account: AccountId) -> Option<Vec<Role>> {
        let record = self.state.get(&StateKey::Account(account).to_bytes())?;
        let record = AccountRecord::decode(&mut &record[..]);
        Some(record.expect("`admit` wrote it").roles)
    }

    /// The version of a contract, if there is one.
    pub(super) fn version(&self, contract: ContractId) -> Option<u32> {
        let record = self.state.get(&StateKey::Contract(contract).to_bytes())?;
        let record = ContractRecord::decode(&mut &record[..]);
        Some(record.expect("the executor wrote it").version)
    }

    /// A block of one transaction, which may burn what a client lets one burn unless told otherwise.
    pub(super) fn block(
        &mut self,
        runtime: &Runtime,
        sender: AccountId,
        call: Call,
        moment: Moment,
    ) -> Batch {
        self.transactions += 1;
        let transaction = Transaction {
            chain: ChainId::default(),
            sender,
            salt: self.transactions,
            valid_until: Millis(moment.time.0.saturating_add(VALID_FOR_MS)),
            fuel_max: usual_fuel(runtime.limits(), &call),
            call,
        };
        // The executor takes signatures as verified; the accounts here have no keys.
        let signature = SecretKey::from_seed(&[1; 32]).sign(&[]);
        let signed = SignedTransaction {
            transaction,
            signature,
        };
        Batch {
            proposed_time: Millis(moment.time.0),
            transactions: vec![signed],
        }
    }

    /// What the block would do; it can be executed as often as one likes.
    pub(super) fn execute(
        &self,
        runtime: &Runtime,
        block: &Batch,
        moment: Moment,
    ) -> ExecutedBatch {
        runtime.execute_batch(&context(moment), Arc::clone(&self.state) as _, block)
    }

    /// Does what a block did, and gives the receipt of its transaction; or the reason why it is in no
    /// block.
    pub(super) fn apply(&mut self, mut executed: ExecutedBatch) -> Result<Receipt, String> {
        let Some(receipt) = executed.receipts.pop() else {
            let dropped = executed.dropped.first();
            return Err(match dropped {
                Some((_, reason)) => format!("the transaction is in no block: {reason}"),
                None => "the transaction is in no block".to_owned(),
            });
        };
        let state = Arc::make_mut(&mut self.state);
        state.admitted.insert(receipt.transaction);
        for (key, value) in executed.changes {
            match value {
                Some(value) => state.entries.insert(key, value),
                None => state.entries.remove(&key),
            };
        }
        Ok(receipt)
    }

    pub(super) fn query(
        &self,
        runtime: &Runtime,
        contract: ContractId,
        method: &str,
        args: &[u8],
        moment: Moment,
    ) -> QueryOutcome {
        let view = Arc::clone(&self.state);
        runtime.query(&context(moment), view, contract, method, args)
    }

    /// What a contract stores, by its own keys.
    pub(super) fn storage(&self, contract: ContractId) -> Vec<(Vec<u8>, Vec<u8>)> {
        let prefix = StateKey::Storage(contract, &[]).to_bytes();
        let entries = self.state.entries.range(prefix.clone()..);
        entries
            .map_while(|(key, value)| {
                let key = key.strip_prefix(prefix.as_slice())?;
                Some((key.to_vec(), value.clone()))
            })
            .collect()
    }
}

fn context(moment: Moment) -> BlockContext {
    BlockContext {
        chain: ChainId::default(),
        height: Height(moment.height),
        time: Millis(moment.time.0),
    }
}
