//! The one source of chance: everything that a seed decides is drawn from here.

/// Sebastiano Vigna's splitmix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A stream of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds would give overlapping streams.
        Self(mix(seed ^ 0x6368_616e_6365_7279))
    }

    /// A stream that does not depend on how much of this one is used later.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(mix(self.draw()))
    }

    /// 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Less than `end`; 0 if that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// From `least` to `most`, both possible.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// True in `count` of 1000 cases.
    pub fn per_mille(&mut self, count: u64) -> bool {
        self.below(1000) < count
    }

    /// A position in something of `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("less than a length")
    }

    /// One of them, if there is any.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.index(of.len()))
    }

    /// Puts them into any order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.index(last + 1));
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_stream_and_neighbours_give_others() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.draw(), random.draw(), random.draw()]
        };
        assert_eq!(draw(1), draw(1));
        let (a, b) = (draw(1), draw(2));
        assert!(a.iter().all(|drawn| !b.contains(drawn)));
    }

    #[test]
    fn bounds_are_kept_and_reached() {
        let mut random = Random::new(3);
        let drawn: Vec<u64> = (0..1000).map(|_| random.between(2, 5)).collect();
        assert!((2..=5).all(|value| drawn.contains(&value)));
        assert!(drawn.iter().all(|value| (2..=5).contains(value)));
        assert_eq!(random.below(0), 0);
    }
}
