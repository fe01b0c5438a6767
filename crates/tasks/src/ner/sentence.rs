//! A sentence or document as a file has it: words, and the tags of its scheme.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use nystromformer_data::DataError;

/// Words and their tags, before the tags are classes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TaggedWords {
    pub(super) file: Arc<Path>,
    /// What the file calls it.
    pub(super) id: Option<String>,
    pub(super) words: Vec<String>,
    /// The tag of each word, `None` for one without; `None` if the file has no tags.
    pub(super) tags: Option<Vec<Option<String>>>,
    /// The line of each word; of a row that holds them all its line alone.
    pub(super) lines: Vec<u64>,
}

impl TaggedWords {
    /// The sentences of a document, by the places of their words: where lines follow each other. No entity goes on beyond one.
    pub(super) fn parts(&self) -> Vec<Range<usize>> {
        if self.lines.len() != self.words.len() {
            return std::iter::once(0..self.words.len()).collect();
        }
        let mut parts = Vec::new();
        let mut start = 0;
        for lines in self.lines.chunk_by(|line, next| line + 1 == *next) {
            parts.push(start..start + lines.len());
            start += lines.len();
        }
        parts
    }

    /// An error about a word.
    pub(super) fn problem(&self, word: usize, problem: impl Into<String>) -> DataError {
        let line = self.lines.get(word).or(self.lines.first()).copied().unwrap_or(1);
        DataError::line(&self.file, line, problem)
    }
}
