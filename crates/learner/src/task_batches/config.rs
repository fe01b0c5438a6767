//! The `[task]` table of a config file.

use std::path::PathBuf;

use nystromformer_data::DataError;
use nystromformer_lra::pathfinder::ContourLength;
use nystromformer_tasks::Keep;
use nystromformer_tasks::labelled::LabelledColumns;
use nystromformer_tasks::table::Column;
use serde::{Deserialize, Serialize};

use super::kind::TaskKind;

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
    /// `labelled`, and `text` with `labels`: the column of the sentence, or of the first of a pair. Default: `"sentence"`.
    pub sentence1: Column,
    /// `labelled`: the column of the second sentence of a pair. Default: none.
    pub sentence2: Option<Column>,
    /// `labelled`, and `text` with `labels`: the column of the label. Default: `"label"`.
    pub label: Column,
    /// `labelled`, and `text` with `labels`: whether the first line of a TSV or CSV file names the columns. Without it they are
    /// told by their place, from 0: `sentence1 = 0`. Default: true.
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
    /// Tasks with a vocabulary of their own: what is kept of a sequence longer than `data.seq_len`: its `"head"`, its `"tail"`, or
    /// `"head_tail"`, half of either. Default: `"head"`, as the Long Range Arena does.
    pub truncation: Keep,
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
    /// `labelled`, and `text` with `labels`: longest line, or file of text, that is accepted, in bytes; it bounds memory. Default: 16 MiB.
    pub max_line_bytes: usize,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            name: TaskKind::default(),
            path: None,
            sentence1: "sentence".into(),
            sentence2: None,
            label: "label".into(),
            header: true,
            labels: Vec::new(),
            regression: false,
            validation_fraction: 0.05,
            split_seed: 0,
            pad_to_multiple_of: 1,
            group_by_length: false,
            truncation: Keep::Head,
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
            first: self.sentence1.clone(),
            second: self.sentence2.clone(),
            label: self.label.clone(),
            header: self.header,
            max_line_bytes: self.max_line_bytes,
        }
    }

    /// A problem for every column that is told by name although there is no header, or by place although there is one.
    fn column_problems(&self) -> impl Iterator<Item = DataError> {
        let advice = if self.header {
            "with `task.header = true` a column is told by its name, in quotes"
        } else {
            "with `task.header = false` a column is told by its place, e.g. 0"
        };
        [
            ("task.sentence1", Some(&self.sentence1)),
            ("task.sentence2", self.sentence2.as_ref()),
            ("task.label", Some(&self.label)),
        ]
        .into_iter()
        .filter_map(|(key, column)| Some((key, column?)))
        .filter(|(_, column)| self.header != matches!(column, Column::Name(_)))
        .map(move |(key, column)| match column {
            Column::Name(name) => DataError::config(key, name, advice),
            Column::Index(index) => DataError::config(key, index, advice),
        })
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
            problems.extend(self.column_problems());
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
        let pathfinder = self.name == TaskKind::Pathfinder;
        let its_own = "goes with `task.name = \"labelled\"` only: this task says it itself";
        let files = "goes with files of one's own only: `task.name = \"labelled\"`, or `\"text\"` with `task.labels`";
        let symbols = "goes with tasks of symbols, bytes and pixels only: of texts the beginning is kept, as `predict` reads it";
        let own_ids = self.name.has_own_vocabulary();
        let curves = "goes with `task.name = \"pathfinder\"` only";
        let longest = self.max_line_bytes;
        [
            ("task.sentence1", self.sentence1 != default.sentence1, own_files, files),
            ("task.sentence2", self.sentence2 != default.sentence2, labelled, its_own),
            ("task.label", self.label != default.label, own_files, files),
            ("task.header", self.header != default.header, own_files, files),
            ("task.labels", self.labels != default.labels, own_files, its_own),
            ("task.regression", self.regression != default.regression, labelled, its_own),
            ("task.max_line_bytes", longest != default.max_line_bytes, own_files, files),
            ("task.truncation", self.truncation != default.truncation, own_ids, symbols),
            ("task.contour", self.contour != default.contour, pathfinder, curves),
        ]
        .into_iter()
        .filter(|(_, is_set, is_read, _)| *is_set && !is_read)
        .map(|(key, _, _, advice)| DataError::config(key, "…", advice))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_a_task_does_not_read_are_told() {
        let config = TaskConfig {
            name: TaskKind::Imdb,
            sentence1: "review".into(),
            label: "stars".into(),
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
            sentence1: 0.into(),
            label: 1.into(),
            ..config
        };
        assert!(text.problems().is_empty(), "{:?}", text.problems());
    }

    #[test]
    fn columns_are_told_by_name_with_a_header_and_by_place_without() {
        let read = |text| serde_json::from_value::<TaskConfig>(text).unwrap();
        assert!(read(json!({ "sentence1": "a", "sentence2": "b" })).problems().is_empty());
        let places = read(json!({ "header": false, "sentence1": 3, "label": 0 }));
        assert!(places.problems().is_empty());
        let columns = places.columns();
        assert_eq!((columns.first, columns.label, columns.header), (3.into(), 0.into(), false));
        for (text, key) in [
            (json!({ "header": false, "sentence1": 3 }), "label"),
            (json!({ "sentence2": 1 }), "sentence2"),
        ] {
            let told = read(text).problems();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].to_string().contains(&format!("`task.{key}`")), "{told:?}");
        }
    }
}
