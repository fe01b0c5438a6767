//! Random numbers that are a pure function of what they are for.
//!
//! Every use asks for a fresh ChaCha8 generator keyed by `(seed, purpose, epoch, index)`. Nothing is
//! shared or carried on, so a batch does not depend on the number of threads, on the order of calls
//! or on whether the run was resumed. ChaCha8's output is fixed by its specification; the standard
//! generator of `rand` may change between releases, and so may `rand`'s sampling, which is why the
//! three functions below spell theirs out.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of random numbers is for; streams of different purposes are independent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// Which documents are held out.
    Split,
    /// The order of the training examples.
    Order,
    /// Masks of the training examples.
    TrainMask,
    /// Masks of the validation examples.
    ValidationMask,
    /// Where documents are cut into passages.
    Passages,
    /// How the passages of the training examples are split and swapped.
    TrainPair,
    /// How those of the validation examples are.
    ValidationPair,
    /// The sample corpus.
    Sample,
}

impl Purpose {
    fn tag(self) -> &'static [u8] {
        match self {
            Self::Split => b"split",
            Self::Order => b"order",
            Self::TrainMask => b"mask train",
            Self::ValidationMask => b"mask validation",
            Self::Passages => b"passages",
            Self::TrainPair => b"pair train",
            Self::ValidationPair => b"pair validation",
            Self::Sample => b"sample",
        }
    }
}

/// The generator for `purpose` under `(seed, epoch, index)`.
pub(crate) fn generator(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> ChaCha8Rng {
    let mut key = blake3::Hasher::new_derive_key("nystromformer-data 2026 random streams");
    for number in [seed, epoch, index] {
        key.update(&number.to_le_bytes());
    }
    key.update(purpose.tag());
    ChaCha8Rng::from_seed(*key.finalize().as_bytes())
}

/// The generator of a stream that another crate has a use for, by the name of that use: independent of this crate's own
/// streams and of those of other names.
pub fn stream(seed: u64, purpose: &str, index: u64) -> ChaCha8Rng {
    let mut key = blake3::Hasher::new_derive_key("nystromformer-data 2026 named streams");
    for number in [seed, index] {
        key.update(&number.to_le_bytes());
    }
    key.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(*key.finalize().as_bytes())
}

/// A uniform number in `[0, 1)` with 53 random bits.
pub fn unit(random: &mut impl Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A uniform number in `0..bound`, without bias (Lemire 2019, "Fast Random Integer Generation in an
/// Interval").
pub fn below(random: &mut impl Rng, bound: u32) -> u32 {
    assert!(bound > 0, "there is no number below zero");
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(random.next_u32()) * u64::from(bound);
        if product as u32 >= threshold {
            return (product >> 32) as u32;
        }
    }
}

/// Shuffles `items` (Fisher–Yates).
pub fn shuffle<T>(items: &mut [T], random: &mut impl Rng) {
    assert!(u32::try_from(items.len()).is_ok(), "more items than 32 bits count");
    for last in (1..items.len()).rev() {
        items.swap(last, below(random, last as u32 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_each_part_of_their_key() {
        let first = |seed, purpose, epoch, index| generator(seed, purpose, epoch, index).next_u64();
        let base = first(1, Purpose::TrainMask, 2, 3);
        assert_eq!(base, first(1, Purpose::TrainMask, 2, 3));
        assert_ne!(base, first(2, Purpose::TrainMask, 2, 3));
        assert_ne!(base, first(1, Purpose::ValidationMask, 2, 3));
        assert_ne!(base, first(1, Purpose::TrainMask, 3, 3));
        assert_ne!(base, first(1, Purpose::TrainMask, 2, 4));
    }

    #[test]
    fn below_reaches_every_number_about_equally() {
        let mut random = generator(0, Purpose::Order, 0, 0);
        let mut counts = [0u32; 7];
        for _ in 0..7_000 {
            counts[below(&mut random, 7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn unit_stays_in_its_interval_and_is_centred() {
        let mut random = generator(0, Purpose::Order, 0, 1);
        let draws: Vec<f64> = (0..10_000).map(|_| unit(&mut random)).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
