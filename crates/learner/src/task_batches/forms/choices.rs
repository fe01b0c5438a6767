//! A question with some choices: a row for each, which is read as the pair that it is.

use nystromformer_data::DataError;
use nystromformer_tasks::Label;

use super::{Anchors, EncodedExample, EncodedUnit, Form, Target, text};

/// A row for each choice, cut to the longest row: of a pair the longer text is cut until both are equally long, and then both.
pub(super) fn encode(
    form: &Form<'_>,
    choices: &[(String, Option<String>)],
    label: Option<&Label>,
) -> Result<EncodedExample, DataError> {
    let (mut rows, mut is_cut) = (Vec::with_capacity(choices.len()), false);
    for (first, second) in choices {
        let (row, row_is_cut) = text::row(form, first, second.as_deref())?;
        rows.push(row);
        is_cut |= row_is_cut;
    }
    let place = match label {
        Some(Label::Class(place)) => *place,
        _ => 0,
    };
    let unit = EncodedUnit { rows, target: Target::Choice(place), anchors: Anchors::Whole };
    Ok(EncodedExample { units: vec![unit], is_cut })
}
