//! PBFT (Castro and Liskov, OSDI '99), every message signed, as a pure state machine:
//! [`Replica::step`] takes an [`Event`] and returns ordered [`Action`]s. No I/O, no clock, no
//! thread, no randomness, nothing whose order a hasher decides: one sequence of events gives one
//! sequence of actions. What is ordered are batches, by digest; this crate knows no block, no
//! transaction and no state. The active view is 0; the rules below are written for any view.
//!
//! # The rules
//!
//! **Sets and votes**
//! - **R1** Of n validators f = floor((n-1)/3) may be faulty; a quorum is q = ceil((n+f+1)/2)
//!   *distinct* ones. The primary of view v is v mod n. A message counts for the validator that
//!   signed it, whoever delivers it, and each validator has one say in each place: what it says
//!   second is dropped and counted.
//!
//! **Ordering**
//! - **R2** The primary puts each batch it is given into the slot above all it ever proposed, while
//!   that is within the window. With nothing in flight it wants whatever waits, at once; with
//!   others in flight it wants a full batch, or whatever waits once a slot was ordered. Where the
//!   window has four slots or more, the last one is kept for R5.
//! - **R3** The *low* water mark is the newest height with a checkpoint certificate, executed here
//!   or not. Votes of the active view are taken in for slots in (low, low + 2 window], so that who
//!   is one window behind loses nothing; and in (low - window, low] for slots not ordered here yet.
//!   All else is refused, so memory is bounded whatever anybody sends.
//! - **R4** A backup accepts PRE-PREPARE(v, s, d) and sends PREPARE(v, s, d) iff v is the active
//!   view, it is from v's primary, low < s <= low + window, it has accepted no other digest for
//!   (v, s), no other one is committed in s, the whole batch is here and is durable, and the
//!   batch's time is judged near (R5). Else the PRE-PREPARE is kept until all that holds.
//! - **R5** A proposal is *fresh* if its batch's time is at most `clock_drift_ms_max` ahead of the
//!   clock now and was at most that far behind it when its PRE-PREPARE came (the digest commits to
//!   the time, so the batch existed by then, however long its bytes take). A fresh one is near. An
//!   *early* one is kept until the clock gets there. A *late* one, or an early one, is near also if
//!   f + 1 others stand for it, a backup among them: the primary by its proposal, backups by PREPARE
//!   or COMMIT. One of them is correct, and made the batch by its own clock or found it fresh; a
//!   clock that disagrees is then this validator's own, or it was paused. A late one is near also
//!   if a fresh proposal of the same primary stands above it in the window, its *companion*: block
//!   time never goes back, and catches up as soon as the companion is executed. Without this, a
//!   proposal that everybody missed (all restarted, say) would block its slot. A primary whose
//!   newest open proposal is late, and which hears a quorum, therefore proposes once more, even
//!   nothing. What was accepted before a restart is not judged again.
//! - **R6** prepared(v, s, d): accepted here, and the PRE-PREPARE together with PREPAREs of backups
//!   are from q distinct validators. Then the certificate is made durable and COMMIT(v, s, d) is
//!   sent, if still low < s. The primary sends no PREPARE; one from it is refused.
//! - **R7** committed(s, d): q COMMITs of one view for d. They need not follow from what was
//!   accepted here: they prove the order by themselves. A replica that executed a slot by them still
//!   votes in it, for that digest only.
//! - **R8** Committed batches that are here are handed over in slot order, each slot once.
//! - **R9** A batch is kept while a slot within R3 wants it: its digest was proposed, accepted or
//!   committed there, or f + 1 voted for it. Of batches that nothing names yet, the newest
//!   `loose_batches_max` are kept.
//!
//! **Keeping one's word** (`safety.rs`, the only holder of the key)
//! - **R10** Durable before it is relied on: the batch before its PRE-PREPARE or PREPARE; a vote
//!   before it is sent; the prepared certificate before its COMMIT; the checkpoint certificate that
//!   opens a window before the first vote above the window that a restart would find.
//! - **R11** At most one digest for each (epoch, view, slot, kind); nothing for slots up to low; one
//!   statement for each height, and heights only grow.
//!
//! **Checkpoints**
//! - **R12** When block h is durable, its statement is cosigned and sent, unless h <= low. Its bytes
//!   follow from the block, so it needs no record.
//! - **R13** CHECKPOINTs are taken in for heights in (low, low + 2 window]. q equal statements are a
//!   certificate: low rises to its height, and slots a window below it are forgotten. (Others may
//!   still need that window, see R18.) Executing is not needed for this.
//! - **R14** A certificate from another validator has the same effect as one counted here.
//! - **R15** A height is *final* once it is certified and executed; then its records may go. If the
//!   statement of this validator is not the certified one, it halts and keeps both.
//! - **R16** Blocks are to be fetched if the certified height is more than a window above what was
//!   ordered here, or is above it and nothing more was ordered for `catch_up_after`; asked again,
//!   of another validator, every `catch_up_interval` until it is done, and at once where some came
//!   and more are missing. Fetched blocks count as executed; votes go on meanwhile.
//!
//! **Gossip**
//! - **R17** Every `status_interval`, and at the start, a replica broadcasts what it has: view,
//!   certified and executed heights, and for each slot above which votes are here.
//! - **R18** A STATUS is answered with what its sender lacks and could use, lowest slots first and
//!   within a budget, at most twice an interval for each sender: a newer certificate; the answerer's
//!   own votes, byte for byte; and, by f + 1 validators in turn, others' votes and the batch. Slots
//!   up to a window below low are served too; slots younger than half an interval are not, because
//!   what is lacking there is most likely on its way. No other path sends a vote twice.
//! - **R19** After a restart the votes of slots above low are sent again as they were stored, with
//!   the batches that were proposed; the newest executed height is cosigned again; and the next
//!   proposal goes above every slot that one was signed for. A checkpoint covers those below, so
//!   the newest is enough: everybody gets to it, because whoever accepted a slot votes in it until
//!   it is certified, executed or not (R7), and is sent what it needs for that (R18).
//!
//! **Safety in a sentence.** Two quorums share a correct validator, which accepts one digest in a
//! slot of a view (R4, R11), across restarts (R10, R19); so no two digests are prepared, and none
//! but a prepared one is committed.
#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

mod batches;
mod checkpoint;
mod event;
mod evidence;
mod message;
mod new_view;
mod normal;
mod overview;
mod pacemaker;
mod replica;
mod restore;
mod safety;
mod selection;
mod slot;
mod status;
mod tally;
mod timing;
mod verify;
mod verify_view_change;
mod view_change;

pub use event::{
    Action, Config, Demand, Divergence, Event, Halted, Neglect, Now, Record, Recovered,
    SingleRecord, Wish,
};
pub use evidence::{Evidence, EvidenceError, Guilt, Place};
pub use message::{
    Ballot, Body, CarriedProposal, Heard, NewView, PreparedCertificate, STATUS_SLOTS_MAX,
    SignedMessage, SignedViewChange, SlotStatus, Status, ViewChange, VoteKind, VoteSignature,
    message_bytes_max,
};
pub use overview::{
    Awaited, Cause, Leaving, Mode, Overview, PeerOverview, PeerStatus, Phase, Refusal,
    SlotOverview, Timer,
};
pub use replica::Replica;
pub use restore::RestoreError;
pub use verify::{Context, MessageError, PreparedError, VerifiedMessage};
pub use verify_view_change::{NewViewError, ViewChangeError};
