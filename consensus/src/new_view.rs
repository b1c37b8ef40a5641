//! Entering a view: making its NEW-VIEW, or taking it (R25, R26).

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::{Batch, Signature, Slot, ValidatorIndex};

use crate::batches::HeldBatch;
use crate::event::{Action, Record};
use crate::message::{Ballot, Body, NewView, SignedMessage, SignedViewChange};
use crate::overview::Refusal;
use crate::replica::{Mode, Replica};
use crate::selection::select;
use crate::slot::{Origin, Proposal};
use crate::status::Served;

impl Replica {
    /// As the primary of the view that a quorum wants: begins it (R25).
    pub(crate) fn begin_view(&mut self, out: &mut Vec<Action>) {
        let may_begin = self.is_primary() && self.may_vote();
        if self.mode == Mode::Active || !may_begin || self.halted.is_some() {
            return;
        }
        let own = self.config.own;
        let is_wanted = |signed: &&SignedViewChange| signed.view_change.view == self.view;
        let others = self.view_changes.values().filter(is_wanted);
        let others = others.filter(|signed| signed.from != own);
        // The own one, and of the others as many as it takes.
        let mut chosen: Vec<SignedViewChange> = others
            .take(self.quorum().saturating_sub(1))
            .chain(self.view_changes.get(&own).filter(is_wanted))
            .cloned()
            .collect();
        if chosen.len() < self.quorum() {
            return;
        }
        chosen.sort_by_key(|signed| signed.from);
        let selection = select(chosen.iter().map(|signed| &signed.view_change));
        let Ok(promise) = self.safety.begin(chosen.clone(), &selection.proposals) else {
            return self.refuse(Refusal::AgainstOwnVote);
        };
        let message = promise.keep(out);
        self.enter(message, out);
    }

    /// The NEW-VIEW of its view's primary: R26.
    pub(crate) fn on_new_view(&mut self, message: SignedMessage, out: &mut Vec<Action>) {
        let Body::NewView(new_view) = &message.body else {
            return;
        };
        let view = new_view.view;
        self.hear_left(message.from, view);
        if view < self.view {
            return self.refuse(Refusal::OtherView);
        }
        if view == self.view && self.mode == Mode::Active {
            let Some(before) = self.new_view.as_ref().map(|served| &served.message) else {
                return self.refuse(Refusal::OtherView);
            };
            if before.body == message.body {
                return self.refuse(Refusal::Duplicate);
            }
            let first = (before.body.clone(), before.signature);
            let second = new_view.clone();
            return self.two_new_views(message.from, first, (second, message.signature), out);
        }
        match self.safety.enter(&message) {
            Ok(record) => {
                out.push(Action::Persist(record));
                self.enter(message, out);
            }
            Err(_) => self.refuse(Refusal::AgainstOwnVote),
        }
    }

    /// The primary of the active view began it twice. Where the two stories differ in a slot, that
    /// slot's two PRE-PREPAREs are a lie that everybody can be shown.
    fn two_new_views(
        &mut self,
        guilty: ValidatorIndex,
        first: (Body, Signature),
        (second, signature): (NewView, Signature),
        out: &mut Vec<Action>,
    ) {
        let view = second.view;
        let lie = second.proposals.iter().find_map(|carried| {
            let slot = carried.slot;
            let here = self.slots.get(&slot)?.proposal?;
            let said = |digest, signature| (Ballot { view, slot, digest }, signature);
            let first = said(here.digest, here.signature);
            let second = said(carried.digest, carried.signature);
            (first.0 != second.0).then_some([first, second])
        });
        self.accuse(guilty, first, (Body::NewView(second), signature), out);
        if let Some(lie) = lie {
            self.accuse_of_proposals(guilty, lie, out);
        }
    }

    /// The view of a NEW-VIEW, which is durable, is active from now on.
    fn enter(&mut self, message: SignedMessage, out: &mut Vec<Action>) {
        let from = message.from;
        let Body::NewView(new_view) = message.body.clone() else {
            return;
        };
        for signed in &new_view.view_changes {
            self.hear_left(signed.from, new_view.view);
        }
        let base = select(
            new_view
                .view_changes
                .iter()
                .map(|signed| &signed.view_change),
        )
        .base;
        if let Some(base) = base
            && Slot::from(base.statement.height) > self.low()
        {
            self.raise_low(base.clone(), out);
            if self.halted.is_some() {
                return;
            }
        }
        // Nothing is voted for up to the base, whatever happens: it is found again after a restart.
        if self.low() > self.durable_low
            && let Some(certificate) = &self.stable
        {
            out.push(Action::Persist(Record::Certificate(certificate.clone())));
            self.durable_low = self.low();
        }
        self.view = new_view.view;
        self.mode = Mode::Active;
        self.pacemaker.enter();
        self.freed = true;
        self.new_view = Some(Served {
            message,
            since: self.now.since_start,
        });
        let view = self.view;
        self.view_changes
            .retain(|_, signed| signed.view_change.view > view);
        let lies = self.carry_over(from, &new_view);
        self.drop_unwanted_batches();
        for lie in lies {
            self.accuse_of_proposals(from, lie, out);
        }
        self.leave_liar(out);
        self.settle(out);
        self.go_on(out);
    }

    /// Two PRE-PREPAREs of one primary for one slot of its view.
    fn accuse_of_proposals(
        &mut self,
        guilty: ValidatorIndex,
        lie: [(Ballot, Signature); 2],
        out: &mut Vec<Action>,
    ) {
        let [first, second] = lie.map(|(ballot, signature)| (Body::PrePrepare(ballot), signature));
        self.accuse(guilty, first, second, out);
    }

    /// Puts what the view goes on with into the slots. What its primary proposed otherwise before is
    /// replaced, and returned with what it proposes now.
    pub(crate) fn carry_over(
        &mut self,
        primary: ValidatorIndex,
        new_view: &NewView,
    ) -> Vec<[(Ballot, Signature); 2]> {
        let (view, low, is_own) = (new_view.view, self.low(), primary == self.config.own);
        self.proposed = new_view
            .proposals
            .last()
            .map_or(low, |carried| carried.slot)
            .max(low);
        let mut carried: BTreeMap<Slot, Proposal> = BTreeMap::new();
        for proposal in &new_view.proposals {
            // Slots up to the low water mark are certified: nobody needs a vote there.
            if proposal.slot > low {
                self.slot_log(proposal.slot);
            }
            let here = Proposal {
                view,
                digest: proposal.digest,
                signature: proposal.signature,
                origin: Origin::Settled,
            };
            carried.insert(proposal.slot, here);
        }
        let mut lies = Vec::new();
        for (slot, log) in &mut self.slots {
            log.leave(view);
            let before = log.ahead.get(&primary).copied();
            let before = before.filter(|proposal| proposal.view == view);
            log.ahead.retain(|_, proposal| proposal.view > view);
            let now = carried.get(slot).filter(|_| *slot > low).copied();
            if let (Some(before), Some(now)) = (before, now)
                && before.digest != now.digest
            {
                let slot = *slot;
                lies.push([before, now].map(|proposal| {
                    let digest = proposal.digest;
                    (Ballot { view, slot, digest }, proposal.signature)
                }));
            }
            log.proposal = now.or(before);
            if let Some(now) = now.filter(|_| is_own) {
                // The primary's proposal is its vote. Its batch is known to enough others.
                log.accept(now.digest);
            }
        }
        let gap = Batch::empty();
        let digest = gap.digest();
        if carried.values().any(|proposal| proposal.digest == digest) && !self.batches.has(&digest)
        {
            let gap = gap.verify(self.config.chain, &self.config.limits);
            let gap = gap.expect("no limit refuses a batch without transactions");
            self.batches.keep(HeldBatch::new(Arc::new(gap)));
        }
        for digest in self
            .slots
            .values()
            .filter_map(|log| log.proposal)
            .map(|p| p.digest)
        {
            self.batches.want(&digest);
        }
        lies
    }
}
