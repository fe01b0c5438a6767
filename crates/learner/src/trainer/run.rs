//! The loop around the steps: metrics, evaluations, checkpoints, early stopping, and being stopped.

use std::collections::BTreeMap;

use nystromformer::Model;
use nystromformer_kernels::trace;
use nystromformer_tasks::{Split, say_once};

use super::best::BestBy;
use super::best_model_results::BestModelResults;
use super::learner::Learner;
use super::profile::Profile;
use super::same_data::SOURCE;
use crate::checkpoint::CheckpointStore;
use crate::computed_with::ComputedWith;
use crate::error::{LearnerError, Result};
use crate::metrics_log::{MetricsRecord, StepRecord};
use crate::progress::{Progress, Shown};
use crate::record_sinks::{RecordSink, RecordSinks};
use crate::run_dir::{PAUSED, RunDir, RunSummary};
use crate::stop::{StopFlag, StopReason};
use crate::trainable::Trainable;

/// A learner in its run directory.
pub struct Trainer<'a, M: Trainable = Model> {
    learner: Learner<'a, M>,
    run: &'a RunDir,
    store: CheckpointStore,
    sinks: RecordSinks,
    stop: StopFlag,
    progress: &'a mut dyn Progress,
    best_by: BestBy,
    /// Whether a step without targets was told of.
    told_of_no_targets: bool,
    /// The step of the newest checkpoint, so that none is written twice.
    saved_step: Option<usize>,
    /// After which step the run pauses.
    pause_after: Option<usize>,
    profile: Profile,
}

/// How a run, or this session of it, came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// All steps were taken.
    Finished,
    /// Evaluations had stopped getting better.
    EarlyStopping,
    /// It has come to the step after which it was to pause, evaluated and saved a checkpoint.
    Paused,
    /// It was asked to stop, and saved a checkpoint first.
    Stopped(StopReason),
}

impl EndReason {
    /// The process exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Finished | Self::EarlyStopping | Self::Paused => 0,
            Self::Stopped(reason) => reason.exit_code(),
        }
    }

    /// Whether the run is over: a later session has no step to take.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Finished | Self::EarlyStopping)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Paused => PAUSED,
            Self::EarlyStopping => "early_stopping",
            Self::Stopped(StopReason::Interrupt) => "interrupt",
            Self::Stopped(StopReason::Terminate) => "terminate",
        }
    }
}

/// What came of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOutput {
    /// How it ended.
    pub ended_by: EndReason,
    /// What `summary.json` says.
    pub summary: RunSummary,
}

impl<'a, M: Trainable> Trainer<'a, M> {
    /// A trainer for `learner`, which is fresh or was restored from the newest checkpoint of `run`.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if the run directory cannot be written; [`LearnerError::Config`] if the best evaluation is
    /// to be chosen by what is not measured.
    pub fn new(
        mut learner: Learner<'a, M>,
        run: &'a RunDir,
        stop: StopFlag,
        progress: &'a mut dyn Progress,
    ) -> Result<Self> {
        let ranks = learner.ranks.world_size();
        let now = ComputedWith { ranks, ..ComputedWith::now(learner.experiment) };
        let changes = learner.state.note_computed_with(now);
        if !changes.is_empty() {
            tracing::warn!(
                "this run goes on with something else than it was computed with, so that last bits may differ from those of \
                 an unbroken run ({}); `summary.json` lists both under `computed_with`",
                changes.join("; ")
            );
        }
        let step = learner.state().step;
        let evaluated = learner.state().last_evaluation.as_ref().map_or(0, |last| last.step);
        Ok(Self {
            store: run.checkpoints()?,
            sinks: RecordSinks::open(run, learner.experiment, step, evaluated)?,
            saved_step: (step > 0).then_some(step),
            best_by: BestBy::of(
                &learner.experiment.trainer.metric_for_best_model,
                &learner.data.metric_names(),
                learner.data.criterion_metrics().unwrap_or_else(|| learner.model().metric_names()),
            )?,
            told_of_no_targets: false,
            pause_after: None,
            profile: Profile::of_steps(0),
            learner,
            run,
            stop,
            progress,
        })
    }

    /// The same, which evaluates and pauses once it has taken `step` steps in all; to the end without a number.
    #[must_use]
    pub fn pausing_after(self, step: Option<usize>) -> Self {
        Self { pause_after: step, ..self }
    }

    /// The same with a trace of so many steps in `RUN/trace.json`, after a warm-up; none if 0, or if another process holds the
    /// run's directory.
    #[must_use]
    pub fn profiling(self, steps: usize) -> Self {
        let steps = if self.run.is_held() { steps } else { 0 };
        Self { profile: Profile::of_steps(steps), ..self }
    }

    /// Trains to the end, or until stopped.
    ///
    /// # Errors
    /// [`LearnerError::NonFinite`] after too many skipped steps in a row, and the errors of a step,
    /// an evaluation or a checkpoint. The checkpoints written before are intact.
    pub fn fit(mut self) -> Result<TrainOutput> {
        let total = self.learner.total_steps();
        let name = &self.learner.experiment.name;
        self.progress.start(name, self.learner.state().step, total);
        let ended_by = self.run_steps(total);
        self.learner.settle();
        self.progress.finish();
        self.learner.overlap.tell();
        let mut ended_by = ended_by?;
        self.profile.end(self.run)?;
        self.learner.note_time_and_memory();
        let mut best_model = None;
        if ended_by.is_complete() {
            let display = Shown::on(&mut *self.progress);
            match self.learner.best_model_results(
                self.run,
                &self.store,
                &self.best_by,
                self.stop.clone(),
                &display,
            ) {
                Err(LearnerError::Stopped(reason)) => ended_by = EndReason::Stopped(reason),
                found => best_model = found?,
            }
        }
        if let Some(results) = &best_model {
            self.sinks.results(self.learner.state().step, results)?;
            self.sinks.sync()?;
        }
        let summary = self.summary(ended_by, best_model);
        // A finished run whose best model was only to be measured again keeps what it had.
        let was_complete = !summary.is_complete()
            && RunSummary::read(self.run.path()).is_ok_and(|before| {
                before.is_some_and(|before| before.is_complete() && before.steps == summary.steps)
            });
        if self.run.is_held() && !was_complete {
            self.run.write_summary(&summary)?;
        }
        Ok(TrainOutput { ended_by, summary })
    }

    fn run_steps(&mut self, total: usize) -> Result<EndReason> {
        loop {
            let step = self.learner.state().step;
            let mut saves = step.is_multiple_of(self.learner.experiment.trainer.checkpoint_every);
            if self.evaluation_is_due(step, total) {
                match self.evaluate() {
                    // The next session begins with it.
                    Err(LearnerError::Stopped(reason)) => {
                        self.save()?;
                        return Ok(EndReason::Stopped(reason));
                    }
                    found => saves |= found?,
                }
            }
            let by_display = self.progress.stop_requested().then_some(StopReason::Interrupt);
            let asked = self.learner.ranks.agree_on_stop(self.stop.requested().or(by_display))?;
            let ended_by = self.end(step, total, asked);
            if saves || ended_by.is_some() {
                self.save()?;
            }
            if let Some(ended_by) = ended_by {
                return Ok(ended_by);
            }
            self.profile.step_begins(self.run)?;
            let record = self.learner.timed_step()?;
            self.profile.step_ended(self.run)?;
            self.sinks.record(&MetricsRecord::Train(record))?;
            self.progress.step(&record);
            self.tell_of_no_targets(&record);
            self.refuse_endless_skipping()?;
        }
    }

    /// Whether the model at `step` is to be evaluated and has not been, by this session or one before.
    fn evaluation_is_due(&self, step: usize, total: usize) -> bool {
        let Learner { experiment, data, state, .. } = &self.learner;
        let every = experiment.trainer.eval_every;
        let is_done = state.last_evaluation.as_ref().is_some_and(|last| last.step == step);
        let is_asked = match step {
            0 => experiment.trainer.eval_on_start,
            step => {
                let is_last = step >= total || Some(step) == self.pause_after;
                every > 0 && (is_last || step.is_multiple_of(every))
            }
        };
        is_asked && !is_done && data.evaluation_examples(Split::Validation) > 0
    }

    /// Whether, and why, no further step is to be taken, if it is `asked` to stop for that reason.
    fn end(&self, step: usize, total: usize, asked: Option<StopReason>) -> Option<EndReason> {
        if step >= total {
            return Some(EndReason::Finished);
        }
        let patience = self.learner.experiment.trainer.early_stopping_patience;
        if patience > 0 && self.learner.state().evaluations_without_improvement >= patience {
            return Some(EndReason::EarlyStopping);
        }
        if self.pause_after.is_some_and(|last| step >= last) {
            return Some(EndReason::Paused);
        }
        asked.map(EndReason::Stopped)
    }

    /// Says of the first step without targets that it is no divergence; all are in the log, and counted.
    fn tell_of_no_targets(&mut self, record: &StepRecord) {
        if record.no_targets && !self.told_of_no_targets {
            self.told_of_no_targets = true;
            tracing::warn!(
                step = record.step,
                "no example of this step has a target, so it changed nothing; such steps have `no_targets` in \
                 `metrics.jsonl` and are counted in `summary.json`; for masked tokens raise `data.mlm_probability` or \
                 `trainer.batch_size` to have fewer"
            );
        }
    }

    fn refuse_endless_skipping(&self) -> Result<()> {
        let consecutive = self.learner.state().consecutive_skips;
        if consecutive == 0 {
            return Ok(());
        }
        let step = self.learner.state().step;
        tracing::warn!(step, consecutive, "step skipped: loss or gradient is not finite");
        if consecutive < self.learner.experiment.trainer.max_skipped_steps {
            return Ok(());
        }
        let last_good = match self.saved_step {
            Some(saved) => {
                format!("the last checkpoint is `{}`", self.store.path(saved).display())
            }
            None => "there is no checkpoint yet".to_owned(),
        };
        Err(LearnerError::NonFinite {
            step,
            consecutive,
            advice: format!(
                "lower `optimizer.learning_rate` or set `trainer.max_grad_norm`; {last_good}"
            ),
        })
    }

    /// Evaluates and notes the result; says whether it is the best so far.
    fn evaluate(&mut self) -> Result<bool> {
        let span = trace::phase("evaluation");
        self.learner.settle();
        let record = self.learner.evaluate(self.stop.clone(), &Shown::on(&mut *self.progress))?;
        drop(span);
        self.sinks.record(&MetricsRecord::Validation(record.clone()))?;
        self.progress.evaluation(&record);
        let state = &mut self.learner.state;
        state.last_evaluation = Some(record.clone());
        let best = state.best_evaluation.as_ref();
        // Before the first step there is no checkpoint to choose.
        let is_best = record.step > 0 && self.best_by.is_better(&record, best);
        let threshold = self.learner.experiment.trainer.early_stopping_threshold;
        if best.is_none() && self.best_by.is_undefined(&record) {
            say_once(format!(
                "`{}` is not a number on the validation split, as where all labels, or all predictions, are of one class or the \
                 same number: no checkpoint is chosen and no run is stopped by it until it is one; \
                 `trainer.metric_for_best_model` = `loss` always is",
                self.best_by.name()
            ));
        } else if self.best_by.is_better_by(&record, best, threshold) {
            state.evaluations_without_improvement = 0;
        } else {
            state.evaluations_without_improvement += 1;
        }
        if is_best {
            state.best_evaluation = Some(record);
        }
        if self.saved_step == Some(self.learner.state.step) {
            // By an earlier session, which was stopped while it evaluated.
            self.sinks.sync()?;
            if self.run.is_held() {
                self.store.restate(self.learner.state().clone())?;
            }
        }
        Ok(is_best)
    }

    /// Saves the state, unless it is saved already, and retires old checkpoints. Of several ranks the one that holds the
    /// directory does.
    fn save(&mut self) -> Result<()> {
        let step = self.learner.state().step;
        if step == 0 || self.saved_step == Some(step) {
            return Ok(());
        }
        let _span = trace::phase("checkpoint");
        self.sinks.sync()?;
        self.learner.settle();
        self.learner.note_time_and_memory();
        self.learner.require_same_weights()?;
        self.saved_step = Some(step);
        if !self.run.is_held() {
            return Ok(());
        }
        let checkpoint = self.learner.save(&self.store)?;
        self.progress.note(&format!("saved {}", checkpoint.path.display()));
        let best = self.learner.state().best_evaluation.as_ref().map(|best| best.step);
        self.store.retire(step, self.learner.experiment.trainer.keep_last, best)
    }

    fn summary(&self, ended_by: EndReason, best_model: Option<BestModelResults>) -> RunSummary {
        let experiment = self.learner.experiment;
        let state = self.learner.state();
        let mut fingerprints = self.learner.data.fingerprints();
        fingerprints.insert("config".to_owned(), experiment.fingerprint());
        fingerprints
            .extend(self.learner.data.source_fingerprint().map(|hash| (SOURCE.to_owned(), hash)));
        RunSummary {
            name: experiment.name.clone(),
            ended_by: ended_by.name().to_owned(),
            steps: state.step,
            skipped_steps: state.step - state.updates - state.steps_without_targets,
            steps_without_targets: state.steps_without_targets,
            final_train_loss: state.last_loss,
            final_evaluation: state.last_evaluation.clone(),
            best_evaluation: state.best_evaluation.clone(),
            best_by: state.best_evaluation.is_some().then(|| self.best_by.name().to_owned()),
            best_model,
            wall_seconds: state.elapsed_seconds,
            tokens_per_second: state.tokens as f64 / state.step_seconds.max(f64::MIN_POSITIVE),
            tokens: state.tokens,
            peak_rss_bytes: state.peak_rss_bytes,
            parameters: self.learner.model().num_params(),
            trained_parameters: self.learner.trained_parameters(),
            device: experiment.device.to_string(),
            dtype: "float32".to_owned(),
            computed_with: state.computed_with.clone(),
            notes: state.notes.clone(),
            seed: experiment.seed,
            versions: versions(),
            fingerprints,
        }
    }
}

/// Versions that a result depends on.
fn versions() -> BTreeMap<String, String> {
    [("nystromformer-learner", env!("CARGO_PKG_VERSION")), ("burn", BURN_VERSION)]
        .into_iter()
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

/// The version that the workspace pins exactly.
const BURN_VERSION: &str = "0.22.1";
