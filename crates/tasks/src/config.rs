//! The `[task]` table of a config file.

use std::path::PathBuf;

use nystromformer_data::DataError;
use serde::{Deserialize, Serialize};

use crate::kind::TaskKind;
use crate::labelled::LabelledColumns;
use crate::lra::pathfinder::ContourLength;

/// The `[task]` table: which labelled data set, and how its examples become batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file, independent of the others"
)]
pub struct TaskConfig {
    /// Which task.
    pub name: TaskKind,
    /// The folder of its files; of `labelled` also a single file, to train on. Default: the task's own below `datasets/`, see [`TaskKind::default_path`].
    pub path: Option<PathBuf>,
    /// `labelled`: the column of the sentence, or of the first of a pair. Default: `"sentence"`.
    pub sentence1: String,
    /// `labelled`: the column of the second sentence of a pair. Default: none.
    pub sentence2: Option<String>,
    /// `labelled`: the column of the label. Default: `"label"`.
    pub label: String,
    /// `labelled`: names of the classes in their order. Default: those found, sorted. `text`: with them, bytes of one's own
    /// files are read as `labelled` reads them, instead of IMDB's.
    pub labels: Vec<String>,
    /// `labelled`: whether labels are numbers to be predicted, and no classes. Default: false.
    pub regression: bool,
    /// Share of the training examples held out for validation where a data set has no validation split; in (0, 1).
    /// Default: 0.05.
    pub validation_fraction: f64,
    /// Seed of every split that is drawn here, so that runs of different `seed` can be compared. Default: 0.
    pub split_seed: u64,
    /// Rows are padded to the longest of their batch, and further to a multiple of this (Hugging Face's word). Default: 1.
    pub pad_to_multiple_of: usize,
    /// Make batches of examples of about the same length, where padding changes no result (`semantics = "paper"`; elsewhere
    /// it is not read). Which examples share a step, and so the training, is another one then. Default: false.
    pub group_by_length: bool,
    /// Most training examples; 0 for all. The first of the file's. Default: 0.
    pub max_train_samples: usize,
    /// Most examples of each split that is evaluated; 0 for all. Default: 0.
    pub max_eval_samples: usize,
    /// `pathfinder`: dashes of the long curves, `"6"`, `"9"` or `"14"`. Default: `"14"`, the hard ones that the Long Range
    /// Arena measures.
    pub contour: ContourLength,
    /// Tasks with a vocabulary of their own: begin each sequence with a token that stands for all of it, for
    /// `model.pooling = "first"` to read. Its id is the first beyond the vocabulary; a sequence keeps one token less.
    /// Default: false.
    pub prepend_cls: bool,
    /// `image` and `pathfinder`: take black pixels (id 0) for padding, as the authors' code does. Default: false.
    pub mask_black_pixels: bool,
    /// Validate on the test split, as the authors do for `text`: the best checkpoint is then chosen by the examples it
    /// is tested with. Default: false.
    pub validate_on_test: bool,
    /// Leave out the last validation and test batch if it is not full, as the authors' loaders do. Default: false.
    pub drop_last: bool,
    /// `labelled`: longest line, or file of text, that is accepted, in bytes; it bounds memory. Default: 16 MiB.
    pub max_line_bytes: usize,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            name: TaskKind::default(),
            path: None,
            sentence1: "sentence".to_owned(),
            sentence2: None,
            label: "label".to_owned(),
            labels: Vec::new(),
            regression: false,
            validation_fraction: 0.05,
            split_seed: 0,
            pad_to_multiple_of: 1,
            group_by_length: false,
            max_train_samples: 0,
            max_eval_samples: 0,
            contour: ContourLength::Fourteen,
            prepend_cls: false,
            mask_black_pixels: false,
            validate_on_test: false,
            drop_last: false,
            max_line_bytes: 16 << 20,
        }
    }
}

impl TaskConfig {
    /// `labelled`: which columns make an example.
    pub(crate) fn columns(&self) -> LabelledColumns {
        LabelledColumns {
            first: self.sentence1.as_str().into(),
            second: self.sentence2.as_deref().map(Into::into),
            label: self.label.as_str().into(),
            max_line_bytes: self.max_line_bytes,
            ..LabelledColumns::default()
        }
    }

    /// The folder of the task's files.
    pub fn folder(&self) -> PathBuf {
        self.path.clone().unwrap_or_else(|| self.name.default_path())
    }

    /// A [`DataError::Config`] for every value that is out of range.
    pub fn problems(&self) -> Vec<DataError> {
        let mut problems = Vec::new();
        if !(self.validation_fraction > 0.0 && self.validation_fraction < 1.0) {
            problems.push(DataError::config(
                "task.validation_fraction",
                self.validation_fraction,
                "must be above 0 and below 1",
            ));
        }
        for (key, value) in [
            ("task.max_line_bytes", self.max_line_bytes),
            ("task.pad_to_multiple_of", self.pad_to_multiple_of),
        ] {
            if value == 0 {
                problems.push(DataError::config(key, 0, "must be at least 1"));
            }
        }
        if self.prepend_cls && !self.name.has_own_vocabulary() {
            problems.push(DataError::config(
                "task.prepend_cls",
                true,
                "goes with tasks of symbols, bytes and pixels only: a tokenizer adds its own first token",
            ));
        }
        if self.mask_black_pixels && !self.name.is_pixels() {
            problems.push(DataError::config(
                "task.mask_black_pixels",
                true,
                "goes with the tasks `image` and `pathfinder` only",
            ));
        }
        if self.name != TaskKind::Labelled {
            for (key, stated) in [
                ("task.sentence2", self.sentence2.is_some()),
                ("task.labels", !self.labels.is_empty() && self.name != TaskKind::Text),
                ("task.regression", self.regression),
            ] {
                if stated {
                    let advice =
                        "goes with `task.name = \"labelled\"` only: this task says it itself";
                    problems.push(DataError::config(key, "…", advice));
                }
            }
        }
        problems
    }
}
