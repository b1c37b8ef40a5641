//! Checkpoints: cosigning what was executed, certificates, the water marks, truncation, and asking
//! for blocks that votes will not bring any more (R12 to R16).

use chancery_ledger::checkpoint::{CheckpointCertificate, CheckpointStatement, Cosignature};
use chancery_ledger::{Height, Millis, Signature, Slot, ValidatorIndex};

use crate::event::{Action, Divergence, Halted, Record};
use crate::message::{Body, SignedMessage};
use crate::overview::Refusal;
use crate::replica::Replica;
use crate::tally::{NotCounted, Tally};

/// A certified height lies above what was ordered here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behind {
    /// What was ordered here when this was last looked at.
    delivered: Slot,
    /// Since when nothing more was.
    since: Millis,
    /// When blocks may be asked for again.
    ask_at: Millis,
    /// How often they were.
    asked: usize,
    /// What was executed when they were asked for last.
    executed: Height,
}

impl Replica {
    /// A block is durable: R12.
    pub(crate) fn on_executed(&mut self, statement: CheckpointStatement, out: &mut Vec<Action>) {
        if statement.height <= self.executed.height {
            return self.refuse(Refusal::NotNewer);
        }
        self.executed = statement;
        self.delivered = self.delivered.max(self.executed.height.into());
        self.cosign(out);
        self.settle(out);
        self.execute_ready(out);
    }

    /// Cosigns what is executed, unless that height is certified already.
    pub(crate) fn cosign(&mut self, out: &mut Vec<Action>) {
        let height = self.executed.height;
        if Slot::from(height) <= self.low() || self.safety.is_silent() {
            return;
        }
        let statement = self.executed.clone();
        match self.safety.checkpoint(&statement) {
            Ok(message) => {
                let SignedMessage { signature, .. } = message;
                out.push(Action::Broadcast(message));
                self.count_checkpoint(self.config.own, statement, signature, out);
            }
            Err(_) => self.refuse(Refusal::AgainstOwnVote),
        }
    }

    /// Another validator's CHECKPOINT: R13.
    pub(crate) fn on_checkpoint(
        &mut self,
        from: ValidatorIndex,
        statement: CheckpointStatement,
        signature: Signature,
        out: &mut Vec<Action>,
    ) {
        self.count_checkpoint(from, statement, signature, out);
        self.settle(out);
        self.execute_ready(out);
    }

    fn count_checkpoint(
        &mut self,
        from: ValidatorIndex,
        statement: CheckpointStatement,
        signature: Signature,
        out: &mut Vec<Action>,
    ) {
        let (low, height) = (self.low(), statement.height);
        if Slot::from(height) <= low {
            return self.refuse(Refusal::BelowWindow);
        }
        if height.0.saturating_sub(low.0) > self.window().saturating_mul(2) {
            return self.refuse(Refusal::AboveWindow);
        }
        let quorum = self.quorum();
        let tally = self.checkpoints.entry(height).or_insert_with(Tally::new);
        let before = tally.get(from).cloned();
        match (tally.insert(from, statement.clone(), signature), before) {
            (Ok(()), _) => {}
            (Err(NotCounted::Conflicting), Some((before, first))) => {
                let (first, second) = ((before, first), (statement, signature));
                let said = |(statement, signature)| (Body::Checkpoint(statement), signature);
                return self.accuse(from, said(first), said(second), out);
            }
            (Err(why), _) => return self.refuse(why.into()),
        }
        let Some(statement) = tally.said_by(quorum).cloned() else {
            return;
        };
        let cosignatures = tally
            .who(&statement)
            .map(|(validator, signature)| Cosignature {
                validator,
                signature,
            })
            .collect();
        self.adopt(
            CheckpointCertificate {
                statement,
                cosignatures,
            },
            out,
        );
    }

    /// A certificate for one who is behind: R14.
    pub(crate) fn on_certificate(
        &mut self,
        certificate: CheckpointCertificate,
        out: &mut Vec<Action>,
    ) {
        if Slot::from(certificate.statement.height) <= self.low() {
            return self.refuse(Refusal::BelowWindow);
        }
        self.adopt(certificate, out);
        self.settle(out);
        self.execute_ready(out);
    }

    /// Fetched blocks are durable: R16.
    pub(crate) fn on_caught_up(
        &mut self,
        certificate: CheckpointCertificate,
        executed: CheckpointStatement,
        out: &mut Vec<Action>,
    ) {
        if executed.height > self.executed.height {
            self.executed = executed;
            self.delivered = self.delivered.max(self.executed.height.into());
        }
        let before = self.behind.map(|behind| behind.executed);
        if before.is_some_and(|before| before < self.executed.height) {
            // It works: more may be asked for at once.
            self.behind = None;
        }
        if Slot::from(certificate.statement.height) > self.low() {
            self.adopt(certificate, out);
        }
        self.cosign(out);
        self.settle(out);
        self.execute_ready(out);
        self.ask_for_blocks(out);
    }

    /// Takes a quorum's word for a height above the low water mark, and goes on from there.
    fn adopt(&mut self, certificate: CheckpointCertificate, out: &mut Vec<Action>) {
        self.raise_low(certificate, out);
        if self.halted.is_none() {
            self.go_on(out);
        }
    }

    /// Raises the low water mark to a certified height above it.
    pub(crate) fn raise_low(&mut self, certificate: CheckpointCertificate, out: &mut Vec<Action>) {
        let height = certificate.statement.height;
        let low = Slot::from(height);
        let own = self
            .checkpoints
            .get(&height)
            .and_then(|tally| tally.get(self.config.own))
            .map(|(statement, _)| statement.clone());
        self.stable = Some(certificate);
        if let Some(own) = own {
            self.compare(&own, out);
        }
        if self.halted.is_some() {
            return;
        }
        self.pacemaker.progressed();
        self.safety.finish(low);
        self.checkpoints = self.checkpoints.split_off(&height.next());
        let last_dropped = Slot(low.0.saturating_sub(self.window()));
        self.slots = self.slots.split_off(&last_dropped.next());
        self.drop_unwanted_batches();
    }

    /// Accepts, votes, executes and fetches whatever now can be: slots that were above the window
    /// may be in it, or a view began.
    pub(crate) fn go_on(&mut self, out: &mut Vec<Action>) {
        self.accept_waiting(out);
        let open: Vec<Slot> = self
            .slots
            .range(self.low().next()..)
            .map(|(slot, _)| *slot)
            .collect();
        for slot in open {
            self.advance(slot, out);
        }
        self.execute_ready(out);
        self.ask_for_blocks(out);
    }

    /// Drops the batches that no slot wants any more.
    pub(crate) fn drop_unwanted_batches(&mut self) {
        let weak = self.weak();
        let logs = self.slots.values();
        let wanted = logs.flat_map(|log| log.wanted(weak)).collect();
        self.batches.retain(&wanted);
    }

    /// Says what is final, once it is both certified and executed: R13, R15.
    pub(crate) fn settle(&mut self, out: &mut Vec<Action>) {
        let own = self.executed.clone();
        self.compare(&own, out);
        let height = self.stable_height();
        let is_new = height > self.final_height && height <= self.executed.height;
        if !is_new || self.halted.is_some() {
            return;
        }
        if let Some(certificate) = &self.stable {
            out.push(Action::Persist(Record::Final(certificate.clone())));
            out.push(Action::Final(certificate.clone()));
            out.push(Action::Truncate {
                through: height.into(),
            });
            self.final_height = height;
            self.durable_low = self.durable_low.max(height.into());
        }
    }

    /// Before a vote in `slot`: the low water mark that allows it must be found again after a
    /// restart, and it is durable by itself only once it is final (R10).
    pub(crate) fn secure_window(&mut self, slot: Slot, out: &mut Vec<Action>) {
        let covered = slot.0.saturating_sub(self.durable_low.0) <= self.window();
        if !covered && let Some(certificate) = &self.stable {
            out.push(Action::Persist(Record::Certificate(certificate.clone())));
            self.durable_low = self.low();
            // Else the log of one who votes but does not get to executing would grow for ever.
            out.push(Action::Truncate {
                through: self.durable_low,
            });
        }
    }

    /// Stops if `own` is of the stable height and not what the quorum certifies: R15.
    fn compare(&mut self, own: &CheckpointStatement, out: &mut Vec<Action>) {
        let Some(certificate) = &self.stable else {
            return;
        };
        let certified = &certificate.statement;
        if own.height != certified.height || own == certified || self.halted.is_some() {
            return;
        }
        let halted = Halted::Diverged(Divergence {
            own: own.clone(),
            certificate: certificate.clone(),
        });
        self.halted = Some(halted.clone());
        out.push(Action::Halt(halted));
    }

    /// Asks for certified blocks that votes will not bring, or have not brought for a while: R16.
    pub(crate) fn ask_for_blocks(&mut self, out: &mut Vec<Action>) {
        let (low, delivered, now) = (self.low(), self.delivered, self.now.since_start);
        if low <= delivered {
            self.behind = None;
            return;
        }
        let mut behind = self.behind.filter(|behind| behind.delivered == delivered);
        let behind = behind.get_or_insert(Behind {
            delivered,
            since: now,
            ask_at: self.behind.map_or(now, |behind| behind.ask_at),
            asked: self.behind.map_or(0, |behind| behind.asked),
            executed: self
                .behind
                .map_or(self.executed.height, |behind| behind.executed),
        });
        // Others keep one window of slots below their low water marks.
        let out_of_reach = low.0.saturating_sub(delivered.0) > self.window();
        let waited = now.since(behind.since) >= self.config.catch_up_after;
        let due = (out_of_reach || waited) && now >= behind.ask_at;
        if due && let Some((from, certificate)) = self.source(behind.asked) {
            out.push(Action::CatchUp { from, certificate });
            behind.asked = behind.asked.saturating_add(1);
            behind.executed = self.executed.height;
            behind.ask_at = now.saturating_add(self.config.catch_up_interval);
        }
        self.behind = Some(*behind);
    }

    /// Whom to ask: those who cosigned have executed it. Everybody starts with another one.
    fn source(&self, asked: usize) -> Option<(ValidatorIndex, CheckpointCertificate)> {
        let certificate = self.stable.as_ref()?;
        let others: Vec<ValidatorIndex> = certificate
            .cosignatures
            .iter()
            .map(|cosignature| cosignature.validator)
            .filter(|validator| *validator != self.config.own)
            .collect();
        let turn = asked.wrapping_add(self.config.own.as_usize());
        let from = others.get(turn.checked_rem(others.len())?)?;
        Some((*from, certificate.clone()))
    }

    /// The newest certified height.
    pub(crate) fn stable_height(&self) -> Height {
        Height(self.low().0)
    }
}
