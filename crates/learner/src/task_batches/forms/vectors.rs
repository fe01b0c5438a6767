//! Feature vectors: one unit of one row, whose vectors are read when a batch of it is computed.

use nystromformer_data::DataError;
use nystromformer_tasks::{Label, Vectors};

use super::{Anchors, EncodedExample, EncodedUnit, Form, whole};

/// An example as a unit; its row is the vectors themselves, which the table of token ids has no part in.
pub(super) fn encode(form: &Form<'_>, vectors: &Vectors, label: Option<&Label>) -> EncodedExample {
    let target = whole::target(label, form.targets);
    let unit = EncodedUnit { rows: Vec::new(), target, anchors: Anchors::Whole };
    EncodedExample { units: vec![unit], is_cut: vectors.len() > form.truncation.max_length }
}

/// Refuses vectors that are not as wide as others of the data set.
pub(in crate::task_batches) fn require_same_width(
    first: &Vectors,
    other: &Vectors,
) -> Result<(), DataError> {
    let (expected, found) = (first.num_features(), other.num_features());
    if expected == found {
        return Ok(());
    }
    let name = |vectors: &Vectors| {
        let path = vectors.path().map(|path| format!("`{}`", path.display()));
        path.unwrap_or_else(|| "the others".to_owned())
    };
    let problem = format!(
        "its vectors have `{found}` features, and those of {} have `{expected}`: all bags of a data set have as many",
        name(first)
    );
    Err(match other.path() {
        Some(path) => DataError::dataset(path, problem),
        None => DataError::config("task.path", name(other), problem),
    })
}
