//! Requests of pipelines from the examples of a file that a task reads: an option that the task does not answer changes nothing of how
//! the file is read.

use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_pipelines::{PipelineError, Placed, Question, Request, Sentence, TextPair};
use nystromformer_tasks::{ExampleReader, Input};

/// A request that an example of a task can be.
pub(super) trait OfExample: Request {
    /// The request; `None` if the example is of another kind.
    fn of(input: Input, id: Option<String>) -> Option<Self>;
}

impl OfExample for TextPair {
    fn of(input: Input, _: Option<String>) -> Option<Self> {
        match input {
            Input::Text { first: text, second: text_pair } => Some(Self { text, text_pair }),
            _ => None,
        }
    }
}

impl OfExample for Sentence {
    fn of(input: Input, _: Option<String>) -> Option<Self> {
        match input {
            Input::Words(words) => Some(Self::Words(words.words)),
            _ => None,
        }
    }
}

impl OfExample for Question {
    fn of(input: Input, id: Option<String>) -> Option<Self> {
        match input {
            Input::Question { question, context } => {
                Some(Self { question, context, id: id.map(Into::into) })
            }
            _ => None,
        }
    }
}

/// The requests in the examples of `file`.
pub(super) fn requests<T: OfExample>(
    examples: ExampleReader,
    file: &Path,
) -> impl Iterator<Item = Result<Placed<T>, PipelineError>> {
    examples.map(move |example| {
        let example = example?;
        let request = T::of(example.input, example.id).ok_or_else(|| {
            let problem = "its examples are none that this option goes with; leave the option out";
            DataError::dataset(file, problem)
        })?;
        Ok(Placed::from(request))
    })
}
