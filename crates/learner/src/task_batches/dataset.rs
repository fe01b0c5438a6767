//! [`TaskDataset`]: the examples of a task, whatever its files look like.

use std::path::PathBuf;

use nystromformer_data::DataError;
use nystromformer_lra::{bytes, image, listops, pathfinder, retrieval};
use nystromformer_tasks::glue::{self, GlueTask};
use nystromformer_tasks::imdb::{self, LineBreaks};
use nystromformer_tasks::labelled::{ClassNames, Location, Targets};
use nystromformer_tasks::metrics::Metric;
use nystromformer_tasks::{ExampleReader, Part, Split, Truncation};

use super::config::TaskConfig;
use super::kind::TaskKind;

/// The name of the one output of a regression.
const VALUE: &str = "value";

/// Ids of a vocabulary of bytes: the padding, and each byte plus one.
const BYTES: OwnVocabulary = OwnVocabulary::new(bytes::VOCAB_SIZE, 0);

/// Ids of a vocabulary of gray values, and one more for a padding that no picture has: 0 is black.
const PIXELS: OwnVocabulary = OwnVocabulary::new(257, 256);

/// A task's own vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnVocabulary {
    /// Ids, the padding's included.
    pub(super) size: usize,
    /// Id of the padding.
    pub(super) pad: usize,
    /// Id of a token that begins each sequence, if there is to be one.
    pub(super) cls: Option<usize>,
}

impl OwnVocabulary {
    const fn new(size: usize, pad: usize) -> Self {
        Self { size, pad, cls: None }
    }

    /// With a token more, to begin each sequence with.
    fn with_cls(self) -> Self {
        Self { size: self.size + 1, cls: Some(self.size), ..self }
    }
}

/// A task's data set.
#[derive(Debug)]
pub(super) struct TaskDataset {
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
    pub(super) fn open(config: &TaskConfig, seq_len: usize) -> Result<Self, DataError> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let numbered = |count: usize| (0..count).map(|class| class.to_string()).collect();
        let labels = match config.name {
            TaskKind::Glue(task) if task.is_regression() => owned(&[VALUE]),
            TaskKind::Glue(task) => owned(task.label_names()),
            TaskKind::Text if !config.labels.is_empty() => config.labels.clone(),
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
    pub(super) fn vocabulary(&self) -> Option<OwnVocabulary> {
        let vocabulary = match self.config.name {
            TaskKind::Listops => OwnVocabulary::new(listops::VOCAB_SIZE, 0),
            TaskKind::Text | TaskKind::Retrieval => BYTES,
            TaskKind::Image | TaskKind::Pathfinder => PIXELS,
            TaskKind::Glue(_) | TaskKind::Imdb | TaskKind::Labelled => return None,
        };
        Some(if self.config.prepend_cls { vocabulary.with_cls() } else { vocabulary })
    }

    /// How sequences are cut.
    pub(super) fn cut(&self) -> Truncation {
        Truncation { max_length: self.seq_len, keep: self.config.truncation }
    }

    /// Names of the classes; one name if a number is to be predicted.
    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Whether a number is to be predicted, and no class.
    pub(super) fn is_regression(&self) -> bool {
        match self.config.name {
            TaskKind::Glue(task) => task.is_regression(),
            TaskKind::Labelled => self.config.regression,
            _ => false,
        }
    }

    /// What is measured. The first is the task's own, by which a best checkpoint is chosen.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        match self.config.name {
            TaskKind::Glue(GlueTask::Cola) => vec![Metric::MatthewsCorrelation, Metric::Accuracy],
            TaskKind::Glue(GlueTask::Mrpc | GlueTask::Qqp) => vec![Metric::F1, Metric::Accuracy],
            _ if self.is_regression() => vec![Metric::Pearson, Metric::Spearman],
            TaskKind::Labelled => vec![Metric::Accuracy, Metric::F1Macro],
            _ => vec![Metric::Accuracy],
        }
    }

    /// The examples of a split, `None` if the task has none such. If it has examples to train on and none to validate with,
    /// some of the former are to be [held out](nystromformer_tasks::hold_out).
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if a file is missing.
    pub(super) fn read(&self, split: Split) -> Result<Option<ExampleReader>, DataError> {
        let folder = self.folder.as_path();
        if let TaskKind::Glue(task) = self.config.name {
            // Test sets have no labels: they are for `predict glue`, and need not be there to train.
            let known = task.splits().contains(&split) && !split.is_test();
            return known.then(|| glue::read(task, folder, split)).transpose();
        }
        match split.part() {
            Some(part) => self.read_part(part),
            None => Ok(None),
        }
    }

    fn read_part(&self, part: Part) -> Result<Option<ExampleReader>, DataError> {
        let (folder, seed) = (self.folder.as_path(), self.config.split_seed);
        match self.config.name {
            TaskKind::Imdb => imdb::read(folder, part, LineBreaks::Blank),
            TaskKind::Text => {
                let texts = if self.config.labels.is_empty() {
                    imdb::read(folder, part, LineBreaks::Keep)?
                } else {
                    self.labelled(part)?
                };
                Ok(texts.map(|texts| bytes::reader(texts, self.cut())))
            }
            TaskKind::Listops => {
                listops::open(&folder.join(listops::file_name(part)), self.cut()).map(Some)
            }
            TaskKind::Retrieval => {
                retrieval::open(&folder.join(retrieval::file_name(part)), self.cut()).map(Some)
            }
            TaskKind::Image => image::open(folder, part, seed).map(Some),
            TaskKind::Pathfinder => {
                let side = self.seq_len.isqrt();
                let pictures = pathfinder::subset_folder(folder, side, self.config.contour);
                pathfinder::open(&pictures, side, part, seed).map(Some)
            }
            // A single file is all training examples: none of them may validate or test as well.
            TaskKind::Labelled if part != Part::Train && folder.is_file() => Ok(None),
            TaskKind::Labelled => self.labelled(part),
            TaskKind::Glue(_) => Ok(None),
        }
    }

    /// Examples of one's own files.
    fn labelled(&self, part: Part) -> Result<Option<ExampleReader>, DataError> {
        let Some(found) = Location::find(&self.folder, part)? else { return Ok(None) };
        let targets = if self.config.regression {
            Targets::Numbers { range: f32::MIN..=f32::MAX }
        } else {
            Targets::Classes(ClassNames::new(self.labels.iter().cloned())?)
        };
        let required = part != Part::Test;
        found.read(&self.config.columns(), &targets, required).map(Some)
    }
}

/// Where the training examples of a data set of one's own are.
fn training_files(config: &TaskConfig) -> Result<Location, DataError> {
    let folder = config.folder();
    Location::find(&folder, Part::Train)?.ok_or_else(|| {
        DataError::dataset(
            &folder,
            "no training examples in it: expected `train.csv`, `.tsv`, `.jsonl` or `.parquet`, or `train/CLASS/NAME.txt`",
        )
    })
}
