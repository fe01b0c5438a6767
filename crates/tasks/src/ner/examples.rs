//! From the sentences of some files to examples.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::TableOptions;

use super::classes::TagClasses;
use super::columns::{ColumnSentences, DocumentBoundary};
use super::file_form::FileForm;
use super::layout::WantedColumns;
use super::rows::RowSentences;
use super::sentence::TaggedWords;
use super::word_table::WordTable;
use crate::example::{ColumnLines, Example, Input, Label, WordSequence};
use crate::files_in_turn::ReadFiles;
use crate::label_rule::{LabelRule, UnreadLabels};
use crate::row_counter::RowCounter;

/// How files are read.
#[derive(Debug, Clone)]
pub(super) struct SentenceOptions {
    pub(super) columns: WantedColumns,
    pub(super) document: DocumentBoundary,
    /// `task.labels`, which numbers stand for.
    pub(super) names: Vec<String>,
    /// How tables, and the lines of other files, are written.
    pub(super) tables: TableOptions,
    /// What is asked of the tags.
    pub(super) rule: LabelRule,
}

/// The sentences of a file.
pub(super) type SentenceReader = Box<dyn Iterator<Item = Result<TaggedWords, DataError>> + Send>;

impl SentenceOptions {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// As [`ColumnSentences::open`], [`RowSentences::open`] and [`WordTable::open`].
    pub(super) fn open(&self, file: &Path) -> Result<SentenceReader, DataError> {
        let Self { columns, document, names, tables, rule } = self;
        Ok(match FileForm::of(file) {
            FileForm::Columns => {
                Box::new(ColumnSentences::open(file, columns, *document, rule.requires(), tables)?)
            }
            FileForm::Rows => Box::new(RowSentences::open(file, columns, names, *rule, tables)?),
            FileForm::Words => Box::new(WordTable::open(file, columns, names, *rule, tables)?),
        })
    }
}

/// Reads sentences as examples.
pub(super) struct NerReader {
    pub(super) options: SentenceOptions,
    pub(super) classes: TagClasses,
    /// Of the sentences of all files so far.
    pub(super) sentences: RowCounter,
}

pub(super) struct OpenFile {
    path: PathBuf,
    sentences: SentenceReader,
    /// Sentences without a word, which are no examples.
    empty: u64,
    /// Sentences without a tag, where there must be some.
    untagged: u64,
    /// Words without a tag, beside others that have one.
    words_untagged: u64,
    unread: UnreadLabels,
}

impl ReadFiles for NerReader {
    type Open = OpenFile;
    type Item = Example;

    fn open(&mut self, file: &Path) -> Result<OpenFile, DataError> {
        Ok(OpenFile {
            path: file.to_owned(),
            sentences: self.options.open(file)?,
            empty: 0,
            untagged: 0,
            words_untagged: 0,
            unread: UnreadLabels::new(self.options.rule, "task.tags"),
        })
    }

    fn read(&mut self, file: &mut OpenFile) -> Result<Option<Example>, DataError> {
        while let Some(mut sentence) = file.sentences.next().transpose()? {
            let row = self.sentences.next_row();
            // Predictions are for all rows.
            if sentence.words.is_empty() && self.options.rule != LabelRule::IfReadable {
                file.empty += 1;
                continue;
            }
            let label = match sentence.unread.take() {
                Some(error) => Err(error),
                None => self.classes.label(&sentence),
            };
            let label = file.unread.settle(label)?;
            match &label {
                None if self.options.rule.requires() => {
                    file.untagged += 1;
                    continue;
                }
                Some(Label::Tags(tags)) => {
                    file.words_untagged +=
                        tags.classes.iter().filter(|class| class.is_none()).count() as u64;
                }
                _ => {}
            }
            return Ok(Some(Example {
                row: self.sentences.of_example(row),
                ..example(sentence, label)
            }));
        }
        Ok(None)
    }
}

fn example(sentence: TaggedWords, label: Option<Label>) -> Example {
    let TaggedWords { file, id, words, lines, .. } = sentence;
    let lines = (FileForm::of(&file) == FileForm::Columns).then_some(ColumnLines { file, lines });
    Example { row: None, id, input: Input::Words(WordSequence { words, lines }), label }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let file = self.path.display();
        if self.empty > 0 {
            say_once(format!("`{file}`: `{}` rows without a word are no examples", self.empty));
        }
        if self.untagged > 0 {
            say_once(format!("`{file}`: `{}` sentences without a tag are not read", self.untagged));
        }
        if self.words_untagged > 0 {
            say_once(format!(
                "`{file}`: `{}` words have no tag: they are read as context, and neither trained on nor measured",
                self.words_untagged
            ));
        }
    }
}
