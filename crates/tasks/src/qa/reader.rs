//! From the rows of tables to questions.

use std::path::Path;

use nystromformer_data::{Characters, DataError};
use nystromformer_files::say_once;
use nystromformer_files::table::{Cell, Row, Rows, Table, TableOptions};

use super::columns::{FoundColumns, QuestionColumns};
use super::gold::{self, AnswerMatch, TextAndPlace};
use crate::example::{Example, GoldAnswer, Input, Label};
use crate::files_in_turn::ReadFiles;
use crate::label_rule::{LabelRule, UnreadLabels};

/// How the rows of a split become questions.
#[derive(Debug, Clone)]
pub(super) struct QuestionOptions {
    pub(super) columns: QuestionColumns,
    pub(super) table: TableOptions,
    /// What is asked of the answers.
    pub(super) rule: LabelRule,
    /// Whether a question may have no answer.
    pub(super) may_lack_answers: bool,
    /// Whether the questions are read to train on them: one is not, if none of its answers is found in its context.
    pub(super) trains: bool,
    /// Whether what is found is not said: the same is read once more.
    pub(super) is_silent: bool,
}

/// Reads questions; nothing but an article, or a row, is in memory.
pub(super) struct QuestionReader(pub(super) QuestionOptions);

/// The table that is being read.
pub(super) struct OpenTable {
    rows: Rows,
    columns: FoundColumns,
    told: Told,
    is_silent: bool,
    unread: UnreadLabels,
}

impl ReadFiles for QuestionReader {
    type Open = OpenTable;
    type Item = Example;

    fn open(&mut self, file: &Path) -> Result<OpenTable, DataError> {
        let Self(options) = self;
        let table = Table::open(file, &options.table)?;
        let columns = options.columns.find(&table, options.rule)?;
        Ok(OpenTable {
            rows: table.select(&columns.wanted)?,
            columns,
            told: Told::default(),
            is_silent: options.is_silent,
            unread: UnreadLabels::new(options.rule, "task.answers"),
        })
    }

    fn read(&mut self, table: &mut OpenTable) -> Result<Option<Example>, DataError> {
        if let Some(row) = table.rows.next().transpose()? {
            return table.example(row, &self.0).map(Some);
        }
        Ok(None)
    }
}

impl OpenTable {
    /// The question of a row.
    fn example(&mut self, mut row: Row, options: &QuestionOptions) -> Result<Example, DataError> {
        let id = match self.columns.id.map(|id| row.cell(id)) {
            Some(Cell::Text(id)) => Some(id.clone()),
            Some(Cell::Integer(id)) => Some(id.to_string()),
            // Columns with missing values hold whole numbers so.
            Some(Cell::Number(id)) if id.is_finite() => Some(id.to_string()),
            _ => None,
        };
        let question = row.take_text(FoundColumns::QUESTION)?;
        let context = row.take_text(FoundColumns::CONTEXT)?;
        let name = || id.clone().unwrap_or_else(|| format!("line {}", row.line()));
        if question.trim().is_empty() || context.trim().is_empty() {
            self.told.empty.add(&name);
        }
        let answers = match self.columns.answers {
            Some(answers) => {
                let read = gold::of_row(&row, answers, self.columns.answer_start, &context);
                let read = self.unread.settle(read)?;
                if read.as_ref().is_some_and(|read| read.has_blanks) {
                    self.told.blank.add(&name);
                }
                read.map(|read| read.answers)
            }
            None => None,
        };
        let is_impossible = self.columns.is_impossible.is_some_and(|at| is_true(row.cell(at)));
        let answers = match answers {
            // `SQuAD` v2.0 keeps plausible answers under another key; answers beside `is_impossible` are not right either.
            Some(answers) if is_impossible && !answers.is_empty() => {
                self.told.impossible.add(&name);
                Some(Vec::new())
            }
            None if is_impossible => Some(Vec::new()),
            answers => answers,
        };
        let label = match answers {
            Some(answers) => {
                let asked = !answers.is_empty();
                if !asked && !options.may_lack_answers {
                    self.told.unanswerable.add(&name);
                }
                Some(Label::Answers(self.find(&context, answers, options.trains, &name)))
            }
            None if options.rule.requires() => {
                let named = id.map_or_else(String::new, |id| format!(" (of the question `{id}`)"));
                return Err(row
                    .problem(format!("nothing is said of the answers{named}"))
                    .with_cure("give them, or an empty list if the question has none")
                    .into());
            }
            None => None,
        };
        let question = question.trim_start().to_owned();
        Ok(Example { row: None, id, input: Input::Question { question, context }, label })
    }

    /// Finds the answers in their context.
    fn find(
        &mut self,
        context: &str,
        answers: Vec<TextAndPlace>,
        trains: bool,
        name: &dyn Fn() -> String,
    ) -> Vec<GoldAnswer> {
        let characters = Characters::new(context);
        let mut all = Vec::with_capacity(answers.len());
        let mut lost = 0;
        for (text, start) in answers {
            let (answer, found) = gold::find(&characters, &text, start);
            self.told.answers += 1;
            match found {
                AnswerMatch::There => {}
                AnswerMatch::InBytes => self.told.in_bytes.add(name),
                AnswerMatch::Moved(distance) => {
                    self.told.moved.add(name);
                    self.told.farthest = self.told.farthest.max(distance);
                }
                AnswerMatch::ByWords => self.told.by_words.add(name),
                AnswerMatch::Nowhere => {
                    self.told.nowhere.add(name);
                    lost += 1;
                }
            }
            all.push(answer);
        }
        if trains && lost > 0 && lost == all.len() {
            self.told.untrained.add(name);
        }
        all
    }
}

fn is_true(cell: &Cell) -> bool {
    match cell {
        Cell::Boolean(flag) => *flag,
        Cell::Integer(number) => *number == 1,
        Cell::Text(text) => text.trim().eq_ignore_ascii_case("true") || text.trim() == "1",
        _ => false,
    }
}

/// Something that happened to some questions: how often, and to which first.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    first: Option<String>,
}

impl Tally {
    fn add(&mut self, name: &dyn Fn() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(name());
        }
    }
}

/// What is said of a file once it is read.
#[derive(Debug, Default)]
struct Told {
    answers: u64,
    in_bytes: Tally,
    moved: Tally,
    farthest: usize,
    by_words: Tally,
    nowhere: Tally,
    untrained: Tally,
    blank: Tally,
    impossible: Tally,
    unanswerable: Tally,
    empty: Tally,
}

impl Drop for OpenTable {
    fn drop(&mut self) {
        if self.is_silent {
            return;
        }
        let told = &self.told;
        let file = self.rows.file().display();
        let say = |tally: &Tally, what: String| {
            if let Some(first) = &tally.first {
                say_once(format!("`{file}`: {what} (the first: `{first}`)"));
            }
        };
        let Told { answers, farthest, .. } = told;
        say(
            &told.in_bytes,
            format!(
                "`{}` of `{answers}` answers stand where their `answer_start` says if it counts bytes, and not characters: they \
                 are read there",
                told.in_bytes.count
            ),
        );
        say(
            &told.moved,
            format!(
                "`{}` of `{answers}` answers do not stand where their `answer_start` says: the nearest place of the same words \
                 is taken, at most `{farthest}` characters away",
                told.moved.count
            ),
        );
        say(
            &told.by_words,
            format!(
                "`{}` of `{answers}` answers have no place: the first place of the same words is taken (`task.answer_start` \
                 names the column of places)",
                told.by_words.count
            ),
        );
        say(
            &told.nowhere,
            format!(
                "`{}` of `{answers}` answers stand nowhere near their place in the context: they are not trained on, and count \
                 by their words in scores",
                told.nowhere.count
            ),
        );
        say(
            &told.untrained,
            format!(
                "`{}` questions are not trained on, because none of their answers is in the context",
                told.untrained.count
            ),
        );
        say(
            &told.blank,
            format!(
                "`{}` questions have an empty text among their answers, which is none and is left out",
                told.blank.count
            ),
        );
        say(
            &told.impossible,
            format!(
                "`{}` questions have answers although `is_impossible` is true: they are read as questions without an answer",
                told.impossible.count
            ),
        );
        say(
            &told.unanswerable,
            format!(
                "`{}` questions have no answer, but the model always gives one, which counts as wrong \
                 (`task.version_2_with_negative = true` allows \"no answer\")",
                told.unanswerable.count
            ),
        );
        say(
            &told.empty,
            format!(
                "`{}` questions are empty or have an empty context, and are kept",
                told.empty.count
            ),
        );
    }
}
