//! A run without a run: everything is checked and sized, one micro-batch goes through, no run
//! directory is touched.

use std::time::Instant;

use burn::module::Module;
use serde::Serialize;

use super::learner::Learner;
use super::session::open_device;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::masked_lm::{BatchSource, CorpusBatches};
use crate::memory_estimate::estimate_bytes;
use crate::process_memory::peak_resident_bytes;

/// What `--dry-run` reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRun {
    /// Parameters of the model.
    pub parameters: usize,
    /// Examples (sequences) in the training split.
    pub training_examples: usize,
    /// Examples in the validation split.
    pub validation_examples: usize,
    /// Optimizer steps of the whole run.
    pub total_steps: usize,
    /// Tokens in a step, were no sequence padded: `batch_size · seq_len`.
    pub tokens_per_step: usize,
    /// Estimated memory of training: weights, gradients, moments, activations of a micro-batch.
    pub estimated_bytes: u64,
    /// Peak memory of this process after one micro-batch; on a GPU device, the host's share only.
    pub peak_rss_bytes: u64,
    /// Seconds of a step, from one micro-batch's forward and backward pass times their number.
    pub seconds_per_step: f64,
    /// Mean loss of the micro-batch with the weights the run would start from.
    pub loss: f64,
}

impl DryRun {
    /// Sizes up `experiment`, whose vocabulary is that of `data`'s tokenizer, and runs one
    /// micro-batch.
    ///
    /// # Errors
    /// Those of the device, the model and the data, as in a real run.
    pub fn perform(experiment: &Experiment, data: &CorpusBatches) -> Result<Self> {
        let device = open_device(experiment)?;
        let learner = Learner::new(experiment, data, &device)?;
        let trainer = &experiment.trainer;
        let micro_batch_size = trainer.micro_batch_size.min(trainer.batch_size);
        let micro_batches = data.training_step(0, micro_batch_size, micro_batch_size)?;
        let started = Instant::now();
        let mut loss = f64::NAN;
        for rows in micro_batches {
            let predicted = rows.masked_labels.len();
            if predicted > 0 {
                loss = learner.forward_backward(rows, predicted)?.0;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let parameters = learner.model().num_params();
        Ok(Self {
            parameters,
            training_examples: data.training_examples(),
            validation_examples: data.validation_examples(),
            total_steps: learner.total_steps(),
            tokens_per_step: trainer.batch_size * experiment.data.seq_len,
            estimated_bytes: estimate_bytes(experiment, parameters),
            peak_rss_bytes: peak_resident_bytes(),
            seconds_per_step: seconds * trainer.batch_size.div_ceil(micro_batch_size) as f64,
            loss,
        })
    }
}
