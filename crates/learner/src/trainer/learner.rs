//! Model, optimizer and state of a run: everything a step changes.

use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use nystromformer::{Head, Model};

use crate::batch::{BatchSource, Rows};
use crate::checkpoint::TrainingState;
use crate::device::scalar;
use crate::error::Result;
use crate::evaluate::Evaluator;
use crate::experiment::Experiment;
use crate::gradients::{StepGradients, clip_factor, global_norm};
use crate::metrics_log::{EvaluationRecord, StepRecord};
use crate::optimizer::{AdamW, StepSettings};
use crate::process_memory::peak_resident_bytes;
use crate::random::{Purpose, seeded};
use crate::stop::StopFlag;

/// A model in training.
pub struct Learner<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) data: &'a dyn BatchSource,
    /// Without autodiff; the model lives on its autodiff counterpart.
    pub(super) device: Device,
    pub(super) total_steps: usize,
    /// Absent only while the optimizer has it: moved and not cloned, its parameters are updated in
    /// place.
    pub(super) model: Option<Model>,
    pub(super) optimizer: AdamW,
    pub(super) state: TrainingState,
    /// Since when this session counts, and what earlier ones had counted.
    clock: Instant,
    elapsed_before: f64,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// Mean loss over the answers of the effective batch, before the update.
    pub loss: f64,
    /// L2 norm of the gradient, before clipping.
    pub grad_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Tokens of the step, padding not counted.
    pub tokens: usize,
    /// Whether the update was made; it is not if loss or gradient was not finite.
    pub applied: bool,
}

impl<'a> Learner<'a> {
    /// A learner before its first step, with fresh weights or those of `[model] init_from`.
    ///
    /// # Errors
    /// [`LearnerError::Config`](crate::LearnerError::Config) if no such model can be built, [`LearnerError::Checkpoint`](crate::LearnerError::Checkpoint) or
    /// [`LearnerError::Weights`](crate::LearnerError::Weights) if `init_from` cannot be loaded.
    pub fn new(
        experiment: &'a Experiment,
        data: &'a dyn BatchSource,
        device: &Device,
    ) -> Result<Self> {
        let device_of_model = device.clone().autodiff();
        let model = seeded(experiment.seed, Purpose::Weights, || {
            experiment.model.init_model(data.architecture(), &device_of_model)
        })?;
        let mut learner = Self::with_model(experiment, data, device, model);
        if let Some(path) = &experiment.init_from {
            learner.init_from(path)?;
        }
        Ok(learner)
    }

    pub(super) fn with_model(
        experiment: &'a Experiment,
        data: &'a dyn BatchSource,
        device: &Device,
        model: Model,
    ) -> Self {
        Self {
            experiment,
            data,
            device: device.clone(),
            total_steps: experiment.trainer.total_steps(data.training_examples()),
            optimizer: AdamW::new(experiment.optimizer, &model, device),
            model: Some(model),
            state: TrainingState::start(experiment.seed),
            clock: Instant::now(),
            elapsed_before: 0.0,
        }
    }

    /// Where training stands.
    pub fn state(&self) -> &TrainingState {
        &self.state
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.total_steps
    }

    /// The model, tracked for autodiff.
    pub fn model(&self) -> &Model {
        self.model.as_ref().expect("the model is absent only inside `update`")
    }

    /// Takes one step: forward and backward over its micro-batches, clipping, update.
    ///
    /// If loss or gradient is not finite, weights and moments stay as they are; the step counts,
    /// and the next one sees new data.
    ///
    /// # Errors
    /// Errors of the data, the model and the device; nothing has changed then.
    pub fn step(&mut self) -> Result<StepOutcome> {
        let step = self.state.step;
        let trainer = &self.experiment.trainer;
        let batches =
            self.data.training_step(step, trainer.batch_size, trainer.micro_batch_size)?;
        let totals = totals(&batches);
        let tokens = batches.iter().map(Rows::num_tokens).sum();
        // By chance a very small batch has no masked token: then there is no loss, and nothing to learn.
        let (loss, gradients) = match totals {
            [0, 0] => (f64::NAN, GradientsParams::new()),
            totals => self.accumulate(step, batches, totals)?,
        };
        let grad_norm = global_norm(self.model(), &gradients)?;
        let optimizer = &self.experiment.optimizer;
        let point = self.experiment.schedule.at(
            step,
            self.total_steps,
            optimizer.learning_rate,
            optimizer.beta_1,
        );
        let applied = loss.is_finite() && grad_norm.is_finite();
        if applied {
            let settings = StepSettings {
                learning_rate: point.learning_rate,
                beta_1: point.beta_1,
                gradient_scale: clip_factor(grad_norm, self.experiment.trainer.max_grad_norm),
            };
            self.update(gradients, settings);
            self.state.consecutive_skips = 0;
            self.state.last_loss = Some(loss);
        } else if totals != [0, 0] {
            self.state.consecutive_skips += 1;
        }
        self.state.step += 1;
        self.state.updates = self.optimizer.completed_steps();
        self.state.tokens += tokens as u64;
        Ok(StepOutcome { loss, grad_norm, learning_rate: point.learning_rate, tokens, applied })
    }

    /// [`Self::step`], timed, as a line of the metrics.
    pub(super) fn timed_step(&mut self) -> Result<StepRecord> {
        let started = Instant::now();
        let outcome = self.step()?;
        let seconds = started.elapsed().as_secs_f64();
        self.state.step_seconds += seconds;
        self.note_time_and_memory();
        Ok(StepRecord {
            step: self.state.step,
            loss: outcome.loss,
            learning_rate: outcome.learning_rate,
            grad_norm: outcome.grad_norm,
            tokens_per_second: outcome.tokens as f64 / seconds,
            elapsed_s: self.state.elapsed_seconds,
            skipped: !outcome.applied,
        })
    }

    /// Goes on from a checkpoint's state.
    pub(super) fn set_state(&mut self, state: TrainingState) {
        self.elapsed_before = state.elapsed_seconds;
        self.clock = Instant::now();
        self.state = state;
    }

    /// Brings the state's wall time and peak memory up to date.
    pub(super) fn note_time_and_memory(&mut self) {
        self.state.elapsed_seconds = self.elapsed_before + self.clock.elapsed().as_secs_f64();
        self.state.peak_rss_bytes = self.state.peak_rss_bytes.max(peak_resident_bytes());
    }

    /// Mean loss and gradient over all answers of the step, `totals` of them.
    fn accumulate(
        &self,
        step: usize,
        batches: Vec<Rows>,
        totals: [usize; 2],
    ) -> Result<(f64, GradientsParams)> {
        let mut gradients = StepGradients::new();
        let mut loss = 0.0;
        for (micro_batch, rows) in batches.into_iter().enumerate() {
            if rows.counts() != [0, 0] {
                let dropout = Purpose::Dropout { step, micro_batch };
                let (share, gradient) =
                    seeded(self.state.seed, dropout, || self.forward_backward(rows, totals))?;
                loss += share;
                gradients.add(self.model(), gradient);
            }
        }
        Ok((loss, gradients.take()))
    }

    /// A micro-batch's share in the mean loss over `totals` answers of each term, and in its gradient.
    pub(super) fn forward_backward(
        &self,
        rows: Rows,
        totals: [usize; 2],
    ) -> Result<(f64, GradientsParams)> {
        let (input, targets) = rows.into_batch(&self.device.clone().autodiff());
        let precision = nystromformer_kernels::Precision::from(self.experiment.trainer.precision);
        let losses = precision.scope(|| self.model().losses(input, targets))?;
        let share = losses
            .terms
            .into_iter()
            .zip(totals)
            .filter(|(_, total)| *total > 0)
            .map(|(term, total)| term.losses.sum() / (total as f64 / term.weight))
            .reduce(|sum, share| sum + share)
            .expect("rows without any answer are passed over");
        #[cfg(test)]
        let share = super::tests::fault::poison(share, self.state.step);
        let gradients = GradientsParams::from_grads(share.backward(), self.model());
        Ok((scalar(share.inner(), &self.device)?, gradients))
    }

    fn update(&mut self, gradients: GradientsParams, settings: StepSettings) {
        self.model = self.model.take().map(|model| self.optimizer.step(model, gradients, settings));
    }

    /// Evaluates the model as it is.
    ///
    /// # Errors
    /// See [`Evaluator::evaluate`].
    pub fn evaluate(&self, stop: StopFlag) -> Result<EvaluationRecord> {
        // A task says itself how much of it is measured.
        let batches = match self.experiment.task {
            Some(_) => 0,
            None => self.experiment.trainer.eval_batches,
        };
        let evaluator = Evaluator { batches, ..self.evaluator(self.state.step, stop) };
        evaluator.evaluate_validation(&self.model().valid())
    }

    /// Measures whole splits, with the model of this run as it was at `step`.
    pub(super) fn evaluator(&self, step: usize, stop: StopFlag) -> Evaluator<'_> {
        Evaluator {
            data: self.data,
            device: &self.device,
            batch_size: self.experiment.trainer.micro_batch_size,
            batches: 0,
            step,
            stop,
        }
    }
}

/// Answers that count in each term of the loss, of all micro-batches together.
pub(super) fn totals(batches: &[Rows]) -> [usize; 2] {
    batches
        .iter()
        .map(Rows::counts)
        .fold([0, 0], |[first, second], [more, also]| [first + more, second + also])
}
