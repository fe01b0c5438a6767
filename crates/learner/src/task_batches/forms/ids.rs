//! Sequences of a task's own ids: one row, or two of a pair that is encoded one by one.

use nystromformer_tasks::Label;

use super::{Anchors, EncodedExample, EncodedRow, EncodedUnit, Form, whole};

/// A sequence, or a pair, each cut to the longest row.
pub(super) fn encode(
    form: &Form<'_>,
    first: &[u16],
    second: Option<&[u16]>,
    label: Option<&Label>,
) -> EncodedExample {
    let cls = form.vocabulary.cls.map(|id| id as u32);
    let truncation = form.truncation.less(usize::from(cls.is_some()));
    let sequences = || std::iter::once(first).chain(second);
    let row = |ids: &[u16]| {
        let kept = truncation.kept(ids).map(|id| u32::from(*id));
        let ids: Vec<u32> = cls.into_iter().chain(kept).collect();
        EncodedRow { of_first_text: ids.len(), ids }
    };
    let rows = sequences().map(row).collect();
    let is_cut = sequences().any(|ids| ids.len() > truncation.max_length);
    let target = whole::target(label, form.targets);
    EncodedExample { units: vec![EncodedUnit { rows, target, anchors: Anchors::Whole }], is_cut }
}
