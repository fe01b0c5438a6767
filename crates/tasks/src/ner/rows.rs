//! Tables with a list of words and a list of tags in each row: JSON lines and Parquet, as the Hugging Face hub has them.

use std::path::Path;
use std::sync::Arc;

use nystromformer_data::DataError;
use nystromformer_files::FileError;
use nystromformer_files::table::{Cell, Column, Row, Rows, Table, TableOptions};

use super::labels::are_renamed;
use super::layout::WantedColumns;
use super::sentence::TaggedWords;
use crate::label_rule::LabelRule;

/// What the columns are usually called.
const TOKENS: [&str; 2] = ["tokens", "words"];
const TAGS: [&str; 4] = ["ner_tags", "tags", "labels", "ner"];
const ID: &str = "id";

/// What transformers writes for a word that has no tag.
const IGNORED: i64 = -100;

/// The rows of a table as sentences. After an error nothing follows.
pub(super) struct RowSentences {
    file: Arc<Path>,
    rows: Rows,
    has_tags: bool,
    has_ids: bool,
    /// What numbers stand for.
    names: Option<Vec<String>>,
    rule: LabelRule,
}

/// The column that is asked for, or else the first with a usual name.
fn find(
    table: &Table,
    wanted: Option<&Column>,
    usual: &[&str],
    key: &str,
) -> Result<Column, FileError> {
    let usual: Vec<Column> = usual.iter().map(|name| Column::from(*name)).collect();
    let wanted = wanted.map_or(usual.as_slice(), std::slice::from_ref);
    table.find(wanted).cloned().map_err(|error| {
        error.with_cure(format!(
            "set `{key}` to the column that holds a list with one entry for each word"
        ))
    })
}

/// Whether a file of rows has the words.
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
    Ok(find(&table, wanted.tokens.as_ref(), &TOKENS, "task.tokens").is_ok())
}

/// The names of the tags that a Parquet file has for their numbers.
///
/// # Errors
///
/// Those of [`Table::open`], or if there are no tags.
pub(super) fn class_names(
    path: &Path,
    wanted: &WantedColumns,
    options: &TableOptions,
) -> Result<Option<Vec<String>>, DataError> {
    let table = Table::open(path, options)?;
    let tags = find(&table, wanted.tags.as_ref(), &TAGS, "task.tags")?;
    Ok(table.class_names(&tags).map(<[String]>::to_vec))
}

impl RowSentences {
    /// Opens a table. Numbers stand for the names that the file has; where it has none, or `labels` gives them others, for
    /// `labels`, which are those of `task.labels`.
    ///
    /// # Errors
    ///
    /// Those of [`Table::open`]; [`DataError::Line`] if a column is not there. That of the tags may be missing unless they are
    /// required.
    pub(super) fn open(
        path: &Path,
        wanted: &WantedColumns,
        labels: &[String],
        rule: LabelRule,
        options: &TableOptions,
    ) -> Result<Self, DataError> {
        let table = Table::open(path, options)?;
        let mut columns = vec![find(&table, wanted.tokens.as_ref(), &TOKENS, "task.tokens")?];
        let tags = find(&table, wanted.tags.as_ref(), &TAGS, "task.tags");
        let has_tags = tags.is_ok();
        let mut named = None;
        if has_tags || rule.requires() {
            let tags = tags?;
            named = table.class_names(&tags).map(<[String]>::to_vec);
            columns.push(tags);
        }
        let has_ids = table.has(&ID.into());
        if has_ids {
            columns.push(ID.into());
        }
        Ok(Self {
            file: path.into(),
            rows: table.select(&columns)?,
            has_tags,
            has_ids,
            names: match named {
                // A file to predict says itself what its numbers stand for.
                Some(named) if rule == LabelRule::IfReadable || !are_renamed(&named, labels) => {
                    Some(named)
                }
                _ => (!labels.is_empty()).then(|| labels.to_vec()),
            },
            rule,
        })
    }

    fn sentence(&self, row: &Row) -> Result<TaggedWords, FileError> {
        let words = list(row, 0)?;
        let words: Vec<String> = words
            .iter()
            .enumerate()
            .map(|(place, cell)| {
                text(cell).ok_or_else(|| {
                    row.problem(format!("{} has no text at place `{place}`", row.column(0)))
                        .with_cure("write each word as a string")
                })
            })
            .collect::<Result<_, _>>()?;
        let has_tags = self.has_tags && *row.cell(1) != Cell::Null;
        let (tags, unread) = match has_tags.then(|| self.tags(row, words.len())) {
            None => (None, None),
            Some(Err(error)) if self.rule == LabelRule::IfReadable => (None, Some(error.into())),
            Some(tags) => (Some(tags?), None),
        };
        let id = self.has_ids.then(|| text(row.cell(1 + usize::from(self.has_tags)))).flatten();
        let lines = vec![row.line()];
        Ok(TaggedWords { file: Arc::clone(&self.file), id, words, tags, lines, unread })
    }

    fn tags(&self, row: &Row, words: usize) -> Result<Vec<Option<String>>, FileError> {
        let cells = list(row, 1)?;
        if cells.len() != words {
            let problem = format!(
                "`{words}` words in {} and `{}` tags in {}",
                row.column(0),
                cells.len(),
                row.column(1)
            );
            return Err(row.problem(problem).with_cure("give each word one tag"));
        }
        cells.iter().map(|cell| self.tag(row, cell)).collect()
    }

    fn tag(&self, row: &Row, cell: &Cell) -> Result<Option<String>, FileError> {
        let number = match cell {
            Cell::Null | Cell::Integer(IGNORED) => return Ok(None),
            Cell::Text(text) => return Ok(Some(text.clone())),
            Cell::Integer(number) => *number,
            Cell::Number(_) | Cell::Boolean(_) | Cell::List(_) => {
                let problem = format!(
                    "{} has a tag that is neither a string nor a whole number",
                    row.column(1)
                );
                return Err(row.problem(problem).with_cure("write names, or numbers from 0"));
            }
        };
        let Some(names) = &self.names else {
            let problem =
                format!("the tag `{number}` is a number, and nothing says what it stands for");
            return Err(row
                .problem(problem)
                .with_cure("list the names of the tags in `task.labels`, that of 0 first"));
        };
        let name = usize::try_from(number).ok().and_then(|number| names.get(number));
        name.cloned().map(Some).ok_or_else(|| {
            let problem = format!("the tag `{number}` is none of `0` to `{}`", names.len() - 1);
            row.problem(problem)
                .with_cure("`task.labels` lists the names of the tags, that of 0 first")
        })
    }
}

/// The list in a cell.
fn list(row: &Row, wanted: usize) -> Result<&[Cell], FileError> {
    match row.cell(wanted) {
        Cell::List(cells) => Ok(cells),
        _ => Err(row
            .problem(format!("{} is no list", row.column(wanted)))
            .with_cure("write one entry for each word: `{\"tokens\": [\"EU\", …], \"ner_tags\": [\"B-ORG\", …]}`")),
    }
}

fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) => Some(text.clone()),
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Number(number) => Some(number.to_string()),
        Cell::Boolean(_) | Cell::List(_) | Cell::Null => None,
    }
}

impl Iterator for RowSentences {
    type Item = Result<TaggedWords, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.and_then(|row| self.sentence(&row)).map_err(DataError::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str, names: &[&str]) -> Result<Vec<TaggedWords>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, content).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let wanted = WantedColumns::default();
        RowSentences::open(&path, &wanted, &names, LabelRule::Required, &TableOptions::default())
            .and_then(Iterator::collect)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_and_numbers_are_tags() {
        let rows = r#"{"id": "7", "tokens": ["EU", "4"], "ner_tags": ["B-ORG", null]}
{"id": 8, "tokens": ["a"], "ner_tags": [1]}
{"tokens": [], "ner_tags": [], "more": 1}
{"tokens": ["b", "c"], "ner_tags": [-100, 0]}
"#;
        let sentences = read(rows, &["O", "B-ORG"]).unwrap();
        let tag = |tag: &str| Some(tag.to_owned());
        assert_eq!(sentences[0].tags, Some(vec![tag("B-ORG"), None]));
        assert_eq!(
            (sentences[0].id.as_deref(), sentences[1].id.as_deref()),
            (Some("7"), Some("8"))
        );
        assert_eq!(sentences[1].tags, Some(vec![tag("B-ORG")]));
        assert_eq!(sentences[3].tags, Some(vec![None, tag("O")]));
        assert_eq!(sentences[3].lines, [4]);
    }

    #[test]
    fn rows_that_do_not_fit_are_told_with_their_line() {
        for (row, names, part) in [
            (
                r#"{"tokens": ["a", "b"], "ner_tags": ["O"]}"#,
                &[][..],
                "`2` words in `tokens` and `1` tags in `ner_tags`",
            ),
            (r#"{"tokens": ["a"], "ner_tags": [2]}"#, &["O"], "the tag `2` is none of `0` to `0`"),
            (
                r#"{"tokens": ["a"], "ner_tags": [2]}"#,
                &[],
                "list the names of the tags in `task.labels`",
            ),
            (
                r#"{"tokens": ["a"], "ner_tags": [0.5]}"#,
                &["O"],
                "neither a string nor a whole number",
            ),
            (r#"{"tokens": "a b", "ner_tags": ["O", "O"]}"#, &[], "`tokens` is no list"),
            (r#"{"tokens": [null], "ner_tags": ["O"]}"#, &[], "no text at place `0`"),
        ] {
            let content = format!("{{\"tokens\": [\"x\"], \"ner_tags\": [\"O\"]}}\n{row}\n");
            let message = read(&content, names).unwrap_err();
            assert!(message.contains("a.jsonl:2: ") && message.contains(part), "{message}");
        }
        let message = read("{\"text\": \"a\"}\n", &[]).unwrap_err();
        assert!(
            message.contains("`tokens` or `words`") && message.contains("task.tokens"),
            "{message}"
        );
    }
}
