//! Batches: where they come from, what they hold, and how they reach a device.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::heads::{LossOptions, TargetTensors, TargetsData};
use nystromformer::{NystromformerConfig, NystromformerInput};
use nystromformer_data::MaskedRows;
use nystromformer_tasks::metrics::{ClassificationReport, ErrorAnalysis, MetricName, Thresholds};
use nystromformer_tasks::{PredictionFile, Split};

use crate::error::Result;
use crate::feature_rows::FeatureRows;
use crate::objectives::criterion::BatchCriterion;

/// A micro-batch in main memory. Beside a GPU it is made on another thread than it is read on.
pub trait Batch: Send {
    /// How many targets count in each term of the loss. A step's loss is the mean over those of all its micro-batches,
    /// term by term; every batch of a source gives as many terms.
    fn num_targets(&self) -> Vec<usize>;

    /// The sum of the weights of those targets, by which a step's sum of losses is divided. Default: each weighs 1.
    fn target_weights(&self) -> Vec<f64> {
        self.num_targets().into_iter().map(|count| count as f64).collect()
    }

    /// Smooths the labels by this share, `trainer.label_smoothing_factor`; says whether it can. Asked of batches of
    /// training alone, and only if the share is not 0. Default: it cannot.
    fn smooth_labels(&mut self, share: f64) -> bool {
        let _ = share;
        false
    }

    /// Tokens that are not padding, for tokens per second.
    fn num_tokens(&self) -> usize;
}

/// A model's scores for each of some examples, value after value.
pub type Outputs = Vec<Vec<f32>>;

/// A model's outputs for a split, and what decides on them.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// The split.
    pub split: Split,
    /// For its examples, in the order of [`BatchSource::evaluation_batch`].
    pub outputs: &'a Outputs,
    /// Thresholds that were chosen before. Without, those are taken by which these outputs score best, but for a test split, which
    /// chooses nothing.
    pub thresholds: Option<&'a Thresholds>,
}

/// How good a model's outputs for a split are.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Examples that were answered.
    pub examples: usize,
    /// The metrics by name.
    pub metrics: BTreeMap<String, f64>,
    /// The thresholds that they were measured with.
    pub thresholds: Thresholds,
}

/// More about a model's outputs for a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// Confusion matrix and scores of each class.
    pub report: Option<ClassificationReport>,
    /// What it gets wrong, where an example or a word has one class.
    pub errors: Option<ErrorAnalysis>,
    /// The metrics of a predictor that always says the same.
    pub constant_predictor: BTreeMap<String, f64>,
}

/// Where batches come from. A batch is a pure function of its place in the run, which makes a resume exact.
pub trait BatchSource: Send + Sync {
    /// What it gives.
    type Batch: Batch;

    /// Training examples in one epoch; at least one.
    fn training_examples(&self) -> usize;

    /// Rows that the model reads for one training example at most: of a pair that is encoded one by one two, of a question one for
    /// each choice. Default: 1.
    fn rows_per_example(&self) -> usize {
        1
    }

    /// Examples of a split that is measured on; 0 if there is no such split, or it has no labels.
    fn evaluation_examples(&self, split: Split) -> usize;

    /// The micro-batches of the step after `completed_steps`, in main memory: `batch_size` examples
    /// in batches of `micro_batch_size`, the last perhaps smaller. Examples are counted on through
    /// all epochs, so that each epoch sees each of them once.
    ///
    /// # Errors
    /// [`LearnerError::Config`](crate::LearnerError::Config) if a micro-batch is too large to
    /// index.
    fn training_step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> Result<Vec<Self::Batch>>;

    /// Those of them whose numbers are in `range`: the share of one of several processes. Default: all are made, and the others
    /// thrown away.
    ///
    /// # Errors
    /// As [`Self::training_step`].
    fn micro_batches(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
        range: Range<usize>,
    ) -> Result<Vec<Self::Batch>> {
        let mut batches = self.training_step(completed_steps, batch_size, micro_batch_size)?;
        batches.truncate(range.end);
        batches.drain(..range.start.min(batches.len()));
        Ok(batches)
    }

    /// The examples `first..first + count` of such a split, the same every time.
    ///
    /// # Errors
    /// As [`Self::training_step`].
    fn evaluation_batch(&self, split: Split, first: usize, count: usize) -> Result<Self::Batch>;

    /// The same of `sample` examples that stand for the split, where an evaluation measures no more than those
    /// (`trainer.eval_examples`). Default: its first ones, which is right where the order of a split says nothing of what its examples
    /// are.
    ///
    /// # Errors
    /// As [`Self::evaluation_batch`].
    fn sample_batch(
        &self,
        split: Split,
        sample: usize,
        first: usize,
        count: usize,
    ) -> Result<Self::Batch> {
        let _ = sample;
        self.evaluation_batch(split, first, count)
    }

    /// Names of what [`Self::score`] measures beside the loss; the first is what a best checkpoint is chosen by if
    /// nothing else is said. Default: none, and what the model itself measures is used
    /// ([`Trainable::metrics`](crate::trainable::Trainable::metrics)).
    fn metric_names(&self) -> Vec<MetricName> {
        Vec::new()
    }

    /// Names of what the [criterion](crate::objectives::criterion) of its batches measures. Default: `None`, they have none, and what
    /// the model itself measures is used.
    fn criterion_metrics(&self) -> Option<Vec<MetricName>> {
        None
    }

    /// The metrics of a model's outputs for the examples of a split. Default: `None`, nothing is measured.
    ///
    /// # Errors
    /// [`LearnerError::Data`](crate::LearnerError::Data) for outputs that are no answers to the data.
    fn score(&self, answers: Answers<'_>) -> Result<Option<Scores>> {
        let _ = answers;
        Ok(None)
    }

    /// More about the same outputs, of a finished run. Default: nothing.
    ///
    /// # Errors
    /// As [`Self::score`], and if the examples cannot be read once more.
    fn analyse(&self, answers: Answers<'_>) -> Result<Option<Analysis>> {
        let _ = answers;
        Ok(None)
    }

    /// Examples of a split that can be predicted, whether it has labels or not. Default: those that are measured on.
    fn predictable_examples(&self, split: Split) -> usize {
        self.evaluation_examples(split)
    }

    /// The predictions for a split as files, from a model's outputs for all of its examples. Default: none.
    ///
    /// # Errors
    /// As [`Self::analyse`].
    fn prediction_files(&self, answers: Answers<'_>) -> Result<Vec<PredictionFile>> {
        let _ = answers;
        Ok(Vec::new())
    }

    /// Hashes of what the batches are made of, by name. A run is resumed only with the same. Default: none.
    fn fingerprints(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// A hash of all that was read, before a seed or a fold says which of it trains: of runs that differ by these alone it is the same.
    /// Default: none.
    fn source_fingerprint(&self) -> Option<String> {
        None
    }

    /// Writes the tokenizer's files into a checkpoint, which is thereby a model that can be used. Default: there is none.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io).
    fn write_tokenizer(&self, directory: &Path, model: &NystromformerConfig) -> Result<()> {
        let _ = (directory, model);
        Ok(())
    }
}

/// Rows of tokens in main memory, and what a model is to answer: a batch for any of our heads.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenBatch {
    /// Token ids, row after row, padded to `seq_len`; none of rows of feature vectors.
    pub input_ids: Vec<i32>,
    /// Feature vectors in the place of token ids.
    pub features: Option<FeatureRows>,
    /// Type of each token. `None`: all 0.
    pub token_type_ids: Option<Vec<i32>>,
    /// Tokens in each row that are not padding.
    pub lengths: Vec<usize>,
    /// An id whose tokens take no part, wherever they stand.
    pub hidden_id: Option<i32>,
    /// Length of a row.
    pub seq_len: usize,
    /// What a model is to answer.
    pub targets: TargetsData,
    /// How those targets count in the loss. Evaluations leave it plain, but for windows of a text, which weigh less than a text.
    pub loss_options: LossOptions,
    /// What judges the model in place of its head's own losses. `None`: nothing does.
    pub criterion: Option<BatchCriterion>,
}

impl Batch for TokenBatch {
    fn num_targets(&self) -> Vec<usize> {
        match &self.criterion {
            Some(criterion) => criterion.num_targets(self),
            None => self.targets.counts(self.seq_len),
        }
    }

    fn target_weights(&self) -> Vec<f64> {
        if self.criterion.is_some() {
            return self.num_targets().into_iter().map(|count| count as f64).collect();
        }
        self.loss_options.denominators(&self.targets, self.seq_len)
    }

    fn smooth_labels(&mut self, share: f64) -> bool {
        if self.criterion.is_some() {
            return false;
        }
        self.loss_options.label_smoothing = share;
        match self.targets {
            TargetsData::Tokens { .. }
            | TargetsData::TokensAndOrder { .. }
            | TargetsData::Class(_) => true,
            TargetsData::Values(_) | TargetsData::Span { .. } | TargetsData::Choice { .. } => false,
        }
    }

    fn num_tokens(&self) -> usize {
        self.lengths.iter().sum()
    }
}

impl TokenBatch {
    /// 1 for each token that takes part and 0 for the others; `None` if all do.
    fn attention_mask(&self) -> Option<Vec<i32>> {
        let is_full = self.lengths.iter().all(|length| *length == self.seq_len);
        if is_full && self.hidden_id.is_none() {
            return None;
        }
        let columns = 0..self.seq_len;
        let places = self
            .lengths
            .iter()
            .flat_map(|length| columns.clone().map(move |column| column < *length));
        if self.features.is_some() {
            return Some(places.map(i32::from).collect());
        }
        let ids = self.input_ids.iter();
        Some(
            ids.zip(places)
                .map(|(id, inside)| i32::from(inside && Some(*id) != self.hidden_id))
                .collect(),
        )
    }

    /// Moves the batch to `device`. Rows that are all full need no mask. Feature vectors are read now.
    ///
    /// # Errors
    /// [`LearnerError::Data`](crate::LearnerError::Data) if feature vectors cannot be read.
    pub fn into_tensors(self, device: &Device) -> Result<(NystromformerInput, TargetTensors)> {
        let shape = [self.lengths.len(), self.seq_len];
        let table =
            |values: Vec<i32>| Tensor::<2, Int>::from_data(TensorData::new(values, shape), device);
        let mask = self.attention_mask();
        let mut input = match self.features {
            None => NystromformerInput::new(table(self.input_ids)),
            Some(rows) => rows.into_input(self.seq_len, device)?,
        };
        input.token_type_ids = self.token_type_ids.map(table);
        input.attention_mask = mask.map(table);
        Ok((input, self.targets.into_targets(shape[0], device)))
    }
}

impl From<MaskedRows> for TokenBatch {
    fn from(rows: MaskedRows) -> Self {
        let (positions, labels) = (rows.masked_positions, rows.masked_labels);
        let (token_type_ids, targets) = match rows.sentence_order {
            None => (None, TargetsData::Tokens { positions, labels }),
            Some(pairs) => {
                let order = pairs.order_labels;
                let targets = TargetsData::TokensAndOrder { positions, labels, order };
                (Some(pairs.token_type_ids), targets)
            }
        };
        let MaskedRows { input_ids, lengths, seq_len, .. } = rows;
        Self {
            input_ids,
            features: None,
            token_type_ids,
            lengths,
            hidden_id: None,
            seq_len,
            targets,
            loss_options: LossOptions::default(),
            criterion: None,
        }
    }
}
