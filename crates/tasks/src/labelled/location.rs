//! Where a data set of one's own lies: tables, or folders of texts.

use std::path::{Path, PathBuf};

use super::collected_names::{CollectedNames, Sets};
use super::folder_names::{own_folder, shared_folder, whole_set};
use super::reader::choose;
use super::{
    ClassNames, FolderExamples, LabelColumns, LabelIn, LabelledColumns, Schema, TableExamples,
    Targets, class_folders,
};
use crate::example::ExampleReader;
use crate::label_rule::LabelRule;
use crate::split::Split;
use crate::unread_files::tell_unread;
use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{
    Cell, Format, Row, Table, find_files, is_called_after, listed, saved_by_datasets,
};

/// The files of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// TSV, CSV, JSON or Parquet, in the order in which they are read.
    Tables(Vec<PathBuf>),
    /// A folder with a folder of text files for each class.
    Folders(PathBuf),
}

impl Location {
    /// Finds a split: `path` itself if it is a table, or in the folder `path` the table of the split's name
    /// (`train.csv`, `train-00000-of-00002.parquet` …), or the folder of its name (`train/pos/1.txt`, `reviews-train/pos/1`). A
    /// folder without any split, but with folders of texts, is all training examples (`pos/1.txt`). What is called by a name that
    /// [other things have too](Split::shared_stems) is the split only if nothing else is, and if it is a table as the training split
    /// is, or a folder of the same classes. `None` if there is no such split in the folder.
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
        let files = find_files(path, split.own_stems())?;
        if !files.is_empty() {
            return Ok(Some(Self::Tables(files)));
        }
        let folder = own_folder(path, split)?;
        let found = match folder {
            Some(folder) => Some(Self::Folders(folder)),
            None => Self::find_by_shared_name(path, split)?,
        };
        let found = match found {
            None if split == Split::Train => whole_set(path)?.map(Self::Folders),
            found => found,
        };
        if let Some(Self::Folders(folder)) = &found {
            saved_by_datasets(folder)?;
        }
        Ok(found)
    }

    /// Finds a split by what other things are called too.
    fn find_by_shared_name(path: &Path, split: Split) -> Result<Option<Self>, DataError> {
        // What is wrong with the training split is told when its turn comes.
        let training = match split {
            Split::Train => None,
            _ => Self::find(path, Split::Train).ok().flatten(),
        };
        if !matches!(training, Some(Self::Folders(_))) {
            let files = find_files(path, split.shared_stems())?;
            if !files.is_empty() {
                return Ok(Some(Self::Tables(files)));
            }
        }
        let classes = match &training {
            None => None,
            Some(Self::Folders(folder)) if folder != path => Some(folder.as_path()),
            // Tables train, or all that the folder holds.
            Some(_) => return Ok(None),
        };
        let folder = shared_folder(path, split, classes)?;
        Ok(folder.map(Self::Folders))
    }

    /// Whether what has a name that [other things have too](Split::shared_stems) is a table without the columns of the texts, and so
    /// no split: somebody's scores. It is said; so is that what is called `eval` validates.
    pub(super) fn is_other_table(&self, split: Split, columns: &LabelledColumns) -> bool {
        let found = self.path();
        let name = found.file_name().unwrap_or_default().to_string_lossy();
        if let Self::Tables(_) = self
            && is_called_after(&name, split.shared_stems())
            // What is wrong with it is told when it is read.
            && let Ok(table) = Table::open(found, &columns.tables.options())
            && let Some((key, column)) =
                columns.keys.texts().find(|(_, column)| !table.has(column))
        {
            say_once(format!(
                "`{}` is not read as the {} split, for it has no column {column} (`{key}`)",
                found.display(),
                split.name()
            ));
            return true;
        }
        tell_eval(found, split);
        false
    }

    /// The names of the classes: those that a Parquet file has for them (Hugging Face's `ClassLabel`), in their order; or what
    /// occurs, the folders in sorted order, or the labels, read through once (whole numbers by value, anything else as text). For classes to be named so, they must all occur in the training set. Labels that are among
    /// the `known`, which a model has, are classes, whatever they look like.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if there are none; [`DataError::Line`] for rows that cannot be read and for more than 1,000
    /// different labels; [`DataError::Io`].
    pub fn class_names(
        &self,
        columns: &LabelledColumns,
        known: &[String],
    ) -> Result<ClassNames, DataError> {
        let files = match self {
            Self::Folders(folder) => return class_folders(folder),
            Self::Tables(files) => files,
        };
        let (wanted, separator) =
            (columns.keys.label.columns(), columns.keys.label_separator.as_deref());
        let sets = self.holds_sets(columns)?.then_some(Sets { separator });
        let mut names = CollectedNames::new(known);
        for file in files {
            let table = Table::open(file, &columns.tables.options())?;
            let label = choose(&table, wanted, Some("task.label"))?;
            if let Some(named) = table.class_names(&label) {
                say_once(format!(
                    "`{}`: the classes are called as the file says: {} (`task.labels` names others)",
                    file.display(),
                    listed(named.iter().map(String::as_str))
                ));
                return ClassNames::new(named);
            }
            names.add(table.select(&[label])?, sets)?;
        }
        if separator.is_none() && columns.keys.multi_label != Some(false) {
            names.tell_joined(self.path(), &wanted[0]);
        }
        names.classes(self.path(), &wanted[0])
    }

    /// Whether any number of labels applies to a row: [`ColumnKeys::multi_label`](super::ColumnKeys::multi_label) says so, or a separator or several columns
    /// do, or the first label that there is is a list.
    ///
    /// # Errors
    ///
    /// As [`Self::class_names`].
    pub fn holds_sets(&self, columns: &LabelledColumns) -> Result<bool, DataError> {
        if let Some(said) = columns.keys.says_sets() {
            return Ok(said);
        }
        let Self::Tables(files) = self else { return Ok(false) };
        for file in files {
            let table = Table::open(file, &columns.tables.options())?;
            let label = choose(&table, columns.keys.label.columns(), Some("task.label"))?;
            for row in table.select(&[label])? {
                let row: Row = row?;
                match row.cell(0) {
                    Cell::Null => {}
                    Cell::List(_) => {
                        say_once(format!(
                            "`{}`: {} holds lists: any number of classes applies to a row (`task.multi_label`)",
                            file.display(),
                            row.column(0)
                        ));
                        return Ok(true);
                    }
                    _ => return Ok(false),
                }
            }
        }
        Ok(false)
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
        label_rule: LabelRule,
    ) -> Result<ExampleReader, DataError> {
        match (self, targets) {
            (Self::Tables(files), _) => {
                let schema = Schema {
                    first: vec![columns.keys.sentence1.clone()],
                    second: columns.keys.sentence2.iter().cloned().collect(),
                    id: columns.keys.id.clone(),
                    label: match &columns.keys.label {
                        LabelColumns::One(column) => LabelIn::FirstOf(vec![column.clone()]),
                        LabelColumns::Each(columns) => LabelIn::Each(columns.clone()),
                    },
                    label_separator: columns.keys.label_separator.clone(),
                    targets: targets.clone(),
                    label_rule,
                    names_given: !columns.keys.labels.is_empty(),
                    null_texts_allowed: columns.keys.max_null_texts,
                    has_keys: true,
                };
                Ok(Box::new(TableExamples::new(files.clone(), schema, columns.tables.options())))
            }
            (Self::Folders(folder), Targets::Classes(names))
                if columns.keys.sentence2.is_none() =>
            {
                let found = class_folders(folder)?;
                if let Some(other) = found.names().iter().find(|name| !names.names().contains(name))
                {
                    let problem = format!(
                        "the folder `{other}` is none of the classes {}; rename or remove it, or name it in `task.labels`",
                        listed(names.names().iter().map(String::as_str))
                    );
                    return Err(DataError::dataset(folder, problem));
                }
                let examples = FolderExamples::open(folder, names, columns.tables.max_line_bytes)?;
                Ok(Box::new(examples.with_encoding(columns.tables.encoding, "task.encoding")))
            }
            (Self::Folders(folder), _) => Err(DataError::dataset(
                folder,
                "folders of texts give single texts with one class each; for pairs, several labels or regression use a table",
            )),
        }
    }

    /// Says what of the data set in the folder `path` is read for no split.
    pub(super) fn tell_unread(path: &Path) {
        let mut read = Vec::new();
        for split in Split::USUAL {
            // What is wrong with a split is told when its turn comes.
            match Self::find(path, split) {
                Ok(Some(Self::Tables(files))) => read.extend(files),
                Ok(Some(Self::Folders(folder))) => read.push(folder),
                Ok(None) | Err(_) => {}
            }
        }
        tell_unread(path, &read);
    }

    /// A path for errors about the whole.
    fn path(&self) -> &Path {
        match self {
            Self::Folders(folder) => folder,
            Self::Tables(files) => files.first().map_or(Path::new(""), PathBuf::as_path),
        }
    }
}

/// Says it where what is called `eval` validates: Hugging Face's `datasets` takes it for a test split.
fn tell_eval(found: &Path, split: Split) {
    let name = found.file_name().unwrap_or_default().to_string_lossy();
    if split == Split::Validation && name.to_ascii_lowercase().starts_with("eval") {
        say_once(format!(
            "`{}` is the validation split, which the best checkpoint is chosen by; rename it to `test…` if it is to test, and \
             otherwise if it is no split",
            found.display()
        ));
    }
}
