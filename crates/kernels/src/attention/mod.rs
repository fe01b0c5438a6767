//! Attention, `softmax(scale · Q Kᵀ + bias) V`, without ever holding all scores.
//!
//! | module | holds |
//! |---|---|
//! | `problem` | what is computed, and how it is split into tasks |
//! | `sight` | which keys a query sees |
//! | `sink` | writing rows of strided arrays |
//! | `tile` | products in registers, the exponential, packing |
//! | `forward`, `backward` | the passes |
//! | `window` | attention to near keys, and to some that all see |
//! | `cube` | the same in CubeCL |
//!
//! A task holds a tile of 128 queries, which lie along the lanes of vectors, and goes through the keys in tiles of
//! 64: everything stays in a core's own cache. Scores are kept times log₂e, so that the softmax is a power of two.
//! The forward pass keeps the largest score of each query and the inverse of its sum of exponentials; from these the
//! backward pass computes the tiles again. Both take memory linear in queries and keys. Tasks are cut by the sizes
//! alone and their results joined in a fixed order, so that the number of threads changes nothing.

pub(crate) mod backward;
#[cfg(all(feature = "cube", not(feature = "fused")))]
pub(crate) mod cube;
pub(crate) mod forward;
pub(crate) mod problem;
pub(crate) mod sight;
mod sink;
#[cfg(test)]
mod tests;
pub(crate) mod tile;
mod window;

use burn::{
    backend::Flex,
    tensor::{Tensor, activation},
};
use burn_flex::FlexTensor;

use self::{backward::Known, forward::STATISTICS, problem::Problem, sight::Sight};
use crate::{
    batch_invariance::is_batch_invariant,
    kernel::{self, Kernel},
    simd,
    view::{View, from_rows, readable},
};

pub use window::{FurtherKeys, window_attention};

/// `softmax(scale · query · keyᵀ + key_bias) · value`.
///
/// | tensor | shape |
/// |---|---|
/// | `query` | `[batch, heads, queries, head_dim]` |
/// | `key` | `[batch, heads, keys, head_dim]` |
/// | `value` | `[batch, heads, keys, value_dim]` |
/// | `key_bias` | `[batch, 1, 1, keys]`, a constant: no gradient flows into it |
/// | output | `[batch, heads, queries, value_dim]` |
///
/// A key whose bias is very negative (−1e9) is masked: its weight is 0, unless all keys are masked, which then share
/// equally. Where the last axis is contiguous no input is copied, however its heads were split off. Output and
/// gradients lie in memory as `[batch, rows, heads, width]`, so that merging their heads moves nothing.
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    key_bias: Option<Tensor<4>>,
    scale: f64,
) -> Tensor<4> {
    let ([batch, heads, _, head_dim], [_, _, keys, _]) = (query.dims(), key.dims());
    assert_eq!(key.dims(), [batch, heads, keys, head_dim], "keys fit the queries");
    assert_eq!(value.dims()[..3], [batch, heads, keys], "one value per key");
    if let Some(key_bias) = &key_bias {
        assert_eq!(key_bias.dims(), [batch, 1, 1, keys], "one bias per key");
    }
    let attention = Attention { scale, sight: Sight::All };
    let [query_shape, key_shape, value_shape] = [query.dims(), key.dims(), value.dims()];
    match key_bias {
        Some(key_bias)
            if kernel::runs(
                &attention,
                &query,
                [&query_shape, &key_shape, &value_shape, &key_bias.dims()],
            ) =>
        {
            kernel::run_4(attention, (query, key, value, key_bias.detach()))
        }
        None if kernel::runs(&attention, &query, [&query_shape, &key_shape, &value_shape]) => {
            kernel::run_3(attention, (query, key, value))
        }
        key_bias => composed(query, key, value, key_bias, scale),
    }
}

/// The same by Burn's elementary operations.
fn composed(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    key_bias: Option<Tensor<4>>,
    scale: f64,
) -> Tensor<4> {
    let (query, key) = if query.dims()[2] <= key.dims()[2] {
        (query.mul_scalar(scale), key)
    } else {
        (query, key.mul_scalar(scale))
    };
    let mut scores = query.matmul(key.swap_dims(2, 3));
    if let Some(key_bias) = key_bias {
        scores = scores + key_bias.detach();
    }
    activation::softmax(scores, 3).matmul(value)
}

#[derive(Debug, Clone, Copy)]
struct Attention {
    scale: f64,
    sight: Sight,
}

/// Query, key, value, and the bias of the keys if there is one.
#[derive(Debug, Clone)]
struct Inputs {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    key_bias: Option<FlexTensor>,
}

impl Inputs {
    fn new([query, key, value]: [FlexTensor; 3], key_bias: Option<FlexTensor>) -> Self {
        let [query, key, value] = [query, key, value].map(readable);
        Self { query, key, value, key_bias: key_bias.map(readable) }
    }
}

/// What the derivative needs.
#[derive(Debug, Clone)]
struct Saved {
    inputs: Inputs,
    output: FlexTensor,
    /// `[batch, heads, queries, STATISTICS]`.
    statistics: FlexTensor,
}

impl Attention {
    fn problem(self, inputs: &Inputs) -> Problem<'_> {
        let query = View::new(&inputs.query);
        let alone = is_batch_invariant();
        Problem {
            query,
            key: View::new(&inputs.key),
            value: View::new(&inputs.value),
            key_bias: inputs.key_bias.as_ref().map(View::new),
            scale: self.scale as f32,
            sight: self.sight,
            alongside: if alone { query.heads } else { query.batch * query.heads },
        }
    }

    fn apply(self, inputs: Inputs) -> (FlexTensor, Saved) {
        let problem = self.problem(&inputs);
        let [batch, heads, queries, _] = problem.query.shape();
        let width = problem.value.width;
        let mut output = simd::room(batch * heads * queries * width);
        let mut statistics = simd::room(batch * heads * queries * STATISTICS);
        forward::forward(&problem, &mut output, &mut statistics);
        let output = from_rows(output, [batch, heads, queries, width]);
        let statistics = simd::tensor(statistics, [batch, heads, queries, STATISTICS].into());
        (output.clone(), Saved { inputs, output, statistics })
    }

    /// The gradients of query, key and value, as far as they are wanted; the bias has none.
    fn gradients(
        self,
        Saved { inputs, output, statistics }: Saved,
        gradient: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let gradient = readable(gradient);
        let problem = self.problem(&inputs);
        let known = Known {
            output: View::new(&output),
            statistics: View::new(&statistics),
            gradient: View::new(&gradient),
        };
        let views = [problem.query, problem.key, problem.value];
        let mut gradients: [Option<Vec<f32>>; 3] = std::array::from_fn(|input| {
            let length = views[input].shape().iter().product();
            wanted[input].then(|| simd::room(length))
        });
        backward::backward(&problem, known, gradients.each_mut().map(Option::as_deref_mut));
        let mut views = views.into_iter();
        gradients.map(|gradient| {
            let shape = views.next()?.shape();
            gradient.map(|gradient| from_rows(gradient, shape))
        })
    }
}

/// With a bias.
impl Kernel<Flex, 4> for Attention {
    type Saved = Saved;

    fn forward(&self, [query, key, value, key_bias]: [FlexTensor; 4]) -> (FlexTensor, Saved) {
        self.apply(Inputs::new([query, key, value], Some(key_bias)))
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        [query, key, value, _]: [bool; 4],
    ) -> [Option<FlexTensor>; 4] {
        let [query, key, value] = self.gradients(saved, gradient, [query, key, value]);
        [query, key, value, None]
    }
}

/// Without a bias.
impl Kernel<Flex, 3> for Attention {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        self.apply(Inputs::new(inputs, None))
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        self.gradients(saved, gradient, wanted)
    }
}
