//! What is on record of finished runs: of one, or of one for each of several seeds or folds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use nystromformer_tasks::metrics::SeedStatistics;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checkpoint::manifest::is_zero;
use crate::error::{LearnerError, Result};
use crate::experiment::Experiment;
use crate::run_dir::{RunDir, RunSummary};
use crate::sweep_report::SweepReport;

/// `summary.json` of runs that differ by their seed, or by the part of the data that they are tested on, alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesSummary {
    /// Name of the experiment.
    pub name: String,
    /// The seeds, in their order.
    pub seeds: Vec<u64>,
    /// Folds of the data, each of which is tested on by a run of every seed; 0 if it is not cut.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub folds: usize,
    /// How each run's model was chosen among its checkpoints.
    pub chosen_by: String,
    /// The seed whose model is the best by that rule: what the directory stands for as a model. It is no unbiased
    /// measure of the method; the mean is.
    pub best_seed: u64,
    /// Of folds the one that this model is tested on; 0 if there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub best_fold: usize,
    /// Mean and standard deviation over the runs, by split and metric.
    pub statistics: BTreeMap<String, BTreeMap<String, SeedStatistics>>,
    /// The runs' own summaries, in the order of the seeds, and of each seed in that of the folds.
    pub runs: Vec<RunSummary>,
}

impl SeriesSummary {
    /// How many runs of what kind, e.g. `3 seeds`.
    pub fn extent(&self) -> String {
        match (self.seeds.len(), self.folds) {
            (seeds, 0) => format!("{seeds} seeds"),
            (1, folds) => format!("{folds} folds"),
            (seeds, folds) => format!("{seeds} seeds of {folds} folds"),
        }
    }

    /// Metrics that some runs have no number for, as a curve over one class alone, so that there is no mean: the split, the metric, and
    /// these runs.
    pub fn undefined(&self) -> Vec<(String, String, Vec<Member>)> {
        let mut undefined: BTreeMap<(String, String), Vec<Member>> = BTreeMap::new();
        for (member, run) in Member::all(&self.seeds, self.folds).into_iter().zip(&self.runs) {
            for (split, record) in run.evaluations() {
                for (name, _) in record.metrics.iter().filter(|(_, value)| value.is_nan()) {
                    undefined.entry((split.clone(), name.clone())).or_default().push(member);
                }
            }
        }
        undefined.into_iter().map(|((split, name), members)| (split, name, members)).collect()
    }

    /// The run that it stands for as a model.
    pub fn best_member(&self) -> Member {
        Member { seed: self.best_seed, fold: self.best_fold }
    }
}

/// A run of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its seed.
    pub seed: u64,
    /// The fold that it is tested on, from 1; 0 if the data is not cut.
    pub fold: usize,
}

impl Member {
    /// The run of this experiment, which is one of a series.
    pub fn of(experiment: &Experiment) -> Self {
        let fold = experiment.task.as_ref().map_or(0, |task| task.options.fold);
        Self { seed: experiment.seed, fold }
    }

    /// Those of a series with these seeds, each with so many folds, in their order; without folds one of each seed.
    pub(crate) fn all(seeds: &[u64], folds: usize) -> Vec<Self> {
        let folds = if folds == 0 { 0..=0 } else { 1..=folds };
        let of_seed = |&seed: &u64| folds.clone().map(move |fold| Self { seed, fold });
        seeds.iter().flat_map(of_seed).collect()
    }

    /// Its directory: `seed-N`, `seed-N/fold-K` of the series.
    pub(crate) fn folder(self, series: &Path) -> PathBuf {
        let of_seed = series.join(format!("seed-{}", self.seed));
        match self.fold {
            0 => of_seed,
            fold => of_seed.join(format!("fold-{fold}")),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fold {
            0 => write!(formatter, "seed {}", self.seed),
            fold => write!(formatter, "seed {}, fold {fold}", self.seed),
        }
    }
}

/// `summary.json` of either kind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum SummaryFile {
    /// Of several seeds or folds.
    Series(Box<SeriesSummary>),
    /// Of one run.
    Run(Box<RunSummary>),
}

impl TryFrom<Value> for SummaryFile {
    type Error = serde_json::Error;

    fn try_from(summary: Value) -> std::result::Result<Self, Self::Error> {
        if summary.get("runs").is_some() {
            return serde_json::from_value(summary).map(Self::Series);
        }
        serde_json::from_value(summary).map(Self::Run)
    }
}

impl SummaryFile {
    /// The report of the run or runs in `path`.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if there is none, [`LearnerError::Data`] if it does not parse, [`LearnerError::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_if_there(path)?.ok_or_else(|| {
            let problem = if !path.is_dir() {
                "there is no such run directory"
            } else if RunDir::holds_run(path) {
                "no run has ended there yet; finish it with `train --resume`"
            } else {
                "it is no run directory: name the runs in it, which `nystromformer runs` lists"
            };
            LearnerError::Config(format!("`{}` has no summary: {problem}", path.display()))
        })
    }

    /// The same; `None` if there is none.
    ///
    /// # Errors
    /// [`LearnerError::Data`] if it does not parse, [`LearnerError::Io`].
    pub fn read_if_there(path: &Path) -> Result<Option<Self>> {
        RunDir::read_summary(path)
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

/// The run that a sweep or a series in `path` stands for as a model; `None` if there is neither, or nothing of it is finished.
pub(crate) fn best_run(path: &Path) -> Option<PathBuf> {
    if let Ok(Some(sweep)) = SweepReport::read(path) {
        return sweep.best_folder(path);
    }
    match SummaryFile::read(path) {
        Ok(SummaryFile::Series(series)) => Some(series.best_member().folder(path)),
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
