//! Where a data set of one's own lies: tables, or folders of texts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use serde::{Deserialize, Serialize};

use super::{ClassNames, FolderExamples, Schema, TableExamples, Targets, class_folders};
use crate::example::ExampleReader;
use crate::split::Part;
use nystromformer_files::table::{Column, Format, Table, TableOptions, find_files, listed};

/// What the files and folders of a part may be called; the first that is there is taken.
fn names_of(part: Part) -> &'static [&'static str] {
    match part {
        Part::Train => &["train"],
        Part::Validation => &["validation", "dev", "valid", "val"],
        Part::Test => &["test"],
    }
}

/// Which columns of a table make an example, and how its files are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelledColumns {
    /// The text, or the first of a pair. Default: `sentence1`.
    pub first: Column,
    /// The second of a pair. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Column>,
    /// The label. Default: `label`.
    pub label: Column,
    /// Whether the first line of a TSV or CSV file names the columns; without it they are given by place, from 0.
    /// Default: true.
    pub header: bool,
    /// Longest line, text or file of text that is accepted, in bytes; it bounds memory. Default: 1 MiB.
    pub max_line_bytes: usize,
}

impl Default for LabelledColumns {
    fn default() -> Self {
        let options = TableOptions::default();
        Self {
            first: "sentence1".into(),
            second: None,
            label: "label".into(),
            header: options.header,
            max_line_bytes: options.max_line_bytes,
        }
    }
}

impl LabelledColumns {
    fn options(&self) -> TableOptions {
        TableOptions {
            header: self.header,
            max_line_bytes: self.max_line_bytes,
            ..TableOptions::default()
        }
    }
}

/// The files of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// TSV, CSV, JSONL or Parquet, in the order in which they are read.
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
    pub fn find(path: &Path, part: Part) -> Result<Option<Self>, DataError> {
        if path.is_file() {
            if Format::of(path).is_none() {
                let problem = "unknown extension; use a .tsv, .csv, .jsonl or .parquet file";
                return Err(DataError::dataset(path, problem));
            }
            return Ok(Some(Self::Tables(vec![path.to_owned()])));
        }
        if !path.is_dir() {
            let problem = "there is no such file or folder; name a .tsv, .csv, .jsonl or .parquet file, a folder with \
                           `train.csv` or the like in it, or one with a folder of .txt files for each class in `train/`";
            return Err(DataError::dataset(path, problem));
        }
        let files = find_files(path, names_of(part))?;
        if !files.is_empty() {
            return Ok(Some(Self::Tables(files)));
        }
        let folders = names_of(part).iter().map(|name| path.join(name));
        Ok(folders.into_iter().find(|folder| folder.is_dir()).map(Self::Folders))
    }

    /// The names of the classes that occur: the folders in sorted order, or the labels, read through once (whole numbers
    /// by value, anything else as text). For classes to be named so, they must all occur in the training set.
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
            let label = std::slice::from_ref(&columns.label);
            let rows = Table::open(file, &columns.options())?.select(label)?;
            names.extend(ClassNames::collect(rows)?);
        }
        if names.is_empty() {
            let problem = format!("no row has a label in {}", columns.label);
            return Err(DataError::dataset(self.path(), problem));
        }
        ClassNames::sorted(names)
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
