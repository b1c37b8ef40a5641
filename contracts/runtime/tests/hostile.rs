//! The worst modules that we could think of, each with the end that it comes to. Whatever it is, it
//! costs its sender what was declared at most, the other transactions of its batch go through as if
//! it were not there, and every engine says the same: one that has compiled nothing, the same once
//! more, and one that got what another had compiled.
//!
//! The modules are in `common/corpus.rs`. `tests/tests/suite/hostile.rs` hands the same ones to
//! validators.

mod common;
#[path = "common/corpus.rs"]
mod corpus;

use std::sync::Arc;

use chancery_ledger::state_key::StateKey;
use chancery_ledger::upgrade::FIRST_VERSION;
use chancery_ledger::{ContractId, Fuel, Receipt, Status};
use chancery_runtime::{ExecutedBatch, Runtime};
use common::shelf::Shelf;
use common::{FUEL, Ledger, ROOT, account, deployment, invocation, module, text, wasm};
use corpus::{Attack, FRIENDLY, HOSTILE_FUEL};

struct Scene {
    ledger: Ledger,
    /// A contract that means no harm: it stores and returns something.
    friend: ContractId,
}

fn scene() -> Scene {
    let mut ledger = Ledger::new();
    let friend = ledger.deploy(&module(FRIENDLY));
    Scene { ledger, friend }
}

impl Scene {
    /// A friendly call, the deployment, a call of what it made, and a friendly call again: in one
    /// batch, on every kind of engine.
    fn play(&mut self, name: &str, code: &[u8]) -> (ContractId, ExecutedBatch) {
        let friend = self.friend;
        let friendly =
            |ledger: &mut Ledger| ledger.sign(ROOT, FUEL, invocation(friend, "run", Vec::new()));
        let ledger = &mut self.ledger;
        let before = friendly(ledger);
        let deploy = ledger.sign(ROOT, FUEL, deployment(code.to_vec(), Vec::new()));
        let contract = ContractId::of_deployment(deploy.id());
        let call = invocation(contract, "run", friend.0.to_vec());
        let call = ledger.sign(ROOT, HOSTILE_FUEL, call);
        let after = friendly(ledger);
        let batch = vec![before, deploy, call, after];

        let shelf = Arc::new(Shelf::default());
        let bare = Runtime::new(ledger.runtime.limits().clone()).expect("starts");
        let bare = Arc::new(bare);
        let engines = [Arc::clone(&bare), bare, shelf.runtime(), shelf.runtime()];
        let [first, others @ ..] = engines.map(|runtime| {
            let mut ledger = ledger.twin(runtime);
            let executed = ledger.block(batch.clone());
            (executed, ledger.state)
        });
        for (executed, state) in others {
            assert_eq!(executed, first.0, "{name}");
            assert_eq!(state.entries, first.1.entries, "{name}");
        }
        (contract, first.0)
    }
}

fn check(attacks: Vec<Attack>) {
    let mut scene = scene();
    let (_, quiet) = scene.play("nothing", &wasm("(module (func (export \"call.run\")))"));
    let fuel = |receipt: &Receipt| receipt.fuel_used;
    for (name, code, end) in attacks {
        let check = Runtime::check_module(scene.ledger.runtime.limits(), &code);
        let (contract, executed) = scene.play(name, &code);
        assert_eq!(executed.dropped, [], "{name}");
        let [before, deploy, call, after] = &executed.receipts[..] else {
            panic!("{name}: every transaction has a receipt");
        };
        for (friendly, quietly) in [(before, &quiet.receipts[0]), (after, &quiet.receipts[3])] {
            assert_eq!(friendly.status, quietly.status, "{name}");
            assert_eq!(fuel(friendly), fuel(quietly), "{name}");
        }
        let trapped = |kind| Status::Trapped { kind };
        let rule = check.err().map(|error| error.name());
        assert_eq!(rule, end.rule(), "{name}");
        let (deployed, called) = end.traps();
        for (receipt, expected, fuel_max) in
            [(deploy, deployed, FUEL), (call, called, HOSTILE_FUEL)]
        {
            match expected {
                Some(kind) => {
                    assert_eq!(
                        (&receipt.status, fuel(receipt)),
                        (&trapped(kind), Fuel(fuel_max)),
                        "{name}"
                    );
                    assert_eq!(receipt.events, [], "{name}");
                }
                None => assert!(
                    matches!(receipt.status, Status::Applied { .. }),
                    "{name}: {receipt:?}"
                ),
            }
        }
        let mut changed: Vec<_> = executed.changes.into_keys().collect();
        // The friend's entry is what the friend made it.
        changed.retain(|key| *key != StateKey::Storage(scene.friend, b"abc").to_bytes());
        let mut own = vec![
            StateKey::Code(chancery_ledger::CodeHash::of(&code)).to_bytes(),
            StateKey::Contract(contract).to_bytes(),
            StateKey::Version(contract, FIRST_VERSION).to_bytes(),
        ];
        own.retain(|_| deployed.is_none());
        assert_eq!(changed, own, "{name}: nothing else has changed");
    }
}

#[test]
fn greed_ends_at_a_limit() {
    check(corpus::greedy());
}

#[test]
fn what_is_crooked_gets_no_further() {
    check(corpus::crooked());
}

#[test]
fn what_is_forbidden_is_not_let_in() {
    check(corpus::forbidden());
}

/// Keys that look like those of the ledger's own entries, or of another contract's.
#[test]
fn a_key_never_leads_out_of_a_contract() {
    let Scene { mut ledger, friend } = scene();
    let write = "(call $storage_set (i32.const 1024) (call $input (i32.const 1024) (i32.const 512))
        (i32.const 0) (i32.const 3))";
    let read = "(i32.store (i32.const 16) (call $storage_get
        (i32.const 1024) (call $input (i32.const 1024) (i32.const 512)) (i32.const 0) (i32.const 0)))
        (call $return_value (i32.const 16) (i32.const 4))";
    let writer = ledger.deploy(&module(write));
    let reader = ledger.deploy(&module(read));
    ledger.invoke(friend, "run", Vec::new());
    let theirs: Vec<Vec<u8>> = ledger.state.entries.keys().cloned().collect();
    let approval = StateKey::Approval(writer, account(ROOT)).to_bytes();
    let mut keys = vec![
        b"..".to_vec(),
        b"../../abc".to_vec(),
        b"abc\0".to_vec(),
        vec![0; 33],
        vec![0xff; 256],
        writer.0.to_vec(),
        approval[1..].to_vec(),
        approval,
    ];
    keys.extend(
        theirs
            .iter()
            .flat_map(|key| [key[1..].to_vec(), key.clone()]),
    );
    keys.sort();
    keys.dedup();
    assert!(keys.len() > 12);
    for key in keys {
        let absent = ledger.invoke(reader, "run", key.clone());
        assert_eq!(common::value_of(&absent), (-1_i32).to_le_bytes());
        let signed = ledger.sign(ROOT, FUEL, invocation(writer, "run", key.clone()));
        let executed = ledger.block(vec![signed]);
        let changed: Vec<_> = executed.changes.into_keys().collect();
        assert_eq!(changed, [StateKey::Storage(writer, &key).to_bytes()]);
        let absent = ledger.invoke(reader, "run", key);
        assert_eq!(common::value_of(&absent), (-1_i32).to_le_bytes());
    }
}
