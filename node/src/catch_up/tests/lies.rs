//! Servers that serve something else.

use chancery_ledger::header_log::HeaderLog;
use parity_scale_codec::Encode as _;
use proptest::prelude::*;

use super::snapshot::SnapshotError;
use super::*;
use crate::wire::SnapshotOffer;

type Lie = fn(&mut Vec<SnapshotPart>);

fn offer(parts: &mut [SnapshotPart]) -> &mut SnapshotOffer {
    match &mut parts[0] {
        SnapshotPart::Offer(offer) => offer,
        part => panic!("{part:?}"),
    }
}

fn blocks(parts: &mut [SnapshotPart]) -> &mut Vec<crate::wire::PastBlock> {
    match &mut parts[1] {
        SnapshotPart::Blocks { blocks, .. } => blocks,
        part => panic!("{part:?}"),
    }
}

fn entries(parts: &mut [SnapshotPart]) -> &mut Vec<crate::wire::StateEntry> {
    match &mut parts[2] {
        SnapshotPart::State { entries, .. } => entries,
        part => panic!("{part:?}"),
    }
}

/// Hands the parts over until one is refused.
fn refusal(joiner: &mut Ledger<'_>, parts: Vec<SnapshotPart>) -> Option<CatchUpError> {
    let mut joined = false;
    for part in parts {
        match joiner.take(part) {
            Ok(taken) => joined = taken.joined.is_some(),
            Err(error) => return Some(error),
        }
    }
    assert!(joined, "the whole snapshot came");
    None
}

#[test]
fn every_lie_is_found_and_nothing_of_it_is_installed() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 40);
    let parts = server.parts(0);
    assert_eq!(parts.len(), 3);
    let lies: [(&str, Lie); 18] = [
        ("one cosigner too few", |parts| {
            offer(parts).certificate.cosignatures.pop();
        }),
        ("a cosigner twice", |parts| {
            let cosignatures = &mut offer(parts).certificate.cosignatures;
            cosignatures[2] = cosignatures[1];
        }),
        ("of another chain", |parts| {
            offer(parts).certificate.statement.chain.0[0] ^= 1;
        }),
        ("another root", |parts| {
            offer(parts).certificate.statement.root.0[0] ^= 1;
        }),
        ("a certificate of another height", |parts| {
            offer(parts).certificate.statement.height = Height(39);
        }),
        ("height regress", |parts| {
            offer(parts).header.height = Height(0);
        }),
        ("a height that no block has", |parts| {
            offer(parts).header.height = Height(u64::MAX);
            offer(parts).certificate.statement.height = Height(u64::MAX);
        }),
        ("another state root", |parts| {
            offer(parts).header.state_root.0[0] ^= 1;
        }),
        ("another edge", |parts| {
            let mut log = HeaderLog::default();
            for _ in 0..40 {
                log.append(Hash([7; 32]));
            }
            offer(parts).log = log;
        }),
        ("no block", |parts| blocks(parts).clear()),
        ("a block left out", |parts| {
            blocks(parts).remove(1);
        }),
        ("blocks in another order", |parts| blocks(parts).swap(1, 2)),
        ("no transactions", |parts| {
            blocks(parts)[3].transactions.clear();
        }),
        ("a transaction of another block", |parts| {
            let other = blocks(parts)[4].transactions.clone();
            blocks(parts)[3].transactions = other;
        }),
        ("another value", |parts| entries(parts)[1].value.push(1)),
        ("no value", |parts| entries(parts)[1].value.clear()),
        ("entries in another order", |parts| {
            entries(parts).swap(1, 2)
        }),
        ("one entry more", |parts| {
            let last = entries(parts).len() - 1;
            let mut entry = entries(parts)[last].clone();
            // Of a key behind all others.
            while key_hash(&entry.key) <= key_hash(&entries(parts)[last].key) {
                entry.key.push(0);
            }
            entries(parts).push(entry);
        }),
    ];
    for (what, lie) in lies {
        let mut joiner = Ledger::new(&world);
        let mut lying = parts.clone();
        lie(&mut lying);
        let error = refusal(&mut joiner, lying);
        let found = matches!(error, Some(CatchUpError::Snapshot(_)));
        assert!(found, "{what}: {error:?}");
        check_nothing_is_installed(joiner);
    }
}

fn check_nothing_is_installed(mut joiner: Ledger<'_>) {
    assert_eq!(joiner.tip(), 0);
    joiner.check_state();
    joiner.execute_up_to(1);
    assert_eq!(joiner.reopen().tip(), 1);
}

#[test]
fn a_part_that_was_not_asked_for_is_refused() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 40);
    let parts = server.parts(0);
    for wrong in [vec![1], vec![2], vec![0, 2], vec![0, 1, 1]] {
        let mut joiner = Ledger::new(&world);
        let parts = wrong.iter().map(|part| parts[*part].clone()).collect();
        let error = refusal(&mut joiner, parts);
        let unexpected = Some(CatchUpError::Snapshot(SnapshotError::Unexpected));
        assert_eq!(format!("{error:?}"), format!("{unexpected:?}"), "{wrong:?}");
        check_nothing_is_installed(joiner);
    }
}

#[test]
fn a_certified_chain_without_the_certified_block_here_is_a_divergence() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 20);
    let mut joiner = Ledger::new(&world);
    for _ in 0..3 {
        joiner.executor.execute(&Batch::empty()).expect("a disk");
        let certificate = world.certify(&joiner.executor);
        joiner.executor.keep_certificate(certificate);
    }
    joiner.executor.flush_certificates().expect("a disk");
    let error = refusal(&mut joiner, server.parts(0));
    let found = matches!(
        error,
        Some(CatchUpError::Diverged {
            height: Height(3),
            ..
        })
    );
    assert!(found, "{error:?}");
    assert_eq!(joiner.tip(), 3);
}

#[test]
fn mutated_parts_never_panic_and_never_install_anything_else() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 12);
    let parts = server.parts(0);
    let limits = world.genesis.limits();
    let frames: Vec<Vec<u8>> = parts
        .into_iter()
        .map(|part| BulkMessage::Snapshot(part).encode())
        .collect();
    let mutation = (
        0..frames.len(),
        any::<prop::sample::Index>(),
        0..8_u8,
        0..3_u8,
        any::<u8>(),
    );
    proptest!(ProptestConfig::with_cases(400), |(mutation in mutation)| {
        let (which, at, bit, how, byte) = mutation;
        let mut joiner = Ledger::new(&world);
        let mut joined = false;
        for (i, frame) in frames.iter().enumerate() {
            let mut frame = frame.clone();
            if i == which {
                let at = at.index(frame.len());
                match how {
                    0 => frame[at] ^= 1 << bit,
                    1 => frame.insert(at, byte),
                    _ => { frame.remove(at); }
                }
            }
            let Ok(BulkMessage::Snapshot(part)) = BulkMessage::from_frame(&frame, limits) else {
                break;
            };
            match joiner.take(part) {
                Ok(taken) => joined = taken.joined.is_some(),
                Err(CatchUpError::Snapshot(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        if joined {
            prop_assert_eq!(joiner.executor.tip(), server.executor.tip());
        } else {
            prop_assert_eq!(joiner.tip(), 0);
        }
        joiner.check_state();
    });
}
