//! A table of labels beside files of vectors, one for each bag.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::{Cell, Row, Table, find_files};
use nystromformer_files::{say_once, tensors};

use super::Bags;
use crate::example::{Example, ExampleReader, Input};
use crate::labelled::Targets;
use crate::split::Split;
use crate::vectors::Vectors;

/// What a table of labels for all splits is called.
const LABELS: &str = "labels";

/// Where the labels of a split are.
pub(super) struct LabelTable {
    pub(super) files: Vec<PathBuf>,
    /// The folder that files are named from.
    folder: PathBuf,
    /// Whether it holds bags of other splits too, or may.
    is_of_all: bool,
}

/// The labels of a split of the data set in `path`; `None` if there is no such split.
pub(super) fn find(
    task: &Bags,
    path: &Path,
    split: Split,
) -> Result<Option<LabelTable>, DataError> {
    let in_folder = |files: Vec<PathBuf>, is_of_all| {
        (!files.is_empty()).then(|| LabelTable { files, folder: path.to_owned(), is_of_all })
    };
    if let Some(table) = &task.table {
        // Absolute where it is; otherwise as seen from the data set.
        return Ok(in_folder(vec![path.join(table)], true));
    }
    if let Some(found) = in_folder(find_files(path, split.file_stems())?, false) {
        return Ok(Some(found));
    }
    if let Some(found) = in_folder(find_files(path, &[LABELS])?, true) {
        return Ok(Some(found));
    }
    for stem in split.file_stems() {
        let folder = path.join(stem);
        let files = find_files(&folder, &[LABELS])?;
        if !files.is_empty() {
            return Ok(Some(LabelTable { files, folder, is_of_all: false }));
        }
    }
    Ok(None)
}

/// What to say of a data set without labels.
pub(super) fn missing(path: &Path) -> DataError {
    DataError::dataset(
        path,
        "no table of labels in it: expected a folder with `labels.csv` (or `train.csv`, or `train/labels.csv`; also .tsv, .jsonl, \
         .parquet) that names a .safetensors, .npy or .pt file for each bag, or one table with a vector in each row; \
         `task.table` names another",
    )
}

/// The examples of a split, `None` if there is none of it.
pub(super) fn examples(
    task: &Bags,
    path: &Path,
    split: Split,
    targets: &Targets,
) -> Result<Option<ExampleReader>, DataError> {
    let Some(table) = find(task, path, split)? else {
        return if split == Split::Train { Err(missing(path)) } else { Ok(None) };
    };
    read(task, table, Some(split), targets)
}

/// The examples of a table that is no split of the data set; their files are named from the table's folder.
pub(super) fn file_examples(
    task: &Bags,
    file: &Path,
    targets: &Targets,
) -> Result<ExampleReader, DataError> {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let table = LabelTable { files: vec![file.to_owned()], folder, is_of_all: true };
    let all = read(task, table, None, targets)?;
    Ok(all.unwrap_or_else(|| Box::new(std::iter::empty())))
}

/// Opens the header of each file that is named for the split, or for any. Nothing but the table is read.
fn read(
    task: &Bags,
    table: LabelTable,
    wanted: Option<Split>,
    targets: &Targets,
) -> Result<Option<ExampleReader>, DataError> {
    let LabelTable { files, folder, is_of_all } = table;
    let is_required = wanted.is_some_and(|split| !split.is_test());
    let mut examples = Vec::new();
    let mut named = HashMap::new();
    for file in files {
        let table = Table::open(&file, &task.options())?;
        let mut columns = vec![task.id_column(&table)?];
        let label = task.label_column(&table, is_required)?;
        let split = if is_of_all && wanted.is_some() { task.split_column(&table)? } else { None };
        let label_place = label.is_some().then_some(1);
        let split_place = split.is_some().then_some(1 + usize::from(label.is_some()));
        columns.extend(label.into_iter().chain(split));
        for row in table.select(&columns)? {
            let row = row?;
            let id = text_of(&row, 0)?;
            if let Some(line) = named.insert(id.clone(), row.line()) {
                let problem = format!(
                    "the bag `{id}` is in line {line} too: it would be seen twice, or on both sides of a split"
                );
                return Err(row.problem(problem).with_cure("drop one of the rows").into());
            }
            let split = match split_place {
                Some(place) => split_of(&row, place)?,
                // A table of all splits that tells none apart trains.
                None if is_of_all => Split::Train,
                None => wanted.unwrap_or(Split::Train),
            };
            if wanted.is_some_and(|wanted| wanted != split) {
                continue;
            }
            let label = match label_place {
                Some(place) => targets.read(&row, place)?,
                None => None,
            };
            if label.is_none() && is_required {
                let problem = "the bag has no label; give it one, or drop the row";
                return Err(row.problem(problem).into());
            }
            let path = find_file(&folder, &id).ok_or_else(|| {
                row.problem(format!(
                    "no file `{}` with one of the extensions .{} in `{}`",
                    id,
                    tensors::EXTENSIONS.join(", ."),
                    folder.display()
                ))
                .with_cure(
                    "correct the name (`task.id` says which column holds it), or add the file",
                )
            })?;
            let vectors =
                Vectors::in_file(&path, task.tensor.as_deref(), task.coordinate_tensor())?;
            examples.push(Ok(Example { id: Some(id), input: Input::Vectors(vectors), label }));
        }
    }
    if is_of_all {
        tell_unnamed(&folder, &named);
    }
    // A table of all splits that has none of this one has no such split.
    if examples.is_empty() && is_of_all && wanted.is_some_and(|split| split != Split::Train) {
        return Ok(None);
    }
    Ok(Some(Box::new(examples.into_iter())))
}

/// The split that a cell names.
pub(super) fn split_of(row: &Row, place: usize) -> Result<Split, DataError> {
    let name = text_of(row, place)?;
    let known = |split: &Split| split.file_stems().contains(&name.as_str());
    let found = Split::USUAL.into_iter().find(known);
    found.ok_or_else(|| {
        let problem = format!("{} is `{name}`", row.column(place));
        row.problem(problem).with_cure("write `train`, `validation` or `test`").into()
    })
}

/// A name, which tables may keep as a number.
pub(super) fn text_of(row: &Row, place: usize) -> Result<String, DataError> {
    let text = match row.cell(place) {
        Cell::Text(text) => text.trim().to_owned(),
        Cell::Integer(number) => number.to_string(),
        _ => String::new(),
    };
    if text.is_empty() {
        let problem = format!("{} holds no name; give it one, or drop the row", row.column(place));
        return Err(row.problem(problem).into());
    }
    Ok(text)
}

/// Says how many files of vectors lie beside those that the table names, and are named by no row.
fn tell_unnamed(folder: &Path, named: &HashMap<String, u64>) {
    let mut folders: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for id in named.keys() {
        let path = folder.join(id);
        let stem = if has_known_extension(&path) { path.file_stem() } else { path.file_name() };
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        folders
            .entry(parent)
            .or_default()
            .extend(stem.map(|stem| stem.to_string_lossy().into_owned()));
    }
    for (folder, stems) in folders {
        let files =
            std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_unnamed = |path: &PathBuf| {
            has_known_extension(path)
                && path.file_stem().is_some_and(|stem| !stems.contains(&*stem.to_string_lossy()))
        };
        let count = files.filter(is_unnamed).count();
        if count > 0 {
            say_once(format!(
                "`{}`: `{count}` files of vectors are in no row of the table of labels, and are not read",
                folder.display()
            ));
        }
    }
}

fn has_known_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| tensors::EXTENSIONS.contains(&extension))
}

/// The file of a bag: `id` itself, or with an extension more.
fn find_file(folder: &Path, id: &str) -> Option<PathBuf> {
    let whole = folder.join(id);
    if has_known_extension(&whole) && whole.is_file() {
        return Some(whole);
    }
    tensors::EXTENSIONS
        .iter()
        .map(|extension| folder.join(format!("{id}.{extension}")))
        .find(|path| path.is_file())
}
