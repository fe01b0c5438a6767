//! [`Task`]: what a labelled data set must say of itself to be trained on.

use std::fmt;
use std::path::{Path, PathBuf};

use nystromformer_data::{DataError, Windows};
use nystromformer_files::table::Column;
use toml::Table;

use crate::example::{ExampleReader, Label};
use crate::label_rule::LabelRule;
use crate::labelled::Targets;
use crate::metrics::{Metric, MetricScorer, Scorer, Thresholds};
use crate::objective::Augmentation;
use crate::options::TaskOptions;
use crate::prediction_files::{PredictionFile, PredictionReader, json_lines};
use crate::registry::SharedKeys;
use crate::split::Split;

/// Class of model of most tasks, by its name in `config.json`.
pub const SEQUENCE_CLASSIFICATION: &str = "NystromformerForSequenceClassification";

/// A labelled data set: its examples, what is to be predicted of them, by which class of model, and how that is measured.
///
/// A task is a struct of its own keys of `[task]`, and is known by the name that a
/// [`TaskRegistry`](crate::TaskRegistry) has for it. This one counts symbols:
///
/// ```
/// use nystromformer_tasks::{
///     DataError, Example, ExampleReader, Input, Label, OwnVocabulary, Split, Targets, Task, TaskContext, TaskRegistry,
/// };
/// use serde::{Deserialize, Serialize};
///
/// /// `parity`: is the number of ones in a sequence of zeros and ones even?
/// #[derive(Debug, Clone, Default, Serialize, Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Parity {
///     /// `task.length`: symbols of a sequence.
///     length: u32,
/// }
///
/// impl Task for Parity {
///     fn targets(&self, _: &TaskContext) -> Result<Targets, DataError> {
///         Targets::classes(["even", "odd"])
///     }
///
///     fn vocabulary(&self) -> Option<OwnVocabulary> {
///         Some(OwnVocabulary::new(3, 0)) // padding, zero, one
///     }
///
///     fn examples(
///         &self,
///         split: Split,
///         _: &Targets,
///         _: &TaskContext,
///     ) -> Result<Option<ExampleReader>, DataError> {
///         let numbers = match split {
///             Split::Train => 0..50_u32,
///             Split::Test => 50..64,
///             _ => return Ok(None),
///         };
///         let length = self.length;
///         Ok(Some(Box::new(numbers.map(move |number| {
///             Ok(Example {
///                 id: None,
///                 row: None,
///                 input: Input::Ids {
///                     first: (0..length).map(|bit| 1 + (number >> bit & 1) as u16).collect(),
///                     second: None,
///                 },
///                 label: Some(Label::Class((number.count_ones() % 2) as u16)),
///             })
///         }))))
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tasks = TaskRegistry::default().with::<Parity>("parity");
/// let config = tasks.read(&"name = \"parity\"\nlength = 6".parse()?)?;
/// assert_eq!(config.targets(128)?.names(), ["even", "odd"]);
/// # Ok(())
/// # }
/// ```
pub trait Task: fmt::Debug + Send + Sync {
    /// Where its files are looked for if `task.path` is not set. Default: `datasets`.
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets")
    }

    /// Keys of `[task]` that it shares with other tasks: fields that hold a struct of them each, and are no keys themselves
    /// (`#[serde(skip)]`). Default: none.
    fn shared_keys(&mut self) -> Vec<&mut dyn SharedKeys> {
        Vec::new()
    }

    /// Everything that is wrong with its own keys, beside `options`: a [`DataError::Config`] each. Default: nothing.
    fn problems(&self, options: &TaskOptions) -> Vec<DataError> {
        let _ = options;
        Vec::new()
    }

    /// Which columns its inputs and its labels stand in, as far as its keys say. Default: `None`, no keys do.
    fn columns(&self) -> Option<ColumnUse> {
        None
    }

    /// The class of model that it trains, by its name in `config.json`. Default: [`SEQUENCE_CLASSIFICATION`].
    fn model_class(&self) -> &'static str {
        SEQUENCE_CLASSIFICATION
    }

    /// What is to be predicted.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the data says it, and is missing or cannot be read.
    fn targets(&self, context: &TaskContext<'_>) -> Result<Targets, DataError>;

    /// Those of its own keys that the data answers where nothing sets them. Default: none.
    fn keys_from_data(&self) -> &'static [&'static str] {
        &[]
    }

    /// What the data answers for [those keys](Self::keys_from_data) that are not set. A run keeps the answers in its `config.toml`:
    /// its model is then used as it was trained, also where that data is gone, or is another by then. Default: nothing.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the data is missing or cannot be read.
    fn resolved_keys(
        &self,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Table, DataError> {
        let _ = (targets, context);
        Ok(Table::new())
    }

    /// The examples of a split, `None` if there is no such split. If there are examples to train on and none to validate with,
    /// some of the former are [held out](crate::hold_out). It may be asked more than once, and gives the same each time.
    ///
    /// # Errors
    ///
    /// [`DataError`] if a file is missing; the reader gives those of what it reads.
    fn examples(
        &self,
        split: Split,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError>;

    /// Whether its examples are [feature vectors](crate::Input::Vectors). Default: false.
    fn reads_vectors(&self) -> bool {
        false
    }

    /// Whether the features of vectors are to be standardised by their statistics in training. Default: false.
    fn standardizes_features(&self) -> bool {
        false
    }

    /// The vocabulary of a task whose examples are [ids](crate::Input::Ids). Default: `None`, its examples are texts.
    fn vocabulary(&self) -> Option<OwnVocabulary> {
        None
    }

    /// The share of its ids that `task.objective = "masked_inputs"` hides if no key says another. Default: 0.15 of a task with a
    /// [vocabulary](Self::vocabulary) of its own; `None` of others, whose inputs are not learned so.
    fn masked_share(&self) -> Option<f64> {
        self.vocabulary().map(|_| 0.15)
    }

    /// What is done to the ids of training examples each time that they are visited. Default: nothing.
    fn augmentation(&self) -> Augmentation {
        Augmentation::default()
    }

    /// How a [text](crate::Input::Text) that is longer than a row is read with `task.truncation = "windows"`, each window with the
    /// label of the text. Default: `None`, it has no such texts.
    fn windows(&self) -> Option<Windows> {
        None
    }

    /// How examples of [words](crate::Input::Words) become rows. Default: [`WordOptions::default`].
    fn word_options(&self, targets: &Targets) -> WordOptions {
        let _ = targets;
        WordOptions::default()
    }

    /// An id whose tokens take no part in attention, wherever they stand. Default: none.
    fn masked_id(&self) -> Option<u16> {
        None
    }

    /// Whether the names of its classes are for the data, or a key `task.labels`, to say. Default: no.
    fn names_classes(&self) -> bool {
        false
    }

    /// Whether [`Self::file_examples`] reads this file, which need not be a split of the data set; a note says why not, if it
    /// looks as if it were for the task. Default: no.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the file cannot be read.
    fn reads_file(&self, file: &Path) -> Result<bool, DataError> {
        let _ = file;
        Ok(false)
    }

    /// The examples of a file that is no split of the data set, in the task's format, which are to be predicted: they need no
    /// labels ([`LabelRule::IfReadable`](crate::LabelRule::IfReadable)). Labels that are there are read as the task's keys say, and are
    /// none where they are no label of `targets`; a number stands for the name that the task's own key, or the file itself, lists
    /// for it, and never for one of `targets` by its place among them, unless that is what numbers mean in this task. Default: the
    /// task reads no single files.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] if it does not; as [`Self::examples`].
    fn file_examples(
        &self,
        file: &Path,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<ExampleReader, DataError> {
        let _ = (targets, context);
        Err(DataError::dataset(
            file,
            "the task of this model does not read single files; name a data set with `task.path`",
        ))
    }

    /// What is measured of classes or numbers. The first is what the best checkpoint is chosen by. Default: accuracy of
    /// classes; Pearson's and Spearman's correlation of numbers.
    fn metrics(&self, targets: &Targets) -> Vec<Metric> {
        if targets.is_regression() {
            vec![Metric::Pearson, Metric::Spearman]
        } else {
            vec![Metric::Accuracy]
        }
    }

    /// From which probability on each class applies, where any number of them may. Default: chosen for each on the validation split.
    fn threshold(&self) -> Option<f64> {
        None
    }

    /// Whether a model is trained towards numbers less their mean, over their deviation, both of the training examples.
    /// Default: it is trained towards the numbers themselves.
    fn standardizes_labels(&self) -> bool {
        false
    }

    /// What is measured, whatever is to be predicted. Default: [`Self::metrics`].
    fn scorer(&self, targets: &Targets) -> Box<dyn Scorer> {
        let metrics = self.metrics(targets);
        Box::new(MetricScorer::new(metrics, targets).with_threshold(self.threshold()))
    }

    /// How a prediction is written; `None` if it is no label of the task. Default: the name of the class, or the number.
    fn prediction(&self, label: &Label, targets: &Targets) -> Option<String> {
        targets.spell(label)
    }

    /// What follows the names of the [files of predictions](Self::prediction_files) for the examples of this file; `jsonl`, an
    /// object a line, is always one. Default: that alone.
    fn prediction_formats(&self, file: &Path) -> Vec<&'static str> {
        let _ = file;
        vec!["jsonl"]
    }

    /// The predictions for examples as files, in the format that the examples came in. Default: [`json_lines`].
    ///
    /// # Errors
    ///
    /// Those of `predicted`.
    fn prediction_files(
        &self,
        predicted: PredictionReader<'_>,
        targets: &Targets,
        thresholds: &Thresholds,
    ) -> Result<Vec<PredictionFile>, DataError> {
        let spell = |label: &Label| self.prediction(label, targets);
        Ok(vec![json_lines(predicted, targets, thresholds, &spell)?])
    }
}

/// What a task is told besides its own keys.
#[derive(Debug, Clone, Copy)]
pub struct TaskContext<'a> {
    /// `task.path`, or the task's [default](Task::default_path).
    pub path: &'a Path,
    /// `task.split_seed`: of every split that is drawn.
    pub split_seed: u64,
    /// `data.seq_len`: tokens of a row at most. Readers give sequences whole; what is longer is cut, and counted, later.
    pub seq_len: usize,
    /// What the model calls the features of vectors, in their order; none if it does not know, as before training.
    pub feature_names: &'a [String],
    /// What the classes of the model are called that is to answer; `None` where the data says what there is to learn. A task that
    /// [names classes](Task::names_classes) takes these, so that the data its model was trained on need not be there.
    pub class_names: Option<&'a [String]>,
    /// What the classes of the model are called that is trained or measured (`id2label`): where the data says what there is to learn, a
    /// label of such a name is a class, also if it looks like none.
    pub known_classes: &'a [String],
    /// Whether labels are learned: not with `task.objective = "masked_inputs"`, and no example needs one then.
    pub reads_labels: bool,
}

impl TaskContext<'_> {
    /// What is asked of the labels of a split.
    pub fn label_rule(&self, split: Split) -> LabelRule {
        if self.reads_labels { LabelRule::of_split(split) } else { LabelRule::Unread }
    }
}

/// Which columns of its tables a task reads inputs from, and which labels.
#[derive(Debug, Clone)]
pub struct ColumnUse {
    /// Columns that the model reads, each with the key that names it, as `task.key`.
    pub inputs: Vec<(&'static str, Column)>,
    /// Columns that it is to predict.
    pub labels: Vec<Column>,
    /// The key that names those.
    pub label_key: &'static str,
}

impl ColumnUse {
    pub(crate) fn new<'a>(
        inputs: impl IntoIterator<Item = (&'static str, &'a Column)>,
        labels: &[Column],
        label_key: &'static str,
    ) -> Self {
        let inputs = inputs.into_iter().map(|(key, column)| (key, column.clone())).collect();
        Self { inputs, labels: labels.to_vec(), label_key }
    }
}

/// How examples of words become rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordOptions {
    /// Tokens that windows over a sentence longer than a row share at least. Default: 64.
    pub stride: usize,
    /// The class of the further tokens of a word, for each class of its first. Default: `None`, only the first token of a word
    /// has a class.
    pub continuations: Option<Vec<u16>>,
}

impl Default for WordOptions {
    fn default() -> Self {
        Self { stride: 64, continuations: None }
    }
}

/// A task's own vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnVocabulary {
    /// Ids, the padding's included.
    pub size: usize,
    /// Id of the padding.
    pub pad: usize,
    /// Id of a token that begins each sequence, if there is to be one.
    pub cls: Option<usize>,
}

impl OwnVocabulary {
    /// A vocabulary of so many ids, without a token to begin with.
    pub const fn new(size: usize, pad: usize) -> Self {
        Self { size, pad, cls: None }
    }

    /// With a token more to begin each sequence with, if that is wanted.
    #[must_use]
    pub fn with_cls(self, wanted: bool) -> Self {
        if wanted { Self { size: self.size + 1, cls: Some(self.size), ..self } } else { self }
    }
}
