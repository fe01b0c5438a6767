//! A head's outputs, read off the device and cut into those of each row.

use burn::tensor::Tensor;
use nystromformer_files::say_once;

use crate::{error::PipelineError, layout::TokenRow};

/// The numbers of each row of `[rows, …]`.
pub(crate) fn of_rows<const D: usize>(logits: Tensor<D>) -> Result<Vec<Vec<f32>>, PipelineError> {
    let dims = logits.dims();
    let values: Vec<f32> = logits.try_into_vec_as()?;
    if values.iter().any(|value| value.is_nan()) {
        say_once(
            "some of the model's answers are not numbers: it has diverged in training, or its weights are damaged; do not use them"
                .to_owned(),
        );
    }
    let width = (values.len() / dims[0].max(1)).max(1);
    Ok(values.chunks(width).map(<[f32]>::to_vec).collect())
}

/// The numbers of each row of `[rows, seq_len, …]`, without those of its padding.
pub(crate) fn of_tokens<const D: usize>(
    logits: Tensor<D>,
    rows: &[&TokenRow],
) -> Result<Vec<Vec<f32>>, PipelineError> {
    let seq_len = logits.dims()[1];
    let mut values = of_rows(logits)?;
    for (values, row) in values.iter_mut().zip(rows) {
        values.truncate(values.len() / seq_len * row.encoding.input_ids.len());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use nystromformer_data::Encoding;

    #[test]
    fn padding_is_left_out() {
        let row = |length| TokenRow {
            encoding: Encoding { input_ids: vec![0; length], ..Encoding::default() },
            length: 3,
        };
        let logits = Tensor::<3>::from_data(
            [[[0.0, 1.0], [2.0, 3.0], [9.0, 9.0]], [[4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]],
            &Device::flex(),
        );
        let values = of_tokens(logits, &[&row(2), &row(3)]).unwrap();
        assert_eq!(values, [vec![0.0, 1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0, 7.0, 8.0, 9.0]]);
    }
}
