//! Learning-rate schedules: pure functions from the number of completed steps to the rate of the
//! next one.
//!
//! `linear`, `cosine`, `constant` and `polynomial` are those of transformers'
//! `get_*_schedule_with_warmup`; `one_cycle` is PyTorch's `OneCycleLR`, the schedule of the
//! authors' own pretraining script, momentum cycling included. Everything is computed in `f64`, as
//! both of them do.
//!
//! A schedule holds no state: resuming at step `k` needs nothing but `k`.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// The learning rate and first-moment decay of one optimizer step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SchedulePoint {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay rate of the first moment; differs from the optimizer's only while `one_cycle` cycles
    /// it.
    pub beta_1: f64,
}

/// `[schedule]`: how the learning rate moves over the run, chosen by `kind`.
///
/// `[optimizer] learning_rate` is the peak. Default: `linear` with a warm-up of 2 % of the steps,
/// which for the paper's 500,000 steps is its 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleKeys", into = "ScheduleKeys")]
pub enum Schedule {
    /// Linear warm-up from 0 to the peak, then linear decay to 0 at the last step.
    Linear(Warmup),
    /// Linear warm-up, then a cosine: with half a cycle, one smooth fall to 0 at the last step.
    Cosine {
        /// The warm-up before the decay.
        warmup: Warmup,
        /// Waves of the cosine over the decay. Default: 0.5.
        num_cycles: f64,
    },
    /// Linear warm-up, then the peak for ever.
    Constant(Warmup),
    /// Linear warm-up, then `(1 − progress)^power` from the peak down to `end_learning_rate`.
    Polynomial {
        /// The warm-up before the decay.
        warmup: Warmup,
        /// Exponent of the decay. Default: 1.
        power: f64,
        /// Learning rate at and after the last step. Default: 1e-7, as in transformers.
        end_learning_rate: f64,
    },
    /// PyTorch's `OneCycleLR` with two phases.
    OneCycle(OneCycle),
}

/// The warm-up: so many steps, or that fraction of all steps; at most one of the two is non-zero.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Warmup {
    /// Optimizer steps from 0 to the peak. Default: 0.
    pub warmup_steps: usize,
    /// The same as a fraction of all steps, in `[0, 1)`. Default: 0, or 0.02 when there is no
    /// `[schedule]`.
    pub warmup_fraction: f64,
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

/// How `one_cycle` interpolates between its corner points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// Straight lines: what the authors' script asks for.
    Linear,
    /// Half cosines: PyTorch's default.
    Cos,
}

/// The parameters of `one_cycle`, named as in PyTorch.
///
/// Defaults: those of the authors' script, which are PyTorch's except for `pct_start = 0.01` and
/// `anneal = "linear"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    /// Fraction of the steps spent rising. Default: 0.01.
    pub pct_start: f64,
    /// The first learning rate is the peak divided by this. Default: 25.
    pub div_factor: f64,
    /// The last learning rate is the first divided by this. Default: 10,000.
    pub final_div_factor: f64,
    /// Interpolation. Default: linear.
    pub anneal: Anneal,
    /// Whether `beta_1` moves against the learning rate. Default: true.
    pub cycle_momentum: bool,
    /// `beta_1` at the peak. Default: 0.85.
    pub base_momentum: f64,
    /// `beta_1` at both ends. Default: 0.95.
    pub max_momentum: f64,
}

impl Default for OneCycle {
    fn default() -> Self {
        Self {
            pct_start: 0.01,
            div_factor: 25.0,
            final_div_factor: 1e4,
            anneal: Anneal::Linear,
            cycle_momentum: true,
            base_momentum: 0.85,
            max_momentum: 0.95,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Linear(Warmup { warmup_steps: 0, warmup_fraction: 0.02 })
    }
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

    /// Everything wrong with the values, as (key, sentence).
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut check = |key: &str, value: f64, valid: bool, range: &str| {
            if !valid {
                problems.push((format!("schedule.{key}"), format!("`{value}` is not {range}")));
            }
        };
        match *self {
            Self::Linear(warmup) | Self::Constant(warmup) => warmup.check(&mut check),
            Self::Cosine { warmup, num_cycles } => {
                warmup.check(&mut check);
                check(
                    "num_cycles",
                    num_cycles,
                    num_cycles > 0.0 && num_cycles.is_finite(),
                    "a positive number",
                );
            }
            Self::Polynomial { warmup, power, end_learning_rate } => {
                warmup.check(&mut check);
                check("power", power, power > 0.0 && power.is_finite(), "a positive number");
                check(
                    "end_learning_rate",
                    end_learning_rate,
                    end_learning_rate >= 0.0 && end_learning_rate.is_finite(),
                    "zero or a positive number",
                );
            }
            Self::OneCycle(cycle) => cycle.check(&mut check),
        }
        problems
    }
}

impl Warmup {
    fn check(self, check: &mut dyn FnMut(&str, f64, bool, &str)) {
        check(
            "warmup_fraction",
            self.warmup_fraction,
            (0.0..1.0).contains(&self.warmup_fraction),
            "in `[0, 1)`",
        );
        check(
            "warmup_steps",
            self.warmup_steps as f64,
            self.warmup_steps == 0 || self.warmup_fraction == 0.0,
            "allowed beside a non-zero `warmup_fraction`: set one of the two to 0",
        );
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

    fn check(self, check: &mut dyn FnMut(&str, f64, bool, &str)) {
        let unit = |value: f64| (0.0..1.0).contains(&value);
        check("pct_start", self.pct_start, (0.0..=1.0).contains(&self.pct_start), "in `[0, 1]`");
        for (key, value) in
            [("div_factor", self.div_factor), ("final_div_factor", self.final_div_factor)]
        {
            check(key, value, value > 0.0 && value.is_finite(), "a positive number");
        }
        check("base_momentum", self.base_momentum, unit(self.base_momentum), "in `[0, 1)`");
        check("max_momentum", self.max_momentum, unit(self.max_momentum), "in `[0, 1)`");
    }
}

/// The keys of `[schedule]` as they stand in a file. Kept apart from [`Schedule`] so that a key
/// that its kind does not know is an error, while a wrong type is still reported at its own key.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ScheduleKeys {
    kind: ScheduleKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_steps: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_fraction: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_cycles: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    power: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pct_start: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    div_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    final_div_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anneal: Option<Anneal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cycle_momentum: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_momentum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_momentum: Option<f64>,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScheduleKind {
    #[default]
    Linear,
    Cosine,
    Constant,
    Polynomial,
    OneCycle,
}

const WARMUP_KEYS: [&str; 2] = ["warmup_steps", "warmup_fraction"];
const COSINE_KEYS: [&str; 3] = ["warmup_steps", "warmup_fraction", "num_cycles"];
const POLYNOMIAL_KEYS: [&str; 4] =
    ["warmup_steps", "warmup_fraction", "power", "end_learning_rate"];
const ONE_CYCLE_KEYS: [&str; 7] = [
    "pct_start",
    "div_factor",
    "final_div_factor",
    "anneal",
    "cycle_momentum",
    "base_momentum",
    "max_momentum",
];

impl ScheduleKeys {
    /// The keys that the file sets.
    fn present(&self) -> impl Iterator<Item = &'static str> {
        [
            ("warmup_steps", self.warmup_steps.is_some()),
            ("warmup_fraction", self.warmup_fraction.is_some()),
            ("num_cycles", self.num_cycles.is_some()),
            ("power", self.power.is_some()),
            ("end_learning_rate", self.end_learning_rate.is_some()),
            ("pct_start", self.pct_start.is_some()),
            ("div_factor", self.div_factor.is_some()),
            ("final_div_factor", self.final_div_factor.is_some()),
            ("anneal", self.anneal.is_some()),
            ("cycle_momentum", self.cycle_momentum.is_some()),
            ("base_momentum", self.base_momentum.is_some()),
            ("max_momentum", self.max_momentum.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, present)| present.then_some(key))
    }
}

impl TryFrom<ScheduleKeys> for Schedule {
    type Error = String;

    fn try_from(keys: ScheduleKeys) -> Result<Self, String> {
        let known: &[&str] = match keys.kind {
            ScheduleKind::Linear | ScheduleKind::Constant => &WARMUP_KEYS,
            ScheduleKind::Cosine => &COSINE_KEYS,
            ScheduleKind::Polynomial => &POLYNOMIAL_KEYS,
            ScheduleKind::OneCycle => &ONE_CYCLE_KEYS,
        };
        if let Some(key) = keys.present().find(|key| !known.contains(key)) {
            // serde's own wording, which the loader turns into file, line and nearest key.
            let expected = known.join("`, `");
            return Err(format!("unknown field `{key}`, expected one of `kind`, `{expected}`"));
        }
        let warmup = Warmup {
            warmup_steps: keys.warmup_steps.unwrap_or(0),
            warmup_fraction: keys.warmup_fraction.unwrap_or(0.0),
        };
        let cycle = OneCycle::default();
        Ok(match keys.kind {
            ScheduleKind::Linear => Self::Linear(warmup),
            ScheduleKind::Cosine => {
                Self::Cosine { warmup, num_cycles: keys.num_cycles.unwrap_or(0.5) }
            }
            ScheduleKind::Constant => Self::Constant(warmup),
            ScheduleKind::Polynomial => Self::Polynomial {
                warmup,
                power: keys.power.unwrap_or(1.0),
                end_learning_rate: keys.end_learning_rate.unwrap_or(1e-7),
            },
            ScheduleKind::OneCycle => Self::OneCycle(OneCycle {
                pct_start: keys.pct_start.unwrap_or(cycle.pct_start),
                div_factor: keys.div_factor.unwrap_or(cycle.div_factor),
                final_div_factor: keys.final_div_factor.unwrap_or(cycle.final_div_factor),
                anneal: keys.anneal.unwrap_or(cycle.anneal),
                cycle_momentum: keys.cycle_momentum.unwrap_or(cycle.cycle_momentum),
                base_momentum: keys.base_momentum.unwrap_or(cycle.base_momentum),
                max_momentum: keys.max_momentum.unwrap_or(cycle.max_momentum),
            }),
        })
    }
}

impl From<Schedule> for ScheduleKeys {
    fn from(schedule: Schedule) -> Self {
        let with_warmup = |kind: ScheduleKind, warmup: Warmup| ScheduleKeys {
            kind,
            warmup_steps: Some(warmup.warmup_steps),
            warmup_fraction: Some(warmup.warmup_fraction),
            ..ScheduleKeys::default()
        };
        match schedule {
            Schedule::Linear(warmup) => with_warmup(ScheduleKind::Linear, warmup),
            Schedule::Cosine { warmup, num_cycles } => ScheduleKeys {
                num_cycles: Some(num_cycles),
                ..with_warmup(ScheduleKind::Cosine, warmup)
            },
            Schedule::Constant(warmup) => with_warmup(ScheduleKind::Constant, warmup),
            Schedule::Polynomial { warmup, power, end_learning_rate } => ScheduleKeys {
                power: Some(power),
                end_learning_rate: Some(end_learning_rate),
                ..with_warmup(ScheduleKind::Polynomial, warmup)
            },
            Schedule::OneCycle(cycle) => ScheduleKeys {
                kind: ScheduleKind::OneCycle,
                pct_start: Some(cycle.pct_start),
                div_factor: Some(cycle.div_factor),
                final_div_factor: Some(cycle.final_div_factor),
                anneal: Some(cycle.anneal),
                cycle_momentum: Some(cycle.cycle_momentum),
                base_momentum: Some(cycle.base_momentum),
                max_momentum: Some(cycle.max_momentum),
                ..ScheduleKeys::default()
            },
        }
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

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let error = toml::from_str::<Schedule>("kind = \"linear\"\ndiv_factor = 3.0").unwrap_err();
        assert!(
            error
                .message()
                .starts_with("unknown field `div_factor`, expected one of `kind`, `warmup_steps`"),
            "{error}"
        );
    }
}
