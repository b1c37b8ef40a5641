//! What is written down while a world runs: notes in the trace's table, and counters.

use std::collections::BTreeMap;

use chancery_consensus::{Body, Cause, Mode, NewView, Refusal, SignedMessage, VoteKind};
use chancery_ledger::{Batch, BatchDigest, Slot};

use crate::node::{Node, Observation};
use crate::world::World;

/// A process told something about itself.
pub(crate) fn observation<N: Node>(world: &mut World<N>, process: usize, what: &Observation) {
    let now = world.now_ms;
    match what {
        Observation::Executed { slot, batch, .. } => {
            world.trace.add(&[now, process as u64, 3, slot.0]);
            if world.oracle.height().0 < slot.0 {
                world.counters.count("block");
            }
            let short = short(&batch.0);
            world
                .trace
                .note(now, process, || format!("EXECUTED {slot} {short}"));
        }
        Observation::Final(certificate) => {
            let height = certificate.statement.height;
            world.trace.note(now, process, || format!("FINAL {height}"));
        }
        Observation::Joined(statement) => {
            let height = statement.height;
            world.counters.count("snapshot joined");
            world
                .trace
                .note(now, process, || format!("JOINED {height}"));
        }
        Observation::Halted(why) => {
            world.counters.count("process halted");
            world.trace.note(now, process, || format!("HALT {why:?}"));
        }
        Observation::Count(what) => world.counters.count(what),
        Observation::Evidence(evidence) => {
            let accused = evidence.first.from;
            world.counters.count("evidence made");
            world
                .trace
                .note(now, process, || format!("EVIDENCE against {accused}"));
        }
        Observation::Durable(_) | Observation::Proposed(_) | Observation::Handed(_) => {}
    }
}

/// A process sends a message.
pub(crate) fn sent<N: Node>(world: &mut World<N>, process: usize, message: &SignedMessage) {
    if message.from != world.processes[process].key || !world.trace.is_kept() {
        return;
    }
    let now = world.now_ms;
    let text = match message.body.vote() {
        Some((kind, ballot)) => {
            let kind = match kind {
                VoteKind::PrePrepare => "PP",
                VoteKind::Prepare => "P",
                VoteKind::Commit => "C",
            };
            let digest = short(&ballot.digest.0);
            format!("{kind} v{} s{} {digest}", ballot.view, ballot.slot)
        }
        None => match &message.body {
            Body::Checkpoint(statement) => format!("CHECKPOINT {}", statement.height),
            Body::ViewChange(change) => {
                format!("VIEW-CHANGE {} ({})", change.view, change.prepared.len())
            }
            Body::NewView(begun) => format!("NEW-VIEW {} ({})", begun.view, begun.proposals.len()),
            _ => return,
        },
    };
    if world.processes[process].last_note != text {
        world.processes[process].last_note.clone_from(&text);
        world.trace.note(now, process, || text);
    }
}

/// A message that nobody sent before is on the wire.
pub(crate) fn first_sent<N: Node>(world: &mut World<N>, message: &SignedMessage) {
    let Body::NewView(begun) = &message.body else {
        return;
    };
    world.counters.count("view change");
    let gap = Batch::empty().digest();
    if begun.proposals.iter().any(|carried| carried.digest != gap) {
        world.counters.count("NEW-VIEW carrying prepared slots");
    }
    if begun.proposals.iter().any(|carried| carried.digest == gap) {
        world.counters.count("gap filled");
    }
    if competes(begun) {
        world.counters.count("competing certificates for a slot");
    }
}

/// Whether two batches are prepared in one slot, in different views.
fn competes(begun: &NewView) -> bool {
    let mut prepared: BTreeMap<Slot, BatchDigest> = BTreeMap::new();
    let certificates = begun
        .view_changes
        .iter()
        .flat_map(|change| &change.view_change.prepared);
    let mut competes = false;
    for certificate in certificates {
        let ballot = certificate.ballot;
        let before = prepared.insert(ballot.slot, ballot.digest);
        competes |= before.is_some_and(|before| before != ballot.digest);
    }
    competes
}

/// What a look at the running replicas shows.
pub(crate) fn look<N: Node>(world: &mut World<N>, index: usize) {
    let Some(overview) = world.overview(index) else {
        return;
    };
    let process = &mut world.processes[index];
    process.view = process.view.max(overview.view.0);
    let is_quarantined = matches!(overview.mode, Mode::Quarantine { .. });
    let is_on_probation = matches!(overview.mode, Mode::Probation { .. });
    if process.quarantined != is_quarantined {
        process.quarantined = is_quarantined;
        let (what, note) = if is_quarantined {
            ("quarantine entered", "QUARANTINE")
        } else {
            ("quarantine left", "OUT OF QUARANTINE")
        };
        world.counters.count(what);
        world.trace.note(world.now_ms, index, || note.to_owned());
    }
    let process = &mut world.processes[index];
    process.was_quarantined |= is_quarantined;
    // It votes again. Only a quarantine makes it harmless: who was rolled back and did not notice
    // may have forgotten a vote that hardly anybody knows of.
    if process.damaged && process.was_quarantined && !is_quarantined && !is_on_probation {
        process.damaged = false;
        world.counters.count("damaged disk recovered from");
    }
    let process = &mut world.processes[index];
    if overview.view_changes_begun > process.view_changes_begun {
        process.view_changes_begun = overview.view_changes_begun;
        let why = match overview.left_because {
            Some(Cause::NoProgress) => "view left, no progress",
            Some(Cause::NoNewView) => "view left, no NEW-VIEW",
            Some(Cause::Joined) => "view joined by f+1",
            Some(Cause::Evidence) => "view left, its primary lied",
            Some(Cause::Neglect(_)) => "view left, its primary neglects",
            None => return,
        };
        world.counters.count(why);
    }
}

/// What the replicas that run at the end have refused since they started.
pub(crate) fn refusals<N: Node>(world: &mut World<N>) {
    for index in 0..world.processes.len() {
        let Some(overview) = world.overview(index) else {
            continue;
        };
        for (why, times) in overview.refused {
            let what = match why {
                Refusal::OtherView => "stale view refused",
                Refusal::Superseded => "superseded vote refused",
                Refusal::BelowWindow => "below the window, refused",
                Refusal::AboveWindow => "above the window, refused",
                Refusal::Conflicting => "conflicting message refused",
                _ => continue,
            };
            world.counters.add(what, times);
        }
    }
}

fn short(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(2)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
