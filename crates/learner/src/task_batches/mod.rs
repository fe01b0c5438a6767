//! The batches of a task: labelled examples, tokenised, padded no further than needed.
//!
//! | file | |
//! |---|---|
//! | `forms` | how each kind of input becomes rows of token ids, and a prediction again |
//! | `contexts` | the texts that questions are about |
//! | `encoded` | the examples of a split as token ids |
//! | `splits` | which examples train, and which are measured on |
//! | `missing_classes` | which classes have no examples |
//! | `order`, `imbalance` | which examples a step visits, and what rare classes count |
//! | `statistics` | mean and standard deviation of features |
//! | `standardization` | mean and deviation of the numbers to predict |
//! | `scoring`, `errors` | from a model's outputs to metrics, files of predictions, and the worst mistakes |

mod contexts;
mod encoded;
mod errors;
mod forms;
mod imbalance;
mod missing_classes;
mod order;
mod scoring;
mod splits;
mod standardization;
mod statistics;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nystromformer::heads::LossOptions;
use nystromformer::{NystromformerConfig, Semantics, Standardization};
use nystromformer_data::{ExampleOrder, Keep, TextTokenizer};
use nystromformer_tasks::metrics::{MetricName, Scorer, Thresholds};
use nystromformer_tasks::{
    DataError, Example, ExampleReader, PredictionFile, Sampling, Split, Targets, TaskConfig,
    Truncation,
};

use crate::batch::{Analysis, BatchSource, Outputs, Scores, TokenBatch};
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, Vocabulary};
use crate::feature_rows::FeatureRows;
use crate::tokenizer_files::write_tokenizer;
use encoded::EncodedSplit;
use forms::Form;
use imbalance::{BalancedOrder, class_weights, classes_of_units};
use order::{StepOrder, Visits};
use splits::{Evaluated, EvaluationOrder, Splits, limited};
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
    splits: Splits,
    order: StepOrder,
    class_weights: Option<Arc<[f32]>>,
    /// Whether rows of like length may be put together: padding then changes no result.
    sorts: bool,
    /// Whether the model tells the two texts of a pair apart by a type of token.
    has_types: bool,
    /// Length of every row, of a model that reads no other.
    row_len: Option<usize>,
    fingerprint: String,
}

impl TaskBatches {
    /// Reads the task's files. `tokenizer` is that of the model that goes on or is started from, if there is one;
    /// `[tokenizer] path` is asked first.
    ///
    /// # Errors
    /// [`LearnerError::Data`] for data that is missing or cannot be used, and [`LearnerError::Config`] for settings that
    /// do not fit it.
    pub fn prepare(experiment: &Experiment, tokenizer: Option<&Path>) -> Result<Self> {
        Self::read(experiment, tokenizer, None)
    }

    /// The same for a file alone, whose examples are to be predicted: they are the test split, and there is nothing to train on.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_file(
        experiment: &Experiment,
        tokenizer: Option<&Path>,
        file: &Path,
    ) -> Result<Self> {
        Self::read(experiment, tokenizer, Some(file))
    }

    fn read(
        experiment: &Experiment,
        tokenizer: Option<&Path>,
        file: Option<&Path>,
    ) -> Result<Self> {
        let task = experiment
            .task
            .clone()
            .ok_or_else(|| LearnerError::Config("the experiment has no `[task]`".to_owned()))?;
        let seq_len = experiment.data.seq_len;
        let targets = task.targets(seq_len)?;
        let (vocabulary, tokenizer) = if let Some(own) = task.task().vocabulary() {
            (Vocabulary { size: own.size, pad: own.pad, cls: own.cls, sep: None }, None)
        } else {
            let tokenizer = load_tokenizer(experiment, tokenizer)?;
            (Vocabulary::of(&tokenizer), Some(tokenizer))
        };
        let model = &experiment.model;
        let sorts = model.shared.semantics == Semantics::Paper;
        let row_len = model.required_seq_len();
        let keep = match &tokenizer {
            Some(tokenizer) if task.options.truncation == Keep::default() => tokenizer.keep(),
            _ => task.options.truncation,
        };
        let truncation = Truncation { max_length: seq_len, keep };
        let words = task.task().word_options(&targets);
        let form = Form {
            tokenizer: tokenizer.as_ref(),
            vocabulary,
            truncation,
            targets: &targets,
            words: &words,
        };
        let options = &task.options;
        if options.group_by_length && !sorts {
            tracing::warn!(
                "`task.group_by_length` is not read with `model.semantics = \"hf\"`, where padding changes results"
            );
        }
        let drop_last = options.drop_last.then_some(experiment.trainer.batch_size);
        let splits = match file {
            None => Splits::read(&task, &targets, form, EvaluationOrder { sorts, drop_last })?,
            Some(file) => {
                let examples = task.file_examples(file, &targets, seq_len)?;
                Splits::of_file(examples, form, EvaluationOrder { sorts, drop_last: None })?
            }
        };
        if tokenizer.is_some() {
            let cure =
                "set `tokenizer.path`, or `model.init_from`, to a model of this text's language";
            let name = format!("the data set `{}`", task.path().display());
            splits.unknown().tell(&name, cure);
        }
        let units = &splits.training_units;
        let lengths = (options.group_by_length && sorts)
            .then(|| units.iter().map(|unit| splits.train.unit_len(*unit) as u32).collect());
        let (seed, shuffle) = (experiment.seed, experiment.data.shuffle);
        // Of a file alone nothing is trained.
        let (visits, class_weights) = if file.is_some() {
            (Visits::Natural(ExampleOrder::new(1, seed, shuffle)), None)
        } else {
            require_smoothable(experiment, &task, &targets)?;
            let visits = match options.sampling {
                Sampling::Natural => Visits::Natural(ExampleOrder::new(units.len(), seed, shuffle)),
                Sampling::Balanced => Visits::Balanced(BalancedOrder::new(
                    classes_of_units(&task, &targets, &splits)?,
                    seed,
                    shuffle,
                )),
            };
            (visits, class_weights(&task, &targets, &splits)?)
        };
        Ok(Self {
            scorer: task.scorer(&targets, &experiment.trainer.metric_for_best_model)?,
            targets,
            file: file.map(Path::to_owned),
            order: StepOrder::new(visits, lengths, seed),
            class_weights,
            fingerprint: splits.fingerprint(),
            task,
            vocabulary,
            tokenizer,
            truncation,
            splits,
            sorts,
            has_types: model.embeddings.type_vocab_size > 1,
            row_len,
        })
    }

    /// What is to be predicted.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Mean and deviation of each number over the training examples, if the task wants them taken off.
    pub fn standardization(&self) -> Option<Standardization> {
        let wanted =
            self.task.task().standardizes_labels() && !self.splits.training_places.is_empty();
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

    /// Numbers of each feature vector; `None` if examples are no vectors.
    pub fn num_features(&self) -> Option<usize> {
        Some(self.splits.train.vectors().first()?.num_features())
    }

    /// What the task wants feature vectors to be standardised by: their statistics over the training examples, all of which are
    /// read once for them.
    ///
    /// # Errors
    /// [`LearnerError::Data`] if vectors cannot be read.
    pub fn feature_statistics(&self) -> Result<Option<FeatureStatistics>> {
        if !self.task.task().standardizes_features() {
            return Ok(None);
        }
        let Splits { train, training_units, .. } = &self.splits;
        let bags: Vec<_> = training_units.iter().map(|unit| &train.vectors()[*unit]).collect();
        FeatureStatistics::of(&bags, self.truncation)
    }

    /// The places in the file of a split's examples, in the order of [`BatchSource::evaluation_batch`].
    pub fn evaluation_order(&self, split: Split) -> Vec<usize> {
        let Some(evaluated) = self.splits.get(split) else { return Vec::new() };
        evaluated.units.iter().map(|unit| evaluated.examples.example_of(*unit)).collect()
    }

    /// The examples that were evaluated, in the order of their places, read once more.
    fn examples_of<'a>(
        &'a self,
        split: Split,
        evaluated: &'a Evaluated,
    ) -> Result<impl Iterator<Item = std::result::Result<Example, DataError>> + 'a> {
        let seq_len = self.truncation.max_length;
        let examples: Option<ExampleReader> = if let Some(file) = &self.file {
            Some(self.task.file_examples(file, &self.targets, seq_len)?)
        } else {
            let source = evaluated.source.unwrap_or(split);
            let options = &self.task.options;
            let limit = if source == Split::Train {
                options.max_train_samples
            } else {
                options.max_eval_samples
            };
            limited(&self.task, &self.targets, seq_len, source, limit)?
        };
        let mut places = evaluated.places.iter().peekable();
        let examples = examples.into_iter().flatten().enumerate();
        Ok(examples.filter_map(move |(place, example)| {
            let is_wanted = places.next_if_eq(&&place).is_some();
            (is_wanted || example.is_err()).then_some(example)
        }))
    }

    /// A batch of these units.
    fn batch(&self, split: &EncodedSplit, units: &[usize], evaluates: bool) -> Result<TokenBatch> {
        let rows_of_units = || units.iter().flat_map(|unit| split.rows_of(*unit));
        let longest = rows_of_units().map(|row| split.row_len(row)).max().unwrap_or(0);
        let seq_len = self.row_len.unwrap_or_else(|| {
            longest.max(1).next_multiple_of(self.task.options.pad_to_multiple_of)
        });
        let cells = rows_of_units().count() * seq_len;
        if i32::try_from(cells).is_err() {
            return Err(LearnerError::Config(format!(
                "`trainer.micro_batch_size` rows of `{seq_len}` tokens are over 2147483647; use fewer"
            )));
        }
        let targets = split.targets(units, seq_len, evaluates);
        if !split.vectors().is_empty() {
            let vectors = rows_of_units().map(|row| split.vectors()[row].clone()).collect();
            return Ok(TokenBatch {
                input_ids: Vec::new(),
                features: Some(FeatureRows { vectors, truncation: self.truncation }),
                token_type_ids: None,
                lengths: rows_of_units().map(|row| split.row_len(row)).collect(),
                hidden_id: None,
                seq_len,
                targets,
                loss_options: LossOptions::default(),
            });
        }
        let mut rows = TokenBatch {
            input_ids: Vec::with_capacity(cells),
            features: None,
            token_type_ids: None,
            lengths: Vec::new(),
            hidden_id: self.task.task().masked_id().map(i32::from),
            seq_len,
            targets,
            loss_options: LossOptions::default(),
        };
        let mut types = Vec::with_capacity(cells);
        for row in rows_of_units() {
            split.append(row, &mut rows.input_ids, &mut types);
            let length = split.row_len(row);
            rows.lengths.push(length);
            let padding = seq_len - length;
            rows.input_ids.extend(std::iter::repeat_n(self.vocabulary.pad as i32, padding));
            types.extend(std::iter::repeat_n(0, padding));
        }
        rows.token_type_ids = (self.has_types && types.contains(&1)).then_some(types);
        Ok(rows)
    }
}

impl BatchSource for TaskBatches {
    type Batch = TokenBatch;

    fn training_examples(&self) -> usize {
        self.splits.training_units.len()
    }

    fn evaluation_examples(&self, split: Split) -> usize {
        self.splits.measured(split).map_or(0, |evaluated| evaluated.units.len())
    }

    fn predictable_examples(&self, split: Split) -> usize {
        self.splits.get(split).map_or(0, |evaluated| evaluated.units.len())
    }

    fn training_step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> Result<Vec<TokenBatch>> {
        let order = self.order.batch(completed_steps, batch_size);
        let Splits { train, training_units, .. } = &self.splits;
        let mut units: Vec<usize> = order.into_iter().map(|unit| training_units[unit]).collect();
        if self.sorts {
            units.sort_by_key(|unit| train.unit_len(*unit));
        }
        let weighted = |units: &[usize]| {
            let mut batch = self.batch(train, units, false)?;
            batch.loss_options.class_weights.clone_from(&self.class_weights);
            Ok(batch)
        };
        units.chunks(micro_batch_size).map(weighted).collect()
    }

    fn evaluation_batch(&self, split: Split, first: usize, count: usize) -> Result<TokenBatch> {
        let evaluated =
            self.splits.get(split).expect("rows are asked for of a split that has some");
        self.batch(&evaluated.examples, &evaluated.units[first..first + count], true)
    }

    fn metric_names(&self) -> Vec<MetricName> {
        self.scorer.names()
    }

    fn score(
        &self,
        split: Split,
        outputs: &Outputs,
        thresholds: Option<&Thresholds>,
    ) -> Option<Scores> {
        Some(self.scores_of(self.splits.get(split)?, outputs, thresholds))
    }

    fn analyse(
        &self,
        split: Split,
        outputs: &Outputs,
        thresholds: &Thresholds,
    ) -> Result<Option<Analysis>> {
        let Some(evaluated) = self.splits.get(split) else { return Ok(None) };
        Ok(Some(self.analysis_of(split, evaluated, outputs, thresholds)?))
    }

    fn prediction_files(
        &self,
        split: Split,
        outputs: &Outputs,
        thresholds: &Thresholds,
    ) -> Result<Vec<PredictionFile>> {
        match self.splits.get(split) {
            Some(evaluated) => self.files_of(split, evaluated, outputs, thresholds),
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

    fn write_tokenizer(&self, directory: &Path, model: &NystromformerConfig) -> Result<()> {
        match &self.tokenizer {
            Some(tokenizer) => write_tokenizer(tokenizer, Some(self.truncation), model, directory),
            None => Ok(()),
        }
    }
}

/// Refuses `trainer.label_smoothing_factor` where there is not one class of several.
fn require_smoothable(experiment: &Experiment, task: &TaskConfig, targets: &Targets) -> Result<()> {
    let share = experiment.trainer.label_smoothing_factor;
    if share == 0.0 || matches!(targets, Targets::Classes(_) | Targets::Tags(_)) {
        return Ok(());
    }
    Err(LearnerError::Config(format!(
        "`trainer.label_smoothing_factor` = `{share}`, and the labels of the task `{}` are not one class of several; leave it out",
        task.name()
    )))
}

fn load_tokenizer(experiment: &Experiment, folder: Option<&Path>) -> Result<TextTokenizer> {
    let stated = experiment.tokenizer.path.as_deref();
    let Some(path) = stated.or(folder.filter(|folder| TextTokenizer::is_in(folder))) else {
        return Err(LearnerError::Config(
            "the texts of this task need a tokenizer: set `model.init_from` to a pretrained model, or `tokenizer.path` to \
             a `tokenizer.json` or a folder with one"
                .to_owned(),
        ));
    };
    Ok(TextTokenizer::load(path, experiment.tokenizer.lowercase)?)
}
