//! The batches of a task: labelled examples, tokenised, padded no further than needed.
//!
//! | file | |
//! |---|---|
//! | `forms` | how each kind of input becomes rows of token ids, and a prediction again |
//! | `contexts` | the texts that questions are about |
//! | `encoded` | the examples of a split as token ids |
//! | `splits` | which examples train, and which are measured on |
//! | `prepare` | from an experiment to all of this |
//! | `collate` | from some of the examples to a batch |
//! | `missing_classes` | which classes have no examples |
//! | `order`, `imbalance` | which examples a step visits, and what rare classes count |
//! | `noise` | ids mirrored, dropped, or hidden to be predicted |
//! | `statistics` | mean and standard deviation of features |
//! | `standardization` | mean and deviation of the numbers to predict |
//! | `reread` | the texts of examples that were evaluated |
//! | `scoring`, `errors` | from a model's outputs to metrics, files of predictions, and the worst mistakes |

mod collate;
mod contexts;
mod encoded;
mod errors;
mod forms;
mod imbalance;
mod missing_classes;
mod noise;
mod order;
mod prepare;
mod reread;
mod scoring;
mod splits;
mod standardization;
mod statistics;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nystromformer::{NystromformerConfig, Standardization};
use nystromformer_data::{TextTokenizer, TrainedAnswers, TrainedReading};
use nystromformer_tasks::metrics::{MetricName, Scorer};
use nystromformer_tasks::{
    PredictionFile, Split, Targets, TaskConfig, Truncation, Vectors, Windows,
};

use crate::batch::{Analysis, Answers, BatchSource, Scores, TokenBatch};
use crate::error::Result;
use crate::experiment::Vocabulary;
use crate::tokenizer_files::write_tokenizer;
use noise::InputNoise;
use order::StepOrder;
use splits::Splits;
pub use statistics::FeatureStatistics;

/// The batches of an experiment's task.
#[derive(Debug)]
pub struct TaskBatches {
    task: TaskConfig,
    targets: Targets,
    scorer: Box<dyn Scorer>,
    /// The file that is read in the place of the data set's splits.
    file: Option<PathBuf>,
    vocabulary: Vocabulary,
    tokenizer: Option<TextTokenizer>,
    /// How sequences that are too long are cut.
    truncation: Truncation,
    /// In which windows single texts that are too long are read, if nothing of them is cut.
    windows: Option<Windows>,
    splits: Splits,
    order: StepOrder,
    class_weights: Option<Arc<[f32]>>,
    /// What is done to ids before a model reads them.
    noise: Option<InputNoise>,
    /// Whether rows of like length may be put together: padding then changes no result.
    sorts: bool,
    /// Whether the model tells the two texts of a pair apart by a type of token.
    has_types: bool,
    /// Length of every row, of a model that reads no other.
    row_len: Option<usize>,
    fingerprint: String,
}

impl TaskBatches {
    /// The task, with the keys set that its data answers.
    pub fn task(&self) -> &TaskConfig {
        &self.task
    }

    /// What is to be predicted, whether the model learns it or its own inputs ([`Self::predicts_inputs`]).
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Whether the model learns the inputs, and no labels.
    pub fn predicts_inputs(&self) -> bool {
        self.noise.as_ref().is_some_and(InputNoise::hides)
    }

    /// Mean and deviation of each number over the training examples, if the task wants them taken off.
    pub fn standardization(&self) -> Option<Standardization> {
        let wanted = self.task.task().standardizes_labels()
            && !self.predicts_inputs()
            && !self.splits.training_places.is_empty();
        wanted.then(|| standardization::of(self.training_labels(), &self.targets.names()))
    }

    /// Size of the vocabulary, and its special ids.
    pub fn vocabulary(&self) -> Vocabulary {
        self.vocabulary
    }

    /// The tokenizer, if the task is made of texts.
    pub fn tokenizer(&self) -> Option<&TextTokenizer> {
        self.tokenizer.as_ref()
    }

    /// The feature vectors of the first training example; `None` if examples are no vectors.
    pub fn first_vectors(&self) -> Option<&Vectors> {
        self.splits.train.vectors().first()
    }

    /// What the task wants feature vectors to be standardised by: their statistics over the training examples, all of which are
    /// read once for them.
    ///
    /// # Errors
    /// [`LearnerError::Data`](crate::error::LearnerError::Data) if vectors cannot be read.
    pub fn feature_statistics(&self) -> Result<Option<FeatureStatistics>> {
        if !self.task.task().standardizes_features() {
            return Ok(None);
        }
        let Splits { train, training_units, .. } = &self.splits;
        let bags: Vec<_> = training_units.iter().map(|unit| &train.vectors()[*unit]).collect();
        FeatureStatistics::of(&bags, self.truncation)
    }

    /// A split whose labels the model answers.
    fn answered(&self, split: Split) -> Option<&splits::Evaluated> {
        self.splits.get(split).filter(|_| !self.predicts_inputs())
    }

    /// The places in the file of a split's examples, in the order of [`BatchSource::evaluation_batch`].
    pub fn evaluation_order(&self, split: Split) -> Vec<usize> {
        let Some(evaluated) = self.splits.get(split) else { return Vec::new() };
        evaluated.units.iter().map(|unit| evaluated.examples.example_of(*unit)).collect()
    }
}

impl BatchSource for TaskBatches {
    type Batch = TokenBatch;

    fn training_examples(&self) -> usize {
        self.splits.training_units.len()
    }

    fn rows_per_example(&self) -> usize {
        let Splits { train, training_units, .. } = &self.splits;
        training_units.iter().map(|unit| train.rows_of(*unit).len()).max().unwrap_or(1)
    }

    fn evaluation_examples(&self, split: Split) -> usize {
        let evaluated = match self.predicts_inputs() {
            // The test split is for who starts from this model.
            true if split.is_test() => None,
            true => self.splits.get(split),
            false => self.splits.measured(split),
        };
        evaluated.map_or(0, |evaluated| evaluated.units.len())
    }

    fn predictable_examples(&self, split: Split) -> usize {
        if self.predicts_inputs() {
            return self.evaluation_examples(split);
        }
        self.splits.get(split).map_or(0, |evaluated| evaluated.units.len())
    }

    fn training_step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> Result<Vec<TokenBatch>> {
        self.micro_batches(completed_steps, batch_size, micro_batch_size, 0..usize::MAX)
    }

    fn micro_batches(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
        range: Range<usize>,
    ) -> Result<Vec<TokenBatch>> {
        let order = self.order.batch(completed_steps, batch_size);
        let Splits { train, training_units, .. } = &self.splits;
        let mut units: Vec<usize> = order.into_iter().map(|unit| training_units[unit]).collect();
        if self.sorts {
            units.sort_by_key(|unit| train.unit_len(*unit));
        }
        // Of the whole step: what is drawn for a row must not depend on how many processes share it.
        let skipped = units.iter().take(range.start.saturating_mul(micro_batch_size));
        let mut rows: usize = skipped.map(|unit| train.rows_of(*unit).len()).sum();
        let weighted = |units: &[usize]| {
            let mut batch = self.batch(train, units, false)?;
            batch.loss_options.class_weights.clone_from(&self.class_weights);
            let before = rows;
            rows += batch.lengths.len();
            Ok(match &self.noise {
                Some(noise) => noise.in_training(batch, completed_steps, before),
                None => batch,
            })
        };
        units.chunks(micro_batch_size).take(range.end).skip(range.start).map(weighted).collect()
    }

    fn evaluation_batch(&self, split: Split, first: usize, count: usize) -> Result<TokenBatch> {
        let evaluated =
            self.splits.get(split).expect("rows are asked for of a split that has some");
        let batch =
            self.batch(&evaluated.examples, &evaluated.units[first..first + count], true)?;
        let noise = self.noise.as_ref().filter(|noise| noise.hides());
        let Some(noise) = noise else { return Ok(batch) };
        let before = &evaluated.units[..first];
        let before = before.iter().map(|unit| evaluated.examples.rows_of(*unit).len()).sum();
        Ok(noise.in_evaluation(batch, before))
    }

    fn metric_names(&self) -> Vec<MetricName> {
        if self.predicts_inputs() { Vec::new() } else { self.scorer.names() }
    }

    fn score(&self, answers: Answers<'_>) -> Result<Option<Scores>> {
        let Some(evaluated) = self.answered(answers.split) else { return Ok(None) };
        Ok(Some(self.scores_of(evaluated, answers)?))
    }

    fn analyse(&self, answers: Answers<'_>) -> Result<Option<Analysis>> {
        let Some(evaluated) = self.answered(answers.split) else { return Ok(None) };
        Ok(Some(self.analysis_of(evaluated, answers)?))
    }

    fn prediction_files(&self, answers: Answers<'_>) -> Result<Vec<PredictionFile>> {
        match self.answered(answers.split) {
            Some(evaluated) => self.files_of(evaluated, answers),
            None => Ok(Vec::new()),
        }
    }

    fn fingerprints(&self) -> BTreeMap<String, String> {
        let mut fingerprints = BTreeMap::from([("data".to_owned(), self.fingerprint.clone())]);
        if let Some(tokenizer) = &self.tokenizer {
            fingerprints.insert("tokenizer".to_owned(), tokenizer.hash());
        }
        fingerprints
    }

    fn source_fingerprint(&self) -> Option<String> {
        Some(self.splits.source_fingerprint())
    }

    fn write_tokenizer(&self, directory: &Path, model: &NystromformerConfig) -> Result<()> {
        match &self.tokenizer {
            Some(tokenizer) => {
                let answers = match &self.targets {
                    Targets::Answers(search) => Some(TrainedAnswers {
                        no_answer: search.version_2_with_negative,
                        max_answer_length: search.max_answer_length,
                    }),
                    _ => None,
                };
                let trained = TrainedReading {
                    truncation: Some(self.truncation),
                    windows: self.windows,
                    answers,
                };
                write_tokenizer(tokenizer, trained, model, directory)
            }
            None => Ok(()),
        }
    }
}
