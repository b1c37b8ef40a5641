//! Whether this validator remembers what it signed: probation after each start, and quarantine for
//! one that does not (M2 to M6). Until it is known to remember, [`crate::safety`] signs nothing new.

use chancery_ledger::{Millis, Signature, Slot, ValidatorIndex, View};

use crate::event::{Action, Halted, Record};
use crate::message::{Body, NewView, SignedMessage, ViewChange};
use crate::overview::{Mode, Refusal};
use crate::replica::{self, Replica};
use crate::witness::{Claim, OTHER_UNKNOWN};

/// A view so much above what a correct one has reached is a lie, or others are about to get there.
const VIEWS_AHEAD_MAX: u64 = 8;
/// For so many intervals more answers than needed are waited for: the more, the less a liar's count.
const ANSWERS_INTERVALS: u64 = 4;

/// What this validator knows about its own memory.
#[derive(Debug)]
pub(crate) struct Memory {
    standing: Standing,
    /// What of it is forgotten: nothing above these bounds.
    release: Option<Release>,
    /// How far own messages reach that came back and are not remembered.
    seen: Release,
    /// Since when enough have said how much may be forgotten.
    answered_since: Option<Millis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Others have yet to confirm that nothing is forgotten.
    Probation,
    /// Something is, and too few have said how much that may be.
    Forgetful,
    /// Nothing is but what [`Memory::release`] covers.
    Confirmed,
}

/// The end of a quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Release {
    /// The low water mark has to be above it.
    slots_through: Slot,
    /// Then it signs in views from this one on.
    view_least: View,
}

impl Memory {
    /// What the records say.
    pub(crate) fn restored(records: &[Record]) -> Self {
        let newest = records.iter().rev().find_map(|record| match record {
            Record::Quarantine {
                slots_through,
                view_least,
            } => Some((*slots_through, *view_least)),
            Record::Batch { .. }
            | Record::Vote(_)
            | Record::Prepared(_)
            | Record::Certificate(_)
            | Record::ViewChange(_)
            | Record::NewView(_)
            | Record::Final(_) => None,
        });
        let (standing, release) = match newest {
            None => (Standing::Probation, None),
            Some((Slot(u64::MAX), _)) => (Standing::Forgetful, None),
            Some((slots_through, view_least)) => {
                let release = Release {
                    slots_through,
                    view_least,
                };
                (Standing::Probation, Some(release))
            }
        };
        Self {
            standing,
            release,
            seen: Release::default(),
            answered_since: None,
        }
    }

    /// Whether others still have to say something about it.
    pub(crate) fn is_unsure(&self) -> bool {
        self.standing != Standing::Confirmed
    }

    fn slots_through(&self) -> Slot {
        self.release
            .map_or(Slot(0), |release| release.slots_through)
    }

    fn view_least(&self) -> View {
        self.release.map_or(View(0), |release| release.view_least)
    }

    /// The last view that it may have signed for and forgotten; 0 where that is nothing.
    pub(crate) fn view_forgotten(&self) -> View {
        View(self.view_least().0.saturating_sub(1))
    }
}

impl Replica {
    /// Own messages come back from others: one that is not remembered shows that something is
    /// forgotten, or that another process has the key (M3, M6).
    pub(crate) fn on_own_message(&mut self, message: SignedMessage, out: &mut Vec<Action>) {
        self.refuse(Refusal::OwnMessage);
        let is_forgotten = match &message.body {
            Body::PrePrepare(_) | Body::Prepare(_) | Body::Commit(_) => {
                message.body.vote().is_some_and(|(kind, ballot)| {
                    let covered = self.low().max(self.memory.slots_through());
                    ballot.slot > covered && !self.safety.remembers_vote(kind, &ballot)
                })
            }
            Body::ViewChange(view_change) => {
                self.has_forgotten_leaving(view_change.view, &message.signature)
            }
            Body::NewView(new_view) => {
                let entered = self.safety.entered();
                let newest = self.new_view.as_ref().map(|served| &served.message);
                let is_remembered = new_view.view < entered
                    || (new_view.view == entered && newest == Some(&message));
                new_view.view >= self.memory.view_least() && !is_remembered
            }
            Body::Checkpoint(_) | Body::Status(_) | Body::Certificate(_) => false,
        };
        if is_forgotten {
            self.on_forgotten(message, out);
        }
    }

    /// A NEW-VIEW may have an own VIEW-CHANGE inside.
    pub(crate) fn look_inside(&mut self, message: &SignedMessage, out: &mut Vec<Action>) {
        let Body::NewView(new_view) = &message.body else {
            return;
        };
        let own = self.config.own;
        let signed = new_view
            .view_changes
            .iter()
            .find(|signed| signed.from == own);
        if let Some(signed) = signed
            && self.has_forgotten_leaving(signed.view_change.view, &signed.signature)
        {
            let body = Body::ViewChange(signed.view_change.clone());
            let message = self.context.message(own, body, signed.signature);
            self.on_forgotten(message, out);
        }
    }

    fn has_forgotten_leaving(&self, view: View, signature: &Signature) -> bool {
        let newest = self.safety.view_change().map(|message| message.signature);
        let left = self.safety.left();
        let is_remembered = view < left || (view == left && newest.as_ref() == Some(signature));
        view >= self.memory.view_least() && !is_remembered
    }

    fn on_forgotten(&mut self, message: SignedMessage, out: &mut Vec<Action>) {
        let seen = &mut self.memory.seen;
        let after = |view: View| View(view.0.saturating_add(1));
        match &message.body {
            Body::ViewChange(ViewChange { view, .. }) | Body::NewView(NewView { view, .. }) => {
                seen.view_least = seen.view_least.max(after(*view));
            }
            Body::PrePrepare(ballot) | Body::Prepare(ballot) | Body::Commit(ballot) => {
                seen.slots_through = seen.slots_through.max(ballot.slot);
                seen.view_least = seen.view_least.max(after(ballot.view));
            }
            Body::Checkpoint(_) | Body::Status(_) | Body::Certificate(_) => {}
        }
        if self.memory.standing == Standing::Forgetful {
            return;
        }
        if self.safety.is_silent() {
            return self.forget(out);
        }
        let mut peers = self.peers.values();
        let other = peers.find_map(|peer| peer.witness.named_other());
        self.say_farewell(other.unwrap_or(OTHER_UNKNOWN), out);
        let message = Box::new(message);
        self.halt(Halted::Forgot { message }, out);
    }

    /// Before anything is said after a start. Alone, a validator has nobody to contradict itself to,
    /// and nobody to ask.
    pub(crate) fn start_remembering(&mut self, vote_log_missing: bool, out: &mut Vec<Action>) {
        if self.validators().count() == 1 {
            self.memory.standing = Standing::Confirmed;
            self.memory.release = None;
        } else if vote_log_missing && self.memory.standing != Standing::Forgetful {
            self.forget(out);
        }
        self.hear_restored();
    }

    /// Quarantine begins: M4. A restart has to know, before anything else is found out.
    pub(crate) fn forget(&mut self, out: &mut Vec<Action>) {
        self.memory.standing = Standing::Forgetful;
        self.memory.release = None;
        self.memory.answered_since = None;
        out.push(Action::Persist(Record::Quarantine {
            slots_through: Slot(u64::MAX),
            view_least: View(u64::MAX),
        }));
    }

    pub(crate) fn halt(&mut self, halted: Halted, out: &mut Vec<Action>) {
        if self.halted.is_none() {
            self.halted = Some(halted.clone());
            out.push(Action::Halt(halted));
        }
    }

    /// Whether this validator votes at all in its view.
    pub(crate) fn may_vote(&self) -> bool {
        self.safety.may_sign_in(self.view)
    }

    /// The highest slot that it may have voted in, as far as it knows.
    pub(crate) fn voted_most(&self) -> Slot {
        self.safety
            .voted()
            .max(self.low())
            .max(self.memory.slots_through())
    }

    /// The highest view that it may have wanted to get to, as far as it knows.
    pub(crate) fn left_most(&self) -> View {
        self.safety.left().max(self.memory.view_forgotten())
    }

    /// Looks whether the silence is over: M2, M4. At the end of each step.
    pub(crate) fn review_memory(&mut self, out: &mut Vec<Action>) {
        if !self.safety.is_silent() || self.halted.is_some() {
            return;
        }
        if self.memory.standing == Standing::Probation {
            if self.doubting() >= self.weak() {
                self.forget(out);
            } else if self.confirmed().len() >= self.confirmed_needed() {
                self.memory.standing = Standing::Confirmed;
            }
        }
        if self.memory.standing == Standing::Forgetful {
            self.find_release(out);
        }
        let covered = self.memory.release.is_none_or(|release| {
            // Nothing that is forgotten lies above.
            self.low() > release.slots_through
        });
        if self.memory.standing == Standing::Confirmed && covered {
            self.safety.speak(self.memory.view_least());
            self.speak_up(out);
        }
    }

    /// All that was held back.
    fn speak_up(&mut self, out: &mut Vec<Action>) {
        self.pacemaker.rest();
        self.pacemaker.progress_at = self.pacemaker.awake();
        self.cosign(out);
        self.settle(out);
        self.join(out);
        self.leave_liar(out);
        self.go_on(out);
        self.begin_view(out);
    }

    fn claims(&self) -> impl Iterator<Item = (ValidatorIndex, Claim)> {
        self.peers
            .iter()
            .filter_map(|(index, peer)| Some((*index, peer.witness.claim?)))
    }

    fn is_known(&self, claim: &Claim) -> bool {
        claim.voted <= self.voted_most() && claim.left <= self.left_most()
    }

    /// Who has heard of this process and knows of nothing that it signed and does not remember.
    fn confirmed(&self) -> Vec<ValidatorIndex> {
        let known = self.claims().filter(|(_, claim)| self.is_known(claim));
        known.map(|(index, _)| index).collect()
    }

    /// How many say that they know of something.
    fn doubting(&self) -> usize {
        let unknown = self.claims().filter(|(_, claim)| !self.is_known(claim));
        unknown.count()
    }

    fn confirmed_needed(&self) -> usize {
        self.quorum().saturating_sub(1)
    }

    /// Who has said how far this validator's votes may have gone: M4.
    fn answered(&self) -> Vec<ValidatorIndex> {
        let low = self.low();
        self.claims()
            .filter(|(_, claim)| Slot::from(claim.stable) <= low)
            .map(|(index, _)| index)
            .collect()
    }

    /// So many that they share a correct one with the others of any quorum, while this validator
    /// is one of the f: M5.
    fn answered_needed(&self) -> usize {
        let validators = self.validators();
        let liars = validators.faulty_max().max(1);
        let not_in_quorum = validators.count().saturating_sub(validators.quorum());
        self.confirmed_needed()
            .max(not_in_quorum.saturating_add(liars))
    }

    fn find_release(&mut self, out: &mut Vec<Action>) {
        let answered = self.answered();
        if answered.len() < self.answered_needed() {
            return;
        }
        let now = self.now.since_start;
        let since = *self.memory.answered_since.get_or_insert(now);
        let others = self.peers.len();
        let pause = self
            .config
            .status_interval
            .saturating_mul(ANSWERS_INTERVALS);
        // Where at most one is faulty, this is the one.
        let may_lie = self.validators().faulty_max() > 1;
        let has_waited = now.since(since) >= pause;
        let views = self.views_forgotten(&answered);
        if may_lie && answered.len() < others && !(has_waited && self.is_near(views, &answered)) {
            return;
        }
        let release = Release {
            slots_through: self.slots_forgotten().max(self.memory.seen.slots_through),
            view_least: views.max(self.memory.seen.view_least),
        };
        self.memory.release = Some(release);
        self.memory.standing = Standing::Confirmed;
        out.push(Action::Persist(Record::Quarantine {
            slots_through: release.slots_through,
            view_least: release.view_least,
        }));
    }

    /// The last slot that it may have voted in: M5.
    fn slots_forgotten(&self) -> Slot {
        let windows = self.window().saturating_mul(2);
        Slot(self.low().0.saturating_add(windows).min(u64::MAX - 1))
    }

    /// The first view that it can have signed nothing for: M5. So many correct ones as are sure to
    /// be among those who answered know of the view before the one that it wanted; liars are fewer.
    fn views_forgotten(&self, answered: &[ValidatorIndex]) -> View {
        let least = self.views_named(answered);
        let faulty = self.validators().faulty_max();
        let silent = self.peers.len().saturating_sub(answered.len());
        let knowing = self.quorum().saturating_sub(faulty).saturating_sub(silent);
        let sure = knowing.min(faulty).saturating_sub(1);
        let known = least.get(sure).copied().unwrap_or_default();
        known.max(View(self.safety.left().0.saturating_add(1)))
    }

    /// The first view above all that it can have signed for, as each of these has it, the highest
    /// first.
    fn views_named(&self, answered: &[ValidatorIndex]) -> Vec<View> {
        let above = |view: View, by: u64| View(view.0.saturating_add(by));
        let mut named: Vec<View> = self
            .claims()
            .filter(|(index, _)| answered.contains(index))
            .map(|(_, claim)| above(claim.view, 2).max(above(claim.left, 1)))
            .collect();
        named.sort_unstable_by(|a, b| b.cmp(a));
        named
    }

    /// Whether a view is not far above what a correct one of these names.
    fn is_near(&self, view: View, answered: &[ValidatorIndex]) -> bool {
        let named = self.views_named(answered);
        let correct = named.get(self.validators().faulty_max()).copied();
        let correct = correct.unwrap_or_default().max(self.safety.left());
        view.0.saturating_sub(correct.0) <= VIEWS_AHEAD_MAX
    }

    /// What a status page shows of it.
    pub(crate) fn shown_mode(&self) -> Mode {
        let release = self.memory.release;
        match self.memory.standing {
            Standing::Probation => Mode::Probation {
                confirmed: self.confirmed(),
                needed: self.confirmed_needed(),
            },
            Standing::Confirmed if self.may_vote() => match self.mode {
                replica::Mode::Active => Mode::Active,
                replica::Mode::Changing => Mode::Changing,
            },
            Standing::Forgetful | Standing::Confirmed => Mode::Quarantine {
                answered: self.answered(),
                needed: self.answered_needed(),
                slots_through: release.map(|release| release.slots_through),
                view_least: release.map(|release| release.view_least),
            },
        }
    }
}
