//! What an example is told by when it is read once more.

use std::hash::{DefaultHasher, Hash, Hasher};

use nystromformer_tasks::{Example, Input};

/// A number of an example's id and of what a model reads of it; the same as long as the process lives.
pub(in crate::task_batches) fn identity(example: &Example) -> u64 {
    let mut hasher = DefaultHasher::new();
    example.id.hash(&mut hasher);
    match &example.input {
        Input::Text { first, second } => (first, second).hash(&mut hasher),
        Input::Ids { first, second } => (first, second).hash(&mut hasher),
        Input::Words(words) => words.words.hash(&mut hasher),
        Input::Question { question, context } => (question, context).hash(&mut hasher),
        Input::Choices(choices) => choices.hash(&mut hasher),
        Input::Vectors(vectors) => vectors.fingerprint(|bytes| hasher.write(bytes)),
    }
    hasher.finish()
}
