//! How long the rows of a model may be, and what is kept of a longer text, by the files beside a tokenizer.

use serde_json::{Map, Value, json};
use tokenizers::PreTokenizerWrapper;

use super::TextTokenizer;
use crate::trained::{TrainedAnswers, TrainedReading};
use crate::truncation::{Keep, Truncation};
use crate::windows::Windows;

/// The keys that our own runs write; see [`TrainedReading`].
pub(super) const TRAINED_TRUNCATION: &str = "trained_truncation";
pub(super) const TRAINED_WINDOWS: &str = "trained_windows";
pub(super) const TRAINED_ANSWERS: &str = "trained_answers";

/// What the settings say of lengths.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LengthRule {
    pub(super) model_max_length: Option<usize>,
    pub(super) keep: Keep,
    pub(super) trained: TrainedReading,
}

impl TextTokenizer {
    /// `model_max_length` of `tokenizer_config.json`: the tokens of a row that transformers cuts a text to
    /// where it is asked to cut; `None` for no limit.
    pub fn model_max_length(&self) -> Option<usize> {
        self.lengths.model_max_length
    }

    /// How the texts were cut that the model trained on, if a run of ours trained it (`trained_truncation`
    /// of `tokenizer_config.json`): the model has seen nothing else.
    pub fn trained_truncation(&self) -> Option<Truncation> {
        self.lengths.trained.truncation
    }

    /// How the model read single texts that are longer than [that](Self::trained_truncation), if it read them in windows
    /// (`trained_windows` of `tokenizer_config.json`).
    pub fn trained_windows(&self) -> Option<Windows> {
        self.lengths.trained.windows
    }

    /// Whether `model_input_names` of `tokenizer_config.json` leaves `token_type_ids` out, as of models that have one type.
    pub fn lacks_types(&self) -> bool {
        self.lacks_types
    }

    /// How the model answers questions, if a run of ours trained it to (`trained_answers` of `tokenizer_config.json`).
    pub fn trained_answers(&self) -> Option<TrainedAnswers> {
        self.lengths.trained.answers
    }

    /// What is kept of a text that is too long: as the model was trained, else as `truncation_side` says.
    pub fn keep(&self) -> Keep {
        self.trained_truncation().map_or(self.lengths.keep, |trained| trained.keep)
    }

    /// What `tokenizer_config.json` must say of this tokenizer beside a `tokenizer.json` for transformers,
    /// and [`Self::load`], to read texts as it does; of a model that was `trained` so.
    pub fn settings(&self, trained: TrainedReading) -> Map<String, Value> {
        let mut keys = Map::new();
        keys.insert("clean_up_tokenization_spaces".to_owned(), json!(self.cleans_up));
        // Every class of transformers takes false for it if it is not said.
        if let Some(PreTokenizerWrapper::ByteLevel(bytes)) = self.inner.get_pre_tokenizer()
            && bytes.add_prefix_space
        {
            keys.insert("add_prefix_space".to_owned(), json!(true));
        }
        if let Some(truncation) = trained.truncation {
            keys.insert("model_max_length".to_owned(), json!(truncation.max_length));
            keys.insert(TRAINED_TRUNCATION.to_owned(), json!(truncation));
        }
        if let Some(windows) = trained.windows {
            keys.insert(TRAINED_WINDOWS.to_owned(), json!(windows));
        }
        if let Some(answers) = trained.answers {
            keys.insert(TRAINED_ANSWERS.to_owned(), json!(answers));
        }
        // transformers knows no third side; of both ends it then keeps the beginning.
        let keep = trained.truncation.map_or(self.lengths.keep, |truncation| truncation.keep);
        let side = if keep == Keep::Tail { "left" } else { "right" };
        keys.insert("truncation_side".to_owned(), json!(side));
        keys
    }
}
