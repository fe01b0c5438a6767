//! What every reader gives: inputs with their labels, before they are tokenised.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use nystromformer_data::DataError;

use crate::vectors::Vectors;

/// One example of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// What its file calls it, to name its prediction by; `None` where it has no name but its place.
    pub id: Option<String>,
    /// Its row in the files of its split, from 0 (of words in columns, its sentence), where rows before it were skipped or not drawn.
    /// `None` where that is its place among the examples, or an example is no row.
    pub row: Option<usize>,
    /// What is read.
    pub input: Input,
    /// The right answer; `None` in a test set whose labels are kept back.
    pub label: Option<Label>,
}

/// What an example is made of.
#[derive(Debug, Clone, PartialEq)]
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
    /// A sentence or a document that is split into words, each of which is answered.
    Words(WordSequence),
    /// A question, and the text that holds its answer.
    Question {
        /// What is asked.
        question: String,
        /// Where the answer is looked for.
        context: String,
    },
    /// What is read of each choice, by its place: a text, or a pair of a question and an answer to it. `None` where the place is
    /// empty, and no choice: a label or prediction counts it all the same.
    Choices(Vec<Option<(String, Option<String>)>>),
    /// Feature vectors: a bag, or a sequence.
    Vectors(Vectors),
}

/// A sentence or a document that is split into words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WordSequence {
    /// The words, in their order.
    pub words: Vec<String>,
    /// Where they stand, if their file has a word a line.
    pub lines: Option<ColumnLines>,
}

impl WordSequence {
    /// The words of each sentence, by their places: of words without lines there is one.
    pub fn sentences(&self) -> Vec<Range<usize>> {
        match &self.lines {
            Some(lines) => lines.sentences().collect(),
            None => std::iter::once(0..self.words.len()).collect(),
        }
    }
}

/// Where the words of a file of columns stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnLines {
    /// The file.
    pub file: Arc<Path>,
    /// The line of each word, from 1, ascending. A sentence ends where the next word does not stand in the next line.
    pub lines: Vec<u64>,
}

impl ColumnLines {
    /// The words of each sentence, by their places.
    pub fn sentences(&self) -> impl Iterator<Item = Range<usize>> {
        sentences(&self.lines)
    }
}

/// The words of each sentence, by the lines in which they stand.
pub(crate) fn sentences(lines: &[u64]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    lines.chunk_by(|line, next| line + 1 == *next).map(move |lines| {
        let sentence = start..start + lines.len();
        start = sentence.end;
        sentence
    })
}

/// The right answer of an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    /// A class, from 0; of [choices](Input::Choices) the place of the right one.
    Class(u16),
    /// A number, for regression.
    Value(f32),
    /// Any number of classes, ascending.
    Classes(Vec<u16>),
    /// Several numbers, for regression.
    Values(Vec<f32>),
    /// The classes of [words](Input::Words).
    Tags(WordLabels),
    /// Every answer to a [question](Input::Question) that counts as right; none if it has no answer.
    Answers(Vec<GoldAnswer>),
}

/// The classes of words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WordLabels {
    /// The class of each word; `None` where a word has none.
    pub classes: Vec<Option<u16>>,
    /// The first word of each sentence but the first, ascending; none where all words are of one sentence. An entity ends with its
    /// sentence.
    pub sentence_starts: Vec<usize>,
}

impl WordLabels {
    /// The words of each sentence, by their places.
    pub fn sentences(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.sentence_starts.iter().copied());
        let ends = self.sentence_starts.iter().copied().chain([self.classes.len()]);
        starts.zip(ends).map(|(start, end)| start..end)
    }
}

/// Those of one sentence.
impl From<Vec<Option<u16>>> for WordLabels {
    fn from(classes: Vec<Option<u16>>) -> Self {
        Self { classes, sentence_starts: Vec::new() }
    }
}

/// An answer that counts as right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldAnswer {
    /// The words of the context.
    pub text: String,
    /// Where they begin, in characters.
    pub start: usize,
}

impl Label {
    /// What examples are drawn evenly by: the class, if there is one.
    pub fn stratum(&self) -> Option<u16> {
        match self {
            Self::Class(class) => Some(*class),
            _ => None,
        }
    }
}

/// Examples one after the other. After an error nothing follows.
pub type ExampleReader = Box<dyn Iterator<Item = Result<Example, DataError>> + Send>;
