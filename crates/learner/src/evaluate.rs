//! Evaluation: the same batches every time, without dropout.

use std::collections::BTreeMap;

use burn::tensor::Device;
use nystromformer_tasks::Split;
use nystromformer_tasks::metrics::Predictions;

use crate::batch::{Batch, BatchSource};
use crate::device::scalar;
use crate::error::{LearnerError, Result};
use crate::metrics_log::EvaluationRecord;
use crate::stop::StopFlag;
use crate::trainable::{TermSum, Trainable};

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationOutput {
    /// Loss and metrics.
    pub record: EvaluationRecord,
    /// What was answered, where the data says which metrics it has.
    pub answers: Option<Predictions>,
}

/// What models are measured on, and how.
pub struct Evaluator<'a, B: Batch> {
    /// The examples.
    pub data: &'a dyn BatchSource<Batch = B>,
    /// Where the models live.
    pub device: &'a Device,
    /// Examples that go through at a time.
    pub batch_size: usize,
    /// How many examples of a split are measured, its first ones; all if 0.
    pub max_examples: usize,
    /// The step that is noted as the models'.
    pub step: usize,
    /// Asked before each batch whether to give up.
    pub stop: StopFlag,
}

impl<B: Batch> Evaluator<'_, B> {
    /// Loss and metrics of `model`, which has no autodiff (`model.valid()`), over a split. Every target weighs the same
    /// within its term of the loss.
    ///
    /// # Errors
    /// [`LearnerError::Data`] if there is nothing to answer, [`LearnerError::Config`] if the data is measured by what the
    /// model does not count, [`LearnerError::Stopped`]; errors of the data, the model and the device.
    pub fn evaluate<M: Trainable<Batch = B>>(
        &self,
        model: &M,
        split: Split,
    ) -> Result<EvaluationOutput> {
        let available = self.data.evaluation_examples(split);
        let examples = match self.max_examples {
            0 => available,
            most => available.min(most),
        };
        let metrics_of_data = self.data.metrics();
        let mut counts = model.counts_for(&metrics_of_data);
        let mut sums: Vec<TermSum> = Vec::new();
        for first in (0..examples).step_by(self.batch_size) {
            if let Some(reason) = self.stop.requested() {
                return Err(LearnerError::Stopped(reason));
            }
            let count = self.batch_size.min(examples - first);
            let batch = self.data.evaluation_batch(split, first, count)?;
            let num_targets = batch.num_targets();
            if num_targets.iter().all(|count| *count == 0) {
                continue;
            }
            let terms = model.evaluate(batch, self.device, &mut counts)?;
            sums.resize(num_targets.len().max(sums.len()), TermSum::default());
            for ((sum, term), num_targets) in sums.iter_mut().zip(terms).zip(num_targets) {
                if num_targets > 0 {
                    sum.weight = term.weight;
                    sum.num_targets += num_targets;
                    sum.loss += scalar(term.losses.sum(), self.device)?;
                }
            }
        }
        if sums.iter().all(|term| term.num_targets == 0) {
            return Err(LearnerError::Data(format!(
                "none of the `{examples}` {} examples has anything to answer; raise \
                 `data.validation_fraction` (for masked tokens, or `data.mlm_probability`), or set \
                 `trainer.eval_every = 0`",
                split.name()
            )));
        }
        let loss = sums.iter().filter_map(|term| Some(term.weight * term.mean()?)).sum();
        let of_model = model.metrics(&counts, &sums).into_iter();
        let of_model = of_model.map(|(name, value)| (name.to_owned(), value));
        let answers = M::answers(counts);
        let metrics: BTreeMap<String, f64> = match (&answers, metrics_of_data.as_slice()) {
            (_, []) => of_model.collect(),
            (Some(answers), metrics) => metrics
                .iter()
                .filter_map(|metric| Some((metric.name().to_owned(), metric.compute(answers)?)))
                .collect(),
            (None, [metric, ..]) => {
                return Err(LearnerError::Config(format!(
                    "the data is measured by `{}`, for which this model counts no answers; let `BatchSource::metrics` \
                     name none, or give `Trainable::answers`",
                    metric.name()
                )));
            }
        };
        Ok(EvaluationOutput {
            record: EvaluationRecord { step: self.step, loss, metrics },
            answers,
        })
    }

    /// Loss and metrics of `model` over the validation split, and over MNLI's examples of other genres if the data has
    /// such.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_validation<M: Trainable<Batch = B>>(
        &self,
        model: &M,
    ) -> Result<EvaluationRecord> {
        let mut record = self.evaluate(model, Split::Validation)?.record;
        if self.data.evaluation_examples(Split::ValidationMismatched) > 0 {
            record.add_mismatched(self.evaluate(model, Split::ValidationMismatched)?.record);
        }
        Ok(record)
    }
}
