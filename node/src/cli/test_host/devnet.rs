//! Four validators for the life of one test, in a directory of their own.
//!
//! The accounts of tests are hashes of names, which nobody has a key for. Each gets one here, and
//! its bytes are exchanged wherever they stand in what goes to the ledger and what comes from it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chancery_client::TransactionBuilder;
use chancery_client::api::{Outcome, TransactionInfo};
use chancery_contract::abi;
use chancery_contract::test_host::{Ending, Moment, Seen};
use chancery_ledger::hash::sha256;
use chancery_ledger::{AccountId, Call, ContractId, Role, SecretKey, Upgraders};

use super::{Failure, NOT_DEPLOYED, any_of, emitted, in_words, trapped};
use crate::cli::args::Global;
use crate::cli::context::{Context, block_on};
use crate::cli::keys::REGISTRAR;
use crate::cli::submit::Session;
use crate::cli::{CliError, Output};
use crate::devnet::{DevnetCommand, DirArgs, StartArgs, command};

const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct OnDevnet {
    directory: PathBuf,
    context: Context,
    registrar: SecretKey,
    wasm: Vec<u8>,
    contract: Option<ContractId>,
    /// Of what is deployed from now on.
    upgraders: Upgraders,
    moment: Moment,
    accounts: BTreeMap<AccountId, Account>,
    /// From the account of a key to that of the test.
    names: BTreeMap<AccountId, AccountId>,
}

struct Account {
    seed: [u8; 32],
    roles: Option<Vec<Role>>,
}

impl Account {
    fn key(&self) -> SecretKey {
        SecretKey::from_seed(&self.seed)
    }
}

impl OnDevnet {
    pub(super) fn start(wasm: Vec<u8>, limits_of: Option<PathBuf>) -> Result<Self, CliError> {
        let name = format!("chancery-test-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let start = StartArgs {
            dir: directory.clone(),
            validators: None,
            base_port: None,
            limits_of,
            detach: true,
        };
        command(Output::new(true), DevnetCommand::Start(start))?;
        let global = Global {
            json: true,
            devnet: Some(directory.clone()),
            api: Vec::new(),
            timeout: TIMEOUT,
        };
        let context = Context::new(global, Output::new(true), Vec::new());
        let moment = newest(&context)?;
        Ok(Self {
            registrar: context.keys()?.load(REGISTRAR)?,
            directory,
            context,
            wasm,
            contract: None,
            upgraders: Upgraders::nobody(),
            moment,
            accounts: BTreeMap::new(),
            names: BTreeMap::new(),
        })
    }

    pub(super) fn moment(&self) -> Moment {
        self.moment
    }

    /// The newest block now, as one validator knows it.
    pub(super) fn newest(&self) -> Result<Moment, Failure> {
        newest(&self.context).map_err(in_words)
    }

    /// Gives keys to accounts that have none.
    pub(super) fn name(&mut self, accounts: impl Iterator<Item = AccountId>) {
        for account in accounts {
            self.account(account);
        }
    }

    fn account(&mut self, account: AccountId) -> &mut Account {
        let names = &mut self.names;
        self.accounts.entry(account).or_insert_with(|| {
            let seed = sha256(&account.0).0;
            let new = Account { seed, roles: None };
            names.insert(new.key().account(), account);
            new
        })
    }

    pub(super) fn admit(&mut self, account: AccountId, roles: Vec<Role>) -> Result<(), Failure> {
        let named = self.account(account);
        let call = TransactionBuilder::admit(named.key().account(), roles.clone());
        let info = self.send(&self.registrar, call)?;
        match info.receipt.map(|receipt| receipt.outcome) {
            Some(Outcome::Applied { .. }) => {
                self.account(account).roles = Some(roles);
                Ok(())
            }
            other => Err(format!("an account was not admitted: {other:?}")),
        }
    }

    pub(super) fn set_upgraders(&mut self, accounts: impl Iterator<Item = AccountId>) {
        let keys: Vec<AccountId> = accounts
            .map(|account| self.account(account).key().account())
            .collect();
        self.upgraders = any_of(keys.into_iter());
    }

    fn send(&self, key: &SecretKey, call: Call) -> Result<TransactionInfo, Failure> {
        block_on(async {
            let session = Session::open(&self.context).await?;
            let sent = session.transact(&self.context, key, call, None);
            sent.await
        })
        .map_err(in_words)
    }

    /// Sends one transaction; it calls the contract under test, unless another is named.
    pub(super) fn transact(
        &mut self,
        sender: AccountId,
        contract: Option<ContractId>,
        method: &str,
        args: &[u8],
    ) -> Result<Seen, Failure> {
        let info = if contract.is_none() && method == abi::INIT {
            self.deploy_tested(sender, args)?
        } else {
            let contract = match contract {
                Some(contract) => contract,
                None => self.deployed(sender)?,
            };
            let args = self.to_ledger(args);
            let call = TransactionBuilder::invoke(contract, method, args);
            let key = self.account(sender).key();
            self.send(&key, call)?
        };
        self.seen(info)
    }

    /// Deploys another module.
    pub(super) fn add(
        &mut self,
        sender: AccountId,
        code: Vec<u8>,
        args: &[u8],
    ) -> Result<Seen, Failure> {
        let info = self.deploy(sender, code, args)?;
        self.seen(info)
    }

    /// Puts other code in the place of a contract's.
    pub(super) fn upgrade(
        &mut self,
        sender: AccountId,
        contract: Option<ContractId>,
        code: Vec<u8>,
        args: &[u8],
    ) -> Result<Seen, Failure> {
        let contract = contract.or(self.contract).ok_or(NOT_DEPLOYED)?;
        let call = Call::Upgrade {
            contract,
            version: self.version(contract)?,
            code,
            args: self.to_ledger(args),
        };
        let key = self.account(sender).key();
        let info = self.send(&key, call)?;
        let version = self.version(contract)?;
        let seen = self.seen(info)?;
        Ok(Seen {
            version: Some(version),
            ..seen
        })
    }

    fn version(&self, contract: ContractId) -> Result<u32, Failure> {
        let info = block_on(async {
            let client = self.context.client()?;
            Ok(client.contract(contract).await?)
        });
        Ok(info.map_err(in_words)?.version)
    }

    fn seen(&mut self, info: TransactionInfo) -> Result<Seen, Failure> {
        let (Some(receipt), Some(height), Some(time)) =
            (info.receipt, info.height, info.block_time_ms)
        else {
            return Err("the node calls a transaction final that has no receipt".to_owned());
        };
        self.moment = Moment {
            time: chancery_contract::Millis(time.0),
            height: height.0,
        };
        let events = receipt.events.into_iter();
        let contract = receipt.contract;
        Ok(Seen {
            ending: self.ending(&receipt.outcome),
            contract: contract.map(|contract| chancery_contract::ContractId(contract.0)),
            version: None,
            fuel_used: receipt.fuel_used.0,
            events: events
                .map(|event| {
                    let data = self.to_test(&event.data.0);
                    emitted(event.contract, event.topic, data)
                })
                .collect(),
            logs: Vec::new(),
            storage: None,
            moment: self.moment,
        })
    }

    pub(super) fn query(
        &mut self,
        contract: Option<ContractId>,
        method: &str,
        args: &[u8],
    ) -> Result<Seen, Failure> {
        let contract = contract.or(self.contract).ok_or(NOT_DEPLOYED)?;
        let args = self.to_ledger(args);
        let answer = block_on(async {
            let client = self.context.client()?;
            Ok(client.query(contract, method, args).await?)
        });
        let answer = answer.map_err(in_words)?;
        Ok(Seen {
            ending: self.ending(&answer.outcome),
            contract: None,
            version: None,
            fuel_used: answer.fuel_used.0,
            events: Vec::new(),
            logs: Vec::new(),
            storage: None,
            moment: self.moment,
        })
    }

    /// The contract; one without an `init` is deployed when it is first called.
    fn deployed(&mut self, sender: AccountId) -> Result<ContractId, Failure> {
        if let Some(contract) = self.contract {
            return Ok(contract);
        }
        let receipt = self.deploy_tested(sender, &[])?.receipt;
        self.contract
            .ok_or_else(|| format!("the module cannot be deployed without its `init`: {receipt:?}"))
    }

    fn deploy_tested(
        &mut self,
        sender: AccountId,
        args: &[u8],
    ) -> Result<TransactionInfo, Failure> {
        let info = self.deploy(sender, self.wasm.clone(), args)?;
        let receipt = info.receipt.as_ref();
        let contract = receipt.and_then(|receipt| match receipt.outcome {
            Outcome::Applied { .. } => receipt.contract,
            Outcome::Reverted { .. } | Outcome::Trapped { .. } => None,
        });
        self.contract = contract.or(self.contract);
        Ok(info)
    }

    /// Whoever deploys may do so, for as long as that takes.
    fn deploy(
        &mut self,
        sender: AccountId,
        code: Vec<u8>,
        args: &[u8],
    ) -> Result<TransactionInfo, Failure> {
        let roles = self.account(sender).roles.clone().unwrap_or_default();
        self.admit(sender, vec![Role::Deployer])?;
        let call = Call::Deploy {
            code,
            upgraders: self.upgraders.clone(),
            args: self.to_ledger(args),
        };
        let key = self.account(sender).key();
        let info = self.send(&key, call)?;
        self.admit(sender, roles)?;
        Ok(info)
    }

    fn ending(&self, outcome: &Outcome) -> Ending {
        match outcome {
            Outcome::Applied { value } => Ending::Returned(self.to_test(&value.0)),
            Outcome::Reverted { code, .. } => Ending::Reverted(*code),
            Outcome::Trapped { kind } => trapped(*kind),
        }
    }

    fn to_ledger(&self, bytes: &[u8]) -> Vec<u8> {
        exchanged(bytes, |account| {
            Some(self.accounts.get(account)?.key().account())
        })
    }

    fn to_test(&self, bytes: &[u8]) -> Vec<u8> {
        exchanged(bytes, |account| self.names.get(account).copied())
    }
}

impl Drop for OnDevnet {
    fn drop(&mut self) {
        let dir = self.directory.clone();
        // The test is over; what remains is a directory for temporary files.
        let _ = command(Output::new(true), DevnetCommand::Stop(DirArgs { dir }));
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn newest(context: &Context) -> Result<Moment, CliError> {
    let status = block_on(async { Ok(context.client()?.status().await?) })?;
    Ok(Moment {
        time: chancery_contract::Millis(status.block_time_ms.0),
        height: status.height.0,
    })
}

/// The bytes, with other accounts in the place of those that have one.
fn exchanged(bytes: &[u8], other: impl Fn(&AccountId) -> Option<AccountId>) -> Vec<u8> {
    let mut done = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        let account = rest.first_chunk::<32>().map(|bytes| AccountId(*bytes));
        if let Some(account) = account.and_then(|account| other(&account)) {
            done.extend(account.0);
            rest = rest.get(32..).unwrap_or_default();
        } else {
            done.push(*first);
            rest = behind;
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_exchanged_wherever_they_stand() {
        let (ours, theirs) = (AccountId([7; 32]), AccountId([9; 32]));
        let other = |account: &AccountId| (*account == ours).then_some(theirs);
        let bytes = [&[1, 2][..], &ours.0, &[7; 31], &ours.0[..1], &[3]].concat();
        let expected = [&[1, 2][..], &theirs.0, &theirs.0, &[3]].concat();
        assert_eq!(exchanged(&bytes, other), expected);
        for untouched in [&[7; 31][..], &[], &[1; 80]] {
            assert_eq!(exchanged(untouched, other), untouched);
        }
    }
}
