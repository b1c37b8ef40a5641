//! Whatever one faulty validator signs: nobody panics, memory stays bounded, the others agree.

mod common;

use chancery_consensus::{Ballot, Body, Heard, SlotStatus, Status};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{BatchDigest, Hash, Height, Millis, Slot, View};
use common::{CHAIN, Cluster, EPOCH_MS, Random, World, batch_at, signed};

/// Numbers where something may go wrong.
fn number(random: &mut Random, near: u64) -> u64 {
    match random.below(8) {
        0 => 0,
        1 => u64::MAX - random.below(3),
        2 => random.next(),
        3 => u64::MAX / 2 + random.below(3),
        4 => near.saturating_sub(random.below(20)),
        _ => near.saturating_add(random.below(20)),
    }
}

fn view(random: &mut Random) -> View {
    if random.chance(90) {
        View(0)
    } else {
        View(number(random, 4))
    }
}

/// A message body that a faulty validator may think of; `seen` are digests of batches that exist.
fn body(
    random: &mut Random,
    near: u64,
    seen: &[BatchDigest],
    certificate: Option<&CheckpointCertificate>,
) -> Body {
    let digest = if seen.is_empty() || random.chance(10) {
        BatchDigest([u8::try_from(random.below(256)).expect("a byte"); 32])
    } else {
        seen[usize::try_from(random.below(u64::try_from(seen.len()).expect("small")))
            .expect("small")]
    };
    let ballot = Ballot {
        view: view(random),
        slot: Slot(number(random, near)),
        digest,
    };
    match random.below(6) {
        0 => Body::PrePrepare(ballot),
        1 => Body::Prepare(ballot),
        2 => Body::Commit(ballot),
        3 => Body::Checkpoint(CheckpointStatement::new(
            CHAIN,
            Height(number(random, near)),
            Hash([u8::try_from(random.below(3)).expect("a byte"); 32]),
            Millis(EPOCH_MS),
        )),
        4 => {
            let mut slots: Vec<u64> = (0..random.below(40))
                .map(|_| number(random, near))
                .collect();
            slots.sort_unstable();
            slots.dedup();
            let bits = |random: &mut Random| u32::try_from(random.below(16)).expect("four bits");
            let slots = slots
                .into_iter()
                .map(|slot| SlotStatus {
                    slot: Slot(slot),
                    pre_prepare: random.chance(50),
                    batch: random.chance(50),
                    prepares: bits(random),
                    commits: bits(random),
                    checkpoints: bits(random),
                })
                .collect();
            Body::Status(Status {
                view: view(random),
                stable: Height(number(random, near)),
                executed: Height(number(random, near)),
                changing: random.chance(50),
                incarnation: random.next(),
                heard: vec![Heard::default(); 4],
                slots,
            })
        }
        _ => match certificate {
            Some(certificate) => {
                let mut certificate = certificate.clone();
                if random.chance(30) {
                    certificate.statement.height = Height(number(random, near));
                }
                Body::Certificate(certificate)
            }
            None => Body::Prepare(ballot),
        },
    }
}

/// The faulty one sends to the others, in a running cluster, what its key can sign.
fn check_survives(faulty: u16, seed: u64, messages: usize) {
    let world = World {
        loss_percent: 2,
        slots_max: 40,
        ..World::default()
    };
    let mut cluster = Cluster::new(4, 4, seed, world);
    cluster.played.insert(faulty);
    cluster.start();
    let context = common::context(4);
    let mut random = Random(seed);
    let mut seen = Vec::new();
    let correct: Vec<usize> = (0..4).filter(|i| *i != usize::from(faulty)).collect();
    for _ in 0..messages {
        let to = correct[usize::try_from(random.below(3)).expect("small")];
        if random.chance(20) {
            let batch = batch_at(Millis(EPOCH_MS + cluster.now_ms + random.below(30_000)));
            seen.push(batch.digest());
            if seen.len() > 6 {
                seen.remove(0);
            }
            cluster.deliver_batch(to, batch);
        }
        let near = cluster.height(to);
        let certificate = cluster.nodes[to].disk.stable.clone();
        let body = body(&mut random, near, &seen, certificate.as_ref());
        let is_last = matches!(&body, Body::Checkpoint(s) if s.height.0 == u64::MAX);
        // Such a statement has no signed bytes; it is refused before they are asked for.
        if !is_last && let Ok(message) = signed(faulty, body).verify(&context) {
            cluster.deliver(to, message);
        }
        cluster.run(random.below(10));
    }
    cluster.check_agreement();
    assert!(cluster.nodes.iter().all(|node| !node.halted));
    if faulty != 0 {
        let done = cluster.run_until(60_000, |cluster| {
            correct
                .iter()
                .all(|index| cluster.final_height(*index) >= 40)
        });
        assert!(done, "faulty {faulty} seed {seed}: {}", cluster.describe());
    }
}

#[test]
fn nothing_that_a_faulty_backup_signs_hurts_the_others() {
    for seed in 0..8 {
        for faulty in [1, 2, 3] {
            check_survives(faulty, seed, 600);
        }
    }
}

#[test]
fn nothing_that_a_faulty_primary_signs_makes_two_orders() {
    for seed in 0..24 {
        check_survives(0, seed, 600);
    }
}
