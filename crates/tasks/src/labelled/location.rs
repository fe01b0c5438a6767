//! Where a data set of one's own lies: tables, or folders of texts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::reader::choose;
use super::{ClassNames, FolderExamples, Schema, TableExamples, Targets, class_folders};
use crate::example::ExampleReader;
use crate::split::Split;
use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{
    Column, Format, Quotes, Table, TableOptions, find_files, listed, saved_by_datasets,
};

/// Which columns of a table make an example, and how its files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledColumns {
    /// The text, or the first of a pair. Default: `sentence`.
    pub first: Column,
    /// The second of a pair. Default: none.
    pub second: Option<Column>,
    /// The label. Default: `label`.
    pub label: Column,
    /// Whether the first line of a TSV or CSV file names the columns; without it they are given by place, from 0.
    /// Default: true.
    pub header: bool,
    /// What separates the fields of a TSV or CSV file. Default: a tab or a comma, unless the first rows show another.
    pub separator: Option<char>,
    /// What a quote at the beginning of a field of a TSV or CSV file is. Default: told by a look at the file.
    pub quotes: Option<Quotes>,
    /// Rows of a table whose text is null that are skipped, and counted, before one is an error. Default: 100.
    pub max_null_texts: u64,
    /// Longest line, text or file of text that is accepted, in bytes; it bounds memory. Default: 1 MiB.
    pub max_line_bytes: usize,
}

impl Default for LabelledColumns {
    fn default() -> Self {
        let options = TableOptions::default();
        Self {
            first: "sentence".into(),
            second: None,
            label: "label".into(),
            header: options.header,
            separator: options.separator,
            quotes: options.quotes,
            max_null_texts: 100,
            max_line_bytes: options.max_line_bytes,
        }
    }
}

impl LabelledColumns {
    /// A [`DataError::Config`] for every key of `[task]` that is out of range: a column that is told by name although there is
    /// no header, or by place although there is one.
    pub fn problems(&self) -> Vec<DataError> {
        let advice = if self.header {
            "with `task.header = true` a column is given by its name, in quotes"
        } else {
            "with `task.header = false` a column is given by its place, e.g. 0"
        };
        let mut problems: Vec<DataError> = [
            ("task.sentence1", Some(&self.first)),
            ("task.sentence2", self.second.as_ref()),
            ("task.label", Some(&self.label)),
        ]
        .into_iter()
        .filter_map(|(key, column)| Some((key, column?)))
        .filter(|(_, column)| self.header != matches!(column, Column::Name(_)))
        .map(|(key, column)| match column {
            Column::Name(name) => DataError::config(key, name, advice),
            Column::Index(index) => DataError::config(key, index, advice),
        })
        .collect();
        if self.max_line_bytes == 0 {
            problems.push(DataError::config("task.max_line_bytes", 0, "must be at least 1"));
        }
        problems
    }

    /// The examples of a split of the data set at `path`; `None` if there is no such split. Those of a test set need no labels.
    ///
    /// # Errors
    ///
    /// As [`Location::find`] and [`Location::read`].
    pub fn examples(
        &self,
        split: Split,
        targets: &Targets,
        path: &Path,
    ) -> Result<Option<ExampleReader>, DataError> {
        // A single file is all training examples: none of them may validate or test as well.
        if split != Split::Train && path.is_file() {
            return Ok(None);
        }
        let Some(found) = Location::find(path, split)? else { return Ok(None) };
        found.read(self, targets, !split.is_test()).map(Some)
    }

    /// Whether `file` is a table with the columns of the texts; a note says if it is one without.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the file cannot be read.
    pub fn are_in(&self, file: &Path) -> Result<bool, DataError> {
        if Format::of(file).is_none() {
            return Ok(false);
        }
        let table = Table::open(file, &self.options())?;
        let columns =
            [("task.sentence1", Some(&self.first)), ("task.sentence2", self.second.as_ref())];
        for (key, column) in columns {
            if let Some(column) = column.filter(|column| !table.has(column)) {
                say_once(format!(
                    "`{}` has no column `{column}` (`{key}` of the model's run), and is read by the usual names of columns",
                    file.display()
                ));
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn options(&self) -> TableOptions {
        TableOptions {
            header: self.header,
            separator: self.separator,
            quotes: self.quotes,
            keys: Some("task"),
            max_line_bytes: self.max_line_bytes,
            ..TableOptions::default()
        }
    }
}

/// The files of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// TSV, CSV, JSON or Parquet, in the order in which they are read.
    Tables(Vec<PathBuf>),
    /// A folder with a folder of `.txt` files for each class.
    Folders(PathBuf),
}

impl Location {
    /// Finds a split: `path` itself if it is a table, or in the folder `path` the table of the split's name
    /// (`train.csv`, `train-00000-of-00002.parquet` …), or the folder of its name (`train/pos/1.txt`). `None` if there is no
    /// such split in the folder.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if there is nothing at `path`, or a file of an unknown extension; [`DataError::Io`].
    pub fn find(path: &Path, split: Split) -> Result<Option<Self>, DataError> {
        if path.is_file() {
            if Format::of(path).is_none() {
                let problem = format!("unknown extension; {}", Format::cure(path));
                return Err(DataError::dataset(path, problem));
            }
            return Ok(Some(Self::Tables(vec![path.to_owned()])));
        }
        if !path.is_dir() {
            let problem = "there is no such file or folder; name a .tsv, .csv, .json, .jsonl or .parquet file, a folder with \
                           `train.csv` or the like in it, or one with a folder of .txt files for each class in `train/`";
            return Err(DataError::dataset(path, problem));
        }
        let files = find_files(path, split.file_stems())?;
        if !files.is_empty() {
            return Ok(Some(Self::Tables(files)));
        }
        let mut folders = split.file_stems().iter().map(|name| path.join(name));
        let Some(folder) = folders.find(|folder| folder.is_dir()) else { return Ok(None) };
        saved_by_datasets(&folder)?;
        Ok(Some(Self::Folders(folder)))
    }

    /// The names of the classes: those that a Parquet file has for them (Hugging Face's `ClassLabel`), in their order; or what
    /// occurs, the folders in sorted order, or the labels, read through once (whole numbers by value, anything else as text). For classes to be named so, they must all occur in the training set.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if there are none; [`DataError::Line`] for rows that cannot be read and for more than 1,000
    /// different labels; [`DataError::Io`].
    pub fn class_names(&self, columns: &LabelledColumns) -> Result<ClassNames, DataError> {
        let files = match self {
            Self::Folders(folder) => return class_folders(folder),
            Self::Tables(files) => files,
        };
        let mut names = BTreeSet::new();
        for file in files {
            let table = Table::open(file, &columns.options())?;
            let label = choose(&table, std::slice::from_ref(&columns.label), Some("task.label"))?;
            if let Some(named) = table.class_names(&label) {
                say_once(format!(
                    "`{}`: the classes are called as the file says: {} (`task.labels` names others)",
                    file.display(),
                    listed(named.iter().map(String::as_str))
                ));
                return ClassNames::new(named);
            }
            names.extend(ClassNames::collect(table.select(&[label])?)?);
        }
        ClassNames::collected(names, self.path(), &columns.label)
    }

    /// The examples, in the order of the rows, or as [`FolderExamples`] orders folders.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if folders are to be read as numbers or as pairs, or hold no text; then, while reading,
    /// [`DataError::Line`] for what cannot be used, and [`DataError::Io`].
    pub fn read(
        &self,
        columns: &LabelledColumns,
        targets: &Targets,
        labels_required: bool,
    ) -> Result<ExampleReader, DataError> {
        match (self, targets) {
            (Self::Tables(files), _) => {
                let schema = Schema {
                    first: vec![columns.first.clone()],
                    second: columns.second.iter().cloned().collect(),
                    label: vec![columns.label.clone()],
                    targets: targets.clone(),
                    labels_required,
                    null_texts_allowed: columns.max_null_texts,
                    has_keys: true,
                };
                Ok(Box::new(TableExamples::new(files.clone(), schema, columns.options())))
            }
            (Self::Folders(folder), Targets::Classes(names)) if columns.second.is_none() => {
                let found = class_folders(folder)?;
                if let Some(other) = found.names().iter().find(|name| !names.names().contains(name))
                {
                    let problem = format!(
                        "the folder `{other}` is none of the classes {}; rename or remove it, or name it in `task.labels`",
                        listed(names.names().iter().map(String::as_str))
                    );
                    return Err(DataError::dataset(folder, problem));
                }
                Ok(Box::new(FolderExamples::open(folder, names, columns.max_line_bytes)?))
            }
            (Self::Folders(folder), _) => Err(DataError::dataset(
                folder,
                "folders of texts give single texts and classes; for pairs or regression use a table",
            )),
        }
    }

    /// A path for errors about the whole.
    fn path(&self) -> &Path {
        match self {
            Self::Folders(folder) => folder,
            Self::Tables(files) => files.first().map_or(Path::new(""), PathBuf::as_path),
        }
    }
}
