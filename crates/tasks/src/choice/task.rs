//! [`Choice`]: multiple choice as a task.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::Format;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::columns::ChoiceColumns;
use super::label::LabelForm;
use super::prediction_lines::prediction_lines;
use super::reader::{ChoiceOptions, ChoiceReader, label_form};
use crate::example::{ExampleReader, Label};
use crate::files_in_turn::FilesInTurn;
use crate::label_rule::LabelRule;
use crate::labelled::Targets;
use crate::metrics::Thresholds;
use crate::options::TaskOptions;
use crate::prediction_files::{PredictionFile, PredictionReader};
use crate::registry::SharedKeys;
use crate::split::Split;
use crate::split_file_names::SplitFileNames;
use crate::split_files::SplitFiles;
use crate::table_keys::TableKeys;
use crate::task::{ColumnUse, Task, TaskContext};

/// `choice`: questions, each with some choices of which one is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// What labels are: `"from_0"` or `"from_1"`, the place of the right choice; `"letter"`, the place as a letter; `"text"`, its
    /// text. Where choices have names of their own (`choices.label`), these come first. Default: what the labels of the training
    /// examples all are, and said.
    pub label_form: Option<LabelForm>,
    /// Choices of a question at most. Questions may have fewer, and differ. Default: 26, as many as there are letters.
    pub max_choices: usize,
    /// Which columns make a question.
    #[serde(skip)]
    pub columns: ChoiceColumns,
    /// Which files are a split.
    #[serde(skip)]
    pub files: SplitFileNames,
    /// How tables are written.
    #[serde(skip)]
    pub tables: TableKeys,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            label_form: None,
            max_choices: 26,
            columns: ChoiceColumns::default(),
            files: SplitFileNames::default(),
            tables: TableKeys::default(),
        }
    }
}

impl Choice {
    fn split_files(&self) -> SplitFiles<'_> {
        SplitFiles {
            names: &self.files,
            is_readable: |file| Format::of(file).is_some(),
            expected: "a .jsonl, .json, .csv, .tsv or .parquet file, or a folder with `train.jsonl` or the like in it",
        }
    }

    /// How files are read, where labels are what those of the files `labelled` all are.
    fn reading(&self, labelled: &[PathBuf], rule: LabelRule) -> Result<ChoiceOptions, DataError> {
        let mut reading = ChoiceOptions {
            columns: self.columns.clone(),
            options: self.tables.options(),
            max_choices: self.max_choices,
            form: LabelForm::From0,
            rule,
        };
        reading.form = match self.label_form {
            Some(form) => form,
            None => label_form(labelled, &reading)?,
        };
        Ok(reading)
    }
}

impl Task for Choice {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/choice/data")
    }

    fn shared_keys(&mut self) -> Vec<&mut dyn SharedKeys> {
        vec![&mut self.columns, &mut self.files, &mut self.tables]
    }

    fn problems(&self, _: &TaskOptions) -> Vec<DataError> {
        let mut problems = self.tables.problems(self.columns.named());
        let ChoiceColumns { prompt, choices, .. } = &self.columns;
        for (key, columns) in [("task.prompt", prompt), ("task.choices", choices)] {
            if columns.as_ref().is_some_and(|columns| columns.as_slice().is_empty()) {
                problems.push(DataError::config(
                    key,
                    "[]",
                    "name at least one column, or leave it out",
                ));
            }
        }
        if !self.tables.header && (prompt.is_none() || choices.is_none()) {
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
        problems
    }

    fn columns(&self) -> Option<ColumnUse> {
        let inputs =
            self.columns.named().filter(|(key, _)| !["task.label", "task.id"].contains(key));
        Some(ColumnUse::new(inputs, self.columns.label.as_slice(), "task.label"))
    }

    fn model_class(&self) -> &'static str {
        "NystromformerForMultipleChoice"
    }

    fn targets(&self, _: &TaskContext<'_>) -> Result<Targets, DataError> {
        Ok(Targets::Choices)
    }

    fn keys_from_data(&self) -> &'static [&'static str] {
        &["label_form"]
    }

    fn resolved_keys(&self, _: &Targets, context: &TaskContext<'_>) -> Result<Table, DataError> {
        let mut keys = Table::new();
        if self.label_form.is_none() {
            let files = self.split_files().training(context.path)?;
            let form = self.reading(&files, LabelRule::Required)?.form;
            keys.insert("label_form".to_owned(), form.key().into());
        }
        Ok(keys)
    }

    fn examples(
        &self,
        split: Split,
        _: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        let training = self.split_files().training(context.path)?;
        let files = match split {
            Split::Train => training.clone(),
            _ => self.split_files().find(context.path, split)?.unwrap_or_default(),
        };
        if files.is_empty() {
            return Ok(None);
        }
        let reading = self.reading(&training, LabelRule::of_split(split))?;
        Ok(Some(Box::new(FilesInTurn::new(files, ChoiceReader::new(reading)))))
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
        let rule = LabelRule::IfReadable;
        let files = vec![file.to_owned()];
        // Of a model that has moved the training data may be gone, or another: the file's own labels say then what they are.
        let training = self.split_files().training(context.path);
        let reading = training
            .and_then(|training| self.reading(&training, rule))
            .or_else(|_| self.reading(&files, rule))?;
        Ok(Box::new(FilesInTurn::new(files, ChoiceReader::new(reading))))
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
