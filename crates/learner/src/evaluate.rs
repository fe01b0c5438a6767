//! Evaluation: the same batches every time, without dropout.

use burn::tensor::Device;
use nystromformer_data::{ProgressListener, ProgressReport, Stage};
use nystromformer_tasks::metrics::Thresholds;
use nystromformer_tasks::{Split, say_once};

use crate::batch::{Answers, Batch, BatchSource, Outputs};
use crate::device::scalar;
use crate::error::{LearnerError, Result};
use crate::metrics_log::EvaluationRecord;
use crate::progress::stage;
use crate::ranks::Ranks;
use crate::ranks::words::{WordReader, Words};
use crate::stop::StopFlag;
use crate::trainable::{TermSum, Trainable};

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationOutput {
    /// Loss and metrics.
    pub record: EvaluationRecord,
    /// What the model said of each example, where the data measures it.
    pub outputs: Outputs,
    /// The thresholds that the metrics were measured with; none where there is nothing to choose.
    pub thresholds: Thresholds,
    /// Examples that were measured; of data that measures nothing itself, those that were read.
    pub examples: usize,
}

/// What models are measured on, and how.
pub struct Evaluator<'a, B: Batch> {
    /// The examples.
    pub data: &'a dyn BatchSource<Batch = B>,
    /// Where the models live.
    pub device: &'a Device,
    /// Examples that go through at a time.
    pub batch_size: usize,
    /// How many examples of a split are measured ([`BatchSource::sample_batch`]); all if 0.
    pub max_examples: usize,
    /// The step that is noted as the models'.
    pub step: usize,
    /// Asked before each batch whether to give up.
    pub stop: StopFlag,
    /// Those that measure together: each takes some of the batches, and all get the same answer as one alone.
    pub ranks: &'a Ranks,
    /// Told after each batch how many examples have gone through.
    pub progress: &'a dyn ProgressListener,
}

impl<B: Batch> Evaluator<'_, B> {
    /// Loss and metrics of `model`, which has no autodiff (`model.valid()`), over a split. Every target weighs the same
    /// within its term of the loss, unless its batch says otherwise ([`Batch::target_weights`]). `thresholds` are those of a validation split; without, they are chosen by this one.
    ///
    /// Data that measures outputs itself may have no target for the loss, as questions whose answers stand nowhere in their
    /// texts: the loss is then not a number, which is said, and the metrics are measured.
    ///
    /// # Errors
    /// [`LearnerError::Data`] if there is nothing to measure, [`LearnerError::Config`] if the data measures outputs that the
    /// model does not keep, [`LearnerError::Stopped`]; errors of the data, the model and the device.
    pub fn evaluate<M: Trainable<Batch = B>>(
        &self,
        model: &M,
        split: Split,
        thresholds: Option<&Thresholds>,
    ) -> Result<EvaluationOutput> {
        let available = self.data.evaluation_examples(split);
        let examples = match self.max_examples {
            0 => available,
            most => available.min(most),
        };
        let names = self.data.metric_names();
        let (counts, sums) =
            self.answer(model, split, examples, !names.is_empty(), stage::EVALUATE)?;
        let has_loss = sums.iter().any(|term| term.num_targets > 0);
        let terms = sums.iter().filter_map(|term| Some(term.weight * term.mean()?));
        let loss: f64 = if has_loss { terms.sum() } else { f64::NAN };
        if has_loss && loss.is_nan() {
            say_once(format!(
                "the model's answers on the {} split are not numbers, so its loss is none, and what else is measured there says \
                 nothing: it has diverged in training (a lower `optimizer.learning_rate` helps), or its weights are damaged",
                split.name()
            ));
        }
        let Some(first) = names.first() else {
            if !has_loss {
                return Err(LearnerError::Data(format!(
                    "none of the `{examples}` {} examples has anything to answer; raise \
                     `data.validation_fraction` (for masked tokens, or `data.mlm_probability`), or set \
                     `trainer.eval_every = 0`",
                    split.name()
                )));
            }
            let metrics = model.metrics(&counts, &sums).into_iter().collect();
            return Ok(EvaluationOutput {
                record: EvaluationRecord { step: self.step, loss, metrics },
                outputs: Outputs::new(),
                thresholds: Thresholds::new(),
                examples,
            });
        };
        if examples == 0 {
            return Err(LearnerError::Data(format!(
                "the {} split has no examples with labels to measure on",
                split.name()
            )));
        }
        if !has_loss {
            say_once(format!(
                "none of the `{examples}` rows of the {} split has a target, so there is no loss (`null`); `{}` and the other \
                 metrics are measured",
                split.name(),
                first.name
            ));
        }
        let outputs = M::outputs(counts).ok_or_else(|| {
            LearnerError::Config(format!(
                "the data measures `{}` of a model's outputs, and this model keeps none: let `BatchSource::metric_names` \
                 name none, or give `Trainable::outputs`",
                first.name
            ))
        })?;
        let answers = Answers { split, outputs: &outputs, thresholds };
        let scores = self.data.score(answers)?.ok_or_else(|| {
            LearnerError::Config(format!(
                "the data names the metric `{}` and does not measure it: give `BatchSource::score`",
                first.name
            ))
        })?;
        Ok(EvaluationOutput {
            record: EvaluationRecord { step: self.step, loss, metrics: scores.metrics },
            outputs,
            thresholds: scores.thresholds,
            examples: scores.examples,
        })
    }

    /// What `model` says of every example of a split, with labels or without.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn predict<M: Trainable<Batch = B>>(&self, model: &M, split: Split) -> Result<Outputs> {
        let examples = self.data.predictable_examples(split);
        let (counts, _) = self.answer(model, split, examples, true, stage::PREDICT)?;
        let outputs = M::outputs(counts).unwrap_or_default();
        if outputs.iter().flatten().any(|output| output.is_nan()) {
            say_once(
                "some of the model's answers are not numbers: it has diverged in training, or its weights are damaged; do not use \
                 them"
                    .to_owned(),
            );
        }
        Ok(outputs)
    }

    /// Runs `examples` of a split through the model: of several ranks each takes one batch in turn, and what they found is put together
    /// in the order of the batches.
    fn answer<M: Trainable<Batch = B>>(
        &self,
        model: &M,
        split: Split,
        examples: usize,
        keeps_outputs: bool,
        stage: Stage,
    ) -> Result<(M::Counts, Vec<TermSum>)> {
        let no_counts =
            || if keeps_outputs { model.counts_with_outputs() } else { M::Counts::default() };
        let mut answers = (no_counts(), Vec::new());
        let batches = examples.div_ceil(self.batch_size);
        let is_shared =
            !self.ranks.is_alone() && M::counts_to_words(no_counts(), &mut Words::default());
        let at_a_time = if is_shared { self.ranks.world_size() } else { 1 };
        let mut own = Words::default();
        for first_batch in (0..batches).step_by(at_a_time) {
            if let Some(reason) = self.ranks.agree_on_stop(self.stop.requested())? {
                return Err(LearnerError::Stopped(reason));
            }
            let batch = first_batch + if is_shared { self.ranks.rank() } else { 0 };
            let first = batch * self.batch_size;
            let count = examples.min(first + self.batch_size).saturating_sub(first);
            let read = || self.data.sample_batch(split, examples, first, count);
            if !is_shared {
                self.answer_batch(model, read()?, keeps_outputs, &mut answers)?;
            } else if batch < batches {
                let mut found = (no_counts(), Vec::new());
                self.answer_batch(model, read()?, keeps_outputs, &mut found)?;
                M::counts_to_words(found.0, &mut own);
                terms_to_words(&found.1, &mut own);
            }
            let done = examples.min((first_batch + at_a_time) * self.batch_size) as u64;
            self.progress.report(ProgressReport { stage, done, total: examples as u64 });
        }
        if is_shared {
            let all = self.ranks.gather("answers", own.into_vec())?;
            let mut readers: Vec<_> = all.iter().map(|words| WordReader::new(words)).collect();
            for batch in 0..batches {
                let rank = batch % at_a_time;
                let reader = &mut readers[rank];
                M::add_counts(&mut answers.0, reader)
                    .and_then(|()| add_terms(&mut answers.1, reader))
                    .ok_or_else(|| LearnerError::unreadable_rank(rank))?;
            }
        }
        Ok(answers)
    }

    /// Adds what the model answers to some examples.
    fn answer_batch<M: Trainable<Batch = B>>(
        &self,
        model: &M,
        batch: B,
        keeps_outputs: bool,
        (counts, sums): &mut (M::Counts, Vec<TermSum>),
    ) -> Result<()> {
        let num_targets = batch.num_targets();
        let target_weights = batch.target_weights();
        // Where outputs are kept there must be one for each example.
        if !keeps_outputs && num_targets.iter().all(|count| *count == 0) {
            return Ok(());
        }
        let terms = model.evaluate(batch, self.device, counts)?;
        sums.resize(num_targets.len().max(sums.len()), TermSum::default());
        let counted = num_targets.into_iter().zip(target_weights);
        for ((sum, term), (num_targets, target_weight)) in sums.iter_mut().zip(terms).zip(counted) {
            if num_targets > 0 {
                let loss = scalar(term.losses.sum(), self.device)?;
                sum.add(TermSum { weight: term.weight, num_targets, target_weight, loss });
            }
        }
        Ok(())
    }

    /// The same over the validation split, with the loss and metrics of MNLI's examples of other genres if the data has such.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_validation<M: Trainable<Batch = B>>(
        &self,
        model: &M,
        thresholds: Option<&Thresholds>,
    ) -> Result<EvaluationOutput> {
        let mut evaluation = self.evaluate(model, Split::Validation, thresholds)?;
        if self.data.evaluation_examples(Split::ValidationMismatched) > 0 {
            let mismatched = self.evaluate(model, Split::ValidationMismatched, thresholds)?;
            evaluation.record.add_mismatched(mismatched.record);
        }
        Ok(evaluation)
    }
}

/// The sums of a batch as words.
fn terms_to_words(terms: &[TermSum], words: &mut Words) {
    words.count(terms.len());
    for term in terms {
        words.number(term.weight);
        words.count(term.num_targets);
        words.number(term.target_weight);
        words.number(term.loss);
    }
}

/// Adds the sums of the batch that comes next; `None` if that is not what the words are.
fn add_terms(sums: &mut Vec<TermSum>, words: &mut WordReader<'_>) -> Option<()> {
    let terms = words.count()?;
    sums.resize(terms.max(sums.len()), TermSum::default());
    for sum in &mut sums[..terms] {
        let (weight, num_targets) = (words.number()?, words.count()?);
        let (target_weight, loss) = (words.number()?, words.number()?);
        if num_targets > 0 {
            sum.add(TermSum { weight, num_targets, target_weight, loss });
        }
    }
    Some(())
}
