//! PBFT (Castro and Liskov, OSDI '99), every message signed, as a pure state machine:
//! [`Replica::step`] takes an [`Event`] and returns ordered [`Action`]s. No I/O, no clock, no
//! thread, no randomness, nothing whose order a hasher decides: one sequence of events gives one
//! sequence of actions. What is ordered are batches, by digest; this crate knows no block, no
//! transaction and no state.
//!
//! # The rules
//!
//! **Sets and votes**
//! - **R1** Of n validators f = floor((n-1)/3) may be faulty; a quorum is q = ceil((n+f+1)/2)
//!   *distinct* ones. The primary of view v is v mod n. A message counts for the validator that
//!   signed it, whoever delivers it, and each validator has one say in each place: what it says
//!   second is dropped, and proves that it lied (R31).
//!
//! **Ordering**
//! - **R2** The primary of the active view puts each batch it is given into the slot above all that
//!   it proposed or carried over in this view, while that is within the window and while it is not
//!   catching up. With nothing in flight it wants whatever waits, at once; with others in flight it
//!   wants a full batch, or whatever waits once a slot was ordered. After a view change it proposes
//!   one slot at a time, until something is ordered.
//! - **R3** The *low* water mark is the newest height with a checkpoint certificate, executed here
//!   or not. Votes are taken in for slots in (low, low + 2 window], so that who is one window
//!   behind loses nothing; and in (low - window, low] for slots not ordered here yet. All else is
//!   refused, so memory is bounded whatever anybody sends.
//! - **R4** A backup accepts PRE-PREPARE(v, s, d) and sends PREPARE(v, s, d) iff v is the active
//!   view, it is from v's primary, low < s <= low + window, it has accepted no other digest for
//!   (v, s), the NEW-VIEW of v carried no other one into s, no other one is committed in s, the
//!   whole batch is here and is durable, and the batch's time is near (R5). Else the PRE-PREPARE is
//!   kept until all that holds.
//! - **R5** A proposal is *near* if its batch's time is at most `clock_drift_ms_max` ahead of the
//!   clock now and was at most that far behind it when its PRE-PREPARE came (the digest commits to
//!   the time, so the batch existed by then, however long its bytes take). An *early* one is kept
//!   until the clock gets there. A *late* one stays unaccepted: if it blocks its slot, the view is
//!   left. What a NEW-VIEW carried over, and what was accepted before a restart, is not judged.
//! - **R6** prepared(v, s, d): accepted here in the active view, and the PRE-PREPARE together with
//!   PREPAREs of backups are from q distinct validators. Then the certificate, of exactly q, is made
//!   durable and COMMIT(v, s, d) is sent, if still low < s. Of each slot the certificate of the
//!   highest view is kept until the slot is certified. The primary sends no PREPARE; one from it is
//!   refused.
//! - **R7** committed(s, d): q COMMITs of one view, whichever, for d. They need not follow from what
//!   was accepted here: they prove the order by themselves. A replica that executed a slot still
//!   votes in it, in each view that carries it, for that digest only.
//! - **R8** Committed batches that are here are handed over in slot order, each slot once.
//! - **R9** A batch is kept while a slot within R3 wants it: its digest is proposed in the active
//!   view, was ever accepted here (a validator that is silent now may have a certificate for it), is
//!   prepared or committed, or f + 1 voted for it. Of batches that nothing names yet,
//!   `loose_batches_max` are kept; one more costs whoever sent most of them its oldest one.
//!
//! **Keeping one's word** (`safety.rs`, the only holder of the key)
//! - **R10** Durable before it is relied on: the batch before its PRE-PREPARE or PREPARE; a message
//!   before it is sent; the prepared certificate before its COMMIT; the NEW-VIEW before the first
//!   vote in its view; the checkpoint certificate that opens a window before the first vote above
//!   the window that a restart would find.
//! - **R11** At most one digest for each (epoch, view, slot, kind); votes in the view that was
//!   entered last only, and in none below the view of a VIEW-CHANGE that was signed; one
//!   VIEW-CHANGE and one NEW-VIEW a view; nothing for slots up to low, except within the NEW-VIEW of
//!   one's own view; one statement for each height, and heights only grow.
//!
//! **Checkpoints**
//! - **R12** When block h is durable, its statement is cosigned and sent, unless h <= low, whether a
//!   view is active or not. Its bytes follow from the block, so it needs no record.
//! - **R13** CHECKPOINTs are taken in for heights in (low, low + 2 window]. q equal statements are a
//!   certificate: low rises to its height, and slots a window below it are forgotten. (Others may
//!   still need that window, see R18.) Executing is not needed for this.
//! - **R14** A certificate from another validator, alone or in a NEW-VIEW, has the same effect as one
//!   counted here.
//! - **R15** A height is *final* once it is certified and executed; then its records may go. If the
//!   statement of this validator is not the certified one, it halts and keeps both.
//! - **R16** Blocks are to be fetched if the certified height is more than a window above what was
//!   ordered here, or is above it and nothing more was ordered for `catch_up_after`; asked again,
//!   of another validator, every `catch_up_interval` until it is done, and at once where some came
//!   and more are missing. Fetched blocks count as executed; votes go on meanwhile.
//!
//! **Gossip**
//! - **R17** Every `status_interval`, four times as often while others are to say something about
//!   its memory (M2, M4), and at the start, a replica broadcasts what it has: its view and whether
//!   it is active, certified and executed heights, for each slot above which votes of that view are
//!   here, and what it heard of each validator. Unlike any other message it counts only if its
//!   signer delivers it (the node sees to that): old ones, sent again by somebody else, would pass
//!   for another process.
//! - **R18** A STATUS is answered with what its sender lacks and could use, lowest slots first and
//!   within a budget, at most twice an interval for each sender: a newer certificate; the newest
//!   NEW-VIEW that was entered here, to one in an earlier view or without this one's, by f + 1 in
//!   turn and by its author, and not too often because it is large; the
//!   answerer's VIEW-CHANGE, while it waits for its view, to one that did not hear it; its votes of
//!   the sender's view, byte for byte, and COMMITs of whatever view for what is ordered; and, by
//!   f + 1 validators in turn, others' votes and the batch. A PRE-PREPARE goes also to one whose
//!   PREPARE shows that it was told another story. Slots up to a window below low are served too;
//!   what is younger than half an interval is not, because it is most likely on its way. No other
//!   path sends a message twice.
//! - **R19** After a restart the votes of slots above low are sent again as they were stored, with
//!   the batches that were proposed; so is the VIEW-CHANGE whose view is still waited for, or the
//!   NEW-VIEW of one's own view. The newest executed height is cosigned again, and the next proposal
//!   goes above every slot that the view carries or that one was signed for.
//!
//! **View change**
//! - **R20** View 0 is active at first; any other from the moment at which its NEW-VIEW was entered
//!   (R26). It ends, here, with the VIEW-CHANGE for a later one or with the NEW-VIEW of one (or with
//!   neither: M4). While none is active nothing is voted for; all else goes on: executing,
//!   cosigning, catching up, counting. Of each validator the vote of the highest view is kept in
//!   each place (slot and kind), whatever view is active here: what comes before its NEW-VIEW is not
//!   lost, and memory does not grow with views.
//! - **R21** VIEW-CHANGE(t) carries the low water mark's certificate and, of each slot above, the
//!   prepared certificate of the highest view. It is made and stored once; the same bytes are sent
//!   again.
//! - **R22** It is valid iff 0 < t < 2^64 - 1, its checkpoint certificate is valid, and its prepared
//!   certificates are valid, of strictly increasing slots in (low, low + window] and of views below
//!   t. One part that is not makes the whole invalid.
//! - **R23** Of each validator the VIEW-CHANGE of the highest view is kept, if that is above the
//!   active one and not below the one that is wanted here.
//! - **R24** *Join*: the highest view that f + 1 distinct validators want or have passed, if it is
//!   above the own one, is changed to at once, or once nothing is held back any more (M2, M4). One
//!   of them is correct; f alone move nobody.
//! - **R25** NEW-VIEW(t) is made by t's primary as soon as q VIEW-CHANGEs for exactly t are there,
//!   its own among them. It contains them, and a PRE-PREPARE in view t for each slot that they
//!   *select*: base is the highest low water mark among them; a slot above it gets the digest of the
//!   certificate with the highest view, up to the highest slot that has one; a gap gets the one
//!   constant empty batch. It is valid iff it contains exactly q valid VIEW-CHANGEs for t, of
//!   distinct validators in order, and exactly what everybody selects from *these*. The primary
//!   needs no batch for it: a prepared certificate means that a correct one has it.
//! - **R26** A valid NEW-VIEW(t) is entered iff t is above the active view and not below the one that
//!   is wanted here. It is made durable; low rises to its base, executed or not; t is active; its
//!   PRE-PREPAREs replace whatever was stored for their slots and go through R4 to R8 again, slots
//!   that were executed included; the primary proposes above them.
//! - **R27** In the active view a timer runs while something is to be expected of the primary: a slot
//!   above what is ordered here is proposed or has f + 1 votes and is not committed; or this replica
//!   has executed all that it knows of and the node says that transactions wait; or nothing was
//!   ordered for `heartbeat_ms`. The latter two only once q were heard; none while the window is
//!   full, because then checkpoints are waited for. Progress (a slot handed over, low rising) starts
//!   it anew. When it ends: VIEW-CHANGE for the next view. So it is, too, when the node says that
//!   the primary neglects its duties and the view had that long.
//! - **R28** In a view that is waited for, the timer runs once q validators want it or have passed it,
//!   this one included, by their VIEW-CHANGEs or their STATUSes. When it ends: VIEW-CHANGE for the
//!   next view. Who is alone waits for ever, and drags nobody along later.
//! - **R29** The timers take `view_timeout`, doubled for each view change begun since the last
//!   progress, at most `view_timeout_max`. A NEW-VIEW is no progress. A gap between two steps counts
//!   as a quarter of a second at most: after a pause, it was this process that was away.
//! - **R30** After a restart the active view is that of the newest NEW-VIEW stored, or the wanted one
//!   that of a newer VIEW-CHANGE, or that of M4.
//! - **R31** Two different messages of one validator in one place are evidence. It is reported once
//!   for each place, and of one validator at most 32 times. If they are votes or CHECKPOINTs, both
//!   are passed on to all, so that all have the same proof; and if the guilty one is the active
//!   view's primary, or becomes it in the view that it lied in, the view is left at once. (Two
//!   NEW-VIEWs that differ in a slot contain two such PRE-PREPAREs.)
//!
//! **A memory that is lost** (`quarantine.rs`, `witness.rs`)
//! - **M1** Each start of a process has an *incarnation*, a random number. STATUS carries it, and of
//!   every validator: the incarnation of its newest STATUS; the highest slot of a PREPARE, COMMIT or
//!   fresh PRE-PREPARE of it that was seen; the highest view of a VIEW-CHANGE or NEW-VIEW of it. A
//!   STATUS with an incarnation that is new is answered at once with a STATUS, so that starting takes
//!   two messages.
//! - **M2** *Probation*: at every start nothing is signed but STATUSes (and certificates that are
//!   passed on), until q - 1 others have named this incarnation and claim nothing that is not
//!   remembered: no vote above the newest remembered one and low, no view above that of the newest
//!   own VIEW-CHANGE. Votes that are stored are sent again, executing, counting and catching up go
//!   on; all that was held back is done when it ends. Liars may claim what they like: the others
//!   without f of them are enough. If f + 1 claim more, one of them is right, and M4 applies.
//! - **M3** An answer to a STATUS also has the asker's own votes in its view or a later one and its
//!   own VIEW-CHANGE, as far as it does not list them; before the STATUS that may end its probation.
//!   Its own NEW-VIEW it is given as any other (R18), and its VIEW-CHANGE may be inside of others'.
//! - **M4** *Quarantine*: of one whose vote log is missing, or who gets, in probation, an own vote
//!   for a slot above low, an own VIEW-CHANGE or an own NEW-VIEW that it does not remember. That is
//!   made durable at once. It stays silent: no votes, VIEW-CHANGEs, NEW-VIEWs, CHECKPOINTs. Once
//!   max(q - 1, n - q + max(f, 1)) others have named its incarnation, each of them with nothing
//!   certified that is not certified here, too, it fixes, durably: slots through low + 2 window;
//!   views from v + 2 on, v being the highest view that they are in or want, or from above the one
//!   that it was seen to leave for. The silence ends when low is above these slots; and it never
//!   signs in a view below these. Until then it counts among the f. If it is to leave an earlier
//!   view, or restarts, it waits for the last view that it does not sign in, without a VIEW-CHANGE:
//!   its STATUS says so, which makes others' timers run (R28) and binds to nothing that it could
//!   forget again. So that liars cannot name these views where f > 1, a few more answers are waited
//!   for, and as many of the highest left out as others are sure to have named as much; one that is
//!   far above what a correct one names is not taken before all others have answered.
//! - **M5** *Why that is enough.* It had low = L when it voted last, so no vote is above L + window.
//!   The block of L was committed by q; those who answered share with the other ones of these a
//!   validator that is correct (this one counts among the f, so f - 1 lie), which was at most a
//!   window below L when it voted there, and has that certificate still. So L <= low + window here:
//!   slots through low + 2 window cover every vote, and above them every slot is fresh. It signed a
//!   VIEW-CHANGE for t at most. The first correct one to sign one for t or a later view did not join
//!   others, so q had reached t - 1, by their own word or active in it; those who answered share
//!   with the other ones of these a correct one, which says so: t is at most v + 1. (That is why one
//!   that is back leaves for no view before q have reached the one below.) It voted in no view above
//!   v, because that takes q who want it. So nothing that it signs from v + 2 on contradicts what it
//!   forgot, and none of its VIEW-CHANGEs hides a slot that it once prepared: those are all
//!   certified.
//! - **M6** After probation an own message as in M3 that is not remembered makes it halt. So does a
//!   key that is used twice: f + 1 peers that have named this incarnation name another one in at
//!   least four of the newest eight intervals that they were heard in. (One that hears two processes
//!   in turns names them in turns.) Who halts so tells the others (the node a few times), so that
//!   another process, if there is one, hears of it, too. One late STATUS of an earlier process does
//!   not suffice, nor do f liars.
//!
//! # Why it is safe
//!
//! *In one view*: two quorums share a correct validator, which accepts one digest in a slot of a
//! view (R4, R11), across restarts (R10, R19, R30); so no two digests are prepared in one slot of
//! one view, and none but a prepared one is committed.
//!
//! *Over views*: let d be committed in slot s of view v. Then in every later view w, either the base
//! of its NEW-VIEW is at or above s, and nobody votes in s in w (R26, R11), or it carries d into s.
//! By induction on w: q validators sent COMMIT(v, s, d), and q sent the VIEW-CHANGEs in the NEW-VIEW
//! of w; they share a correct one. It sent its COMMIT before its VIEW-CHANGE (R11), and its
//! certificate was durable before that (R10). So its VIEW-CHANGE has either a checkpoint at or above
//! s, or a certificate for s of view v or later (R21). No certificate for s of a view from v on is
//! for anything but d: of v itself by the above, of later ones by induction. So the highest is for
//! d, and everybody selects it (R25). Leaving out a part, or choosing among local VIEW-CHANGEs
//! instead of the included ones, would break this; so does forgetting across a restart: a COMMIT's
//! certificate, the view that was left, the NEW-VIEW, or the base.
//!
//! # Why it goes on
//!
//! Once messages between q correct validators arrive within some time, and timers have doubled past
//! it, a correct primary's view lasts. What could be in the way, and what resolves it:
//!
//! | trap | resolved by |
//! |---|---|
//! | a NEW-VIEW or VIEW-CHANGE is lost to some | it is the answer to their next STATUS (R18), without any traffic |
//! | the new primary is silent, or proposes nothing | its NEW-VIEW is timed (R28), then its progress (R27) |
//! | the new primary lags behind the base | it has the base's certificate from the VIEW-CHANGEs; carried slots are voted on without it; it fetches (R16), proposes nothing meanwhile (R2), and is replaced if that takes too long (R27) |
//! | q VIEW-CHANGEs, but for different views | nobody climbs above the highest wanted view before q have reached it (R28); the others get there by their own timers or by joining (R24) |
//! | one is changing alone while the others go on | it executes, cosigns and fetches (R20); the next NEW-VIEW takes it along, or, when its vote is needed, the others' timers do |
//! | one reached a huge view, or f say so | it drags nobody (R24, R28) |
//! | all are idle in a dead view | the heartbeat that does not come (R27) |
//! | late COMMITs of an old view | they are counted (R7); who lacks them gets them while it has not executed the slot (R18) |
//! | of a slot's COMMITs some were replaced by those of a later view, and no view has q left | while it is not certified it is voted on again in each view (R7); afterwards it is fetched (R16) |
//! | some executed a slot, their COMMITs are lost, the others go on without | it is carried over, and those who executed it vote again (R7) until it is certified |
//! | one who is to vote in a carried slot lacks the batch | a correct validator kept it (R9), and sends it (R18) |
//! | a carried slot lies in the log of a restarted validator only | the log restores batch, votes and certificate; its VIEW-CHANGE carries them |
//! | a slot's proposal is late for everybody, or lost | a proposal that is not ordered is waited for (R27), and the new view replaces it |
//! | old votes in a slot that no view carries | only votes of this view on are expected to lead somewhere (R27) |
//! | a late executor takes its waiting transactions for neglected ones | demand counts only once all that is ordered here is executed (R27) |
//! | a paused process thinks that time passed | its timers did not (R29) |
//! | timers of different lengths | all are capped, and shorter ones only join later (R24, R29) |
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
mod quarantine;
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
mod witness;

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
