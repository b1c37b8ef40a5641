//! Whatever one faulty validator signs: nobody panics, memory stays bounded, the others agree.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use chancery_consensus::{
    Ballot, Body, Heard, PreparedCertificate, Record, SignedMessage, SlotStatus, Status, ViewChange,
};
use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement};
use chancery_ledger::{BatchDigest, Hash, Height, Millis, Slot, View};
use common::{CHAIN, Cluster, EPOCH_MS, Random, World, batch_at, new_view, signed};

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

fn view(random: &mut Random, now: u64) -> View {
    match random.below(10) {
        0 => View(number(random, now)),
        1 => View(now + 1 + random.below(4)),
        _ => View(now),
    }
}

/// Prepared certificates that exist somewhere, in slots above `low`, one a slot.
fn certificates(cluster: &Cluster, random: &mut Random, low: u64) -> Vec<PreparedCertificate> {
    let all = cluster.nodes.iter().flat_map(|node| &node.disk.records);
    let mut chosen = BTreeMap::new();
    for record in all {
        if let Record::Prepared(certificate) = record
            && certificate.ballot.slot.0 > low
            && random.chance(60)
        {
            chosen.insert(certificate.ballot.slot, certificate.clone());
        }
    }
    chosen.into_values().collect()
}

/// What one who leaves out, or makes up, what it likes says of what it knows.
fn a_view_change(cluster: &Cluster, random: &mut Random, near: usize) -> ViewChange {
    let stable = cluster.nodes[near]
        .disk
        .stable
        .clone()
        .filter(|_| random.chance(70));
    let low = stable
        .as_ref()
        .map_or(0, |stable| stable.statement.height.0);
    let mut prepared = certificates(cluster, random, low);
    if random.chance(20)
        && let Some(certificate) = prepared.first_mut()
    {
        certificate.ballot.digest = BatchDigest([1; 32]);
    }
    ViewChange {
        view: view(random, cluster.view(near) + 1),
        stable,
        prepared,
    }
}

/// A NEW-VIEW by `faulty` from a VIEW-CHANGE of its own and what others really sent, if it can.
fn a_new_view(
    cluster: &Cluster,
    random: &mut Random,
    faulty: u16,
    near: usize,
) -> Option<SignedMessage> {
    let views: Vec<u64> = cluster
        .views
        .keys()
        .map(|(_, _, view)| view.0)
        .filter(|view| view % 4 == u64::from(faulty))
        .collect();
    let view = *views.iter().max()?;
    let mut said: Vec<(u16, ViewChange)> = cluster
        .views
        .iter()
        .filter_map(|((from, _, of), message)| match &message.body {
            Body::ViewChange(view_change) if of.0 == view => Some((from.0, view_change.clone())),
            _ => None,
        })
        .collect();
    let own = ViewChange {
        view: View(view),
        ..a_view_change(cluster, random, near)
    };
    said.truncate(2);
    said.push((faulty, own));
    said.sort_by_key(|(from, _)| *from);
    let mut message = new_view(4, view, &said);
    if random.chance(20)
        && let Body::NewView(new_view) = &mut message.body
    {
        new_view.proposals.pop();
        message = signed(faulty, message.body);
    }
    Some(message)
}

/// A message body that a faulty validator may think of; `seen` are digests of batches that exist.
fn body(
    random: &mut Random,
    near: u64,
    now: u64,
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
        view: view(random, now),
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
                view: view(random, now),
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
/// Says how many views of its own it began.
fn check_survives(faulty: u16, seed: u64, messages: usize) -> usize {
    let world = World {
        loss_percent: 2,
        slots_max: 40,
        ..World::default()
    };
    let mut cluster = Cluster::new(4, 4, seed, world);
    cluster.played.insert(faulty);
    cluster.start();
    let context = cluster.context.clone();
    let mut random = Random(seed);
    let mut seen = Vec::new();
    let mut begun = BTreeSet::new();
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
        let now = cluster.view(to);
        let body = match random.below(8) {
            0 => Body::ViewChange(a_view_change(&cluster, &mut random, to)),
            1 => match a_new_view(&cluster, &mut random, faulty, to) {
                Some(message) => message.body,
                None => continue,
            },
            _ => body(&mut random, near, now, &seen, certificate.as_ref()),
        };
        let is_last = matches!(&body, Body::Checkpoint(s) if s.height.0 == u64::MAX);
        // Such a statement has no signed bytes; it is refused before they are asked for.
        if !is_last && let Ok(message) = signed(faulty, body).verify(&context) {
            let begins = match &message.message().body {
                Body::NewView(new_view) => Some(new_view.view),
                _ => None,
            };
            cluster.deliver(to, message);
            begun.extend(begins.filter(|view| cluster.nodes[to].disk.entered() == *view));
        }
        cluster.run(random.below(30));
        // Now and then the primary is cut off, so that views change.
        if random.chance(2) {
            let primary = usize::try_from(cluster.view(correct[0]) % 4).expect("small");
            cluster.loses = Box::new(move |from, to, _| from == primary || to == primary);
        } else if random.chance(2) {
            cluster.loses = Box::new(|_, _, _| false);
        }
        if random.chance(1) {
            let one = correct[usize::try_from(random.below(3)).expect("small")];
            cluster.crash(one);
            cluster.start_node(one);
        }
    }
    cluster.check_agreement();
    cluster.loses = Box::new(|_, _, _| false);
    assert!(cluster.nodes.iter().all(|node| !node.halted));
    let done = cluster.run_until(60_000, |cluster| {
        correct
            .iter()
            .all(|index| cluster.final_height(*index) >= 40)
    });
    assert!(done, "faulty {faulty} seed {seed}: {}", cluster.describe());
    cluster.check_agreement();
    begun.len()
}

#[test]
fn nothing_that_a_faulty_backup_signs_hurts_the_others() {
    let mut begun = 0;
    for seed in 0..8 {
        for faulty in [1, 2, 3] {
            begun += check_survives(faulty, seed, 600);
        }
    }
    assert!(begun > 10, "{begun} views of a liar");
}

#[test]
fn nothing_that_a_faulty_primary_signs_makes_two_orders() {
    let mut begun = 0;
    for seed in 0..48 {
        begun += check_survives(0, seed, 600);
    }
    assert!(begun >= 2, "{begun} views of a liar");
}
