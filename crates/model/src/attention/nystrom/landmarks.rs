//! Landmarks: means over segments of the sequence (paper, section 3.2, "Landmark selection").

use burn::tensor::Tensor;

use crate::attention::padding::Segments;

/// Averages `tokens` over segments.
///
/// Without `segments` every token is valid: `num_landmarks` segments are laid over the whole sequence by
/// the rule of [`Segments::new`].
///
/// # Shapes
/// - `tokens`: `[batch, heads, seq_len, head_dim]`
/// - output: `[batch, heads, min(num_landmarks, seq_len), head_dim]`
pub fn segment_means(
    tokens: Tensor<4>,
    num_landmarks: usize,
    segments: Option<&Segments>,
) -> Tensor<4> {
    match segments {
        Some(segments) => segments.pooling.clone().matmul(tokens),
        None => nystromformer_kernels::segment_means(tokens, num_landmarks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int, TensorData, Tolerance};

    #[test]
    fn means_by_hand() {
        let tokens = Tensor::<1, Int>::arange(0..5, &Device::flex()).float().reshape([1, 1, 5, 1]);
        let means = segment_means(tokens, 2, None);
        // 5 tokens over 2 landmarks: one segment of 2 tokens, then one of 3.
        means.to_data().assert_eq(&TensorData::from([[[[0.5f32], [3.0]]]]), true);
    }

    #[test]
    fn a_mask_of_ones_changes_nothing() {
        let device = Device::flex();
        for (seq_len, num_landmarks) in [(12i32, 4), (13, 4), (15, 4), (3, 4), (4, 4), (9, 1)] {
            let tokens = Tensor::<1, Int>::arange(0..i64::from(2 * seq_len * 3), &device)
                .float()
                .sin()
                .reshape([2, 1, seq_len, 3]);
            let segments = Segments::new(Tensor::ones([2, seq_len], &device), num_landmarks);
            let masked = segment_means(tokens.clone(), num_landmarks, Some(&segments));
            segment_means(tokens, num_landmarks, None)
                .to_data()
                .assert_approx_eq::<f32>(&masked.to_data(), Tolerance::absolute(1e-6));
        }
    }
}
