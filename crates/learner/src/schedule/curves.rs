//! The curves: the learning rate, and what moves with it, as functions of the step.

use std::f64::consts::PI;

use super::{Anneal, OneCycle, Schedule, Warmup};

/// The learning rate and first-moment decay of one optimizer step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SchedulePoint {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay rate of the first moment; differs from the optimizer's only while `one_cycle` cycles
    /// it.
    pub beta_1: f64,
}

impl Schedule {
    /// The point for the step after `completed_steps`, in a run of `total_steps`.
    ///
    /// `peak` is the optimizer's learning rate, `beta_1` its first-moment decay.
    pub fn at(
        &self,
        completed_steps: usize,
        total_steps: usize,
        peak: f64,
        beta_1: f64,
    ) -> SchedulePoint {
        let with_warmup = |warmup: Warmup, decay: &dyn Fn(usize, usize) -> f64| {
            let warmup_steps = warmup.steps(total_steps);
            let factor = if completed_steps < warmup_steps {
                completed_steps as f64 / warmup_steps.max(1) as f64
            } else {
                decay(
                    completed_steps - warmup_steps,
                    total_steps.saturating_sub(warmup_steps).max(1),
                )
            };
            SchedulePoint { learning_rate: peak * factor, beta_1 }
        };
        match *self {
            Self::Linear(warmup) => {
                with_warmup(warmup, &|step, steps| steps.saturating_sub(step) as f64 / steps as f64)
            }
            Self::Cosine { warmup, num_cycles } => with_warmup(warmup, &|step, steps| {
                let progress = step as f64 / steps as f64;
                (0.5 * (1.0 + (2.0 * PI * num_cycles * progress).cos())).max(0.0)
            }),
            Self::Constant(warmup) => with_warmup(warmup, &|_, _| 1.0),
            Self::Polynomial { warmup, power, end_learning_rate } => {
                with_warmup(warmup, &|step, steps| {
                    let remaining = 1.0 - (step as f64 / steps as f64).min(1.0);
                    ((peak - end_learning_rate) * remaining.powf(power) + end_learning_rate) / peak
                })
            }
            Self::OneCycle(cycle) => cycle.at(completed_steps, total_steps, peak, beta_1),
        }
    }
}

impl Warmup {
    /// Steps of warm-up in a run of `total_steps`, rounded up as transformers' `warmup_ratio` is.
    fn steps(self, total_steps: usize) -> usize {
        if self.warmup_fraction > 0.0 {
            (total_steps as f64 * self.warmup_fraction).ceil() as usize
        } else {
            self.warmup_steps
        }
    }
}

impl OneCycle {
    fn at(
        self,
        completed_steps: usize,
        total_steps: usize,
        peak: f64,
        beta_1: f64,
    ) -> SchedulePoint {
        let anneal = |start: f64, end: f64, progress: f64| match self.anneal {
            Anneal::Linear => (end - start) * progress + start,
            Anneal::Cos => end + (start - end) / 2.0 * ((PI * progress).cos() + 1.0),
        };
        let first = peak / self.div_factor;
        let last = first / self.final_div_factor;
        // PyTorch's corner points: fractional step numbers, the second one the run's last step.
        let top = self.pct_start * total_steps as f64 - 1.0;
        let end = total_steps as f64 - 1.0;
        let step = (completed_steps as f64).min(end);
        let progress = |start: f64, end: f64| {
            if end > start { (step - start) / (end - start) } else { 1.0 }
        };
        let (learning_rate, momentum) = if step <= top {
            let rising = progress(0.0, top);
            (anneal(first, peak, rising), anneal(self.max_momentum, self.base_momentum, rising))
        } else {
            let falling = progress(top, end);
            (anneal(peak, last, falling), anneal(self.base_momentum, self.max_momentum, falling))
        };
        SchedulePoint { learning_rate, beta_1: if self.cycle_momentum { momentum } else { beta_1 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, total_steps: usize) -> Vec<f64> {
        (0..=total_steps)
            .map(|step| schedule.at(step, total_steps, 1.0, 0.9).learning_rate)
            .collect()
    }

    #[test]
    fn linear_rises_from_zero_to_the_peak_and_falls_to_zero() {
        let warmup = Warmup { warmup_steps: 2, warmup_fraction: 0.0 };
        assert_eq!(rates(Schedule::Linear(warmup), 6), [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]);
    }

    #[test]
    fn a_fraction_is_the_same_as_its_steps() {
        let steps = Schedule::Cosine {
            warmup: Warmup { warmup_steps: 3, warmup_fraction: 0.0 },
            num_cycles: 0.5,
        };
        let fraction = Schedule::Cosine {
            warmup: Warmup { warmup_steps: 0, warmup_fraction: 0.3 },
            num_cycles: 0.5,
        };
        assert_eq!(rates(steps, 10), rates(fraction, 10));
    }

    #[test]
    fn polynomial_ends_at_its_end_rate_and_stays_there() {
        let schedule =
            Schedule::Polynomial { warmup: Warmup::default(), power: 2.0, end_learning_rate: 0.1 };
        assert_eq!(rates(schedule, 2)[..2], [1.0, 0.9 * 0.25 + 0.1]);
        assert_eq!(schedule.at(50, 2, 1.0, 0.9).learning_rate, 0.1);
    }

    #[test]
    fn one_cycle_turns_at_the_peak_and_momentum_moves_against_it() {
        let schedule = Schedule::OneCycle(OneCycle { pct_start: 0.5, ..OneCycle::default() });
        let start = schedule.at(0, 10, 1.0, 0.9);
        let peak = schedule.at(4, 10, 1.0, 0.9);
        let end = schedule.at(9, 10, 1.0, 0.9);
        assert_eq!((start.learning_rate, start.beta_1), (1.0 / 25.0, 0.95));
        assert!((peak.learning_rate - 1.0).abs() < 1e-15 && (peak.beta_1 - 0.85).abs() < 1e-15);
        assert!((end.learning_rate - 1.0 / 25.0 / 1e4).abs() < 1e-15);
        assert!((end.beta_1 - 0.95).abs() < 1e-15);
    }

    #[test]
    fn one_cycle_shorter_than_its_rise_is_still_finite() {
        for total_steps in 1..200 {
            let schedule = Schedule::OneCycle(OneCycle::default());
            for step in 0..total_steps {
                let point = schedule.at(step, total_steps, 1e-4, 0.9);
                assert!(
                    point.learning_rate.is_finite() && point.learning_rate > 0.0,
                    "{total_steps} {step}"
                );
            }
        }
    }
}
