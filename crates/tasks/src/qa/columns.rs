//! Which columns of a table hold the parts of a question.

use nystromformer_files::FileError;
use nystromformer_files::table::{Column, Table};

use crate::label_rule::LabelRule;

/// Columns by their names; those without one are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QuestionColumns {
    pub(super) id: String,
    pub(super) question: String,
    pub(super) context: String,
    /// The texts of the answers, or what has `text` and `answer_start` within it.
    pub(super) answers: Option<String>,
    /// The places of the answers.
    pub(super) answer_start: Option<String>,
}

/// The columns of a table, and the place of each among those that are read.
#[derive(Debug, Default)]
pub(super) struct FoundColumns {
    pub(super) wanted: Vec<Column>,
    pub(super) id: Option<usize>,
    pub(super) answers: Option<usize>,
    pub(super) answer_start: Option<usize>,
    /// Whether a question has no answer, as `SQuAD` v2.0 says it.
    pub(super) is_impossible: Option<usize>,
}

impl FoundColumns {
    pub(super) const QUESTION: usize = 0;
    pub(super) const CONTEXT: usize = 1;

    fn add(&mut self, column: Column) -> usize {
        self.wanted.push(column);
        self.wanted.len() - 1
    }
}

/// What a column of names is called that need not be there.
pub(super) const DEFAULT_ID: &str = "id";

/// What answers are called where `task.answers` does not say.
const ANSWERS: [&str; 3] = ["answers", "answer", "answer_text"];

impl QuestionColumns {
    /// Finds the columns of a table. That of the answers may be missing where they are not required and no key names it, and in what
    /// is to be predicted.
    pub(super) fn find(&self, table: &Table, rule: LabelRule) -> Result<FoundColumns, FileError> {
        let mut found = FoundColumns::default();
        for (name, key) in [(&self.question, "task.question"), (&self.context, "task.context")] {
            let column = Column::Name(name.clone());
            let known = table.find(std::slice::from_ref(&column)).map_err(|error| {
                error.with_cure(match table.closest(std::slice::from_ref(&column)) {
                    Some(close) => format!("set `{key} = \"{close}\"`"),
                    None => format!("set `{key}` to the one that is meant"),
                })
            })?;
            found.add(known.clone());
        }
        let named = |name: &str| Some(Column::from(name)).filter(|column| table.has(column));
        let id = Column::from(self.id.as_str());
        found.id = if table.has(&id) || self.id == DEFAULT_ID || rule == LabelRule::IfReadable {
            named(&self.id).map(|column| found.add(column))
        } else {
            let missing = table.find(std::slice::from_ref(&id)).map_err(|error| {
                error.with_cure("set `task.id` to the one that is meant, or leave it out")
            })?;
            Some(found.add(missing.clone()))
        };
        let own = self.answers.iter().map(String::as_str);
        let names: Vec<&str> =
            if self.answers.is_some() { own.collect() } else { ANSWERS.to_vec() };
        for name in &names {
            let (texts, starts) = match named(&format!("{name}.text")) {
                Some(texts) => (texts, named(&format!("{name}.answer_start"))),
                None => match named(name) {
                    Some(texts) => (texts, named("answer_start")),
                    None => continue,
                },
            };
            found.answers = Some(found.add(texts));
            found.answer_start = starts.map(|column| found.add(column));
            break;
        }
        let must_be = |column: &Column| rule != LabelRule::IfReadable || table.has(column);
        let places = self.answer_start.as_ref().map(|name| Column::Name(name.clone()));
        if let Some(column) = places.filter(must_be) {
            table.find(std::slice::from_ref(&column)).map_err(|error| {
                error.with_cure("set `task.answer_start` to the one that is meant, or leave it out")
            })?;
            found.answer_start = Some(found.add(column));
        }
        let is_asked_for = self.answers.is_some() && rule != LabelRule::IfReadable;
        if found.answers.is_none() && (rule.requires() || is_asked_for) {
            let columns: Vec<Column> = names.into_iter().map(Column::from).collect();
            return Err(table
                .missing(&columns)
                .with_cure("set `task.answers` to the one that is meant"));
        }
        found.is_impossible = named("is_impossible").map(|column| found.add(column));
        Ok(found)
    }
}
