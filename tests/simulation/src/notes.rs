//! What is written down while a world runs: notes in the trace's table, and counters.

use chancery_consensus::{Body, SignedMessage, VoteKind};

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
        Observation::Durable(_) | Observation::Proposed(_) => {}
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

fn short(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(2)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
