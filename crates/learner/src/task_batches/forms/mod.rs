//! How each kind of input becomes rows of token ids, and how what a model says of them becomes a prediction.
//!
//! An example is made of units, and a unit of rows. A unit is what a step visits: it has one target, and the model gives one
//! output for it. A text is one unit of one row, a pair of sequences that are encoded one by one is one unit of two rows, a
//! question with choices is one unit with a row for each choice, and a long document is several units, a window each. Units of a
//! text that has one label weigh as much together as a text of one unit.
//!
//! | file | input | target |
//! |---|---|---|
//! | `text` | a text, in windows if it is to be, or a pair | of the whole |
//! | `ids` | sequences of a task's own ids | of the whole |
//! | [`vectors`] | feature vectors, which stay where they are until a batch is made of them | of the whole |
//! | `question` | a question and its context, in windows | first and last token of the answer |
//! | `words` | a sentence or document of words | of each word |
//! | `choices` | a question with choices | the right choice |
//! | `whole` | — | labels of a whole example: classes, numbers |

mod choices;
mod ids;
mod question;
mod text;
mod vectors;
mod whole;
mod words;

use std::path::Path;

use nystromformer_data::{DataError, TextTokenizer};
use nystromformer_tasks::{
    Example, Input, Prediction, Targets, Truncation, WindowPooling, Windows, WordOptions,
};

use crate::experiment::Vocabulary;
pub(super) use question::ContextWindow;
pub(super) use vectors::Width;

/// A position that no row has: the loss ignores such a target.
pub(in crate::task_batches) const NOT_COUNTED: i32 = i32::MAX;

/// How examples become rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'a> {
    /// For examples of text.
    pub(super) tokenizer: Option<&'a TextTokenizer>,
    /// What ids there are. Sequences of a task's own ids begin with `cls`, if there is one.
    pub(super) vocabulary: Vocabulary,
    /// Longest row, and what is kept of a longer one.
    pub(super) truncation: Truncation,
    /// In which windows single texts that are too long are read, if nothing of them is cut.
    pub(super) windows: Option<Windows>,
    /// What is to be predicted.
    pub(super) targets: &'a Targets,
    /// How sentences of words are read.
    pub(super) words: &'a WordOptions,
    /// How many features vectors must have.
    pub(super) width: Width,
    /// The data set, or the file alone, that is read.
    pub(super) source: &'a Path,
}

/// An example as rows.
#[derive(Debug, Default)]
pub(super) struct EncodedExample {
    /// What a step visits; at least one.
    pub(super) units: Vec<EncodedUnit>,
    /// Whether something of it was too long and is not read.
    pub(super) is_cut: bool,
}

/// What a step visits.
#[derive(Debug)]
pub(super) struct EncodedUnit {
    /// At least one.
    pub(super) rows: Vec<EncodedRow>,
    /// What the model is to say of it; a placeholder of the right kind if the example has no label.
    pub(super) target: Target,
    /// Which parts of the example it is about.
    pub(super) anchors: Anchors,
}

/// Token ids.
#[derive(Debug)]
pub(super) struct EncodedRow {
    pub(super) ids: Vec<u32>,
    /// How many of them are of type 0; the others, of the second text of a pair, are of type 1.
    pub(super) of_first_text: usize,
}

/// The right answer to a unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    /// A class.
    Class(u16),
    /// As many numbers as the model has outputs.
    Values(Box<[f32]>),
    /// First and last token of an answer.
    Span([i32; 2]),
    /// Classes of tokens.
    Tokens {
        /// The columns that have a class, and which.
        labelled: Box<[(u32, u16)]>,
        /// Columns that have none, and are answered in evaluations.
        others: Box<[u32]>,
    },
    /// The right one of the unit's rows.
    Choice(u16),
}

/// Which parts of its example a unit is about.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Anchors {
    /// All of it.
    #[default]
    Whole,
    /// A part of a context.
    Window(ContextWindow),
    /// Some of its choices: there are empty places.
    Choices {
        /// How many places there are.
        count: usize,
        /// The place of each row.
        places: Box<[u16]>,
    },
    /// Words of it.
    Words {
        /// How many there are in all of the example.
        count: usize,
        /// The word of each output, those of labelled tokens first; `u32::MAX` for an output of no word.
        of_outputs: Box<[u32]>,
    },
}

/// A unit whose output is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitOutput<'a> {
    /// Which parts of the example the unit is about.
    pub(super) anchors: &'a Anchors,
    /// The model's scores, value after value.
    pub(super) scores: &'a [f32],
}

impl Form<'_> {
    /// The rows of an example, with their targets.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`] for a text that cannot be spelt, or if there is text and no tokenizer.
    pub(super) fn encode(&self, example: &Example) -> Result<EncodedExample, DataError> {
        let label = example.label.as_ref();
        match &example.input {
            Input::Text { first, second } => text::encode(self, first, second.as_deref(), label),
            Input::Ids { first, second } => Ok(ids::encode(self, first, second.as_deref(), label)),
            Input::Vectors(vectors) => Ok(vectors::encode(self, vectors, label)),
            Input::Question { question, context } => match self.targets {
                Targets::Answers(search) => {
                    question::encode(self, search, question, context, label)
                }
                _ => Err(DataError::Tokenizer {
                    origin: "of the task".to_owned(),
                    problem: "a question is asked, and no answers are to be predicted".to_owned(),
                }),
            },
            Input::Words(input) => words::encode(self, &input.words, label),
            Input::Choices(choices) => choices::encode(self, choices, label),
        }
    }

    fn tokenizer(&self) -> Result<&TextTokenizer, DataError> {
        self.tokenizer.ok_or_else(|| DataError::Tokenizer {
            origin: "of the task".to_owned(),
            problem: "texts need one; set `tokenizer.path` or `model.init_from`".to_owned(),
        })
    }
}

/// What the model says of an example, from its outputs for the example's units; `pooling` says what they come to of a text in
/// windows.
pub(super) fn decode(
    units: &[UnitOutput<'_>],
    targets: &Targets,
    pooling: WindowPooling,
) -> Prediction {
    match targets {
        Targets::Answers(search) => question::decode(units, search),
        Targets::Tags(_) => words::decode(units),
        Targets::Choices => choices::decode(units),
        _ => whole::decode(units, targets, pooling),
    }
}
