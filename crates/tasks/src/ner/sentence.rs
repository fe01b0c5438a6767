//! [`TaggedWords`]: a sentence or document as a file has it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use nystromformer_data::DataError;

use crate::example::sentences;

/// Words and their tags, before the tags are classes.
#[derive(Debug)]
pub(super) struct TaggedWords {
    pub(super) file: Arc<Path>,
    /// What the file calls it.
    pub(super) id: Option<String>,
    pub(super) words: Vec<String>,
    /// The tag of each word, `None` for one without; `None` if the file has no tags.
    pub(super) tags: Option<Vec<Option<String>>>,
    /// The line of each word; a single line if all stand in one row of a table.
    pub(super) lines: Vec<u64>,
    /// Why its tags were not read, if they need not be readable.
    pub(super) unread: Option<DataError>,
}

impl TaggedWords {
    /// The words of each sentence, by their places. A sentence ends where the next word is not in the next line; a row of a table
    /// is one sentence.
    pub(super) fn sentences(&self) -> Vec<Range<usize>> {
        if self.lines.len() == self.words.len() {
            sentences(&self.lines).collect()
        } else {
            std::iter::once(0..self.words.len()).collect()
        }
    }

    /// An error about a word.
    pub(super) fn problem(&self, word: usize, problem: impl Into<String>) -> DataError {
        let line = self.lines.get(word).or(self.lines.first()).copied().unwrap_or(1);
        DataError::line(&self.file, line, problem)
    }
}

#[cfg(test)]
impl TaggedWords {
    /// Words with these tags, `?` for none, in the lines from 3 on of `a.conll`.
    pub(super) fn of_tags(tags: &str) -> Self {
        let tags: Vec<Option<String>> =
            tags.split(' ').map(|tag| (tag != "?").then(|| tag.to_owned())).collect();
        Self {
            file: Path::new("a.conll").into(),
            id: None,
            words: vec![String::new(); tags.len()],
            lines: (3..3 + tags.len() as u64).collect(),
            tags: Some(tags),
            unread: None,
        }
    }
}
