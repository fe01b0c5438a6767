//! Learning-rate schedules: pure functions from the number of completed steps to the rate of the
//! next one.
//!
//! `linear`, `cosine`, `constant` and `polynomial` are those of transformers'
//! `get_*_schedule_with_warmup`; `one_cycle` is PyTorch's `OneCycleLR`, the schedule of the
//! authors' own pretraining script, momentum cycling included. Everything is computed in `f64`, as
//! both of them do.
//!
//! A schedule holds no state: resuming at step `k` needs nothing but `k`.
//!
//! | file | |
//! |---|---|
//! | `curves` | the rate at a step |
//! | `keys` | `[schedule]` in a file: the keys of each kind, and their ranges |

mod curves;
mod keys;

use serde::{Deserialize, Serialize};

pub use curves::SchedulePoint;
use keys::ScheduleKeys;

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
