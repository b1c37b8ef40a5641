//! Status gossip: every replica says now and then what it has, and the others send what it lacks
//! (R17, R18). Nothing else is ever sent twice, so whatever the network lost comes this way.

use std::sync::Arc;

use chancery_ledger::{Millis, Slot, ValidatorIndex, View};

use crate::event::Action;
use crate::message::{
    Ballot, Body, Heard, STATUS_SLOTS_MAX, SignedMessage, SlotStatus, Status, VoteKind,
};
use crate::overview::{PeerStatus, Refusal};
use crate::replica::{Mode, Replica};
use crate::slot::SlotLog;
use crate::tally::{Tally, Vote, bit};
use crate::witness::Witness;

/// Messages in one answer to a STATUS.
const ANSWER_MESSAGES_MAX: usize = 512;
/// Batches in one answer, and their bytes: at least one is sent however large it is.
const ANSWER_BATCHES_MAX: usize = 8;
const ANSWER_BATCH_BYTES_MAX: usize = 2 << 20;

/// A validator is given a NEW-VIEW once in so many status intervals, by each of the others.
const NEW_VIEW_INTERVALS: u64 = 4;

/// What is known of another validator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) heard: Option<PeerStatus>,
    /// What is passed on of it, but for its incarnation.
    pub(crate) said: Heard,
    pub(crate) witness: Witness,
    /// When it may be answered again.
    answer_at: Millis,
    /// When it may be given a NEW-VIEW again.
    new_view_at: Millis,
    /// How often it was answered.
    answers: usize,
}

/// A NEW-VIEW that is given to whoever lacks it.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) message: SignedMessage,
    /// Since when, in [`crate::Now::since_start`].
    pub(crate) since: Millis,
}

/// One slot of a STATUS that is answered.
#[derive(Clone, Copy)]
struct Asked {
    to: ValidatorIndex,
    /// Its view.
    view: View,
    slot: Slot,
    /// What it has executed.
    executed: Slot,
    /// What it has of the slot.
    here: SlotStatus,
    /// Whether others' votes and the batch are to be sent, too.
    share: bool,
}

/// What one answer may still hold.
struct Budget {
    messages: usize,
    batches: usize,
    batch_bytes: usize,
}

impl Peer {
    pub(crate) fn new() -> Self {
        Self {
            heard: None,
            said: Heard::default(),
            witness: Witness::default(),
            answer_at: Millis(0),
            new_view_at: Millis(0),
            answers: 0,
        }
    }
}

impl Replica {
    /// R17.
    pub(crate) fn broadcast_status(&mut self, out: &mut Vec<Action>) {
        self.status_turn = self.status_turn.wrapping_add(1);
        let (own, interval) = (self.status(), self.config.status_interval);
        // Whoever waits for others' word on its memory should not miss them coming.
        let part = if self.memory.is_unsure() { 4 } else { 1 };
        let interval = Millis(interval.0.checked_div(part).unwrap_or(0));
        self.status_at = self.now.since_start.saturating_add(interval);
        out.push(Action::Broadcast(self.safety.status(own)));
    }

    /// A validator was seen to vote in a slot.
    pub(crate) fn hear_vote(&mut self, of: ValidatorIndex, slot: Slot) {
        if let Some(peer) = self.peers.get_mut(&of) {
            peer.said.voted = peer.said.voted.max(slot);
        }
    }

    /// A validator was seen to sign a VIEW-CHANGE or NEW-VIEW.
    pub(crate) fn hear_left(&mut self, of: ValidatorIndex, view: View) {
        if let Some(peer) = self.peers.get_mut(&of) {
            peer.said.left = peer.said.left.max(view);
        }
    }

    /// What was heard of everybody, and said by this one.
    fn heard(&self) -> Vec<Heard> {
        let own = Heard {
            incarnation: self.incarnation,
            voted: self.voted_most(),
            left: self.left_most(),
        };
        let (now, interval) = (self.now.since_start, self.config.status_interval);
        let said = |peer: &Peer| Heard {
            incarnation: peer.witness.named(now, interval, self.status_turn),
            ..peer.said
        };
        self.validators()
            .iter()
            .map(|(index, _)| self.peers.get(&index).map_or(own, said))
            .collect()
    }

    pub(crate) fn status(&self) -> Status {
        let (view, low, weak) = (self.view, self.low(), self.weak());
        let first = low.min(self.executed.height.into()).next();
        let of_checkpoints = self.checkpoints.keys().map(|height| Slot::from(*height));
        let mut listed: Vec<Slot> = self
            .slots
            .range(first..)
            .map(|(slot, _)| *slot)
            .chain(of_checkpoints)
            .collect();
        listed.sort_unstable();
        listed.dedup();
        let slots = listed
            .into_iter()
            .take(STATUS_SLOTS_MAX)
            .map(|slot| {
                let log = self.slots.get(&slot);
                let checkpoints = self.checkpoints.get(&slot.height());
                SlotStatus {
                    slot,
                    pre_prepare: log.is_some_and(|log| {
                        let mut all = log.proposal.iter().chain(log.ahead.values());
                        all.any(|proposal| proposal.view == view)
                    }),
                    batch: log
                        .and_then(|log| log.target(weak))
                        .is_some_and(|digest| self.batches.has(&digest)),
                    prepares: log.map_or(0, |log| log.prepares.bitmap(view)),
                    commits: log.map_or(0, |log| log.commits.bitmap(view)),
                    checkpoints: checkpoints.map_or(0, Tally::bitmap),
                }
            })
            .collect();
        Status {
            view,
            changing: self.mode == Mode::Changing,
            incarnation: self.incarnation,
            heard: self.heard(),
            stable: self.stable_height(),
            executed: self.executed.height,
            slots,
        }
    }

    /// R18.
    pub(crate) fn on_status(
        &mut self,
        from: ValidatorIndex,
        status: &Status,
        out: &mut Vec<Action>,
    ) {
        let now = self.now.since_start;
        let has_started = self.hear_status(from, status, out);
        if self.halted.is_some() {
            return;
        }
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        let is_first = peer.heard.is_none();
        peer.heard = Some(PeerStatus {
            at: now,
            view: status.view,
            changing: status.changing,
            stable: status.stable,
            executed: status.executed,
        });
        let due = now >= peer.answer_at;
        if is_first {
            // Until enough were heard, nothing is expected of a primary.
            self.pacemaker.progress_at = self.pacemaker.awake();
        }
        if due {
            self.answer_in_turn(from, status, out);
        } else if !has_started {
            return self.refuse(Refusal::TooOften);
        }
        self.echo(from, status, has_started, out);
        if has_started {
            // It waits for this word, which comes after what it may have forgotten.
            let message = self.safety.status(self.status());
            out.push(Action::Send { to: from, message });
        }
    }

    fn answer_in_turn(&mut self, to: ValidatorIndex, status: &Status, out: &mut Vec<Action>) {
        let (now, interval) = (self.now.since_start, self.config.status_interval);
        let Some(peer) = self.peers.get_mut(&to) else {
            return;
        };
        // Half an interval: two that come late and on time are both answered.
        peer.answer_at = now.saturating_add(Millis(interval.0 / 2));
        peer.answers = peer.answers.wrapping_add(1);
        let turn = peer.answers;
        self.answer_view(to, status, turn, out);
        self.answer(to, status, turn, out);
    }

    fn answer(&self, to: ValidatorIndex, status: &Status, turn: usize, out: &mut Vec<Action>) {
        let mut budget = Budget {
            messages: ANSWER_MESSAGES_MAX,
            batches: ANSWER_BATCHES_MAX,
            batch_bytes: ANSWER_BATCH_BYTES_MAX,
        };
        if status.stable < self.stable_height()
            && let Some(certificate) = &self.stable
        {
            let message = self.safety.certificate(certificate.clone());
            out.push(Action::Send { to, message });
        }
        // What lies further ahead would be refused there.
        let reach = self.window().saturating_mul(2);
        let in_reach = |slot: Slot| slot.0.saturating_sub(status.stable.0) <= reach;
        let executed = Slot::from(status.executed);
        let first = executed.min(status.stable.into()).next();
        for (slot, log) in self.slots.range(first..) {
            if !in_reach(*slot) {
                break;
            }
            if self.is_under_way(*slot) {
                continue;
            }
            let asked = Asked {
                to,
                view: status.view,
                slot: *slot,
                executed,
                here: status.slot(*slot),
                share: self.is_in_turn(to, *slot, turn),
            };
            self.answer_slot(&asked, log, &mut budget, out);
        }
        for (height, tally) in self.checkpoints.range(status.stable.next()..) {
            let slot = Slot::from(*height);
            if !in_reach(slot) {
                break;
            }
            if self.is_under_way(slot) {
                continue;
            }
            let share = self.is_in_turn(to, slot, turn);
            for (validator, statement, signature) in tally.iter() {
                let lacks = status.slot(slot).checkpoints & bit(validator) == 0;
                if lacks && self.is_mine_to_send(to, validator, share) && budget.take_message() {
                    let body = Body::Checkpoint(statement.clone());
                    let message = self.context.message(validator, body, signature);
                    out.push(Action::Send { to, message });
                }
            }
        }
    }

    /// Half an interval is what messages may take by themselves: what is lacking of a younger slot
    /// is most likely on its way.
    pub(crate) fn is_under_way(&self, slot: Slot) -> bool {
        self.slots.get(&slot).is_some_and(|log| {
            let age = self.now.since_start.since(log.opened_at);
            age.0 < self.config.status_interval.0 / 2
        })
    }

    /// Others' messages and batches are sent by f + 1 validators at a time, in turns: one of them is
    /// correct, and not all need to send the same. Own votes are sent by everybody, always.
    fn is_in_turn(&self, to: ValidatorIndex, slot: Slot, turn: usize) -> bool {
        let count = self.validators().count();
        let others = count.saturating_sub(1);
        // Which of the others this validator is, seen from `to`.
        let place = self
            .config
            .own
            .as_usize()
            .saturating_add(count)
            .saturating_sub(to.as_usize())
            .saturating_sub(1);
        let slot = usize::try_from(slot.0 % 32).unwrap_or(0);
        place
            .wrapping_add(slot)
            .wrapping_add(turn)
            .checked_rem(others)
            .is_some_and(|place| place < self.weak())
    }

    fn is_mine_to_send(&self, to: ValidatorIndex, whose: ValidatorIndex, share: bool) -> bool {
        whose != to && (share || whose == self.config.own)
    }

    /// What brings a peer to this validator's view, or to the one that this one wants.
    fn answer_view(
        &mut self,
        to: ValidatorIndex,
        status: &Status,
        turn: usize,
        out: &mut Vec<Action>,
    ) {
        let (now, interval) = (self.now.since_start, self.config.status_interval);
        let in_turn = self.is_in_turn(to, Slot(0), turn);
        if let Some(served) = &self.new_view
            && let Body::NewView(new_view) = &served.message.body
            && (status.view < new_view.view || (status.view == new_view.view && status.changing))
            && now.since(served.since).0 >= interval.0 / 2
            && (in_turn || served.message.from == self.config.own)
            && let Some(peer) = self.peers.get_mut(&to)
            && now >= peer.new_view_at
        {
            // It is large, and whoever asks for it again and again may not even want it.
            let pause = interval.saturating_mul(NEW_VIEW_INTERVALS);
            peer.new_view_at = now.saturating_add(pause);
            let message = served.message.clone();
            out.push(Action::Send { to, message });
        }
        let known = status.heard.get(self.config.own.as_usize());
        let left = known.map_or(View(0), |known| known.left);
        if left < self.view
            && let Some(message) = self.own_view_change()
        {
            let message = message.clone();
            out.push(Action::Send { to, message });
        }
    }

    fn answer_slot(
        &self,
        asked: &Asked,
        log: &SlotLog,
        budget: &mut Budget,
        out: &mut Vec<Action>,
    ) {
        let Asked {
            to,
            view,
            slot,
            executed,
            here,
            share,
        } = *asked;
        let primary = self.validators().primary(view);
        let same_view = view == self.view;
        // Whoever has executed a slot still votes in it until it is certified: others may need that.
        let votes_there = same_view && slot > self.low() && here.commits & bit(to) == 0;
        let is_wanted = slot > executed;
        // The votes first: small, and they tell which batch to wait for.
        let mut send_vote = |kind, whose, vote: Vote| {
            if self.is_mine_to_send(to, whose, share) && budget.take_message() {
                let Vote {
                    view,
                    digest,
                    signature,
                } = vote;
                let body = Body::of_vote(kind, Ballot { view, slot, digest });
                let message = self.context.message(whose, body, signature);
                out.push(Action::Send { to, message });
            }
        };
        let proposal = log.proposal.filter(|proposal| proposal.view == view);
        // One who was told another story must see this one, to know that its primary lies.
        let misled = proposal.is_some_and(|proposal| {
            let said = log.prepares.get(to).filter(|vote| vote.view == view);
            said.is_some_and(|vote| vote.digest != proposal.digest)
        });
        if votes_there && let Some(proposal) = proposal {
            let vote = Vote {
                view,
                digest: proposal.digest,
                signature: proposal.signature,
            };
            if !here.pre_prepare || misled {
                send_vote(VoteKind::PrePrepare, primary, vote);
            }
        }
        if votes_there {
            for (whose, vote) in log.prepares.iter() {
                if vote.view == view && here.prepares & bit(whose) == 0 {
                    send_vote(VoteKind::Prepare, whose, *vote);
                }
            }
        }
        if is_wanted {
            for (whose, vote) in log.commits.iter() {
                // Votes of any view order a slot, if there are enough of one. After a restart it is
                // the block that shows that there were.
                let is_ordered =
                    log.committed == Some(vote.digest) || slot <= Slot::from(self.executed.height);
                let is_of_use = vote.view == view || is_ordered;
                let is_there = vote.view == view && here.commits & bit(whose) != 0;
                if is_of_use && !is_there {
                    send_vote(VoteKind::Commit, whose, *vote);
                }
            }
        }
        let held = log
            .target(self.weak())
            .and_then(|digest| self.batches.get(&digest));
        if let Some(held) = held
            && !here.batch
            && (votes_there || is_wanted)
            && (share || primary == self.config.own)
            && budget.take_batch(held.bytes())
        {
            let batch = Arc::clone(held.batch());
            out.push(Action::SendBatch { to, batch });
        }
    }
}

impl Budget {
    fn take_message(&mut self) -> bool {
        let left = self.messages.checked_sub(1);
        self.messages = left.unwrap_or(0);
        left.is_some()
    }

    fn take_batch(&mut self, bytes: usize) -> bool {
        if self.batches == 0 || self.batch_bytes == 0 {
            return false;
        }
        self.batches = self.batches.saturating_sub(1);
        self.batch_bytes = self.batch_bytes.saturating_sub(bytes);
        true
    }
}
