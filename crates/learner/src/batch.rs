//! Batches: where they come from, what they hold, and how they reach a device.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::heads::Targets;
use nystromformer::{Architecture, NystromformerConfig, NystromformerInput};
use nystromformer_data::MaskedRows;
use nystromformer_tasks::metrics::Metric;
use nystromformer_tasks::{Label, Split};

use crate::error::Result;

/// Where batches come from. A batch is a pure function of its place in the run.
pub trait BatchSource: Send + Sync {
    /// The class of model that gives the answers of its batches.
    fn architecture(&self) -> Architecture;

    /// Training examples in one epoch; at least one.
    fn training_examples(&self) -> usize;

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
    ) -> Result<Vec<Rows>>;

    /// The examples `first..first + count` of such a split, the same every time.
    ///
    /// # Errors
    /// As [`Self::training_step`].
    fn evaluation_rows(&self, split: Split, first: usize, count: usize) -> Result<Rows>;

    /// What is measured of classes or values, beside the loss; the first is what a best checkpoint is chosen by if
    /// nothing else is said. None: what the head has (see [`evaluate`](mod@crate::evaluate)).
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    /// The answer that is right most often in training: the most frequent class, or the mean of the numbers. `None` for
    /// answers of other kinds.
    fn constant_answer(&self) -> Option<Label> {
        None
    }

    /// Hashes of what the batches are made of, by name.
    fn fingerprints(&self) -> BTreeMap<String, String>;

    /// Writes the tokenizer's files into a checkpoint, which is thereby a model that can be used.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io).
    fn write_tokenizer(&self, directory: &Path, model: &NystromformerConfig) -> Result<()>;
}

/// A batch in main memory: rows of tokens, and the right answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Token ids, row after row, padded to `seq_len`.
    pub input_ids: Vec<i32>,
    /// Type of each token. `None`: all 0.
    pub token_type_ids: Option<Vec<i32>>,
    /// Tokens in each row that are not padding.
    pub lengths: Vec<usize>,
    /// An id whose tokens take no part, wherever they stand.
    pub hidden_id: Option<i32>,
    /// Length of a row.
    pub seq_len: usize,
    /// What a model is to answer.
    pub answers: Answers,
}

/// The right answers of a batch in main memory; [`Targets`] on a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Answers {
    /// A class of some tokens.
    Tokens {
        /// `row * seq_len + column` of each, ascending.
        positions: Vec<i32>,
        /// The class of each.
        labels: Vec<i32>,
    },
    /// The same, and whether each row's segments are swapped.
    TokensAndOrder {
        /// `row * seq_len + column` of each token, ascending.
        positions: Vec<i32>,
        /// The class of each.
        labels: Vec<i32>,
        /// Of each row: 0 in order, 1 swapped.
        order: Vec<i32>,
    },
    /// One class of each row, or the right choice of each question. The rows of a question follow each other.
    Class(Vec<i32>),
    /// As many numbers for each row as the model has labels, row after row.
    Values(Vec<f32>),
    /// First and last token of each row's answer; `seq_len` or more if the row does not have it.
    Span {
        /// Of each row.
        start: Vec<i32>,
        /// Of each row.
        end: Vec<i32>,
    },
}

impl Rows {
    /// Answers that count in each term of the loss: a step's loss is the mean over those of all its
    /// micro-batches.
    pub fn counts(&self) -> [usize; 2] {
        // A place before the row counts as its first, as in transformers.
        let inside = |places: &[i32]| {
            places.iter().filter(|place| i64::from(**place) < self.seq_len as i64).count()
        };
        match &self.answers {
            Answers::Tokens { labels, .. } | Answers::Class(labels) => [labels.len(), 0],
            Answers::TokensAndOrder { labels, order, .. } => [labels.len(), order.len()],
            Answers::Values(values) => [values.len(), 0],
            Answers::Span { start, end } => [inside(start), inside(end)],
        }
    }

    /// Tokens that are not padding.
    pub fn num_tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

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
        let ids = self.input_ids.iter();
        Some(
            ids.zip(places)
                .map(|(id, inside)| i32::from(inside && Some(*id) != self.hidden_id))
                .collect(),
        )
    }

    /// Moves the batch to `device`. Rows that are all full need no mask.
    pub fn into_batch(self, device: &Device) -> (NystromformerInput, Targets) {
        let shape = [self.lengths.len(), self.seq_len];
        let table =
            |values: Vec<i32>| Tensor::<2, Int>::from_data(TensorData::new(values, shape), device);
        let mask = self.attention_mask();
        let mut input = NystromformerInput::new(table(self.input_ids));
        input.token_type_ids = self.token_type_ids.map(table);
        input.attention_mask = mask.map(table);
        (input, self.answers.into_targets(shape[0], device))
    }
}

impl Answers {
    fn into_targets(self, rows: usize, device: &Device) -> Targets {
        let vector = |values: Vec<i32>| {
            let count = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [count]), device)
        };
        match self {
            Self::Tokens { positions, labels } => {
                Targets::Tokens { positions: vector(positions), labels: vector(labels) }
            }
            Self::TokensAndOrder { positions, labels, order } => Targets::TokensAndOrder {
                positions: vector(positions),
                labels: vector(labels),
                order: vector(order),
            },
            Self::Class(labels) => Targets::Class(vector(labels)),
            Self::Values(values) => {
                let columns = values.len() / rows.max(1);
                let data = TensorData::new(values, [rows, columns]);
                Targets::Values(Tensor::from_data(data, device))
            }
            Self::Span { start, end } => Targets::Span { start: vector(start), end: vector(end) },
        }
    }
}

impl From<MaskedRows> for Rows {
    fn from(rows: MaskedRows) -> Self {
        let (positions, labels) = (rows.masked_positions, rows.masked_labels);
        let (token_type_ids, answers) = match rows.sentence_order {
            None => (None, Answers::Tokens { positions, labels }),
            Some(pairs) => {
                let order = pairs.order_labels;
                let answers = Answers::TokensAndOrder { positions, labels, order };
                (Some(pairs.token_type_ids), answers)
            }
        };
        let MaskedRows { input_ids, lengths, seq_len, .. } = rows;
        Self { input_ids, token_type_ids, lengths, hidden_id: None, seq_len, answers }
    }
}
