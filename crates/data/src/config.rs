//! The `[data]` and `[tokenizer]` tables of a config file.

use std::path::PathBuf;

use nystromformer_files::table::{self, Quotes};
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// The value of [`DataConfig::corpus`] that names the built-in sample.
pub const SAMPLE_CORPUS: &str = "sample";

/// What one document of a `.txt` file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DocumentUnit {
    /// The whole file.
    #[default]
    File,
    /// Lines up to an empty line.
    Paragraph,
    /// Each line.
    Line,
}

/// What a document is made of, for the objective `mlm_sop`: pairs are split between segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentUnit {
    /// Sentences, told by their stops and by empty lines.
    #[default]
    Sentence,
    /// Lines, as in BERT's and ALBERT's own text files.
    Line,
}

/// What a model learns from the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// To predict masked tokens of full blocks.
    #[default]
    Mlm,
    /// To predict masked tokens of pairs of passages, and whether a pair is in its order: BERT's and
    /// ALBERT's form, and that of the authors' second pipeline.
    MlmSop,
    /// To compute what a teacher computes: blocks with nothing masked.
    Distill,
}

impl Objective {
    /// The value of `data.objective` that names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlm => "mlm",
            Self::MlmSop => "mlm_sop",
            Self::Distill => "distill",
        }
    }

    /// Whether chosen tokens are hidden from the model.
    pub(crate) fn hides_tokens(self) -> bool {
        match self {
            Self::Mlm | Self::MlmSop => true,
            Self::Distill => false,
        }
    }
}

/// A stage of a run on a corpus, before the one that `data.seq_len` and `trainer.batch_size` are of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataStage {
    /// The share of the run's steps after which it ends; above that of the stage before, and below 1.
    pub until: f64,
    /// Tokens in a block, special tokens included: at least 8, at most `data.seq_len`.
    pub seq_len: usize,
    /// Sequences in a step.
    pub batch_size: usize,
}

/// The `[data]` table: which text, and how it becomes training examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file, independent of the others"
)]
pub struct DataConfig {
    /// `"sample"`, or a file or folder (searched through, hidden entries apart) of `.txt`, `.jsonl` and `.parquet` files, and of
    /// `.json`, `.csv` and `.tsv` that have the column [`Self::text_field`]; all but Parquet also as `.gz` or `.zst`.
    /// Default: `"sample"`.
    pub corpus: String,
    /// Train on the sample for as long as there is no text at `corpus`, so that a recipe for a corpus
    /// that is yet to come starts anywhere. Default: false, a missing corpus is an error.
    pub sample_if_missing: bool,
    /// Column of a table (key of JSON) that holds the text. Default: `"text"`.
    pub text_field: String,
    /// What separates the fields of a `.csv` or `.tsv` file: one character, e.g. `";"`, or `\t` for a tab. Default: a tab or a
    /// comma, unless the first rows show another, which is then said.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "table::typed_separator")]
    pub separator: Option<char>,
    /// What a quote at the beginning of a field of a `.csv` or `.tsv` file is: `"double"`, it holds the field together, or `"none"`,
    /// a character like any other. Default: told by a look at the file, and said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotes: Option<Quotes>,
    /// What a document is in `.txt` files; a row of a table is always one. The validation
    /// split is made of whole documents. Default: `"file"`.
    pub document: DocumentUnit,
    /// `"mlm"` for blocks with masks, `"mlm_sop"` for pairs of passages with masks and the question
    /// whether they are in order, `"distill"` for blocks as they are and a teacher to come near to. Default: `"mlm"`.
    pub objective: Objective,
    /// `mlm_sop`: what a document is made of. Default: `"sentence"`.
    pub segment: SegmentUnit,
    /// Tokens in a block, special tokens included. Default: 128; at least 8.
    pub seq_len: usize,
    /// Stages with shorter blocks or other batches (`[[data.stages]]`), one after the other; after the last of them `seq_len` and
    /// `trainer.batch_size` hold, as they do in every evaluation. A step has as many micro-batches in each stage. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<DataStage>,
    /// Share of the documents held out for validation; at least one is, with 0 too, and at least one is not. Much more of the text
    /// than that is told.
    /// Default: 0.01; in `[0, 1)`.
    pub validation_fraction: f64,
    /// Whether a block may run on into the next document, after a separator token. If not, the last
    /// block of each document is padded. For `mlm_sop`: whether neighbouring documents join to one
    /// before passages are cut; the original does so above 512 tokens only. Default: true.
    pub cross_documents: bool,
    /// Chance that a token (or word) is chosen for prediction; for `mlm_sop` the share of a row's
    /// tokens that is chosen, rounded down; for `distill` the chance that a token's scores are compared. Default: 0.15; in `(0, 1]`.
    pub mlm_probability: f64,
    /// The same in the last step of a run: from `mlm_probability` in the first step the chance goes to it in a straight line.
    /// Evaluations then choose 15 % whatever the step, so that their losses can be compared. Not for `distill`. Default: none, the
    /// chance stays as it is; in `(0, 1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlm_probability_end: Option<f64>,
    /// Choose whole words instead of single tokens; not for `mlm_sop`. Default: false.
    pub whole_word_masking: bool,
    /// `mlm_sop`: most tokens chosen in a row; 0 for no limit. Default: 80.
    pub max_predictions: usize,
    /// `mlm_sop`: chance that a passage is cut at a random length instead of at the longest that
    /// fits. Default: 0.1; in `[0, 1]`.
    pub short_seq_prob: f64,
    /// Visit the training examples in a new random order each epoch. Default: true.
    pub shuffle: bool,
    /// Rows without a text (null, or no such key) that are skipped, and counted, before one is an error. Default: 100.
    pub max_null_texts: u64,
    /// Longest line of a table or Parquet text that is accepted, in bytes; it bounds memory.
    /// Default: 64 MiB.
    pub max_line_bytes: usize,
    /// Where tokenised text is kept between runs, relative to the working directory.
    /// Default: `"datasets/.cache"`.
    pub cache_dir: PathBuf,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            corpus: SAMPLE_CORPUS.to_owned(),
            sample_if_missing: false,
            text_field: "text".to_owned(),
            separator: None,
            quotes: None,
            document: DocumentUnit::File,
            objective: Objective::Mlm,
            segment: SegmentUnit::Sentence,
            seq_len: 128,
            stages: Vec::new(),
            validation_fraction: 0.01,
            cross_documents: true,
            mlm_probability: 0.15,
            mlm_probability_end: None,
            whole_word_masking: false,
            max_predictions: 80,
            short_seq_prob: 0.1,
            shuffle: true,
            max_null_texts: 100,
            max_line_bytes: 64 << 20,
            cache_dir: PathBuf::from("datasets/.cache"),
        }
    }
}

impl DataConfig {
    /// Checks every value against its range.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] for the first value out of range.
    pub fn validate(&self) -> Result<(), DataError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// A [`DataError::Config`] for every value that is out of range.
    pub fn problems(&self) -> Vec<DataError> {
        let mut problems = Vec::new();
        if self.corpus.is_empty() {
            let advice = "name a file or folder of text, or \"sample\"";
            problems.push(DataError::config("data.corpus", "", advice));
        }
        if self.seq_len < 8 {
            problems.push(DataError::config("data.seq_len", self.seq_len, "must be at least 8"));
        }
        self.find_problems_of_stages(&mut problems);
        if !(0.0..1.0).contains(&self.validation_fraction) {
            problems.push(DataError::config(
                "data.validation_fraction",
                self.validation_fraction,
                "must be at least 0 and below 1",
            ));
        }
        let end = self.mlm_probability_end.map(|end| ("data.mlm_probability_end", end));
        for (key, share) in [("data.mlm_probability", self.mlm_probability)].into_iter().chain(end)
        {
            if !(share > 0.0 && share <= 1.0) {
                let advice = "must be above 0 and at most 1; BERT uses 0.15";
                problems.push(DataError::config(key, share, advice));
            }
        }
        if !(0.0..=1.0).contains(&self.short_seq_prob) {
            problems.push(DataError::config(
                "data.short_seq_prob",
                self.short_seq_prob,
                "must be at least 0 and at most 1; BERT uses 0.1",
            ));
        }
        if self.whole_word_masking && self.objective == Objective::MlmSop {
            problems.push(DataError::config(
                "data.whole_word_masking",
                true,
                "goes with `data.objective = \"mlm\"` only: `mlm_sop` chooses an exact number of single \
                 tokens; set it to false",
            ));
        }
        if self.max_line_bytes == 0 {
            problems.push(DataError::config("data.max_line_bytes", 0, "must be at least 1"));
        }
        problems
    }

    fn find_problems_of_stages(&self, problems: &mut Vec<DataError>) {
        let mut refuse = |value: String, problem: String| {
            problems.push(DataError::config("data.stages", value, problem));
        };
        let mut begin = 0.0;
        for DataStage { until, seq_len, batch_size } in self.stages.iter().copied() {
            if !(until > begin && until < 1.0) {
                let problem =
                    format!("must be above `{begin}`, where the stage begins, and below 1");
                refuse(format!("until = {until}"), problem);
            }
            begin = until;
            if !(8..=self.seq_len).contains(&seq_len) {
                let problem =
                    format!("must be at least 8, and at most `data.seq_len` = `{}`", self.seq_len);
                refuse(format!("seq_len = {seq_len}"), problem);
            }
            if batch_size == 0 {
                refuse("batch_size = 0".to_owned(), "must be at least 1".to_owned());
            }
        }
    }
}

/// Most entries of a tokenizer that is trained. Training reserves memory for each; the largest that are published have a million.
const LARGEST_VOCABULARY: usize = 10_000_000;

/// The kind of tokenizer that is trained when none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerKind {
    /// BERT's: words split at blanks and punctuation, continuations marked `##`.
    #[default]
    WordPiece,
    /// GPT-2's and RoBERTa's: byte-pair merges over bytes; nothing is unknown.
    Bpe,
    /// ALBERT's and T5's: the likeliest split under a unigram model, words marked `▁`.
    Unigram,
}

/// The `[tokenizer]` table: a tokenizer to load, or how to train one from the corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenizerConfig {
    /// A `tokenizer.json`, ALBERT's `spiece.model` (SentencePiece), BERT's `vocab.txt`, or a folder with
    /// one of these or with RoBERTa's `vocab.json` and `merges.txt`. Default: none, train one; then the
    /// other keys apply.
    pub path: Option<PathBuf>,
    /// Kind to train. Default: `"wordpiece"`.
    pub kind: TokenizerKind,
    /// Most entries of the vocabulary, special tokens included. A small corpus yields fewer.
    /// Default: 16000; at least 64, at most 10,000,000.
    pub vocab_size: usize,
    /// Lower-case the text. Also how a `vocab.txt` or `spiece.model` is read that has no
    /// `do_lower_case` beside it. Default: true.
    pub lowercase: bool,
    /// Take the accents off letters when training: the marks that Latin, Greek and Cyrillic letters
    /// share. Marks of other scripts are no accents: the vowels of Thai and Hindi stay, and so do the
    /// voicing marks of kana. Default: as `lowercase` for `wordpiece`, else false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip_accents: Option<bool>,
    /// Times a pair of pieces must occur to be merged. Default: 2.
    pub min_frequency: u64,
    /// Most distinct characters kept when training, the most frequent ones, and no more than a quarter
    /// of `vocab_size`; words with rarer ones (of `unigram`, the rarer ones alone) become unknown. No
    /// limit for `bpe`, which has bytes. Default: 1000.
    pub max_alphabet: usize,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self {
            path: None,
            kind: TokenizerKind::WordPiece,
            vocab_size: 16_000,
            lowercase: true,
            strip_accents: None,
            min_frequency: 2,
            max_alphabet: 1_000,
        }
    }
}

impl TokenizerConfig {
    /// Whether a tokenizer that is trained takes accents off.
    pub(crate) fn strips_accents(&self) -> bool {
        self.strip_accents.unwrap_or(self.lowercase && self.kind == TokenizerKind::WordPiece)
    }

    /// Most distinct characters that a tokenizer is trained with.
    pub(crate) fn most_characters(&self) -> usize {
        self.max_alphabet.min(self.vocab_size / 4)
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] for the first value out of range.
    pub fn validate(&self) -> Result<(), DataError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// A [`DataError::Config`] for every value that is out of range.
    pub fn problems(&self) -> Vec<DataError> {
        let mut problems = Vec::new();
        let least = if self.kind == TokenizerKind::Bpe && self.path.is_none() {
            (300, "must be at least 300 for `bpe`, whose alphabet is the 256 bytes")
        } else {
            (64, "must be at least 64")
        };
        if self.vocab_size < least.0 {
            problems.push(DataError::config("tokenizer.vocab_size", self.vocab_size, least.1));
        }
        if self.vocab_size > LARGEST_VOCABULARY {
            let advice = format!("must be at most {LARGEST_VOCABULARY}");
            problems.push(DataError::config("tokenizer.vocab_size", self.vocab_size, advice));
        }
        if self.max_alphabet == 0 {
            problems.push(DataError::config("tokenizer.max_alphabet", 0, "must be at least 1"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_out_of_range_is_told() {
        let config = DataConfig { seq_len: 7, mlm_probability: f64::NAN, ..DataConfig::default() };
        let end = DataConfig { mlm_probability_end: Some(0.0), ..DataConfig::default() };
        let told = end.validate().unwrap_err().to_string();
        assert!(told.starts_with("`data.mlm_probability_end` is `0`"), "{told}");
        let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
        assert!(problems[0].starts_with("`data.seq_len` is `7`"), "{problems:?}");
        assert!(problems[1].starts_with("`data.mlm_probability` is `NaN`"), "{problems:?}");
        assert_eq!(problems.len(), 2);
        assert_eq!(config.validate().unwrap_err().to_string(), problems[0]);
        assert!(DataConfig::default().validate().is_ok());
    }

    #[test]
    fn stages_come_one_after_the_other_and_are_no_longer_than_the_run() {
        let told = |stages: &[(f64, usize, usize)]| {
            let stage = |&(until, seq_len, batch_size)| DataStage { until, seq_len, batch_size };
            let stages = stages.iter().map(stage).collect();
            let problems = DataConfig { stages, ..DataConfig::default() }.problems();
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(&[(0.2, 64, 4), (0.5, 128, 8)]), "");
        for (stages, problem) in [
            ([(0.5, 64, 4), (0.5, 64, 8)], "`data.stages` is `until = 0.5`: must be above `0.5`"),
            ([(0.5, 64, 4), (1.0, 64, 8)], "`until = 1`"),
            ([(0.5, 4, 4), (0.6, 64, 8)], "`seq_len = 4`"),
            ([(0.5, 64, 4), (0.6, 256, 8)], "at most `data.seq_len` = `128`"),
            ([(0.5, 64, 0), (0.6, 64, 8)], "`batch_size = 0`"),
        ] {
            let told = told(&stages);
            assert!(told.contains(problem), "{told}");
        }
    }

    #[test]
    fn a_vocabulary_is_neither_too_small_nor_beyond_any_memory() {
        let problems =
            |vocab_size| TokenizerConfig { vocab_size, ..TokenizerConfig::default() }.problems();
        for vocab_size in [63, 99_999_999_999] {
            let told = problems(vocab_size)[0].to_string();
            assert!(
                told.starts_with(&format!("`tokenizer.vocab_size` is `{vocab_size}`")),
                "{told}"
            );
        }
        assert!([64, LARGEST_VOCABULARY].iter().all(|size| problems(*size).is_empty()));
    }

    #[test]
    fn the_keys_of_sentence_order_are_checked() {
        let config = DataConfig {
            objective: Objective::MlmSop,
            short_seq_prob: 1.5,
            whole_word_masking: true,
            ..DataConfig::default()
        };
        let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
        assert!(problems[0].starts_with("`data.short_seq_prob` is `1.5`"), "{problems:?}");
        assert!(problems[1].starts_with("`data.whole_word_masking` is `true`"), "{problems:?}");
        assert_eq!(problems.len(), 2);
        let masked_lm = DataConfig { objective: Objective::Mlm, short_seq_prob: 0.0, ..config };
        assert!(masked_lm.validate().is_ok());
    }

    #[test]
    fn a_config_from_before_there_were_objectives_still_means_the_same() {
        let config: DataConfig = serde_json::from_str(r#"{"seq_len": 128}"#).unwrap();
        assert_eq!(config, DataConfig::default());
        for objective in [Objective::Mlm, Objective::MlmSop, Objective::Distill] {
            let written = serde_json::to_string(&objective).unwrap();
            assert_eq!(written, format!("\"{}\"", objective.name()));
            assert_eq!(serde_json::from_str::<Objective>(&written).unwrap(), objective);
        }
    }
}
