//! What an attention mask means to the parts of attention.
//!
//! The mask is turned into biases and weights once per forward pass and shared by all layers. Everything is
//! computed on the device, so no layer waits for the host to read the mask.

use burn::tensor::{Int, Tensor};

/// Added to a score that must get probability zero: exp of it underflows to an exact 0 in f32, and unlike
/// −∞ it turns a row without any valid key into a uniform one instead of NaN.
const MASKED: f64 = -1e9;

/// An attention mask, prepared for every layer of one forward pass.
#[derive(Debug, Clone)]
pub struct Padding {
    /// `[batch, 1, 1, seq_len]`: 0 for a valid key, a large negative number for a padded one.
    pub key_bias: Tensor<4>,
    /// `[batch, 1, seq_len, 1]`: 1 for a valid token, 0 for a padded one.
    pub keep: Tensor<4>,
    /// How landmarks are laid over the valid tokens; only Nyström attention under `semantics = "paper"`
    /// lays them so.
    pub segments: Option<Segments>,
}

/// The assignment of each row's valid tokens to landmarks.
#[derive(Debug, Clone)]
pub struct Segments {
    /// `[batch, 1, landmarks, seq_len]`: row `j` averages the tokens of segment `j`; a spare landmark's
    /// row is zero.
    pub pooling: Tensor<4>,
    /// `[batch, 1, 1, landmarks]`: 0 for a landmark in use, a large negative number for a spare one.
    pub landmark_bias: Tensor<4>,
    /// `[batch, 1, landmarks, 1]`: 1 for a landmark in use, 0 for a spare one.
    pub keep: Tensor<4>,
}

impl Padding {
    /// Prepares a mask for an attention that lays `num_segments` segments over each row's valid tokens
    /// ([`AttentionOptions::num_segments`](super::AttentionOptions::num_segments)), or none.
    ///
    /// # Shapes
    /// - `attention_mask`: `[batch, seq_len]`, 1 for a valid token and 0 for padding, anywhere in the row
    pub fn new(attention_mask: Tensor<2, Int>, num_segments: Option<usize>) -> Self {
        let keep = attention_mask.clone().float();
        Self {
            key_bias: bias(keep.clone()).unsqueeze_dims(&[1, 2]),
            keep: keep.unsqueeze_dims(&[1, 3]),
            segments: num_segments.map(|count| Segments::new(attention_mask, count)),
        }
    }
}

impl Segments {
    /// Lays `num_landmarks` segments over each row's valid tokens.
    ///
    /// A row of `c` tokens has segments of `s = c / num_landmarks` tokens, rounded down; the last
    /// `c − s·num_landmarks` segments have one token more (the authors' rule for lengths that do not
    /// divide: shorter segments first, `token_nystromformer.py`). A row with no more tokens than landmarks
    /// has one token per landmark, and its spare landmarks are masked.
    ///
    /// # Shapes
    /// - `attention_mask`: `[batch, seq_len]`
    pub fn new(attention_mask: Tensor<2, Int>, num_landmarks: usize) -> Self {
        let [_, seq_len] = attention_mask.dims();
        let device = attention_mask.device();
        let landmarks = num_landmarks.min(seq_len);
        let landmark = landmarks as i64;

        let valid = attention_mask.clone().bool(); // [batch, seq_len]
        let count = attention_mask.clone().sum_dim(1); // [batch, 1]
        let rank = attention_mask.cumsum(1).sub_scalar(1); // [batch, seq_len]
        let short = count.clone().div_scalar(landmark).clamp_min(1); // tokens in a short segment
        let num_short =
            short.clone().add_scalar(1).mul_scalar(landmark).sub(count.clone()).clamp_max(landmark);

        // Tokens before `border` lie in short segments, the others in segments of one token more.
        let border = num_short.clone() * short.clone();
        let in_short = rank.clone() / short.clone();
        let in_long =
            num_short + (rank.clone() - border.clone()).clamp_min(0) / short.add_scalar(1);
        let segment = in_long.mask_where(rank.lower(border), in_short);
        // A padded token lies in no segment.
        let segment = segment.mask_fill(valid.bool_not(), -1);

        let index = Tensor::<1, Int>::arange(0..landmark, &device).reshape([1, landmarks, 1]);
        let member = segment.unsqueeze_dim::<3>(1).equal(index).float(); // [batch, landmarks, seq_len]
        let size = member.clone().sum_dim(2); // [batch, landmarks, 1]
        let keep = size.clone().clamp_max(1.0);
        let pooling = member / size.clamp_min(1.0);
        Self {
            pooling: pooling.unsqueeze_dim(1),
            landmark_bias: bias(keep.clone().squeeze_dim::<2>(2)).unsqueeze_dims(&[1, 2]),
            keep: keep.unsqueeze_dim(1),
        }
    }
}

/// 0 where `keep` is 1, [`MASKED`] where it is 0.
pub(crate) fn bias(keep: Tensor<2>) -> Tensor<2> {
    keep.sub_scalar(1.0).mul_scalar(-MASKED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Sizes of the segments of a row with `valid` of `seq_len` tokens.
    fn sizes(valid: usize, seq_len: usize, num_landmarks: usize) -> Vec<usize> {
        let mask: Vec<i64> = (0..seq_len).map(|i| i64::from(i < valid)).collect();
        let mask = Tensor::<1, Int>::from_ints(mask.as_slice(), &Device::flex()).unsqueeze();
        let segments = Segments::new(mask, num_landmarks);
        let [_, _, landmarks, _] = segments.pooling.dims();
        let member = segments.pooling.greater_elem(0.0).float().sum_dim(3);
        let sizes: Vec<f32> = member.reshape([landmarks]).try_into_vec_as().unwrap();
        sizes.into_iter().map(|size| size as usize).collect()
    }

    #[test]
    fn equal_segments_when_the_length_divides() {
        assert_eq!(sizes(12, 16, 4), [3, 3, 3, 3]);
    }

    /// The authors' example in small: 14 tokens, 4 landmarks: 2 × 3 tokens, then 2 × 4.
    #[test]
    fn shorter_segments_come_first() {
        assert_eq!(sizes(14, 14, 4), [3, 3, 4, 4]);
        assert_eq!(sizes(5, 9, 4), [1, 1, 1, 2]);
        assert_eq!(sizes(7, 9, 4), [1, 2, 2, 2]);
    }

    #[test]
    fn short_rows_get_one_token_per_landmark_and_spares() {
        assert_eq!(sizes(3, 9, 4), [1, 1, 1, 0]);
        assert_eq!(sizes(4, 9, 4), [1, 1, 1, 1]);
        assert_eq!(sizes(1, 9, 4), [1, 0, 0, 0]);
        assert_eq!(sizes(0, 9, 4), [0, 0, 0, 0]);
        assert_eq!(sizes(2, 3, 8), [1, 1, 0]);
    }
}
