//! Upgrades and their approvals; the rules are those of [`chancery_ledger::upgrade`].

use chancery_contract::abi;
use chancery_ledger::state_key::{AccountRecord, ContractRecord, StateKey};
use chancery_ledger::{
    AccountId, CodeHash, ContractId, Status, TrapKind, UpgradeApproval, Upgraders,
};
use parity_scale_codec::Encode;

use super::{Executor, Meter};
use crate::world::stored;

/// What is asked for, whoever asks.
pub(super) struct Upgrade<'a> {
    pub(super) contract: ContractId,
    /// The version that is replaced.
    pub(super) version: u32,
    pub(super) wasm: &'a [u8],
    pub(super) args: &'a [u8],
}

impl Executor {
    /// Checks that everybody on the list could sign a transaction.
    pub(super) fn check_upgraders(
        &self,
        upgraders: &Upgraders,
        meter: &mut Meter,
    ) -> Result<(), TrapKind> {
        for account in &upgraders.accounts {
            meter.charge(self.prices().storage_read)?;
            let record = self.overlay().get(&StateKey::Account(*account).to_bytes());
            let _: AccountRecord = record.map(stored).ok_or(TrapKind::UnknownUpgrader)?;
        }
        Ok(())
    }

    /// The contract, if `sender` may upgrade it.
    fn upgradable(
        &self,
        sender: AccountId,
        contract: ContractId,
        meter: &mut Meter,
    ) -> Result<ContractRecord, TrapKind> {
        meter.charge(self.prices().storage_read)?;
        let record = self.overlay().get(&StateKey::Contract(contract).to_bytes());
        let record: ContractRecord = record.map(stored).ok_or(TrapKind::UnknownContract)?;
        if !record.upgraders.contains(&sender) {
            return Err(TrapKind::MayNotUpgrade);
        }
        Ok(record)
    }

    pub(super) fn approve_upgrade(
        &mut self,
        sender: AccountId,
        contract: ContractId,
        approval: Option<&UpgradeApproval>,
        meter: &mut Meter,
    ) -> Result<Status, TrapKind> {
        let record = self.upgradable(sender, contract, meter)?;
        let key = StateKey::Approval(contract, sender);
        match approval {
            Some(approval) if approval.version != record.version => {
                return Err(TrapKind::WrongVersion);
            }
            Some(approval) => self.write(key, approval.encode(), meter)?,
            None => {
                meter.charge(self.prices().storage_write)?;
                self.overlay_mut().remove(key.to_bytes());
            }
        }
        Ok(Status::Applied { value: Vec::new() })
    }

    /// The contract as it is, if the upgrade may take its place.
    pub(super) fn may_upgrade(
        &self,
        sender: AccountId,
        upgrade: &Upgrade<'_>,
        meter: &mut Meter,
    ) -> Result<ContractRecord, TrapKind> {
        let record = self.upgradable(sender, upgrade.contract, meter)?;
        if upgrade.version != record.version {
            return Err(TrapKind::WrongVersion);
        }
        self.check_approvals(sender, &record.upgraders, upgrade, meter)?;
        Ok(record)
    }

    pub(super) fn upgrade(
        &mut self,
        sender: AccountId,
        upgrade: &Upgrade<'_>,
        meter: &mut Meter,
    ) -> Result<Status, TrapKind> {
        let contract = upgrade.contract;
        let record = self.may_upgrade(sender, upgrade, meter)?;
        let (compiled, load_fuel) = self.judge(upgrade.wasm, meter)?;
        let next = record.version.checked_add(1);
        let record = ContractRecord {
            code: CodeHash::of(upgrade.wasm),
            version: next.ok_or(TrapKind::WrongVersion)?,
            load_fuel,
            ..record
        };
        self.write_contract(contract, &record, upgrade.wasm, meter)?;
        self.run_once(
            &compiled,
            abi::MIGRATE,
            contract,
            sender,
            upgrade.args,
            meter,
        )
    }

    /// Checks that enough of the list agree: the sender does, and whoever approved of the very same.
    fn check_approvals(
        &self,
        sender: AccountId,
        upgraders: &Upgraders,
        upgrade: &Upgrade<'_>,
        meter: &mut Meter,
    ) -> Result<(), TrapKind> {
        // Hashing is paid for with the bytes of the transaction.
        let wanted = UpgradeApproval::of(upgrade.version, upgrade.wasm, upgrade.args);
        let mut agreeing = 0_u32;
        for account in &upgraders.accounts {
            meter.charge(self.prices().storage_read)?;
            let key = StateKey::Approval(upgrade.contract, *account).to_bytes();
            let approved: Option<UpgradeApproval> = self.overlay().get(&key).map(stored);
            if *account == sender || approved == Some(wanted) {
                agreeing += 1;
            }
        }
        if agreeing < upgraders.quorum {
            return Err(TrapKind::NotApproved);
        }
        Ok(())
    }
}
