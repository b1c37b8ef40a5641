//! Programs that a generator wrote: each is refused by the check, or runs to receipts that two
//! runtimes agree on. `CHANCERY_GENERATED=10000` has more of them made.

mod common;

use std::sync::Arc;

use chancery_generated::modules;
use chancery_ledger::{Call, ChainLimits, Receipt, Status, TrapKind, Upgraders};
use chancery_runtime::Runtime;
use common::{Ledger, ROOT, account, invocation, prices};

/// What running may cost; loops without end are common.
const FUEL: u64 = 3_000_000;

/// Deploys it, calls it twice, asks its view, and upgrades it to itself.
fn receipts(runtime: &Arc<Runtime>, code: &[u8]) -> Vec<Receipt> {
    let mut ledger = Ledger::on(Arc::clone(runtime));
    // A function has four bytes at least.
    let per_byte = prices().deploy_per_byte + prices().deploy_per_function / 4;
    let fuel = FUEL + prices().deploy + 2 * per_byte * code.len() as u64;
    let deploy = Call::Deploy {
        code: code.to_vec(),
        upgraders: Upgraders::of(1, vec![account(ROOT)]),
        args: vec![1, 2, 3],
    };
    let deployed = ledger.one(ROOT, fuel, deploy);
    let Some(contract) = deployed.contract else {
        return vec![deployed];
    };
    let mut receipts = vec![deployed];
    for (method, args) in [("run", vec![]), ("run", vec![0xff; 100]), ("see", vec![7])] {
        receipts.push(ledger.one(ROOT, FUEL, invocation(contract, method, args)));
    }
    let upgrade = Call::Upgrade {
        contract,
        version: 1,
        code: code.to_vec(),
        args: vec![4],
    };
    receipts.push(ledger.one(ROOT, fuel, upgrade));
    receipts
}

#[test]
fn generated_modules_are_refused_or_run_alike_everywhere() {
    let limits = ChainLimits::default();
    let runtimes = [(), ()].map(|()| Arc::new(Runtime::new(limits.clone()).expect("starts")));
    let (mut refused, mut returned, mut trapped) = (0, 0, 0);
    for (number, code) in modules().enumerate() {
        let [one, two] = runtimes.each_ref().map(|runtime| receipts(runtime, code));
        assert_eq!(one, two, "module {number}");
        let was_refused = Runtime::check_module(&limits, code).is_err();
        let kind = TrapKind::ModuleRefused;
        assert_eq!(
            one[0].status == Status::Trapped { kind },
            was_refused,
            "module {number}"
        );
        refused += usize::from(was_refused);
        for receipt in &one {
            match receipt.status {
                Status::Applied { .. } | Status::Reverted { .. } => returned += 1,
                Status::Trapped { kind } if kind != TrapKind::ModuleRefused => trapped += 1,
                Status::Trapped { .. } => {}
            }
        }
    }
    let all = modules().count();
    println!("{all} modules: {refused} refused; {returned} runs returned, {trapped} trapped");
    assert!(refused < all * 3 / 4 && returned > all && trapped > all / 10);
}
