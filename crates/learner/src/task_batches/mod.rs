//! The batches of a task: labelled examples, tokenised, padded no further than needed.
//!
//! | file | |
//! |---|---|
//! | `encoded` | the examples of a split as token ids |
//! | `splits` | which examples train, and which are measured on |
//! | `order` | which examples a step visits |

mod encoded;
mod order;
mod splits;

use std::collections::BTreeMap;
use std::path::Path;

use nystromformer::heads::TargetsData;
use nystromformer::{NystromformerConfig, Semantics};
use nystromformer_data::{ExampleOrder, Keep, TextTokenizer};
use nystromformer_tasks::metrics::Metric;
use nystromformer_tasks::{Label, Split, Targets, TaskConfig, Truncation};

use crate::batch::{BatchSource, TokenBatch};
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, Vocabulary};
use crate::tokenizer_files::write_tokenizer;
use encoded::{EncodedSplit, Form};
use order::StepOrder;
use splits::{Reading, Splits};

/// The batches of an experiment's task.
#[derive(Debug)]
pub struct TaskBatches {
    task: TaskConfig,
    targets: Targets,
    /// Names of the model's outputs.
    labels: Vec<String>,
    metrics: Vec<Metric>,
    vocabulary: Vocabulary,
    tokenizer: Option<TextTokenizer>,
    /// How sequences that are too long are cut.
    truncation: Truncation,
    splits: Splits,
    order: StepOrder,
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
        let form = Form { tokenizer: tokenizer.as_ref(), vocabulary, truncation };
        let options = &task.options;
        if options.group_by_length && !sorts {
            tracing::warn!(
                "`task.group_by_length` is not read with `model.semantics = \"hf\"`, where padding changes results"
            );
        }
        let drop_last = options.drop_last.then_some(experiment.trainer.batch_size);
        let splits = Splits::read(&task, &targets, form, Reading { sorts, drop_last })?;
        if tokenizer.is_some() {
            let cure =
                "set `tokenizer.path`, or `model.init_from`, to a model of this text's language";
            let name = format!("the data set `{}`", task.path().display());
            splits.unknown().tell(&name, cure);
        }
        let places = &splits.training_places;
        let lengths = (options.group_by_length && sorts)
            .then(|| places.iter().map(|place| splits.train.example_len(*place) as u32).collect());
        let order = ExampleOrder::new(places.len(), experiment.seed, experiment.data.shuffle);
        Ok(Self {
            labels: targets.names(),
            metrics: task.task().metrics(&targets),
            targets,
            order: StepOrder::new(order, lengths, experiment.seed),
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

    /// Names of the classes; one name if a number is to be predicted.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Size of the vocabulary, and its special ids.
    pub fn vocabulary(&self) -> Vocabulary {
        self.vocabulary
    }

    /// The tokenizer, if the task is made of texts.
    pub fn tokenizer(&self) -> Option<&TextTokenizer> {
        self.tokenizer.as_ref()
    }

    /// The places in the file of a split's examples, in the order of [`BatchSource::evaluation_batch`].
    pub fn evaluation_order(&self, split: Split) -> &[usize] {
        self.splits.get(split).map_or(&[], |evaluated| evaluated.order.as_slice())
    }

    /// A batch of these examples.
    fn rows(&self, split: &EncodedSplit, examples: &[usize]) -> Result<TokenBatch> {
        let sequences = || examples.iter().flat_map(|example| split.sequences(*example));
        let longest = sequences().map(|sequence| split.sequence_len(sequence)).max().unwrap_or(0);
        let seq_len = self.row_len.unwrap_or_else(|| {
            longest.max(1).next_multiple_of(self.task.options.pad_to_multiple_of)
        });
        let cells = sequences().count() * seq_len;
        if i32::try_from(cells).is_err() {
            return Err(LearnerError::Config(format!(
                "`trainer.micro_batch_size` rows of `{seq_len}` tokens are over 2147483647; use fewer"
            )));
        }
        let mut rows = TokenBatch {
            input_ids: Vec::with_capacity(cells),
            token_type_ids: None,
            lengths: Vec::new(),
            hidden_id: self.task.task().masked_id().map(i32::from),
            seq_len,
            targets: self.targets(split, examples),
        };
        let mut types = Vec::with_capacity(cells);
        for sequence in sequences() {
            split.append(sequence, &mut rows.input_ids, &mut types);
            let length = split.sequence_len(sequence);
            rows.lengths.push(length);
            let padding = seq_len - length;
            rows.input_ids.extend(std::iter::repeat_n(self.vocabulary.pad as i32, padding));
            types.extend(std::iter::repeat_n(0, padding));
        }
        rows.token_type_ids = (self.has_types && types.contains(&1)).then_some(types);
        Ok(rows)
    }

    fn targets(&self, split: &EncodedSplit, examples: &[usize]) -> TargetsData {
        let labels = examples.iter().map(|example| split.labels()[*example]);
        if self.targets.is_regression() {
            let value = |label| match label {
                Some(Label::Value(value)) => value,
                _ => 0.0,
            };
            return TargetsData::Values(labels.map(value).collect());
        }
        let class = |label| match label {
            Some(Label::Class(class)) => i32::from(class),
            _ => 0,
        };
        TargetsData::Class(labels.map(class).collect())
    }
}

impl BatchSource for TaskBatches {
    type Batch = TokenBatch;

    fn training_examples(&self) -> usize {
        self.splits.training_places.len()
    }

    fn evaluation_examples(&self, split: Split) -> usize {
        self.splits.measured(split).map_or(0, |evaluated| evaluated.order.len())
    }

    fn training_step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> Result<Vec<TokenBatch>> {
        let order = self.order.batch(completed_steps, batch_size);
        let Splits { train, training_places, .. } = &self.splits;
        let mut examples: Vec<usize> =
            order.into_iter().map(|example| training_places[example]).collect();
        if self.sorts {
            examples.sort_by_key(|example| train.example_len(*example));
        }
        let micro_batches = examples.chunks(micro_batch_size);
        micro_batches.map(|examples| self.rows(train, examples)).collect()
    }

    fn evaluation_batch(&self, split: Split, first: usize, count: usize) -> Result<TokenBatch> {
        let evaluated =
            self.splits.get(split).expect("rows are asked for of a split that has some");
        self.rows(&evaluated.examples, &evaluated.order[first..first + count])
    }

    fn metrics(&self) -> Vec<Metric> {
        self.metrics.clone()
    }

    fn constant_answer(&self) -> Option<Label> {
        let Splits { train, training_places, .. } = &self.splits;
        let labels = training_places.iter().filter_map(|place| train.labels()[*place]);
        let mut counts = vec![0_usize; self.labels.len()];
        let mut sum = 0.0;
        for label in labels {
            match label {
                Label::Class(class) => counts[usize::from(class)] += 1,
                Label::Value(value) => sum += f64::from(value),
            }
        }
        if self.targets.is_regression() {
            return Some(Label::Value((sum / training_places.len() as f64) as f32));
        }
        // Of classes that are equally frequent the first.
        let classes = counts.iter().enumerate().rev();
        classes.max_by_key(|(_, count)| **count).map(|(class, _)| Label::Class(class as u16))
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
