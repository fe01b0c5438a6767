//! The `[task]` table of a config file.

use std::path::PathBuf;

use nystromformer_data::DataError;
use serde::{Deserialize, Serialize};

use crate::kind::TaskKind;
use crate::labelled::LabelledColumns;
use crate::lra::pathfinder::ContourLength;
use crate::table::Column;

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
    /// `labelled`: whether the first line of a TSV or CSV file names the columns. Without it they are named by their place,
    /// from 0: `sentence1 = "0"`. Default: true.
    pub header: bool,
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
            header: true,
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
    ///
    /// # Errors
    /// [`DataError::Config`] for a column of a file without a header that is named by no place.
    pub(crate) fn columns(&self) -> Result<LabelledColumns, DataError> {
        Ok(LabelledColumns {
            first: self.column("task.sentence1", &self.sentence1)?,
            second: self
                .sentence2
                .as_deref()
                .map(|second| self.column("task.sentence2", second))
                .transpose()?,
            label: self.column("task.label", &self.label)?,
            header: self.header,
            max_line_bytes: self.max_line_bytes,
        })
    }

    fn column(&self, key: &'static str, column: &str) -> Result<Column, DataError> {
        if self.header {
            return Ok(column.into());
        }
        let place = column.parse::<usize>().map_err(|_| {
            let advice = "with `task.header = false` a column is named by its place, e.g. \"0\"";
            DataError::config(key, column, advice)
        })?;
        Ok(place.into())
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
        problems.extend(self.unread_keys());
        if self.reads_own_files() {
            problems.extend(self.columns().err());
        }
        problems
    }

    /// Whether the columns are one's own: of `labelled`, and of `text` with classes of one's own.
    fn reads_own_files(&self) -> bool {
        self.name == TaskKind::Labelled || (self.name == TaskKind::Text && !self.labels.is_empty())
    }

    /// A problem for every key that is set although the task does not read it.
    fn unread_keys(&self) -> impl Iterator<Item = DataError> {
        let default = Self::default();
        let labelled = self.name == TaskKind::Labelled;
        let own_files = self.reads_own_files();
        let contour = self.name == TaskKind::Pathfinder;
        [
            ("task.sentence1", own_files, self.sentence1 != default.sentence1),
            ("task.sentence2", labelled, self.sentence2 != default.sentence2),
            ("task.label", own_files, self.label != default.label),
            ("task.header", own_files, self.header != default.header),
            ("task.labels", own_files, self.labels != default.labels),
            ("task.regression", labelled, self.regression != default.regression),
            ("task.max_line_bytes", own_files, self.max_line_bytes != default.max_line_bytes),
            ("task.contour", contour, self.contour != default.contour),
        ]
        .into_iter()
        .filter(|(_, is_read, is_set)| *is_set && !is_read)
        .map(|(key, ..)| {
            let only = match key {
                "task.contour" => "`task.name = \"pathfinder\"`",
                _ => "`task.name = \"labelled\"`",
            };
            DataError::config(key, "…", format!("goes with {only} only: this task says it itself"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_a_task_does_not_read_are_told() {
        let config = TaskConfig {
            name: TaskKind::Imdb,
            sentence1: "review".to_owned(),
            label: "stars".to_owned(),
            header: false,
            max_line_bytes: 7,
            contour: ContourLength::Six,
            ..TaskConfig::default()
        };
        let told: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
        for key in ["sentence1", "label", "header", "max_line_bytes", "contour"] {
            assert!(told.iter().any(|problem| problem.contains(&format!("`task.{key}`"))), "{key}");
        }
        assert_eq!(told.len(), 5, "{told:?}");
        // Bytes of one's own files have columns too.
        let text = TaskConfig {
            name: TaskKind::Text,
            labels: vec!["a".to_owned(), "b".to_owned()],
            contour: ContourLength::Fourteen,
            sentence1: "0".to_owned(),
            label: "1".to_owned(),
            ..config
        };
        assert!(text.problems().is_empty(), "{:?}", text.problems());
    }

    #[test]
    fn without_a_header_columns_are_named_by_place() {
        let config = TaskConfig {
            sentence1: "3".to_owned(),
            sentence2: Some("4".to_owned()),
            label: "0".to_owned(),
            ..TaskConfig::default()
        };
        assert_eq!(config.columns().unwrap().first, Column::Name("3".to_owned()));
        let config = TaskConfig { header: false, ..config };
        let columns = config.columns().unwrap();
        assert_eq!(
            (columns.first, columns.second, columns.label, columns.header),
            (Column::Index(3), Some(Column::Index(4)), Column::Index(0), false)
        );
        let config = TaskConfig { label: "label".to_owned(), ..config };
        let told = config.problems()[0].to_string();
        assert!(told.contains("`task.label`") && told.contains("place"), "{told}");
    }
}
