//! Repeats a piece of work and keeps its wall times.

use std::time::Instant;

/// Wall seconds of each repetition.
#[derive(Debug, Clone)]
pub struct Timings {
    sorted: Vec<f64>,
}

impl Timings {
    /// Runs `work` for `warmup` times unmeasured, then `repetitions` times (at least once) measured.
    ///
    /// # Errors
    /// The first error of `work`.
    pub fn of<E>(
        warmup: usize,
        repetitions: usize,
        mut work: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        for _ in 0..warmup {
            work()?;
        }
        let mut sorted = Vec::with_capacity(repetitions);
        for _ in 0..repetitions.max(1) {
            let start = Instant::now();
            work()?;
            sorted.push(start.elapsed().as_secs_f64());
        }
        sorted.sort_by(f64::total_cmp);
        Ok(Self { sorted })
    }

    /// The median.
    pub fn median(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        if self.sorted.len() % 2 == 1 {
            self.sorted[middle]
        } else {
            f64::midpoint(self.sorted[middle - 1], self.sorted[middle])
        }
    }

    /// The shortest.
    pub fn min(&self) -> f64 {
        self.sorted[0]
    }
}

/// Rounds to four decimals, as the peer script prints seconds.
pub fn round4(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_even_and_odd_counts() {
        assert_eq!(Timings { sorted: vec![1.0, 2.0, 9.0] }.median(), 2.0);
        assert_eq!(Timings { sorted: vec![1.0, 2.0, 4.0, 9.0] }.median(), 3.0);
    }

    #[test]
    fn warmup_is_run_but_not_kept() {
        let mut calls = 0;
        let timings = Timings::of::<()>(2, 3, || {
            calls += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!((calls, timings.sorted.len()), (5, 3));
    }
}
