//! [`Trainable`]: what a learner asks of a model. Every model with one of our heads answers it; a model of one's own
//! needs nothing else.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use nystromformer::Head;
use nystromformer::heads::{ClassInfo, LossTerm, Losses, Measure, TargetsData, TermMetric};
use nystromformer_interop::{load_all_weights, save};
use nystromformer_tasks::Label;
use nystromformer_tasks::metrics::{Metric, Predictions};

use crate::batch::{Batch, TokenBatch};
use crate::device::{floats, ints, scalar};
use crate::error::Result;

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
    /// over the terms of `weight · sum(losses) / targets that count`, over all micro-batches of a step.
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

    /// Names of what [`Self::metrics`] gives. Default: none.
    fn metric_names(&self) -> Vec<MetricName> {
        Vec::new()
    }

    /// What was measured beside the loss, by name, from what was counted and the sums of each term of the loss; what is
    /// not defined is left out. Default: nothing.
    fn metrics(&self, counts: &Self::Counts, terms: &[TermSum]) -> Vec<(&'static str, f64)> {
        let _ = (counts, terms);
        Vec::new()
    }

    /// Where counting begins if the data names `metrics` of its own. Default: as without.
    fn counts_for(&self, metrics: &[Metric]) -> Self::Counts {
        let _ = metrics;
        Self::Counts::default()
    }

    /// Predictions beside what is right, for the metrics that the data names. Default: the model does not count them.
    fn answers(counts: Self::Counts) -> Option<Predictions> {
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

/// A metric's name, and which way is better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricName {
    /// The field's name for it, e.g. `accuracy`.
    pub name: String,
    /// Whether a larger value is the better one.
    pub greater_is_better: bool,
}

impl MetricName {
    /// Those that a class of model has.
    pub fn of(class: &ClassInfo) -> Vec<Self> {
        let name = |metric: &TermMetric| Self {
            name: metric.name.to_owned(),
            greater_is_better: metric.greater_is_better(),
        };
        class.metrics.iter().map(name).collect()
    }
}

impl From<Metric> for MetricName {
    fn from(metric: Metric) -> Self {
        Self { name: metric.name().to_owned(), greater_is_better: metric.greater_is_better() }
    }
}

/// A term of the loss, summed up over the batches of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TermSum {
    /// Factor of its mean in the whole loss.
    pub weight: f64,
    /// Targets that count.
    pub num_targets: usize,
    /// Sum of their losses.
    pub loss: f64,
}

impl TermSum {
    /// The mean loss of a target; `None` if there is none.
    pub fn mean(&self) -> Option<f64> {
        (self.num_targets > 0).then(|| self.loss / self.num_targets as f64)
    }
}

/// What is counted of the answers of one of our heads.
#[derive(Debug, Clone, Default)]
pub struct HeadCounts {
    /// Of each term of the loss the answers that are right, where answers are classes.
    correct: Vec<Option<f64>>,
    /// All answers, if the data names metrics of its own.
    answers: Option<Predictions>,
}

impl<M: Head> Trainable for M {
    type Batch = TokenBatch;
    type Counts = HeadCounts;

    fn loss_terms(&self, batch: TokenBatch, device: &Device) -> Result<Vec<LossTerm>> {
        let (input, targets) = batch.into_tensors(device);
        Ok(self.losses(input, targets)?.terms)
    }

    fn evaluate(
        &self,
        batch: TokenBatch,
        device: &Device,
        counts: &mut HeadCounts,
    ) -> Result<Vec<LossTerm>> {
        let (num_targets, right) = (batch.num_targets(), batch.targets.clone());
        let (input, targets) = batch.into_tensors(device);
        let classes = targets.classes();
        let Losses { terms, logits } = self.losses(input, targets)?;
        if let (Some(answers), Some(logits)) = (&mut counts.answers, logits.first()) {
            record(answers, logits, &right, device)?;
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

    fn metric_names(&self) -> Vec<MetricName> {
        MetricName::of(self.class())
    }

    fn metrics(&self, counts: &HeadCounts, terms: &[TermSum]) -> Vec<(&'static str, f64)> {
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
            Some((metric.name, value))
        };
        metrics.filter_map(value).collect()
    }

    fn counts_for(&self, metrics: &[Metric]) -> HeadCounts {
        let answers = (!metrics.is_empty()).then(|| Predictions::new(self.config().num_labels()));
        HeadCounts { correct: Vec::new(), answers }
    }

    fn answers(counts: HeadCounts) -> Option<Predictions> {
        counts.answers
    }

    fn save(&self, folder: &Path) -> Result<()> {
        Ok(save(self, folder)?)
    }

    fn load(&mut self, folder: &Path) -> Result<()> {
        Ok(load_all_weights(self, folder)?)
    }
}

/// Notes what was answered to each row, beside what is right.
fn record(
    answers: &mut Predictions,
    logits: &Tensor<2>,
    right: &TargetsData,
    device: &Device,
) -> Result<()> {
    match right {
        TargetsData::Class(labels) => {
            let predicted = ints(logits.clone().argmax(1).squeeze_dim(1), device)?;
            for (prediction, label) in predicted.into_iter().zip(labels) {
                answers.record(Label::Class(prediction as u16), Label::Class(*label as u16));
            }
        }
        TargetsData::Values(labels) => {
            let [rows, columns] = logits.dims();
            let predicted = floats(logits.clone().reshape([rows * columns]), device)?;
            for (prediction, label) in predicted.into_iter().zip(labels) {
                answers.record(Label::Value(prediction), Label::Value(*label));
            }
        }
        _ => {}
    }
    Ok(())
}
