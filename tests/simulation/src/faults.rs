//! What strikes processes in the first phase, and how the second one begins: the network and a
//! quorum are healed, and what then must happen in time.

use chancery_ledger::{Height, TransactionId};

use crate::node::{DiskFault, Node};
use crate::oracle::Rule;
use crate::schedule::Schedule;
use crate::world::{Healing, World};

/// A class of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Partition,
    Crash,
    CrashAll,
    CrashPrimary,
    Pause,
    ClockJump,
    Wipe,
    RollBack,
    BitFlip,
    Spotlight,
}

const ALL: [Fault; 10] = [
    Fault::Partition,
    Fault::Crash,
    Fault::CrashAll,
    Fault::CrashPrimary,
    Fault::Pause,
    Fault::ClockJump,
    Fault::Wipe,
    Fault::RollBack,
    Fault::BitFlip,
    Fault::Spotlight,
];

/// What a healed quorum is given beside its timers: starting, telling what is here, fetching
/// blocks from somebody who lies about them.
const HEALED_EXTRA_MS: u64 = 6_000;

impl Fault {
    fn every(self, schedule: &Schedule) -> Option<u64> {
        let faults = &schedule.faults;
        match self {
            Self::Partition => faults.partition,
            Self::Crash => faults.crash,
            Self::CrashAll => faults.crash_all,
            Self::CrashPrimary => faults.crash_primary,
            Self::Pause => faults.pause,
            Self::ClockJump => faults.clock_jump,
            Self::Wipe => faults.wipe,
            Self::RollBack => faults.roll_back,
            Self::BitFlip => faults.bit_flip,
            Self::Spotlight => faults.spotlight,
        }
    }

    pub(crate) fn mean_ms(self, schedule: &Schedule) -> u64 {
        self.every(schedule).unwrap_or(u64::MAX / 4)
    }
}

/// Those that are on in a seed.
pub(crate) fn first(schedule: &Schedule) -> Vec<Fault> {
    let is_on = |fault: &Fault| fault.every(schedule).is_some();
    ALL.into_iter().filter(is_on).collect()
}

impl<N: Node> World<N> {
    pub(crate) fn strike(&mut self, fault: Fault) {
        let victim = self.random.index(self.processes.len());
        match fault {
            Fault::Partition => {
                let for_ms = self.random.between(100, 3_000);
                if self.processes.len() > 1 {
                    let shape = self.network.partition(self.now_ms, for_ms);
                    self.counters.count(shape.name());
                    self.trace
                        .note_world(self.now_ms, || format!("{shape:?} cut for {for_ms} ms"));
                }
            }
            Fault::Crash => self.let_die(victim),
            Fault::CrashAll => {
                self.counters.count("crash of all");
                for process in 0..self.processes.len() {
                    self.let_die(process);
                }
            }
            Fault::CrashPrimary => {
                let view = self.processes.iter().map(|process| process.view).max();
                let primary = view.unwrap_or(0) % u64::from(self.schedule.validators);
                self.let_die(usize::try_from(primary).expect("less than a u16"));
            }
            Fault::Pause => {
                self.counters.count("pause");
                let for_ms = self.random.between(50, 4_000);
                self.pause(victim, for_ms);
            }
            Fault::ClockJump => {
                self.counters.count("clock jump");
                let far = self.random.percent(30);
                let reach = if far { 3_600_000 } else { 20_000 };
                let jump = i64::try_from(self.random.below(2 * reach)).expect("small");
                let reach = i64::try_from(reach).expect("small");
                self.processes[victim].clock_offset_ms = jump - reach;
            }
            Fault::Wipe => self.damage(victim, DiskFault::Wiped),
            Fault::RollBack => self.damage(victim, DiskFault::RolledBack),
            Fault::BitFlip => self.damage(victim, DiskFault::BitFlipped),
            Fault::Spotlight => {
                self.counters.count("spotlight");
                let for_ms = self.random.between(1_000, 6_000);
                let dark_ms = self.schedule.view_timeout_ms * self.random.between(1, 4);
                self.spotlight.shine(self.now_ms + for_ms, dark_ms);
                self.trace
                    .note_world(self.now_ms, || format!("spotlight for {for_ms} ms"));
            }
        }
    }

    /// The process dies soon, between any two of its deeds.
    fn let_die(&mut self, victim: usize) {
        let down_ms = self.random.between(10, self.schedule.faults.down_ms_max);
        let after = self.random.below(12);
        let process = &mut self.processes[victim];
        if process.runs {
            process.down_ms = down_ms;
            process.dies_after = Some(after);
        }
    }

    /// Whether it counts among the f that may be faulty.
    pub(crate) fn is_suspect(&self, process: usize) -> bool {
        let process = &self.processes[process];
        process.damaged || process.halted || self.schedule.is_guilty(process.key)
    }

    fn damage(&mut self, victim: usize, fault: DiskFault) {
        let suspects = (0..usize::from(self.schedule.validators))
            .filter(|process| *process != victim && self.is_suspect(*process))
            .count();
        if suspects >= self.schedule.faulty_max() || self.processes[victim].halted {
            return;
        }
        let name = match fault {
            DiskFault::Wiped => "disk wiped",
            DiskFault::RolledBack => "disk rolled back",
            DiskFault::BitFlipped => "bit flipped",
        };
        self.counters.count(name);
        self.processes[victim].down_ms = self.random.between(10, 500);
        self.kill(victim);
        let process = &mut self.processes[victim];
        let forgets = process.node.damage_disk(fault);
        process.damaged = true;
        process.was_quarantined = false;
        let executed = process.node.executed().height;
        self.oracle.on_disk_damaged(victim, executed, forgets);
        self.trace.note(self.now_ms, victim, || name.to_owned());
    }

    /// The second phase begins.
    pub(crate) fn heal(&mut self) {
        let count = usize::from(self.schedule.validators);
        let mut sound: Vec<usize> = (0..count).filter(|p| !self.is_suspect(*p)).collect();
        self.random.shuffle(&mut sound);
        let mut members = sound.clone();
        if self.schedule.heal_only_a_quorum {
            members.truncate(self.schedule.quorum());
        }
        let with_liars = !self.schedule.heal_only_a_quorum || self.random.percent(60);
        let here: Vec<bool> = (0..self.processes.len())
            .map(|p| members.contains(&p) || (with_liars && self.is_suspect(p)) || p >= count)
            .collect();
        self.trace.note_world(self.now_ms, || {
            format!("healed: {members:?}, here: {here:?}")
        });
        self.network.heal(here.clone());
        self.spotlight.end();
        for (process, is_here) in here.into_iter().enumerate() {
            // Within what honest clocks may differ.
            let offset = self.random.below(400);
            self.processes[process].clock_offset_ms = i64::try_from(offset).expect("small") - 200;
            self.processes[process].dies_after = None;
            self.processes[process].node.spare();
            if is_here {
                self.resume(process);
                self.start(process);
            }
        }
        let away = count - members.len();
        let (least, most) = (
            self.schedule.view_timeout_ms,
            self.schedule.view_timeout_ms_max,
        );
        let doublings = u64::from((most / least).max(1).ilog2());
        let views = doublings + away.max(self.schedule.faulty_max()) as u64 + 2;
        let within_ms = (views + 2) * most + HEALED_EXTRA_MS;
        self.healing = Some(Healing {
            since: self.now_ms,
            until: self.now_ms + within_ms,
            height: self.oracle.height().max(self.oracle.final_height()),
            transactions: Vec::new(),
            owed: usize::MAX,
            block_ms: 4 * most,
            view: self.oracle.view_left_most(),
            views,
            moves: false,
            members: members.clone(),
        });
        let to = members[0];
        self.submit_again(to);
        self.submit_next(to);
        let transactions = self.handed_in().collect();
        if let Some(healing) = &mut self.healing {
            healing.transactions = transactions;
            healing.height = healing.height.next();
        }
    }

    /// Looks whether a healed quorum moves, and whether everything that it owes is done.
    pub(crate) fn has_progressed(&mut self) -> bool {
        let Some(healing) = &self.healing else {
            return false;
        };
        let (height, views) = (healing.height, healing.views);
        if !healing.moves && self.have_executed(height) {
            let took = self.now_ms - healing.since;
            self.counters.add("ms from healing to progress", took);
            self.check_views(views);
            if let Some(healing) = &mut self.healing {
                healing.moves = true;
            }
        }
        let Some(healing) = &self.healing else {
            return false;
        };
        if healing.moves
            && self.schedule.network.healed_delay_ms_max > self.schedule.view_timeout_ms / 2
        {
            // Hardly a view lasts for a block there: that there are any is all that can be asked.
            return true;
        }
        let healed_at = healing.height;
        let mut height = healed_at;
        for transaction in &healing.transactions {
            if let Some(slot) = self.oracle.executed_in(transaction.id) {
                height = height.max(slot.height());
            } else if transaction.is_owed(&self.oracle) {
                return false;
            }
        }
        let is_done = self.have_executed(height);
        if is_done {
            // Liars that lead slowly, or leave something out, had to be replaced, too; and where
            // the timeout is hardly longer than a block takes, a view may end with each block.
            let blocks = self.oracle.height().0.saturating_sub(healed_at.0);
            self.check_views(2 * views + blocks);
        }
        is_done
    }

    /// What was handed in before the quorum was healed and is still to be executed.
    fn owed(&self) -> impl Iterator<Item = TransactionId> + '_ {
        let healing = self.healing.iter();
        let transactions = healing.flat_map(|healing| &healing.transactions);
        let owed = transactions.filter(|transaction| transaction.is_owed(&self.oracle));
        owed.map(|transaction| transaction.id)
    }

    fn have_executed(&self, height: Height) -> bool {
        let members = self.healing.iter().flat_map(|healing| &healing.members);
        members
            .copied()
            .all(|member| self.processes[member].node.executed().height >= height)
    }

    /// Something was done: was it within the views allowed?
    fn check_views(&mut self, views: u64) {
        for index in 0..self.processes.len() {
            crate::notes::look(self, index);
        }
        let Some(healing) = &self.healing else {
            return;
        };
        let (view, due) = (self.oracle.view_left_most(), healing.view + views);
        if view > due {
            self.oracle.violate(Rule::ViewBound, || {
                format!("progress only when view {view} was asked for, it was due by view {due}")
            });
        }
    }

    /// Looks at bounds and at the time left.
    pub(crate) fn watch(&mut self) {
        for process in 0..self.processes.len() {
            crate::notes::look(self, process);
            self.check_bounds(process);
            // Now and then somebody copies a disk, to put the copy back later.
            if self.schedule.faults.roll_back.is_some() && self.random.percent(15) {
                self.processes[process].node.back_up_disk();
            }
        }
        let (owed, now) = (self.owed().count(), self.now_ms);
        let Some(healing) = &mut self.healing else {
            return;
        };
        // Where little fits into the window and the timeout is hardly longer than a block takes,
        // much takes its time.
        if owed < healing.owed {
            healing.owed = owed;
            healing.until = healing.until.max(now + healing.block_ms);
        }
        let (since, until) = (healing.since, healing.until);
        let members = healing.members.clone();
        if now >= until {
            let states: Vec<String> = members.iter().map(|p| self.state_of(*p)).collect();
            let since = now - since;
            let one = self.owed().next();
            let one = one.map_or(String::new(), |transaction| transaction.to_string());
            self.oracle.violate(Rule::Liveness, || {
                let states = states.join("; ");
                format!(
                    "{since} ms after a quorum was healed {owed} transactions are not executed \
                     ({one}): {states}"
                )
            });
        }
    }

    fn check_bounds(&mut self, index: usize) {
        let Some(overview) = self.overview(index) else {
            return;
        };
        let window = u64::from(self.schedule.window);
        let records = self.processes[index].node.records() as u64;
        let open_max = 2 * window;
        // Slots in three windows could want a few batches each, and 32 are loose.
        let batches_max = 8 * window * u64::from(self.schedule.validators) + 32;
        let records_max = 24 * window + 64;
        if overview.open.len() as u64 > open_max
            || overview.batches as u64 > batches_max
            || records > records_max
        {
            let (open, batches) = (overview.open.len(), overview.batches);
            self.oracle.violate(Rule::Bounds, || {
                format!("process {index}: {open} open slots, {batches} batches, {records} records")
            });
        }
    }

    fn state_of(&self, index: usize) -> String {
        let executed = self.processes[index].node.executed().height;
        let Some(overview) = self.overview(index) else {
            return format!("{index} does not run, executed {executed}");
        };
        let open: Vec<String> = overview
            .open
            .iter()
            .map(|slot| format!("{}:{:?}", slot.slot, slot.waits_for))
            .collect();
        format!(
            "{index} in view {} executed {executed} stable {} open {}",
            overview.view,
            overview.stable,
            open.join(",")
        )
    }
}
