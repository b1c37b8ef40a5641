//! Whether the primary neglects what waits: pure arithmetic over what one validator sees of it.
//!
//! A silent primary is the replica's own business. Here it is one that goes on ordering and
//! - **censors**: a transaction waits far longer than those ordered lately had waited when they
//!   were ordered. Under a heavy load all of them wait long, so saturation alone accuses nobody;
//! - **dawdles**: a backlog waits, and over a whole span far fewer transactions are executed than
//!   the best that an earlier view delivered under a backlog. That reference is halved whenever a
//!   view was left for it, so that a load that has become heavier does not rotate views for ever.
//!
//! A primary answers only for the time that it has had in its view, and in which this validator
//! was itself up to date. The idea of judging throughput by what earlier views delivered is
//! Aardvark's (Clement et al., NSDI 2009); nothing here needs to be agreed on, because it takes
//! f + 1 validators with the same complaint to change the view.

use chancery_consensus::Neglect;
use chancery_ledger::Millis;

/// How many times the age of those ordered lately a transaction may wait, besides the request
/// timeout.
const AGE_FACTOR: u64 = 4;
/// The request timeout, the half-life of the reference age and the span of throughput, in view
/// timeouts.
const REQUEST_TIMEOUT_VIEWS: u64 = 4;
/// No load excuses a longer wait, in view timeouts: else a primary could raise the reference for
/// ever by ordering older and older transactions.
const AGE_MAX_VIEWS: u64 = 120;
/// Less than one part in so many of what earlier views delivered is neglect.
const RATE_DIVISOR: u64 = 4;

/// What waits at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// When the oldest transaction that could be ordered arrived here, in monotonic time.
    pub oldest: Option<Millis>,
    /// Whether a full batch waits besides what is being ordered.
    pub backlog: bool,
}

/// What was executed lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ordered {
    /// Transactions in blocks that PBFT brought; none that were fetched.
    pub transactions: u64,
    /// When the oldest of them that waited here had arrived.
    pub oldest: Option<Millis>,
}

/// Watches the primary of one view after the other.
#[derive(Debug)]
pub struct Watch {
    view_timeout: Millis,
    /// Since when the primary answers for what it does.
    since: Millis,
    /// The greatest age at ordering of late, and when it was that.
    lately: (Millis, Millis),
    /// Since when a backlog has waited without a break, and how much was executed since.
    span: Option<(Millis, u64)>,
    /// The best rate of the present view under a backlog, in transactions per 1,000 seconds.
    best: u64,
    /// The best rate of earlier views, halved for each that was left for it.
    reference: u64,
    /// Whether the last whole span was too slow.
    slow: bool,
}

impl Watch {
    /// Begins to watch, with nothing to compare with yet.
    #[must_use]
    pub fn new(view_timeout: Millis, now: Millis) -> Self {
        Self {
            view_timeout,
            since: now,
            lately: (Millis(0), now),
            span: None,
            best: 0,
            reference: 0,
            slow: false,
        }
    }

    /// Another view is active: its primary begins with a clean record.
    pub fn on_view(&mut self, now: Millis) {
        self.reference = self.reference.max(self.best);
        if self.slow {
            self.reference /= 2;
        }
        self.best = 0;
        self.excuse(now);
    }

    /// What happened until now does not count: this validator was paused, or behind.
    pub fn excuse(&mut self, now: Millis) {
        self.since = now;
        self.span = None;
        self.slow = false;
    }

    /// Transactions were executed.
    pub fn on_ordered(&mut self, now: Millis, ordered: Ordered) {
        if let Some((_, executed)) = &mut self.span {
            *executed = executed.saturating_add(ordered.transactions);
        }
        if let Some(arrived) = ordered.oldest {
            let age = self.age(now, arrived);
            if age >= self.age_lately(now) {
                self.lately = (age, now);
            }
        }
    }

    /// Judges the primary. Expected every 50 ms or so.
    pub fn judge(&mut self, now: Millis, waiting: Waiting) -> Option<Neglect> {
        self.measure(now, waiting.backlog);
        let censored = waiting
            .oldest
            .is_some_and(|arrived| self.age(now, arrived) > self.age_allowed(now));
        if censored {
            Some(Neglect::Censored)
        } else {
            self.slow.then_some(Neglect::Slow)
        }
    }

    /// Ends a span that is whole, and begins one where there is a backlog and none is under way.
    fn measure(&mut self, now: Millis, backlog: bool) {
        if !backlog {
            // What comes in is what goes out: a rate would measure the load.
            self.span = None;
            self.slow = false;
            return;
        }
        let Some((began, executed)) = self.span else {
            self.span = Some((now, 0));
            return;
        };
        let took = now.since(began);
        if took < self.request_timeout() {
            return;
        }
        let rate = executed.saturating_mul(1_000_000) / took.0.max(1);
        self.slow = rate.saturating_mul(RATE_DIVISOR) < self.reference;
        self.best = self.best.max(rate);
        self.span = Some((now, 0));
    }

    fn request_timeout(&self) -> Millis {
        self.view_timeout.saturating_mul(REQUEST_TIMEOUT_VIEWS)
    }

    /// For how long the primary has left a transaction waiting that arrived then.
    fn age(&self, now: Millis, arrived: Millis) -> Millis {
        now.since(arrived.max(self.since))
    }

    fn age_allowed(&self, now: Millis) -> Millis {
        let most = self.view_timeout.saturating_mul(AGE_MAX_VIEWS);
        let lately = self.age_lately(now).saturating_mul(AGE_FACTOR);
        self.request_timeout().saturating_add(lately).min(most)
    }

    fn age_lately(&self, now: Millis) -> Millis {
        let (age, at) = self.lately;
        let half_lives = now.since(at).0 / self.request_timeout().0.max(1);
        let halved = u32::try_from(half_lives)
            .ok()
            .and_then(|by| age.0.checked_shr(by));
        Millis(halved.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW_TIMEOUT: Millis = Millis(1_000);
    const TICK: u64 = 50;

    /// A watch with a clock of its own.
    struct World {
        watch: Watch,
        now: Millis,
    }

    impl World {
        fn new() -> Self {
            let now = Millis(10_000);
            Self {
                watch: Watch::new(VIEW_TIMEOUT, now),
                now,
            }
        }

        /// For `ms` milliseconds `per_second` transactions a second are executed that had waited
        /// for `age`, while `waiting` says what waits. Returns the first complaint and its time.
        fn run(
            &mut self,
            ms: u64,
            per_second: u64,
            age: u64,
            waiting: impl Fn(Millis) -> Waiting,
        ) -> Option<(Neglect, u64)> {
            let began = self.now;
            let (mut complaint, mut due) = (None, 0);
            while self.now.since(began).0 < ms {
                self.now = self.now.saturating_add(Millis(TICK));
                due += per_second * TICK;
                let ordered = Ordered {
                    transactions: due / 1_000,
                    oldest: (due >= 1_000).then(|| Millis(self.now.0.saturating_sub(age))),
                };
                due %= 1_000;
                self.watch.on_ordered(self.now, ordered);
                if let Some(neglect) = self.watch.judge(self.now, waiting(self.now)) {
                    complaint.get_or_insert((neglect, self.now.since(began).0));
                }
            }
            complaint
        }
    }

    fn aged(age: u64, backlog: bool) -> impl Fn(Millis) -> Waiting {
        move |now| Waiting {
            oldest: Some(Millis(now.0.saturating_sub(age))),
            backlog,
        }
    }

    fn since(arrived: Millis) -> impl Fn(Millis) -> Waiting {
        move |_| Waiting {
            oldest: Some(arrived),
            backlog: false,
        }
    }

    #[test]
    fn one_that_is_passed_over_while_others_are_ordered_is_censored() {
        let mut world = World::new();
        let arrived = world.now;
        let complaint = world.run(20_000, 100, 50, since(arrived));
        let (neglect, after) = complaint.expect("it waits for ever");
        assert_eq!(neglect, Neglect::Censored);
        assert!((4_000..5_000).contains(&after), "{after} ms");
    }

    #[test]
    fn a_load_under_which_all_wait_long_accuses_nobody() {
        let mut world = World::new();
        assert_eq!(world.run(600_000, 1_000, 8_000, aged(9_000, true)), None);
    }

    #[test]
    fn what_waited_before_the_view_began_is_not_the_new_primarys_fault() {
        let mut world = World::new();
        let arrived = world.now;
        assert!(world.run(30_000, 0, 0, since(arrived)).is_some());
        world.watch.on_view(world.now);
        assert_eq!(world.run(3_900, 0, 0, since(arrived)), None);
        assert!(world.run(1_000, 0, 0, since(arrived)).is_some());
    }

    #[test]
    fn no_load_excuses_a_wait_without_end() {
        let mut world = World::new();
        let arrived = world.now;
        let complaint = world.run(150_000, 10, 60_000, since(arrived));
        let (neglect, after) = complaint.expect("the limit is reached");
        assert_eq!(neglect, Neglect::Censored);
        assert!((120_000..121_000).contains(&after), "{after} ms");
    }

    #[test]
    fn what_was_ordered_long_ago_is_no_excuse() {
        let mut world = World::new();
        assert_eq!(world.run(20_000, 100, 10_000, aged(10_000, true)), None);
        let arrived = world.now;
        let (_, after) = world
            .run(60_000, 100, 0, since(arrived))
            .expect("nothing else is old");
        assert!(after < 20_000, "{after} ms");
    }

    #[test]
    fn a_primary_far_slower_than_those_before_it_is_slow_under_a_backlog_only() {
        let mut world = World::new();
        assert_eq!(world.run(20_000, 1_000, 100, aged(100, true)), None);
        world.watch.on_view(world.now);
        assert_eq!(
            world.run(20_000, 200, 100, aged(100, false)),
            None,
            "no backlog"
        );
        assert_eq!(
            world.run(20_000, 300, 100, aged(100, true)),
            None,
            "a third"
        );
        let (neglect, after) = world
            .run(20_000, 200, 100, aged(100, true))
            .expect("a fifth");
        assert_eq!(neglect, Neglect::Slow);
        assert!(after <= 8_100, "{after} ms");
    }

    #[test]
    fn a_heavier_load_does_not_rotate_views_for_ever() {
        let mut world = World::new();
        assert_eq!(world.run(20_000, 1_000, 100, aged(100, true)), None);
        world.watch.on_view(world.now);
        let mut views = 0;
        while world.run(10_000, 20, 100, aged(100, true)).is_some() {
            views += 1;
            world.watch.on_view(world.now);
        }
        assert_eq!(views, 4, "1000 / 2^4 / 4 is less than 20");
    }

    #[test]
    fn what_passed_while_this_validator_was_behind_does_not_count() {
        let mut world = World::new();
        assert_eq!(world.run(20_000, 1_000, 100, aged(100, true)), None);
        world.watch.on_view(world.now);
        let arrived = world.now;
        world.now = world.now.saturating_add(Millis(60_000));
        world.watch.excuse(world.now);
        assert_eq!(world.run(3_900, 1_000, 0, since(arrived)), None);
    }
}
