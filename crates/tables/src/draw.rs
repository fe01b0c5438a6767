//! Tokens drawn by a seed.

/// Numbers that follow from a seed: `SplitMix64` (Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub struct Draws {
    state: u64,
}

impl Draws {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The numbers that belong to all of `key` together: those of another key are independent of them.
    pub fn of(key: &[u64]) -> Self {
        let state = key.iter().fold(0, |state, part| Self { state: state ^ part }.next());
        Self { state }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to 1, without 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// So many different numbers below `of`, in ascending order; all of them if there are no more.
    pub fn distinct(&mut self, count: usize, of: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..of).collect();
        let count = count.min(of);
        for place in 0..count {
            let other = place + (self.fraction() * (of - place) as f64) as usize;
            all.swap(place, other);
        }
        all.truncate(count);
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_numbers_of_seed_1234567() {
        let mut draws = Draws::new(1_234_567);
        let first = [draws.next(), draws.next(), draws.next()];
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn every_part_of_a_key_changes_the_numbers() {
        let first = |key: &[u64]| Draws::of(key).next();
        let keys: [&[u64]; 6] = [&[0], &[1], &[0, 0], &[0, 1], &[1, 0], &[0, 0, 0]];
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(first(key), first(key));
            assert!(keys[..place].iter().all(|other| first(other) != first(key)), "{key:?}");
        }
    }

    #[test]
    fn distinct_in_order_and_a_function_of_the_seed() {
        let drawn = Draws::new(5).distinct(40, 100);
        assert_eq!(drawn, Draws::new(5).distinct(40, 100));
        assert_ne!(drawn, Draws::new(6).distinct(40, 100));
        assert!(drawn.len() == 40 && drawn.is_sorted_by(|left, right| left < right));
        assert!(drawn[39] < 100);
        assert_eq!(Draws::new(5).distinct(9, 3), [0, 1, 2]);
    }
}
