//! What validators tell each other about what they signed: who runs, how far its votes were seen to
//! go, and its own messages back (M1, M3, M6).

use chancery_ledger::{Height, Millis, Slot, ValidatorIndex, View};

use crate::event::{Action, Halted};
use crate::message::{Ballot, Body, Heard, SignedMessage, SlotStatus, Status, VoteKind};
use crate::replica::Replica;
use crate::tally::{Vote, bit};

/// In so many of the last 8 intervals that it was heard in, a peer has to name another process with
/// this key.
const OTHERS_LEAST: u32 = 4;
/// The most votes of its own that a peer is shown in one answer.
const ECHO_MAX: usize = 16;
/// A VIEW-CHANGE is large: so many intervals are between two times that its sender is shown it.
const VIEW_CHANGE_INTERVALS: u64 = 4;
/// Two processes with one key took turns so often that both are named.
const SWAPS_LEAST: u8 = 2;
/// One that stopped because of another is named for so many intervals, for that one to hear.
const NAMED_FOR: u64 = 16;
/// What stands for the number of the other process where the one that stops has not learned it.
pub(crate) const OTHER_UNKNOWN: u64 = u64::MAX;

/// What another validator's STATUSes say about processes with its own key and with this one's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Witness {
    /// Of its newest STATUS, and when that came.
    incarnation: u64,
    heard_at: Millis,
    /// The one before, when it was heard last, and how often the two took turns.
    before: u64,
    before_at: Millis,
    swaps: u8,
    /// One of them, the one before, stopped because of the other: until then it is named.
    named_until: Millis,
    /// When the next new incarnation may be answered at once.
    greet_at: Millis,
    /// When it may be shown its own VIEW-CHANGE again.
    view_change_at: Millis,
    /// What it says of this process, once it has heard of it.
    pub(crate) claim: Option<Claim>,
    /// One bit for each of the last 8 intervals since that it was heard in: whether it named another
    /// process. Not one for each STATUS: who asks for others' word sends them in quick succession.
    others: u8,
    other: u64,
    /// When the newest of these intervals ends.
    others_until: Millis,
}

/// What a peer that has heard of this process says, in all its STATUSes since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    /// What it has certified, the lowest: whoever has a certificate of that height knows all that
    /// the peer knew when it began to listen to this process.
    pub(crate) stable: Height,
    /// Its own view, the highest.
    pub(crate) view: View,
    /// How far it has seen this validator vote, and leave views.
    pub(crate) voted: Slot,
    pub(crate) left: View,
}

impl Witness {
    /// A STATUS of this incarnation came. Says whether no process with that number was known.
    fn hear(&mut self, incarnation: u64, now: Millis, interval: Millis) -> bool {
        let is_new = incarnation != self.incarnation && incarnation != self.before;
        if incarnation != self.incarnation {
            let swaps = if is_new || !self.is_before_alive(now, interval) {
                0
            } else {
                self.swaps.saturating_add(1)
            };
            (self.before, self.before_at, self.swaps) = (self.incarnation, self.heard_at, swaps);
            self.incarnation = incarnation;
        }
        if is_new {
            // Neither of the two that it was about.
            self.named_until = Millis(0);
        }
        self.heard_at = now;
        is_new
    }

    /// Its process stopped because `other` has its key: that one has to learn of it.
    fn hear_farewell(&mut self, incarnation: u64, other: u64, now: Millis, interval: Millis) {
        let known = if self.incarnation == incarnation {
            self.before
        } else {
            self.incarnation
        };
        let other = if other == OTHER_UNKNOWN { known } else { other };
        if other == 0 {
            return;
        }
        (self.before, self.before_at) = (incarnation, now);
        self.incarnation = other;
        self.named_until = now.saturating_add(interval.saturating_mul(NAMED_FOR));
    }

    fn is_before_alive(&self, now: Millis, interval: Millis) -> bool {
        now.since(self.before_at) <= interval.saturating_mul(2)
    }

    /// The incarnation to name: of two processes that take turns, each at a time; of two of which
    /// one stopped, that one.
    pub(crate) fn named(&self, now: Millis, interval: Millis, turn: u64) -> u64 {
        let take_turns = self.swaps >= SWAPS_LEAST && self.is_before_alive(now, interval);
        let is_its_turn = take_turns && !turn.is_multiple_of(2);
        if is_its_turn || now < self.named_until {
            self.before
        } else {
            self.incarnation
        }
    }

    /// Which other process with this validator's key it has named lately.
    pub(crate) fn named_other(&self) -> Option<u64> {
        (self.others != 0).then_some(self.other)
    }

    /// What its STATUS says of this validator, whose process is `incarnation`.
    fn weigh(
        &mut self,
        status: &Status,
        of_this: Heard,
        incarnation: u64,
        now: Millis,
        interval: Millis,
    ) {
        if of_this.incarnation == incarnation {
            let said = Claim {
                stable: status.stable,
                view: status.view,
                voted: of_this.voted,
                left: of_this.left,
            };
            let before = self.claim.unwrap_or(said);
            self.claim = Some(Claim {
                stable: before.stable.min(said.stable),
                view: before.view.max(said.view),
                voted: before.voted.max(said.voted),
                left: before.left.max(said.left),
            });
            self.open_interval(now, interval);
        } else if self.claim.is_some() && of_this.incarnation != 0 {
            self.open_interval(now, interval);
            self.others |= 1;
            self.other = of_this.incarnation;
        }
    }

    /// What it names counts for another interval, if the newest one is over.
    fn open_interval(&mut self, now: Millis, interval: Millis) {
        if now >= self.others_until {
            self.others <<= 1;
            self.others_until = now.saturating_add(interval);
        }
    }
}

impl Replica {
    /// A STATUS says who runs, and what of this validator is remembered elsewhere: M1, M2, M6. Says
    /// whether it is to be answered at once, because it is the first of its process.
    pub(crate) fn hear_status(
        &mut self,
        from: ValidatorIndex,
        status: &Status,
        out: &mut Vec<Action>,
    ) -> bool {
        let (now, interval) = (self.now.since_start, self.config.status_interval);
        let of_this = status.heard.get(self.config.own.as_usize());
        let of_this = of_this.copied().unwrap_or_default();
        let Some(peer) = self.peers.get_mut(&from) else {
            return false;
        };
        let witness = &mut peer.witness;
        let is_new = witness.hear(status.incarnation, now, interval);
        let of_itself = status.heard.get(from.as_usize());
        let other = of_itself.map_or(0, |itself| itself.incarnation);
        if other != 0 && other != status.incarnation {
            witness.hear_farewell(status.incarnation, other, now, interval);
        }
        witness.weigh(status, of_this, self.incarnation, now, interval);
        let greets = is_new && now >= witness.greet_at;
        if greets {
            witness.greet_at = now.saturating_add(Millis(interval.0 / 8));
        }
        self.check_key(out);
        greets
    }

    /// M6.
    fn check_key(&mut self, out: &mut Vec<Action>) {
        let naming_others: Vec<u64> = self
            .peers
            .values()
            .filter(|peer| peer.witness.others.count_ones() >= OTHERS_LEAST)
            .map(|peer| peer.witness.other)
            .collect();
        if naming_others.len() >= self.weak()
            && let Some(incarnation) = naming_others.first().copied()
            && self.halted.is_none()
        {
            self.say_farewell(incarnation, out);
            self.halt(Halted::KeyUsedTwice { incarnation }, out);
        }
    }

    /// The other process is to stop, too, and may not have heard enough of this one.
    pub(crate) fn say_farewell(&self, other: u64, out: &mut Vec<Action>) {
        let mut last = self.status();
        if let Some(own) = last.heard.get_mut(self.config.own.as_usize()) {
            own.incarnation = other;
        }
        out.push(Action::Broadcast(self.safety.status(last)));
    }

    /// A PRE-PREPARE of the primary's own will tells how far it voted. One that a NEW-VIEW carried
    /// does not: who signed it need not remember that once it has entered a later view.
    pub(crate) fn hear_proposal(&mut self, from: ValidatorIndex, ballot: Ballot) {
        let carried = self.new_view.as_ref().and_then(|served| {
            let Body::NewView(new_view) = &served.message.body else {
                return None;
            };
            let last = new_view.proposals.last().map(|carried| carried.slot);
            Some((new_view.view, last.unwrap_or(Slot(0))))
        });
        let is_fresh = match carried {
            _ if ballot.view == View(0) => true,
            Some((view, last)) => view == ballot.view && ballot.slot > last,
            None => false,
        };
        if is_fresh {
            self.hear_vote(from, ballot.slot);
        }
    }

    /// What the own records have of others counts as heard: who restarts tells them, too.
    pub(crate) fn hear_restored(&mut self) {
        let mut votes = Vec::new();
        for (slot, log) in &self.slots {
            let said = log.prepares.iter().chain(log.commits.iter());
            votes.extend(said.map(|(of, _)| (of, *slot)));
        }
        for (of, slot) in votes {
            self.hear_vote(of, slot);
        }
        let served = self.new_view.as_ref().map(|served| &served.message.body);
        let Some(Body::NewView(new_view)) = served else {
            return;
        };
        let view = new_view.view;
        let left: Vec<ValidatorIndex> = new_view.view_changes.iter().map(|vc| vc.from).collect();
        for of in left {
            self.hear_left(of, view);
        }
    }

    /// Shows a peer what it signed and does not list: M3.
    pub(crate) fn echo(
        &mut self,
        to: ValidatorIndex,
        status: &Status,
        has_started: bool,
        out: &mut Vec<Action>,
    ) {
        let now = self.now.since_start;
        let pause = self
            .config
            .status_interval
            .saturating_mul(VIEW_CHANGE_INTERVALS);
        let left_view = status.heard.get(to.as_usize()).map(|heard| heard.left);
        if let Some(signed) = self.view_changes.get(&to)
            && left_view.is_none_or(|view| view < signed.view_change.view)
            && let Some(peer) = self.peers.get_mut(&to)
            && now >= peer.witness.view_change_at
        {
            peer.witness.view_change_at = now.saturating_add(pause);
            let body = Body::ViewChange(signed.view_change.clone());
            let message = self.context.message(to, body, signed.signature);
            out.push(Action::Send { to, message });
        }
        let mut left = ECHO_MAX;
        let mut send = |message: SignedMessage| {
            if left > 0 {
                left = left.saturating_sub(1);
                out.push(Action::Send { to, message });
            }
        };
        let first = Slot::from(status.stable).next();
        for (slot, log) in self.slots.range(first..).rev() {
            if !has_started && self.is_under_way(*slot) {
                continue;
            }
            let here = status.slot(*slot);
            let proposals = log.proposal.iter().chain(log.ahead.get(&to));
            let proposals =
                proposals.filter(|proposal| self.validators().primary(proposal.view) == to);
            let said = proposals
                .map(|proposal| {
                    let vote = Vote {
                        view: proposal.view,
                        digest: proposal.digest,
                        signature: proposal.signature,
                    };
                    (VoteKind::PrePrepare, vote)
                })
                .chain(log.prepares.get(to).map(|vote| (VoteKind::Prepare, *vote)))
                .chain(log.commits.get(to).map(|vote| (VoteKind::Commit, *vote)));
            for (kind, vote) in said {
                let is_listed = lists(&here, kind, to) && vote.view == status.view;
                if vote.view >= status.view && !is_listed {
                    let Vote {
                        view,
                        digest,
                        signature,
                    } = vote;
                    let slot = *slot;
                    let body = Body::of_vote(kind, Ballot { view, slot, digest });
                    send(self.context.message(to, body, signature));
                }
            }
        }
    }
}

/// Whether a STATUS lists the vote of `of` in its view.
fn lists(here: &SlotStatus, kind: VoteKind, of: ValidatorIndex) -> bool {
    match kind {
        VoteKind::PrePrepare => here.pre_prepare,
        VoteKind::Prepare => here.prepares & bit(of) != 0,
        VoteKind::Commit => here.commits & bit(of) != 0,
    }
}
