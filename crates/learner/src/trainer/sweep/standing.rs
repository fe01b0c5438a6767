//! How far a trial is, and what it scored, by the files of its runs: so it is known after any end of a process.

use std::path::{Path, PathBuf};

use super::super::best::BestBy;
use super::super::series::run_folders;
use super::plan::Trial;
use crate::error::Result;
use crate::metrics_log::{EvaluationRecord, MetricsLog};
use crate::run_dir::{RunDir, RunSummary};

/// The runs of a trial, one for each of its seeds and folds.
#[derive(Debug)]
pub(super) struct Standing {
    runs: Vec<(PathBuf, Option<RunSummary>)>,
}

impl Standing {
    /// Of a trial in the directory `path`.
    pub(super) fn of(trial: &Trial, path: &Path) -> Result<Self> {
        let folders = run_folders(&trial.experiment, path).into_iter();
        let read = |folder: PathBuf| {
            let summary = RunSummary::read(&folder)?;
            Ok((folder, summary))
        };
        Ok(Self { runs: folders.map(read).collect::<Result<_>>()? })
    }

    /// Whether all of its runs have come to their end, or to `step`.
    pub(super) fn has_come_to(&self, step: Option<usize>) -> bool {
        let has_come = |summary: &RunSummary| summary.has_come_to(step);
        self.runs.iter().all(|(_, summary)| summary.as_ref().is_some_and(has_come))
    }

    /// Steps that all of its runs have taken.
    pub(super) fn steps(&self) -> usize {
        let steps = |(_, summary): &(PathBuf, Option<RunSummary>)| {
            summary.as_ref().map_or(0, |summary| summary.steps)
        };
        self.runs.iter().map(steps).min().unwrap_or_default()
    }

    /// What it scored up to `step`, or in the end: the mean over its runs. `None` if one has no such number, or a model whose
    /// answers are not numbers any more.
    pub(super) fn value(&self, by: &BestBy, step: Option<usize>) -> Result<Option<f64>> {
        let mut sum = 0.0;
        for (folder, summary) in &self.runs {
            // Of data without targets there is no loss either, and its metrics count; but then no step is skipped.
            let diverged = summary.as_ref().is_some_and(|summary| summary.skipped_steps > 0);
            let usable = |record: &EvaluationRecord| !(diverged && record.loss.is_nan());
            let found = match (summary, step) {
                (None, _) => None,
                (Some(summary), None) => summary
                    .evaluations()
                    .get("validation")
                    .filter(|record| usable(record))
                    .map(|record| by.value(record)),
                (Some(_), Some(step)) => {
                    let log = MetricsLog::evaluations(&RunDir::metrics_path(folder))?;
                    best_until(&log, by, step)
                        .filter(|record| usable(record))
                        .map(|record| by.value(record))
                }
            };
            let Some(value) = found.filter(|value| value.is_finite()) else { return Ok(None) };
            sum += value;
        }
        Ok(Some(sum / self.runs.len() as f64))
    }
}

/// The best evaluation up to a step: what comes later does not change what was decided by it.
fn best_until<'a>(
    log: &'a [EvaluationRecord],
    by: &BestBy,
    step: usize,
) -> Option<&'a EvaluationRecord> {
    // That of step 0 is none to choose by.
    let until = log.iter().filter(|record| (1..=step).contains(&record.step));
    until.fold(None, |best, record| if by.is_better(record, best) { Some(record) } else { best })
}
