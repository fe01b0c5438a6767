//! [`Evaluated`]: a split that is measured on, or predicted.

use std::sync::Arc;

use nystromformer_tasks::{LabelCounts, Split};

use crate::task_batches::encoded::EncodedSplit;

/// A split that is evaluated.
#[derive(Debug, Clone)]
pub(in crate::task_batches) struct Evaluated {
    pub(in crate::task_batches) examples: Arc<EncodedSplit>,
    /// The split whose files hold them, if that is another one.
    pub(in crate::task_batches) source: Option<Split>,
    /// The places of its examples, ascending.
    pub(in crate::task_batches) places: Vec<usize>,
    /// Their units, in the order in which they are read.
    pub(in crate::task_batches) units: Vec<usize>,
    pub(super) has_labels: bool,
    /// How many examples there were before a last batch that is not full was left out.
    pub(super) examples_before_drop: usize,
}

/// How the examples of a split that is evaluated are read.
#[derive(Debug, Clone, Copy)]
pub(in crate::task_batches) struct EvaluationOrder {
    /// Whether by length.
    pub(in crate::task_batches) sorts: bool,
    /// The batch size, if the last batch is left out where it is not full.
    pub(in crate::task_batches) drop_last: Option<usize>,
}

impl Evaluated {
    /// Some of the training examples.
    pub(super) fn of_training(
        train: &Arc<EncodedSplit>,
        places: Vec<usize>,
        reading: EvaluationOrder,
    ) -> Self {
        let source = Some(Split::Train);
        Self { source, ..Self::new(Arc::clone(train), places, reading) }
    }

    pub(super) fn new(
        examples: Arc<EncodedSplit>,
        mut places: Vec<usize>,
        reading: EvaluationOrder,
    ) -> Self {
        let examples_before_drop = places.len();
        if let Some(batch_size) = reading.drop_last {
            places.truncate(places.len() / batch_size * batch_size);
        }
        let mut units: Vec<usize> =
            places.iter().flat_map(|place| examples.units_of(*place)).collect();
        if reading.sorts {
            units.sort_by_key(|unit| examples.unit_len(*unit));
        }
        let has_labels = places.iter().all(|place| examples.labels()[*place].is_some());
        Self { examples, source: None, places, units, has_labels, examples_before_drop }
    }

    pub(super) fn label_counts(&self) -> LabelCounts {
        self.places.iter().map(|place| self.examples.labels()[*place].as_ref()).collect()
    }
}
