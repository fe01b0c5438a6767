//! The page of one run. A section is a file with a constant `SECTION`, and a line of [`SECTIONS`].

mod about;
mod attention;
mod calibration;
mod classes;
mod config;
mod confusion;
mod loss;
mod memory;
mod metrics;
mod mistakes;
mod optimization;
mod pinv;
mod scores;
mod speed;

use crate::run::{Run, Summary};
use crate::section::{Missing, Section};
use crate::svg::{Mark, MarkKind};

pub(crate) use attention::{Place, attention_map};

/// In the order of the page.
pub(crate) const SECTIONS: &[Section<Run>] = &[
    about::SECTION,
    scores::SECTION,
    loss::SECTION,
    metrics::SECTION,
    optimization::SECTION,
    speed::SECTION,
    memory::SECTION,
    classes::SECTION,
    confusion::SECTION,
    calibration::SECTION,
    mistakes::SECTION,
    attention::SECTION,
    pinv::SECTION,
    config::SECTION,
];

/// What happened on the way, for the curves of a run.
fn marks(run: &Run) -> Vec<Mark> {
    let of_steps = run.metrics.steps.iter().filter_map(|step| {
        let kind = match (step.skipped, step.no_targets) {
            (true, _) => MarkKind::Skipped,
            (_, true) => MarkKind::NoTargets,
            _ => return None,
        };
        Some(Mark { step: step.number as f64, kind })
    });
    let resumed = |step| Mark { step: step as f64, kind: MarkKind::Resumed };
    of_steps.chain(run.resources.resumes().map(resumed)).collect()
}

/// The curve of one number of each step.
fn by_step(run: &Run, value: fn(&crate::run::Step) -> f64) -> Vec<(f64, f64)> {
    run.metrics.steps.iter().map(|step| (step.number as f64, value(step))).collect()
}

/// Why a run's steps cannot be drawn.
fn no_steps() -> Missing {
    Missing("`metrics.jsonl` has no step of training yet".to_owned())
}

/// Why there is no verdict on a run's best model.
fn no_verdict(summary: Option<&Summary>) -> Missing {
    Missing(
        match summary {
            None => "the run has no `summary.json` yet: this is measured when it ends",
            Some(summary) if !summary.is_complete() => {
                "the run was stopped before its end, when this is measured"
            }
            Some(_) => "the run has no task with classes: it is one of pretraining",
        }
        .to_owned(),
    )
}
