//! Feature vectors: one unit of one row, whose vectors are read when a batch is made of it.

use nystromformer_data::{DataError, Truncation};
use nystromformer_tasks::{Label, Vectors};

use super::{Anchors, EncodedExample, Form, Unit, whole};
use crate::batch::FeatureRows;

/// An example as a unit; its row is the vectors themselves, which the table of token ids has no part in.
pub(super) fn encode(form: &Form<'_>, vectors: &Vectors, label: Option<&Label>) -> EncodedExample {
    let target = whole::target(label, form.targets);
    let unit = Unit { rows: Vec::new(), target, anchors: Anchors::Whole };
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

/// The vectors of some rows, each padded to `seq_len`.
///
/// # Errors
/// [`DataError`] if a file of them cannot be read or holds a number that is not finite.
pub(in crate::task_batches) fn collate<'a>(
    rows: impl ExactSizeIterator<Item = &'a Vectors>,
    truncation: Truncation,
    seq_len: usize,
) -> Result<FeatureRows, DataError> {
    let count = rows.len();
    let mut batch = FeatureRows { num_features: 0, values: Vec::new(), coordinates: None };
    for (number, vectors) in rows.enumerate() {
        let width = vectors.num_features();
        batch.num_features = width;
        let read = vectors.read(truncation)?;
        if count == 1 && read.features.len() == seq_len * width {
            // A bag alone is not copied.
            return Ok(FeatureRows {
                values: read.features,
                coordinates: read.coordinates,
                ..batch
            });
        }
        batch.values.reserve_exact(if number == 0 { count * seq_len * width } else { 0 });
        batch.values.extend(read.features);
        batch.values.resize((number + 1) * seq_len * width, 0.0);
        if let Some(places) = read.coordinates {
            let coordinates = batch.coordinates.get_or_insert_default();
            coordinates.extend(places);
            coordinates.resize((number + 1) * seq_len * 2, 0.0);
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use nystromformer_tasks::VectorRows;

    use super::*;

    #[test]
    fn rows_are_padded_and_cut() {
        let bag = |len: u8| {
            let features = (0..2 * len).map(f32::from).collect();
            let coordinates = Some(vec![f32::from(len); 2 * usize::from(len)]);
            Vectors::new(2, VectorRows { features, coordinates })
        };
        let bags = [bag(1), bag(4)];
        let found = collate(bags.iter(), Truncation::head(3), 3).unwrap();
        assert_eq!(found.values, [0., 1., 0., 0., 0., 0., 0., 1., 2., 3., 4., 5.]);
        assert_eq!(found.coordinates.unwrap(), [1., 1., 0., 0., 0., 0., 4., 4., 4., 4., 4., 4.]);
        let alone = collate(bags[1..].iter(), Truncation::tail(2), 2).unwrap();
        assert_eq!((alone.num_features, alone.values), (2, vec![4., 5., 6., 7.]));
        let padded = collate(bags[..1].iter(), Truncation::head(9), 2).unwrap();
        assert_eq!(padded.values, [0., 1., 0., 0.]);
    }
}
