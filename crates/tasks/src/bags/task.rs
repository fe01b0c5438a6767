//! [`Bags`]: the task as configs know it.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::{Column, Format, Table};
use nystromformer_files::{say_once, tensors};
use serde::{Deserialize, Serialize};

use super::instance_columns::feature_column;
use super::{instance_table, label_table};
use crate::example::{Example, ExampleReader, Input};
use crate::labelled::{ColumnKeys, LabelledColumns, Location, Targets};
use crate::metrics::Metric;
use crate::options::TaskOptions;
use crate::registry::SharedKeys;
use crate::split::Split;
use crate::table_keys::TableKeys;
use crate::task::{ColumnUse, OwnVocabulary, Task, TaskContext};
use crate::vectors::Vectors;

/// `bags`: feature vectors, and one label for all vectors of an example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bags {
    /// The table of labels, if `task.path` is a folder: a file in it or elsewhere. Default: `train.csv`, `validation.csv` and
    /// `test.csv` in it (or `.tsv`, `.jsonl`, `.parquet`), or the same of `labels.csv`, or of `train/labels.csv` and so on.
    pub table: Option<PathBuf>,
    /// The column that names a bag: in a table of labels its file, with or without extension, as seen from the folder of the
    /// data set; in a table of vectors the bag that a row belongs to. Default: the first of `id`, `bag`, `path`, `file`,
    /// `slide_id` that there is; without a header the first column.
    pub id: Option<Column>,
    /// The column of the label. Default: `"label"`.
    pub label: Column,
    /// The column that says which split a bag is of: `train`, `validation` (`dev`, `valid`, `val`, `eval`) or `test`. Default: `split`
    /// if there is such a column; without one, all bags train, and some of them are held out.
    pub split: Option<Column>,
    /// Name of the tensor of vectors in a `.safetensors` or `.pt` file. Default: the only one of two dimensions, or `features`.
    pub tensor: Option<String>,
    /// Where each vector stands, for `model.vector_positions = "grid"`: the name of a tensor `[n, 2]` of rows and columns, or in
    /// a table of vectors two columns. Default: not known; vectors then fill a square.
    pub coordinates: Vec<Column>,
    /// Columns of a table of vectors that are neither features nor any of the above. Default: none.
    pub remove_columns: Vec<Column>,
    /// Subtract from each feature its mean over the training vectors, and divide it by their standard deviation; the numbers are
    /// kept with the model, as `feature_mean` and `feature_std`. Default: false.
    pub standardize_features: bool,
    /// Names of the classes in their order. Default: those found, sorted.
    pub labels: Vec<String>,
    /// Whether labels are numbers to be predicted, and no classes. Default: false.
    pub regression: bool,
    /// How tables are written.
    #[serde(skip)]
    pub tables: TableKeys,
}

impl Default for Bags {
    fn default() -> Self {
        Self {
            table: None,
            id: None,
            label: "label".into(),
            split: None,
            tensor: None,
            coordinates: Vec::new(),
            remove_columns: Vec::new(),
            standardize_features: false,
            labels: Vec::new(),
            regression: false,
            tables: TableKeys::default(),
        }
    }
}

impl Bags {
    /// The column that names bags.
    ///
    /// # Errors
    ///
    /// [`DataError::Line`] if it is not there.
    pub(super) fn id_column(&self, table: &Table) -> Result<Column, DataError> {
        const USUAL: [&str; 5] = ["id", "bag", "path", "file", "slide_id"];
        let wanted = match &self.id {
            Some(column) => vec![column.clone()],
            None if self.tables.header => USUAL.map(Column::from).to_vec(),
            None => vec![Column::Index(0)],
        };
        let found = table.find(&wanted).cloned();
        found.map_err(|error| {
            error.with_cure("set `task.id` to the column that names the bags").into()
        })
    }

    /// The column that names splits, if there is one.
    ///
    /// # Errors
    ///
    /// [`DataError::Line`] if one is told, and is not there.
    pub(super) fn split_column(&self, table: &Table) -> Result<Option<Column>, DataError> {
        let usual = Column::from("split");
        match &self.split {
            Some(column) => {
                let found = table.find(std::slice::from_ref(column)).cloned();
                found.map(Some).map_err(|error| {
                    error.with_cure("set `task.split` to the one that is meant").into()
                })
            }
            None => Ok((self.tables.header && table.has(&usual)).then_some(usual)),
        }
    }

    /// The column of labels; `None` if there is none and none is needed.
    ///
    /// # Errors
    ///
    /// [`DataError::Line`] if it is not there and is needed.
    pub(super) fn label_column(
        &self,
        table: &Table,
        is_required: bool,
    ) -> Result<Option<Column>, DataError> {
        if !is_required && !table.has(&self.label) {
            return Ok(None);
        }
        let found = table.find(std::slice::from_ref(&self.label)).cloned();
        found
            .map(Some)
            .map_err(|error| error.with_cure("set `task.label` to the one that is meant").into())
    }

    /// The name of the tensor of coordinates.
    pub(super) fn coordinate_tensor(&self) -> Option<&str> {
        match self.coordinates.first() {
            Some(Column::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether a table that is no split of the data set holds vectors, and not names of files of them. The model's features say it;
    /// of one without names for them what it was trained on, or if that is gone the table itself.
    fn holds_vectors(&self, file: &Path, context: &TaskContext<'_>) -> Result<bool, DataError> {
        let TaskContext { path, feature_names, .. } = *context;
        if feature_names.is_empty() && (path.is_file() || path.is_dir()) {
            return Ok(path.is_file());
        }
        let table = Table::open(file, &self.tables.options())?;
        if !feature_names.is_empty() {
            return Ok(feature_names.iter().any(|name| table.has(&feature_column(name, &table))));
        }
        let id = self.id_column(&table)?;
        let of_labels =
            [Some(id.clone()), self.label_column(&table, false)?, self.split_column(&table)?];
        let has_others = table.width().unwrap_or_default() > of_labels.iter().flatten().count();
        let names_a_file = match table.select(&[id])?.next().transpose()? {
            Some(row) => label_table::names_a_file(&row, file)?,
            None => false,
        };
        let holds_vectors = has_others && !names_a_file;
        let what = if holds_vectors { "vectors" } else { "labels of files of vectors" };
        say_once(format!(
            "`{}` is read as a table of {what}; what the model was trained on, `{}`, is not there to say it (`task.path`)",
            file.display(),
            path.display()
        ));
        Ok(holds_vectors)
    }

    /// The tables that say which labels there are.
    fn training_tables(&self, path: &Path) -> Result<Vec<PathBuf>, DataError> {
        if path.is_file() {
            return Ok(vec![path.to_owned()]);
        }
        let found = label_table::find(self, path, Split::Train)?;
        Ok(found.ok_or_else(|| label_table::missing(path))?.files)
    }
}

impl Task for Bags {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/bags/data")
    }

    fn shared_keys(&mut self) -> Vec<&mut dyn SharedKeys> {
        vec![&mut self.tables]
    }

    fn problems(&self, _: &TaskOptions) -> Vec<DataError> {
        let of_all = [
            ("task.id", self.id.as_ref()),
            ("task.label", Some(&self.label)),
            ("task.split", self.split.as_ref()),
        ];
        let of_all = of_all.into_iter().filter_map(|(key, column)| Some((key, column?)));
        let removed = self.remove_columns.iter().map(|column| ("task.remove_columns", column));
        let mut problems = self.tables.problems(of_all.chain(removed));
        if self.coordinates.len() > 2 {
            problems.push(DataError::config(
                "task.coordinates",
                format!("{} columns", self.coordinates.len()),
                "name one tensor, or two columns: row and column",
            ));
        }
        problems
    }

    fn columns(&self) -> Option<ColumnUse> {
        // One name is that of a tensor. Other columns of a table are features only if none of these keys names them.
        let places = Some(&self.coordinates).filter(|places| places.len() == 2);
        let places = places.into_iter().flatten().map(|column| ("task.coordinates", column));
        Some(ColumnUse::new(places, std::slice::from_ref(&self.label), "task.label"))
    }

    fn reads_vectors(&self) -> bool {
        true
    }

    fn standardizes_features(&self) -> bool {
        self.standardize_features
    }

    /// No ids but one: vectors stand in their place.
    fn vocabulary(&self) -> Option<OwnVocabulary> {
        Some(OwnVocabulary::new(1, 0))
    }

    /// Vectors are no entries of a vocabulary, to be hidden and predicted.
    fn masked_share(&self) -> Option<f64> {
        None
    }

    fn targets(&self, context: &TaskContext<'_>) -> Result<Targets, DataError> {
        if self.regression {
            return Ok(Targets::numbers());
        }
        let given = context.class_names.unwrap_or(&self.labels);
        if !given.is_empty() {
            return Targets::classes(given);
        }
        let keys = ColumnKeys {
            label: self.label.clone().into(),
            multi_label: Some(false),
            ..ColumnKeys::default()
        };
        let columns = LabelledColumns { keys, tables: self.tables.clone() };
        let tables = Location::Tables(self.training_tables(context.path)?);
        Ok(Targets::Classes(tables.class_names(&columns, context.known_classes)?))
    }

    fn examples(
        &self,
        split: Split,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        if context.path.is_file() {
            let names = context.feature_names;
            return instance_table::examples(self, context.path, Some(split), targets, names);
        }
        if !context.path.is_dir() {
            return Err(label_table::missing(context.path));
        }
        label_table::examples(self, context.path, split, targets)
    }

    fn names_classes(&self) -> bool {
        !self.regression
    }

    /// Whatever the file is: nothing else reads vectors, so what is wrong with it is told.
    fn reads_file(&self, _: &Path) -> Result<bool, DataError> {
        Ok(true)
    }

    fn file_examples(
        &self,
        file: &Path,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<ExampleReader, DataError> {
        let extension =
            file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if tensors::EXTENSIONS.contains(&extension) {
            let vectors = Vectors::in_file(file, self.tensor.as_deref(), self.coordinate_tensor())?;
            let id = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let example = Example { row: None, id, input: Input::Vectors(vectors), label: None };
            return Ok(Box::new(std::iter::once(Ok(example))));
        }
        if Format::of(file).is_none() {
            let problem = "unknown extension; name a .safetensors, .npy, .pt or .pth file of vectors, or a table (.csv, .tsv, \
                           .jsonl, .parquet) as the task reads it";
            return Err(DataError::dataset(file, problem));
        }
        if self.holds_vectors(file, context)? {
            let names = context.feature_names;
            let all = instance_table::examples(self, file, None, targets, names)?;
            return Ok(all.unwrap_or_else(|| Box::new(std::iter::empty())));
        }
        label_table::file_examples(self, file, targets)
    }

    fn metrics(&self, targets: &Targets) -> Vec<Metric> {
        if targets.is_regression() {
            vec![Metric::Pearson, Metric::Spearman]
        } else {
            vec![Metric::Accuracy, Metric::F1Macro]
        }
    }
}
