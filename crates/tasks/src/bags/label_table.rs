//! A table of labels beside files of vectors, one for each bag.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::{Cell, Row, Table, find_files};
use nystromformer_files::{say_once, tensors};

use super::Bags;
use super::named_bags::{NamedBags, find_file};
use crate::example::{Example, ExampleReader, Input};
use crate::label_rule::{LabelRule, UnreadLabels};
use crate::labelled::Targets;
use crate::row_counter::RowCounter;
use crate::split::Split;
use crate::unread_files::tell_unread;
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
    let within = |stems: &[&str]| {
        for stem in stems {
            let folder = path.join(stem);
            let files = find_files(&folder, &[LABELS])?;
            if !files.is_empty() {
                return Ok(Some(LabelTable { files, folder, is_of_all: false }));
            }
        }
        Ok::<_, DataError>(None)
    };
    if let Some(found) = in_folder(find_files(path, split.own_stems())?, false) {
        return Ok(Some(found));
    }
    if let Some(found) = in_folder(find_files(path, &[LABELS])?, true) {
        return Ok(Some(found));
    }
    if let Some(found) = within(split.own_stems())? {
        return Ok(Some(found));
    }
    // What other things are called too is a split only where the training split lies in the same way.
    let training = if split == Split::Train { None } else { find(task, path, Split::Train)? };
    let is_beside = training.as_ref().map(|training| training.folder == path);
    if is_beside != Some(false)
        && let Some(found) = in_folder(find_files(path, split.shared_stems())?, false)
        && names_bags(task, &found.files[0], split)
    {
        return Ok(Some(found));
    }
    if is_beside == Some(true) { Ok(None) } else { within(split.shared_stems()) }
}

/// Whether a table that is called as a split and as other things are has a column that names bags. That of somebody's scores has none,
/// which is said.
fn names_bags(task: &Bags, file: &Path, split: Split) -> bool {
    // What is wrong with it is told when it is read.
    let Ok(table) = Table::open(file, &task.tables.options()) else { return true };
    let has_names = task.id_column(&table).is_ok();
    if !has_names {
        say_once(format!(
            "`{}` is not read as the {} split, for it has no column that names bags (`task.id`)",
            file.display(),
            split.name()
        ));
    }
    has_names
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
    let mut named = NamedBags::default();
    let is_before = |other: &Split| *other < split;
    for other in Split::USUAL.into_iter().filter(is_before) {
        if let Some(of_other) = find(task, path, other)?.filter(|found| found.files != table.files)
        {
            of_other.each_row(task, Some(other), false, &mut |bag| {
                if bag.split == other {
                    named.add(&bag.id, &of_other.folder, bag.row)
                } else {
                    Ok(())
                }
            })?;
        }
    }
    let found = read(task, &table, Some(split), targets, &mut named)?;
    if split == Split::Train {
        if task.table.is_none() {
            let of_split = |split| find(task, path, split).ok().flatten();
            let tables = Split::USUAL.into_iter().filter_map(of_split);
            let mut read: Vec<PathBuf> = tables.flat_map(|table| table.files).collect();
            // Those in folders are read of these.
            let folders = read.iter().filter_map(|file| Some(file.parent()?.to_owned()));
            read.extend(folders.filter(|folder| folder != path).collect::<Vec<_>>());
            tell_unread(path, &read);
        }
        for other in [Split::Validation, Split::Test] {
            // What is wrong with it is told when its turn comes.
            if let Ok(Some(of_other)) = find(task, path, other) {
                let _ = of_other.each_row(task, Some(other), false, &mut |bag| {
                    named.note(&bag.id, &of_other.folder, bag.row);
                    Ok(())
                });
            }
        }
        named.tell_unnamed();
    }
    Ok(found)
}

/// The examples of a table that is no split of the data set; their files are named from the table's folder.
pub(super) fn file_examples(
    task: &Bags,
    file: &Path,
    targets: &Targets,
) -> Result<ExampleReader, DataError> {
    let table =
        LabelTable { files: vec![file.to_owned()], folder: folder_of(file), is_of_all: true };
    let mut named = NamedBags::default();
    let all = read(task, &table, None, targets, &mut named)?;
    named.tell_unnamed();
    Ok(all.unwrap_or_else(|| Box::new(std::iter::empty())))
}

/// What is asked of the labels of a split, or of a file that is none.
pub(super) fn rule_of(split: Option<Split>) -> LabelRule {
    split.map_or(LabelRule::IfReadable, LabelRule::of_split)
}

/// Whether the bag of a row has a file, as seen from the folder of its table.
pub(super) fn names_a_file(row: &Row, table: &Path) -> Result<bool, DataError> {
    Ok(find_file(&folder_of(table), &text_of(row, 0)?).is_some())
}

fn folder_of(table: &Path) -> PathBuf {
    table.parent().unwrap_or(Path::new("")).to_owned()
}

/// A row of a table of labels.
struct BagRow<'a> {
    id: String,
    split: Split,
    row: &'a Row,
    /// Which of its cells is the label.
    label: Option<usize>,
}

impl LabelTable {
    /// Gives each row to `act`; `wanted` is the split that is read, if it is one.
    fn each_row(
        &self,
        task: &Bags,
        wanted: Option<Split>,
        is_required: bool,
        act: &mut dyn FnMut(BagRow<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        for file in &self.files {
            let table = Table::open(file, &task.tables.options())?;
            let mut columns = vec![task.id_column(&table)?];
            let label = task.label_column(&table, is_required)?;
            let has_splits = self.is_of_all && wanted.is_some();
            let split = if has_splits { task.split_column(&table)? } else { None };
            let label_place = label.is_some().then_some(1);
            let split_place = split.is_some().then_some(1 + usize::from(label.is_some()));
            columns.extend(label.into_iter().chain(split));
            for row in table.select(&columns)? {
                let row = row?;
                let split = match split_place {
                    Some(place) => split_of(&row, place)?,
                    // A table of all splits that tells none apart trains.
                    None if self.is_of_all => Split::Train,
                    None => wanted.unwrap_or(Split::Train),
                };
                let id = text_of(&row, 0)?;
                act(BagRow { id, split, row: &row, label: label_place })?;
            }
        }
        Ok(())
    }
}

/// Opens the header of each file that is named for the split, or for any. Nothing but the table is read.
fn read(
    task: &Bags,
    table: &LabelTable,
    wanted: Option<Split>,
    targets: &Targets,
    named: &mut NamedBags,
) -> Result<Option<ExampleReader>, DataError> {
    let rule = rule_of(wanted);
    let mut unread = UnreadLabels::new(rule, "task.label");
    let mut examples = Vec::new();
    let mut rows = RowCounter::default();
    table.each_row(task, wanted, rule.requires(), &mut |bag| {
        let BagRow { id, split, row, label } = bag;
        let place = rows.next_row();
        named.add(&id, &table.folder, row)?;
        if wanted.is_some_and(|wanted| wanted != split) {
            return Ok(());
        }
        let label = match label {
            Some(place) => {
                if task.labels.is_empty() {
                    targets.tell_places(row, place);
                }
                unread.settle(targets.read(row, place))?
            }
            None => None,
        };
        if label.is_none() && rule.requires() {
            let problem = "the bag has no label; give it one, or drop the row";
            return Err(row.problem(problem).into());
        }
        let path = find_file(&table.folder, &id).ok_or_else(|| {
            row.problem(format!(
                "no file `{}` with one of the extensions .{} in `{}`",
                id,
                tensors::EXTENSIONS.join(", ."),
                table.folder.display()
            ))
            .with_cure("correct the name (`task.id` says which column holds it), or add the file")
        })?;
        let vectors = Vectors::in_file(&path, task.tensor.as_deref(), task.coordinate_tensor())?;
        examples.push(Ok(Example {
            row: rows.of_example(place),
            id: Some(id),
            input: Input::Vectors(vectors),
            label,
        }));
        Ok(())
    })?;
    // A table of all splits that has none of this one has no such split.
    if examples.is_empty() && table.is_of_all && wanted.is_some_and(|split| split != Split::Train) {
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
