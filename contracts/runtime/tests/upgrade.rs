//! Upgrades: who may, what it takes, what migrate may do, and that nothing is left of one that fails.

mod common;

use std::sync::Arc;

use chancery_ledger::state_key::{ContractRecord, StateKey, VersionRecord};
use chancery_ledger::{
    AccountId, Call, ChainLimits, CodeHash, ContractId, Fuel, Height, Receipt, Status,
    TransactionPlace, TrapKind, UpgradeApproval, Upgraders,
};
use chancery_runtime::Runtime;
use common::{
    FUEL, IMPORTS, Ledger, ROOT, account, deployment, invocation, module, prices, trap_of,
    value_of, wasm,
};
use parity_scale_codec::Decode as _;

/// The accounts that may upgrade, by seed; all of them are admitted, and so is [`STRANGER`].
const BOARD: [u8; 3] = [2, 3, 4];
const STRANGER: u8 = 9;

const SET: &str = "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))";
const RETURN: &str = "(call $return_value (i32.const 0) (i32.const 3))";

/// A module whose `call.run` returns `word` and whose `migrate`, if there is one, is `migrate`.
fn version(word: &str, migrate: Option<&str>) -> Vec<u8> {
    let migrate = migrate.map_or_else(String::new, |body| {
        format!("(func (export \"migrate\") {body})")
    });
    wasm(&format!(
        r#"(module {IMPORTS} (memory (export "memory") 2) (data (i32.const 0) "{word}")
            (func (export "call.run") {RETURN}) {migrate})"#
    ))
}

struct Chamber {
    ledger: Ledger,
    contract: ContractId,
}

impl Chamber {
    /// A contract of version 1 that says `one`, and that `quorum` of `board` may upgrade.
    fn new(quorum: u32, board: &[u8]) -> Self {
        let mut ledger = Ledger::new();
        for seed in BOARD.into_iter().chain([STRANGER]) {
            let admit = Call::Admit {
                account: account(seed),
                roles: Vec::new(),
            };
            value_of(&ledger.one(ROOT, FUEL, admit));
        }
        let code = wasm(&format!(
            r#"(module {IMPORTS} (memory (export "memory") 2) (data (i32.const 0) "one")
                (func (export "init") {SET}) (func (export "call.run") {RETURN}))"#
        ));
        let board = board.iter().map(|seed| account(*seed)).collect();
        let deploy = Call::Deploy {
            code,
            upgraders: Upgraders::of(quorum, board),
            args: Vec::new(),
        };
        let contract = ledger.one(ROOT, FUEL, deploy).contract;
        let contract = contract.expect("it is deployed");
        Self { ledger, contract }
    }

    fn call(&self, version: u32, code: &[u8], args: &[u8]) -> Call {
        Call::Upgrade {
            contract: self.contract,
            version,
            code: code.to_vec(),
            args: args.to_vec(),
        }
    }

    fn upgrade(&mut self, seed: u8, version: u32, code: &[u8], args: &[u8]) -> Receipt {
        let call = self.call(version, code, args);
        self.ledger.one(seed, FUEL, call)
    }

    fn approve(&mut self, seed: u8, version: u32, code: &[u8], args: &[u8]) -> Receipt {
        self.approves(seed, Some(UpgradeApproval::of(version, code, args)))
    }

    fn approves(&mut self, seed: u8, approval: Option<UpgradeApproval>) -> Receipt {
        let contract = self.contract;
        let call = Call::ApproveUpgrade { contract, approval };
        self.ledger.one(seed, FUEL, call)
    }

    /// Expects that it is refused by that name, costs all, and leaves nothing.
    fn refuses(&mut self, seed: u8, call: Call, expected: TrapKind) {
        let before = self.ledger.state.entries.clone();
        let receipt = self.ledger.one(seed, FUEL, call);
        assert_eq!(trap_of(&receipt), expected);
        assert_eq!(receipt.fuel_used, Fuel(FUEL));
        assert_eq!(receipt.contract, Some(self.contract));
        assert_eq!(self.ledger.state.entries, before);
    }

    fn refuses_upgrade(&mut self, seed: u8, version: u32, code: &[u8], expected: TrapKind) {
        let call = self.call(version, code, &[]);
        self.refuses(seed, call, expected);
    }

    fn record(&self) -> ContractRecord {
        let key = StateKey::Contract(self.contract).to_bytes();
        let bytes = &self.ledger.state.entries[&key];
        ContractRecord::decode(&mut &bytes[..]).expect("a record")
    }

    fn says(&mut self) -> String {
        let receipt = self.ledger.invoke(self.contract, "run", Vec::new());
        String::from_utf8(value_of(&receipt)).expect("text")
    }

    fn stored(&self) -> Option<&Vec<u8>> {
        let key = StateKey::Storage(self.contract, b"one").to_bytes();
        self.ledger.state.entries.get(&key)
    }

    fn has_code(&self, code: &[u8]) -> bool {
        let key = StateKey::Code(CodeHash::of(code)).to_bytes();
        self.ledger.state.entries.get(&key).map(Vec::as_slice) == Some(code)
    }
}

#[test]
fn one_account_upgrades_and_the_old_code_stays() {
    let mut chamber = Chamber::new(1, &[2]);
    let first = chamber.record();
    assert_eq!((first.version, first.deployer), (1, account(ROOT)));
    let two = version("two", None);
    let receipt = chamber.upgrade(2, 1, &two, &[]);
    assert_eq!(value_of(&receipt), b"");
    assert_eq!(receipt.contract, Some(chamber.contract));
    assert!(receipt.fuel_used.0 > two.len() as u64 * prices().deploy_per_byte);
    let second = chamber.record();
    assert_eq!((second.version, second.code), (2, CodeHash::of(&two)));
    let kept = (second.deployer, &second.upgraders);
    assert_eq!(kept, (first.deployer, &first.upgraders));
    assert_eq!(chamber.says(), "two");
    assert_eq!(chamber.stored(), Some(&b"one".to_vec()), "the state stays");
    assert!(chamber.has_code(&two));
    let old = StateKey::Code(first.code).to_bytes();
    assert!(chamber.ledger.state.entries.contains_key(&old));
    // Back again, and to the very same once more: each is an upgrade like any other.
    let one = chamber.ledger.state.entries[&old].clone();
    value_of(&chamber.upgrade(2, 2, &one, &[]));
    assert_eq!(chamber.says(), "one");
    value_of(&chamber.upgrade(2, 3, &one, &[]));
    assert_eq!(chamber.record().version, 4);
    // Calls pay for the code that there is now.
    let longer = version("one", Some(""));
    value_of(&chamber.upgrade(2, 4, &longer, &[]));
    let fuel = |code: &[u8]| {
        let report = Runtime::check_module(&ChainLimits::default(), code);
        Fuel(report.expect("is fine").load_fuel)
    };
    let loaded = (first.load_fuel, chamber.record().load_fuel);
    assert_eq!(loaded, (fuel(&one), fuel(&longer)));
    assert_ne!(fuel(&longer), fuel(&one));
}

#[test]
fn nobody_else_upgrades_nor_approves() {
    let two = version("two", None);
    let agreed = UpgradeApproval::of(1, &two, &[]);
    for (quorum, board) in [(0, &[][..]), (1, &[2]), (2, &BOARD)] {
        let mut chamber = Chamber::new(quorum, board);
        // Neither who deployed it, nor who may admit and deploy.
        for seed in [ROOT, STRANGER] {
            chamber.refuses_upgrade(seed, 1, &two, TrapKind::MayNotUpgrade);
            for approval in [Some(agreed), None] {
                let contract = chamber.contract;
                let call = Call::ApproveUpgrade { contract, approval };
                chamber.refuses(seed, call, TrapKind::MayNotUpgrade);
            }
        }
        assert_eq!(chamber.says(), "one");
    }
    let mut chamber = Chamber::new(1, &[2]);
    chamber.contract = ContractId([7; 32]);
    chamber.refuses_upgrade(2, 1, &two, TrapKind::UnknownContract);
    let call = Call::ApproveUpgrade {
        contract: chamber.contract,
        approval: None,
    };
    chamber.refuses(2, call, TrapKind::UnknownContract);
}

#[test]
fn upgraders_are_admitted_accounts() {
    let mut ledger = Ledger::new();
    for unknown in [account(STRANGER), AccountId([0xff; 32])] {
        let deploy = Call::Deploy {
            code: wasm("(module)"),
            upgraders: Upgraders::of(1, vec![account(ROOT), unknown]),
            args: Vec::new(),
        };
        let receipt = ledger.one(ROOT, FUEL, deploy);
        assert_eq!(trap_of(&receipt), TrapKind::UnknownUpgrader);
        assert_eq!(receipt.contract, None);
    }
}

#[test]
fn it_takes_as_many_as_was_chosen() {
    let two = version("two", None);
    for (quorum, board) in [(1, &BOARD[..]), (2, &BOARD), (3, &BOARD), (2, &BOARD[1..])] {
        let mut chamber = Chamber::new(quorum, board);
        let (last, others) = board.split_last().expect("somebody");
        // All but one of those that it takes: once, and once more.
        for seed in others.iter().take(quorum as usize - 1) {
            chamber.refuses_upgrade(*last, 1, &two, TrapKind::NotApproved);
            value_of(&chamber.approve(*seed, 1, &two, &[]));
            value_of(&chamber.approve(*seed, 1, &two, &[]));
        }
        // The sender counts once, whatever it approved before.
        value_of(&chamber.approve(*last, 1, &two, &[]));
        value_of(&chamber.upgrade(*last, 1, &two, &[]));
        assert_eq!(chamber.says(), "two");
    }
    let mut chamber = Chamber::new(2, &BOARD);
    value_of(&chamber.approve(2, 1, &two, &[]));
    chamber.refuses_upgrade(2, 1, &two, TrapKind::NotApproved);
}

#[test]
fn an_approval_is_for_one_upgrade_only() {
    let (two, three) = (version("two", Some("")), version("thr", Some("")));
    let mut chamber = Chamber::new(2, &BOARD);
    value_of(&chamber.approve(2, 1, &two, &[5]));
    // Other code, other arguments.
    chamber.refuses_upgrade(3, 1, &three, TrapKind::NotApproved);
    chamber.refuses_upgrade(3, 1, &two, TrapKind::NotApproved);
    // The newest approval of an account is the one that counts, until it is withdrawn.
    value_of(&chamber.approve(2, 1, &three, &[]));
    let call = chamber.call(1, &two, &[5]);
    chamber.refuses(3, call, TrapKind::NotApproved);
    value_of(&chamber.approves(2, None));
    value_of(&chamber.approves(2, None));
    chamber.refuses_upgrade(3, 1, &three, TrapKind::NotApproved);
    // Approved by two, applied once; then all of that is void, in whatever order it is tried.
    value_of(&chamber.approve(2, 1, &three, &[]));
    value_of(&chamber.approve(4, 1, &three, &[]));
    value_of(&chamber.upgrade(3, 1, &three, &[]));
    for seed in BOARD {
        chamber.refuses_upgrade(seed, 1, &three, TrapKind::WrongVersion);
        chamber.refuses_upgrade(seed, 2, &three, TrapKind::NotApproved);
        let approval = Some(UpgradeApproval::of(1, &two, &[]));
        let contract = chamber.contract;
        let call = Call::ApproveUpgrade { contract, approval };
        chamber.refuses(seed, call, TrapKind::WrongVersion);
    }
    // Nor can one be given in advance.
    let approval = Some(UpgradeApproval::of(3, &two, &[]));
    let contract = chamber.contract;
    let call = Call::ApproveUpgrade { contract, approval };
    chamber.refuses(2, call, TrapKind::WrongVersion);
    chamber.refuses_upgrade(2, 3, &two, TrapKind::WrongVersion);
    chamber.refuses_upgrade(2, 0, &two, TrapKind::WrongVersion);
    // One that was given for another contract counts for nothing here.
    let mut other = Chamber::new(2, &BOARD);
    other.ledger.state = chamber.ledger.state.clone();
    other.contract = chamber.contract;
    value_of(&other.approve(2, 2, &two, &[]));
    let elsewhere = other.ledger.one(
        ROOT,
        FUEL,
        Call::Deploy {
            code: version("els", None),
            upgraders: Upgraders::of(2, BOARD.map(account).to_vec()),
            args: Vec::new(),
        },
    );
    other.contract = elsewhere.contract.expect("deployed");
    other.refuses_upgrade(3, 1, &two, TrapKind::NotApproved);
}

#[test]
fn a_refused_attempt_does_not_use_up_the_approvals() {
    let trapping = version(
        "two",
        Some("(call $input (i32.const 0) (i32.const 0)) if unreachable end"),
    );
    let mut chamber = Chamber::new(2, &BOARD);
    value_of(&chamber.approve(2, 1, &trapping, &[1]));
    let call = chamber.call(1, &trapping, &[1]);
    chamber.refuses(3, call, TrapKind::Unreachable);
    value_of(&chamber.approve(2, 1, &trapping, &[]));
    value_of(&chamber.upgrade(3, 1, &trapping, &[]));
    assert_eq!(chamber.says(), "two");
}

#[test]
fn migrate_runs_once_under_the_new_code_on_the_old_state() {
    // Appends its arguments to what init stored, and says who it thinks called it.
    let migrate = r#"(drop (call $storage_get (i32.const 16) (i32.const 3) (i32.const 64) (i32.const 8)))
        (drop (call $input (i32.const 67) (i32.const 8)))
        (call $storage_set (i32.const 16) (i32.const 3) (i32.const 64) (i32.const 5))
        (call $emit (i32.const 0) (i32.const 3) (i32.const 64) (i32.const 5))
        (drop (call $caller (i32.const 128)))
        (call $return_value (i32.const 128) (i32.const 32))"#;
    let two = wasm(&format!(
        r#"(module {IMPORTS} (memory (export "memory") 2)
            (data (i32.const 0) "two") (data (i32.const 16) "one")
            (func (export "call.run") {RETURN}) (func (export "migrate") {migrate}))"#
    ));
    let mut chamber = Chamber::new(1, &[2]);
    let receipt = chamber.upgrade(2, 1, &two, b"+2");
    assert_eq!(value_of(&receipt), account(2).0);
    let event = &receipt.events[0];
    assert_eq!(
        (event.contract, &event.data[..]),
        (chamber.contract, &b"one+2"[..])
    );
    assert_eq!(chamber.stored(), Some(&b"one+2".to_vec()));
    // It is no method.
    let receipt = chamber
        .ledger
        .invoke(chamber.contract, "migrate", b"+3".to_vec());
    assert_eq!(trap_of(&receipt), TrapKind::UnknownMethod);
    assert_eq!(chamber.stored(), Some(&b"one+2".to_vec()));
    // Deployed anew, init runs and migrate does not.
    let fresh = chamber.ledger.deploy_with(&two, Vec::new());
    assert_eq!((value_of(&fresh), fresh.events), (vec![], vec![]));
}

#[test]
fn what_fails_leaves_code_and_state_as_they_were() {
    let writes = |then: &str| version("two", Some(&format!("{SET} {then}")));
    let mut chamber = Chamber::new(1, &[2]);
    for (then, expected) in [
        ("unreachable", TrapKind::Unreachable),
        ("(loop br 0)", TrapKind::OutOfFuel),
        ("(call $bad_arguments)", TrapKind::BadArguments),
        ("(drop (memory.grow (i32.const 63)))", TrapKind::MemoryLimit),
    ] {
        chamber.refuses_upgrade(2, 1, &writes(then), expected);
    }
    let before = chamber.ledger.state.entries.clone();
    let revert = writes("(call $revert (i32.const 7) (i32.const 0) (i32.const 3))");
    let receipt = chamber.upgrade(2, 1, &revert, &[]);
    let data = b"two".to_vec();
    assert_eq!(receipt.status, Status::Reverted { code: 7, data });
    assert!(receipt.fuel_used > Fuel(prices().deploy_per_byte) && receipt.fuel_used < Fuel(FUEL));
    assert_eq!(chamber.ledger.state.entries, before);
    // Arguments for a migrate that is not there; modules that break a rule; too little fuel.
    let call = chamber.call(1, &version("two", None), &[0]);
    chamber.refuses(2, call, TrapKind::BadArguments);
    chamber.refuses_upgrade(2, 1, b"not wasm", TrapKind::ModuleRefused);
    let float = wasm("(module (func (drop (f64.const 1))))");
    chamber.refuses_upgrade(2, 1, &float, TrapKind::ModuleRefused);
    let two = version("two", None);
    let used = {
        let mut twin = Chamber::new(1, &[2]);
        twin.upgrade(2, 1, &two, &[]).fuel_used.0
    };
    for fuel_max in [used / 10, used / 2, used - 1] {
        let call = chamber.call(1, &two, &[]);
        let receipt = chamber.ledger.one(2, fuel_max, call);
        assert_eq!(trap_of(&receipt), TrapKind::OutOfFuel);
        assert_eq!(chamber.ledger.state.entries, before);
    }
    let call = chamber.call(1, &two, &[]);
    value_of(&chamber.ledger.one(2, used, call));
    assert_eq!(chamber.says(), "two");
}

#[test]
fn one_batch_deploys_upgrades_and_calls() {
    let mut chamber = Chamber::new(1, &[2]);
    let deploy = Call::Deploy {
        code: version("one", None),
        upgraders: Upgraders::of(1, vec![account(2)]),
        args: Vec::new(),
    };
    let ledger = &mut chamber.ledger;
    let deploy = ledger.sign(ROOT, FUEL, deploy);
    let contract = ContractId::of_deployment(deploy.id());
    let upgrade = |version, code| Call::Upgrade {
        contract,
        version,
        code,
        args: Vec::new(),
    };
    let call = || invocation(contract, "run", Vec::new());
    let failing = version("bad", Some("unreachable"));
    let mut batch = vec![deploy];
    for (seed, what) in [
        (ROOT, call()),
        (2, upgrade(1, version("two", None))),
        (ROOT, call()),
        (2, upgrade(2, failing)),
        (ROOT, call()),
        (2, upgrade(2, version("thr", Some("")))),
        (2, upgrade(2, version("fou", None))),
        (ROOT, call()),
    ] {
        batch.push(ledger.sign(seed, FUEL, what));
    }
    let cold = Runtime::new(ledger.runtime.limits().clone()).expect("starts");
    let mut twin = ledger.twin(Arc::new(cold));
    let executed = ledger.block(batch.clone());
    let said: Vec<_> = [1, 3, 5, 8]
        .map(|at| value_of(&executed.receipts[at]))
        .into();
    assert_eq!(said, [b"one", b"two", b"two", b"thr"]);
    assert_eq!(trap_of(&executed.receipts[4]), TrapKind::Unreachable);
    assert_eq!(trap_of(&executed.receipts[7]), TrapKind::WrongVersion);
    assert_eq!(
        twin.block(batch),
        executed,
        "on a runtime that had compiled nothing"
    );
}

#[test]
fn which_code_ran_since_when_stands_in_the_state() {
    let mut chamber = Chamber::new(1, &[2]);
    let [one, two, three] = ["one", "two", "thr"].map(|word| version(word, None));
    let contract = chamber.contract;
    let first = chamber.record().code;
    let deployed_at = chamber.ledger.height;
    let at = |height, index| TransactionPlace {
        height: Height(height),
        index,
    };
    let upgrade = |version, code: &Vec<u8>| Call::Upgrade {
        contract,
        version,
        code: code.clone(),
        args: Vec::new(),
    };
    let ledger = &mut chamber.ledger;
    let height = deployed_at + 1;
    // The first one is left out of the block: nobody knows its sender.
    let batch = [
        (88, upgrade(1, &one)),
        (ROOT, invocation(contract, "run", Vec::new())),
        (2, upgrade(1, &two)),
        (2, upgrade(2, &version("bad", Some("unreachable")))),
        (2, upgrade(2, &three)),
    ]
    .map(|(seed, call)| ledger.sign(seed, FUEL, call));
    let executed = ledger.block(batch.to_vec());
    assert_eq!((executed.dropped.len(), executed.receipts.len()), (1, 4));
    value_of(&chamber.upgrade(2, 3, &two, &[]));

    let entries = &chamber.ledger.state.entries;
    let record = |version| {
        let bytes = entries.get(&StateKey::Version(contract, version).to_bytes())?;
        Some(VersionRecord::decode(&mut &bytes[..]).expect("a record"))
    };
    let expected = [
        (1, first, at(deployed_at, 0)),
        (2, CodeHash::of(&two), at(height, 1)),
        (3, CodeHash::of(&three), at(height, 3)),
        (4, CodeHash::of(&two), at(height + 1, 0)),
    ];
    for (version, code, since) in expected {
        assert_eq!(record(version), Some(VersionRecord { code, since }));
    }
    assert_eq!([record(0), record(5)], [None, None]);
}

#[test]
fn whoever_calls_it_sees_the_new_code_afterwards() {
    let mut chamber = Chamber::new(1, &[2]);
    let caller = chamber.ledger.deploy(&module(
        r#"(drop (call $input (i32.const 64) (i32.const 32)))
        (i32.store (i32.const 16) (i32.const 0x6e7572))
        (drop (call $call (i32.const 64) (i32.const 16) (i32.const 3) (i32.const 0) (i32.const 0)))
        (call $return_value (i32.const 128) (call $call_output (i32.const 128) (i32.const 64)))"#,
    ));
    let callee = chamber.contract.0.to_vec();
    let ask =
        |chamber: &mut Chamber| value_of(&chamber.ledger.invoke(caller, "run", callee.clone()));
    assert_eq!(ask(&mut chamber), b"one");
    value_of(&chamber.upgrade(2, 1, &version("two", None), &[]));
    assert_eq!(ask(&mut chamber), b"two");
    // While migrate runs, the contract is running: nobody gets in again.
    let back = r#"(i32.store (i32.const 16) (i32.const 0x6e7572))
        (drop (call $input (i32.const 64) (i32.const 32))) (call $own_address (i32.const 96))
        (drop (call $call (i32.const 64) (i32.const 16) (i32.const 3) (i32.const 96) (i32.const 32)))"#;
    let call = chamber.call(2, &version("thr", Some(back)), &caller.0);
    chamber.refuses(2, call, TrapKind::Reentrant);
    assert_eq!(ask(&mut chamber), b"two");
}

#[test]
fn a_deployment_for_nobody_is_for_ever() {
    let mut ledger = Ledger::new();
    let receipt = ledger.one(ROOT, FUEL, deployment(wasm("(module)"), Vec::new()));
    let contract = receipt.contract.expect("deployed");
    for version in [0, 1, 2] {
        let upgrade = Call::Upgrade {
            contract,
            version,
            code: wasm("(module)"),
            args: Vec::new(),
        };
        let receipt = ledger.one(ROOT, FUEL, upgrade);
        assert_eq!(trap_of(&receipt), TrapKind::MayNotUpgrade);
    }
}
