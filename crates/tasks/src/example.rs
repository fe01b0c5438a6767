//! What every reader gives: inputs with their labels, before they are tokenised.

use nystromformer_data::DataError;

/// One example of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// What is read.
    pub input: Input,
    /// The right answer; `None` in a test set whose labels are kept back.
    pub label: Option<Label>,
}

/// What an example is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Text, for a tokenizer.
    Text {
        /// The sentence, or the first of a pair.
        first: String,
        /// The second of a pair.
        second: Option<String>,
    },
    /// Token ids of the task's own vocabulary: symbols, bytes, pixels.
    Ids {
        /// The sequence, or the first of a pair.
        first: Vec<u16>,
        /// The second of a pair.
        second: Option<Vec<u16>>,
    },
}

/// The right answer of an example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Label {
    /// A class, from 0.
    Class(u16),
    /// A number, for regression.
    Value(f32),
}

/// Examples one after the other. After an error nothing follows.
pub type ExampleReader = Box<dyn Iterator<Item = Result<Example, DataError>> + Send>;
