//! From the files of a corpus to chunks.

use std::collections::VecDeque;

use super::ReadOptions;
use super::chunk::{Chunk, ChunkQueue};
use super::file::{CorpusFile, FileKind};
use super::rows::{NullTexts, TextRows};
use super::text::TextReader;
use crate::error::DataError;
use crate::sample;

/// Iterator over the chunks of a corpus; ends after the first error.
pub(crate) struct Chunks {
    files: VecDeque<CorpusFile>,
    options: ReadOptions,
    open: Option<OpenFile>,
    queue: ChunkQueue,
    nulls: NullTexts,
}

/// The file that is being read.
enum OpenFile {
    Text(TextReader),
    Table(Box<TextRows>),
}

impl OpenFile {
    fn open(file: &CorpusFile, options: &ReadOptions) -> Result<Self, DataError> {
        Ok(match file.form {
            FileKind::Text => Self::Text(TextReader::open(&file.path, options.document)?),
            FileKind::Table(_) => Self::Table(Box::new(TextRows::open(file, options)?)),
        })
    }
}

impl Chunks {
    /// The chunks of these files, in this order.
    pub(super) fn of_files(files: &[CorpusFile], options: &ReadOptions) -> Self {
        Self {
            files: files.to_vec().into(),
            options: options.clone(),
            open: None,
            queue: ChunkQueue::default(),
            nulls: NullTexts::default(),
        }
    }

    /// The documents of the built-in sample.
    pub(super) fn of_sample(options: &ReadOptions) -> Self {
        let chunks = sample::documents().into_iter().map(|document| Chunk {
            source_bytes: document.text.len() as u64,
            text: document.text,
            ends_document: true,
            held_out: document.held_out,
        });
        Self { queue: ChunkQueue::of(chunks.collect()), ..Self::of_files(&[], options) }
    }

    fn advance(&mut self) -> Result<Option<Chunk>, DataError> {
        loop {
            if let Some(chunk) = self.queue.pop() {
                return Ok(Some(chunk));
            }
            if let Some(open) = &mut self.open {
                let more = match open {
                    OpenFile::Text(text) => text.read(&mut self.queue)?,
                    OpenFile::Table(rows) => rows.read(&mut self.queue, &mut self.nulls)?,
                };
                if !more {
                    self.open = None;
                }
            } else if let Some(file) = self.files.pop_front() {
                self.open = Some(OpenFile::open(&file, &self.options)?);
            } else {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Chunks {
    type Item = Result<Chunk, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if matches!(item, Some(Err(_))) {
            self.files.clear();
            self.open = None;
        }
        item
    }
}
