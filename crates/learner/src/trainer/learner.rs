//! Model, optimizer and state of a run: everything a step changes.

use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::Device;
use nystromformer::{Model, weights::draw_weights};
use nystromformer_data::ProgressListener;
use nystromformer_kernels::{Precision, trace};

use super::ahead::{Ahead, Order, made_beside};
use super::backward::StepGradient;
use crate::batch::{BatchSource, TokenBatch};
use crate::checkpoint::TrainingState;
use crate::error::{LearnerError, Result};
use crate::evaluate::Evaluator;
use crate::experiment::Experiment;
use crate::gradients::clip_factor;
use crate::loss_scale::LossScale;
use crate::metrics_log::{EvaluationRecord, StepRecord};
use crate::optimizer::{AdamW, RowsRead, StepSettings, rows_of_all};
use crate::parameter_groups::ParameterGroups;
use crate::process_memory::peak_resident_bytes;
use crate::random::{Purpose, seeded};
use crate::ranks::Ranks;
use crate::ranks::overlap::Overlap;
use crate::ranks::step_facts::StepFacts;
use crate::stop::StopFlag;
use crate::trainable::Trainable;
use crate::weight_average::WeightAverage;

/// A model in training.
pub struct Learner<'a, M: Trainable = Model> {
    pub(super) experiment: &'a Experiment,
    pub(super) data: &'a dyn BatchSource<Batch = M::Batch>,
    /// Without autodiff; the model lives on its autodiff counterpart.
    pub(super) device: Device,
    /// Those that this process trains with.
    pub(super) ranks: Ranks,
    /// What of their sums of gradients travels while a backward pass goes on.
    pub(super) overlap: Overlap,
    pub(super) total_steps: usize,
    /// Absent only while the optimizer has it: moved and not cloned, its parameters are updated in
    /// place.
    pub(super) model: Option<M>,
    pub(super) optimizer: AdamW,
    pub(super) groups: ParameterGroups,
    /// With `trainer.ema_decay`.
    pub(super) average: Option<WeightAverage>,
    pub(super) state: TrainingState,
    /// Micro-batches of the next step.
    pub(super) ahead: Ahead<M::Batch>,
    /// Since when this session counts, and what earlier ones had counted.
    clock: Instant,
    elapsed_before: f64,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutput {
    /// Mean loss over the targets of the effective batch, before the update, by class weights and with smoothed labels where
    /// the experiment asks for them; not a number if there are none.
    pub loss: f64,
    /// L2 norm of the gradient, before clipping.
    pub grad_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Tokens of the step, padding not counted.
    pub tokens: usize,
    /// What became of weights and moments.
    pub update: Update,
}

/// What became of weights and moments in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// They were updated.
    Applied,
    /// They are as they were: loss or gradient was not finite.
    NotFinite,
    /// They are as they were: no example of the batch has a target, as happens by chance with few masked tokens.
    NoTargets,
}

impl<'a> Learner<'a> {
    /// A learner before its first step, with fresh weights or those of `[model] init_from`.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if no such model can be built, [`LearnerError::Checkpoint`] or
    /// [`LearnerError::Weights`] if `init_from` cannot be loaded.
    pub fn new(
        experiment: &'a Experiment,
        data: &'a dyn BatchSource<Batch = TokenBatch>,
        device: &Device,
    ) -> Result<Self> {
        let mut learner = Self::init(experiment, data, device, |device| {
            Ok(Model::init(experiment.architecture(), &experiment.model, device)?)
        })?;
        if let Some(path) = &experiment.init_from {
            learner.init_from(path)?;
            learner.settle_weights();
        }
        Ok(learner)
    }
}

impl<'a, M: Trainable> Learner<'a, M> {
    /// A learner before its first step, with the model that `init` makes on the device it is given. What its modules
    /// draw comes from the experiment's seed.
    ///
    /// # Errors
    /// Those of `init`.
    pub fn init(
        experiment: &'a Experiment,
        data: &'a dyn BatchSource<Batch = M::Batch>,
        device: &Device,
        init: impl FnOnce(&Device) -> Result<M>,
    ) -> Result<Self> {
        let device_of_model = device.clone().autodiff();
        let model = seeded(experiment.seed, Purpose::Weights, device, || {
            let model = init(&device_of_model)?;
            draw_weights(&model);
            Ok::<_, LearnerError>(model)
        })?;
        Self::with_model(experiment, data, device, model)
    }

    /// A learner before its first step, with this model, which lives on the autodiff counterpart of `device`.
    ///
    /// # Errors
    /// As [`ParameterGroups::of`].
    pub fn with_model(
        experiment: &'a Experiment,
        data: &'a dyn BatchSource<Batch = M::Batch>,
        device: &Device,
        model: M,
    ) -> Result<Self> {
        let groups = ParameterGroups::of(&experiment.parameter_groups(), &model)?;
        let mut learner = Self {
            experiment,
            data,
            device: device.clone(),
            ranks: Ranks::alone(),
            overlap: Overlap::default(),
            total_steps: experiment.trainer.total_steps(data.training_examples()),
            optimizer: AdamW::with_groups(experiment.optimizer, &model, device, groups.clone()),
            groups,
            model: Some(model),
            average: None,
            state: TrainingState {
                loss_scale: LossScale::start(Precision::from(experiment.trainer.precision)),
                ..TrainingState::start(experiment.seed)
            },
            ahead: Ahead::beside(device),
            clock: Instant::now(),
            elapsed_before: 0.0,
        };
        learner.settle_weights();
        Ok(learner)
    }

    /// The same as one of several processes, each of which takes its share of every step and evaluation.
    #[must_use]
    pub fn on_ranks(self, ranks: Ranks) -> Self {
        Self { ranks, overlap: Overlap::default(), ..self }
    }

    /// Freezes what is to be frozen, and begins the average with the weights as they are: they are those that training
    /// begins with.
    pub(super) fn settle_weights(&mut self) {
        self.model = self.model.take().map(|model| self.groups.freeze(model));
        let decay = self.experiment.trainer.ema_decay;
        self.average = (decay > 0.0).then(|| WeightAverage::new(decay, self.model(), &self.groups));
    }

    /// Where training stands.
    pub fn state(&self) -> &TrainingState {
        &self.state
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.total_steps
    }

    /// The model in training, tracked for autodiff.
    pub fn model(&self) -> &M {
        self.model.as_ref().expect("the model is absent only inside `update`")
    }

    /// The model that is evaluated, chosen and saved, without autodiff: that in training, or with `trainer.ema_decay` the
    /// one with the average of its weights.
    ///
    /// # Panics
    /// If rows of a table wait (`settle`).
    pub fn result(&self) -> M {
        assert!(self.optimizer.is_settled(), "rows have yet to take steps");
        let model = self.model().valid();
        match &self.average {
            Some(average) => average.applied(model),
            None => model,
        }
    }

    /// How many numbers are trained, if some are frozen.
    pub(super) fn trained_parameters(&self) -> Option<usize> {
        self.groups.has_frozen().then(|| self.groups.num_trained(self.model()))
    }

    /// Takes one step: forward and backward over its micro-batches, clipping, update.
    ///
    /// If loss or gradient is not finite, or if there are no targets, weights and moments stay as they are; the step
    /// counts, and the next one sees new data.
    ///
    /// # Errors
    /// Errors of the data, the model and the device; nothing has changed then.
    pub fn step(&mut self) -> Result<StepOutput> {
        let output = self.step_of_rows();
        self.settle();
        output
    }

    /// Rows that wait take the steps that they have missed ([`Self::step_of_rows`]).
    pub(super) fn settle(&mut self) {
        let model = self.model.take();
        self.model = model.map(|model| self.optimizer.catch_up(model, None));
    }

    /// A step after which rows of a large table wait that it did not read: until a later step reads them, or [`Self::settle`].
    fn step_of_rows(&mut self) -> Result<StepOutput> {
        let step = self.state.step;
        self.ranks.at_step(step);
        let trainer = &self.experiment.trainer;
        let (batch_size, micro_batch_size) = (trainer.batch_size, trainer.micro_batch_size);
        let share = self.ranks.share(trainer);
        let order = Order { step, batch_size, micro_batch_size, share };
        let span = trace::phase("data");
        let batches = self.ahead.take(&order, self.data)?;
        let rows = if self.average.is_none() && self.ranks.is_alone() {
            rows_of_all(batches.iter().map(|batch| self.model().rows_read(batch)))
        } else {
            // An average reads all weights at every step, and of many ranks each reads rows of its own.
            RowsRead::new()
        };
        drop(span);
        let first = order.share.start;
        if !self.ahead.is_on || step + 1 >= self.total_steps {
            return self.step_on(first, batches, &rows);
        }
        let (data, next) = (self.data, Order { step: step + 1, ..order });
        let (output, made) = made_beside(next, data, || self.step_on(first, batches, &rows));
        self.ahead.keep(made);
        output
    }

    /// The same on micro-batches from number `first` on, which read these rows.
    fn step_on(
        &mut self,
        first: usize,
        batches: Vec<M::Batch>,
        rows: &RowsRead,
    ) -> Result<StepOutput> {
        let step = self.state.step;
        let span = trace::phase("optimizer");
        let model = self.model.take();
        self.model = model.map(|model| self.optimizer.catch_up(model, Some(rows)));
        drop(span);
        let batches = self.smoothed(batches)?;
        let facts = StepFacts::gather(&self.ranks, &batches)?;
        let StepFacts { has_targets, tokens, .. } = facts;
        let StepGradient { loss, grad_norm, gradients } = if has_targets {
            let mut overlap = std::mem::take(&mut self.overlap);
            let found = self.accumulate(&mut overlap, step, first, batches, &facts.target_weights);
            self.overlap = overlap;
            found?
        } else {
            StepGradient::none()
        };
        let optimizer = &self.experiment.optimizer;
        let point = self.experiment.schedule.at(
            step,
            self.total_steps,
            optimizer.learning_rate,
            optimizer.beta_1,
        );
        let update = match (has_targets, loss.is_finite() && grad_norm.is_finite()) {
            (false, _) => Update::NoTargets,
            (true, false) => Update::NotFinite,
            (true, true) => Update::Applied,
        };
        match update {
            Update::Applied => {
                let settings = StepSettings {
                    learning_rate: point.learning_rate,
                    beta_1: point.beta_1,
                    gradient_scale: clip_factor(grad_norm, self.experiment.trainer.max_grad_norm)
                        / self.loss_factor(),
                };
                self.update(gradients, settings, rows);
                self.state.consecutive_skips = 0;
                self.state.last_loss = Some(loss);
                if let Some(scale) = &mut self.state.loss_scale {
                    scale.updated();
                }
            }
            Update::NotFinite => self.skip(loss),
            Update::NoTargets => self.state.steps_without_targets += 1,
        }
        self.state.step += 1;
        self.state.updates = self.optimizer.completed_steps();
        self.state.tokens += tokens as u64;
        Ok(StepOutput { loss, grad_norm, learning_rate: point.learning_rate, tokens, update })
    }

    /// What losses are multiplied by before the backward pass; 1 but in `f16`.
    pub(super) fn loss_factor(&self) -> f64 {
        self.state.loss_scale.map_or(1.0, |scale| scale.factor)
    }

    /// Takes note of a step with this loss that changes nothing: what overflowed in `f16` may not at half the scale, and else it is one of
    /// those that end a run.
    fn skip(&mut self, loss: f64) {
        let lowered = self
            .state
            .loss_scale
            .as_mut()
            .filter(|_| loss.is_finite())
            .is_some_and(LossScale::overflowed);
        if !lowered {
            self.state.consecutive_skips += 1;
            return;
        }
        tracing::info!(
            step = self.state.step + 1,
            loss_scale = self.loss_factor(),
            "step skipped: the gradient is beyond the range of f16; losses are scaled by half as much from now on"
        );
    }

    /// A step, timed, as a line of the metrics. Rows may wait after it, for [`Self::settle`].
    pub(super) fn timed_step(&mut self) -> Result<StepRecord> {
        let started = Instant::now();
        let span = trace::numbered_phase("step", self.state.step + 1);
        let output = self.step_of_rows()?;
        drop(span);
        let seconds = started.elapsed().as_secs_f64();
        self.state.step_seconds += seconds;
        self.note_time_and_memory();
        Ok(StepRecord {
            step: self.state.step,
            loss: output.loss,
            learning_rate: output.learning_rate,
            grad_norm: output.grad_norm,
            tokens_per_second: output.tokens as f64 / seconds,
            elapsed_s: self.state.elapsed_seconds,
            skipped: output.update == Update::NotFinite,
            no_targets: output.update == Update::NoTargets,
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

    fn update(&mut self, gradients: GradientsParams, settings: StepSettings, rows: &RowsRead) {
        let _span = trace::phase("optimizer");
        let model = self.model.take();
        let model =
            model.map(|model| self.optimizer.step_of_rows(model, gradients, settings, rows));
        if let (Some(average), Some(model)) = (&mut self.average, &model) {
            average.update(model, &self.groups);
        }
        self.model = model;
    }

    /// Evaluates [`Self::result`] as it is, and tells `progress` how far that is.
    ///
    /// # Errors
    /// See [`Evaluator::evaluate`].
    pub fn evaluate(
        &self,
        stop: StopFlag,
        progress: &dyn ProgressListener,
    ) -> Result<EvaluationRecord> {
        // A task says itself how much of it is measured.
        let max_examples = match self.experiment.task {
            Some(_) => 0,
            None => self.experiment.trainer.eval_examples,
        };
        let evaluator =
            Evaluator { max_examples, ..self.evaluator(self.state.step, stop, progress) };
        Ok(evaluator.evaluate_validation(&self.result(), None)?.record)
    }

    /// Measures whole splits, with the model of this run as it was at `step`.
    pub(super) fn evaluator<'b>(
        &'b self,
        step: usize,
        stop: StopFlag,
        progress: &'b dyn ProgressListener,
    ) -> Evaluator<'b, M::Batch> {
        Evaluator {
            data: self.data,
            device: &self.device,
            batch_size: self.experiment.trainer.micro_batch_size,
            max_examples: 0,
            step,
            stop,
            ranks: &self.ranks,
            progress,
        }
    }
}
