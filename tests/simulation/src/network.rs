//! Links between processes: delay, loss, duplication, reordering, and partitions of several shapes.

use crate::random::Random;
use crate::schedule::{NetworkPlan, Round};

/// The shape of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Two groups that do not hear each other.
    Halves,
    /// One group hears the other but is not heard.
    OneWay,
    /// One process alone.
    Single,
    /// One that is heard by nobody, or hears nobody.
    HalfDeaf,
    /// Everybody hears only its neighbours.
    Ring,
    /// Two groups and one that hears both.
    Bridge,
    /// Two groups, now cut and now not.
    Flapping,
}

const SHAPES: [Shape; 7] = [
    Shape::Halves,
    Shape::OneWay,
    Shape::Single,
    Shape::HalfDeaf,
    Shape::Ring,
    Shape::Bridge,
    Shape::Flapping,
];

impl Shape {
    /// Its name in counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Halves => "partition, symmetric",
            Self::OneWay => "partition, one-way",
            Self::Single => "partition, single",
            Self::HalfDeaf => "partition, half deaf",
            Self::Ring => "partition, ring",
            Self::Bridge => "partition, bridge",
            Self::Flapping => "partition, flapping",
        }
    }
}

#[derive(Debug)]
struct Cut {
    /// From, to.
    blocked: Vec<Vec<bool>>,
    since: u64,
    until: u64,
    /// Cut in every other stretch of so many ms.
    period_ms: Option<u64>,
}

/// The network among `count` processes.
#[derive(Debug)]
pub struct Network {
    count: usize,
    plan: NetworkPlan,
    cuts: Vec<Cut>,
    slow: Vec<Vec<bool>>,
    /// When the last frame of a link arrives.
    last_arrival: Vec<Vec<u64>>,
    /// Who is heard and hears for good, once healed. Empty: not healed.
    healed: Vec<bool>,
    random: Random,
}

impl Network {
    pub(crate) fn new(count: usize, plan: NetworkPlan, mut random: Random) -> Self {
        let slow = (0..count)
            .map(|_| {
                let links = 0..count;
                links
                    .map(|_| random.percent(plan.slow_links_percent))
                    .collect()
            })
            .collect();
        Self {
            count,
            plan,
            cuts: Vec::new(),
            slow,
            last_arrival: vec![vec![0; count]; count],
            healed: Vec::new(),
            random,
        }
    }

    /// When copies of a frame that is sent now arrive: never, once or several times.
    pub(crate) fn arrivals(&mut self, now: u64, from: usize, to: usize, out: &mut Vec<u64>) {
        out.clear();
        if !self.healed.is_empty() {
            if self.healed[from] && self.healed[to] {
                out.push(now + self.random.between(1, self.plan.healed_delay_ms_max));
            }
            return;
        }
        if self.is_cut(now, from, to) {
            return;
        }
        let copies = 1 + u64::from(self.random.percent(self.plan.duplicate_percent));
        for _ in 0..copies {
            if self.random.percent(self.plan.loss_percent) {
                continue;
            }
            let plan = &self.plan;
            let mut delay = self.random.between(plan.delay_ms_min, plan.delay_ms_max);
            if self.slow[from][to] {
                delay *= 5;
            }
            if self.random.percent(self.plan.stragglers_percent) {
                delay *= 10;
            }
            let mut at = now + delay;
            if self.plan.in_order {
                let last = &mut self.last_arrival[from][to];
                at = at.max(*last);
                *last = at;
            }
            out.push(at);
        }
    }

    /// Whether nothing gets through from one to the other now.
    pub(crate) fn is_cut(&self, now: u64, from: usize, to: usize) -> bool {
        self.cuts.iter().any(|cut| {
            let flaps_open = cut
                .period_ms
                .is_some_and(|period| (now.saturating_sub(cut.since) / period) % 2 == 1);
            cut.since <= now && now < cut.until && !flaps_open && cut.blocked[from][to]
        })
    }

    /// Cuts some links for `for_ms`.
    pub(crate) fn partition(&mut self, now: u64, for_ms: u64) -> Shape {
        let shape = *self.random.pick(&SHAPES).expect("there are some");
        let count = self.count;
        let mut order: Vec<usize> = (0..count).collect();
        self.random.shuffle(&mut order);
        let split = 1 + self.random.index(count.saturating_sub(1).max(1));
        let mut place = vec![0; count];
        for (position, node) in order.iter().enumerate() {
            place[*node] = position;
        }
        let heard_or_hears = self.random.percent(50);
        let is_blocked = |from: usize, to: usize| {
            let (from, to) = (place[from], place[to]);
            let apart = (from < split) != (to < split);
            match shape {
                Shape::Halves | Shape::Flapping => apart,
                Shape::OneWay => apart && from < split,
                Shape::Single => from == 0 || to == 0,
                Shape::HalfDeaf if heard_or_hears => from == 0,
                Shape::HalfDeaf => to == 0,
                Shape::Ring => {
                    let distance = from.abs_diff(to);
                    distance != 1 && distance != count - 1
                }
                Shape::Bridge => apart && from != 0 && to != 0,
            }
        };
        let blocked = (0..count)
            .map(|from| (0..count).map(|to| is_blocked(from, to)).collect())
            .collect();
        let period_ms = (shape == Shape::Flapping).then(|| self.random.between(50, 500));
        self.cuts.retain(|cut| cut.until > now);
        self.cut(now, now + for_ms, blocked, period_ms);
        shape
    }

    /// Cuts the links given as `blocked[from][to]`.
    pub(crate) fn cut(
        &mut self,
        since: u64,
        until: u64,
        blocked: Vec<Vec<bool>>,
        period_ms: Option<u64>,
    ) {
        self.cuts.push(Cut {
            blocked,
            since,
            until,
            period_ms,
        });
    }

    /// Cuts all links between groups, round after round.
    pub(crate) fn cut_rounds(&mut self, rounds: &[Round]) {
        let mut since = 0;
        for Round { ms, group } in rounds {
            let row = |from: &u8| group.iter().map(|to| from != to).collect();
            self.cut(since, since + ms, group.iter().map(row).collect(), None);
            since += ms;
        }
    }

    /// From now on those hear each other soon and always, and nobody else is heard.
    pub(crate) fn heal(&mut self, members: Vec<bool>) {
        self.cuts.clear();
        self.healed = members;
    }
}
