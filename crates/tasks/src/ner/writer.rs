//! Predictions as CoNLL columns: the lines of the file as they are, with the predicted tag behind them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use nystromformer_data::DataError;
use nystromformer_files::BoundedLines;
use nystromformer_files::table::TableOptions;

use super::layout::{DOCUMENT_START, lines, trimmed};
use super::scheme::{Scheme, from_iob2};
use crate::example::{ColumnLines, WordSequence};
use crate::metrics::EntityTag;
use crate::prediction::WordTag;

/// What stands for a word that the model gives nothing for, where tags are no entities.
const NOTHING: &str = "_";

/// How predicted classes are written as tags.
#[derive(Debug, Clone)]
pub(super) struct TagNames {
    pub(super) names: Vec<String>,
    /// Whether they are tags of entities, in IOB2.
    pub(super) of_entities: bool,
}

impl TagNames {
    /// The tag of each word, in this scheme. No entity goes on beyond its sentence.
    pub(super) fn written(
        &self,
        tags: &[Option<WordTag>],
        sentences: &[Range<usize>],
        scheme: Scheme,
    ) -> Vec<String> {
        let name =
            |tag: &Option<WordTag>| tag.and_then(|tag| self.names.get(usize::from(tag.class)));
        if !self.of_entities || matches!(scheme, Scheme::Iob2 | Scheme::None) {
            let nothing = if self.of_entities { "O" } else { NOTHING };
            return tags
                .iter()
                .map(|tag| name(tag).map_or(nothing, String::as_str).to_owned())
                .collect();
        }
        let tags: Vec<EntityTag<'_>> = tags
            .iter()
            .map(|tag| {
                name(tag).and_then(|name| EntityTag::parse(name)).unwrap_or(EntityTag::Outside)
            })
            .collect();
        let of_sentence = |words: &Range<usize>| from_iob2(&tags[words.clone()], scheme);
        sentences.iter().flat_map(of_sentence).collect()
    }
}

/// Writes the lines of files with a column more. Examples come in the order of their lines.
pub(super) struct ColumnWriter {
    options: TableOptions,
    /// The file that is being copied, and the number of its line that comes next.
    open: Option<(Arc<Path>, BoundedLines, u64)>,
    contents: Vec<u8>,
}

impl ColumnWriter {
    /// For files that are read with these options.
    pub(super) fn new(options: TableOptions) -> Self {
        Self { options, open: None, contents: Vec::new() }
    }

    /// Writes a sentence or document with its tags, and what stands between it and the one before.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] and [`DataError::Line`] if its file cannot be read again.
    pub(super) fn add(&mut self, words: &WordSequence, tags: &[String]) -> Result<(), DataError> {
        let Some(ColumnLines { file, lines }) = &words.lines else {
            for (word, tag) in words.words.iter().zip(tags) {
                self.line(word, Some(tag));
            }
            self.contents.push(b'\n');
            return Ok(());
        };
        if self
            .open
            .as_ref()
            .is_none_or(|(open, _, next)| open != file || lines.first() < Some(next))
        {
            self.finish_file()?;
            self.open = Some((Arc::clone(file), self::lines(file, &self.options)?, 1));
        }
        for (line, tag) in lines.iter().zip(tags) {
            self.copy_to(*line, tag)?;
        }
        Ok(())
    }

    /// Copies what stands before a line, and the line with its tag.
    fn copy_to(&mut self, wanted: u64, tag: &str) -> Result<(), DataError> {
        while let Some(line) = self.next_line()? {
            let (number, text) = line;
            if number == wanted {
                self.line(&text, Some(tag));
                return Ok(());
            }
            self.between(&text);
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<(u64, String)>, DataError> {
        let Some((_, lines, next)) = &mut self.open else { return Ok(None) };
        let Some(line) = lines.next_line()? else { return Ok(None) };
        *next = line.number + 1;
        Ok(Some((line.number, line.text)))
    }

    /// A line without a word that is predicted: blank lines and beginnings of documents stay, words of examples that were not
    /// read, and comments, do not.
    fn between(&mut self, text: &str) {
        if trimmed(text).trim_start().is_empty() {
            // Where whole sentences are left out one blank line is enough.
            if !self.contents.is_empty() && !self.contents.ends_with(b"\n\n") {
                self.contents.push(b'\n');
            }
        } else if text.starts_with(DOCUMENT_START) {
            self.line(text, Some("O"));
        }
    }

    fn line(&mut self, text: &str, tag: Option<&str>) {
        let text = trimmed(text);
        self.contents.extend(text.as_bytes());
        if let Some(tag) = tag {
            self.contents.push(if text.contains('\t') { b'\t' } else { b' ' });
            self.contents.extend(tag.as_bytes());
        }
        self.contents.push(b'\n');
    }

    /// Copies what is left of the file that is being copied.
    fn finish_file(&mut self) -> Result<(), DataError> {
        while let Some((_, text)) = self.next_line()? {
            self.between(&text);
        }
        self.open = None;
        if !self.contents.is_empty() && !self.contents.ends_with(b"\n\n") {
            self.contents.push(b'\n');
        }
        Ok(())
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// As [`Self::add`].
    pub(super) fn finish(mut self) -> Result<Vec<u8>, DataError> {
        self.finish_file()?;
        Ok(self.contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> TagNames {
        TagNames { names: ["O", "B-A", "I-A"].map(str::to_owned).to_vec(), of_entities: true }
    }

    fn tags(classes: &[u16]) -> Vec<Option<WordTag>> {
        classes.iter().map(|class| Some(WordTag { class: *class, score: 1.0 })).collect()
    }

    fn words(file: &Path, words: &[&str], lines: &[u64]) -> WordSequence {
        let lines = Some(ColumnLines { file: file.into(), lines: lines.to_vec() });
        WordSequence { words: words.iter().map(|word| (*word).to_owned()).collect(), lines }
    }

    #[test]
    fn lines_stay_as_they_are_with_a_column_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eng.testb");
        let content = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O \n\n\nPeter NNP I-NP I-PER\n\nof IN I-PP O\n";
        std::fs::write(&path, content).unwrap();
        let mut writer = ColumnWriter::new(TableOptions::default());
        let first = words(&path, &["EU", "rejects"], &[3, 4]);
        let written = names().written(&tags(&[1, 0]), &first.sentences(), Scheme::Iob1);
        writer.add(&first, &written).unwrap();
        // The sentence between them was not read.
        writer.add(&words(&path, &["of"], &[9]), &["O".to_owned()]).unwrap();
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        let expected = "-DOCSTART- -X- O O O\n\nEU NNP I-NP I-ORG I-A\nrejects VBZ I-VP O O\n\nof IN I-PP O O\n\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_document_keeps_its_sentences_and_files_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.tsv", "b.tsv"].map(|name| folder.path().join(name));
        for path in &paths {
            std::fs::write(path, "x\tO\t\n\ny\tO\t\n").unwrap();
        }
        let mut writer = ColumnWriter::new(TableOptions::default());
        for path in &paths {
            let document = words(path, &["x", "y"], &[1, 3]);
            let written = names().written(&tags(&[1, 2]), &document.sentences(), Scheme::Bioes);
            // An entity ends with its sentence: no scorer joins them.
            assert_eq!(written, ["S-A", "S-A"]);
            writer.add(&document, &written).unwrap();
        }
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        assert_eq!(text, "x\tO\tS-A\n\ny\tO\tS-A\n\n".repeat(2));
        let one = words(&paths[0], &["x", "y"], &[1, 2]);
        let written = names().written(&tags(&[1, 2]), &one.sentences(), Scheme::Bioes);
        assert_eq!(written, ["B-A", "E-A"]);
    }

    #[test]
    fn words_without_an_answer_are_outside() {
        let none = [None, Some(WordTag { class: 2, score: 1.0 })];
        let one = [Range { start: 0, end: 2 }];
        assert_eq!(names().written(&none, &one, Scheme::Iob2), ["O", "I-A"]);
        assert_eq!(names().written(&none, &one, Scheme::Iob1), ["O", "I-A"]);
        let plain = TagNames { of_entities: false, ..names() };
        assert_eq!(plain.written(&none, &one, Scheme::Bioes), ["_", "I-A"]);
    }

    #[test]
    fn words_of_no_file_are_written_one_a_line() {
        let mut writer = ColumnWriter::new(TableOptions::default());
        let words = WordSequence { words: vec!["a".to_owned(), "b".to_owned()], lines: None };
        writer.add(&words, &["O".to_owned(), "B-A".to_owned()]).unwrap();
        assert_eq!(writer.finish().unwrap(), b"a O\nb B-A\n\n");
    }
}
