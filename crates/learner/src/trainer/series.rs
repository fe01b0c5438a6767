//! One experiment with several seeds, in one run directory: a run of its own for each in `seed-N`, and their mean and
//! deviation in `summary.json`.

use std::path::{Path, PathBuf};

use super::best::BestBy;
use super::start::{RunRequest, Start};
use crate::error::{LearnerError, Result};
use crate::experiment::Experiment;
use crate::metrics_log::EvaluationRecord;
use crate::report::{SeriesSummary, folder_of_seed, statistics};
use crate::run_dir::{RunDir, RunSummary};
use crate::trainable::metric_names_of;

/// An open directory of runs that differ by their seed alone.
#[derive(Debug)]
pub struct Series {
    experiment: Experiment,
    request: RunRequest,
    run: RunDir,
    /// To be written with the configuration, if that is to be written.
    overrides: Option<Vec<String>>,
}

impl Series {
    /// Opens the series that a request asks for, new or to go on with; `None` if its experiment has no `seeds`.
    ///
    /// # Errors
    /// As [`Session::open`](super::Session::open), but for the data and the device, which are not looked at yet.
    pub fn open(request: &RunRequest) -> Result<Option<Self>> {
        if !Start::has_seeds(request)? {
            return Ok(None);
        }
        let mut start = Start::of(request)?;
        let run =
            if start.resumes() { RunDir::open(&start.path)? } else { RunDir::create(&start.path)? };
        let experiment = start.experiment().clone();
        let mut request = request.clone();
        if start.resumes() {
            // The overrides that the series was started with belong to each of its runs.
            let mut overrides = RunDir::overrides(&start.path)?;
            overrides.append(&mut request.overrides);
            request.overrides = overrides;
        }
        Ok(Some(Self { experiment, request, run, overrides: start.overrides.take() }))
    }

    /// Writes the resolved configuration: from now on the directory holds a series. To be called once the first run can
    /// begin, so that a start that failed leaves the directory free; `run` is that run's experiment, for which the data
    /// has answered what no file said.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn begin(&self, run: &Experiment) -> Result<()> {
        let Some(overrides) = &self.overrides else { return Ok(()) };
        let Experiment { seed, seeds, .. } = self.experiment.clone();
        let resolved = Experiment { seed, seeds, ..run.clone() };
        self.run.write_config(&resolved.to_toml(), overrides)
    }

    /// The resolved experiment.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.run.path()
    }

    /// The runs that are not finished yet, each as a request of its own; one that was begun goes on.
    ///
    /// # Errors
    /// [`LearnerError::Io`] and [`LearnerError::Data`] if a summary that is there cannot be read.
    pub fn remaining(&self) -> Result<Vec<RunRequest>> {
        let mut remaining = Vec::new();
        for seed in &self.experiment.seeds {
            let path = self.of_seed(*seed);
            if !RunSummary::read(&path)?.is_some_and(|summary| summary.is_complete()) {
                let mut request = self.request.clone();
                request.overrides.extend([format!("seed={seed}"), "seeds=[]".to_owned()]);
                request.run_dir = Some(path);
                request.resume = true;
                remaining.push(request);
            }
        }
        Ok(remaining)
    }

    /// Sums up the finished runs, and writes it.
    ///
    /// # Errors
    /// [`LearnerError::Data`] if a run has no summary, and [`LearnerError::Io`].
    pub fn finish(&self) -> Result<SeriesSummary> {
        let mut runs = Vec::new();
        for seed in &self.experiment.seeds {
            let path = self.of_seed(*seed);
            runs.push(RunSummary::read(&path)?.ok_or_else(|| {
                LearnerError::Data(format!("the run `{}` has no summary yet", path.display()))
            })?);
        }
        let summary = SeriesSummary {
            name: self.experiment.name.clone(),
            chosen_by: runs
                .first()
                .and_then(|run| run.best_model.as_ref())
                .map_or_else(String::new, |results| results.chosen_by.clone()),
            best_seed: best_seed(&self.experiment, &runs)?,
            seeds: self.experiment.seeds.clone(),
            statistics: statistics(&runs),
            runs,
        };
        self.run.write_summary(&summary)?;
        Ok(summary)
    }

    fn of_seed(&self, seed: u64) -> PathBuf {
        folder_of_seed(self.path(), seed)
    }
}

/// The seed whose best evaluation is the best; the first of equals.
fn best_seed(experiment: &Experiment, runs: &[RunSummary]) -> Result<u64> {
    let seeds = &experiment.seeds;
    let mut best: Option<(u64, &EvaluationRecord)> = None;
    for (seed, run) in seeds.iter().zip(runs) {
        let rule = match &run.best_model {
            Some(found) => BestBy::of_results(found)?,
            None => BestBy::of(
                &experiment.trainer.metric_for_best_model,
                &[],
                metric_names_of(experiment.architecture().class()),
            )?,
        };
        if let Some(record) = &run.best_evaluation
            && rule.is_better(record, best.map(|(_, record)| record))
        {
            best = Some((*seed, record));
        }
    }
    Ok(best.map_or(seeds[0], |(seed, _)| seed))
}
