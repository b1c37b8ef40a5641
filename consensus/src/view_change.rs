//! Leaving a view: VIEW-CHANGE, joining others, and when it is time (R21 to R24, R27 to R29).

use chancery_ledger::{Millis, Signature, Slot, ValidatorIndex, View};

use crate::event::{Action, Demand};
use crate::evidence::{Evidence, Place};
use crate::message::{Body, PreparedCertificate, SignedMessage, SignedViewChange, ViewChange};
use crate::overview::{Awaited, Cause, Refusal, Timer};
use crate::replica::{Mode, Replica};

/// The most contradictions of one validator that are reported: they prove no more than one does.
const EVIDENCE_MAX: usize = 32;

impl Replica {
    /// Leaves the active view, or gives up the one it wants to get to, for `view`: R21.
    pub(crate) fn leave_for(&mut self, view: View, cause: Cause, out: &mut Vec<Action>) {
        let ends = view == View(u64::MAX) || view <= self.view;
        if ends || self.halted.is_some() || self.safety.is_silent() {
            return;
        }
        if !self.safety.may_sign_in(view) {
            return self.wait_for(self.memory.view_forgotten(), cause);
        }
        let view_change = ViewChange {
            view,
            stable: self.stable.clone(),
            prepared: self.prepared_certificates(),
        };
        let Ok(promise) = self.safety.leave(view_change.clone()) else {
            return self.refuse(Refusal::AgainstOwnVote);
        };
        let message = promise.keep(out);
        self.wait_for(view, cause);
        let own = SignedViewChange {
            from: self.config.own,
            view_change,
            signature: message.signature,
        };
        self.view_changes.insert(own.from, own);
        self.begin_view(out);
    }

    /// No view is active, and `view` is wanted: with a VIEW-CHANGE, or, by one that may have signed
    /// another one, without (M4).
    fn wait_for(&mut self, view: View, cause: Cause) {
        self.view = view;
        self.mode = Mode::Changing;
        for log in self.slots.values_mut() {
            log.leave(view);
        }
        self.pacemaker.leave();
        self.view_changes_begun = self.view_changes_begun.saturating_add(1);
        self.left_because = Some(cause);
    }

    /// The VIEW-CHANGE for the view that is wanted here.
    pub(crate) fn own_view_change(&self) -> Option<&SignedMessage> {
        let wants = self.mode == Mode::Changing && self.safety.left() == self.view;
        self.safety.view_change().filter(|_| wants)
    }

    /// Of every slot above the low water mark that has one, the certificate of the highest view.
    fn prepared_certificates(&self) -> Vec<PreparedCertificate> {
        self.slots
            .range(self.low().next()..)
            .filter_map(|(_, log)| log.prepared.clone())
            .collect()
    }

    /// Another validator's VIEW-CHANGE: R23, R24.
    pub(crate) fn on_view_change(
        &mut self,
        from: ValidatorIndex,
        view_change: ViewChange,
        signature: Signature,
        out: &mut Vec<Action>,
    ) {
        let view = view_change.view;
        self.hear_left(from, view);
        if view < self.view || (view == self.view && self.mode == Mode::Active) {
            return self.refuse(Refusal::OtherView);
        }
        if let Some(before) = self.view_changes.get(&from)
            && before.view_change.view >= view
        {
            if before.view_change.view > view {
                return self.refuse(Refusal::Superseded);
            }
            if before.view_change == view_change {
                return self.refuse(Refusal::Duplicate);
            }
            let first = (
                Body::ViewChange(before.view_change.clone()),
                before.signature,
            );
            let second = (Body::ViewChange(view_change), signature);
            return self.accuse(from, first, second, out);
        }
        let signed = SignedViewChange {
            from,
            view_change,
            signature,
        };
        self.view_changes.insert(from, signed);
        self.join(out);
        self.begin_view(out);
    }

    /// Changes to the view that f + 1 validators want, if there is one: R24.
    pub(crate) fn join(&mut self, out: &mut Vec<Action>) {
        if let Some(joined) = self.to_join() {
            self.leave_for(joined, Cause::Joined, out);
        }
    }

    /// The highest view that f + 1 validators have reached or passed, if it is above the own one.
    fn to_join(&self) -> Option<View> {
        let mut views: Vec<View> = self
            .view_changes
            .values()
            .map(|signed| signed.view_change.view)
            .collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        let reached = views.get(self.weak().saturating_sub(1)).copied();
        reached.filter(|view| *view > self.view)
    }

    /// Whether a quorum has reached or passed the view that this one wants to get to, this one
    /// included.
    fn quorum_wants_the_view(&self) -> bool {
        let reached = self.peers.iter().filter(|(index, peer)| {
            let signed = self.view_changes.get(index);
            signed.is_some_and(|signed| signed.view_change.view >= self.view)
                || peer.heard.is_some_and(|heard| {
                    heard.view > self.view || (heard.view == self.view && heard.changing)
                })
        });
        reached.count().saturating_add(1) >= self.quorum()
    }

    /// Whether the primary is to order something that it has not ordered: R27.
    fn awaits(&self) -> Option<Since> {
        let next = self.delivered.max(self.low()).next();
        if !self.votes_in(next) {
            return None;
        }
        let (view, weak) = (self.view, self.weak());
        let is_open = self
            .slots
            .range(next..)
            .take_while(|(slot, _)| self.votes_in(**slot))
            .any(|(_, log)| {
                // What lies in the slot from earlier views was not carried over: nobody needs it.
                let is_voted = [&log.prepares, &log.commits]
                    .iter()
                    .any(|votes| votes.count_since(view) >= weak);
                let is_proposed = log.proposal.is_some() || log.accepted.is_some();
                log.committed.is_none() && (is_proposed || is_voted)
            });
        if is_open {
            return Some(Since::Now);
        }
        let up_to_date = self.low() <= self.delivered
            && self.delivered <= Slot::from(self.executed.height)
            && self
                .slots
                .get(&next)
                .is_none_or(|log| log.committed.is_none());
        if !up_to_date || !self.has_met_quorum() {
            return None;
        }
        if self.demand != Demand::Nothing {
            return Some(Since::Now);
        }
        // The primary is to propose something after so long, be it empty.
        let quiet = Millis(self.config.limits.heartbeat_ms);
        let since = self.pacemaker.progress_at.saturating_add(quiet);
        (self.pacemaker.awake() >= since).then_some(Since::Then(since))
    }

    /// Whether enough others were ever heard: before that nobody expects anything of a primary.
    fn has_met_quorum(&self) -> bool {
        let heard = self.peers.values().filter(|peer| peer.heard.is_some());
        heard.count().saturating_add(1) >= self.quorum()
    }

    /// Looks at the timers: R27 to R29.
    pub(crate) fn check_timers(&mut self, out: &mut Vec<Action>) {
        if self.safety.is_silent() {
            return self.pacemaker.rest();
        }
        match self.mode {
            Mode::Active => match self.awaits() {
                None => self.pacemaker.rest(),
                Some(Since::Now) => self.pacemaker.wait(None),
                Some(Since::Then(since)) => self.pacemaker.wait(Some(since)),
            },
            Mode::Changing if self.quorum_wants_the_view() => self.pacemaker.wait(None),
            Mode::Changing => self.pacemaker.rest(),
        }
        let next = View(self.view.0.saturating_add(1));
        if self.pacemaker.is_due() {
            let cause = match self.mode {
                Mode::Active => Cause::NoProgress,
                Mode::Changing => Cause::NoNewView,
            };
            return self.leave_for(next, cause, out);
        }
        if let (Mode::Active, Demand::Neglected(how)) = (self.mode, self.demand)
            && !self.is_primary()
            && self.pacemaker.had_its_time()
        {
            self.leave_for(next, Cause::Neglect(how), out);
        }
    }

    /// Somebody said two things where it may say one: R31.
    pub(crate) fn accuse(
        &mut self,
        guilty: ValidatorIndex,
        first: (Body, Signature),
        second: (Body, Signature),
        out: &mut Vec<Action>,
    ) {
        self.refuse(Refusal::Conflicting);
        let Some(place) = Place::of(&first.0) else {
            return;
        };
        let known = self.accused.entry(guilty).or_default();
        if known.len() >= EVIDENCE_MAX || !known.insert(place) {
            return;
        }
        self.evidence = self.evidence.saturating_add(1);
        let first = self.context.message(guilty, first.0, first.1);
        let second = self.context.message(guilty, second.0, second.1);
        let is_small = matches!(place, Place::Vote { .. } | Place::Checkpoint { .. });
        if is_small {
            // The others may know but one of them.
            out.push(Action::Broadcast(first.clone()));
            out.push(Action::Broadcast(second.clone()));
        }
        out.push(Action::Evidence(Box::new(Evidence { first, second })));
        // With what only this validator knows it would leave alone.
        if is_small && guilty == self.primary() {
            self.leave_active(Cause::Evidence, out);
        }
    }

    /// Leaves the view that was just entered if its primary was seen to lie in it before.
    pub(crate) fn leave_liar(&mut self, out: &mut Vec<Action>) {
        let lied = self.accused.get(&self.primary()).is_some_and(|places| {
            let mut places = places.iter();
            places.any(|place| matches!(place, Place::Vote { view, .. } if *view == self.view))
        });
        if lied {
            self.leave_active(Cause::Evidence, out);
        }
    }

    fn leave_active(&mut self, cause: Cause, out: &mut Vec<Action>) {
        if self.mode == Mode::Active && !self.is_primary() {
            self.leave_for(View(self.view.0.saturating_add(1)), cause, out);
        }
    }

    /// What a status page shows of the timer.
    pub(crate) fn timer(&self) -> Option<Timer> {
        let waits_for = match self.mode {
            Mode::Active => Awaited::Progress,
            Mode::Changing => Awaited::NewView,
        };
        let at = self
            .now
            .since_start
            .saturating_add(self.pacemaker.due_in()?);
        Some(Timer { waits_for, at })
    }
}

/// Since when something is waited for.
enum Since {
    Now,
    Then(Millis),
}
