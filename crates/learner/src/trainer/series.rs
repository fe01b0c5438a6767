//! One experiment with several seeds, or with each part of its data to test on in turn, in one run directory: a run of its own for
//! each in `seed-N` or `seed-N/fold-K`, and their mean and deviation in `summary.json`.

use std::path::{Path, PathBuf};

use super::best::BestBy;
use super::same_data::require_same_data;
use super::session::Session;
use super::start::{RunRequest, Start};
use crate::error::{LearnerError, Result};
use crate::experiment::Experiment;
use crate::metrics_log::EvaluationRecord;
use crate::report::{Member, SeriesSummary, statistics};
use crate::run_dir::{RunDir, RunSummary};
use crate::trainable::metric_names_of;

/// An open directory of runs that differ by their seed, or by the fold that they are tested on, alone.
#[derive(Debug)]
pub struct Series {
    experiment: Experiment,
    request: RunRequest,
    run: RunDir,
    /// To be written with the configuration, if that is to be written.
    overrides: Option<Vec<String>>,
}

impl Series {
    /// Opens the series that a request asks for, new or to go on with; `None` if its experiment has no `seeds`
    /// and no `task.folds`, or names one fold of them.
    ///
    /// # Errors
    /// As [`Session::open`](super::Session::open), but for the data and the device, which are not looked at yet.
    pub fn open(request: &RunRequest) -> Result<Option<Self>> {
        if !Start::is_series(request)? {
            return Ok(None);
        }
        let mut start = Start::of(request)?;
        let run =
            if start.resumes() { RunDir::open(&start.path)? } else { RunDir::create(&start.path)? };
        let experiment = start.experiment().clone();
        let request = request_of_runs(request, &start)?;
        Ok(Some(Self { experiment, request, run, overrides: start.overrides.take() }))
    }

    /// What [`Self::remaining`] gives of the series that a request asks for, whose directory is neither made nor held; `None` as of
    /// [`Self::open`].
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::remaining`].
    pub(super) fn planned(request: &RunRequest) -> Result<Option<Vec<RunRequest>>> {
        if !Start::is_series(request)? {
            return Ok(None);
        }
        let start = Start::of(request)?;
        let request = request_of_runs(request, &start)?;
        remaining_of(start.experiment(), &request, &start.path, None).map(Some)
    }

    /// Writes the resolved configuration: from now on the directory holds a series. To be called once the first run can
    /// begin, so that a start that failed leaves the directory free; in its experiment the data has answered what no file
    /// said.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if a run of the series has read other data; [`LearnerError::Io`].
    pub fn begin(&self, run: &Session) -> Result<()> {
        require_same_data(run, &run_folders(&self.experiment, self.path()), &[])?;
        let Some(overrides) = &self.overrides else { return Ok(()) };
        let Experiment { seed, seeds, task: asked, .. } = self.experiment.clone();
        let mut task = run.experiment().task.clone();
        if let (Some(task), Some(asked)) = (&mut task, asked) {
            task.options = asked.options;
        }
        let resolved = Experiment { seed, seeds, task, ..run.experiment().clone() };
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
        self.remaining_until(None)
    }

    /// Those of them that have not come to `step` yet, where they pause; without a number all.
    ///
    /// # Errors
    /// As [`Self::remaining`].
    pub fn remaining_until(&self, step: Option<usize>) -> Result<Vec<RunRequest>> {
        remaining_of(&self.experiment, &self.request, self.path(), step)
    }

    /// Sums up the finished runs, and writes it.
    ///
    /// # Errors
    /// [`LearnerError::Data`] if a run has no summary, and [`LearnerError::Io`].
    pub fn finish(&self) -> Result<SeriesSummary> {
        let members = self.members();
        let mut runs = Vec::new();
        for member in &members {
            let path = member.folder(self.path());
            runs.push(RunSummary::read(&path)?.ok_or_else(|| {
                LearnerError::Data(format!("the run `{}` has no summary yet", path.display()))
            })?);
        }
        let best = best_member(&self.experiment, &members, &runs)?;
        let summary = SeriesSummary {
            name: self.experiment.name.clone(),
            chosen_by: runs
                .first()
                .and_then(|run| run.best_model.as_ref())
                .map_or_else(String::new, |results| results.chosen_by.clone()),
            best_seed: best.seed,
            best_fold: best.fold,
            seeds: seeds(&self.experiment),
            folds: folds(&self.experiment),
            statistics: statistics(&runs),
            runs,
        };
        self.run.write_summary(&summary)?;
        Ok(summary)
    }

    fn members(&self) -> Vec<Member> {
        members(&self.experiment)
    }
}

/// The request that those of the runs are made of: the overrides that the series was started with belong to each of them.
fn request_of_runs(request: &RunRequest, start: &Start) -> Result<RunRequest> {
    let mut request = request.clone();
    if start.resumes() {
        let mut overrides = RunDir::overrides(&start.path)?;
        overrides.append(&mut request.overrides);
        request.overrides = overrides;
    }
    Ok(request)
}

/// The runs in `path` that have not come to `step` yet; without a number those that are not finished.
fn remaining_of(
    experiment: &Experiment,
    request: &RunRequest,
    path: &Path,
    step: Option<usize>,
) -> Result<Vec<RunRequest>> {
    let mut remaining = Vec::new();
    for member in members(experiment) {
        let path = member.folder(path);
        if !RunSummary::read(&path)?.is_some_and(|summary| summary.has_come_to(step)) {
            let mut request = request.clone();
            let seed = [format!("seed={}", member.seed), "seeds=[]".to_owned()];
            request.overrides.extend(seed);
            if member.fold > 0 {
                request.overrides.push(format!("task.fold={}", member.fold));
            }
            request.run_dir = Some(path);
            request.resume = true;
            remaining.push(request);
        }
    }
    Ok(remaining)
}

/// The directories of an experiment's runs, whose own is `path`: itself, or those of its seeds and folds.
pub(super) fn run_folders(experiment: &Experiment, path: &Path) -> Vec<PathBuf> {
    if experiment.seeds.is_empty() && folds(experiment) == 0 {
        return vec![path.to_owned()];
    }
    members(experiment).into_iter().map(|member| member.folder(path)).collect()
}

fn seeds(experiment: &Experiment) -> Vec<u64> {
    match experiment.seeds.as_slice() {
        [] => vec![experiment.seed],
        seeds => seeds.to_vec(),
    }
}

/// Folds that a run each is tested on; 0 if there are none, or one alone is asked for.
fn folds(experiment: &Experiment) -> usize {
    let options = experiment.task.as_ref().map(|task| &task.options);
    options.filter(|options| options.fold == 0).map_or(0, |options| options.folds)
}

fn members(experiment: &Experiment) -> Vec<Member> {
    Member::all(&seeds(experiment), folds(experiment))
}

/// The run whose best evaluation is the best; the first of equals.
fn best_member(experiment: &Experiment, members: &[Member], runs: &[RunSummary]) -> Result<Member> {
    let mut best: Option<(Member, &EvaluationRecord)> = None;
    for (member, run) in members.iter().zip(runs) {
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
            best = Some((*member, record));
        }
    }
    Ok(best.map_or(members[0], |(member, _)| member))
}
