//! Bytes from outside: one encoding for one value, limits that hold, and no panic.
#![allow(
    clippy::cast_possible_truncation,
    reason = "the derived encoders of enums cast the variant's number"
)]

mod common;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use chancery_ledger::batch::BatchError;
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement, Cosignature};
use chancery_ledger::codec::{CodecError, DEPTH_MAX, memory_max};
use chancery_ledger::header_log::HeaderLog;
use chancery_ledger::merkle::{ConsistencyProof, InclusionProof};
use chancery_ledger::state_key::{AccountRecord, ContractRecord};
use chancery_ledger::state_tree::StateProof;
use chancery_ledger::transaction::{SignedTransaction, TransactionError};
use chancery_ledger::upgrade::{UpgradeApproval, Upgraders, UpgradersError};
use chancery_ledger::{
    AccountId, Batch, Call, ChainLimits, ContractEvent, Hash, Header, Height, Millis, PublicKey,
    Receipt, Role, Signature, Status, Transaction, TrapKind, Validator, decode_canonical,
};
use common::{certify, chain, key, samples, validators};
use parity_scale_codec::{Compact, Decode, DecodeWithMemTracking, Encode};
use proptest::prelude::*;

const LEN_MAX: usize = 1 << 20;

/// A type with the bytes of a sample, and what [`decode_canonical`] says to others, its value
/// encoded again.
struct Sample {
    name: &'static str,
    bytes: Vec<u8>,
    decode: fn(&[u8]) -> Result<Vec<u8>, CodecError>,
}

fn sample<T>(name: &'static str, value: &T) -> Sample
where
    T: Encode + Decode + DecodeWithMemTracking + PartialEq + Debug,
{
    let bytes = value.encode();
    let decoded = decode_canonical::<T>(&bytes, LEN_MAX);
    assert_eq!(decoded.as_ref(), Ok(value), "{name}");
    Sample {
        name,
        bytes,
        decode: |bytes| decode_canonical::<T>(bytes, LEN_MAX).map(|value| value.encode()),
    }
}

fn all() -> Vec<Sample> {
    let statement = CheckpointStatement::new(chain(), Height(6), Hash([5; 32]), Millis(1_000));
    let certificate = certify(statement.clone(), 3);
    let (log, inclusion, consistency) = samples::log();
    let (_, presence, absence) = samples::tree();
    let (deploy, invoke, admit) = {
        let mut signed = samples::signed_transactions().into_iter().map(|(_, t)| t);
        let mut next = || signed.next().expect("there are seven");
        (next(), next(), next())
    };
    let receipts: Vec<Receipt> = samples::receipts().into_iter().map(|(_, r)| r).collect();
    let validator = validators(4)
        .iter()
        .next()
        .expect("there are four")
        .1
        .clone();
    vec![
        sample::<Transaction>("Transaction", &invoke.transaction),
        sample::<Call>("Call", &deploy.transaction.call),
        sample::<SignedTransaction>("SignedTransaction deploy", &deploy),
        sample::<SignedTransaction>("SignedTransaction invoke", &invoke),
        sample::<SignedTransaction>("SignedTransaction admit", &admit),
        sample::<Batch>("Batch", &samples::batch()),
        sample::<Batch>("empty Batch", &Batch::empty()),
        sample::<Receipt>("Receipt applied", &receipts[0]),
        sample::<Receipt>("Receipt reverted", &receipts[1]),
        sample::<Receipt>("Receipt trapped", &receipts[2]),
        sample::<Status>("Status", &receipts[0].status),
        sample::<TrapKind>("TrapKind", &TrapKind::OutOfFuel),
        sample::<ContractEvent>("ContractEvent", &samples::event()),
        sample::<Header>("Header", &samples::header()),
        sample::<HeaderLog>("HeaderLog", &log),
        sample::<InclusionProof>("InclusionProof", &inclusion),
        sample::<ConsistencyProof>("ConsistencyProof", &consistency),
        sample::<StateProof>("StateProof presence", &presence),
        sample::<StateProof>("StateProof absence", &absence),
        sample::<AccountRecord>("AccountRecord", &samples::account_record()),
        sample::<ContractRecord>("ContractRecord", &samples::contract_record()),
        sample::<UpgradeApproval>("UpgradeApproval", &samples::approval()),
        sample::<Call>("Call upgrade", &samples::calls()[4].1),
        sample::<Call>("Call approve", &samples::calls()[5].1),
        sample::<CheckpointStatement>("CheckpointStatement", &statement),
        sample::<Cosignature>("Cosignature", &certificate.cosignatures[0]),
        sample::<CheckpointCertificate>("CheckpointCertificate", &certificate),
        sample::<ChainLimits>("ChainLimits", &samples::limits()),
        sample::<AccountId>("AccountId", &key(1).account()),
        sample::<PublicKey>("PublicKey", &key(1).public()),
        sample::<Signature>("Signature", &key(1).sign(b"")),
        sample::<Validator>("Validator", &validator),
        sample::<Hash>("Hash", &Hash([1; 32])),
        sample::<Role>("Role", &Role::Deployer),
    ]
}

#[test]
fn every_truncation_is_refused() {
    for Sample {
        name,
        bytes,
        decode,
    } in all()
    {
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{name}, {len} bytes");
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for Sample {
        name,
        mut bytes,
        decode,
    } in all()
    {
        bytes.push(0);
        let refused = decode(&bytes);
        assert_eq!(
            refused,
            Err(CodecError::TrailingBytes { left: 1 }),
            "{name}"
        );
    }
}

#[test]
fn what_is_longer_than_allowed_is_not_looked_at() {
    let bytes = samples::batch().encode();
    let len = bytes.len();
    assert!(decode_canonical::<Batch>(&bytes, len).is_ok());
    let len_max = len - 1;
    let refused = decode_canonical::<Batch>(&bytes, len_max);
    assert_eq!(refused, Err(CodecError::TooLong { len, len_max }));
}

/// A short length written in a mode for long ones decodes to the same value, and must not pass.
#[test]
fn over_long_compact_lengths_are_refused() {
    let call = Call::Invoke {
        contract: samples::CONTRACT,
        method: String::new(),
        args: vec![7; 5],
    };
    let bytes = call.encode();
    assert_eq!(bytes[33..], [0, 5 << 2, 7, 7, 7, 7, 7]);
    let five_in = |mode: &[u8]| [&bytes[..34], mode, &[7; 5]].concat();
    assert!(decode_canonical::<Call>(&five_in(&[5 << 2]), LEN_MAX).is_ok());
    for mode in [
        &[(5 << 2) | 1, 0][..],
        &[(5 << 2) | 2, 0, 0, 0],
        &[3, 5, 0, 0, 0],
        &[7, 5, 0, 0, 0, 0],
    ] {
        assert!(decode_canonical::<Call>(&five_in(mode), LEN_MAX).is_err());
    }
}

/// A sorted-set encoding that lists entries twice or out of order decodes, and is not canonical.
#[test]
fn a_set_out_of_order_is_not_canonical() {
    use std::collections::BTreeSet;
    for entries in [vec![1_u8, 1], vec![2, 1]] {
        let refused = decode_canonical::<BTreeSet<u8>>(&entries.encode(), LEN_MAX);
        assert_eq!(refused, Err(CodecError::NotCanonical));
    }
}

#[test]
fn unknown_variants_and_bools_are_refused() {
    for byte in 5..=255_u8 {
        assert!(decode_canonical::<Call>(&[byte; 80], LEN_MAX).is_err());
    }
    for byte in 3..=255_u8 {
        assert!(decode_canonical::<Status>(&[byte, 0, 0, 0, 0, 0], LEN_MAX).is_err());
    }
    for byte in 22..=255_u8 {
        assert!(decode_canonical::<TrapKind>(&[byte], LEN_MAX).is_err());
    }
    let mut receipt = samples::receipts()[2].1.encode();
    let option = 32 + 2 + 8;
    assert_eq!(receipt[option], 0, "no contract");
    receipt[option] = 2;
    assert!(decode_canonical::<Receipt>(&receipt, LEN_MAX).is_err());
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let mut event = samples::event().encode();
    assert_eq!(&event[33..35], b"ac");
    event[34] = 0xff;
    assert!(decode_canonical::<ContractEvent>(&event, LEN_MAX).is_err());
}

#[derive(Debug, PartialEq, Encode, Decode, DecodeWithMemTracking)]
enum Nest {
    #[codec(index = 0)]
    End,
    #[codec(index = 1)]
    Deeper(Box<Nest>),
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: u32| {
        let depth = usize::try_from(depth).expect("small");
        [vec![1; depth], vec![0]].concat()
    };
    let deepest = (1..=DEPTH_MAX)
        .filter(|depth| decode_canonical::<Nest>(&nested(*depth), LEN_MAX).is_ok())
        .max()
        .expect("some depth is allowed");
    assert!((DEPTH_MAX / 2..=DEPTH_MAX).contains(&deepest), "{deepest}");
    for depth in [deepest + 1, 1_000, 1_000_000] {
        let refused = decode_canonical::<Nest>(&nested(depth), LEN_MAX);
        assert!(matches!(refused, Err(CodecError::Malformed { .. })));
    }
    // The count goes down again on the way up: many siblings are not deep.
    let siblings: Vec<Vec<Vec<u8>>> = vec![vec![vec![1]; 50]; 50];
    assert!(decode_canonical::<Vec<Vec<Vec<u8>>>>(&siblings.encode(), LEN_MAX).is_ok());
}

/// Values that take far more memory than bytes: one byte an empty vector, 24 in memory.
#[test]
fn memory_is_bounded_at_every_depth() {
    let empty: Vec<Vec<u8>> = vec![Vec::new(); 50_000];
    let bytes = empty.encode();
    assert!(50_000 * size_of::<Vec<u8>>() > memory_max(bytes.len()));
    assert!(
        Vec::<Vec<u8>>::decode(&mut &bytes[..]).is_ok(),
        "without limits it is taken"
    );
    let refused = decode_canonical::<Vec<Vec<u8>>>(&bytes, LEN_MAX);
    assert!(
        matches!(refused, Err(CodecError::Malformed { .. })),
        "{refused:?}"
    );
    let deeper = vec![empty].encode();
    let refused = decode_canonical::<Vec<Vec<Vec<u8>>>>(&deeper, LEN_MAX);
    assert!(
        matches!(refused, Err(CodecError::Malformed { .. })),
        "{refused:?}"
    );
}

/// The other side: whatever our own types encode to may be decoded, however small its parts are.
#[test]
fn the_memory_limit_refuses_no_value_of_ours() {
    let smallest = samples::transaction(Call::Admit {
        account: AccountId([0; 32]),
        roles: Vec::new(),
    })
    .sign(&key(1));
    let batch = Batch {
        proposed_time: Millis(0),
        transactions: vec![smallest; 10_000],
    };
    assert!(decode_canonical::<Batch>(&batch.encode(), 1 << 23).is_ok());
    let event = ContractEvent {
        topic: String::new(),
        data: Vec::new(),
        ..samples::event()
    };
    let receipt = Receipt {
        events: vec![event; 10_000],
        ..samples::receipts()[0].1.clone()
    };
    assert!(decode_canonical::<Receipt>(&receipt.encode(), 1 << 23).is_ok());
    let proof = StateProof {
        path: vec![Hash([1; 32]); 256],
        ..samples::tree().1
    };
    assert!(decode_canonical::<StateProof>(&proof.encode(), LEN_MAX).is_ok());
}

/// A length of 2^30 - 1, or the greatest, wherever a length may stand.
#[test]
fn memory_bombs_cost_nothing() {
    let bombs = [
        Compact((1_u32 << 30) - 1).encode(),
        Compact(u32::MAX).encode(),
    ];
    let start = Instant::now();
    for Sample { bytes, decode, .. } in all() {
        for position in 0..=bytes.len() {
            for bomb in &bombs {
                let mut bytes = bytes.clone();
                let end = (position + 1).min(bytes.len());
                bytes.splice(position.min(end)..end, bomb.iter().copied());
                if let Ok(again) = decode(&bytes) {
                    assert_eq!(again, bytes);
                }
            }
        }
    }
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn errors_name_the_rule_and_not_the_input() {
    let limits = ChainLimits::default();
    let long = vec![0x5a; 600_000];
    let refused = SignedTransaction::decode_and_verify(&long, chain(), &limits);
    assert_eq!(
        refused,
        Err(TransactionError::Codec(CodecError::TooLong {
            len: 600_000,
            len_max: 524_288
        }))
    );
    let garbage = vec![0x5a; 100_000];
    let refused = SignedTransaction::decode_and_verify(&garbage, chain(), &limits)
        .expect_err("garbage")
        .to_string();
    assert!(refused.len() < 300, "{refused}");
    let refused = Batch::decode_and_verify(&garbage, chain(), &limits)
        .expect_err("garbage")
        .to_string();
    assert!(refused.len() < 300, "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for Sample { name, decode, .. } in all_once() {
            if let Ok(again) = decode(&bytes) {
                prop_assert_eq!(&again, &bytes, "{}", name);
            }
        }
    }

    #[test]
    fn changed_samples_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let samples = all_once();
        let Sample { name, bytes, decode } = &samples[which.index(samples.len())];
        let mut changed = bytes.clone();
        for (position, byte) in changes {
            let position = position.index(changed.len());
            changed[position] = byte;
        }
        if let Ok(again) = decode(&changed) {
            prop_assert_eq!(&again, &changed, "{}", name);
        }
    }
}

fn all_once() -> &'static [Sample] {
    static ALL: std::sync::OnceLock<Vec<Sample>> = std::sync::OnceLock::new();
    ALL.get_or_init(all)
}

/// Each rule for a transaction by itself.
mod transaction_rules {
    use super::*;

    fn limits() -> ChainLimits {
        ChainLimits {
            args_bytes_max: 64,
            code_bytes_max: 64,
            method_bytes_max: 8,
            transaction_fuel_max: 100,
            transaction_bytes_max: 400,
            upgraders_max: 3,
            ..ChainLimits::default()
        }
    }

    fn refused(change: impl FnOnce(&mut Transaction)) -> TransactionError {
        let mut transaction = samples::transaction(Call::Invoke {
            contract: samples::CONTRACT,
            method: "m".to_owned(),
            args: Vec::new(),
        });
        transaction.fuel_max.0 = 100;
        assert!(
            transaction
                .clone()
                .sign(&key(1))
                .verify(chain(), &limits())
                .is_ok()
        );
        change(&mut transaction);
        transaction
            .sign(&key(1))
            .verify(chain(), &limits())
            .expect_err("it breaks a rule")
    }

    #[test]
    fn another_chain() {
        let error = refused(|transaction| transaction.chain.0[0] ^= 1);
        assert!(matches!(error, TransactionError::WrongChain { .. }));
    }

    #[test]
    fn too_much_fuel() {
        let error = refused(|transaction| transaction.fuel_max.0 = 101);
        assert!(matches!(
            error,
            TransactionError::TooMuchFuel { most: 100, .. }
        ));
    }

    #[test]
    fn parts_over_their_limits() {
        let invoke = |method: &str, args: usize| Call::Invoke {
            contract: samples::CONTRACT,
            method: method.to_owned(),
            args: vec![0; args],
        };
        let deploy = |code: usize, args: usize| Call::Deploy {
            code: vec![0; code],
            upgraders: Upgraders::nobody(),
            args: vec![0; args],
        };
        let upgrade = |code: usize, args: usize| Call::Upgrade {
            contract: samples::CONTRACT,
            version: 1,
            code: vec![0; code],
            args: vec![0; args],
        };
        for (call, expected) in [
            (invoke("ninechars", 0), "method"),
            (invoke("m", 65), "args"),
            (deploy(65, 0), "code"),
            (deploy(64, 65), "args"),
            (upgrade(65, 0), "code"),
            (upgrade(64, 65), "args"),
        ] {
            let error = refused(|transaction| transaction.call = call);
            assert!(
                matches!(error, TransactionError::PartTooLong { part, .. } if part == expected),
                "{error}"
            );
        }
        let whole = refused(|transaction| transaction.call = deploy(400, 0));
        assert!(matches!(
            whole,
            TransactionError::Codec(CodecError::TooLong { .. })
        ));
    }

    #[test]
    fn roles_out_of_order_or_twice() {
        for roles in [
            vec![Role::Deployer, Role::Registrar],
            vec![Role::Deployer, Role::Deployer],
        ] {
            let account = key(2).account();
            let error = refused(|transaction| transaction.call = Call::Admit { account, roles });
            assert_eq!(error, TransactionError::RolesNotSorted);
        }
    }

    #[test]
    fn lists_of_upgraders_that_cannot_be() {
        let accounts = |count: u8| (0..count).map(|i| AccountId([i; 32])).collect::<Vec<_>>();
        let deploy = |upgraders| Call::Deploy {
            code: Vec::new(),
            upgraders,
            args: Vec::new(),
        };
        let too_many = UpgradersError::TooMany {
            count: 4,
            count_max: 3,
        };
        let quorum = |quorum, count| UpgradersError::Quorum { quorum, count };
        let unsorted = |a, b| Upgraders {
            quorum: 1,
            accounts: vec![AccountId([a; 32]), AccountId([b; 32])],
        };
        for (upgraders, expected) in [
            (Upgraders::of(1, accounts(4)), too_many),
            (unsorted(2, 1), UpgradersError::NotSorted),
            (unsorted(1, 1), UpgradersError::NotSorted),
            (Upgraders::of(1, accounts(0)), quorum(1, 0)),
            (Upgraders::of(0, accounts(1)), quorum(0, 1)),
            (Upgraders::of(0, accounts(3)), quorum(0, 3)),
            (Upgraders::of(4, accounts(3)), quorum(4, 3)),
            (Upgraders::of(u32::MAX, accounts(3)), quorum(u32::MAX, 3)),
        ] {
            let error = refused(|transaction| transaction.call = deploy(upgraders));
            assert_eq!(error, TransactionError::Upgraders(expected));
        }
        for (quorum, count) in [(0, 0), (1, 1), (1, 3), (3, 3)] {
            let upgraders = Upgraders::of(quorum, accounts(count));
            assert_eq!(upgraders.check(&limits()), Ok(()));
            let mut reversed = accounts(count);
            reversed.extend(accounts(count));
            reversed.reverse();
            assert_eq!(Upgraders::of(quorum, reversed), upgraders);
            assert!(
                accounts(count)
                    .iter()
                    .all(|account| upgraders.contains(account))
            );
            assert!(!upgraders.contains(&AccountId([9; 32])));
        }
    }

    #[test]
    fn another_signature_or_sender() {
        let signed = samples::signed_transactions()[1].1.clone();
        let limits = ChainLimits::default();
        for bit in 0..512 {
            let mut forged = signed.clone();
            forged.signature.0[bit / 8] ^= 1 << (bit % 8);
            let refused = forged.verify(chain(), &limits);
            assert!(matches!(
                refused,
                Err(TransactionError::WrongSignature { .. })
            ));
        }
        let mut forged = signed;
        forged.transaction.sender = key(2).account();
        assert!(forged.verify(chain(), &limits).is_err());
    }
}

/// Each rule for a batch by itself.
mod batch_rules {
    use super::*;

    fn limits() -> ChainLimits {
        ChainLimits {
            batch_transactions_max: 7,
            batch_fuel_max: 7_000_000,
            ..ChainLimits::default()
        }
    }

    fn refused(change: impl FnOnce(&mut Batch)) -> BatchError {
        let mut batch = samples::batch();
        assert!(batch.clone().verify(chain(), &limits()).is_ok());
        change(&mut batch);
        batch
            .verify(chain(), &limits())
            .expect_err("it breaks a rule")
    }

    fn another(change: impl FnOnce(&mut Transaction)) -> SignedTransaction {
        let mut transaction = samples::batch().transactions[0].transaction.clone();
        change(&mut transaction);
        transaction.sign(&key(1))
    }

    #[test]
    fn too_many_or_too_much() {
        let error = refused(|batch| batch.transactions.push(another(|t| t.salt = 1)));
        assert_eq!(
            error,
            BatchError::TooManyTransactions {
                count: 8,
                count_max: 7
            }
        );
        let error = refused(|batch| batch.transactions[0] = another(|t| t.fuel_max.0 += 1));
        assert_eq!(
            error,
            BatchError::TooMuchFuel {
                fuel_max: 7_000_000
            }
        );
        let error = refused(|batch| {
            batch.transactions[0] = another(|t| t.fuel_max.0 = u64::MAX);
        });
        assert_eq!(
            error,
            BatchError::TooMuchFuel {
                fuel_max: 7_000_000
            }
        );
    }

    #[test]
    fn more_code_than_one_transaction_may_bring() {
        let batch = samples::batch();
        let of_code = batch.transactions.iter().map(|signed| &signed.transaction);
        let of_code = of_code.filter(|transaction| transaction.call.code().is_some());
        let declared: u64 = of_code.map(|transaction| transaction.fuel_max.0).sum();
        assert!(
            batch.brings_code() && declared > 1_000_000,
            "more than one does"
        );
        let verified = |transaction_fuel_max| {
            let limits = ChainLimits {
                transaction_fuel_max,
                ..limits()
            };
            batch.clone().verify(chain(), &limits)
        };
        assert!(verified(declared).is_ok());
        let fuel_max = declared - 1;
        assert_eq!(
            verified(fuel_max),
            Err(BatchError::TooMuchCode { fuel_max })
        );
    }

    #[test]
    fn a_transaction_twice() {
        let error = refused(|batch| batch.transactions[1] = batch.transactions[0].clone());
        assert!(matches!(error, BatchError::Repeated { .. }));
    }

    #[test]
    fn times() {
        let at = samples::batch().proposed_time.0;
        let valid_for_ms_max = limits().valid_for_ms_max;
        for (valid_until, is_valid) in [
            (at, false),
            (at + 1, true),
            (at + valid_for_ms_max, true),
            (at + valid_for_ms_max + 1, false),
            (u64::MAX, false),
        ] {
            let mut batch = samples::batch();
            batch.transactions[0] = another(|t| t.valid_until.0 = valid_until);
            let verified = batch.verify(chain(), &limits());
            assert_eq!(verified.is_ok(), is_valid, "{valid_until}: {verified:?}");
        }
    }

    #[test]
    fn one_bad_transaction() {
        let error = refused(|batch| batch.transactions[2].signature.0[0] ^= 1);
        assert!(matches!(error, BatchError::Transaction { .. }));
        let error = refused(|batch| batch.transactions[2] = another(|t| t.chain.0[0] ^= 1));
        assert!(matches!(error, BatchError::Transaction { .. }));
    }
}
