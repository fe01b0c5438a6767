//! `[trainer]`: how long to train, how much at once, and how often to look and to save.

use serde::{Deserialize, Serialize};

/// `[trainer]`. A step is always an optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a key of a file, and a switch of its own"
)]
pub struct TrainerConfig {
    /// Steps to train at most; 0 for no limit. With `max_epochs` too, whichever comes first ends
    /// the run. Default: 500,000, the paper's.
    pub max_steps: usize,
    /// Passes over the training examples at most; 0 for no limit. Default: 0.
    pub max_epochs: usize,
    /// Sequences in a step. Default: 256, the paper's.
    pub batch_size: usize,
    /// Sequences in one forward and backward pass; a step accumulates as many as its batch needs.
    /// Bounds memory. Changes the result by rounding, and by the dropout masks, which are drawn per
    /// micro-batch. Default: 8, the authors'.
    pub micro_batch_size: usize,
    /// Steps between evaluations, the last step being one in any case; 0 for none, but that of `eval_on_start`. Default:
    /// 1,000.
    pub eval_every: usize,
    /// Evaluate before the first step too (transformers' word), as step 0. Such an evaluation is none to choose a checkpoint by.
    /// Default: false.
    pub eval_on_start: bool,
    /// Validation examples (sequences) in an evaluation, always the same ones, spread evenly over the split; 0 for all. A task is measured whole, or by
    /// `task.max_eval_samples`. Default: 800, the authors' 100 batches of 8.
    pub eval_examples: usize,
    /// Steps between checkpoints, the last step being one in any case. Default: 1,000.
    pub checkpoint_every: usize,
    /// Newest checkpoints to keep, beside the best. Default: 3.
    pub keep_last: usize,
    /// Largest L2 norm of a step's whole gradient, to which it is scaled down; 0 for no clipping.
    /// Default: 0, as in the paper.
    pub max_grad_norm: f64,
    /// Evaluations in a row without a new best one after which training stops; 0 for never.
    /// Default: 0.
    pub early_stopping_patience: usize,
    /// How much better than the best so far an evaluation must be to count as an improvement for
    /// `early_stopping_patience` (transformers' word): by more than this, in the metric's own unit. The best checkpoint is
    /// the best all the same, however little it is better. Default: 0.
    pub early_stopping_threshold: f64,
    /// What the best evaluation is the best in (Hugging Face's word): `loss`, or a metric of the task, e.g. `accuracy`.
    /// Default: the task's own metric; `loss` for pretraining.
    pub metric_for_best_model: String,
    /// Share ε of each label that is spread evenly over all classes (transformers' word): the loss of training is
    /// `(1 − ε) · nll + ε · mean over the classes`, with `task.class_weights` as PyTorch's `cross_entropy` combines them.
    /// Evaluations use labels as they are. Of targets that are one class of several; in `[0, 1)`. Default: 0.
    pub label_smoothing_factor: f64,
    /// Decay of an exponential moving average of the weights, taken after every update: the averaged model is evaluated,
    /// chosen, saved and exported, and a resumed run goes on with both. It begins with the first weights, so that after `n`
    /// updates they are `ema_decay^n` of it. In `(0, 1)`, as 0.999; 0 for no average. Default: 0.
    pub ema_decay: f64,
    /// The first layers of the encoder whose weights stay as they are; their dropout is as in training. Default: 0.
    pub freeze_layers: usize,
    /// Whether the weights of the embeddings stay as they are, and with them what is tied to them. Together with
    /// `freeze_layers` it spares the backward pass through what is frozen. Default: false.
    pub freeze_embeddings: bool,
    /// Steps between lines of progress where there is no terminal. Default: 10.
    pub log_every: usize,
    /// Steps in a row that may be skipped because loss or gradient is not finite, before the run
    /// fails. In `f16` those are not counted that halve the loss's scale. Default: 10.
    pub max_skipped_steps: usize,
    /// Precision of products with weights, forwards and backwards: `f32`, or with factors rounded to half precision: `bf16` (8
    /// significant bits), or `f16` (11, from 6e-8 to 65,504) with dynamic loss scaling for devices without `bf16`. Sums, weights,
    /// moments, evaluations and all other operations are in single precision either way. The CPU computes in all three, and gains
    /// time by `bf16` alone, where it has a matrix unit (AMX). Default: `f32`.
    pub precision: Precision,
    /// Keep of each layer what it reads alone, and compute the layer once more in the backward pass (transformers' word). Losses
    /// and weights are the same bits; a step takes a quarter to a half longer, and of BERT-base size with 4,096 tokens 2.1 GB in
    /// place of 3.9 on the CPU. On the CPU (`flex`), and on GPUs unless the program is built with `fused`. Default: false.
    pub gradient_checkpointing: bool,
    /// Write the run's metrics, configuration and hyperparameters for `TensorBoard` too, into `RUN/tensorboard`. Default: false.
    pub tensorboard: bool,
    /// Compare a model of the run's own sizes on the device with the CPU before training on anything but the CPU: some
    /// seconds.
    /// Default: true.
    pub self_check: bool,
}

/// The precision of products with weights in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Factors in `bf16`, sums in single precision.
    Bf16,
    /// Factors in `f16`, sums in single precision; losses are scaled.
    F16,
}

impl From<Precision> for nystromformer_kernels::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
            Precision::F16 => Self::F16,
        }
    }
}

impl Default for TrainerConfig {
    fn default() -> Self {
        Self {
            max_steps: 500_000,
            max_epochs: 0,
            batch_size: 256,
            micro_batch_size: 8,
            eval_every: 1_000,
            eval_on_start: false,
            eval_examples: 800,
            checkpoint_every: 1_000,
            keep_last: 3,
            max_grad_norm: 0.0,
            early_stopping_patience: 0,
            early_stopping_threshold: 0.0,
            metric_for_best_model: String::new(),
            label_smoothing_factor: 0.0,
            ema_decay: 0.0,
            freeze_layers: 0,
            freeze_embeddings: false,
            log_every: 10,
            max_skipped_steps: 10,
            precision: Precision::F32,
            gradient_checkpointing: false,
            tensorboard: false,
            self_check: true,
        }
    }
}

impl TrainerConfig {
    /// Everything wrong with the values, as (key, sentence).
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut check = |key: &str, valid: bool, problem: String| {
            if !valid {
                problems.push((format!("trainer.{key}"), problem));
            }
        };
        for (key, value) in [
            ("batch_size", self.batch_size),
            ("micro_batch_size", self.micro_batch_size),
            ("checkpoint_every", self.checkpoint_every),
            ("keep_last", self.keep_last),
            ("log_every", self.log_every),
        ] {
            check(key, value > 0, format!("`{value}` is not 1 or more"));
        }
        check(
            "max_steps",
            self.max_steps > 0 || self.max_epochs > 0,
            "`0`, and `trainer.max_epochs` is 0 too: one of them must end the run".to_owned(),
        );
        check(
            "max_grad_norm",
            self.max_grad_norm >= 0.0 && self.max_grad_norm.is_finite(),
            format!("`{}` is not zero or a positive number", self.max_grad_norm),
        );
        check(
            "early_stopping_patience",
            self.early_stopping_patience == 0 || self.eval_every > 0,
            format!(
                "`{}` evaluations without improvement never come while `trainer.eval_every` is 0",
                self.early_stopping_patience
            ),
        );
        check(
            "early_stopping_threshold",
            self.early_stopping_threshold >= 0.0 && self.early_stopping_threshold.is_finite(),
            format!("`{}` is not zero or a positive number", self.early_stopping_threshold),
        );
        check(
            "early_stopping_threshold",
            self.early_stopping_threshold == 0.0 || self.early_stopping_patience > 0,
            format!(
                "`{}` is read with `trainer.early_stopping_patience` alone, which is 0",
                self.early_stopping_threshold
            ),
        );
        for (key, share) in
            [("label_smoothing_factor", self.label_smoothing_factor), ("ema_decay", self.ema_decay)]
        {
            check(key, (0.0..1.0).contains(&share), format!("`{share}` is not in `[0, 1)`"));
        }
        problems
    }

    /// Micro-batches of a step.
    pub fn num_micro_batches(&self) -> usize {
        self.batch_size.div_ceil(self.micro_batch_size.max(1)).max(1)
    }

    /// Steps of the whole run over so many training examples. Batches run on from one epoch into the next, so
    /// that only the last step of the run may see a few examples once more.
    pub fn total_steps(&self, training_examples: usize) -> usize {
        let by_epochs =
            self.max_epochs.saturating_mul(training_examples).div_ceil(self.batch_size.max(1));
        match (self.max_steps, by_epochs) {
            (0, by_epochs) => by_epochs,
            (max_steps, 0) => max_steps,
            (max_steps, by_epochs) => max_steps.min(by_epochs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_limit_comes_first_ends_the_run() {
        let total = |max_steps, max_epochs| {
            let trainer =
                TrainerConfig { max_steps, max_epochs, batch_size: 8, ..TrainerConfig::default() };
            trainer.total_steps(10)
        };
        // Three epochs of 10 examples are 30, in steps of 8.
        assert_eq!((total(3, 0), total(0, 3), total(3, 3), total(70, 3)), (3, 4, 3, 4));
    }

    #[test]
    fn a_run_without_an_end_is_refused() {
        let endless = TrainerConfig { max_steps: 0, ..TrainerConfig::default() };
        assert_eq!(endless.problems().len(), 1);
        assert_eq!(TrainerConfig::default().problems(), []);
    }
}
