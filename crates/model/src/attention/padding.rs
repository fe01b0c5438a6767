//! What an attention mask means to the parts of attention.
//!
//! The mask is turned into biases and weights once per forward pass and shared by all layers. They are computed on the device, so
//! no layer waits for the host to read the mask. On the CPU, where nobody waits, it is read too: where padding stands at the ends
//! of rows alone, as it nearly always does, kernels skip it, and under `semantics = "paper"` the encoder runs on the tokens
//! without it (`Padding::packed`).

use std::{ops::Range, sync::OnceLock};

use burn::tensor::{Int, Tensor};
use nystromformer_kernels::{Patches, Sequence, Sequences, is_flex, place_rows, select_rows};

use crate::wanted_tokens::WantedTokens;

/// Added to a score that must get probability zero: exp of it underflows to an exact 0 in f32, and unlike
/// −∞ it turns a row without any valid key into a uniform one instead of NaN.
pub(super) const MASKED: f64 = -1e9;

/// An attention mask, prepared for every layer of one forward pass.
#[derive(Debug, Clone)]
pub struct Padding {
    /// `[batch, 1, 1, seq_len]`: 0 for a valid key, a large negative number for a padded one.
    pub key_bias: Tensor<4>,
    /// `[batch, 1, seq_len, 1]`: 1 for a valid token, 0 for a padded one.
    pub keep: Tensor<4>,
    attention_mask: Tensor<2, Int>,
    num_segments: Option<usize>,
    segments: OnceLock<Segments>,
    /// The columns of each row's tokens, at least one, if the CPU can see that no padding stands among them.
    spans: Option<Vec<Range<usize>>>,
    /// Whether landmarks and convolution pass over padding, as under `semantics = "paper"`.
    is_passed_over: bool,
    packing: Option<Packing>,
}

/// How the tokens of a padded batch follow each other where hidden states hold nothing else: `[1, tokens, hidden_size]`.
#[derive(Debug, Clone)]
struct Packing {
    sequences: Sequences,
    /// `[tokens]`: the place of each in the padded batch, `row · seq_len + column`.
    places: Tensor<1, Int>,
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
    /// `is_passed_over` says whether landmarks and convolution pass over padding, or read it as they read tokens.
    ///
    /// # Shapes
    /// - `attention_mask`: `[batch, seq_len]`, 1 for a valid token and 0 for padding, anywhere in the row
    pub fn new(
        attention_mask: Tensor<2, Int>,
        num_segments: Option<usize>,
        is_passed_over: bool,
    ) -> Self {
        let keep = attention_mask.clone().float();
        Self {
            key_bias: bias(keep.clone()).unsqueeze_dims(&[1, 2]),
            keep: keep.unsqueeze_dims(&[1, 3]),
            spans: spans(&attention_mask),
            attention_mask,
            num_segments,
            segments: OnceLock::new(),
            is_passed_over,
            packing: None,
        }
    }

    /// How landmarks are laid over the valid tokens, of a kind of attention that lays some so.
    pub fn segments(&self) -> Option<&Segments> {
        let count = self.num_segments?;
        Some(self.segments.get_or_init(|| Segments::new(self.attention_mask.clone(), count)))
    }

    /// `[batch, seq_len]`: 1 for a valid token, 0 for padding.
    pub(super) fn attention_mask(&self) -> &Tensor<2, Int> {
        &self.attention_mask
    }

    /// Whether there is none, as far as the CPU can see.
    pub(crate) fn is_empty(&self) -> bool {
        let [_, seq_len] = self.attention_mask.dims();
        self.spans.as_ref().is_some_and(|spans| spans.iter().all(|span| span.len() == seq_len))
    }

    /// Where the sequences lie among the rows of hidden states, for a kernel that needs nothing else of the mask.
    pub(crate) fn sequences(&self) -> Option<Sequences> {
        if let Some(packing) = &self.packing {
            return Some(packing.sequences.clone());
        }
        // Tokens that pass over padding are packed, or their padded rows are computed as ever.
        let spans = self.spans.as_ref().filter(|_| !self.is_passed_over)?;
        let [batch, seq_len] = self.attention_mask.dims();
        let of = |(row, span): (usize, &Range<usize>)| Sequence {
            tokens: row * seq_len..(row + 1) * seq_len,
            keys: row * seq_len + span.start..row * seq_len + span.end,
        };
        Some(Sequences::new(batch * seq_len, spans.iter().enumerate().map(of).collect()))
    }

    /// The same for hidden states without the padding, and which of these are wanted; `None` if padding is read, or cannot be
    /// left out.
    pub(crate) fn packed(&self, wanted: &WantedTokens) -> Option<(Self, WantedTokens)> {
        let spans = self.spans.as_ref().filter(|_| self.is_passed_over)?;
        let [batch, seq_len] = self.attention_mask.dims();
        let device = self.attention_mask.device();
        let of = |(row, span): (usize, &Range<usize>)| {
            let tokens = row * seq_len + span.start..row * seq_len + span.end;
            Sequence { keys: tokens.clone(), tokens }
        };
        let padded = Sequences::new(batch * seq_len, spans.iter().enumerate().map(of).collect());
        let sequences = padded.packed();
        // Where the token in this column of this row is now.
        let packed = |row: usize, column: usize| {
            let span = spans.get(row).filter(|span| span.contains(&column))?;
            Some(sequences.list()[row].tokens.start + column - span.start)
        };
        let tensor = |rows: Vec<usize>| {
            let rows: Vec<i64> = rows.into_iter().map(|row| row as i64).collect();
            Tensor::<1, Int>::from_ints(rows.as_slice(), &device)
        };
        let wanted = match wanted {
            WantedTokens::All => return None,
            WantedTokens::Tokens => WantedTokens::All,
            WantedTokens::First => {
                let first = (0..batch).map(|row| packed(row, 0)).collect::<Option<_>>();
                WantedTokens::At(tensor(first?))
            }
            WantedTokens::At(positions) => {
                let positions = positions.clone().try_into_vec_as::<i64>().ok()?;
                let of = |position: i64| {
                    let position = usize::try_from(position).ok()?;
                    packed(position / seq_len, position % seq_len)
                };
                WantedTokens::At(tensor(positions.into_iter().map(of).collect::<Option<_>>()?))
            }
        };
        let places = padded.list().iter().flat_map(|row| row.tokens.clone()).collect();
        let packing = Some(Packing { sequences, places: tensor(places) });
        Some((Self { packing, ..self.clone() }, wanted))
    }

    /// The same for hidden states that hold padding too.
    pub(crate) fn dense(&self) -> Self {
        Self { packing: None, ..self.clone() }
    }

    /// The place of each row of hidden states in the padded batch, if these are packed.
    pub(crate) fn places(&self) -> Option<&Tensor<1, Int>> {
        self.packing.as_ref().map(|packing| &packing.places)
    }

    /// The column of each row of hidden states in the padded batch, if these are packed.
    pub(crate) fn columns(&self) -> Option<Tensor<1, Int>> {
        let [_, seq_len] = self.attention_mask.dims();
        Some(self.places()?.clone().remainder_scalar(seq_len as i64))
    }

    /// Leaves out the padding, if hidden states are packed.
    ///
    /// # Shapes
    /// - `x`: `[batch, seq_len, width]`
    /// - output: `[1, tokens, width]`
    pub(crate) fn pack(&self, x: Tensor<3>) -> Tensor<3> {
        let Some(packing) = &self.packing else {
            return x;
        };
        let [batch, seq_len, width] = x.dims();
        select_rows(x.reshape([batch * seq_len, width]), packing.places.clone()).unsqueeze_dim(0)
    }

    /// Whether hidden states hold the tokens alone, one sequence behind the other: `[1, tokens, width]`.
    pub fn is_packed(&self) -> bool {
        self.packing.is_some()
    }

    /// The way back, if hidden states are packed; padding becomes 0.
    ///
    /// # Shapes
    /// - `x`: `[1, tokens, width]`
    /// - output: `[batch, seq_len, width]`
    pub fn unpack(&self, x: Tensor<3>) -> Tensor<3> {
        let Some(packing) = &self.packing else {
            return x;
        };
        let [batch, seq_len] = self.attention_mask.dims();
        let [_, _, width] = x.dims();
        place_rows(x.squeeze_dim(0), packing.places.clone(), batch * seq_len)
            .reshape([batch, seq_len, width])
    }
}

/// The columns of each row's tokens, if all rows have some, no padding stands among them, and the mask lies in the CPU's memory.
fn spans(attention_mask: &Tensor<2, Int>) -> Option<Vec<Range<usize>>> {
    let [_, seq_len] = attention_mask.dims();
    if !is_flex(&attention_mask.device()) {
        return None;
    }
    let mask = attention_mask.clone().try_into_vec_as::<i64>().ok()?;
    let of = |row: &[i64]| {
        let start = row.iter().position(|&kept| kept != 0)?;
        let tokens = row[start..].iter().take_while(|&&kept| kept == 1).count();
        let end = start + tokens;
        (tokens > 0 && row[end..].iter().all(|&kept| kept == 0)).then_some(start..end)
    };
    mask.chunks(seq_len.max(1)).map(of).collect()
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
        Self::of_members(segment.unsqueeze_dim::<3>(1).equal(index).float())
    }

    /// Lays a landmark over the valid pixels of each patch; one of a patch without any is spare.
    ///
    /// # Shapes
    /// - `attention_mask`: `[batch, seq_len]`, whose columns are the pixels of a picture from the first on
    pub fn of_patches(attention_mask: Tensor<2, Int>, patches: Patches) -> Self {
        let [_, seq_len] = attention_mask.dims();
        let device = attention_mask.device();
        let landmarks = patches.count();
        let patch: Vec<i64> = (0..seq_len).map(|pixel| patches.of(pixel) as i64).collect();
        let patch = Tensor::<1, Int>::from_ints(patch.as_slice(), &device);
        let index = Tensor::<1, Int>::arange(0..landmarks as i64, &device);
        let is_of_patch = patch.unsqueeze_dim::<2>(0).equal(index.unsqueeze_dim(1)).float();
        Self::of_members(is_of_patch.unsqueeze_dim(0) * attention_mask.float().unsqueeze_dim(1))
    }

    /// # Shapes
    /// - `member`: `[batch, landmarks, seq_len]`, 1 for a token over which the landmark averages
    fn of_members(member: Tensor<3>) -> Self {
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

/// The same with zeros for padding.
///
/// # Shapes
/// - `x`, output: `[batch, heads, seq_len, width]`
pub(super) fn of_tokens(x: Tensor<4>, padding: Option<&Padding>) -> Tensor<4> {
    match padding {
        Some(padding) => x * padding.keep.clone(),
        None => x,
    }
}

/// 0 where `keep` is 1, [`MASKED`] where it is 0.
pub(crate) fn bias(keep: Tensor<2>) -> Tensor<2> {
    keep.sub_scalar(1.0).mul_scalar(-MASKED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData, Tolerance};

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

    /// 0 1 2 | 3 4 5 over 6 7 8 | 9 10 11, of which the last two are not there.
    #[test]
    fn patches_average_over_the_pixels_that_are_there() {
        let mask =
            Tensor::<2, Int>::from_ints([[1; 10], [0, 0, 0, 1, 0, 1, 1, 0, 0, 0]], &Device::flex());
        for (picture, patch, sizes) in [
            ([2, 6], [1, 3], [[3.0f32, 3.0, 3.0, 1.0], [0.0, 2.0, 1.0, 0.0]]),
            ([6, 2], [3, 1], [[3.0, 3.0, 2.0, 2.0], [0.0, 2.0, 1.0, 0.0]]),
        ] {
            let patches = Patches::new(picture, patch).unwrap();
            let segments = Segments::of_patches(mask.clone(), patches);
            let member = segments.pooling.clone().greater_elem(0.0).float().sum_dim(3);
            member.reshape([2, 4]).to_data().assert_eq(&TensorData::from(sizes), true);
            let used = sizes.map(|row| row.map(|size| size.min(1.0)));
            segments
                .pooling
                .sum_dim(3)
                .reshape([2, 4])
                .to_data()
                .assert_approx_eq::<f32>(&TensorData::from(used), Tolerance::absolute(1e-6));
            segments.keep.reshape([2, 4]).to_data().assert_eq(&TensorData::from(used), true);
        }
    }

    #[test]
    fn tokens_are_packed_where_padding_stands_at_the_ends_of_rows() {
        let device = Device::flex();
        let padding =
            |mask: [[i64; 4]; 2]| Padding::new(Tensor::from_ints(mask, &device), Some(2), true);
        let packed = |mask, wanted: &WantedTokens| {
            let (padding, wanted) = padding(mask).packed(wanted)?;
            let wanted = match wanted {
                WantedTokens::At(rows) => rows.try_into_vec_as::<i64>().unwrap(),
                WantedTokens::All | WantedTokens::Tokens | WantedTokens::First => Vec::new(),
            };
            Some((padding.places()?.clone().try_into_vec_as::<i64>().unwrap(), wanted))
        };
        let behind = [[1, 1, 0, 0], [1, 1, 1, 0]];
        assert_eq!(packed(behind, &WantedTokens::First), Some((vec![0, 1, 4, 5, 6], vec![0, 2])));
        let before = [[1, 1, 1, 1], [0, 0, 1, 1]];
        let at = |positions: [i64; 2]| WantedTokens::At(Tensor::from_ints(positions, &device));
        assert_eq!(packed(before, &at([7, 0])), Some((vec![0, 1, 2, 3, 6, 7], vec![5, 0])));
        // Somebody reads padding.
        assert_eq!(packed(before, &at([7, 4])), None);
        assert_eq!(packed(before, &WantedTokens::First), None);
        // Padding among tokens, and a row of nothing else.
        for mask in [[[1, 0, 1, 1], [1; 4]], [[0; 4], [1; 4]]] {
            assert_eq!(packed(mask, &WantedTokens::Tokens), None);
        }
        assert_eq!(packed(behind, &WantedTokens::All), None);
        assert!(padding([[1; 4]; 2]).is_empty() && !padding(behind).is_empty());

        let (padding, _) = padding(before).packed(&WantedTokens::Tokens).unwrap();
        let x = Tensor::<1, Int>::arange(1..9, &device).float().reshape([2, 4, 1]);
        let back = padding.unpack(padding.pack(x));
        let back: Vec<f32> = back.try_into_vec_as().unwrap();
        assert_eq!(back, [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 7.0, 8.0]);
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
