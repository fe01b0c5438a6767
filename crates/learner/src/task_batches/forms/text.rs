//! A text, in one row or in windows, or a pair of texts in one row.

use nystromformer_data::{DataError, Encoding};
use nystromformer_tasks::{Label, Windows};

use super::{Anchors, EncodedExample, EncodedRow, EncodedUnit, Form, whole};

/// A text, or a pair, cut to the longest row; or a unit for each window over a text, all with its label.
pub(super) fn encode(
    form: &Form<'_>,
    first: &str,
    second: Option<&str>,
    label: Option<&Label>,
) -> Result<EncodedExample, DataError> {
    let (rows, is_cut) = match (form.windows, second.filter(|second| !second.is_empty())) {
        (Some(windows), None) => in_windows(form, windows, first)?,
        (_, second) => {
            let (row, is_cut) = row(form, first, second)?;
            (vec![row], is_cut)
        }
    };
    let target = whole::target(label, form.targets);
    let unit =
        |row| EncodedUnit { rows: vec![row], target: target.clone(), anchors: Anchors::Whole };
    Ok(EncodedExample { units: rows.into_iter().map(unit).collect(), is_cut })
}

/// The rows of a text, and whether it has more than may be read.
fn in_windows(
    form: &Form<'_>,
    windows: Windows,
    text: &str,
) -> Result<(Vec<EncodedRow>, bool), DataError> {
    let encoding = form.tokenizer()?.encode_text(text, None, None)?;
    let max_length = form.truncation.max_length;
    let own = encoding.num_own_tokens();
    let special = encoding.input_ids.len() - own;
    let room = max_length.saturating_sub(special);
    if own > room && room <= windows.stride {
        return Err(DataError::config(
            "task.stride",
            windows.stride,
            format!(
                "windows of `data.seq_len` = `{max_length}` tokens, `{special}` of them special ones, cannot share as many; lower it, \
                 or raise `data.seq_len`"
            ),
        ));
    }
    let rows = windows.rows(encoding, max_length);
    let is_cut = rows.iter().any(|row| row.num_truncated_tokens > 0);
    Ok((rows.into_iter().map(row_of).collect(), is_cut))
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
    Ok((row_of(encoding), is_cut))
}

fn row_of(encoding: Encoding) -> EncodedRow {
    let types = &encoding.token_type_ids;
    let of_first_text = types.iter().position(|kind| *kind == 1).unwrap_or(types.len());
    EncodedRow { ids: encoding.input_ids, of_first_text }
}
