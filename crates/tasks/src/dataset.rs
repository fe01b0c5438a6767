//! [`TaskDataset`]: the examples of a task, whatever its files look like.

use std::path::PathBuf;

use nystromformer_data::DataError;

use crate::config::TaskConfig;
use crate::example::ExampleReader;
use crate::kind::TaskKind;
use crate::lra::listops;
use crate::metrics::Metric;
use crate::split::Split;

/// A task's own vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnVocabulary {
    /// Ids, the padding's included.
    pub size: usize,
    /// Id of the padding.
    pub pad: usize,
}

/// A task's data set, opened.
#[derive(Debug)]
pub struct TaskDataset {
    config: TaskConfig,
    folder: PathBuf,
    /// Longest sequence that is given, in tokens of the own vocabulary.
    seq_len: usize,
    labels: Vec<String>,
}

impl TaskDataset {
    /// Opens the data set of a task. Sequences of ids are cut to `seq_len`.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] and [`DataError::Dataset`] if it is not there, with where it was looked for.
    pub fn open(config: &TaskConfig, seq_len: usize) -> Result<Self, DataError> {
        let labels = (0..listops::NUM_LABELS).map(|digit| digit.to_string()).collect();
        Ok(Self { config: config.clone(), folder: config.folder(), seq_len, labels })
    }

    /// The vocabulary of a task that has its own; `None` for a task of texts.
    pub fn vocabulary(&self) -> Option<OwnVocabulary> {
        match self.config.name {
            TaskKind::Listops => Some(OwnVocabulary { size: listops::VOCAB_SIZE, pad: 0 }),
            _ => None,
        }
    }

    /// Names of the classes; one name if a number is to be predicted.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What is measured. The first is the task's own, by which a best checkpoint is chosen.
    pub fn metrics(&self) -> Vec<Metric> {
        vec![Metric::Accuracy]
    }

    /// The examples of a split, `None` if the task has none such.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if a file is missing.
    pub fn read(&self, split: Split) -> Result<Option<ExampleReader>, DataError> {
        let name = match split {
            Split::Train => "train",
            Split::Validation => "val",
            Split::Test => "test",
            _ => return Ok(None),
        };
        let path = self.folder.join(format!("basic_{name}.tsv"));
        listops::open(&path, self.seq_len).map(Some)
    }
}
