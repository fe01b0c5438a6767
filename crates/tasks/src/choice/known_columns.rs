//! Columns that are known by their names: how data sets call what makes a question.

use std::path::Path;

use nystromformer_files::FileError;
use nystromformer_files::table::{Cell, Column, Table, TableOptions};

/// Prompts and questions as data sets name them; the first whose columns are all there is taken.
const PROMPTS: [(&[&str], &[&str]); 20] = [
    (&["sent1"], &["sent2"]),        // SWAG
    (&["ctx_a"], &["ctx_b"]),        // HellaSwag
    (&["premise", "question"], &[]), // COPA: cause or effect
    (&["article"], &["question"]),   // RACE
    (&["passage"], &["question"]),
    (&["context"], &["question"]), // SocialIQA
    (&["ctx"], &[]),
    (&["startphrase"], &[]),
    (&["premise"], &[]),
    (&["goal"], &[]),          // PIQA
    (&["question.stem"], &[]), // CommonsenseQA and ARC as their authors publish them
    (&["question_stem"], &[]), // OpenBookQA
    (&["question"], &[]),      // CommonsenseQA and ARC on the Hugging Face hub
    (&["prompt"], &[]),
    (&["sentence"], &[]), // WinoGrande
    (&["query"], &[]),
    (&["problem"], &[]),
    (&["input"], &[]),
    (&["context"], &[]),
    (&["text"], &[]),
];

/// Columns that hold a list of choices.
const LISTS: [&str; 8] = [
    "choices.text",
    "question.choices.text",
    "choices",
    "options",
    "endings",
    "answers",
    "candidates",
    "choice_list",
];

/// What columns of one choice each are called, before a number or a letter.
const STEMS: [&str; 9] =
    ["ending", "choice", "option", "answer", "sol", "candidate", "solution", "alternative", ""];

const LABELS: [&str; 12] = [
    "label",
    "answerKey",
    "question.answerKey",
    "correct",
    "answer",
    "gold_label",
    "gold",
    "answer_key",
    "correct_answer",
    "answer_index",
    "answer_idx",
    "target",
];

const IDS: [&str; 6] = ["id", "idx", "example_id", "qid", "question_id", "ind"];

/// Names that go into objects, beside those of the columns.
const NESTED: [&str; 6] = [
    "choices.text",
    "choices.label",
    "question.stem",
    "question.choices.text",
    "question.choices.label",
    "question.answerKey",
];

/// What a file has: its columns and what it may have within them, each with its first cell; `None` for one that holds objects.
pub(super) struct Look {
    columns: Vec<(String, Option<Cell>)>,
}

impl Look {
    /// A look at the first row.
    ///
    /// # Errors
    ///
    /// If nothing of it can be read.
    pub(super) fn at(
        file: &Path,
        table: &Table,
        options: &TableOptions,
    ) -> Result<Self, FileError> {
        let within = NESTED.into_iter().filter(|name| table.has(&(*name).into()));
        let names = table.columns().unwrap_or_default().iter().map(String::as_str).chain(within);
        let mut wanted: Vec<Column> = Vec::new();
        for column in names.map(Column::from) {
            if !wanted.contains(&column) {
                wanted.push(column);
            }
        }
        let first = |columns: &[Column]| -> Result<Vec<Cell>, FileError> {
            let row = Table::open(file, options)?.select(columns)?.next().transpose()?;
            let cells =
                row.map(|row| (0..row.width()).map(|place| row.cell(place).clone()).collect());
            Ok(cells.unwrap_or_default())
        };
        let cells = match first(&wanted) {
            Ok(cells) => cells.into_iter().map(Some).collect(),
            Err(error) => {
                // One that holds objects, or whose name two columns have, is no reason not to look at the others.
                let one = |column: &Column| first(std::slice::from_ref(column)).ok()?.pop();
                let cells: Vec<Option<Cell>> = wanted.iter().map(one).collect();
                if cells.iter().all(Option::is_none) {
                    return Err(error);
                }
                cells
            }
        };
        let named = wanted.into_iter().zip(cells).filter_map(|(column, cell)| match column {
            Column::Name(name) => Some((name, cell)),
            Column::Index(_) => None,
        });
        Ok(Self { columns: named.collect() })
    }

    /// A column of this name, whatever its capitals; of what is within objects one that the first row has.
    fn find(&self, wanted: &str) -> Option<Column> {
        let exact = self.columns.iter().find(|(name, _)| name == wanted);
        let close =
            || self.columns.iter().find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        let (name, cell) = exact.or_else(close)?;
        let is_there = match cell {
            Some(Cell::List(cells)) => cells.iter().any(|cell| *cell != Cell::Null),
            Some(cell) => *cell != Cell::Null,
            None => false,
        };
        (is_there || !NESTED.contains(&name.as_str())).then(|| name.as_str().into())
    }

    /// The first cell of a column; `None` if it holds objects.
    fn cell(&self, column: &Column) -> Option<&Cell> {
        let Column::Name(name) = column else { return None };
        self.columns.iter().find(|(found, _)| found == name)?.1.as_ref()
    }

    fn find_all(&self, wanted: &[&str]) -> Option<Vec<Column>> {
        wanted.iter().map(|name| self.find(name)).collect()
    }

    /// The column of the right choice.
    pub(super) fn label(&self) -> Option<Column> {
        self.find_first(&LABELS)
    }

    /// The column that names a question.
    pub(super) fn id(&self) -> Option<Column> {
        self.find_first(&IDS)
    }

    fn find_first(&self, wanted: &[&str]) -> Option<Column> {
        wanted.iter().find_map(|name| self.find(name))
    }

    /// A prompt and a question.
    pub(super) fn prompt(&self) -> Option<[Vec<Column>; 2]> {
        let is_text =
            |column: &Column| self.cell(column).is_some_and(|cell| !matches!(cell, Cell::List(_)));
        PROMPTS.iter().find_map(|(prompt, question)| {
            let [prompt, question] = [self.find_all(prompt)?, self.find_all(question)?];
            prompt.iter().chain(&question).all(is_text).then_some([prompt, question])
        })
    }

    /// A list, or columns that are numbered from 0 or 1 or lettered.
    pub(super) fn choices(&self) -> Option<Vec<Column>> {
        let is_list = |column: &Column| match self.cell(column) {
            Some(Cell::List(cells)) => !matches!(cells.first(), Some(Cell::List(_))),
            Some(Cell::Text(text)) => text.trim_start().starts_with('['),
            _ => false,
        };
        let list = LISTS.iter().find_map(|name| self.find(name).filter(is_list));
        list.map(|column| vec![column]).or_else(|| {
            STEMS.iter().find_map(|stem| {
                ["", "_", " ", "-"]
                    .iter()
                    .find_map(|separator| self.numbered(&format!("{stem}{separator}")))
            })
        })
    }

    /// At least two columns that begin with `stem` and go on with numbers or letters.
    fn numbered(&self, stem: &str) -> Option<Vec<Column>> {
        let places = |names: &mut dyn Iterator<Item = String>| -> Vec<Column> {
            names.map_while(|name| self.find(&format!("{stem}{name}"))).collect()
        };
        let letters = places(&mut ('A'..='Z').map(String::from));
        let from_0 = places(&mut (0..).map(|number: u32| number.to_string()));
        let from_1 = places(&mut (1..).map(|number: u32| number.to_string()));
        [letters, from_0, from_1].into_iter().find(|columns| columns.len() > 1)
    }
}
