//! [`Labelled`]: a data set of one's own as a task.

use std::path::{Path, PathBuf};

use nystromformer_data::{DataError, Windows};
use nystromformer_files::table::{listed, names_in};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::{ClassNames, ColumnKeys, LabelColumns, LabelledColumns, Location, Targets};
use crate::example::ExampleReader;
use crate::label_rule::LabelRule;
use crate::metrics::Metric;
use crate::options::TaskOptions;
use crate::registry::SharedKeys;
use crate::split::Split;
use crate::task::{ColumnUse, Task, TaskContext};
use crate::too_long::WindowKeys;

/// `labelled`: a data set of one's own, tables or folders of texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Labelled {
    /// From which probability on a class applies, of any number: one for all, in (0, 1). Default: none, each class has the one that
    /// gives its best F1 on the validation split.
    pub threshold: Option<f64>,
    /// Whether labels are numbers to be predicted, and no classes. Default: false.
    pub regression: bool,
    /// With `regression`: train towards numbers less their mean, over their deviation, both of the training examples; predictions
    /// and metrics are in the data's own units. Default: false.
    pub standardize_labels: bool,
    /// Which columns of a table make an example, and how tables are written.
    #[serde(skip)]
    pub columns: LabelledColumns,
    /// How long texts are read in windows.
    #[serde(skip)]
    pub windows: WindowKeys,
}

impl Task for Labelled {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/labelled/data")
    }

    fn shared_keys(&mut self) -> Vec<&mut dyn SharedKeys> {
        vec![&mut self.columns.keys, &mut self.columns.tables, &mut self.windows]
    }

    fn problems(&self, options: &TaskOptions) -> Vec<DataError> {
        let mut problems = self.columns.problems();
        problems.extend(self.windows.problems(options, self.regression));
        let ColumnKeys { label, labels, label_separator, multi_label, .. } = &self.columns.keys;
        let mut refuse = |key, value: &dyn ToString, problem: &str| {
            problems.push(DataError::config(key, value.to_string(), problem));
        };
        if let LabelColumns::Each(columns) = label
            && !labels.is_empty()
            && labels.len() != columns.len()
        {
            let problem =
                format!("name each of the `{}` columns of `task.label`, or none", columns.len());
            refuse("task.labels", &labels.join(", "), &problem);
        }
        if self.regression && (label_separator.is_some() || *multi_label == Some(true)) {
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

    fn columns(&self) -> Option<ColumnUse> {
        let keys = &self.columns.keys;
        Some(ColumnUse::new(keys.texts(), keys.label.columns(), "task.label"))
    }

    fn targets(&self, context: &TaskContext<'_>) -> Result<Targets, DataError> {
        let columns = &self.columns;
        let ColumnKeys { label, labels, .. } = &columns.keys;
        let given = context.class_names.unwrap_or(labels);
        let named = || match label {
            LabelColumns::Each(_) if given.is_empty() => label.names(),
            _ => given.to_vec(),
        };
        match label {
            LabelColumns::Each(_) if self.regression => return Ok(Targets::Columns(named())),
            LabelColumns::Each(_) => return Ok(Targets::Labels(ClassNames::new(named())?)),
            LabelColumns::One(_) if self.regression => return Ok(Targets::numbers()),
            LabelColumns::One(_) => {}
        }
        let said = columns.keys.says_sets();
        if !given.is_empty() {
            let names = ClassNames::new(named())?;
            // Only the data may tell, and there may be none but what is to be predicted.
            let holds_sets = || match Location::find(context.path, Split::Train) {
                Ok(Some(train)) => train.holds_sets(columns),
                _ => Ok(false),
            };
            let sets = match said {
                Some(said) => said,
                None => holds_sets()?,
            };
            return Ok(if sets { Targets::Labels(names) } else { Targets::Classes(names) });
        }
        let train = training_files(context.path)?;
        let names = train.class_names(columns, context.known_classes)?;
        Ok(if train.holds_sets(columns)? {
            Targets::Labels(names)
        } else {
            Targets::Classes(names)
        })
    }

    fn keys_from_data(&self) -> &'static [&'static str] {
        &["multi_label"]
    }

    fn resolved_keys(&self, targets: &Targets, _: &TaskContext<'_>) -> Result<Table, DataError> {
        let mut keys = Table::new();
        if !self.regression && self.columns.keys.says_sets().is_none() {
            keys.insert("multi_label".to_owned(), matches!(targets, Targets::Labels(_)).into());
        }
        Ok(keys)
    }

    fn examples(
        &self,
        split: Split,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        self.columns.examples(split, targets, context)
    }

    fn windows(&self) -> Option<Windows> {
        Some(self.windows.windows())
    }

    fn names_classes(&self) -> bool {
        !self.regression
    }

    /// A table with the columns of the texts.
    fn reads_file(&self, file: &Path) -> Result<bool, DataError> {
        self.columns.are_in(file)
    }

    fn file_examples(
        &self,
        file: &Path,
        targets: &Targets,
        _: &TaskContext<'_>,
    ) -> Result<ExampleReader, DataError> {
        let table = Location::Tables(vec![file.to_owned()]);
        table.read(&self.columns, targets, LabelRule::IfReadable)
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
