//! [`Labelled`]: a data set of one's own as a task.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::TextEncoding;
use nystromformer_files::table::{Column, Quotes, listed, names_in};
use serde::{Deserialize, Serialize};

use super::{ClassNames, LabelColumns, LabelledColumns, Location, Targets};
use crate::example::ExampleReader;
use crate::label_rule::LabelRule;
use crate::metrics::Metric;
use crate::options::TaskOptions;
use crate::split::Split;
use crate::task::{Task, TaskContext};

/// `labelled`: a data set of one's own, tables or folders of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Labelled {
    /// The column of the text, or of the first of a pair. Default: `"sentence"`.
    pub sentence1: Column,
    /// The column of the second text of a pair. Default: none.
    pub sentence2: Option<Column>,
    /// The column that predictions name a row by. Default: none, they name it by its place.
    pub id: Option<Column>,
    /// The column of the label, or a list of columns: one for each class, which says whether it applies (1 or 0, true or false),
    /// or with `regression` one for each number. Default: `"label"`.
    pub label: LabelColumns,
    /// What separates the labels in a text that names any number of them, e.g. `";"`. Default: none, a text names one.
    pub label_separator: Option<String>,
    /// Whether any number of labels applies to a row. Default: it does if `label_separator` is set, `label` names several columns,
    /// or the first label of the training data is a list.
    pub multi_label: Option<bool>,
    /// From which probability on a class applies, of any number: one for all, in (0, 1). Default: none, each class has the one that
    /// gives its best F1 on the validation split.
    pub threshold: Option<f64>,
    /// Whether the first line of a TSV or CSV file names the columns. Without it they are told by their place, from 0:
    /// `sentence1 = 0`. Default: true.
    pub header: bool,
    /// What separates the fields of a TSV or CSV file: one character, e.g. `";"`. Default: a tab or a comma, unless the first rows
    /// show another, which is then said.
    pub separator: Option<char>,
    /// What a quote at the beginning of a field of a TSV or CSV file is: `"double"`, it holds the field together, or `"none"`, a
    /// character like any other. Default: told by a look at the file, and said.
    pub quotes: Option<Quotes>,
    /// How the bytes of TSV, CSV and files of text stand for characters: `"utf-8"` or `"latin-1"`. Default: `"utf-8"`.
    pub encoding: TextEncoding,
    /// Names of the classes in their order, or of the columns of `label`. Default: those found, sorted; or what the columns are
    /// called.
    pub labels: Vec<String>,
    /// Whether labels are numbers to be predicted, and no classes. Default: false.
    pub regression: bool,
    /// With `regression`: train towards numbers less their mean, over their deviation, both of the training examples; predictions
    /// and metrics are in the data's own units. Default: false.
    pub standardize_labels: bool,
    /// Rows of a table whose text is null that are skipped, and counted, before one is an error. Default: 100.
    pub max_null_texts: u64,
    /// Longest line, or file of text, that is accepted, in bytes; it bounds memory. Default: 16 MiB.
    pub max_line_bytes: usize,
}

impl Default for Labelled {
    fn default() -> Self {
        Self {
            sentence1: "sentence".into(),
            sentence2: None,
            id: None,
            label: "label".into(),
            label_separator: None,
            multi_label: None,
            threshold: None,
            header: true,
            separator: None,
            quotes: None,
            encoding: TextEncoding::Utf8,
            labels: Vec::new(),
            regression: false,
            standardize_labels: false,
            max_null_texts: 100,
            max_line_bytes: 16 << 20,
        }
    }
}

impl Labelled {
    fn columns(&self) -> LabelledColumns {
        LabelledColumns {
            first: self.sentence1.clone(),
            second: self.sentence2.clone(),
            id: self.id.clone(),
            label: self.label.clone(),
            label_separator: self.label_separator.clone(),
            multi_label: self.multi_label,
            names_given: !self.labels.is_empty(),
            header: self.header,
            separator: self.separator,
            quotes: self.quotes,
            encoding: self.encoding,
            max_null_texts: self.max_null_texts,
            max_line_bytes: self.max_line_bytes,
        }
    }
}

impl Task for Labelled {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/labelled/data")
    }

    fn problems(&self, _: &TaskOptions) -> Vec<DataError> {
        let mut problems = self.columns().problems();
        let mut refuse = |key, value: &dyn ToString, problem: &str| {
            problems.push(DataError::config(key, value.to_string(), problem));
        };
        if let LabelColumns::Each(columns) = &self.label
            && !self.labels.is_empty()
            && self.labels.len() != columns.len()
        {
            let problem =
                format!("name each of the `{}` columns of `task.label`, or none", columns.len());
            refuse("task.labels", &self.labels.join(", "), &problem);
        }
        if self.regression && (self.label_separator.is_some() || self.multi_label == Some(true)) {
            refuse(
                "task.regression",
                &true,
                "goes with numbers, and not with labels of any number",
            );
        }
        if self.standardize_labels && !self.regression {
            refuse(
                "task.standardize_labels",
                &true,
                "goes with numbers: set `task.regression = true`",
            );
        }
        if let Some(threshold) = self.threshold
            && !(threshold > 0.0 && threshold < 1.0)
        {
            refuse("task.threshold", &threshold, "must be above 0 and below 1");
        }
        problems
    }

    fn targets(&self, context: &TaskContext<'_>) -> Result<Targets, DataError> {
        let columns = self.columns();
        let named = || match &self.label {
            LabelColumns::Each(_) if self.labels.is_empty() => self.label.names(),
            _ => self.labels.clone(),
        };
        match &self.label {
            LabelColumns::Each(_) if self.regression => return Ok(Targets::Columns(named())),
            LabelColumns::Each(_) => return Ok(Targets::Labels(ClassNames::new(named())?)),
            LabelColumns::One(_) if self.regression => return Ok(Targets::numbers()),
            LabelColumns::One(_) => {}
        }
        let said = columns.says_sets();
        if !self.labels.is_empty() {
            let names = ClassNames::new(named())?;
            // Only the data may tell, and there may be none but what is to be predicted.
            let holds_sets = || match Location::find(context.path, Split::Train) {
                Ok(Some(train)) => train.holds_sets(&columns),
                _ => Ok(false),
            };
            let sets = match said {
                Some(said) => said,
                None => holds_sets()?,
            };
            return Ok(if sets { Targets::Labels(names) } else { Targets::Classes(names) });
        }
        let train = training_files(context.path)?;
        let names = train.class_names(&columns)?;
        Ok(if train.holds_sets(&columns)? {
            Targets::Labels(names)
        } else {
            Targets::Classes(names)
        })
    }

    fn examples(
        &self,
        split: Split,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        self.columns().examples(split, targets, context.path)
    }

    fn names_classes(&self) -> bool {
        !self.regression
    }

    /// A table with the columns of the texts.
    fn reads_file(&self, file: &Path) -> Result<bool, DataError> {
        self.columns().are_in(file)
    }

    fn file_examples(
        &self,
        file: &Path,
        targets: &Targets,
        _: &TaskContext<'_>,
    ) -> Result<ExampleReader, DataError> {
        let table = Location::Tables(vec![file.to_owned()]);
        table.read(&self.columns(), targets, LabelRule::IfReadable)
    }

    fn standardizes_labels(&self) -> bool {
        self.standardize_labels
    }

    fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    fn metrics(&self, targets: &Targets) -> Vec<Metric> {
        match targets {
            Targets::Labels(_) => vec![
                Metric::F1Micro,
                Metric::F1Macro,
                Metric::F1Samples,
                Metric::LabelRankingAveragePrecision,
                Metric::SubsetAccuracy,
                Metric::HammingLoss,
            ],
            targets if targets.is_regression() => vec![Metric::Pearson, Metric::Spearman],
            _ => vec![Metric::Accuracy, Metric::F1Macro],
        }
    }
}

/// Where the training examples of a data set of one's own are.
fn training_files(path: &Path) -> Result<Location, DataError> {
    if let Some(files) = Location::find(path, Split::Train)? {
        return Ok(files);
    }
    let names = names_in(path)?;
    let shown: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !name.starts_with('.')).collect();
    let holds = if shown.is_empty() { "nothing".to_owned() } else { listed(shown) };
    let problem = format!(
        "no training examples in it: expected `train.csv`, `.tsv`, `.json`, `.jsonl` or `.parquet`, `train/CLASS/NAME.txt`, or \
         `CLASS/NAME.txt`; it holds {holds}"
    );
    Err(DataError::dataset(path, problem))
}
