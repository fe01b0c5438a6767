//! [`TaskDataset`]: the examples of a task, whatever its files look like.

use std::path::PathBuf;

use nystromformer_data::DataError;

use crate::config::TaskConfig;
use crate::example::{Example, ExampleReader, Input};
use crate::glue::{self, GlueSplit, GlueTask};
use crate::imdb::{self, ImdbSplit, LineBreaks};
use crate::kind::TaskKind;
use crate::labelled::{ClassNames, DataSplit, Location, Targets};
use crate::lra::pathfinder::{self, ContourLength};
use crate::lra::{self, image, listops};
use crate::metrics::Metric;
use crate::split::Split;

/// The name of the one output of a regression.
const VALUE: &str = "value";

/// Ids of a vocabulary of bytes: the padding, and each byte plus one.
const BYTES: OwnVocabulary = OwnVocabulary { size: 257, pad: 0 };

/// Ids of a vocabulary of gray values, and one more for a padding that no picture has: 0 is black.
const PIXELS: OwnVocabulary = OwnVocabulary { size: 257, pad: 256 };

/// A task's own vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnVocabulary {
    /// Ids, the padding's included.
    pub size: usize,
    /// Id of the padding.
    pub pad: usize,
}

/// A task's data set.
#[derive(Debug)]
pub struct TaskDataset {
    config: TaskConfig,
    folder: PathBuf,
    /// Longest sequence that is given, in tokens of the own vocabulary.
    seq_len: usize,
    labels: Vec<String>,
}

impl TaskDataset {
    /// The data set of a task. Sequences of ids are cut to `seq_len`.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] and [`DataError::Dataset`] if it is not there, with where it was looked for.
    pub fn open(config: &TaskConfig, seq_len: usize) -> Result<Self, DataError> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let numbered = |count: usize| (0..count).map(|class| class.to_string()).collect();
        let labels = match config.name {
            TaskKind::Glue(task) if task.is_regression() => owned(&[VALUE]),
            TaskKind::Glue(task) => owned(task.label_names()),
            TaskKind::Imdb | TaskKind::Text => owned(&imdb::LABEL_NAMES),
            TaskKind::Listops => numbered(listops::NUM_LABELS),
            TaskKind::Pathfinder => owned(&["apart", "joined"]),
            TaskKind::Retrieval => owned(&["unrelated", "related"]),
            TaskKind::Image => image::class_names(&config.folder())?,
            TaskKind::Labelled if config.regression => owned(&[VALUE]),
            TaskKind::Labelled if !config.labels.is_empty() => config.labels.clone(),
            TaskKind::Labelled => {
                let train = training_files(config)?;
                train.class_names(&config.columns())?.names().to_vec()
            }
        };
        Ok(Self { config: config.clone(), folder: config.folder(), seq_len, labels })
    }

    /// The vocabulary of a task that has its own; `None` for a task of texts.
    pub fn vocabulary(&self) -> Option<OwnVocabulary> {
        match self.config.name {
            TaskKind::Listops => Some(OwnVocabulary { size: listops::VOCAB_SIZE, pad: 0 }),
            TaskKind::Text | TaskKind::Retrieval => Some(BYTES),
            TaskKind::Image | TaskKind::Pathfinder => Some(PIXELS),
            TaskKind::Glue(_) | TaskKind::Imdb | TaskKind::Labelled => None,
        }
    }

    /// Names of the classes; one name if a number is to be predicted.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What is measured. The first is the task's own, by which a best checkpoint is chosen.
    pub fn metrics(&self) -> Vec<Metric> {
        match self.config.name {
            TaskKind::Glue(GlueTask::Cola) => vec![Metric::MatthewsCorrelation, Metric::Accuracy],
            TaskKind::Glue(GlueTask::Mrpc | GlueTask::Qqp) => vec![Metric::F1, Metric::Accuracy],
            _ if self.labels.len() == 1 => vec![Metric::Pearson, Metric::Spearman],
            TaskKind::Labelled => vec![Metric::Accuracy, Metric::F1Macro],
            _ => vec![Metric::Accuracy],
        }
    }

    /// The examples of a split, `None` if the task has none such. If it has examples to train on and none to validate with,
    /// some of the former are to be [held out](crate::hold_out).
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if a file is missing.
    pub fn read(&self, split: Split) -> Result<Option<ExampleReader>, DataError> {
        let split = match split {
            Split::Validation if self.config.validate_on_test => Split::Test,
            split => split,
        };
        let folder = self.folder.as_path();
        match self.config.name {
            TaskKind::Glue(task) => {
                let split = glue_split(split);
                let known = task.splits().contains(&split);
                known.then(|| glue::read(task, folder, split)).transpose()
            }
            TaskKind::Imdb => self.reviews(split, LineBreaks::Blank),
            TaskKind::Text => {
                let (reviews, seq_len) = (self.reviews(split, LineBreaks::Keep)?, self.seq_len);
                Ok(reviews.map(|reviews| {
                    let bytes = reviews.map(move |example| example.map(|it| in_bytes(it, seq_len)));
                    Box::new(bytes) as ExampleReader
                }))
            }
            TaskKind::Listops => arena_split(split)
                .map(|split| listops::open(&folder.join(listops::file_name(split)), self.seq_len))
                .transpose(),
            TaskKind::Pathfinder => arena_split(split)
                .map(|split| {
                    let side = self.seq_len.isqrt();
                    let pictures = pathfinder::subset_folder(folder, side, ContourLength::Fourteen);
                    pathfinder::open(&pictures, side, split, self.config.split_seed)
                })
                .transpose(),
            TaskKind::Image => arena_split(split)
                .map(|split| image::open(folder, split, self.config.split_seed))
                .transpose(),
            TaskKind::Retrieval => Ok(None),
            TaskKind::Labelled => {
                let Some(split) = data_split(split) else { return Ok(None) };
                let Some(found) = Location::find(folder, split)? else { return Ok(None) };
                let targets = if self.config.regression {
                    Targets::Numbers { range: f32::MIN..=f32::MAX }
                } else {
                    Targets::Classes(ClassNames::new(self.labels.iter().cloned())?)
                };
                let required = split != DataSplit::Test;
                found.read(&self.config.columns(), &targets, required).map(Some)
            }
        }
    }

    fn reviews(
        &self,
        split: Split,
        line_breaks: LineBreaks,
    ) -> Result<Option<ExampleReader>, DataError> {
        let split = match split {
            Split::Train => ImdbSplit::Train,
            Split::Test => ImdbSplit::Test,
            _ => return Ok(None),
        };
        imdb::read(&self.folder, split, line_breaks).map(Some)
    }
}

/// Where the training examples of a data set of one's own are.
fn training_files(config: &TaskConfig) -> Result<Location, DataError> {
    let folder = config.folder();
    Location::find(&folder, DataSplit::Train)?.ok_or_else(|| {
        DataError::dataset(
            &folder,
            "no training examples in it: expected `train.csv`, `.tsv`, `.jsonl` or `.parquet`, or `train/CLASS/NAME.txt`",
        )
    })
}

fn data_split(split: Split) -> Option<DataSplit> {
    match split {
        Split::Train => Some(DataSplit::Train),
        Split::Validation => Some(DataSplit::Validation),
        Split::Test => Some(DataSplit::Test),
        Split::ValidationMismatched | Split::TestMismatched => None,
    }
}

fn glue_split(split: Split) -> GlueSplit {
    match split {
        Split::Train => GlueSplit::Train,
        Split::Validation => GlueSplit::Dev,
        Split::ValidationMismatched => GlueSplit::DevMismatched,
        Split::Test => GlueSplit::Test,
        Split::TestMismatched => GlueSplit::TestMismatched,
    }
}

fn arena_split(split: Split) -> Option<lra::Split> {
    match split {
        Split::Train => Some(lra::Split::Train),
        Split::Validation => Some(lra::Split::Validation),
        Split::Test => Some(lra::Split::Test),
        Split::ValidationMismatched | Split::TestMismatched => None,
    }
}

/// A text as ids of [`BYTES`].
fn in_bytes(example: Example, seq_len: usize) -> Example {
    let Input::Text { first, .. } = example.input else {
        return example;
    };
    let first = first.bytes().take(seq_len).map(|byte| u16::from(byte) + 1).collect();
    Example { input: Input::Ids { first, second: None }, label: example.label }
}
