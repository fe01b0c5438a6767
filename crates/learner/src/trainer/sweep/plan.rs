//! The trials of a sweep, checked before the first one begins.

use std::path::PathBuf;

use tracing::subscriber::{NoSubscriber, with_default};

use super::super::start::{RunRequest, Start};
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, SweepConfig};
use crate::run_dir::RunDir;
use crate::sweep_report::{SweepReport, TrialReport, TrialState};

/// A sweep as it is asked for: nothing is written yet.
#[derive(Debug)]
pub struct SweepPlan {
    /// The directory of the sweep.
    pub(super) path: PathBuf,
    /// The experiment without a trial's values.
    pub(super) experiment: Experiment,
    /// The same as TOML: the data answers for each trial.
    pub(super) toml: String,
    pub(super) config: SweepConfig,
    /// Whether there is a sweep to go on with.
    pub(super) resumes: bool,
    /// For the directory's `overrides.json`, which is to be written anew; `None` if it stays as it is.
    pub(super) overrides: Option<Vec<String>>,
    /// The trials, the first one 1.
    pub(super) trials: Vec<Trial>,
}

/// A trial as an experiment of its own.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) request: RunRequest,
    pub(super) experiment: Experiment,
}

impl SweepPlan {
    /// The sweep that a request asks for; `None` if its experiment has no `[sweep]`, or names one trial of it.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if the sweep or one of its trials is wrong, or if it goes on with other settings; errors of the
    /// disk.
    pub fn of(request: &RunRequest) -> Result<Option<Self>> {
        if !Start::is_sweep(request)? {
            return Ok(None);
        }
        let mut start = Start::of(request)?;
        let experiment = start.experiment().clone();
        let Some(config) = experiment.sweep.clone() else { return Ok(None) };
        for key in config.keys() {
            if start.is_overridden(&key) {
                return Err(LearnerError::Config(format!(
                    "`--set {key}=…` and `sweep.parameters` both give `{key}` values; leave out one"
                )));
            }
        }
        let mut all = request.clone();
        if start.resumes() {
            // The overrides that the sweep was started with belong to each of its trials.
            all.overrides = RunDir::overrides(&start.path)?;
            all.overrides.extend(request.overrides.iter().cloned());
        }
        let plan = |number| {
            let mut request = all.clone();
            request.overrides.push(format!("sweep.trial={number}"));
            request.run_dir = Some(start.path.join(folder(number)));
            request.resume = true;
            let found = Start::of(&request).map_err(|error| in_trial(number, error))?;
            let experiment = found.experiment().clone();
            Ok(Trial { request, experiment })
        };
        // What is to be told of an experiment is told when its run begins.
        let trials = with_default(NoSubscriber::new(), || {
            (1..=config.num_trials()).map(plan).collect::<Result<Vec<Trial>>>()
        })?;
        Ok(Some(Self {
            toml: start.toml_without_answers(),
            resumes: start.resumes(),
            overrides: start.overrides.take(),
            path: start.path,
            experiment,
            config,
            trials,
        }))
    }

    /// The trials' requests, the first one's first.
    pub fn requests(&self) -> impl Iterator<Item = &RunRequest> {
        self.trials.iter().map(|trial| &trial.request)
    }

    /// The report of a sweep that has not begun.
    pub fn report(&self) -> SweepReport {
        let trial = |number: usize| TrialReport {
            trial: number,
            folder: folder(number),
            values: self
                .config
                .values(number)
                .into_iter()
                .map(|(key, value)| (key, serde_json::to_value(value).unwrap_or_default()))
                .collect(),
            state: TrialState::Pending,
            steps: 0,
            value: None,
        };
        SweepReport {
            name: self.experiment.name.clone(),
            method: self.config.method,
            metric: None,
            direction: None,
            parameters: self.config.keys(),
            trials: (1..=self.trials.len()).map(trial).collect(),
            best: None,
        }
    }
}

/// The directory of a trial in the sweep's.
pub(super) fn folder(trial: usize) -> String {
    format!("trial-{trial}")
}

/// A wrong configuration with the trial that it is of.
fn in_trial(trial: usize, error: LearnerError) -> LearnerError {
    match error {
        LearnerError::Config(problem) => {
            LearnerError::Config(format!("trial `{trial}`: {problem}"))
        }
        other => other,
    }
}
