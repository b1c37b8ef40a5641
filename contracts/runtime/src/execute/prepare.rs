//! Compiling ahead of execution; what is compiled is decided as a deployment or an upgrade is.

use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Batch, Call, Transaction, TrapKind};

use super::upgrade::Upgrade;
use super::{Executor, Meter, admissible, taking_in};
use crate::module::Checked;

impl Executor {
    /// Compiles the code that a batch brings, as far as executing each transaction on this state
    /// would come to that.
    pub(crate) fn prepare(&self, batch: &Batch) {
        let view = self.overlay();
        for signed in &batch.transactions {
            let is_admitted = admissible(
                self.limits(),
                self.world().context.time,
                signed,
                |id| view.was_admitted(id),
                |key| view.get(key),
            );
            if is_admitted.is_ok()
                && let Ok(Some((wasm, checked))) = self.code_of(signed)
            {
                self.engine.prepare(wasm, &checked);
            }
        }
    }

    /// The code that a transaction brings, judged; what it costs up to there it must have.
    fn code_of<'a>(
        &self,
        signed: &'a SignedTransaction,
    ) -> Result<Option<(&'a [u8], Checked)>, TrapKind> {
        let Transaction {
            sender,
            fuel_max,
            call,
            ..
        } = &signed.transaction;
        let mut meter = Meter {
            most: fuel_max.0,
            used: taking_in(self.prices(), signed),
        };
        let wasm = match call {
            Call::Deploy {
                code, upgraders, ..
            } => {
                self.may_deploy(*sender, upgraders, &mut meter)?;
                code
            }
            Call::Upgrade {
                contract,
                version,
                code,
                args,
            } => {
                let upgrade = Upgrade {
                    contract: *contract,
                    version: *version,
                    wasm: code,
                    args,
                };
                self.may_upgrade(*sender, &upgrade, &mut meter)?;
                code
            }
            Call::Invoke { .. } | Call::Admit { .. } | Call::ApproveUpgrade { .. } => {
                return Ok(None);
            }
        };
        let checked = self.check(wasm, &mut meter)?;
        Ok(Some((wasm, checked)))
    }
}
