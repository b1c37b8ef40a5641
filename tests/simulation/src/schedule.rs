//! What a seed draws before it begins: the cluster, its timers, its network, which faults there
//! are and which are not. Swarm style: each class of fault is missing altogether in many seeds, so
//! that none hides what another would have shown.

use std::fmt;

use chancery_ledger::ValidatorIndex;

use crate::byzantine::LieKind;
use crate::random::Random;

/// What the command line fixes; the rest is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// How many validators, instead of a drawn number.
    pub validators: Option<u16>,
    /// How long the first phase lasts, instead of a drawn time.
    pub chaos_ms: Option<u64>,
}

/// A class of fault with how often it strikes: the mean time between two, in ms.
pub type Every = Option<u64>;

/// The whole of it.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// How many validators.
    pub validators: u16,
    /// The window, in slots.
    pub window: u32,
    /// The first phase: anything may happen.
    pub chaos_ms: u64,
    /// `Config::view_timeout`.
    pub view_timeout_ms: u64,
    /// `Config::view_timeout_max`.
    pub view_timeout_ms_max: u64,
    /// `Config::status_interval`.
    pub status_interval_ms: u64,
    /// A primary without work proposes after this time.
    pub heartbeat_ms: u64,
    /// A block is executed in at most this time.
    pub execution_ms_max: u64,
    /// Whether all promises of a step are written together before its first message leaves, as the
    /// real node does.
    pub group_commit: bool,
    /// Mean time between two transactions.
    pub transaction_every_ms: u64,
    /// In a hundred: how many are handed in to a second validator at once, and how often an earlier
    /// one is handed in again. Not drawn here: it is the real pool that this is about.
    pub repeated_percent: u64,
    /// The network of the first phase.
    pub network: NetworkPlan,
    /// The faults of the first phase.
    pub faults: FaultPlan,
    /// Who lies, and how.
    pub liars: Vec<(ValidatorIndex, LieKind)>,
    /// Whose key is used by two processes, and whether these hide it.
    pub twins: Vec<TwinPlan>,
    /// Partitions that are not drawn but given, one after the other.
    pub rounds: Vec<Round>,
    /// Of two phases, in the second only a quorum is healed; the others stay away.
    pub heal_only_a_quorum: bool,
    /// Lets the world take another course than the schedule alone would.
    pub world: Random,
}

/// How links behave. Delays are drawn for each frame.
#[derive(Debug, Clone, Copy)]
pub struct NetworkPlan {
    /// Least delay.
    pub delay_ms_min: u64,
    /// Most, on ordinary links.
    pub delay_ms_max: u64,
    /// Frames in a hundred that take ten times as long.
    pub stragglers_percent: u64,
    /// Frames in a hundred that are lost.
    pub loss_percent: u64,
    /// Frames in a hundred that come twice.
    pub duplicate_percent: u64,
    /// Whether frames of one link keep their order.
    pub in_order: bool,
    /// Most, in the second phase.
    pub healed_delay_ms_max: u64,
    /// Links in a hundred that are five times as slow as the others.
    pub slow_links_percent: u64,
}

/// What strikes validators.
#[derive(Debug, Clone, Copy)]
pub struct FaultPlan {
    /// Links are cut for a while.
    pub partition: Every,
    /// A process dies, between any two of its deeds.
    pub crash: Every,
    /// All processes die at once.
    pub crash_all: Every,
    /// The primary of the highest view dies.
    pub crash_primary: Every,
    /// A process stands still for a while.
    pub pause: Every,
    /// For a while only the primary is heard, until it has prepared something.
    pub spotlight: Every,
    /// A wall clock jumps.
    pub clock_jump: Every,
    /// Clocks run at different speeds.
    pub clock_rates: bool,
    /// A disk is wiped, as long as no more than f are then faulty.
    pub wipe: Every,
    /// A disk is rolled back to an earlier copy, likewise.
    pub roll_back: Every,
    /// A bit of a disk flips, likewise. Not drawn here: a core node's disk has no bits.
    pub bit_flip: Every,
    /// How long a dead process stays dead, at most.
    pub down_ms_max: u64,
}

/// Two processes with one key.
#[derive(Debug, Clone, Copy)]
pub struct TwinPlan {
    /// Whose key.
    pub of: ValidatorIndex,
    /// Whether both show the same incarnation and are deaf to what is said under their own name, so
    /// that neither notices the other.
    pub hidden: bool,
}

/// For a while, processes hear those of their own group only.
#[derive(Debug, Clone)]
pub struct Round {
    /// How long, in ms.
    pub ms: u64,
    /// By process.
    pub group: Vec<u8>,
}

impl Schedule {
    /// A world in which nothing goes wrong by itself.
    #[must_use]
    pub fn calm(seed: u64, validators: u16) -> Self {
        let mut schedule = Self::draw(
            seed,
            Wanted {
                validators: Some(validators),
                chaos_ms: None,
            },
        );
        schedule.liars.clear();
        schedule.twins.clear();
        schedule.heal_only_a_quorum = false;
        schedule.network = NetworkPlan {
            delay_ms_min: 1,
            delay_ms_max: 5,
            stragglers_percent: 0,
            loss_percent: 0,
            duplicate_percent: 0,
            in_order: false,
            healed_delay_ms_max: 5,
            slow_links_percent: 0,
        };
        schedule.faults = FaultPlan {
            partition: None,
            crash: None,
            crash_all: None,
            crash_primary: None,
            pause: None,
            spotlight: None,
            clock_jump: None,
            clock_rates: false,
            wipe: None,
            roll_back: None,
            bit_flip: None,
            down_ms_max: 100,
        };
        schedule
    }

    /// Draws the schedule of a seed.
    #[must_use]
    pub fn draw(seed: u64, wanted: Wanted) -> Self {
        let mut random = Random::new(seed);
        let validators = random.between(0, 99);
        let validators = wanted.validators.unwrap_or(match validators {
            0..3 => 1,
            3..6 => 2,
            6..10 => 3,
            10..66 => 4,
            66..72 => 5,
            72..78 => 6,
            _ => 7,
        });
        let window = *random.pick(&[1, 2, 2, 3, 4, 4, 6, 8]).expect("some");
        let view_timeout_ms = *random.pick(&[200, 300, 500, 700, 1000]).expect("some");
        let doublings = random.between(1, 4);
        // Some first phases are long: whoever cannot talk must not get out of reach.
        let chaos_ms = if random.percent(4) {
            random.between(30_000, 60_000)
        } else {
            random.between(4_000, 14_000)
        };
        let mut schedule = Self {
            validators,
            window,
            chaos_ms: wanted.chaos_ms.unwrap_or(chaos_ms),
            view_timeout_ms,
            view_timeout_ms_max: view_timeout_ms << doublings,
            status_interval_ms: random.between(400, 1_200),
            heartbeat_ms: random.between(500, 3_000),
            execution_ms_max: *random.pick(&[0, 3, 20, 100]).expect("some"),
            group_commit: random.percent(50),
            transaction_every_ms: random.between(100, 1_200),
            repeated_percent: 0,
            network: NetworkPlan::draw(&mut random),
            faults: FaultPlan::draw(&mut random),
            liars: Vec::new(),
            twins: Vec::new(),
            rounds: Vec::new(),
            heal_only_a_quorum: random.percent(50),
            world: random.fork(),
        };
        schedule.draw_liars(&mut random);
        // Where views may last longer than at first, they may have to.
        if doublings >= 3 && random.percent(40) {
            schedule.network.healed_delay_ms_max = view_timeout_ms;
        }
        if random.percent(12) {
            schedule.faults.spotlight = Some(random.between(2_000, 6_000));
        }
        schedule
    }

    /// How many may be faulty at any time: floor((n - 1) / 3).
    #[must_use]
    pub fn faulty_max(&self) -> usize {
        (usize::from(self.validators) - 1) / 3
    }

    /// How many decide: the least number that any two sets of share f + 1 members.
    #[must_use]
    pub fn quorum(&self) -> usize {
        let (count, faulty) = (usize::from(self.validators), self.faulty_max());
        (1..=count)
            .find(|size| 2 * size > count + faulty)
            .expect("all of them are enough")
    }

    fn draw_liars(&mut self, random: &mut Random) {
        let faulty_max = self.faulty_max();
        if faulty_max == 0 || random.percent(35) {
            return;
        }
        let mut everybody: Vec<u16> = (0..self.validators).collect();
        random.shuffle(&mut everybody);
        // Who leads first, leads most.
        if random.percent(25) {
            everybody.retain(|index| *index != 0);
            everybody.insert(0, 0);
        }
        let count = 1 + random.index(faulty_max);
        for index in everybody.into_iter().take(count) {
            let index = ValidatorIndex(index);
            if random.percent(15) {
                let hidden = random.percent(70);
                self.twins.push(TwinPlan { of: index, hidden });
            } else {
                self.liars.push((index, LieKind::draw(random)));
            }
        }
        self.liars.sort_by_key(|(index, _)| *index);
    }

    /// Whether the validator may break rules.
    #[must_use]
    pub fn is_guilty(&self, index: ValidatorIndex) -> bool {
        self.liars.iter().any(|(liar, _)| *liar == index)
            || self.twins.iter().any(|twin| twin.of == index)
    }
}

impl NetworkPlan {
    fn draw(random: &mut Random) -> Self {
        let delay_ms_max = *random.pick(&[2, 10, 30, 80, 200]).expect("some");
        let mut some = |percent, most| {
            if random.percent(percent) {
                random.between(1, most)
            } else {
                0
            }
        };
        Self {
            delay_ms_min: 1,
            delay_ms_max,
            stragglers_percent: some(40, 10),
            loss_percent: some(50, 20),
            duplicate_percent: some(40, 20),
            in_order: some(50, 1) == 1,
            healed_delay_ms_max: 20,
            slow_links_percent: some(25, 30),
        }
    }
}

impl FaultPlan {
    fn draw(random: &mut Random) -> Self {
        let mut every =
            |percent, least, most| random.percent(percent).then(|| random.between(least, most));
        Self {
            partition: every(55, 800, 4_000),
            crash: every(50, 700, 4_000),
            crash_all: every(12, 3_000, 8_000),
            crash_primary: every(25, 1_500, 5_000),
            pause: every(30, 1_000, 5_000),
            spotlight: None,
            clock_jump: every(20, 1_000, 5_000),
            clock_rates: every(30, 0, 0).is_some(),
            wipe: every(8, 2_000, 6_000),
            roll_back: every(8, 2_000, 6_000),
            bit_flip: None,
            down_ms_max: *random.pick(&[100, 500, 3_000]).expect("some"),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            validators,
            window,
            chaos_ms,
            network,
            faults,
            ..
        } = self;
        write!(
            f,
            "n={validators} window={window} chaos={chaos_ms}ms view-timeout={}..{}ms status={}ms \
             heartbeat={}ms execution<={}ms group-commit={} transaction-every={}ms",
            self.view_timeout_ms,
            self.view_timeout_ms_max,
            self.status_interval_ms,
            self.heartbeat_ms,
            self.execution_ms_max,
            self.group_commit,
            self.transaction_every_ms,
        )?;
        write!(
            f,
            "\n  links: {}..{}ms (healed {}ms), {}% stragglers, {}% lost, {}% twice, {}, {}% slow",
            network.delay_ms_min,
            network.delay_ms_max,
            network.healed_delay_ms_max,
            network.stragglers_percent,
            network.loss_percent,
            network.duplicate_percent,
            if network.in_order {
                "in order"
            } else {
                "in any order"
            },
            network.slow_links_percent,
        )?;
        write!(f, "\n  faults:")?;
        let every = [
            ("partition", faults.partition),
            ("crash", faults.crash),
            ("crash of all", faults.crash_all),
            ("crash of the primary", faults.crash_primary),
            ("pause", faults.pause),
            ("spotlight", faults.spotlight),
            ("clock jump", faults.clock_jump),
            ("wiped disk", faults.wipe),
            ("disk rolled back", faults.roll_back),
            ("bit flipped", faults.bit_flip),
        ];
        for (name, mean) in every {
            if let Some(mean) = mean {
                write!(f, " {name} every {mean}ms;")?;
            }
        }
        if faults.clock_rates {
            write!(f, " clocks of different speed;")?;
        }
        for (index, kind) in &self.liars {
            write!(f, "\n  validator {index}: {}", kind.name())?;
        }
        for twin in &self.twins {
            let how = if twin.hidden { "hidden" } else { "open" };
            write!(f, "\n  validator {}: two processes, {how}", twin.of)?;
        }
        for Round { ms, group } in &self.rounds {
            write!(f, "\n  for {ms}ms, groups {group:?}")?;
        }
        Ok(())
    }
}
