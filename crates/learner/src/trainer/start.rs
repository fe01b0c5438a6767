//! How a run begins or goes on: everything that is decided before the first step, by reading alone.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use nystromformer_kernels::DeviceMemory;
use nystromformer_tasks::{Split, TaskRegistry, say_once};

use super::best::BestBy;
use super::learner::Learner;
use super::model_source::require_same_vocabulary;
use crate::batch::{Batch, BatchSource};
use crate::batches::Batches;
use crate::checkpoint::Checkpoint;
use crate::error::{LearnerError, Result};
use crate::experiment::{
    ConfigLayer, Draft, Experiment, LoadedExperiment, absolute_assignment, beyond_the_end,
};
use crate::half_precision::require_precision;
use crate::machine_memory::require_memory;
use crate::run_dir::RunDir;
use crate::self_check::self_check;
use crate::trainable::metric_names_of;

/// Where runs go that name no directory: `runs/<name of the experiment>`.
const RUNS: &str = "runs";

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The experiment's file.
    pub config: PathBuf,
    /// `--set` assignments, in order.
    pub overrides: Vec<String>,
    /// The run directory; `runs/<name>` if none is named.
    pub run_dir: Option<PathBuf>,
    /// Whether to go on with what is in the directory, if anything is.
    pub resume: bool,
    /// The tasks that an experiment may name.
    pub tasks: TaskRegistry,
}

impl RunRequest {
    /// The overrides as the run keeps them: paths are seen from the root.
    pub fn kept_overrides(&self) -> Vec<String> {
        self.overrides.iter().map(|text| absolute_assignment(text)).collect()
    }
}

/// A request with its files read: the experiment asked for, and the run that it is to go on with.
#[derive(Debug)]
pub(super) struct Start {
    /// The run directory.
    pub(super) path: PathBuf,
    /// For the run's `overrides.json`, which is to be written anew; `None` if it stays as it is.
    pub(super) overrides: Option<Vec<String>>,
    asked: LoadedExperiment,
    /// The experiment of the run in `path`, if it is resumed.
    stored: Option<Experiment>,
}

/// A request with its text read, before its values have types.
struct Asked {
    draft: Draft,
    path: PathBuf,
    overrides: Vec<String>,
    resumes: bool,
}

impl Asked {
    fn of(request: &RunRequest) -> Result<Self> {
        let file = Draft::read(&request.config)?;
        // Paths of this command count from this folder, also when the run goes on from another.
        let asked = request.kept_overrides();
        let draft = file.with_overrides(&asked)?;
        let path = match &request.run_dir {
            Some(path) => path.clone(),
            None => Path::new(RUNS).join(draft.name()),
        };
        if !(request.resume && RunDir::holds_run(&path)) {
            return Ok(Self { draft, path, overrides: asked, resumes: false });
        }
        let file = file.beside_a_run();
        // The overrides that the run was started with belong to it, and need not be repeated.
        let mut overrides = RunDir::overrides(&path)?;
        overrides.extend(asked);
        Ok(Self { draft: file.with_overrides(&overrides)?, path, overrides, resumes: true })
    }
}

impl Start {
    /// Whether the experiment has several values of some keys. Nothing else of it is checked yet, or warned of.
    pub(super) fn is_sweep(request: &RunRequest) -> Result<bool> {
        Ok(Asked::of(request)?.draft.is_sweep())
    }

    /// Whether the experiment names seeds or folds to run it with. Nothing else of it is checked yet, or warned of.
    pub(super) fn is_series(request: &RunRequest) -> Result<bool> {
        Ok(Asked::of(request)?.draft.is_series())
    }

    /// Reads the experiment, and with `resume` the run that is there.
    pub(super) fn of(request: &RunRequest) -> Result<Self> {
        let Asked { draft: asked, path, overrides, resumes } = Asked::of(request)?;
        if !resumes {
            let source = asked.source_config()?;
            let asked = asked.resolve(source.as_ref(), &request.tasks)?;
            return Ok(Self { path, overrides: Some(overrides), asked, stored: None });
        }
        let run = Draft::read(&RunDir::config_path(&path))?.of_a_run();
        let asked = asked.meant_as_by(&run);
        let mut stored = run.resolve(None, &request.tasks)?.experiment;
        // What the run took from the model it started from, it has itself.
        let inherited = stored.init_from.is_some().then(|| stored.model.clone());
        let mut asked = asked.resolve(inherited.as_ref(), &request.tasks)?;
        asked.take_local_models(&stored)?;
        for sentence in asked.keep_paths_of(&stored) {
            tracing::info!("{sentence}");
        }
        let moved = stored.take_moved_paths(&asked.experiment);
        for sentence in &moved {
            tracing::warn!("{sentence}");
        }
        require_same(&path, &asked, &stored)?;
        if let Some(told) = stored.missing_path(&path) {
            return Err(LearnerError::Config(told));
        }
        let changed = stored.take_bookkeeping(&asked.experiment) || !moved.is_empty();
        Ok(Self { path, overrides: changed.then_some(overrides), asked, stored: Some(stored) })
    }

    /// Whether there is a run to go on with.
    pub(super) fn resumes(&self) -> bool {
        self.stored.is_some()
    }

    /// The experiment; of a new run, without what its tokenizer will say.
    pub(super) fn experiment(&self) -> &Experiment {
        self.stored.as_ref().unwrap_or(&self.asked.experiment)
    }

    /// The experiment as TOML, without what the data is to answer.
    pub(super) fn toml_without_answers(&self) -> String {
        self.asked.toml_without_answers(self.experiment())
    }

    /// Whether a `--set` states this key.
    pub(super) fn is_overridden(&self, key: &str) -> bool {
        self.asked.is_overridden(key)
    }

    /// Settles the experiment, now that its data is there, for so many processes on this machine.
    pub(super) fn with_data(
        self,
        data: Batches,
        device: Device,
        checkpoint: Option<Checkpoint>,
        processes: usize,
    ) -> Result<Prepared> {
        let is_resumed = self.stored.is_some();
        let layers = self.stored.is_none().then(|| self.asked.stated().to_vec());
        let experiment = if let Some(stored) = self.stored {
            stored
        } else {
            let (trainer, examples) =
                (&self.asked.experiment.trainer, data.source().training_examples());
            let total_steps = trainer.total_steps(examples);
            warn_of_repeated_examples(trainer.batch_size, examples);
            for sentence in beyond_the_end(&self.asked, total_steps) {
                tracing::warn!("{sentence}");
            }
            let asked =
                self.asked.with_vectors(data.first_vectors(), || data.feature_statistics())?;
            let experiment =
                asked.with_data(data.vocabulary(), data.targets(), data.standardization())?;
            Experiment { task: data.task().cloned(), ..experiment }
        };
        if let (None, Some(source), Some(tokenizer)) =
            (&checkpoint, &experiment.init_from, data.tokenizer())
        {
            require_same_vocabulary(source, tokenizer)?;
        }
        // Refused here, and not when the run has begun.
        best_by(&experiment, data.source())?;
        tell_of_no_choice(&experiment, data.source());
        match require_validation_to_stop_by(&experiment, data.source()) {
            // A run that an earlier version began so cannot change the key, and goes to its end.
            Err(error) if is_resumed => tracing::warn!("{error}"),
            found => found?,
        }
        require_memory(&experiment, &device, data.source().rows_per_example(), processes)?;
        Ok(Prepared { experiment, layers, data, device, checkpoint })
    }
}

/// Says that a step is more than a pass over the data: the batch is the paper's, unless another is asked for.
fn warn_of_repeated_examples(batch_size: usize, examples: usize) {
    if (1..batch_size).contains(&examples) {
        tracing::warn!(
            "`trainer.batch_size` = `{batch_size}`, and there are `{examples}` training examples: each step reads every one of them \
             `{:.1}` times, so that an epoch ends within it; set `trainer.batch_size` to at most `{examples}`",
            batch_size as f64 / examples as f64
        );
    }
}

/// What the best evaluation of an experiment on this data is the best in.
pub(super) fn best_by<B: Batch>(
    experiment: &Experiment,
    data: &dyn BatchSource<Batch = B>,
) -> Result<BestBy> {
    BestBy::of(
        &experiment.trainer.metric_for_best_model,
        &data.metric_names(),
        data.criterion_metrics()
            .unwrap_or_else(|| metric_names_of(experiment.architecture().class())),
    )
}

/// Says that the last checkpoint is taken, where a metric is named to choose the best by and nothing is measured.
fn tell_of_no_choice<B: Batch>(experiment: &Experiment, data: &dyn BatchSource<Batch = B>) {
    let metric = &experiment.trainer.metric_for_best_model;
    let is_measured =
        experiment.trainer.eval_every > 0 && data.evaluation_examples(Split::Validation) > 0;
    if !metric.is_empty() && !is_measured {
        say_once(format!(
            "`trainer.metric_for_best_model` = `{metric}` chooses nothing: no checkpoint is measured (`trainer.eval_every` = `{}`, and \
             what is held out for validation), so the last one is the run's model",
            experiment.trainer.eval_every
        ));
    }
}

/// Refuses to wait for an evaluation that never comes.
fn require_validation_to_stop_by<B: Batch>(
    experiment: &Experiment,
    data: &dyn BatchSource<Batch = B>,
) -> Result<()> {
    let patience = experiment.trainer.early_stopping_patience;
    if patience == 0 || data.evaluation_examples(Split::Validation) > 0 {
        return Ok(());
    }
    Err(LearnerError::Config(format!(
        "`trainer.early_stopping_patience` is `{patience}`, and nothing is held out for validation to stop by: set it to 0, or \
         `validation_fraction` of `[task]` or `[data]` above 0"
    )))
}

/// All that training needs but a directory to write to.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) experiment: Experiment,
    /// What it was made of; `None` of a run that goes on.
    pub(super) layers: Option<Vec<ConfigLayer>>,
    pub(super) data: Batches,
    pub(super) device: Device,
    /// Where training goes on, if it does.
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Prepared {
    /// The learner as the run begins with it, or goes on.
    pub(super) fn learner(&self) -> Result<Learner<'_>> {
        match &self.checkpoint {
            Some(checkpoint) => {
                Learner::restore(&self.experiment, self.data.source(), &self.device, checkpoint)
            }
            None => Learner::new(&self.experiment, self.data.source(), &self.device),
        }
    }
}

/// The device of an experiment, the one of this number, checked against the CPU if it is not the CPU.
pub(super) fn open_device(experiment: &Experiment, index: usize) -> Result<Device> {
    let device = experiment.device.open_at(index)?;
    require_precision(experiment, &device)?;
    if experiment.device.is_accelerator() && experiment.trainer.self_check {
        tracing::info!(
            "comparing device `{}` with the CPU, which takes some seconds",
            experiment.device
        );
        let report = self_check(experiment, &device)?;
        tracing::info!(
            device = %experiment.device,
            largest_difference = report.difference,
            sizes = report.sizes,
            "the device agrees with the CPU"
        );
        // Its pages are as large as its own tensors were.
        DeviceMemory::release_unused(&device);
    }
    Ok(device)
}

/// Refuses if `asked` is another experiment than that of the run in `path`.
fn require_same(path: &Path, asked: &LoadedExperiment, stored: &Experiment) -> Result<()> {
    let changes = asked.differences_from(stored);
    if changes.is_empty() {
        return Ok(());
    }
    Err(LearnerError::Config(format!(
        "the run in `{}` has another configuration: {}; resume with its own `config.toml`, or \
         start a new run with `--run-dir`",
        path.display(),
        changes.join("; ")
    )))
}
