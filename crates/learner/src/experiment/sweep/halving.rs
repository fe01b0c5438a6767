//! Successive halving (Jamieson & Talwalkar 2016): all trials train for a while, and of each `reduction_factor` of them one goes on for
//! `reduction_factor` times as long, until some have all of their steps. A trial that goes on is the run that it was.

use super::SweepConfig;

/// `reduction_factor` where none is stated.
const REDUCTION_FACTOR: usize = 3;

/// How many trials come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// The steps that its trials have taken in all; `None`: all of the run's.
    pub steps: Option<usize>,
    /// How many trials there are, the best of the rung before.
    pub trials: usize,
}

impl SweepConfig {
    pub(super) fn factor(&self) -> usize {
        self.reduction_factor.unwrap_or(REDUCTION_FACTOR)
    }

    /// The rungs of runs of `max_steps` steps, the first one first.
    pub fn rungs(&self, max_steps: usize) -> Vec<Rung> {
        let factor = self.factor();
        let mut trials = self.num_trials();
        let mut steps = self.min_steps.unwrap_or_else(|| {
            let mut left = trials;
            let mut steps = max_steps;
            while left > 1 {
                left = left.div_ceil(factor);
                steps /= factor;
            }
            steps.max(1)
        });
        let mut rungs = Vec::new();
        while steps < max_steps && trials > 1 {
            rungs.push(Rung { steps: Some(steps), trials });
            steps = steps.saturating_mul(factor);
            trials = trials.div_ceil(factor);
        }
        rungs.push(Rung { steps: None, trials });
        rungs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::sweep::SweepMethod;

    fn rungs(
        trials: usize,
        factor: usize,
        min_steps: usize,
        max_steps: usize,
    ) -> Vec<(usize, usize)> {
        let sweep = SweepConfig {
            method: SweepMethod::SuccessiveHalving,
            trials: Some(trials),
            reduction_factor: Some(factor),
            min_steps: (min_steps > 0).then_some(min_steps),
            ..SweepConfig::default()
        };
        let rungs = sweep.rungs(max_steps);
        rungs.into_iter().map(|rung| (rung.steps.unwrap_or(max_steps), rung.trials)).collect()
    }

    #[test]
    fn each_rung_has_fewer_trials_and_more_steps() {
        assert_eq!(rungs(9, 3, 10, 90), [(10, 9), (30, 3), (90, 1)]);
        assert_eq!(rungs(9, 3, 0, 90), [(10, 9), (30, 3), (90, 1)]);
        assert_eq!(rungs(8, 2, 0, 100), [(12, 8), (24, 4), (48, 2), (100, 1)]);
        // More than one has all the steps; a part of a group counts as one.
        assert_eq!(rungs(10, 3, 30, 90), [(30, 10), (90, 4)]);
        // One is left before the end.
        assert_eq!(rungs(3, 3, 2, 1000), [(2, 3), (1000, 1)]);
        assert_eq!(rungs(1, 3, 0, 7), [(7, 1)]);
        assert_eq!(rungs(1000, 10, 0, 5), [(1, 1000), (5, 100)]);
    }
}
