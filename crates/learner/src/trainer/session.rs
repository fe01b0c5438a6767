//! From an experiment's file to a finished run: what the command line calls.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::learner::Learner;
use super::run::{Outcome, Trainer};
use crate::checkpoint::Checkpoint;
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, LoadedExperiment};
use crate::masked_lm::CorpusBatches;
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::self_check::self_check;
use crate::stop::StopFlag;

/// Where runs go that name no directory: `runs/<name of the experiment>`.
const RUNS: &str = "runs";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRequest {
    /// The experiment's file.
    pub config: PathBuf,
    /// `--set` assignments, in order.
    pub overrides: Vec<String>,
    /// The run directory; `runs/<name>` if none is named.
    pub run_dir: Option<PathBuf>,
    /// Whether to go on with what is in the directory, if anything is.
    pub resume: bool,
}

/// Everything a run needs, opened and checked: directory, data, device.
#[derive(Debug)]
pub struct Session {
    experiment: Experiment,
    data: CorpusBatches,
    device: Device,
    run: RunDir,
    checkpoint: Option<Checkpoint>,
    /// Of a new run, still to be written; a resumed one has its own.
    overrides: Option<Vec<String>>,
}

impl Session {
    /// Opens a new run, or with `resume` the one that is there. The directory is locked before
    /// anything is computed; its `config.toml` is written when training starts.
    ///
    /// # Errors
    /// [`LearnerError::Config`] for a bad configuration, a directory in use or taken, or a resume
    /// with other settings; errors of the data and the device.
    pub fn open(
        request: &RunRequest,
        preparation: &dyn nystromformer_data::Progress,
    ) -> Result<Self> {
        let mut loaded = Experiment::load(&request.config, &request.overrides)?;
        let path = match &request.run_dir {
            Some(path) => path.clone(),
            None => Path::new(RUNS).join(&loaded.experiment.name),
        };
        let resumes = request.resume && RunDir::holds_run(&path);
        let (run, stored) = if resumes {
            // The overrides that the run was started with belong to it, and need not be repeated.
            let mut overrides = RunDir::overrides(&path)?;
            overrides.extend_from_slice(&request.overrides);
            loaded = Experiment::load(&request.config, &overrides)?;
            (RunDir::open(&path)?, Some(experiment_of_run(&path, &loaded)?))
        } else {
            (RunDir::create(&path)?, None)
        };
        // Before the corpus is tokenised, which may take hours.
        let device = open_device(stored.as_ref().unwrap_or(&loaded.experiment))?;
        let data =
            CorpusBatches::prepare(stored.as_ref().unwrap_or(&loaded.experiment), preparation)?;
        let experiment = match stored {
            Some(stored) => stored,
            None => loaded.with_tokenizer(&data.data().tokenizer)?,
        };
        let checkpoint = if resumes { run.checkpoints()?.newest_valid()? } else { None };
        let overrides = (!resumes).then(|| request.overrides.clone());
        Ok(Self { experiment, data, device, run, checkpoint, overrides })
    }

    /// Trains to the end, or until stopped.
    ///
    /// # Errors
    /// See [`Learner::new`], [`Learner::restore`] and [`Trainer::fit`].
    pub fn train(&self, stop: StopFlag, progress: &mut dyn Progress) -> Result<Outcome> {
        let learner = match &self.checkpoint {
            Some(checkpoint) => {
                Learner::restore(&self.experiment, &self.data, &self.device, checkpoint)?
            }
            None => Learner::new(&self.experiment, &self.data, &self.device)?,
        };
        // Only now is there a run: a start that failed before leaves the directory free.
        if let Some(overrides) = &self.overrides {
            self.run.write_config(&self.experiment.to_toml(), overrides)?;
        }
        Trainer::new(learner, &self.run, stop, progress)?.fit()
    }

    /// The resolved experiment.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The run directory.
    pub fn run(&self) -> &RunDir {
        &self.run
    }

    /// Tokenizer and batches.
    pub fn data(&self) -> &CorpusBatches {
        &self.data
    }

    /// The device that trains.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The checkpoint that training goes on from, if it does.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }
}

/// The device of an experiment, checked against the CPU if it is not the CPU.
pub(super) fn open_device(experiment: &Experiment) -> Result<Device> {
    let device = experiment.device.open()?;
    if experiment.device.is_accelerator() && experiment.trainer.self_check {
        let report = self_check(experiment.device, &device)?;
        tracing::info!(
            device = %experiment.device,
            largest_difference = report.difference,
            "the device agrees with the CPU"
        );
    }
    Ok(device)
}

/// The experiment of the run in `path`, from its own `config.toml`; refuses if `asked` is another
/// one.
fn experiment_of_run(path: &Path, asked: &LoadedExperiment) -> Result<Experiment> {
    let stored = Experiment::load(&RunDir::config_path(path), &[])?.experiment;
    let changes = asked.differences_from(&stored);
    if changes.is_empty() {
        return Ok(stored);
    }
    Err(LearnerError::Config(format!(
        "the run in `{}` has another configuration: {}; resume with its own `config.toml`, or \
         start a new run with \
         `--run-dir`",
        path.display(),
        changes.join("; ")
    )))
}
