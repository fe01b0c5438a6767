//! [`Trainable`]: what a learner asks of a model. Every model with one of our heads answers it; a model of one's own
//! needs nothing else.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use nystromformer::Head;
use nystromformer::heads::{ClassInfo, Depth, LossTerm, Losses, Measure, TermMetric};
use nystromformer_interop::{load_all_weights, save};
pub use nystromformer_tasks::metrics::MetricName;

use crate::batch::{Batch, Outputs, TokenBatch};
use crate::device::scalar;
use crate::error::Result;
pub use crate::head_counts::HeadCounts;
use crate::head_counts::split_logits;
use crate::objectives::criterion::Judged;
use crate::optimizer::RowsRead;
use crate::ranks::words::{WordReader, Words};

/// A model that a [`Learner`](crate::trainer::Learner) can train.
///
/// Random numbers that `loss_terms` draws (as dropout does, ours and Burn's) come from generators seeded by run, step and
/// micro-batch, so that a resume is exact.
pub trait Trainable: Module {
    /// A micro-batch in main memory.
    type Batch: Batch;

    /// What an evaluation counts over its batches beside the loss; `()` for nothing.
    type Counts: Default;

    /// Moves a batch to `device`, where the model lives, and says how far off each answer is. The whole loss is the sum
    /// over the terms of `weight · sum(losses) / the weights of the targets that count`, over all micro-batches of a step.
    ///
    /// # Errors
    /// What the model refuses of a batch.
    fn loss_terms(&self, batch: Self::Batch, device: &Device) -> Result<Vec<LossTerm>>;

    /// The same in an evaluation: without autodiff and dropout, and with what the metrics are made of counted. Default:
    /// nothing is.
    ///
    /// # Errors
    /// As [`Self::loss_terms`], and of the device.
    fn evaluate(
        &self,
        batch: Self::Batch,
        device: &Device,
        counts: &mut Self::Counts,
    ) -> Result<Vec<LossTerm>> {
        let _ = counts;
        self.loss_terms(batch, device)
    }

    /// The rows that `batch` reads of large tables, by the tables' paths: the loss depends on no other row of theirs, and no
    /// other gets a gradient. The optimizer then passes over these rows alone, and the others take the same steps later. Default:
    /// none; every parameter is read whole.
    fn rows_read(&self, batch: &Self::Batch) -> RowsRead {
        let _ = batch;
        RowsRead::new()
    }

    /// How far from the input the parameter at this path is, as in `encoder.layer.0.output.dense.weight`: what
    /// `optimizer.layer_decay` and frozen layers go by. Default: unknown, and an experiment with such keys is refused.
    fn depth(&self, path: &str) -> Option<Depth> {
        let _ = path;
        None
    }

    /// Names of what [`Self::metrics`] gives. Default: none.
    fn metric_names(&self) -> Vec<MetricName> {
        Vec::new()
    }

    /// What was measured beside the loss, by name, from what was counted and the sums of each term of the loss; what is
    /// not defined is left out. Default: nothing.
    fn metrics(&self, counts: &Self::Counts, terms: &[TermSum]) -> Vec<(String, f64)> {
        let _ = (counts, terms);
        Vec::new()
    }

    /// Where counting begins if the data measures [outputs](Self::outputs) itself. Default: as without.
    fn counts_with_outputs(&self) -> Self::Counts {
        Self::Counts::default()
    }

    /// Writes what was counted of a batch as words, which [`Self::add_counts`] reads; says whether it can. Default: it cannot, and
    /// each of several processes measures every batch.
    fn counts_to_words(counts: Self::Counts, words: &mut Words) -> bool {
        let _ = (counts, words);
        false
    }

    /// Adds what was counted of the batch that comes next, from such words; `None` if they are none. Default: nothing is added.
    fn add_counts(counts: &mut Self::Counts, words: &mut WordReader<'_>) -> Option<()> {
        let _ = (counts, words);
        Some(())
    }

    /// What the model said of each example, for data that measures it. Default: the model does not keep it.
    fn outputs(counts: Self::Counts) -> Option<Outputs> {
        let _ = counts;
        None
    }

    /// Writes the model's files into a folder that exists.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io).
    fn save(&self, folder: &Path) -> Result<()>;

    /// Reads into a model of the same shape what [`Self::save`] has written, bit by bit.
    ///
    /// # Errors
    /// [`LearnerError::Weights`](crate::LearnerError::Weights) if the files are another model's, or damaged.
    fn load(&mut self, folder: &Path) -> Result<()>;
}

/// The names of the metrics that a class of model has.
pub fn metric_names_of(class: &ClassInfo) -> Vec<MetricName> {
    let name = |metric: &TermMetric| MetricName {
        name: metric.name.to_owned(),
        greater_is_better: metric.greater_is_better(),
    };
    class.metrics.iter().map(name).collect()
}

/// A term of the loss, summed up over the batches of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TermSum {
    /// Factor of its mean in the whole loss.
    pub weight: f64,
    /// Targets that count.
    pub num_targets: usize,
    /// The sum of their weights; as many where each weighs 1.
    pub target_weight: f64,
    /// Sum of their losses, by their weights.
    pub loss: f64,
}

impl TermSum {
    /// The mean loss of a target, by the targets' weights; `None` if there is none.
    pub fn mean(&self) -> Option<f64> {
        (self.num_targets > 0).then(|| self.loss / self.target_weight)
    }

    /// Adds the sum of further batches, which have targets.
    pub(crate) fn add(&mut self, more: Self) {
        self.weight = more.weight;
        self.num_targets += more.num_targets;
        self.target_weight += more.target_weight;
        self.loss += more.loss;
    }
}

impl<M: Head> Trainable for M {
    type Batch = TokenBatch;
    type Counts = HeadCounts;

    fn loss_terms(&self, batch: TokenBatch, device: &Device) -> Result<Vec<LossTerm>> {
        if let Some(criterion) = batch.criterion.clone() {
            return Judged::show(self, |judged| criterion.loss_terms(judged, batch, device));
        }
        let options = batch.loss_options.clone();
        let (input, targets) = batch.into_tensors(device)?;
        if options.is_plain() {
            return Ok(self.losses(input, targets)?.terms);
        }
        Ok(options.apply(self.losses(input, targets.clone())?, targets).terms)
    }

    fn evaluate(
        &self,
        batch: TokenBatch,
        device: &Device,
        counts: &mut HeadCounts,
    ) -> Result<Vec<LossTerm>> {
        if let Some(criterion) = batch.criterion.clone() {
            let measured = &mut counts.measured;
            return Judged::show(self, |judged| {
                criterion.evaluate(judged, batch, device, measured)
            });
        }
        let num_targets = batch.num_targets();
        let kept = counts.outputs.is_some().then(|| (batch.targets.clone(), batch.lengths.clone()));
        let seq_len = batch.seq_len;
        let options = batch.loss_options.clone();
        let (input, targets) = batch.into_tensors(device)?;
        let classes = targets.classes();
        let Losses { terms, logits } = if options.is_plain() {
            self.losses(input, targets)?
        } else {
            options.apply(self.losses(input, targets.clone())?, targets)
        };
        if let (Some(outputs), Some((targets, lengths))) = (&mut counts.outputs, kept) {
            outputs.extend(split_logits(&logits, &targets, &lengths, seq_len, device)?);
            return Ok(terms);
        }
        counts.correct.resize(terms.len().max(counts.correct.len()), None);
        let answered = logits.into_iter().zip(classes).zip(num_targets);
        for (correct, ((logits, class), num_targets)) in counts.correct.iter_mut().zip(answered) {
            if let Some(class) = class.filter(|_| num_targets > 0) {
                let hits = logits.argmax(1).squeeze_dim::<1>(1).equal(class);
                *correct.get_or_insert(0.0) += scalar(hits.float().sum(), device)?;
            }
        }
        Ok(terms)
    }

    fn rows_read(&self, batch: &TokenBatch) -> RowsRead {
        let Some(path) = self.class().token_table.filter(|_| batch.features.is_none()) else {
            return RowsRead::new();
        };
        let rows = batch.input_ids.iter().filter_map(|id| usize::try_from(*id).ok());
        RowsRead::from([(path.to_owned(), rows.collect())])
    }

    fn depth(&self, path: &str) -> Option<Depth> {
        Some(Depth::of(path))
    }

    fn metric_names(&self) -> Vec<MetricName> {
        metric_names_of(self.class())
    }

    fn metrics(&self, counts: &HeadCounts, terms: &[TermSum]) -> Vec<(String, f64)> {
        if !counts.measured.is_empty() {
            return counts.measured.values();
        }
        let metrics = self.class().metrics.iter();
        let value = |metric: &TermMetric| {
            let term = terms.get(metric.term)?;
            let value = match metric.measure {
                Measure::Loss => term.mean()?,
                Measure::Perplexity => term.mean()?.exp(),
                Measure::Accuracy => {
                    let correct = counts.correct.get(metric.term).copied().flatten()?;
                    correct / term.num_targets as f64
                }
            };
            Some((metric.name.to_owned(), value))
        };
        metrics.filter_map(value).collect()
    }

    fn counts_with_outputs(&self) -> HeadCounts {
        HeadCounts { outputs: Some(Outputs::new()), ..HeadCounts::default() }
    }

    fn counts_to_words(counts: HeadCounts, words: &mut Words) -> bool {
        counts.write(words);
        true
    }

    fn add_counts(counts: &mut HeadCounts, words: &mut WordReader<'_>) -> Option<()> {
        counts.add(HeadCounts::read(words)?);
        Some(())
    }

    fn outputs(counts: HeadCounts) -> Option<Outputs> {
        counts.outputs
    }

    fn save(&self, folder: &Path) -> Result<()> {
        Ok(save(self, folder)?)
    }

    fn load(&mut self, folder: &Path) -> Result<()> {
        Ok(load_all_weights(self, folder)?)
    }
}
