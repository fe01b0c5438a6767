//! A split as examples.

use std::path::Path;

use nystromformer_data::DataError;

use super::{GlueTask, files};
use crate::example::ExampleReader;
use crate::label_rule::LabelRule;
use crate::labelled::{LabelIn, Schema, TableExamples};
use crate::split::Split;
use nystromformer_files::table::{Column, Format, Quotes, TableOptions};

/// Rows with too few columns that QQP may have in a file. Others count 363,870 rows in
/// its official `train.tsv` and get 363,846 examples out of it: a line break within a question leaves a row in two pieces, neither of
/// which is an example.
const SHORT_ROWS_OF_QQP: u64 = 24;

/// The examples of a split (see [`files`] for where they are looked for), one at a time.
///
/// Rows that are not as the task's table says are errors, but for the torn rows of QQP: up to 24 with too few columns are
/// passed over in a file, and counted by [`TableExamples::passed_over`]; one more is an error. Training and
/// development sets must have labels; those of test sets are read if there are any.
///
/// # Errors
///
/// [`DataError::Dataset`] if the files are missing; then, while reading, [`DataError::Line`] for a row that cannot be used,
/// [`DataError::Dataset`] for a file without rows, and [`DataError::Io`].
pub fn open(task: GlueTask, folder: &Path, split: Split) -> Result<TableExamples, DataError> {
    let files = files(task, folder, split)?;
    let official = files.first().and_then(|file| Format::of(file)) == Some(Format::Tsv);
    let options = TableOptions {
        header: !(official && without_header(task, split)),
        // The official files are separated by tabs and hold quotes that nothing closes.
        separator: official.then_some('\t'),
        quotes: official.then_some(Quotes::None),
        short_rows_allowed: if task == GlueTask::Qqp { SHORT_ROWS_OF_QQP } else { 0 },
        ..TableOptions::default()
    };
    let row = task.facts();
    let named =
        |names: &[&str]| -> Vec<Column> { names.iter().map(|name| (*name).into()).collect() };
    let mut schema = Schema {
        first: named(row.first),
        second: named(row.second),
        id: None,
        label: LabelIn::FirstOf(named(row.label)),
        label_separator: None,
        targets: task.labels(),
        label_rule: LabelRule::of_split(split),
        names_given: true,
        null_texts_allowed: 0,
        has_keys: false,
    };
    if !options.header {
        schema.first = vec![COLA_SENTENCE.into()];
        schema.label = LabelIn::FirstOf(vec![COLA_LABEL.into()]);
    }
    Ok(TableExamples::new(files, schema, options))
}

/// [`open`], boxed.
///
/// # Errors
///
/// As [`open`].
pub fn read(task: GlueTask, folder: &Path, split: Split) -> Result<ExampleReader, DataError> {
    Ok(Box::new(open(task, folder, split)?))
}

/// Places in the official files of `CoLA`: source, label, the author's mark, sentence.
const COLA_LABEL: usize = 1;
const COLA_SENTENCE: usize = 3;

/// `CoLA`'s official files have no header where they have labels.
fn without_header(task: GlueTask, split: Split) -> bool {
    task == GlueTask::Cola && !split.is_test()
}
