//! CoNLL files: a word a line with its columns, a blank line behind each sentence.

use std::path::Path;
use std::sync::Arc;

use nystromformer_data::DataError;
use nystromformer_files::table::TableOptions;
use nystromformer_files::{BoundedLines, say_once};
use serde::{Deserialize, Serialize};

use super::layout::{ColumnLayout, DOCUMENT_START, WantedColumns, lines, trimmed};
use super::sentence::TaggedWords;

/// What an example of a CoNLL file is. Entities end with their sentence, whatever it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DocumentBoundary {
    /// What stands between two blank lines.
    #[default]
    Sentence,
    /// What stands between two lines that begin with `-DOCSTART-`.
    Docstart,
    /// The whole file.
    File,
}

/// The sentences of a CoNLL file. After an error nothing follows.
pub(super) struct ColumnSentences {
    file: Arc<Path>,
    lines: BoundedLines,
    layout: ColumnLayout,
    document: DocumentBoundary,
    /// Bytes of the longest sentence.
    max_bytes: usize,
    comments: u64,
    /// Lines that begin a document.
    starts: u64,
    ended: bool,
}

impl ColumnSentences {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// As [`ColumnLayout::of`].
    pub(super) fn open(
        path: &Path,
        wanted: &WantedColumns,
        document: DocumentBoundary,
        tags_required: bool,
        options: &TableOptions,
    ) -> Result<Self, DataError> {
        Ok(Self {
            file: path.into(),
            layout: ColumnLayout::of(path, wanted, tags_required, options)?,
            lines: lines(path, options)?,
            document,
            max_bytes: options.max_line_bytes,
            comments: 0,
            starts: 0,
            ended: false,
        })
    }

    fn advance(&mut self) -> Result<Option<TaggedWords>, DataError> {
        let mut sentence = TaggedWords {
            file: Arc::clone(&self.file),
            id: None,
            words: Vec::new(),
            tags: self.layout.tag.map(|_| Vec::new()),
            lines: Vec::new(),
            unread: None,
        };
        let mut bytes = 0;
        while let Some(line) = self.lines.next_line()? {
            let text = trimmed(&line.text);
            let is_blank = text.trim_start().is_empty();
            let is_start = text.starts_with(DOCUMENT_START);
            self.starts += u64::from(is_start);
            if is_blank || is_start {
                let ends = match self.document {
                    DocumentBoundary::Sentence => true,
                    DocumentBoundary::Docstart => is_start,
                    DocumentBoundary::File => false,
                };
                if ends && !sentence.words.is_empty() {
                    return Ok(Some(sentence));
                }
                continue;
            }
            // Within a sentence `#` is a word.
            let may_be_comment = sentence.lines.last().is_none_or(|last| last + 1 != line.number);
            if Some(line.number) == self.layout.header
                || may_be_comment && self.layout.is_comment(text)
            {
                self.comments += u64::from(Some(line.number) != self.layout.header);
                continue;
            }
            let (word, tag) = self
                .layout
                .read(text)
                .map_err(|problem| DataError::line(&self.file, line.number, problem))?;
            bytes += word.len() + tag.map_or(0, str::len) + size_of::<Option<String>>() * 2;
            sentence.words.push(word.to_owned());
            if let Some(tags) = &mut sentence.tags {
                tags.push(tag.map(str::to_owned));
            }
            sentence.lines.push(line.number);
            if bytes > self.max_bytes {
                return Err(sentence.problem(0, self.too_long()));
            }
        }
        self.ended = true;
        self.tell();
        Ok((!sentence.words.is_empty()).then_some(sentence))
    }

    fn too_long(&self) -> String {
        let what = match self.document {
            DocumentBoundary::Sentence => "no blank line ends the sentence that begins here",
            DocumentBoundary::Docstart => "no line `-DOCSTART-` ends the document that begins here",
            DocumentBoundary::File => "the file is read as one document (`task.document`)",
        };
        format!(
            "{what} within `task.max_line_bytes = {}`; raise it if it is as long as that",
            self.max_bytes
        )
    }

    fn tell(&self) {
        let file = self.file.display();
        if self.comments > 0 {
            say_once(format!(
                "`{file}`: `{}` lines that begin with `#` and a blank or tab are comments, and are not read",
                self.comments
            ));
        }
        if self.document == DocumentBoundary::Docstart && self.starts == 0 {
            say_once(format!(
                "`{file}`: no line begins a document (`-DOCSTART-`), so the whole file is one (`task.document`)"
            ));
        }
    }
}

impl Iterator for ColumnSentences {
    type Item = Result<TaggedWords, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended |= !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        content: &str,
        document: DocumentBoundary,
        max_bytes: usize,
    ) -> Result<Vec<TaggedWords>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conll");
        std::fs::write(&path, content).unwrap();
        let wanted = WantedColumns::default();
        let options = TableOptions { max_line_bytes: max_bytes, ..TableOptions::default() };
        ColumnSentences::open(&path, &wanted, document, true, &options)
            .and_then(Iterator::collect)
            .map_err(|error| error.to_string())
    }

    fn words(content: &str, document: DocumentBoundary) -> Vec<String> {
        let sentences = read(content, document, 1 << 20).unwrap();
        sentences.into_iter().map(|sentence| sentence.words.join(" ")).collect()
    }

    const TWO: &str = "-DOCSTART- O\n\na O\nb B-X\n\n\t\nc O\n \n-DOCSTART- O\n\nd O\n";

    #[test]
    fn blank_lines_tabs_and_starts_of_documents_end_what_they_should() {
        assert_eq!(words(TWO, DocumentBoundary::Sentence), ["a b", "c", "d"]);
        assert_eq!(words(TWO, DocumentBoundary::Docstart), ["a b c", "d"]);
        assert_eq!(words(TWO, DocumentBoundary::File), ["a b c d"]);
        assert_eq!(words("a O\r\n\r\nb O", DocumentBoundary::Sentence), ["a", "b"]);
    }

    #[test]
    fn words_know_their_lines() {
        let sentences = read(TWO, DocumentBoundary::Docstart, 1 << 20).unwrap();
        assert_eq!(sentences[0].lines, [3, 4, 7]);
        let message = sentences[0].problem(2, "x").to_string();
        assert!(message.ends_with("a.conll:7: x"), "{message}");
    }

    #[test]
    fn comments_stand_at_the_beginning_of_a_sentence() {
        let content = "# id = 1\na O\n# O\n\n# text = # O\n# O\nb O\n";
        assert_eq!(words(content, DocumentBoundary::Sentence), ["a #", "# b"]);
    }

    #[test]
    fn malformed_lines_are_told_and_memory_is_bounded() {
        let message = read("a O\n\nb\n", DocumentBoundary::Sentence, 1000).unwrap_err();
        assert!(message.contains("a.conll:3: `1` columns, and line 1 has `2`"), "{message}");
        let long = format!("a O\n\nb {}\n", "x".repeat(2000));
        let message = read(&long, DocumentBoundary::Sentence, 1000).unwrap_err();
        assert!(
            message.contains("a.conll:3: longer than `task.max_line_bytes = 1000`"),
            "{message}"
        );
        let endless = format!("a O\n\n{}", "b O\n".repeat(100));
        let message = read(&endless, DocumentBoundary::Sentence, 1000).unwrap_err();
        assert!(message.contains("a.conll:3: no blank line ends the sentence"), "{message}");
        let message = read("a O\nb \u{0}\n", DocumentBoundary::Sentence, 1000);
        assert!(message.is_ok(), "{message:?}");
    }
}
