//! What is on record of finished runs: of one, or of one for each of several seeds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nystromformer_tasks::metrics::SeedStatistics;
use serde::{Deserialize, Serialize};

use crate::error::{LearnerError, Result};
use crate::run_dir::{RunDir, RunSummary};

/// `summary.json` of runs that differ by their seed alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesSummary {
    /// Name of the experiment.
    pub name: String,
    /// The seeds, in their order.
    pub seeds: Vec<u64>,
    /// How each run's model was chosen among its checkpoints.
    pub chosen_by: String,
    /// The seed whose model is the best by that rule: what the directory stands for as a model. It is no unbiased
    /// measure of the method; the mean is.
    pub best_seed: u64,
    /// Mean and standard deviation over the seeds, by split and metric.
    pub statistics: BTreeMap<String, BTreeMap<String, SeedStatistics>>,
    /// The runs' own summaries, in the order of the seeds.
    pub runs: Vec<RunSummary>,
}

/// `summary.json` of either kind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum SummaryFile {
    /// Of several seeds.
    Series(Box<SeriesSummary>),
    /// Of one run.
    Run(Box<RunSummary>),
}

impl SummaryFile {
    /// The report of the run or runs in `path`.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if there is none, [`LearnerError::Data`] if it does not parse, [`LearnerError::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        RunDir::read_summary(path)?.ok_or_else(|| {
            LearnerError::Config(format!(
                "`{}` has no summary: no run has ended there yet; finish it with `train --resume`",
                path.display()
            ))
        })
    }

    /// The summaries of its runs.
    pub fn runs(&self) -> &[RunSummary] {
        match self {
            Self::Series(series) => &series.runs,
            Self::Run(run) => std::slice::from_ref(run.as_ref()),
        }
    }

    /// Mean and deviation of what the best models scored, by split and metric; of a run of pretraining, of its best evaluation.
    pub fn statistics(&self) -> BTreeMap<String, BTreeMap<String, SeedStatistics>> {
        statistics(self.runs())
    }
}

/// The run of a seed within a series.
pub(crate) fn folder_of_seed(series: &Path, seed: u64) -> PathBuf {
    series.join(format!("seed-{seed}"))
}

/// The run that a series in `path` stands for as a model; `None` if there is no finished series.
pub(crate) fn best_run(path: &Path) -> Option<PathBuf> {
    match SummaryFile::read(path) {
        Ok(SummaryFile::Series(series)) => Some(folder_of_seed(path, series.best_seed)),
        _ => None,
    }
}

/// Mean and deviation of every number that all runs' best models were measured by.
pub(crate) fn statistics(
    runs: &[RunSummary],
) -> BTreeMap<String, BTreeMap<String, SeedStatistics>> {
    let mut scores: BTreeMap<String, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    for run in runs {
        for (split, record) in run.evaluations() {
            let of_split = scores.entry(split).or_default();
            of_split.entry("loss".to_owned()).or_default().push(record.loss);
            for (name, value) in &record.metrics {
                of_split.entry(name.clone()).or_default().push(*value);
            }
        }
    }
    let of_metrics = |metrics: BTreeMap<String, Vec<f64>>| {
        let metrics = metrics.into_iter();
        metrics.filter_map(|(name, scores)| Some((name, SeedStatistics::of(&scores)?))).collect()
    };
    scores.into_iter().map(|(split, metrics)| (split, of_metrics(metrics))).collect()
}
