//! How a model of ours was trained to read and to answer, as its tokenizer's files tell whoever reads with it.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::truncation::Truncation;
use crate::windows::Windows;

/// What travels with a model, in `tokenizer_config.json`. transformers passes over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrainedReading {
    /// How the texts were cut that it trained on (`trained_truncation`, `{"max_length": 128, "keep": "head"}`).
    pub truncation: Option<Truncation>,
    /// How it read texts that are longer, if it read them in windows (`trained_windows`,
    /// `{"stride": 64, "max_windows": 64, "pooling": "mean"}`).
    pub windows: Option<Windows>,
    /// How it answers questions (`trained_answers`, `{"no_answer": true, "max_answer_length": 30}`).
    pub answers: Option<TrainedAnswers>,
}

/// How a model of questions was trained to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainedAnswers {
    /// Whether "no answer" may be one.
    pub no_answer: bool,
    /// The most tokens of an answer.
    pub max_answer_length: NonZeroUsize,
}
