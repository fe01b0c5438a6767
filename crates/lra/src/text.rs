//! Text: is a film review positive, read byte by byte?

use std::path::PathBuf;

use nystromformer_tasks::imdb::{self, LineBreaks};
use nystromformer_tasks::labelled::{ColumnKeys, LabelledColumns};
use nystromformer_tasks::table::{self, Column, Quotes};
use nystromformer_tasks::{
    Augmentation, ColumnUse, DataError, ExampleReader, LabelRule, OwnVocabulary, Split, TableKeys,
    Targets, Task, TaskContext, TaskOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bytes;
use crate::keys::{ByteDropout, PrependCls};

/// Keys that only files of one's own have.
const OF_OWN_FILES: [&str; 7] = [
    "task.sentence1",
    "task.label",
    "task.header",
    "task.separator",
    "task.quotes",
    "task.max_null_texts",
    "task.max_line_bytes",
];

/// `text`: film reviews (IMDB) byte by byte; or with `labels`, files of one's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ByteLevelText {
    /// Names of the classes of one's own files, which are then read as `labelled` reads them, instead of IMDB's. Default: none.
    pub labels: Vec<String>,
    /// With `labels`: the column of the text. Default: `"sentence"`.
    pub sentence1: Column,
    /// With `labels`: the column of the label. Default: `"label"`.
    pub label: Column,
    /// With `labels`: whether the first line of a TSV or CSV file names the columns. Without it they are told by their place,
    /// from 0. Default: true.
    pub header: bool,
    /// With `labels`: what separates the fields of a TSV or CSV file, as for `labelled`. Default: told by a look at the file.
    #[serde(deserialize_with = "table::typed_separator")]
    pub separator: Option<char>,
    /// With `labels`: what a quote at the beginning of a field is, `"double"` or `"none"`. Default: told by a look at the file.
    pub quotes: Option<Quotes>,
    /// With `labels`: rows whose text is null that are skipped, and counted, before one is an error. Default: 100.
    pub max_null_texts: u64,
    /// With `labels`: longest line, or file of text, that is accepted, in bytes. Default: 16 MiB.
    pub max_line_bytes: usize,
    /// Begin each sequence with a token that stands for all of it.
    pub prepend_cls: PrependCls,
    /// Share of the bytes of a training text that are dropped.
    pub byte_dropout: ByteDropout,
}

impl Default for ByteLevelText {
    fn default() -> Self {
        let ColumnKeys { sentence1, max_null_texts, .. } = ColumnKeys::default();
        let TableKeys { header, max_line_bytes, .. } = TableKeys::default();
        Self {
            labels: Vec::new(),
            sentence1,
            label: "label".into(),
            header,
            separator: None,
            quotes: None,
            max_null_texts,
            max_line_bytes,
            prepend_cls: PrependCls::default(),
            byte_dropout: ByteDropout::default(),
        }
    }
}

impl ByteLevelText {
    fn columns(&self) -> LabelledColumns {
        let keys = ColumnKeys {
            sentence1: self.sentence1.clone(),
            label: self.label.clone().into(),
            multi_label: Some(false),
            max_null_texts: self.max_null_texts,
            ..ColumnKeys::default()
        };
        let tables = TableKeys {
            header: self.header,
            separator: self.separator,
            quotes: self.quotes,
            max_line_bytes: self.max_line_bytes,
            ..TableKeys::default()
        };
        LabelledColumns { keys, tables }
    }
}

impl Task for ByteLevelText {
    fn default_path(&self) -> PathBuf {
        PathBuf::from(imdb::DEFAULT_PATH)
    }

    fn problems(&self, options: &TaskOptions) -> Vec<DataError> {
        let mut problems = self.byte_dropout.problems(options);
        if !self.labels.is_empty() {
            problems.extend(self.columns().problems());
            return problems;
        }
        let values = |task: &Self| json!(task);
        let (stated, default) = (values(self), values(&Self::default()));
        let advice = "goes with files of one's own, whose classes `task.labels` names: set it too";
        let of_own_files = OF_OWN_FILES
            .into_iter()
            .map(|key| (key, key.trim_start_matches("task.")))
            .filter(|(_, name)| stated[name] != default[name])
            .map(|(key, name)| DataError::config(key, &stated[name], advice));
        problems.extend(of_own_files);
        problems
    }

    fn columns(&self) -> Option<ColumnUse> {
        let inputs = vec![("task.sentence1", self.columns().keys.sentence1)];
        let labels = vec![self.label.clone()];
        (!self.labels.is_empty()).then_some(ColumnUse { inputs, labels, label_key: "task.label" })
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation { dropout: self.byte_dropout.0, ..Augmentation::default() }
    }

    fn targets(&self, _: &TaskContext<'_>) -> Result<Targets, DataError> {
        if self.labels.is_empty() {
            Targets::classes(imdb::LABEL_NAMES)
        } else {
            Targets::classes(self.labels.iter().cloned())
        }
    }

    fn vocabulary(&self) -> Option<OwnVocabulary> {
        Some(self.prepend_cls.added_to(bytes::VOCABULARY))
    }

    fn examples(
        &self,
        split: Split,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        let texts = if self.labels.is_empty() {
            // Of IMDB the test reviews have labels too.
            let rule = if context.reads_labels { LabelRule::Required } else { LabelRule::Unread };
            imdb::read(context.path, split, LineBreaks::Keep, rule)?
        } else {
            self.columns().examples(split, targets, context)?
        };
        Ok(texts.map(bytes::reader))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_of_labels_is_known_of_files_of_ones_own() {
        assert!(Task::columns(&ByteLevelText::default()).is_none());
        let own: ByteLevelText =
            serde_json::from_value(json!({ "labels": ["a", "b"], "sentence1": "label" })).unwrap();
        let used = Task::columns(&own).unwrap();
        assert_eq!(used.inputs[0].1, used.labels[0]);
    }
}
