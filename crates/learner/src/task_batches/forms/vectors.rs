//! Feature vectors: one unit of one row, whose vectors are read when a batch of it is computed.

use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_tasks::{Label, Vectors};

use super::{Anchors, EncodedExample, EncodedUnit, Form, whole};

/// An example as a unit. It has no row of token ids: its vectors are its row.
pub(super) fn encode(form: &Form<'_>, vectors: &Vectors, label: Option<&Label>) -> EncodedExample {
    let target = whole::target(label, form.targets);
    let unit = EncodedUnit { rows: Vec::new(), target, anchors: Anchors::Whole };
    EncodedExample { units: vec![unit], is_cut: vectors.len() > form.truncation.max_length }
}

/// How many features each vector must have.
#[derive(Debug, Clone, Copy)]
pub(in crate::task_batches) enum Width {
    /// As many as the model reads.
    Model(usize),
    /// As many as those that were trained on.
    Training(usize),
    /// As many as the others that are read with it.
    Others,
}

impl Width {
    /// Refuses vectors of another width; `first` are the first that are read with them, and `source` is what all are read from.
    pub(in crate::task_batches) fn require(
        self,
        vectors: &Vectors,
        first: Option<&Vectors>,
        source: &Path,
    ) -> Result<(), DataError> {
        let all = "all bags of a data set have as many";
        match (self, first) {
            (Self::Model(width), _) => {
                let others = format!("the model reads `{width}` (`num_features`)");
                vectors.require_width(width, &others, source)
            }
            (Self::Training(width), _) => {
                let others = format!("those that are trained on have `{width}`: {all}");
                vectors.require_width(width, &others, source)
            }
            (Self::Others, Some(first)) => {
                let (width, path) = (first.num_features(), first.path().unwrap_or(source));
                let others = format!("those of `{}` have `{width}`: {all}", path.display());
                vectors.require_width(width, &others, source)
            }
            (Self::Others, None) => Ok(()),
        }
    }
}
