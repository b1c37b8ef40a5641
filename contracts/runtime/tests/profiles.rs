//! One story of transactions, and what came of it: `goldens/receipts.txt`, with every receipt, its fuel
//! and the root of the state. Whatever builds this test has to reproduce that file: another profile
//! (a validator built for debugging is a validator), another machine, another version of the engine.
//!
//! `scripts/test` runs it in release. In debug the engine has to be compiled once more, which takes a
//! processor ten minutes; the test itself takes seconds:
//!
//! ```sh
//! cargo test --locked -p chancery-runtime --test profiles
//! ```
//!
//! With CHANCERY_UPDATE_GOLDENS=1 the file is written anew: that is to change what transactions do or
//! cost. All modules are text, as what a compiler makes of Rust differs between its versions.

mod common;

use std::fmt::Write as _;
use std::path::Path;

use chancery_ledger::block::receipts_root;
use chancery_ledger::state_tree::{StateTree, key_hash, value_hash};
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{Call, ContractId, Hash, Receipt, Role, Status, UpgradeApproval, Upgraders};
use common::{FUEL, IMPORTS, Ledger, ROOT, account, deployment, invocation, module, wasm};

/// What a call declares that has enough.
const ENOUGH: u64 = 5_000_000;

/// Each host function once, in whose memory something then stands that is hashed and returned.
const HOST: &str = r#"
    (i32.store (i32.const 64) (call $input (i32.const 1024) (i32.const 64)))
    (i32.store (i32.const 68) (call $caller (i32.const 1088)))
    (call $own_address (i32.const 1120))
    (call $transaction_id (i32.const 1152))
    (i64.store (i32.const 72) (call $block_time))
    (i64.store (i32.const 80) (call $block_height))
    (i32.store (i32.const 88) (call $roles (i32.const 1088)))
    (call $storage_set (i32.const 0) (i32.const 3) (i32.const 1024) (i32.const 200))
    (i32.store (i32.const 92)
        (call $storage_get (i32.const 0) (i32.const 3) (i32.const 2048) (i32.const 300)))
    (call $storage_set (i32.const 0) (i32.const 2) (i32.const 1024) (i32.const 1))
    (call $storage_remove (i32.const 0) (i32.const 2))
    (i32.store (i32.const 96)
        (call $storage_get (i32.const 0) (i32.const 2) (i32.const 2048) (i32.const 300)))
    (i32.store (i32.const 100) (call $call_output (i32.const 4096) (i32.const 8)))
    (call $emit (i32.const 0) (i32.const 3) (i32.const 64) (i32.const 40))
    (call $debug_log (i32.const 0) (i32.const 3))
    (call $sha256 (i32.const 64) (i32.const 4096) (i32.const 0))
    (call $return_value (i32.const 0) (i32.const 32))"#;

/// Calls the contract that its arguments name, and returns how that ended.
const CALLING: &str = r#"
    (drop (call $input (i32.const 64) (i32.const 32)))
    (i32.store (i32.const 32) (i32.const 0x6e7572))
    (i32.store (i32.const 96)
        (call $call (i32.const 64) (i32.const 32) (i32.const 3) (i32.const 0) (i32.const 3)))
    (call $return_value (i32.const 96)
        (i32.add (i32.const 4) (call $call_output (i32.const 100) (i32.const 64))))"#;

/// The same of a view, which each of them has.
const ASKING: &str = r#"
    (drop (call $input (i32.const 64) (i32.const 32)))
    (i32.store (i32.const 32) (i32.const 0x656573))
    (i32.store (i32.const 96)
        (call $view (i32.const 64) (i32.const 32) (i32.const 3) (i32.const 0) (i32.const 3)))
    (call $return_value (i32.const 96)
        (i32.add (i32.const 4) (call $call_output (i32.const 100) (i32.const 64))))"#;

/// What a call may do, by name.
const BODIES: [(&str, &str); 17] = [
    ("host", HOST),
    (
        "store",
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))
         (call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0))
         (call $return_value (i32.const 0) (i32.const 3))",
    ),
    (
        "revert",
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))
         (call $emit (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0))
         (call $revert (i32.const 5) (i32.const 0) (i32.const 3))",
    ),
    ("count", COUNT),
    (
        "grow",
        "(drop (memory.grow (i32.const 3))) (i32.store8 (i32.const 327679) (i32.const 1))",
    ),
    ("grow_too_far", "(drop (memory.grow (i32.const 1000)))"),
    ("unreachable", "unreachable"),
    ("endless", "(loop br 0)"),
    ("outside", "(drop (i64.load (i32.const 131065)))"),
    (
        "outside_host",
        "(call $sha256 (i32.const 131071) (i32.const 2) (i32.const 0))",
    ),
    ("by_zero", "(drop (i64.rem_u (i64.const 7) (i64.const 0)))"),
    (
        "overflow",
        "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
    ),
    ("no_such_function", "(call_indirect (i32.const 1))"),
    ("bad_arguments", "(call $bad_arguments)"),
    (
        "long_key",
        "(call $storage_remove (i32.const 0) (i32.const 257))",
    ),
    (
        "empty_value",
        "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0))",
    ),
    ("deep", "(call $deep)"),
];

/// Integer instructions on numbers from the edges, each result hashed with what came before.
const COUNT: &str = r#"
    (local $i i32) (local $a i64) (local $b i64)
    (local.set $a (i64.const 0x8000000000000000))
    (local.set $b (i64.const -1))
    (loop $next
        (i64.store (i32.const 64) (i64.add (local.get $a) (local.get $b)))
        (i64.store (i32.const 72) (i64.mul (local.get $a) (i64.sub (local.get $b) (i64.const 3))))
        (i64.store (i32.const 80) (i64.div_u (local.get $a) (i64.or (local.get $b) (i64.const 1))))
        (i64.store (i32.const 88) (i64.rem_s (local.get $a) (i64.or (local.get $b) (i64.const 2))))
        (i64.store (i32.const 96) (i64.shr_s (local.get $a) (i64.const 67)))
        (i64.store (i32.const 104) (i64.rotl (local.get $b) (local.get $a)))
        (i64.store (i32.const 112)
            (i64.add (i64.clz (local.get $a)) (i64.add (i64.ctz (local.get $b)) (i64.popcnt (local.get $a)))))
        (i32.store16 (i32.const 120) (i32.wrap_i64 (local.get $a)))
        (i64.store (i32.const 128) (i64.load8_s (i32.const 64)))
        (i64.store (i32.const 136) (i64.load32_s (i32.const 72)))
        (i64.store (i32.const 144) (i64.extend_i32_s (i32.load16_s (i32.const 88))))
        (i32.store8 (i32.const 152) (i64.lt_s (local.get $a) (local.get $b)))
        (i32.store8 (i32.const 153) (i64.lt_u (local.get $a) (local.get $b)))
        (i32.store8 (i32.const 154)
            (select (i32.const 3) (i32.const 4) (i64.eqz (local.get $a))))
        (call $sha256 (i32.const 64) (i32.const 128) (i32.const 160))
        (local.set $a (i64.load (i32.const 160)))
        (local.set $b (i64.load (i32.const 168)))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
    (call $return_value (i32.const 160) (i32.const 32))"#;

/// A module of one body, which may call one function through a table and another without end.
fn of(body: &str) -> Vec<u8> {
    let more = "(table 2 funcref)
        (func $deep (local i64) (call $deep) (local.set 0 (i64.const 1)))
        (func (export \"view.see\") (call $return_value (i32.const 0) (i32.const 3)))";
    let text = module(body);
    let text = text.strip_suffix(')').expect("a module ends so");
    wasm(&format!("{text} {more})"))
}

/// A version of a contract: stores its word at deployment, and says what is stored.
fn version(word: &str, migrate: &str) -> Vec<u8> {
    wasm(&format!(
        r#"(module {IMPORTS} (memory (export "memory") 1) (data (i32.const 0) "{word}")
            (func (export "init")
                (call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)))
            (func (export "migrate") {migrate})
            (func (export "call.run")
                (call $return_value (i32.const 16)
                    (call $storage_get (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 64)))))"#
    ))
}

struct Story {
    ledger: Ledger,
    told: String,
}

impl Story {
    fn block(&mut self, name: &str, transactions: Vec<SignedTransaction>) -> Vec<Receipt> {
        let executed = self.ledger.block(transactions);
        let state = self.root();
        let tell = &mut self.told;
        writeln!(tell, "{name}").expect("a string");
        for (_, reason) in &executed.dropped {
            writeln!(tell, "  dropped: {reason:?}").expect("a string");
        }
        for receipt in &executed.receipts {
            let ended = match &receipt.status {
                Status::Applied { value } => format!("applied {}", shown(value)),
                Status::Reverted { code, data } => format!("reverted {code} {}", shown(data)),
                Status::Trapped { kind } => format!("trapped {kind:?}"),
            };
            let events = receipt.events.len();
            let fuel = receipt.fuel_used;
            writeln!(tell, "  {ended}, fuel {fuel}, events {events}").expect("a string");
        }
        let receipts = receipts_root(&executed.receipts);
        writeln!(tell, "  receipts {receipts}\n  state {state}").expect("a string");
        executed.receipts
    }

    fn root(&self) -> Hash {
        let entries = self.ledger.state.entries.iter();
        let mut leaves: Vec<_> = entries
            .map(|(key, value)| (key_hash(key), value_hash(value)))
            .collect();
        leaves.sort_unstable();
        StateTree::build(leaves).root()
    }

    fn one(&mut self, name: &str, fuel_max: u64, call: Call) -> Receipt {
        let signed = self.ledger.sign(ROOT, fuel_max, call);
        let mut receipts = self.block(name, vec![signed]);
        receipts.pop().expect("it was executed")
    }

    fn deployed(&mut self, name: &str, code: Vec<u8>) -> ContractId {
        let receipt = self.one(
            &format!("deploy {name}"),
            FUEL,
            deployment(code, Vec::new()),
        );
        receipt.contract.expect("it is taken")
    }

    fn query(&mut self, name: &str, contract: ContractId, method: &str) {
        let outcome = self.ledger.query(contract, method, &[]);
        let (status, fuel) = (outcome.status, outcome.fuel_used);
        writeln!(self.told, "{name}\n  {status:?}, fuel {fuel}").expect("a string");
    }

    /// Every body by itself, called by another contract, asked as a view, and with little fuel.
    fn calls(&mut self) {
        let calling = self.deployed("calling", of(CALLING));
        let asking = self.deployed("asking", of(ASKING));
        for (name, body) in BODIES {
            let contract = self.deployed(name, of(body));
            let to = |outer| invocation(outer, "run", contract.0.to_vec());
            self.one(&format!("{name}, called"), ENOUGH, to(contract));
            self.one(&format!("{name}, called by another"), ENOUGH, to(calling));
            self.one(&format!("{name}, asked by another"), ENOUGH, to(asking));
            self.one(&format!("{name}, with little fuel"), 400_000, to(calling));
        }
        self.query("a view", calling, "see");
        self.query("a view that is not there", calling, "run");
        let see = invocation(calling, "see", Vec::new());
        self.one("a view, called", ENOUGH, see);
        let steal = invocation(calling, "steal", Vec::new());
        self.one("a method that is not there", ENOUGH, steal);
    }

    fn upgrades(&mut self) {
        let set = "(call $storage_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))";
        let first = Call::Deploy {
            code: version("one", set),
            upgraders: Upgraders::of(2, vec![account(ROOT), account(2)]),
            args: Vec::new(),
        };
        let contract = self.one("deploy what two may upgrade", FUEL, first);
        let contract = contract.contract.expect("it is taken");
        let refusing = format!("{set} (call $revert (i32.const 1) (i32.const 0) (i32.const 0))");
        for (name, migrate) in [("refused", refusing.as_str()), ("applied", set)] {
            let code = version("two", migrate);
            let upgrade = Call::Upgrade {
                contract,
                version: 1,
                code: code.clone(),
                args: vec![7],
            };
            self.one(
                &format!("an upgrade without consent, to be {name}"),
                FUEL,
                upgrade.clone(),
            );
            let approval = Some(UpgradeApproval::of(1, &code, &[7]));
            let approve = Call::ApproveUpgrade { contract, approval };
            let approve = self.ledger.sign(2, ENOUGH, approve);
            self.block("consent", vec![approve]);
            self.one(&format!("an upgrade, {name}"), FUEL, upgrade.clone());
            self.one("a call", ENOUGH, invocation(contract, "run", Vec::new()));
        }
    }

    /// Several in one block, and some that are in none.
    fn blocks(&mut self) {
        let deploy = deployment(of(BODIES[1].1), Vec::new());
        let deploy = self.ledger.sign(ROOT, FUEL, deploy);
        let contract = ContractId::of_deployment(deploy.id());
        let call = invocation(contract, "run", Vec::new());
        let [early, called, again] = [(); 3].map(|()| self.ledger.sign(ROOT, ENOUGH, call.clone()));
        let poor = self.ledger.sign(ROOT, 10_000, call.clone());
        let stranger = self.ledger.sign(99, ENOUGH, call);
        let all = vec![early, deploy, called, stranger, poor, again];
        self.block("six in one block", all);
        let float = wasm("(module (func (export \"call.run\") (drop (f32.const 1))))");
        self.one("a module with floats", FUEL, deployment(float, Vec::new()));
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_profile_comes_to_the_same() {
    let mut story = Story {
        ledger: Ledger::new(),
        told: String::new(),
    };
    for (seed, roles) in [(2, Vec::new()), (3, vec![Role::Deployer])] {
        let account = account(seed);
        let admit = Call::Admit { account, roles };
        story.one("admit", ENOUGH, admit);
    }
    story.calls();
    story.upgrades();
    story.blocks();

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/receipts.txt");
    if std::env::var_os("CHANCERY_UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, &story.told).expect("the golden can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden can be read");
    let mut lines = golden.lines().zip(story.told.lines());
    let differing = lines.position(|(golden, told)| golden != told);
    if let Some(line) = differing {
        let near = |text: &str| {
            text.lines()
                .skip(line.saturating_sub(4))
                .take(5)
                .collect::<Vec<_>>()
                .join("\n")
        };
        panic!(
            "line {} differs. The golden:\n{}\nnow:\n{}",
            line + 1,
            near(&golden),
            near(&story.told)
        );
    }
    assert_eq!(golden, story.told);
}
