//! [`Qa`]: questions of one's own, or of `SQuAD`, as a task.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{Column, Format};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::AnswerSearch;
use super::columns::{DEFAULT_ID, QuestionColumns};
use super::output;
use super::reader::{QuestionOptions, QuestionReader};
use super::scorer::SquadScorer;
use crate::example::{ExampleReader, Label};
use crate::files_in_turn::FilesInTurn;
use crate::label_rule::LabelRule;
use crate::labelled::Targets;
use crate::metrics::{Scorer, Thresholds};
use crate::options::TaskOptions;
use crate::prediction_files::{PredictionFile, PredictionReader};
use crate::registry::SharedKeys;
use crate::split::Split;
use crate::split_file_names::SplitFileNames;
use crate::split_files::SplitFiles;
use crate::table_keys::TableKeys;
use crate::task::{ColumnUse, Task, TaskContext};
use crate::too_long::TooLong;

/// `qa`: questions, each with a text that holds its answer, or does not. Keys are called as the options of transformers' example
/// `run_qa`, where it has such.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Qa {
    /// Which files are a split.
    #[serde(skip)]
    pub files: SplitFileNames,
    /// The column, or key, of what a question is called. Default: `"id"`.
    pub id: String,
    /// The column of the questions. Default: `"question"`.
    pub question: String,
    /// The column of the texts that hold the answers. Default: `"context"`.
    pub context: String,
    /// The column of the answers: a text or a list of texts, or what has `text` and `answer_start` within it, as `SQuAD` does.
    /// Default: `answers`, `answer` or `answer_text`.
    pub answers: Option<String>,
    /// The column of the answers' first characters, from 0. Default: `answer_start`, within the answers or beside them; without it
    /// the first place of the same words is taken.
    pub answer_start: Option<String>,
    /// Whether a question may have no answer, as in `SQuAD` v2.0. Default: whether one of the training questions has none.
    pub version_2_with_negative: Option<bool>,
    /// Tokens that windows over a long context overlap by. Windows have `data.seq_len` tokens. Default: 128.
    pub doc_stride: usize,
    /// Candidates for an answer that are kept, and first and last tokens that are tried in each window. Default: 20.
    pub n_best_size: NonZeroUsize,
    /// The most tokens of an answer. Default: 30.
    pub max_answer_length: NonZeroUsize,
    /// By how much the score of "no answer" must be above that of the best answer to be given in its place. Default: what gives
    /// the best F1 on the validation split.
    pub null_score_diff_threshold: Option<f64>,
    /// How tables are written. `max_line_bytes` is of an article of `SQuAD` too.
    #[serde(skip)]
    pub tables: TableKeys,
}

impl Default for Qa {
    fn default() -> Self {
        let AnswerSearch { doc_stride, n_best_size, max_answer_length, .. } =
            AnswerSearch::default();
        Self {
            files: SplitFileNames::default(),
            id: DEFAULT_ID.to_owned(),
            question: "question".to_owned(),
            context: "context".to_owned(),
            answers: None,
            answer_start: None,
            version_2_with_negative: None,
            doc_stride,
            n_best_size,
            max_answer_length,
            null_score_diff_threshold: None,
            tables: TableKeys::default(),
        }
    }
}

impl Qa {
    fn split_files(&self) -> SplitFiles<'_> {
        SplitFiles {
            names: &self.files,
            is_readable: |file| Format::of(file).is_some(),
            expected: "a file of questions (.json, .jsonl, .parquet, .csv), or a folder with `train.json`, `dev-v1.1.json` or the \
                       like in it",
        }
    }

    /// Reads the questions of a split, or without one those of a file to be predicted.
    fn read(
        &self,
        files: Vec<PathBuf>,
        split: Option<Split>,
        may_lack_answers: bool,
        is_silent: bool,
    ) -> ExampleReader {
        let options = QuestionOptions {
            columns: QuestionColumns {
                id: self.id.clone(),
                question: self.question.clone(),
                context: self.context.clone(),
                answers: self.answers.clone(),
                answer_start: self.answer_start.clone(),
            },
            table: self.tables.options(),
            rule: split.map_or(LabelRule::IfReadable, LabelRule::of_split),
            may_lack_answers,
            trains: split == Some(Split::Train),
            is_silent,
        };
        Box::new(FilesInTurn::new(files, QuestionReader(options)))
    }

    /// Whether there is a question without an answer among those to train on.
    fn has_unanswerable(&self, path: &Path) -> Result<bool, DataError> {
        if !path.exists() {
            say_once(format!(
                "`{}` is not there to say whether questions may have no answer: each is taken to have one \
                 (`task.version_2_with_negative`)",
                path.display()
            ));
            return Ok(false);
        }
        for example in self.read(
            self.split_files().find(path, Split::Train)?.unwrap_or_default(),
            Some(Split::Train),
            true,
            true,
        ) {
            if matches!(example?.label, Some(Label::Answers(answers)) if answers.is_empty()) {
                say_once(format!(
                    "`{}`: there are questions without an answer, so \"no answer\" may be one (`task.version_2_with_negative`)",
                    path.display()
                ));
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn may_lack_answers(targets: &Targets) -> bool {
    matches!(targets, Targets::Answers(search) if search.version_2_with_negative)
}

impl Task for Qa {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/qa/data")
    }

    fn shared_keys(&mut self) -> Vec<&mut dyn SharedKeys> {
        vec![&mut self.files, &mut self.tables]
    }

    fn problems(&self, options: &TaskOptions) -> Vec<DataError> {
        let named = [
            ("task.question", Column::from(self.question.as_str())),
            ("task.context", Column::from(self.context.as_str())),
        ];
        let mut problems = self.tables.problems(named.iter().map(|(key, column)| (*key, column)));
        let kept = match options.truncation {
            Some(TooLong::Tail) => Some("tail"),
            Some(TooLong::HeadTail) => Some("head_tail"),
            _ => None,
        };
        if let Some(kept) = kept {
            problems.push(DataError::config(
                "task.truncation",
                kept,
                "does not go with `qa`: all of a long context is read, in windows (`task.doc_stride`); leave it out",
            ));
        }
        if let Some(threshold) = self.null_score_diff_threshold
            && !threshold.is_finite()
        {
            problems.push(DataError::config(
                "task.null_score_diff_threshold",
                threshold,
                "must be a finite number; leave it out to have it chosen by validation",
            ));
        }
        problems
    }

    fn columns(&self) -> Option<ColumnUse> {
        let inputs = [("task.question", &self.question), ("task.context", &self.context)];
        let inputs = inputs.map(|(key, name)| (key, Column::from(name.as_str())));
        let labels = self.answers.iter().chain(&self.answer_start);
        let labels = labels.map(|name| Column::from(name.as_str())).collect();
        Some(ColumnUse { inputs: inputs.to_vec(), labels, label_key: "task.answers" })
    }

    fn model_class(&self) -> &'static str {
        "NystromformerForQuestionAnswering"
    }

    fn targets(&self, context: &TaskContext<'_>) -> Result<Targets, DataError> {
        let version_2_with_negative = match self.version_2_with_negative {
            Some(told) => told,
            None => self.has_unanswerable(context.path)?,
        };
        Ok(Targets::Answers(AnswerSearch {
            doc_stride: self.doc_stride,
            n_best_size: self.n_best_size,
            max_answer_length: self.max_answer_length,
            version_2_with_negative,
        }))
    }

    fn keys_from_data(&self) -> &'static [&'static str] {
        &["version_2_with_negative"]
    }

    fn resolved_keys(&self, targets: &Targets, _: &TaskContext<'_>) -> Result<Table, DataError> {
        let mut keys = Table::new();
        if self.version_2_with_negative.is_none() {
            let found = may_lack_answers(targets).into();
            keys.insert("version_2_with_negative".to_owned(), found);
        }
        Ok(keys)
    }

    fn examples(
        &self,
        split: Split,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        let files = self.split_files().find(context.path, split)?;
        Ok(files.map(|files| self.read(files, Some(split), may_lack_answers(targets), false)))
    }

    fn reads_file(&self, file: &Path) -> Result<bool, DataError> {
        Ok(Format::of(file).is_some())
    }

    fn file_examples(
        &self,
        file: &Path,
        targets: &Targets,
        _: &TaskContext<'_>,
    ) -> Result<ExampleReader, DataError> {
        Ok(self.read(vec![file.to_owned()], None, may_lack_answers(targets), false))
    }

    fn scorer(&self, targets: &Targets) -> Box<dyn Scorer> {
        Box::new(SquadScorer::new(targets, self.null_score_diff_threshold))
    }

    fn prediction_formats(&self, _: &Path) -> Vec<&'static str> {
        vec!["jsonl", "predictions.json", "nbest_predictions.json", "null_odds.json"]
    }

    fn prediction_files(
        &self,
        predicted: PredictionReader<'_>,
        _: &Targets,
        thresholds: &Thresholds,
    ) -> Result<Vec<PredictionFile>, DataError> {
        output::files(predicted, thresholds)
    }
}
