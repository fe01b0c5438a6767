//! Attention by the Nyström method in CubeCL, for sequences of one length without padding.
//!
//! | module | holds |
//! |---|---|
//! | `landmarks` | means over segments, and each landmark over the landmarks |
//! | `summary` | what kernel 3 gathers, times the inverse |
//! | `tokens` | what all that gives each token |
//!
//! | launch | forward | backward |
//! |---|---|---|
//! | 1 | landmarks | kernel 1, for queries |
//! | 2 | kernel 2 and its column sums | kernel 1, for landmarks and their product, in parts |
//! | 3 | the inverse | their sums; the inverse times the summary |
//! | 4 | kernel 3 times the values, in parts | the inverse |
//! | 5 | their sums, times the inverse | kernel 3, for landmarks, in parts |
//! | 6 | kernel 1 times that | kernel 3, for keys and values |
//! | 7 | the convolution | kernel 2 |
//! | 8 | | landmarks and the convolution, for tokens |
//! | 9, 10 | | the filter, in parts and their sums |
//!
//! The derivative keeps what lies by landmarks, and of each query its largest score and its sum of exponentials; scores and iterates
//! of the inverse are computed again.

mod landmarks;
mod summary;
#[cfg(all(test, feature = "wgpu"))]
mod tests;
mod tokens;

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{CubeDevice, tensor::CubeTensor};

use super::NystromAttention;
use crate::{
    attention::cube::{
        backward, forward,
        problem::{self, Parts, Problem, Rows},
    },
    convolution::cube as convolution,
    cube::{contiguous, place::Distances, room},
    kernel::Kernel,
};

/// Numbers of what there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    batch: usize,
    seq_len: usize,
    heads: usize,
    /// Of a head.
    width: usize,
    landmarks: usize,
}

impl Sizes {
    fn all_heads(self) -> usize {
        self.batch * self.heads
    }

    fn hidden_size(self) -> usize {
        self.heads * self.width
    }

    /// Values of all landmarks of queries, or of keys.
    fn half(self) -> usize {
        self.batch * self.landmarks * self.hidden_size()
    }

    /// Where the rows of tokens lie.
    fn of_tokens(self) -> Distances {
        Distances::of_tokens(self.seq_len, self.heads, self.width)
    }

    /// Where the rows of landmarks lie, as tokens do.
    fn of_landmarks(self) -> Distances {
        Distances::of_tokens(self.landmarks, self.heads, self.width)
    }

    /// Where the rows of landmarks lie, each head by itself.
    fn of_heads(self) -> Distances {
        Distances::of_heads(self.heads, self.landmarks, self.width)
    }

    fn scale(self) -> f32 {
        (self.width as f64).powf(-0.5) as f32
    }
}

#[derive(Debug, Clone)]
struct Inputs {
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    filter: Option<CubeTensor>,
}

/// What the derivative needs.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    inputs: Inputs,
    /// `[2, batch, landmarks, hidden_size]`: of queries and of keys.
    landmarks: CubeTensor,
    /// Kernel 2, `[batch · heads, landmarks, landmarks]`.
    matrices: CubeTensor,
    /// Of its columns.
    sums: CubeTensor,
    inverses: CubeTensor,
    /// Kernel 3 times the values, `[batch · heads, landmarks, width]`.
    summary: CubeTensor,
    /// The inverse times that.
    product: CubeTensor,
    /// Of kernel 3, and of kernel 1.
    statistics: [CubeTensor; 2],
}

impl NystromAttention {
    fn sizes_on_cube(&self, [batch, seq_len, hidden_size]: [usize; 3]) -> Sizes {
        let heads = self.parameters.heads;
        let landmarks = self.parameters.num_landmarks.min(seq_len);
        Sizes { batch, seq_len, heads, width: hidden_size / heads, landmarks }
    }

    /// Kernel 1 and what it is multiplied with.
    fn tokens_over_landmarks<'a>(
        sizes: Sizes,
        query: &'a CubeTensor,
        landmarks: &'a CubeTensor,
        product: &'a CubeTensor,
    ) -> Problem<'a> {
        let Sizes { batch, heads, seq_len, width, .. } = sizes;
        let keys = sizes.landmarks;
        Problem {
            query: Rows { tensor: query, place: sizes.of_tokens() },
            key: Rows { tensor: landmarks, place: sizes.of_landmarks().starting_at(sizes.half()) },
            value: Rows { tensor: product, place: sizes.of_heads() },
            key_bias: None,
            sizes: problem::Sizes { batch, heads, queries: seq_len, keys, width },
            scale: sizes.scale(),
        }
    }

    /// Kernel 3 and the values.
    fn landmarks_over_tokens<'a>(
        sizes: Sizes,
        inputs: &'a Inputs,
        landmarks: &'a CubeTensor,
    ) -> Problem<'a> {
        let Sizes { batch, heads, seq_len, width, .. } = sizes;
        let queries = sizes.landmarks;
        Problem {
            query: Rows { tensor: landmarks, place: sizes.of_landmarks() },
            key: Rows { tensor: &inputs.key, place: sizes.of_tokens() },
            value: Rows { tensor: &inputs.value, place: sizes.of_tokens() },
            key_bias: None,
            sizes: problem::Sizes { batch, heads, queries, keys: seq_len, width },
            scale: sizes.scale(),
        }
    }

    fn convolution_sizes(sizes: Sizes, filter: &CubeTensor) -> convolution::Sizes {
        let Sizes { batch, heads, seq_len, width, .. } = sizes;
        convolution::Sizes::new([batch, heads, seq_len, width], filter)
    }

    fn run_on_cube(
        &self,
        inputs: [CubeTensor; 3],
        filter: Option<CubeTensor>,
    ) -> (CubeTensor, Saved) {
        let [query, key, value] = inputs.map(contiguous);
        let inputs = Inputs { query, key, value, filter: filter.map(contiguous) };
        let sizes = self.sizes_on_cube(inputs.query.shape().dims());
        let pinv = self.parameters.pinv;

        let landmarks = landmarks::means(sizes, &inputs.query, &inputs.key);
        let (matrices, sums) = landmarks::kernel_2(sizes, &landmarks);
        let inverses = pinv.invert_on_cube(&matrices, &sums);
        let kernel_3 = Self::landmarks_over_tokens(sizes, &inputs, &landmarks);
        let found = forward::forward_in_parts(&kernel_3);
        let summary::Summary { summary, statistics, product } =
            summary::join(sizes, &found, &inverses);
        let output = room(&inputs.query, inputs.query.shape());
        let kernel_1 = Self::tokens_over_landmarks(sizes, &inputs.query, &landmarks, &product);
        let rows = Rows { tensor: &output, place: sizes.of_tokens() };
        let statistics = [statistics, forward::forward(&kernel_1, rows)];
        if let Some(filter) = &inputs.filter {
            let [value, output] = [&inputs.value, &output].map(|x| (x, sizes.of_tokens()));
            let sizes = Self::convolution_sizes(sizes, filter);
            convolution::convolve(sizes, value, filter, Some(output), output, false);
        }
        let saved =
            Saved { inputs, landmarks, matrices, sums, inverses, summary, product, statistics };
        (output, saved)
    }

    /// The gradients of query, key and value, and of the filter.
    fn gradients_on_cube(
        &self,
        saved: Saved,
        gradient: CubeTensor,
    ) -> ([CubeTensor; 3], Option<CubeTensor>) {
        let Saved { inputs, landmarks, matrices, sums, inverses, summary, product, statistics } =
            saved;
        let gradient = contiguous(gradient);
        let sizes = self.sizes_on_cube(inputs.query.shape().dims());
        let Sizes { batch, seq_len, landmarks: count, width, .. } = sizes;
        let hidden_size = sizes.hidden_size();
        let of_kernel_3 = &statistics[0];

        // Kernel 1, for queries, and for the landmarks of keys and the product.
        let kernel_1 = Self::tokens_over_landmarks(sizes, &inputs.query, &landmarks, &product);
        let known = Rows { tensor: &gradient, place: sizes.of_tokens() };
        let query = room(&gradient, [batch, seq_len, hidden_size]);
        let target = Rows { tensor: &query, place: sizes.of_tokens() };
        backward::query_gradient(
            &kernel_1,
            known,
            &statistics[1],
            target,
            Parts::one(count),
            false,
        );
        let parts = kernel_1.parts_of_queries();
        let both = room(&gradient, [parts.count, 2, sizes.all_heads(), count, width]);
        let target = Rows { tensor: &both, place: sizes.of_heads() };
        backward::key_gradients(&kernel_1, known, &statistics[1], target, parts);

        // The inverse and the summary; and kernel 2, at constant divisors.
        let middle =
            summary::differentiate(sizes, &both, parts.count, &inverses, &summary, of_kernel_3);
        let pinv = self.parameters.pinv;
        let of_kernel_2 =
            pinv.differentiate_on_cube(&matrices, &sums, middle.inverse_gradient.clone());

        // Kernel 3, for the landmarks of queries, and for keys and values.
        let kernel_3 = Self::landmarks_over_tokens(sizes, &inputs, &landmarks);
        let known = Rows { tensor: &middle.summary_gradient, place: sizes.of_heads() };
        let parts = kernel_3.parts_of_keys();
        let queries = room(&gradient, [parts.count, batch, count, hidden_size]);
        let target = Rows { tensor: &queries, place: sizes.of_landmarks() };
        backward::query_gradient(&kernel_3, known, of_kernel_3, target, parts, true);
        let both = room(&gradient, [2, batch, seq_len, hidden_size]);
        let target = Rows { tensor: &both, place: sizes.of_tokens() };
        backward::key_gradients(&kernel_3, known, of_kernel_3, target, Parts::one(count));

        let landmarks = landmarks::differentiate(
            sizes,
            pinv,
            [&matrices, &of_kernel_2, &sums],
            &landmarks,
            (&queries, parts.count),
            &middle.key_landmarks,
        );
        let (key, value) = tokens::differentiate(
            sizes,
            &query,
            &both,
            &landmarks,
            &gradient,
            inputs.filter.as_ref(),
        );
        let filter = inputs.filter.as_ref().map(|filter| {
            let [value, gradient] = [&inputs.value, &gradient].map(|x| (x, sizes.of_tokens()));
            convolution::filter_gradient(Self::convolution_sizes(sizes, filter), value, gradient)
        });
        ([query, key, value], filter)
    }

    fn fits_on_cube(&self, shape: &[usize], device: &CubeDevice) -> bool {
        let &[batch, seq_len, hidden_size] = shape else { return false };
        let sizes = self.sizes_on_cube([batch, seq_len, hidden_size]);
        let is_even = self.sequences.attending().is_none()
            && self.sequences.are_even(batch, seq_len)
            && seq_len > 0;
        let shared = sizes.landmarks * sizes.width * size_of::<f32>();
        // Landmarks are means over segments here.
        is_even
            && self.parameters.patches.is_none()
            && problem::fits(sizes.all_heads(), sizes.width)
            && shared <= device.client().properties().hardware.max_shared_memory_size
            && self.parameters.pinv.iterations_on_cube(sizes.landmarks, device).is_some()
    }
}

/// With a filter.
impl Kernel<Cube, 4> for NystromAttention {
    type Saved = Saved;

    fn fits(&self, shapes: [&[usize]; 4], device: &CubeDevice) -> bool {
        self.fits_on_cube(shapes[0], device)
    }

    fn forward(&self, [query, key, value, filter]: [CubeTensor; 4]) -> (CubeTensor, Saved) {
        self.run_on_cube([query, key, value], Some(filter))
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        _wanted: [bool; 4],
    ) -> [Option<CubeTensor>; 4] {
        let ([query, key, value], filter) = self.gradients_on_cube(saved, gradient);
        [Some(query), Some(key), Some(value), filter]
    }
}

/// Without a filter.
impl Kernel<Cube, 3> for NystromAttention {
    type Saved = Saved;

    fn fits(&self, shapes: [&[usize]; 3], device: &CubeDevice) -> bool {
        self.fits_on_cube(shapes[0], device)
    }

    fn forward(&self, inputs: [CubeTensor; 3]) -> (CubeTensor, Saved) {
        self.run_on_cube(inputs, None)
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        _wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        self.gradients_on_cube(saved, gradient).0.map(Some)
    }
}
