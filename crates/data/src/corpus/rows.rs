//! Tables: a row is a document, one of its columns the text.

use nystromformer_files::say_once;
use nystromformer_files::table::{Cell, Column, Rows, Table};

use super::ReadOptions;
use super::chunk::ChunkQueue;
use super::file::{CorpusFile, table_options};
use crate::error::DataError;

/// Rows without a text that were skipped so far, in all files of a corpus.
#[derive(Debug, Default)]
pub(super) struct NullTexts(u64);

/// Reads a table.
pub(super) struct TextRows {
    rows: Rows,
    text_field: String,
    max_null_texts: u64,
    /// Rows of this file without a text.
    skipped: u64,
}

impl TextRows {
    pub(super) fn open(file: &CorpusFile, options: &ReadOptions) -> Result<Self, DataError> {
        let table = Table::open(&file.path, &table_options(options))?;
        let wanted = [Column::Name(options.text_field.clone())];
        if !table.has(&wanted[0]) {
            let cure = match table.closest(&wanted) {
                Some(close) => format!("set `data.text_field = \"{close}\"`"),
                None => "set `data.text_field` to the one with the text".to_owned(),
            };
            return Err(table.missing(&wanted).with_cure(cure).into());
        }
        Ok(Self {
            rows: table.select(&wanted)?,
            text_field: options.text_field.clone(),
            max_null_texts: options.max_null_texts,
            skipped: 0,
        })
    }

    /// Reads a row into the queue; whether there was one.
    pub(super) fn read(
        &mut self,
        queue: &mut ChunkQueue,
        nulls: &mut NullTexts,
    ) -> Result<bool, DataError> {
        let Some(mut row) = self.rows.next().transpose()? else {
            return Ok(false);
        };
        if *row.cell(0) != Cell::Null {
            queue.push(&row.take_text(0)?);
            queue.end_document();
            return Ok(true);
        }
        nulls.0 += 1;
        self.skipped += 1;
        if nulls.0 > self.max_null_texts {
            let problem = format!(
                "`{}` is null, and so it is in more rows than `data.max_null_texts = {}`",
                self.text_field, self.max_null_texts
            );
            return Err(row.problem(problem).with_cure("drop such rows, or raise it").into());
        }
        Ok(true)
    }
}

impl Drop for TextRows {
    fn drop(&mut self) {
        if self.skipped > 0 {
            say_once(format!(
                "`{}`: `{}` is null or missing in {} rows, which are skipped (`data.max_null_texts` limits how many)",
                self.rows.file().display(),
                self.text_field,
                self.skipped
            ));
        }
    }
}
