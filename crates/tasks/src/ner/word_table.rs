//! Tables with a word in each row, and a column that says which sentence the word stands in: CSV, as spreadsheets and Kaggle have it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use nystromformer_data::DataError;
use nystromformer_files::table::{Cell, Column, Row, Rows, Table, TableOptions};
use nystromformer_files::{FileError, say_once};

use super::layout::WantedColumns;
use super::sentence::TaggedWords;
use crate::label_rule::LabelRule;

/// What the columns are usually called, but for capitals, blanks, `-` and `_`.
const WORD: [&str; 4] = ["word", "token", "words", "tokens"];
const TAG: [&str; 6] = ["tag", "ner_tag", "ner", "label", "ner_tags", "labels"];
const SENTENCE: [&str; 6] =
    ["sentence", "sentence_id", "sentence #", "sentence_idx", "sentence_number", "sent_id"];

/// The sentences of a table. After an error nothing follows.
pub(super) struct WordTable {
    file: Arc<Path>,
    rows: Rows,
    has_tags: bool,
    /// `task.labels`, which numbers stand for.
    names: Vec<String>,
    rule: LabelRule,
    /// Bytes of the longest sentence.
    max_bytes: usize,
    /// The first word of the sentence that comes next.
    next: Option<WordRow>,
    /// What tells the sentence that is read.
    sentence: String,
    /// Hashes of what told the sentences before it.
    sentences: HashSet<u64>,
    /// Sentences that are told as one before them.
    again: u64,
    ended: bool,
}

struct WordRow {
    word: String,
    /// Empty in the rows of a sentence behind its first, in some tables.
    sentence: String,
    tag: Option<String>,
    /// Why its tag was not read, if it need not be readable.
    unread: Option<FileError>,
    line: u64,
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The column that is asked for, or else one with a usual name.
fn find(
    table: &Table,
    wanted: Option<&Column>,
    usual: &[&str],
    key: &str,
    holds: &str,
) -> Result<Column, FileError> {
    let cure = format!("set `{key}` to the column that holds {holds}");
    let usual: Vec<Column> = usual.iter().map(|name| Column::from(*name)).collect();
    match wanted {
        Some(wanted) => table.find(std::slice::from_ref(wanted)).cloned(),
        None => match table.find(&usual) {
            Ok(column) => Ok(column.clone()),
            Err(missing) => table.closest(&usual).map(Column::from).ok_or(missing),
        },
    }
    .map_err(|error| error.with_cure(cure))
}

fn word_column(table: &Table, wanted: &WantedColumns) -> Result<Column, FileError> {
    find(table, wanted.tokens.as_ref(), &WORD, "task.tokens", "a word in each row")
}

fn sentence_column(table: &Table, wanted: &WantedColumns) -> Result<Column, FileError> {
    let holds = "a number or name of the sentence, in each of its rows or the first";
    find(table, wanted.sentence.as_ref(), &SENTENCE, "task.sentence", holds)
}

/// Whether a file is such a table.
///
/// # Errors
///
/// Those of [`Table::open`].
pub(super) fn has_words(
    path: &Path,
    wanted: &WantedColumns,
    options: &TableOptions,
) -> Result<bool, DataError> {
    let table = Table::open(path, options)?;
    Ok(word_column(&table, wanted).is_ok() && sentence_column(&table, wanted).is_ok())
}

impl WordTable {
    /// Opens a table, in whose tags numbers stand for `names`, if there are any.
    ///
    /// # Errors
    ///
    /// Those of [`Table::open`]; [`DataError::Line`] if a column is not there. That of the tags may be missing unless they are
    /// required.
    pub(super) fn open(
        path: &Path,
        wanted: &WantedColumns,
        names: &[String],
        rule: LabelRule,
        options: &TableOptions,
    ) -> Result<Self, DataError> {
        let table = Table::open(path, options)?;
        let words = word_column(&table, wanted)?;
        let sentence = match sentence_column(&table, wanted) {
            Ok(sentence) => sentence,
            Err(missing) => {
                // Is it a table with a sentence a row?
                if let Some(row) = table.select(&[words])?.next().transpose()? {
                    let otherwise = "if it is a word, set `task.sentence` to the column that tells sentences apart";
                    row.refuse_written_list(0, Some(otherwise))?;
                }
                return Err(missing.into());
            }
        };
        let mut columns = vec![words, sentence];
        let tags = find(&table, wanted.tags.as_ref(), &TAG, "task.tags", "the tag of each word");
        let has_tags = tags.is_ok();
        if has_tags || rule.requires() {
            columns.push(tags?);
        }
        let shown: Vec<String> = columns.iter().map(Column::to_string).collect();
        let keys = &["task.tokens", "task.sentence", "task.tags"][..columns.len()];
        say_once(format!(
            "`{}`: a word a row, from {} (`{}`)",
            path.display(),
            shown.join(", "),
            keys.join("`, `")
        ));
        Ok(Self {
            file: path.into(),
            rows: table.select(&columns)?,
            has_tags,
            names: names.to_vec(),
            rule,
            max_bytes: options.max_line_bytes,
            next: None,
            sentence: String::new(),
            sentences: HashSet::new(),
            again: 0,
            ended: false,
        })
    }

    /// The next row, or the one that was read too far.
    fn row(&mut self) -> Result<Option<WordRow>, DataError> {
        if let Some(row) = self.next.take() {
            return Ok(Some(row));
        }
        let Some(mut row) = self.rows.next().transpose()? else { return Ok(None) };
        let (tag, unread) = match self.tag(&mut row) {
            Err(error) if self.rule == LabelRule::IfReadable => (None, Some(error)),
            tag => (tag?, None),
        };
        let line = row.line();
        let (word, sentence) = (row.take_text(0)?, row.take_text(1)?);
        Ok(Some(WordRow { word, sentence, tag, unread, line }))
    }

    fn tag(&self, row: &mut Row) -> Result<Option<String>, FileError> {
        if !self.has_tags || matches!(row.cell(2), Cell::Text(text) if text.is_empty()) {
            return Ok(None);
        }
        let is_named = matches!(row.cell(2), Cell::Text(tag) if self.names.contains(tag));
        if !is_named {
            row.refuse_written_list(2, Some("if it is a tag, list the tags in `task.labels`"))?;
        }
        let tag = row.take_text(2)?;
        if self.names.is_empty() || is_named {
            return Ok(Some(tag));
        }
        let Ok(number) = tag.parse::<usize>() else { return Ok(Some(tag)) };
        self.names.get(number).cloned().map(Some).ok_or_else(|| {
            row.problem(format!("the tag `{number}` is none of `0` to `{}`", self.names.len() - 1))
                .with_cure("`task.labels` lists the names of the tags, that of 0 first")
        })
    }

    fn advance(&mut self) -> Result<Option<TaggedWords>, DataError> {
        let Some(first) = self.row()? else { return Ok(None) };
        let id = if first.sentence.is_empty() {
            None
        } else {
            self.sentence.clone_from(&first.sentence);
            self.again += u64::from(!self.sentences.insert(hash(&first.sentence)));
            Some(first.sentence.clone())
        };
        let mut sentence = TaggedWords {
            file: Arc::clone(&self.file),
            id,
            words: Vec::new(),
            tags: self.has_tags.then(Vec::new),
            lines: Vec::new(),
            unread: None,
        };
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(WordRow { word, tag, unread, line, .. }) = next {
            bytes +=
                word.len() + tag.as_ref().map_or(0, String::len) + size_of::<Option<String>>() * 2;
            sentence.words.push(word);
            if let Some(tags) = &mut sentence.tags {
                tags.push(tag);
            }
            sentence.lines.push(line);
            if sentence.unread.is_none() {
                sentence.unread = unread.map(DataError::from);
            }
            if bytes > self.max_bytes {
                return Err(sentence.problem(
                    0,
                    format!(
                        "the sentence that begins here does not end within `task.max_line_bytes = {}`; raise it if it is as \
                         long as that, or set `task.sentence` to the column that tells sentences apart",
                        self.max_bytes
                    ),
                ));
            }
            next = self.row()?;
            if next
                .as_ref()
                .is_some_and(|row| !row.sentence.is_empty() && row.sentence != self.sentence)
            {
                self.next = next.take();
            }
        }
        // A word with a line break within its quotes: what stands in lines that follow each other is one sentence.
        if sentence.lines.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            sentence.lines.truncate(1);
        }
        Ok(Some(sentence))
    }
}

impl Iterator for WordTable {
    type Item = Result<TaggedWords, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        if next.is_none() && self.again > 0 {
            say_once(format!(
                "`{}`: `{}` sentences are told as others before them (`task.sentence`), and stand by themselves: a sentence is \
                 what stands in rows that follow each other",
                self.file.display(),
                self.again
            ));
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str, names: &[&str], rule: LabelRule) -> Result<Vec<TaggedWords>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, content).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let options = TableOptions { max_line_bytes: 1000, ..TableOptions::default() };
        WordTable::open(&path, &WantedColumns::default(), &names, rule, &options)
            .and_then(Iterator::collect)
            .map_err(|error| error.to_string())
    }

    fn shown(sentences: &[TaggedWords]) -> Vec<String> {
        let tag = |tag: &Option<String>| tag.clone().unwrap_or_else(|| "?".to_owned());
        sentences
            .iter()
            .map(|sentence| {
                let tags = sentence.tags.iter().flatten().map(tag).collect::<Vec<_>>().join(" ");
                format!("{:?} {} | {tags}", sentence.id, sentence.words.join(" "))
            })
            .collect()
    }

    #[test]
    fn a_sentence_is_told_in_its_first_row_or_in_each() {
        let first = "Sentence #,Word,POS,Tag\nSentence: 1,Anna,NNP,B-PER\n,of,IN,O\nSentence: 2,\"a,b\",NN,\n,x,NN,O\n";
        let sentences = read(first, &[], LabelRule::Required).unwrap();
        let expected =
            ["Some(\"Sentence: 1\") Anna of | B-PER O", "Some(\"Sentence: 2\") a,b x | ? O"];
        assert_eq!(shown(&sentences), expected);
        assert_eq!(sentences[1].lines, [4, 5]);
        assert_eq!(sentences[1].sentences().len(), 1);

        let each = "word,sentence_id,label\nAnna,7,1\nof,7,0\nit,8,0\nis,7,0\n";
        let sentences = read(each, &["O", "B-PER"], LabelRule::Required).unwrap();
        let expected =
            ["Some(\"7\") Anna of | B-PER O", "Some(\"8\") it | O", "Some(\"7\") is | O"];
        assert_eq!(shown(&sentences), expected);
    }

    #[test]
    fn words_with_line_breaks_leave_a_sentence_whole() {
        let sentences =
            read("sentence,word\n1,\"a\nb\"\n1,c\n2,d\n", &[], LabelRule::IfReadable).unwrap();
        assert_eq!(sentences[0].words, ["a\nb", "c"]);
        assert_eq!((sentences[0].sentences().len(), sentences[0].tags.is_none()), (1, true));
    }

    #[test]
    fn tags_of_a_file_to_predict_need_not_be_readable() {
        let content = "sentence,word,tag\n1,a,5\n,b,0\n2,c,0\n";
        let sentences = read(content, &["O"], LabelRule::IfReadable).unwrap();
        let unread = sentences.iter().map(|sentence| sentence.unread.is_some());
        assert_eq!(unread.collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn what_is_missing_or_wrong_is_told_with_its_key() {
        let long = format!("sentence,word,tag\n{}", "1,aaaa,O\n".repeat(60));
        for (content, names, parts) in [
            ("a,b\n1,2\n", &[][..], &["a.csv:1: ", "`word`", "`task.tokens`"][..]),
            ("word,tag\nx,O\n", &[], &["a.csv:1: ", "`task.sentence`"]),
            ("word,sentence\nx,1\n", &[], &["a.csv:1: ", "`task.tags`"]),
            ("word,sentence,tag\nx,1,2\n", &["O"], &["a.csv:2: ", "`2`", "`task.labels`"]),
            (&long, &[], &["a.csv:2: ", "`task.max_line_bytes = 1000`", "`task.sentence`"]),
        ] {
            let message = read(content, names, LabelRule::Required).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
