//! From rows to questions with their choices.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::{Cell, Row, Rows, Table, TableOptions};
use nystromformer_files::{FileError, say_once};

use super::columns::ChoiceColumns;
use super::label::{self, Asked, Candidates, LabelForm};
use super::layout::Layout;
use crate::example::{Example, Input, Label};
use crate::files_in_turn::{FilesInTurn, ReadFiles};
use crate::label_rule::{LabelRule, UnreadLabels};

/// How the rows of files become questions.
#[derive(Debug, Clone)]
pub(super) struct ChoiceOptions {
    pub(super) columns: ChoiceColumns,
    pub(super) options: TableOptions,
    /// Choices of a question at most.
    pub(super) max_choices: usize,
    /// What labels are.
    pub(super) form: LabelForm,
    /// What is asked of labels.
    pub(super) rule: LabelRule,
}

/// A row taken apart.
struct Taken {
    id: Option<String>,
    prompt: String,
    /// What stands before each choice; may be empty.
    question: String,
    /// The choices by their places; `None` where a cell is empty. The last is none of these.
    choices: Vec<Option<String>>,
    /// Empty cells behind the last choice.
    empty_behind: usize,
    /// The choices' own names.
    names: Vec<String>,
    /// As it stands there.
    label: Result<Option<String>, FileError>,
    row: Row,
}

/// Reads rows as questions; nothing but a row is in memory.
struct RowReader<'a>(&'a ChoiceOptions);

pub(super) struct OpenFile {
    layout: Layout,
    rows: Rows,
    /// Questions with an empty choice, which is passed over, and others behind it.
    with_gaps: u64,
    /// Questions with an empty choice at the end.
    shorter: u64,
}

impl ReadFiles for RowReader<'_> {
    type Open = OpenFile;
    type Item = Taken;

    fn open(&mut self, file: &Path) -> Result<OpenFile, DataError> {
        let Self(ChoiceOptions { columns, options, rule, .. }) = self;
        let layout = columns.layout(file, options, rule.requires())?;
        let rows = Table::open(file, options)?.select(&layout.columns())?;
        Ok(OpenFile { layout, rows, with_gaps: 0, shorter: 0 })
    }

    fn read(&mut self, file: &mut OpenFile) -> Result<Option<Taken>, DataError> {
        let Some(row) = file.rows.next().transpose()? else { return Ok(None) };
        let question = file.layout.question(row, self.0.max_choices)?;
        file.with_gaps += u64::from(question.choices.iter().any(Option::is_none));
        file.shorter += u64::from(question.empty_behind > 0);
        Ok(Some(question))
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let file = self.rows.file().display();
        if self.with_gaps > 0 {
            say_once(format!(
                "`{file}`: `{}` questions have an empty choice with others behind it, which is passed over; its place is counted in \
                 labels and predictions",
                self.with_gaps
            ));
        }
        if self.shorter > 0 {
            say_once(format!(
                "`{file}`: `{}` questions have fewer choices than there are places for: the last are empty",
                self.shorter
            ));
        }
    }
}

/// The text of a cell; a number is one too. `None` if there is nothing.
fn text(cell: &Cell) -> Result<Option<String>, &'static str> {
    Ok(match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Number(number) => Some(number.to_string()),
        Cell::Boolean(flag) => Some(flag.to_string()),
        Cell::List(_) => return Err("a list, and no text"),
    })
}

impl Layout {
    /// Takes a row apart.
    fn question(&self, mut row: Row, max_choices: usize) -> Result<Taken, DataError> {
        let mut at = 0;
        let mut take = |count: usize| {
            at += count;
            at - count..at
        };
        let mut prompt = String::new();
        for place in take(self.prompt.len()) {
            push(&mut prompt, &row.take_text(place)?);
        }
        let mut question = String::new();
        for place in take(self.question.len()) {
            push(&mut question, &cell_text(&row, place, row.cell(place))?.unwrap_or_default());
        }
        let places = take(self.choices.len());
        let mut choices = match places.len() {
            1 => list(&row, places.start)?,
            _ => places
                .map(|place| cell_text(&row, place, row.cell(place)))
                .collect::<Result<Vec<_>, DataError>>()?,
        };
        // Questions of one table may differ in how many choices they have.
        let given = choices.len();
        while choices.last().is_some_and(Option::is_none) {
            choices.pop();
        }
        let empty_behind = given - choices.len();
        if choices.is_empty() {
            return Err(row
                .problem("the question has no choices; give it some, or drop the row")
                .into());
        }
        if choices.len() > max_choices {
            return Err(row
                .problem(format!(
                    "the question has `{}` choices, and `task.max_choices` is `{max_choices}`; raise it, or drop the row",
                    choices.len()
                ))
                .into());
        }
        let names = match &self.choice_names {
            Some(_) => names(row.cell(take(1).start)),
            None => Vec::new(),
        };
        let label = match &self.label {
            Some(column) => {
                let place = take(1).start;
                label::text(row.cell(place), &choices)
                    .map_err(|problem| row.problem(format!("{problem} (column {column})")))
            }
            None => Ok(None),
        };
        let id = match &self.id {
            Some(_) => text(row.cell(take(1).start)).ok().flatten(),
            None => None,
        };
        Ok(Taken { id, prompt, question, choices, empty_behind, names, label, row })
    }
}

fn push(text: &mut String, part: &str) {
    if !text.is_empty() && !part.is_empty() {
        text.push(' ');
    }
    text.push_str(part);
}

fn cell_text(row: &Row, place: usize, cell: &Cell) -> Result<Option<String>, DataError> {
    text(cell).map_err(|problem| {
        row.problem(format!("{} is {problem}; name the column that is meant", row.column(place)))
            .into()
    })
}

/// The choices of a list, which a file without lists holds as text: `["…", "…"]`.
fn list(row: &Row, place: usize) -> Result<Vec<Option<String>>, DataError> {
    let of_text = |text: &str| {
        serde_json::from_str::<Vec<serde_json::Value>>(text).ok().map(|values| {
            let cell = |value: serde_json::Value| match value {
                serde_json::Value::String(text) => Cell::Text(text),
                serde_json::Value::Null => Cell::Null,
                value => Cell::Text(value.to_string()),
            };
            values.into_iter().map(cell).collect::<Vec<Cell>>()
        })
    };
    let cells = match row.cell(place) {
        Cell::List(cells) => cells.clone(),
        Cell::Text(text) => of_text(text).ok_or_else(|| {
            row.problem(format!(
                "{} is a text, and must be a list of choices, `[\"…\", \"…\"]`; or name a column for each choice: \
                 `task.choices = [\"…\", \"…\"]`",
                row.column(place)
            ))
        })?,
        Cell::Null => Vec::new(),
        _ => {
            let problem = format!("{} is no list of choices; set `task.choices` to what is meant", row.column(place));
            return Err(row.problem(problem).into());
        }
    };
    cells.iter().map(|cell| cell_text(row, place, cell)).collect()
}

/// The names that a file has for the choices of a list.
fn names(cell: &Cell) -> Vec<String> {
    let Cell::List(cells) = cell else { return Vec::new() };
    cells.iter().map(|cell| text(cell).ok().flatten().unwrap_or_default()).collect()
}

/// What all labels of some files are: what is common to them, said where it is a guess. From 0 if there are none. Where labels need
/// not be readable those are passed over that are none with those before them.
///
/// # Errors
///
/// [`DataError::Line`] at the first label that is none with those before it, and for what cannot be read.
pub(super) fn label_form(
    files: &[PathBuf],
    reading: &ChoiceOptions,
) -> Result<LabelForm, DataError> {
    let mut candidates = Candidates::default();
    for question in FilesInTurn::new(files.to_vec(), RowReader(reading)) {
        let Taken { choices, names, label, row, .. } = question?;
        let label = match label {
            Err(_) if reading.rule == LabelRule::IfReadable => continue,
            label => label?,
        };
        let Some(label) = label else { continue };
        let before = candidates.told();
        let asked = Asked { choices: &choices, names: &names };
        if !candidates.see(&label, asked) {
            if reading.rule == LabelRule::IfReadable {
                continue;
            }
            if candidates.may_be_texts()
                && let Some(problem) = asked.problem(&label, LabelForm::Text)
            {
                return Err(row.problem(problem).into());
            }
            return Err(row
                .problem(format!(
                    "the label `{label}` is none of the `{}` choices, where labels are {before}; correct the row, or say what \
                     they are with `task.label_form`",
                    choices.len()
                ))
                .into());
        }
    }
    if let (Some(notice), Some(file)) = (candidates.notice(), files.first()) {
        say_once(format!("`{}`: {notice}", file.display()));
    }
    Ok(candidates.form())
}

/// Reads questions as examples.
pub(super) struct ChoiceReader {
    reading: ChoiceOptions,
    unread: UnreadLabels,
}

impl ReadFiles for ChoiceReader {
    type Open = OpenFile;
    type Item = Example;

    fn open(&mut self, file: &Path) -> Result<OpenFile, DataError> {
        RowReader(&self.reading).open(file)
    }

    fn read(&mut self, file: &mut OpenFile) -> Result<Option<Example>, DataError> {
        let question = RowReader(&self.reading).read(file)?;
        question.map(|question| self.example(question)).transpose()
    }
}

impl ChoiceReader {
    pub(super) fn new(reading: ChoiceOptions) -> Self {
        let unread = UnreadLabels::new(reading.rule, "task.label");
        Self { reading, unread }
    }

    fn example(&mut self, question: Taken) -> Result<Example, DataError> {
        let Taken { id, prompt, question, choices, names, label, row, .. } = question;
        let label = match self.unread.settle(label)? {
            Some(label) => {
                let asked = Asked { choices: &choices, names: &names };
                let class = self.class(&label, asked, &row).map(Some);
                self.unread.settle(class)?
            }
            None if self.reading.rule.requires() => {
                let problem = "there is no label, by which training and validation learn which choice is right; give it one, \
                               or drop the row (`task.label` names the column)";
                return Err(row.problem(problem).into());
            }
            None => None,
        };
        let pair = |choice: String| {
            let mut second = question.clone();
            push(&mut second, &choice);
            (prompt.clone(), Some(second))
        };
        let choices: Vec<_> = choices.into_iter().map(|choice| choice.map(pair)).collect();
        if choices.iter().flatten().count() < 2 {
            let problem = "a question needs at least two choices; give it another, or drop the row";
            return Err(row.problem(problem).into());
        }
        Ok(Example { row: None, id, input: Input::Choices(choices), label })
    }

    /// The place of the right choice; those that are empty are counted too.
    fn class(&self, label: &str, asked: Asked<'_>, row: &Row) -> Result<Label, DataError> {
        let form = self.reading.form;
        let place = asked.place(label, form).ok_or_else(|| {
            let none = || {
                format!(
                    "the label `{label}` is none of the `{}` choices (`task.label_form = \"{}\"`); correct the row or drop it",
                    asked.choices.len(),
                    form.key()
                )
            };
            row.problem(asked.problem(label, form).unwrap_or_else(none))
        })?;
        Ok(Label::Class(place as u16))
    }
}
