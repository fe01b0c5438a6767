//! Means over parts of the sequence: segments, or patches of a picture.

use std::ops::Range;

use burn::{backend::Flex, tensor::Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel::{self, Kernel},
    patches::{self, Patches},
    simd,
    view::{self, HeadIndex, View},
};

/// Averages `tokens` over `num_landmarks` segments of the sequence.
///
/// If `seq_len` is not a multiple, the first segments are shorter by one token. A sequence of at most
/// `num_landmarks` tokens is returned as it is.
///
/// # Shapes
/// - `tokens`: `[batch, heads, seq_len, head_dim]`
/// - output: `[batch, heads, min(num_landmarks, seq_len), head_dim]`
pub fn segment_means(tokens: Tensor<4>, num_landmarks: usize) -> Tensor<4> {
    let [_, _, seq_len, _] = tokens.dims();
    if seq_len <= num_landmarks {
        return tokens;
    }
    means_of_parts(tokens, Parts::Segments(Segments { seq_len, count: num_landmarks }))
}

/// Averages the pixels of each patch.
///
/// # Shapes
/// - `tokens`: `[batch, heads, pixels, head_dim]`
/// - output: `[batch, heads, patches, head_dim]`
///
/// # Panics
/// If there is not one token for each pixel.
pub fn patch_means(tokens: Tensor<4>, patches: Patches) -> Tensor<4> {
    let [_, _, seq_len, _] = tokens.dims();
    assert_eq!(seq_len, patches.num_pixels(), "a token for each pixel");
    means_of_parts(tokens, Parts::Patches(patches))
}

/// Averages `tokens` over each part.
fn means_of_parts(tokens: Tensor<4>, parts: Parts) -> Tensor<4> {
    if kernel::runs_on::<MeansOfParts, 1, 4>(&tokens) {
        return kernel::run_1(MeansOfParts(parts), tokens);
    }
    match parts {
        Parts::Segments(segments) => composed(tokens, segments.count),
        Parts::Patches(patches) => patches::composed(tokens, patches),
    }
}

/// The same by Burn's elementary operations, for more tokens than landmarks.
fn composed(tokens: Tensor<4>, num_landmarks: usize) -> Tensor<4> {
    let [_, _, seq_len, _] = tokens.dims();
    let segments = Segments { seq_len, count: num_landmarks };
    let num_short = segments.num_short();
    if num_short == num_landmarks {
        return equal_means(tokens, num_landmarks);
    }
    let border = num_short * segments.short();
    Tensor::cat(
        vec![
            equal_means(tokens.clone().narrow(2, 0, border), num_short),
            equal_means(tokens.narrow(2, border, seq_len - border), num_landmarks - num_short),
        ],
        2,
    )
}

/// Means over `count` segments of the same length.
fn equal_means(tokens: Tensor<4>, count: usize) -> Tensor<4> {
    let [batch, heads, seq_len, head_dim] = tokens.dims();
    tokens
        .reshape([batch, heads, count, seq_len / count, head_dim])
        .mean_dim(3)
        .reshape([batch, heads, count, head_dim])
}

/// A sequence cut into segments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segments {
    pub(crate) seq_len: usize,
    pub(crate) count: usize,
}

impl Segments {
    /// Tokens of a short segment; the others have one more.
    fn short(self) -> usize {
        self.seq_len / self.count
    }

    fn num_short(self) -> usize {
        (self.short() + 1) * self.count - self.seq_len
    }

    /// The first token of a segment; of the segment after the last one, the sequence's length.
    pub(crate) fn start(self, segment: usize) -> usize {
        segment * self.short() + segment.saturating_sub(self.num_short())
    }

    /// The segment of a token.
    fn of(self, token: usize) -> usize {
        let border = self.num_short() * self.short();
        if token < border {
            token / self.short()
        } else {
            self.num_short() + (token - border) / (self.short() + 1)
        }
    }
}

/// How a sequence is cut into parts that have a mean each. A part is one run of tokens, or a few of one length.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Parts {
    Segments(Segments),
    Patches(Patches),
}

impl Parts {
    fn seq_len(self) -> usize {
        match self {
            Self::Segments(segments) => segments.seq_len,
            Self::Patches(patches) => patches.num_pixels(),
        }
    }

    pub(crate) fn count(self) -> usize {
        match self {
            Self::Segments(segments) => segments.count,
            Self::Patches(patches) => patches.count(),
        }
    }

    /// The part of a token.
    #[inline(always)]
    fn of(self, token: usize) -> usize {
        match self {
            Self::Segments(segments) => segments.of(token),
            Self::Patches(patches) => patches.of(token),
        }
    }

    /// Runs of tokens in each part.
    #[inline(always)]
    fn runs(self) -> usize {
        match self {
            Self::Segments(_) => 1,
            Self::Patches(patches) => patches.patch()[0],
        }
    }

    /// The tokens of one run.
    #[inline(always)]
    fn run(self, part: usize, run: usize) -> Range<usize> {
        match self {
            Self::Segments(segments) => segments.start(part)..segments.start(part + 1),
            Self::Patches(patches) => patches.row(part, run),
        }
    }

    /// Tokens of a part.
    #[inline(always)]
    fn length(self, part: usize) -> usize {
        match self {
            Self::Segments(segments) => segments.start(part + 1) - segments.start(part),
            Self::Patches(patches) => patches.num_pixels_of_patch(),
        }
    }
}

#[derive(Debug)]
struct MeansOfParts(Parts);

kernel::lacking!(MeansOfParts: 1);

impl Kernel<Flex, 1> for MeansOfParts {
    type Saved = ();

    fn forward(&self, [tokens]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        let tokens = view::readable(tokens);
        let tokens = View::new(&tokens);
        let Self(parts) = *self;
        let shape = [tokens.batch, tokens.heads, parts.count(), tokens.width];
        (view::from_rows(means(tokens, parts), shape), ())
    }

    fn backward(
        &self,
        (): (),
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let gradient = view::readable(gradient);
        let gradient = View::new(&gradient);
        let Self(parts) = *self;
        let hidden_size = gradient.hidden_size();
        let group = (simd::TASK / hidden_size).max(1);
        let output = rows(
            [gradient.batch, parts.seq_len(), hidden_size],
            group,
            #[inline(always)]
            |batch, number, token| spread(gradient, batch, parts, number, token),
        );
        let shape = [gradient.batch, gradient.heads, parts.seq_len(), gradient.width];
        [Some(view::from_rows(output, shape))]
    }
}

/// The means over all parts, `[batch, parts, heads, head_dim]`.
pub(crate) fn means(tokens: View<'_>, parts: Parts) -> Vec<f32> {
    let hidden_size = tokens.hidden_size();
    let group = (simd::TASK / (parts.length(0) * hidden_size)).max(1);
    rows(
        [tokens.batch, parts.count(), hidden_size],
        group,
        #[inline(always)]
        |batch, part, means| average(tokens, batch, parts, part, means),
    )
}

/// Adds to the gradient of one sequence's tokens, `[seq_len, heads, head_dim]`, their shares of the gradient of the means,
/// which is the sum of two.
pub(crate) fn add_spread(parts: Parts, gradients: [View<'_>; 2], tokens: &mut [f32]) {
    let hidden_size = gradients[0].hidden_size();
    let shares = rows(
        [1, parts.count(), hidden_size],
        (simd::TASK / hidden_size).max(1),
        #[inline(always)]
        |batch, part, shares| {
            let length = parts.length(part) as f32;
            for (head, shares) in shares.chunks_exact_mut(gradients[0].width).enumerate() {
                let [left, right] = gradients.map(|view| view.head(HeadIndex { batch, head }));
                for ((share, left), right) in
                    shares.iter_mut().zip(left.row(part)).zip(right.row(part))
                {
                    *share = (left + right) / length;
                }
            }
        },
    );
    let group = (simd::TASK / hidden_size).max(1);
    tokens.par_chunks_mut(group * hidden_size).enumerate().for_each(|(index, tokens)| {
        simd::vectorised(
            #[inline(always)]
            || {
                for (token, number) in tokens.chunks_exact_mut(hidden_size).zip(index * group..) {
                    let share = &shares[parts.of(number) * hidden_size..][..hidden_size];
                    token.iter_mut().zip(share).for_each(|(token, share)| *token += share);
                }
            },
        );
    });
}

/// The values `[batch, count, hidden_size]`, of which `write` writes each row, `group` rows in a task.
fn rows(
    [batch, count, hidden_size]: [usize; 3],
    group: usize,
    write: impl Fn(usize, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut output = simd::room(batch * count * hidden_size);
    output.par_chunks_mut(count * hidden_size).enumerate().for_each(|(batch, output)| {
        output.par_chunks_mut(group * hidden_size).enumerate().for_each(|(index, output)| {
            simd::vectorised(
                #[inline(always)]
                || {
                    for (row, number) in output.chunks_exact_mut(hidden_size).zip(index * group..) {
                        write(batch, number, row);
                    }
                },
            );
        });
    });
    output
}

/// Writes the mean of one part, all heads side by side.
#[inline(always)]
fn average(tokens: View<'_>, batch: usize, parts: Parts, part: usize, means: &mut [f32]) {
    means.fill(0.0);
    for token in (0..parts.runs()).flat_map(|run| parts.run(part, run)) {
        for (head, mean) in means.chunks_exact_mut(tokens.width).enumerate() {
            for (mean, value) in
                mean.iter_mut().zip(tokens.head(HeadIndex { batch, head }).row(token))
            {
                *mean += value;
            }
        }
    }
    let length = parts.length(part) as f32;
    for mean in means {
        *mean /= length;
    }
}

/// Writes one token's share of the gradient of its part's mean, all heads side by side.
#[inline(always)]
fn spread(gradient: View<'_>, batch: usize, parts: Parts, number: usize, token: &mut [f32]) {
    let part = parts.of(number);
    let length = parts.length(part) as f32;
    for (head, token) in token.chunks_exact_mut(gradient.width).enumerate() {
        for (token, gradient) in
            token.iter_mut().zip(gradient.head(HeadIndex { batch, head }).row(part))
        {
            *token = gradient / length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};

    /// Sequence length and number of landmarks.
    const SIZES: [(usize, usize); 6] = [(2, 1), (9, 1), (12, 4), (13, 4), (15, 4), (1000, 33)];

    #[test]
    fn equals_the_composed_path() {
        for (seq_len, num_landmarks) in SIZES {
            for (heads, head_dim) in [(1, 1), (2, 3), (3, 64)] {
                testing::same(
                    [random([2, seq_len, heads, head_dim])],
                    |[tokens]| segment_means(tokens.swap_dims(1, 2), num_landmarks),
                    |[tokens]| composed(tokens.swap_dims(1, 2), num_landmarks),
                );
            }
        }
    }

    #[test]
    fn reads_any_layout() {
        testing::same(
            [random([3, 4, 21, 2])],
            |[tokens]| segment_means(tokens.permute([3, 0, 2, 1]), 5),
            |[tokens]| composed(tokens.permute([3, 0, 2, 1]), 5),
        );
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        testing::same_with_special_values(
            [random([2, 3, 21, 4])],
            |[tokens]| segment_means(tokens, 5),
            |[tokens]| composed(tokens, 5),
        );
    }

    #[test]
    fn few_tokens_stay_as_they_are() {
        let tokens = random([2, 1, 4, 3]);
        for num_landmarks in [4, 7] {
            segment_means(tokens.clone(), num_landmarks)
                .into_data()
                .assert_eq(&tokens.to_data(), true);
        }
    }

    #[test]
    fn segments_follow_each_other() {
        for (seq_len, count) in SIZES {
            let segments = Segments { seq_len, count };
            assert_eq!((segments.start(0), segments.start(count)), (0, seq_len));
            for token in 0..seq_len {
                let segment = segments.of(token);
                assert!((segments.start(segment)..segments.start(segment + 1)).contains(&token));
            }
        }
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        testing::same_bits_for_any_threads([random([2, 3, 1000, 33])], |[tokens]| {
            segment_means(tokens, 77)
        });
    }
}
