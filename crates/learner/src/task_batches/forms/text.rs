//! A text, or a pair of texts, in one row.

use nystromformer_data::DataError;
use nystromformer_tasks::Label;

use super::{Anchors, EncodedExample, EncodedRow, EncodedUnit, Form, whole};

/// A text, or a pair, cut to the longest row.
pub(super) fn encode(
    form: &Form<'_>,
    first: &str,
    second: Option<&str>,
    label: Option<&Label>,
) -> Result<EncodedExample, DataError> {
    let (row, is_cut) = row(form, first, second)?;
    let target = whole::target(label, form.targets);
    let unit = EncodedUnit { rows: vec![row], target, anchors: Anchors::Whole };
    Ok(EncodedExample { units: vec![unit], is_cut })
}

/// The row of a text or a pair, and whether it was too long.
pub(super) fn row(
    form: &Form<'_>,
    first: &str,
    second: Option<&str>,
) -> Result<(EncodedRow, bool), DataError> {
    let tokenizer = form.tokenizer()?;
    // An empty second text counts as none, as in `predict classify`. transformers does the same where it encodes one text; in
    // a batch it would make a pair of it.
    let second = second.filter(|second| !second.is_empty());
    let encoding = tokenizer.encode_text(first, second, Some(form.truncation))?;
    let is_cut = encoding.num_truncated_tokens > 0;
    let types = &encoding.token_type_ids;
    let of_first_text = types.iter().position(|kind| *kind == 1).unwrap_or(types.len());
    Ok((EncodedRow { ids: encoding.input_ids, of_first_text }, is_cut))
}
