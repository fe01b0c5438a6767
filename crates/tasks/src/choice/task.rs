//! [`Choice`]: multiple choice as a task.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::TextEncoding;
use nystromformer_files::table::{Column, Format, Quotes, TableOptions};
use serde::{Deserialize, Serialize};

use super::columns::{Columns, Named};
use super::label::LabelForm;
use super::prediction_lines::prediction_lines;
use super::reader::{ChoiceExamples, ChoiceOptions, label_form};
use crate::example::{ExampleReader, Label};
use crate::labelled::Targets;
use crate::metrics::Thresholds;
use crate::options::TaskOptions;
use crate::prediction_files::{PredictionFile, PredictionReader};
use crate::split::Split;
use crate::split_files::{FileNames, SplitFiles};
use crate::task::{Task, TaskContext};

/// `choice`: questions, each with some choices of which one is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// The column of what is read first, or several, joined by blanks. Default: found, and said: `context`, `article`, `question`
    /// and the like.
    pub prompt: Option<Columns>,
    /// The column of what stands before each choice, or several (`sent2` of SWAG). Default: found with the prompt; none if that
    /// is named.
    pub question: Option<Columns>,
    /// A column for each choice, or one with a list of them: `["ending0", "ending1"]`, `"options"`, `"choices.text"`.
    /// Default: found, and said.
    pub choices: Option<Columns>,
    /// The column of the label. Default: found, and said.
    pub label: Option<Column>,
    /// What labels are: `"from_0"` or `"from_1"`, the place of the right choice; `"letter"`, the place as a letter; `"text"`, its
    /// text. Where choices have names of their own (`choices.label`), these come first. Default: what the labels of the training
    /// examples all are, and said.
    pub label_form: Option<LabelForm>,
    /// The column that names a question, for its prediction to carry. Default: `id` and the like, if there is one.
    pub id: Option<Column>,
    /// Choices of a question at most. Questions may have fewer, and differ. Default: 26, as many as there are letters.
    pub max_choices: usize,
    /// The files to train on, of the folder `task.path`: one or a list. Default: `train/`, or the file whose name says so.
    pub train_file: Option<FileNames>,
    /// The files to validate with; `[]` for none. Default: likewise, by `validation`, `dev`, `valid`, `val` or `eval`.
    pub validation_file: Option<FileNames>,
    /// The files to test with; `[]` for none. Default: likewise, by `test`.
    pub test_file: Option<FileNames>,
    /// Whether the first line of a TSV or CSV file names the columns. Without it they are told by their place, from 0. Default:
    /// true.
    pub header: bool,
    /// What separates the fields of a TSV or CSV file. Default: a tab or a comma, unless the first rows show another, which is
    /// then said.
    pub separator: Option<char>,
    /// What a quote at the beginning of a field of a TSV or CSV file is: `"double"` or `"none"`. Default: told by a look at the
    /// file, and said.
    pub quotes: Option<Quotes>,
    /// How the bytes of a TSV or CSV file stand for characters. Default: `"utf-8"`.
    pub encoding: TextEncoding,
    /// Longest row that is accepted, in bytes; it bounds memory. Default: 16 MiB.
    pub max_line_bytes: usize,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            prompt: None,
            question: None,
            choices: None,
            label: None,
            label_form: None,
            id: None,
            max_choices: 26,
            train_file: None,
            validation_file: None,
            test_file: None,
            header: true,
            separator: None,
            quotes: None,
            encoding: TextEncoding::Utf8,
            max_line_bytes: 16 << 20,
        }
    }
}

impl Choice {
    fn files(&self) -> SplitFiles<'_> {
        SplitFiles {
            train_file: self.train_file.as_ref(),
            validation_file: self.validation_file.as_ref(),
            test_file: self.test_file.as_ref(),
            is_readable: |file| Format::of(file).is_some(),
            expected: "a .jsonl, .json, .csv, .tsv or .parquet file, or a folder with `train.jsonl` or the like in it",
        }
    }

    /// How files are read, where labels are what those of the files `labelled` all are.
    fn reading(
        &self,
        labelled: &[PathBuf],
        labels_required: bool,
    ) -> Result<ChoiceOptions, DataError> {
        let mut reading = ChoiceOptions {
            named: Named {
                prompt: self.prompt.clone(),
                question: self.question.clone(),
                choices: self.choices.clone(),
                label: self.label.clone(),
                id: self.id.clone(),
            },
            options: TableOptions {
                header: self.header,
                separator: self.separator,
                quotes: self.quotes,
                encoding: self.encoding,
                key_prefix: Some("task."),
                max_line_bytes: self.max_line_bytes,
                ..TableOptions::default()
            },
            max_choices: self.max_choices,
            form: LabelForm::From0,
            labels_required,
        };
        reading.form = match self.label_form {
            Some(form) => form,
            None => label_form(labelled, &reading)?,
        };
        Ok(reading)
    }

    /// A column that is told by name although there is no header, or by place although there is one.
    fn misplaced_columns(&self) -> Vec<DataError> {
        let advice = if self.header {
            "with `task.header = true` a column is given by its name, in quotes"
        } else {
            "with `task.header = false` a column is given by its place, e.g. 0"
        };
        let of = |columns: &Option<Columns>| {
            columns.as_ref().map_or(Vec::new(), |columns| columns.as_slice().to_vec())
        };
        let named = [
            ("task.prompt", of(&self.prompt)),
            ("task.question", of(&self.question)),
            ("task.choices", of(&self.choices)),
            ("task.label", self.label.iter().cloned().collect()),
            ("task.id", self.id.iter().cloned().collect()),
        ];
        let columns = named
            .into_iter()
            .flat_map(|(key, columns)| columns.into_iter().map(move |column| (key, column)));
        let wrong = columns.filter(|(_, column)| self.header != matches!(column, Column::Name(_)));
        wrong
            .map(|(key, column)| match column {
                Column::Name(name) => DataError::config(key, name, advice),
                Column::Index(index) => DataError::config(key, index, advice),
            })
            .collect()
    }
}

impl Task for Choice {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/choice/data")
    }

    fn problems(&self, _: &TaskOptions) -> Vec<DataError> {
        let mut problems = self.misplaced_columns();
        for (key, columns) in [("task.prompt", &self.prompt), ("task.choices", &self.choices)] {
            if columns.as_ref().is_some_and(|columns| columns.as_slice().is_empty()) {
                problems.push(DataError::config(
                    key,
                    "[]",
                    "name at least one column, or leave it out",
                ));
            }
        }
        if !self.header && (self.prompt.is_none() || self.choices.is_none()) {
            let problem = "columns without names cannot be found: set `task.prompt`, `task.choices` and `task.label` to their places";
            problems.push(DataError::config("task.header", false, problem));
        }
        if !(2..=usize::from(u16::MAX)).contains(&self.max_choices) {
            problems.push(DataError::config(
                "task.max_choices",
                self.max_choices,
                "must be from 2 to 65535",
            ));
        }
        if self.max_line_bytes == 0 {
            problems.push(DataError::config("task.max_line_bytes", 0, "must be at least 1"));
        }
        problems
    }

    fn model_class(&self) -> &'static str {
        "NystromformerForMultipleChoice"
    }

    fn targets(&self, _: &TaskContext<'_>) -> Result<Targets, DataError> {
        Ok(Targets::Choices)
    }

    fn examples(
        &self,
        split: Split,
        _: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        let training = self.files().training(context.path)?;
        let files = match split {
            Split::Train => training.clone(),
            _ => self.files().find(context.path, split)?.unwrap_or_default(),
        };
        if files.is_empty() {
            return Ok(None);
        }
        let reading = self.reading(&training, !split.is_test())?;
        Ok(Some(Box::new(ChoiceExamples::new(&files, reading))))
    }

    fn reads_file(&self, file: &Path) -> Result<bool, DataError> {
        Ok(Format::of(file).is_some())
    }

    fn file_examples(
        &self,
        file: &Path,
        _: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<ExampleReader, DataError> {
        let files = [file.to_owned()];
        // Of a model that has moved the training data may be gone, or another.
        let training = self.files().training(context.path);
        let reading = training
            .and_then(|training| self.reading(&training, false))
            .or_else(|_| self.reading(&files, false))?;
        Ok(Box::new(ChoiceExamples::new(&files, reading)))
    }

    /// The place of the choice, as labels write it; without the data the form is known by its key alone.
    fn prediction(&self, label: &Label, _: &Targets) -> Option<String> {
        match label {
            Label::Class(place) => {
                Some(self.label_form.unwrap_or(LabelForm::From0).spell(usize::from(*place)))
            }
            _ => None,
        }
    }

    fn prediction_files(
        &self,
        predicted: PredictionReader<'_>,
        _: &Targets,
        _: &Thresholds,
    ) -> Result<Vec<PredictionFile>, DataError> {
        Ok(vec![prediction_lines(predicted)?])
    }
}
