//! A small ledger, and what proves its block 5.

use std::collections::BTreeMap;

use chancery_ledger::block::{self, Header, PROTOCOL_VERSION};
use chancery_ledger::checkpoint::CheckpointStatement;
use chancery_ledger::header_log::{self, HeaderLog};
use chancery_ledger::policy::Policy;
use chancery_ledger::proof::{Bundle, ProvenHeader};
use chancery_ledger::state_bundle::ProvenEntry;
use chancery_ledger::state_key::StateKey;
use chancery_ledger::state_tree::{StateTree, key_hash, value_hash};
use chancery_ledger::transaction::{Role, SignedTransaction};
use chancery_ledger::upgrade::Upgraders;
use chancery_ledger::{
    BatchDigest, Call, ContractEvent, Epoch, Fuel, Hash, Height, Millis, Receipt, Status,
    Transaction, TrapKind,
};

pub(crate) use super::samples::CONTRACT;
use super::{certify, chain, key, log_key, samples, validators};

pub(crate) const BLOCK_TIME: Millis = Millis(1_795_000_000_987);
pub(crate) const HEIGHT: u64 = 5;

pub(crate) fn sign(salt: u64, call: Call) -> SignedTransaction {
    Transaction {
        chain: chain(),
        sender: key(1).account(),
        salt,
        valid_until: Millis(BLOCK_TIME.0 + 1_000),
        fuel_max: Fuel(1_000_000),
        call,
    }
    .sign(&key(1))
}

pub(crate) fn invoke(method: &str) -> Call {
    Call::Invoke {
        contract: CONTRACT,
        method: method.to_owned(),
        args: vec![1, 2, 3],
    }
}

pub(crate) fn receipt(transaction: &SignedTransaction, status: Status) -> Receipt {
    let applied = matches!(status, Status::Applied { .. });
    let event = ContractEvent {
        contract: CONTRACT,
        topic: "access_granted".to_owned(),
        data: vec![7],
    };
    Receipt {
        transaction: transaction.id(),
        status,
        fuel_used: Fuel(42),
        contract: Some(CONTRACT),
        events: if applied { vec![event] } else { Vec::new() },
    }
}

/// What the contract stores under `[i]`.
pub(crate) fn storage(i: u8) -> Vec<u8> {
    StateKey::Storage(CONTRACT, &[i]).to_bytes()
}

/// A ledger of eight blocks; block 5 has five transactions, one of each kind and outcome.
pub(crate) struct Ledger {
    pub(crate) headers: Vec<Header>,
    pub(crate) logs: Vec<HeaderLog>,
    pub(crate) nodes: BTreeMap<(u8, u64), Hash>,
    pub(crate) transactions: Vec<SignedTransaction>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let admit = |account, roles| Call::Admit { account, roles };
        let transactions = vec![
            sign(0, invoke("grant_access")),
            sign(1, invoke("grant_access")),
            sign(
                2,
                Call::Deploy {
                    code: b"\0asm".to_vec(),
                    upgraders: Upgraders::of(1, vec![key(1).account(), key(2).account()]),
                    args: vec![9],
                },
            ),
            sign(
                3,
                admit(key(9).account(), vec![Role::Registrar, Role::Deployer]),
            ),
            sign(4, admit(chancery_ledger::AccountId([0; 32]), Vec::new())),
        ];
        let statuses = [
            Status::Applied { value: vec![1] },
            Status::Reverted {
                code: 3,
                data: vec![4],
            },
            Status::Trapped {
                kind: TrapKind::ModuleRefused,
            },
            Status::Applied { value: Vec::new() },
            Status::Trapped {
                kind: TrapKind::InvalidKey,
            },
        ];
        let receipts: Vec<Receipt> = transactions
            .iter()
            .zip(statuses)
            .map(|(transaction, status)| receipt(transaction, status))
            .collect();
        let state = (0..100_u8)
            .map(|i| (storage(i), vec![i, i]))
            .chain(samples::records())
            .collect();
        let mut ledger = Self {
            headers: Vec::new(),
            logs: Vec::new(),
            nodes: BTreeMap::new(),
            transactions,
            receipts,
            state,
        };
        let mut log = HeaderLog::default();
        for height in 0..8 {
            let header = ledger.header(height);
            for node in log.append(header.hash()) {
                ledger.nodes.insert((node.level, node.index), node.hash);
            }
            ledger.headers.push(header);
            ledger.logs.push(log.clone());
        }
        ledger
    }

    pub(crate) fn header(&self, height: u64) -> Header {
        let (transactions, receipts): (&[_], &[_]) = if height == HEIGHT {
            (&self.transactions, &self.receipts)
        } else {
            (&[], &[])
        };
        Header {
            version: PROTOCOL_VERSION,
            chain: chain(),
            epoch: Epoch(0),
            height: Height(height),
            parent: self.headers.last().map_or(Hash([0; 32]), Header::hash),
            time: Millis(BLOCK_TIME.0 + height * 1_500 - HEIGHT * 1_500),
            batch: BatchDigest([0xbb; 32]),
            transactions_root: block::transactions_root(transactions),
            transactions_count: u32::try_from(transactions.len()).expect("few"),
            receipts_root: block::receipts_root(receipts),
            state_root: self.tree().root(),
            state_count: self.tree().count(),
        }
    }

    pub(crate) fn leaves(&self) -> BTreeMap<Hash, Hash> {
        let leaf = |(key, value): (&Vec<u8>, &Vec<u8>)| (key_hash(key), value_hash(value));
        self.state.iter().map(leaf).collect()
    }

    pub(crate) fn tree(&self) -> StateTree {
        StateTree::build(self.leaves())
    }

    pub(crate) fn statement(&self, height: usize) -> CheckpointStatement {
        let header = &self.headers[height];
        let root = self.logs[height].root();
        CheckpointStatement::new(chain(), header.height, root, header.time)
    }

    /// Block 5 under the checkpoint of that height.
    pub(crate) fn proven<T>(
        &self,
        checkpoint: usize,
        with: impl FnOnce(ProvenHeader<'_>) -> T,
    ) -> T {
        let note = certify(self.statement(checkpoint), 4).note(&validators(4), &log_key());
        let node = |level, index| self.nodes.get(&(level, index)).copied();
        let size = self.logs[checkpoint].size();
        let in_log = header_log::inclusion_proof(HEIGHT, size, &node).expect("it is there");
        with(ProvenHeader {
            header: &self.headers[5],
            checkpoint: &note,
            in_log: &in_log,
        })
    }

    pub(crate) fn bundle_of(&self, index: u32, checkpoint: usize) -> Bundle {
        self.proven(checkpoint, |proven| {
            Bundle::of_transaction(proven, &self.transactions, &self.receipts, index)
        })
        .expect("there is such a transaction")
    }

    /// What the state has under a key, with its proof.
    pub(crate) fn entry(&self, key: &[u8]) -> ProvenEntry {
        let proof = self.tree().prove(&key_hash(key), &self.leaves());
        ProvenEntry {
            key: key.to_vec(),
            value: self.state.get(key).cloned(),
            proof: proof.expect("the leaves are the tree's"),
        }
    }

    /// Makes a block 5 of one's own choice and has it cosigned by a quorum of liars; what the
    /// verifier checks by itself still holds.
    pub(crate) fn certified(change: impl FnOnce(&mut Self)) -> Self {
        let mut ledger = Self::new();
        change(&mut ledger);
        ledger.headers.truncate(5);
        let mut log = ledger.logs[4].clone();
        let header = ledger.header(HEIGHT);
        for node in log.append(header.hash()) {
            ledger.nodes.insert((node.level, node.index), node.hash);
        }
        ledger.headers.push(header);
        ledger.logs.truncate(5);
        ledger.logs.push(log);
        ledger
    }
}

pub(crate) fn policy() -> Policy {
    Policy::of_validators(chain(), &validators(4))
}

pub(crate) fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// JSON allows some spaces to be others, outside of its strings.
pub(crate) fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !" \t\r\n".contains(*c)).collect()
}
