//! Evaluation: the same batches every time, without dropout.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor};
use nystromformer::heads::Targets;
use nystromformer::{Architecture, Head, Model, PreTrainedModel};

use nystromformer_tasks::metrics::Answers;
use nystromformer_tasks::{Label, Split};

use crate::batch::{Answers as Rights, BatchSource};
use crate::device::{floats, ints, scalar};
use crate::error::{LearnerError, Result};
use crate::metrics_log::EvaluationRecord;
use crate::stop::StopFlag;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Loss and metrics.
    pub record: EvaluationRecord,
    /// What was answered, where the data says which metrics it has.
    pub answers: Option<Answers>,
}

/// What models are measured on, and how.
pub struct Evaluator<'a> {
    /// The examples.
    pub data: &'a dyn BatchSource,
    /// Where the models live.
    pub device: &'a Device,
    /// Examples that go through at a time.
    pub batch_size: usize,
    /// How many batches of a split are measured; all if 0.
    pub batches: usize,
    /// The step that is noted as the models'.
    pub step: usize,
    /// Asked before each batch whether to give up.
    pub stop: StopFlag,
}

impl Evaluator<'_> {
    /// Loss and metrics of `model`, which has no autodiff (`model.valid()`), over a split. Every answer weighs the same
    /// within its term of the loss.
    ///
    /// # Errors
    /// [`LearnerError::Data`] if there is nothing to answer, [`LearnerError::Stopped`]; errors of the data, the model and
    /// the device.
    pub fn evaluate(&self, model: &Model, split: Split) -> Result<Evaluation> {
        let Self { data, device, batch_size, batches, step, .. } = *self;
        let available = data.evaluation_examples(split);
        let examples = if batches == 0 {
            available
        } else {
            available.min(batches.saturating_mul(batch_size))
        };
        let mut terms = [Term::default(), Term::default()];
        let metrics_of_data = data.metrics();
        let mut answers =
            (!metrics_of_data.is_empty()).then(|| Answers::new(model.config().num_labels()));
        for first in (0..examples).step_by(batch_size) {
            if let Some(reason) = self.stop.requested() {
                return Err(LearnerError::Stopped(reason));
            }
            let rows = data.evaluation_rows(split, first, batch_size.min(examples - first))?;
            let counts = rows.counts();
            if counts == [0, 0] {
                continue;
            }
            let right = rows.answers.clone();
            let (input, targets) = rows.into_batch(device);
            let classes = classes(&targets);
            let losses = model.losses(input, targets)?;
            if let Some(answers) = &mut answers {
                record(answers, &losses.logits[0], &right, device)?;
            }
            let found = losses.terms.into_iter().zip(losses.logits).zip(classes);
            for ((term, count), ((loss, logits), class)) in terms.iter_mut().zip(counts).zip(found)
            {
                if count == 0 {
                    continue;
                }
                term.weight = loss.weight;
                term.count += count;
                term.loss += scalar(loss.losses.sum(), device)?;
                if let Some(class) = class {
                    let hits = logits.argmax(1).squeeze_dim::<1>(1).equal(class);
                    *term.correct.get_or_insert(0.0) += scalar(hits.float().sum(), device)?;
                }
            }
        }
        if terms.iter().all(|term| term.count == 0) {
            return Err(LearnerError::Data(format!(
                "none of the `{examples}` {} examples has anything to answer; raise \
             `data.validation_fraction` (for masked tokens, or `data.mlm_probability`), or set \
             `trainer.eval_every = 0`",
                split.name()
            )));
        }
        let loss = terms.iter().filter_map(|term| Some(term.weight * term.mean_loss()?)).sum();
        let metrics = match &answers {
            None => metrics(model.architecture(), &terms),
            Some(answers) => metrics_of_data
                .iter()
                .filter_map(|metric| Some((metric.name().to_owned(), metric.compute(answers)?)))
                .collect(),
        };
        Ok(Evaluation { record: EvaluationRecord { step, loss, metrics }, answers })
    }

    /// Loss and metrics of `model` over the validation split, and over MNLI's examples of other genres if the data has
    /// such.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_validation(&self, model: &Model) -> Result<EvaluationRecord> {
        let mut record = self.evaluate(model, Split::Validation)?.record;
        if self.data.evaluation_examples(Split::ValidationMismatched) > 0 {
            record.add_mismatched(self.evaluate(model, Split::ValidationMismatched)?.record);
        }
        Ok(record)
    }
}

/// Notes what was answered to each row, beside what is right.
fn record(
    answers: &mut Answers,
    logits: &Tensor<2>,
    right: &Rights,
    device: &Device,
) -> Result<()> {
    match right {
        Rights::Class(labels) => {
            let predicted = ints(logits.clone().argmax(1).squeeze_dim(1), device)?;
            for (prediction, label) in predicted.into_iter().zip(labels) {
                answers.record(Label::Class(prediction as u16), Label::Class(*label as u16));
            }
        }
        Rights::Values(labels) => {
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

/// Sums over the answers of one term of the loss.
#[derive(Debug, Default)]
struct Term {
    weight: f64,
    count: usize,
    loss: f64,
    /// Answers that are right, where answers are classes.
    correct: Option<f64>,
}

impl Term {
    fn mean_loss(&self) -> Option<f64> {
        (self.count > 0).then(|| self.loss / self.count as f64)
    }

    fn accuracy(&self) -> Option<f64> {
        self.correct.map(|correct| correct / self.count as f64)
    }
}

/// The right class of each answer, where answers are classes, for each term of the loss.
fn classes(targets: &Targets) -> [Option<Tensor<1, Int>>; 2] {
    match targets {
        Targets::Tokens { labels, .. } | Targets::Class(labels) => [Some(labels.clone()), None],
        Targets::TokensAndOrder { labels, order, .. } => {
            [Some(labels.clone()), Some(order.clone())]
        }
        Targets::Span { start, end } => [Some(start.clone()), Some(end.clone())],
        Targets::Values(_) => [None, None],
    }
}

/// The metrics of a head's answers, by name; what was not answered is not measured.
fn metrics(architecture: Architecture, terms: &[Term; 2]) -> BTreeMap<String, f64> {
    let [first, second] = terms;
    let perplexity = first.mean_loss().map(f64::exp);
    let named: Vec<(&str, Option<f64>)> = match architecture {
        Architecture::Base => vec![],
        Architecture::MaskedLm => {
            vec![("accuracy", first.accuracy()), ("perplexity", perplexity)]
        }
        Architecture::PreTraining => vec![
            ("accuracy", first.accuracy()),
            ("perplexity", perplexity),
            ("mlm_loss", first.mean_loss()),
            ("sop_loss", second.mean_loss()),
            ("sop_accuracy", second.accuracy()),
        ],
        Architecture::QuestionAnswering => {
            vec![("start_accuracy", first.accuracy()), ("end_accuracy", second.accuracy())]
        }
        Architecture::SequenceClassification
        | Architecture::DualEncoder
        | Architecture::MultipleChoice
        | Architecture::TokenClassification => vec![("accuracy", first.accuracy())],
    };
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
