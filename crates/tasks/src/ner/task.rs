//! [`Ner`]: token classification as a task.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{Column, listed};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::classes::TagClasses;
use super::columns::DocumentBoundary;
use super::examples::{NerReader, SentenceOptions};
use super::file_form::FileForm;
use super::labels::{Collected, are_of_entities, continuations, labels_of};
use super::layout::WantedColumns;
use super::rows;
use super::scheme::{Evidence, Scheme};
use super::scorer::TagScorer;
use super::tag::Tag;
use super::word_table;
use super::writer::{ColumnWriter, TagNames};
use crate::example::{ExampleReader, Input, Label, WordSequence};
use crate::files_in_turn::FilesInTurn;
use crate::label_rule::LabelRule;
use crate::labelled::{ClassNames, Targets};
use crate::metrics::{Scorer, Thresholds};
use crate::options::TaskOptions;
use crate::prediction::{Prediction, WordTag};
use crate::prediction_files::{Predicted, PredictionFile, PredictionReader, json_lines};
use crate::registry::SharedKeys;
use crate::row_counter::RowCounter;
use crate::split::Split;
use crate::split_file_names::SplitFileNames;
use crate::split_files::SplitFiles;
use crate::table_keys::{TableKeys, no_line};
use crate::task::{ColumnUse, Task, TaskContext, WordOptions};

/// Sentences that are looked at to know whether a file holds columns.
const LOOKED_AT: usize = 5;

/// `ner`: a class for each word, named entities foremost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ner {
    /// Which files are a split.
    #[serde(skip)]
    pub files: SplitFileNames,
    /// How tables are written. A sentence or document is as long as a row may be.
    #[serde(skip)]
    pub tables: TableKeys,
    /// The column of the words: its name, or in a CoNLL file its place, from 0. Default: `tokens` or `words` (in CSV also `word` or
    /// `token`); the first.
    pub tokens: Option<Column>,
    /// The column of the tags, likewise. Default: `ner_tags`, `tags`, `labels` or `ner` (in CSV also `tag` or `label`); the last.
    pub tags: Option<Column>,
    /// In a CSV file, which has a word in each row, the column that tells sentences apart: a sentence is what stands in rows that
    /// follow each other and have the same text there, or nothing behind the first. Default: `sentence`, `sentence_id`,
    /// `Sentence #` or the like.
    pub sentence: Option<Column>,
    /// How tags say where entities begin and end: `"iob1"`, `"iob2"`, `"bioes"`, or `"none"` where every tag is a class of
    /// its own. Default: told by the tags, and said.
    pub scheme: Option<Scheme>,
    /// Names of the tags in their order; numbers in the files stand for them. Default: those that a Parquet file names, else
    /// `O`, and `B-` and `I-` of each type that occurs, sorted.
    pub labels: Vec<String>,
    /// What an example of a CoNLL file is: `"sentence"`, `"docstart"` (a document) or `"file"`. Entities end with their sentence,
    /// whatever it is. Default: `"sentence"`.
    pub document: DocumentBoundary,
    /// Whether every token of a word is trained to give the word's tag, and not the first alone. Default: false.
    pub label_all_tokens: bool,
    /// Least overlap, in tokens, of the windows over a sentence or document that is longer than `data.seq_len`. Each word is trained
    /// and measured in one window: the one where the shorter of its left and right contexts is longest. Default: 64.
    pub stride: usize,
}

impl Default for Ner {
    fn default() -> Self {
        Self {
            files: SplitFileNames::default(),
            tokens: None,
            tags: None,
            sentence: None,
            scheme: None,
            labels: Vec::new(),
            document: DocumentBoundary::default(),
            label_all_tokens: false,
            stride: 64,
            tables: TableKeys::default(),
        }
    }
}

impl Ner {
    fn options(&self, rule: LabelRule) -> SentenceOptions {
        SentenceOptions {
            columns: WantedColumns {
                tokens: self.tokens.clone(),
                tags: self.tags.clone(),
                sentence: self.sentence.clone(),
            },
            document: self.document,
            names: self.labels.clone(),
            tables: self.tables.options(),
            rule,
        }
    }

    fn split_files(&self) -> SplitFiles<'_> {
        SplitFiles {
            names: &self.files,
            is_readable: FileForm::is_readable,
            expected: "a folder with `train.txt`, `eng.train`, `train.jsonl`, `train.parquet` or the like in it",
        }
    }

    /// The names that the first Parquet file has for the numbers of its tags.
    fn names_of_files(&self, files: &[PathBuf]) -> Result<Option<Vec<String>>, DataError> {
        let Some(file) = files.first().filter(|file| FileForm::of(file) == FileForm::Rows) else {
            return Ok(None);
        };
        let columns = self.options(LabelRule::Required).columns;
        let names = rows::class_names(file, &columns, &self.tables.options())?;
        if let Some(names) = &names {
            say_once(format!(
                "`{}`: the tags are called as the file says: {} (`task.labels` names others)",
                file.display(),
                listed(names.iter().map(String::as_str))
            ));
        }
        Ok(names)
    }

    fn examples_of(
        &self,
        files: Vec<PathBuf>,
        targets: &Targets,
        rule: LabelRule,
    ) -> Result<ExampleReader, DataError> {
        let Targets::Tags(names) = targets else {
            return Err(DataError::config(
                "task.name",
                "ner",
                "its model gives a class to each word",
            ));
        };
        let classes = TagClasses::new(names, self.scheme);
        let reader =
            NerReader { options: self.options(rule), classes, sentences: RowCounter::default() };
        Ok(Box::new(FilesInTurn::new(files, reader)))
    }

    /// Whether these are labels of entities.
    fn of_entities(&self, names: &[String]) -> bool {
        self.scheme != Some(Scheme::None) && are_of_entities(names)
    }

    /// The scheme that a file's own tags are in; IOB2 if it has none.
    fn scheme_of(&self, file: &Path) -> Result<Scheme, DataError> {
        if let Some(scheme) = self.scheme {
            return Ok(scheme);
        }
        let mut evidence = Evidence::default();
        for sentence in self.options(LabelRule::IfReadable).open(file)? {
            let sentence = sentence?;
            let Some(tags) = &sentence.tags else { continue };
            for words in sentence.sentences() {
                evidence.add(&tags[words]);
            }
        }
        Ok(evidence.scheme().map_or(Scheme::Iob2, |(scheme, _)| scheme))
    }

    /// Predictions as CoNLL columns, if all examples are of such files; else none.
    fn columns(&self, predicted: &[Predicted], names: &TagNames) -> Result<Vec<u8>, DataError> {
        let mut writer = ColumnWriter::new(self.tables.options());
        let mut scheme = (PathBuf::new(), Scheme::Iob2);
        for predicted in predicted {
            let Some((words, tags)) = words_and_tags(predicted) else { continue };
            if let Some(lines) = words.lines.as_ref().filter(|lines| *lines.file != *scheme.0) {
                scheme = (lines.file.to_path_buf(), self.scheme_of(&lines.file)?);
            }
            writer.add(words, &names.written(tags, &words.sentences(), scheme.1))?;
        }
        writer.finish()
    }
}

fn words_and_tags(predicted: &Predicted) -> Option<(&WordSequence, &[Option<WordTag>])> {
    match (&predicted.example.input, &predicted.prediction) {
        (Input::Words(words), Prediction::Tags(tags)) => Some((words, tags)),
        _ => None,
    }
}

impl Task for Ner {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/ner/data")
    }

    fn shared_keys(&mut self) -> Vec<&mut dyn SharedKeys> {
        vec![&mut self.files, &mut self.tables]
    }

    fn problems(&self, _: &TaskOptions) -> Vec<DataError> {
        no_line(self.tables.max_line_bytes).into_iter().collect()
    }

    fn columns(&self) -> Option<ColumnUse> {
        let words = self.tokens.iter().map(|column| ("task.tokens", column));
        Some(ColumnUse::new(words, self.tags.as_slice(), "task.tags"))
    }

    fn model_class(&self) -> &'static str {
        "NystromformerForTokenClassification"
    }

    fn targets(&self, context: &TaskContext<'_>) -> Result<Targets, DataError> {
        if let Some(names) = context.class_names {
            return ClassNames::new(names).map(Targets::Tags);
        }
        if !self.labels.is_empty() {
            return labels_of(&self.labels, self.scheme).map(Targets::Tags);
        }
        let files = self.split_files().training(context.path)?;
        if let Some(names) = self.names_of_files(&files)? {
            return labels_of(&names, self.scheme).map(Targets::Tags);
        }
        let mut collected = Collected::default();
        for file in &files {
            for sentence in self.options(LabelRule::Required).open(file)? {
                collected.add(&sentence?)?;
            }
        }
        let path = if let [file] = files.as_slice() { file.as_path() } else { context.path };
        collected.labels(path, self.scheme, context.known_classes).map(Targets::Tags)
    }

    fn keys_from_data(&self) -> &'static [&'static str] {
        &["labels"]
    }

    /// What the numbers of its tags stand for, if a file says.
    fn resolved_keys(&self, _: &Targets, context: &TaskContext<'_>) -> Result<Table, DataError> {
        let mut keys = Table::new();
        if self.labels.is_empty()
            && let Some(names) = self.names_of_files(&self.split_files().training(context.path)?)?
        {
            keys.insert("labels".to_owned(), names.into());
        }
        Ok(keys)
    }

    fn examples(
        &self,
        split: Split,
        targets: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        let Some(files) = self.split_files().find(context.path, split)? else { return Ok(None) };
        self.examples_of(files, targets, LabelRule::of_split(split)).map(Some)
    }

    fn names_classes(&self) -> bool {
        true
    }

    /// Yes of tables with a column of words, of files with an extension of column files, and of files whose first sentences have
    /// entity tags.
    fn reads_file(&self, file: &Path) -> Result<bool, DataError> {
        let options = self.options(LabelRule::IfReadable);
        match FileForm::of(file) {
            FileForm::Rows => return rows::has_words(file, &options.columns, &options.tables),
            FileForm::Words => {
                return word_table::has_words(file, &options.columns, &options.tables);
            }
            FileForm::Columns => {}
        }
        if FileForm::says_columns(file) {
            return Ok(true);
        }
        // The file may hold any text: an error only means that it is no file of columns.
        let Ok(sentences) = options.open(file) else { return Ok(false) };
        let mut of_entities = false;
        for sentence in sentences.take(LOOKED_AT) {
            let tags = sentence.ok().and_then(|sentence| sentence.tags).unwrap_or_default();
            let is_tag =
                |tag: &Option<String>| tag.as_deref().is_some_and(|tag| Tag::parse(tag).is_some());
            of_entities = !tags.is_empty() && tags.iter().all(is_tag);
            if !of_entities {
                break;
            }
        }
        Ok(of_entities)
    }

    fn file_examples(
        &self,
        file: &Path,
        targets: &Targets,
        _: &TaskContext<'_>,
    ) -> Result<ExampleReader, DataError> {
        self.examples_of(vec![file.to_owned()], targets, LabelRule::IfReadable)
    }

    fn scorer(&self, targets: &Targets) -> Box<dyn Scorer> {
        let names = targets.names();
        let of_entities = self.of_entities(&names);
        Box::new(TagScorer::new(names, of_entities))
    }

    fn word_options(&self, targets: &Targets) -> WordOptions {
        let names = targets.names();
        let continuations =
            self.label_all_tokens.then(|| continuations(&names, self.of_entities(&names)));
        WordOptions { stride: self.stride, continuations }
    }

    fn prediction_formats(&self, file: &Path) -> Vec<&'static str> {
        match FileForm::of(file) {
            FileForm::Columns => vec!["conll", "jsonl"],
            FileForm::Rows | FileForm::Words => vec!["jsonl"],
        }
    }

    fn prediction_files(
        &self,
        predicted: PredictionReader<'_>,
        targets: &Targets,
        thresholds: &Thresholds,
    ) -> Result<Vec<PredictionFile>, DataError> {
        let predicted: Vec<Predicted> = predicted.collect::<Result<_, _>>()?;
        let of_columns = |predicted: &Predicted| {
            words_and_tags(predicted).is_some_and(|(words, _)| words.lines.is_some())
        };
        let mut files = Vec::new();
        if predicted.iter().all(of_columns) {
            let names = targets.names();
            let of_entities = self.of_entities(&names);
            let contents = self.columns(&predicted, &TagNames { names, of_entities })?;
            files.push(PredictionFile { extension: "conll", contents });
        }
        // With the probability of each tag.
        let spell = |label: &Label| self.prediction(label, targets);
        let predicted = Box::new(predicted.into_iter().map(Ok));
        files.push(json_lines(predicted, targets, thresholds, &spell)?);
        Ok(files)
    }
}
