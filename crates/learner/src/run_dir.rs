//! The directory of a run: one trainer at a time, and never two runs in one place.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nystromformer_files::durable;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointStore;
use crate::checkpoint::manifest::is_zero;
use crate::computed_with::ComputedWith;
use crate::error::{LearnerError, Result};
use crate::experiment::ConfigLayer;
use crate::metrics_log::{EvaluationRecord, MetricsLog};
use crate::resource_log::ResourceLog;
use crate::trainer::{BestModelResults, Diagnosis};

const CONFIG: &str = "config.toml";
const OVERRIDES: &str = "overrides.json";
const LAYERS: &str = "config_layers.json";
const METRICS: &str = "metrics.jsonl";
const RESOURCES: &str = "resources.jsonl";
const DIAGNOSIS: &str = "diagnosis.json";
const SUMMARY: &str = "summary.json";
const CHECKPOINTS: &str = "checkpoints";
const PREDICTIONS: &str = "predictions";
const TENSORBOARD: &str = "tensorboard";
const TRACE: &str = "trace.json";

/// [`RunSummary::ended_by`] of a run that goes on if a sweep wants it to.
pub(crate) const PAUSED: &str = "paused";
const LOCK: &str = "run.lock";

/// An open, locked run directory. The lock is held until this is dropped, or the process dies.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Held open for its lock; the file itself stays behind, empty. `None`: another process of the same training holds it.
    lock: Option<File>,
}

impl RunDir {
    /// Takes `path` for a new run and locks it. The run begins to exist with
    /// [`Self::write_config`].
    ///
    /// # Errors
    /// [`LearnerError::Config`] if the directory holds a run already or another trainer is at work
    /// in it, [`LearnerError::Io`] if it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let run = Self::lock(path)?;
        if Self::holds_run(path) {
            return Err(LearnerError::Config(format!(
                "`{}` holds a run already; continue it with `--resume`, or choose another `--run-dir`",
                path.display()
            )));
        }
        Ok(run)
    }

    /// Writes the resolved configuration, which comes before everything else in the directory, and the
    /// overrides that led to it.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn write_config(&self, config: &str, overrides: &[String]) -> Result<()> {
        let json = serde_json::to_string(overrides).expect("strings are JSON");
        durable::replace(&self.path.join(OVERRIDES), json.as_bytes())?;
        Ok(durable::replace(&self.path.join(CONFIG), config.as_bytes())?)
    }

    /// Writes which files the configuration was made of, and what each of them states: the lowest first.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn write_config_layers(&self, layers: &[ConfigLayer]) -> Result<()> {
        let json = serde_json::to_string_pretty(layers).expect("tables of plain values are JSON");
        Ok(durable::replace(&self.path.join(LAYERS), json.as_bytes())?)
    }

    /// The overrides that the run in `path` was started with; none if the file is absent.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if the file is not a list of strings, [`LearnerError::Io`] if it cannot be read.
    pub fn overrides(path: &Path) -> Result<Vec<String>> {
        let path = path.join(OVERRIDES);
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(LearnerError::io("read", &path)(error)),
        };
        serde_json::from_slice(&json).map_err(|error| {
            LearnerError::Config(format!(
                "`{}` is not the list of overrides that the run was started with ({error}); delete it and repeat them",
                path.display()
            ))
        })
    }

    /// Opens the run in `path` to continue it.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if there is none or another trainer is at work in it.
    pub fn open(path: &Path) -> Result<Self> {
        if !Self::holds_run(path) {
            return Err(LearnerError::Config(format!(
                "`{}` holds no run to resume: it has no `{CONFIG}`",
                path.display()
            )));
        }
        Self::lock(path)
    }

    /// Whether a run was started in `path`.
    pub fn holds_run(path: &Path) -> bool {
        path.join(CONFIG).is_file() || path.join(CHECKPOINTS).is_dir()
    }

    /// The resolved configuration of the run in `path`, which need not be open.
    pub fn config_path(path: &Path) -> PathBuf {
        path.join(CONFIG)
    }

    /// The metrics of the run in `path`, which need not be open.
    pub fn metrics_path(path: &Path) -> PathBuf {
        path.join(METRICS)
    }

    /// Whether there is a summary in `path`.
    pub(crate) fn has_summary(path: &Path) -> bool {
        path.join(SUMMARY).is_file()
    }

    /// Whether a trainer is at work in `path`: it holds the lock. Nothing is changed, and no lock is left behind.
    pub fn is_at_work(path: &Path) -> bool {
        let Ok(lock) = File::open(path.join(LOCK)) else { return false };
        matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    fn lock(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(LearnerError::io("create", path))?;
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(LearnerError::io("open", &lock_path))?;
        let mut taken = lock.try_lock();
        // Whoever asks whether a trainer is at work here (`is_at_work`) holds the lock for a moment.
        for pause in [10, 50].map(Duration::from_millis) {
            if matches!(taken, Err(TryLockError::WouldBlock)) {
                thread::sleep(pause);
                taken = lock.try_lock();
            }
        }
        match taken {
            Ok(()) => {
                durable::sweep(path)?;
                Ok(Self { path: path.to_path_buf(), lock: Some(lock) })
            }
            Err(TryLockError::WouldBlock) => Err(LearnerError::Config(format!(
                "another trainer is at work in `{}`; wait for it, or choose another `--run-dir`",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(LearnerError::io("lock", &lock_path)(error)),
        }
    }

    /// The directory that another process of the same training holds: it is only read here.
    pub fn of_leader(path: &Path) -> Self {
        Self { path: path.to_path_buf(), lock: None }
    }

    /// Whether this process holds the directory, and so writes into it.
    pub fn is_held(&self) -> bool {
        self.lock.is_some()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its checkpoints, with unfinished ones swept away if it is held.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn checkpoints(&self) -> Result<CheckpointStore> {
        if !self.is_held() {
            return Ok(Self::checkpoints_of(&self.path));
        }
        CheckpointStore::open(self.path.join(CHECKPOINTS))
    }

    /// The checkpoints of the run in `path`, which need not be open, to read only.
    pub fn checkpoints_of(path: &Path) -> CheckpointStore {
        CheckpointStore::read_only(path.join(CHECKPOINTS))
    }

    /// Its metrics, cut off after `step`, and after the evaluation at step `evaluated`.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn metrics(&self, step: usize, evaluated: usize) -> Result<MetricsLog> {
        MetricsLog::open(Self::metrics_path(&self.path), step, evaluated)
    }

    /// Where its event files for `TensorBoard` are.
    pub(crate) fn tensorboard(&self) -> PathBuf {
        self.path.join(TENSORBOARD)
    }

    /// Where the trace of its first steps is written.
    pub(crate) fn trace(&self) -> PathBuf {
        self.path.join(TRACE)
    }

    /// When it ran and what it held, cut off after `step`.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn resources(&self, step: usize) -> Result<ResourceLog> {
        ResourceLog::open(self.path.join(RESOURCES), step)
    }

    /// Writes `diagnosis.json`: what the best model does inside.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn write_diagnosis(&self, diagnosis: &Diagnosis) -> Result<()> {
        let json = serde_json::to_string(diagnosis)
            .expect("numbers and texts are JSON, and what is not finite is null");
        Ok(durable::replace(&self.path.join(DIAGNOSIS), json.as_bytes())?)
    }

    /// Where the best model's predictions for the test splits are written: `test.jsonl` and the like.
    pub fn predictions(&self) -> PathBuf {
        self.path.join(PREDICTIONS)
    }

    /// Writes `summary.json`, replacing an older one.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn write_summary(&self, summary: &impl Serialize) -> Result<()> {
        let json = serde_json::to_string_pretty(summary)
            .expect("a summary is numbers, strings and maps with string keys");
        Ok(durable::replace(&self.path.join(SUMMARY), json.as_bytes())?)
    }

    /// The summary of what is in `path`, in the form asked for; `None` if there is none.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if it cannot be read, [`LearnerError::Data`] if it does not parse.
    pub(crate) fn read_summary<S: DeserializeOwned>(path: &Path) -> Result<Option<S>> {
        let path = path.join(SUMMARY);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LearnerError::io("read", &path)(error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            LearnerError::Data(format!(
                "`{}` is not the summary of a run ({error})",
                path.display()
            ))
        })
    }
}

/// `summary.json`: what a run was and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Name of the experiment.
    pub name: String,
    /// Why the run ended: `finished`, `early_stopping`, `paused`, `interrupt` or `terminate`.
    pub ended_by: String,
    /// Optimizer steps, those skipped included.
    pub steps: usize,
    /// Steps whose update was skipped because loss or gradient was not finite.
    pub skipped_steps: usize,
    /// Steps that changed nothing because no example had a target.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps_without_targets: usize,
    /// Loss of the last step.
    pub final_train_loss: Option<f64>,
    /// The last evaluation.
    pub final_evaluation: Option<EvaluationRecord>,
    /// The best evaluation, by `trainer.metric_for_best_model`.
    pub best_evaluation: Option<EvaluationRecord>,
    /// What that was chosen by: `loss` or a metric. Summaries of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_by: Option<String>,
    /// Of a task: what the best model answers.
    #[serde(rename = "verdict", default, skip_serializing_if = "Option::is_none")]
    pub best_model: Option<BestModelResults>,
    /// Wall seconds of training, over all sessions.
    pub wall_seconds: f64,
    /// Tokens trained on (padding not counted) over the wall seconds of optimizer steps alone.
    pub tokens_per_second: f64,
    /// Tokens trained on, padding not counted.
    pub tokens: u64,
    /// Largest resident set of the process, in bytes; 0 where unknown.
    pub peak_rss_bytes: u64,
    /// Parameters of the model.
    pub parameters: usize,
    /// Those of them that were trained, where `trainer.freeze_layers` or `trainer.freeze_embeddings` froze others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_parameters: Option<usize>,
    /// Device as named in the configuration.
    pub device: String,
    /// Data type of weights and moments.
    pub dtype: String,
    /// What computed it, one entry for each change between sessions. Another CPU may change last bits.
    #[serde(default)]
    pub computed_with: Vec<ComputedWith>,
    /// What was settled at the beginning and told then: a head that was drawn anew, classes that were put in order.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Seed of the run.
    pub seed: u64,
    /// Versions of this package and of Burn.
    pub versions: BTreeMap<String, String>,
    /// Hashes of the resolved configuration, the tokenizer and the data.
    pub fingerprints: BTreeMap<String, String>,
}

impl RunSummary {
    /// The summary of the run in `path`; `None` if it has none.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if it cannot be read, [`LearnerError::Data`] if it does not parse.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        RunDir::read_summary(path)
    }

    /// What its best model was measured by, by split; of pretraining, its best evaluation.
    pub fn evaluations(&self) -> BTreeMap<String, &EvaluationRecord> {
        if let Some(results) = &self.best_model {
            let evaluations = results.evaluations.iter();
            return evaluations.map(|(split, record)| (split.clone(), record)).collect();
        }
        let best = self.best_evaluation.iter();
        best.map(|record| ("validation".to_owned(), record)).collect()
    }

    /// Whether the run came to its end, and was not stopped.
    pub fn is_complete(&self) -> bool {
        ["finished", "early_stopping"].contains(&self.ended_by.as_str())
    }

    /// Whether the run has come to `step`, where it was to pause, or to its end; without a number, to its end. A run that was
    /// stopped while it evaluated at `step` has not: that evaluation is still to be done.
    pub fn has_come_to(&self, step: Option<usize>) -> bool {
        let has_come = |step| {
            let evaluated = self.final_evaluation.as_ref().is_some_and(|last| last.step >= step);
            // Which it does after an evaluation, where one is due.
            let has_paused = self.ended_by == "paused" && self.steps >= step;
            evaluated || has_paused
        };
        self.is_complete() || step.is_some_and(has_come)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_directory_with_a_run_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        RunDir::create(&path).unwrap().write_config("seed = 1\n", &[]).unwrap();
        assert_eq!(fs::read_to_string(path.join(CONFIG)).unwrap(), "seed = 1\n");
        let error = RunDir::create(&path).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("`--resume`"), "{error}");
        RunDir::open(&path).unwrap();
    }

    #[test]
    fn what_a_killed_process_left_unfinished_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        let litter = directory.path().join("config.toml.scratch-4194305");
        fs::write(&litter, "seed = ").unwrap();
        fs::write(directory.path().join("notes.txt"), "mine").unwrap();
        RunDir::create(directory.path()).unwrap();
        assert!(!litter.exists());
        assert!(directory.path().join("notes.txt").exists());
    }

    #[test]
    fn two_trainers_in_one_directory_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let first = RunDir::create(directory.path()).unwrap();
        first.write_config("", &[]).unwrap();
        let error = RunDir::open(directory.path()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with("another trainer is at work in `"), "{error}");
    }

    #[test]
    fn whether_a_trainer_is_at_work_is_asked_without_a_trace() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!RunDir::is_at_work(directory.path()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let run = RunDir::create(directory.path()).unwrap();
        assert!(RunDir::is_at_work(directory.path()));
        drop(run);
        assert!(!RunDir::is_at_work(directory.path()));
        RunDir::create(directory.path()).unwrap();
    }

    #[test]
    fn a_run_has_come_to_a_step_once_it_is_evaluated_there() {
        let summary = |ended_by: &str, steps: usize, evaluated: Option<usize>| -> RunSummary {
            let evaluation = evaluated.map(|step| json!({"step": step, "loss": 1.0}));
            let summary = json!({
                "name": "tiny", "ended_by": ended_by, "steps": steps, "skipped_steps": 0, "final_train_loss": 1.0,
                "final_evaluation": evaluation, "best_evaluation": evaluation, "wall_seconds": 1.0, "tokens_per_second": 1.0,
                "tokens": 1, "peak_rss_bytes": 0, "parameters": 1, "device": "flex", "dtype": "float32", "seed": 0,
                "versions": {}, "fingerprints": {},
            });
            serde_json::from_value(summary).unwrap()
        };
        for (ended_by, steps, evaluated, expected) in [
            ("paused", 12, Some(12), [true, true, false, false]),
            // Stopped while it evaluated at step 12.
            ("terminate", 12, Some(8), [true, false, false, false]),
            ("interrupt", 12, None, [false; 4]),
            // Stopped on the way to the next rung.
            ("interrupt", 15, Some(12), [true, true, false, false]),
            ("early_stopping", 8, Some(8), [true; 4]),
            ("finished", 36, Some(36), [true; 4]),
        ] {
            let summary = summary(ended_by, steps, evaluated);
            let steps = [Some(8), Some(12), Some(36), None];
            assert_eq!(steps.map(|step| summary.has_come_to(step)), expected, "{summary:?}");
        }
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_an_io_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "").unwrap();
        let error = RunDir::create(&path).unwrap_err();
        assert_eq!(error.exit_code(), 7);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }

    #[test]
    fn nothing_to_resume_says_so() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(RunDir::open(directory.path()).unwrap_err().exit_code(), 2);
    }
}
