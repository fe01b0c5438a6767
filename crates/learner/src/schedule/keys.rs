//! `[schedule]` as it stands in a file: which keys each kind has, and what their values may be.

use serde::{Deserialize, Serialize};

use super::{Anneal, OneCycle, Schedule, Warmup};

/// The keys of `[schedule]` as they stand in a file. Kept apart from [`Schedule`] so that a key
/// that its kind does not know is an error, while a wrong type is still reported at its own key.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ScheduleKeys {
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

impl Schedule {
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
            "in `[0, 1)`: it is a fraction of all steps, 10 % being `0.1`; `schedule.warmup_steps` counts steps",
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
    fn check(self, check: &mut dyn FnMut(&str, f64, bool, &str)) {
        let unit = |value: f64| (0.0..1.0).contains(&value);
        check(
            "pct_start",
            self.pct_start,
            (0.0..=1.0).contains(&self.pct_start),
            "in `[0, 1]`: it is a fraction of all steps, 10 % being `0.1`",
        );
        for (key, value) in
            [("div_factor", self.div_factor), ("final_div_factor", self.final_div_factor)]
        {
            check(key, value, value > 0.0 && value.is_finite(), "a positive number");
        }
        check("base_momentum", self.base_momentum, unit(self.base_momentum), "in `[0, 1)`");
        check("max_momentum", self.max_momentum, unit(self.max_momentum), "in `[0, 1)`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
